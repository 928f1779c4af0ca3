/* Who may do what to which page, and what the error code says.			[SDM 3, "Paging", "Page-Level Protection"] */
#include "system.h"

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };

/* The page under test is at 2 MiB, in a table of its own so that the directory entry can be varied. */
#define LIN	0x800000u
#define PHYS	0x200000u
static uint32_t tab_2[1024] __attribute__((aligned(4096)));

static void do_read(void) { ASM("mov 0x800010, %%eax" ::: "eax"); }
static void do_write(void) { ASM("movl $5, 0x800010" ::: "memory"); }
static void do_rmw(void) { ASM("orl $0, 0x800010" ::: "memory"); }
static void do_fetch(void) { ASM("call *%0" :: "r"(LIN) : "memory"); }
CODE(user_read, "	mov 0x800010, %eax\n	int $0x80\n");
CODE(user_write, "	movl $5, 0x800010\n	int $0x80\n");
CODE(user_fetch, "	mov $0x800000, %eax\n	call *%eax\n	int $0x80\n");

static void map(uint32_t pde, uint32_t pte)
{
	page_dir[2] = (uint32_t)tab_2 | pde;
	tab_2[0] = PHYS | pte;
	set_cr3(page_dir);
}

/* All 256 combinations: P of both, R/W and U/S of both, WP, CPL, read or write. */
static void test_matrix(void)
{
	for (unsigned n = 0; n < 256; n++) {
		uint32_t pde = (n & 1 ? W : 0) | (n & 2 ? U : 0) | P, pte = (n & 4 ? W : 0) | (n & 8 ? U : 0) | (n & 128 ? 0 : P);
		unsigned wp = n >> 4 & 1, user = n >> 5 & 1, write = n >> 6 & 1;
		unsigned may_user = pde & pte & U, may_write = pde & pte & W;

		set_cr0((get_cr0() & ~0x10000u) | wp << 16);
		map(pde, pte);
		int got = user ? run_user(write ? user_write : user_read) : guard(write ? do_write : do_read);
		int ok = (pte & P) && (!user || may_user) && (!write || may_write || (!user && !wp));
		if (ok) {
			check_trap("an access that the entries allow", got, user ? USER_DONE : NONE, 0);
			check("sets A, and D if it writes", tab_2[0] & (A | D), A | (write ? D : 0));
			check("and A in the directory", page_dir[2] & (A | D), A);
		} else {
			check_trap("an access that they do not allow", got, PF, (pte & P) | write << 1 | user << 2);
			check("CR2", trap_cr2, LIN + 0x10);
			check("sets no A and no D in the table", tab_2[0] & (A | D), 0);
		}
	}
	set_cr0(get_cr0() & ~0x10000u);
}

static void test_large(void)
{
	uint32_t flags = (get_cr4() | 0x10);

	set_cr4(flags);				/* PSE */
	page_dir[2] = PS | P | W | U;		/* 4 MiB page at 0: LIN + x is x */
	set_cr3(page_dir);
	*(volatile uint32_t *)PHYS = 0x1234;
	check("a 4 MiB page", *(volatile uint32_t *)(LIN + PHYS), 0x1234);
	check("sets A in its directory entry", page_dir[2] & (A | D), A);
	*(volatile uint32_t *)(LIN + PHYS) = 0x4321;
	check("and D when it is written", page_dir[2] & (A | D), A | D);
	page_dir[2] = PS | P | U;
	set_cr3(page_dir);
	check_trap("a read-only 4 MiB page at CPL 3", run_user(user_write), PF, P | W | U);
	set_cr4(flags & ~0x10u);
}

/* The TLB may keep a translation until INVLPG or CR3 drops it, and must then forget it. */
static void test_invalidation(void)
{
	map(P | W | U, P | W | U);
	*(volatile uint32_t *)PHYS = 1;
	*(volatile uint32_t *)(PHYS + 0x1000) = 2;
	check("before", *(volatile uint32_t *)LIN, 1);
	tab_2[0] = (PHYS + 0x1000) | P | W | U;
	invlpg((void *)LIN);
	check("INVLPG makes the new entry count", *(volatile uint32_t *)LIN, 2);
	set_cr4(get_cr4() | 0x80);			/* PGE */
	map(P | W | U, P | W | U | G);
	check("a global page", *(volatile uint32_t *)LIN, 1);
	tab_2[0] = (PHYS + 0x1000) | P | W | U | G;
	set_cr4(get_cr4() & ~0x80u);
	check("goes when PGE is toggled", *(volatile uint32_t *)LIN, 2);
	tab_2[0] = PHYS | P | W | U;
	set_cr3(page_dir);
	tab_2[0] = 0;
	invlpg((void *)LIN);
	check_trap("a page taken away is #PF after INVLPG", guard(do_rmw), PF, W);
	check_trap("a fetch there", guard(do_fetch), PF, 0);
	check("is a fault at the target", trap.eip, LIN);
}

/* --- PAE and NX --- */

static uint64_t pdpt[4] __attribute__((aligned(32)));
static uint64_t pd[512] __attribute__((aligned(4096))), pt[512] __attribute__((aligned(4096)));
#define NX 0x8000000000000000ull
static void load_bad_pdpte(void) { ASM("mov %0, %%cr3" :: "r"(pdpt) : "memory"); }

static void test_pae(void)
{
	set_cr0(get_cr0() & ~0x80000000u);
	for (unsigned i = 0; i < 4; i++)
		pd[i] = (uint64_t)i << 21 | PS | P | W | U;	/* 2 MiB pages, identity */
	pd[4] = (uint32_t)pt | P | W | U;
	pt[0] = PHYS | P | W | U;
	pdpt[0] = (uint32_t)pd | P;
	set_cr3(pdpt);
	set_cr4(get_cr4() | 0x20);
	set_cr0(get_cr0() | 0x80000000);
	*(volatile uint8_t *)PHYS = 0xC3;			/* RET */
	check_trap("PAE: read", guard(do_read), NONE, 0);
	check_trap("PAE: fetch", guard(do_fetch), NONE, 0);
	check_trap("PAE: fetch at CPL 3", run_user(user_fetch), USER_DONE, 0);
	pt[0] |= NX;
	set_cr3(pdpt);
	check_trap("bit 63 without NXE is reserved", guard(do_read), PF, P | 8);
	ASM("rdmsr\n	or $0x800, %%eax\n	wrmsr" :: "c"(0xC0000080) : "eax", "edx");
	check_trap("NX: read", guard(do_read), NONE, 0);
	check_trap("NX: fetch", guard(do_fetch), PF, P | 0x10);
	check_trap("NX: fetch at CPL 3", run_user(user_fetch), PF, P | U | 0x10);
	pt[0] = PHYS | P | W;
	set_cr3(pdpt);
	check_trap("PAE: supervisor page at CPL 3", run_user(user_read), PF, P | U);
	pt[0] = 1ull << 40 | PHYS | P | W;
	set_cr3(pdpt);
	check_trap("an address bit past the physical width is reserved", guard(do_read), PF, P | 8);
	pt[0] = PHYS | P | W;
	pdpt[1] = (uint32_t)pd | P | W;				/* R/W of a PDPTE is reserved */
	check_trap("a reserved bit in a PDPTE is #GP at the load of CR3", guard(load_bad_pdpte), GP, 0);
	pdpt[1] = 0;
	ASM("rdmsr\n	and $0xFFFFF7FF, %%eax\n	wrmsr" :: "c"(0xC0000080) : "eax", "edx");
	set_cr0(get_cr0() & ~0x80000000u);
	set_cr4(get_cr4() & ~0x20u);
}

void test_paging(void)
{
	paging_on();
	page_dir[1] = (uint32_t)page_tab | 7;
	test_matrix();
	test_large();
	test_invalidation();
	test_pae();
	paging_off();
}
