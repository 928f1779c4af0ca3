/* Virtual-8086 mode and its extensions.			[SDM 3, "8086 Emulation"] */
#include "cpu/machine.h"

TEST(an_interrupt_from_vm86_pushes_the_segments_and_nulls_them)
{
	struct machine *m = machine_new();
	machine_vm86(m, 3);
	idt_gate(m, 0x21, CODE0, 0x61000, 0xEE);
	CHECK_EQ(do_int(m, 0x21, INT_N, 0), -1);
	CHECK_EQ(m->cpu.cpl, 0);
	CHECK_EQ(m->cpu.eflags & EFLAGS_VM, 0);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK0 - 36);
	CHECK_EQ(top(m, 0), 0x102);
	CHECK_EQ(top(m, 1), 0x3010);
	CHECK_EQ(top(m, 2), EFLAGS_VM | EFLAGS_IOPL | 2);
	CHECK_EQ(top(m, 3), 0x1000);
	CHECK_EQ(top(m, 4), 0x3020);				/* SS */
	CHECK_EQ(top(m, 5), 0x3000);				/* ES */
	CHECK_EQ(top(m, 6), 0x3030);				/* DS */
	CHECK_EQ(top(m, 7), 0x3040);				/* FS */
	CHECK_EQ(top(m, 8), 0x3050);				/* GS */
	CHECK_EQ(m->cpu.seg[SEG_DS].selector, 0);
	CHECK_EQ(m->cpu.seg[SEG_GS].attr, 0);
	/* and IRET brings all of it back */
	CHECK_EQ(do_iret(m, 4, 0, 0), -1);
	CHECK_EQ(m->cpu.cpl, 3);
	CHECK(m->cpu.eflags & EFLAGS_VM);
	CHECK_EQ(m->cpu.eip, 0x102);
	CHECK_EQ(m->cpu.gpr[REG_ESP], 0x1000);
	for (unsigned s = 0; s < 6; s++) {
		CHECK_EQ(m->cpu.seg[s].selector, 0x3000 + 0x10 * s);
		CHECK_EQ(m->cpu.seg[s].base, 0x30000 + 0x100 * s);
		CHECK_EQ(m->cpu.seg[s].limit, 0xFFFF);
	}
	machine_free(m);
}

TEST(int_n_in_vm86_below_iopl_3_is_gp_but_int3_is_not)
{
	struct machine *m = machine_new();
	machine_vm86(m, 0);
	idt_gate(m, 0x21, CODE0, 0x61000, 0xEE);
	idt_gate(m, EXC_BP, CODE0, 0x62000, 0xEE);
	CHECK_EQ(do_int(m, 0x21, INT_N, 0), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, 0);
	CHECK_EQ(do_int(m, EXC_BP, INT_3, 0), -1);
	CHECK_EQ(m->cpu.eip, 0x62000);
	machine_free(m);
}

TEST(a_vm86_interrupt_handler_must_be_at_level_0)
{
	struct machine *m = machine_new();
	machine_vm86(m, 3);
	idt_gate(m, 0x21, CODE1, 0x61000, 0xEE);
	CHECK_EQ(do_int(m, 0x21, INT_N, 0), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, CODE1 & 0xFFFC);
	idt_gate(m, 0x21, CONFORM, 0x61000, 0xEE);
	CHECK_EQ(do_int(m, 0x21, INT_N, 0), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, CONFORM);
	machine_free(m);
}

TEST(iret_in_vm86_is_iopl_sensitive_and_cannot_change_iopl)
{
	struct machine *m = machine_new();
	machine_vm86(m, 0);
	CHECK_EQ(do_iret(m, 2, 0, 0), EXC_GP);
	machine_vm86(m, 3);
	poke16(m, 0x30200 + 0x1000, 0x777);
	poke16(m, 0x30200 + 0x1002, 0x3333);
	poke16(m, 0x30200 + 0x1004, EFLAGS_IF | EFLAGS_CF);
	CHECK_EQ(do_iret(m, 2, 0, 0), -1);
	CHECK_EQ(m->cpu.eip, 0x777);
	CHECK_EQ(m->cpu.seg[SEG_CS].base, 0x33330);
	CHECK_EQ(m->cpu.eflags, EFLAGS_VM | EFLAGS_IOPL | EFLAGS_IF | EFLAGS_CF | 2);
	machine_free(m);
}

/* A TSS with redirection and I/O bitmaps at 100h/120h. */
static void vme(struct machine *m)
{
	m->cpu.cr4 |= CR4_VME;
	poke16(m, TSS_A + 0x66, 0x120);
	memset(m->phys.ram + TSS_A + 0x100, 0, 0x20);
	poke32(m, 0x21 * 4, 0x50001234);
}

TEST(vme_sends_a_redirected_int_to_the_8086_programs_own_handler)
{
	struct machine *m = machine_new();
	machine_vm86(m, 0);
	vme(m);
	m->cpu.eflags |= EFLAGS_VIF | EFLAGS_IF;
	CHECK_EQ(do_int(m, 0x21, INT_N, 0), -1);
	CHECK(m->cpu.eflags & EFLAGS_VM);
	CHECK_EQ(m->cpu.seg[SEG_CS].base, 0x50000);
	CHECK_EQ(m->cpu.eip, 0x1234);
	CHECK_EQ(peek16(m, 0x30200 + 0xFFA), 0x102);
	CHECK_EQ(peek16(m, 0x30200 + 0xFFE), EFLAGS_IOPL | EFLAGS_IF | 2);	/* VIF shown as IF, IOPL as 3 */
	CHECK_EQ(m->cpu.eflags & EFLAGS_VIF, 0);
	CHECK(m->cpu.eflags & EFLAGS_IF);			/* the real one stays */
	/* IRET with IF = 1 sets VIF again */
	CHECK_EQ(do_iret(m, 2, 0, 0), -1);
	CHECK(m->cpu.eflags & EFLAGS_VIF);
	CHECK_EQ(cpu_iopl(&m->cpu), 0);
	machine_free(m);
}

TEST(vme_redirection_with_iopl_3_uses_the_real_if)
{
	struct machine *m = machine_new();
	machine_vm86(m, 3);
	vme(m);
	m->cpu.eflags |= EFLAGS_IF;
	CHECK_EQ(do_int(m, 0x21, INT_N, 0), -1);
	CHECK_EQ(m->cpu.eip, 0x1234);
	CHECK_EQ(m->cpu.eflags & EFLAGS_IF, 0);
	machine_free(m);
}

TEST(vme_with_the_bitmap_bit_set_goes_to_the_monitor_or_is_gp)
{
	struct machine *m = machine_new();
	machine_vm86(m, 0);
	vme(m);
	poke8(m, TSS_A + 0x100 + 0x21 / 8, BIT(0x21 % 8));
	idt_gate(m, 0x21, CODE0, 0x61000, 0xEE);
	CHECK_EQ(do_int(m, 0x21, INT_N, 0), EXC_GP);
	m->cpu.eflags |= EFLAGS_IOPL;
	CHECK_EQ(do_int(m, 0x21, INT_N, 0), -1);
	CHECK_EQ(m->cpu.eip, 0x61000);
	CHECK_EQ(m->cpu.cpl, 0);
	machine_free(m);
}

TEST(setting_vif_with_vip_pending_is_gp)
{
	struct machine *m = machine_new();
	machine_vm86(m, 0);
	vme(m);
	m->cpu.eflags |= EFLAGS_VIP;
	poke16(m, 0x30200 + 0x1004, EFLAGS_IF);
	CHECK_EQ(do_iret(m, 2, 0, 0), EXC_GP);
	poke16(m, 0x30200 + 0x1004, 0);
	CHECK_EQ(do_iret(m, 2, 0, 0), -1);
	machine_free(m);
}
