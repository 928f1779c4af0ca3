/*
 * What one instruction does to EFLAGS, and whether it may run at CPL 3: insn.def's columns made exact.
 *										[SDM 2, "Flags Affected" of each]
 */
#include "decode/decode.h"

enum { COUNT_UNKNOWN = 32 };		/* in CL */

/* Masked as the processor does. */
static unsigned shift_count(const struct insn *in)
{
	const struct operand *o = &in->opnd[in->nopnd - 1];

	if (o->kind == OPND_ONE)
		return 1;
	return o->kind == OPND_IMM ? in->imm & 31 : COUNT_UNKNOWN;
}

/* ROL, ROR, RCL, RCR: C always, O defined for a count of 1 alone, the others stay. */
static void rotate_flags(const struct insn *in, struct insn_flags *f)
{
	bool through_carry = in->name == I_RCL || in->name == I_RCR;

	switch (shift_count(in)) {
	case 0:
		*f = (struct insn_flags){ 0, 0, 0, 0 };
		break;
	case 1:
		f->reads = through_carry ? FLAG_C : 0;
		f->writes = f->kills = FLAG_C | FLAG_O;
		break;
	case COUNT_UNKNOWN:
		f->reads = FLAG_C | FLAG_O;
		f->writes = FLAG_C;
		f->undef = FLAG_O;
		f->kills = 0;
		break;
	default:
		f->reads = through_carry ? FLAG_C : 0;
		f->writes = f->kills = FLAG_C;
		f->undef = FLAG_O;	/* some processors keep it: not killed */
	}
}

/* SHL, SHR, SAR, SHLD, SHRD: all, but O is defined for a count of 1 alone, A never, C only if a bit of
 * the operand was the last one out. */
static void shift_flags(const struct insn *in, struct insn_flags *f)
{
	unsigned count = shift_count(in), bits = 8u * in->opnd[0].size;
	bool is_double = in->name == I_SHLD || in->name == I_SHRD;

	f->reads = count == COUNT_UNKNOWN ? FLAG_ARITH : 0;
	f->writes = FLAG_C | FLAG_S | FLAG_Z | FLAG_P;
	f->undef = FLAG_A | FLAG_O;
	f->kills = count == COUNT_UNKNOWN ? 0 : FLAG_ARITH;
	if (count == 0) {
		*f = (struct insn_flags){ 0, 0, 0, 0 };
	} else if (count == 1) {
		f->writes |= FLAG_O;
		f->undef = FLAG_A;
	} else if (is_double && count > bits) {		/* unknown counts too */
		f->writes = 0;
		f->undef = FLAG_ARITH;
	} else if (!is_double && in->name != I_SAR && count >= bits && bits < 32) {
		f->writes &= ~FLAG_C;
		f->undef |= FLAG_C;
	}
}

static uint16_t fcmov_reads(unsigned cond)
{
	static const uint16_t reads[4] = { FLAG_C, FLAG_Z, FLAG_C | FLAG_Z, FLAG_P };
	return reads[cond & 3];
}

struct insn_flags insn_flags(const struct insn *in)
{
	const struct insn_info *info = &insn_info[in->name];
	struct insn_flags f = { info->reads, info->writes, info->undef, info->writes };

	switch (in->name) {
	case I_JCC: case I_SETCC: case I_CMOVCC:
		f.reads = cond_reads(in->cond);
		break;
	case I_FCMOVCC:
		f.reads = fcmov_reads(in->cond);
		break;
	case I_CMPS: case I_SCAS:
		if (!(in->prefix & (PREFIX_REP | PREFIX_REPNE)))
			f.reads = FLAG_D;
		break;
	case I_ROL: case I_ROR: case I_RCL: case I_RCR:
		rotate_flags(in, &f);
		break;
	case I_SHL: case I_SHR: case I_SAR: case I_SHLD: case I_SHRD:
		shift_flags(in, &f);
		break;
	case I_AND: case I_OR: case I_XOR: case I_TEST: case I_MUL: case I_IMUL:
		f.kills |= f.undef;
		break;
	}
	return f;
}

enum virt insn_virt(const struct insn *in)
{
	for (unsigned i = 0; i < in->nopnd; i++)
		if (in->opnd[i].kind == OPND_SREG)
			return VIRT_SILENT;
	return insn_info[in->name].virt;
}
