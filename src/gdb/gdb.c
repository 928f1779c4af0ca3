/*
 * The debugger's connection: sockets, attaching and going.
 */
#include "gdb/gdb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gdb/registers.h"
#include "host/broker.h"
#include "vm.h"

int gdb_parse(struct gdb_config *cfg, const char *text, struct error *err)
{
	*cfg = (struct gdb_config){ .on = strcmp(text, "none") != 0, .stdio = strcmp(text, "stdio") == 0 };
	if (!cfg->on || cfg->stdio)
		return 0;
	int rc = socket_parse(&cfg->socket, text, err);
	if (rc < 0)
		return rc;
	cfg->socket.server = true;		/* gdb comes to us, whenever it likes */
	cfg->socket.wait = false;
	return 0;
}

void gdb_init(struct gdb *gdb, struct vm *vm, struct host_io *io)
{
	*gdb = (struct gdb){ .vm = vm, .io = io, .listen_fd = -1, .in_fd = -1, .out_fd = -1, .open = true };
}

/* The debugger is gone, or is to go: the machine is as it would be without. */
static void leave(struct gdb *gdb)
{
	if (gdb->in_fd < 0)
		return;
	host_io_remove(gdb->io, gdb->watch);
	if (gdb->in_fd > STDERR_FILENO)
		close(gdb->in_fd);
	gdb->in_fd = gdb->out_fd = -1;
	outbox_free(&gdb->out);
	gdb->in_len = gdb->last_len = 0;
	gdb->running = false;
	gdb_forget(gdb);
	if (gdb->goes_on)
		vm_resume(gdb->vm);
}

/* What fits now; the rest when there is room. */
static void flush(struct gdb *gdb)
{
	if (!outbox_flush(&gdb->out, gdb->out_fd, gdb->in_fd == gdb->out_fd))
		gdb->closing = true;
}

static void arm(struct gdb *gdb)
{
	flush(gdb);
	gdb->watch->events = EPOLLIN | (gdb->out.len && gdb->in_fd == gdb->out_fd ? EPOLLOUT : 0u);
	host_io_arm(gdb->io, gdb->watch);
}

static void on_data(void *arg)
{
	struct gdb *gdb = arg;
	ssize_t n = read(gdb->in_fd, gdb->in + gdb->in_len, sizeof(gdb->in) - gdb->in_len);

	if (n > 0) {
		gdb->in_len += (size_t)n;
		gdb_input(gdb);
		if (gdb->in_len == sizeof(gdb->in))	/* no packet of ours is that long */
			gdb->closing = true;
	}
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		gdb->closing = true;
	flush(gdb);
	if (gdb->closing)
		leave(gdb);
	else
		arm(gdb);
}

static bool enter(struct gdb *gdb, int in_fd, int out_fd)
{
	gdb->watch = host_io_add(gdb->io, in_fd, EPOLLIN, on_data, gdb);
	if (gdb->watch == NULL)
		return false;
	gdb->in_fd = in_fd;
	gdb->out_fd = out_fd;
	gdb->running = gdb->no_ack = gdb->swbreak = gdb->hwbreak = gdb->physical = gdb->closing = false;
	gdb->sstep = GDB_SSTEP_ENABLE | GDB_SSTEP_NOIRQ | GDB_SSTEP_NOTIMER;
	gdb->why = GDB_INTERRUPT;
	gdb->goes_on = !gdb->vm->paused && !(gdb->vm->cfg->start_paused && gdb->vm->cpu.icount == 0);
	vm_pause(gdb->vm);
	return true;
}

/* The next debugger may be here before it was seen that the last one is gone. */
static void leave_if_gone(struct gdb *gdb)
{
	char c;

	if (gdb->in_fd >= 0 && gdb->in_fd == gdb->out_fd && recv(gdb->in_fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		leave(gdb);
}

static void on_connection(void *arg)
{
	struct gdb *gdb = arg;
	int fd = socket_accept(gdb->listen_fd, false);

	leave_if_gone(gdb);
	if (fd >= 0 && (gdb->in_fd >= 0 || !enter(gdb, fd, fd)))
		close(fd);			/* one debugger at a time */
	host_io_arm(gdb->io, gdb->listener);
}

static int listen_at(struct gdb *gdb, const struct socket_spec *spec, struct error *err)
{
	int fd = socket_open(spec, err);

	if (fd == -EPERM && host_broker_sealed()) {
		err->text[0] = '\0';
		return error_set(err, fd, "gdbserver: the sandbox makes no socket: 'plex86 monitor NAME gdbserver WHERE' brings one along, "
		    "-gdb WHERE opens one at the start");
	}
	if (fd < 0)
		return fd;
	gdb->listener = host_io_add(gdb->io, fd, EPOLLIN, on_connection, gdb);
	if (gdb->listener == NULL) {
		int rc = -errno;

		close(fd);
		return error_set(err, rc, "cannot watch a socket: %s", strerror(-rc));
	}
	gdb->listen_fd = fd;
	gdb->spec = *spec;
	return 0;
}

int gdb_open(struct gdb *gdb, const struct gdb_config *cfg, struct error *err)
{
	if (cfg->on && gdb->vm->cfg->engine == ENGINE_LOCKSTEP)
		return error_set(err, -EINVAL, "the debugger needs --engine scan or emulate: lockstep carries every block out twice");
	if (gdb->in_command)
		return error_set(err, -EBUSY, "gdbserver: not from the debugger itself");
	gdb_close(gdb, -1);
	gdb->open = true;
	if (!cfg->on)
		return 0;
	if (!cfg->stdio)
		return listen_at(gdb, &cfg->socket, err);
	fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
	return enter(gdb, STDIN_FILENO, STDOUT_FILENO) ? 0 : error_set(err, -EIO, "cannot talk to gdb on standard input");
}

void gdb_close(struct gdb *gdb, int exit_status)
{
	if (!gdb->open)
		return;
	if (gdb->in_fd >= 0) {
		char text[8];

		snprintf(text, sizeof(text), "W%02x", (unsigned)exit_status & 0xFF);
		if (exit_status >= 0 && gdb->running)
			gdb_send(gdb, text, strlen(text));
		flush(gdb);
		leave(gdb);
	}
	if (gdb->listen_fd >= 0) {
		host_io_remove(gdb->io, gdb->listener);
		socket_remove(&gdb->spec);
		close(gdb->listen_fd);
		gdb->listen_fd = -1;
	}
	free(gdb->xml);
	gdb->xml = NULL;
	gdb->open = false;
}

void gdb_stopped(struct gdb *gdb, enum gdb_stop why)
{
	struct stops *s = gdb->vm->cpu.stops;

	if (gdb->in_fd < 0 || !gdb->running)
		return;
	gdb->why = why;
	if (why == GDB_WATCH) {
		gdb->why_watch = s->hit_watch;
		gdb->why_lin = s->hit_lin;
	}
	gdb->running = false;
	vm_pause(gdb->vm);
	gdb_send_stop(gdb);
	arm(gdb);
}
