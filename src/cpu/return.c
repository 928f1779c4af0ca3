/*
 * Far RET and IRET, in all modes.				[SDM 2, "RET", "IRET/IRETD"]
 */
#include "cpu/segment_inline.h"

struct segment segment_return_code(struct vcpu *cpu, uint16_t selector)
{
	unsigned rpl = selector & 3;
	struct descriptor d;

	if (selector_null(selector))
		cpu_raise(cpu, EXC_GP, 0);
	descriptor_need(cpu, selector, &d, EXC_GP);
	if (!desc_code(&d) || rpl < cpu->cpl)
		raise_selector(cpu, EXC_GP, selector);
	if (desc_conforming(&d) ? desc_dpl(&d) > rpl : desc_dpl(&d) != rpl)
		raise_selector(cpu, EXC_GP, selector);
	if (!desc_present(&d))
		raise_selector(cpu, EXC_NP, selector);
	descriptor_accessed(cpu, &d);
	return descriptor_segment(&d, selector);
}

/*
 * What RETF and IRET share once EIP and CS were popped: st stands behind what the instruction
 * itself pops. To an outer level, SS:ESP is there too, and extra bytes of parameters go from both stacks.
 */
static void return_protected(struct vcpu *cpu, struct stack *st, uint32_t eip, uint16_t selector,
    unsigned opsize, uint16_t extra)
{
	struct segment cs, ss;
	uint32_t esp;

	cs = segment_return_code(cpu, selector);
	if ((selector & 3) == cpu->cpl) {
		if (eip > cs.limit)
			cpu_raise(cpu, EXC_GP, 0);
		frame_drop(st, extra);
		cpu->gpr[REG_ESP] = st->esp;
		cpu->seg[SEG_CS] = cs;
		cpu->eip = eip;
		return;
	}
	frame_drop(st, extra);
	esp = frame_pop(cpu, st, opsize);
	ss = segment_stack(cpu, frame_pop(cpu, st, opsize), selector & 3, EXC_GP);
	if (eip > cs.limit)
		cpu_raise(cpu, EXC_GP, 0);
	cpu->seg[SEG_CS] = cs;
	cpu->eip = eip;
	cpu->seg[SEG_SS] = ss;
	cpu_set_sp(cpu, esp + extra);
	cpu_update_mode(cpu);
	segments_drop_privileged(cpu);
}

void cpu_far_ret(struct vcpu *cpu, unsigned opsize, uint16_t extra_bytes)
{
	struct stack st = stack_current(cpu);
	uint16_t cs = frame_peek(cpu, &st, opsize, 2);	/* two bytes, and first: it is what a #PF names */
	uint32_t eip = frame_pop(cpu, &st, opsize);

	frame_drop(&st, opsize);
	if (cpu_protected(cpu) && !cpu_vm86(cpu)) {
		return_protected(cpu, &st, eip, cs, opsize, extra_bytes);
		return;
	}
	if (eip > cpu->seg[SEG_CS].limit)
		cpu_raise(cpu, EXC_GP, 0);
	frame_drop(&st, extra_bytes);
	cpu->gpr[REG_ESP] = st.esp;
	segment_load_real(cpu, SEG_CS, cs);
	cpu->eip = eip;
}

#define FLAGS_ANY	(EFLAGS_ARITH | EFLAGS_TF | EFLAGS_DF | EFLAGS_NT)	/* whatever CPL and IOPL are */
#define FLAGS_ANY32	(EFLAGS_RF | EFLAGS_AC | EFLAGS_ID)

static void iret_real(struct vcpu *cpu, unsigned opsize)
{
	struct stack st = stack_current(cpu);
	uint32_t eip = frame_pop(cpu, &st, opsize);
	uint16_t cs = frame_pop(cpu, &st, opsize);
	uint32_t flags = frame_pop(cpu, &st, opsize);

	if (eip > cpu->seg[SEG_CS].limit)
		cpu_raise(cpu, EXC_GP, 0);
	cpu->gpr[REG_ESP] = st.esp;
	segment_load_real(cpu, SEG_CS, cs);
	cpu->eip = eip;
	cpu_set_eflags(cpu, flags, FLAGS_ANY | EFLAGS_IF | EFLAGS_IOPL | (opsize == 4 ? FLAGS_ANY32 : 0));
}

/* From vm86: with IOPL 3 as the 8086 does, below that VIF stands in for IF (VME) or #GP(0). */
static void iret_vm86(struct vcpu *cpu, unsigned opsize)
{
	struct stack st = stack_current(cpu);
	bool vme = cpu_iopl(cpu) < 3;
	uint32_t eip, flags, mask = FLAGS_ANY;
	uint16_t cs;

	if (vme && (!(cpu->cr4 & CR4_VME) || opsize == 4))
		cpu_raise(cpu, EXC_GP, 0);
	eip = frame_pop(cpu, &st, opsize);
	cs = frame_pop(cpu, &st, opsize);
	flags = frame_pop(cpu, &st, opsize);
	if (eip > cpu->seg[SEG_CS].limit)
		cpu_raise(cpu, EXC_GP, 0);
	if (vme) {
		if ((flags & EFLAGS_TF) || ((flags & EFLAGS_IF) && (cpu->eflags & EFLAGS_VIP)))
			cpu_raise(cpu, EXC_GP, 0);
		flags = flags & EFLAGS_IF ? flags | EFLAGS_VIF : flags & ~EFLAGS_VIF;
		mask |= EFLAGS_VIF;
	} else {
		mask |= EFLAGS_IF | (opsize == 4 ? FLAGS_ANY32 : 0);
	}
	cpu->gpr[REG_ESP] = st.esp;
	segment_load_real(cpu, SEG_CS, cs);
	cpu->eip = eip;
	cpu_set_eflags(cpu, flags, mask);
}

static void iret_to_vm86(struct vcpu *cpu, struct stack *st, uint32_t eip, uint16_t cs, uint32_t flags)
{
	static const uint8_t order[] = { SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS };
	uint16_t selector[ARRAY_LEN(order)];
	uint32_t esp = frame_pop(cpu, st, 4);

	for (unsigned i = 0; i < ARRAY_LEN(order); i++)
		selector[i] = frame_pop(cpu, st, 4);
	if (eip > 0xFFFF)
		cpu_raise(cpu, EXC_GP, 0);
	for (unsigned i = 0; i < ARRAY_LEN(order); i++)
		cpu->seg[order[i]] = segment_vm86(selector[i]);
	cpu->seg[SEG_CS] = segment_vm86(cs);
	cpu->eip = eip;
	cpu->gpr[REG_ESP] = esp;
	cpu_set_eflags(cpu, flags, ~0u);
	cpu_update_mode(cpu);
}

static void iret_task(struct vcpu *cpu)
{
	task_switch(cpu, table_read16(cpu, cpu->tr.base), TASK_IRET, NULL);
}

static void iret_protected(struct vcpu *cpu, unsigned opsize)
{
	struct stack st = stack_current(cpu);
	uint32_t flags = frame_peek(cpu, &st, 2 * opsize, opsize);	/* first: it is what a #PF names */
	uint16_t cs = frame_peek(cpu, &st, opsize, 2);
	uint32_t eip = frame_pop(cpu, &st, opsize);
	uint32_t mask = FLAGS_ANY | (opsize == 4 ? FLAGS_ANY32 : 0);

	frame_drop(&st, 2 * opsize);
	if (opsize == 4 && (flags & EFLAGS_VM) && cpu->cpl == 0) {
		iret_to_vm86(cpu, &st, eip, cs, flags);
		return;
	}
	/* what may change is decided by the CPL that executes the IRET, not the one it returns to */
	if (cpu->cpl <= cpu_iopl(cpu))
		mask |= EFLAGS_IF;
	if (cpu->cpl == 0)
		mask |= EFLAGS_IOPL | (opsize == 4 ? EFLAGS_VIF | EFLAGS_VIP : 0);
	return_protected(cpu, &st, eip, cs, opsize, 0);
	cpu_set_eflags(cpu, flags, mask);
}

void cpu_iret(struct vcpu *cpu, unsigned opsize)
{
	if (!cpu_protected(cpu))
		iret_real(cpu, opsize);
	else if (cpu_vm86(cpu))
		iret_vm86(cpu, opsize);
	else if (cpu->eflags & EFLAGS_NT)
		iret_task(cpu);
	else
		iret_protected(cpu, opsize);
	if (cpu->nmi_blocked) {
		cpu->nmi_blocked = false;
		cpu_attend(cpu, ATTN_EVENT);
	}
}
