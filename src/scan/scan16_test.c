/*
 * 16-bit code: the same program under emulator, scanner and lock-step, in real mode, in real mode with
 * 4 GiB segments ("unreal"), in virtual-8086 mode and in 16-bit protected mode, must end the same.
 */
#include "scan/internal.h"
#include "scan/test_machine.h"

enum { CODE_SEG = 0x1000, DATA_SEG = 0x2000, EXTRA_SEG = 0x3000, STACK_SEG = 0x4000, IDT_AT = 0x80000, TSS_AT = 0x81000, HALT_AT = 0x82000,
	GDT_AT = 0x83000, STACK0_AT = 0x90000 };

enum setting { REAL, UNREAL, VM86, PROTECTED, PROTECTED_STACK32, SETTINGS };

static void put(struct machine *m, uint32_t at, uint32_t v) { memcpy(m->phys.ram + at, &v, 4); }

static struct segment segment(uint16_t selector, uint32_t limit, uint16_t attr)
{
	struct segment s = { .selector = selector, .base = (uint32_t)selector << 4, .limit = limit, .attr = attr };
	segment_derive(&s);
	return s;
}

/* HLT in vm86 mode is a #GP: its handler halts. */
static void vm86_tables(struct machine *m)
{
	struct vcpu *cpu = &m->cpu;

	put(m, GDT_AT + 8, 0x0000FFFF);
	put(m, GDT_AT + 12, 0x00CF9B00);
	put(m, GDT_AT + 16, 0x0000FFFF);
	put(m, GDT_AT + 20, 0x00CF9300);
	put(m, IDT_AT + EXC_GP * 8, (HALT_AT & 0xFFFF) | 8 << 16);
	put(m, IDT_AT + EXC_GP * 8 + 4, (HALT_AT & 0xFFFF0000) | 0x8E00);
	m->phys.ram[HALT_AT] = 0xF4;
	put(m, TSS_AT + 4, STACK0_AT);
	put(m, TSS_AT + 8, 16);
	cpu->gdtr = (struct table_register){ GDT_AT, 23 };
	cpu->idtr = (struct table_register){ IDT_AT, 256 * 8 - 1 };
	cpu->tr = (struct segment){ .selector = 24, .attr = SEG_P | 0xB, .base = TSS_AT, .limit = 0x67 };
}

static struct machine *machine16(bool scan, enum setting setting, const uint8_t *code, size_t len)
{
	struct machine *m = flat_machine(scan, code, len);
	struct vcpu *cpu = &m->cpu;
	static const uint16_t selectors[6] = { [SEG_ES] = EXTRA_SEG, [SEG_CS] = CODE_SEG, [SEG_SS] = STACK_SEG, [SEG_DS] = DATA_SEG,
		[SEG_FS] = DATA_SEG, [SEG_GS] = EXTRA_SEG };

	memcpy(m->phys.ram + (CODE_SEG << 4) + 0x100, code, len);
	for (unsigned i = 0; i < 0x20000; i++)
		m->phys.ram[(DATA_SEG << 4) + i] = (uint8_t)(i * 37 + (i >> 8) + 11);
	for (unsigned i = 0; i < 6; i++) {
		uint16_t attr = setting == VM86 ? 0xF3 : setting >= PROTECTED && i == SEG_CS ? 0x9B : 0x93;
		bool big = (setting == UNREAL && i != SEG_CS && i != SEG_SS);
		cpu->seg[i] = segment(selectors[i], big ? 0xFFFFFFFF : 0xFFFF, attr);
	}
	if (setting == PROTECTED_STACK32) {
		cpu->seg[SEG_SS].attr |= SEG_DB;
		segment_derive(&cpu->seg[SEG_SS]);
	}
	if (setting == REAL || setting == UNREAL)
		cpu->cr0 &= ~(uint32_t)CR0_PE;
	if (setting >= PROTECTED)		/* no RPL: CPL 0 */
		for (unsigned i = 0; i < 6; i++)
			cpu->seg[i].selector &= 0xFFFC;
	if (setting == VM86) {
		vm86_tables(m);
		cpu->eflags |= EFLAGS_VM | EFLAGS_IOPL;
	}
	cpu->eip = 0x100;
	cpu->gpr[REG_ESP] = 0x1234FF00;
	if (setting == PROTECTED_STACK32)
		cpu->gpr[REG_ESP] = 0xFF00;
	cpu->gpr[REG_EAX] = 0x89ABCDEF;
	cpu->gpr[REG_ECX] = 0x00010005;
	cpu_update_mode(cpu);
	mmu_flush(cpu, true);
	return m;
}

static void compare_in(enum setting setting, const uint8_t *code, const uint8_t *end)
{
	size_t len = (size_t)(end - code);
	struct machine *e = machine16(false, setting, code, len), *s = machine16(true, setting, code, len);
	CHECK_EQ(emulate_run(&e->cpu), NEXT_HALT);
	must_halt(s);
	CHECK(s->cpu.scanner->nblocks > 0);
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(s->cpu.gpr[i], e->cpu.gpr[i]);
	CHECK_EQ(s->cpu.eip, e->cpu.eip);
	CHECK_EQ(s->cpu.eflags, e->cpu.eflags);
	for (unsigned i = 0; i < 6; i++) {
		CHECK_EQ(s->cpu.seg[i].selector, e->cpu.seg[i].selector);
		CHECK_EQ(s->cpu.seg[i].base, e->cpu.seg[i].base);
		CHECK_EQ(s->cpu.seg[i].limit, e->cpu.seg[i].limit);
		CHECK_EQ(s->cpu.seg[i].attr, e->cpu.seg[i].attr);
	}
	CHECK_EQ(memcmp(s->phys.ram, e->phys.ram, RAM_BYTES), 0);
	machine_free(s);

	must_halt_in_lockstep(machine16(true, setting, code, len), e);
	machine_free(e);
}

static void compare16(const uint8_t *code, const uint8_t *end, unsigned settings)
{
	for (unsigned i = 0; i < SETTINGS; i++)
		if (settings & BIT(i))
			compare_in((enum setting)i, code, end);
}

#define ALL		(BIT(SETTINGS) - 1)
#define SEGMENTED	(BIT(REAL) | BIT(UNREAL) | BIT(VM86))	/* selectors are paragraphs */
#define PROGRAM16(name, settings, text)					\
	ASSEMBLE(name, 16, text)					\
	TEST(name) { compare16(prog_##name, prog_##name##_end, settings); }

PROGRAM16(scan_runs_16_bit_arithmetic, ALL,
	"mov $1, %ax; add $2, %ax; lea 5(%bx,%si), %cx; mov %cx, %si; not %si; sub %ax, %cx; imul $7, %cx, %dx; cwtd; add %eax, %ecx\n"
	"mov $0x12345678, %edi; ror $3, %di; bswap %edi; xchg %ah, %al; movzx %al, %bp; adc $0x7f, %bp; lea 0x10(%eax,%ecx,4), %esi; lea (%esi), %di")

PROGRAM16(scan_reads_and_writes_16_bit_memory, ALL,
	"mov $0x20, %bx; mov $3, %si; mov (%bx), %ax; mov 1(%bx,%si), %dl; mov %ax, 0x300; addw $5, 0x300; mov 0x301, %ah; mov %ah, (%si)\n"
	"cmp %dh, 0x301; adc (%bx), %ch; add %bh, 4(%bx); mov %es:7(%si), %cx; mov %cx, %es:(%bx); mov $0xfffe, %di; mov (%di), %bp\n"
	"mov %bp, %es:(%di); mov $0xfff0, %bx; mov $0x20, %si; mov (%bx,%si), %dx; mov -4(%si), %ax; mov $0x8000, %bx; mov 0x7ffe(%bx), %al\n"
	"incl 0x400; mov 2(%bp), %ax; mov %ax, -8(%bp); test %bh, 0x55; xor 0x66, %dh; sbb %ah, 0x67; or 0x68, %bh; mov $1, %ebx; mov 8(%ebx), %eax")

PROGRAM16(scan_keeps_flags_across_16_bit_limit_checks, ALL,
	"mov $0x20, %bx; mov $100, %cx; xor %ax, %ax; stc; 1: mov (%bx), %dx; adc %dx, %ax; mov %ax, 0x800(%bx); rcr $1, %dx\n"
	"lea 4(%bx), %bx; dec %cx; jnz 1b; pushf; pop %si; and $0xfff, %si")

PROGRAM16(scan_runs_a_16_bit_stack, ALL,
	"push %sp; push $5; push %ax; pop %bx; mov %sp, %ax; add $4, %sp; sub $16, %sp; mov %sp, %cx; push %bp; mov %sp, %bp; push %eax\n"
	"push $0x1234; pushl $7; popl %edx; lea 8(%esp), %esp; push (%bx); pop (%si); pop %di; leave; pushl %esp; popl %edi; push %cs; pop %dx; pushl %ds\n"
	"mov %esp, %ebp; add $2, %bp; mov %bp, %sp; pushw %es:4; popl %es:8; pusha; popa; pushal; popal; enter $8, $1; leave; pop %ax; sub $0xfe00, %sp; add $0xfe00, %sp")

PROGRAM16(scan_pushes_and_pops_all_16_bit_registers, ALL,
	"mov $9, %cx; stc; 1: pusha; adc %bx, %ax; pushf; pop %si; and $0xfff, %si; popa; pushal; adc $3, %dx; popal; enter $6, $0; mov %bp, %di; sub %sp, %di; adc %di, %ax; leave; enter $0, $0; leave\n"
	"dec %cx; jnz 1b; mov $20, %sp; pusha; popa; mov $16, %sp; pusha; popa; mov $0x8000, %sp; pushal; mov %sp, %ax; popal; mov $6, %sp; enter $2, $0; leave")

PROGRAM16(scan_wraps_sp_within_a_pusha, BIT(REAL) | BIT(VM86) | BIT(PROTECTED),
	"mov $8, %sp; pusha; mov $0x1234, %ax; mov $0x5678, %di; popa; mov $4, %sp; enter $8, $0; mov %bp, %ax; leave")

PROGRAM16(scan_wraps_sp_at_64k, BIT(REAL) | BIT(VM86) | BIT(PROTECTED),
	"mov $4, %sp; push %ax; push %cx; push %dx; push %bx; pop %si; pop %di; pop %ax; pop %bp; mov $2, %sp; push $8; push $9\n"
	"call 1f; jmp 2f; 1: ret; 2: add $4, %sp; pop %dx")

PROGRAM16(scan_pairs_16_bit_calls_and_returns, ALL,
	"mov $15, %ax; call 1f; jmp 9f; 1: cmp $2, %ax; jb 2f; push %ax; dec %ax; call 1b; pop %dx; push %ax; mov %dx, %ax; sub $2, %ax; call 1b; pop %dx\n"
	"add %dx, %ax; 2: ret; 9: calll 3f; call 4f; 5: pop %bx; add $(6f-5b), %bx; push %bx; ret; 6: add $(7f-6b), %bx; jmp *%bx; 3: retl; 4: jmp 5b\n"
	"7: add $(8f-7b), %bx; mov %bx, 0x500; call *0x500; jmp 1f; 8: push $3; call 2f; ret; 2: ret $2; 1:")

PROGRAM16(scan_loops_on_cx, ALL,
	"mov $5, %cx; xor %ax, %ax; 1: inc %ax; loop 1b; mov $9, %cx; 2: cmp $4, %cx; loopne 2b; pushf; pop %dx; and $0xfff, %dx; 3: jcxz 4f; cmp %cx, %cx; loope 3b; 4: jcxz 5f; inc %si\n"
	"5: mov $3, %ecx; .byte 0x67; loop 6f; 6: jecxz 7f; inc %di; 7: loop 8f; 8: loop 9f; 9:")

PROGRAM16(scan_runs_16_bit_strings, ALL,
	"cld; xor %si, %si; mov $0x40, %di; lodsb; lodsw; stosw; movsb; movsw; lodsl; stosl; mov $9, %cx; rep movsw; cmpsb; pushf; pop %dx; and $0xfff, %dx; scasw; std; lodsb; movsb; cld\n"
	"mov $0xfffe, %si; lodsw; lodsb; mov $0xfffe, %di; stosw; stosb; xor %di, %di; mov $200, %cx; mov $0x55, %al; repne scasb; stc; lodsb; adc $0, %ah; es lodsb; mov $3, %ecx; .byte 0x67; rep movsb; .byte 0x67; lodsb\n"
	"mov $0x10, %bx; mov $7, %al; xlat; es xlat; .byte 0x67; xlat")

PROGRAM16(scan_loads_segments_of_real_mode, SEGMENTED,
	"mov %ds, %ax; add $1, %ax; mov %ax, %ds; mov (2), %cx; mov %ax, %es; mov %cx, %es:(4); push %ds; pop %fs; mov %fs:(0), %dx; movw $0x10, (0); movw $0x2100, (2); les (0), %di; lds %es:(4), %si\n"
	"mov $0x2000, %bx; mov %bx, %ds; movl $0x5, (0x10); movw $0x2010, (0x14); lfsl (0x10), %ebx; lgs (0x10), %bp; mov %ds, (0x20); mov (0x20), %es; mov %gs, %ecx; push %es; pop %ds; mov $0, %ax; mov %ax, %es; mov %es:0x20000-0x10000, %dl\n"
	"mov $0x4100, %ax; mov $0xff00, %bx; mov %ax, %ss; mov %bx, %sp; push %ax; pop %dx; mov $0x4000, %ax; push %ax; pop %ss; mov $0x2000, %ax; mov %ax, %ds")

PROGRAM16(scan_runs_far_transfers_of_real_mode, SEGMENTED,
	"mov $6, %cx; 1: push %cx; call 2f; pop %cx; loop 1b; jmp 9f; 2: push %cs; call 3f; call 3f+1; ret; 3: lretw; ret; 9: push %cs; push $(4f-prog_scan_runs_far_transfers_of_real_mode+0x100); lretw; nop; 4:\n"
	"ljmpw $0x1001, $(5f-prog_scan_runs_far_transfers_of_real_mode+0xf0); 5: lcallw $0x1000, $(6f-prog_scan_runs_far_transfers_of_real_mode+0x100); jmp 7f; 6: mov $3, %dx; lret; 7: movw $(8f-prog_scan_runs_far_transfers_of_real_mode+0xe0), (0); movw $0x1002, (2)\n"
	"ljmpw *(0); 8: mov %cs, %bx")

PROGRAM16(scan_sees_16_bit_code_change_under_it, ALL & ~(BIT(PROTECTED) | BIT(PROTECTED_STACK32)),
	"mov %cs, %ax; mov %ax, %ds; call 0f; 0: pop %bx; mov $20, %cx; xor %ax, %ax; 1: call 2f; incw (2f-0b+1)(%bx); loop 1b; movb $0x90, %cs:(3f-0b)(%bx); 3: inc %ax; jmp 4f\n"
	"2: add $0x0102, %ax; ret; 4:")

PROGRAM16(scan_pushes_16_bit_flags, BIT(REAL) | BIT(UNREAL) | BIT(PROTECTED),
	"stc; pushf; pop %ax; sti; pushf; pop %bx; cli; cmp %al, %al; pushfl; popl %ecx; push $0x8d7; popf; pushf; pop %dx; std; pushf; pop %si; cld")
