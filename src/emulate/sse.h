/*
 * What the MMX and SSE handlers share: operands, and the two-operand instructions that touch no
 * flag and no MXCSR, each run as itself on the host.
 */
#ifndef PLEX86_EMULATE_SSE_H
#define PLEX86_EMULATE_SSE_H

#include "emulate/fpu.h"

/* d op= s, by the instruction itself. Vectors come and go through memory: the caller's stay aligned. */
typedef void mmx_op(uint64_t *d, const uint64_t *s);
typedef void sse_op(fpu_slot *d, const fpu_slot *s);

#define DEFINE_MMX_OP(name, op_text)							\
static void mmx_##name(uint64_t *d, const uint64_t *s)					\
{											\
	asm volatile("movq %0, %%mm0\n\t" op_text " %1, %%mm0\n\tmovq %%mm0, %0\n\temms"	\
	    : "+m"(*d) : "m"(*s) : "mm0", "st");					\
}
#define DEFINE_SSE_OP(name, op_text)							\
static void sse_##name(fpu_slot *d, const fpu_slot *s)					\
{											\
	asm volatile(op_text " %1, %0" : "+x"(*d) : "x"(*s));				\
}

static inline fpu_slot *xmm(struct vcpu *cpu, unsigned i)
{
	return (fpu_slot *)cpu->fx.xmm[i];
}

/* A memory source, zero-extended to 16 bytes. m128 must be aligned; MOVUPS and its like load by themselves. */
static inline fpu_slot sse_load(struct vcpu *cpu, const struct insn *in, unsigned size)
{
	const uint32_t off = insn_ea(cpu, in);
	fpu_slot v = { 0, 0 };

	switch (size) {
	case 2:
		v[0] = mem_read16(cpu, in->seg, off);
		break;
	case 4:
		v[0] = mem_read32(cpu, in->seg, off);
		break;
	case 8:
		v[0] = (long long)mem_read64(cpu, in->seg, off);
		break;
	default:
		sse_check_aligned(cpu, in);
		lin_load(cpu, fpu_lin(cpu, in, 16, false), &v, 16);
	}
	return v;
}

/* Any source operand, zero-extended. For an MMX register, mmx_begin() comes first. */
static inline fpu_slot sse_source(struct vcpu *cpu, const struct insn *in, const struct operand *o)
{
	switch (o->kind) {
	case OPND_XMM:
		return *xmm(cpu, o->reg);
	case OPND_MMX:
		return (fpu_slot){ (long long)mmx_get(&cpu->fx, o->reg), 0 };
	case OPND_REG:
		return (fpu_slot){ cpu->gpr[o->reg], 0 };
	case OPND_IMM:
		return (fpu_slot){ in->imm, 0 };
	default:
		return sse_load(cpu, in, o->size);
	}
}

/* --- mmx.c --- */
void mmx_binary(struct vcpu *cpu, const struct insn *in, mmx_op *op);
/* --- sse.c --- */
void sse_binary(struct vcpu *cpu, const struct insn *in, sse_op *op);

#endif
