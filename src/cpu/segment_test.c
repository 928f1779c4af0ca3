/* Segment registers.				[SDM 3, "Protected-Mode Memory Management", "Protection"] */
#include "cpu/machine.h"

TEST(a_descriptor_changed_in_memory_has_no_effect_until_the_register_is_reloaded)
{
	struct machine *m = machine_new();
	CHECK_EQ(do_load(m, SEG_ES, DATA0, 0), -1);
	gdt(m, DATA0, 0x12345, 0xFF, 0x0093);
	CHECK_EQ(m->cpu.seg[SEG_ES].base, 0);
	CHECK_EQ(m->cpu.seg[SEG_ES].limit, 0xFFFFFFFF);
	CHECK_EQ(do_load(m, SEG_ES, DATA0, 0), -1);
	CHECK_EQ(m->cpu.seg[SEG_ES].base, 0x12345);
	CHECK_EQ(m->cpu.seg[SEG_ES].limit, 0xFF);
	machine_free(m);
}

TEST(loading_a_segment_sets_the_accessed_bit_in_the_table)
{
	struct machine *m = machine_new();
	gdt(m, SPARE, 0, 0xFFFF, 0x0092);
	CHECK_EQ(do_load(m, SEG_DS, SPARE, 0), -1);
	CHECK(peek32(m, GDT + SPARE + 4) & 0x100);
	CHECK(m->cpu.seg[SEG_DS].attr & SEG_ACCESSED);
	machine_free(m);
}

TEST(the_accessed_bit_needs_a_writable_page_even_at_cpl_3)
{
	struct machine *m = machine_new();
	machine_paging(m);
	machine_user(m);
	gdt(m, SPARE, 0, 0xFFFF, 0x00F2);
	page(m, GDT, 1);				/* supervisor, read only */
	CHECK_EQ(do_load(m, SEG_DS, SPARE | 3, 0), EXC_PF);
	CHECK_EQ(m->cpu.exc_error, PF_P | PF_W);	/* a supervisor access though CPL is 3 */
	CHECK_EQ(m->cpu.seg[SEG_DS].selector, DATA3);
	gdt(m, SPARE, 0, 0xFFFF, 0x00F3);
	CHECK_EQ(do_load(m, SEG_DS, SPARE | 3, 0), -1);	/* A is set already: no write */
	machine_free(m);
}

TEST(a_null_selector_loads_into_data_registers_and_faults_on_use)
{
	struct machine *m = machine_new();
	CHECK_EQ(do_load(m, SEG_DS, 3, 0), -1);
	CHECK_EQ(m->cpu.seg[SEG_DS].selector, 3);
	CHECK_EQ(do_write32(m, 0x20000, 1, 0), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, 0);
	CHECK_EQ(do_load(m, SEG_SS, 0, 0), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, 0);
	machine_free(m);
}

TEST(a_selector_outside_its_table_is_gp_of_the_selector)
{
	struct machine *m = machine_new();
	CHECK_EQ(do_load(m, SEG_DS, BEYOND | 3, 0), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, BEYOND);
	CHECK_EQ(do_load(m, SEG_DS, 0x0C, 0), EXC_GP);	/* no LDT */
	CHECK_EQ(m->cpu.exc_error, 0x0C);
	m->cpu.gdtr.limit = DATA0 + 6;			/* one byte short */
	CHECK_EQ(do_load(m, SEG_DS, DATA0, 0), EXC_GP);
	m->cpu.gdtr.limit = DATA0 + 7;
	CHECK_EQ(do_load(m, SEG_DS, DATA0, 0), -1);
	machine_free(m);
}

TEST(data_segments_need_dpl_at_least_cpl_and_rpl)
{
	struct machine *m = machine_new();
	CHECK_EQ(do_load(m, SEG_DS, DATA0 | 1, 0), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, DATA0);
	machine_user(m);
	CHECK_EQ(do_load(m, SEG_DS, DATA0, 0), EXC_GP);
	CHECK_EQ(do_load(m, SEG_DS, DATA3, 0), -1);
	CHECK_EQ(do_load(m, SEG_DS, CONFORM | 3, 0), -1);	/* conforming code: readable to all */
	machine_free(m);
}

TEST(not_present_is_np_for_data_and_ss_for_the_stack)
{
	struct machine *m = machine_new();
	gdt(m, SPARE, 0, 0xFFFF, 0x0012);
	CHECK_EQ(do_load(m, SEG_DS, SPARE, 0), EXC_NP);
	CHECK_EQ(m->cpu.exc_error, SPARE);
	CHECK_EQ(do_load(m, SEG_SS, SPARE, 0), EXC_SS);
	CHECK_EQ(m->cpu.exc_error, SPARE);
	machine_free(m);
}

TEST(the_stack_segment_must_be_writable_data_of_cpl)
{
	struct machine *m = machine_new();
	CHECK_EQ(do_load(m, SEG_SS, DATA3, 0), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, DATA3 & 0xFFFC);
	gdt(m, SPARE, 0, 0xFFFF, 0x0090);			/* read only */
	CHECK_EQ(do_load(m, SEG_SS, SPARE, 0), EXC_GP);
	CHECK_EQ(do_load(m, SEG_SS, CODE0, 0), EXC_GP);
	CHECK_EQ(do_load(m, SEG_SS, DATA0, 0), -1);
	machine_free(m);
}

TEST(execute_only_code_cannot_be_loaded_as_data)
{
	struct machine *m = machine_new();
	gdt(m, SPARE, 0, 0xFFFF, 0x0098);
	CHECK_EQ(do_load(m, SEG_DS, SPARE, 0), EXC_GP);
	CHECK_EQ(do_load(m, SEG_DS, TSSA, 0), EXC_GP);
	machine_free(m);
}

TEST(an_expand_down_segment_is_valid_above_its_limit)
{
	struct machine *m = machine_new();
	gdt(m, SPARE, 0x30000, 0x0FFF, 0x0096);			/* B = 0: 1000h to FFFFh */
	CHECK_EQ(do_load(m, SEG_DS, SPARE, 0), -1);
	CHECK_EQ(m->cpu.seg[SEG_DS].write_top, 0);
	CHECK_EQ(do_write32(m, 0x0FFF, 1, 0), EXC_GP);
	CHECK_EQ(do_write32(m, 0x1000, 0x11223344, 0), -1);
	CHECK_EQ(peek32(m, 0x31000), 0x11223344);
	CHECK_EQ(do_write32(m, 0xFFFC, 1, 0), -1);
	CHECK_EQ(do_write32(m, 0xFFFD, 1, 0), EXC_GP);
	machine_free(m);
}

TEST(the_ldt_answers_selectors_with_ti)
{
	struct machine *m = machine_new();
	put_descriptor(m, LDT + 8, 0x40000, 0xFFF, 0x00F2);
	m->cpu.ldtr = (struct segment){ .selector = LDTS, .base = LDT, .limit = 0xFF, .attr = 0x82 };
	CHECK_EQ(do_load(m, SEG_FS, 0x0C, 0), -1);
	CHECK_EQ(m->cpu.seg[SEG_FS].base, 0x40000);
	machine_free(m);
}

TEST(real_mode_loads_keep_the_limit_that_protected_mode_left)	/* "unreal mode" */
{
	struct machine *m = machine_new();
	CHECK_EQ(do_cr0(m, CR0_ET, 0, 0), -1);
	CHECK_EQ(do_load(m, SEG_DS, 0x1234, 0), -1);
	CHECK_EQ(m->cpu.seg[SEG_DS].base, 0x12340);
	CHECK_EQ(m->cpu.seg[SEG_DS].limit, 0xFFFFFFFF);
	CHECK_EQ(m->cpu.seg[SEG_DS].write_top, 0x100000000);
	machine_free(m);
}

TEST(cpl_stays_0_between_setting_pe_and_the_far_jump)
{
	struct machine *m = machine_new();
	CHECK_EQ(do_cr0(m, CR0_ET, 0, 0), -1);
	segment_load_real(&m->cpu, SEG_CS, 0xF003);
	CHECK_EQ(do_cr0(m, CR0_PE | CR0_ET, 0, 0), -1);
	CHECK_EQ(m->cpu.cpl, 0);
	CHECK_EQ(do_jmp(m, CODE0, 0x20000, 4), -1);
	CHECK_EQ(m->cpu.seg[SEG_CS].selector, CODE0);
	CHECK_EQ(m->cpu.cpl, 0);
	machine_free(m);
}
