#include "host/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

#include "host/tty.h"

#define CTRL_A	1

static void escape_help(void)
{
	fputs("\r\nCtrl-A h       this help\r\n"
	    "Ctrl-A x       end the virtual machine\r\n"
	    "Ctrl-A b       send a break\r\n"
	    "Ctrl-A Ctrl-A  send Ctrl-A\r\n", stderr);
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

static void on_input(void *arg)
{
	struct chardev *c = arg;
	uint8_t buf[512];
	ssize_t n = read(c->in_fd, buf, sizeof(buf));

	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
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
	}
	return 0;
}

int chardev_open(struct chardev *c, enum chardev_kind kind, const char *path, struct host_io *io, bool wait,
    const struct chardev_ops *ops, struct error *err)
{
	*c = (struct chardev){ .kind = kind, .ops = ops, .io = io, .in_fd = -1, .out_fd = -1, .slave_fd = -1 };
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

void chardev_raw(struct chardev *c)
{
	if (c->tty)
		host_tty_raw(c->in_fd);
}

size_t chardev_put(struct chardev *c, const uint8_t *buf, size_t len)
{
	return c->out ? host_output_put(c->out, buf, len) : len;
}

void chardev_close(struct chardev *c, ns_t limit_ns)
{
	if (c->in)
		host_io_remove(c->io, c->in);
	c->in = NULL;
	if (c->out && host_output_close(c->out, limit_ns))
		free(c->out);		/* else its thread hangs in write() still, and keeps it */
	c->out = NULL;
	if (c->close_fds) {
		close(c->out_fd);
		if (c->slave_fd >= 0)
			close(c->slave_fd);
		c->close_fds = false;
	}
}
