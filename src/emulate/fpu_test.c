/* What the host-CPU comparison (tests/insn/fpu_test.c) cannot reach: control registers, faults, real mode. */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "emulate/fpu.h"
#include "mmu/phys.h"
#include "vm.h"

/* Stands for vm.c, so that no board is linked: an instruction that is not emulated fails the test. */
void vm_stop(struct vm *vm, enum stop_reason reason, const char *fmt, ...)
{
	fail_msg("vm_stop: %s", fmt);
}

struct machine {
	struct vcpu cpu;
	struct phys phys;
	struct cpu_bus bus;
	unsigned ferr_changes;
	bool ferr;
};

enum { CODE = 0x8000, DATA = 0x10000, PAGE_TABLE = 0x1000 };

static void on_ferr(void *arg, bool level)
{
	struct machine *m = arg;

	m->ferr = level;
	m->ferr_changes++;
}

/* Flat 32-bit protected mode at CPL 0, FNINIT done. */
static struct machine *machine_new(void)
{
	struct machine *m = aligned_alloc(64, (sizeof(*m) + 63) & ~63ul);

	memset(m, 0, sizeof(*m));
	m->bus.ferr = on_ferr;
	m->cpu.bus = &m->bus;
	m->cpu.bus_arg = m;
	m->cpu.phys = &m->phys;
	m->cpu.a20 = true;
	CHECK_EQ(phys_init(&m->phys, 1 << 20, 0), 0);
	CHECK_EQ(mmu_init(&m->cpu), 0);
	m->cpu.cr0 = CR0_PE | CR0_MP | CR0_NE | CR0_ET;
	m->cpu.cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
	m->cpu.eflags = EFLAGS_FIXED1;
	for (unsigned i = 0; i < 6; i++) {
		m->cpu.seg[i] = (struct segment){ .selector = 8 * (i + 1), .limit = 0xFFFFFFFF,
			.attr = SEG_P | SEG_S | SEG_WRITABLE | SEG_G | SEG_DB };
		segment_derive(&m->cpu.seg[i]);
	}
	m->cpu.tlb = &m->cpu.tlbs[0];
	m->cpu.fx.fcw = FCW_DEFAULT;
	m->cpu.fx.mxcsr = MXCSR_DEFAULT;
	return m;
}

static void machine_free(struct machine *m)
{
	mmu_free(&m->cpu);
	phys_free(&m->phys);
	free(m);
}

static void execute(struct vcpu *cpu, void *in)
{
	emulate_handler(in)(cpu, in);
}

/* Vector raised, or -1. */
static int run_bytes(struct machine *m, const uint8_t *code, size_t n)
{
	struct insn in;

	CHECK_EQ(decode_insn(&in, code, n, true), DECODE_OK);
	CHECK_EQ(in.len, n);
	m->cpu.insn_eip = CODE;
	m->cpu.eip = CODE + in.len;
	return cpu_try(&m->cpu, execute, &in) ? m->cpu.exc_vector : -1;
}
#define RUN(m, ...) run_bytes(m, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))
#define ABS(addr) (addr) & 0xFF, (addr) >> 8 & 0xFF, (addr) >> 16 & 0xFF, (addr) >> 24 & 0xFF

#define FLD1		0xD9, 0xE8
#define FLDZ		0xD9, 0xEE
#define FDIVP		0xDE, 0xF9		/* st1 = st1 / st0, pop */
#define FNCLEX		0xDB, 0xE2
#define FNINIT		0xDB, 0xE3
#define WAIT		0x9B
#define FNSTCW(a)	0xD9, 0x3D, ABS(a)
#define FLDCW(a)	0xD9, 0x2D, ABS(a)
#define FADD_M64(a)	0xDC, 0x05, ABS(a)
#define FDIV_M64(a)	0xDC, 0x35, ABS(a)
#define FSTP_M80(a)	0xDB, 0x3D, ABS(a)
#define FNSTENV(a)	0xD9, 0x35, ABS(a)
#define FLDENV(a)	0xD9, 0x25, ABS(a)
#define FNSAVE(a)	0xDD, 0x35, ABS(a)
#define FXSAVE(a)	0x0F, 0xAE, 0x05, ABS(a)
#define FXRSTOR(a)	0x0F, 0xAE, 0x0D, ABS(a)
#define LDMXCSR(a)	0x0F, 0xAE, 0x15, ABS(a)
#define PADDB_MM	0x0F, 0xFC, 0xC1
#define PADDB_XMM	0x66, 0x0F, 0xFC, 0xC1
#define CVTPI2PS	0x0F, 0x2A, 0xC1
#define DIVSS		0xF3, 0x0F, 0x5E, 0xC1	/* xmm0 /= xmm1 */
#define ADDPS_M(a)	0x0F, 0x58, 0x05, ABS(a)
#define MOVAPS_ST(a)	0x0F, 0x29, 0x05, ABS(a)
#define MOVUPS_LD(a)	0x0F, 0x10, 0x05, ABS(a)
#define MASKMOVDQU	0x66, 0x0F, 0xF7, 0xC1	/* xmm0 where xmm1 */

static void poke(struct machine *m, uint32_t at, const void *p, size_t n)
{
	phys_write(&m->phys, at, p, n);
}

static uint32_t peek32(struct machine *m, uint32_t at)
{
	return phys_read_n(&m->phys, at, 4);
}

/* An unmasked division by zero, pending. */
static void make_pending(struct machine *m)
{
	const uint16_t cw = FCW_DEFAULT & ~FSW_ZE;

	poke(m, DATA, &cw, 2);
	CHECK_EQ(RUN(m, FLDCW(DATA)), -1);
	CHECK_EQ(RUN(m, FLD1), -1);
	CHECK_EQ(RUN(m, FLDZ), -1);
	CHECK_EQ(RUN(m, FDIVP), -1);
	CHECK_EQ(m->cpu.fx.fsw & (FSW_ES | FSW_B | FSW_ZE), FSW_ES | FSW_B | FSW_ZE);
}

/* [SDM 3, "Device-Not-Available Exception (#NM)"; SDM 1, WAIT/FWAIT] */
TEST(x87_instructions_are_not_available_under_em_or_ts_and_wait_only_under_mp_and_ts)
{
	struct machine *m = machine_new();
	const uint32_t cr0 = m->cpu.cr0 & ~CR0_MP;

	m->cpu.cr0 = cr0 | CR0_EM;
	CHECK_EQ(RUN(m, FLD1), EXC_NM);
	CHECK_EQ(RUN(m, FNINIT), EXC_NM);
	CHECK_EQ(RUN(m, WAIT), -1);
	m->cpu.cr0 = cr0 | CR0_TS;
	CHECK_EQ(RUN(m, FLD1), EXC_NM);
	CHECK_EQ(RUN(m, FNSTCW(DATA)), EXC_NM);
	CHECK_EQ(RUN(m, FLDENV(DATA)), EXC_NM);
	CHECK_EQ(RUN(m, WAIT), -1);
	m->cpu.cr0 = cr0 | CR0_TS | CR0_MP;
	CHECK_EQ(RUN(m, WAIT), EXC_NM);
	CHECK_EQ(m->cpu.eip, CODE);
	machine_free(m);
}

/* [SDM 3, "MMX, SSE... Exceptions"; SDM 2, "Exception Conditions"] */
TEST(mmx_and_sse_are_undefined_under_em_and_sse_without_osfxsr_and_not_available_under_ts)
{
	struct machine *m = machine_new();
	const uint32_t cr0 = m->cpu.cr0;

	m->cpu.cr0 = cr0 | CR0_EM | CR0_TS;
	CHECK_EQ(RUN(m, PADDB_MM), EXC_UD);
	CHECK_EQ(RUN(m, PADDB_XMM), EXC_UD);
	CHECK_EQ(RUN(m, FXSAVE(DATA)), EXC_UD);
	CHECK_EQ(RUN(m, 0x0F, 0xAE, 0xF8), -1);		/* SFENCE */
	CHECK_EQ(RUN(m, 0x0F, 0xC3, 0x05, ABS(DATA)), -1);	/* MOVNTI */
	m->cpu.cr0 = cr0 | CR0_TS;
	CHECK_EQ(RUN(m, PADDB_MM), EXC_NM);
	CHECK_EQ(RUN(m, PADDB_XMM), EXC_NM);
	CHECK_EQ(RUN(m, FXRSTOR(DATA)), EXC_NM);
	m->cpu.cr4 = 0;
	CHECK_EQ(RUN(m, PADDB_XMM), EXC_UD);
	m->cpu.cr0 = cr0;
	CHECK_EQ(RUN(m, PADDB_MM), -1);
	CHECK_EQ(RUN(m, PADDB_XMM), EXC_UD);
	CHECK_EQ(RUN(m, CVTPI2PS), EXC_UD);
	CHECK_EQ(RUN(m, LDMXCSR(DATA)), EXC_UD);
	CHECK_EQ(RUN(m, FXSAVE(DATA)), -1);
	machine_free(m);
}

/* [SDM 1, "Software Exception Handling"] */
TEST(a_pending_x87_error_is_mf_at_the_next_waiting_instruction_and_not_before)
{
	struct machine *m = machine_new();

	make_pending(m);
	CHECK_EQ(RUN(m, FNSTCW(DATA)), -1);
	CHECK_EQ(RUN(m, 0xDF, 0xE0), -1);		/* FNSTSW AX */
	CHECK_EQ(m->cpu.gpr[REG_EAX] & FSW_ZE, FSW_ZE);
	CHECK_EQ(RUN(m, FLD1), EXC_MF);
	CHECK_EQ(RUN(m, WAIT), EXC_MF);
	CHECK_EQ(RUN(m, PADDB_MM), EXC_MF);
	CHECK_EQ(RUN(m, CVTPI2PS), EXC_MF);
	CHECK_EQ(RUN(m, PADDB_XMM), -1);
	CHECK_EQ(RUN(m, FXSAVE(DATA)), -1);
	CHECK_EQ(RUN(m, FNCLEX), -1);
	CHECK_EQ(m->cpu.fx.fsw & (FSW_ES | FSW_B | FSW_EXC), 0);
	CHECK_EQ(RUN(m, FLD1), -1);
	machine_free(m);
}

TEST(masking_a_pending_error_withdraws_it_and_unmasking_brings_it_back)
{
	struct machine *m = machine_new();
	const uint16_t cw[2] = { FCW_DEFAULT & ~FSW_ZE, FCW_DEFAULT };

	make_pending(m);
	CHECK_EQ(RUN(m, FNSTENV(DATA)), -1);		/* masks all */
	CHECK_EQ(m->cpu.fx.fsw & (FSW_ES | FSW_B | FSW_ZE), FSW_ZE);
	poke(m, DATA, cw, 2);
	CHECK_EQ(RUN(m, FLDCW(DATA)), -1);
	CHECK_EQ(RUN(m, WAIT), EXC_MF);
	machine_free(m);
}

/* [SDM 1, "MS-DOS Compatibility Sub-mode"] */
TEST(without_cr0_ne_an_error_asserts_ferr_once_in_front_of_the_waiting_instruction)
{
	struct machine *m = machine_new();

	m->cpu.cr0 &= ~CR0_NE;
	m->cpu.eflags |= EFLAGS_IF;
	make_pending(m);
	CHECK_EQ(m->ferr_changes, 0);
	CHECK_EQ(RUN(m, WAIT), -1);
	CHECK(m->ferr);
	uint8_t ftw = m->cpu.fx.ftw;
	m->ferr_changes = 0;
	CHECK_EQ(RUN(m, FLD1), -1);			/* announced already: IGNNE# is taken to be active */
	CHECK(m->cpu.fx.ftw != ftw);
	CHECK_EQ(m->ferr_changes, 0);
	CHECK_EQ(RUN(m, FNCLEX), -1);
	CHECK(!m->ferr);

	CHECK_EQ(RUN(m, FNINIT), -1);
	make_pending(m);
	ftw = m->cpu.fx.ftw;
	CHECK_EQ(RUN(m, FLD1), -1);
	CHECK(m->ferr);
	CHECK_EQ(m->cpu.eip, CODE);			/* not done: IRQ 13 comes first */
	CHECK_EQ(m->cpu.fx.ftw, ftw);
	CHECK(m->cpu.attention & ATTN_EVENT);
	machine_free(m);
}

/* [SDM 3, "SIMD Floating-Point Exception (#XM)"] */
TEST(an_unmasked_simd_exception_is_xm_or_ud_and_leaves_the_destination)
{
	struct machine *m = machine_new();
	const float one = 1;

	memcpy(m->cpu.fx.xmm[0], &one, 4);
	m->cpu.fx.mxcsr = MXCSR_DEFAULT & ~(FSW_ZE << 7);
	CHECK_EQ(RUN(m, DIVSS), EXC_XM);
	CHECK_EQ(m->cpu.fx.mxcsr & MXCSR_EXC, FSW_ZE);
	CHECK_EQ(memcmp(m->cpu.fx.xmm[0], &one, 4), 0);
	m->cpu.cr4 &= ~CR4_OSXMMEXCPT;
	CHECK_EQ(RUN(m, DIVSS), EXC_UD);
	m->cpu.fx.mxcsr = MXCSR_DEFAULT;
	CHECK_EQ(RUN(m, DIVSS), -1);
	CHECK_EQ(memcmp(m->cpu.fx.xmm[0], "\x00\x00\x80\x7F", 4), 0);
	machine_free(m);
}

TEST(sixteen_byte_operands_must_be_aligned_in_linear_space_but_for_the_unaligned_moves)
{
	struct machine *m = machine_new();

	CHECK_EQ(RUN(m, ADDPS_M(DATA + 8)), EXC_GP);
	CHECK_EQ(RUN(m, MOVAPS_ST(DATA + 1)), EXC_GP);
	CHECK_EQ(m->cpu.exc_error, 0);
	CHECK_EQ(RUN(m, FXSAVE(DATA + 8)), EXC_GP);
	CHECK_EQ(RUN(m, MOVUPS_LD(DATA + 1)), -1);
	m->cpu.seg[SEG_DS].base = 8;
	CHECK_EQ(RUN(m, ADDPS_M(DATA + 8)), -1);
	CHECK_EQ(RUN(m, MOVAPS_ST(DATA)), EXC_GP);
	machine_free(m);
}

TEST(reserved_mxcsr_bits_are_gp_and_nothing_is_loaded)
{
	struct machine *m = machine_new();
	struct fxstate image;

	CHECK_EQ(RUN(m, FXSAVE(DATA)), -1);
	phys_read(&m->phys, DATA, &image, sizeof(image));
	CHECK_EQ(image.mxcsr_mask, 0xFFFF);
	image.mxcsr = 0x10000 | MXCSR_DEFAULT;
	image.xmm[3][0] = 0x55;
	image.fcw = 0x27F;
	poke(m, DATA, &image, sizeof(image));
	CHECK_EQ(RUN(m, FXRSTOR(DATA)), EXC_GP);
	CHECK_EQ(m->cpu.fx.xmm[3][0], 0);
	CHECK_EQ(m->cpu.fx.fcw, FCW_DEFAULT);
	CHECK_EQ(RUN(m, LDMXCSR(DATA + 24)), EXC_GP);
	CHECK_EQ(m->cpu.fx.mxcsr, MXCSR_DEFAULT);
	machine_free(m);
}

/* Identity paging over the first 4 MiB with the page of DATA + 1000h absent. */
static void page_out_second(struct machine *m)
{
	uint32_t entry = (PAGE_TABLE + 0x1000) | 3;

	poke(m, PAGE_TABLE, &entry, 4);
	for (uint32_t i = 0; i < 1024; i++) {
		entry = i == (DATA >> 12) + 1 ? 0 : i << 12 | 3;
		poke(m, PAGE_TABLE + 0x1000 + 4 * i, &entry, 4);
	}
	m->cpu.cr3 = PAGE_TABLE;
	m->cpu.cr0 |= CR0_PG | CR0_WP;
	mmu_flush(&m->cpu, true);
}

TEST(a_store_that_faults_on_its_second_page_changes_neither_memory_nor_fpu)
{
	struct machine *m = machine_new();
	const uint32_t end = DATA + 0x1000;

	page_out_second(m);
	CHECK_EQ(RUN(m, FLD1), -1);
	struct fxstate before = m->cpu.fx;
	CHECK_EQ(RUN(m, FSTP_M80(end - 8)), EXC_PF);
	CHECK_EQ(m->cpu.cr2, end);
	CHECK_EQ(RUN(m, FNSAVE(end - 100)), EXC_PF);
	CHECK_EQ(RUN(m, FNSTENV(end - 20)), EXC_PF);
	CHECK_EQ(RUN(m, FXSAVE(end - 256)), EXC_PF);
	CHECK_EQ(RUN(m, 0xD9, 0x1D, ABS(end - 2)), EXC_PF);	/* FSTP m32 */
	CHECK_EQ(RUN(m, 0xDB, 0x1D, ABS(end - 2)), EXC_PF);	/* FISTP m32 */
	CHECK_EQ(memcmp(&before, &m->cpu.fx, sizeof(before)), 0);
	for (uint32_t at = end - 256; at < end; at += 4)
		CHECK_EQ(peek32(m, at), 0);
	CHECK_EQ(RUN(m, FSTP_M80(end - 10)), -1);
	CHECK_EQ(m->cpu.fx.ftw, 0);
	machine_free(m);
}

TEST(a_masked_store_touches_only_the_pages_of_bytes_it_stores)
{
	struct machine *m = machine_new();
	const uint32_t end = DATA + 0x1000;

	page_out_second(m);
	memset(m->cpu.fx.xmm[0], 0xAB, 16);
	m->cpu.gpr[REG_EDI] = end - 4;
	m->cpu.fx.xmm[1][0] = m->cpu.fx.xmm[1][3] = 0x80;
	CHECK_EQ(RUN(m, MASKMOVDQU), -1);
	CHECK_EQ(peek32(m, end - 4), 0xAB0000AB);
	m->cpu.fx.xmm[1][1] = m->cpu.fx.xmm[1][4] = 0x80;
	CHECK_EQ(RUN(m, MASKMOVDQU), EXC_PF);
	CHECK_EQ(peek32(m, end - 4), 0xAB0000AB);
	machine_free(m);
}

/* [SDM 1, "x87 FPU Instruction and Data (Operand) Pointers"] */
TEST(non_control_instructions_record_their_address_operand_and_opcode)
{
	struct machine *m = machine_new();
	const struct fxstate *fx = &m->cpu.fx;

	CHECK_EQ(RUN(m, FLD1), -1);
	CHECK_EQ(RUN(m, 0x36, FADD_M64(DATA + 64)), -1);	/* ss: */
	CHECK_EQ(fx->fip, CODE);
	CHECK_EQ(fx->fcs, m->cpu.seg[SEG_CS].selector);
	CHECK_EQ(fx->fdp, DATA + 64);
	CHECK_EQ(fx->fds, m->cpu.seg[SEG_SS].selector);
	CHECK_EQ(fx->fop, 0x405);
	m->cpu.seg[SEG_CS].selector = 0x77;
	CHECK_EQ(RUN(m, FNSTCW(DATA)), -1);
	CHECK_EQ(RUN(m, FLDCW(DATA)), -1);
	CHECK_EQ(RUN(m, FNCLEX), -1);
	CHECK_EQ(fx->fop, 0x405);
	CHECK_EQ(fx->fdp, DATA + 64);
	CHECK(fx->fcs != 0x77);
	CHECK_EQ(RUN(m, FLDZ), -1);
	CHECK_EQ(fx->fop, 0x1EE);
	CHECK_EQ(fx->fcs, 0x77);
	CHECK_EQ(fx->fdp, DATA + 64);
	machine_free(m);
}

static uint16_t peek16(struct machine *m, uint32_t at)
{
	return phys_read_n(&m->phys, at, 2);
}

/* [SDM 1, "Real Mode x87 FPU State Image in Memory, 32-Bit Format" and 16-bit; "Protected Mode ... 16-Bit Format"] */
TEST(the_environment_has_linear_pointers_in_real_mode_and_selectors_in_protected_mode)
{
	struct machine *m = machine_new();
	struct fxstate *fx = &m->cpu.fx;

	CHECK_EQ(RUN(m, FLD1), -1);
	fx->fip = 0x1234, fx->fcs = 0xABCD, fx->fdp = 0x8765, fx->fds = 0x4321, fx->fop = 0x5A5;
	CHECK_EQ(RUN(m, 0x66, FNSTENV(DATA)), -1);
	CHECK_EQ(peek16(m, DATA + 4), 0x3FFF);
	CHECK_EQ(peek16(m, DATA + 6), 0x1234);
	CHECK_EQ(peek16(m, DATA + 8), 0xABCD);
	CHECK_EQ(peek16(m, DATA + 10), 0x8765);
	CHECK_EQ(peek16(m, DATA + 12), 0x4321);

	m->cpu.cr0 &= ~CR0_PE;
	CHECK_EQ(RUN(m, 0x66, FNSTENV(DATA)), -1);
	CHECK_EQ(peek16(m, DATA + 6), (0xABCD0 + 0x1234) & 0xFFFF);
	CHECK_EQ(peek16(m, DATA + 8), 0xA000 | 0x5A5);
	CHECK_EQ(peek16(m, DATA + 10), (0x43210 + 0x8765) & 0xFFFF);
	CHECK_EQ(peek16(m, DATA + 12), 0x4000);
	CHECK_EQ(RUN(m, FNSTENV(DATA)), -1);
	CHECK_EQ(peek32(m, DATA + 16), 0xA000 | 0x5A5);
	CHECK_EQ(peek32(m, DATA + 24), 0x4000);
	CHECK_EQ(RUN(m, FNINIT), -1);
	CHECK_EQ(RUN(m, FLDENV(DATA)), -1);
	CHECK_EQ(fx->fip, 0xABCD0 + 0x1234);
	CHECK_EQ(fx->fop, 0x5A5);
	CHECK_EQ(fx->fdp, 0x43210 + 0x8765);
	CHECK_EQ(fx->ftw, 0x80);
	machine_free(m);
}

TEST(the_hosts_own_inexact_flag_never_shows_in_the_guests_status)
{
	struct machine *m = machine_new();
	const double three = 3;

	poke(m, DATA, &three, 8);
	CHECK_EQ(RUN(m, FLD1), -1);
	CHECK_EQ(RUN(m, FDIV_M64(DATA)), -1);
	CHECK_EQ(m->cpu.fx.fsw & FSW_EXC, FSW_PE);
	CHECK_EQ(RUN(m, FNCLEX), -1);
	CHECK_EQ(RUN(m, FADD_M64(DATA + 8)), -1);	/* + 0: exact */
	CHECK_EQ(m->cpu.fx.fsw & FSW_EXC, 0);
	CHECK_EQ(RUN(m, FDIV_M64(DATA)), -1);
	CHECK_EQ(m->cpu.fx.fsw & FSW_EXC, FSW_PE);
	machine_free(m);
}

TEST(the_monitor_runs_on_with_its_own_control_word_and_mxcsr)
{
	struct machine *m = machine_new();
	const uint16_t guest_cw = 0x440;			/* nothing masked, 24 bits, down */
	uint16_t cw;
	uint32_t csr;

	poke(m, DATA, &guest_cw, 2);
	CHECK_EQ(RUN(m, FLDCW(DATA)), -1);
	m->cpu.fx.mxcsr = 0xE040;			/* nothing masked, FZ, DAZ, to zero */
	CHECK_EQ(RUN(m, FLD1), -1);
	CHECK_EQ(RUN(m, FLDZ), -1);
	CHECK_EQ(RUN(m, FDIVP), -1);
	CHECK_EQ(RUN(m, DIVSS), EXC_XM);		/* 0 / 0 */
	asm volatile("fnstcw %0\n\tstmxcsr %1" : "=m"(cw), "=m"(csr));
	CHECK_EQ(cw, 0x37F);
	CHECK_EQ(csr & ~MXCSR_EXC, MXCSR_DEFAULT);
	m->cpu.fx.mxcsr |= MXCSR_MASKS;
	CHECK_EQ(RUN(m, DIVSS), -1);
	asm volatile("stmxcsr %0" : "=m"(csr));
	CHECK_EQ(csr & ~MXCSR_EXC, MXCSR_DEFAULT);
	machine_free(m);
}
