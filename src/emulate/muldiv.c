/*
 * MUL IMUL DIV IDIV, CBW CWD.						[SDM 2]
 *
 * Done by the host's instruction at the guest's size. A quotient that does not fit is found before,
 * so that the host never faults.
 */
#include "emulate/handlers.h"
#include "emulate/operand.h"

/* One-operand multiply: (AH:AL, DX:AX, EDX:EAX) = accumulator * v. */
#define DEFINE_MULTIPLY(op)								\
static void op##_8(struct vcpu *cpu, uint8_t v)						\
{											\
	uint32_t ax = flags_get(cpu);							\
	uint16_t product, a = reg_read8(cpu, REG_AL);					\
	__asm__(FLAGS_LOAD "movw %[a], %%ax\n\t" #op "b %[v]\n\tmovw %%ax, %[r]" FLAGS_SAVE \
	    : "+&a" (ax), [r] "=&d" (product) : [a] "r" (a), [v] "r" (v) : "cc");	\
	reg_write16(cpu, REG_EAX, product);						\
	flags_set(cpu, ax);								\
}											\
static void op##_16(struct vcpu *cpu, uint16_t v)					\
{											\
	uint32_t ax = flags_get(cpu);							\
	uint16_t low = reg_read16(cpu, REG_EAX), high;					\
	__asm__(FLAGS_LOAD "movw %[low], %%ax\n\t" #op "w %[v]\n\tmovw %%ax, %[low]" FLAGS_SAVE \
	    : "+&a" (ax), [low] "+&r" (low), "=&d" (high) : [v] "r" (v) : "cc");	\
	reg_write16(cpu, REG_EAX, low);							\
	reg_write16(cpu, REG_EDX, high);						\
	flags_set(cpu, ax);								\
}											\
static void op##_32(struct vcpu *cpu, uint32_t v)					\
{											\
	uint32_t ax = flags_get(cpu), low = cpu->gpr[REG_EAX], high;			\
	__asm__(FLAGS_LOAD "movl %[low], %%eax\n\t" #op "l %[v]\n\tmovl %%eax, %[low]" FLAGS_SAVE \
	    : "+&a" (ax), [low] "+&r" (low), "=&d" (high) : [v] "r" (v) : "cc");	\
	cpu->gpr[REG_EAX] = low;							\
	cpu->gpr[REG_EDX] = high;							\
	flags_set(cpu, ax);								\
}
DEFINE_MULTIPLY(mul)
DEFINE_MULTIPLY(imul)

#define DEFINE_IMUL2(bits)								\
static uint32_t imul2_##bits(struct vcpu *cpu, uint##bits##_t a, uint##bits##_t b)	\
{											\
	uint32_t ax = flags_get(cpu);							\
	__asm__(FLAGS_LOAD "imul" SUFFIX##bits " %[b], %[a]" FLAGS_SAVE			\
	    : [a] "+&r" (a), "+&a" (ax) : [b] "r" (b) : "cc");				\
	flags_set(cpu, ax);								\
	return a;									\
}
DEFINE_IMUL2(16)
DEFINE_IMUL2(32)

void exec_MUL(struct vcpu *cpu, const struct insn *in)
{
	uint32_t v = operand_read(cpu, in, in->nopnd - 1u);

	switch (in->opnd[in->nopnd - 1].size) {
	case 1: mul_8(cpu, (uint8_t)v); break;
	case 2: mul_16(cpu, (uint16_t)v); break;
	default: mul_32(cpu, v); break;
	}
}

/* imul r/m; imul r, r/m; imul r, r/m, imm. */
void exec_IMUL(struct vcpu *cpu, const struct insn *in)
{
	if ((in->opcode & 0xFE) == 0xF6) {
		uint32_t v = operand_read(cpu, in, in->nopnd - 1u);
		switch (in->opnd[in->nopnd - 1].size) {
		case 1: imul_8(cpu, (uint8_t)v); break;
		case 2: imul_16(cpu, (uint16_t)v); break;
		default: imul_32(cpu, v); break;
		}
		return;
	}
	bool three = in->nopnd == 3;
	uint32_t b = operand_read(cpu, in, 1);
	uint32_t a = three ? in->imm : operand_read(cpu, in, 0);
	if (in->opnd[0].size == 2)
		reg_write16(cpu, in->opnd[0].reg, (uint16_t)imul2_16(cpu, (uint16_t)a, (uint16_t)b));
	else
		cpu->gpr[in->opnd[0].reg] = imul2_32(cpu, a, b);
}

#define DEFINE_DIVIDE(op)								\
static void op##_8(struct vcpu *cpu, uint8_t v)						\
{											\
	uint32_t ax = flags_get(cpu);							\
	uint16_t result, dividend = reg_read16(cpu, REG_EAX);				\
	__asm__(FLAGS_LOAD "movw %[n], %%ax\n\t" #op "b %[v]\n\tmovw %%ax, %[r]" FLAGS_SAVE \
	    : "+&a" (ax), [r] "=&d" (result) : [n] "r" (dividend), [v] "r" (v) : "cc");	\
	reg_write16(cpu, REG_EAX, result);						\
	flags_set(cpu, ax);								\
}											\
static void op##_16(struct vcpu *cpu, uint16_t v)					\
{											\
	uint32_t ax = flags_get(cpu);							\
	uint16_t low = reg_read16(cpu, REG_EAX), high = reg_read16(cpu, REG_EDX);	\
	__asm__(FLAGS_LOAD "movw %[low], %%ax\n\t" #op "w %[v]\n\tmovw %%ax, %[low]" FLAGS_SAVE \
	    : "+&a" (ax), [low] "+&r" (low), "+&d" (high) : [v] "r" (v) : "cc");	\
	reg_write16(cpu, REG_EAX, low);							\
	reg_write16(cpu, REG_EDX, high);						\
	flags_set(cpu, ax);								\
}											\
static void op##_32(struct vcpu *cpu, uint32_t v)					\
{											\
	uint32_t ax = flags_get(cpu), low = cpu->gpr[REG_EAX], high = cpu->gpr[REG_EDX]; \
	__asm__(FLAGS_LOAD "movl %[low], %%eax\n\t" #op "l %[v]\n\tmovl %%eax, %[low]" FLAGS_SAVE \
	    : "+&a" (ax), [low] "+&r" (low), "+&d" (high) : [v] "r" (v) : "cc");	\
	cpu->gpr[REG_EAX] = low;							\
	cpu->gpr[REG_EDX] = high;							\
	flags_set(cpu, ax);								\
}
DEFINE_DIVIDE(div)
DEFINE_DIVIDE(idiv)

void exec_DIV(struct vcpu *cpu, const struct insn *in)
{
	uint32_t v = operand_read(cpu, in, in->nopnd - 1u);
	unsigned size = in->opnd[in->nopnd - 1].size;
	uint32_t high = size == 1 ? reg_read16(cpu, REG_EAX) >> 8 : size == 2 ? reg_read16(cpu, REG_EDX)
	    : cpu->gpr[REG_EDX];

	if (high >= v)			/* division by zero, or a quotient of more than size bytes */
		cpu_raise(cpu, EXC_DE, 0);
	if (size == 1)
		div_8(cpu, (uint8_t)v);
	else if (size == 2)
		div_16(cpu, (uint16_t)v);
	else
		div_32(cpu, v);
}

void exec_IDIV(struct vcpu *cpu, const struct insn *in)
{
	uint32_t v = operand_read(cpu, in, in->nopnd - 1u);
	unsigned size = in->opnd[in->nopnd - 1].size;
	int64_t n, d, max;

	if (size == 1) {
		n = (int16_t)reg_read16(cpu, REG_EAX);
		d = (int8_t)v;
		max = INT8_MAX;
	} else if (size == 2) {
		n = (int32_t)((uint32_t)reg_read16(cpu, REG_EDX) << 16 | reg_read16(cpu, REG_EAX));
		d = (int16_t)v;
		max = INT16_MAX;
	} else {
		n = (int64_t)((uint64_t)cpu->gpr[REG_EDX] << 32 | cpu->gpr[REG_EAX]);
		d = (int32_t)v;
		max = INT32_MAX;
	}
	if (d == 0 || (d == -1 && n == INT64_MIN) || n / d > max || n / d < -max - 1)
		cpu_raise(cpu, EXC_DE, 0);
	if (size == 1)
		idiv_8(cpu, (uint8_t)v);
	else if (size == 2)
		idiv_16(cpu, (uint16_t)v);
	else
		idiv_32(cpu, v);
}

void exec_CBW(struct vcpu *cpu, const struct insn *in)
{
	if (in->opsize == 2)
		reg_write16(cpu, REG_EAX, (uint16_t)(int8_t)cpu->gpr[REG_EAX]);
	else
		cpu->gpr[REG_EAX] = (uint32_t)(int16_t)cpu->gpr[REG_EAX];
}

void exec_CWD(struct vcpu *cpu, const struct insn *in)
{
	if (in->opsize == 2)
		reg_write16(cpu, REG_EDX, (uint16_t)((int16_t)cpu->gpr[REG_EAX] >> 15));
	else
		cpu->gpr[REG_EDX] = (uint32_t)((int32_t)cpu->gpr[REG_EAX] >> 31);
}
