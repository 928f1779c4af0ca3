/*
 * Near JMP CALL RET, Jcc, JCXZ, LOOPx.					[SDM 2]
 *
 * A target beyond the code segment's limit is #GP(0) of the branch itself, before it changes any
 * register (ESP, the loop count). CALL has stored the return address by then, and its #SS or #PF
 * comes first, as on the host CPU; the SDM's pseudo-code has it the other way round.
 */
#include "emulate/handlers.h"
#include "emulate/operand.h"

/* EIP to go to, cut to the operand size and checked. */
static inline uint32_t near_target(struct vcpu *cpu, unsigned opsize, uint32_t eip)
{
	if (opsize == 2)
		eip &= 0xFFFF;
	if (unlikely(eip > cpu->seg[SEG_CS].limit))
		cpu_raise(cpu, EXC_GP, 0);
	return eip;
}

static inline void branch(struct vcpu *cpu, const struct insn *in)
{
	cpu->eip = near_target(cpu, in->opsize, cpu->eip + in->imm);
}

#define DEFINE_JCC(cc)									\
static void jcc_##cc(struct vcpu *cpu, const struct insn *in)				\
{											\
	if (flags_condition(cpu->eflags, cc))						\
		branch(cpu, in);							\
}
DEFINE_JCC(0) DEFINE_JCC(1) DEFINE_JCC(2) DEFINE_JCC(3) DEFINE_JCC(4) DEFINE_JCC(5) DEFINE_JCC(6) DEFINE_JCC(7)
DEFINE_JCC(8) DEFINE_JCC(9) DEFINE_JCC(10) DEFINE_JCC(11) DEFINE_JCC(12) DEFINE_JCC(13) DEFINE_JCC(14) DEFINE_JCC(15)

void exec_JCC(struct vcpu *cpu, const struct insn *in)
{
	if (flags_condition(cpu->eflags, in->cond))
		branch(cpu, in);
}

static inline void call(struct vcpu *cpu, unsigned opsize, uint32_t target)
{
	uint32_t esp = stack_moved(cpu, -opsize), off = esp & stack_mask(cpu);

	if (opsize == 2)
		mem_write16(cpu, SEG_SS, off, (uint16_t)cpu->eip);
	else
		mem_write32(cpu, SEG_SS, off, cpu->eip);
	cpu->eip = near_target(cpu, opsize, target);
	cpu->gpr[REG_ESP] = esp;
}

void exec_JMP(struct vcpu *cpu, const struct insn *in)
{
	if (in->opnd[0].kind == OPND_REL)
		branch(cpu, in);
	else
		cpu->eip = near_target(cpu, in->opsize, operand_read(cpu, in, 0));
}

void exec_CALL(struct vcpu *cpu, const struct insn *in)
{
	call(cpu, in->opsize, in->opnd[0].kind == OPND_REL ? cpu->eip + in->imm : operand_read(cpu, in, 0));
}

static void jmp_rel(struct vcpu *cpu, const struct insn *in)
{
	branch(cpu, in);
}

static void call_rel32(struct vcpu *cpu, const struct insn *in)
{
	call(cpu, 4, cpu->eip + in->imm);
}

void exec_RET(struct vcpu *cpu, const struct insn *in)
{
	uint32_t target = near_target(cpu, in->opsize, stack_peek(cpu, in->opsize, 0));
	uint32_t extra = in->nopnd ? in->imm & 0xFFFF : 0;

	cpu->gpr[REG_ESP] = stack_moved(cpu, in->opsize + extra);
	cpu->eip = target;
}

static void ret_32(struct vcpu *cpu, const struct insn *in)
{
	uint32_t target = near_target(cpu, 4, stack_peek(cpu, 4, 0));

	cpu->gpr[REG_ESP] = stack_moved(cpu, 4);
	cpu->eip = target;
}

void exec_JCXZ(struct vcpu *cpu, const struct insn *in)
{
	uint32_t count = in->adsize == 2 ? reg_read16(cpu, REG_ECX) : cpu->gpr[REG_ECX];

	if (count == 0)
		branch(cpu, in);
}

/* The count goes down even when the loop ends, but not when the branch faults. */
static void loop(struct vcpu *cpu, const struct insn *in, bool condition)
{
	uint32_t count = in->adsize == 2 ? (uint16_t)(cpu->gpr[REG_ECX] - 1) : cpu->gpr[REG_ECX] - 1;

	if (count != 0 && condition)
		branch(cpu, in);
	if (in->adsize == 2)
		reg_write16(cpu, REG_ECX, (uint16_t)count);
	else
		cpu->gpr[REG_ECX] = count;
}

void exec_LOOP(struct vcpu *cpu, const struct insn *in)
{
	loop(cpu, in, true);
}

void exec_LOOPE(struct vcpu *cpu, const struct insn *in)
{
	loop(cpu, in, cpu->eflags & EFLAGS_ZF);
}

void exec_LOOPNE(struct vcpu *cpu, const struct insn *in)
{
	loop(cpu, in, !(cpu->eflags & EFLAGS_ZF));
}

exec_fn *control_handler(const struct insn *in)
{
	static exec_fn *const jcc[16] = {
		jcc_0, jcc_1, jcc_2, jcc_3, jcc_4, jcc_5, jcc_6, jcc_7,
		jcc_8, jcc_9, jcc_10, jcc_11, jcc_12, jcc_13, jcc_14, jcc_15,
	};

	switch (in->name) {
	case I_JCC:
		return jcc[in->cond];
	case I_JMP:
		return in->opnd[0].kind == OPND_REL ? jmp_rel : NULL;
	case I_CALL:
		return in->opnd[0].kind == OPND_REL && in->opsize == 4 ? call_rel32 : NULL;
	case I_RET:
		return in->nopnd == 0 && in->opsize == 4 ? ret_32 : NULL;
	default:
		return NULL;
	}
}
