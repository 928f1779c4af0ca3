/* Far JMP, CALL, RET, call gates, SYSENTER.	[SDM 2, "CALL", "JMP", "RET"; SDM 3, "Call Gates", "Stack Switching"] */
#include "cpu/machine.h"

TEST(a_far_call_pushes_cs_and_eip_and_ret_comes_back)
{
	struct machine *m = machine_new();
	CHECK_EQ(do_call(m, CODE0, 0x30000, 4), -1);
	CHECK_EQ(m->cpu.eip, 0x30000);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK0 - 8);
	CHECK_EQ(top(m, 0), CODE + 2);
	CHECK_EQ(top(m, 1), CODE0);
	CHECK_EQ(do_ret(m, 4, 12, 0), -1);
	CHECK_EQ(m->cpu.eip, CODE + 2);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK0 + 12);
	machine_free(m);
}

TEST(a_16_bit_far_call_pushes_words_and_cuts_the_offset)
{
	struct machine *m = machine_new();
	CHECK_EQ(do_call(m, CODE0, 0xABC1234, 2), -1);
	CHECK_EQ(m->cpu.eip, 0x1234);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK0 - 4);
	CHECK_EQ(top(m, 0), (uint32_t)CODE0 << 16 | ((CODE + 2) & 0xFFFF));
	machine_free(m);
}

TEST(a_far_jump_to_a_less_privileged_code_segment_is_gp)
{
	struct machine *m = machine_new();
	CHECK_EQ(do_jmp(m, CODE3, 0, 4), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, CODE3 & 0xFFFC);
	CHECK_EQ(m->cpu.eip, CODE);
	CHECK_EQ(do_jmp(m, DATA0, 0, 4), EXC_GP);
	CHECK_EQ(do_jmp(m, 0, 0, 4), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, 0);
	machine_free(m);
}

TEST(a_conforming_segment_runs_at_the_callers_cpl)
{
	struct machine *m = machine_new();
	machine_user(m);
	CHECK_EQ(do_jmp(m, CONFORM, 0x4000, 4), -1);
	CHECK_EQ(m->cpu.cpl, 3);
	CHECK_EQ(m->cpu.seg[SEG_CS].selector, CONFORM | 3);
	machine_free(m);
}

TEST(an_offset_past_the_code_limit_is_gp_0_and_changes_nothing)
{
	struct machine *m = machine_new();
	gdt(m, SPARE, 0, 0xFFF, 0x409A);
	CHECK_EQ(do_call(m, SPARE, 0x1000, 4), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, 0);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK0);
	CHECK_EQ(m->cpu.seg[SEG_CS].selector, CODE0);
	CHECK_EQ(do_call(m, SPARE, 0xFFF, 4), -1);
	machine_free(m);
}

TEST(a_not_present_code_segment_is_np)
{
	struct machine *m = machine_new();
	gdt(m, SPARE, 0, 0xFFF, 0x401A);
	CHECK_EQ(do_jmp(m, SPARE, 0, 4), EXC_NP);
	CHECK_EQ(m->cpu.exc_error, SPARE);
	machine_free(m);
}

TEST(a_call_gate_switches_stacks_and_copies_parameters)
{
	struct machine *m = machine_new();
	machine_user(m);
	put_gate(m, GDT + GATE, CODE0, 0x55000, 0xEC, 3);
	push32(m, 0x33);
	push32(m, 0x22);
	push32(m, 0x11);
	CHECK_EQ(do_call(m, GATE | 3, 0xDEAD, 4), -1);
	CHECK_EQ(m->cpu.cpl, 0);
	CHECK_EQ(m->cpu.eip, 0x55000);
	CHECK_EQ(m->cpu.seg[SEG_CS].selector, CODE0);
	CHECK_EQ(m->cpu.seg[SEG_SS].selector, DATA0);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK0 - 7 * 4);
	CHECK_EQ(top(m, 0), CODE + 2);
	CHECK_EQ(top(m, 1), CODE3);
	CHECK_EQ(top(m, 2), 0x11);
	CHECK_EQ(top(m, 3), 0x22);
	CHECK_EQ(top(m, 4), 0x33);
	CHECK_EQ(top(m, 5), STACK3 - 12);
	CHECK_EQ(top(m, 6), DATA3);
	/* RETF 12 drops the parameters from both stacks */
	CHECK_EQ(do_ret(m, 4, 12, 0), -1);
	CHECK_EQ(m->cpu.cpl, 3);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK3);
	CHECK_EQ(m->cpu.seg[SEG_SS].selector, DATA3);
	CHECK_EQ(m->cpu.eip, CODE + 2);
	machine_free(m);
}

TEST(a_16_bit_call_gate_pushes_words)
{
	struct machine *m = machine_new();
	machine_user(m);
	put_gate(m, GDT + GATE, CODE0, 0x77775000, 0xE4, 1);
	push32(m, 0xAAAA1111);
	CHECK_EQ(do_call(m, GATE | 3, 0, 4), -1);
	CHECK_EQ(m->cpu.eip, 0x5000);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK0 - 10);
	CHECK_EQ(peek16(m, STACK0 - 10), (CODE + 2) & 0xFFFF);
	CHECK_EQ(peek16(m, STACK0 - 8), CODE3);
	CHECK_EQ(peek16(m, STACK0 - 6), 0x1111);
	CHECK_EQ(peek16(m, STACK0 - 4), (STACK3 - 4) & 0xFFFF);
	CHECK_EQ(peek16(m, STACK0 - 2), DATA3);
	machine_free(m);
}

TEST(a_call_gate_needs_its_dpl_for_cpl_and_rpl)
{
	struct machine *m = machine_new();
	put_gate(m, GDT + GATE, CODE0, 0x55000, 0x8C, 0);
	CHECK_EQ(do_call(m, GATE | 3, 0, 4), EXC_GP);		/* RPL */
	CHECK_EQ(m->cpu.exc_error, GATE);
	CHECK_EQ(do_call(m, GATE, 0, 4), -1);
	machine_user(m);
	CHECK_EQ(do_call(m, GATE, 0, 4), EXC_GP);		/* CPL */
	put_gate(m, GDT + GATE, CODE0, 0x55000, 0x6C, 0);
	CHECK_EQ(do_call(m, GATE, 0, 4), EXC_NP);
	CHECK_EQ(m->cpu.exc_error, GATE);
	machine_free(m);
}

TEST(a_jmp_through_a_gate_cannot_gain_privilege)
{
	struct machine *m = machine_new();
	machine_user(m);
	put_gate(m, GDT + GATE, CODE0, 0x55000, 0xEC, 0);
	CHECK_EQ(do_jmp(m, GATE, 0, 4), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, CODE0);
	put_gate(m, GDT + GATE, CODE3, 0x55000, 0xEC, 0);
	CHECK_EQ(do_jmp(m, GATE, 0, 4), -1);
	CHECK_EQ(m->cpu.eip, 0x55000);
	machine_free(m);
}

TEST(a_bad_inner_stack_is_ts_and_a_full_one_is_ss_of_its_selector)
{
	struct machine *m = machine_new();
	machine_user(m);
	put_gate(m, GDT + GATE, CODE0, 0x55000, 0xEC, 0);
	poke16(m, TSS_A + 8, 0);
	CHECK_EQ(do_call(m, GATE, 0, 4), EXC_TS);
	CHECK_EQ(m->cpu.exc_error, 0);
	poke16(m, TSS_A + 8, DATA3);
	CHECK_EQ(do_call(m, GATE, 0, 4), EXC_TS);
	CHECK_EQ(m->cpu.exc_error, DATA3 & 0xFFFC);
	gdt(m, SPARE, 0, 0xFFFF, 0x4012);
	poke16(m, TSS_A + 8, SPARE);
	CHECK_EQ(do_call(m, GATE, 0, 4), EXC_SS);
	CHECK_EQ(m->cpu.exc_error, SPARE);
	gdt(m, SPARE, 0, 0x8FFF, 0x4096);			/* expand-down: 9000h is the lowest byte */
	CHECK_EQ(do_call(m, GATE, 0, 4), EXC_SS);
	CHECK_EQ(m->cpu.exc_error, SPARE);
	m->cpu.tr.limit = 8;
	CHECK_EQ(do_call(m, GATE, 0, 4), EXC_TS);
	CHECK_EQ(m->cpu.exc_error, TSSA);
	CHECK_EQ(m->cpu.cpl, 3);
	machine_free(m);
}

TEST(a_page_fault_on_the_inner_stack_is_a_supervisor_fault_and_nothing_changed)
{
	struct machine *m = machine_new();
	machine_paging(m);
	machine_user(m);
	put_gate(m, GDT + GATE, CODE0, 0x55000, 0xEC, 0);
	page(m, STACK0_BASE, 0);
	CHECK_EQ(do_call(m, GATE, 0, 4), EXC_PF);
	CHECK_EQ(m->cpu.exc_error, PF_W);
	CHECK_EQ(m->cpu.cr2, STACK0 - 4);
	CHECK_EQ(m->cpu.cpl, 3);
	CHECK_EQ(m->cpu.eip, CODE);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK3);
	machine_free(m);
}

TEST(returning_outward_nulls_segments_the_outer_level_may_not_have)
{
	struct machine *m = machine_new();
	do_load(m, SEG_ES, DATA3, 0);
	do_load(m, SEG_FS, CONFORM, 0);
	push32(m, DATA3);
	push32(m, STACK3);
	push32(m, CODE3);
	push32(m, 0x7000);
	CHECK_EQ(do_ret(m, 4, 0, 0), -1);
	CHECK_EQ(m->cpu.cpl, 3);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK3);
	CHECK_EQ(m->cpu.seg[SEG_DS].selector, 0);		/* was DPL 0 data */
	CHECK_EQ(m->cpu.seg[SEG_DS].attr, 0);
	CHECK_EQ(m->cpu.seg[SEG_ES].selector, DATA3);
	CHECK_EQ(m->cpu.seg[SEG_FS].selector, CONFORM);
	machine_free(m);
}

TEST(a_far_return_never_goes_inward)
{
	struct machine *m = machine_new();
	machine_user(m);
	push32(m, CODE0);
	push32(m, 0x7000);
	CHECK_EQ(do_ret(m, 4, 0, 0), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, CODE0);
	machine_free(m);
}

TEST(only_sp_changes_when_the_outer_stack_is_16_bit)		/* what Linux calls espfix */
{
	struct machine *m = machine_new();
	gdt(m, SPARE, 0, 0xFFFF, 0x00F2);
	push32(m, SPARE | 3);
	push32(m, 0x12345678);
	push32(m, CODE3);
	push32(m, 0x7000);
	m->cpu.gpr[REG_ESP] |= 0;
	uint32_t upper = m->cpu.gpr[REG_ESP] & 0xFFFF0000;
	CHECK_EQ(do_ret(m, 4, 0, 0), -1);
	CHECK_EQ(m->cpu.gpr[REG_ESP], upper | 0x5678);
	machine_free(m);
}

TEST(real_mode_far_call_and_return)
{
	struct machine *m = machine_new();
	machine_real_mode(m, 0x10, 0xFFFF0100);
	CHECK_EQ(do_call(m, 0x3000, 0x1234, 2), -1);
	CHECK_EQ(m->cpu.seg[SEG_CS].base, 0x30000);
	CHECK_EQ(m->cpu.gpr[REG_ESP], 0xFFFF00FC);
	CHECK_EQ(peek32(m, 0x80FC), 0x20000012);
	CHECK_EQ(do_ret(m, 2, 2, 0), -1);
	CHECK_EQ(m->cpu.gpr[REG_ESP], 0xFFFF0102);
	CHECK_EQ(m->cpu.eip, 0x12);
	machine_free(m);
}

TEST(sysenter_and_sysexit_load_flat_segments_without_looking_at_the_gdt)
{
	struct machine *m = machine_new();
	machine_user(m);
	m->cpu.eflags |= EFLAGS_IF;
	CHECK_EQ(do_sysenter(m, 0, 0, 0), EXC_GP);		/* SYSENTER_CS is 0 */
	m->cpu.sysenter_cs = 0x200;				/* past what is in the GDT */
	m->cpu.sysenter_esp = 0x8800;
	m->cpu.sysenter_eip = 0x44000;
	CHECK_EQ(do_sysenter(m, 0, 0, 0), -1);
	CHECK_EQ(m->cpu.cpl, 0);
	CHECK_EQ(m->cpu.seg[SEG_CS].selector, 0x200);
	CHECK_EQ(m->cpu.seg[SEG_SS].selector, 0x208);
	CHECK_EQ(m->cpu.seg[SEG_CS].limit, 0xFFFFFFFF);
	CHECK_EQ(m->cpu.gpr[REG_ESP], 0x8800);
	CHECK_EQ(m->cpu.eip, 0x44000);
	CHECK_EQ(m->cpu.eflags & EFLAGS_IF, 0);
	m->cpu.gpr[REG_ECX] = STACK3;
	m->cpu.gpr[REG_EDX] = 0x7777;
	CHECK_EQ(do_sysexit(m, 0, 0, 0), -1);
	CHECK_EQ(m->cpu.cpl, 3);
	CHECK_EQ(m->cpu.seg[SEG_CS].selector, 0x213);
	CHECK_EQ(m->cpu.seg[SEG_SS].selector, 0x21B);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK3);
	CHECK_EQ(do_sysexit(m, 0, 0, 0), EXC_GP);		/* CPL 3 */
	machine_free(m);
}
