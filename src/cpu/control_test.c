/* Control registers, MSRs, CPUID, I/O permission.		[SDM 3, "Control Registers"; SDM 4] */
#include "cpu/machine.h"
#include "cpu/cpuid.h"

TEST(reset_starts_at_f000_fff0_with_the_base_of_the_top)
{
	struct machine *m = machine_new();
	cpu_reset(&m->cpu);
	CHECK_EQ(m->cpu.seg[SEG_CS].base + m->cpu.eip, 0xFFFFFFF0);
	CHECK_EQ(m->cpu.seg[SEG_CS].selector, 0xF000);
	CHECK_EQ(m->cpu.cr0, 0x60000010);
	CHECK_EQ(m->cpu.eflags, 2);
	CHECK_EQ(m->cpu.dr[6], 0xFFFF0FF0);
	CHECK_EQ(m->cpu.dr[7], 0x400);
	CHECK_EQ(m->cpu.gpr[REG_EDX], CPUID_SIGNATURE);
	CHECK_EQ(cpu_tsc(&m->cpu), 0);
	machine_free(m);
}

TEST(cr0_refuses_paging_without_protection_and_nw_without_cd)
{
	struct machine *m = machine_new();
	CHECK_EQ(do_cr0(m, CR0_PG, 0, 0), EXC_GP);
	CHECK_EQ(do_cr0(m, CR0_PE | CR0_NW, 0, 0), EXC_GP);
	CHECK_EQ(do_cr0(m, 0x1FFAFFC1 & ~0u, 0, 0), -1);		/* reserved bits are ignored, ET stays */
	CHECK_EQ(m->cpu.cr0 & 0x1FFAFFD0, CR0_ET);
	machine_free(m);
}

TEST(cr4_refuses_bits_that_cpuid_does_not_announce)
{
	struct machine *m = machine_new();
	CHECK_EQ(do_cr4(m, CR4_MCE, 0, 0), EXC_GP);
	CHECK_EQ(do_cr4(m, BIT(13), 0, 0), EXC_GP);
	CHECK_EQ(do_cr4(m, CR4_PAE | CR4_PGE | CR4_VME, 0, 0), -1);
	CHECK_EQ(m->cpu.cr4, CR4_PAE | CR4_PGE | CR4_VME);
	machine_free(m);
}

TEST(a_reserved_bit_in_a_pdpte_is_gp_and_cr3_keeps_its_value)
{
	struct machine *m = machine_new();
	CHECK_EQ(do_cr4(m, CR4_PAE, 0, 0), -1);
	poke32(m, 0x15000, 0x16001);				/* good */
	poke32(m, 0x16000, 0x000000E7);				/* 2 MiB page at 0 */
	poke32(m, 0x15020, 0x16003);				/* bit 1 is reserved */
	CHECK_EQ(do_cr3(m, 0x15020, 0, 0), -1);			/* paging is off: nothing is loaded */
	CHECK_EQ(do_cr0(m, m->cpu.cr0 | CR0_PG, 0, 0), EXC_GP);
	CHECK_EQ(m->cpu.cr0 & CR0_PG, 0);
	CHECK_EQ(do_cr3(m, 0x15000, 0, 0), -1);
	CHECK_EQ(do_cr0(m, m->cpu.cr0 | CR0_PG, 0, 0), -1);
	CHECK_EQ(do_cr3(m, 0x15020, 0, 0), EXC_GP);
	CHECK_EQ(m->cpu.cr3, 0x15000);
	CHECK_EQ(m->cpu.pdpte[0], 0x16001);
	machine_free(m);
}

TEST(the_io_bitmap_rules_when_cpl_is_above_iopl)
{
	struct machine *m = machine_new();
	CHECK(cpu_io_allowed(&m->cpu, 0x60, 1));
	machine_user(m);
	CHECK(!cpu_io_allowed(&m->cpu, 0x60, 1));
	poke8(m, TSS_A + 0x200 + 0x60 / 8, 0xFE);
	CHECK(cpu_io_allowed(&m->cpu, 0x60, 1));
	CHECK(!cpu_io_allowed(&m->cpu, 0x60, 2));		/* every byte of the access must be allowed */
	poke8(m, TSS_A + 0x200 + 0x60 / 8, 0x7F);
	CHECK(cpu_io_allowed(&m->cpu, 0x67, 1));
	CHECK(!cpu_io_allowed(&m->cpu, 0x67, 2));		/* spans into the next byte */
	m->cpu.eflags |= EFLAGS_IOPL;
	CHECK(cpu_io_allowed(&m->cpu, 0x3F8, 4));
	m->cpu.eflags |= EFLAGS_VM;
	CHECK(!cpu_io_allowed(&m->cpu, 0x3F8, 4));		/* in vm86 IOPL does not help */
	machine_free(m);
}

TEST(the_io_bitmap_is_read_two_bytes_at_a_time_within_the_tss_limit)
{
	struct machine *m = machine_new();
	machine_user(m);
	memset(m->phys.ram + TSS_A + 0x200, 0, 0x200);
	m->cpu.tr.limit = 0x200 + 0x10;				/* bytes 0..10h: ports 0..7Fh need byte 10h as the second */
	CHECK(cpu_io_allowed(&m->cpu, 0x7F, 1));
	CHECK(!cpu_io_allowed(&m->cpu, 0x80, 1));
	m->cpu.tr.attr = 0x83;					/* a 16-bit TSS has none */
	CHECK(!cpu_io_allowed(&m->cpu, 0, 1));
	machine_free(m);
}

TEST(an_unknown_msr_is_gp)
{
	struct machine *m = machine_new();
	CHECK_EQ(do_rdmsr(m, 0xC0000081, 0, 0), EXC_GP);
	CHECK_EQ(do_wrmsr(m, 0xC0000081, 0, 0), EXC_GP);
	CHECK_EQ(do_rdmsr(m, 0x1B, 0, 0), EXC_GP);		/* no local APIC here */
	CHECK_EQ(do_rdmsr(m, 0x210, 0, 0), EXC_GP);		/* a ninth variable MTRR */
	CHECK_EQ(do_wrmsr(m, 0xFE, 0, 0), EXC_GP);		/* read only */
	machine_free(m);
}

static uint64_t apic_base;
static uint64_t get_apic_base(void *arg) { return apic_base; }
static void set_apic_base(void *arg, uint64_t val) { apic_base = val; }

TEST(a_board_with_a_local_apic_has_its_msr_and_its_cpuid_bit)
{
	struct machine *m = machine_new();
	uint32_t r[4];
	m->bus.apic_base = get_apic_base;
	m->bus.set_apic_base = set_apic_base;
	cpu_cpuid(&m->cpu, 1, 0, r);
	CHECK_EQ(r[3] >> 9 & 1, 1);
	CHECK_EQ(do_wrmsr(m, 0x1B, 0, 0xFEE00900), -1);
	CHECK_EQ(do_rdmsr(m, 0x1B, 0, 0), -1);
	CHECK_EQ(m->cpu.gpr[REG_EAX], 0xFEE00900);
	CHECK_EQ(do_wrmsr(m, 0x1B, 0, 0xFEE00D00), EXC_GP);	/* x2APIC */
	machine_free(m);
}

TEST(mtrrs_and_pat_keep_values_and_refuse_reserved_types)
{
	struct machine *m = machine_new();
	CHECK_EQ(do_wrmsr(m, 0x200, 0, 0xC0000006), -1);
	CHECK_EQ(do_wrmsr(m, 0x201, 0xF, 0xC0000800), -1);
	CHECK_EQ(do_rdmsr(m, 0x201, 0, 0), -1);
	CHECK_EQ(m->cpu.gpr[REG_EAX], 0xC0000800);
	CHECK_EQ(m->cpu.gpr[REG_ECX], 0xF);
	CHECK_EQ(do_wrmsr(m, 0x200, 0, 2), EXC_GP);
	CHECK_EQ(do_wrmsr(m, 0x201, 0x10, 0), EXC_GP);		/* above 36 bits */
	CHECK_EQ(do_wrmsr(m, 0x250, 0x06060606, 0x06060606), -1);
	CHECK_EQ(do_wrmsr(m, 0x250, 0x06060606, 0x07060606), EXC_GP);
	CHECK_EQ(do_wrmsr(m, 0x277, 0x00070406, 0x00070406), -1);
	CHECK_EQ(do_wrmsr(m, 0x277, 0x00070403, 0x00070406), EXC_GP);
	CHECK_EQ(do_wrmsr(m, 0x2FF, 0, 0xC06), -1);
	CHECK_EQ(do_wrmsr(m, 0x2FF, 0, 0x1006), EXC_GP);
	machine_free(m);
}

TEST(the_time_stamp_counter_can_be_written_and_goes_on)
{
	struct machine *m = machine_new();
	m->tsc = 1000;
	CHECK_EQ(do_wrmsr(m, 0x10, 1, 5), -1);
	m->tsc = 1100;
	CHECK_EQ(cpu_tsc(&m->cpu), 0x100000005 + 100);
	machine_free(m);
}

TEST(nx_exists_exactly_when_cpuid_says_so)
{
	struct machine *m = machine_new();
	uint32_t r[4];
	cpu_cpuid(&m->cpu, 0x80000001, 0, r);
	CHECK_EQ(r[3] >> 20 & 1, 1);
	CHECK_EQ(do_wrmsr(m, 0xC0000080, 0, EFER_NXE), -1);
	CHECK_EQ(do_wrmsr(m, 0xC0000080, 0, EFER_NXE | 1), EXC_GP);
	CHECK_EQ(do_wrmsr(m, 0x1A0, 4, 1), -1);			/* XD disable */
	cpu_cpuid(&m->cpu, 0x80000001, 0, r);
	CHECK_EQ(r[3] >> 20 & 1, 0);
	CHECK_EQ(do_wrmsr(m, 0xC0000080, 0, 0), EXC_GP);
	machine_free(m);
}

TEST(cpuid_names_itself)
{
	struct machine *m = machine_new();
	uint32_t r[4];
	char name[49] = { 0 };
	cpu_cpuid(&m->cpu, 0x40000000, 0, r);
	memcpy(name, &r[1], 12);
	CHECK_STR(name, "plex86plex86");
	cpu_cpuid(&m->cpu, 1, 0, r);
	CHECK(r[2] & BIT(31));
	CHECK_EQ(r[3] & BIT(9), 0);				/* no APIC on this board */
	CHECK_EQ(r[3] & (BIT(7) | BIT(14)), 0);			/* no MCE, no MCA */
	for (unsigned i = 0; i < 3; i++)
		cpu_cpuid(&m->cpu, 0x80000002 + i, 0, (uint32_t *)(name + 16 * i));
	CHECK_EQ(strncmp(name, "plex86", 6), 0);
	machine_free(m);
}

TEST(cpuid_leaves_end_at_2_where_they_are_limited)
{
	struct machine *m = machine_new();
	uint32_t r[4], two[4];
	cpu_cpuid(&m->cpu, 0, 0, r);
	CHECK(r[0] > 3);
	CHECK_EQ(do_wrmsr(m, 0x1A0, 0, 1 | BIT(22)), -1);
	cpu_cpuid(&m->cpu, 0, 0, r);
	CHECK_EQ(r[0], 2);
	cpu_cpuid(&m->cpu, 2, 0, two);
	cpu_cpuid(&m->cpu, 7, 0, r);			/* past the end: the highest leaf's data */
	CHECK_EQ(memcmp(r, two, sizeof(r)), 0);
	m->cpu.model.limited = true;			/* -cpu pentium4: from the start */
	cpu_reset(&m->cpu);
	cpu_cpuid(&m->cpu, 0, 0, r);
	CHECK_EQ(r[0], 2);
	machine_free(m);
}

TEST(cpuid_is_that_of_the_model_and_without_what_is_hidden)		/* [SDM 2, "CPUID"] */
{
	struct machine *m = machine_new();
	uint32_t r[4];
	char wrong[64];
	CHECK(cpu_model_parse(&m->cpu.model, "pentium3", wrong));
	cpu_reset(&m->cpu);
	cpu_cpuid(&m->cpu, 1, 0, r);
	CHECK_EQ(r[0], 0x673);
	CHECK_EQ(r[3] & (BIT(25) | BIT(26)), BIT(25));		/* SSE, not SSE2 */
	cpu_cpuid(&m->cpu, 0, 0, r);
	CHECK_EQ(r[0], 2);
	CHECK(cpu_model_parse(&m->cpu.model, "486,-vme,+tsc", wrong));
	cpu_cpuid(&m->cpu, 1, 0, r);
	CHECK_EQ(r[0], 0x480);
	CHECK_EQ(r[3], BIT(0) | BIT(3) | BIT(4));
	cpu_cpuid(&m->cpu, 0x80000000u, 0, r);			/* no such leaves: the highest's data */
	CHECK_EQ(r[0], 0x480);
	CHECK(cpu_model_parse(&m->cpu.model, "qemu32,-nx,sse2=off,+sse,check=off,-x2apic", wrong));
	cpu_cpuid(&m->cpu, 0x80000001u, 0, r);
	CHECK_EQ(r[3] & BIT(20), 0);
	cpu_cpuid(&m->cpu, 1, 0, r);
	CHECK_EQ(r[3] & (BIT(25) | BIT(26)), BIT(25));
	CHECK(!cpu_model_parse(&m->cpu.model, "core2duo", wrong));
	CHECK(!cpu_model_parse(&m->cpu.model, "max,+avx", wrong));
	CHECK_STR(wrong, "+avx");
	machine_free(m);
}

TEST(cpuid_says_how_fast_the_clocks_run)
{
	struct machine *m = machine_new();
	uint32_t r[4];
	cpu_cpuid(&m->cpu, 0x15, 0, r);
	CHECK_EQ(r[0] | r[1] | r[2], 0);		/* this board has not told */
	m->cpu.tsc_hz = 2000000000;
	cpu_cpuid(&m->cpu, 0x15, 0, r);
	CHECK_EQ((uint64_t)r[2] * r[1] / r[0], 2000000000);
	cpu_cpuid(&m->cpu, 0x16, 0, r);
	CHECK_EQ(r[0], 2000);
	machine_free(m);
}

TEST(the_cache_leaves_tell_the_same_sizes)
{
	struct machine *m = machine_new();
	static const uint32_t kib[] = { 32, 32, 2048 };
	uint32_t r[4];
	for (unsigned i = 0; i < 3; i++) {
		cpu_cpuid(&m->cpu, 4, i, r);
		CHECK_EQ(((r[1] >> 22) + 1) * ((r[1] & 0xFFF) + 1) * (r[2] + 1), kib[i] * 1024);
	}
	cpu_cpuid(&m->cpu, 4, 3, r);
	CHECK_EQ(r[0] & 31, 0);				/* no more */
	cpu_cpuid(&m->cpu, 0x80000006, 0, r);
	CHECK_EQ(r[2] >> 16, 2048);
	machine_free(m);
}

TEST(tsc_adjust_and_the_time_stamp_counter_move_together)	/* [SDM 3, "IA32_TSC_ADJUST Register Support"] */
{
	struct machine *m = machine_new();
	m->tsc = 1000;
	cpu_reset(&m->cpu);
	CHECK_EQ(cpu_rdmsr(&m->cpu, 0x3B), 0);
	CHECK_EQ(do_wrmsr(m, 0x10, 0, 500), -1);
	CHECK_EQ(cpu_rdmsr(&m->cpu, 0x3B), 500);
	CHECK_EQ(do_wrmsr(m, 0x3B, 0, 0), -1);
	CHECK_EQ(cpu_tsc(&m->cpu), 0);
	machine_free(m);
}

TEST(the_a20_gate_masks_physical_addresses)
{
	struct machine *m = machine_new();
	cpu_set_a20(&m->cpu, false);
	CHECK_EQ(do_write32(m, 0x100000, 0x1234, 0), -1);
	CHECK_EQ(peek32(m, 0), 0x1234);
	cpu_set_a20(&m->cpu, true);
	CHECK_EQ(do_write32(m, 0x100000, 0x5678, 0), -1);
	CHECK_EQ(peek32(m, 0), 0x1234);
	CHECK_EQ(peek32(m, 0x100000), 0x5678);
	machine_free(m);
}
