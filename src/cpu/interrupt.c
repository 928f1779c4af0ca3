/*
 * Through the interrupt table: real mode, vm86, interrupt, trap and task gates.
 *				[SDM 2, "INT n/INTO/INT3/INT1"; SDM 3, "Interrupt and Exception Handling", "8086 Emulation"]
 *
 * Nothing of the CPU changes before the last access that can fault; the words pushed below ESP do
 * not count, they are written again when the instruction is restarted.
 */
#include "cpu/descriptor.h"

/* The frame of an 8086 interrupt: FLAGS, CS, IP; the vector from a table of far pointers. */
static void enter_ivt(struct vcpu *cpu, lin_t entry, uint32_t flags, uint32_t clear)
{
	uint32_t target = table_read32(cpu, entry);
	struct stack st = stack_current(cpu);

	frame_room(cpu, &st, 3, 2);
	if ((target & 0xFFFF) > cpu->seg[SEG_CS].limit)
		cpu_raise(cpu, EXC_GP, 0);
	frame_push(cpu, &st, flags, 2);
	frame_push(cpu, &st, cpu->seg[SEG_CS].selector, 2);
	frame_push(cpu, &st, cpu->eip, 2);
	cpu->gpr[REG_ESP] = st.esp;
	segment_load_real(cpu, SEG_CS, target >> 16);
	cpu->eip = target & 0xFFFF;
	cpu->eflags &= ~clear;
}

static void enter_real(struct vcpu *cpu, const struct event *ev)
{
	if (ev->vector * 4u + 3 > cpu->idtr.limit)
		cpu_raise(cpu, EXC_GP, ev->vector * 8 + 2);
	enter_ivt(cpu, cpu->idtr.base + ev->vector * 4, cpu->eflags | (ev->set_rf ? EFLAGS_RF : 0),
	    EFLAGS_IF | EFLAGS_TF | EFLAGS_AC | EFLAGS_RF);
}

/* Interrupt redirection bitmap of VME: the 32 bytes below the I/O permission bitmap. */
bool cpu_vme_redirected(struct vcpu *cpu, uint8_t vector)
{
	uint32_t off;

	if (!(cpu->tr.attr & TYPE_32BIT) || cpu->tr.limit < 0x67)
		cpu_raise(cpu, EXC_GP, 0);
	off = table_read16(cpu, cpu->tr.base + 0x66) - 32u + vector / 8;
	if (off > cpu->tr.limit)
		cpu_raise(cpu, EXC_GP, 0);
	return !(table_read8(cpu, cpu->tr.base + off) >> (vector & 7) & 1);
}

/*
 * INT n in vm86 that the redirection bitmap gives to the 8086 program's own table at linear 0
 * ("Software Interrupt Handling Methods While Operating in Virtual-8086 Mode", methods 5 and 6).
 */
static void enter_vm86_redirected(struct vcpu *cpu, const struct event *ev)
{
	uint32_t flags = cpu->eflags;
	uint32_t clear = EFLAGS_TF | EFLAGS_IF;

	if (cpu_iopl(cpu) < 3) {		/* the program sees VIF as its IF */
		flags |= EFLAGS_IOPL;
		flags = flags & EFLAGS_VIF ? flags | EFLAGS_IF : flags & ~EFLAGS_IF;
		clear = EFLAGS_TF | EFLAGS_VIF;
	}
	enter_ivt(cpu, ev->vector * 4, flags, clear);
}

static void push_frame(struct vcpu *cpu, struct stack *st, const struct event *ev, unsigned size, bool inner)
{
	if (cpu_vm86(cpu)) {
		frame_push(cpu, st, cpu->seg[SEG_GS].selector, size);
		frame_push(cpu, st, cpu->seg[SEG_FS].selector, size);
		frame_push(cpu, st, cpu->seg[SEG_DS].selector, size);
		frame_push(cpu, st, cpu->seg[SEG_ES].selector, size);
	}
	if (inner) {
		frame_push(cpu, st, cpu->seg[SEG_SS].selector, size);
		frame_push(cpu, st, cpu->gpr[REG_ESP], size);
	}
	frame_push(cpu, st, cpu->eflags | (ev->set_rf ? EFLAGS_RF : 0), size);
	frame_push(cpu, st, cpu->seg[SEG_CS].selector, size);
	frame_push(cpu, st, cpu->eip, size);
	if (ev->has_error)
		frame_push(cpu, st, ev->error, size);
}

static void enter_gate(struct vcpu *cpu, const struct event *ev, const struct descriptor *gate)
{
	uint16_t selector = gate_selector(gate);
	struct descriptor code;

	if (selector_null(selector))
		cpu_raise(cpu, EXC_GP, 0);
	descriptor_need(cpu, selector, &code, EXC_GP);
	if (!desc_code(&code) || desc_dpl(&code) > cpu->cpl)
		raise_selector(cpu, EXC_GP, selector);
	if (!desc_present(&code))
		raise_selector(cpu, EXC_NP, selector);

	bool inner = !desc_conforming(&code) && desc_dpl(&code) < cpu->cpl;
	bool from_vm86 = cpu_vm86(cpu);
	unsigned cpl = inner ? desc_dpl(&code) : cpu->cpl;
	if (from_vm86 && (!inner || cpl != 0))
		raise_selector(cpu, EXC_GP, selector);

	unsigned size = desc_type(gate) & TYPE_32BIT ? 4 : 2;
	struct stack st = inner ? stack_from_tss(cpu, cpl) : stack_current(cpu);
	frame_room(cpu, &st, 3 + ev->has_error + (inner ? 2 : 0) + (from_vm86 ? 4 : 0), size);
	struct segment cs = descriptor_segment(&code, (selector & 0xFFFC) | cpl);
	if (gate_offset(gate) > cs.limit)
		cpu_raise(cpu, EXC_GP, 0);
	descriptor_accessed(cpu, &code);
	cs.attr |= SEG_ACCESSED;
	push_frame(cpu, &st, ev, size, inner);

	if (from_vm86) {
		cpu->seg[SEG_GS] = cpu->seg[SEG_FS] = segment_null(0);
		cpu->seg[SEG_DS] = cpu->seg[SEG_ES] = segment_null(0);
	}
	cpu->seg[SEG_CS] = cs;
	cpu->eip = gate_offset(gate);
	if (inner)
		cpu->seg[SEG_SS] = st.ss;
	cpu->gpr[REG_ESP] = st.esp;
	cpu->eflags &= ~(EFLAGS_TF | EFLAGS_NT | EFLAGS_RF | EFLAGS_VM);
	if (!(desc_type(gate) & 1))		/* interrupt gate, not trap gate */
		cpu->eflags &= ~EFLAGS_IF;
	cpu_update_mode(cpu);
}

static void enter_protected(struct vcpu *cpu, const struct event *ev)
{
	const unsigned gates = BIT(TYPE_TASK_GATE) | BIT(TYPE_INT16) | BIT(TYPE_TRAP16) | BIT(TYPE_INT32) | BIT(TYPE_TRAP32);
	uint32_t error = ev->vector * 8 + 2;	/* IDT */
	struct descriptor gate;

	if (ev->vector * 8u + 7 > cpu->idtr.limit)
		cpu_raise(cpu, EXC_GP, error);
	gate.lin = cpu->idtr.base + ev->vector * 8;
	gate.lo = table_read32(cpu, gate.lin);
	gate.hi = table_read32(cpu, gate.lin + 4);
	if (!desc_system(&gate) || !(gates >> desc_type(&gate) & 1))
		cpu_raise(cpu, EXC_GP, error);
	if (ev->software && desc_dpl(&gate) < cpu->cpl)
		cpu_raise(cpu, EXC_GP, error);
	if (!desc_present(&gate))
		cpu_raise(cpu, EXC_NP, error);
	if (desc_type(&gate) == TYPE_TASK_GATE)
		task_switch(cpu, gate_selector(&gate), TASK_INT, ev);
	else
		enter_gate(cpu, ev, &gate);
}

void interrupt_enter(struct vcpu *cpu, const struct event *ev)
{
	if (!cpu_protected(cpu)) {
		enter_real(cpu, ev);
	} else if (cpu_vm86(cpu) && ev->int_n && (cpu->cr4 & CR4_VME) && cpu_vme_redirected(cpu, ev->vector)) {
		enter_vm86_redirected(cpu, ev);
	} else {
		if (cpu_vm86(cpu) && ev->int_n && cpu_iopl(cpu) < 3)
			cpu_raise(cpu, EXC_GP, 0);
		enter_protected(cpu, ev);
	}
	cpu->tf_armed = cpu->rf_armed = cpu->shadow_armed = false;
	cpu->shadow = cpu->shadow_ss = false;
	cpu->halted = false;
}
