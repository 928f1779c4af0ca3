/*
 * Scanned code against the emulator: the same program from the same state under both engines must
 * end in the same state. The programs are assembled here, for a flat protected-mode machine.
 */
#include <x86intrin.h>

#include "cpu/stops.h"
#include "mmu/window.h"
#include "scan/internal.h"
#include "scan/test_machine.h"

/* Run a program that ends with HLT under both engines and compare. */
static void compare(const uint8_t *code, const uint8_t *end)
{
	struct machine *e = flat_machine(false, code, (size_t)(end - code));
	struct machine *s = flat_machine(true, code, (size_t)(end - code));
	CHECK_EQ(emulate_run(&e->cpu), NEXT_HALT);
	must_halt(s);
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(s->cpu.gpr[i], e->cpu.gpr[i]);
	CHECK_EQ(s->cpu.eip, e->cpu.eip);
	CHECK_EQ(s->cpu.eflags, e->cpu.eflags);
	CHECK_EQ(memcmp(s->cpu.fx.st, e->cpu.fx.st, sizeof(e->cpu.fx.st)), 0);
	CHECK_EQ(memcmp(s->cpu.fx.xmm, e->cpu.fx.xmm, sizeof(e->cpu.fx.xmm)), 0);
	CHECK_EQ(memcmp(s->phys.ram, e->phys.ram, RAM_BYTES), 0);
	machine_free(s);

	must_halt_in_lockstep(flat_machine(true, code, (size_t)(end - code)), e);
	machine_free(e);
}

/* Scanned code that is not what the guest's bytes say: they change and only the emulator is told. */
static void plant(const uint8_t *code, const uint8_t *end, unsigned at, uint8_t byte, const char *says)
{
	struct machine *m = flat_machine(true, code, (size_t)(end - code));
	CHECK_EQ(scan_lockstep(&m->cpu, NULL), 0);
	CHECK_EQ(scan_run(&m->cpu), NEXT_HALT);
	m->phys.ram[CODE_AT + at] = byte;
	emulate_code_written(&m->cpu, CODE_AT + at, 1);
	m->cpu.halted = false;
	m->cpu.eip = CODE_AT;
	CHECK_EQ(scan_run(&m->cpu), NEXT_STOP);
	CHECK(strstr(scan_stop_text(&m->cpu), says) != NULL);
	machine_free(m);
}

#define PROGRAM(name, text)						\
	ASSEMBLE(name, 32, text)					\
	TEST(name) { compare(prog_##name, prog_##name##_end); }

#define PLANTED(name, text, at, byte, says)				\
	ASSEMBLE(name, 32, text)					\
	TEST(name) { plant(prog_##name, prog_##name##_end, at, byte, says); }

PLANTED(lockstep_finds_a_wrong_register, "mov $5, %ecx", 1, 6, "gpr[1]")
PLANTED(lockstep_finds_a_wrong_flag, "cmp $5, %cl", 2, 6, "eflags")
PLANTED(lockstep_finds_a_store_of_a_wrong_value, "movb $5, 0x200000", 6, 6, "memory")
PLANTED(lockstep_finds_a_store_to_a_wrong_place, "movb $5, 0x200000", 3, 0x10, "memory")
PLANTED(lockstep_finds_a_missing_branch, "stc; jc 1f; inc %eax; 1:", 1, 0x73, "gpr[0]")

/* Where the load of instruction i begins, in the block at CODE_AT. */
static const uint8_t *host_of(const struct machine *m, unsigned i)
{
	const struct scanner *s = m->cpu.scanner;
	for (uint32_t k = 0; k < s->nblocks; k++)
		if (s->order[k]->eip == CODE_AT && s->order[k]->mode & MODE_DIRECT)
			return s->order[k]->host + s->order[k]->rec[i].host_off;
	fail_msg("no block");
	return NULL;
}

ASSEMBLE(loads_and_stores, 32, "mov 8(%ecx), %eax; mov 8(%esi), %eax; mov %eax, 8(%esi); mov 8(%ebp), %eax; mov 8(,%ebx,4), %eax")
TEST(a_load_has_the_form_of_the_stores_by_its_register)	/* GS: 65 67 */
{
	static const bool by_gs[] = { false, true, true, true, false };
	struct machine *m = flat_machine(true, prog_loads_and_stores, (size_t)(prog_loads_and_stores_end - prog_loads_and_stores));
	must_halt(m);
	for (unsigned i = 0; i < ARRAY_LEN(by_gs); i++)
		CHECK_EQ(host_of(m, i)[0] == 0x65, by_gs[i]);
	machine_free(m);
}

PROGRAM(scan_wraps_a_scaled_index_at_4_gib,
	"mov $0xffffffff, %ecx; mov $3, %edi; 1: mov 0x200010(,%ecx,4), %eax; mov 0x200020(,%ecx,8), %edx; movzwl 0x200008(,%ecx,2), %ebx;"
	"mov 0x200100(,%ecx,4), %bh; add 0x200040(,%ecx,4), %esi; mov $0x20000003, %ebp; add 0x200000(,%ebp,8), %eax;"
	"mov $7, %ebp; movb 0x200000(,%ebp,2), %ah; cmp %eax, 0x200000(,%ebp,4); adc $0, %esi; dec %edi; jnz 1b")

/* At 0x110000 a caller of *%esi that then sets EBX to 1. The last call puts another page there meanwhile, which sets it to 2. */
PROGRAM(invlpg_of_the_callers_page_is_seen_by_the_return,
	"mov $0x280000, %edi; mov $7, %eax; 1: stosl; add $0x1000, %eax; cmp $0x400007, %eax; jb 1b; movl $0x280007, 0x281000;"
	"movl $0x01bbd6ff, 0x110000; movl $0xc3000000, 0x110004; movl $0x02bbd6ff, 0x112000; movl $0xc3000000, 0x112004;"
	"mov $0x281000, %eax; mov %eax, %cr3; mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0; mov $0x110000, %edi;"
	"call 2f; 2: pop %esi; add $4f-2b, %esi; mov $3, %ecx; 3: call *%edi; add %ebx, %ebp; loop 3b;"
	"add $5f-4f, %esi; call *%edi; add %ebx, %ebp; jmp 6f;"
	"4: invlpg 0x120000; ret; 5: movl $0x112007, 0x280440; invlpg 0x110000; ret; 6:")

TEST(invlpg_of_the_callers_page_is_seen_by_the_return_where_a_debugger_holds_another_place_of_it)
{
	const uint8_t *code = prog_invlpg_of_the_callers_page_is_seen_by_the_return;
	struct machine *m = flat_machine(true, code, (size_t)(prog_invlpg_of_the_callers_page_is_seen_by_the_return_end - code));
	struct stops *s = calloc(1, sizeof(*s));
	s->brk[s->nbrk++] = 0x110800;
	stops_changed(&m->cpu, s);
	must_halt(m);
	CHECK_EQ(m->cpu.gpr[REG_EBP], 5);
	machine_free(m);
	free(s);
}

/* The same, but before that so many pages are looked at that the software TLB is emptied. LAR is a call-out, so each fills an entry. */
ASSEMBLE(full_tlb, 32,
	"mov $0x280000, %edi; mov $7, %eax; 1: stosl; add $0x1000, %eax; cmp $0x400007, %eax; jb 1b; mov $0x281000, %edi; movl $0x280007, %eax; stosl;"
	"mov $0x87, %eax; mov $1023, %ecx; rep stosl; mov $0x281000, %eax; mov %eax, %cr3; mov %cr4, %eax; or $0x10, %eax; mov %eax, %cr4;"
	"movl $0x01bbd6ff, 0x110000; movl $0xc3000000, 0x110004; movl $0x02bbd6ff, 0x112000; movl $0xc3000000, 0x112004;"
	"mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0; mov $0x110000, %edi; call 2f; 2: pop %esi; add $4f-2b, %esi;"
	"call *%edi; jmp 6f; 4: mov $0x400000, %eax; mov $0x10010, %ecx; 5: lar (%eax), %edx; add $0x1000, %eax; loop 5b;"
	"movl $0x112007, 0x280440; invlpg 0x110000; ret; 6:")
TEST(invlpg_of_the_callers_page_is_seen_behind_an_overflow_of_the_tlb)
{
	for (unsigned scan = 0; scan < 2; scan++) {
		struct machine *m = flat_machine(scan, prog_full_tlb, (size_t)(prog_full_tlb_end - prog_full_tlb));
		if (scan)
			must_halt(m);
		else
			CHECK_EQ(emulate_run(&m->cpu), NEXT_HALT);
		CHECK_EQ(m->cpu.gpr[REG_EBX], 2);
		machine_free(m);
	}
}

/* A GDT and an IDT whose gate of #DB leads to a handler that counts in EBP and sets RF for the return; the place at 0x110000 is called
 * as a far branch, through the hash and by a chained call before the breakpoint is there and after, and once it is gone again. */
PROGRAM(an_instruction_breakpoint_is_met_by_every_way_to_its_page,
	"movl $0x0000ffff, 0x280008; movl $0x00cf9b00, 0x28000c; movl $0x00280000, 0x280082; movw $15, 0x280080; lgdt 0x280080;"
	"movl $0x00280100, 0x280092; movw $0x7f, 0x280090; lidt 0x280090; call 1f; 1: pop %eax; add $9f-1b, %eax;"
	"movw %ax, 0x280108; movw $8, 0x28010a; shr $16, %eax; movw $0x8e00, 0x28010c; movw %ax, 0x28010e;"
	"movl $0xc34290fb, 0x110000; movl $0x0c9090c3, 0x110010; mov $0x110000, %edi; xor %ebp, %ebp; xor %edx, %edx;"
	"mov $3, %ebx; 2: mov $100, %ecx; 3: call *%edi; call 4f; loop 3b; mov $0x110002, %eax; mov %eax, %dr1; mov $8, %eax; mov %eax, %dr7;"
	"dec %ebx; jnz 2b; xor %eax, %eax; mov %eax, %dr7; mov $100, %ecx; 5: call *%edi; loop 5b; mov %dr6, %esi; jmp 8f;"
	"4: push %edi; ret; 9: inc %ebp; orl $0x10000, 8(%esp); iret; 8:")

ASSEMBLE(loop, 32, "mov $0x110000, %eax; mov %eax, %dr0; mov $2, %eax; mov %eax, %dr7; mov $10000, %ecx; 1: call 2f; loop 1b; jmp 3f; 2: ret; 3:")
TEST(an_instruction_breakpoint_in_another_page_leaves_code_scanned)
{
	struct machine *m = flat_machine(true, prog_loop, (size_t)(prog_loop_end - prog_loop));
	must_halt(m);
	CHECK(m->cpu.icount < 1000);		/* what the emulator or the monitor saw of them */
	machine_free(m);
}

ASSEMBLE(flips_wp, 32, "mov $1000, %ecx; 1: mov %cr0, %eax; xor $0x10000, %eax; mov %eax, %cr0; incl 0x200000; push %eax; pop %eax; loop 1b")
ASSEMBLE(counts, 32, "mov $1000000, %ecx; 1: incl 0x200000; dec %ecx; jnz 1b")
TEST(a_kernel_window_that_flushes_empty_again_and_again_rests_until_they_end)
{
	struct machine *m = flat_machine(true, prog_flips_wp, (size_t)(prog_flips_wp_end - prog_flips_wp));
	uint32_t sum;
	memcpy(&sum, m->phys.ram + DATA_AT, sizeof(sum));
	for (unsigned i = 0; i < 1000 && !window_kernel_rests(&m->cpu); i++, sum += 1000) {
		m->cpu.halted = false;
		m->cpu.eip = CODE_AT;
		must_halt(m);
	}
	CHECK(window_kernel_rests(&m->cpu));
	machine_write(m, CODE_AT, prog_counts, (size_t)(prog_counts_end - prog_counts));
	emulate_code_written(&m->cpu, CODE_AT, 64);
	scan_flush(&m->cpu);
	for (unsigned i = 0; i < 100000 && window_kernel_rests(&m->cpu); i++, sum += 1000000) {
		m->cpu.halted = false;
		m->cpu.eip = CODE_AT;
		must_halt(m);
	}
	CHECK(!window_kernel_rests(&m->cpu));
	CHECK_EQ(memcmp(m->phys.ram + DATA_AT, &sum, sizeof(sum)), 0);
	machine_free(m);
}

/* A trampoline on the stack, written and run anew each time. */
ASSEMBLE(trampolines, 32, "xor %edx, %edx; mov $5000, %ecx; 1: sub $16, %esp; movb $0xb8, (%esp); mov %ecx, 1(%esp); movb $0xc3, 5(%esp); call *%esp; add %eax, %edx;"
	"add $16, %esp; loop 1b")
TEST(a_page_of_the_kernels_that_is_code_and_data_in_turns_is_not_mapped_anew_each_time)
{
	struct machine *m = flat_machine(true, prog_trampolines, (size_t)(prog_trampolines_end - prog_trampolines));
	must_halt(m);
	CHECK_EQ(m->cpu.gpr[REG_EDX], 5000 * 5001 / 2);
	METER_ONLY(CHECK(m->cpu.meters.window[WF_UPGRADED] < 2500));
	machine_free(m);
}

/* 1000 blocks, each of which counts and goes on to the next: some 300 KiB of host code. */
ASSEMBLE(long_way, 32, "mov $0x110000, %edi; mov $1000, %ecx; 1: movl $0x90904090, (%edi); movl $0x90904090, 4(%edi); movl $0x00003be9, 8(%edi);"
	"movb $0, 12(%edi); add $72, %edi; dec %ecx; jnz 1b; movb $0xc3, (%edi); xor %eax, %eax")
ASSEMBLE(goes_it, 32, "mov $0x110000, %edi; call *%edi")
TEST(a_code_cache_that_is_full_again_and_again_grows_until_it_holds_what_runs)
{
	struct machine *m = flat_machine(true, prog_long_way, (size_t)(prog_long_way_end - prog_long_way));
	struct scanner *s = m->cpu.scanner;
	s->limit = s->bytes / 8;
	must_halt(m);
	machine_write(m, CODE_AT, prog_goes_it, (size_t)(prog_goes_it_end - prog_goes_it));
	emulate_code_written(&m->cpu, CODE_AT, 64);
	scan_flush(&m->cpu);
	uint64_t flushes = 0;
	uint32_t sum = 0;
	for (unsigned quiet = 0, i = 0; i < 100000 && quiet < 3; i++, sum += 2000) {
		quiet = flushes == s->flushes ? quiet + 1 : 0;
		flushes = s->flushes;
		m->cpu.halted = false;
		m->cpu.eip = CODE_AT;
		must_halt(m);
	}
	CHECK_EQ(s->flushes, flushes);
	CHECK(s->limit > s->bytes / 8);
	CHECK_EQ(m->cpu.gpr[REG_EAX], sum);
	machine_free(m);
}

PROGRAM(scan_pushes_and_pops_all_registers_and_makes_frames,
	"mov $100, %ecx; xor %ebp, %ebp; stc; 1: pusha; adc %eax, 28(%esp); rcll $3, 16(%esp); popa; adc $7, %ebx; pushaw; addw %ax, 4(%esp); popaw;"
	"mov %esp, %esi; enter $16, $0; adc %ebp, %edi; mov %esp, -4(%ebp); lea -4(%esp), %edx; sub %edx, %edi; leave; sub %esp, %esi; add %esi, %eax;"
	"enter $0, $0; leave; enter $40, $3; leave; enter $9000, $0; leave; loop 1b; pusha; mov %esp, %eax; mov $1, %ecx; 2: loop 2b; mov $0, %ecx; dec %ecx;"
	"shr $20, %ecx; stc; 3: adc $1, %edx; loop 3b")

PROGRAM(scan_runs_straight_line_code,
	"mov $1, %eax; add $2, %eax; lea 5(%eax,%eax,4), %ecx; mov %ecx, %esi; not %esi; bswap %esi; sub %eax, %ecx")

PROGRAM(scan_reads_and_writes_memory,
	"mov $0x200000, %ebx; mov (%ebx), %eax; mov 1(%ebx), %edx; movzbl 7(%ebx), %ecx; movsbl 9(%ebx), %esi\n"
	"mov %eax, 0x100(%ebx); mov %dx, 0x105(%ebx); mov %ch, 0x109(%ebx); addl $3, 0x100(%ebx); adc %edx, 0x200100\n"
	"mov 0x200ffd, %eax; mov %eax, 0x201ffe; incw (%ebx); lock xaddl %eax, 4(%ebx); cmpxchg %edx, 8(%ebx)")

PROGRAM(scan_keeps_flags_across_memory_checks,
	"mov $0x200000, %ebx; mov $100, %ecx; xor %eax, %eax; stc\n"
	"1: mov (%ebx), %edx; adc %edx, %eax; mov %eax, 0x800(%ebx); rcr $1, %edx; lea 4(%ebx), %ebx; dec %ecx; jnz 1b\n"
	"pushf; pop %esi")

PROGRAM(scan_pairs_calls_and_returns,
	"mov $18, %eax; call 1f; jmp 9f\n"
	"1: cmp $2, %eax; jb 2f; push %eax; dec %eax; call 1b; pop %edx; push %eax; lea -2(%edx), %eax; call 1b\n"
	"pop %edx; add %edx, %eax; 2: ret\n"
	"9:")

/* ret, and jmp *%edx, on the stack, where ESP has just been pushed to. */
PROGRAM(scan_calls_and_jumps_to_esp,
	"mov $2, %ecx; call 1f; 1: pop %edx; add $2f-1b, %edx; push %ebx; push $0xc3; call *%esp; push %ecx; push $0xe2ff; jmp *%esp; nop;"
	"2: lea 4(%esp), %esi; mov %esp, %edi; add $16, %esp; mov $7, %ebp")

PROGRAM(scan_survives_returns_that_match_no_call,
	"mov $50, %ecx; 1: call 2f; 2: pop %eax; add $(3f-2b), %eax; push %eax; ret; 3: dec %ecx; jnz 1b\n"
	"mov $200000, %edi; 4: call 5f; 5: dec %edi; jnz 4b; mov %esp, %ebp; mov $0x300000, %esp\n"
	"call 6f; jmp 8f; 6: call 3f; 3: addl $(7f-3b), (%esp); ret; 7: ret $0; 8:")

PROGRAM(scan_folds_the_stack_pointer,
	"push %esp; push $5; push %eax; pop %ebx; mov %esp, %eax; push 4(%esp); add $4, %esp; sub $16, %esp; mov %esp, %ecx\n"
	"push %ebp; mov %esp, %ebp; push %eax; push %ecx; lea 8(%esp), %esp; push (%esp); pop %edx; leave; pop %esi; pop %esp")

PROGRAM(scan_takes_indirect_branches,
	"call 0f; 0: pop %ebx; mov $30, %ecx\n"
	"1: mov %ecx, %eax; and $1, %eax; lea (2f-0b)(%ebx), %edx; test %eax, %eax; jz 5f; lea (3f-0b)(%ebx), %edx; 5: call *%edx\n"
	"loop 1b; lea (4f-0b)(%ebx), %edx; mov %edx, 0x200000; jmp *0x200000\n"
	"2: add $3, %esi; ret; 3: imul $5, %esi, %esi; inc %esi; ret; 4:")

PROGRAM(scan_sees_code_change_under_it,
	"call 0f; 0: pop %ebx; mov $20, %ecx; xor %eax, %eax\n"
	"1: call 2f; incl (2f-0b+1)(%ebx); loop 1b; movb $0x90, (3f-0b)(%ebx); 3: inc %eax; jmp 4f\n"
	"2: add $0x01020304, %eax; ret; 4:")

/* Code in a page of its own, written anew 24 times; what is there calls back, and changes itself while it runs. */
PROGRAM(scan_sees_code_that_is_written_anew_again_and_again,
	"call 0f; 0: pop %ebp; mov $0x180000, %ebx; mov $24, %ecx\n"
	"1: imul $0x01010101, %ecx, %edx; movb $5, (%ebx); mov %edx, 1(%ebx); movb $0xc3, 5(%ebx); mov %ecx, %edx; and $7, %edx\n"
	"2: call *%ebx; dec %edx; jns 2b; push %ecx; lea (3f-0b)(%ebp), %esi; mov %ebx, %edi; mov $(4f-3f), %ecx; rep movsb; pop %ecx\n"
	"lea (5f-0b)(%ebp), %edx; call *%ebx; call *%ebx; dec %ecx; jnz 1b; jmp 6f\n"
	"3: mov $3, %esi; 7: add $0x11, %eax; incb (8f-3b-1)(%ebx); 8: call *%edx; dec %esi; jnz 7b; ret; 4:\n"
	"5: rol $3, %eax; ret; 6:")

/* As often as the page's code may be called before it is scanned, and once more. */
static void call_patched(unsigned calls, bool scanned)
{
	static const uint8_t patcher[] = {
		0xBB, 0x00, 0x00, 0x18, 0x00,		/* mov $0x180000, %ebx */
		0xB9, 0x0A, 0x00, 0x00, 0x00,		/* mov $10, %ecx */
		0xC6, 0x03, 0x40,			/* 1: movb $0x40, (%ebx)   inc %eax */
		0xC6, 0x43, 0x01, 0xC3,			/* movb $0xc3, 1(%ebx)     ret */
		0xBA, 0x00, 0x00, 0x00, 0x00,		/* mov $calls, %edx */
		0xFF, 0xD3,				/* 2: call *%ebx */
		0x4A, 0x75, 0xFB,			/* dec %edx; jnz 2b */
		0x49, 0x75, 0xEC,			/* dec %ecx; jnz 1b */
		0xF4,
	};
	uint8_t code[sizeof(patcher)];
	memcpy(code, patcher, sizeof(code));
	code[18] = (uint8_t)calls;
	struct machine *m = flat_machine(true, code, sizeof(code));
	must_halt(m);
	CHECK_EQ(m->cpu.gpr[REG_EAX], 10 * calls);
	CHECK_EQ(m->cpu.scanner->page_blocks[0x180] != NULL, scanned);
	machine_free(m);
}

TEST(scan_waits_for_code_that_was_rewritten_to_stay)
{
	call_patched(4, false);
	call_patched(5, true);
}

PROGRAM(scan_runs_string_instructions,
	"cld; mov $0x200000, %esi; mov $0x200f00, %edi; mov $300, %ecx; rep movsb; mov $0x200003, %edi; mov $0x200000, %esi; mov $64, %ecx\n"
	"rep movsl; mov $0x55aa1234, %eax; mov $17, %ecx; rep stosl; std; lodsw; cld; mov $0x200000, %edi; mov $500, %ecx; repne scasb\n"
	"setz %dl; mov $0x200000, %esi; mov $0x200010, %edi; mov $40, %ecx; repe cmpsb; pushf; pop %ebp")

PROGRAM(scan_runs_the_fpu_on_the_host,
	"fninit; fldpi; fld1; faddp; fldl2e; fmul %st(1); fsqrt; fstpl 0x200000; fstpt 0x200010; mov $7, %eax; movd %eax, %xmm0\n"
	"cvtsi2sd %eax, %xmm1; movsd %xmm1, 0x200020; addsd 0x200020, %xmm1; sqrtsd %xmm1, %xmm2; cvttsd2si %xmm2, %ecx\n"
	"movups 0x200001, %xmm3; paddd %xmm3, %xmm0; movaps %xmm0, 0x200040; fldl 0x200000; fld1; fcomip; fstp %st(0); fnstsw %ax; seta %dl")

PROGRAM(scan_handles_exotic_integer_instructions,
	"mov $0x12345678, %eax; mov $0xd, %ecx; shld %cl, %eax, %edx; shrd $3, %eax, %ebx; rcl %cl, %eax; bt $5, %eax; .byte 0xd6; daa; aam\n"
	"bsf %eax, %esi; bsr %edx, %edi; xchg %ah, %al; movzbl %ah, %esp; mov $0x300000, %esp; cwtl; cltd; mov $9, %ecx; idiv %ecx\n"
	"lahf; xlat; sahf; mov %esp, %eax; xchg %eax, %ebx; cmovc %esp, %edx; setnz %ch; bswap %ebx; enter $16, $2; leave; pusha; popa\n"
	"movb $3, %ah; mov %ah, 0x200005; addb 0x200007, %dh; bts %eax, 0x200100; jecxz 1f; nop; 1: loopne 1b")

/* A board whose counter goes at a third of the host's. */
static unsigned asked;
static uint64_t third_tsc(void *arg)
{
	asked++;
	return __rdtsc() / 3;
}

/* EBP: how often it went back; EAX lives through RDTSC in the carry. Ends in EDX:EAX, the last reading. */
ASSEMBLE(tsc, 32,
	"xor %ebp, %ebp; xor %esi, %esi; xor %edi, %edi; mov $2000000, %ecx\n"
	"1: stc; rdtsc; adc $0, %ebx; cmp %esi, %eax; mov %edx, %esp; sbb %edi, %esp; adc $0, %ebp\n"
	"mov %eax, %esi; mov %edx, %edi; dec %ecx; jnz 1b")

TEST(scan_reads_the_time_stamp_counter_without_asking_the_board_and_it_never_goes_back)
{
	struct machine *m = flat_machine(true, prog_tsc, (size_t)(prog_tsc_end - prog_tsc));
	struct cpu_bus bus = *m->cpu.bus;
	bus.tsc = third_tsc;
	m->cpu.bus = &bus;
	m->cpu.gpr[REG_EBX] = 0;
	m->cpu.tsc_line.wanted = true;
	must_halt(m);
	uint64_t last = (uint64_t)m->cpu.gpr[REG_EDX] << 32 | m->cpu.gpr[REG_EAX], now = __rdtsc() / 3;
	CHECK_EQ(m->cpu.gpr[REG_EBP], 0);
	CHECK_EQ(m->cpu.gpr[REG_EBX], 2000000);
	CHECK(asked < 1000000);			/* until the slope is known, and from time to time */
	CHECK(last <= now + TSC_LINE_CYCLES);
	machine_free(m);
}

/* A device that remembers who asked it for what. */
struct witness {
	unsigned n;
	uint64_t said[512];
};

static uint32_t witness_read(void *arg, gpa_t offset, unsigned size)
{
	struct witness *w = arg;
	w->said[w->n++ % ARRAY_LEN(w->said)] = (uint64_t)offset << 8 | size;
	return 0x9C8B7A69u * (w->n + 1) >> (32 - 8 * size);
}

static void witness_write(void *arg, gpa_t offset, unsigned size, uint32_t val)
{
	struct witness *w = arg;
	w->said[w->n++ % ARRAY_LEN(w->said)] = (uint64_t)val << 32 | (uint64_t)offset << 8 | size | BIT(4);
}

ASSEMBLE(device, 32,
	"mov $0x280000, %ebx; mov $3, %ecx; mov $0x12345678, %eax; mov $0x9abcdef0, %edx\n"
	"1: mov %al, (%ebx); mov %ah, 1(%ebx); mov %dx, 2(%ebx); mov %eax, 4(%ebx); movb $0x5a, 8(%ebx); movw $0x1234, 10(%ebx)\n"
	"movl $0xfedcba98, 12(%ebx); mov %eax, 17(%ebx); mov %dx, 0xfff(%ebx); stc; mov 5(%ebx), %al; mov 6(%ebx), %ah; rcl $1, %eax\n"
	"mov 8(%ebx), %dx; mov 12(%ebx), %esi; mov 0x280010, %eax; mov %al, 0x280014; add %edx, 20(%ebx); mov 25(%ebx), %edi\n"
	"movzbl 3(%ebx), %ebp; xchg %eax, (%ebx); dec %ecx; jnz 1b")

TEST(scan_moves_to_and_from_a_device_as_the_emulator_does)
{
	static const struct mmio_ops ops = { witness_read, witness_write };
	struct witness w[2] = { { .n = 0 }, { .n = 0 } };
	struct machine *m[2];
	for (unsigned i = 0; i < 2; i++) {
		m[i] = flat_machine(i == 1, prog_device, (size_t)(prog_device_end - prog_device));
		phys_add(&m[i]->phys, (struct phys_region){ .start = 0x280000, .size = 2 * PAGE_BYTES, .kind = PHYS_MMIO, .ops = &ops,
		    .arg = &w[i], .name = "witness" });
	}
	CHECK_EQ(emulate_run(&m[0]->cpu), NEXT_HALT);
	must_halt(m[1]);
	CHECK_EQ(memcmp(&w[0], &w[1], sizeof(w[0])), 0);
	CHECK(w[0].n > 60 && w[0].n < ARRAY_LEN(w[0].said));
	CHECK_EQ(memcmp(m[0]->cpu.gpr, m[1]->cpu.gpr, sizeof(m[0]->cpu.gpr)), 0);
	CHECK_EQ(m[0]->cpu.eip, m[1]->cpu.eip);
	CHECK_EQ(m[0]->cpu.eflags, m[1]->cpu.eflags);
	for (unsigned i = 0; i < 2; i++)
		machine_free(m[i]);
}

ASSEMBLE(long_string, 32, "1: mov $0x200000, %esi; mov $0x280000, %edi; mov $0x40000, %ecx; rep movsb; jmp 1b")

TEST(scan_shows_rf_where_a_string_instruction_is_interrupted_between_iterations)	/* [SDM 3, "Resume Flag"] */
{
	enum { REP_OFFSET = 15 };
	struct machine *m = flat_machine(true, prog_long_string, (size_t)(prog_long_string_end - prog_long_string));
	struct vcpu *cpu = &m->cpu;
	unsigned within = 0;
	for (unsigned i = 0; i < 2000 && within < 20; i++) {
		CHECK_EQ(machine_scan_for(m, 50000 + i * 100), NEXT_ATTENTION);
		bool at = cpu->eip == CODE_AT + REP_OFFSET, begun = cpu->gpr[REG_ECX] < 0x40000, rf = cpu->eflags & EFLAGS_RF;
		if (!at || begun)		/* a fault of its first access leaves RF, too */
			CHECK_EQ(rf, at && begun);
		within += at && begun;
	}
	CHECK(within >= 20);
	machine_free(m);
}
