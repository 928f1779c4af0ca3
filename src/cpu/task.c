/*
 * Task switches.							[SDM 3, "Task Management"]
 *
 * Everything that can fault for the old task's account (descriptors, both TSSs, the pages under
 * them) is read or probed before the first word is saved; from the moment TR is loaded, faults
 * belong to the new task and are reported at its first instruction.
 */
#include "cpu/descriptor.h"
#include "mmu/mmu.h"

/* Offsets in the two TSS formats.		[SDM 3, "32-Bit Task-State Segment", "16-Bit Task-State Segment"] */
enum {
	TSS32_CR3 = 0x1C, TSS32_EIP = 0x20, TSS32_EFLAGS = 0x24, TSS32_GPR = 0x28, TSS32_SEG = 0x48,
	TSS32_LDT = 0x60, TSS32_TRAP = 0x64, TSS32_MIN_LIMIT = 0x67,
	TSS16_IP = 0x0E, TSS16_FLAGS = 0x10, TSS16_GPR = 0x12, TSS16_SEG = 0x22, TSS16_LDT = 0x2A,
	TSS16_MIN_LIMIT = 0x2B,
};

struct task {
	uint32_t cr3, eip, eflags, gpr[8];
	uint16_t selector[6], ldt;
	bool trap;
};

static struct task task_read(struct vcpu *cpu, lin_t base, bool is32)
{
	struct task t = { .cr3 = cpu->cr3 };

	if (!is32) {
		t.eip = table_read16(cpu, base + TSS16_IP);
		t.eflags = table_read16(cpu, base + TSS16_FLAGS);
		for (unsigned i = 0; i < 8; i++)	/* the upper halves are undefined */
			t.gpr[i] = 0xFFFF0000 | table_read16(cpu, base + TSS16_GPR + i * 2);
		for (unsigned i = 0; i < 4; i++)
			t.selector[i] = table_read16(cpu, base + TSS16_SEG + i * 2);
		t.ldt = table_read16(cpu, base + TSS16_LDT);
		return t;
	}
	t.cr3 = table_read32(cpu, base + TSS32_CR3);
	t.eip = table_read32(cpu, base + TSS32_EIP);
	t.eflags = table_read32(cpu, base + TSS32_EFLAGS);
	for (unsigned i = 0; i < 8; i++)
		t.gpr[i] = table_read32(cpu, base + TSS32_GPR + i * 4);
	for (unsigned i = 0; i < 6; i++)
		t.selector[i] = table_read16(cpu, base + TSS32_SEG + i * 4);
	t.ldt = table_read16(cpu, base + TSS32_LDT);
	t.trap = table_read16(cpu, base + TSS32_TRAP) & 1;
	return t;
}

/* Only the dynamic fields: LDT, CR3 and the inner stacks of a TSS are never written. */
static void task_save(struct vcpu *cpu, uint32_t eflags)
{
	lin_t base = cpu->tr.base;

	if (!(cpu->tr.attr & TYPE_32BIT)) {
		sys_write16(cpu, base + TSS16_IP, cpu->eip);
		sys_write16(cpu, base + TSS16_FLAGS, eflags);
		for (unsigned i = 0; i < 8; i++)
			sys_write16(cpu, base + TSS16_GPR + i * 2, cpu->gpr[i]);
		for (unsigned i = 0; i < 4; i++)
			sys_write16(cpu, base + TSS16_SEG + i * 2, cpu->seg[i].selector);
		return;
	}
	sys_write32(cpu, base + TSS32_EIP, cpu->eip);
	sys_write32(cpu, base + TSS32_EFLAGS, eflags);
	for (unsigned i = 0; i < 8; i++)
		sys_write32(cpu, base + TSS32_GPR + i * 4, cpu->gpr[i]);
	for (unsigned i = 0; i < 6; i++)
		sys_write16(cpu, base + TSS32_SEG + i * 4, cpu->seg[i].selector);
}

/* A run of bytes that will be written: page faults now, not half-way. */
static void probe_write(struct vcpu *cpu, lin_t lin, unsigned bytes)
{
	mmu_probe(cpu, lin, 1, ACCESS_WRITE, false);
	mmu_probe(cpu, lin + bytes - 1, 1, ACCESS_WRITE, false);
}

static void probe_old_task(struct vcpu *cpu)
{
	bool is32 = cpu->tr.attr & TYPE_32BIT;

	if (cpu->tr.limit < (is32 ? TSS32_MIN_LIMIT : TSS16_MIN_LIMIT))
		raise_selector(cpu, EXC_TS, cpu->tr.selector);
	if (is32)
		probe_write(cpu, cpu->tr.base + TSS32_EIP, TSS32_LDT - TSS32_EIP);
	else
		probe_write(cpu, cpu->tr.base + TSS16_IP, TSS16_LDT - TSS16_IP);
}

static void task_load_ldt(struct vcpu *cpu, uint16_t selector)
{
	struct descriptor d;

	if (selector_null(selector))
		return;
	if (selector & 4)
		raise_selector(cpu, EXC_TS, selector);
	descriptor_need(cpu, selector, &d, EXC_TS);
	if (!desc_system(&d) || desc_type(&d) != TYPE_LDT || !desc_present(&d))
		raise_selector(cpu, EXC_TS, selector);
	cpu->ldtr = descriptor_segment(&d, selector);
}

static void task_load_cs(struct vcpu *cpu, uint16_t selector)
{
	unsigned rpl = selector & 3;
	struct descriptor d;

	if (selector_null(selector))
		cpu_raise(cpu, EXC_TS, 0);
	descriptor_need(cpu, selector, &d, EXC_TS);
	if (!desc_code(&d) || (desc_conforming(&d) ? desc_dpl(&d) > rpl : desc_dpl(&d) != rpl))
		raise_selector(cpu, EXC_TS, selector);
	if (!desc_present(&d))
		raise_selector(cpu, EXC_NP, selector);
	descriptor_accessed(cpu, &d);
	cpu->seg[SEG_CS] = descriptor_segment(&d, selector);
}

static void task_load_data(struct vcpu *cpu, unsigned seg, uint16_t selector)
{
	struct descriptor d;

	if (selector_null(selector))
		return;
	descriptor_need(cpu, selector, &d, EXC_TS);
	if (!desc_readable(&d))
		raise_selector(cpu, EXC_TS, selector);
	if (!(desc_code(&d) && desc_conforming(&d)) && MAX((unsigned)selector & 3, cpu->cpl) > desc_dpl(&d))
		raise_selector(cpu, EXC_TS, selector);
	if (!desc_present(&d))
		raise_selector(cpu, EXC_NP, selector);
	descriptor_accessed(cpu, &d);
	cpu->seg[seg] = descriptor_segment(&d, selector);
}

/* In the new task: qualify what its TSS gave. Selectors are there already, caches are empty. */
static void task_load_segments(struct vcpu *cpu, const struct task *t)
{
	static const uint8_t data[] = { SEG_DS, SEG_ES, SEG_FS, SEG_GS };

	task_load_ldt(cpu, t->ldt);
	if (cpu_vm86(cpu)) {
		for (unsigned i = 0; i < 6; i++)
			cpu->seg[i] = segment_vm86(t->selector[i]);
		return;
	}
	task_load_cs(cpu, t->selector[SEG_CS]);
	cpu->seg[SEG_SS] = segment_stack(cpu, t->selector[SEG_SS], cpu->cpl, EXC_TS);
	for (unsigned i = 0; i < ARRAY_LEN(data); i++)
		task_load_data(cpu, data[i], t->selector[data[i]]);
}

/* The registers of the new task. CR3 first: the old space was good enough for reading the TSS. */
static void task_enter(struct vcpu *cpu, const struct task *t, bool is32, bool nested)
{
	cpu->eip = cpu->insn_eip = t->eip;
	memcpy(cpu->gpr, t->gpr, sizeof(t->gpr));
	for (unsigned i = 0; i < 6; i++)
		cpu->seg[i] = segment_null(t->selector[i]);
	cpu->ldtr = segment_null(t->ldt);
	cpu->tf_armed = cpu->shadow_armed = cpu->shadow = cpu->shadow_ss = false;
	cpu->halted = false;
	cpu->cr0 |= CR0_TS;
	if (cpu->dr[7] & DR7_LOCAL) {		/* the old task's breakpoints */
		cpu->dr[7] &= ~DR7_LOCAL;
		mmu_debug_changed(cpu);
	}
	cpu->eflags &= ~EFLAGS_VM;
	cpu_set_eflags(cpu, t->eflags | (nested ? EFLAGS_NT : 0), ~0u);
	cpu_update_mode(cpu);
	if (is32 && (cpu->cr0 & CR0_PG))
		cpu_set_cr3(cpu, t->cr3);
}

static void push_error_code(struct vcpu *cpu, const struct event *ev, bool is32)
{
	struct stack st = stack_current(cpu);

	frame_push(cpu, &st, ev->error, is32 ? 4 : 2);
	cpu->gpr[REG_ESP] = st.esp;
}

void task_switch(struct vcpu *cpu, uint16_t selector, enum task_cause cause, const struct event *ev)
{
	unsigned exc = cause == TASK_IRET ? EXC_TS : EXC_GP;
	unsigned avail = cause == TASK_IRET ? TYPE_TSS16_BUSY : TYPE_TSS16;
	bool nested = cause == TASK_CALL || cause == TASK_INT;
	struct descriptor d, old = { 0 };

	if ((selector & 4) || selector_null(selector))
		raise_selector(cpu, exc, selector);
	descriptor_need(cpu, selector, &d, exc);
	if (!desc_system(&d) || (desc_type(&d) & ~TYPE_32BIT) != avail)
		raise_selector(cpu, exc, selector);
	if (!desc_present(&d))
		raise_selector(cpu, EXC_NP, selector);
	struct segment tss = descriptor_segment(&d, selector);
	bool is32 = tss.attr & TYPE_32BIT;
	if (tss.limit < (is32 ? TSS32_MIN_LIMIT : TSS16_MIN_LIMIT))
		raise_selector(cpu, EXC_TS, selector);

	struct task t = task_read(cpu, tss.base, is32);
	probe_old_task(cpu);
	mmu_probe(cpu, d.lin + 5, 1, ACCESS_WRITE, false);
	if (nested)
		probe_write(cpu, tss.base, 2);
	bool release = !nested && !selector_null(cpu->tr.selector) && descriptor_fetch(cpu, cpu->tr.selector & 0xFFF8, &old);
	if (release)
		mmu_probe(cpu, old.lin + 5, 1, ACCESS_WRITE, false);

	/* nothing above changed anything, nothing below faults until the new task is in */
	uint32_t eflags = cpu->eflags | (ev && ev->set_rf ? EFLAGS_RF : 0);
	if (cause == TASK_IRET)
		eflags &= ~EFLAGS_NT;
	if (release)
		descriptor_busy(cpu, &old, false);
	task_save(cpu, eflags);
	if (nested)
		sys_write16(cpu, tss.base, cpu->tr.selector);
	if (cause != TASK_IRET)
		descriptor_busy(cpu, &d, true);
	cpu->tr = tss;
	cpu->tr.attr |= TYPE_BUSY;

	task_enter(cpu, &t, is32, nested);
	task_load_segments(cpu, &t);
	if (ev && ev->has_error)
		push_error_code(cpu, ev, is32);
	if (cpu->eip > cpu->seg[SEG_CS].limit)
		cpu_raise(cpu, EXC_GP, 0);
	if (t.trap)
		cpu_debug_trap(cpu, DR6_BT);
}

void cpu_task_switch(struct vcpu *cpu, uint16_t tss_selector, enum task_cause cause, bool has_error, uint32_t error_code)
{
	struct event ev = { .has_error = has_error, .error = error_code };

	task_switch(cpu, tss_selector, cause, &ev);
}
