/*
 * What IOPL guards: CLI, STI, PUSHF, POPF with the VME and PVI rules, IN and OUT.
 *							[SDM 2; SDM 3, "8086 Emulation", "Protected-Mode Virtual Interrupts"]
 */
#include "emulate/handlers.h"
#include "emulate/operand.h"

/* How this program changes its interrupt flag. */
enum if_rule { IF_REAL, IF_VIRTUAL, IF_REFUSED };

static enum if_rule if_rule(const struct vcpu *cpu)
{
	if (!cpu_protected(cpu))
		return IF_REAL;
	if (cpu_vm86(cpu)) {
		if (cpu_iopl(cpu) == 3)
			return IF_REAL;
		return cpu->cr4 & CR4_VME ? IF_VIRTUAL : IF_REFUSED;
	}
	if (cpu->cpl <= cpu_iopl(cpu))
		return IF_REAL;
	return (cpu->cr4 & CR4_PVI) && cpu->cpl == 3 ? IF_VIRTUAL : IF_REFUSED;
}

void exec_CLI(struct vcpu *cpu, const struct insn *in)
{
	switch (if_rule(cpu)) {
	case IF_REAL:
		cpu->eflags &= ~(uint32_t)EFLAGS_IF;
		break;
	case IF_VIRTUAL:
		cpu->eflags &= ~(uint32_t)EFLAGS_VIF;
		break;
	case IF_REFUSED:
		cpu_raise(cpu, EXC_GP, 0);
	}
}

void exec_STI(struct vcpu *cpu, const struct insn *in)
{
	switch (if_rule(cpu)) {
	case IF_REAL:
		if (cpu->eflags & EFLAGS_IF)
			break;			/* no shadow then: a run of STIs does not hold interrupts off */
		cpu->eflags |= EFLAGS_IF;
		cpu->shadow = true;
		cpu->shadow_armed = false;
		cpu_attend(cpu, ATTN_EVENT);
		break;
	case IF_VIRTUAL:
		if (cpu->eflags & EFLAGS_VIP)
			cpu_raise(cpu, EXC_GP, 0);
		cpu->eflags |= EFLAGS_VIF;
		break;
	case IF_REFUSED:
		cpu_raise(cpu, EXC_GP, 0);
	}
}

/* vm86 below IOPL 3: only the 16-bit forms, and only with VME, where VIF plays IF. */
static bool flags_virtual(struct vcpu *cpu, const struct insn *in)
{
	if (!cpu_vm86(cpu) || cpu_iopl(cpu) == 3)
		return false;
	if (!(cpu->cr4 & CR4_VME) || in->opsize == 4)
		cpu_raise(cpu, EXC_GP, 0);
	return true;
}

void exec_PUSHF(struct vcpu *cpu, const struct insn *in)
{
	uint32_t flags = cpu->eflags & ~(uint32_t)(EFLAGS_VM | EFLAGS_RF);

	if (flags_virtual(cpu, in)) {
		flags |= EFLAGS_IOPL;
		flags = flags & EFLAGS_VIF ? flags | EFLAGS_IF : flags & ~(uint32_t)EFLAGS_IF;
	}
	if (in->opsize == 2)
		stack_push16(cpu, flags);
	else
		stack_push32(cpu, flags);
}

void exec_POPF(struct vcpu *cpu, const struct insn *in)
{
	uint32_t mask = EFLAGS_USER | EFLAGS_RF;	/* RF: popped as 0 */
	bool virtual = flags_virtual(cpu, in);
	uint32_t flags = stack_peek(cpu, in->opsize, 0) & ~(uint32_t)EFLAGS_RF;

	if (virtual) {
		if ((flags & EFLAGS_TF) || ((flags & EFLAGS_IF) && (cpu->eflags & EFLAGS_VIP)))
			cpu_raise(cpu, EXC_GP, 0);
		flags = flags & EFLAGS_IF ? flags | EFLAGS_VIF : flags & ~(uint32_t)EFLAGS_VIF;
		mask |= EFLAGS_VIF;
	} else {
		if (cpu_vm86(cpu) || cpu->cpl <= cpu_iopl(cpu))
			mask |= EFLAGS_IF;
		if (cpu->cpl == 0)
			mask |= EFLAGS_IOPL;
		if (in->opsize == 4)
			mask |= EFLAGS_USER32;
	}
	cpu->gpr[REG_ESP] = stack_moved(cpu, in->opsize);
	cpu_set_eflags(cpu, flags, mask);
}

/* --- ports --- */

static uint16_t port_of(struct vcpu *cpu, const struct insn *in, unsigned n, unsigned size)
{
	uint16_t port = in->opnd[n].kind == OPND_IMM ? in->imm & 0xFF : cpu->gpr[REG_EDX];

	if (!cpu_io_allowed(cpu, port, size))
		cpu_raise(cpu, EXC_GP, 0);
	return port;
}

void exec_IN(struct vcpu *cpu, const struct insn *in)
{
	unsigned size = in->opnd[0].size;
	uint16_t port = port_of(cpu, in, 1, size);
	uint32_t val = cpu->bus->io_read(cpu->bus_arg, port, size);

	if (size == 1)
		reg_write8(cpu, REG_AL, val);
	else if (size == 2)
		reg_write16(cpu, REG_EAX, val);
	else
		cpu->gpr[REG_EAX] = val;
	cpu_io_breakpoint(cpu, port, size);
}

void exec_OUT(struct vcpu *cpu, const struct insn *in)
{
	unsigned size = in->opnd[1].size;
	uint16_t port = port_of(cpu, in, 0, size);
	uint32_t val = size == 1 ? cpu->gpr[REG_EAX] & 0xFF : size == 2 ? cpu->gpr[REG_EAX] & 0xFFFF : cpu->gpr[REG_EAX];

	cpu->bus->io_write(cpu->bus_arg, port, size, val);
	cpu_io_breakpoint(cpu, port, size);
}
