/*
 * Disks backed by images: a worker thread per disk does the file work, the vCPU's thread goes on.
 *
 * A chip submits requests (dev/disk.h); the worker carries them out in order; completions are kept
 * in the pool until the vCPU's thread calls block_poll(), which calls done(). In synchronous mode
 * submit() does it all: then a run is the same every time.
 *
 * What becomes of a request that fails is the user's choice (rerror=, werror=): the guest is told, it is
 * not told, or the request is held, the machine stops, and when it goes on the request is made again.
 */
#ifndef PLEX86_IMAGE_BLOCK_H
#define PLEX86_IMAGE_BLOCK_H

#include <pthread.h>

#include "dev/disk.h"
#include "image/image.h"

enum block_on_error {
	BLOCK_ENOSPC,			/* hold where the host's disk is full, else report: the default for writes */
	BLOCK_REPORT,			/* the guest sees an error: the default for reads */
	BLOCK_IGNORE,			/* the guest sees none */
	BLOCK_STOP,			/* hold */
};

enum block_status { BLOCK_OK, BLOCK_FAILED, BLOCK_NOSPACE };	/* of what is held */

struct block_stats {			/* completed, without error */
	uint64_t reads, writes, flushes, bytes_read, bytes_written, errors;
};

struct image_disk;

struct block_pool {
	pthread_mutex_t lock;
	pthread_cond_t finished;	/* a completion was added */
	struct disk_request *done, **done_tail;
	bool synchronous;
	/* Called on a worker thread when a completion waits for block_poll(): wake the vCPU's thread. */
	void (*notify)(void *arg);
	/* On the vCPU's thread: a request has failed, and this is done about it (never BLOCK_ENOSPC). May be NULL. */
	void (*failed)(void *arg, const struct image_disk *block, const struct disk_request *req, enum block_on_error action);
	void *arg;
};

struct image_disk {
	struct disk disk;		/* what the chip gets */
	struct image *image;		/* owned */
	struct block_stats stats;	/* changed by the vCPU's thread only */
	struct block_pool *pool;
	enum block_on_error read_error, write_error;	/* a FLUSH counts as a write */
	bool draining;			/* nobody will say that it may go on: held is nothing any more */
	enum block_status status;
	struct disk_request *held, **held_tail;		/* failed, to be made again; the vCPU's thread only */
	unsigned outstanding;		/* submitted and not yet done(); the vCPU's thread only */
	struct disk_request *queue, **queue_tail;	/* under the pool's lock */
	bool quit;
	pthread_cond_t wanted;		/* queue or quit changed */
	pthread_t thread;
};

void block_pool_init(struct block_pool *pool, bool synchronous, void (*notify)(void *arg), void *arg);
void block_pool_free(struct block_pool *pool);		/* after its disks */
/* Call done() for what has completed. */
void block_poll(struct block_pool *pool);

/* A disk of the image, which it takes over. The size is rounded up to sector_bytes. 0 or -errno. */
int block_open(struct image_disk **block, struct block_pool *pool, struct image *image, unsigned sector_bytes);
/* Make again what was held. */
void block_retry(struct image_disk *block);
/* Waits for what is under way (what is held ends with its error), flushes, closes the image. 0 or -errno of the flush. */
int block_close(struct image_disk *block);

#endif
