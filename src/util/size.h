#ifndef PLEX86_UTIL_SIZE_H
#define PLEX86_UTIL_SIZE_H

#include "util/types.h"

/*
 * "64K", "1.5g", "0x1000": a number and B, K, M, G, T, P or E, powers of 1024; without a letter it counts units.
 * false: no size, or more than 2^63 bytes.
 */
bool size_parse(const char *text, uint64_t unit, uint64_t *bytes);

#endif
