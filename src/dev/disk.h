/*
 * What a drive's chip sees of its medium: a run of bytes, reached by requests that complete later.
 *
 * The image layer (or a test) implements it. done() is called on the vCPU's thread, perhaps before
 * submit() returns. A request belongs to the disk from submit() until done().
 */
#ifndef PLEX86_DEV_DISK_H
#define PLEX86_DEV_DISK_H

#include "util/types.h"

enum disk_op { DISK_READ, DISK_WRITE, DISK_FLUSH };

struct disk_request {
	enum disk_op op;
	uint64_t offset;		/* bytes; inside the disk, the caller has checked */
	uint32_t len;
	uint8_t *buf;
	int error;			/* 0 or -errno, valid in done() */
	void (*done)(struct disk_request *req);
	void *arg;			/* the submitter's */
	struct disk_request *next;	/* the disk's, while it has the request */
	void *owner;			/* likewise */
};

struct disk {
	uint64_t size_bytes;
	bool read_only;
	void (*submit)(struct disk *disk, struct disk_request *req);
	/* Wait until no request is outstanding; their done() has been called on return. */
	void (*drain)(struct disk *disk);
	void *arg;			/* the implementor's */
};

#endif
