/* Single-step, breakpoints, shadows, alignment.		[SDM 3, "Debug, Branch Profile, TSC...", "Interrupt 17"] */
#include "system.h"

extern uint32_t user_eflags;
static uint32_t steps[32], step_dr6;
static unsigned nsteps;

/* Single-step: note where each trap was, up to the INT 83h that ends the run. */
static int note_steps(struct frame *f)
{
	if (f->vector != DB)
		return 0;
	if (nsteps < ARRAY_LEN(steps))
		steps[nsteps++] = f->eip;
	step_dr6 = get_dr6();
	set_dr(6, 0);
	return 1;
}

CODE(stepped,
	"	pushf\n	orl $0x100, (%esp)\n	popf\n"
	"	nop\n	.globl s1\ns1:	mov %ss, %eax\n	.globl s2\ns2:	mov %eax, %ss\n	nop\n	.globl s3\ns3:	nop\n	.globl s4\ns4:\n"
	"	int $0x84\n	.globl s5\ns5:	nop\n	.globl s6\ns6:\n"
	"	pushf\n	.globl s7\ns7:	andl $0xFFFFFEFF, (%esp)\n	.globl s8\ns8:	popf\n	.globl s9\ns9:	nop\n	ret\n");
LABEL(s1); LABEL(s2); LABEL(s3); LABEL(s4); LABEL(s5); LABEL(s6); LABEL(s7); LABEL(s8); LABEL(s9);
CODE(step_rep,
	"	push %edi\n	mov $debug_bytes, %edi\n	mov $3, %ecx\n	pushf\n	orl $0x100, (%esp)\n	popf\n	nop\n"
	"	.globl r1\nr1:	rep stosb\n	.globl r2\nr2:	pushf\n	andl $0xFFFFFEFF, (%esp)\n	popf\n	nop\n	pop %edi\n	ret\n");
LABEL(r1); LABEL(r2);
uint8_t debug_bytes[64] __attribute__((aligned(16)));
uint32_t debug_word __attribute__((aligned(4)));

static int return_from_84(struct frame *f)
{
	return f->vector == 0x84 ? 1 : note_steps(f);
}

static void test_single_step(void)
{
	on_trap = return_from_84;
	nsteps = 0;
	check_trap("single-stepped code", guard(stepped), NONE, 0);
	uint32_t want[] = { (uint32_t)s1, (uint32_t)s2, (uint32_t)s3, (uint32_t)s4, (uint32_t)s6, (uint32_t)s7, (uint32_t)s8, (uint32_t)s9 };
	check("traps", nsteps, ARRAY_LEN(want));
	for (unsigned i = 0; i < ARRAY_LEN(want) && i < nsteps; i++)
		check("trap", steps[i], want[i]);
	check("DR6 has BS", step_dr6, 0xFFFF4FF0);
	nsteps = 0;
	check_trap("stepped REP", guard(step_rep), NONE, 0);
	check("first behind the NOP", steps[0], (uint32_t)r1);
	check("then after each element", steps[1], (uint32_t)r1);
	check("and each", steps[2], (uint32_t)r1);
	check("and at the end behind it", steps[3], (uint32_t)r2);
	idt_default();
}

/* --- breakpoints --- */

CODE(bp_code, "	nop\n	.globl b1\nb1:	incl debug_word\n	.globl b2\nb2:	nop\n	ret\n");
LABEL(b1); LABEL(b2);
static void write_word(void) { ASM("movl $7, debug_word\n	.globl w1\nw1:" ::: "memory"); }
static void read_word(void) { ASM("mov debug_word, %%eax\n	.globl w2\nw2:" ::: "eax"); }
static void write_before(void) { ASM("movw $7, debug_word - 1" ::: "memory"); }
static void write_behind(void) { ASM("movw $7, debug_word + 4" ::: "memory"); }
static void out_80(void) { ASM("out %%al, $0x80\n	.globl w3\nw3:" ::: "memory"); }
LABEL(w1); LABEL(w2); LABEL(w3);

static unsigned hits;
static int set_rf(struct frame *f)
{
	if (f->vector != DB)
		return 0;
	hits++;
	steps[0] = f->eip;
	steps[1] = f->eflags;
	step_dr6 = get_dr6();
	f->eflags |= FL_RF;
	set_dr(6, 0);
	return 1;
}

static void read_dr_with_gd(void) { ASM("mov %%dr0, %%eax" ::: "eax"); }

static void test_breakpoints(void)
{
	set_dr(6, 0);
	set_dr(0, (uint32_t)b1);
	set_dr(7, 0x402);
	on_trap = set_rf;
	hits = debug_word = 0;
	check_trap("code with an instruction breakpoint", guard(bp_code), NONE, 0);
	check("hits once, since RF gets past it", hits, 1);
	check("before the instruction", steps[0], (uint32_t)b1);
	check("RF is pushed as it was", steps[1] & FL_RF, 0);
	check("DR6 says B0", step_dr6, 0xFFFF0FF1);
	check("the instruction ran", debug_word, 1);
	idt_default();

	set_dr(1, (uint32_t)&debug_word);
	set_dr(7, 0x400 | 8 | 0xD << 20);		/* G1, write, 4 bytes */
	check_trap("a watched write", guard(write_word), DB, 0);
	check("is a trap behind it", trap.eip, (uint32_t)w1);
	check("DR6 says B1", get_dr6(), 0xFFFF0FF2);
	check("it was written", debug_word, 7);
	set_dr(6, 0);
	check_trap("a read of what is watched for writes", guard(read_word), NONE, 0);
	check_trap("a write that ends in the watched word", guard(write_before), DB, 0);
	check_trap("a write behind it", guard(write_behind), NONE, 0);
	set_dr(7, 0x400 | 8 | 0xF << 20);
	check_trap("a watched read", guard(read_word), DB, 0);
	check("is a trap behind it", trap.eip, (uint32_t)w2);

	set_cr4(get_cr4() | 8);				/* DE */
	set_dr(1, 0x80);
	set_dr(7, 0x400 | 8 | 2 << 20);
	set_dr(6, 0);
	check_trap("an I/O breakpoint", guard(out_80), DB, 0);
	check("is a trap behind the OUT", trap.eip, (uint32_t)w3);
	set_cr4(get_cr4() & ~8u);
	set_dr(6, 0);
	set_dr(7, 0x2400);
	check_trap("GD", guard(read_dr_with_gd), DB, 0);
	check("DR6 says BD", get_dr6() & 0x2000, 0x2000);
	set_dr(7, 0x400);
	set_dr(6, 0);
}

/* --- interrupts in the shadow: a timer interrupt is pending all the time --- */

static uint32_t pending_eip;
static int note_irq(struct frame *f)
{
	if (f->vector != 0x20)
		return 0;
	pending_eip = f->eip;
	f->eflags &= ~(uint32_t)FL_IF;
	outb(0x20, 0x20);
	return 1;
}

CODE(sti_nop, "	sti\n	.globl i1\ni1:	nop\n	.globl i2\ni2:	nop\n	cli\n	ret\n");
CODE(sti_cli, "	sti\n	cli\n	nop\n	ret\n");
CODE(popf_if, "	pushf\n	orl $0x200, (%esp)\n	popf\n	.globl i3\ni3:	nop\n	cli\n	ret\n");
CODE(sti_hlt, "	sti\n	hlt\n	.globl i4\ni4:	cli\n	ret\n");
CODE(mov_ss_if, "	mov %ss, %eax\n	sti\n	nop\n	ret\n");
LABEL(i1); LABEL(i2); LABEL(i3); LABEL(i4);

/* IRQ 0 by a one-shot of the timer, then wait until the 8259A has it. */
static void pend(void)
{
	outb(0x43, 0x30);
	outb(0x40, 100);
	outb(0x40, 0);
	outb(0x20, 0x0A);
	while (!(inb(0x20) & 1))
		;
	pending_eip = 0;
}

void test_events(void)
{
	outb(0x20, 0x11);
	outb(0x21, 0x20);
	outb(0x21, 4);
	outb(0x21, 1);
	outb(0x21, 0xFE);
	on_trap = note_irq;
	pend();
	check_trap("STI; NOP", guard(sti_nop), NONE, 0);
	check("the interrupt comes behind the NOP", pending_eip, (uint32_t)i2);
	pend();
	check_trap("STI; CLI", guard(sti_cli), NONE, 0);
	check("lets no interrupt in", pending_eip, 0);
	check_trap("POPF with IF", guard(popf_if), NONE, 0);
	check("has no shadow", pending_eip, (uint32_t)i3);
	pend();
	check_trap("STI; HLT", guard(sti_hlt), NONE, 0);
	check("wakes behind the HLT", pending_eip, (uint32_t)i4);
	outb(0x21, 0xFF);
}

/* --- alignment --- */

CODE(user_unaligned, "	mov debug_bytes + 1, %eax\n	int $0x80\n");
CODE(user_aligned, "	mov debug_bytes + 4, %eax\n	int $0x80\n");
static void kernel_unaligned(void) { ASM("mov debug_bytes + 1, %%eax" ::: "eax"); }

void test_debug(void)
{
	test_single_step();
	test_breakpoints();
	set_cr0(get_cr0() | 0x40000);			/* AM */
	user_eflags = 2 | FL_AC;
	check_trap("an unaligned access at CPL 3 with AM and AC", run_user(user_unaligned), AC, 0);
	check_trap("an aligned one", run_user(user_aligned), USER_DONE, 0);
	user_eflags = 2;
	check_trap("an unaligned one without AC", run_user(user_unaligned), USER_DONE, 0);
	check_trap("at CPL 0 it never matters", guard(kernel_unaligned), NONE, 0);
	set_cr0(get_cr0() & ~0x40000u);
}
