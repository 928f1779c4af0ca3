/* Task switches.							[SDM 3, "Task Management"] */
#include "system.h"

extern char df_stack_top[];
static uint32_t busy(unsigned s) { return gdt[s / 8][1] >> 9 & 1; }

static void jmp_tss(void) { ASM("ljmp %0, $0" :: "i"(TSS_2)); }
static void call_tss(void) { ASM("lcall %0, $0" :: "i"(TSS_2)); }
static void call_gate(void) { ASM("lcall %0, $0" :: "i"(TASK_GATE)); }
static void call_self(void) { ASM("lcall %0, $0" :: "i"(TSS_MAIN)); }
static void int_task(void) { ASM("int $0x90"); }
static void call_16(void) { ASM("lcall %0, $0" :: "i"(TSS_16)); }
static void iret_nt(void) { ASM("pushf\n	orl $0x4000, (%esp)\n	popf\n	iret"); }

uint32_t seen_flags, seen_tr, seen_esp;
/* What the second task does: look around, and go back the way the loop says. */
CODE(task_2,
	"1:	pushf\n	pop seen_flags\n	str seen_tr\n	mov %esp, seen_esp\n	iret\n	jmp 1b\n");
CODE(task_2_jmp,
	"1:	pushf\n	pop seen_flags\n	str seen_tr\n	ljmp $0x28, $0\n	jmp 1b\n");
CODE(task_error, "	pop seen_esp\n	str seen_tr\n	iret\n	jmp task_error\n");

static void task(void *eip)
{
	tss_2 = (struct tss){ .eip = (uint32_t)eip, .eflags = 2, .esp = (uint32_t)df_stack_top, .cs = CODE0, .ss = DATA0,
		.ds = DATA0, .es = DATA0, .fs = DATA0, .gs = DATA0, .cr3 = (uint32_t)page_dir };
	descriptor(gdt, TSS_2 / 8, (uint32_t)&tss_2, sizeof(tss_2) - 1, 0x89);
	seen_flags = seen_tr = 0;
}

static uint16_t tss16[22];

static void test_16_bit(void)
{
	descriptor(gdt, TSS_16 / 8, (uint32_t)tss16, sizeof(tss16) - 1, 0x81);
	/* 16-bit code in the first 64 KiB: IRET, at 7000h */
	*(volatile uint8_t *)0x7000 = 0xCF;
	tss16[7] = 0x7000;
	tss16[8] = 2;
	tss16[13] = 0x6000;
	tss16[17] = DATA0;
	tss16[18] = CODE16;
	tss16[19] = DATA16;
	tss16[20] = DATA0;
	check_trap("a call to a 16-bit task and back", guard(call_16), NONE, 0);
	check("its IP was saved behind the IRET", tss16[7], 0x7001);
	check("its link", tss16[0], TSS_MAIN);
	descriptor(gdt, TSS_16 / 8, (uint32_t)tss16, 0x2A, 0x81);
	check_trap("a 16-bit TSS that is too short is #TS", guard(call_16), TS, TSS_16);
}

static void test_errors(void)
{
	check_trap("a busy task is #GP", guard(call_self), GP, TSS_MAIN);
	task(task_2);
	descriptor(gdt, TSS_2 / 8, (uint32_t)&tss_2, 0x66, 0x89);
	check_trap("a TSS that is too short is #TS", guard(jmp_tss), TS, TSS_2);
	descriptor(gdt, TSS_2 / 8, (uint32_t)&tss_2, 0x67, 0x09);
	check_trap("a TSS that is not present is #NP", guard(jmp_tss), NP, TSS_2);
	gate(gdt, TASK_GATE / 8, TSS_2, 0, 0x05, 0);
	check_trap("a task gate that is not present is #NP", guard(call_gate), NP, TASK_GATE);
	tss_main.link = TSS_2;
	task(task_2);
	check_trap("IRET with NT to a task that is not busy is #TS", guard(iret_nt), TS, TSS_2);
	tss_main.link = 0;
}

void test_tasks(void)
{
	task(task_2);
	check_trap("a call to a task and IRET back", guard(call_tss), NONE, 0);
	check("the task saw its TR", seen_tr & 0xFFFF, TSS_2);
	check("and NT", seen_flags & FL_NT, FL_NT);
	check("the link", tss_2.link & 0xFFFF, TSS_MAIN);
	check("NT is gone from what was saved", tss_2.eflags & FL_NT, 0);
	check("the called task is free again", busy(TSS_2), 0);
	check("ours is busy", busy(TSS_MAIN), 1);
	check("TS was set", get_cr0() & 8, 8);
	ASM("clts");

	gate(gdt, TASK_GATE / 8, TSS_2, 0, 0x85, 0);
	task(task_2);
	check_trap("through a task gate", guard(call_gate), NONE, 0);
	check("it ran", seen_tr & 0xFFFF, TSS_2);
	gate(idt, 0x90, TSS_2, 0, 0x85, 0);
	task(task_2);
	check_trap("through the IDT", guard(int_task), NONE, 0);
	check("it ran nested", seen_flags & FL_NT, FL_NT);

	task(task_2_jmp);
	check_trap("a jump there and a jump back", guard(jmp_tss), NONE, 0);
	check("not nested", seen_flags & FL_NT, 0);
	check("no link", tss_2.link & 0xFFFF, 0);
	check("the other is free", busy(TSS_2), 0);

	task(task_2);
	tss_2.fs = BEYOND;
	check_trap("a bad FS in the new task is #TS there", guard(call_tss), TS, BEYOND);
	check("at its first instruction", trap.eip, (uint32_t)task_2);
	descriptor(gdt, TSS_MAIN / 8, (uint32_t)&tss_main, sizeof(tss_main) - 1, 0x89);
	ASM("ltr %w0" :: "r"(TSS_MAIN));
	ASM("clts");

	paging_on();
	task(task_2);
	tss_main.cr3 = (uint32_t)page_dir;
	check_trap("with paging on, CR3 goes with the task", guard(call_tss), NONE, 0);
	paging_off();
	ASM("clts");
	test_16_bit();
	ASM("clts");
	test_errors();
	ASM("clts");
}
