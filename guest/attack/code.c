/*
 * Attacks on the scanner: jumps to where no instruction was thought to begin, code at the edges of pages and of the
 * address space, code that changes while it runs, more code than any cache holds.
 */
#include "attack.h"

/* --- into the middle of instructions --- */

/*
 * Every byte of the buffer is the start of an instruction, whatever came before: operands are drawn from the same
 * opcodes. So each offset is another program, and this says what it computes.
 */
static const uint8_t opcodes[] = { 0x40, 0x48, 0x90, 0x04, 0x05, 0x35, 0x2D, 0xB8, 0xA9, 0x3D };
enum { MIDDLE = 64, PAD = 8 };

static uint32_t expected(const uint8_t *p, uint32_t eax)
{
	for (;;) {
		uint8_t op = *p++;
		uint32_t imm = p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;

		switch (op) {
		case 0x40: eax++; break;
		case 0x48: eax--; break;
		case 0x90: break;
		case 0x04: eax = (eax & ~0xFFu) | ((eax + *p++) & 0xFF); break;
		case 0x05: eax += imm; p += 4; break;
		case 0x35: eax ^= imm; p += 4; break;
		case 0x2D: eax -= imm; p += 4; break;
		case 0xB8: eax = imm; p += 4; break;
		case 0xA9: case 0x3D: p += 4; break;
		default: return eax;
		}
	}
}

void test_middle(void)
{
	uint8_t *code = RAM(0);

	for (unsigned round = 0; round < 300; round++) {
		for (unsigned i = 0; i < MIDDLE; i++)
			code[i] = opcodes[rnd() % ARRAY_LEN(opcodes)];
		for (unsigned i = 0; i < PAD; i++)
			code[MIDDLE + i] = 0x90;
		code[MIDDLE + PAD] = 0xC3;
		for (unsigned i = 0; i < MIDDLE; i++) {
			unsigned at = i * 29 % MIDDLE;
			uint32_t from = rnd();
			check("middle", call_code(code + at, from), expected(code + at, from));
		}
	}
}

/* --- borders --- */

static uint32_t border_tab[1024] __attribute__((aligned(4096))), top_tab[1024] __attribute__((aligned(4096)));
#define BORDER	0x40000000u

static void *enter_at;
static void call_it(void) { call_code(enter_at, 0); }

/* mov eax, imm32; ret, with `first` of its bytes on one page and the others on the next, which is one of two frames. */
static void across(unsigned first)
{
	static const uint8_t code[] = { 0xB8, 0, 0, 0, 0, 0xC3 };
	uint8_t *one = RAM(0), *two[2] = { RAM(4096), RAM(8192) };

	for (unsigned i = 0; i < sizeof(code); i++) {
		if (i < first)
			one[4096 - first + i] = code[i];
		else
			two[0][i - first] = two[1][i - first] = code[i];
	}
	two[0][4 - first] = 0x11;		/* the operand's last byte */
	two[1][4 - first] = 0x22;
	enter_at = (void *)(BORDER + 4096 - first);
	border_tab[0] = (uint32_t)one | ALL;
	for (unsigned round = 0; round < 64; round++) {
		unsigned which = rnd() & 1;

		border_tab[1] = (uint32_t)two[which] | ALL;
		invlpg((void *)(BORDER + 4096));
		check("across: the page that is mapped now", call_code(enter_at, 0), which ? 0x22000000 : 0x11000000);
		if (round % 8)
			continue;
		border_tab[1] = 0;
		invlpg((void *)(BORDER + 4096));
		check_trap("across: no second page", guard(call_it), PF, 0);
		check("across: where", trap_cr2, BORDER + 4096);
		check("across: eip", trap.eip, (uint32_t)enter_at);
	}
}

/* Over the top of the address space it goes on at 0. */
static void over_the_top(void)
{
	uint8_t *top = RAM(0x10000), *zero = RAM(0x11000);
	uint32_t low = page_tab[0];

	page_dir[1023] = (uint32_t)top_tab | ALL;
	top_tab[1023] = (uint32_t)top | ALL;
	page_tab[0] = (uint32_t)zero | ALL;
	set_cr3(page_dir);
	for (unsigned i = 4080; i < 4096; i++)
		top[i] = 0x40;			/* inc eax, sixteen times */
	zero[0] = 0x05;				/* add eax, imm32; ret */
	*(uint32_t *)(zero + 1) = 0x1000;
	zero[5] = 0xC3;
	for (unsigned i = 0; i < 2000; i++)
		check("over the top", call_code((void *)(0xFFFFFFF0u + (i & 15)), 0), 0x1010 - (i & 15));
	top_tab[1023] = 0;
	set_cr3(page_dir);
	enter_at = (void *)0xFFFFFFF0u;
	check_trap("no page at the top", guard(call_it), PF, 0);
	check("no page at the top: where", trap_cr2, 0xFFFFFFF0);
	page_tab[0] = low;
	page_dir[1023] = 0;
	set_cr3(page_dir);
}

static void map_ram(void)
{
	set_cr4(get_cr4() | 0x10);		/* PSE */
	for (unsigned i = 1; i < 32; i++)
		page_dir[i] = i << 22 | PS | ALL;
	set_cr3(page_dir);
}

void test_borders(void)
{
	paging_on();
	map_ram();
	page_dir[BORDER >> 22] = (uint32_t)border_tab | ALL;
	set_cr3(page_dir);
	for (unsigned first = 1; first <= 4; first++)
		across(first);
	over_the_top();
	paging_off();
}

/* --- code that changes --- */

/* Writes over the instruction behind itself: mov byte [next + 1], al; next: mov eax, 0; ret. */
static void rewrites_next(void)
{
	uint8_t *code = RAM(0x100);

	code[0] = 0xA2;
	*(uint32_t *)(code + 1) = (uint32_t)code + 6;
	code[5] = 0xB8;
	*(uint32_t *)(code + 6) = 0;
	code[10] = 0xC3;
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t eax = i;

		/* Serialized, as the SDM wants it for what was fetched already; then run. */
		ASM("push %%ebx\nxor %%eax, %%eax\ncpuid\npop %%ebx" ::: "eax", "ecx", "edx");
		check("rewrites the next", call_code(code, eax), eax & 0xFF);
	}
}

static void rewritten_by_store(void)
{
	uint8_t *code = RAM(0x1000);

	code[0] = 0xB8;
	code[5] = 0xC3;
	for (unsigned i = 0; i < 50000; i++) {
		*(volatile uint32_t *)(code + 1) = i;
		check("rewritten", call_code(code, 0), i);
	}
	/* Two, which write each other: a and b both run from the page that is written. */
	uint8_t *a = code + 64;
	a[0] = 0xC7; a[1] = 0x05;		/* mov dword [code + 1], imm32; ret */
	*(uint32_t *)(a + 2) = (uint32_t)code + 1;
	a[10] = 0xC3;
	for (unsigned i = 0; i < 20000; i++) {
		*(volatile uint32_t *)(a + 6) = i * 3;
		call_code(a, 0);
		check("rewritten by code beside it", call_code(code, 0), i * 3);
	}
}

/* The bus master of the IDE controller (PCI device 1, function 1): sector n of the disk returns n when it is run. */
static void outl(uint16_t port, uint32_t v) { ASM("outl %0, %1" :: "a"(v), "Nd"(port)); }
static uint32_t inl(uint16_t port) { uint32_t v; ASM("inl %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static uint32_t prd[2] __attribute__((aligned(8)));
enum { BMIDE = 0xC000 };

static uint32_t pci_ide(unsigned reg)
{
	outl(0xCF8, 0x80000000u | 9 << 8 | reg);
	return inl(0xCFC);
}

static int dma_read(uint32_t sector, void *to)
{
	prd[0] = (uint32_t)to;
	prd[1] = 512 | 0x80000000u;
	outb(BMIDE, 0);
	outb(BMIDE + 2, 6);
	outl(BMIDE + 4, (uint32_t)prd);
	outb(0x1F6, 0xE0);
	outb(0x1F2, 1);
	outb(0x1F3, sector);
	outb(0x1F4, sector >> 8);
	outb(0x1F5, 0);
	outb(0x1F7, 0xC8);
	outb(BMIDE, 9);
	while (!(inb(BMIDE + 2) & 6))
		;
	outb(BMIDE, 0);
	return inb(0x1F7) & 1;
}

static void rewritten_by_dma(void)
{
	check("there is an IDE controller", pci_ide(8) >> 16, 0x0101);
	outl(0xCF8, 0x80000000u | 9 << 8 | 0x20);
	outl(0xCFC, BMIDE);
	outl(0xCF8, 0x80000000u | 9 << 8 | 4);
	outl(0xCFC, 5);				/* I/O and bus master */
	outb(0x3F6, 0);				/* the bus master says what the drive's interrupt says; IF is off */
	for (unsigned i = 0; i < 600; i++) {
		uint32_t sector = rnd() % 256;
		uint8_t *code = RAM(0x2000 + (i % 3) * 512);

		check("DMA", dma_read(sector, code), 0);
		check("rewritten by DMA", call_code(code, 0), sector);
		check("and again", call_code(code, 0), sector);
	}
}

void test_rewrite(void)
{
	rewritten_by_store();
	rewrites_next();
	rewritten_by_dma();
}

/* --- more code than fits --- */

/* mov eax/add eax, and a jump to the next block: each a block of its own; the last returns. */
enum { BLOCKS = 1 << 20, BLOCK = 16 };

void test_blocks(void)
{
	uint8_t *code = RAM(0x100000);

	for (uint32_t i = 0; i < BLOCKS; i++) {
		uint8_t *b = code + i * BLOCK;

		b[0] = 0x05;
		*(uint32_t *)(b + 1) = i;
		b[5] = 0xE9;
		*(uint32_t *)(b + 6) = BLOCK - 10;
	}
	code[BLOCKS * BLOCK] = 0xC3;
	for (unsigned pass = 0; pass < 2; pass++)
		check("a million blocks", call_code(code, pass), pass + (uint32_t)((uint64_t)BLOCKS * (BLOCKS - 1) / 2));
}
