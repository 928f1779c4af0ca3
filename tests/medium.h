/*
 * A disk for tests with random accesses: a medium that answers at once, later, or with an error, as the dice fall.
 */
#ifndef PLEX86_TESTS_MEDIUM_H
#define PLEX86_TESTS_MEDIUM_H

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dev/disk.h"

enum { MEDIUM_PENDING = 16 };

struct medium {
	struct disk disk;
	struct disk_request *pending[MEDIUM_PENDING];
	unsigned npending;
	uint8_t *bytes;
	uint32_t (*dice)(void *arg);
	void *arg;
};

static inline void medium_finish(struct medium *m, struct disk_request *req)
{
	req->error = m->dice(m->arg) % 16 == 0 ? -EIO : 0;
	if (req->op == DISK_READ)
		memcpy(req->buf, m->bytes + req->offset, req->len);
	else if (req->op == DISK_WRITE)
		memcpy(m->bytes + req->offset, req->buf, req->len);
	req->done(req);
}

/* One that waits is done, if there is any: the last first, so that they change places. */
static inline void medium_finish_one(struct medium *m)
{
	if (m->npending > 0)
		medium_finish(m, m->pending[--m->npending]);
}

static inline void medium_submit(struct disk *disk, struct disk_request *req)
{
	struct medium *m = disk->arg;

	assert(req->offset <= disk->size_bytes && req->len <= disk->size_bytes - req->offset);
	if (m->dice(m->arg) % 2) {
		assert(m->npending < MEDIUM_PENDING);
		m->pending[m->npending++] = req;
	} else {
		medium_finish(m, req);
	}
}

static inline void medium_drain(struct disk *disk)
{
	struct medium *m = disk->arg;

	while (m->npending > 0)
		medium_finish_one(m);
}

/* bytes is the caller's to free. */
static inline struct disk *medium_init(struct medium *m, uint64_t size_bytes, uint32_t (*dice)(void *arg), void *arg)
{
	*m = (struct medium){ .bytes = calloc(1, size_bytes), .dice = dice, .arg = arg };
	m->disk = (struct disk){ .size_bytes = size_bytes, .submit = medium_submit, .drain = medium_drain, .arg = m };
	return &m->disk;
}

#endif
