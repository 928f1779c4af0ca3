/*
 * SSE and SSE2 arithmetic: each instruction as itself on the host, under the guest's MXCSR.
 *					[SDM 1, "Handling SIMD Floating-Point Exceptions in Software"]
 *
 * With all exceptions masked, as nearly always, the guest's MXCSR is simply loaded for the one
 * instruction. Otherwise it runs masked to find out what it would raise. Between instructions the
 * host's MXCSR has its default controls; its flags mean nothing.
 */
#include "emulate/sse.h"

enum { XM_PRE = FSW_IE | FSW_DE | FSW_ZE };	/* found before the computation */

static inline void host_ldmxcsr(uint32_t val)
{
	asm volatile("ldmxcsr %0" : : "m"(val));
}

static inline uint32_t host_stmxcsr(void)
{
	uint32_t val;

	asm volatile("stmxcsr %0" : "=m"(val));
	return val;
}

/* Which operation rounds to what, for those that can overflow or underflow. */
enum rounding { ROUND_NONE, ROUND_ADD, ROUND_SUB, ROUND_MUL, ROUND_DIV, ROUND_NARROW };

static enum rounding rounding_of(unsigned name, unsigned *size, unsigned *lanes)
{
#define FOUR(NAME)									\
	case I_##NAME##PS: *size = 4, *lanes = 4; return ROUND_##NAME;			\
	case I_##NAME##PD: *size = 8, *lanes = 2; return ROUND_##NAME;			\
	case I_##NAME##SS: *size = 4, *lanes = 1; return ROUND_##NAME;			\
	case I_##NAME##SD: *size = 8, *lanes = 1; return ROUND_##NAME;
	switch (name) {
	FOUR(ADD)
	FOUR(SUB)
	FOUR(MUL)
	FOUR(DIV)
	case I_CVTPD2PS: *size = 8, *lanes = 2; return ROUND_NARROW;
	case I_CVTSD2SS: *size = 8, *lanes = 1; return ROUND_NARROW;
	default: *size = *lanes = 0; return ROUND_NONE;
	}
#undef FOUR
}

static long double lane_value(const fpu_slot *v, unsigned lane, unsigned size, bool denormal_is_zero)
{
	uint32_t s;
	uint64_t d;
	float f;
	double g;

	if (size == 4) {
		memcpy(&s, (const uint8_t *)v + lane * 4, 4);
		if (denormal_is_zero && !(s & 0x7F800000))
			s = 0;
		memcpy(&f, &s, 4);
		return f;
	}
	memcpy(&d, (const uint8_t *)v + lane * 8, 8);
	if (denormal_is_zero && !(d & 0x7FF0000000000000))
		d = 0;
	memcpy(&g, &d, 8);
	return g;
}

#define X87_PAIR(op) asm volatile("fnclex\n\t" op "\n\tfnstsw %%ax\n\tfnclex" : "=t"(r), "=a"(sw) : "0"(b), "u"(a) : "st(1)")

/*
 * Is the result inexact with an unbounded exponent? That is what PE means beside an unmasked
 * overflow or underflow. The x87 tells: it rounds to the same number of bits, and its exponent
 * is wide enough for every result.
 */
static bool lane_inexact(enum rounding kind, long double a, long double b, bool to_single, uint32_t csr)
{
	const uint16_t cw = FSW_EXC | FCW_RESERVED1 | (to_single ? 0 : 0x200) | (csr >> 13 & 3) << 10;
	const uint16_t restore = FCW_DEFAULT;
	long double r;
	uint16_t sw;

	asm volatile("fldcw %0" : : "m"(cw));
	switch (kind) {
	case ROUND_ADD: X87_PAIR("faddp"); break;
	case ROUND_SUB: X87_PAIR(".intel_syntax noprefix\n\tfsubp st(1), st\n\t.att_syntax prefix"); break;
	case ROUND_DIV: X87_PAIR(".intel_syntax noprefix\n\tfdivp st(1), st\n\t.att_syntax prefix"); break;
	default: X87_PAIR("fmulp");
	}
	asm volatile("fldcw %0" : : "m"(restore));
	(void)r;
	return sw & FSW_PE;
}

static bool result_inexact(unsigned name, const fpu_slot *a, const fpu_slot *b, uint32_t csr)
{
	unsigned size, lanes;
	enum rounding kind = rounding_of(name, &size, &lanes);
	bool inexact = false;

	for (unsigned i = 0; i < lanes; i++) {
		long double y = lane_value(b, i, size, csr & MXCSR_DAZ);
		if (kind == ROUND_NARROW)
			inexact |= lane_inexact(kind, 1, y, true, csr);
		else
			inexact |= lane_inexact(kind, lane_value(a, i, size, csr & MXCSR_DAZ), y, size == 4, csr);
	}
	return inexact;
}

/*
 * Some exception is unmasked. If one found before the computation is, only flags of that kind are
 * set; else all, and if one of these is unmasked the destination stays.
 * An unmasked underflow is a tiny result, a masked one is tiny and inexact: flush-to-zero makes
 * the host report the former.
 */
static void sse_run_unmasked(struct vcpu *cpu, const struct insn *in, sse_op *op, fpu_slot *d, const fpu_slot *s)
{
	const uint32_t csr = cpu->fx.mxcsr, unmasked = ~csr >> 7 & MXCSR_EXC;
	uint32_t masked = (csr & ~MXCSR_EXC) | MXCSR_MASKS;
	fpu_slot r = *d, tiny = *d;

	if (unmasked & FSW_UE)
		masked &= ~MXCSR_FTZ;
	host_ldmxcsr(masked);
	op(&r, s);
	uint32_t raised = host_stmxcsr() & MXCSR_EXC;
	if (unmasked & FSW_UE) {
		host_ldmxcsr(masked | MXCSR_FTZ);
		op(&tiny, s);
		raised |= host_stmxcsr() & FSW_UE;
	}
	host_ldmxcsr(MXCSR_DEFAULT);
	if (raised & unmasked & XM_PRE) {
		raised &= XM_PRE;
	} else if (raised & unmasked & (FSW_OE | FSW_UE) && !(raised & ~unmasked & (FSW_OE | FSW_UE))) {
		raised &= ~FSW_PE;
		if (result_inexact(in->name, d, s, csr))
			raised |= FSW_PE;
	}
	cpu->fx.mxcsr |= raised;
	if (raised & unmasked)
		cpu_raise(cpu, cpu->cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD, 0);
	*d = r;
}

/* d = d op s. An unmasked exception leaves by cpu_raise() with d as it was. */
static inline void sse_run(struct vcpu *cpu, const struct insn *in, sse_op *op, fpu_slot *d, const fpu_slot *s)
{
	const uint32_t csr = cpu->fx.mxcsr;

	if (unlikely((csr & MXCSR_MASKS) != MXCSR_MASKS)) {
		sse_run_unmasked(cpu, in, op, d, s);
		return;
	}
	host_ldmxcsr(csr);
	op(d, s);
	cpu->fx.mxcsr = host_stmxcsr();
	if (unlikely((csr & ~MXCSR_EXC) != MXCSR_DEFAULT))
		host_ldmxcsr(MXCSR_DEFAULT);
}

static inline void sse_arith(struct vcpu *cpu, const struct insn *in, sse_op *op)
{
	sse_check(cpu);
	fpu_slot s = sse_source(cpu, in, &in->opnd[1]);
	sse_run(cpu, in, op, xmm(cpu, in->opnd[0].reg), &s);
}

#define DEFINE_ARITH(NAME, op_text)							\
DEFINE_SSE_OP(NAME, op_text)								\
void exec_##NAME(struct vcpu *cpu, const struct insn *in) { sse_arith(cpu, in, sse_##NAME); }

#define DEFINE_FOUR(NAME, op_text)								\
DEFINE_ARITH(NAME##PS, op_text "ps") DEFINE_ARITH(NAME##PD, op_text "pd")			\
DEFINE_ARITH(NAME##SS, op_text "ss") DEFINE_ARITH(NAME##SD, op_text "sd")

DEFINE_FOUR(ADD, "add")
DEFINE_FOUR(SUB, "sub")
DEFINE_FOUR(MUL, "mul")
DEFINE_FOUR(DIV, "div")
DEFINE_FOUR(MIN, "min")
DEFINE_FOUR(MAX, "max")
DEFINE_FOUR(SQRT, "sqrt")

DEFINE_ARITH(CVTPS2PD, "cvtps2pd")
DEFINE_ARITH(CVTPD2PS, "cvtpd2ps")
DEFINE_ARITH(CVTSS2SD, "cvtss2sd")
DEFINE_ARITH(CVTSD2SS, "cvtsd2ss")
DEFINE_ARITH(CVTDQ2PS, "cvtdq2ps")
DEFINE_ARITH(CVTPS2DQ, "cvtps2dq")
DEFINE_ARITH(CVTTPS2DQ, "cvttps2dq")
DEFINE_ARITH(CVTDQ2PD, "cvtdq2pd")
DEFINE_ARITH(CVTPD2DQ, "cvtpd2dq")
DEFINE_ARITH(CVTTPD2DQ, "cvttpd2dq")

/* --- comparisons to a mask: the predicate is in the instruction, so there are eight of each --- */

#define DEFINE_CMP(NAME, suffix)							\
DEFINE_SSE_OP(NAME##0, "cmpeq" suffix) DEFINE_SSE_OP(NAME##1, "cmplt" suffix)		\
DEFINE_SSE_OP(NAME##2, "cmple" suffix) DEFINE_SSE_OP(NAME##3, "cmpunord" suffix)	\
DEFINE_SSE_OP(NAME##4, "cmpneq" suffix) DEFINE_SSE_OP(NAME##5, "cmpnlt" suffix)		\
DEFINE_SSE_OP(NAME##6, "cmpnle" suffix) DEFINE_SSE_OP(NAME##7, "cmpord" suffix)		\
void exec_##NAME(struct vcpu *cpu, const struct insn *in)				\
{											\
	static sse_op *const op[8] = { sse_##NAME##0, sse_##NAME##1, sse_##NAME##2, sse_##NAME##3, \
		sse_##NAME##4, sse_##NAME##5, sse_##NAME##6, sse_##NAME##7 };		\
	sse_arith(cpu, in, op[in->imm & 7]);						\
}

DEFINE_CMP(CMPPS, "ps")
DEFINE_CMP(CMPPD, "pd")
DEFINE_CMP(CMPSS, "ss")
DEFINE_CMP(CMPSD, "sd")

/* --- comparisons to EFLAGS --- */

/* d: a in, EFLAGS out. */
#define DEFINE_COMI(NAME, op_text)								\
static void sse_##NAME(fpu_slot *d, const fpu_slot *s)					\
{											\
	uint32_t eax;									\
	asm volatile(op_text " %2, %1\n\tlahf" : "=a"(eax) : "x"(*d), "x"(*s) : "cc");	\
	(*d)[0] = eax >> 8 & (EFLAGS_ZF | EFLAGS_PF | EFLAGS_CF);			\
}											\
void exec_##NAME(struct vcpu *cpu, const struct insn *in)				\
{											\
	sse_check(cpu);									\
	fpu_slot s = sse_source(cpu, in, &in->opnd[1]), d = *xmm(cpu, in->opnd[0].reg);	\
	sse_run(cpu, in, sse_##NAME, &d, &s);						\
	cpu->eflags = (cpu->eflags & ~EFLAGS_ARITH) | (uint32_t)d[0];			\
}

DEFINE_COMI(COMISS, "comiss")
DEFINE_COMI(COMISD, "comisd")
DEFINE_COMI(UCOMISS, "ucomiss")
DEFINE_COMI(UCOMISD, "ucomisd")

/* --- conversions with general registers --- */

static void sse_CVTSI2SS(fpu_slot *d, const fpu_slot *s)
{
	asm volatile("cvtsi2ssl %1, %0" : "+x"(*d) : "r"((int32_t)(*s)[0]));
}

static void sse_CVTSI2SD(fpu_slot *d, const fpu_slot *s)
{
	asm volatile("cvtsi2sdl %1, %0" : "+x"(*d) : "r"((int32_t)(*s)[0]));
}

void exec_CVTSI2SS(struct vcpu *cpu, const struct insn *in) { sse_arith(cpu, in, sse_CVTSI2SS); }
void exec_CVTSI2SD(struct vcpu *cpu, const struct insn *in) { sse_arith(cpu, in, sse_CVTSI2SD); }

#define DEFINE_TO_INTEGER(NAME, op_text)							\
static void sse_##NAME(fpu_slot *d, const fpu_slot *s)					\
{											\
	uint32_t r;									\
	asm volatile(op_text " %1, %0" : "=r"(r) : "x"(*s));				\
	(*d)[0] = r;									\
}											\
void exec_##NAME(struct vcpu *cpu, const struct insn *in)				\
{											\
	sse_check(cpu);									\
	fpu_slot s = sse_source(cpu, in, &in->opnd[1]), d = { 0, 0 };			\
	sse_run(cpu, in, sse_##NAME, &d, &s);						\
	cpu->gpr[in->opnd[0].reg] = (uint32_t)d[0];					\
}

DEFINE_TO_INTEGER(CVTSS2SI, "cvtss2sil")
DEFINE_TO_INTEGER(CVTTSS2SI, "cvttss2sil")
DEFINE_TO_INTEGER(CVTSD2SI, "cvtsd2sil")
DEFINE_TO_INTEGER(CVTTSD2SI, "cvttsd2sil")

/* --- conversions with MMX registers: two lanes of the XMM instruction, the others zero --- */

static inline void from_mmx(struct vcpu *cpu, const struct insn *in, sse_op *op, bool keep_high)
{
	const struct operand *src = &in->opnd[1];
	fpu_slot s, d, *dst = xmm(cpu, in->opnd[0].reg);

	sse_check(cpu);
	if (src->kind == OPND_MMX) {
		if (!fpu_wait(cpu))
			return;
		mmx_begin(&cpu->fx);
	}
	s = sse_source(cpu, in, src);
	d = *dst;
	sse_run(cpu, in, op, &d, &s);
	*dst = (fpu_slot){ d[0], keep_high ? (*dst)[1] : d[1] };
}

void exec_CVTPI2PS(struct vcpu *cpu, const struct insn *in) { from_mmx(cpu, in, sse_CVTDQ2PS, true); }
void exec_CVTPI2PD(struct vcpu *cpu, const struct insn *in) { from_mmx(cpu, in, sse_CVTDQ2PD, false); }

static inline void to_mmx(struct vcpu *cpu, const struct insn *in, sse_op *op, bool two_singles)
{
	fpu_slot s, d = { 0, 0 };

	sse_check(cpu);
	if (!fpu_wait(cpu))
		return;
	s = sse_source(cpu, in, &in->opnd[1]);
	if (two_singles)
		s[1] = 0;		/* a register's upper half is no operand */
	mmx_begin(&cpu->fx);		/* comes even with #XM, as the host shows */
	sse_run(cpu, in, op, &d, &s);
	mmx_set(&cpu->fx, in->opnd[0].reg, (uint64_t)d[0]);
}

void exec_CVTPS2PI(struct vcpu *cpu, const struct insn *in) { to_mmx(cpu, in, sse_CVTPS2DQ, true); }
void exec_CVTTPS2PI(struct vcpu *cpu, const struct insn *in) { to_mmx(cpu, in, sse_CVTTPS2DQ, true); }
void exec_CVTPD2PI(struct vcpu *cpu, const struct insn *in) { to_mmx(cpu, in, sse_CVTPD2DQ, false); }
void exec_CVTTPD2PI(struct vcpu *cpu, const struct insn *in) { to_mmx(cpu, in, sse_CVTTPD2DQ, false); }
