/*
 * x87, MMX, SSE and SSE2 against the host CPU: every encoding of insn.def's ring-3 instructions of
 * these kinds, with random state, must leave the same FXSAVE image, registers, flags and memory,
 * or raise the same exception: in the emulator, and as scanned code with memory through the table and
 * through a window.
 *
 * What is not compared, for the host no longer does what the guest's processor did: FCS and FDS
 * (deprecated: zero), and FDP and FOP where the host did not write them (it does so at unmasked
 * exceptions only; where it does they must be equal, but for FDP where memory is reached through the
 * table: nothing says any more at which linear address).
 * Environment: PLEX86_FPU_CASES is the number of cases for each encoding (default 8).
 */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode/decode.h"
#include "emulate/fpu.h"
#include "mmu/phys.h"
#include "scan/scan.h"
#include "tests/insn/fpu_native.h"
#include "tests/machine.h"
#include "vm.h"

/* --- random state --- */

/* C leaves it open which operand or argument comes first: whoever draws twice, draws in two statements. */
static uint64_t random_state = 0x9E3779B97F4A7C15;

static uint64_t rnd(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545F4914F6CDD1D;
}

static unsigned below(unsigned n)
{
	return (unsigned)(rnd() >> 33) % n;
}

static uint64_t mantissa(unsigned bits)
{
	switch (below(6)) {
	case 0: return 0;
	case 1: return 1;
	case 2: return (1ull << bits) - 1;
	case 3: return (rnd() & 0xFF) << (bits - 8);
	default: return rnd() & ((1ull << bits) - 1);
	}
}

/* An exponent with everything worth meeting: e is its width. */
static unsigned exponent(unsigned e)
{
	const unsigned max = (1u << e) - 1, bias = max / 2;

	switch (below(12)) {
	case 0: case 1: return 0;
	case 2: case 3: return max;
	case 4: return 1 + below(4);
	case 5: return max - 1 - below(4);
	case 6: return (e == 15 ? bias - 1023 : bias / 2) - 60 + below(64);
	case 7: return e == 15 ? bias - 127 - 30 + below(64) : bias + 20 + below(20);
	case 8: return below(max);
	case 9: return bias + below(70) - 3;
	default: return bias - 2 + below(5);
	}
}

static uint32_t random_single(void)
{
	uint32_t v = (uint32_t)(rnd() & 1) << 31;

	v |= exponent(8) << 23;
	return v | (uint32_t)mantissa(23);
}

static uint64_t random_double(void)
{
	uint64_t v = (rnd() & 1) << 63;

	v |= (uint64_t)exponent(11) << 52;
	return v | mantissa(52);
}

static void random_extended(uint8_t *p)
{
	unsigned exp = exponent(15);
	uint64_t m = mantissa(63);
	bool integer_bit = exp != 0;

	if (below(24) == 0)
		integer_bit = !integer_bit;	/* unnormals, pseudo-denormals, pseudo-infinities */
	if (below(6) == 0) {			/* small integers, and numbers that fit a double or a single */
		m = below(2) ? rnd() : below(64);
		m = m << (below(2) ? 40 : 11) & INT64_MAX;
		exp = 0x3FFF + below(40) - 4;
		integer_bit = true;
	}
	m |= (uint64_t)integer_bit << 63;
	uint16_t top = (uint16_t)(exp | below(2) << 15);
	memcpy(p, &m, 8);
	memcpy(p + 8, &top, 2);
}

static uint16_t random_cw(void)
{
	uint16_t cw = 0x40 | below(16) << 8;		/* precision, rounding */

	cw |= (below(16) == 0) << 12;
	switch (below(4)) {
	case 0: return cw | (below(64) & below(64));
	case 1: return cw | (0x3F ^ (1 << below(6)));
	default: return cw | 0x3F;
	}
}

static uint32_t random_mxcsr(void)
{
	uint32_t csr = below(4) << 13;

	csr |= (below(4) == 0) << 6;
	csr |= (below(4) == 0) << 15;
	if (below(3) == 0)
		csr |= below(64);
	switch (below(4)) {
	case 0: return csr | below(64) << 7;
	case 1: return csr | (0x3F ^ (1 << below(6))) << 7;
	default: return csr | 0x3F << 7;
	}
}

static void random_xmm(uint8_t *p)
{
	unsigned kind = below(3);

	for (unsigned i = 0; i < 16; i += 8) {
		uint64_t v = kind == 0 ? rnd() : kind == 1 ? random_double() : random_single();
		if (kind == 2)
			v |= (uint64_t)random_single() << 32;
		memcpy(p + i, &v, 8);
	}
}

static void random_fx(struct fxstate *fx)
{
	memset(fx, 0, sizeof(*fx));
	fx->fcw = random_cw();
	fx->fsw = below(8) << 11;
	fx->fsw |= rnd() & (FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3);
	if (below(3) == 0) {
		unsigned may = below(8) ? fx->fcw | FSW_SF : 0x7F;	/* seldom one pending */
		fx->fsw |= below(128) & may;
	}
	if (fx->fsw & ~fx->fcw & FSW_EXC)
		fx->fsw |= FSW_ES | FSW_B;
	fx->ftw = below(3) ? 0xFF : below(2) ? rnd() : rnd() | rnd();
	if (below(3) == 0)
		fx->ftw &= ~(1 << (((fx->fsw >> 11) - 1) & 7));		/* room for a push */
	fx->fop = rnd() & 0x7FF;
	fx->fip = (uint32_t)rnd();
	fx->fdp = (uint32_t)rnd();
	fx->mxcsr = random_mxcsr();
	for (unsigned i = 0; i < 8; i++) {
		random_extended(fx->st[i]);
		random_xmm(fx->xmm[i]);
	}
}

/* Operands: each 16 bytes of one kind. For FXRSTOR the image at a multiple of 512 is mostly valid. */
static void random_data(uint8_t *data)
{
	for (unsigned i = 0; i < NATIVE_DATA_BYTES; i += 16) {
		uint8_t *p = data + i;
		uint64_t v;

		random_xmm(p);
		switch (below(6)) {
		case 0: case 1:
			random_extended(p);
			break;
		case 2:
			for (unsigned k = 0; k < 9; k++) {	/* packed decimal */
				p[k] = below(10);
				p[k] |= below(10) << 4;
			}
			p[9] = below(2) << 7;
			break;
		case 3:
			v = rnd();
			v = (uint64_t)((int64_t)v >> below(63));
			memcpy(p, &v, 8);
			break;
		default:
			break;
		}
	}
}

/* --- the encodings --- */

struct encoding {
	uint8_t code[12];
	unsigned len;
	struct insn in;
};

static bool covered(unsigned name)
{
	return (name >= I_FADD && name <= I_FUCOMIP) || (name >= I_EMMS && name <= I_UCOMISD);
}

static struct encoding *encodings;
static unsigned nencodings;

/* Memory forms: [esi+disp8] and [disp32]; the rest of the ModRM space is the decoder's test. */
static void add_encoding(const uint8_t *opcode, unsigned n, unsigned modrm)
{
	struct encoding e = { .len = 0 };

	if (n != 0 && modrm < 0xC0 && (modrm & 0xC7) != 0x46 && (modrm & 0xC7) != 0x05)
		return;
	if (n != 0)
		memcpy(e.code, opcode, n);
	e.code[n] = modrm;
	if (modrm < 0xC0) {
		uint32_t disp = (modrm & 0xC7) == 0x05 ? NATIVE_DATA + 0x180 : 0x40;
		memcpy(e.code + n + 1, &disp, 4);
	}
	if (decode_insn(&e.in, e.code, sizeof(e.code), true) != DECODE_OK || !covered(e.in.name))
		return;
	e.len = e.in.len;
	encodings = realloc(encodings, (nencodings + 1) * sizeof(*encodings));
	encodings[nencodings++] = e;
}

static void list_encodings(void)
{
	static const uint8_t prefixes[4] = { 0, 0x66, 0xF3, 0xF2 };

	for (unsigned op = 0xD8; op <= 0xDF; op++)
		for (unsigned modrm = 0; modrm < 256; modrm++)
			add_encoding((uint8_t[]){ op }, 1, modrm);
	for (unsigned modrm = 0; modrm < 0xC0; modrm++) {	/* the 14- and 94-byte images */
		add_encoding((uint8_t[]){ 0x66, 0xD9 }, 2, modrm);
		add_encoding((uint8_t[]){ 0x66, 0xDD }, 2, modrm);
	}
	for (unsigned p = 0; p < 4; p++)
		for (unsigned op = 0; op < 256; op++)
			for (unsigned modrm = 0; modrm < 256; modrm++) {
				uint8_t b[3] = { prefixes[p], 0x0F, op };
				add_encoding(p ? b : b + 1, p ? 3 : 2, modrm);
			}
	add_encoding(NULL, 0, 0x9B);		/* WAIT: the opcode stands where ModRM would */
}

/* --- one case --- */

enum engine { EMULATED, CHECKED, DIRECT, ENGINES };
static const char *const engine_name[ENGINES] = { "emulator", "checked", "direct" };

enum { IDT = 0x1000, GDT = 0x2000, HANDLERS = 0x3000, STACK = 0x8000 };	/* vector n enters at HANDLERS + n: a HLT */

/* Stands for vm.c, so that no board is linked: an instruction that is not emulated fails the test. */
void vm_stop(struct vm *vm, enum stop_reason reason, const char *fmt, ...)
{
	fail_msg("vm_stop: %s", fmt);
}

/* Flat, without paging, at CPL 0: the only differences to the host's ring 3 are not for these instructions. */
static struct machine *make_machine(enum engine engine)
{
	static const uint64_t gdt[] = { 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF };
	struct machine *m = machine_new(2 << 20);
	struct vcpu *cpu = &m->cpu;

	machine_protected32(m);
	cpu->cr0 |= CR0_MP;
	cpu->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
	memcpy(m->phys.ram + GDT, gdt, sizeof(gdt));
	memset(m->phys.ram + HANDLERS, 0xF4, 256);
	for (unsigned v = 0; v < 256; v++) {
		uint64_t gate = 0x00008E0000080000 | (HANDLERS + v);
		memcpy(m->phys.ram + IDT + v * 8, &gate, 8);
	}
	cpu->gdtr = (struct table_register){ GDT, sizeof(gdt) - 1 };
	cpu->idtr = (struct table_register){ IDT, 256 * 8 - 1 };
	mmu_flush(cpu, true);
	if (engine != EMULATED) {
		machine_scan(m, 0, engine == DIRECT);
		machine_scan_eagerly(m);
	}
	return m;
}

static void execute(struct vcpu *cpu, void *in)
{
	emulate_handler(in)(cpu, in);
}

/* Vector raised, or -1. */
static int emulate(struct machine *m, const struct insn *in)
{
	m->cpu.insn_eip = NATIVE_INSN;
	m->cpu.eip = NATIVE_INSN + in->len;
	return cpu_try(&m->cpu, execute, (void *)in) ? m->cpu.exc_vector : -1;
}

/* As scanned code, with a HLT behind it. Vector raised, or -1. */
static int run_scanned(struct machine *m, const struct encoding *e)
{
	struct vcpu *cpu = &m->cpu;
	uint8_t code[16];

	memcpy(code, e->code, e->len);
	code[e->len] = 0xF4;
	phys_write(&m->phys, NATIVE_INSN, code, e->len + 1);
	cpu->eip = NATIVE_INSN;
	cpu->halted = false;
	cpu->attention = 0;
	cpu->icount_stop = UINT64_MAX;
	enum next next = machine_scan_run(m);
	if (next != NEXT_HALT)
		fail_msg("%s: %s", insn_info[e->in.name].mnemonic, scan_stop_text(cpu) ? scan_stop_text(cpu) : "does not come to its end");
	int vector = cpu->eip == NATIVE_INSN + e->len + 1 ? -1 : (int)(cpu->eip - 1 - HANDLERS);
	if (vector >= 0) {
		cpu->gpr[REG_ESP] = STACK;
		cpu->insn_eip = phys_read_n(&m->phys, STACK - 12, 4);
		cpu->eflags = phys_read_n(&m->phys, STACK - 4, 4);
	}
	return vector;
}

static void hex(const char *what, const void *p, unsigned n)
{
	printf("  %-12s", what);
	for (unsigned i = 0; i < n; i++)
		printf("%02x%s", ((const uint8_t *)p)[n - 1 - i], i % 4 == 3 ? " " : "");
	printf("\n");
}

static void show_three(const char *what, const void *before, const void *host, const void *guest)
{
	hex(what, before, 16);
	hex("  host", host, 16);
	hex("  guest", guest, 16);
}

static void show_fx(const char *who, const struct fxstate *fx)
{
	printf(" %s fcw %04x fsw %04x ftw %02x fop %03x fip %08x fdp %08x mxcsr %04x\n", who, fx->fcw, fx->fsw,
	    fx->ftw, fx->fop, fx->fip, fx->fdp, fx->mxcsr);
}

/* What the guest's processor records and today's does not. */
static void normalize(struct fxstate *got, const struct fxstate *want, const struct fxstate *before)
{
	if (want->fdp == before->fdp)
		got->fdp = want->fdp;
	if (want->fop == before->fop)
		got->fop = want->fop;
	got->fcs = want->fcs;
	got->fds = want->fds;
	got->mxcsr_mask = want->mxcsr_mask;
	got->rsvd = want->rsvd;
	got->rsvd2 = want->rsvd2;
	got->rsvd3 = want->rsvd3;
}

/* A case, and what the host made of it. */
struct result_of_host {
	const struct encoding *e;
	struct native_block block;
	struct native_result result;
	uint8_t before[NATIVE_DATA_BYTES], after[NATIVE_DATA_BYTES];
};

static const char *difference(enum engine engine, const struct machine *m, const struct result_of_host *h,
    const struct fxstate *got, int vector, const uint8_t *memory)
{
	uint32_t flags = EFLAGS_ARITH;
	if (engine != EMULATED && vector >= 0)		/* those it was about to write are dead where scanned code faults */
		flags &= ~(uint32_t)insn_flags(&h->e->in).kills;
	if (vector != h->result.vector || (vector >= 0 && h->result.eip != NATIVE_INSN))
		return "exception";
	if (memcmp(got, &h->block.fx_out, offsetof(struct fxstate, xmm[8])) != 0)
		return "FXSAVE image";
	if (memcmp(m->cpu.gpr, h->block.gpr_out, 32) != 0)
		return "registers";
	if ((m->cpu.eflags ^ h->block.eflags_out) & flags)
		return "EFLAGS";
	if (memcmp(memory, h->after, NATIVE_DATA_BYTES) != 0)
		return "memory";
	return NULL;
}

static bool same(enum engine engine, const struct machine *m, const struct result_of_host *h, int vector, const uint8_t *memory)
{
	const struct encoding *e = h->e;
	const struct native_block *b = &h->block;
	const struct fxstate *before = &b->fx_in, *want = &b->fx_out;
	struct fxstate got = m->cpu.fx;

	normalize(&got, want, before);
	if (engine == CHECKED && e->in.modrm < 0xC0)
		got.fdp = want->fdp;
	const char *what = difference(engine, m, h, &got, vector, memory);
	if (!what)
		return true;

	printf("%s: %s of %s differs:", engine_name[engine], what, insn_info[e->in.name].mnemonic);
	for (unsigned i = 0; i < e->len; i++)
		printf(" %02x", e->code[i]);
	printf("; exception host %d, guest %d; eflags before %x host %x guest %x\n", h->result.vector, vector,
	    b->eflags_in, b->eflags_out, m->cpu.eflags);
	show_fx("before  ", before);
	show_fx("host    ", want);
	show_fx("guest   ", &got);
	for (unsigned i = 0; i < 8; i++)
		if (i < 2 || memcmp(got.st[i], want->st[i], 16) != 0)
			show_three("st", before->st[i], want->st[i], got.st[i]);
	for (unsigned i = 0; i < 8; i++)
		if (memcmp(got.xmm[i], want->xmm[i], 16) != 0 || i == e->in.opnd[0].reg || i == e->in.opnd[1].reg)
			show_three("xmm", before->xmm[i], want->xmm[i], got.xmm[i]);
	for (unsigned i = 0; i < NATIVE_DATA_BYTES; i += 16)
		if (memcmp(memory + i, h->after + i, 16) != 0)
			show_three("data", h->before + i, h->after + i, memory + i);
	uint32_t off = e->in.modrm < 0xC0 ? insn_ea(&m->cpu, &e->in) - NATIVE_DATA : 0;
	hex("operand", h->before + MIN(off, NATIVE_DATA_BYTES - 16), 16);
	return false;
}

static void run_host(struct result_of_host *h, const struct encoding *e)
{
	struct native_block *b = native_block();

	random_fx(&b->fx_in);
	random_data(h->before);
	for (unsigned i = 0; i < 8; i++)
		b->gpr_in[i] = (uint32_t)rnd();
	b->gpr_in[REG_ESP] = STACK;
	b->gpr_in[REG_ESI] = NATIVE_DATA + 16 * below(8);
	if (below(4) == 0)
		b->gpr_in[REG_ESI] += below(16);
	b->gpr_in[REG_EDI] = NATIVE_DATA + 0x100 + below(64);
	b->eflags_in = 0x202 | (rnd() & EFLAGS_ARITH);
	if (e->in.name == I_LDMXCSR || e->in.name == I_FXRSTOR) {
		uint32_t csr = below(8) ? random_mxcsr() : (uint32_t)rnd(), off = e->in.name == I_FXRSTOR ? 24 : 0;
		for (unsigned i = 0; i < NATIVE_DATA_BYTES; i += 16)
			memcpy(h->before + i + off % 16, &csr, 4);
	}
	memcpy(native_data(), h->before, NATIVE_DATA_BYTES);
	h->e = e;
	h->result = native_run(e->code, e->len);
	h->block = *b;
	memcpy(h->after, native_data(), NATIVE_DATA_BYTES);
}

static bool run_guest(enum engine engine, struct machine *m, const struct result_of_host *h)
{
	uint8_t *memory = phys_host(&m->phys, NATIVE_DATA, true);

	memcpy(memory, h->before, NATIVE_DATA_BYTES);
	m->cpu.fx = h->block.fx_in;
	memcpy(m->cpu.gpr, h->block.gpr_in, 32);
	m->cpu.eflags = h->block.eflags_in;
	m->cpu.fpu_host_pe = true;		/* the machines share a thread */
	return same(engine, m, h, engine == EMULATED ? emulate(m, &h->e->in) : run_scanned(m, h->e), memory);
}

/*
 * An engine does a batch without a native run between, for these leave the host's FPU clean and
 * would hide what one instruction leaves behind for the next.
 */
enum { BATCH = 16 };

struct totals { unsigned long cases, faults, differences; };

static void run_cases(struct machine *m[ENGINES], const struct encoding *e, unsigned long n, struct totals *t)
{
	static struct result_of_host batch[BATCH];

	while (n != 0) {
		unsigned k = MIN(n, BATCH);
		for (unsigned i = 0; i < k; i++) {
			run_host(&batch[i], e);
			t->faults += batch[i].result.vector >= 0;
		}
		t->cases += k;
		n -= k;
		for (unsigned i = 0; i < k * ENGINES; i++)
			if (!run_guest((enum engine)(i / k), m[i / k], &batch[i % k])) {
				t->differences++;
				return;			/* one of a kind is enough */
			}
	}
}

TEST(every_x87_mmx_and_sse_instruction_does_emulated_and_scanned_what_it_does_on_the_host_cpu)
{
	static unsigned long cases_of[I_COUNT];
	const char *env = getenv("PLEX86_FPU_CASES"), *only = getenv("PLEX86_FPU_ONLY");
	const unsigned long n = env ? strtoul(env, NULL, 0) : 8;
	struct totals t = { 0 };
	unsigned names = 0, all = 0;

	struct machine *m[ENGINES];
	for (unsigned i = 0; i < ENGINES; i++)
		m[i] = make_machine((enum engine)i);
	if (!native_init())
		SKIP();
	list_encodings();
	for (unsigned i = 0; i < nencodings; i++) {
		unsigned name = encodings[i].in.name;
		if (only && strcmp(only, insn_info[name].mnemonic) != 0)
			continue;
		run_cases(m, &encodings[i], n, &t);
		cases_of[name] += n;
	}
	for (unsigned i = 0; i < I_COUNT; i++) {
		all += covered(i);
		names += cases_of[i] != 0;
		if (covered(i) && !cases_of[i] && !only)
			printf("no encoding of %s is covered\n", insn_info[i].mnemonic);
	}
	printf("host CPU comparison: %u of %u instructions, %u encodings, %lu cases (%lu with an exception), %lu differences\n",
	    names, all, nencodings, t.cases, t.faults, t.differences);
	for (unsigned i = CHECKED; i < ENGINES; i++)
		scan_verify_summary(&m[i]->cpu, stdout);
	native_exit();
	for (unsigned i = 0; i < ENGINES; i++)
		machine_free(m[i]);
	free(encodings);
	CHECK_EQ(t.differences, 0);
	if (!only)
		CHECK_EQ(names, all);
}
