/*
 * Random 16-bit programs: real mode (also with segments larger or smaller than 64 KiB), virtual-8086 mode
 * with and without paging, 16-bit protected mode at CPL 0 and 3. Slots as in program.c; segment
 * registers and far branches are part of what is random.
 */
#include "tests/scan/program.h"

enum { SEL_CODE0_32 = 0x08, SEL_DATA0_32 = 0x10, SEL_HANDLERS = 0x18, SEL_CODE16 = 0x20, SEL_NEXT = 0x28, SEL_TSS = 0x30,
	SEL_STACK0 = 0x38, SEL_FIRST_DATA = 0x40, DATA_SEGS = 6 };
enum { ERROR_ENTRY = 0x80 };

/*
 * The frame's IP becomes the next slot, its CS the program's; all registers are kept. Arithmetic flags become 0:
 * dead ones need not be exact. The immediates 0x1234 are filled in. handler16 is copied behind an error code's removal, too.
 */
__asm__(".pushsection .rodata\n.code16\n"
	"handler16: fninit; push %ax; push %bp; push %ds; mov %sp, %bp; handler16_next: mov $0x1234, %ax; mov %ax, %ds; mov (0), %ax; andw $0xF72A, 10(%bp)\n"
	"handler16_end: cmp $0x1234, %ax; jae 1f; add $32, %ax; mov %ax, (0); mov %ax, 6(%bp); handler16_cs: movw $0x1234, 8(%bp)\n"
	"pop %ds; pop %bp; pop %ax; iretw; 1: hlt; handler16_last:\n"
	".code32\n"
	"handler86_error: add $4, %esp\n"
	"handler86: fninit; push %eax; andl $~0x8D5, 12(%esp); mov %ss:0x6800, %eax; handler86_end: cmp $0x12345678, %eax; jae 1f; add $32, %eax; mov %eax, %ss:0x6800\n"
	"mov %eax, 4(%esp); handler86_cs: movl $0x12345678, 8(%esp); pop %eax; iret; 1: hlt; handler86_last:\n"
	".code64\n.popsection");
extern const uint8_t handler16[], handler16_next[], handler16_cs[], handler16_end[], handler16_last[];
extern const uint8_t handler86_error[], handler86[], handler86_cs[], handler86_end[], handler86_last[];

static void put16(struct program *p, uint32_t at, uint32_t v) { memcpy(p->ram + at, &v, 2); }

uint32_t program_word_16(struct random *r, const struct program *p)
{
	uint32_t high = one_in(r, 6) ? random_next(r) << 16 : 0, low;
	switch (random_below(r, 8)) {
	case 0:
		return random_next(r);
	case 1:
		return high | random_below(r, 64);
	case 2:
		return high | (0x10000 - random_below(r, 12));
	case 3:
		low = random_below(r, 16) << 12;
		return high | low | (0x1000 - random_below(r, 8));
	case 4:
		if (!p->real)
			return SEL_FIRST_DATA + random_below(r, DATA_SEGS) * 8 + (p->user ? 3 : 0);
		low = 0x1000 + random_below(r, 0x5000);
		return low | random_next(r) << 16;
	case 5:
		return p->cpu.eip + random_below(r, SLOTS * SLOT_BYTES);
	default:
		return high | random_below(r, 0x10000);
	}
}

static struct segment real_segment(uint16_t selector, uint32_t limit, uint16_t attr)
{
	struct segment s = { .selector = selector, .base = (uint32_t)selector << 4, .limit = limit, .attr = attr };
	segment_derive(&s);
	return s;
}

/* Handlers of 16-bit code: at HANDLERS_AT, and for exceptions with an error code at ERROR_ENTRY behind it. */
static void put_handlers_16(struct program *p, uint16_t next_seg, uint16_t cs)
{
	static const uint8_t drop[] = { 0x83, 0xC4, 0x02 };			/* add $2, %sp */
	const uint32_t entry[2] = { HANDLERS_AT, HANDLERS_AT + ERROR_ENTRY + sizeof(drop) };

	memcpy(p->ram + HANDLERS_AT + ERROR_ENTRY, drop, sizeof(drop));
	for (unsigned k = 0; k < 2; k++) {
		memcpy(p->ram + entry[k], handler16, (size_t)(handler16_last - handler16));
		put16(p, entry[k] + (uint32_t)(handler16_next - handler16) + 1, next_seg);
		put16(p, entry[k] + (uint32_t)(handler16_cs - handler16) + 3, cs);
		put16(p, entry[k] + (uint32_t)(handler16_end - handler16) + 1, p->cpu.eip + (SLOTS - 1) * SLOT_BYTES);
	}
}

/* Real mode: segments of 64 KiB, or what a visit to protected mode may have left. */
static void real_mode(struct random *r, struct program *p, uint16_t cs)
{
	struct vcpu *cpu = &p->cpu;
	for (unsigned i = 0; i < 6; i++) {
		static const uint32_t limits[] = { 0xFFFFFFFF, 0xFFFFF, 0x7FFF, 0x1FFFF };
		static const uint16_t attrs[] = { 0x0093, 0x00F3, 0xC093, 0x0091, 0x4093, 0x0097, 0x009B };
		bool odd = i != SEG_CS && i != SEG_SS && one_in(r, 5);
		uint16_t selector = (uint16_t)(0x2000 + random_below(r, 0x4000));
		uint32_t limit = odd ? limits[random_below(r, 4)] : 0xFFFF;
		cpu->seg[i] = real_segment(selector, limit, odd && one_in(r, 3) ? attrs[random_below(r, ARRAY_LEN(attrs))] : 0x93);
	}
	uint32_t code_limit = one_in(r, 6) ? 0xFFFFFFFF : 0xFFFF;
	cpu->seg[SEG_CS] = real_segment(cs, code_limit, one_in(r, 8) ? 0x9B : 0x93);
	cpu->seg[SEG_SS] = real_segment(0x6000, 0xFFFF, one_in(r, 8) ? 0x4093 : 0x93);
	cpu->idtr = (struct table_register){ 0, 0x3FF };
	put_handlers_16(p, NEXT_SLOT >> 4, cs);
	for (unsigned v = 0; v < 256; v++)
		put32(p, v * 4, (HANDLERS_AT >> 4) << 16);
	cpu->cr0 = CR0_ET | CR0_NE;
}

static void tables(struct program *p)
{
	struct vcpu *cpu = &p->cpu;
	struct segment tss = program_descriptor(p, SEL_TSS, TSS_AT, 0x67, 0x008B);

	program_descriptor(p, SEL_CODE0_32, 0, 0xFFFFFFFF, 0xC09B);
	program_descriptor(p, SEL_DATA0_32, 0, 0xFFFFFFFF, 0xC093);
	put32(p, TSS_AT + 4, KERNEL_STACK);
	put32(p, TSS_AT + 8, SEL_DATA0_32);
	put32(p, TSS_AT + 0x64, 0x68 << 16);
	cpu->gdtr = (struct table_register){ GDT_AT, SEL_FIRST_DATA + DATA_SEGS * 8 - 1 };
	cpu->idtr = (struct table_register){ IDT_AT, 256 * 8 - 1 };
	cpu->tr = tss;
}

static bool has_error_code(unsigned vector) { return vector == EXC_DF || (vector >= EXC_TS && vector <= EXC_PF) || vector == EXC_AC; }

static void vm86_mode(struct random *r, struct program *p, uint16_t cs)
{
	struct vcpu *cpu = &p->cpu;

	tables(p);
	for (unsigned i = 0; i < 6; i++)
		cpu->seg[i] = real_segment(i == SEG_CS ? cs : i == SEG_SS ? 0x6000 : (uint16_t)(0x2000 + random_below(r, 0x4000)), 0xFFFF, 0xF3);
	cpu->eflags |= EFLAGS_VM | (one_in(r, 3) ? 0 : EFLAGS_IOPL);
	cpu->cr4 |= one_in(r, 4) ? CR4_VME : 0;
	memcpy(p->ram + HANDLERS_AT, handler86_error, (size_t)(handler86_last - handler86_error));
	put32(p, HANDLERS_AT + (uint32_t)(handler86_cs - handler86_error) + 4, cs);
	put32(p, HANDLERS_AT + (uint32_t)(handler86_end - handler86_error) + 1, cpu->eip + (SLOTS - 1) * SLOT_BYTES);
	for (unsigned v = 0; v < 256; v++) {
		uint32_t at = HANDLERS_AT + (has_error_code(v) ? 0 : (uint32_t)(handler86 - handler86_error));
		put32(p, IDT_AT + v * 8, (at & 0xFFFF) | SEL_CODE0_32 << 16);
		put32(p, IDT_AT + v * 8 + 4, 0xEE00);
	}
	p->paging = one_in(r, 2) ? PAGING_32 : PAGING_OFF;
	if (p->paging)
		program_pages(r, p);
	cpu->cr3 = PAGE_DIR;
	cpu->cr0 = CR0_PE | CR0_ET | CR0_NE | (p->paging ? CR0_PG : 0);
}

static void protected_mode(struct random *r, struct program *p, uint32_t code_base)
{
	struct vcpu *cpu = &p->cpu;
	unsigned rpl = p->user ? 3 : 0, dpl = p->user ? 0x60 : 0;
	struct segment data[DATA_SEGS];

	tables(p);
	cpu->seg[SEG_CS] = program_descriptor(p, SEL_CODE16 + rpl, code_base, one_in(r, 4) ? cpu->eip + SLOTS * SLOT_BYTES - random_below(r, 99)
	    : 0xFFFF, (uint16_t)(0x009B | dpl));
	program_descriptor(p, SEL_HANDLERS, HANDLERS_AT, 0xFFFF, 0x009B);
	program_descriptor(p, SEL_NEXT, NEXT_SLOT, 0xFFFF, 0x0093);
	program_descriptor(p, SEL_STACK0, 0x8000, 0xFFFF, 0x0093);
	put32(p, TSS_AT + 4, 0x1000);
	put32(p, TSS_AT + 8, SEL_STACK0);
	for (unsigned i = 0; i < DATA_SEGS; i++) {
		static const uint16_t kinds[] = { 0x0093, 0x0093, 0xC093, 0x4093, 0x0091, 0x0097, 0x009B };
		uint16_t attr = (uint16_t)(kinds[random_below(r, i == 0 ? 2 : 7)] | dpl);
		uint32_t limit = attr & SEG_G ? 0xFFFFFFFF : i == 0 || one_in(r, 2) ? 0xFFFF : 0x8000 + random_below(r, 0x20000);
		data[i] = program_descriptor(p, SEL_FIRST_DATA + i * 8 + rpl, one_in(r, 4) ? 0 : random_below(r, 0x50000), limit, attr);
	}
	for (unsigned i = 0; i < 6; i++)
		if (i != SEG_CS)
			cpu->seg[i] = data[random_below(r, DATA_SEGS)];
	cpu->seg[SEG_SS] = data[0];
	put_handlers_16(p, SEL_NEXT, (uint16_t)(SEL_CODE16 + rpl));
	for (unsigned v = 0; v < 256; v++) {
		put32(p, IDT_AT + v * 8, (has_error_code(v) ? ERROR_ENTRY : 0) | SEL_HANDLERS << 16);
		put32(p, IDT_AT + v * 8 + 4, v % 3 ? 0x8600 : 0xE600);		/* 16-bit gates */
	}
	cpu->cr0 = CR0_PE | CR0_ET | CR0_NE;
}

void program_make_16(struct program *p, struct random *r)
{
	struct vcpu *cpu = &p->cpu;
	unsigned mode = random_below(r, 3);

	memset(p, 0, sizeof(*p));
	p->sixteen = true;
	p->real = mode != 2;
	p->user = mode == 1 || (mode == 2 && one_in(r, 2));
	/* now and then the last slot ends where the segment does */
	cpu->eip = one_in(r, 3) ? 0x10000 - SLOTS * SLOT_BYTES : random_below(r, 4) * 0x100;
	uint32_t base = CODE_AT - cpu->eip;
	program_slots(r, p);
	for (unsigned i = 0; i < 8; i++)
		cpu->gpr[i] = program_word_16(r, p);
	cpu->gpr[REG_ESP] = one_in(r, 8) ? program_word_16(r, p) : 0xF000;
	cpu->eflags = random_flags(r);
	cpu->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
	if (mode == 0)
		real_mode(r, p, (uint16_t)(base >> 4));
	else if (mode == 1)
		vm86_mode(r, p, (uint16_t)(base >> 4));
	else
		protected_mode(r, p, base);
	put32(p, NEXT_SLOT, cpu->eip);
	program_rest(r, cpu);
}
