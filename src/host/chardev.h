/*
 * What a serial port is connected to: the terminal, a file, a pseudo terminal, or nothing.
 *
 * On a terminal Ctrl-A is the escape key, as QEMU users know it: Ctrl-A x quits, Ctrl-A h helps,
 * Ctrl-A b sends a break, Ctrl-A Ctrl-A sends one Ctrl-A. It works even when the guest has stopped
 * reading. From a pipe or file every byte is the guest's, and is held back until the guest takes it.
 */
#ifndef PLEX86_HOST_CHARDEV_H
#define PLEX86_HOST_CHARDEV_H

#include "host/io.h"
#include "host/output.h"
#include "host/socket.h"
#include "util/error.h"

enum chardev_kind { CHARDEV_NULL, CHARDEV_STDIO, CHARDEV_FILE, CHARDEV_PTY, CHARDEV_SOCKET };

#define CHARDEV_QUEUE	4096u

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
	bool tty, escaped;		/* escaped: the last key was Ctrl-A */
	size_t head, tail;		/* of the queue towards the guest */
	uint8_t queue[CHARDEV_QUEUE];
};

/* 0 or -errno with err set. wait: chardev_put() waits for room instead of taking less. */
int chardev_open(struct chardev *c, enum chardev_kind kind, const char *path, struct host_io *io, bool wait,
    const struct chardev_ops *ops, struct error *err);
/* The same for CHARDEV_SOCKET. */
int chardev_open_socket(struct chardev *c, const struct socket_spec *spec, struct host_io *io, bool wait,
    const struct chardev_ops *ops, struct error *err);
/* What is put goes to this file, too. 0 or -errno with err set. */
int chardev_log(struct chardev *c, const char *path, struct error *err);
void chardev_close(struct chardev *c, ns_t limit_ns);	/* writes out what is left, for limit_ns at most */

size_t chardev_put(struct chardev *c, const uint8_t *buf, size_t len);	/* how many bytes were taken */
void chardev_input_ready(struct chardev *c);
void chardev_raw(struct chardev *c);		/* the terminal into raw mode (again) */

#endif
