/*
 * Output that never makes the guest wait: a ring and a thread that writes it out.
 *
 * A thread and not O_NONBLOCK, because that flag belongs to the open file, which the user's shell
 * shares with us. When the ring is full the writer's caller is told (room is called later), as a
 * serial line with flow control would.
 */
#ifndef PLEX86_HOST_OUTPUT_H
#define PLEX86_HOST_OUTPUT_H

#include <pthread.h>
#include <signal.h>

#include "util/types.h"

#define OUTPUT_RING	65536u

struct host_output {
	int fd;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t more, less;
	bool waiting;			/* the thread sleeps on more, for the next byte */
	bool gathering;			/* ... on more, for half a ring or a moment's end */
	/* put() waits for room (instruction clock: the guest must not see it) as long as this word is 0;
	 * NULL: it does not wait */
	const volatile sig_atomic_t *wait_while_0;
	bool quit, failed;
	bool starved;			/* a put did not fit: call room() when half is free */
	size_t head, tail;		/* bytes put, bytes written; ring index is modulo OUTPUT_RING */
	void (*room)(void *arg);	/* from the thread */
	void *arg;
	uint8_t ring[OUTPUT_RING];
};

/* fd stays the caller's. 0 or -errno. */
int host_output_open(struct host_output *out, int fd, void (*room)(void *arg), void *arg);

/* How many bytes were taken. After an error of the descriptor everything is taken, and dropped. */
size_t host_output_put(struct host_output *out, const uint8_t *buf, size_t len);

/* Write out what is left and end the thread; give up after limit_ns (HOST_NEVER: wait for good).
 * false: gave up, and *out must stay allocated. */
bool host_output_close(struct host_output *out, ns_t limit_ns);

#endif
