/*
 * PUSH POP PUSHA POPA ENTER LEAVE, and the instructions on single flags.	[SDM 2]
 *
 * SS.B says whether SP or ESP is the stack pointer and wraps; the operand size, what is pushed.
 * Nothing changes before the last access that may fault.
 */
#include "emulate/handlers.h"
#include "emulate/operand.h"

static void push_32_r(struct vcpu *cpu, const struct insn *in)
{
	stack_push32(cpu, cpu->gpr[in->opnd[0].reg]);	/* PUSH ESP: the value before */
}

static void push_32_i(struct vcpu *cpu, const struct insn *in)
{
	stack_push32(cpu, in->imm);
}

void exec_PUSH(struct vcpu *cpu, const struct insn *in)
{
	uint32_t v = operand_read(cpu, in, 0);

	if (in->opsize == 2)
		stack_push16(cpu, (uint16_t)v);
	else
		stack_push32(cpu, v);
}

static void pop_32_r(struct vcpu *cpu, const struct insn *in)
{
	uint32_t v = stack_peek(cpu, 4, 0);

	cpu->gpr[REG_ESP] = stack_moved(cpu, 4);
	cpu->gpr[in->opnd[0].reg] = v;			/* after, for POP ESP */
}

/* "If the ESP register is used as a base register for addressing a destination operand in memory,
 * the POP instruction computes the effective address of the operand after it increments ESP." */
void exec_POP(struct vcpu *cpu, const struct insn *in)
{
	uint32_t v = stack_peek(cpu, in->opsize, 0);
	uint32_t old = cpu->gpr[REG_ESP], esp = stack_moved(cpu, in->opsize);

	if (in->opnd[0].kind == OPND_MEM) {
		cpu->gpr[REG_ESP] = esp;
		uint32_t ea = insn_ea(cpu, in);
		cpu->gpr[REG_ESP] = old;
		if (in->opsize == 2)
			mem_write16(cpu, in->seg, ea, (uint16_t)v);
		else
			mem_write32(cpu, in->seg, ea, v);
		cpu->gpr[REG_ESP] = esp;
	} else {
		cpu->gpr[REG_ESP] = esp;
		operand_write(cpu, in, 0, v);
	}
}

void exec_PUSHA(struct vcpu *cpu, const struct insn *in)
{
	uint32_t esp = cpu->gpr[REG_ESP], mask = stack_mask(cpu);

	for (unsigned r = 0; r < 8; r++) {
		uint32_t off = (esp - (r + 1) * in->opsize) & mask;
		if (in->opsize == 2)
			mem_write16(cpu, SEG_SS, off, (uint16_t)cpu->gpr[r]);
		else
			mem_write32(cpu, SEG_SS, off, cpu->gpr[r]);
	}
	cpu->gpr[REG_ESP] = stack_moved(cpu, -8u * in->opsize);
}

/* From the top: EDI first. Each is loaded at once, as the host does: a fault further up finds ESP as
 * it was, and the instruction begins again. */
void exec_POPA(struct vcpu *cpu, const struct insn *in)
{
	for (unsigned i = 0; i < 8; i++) {
		unsigned r = 7 - i;
		uint32_t v = stack_peek(cpu, in->opsize, i * in->opsize);
		if (r == REG_ESP)
			continue;
		if (in->opsize == 2)
			reg_write16(cpu, r, (uint16_t)v);
		else
			cpu->gpr[r] = v;
	}
	cpu->gpr[REG_ESP] = stack_moved(cpu, 8u * in->opsize);
}

/* Store v, of the operand size, at depth bytes below the top. */
static void store_below(struct vcpu *cpu, const struct insn *in, uint32_t depth, uint32_t v)
{
	uint32_t off = (cpu->gpr[REG_ESP] - depth) & stack_mask(cpu);

	if (in->opsize == 2)
		mem_write16(cpu, SEG_SS, off, (uint16_t)v);
	else
		mem_write32(cpu, SEG_SS, off, v);
}

void exec_ENTER(struct vcpu *cpu, const struct insn *in)
{
	uint32_t size = in->opsize, alloc = in->imm & 0xFFFF, level = in->imm2 & 31, mask = stack_mask(cpu);
	uint32_t depth = size, frame = cpu->gpr[REG_ESP] - size;	/* all of ESP, in a 16-bit stack too */
	uint32_t ebp = cpu->gpr[REG_EBP];

	store_below(cpu, in, depth, ebp);
	for (uint32_t i = 1; i < level; i++) {
		uint32_t off = (ebp - i * size) & mask;
		uint32_t v = size == 2 ? mem_read16(cpu, SEG_SS, off) : mem_read32(cpu, SEG_SS, off);
		depth += size;
		store_below(cpu, in, depth, v);
	}
	if (level > 0) {
		depth += size;
		store_below(cpu, in, depth, frame);
	}
	depth += alloc;
	/* The new top must be writable, though nothing is written there ("#PF, #SS: final value"). */
	mem_rmw(cpu, SEG_SS, (cpu->gpr[REG_ESP] - depth) & mask, size);
	cpu->gpr[REG_ESP] = stack_moved(cpu, -depth);
	if (size == 2)
		reg_write16(cpu, REG_EBP, (uint16_t)frame);
	else
		cpu->gpr[REG_EBP] = frame;
}

void exec_LEAVE(struct vcpu *cpu, const struct insn *in)
{
	uint32_t mask = stack_mask(cpu), off = cpu->gpr[REG_EBP] & mask;
	uint32_t v = in->opsize == 2 ? mem_read16(cpu, SEG_SS, off) : mem_read32(cpu, SEG_SS, off);

	cpu->gpr[REG_ESP] = (cpu->gpr[REG_ESP] & ~mask) | ((off + in->opsize) & mask);
	if (in->opsize == 2)
		reg_write16(cpu, REG_EBP, (uint16_t)v);
	else
		cpu->gpr[REG_EBP] = v;
}

exec_fn *stack_handler(const struct insn *in)
{
	uint8_t kind = in->opnd[0].kind;

	if (in->name == I_PUSH) {
		if (kind == OPND_SREG)
			return exec_push_sreg;
		if (in->opsize == 4 && kind != OPND_MEM)
			return kind == OPND_REG ? push_32_r : push_32_i;
	} else if (in->name == I_POP) {
		if (kind == OPND_SREG)
			return exec_pop_sreg;
		if (in->opsize == 4 && kind == OPND_REG)
			return pop_32_r;
	}
	return NULL;
}

/* --- flags one by one --- */

#define LOW_FLAGS (EFLAGS_SF | EFLAGS_ZF | EFLAGS_AF | EFLAGS_PF | EFLAGS_CF)

void exec_LAHF(struct vcpu *cpu, const struct insn *in)
{
	reg_write8(cpu, REG_AH, (uint8_t)((cpu->eflags & LOW_FLAGS) | EFLAGS_FIXED1));
}

void exec_SAHF(struct vcpu *cpu, const struct insn *in)
{
	cpu->eflags = (cpu->eflags & ~(uint32_t)LOW_FLAGS) | (reg_read8(cpu, REG_AH) & LOW_FLAGS);
}

void exec_CLC(struct vcpu *cpu, const struct insn *in) { cpu->eflags &= ~(uint32_t)EFLAGS_CF; }
void exec_STC(struct vcpu *cpu, const struct insn *in) { cpu->eflags |= EFLAGS_CF; }
void exec_CMC(struct vcpu *cpu, const struct insn *in) { cpu->eflags ^= EFLAGS_CF; }
void exec_CLD(struct vcpu *cpu, const struct insn *in) { cpu->eflags &= ~(uint32_t)EFLAGS_DF; }
void exec_STD(struct vcpu *cpu, const struct insn *in) { cpu->eflags |= EFLAGS_DF; }

void exec_SALC(struct vcpu *cpu, const struct insn *in)
{
	reg_write8(cpu, REG_AL, cpu->eflags & EFLAGS_CF ? 0xFF : 0);
}
