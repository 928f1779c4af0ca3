#include "host/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "host/tty.h"

#define CTRL_A	1

/* Not through stdio: a kick that interrupts the write would cost what stdio held. */
static void escape_help(void)
{
	static const char text[] = "\r\nCtrl-A h       this help\r\n"
	    "Ctrl-A x       end the virtual machine\r\n"
	    "Ctrl-A b       send a break\r\n"
	    "Ctrl-A Ctrl-A  send Ctrl-A\r\n";
	const char *p = text;

	while (*p) {
		ssize_t n = write(STDERR_FILENO, p, strlen(p));

		if (n > 0)
			p += n;
		else if (n == 0 || errno != EINTR)
			return;
	}
}

static void queue_byte(struct chardev *c, uint8_t byte)
{
	if (c->head - c->tail < CHARDEV_QUEUE)
		c->queue[c->head++ % CHARDEV_QUEUE] = byte;
}

static void escape_key(struct chardev *c, uint8_t byte)
{
	c->escaped = false;
	switch (byte) {
	case 'x':
	case 'X':
		c->ops->quit(c->ops->arg);
		break;
	case 'b':
	case 'B':
		c->ops->line_break(c->ops->arg);
		break;
	case CTRL_A:
		queue_byte(c, CTRL_A);
		break;
	default:		/* h, ?, and whatever else: say what there is */
		escape_help();
		break;
	}
}

static void feed(struct chardev *c)
{
	while (c->tail != c->head) {
		if (!c->ops->input(c->ops->arg, c->queue[c->tail % CHARDEV_QUEUE]))
			return;
		c->tail++;
	}
}

/* A terminal is always read, for its escape key; anything else only when the guest has taken what came before. */
static void rearm(struct chardev *c)
{
	if (c->in && (c->tty || c->tail == c->head))
		host_io_arm(c->io, c->in);
}

static void disconnect(struct chardev *c);

static void on_input(void *arg)
{
	struct chardev *c = arg;
	uint8_t buf[512];
	ssize_t n = read(c->in_fd, buf, sizeof(buf));

	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
		if (c->kind == CHARDEV_SOCKET) {
			disconnect(c);
			return;
		}
		host_io_remove(c->io, c->in);	/* the end of the input is not an error: the guest just gets no more */
		c->in = NULL;
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (c->escaped)
			escape_key(c, buf[i]);
		else if (c->tty && buf[i] == CTRL_A)
			c->escaped = true;
		else
			queue_byte(c, buf[i]);
	}
	feed(c);
	rearm(c);
}

void chardev_input_ready(struct chardev *c)
{
	if (c->tail == c->head)
		return;
	feed(c);
	if (c->tail == c->head && !c->tty)
		rearm(c);
}

static int open_pty(struct chardev *c, struct error *err)
{
	struct termios t;
	char name[64];

	c->in_fd = c->out_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (c->in_fd < 0 || grantpt(c->in_fd) < 0 || unlockpt(c->in_fd) < 0 ||
	    ptsname_r(c->in_fd, name, sizeof(name)) != 0)
		return error_set(err, -errno, "-serial pty: no pseudo terminal: %s", strerror(errno));
	c->close_fds = true;
	c->slave_fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (c->slave_fd >= 0 && tcgetattr(c->slave_fd, &t) == 0) {
		cfmakeraw(&t);
		tcsetattr(c->slave_fd, TCSANOW, &t);
	}
	fprintf(stderr, "plex86: serial port redirected to %s\n", name);
	return 0;
}

static int open_ends(struct chardev *c, const char *path, struct error *err)
{
	switch (c->kind) {
	case CHARDEV_NULL:
		return 0;
	case CHARDEV_STDIO:
		c->in_fd = STDIN_FILENO;
		c->out_fd = STDOUT_FILENO;
		c->tty = host_tty_is(STDIN_FILENO);
		return 0;
	case CHARDEV_FILE:
		c->out_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (c->out_fd < 0)
			return error_set(err, -errno, "-serial file '%s': %s", path, strerror(errno));
		c->close_fds = true;
		return 0;
	case CHARDEV_PTY:
		return open_pty(c, err);
	case CHARDEV_SOCKET:		/* opened by chardev_open_socket() */
		break;
	}
	return 0;
}

int chardev_open(struct chardev *c, enum chardev_kind kind, const char *path, struct host_io *io, bool wait,
    const struct chardev_ops *ops, struct error *err)
{
	*c = (struct chardev){ .kind = kind, .ops = ops, .io = io, .in_fd = -1, .out_fd = -1, .slave_fd = -1,
	    .listen_fd = -1, .log_fd = -1, .wait_room = wait };
	int rc = open_ends(c, path, err);
	if (rc < 0)
		return rc;
	if (c->out_fd >= 0) {
		c->out = calloc(1, sizeof(*c->out));
		if (c->out == NULL)
			return error_set(err, -ENOMEM, "no memory for the console");
		rc = host_output_open(c->out, c->out_fd, ops->room, ops->arg);
		if (rc < 0)
			return error_set(err, rc, "cannot start the console's thread: %s", strerror(-rc));
		c->out->wait_while_0 = wait ? &io->kick->user_signal : NULL;
	}
	if (c->in_fd >= 0) {
		c->in = host_io_add(io, c->in_fd, EPOLLIN, on_input, c);
		if (c->in == NULL)
			return error_set(err, -errno, "cannot watch the console's input: %s", strerror(errno));
	}
	return 0;
}

/* --- sockets --- */

static bool connected(struct chardev *c, int fd)
{
	c->in_fd = c->out_fd = fd;
	c->out = calloc(1, sizeof(*c->out));
	if (c->out && host_output_open(c->out, fd, c->ops->room, c->ops->arg) == 0) {
		c->out->wait_while_0 = c->wait_room ? &c->io->kick->user_signal : NULL;
		c->in = host_io_add(c->io, fd, EPOLLIN, on_input, c);
		if (c->in)
			return true;
		host_output_close(c->out, 0);
	}
	free(c->out);
	c->out = NULL;
	close(fd);
	c->in_fd = c->out_fd = -1;
	return false;
}

static void disconnect(struct chardev *c)
{
	if (c->in)
		host_io_remove(c->io, c->in);
	c->in = NULL;
	shutdown(c->out_fd, SHUT_RDWR);		/* so that the writer's thread does not hang */
	if (host_output_close(c->out, HOST_NEVER))
		free(c->out);
	c->out = NULL;
	close(c->out_fd);
	c->in_fd = c->out_fd = -1;
	if (c->listener)
		host_io_arm(c->io, c->listener);
	c->ops->room(c->ops->arg);		/* the port may have waited for the one who left */
}

/* Further connections wait in the socket's queue until this one ends. */
static void on_connection(void *arg)
{
	struct chardev *c = arg;
	int fd = socket_accept(c->listen_fd, false);

	if (fd < 0 || !connected(c, fd))
		host_io_arm(c->io, c->listener);
}

int chardev_open_socket(struct chardev *c, const struct socket_spec *spec, struct host_io *io, bool wait,
    const struct chardev_ops *ops, struct error *err)
{
	*c = (struct chardev){ .kind = CHARDEV_SOCKET, .ops = ops, .io = io, .in_fd = -1, .out_fd = -1, .slave_fd = -1,
	    .listen_fd = -1, .log_fd = -1, .wait_room = wait, .socket = *spec };
	int fd = socket_open(spec, err);
	if (fd < 0)
		return fd;
	if (!spec->server)
		return connected(c, fd) ? 0 : error_set(err, -EIO, "cannot watch a socket");
	c->listen_fd = fd;
	if (spec->wait) {
		fprintf(stderr, "plex86: waiting for a connection to %s\n", spec->path[0] ? spec->path : spec->host);
		int conn = socket_accept(fd, true);
		if (conn < 0 || !connected(c, conn))
			return error_set(err, conn < 0 ? conn : -EIO, "no connection came");
	}
	c->listener = host_io_add(io, fd, EPOLLIN, on_connection, c);
	return c->listener ? 0 : error_set(err, -errno, "cannot watch a socket: %s", strerror(errno));
}

int chardev_log(struct chardev *c, const char *path, struct error *err)
{
	c->log_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	return c->log_fd >= 0 ? 0 : error_set(err, -errno, "logfile '%s': %s", path, strerror(errno));
}

void chardev_raw(struct chardev *c)
{
	if (c->tty)
		host_tty_raw(c->in_fd);
}

size_t chardev_put(struct chardev *c, const uint8_t *buf, size_t len)
{
	size_t n = c->out ? host_output_put(c->out, buf, len) : len;

	if (c->log_fd >= 0 && n > 0 && write(c->log_fd, buf, n) < 0) {
		close(c->log_fd);		/* the disk is full: the console is worth more than its log */
		c->log_fd = -1;
	}
	return n;
}

void chardev_close(struct chardev *c, ns_t limit_ns)
{
	if (c->in)
		host_io_remove(c->io, c->in);
	c->in = NULL;
	if (c->out && host_output_close(c->out, limit_ns))
		free(c->out);		/* else its thread hangs in write() still, and keeps it */
	c->out = NULL;
	if (c->kind == CHARDEV_SOCKET && c->out_fd >= 0)
		close(c->out_fd);
	if (c->listener) {
		host_io_remove(c->io, c->listener);
		c->listener = NULL;
	}
	if (c->listen_fd >= 0) {
		socket_remove(&c->socket);
		close(c->listen_fd);
		c->listen_fd = -1;
	}
	if (c->log_fd >= 0)
		close(c->log_fd);
	c->log_fd = -1;
	if (c->close_fds) {
		close(c->out_fd);
		if (c->slave_fd >= 0)
			close(c->slave_fd);
		c->close_fds = false;
	}
}
