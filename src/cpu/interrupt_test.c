/* Gates, IRET, double and triple faults.	[SDM 3, "Interrupt and Exception Handling"; SDM 2, "INT n", "IRET"] */
#include "cpu/machine.h"

TEST(an_interrupt_gate_clears_if_and_a_trap_gate_does_not)
{
	struct machine *m = machine_new();
	m->cpu.eflags |= EFLAGS_IF | EFLAGS_TF | EFLAGS_NT;
	idt_gate(m, 0x40, CODE0, 0x61000, 0x8E);
	idt_gate(m, 0x41, CODE0, 0x62000, 0x8F);
	CHECK_EQ(do_int(m, 0x40, INT_N, 0), -1);
	CHECK_EQ(m->cpu.eip, 0x61000);
	CHECK_EQ(m->cpu.eflags & (EFLAGS_IF | EFLAGS_TF | EFLAGS_NT), 0);
	CHECK_EQ(top(m, 0), CODE + 2);
	CHECK_EQ(top(m, 1), CODE0);
	CHECK_EQ(top(m, 2), EFLAGS_IF | EFLAGS_TF | EFLAGS_NT | 2);
	m->cpu.eflags |= EFLAGS_IF;
	CHECK_EQ(do_int(m, 0x41, INT_N, 0), -1);
	CHECK(m->cpu.eflags & EFLAGS_IF);
	machine_free(m);
}

TEST(a_16_bit_gate_pushes_words)
{
	struct machine *m = machine_new();
	idt_gate(m, 0x40, CODE0, 0x99991000, 0x86);
	CHECK_EQ(do_int(m, 0x40, INT_N, 0), -1);
	CHECK_EQ(m->cpu.eip, 0x1000);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK0 - 6);
	CHECK_EQ(peek16(m, STACK0 - 6), (CODE + 2) & 0xFFFF);
	CHECK_EQ(peek16(m, STACK0 - 4), CODE0);
	machine_free(m);
}

TEST(int_n_needs_the_gates_dpl_but_a_fault_does_not)
{
	struct machine *m = machine_new();
	machine_user(m);
	CHECK_EQ(do_int(m, 0x40, INT_N, 0), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, 0x40 * 8 + 2);
	CHECK_EQ(do_int(m, EXC_BP, INT_3, 0), EXC_GP);
	CHECK_EQ(do_int(m, EXC_DB, INT_1, 0), -1);		/* INT1 is like an exception */
	machine_user(m);
	CHECK_EQ(do_raise(m, EXC_UD, 0, 0), EXC_UD);
	CHECK_EQ(deliver(m), NEXT_RUN);
	CHECK_EQ(m->cpu.eip, handler(EXC_UD));
	CHECK_EQ(m->cpu.cpl, 0);
	machine_free(m);
}

TEST(an_interrupt_from_cpl_3_switches_to_the_tss_stack_and_iret_returns)
{
	struct machine *m = machine_new();
	machine_user(m);
	m->cpu.eflags |= EFLAGS_IF;
	idt_gate(m, 0x80, CODE0, 0x61000, 0xEE);
	CHECK_EQ(do_int(m, 0x80, INT_N, 0), -1);
	CHECK_EQ(m->cpu.cpl, 0);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK0 - 20);
	CHECK_EQ(top(m, 0), CODE + 2);
	CHECK_EQ(top(m, 1), CODE3);
	CHECK_EQ(top(m, 2), EFLAGS_IF | 2);
	CHECK_EQ(top(m, 3), STACK3);
	CHECK_EQ(top(m, 4), DATA3);
	CHECK_EQ(do_iret(m, 4, 0, 0), -1);
	CHECK_EQ(m->cpu.cpl, 3);
	CHECK_EQ(m->cpu.eip, CODE + 2);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK3);
	CHECK(m->cpu.eflags & EFLAGS_IF);
	CHECK_EQ(m->cpu.seg[SEG_DS].selector, DATA3);
	machine_free(m);
}

TEST(a_fault_pushes_its_own_eip_rf_and_the_error_code)
{
	struct machine *m = machine_new();
	CHECK_EQ(do_raise(m, EXC_GP, 0x1230, 0), EXC_GP);
	CHECK_EQ(deliver(m), NEXT_RUN);
	CHECK_EQ(m->cpu.eip, handler(EXC_GP));
	CHECK_EQ(top(m, 0), 0x1230);
	CHECK_EQ(top(m, 1), CODE);
	CHECK_EQ(top(m, 3), EFLAGS_RF | 2);
	CHECK_EQ(m->cpu.eflags & EFLAGS_RF, 0);
	machine_free(m);
}

TEST(a_gate_past_the_idt_limit_is_gp_with_the_idt_bit)
{
	struct machine *m = machine_new();
	m->cpu.idtr.limit = 0x40 * 8 + 6;
	CHECK_EQ(do_int(m, 0x40, INT_N, 0), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, 0x40 * 8 + 2);		/* EXT clear: the program did it */
	CHECK_EQ(deliver(m), NEXT_RUN);
	CHECK_EQ(top(m, 0), 0x40 * 8 + 2);
	CHECK_EQ(top(m, 1), CODE);
	machine_free(m);
}

TEST(a_fault_met_while_delivering_an_interrupt_has_ext_set)
{
	struct machine *m = machine_new();
	idt_gate(m, 0x30, CODE0, 0x61000, 0x0E);		/* not present */
	m->cpu.eflags |= EFLAGS_IF;
	m->cpu.intr_line = true;
	m->vector = 0x30;
	CHECK_EQ(cpu_check_events(&m->cpu), NEXT_RUN);
	CHECK_EQ(m->cpu.eip, handler(EXC_NP));
	CHECK_EQ(top(m, 0), 0x30 * 8 + 2 + 1);
	CHECK_EQ(top(m, 1), CODE);
	machine_free(m);
}

TEST(a_gate_to_bad_code_segments_says_which)
{
	struct machine *m = machine_new();
	idt_gate(m, 0x40, 0, 0x61000, 0x8E);
	CHECK_EQ(do_int(m, 0x40, INT_N, 0), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, 0);
	idt_gate(m, 0x40, DATA0, 0x61000, 0x8E);
	CHECK_EQ(do_int(m, 0x40, INT_N, 0), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, DATA0);
	idt_gate(m, 0x40, CODE3, 0x61000, 0x8E);		/* less privileged than CPL */
	CHECK_EQ(do_int(m, 0x40, INT_N, 0), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, CODE3 & 0xFFFC);
	gdt(m, SPARE, 0, 0xFFFF, 0x401A);
	idt_gate(m, 0x40, SPARE, 0x1000, 0x8E);
	CHECK_EQ(do_int(m, 0x40, INT_N, 0), EXC_NP);
	CHECK_EQ(m->cpu.exc_error, SPARE);
	put_gate(m, IDT + 0x40 * 8, CODE0, 0x1000, 0x8C, 0);	/* a call gate has no place in the IDT */
	CHECK_EQ(do_int(m, 0x40, INT_N, 0), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, 0x40 * 8 + 2);
	machine_free(m);
}

TEST(two_contributory_exceptions_make_a_double_fault)
{
	struct machine *m = machine_new();
	idt_gate(m, EXC_GP, CODE0, 0x61000, 0x0E);		/* #GP's gate is not present: #NP */
	do_raise(m, EXC_GP, 0, 0);
	CHECK_EQ(deliver(m), NEXT_RUN);
	CHECK_EQ(m->cpu.eip, handler(EXC_DF));
	CHECK_EQ(top(m, 0), 0);
	CHECK_EQ(top(m, 1), CODE);
	machine_free(m);
}

TEST(a_benign_exception_first_is_handled_serially)
{
	struct machine *m = machine_new();
	idt_gate(m, EXC_UD, CODE0, 0x61000, 0x0E);
	do_raise(m, EXC_UD, 0, 0);
	CHECK_EQ(deliver(m), NEXT_RUN);
	CHECK_EQ(m->cpu.eip, handler(EXC_NP));
	CHECK_EQ(top(m, 0), EXC_UD * 8 + 2 + 1);
	machine_free(m);
}

TEST(a_page_fault_after_a_contributory_fault_is_serial_but_two_page_faults_are_double)
{
	struct machine *m = machine_new();
	machine_paging(m);
	idt_gate(m, EXC_DF, TSSB, 0, 0x85);
	put_task_b(m);
	poke32(m, TSS_B + 0x1C, PAGE_DIR);
	page(m, STACK0_BASE, 0);
	do_raise(m, EXC_GP, 0, 0);				/* #GP, then #PF pushing, then #PF pushing: #DF by task gate */
	CHECK_EQ(deliver(m), NEXT_RUN);
	CHECK_EQ(m->cpu.eip, 0x70000);
	CHECK_EQ(m->cpu.tr.selector, TSSB);
	CHECK_EQ(top(m, 0), 0);
	CHECK_EQ(m->cpu.cr2, STACK0 - 4);
	CHECK_EQ(peek32(m, TSS_A + 0x20), CODE);
	machine_free(m);
}

TEST(a_fault_in_delivering_a_double_fault_is_a_triple_fault)
{
	struct machine *m = machine_new();
	m->cpu.idtr.limit = 0;
	do_raise(m, EXC_UD, 0, 0);
	CHECK_EQ(deliver(m), NEXT_TRIPLE_FAULT);
	machine_free(m);
}

TEST(iret_at_cpl_3_leaves_if_and_iopl_alone)
{
	struct machine *m = machine_new();
	machine_user(m);
	push32(m, EFLAGS_IF | EFLAGS_IOPL | EFLAGS_VIF | EFLAGS_AC | EFLAGS_CF | EFLAGS_VM);
	push32(m, CODE3);
	push32(m, 0x5000);
	CHECK_EQ(do_iret(m, 4, 0, 0), -1);
	CHECK_EQ(m->cpu.eflags, EFLAGS_AC | EFLAGS_CF | 2);
	machine_free(m);
}

TEST(a_16_bit_iret_keeps_the_upper_flags)
{
	struct machine *m = machine_new();
	m->cpu.eflags |= EFLAGS_AC | EFLAGS_ID;
	m->cpu.gpr[REG_ESP] -= 6;
	poke16(m, STACK0 - 6, 0x1234);
	poke16(m, STACK0 - 4, CODE0);
	poke16(m, STACK0 - 2, EFLAGS_IF | EFLAGS_IOPL);
	CHECK_EQ(do_iret(m, 2, 0, 0), -1);
	CHECK_EQ(m->cpu.eip, 0x1234);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK0);
	CHECK_EQ(m->cpu.eflags, EFLAGS_AC | EFLAGS_ID | EFLAGS_IF | EFLAGS_IOPL | 2);
	machine_free(m);
}

TEST(real_mode_interrupts_use_the_vector_table_and_its_limit)
{
	struct machine *m = machine_new();
	machine_real_mode(m, 0x100, 0x1000);
	m->cpu.idtr = (struct table_register){ .base = 0, .limit = 0x3FF };
	m->cpu.eflags |= EFLAGS_IF | EFLAGS_TF;
	poke32(m, 0x21 * 4, 0x40001234);
	CHECK_EQ(do_int(m, 0x21, INT_N, 0), -1);
	CHECK_EQ(m->cpu.seg[SEG_CS].base, 0x40000);
	CHECK_EQ(m->cpu.eip, 0x1234);
	CHECK_EQ(peek16(m, 0x8FFA), 0x102);
	CHECK_EQ(peek16(m, 0x8FFC), 0x2000);
	CHECK_EQ(peek16(m, 0x8FFE), EFLAGS_IF | EFLAGS_TF | 2);
	CHECK_EQ(m->cpu.eflags & (EFLAGS_IF | EFLAGS_TF), 0);
	CHECK_EQ(do_iret(m, 2, 0, 0), -1);
	CHECK_EQ(m->cpu.eip, 0x102);
	CHECK(m->cpu.eflags & EFLAGS_IF);
	m->cpu.idtr.limit = 0x21 * 4 + 2;
	CHECK_EQ(do_int(m, 0x21, INT_N, 0), EXC_GP);
	machine_free(m);
}

TEST(real_mode_faults_push_no_error_code)
{
	struct machine *m = machine_new();
	do_cr0(m, CR0_ET, 0, 0);
	m->cpu.idtr = (struct table_register){ .base = 0, .limit = 0x3FF };
	poke32(m, EXC_GP * 4, 0x40001234);
	do_raise(m, EXC_GP, 0, 0);
	CHECK_EQ(deliver(m), NEXT_RUN);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK0 - 6);
	CHECK_EQ(peek16(m, STACK0 - 6), (CODE + 2) & 0xFFFF);	/* behind the MOV CR0 */
	machine_free(m);
}
