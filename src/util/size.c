#include "util/size.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool size_parse(const char *text, uint64_t unit, uint64_t *bytes)
{
	static const char suffixes[] = "BKMGTPE";
	double part = 0;
	char *end;

	errno = 0;
	if (*text < '0' || *text > '9')
		return false;
	uint64_t n = strtoull(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
	if (*end == '.')
		part = strtod(end, &end);
	if (errno)
		return false;
	if (*end) {
		const char *s = strchr(suffixes, *end >= 'a' ? *end - 32 : *end);

		if (s == NULL || end[1] != '\0')
			return false;
		unit = 1ull << (10 * (s - suffixes));
	}
	return !__builtin_mul_overflow(n, unit, bytes) && !__builtin_add_overflow(*bytes, (uint64_t)(part * (double)unit), bytes) &&
	    *bytes <= 1ull << 63;
}
