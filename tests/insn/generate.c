/*
 * Random cases, place by place of the opcode map: opcode (one- or two-byte) and ModRM.reg are given,
 * the rest is chosen so that addresses meet the windows about as often as they miss.
 */
#include "tests/insn/insn.h"

#include <string.h>

uint32_t random_next(struct random *r)
{
	r->s ^= r->s << 13;
	r->s ^= r->s >> 7;
	r->s ^= r->s << 17;
	return (uint32_t)(r->s * 0x2545F4914F6CDD1Dull >> 32);
}

uint16_t random_selector(struct random *r)
{
	uint32_t n = random_below(r, LDT_COUNT + 4);

	if (n < 2)
		return (uint16_t)random_below(r, 4);		/* null, with an RPL */
	if (n < 4)
		return (uint16_t)(LDT_COUNT + random_below(r, 100)) << 3 | 7;	/* past the LDT's limit */
	return (uint16_t)((n - 4) << 3 | 4 | (random_below(r, 4) ? 3 : random_below(r, 4)));
}

bool uses_selectors(const struct insn *in)
{
	switch (in->name) {
	case I_JMPF: case I_CALLF: case I_RETF: case I_IRET: case I_LAR: case I_LSL: case I_VERR: case I_VERW:
	case I_LES: case I_LDS: case I_LSS: case I_LFS: case I_LGS:
		return true;
	default:
		return (in->name == I_MOV || in->name == I_POP) && in->opnd[0].kind == OPND_SREG;
	}
}

/* No trap comes between these and the next instruction. */
static bool loads_ss(const struct insn *in)
{
	return in->name == I_LSS || ((in->name == I_MOV || in->name == I_POP) && in->opnd[0].kind == OPND_SREG &&
	    in->opnd[0].reg == SEG_SS);
}

/* A number as instructions are sensitive to: often an offset into the window, or near an end of a range. */
static uint32_t random_value(struct random *r)
{
	static const uint32_t edges[] = {
		0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000,
		0x80000001, 0xFFFFFF80, 0xFFFF8000, 0xFFFFFFFF, 0x99, 0x9A,
	};
	uint32_t at;

	switch (random_below(r, 8)) {
	case 0: case 1:
		return random_next(r);
	case 2:
		at = edges[random_below(r, ARRAY_LEN(edges))];
		return at + random_below(r, 3) - 1;
	case 3:
		return random_below(r, 64);
	case 4:				/* around a page border */
		at = random_below(r, WINDOW_PAGES) * PAGE_BYTES;
		return at + random_below(r, 16) - 8;
	default:
		return random_below(r, WINDOW_BYTES);
	}
}

const char *excluded(const struct insn *in)
{
	bool rep = in->prefix & (PREFIX_REP | PREFIX_REPNE);

	switch (in->name) {
	case I_INT: case I_SYSENTER: case I_SYSEXIT:
		return "would enter the host's kernel";
	case I_CPUID: case I_RDTSC: case I_RDPMC:
		return "answers from the host";
	case I_SGDT: case I_SIDT: case I_SLDT: case I_STR: case I_SMSW:
		return "answers from the host's tables, or its kernel's emulation of them";
	case I_INT1: case I_INT3:
		return "the test's own means";
	case I_MASKMOVQ: case I_MASKMOVDQU:
		return "which of the bytes not stored may fault is the implementation's";
	case I_BSF: case I_BSR:
		return in->prefix & PREFIX_REP ? "TZCNT, LZCNT on the host" : NULL;
	case I_NOP: case I_CLFLUSH: case I_WBINVD: case I_INVD: case I_FXSAVE: case I_FXRSTOR: case I_LDMXCSR:
	case I_STMXCSR: case I_SFENCE: case I_LFENCE: case I_MFENCE: case I_PREFETCH:
		return in->prefix & PREFIX_OPSIZE || rep ? "a newer instruction on the host" : NULL;
	default:
		return NULL;
	}
}

/* CR2 within the page goes by the parts these are made of, which tier 0 does not follow. */
bool wide_operand(const struct insn *in)
{
	unsigned size = in->opnd[0].kind == OPND_MEM ? in->opnd[0].size : in->opnd[1].size;

	return in->name == I_FXSAVE || in->name == I_FXRSTOR || size == 10 || size == 14 || size > 16;
}

/* An x87 image that wraps at 64 KiB and faults on the way: which of its parts faults first, and how
 * much is stored by then, is not followed. FXSAVE's order of #AC and other faults neither. */
static bool which_fault(const struct insn_case *c)
{
	const struct insn *in = &c->in;
	const uint32_t *gpr = c->before.gpr;
	uint32_t ea = (uint32_t)in->disp + (in->base == REG_NONE ? 0 : gpr[in->base]) +
	    (in->index == REG_NONE ? 0 : gpr[in->index]);

	return wide_operand(in) && in->adsize == 2 && (uint16_t)ea > 0x10000 - 512 &&
	    (ea & 3 || c->before.eflags & EFLAGS_AC || c->before.seg[in->seg] != LDT_SELECTOR(LDT_DATA32));
}

static unsigned put_prefixes(struct random *r, uint8_t *code)
{
	static const uint8_t segments[] = { 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65 };
	unsigned n = 0;

	if (one_in(r, 4))
		code[n++] = segments[random_below(r, 6)];
	if (one_in(r, 3))
		code[n++] = 0x66;
	if (one_in(r, 4))
		code[n++] = 0x67;
	if (one_in(r, 4))
		code[n++] = one_in(r, 2) ? 0xF2 : 0xF3;
	if (one_in(r, 24))
		code[n++] = 0xF0;
	return n;
}

static void put_code(struct random *r, unsigned place, struct insn_case *c)
{
	unsigned n = put_prefixes(r, c->code);
	uint32_t tail;

	if (place & 0x800)
		c->code[n++] = 0x0F;
	c->code[n++] = (uint8_t)(place >> 3);
	c->code[n] = (uint8_t)(random_below(r, 4) << 6 | (place & 7) << 3);
	c->code[n++] |= (uint8_t)random_below(r, 8);
	while (n < sizeof(c->code)) {
		tail = one_in(r, 8) ? DATA_BASE + random_below(r, WINDOW_BYTES) : random_value(r);
		memcpy(c->code + n, &tail, MIN(4u, sizeof(c->code) - n));
		n += 1 + random_below(r, 4);
	}
}

static void put_fx(struct random *r, struct fxstate *fx)
{
	for (unsigned i = 0; i < 416 / 4; i++)
		((uint32_t *)fx)[i] = random_next(r);
	fx->fcw = 0x37F;
	fx->fsw = 0;
	fx->ftw = 0;
	fx->rsvd = 0;
	fx->fop = 0;
	fx->fip = fx->fdp = 0;
	fx->fcs = fx->fds = fx->rsvd2 = fx->rsvd3 = 0;
	fx->mxcsr = 0x1F80;
	fx->mxcsr_mask = 0;
	for (unsigned i = 0; i < 8; i++)
		memset(fx->st[i] + 10, 0, 6);
}

/* All segments from 0 to 4 GiB: registers and displacements point into the windows by themselves. */
static void put_flat(struct random *r, struct insn_case *c)
{
	struct insn_state *s = &c->before;

	for (unsigned i = 0; i < 6; i++)
		s->seg[i] = LDT_SELECTOR(i == SEG_CS ? LDT_FLAT_CODE : LDT_FLAT_DATA);
	s->eip += CODE_BASE;
	for (unsigned i = 0; i < 8; i++)
		if (i != REG_ECX && !one_in(r, 4))
			s->gpr[i] = s->gpr[i] % WINDOW_BYTES + DATA_BASE;
}

static void put_segments(struct random *r, struct insn_case *c)
{
	uint16_t *seg = c->before.seg;
	uint16_t data = LDT_SELECTOR(one_in(r, 2) ? LDT_DATA32 : LDT_DATA16);

	if (c->big && one_in(r, 2)) {
		if (one_in(r, 2)) {
			put_flat(r, c);
			return;
		}
		for (unsigned i = 0; i < 6; i++)
			seg[i] = i == SEG_CS ? LDT_SELECTOR(LDT_WIDE_CODE) : !one_in(r, 4) ? LDT_SELECTOR(LDT_WIDE_DATA) :
			    i == SEG_SS ? LDT_SELECTOR(LDT_DATA32) : data;
		return;
	}
	seg[SEG_CS] = LDT_SELECTOR(c->big ? LDT_CODE32 : LDT_CODE16);
	seg[SEG_SS] = LDT_SELECTOR(one_in(r, 8) ? LDT_DOWN : one_in(r, 3) ? LDT_DATA16 : LDT_DATA32);
	seg[SEG_DS] = one_in(r, 8) ? LDT_SELECTOR(LDT_DATA32 + random_below(r, 5)) : data;
	seg[SEG_ES] = one_in(r, 8) ? LDT_SELECTOR(LDT_DATA32 + random_below(r, 5)) : data;
	seg[SEG_FS] = one_in(r, 8) ? 0 : data;
	seg[SEG_GS] = one_in(r, 8) ? LDT_SELECTOR(LDT_SMALL) : data;
}

/* Selectors in a register operand or a far pointer; memory is the caller's. */
static void put_selectors(struct random *r, struct insn_case *c)
{
	struct insn_state *s = &c->before;
	uint16_t selector = random_selector(r);

	if (c->in.opnd[0].kind == OPND_FAR) {
		memcpy(c->code + c->len - 2, &selector, 2);
		if (one_in(r, 2))
			memset(c->code + c->len - c->in.opsize, 0, (unsigned)c->in.opsize - 2);
		decode_insn(&c->in, c->code, 15, c->big);
	}
	for (unsigned n = 0; n < c->in.nopnd; n++)
		if (c->in.opnd[n].kind == OPND_REG)
			s->gpr[c->in.opnd[n].reg] = (s->gpr[c->in.opnd[n].reg] & 0xFFFF0000) | selector;
	if (c->in.name == I_RETF || c->in.name == I_IRET || c->in.name == I_POP)
		s->gpr[REG_ESP] &= ~1u;
}

void run_to_the_end(struct insn_case *c)
{
	c->to_the_end = true;
	c->before.eflags &= ~(uint32_t)EFLAGS_TF;
}

bool generate_case(struct random *r, unsigned place, struct insn_case *c)
{
	struct insn_state *s = &c->before;
	struct insn unlocked;

	memset(c, 0, sizeof(*c));
	c->big = one_in(r, 3) ? false : true;
	put_code(r, place, c);
	enum decode_error e = decode_insn(&c->in, c->code, 15, c->big);
	if (e == DECODE_UD && c->in.prefix & PREFIX_LOCK) {	/* is LOCK all that is wrong with it? */
		uint8_t code[16];
		unsigned at = (unsigned)((uint8_t *)memchr(c->code, 0xF0, 16) - c->code);
		memcpy(code, c->code, at);
		memcpy(code + at, c->code + at + 1, 15 - at);
		if (decode_insn(&unlocked, code, 14, c->big) != DECODE_OK || excluded(&unlocked))
			return false;
		c->in.len = (uint8_t)(unlocked.len + 1);
	} else if (e != DECODE_OK) {
		return false;
	}
	c->len = c->in.len;
	memset(c->code + c->len, 0xCC, sizeof(c->code) - c->len);

	for (unsigned i = 0; i < 8; i++)
		s->gpr[i] = random_value(r);
	if (one_in(r, 2))
		s->gpr[REG_ESP] = random_below(r, WINDOW_BYTES) & ~3u;
	s->eip = 0x100 + random_below(r, 0x1000);
	if (one_in(r, 8)) {
		s->eip = random_below(r, WINDOW_PAGES) * PAGE_BYTES + PAGE_BYTES;
		s->eip -= random_below(r, c->len + 2);
	}
	s->eip &= WINDOW_BYTES - 1;
	if (s->eip / PAGE_BYTES == CODE_HOLE)
		s->eip = 0x100;
	s->eflags = EFLAGS_FIXED1 | EFLAGS_IF | EFLAGS_TF | (random_next(r) & (EFLAGS_ARITH | EFLAGS_DF));
	if (one_in(r, 16) && c->in.name != I_FXSAVE && c->in.name != I_FXRSTOR)
		s->eflags |= EFLAGS_AC;
	if (uses_selectors(&c->in))
		put_selectors(r, c);
	bool rep = c->in.name >= I_MOVS && c->in.name <= I_SCAS && c->in.prefix & (PREFIX_REP | PREFIX_REPNE);
	if (rep && !one_in(r, 4) && s->eip < CODE_HOLE * PAGE_BYTES - 32) {
		run_to_the_end(c);
	} else if (loads_ss(&c->in)) {
		s->eip = 0x100 + random_below(r, 0x1000);
		run_to_the_end(c);
	}
	put_segments(r, c);
	put_fx(r, &s->fx);
	return !which_fault(c);
}
