/*
 * Attacks on the guest's confinement: stores by every way to form an address, page tables that map themselves, a
 * million address spaces, recursion that does not come back.
 */
#include "attack.h"

/* --- stores that reach for what is not theirs --- */

enum { STUBS = 256, STUB = 64, EAX = 0, ECX, EDX, EBX, ESP, EBP, ESI, EDI };
#define CODE_AT		0x300000u		/* below 4 MiB: mapped, for CPL 3 too */
#define REGS_AT		0x2F0000u
#define FS_BASE		0x9ABCD000u		/* 4 GiB long: it wraps */

static uint32_t *const regs = (uint32_t *)REGS_AT;	/* in POPA's order; ESP behind */

/* Where an instruction finds its operand: by ModRM (on 16 bytes; as a bit string; behind its own POP), on the stack, by a register. */
enum kind { ADDRESS, ALIGNED, BIT_STRING, POPS_TO, PUSHES, POPS, FRAME, STRING, SOURCE, MASKED, TABLE, MOFFS };

/* reg: of ModRM; 9: any; 8: there is none. error: of the page fault at CPL 3. */
static const struct form { uint8_t bytes[3]; uint8_t len, reg, imm, kind, error; } forms[] = {
	{ { 0x89 }, 1, 9, 0, ADDRESS, 6 }, { { 0x88 }, 1, 9, 0, ADDRESS, 6 }, { { 0xC7 }, 1, 0, 4, ADDRESS, 6 },
	{ { 0xC6 }, 1, 0, 1, ADDRESS, 6 }, { { 0x01 }, 1, 9, 0, ADDRESS, 6 }, { { 0x87 }, 1, 9, 0, ADDRESS, 6 },
	{ { 0x83 }, 1, 1, 1, ADDRESS, 6 }, { { 0xF7 }, 1, 3, 0, ADDRESS, 6 }, { { 0xFF }, 1, 0, 0, ADDRESS, 6 },
	{ { 0xD1 }, 1, 4, 0, ADDRESS, 6 }, { { 0x0F, 0xB1 }, 2, 9, 0, ADDRESS, 6 }, { { 0x0F, 0xC1 }, 2, 9, 0, ADDRESS, 6 },
	{ { 0x0F, 0xC7 }, 2, 1, 0, ADDRESS, 6 }, { { 0x0F, 0x95 }, 2, 0, 0, ADDRESS, 6 }, { { 0xF0, 0x01 }, 2, 9, 0, ADDRESS, 6 },
	{ { 0xF0, 0x0F, 0xC7 }, 3, 1, 0, ADDRESS, 6 }, { { 0x66, 0x89 }, 2, 9, 0, ADDRESS, 6 }, { { 0x0F, 0xA4 }, 2, 9, 1, ADDRESS, 6 },
	{ { 0x8C }, 1, 3, 0, ADDRESS, 6 }, { { 0x8B }, 1, 9, 0, ADDRESS, 4 }, { { 0x03 }, 1, 9, 0, ADDRESS, 4 },
	/* descriptor table registers, far pointers, bounds */
	{ { 0x0F, 0x01 }, 2, 0, 0, ADDRESS, 6 }, { { 0x0F, 0x01 }, 2, 1, 0, ADDRESS, 6 }, { { 0x0F, 0x01 }, 2, 4, 0, ADDRESS, 6 },
	{ { 0x0F, 0x00 }, 2, 0, 0, ADDRESS, 6 }, { { 0x0F, 0x00 }, 2, 1, 0, ADDRESS, 6 }, { { 0xC4 }, 1, 9, 0, ADDRESS, 4 },
	{ { 0xC5 }, 1, 9, 0, ADDRESS, 4 }, { { 0x0F, 0xB2 }, 2, 9, 0, ADDRESS, 4 }, { { 0x0F, 0xB5 }, 2, 9, 0, ADDRESS, 4 },
	{ { 0xFF }, 1, 3, 0, ADDRESS, 4 }, { { 0xFF }, 1, 5, 0, ADDRESS, 4 }, { { 0x62 }, 1, 9, 0, ADDRESS, 4 },
	{ { 0xFF }, 1, 2, 0, ADDRESS, 4 }, { { 0xFF }, 1, 4, 0, ADDRESS, 4 }, { { 0xFF }, 1, 6, 0, ADDRESS, 4 },
	/* x87, MMX, SSE: from 2 bytes to 512 */
	{ { 0xD9 }, 1, 2, 0, ADDRESS, 6 }, { { 0xDD }, 1, 3, 0, ADDRESS, 6 }, { { 0xDB }, 1, 7, 0, ADDRESS, 6 }, { { 0xDF }, 1, 6, 0, ADDRESS, 6 },
	{ { 0xDF }, 1, 7, 0, ADDRESS, 6 }, { { 0xD9 }, 1, 7, 0, ADDRESS, 6 }, { { 0xDD }, 1, 7, 0, ADDRESS, 6 }, { { 0xD9 }, 1, 6, 0, ADDRESS, 6 },
	{ { 0xDD }, 1, 6, 0, ADDRESS, 6 }, { { 0xD9 }, 1, 4, 0, ADDRESS, 4 }, { { 0xDD }, 1, 4, 0, ADDRESS, 4 }, { { 0xDD }, 1, 0, 0, ADDRESS, 4 },
	{ { 0x0F, 0xAE }, 2, 3, 0, ADDRESS, 6 }, { { 0x0F, 0xAE }, 2, 2, 0, ADDRESS, 4 }, { { 0x0F, 0xAE }, 2, 0, 0, ALIGNED, 6 },
	{ { 0x0F, 0xAE }, 2, 1, 0, ALIGNED, 4 }, { { 0x0F, 0x29 }, 2, 9, 0, ALIGNED, 6 }, { { 0x66, 0x0F, 0xE7 }, 3, 9, 0, ALIGNED, 6 },
	{ { 0x0F, 0x11 }, 2, 9, 0, ADDRESS, 6 }, { { 0x0F, 0x10 }, 2, 9, 0, ADDRESS, 4 }, { { 0x0F, 0x13 }, 2, 9, 0, ADDRESS, 6 },
	{ { 0xF3, 0x0F, 0x7F }, 3, 9, 0, ADDRESS, 6 }, { { 0x0F, 0x7F }, 2, 9, 0, ADDRESS, 6 }, { { 0x0F, 0xC3 }, 2, 9, 0, ADDRESS, 6 },
	{ { 0x0F, 0xE7 }, 2, 9, 0, ADDRESS, 6 }, { { 0xF2, 0x0F, 0x11 }, 3, 9, 0, ADDRESS, 6 },
	/* bits as far away as 256 MiB */
	{ { 0x0F, 0xAB }, 2, 9, 0, BIT_STRING, 6 }, { { 0x0F, 0xB3 }, 2, 9, 0, BIT_STRING, 6 }, { { 0x0F, 0xBB }, 2, 9, 0, BIT_STRING, 6 },
	{ { 0x0F, 0xA3 }, 2, 9, 0, BIT_STRING, 4 }, { { 0xF0, 0x0F, 0xAB }, 3, 9, 0, BIT_STRING, 6 },
	/* a wild ESP, a wild EBP */
	{ { 0x8F }, 1, 0, 0, POPS_TO, 6 }, { { 0x50 }, 1, 8, 0, PUSHES, 6 }, { { 0x68 }, 1, 8, 4, PUSHES, 6 }, { { 0xE8 }, 1, 8, 4, PUSHES, 6 },
	{ { 0x9C }, 1, 8, 0, PUSHES, 6 }, { { 0x60 }, 1, 8, 0, PUSHES, 6 }, { { 0x16 }, 1, 8, 0, PUSHES, 6 }, { { 0xC8 }, 1, 8, 3, PUSHES, 6 },
	{ { 0x58 }, 1, 8, 0, POPS, 4 }, { { 0x61 }, 1, 8, 0, POPS, 4 }, { { 0x9D }, 1, 8, 0, POPS, 4 }, { { 0x07 }, 1, 8, 0, POPS, 4 },
	{ { 0xC3 }, 1, 8, 0, POPS, 4 }, { { 0xC2 }, 1, 8, 2, POPS, 4 }, { { 0xCB }, 1, 8, 0, POPS, 4 }, { { 0xCF }, 1, 8, 0, POPS, 4 },
	{ { 0xC9 }, 1, 8, 0, FRAME, 4 },
	/* strings, by registers, by a number */
	{ { 0xAA }, 1, 8, 0, STRING, 6 }, { { 0xAB }, 1, 8, 0, STRING, 6 }, { { 0xF3, 0xAB }, 2, 8, 0, STRING, 6 }, { { 0xAE }, 1, 8, 0, STRING, 4 },
	{ { 0xF2, 0xAF }, 2, 8, 0, STRING, 4 }, { { 0xAC }, 1, 8, 0, SOURCE, 4 }, { { 0xF3, 0xAD }, 2, 8, 0, SOURCE, 4 },
	{ { 0xA4 }, 1, 8, 0, SOURCE, 4 }, { { 0xF3, 0xA5 }, 2, 8, 0, SOURCE, 4 }, { { 0x0F, 0xF7, 0xC1 }, 3, 8, 0, MASKED, 6 },
	{ { 0x66, 0x0F, 0xF7 }, 3, 8, 1, MASKED, 6 }, { { 0xD7 }, 1, 8, 0, TABLE, 4 }, { { 0xA3 }, 1, 8, 0, MOFFS, 6 }, { { 0xA2 }, 1, 8, 0, MOFFS, 6 },
	{ { 0xA1 }, 1, 8, 0, MOFFS, 4 },
};

static struct stub {
	uint8_t form, mod, rm, sib, reg, fs, small;	/* small: 16-bit addresses, which reach out only from FS */
	uint32_t disp, insn;				/* insn: where it lies */
} stub[STUBS];

static uint8_t *put(uint8_t *p, uint32_t v, unsigned bytes)
{
	while (bytes--) {
		*p++ = v;
		v >>= 8;
	}
	return p;
}

static uint8_t *put_operand(uint8_t *p, const struct stub *s)
{
	*p++ = s->mod << 6 | s->reg << 3 | s->rm;
	if (s->small)
		return put(p, s->disp, s->mod == 1 ? 1 : s->mod == 2 || s->rm == 6 ? 2 : 0);
	if (s->rm == 4)
		*p++ = s->sib;
	if (s->mod == 1)
		return put(p, s->disp, 1);
	return s->mod == 2 || s->rm == 5 || (s->rm == 4 && (s->sib & 7) == 5) ? put(p, s->disp, 4) : p;
}

static void make_stub(unsigned n)
{
	struct stub *s = &stub[n];
	uint8_t *start = (uint8_t *)(CODE_AT + n * STUB);

	s->form = n < ARRAY_LEN(forms) ? n : rnd() % ARRAY_LEN(forms);
	const struct form *f = &forms[s->form];
	s->mod = rnd() % 3;
	s->rm = rnd() & 7;
	s->sib = rnd();
	s->disp = rnd();
	s->fs = f->kind != STRING && f->kind != PUSHES && f->kind != POPS && f->kind != FRAME && rnd() % 3 == 0;
	s->small = s->fs && f->kind <= POPS_TO && rnd() % 2 == 0;
	if (s->mod == 1)
		s->disp = (uint32_t)(int)(signed char)s->disp;
	s->reg = f->reg == 9 ? (rnd() & 3) : f->reg;
	uint8_t *p = put(start, 0xC9760F, 3);		/* pcmpeqd mm1, mm1; xmm1: every byte is to be stored */
	p = put(p, 0xC9760F66, 4);
	p = put(put(p, 0xB8, 1), SPARE | 3, 4);		/* mov eax, SPARE; mov fs, eax */
	p = put(p, 0xE08E, 2);
	p = put(put(p, 0xBC, 1), REGS_AT, 4);		/* mov esp, regs; popa; mov esp, [regs + 32] */
	p = put(p, 0x258B61, 3);
	p = put(p, REGS_AT + 32, 4);
	s->insn = (uint32_t)p;
	if (s->fs)
		*p++ = 0x64;
	if (s->small)
		*p++ = 0x67;
	for (unsigned i = 0; i < f->len; i++)
		*p++ = f->bytes[i];
	if (f->kind == MOFFS)
		p = put(p, s->disp, 4);
	else if (s->reg != 8)
		p = put_operand(p, s);
	p = put(p, f->kind == MASKED ? 0xC1 : 0x01010101, f->imm);
	p = put(p, 0x80CD, 2);
	check("a stub fits", p - start <= STUB, 1);
}

static uint32_t reg_value(unsigned r)
{
	return r == ESP ? regs[8] : regs[7 - r];	/* POPA's order: EDI first */
}

/* The offset that ModRM says (SDM 1, "Specifying an Offset"; SDM 2, "ModR/M and SIB Bytes"). */
static uint32_t offset16(const struct stub *s)
{
	static const uint8_t base[] = { EBX, EBX, EBP, EBP, ESI, EDI, EBP, EBX }, index[] = { ESI, EDI, ESI, EDI };

	if (s->rm == 6 && s->mod == 0)
		return s->disp;
	return reg_value(base[s->rm]) + (s->rm < 4 ? reg_value(index[s->rm]) : 0) + (s->mod ? s->disp : 0);
}

static uint32_t offset32(const struct stub *s)
{
	uint32_t at, pop = forms[s->form].kind == POPS_TO ? 4 : 0;

	if (s->rm == 4) {
		unsigned base = s->sib & 7, index = s->sib >> 3 & 7;

		/* POP computes the address after it has moved ESP. */
		at = base == 5 && s->mod == 0 ? s->disp : reg_value(base) + (base == ESP ? pop : 0);
		at += index == 4 ? 0 : reg_value(index) << (s->sib >> 6);
	} else {
		at = s->rm == 5 && s->mod == 0 ? s->disp : reg_value(s->rm);
	}
	return s->mod ? at + s->disp : at;
}

static uint32_t offset(const struct stub *s)
{
	uint32_t at;

	switch (forms[s->form].kind) {
	case MOFFS: return s->disp;
	case PUSHES: return reg_value(ESP) - 4;
	case POPS:		/* processors look at RETF's CS and IRET's EFLAGS first */
		return reg_value(ESP) + (forms[s->form].bytes[0] == 0xCB ? 4 : forms[s->form].bytes[0] == 0xCF ? 8 : 0);
	case FRAME: return reg_value(EBP);
	case STRING: case MASKED: return reg_value(EDI);
	case SOURCE: return reg_value(ESI);
	case TABLE: return reg_value(EBX) + (uint8_t)reg_value(EAX);
	}
	at = s->small ? offset16(s) : offset32(s);
	if (forms[s->form].kind == BIT_STRING)
		at += (uint32_t)((int)reg_value(s->reg) >> 5) * 4;
	return s->small ? at & 0xFFFF : at;
}

/* Nothing from 4 MiB up is mapped; so far from both ends, and from its page's, nothing else can come first. */
static int reachable(const struct stub *s, uint32_t at)
{
	if (forms[s->form].kind == ALIGNED && at % 16 != 0)
		return 0;
	return at >= 0x400000 && at < 0xFFFFF000 && (at & 0xFFF) >= 0x40 && (at & 0xFFF) < 0xD00;
}

static void attack_with(unsigned n)
{
	const struct stub *s = &stub[n];
	unsigned kind = forms[s->form].kind, tries = 0;
	uint32_t at;

	do {
		for (unsigned r = 0; r < 8; r++)
			regs[r] = rnd() & 3 ? rnd() : 0xFFFFFFFFu - (rnd() & 0xFFF);
		/* its stack is good, but where it is what is attacked */
		regs[8] = kind == PUSHES || kind == POPS ? rnd() : CODE_AT - 256;
		if (kind == STRING || kind == SOURCE)
			regs[7 - ECX] |= 1;
		at = offset(s) + (s->fs ? FS_BASE : 0);
		if (++tries > 200)
			return;			/* a fixed address within what is mapped */
	} while (!reachable(s, at));
	int got = run_user((void (*)(void))(CODE_AT + n * STUB));
	check_trap("a store that reaches out", got, PF, forms[s->form].error);
	check("it reaches for", trap_cr2, at);
	check("it is at", trap.eip, s->insn);
}

static void u_heat(void)
{
	volatile uint32_t *p = (volatile uint32_t *)0x310000;

	for (uint32_t i = 0; i < 3000000; i++)
		p[i & 4095] += i;
	ASM("int $0x80");
}

void test_stores(void)
{
	paging_on();
	set_cr4(get_cr4() | 0x600);
	descriptor(gdt, SPARE / 8, FS_BASE, 0xFFFFF, 0xC0F2);
	for (unsigned n = 0; n < STUBS; n++)
		make_stub(n);
	for (unsigned round = 0; round < 40; round++)
		for (unsigned n = 0; n < STUBS; n++)
			attack_with(n);
	check("this address space is used much", run_user(u_heat), USER_DONE);
	for (unsigned round = 0; round < 120; round++)
		for (unsigned n = 0; n < STUBS; n++)
			attack_with(n);
	paging_off();
}

/* --- page tables that map themselves --- */

#define SELF_PT(lin)	((volatile uint32_t *)(0xFFC00000u + ((uint32_t)(lin) >> 12 << 2)))
#define SELF_PD		((volatile uint32_t *)0xFFFFF000u)
#define PLACE		0x40000000u

static volatile uint32_t *poke_at;
static void poke(void) { *poke_at = 0x12345678; }

void test_selfmap(void)
{
	static uint32_t tab[1024] __attribute__((aligned(4096)));

	paging_on();
	set_cr4(get_cr4() | 0x10);
	for (unsigned i = 1; i < 32; i++)
		page_dir[i] = i << 22 | PS | ALL;
	page_dir[PLACE >> 22] = (uint32_t)tab | ALL;
	page_dir[1023] = (uint32_t)page_dir | ALL;
	set_cr3(page_dir);
	for (unsigned i = 0; i < 1024; i++)
		*(volatile uint32_t *)RAM(i * 4096) = i;
	/* Every entry is written through the tables' own mapping, and used at once. */
	for (uint32_t i = 0; i < 300000; i++) {
		uint32_t frame = rnd() & 1023, lin = PLACE + (rnd() & 1023) * 4096;

		*SELF_PT(lin) = (uint32_t)RAM(frame * 4096) | ALL;
		invlpg((void *)lin);
		check("through a table just written by itself", *(volatile uint32_t *)lin, frame);
	}
	/* The directory maps itself as one of its own pages, and takes that away. */
	check("the directory is its own page", SELF_PD[1023] & ~0xFFFu, (uint32_t)page_dir);
	SELF_PD[PLACE >> 22] = (uint32_t)page_dir | ALL;
	set_cr3(page_dir);
	check("as a table too", *(volatile uint32_t *)(PLACE + 1023 * 4096 + 4092) & ~0xFFFu, (uint32_t)page_dir);
	SELF_PD[1023] = 0;
	set_cr3(page_dir);
	poke_at = &SELF_PD[5];
	check_trap("what took its own mapping away is gone", guard(poke), PF, 2);
	check("where", trap_cr2, 0xFFFFF000u + 20);
	paging_off();
}

/* --- address spaces --- */

enum { DIRS = 2048, LOADS = 1 << 20 };

void test_million(void)
{
	uint32_t *dirs = (uint32_t *)RAM(0x2000000);	/* 8 MiB of directories */

	paging_on();
	set_cr4(get_cr4() | 0x10);
	paging_off();				/* page_tab is made */
	for (uint32_t f = 0; f < 8; f++)
		*(volatile uint32_t *)(0x800000 + f * 0x400000) = 0x1000 + f;
	for (uint32_t d = 0; d < DIRS; d++) {
		uint32_t *dir = dirs + d * 1024;

		for (unsigned i = 0; i < 1024; i++)
			dir[i] = 0;
		dir[0] = (uint32_t)page_tab | ALL;
		for (unsigned i = 1; i < 32; i++)
			dir[i] = i << 22 | PS | ALL;
	}
	set_cr3(dirs);
	set_cr0(get_cr0() | 0x80000000);
	for (uint32_t i = 0; i < LOADS; i++) {
		uint32_t d = i * 769 % DIRS, f = rnd() & 7;

		dirs[d * 1024 + (PLACE >> 22)] = (0x800000 + f * 0x400000) | PS | ALL;	/* another space than it was */
		set_cr3(dirs + d * 1024);
		check("a million address spaces", *(volatile uint32_t *)PLACE, 0x1000 + f);
	}
	paging_off();
}

/* --- recursion --- */

/* Calls itself eax times with nothing else on the stack, and does not return: the stack is put back at the bottom. */
CODE(no_return, "mov %esp, no_return_esp\n1: dec %eax\njz 2f\ncall 1b\n2: mov no_return_esp, %esp\nret\n"
	".pushsection .bss\nno_return_esp: .long 0\n.popsection\n");
CODE(returns, "1: dec %eax\njz 2f\ncall 1b\n2: inc %ecx\nret\n");

static uint32_t on_big_stack(void (*fn)(void), uint32_t depth)
{
	uint32_t ecx = 0;

	ASM("mov %%esp, %%esi\nmov %3, %%esp\ncall *%2\nmov %%esi, %%esp"
	    : "+a"(depth), "+c"(ecx) : "r"(fn), "r"(RAM(0x4000000)) : "esi", "edx", "memory", "cc");
	return ecx;
}

void test_recursion(void)
{
	for (unsigned i = 0; i < 40; i++)
		on_big_stack(no_return, 200000 + i);
	for (unsigned i = 0; i < 10; i++)
		check("a million calls return", on_big_stack(returns, 1000000), 1000000);
	for (unsigned i = 0; i < 2000; i++)
		on_big_stack(no_return, 500);
	check("and the next call returns", on_big_stack(returns, 1), 1);
}
