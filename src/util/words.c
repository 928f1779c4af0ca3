#include "util/words.h"

#include <string.h>

bool word_in(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (size_t n; *list; list += n + strspn(list + n, " ")) {
		n = strcspn(list, " ");
		if (n == len && memcmp(list, word, len) == 0)
			return true;
	}
	return false;
}
