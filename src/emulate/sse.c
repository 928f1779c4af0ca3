/*
 * SSE and SSE2: moves, shuffles, logic; nothing here looks at MXCSR.
 *			[SDM 1, "Programming with Streaming SIMD Extensions", "... Extensions 2"]
 *
 * The integer instructions that MMX has too are in mmx.c, arithmetic is in sse_fp.c.
 */
#include "emulate/sse.h"

void sse_binary(struct vcpu *cpu, const struct insn *in, sse_op *op)
{
	sse_check(cpu);
	fpu_slot s = sse_source(cpu, in, &in->opnd[1]);
	op(xmm(cpu, in->opnd[0].reg), &s);
}

#define DEFINE_SSE(NAME, op_text)								\
DEFINE_SSE_OP(NAME, op_text)								\
void exec_##NAME(struct vcpu *cpu, const struct insn *in) { sse_binary(cpu, in, sse_##NAME); }

DEFINE_SSE(ANDPS, "andps")
DEFINE_SSE(ANDPD, "andpd")
DEFINE_SSE(ANDNPS, "andnps")
DEFINE_SSE(ANDNPD, "andnpd")
DEFINE_SSE(ORPS, "orps")
DEFINE_SSE(ORPD, "orpd")
DEFINE_SSE(XORPS, "xorps")
DEFINE_SSE(XORPD, "xorpd")
DEFINE_SSE(UNPCKLPS, "unpcklps")
DEFINE_SSE(UNPCKLPD, "unpcklpd")
DEFINE_SSE(UNPCKHPS, "unpckhps")
DEFINE_SSE(UNPCKHPD, "unpckhpd")
DEFINE_SSE(PUNPCKLQDQ, "punpcklqdq")
DEFINE_SSE(PUNPCKHQDQ, "punpckhqdq")
/* Approximations: whatever the host's are. No exceptions, denormals are zeros whatever MXCSR says. */
DEFINE_SSE(RCPPS, "rcpps")
DEFINE_SSE(RCPSS, "rcpss")
DEFINE_SSE(RSQRTPS, "rsqrtps")
DEFINE_SSE(RSQRTSS, "rsqrtss")

/* --- whole registers --- */

static inline void move_16(struct vcpu *cpu, const struct insn *in, bool aligned)
{
	const struct operand *dst = &in->opnd[0], *src = &in->opnd[1];

	sse_check(cpu);
	if (dst->kind == OPND_XMM && src->kind == OPND_XMM) {
		*xmm(cpu, dst->reg) = *xmm(cpu, src->reg);
		return;
	}
	const bool write = dst->kind == OPND_MEM;
	if (aligned)
		sse_check_aligned(cpu, in);
	lin_t lin = fpu_lin(cpu, in, 16, write);
	if (write)
		lin_store(cpu, lin, xmm(cpu, src->reg), 16);
	else
		lin_load(cpu, lin, xmm(cpu, dst->reg), 16);
}

void exec_MOVAPS(struct vcpu *cpu, const struct insn *in) { move_16(cpu, in, true); }
void exec_MOVAPD(struct vcpu *cpu, const struct insn *in) { move_16(cpu, in, true); }
void exec_MOVDQA(struct vcpu *cpu, const struct insn *in) { move_16(cpu, in, true); }
void exec_MOVNTPS(struct vcpu *cpu, const struct insn *in) { move_16(cpu, in, true); }
void exec_MOVNTPD(struct vcpu *cpu, const struct insn *in) { move_16(cpu, in, true); }
void exec_MOVNTDQ(struct vcpu *cpu, const struct insn *in) { move_16(cpu, in, true); }
void exec_MOVUPS(struct vcpu *cpu, const struct insn *in) { move_16(cpu, in, false); }
void exec_MOVUPD(struct vcpu *cpu, const struct insn *in) { move_16(cpu, in, false); }
void exec_MOVDQU(struct vcpu *cpu, const struct insn *in) { move_16(cpu, in, false); }

/* --- scalars and halves --- */

/* MOVSS and MOVSD: a load clears the rest of the register, a register move keeps it. */
void exec_MOVSS(struct vcpu *cpu, const struct insn *in)
{
	const struct operand *dst = &in->opnd[0], *src = &in->opnd[1];

	sse_check(cpu);
	if (dst->kind == OPND_MEM)
		mem_write32(cpu, in->seg, insn_ea(cpu, in), (uint32_t)(*xmm(cpu, src->reg))[0]);
	else if (src->kind == OPND_MEM)
		*xmm(cpu, dst->reg) = (fpu_slot){ mem_read32(cpu, in->seg, insn_ea(cpu, in)), 0 };
	else
		memcpy(xmm(cpu, dst->reg), xmm(cpu, src->reg), 4);
}

void exec_MOVSD(struct vcpu *cpu, const struct insn *in)
{
	const struct operand *dst = &in->opnd[0], *src = &in->opnd[1];

	sse_check(cpu);
	if (dst->kind == OPND_MEM)
		mem_write64(cpu, in->seg, insn_ea(cpu, in), (uint64_t)(*xmm(cpu, src->reg))[0]);
	else if (src->kind == OPND_MEM)
		*xmm(cpu, dst->reg) = (fpu_slot){ (long long)mem_read64(cpu, in->seg, insn_ea(cpu, in)), 0 };
	else
		(*xmm(cpu, dst->reg))[0] = (*xmm(cpu, src->reg))[0];
}

/* One half to or from memory; the other stays. */
static inline void move_half(struct vcpu *cpu, const struct insn *in, unsigned half)
{
	const struct operand *dst = &in->opnd[0], *src = &in->opnd[1];

	sse_check(cpu);
	if (dst->kind == OPND_MEM)
		mem_write64(cpu, in->seg, insn_ea(cpu, in), (uint64_t)(*xmm(cpu, src->reg))[half]);
	else
		(*xmm(cpu, dst->reg))[half] = (long long)mem_read64(cpu, in->seg, insn_ea(cpu, in));
}

void exec_MOVLPS(struct vcpu *cpu, const struct insn *in) { move_half(cpu, in, 0); }
void exec_MOVLPD(struct vcpu *cpu, const struct insn *in) { move_half(cpu, in, 0); }
void exec_MOVHPS(struct vcpu *cpu, const struct insn *in) { move_half(cpu, in, 1); }
void exec_MOVHPD(struct vcpu *cpu, const struct insn *in) { move_half(cpu, in, 1); }

void exec_MOVHLPS(struct vcpu *cpu, const struct insn *in)
{
	sse_check(cpu);
	(*xmm(cpu, in->opnd[0].reg))[0] = (*xmm(cpu, in->opnd[1].reg))[1];
}

void exec_MOVLHPS(struct vcpu *cpu, const struct insn *in)
{
	sse_check(cpu);
	(*xmm(cpu, in->opnd[0].reg))[1] = (*xmm(cpu, in->opnd[1].reg))[0];
}

static uint32_t sign_bits(const uint8_t *v, unsigned lanes)
{
	uint32_t mask = 0;

	for (unsigned i = 0; i < lanes; i++)
		mask |= (uint32_t)(v[(i + 1) * (16 / lanes) - 1] >> 7) << i;
	return mask;
}

void exec_MOVMSKPS(struct vcpu *cpu, const struct insn *in)
{
	sse_check(cpu);
	cpu->gpr[in->opnd[0].reg] = sign_bits(cpu->fx.xmm[in->opnd[1].reg], 4);
}

void exec_MOVMSKPD(struct vcpu *cpu, const struct insn *in)
{
	sse_check(cpu);
	cpu->gpr[in->opnd[0].reg] = sign_bits(cpu->fx.xmm[in->opnd[1].reg], 2);
}

/* --- shuffles --- */

typedef uint32_t dwords __attribute__((vector_size(16), may_alias));
typedef uint16_t shorts __attribute__((vector_size(16), may_alias));

void exec_PSHUFD(struct vcpu *cpu, const struct insn *in)
{
	sse_check(cpu);
	dwords s = (dwords)sse_source(cpu, in, &in->opnd[1]), d;
	for (unsigned i = 0; i < 4; i++)
		d[i] = s[in->imm >> (2 * i) & 3];
	*xmm(cpu, in->opnd[0].reg) = (fpu_slot)d;
}

static inline void shuffle_half(struct vcpu *cpu, const struct insn *in, unsigned first)
{
	sse_check(cpu);
	shorts s = (shorts)sse_source(cpu, in, &in->opnd[1]), d = s;
	for (unsigned i = 0; i < 4; i++)
		d[first + i] = s[first + (in->imm >> (2 * i) & 3)];
	*xmm(cpu, in->opnd[0].reg) = (fpu_slot)d;
}

void exec_PSHUFLW(struct vcpu *cpu, const struct insn *in) { shuffle_half(cpu, in, 0); }
void exec_PSHUFHW(struct vcpu *cpu, const struct insn *in) { shuffle_half(cpu, in, 4); }

void exec_SHUFPS(struct vcpu *cpu, const struct insn *in)
{
	sse_check(cpu);
	dwords s = (dwords)sse_source(cpu, in, &in->opnd[1]), old = (dwords)*xmm(cpu, in->opnd[0].reg), d;
	for (unsigned i = 0; i < 4; i++)
		d[i] = (i < 2 ? old : s)[in->imm >> (2 * i) & 3];
	*xmm(cpu, in->opnd[0].reg) = (fpu_slot)d;
}

void exec_SHUFPD(struct vcpu *cpu, const struct insn *in)
{
	sse_check(cpu);
	fpu_slot s = sse_source(cpu, in, &in->opnd[1]), old = *xmm(cpu, in->opnd[0].reg);
	*xmm(cpu, in->opnd[0].reg) = (fpu_slot){ old[in->imm & 1], s[in->imm >> 1 & 1] };
}

/* Shifts of the whole register by bytes; 16 and more leave zeros. */
static inline void shift_bytes(struct vcpu *cpu, const struct insn *in, bool left)
{
	uint8_t buf[48] = { 0 };
	const unsigned n = MIN(in->imm, 16);

	sse_check(cpu);
	memcpy(buf + 16, xmm(cpu, in->opnd[0].reg), 16);
	memcpy(xmm(cpu, in->opnd[0].reg), left ? buf + 16 - n : buf + 16 + n, 16);
}

void exec_PSRLDQ(struct vcpu *cpu, const struct insn *in) { shift_bytes(cpu, in, false); }
void exec_PSLLDQ(struct vcpu *cpu, const struct insn *in) { shift_bytes(cpu, in, true); }

/* --- no registers --- */

/* An integer store, available whatever CR0 and CR4 say. */
void exec_MOVNTI(struct vcpu *cpu, const struct insn *in)
{
	mem_write32(cpu, in->seg, insn_ea(cpu, in), cpu->gpr[in->opnd[1].reg]);
}

/* The guest's memory has one observer, in program order; the caches are the host's. */
void exec_SFENCE(struct vcpu *cpu, const struct insn *in) { }
void exec_LFENCE(struct vcpu *cpu, const struct insn *in) { }
void exec_MFENCE(struct vcpu *cpu, const struct insn *in) { }
void exec_PREFETCH(struct vcpu *cpu, const struct insn *in) { }

/* Faults as a load of one byte does. */
void exec_CLFLUSH(struct vcpu *cpu, const struct insn *in)
{
	mmu_probe(cpu, fpu_lin(cpu, in, 1, false), 1, ACCESS_READ, cpu->cpl == 3);
}
