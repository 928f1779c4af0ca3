/*
 * What the integer handlers share: registers of each size, flags from the host's ALU, memory operands.
 */
#ifndef PLEX86_EMULATE_OPERAND_H
#define PLEX86_EMULATE_OPERAND_H

#include "emulate/emulate.h"

/* --- registers. Partial writes go through the whole register, so that the next 32-bit load of it
 * is forwarded from one store. --- */

static inline uint8_t reg_read8(const struct vcpu *cpu, unsigned r)
{
	return (uint8_t)(cpu->gpr[r & 3] >> ((r & 4) << 1));
}

static inline void reg_write8(struct vcpu *cpu, unsigned r, uint8_t v)
{
	unsigned shift = (r & 4) << 1;

	cpu->gpr[r & 3] = (cpu->gpr[r & 3] & ~(0xFFu << shift)) | (uint32_t)v << shift;
}

static inline uint16_t reg_read16(const struct vcpu *cpu, unsigned r)
{
	return (uint16_t)cpu->gpr[r];
}

static inline void reg_write16(struct vcpu *cpu, unsigned r, uint16_t v)
{
	cpu->gpr[r] = (cpu->gpr[r] & 0xFFFF0000u) | v;
}

static inline uint32_t reg_read32(const struct vcpu *cpu, unsigned r)
{
	return cpu->gpr[r];
}

static inline void reg_write32(struct vcpu *cpu, unsigned r, uint32_t v)
{
	cpu->gpr[r] = v;
}

/* --- flags: AX as "lahf; seto %al" leaves it --- */

static inline void flags_set(struct vcpu *cpu, uint32_t ax)
{
	cpu->eflags = (cpu->eflags & ~(uint32_t)EFLAGS_ARITH) | (ax >> 8 & 0xD5) | (ax & 1) << 11;
}

/* The same, but CF stays: INC, DEC. */
static inline void flags_set_keep_carry(struct vcpu *cpu, uint32_t ax)
{
	cpu->eflags = (cpu->eflags & ~(uint32_t)(EFLAGS_ARITH & ~EFLAGS_CF)) | (ax >> 8 & 0xD4) | (ax & 1) << 11;
}

/* AX for FLAGS_LOAD: the guest's flags into the host's. */
static inline uint32_t flags_get(const struct vcpu *cpu)
{
	return (cpu->eflags & 0xFF) << 8 | (cpu->eflags >> 11 & 1);
}

#define FLAGS_LOAD	"addb $127, %%al\n\tsahf\n\t"	/* OF from AL bit 0, the rest from AH */
#define FLAGS_SAVE	"\n\tlahf\n\tseto %%al"
#define SUFFIX8		"b"
#define SUFFIX16	"w"
#define SUFFIX32	"l"

/* [SDM 2, "EFLAGS Condition Codes"] Even numbers; odd ones are the opposite. */
static inline bool flags_condition(uint32_t f, unsigned cond)
{
	bool t;

	switch (cond >> 1) {
	case 0: t = f & EFLAGS_OF; break;
	case 1: t = f & EFLAGS_CF; break;
	case 2: t = f & EFLAGS_ZF; break;
	case 3: t = f & (EFLAGS_CF | EFLAGS_ZF); break;
	case 4: t = f & EFLAGS_SF; break;
	case 5: t = f & EFLAGS_PF; break;
	case 6: t = (f ^ f >> 4) & EFLAGS_SF; break;
	default: t = (f & EFLAGS_ZF) | ((f ^ f >> 4) & EFLAGS_SF); break;
	}
	return t ^ (cond & 1);
}

/* --- memory operands --- */

#define MEM_READ(bits, cpu, in)		mem_read##bits(cpu, (in)->seg, insn_ea(cpu, in))
#define MEM_WRITE(bits, cpu, in, v)	mem_write##bits(cpu, (in)->seg, insn_ea(cpu, in), v)

/*
 * Read-modify-write: rmw_read finds the place with the right to write checked, so that rmw_write
 * cannot fault. RAM is kept as a host pointer, anything else as its linear address.
 */
struct rmw {
	uint8_t *host;
	lin_t lin;
};

#define DEFINE_RMW(bits)								\
static inline uint##bits##_t rmw_read##bits(struct vcpu *cpu, struct rmw *m, unsigned seg, uint32_t off) \
{											\
	const struct segment *s = &cpu->seg[seg];					\
	lin_t lin = s->base + off;							\
	uintptr_t e = cpu->tlb->write[lin >> PAGE_SHIFT];				\
	uint##bits##_t v;								\
	if (likely((uint64_t)off + bits / 8 <= s->write_top && e != 0			\
	    && (lin & PAGE_MASK) <= PAGE_BYTES - bits / 8)) {				\
		*m = (struct rmw){ .host = (uint8_t *)(e + lin) };			\
		memcpy(&v, m->host, sizeof(v));						\
		return v;								\
	}										\
	*m = (struct rmw){ .lin = mem_rmw(cpu, seg, off, bits / 8) };			\
	return lin_read##bits(cpu, m->lin);						\
}											\
static inline void rmw_write##bits(struct vcpu *cpu, const struct rmw *m, uint##bits##_t v) \
{											\
	if (likely(m->host != NULL))							\
		memcpy(m->host, &v, sizeof(v));						\
	else										\
		lin_write##bits(cpu, m->lin, v);					\
}
DEFINE_RMW(8)
DEFINE_RMW(16)
DEFINE_RMW(32)
DEFINE_RMW(64)

/* --- any operand, for what is not hot --- */

static inline uint32_t operand_read(struct vcpu *cpu, const struct insn *in, unsigned n)
{
	const struct operand *o = &in->opnd[n];

	switch (o->kind) {
	case OPND_REG:
		return o->size == 1 ? reg_read8(cpu, o->reg) : o->size == 2 ? reg_read16(cpu, o->reg) : cpu->gpr[o->reg];
	case OPND_MEM:
		return o->size == 1 ? MEM_READ(8, cpu, in) : o->size == 2 ? MEM_READ(16, cpu, in) : MEM_READ(32, cpu, in);
	case OPND_IMM2:
		return in->imm2;
	case OPND_ONE:
		return 1;
	default:
		return in->imm;
	}
}

static inline void operand_write(struct vcpu *cpu, const struct insn *in, unsigned n, uint32_t v)
{
	const struct operand *o = &in->opnd[n];

	if (o->kind == OPND_MEM) {
		if (o->size == 1)
			MEM_WRITE(8, cpu, in, (uint8_t)v);
		else if (o->size == 2)
			MEM_WRITE(16, cpu, in, (uint16_t)v);
		else
			MEM_WRITE(32, cpu, in, v);
	} else if (o->size == 1) {
		reg_write8(cpu, o->reg, (uint8_t)v);
	} else if (o->size == 2) {
		reg_write16(cpu, o->reg, (uint16_t)v);
	} else {
		cpu->gpr[o->reg] = v;
	}
}

/* Operand to change, then rmw_operand_write(): register or memory. */
static inline uint32_t rmw_operand_read(struct vcpu *cpu, const struct insn *in, unsigned n, struct rmw *m)
{
	const struct operand *o = &in->opnd[n];

	if (o->kind != OPND_MEM)
		return operand_read(cpu, in, n);
	if (o->size == 1)
		return rmw_read8(cpu, m, in->seg, insn_ea(cpu, in));
	if (o->size == 2)
		return rmw_read16(cpu, m, in->seg, insn_ea(cpu, in));
	return rmw_read32(cpu, m, in->seg, insn_ea(cpu, in));
}

static inline void rmw_operand_write(struct vcpu *cpu, const struct insn *in, unsigned n, const struct rmw *m, uint32_t v)
{
	const struct operand *o = &in->opnd[n];

	if (o->kind != OPND_MEM)
		operand_write(cpu, in, n, v);
	else if (o->size == 1)
		rmw_write8(cpu, m, (uint8_t)v);
	else if (o->size == 2)
		rmw_write16(cpu, m, (uint16_t)v);
	else
		rmw_write32(cpu, m, v);
}

/* --- the stack: SP or ESP by SS.B --- */

static inline uint32_t stack_mask(const struct vcpu *cpu)
{
	return cpu->seg[SEG_SS].attr & SEG_DB ? 0xFFFFFFFFu : 0xFFFFu;
}

/* (E)SP moved by delta, the part above SP kept in a 16-bit stack. */
static inline uint32_t stack_moved(const struct vcpu *cpu, uint32_t delta)
{
	uint32_t esp = cpu->gpr[REG_ESP], mask = stack_mask(cpu);

	return (esp & ~mask) | ((esp + delta) & mask);
}

static inline void stack_push16(struct vcpu *cpu, uint16_t v)
{
	uint32_t esp = stack_moved(cpu, -2u);

	mem_write16(cpu, SEG_SS, esp & stack_mask(cpu), v);
	cpu->gpr[REG_ESP] = esp;
}

static inline void stack_push32(struct vcpu *cpu, uint32_t v)
{
	uint32_t esp = stack_moved(cpu, -4u);

	mem_write32(cpu, SEG_SS, esp & stack_mask(cpu), v);
	cpu->gpr[REG_ESP] = esp;
}

/* The value delta bytes above the top; (E)SP stays. */
static inline uint32_t stack_peek(struct vcpu *cpu, unsigned size, uint32_t delta)
{
	uint32_t off = (cpu->gpr[REG_ESP] + delta) & stack_mask(cpu);

	return size == 2 ? mem_read16(cpu, SEG_SS, off) : mem_read32(cpu, SEG_SS, off);
}

/* Specialised handlers for hot forms, or NULL: each file answers for its own instructions. */
exec_fn *alu_handler(const struct insn *in);
exec_fn *move_handler(const struct insn *in);
exec_fn *shift_handler(const struct insn *in);
exec_fn *stack_handler(const struct insn *in);
exec_fn *control_handler(const struct insn *in);

#endif
