/* A GDT as large as it gets, and what unprivileged code may ask about tables.	[SDM 2, "LAR", "LSL", "VERR/VERW", "SGDT"] */
#include "system.h"

extern uint32_t user_eflags;
static uint32_t big[8192][2] __attribute__((aligned(8)));

/* Every access byte with every 32nd of the other bits; the kernel's own selectors stay. */
static void fill(void)
{
	for (unsigned i = 0; i < 8192; i++) {
		uint32_t base = i * 2654435761u, limit = (i * 40503u) & 0xFFFFF;
		descriptor(big, i, base, limit, (i & 0xFF) | (i >> 8 & 15) << 12);
	}
	for (unsigned i = 1; i < 16; i++)
		for (unsigned k = 0; k < 2; k++)
			big[i][k] = gdt[i][k];
	descriptor(big, LDT_SEL / 8, (uint32_t)big, 0xFFFF, 0x82);	/* the same table once more */
}

static uint32_t cpl, wrong, first_wrong, sum;

static int may_see(uint32_t sel, uint32_t high)
{
	uint32_t dpl = high >> 13 & 3, rpl = sel & 3;
	int conforming = (high & 0x1C00) == 0x1C00;

	return conforming || (dpl >= rpl && dpl >= cpl);
}

/* Bits: what ZF says after LAR, LSL, VERR, VERW. Null is null only in the GDT. */
static uint32_t manual(uint32_t sel, uint32_t high)
{
	static const uint16_t lar_system = 0x1A3E, lsl_system = 0x0A0E;
	uint32_t type = high >> 8 & 15;

	if (!(sel & 0xFFFC) || !may_see(sel, high))
		return 0;
	if (!(high & 0x1000))
		return (lar_system >> type & 1) | (lsl_system >> type & 1) << 1;
	return 3 | (!(type & 8) || type & 2) << 2 | (!(type & 8) && type & 2) << 3;
}

static void ask_all(void)
{
	sum = 2166136261u;
	wrong = 0;
	for (uint32_t sel = 0; sel < 0x10000; sel++) {
		uint32_t low = big[sel >> 3][0], high = big[sel >> 3][1], access = 0, limit = 0;
		uint8_t zf[4];

		ASM("lar %2, %0\n	setz %1" : "+&r"(access), "=q"(zf[0]) : "r"(sel) : "cc");
		ASM("lsl %2, %0\n	setz %1" : "+&r"(limit), "=q"(zf[1]) : "r"(sel) : "cc");
		ASM("verr %w1\n	setz %0" : "=q"(zf[2]) : "r"(sel) : "cc");
		ASM("verw %w1\n	setz %0" : "=q"(zf[3]) : "r"(sel) : "cc");
		uint32_t got = zf[0] | zf[1] << 1 | zf[2] << 2 | zf[3] << 3, want = manual(sel, high);
		uint32_t want_limit = (low & 0xFFFF) | (high & 0xF0000);
		if (high & 0x800000)
			want_limit = want_limit << 12 | 0xFFF;
		if (got != want || (access & 0xF0FF00) != (want & 1 ? high & 0xF0FF00 : 0) ||
		    limit != (want & 2 ? want_limit : 0)) {
			if (!wrong++)
				first_wrong = sel;
		}
		sum = (sum ^ got) * 16777619u;
		sum = (sum ^ (access & 0xF0FF00)) * 16777619u;
		sum = (sum ^ limit) * 16777619u;
	}
}

static void ask_all_user(void)
{
	ask_all();
	ASM("int $0x80");
}

static void test_big(void)
{
	struct { uint16_t limit; void *base; } __attribute__((packed)) r = { 0xFFFF, big }, old;

	fill();
	ASM("sgdt %0" : "=m"(old));
	ASM("lgdt %0" :: "m"(r));
	ASM("lldt %w0" :: "r"(LDT_SEL));
	cpl = 0;
	first_wrong = 0;
	ask_all();
	check("selectors that answer otherwise than the manual says, at CPL 0", wrong, 0);
	check("the first of them", first_wrong, 0);
	note("tables: checksum at CPL 0", sum);
	cpl = 3;
	check_trap("all selectors at CPL 3", run_user(ask_all_user), USER_DONE, 0);
	check("selectors that answer otherwise than the manual says, at CPL 3", wrong, 0);
	check("the first of them", first_wrong, 0);
	note("tables: checksum at CPL 3", sum);
	big[8191][1] = 0x00409300;		/* DPL 0, 1 byte */
	big[8191][0] = (uint32_t)&sum << 16;
	big[8191][1] |= (uint32_t)&sum >> 16 & 0xFF;
	ASM("mov %0, %%fs\n	movb $0x5A, %%fs:0\n	mov %1, %%fs" :: "r"(8191 * 8), "r"(DATA0) : "memory");
	check("the last descriptor of the table can be used", sum & 0xFF, 0x5A);
	ASM("lldt %w0" :: "r"(0));
	ASM("lgdt %0" :: "m"(old));
}

/* --- what CPL 3 and vm86 see --- */

static struct { uint16_t limit; uint32_t base; } __attribute__((packed)) seen_gdt, seen_idt;
static uint32_t seen_msw, seen_ldt, seen_tr;

static void look(void)
{
	ASM("sgdt %0\n	sidt %1" : "=m"(seen_gdt), "=m"(seen_idt));
	ASM("smsw %0\n	sldt %1\n	str %2" : "=r"(seen_msw), "=r"(seen_ldt), "=r"(seen_tr));
	ASM("int $0x80");
}

#define SEG	0x7000u
static int run_vm86(const char *bytes, unsigned len)
{
	uint32_t frame[] = { 0x100, SEG, FL_IOPL | FL_VM | 2, 0x1000, SEG, SEG, SEG, SEG, SEG };
	for (unsigned i = 0; i < len; i++)
		((volatile uint8_t *)(SEG * 16 + 0x100))[i] = bytes[i];
	return run_frame(frame, 9);
}
#define VM86(bytes) run_vm86(bytes, sizeof(bytes) - 1)

static void test_stores(void)
{
	volatile uint16_t *at = (volatile uint16_t *)(SEG * 16 + 0x800);

	ASM("lldt %w0" :: "r"(LDT_SEL));
	check_trap("SGDT, SIDT, SMSW, SLDT and STR at CPL 3", run_user(look), USER_DONE, 0);
	check("SGDT: base", seen_gdt.base, (uint32_t)gdt);
	check("SGDT: limit", seen_gdt.limit, 32 * 8 - 1);
	check("SIDT: base", seen_idt.base, (uint32_t)idt);
	check("SIDT: limit", seen_idt.limit, 256 * 8 - 1);
	check("SMSW", seen_msw & 0xFFFF, get_cr0() & 0xFFFF);
	check("SLDT", seen_ldt & 0xFFFF, LDT_SEL);
	check("STR", seen_tr & 0xFFFF, TSS_MAIN);
	ASM("lldt %w0" :: "r"(0));

	check_trap("SGDT in vm86", VM86("\x0F\x01\x06\x00\x08\xCD\x80"), USER_DONE, 0);
	check("its limit", at[0], 32 * 8 - 1);
	check("its base", at[1] | at[2] << 16, (uint32_t)gdt);
	check_trap("SIDT in vm86", VM86("\x0F\x01\x0E\x00\x08\xCD\x80"), USER_DONE, 0);
	check("its limit", at[0], 256 * 8 - 1);
	check("its base", at[1] | at[2] << 16, (uint32_t)idt);
	check_trap("SMSW in vm86", VM86("\x0F\x01\xE0\xCD\x80"), USER_DONE, 0);
	check("its value", trap.eax & 0xFFFF, get_cr0() & 0xFFFF);
	check_trap("SLDT in vm86 is #UD", VM86("\x0F\x00\xC0"), UD, 0);
	check_trap("STR in vm86 is #UD", VM86("\x0F\x00\xC8"), UD, 0);
}

/* --- the cached descriptor --- */

static uint32_t here[2] = { 0x11111111, 0x22222222 }, there[2] = { 0x33333333, 0x44444444 }, kept, loaded;

static void use_gs(void)
{
	for (unsigned i = 0; i < 2000; i++)		/* hot, too */
		ASM("mov %%gs:4, %0" : "=r"(kept));
	ASM("mov %%gs, %%eax\n	mov %%eax, %%gs\n	mov %%gs:4, %0" : "=r"(loaded) :: "eax");
	ASM("int $0x80");
}

static void test_cached(void)
{
	descriptor(gdt, SPARE / 8, (uint32_t)here, 7, 0x40F2);
	ASM("mov %0, %%gs" :: "r"(SPARE | 3));
	descriptor(gdt, SPARE / 8, (uint32_t)there, 7, 0x40F2);
	check_trap("a descriptor rewritten after it was loaded, then IRET to CPL 3", run_user(use_gs), USER_DONE, 0);
	check("keeps its base until it is loaded again", kept, here[1]);
	check("and then has the new one", loaded, there[1]);
	descriptor(gdt, SPARE / 8, (uint32_t)here, 7, 0x40F2);
	ASM("mov %0, %%gs" :: "r"(SPARE | 3));
	descriptor(gdt, SPARE / 8, 0, 0, 0);
	check_trap("one that was taken out of the table", run_user(use_gs), GP, SPARE);
	check("could be used until it was loaded again", kept, here[1]);
}

void test_tables(void)
{
	user_eflags = 2;
	test_big();
	test_stores();
	test_cached();
}
