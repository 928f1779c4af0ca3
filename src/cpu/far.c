/*
 * Far JMP and CALL: direct, through call gates, to tasks; SYSENTER and SYSEXIT.
 *							[SDM 2, "JMP", "CALL", "SYSENTER", "SYSEXIT"]
 */
#include "cpu/descriptor.h"

/* Real and vm86 mode. */
static void far_real(struct vcpu *cpu, uint16_t selector, uint32_t offset, unsigned opsize, bool call)
{
	struct stack st = stack_current(cpu);

	if (call) {
		frame_push(cpu, &st, cpu->seg[SEG_CS].selector, opsize);
		frame_push(cpu, &st, cpu->eip, opsize);
	}
	if (offset > cpu->seg[SEG_CS].limit)
		cpu_raise(cpu, EXC_GP, 0);
	cpu->gpr[REG_ESP] = st.esp;
	segment_load_real(cpu, SEG_CS, selector);
	cpu->eip = offset;
}

/* To a code segment of the same level (it may be conforming); CS.RPL becomes CPL. */
static void far_same_level(struct vcpu *cpu, struct descriptor *code, uint16_t selector, uint32_t offset,
    unsigned opsize, bool call)
{
	struct segment cs = descriptor_segment(code, (selector & 0xFFFC) | cpu->cpl);
	struct stack st = stack_current(cpu);

	if (call) {			/* stored before the target is checked, as the host CPU does */
		frame_push(cpu, &st, cpu->seg[SEG_CS].selector, opsize);
		frame_push(cpu, &st, cpu->eip, opsize);
	}
	if (offset > cs.limit)
		cpu_raise(cpu, EXC_GP, 0);
	descriptor_accessed(cpu, code);
	cs.attr |= SEG_ACCESSED;
	cpu->gpr[REG_ESP] = st.esp;
	cpu->seg[SEG_CS] = cs;
	cpu->eip = offset;
	cpu_update_mode(cpu);
}

static void far_code(struct vcpu *cpu, struct descriptor *code, uint16_t selector, uint32_t offset,
    unsigned opsize, bool call)
{
	bool allowed = desc_conforming(code) ? desc_dpl(code) <= cpu->cpl
	    : (unsigned)(selector & 3) <= cpu->cpl && desc_dpl(code) == cpu->cpl;

	if (!allowed)
		raise_selector(cpu, EXC_GP, selector);
	if (!desc_present(code))
		raise_selector(cpu, EXC_NP, selector);
	far_same_level(cpu, code, selector, offset, opsize, call);
}

/* CALL to a more privileged level: new stack from the TSS, parameters copied from the old one. */
static void far_call_inner(struct vcpu *cpu, const struct descriptor *gate, struct descriptor *code)
{
	unsigned size = desc_type(gate) & TYPE_32BIT ? 4 : 2;
	unsigned params = gate->hi & 0x1F;
	unsigned cpl = desc_dpl(code);
	struct stack old = stack_current(cpu);
	struct stack st = stack_from_tss(cpu, cpl);
	struct segment cs = descriptor_segment(code, (gate_selector(gate) & 0xFFFC) | cpl);

	frame_room(cpu, &st, 4 + params, size);
	if (gate_offset(gate) > cs.limit)
		cpu_raise(cpu, EXC_GP, 0);
	descriptor_accessed(cpu, code);
	cs.attr |= SEG_ACCESSED;
	frame_push(cpu, &st, old.ss.selector, size);
	frame_push(cpu, &st, old.esp, size);
	for (unsigned i = params; i > 0; i--)
		frame_push(cpu, &st, frame_peek(cpu, &old, (i - 1) * size, size), size);
	frame_push(cpu, &st, cpu->seg[SEG_CS].selector, size);
	frame_push(cpu, &st, cpu->eip, size);

	cpu->seg[SEG_CS] = cs;
	cpu->eip = gate_offset(gate);
	cpu->seg[SEG_SS] = st.ss;
	cpu->gpr[REG_ESP] = st.esp;
	cpu_update_mode(cpu);
}

static void far_gate(struct vcpu *cpu, const struct descriptor *gate, uint16_t gate_sel, bool call)
{
	uint16_t selector = gate_selector(gate);
	struct descriptor code;

	if (!desc_present(gate))
		raise_selector(cpu, EXC_NP, gate_sel);
	if (selector_null(selector))
		cpu_raise(cpu, EXC_GP, 0);
	descriptor_need(cpu, selector, &code, EXC_GP);
	if (!desc_code(&code) || desc_dpl(&code) > cpu->cpl)
		raise_selector(cpu, EXC_GP, selector);
	bool inner = !desc_conforming(&code) && desc_dpl(&code) < cpu->cpl;
	if (inner && !call)			/* a JMP never changes CPL */
		raise_selector(cpu, EXC_GP, selector);
	if (!desc_present(&code))
		raise_selector(cpu, EXC_NP, selector);
	if (inner)
		far_call_inner(cpu, gate, &code);
	else
		far_same_level(cpu, &code, selector, gate_offset(gate), desc_type(gate) & TYPE_32BIT ? 4 : 2, call);
}

static void far_protected(struct vcpu *cpu, uint16_t selector, uint32_t offset, unsigned opsize, bool call)
{
	enum task_cause cause = call ? TASK_CALL : TASK_JMP;
	struct descriptor d;

	if (selector_null(selector))
		cpu_raise(cpu, EXC_GP, 0);
	descriptor_need(cpu, selector, &d, EXC_GP);
	if (!desc_system(&d)) {
		if (!desc_code(&d))
			raise_selector(cpu, EXC_GP, selector);
		far_code(cpu, &d, selector, offset, opsize, call);
		return;
	}
	/* gates and TSSs alike: DPL >= CPL and DPL >= RPL */
	if (desc_dpl(&d) < MAX((unsigned)selector & 3, cpu->cpl))
		raise_selector(cpu, EXC_GP, selector);
	switch (desc_type(&d)) {
	case TYPE_CALL16: case TYPE_CALL32:
		far_gate(cpu, &d, selector, call);
		return;
	case TYPE_TASK_GATE:
		if (!desc_present(&d))
			raise_selector(cpu, EXC_NP, selector);
		task_switch(cpu, gate_selector(&d), cause, NULL);
		return;
	case TYPE_TSS16: case TYPE_TSS32:
		task_switch(cpu, selector, cause, NULL);
		return;
	default:				/* busy TSS too */
		raise_selector(cpu, EXC_GP, selector);
	}
}

static void far_transfer(struct vcpu *cpu, uint16_t selector, uint32_t offset, unsigned opsize, bool call)
{
	if (opsize == 2)
		offset &= 0xFFFF;
	if (!cpu_protected(cpu) || cpu_vm86(cpu))
		far_real(cpu, selector, offset, opsize, call);
	else
		far_protected(cpu, selector, offset, opsize, call);
}

void cpu_far_jmp(struct vcpu *cpu, uint16_t selector, uint32_t offset, unsigned opsize)
{
	far_transfer(cpu, selector, offset, opsize, false);
}

void cpu_far_call(struct vcpu *cpu, uint16_t selector, uint32_t offset, unsigned opsize)
{
	far_transfer(cpu, selector, offset, opsize, true);
}

void cpu_sysenter(struct vcpu *cpu)
{
	uint16_t cs = cpu->sysenter_cs & 0xFFFC;

	if (!cpu_protected(cpu) || cs == 0)
		cpu_raise(cpu, EXC_GP, 0);
	cpu->eflags &= ~(EFLAGS_VM | EFLAGS_IF | EFLAGS_RF);
	cpu->seg[SEG_CS] = segment_flat(cs, true);
	cpu->seg[SEG_SS] = segment_flat(cs + 8, false);
	cpu->gpr[REG_ESP] = cpu->sysenter_esp;
	cpu->eip = cpu->sysenter_eip;
	cpu_update_mode(cpu);
}

void cpu_sysexit(struct vcpu *cpu)
{
	uint16_t cs = cpu->sysenter_cs & 0xFFFC;

	if (!cpu_protected(cpu) || cs == 0 || cpu->cpl != 0)
		cpu_raise(cpu, EXC_GP, 0);
	cpu->seg[SEG_CS] = segment_flat((cs + 16) | 3, true);
	cpu->seg[SEG_SS] = segment_flat((cs + 24) | 3, false);
	cpu->gpr[REG_ESP] = cpu->gpr[REG_ECX];
	cpu->eip = cpu->gpr[REG_EDX];
	cpu_update_mode(cpu);
}
