/*
 * What moves data: MOV MOVZX MOVSX LEA XCHG XADD CMPXCHG BSWAP XLAT CMOVcc SETcc.	[SDM 2]
 */
#include "emulate/handlers.h"
#include "emulate/operand.h"

/* --- MOV --- */

#define DEFINE_MOV(bits)								\
static void mov_##bits##_rr(struct vcpu *cpu, const struct insn *in)			\
{ reg_write##bits(cpu, in->opnd[0].reg, reg_read##bits(cpu, in->opnd[1].reg)); }	\
static void mov_##bits##_rm(struct vcpu *cpu, const struct insn *in)			\
{ reg_write##bits(cpu, in->opnd[0].reg, MEM_READ(bits, cpu, in)); }			\
static void mov_##bits##_mr(struct vcpu *cpu, const struct insn *in)			\
{ MEM_WRITE(bits, cpu, in, reg_read##bits(cpu, in->opnd[1].reg)); }			\
static void mov_##bits##_ri(struct vcpu *cpu, const struct insn *in)			\
{ reg_write##bits(cpu, in->opnd[0].reg, (uint##bits##_t)in->imm); }			\
static void mov_##bits##_mi(struct vcpu *cpu, const struct insn *in)			\
{ MEM_WRITE(bits, cpu, in, (uint##bits##_t)in->imm); }
DEFINE_MOV(8)
DEFINE_MOV(16)
DEFINE_MOV(32)

/* 32-bit addressing with neither index nor 16-bit size: [base + disp], most of what compilers use. */
static void mov_32_rm_based(struct vcpu *cpu, const struct insn *in)
{
	cpu->gpr[in->opnd[0].reg] = mem_read32(cpu, in->seg, cpu->gpr[in->base] + (uint32_t)in->disp);
}

static void mov_32_mr_based(struct vcpu *cpu, const struct insn *in)
{
	mem_write32(cpu, in->seg, cpu->gpr[in->base] + (uint32_t)in->disp, cpu->gpr[in->opnd[1].reg]);
}

static exec_fn *mov_handler(const struct insn *in)
{
	static exec_fn *const forms[3][5] = {
		{ mov_8_rr, mov_8_rm, mov_8_mr, mov_8_ri, mov_8_mi },
		{ mov_16_rr, mov_16_rm, mov_16_mr, mov_16_ri, mov_16_mi },
		{ mov_32_rr, mov_32_rm, mov_32_mr, mov_32_ri, mov_32_mi },
	};
	const struct operand *d = &in->opnd[0], *s = &in->opnd[1];
	bool based = in->adsize == 4 && in->index == REG_NONE && d->size == 4;

	if (d->kind == OPND_SREG || s->kind == OPND_SREG)
		return exec_mov_sreg;
	if (d->kind == OPND_MEM && s->kind == OPND_REG && based)
		return mov_32_mr_based;
	if (s->kind == OPND_MEM && based)
		return mov_32_rm_based;
	exec_fn *const *f = forms[d->size >> 1];
	if (d->kind == OPND_MEM)
		return s->kind == OPND_IMM ? f[4] : f[2];
	return s->kind == OPND_IMM ? f[3] : s->kind == OPND_MEM ? f[1] : f[0];
}

void exec_MOV(struct vcpu *cpu, const struct insn *in)
{
	mov_handler(in)(cpu, in);
}

/* --- MOVZX MOVSX LEA, exchanges --- */

static inline void write_opsize(struct vcpu *cpu, unsigned reg, unsigned size, uint32_t v)
{
	if (size == 2)
		reg_write16(cpu, reg, (uint16_t)v);
	else
		cpu->gpr[reg] = v;
}

#define DEFINE_EXTEND(name, type, bits)							\
static void name##_##bits##_r(struct vcpu *cpu, const struct insn *in)			\
{ cpu->gpr[in->opnd[0].reg] = (uint32_t)(type)reg_read##bits(cpu, in->opnd[1].reg); }	\
static void name##_##bits##_m(struct vcpu *cpu, const struct insn *in)			\
{ cpu->gpr[in->opnd[0].reg] = (uint32_t)(type)MEM_READ(bits, cpu, in); }
DEFINE_EXTEND(movzx, uint8_t, 8)
DEFINE_EXTEND(movzx, uint16_t, 16)
DEFINE_EXTEND(movsx, int8_t, 8)
DEFINE_EXTEND(movsx, int16_t, 16)

void exec_MOVZX(struct vcpu *cpu, const struct insn *in)
{
	write_opsize(cpu, in->opnd[0].reg, in->opnd[0].size, operand_read(cpu, in, 1));
}

void exec_MOVSX(struct vcpu *cpu, const struct insn *in)
{
	uint32_t v = operand_read(cpu, in, 1);

	v = in->opnd[1].size == 1 ? (uint32_t)(int8_t)v : (uint32_t)(int16_t)v;
	write_opsize(cpu, in->opnd[0].reg, in->opnd[0].size, v);
}

void exec_LEA(struct vcpu *cpu, const struct insn *in)
{
	write_opsize(cpu, in->opnd[0].reg, in->opnd[0].size, insn_ea(cpu, in));
}

static void lea_32(struct vcpu *cpu, const struct insn *in)
{
	cpu->gpr[in->opnd[0].reg] = (uint32_t)in->disp + cpu->gpr[in->base] + (cpu->gpr[in->index] << in->scale);
}

void exec_XCHG(struct vcpu *cpu, const struct insn *in)
{
	struct rmw m = { 0 };
	uint32_t a = rmw_operand_read(cpu, in, 0, &m), b = operand_read(cpu, in, 1);

	rmw_operand_write(cpu, in, 0, &m, b);
	operand_write(cpu, in, 1, a);
}

void exec_BSWAP(struct vcpu *cpu, const struct insn *in)
{
	uint32_t *r = &cpu->gpr[in->opnd[0].reg];

	if (in->opsize == 4)
		*r = __builtin_bswap32(*r);
	else			/* undefined: what the host does */
		__asm__(".byte 0x66\n\tbswapl %%eax" : "+a" (*r));
}

/* Flags of cmp a, b; and of add for XADD. */
#define DEFINE_COMPARE(op, bits)							\
static uint32_t op##_##bits(struct vcpu *cpu, uint##bits##_t a, uint##bits##_t b)	\
{											\
	uint32_t ax;									\
	__asm__(#op SUFFIX##bits " %[b], %[a]" FLAGS_SAVE : [a] "+q" (a), "=&a" (ax) : [b] "q" (b) : "cc"); \
	flags_set(cpu, ax);								\
	return a;									\
}
DEFINE_COMPARE(cmp, 8)
DEFINE_COMPARE(cmp, 16)
DEFINE_COMPARE(cmp, 32)
DEFINE_COMPARE(add, 8)
DEFINE_COMPARE(add, 16)
DEFINE_COMPARE(add, 32)

/* The destination gets a write cycle either way, so it must be writable either way. */
void exec_CMPXCHG(struct vcpu *cpu, const struct insn *in)
{
	struct rmw m = { 0 };
	unsigned size = in->opnd[0].size;
	uint32_t d = rmw_operand_read(cpu, in, 0, &m), s = operand_read(cpu, in, 1), acc = cpu->gpr[REG_EAX];

	if (size == 1)
		cmp_8(cpu, (uint8_t)acc, (uint8_t)d);
	else if (size == 2)
		cmp_16(cpu, (uint16_t)acc, (uint16_t)d);
	else
		cmp_32(cpu, acc, d);
	if (cpu->eflags & EFLAGS_ZF) {
		rmw_operand_write(cpu, in, 0, &m, s);
		return;
	}
	rmw_operand_write(cpu, in, 0, &m, d);
	if (size == 1)
		reg_write8(cpu, REG_AL, (uint8_t)d);
	else
		write_opsize(cpu, REG_EAX, size, d);
}

void exec_CMPXCHG8B(struct vcpu *cpu, const struct insn *in)
{
	struct rmw m;
	uint64_t d = rmw_read64(cpu, &m, in->seg, insn_ea(cpu, in));
	uint64_t acc = (uint64_t)cpu->gpr[REG_EDX] << 32 | cpu->gpr[REG_EAX];

	if (d == acc) {
		rmw_write64(cpu, &m, (uint64_t)cpu->gpr[REG_ECX] << 32 | cpu->gpr[REG_EBX]);
		cpu->eflags |= EFLAGS_ZF;
	} else {
		rmw_write64(cpu, &m, d);
		cpu->gpr[REG_EAX] = (uint32_t)d;
		cpu->gpr[REG_EDX] = (uint32_t)(d >> 32);
		cpu->eflags &= ~(uint32_t)EFLAGS_ZF;
	}
}

void exec_XADD(struct vcpu *cpu, const struct insn *in)
{
	struct rmw m = { 0 };
	unsigned size = in->opnd[0].size;
	uint32_t d = rmw_operand_read(cpu, in, 0, &m), s = operand_read(cpu, in, 1);
	uint32_t sum = size == 1 ? add_8(cpu, (uint8_t)d, (uint8_t)s) : size == 2
	    ? add_16(cpu, (uint16_t)d, (uint16_t)s) : add_32(cpu, d, s);

	operand_write(cpu, in, 1, d);
	rmw_operand_write(cpu, in, 0, &m, sum);
}

void exec_XLAT(struct vcpu *cpu, const struct insn *in)
{
	uint32_t off = cpu->gpr[REG_EBX] + reg_read8(cpu, REG_AL);

	reg_write8(cpu, REG_AL, mem_read8(cpu, in->seg, in->adsize == 2 ? (uint16_t)off : off));
}

/* The source is read, and may fault, whether the condition holds or not. */
void exec_CMOVCC(struct vcpu *cpu, const struct insn *in)
{
	uint32_t v = operand_read(cpu, in, 1);

	if (flags_condition(cpu->eflags, in->cond))
		write_opsize(cpu, in->opnd[0].reg, in->opnd[0].size, v);
}

void exec_SETCC(struct vcpu *cpu, const struct insn *in)
{
	operand_write(cpu, in, 0, flags_condition(cpu->eflags, in->cond));
}

void exec_NOP(struct vcpu *cpu, const struct insn *in) { }
/* Scanned code counts them itself, and comes here when they are used up. */
void exec_PAUSE(struct vcpu *cpu, const struct insn *in)
{
	if (cpu->pauses >= 0 && --cpu->pauses >= 0)
		return;
	cpu->pauses = INT32_MAX;
	if (cpu->bus && cpu->bus->spin)
		cpu->bus->spin(cpu->bus_arg);
}

exec_fn *move_handler(const struct insn *in)
{
	bool mem = in->opnd[1].kind == OPND_MEM;

	switch (in->name) {
	case I_MOV:
		return mov_handler(in);
	case I_MOVZX:
		if (in->opsize == 2)
			return NULL;
		if (in->opnd[1].size == 1)
			return mem ? movzx_8_m : movzx_8_r;
		return mem ? movzx_16_m : movzx_16_r;
	case I_MOVSX:
		if (in->opsize == 2)
			return NULL;
		if (in->opnd[1].size == 1)
			return mem ? movsx_8_m : movsx_8_r;
		return mem ? movsx_16_m : movsx_16_r;
	case I_LEA:
		return in->opsize == 4 && in->adsize == 4 ? lea_32 : NULL;
	default:
		return NULL;
	}
}
