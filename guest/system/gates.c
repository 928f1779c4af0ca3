/* Segments and gates.		[SDM 3, "Protection", "Interrupt and Exception Handling"; SDM 2, "CALL", "RET", "IRET"] */
#include "system.h"

static uint16_t sel;
static void load_ds(void) { ASM("mov %0, %%ds\nmov %1, %%ds" :: "r"((uint32_t)sel), "r"(DATA0)); }
static void load_ss(void) { ASM("mov %%ss, %%ecx\nmov %0, %%ss\nmov %%ecx, %%ss" :: "r"((uint32_t)sel) : "ecx"); }
static uint32_t offset;
static void write_fs(void) { ASM("mov %0, %%fs\nmovl $1, %%fs:(%1)" :: "r"((uint32_t)sel), "r"(offset) : "memory"); }
static void read_fs(void) { uint32_t v; ASM("mov %1, %%fs\nmov %%fs:(%2), %0" : "=r"(v) : "r"((uint32_t)sel), "r"(offset)); }

static int with(uint16_t s, void (*fn)(void)) { sel = s; return guard(fn); }

static uint32_t buffer[64];

void test_segments(void)
{
	descriptor(gdt, SPARE / 8, 0, 0xFFFFF, 0xC012);
	check_trap("not present data is #NP", with(SPARE, load_ds), NP, SPARE);
	check_trap("not present stack is #SS", with(SPARE, load_ss), SS, SPARE);
	check_trap("selector past the limit is #GP", with(BEYOND, load_ds), GP, BEYOND);
	check_trap("TI without an LDT is #GP", with(0xC, load_ds), GP, 0xC);
	check_trap("null stack is #GP(0)", with(0, load_ss), GP, 0);
	check_trap("stack of another level is #GP", with(DATA3, load_ss), GP, DATA3 & ~3);
	check_trap("code as stack is #GP", with(CODE0, load_ss), GP, CODE0);
	check_trap("a TSS as data is #GP", with(TSS_2, load_ds), GP, TSS_2);
	descriptor(gdt, SPARE / 8, 0, 0xFFFFF, 0xC098);
	check_trap("execute-only code as data is #GP", with(SPARE, load_ds), GP, SPARE);

	descriptor(gdt, SPARE / 8, (uint32_t)buffer, 0xFF, 0x4092);
	offset = 0xFC;
	check_trap("the last dword of a segment", with(SPARE, write_fs), NONE, 0);
	check("is written", buffer[63], 1);
	check("and A is set in the table", gdt[SPARE / 8][1] >> 8 & 1, 1);
	offset = 0xFD;
	check_trap("one byte over the limit is #GP(0)", with(SPARE, write_fs), GP, 0);
	descriptor(gdt, SPARE / 8, (uint32_t)buffer, 0xFF, 0x4090);
	offset = 0;
	check_trap("a write to a read-only segment is #GP(0)", with(SPARE, write_fs), GP, 0);
	check_trap("a read of it is not", with(SPARE, read_fs), NONE, 0);
	descriptor(gdt, SPARE / 8, (uint32_t)buffer - 0x1000, 0xFFF, 0x4096);
	offset = 0xFFE;
	check_trap("below an expand-down limit is #GP(0)", with(SPARE, read_fs), GP, 0);
	offset = 0x1000;
	check_trap("above it is memory", with(SPARE, read_fs), NONE, 0);
	check_trap("use of a null segment is #GP(0)", with(3, read_fs), GP, 0);

	/* the cache keeps what was loaded */
	descriptor(gdt, SPARE / 8, (uint32_t)buffer, 0xFF, 0x4092);
	ASM("mov %0, %%gs" :: "r"(SPARE));
	descriptor(gdt, SPARE / 8, 0, 0, 0);
	ASM("movl $0x1234, %gs:4");
	check("a changed table has no effect until the reload", buffer[1], 0x1234);
	ASM("mov %0, %%gs" :: "r"(DATA0));

	descriptor(ldt, 1, (uint32_t)buffer, 0xFF, 0x40F2);
	ASM("lldt %w0" :: "r"(LDT_SEL));
	offset = 8;
	check_trap("an LDT segment", with(0xC, write_fs), NONE, 0);
	check("is the LDT's", buffer[2], 1);
	ASM("lldt %w0" :: "r"(0));
}

/* --- call gates from CPL 3 --- */

uint32_t gate_seen[8];
CODE(gate_target,
	"	pusha\n	mov %esp, %esi\n	add $32, %esi\n	mov $gate_seen, %edi\n	mov $8, %ecx\n"
	"	mov $0x10, %eax\n	mov %ax, %ds\n	mov %ax, %es\n	cld\n	rep movsl\n"
	"	mov $0x23, %eax\n	mov %ax, %es\n"		/* DS stays 10h: must be null after the return */
	"	popa\n	lret $8\n");
CODE(user_call,
	"	push $0x2222\n	push $0x1111\n	lcall $0x4B, $0\n	.globl user_called\nuser_called:\n"
	"	mov %ds, %eax\n	mov %es, %ebx\n	mov %esp, %ecx\n	int $0x80\n");
LABEL(user_called);
CODE(user_jmp, "	ljmp $0x4B, $0\n");
CODE(user_done, "	int $0x80\n");
CODE(user_int, "	int $0x82\n");
CODE(user_cli, "	cli\n	int $0x80\n");
CODE(user_hlt, "	hlt\n");
CODE(user_in, "	in $0x60, %al\n	int $0x80\n");
CODE(user_cr, "	mov %cr0, %eax\n");
CODE(user_ud, "	ud2\n");
CODE(user_bp, "	int3\n");
CODE(user_conform, "	ljmp $0x83, $1f\n1:	mov %cs, %eax\n	int $0x80\n");
CODE(user_lar, "	mov $0x10, %eax\n	lar %eax, %ecx\n	pushf\n	pop %edx\n	mov $0x20, %eax\n	lar %eax, %ebx\n	int $0x80\n");
extern char user_stack_top[];
extern uint32_t user_eflags;

CODE(bad_iret_cs, "	pushf\n	push $0x400\n	push $0\n	iret\n");
CODE(sysenter_entry, "	mov $0x10, %eax\n	mov %ax, %ds\n	mov %ax, %es\n	mov %cs, %ebx\n	mov %ss, %ecx\n	int $0x83\n");
CODE(user_sysenter, "	sysenter\n");
CODE(sysexit_now, "	mov $user_done, %edx\n	mov $user_stack_top, %ecx\n	sysexit\n");

static void wrmsr(uint32_t msr, uint32_t v) { ASM("wrmsr" :: "c"(msr), "a"(v), "d"(0)); }
static void rdmsr_unknown(void) { uint32_t a, d; ASM("rdmsr" : "=a"(a), "=d"(d) : "c"(0x12345)); }

static void test_double_fault(void);

void test_gates(void)
{
	gate(gdt, GATE / 8, CODE0, gate_target, 0xEC, 2);
	check_trap("a call gate from CPL 3", run_user(user_call), USER_DONE, 0);
	check("return address", gate_seen[0], (uint32_t)user_called);
	check("caller's CS", gate_seen[1] & 0xFFFF, CODE3);
	check("first parameter", gate_seen[2], 0x1111);
	check("second parameter", gate_seen[3], 0x2222);
	check("caller's ESP", gate_seen[4], (uint32_t)user_stack_top - 8);
	check("caller's SS", gate_seen[5] & 0xFFFF, DATA3);
	check("DS was made null on the way out", trap.eax & 0xFFFF, 0);
	check("ES was not", trap.ebx & 0xFFFF, DATA3);
	check("RETF dropped the parameters", trap.ecx, (uint32_t)user_stack_top);
	check_trap("a JMP through it is #GP of the code", run_user(user_jmp), GP, CODE0);
	gate(gdt, GATE / 8, CODE0, gate_target, 0x8C, 0);
	check_trap("a gate of DPL 0 is #GP of the gate", run_user(user_call), GP, GATE);
	gate(gdt, GATE / 8, CODE0, gate_target, 0x6C, 0);
	check_trap("a gate that is not present is #NP", run_user(user_call), NP, GATE);
	gate(gdt, GATE / 8, CODE0, gate_target, 0xEC, 0);
	check_trap("INT of a gate of DPL 0 is #GP of the IDT entry", run_user(user_int), GP, 0x82 * 8 + 2);
	check_trap("CLI at CPL 3 is #GP", run_user(user_cli), GP, 0);
	check_trap("HLT at CPL 3 is #GP", run_user(user_hlt), GP, 0);
	check_trap("IN without a right is #GP", run_user(user_in), GP, 0);
	tss_main.io[0x60 / 8] = 0xFE;
	check_trap("IN that the bitmap allows", run_user(user_in), USER_DONE, 0);
	tss_main.io[0x60 / 8] = 0xFF;
	user_eflags = 2 | FL_IOPL;
	check_trap("IN with IOPL 3", run_user(user_in), USER_DONE, 0);
	check_trap("CLI with IOPL 3", run_user(user_cli), USER_DONE, 0);
	user_eflags = 2;
	check_trap("MOV CR0 at CPL 3 is #GP", run_user(user_cr), GP, 0);
	check_trap("UD2", run_user(user_ud), UD, 0);
	check("is a fault", trap.eip, (uint32_t)user_ud);
	check("with RF", trap.eflags & FL_RF, FL_RF);
	check_trap("INT3 needs DPL 3", run_user(user_bp), GP, BP * 8 + 2);
	check_trap("conforming code", run_user(user_conform), USER_DONE, 0);
	check("runs at the caller's level", trap.eax, CONFORM | 3);
	check_trap("LAR at CPL 3", run_user(user_lar), USER_DONE, 0);
	check("does not see DPL 0", trap.edx & FL_ZF, 0);
	check("but sees DPL 3", trap.ebx & 0x00F0FF00, 0x00C0F300);
	check_trap("IRET to a bad CS is #GP", guard(bad_iret_cs), GP, BEYOND);
	check_trap("an unknown MSR is #GP", guard(rdmsr_unknown), GP, 0);

	wrmsr(0x174, 0);
	check_trap("SYSENTER with a null CS is #GP", run_user(user_sysenter), GP, 0);
	wrmsr(0x174, CODE0);
	wrmsr(0x175, (uint32_t)&guard_esp - 0x1800);	/* the middle of the double fault stack */
	wrmsr(0x176, (uint32_t)sysenter_entry);
	check_trap("SYSENTER", run_user(user_sysenter), 0x83, 0);
	check("loads CS", trap.ebx, CODE0);
	check("and SS", trap.ecx, DATA0);
	check_trap("SYSEXIT", guard(sysexit_now), USER_DONE, 0);
	check("to CPL 3", trap.cs & 0xFFFF, CODE3);
	test_double_fault();
}

/* --- the double fault, by a task gate: the stack need not be any good --- */

/* The top of 4 GiB is not mapped. */
static void bad_stack(void) { ASM("xor %esp, %esp\n	push $1"); }
extern char df_stack_top[];
CODE(df_entry, "	mov $0x10, %eax\n	mov %ax, %ds\n	mov %ax, %es\n	jmp df_come_back\n");
uint32_t df_error, df_link;
/* In the double fault task: note, then leave the guarded run as if by vector 8, back on the main TSS. */
CODE(df_come_back,
	"	pop df_error\n	mov tss_df, %eax\n	mov %eax, df_link\n"
	"	andl $0xFFFFFDFF, gdt + 0x2C\n"			/* TSS_MAIN is available again */
	"	mov $0x28, %eax\n	ltr %ax\n	clts\n"
	"	pushf\n	andl $0xFFFFBFFF, (%esp)\n	popf\n"	/* NT off */
	"	movl $8, trap + 32\n	andl $0xFFFFFDFF, gdt + 0x3C\n"
	"	mov $8, %eax\n	mov guard_esp, %esp\n	pop %edi\n	pop %esi\n	pop %ebx\n	pop %ebp\n	ret\n");

static void test_double_fault(void)
{
	tss_df.eip = (uint32_t)df_entry;
	tss_df.eflags = 2;
	tss_df.esp = (uint32_t)df_stack_top;
	tss_df.cs = CODE0;
	tss_df.ss = tss_df.ds = tss_df.es = tss_df.fs = tss_df.gs = DATA0;
	tss_df.cr3 = (uint32_t)page_dir;
	descriptor(gdt, TSS_DF / 8, (uint32_t)&tss_df, sizeof(tss_df) - 1, 0x89);
	gate(idt, DF, TSS_DF, 0, 0x85, 0);
	paging_on();
	check("a page fault that cannot push is a double fault", guard(bad_stack), DF);
	check("with error code 0", df_error, 0);
	check("linked to the task it came from", df_link & 0xFFFF, TSS_MAIN);
	check("CR2 is the stack's", ({ uint32_t v; ASM("mov %%cr2, %0" : "=r"(v)); v; }), 0xFFFFFFFC);
	paging_off();
	idt_default();

	gate(idt, GP, CODE0, 0, 0x0E, 0);	/* #GP, then #NP: both contributory */
	gate(idt, DF, TSS_DF, 0, 0x85, 0);
	sel = BEYOND;
	check("two contributory faults are a double fault", guard(load_ds), DF);
	idt_default();
	gate(idt, DF, TSS_DF, 0, 0x85, 0);
	tss_main.ss0 = 0;			/* #UD needs the inner stack: #TS; #TS needs it too */
	check("no inner stack at all is a double fault", run_user(user_ud), DF);
	tss_main.ss0 = DATA0;
	idt_default();
	gate(idt, UD, CODE0, 0, 0x0E, 0);	/* #UD is benign: #NP is delivered */
	check_trap("a fault behind a benign one is delivered", run_user(user_ud), NP, UD * 8 + 2 + 1);
	idt_default();
}
