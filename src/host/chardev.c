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

static const char help[] = "\r\nCtrl-A h       this help\r\n"
    "Ctrl-A x       end the virtual machine\r\n"
    "Ctrl-A b       send a break\r\n"
    "Ctrl-A Ctrl-A  send Ctrl-A\r\n";
static const char help_monitor[] = "Ctrl-A c       to the monitor, and back\r\n";

/* Not through stdio: a kick that interrupts the write would cost what stdio held. */
static void say_on_stderr(const char *p)
{
	while (*p) {
		ssize_t n = write(STDERR_FILENO, p, strlen(p));

		if (n > 0)
			p += n;
		else if (n == 0 || errno != EINTR)
			return;
	}
}

static void escape_help(struct chardev *c)
{
	const char *const text[] = { help, c->monitor_fd >= 0 ? help_monitor : "" };

	for (size_t i = 0; i < ARRAY_LEN(text); i++) {
		if (c->kind == CHARDEV_STDIO)
			say_on_stderr(text[i]);
		else
			chardev_put(c, (const uint8_t *)text[i], strlen(text[i]));
	}
}

/* --- the monitor behind Ctrl-A c --- */

static void echo(struct chardev *c, const char *text, size_t len)
{
	if (c->out)
		host_output_put(c->out, (const uint8_t *)text, len);
}

/* It takes whole lines, and this terminal gives keys. */
static void monitor_key(struct chardev *c, uint8_t byte)
{
	char key = (char)byte;

	if (byte == '\r' || byte == '\n') {
		echo(c, "\r\n", 2);
		c->line[c->line_len++] = '\n';
		/* Its buffer holds more lines than anybody types before they are read: one that does not fit is lost. */
		if (write(c->monitor_fd, c->line, c->line_len) < 0)
			echo(c, "(the monitor hangs)\r\n", 21);
		c->line_len = 0;
	} else if (byte == 8 || byte == 127) {
		if (c->line_len > 0) {
			c->line_len--;
			echo(c, "\b \b", 3);
		}
	} else if (byte == 21) {		/* Ctrl-U */
		while (c->line_len > 0)
			monitor_key(c, 8);
	} else if (byte >= 32 && c->line_len < CHARDEV_LINE - 1) {
		c->line[c->line_len++] = key;
		echo(c, &key, 1);
	}
}

/* A piece of what it says, no more than the terminal has room for. 1: it went there; 0: not now; -1: the monitor is gone. */
static int hand_on(struct chardev *c)
{
	if (c->held_len == 0) {
		ssize_t n = read(c->monitor_fd, c->held, sizeof(c->held));

		if (n <= 0)
			return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
		c->held_len = (size_t)n;
		c->held_at = 0;
	}
	size_t n = c->out ? host_output_put(c->out, c->held + c->held_at, c->held_len) : c->held_len;
	c->held_at += n;
	c->held_len -= n;
	return c->held_len == 0;
}

static void on_monitor(void *arg)
{
	struct chardev *c = arg;

	if (hand_on(c) >= 0 && c->held_len == 0)
		host_io_arm(c->io, c->monitor);
}

void chardev_room(struct chardev *c)
{
	if (c->held_len != 0)
		on_monitor(c);
}

static void switch_focus(struct chardev *c)
{
	c->at_monitor = !c->at_monitor;
	echo(c, "\r\n", 2);
	if (c->at_monitor && c->monitor == NULL) {	/* what it has said so far comes only when somebody wants it */
		c->monitor = host_io_add(c->io, c->monitor_fd, EPOLLIN, on_monitor, c);
		c->at_monitor = c->monitor != NULL;
	}
}

int chardev_set_monitor(struct chardev *c, int fd)
{
	c->monitor_fd = fd;
	return fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

/* --- input --- */

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
	case 'c':
	case 'C':
		if (c->monitor_fd >= 0)
			switch_focus(c);
		else
			escape_help(c);
		break;
	case CTRL_A:
		queue_byte(c, CTRL_A);
		break;
	default:		/* h, ?, and whatever else: say what there is */
		escape_help(c);
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
	if (c->in && (c->tty || c->at_monitor || c->tail == c->head))
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
	size_t len = n > 0 ? (size_t)n : 0;
	bool is_break = false;
	if (c->socket.telnet)
		len = telnet_strip(&c->telnet, buf, len, &is_break);
	if (is_break)
		c->ops->line_break(c->ops->arg);
	for (size_t i = 0; i < len; i++) {
		if (c->escaped)
			escape_key(c, buf[i]);
		else if (c->escapes && buf[i] == CTRL_A)
			c->escaped = true;
		else if (c->at_monitor)
			monitor_key(c, buf[i]);
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

static int open_file(struct chardev *c, const struct chardev_config *cfg, struct error *err)
{
	/* A device has nothing to truncate; but /dev/stderr may lead to a file that has. */
	int how = cfg->append || strncmp(cfg->path, "/dev/", 5) == 0 ? O_APPEND : O_TRUNC;

	c->out_fd = open(cfg->path, O_WRONLY | O_CREAT | O_CLOEXEC | how, 0666);
	if (c->out_fd < 0)
		return error_set(err, -errno, "file '%s': %s", cfg->path, strerror(errno));
	c->close_fds = true;
	return 0;
}

/* Two named pipes, PATH.in and PATH.out, or one for both ways.	[QEMU "-chardev pipe"] */
static int open_pipe(struct chardev *c, const struct chardev_config *cfg, struct error *err)
{
	char path[4096];

	/* For reading and writing: it need not wait for somebody at the other end, nor end when he leaves. */
	snprintf(path, sizeof(path), "%s.in", cfg->path);
	c->in_fd = open(path, O_RDWR | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s.out", cfg->path);
	c->out_fd = c->in_fd >= 0 ? open(path, O_RDWR | O_CLOEXEC) : -1;
	c->close_fds = true;
	if (c->out_fd >= 0)
		return 0;
	if (c->in_fd >= 0)
		close(c->in_fd);
	c->in_fd = c->out_fd = open(cfg->path, O_RDWR | O_CLOEXEC);
	return c->out_fd >= 0 ? 0 : error_set(err, -errno, "pipe '%s' (or .in and .out): %s", cfg->path, strerror(errno));
}

static int open_ends(struct chardev *c, const struct chardev_config *cfg, struct error *err)
{
	switch (c->kind) {
	case CHARDEV_STDIO:
		c->in_fd = STDIN_FILENO;
		c->out_fd = STDOUT_FILENO;
		c->tty = host_tty_is(STDIN_FILENO);
		return 0;
	case CHARDEV_FILE:
		return open_file(c, cfg, err);
	case CHARDEV_PIPE:
		return open_pipe(c, cfg, err);
	case CHARDEV_PTY:
		return open_pty(c, err);
	case CHARDEV_NULL:
	case CHARDEV_SOCKET:		/* its ends are those of a connection */
		break;
	}
	return 0;
}

static int watch_ends(struct chardev *c, struct error *err)
{
	if (c->out_fd >= 0) {
		c->out = calloc(1, sizeof(*c->out));
		if (c->out == NULL)
			return error_set(err, -ENOMEM, "no memory for the console");
		int rc = host_output_open(c->out, c->out_fd, c->ops->room, c->ops->arg);
		if (rc < 0)
			return error_set(err, rc, "cannot start the console's thread: %s", strerror(-rc));
		c->out->wait_while_0 = c->wait_room ? &c->io->kick->user_signal : NULL;
	}
	if (c->in_fd >= 0) {
		c->in = host_io_add(c->io, c->in_fd, EPOLLIN, on_input, c);
		if (c->in == NULL)
			return error_set(err, -errno, "cannot watch the console's input: %s", strerror(errno));
	}
	return 0;
}

/* --- sockets --- */

static bool connected(struct chardev *c, int fd)
{
	c->in_fd = c->out_fd = fd;
	c->telnet = (struct telnet){ 0 };
	c->iac_owed = 0;
	c->out = calloc(1, sizeof(*c->out));
	if (c->out && host_output_open(c->out, fd, c->ops->room, c->ops->arg) == 0) {
		uint8_t hello[TELNET_HELLO_BYTES];

		telnet_hello(hello);
		if (c->socket.telnet)
			host_output_put(c->out, hello, sizeof(hello));
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

static int open_socket(struct chardev *c, struct error *err)
{
	const struct socket_spec *spec = &c->socket;
	int fd = socket_open(spec, err);

	if (fd < 0)
		return fd;
	if (!spec->server)
		return connected(c, fd) ? 0 : error_set(err, -EIO, "cannot watch a socket");
	c->listen_fd = fd;
	if (spec->wait) {
		int conn = socket_accept_first(spec, fd, err);
		if (conn < 0)
			return conn;
		if (!connected(c, conn))
			return error_set(err, -EIO, "cannot watch a socket");
	}
	c->listener = host_io_add(c->io, fd, EPOLLIN, on_connection, c);
	return c->listener ? 0 : error_set(err, -errno, "cannot watch a socket: %s", strerror(errno));
}

int chardev_open(struct chardev *c, const struct chardev_config *cfg, struct host_io *io, bool wait,
    const struct chardev_ops *ops, struct error *err)
{
	*c = (struct chardev){ .kind = cfg->kind, .ops = ops, .io = io, .in_fd = -1, .out_fd = -1, .slave_fd = -1,
	    .listen_fd = -1, .log_fd = -1, .monitor_fd = -1, .wait_room = wait, .socket = cfg->socket };
	int rc = open_ends(c, cfg, err);
	if (rc < 0)
		return rc;
	c->escapes = c->tty || cfg->mux;
	rc = cfg->kind == CHARDEV_SOCKET ? open_socket(c, err) : watch_ends(c, err);
	if (rc < 0 || cfg->logfile == NULL)
		return rc;
	c->log_fd = open(cfg->logfile, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	return c->log_fd >= 0 ? 0 : error_set(err, -errno, "logfile '%s': %s", cfg->logfile, strerror(errno));
}

void chardev_raw(struct chardev *c)
{
	if (c->tty)
		host_tty_raw(c->in_fd);
}

/* In TELNET, FFh is the first of a command: as data there are two of them. */
static size_t put_telnet(struct chardev *c, const uint8_t *buf, size_t len)
{
	static const uint8_t iac[2] = { TELNET_IAC, TELNET_IAC };
	size_t done = 0;

	for (;;) {
		if (c->iac_owed) {
			if (host_output_put(c->out, iac, 1) == 0)
				return done;
			c->iac_owed = 0;
		}
		if (done == len)
			return done;
		const uint8_t *next = memchr(buf + done, TELNET_IAC, len - done);
		size_t plain = next ? (size_t)(next - buf) - done : len - done;
		size_t n = host_output_put(c->out, buf + done, plain);
		done += n;
		if (n < plain || next == NULL || host_output_put(c->out, iac, 1) == 0)
			return done;
		c->iac_owed = 1;
		done++;
	}
}

size_t chardev_put(struct chardev *c, const uint8_t *buf, size_t len)
{
	size_t n = !c->out ? len : c->socket.telnet ? put_telnet(c, buf, len) : host_output_put(c->out, buf, len);

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
	if (c->monitor) {
		while (hand_on(c) > 0)		/* its answers to what was typed before the end */
			;
		host_io_remove(c->io, c->monitor);
		c->monitor = NULL;
	}
	if (c->monitor_fd > STDERR_FILENO)
		close(c->monitor_fd);
	c->monitor_fd = -1;
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
		if (c->in_fd >= 0 && c->in_fd != c->out_fd)
			close(c->in_fd);
		if (c->slave_fd >= 0)
			close(c->slave_fd);
		c->close_fds = false;
	}
}
