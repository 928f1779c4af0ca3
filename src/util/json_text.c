#include "util/json_text.h"

#include <stdlib.h>
#include <string.h>

json_t *json_text_n(const char *text, size_t len)
{
	json_t *value = json_stringn(text, len);
	char *ascii = value ? NULL : malloc(len);

	if (ascii == NULL)
		return value;
	for (size_t i = 0; i < len; i++)
		ascii[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
	value = json_stringn(ascii, len);
	free(ascii);
	return value;
}

json_t *json_text(const char *text)
{
	return json_text_n(text, strlen(text));
}
