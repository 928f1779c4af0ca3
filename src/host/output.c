#include "host/output.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/kick.h"
#include "host/sandbox.h"

/* Write some of [p, p + len); < 0: the descriptor is no more. */
static ssize_t write_some(int fd, const uint8_t *p, size_t len)
{
	for (;;) {
		ssize_t n = write(fd, p, len);

		if (n >= 0)
			return n;
		if (errno == EAGAIN) {		/* somebody who shares it made it non-blocking */
			struct pollfd pfd = { .fd = fd, .events = POLLOUT };
			poll(&pfd, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
}

/* From now on, on a clock that waits for conditions or threads go by. */
static struct timespec after(clockid_t clock, ns_t ns)
{
	return host_timespec(host_clock_of(clock) + ns);
}

static bool half_full(const struct host_output *out)
{
	return out->head - out->tail >= OUTPUT_RING / 2;
}

/*
 * A guest's serial port comes a byte at a time, and to wake the thread for each costs more than all the rest of
 * that byte. So what comes soon after something was written waits a moment for what follows.
 */
#define GATHER_NS 2000000
static void gather(struct host_output *out)
{
	struct timespec until = after(CLOCK_MONOTONIC, GATHER_NS);

	out->gathering = true;
	while (!out->quit && !half_full(out))
		if (pthread_cond_clockwait(&out->more, &out->lock, CLOCK_MONOTONIC, &until) != 0)
			break;
	out->gathering = false;
}

static void *writer(void *arg)
{
	struct host_output *out = arg;

	pthread_mutex_lock(&out->lock);
	for (;;) {
		while (out->head == out->tail && !out->quit) {
			out->waiting = true;
			pthread_cond_wait(&out->more, &out->lock);
			out->waiting = false;
		}
		if (out->head == out->tail)
			break;
		size_t at = out->tail % OUTPUT_RING;
		size_t len = MIN(out->head - out->tail, OUTPUT_RING - at);

		pthread_mutex_unlock(&out->lock);
		host_sandbox_role(SANDBOX_WAIT_THREAD);
		ssize_t n = write_some(out->fd, out->ring + at, len);
		pthread_mutex_lock(&out->lock);
		if (n < 0) {
			out->failed = true;
			out->tail = out->head;
		} else {
			out->tail += (size_t)n;
		}
		if (out->starved && out->head - out->tail <= OUTPUT_RING / 2) {
			out->starved = false;
			if (out->room)
				out->room(out->arg);
		}
		pthread_cond_signal(&out->less);
		gather(out);
	}
	pthread_mutex_unlock(&out->lock);
	return NULL;
}

int host_output_open(struct host_output *out, int fd, void (*room)(void *arg), void *arg)
{
	*out = (struct host_output){ .fd = fd, .room = room, .arg = arg };
	pthread_mutex_init(&out->lock, NULL);
	pthread_cond_init(&out->more, NULL);
	pthread_cond_init(&out->less, NULL);
	int rc = host_thread_start(&out->thread, writer, out);
	out->running = rc == 0;
	return rc;
}

/* A signal does not end a wait for a condition, and it may come just before: so never for good. */
static void wait_a_little(struct host_output *out)
{
	struct timespec ts = after(CLOCK_REALTIME, 100000000);

	pthread_cond_timedwait(&out->less, &out->lock, &ts);
}

size_t host_output_put(struct host_output *out, const uint8_t *buf, size_t len)
{
	pthread_mutex_lock(&out->lock);
	while (out->wait_while_0 && *out->wait_while_0 == 0 && !out->failed && len > OUTPUT_RING - (out->head - out->tail))
		wait_a_little(out);
	if (out->failed) {
		pthread_mutex_unlock(&out->lock);
		return len;
	}
	size_t take = MIN(len, OUTPUT_RING - (out->head - out->tail));
	for (size_t i = 0; i < take; i++)
		out->ring[(out->head + i) % OUTPUT_RING] = buf[i];
	out->head += take;
	if (take < len)
		out->starved = true;
	bool wake = out->waiting || (out->gathering && half_full(out));
	pthread_mutex_unlock(&out->lock);
	if (wake)
		pthread_cond_signal(&out->more);
	return take;
}

bool host_output_close(struct host_output *out, ns_t limit_ns)
{
	if (!out->running)
		return true;
	pthread_mutex_lock(&out->lock);
	out->quit = true;
	out->room = NULL;
	pthread_cond_signal(&out->more);
	pthread_mutex_unlock(&out->lock);
	if (limit_ns == HOST_NEVER) {
		pthread_join(out->thread, NULL);
	} else {
		struct timespec ts = after(CLOCK_REALTIME, limit_ns);
		if (pthread_timedjoin_np(out->thread, NULL, &ts) != 0)
			return false;
	}
	out->running = false;
	pthread_cond_destroy(&out->more);
	pthread_cond_destroy(&out->less);
	pthread_mutex_destroy(&out->lock);
	return true;
}
