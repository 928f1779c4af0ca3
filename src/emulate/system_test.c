/* The system instructions, from their bytes.		[SDM 2, "Instruction Set Reference"; SDM 3, "Protection", "8086 Emulation"] */
#include "cpu/machine.h"
#include "emulate/handlers.h"

struct code {
	const char *bytes;
	unsigned len;
};

static void carry_out(struct vcpu *cpu, void *arg)
{
	const struct code *c = arg;
	struct insn in;

	cpu->insn_eip = cpu->eip;
	CHECK_EQ(decode_insn(&in, (const uint8_t *)c->bytes, c->len, cpu->seg[SEG_CS].attr & SEG_DB), DECODE_OK);
	CHECK_EQ(in.len, c->len);
	cpu->eip += in.len;
	emulate_handler(&in)(cpu, &in);
}

/* One instruction: -1, or the exception it raised. */
#define RUN(m, s) run(m, &(struct code){ s, sizeof(s) - 1 })
static int run(struct machine *m, struct code *c)
{
	if (cpu_try(&m->cpu, carry_out, c))
		return m->cpu.exc_vector;
	m->cpu.icount++;
	return -1;
}

#define EAX m->cpu.gpr[REG_EAX]

TEST(privileged_instructions_are_gp_0_at_cpl_3)
{
	static const struct code c[] = {
		{ "\x0F\x20\xC0", 3 }, { "\x0F\x22\xC0", 3 }, { "\x0F\x22\xE0", 3 },	/* MOV CR */
		{ "\x0F\x21\xC0", 3 }, { "\x0F\x23\xF8", 3 },				/* MOV DR */
		{ "\x0F\x01\x15\x00\x00\x02\x00", 7 }, { "\x0F\x01\x1D\x00\x00\x02\x00", 7 },	/* LGDT, LIDT */
		{ "\x0F\x00\xD0", 3 }, { "\x0F\x00\xD8", 3 }, { "\x0F\x01\xF0", 3 },	/* LLDT, LTR, LMSW */
		{ "\x0F\x06", 2 }, { "\x0F\x01\x38", 3 }, { "\x0F\x08", 2 }, { "\x0F\x09", 2 },
		{ "\x0F\x32", 2 }, { "\x0F\x30", 2 }, { "\x0F\x33", 2 }, { "\xF4", 1 },
		{ "\xFA", 1 }, { "\xFB", 1 }, { "\xE4\x60", 2 }, { "\xEE", 1 }, { "\x0F\x35", 2 },
	};
	struct machine *m = machine_new();
	machine_user(m);
	for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
		struct code one = c[i];
		m->cpu.exc_error = 1;
		CHECK_EQ(run(m, &one), EXC_GP);
		CHECK_EQ(m->cpu.exc_error, 0);
		CHECK_EQ(m->cpu.eip, CODE);
	}
	machine_free(m);
}

TEST(real_and_vm86_mode_do_not_know_the_descriptor_instructions)
{
	static const struct code c[] = {
		{ "\x0F\x00\xC0", 3 }, { "\x0F\x00\xC8", 3 }, { "\x0F\x00\xD0", 3 }, { "\x0F\x00\xD8", 3 },	/* SLDT STR LLDT LTR */
		{ "\x0F\x00\xE0", 3 }, { "\x0F\x00\xE8", 3 }, { "\x63\xC0", 2 },		/* VERR VERW ARPL */
		{ "\x0F\x02\xC0", 3 }, { "\x0F\x03\xC0", 3 },					/* LAR LSL */
	};
	struct machine *m = machine_new();
	for (unsigned mode = 0; mode < 2; mode++) {
		if (mode == 0)
			m->cpu.cr0 &= ~CR0_PE;
		else
			machine_vm86(m, 3);
		for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
			struct code one = c[i];
			CHECK_EQ(run(m, &one), EXC_UD);
		}
		m->cpu.cr0 |= CR0_PE;
	}
	machine_free(m);
}

TEST(control_registers_that_do_not_exist_are_ud)
{
	struct machine *m = machine_new();
	CHECK_EQ(RUN(m, "\x0F\x22\xD0"), -1);				/* CR2 */
	CHECK_EQ(RUN(m, "\x0F\x20\xE0"), -1);				/* CR4 */
	struct insn in;
	CHECK(decode_insn(&in, (const uint8_t *)"\x0F\x22\xC8", 3, true) == DECODE_UD || RUN(m, "\x0F\x22\xC8") == EXC_UD);
	CHECK(decode_insn(&in, (const uint8_t *)"\x0F\x22\xE8", 3, true) == DECODE_UD || RUN(m, "\x0F\x22\xE8") == EXC_UD);
	machine_free(m);
}

TEST(lmsw_sets_pe_but_cannot_clear_it)
{
	struct machine *m = machine_new();
	EAX = 0xFFFE;
	CHECK_EQ(RUN(m, "\x0F\x01\xF0"), -1);
	CHECK_EQ(m->cpu.cr0 & 0xF, 0xF);
	EAX = 0;
	CHECK_EQ(RUN(m, "\x0F\x01\xF0"), -1);
	CHECK_EQ(m->cpu.cr0, CR0_PE | CR0_ET);
	machine_free(m);
}

TEST(smsw_works_at_cpl_3_and_shows_the_guests_cr0)
{
	struct machine *m = machine_new();
	m->cpu.cr0 |= CR0_TS | CR0_NE;
	machine_user(m);
	EAX = 0x12345678;
	CHECK_EQ(RUN(m, "\x66\x0F\x01\xE0"), -1);
	CHECK_EQ(EAX, 0x12340000 | (m->cpu.cr0 & 0xFFFF));
	CHECK_EQ(RUN(m, "\x0F\x01\xE0"), -1);
	CHECK_EQ(EAX, m->cpu.cr0);
	machine_free(m);
}

TEST(lgdt_with_a_16_bit_operand_loads_24_bits_of_base)
{
	struct machine *m = machine_new();
	poke16(m, 0x30000, 0x1FF);
	poke32(m, 0x30002, 0xAB123456);
	CHECK_EQ(RUN(m, "\x0F\x01\x15\x00\x00\x03\x00"), -1);
	CHECK_EQ(m->cpu.gdtr.base, 0xAB123456);
	CHECK_EQ(RUN(m, "\x66\x0F\x01\x15\x00\x00\x03\x00"), -1);
	CHECK_EQ(m->cpu.gdtr.base, 0x123456);
	CHECK_EQ(m->cpu.gdtr.limit, 0x1FF);
	m->cpu.gdtr.base = 0xCD000000;
	CHECK_EQ(RUN(m, "\x0F\x01\x05\x10\x00\x03\x00"), -1);		/* SGDT */
	CHECK_EQ(peek16(m, 0x30010), 0x1FF);
	CHECK_EQ(peek32(m, 0x30012), 0xCD000000);
	machine_free(m);
}

TEST(sgdt_writes_all_six_bytes_or_none)
{
	struct machine *m = machine_new();
	machine_paging(m);
	page(m, 0x31000, 0);
	poke32(m, 0x30FFC, 0x55555555);
	CHECK_EQ(RUN(m, "\x0F\x01\x05\xFC\x0F\x03\x00"), EXC_PF);
	CHECK_EQ(peek32(m, 0x30FFC), 0x55555555);
	machine_free(m);
}

TEST(ltr_makes_the_tss_busy_and_refuses_a_busy_one)
{
	struct machine *m = machine_new();
	EAX = TSSB;
	CHECK_EQ(RUN(m, "\x0F\x00\xD8"), -1);
	CHECK_EQ(m->cpu.tr.base, TSS_B);
	CHECK_EQ(m->cpu.tr.attr & 0xF, TYPE_TSS32_BUSY);
	CHECK_EQ(peek32(m, GDT + TSSB + 4) >> 8 & 0xF, TYPE_TSS32_BUSY);
	CHECK_EQ(RUN(m, "\x0F\x00\xD8"), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, TSSB);
	EAX = 0;
	CHECK_EQ(RUN(m, "\x0F\x00\xD8"), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, 0);
	machine_free(m);
}

TEST(lldt_takes_null_and_only_ldts)
{
	struct machine *m = machine_new();
	EAX = LDTS;
	CHECK_EQ(RUN(m, "\x0F\x00\xD0"), -1);
	CHECK_EQ(m->cpu.ldtr.base, LDT);
	EAX = DATA0;
	CHECK_EQ(RUN(m, "\x0F\x00\xD0"), EXC_GP);
	EAX = 0;
	CHECK_EQ(RUN(m, "\x0F\x00\xD0"), -1);
	CHECK_EQ(do_load(m, SEG_ES, 4, 0), EXC_GP);
	gdt(m, LDTS, LDT, 0xFF, 0x02);
	EAX = LDTS;
	CHECK_EQ(RUN(m, "\x0F\x00\xD0"), EXC_NP);
	machine_free(m);
}

TEST(lar_and_lsl_answer_by_zf_and_never_fault_on_a_selector)
{
	struct machine *m = machine_new();
	m->cpu.gpr[REG_ECX] = DATA0;
	CHECK_EQ(RUN(m, "\x0F\x02\xC1"), -1);				/* LAR EAX, ECX */
	CHECK(m->cpu.eflags & EFLAGS_ZF);
	CHECK_EQ(EAX, 0x00CF9200);
	CHECK_EQ(RUN(m, "\x0F\x03\xC1"), -1);				/* LSL */
	CHECK_EQ(EAX, 0xFFFFFFFF);
	static const uint16_t no[] = { 0, BEYOND, SPARE, 0xC };
	for (unsigned i = 0; i < ARRAY_LEN(no); i++) {
		m->cpu.gpr[REG_ECX] = no[i];
		EAX = 0x77;
		CHECK_EQ(RUN(m, "\x0F\x02\xC1"), -1);
		CHECK_EQ(m->cpu.eflags & EFLAGS_ZF, 0);
		CHECK_EQ(EAX, 0x77);
	}
	put_gate(m, GDT + GATE, CODE0, 0x55000, 0xEC, 0);
	m->cpu.gpr[REG_ECX] = GATE;
	CHECK_EQ(RUN(m, "\x0F\x02\xC1"), -1);				/* a call gate has rights ... */
	CHECK(m->cpu.eflags & EFLAGS_ZF);
	CHECK_EQ(RUN(m, "\x0F\x03\xC1"), -1);				/* ... but no limit */
	CHECK_EQ(m->cpu.eflags & EFLAGS_ZF, 0);
	machine_user(m);
	m->cpu.gpr[REG_ECX] = DATA0;
	CHECK_EQ(RUN(m, "\x0F\x02\xC1"), -1);				/* not visible at CPL 3 */
	CHECK_EQ(m->cpu.eflags & EFLAGS_ZF, 0);
	m->cpu.gpr[REG_ECX] = CONFORM | 3;
	CHECK_EQ(RUN(m, "\x0F\x02\xC1"), -1);
	CHECK(m->cpu.eflags & EFLAGS_ZF);
	machine_free(m);
}

TEST(verr_and_verw_ask_for_reading_and_writing)
{
	struct machine *m = machine_new();
	static const struct { uint16_t sel; bool r, w; } c[] = {
		{ DATA0, true, true }, { CODE0, true, false }, { TSSA, false, false }, { 0, false, false },
	};
	for (unsigned i = 0; i < ARRAY_LEN(c); i++) {
		EAX = c[i].sel;
		CHECK_EQ(RUN(m, "\x0F\x00\xE0"), -1);
		CHECK_EQ(!!(m->cpu.eflags & EFLAGS_ZF), c[i].r);
		CHECK_EQ(RUN(m, "\x0F\x00\xE8"), -1);
		CHECK_EQ(!!(m->cpu.eflags & EFLAGS_ZF), c[i].w);
	}
	machine_free(m);
}

TEST(arpl_raises_the_rpl)
{
	struct machine *m = machine_new();
	EAX = 0x11110008;
	m->cpu.gpr[REG_ECX] = 0x23;
	CHECK_EQ(RUN(m, "\x63\xC8"), -1);				/* ARPL AX, CX */
	CHECK_EQ(EAX, 0x1111000B);
	CHECK(m->cpu.eflags & EFLAGS_ZF);
	CHECK_EQ(RUN(m, "\x63\xC8"), -1);
	CHECK_EQ(m->cpu.eflags & EFLAGS_ZF, 0);
	machine_free(m);
}

TEST(dr4_is_dr6_unless_cr4_de)
{
	struct machine *m = machine_new();
	CHECK_EQ(RUN(m, "\x0F\x21\xE0"), -1);				/* MOV EAX, DR4 */
	CHECK_EQ(EAX, DR6_FIXED1);
	m->cpu.cr4 |= CR4_DE;
	CHECK_EQ(RUN(m, "\x0F\x21\xE0"), EXC_UD);
	machine_free(m);
}

TEST(gd_makes_an_access_to_a_debug_register_fault)
{
	struct machine *m = machine_new();
	cpu_set_dr(&m->cpu, 7, DR7_GD);
	CHECK_EQ(RUN(m, "\x0F\x21\xC0"), EXC_DB);
	CHECK(m->cpu.dr[6] & DR6_BD);
	CHECK_EQ(m->cpu.eip, CODE);
	machine_free(m);
}

TEST(rdtsc_at_cpl_3_obeys_tsd)
{
	struct machine *m = machine_new();
	m->tsc = 0x123456789A;
	machine_user(m);
	CHECK_EQ(RUN(m, "\x0F\x31"), -1);
	CHECK_EQ(EAX, 0x3456789A);
	CHECK_EQ(m->cpu.gpr[REG_EDX], 0x12);
	m->cpu.cr4 |= CR4_TSD;
	CHECK_EQ(RUN(m, "\x0F\x31"), EXC_GP);
	machine_free(m);
}

TEST(cli_and_sti_obey_iopl_and_pvi)
{
	struct machine *m = machine_new();
	machine_user(m);
	m->cpu.eflags |= EFLAGS_IF | EFLAGS_IOPL;
	CHECK_EQ(RUN(m, "\xFA"), -1);
	CHECK_EQ(m->cpu.eflags & EFLAGS_IF, 0);
	CHECK_EQ(RUN(m, "\xFB"), -1);
	CHECK(m->cpu.shadow);
	m->cpu.eflags &= ~EFLAGS_IOPL;
	CHECK_EQ(RUN(m, "\xFA"), EXC_GP);
	m->cpu.cr4 |= CR4_PVI;
	CHECK_EQ(RUN(m, "\xFB"), -1);
	CHECK(m->cpu.eflags & EFLAGS_VIF);
	CHECK_EQ(RUN(m, "\xFA"), -1);
	CHECK_EQ(m->cpu.eflags & EFLAGS_VIF, 0);
	CHECK(m->cpu.eflags & EFLAGS_IF);
	m->cpu.eflags |= EFLAGS_VIP;
	CHECK_EQ(RUN(m, "\xFB"), EXC_GP);
	machine_free(m);
}

TEST(popf_changes_if_and_iopl_only_for_those_who_may)
{
	struct machine *m = machine_new();
	push32(m, 0xFFFFFFFF);
	CHECK_EQ(RUN(m, "\x9D"), -1);
	CHECK_EQ(m->cpu.eflags, EFLAGS_ARITH | EFLAGS_TF | EFLAGS_IF | EFLAGS_DF | EFLAGS_IOPL | EFLAGS_NT | EFLAGS_AC | EFLAGS_ID | 2);
	machine_user(m);
	m->cpu.eflags = 2;
	push32(m, 0xFFFFFFFF & ~EFLAGS_TF);
	CHECK_EQ(RUN(m, "\x9D"), -1);
	CHECK_EQ(m->cpu.eflags, EFLAGS_ARITH | EFLAGS_DF | EFLAGS_NT | EFLAGS_AC | EFLAGS_ID | 2);
	m->cpu.eflags = EFLAGS_IOPL | EFLAGS_AC | 2;
	push32(m, EFLAGS_IF);
	CHECK_EQ(RUN(m, "\x66\x9D"), -1);				/* 16 bits: AC stays */
	CHECK_EQ(m->cpu.eflags, EFLAGS_IOPL | EFLAGS_IF | EFLAGS_AC | 2);
	machine_free(m);
}

TEST(pushf_hides_rf_and_vm_and_in_vm86_needs_iopl_or_vme)
{
	struct machine *m = machine_new();
	m->cpu.eflags |= EFLAGS_RF | EFLAGS_CF;
	CHECK_EQ(RUN(m, "\x9C"), -1);
	CHECK_EQ(top(m, 0), EFLAGS_CF | 2);
	m->cpu.eflags = 2;
	machine_vm86(m, 0);
	CHECK_EQ(RUN(m, "\x9C"), EXC_GP);
	m->cpu.cr4 |= CR4_VME;
	m->cpu.eflags |= EFLAGS_VIF;
	CHECK_EQ(RUN(m, "\x9C"), -1);
	CHECK_EQ(peek16(m, 0x30200 + 0xFFE), EFLAGS_IOPL | EFLAGS_IF | 2);
	CHECK_EQ(RUN(m, "\x66\x9C"), EXC_GP);				/* not the 32-bit form */
	poke16(m, 0x30200 + 0xFFE, 0);
	CHECK_EQ(RUN(m, "\x9D"), -1);
	CHECK_EQ(m->cpu.eflags & EFLAGS_VIF, 0);
	machine_free(m);
}

static uint32_t test_io_read(void *arg, uint16_t port, unsigned size)
{
	return size == 1 ? 0xFFFFFF01 : size == 2 ? 0xFFFF0000u | (port + 2) : 0xFFFF0000u | (port + 4);
}

static void test_io_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	((struct machine *)arg)->tsc = (uint64_t)port << 32 | size << 16 | val;
}

TEST(in_and_out_reach_the_bus_with_their_size)
{
	struct machine *m = machine_new();
	m->bus.io_read = test_io_read;
	m->bus.io_write = test_io_write;
	EAX = 0x11223344;
	m->cpu.gpr[REG_EDX] = 0xFFFF03F8;
	CHECK_EQ(RUN(m, "\xEC"), -1);
	CHECK_EQ(EAX, 0x11223301);
	CHECK_EQ(RUN(m, "\x66\xED"), -1);
	CHECK_EQ(EAX, 0x112203FA);
	CHECK_EQ(RUN(m, "\xE5\x80"), -1);
	CHECK_EQ(EAX, 0xFFFF0084);
	EAX = 0x55AA;
	CHECK_EQ(RUN(m, "\xE6\x80"), -1);
	CHECK_EQ(m->tsc, 0x0080000100AA);
	machine_free(m);
}

TEST(an_io_breakpoint_traps_after_the_out)
{
	struct machine *m = machine_new();
	m->bus.io_write = test_io_write;
	m->cpu.cr4 |= CR4_DE;
	cpu_set_dr(&m->cpu, 2, 0x80);
	cpu_set_dr(&m->cpu, 7, 0x02000010);
	CHECK_EQ(RUN(m, "\xE6\x81"), -1);
	CHECK_EQ(m->cpu.dr6_pending, 0);
	CHECK_EQ(RUN(m, "\xE6\x80"), -1);
	CHECK_EQ(m->cpu.dr6_pending, 4);
	machine_free(m);
}

TEST(a_far_pointer_load_changes_nothing_when_the_selector_is_bad)
{
	struct machine *m = machine_new();
	poke32(m, 0x30000, 0x12345678);
	poke16(m, 0x30004, BEYOND);
	EAX = 1;
	CHECK_EQ(RUN(m, "\xC4\x05\x00\x00\x03\x00"), EXC_GP);		/* LES EAX, [30000h] */
	CHECK_EQ(EAX, 1);
	poke16(m, 0x30004, DATA3);
	CHECK_EQ(RUN(m, "\xC4\x05\x00\x00\x03\x00"), -1);
	CHECK_EQ(EAX, 0x12345678);
	CHECK_EQ(m->cpu.seg[SEG_ES].selector, DATA3);
	machine_free(m);
}

TEST(push_and_pop_of_a_segment_register_move_esp_by_the_operand_size)
{
	struct machine *m = machine_new();
	poke32(m, STACK0 - 4, 0xAAAAAAAA);
	CHECK_EQ(RUN(m, "\x1E"), -1);					/* PUSH DS */
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK0 - 4);
	CHECK_EQ(top(m, 0), 0xAAAA0000 | DATA0);			/* two bytes are written */
	CHECK_EQ(RUN(m, "\x07"), -1);					/* POP ES */
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK0);
	CHECK_EQ(RUN(m, "\x66\x1E"), -1);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK0 - 2);
	push32(m, BEYOND);
	CHECK_EQ(RUN(m, "\x07"), EXC_GP);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK0 - 6);
	machine_free(m);
}

TEST(mov_from_a_segment_register_zero_extends_into_32_bits)
{
	struct machine *m = machine_new();
	EAX = 0xFFFFFFFF;
	CHECK_EQ(RUN(m, "\x66\x8C\xD8"), -1);
	CHECK_EQ(EAX, 0xFFFF0000 | DATA0);
	CHECK_EQ(RUN(m, "\x8C\xD8"), -1);
	CHECK_EQ(EAX, DATA0);
	poke32(m, 0x30000, 0xFFFFFFFF);
	CHECK_EQ(RUN(m, "\x8C\x1D\x00\x00\x03\x00"), -1);		/* memory: always 16 bits */
	CHECK_EQ(peek32(m, 0x30000), 0xFFFF0000 | DATA0);
	machine_free(m);
}

TEST(mov_ss_casts_a_shadow_and_mov_ds_does_not)
{
	struct machine *m = machine_new();
	EAX = DATA0;
	CHECK_EQ(RUN(m, "\x8E\xD8"), -1);
	CHECK(!m->cpu.shadow);
	CHECK_EQ(RUN(m, "\x8E\xD0"), -1);
	CHECK(m->cpu.shadow && m->cpu.shadow_ss);
	machine_free(m);
}

TEST(bound_is_a_fault_and_its_bounds_are_inclusive)
{
	struct machine *m = machine_new();
	poke32(m, 0x30000, (uint32_t)-5);
	poke32(m, 0x30004, 10);
	EAX = 10;
	CHECK_EQ(RUN(m, "\x62\x05\x00\x00\x03\x00"), -1);
	EAX = (uint32_t)-5;
	CHECK_EQ(RUN(m, "\x62\x05\x00\x00\x03\x00"), -1);
	EAX = 11;
	uint32_t eip = m->cpu.eip;
	CHECK_EQ(RUN(m, "\x62\x05\x00\x00\x03\x00"), EXC_BR);
	CHECK_EQ(m->cpu.eip, eip);
	machine_free(m);
}

TEST(int3_and_into_are_traps_behind_the_instruction)
{
	struct machine *m = machine_new();
	CHECK_EQ(RUN(m, "\xCC"), -1);
	CHECK_EQ(m->cpu.eip, handler(EXC_BP));
	CHECK_EQ(top(m, 0), CODE + 1);
	uint32_t eip = m->cpu.eip;
	CHECK_EQ(RUN(m, "\xCE"), -1);					/* OF clear: nothing */
	CHECK_EQ(m->cpu.eip, eip + 1);
	m->cpu.eflags |= EFLAGS_OF;
	CHECK_EQ(RUN(m, "\xCE"), -1);
	CHECK_EQ(m->cpu.eip, handler(EXC_OF));
	CHECK_EQ(RUN(m, "\xF1"), -1);
	CHECK_EQ(m->cpu.eip, handler(EXC_DB));
	machine_free(m);
}

TEST(hlt_halts_at_cpl_0)
{
	struct machine *m = machine_new();
	CHECK_EQ(RUN(m, "\xF4"), -1);
	CHECK(m->cpu.halted);
	CHECK(m->cpu.attention & ATTN_EVENT);
	machine_free(m);
}

TEST(far_jumps_through_memory_and_immediates)
{
	struct machine *m = machine_new();
	CHECK_EQ(RUN(m, "\xEA\x00\x40\x03\x00\x08\x00"), -1);
	CHECK_EQ(m->cpu.eip, 0x34000);
	poke32(m, 0x30000, 0x35000);
	poke16(m, 0x30004, CODE0);
	CHECK_EQ(RUN(m, "\xFF\x1D\x00\x00\x03\x00"), -1);		/* CALL FAR [30000h] */
	CHECK_EQ(m->cpu.eip, 0x35000);
	CHECK_EQ(RUN(m, "\xCA\x04\x00"), -1);				/* RETF 4 */
	CHECK_EQ(m->cpu.eip, 0x34006);
	CHECK_EQ(m->cpu.gpr[REG_ESP], STACK0 + 4);
	machine_free(m);
}

/* --- in the run loop --- */

static void code_written(void *arg, uint64_t fd_offset, unsigned len) { emulate_code_written(arg, fd_offset, len); }

#define LOAD(m, s) load_code(m, s, sizeof(s) - 1)
static void load_code(struct machine *m, const char *bytes, size_t len)
{
	CHECK_EQ(emulate_init(&m->cpu), 0);
	m->phys.code_written = code_written;
	m->phys.arg = &m->cpu;
	phys_write(&m->phys, m->cpu.seg[SEG_CS].base + m->cpu.eip, bytes, len);
	for (unsigned v = 0; v < 256; v++)
		poke8(m, handler(v), 0xF4);				/* every handler halts */
	m->cpu.icount_stop = 1000;
}

static void run_until_halt(struct machine *m)
{
	CHECK_EQ(emulate_run(&m->cpu), NEXT_HALT);
	emulate_free(&m->cpu);
}

TEST(an_interrupt_that_waits_for_sti_wakes_the_hlt_behind_it)	/* sti; hlt: the idle loop */
{
	struct machine *m = machine_new();
	LOAD(m, "\xFB\xF4\x90");
	m->cpu.intr_line = true;
	m->vector = 0x30;
	cpu_attend(&m->cpu, ATTN_EVENT);
	run_until_halt(m);
	CHECK_EQ(m->cpu.eip, handler(0x30) + 1);
	CHECK_EQ(top(m, 0), CODE + 2);					/* behind the HLT, not before it */
	machine_free(m);
}

TEST(popf_with_tf_traps_after_the_instruction_behind_it)
{
	struct machine *m = machine_new();
	push32(m, EFLAGS_TF | 2);
	LOAD(m, "\x9D\x90\x90\xF4");					/* popf; nop; nop; hlt */
	run_until_halt(m);
	CHECK_EQ(m->cpu.eip, handler(EXC_DB) + 1);
	CHECK_EQ(top(m, 0), CODE + 2);
	CHECK_EQ(top(m, 2), EFLAGS_TF | 2);
	machine_free(m);
}

TEST(mov_ss_then_an_instruction_are_stepped_as_one)
{
	struct machine *m = machine_new();
	EAX = DATA0;
	m->cpu.eflags |= EFLAGS_TF;
	cpu_attend(&m->cpu, ATTN_EVENT);
	LOAD(m, "\x8E\xD0\x90\x90\xF4");				/* mov ss,ax; nop; nop; hlt */
	run_until_halt(m);
	CHECK_EQ(top(m, 0), CODE + 3);
	machine_free(m);
}

TEST(a_repeated_string_instruction_is_stepped_one_element_at_a_time)
{
	struct machine *m = machine_new();
	m->cpu.eflags |= EFLAGS_TF;
	cpu_attend(&m->cpu, ATTN_EVENT);
	m->cpu.gpr[REG_ECX] = 5;
	m->cpu.gpr[REG_EDI] = 0x30000;
	LOAD(m, "\xF3\xAA\xF4");					/* rep stosb; hlt */
	run_until_halt(m);
	CHECK_EQ(m->cpu.eip, handler(EXC_DB) + 1);
	CHECK_EQ(top(m, 0), CODE);
	CHECK_EQ(top(m, 2), EFLAGS_RF | EFLAGS_TF | 2);
	CHECK_EQ(m->cpu.gpr[REG_ECX], 4);
	machine_free(m);
}

TEST(an_instruction_breakpoint_stops_before_the_instruction)
{
	struct machine *m = machine_new();
	cpu_set_dr(&m->cpu, 0, CODE + 2);
	cpu_set_dr(&m->cpu, 7, 2);
	LOAD(m, "\x40\x40\x43\xF4");					/* inc eax; inc eax; inc ebx; hlt */
	run_until_halt(m);
	CHECK_EQ(EAX, 2);
	CHECK_EQ(m->cpu.gpr[REG_EBX], 0);
	CHECK_EQ(top(m, 0), CODE + 2);
	machine_free(m);
}

TEST(a_triple_fault_ends_the_run)
{
	struct machine *m = machine_new();
	m->cpu.idtr.limit = 0;
	LOAD(m, "\x0F\x0B");
	CHECK_EQ(emulate_run(&m->cpu), NEXT_TRIPLE_FAULT);
	emulate_free(&m->cpu);
	machine_free(m);
}

TEST(from_reset_through_protected_mode_to_paging)
{
	struct machine *m = machine_new();
	cpu_reset(&m->cpu);
	segment_load_real(&m->cpu, SEG_CS, 0x2000);
	m->cpu.eip = 0;
	m->cpu.gpr[REG_EBX] = PAGE_DIR;
	poke32(m, PAGE_DIR, PAGE_TAB | 3);
	for (unsigned i = 0; i < 512; i++)
		poke32(m, PAGE_TAB + i * 4, i << 12 | 3);
	poke16(m, 0x20100, 0x3FF);
	poke32(m, 0x20102, GDT);
	LOAD(m, "\x2E\x66\x0F\x01\x16\x00\x01"				/* lgdt cs:[100h] */
		"\x0F\x20\xC0" "\x66\x83\xC8\x01" "\x0F\x22\xC0"	/* cr0 |= 1 */
		"\x66\xEA\x20\x00\x02\x00\x08\x00"			/* jmp 08:20020h */
		"\x90\x90\x90\x90\x90\x90\x90"
		"\xB8\x10\x00\x00\x00\x8E\xD8\x8E\xD0"			/* mov eax,10h; mov ds,ax; mov ss,ax */
		"\xBC\x00\x90\x00\x00"					/* mov esp, 9000h */
		"\x0F\x22\xDB\x0F\x20\xC0\x0D\x00\x00\x00\x80\x0F\x22\xC0"	/* cr3 = ebx; cr0 |= PG */
		"\x68\x78\x56\x34\x12\xF4");				/* push 12345678h; hlt */
	run_until_halt(m);
	CHECK_EQ(top(m, 0), 0x12345678);
	CHECK_EQ(m->cpu.cr0 & (CR0_PE | CR0_PG), CR0_PE | CR0_PG);
	CHECK_EQ(m->cpu.seg[SEG_CS].selector, CODE0);
	machine_free(m);
}
