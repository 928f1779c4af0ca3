/* Virtual-8086 mode.							[SDM 3, "8086 Emulation"] */
#include "system.h"

/* 8086 code goes to 7000:0100, its stack is 7000:1000. */
#define SEG	0x7000u
static uint8_t *const code = (uint8_t *)(SEG * 16 + 0x100);
static uint16_t *const stack = (uint16_t *)(SEG * 16 + 0x1000);

static int run_vm86(const char *bytes, unsigned len, uint32_t flags)
{
	uint32_t frame[] = { 0x100, SEG, flags | FL_VM | 2, 0x1000, SEG, SEG + 1, SEG + 2, SEG + 3, SEG + 4 };
	for (unsigned i = 0; i < len; i++)
		code[i] = bytes[i];
	return run_frame(frame, 9);
}
#define VM86(bytes, flags) run_vm86(bytes, sizeof(bytes) - 1, flags)

void test_vm86(void)
{
	tss_main.ss0 = DATA0;
	check_trap("HLT in vm86 is #GP", VM86("\xF4", FL_IOPL), GP, 0);
	check("at its place", trap.eip, 0x100);
	check("CS", trap.cs & 0xFFFF, SEG);
	check("VM is pushed", trap.eflags & FL_VM, FL_VM);
	check("ESP", trap.esp & 0xFFFF, 0x1000);
	check("ES", trap.es & 0xFFFF, SEG + 1);
	check("DS", trap.ds & 0xFFFF, SEG + 2);
	check("FS", trap.fs & 0xFFFF, SEG + 3);
	check("GS", trap.gs & 0xFFFF, SEG + 4);
	check_trap("INT 80h with IOPL 3", VM86("\xCD\x80", FL_IOPL), USER_DONE, 0);
	check("is a trap behind it", trap.eip, 0x102);
	check_trap("INT 80h with IOPL 0 is #GP", VM86("\xCD\x80", 0), GP, 0);
	check_trap("INT3 does not ask for IOPL but for DPL", VM86("\xCC", 0), GP, BP * 8 + 2);
	check_trap("PUSHF with IOPL 0 is #GP", VM86("\x9C", 0), GP, 0);
	check_trap("CLI with IOPL 0 is #GP", VM86("\xFA", 0), GP, 0);
	check_trap("IRET with IOPL 0 is #GP", VM86("\xCF", 0), GP, 0);
	check_trap("PUSHF with IOPL 3", VM86("\x9C\xCD\x80", FL_IOPL), USER_DONE, 0);
	check("pushes FLAGS", stack[-1], FL_IOPL | 2);
	check_trap("LAR is #UD", VM86("\x0F\x02\xC0", FL_IOPL), UD, 0);
	check_trap("MOV CR0 is #GP", VM86("\x0F\x20\xC0", FL_IOPL), GP, 0);
	check_trap("LGDT is #GP", VM86("\x0F\x01\x16\x00\x00", FL_IOPL), GP, 0);
	check_trap("IN asks the bitmap whatever IOPL is", VM86("\xE4\x60\xCD\x80", FL_IOPL), GP, 0);
	tss_main.io[0x60 / 8] = 0xFE;
	check_trap("which may allow it", VM86("\xE4\x60\xCD\x80", FL_IOPL), USER_DONE, 0);
	tss_main.io[0x60 / 8] = 0xFF;
	stack[0] = 0;
	check_trap("MOV [1000], 1234 in DS = SS + 2", VM86("\xC7\x06\xE0\x0F\x34\x12\xCD\x80", FL_IOPL), USER_DONE, 0);
	check("writes where the 8086 would", stack[0], 0x1234);
	check_trap("an offset past FFFFh is #GP", VM86("\x67\xA1\x00\x00\x01\x00", FL_IOPL), GP, 0);

	uint32_t a, b, c, d;
	ASM("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(1));
	if (!(d & 2))
		return;
	set_cr4(get_cr4() | 1);				/* VME */
	tss_main.redirect[0x80 / 8] = 0;
	*(uint32_t *)(0x80 * 4) = SEG << 16 | 0x200;
	*(uint8_t *)(SEG * 16 + 0x200) = 0xF4;		/* the 8086's own handler of INT 80h: HLT, #GP here */
	check_trap("VME: CLI", VM86("\xFA\x9C\xCD\x80", FL_VIF), GP, 0);
	check("clears VIF", stack[-1], FL_IOPL | 2);
	check_trap("VME: a redirected INT", VM86("\x9C\xCD\x80", FL_VIF), GP, 0);
	check("goes to the 8086's handler", trap.eip, 0x200);
	check("PUSHF showed VIF as IF and IOPL 3", stack[-1], FL_IOPL | FL_IF | 2);
	check("and so does the frame", stack[-2], FL_IOPL | FL_IF | 2);
	check("return address", stack[-4], 0x103);
	check("VIF is clear in the handler", trap.eflags & FL_VIF, 0);
	check_trap("VME: STI with VIP is #GP", VM86("\xFB", FL_VIP), GP, 0);
	check("at the STI", trap.eip, 0x100);
	tss_main.redirect[0x80 / 8] = 1;
	check_trap("VME: a not redirected INT with IOPL 0 is #GP", VM86("\xCD\x80", 0), GP, 0);
	check("at the INT", trap.eip, 0x100);
	check_trap("VME: with IOPL 3 it is the monitor's", VM86("\xCD\x80", FL_IOPL), USER_DONE, 0);
	set_cr4(get_cr4() & ~1u);
}
