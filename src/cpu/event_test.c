/* Between instructions.	[SDM 3, "Priority Among Concurrent Events", "Debug, Branch Profile, TSC..."] */
#include "cpu/machine.h"

static void interrupt(struct machine *m, int vector)
{
	m->cpu.intr_line = true;
	m->vector = vector;
	cpu_attend(&m->cpu, ATTN_EVENT);
}

static void boundary(struct machine *m) { CHECK_EQ(cpu_check_events(&m->cpu), NEXT_RUN); }
static bool attends(struct machine *m) { return m->cpu.attention & ATTN_EVENT; }

TEST(an_interrupt_waits_for_if)
{
	struct machine *m = machine_new();
	interrupt(m, 0x30);
	boundary(m);
	CHECK_EQ(m->acks, 0);
	CHECK(!attends(m));
	cpu_set_eflags(&m->cpu, EFLAGS_IF, EFLAGS_IF);		/* as POPF does */
	CHECK(attends(m));
	boundary(m);
	CHECK_EQ(m->acks, 1);
	CHECK_EQ(m->cpu.eip, handler(0x30));
	CHECK_EQ(top(m, 0), CODE);
	CHECK_EQ(top(m, 2), EFLAGS_IF | 2);
	machine_free(m);
}

/* Its first instruction has a breakpoint: architecturally it never gets on. Here it does not keep us. */
TEST(a_debug_handler_that_breaks_at_itself_leaves_room_for_others)
{
	struct machine *m = machine_new();
	uint64_t icount = m->cpu.icount;
	m->cpu.dr[0] = handler(EXC_DB);
	cpu_set_dr(&m->cpu, 7, 1);
	m->cpu.eip = handler(EXC_DB);
	cpu_attend(&m->cpu, ATTN_EVENT);
	CHECK_EQ(cpu_check_events(&m->cpu), NEXT_ATTENTION);
	CHECK(attends(m));
	CHECK(m->cpu.icount > icount);
	CHECK_EQ(m->cpu.eip, handler(EXC_DB));
	CHECK_EQ(cpu_check_events(&m->cpu), NEXT_ATTENTION);
	cpu_set_dr(&m->cpu, 7, 0);
	boundary(m);
	machine_free(m);
}

TEST(the_sti_shadow_lasts_exactly_one_instruction_however_often_one_looks)
{
	struct machine *m = machine_new();
	interrupt(m, 0x30);
	do_nothing(m, 0, 0, 0);					/* STI */
	m->cpu.eflags |= EFLAGS_IF;
	m->cpu.shadow = true;
	boundary(m);
	boundary(m);						/* the engine left and came back: still the same boundary */
	CHECK_EQ(m->acks, 0);
	CHECK(attends(m));
	do_nothing(m, 0, 0, 0);
	boundary(m);
	CHECK_EQ(m->acks, 1);
	CHECK_EQ(m->cpu.shadow, false);
	machine_free(m);
}

TEST(a_fault_in_the_shadow_ends_it)
{
	struct machine *m = machine_new();
	m->cpu.eflags |= EFLAGS_IF;
	m->cpu.shadow = true;
	boundary(m);
	CHECK_EQ(do_raise(m, EXC_UD, 0, 0), EXC_UD);
	CHECK_EQ(deliver(m), NEXT_RUN);
	CHECK_EQ(m->cpu.shadow, false);
	machine_free(m);
}

TEST(tf_traps_after_the_next_instruction_not_after_the_one_that_set_it)
{
	struct machine *m = machine_new();
	do_nothing(m, 0, 0, 0);					/* POPF */
	cpu_set_eflags(&m->cpu, EFLAGS_TF, EFLAGS_TF);
	boundary(m);
	CHECK_EQ(m->cpu.eip, CODE + 2);
	CHECK(attends(m));
	do_nothing(m, 0, 0, 0);
	boundary(m);
	CHECK_EQ(m->cpu.eip, handler(EXC_DB));
	CHECK_EQ(top(m, 0), CODE + 4);
	CHECK_EQ(top(m, 2), EFLAGS_TF | 2);			/* a trap: RF as it was */
	CHECK(m->cpu.dr[6] & DR6_BS);
	CHECK_EQ(m->cpu.eflags & EFLAGS_TF, 0);
	do_nothing(m, 0, 0, 0);
	boundary(m);						/* the handler is not stepped */
	CHECK_EQ(m->cpu.eip, handler(EXC_DB) + 2);
	machine_free(m);
}

TEST(clearing_tf_still_traps_after_the_instruction_that_cleared_it)
{
	struct machine *m = machine_new();
	m->cpu.eflags |= EFLAGS_TF;
	boundary(m);
	do_nothing(m, 0, 0, 0);
	cpu_set_eflags(&m->cpu, 0, EFLAGS_TF);
	boundary(m);
	CHECK_EQ(m->cpu.eip, handler(EXC_DB));
	CHECK_EQ(top(m, 2), 2);
	machine_free(m);
}

TEST(mov_ss_holds_off_the_single_step_trap_and_the_nmi)
{
	struct machine *m = machine_new();
	m->cpu.eflags |= EFLAGS_TF;
	m->cpu.nmi_pending = true;
	m->cpu.nmi_blocked = true;
	boundary(m);
	m->cpu.nmi_blocked = false;
	do_nothing(m, 0, 0, 0);					/* MOV SS */
	m->cpu.shadow = m->cpu.shadow_ss = true;
	boundary(m);
	CHECK_EQ(m->cpu.eip, CODE + 2);
	do_nothing(m, 0, 0, 0);
	boundary(m);						/* #DB first, then the NMI before its first instruction */
	CHECK_EQ(m->cpu.eip, handler(EXC_NMI));
	CHECK_EQ(top(m, 0), handler(EXC_DB));
	CHECK_EQ(top(m, 3), CODE + 4);
	machine_free(m);
}

TEST(int_n_is_not_single_stepped)
{
	struct machine *m = machine_new();
	m->cpu.eflags |= EFLAGS_TF;
	boundary(m);
	CHECK_EQ(do_int(m, 0x40, INT_N, 0), -1);
	boundary(m);
	CHECK_EQ(m->cpu.eip, handler(0x40));
	machine_free(m);
}

TEST(nmi_is_blocked_until_iret)
{
	struct machine *m = machine_new();
	m->cpu.nmi_pending = true;
	boundary(m);
	CHECK_EQ(m->cpu.eip, handler(EXC_NMI));
	m->cpu.nmi_pending = true;
	boundary(m);
	CHECK_EQ(m->cpu.eip, handler(EXC_NMI));
	CHECK_EQ(do_iret(m, 4, 0, 0), -1);
	CHECK(attends(m));
	boundary(m);
	CHECK_EQ(m->cpu.eip, handler(EXC_NMI));
	CHECK_EQ(m->cpu.nmi_pending, false);
	machine_free(m);
}

TEST(halt_ends_with_an_interrupt_that_if_allows)
{
	struct machine *m = machine_new();
	m->cpu.halted = true;
	CHECK_EQ(cpu_check_events(&m->cpu), NEXT_HALT);
	CHECK(attends(m));
	interrupt(m, 0x30);
	CHECK_EQ(cpu_check_events(&m->cpu), NEXT_HALT);
	m->cpu.eflags |= EFLAGS_IF;
	CHECK_EQ(cpu_check_events(&m->cpu), NEXT_RUN);
	CHECK_EQ(m->cpu.halted, false);
	CHECK_EQ(m->cpu.eip, handler(0x30));
	machine_free(m);
}

TEST(an_instruction_breakpoint_faults_before_the_instruction_and_rf_gets_past_it)
{
	struct machine *m = machine_new();
	cpu_set_dr(&m->cpu, 1, CODE);
	cpu_set_dr(&m->cpu, 7, 0x8);				/* G1, execute */
	boundary(m);
	CHECK_EQ(m->cpu.eip, handler(EXC_DB));
	CHECK_EQ(top(m, 0), CODE);
	CHECK_EQ(top(m, 2) & EFLAGS_RF, 0);			/* pushed as it was: the handler sets it */
	CHECK_EQ(m->cpu.dr[6] & 0xF, 2);
	poke32(m, m->cpu.gpr[REG_ESP] + 8, EFLAGS_RF | 2);
	CHECK_EQ(do_iret(m, 4, 0, 0), -1);
	boundary(m);
	CHECK_EQ(m->cpu.eip, CODE);
	CHECK(m->cpu.eflags & EFLAGS_RF);
	do_nothing(m, 0, 0, 0);
	boundary(m);
	CHECK_EQ(m->cpu.eip, CODE + 2);
	CHECK_EQ(m->cpu.eflags & EFLAGS_RF, 0);
	machine_free(m);
}

TEST(a_data_breakpoint_traps_after_the_write_and_also_in_the_frame_of_an_exception)
{
	struct machine *m = machine_new();
	cpu_set_dr(&m->cpu, 0, 0x30000);
	cpu_set_dr(&m->cpu, 7, 0x000D0001);			/* L0, write, 4 bytes */
	boundary(m);
	CHECK_EQ(do_write32(m, 0x30002, 5, 0), -1);
	boundary(m);
	CHECK_EQ(m->cpu.eip, handler(EXC_DB));
	CHECK_EQ(m->cpu.dr[6] & 0xF, 1);
	CHECK_EQ(top(m, 0), CODE + 2);
	machine_free(m);
}

TEST(gd_is_cleared_when_db_is_delivered)
{
	struct machine *m = machine_new();
	cpu_set_dr(&m->cpu, 7, DR7_GD);
	do_raise(m, EXC_DB, 0, 0);
	CHECK_EQ(deliver(m), NEXT_RUN);
	CHECK_EQ(m->cpu.dr[7], DR7_FIXED1);
	machine_free(m);
}

TEST(breakpoints_match_by_kind_and_overlap)
{
	struct machine *m = machine_new();
	cpu_set_dr(&m->cpu, 0, 0x1003);
	cpu_set_dr(&m->cpu, 1, 0x60);
	cpu_set_dr(&m->cpu, 7, 0x1 | 0x4 | 0x000F0000 | 0x00200000);	/* 0: access, 4 bytes; 1: I/O */
	CHECK_EQ(cpu_breakpoints_hit(&m->cpu, DR7_ACCESS, 0x1000, 1), 1);	/* aligned down */
	CHECK_EQ(cpu_breakpoints_hit(&m->cpu, DR7_WRITE, 0xFFD, 4), 1);
	CHECK_EQ(cpu_breakpoints_hit(&m->cpu, DR7_WRITE, 0xFFC, 4), 0);
	CHECK_EQ(cpu_breakpoints_hit(&m->cpu, DR7_ACCESS, 0x1004, 4), 0);
	CHECK_EQ(cpu_breakpoints_hit(&m->cpu, DR7_IO, 0x60, 1), 0);		/* needs CR4.DE */
	m->cpu.cr4 |= CR4_DE;
	CHECK_EQ(cpu_breakpoints_hit(&m->cpu, DR7_IO, 0x60, 1), 2);
	machine_free(m);
}
