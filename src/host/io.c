#include "host/io.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/sandbox.h"
#include "host/wake.h"

#define WAKE_INDEX	IO_MAX_WATCHES

static void collect(struct host_io *io, const struct epoll_event *ev, int n)
{
	for (int i = 0; i < n; i++)
		if (ev[i].data.u32 < IO_MAX_WATCHES)
			__atomic_store_n(&io->watch[ev[i].data.u32].ready, true, __ATOMIC_RELEASE);
}

static void *waiter(void *arg)
{
	struct host_io *io = arg;
	struct epoll_event ev[8];

	for (;;) {
		int n = epoll_wait(io->epoll_fd, ev, (int)ARRAY_LEN(ev), -1);

		if (n < 0 && errno != EINTR)
			return NULL;
		for (int i = 0; i < n; i++)
			if (ev[i].data.u32 == WAKE_INDEX)
				return NULL;
		host_sandbox_role(SANDBOX_WAIT_THREAD);
		if (n > 0) {
			collect(io, ev, n);
			host_kick_now(io->kick);
		}
	}
}

int host_io_init(struct host_io *io, struct host_kick *kick, bool threaded)
{
	*io = (struct host_io){ .kick = kick, .threaded = threaded };
	for (unsigned i = 0; i < IO_MAX_WATCHES; i++)
		io->watch[i].fd = -1;
	io->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (io->epoll_fd < 0)
		return -errno;
	io->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (io->wake_fd < 0)
		return -errno;
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = WAKE_INDEX };
	return epoll_ctl(io->epoll_fd, EPOLL_CTL_ADD, io->wake_fd, &ev) == 0 ? 0 : -errno;
}

void host_io_free(struct host_io *io)
{
	if (io->running) {
		host_wake(io->wake_fd);
		pthread_join(io->thread, NULL);
		io->running = false;
	}
	close(io->wake_fd);
	close(io->epoll_fd);
}

/* The thread begins with the first descriptor: a guest without input does without. */
static int start_thread(struct host_io *io)
{
	if (io->running || !io->threaded)
		return 0;
	int rc = host_thread_start(&io->thread, waiter, io);
	io->running = rc == 0;
	return rc;
}

static struct epoll_event watch_event(struct host_io *io, struct host_watch *w)
{
	return (struct epoll_event){ .events = w->events | EPOLLONESHOT, .data.u32 = (uint32_t)(w - io->watch) };
}

struct host_watch *host_io_add(struct host_io *io, int fd, uint32_t events, void (*call)(void *arg), void *arg)
{
	struct host_watch *w = NULL;

	for (unsigned i = 0; i < IO_MAX_WATCHES && w == NULL; i++)
		if (io->watch[i].fd < 0)
			w = &io->watch[i];
	if (w == NULL) {
		errno = ENOSPC;
		return NULL;
	}
	*w = (struct host_watch){ .fd = fd, .events = events, .call = call, .arg = arg };
	struct epoll_event ev = watch_event(io, w);
	if (epoll_ctl(io->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		if (errno != EPERM) {
			w->fd = -1;
			return NULL;
		}
		w->plain = true;
		host_io_arm(io, w);
		return w;
	}
	int rc = start_thread(io);
	if (rc < 0) {
		host_io_remove(io, w);
		errno = -rc;
		return NULL;
	}
	return w;
}

void host_io_arm(struct host_io *io, struct host_watch *w)
{
	if (w->plain) {
		__atomic_store_n(&w->ready, true, __ATOMIC_RELAXED);
		__atomic_or_fetch(io->kick->attention, io->kick->kick_bit, __ATOMIC_SEQ_CST);
		return;
	}
	struct epoll_event ev = watch_event(io, w);
	epoll_ctl(io->epoll_fd, EPOLL_CTL_MOD, w->fd, &ev);
}

void host_io_remove(struct host_io *io, struct host_watch *w)
{
	if (!w->plain)
		epoll_ctl(io->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	w->fd = -1;
	__atomic_store_n(&w->ready, false, __ATOMIC_RELAXED);
}

void host_io_service(struct host_io *io)
{
	for (unsigned i = 0; i < IO_MAX_WATCHES; i++) {
		struct host_watch *w = &io->watch[i];

		if (w->fd >= 0 && __atomic_load_n(&w->ready, __ATOMIC_RELAXED) && __atomic_exchange_n(&w->ready, false, __ATOMIC_ACQUIRE))
			w->call(w->arg);
	}
}

void host_io_poll(struct host_io *io, int timeout_ms)
{
	struct epoll_event ev[8];

	for (unsigned i = 0; i < IO_MAX_WATCHES; i++)
		if (io->watch[i].fd >= 0 && __atomic_load_n(&io->watch[i].ready, __ATOMIC_RELAXED))
			timeout_ms = 0;
	collect(io, ev, epoll_wait(io->epoll_fd, ev, (int)ARRAY_LEN(ev), timeout_ms));
	host_io_service(io);
}
