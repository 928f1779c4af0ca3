/*
 * What gdb asks for, packet by packet.			[Debugging with GDB, "Remote Protocol: Packets"]
 *
 * An empty answer says that a packet is not known, which is how gdb learns what there is. Addresses are
 * linear, and go through the guest's page tables without setting A or D; after Qqemu.PhyMemMode:1 they
 * are guest-physical, as QEMU's users know it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gdb/gdb.h"
#include "gdb/registers.h"
#include "mmu/mmu.h"
#include "mmu/phys.h"
#include "vm.h"

#define BAD_ADDRESS	"E14"		/* EFAULT, as every stub has it */
#define BAD_REQUEST	"E22"		/* EINVAL */
#define NO_ROOM		"E28"		/* ENOSPC */

struct reply {
	char text[GDB_PACKET];
	size_t len;
};

static void say(struct gdb *gdb, const char *text)
{
	gdb_send(gdb, text, strlen(text));
}

static void put_hex(struct reply *r, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n && r->len + 2 <= sizeof(r->text); i++) {
		r->text[r->len++] = "0123456789abcdef"[p[i] >> 4];
		r->text[r->len++] = "0123456789abcdef"[p[i] & 15];
	}
}

/* Up to max bytes of hexadecimal text; how many. */
static size_t get_hex(const char *text, uint8_t *bytes, size_t max)
{
	size_t n = 0;

	while (n < max && gdb_digit(text[2 * n]) >= 0 && gdb_digit(text[2 * n + 1]) >= 0) {
		bytes[n] = (uint8_t)(gdb_digit(text[2 * n]) << 4 | gdb_digit(text[2 * n + 1]));
		n++;
	}
	return n;
}

/* "ADDRESS,LENGTH" and what must follow. */
static bool address_length(const char *text, uint64_t *at, uint64_t *len, const char **rest)
{
	char *end;

	*at = strtoull(text, &end, 16);
	if (end == text || *end != ',')
		return false;
	text = end + 1;
	*len = strtoull(text, &end, 16);
	*rest = end;
	return end != text;
}

/* --- registers --- */

static void read_registers(struct gdb *gdb)
{
	struct reply r = { .len = 0 };
	uint8_t buf[REGISTER_MAX_BYTES];

	for (unsigned i = 0; i < registers_count(); i++) {
		register_read(&gdb->vm->cpu, i, buf);
		put_hex(&r, buf, register_bytes(i));
	}
	gdb_send(gdb, r.text, r.len);
}

static void write_registers(struct gdb *gdb, const char *text)
{
	uint8_t buf[REGISTER_MAX_BYTES], now[REGISTER_MAX_BYTES];
	bool ok = true;

	for (unsigned i = 0; i < registers_count() && *text; i++) {
		unsigned n = register_bytes(i);

		memset(buf, 0, sizeof(buf));
		if (get_hex(text, buf, n) != n) {
			say(gdb, BAD_REQUEST);
			return;
		}
		text += 2 * n;
		register_read(&gdb->vm->cpu, i, now);
		if (memcmp(buf, now, n) != 0)
			ok &= register_write(&gdb->vm->cpu, i, buf);
	}
	say(gdb, ok ? "OK" : BAD_ADDRESS);
}

static void read_register(struct gdb *gdb, const char *text)
{
	unsigned n = (unsigned)strtoul(text, NULL, 16);
	struct reply r = { .len = 0 };
	uint8_t buf[REGISTER_MAX_BYTES];

	if (register_bytes(n) == 0) {
		say(gdb, BAD_REQUEST);
		return;
	}
	register_read(&gdb->vm->cpu, n, buf);
	put_hex(&r, buf, register_bytes(n));
	gdb_send(gdb, r.text, r.len);
}

static void write_register(struct gdb *gdb, const char *text)
{
	char *end;
	unsigned n = (unsigned)strtoul(text, &end, 16);
	uint8_t buf[REGISTER_MAX_BYTES] = { 0 };

	if (register_bytes(n) == 0 || *end != '=' || get_hex(end + 1, buf, register_bytes(n)) != register_bytes(n))
		say(gdb, BAD_REQUEST);
	else
		say(gdb, register_write(&gdb->vm->cpu, n, buf) ? "OK" : BAD_ADDRESS);
}

/* --- memory --- */

/* RAM or ROM at an address of the debugger's; a device is not asked: reading it could change it. */
static uint8_t *host_of(struct gdb *gdb, uint64_t at, gpa_t *gpa)
{
	struct vcpu *cpu = &gdb->vm->cpu;

	*gpa = at;
	if (!gdb->physical && !mmu_translate(cpu, (lin_t)at, gpa))
		return NULL;
	return phys_host(cpu->phys, *gpa, false);
}

static void read_memory(struct gdb *gdb, const char *text)
{
	struct reply r = { .len = 0 };
	uint64_t at, len;
	const char *rest;

	if (!address_length(text, &at, &len, &rest)) {
		say(gdb, BAD_REQUEST);
		return;
	}
	len = MIN(len, (uint64_t)(sizeof(r.text) / 2));
	while (len > 0) {
		uint64_t n = MIN(len, PAGE_BYTES - (at & PAGE_MASK));
		gpa_t gpa;
		const uint8_t *host = host_of(gdb, at, &gpa);

		if (host == NULL)
			break;			/* what there is up to here */
		put_hex(&r, host, n);
		at += n;
		len -= n;
	}
	if (r.len == 0 && len > 0)
		say(gdb, BAD_ADDRESS);
	else
		gdb_send(gdb, r.text, r.len);
}

/* All or nothing. ROM is written too: the debugger is not the guest. */
static bool store(struct gdb *gdb, uint64_t at, const uint8_t *bytes, size_t len)
{
	struct phys *phys = gdb->vm->cpu.phys;
	gpa_t gpa;

	for (uint64_t i = 0; i < len; i += PAGE_BYTES - ((at + i) & PAGE_MASK))
		if (host_of(gdb, at + i, &gpa) == NULL)
			return false;
	while (len > 0) {
		size_t n = MIN(len, PAGE_BYTES - (at & PAGE_MASK));
		uint8_t *host = host_of(gdb, at, &gpa);

		if (phys_host(phys, gpa, true)) {
			phys_write(phys, gpa, bytes, n);	/* drops what was scanned from there */
		} else {
			memcpy(host, bytes, n);
			phys->code_written(phys->arg, (uint64_t)(host - phys->ram), (unsigned)n);
		}
		at += n;
		bytes += n;
		len -= n;
	}
	return true;
}

static void write_memory(struct gdb *gdb, const char *text, const char *end, bool binary)
{
	static const char escape = '}';
	uint8_t bytes[GDB_PACKET];
	uint64_t at, len;
	size_t n = 0;

	if (!address_length(text, &at, &len, &text) || *text++ != ':' || len > sizeof(bytes)) {
		say(gdb, BAD_REQUEST);
		return;
	}
	if (!binary) {
		n = get_hex(text, bytes, len);
	} else {
		for (; text < end && n < len; text++)
			bytes[n++] = *text == escape && text + 1 < end ? (uint8_t)(*++text ^ 0x20) : (uint8_t)*text;
	}
	if (n != len)
		say(gdb, BAD_REQUEST);
	else
		say(gdb, store(gdb, at, bytes, n) ? "OK" : BAD_ADDRESS);
}

/* --- breakpoints and watchpoints --- */

/* The engines' table from ours: when the machine is let go, since gdb takes all away at each stop. */
static bool put_in(struct gdb *gdb)
{
	lin_t brk[STOPS_BREAKS];
	struct watch watch[STOPS_WATCHES];
	unsigned nbrk = 0, nwatch = 0;

	for (unsigned i = 0; i < gdb->npoints; i++) {
		const struct gdb_point *p = &gdb->point[i];

		if (p->type <= 1)
			brk[nbrk++] = p->first;
		else
			watch[nwatch++] = (struct watch){ p->first, p->first + p->len - 1,
			    p->type == 2 ? WATCH_WRITE : p->type == 3 ? WATCH_READ : WATCH_READ | WATCH_WRITE };
	}
	return vm_debug_points(gdb->vm, brk, nbrk, watch, nwatch) == 0;
}

void gdb_forget(struct gdb *gdb)
{
	gdb->npoints = 0;
	vm_debug_points(gdb->vm, NULL, 0, NULL, 0);
}

static unsigned count_points(const struct gdb *gdb, bool watch)
{
	unsigned n = 0;

	for (unsigned i = 0; i < gdb->npoints; i++)
		n += (gdb->point[i].type > 1) == watch;
	return n;
}

/* "TYPE,ADDRESS,LENGTH" */
static void set_point(struct gdb *gdb, const char *text, bool insert)
{
	uint64_t at, len;
	const char *rest;
	unsigned type = (unsigned)(text[0] - '0'), i = 0;

	if (type > 4) {
		say(gdb, "");
		return;
	}
	if (text[1] != ',' || !address_length(text + 2, &at, &len, &rest) || (type > 1 && (len == 0 || len > PAGE_BYTES))) {
		say(gdb, BAD_REQUEST);
		return;
	}
	struct gdb_point p = { .type = type, .first = (lin_t)at, .len = (unsigned)len };
	while (i < gdb->npoints && !(gdb->point[i].type == type && gdb->point[i].first == p.first &&
	    (type <= 1 || gdb->point[i].len == p.len)))
		i++;
	if (insert && i == gdb->npoints) {	/* once is enough, says the protocol */
		if (count_points(gdb, type > 1) == (type > 1 ? STOPS_WATCHES : STOPS_BREAKS)) {
			say(gdb, NO_ROOM);
			return;
		}
		gdb->point[gdb->npoints++] = p;
	} else if (!insert && i < gdb->npoints) {
		gdb->point[i] = gdb->point[--gdb->npoints];
	}
	say(gdb, "OK");
}

/* --- running --- */

void gdb_send_stop(struct gdb *gdb)
{
	char text[96];
	int n = snprintf(text, sizeof(text), "T%02xthread:01;", gdb->why == GDB_INTERRUPT ? 2u : 5u);

	if (gdb->why == GDB_WATCH) {
		const char *kind = gdb->why_watch.kind == WATCH_WRITE ? "watch" : gdb->why_watch.kind == WATCH_READ ? "rwatch" : "awatch";

		/* the first byte that is both touched and watched */
		snprintf(text + n, sizeof(text) - (size_t)n, "%s:%x;", kind, MAX(gdb->why_lin, gdb->why_watch.first));
	} else if (gdb->why == GDB_HARD_BREAK && gdb->hwbreak) {
		snprintf(text + n, sizeof(text) - (size_t)n, "hwbreak:;");
	} else if (gdb->why == GDB_BREAK && gdb->swbreak) {
		snprintf(text + n, sizeof(text) - (size_t)n, "swbreak:;");
	}
	say(gdb, text);
}

static void go_on(struct gdb *gdb)
{
	if (!put_in(gdb)) {
		say(gdb, NO_ROOM);
		return;
	}
	gdb->running = gdb->goes_on = true;
	vm_resume(gdb->vm);
}

static void step(struct gdb *gdb)
{
	struct vcpu *cpu = &gdb->vm->cpu;

	if (!put_in(gdb)) {
		say(gdb, NO_ROOM);
		return;
	}
	gdb->goes_on = true;
	gdb->why = vm_debug_step(gdb->vm, gdb->sstep) ? GDB_WATCH : GDB_STEP;
	if (gdb->why == GDB_WATCH) {
		gdb->why_watch = cpu->stops->hit_watch;
		gdb->why_lin = cpu->stops->hit_lin;
	}
	if (gdb->vm->stop_reason == STOP_NONE)	/* else gdb_close() has the last word */
		gdb_send_stop(gdb);
	else
		gdb->running = true;
}

/* "vCont;ACTION[:THREAD]...": one processor, so the first action is the one that counts. */
static void vcont(struct gdb *gdb, const char *action)
{
	switch (*action) {
	case 'c': case 'C':
		go_on(gdb);
		break;
	case 's': case 'S':
		step(gdb);
		break;
	default:
		say(gdb, BAD_REQUEST);
	}
}

/* "c[ADDRESS]", "CSIGNAL[;ADDRESS]" and the same with s. A signal means nothing to a machine. */
static void resume(struct gdb *gdb, const char *text)
{
	const char *at = text[0] == 'C' || text[0] == 'S' ? strchr(text, ';') : text;

	if (at && at[1]) {
		struct vcpu *cpu = &gdb->vm->cpu;

		cpu->eip = (uint32_t)strtoull(at + 1, NULL, 16) - cpu->seg[SEG_CS].base;
		cpu->halted = false;
	}
	if (text[0] == 'c' || text[0] == 'C')
		go_on(gdb);
	else
		step(gdb);
}

static void kill_machine(struct gdb *gdb)
{
	vm_quit(gdb->vm, "host-qmp-quit", "ended by the debugger");
}

static void detach(struct gdb *gdb)
{
	say(gdb, "OK");
	gdb->goes_on = true;
	gdb->closing = true;
}

/* --- queries --- */

/* "qXfer:features:read:ANNEX:OFFSET,LENGTH" */
static void features(struct gdb *gdb, const char *annex)
{
	struct reply r = { .text = "l", .len = 1 };
	const char *colon = strchr(annex, ':'), *rest;
	uint64_t at, len;

	if (colon == NULL || strncmp(annex, "target.xml:", 11) != 0 || !address_length(colon + 1, &at, &len, &rest)) {
		say(gdb, "E00");
		return;
	}
	if (gdb->xml == NULL || at == 0) {
		free(gdb->xml);
		gdb->xml = registers_description(&gdb->vm->cpu);
	}
	size_t all = gdb->xml ? strlen(gdb->xml) : 0;
	at = MIN(at, (uint64_t)all);
	len = MIN(len, (uint64_t)(sizeof(r.text) - 1));
	if (len < all - at)
		r.text[0] = 'm';
	len = MIN(len, (uint64_t)(all - at));
	if (len)
		memcpy(r.text + 1, gdb->xml + at, len);	/* nothing in it needs an escape */
	gdb_send(gdb, r.text, 1 + len);
}

/* "qRcmd,HEX": a command of the monitor. What it says comes in O packets. */
static void monitor(struct gdb *gdb, const char *hex)
{
	char line[1024];
	size_t said_len = 0, n = get_hex(hex, (uint8_t *)line, sizeof(line) - 1), kept = 0;

	line[n] = '\0';
	char *said = monitor_said(&gdb->vm->control, line, &said_len);
	if (said == NULL) {
		say(gdb, NO_ROOM);
		return;
	}
	for (size_t i = 0; i < said_len; i++)		/* a terminal's line ends are not wanted here */
		if (said[i] != '\r')
			said[kept++] = said[i];
	for (size_t at = 0; at < kept; at += 1024) {
		struct reply r = { .text = "O", .len = 1 };

		put_hex(&r, said + at, MIN(kept - at, (size_t)1024));
		gdb_send(gdb, r.text, r.len);
	}
	free(said);
	vm_debug_settle(gdb->vm);		/* a reset has happened when the answer comes */
	say(gdb, "OK");
}

static void supported(struct gdb *gdb, const char *theirs)
{
	char text[160];

	gdb->swbreak = strstr(theirs, "swbreak+") != NULL;
	gdb->hwbreak = strstr(theirs, "hwbreak+") != NULL;
	snprintf(text, sizeof(text), "PacketSize=%x;qXfer:features:read+;QStartNoAckMode+;vContSupported+;swbreak+;hwbreak+",
	    GDB_PACKET - 16);
	say(gdb, text);
}

static void show_number(struct gdb *gdb, unsigned n)
{
	char text[16];

	snprintf(text, sizeof(text), "%x", n);
	say(gdb, text);
}

static void query(struct gdb *gdb, const char *text)
{
	struct reply r = { .len = 0 };

	if (strncmp(text, "qSupported", 10) == 0) {
		supported(gdb, text);
	} else if (strncmp(text, "qXfer:features:read:", 20) == 0) {
		features(gdb, text + 20);
	} else if (strncmp(text, "qRcmd,", 6) == 0) {
		monitor(gdb, text + 6);
	} else if (strcmp(text, "qC") == 0) {
		say(gdb, "QC01");
	} else if (strcmp(text, "qfThreadInfo") == 0) {
		say(gdb, "m01");
	} else if (strcmp(text, "qsThreadInfo") == 0) {
		say(gdb, "l");
	} else if (strncmp(text, "qThreadExtraInfo", 16) == 0) {
		const char *what = gdb->vm->cpu.halted ? "CPU 0 [halted]" : "CPU 0";
		put_hex(&r, what, strlen(what));
		gdb_send(gdb, r.text, r.len);
	} else if (strncmp(text, "qAttached", 9) == 0) {
		say(gdb, "1");			/* so that quitting gdb does not end the machine */
	} else if (strcmp(text, "qqemu.sstepbits") == 0) {
		say(gdb, "ENABLE=1,NOIRQ=2,NOTIMER=4");
	} else if (strcmp(text, "qqemu.sstep") == 0) {
		show_number(gdb, gdb->sstep);
	} else if (strcmp(text, "qqemu.PhyMemMode") == 0) {
		show_number(gdb, gdb->physical);
	} else {
		say(gdb, "");
	}
}

static void set(struct gdb *gdb, const char *text)
{
	if (strcmp(text, "QStartNoAckMode") == 0) {
		gdb->no_ack = true;
		say(gdb, "OK");
	} else if (strncmp(text, "Qqemu.sstep:", 12) == 0 || strncmp(text, "Qqemu.sstep=", 12) == 0) {
		gdb->sstep = (unsigned)strtoul(text + 12, NULL, 16) & 7;
		say(gdb, "OK");
	} else if (strncmp(text, "Qqemu.PhyMemMode:", 17) == 0) {
		gdb->physical = text[17] != '0';
		say(gdb, "OK");
	} else {
		say(gdb, "");
	}
}

static void verbose(struct gdb *gdb, const char *text)
{
	if (strcmp(text, "vCont?") == 0)
		say(gdb, "vCont;c;C;s;S");
	else if (strncmp(text, "vCont;", 6) == 0)
		vcont(gdb, text + 6);
	else if (strncmp(text, "vKill", 5) == 0) {
		say(gdb, "OK");
		kill_machine(gdb);
	} else
		say(gdb, "");
}

void gdb_command(struct gdb *gdb, char *text, size_t len)
{
	if (!gdb->vm->paused) {		/* somebody else let the machine go on */
		gdb->running = false;
		vm_pause(gdb->vm);
	}
	switch (text[0]) {
	case '?': gdb_send_stop(gdb); break;
	case '!': say(gdb, "OK"); break;
	case 'g': read_registers(gdb); break;
	case 'G': write_registers(gdb, text + 1); break;
	case 'p': read_register(gdb, text + 1); break;
	case 'P': write_register(gdb, text + 1); break;
	case 'm': read_memory(gdb, text + 1); break;
	case 'M': write_memory(gdb, text + 1, text + len, false); break;
	case 'X': write_memory(gdb, text + 1, text + len, true); break;
	case 'Z': set_point(gdb, text + 1, true); break;
	case 'z': set_point(gdb, text + 1, false); break;
	case 'c': case 'C': case 's': case 'S': resume(gdb, text); break;
	case 'v': verbose(gdb, text); break;
	case 'q': query(gdb, text); break;
	case 'Q': set(gdb, text); break;
	case 'H': case 'T': say(gdb, "OK"); break;
	case 'D': detach(gdb); break;
	case 'k': kill_machine(gdb); break;
	case 'R':				/* no answer; the next packet finds the machine reset */
		vm_request_reset(gdb->vm);
		vm_debug_settle(gdb->vm);
		break;
	default: say(gdb, "");
	}
}
