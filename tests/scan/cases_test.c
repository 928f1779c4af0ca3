/*
 * What the random programs and the comparison with the host CPU found in scanned code, each as a program
 * of its own: in ring 3, memory through the table or through a window.
 */
#include "tests/machine.h"
#include "tests/test.h"

enum { IDT = 0x1000, GDT = 0x2000, TSS = 0x2800, HANDLERS = 0x3000, KERNEL_STACK = 0x8000, CODE = 0x100000, STACK = 0x180000 };

/* Flat, at CPL 3; vector n ends at HANDLERS + n with a HLT. */
static struct machine *user_machine(bool direct)
{
	static const uint64_t gdt[] = { 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF };
	struct machine *m = machine_new(2 << 20);
	struct vcpu *cpu = &m->cpu;
	uint32_t tss[] = { 0, KERNEL_STACK, 16 };

	machine_protected32(m);
	machine_write(m, GDT, gdt, sizeof(gdt));
	machine_write(m, TSS, tss, sizeof(tss));
	memset(m->phys.ram + HANDLERS, 0xF4, 256);
	for (unsigned v = 0; v < 256; v++) {
		uint64_t gate = 0x00008E0000080000 | (HANDLERS + v);
		machine_write(m, IDT + v * 8, &gate, 8);
	}
	cpu->gdtr = (struct table_register){ GDT, sizeof(gdt) - 1 };
	cpu->idtr = (struct table_register){ IDT, 256 * 8 - 1 };
	cpu->tr = (struct segment){ .selector = 24, .base = TSS, .limit = 0x67, .attr = 0x8B };
	for (unsigned s = 0; s < 6; s++)
		machine_segment(m, s, s == SEG_CS ? 11 : 19, 0, 0xFFFFFFFF, s == SEG_CS ? 0xC0FB : 0xC0F3);
	cpu->cr0 |= CR0_AM;
	cpu->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
	cpu_update_mode(cpu);
	mmu_select(cpu);
	mmu_flush(cpu, true);
	cpu->eip = CODE;
	cpu->gpr[REG_ESP] = STACK;
	cpu->icount_stop = UINT64_MAX;
	machine_scan(m, 0, direct);
	return m;
}

/* The exception that ends the program. */
static unsigned ends_by(struct machine *m)
{
	CHECK_EQ(machine_scan_run(m), NEXT_HALT);
	return m->cpu.eip - 1 - HANDLERS;
}

/* With windows and without them: the program ends by this exception, with EIP at the instruction so far behind CODE. */
#define ENDS_AT(vector, at, ...)	ends_at((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }), vector, at)
static void ends_at(const uint8_t *code, size_t len, unsigned vector, uint32_t at)
{
	for (unsigned direct = 0; direct < 2; direct++) {
		struct machine *m = user_machine(direct);

		machine_write(m, CODE, code, len);
		CHECK_EQ(ends_by(m), vector);
		CHECK_EQ(machine_read32(m, KERNEL_STACK - 20), CODE + at);
		machine_free(m);
	}
}

TEST(a_store_beside_code_is_checked_for_alignment)
{
	struct machine *m = user_machine(false);

	machine_code(m, CODE,
	    0xA3, 0x04, 0x08, 0x10, 0x00,		/* mov %eax, 0x100804: now it is known that no code is there */
	    0xA3, 0x04, 0x08, 0x10, 0x00,
	    0x68, 0x02, 0x02, 0x04, 0x00,		/* push $AC | IF | 2 */
	    0x9D,					/* popf */
	    0xA3, 0x01, 0x08, 0x10, 0x00,		/* mov %eax, 0x100801 */
	    0xF4);
	CHECK_EQ(ends_by(m), EXC_AC);
	machine_free(m);
}

TEST(sse_operands_that_must_be_aligned_raise_gp_in_the_middle_of_a_page)
{
	ENDS_AT(EXC_GP, 7,
	    0x0F, 0x10, 0x05, 0x04, 0x00, 0x11, 0x00,	/* movups 0x110004, %xmm0 */
	    0x0F, 0x58, 0x05, 0x04, 0x00, 0x11, 0x00,	/* addps 0x110004, %xmm0 */
	    0x0F, 0x0B);
}

TEST(a_store_through_cs_raises_gp)
{
	ENDS_AT(EXC_GP, 7,
	    0x2E, 0x8B, 0x0D, 0x00, 0x00, 0x11, 0x00,	/* mov %cs:0x110000, %ecx */
	    0x2E, 0x89, 0x0D, 0x00, 0x00, 0x11, 0x00,	/* mov %ecx, %cs:0x110000 */
	    0x0F, 0x0B);
}

TEST(a_pending_x87_error_comes_before_a_fault_of_the_operand)
{
	struct machine *m = user_machine(true);

	m->cpu.fx.fcw = 0x37B;				/* divisions by zero are not masked */
	m->cpu.fx.ftw = 0;
	machine_segment(m, SEG_ES, 19, 0, 0xFFF, 0x40F3);
	machine_code(m, CODE, 0xD9, 0xE8, 0xD9, 0xEE,	/* fld1; fldz */
	    0xDE, 0xF9,					/* fdivp: now it is pending */
	    0x26, 0xD8, 0x05, 0x00, 0x00, 0x11, 0x00,	/* fadds %es:0x110000: behind the limit, too */
	    0x0F, 0x0B);
	CHECK_EQ(ends_by(m), EXC_MF);
	machine_free(m);
}

TEST(a_rep_stos_over_itself_goes_on_with_the_new_code)
{
	for (unsigned direct = 0; direct < 2; direct++) {
		struct machine *m = user_machine(direct);
		machine_code(m, CODE,
		    0xBF, 0x0C, 0x00, 0x10, 0x00,		/* mov $CODE + 12, %edi */
		    0xB9, 0x10, 0x00, 0x00, 0x00,		/* mov $16, %ecx */
		    0xB0, 0xCC,					/* mov $0xCC, %al */
		    0xF3, 0xAA,					/* rep stosb: an int3 after its first element */
		    0x0F, 0x0B);
		CHECK_EQ(ends_by(m), EXC_GP);			/* int3's gate is the kernel's */
		CHECK_EQ(m->cpu.gpr[REG_ECX], 15);
		machine_free(m);
	}
}
