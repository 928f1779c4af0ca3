/*
 * One line for the user about what is wrong with what was given to us: a file, an option, the host.
 * Filled where it is found out, printed once, by main().
 */
#ifndef PLEX86_UTIL_ERROR_H
#define PLEX86_UTIL_ERROR_H

#include "util/types.h"

struct error {
	char text[512];		/* empty: no error; no newline */
};

/* Keeps the first text; returns code (a -errno), so that "return error_set(err, -EINVAL, ...)" reads well. */
int error_set(struct error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
