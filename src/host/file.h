/*
 * Files the user names: read whole, with one clear line when they cannot be.
 */
#ifndef PLEX86_HOST_FILE_H
#define PLEX86_HOST_FILE_H

#include "util/error.h"
#include "util/types.h"

struct host_file {
	const char *path;
	const uint8_t *data;
	size_t size;
	bool mapped;
};

/* what: the role in the message, as "kernel". An empty file is an error. 0 or -errno with err set. */
int host_file_open(struct host_file *file, const char *what, const char *path, struct error *err);
/* Its bytes will not be wanted soon: they cost no memory of ours until they are looked at again. */
void host_file_rest(const struct host_file *file);
void host_file_close(struct host_file *file);

/* Descriptors 0 to 2 open, on /dev/null if need be, so that no file of ours lands there.
 * Returns a mask: bit n set if descriptor n had been closed. */
unsigned host_std_descriptors(void);

#endif
