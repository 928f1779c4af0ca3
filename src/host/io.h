/*
 * Descriptors the machine waits for: a thread sleeps in epoll and kicks the vCPU; the vCPU's thread
 * then calls who waits. Each watch is one-shot: it says nothing more until it is armed again, so
 * input that the guest does not read costs nothing.
 *
 * Without the thread (instruction clock) the vCPU's thread looks itself, at instants that depend on
 * guest time alone: host_io_poll().
 */
#ifndef PLEX86_HOST_IO_H
#define PLEX86_HOST_IO_H

#include <pthread.h>

#include "host/kick.h"
#include "util/types.h"

#define IO_MAX_WATCHES	32

struct host_watch {
	int fd;				/* -1: free */
	uint32_t events;		/* EPOLLIN, EPOLLOUT */
	bool plain;			/* a regular file: epoll refuses it, it is always ready */
	bool ready;			/* atomic: set by the thread, cleared by the vCPU's */
	void (*call)(void *arg);
	void *arg;
};

struct host_io {
	int epoll_fd;
	int wake_fd;			/* eventfd: ends the thread */
	pthread_t thread;
	bool threaded, running;
	struct host_kick *kick;
	struct host_watch watch[IO_MAX_WATCHES];
};

int host_io_init(struct host_io *io, struct host_kick *kick, bool threaded);	/* 0 or -errno */
void host_io_free(struct host_io *io);

/* Watch fd, armed. call() comes on the vCPU's thread, from host_io_service(). NULL: no room, or errno. */
struct host_watch *host_io_add(struct host_io *io, int fd, uint32_t events, void (*call)(void *arg), void *arg);
void host_io_arm(struct host_io *io, struct host_watch *w);
void host_io_remove(struct host_io *io, struct host_watch *w);	/* before the descriptor is closed */

void host_io_service(struct host_io *io);	/* call() of everything that became ready */
/* Without a thread: wait up to timeout_ms (-1: for good, 0: only look), then as host_io_service(). */
void host_io_poll(struct host_io *io, int timeout_ms);

#endif
