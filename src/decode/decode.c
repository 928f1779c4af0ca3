/*
 * Decoder: bytes -> struct insn.			[SDM 2, "Instruction Format"; opcode map: SDM 2, appendix A]
 *
 * Prefixes, opcode, ModRM, SIB, displacement, immediates, in this order; the opcode (and for groups
 * the ModRM byte) leads through insn_slots[] to a row of insn.def, whose operand codes say the rest.
 * What a Pentium 4 with SSE2 decodes, in 16- and 32-bit code.
 * Left out: SSE3 but for FISTTP (what is announced is CPUID's business); VEX, XOP, EVEX; 64-bit mode.
 */
#include "decode/opcode.h"

enum { INSN_MAX_BYTES = 15 };

/* Reading past the end gives zeros and is noted in out: checked where a decision hangs on it. */
struct cursor {
	const uint8_t *at, *end;
	bool out;
};

static uint8_t fetch8(struct cursor *c)
{
	if (unlikely(c->at == c->end)) {
		c->out = true;
		return 0;
	}
	return *c->at++;
}

static uint32_t fetch(struct cursor *c, unsigned bytes)
{
	uint32_t val = 0;

	if (unlikely((size_t)(c->end - c->at) < bytes)) {
		c->at = c->end;
		c->out = true;
		return 0;
	}
	for (unsigned i = 0; i < bytes; i++)
		val |= (uint32_t)c->at[i] << (8 * i);
	c->at += bytes;
	return val;
}

static uint32_t sign_extend(uint32_t val, unsigned bytes)
{
	unsigned unused = 32 - 8 * bytes;
	return (uint32_t)((int32_t)(val << unused) >> unused);
}

/* --- prefixes --- */

enum { PFX_NONE, PFX_SEG, PFX_OPSIZE, PFX_ADSIZE, PFX_LOCK, PFX_REPNE, PFX_REP };

static const uint8_t prefix_class[256] = {
	[0x26] = PFX_SEG, [0x2E] = PFX_SEG, [0x36] = PFX_SEG, [0x3E] = PFX_SEG,
	[0x64] = PFX_SEG, [0x65] = PFX_SEG, [0x66] = PFX_OPSIZE, [0x67] = PFX_ADSIZE,
	[0xF0] = PFX_LOCK, [0xF2] = PFX_REPNE, [0xF3] = PFX_REP,
};

static void note_prefix(struct insn *in, uint8_t byte)
{
	switch (prefix_class[byte]) {
	case PFX_SEG:
		in->prefix |= PREFIX_SEG;
		in->seg = byte < 0x64 ? byte >> 3 & 3 : byte - 0x64 + SEG_FS;
		break;
	case PFX_OPSIZE:
		in->prefix |= PREFIX_OPSIZE;
		break;
	case PFX_ADSIZE:
		in->prefix |= PREFIX_ADSIZE;
		break;
	case PFX_LOCK:
		in->prefix |= PREFIX_LOCK;
		break;
	case PFX_REPNE:		/* the last of F2 and F3 wins */
		in->prefix = (in->prefix & ~PREFIX_REP) | PREFIX_REPNE;
		break;
	case PFX_REP:
		in->prefix = (in->prefix & ~PREFIX_REPNE) | PREFIX_REP;
		break;
	}
}

/* Reads up to and including the first byte that is no prefix; returns it. */
static uint8_t decode_prefixes(struct insn *in, struct cursor *c, bool big)
{
	uint8_t byte;

	in->seg = SEG_DS;
	while (prefix_class[byte = fetch8(c)] != PFX_NONE)
		note_prefix(in, byte);
	in->opsize = big == !(in->prefix & PREFIX_OPSIZE) ? 4 : 2;
	in->adsize = big == !(in->prefix & PREFIX_ADSIZE) ? 4 : 2;
	return byte;
}

/* --- memory operands --- */

/* [SDM 2, "16-Bit Addressing Forms with the ModR/M Byte"] */
static void decode_mem16(struct insn *in, struct cursor *c)
{
	static const uint8_t base[8] = {
		REG_EBX, REG_EBX, REG_EBP, REG_EBP, REG_ESI, REG_EDI, REG_EBP, REG_EBX,
	};
	static const uint8_t index[8] = {
		REG_ESI, REG_EDI, REG_ESI, REG_EDI, REG_NONE, REG_NONE, REG_NONE, REG_NONE,
	};
	unsigned mod = in->modrm >> 6, rm = in->modrm & 7;

	in->base = base[rm];
	in->index = index[rm];
	if (mod == 0 && rm == 6) {
		in->base = REG_NONE;
		mod = 2;
	}
	if (mod != 0)
		in->disp = (int32_t)sign_extend(fetch(c, mod), mod);	/* mod 1: one byte, 2: two */
	if (in->base == REG_EBP && !(in->prefix & PREFIX_SEG))
		in->seg = SEG_SS;
}

/* [SDM 2, "32-Bit Addressing Forms with the ModR/M Byte", "... with the SIB Byte"] */
static void decode_mem32(struct insn *in, struct cursor *c)
{
	unsigned mod = in->modrm >> 6;

	in->base = in->modrm & 7;
	if (in->base == REG_ESP) {
		uint8_t sib = fetch8(c);

		in->base = sib & 7;
		if ((sib >> 3 & 7) != REG_ESP) {
			in->index = sib >> 3 & 7;
			in->scale = sib >> 6;
		}
	}
	if (mod == 0 && in->base == REG_EBP) {
		in->base = REG_NONE;
		mod = 2;
	}
	if (mod == 1)
		in->disp = (int8_t)fetch8(c);
	else if (mod == 2)
		in->disp = (int32_t)fetch(c, 4);
	if ((in->base == REG_ESP || in->base == REG_EBP) && !(in->prefix & PREFIX_SEG))
		in->seg = SEG_SS;
}

/* --- operands --- */

enum operand_how {
	HOW_NONE, HOW_FIXED, HOW_ONE, HOW_OPCODE_REG, HOW_STRING, HOW_IMM, HOW_IMM_SIGNED, HOW_IMM2,
	HOW_REL, HOW_FAR, HOW_MOFFS, HOW_REG_FIELD, HOW_RM_REG, HOW_RM,
};

/* Sizes: as they are up to 16; then those that depend on the operand-size attribute. */
enum { SIZE_V = 17, SIZE_FAR, SIZE_PAIR, SIZE_ENV, SIZE_STATE, SIZE_COUNT };

/* kind is that of the register form; arg: the register of HOW_FIXED, or the size of a memory form
 * that differs from the register's (0: the same). */
struct operand_rule {
	uint8_t how, kind, size, arg;
};

#define FIXED(kind, reg, size)	{ HOW_FIXED, kind, size, reg }
#define MEM_ONLY(size)		{ HOW_RM, OPND_MEM, size, 0 }

static const struct operand_rule operand_rules[C_COUNT] = {
	[C_AL] = FIXED(OPND_REG, REG_AL, 1),
	[C_CL] = FIXED(OPND_REG, REG_CL, 1),
	[C_AX] = FIXED(OPND_REG, REG_EAX, 2),
	[C_DX] = FIXED(OPND_REG, REG_EDX, 2),
	[C_eAX] = FIXED(OPND_REG, REG_EAX, SIZE_V),
	[C_ES] = FIXED(OPND_SREG, SEG_ES, 2),
	[C_CS] = FIXED(OPND_SREG, SEG_CS, 2),
	[C_SS] = FIXED(OPND_SREG, SEG_SS, 2),
	[C_DS] = FIXED(OPND_SREG, SEG_DS, 2),
	[C_FS] = FIXED(OPND_SREG, SEG_FS, 2),
	[C_GS] = FIXED(OPND_SREG, SEG_GS, 2),
	[C_ST0] = FIXED(OPND_ST, 0, 10),
	[C_One] = { HOW_ONE, OPND_ONE, 1, 0 },
	[C_Zb] = { HOW_OPCODE_REG, OPND_REG, 1, 0 },
	[C_Zv] = { HOW_OPCODE_REG, OPND_REG, SIZE_V, 0 },
	[C_StrB] = { HOW_STRING, OPND_NONE, 1, 0 },
	[C_StrV] = { HOW_STRING, OPND_NONE, SIZE_V, 0 },
	[C_Ib] = { HOW_IMM, OPND_IMM, 1, 0 },
	[C_Iw] = { HOW_IMM, OPND_IMM, 2, 0 },
	[C_Iz] = { HOW_IMM, OPND_IMM, SIZE_V, 0 },
	[C_sIb] = { HOW_IMM_SIGNED, OPND_IMM, SIZE_V, 0 },
	[C_I2b] = { HOW_IMM2, OPND_IMM2, 1, 0 },
	[C_Jb] = { HOW_REL, OPND_REL, 1, 0 },
	[C_Jz] = { HOW_REL, OPND_REL, SIZE_V, 0 },
	[C_Ap] = { HOW_FAR, OPND_FAR, SIZE_FAR, 0 },
	[C_Ob] = { HOW_MOFFS, OPND_MEM, 1, 0 },
	[C_Ov] = { HOW_MOFFS, OPND_MEM, SIZE_V, 0 },
	[C_Eb] = { HOW_RM, OPND_REG, 1, 0 },
	[C_Ew] = { HOW_RM, OPND_REG, 2, 0 },
	[C_Ed] = { HOW_RM, OPND_REG, 4, 0 },
	[C_Ev] = { HOW_RM, OPND_REG, SIZE_V, 0 },
	[C_RvMw] = { HOW_RM, OPND_REG, SIZE_V, 2 },
	[C_RdMw] = { HOW_RM, OPND_REG, 4, 2 },
	[C_RdAny] = { HOW_RM_REG, OPND_REG, 4, 0 },
	[C_Gb] = { HOW_REG_FIELD, OPND_REG, 1, 0 },
	[C_Gw] = { HOW_REG_FIELD, OPND_REG, 2, 0 },
	[C_Gd] = { HOW_REG_FIELD, OPND_REG, 4, 0 },
	[C_Gv] = { HOW_REG_FIELD, OPND_REG, SIZE_V, 0 },
	[C_M] = MEM_ONLY(0),
	[C_Mb] = MEM_ONLY(1),
	[C_Mw] = MEM_ONLY(2),
	[C_Md] = MEM_ONLY(4),
	[C_Mq] = MEM_ONLY(8),
	[C_Mt] = MEM_ONLY(10),
	[C_Mx] = MEM_ONLY(16),
	[C_Mp] = MEM_ONLY(SIZE_FAR),
	[C_Ms] = MEM_ONLY(6),
	[C_Ma] = MEM_ONLY(SIZE_PAIR),
	[C_Menv] = MEM_ONLY(SIZE_ENV),
	[C_Mstate] = MEM_ONLY(SIZE_STATE),
	[C_Sw] = { HOW_REG_FIELD, OPND_SREG, 2, 0 },
	[C_Cd] = { HOW_REG_FIELD, OPND_CR, 4, 0 },
	[C_Dd] = { HOW_REG_FIELD, OPND_DR, 4, 0 },
	[C_Pq] = { HOW_REG_FIELD, OPND_MMX, 8, 0 },
	[C_Qd] = { HOW_RM, OPND_MMX, 8, 4 },
	[C_Qq] = { HOW_RM, OPND_MMX, 8, 0 },
	[C_Nq] = { HOW_RM_REG, OPND_MMX, 8, 0 },
	[C_Vx] = { HOW_REG_FIELD, OPND_XMM, 16, 0 },
	[C_Wd] = { HOW_RM, OPND_XMM, 16, 4 },
	[C_Wq] = { HOW_RM, OPND_XMM, 16, 8 },
	[C_Wx] = { HOW_RM, OPND_XMM, 16, 0 },
	[C_Ux] = { HOW_RM_REG, OPND_XMM, 16, 0 },
	[C_STi] = { HOW_RM_REG, OPND_ST, 10, 0 },
};

/* [opsize == 4][size of the rule] */
static const uint8_t operand_size[2][SIZE_COUNT] = {
	{ 0, 1, 2, [4] = 4, [6] = 6, [8] = 8, [10] = 10, [16] = 16,
	  [SIZE_V] = 2, [SIZE_FAR] = 4, [SIZE_PAIR] = 4, [SIZE_ENV] = 14, [SIZE_STATE] = 94 },
	{ 0, 1, 2, [4] = 4, [6] = 6, [8] = 8, [10] = 10, [16] = 16,
	  [SIZE_V] = 4, [SIZE_FAR] = 6, [SIZE_PAIR] = 8, [SIZE_ENV] = 28, [SIZE_STATE] = 108 },
};

static void decode_operand(struct insn *in, struct cursor *c, struct operand *o, uint8_t code)
{
	const struct operand_rule *rule = &operand_rules[code];

	o->kind = rule->kind;
	o->size = operand_size[in->opsize >> 2][rule->size];
	switch (rule->how) {
	case HOW_FIXED:
		o->reg = rule->arg;
		break;
	case HOW_OPCODE_REG:
		o->reg = in->opcode & 7;
		break;
	case HOW_REG_FIELD:
		o->reg = in->modrm >> 3 & 7;
		break;
	case HOW_RM:
		if (in->modrm < 0xC0) {
			o->kind = OPND_MEM;
			if (rule->arg != 0)
				o->size = rule->arg;
			break;
		}
		/* fall through */
	case HOW_RM_REG:
		o->reg = in->modrm & 7;
		break;
	case HOW_IMM:
		in->imm = fetch(c, o->size);
		break;
	case HOW_IMM_SIGNED:
		in->imm = sign_extend(fetch8(c), 1);
		break;
	case HOW_IMM2:
		in->imm2 = fetch8(c);
		break;
	case HOW_REL:
		in->imm = sign_extend(fetch(c, o->size), o->size);
		o->size = in->opsize;
		break;
	case HOW_FAR:
		in->imm = fetch(c, in->opsize);
		in->imm2 = fetch(c, 2);
		break;
	case HOW_MOFFS:
		in->disp = (int32_t)sign_extend(fetch(c, in->adsize), in->adsize);
		break;
	}
}

/* --- the opcode --- */

/* [SDM 2, "Prefixes": 66, F3 and F2 as mandatory prefixes; F3 and F2 go before 66] */
static unsigned mandatory_column(uint8_t prefix)
{
	if (prefix & PREFIX_REP)
		return COLUMN_F3;
	if (prefix & PREFIX_REPNE)
		return COLUMN_F2;
	return prefix & PREFIX_OPSIZE ? COLUMN_66 : COLUMN_NP;
}

/* Find the row; reads the second opcode byte, and ModRM where the row hangs on it or wants it. */
static const struct insn_row *decode_opcode(struct insn *in, struct cursor *c)
{
	unsigned slot = SLOT_ONE + in->opcode;
	bool have_modrm = true;

	if (in->opcode == 0x0F) {
		in->opcode = fetch8(c);
		slot = COLUMN(in->opcode, mandatory_column(in->prefix));
	} else if (in->opcode >= 0xD8 && in->opcode <= 0xDF) {
		in->modrm = fetch8(c);
		slot = in->modrm < 0xC0 ? FM(in->opcode, in->modrm >> 3 & 7) : FR(in->opcode, in->modrm);
		in->row = insn_slots[slot];
		return &insn_rows[in->row];
	} else if (in->opcode == 0x90 && (in->prefix & PREFIX_REP)) {
		slot = SLOT_PAUSE;
	}

	uint16_t val = insn_slots[slot];
	if (val & SLOT_IS_GROUP) {
		in->modrm = fetch8(c);
		val = insn_slots[GRPM(val & ~SLOT_IS_GROUP, in->modrm >> 3 & 7) + (in->modrm >= 0xC0)];
	} else if (val & SLOT_IS_SPLIT) {
		in->modrm = fetch8(c);
		val = insn_slots[SPLITM(val & ~SLOT_IS_SPLIT) + (in->modrm >= 0xC0)];
	} else {
		have_modrm = false;
	}
	in->row = val;
	if (!have_modrm && (insn_rows[val].attr & ROW_MODRM))
		in->modrm = fetch8(c);
	return &insn_rows[val];
}

/* Is the ModRM byte one that this row allows? */
static bool form_valid(const struct insn *in, uint16_t attr)
{
	unsigned reg = in->modrm >> 3 & 7;

	if (attr & (in->modrm < 0xC0 ? ROW_REG_ONLY : ROW_MEM_ONLY))
		return false;
	if (likely(!(attr & (ROW_SREG | ROW_NOCS | ROW_CR))))
		return true;
	if ((attr & ROW_SREG) && reg > SEG_GS)
		return false;
	if ((attr & ROW_NOCS) && reg == SEG_CS)
		return false;
	return !(attr & ROW_CR) || (BIT(reg) & (BIT(0) | BIT(2) | BIT(3) | BIT(4)));
}

static enum decode_error invalid(struct insn *in, const uint8_t *code, const struct cursor *c)
{
	in->name = I_INVALID;
	in->len = c->at - code;
	return DECODE_UD;
}

static enum decode_error ran_out(struct insn *in, const uint8_t *code, const struct cursor *c)
{
	in->name = I_INVALID;
	in->len = c->at - code;
	return c->end - code == INSN_MAX_BYTES ? DECODE_TOO_LONG : DECODE_SHORT;
}

enum decode_error decode_insn(struct insn *in, const uint8_t *code, size_t avail, bool big)
{
	struct cursor c = { code, code + MIN(avail, (size_t)INSN_MAX_BYTES), false };

	*in = (struct insn){ .base = REG_NONE, .index = REG_NONE };
	in->opcode = decode_prefixes(in, &c, big);
	const struct insn_row *row = decode_opcode(in, &c);
	if (unlikely(c.out))
		return ran_out(in, code, &c);
	if (unlikely(row->name == I_INVALID))
		return invalid(in, code, &c);
	in->name = row->name;

	if (row->attr & ROW_MODRM) {
		if (unlikely(!form_valid(in, row->attr)))
			return invalid(in, code, &c);
		if (in->modrm < 0xC0 && !(row->attr & (ROW_CR | ROW_DR))) {
			if (in->adsize == 2)
				decode_mem16(in, &c);
			else
				decode_mem32(in, &c);
		}
	}
	for (unsigned i = 0; i < 3 && row->code[i] != C_; i++) {
		decode_operand(in, &c, &in->opnd[i], row->code[i]);
		in->nopnd += in->opnd[i].kind != OPND_NONE;
	}
	if (row->attr & ROW_COND)
		in->cond = in->opcode & 15;
	else if (row->attr & ROW_FCOND)
		in->cond = (in->opcode & 1) << 2 | (in->modrm >> 3 & 3);

	if (unlikely(c.out))
		return ran_out(in, code, &c);
	/* [SDM 2, "LOCK": only these, and only with a memory destination] */
	if (unlikely(in->prefix & PREFIX_LOCK) &&
	    !((row->attr & ROW_LOCK) && in->opnd[0].kind == OPND_MEM))
		return invalid(in, code, &c);
	in->len = c.at - code;
	return DECODE_OK;
}
