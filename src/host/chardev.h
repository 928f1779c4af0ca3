/*
 * What a serial port is connected to: the terminal, a file, a pipe, a pseudo terminal, a socket, or nothing.
 *
 * On a terminal Ctrl-A is the escape key, as QEMU users know it: Ctrl-A x quits, Ctrl-A h helps,
 * Ctrl-A b sends a break, Ctrl-A c goes to the monitor and back, Ctrl-A Ctrl-A sends one Ctrl-A. It
 * works even when the guest has stopped reading. From anything else every byte is the guest's, unless
 * the user wants the monitor there too ("mon:"), and is held back until the guest takes it.
 */
#ifndef PLEX86_HOST_CHARDEV_H
#define PLEX86_HOST_CHARDEV_H

#include "host/io.h"
#include "host/output.h"
#include "host/socket.h"
#include "host/telnet.h"
#include "util/error.h"

enum chardev_kind { CHARDEV_NULL, CHARDEV_STDIO, CHARDEV_FILE, CHARDEV_PIPE, CHARDEV_PTY, CHARDEV_SOCKET };

#define CHARDEV_QUEUE	4096u
#define CHARDEV_LINE	512u

/* What the user asked for; strings are his. */
struct chardev_config {
	enum chardev_kind kind;
	const char *path;		/* of a file or pipe */
	struct socket_spec socket;
	const char *logfile;		/* what is put goes there, too; NULL: nowhere */
	bool append;			/* the file keeps what it has */
	bool mux;			/* the monitor is there, too */
};

/* What the port's other end does. Calls come on the vCPU's thread, but for room(). */
struct chardev_ops {
	bool (*input)(void *arg, uint8_t byte);	/* false: not now; chardev_input_ready() will be called */
	void (*line_break)(void *arg);
	void (*quit)(void *arg);		/* Ctrl-A x */
	void (*room)(void *arg);		/* any thread: chardev_put() will take bytes again */
	void *arg;
};

struct chardev {
	enum chardev_kind kind;
	const struct chardev_ops *ops;
	struct host_io *io;
	struct host_watch *in;		/* NULL: no input (left) */
	struct host_output *out;	/* NULL: output vanishes */
	int in_fd, out_fd;
	int slave_fd;			/* pty: held open, so that the master never sees a hang-up */
	bool close_fds;
	struct socket_spec socket;	/* CHARDEV_SOCKET: one connection at a time; without one, output vanishes */
	int listen_fd;			/* -1: none */
	struct host_watch *listener;
	int log_fd;			/* output goes there too; -1: nowhere */
	bool wait_room;
	struct telnet telnet;
	uint8_t iac_owed;		/* the second of two that stand for one, if the first was all that fitted */
	bool tty, escaped;		/* escaped: the last key was Ctrl-A */
	bool escapes;			/* Ctrl-A is the escape key */
	/* the monitor, at the other end of a socket pair; -1: there is none */
	int monitor_fd;
	struct host_watch *monitor;
	bool at_monitor;		/* keys go there */
	char line[CHARDEV_LINE];	/* what is being typed to it */
	size_t line_len;
	uint8_t held[1024];		/* what it said, and there was no room for */
	size_t held_len, held_at;
	size_t head, tail;		/* of the queue towards the guest */
	uint8_t queue[CHARDEV_QUEUE];
};

/* 0 or -errno with err set. wait: chardev_put() waits for room instead of taking less. */
int chardev_open(struct chardev *c, const struct chardev_config *cfg, struct host_io *io, bool wait,
    const struct chardev_ops *ops, struct error *err);
/* A stream socket that the monitor listens at: Ctrl-A c leads there. Takes it over. 0 or -errno. */
int chardev_set_monitor(struct chardev *c, int fd);
void chardev_close(struct chardev *c, ns_t limit_ns);	/* writes out what is left, for limit_ns at most */

size_t chardev_put(struct chardev *c, const uint8_t *buf, size_t len);	/* how many bytes were taken */
void chardev_input_ready(struct chardev *c);
void chardev_room(struct chardev *c);		/* after ops->room(), on the vCPU's thread */
void chardev_raw(struct chardev *c);		/* the terminal into raw mode (again) */

#endif
