/*
 * The process of the user-mode network: frames from the socketpair to libslirp and back.	[libslirp.h]
 *
 * Everything is bounded: descriptors by RLIMIT_NOFILE, memory by RLIMIT_DATA, frames for a guest that takes none by QUEUE_FRAMES. What does
 * not fit is dropped and counted; TCP sends it again.
 */
#include <errno.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/helper.h"
#include "host/landlock.h"
#include "host/sandbox.h"
#include "host/seccomp.h"
#include "net/net.h"
#include "util/sanitizer.h"

#define MAX_FDS		512		/* connections, mostly */
#define MAX_MEMORY	(384u << 20)	/* two buffers of 128 KiB a connection, and what libslirp keeps of fragments */
#define QUEUE_FRAMES	512u
#define FRAME_ROOM	2048u		/* libslirp's frames have 1514 bytes at most */
#define VISIT_FRAMES	64u		/* from the guest, between two looks at the sockets */
#define RESOLV_CONF	"/etc/resolv.conf"

struct message { uint32_t lost; uint8_t frame[FRAME_ROOM]; };

struct user {
	Slirp *slirp;
	int fd;
	uint32_t lost;
	struct pollfd poll[MAX_FDS + 1];
	unsigned npoll;
	struct { bool used; SlirpTimerId id; void *arg; int64_t at_ms; } timer[SLIRP_TIMER_NUM];
	struct { uint16_t len; struct message m; } queue[QUEUE_FRAMES];	/* those that wait for room */
	unsigned first, queued;
	uint8_t in[NET_FRAME_MAX];
};

/* --- what libslirp calls --- */

/* false: there is no room now. */
static bool deliver(struct user *u, struct message *m, size_t frame_len)
{
	ssize_t n;

	m->lost = u->lost;
	while ((n = send(u->fd, m, offsetof(struct message, frame) + frame_len, MSG_DONTWAIT | MSG_NOSIGNAL)) < 0 && errno == EINTR)
		;
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
		_exit(0);			/* the monitor is gone */
	return n >= 0;
}

static ssize_t on_packet(const void *frame, size_t len, void *arg)
{
	struct user *u = arg;

	if (len > FRAME_ROOM || u->queued == QUEUE_FRAMES) {
		u->lost++;
		return (ssize_t)len;
	}
	unsigned at = (u->first + u->queued) % QUEUE_FRAMES;
	memcpy(u->queue[at].m.frame, frame, len);
	u->queue[at].len = (uint16_t)len;
	if (u->queued > 0 || !deliver(u, &u->queue[at].m, len))
		u->queued++;
	return (ssize_t)len;
}

static void flush(struct user *u)
{
	while (u->queued > 0 && deliver(u, &u->queue[u->first].m, u->queue[u->first].len)) {
		u->first = (u->first + 1) % QUEUE_FRAMES;
		u->queued--;
	}
}

/* A guest's mistakes are its own business, and it could fill a log. */
static void on_guest_error(const char *text, void *arg)
{
}

static int64_t on_clock(void *arg)
{
	return (int64_t)host_clock_ns();
}

static void *on_timer_new(SlirpTimerId id, void *timer_arg, void *arg)
{
	struct user *u = arg;

	for (unsigned i = 0; i < SLIRP_TIMER_NUM; i++)
		if (!u->timer[i].used) {
			u->timer[i].used = true;
			u->timer[i].id = id;
			u->timer[i].arg = timer_arg;
			u->timer[i].at_ms = INT64_MAX;
			return &u->timer[i];
		}
	return NULL;
}

static void on_timer_free(void *timer, void *arg)
{
	struct user *u = arg;

	for (unsigned i = 0; i < SLIRP_TIMER_NUM; i++)
		if (timer == &u->timer[i])
			u->timer[i].used = false;
}

static void on_timer_mod(void *timer, int64_t at_ms, void *arg)
{
	struct user *u = arg;

	for (unsigned i = 0; i < SLIRP_TIMER_NUM; i++)
		if (timer == &u->timer[i])
			u->timer[i].at_ms = at_ms;
}

/* All descriptors are asked for anew before each poll(). */
static void on_poll_fd(int fd, void *arg)
{
}

static void on_notify(void *arg)
{
}

static int on_add_poll(int fd, int events, void *arg)
{
	struct user *u = arg;
	short e = (short)((events & SLIRP_POLL_IN ? POLLIN : 0) | (events & SLIRP_POLL_OUT ? POLLOUT : 0) | (events & SLIRP_POLL_PRI ? POLLPRI : 0));

	if (u->npoll == MAX_FDS + 1)
		return 0;			/* one more than a process may have: does not come about */
	u->poll[u->npoll] = (struct pollfd){ .fd = fd, .events = e };
	return (int)u->npoll++;
}

static int on_revents(int i, void *arg)
{
	const struct user *u = arg;
	short e = i > 0 ? u->poll[i].revents : 0;

	return (e & POLLIN ? SLIRP_POLL_IN : 0) | (e & POLLOUT ? SLIRP_POLL_OUT : 0) | (e & POLLPRI ? SLIRP_POLL_PRI : 0) |
	    (e & POLLERR ? SLIRP_POLL_ERR : 0) | (e & POLLHUP ? SLIRP_POLL_HUP : 0);
}

/* --- its loop --- */

static void take_frames(struct user *u)
{
	for (unsigned i = 0; i < VISIT_FRAMES; i++) {
		ssize_t n = recv(u->fd, u->in, sizeof(u->in), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOMEM || errno == ENOBUFS))
			return;
		if (n <= 0)
			_exit(0);
		slirp_input(u->slirp, u->in, (int)n);
	}
}

static int wait_ms(const struct user *u, uint32_t slirp_ms)
{
	int64_t ms = slirp_ms == UINT32_MAX ? INT64_MAX : slirp_ms, now = (int64_t)(host_clock_ns() / 1000000u);

	for (unsigned i = 0; i < SLIRP_TIMER_NUM; i++)
		if (u->timer[i].used && u->timer[i].at_ms != INT64_MAX)
			ms = MIN(ms, MAX(u->timer[i].at_ms - now, 0));
	return ms > 3600000 ? 3600000 : (int)ms;
}

static void run_timers(struct user *u)
{
	int64_t now = (int64_t)(host_clock_ns() / 1000000u);

	for (unsigned i = 0; i < SLIRP_TIMER_NUM; i++)
		if (u->timer[i].used && u->timer[i].at_ms <= now) {
			u->timer[i].at_ms = INT64_MAX;
			slirp_handle_timer(u->slirp, u->timer[i].id, u->timer[i].arg);
		}
}

static void __attribute__((noreturn)) serve(struct user *u)
{
	for (;;) {
		uint32_t ms = UINT32_MAX;

		u->npoll = 1;
		slirp_pollfds_fill(u->slirp, &ms, on_add_poll, u);
		u->poll[0] = (struct pollfd){ .fd = u->fd, .events = (short)(POLLIN | (u->queued ? POLLOUT : 0)) };
		int n = poll(u->poll, u->npoll, wait_ms(u, ms));
		slirp_pollfds_poll(u->slirp, n < 0, on_revents, u);
		run_timers(u);
		if (n > 0 && (u->poll[0].revents & (POLLIN | POLLHUP | POLLERR)))
			take_frames(u);
		flush(u);
	}
}

/* --- set up --- */

static void set_default(struct in_addr *a, uint32_t address)
{
	if (a->s_addr == 0)
		a->s_addr = htonl(address);
}

void net_user_defaults(struct net_user_config *cfg)
{
	set_default(&cfg->net, 0x0A000200);
	set_default(&cfg->mask, 0xFFFFFF00);
	uint32_t net = ntohl(cfg->net.s_addr);

	set_default(&cfg->host, net | 2);
	set_default(&cfg->dns, net | 3);
	set_default(&cfg->dhcp_start, net | 15);
}

static Slirp *make(struct user *u, const struct net_user_config *cfg)
{
	static const SlirpCb calls = { .send_packet = on_packet, .guest_error = on_guest_error, .clock_get_ns = on_clock,
	    .timer_new_opaque = on_timer_new, .timer_free = on_timer_free, .timer_mod = on_timer_mod,
	    .register_poll_fd = on_poll_fd, .unregister_poll_fd = on_poll_fd, .notify = on_notify };
	SlirpConfig c = { .version = 4, .restricted = cfg->restricted, .in_enabled = !cfg->no_ipv4, .in6_enabled = !cfg->no_ipv6,
	    .vnetwork = cfg->net, .vnetmask = cfg->mask, .vhost = cfg->host, .vdhcp_start = cfg->dhcp_start, .vnameserver = cfg->dns,
	    .vhostname = cfg->hostname, .vdomainname = cfg->domain,
	    .tftp_path = cfg->tftp, .bootfile = cfg->bootfile, .vprefix_len = 64 };

	inet_pton(AF_INET6, "fec0::", &c.vprefix_addr6);
	inet_pton(AF_INET6, "fec0::2", &c.vhost6);
	inet_pton(AF_INET6, "fec0::3", &c.vnameserver6);
	return slirp_new(&c, &calls, u);
}

/* 0, or -errno with *failed the forward that could not be had. */
static int forward(struct user *u, const struct net_user_config *cfg, unsigned *failed)
{
	for (unsigned i = 0; i < cfg->nforwards; i++) {
		const struct net_forward *f = &cfg->forward[i];
		struct in_addr guest = f->guest.s_addr ? f->guest : cfg->dhcp_start;

		*failed = i;
		if (slirp_add_hostfwd(u->slirp, f->udp, f->host, f->host_port, guest, f->guest_port) < 0)
			return errno ? -errno : -EADDRINUSE;
	}
	return 0;
}

/*
 * No file but the one that names the host's name servers, and those below tftp=; no program, nothing executable. What cannot be had
 * here is done without, as in the monitor, whose report says what the host offers.
 */
static int confine(const struct net_user_config *cfg)
{
	struct landlock_path path[] = { { RESOLV_CONF, false }, { cfg->tftp, false } };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	landlock_confine(path, cfg->tftp ? 2 : 1, true);
	return seccomp_confine(cfg->restricted ? SECCOMP_NET_RESTRICTED : SECCOMP_NET);
}

struct hello { int32_t error; uint32_t forward; };	/* forward: which one; UINT32_MAX: none */

static void __attribute__((noreturn)) user_main(const struct net_user_config *given, int fd, bool sandbox)
{
	struct net_user_config filled = *given, *cfg = &filled;
	int keep = helper_begin(fd, "plex86-net");
	struct user *u = calloc(1, sizeof(*u));
	struct hello hello = { 0, UINT32_MAX };

	host_sandbox_limit(RLIMIT_NOFILE, MAX_FDS);
	host_sandbox_limit(RLIMIT_CORE, 0);
	if (!SANITIZER)
		host_sandbox_limit(RLIMIT_DATA, MAX_MEMORY);	/* glib ends the process there, and the cable is out */
	if (u == NULL || keep < 0)
		_exit(1);
	u->fd = keep;
	net_user_defaults(cfg);
	u->slirp = make(u, cfg);
	hello.error = u->slirp ? forward(u, cfg, &hello.forward) : -EINVAL;
	if (hello.error == 0)
		hello.forward = UINT32_MAX;
	if (send(keep, &hello, sizeof(hello), MSG_NOSIGNAL) != sizeof(hello) || hello.error < 0)
		_exit(1);
	if (sandbox)
		confine(cfg);
	serve(u);
}

/* --- the monitor's side --- */

static int explain(const struct net_user_config *cfg, const struct hello *hello, struct error *err)
{
	char host[INET_ADDRSTRLEN] = "";

	if (hello->forward >= cfg->nforwards)
		return error_set(err, hello->error, "the user-mode network does not start: %s", strerror(-hello->error));
	const struct net_forward *f = &cfg->forward[hello->forward];
	inet_ntop(AF_INET, &f->host, host, sizeof(host));
	return error_set(err, hello->error, "hostfwd: cannot listen on %s port %u of %s: %s", f->udp ? "UDP" : "TCP", f->host_port,
	    f->host.s_addr ? host : "all addresses", strerror(-hello->error));
}

int net_user_start(const struct net_user_config *cfg, bool sandbox, struct net_process *process, struct error *err)
{
	struct hello hello = { -EPIPE, UINT32_MAX };
	int pair[2], bytes = 1 << 20;
	ssize_t n;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, -errno, "cannot make the network's socket: %s", strerror(errno));
	for (unsigned i = 0; i < 2; i++)	/* as much as the host allows */
		setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		user_main(cfg, pair[1], sandbox);
	}
	int rc = -errno;
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return error_set(err, rc, "cannot start the network's process: %s", strerror(-rc));
	}
	while ((n = recv(pair[0], &hello, sizeof(hello), 0)) < 0 && errno == EINTR)
		;
	if (n != sizeof(hello))
		hello = (struct hello){ -EPIPE, UINT32_MAX };
	if (hello.error == 0) {
		*process = (struct net_process){ pair[0], pid };
		return 0;
	}
	close(pair[0]);
	return explain(cfg, &hello, err);
}
