/*
 * Attacks on the guest's confinement: stores by every way to form an address, page tables that map themselves, a
 * million address spaces, recursion that does not come back.
 */
#include "attack.h"

/* --- stores that reach for what is not theirs --- */

enum { STUBS = 96, STUB = 48, EAX = 0, ECX, EDX, EBX, ESP, EBP, ESI, EDI };
#define CODE_AT		0x300000u		/* below 4 MiB: mapped, for CPL 3 too */
#define REGS_AT		0x2F0000u

static uint32_t *const regs = (uint32_t *)REGS_AT;	/* in POPA's order; ESP behind */

/* What an instruction does with the address of its operand. */
enum kind { ADDRESS, BIT_STRING, PUSHES, POPS_TO, STRING, MOFFS };

static const struct { uint8_t bytes[3]; uint8_t len, reg, imm; uint8_t kind, error; } forms[] = {
	{ { 0x89 }, 1, 9, 0, ADDRESS, 6 }, { { 0x88 }, 1, 9, 0, ADDRESS, 6 }, { { 0xC7 }, 1, 0, 4, ADDRESS, 6 },
	{ { 0xC6 }, 1, 0, 1, ADDRESS, 6 }, { { 0x01 }, 1, 9, 0, ADDRESS, 6 }, { { 0x87 }, 1, 9, 0, ADDRESS, 6 },
	{ { 0x83 }, 1, 1, 1, ADDRESS, 6 }, { { 0xF7 }, 1, 3, 0, ADDRESS, 6 }, { { 0xFF }, 1, 0, 0, ADDRESS, 6 },
	{ { 0xD1 }, 1, 4, 0, ADDRESS, 6 }, { { 0x0F, 0xB1 }, 2, 9, 0, ADDRESS, 6 }, { { 0x0F, 0xC1 }, 2, 9, 0, ADDRESS, 6 },
	{ { 0x0F, 0xC7 }, 2, 1, 0, ADDRESS, 6 }, { { 0x0F, 0x95 }, 2, 0, 0, ADDRESS, 6 }, { { 0xF0, 0x01 }, 2, 9, 0, ADDRESS, 6 },
	{ { 0x66, 0x89 }, 2, 9, 0, ADDRESS, 6 }, { { 0x0F, 0xA4 }, 2, 9, 1, ADDRESS, 6 }, { { 0x8B }, 1, 9, 0, ADDRESS, 4 },
	{ { 0x03 }, 1, 9, 0, ADDRESS, 4 }, { { 0xFF }, 1, 2, 0, ADDRESS, 4 }, { { 0xFF }, 1, 4, 0, ADDRESS, 4 },
	{ { 0xFF }, 1, 6, 0, ADDRESS, 4 }, { { 0x0F, 0xAB }, 2, 9, 0, BIT_STRING, 6 }, { { 0x8F }, 1, 0, 0, POPS_TO, 6 },
	{ { 0x50 }, 1, 8, 0, PUSHES, 6 }, { { 0x68 }, 1, 8, 4, PUSHES, 6 }, { { 0xE8 }, 1, 8, 4, PUSHES, 6 }, { { 0x9C }, 1, 8, 0, PUSHES, 6 },
	{ { 0xAA }, 1, 8, 0, STRING, 6 }, { { 0xAB }, 1, 8, 0, STRING, 6 }, { { 0xF3, 0xAB }, 2, 8, 0, STRING, 6 },
	{ { 0xA3 }, 1, 8, 0, MOFFS, 6 }, { { 0xA2 }, 1, 8, 0, MOFFS, 6 },
};

static struct stub {
	uint8_t form, mod, rm, sib, reg;
	uint32_t disp, insn;			/* insn: where it lies */
} stub[STUBS];

static void make_stub(unsigned n)
{
	struct stub *s = &stub[n];
	uint8_t *p = (uint8_t *)(CODE_AT + n * STUB), *start = p;

	s->form = n < ARRAY_LEN(forms) ? n : rnd() % ARRAY_LEN(forms);
	s->mod = rnd() % 3;
	s->rm = rnd() & 7;
	s->sib = rnd();
	s->disp = rnd();
	if (s->mod == 1)
		s->disp = (uint32_t)(int)(signed char)s->disp;
	s->reg = forms[s->form].reg == 9 ? (rnd() & 3) : forms[s->form].reg;
	*p++ = 0xBC;					/* mov esp, regs; popa; mov esp, [regs + 32] */
	*(uint32_t *)p = REGS_AT, p += 4;
	*p++ = 0x61;
	*p++ = 0x8B;
	*p++ = 0x25;
	*(uint32_t *)p = REGS_AT + 32, p += 4;
	s->insn = (uint32_t)p;
	for (unsigned i = 0; i < forms[s->form].len; i++)
		*p++ = forms[s->form].bytes[i];
	if (forms[s->form].kind == MOFFS) {
		*(uint32_t *)p = s->disp, p += 4;
	} else if (s->reg != 8) {
		*p++ = s->mod << 6 | s->reg << 3 | s->rm;
		if (s->rm == 4)
			*p++ = s->sib;
		if (s->mod == 1)
			*p++ = s->disp;
		else if (s->mod == 2 || s->rm == 5 || (s->rm == 4 && (s->sib & 7) == 5))
			*(uint32_t *)p = s->disp, p += 4;
	}
	for (unsigned i = 0; i < forms[s->form].imm; i++)
		*p++ = 1;
	*p++ = 0xCD;
	*p++ = 0x80;
	check("a stub fits", p - start <= STUB, 1);
}

static uint32_t reg_value(unsigned r)
{
	return r == ESP ? regs[8] : regs[7 - r];	/* POPA's order: EDI first */
}

/* The address that the SDM says ("Specifying an Offset"), modulo 4 GiB. */
static uint32_t address(const struct stub *s)
{
	unsigned kind = forms[s->form].kind;
	uint32_t at = 0, pop = kind == POPS_TO ? 4 : 0;

	if (kind == MOFFS)
		return s->disp;
	if (kind == PUSHES)
		return reg_value(ESP) - 4;
	if (kind == STRING)
		return reg_value(EDI);
	if (s->rm == 4) {
		unsigned base = s->sib & 7, index = s->sib >> 3 & 7;

		/* POP computes the address after it has moved ESP. */
		at = base == 5 && s->mod == 0 ? s->disp : reg_value(base) + (base == ESP ? pop : 0);
		at += index == 4 ? 0 : reg_value(index) << (s->sib >> 6);
	} else {
		at = s->rm == 5 && s->mod == 0 ? s->disp : reg_value(s->rm);
	}
	if (s->mod != 0)
		at += s->disp;
	if (kind == BIT_STRING)
		at += (uint32_t)((int)reg_value(s->reg) >> 5) * 4;
	return at;
}

/* Nothing from 4 MiB up is mapped; so far from both ends nothing else can come first. */
static int reachable(uint32_t at) { return at >= 0x400000 && at < 0xFFFFFFE0; }

static void attack_with(unsigned n)
{
	const struct stub *s = &stub[n];
	unsigned kind = forms[s->form].kind, tries = 0;
	uint32_t at;

	do {
		for (unsigned r = 0; r < 8; r++)
			regs[r] = rnd() & 3 ? rnd() : 0xFFFFFFFFu - (rnd() & 0xFFF);
		regs[8] = kind == PUSHES ? rnd() : CODE_AT - 256;	/* its stack is good, but where it is what is attacked */
		if (kind == STRING)
			regs[7 - ECX] |= 1;
		at = address(s);
		if (++tries > 200)
			return;			/* a fixed address within what is mapped */
	} while (!reachable(at) || (at & 0xFFF) > 0xFE0);
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
