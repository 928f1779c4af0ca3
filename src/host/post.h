/*
 * Work for the vCPU's thread from other threads: it alone touches the machine.
 */
#ifndef PLEX86_HOST_POST_H
#define PLEX86_HOST_POST_H

#include <pthread.h>

#include "host/io.h"

#define POST_DATA_MAX 32

struct post_item;

struct host_post {
	pthread_mutex_t lock;
	pthread_cond_t done;
	struct post_item *head, *tail;
	int fd;				/* eventfd: says that there is work */
	struct host_io *io;
	struct host_watch *watch;
	bool open;
};

int host_post_init(struct host_post *post, struct host_io *io);	/* 0 or -errno */
/* No more work is taken, and what waits is let go undone. Before host_io_free(). */
void host_post_close(struct host_post *post);

/*
 * fn(arg, data) on the vCPU's thread, soon, in order. The data (at most POST_DATA_MAX bytes) is copied.
 * wait: return when it is done. false: the machine is gone, and fn was not called.
 */
bool host_post(struct host_post *post, void (*fn)(void *arg, const void *data), void *arg, const void *data, size_t len,
	       bool wait);

#endif
