/*
 * ROL ROR RCL RCR SHL SHR SAR, SHLD SHRD.				[SDM 2]
 *
 * The host's own instruction does it, with the guest's flags loaded first: a count of 0 leaves them,
 * RCL and RCR read CF, and what is undefined (OF for counts above 1, SHLD by more than the operand
 * holds) is what the host does. ROL and ROR of a register by an immediate leave another OF than
 * by CL, or in memory, on some CPUs: those are the host's immediate form too.
 */
#include "emulate/handlers.h"
#include "emulate/operand.h"

#define DEFINE_HOST(op, bits)								\
static inline uint##bits##_t op##_##bits(struct vcpu *cpu, uint##bits##_t a, uint8_t count) \
{											\
	uint32_t ax = flags_get(cpu);							\
	__asm__(FLAGS_LOAD #op SUFFIX##bits " %%cl, %[a]" FLAGS_SAVE			\
	    : [a] "+q" (a), "+a" (ax) : "c" (count) : "cc");				\
	flags_set(cpu, ax);								\
	return a;									\
}

/* By an immediate: the same, but for ROL and ROR. */
#define DEFINE_SAME_IMM(op, bits)							\
static inline uint##bits##_t op##_##bits##_imm(struct vcpu *cpu, uint##bits##_t a, uint8_t count) \
{ return op##_##bits(cpu, a, count); }

#define CASE(op, bits, n) case n:							\
	__asm__(FLAGS_LOAD #op SUFFIX##bits " $" #n ", %[a]" FLAGS_SAVE : [a] "+q" (a), "+a" (ax) : : "cc"); \
	break;
#define CASES4(op, bits, a, b, c, d) CASE(op, bits, a) CASE(op, bits, b) CASE(op, bits, c) CASE(op, bits, d)

#define DEFINE_ROTATE_IMM(op, bits)							\
static uint##bits##_t op##_##bits##_imm(struct vcpu *cpu, uint##bits##_t a, uint8_t count) \
{											\
	uint32_t ax = flags_get(cpu);							\
	switch (count & 31) {								\
	CASES4(op, bits, 0, 1, 2, 3) CASES4(op, bits, 4, 5, 6, 7)			\
	CASES4(op, bits, 8, 9, 10, 11) CASES4(op, bits, 12, 13, 14, 15)			\
	CASES4(op, bits, 16, 17, 18, 19) CASES4(op, bits, 20, 21, 22, 23)		\
	CASES4(op, bits, 24, 25, 26, 27) CASES4(op, bits, 28, 29, 30, 31)		\
	}										\
	flags_set(cpu, ax);								\
	return a;									\
}

#define DEFINE_DOUBLE(op, bits)								\
static inline uint##bits##_t op##_##bits(struct vcpu *cpu, uint##bits##_t a, uint##bits##_t b, uint8_t count) \
{											\
	uint32_t ax = flags_get(cpu);							\
	__asm__(FLAGS_LOAD #op SUFFIX##bits " %%cl, %[b], %[a]" FLAGS_SAVE		\
	    : [a] "+r" (a), "+a" (ax) : [b] "r" (b), "c" (count) : "cc");		\
	flags_set(cpu, ax);								\
	return a;									\
}

#define DEFINE_FORMS(op, bits)								\
static void op##_##bits##_r(struct vcpu *cpu, const struct insn *in)			\
{											\
	unsigned d = in->opnd[0].reg;							\
	uint8_t count = (uint8_t)operand_read(cpu, in, 1);				\
	reg_write##bits(cpu, d, op##_##bits(cpu, reg_read##bits(cpu, d), count));	\
}											\
static void op##_##bits##_ri(struct vcpu *cpu, const struct insn *in)			\
{											\
	unsigned d = in->opnd[0].reg;							\
	reg_write##bits(cpu, d, op##_##bits##_imm(cpu, reg_read##bits(cpu, d), (uint8_t)in->imm)); \
}											\
static void op##_##bits##_m(struct vcpu *cpu, const struct insn *in)			\
{											\
	struct rmw m;									\
	uint##bits##_t v = rmw_read##bits(cpu, &m, in->seg, insn_ea(cpu, in));		\
	rmw_write##bits(cpu, &m, op##_##bits(cpu, v, (uint8_t)operand_read(cpu, in, 1))); \
}

#define DEFINE_SHIFT(op, bits) DEFINE_HOST(op, bits) DEFINE_SAME_IMM(op, bits) DEFINE_FORMS(op, bits)
#define DEFINE_ROTATE(op, bits) DEFINE_HOST(op, bits) DEFINE_ROTATE_IMM(op, bits) DEFINE_FORMS(op, bits)
#define SIZES(DEFINE, op) DEFINE(op, 8) DEFINE(op, 16) DEFINE(op, 32)
SIZES(DEFINE_ROTATE, rol)
SIZES(DEFINE_ROTATE, ror)
SIZES(DEFINE_SHIFT, rcl)
SIZES(DEFINE_SHIFT, rcr)
SIZES(DEFINE_SHIFT, shl)
SIZES(DEFINE_SHIFT, shr)
SIZES(DEFINE_SHIFT, sar)
DEFINE_DOUBLE(shld, 16)
DEFINE_DOUBLE(shld, 32)
DEFINE_DOUBLE(shrd, 16)
DEFINE_DOUBLE(shrd, 32)

struct forms {
	exec_fn *r, *ri, *m;
};
#define FORMS(op, bits) { op##_##bits##_r, op##_##bits##_ri, op##_##bits##_m }
#define ALL_FORMS(NAME, op) [I_##NAME - I_ROL] = { FORMS(op, 8), FORMS(op, 16), FORMS(op, 32) }

static const struct forms shifts[I_SAR - I_ROL + 1][3] = {
	ALL_FORMS(ROL, rol), ALL_FORMS(ROR, ror), ALL_FORMS(RCL, rcl), ALL_FORMS(RCR, rcr),
	ALL_FORMS(SHL, shl), ALL_FORMS(SHR, shr), ALL_FORMS(SAR, sar),
};

exec_fn *shift_handler(const struct insn *in)
{
	if (in->name < I_ROL || in->name > I_SAR)
		return NULL;
	const struct forms *f = &shifts[in->name - I_ROL][in->opnd[0].size >> 1];
	if (in->opnd[0].kind == OPND_MEM)
		return f->m;
	return in->opnd[1].kind == OPND_IMM ? f->ri : f->r;
}

#define DEFINE_EXEC(NAME) void exec_##NAME(struct vcpu *cpu, const struct insn *in) { shift_handler(in)(cpu, in); }
DEFINE_EXEC(ROL)
DEFINE_EXEC(ROR)
DEFINE_EXEC(RCL)
DEFINE_EXEC(RCR)
DEFINE_EXEC(SHL)
DEFINE_EXEC(SHR)
DEFINE_EXEC(SAR)

#define DEFINE_EXEC_DOUBLE(NAME, op)							\
void exec_##NAME(struct vcpu *cpu, const struct insn *in)				\
{											\
	struct rmw m = { 0 };								\
	uint32_t v = rmw_operand_read(cpu, in, 0, &m);					\
	uint32_t b = operand_read(cpu, in, 1);						\
	uint8_t count = (uint8_t)operand_read(cpu, in, 2);				\
	v = in->opnd[0].size == 2 ? op##_16(cpu, (uint16_t)v, (uint16_t)b, count) : op##_32(cpu, v, b, count); \
	rmw_operand_write(cpu, in, 0, &m, v);						\
}
DEFINE_EXEC_DOUBLE(SHLD, shld)
DEFINE_EXEC_DOUBLE(SHRD, shrd)
