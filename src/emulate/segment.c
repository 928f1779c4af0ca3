/*
 * Segment registers, far transfers, software interrupts: the instructions.	[SDM 2]
 */
#include "cpu/descriptor.h"
#include "emulate/handlers.h"
#include "emulate/operand.h"

/* MOV SS and POP SS hold off interrupts and debug traps for one instruction, so that ESP can follow.
 *							[SDM 3, "Masking Exceptions and Interrupts When Switching Stacks"] */
static void shadow_ss(struct vcpu *cpu)
{
	cpu->shadow = cpu->shadow_ss = true;
	cpu_attend(cpu, ATTN_EVENT);
}

/* --- MOV, PUSH, POP with a segment register --- */

void exec_mov_sreg(struct vcpu *cpu, const struct insn *in)
{
	if (in->opnd[0].kind == OPND_SREG) {
		segment_load(cpu, in->opnd[0].reg, in->opnd[1].kind == OPND_MEM
		    ? mem_read16(cpu, in->seg, insn_ea(cpu, in)) : cpu->gpr[in->opnd[1].reg]);
		if (in->opnd[0].reg == SEG_SS)
			shadow_ss(cpu);
		return;
	}
	uint16_t selector = cpu->seg[in->opnd[1].reg].selector;
	if (in->opnd[0].kind == OPND_MEM)
		mem_write16(cpu, in->seg, insn_ea(cpu, in), selector);
	else if (in->opsize == 4)
		cpu->gpr[in->opnd[0].reg] = selector;	/* the upper half is zero since the Pentium Pro */
	else
		reg_write16(cpu, in->opnd[0].reg, selector);
}

/* With a 32-bit operand ESP moves by four but only two bytes are written (or read), as "all recent"
 * processors do. */
void exec_push_sreg(struct vcpu *cpu, const struct insn *in)
{
	uint32_t esp = stack_moved(cpu, -(uint32_t)in->opsize);

	mem_write16(cpu, SEG_SS, esp & stack_mask(cpu), cpu->seg[in->opnd[0].reg].selector);
	cpu->gpr[REG_ESP] = esp;
}

void exec_pop_sreg(struct vcpu *cpu, const struct insn *in)
{
	uint32_t esp = stack_moved(cpu, in->opsize), mask = stack_mask(cpu);

	segment_load(cpu, in->opnd[0].reg, stack_peek(cpu, 2, 0));
	cpu->gpr[REG_ESP] = (cpu->gpr[REG_ESP] & ~mask) | (esp & mask);	/* the width of the stack popped from */
	if (in->opnd[0].reg == SEG_SS)
		shadow_ss(cpu);
}

/* --- LES, LDS, LSS, LFS, LGS --- */

/* m16:16 or m16:32, read as two: in 16-bit addressing the selector may lie behind the wrap. */
static uint16_t read_far_pointer(struct vcpu *cpu, const struct insn *in, uint32_t *offset)
{
	uint32_t ea = insn_ea(cpu, in), mask = in->adsize == 2 ? 0xFFFF : 0xFFFFFFFF;

	*offset = in->opsize == 2 ? mem_read16(cpu, in->seg, ea) : mem_read32(cpu, in->seg, ea);
	return mem_read16(cpu, in->seg, (ea + in->opsize) & mask);
}

static void load_far_pointer(struct vcpu *cpu, const struct insn *in, unsigned seg)
{
	uint32_t offset;

	segment_load(cpu, seg, read_far_pointer(cpu, in, &offset));
	if (in->opsize == 2)
		reg_write16(cpu, in->opnd[0].reg, offset);
	else
		cpu->gpr[in->opnd[0].reg] = offset;
}

void exec_LES(struct vcpu *cpu, const struct insn *in) { load_far_pointer(cpu, in, SEG_ES); }
void exec_LDS(struct vcpu *cpu, const struct insn *in) { load_far_pointer(cpu, in, SEG_DS); }
void exec_LSS(struct vcpu *cpu, const struct insn *in) { load_far_pointer(cpu, in, SEG_SS); }
void exec_LFS(struct vcpu *cpu, const struct insn *in) { load_far_pointer(cpu, in, SEG_FS); }
void exec_LGS(struct vcpu *cpu, const struct insn *in) { load_far_pointer(cpu, in, SEG_GS); }

/* --- far transfers --- */

static uint16_t far_target(struct vcpu *cpu, const struct insn *in, uint32_t *offset)
{
	if (in->opnd[0].kind == OPND_FAR) {
		*offset = in->imm;
		return in->imm2;
	}
	return read_far_pointer(cpu, in, offset);
}

void exec_JMPF(struct vcpu *cpu, const struct insn *in)
{
	uint32_t offset;
	uint16_t selector = far_target(cpu, in, &offset);

	cpu_far_jmp(cpu, selector, offset, in->opsize);
}

void exec_CALLF(struct vcpu *cpu, const struct insn *in)
{
	uint32_t offset;
	uint16_t selector = far_target(cpu, in, &offset);

	cpu_far_call(cpu, selector, offset, in->opsize);
}

void exec_RETF(struct vcpu *cpu, const struct insn *in)
{
	cpu_far_ret(cpu, in->opsize, in->opnd[0].kind == OPND_IMM ? in->imm : 0);
}

void exec_IRET(struct vcpu *cpu, const struct insn *in) { cpu_iret(cpu, in->opsize); }
void exec_SYSENTER(struct vcpu *cpu, const struct insn *in) { cpu_sysenter(cpu); }
void exec_SYSEXIT(struct vcpu *cpu, const struct insn *in) { cpu_sysexit(cpu); }

/* --- software interrupts --- */

void exec_INT(struct vcpu *cpu, const struct insn *in) { cpu_software_interrupt(cpu, in->imm, INT_N); }
void exec_INT3(struct vcpu *cpu, const struct insn *in) { cpu_software_interrupt(cpu, EXC_BP, INT_3); }
void exec_INT1(struct vcpu *cpu, const struct insn *in) { cpu_software_interrupt(cpu, EXC_DB, INT_1); }

void exec_INTO(struct vcpu *cpu, const struct insn *in)
{
	if (cpu->eflags & EFLAGS_OF)
		cpu_software_interrupt(cpu, EXC_OF, INT_O);
}

/* A fault, unlike the other software interrupts: EIP stays at the BOUND. Bounds are inclusive and signed. */
void exec_BOUND(struct vcpu *cpu, const struct insn *in)
{
	const uint32_t ea = insn_ea(cpu, in), mask = in->adsize == 2 ? 0xFFFF : 0xFFFFFFFF;
	const uint32_t reg = cpu->gpr[in->opnd[0].reg];

	/* The host CPU does not look at the upper bound if the lower is missed. */
	if (in->opsize == 2) {
		if ((int16_t)reg < (int16_t)mem_read16(cpu, in->seg, ea) ||
		    (int16_t)reg > (int16_t)mem_read16(cpu, in->seg, (ea + 2) & mask))
			cpu_raise(cpu, EXC_BR, 0);
	} else {
		if ((int32_t)reg < (int32_t)mem_read32(cpu, in->seg, ea) ||
		    (int32_t)reg > (int32_t)mem_read32(cpu, in->seg, (ea + 4) & mask))
			cpu_raise(cpu, EXC_BR, 0);
	}
}
