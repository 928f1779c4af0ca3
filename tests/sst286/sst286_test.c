/*
 * Real mode against a real 80286: single-instruction captures in MOO files.	[SingleStepTests/80286, MOO format]
 * usage: sst286_test ARCHIVE.tar.xz [mnemonic]
 *
 * Each test is registers and memory before, an instruction and a HLT, and what is different after. An
 * exception goes through the vectors in the test's memory to a HLT. What is masked, and why:
 *  - FLAGS 15:12 (of the register and of the image an exception, INT or PUSHF pushes): always 0 in a
 *    286's real mode; IOPL and NT can be set from a 386 on.
 *  - Flags the SDM leaves undefined (insn.def), OF of shifts and rotates by more than 1, CF of shifts by
 *    the operand's size or more: a 286 leaves others than the host does.
 *  - CX, SI and DI of a string instruction that faults: a 286 has moved them already.
 * What is not run: what skip() says, and words at SS:FFFF, which are #SS from a 386 on, #GP on a 286.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/machine.h"

#define SKIPPED 77
#define RAM_BYTES (2u << 20)

enum { AX, BX, CX, DX, CS, SS, DS, ES, SP, BP, SI, DI, IP, FLAGS, NREGS };

struct ram_byte {
	uint32_t at;
	uint8_t val;
};

struct state {
	uint16_t reg[NREGS];
	uint32_t present;		/* bit per register */
	struct ram_byte ram[512];
	unsigned nram;
};

struct sst {
	char name[64];
	uint8_t bytes[32];
	unsigned nbytes;
	struct state before, after;
	bool exception;
	uint8_t vector;
	uint32_t flags_at;		/* where the exception pushed FLAGS */
};

struct totals {
	unsigned long run, failed, skipped;
	unsigned long by_name[I_COUNT];
};

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

/* --- the file --- */

static void parse_regs(struct state *s, const uint8_t *p)
{
	s->present = get16(p);
	p += 2;
	for (unsigned i = 0; i < NREGS; i++) {
		if (!(s->present >> i & 1))
			continue;
		s->reg[i] = get16(p);
		p += 2;
	}
}

static void parse_ram(struct state *s, const uint8_t *p)
{
	uint32_t n = get32(p);

	s->nram = MIN(n, (uint32_t)ARRAY_LEN(s->ram));
	for (unsigned i = 0; i < s->nram; i++)
		s->ram[i] = (struct ram_byte){ get32(p + 4 + i * 5), p[8 + i * 5] };
}

static void parse_state(struct state *s, const uint8_t *p, const uint8_t *end)
{
	for (; p + 8 <= end; p += 8 + get32(p + 4)) {
		if (memcmp(p, "REGS", 4) == 0)
			parse_regs(s, p + 8);
		else if (memcmp(p, "RAM ", 4) == 0)
			parse_ram(s, p + 8);
	}
}

static void parse_test(struct sst *t, const uint8_t *p, const uint8_t *end)
{
	memset(t, 0, sizeof(*t));
	for (p += 4; p + 8 <= end; p += 8 + get32(p + 4)) {
		const uint8_t *body = p + 8;
		uint32_t n = get32(p + 4);
		if (memcmp(p, "NAME", 4) == 0) {
			snprintf(t->name, sizeof(t->name), "%.*s", (int)MIN(get32(body), 60u), (const char *)body + 4);
		} else if (memcmp(p, "BYTS", 4) == 0) {
			t->nbytes = MIN(get32(body), (uint32_t)sizeof(t->bytes));
			memcpy(t->bytes, body + 4, t->nbytes);
		} else if (memcmp(p, "INIT", 4) == 0) {
			parse_state(&t->before, body, body + n);
		} else if (memcmp(p, "FINA", 4) == 0) {
			parse_state(&t->after, body, body + n);
		} else if (memcmp(p, "EXCP", 4) == 0) {
			t->exception = true;
			t->vector = body[0];
		}
	}
	for (unsigned i = 0; i < NREGS; i++)
		if (!(t->after.present >> i & 1))
			t->after.reg[i] = t->before.reg[i];
	/* the chunk's own address of FLAGS is even where SP is odd */
	t->flags_at = (uint32_t)t->after.reg[SS] * 16 + (uint16_t)(t->after.reg[SP] + 4);
}

/* --- running --- */

static const uint8_t gpr_of[8] = { [REG_EAX] = AX, [REG_ECX] = CX, [REG_EDX] = DX, [REG_EBX] = BX,
	[REG_ESP] = SP, [REG_EBP] = BP, [REG_ESI] = SI, [REG_EDI] = DI };
static const uint8_t seg_of[4] = { [SEG_ES] = ES, [SEG_CS] = CS, [SEG_SS] = SS, [SEG_DS] = DS };

static void put_state(struct machine *m, const struct state *s)
{
	struct vcpu *cpu = &m->cpu;

	machine_real(m);
	for (unsigned r = 0; r < 8; r++)
		cpu->gpr[r] = s->reg[gpr_of[r]];
	for (unsigned r = 0; r < 4; r++)
		segment_load_real(cpu, r, s->reg[seg_of[r]]);
	cpu->eip = s->reg[IP];
	cpu->eflags = (s->reg[FLAGS] & 0xFD5u) | EFLAGS_FIXED1;
	cpu->halted = false;
	cpu->dr6_pending = 0;
	cpu->shadow = cpu->shadow_ss = cpu->tf_armed = cpu->shadow_armed = cpu->rf_armed = false;
	cpu->attention = cpu->eflags & EFLAGS_TF ? ATTN_EVENT : 0;
	for (unsigned i = 0; i < s->nram; i++)
		if (s->ram[i].at < RAM_BYTES)
			phys_write_n(&m->phys, s->ram[i].at, 1, s->ram[i].val);
}

static void clean(struct machine *m, const struct state *s)
{
	for (unsigned i = 0; i < s->nram; i++)
		if (s->ram[i].at < RAM_BYTES)
			phys_write_n(&m->phys, s->ram[i].at, 1, 0);
}

/* Why a test is not for a 386, or NULL. */
static const char *skip(const struct sst *t, const struct insn *in)
{
	for (unsigned i = 0; i < in->len; i++)
		if (t->bytes[i] == 0xF0)
			return "LOCK: a 286 takes it with any instruction";
	if (in->len > 10)
		return "a 286 takes 10 bytes";
	for (unsigned i = 0; i < in->nopnd; i++)
		if (in->opnd[i].kind == OPND_SREG && in->opnd[i].reg >= SEG_FS)
			return "a 286 has no FS and GS";
	switch (in->name) {
	case I_IN: case I_INS:
		return "reads a port of the capturing board";
	case I_INVALID: case I_SALC:
		return in->name == I_INVALID ? "undefined on one of the two" : NULL;
	default:
		return NULL;
	}
}

static uint16_t undefined_flags(const struct insn *in, const struct sst *t)
{
	uint16_t undef = insn_info[in->name].undef;
	unsigned count, bits = in->opnd[0].size * 8;

	if (in->name < I_ROL || in->name > I_SAR)
		return undef;
	count = (in->opnd[1].kind == OPND_ONE ? 1 : in->opnd[1].kind == OPND_IMM ? in->imm : t->before.reg[CX]) & 31;
	if (count != 1)
		undef |= FLAG_O;
	if (in->name >= I_SHL && count >= bits)
		undef |= FLAG_C;
	return undef;
}

static const char *compare(struct machine *m, const struct sst *t, const struct insn *in, uint16_t undef)
{
	/* A string instruction that faults has moved its index (and count) registers on a 286. */
	bool moved = t->exception && in->name >= I_MOVS && in->name <= I_OUTS;
	const struct vcpu *cpu = &m->cpu;
	const struct state *s = &t->after;

	for (unsigned r = 0; r < 8; r++)
		if ((uint16_t)cpu->gpr[r] != s->reg[gpr_of[r]] &&
		    !(moved && (r == REG_ECX || r == REG_ESI || r == REG_EDI)))
			return "registers";
	for (unsigned r = 0; r < 4; r++)
		if (cpu->seg[r].selector != s->reg[seg_of[r]])
			return "segment registers";
	if ((uint16_t)cpu->eip != s->reg[IP])
		return "ip";
	if ((cpu->eflags ^ s->reg[FLAGS]) & 0xFD5 & ~(uint32_t)undef)
		return "flags";
	for (unsigned i = 0; i < s->nram; i++) {
		uint32_t at = s->ram[i].at;
		uint8_t mask = 0xFF;
		if (t->exception && at == t->flags_at)
			mask = (uint8_t)~undef;
		else if (t->exception && at == t->flags_at + 1)
			mask = (uint8_t)(0x0F & ~(undef >> 8));
		if (at < RAM_BYTES && (m->phys.ram[at] ^ s->ram[i].val) & mask)
			return "memory";
	}
	return NULL;
}

static void print_failure(struct machine *m, const struct sst *t, const char *what)
{
	static const char names[NREGS][6] = { "ax", "bx", "cx", "dx", "cs", "ss", "ds", "es", "sp", "bp", "si", "di", "ip", "flags" };
	const struct vcpu *cpu = &m->cpu;
	uint16_t got[NREGS];

	printf("DIFFERENCE in %s: %s:", what, t->name);
	for (unsigned i = 0; i < t->nbytes; i++)
		printf(" %02X", t->bytes[i]);
	if (t->exception)
		printf(" (exception %u)", t->vector);
	for (unsigned r = 0; r < 8; r++)
		got[gpr_of[r]] = (uint16_t)cpu->gpr[r];
	for (unsigned r = 0; r < 4; r++)
		got[seg_of[r]] = cpu->seg[r].selector;
	got[IP] = (uint16_t)cpu->eip;
	got[FLAGS] = (uint16_t)cpu->eflags;
	printf("\n ");
	for (unsigned r = 0; r < NREGS; r++)
		printf(" %s %04X", names[r], t->before.reg[r]);
	printf("\n  differ:");
	for (unsigned r = 0; r < NREGS; r++)
		if (got[r] != t->after.reg[r])
			printf(" %s 286 %04X tier 0 %04X", names[r], t->after.reg[r], got[r]);
	for (unsigned i = 0; i < t->after.nram; i++)
		if (m->phys.ram[t->after.ram[i].at] != t->after.ram[i].val)
			printf(" [%06X] 286 %02X tier 0 %02X", t->after.ram[i].at, t->after.ram[i].val, m->phys.ram[t->after.ram[i].at]);
	printf("\n");
}

/* Carry out the instruction itself; the fault it had, or -1. */
static int first_fault(struct machine *m)
{
	struct vcpu *cpu = &m->cpu;
	uint32_t eip = cpu->eip;

	cpu->exc_vector = 0xFF;
	cpu->icount_stop = ~0ull;
	if (cpu->eflags & EFLAGS_TF)		/* its trap is the run loop's */
		return -1;
	do
		emulate_step(cpu);
	while (cpu->eip == eip && cpu->exc_vector == 0xFF && !cpu->halted);
	return cpu->exc_vector == 0xFF ? -1 : cpu->exc_vector;
}

static void run_test(struct machine *m, const struct sst *t, const char *only, struct totals *totals)
{
	struct insn in;

	decode_insn(&in, t->bytes, t->nbytes, false);
	if (only && strcmp(only, insn_info[in.name].mnemonic) != 0)
		return;
	if (skip(t, &in)) {
		totals->skipped++;
		return;
	}
	put_state(m, &t->before);
	bool ss = first_fault(m) == EXC_SS;
	machine_run(m, 200000);
	const char *what = compare(m, t, &in, undefined_flags(&in, t));
	if (t->exception && t->vector == EXC_GP && ss) {
		totals->skipped++;
		memset(m->phys.ram, 0, RAM_BYTES);
		emulate_flush(&m->cpu);
		return;
	}
	totals->run++;
	if (what) {
		totals->failed++;
		if (totals->by_name[in.name]++ < 3)
			print_failure(m, t, what);
		memset(m->phys.ram, 0, RAM_BYTES);
		emulate_flush(&m->cpu);
	}
	clean(m, &t->before);
	clean(m, &t->after);
}

/* The archive's files one behind the other: chunks all the way. */
static bool next_chunk(FILE *f, uint8_t head[8], uint8_t *buf, size_t max)
{
	if (fread(head, 1, 8, f) != 8 || get32(head + 4) > max)
		return false;
	return fread(buf, 1, get32(head + 4), f) == get32(head + 4);
}

int main(int argc, char **argv)
{
	static struct totals totals;
	static uint8_t buf[65536];
	static struct sst t;
	char command[4096];
	uint8_t head[8];
	FILE *f;

	if (argc < 2 || !(f = fopen(argv[1], "r"))) {
		printf("skipped: no 80286 captures at %s\n", argc < 2 ? "(no path)" : argv[1]);
		return SKIPPED;
	}
	fclose(f);
	snprintf(command, sizeof(command), "tar xJf '%s' -O --wildcards '*.MOO'", argv[1]);
	f = popen(command, "r");
	if (!f)
		return 1;
	struct machine *m = machine_new(RAM_BYTES);
	while (next_chunk(f, head, buf, sizeof(buf))) {
		if (memcmp(head, "TEST", 4) != 0)
			continue;
		parse_test(&t, buf, buf + get32(head + 4));
		run_test(m, &t, argc > 2 ? argv[2] : NULL, &totals);
	}
	pclose(f);
	for (uint32_t i = 0; i < RAM_BYTES && !totals.failed; i++) {
		if (m->phys.ram[i]) {
			printf("a byte was left at %06X: an instruction stored where the 286 did not\n", i);
			totals.failed++;
		}
	}
	for (unsigned i = 0; i < I_COUNT; i++)
		if (totals.by_name[i])
			printf("%-8s %lu tests differ\n", i == I_INVALID ? "invalid" : insn_info[i].mnemonic, totals.by_name[i]);
	printf("%lu tests, %lu differ, %lu not run\n", totals.run, totals.failed, totals.skipped);
	machine_free(m);
	return totals.failed || !totals.run ? 1 : 0;
}
