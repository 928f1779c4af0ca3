/* Task switches.						[SDM 3, "Task Management"] */
#include "cpu/machine.h"

static bool busy(struct machine *m, uint16_t sel) { return peek32(m, GDT + sel + 4) >> 9 & 1; }

TEST(a_jmp_to_a_tss_saves_the_old_task_and_loads_the_new_one)
{
	struct machine *m = machine_new();
	put_task_b(m);
	m->cpu.gpr[REG_EBX] = 0xBBBBBBBB;
	m->cpu.eflags |= EFLAGS_NT;
	m->cpu.dr[7] |= 0x355;
	CHECK_EQ(do_jmp(m, TSSB, 0, 4), -1);
	CHECK_EQ(m->cpu.eip, 0x70000);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACKB);
	CHECK_EQ(m->cpu.gpr[REG_EDI], 0x8000);
	CHECK_EQ(m->cpu.gpr[REG_NONE], 0);
	CHECK_EQ(m->cpu.eflags, EFLAGS_CF | 2);
	CHECK_EQ(m->cpu.ldtr.base, LDT);
	CHECK_EQ(m->cpu.tr.selector, TSSB);
	CHECK(m->cpu.cr0 & CR0_TS);
	CHECK_EQ(m->cpu.dr[7] & 0x355, 0x200);			/* local enables go, global ones stay */
	CHECK_EQ(peek32(m, TSS_A + 0x20), CODE + 2);
	CHECK_EQ(peek32(m, TSS_A + 0x24), EFLAGS_NT | 2);
	CHECK_EQ(peek32(m, TSS_A + 0x34), 0xBBBBBBBB);
	CHECK_EQ(peek16(m, TSS_A + 0x4C), CODE0);
	CHECK(!busy(m, TSSA));
	CHECK(busy(m, TSSB));
	CHECK_EQ(peek16(m, TSS_B), 0);				/* no link */
	machine_free(m);
}

TEST(a_call_nests_and_iret_with_nt_returns)
{
	struct machine *m = machine_new();
	put_task_b(m);
	CHECK_EQ(do_call(m, TSSB, 0, 4), -1);
	CHECK(m->cpu.eflags & EFLAGS_NT);
	CHECK_EQ(peek16(m, TSS_B), TSSA);
	CHECK(busy(m, TSSA));
	CHECK(busy(m, TSSB));
	CHECK_EQ(do_iret(m, 4, 0, 0), -1);
	CHECK_EQ(m->cpu.tr.selector, TSSA);
	CHECK_EQ(m->cpu.eip, CODE + 2);
	CHECK_EQ(m->cpu.eflags & EFLAGS_NT, 0);
	CHECK_EQ(peek32(m, TSS_B + 0x24) & EFLAGS_NT, 0);
	CHECK_EQ(peek32(m, TSS_B + 0x20), 0x70002);
	CHECK(busy(m, TSSA));
	CHECK(!busy(m, TSSB));
	machine_free(m);
}

TEST(iret_with_nt_to_a_task_that_is_not_busy_is_ts)
{
	struct machine *m = machine_new();
	put_task_b(m);
	m->cpu.eflags |= EFLAGS_NT;
	poke16(m, TSS_A, TSSB);
	CHECK_EQ(do_iret(m, 4, 0, 0), EXC_TS);
	CHECK_EQ(m->cpu.exc_error, TSSB);
	CHECK_EQ(m->cpu.tr.selector, TSSA);
	machine_free(m);
}

TEST(a_busy_task_cannot_be_called)
{
	struct machine *m = machine_new();
	CHECK_EQ(do_call(m, TSSA, 0, 4), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, TSSA);
	machine_free(m);
}

TEST(a_tss_needs_its_dpl_a_present_bit_and_its_full_length)
{
	struct machine *m = machine_new();
	put_task_b(m);
	gdt(m, TSSB, TSS_B, 0x66, 0x89);
	CHECK_EQ(do_jmp(m, TSSB, 0, 4), EXC_TS);
	CHECK_EQ(m->cpu.exc_error, TSSB);
	gdt(m, TSSB, TSS_B, 0x67, 0x09);
	CHECK_EQ(do_jmp(m, TSSB, 0, 4), EXC_NP);
	machine_user(m);
	gdt(m, TSSB, TSS_B, 0x67, 0x89);
	CHECK_EQ(do_jmp(m, TSSB, 0, 4), EXC_GP);
	gdt(m, TSSB, TSS_B, 0x67, 0xE9);
	CHECK_EQ(do_jmp(m, TSSB, 0, 4), -1);
	machine_free(m);
}

TEST(a_task_gate_in_the_gdt_switches_whatever_the_tss_dpl_is)
{
	struct machine *m = machine_new();
	put_task_b(m);
	machine_user(m);
	put_gate(m, GDT + GATE, TSSB, 0, 0xE5, 0);
	CHECK_EQ(do_call(m, GATE | 3, 0, 4), -1);
	CHECK_EQ(m->cpu.tr.selector, TSSB);
	CHECK_EQ(m->cpu.cpl, 0);
	machine_free(m);
}

TEST(an_exception_through_a_task_gate_pushes_its_error_code_on_the_new_stack)
{
	struct machine *m = machine_new();
	put_task_b(m);
	idt_gate(m, EXC_GP, TSSB, 0, 0x85);
	do_raise(m, EXC_GP, 0x1234, 0);
	CHECK_EQ(deliver(m), NEXT_RUN);
	CHECK_EQ(m->cpu.eip, 0x70000);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACKB - 4);
	CHECK_EQ(top(m, 0), 0x1234);
	CHECK(m->cpu.eflags & EFLAGS_NT);
	CHECK_EQ(peek32(m, TSS_A + 0x20), CODE);		/* a fault: the instruction will run again */
	CHECK_EQ(peek32(m, TSS_A + 0x24), EFLAGS_RF | 2);
	machine_free(m);
}

TEST(a_bad_segment_in_the_new_tss_faults_in_the_new_task)
{
	struct machine *m = machine_new();
	put_task_b(m);
	poke32(m, TSS_B + 0x48 + 4 * SEG_FS, BEYOND);
	CHECK_EQ(do_jmp(m, TSSB, 0, 4), EXC_TS);
	CHECK_EQ(m->cpu.exc_error, BEYOND);
	CHECK_EQ(m->cpu.tr.selector, TSSB);
	CHECK_EQ(m->cpu.eip, 0x70000);
	CHECK_EQ(deliver(m), NEXT_RUN);
	CHECK_EQ(top(m, 0), BEYOND);
	CHECK_EQ(top(m, 1), 0x70000);
	machine_free(m);
}

TEST(error_codes_of_a_task_switch_follow_the_table)	/* "Exception Conditions Checked During a Task Switch" */
{
	static const struct { unsigned off; uint16_t sel; int exc; unsigned attr; } c[] = {
		{ 0x60, DATA0, EXC_TS, 0 },			/* LDT: not an LDT */
		{ 0x60, SPARE, EXC_TS, 0x02 },			/* LDT not present */
		{ 0x4C, DATA0, EXC_TS, 0 },			/* CS: not code */
		{ 0x4C, SPARE, EXC_NP, 0x401A },		/* CS not present */
		{ 0x50, CODE0, EXC_TS, 0 },			/* SS: not data */
		{ 0x50, DATA3, EXC_TS, 0 },			/* SS: DPL is not CPL */
		{ 0x50, SPARE, EXC_SS, 0x4012 },		/* SS not present */
		{ 0x54, SPARE, EXC_NP, 0x4012 },		/* DS not present */
		{ 0x54, SPARE, EXC_TS, 0x4098 },		/* DS: execute only */
	};
	for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
		struct machine *m = machine_new();
		put_task_b(m);
		gdt(m, SPARE, 0, 0xFFFFF, c[i].attr);
		poke32(m, TSS_B + c[i].off, c[i].sel);
		CHECK_EQ(do_jmp(m, TSSB, 0, 4), c[i].exc);
		CHECK_EQ(m->cpu.exc_error, c[i].sel & 0xFFFC);
		machine_free(m);
	}
}

TEST(a_page_fault_before_the_switch_leaves_the_old_task_running)
{
	struct machine *m = machine_new();
	put_task_b(m);
	machine_paging(m);
	poke32(m, TSS_B + 0x1C, PAGE_DIR);
	page(m, TSS_A, 1);					/* the old TSS cannot be written */
	CHECK_EQ(do_jmp(m, TSSB, 0, 4), EXC_PF);
	CHECK_EQ(m->cpu.tr.selector, TSSA);
	CHECK_EQ(m->cpu.eip, CODE);
	CHECK(busy(m, TSSA));
	CHECK(!busy(m, TSSB));
	page(m, TSS_A, 3);
	CHECK_EQ(do_jmp(m, TSSB, 0, 4), -1);
	machine_free(m);
}

TEST(the_new_task_brings_its_cr3)
{
	struct machine *m = machine_new();
	put_task_b(m);
	machine_paging(m);
	poke32(m, 0x18000, PAGE_TAB | 7);
	poke32(m, TSS_B + 0x1C, 0x18000);
	CHECK_EQ(do_jmp(m, TSSB, 0, 4), -1);
	CHECK_EQ(m->cpu.cr3, 0x18000);
	machine_free(m);
}

TEST(the_t_bit_traps_before_the_first_instruction_of_the_new_task)
{
	struct machine *m = machine_new();
	put_task_b(m);
	poke16(m, TSS_B + 0x64, 1);
	CHECK_EQ(do_jmp(m, TSSB, 0, 4), -1);
	CHECK_EQ(cpu_check_events(&m->cpu), NEXT_RUN);
	CHECK_EQ(m->cpu.eip, handler(EXC_DB));
	CHECK_EQ(top(m, 0), 0x70000);
	CHECK(m->cpu.dr[6] & DR6_BT);
	machine_free(m);
}

TEST(a_task_may_start_in_vm86)
{
	struct machine *m = machine_new();
	put_task_b(m);
	poke32(m, TSS_B + 0x24, EFLAGS_VM | EFLAGS_IOPL | 2);
	poke32(m, TSS_B + 0x20, 0x100);
	for (unsigned i = 0; i < 6; i++)
		poke32(m, TSS_B + 0x48 + 4 * i, 0x2000 + i);
	CHECK_EQ(do_jmp(m, TSSB, 0, 4), -1);
	CHECK_EQ(m->cpu.cpl, 3);
	CHECK(cpu_vm86(&m->cpu));
	CHECK_EQ(m->cpu.seg[SEG_CS].base, 0x20010);
	CHECK_EQ(m->cpu.seg[SEG_GS].limit, 0xFFFF);
	machine_free(m);
}

TEST(a_task_switch_without_ltr_frees_no_descriptor)
{
	struct machine *m = machine_new();
	put_task_b(m);
	m->cpu.tr.selector = 0;
	poke32(m, GDT + 4, 0xFFFFFFFF);				/* the null descriptor's bytes may be anything */
	CHECK_EQ(do_jmp(m, TSSB, 0, 4), -1);
	CHECK_EQ(peek32(m, GDT + 4), 0xFFFFFFFF);
	machine_free(m);
}

TEST(a_16_bit_task_has_its_own_layout_and_comes_back_to_a_32_bit_one)
{
	struct machine *m = machine_new();
	poke16(m, TSS_16 + 0x0E, 0x4444);
	poke16(m, TSS_16 + 0x10, EFLAGS_ZF | 2);
	for (unsigned i = 0; i < 8; i++)
		poke16(m, TSS_16 + 0x12 + 2 * i, 0x100 * i);
	for (unsigned i = 0; i < 4; i++)
		poke16(m, TSS_16 + 0x22 + 2 * i, i == SEG_CS ? CODE16 : DATA16);
	poke16(m, TSS_16 + 0x2A, LDTS);
	CHECK_EQ(do_call(m, TSS16, 0, 4), -1);
	CHECK_EQ(m->cpu.eip, 0x4444);
	CHECK_EQ(m->cpu.gpr[REG_EDI] & 0xFFFF, 0x700);
	CHECK_EQ(m->cpu.eflags, EFLAGS_ZF | EFLAGS_NT | 2);
	CHECK_EQ(m->cpu.seg[SEG_CS].selector, CODE16);
	CHECK_EQ(m->cpu.seg[SEG_FS].selector, 0);
	CHECK_EQ(m->cpu.ldtr.selector, LDTS);
	m->cpu.gpr[REG_ECX] = 0x12345678;
	CHECK_EQ(do_iret(m, 2, 0, 0), -1);
	CHECK_EQ(m->cpu.tr.selector, TSSA);
	CHECK_EQ(m->cpu.eip, CODE + 2);
	CHECK_EQ(peek16(m, TSS_16 + 0x14), 0x5678);
	CHECK_EQ(peek16(m, TSS_16 + 0x2A), LDTS);
	machine_free(m);
}
