/*
 * The control sockets: other programs see and steer the machine, in QMP's JSON or by the commands
 * people type at QEMU's monitor. Everything here runs on the vCPU's thread.
 */
#ifndef PLEX86_CONTROL_CONTROL_H
#define PLEX86_CONTROL_CONTROL_H

#include <jansson.h>
#include <stdio.h>

#include "control/outbox.h"
#include "dev/keys.h"
#include "host/io.h"
#include "host/socket.h"
#include "host/telnet.h"
#include "util/error.h"

struct vm;

#define CONTROL_LISTENERS	8
#define CONTROL_CLIENTS		16
#define CONTROL_LINE_MAX	(1u << 20)	/* longer commands end the connection */
#define CONTROL_OUTPUT_MAX	(8u << 20)	/* a client that does not read is dropped */
#define CONTROL_KEYS		1024

enum control_mode { CONTROL_QMP, CONTROL_MONITOR };

struct control_config {
	unsigned n;
	struct control_listen {
		enum control_mode mode;
		bool stdio;			/* the terminal instead of a socket */
		struct socket_spec socket;
	} listen[CONTROL_LISTENERS];
	const char *name;			/* -name; NULL: none */
	const char *pidfile;
};

struct control;

struct control_client {
	struct control *control;
	enum control_mode mode;
	int in_fd, out_fd;			/* in_fd -1: free */
	struct host_watch *watch;
	bool is_telnet;
	struct telnet telnet;
	bool ready;				/* QMP: qmp_capabilities was given */
	bool closing;
	char *in;
	size_t in_len, in_room;
	struct outbox out;
};

struct control_listener {
	struct control *control;
	const struct control_listen *cfg;
	int fd;
	struct host_watch *watch;
};

struct control_key {			/* to be sent in order */
	enum key key;
	bool down;
	unsigned wait_ms;			/* after it */
};

struct control {
	struct vm *vm;
	struct host_io *io;
	const struct control_config *cfg;
	struct control_listener listener[CONTROL_LISTENERS];
	struct control_client client[CONTROL_CLIENTS];
	struct control_key key[CONTROL_KEYS];
	unsigned key_head, key_tail;
	int key_timer;				/* timerfd */
	struct host_watch *key_watch;
	bool keys_running;
	unsigned mouse_buttons;
	int passed_fd;				/* came with the command that is carried out; -1: none */
	bool open;
};

int control_open(struct control *c, const struct control_config *cfg, struct vm *vm, struct host_io *io, struct error *err);
/* A monitor for somebody in this process: his end of a socket pair, or -errno. */
int control_add_local(struct control *c);
void control_close(struct control *c);		/* what was said is written out, files taken away */

/* Tell every QMP client. data may be NULL; it is taken over. */
void control_event(struct control *c, const char *name, json_t *data);

/* One QMP command: the answer's "return" value, or NULL with err set. (qmp.c) */
json_t *qmp_execute(struct control *c, const char *name, json_t *args, struct error *err);
/* One line of the monitor; what it says goes to out. (monitor.c) */
void monitor_execute(struct control *c, const char *line, FILE *out);
/* The same; what it says is returned, for the caller to free. NULL: no memory. */
char *monitor_said(struct control *c, const char *line, size_t *len);

/* Press these keys together, release them after hold_ms. -EINVAL: too many. */
int control_send_keys(struct control *c, const enum key *keys, unsigned n, unsigned hold_ms);
/* "ctrl-alt-delete" -> keys; number of keys, or -EINVAL with err set. */
int control_parse_keys(const char *text, enum key *keys, unsigned max, struct error *err);

/* Where the sockets of named machines are; made if need be. 0 or -errno with err set. */
int control_directory(char *path, size_t room, struct error *err);

#endif
