/*
 * MMX, and the SSE2 integer instructions of the same names: the operand says which registers.
 *							[SDM 1, "Programming with Intel MMX Technology"]
 *
 * MMi is the mantissa of the physical x87 register Ri. Every MMX instruction but EMMS makes TOP 0
 * and all tags valid; one that writes a register sets its exponent and sign to ones. FIP and FDP stay.
 */
#include "emulate/sse.h"

bool mmx_check(struct vcpu *cpu)
{
	if (unlikely(cpu->cr0 & CR0_EM))
		cpu_raise(cpu, EXC_UD, 0);
	return fpu_wait(cpu);
}

void mmx_begin(struct fxstate *fx)
{
	if (unlikely(fx->fsw & FSW_TOP)) {
		fpu_rotate(fx, -fpu_top(fx) & 7);
		fx->fsw &= ~FSW_TOP;
	}
	fx->ftw = 0xFF;
}

/* EMMS is an MMX instruction too, so TOP is 0 afterwards; the registers keep their contents. */
void exec_EMMS(struct vcpu *cpu, const struct insn *in)
{
	if (!mmx_check(cpu))
		return;
	mmx_begin(&cpu->fx);
	cpu->fx.ftw = 0;
}

void mmx_binary(struct vcpu *cpu, const struct insn *in, mmx_op *op)
{
	struct fxstate *fx = &cpu->fx;
	fpu_slot v = { 0, 0 };

	if (!mmx_check(cpu))
		return;
	if (in->opnd[1].kind == OPND_MEM)
		v = sse_load(cpu, in, in->opnd[1].size);	/* may fault: nothing has changed yet */
	mmx_begin(fx);
	if (in->opnd[1].kind != OPND_MEM)
		v = sse_source(cpu, in, &in->opnd[1]);
	uint64_t s = (uint64_t)v[0], d = mmx_get(fx, in->opnd[0].reg);
	op(&d, &s);
	mmx_set(fx, in->opnd[0].reg, d);
}

/* One instruction for both register files. */
#define DEFINE_BOTH(NAME, op_text)								\
DEFINE_MMX_OP(NAME, op_text)								\
DEFINE_SSE_OP(NAME, op_text)								\
void exec_##NAME(struct vcpu *cpu, const struct insn *in)				\
{											\
	if (in->opnd[0].kind == OPND_MMX)						\
		mmx_binary(cpu, in, mmx_##NAME);					\
	else										\
		sse_binary(cpu, in, sse_##NAME);					\
}

DEFINE_BOTH(PUNPCKLBW, "punpcklbw")
DEFINE_BOTH(PUNPCKLWD, "punpcklwd")
DEFINE_BOTH(PUNPCKLDQ, "punpckldq")
DEFINE_BOTH(PUNPCKHBW, "punpckhbw")
DEFINE_BOTH(PUNPCKHWD, "punpckhwd")
DEFINE_BOTH(PUNPCKHDQ, "punpckhdq")
DEFINE_BOTH(PACKSSWB, "packsswb")
DEFINE_BOTH(PACKSSDW, "packssdw")
DEFINE_BOTH(PACKUSWB, "packuswb")
DEFINE_BOTH(PCMPGTB, "pcmpgtb")
DEFINE_BOTH(PCMPGTW, "pcmpgtw")
DEFINE_BOTH(PCMPGTD, "pcmpgtd")
DEFINE_BOTH(PCMPEQB, "pcmpeqb")
DEFINE_BOTH(PCMPEQW, "pcmpeqw")
DEFINE_BOTH(PCMPEQD, "pcmpeqd")
DEFINE_BOTH(PSRLW, "psrlw")
DEFINE_BOTH(PSRLD, "psrld")
DEFINE_BOTH(PSRLQ, "psrlq")
DEFINE_BOTH(PSRAW, "psraw")
DEFINE_BOTH(PSRAD, "psrad")
DEFINE_BOTH(PSLLW, "psllw")
DEFINE_BOTH(PSLLD, "pslld")
DEFINE_BOTH(PSLLQ, "psllq")
DEFINE_BOTH(PADDB, "paddb")
DEFINE_BOTH(PADDW, "paddw")
DEFINE_BOTH(PADDD, "paddd")
DEFINE_BOTH(PADDQ, "paddq")
DEFINE_BOTH(PADDSB, "paddsb")
DEFINE_BOTH(PADDSW, "paddsw")
DEFINE_BOTH(PADDUSB, "paddusb")
DEFINE_BOTH(PADDUSW, "paddusw")
DEFINE_BOTH(PSUBB, "psubb")
DEFINE_BOTH(PSUBW, "psubw")
DEFINE_BOTH(PSUBD, "psubd")
DEFINE_BOTH(PSUBQ, "psubq")
DEFINE_BOTH(PSUBSB, "psubsb")
DEFINE_BOTH(PSUBSW, "psubsw")
DEFINE_BOTH(PSUBUSB, "psubusb")
DEFINE_BOTH(PSUBUSW, "psubusw")
DEFINE_BOTH(PMULLW, "pmullw")
DEFINE_BOTH(PMULHW, "pmulhw")
DEFINE_BOTH(PMULHUW, "pmulhuw")
DEFINE_BOTH(PMADDWD, "pmaddwd")
DEFINE_BOTH(PMULUDQ, "pmuludq")
DEFINE_BOTH(PAND, "pand")
DEFINE_BOTH(PANDN, "pandn")
DEFINE_BOTH(POR, "por")
DEFINE_BOTH(PXOR, "pxor")
DEFINE_BOTH(PAVGB, "pavgb")
DEFINE_BOTH(PAVGW, "pavgw")
DEFINE_BOTH(PMINUB, "pminub")
DEFINE_BOTH(PMINSW, "pminsw")
DEFINE_BOTH(PMAXUB, "pmaxub")
DEFINE_BOTH(PMAXSW, "pmaxsw")
DEFINE_BOTH(PSADBW, "psadbw")

/* --- moves --- */

/* Availability, and the transition of the x87 registers, by the register file o is in. */
static bool either_check(struct vcpu *cpu, const struct operand *o)
{
	if (o->kind == OPND_MMX)
		return mmx_check(cpu);
	sse_check(cpu);
	return true;
}

static uint64_t either_get(struct vcpu *cpu, const struct operand *o)
{
	if (o->kind == OPND_XMM)
		return (uint64_t)(*xmm(cpu, o->reg))[0];
	mmx_begin(&cpu->fx);
	return mmx_get(&cpu->fx, o->reg);
}

static void either_set(struct vcpu *cpu, const struct operand *o, uint64_t v)
{
	if (o->kind == OPND_XMM) {
		*xmm(cpu, o->reg) = (fpu_slot){ (long long)v, 0 };
	} else {
		mmx_begin(&cpu->fx);
		mmx_set(&cpu->fx, o->reg, v);
	}
}

/* The low half of a register to memory; for MMX the fault comes before the transition. */
static void store_low(struct vcpu *cpu, const struct insn *in, const struct operand *o, unsigned size)
{
	lin_t lin = mem_rmw(cpu, in->seg, insn_ea(cpu, in), size);
	uint64_t v = either_get(cpu, o);

	if (size == 4)
		lin_write32(cpu, lin, v);
	else
		lin_write64(cpu, lin, v);
}

void exec_MOVD(struct vcpu *cpu, const struct insn *in)
{
	const struct operand *dst = &in->opnd[0], *src = &in->opnd[1];
	const bool load = dst->kind == OPND_MMX || dst->kind == OPND_XMM;

	if (!either_check(cpu, load ? dst : src))
		return;
	if (load)
		either_set(cpu, dst, src->kind == OPND_MEM ? mem_read32(cpu, in->seg, insn_ea(cpu, in)) : cpu->gpr[src->reg]);
	else if (dst->kind == OPND_MEM)
		store_low(cpu, in, src, 4);
	else
		cpu->gpr[dst->reg] = either_get(cpu, src);
}

void exec_MOVQ(struct vcpu *cpu, const struct insn *in)
{
	const struct operand *dst = &in->opnd[0], *src = &in->opnd[1];

	if (!either_check(cpu, dst->kind == OPND_MEM ? src : dst))
		return;
	if (dst->kind == OPND_MEM)
		store_low(cpu, in, src, 8);
	else if (src->kind == OPND_MEM)
		either_set(cpu, dst, mem_read64(cpu, in->seg, insn_ea(cpu, in)));
	else
		either_set(cpu, dst, either_get(cpu, src));
}

void exec_MOVNTQ(struct vcpu *cpu, const struct insn *in)
{
	if (mmx_check(cpu))
		store_low(cpu, in, &in->opnd[1], 8);
}

void exec_MOVQ2DQ(struct vcpu *cpu, const struct insn *in)
{
	sse_check(cpu);
	if (fpu_wait(cpu))
		either_set(cpu, &in->opnd[0], either_get(cpu, &in->opnd[1]));
}

void exec_MOVDQ2Q(struct vcpu *cpu, const struct insn *in)
{
	sse_check(cpu);
	if (fpu_wait(cpu))
		either_set(cpu, &in->opnd[0], either_get(cpu, &in->opnd[1]));
}

/* --- words in and out --- */

static unsigned lanes(const struct operand *o)
{
	return o->kind == OPND_MMX ? 4 : 8;
}

static uint16_t *words(struct vcpu *cpu, const struct operand *o)
{
	if (o->kind == OPND_XMM)
		return (uint16_t *)cpu->fx.xmm[o->reg];
	mmx_begin(&cpu->fx);
	return (uint16_t *)cpu->fx.st[o->reg];
}

void exec_PEXTRW(struct vcpu *cpu, const struct insn *in)
{
	const struct operand *src = &in->opnd[1];

	if (either_check(cpu, src))
		cpu->gpr[in->opnd[0].reg] = words(cpu, src)[in->imm & (lanes(src) - 1)];
}

void exec_PINSRW(struct vcpu *cpu, const struct insn *in)
{
	const struct operand *dst = &in->opnd[0], *src = &in->opnd[1];
	uint16_t v;

	if (!either_check(cpu, dst))
		return;
	v = src->kind == OPND_MEM ? mem_read16(cpu, in->seg, insn_ea(cpu, in)) : cpu->gpr[src->reg];
	words(cpu, dst)[in->imm & (lanes(dst) - 1)] = v;
	if (dst->kind == OPND_MMX)
		mmx_set(&cpu->fx, dst->reg, mmx_get(&cpu->fx, dst->reg));
}

void exec_PMOVMSKB(struct vcpu *cpu, const struct insn *in)
{
	const struct operand *src = &in->opnd[1];
	uint32_t mask = 0;

	if (!either_check(cpu, src))
		return;
	const uint8_t *b = (const uint8_t *)words(cpu, src);
	for (unsigned i = 0; i < lanes(src) * 2; i++)
		mask |= (uint32_t)(b[i] >> 7) << i;
	cpu->gpr[in->opnd[0].reg] = mask;
}

void exec_PSHUFW(struct vcpu *cpu, const struct insn *in)
{
	const struct operand *src = &in->opnd[1];
	uint64_t s = 0, d = 0;

	if (!mmx_check(cpu))
		return;
	if (src->kind == OPND_MEM)
		s = mem_read64(cpu, in->seg, insn_ea(cpu, in));
	else
		s = either_get(cpu, src);
	for (unsigned i = 0; i < 4; i++)
		d |= (s >> (16 * (in->imm >> (2 * i) & 3)) & 0xFFFF) << (16 * i);
	either_set(cpu, &in->opnd[0], d);
}

/* --- byte-masked stores to DS:(E)DI --- */

/*
 * The segment is checked for the whole operand, pages only for the bytes that are stored: with a
 * mask of zeros nothing is accessed, which the SDM leaves to the implementation.
 */
static void masked_store(struct vcpu *cpu, const struct insn *in, const uint8_t *v, const uint8_t *mask, unsigned size)
{
	uint32_t off = in->adsize == 2 ? (uint16_t)cpu->gpr[REG_EDI] : cpu->gpr[REG_EDI];
	lin_t lin = segment_check(cpu, in->seg, off, size, true);

	for (unsigned i = 0; i < size; i++)
		if (mask[i] >> 7)
			mmu_probe(cpu, lin + i, 1, ACCESS_WRITE, cpu->cpl == 3);
	for (unsigned i = 0; i < size; i++)
		if (mask[i] >> 7)
			lin_write8(cpu, lin + i, v[i]);
}

void exec_MASKMOVQ(struct vcpu *cpu, const struct insn *in)
{
	struct fxstate *fx = &cpu->fx;

	if (!mmx_check(cpu))
		return;
	const unsigned top = fpu_top(fx);	/* not begun yet, for the store may fault */
	masked_store(cpu, in, fx->st[(in->opnd[0].reg - top) & 7], fx->st[(in->opnd[1].reg - top) & 7], 8);
	mmx_begin(fx);
}

void exec_MASKMOVDQU(struct vcpu *cpu, const struct insn *in)
{
	sse_check(cpu);
	masked_store(cpu, in, cpu->fx.xmm[in->opnd[0].reg], cpu->fx.xmm[in->opnd[1].reg], 16);
}
