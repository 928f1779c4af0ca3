/*
 * Rules that are easy to leave out: stack switches, returns, queries of descriptors, virtual interrupt flags,
 * reserved bits, accesses over the borders of pages and segments, A20.	[SDM 2; SDM 3, "Protection", "8086 Emulation"]
 */
#include "system.h"

extern char user_stack_top[], df_stack_top[];
extern uint32_t user_eflags;
uint32_t rules_buffer[0x4010] __attribute__((aligned(4096)));
static uint16_t sel;

/* --- call gates to level 1, whose stack may be bad while that of level 0 is good --- */

enum { CODE1 = SPARE | 1, STACK1 = SPARE2 | 1 };
CODE(ring1, "	mov %esp, %ebx\n	mov (%esp), %ecx\n	mov 8(%esp), %edx\n	mov 12(%esp), %esi\n	int $0x80\n");
CODE(gate_user, "	push $0x2222\n	push $0x1111\n	lcall $0x4B, $0\n	.globl gate_user_end\ngate_user_end:\n	int $0x81\n");
CODE(gate_user_16, "	pushw $0x2222\n	pushw $0x1111\n	lcall $0x4B, $0\n");
LABEL(gate_user_end);

static void level_1(unsigned stack_attr, uint32_t stack_limit)
{
	descriptor(gdt, SPARE / 8, 0, 0xFFFFF, 0xC0BA);
	descriptor(gdt, SPARE2 / 8, 0, stack_limit, stack_attr);
	gate(gdt, GATE / 8, CODE1, ring1, 0xEC, 2);
	tss_main.ss1 = STACK1;
	tss_main.esp1 = (uint32_t)df_stack_top;
}

static void test_inner_stack(void)
{
	level_1(0xC0B2, 0xFFFFF);
	check_trap("a call gate to level 1", run_user(gate_user), USER_DONE, 0);
	check("runs there", trap.cs & 0xFFFF, CODE1);
	check("on its stack", trap.ss & 0xFFFF, STACK1);
	check("with four words and two parameters on it", trap.ebx, (uint32_t)df_stack_top - 24);
	check("the return address first", trap.ecx, (uint32_t)gate_user_end);
	check("then, behind CS, the parameters", trap.edx << 16 | trap.esi, 0x11112222);
	tss_main.ss1 = 0;
	check_trap("no stack is #TS(0)", run_user(gate_user), TS, 0);
	tss_main.ss1 = SPARE2;
	check_trap("a stack selector of another RPL is #TS", run_user(gate_user), TS, SPARE2);
	tss_main.ss1 = BEYOND | 1;
	check_trap("one past the table is #TS", run_user(gate_user), TS, BEYOND);
	level_1(0xC0B0, 0xFFFFF);
	check_trap("a read-only one is #TS", run_user(gate_user), TS, SPARE2);
	level_1(0xC0D2, 0xFFFFF);
	check_trap("one of another DPL is #TS", run_user(gate_user), TS, SPARE2);
	level_1(0xC032, 0xFFFFF);
	check_trap("one that is not present is #SS", run_user(gate_user), SS, SPARE2);
	level_1(0x40B2, 0xFFFF);
	tss_main.esp1 = 20;
	check_trap("no room for the frame is #SS of the new stack", run_user(gate_user), SS, SPARE2);
	level_1(0xC0B2, 0xFFFFF);
	descriptor(gdt, SPARE / 8, 0, 0xFFF, 0x40BA);
	check_trap("a gate past the code's limit is #GP(0)", run_user(gate_user), GP, 0);
	gate(gdt, GATE / 8, 0, ring1, 0xEC, 2);
	check_trap("a gate to no segment is #GP(0)", run_user(gate_user), GP, 0);
	gate(gdt, GATE / 8, DATA0, ring1, 0xEC, 2);
	check_trap("a gate to data is #GP", run_user(gate_user), GP, DATA0);
	level_1(0xC0B2, 0xFFFFF);
	descriptor(gdt, SPARE / 8, 0, 0xFFFFF, 0xC03A);
	check_trap("a gate to code that is not present is #NP", run_user(gate_user), NP, SPARE);

	level_1(0xC0B2, 0xFFFFF);
	descriptor(gdt, SPARE / 8, (uint32_t)ring1, 0xFFFFF, 0xC0BA);
	gate(gdt, GATE / 8, CODE1, 0, 0xE4, 2);		/* a 16-bit gate: words are pushed and copied */
	check_trap("a 16-bit gate", run_user(gate_user_16), USER_DONE, 0);
	check("pushes six words", trap.ebx, (uint32_t)df_stack_top - 12);
	check("IP and CS", trap.ecx >> 16, CODE3);
	check("SP and SS", trap.edx, ((uint32_t)user_stack_top - 4) << 16 >> 16 | (uint32_t)DATA3 << 16);

	descriptor(gdt, TSS_MAIN / 8, (uint32_t)&tss_main, 0x10, 0x89);
	ASM("ltr %w0" :: "r"(TSS_MAIN));
	level_1(0xC0B2, 0xFFFFF);
	check_trap("a TSS that ends before that stack is #TS of the TSS", run_user(gate_user), TS, TSS_MAIN);
	descriptor(gdt, TSS_MAIN / 8, (uint32_t)&tss_main, sizeof(tss_main) - 1, 0x89);
	ASM("ltr %w0" :: "r"(TSS_MAIN));
}

/* --- IRET and RETF to an outer level --- */

CODE(outer, "	mov %ds, %eax\n	mov %es, %ebx\n	mov %fs, %ecx\n	mov %gs, %edx\n	int $0x80\n");

static int iret_to(uint16_t cs, uint32_t eip, uint16_t ss)
{
	uint32_t frame[] = { eip, cs, 2, (uint32_t)user_stack_top, ss };
	return run_frame(frame, 5);
}

static int iret_ss(unsigned attr)
{
	descriptor(gdt, SPARE / 8, 0, 0xFFFFF, attr);
	return iret_to(CODE3, (uint32_t)outer, SPARE | 3);
}

static int iret_cs(unsigned attr, uint32_t limit)
{
	descriptor(gdt, SPARE / 8, 0, limit, attr);
	return iret_to(SPARE | 3, (uint32_t)outer, DATA3);
}

static void test_returns(void)
{
	check_trap("IRET to no stack is #GP(0)", iret_to(CODE3, (uint32_t)outer, 0), GP, 0);
	check("in the IRET", trap.cs & 0xFFFF, CODE0);
	check_trap("to a stack of another RPL", iret_to(CODE3, (uint32_t)outer, DATA3 & ~3), GP, DATA3 & ~3);
	check_trap("to one past the table", iret_to(CODE3, (uint32_t)outer, BEYOND | 3), GP, BEYOND);
	check_trap("to one of another DPL", iret_ss(0xC0D2), GP, SPARE);
	check_trap("to a read-only one", iret_ss(0xC0F0), GP, SPARE);
	check_trap("to code as stack", iret_ss(0xC0FA), GP, SPARE);
	check_trap("to one that is not present", iret_ss(0xC072), SS, SPARE);
	check_trap("IRET to no code is #GP(0)", iret_to(0, (uint32_t)outer, DATA3), GP, 0);
	check_trap("to data", iret_to(DATA3, (uint32_t)outer, DATA3), GP, DATA3 & ~3);
	check_trap("to code of another DPL", iret_cs(0xC0BA, 0xFFFFF), GP, SPARE);
	check_trap("to code that is not present", iret_cs(0xC07A, 0xFFFFF), NP, SPARE);
	check_trap("to EIP past the limit", iret_cs(0x40FA, 0xFFF), GP, 0);
	check_trap("to conforming code of DPL 0", iret_cs(0xC09E, 0xFFFFF), USER_DONE, 0);
	check("at level 3", trap.cs & 0xFFFF, SPARE | 3);

	descriptor(gdt, SPARE2 / 8, 0, 0xFFFFF, 0xC0F2);
	ASM("mov %0, %%fs\n	mov %1, %%gs" :: "r"(CONFORM), "r"(SPARE2));
	check_trap("segments on the way out", iret_to(CODE3, (uint32_t)outer, DATA3), USER_DONE, 0);
	check("DS of DPL 0 is null", trap.eax & 0xFFFF, 0);
	check("ES too", trap.ebx & 0xFFFF, 0);
	check("FS with conforming code stays", trap.ecx & 0xFFFF, CONFORM);
	check("GS of DPL 3 stays", trap.edx & 0xFFFF, SPARE2);
	user_eflags = 2;
}

/* --- LAR, LSL, VERR, VERW --- */

static uint32_t query_value;
static uint32_t lar(uint16_t s) { uint8_t z; query_value = 0x5A5A5A5A; ASM("lar %2, %0\n	setz %1" : "+r"(query_value), "=q"(z) : "r"((uint32_t)s)); return z; }
static uint32_t lsl(uint16_t s) { uint8_t z; query_value = 0x5A5A5A5A; ASM("lsl %2, %0\n	setz %1" : "+r"(query_value), "=q"(z) : "r"((uint32_t)s)); return z; }
static uint32_t verr(uint16_t s) { uint8_t z; ASM("verr %w1\n	setz %0" : "=q"(z) : "r"(s)); return z; }
static uint32_t verw(uint16_t s) { uint8_t z; ASM("verw %w1\n	setz %0" : "=q"(z) : "r"(s)); return z; }

static void test_queries(void)
{
	/* system types that LAR and LSL know: TSSs, LDT; LAR the call and task gates besides */
	const uint32_t lar_types = 0x1A3E, lsl_types = 0x0A0E;

	for (unsigned type = 0; type < 16; type++) {
		descriptor(gdt, SPARE / 8, 0, 0x12345, 0x0080 | type);
		check("LAR of a system type", lar(SPARE), lar_types >> type & 1);
		check("its value", query_value & 0x00F0FF00, lar_types >> type & 1 ? 0x00008000 | type << 8 : 0x00505A00);
		check("LSL of a system type", lsl(SPARE), lsl_types >> type & 1);
		check("its value", query_value, lsl_types >> type & 1 ? 0x12345 : 0x5A5A5A5A);
		check("VERR of a system type", verr(SPARE), 0);
		check("VERW of a system type", verw(SPARE), 0);
	}
	for (unsigned type = 0; type < 16; type++) {
		descriptor(gdt, SPARE / 8, 0, 0x12345, 0xC090 | type);
		check("LAR of code and data", lar(SPARE), 1);
		check("LSL of code and data", lsl(SPARE), 1);
		check("in bytes", query_value, 0x12345FFF);
		check("VERR: data, and code that may be read", verr(SPARE), !(type & 8) || (type & 2));
		check("VERW: data that may be written", verw(SPARE), !(type & 8) && (type & 2));
		check("with RPL 3 only conforming code is seen", lar(SPARE | 3), (type & 12) == 12);
		check("and verified", verr(SPARE | 3), (type & 14) == 14);
	}
	descriptor(gdt, SPARE / 8, 0, 0x12345, 0x4012);
	check("not being present does not matter to LAR", lar(SPARE), 1);
	check("nor to VERR", verr(SPARE), 1);
	check("the null selector is not seen", lar(3) | lsl(0) | verr(0) | verw(0), 0);
	check("nor what is past the table", lar(BEYOND) | lsl(BEYOND) | verr(BEYOND) | verw(BEYOND), 0);
}

/* --- virtual interrupts at CPL 3 --- */

CODE(pvi_cli, "	cli\n	pushf\n	pop %eax\n	int $0x80\n");
CODE(pvi_sti, "	sti\n	pushf\n	pop %eax\n	int $0x80\n");
CODE(pvi_popf, "	push $0x202\n	popf\n	int $0x80\n");

static uint32_t features(void) { uint32_t a, b, c, d; ASM("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(1)); return d; }

static void test_pvi(void)
{
	if (!(features() & 2))
		return;
	check_trap("STI at CPL 3 without PVI is #GP", run_user(pvi_sti), GP, 0);
	set_cr4(get_cr4() | 2);
	user_eflags = 2 | FL_VIF;
	check_trap("PVI: CLI", run_user(pvi_cli), USER_DONE, 0);
	check("clears VIF", trap.eflags & FL_VIF, 0);
	check("PUSHF shows it in its own place", trap.eax & (FL_VIF | FL_IF), 0);
	user_eflags = 2;
	check_trap("PVI: STI", run_user(pvi_sti), USER_DONE, 0);
	check("sets VIF, and not IF", trap.eflags & (FL_VIF | FL_IF), FL_VIF);
	user_eflags = 2 | FL_VIP;
	check_trap("PVI: STI with VIP is #GP", run_user(pvi_sti), GP, 0);
	check_trap("PVI: CLI with VIP", run_user(pvi_cli), USER_DONE, 0);
	user_eflags = 2;
	check_trap("PVI: POPF", run_user(pvi_popf), USER_DONE, 0);
	check("changes neither", trap.eflags & (FL_VIF | FL_IF), 0);
	set_cr4(get_cr4() & ~2u);
}

/* --- control registers, MSRs, encodings --- */

static uint32_t val;
static void load_cr0(void) { set_cr0(val); }
static void load_cr4(void) { set_cr4(val); }
static void write_efer(void) { ASM("wrmsr" :: "c"(0xC0000080), "a"(val), "d"(0)); }
static void write_unknown(void) { ASM("wrmsr" :: "c"(0x12345), "a"(0), "d"(0)); }
static void write_pat(void) { ASM("wrmsr" :: "c"(0x277), "a"(0x00070206), "d"(0x00070406)); }
CODE(mov_cr1, "	.byte 0x0F, 0x20, 0xC8\n	ret\n");
CODE(mov_cr5, "	.byte 0x0F, 0x22, 0xE8\n	ret\n");
CODE(mov_dr4, "	.byte 0x0F, 0x21, 0xE0\n	ret\n");
CODE(lmsw_0, "	xor %eax, %eax\n	lmsw %ax\n	ret\n");
CODE(lock_reg, "	.byte 0xF0, 0x01, 0xC0\n	ret\n");
CODE(lock_cmp, "	.byte 0xF0, 0x39, 0x05\n	.long rules_buffer\n	ret\n");
CODE(lock_add, "	.byte 0xF0, 0x01, 0x05\n	.long rules_buffer\n	ret\n");
CODE(lock_nop, "	.byte 0xF0, 0x90\n	ret\n");
CODE(long_15, "	.fill 14, 1, 0x66\n	nop\n	ret\n");
CODE(long_16, "	.fill 15, 1, 0x66\n	nop\n	ret\n");
CODE(user_rdtsc, "	rdtsc\n	int $0x80\n");
CODE(user_smsw, "	smsw %eax\n	int $0x80\n");

static void test_control(void)
{
	/* a bit of CR4 may be set where CPUID announces what it does */
	static const struct { uint8_t cr4, cpuid; } bits[] = { { 0, 1 }, { 1, 1 }, { 3, 2 }, { 4, 3 }, { 5, 6 }, { 6, 7 }, { 7, 13 }, { 9, 24 }, { 10, 25 } };
	uint32_t had = features(), cr0 = get_cr0(), cr4 = get_cr4();

	for (unsigned i = 0; i < ARRAY_LEN(bits); i++) {
		val = cr4 | 1u << bits[i].cr4;
		check_trap("a bit of CR4", guard(load_cr4), had >> bits[i].cpuid & 1 ? NONE : GP, 0);
		set_cr4(cr4);
	}
	val = cr4 | 0x80000000;
	check_trap("a reserved bit of CR4 is #GP(0)", guard(load_cr4), GP, 0);
	val = (cr0 | 0x80000000) & ~1u;
	check_trap("PG without PE is #GP(0)", guard(load_cr0), GP, 0);
	val = (cr0 | 0x20000000) & ~0x40000000u;
	check_trap("NW without CD is #GP(0)", guard(load_cr0), GP, 0);
	check("and changes nothing", get_cr0(), cr0);
	check_trap("LMSW", guard(lmsw_0), NONE, 0);
	check("cannot clear PE", get_cr0() & 1, 1);
	set_cr0(cr0);
	val = 0x00100000;
	check_trap("a reserved bit of EFER is #GP(0)", guard(write_efer), GP, 0);
	check_trap("WRMSR of nothing is #GP(0)", guard(write_unknown), GP, 0);
	check_trap("a reserved memory type in the PAT is #GP(0)", guard(write_pat), GP, 0);
	check_trap("there is no CR1", guard(mov_cr1), UD, 0);
	check_trap("nor CR5", guard(mov_cr5), UD, 0);
	check_trap("DR4 is DR6", guard(mov_dr4), NONE, 0);
	set_cr4(cr4 | 8);
	check_trap("with CR4.DE it is #UD", guard(mov_dr4), UD, 0);
	set_cr4(cr4 | 4);
	check_trap("RDTSC at CPL 3 with TSD is #GP(0)", run_user(user_rdtsc), GP, 0);
	set_cr4(cr4);
	check_trap("RDTSC at CPL 3", run_user(user_rdtsc), USER_DONE, 0);
	check_trap("SMSW at CPL 3", run_user(user_smsw), USER_DONE, 0);
	check("shows CR0", trap.eax, cr0);
	check_trap("LOCK of a register is #UD", guard(lock_reg), UD, 0);
	check_trap("LOCK of CMP is #UD", guard(lock_cmp), UD, 0);
	check_trap("LOCK of NOP is #UD", guard(lock_nop), UD, 0);
	check_trap("LOCK of ADD to memory", guard(lock_add), NONE, 0);
	check_trap("15 bytes are an instruction", guard(long_15), NONE, 0);
	check_trap("16 are #GP(0)", guard(long_16), GP, 0);
}

/* --- over the borders of pages --- */

#define LIN	0x800000u
#define PHYS	0x200000u
static uint32_t tab_2[1024] __attribute__((aligned(4096)));
static void cross_write(void) { ASM("movl $0x11223344, 0x800FFE" ::: "memory"); }
static void cross_add(void) { ASM("addl $1, 0x800FFD" ::: "memory"); }
static void cross_read(void) { ASM("movl 0x800FFF, %%eax" ::: "eax"); }
static void cross_fpu(void) { ASM("fldz\n	fstpl 0x800FFC" ::: "memory"); }
CODE(cross_push, "	mov %esp, %edx\n	mov $0x801002, %esp\n	push $0x55667788\n	mov %edx, %esp\n	ret\n");
CODE(cross_movs, "	mov $rules_buffer, %esi\n	mov $0x800FF0, %edi\n	mov $10, %ecx\n	cld\n	rep movsl\n	ret\n");
static void cross_code(void) { ASM("call *%0" :: "r"(LIN + 0xFFE) : "memory"); }

static void second(uint32_t pte)
{
	tab_2[0] = PHYS | 7;
	tab_2[1] = pte;
	set_cr3(page_dir);
	for (unsigned i = 0; i < 8; i++)
		((volatile uint32_t *)(LIN + 0xFE0))[i] = 0xCCCCCCCC;
}

static void test_borders(void)
{
	volatile uint32_t *end = (volatile uint32_t *)(LIN + 0xFFC);

	paging_on();
	set_cr0(get_cr0() | 0x10000);			/* WP */
	page_dir[2] = (uint32_t)tab_2 | 7;
	second((PHYS + 0x1000) | 5);
	check_trap("a write into a read-only page", guard(cross_write), PF, 3);
	check("CR2 is the second page", trap_cr2, LIN + 0x1000);
	check("nothing is written in the first", *end, 0xCCCCCCCC);
	check_trap("the same for ADD", guard(cross_add), PF, 3);
	check("CR2 is the second page", trap_cr2, LIN + 0x1000);
	check("nothing is written in the first", *end, 0xCCCCCCCC);
	check_trap("the same for the FPU", guard(cross_fpu), PF, 3);
	check("nothing is written in the first", *end, 0xCCCCCCCC);
	ASM("fninit");
	second(0);
	check_trap("a read into a page that is not there", guard(cross_read), PF, 0);
	check("CR2 is the second page", trap_cr2, LIN + 0x1000);
	check_trap("a string into it", guard(cross_movs), PF, 2);
	check("CR2 is the second page", trap_cr2, LIN + 0x1000);
	check("elements left", trap.ecx, 6);
	check("EDI", trap.edi, LIN + 0x1000);
	check("ESI", trap.esi, (uint32_t)rules_buffer + 16);
	((volatile uint8_t *)LIN)[0xFFE] = 0xB8;	/* MOV EAX, imm32: three of its bytes are missing */
	check_trap("an instruction that goes on there", guard(cross_code), PF, 0);
	check("CR2 is the second page", trap_cr2, LIN + 0x1000);
	check("EIP is where it begins", trap.eip, LIN + 0xFFE);
	second((PHYS + 0x3000) | 7);
	check_trap("a write over two pages", guard(cross_write), NONE, 0);
	check("has its first half in the one", *(volatile uint16_t *)(PHYS + 0xFFE), 0x3344);
	check("its second in the other", *(volatile uint16_t *)(PHYS + 0x3000), 0x1122);
	check_trap("a push over two pages", guard(cross_push), NONE, 0);
	check("has its first half in the one", *(volatile uint16_t *)(PHYS + 0xFFE), 0x7788);
	check("its second in the other", *(volatile uint16_t *)(PHYS + 0x3000), 0x5566);
	set_cr0(get_cr0() & ~0x10000u);
	paging_off();
}

/* --- over the borders of segments --- */

static uint32_t offset;
static void fs_byte(void) { uint8_t v; ASM("mov %1, %%fs\n	mov %%fs:(%2), %0" : "=q"(v) : "r"((uint32_t)sel), "r"(offset)); }
static void fs_word(void) { uint16_t v; ASM("mov %1, %%fs\n	mov %%fs:(%2), %0" : "=r"(v) : "r"((uint32_t)sel), "r"(offset)); }
static void fs_fxsave(void) { ASM("mov %0, %%fs\n	fxsave %%fs:(%1)" :: "r"((uint32_t)sel), "r"(offset) : "memory"); }
CODE(ss_word, "	mov $0x68, %eax\n	mov %ax, %ss\n	mov $0x1FFFFF, %ebp\n	movw (%ebp), %cx\n");
CODE(sp_wrap, "	mov %esp, %edx\n	mov $0x68, %eax\n	mov %ax, %ss\n	mov $0xABCD0000, %esp\n	pushw $0x7711\n	mov %esp, %ecx\n"
	"	mov $0x10, %eax\n	mov %ax, %ss\n	mov %edx, %esp\n	mov %ecx, offset_seen\n	ret\n");
uint32_t offset_seen;

static void test_limits(void)
{
	uint32_t got;

	descriptor(gdt, SPARE / 8, (uint32_t)rules_buffer, 0xFFFF, 0x0092);
	sel = SPARE;
	offset = 0xFFFF;
	check_trap("the last byte of 64 KiB", guard(fs_byte), NONE, 0);
	check_trap("a word there is #GP(0)", guard(fs_word), GP, 0);
	rules_buffer[0] = 0x44332211;
	rules_buffer[1] = 0x55;
	ASM("mov %1, %%fs\n	mov $0xFFFF, %%ebx\n	mov $2, %%esi\n	.byte 0x64, 0x67, 0x8B, 0x00\n	mov %%eax, %0"
	    : "=m"(got) : "r"((uint32_t)SPARE) : "eax", "ebx", "esi", "memory");
	check("a 16-bit address goes round at 64 KiB", got, 0x55443322);
	descriptor(gdt, SPARE / 8, (uint32_t)rules_buffer - 0x1000, 0xFFF, 0x0096);
	offset = 0xFFFF;
	check_trap("the last byte of a 16-bit expand-down segment", guard(fs_byte), NONE, 0);
	check_trap("a word there is #GP(0)", guard(fs_word), GP, 0);
	offset = 0x10000;
	check_trap("it ends at 64 KiB", guard(fs_byte), GP, 0);
	offset = 0xFFF;
	check_trap("a word that begins below it is #GP(0)", guard(fs_word), GP, 0);
	descriptor(gdt, SPARE / 8, (uint32_t)rules_buffer, 0x1FE, 0x4092);
	offset = 0;
	check_trap("FXSAVE one byte over the limit is #GP(0)", guard(fs_fxsave), GP, 0);
	offset = 8;
	descriptor(gdt, SPARE / 8, (uint32_t)rules_buffer, 0xFFFF, 0x4092);
	check_trap("FXSAVE off its 16 bytes is #GP(0)", guard(fs_fxsave), GP, 0);
	descriptor(gdt, SPARE2 / 8, 0, 0x1FF, 0xC092);
	check_trap("an access by EBP past the stack's limit is #SS(0)", guard(ss_word), SS, 0);
	descriptor(gdt, SPARE2 / 8, (uint32_t)rules_buffer, 0xFFFF, 0x0092);
	check_trap("a 16-bit stack", guard(sp_wrap), NONE, 0);
	check("goes round, and leaves the upper half of ESP", offset_seen, 0xABCDFFFE);
	check("the word is at its end", *(uint16_t *)((char *)rules_buffer + 0xFFFE), 0x7711);
}

/* --- faults in a new task are its own --- */

extern char task_2[];
static void call_tss_2(void) { ASM("lcall %0, $0" :: "i"(TSS_2)); }

static int new_task(void)
{
	descriptor(gdt, TSS_2 / 8, (uint32_t)&tss_2, sizeof(tss_2) - 1, 0x89);
	int got = guard(call_tss_2);
	descriptor(gdt, TSS_2 / 8, (uint32_t)&tss_2, sizeof(tss_2) - 1, 0x89);
	descriptor(gdt, TSS_MAIN / 8, (uint32_t)&tss_main, sizeof(tss_main) - 1, 0x89);
	ASM("ltr %w0\n	clts" :: "r"(TSS_MAIN));
	return got;
}

/* At CPL 3: its faults need nothing of what could not be loaded. */
static const struct tss good = { .eip = (uint32_t)task_2, .eflags = 2, .esp = (uint32_t)user_stack_top, .cs = CODE3, .ss = DATA3,
	.ds = DATA3, .es = DATA3, .fs = DATA3, .gs = DATA3, .esp0 = (uint32_t)df_stack_top, .ss0 = DATA0 };

static void test_new_task(void)
{
	tss_2 = good;
	tss_2.ldt = DATA0;
	check_trap("an LDT that is none is #TS", new_task(), TS, DATA0);
	check("at the new task's first instruction", trap.eip, (uint32_t)task_2);
	tss_2 = good;
	tss_2.ss = CODE0;
	check_trap("a stack that is none is #TS", new_task(), TS, CODE0);
	tss_2 = good;
	tss_2.ss = 0;
	check_trap("no stack is #TS(0)", new_task(), TS, 0);
	tss_2 = good;
	tss_2.cs = DATA3;
	check_trap("code that is none is #TS", new_task(), TS, DATA3 & ~3);
	tss_2 = good;
	tss_2.cs = SPARE | 3;
	descriptor(gdt, SPARE / 8, 0, 0xFFFFF, 0xC07A);
	check_trap("code that is not present is #NP", new_task(), NP, SPARE);
	tss_2 = good;
	tss_2.ds = SPARE | 3;
	descriptor(gdt, SPARE / 8, 0, 0xFFFFF, 0xC072);
	check_trap("data that is not present is #NP", new_task(), NP, SPARE);
	tss_2 = good;
	tss_2.trap = 1;
	set_dr(6, 0);
	check_trap("the T bit is #DB", new_task(), DB, 0);
	check("at the new task's first instruction", trap.eip, (uint32_t)task_2);
	check("DR6 says BT", get_dr6(), 0xFFFF8FF0);
	set_dr(6, 0);
	set_dr(7, 0x755);				/* L0..L3, G0, G2, LE, GE; of nothing that is met */
	set_dr(0, (uint32_t)rules_buffer);
	set_dr(1, (uint32_t)rules_buffer);
	tss_2 = good;
	check_trap("a call and return", new_task(), NONE, 0);
	ASM("mov %%dr7, %0" : "=r"(val));
	check("clears the local breakpoints", val, 0x600);
	set_dr(7, 0x400);
	set_dr(6, 0);
}

/* --- A20: this code lies at 1 MiB, and must get out of the way --- */

__asm__(".data\na20_stub:\n	in $0x92, %al\n	mov %al, %bl\n	and $0xFD, %al\n	out %al, $0x92\n"
	"	mov 0x100600, %esi\n	movl $0x600D600D, 0x100600\n	mov 0x600, %edi\n"
	"	mov %bl, %al\n	or $2, %al\n	out %al, $0x92\n	jmp *%edx\na20_stub_end:\n.text\n");
extern char a20_stub[], a20_stub_end[];

static void test_a20(void)
{
	volatile uint32_t *low = (volatile uint32_t *)0x600, *high = (volatile uint32_t *)0x100600;
	uint32_t seen, after, was = *high;

	for (unsigned i = 0; a20_stub + i < a20_stub_end; i++)
		((volatile char *)0x7400)[i] = a20_stub[i];
	*low = 0xABCD1234;
	ASM("mov $1f, %%edx\n	mov $0x7400, %%eax\n	jmp *%%eax\n1:" : "=S"(seen), "=D"(after) :: "eax", "ebx", "edx", "memory");
	check("with A20 low 1 MiB reads as 0", seen, 0xABCD1234);
	check("and is written there", after, 0x600D600D);
	check("what is at 1 MiB stays", *high, was);
}

/* --- debug traps and the shadow of MOV SS --- */

static void watch(void *p, unsigned kind) { set_dr(0, (uint32_t)p); set_dr(6, 0); set_dr(7, 0x402 | kind << 16); }
uint16_t ss_value = DATA0;
CODE(load_ss_watched, "	mov ss_value, %ss\n	.globl ss1\nss1:	nop\n	.globl ss2\nss2:	nop\n	ret\n");
CODE(movs_watched, "	mov $rules_buffer, %edi\n	mov $8, %ecx\n	xor %eax, %eax\n	cld\n	.globl mw1\nmw1:	rep stosl\n	.globl mw2\nmw2:	ret\n");
CODE(break_on_ud, "	ud2\n");
LABEL(ss1); LABEL(ss2); LABEL(mw1); LABEL(mw2);

static void test_traps(void)
{
	watch(&ss_value, 7);				/* reads and writes, 2 bytes */
	check_trap("a watched read by MOV SS", guard(load_ss_watched), DB, 0);
	check("traps behind the next instruction", trap.eip, (uint32_t)ss2);
	watch(ss1, 0);
	check_trap("a breakpoint behind MOV SS", guard(load_ss_watched), NONE, 0);
	watch(ss2, 0);
	check_trap("one further on", guard(load_ss_watched), DB, 0);
	watch(rules_buffer + 3, 13);
	check_trap("a watched write by REP STOS", guard(movs_watched), DB, 0);
	check("traps behind that element", trap.ecx, 4);
	check("in the middle", trap.eip, (uint32_t)mw1);
	watch(rules_buffer + 7, 13);
	check_trap("a watched write by its last element", guard(movs_watched), DB, 0);
	check("traps behind it", trap.eip, (uint32_t)mw2);
	watch(break_on_ud, 0);
	check_trap("a breakpoint comes before #UD", guard(break_on_ud), DB, 0);
	set_dr(7, 0x400);
	set_dr(6, 0);
}

void test_rules(void)
{
	test_inner_stack();
	test_returns();
	test_queries();
	test_pvi();
	test_control();
	test_borders();
	test_limits();
	test_new_task();
	test_a20();
	test_traps();
}
