#ifndef PLEX86_UTIL_JSON_TEXT_H
#define PLEX86_UTIL_JSON_TEXT_H

#include <jansson.h>

/*
 * A JSON string of any len bytes. JSON is UTF-8; file names, and what a guest has in memory, need not be: then each
 * byte that is not ASCII is a '?'. NULL: no memory.
 */
json_t *json_text_n(const char *text, size_t len);
json_t *json_text(const char *text);

#endif
