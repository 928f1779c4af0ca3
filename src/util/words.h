#ifndef PLEX86_UTIL_WORDS_H
#define PLEX86_UTIL_WORDS_H

#include "util/types.h"

/* Is it one of a list's words, which blanks part? */
bool word_in(const char *list, const char *word);

#endif
