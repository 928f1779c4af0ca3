/*
 * A debugger at the machine: gdb's remote serial protocol.	[Debugging with GDB, "Remote Protocol"]
 *
 * Everything runs on the vCPU's thread, and while gdb looks at the machine it is paused: no time passes
 * for it. Breakpoints plant nothing in the guest's memory (cpu/stops.h). A single step is carried out
 * where the command is read, by the emulator, one instruction or one element of a REP instruction.
 */
#ifndef PLEX86_GDB_GDB_H
#define PLEX86_GDB_GDB_H

#include "control/outbox.h"
#include "cpu/stops.h"
#include "host/io.h"
#include "host/socket.h"
#include "util/error.h"

struct vm;

#define GDB_PACKET	0x4000u		/* bytes of a packet, in either direction */
#define GDB_OUTPUT_MAX	(1u << 20)	/* a debugger that does not read is dropped */

struct gdb_config {
	bool on, stdio;
	struct socket_spec socket;
};

enum gdb_stop { GDB_NONE, GDB_INTERRUPT, GDB_STEP, GDB_BREAK, GDB_HARD_BREAK, GDB_WATCH };

/* How a single step treats what comes from outside; the bits are those of qqemu.sstep. */
enum { GDB_SSTEP_ENABLE = BIT(0), GDB_SSTEP_NOIRQ = BIT(1), GDB_SSTEP_NOTIMER = BIT(2) };

struct gdb_point {
	unsigned type;			/* 0 software, 1 hardware breakpoint, 2 write, 3 read, 4 access */
	lin_t first;
	unsigned len;
};
#define GDB_POINTS (STOPS_BREAKS + STOPS_WATCHES)

struct gdb {
	struct vm *vm;
	struct host_io *io;
	struct socket_spec spec;
	int listen_fd;			/* -1: none */
	struct host_watch *listener;
	/* the debugger, if there is one */
	int in_fd, out_fd;		/* -1: there is none */
	struct host_watch *watch;
	bool running;			/* it let the machine go, and waits to be told of a stop */
	bool goes_on;			/* the machine would run were it not for the debugger */
	bool no_ack, swbreak, hwbreak, physical, closing, in_command;
	unsigned sstep;
	enum gdb_stop why;		/* the last stop */
	struct watch why_watch;
	lin_t why_lin;
	struct gdb_point point[GDB_POINTS];
	unsigned npoints;
	char *xml;
	char in[2 * GDB_PACKET];
	size_t in_len;
	struct outbox out;
	char last[GDB_PACKET + 8];	/* the last packet, framed: to be sent again */
	size_t last_len;
	bool open;
};

void gdb_init(struct gdb *gdb, struct vm *vm, struct host_io *io);
/* Listen (or, with stdio, talk at once). What was open before is closed. 0 or -errno with err set. */
int gdb_open(struct gdb *gdb, const struct gdb_config *cfg, struct error *err);
void gdb_close(struct gdb *gdb, int exit_status);	/* exit_status < 0: the machine goes on without */
/* "tcp:[HOST]:PORT", "unix:PATH", "stdio" or "none". 0 or -EINVAL with err set. */
int gdb_parse(struct gdb_config *cfg, const char *text, struct error *err);

/* The machine came to a breakpoint or watchpoint, or was paused by somebody else: pauses it, and tells. */
void gdb_stopped(struct gdb *gdb, enum gdb_stop why);

/* --- between the files --- */

/* packet.c: frames. */
int gdb_digit(char c);					/* of hexadecimal; -1: it is none */
void gdb_send(struct gdb *gdb, const char *data, size_t len);
void gdb_input(struct gdb *gdb);			/* what is in gdb->in */
/* commands.c: one packet's content, NUL-terminated behind len. */
void gdb_command(struct gdb *gdb, char *text, size_t len);
void gdb_send_stop(struct gdb *gdb);
void gdb_forget(struct gdb *gdb);			/* its breakpoints */

#endif
