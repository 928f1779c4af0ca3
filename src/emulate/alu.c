/*
 * ADD OR ADC SBB AND SUB XOR CMP TEST, INC DEC NEG NOT.		[SDM 2]
 *
 * Every operation is the host's own instruction at the guest's size, so flags are the host's too,
 * the undefined ones included. Each operand form is a function of its own: these are, with MOV,
 * most of what a compiler emits.
 */
#include "emulate/handlers.h"
#include "emulate/operand.h"

/* a op b on the host; flags into the guest's. */
#define DEFINE_HOST(op, bits)								\
static inline uint##bits##_t op##_##bits(struct vcpu *cpu, uint##bits##_t a, uint##bits##_t b) \
{											\
	uint32_t ax;									\
	__asm__(#op SUFFIX##bits " %[b], %[a]" FLAGS_SAVE				\
	    : [a] "+q" (a), "=&a" (ax) : [b] "q" (b) : "cc");				\
	flags_set(cpu, ax);								\
	return a;									\
}

#define DEFINE_HOST_CARRY(op, bits)							\
static inline uint##bits##_t op##_##bits(struct vcpu *cpu, uint##bits##_t a, uint##bits##_t b) \
{											\
	uint32_t ax;									\
	__asm__("btl $0, %[f]\n\t" #op SUFFIX##bits " %[b], %[a]" FLAGS_SAVE		\
	    : [a] "+q" (a), "=&a" (ax) : [b] "q" (b), [f] "r" (cpu->eflags) : "cc");	\
	flags_set(cpu, ax);								\
	return a;									\
}

#define DEFINE_HOST_UNARY(op, bits, set)						\
static inline uint##bits##_t op##_##bits(struct vcpu *cpu, uint##bits##_t a)		\
{											\
	uint32_t ax;									\
	__asm__(#op SUFFIX##bits " %[a]" FLAGS_SAVE : [a] "+q" (a), "=&a" (ax) : : "cc"); \
	set(cpu, ax);									\
	return a;									\
}

#define FORM(op, bits, form)	static void op##_##bits##_##form(struct vcpu *cpu, const struct insn *in)

/* op dst, src in the forms rr rm mr ri mi, where the result is kept. */
#define DEFINE_FORMS(op, bits)								\
FORM(op, bits, rr)									\
{											\
	unsigned d = in->opnd[0].reg;							\
	reg_write##bits(cpu, d, op##_##bits(cpu, reg_read##bits(cpu, d), reg_read##bits(cpu, in->opnd[1].reg))); \
}											\
FORM(op, bits, ri)									\
{											\
	unsigned d = in->opnd[0].reg;							\
	reg_write##bits(cpu, d, op##_##bits(cpu, reg_read##bits(cpu, d), (uint##bits##_t)in->imm)); \
}											\
FORM(op, bits, rm)									\
{											\
	unsigned d = in->opnd[0].reg;							\
	uint##bits##_t v = MEM_READ(bits, cpu, in);					\
	reg_write##bits(cpu, d, op##_##bits(cpu, reg_read##bits(cpu, d), v));		\
}											\
FORM(op, bits, mr)									\
{											\
	struct rmw m;									\
	uint##bits##_t v = rmw_read##bits(cpu, &m, in->seg, insn_ea(cpu, in));		\
	rmw_write##bits(cpu, &m, op##_##bits(cpu, v, reg_read##bits(cpu, in->opnd[1].reg))); \
}											\
FORM(op, bits, mi)									\
{											\
	struct rmw m;									\
	uint##bits##_t v = rmw_read##bits(cpu, &m, in->seg, insn_ea(cpu, in));		\
	rmw_write##bits(cpu, &m, op##_##bits(cpu, v, (uint##bits##_t)in->imm));		\
}

/* The same where only flags are kept: CMP, TEST. */
#define DEFINE_FORMS_FLAGS(op, bits)							\
FORM(op, bits, rr) { op##_##bits(cpu, reg_read##bits(cpu, in->opnd[0].reg), reg_read##bits(cpu, in->opnd[1].reg)); } \
FORM(op, bits, ri) { op##_##bits(cpu, reg_read##bits(cpu, in->opnd[0].reg), (uint##bits##_t)in->imm); } \
FORM(op, bits, mi) { op##_##bits(cpu, MEM_READ(bits, cpu, in), (uint##bits##_t)in->imm); } \
FORM(op, bits, rm)									\
{											\
	uint##bits##_t v = MEM_READ(bits, cpu, in);					\
	op##_##bits(cpu, reg_read##bits(cpu, in->opnd[0].reg), v);			\
}											\
FORM(op, bits, mr)									\
{											\
	uint##bits##_t v = MEM_READ(bits, cpu, in);					\
	op##_##bits(cpu, v, reg_read##bits(cpu, in->opnd[1].reg));			\
}

#define DEFINE_FORMS_UNARY(op, bits)							\
FORM(op, bits, r)									\
{											\
	unsigned d = in->opnd[0].reg;							\
	reg_write##bits(cpu, d, op##_##bits(cpu, reg_read##bits(cpu, d)));		\
}											\
FORM(op, bits, m)									\
{											\
	struct rmw m;									\
	uint##bits##_t v = rmw_read##bits(cpu, &m, in->seg, insn_ea(cpu, in));		\
	rmw_write##bits(cpu, &m, op##_##bits(cpu, v));					\
}

#define SIZES(DEFINE, op) DEFINE(op, 8) DEFINE(op, 16) DEFINE(op, 32)
#define DEFINE_ALU(op, bits)		DEFINE_HOST(op, bits) DEFINE_FORMS(op, bits)
#define DEFINE_ALU_CARRY(op, bits)	DEFINE_HOST_CARRY(op, bits) DEFINE_FORMS(op, bits)
#define DEFINE_ALU_FLAGS(op, bits)	DEFINE_HOST(op, bits) DEFINE_FORMS_FLAGS(op, bits)
#define DEFINE_INCDEC(op, bits)		DEFINE_HOST_UNARY(op, bits, flags_set_keep_carry) DEFINE_FORMS_UNARY(op, bits)
#define DEFINE_NEG(op, bits)		DEFINE_HOST_UNARY(op, bits, flags_set) DEFINE_FORMS_UNARY(op, bits)

SIZES(DEFINE_ALU, add)
SIZES(DEFINE_ALU, or)
SIZES(DEFINE_ALU_CARRY, adc)
SIZES(DEFINE_ALU_CARRY, sbb)
SIZES(DEFINE_ALU, and)
SIZES(DEFINE_ALU, sub)
SIZES(DEFINE_ALU, xor)
SIZES(DEFINE_ALU_FLAGS, cmp)
SIZES(DEFINE_ALU_FLAGS, test)
SIZES(DEFINE_INCDEC, inc)
SIZES(DEFINE_INCDEC, dec)
SIZES(DEFINE_NEG, neg)

#define DEFINE_NOT(op, bits)								\
static inline uint##bits##_t op##_##bits(struct vcpu *cpu, uint##bits##_t a) { return (uint##bits##_t)~a; } \
DEFINE_FORMS_UNARY(op, bits)
SIZES(DEFINE_NOT, not)

/* --- choosing the form --- */

struct forms {
	exec_fn *rr, *rm, *mr, *ri, *mi;
};
#define FORMS(op, bits) { op##_##bits##_rr, op##_##bits##_rm, op##_##bits##_mr, op##_##bits##_ri, op##_##bits##_mi }
#define ALL_FORMS(NAME, op) [I_##NAME] = { FORMS(op, 8), FORMS(op, 16), FORMS(op, 32) }

static const struct forms two_operands[][3] = {
	ALL_FORMS(ADD, add), ALL_FORMS(OR, or), ALL_FORMS(ADC, adc), ALL_FORMS(SBB, sbb),
	ALL_FORMS(AND, and), ALL_FORMS(SUB, sub), ALL_FORMS(XOR, xor), ALL_FORMS(CMP, cmp),
	ALL_FORMS(TEST, test),
};

#define UNARY(op) { { op##_8_r, op##_8_m }, { op##_16_r, op##_16_m }, { op##_32_r, op##_32_m } }

static exec_fn *unary_handler(const struct insn *in, unsigned size)
{
	static exec_fn *const inc[3][2] = UNARY(inc), *const dec[3][2] = UNARY(dec);
	static exec_fn *const neg[3][2] = UNARY(neg), *const not[3][2] = UNARY(not);
	bool mem = in->opnd[0].kind == OPND_MEM;

	switch (in->name) {
	case I_INC: return inc[size][mem];
	case I_DEC: return dec[size][mem];
	case I_NEG: return neg[size][mem];
	default: return not[size][mem];
	}
}

exec_fn *alu_handler(const struct insn *in)
{
	unsigned size = in->opnd[0].size >> 1;		/* 1 2 4 -> 0 1 2 */

	if (in->name == I_INC || in->name == I_DEC || in->name == I_NEG || in->name == I_NOT)
		return unary_handler(in, size);
	if (in->name >= ARRAY_LEN(two_operands) || !two_operands[in->name][0].rr)
		return NULL;
	const struct forms *f = &two_operands[in->name][size];
	if (in->opnd[0].kind == OPND_MEM)
		return in->opnd[1].kind == OPND_IMM ? f->mi : f->mr;
	return in->opnd[1].kind == OPND_IMM ? f->ri : in->opnd[1].kind == OPND_MEM ? f->rm : f->rr;
}

/* By name: any form. */
#define DEFINE_EXEC(NAME) void exec_##NAME(struct vcpu *cpu, const struct insn *in) { alu_handler(in)(cpu, in); }
DEFINE_EXEC(ADD)
DEFINE_EXEC(OR)
DEFINE_EXEC(ADC)
DEFINE_EXEC(SBB)
DEFINE_EXEC(AND)
DEFINE_EXEC(SUB)
DEFINE_EXEC(XOR)
DEFINE_EXEC(CMP)
DEFINE_EXEC(TEST)
DEFINE_EXEC(INC)
DEFINE_EXEC(DEC)
DEFINE_EXEC(NEG)
DEFINE_EXEC(NOT)
