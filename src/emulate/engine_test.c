/* Blocks, the run loop and REP strings, on the tiny machine. */
#include "tests/test.h"

#include "tests/machine.h"

#define EAX(m) ((m)->cpu.gpr[REG_EAX])

static struct machine *protected32(void)
{
	struct machine *m = machine_new(4 << 20);

	machine_protected32(m);
	return m;
}

/* Ring-0 paging with linear = physical in the first 4 MiB; the table is at 3000h. */
static void page(struct machine *m)
{
	for (uint32_t i = 0; i < 1024; i++)
		phys_write_n(&m->phys, 0x3000 + i * 4, 4, i << 12 | 3);
	phys_write_n(&m->phys, 0x2000, 4, 0x3003);
	m->cpu.cr3 = 0x2000;
	m->cpu.cr0 |= CR0_PG | CR0_WP;
	mmu_flush(&m->cpu, true);
}

/* Another entry for a linear page of page()'s. */
static void map(struct machine *m, uint32_t lin, uint32_t entry)
{
	phys_write_n(&m->phys, 0x3000 + (lin >> 12) * 4, 4, entry);
	mmu_flush(&m->cpu, true);
}

/* From a halt, or from the beginning, on at eip. */
static enum next run_at(struct machine *m, uint32_t eip)
{
	m->cpu.eip = eip;
	m->cpu.halted = false;
	return machine_run(m, 100);
}

/* Every exception v ends at 4000h + v * 16, which is HLT. */
static void handlers(struct machine *m)
{
	for (uint32_t v = 0; v < 32; v++) {
		phys_write_n(&m->phys, 0x5000 + v * 8, 4, (0x4000 + v * 16) | 8 << 16);
		phys_write_n(&m->phys, 0x5004 + v * 8, 4, 0x8E00);
		phys_write_n(&m->phys, 0x4000 + v * 16, 1, 0xF4);
	}
	phys_write_n(&m->phys, 0x6008, 4, 0x0000FFFF);		/* GDT: flat code, flat data */
	phys_write_n(&m->phys, 0x600C, 4, 0x00CF9B00);
	phys_write_n(&m->phys, 0x6010, 4, 0x0000FFFF);
	phys_write_n(&m->phys, 0x6014, 4, 0x00CF9300);
	m->cpu.idtr = (struct table_register){ 0x5000, 255 };
	m->cpu.gdtr = (struct table_register){ 0x6000, 23 };
}

/* The vector whose handler halted, or -1. */
static int halted_in(struct machine *m)
{
	return m->cpu.eip > 0x4000 && m->cpu.eip < 0x4200 ? (int)(m->cpu.eip - 0x4001) / 16 : -1;
}

TEST(a_program_runs_until_it_halts)
{
	struct machine *m = protected32();

	machine_code(m, 0x1000, 0xB8, 5, 0, 0, 0, 0x40, 0x40, 0xF4);	/* mov eax, 5; inc eax; inc eax; hlt */
	CHECK_EQ(machine_run(m, 100), NEXT_HALT);
	CHECK_EQ(EAX(m), 7);
	CHECK_EQ(m->cpu.icount, 4);
	CHECK_EQ(m->cpu.eip, 0x1008);
	machine_free(m);
}

TEST(the_budget_is_met_to_the_instruction_in_the_middle_of_a_block)
{
	struct machine *m = protected32();

	machine_code(m, 0x1000, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0xF4);
	for (uint32_t n = 1; n <= 7; n++) {
		machine_protected32(m);
		EAX(m) = 0;
		CHECK_EQ(machine_run(m, n), NEXT_ATTENTION);
		CHECK_EQ(m->cpu.icount, n);
		CHECK_EQ(EAX(m), n);
		CHECK_EQ(m->cpu.eip, 0x1000 + n);
	}
	machine_free(m);
}

TEST(a_store_into_the_running_block_takes_effect_at_the_next_instruction)	/* [SDM 3, "Handling Self- and Cross-Modifying Code"] */
{
	struct machine *m = protected32();

	/* mov byte [1007h], 48h; inc eax -> dec eax; hlt */
	machine_code(m, 0x1000, 0xC6, 0x05, 0x07, 0x10, 0, 0, 0x48, 0x40, 0xF4);
	EAX(m) = 10;
	CHECK_EQ(machine_run(m, 100), NEXT_HALT);
	CHECK_EQ(EAX(m), 9);
	CHECK_EQ(m->cpu.icount, 3);
	machine_free(m);
}

TEST(a_changed_block_is_decoded_again)
{
	struct machine *m = protected32();

	/* call 1100h; mov byte [1100h], 48h (inc -> dec); call 1100h; hlt */
	machine_code(m, 0x1000, 0xE8, 0xFB, 0, 0, 0, 0xC6, 0x05, 0x00, 0x11, 0, 0, 0x48, 0xE8, 0xEF, 0, 0, 0, 0xF4);
	machine_code(m, 0x1100, 0x40, 0xC3);
	EAX(m) = 10;
	CHECK_EQ(machine_run(m, 100), NEXT_HALT);
	CHECK_EQ(EAX(m), 10);
	machine_free(m);
}

TEST(a_device_write_into_a_block_is_seen)
{
	struct machine *m = protected32();

	machine_code(m, 0x1000, 0x40, 0xF4);
	machine_run(m, 100);
	CHECK_EQ(EAX(m), 1);
	machine_code(m, 0x1000, 0x48, 0xF4);
	run_at(m, 0x1000);
	CHECK_EQ(EAX(m), 0);
	machine_free(m);
}

TEST(stores_beside_the_code_of_a_page_drop_nothing_and_a_page_without_blocks_is_plain_again)
{
	struct machine *m = protected32();

	/* mov [1800h], eax; jmp $+2; mov [1800h], eax; hlt */
	machine_code(m, 0x1000, 0xA3, 0x00, 0x18, 0, 0, 0xEB, 0, 0xA3, 0x00, 0x18, 0, 0, 0xF4);
	machine_run(m, 100);
	CHECK(m->phys.page_flags[1] & PAGE_CODE);
	CHECK_EQ(m->code_writes, 2);
	machine_code(m, 0x1000, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xF4);
	CHECK(!(m->phys.page_flags[1] & PAGE_CODE));
	machine_free(m);
}

TEST(an_instruction_across_a_page_border_is_dropped_when_either_page_changes)
{
	struct machine *m = protected32();

	machine_code(m, 0x1FFD, 0xB8, 1, 2, 3, 4, 0xF4);	/* mov eax, 04030201h: three bytes here, two there */
	CHECK_EQ(run_at(m, 0x1FFD), NEXT_HALT);
	CHECK_EQ(EAX(m), 0x04030201);
	machine_code(m, 0x2000, 9);
	run_at(m, 0x1FFD);
	CHECK_EQ(EAX(m), 0x04090201);
	machine_code(m, 0x1FFE, 7);
	run_at(m, 0x1FFD);
	CHECK_EQ(EAX(m), 0x04090207);
	machine_free(m);
}

TEST(an_instruction_across_a_page_border_follows_the_mapping_of_its_second_page)
{
	struct machine *m = protected32();

	page(m);
	machine_code(m, 0x11FFD, 0xB8, 1, 2);
	machine_code(m, 0x12000, 3, 4, 0xF4);
	machine_code(m, 0x22000, 5, 6, 0xF4);
	run_at(m, 0x11FFD);
	CHECK_EQ(EAX(m), 0x04030201);
	map(m, 0x12000, 0x22003);
	run_at(m, 0x11FFD);
	CHECK_EQ(EAX(m), 0x06050201);
	machine_free(m);
}

TEST(a_block_serves_two_mappings_of_its_page_and_a_remapped_address_finds_the_other_code)
{
	struct machine *m = protected32();

	page(m);
	machine_code(m, 0x11000, 0x40, 0xF4);
	machine_code(m, 0x12000, 0x48, 0x48, 0xF4);
	run_at(m, 0x11000);
	CHECK_EQ(EAX(m), 1);
	map(m, 0x11000, 0x12003);
	run_at(m, 0x11000);
	CHECK_EQ(EAX(m), (uint32_t)-1);
	machine_free(m);
}

TEST(the_fetch_of_a_second_page_that_is_absent_faults_there)
{
	struct machine *m = protected32();

	handlers(m);
	page(m);
	map(m, 0x12000, 0);
	machine_code(m, 0x11FFE, 0x40, 0xB8);
	run_at(m, 0x11FFE);
	CHECK_EQ(halted_in(m), EXC_PF);
	CHECK_EQ(m->cpu.cr2, 0x12000);
	CHECK_EQ(EAX(m), 1);
	CHECK_EQ(machine_read32(m, m->cpu.gpr[REG_ESP] + 4), 0x11FFF);
	machine_free(m);
}

TEST(bytes_past_the_limit_of_cs_are_gp_and_those_before_run)	/* [SDM 3, "Limit Checking"] */
{
	struct machine *m = protected32();

	handlers(m);
	machine_code(m, 0x1000, 0x40, 0x40, 0xB8, 1, 2, 3, 4);
	machine_segment(m, SEG_CS, 8, 0, 0x1005, 0x409B);	/* the last byte of mov is past it */
	CHECK_EQ(machine_run(m, 100), NEXT_HALT);
	CHECK_EQ(halted_in(m), EXC_GP);
	CHECK_EQ(EAX(m), 2);
	CHECK_EQ(machine_read32(m, m->cpu.gpr[REG_ESP] + 4), 0x1002);
	machine_free(m);
}

TEST(sixteen_bytes_of_instruction_are_gp_and_fifteen_are_not)
{
	struct machine *m = protected32();

	handlers(m);
	machine_code(m, 0x1000, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x40, 0xF4);
	machine_run(m, 100);
	CHECK_EQ(EAX(m), 1);
	machine_protected32(m);
	m->cpu.halted = false;
	machine_code(m, 0x1000, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x26, 0x40, 0xF4);
	machine_run(m, 100);
	CHECK_EQ(halted_in(m), EXC_GP);
	machine_free(m);
}

TEST(an_undefined_opcode_is_ud_with_eip_at_it)
{
	struct machine *m = protected32();

	handlers(m);
	machine_code(m, 0x1000, 0x40, 0x0F, 0x04);
	machine_run(m, 100);
	CHECK_EQ(halted_in(m), EXC_UD);
	CHECK_EQ(machine_read32(m, m->cpu.gpr[REG_ESP]), 0x1001);
	machine_free(m);
}

TEST(a_fault_counts_one_in_icount)
{
	struct machine *m = protected32();

	handlers(m);
	machine_code(m, 0x1000, 0x40, 0xF7, 0xF1);		/* inc eax; div ecx (0) */
	machine_run(m, 100);
	CHECK_EQ(halted_in(m), EXC_DE);
	CHECK_EQ(m->cpu.icount, 3);				/* inc, div, the handler's hlt */
	machine_free(m);
}

TEST(single_stepping_traps_after_each_instruction)	/* [SDM 3, "Single-Step Exception Condition"] */
{
	struct machine *m = protected32();

	handlers(m);
	machine_code(m, 0x1000, 0x40, 0x40, 0xF4);
	m->cpu.eflags |= EFLAGS_TF;
	m->cpu.attention = ATTN_EVENT;
	machine_run(m, 100);
	CHECK_EQ(halted_in(m), EXC_DB);
	CHECK_EQ(EAX(m), 1);
	CHECK_EQ(machine_read32(m, m->cpu.gpr[REG_ESP]), 0x1001);
	CHECK(m->cpu.dr[6] & DR6_BS);
	machine_free(m);
}

TEST(an_instruction_breakpoint_faults_before_it_and_rf_lets_it_pass)
{
	struct machine *m = protected32();

	handlers(m);
	machine_code(m, 0x1000, 0x40, 0x40, 0xF4);
	machine_code(m, 0x4010, 0x81, 0x4C, 0x24, 0x08, 0, 0, 1, 0, 0xCF);	/* #DB: or dword [esp+8], RF; iret */
	cpu_set_dr(&m->cpu, 0, 0x1001);
	cpu_set_dr(&m->cpu, 7, 1);
	CHECK_EQ(machine_run(m, 100), NEXT_HALT);
	CHECK_EQ(EAX(m), 2);
	CHECK_EQ(m->cpu.icount, 5);				/* inc, (or, iret), inc, hlt */
	CHECK(m->cpu.dr[6] & 1);
	machine_free(m);
}

TEST(an_interrupt_waits_for_the_instruction_after_sti)	/* [SDM 2, "STI"] */
{
	struct machine *m = protected32();

	handlers(m);
	phys_write_n(&m->phys, 0x5000 + 0x20 * 8, 4, 0x4200 | 8 << 16);
	phys_write_n(&m->phys, 0x5004 + 0x20 * 8, 4, 0x8E00);
	m->cpu.idtr.limit = 0x21 * 8 - 1;
	phys_write_n(&m->phys, 0x4200, 1, 0xF4);
	machine_code(m, 0x1000, 0x40, 0xFB, 0x40, 0x40, 0x40);	/* inc; sti; inc; inc; inc */
	m->cpu.intr_line = true;
	m->cpu.attention = ATTN_EVENT;
	machine_run(m, 100);
	CHECK_EQ(m->cpu.eip, 0x4201);
	CHECK_EQ(EAX(m), 2);
	machine_free(m);
}

/* --- REP strings --- */

/* rep movs of n elements at 1000h, ESI and EDI as given; then hlt. */
static void rep_movs(struct machine *m, uint8_t op, uint32_t esi, uint32_t edi, uint32_t n, bool down)
{
	machine_protected32(m);
	machine_code(m, 0x1000, 0xF3, op, 0xF4);
	m->cpu.halted = false;
	m->cpu.gpr[REG_ESI] = esi;
	m->cpu.gpr[REG_EDI] = edi;
	m->cpu.gpr[REG_ECX] = n;
	m->cpu.eflags = EFLAGS_FIXED1 | (down ? EFLAGS_DF : 0);
}

TEST(rep_movs_copies_as_single_moves_would_at_every_overlap_and_direction)
{
	static const uint8_t ops[3] = { 0xA4, 0xA5, 0xA5 };
	struct machine *m = protected32();
	uint8_t want[512];

	for (int distance = -40; distance <= 40; distance++) {
		for (unsigned size = 1; size <= 4; size += 3) {
			for (int down = 0; down < 2; down++) {
				uint32_t n = 30, src = 0x20100, dst = (uint32_t)((int)src + distance);
				uint8_t *ram = m->phys.ram + 0x20000;
				for (unsigned i = 0; i < sizeof(want); i++)
					ram[i] = want[i] = (uint8_t)(i * 7 + 1);
				for (uint32_t i = 0; i < n; i++) {
					uint8_t t[4];
					int off = (down ? -(int)(i * size) : (int)(i * size));
					memcpy(t, want + 0x100 + off, size);
					memcpy(want + 0x100 + distance + off, t, size);
				}
				rep_movs(m, ops[size / 2], src, dst, n, down);
				CHECK_EQ(machine_run(m, 1000), NEXT_HALT);
				assert_memory_equal(ram, want, sizeof(want));
				CHECK_EQ(m->cpu.gpr[REG_ECX], 0);
				CHECK_EQ(m->cpu.gpr[REG_ESI], src + (down ? -n * size : n * size));
				CHECK_EQ(m->cpu.icount, n + 1);
			}
		}
	}
	machine_free(m);
}

TEST(rep_movs_that_faults_at_a_page_leaves_its_registers_exact)
{
	struct machine *m = protected32();

	handlers(m);
	rep_movs(m, 0xA5, 0x30002, 0x21002, 2000, false);	/* the 1024th dword crosses into the absent page */
	page(m);
	map(m, 0x22000, 0);
	machine_run(m, 5000);
	CHECK_EQ(halted_in(m), EXC_PF);
	CHECK_EQ(m->cpu.cr2, 0x22000);
	CHECK_EQ(m->cpu.gpr[REG_ECX], 2000 - 1023);
	CHECK_EQ(m->cpu.gpr[REG_ESI], 0x30002 + 1023 * 4);
	CHECK_EQ(m->cpu.gpr[REG_EDI], 0x21002 + 1023 * 4);
	CHECK_EQ(m->cpu.icount, 1023 + 1 + 1);
	machine_free(m);
}

TEST(the_budget_stops_rep_in_the_middle_and_it_goes_on_from_there)
{
	struct machine *m = protected32();

	memset(m->phys.ram + 0x20000, 0x5A, 0x1000);
	rep_movs(m, 0xA4, 0x20000, 0x30000, 1000, false);
	CHECK_EQ(machine_run(m, 300), NEXT_ATTENTION);
	CHECK_EQ(m->cpu.icount, 300);
	CHECK_EQ(m->cpu.gpr[REG_ECX], 700);
	CHECK_EQ(m->cpu.eip, 0x1000);
	CHECK(m->cpu.eflags & EFLAGS_RF);
	CHECK_EQ(machine_run(m, 10000), NEXT_HALT);
	CHECK_EQ(m->cpu.icount, 701);
	CHECK(!(m->cpu.eflags & EFLAGS_RF));
	assert_memory_equal(m->phys.ram + 0x30000, m->phys.ram + 0x20000, 1000);
	machine_free(m);
}

TEST(rep_with_16_bit_addresses_wraps_at_64_kib)
{
	struct machine *m = machine_new(4 << 20);

	machine_real(m);
	machine_segment(m, SEG_ES, 0x2000, 0x20000, 0xFFFF, 0x93);
	machine_code(m, 0x1000, 0xF3, 0xAA, 0xF4);		/* rep stosb; hlt */
	m->cpu.gpr[REG_EAX] = 0x77;
	m->cpu.gpr[REG_EDI] = 0xABCDFFF0;
	m->cpu.gpr[REG_ECX] = 0x12340020;
	CHECK_EQ(machine_run(m, 1000), NEXT_HALT);
	CHECK_EQ(m->phys.ram[0x2FFFF], 0x77);
	CHECK_EQ(m->phys.ram[0x30000], 0);
	CHECK_EQ(m->phys.ram[0x2000F], 0x77);
	CHECK_EQ(m->phys.ram[0x20010], 0);
	CHECK_EQ(m->cpu.gpr[REG_EDI], 0xABCD0010);
	CHECK_EQ(m->cpu.gpr[REG_ECX], 0x12340000);
	machine_free(m);
}

TEST(rep_stos_over_its_own_page_drops_the_blocks_there)
{
	struct machine *m = protected32();

	machine_code(m, 0x1000, 0xF3, 0xAA, 0xF4);		/* rep stosb; hlt: the hlt is overwritten by inc eax */
	machine_code(m, 0x1100, 0xF4);
	m->cpu.gpr[REG_EAX] = 0x40;
	m->cpu.gpr[REG_EDI] = 0x1002;
	m->cpu.gpr[REG_ECX] = 0xFE;
	CHECK_EQ(machine_run(m, 10000), NEXT_HALT);
	CHECK_EQ(EAX(m), 0x40 + 0xFE);
	CHECK_EQ(m->cpu.eip, 0x1101);
	machine_free(m);
}

TEST(ins_checks_its_destination_before_it_reads_the_port)
{
	struct machine *m = protected32();

	handlers(m);
	machine_code(m, 0x1000, 0x6C, 0xF4);			/* insb */
	machine_segment(m, SEG_ES, 16, 0, 0xFFF, 0x4093);
	m->cpu.gpr[REG_EDI] = 0x1000;
	machine_run(m, 100);
	CHECK_EQ(halted_in(m), EXC_GP);
	CHECK_EQ(m->io_reads, 0);
	machine_free(m);
}

TEST(repne_scas_stops_at_the_first_match_with_its_flags)
{
	struct machine *m = protected32();

	memset(m->phys.ram + 0x20000, 1, 0x3000);
	m->phys.ram[0x21234] = 0;
	machine_code(m, 0x1000, 0xF2, 0xAE, 0xF4);
	m->cpu.gpr[REG_EDI] = 0x20000;
	m->cpu.gpr[REG_ECX] = 0xFFFFFFFF;
	m->cpu.gpr[REG_EAX] = 0;
	CHECK_EQ(machine_run(m, 100000), NEXT_HALT);
	CHECK_EQ(m->cpu.gpr[REG_EDI], 0x21235);
	CHECK_EQ(~m->cpu.gpr[REG_ECX], 0x1235);
	CHECK_EQ(m->cpu.eflags & EFLAGS_ARITH, EFLAGS_ZF | EFLAGS_PF);
	machine_free(m);
}

TEST(a_flush_asked_for_by_an_instruction_waits_for_its_end)
{
	struct machine *m = protected32();

	machine_code(m, 0x1000, 0x40, 0x40, 0xF4);
	machine_run(m, 1);
	emulate_flush(&m->cpu);
	m->cpu.icount_stop = 100;
	CHECK_EQ(emulate_run(&m->cpu), NEXT_HALT);
	CHECK_EQ(EAX(m), 2);
	machine_free(m);
}

TEST(emulate_step_carries_out_one_instruction_and_delivers_its_fault)
{
	struct machine *m = protected32();

	handlers(m);
	machine_code(m, 0x1000, 0x40, 0x0F, 0x0B);
	m->cpu.icount_stop = ~0ull;
	CHECK_EQ(emulate_step(&m->cpu), NEXT_RUN);
	CHECK_EQ(m->cpu.eip, 0x1001);
	CHECK_EQ(emulate_step(&m->cpu), NEXT_RUN);
	CHECK_EQ(m->cpu.eip, 0x4000 + EXC_UD * 16);
	machine_free(m);
}

TEST(more_blocks_than_the_cache_holds_still_run)
{
	struct machine *m = machine_new(64 << 20);

	machine_protected32(m);
	/* jmp to the next line of 16 bytes, 40000h times: more ops than the arena has room for */
	for (uint32_t at = 0x100000; at < 0x500000; at += 16)
		machine_code(m, at, 0x40, 0xEB, 0x0D);
	machine_code(m, 0x500000, 0xF4);
	for (int pass = 0; pass < 2; pass++) {
		m->cpu.eip = 0x100000;
		m->cpu.halted = false;
		CHECK_EQ(machine_run(m, 10000000), NEXT_HALT);
	}
	CHECK_EQ(EAX(m), 2 * 0x40000);
	machine_free(m);
}
