/*
 * Random programs (program.h) on four machines: the emulator, scanned code as it is meant to run, the same with
 * hardly room for code, and lock-step. They must end in the same state, and lock-step must find nothing on the
 * way. Every block passes the verifier. Scanned code is kicked at random moments by a timer; 32-bit programs in
 * ring 3 then get an interrupt, whose handler leaves no trace.
 * usage: scan-fuzz [-16] [programs [seed [first [slots [limit]]]]]
 * -16: 16-bit code in real, vm86 and protected mode. slots of each program, and instructions to carry out: to
 * find where one goes wrong
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/kick.h"
#include "host/signals.h"
#include "scan/verify.h"
#include "tests/machine.h"
#include "tests/scan/program.h"

#define LIMIT 20000		/* instructions; programs that go on longer run in lock-step only */
static uint64_t limit = LIMIT;

#define SMALL_CACHE (256u << 10)
#define KICK_NS 150000

enum engine { EMULATED, SCANNED, CROWDED, LOCKSTEP, ENGINES };
static const char *const engine_name[] = { "emulated", "scanned", "crowded", "lock-step" };

struct runner {
	struct machine m;
	enum engine engine;
	bool interrupts;		/* the program has a handler for them */
};

struct totals { unsigned long programs, whole, own, tables, noticed, kicks, interrupts, ended[NEXT_STOP + 1]; uint64_t insns; };

static void must(int err)
{
	if (err == 0)
		return;
	fprintf(stderr, "cannot set up a machine: %s\n", strerror(-err));
	exit(2);
}

static void runner_init(struct runner *m, enum engine engine)
{
	struct vcpu *cpu = &m->m.cpu;

	machine_init(&m->m, RAM_BYTES);
	m->m.vector = INTERRUPT_VECTOR;
	m->engine = engine;
	cpu->icount_stop = UINT64_MAX;
	if (engine == EMULATED)
		return;
	must(scan_init(cpu, engine == CROWDED ? SMALL_CACHE : 0));
	must(scan_verify(cpu));
	if (engine == LOCKSTEP)
		must(scan_lockstep(cpu, stdout));
}

static void runner_load(struct runner *m, const struct program *p)
{
	struct vcpu *cpu = &m->m.cpu;

	memcpy(m->m.phys.ram, p->ram, RAM_BYTES);
	memcpy(cpu, &p->cpu, offsetof(struct vcpu, cpl));
	m->interrupts = !p->sixteen;
	cpu->attention = 0;
	cpu->tf_armed = cpu->shadow_armed = cpu->rf_armed = false;
	cpu->icount = 0;
	cpu->dr[6] = DR6_FIXED1;
	cpu->dr[7] = DR7_FIXED1;
	cpu_update_mode(cpu);
	mmu_select(cpu);
	mmu_flush(cpu, true);
	emulate_flush(cpu);
	if (m->engine != EMULATED)
		scan_flush(cpu);
}

static timer_t kick_timer(void)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = HOST_KICK_SIGNAL };
	timer_t timer;

	ev._sigev_un._tid = host_thread_id();
	must(timer_create(CLOCK_MONOTONIC, &ev, &timer) == 0 ? 0 : -errno);
	return timer;
}

static void kick_every(timer_t timer, long ns)
{
	struct itimerspec it = { { 0, ns }, { 0, ns } };
	timer_settime(timer, 0, &it, NULL);
}

/* Kicks come at any moment; one in ring 3 becomes an interrupt. */
static enum next run_kicked(struct runner *m, enum next (*run)(struct vcpu *cpu), timer_t timer, long every_ns, struct totals *t)
{
	struct vcpu *cpu = &m->m.cpu;
	enum next next;

	kick_every(timer, every_ns);
	while ((next = run(cpu)) == NEXT_ATTENTION) {
		__atomic_and_fetch(&cpu->attention, ~(uint32_t)ATTN_KICK, __ATOMIC_SEQ_CST);
		t->kicks++;
		if (m->interrupts && cpu->cpl == 3 && cpu->eflags & EFLAGS_IF) {
			cpu->intr_line = true;
			cpu_attend(cpu, ATTN_EVENT);
			t->interrupts++;
		}
	}
	kick_every(timer, 0);
	return next;
}

/* Signals go to the machine that runs; each scanner believes that GS is its own. */
static enum next runner_run(struct runner *m, struct host_kick *kick, timer_t timer, struct totals *t)
{
	struct vcpu *cpu = &m->m.cpu;
	if (m->engine == EMULATED)
		return emulate_run(cpu);
	kick->attention = &cpu->attention;
	kick->hook_arg = cpu;
	cpu->scanner->gs_base = 0;
	cpu->scanner->emulate_one = false;
	cpu->scanner->stop_text[0] = 0;
	if (m->engine != LOCKSTEP)
		return run_kicked(m, scan_run, timer, KICK_NS, t);
	enum next next = scan_run(cpu);
	while (next == NEXT_ATTENTION && cpu->attention == 0 && cpu->icount < cpu->icount_stop)
		next = scan_run(cpu);
	return next;
}

/* A triple fault ends a program anywhere: its arithmetic flags may be dead there. */
static const char *difference(const struct runner *e, const struct runner *m, bool dead)
{
	const struct vcpu *a = &e->m.cpu, *b = &m->m.cpu;

	if (memcmp(a->gpr, b->gpr, sizeof(a->gpr)) != 0)
		return "registers";
	if (a->eip != b->eip)
		return "eip";
	if ((a->eflags ^ b->eflags) & (dead ? ~(uint32_t)EFLAGS_ARITH : ~0u))
		return "flags";
	for (unsigned i = 0; i < 6; i++)
		if (a->seg[i].selector != b->seg[i].selector || a->seg[i].base != b->seg[i].base || a->seg[i].limit != b->seg[i].limit)
			return "segments";
	if (a->cr2 != b->cr2 || a->cpl != b->cpl || a->cr0 != b->cr0)
		return "control registers";
	if (a->fx.fcw != b->fx.fcw || a->fx.fsw != b->fx.fsw || a->fx.ftw != b->fx.ftw || a->fx.mxcsr != b->fx.mxcsr)
		return "FPU control";
	for (unsigned i = 0; i < 8; i++)
		if (memcmp(a->fx.st[i], b->fx.st[i], 10) != 0 || memcmp(a->fx.xmm[i], b->fx.xmm[i], 16) != 0)
			return "FPU registers";
	return NULL;
}

/*
 * First byte of RAM that differs, or RAM_BYTES. But what interrupts have left: their count, and what lies below
 * ring 0's stack when a program in ring 3 ends. dead: flags may be, in the image of an exception that no handler
 * has seen.
 */
static uint32_t memory_difference(const struct program *p, const struct runner *e, const struct runner *m, bool dead)
{
	const uint32_t ignored = dead ? 0x01010101u * ((EFLAGS_ARITH & 0xFF) | EFLAGS_ARITH >> 8) : 0;	/* at any address */
	for (uint32_t at = 0; at < RAM_BYTES; at += PAGE_BYTES) {
		if (p->user && m->interrupts && at == KERNEL_STACK - PAGE_BYTES)
			continue;
		if (memcmp(e->m.phys.ram + at, m->m.phys.ram + at, PAGE_BYTES) == 0)
			continue;
		for (uint32_t i = at; i < at + PAGE_BYTES; i += 4) {
			uint32_t a, b;
			memcpy(&a, e->m.phys.ram + i, 4);
			memcpy(&b, m->m.phys.ram + i, 4);
			if ((a ^ b) & ~ignored && (i != INTERRUPTS || !m->interrupts))
				return i;
		}
	}
	return RAM_BYTES;
}

static void print_cpu(const char *name, const struct vcpu *c)
{
	printf("  %-9s eax %08x ecx %08x edx %08x ebx %08x esp %08x ebp %08x esi %08x edi %08x\n"
	    "            eip %08x eflags %08x cr2 %08x cpl %u icount %llu\n", name, c->gpr[0], c->gpr[1], c->gpr[2], c->gpr[3],
	    c->gpr[4], c->gpr[5], c->gpr[6], c->gpr[7], c->eip, c->eflags, c->cr2, c->cpl, (unsigned long long)c->icount);
}

static void print_bytes(const char *name, const uint8_t *p, unsigned n)
{
	printf("  %-9s", name);
	for (unsigned i = 0; i < n; i++)
		printf(" %02x", p[i]);
	printf("\n");
}

static void print_fpu(const struct vcpu *a, const struct vcpu *b)
{
	for (unsigned i = 0; i < 16; i++) {
		const uint8_t *x = i < 8 ? a->fx.st[i] : a->fx.xmm[i - 8], *y = i < 8 ? b->fx.st[i] : b->fx.xmm[i - 8];
		if (memcmp(x, y, i < 8 ? 10 : 16) == 0)
			continue;
		printf("  %s%u\n", i < 8 ? "st" : "xmm", i & 7);
		print_bytes("emulated", x, i < 8 ? 10 : 16);
		print_bytes("other", y, i < 8 ? 10 : 16);
	}
}

static bool complain(unsigned long number, const struct runner *e, const struct runner *m, const char *what)
{
	printf("program %lu: %s differs in %s\n", number, engine_name[m->engine], what);
	print_cpu(engine_name[EMULATED], &e->m.cpu);
	print_cpu(engine_name[m->engine], &m->m.cpu);
	print_fpu(&e->m.cpu, &m->m.cpu);
	if (m->engine != EMULATED && scan_stop_text(&m->m.cpu))
		printf("  %s\n", scan_stop_text(&m->m.cpu));
	return false;
}

static bool agrees(unsigned long number, const struct program *p, const struct runner *e, enum next e_next, const struct runner *m, enum next next)
{
	char text[64];

	if (m->engine != EMULATED && scan_stop_text(&m->m.cpu))
		return complain(number, e, m, "what it was stopped for");
	if (next != e_next)
		return complain(number, e, m, "how it ended");
	const char *what = difference(e, m, next == NEXT_TRIPLE_FAULT);
	if (what)
		return complain(number, e, m, what);
	uint32_t at = memory_difference(p, e, m, next == NEXT_TRIPLE_FAULT);
	if (at == RAM_BYTES)
		return true;
	snprintf(text, sizeof(text), "memory at %x: %02x, not %02x", at, m->m.phys.ram[at], e->m.phys.ram[at]);
	return complain(number, e, m, text);
}

/*
 * Does the program see what the engines need not agree in? It stores an FPU image with instruction and operand
 * pointers, reads the time, or has got out of ring 3 and onto the handlers' stack, where dead flags lie.
 */
static bool shows_own(struct runner *m, const struct program *p)
{
	struct vcpu *cpu = &m->m.cpu;

	runner_load(m, p);
	while (cpu->icount < limit) {
		struct insn in;
		uint8_t bytes[15];
		gpa_t gpa;
		unsigned n = 0;
		if (p->user && cpu->cpl == 0 && !program_handles(cpu->eip))
			return true;
		if (cpu->attention & ATTN_EVENT && cpu_check_events(cpu) != NEXT_RUN)
			return false;
		for (; n < sizeof(bytes) && mmu_translate(cpu, cpu->seg[SEG_CS].base + cpu->eip + n, &gpa); n++)
			phys_read(&m->m.phys, gpa, &bytes[n], 1);
		if (decode_insn(&in, bytes, n, cpu->seg[SEG_CS].attr & SEG_DB) == DECODE_OK && (in.name == I_FNSAVE || in.name == I_FNSTENV || in.name == I_FXSAVE || in.name == I_RDTSC))
			return true;
		if (emulate_step(cpu) != NEXT_RUN)
			return false;
	}
	return false;
}

/*
 * Has the program written to its own page tables (not the handlers: they only allow more, and say so)? What the
 * processor still knows of the old ones is its own business, and that of each engine.
 */
static bool tables_written(const struct runner *e, const struct program *p)
{
	for (uint32_t at = PAGE_DIR; p->paging && at < GDT_AT; at += 4) {
		uint32_t was, now;
		memcpy(&was, p->ram + at, 4);
		memcpy(&now, e->m.phys.ram + at, 4);
		if ((was ^ now) & ~0x80000067u)		/* NX, D, A, U, W, P */
			return true;
	}
	return false;
}

/* As emulate_run(), but with an interrupt at every every-th instruction of ring 3 that can take one. */
static enum next run_interrupted(struct runner *m, unsigned every)
{
	struct vcpu *cpu = &m->m.cpu;
	enum next next = NEXT_RUN;

	for (uint64_t i = 1; next == NEXT_RUN && i < 8 * limit; i++) {
		if (i % every == 0 && cpu->cpl == 3 && cpu->eflags & EFLAGS_IF) {
			cpu->intr_line = true;
			cpu_attend(cpu, ATTN_EVENT);
		}
		if (!(cpu->attention & ATTN_EVENT) || (next = cpu_check_events(cpu)) == NEXT_RUN)
			next = emulate_step(cpu);
	}
	return next;
}

/*
 * Do interrupts make it end otherwise under the emulator, too? It has written over the handlers, their stack or the TSS,
 * or looks at them. Then it can be compared without interrupts only.
 */
static bool notices_interrupts(struct runner *m, const struct program *p, const struct runner *e, enum next e_next)
{
	for (unsigned every = 1; every <= 64 && !p->sixteen; every++) {
		runner_load(m, p);
		enum next next = run_interrupted(m, every);
		if (next != e_next || difference(e, m, next == NEXT_TRIPLE_FAULT) ||
		    memory_difference(p, e, m, next == NEXT_TRIPLE_FAULT) != RAM_BYTES)
			return true;
	}
	return false;
}

static struct rig {
	struct runner m[ENGINES];
	struct host_kick kick;
	timer_t timer;
	struct totals totals;
	bool sixteen;
} rig;

static bool run_program(unsigned long number, uint64_t seed, unsigned slots)
{
	static struct program p;
	struct runner *m = rig.m, *e = &m[EMULATED];
	struct totals *t = &rig.totals;
	struct random r = { (seed + number * 0x9E3779B97F4A7C15u) | 1 };
	enum next next[ENGINES];
	bool ok[ENGINES] = { true, true, true, true };

	for (unsigned i = 0; i < 8; i++)
		random_next(&r);
	if (rig.sixteen)
		program_make_16(&p, &r);
	else
		program_make(&p, &r);
	memset(p.ram + CODE_AT + slots * SLOT_BYTES, 0xF4, (SLOTS - slots) * SLOT_BYTES);
	for (unsigned i = 0; i < ENGINES; i++)
		runner_load(&m[i], &p);
	e->m.cpu.icount_stop = m[LOCKSTEP].m.cpu.icount_stop = limit;
	next[EMULATED] = emulate_run(&e->m.cpu);
	t->programs++;
	t->ended[next[EMULATED]]++;
	t->insns += e->m.cpu.icount;
	bool tables = tables_written(e, &p);
	t->tables += tables;
	t->whole += next[EMULATED] != NEXT_ATTENTION && !tables;
	for (enum engine i = SCANNED; i <= LOCKSTEP; i++) {
		if (i != LOCKSTEP && (tables || next[EMULATED] == NEXT_ATTENTION))	/* it may never end */
			continue;
		next[i] = runner_run(&m[i], &rig.kick, rig.timer, t);
		ok[i] = tables ? !scan_stop_text(&m[i].m.cpu) : agrees(number, &p, e, next[EMULATED], &m[i], next[i]);
	}
	if ((!ok[SCANNED] || !ok[CROWDED]) && shows_own(e, &p)) {
		printf("program %lu: shows what is the engines' own: not compared\n", number);
		t->own++;
		ok[SCANNED] = ok[CROWDED] = true;
	}
	if ((!ok[SCANNED] || !ok[CROWDED]) && notices_interrupts(&m[SCANNED], &p, e, next[EMULATED])) {
		printf("program %lu: notices interrupts: compared without\n", number);
		t->noticed++;
		for (enum engine i = SCANNED; i <= CROWDED; i++) {
			runner_load(&m[i], &p);
			m[i].interrupts = false;
			next[i] = runner_run(&m[i], &rig.kick, rig.timer, t);
			ok[i] = agrees(number, &p, e, next[EMULATED], &m[i], next[i]);
		}
	}
	return ok[SCANNED] && ok[CROWDED] && ok[LOCKSTEP];
}

int main(int argc, char **argv)
{
	const struct totals *t = &rig.totals;
	rig.sixteen = argc > 1 && strcmp(argv[1], "-16") == 0;
	argc -= rig.sixteen;
	argv += rig.sixteen;
	unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 0) : 300, first = argc > 3 ? strtoul(argv[3], NULL, 0) : 0;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	unsigned bad = 0, slots = argc > 4 ? MIN((unsigned)strtoul(argv[4], NULL, 0), (unsigned)SLOTS) : SLOTS;

	setvbuf(stdout, NULL, _IOLBF, 0);
	limit = argc > 5 ? strtoull(argv[5], NULL, 0) : LIMIT;
	for (unsigned i = 0; i < ENGINES; i++)
		runner_init(&rig.m[i], (enum engine)i);
	must(host_kick_init(&rig.kick, &rig.m[SCANNED].m.cpu.attention, ATTN_KICK));
	rig.kick.kick_hook = scan_kick;
	rig.kick.tick_hook = scan_tick;
	rig.kick.fault_hook = scan_fault;
	rig.timer = kick_timer();
	for (unsigned long i = first; i < first + n && bad < 5; i++)
		bad += !run_program(i, seed, slots);
	printf("%lu programs (%lu also unlimited), %llu instructions; ended by HLT %lu, triple fault %lu, limit %lu; "
	    "%lu kicks, %lu interrupts; %lu wrote to their page tables, %lu showed what is the engines' own, %lu noticed interrupts; %u differences\n", t->programs,
	    t->whole, (unsigned long long)t->insns, t->ended[NEXT_HALT], t->ended[NEXT_TRIPLE_FAULT], t->ended[NEXT_ATTENTION],
	    t->kicks, t->interrupts, t->tables, t->own, t->noticed, bad);
	for (enum engine i = SCANNED; i <= LOCKSTEP; i++)
		scan_verify_summary(&rig.m[i].m.cpu, stdout);
	scan_lockstep_summary(&rig.m[LOCKSTEP].m.cpu, stdout);
	return bad ? 1 : 0;
}
