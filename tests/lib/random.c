/*
 * Any sequence of calls with any arguments: the library answers with a result it documents and the process lives.
 *
 *	random [calls [seed]]
 *
 * Callbacks call back in the same way. Guests are random bytes, biased to what does something.
 */
#include <plex86.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MACHINES = 3, BUFFER = 0x4000 };

static struct {
	plex86 *m;
	plex86_snapshot *snapshot;
	void *buffer;
	bool buffer_mapped;
	uint64_t buffer_at;
	bool running;
} slot[MACHINES];

static uint64_t state;		/* C leaves it open which operand or argument comes first: whoever draws twice, draws in two statements */
static unsigned depth;
static unsigned long calls, reasons[16];

static uint32_t rnd(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 20) % below;
}

static uint32_t value(void)
{
	static const uint32_t often[] = { 0, 1, 0x1000, 0x2000, 0xFFFFF000, 0xFFFFFFFF, 0x80000000, 0x80000011, 0x33, 0x1F80 };

	uint32_t high;

	switch (rnd(3)) {
	case 0: return often[rnd(sizeof(often) / sizeof(often[0]))];
	case 1: return rnd(0x8000);
	default:
		high = rnd(1u << 30) << 2;
		return high | rnd(4);
	}
}

static uint64_t place(void)
{
	uint64_t at;

	if (rnd(8))
		return (uint64_t)rnd(24) << 12;
	at = value();
	return at << rnd(3);
}

static void must(bool ok, const char *what, long n)
{
	if (ok)
		return;
	fprintf(stderr, "random: call %lu: %s: %ld\n", calls, what, n);
	exit(1);
}

static void result(plex86 *m, const char *what, int r)
{
	must(r >= PLEX86_E_BUSY && r <= PLEX86_STOP_INTERNAL + 20, what, r);
	must(r >= 0 || plex86_error_message(m)[0], what, r);
}

static void something(unsigned i);

static int action(plex86 *m)
{
	unsigned i = 0;

	while (i < MACHINES && slot[i].m != m)
		i++;
	if (depth < 2 && i < MACHINES) {
		depth++;
		for (unsigned n = rnd(3); n > 0; n--)
			something(i);
		depth--;
	}
	return (int)rnd(3);
}

static int port_read(void *arg, plex86 *m, uint32_t port, uint32_t size, uint32_t *v) { *v = value(); return action(m); }
static int port_write(void *arg, plex86 *m, uint32_t port, uint32_t size, uint32_t v) { return action(m); }
static int mmio_read(void *arg, plex86 *m, uint64_t gpa, uint32_t size, uint32_t *v) { *v = value(); return action(m); }
static int mmio_write(void *arg, plex86 *m, uint64_t gpa, uint32_t size, uint32_t v) { return action(m); }
static int instruction(void *arg, plex86 *m, const struct plex86_instruction *insn) { return action(m); }
static int exception(void *arg, plex86 *m, const struct plex86_exception *e) { return action(m); }

static void code(uint8_t *to, size_t n)
{
	static const uint8_t likely[] = { 0x90, 0x40, 0x89, 0x8B, 0x01, 0xE6, 0xE4, 0xCD, 0xCC, 0xF4, 0xEB, 0x74, 0x50, 0x58, 0xE8, 0xC3,
		0x0F, 0xA2, 0xF3, 0xA4, 0xAA, 0xFB, 0xFA, 0x9D, 0x9C, 0xD9, 0xE8, 0xF7, 0x66, 0x67, 0xCF };

	for (size_t i = 0; i < n; i++)
		to[i] = rnd(3) ? likely[rnd(sizeof(likely))] : (uint8_t)rnd(256);
}

static void create(unsigned i)
{
	struct plex86_config config = PLEX86_SIZED(plex86_config);
	uint8_t program[256];
	char why[100];

	config.engine = rnd(2);
	config.flags = rnd(4);
	config.memory_bytes = 1 << 20;
	config.code_cache_bytes = 1 << 20;
	must(plex86_create(&slot[i].m, &config, why, sizeof(why)) == 0, why, 0);
	plex86_map(slot[i].m, 0, 0x8000, 0, NULL);
	code(program, sizeof(program));
	plex86_write(slot[i].m, 0x1000, program, sizeof(program));
	plex86_set(slot[i].m, PLEX86_EIP, 0x1000);
	plex86_set(slot[i].m, PLEX86_ESP, 0x8000);
}

static void destroy(unsigned i)
{
	if (slot[i].running)
		return;
	plex86_destroy(slot[i].m);
	slot[i].buffer_mapped = false;
	create(i);
}

static void memory(unsigned i)
{
	plex86 *m = slot[i].m;
	uint8_t bytes[300];
	uint64_t at = place(), gpa, len;
	bool reads;
	size_t n = rnd(sizeof(bytes));

	code(bytes, sizeof(bytes));
	switch (rnd(10)) {
	case 0:
		len = (uint64_t)rnd(6) << 12;
		result(m, "map", plex86_map(m, at, len, rnd(3), NULL));
		break;
	case 1: result(m, "unmap", plex86_unmap(m, at, (uint64_t)rnd(6) << 12)); break;
	case 2:
		reads = rnd(4);
		result(m, "map_mmio", plex86_map_mmio(m, at, 0x1000, reads ? mmio_read : NULL, rnd(4) ? mmio_write : NULL, NULL));
		break;
	case 3: result(m, "read", plex86_read(m, at + rnd(4096), bytes, n)); break;
	case 4: result(m, "write", plex86_write(m, at + rnd(4096), bytes, n)); break;
	case 5: result(m, "read_linear", plex86_read_linear(m, value(), bytes, n)); break;
	case 6: result(m, "write_linear", plex86_write_linear(m, value(), bytes, n)); break;
	case 7: result(m, "translate", plex86_translate(m, value(), &gpa)); break;
	case 8: {
		uint8_t *p = plex86_memory(m, at, n);
		if (p) {
			memcpy(p, bytes, n);
			result(m, "memory_changed", plex86_memory_changed(m, at, n));
		}
		break;
	}
	case 9:
		if (!slot[i].buffer_mapped && plex86_map(m, at, BUFFER, rnd(2), slot[i].buffer) == 0) {
			slot[i].buffer_mapped = true;
			slot[i].buffer_at = at;
		} else if (slot[i].buffer_mapped && plex86_unmap(m, slot[i].buffer_at, BUFFER) == 0) {
			slot[i].buffer_mapped = false;
			memcpy(slot[i].buffer, bytes, sizeof(bytes));
		}
		break;
	}
}

static void registers(unsigned i)
{
	plex86 *m = slot[i].m;
	struct plex86_segment s;
	uint8_t fx[512];
	uint64_t v;
	uint32_t r, which;

	switch (rnd(8)) {
	case 0: result(m, "get", plex86_get(m, (int)rnd(40), &r)); break;
	case 1:
		which = rnd(rnd(2) ? 10 : 40);
		result(m, "set", plex86_set(m, (int)which, value()));
		break;
	case 2: result(m, "get_segment", plex86_get_segment(m, (int)rnd(12), &s)); break;
	case 3:
		if (plex86_get_segment(m, (int)rnd(10), &s) == 0) {
			s.limit = rnd(2) ? s.limit : value();
			s.base = rnd(2) ? s.base : value();
			s.attributes = rnd(3) ? s.attributes : (uint16_t)value();
			result(m, "set_segment", plex86_set_segment(m, (int)rnd(12), &s));
		}
		break;
	case 4: result(m, "get_msr", plex86_get_msr(m, rnd(0x300), &v)); break;
	case 5:
		which = rnd(0x300);
		result(m, "set_msr", plex86_set_msr(m, which, value()));
		break;
	case 6:
		plex86_get_fpu(m, fx);
		which = rnd(512);
		fx[which] = (uint8_t)rnd(256);
		result(m, "set_fpu", plex86_set_fpu(m, fx));
		break;
	case 7: result(m, "set_mode", plex86_set_mode(m, (int)rnd(4))); break;
	}
}

static void watch(unsigned i)
{
	static const char *const mnemonic[] = { "mov", "int", "cpuid", "in", "out", "hlt", "(bad)", "nop", "j", "push", "movs", "nothing" };
	plex86 *m = slot[i].m;
	char text[30];
	uint32_t at = value(), last = 0xFFFF + rnd(2);
	bool reads = rnd(2);
	const char *name = rnd(8) ? mnemonic[rnd(12)] : NULL;
	int vector = (int)rnd(36) - 2;

	switch (rnd(6)) {
	case 0: result(m, "on_port", plex86_on_port(m, at & 0xFFFF, last, reads ? port_read : NULL, rnd(2) ? port_write : NULL, NULL)); break;
	case 1: result(m, "on_instruction", plex86_on_instruction(m, name, rnd(2) ? instruction : NULL, NULL)); break;
	case 2: result(m, "on_exception", plex86_on_exception(m, vector, rnd(2) ? exception : NULL, NULL)); break;
	case 3: result(m, "add_breakpoint", plex86_add_breakpoint(m, 0x1000 + rnd(64))); break;
	case 4: result(m, "remove_breakpoint", plex86_remove_breakpoint(m, 0x1000 + rnd(64))); break;
	case 5: result(m, "disassemble", plex86_disassemble(m, at, text, rnd(30))); break;
	}
}

static void snapshots(unsigned i)
{
	struct plex86_meters meters = PLEX86_SIZED(plex86_meters);
	unsigned other = rnd(MACHINES);

	if (rnd(3) == 0) {
		plex86_snapshot *s;
		int r = plex86_snapshot_take(slot[i].m, &s);
		result(slot[i].m, "snapshot_take", r);
		if (r == 0) {
			plex86_snapshot_free(slot[i].snapshot);
			slot[i].snapshot = s;
		}
	} else if (slot[other].snapshot) {
		result(slot[i].m, "snapshot_restore", plex86_snapshot_restore(slot[i].m, slot[other].snapshot));
	}
	result(slot[i].m, "get_meters", plex86_get_meters(slot[i].m, &meters));
}

static void run(unsigned i)
{
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	bool was = slot[i].running;

	uint32_t limit = rnd(2) ? 1 + rnd(rnd(2) ? 300 : 30000) : 0;	/* the longer ones through scanned code */

	slot[i].running = true;
	int r = plex86_run(slot[i].m, limit, 200000, &stop);
	slot[i].running = was;
	result(slot[i].m, "run", r);
	must(r != PLEX86_STOP_INTERNAL, stop.text, r);
	must(r < 0 || stop.text[0], "a stop without a text", r);
	must(r < 0 || limit == 0 || stop.instructions <= limit, "more instructions than the limit", (long)stop.instructions);
	must(r != PLEX86_STOP_LIMIT || stop.instructions == limit, "the limit, but not as many instructions", (long)stop.instructions);
	if (r >= 0)
		reasons[r]++;
}

/* The frame may be pushed into a device: callbacks come. */
static void raise_one(unsigned i)
{
	bool was = slot[i].running;
	uint32_t vector = rnd(34);

	slot[i].running = true;
	result(slot[i].m, "raise", plex86_raise(slot[i].m, vector, value()));
	slot[i].running = was;
}

static void something(unsigned i)
{
	plex86 *m = slot[i].m;

	calls++;
	switch (rnd(12)) {
	case 0: memory(i); break;
	case 1: registers(i); break;
	case 2: watch(i); break;
	case 3: snapshots(i); break;
	case 4: result(m, "interrupt", plex86_interrupt(m, rnd(257))); break;
	case 5: raise_one(i); break;
	case 6: result(m, "nmi", plex86_nmi(m)); break;
	case 7:
		if (rnd(4) == 0)
			plex86_kick(m);
		break;
	case 8:
		if (rnd(10) == 0)
			destroy(i);
		break;
	case 9:
		result(m, "set", plex86_set(m, PLEX86_EIP, 0x1000 + rnd(64)));
		break;
	default: run(i); break;
	}
}

int main(int argc, char **argv)
{
	unsigned long max = argc > 1 ? strtoul(argv[1], NULL, 0) : 20000;

	state = (argc > 2 ? strtoull(argv[2], NULL, 0) : 20261120) * 0x9E3779B97F4A7C15 | 1;
	for (unsigned i = 0; i < MACHINES; i++) {
		slot[i].buffer = aligned_alloc(4096, BUFFER);
		memset(slot[i].buffer, 0, BUFFER);
		create(i);
	}
	while (calls < max)
		something(rnd(MACHINES));
	for (unsigned i = 0; i < MACHINES; i++) {
		plex86_snapshot_free(slot[i].snapshot);
		plex86_destroy(slot[i].m);
		free(slot[i].buffer);
	}
	printf("%lu calls; runs ended by limit %lu, time %lu, kick %lu, halt %lu, shutdown %lu, breakpoint %lu, instruction %lu, exception %lu, "
	    "port %lu, MMIO %lu\n", calls, reasons[0], reasons[1], reasons[2], reasons[3], reasons[4], reasons[5], reasons[6], reasons[7],
	    reasons[8], reasons[9]);
	return 0;
}
