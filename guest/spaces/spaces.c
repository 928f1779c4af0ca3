/*
 * Many address spaces, each used at CPL 3 long enough to become hot, whose tables change while they are
 * not loaded: no translation may survive the load of CR3, INVLPG, or a change of CR0.WP, CR4.PGE and PDPTEs.
 *							[SDM 3, "Invalidation of TLBs and Paging-Structure Caches"]
 */
#include "system.h"

extern uint32_t user_eflags;
enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100, ALL = P | W | U };
enum { SPACES = 24, PAGES = 16, SCATTER = 3, ROUNDS = 2 };
#define USER	0x40000000u
#define MANY	0x50000000u			/* 3072 pages, none beside its neighbour */
#define SELF	0xFFC00000u			/* the page tables themselves */
#define FRAMES	0x01000000u
#define SPARES	0x01800000u
#define TABLES	0x02000000u
#define MANY_FRAMES 0x02400000u
#define HOT	15000000u			/* cycles at CPL 3: some ticks of a millisecond each */

static uint32_t dir[SPACES][1024] __attribute__((aligned(4096))), tab[SPACES][1024] __attribute__((aligned(4096)));
static uint32_t second[1024] __attribute__((aligned(4096)));

static uint32_t frame(unsigned s, unsigned p) { return FRAMES + (s * PAGES + p) * 4096; }
static uint32_t spare(unsigned s, unsigned p) { return SPARES + (s * PAGES + p) * 4096; }
static volatile uint32_t *word(uint32_t lin) { return (volatile uint32_t *)lin; }
static void flush(const void *cr3) { set_cr3(cr3); }

/* --- at CPL 3 --- */

static uint32_t u_at, u_value, u_wrong, u_space, u_passes, u_cycles;

static uint32_t cycles(void) { uint32_t a; ASM("rdtsc" : "=a"(a) :: "edx"); return a; }

/* Uses its pages, and knows what is in them. */
static void u_work(void)
{
	uint32_t from = cycles();

	do {
		for (unsigned n = 0; n < 50; n++)
			for (unsigned p = 0; p < PAGES; p++) {
				u_wrong += *word(USER + p * 4096) != (u_space << 16 | p);
				++*word(USER + p * 4096 + 0xFFC);
			}
		u_passes += 50;
	} while (cycles() - from < u_cycles);
	for (uint32_t i = 0; i < SCATTER * 1024; i++)
		u_wrong += *word(MANY + i * 4096) != ((i * 517 + u_space * 37) & 1023);
	ASM("int $0x80");
}

static void u_read(void) { u_value = *word(u_at); ASM("int $0x80"); }
static void u_write(void) { *word(u_at) = u_value; ASM("int $0x80"); }
static void k_read(void) { u_value = *word(u_at); }
static void k_write(void) { *word(u_at) = u_value; }

static void reads(const char *what, uint32_t at, uint32_t want)
{
	u_at = at;
	u_value = 0xDEAD;
	check_trap(what, run_user(u_read), USER_DONE, 0);
	check(what, u_value, want);
	check(what, *word(at), want);
}

static void writes(const char *what, uint32_t at)
{
	u_at = at;
	u_value = 0x600D;
	check_trap(what, run_user(u_write), USER_DONE, 0);
}

static void faults(const char *what, uint32_t at, int write, uint32_t error)
{
	u_at = at;
	check_trap(what, run_user(write ? u_write : u_read), PF, error | U);
	check(what, trap_cr2, at);
}

/* --- setting up --- */

static void make_hot(unsigned s)
{
	u_space = s;
	u_wrong = 0;
	u_cycles = HOT;
	check_trap("an address space at work", run_user(u_work), USER_DONE, 0);
	check("sees what is its own", u_wrong, 0);
}

static void map_pages(unsigned s)
{
	for (unsigned p = 0; p < PAGES; p++)
		tab[s][p] = frame(s, p) | ALL;
}

static void set_up(void)
{
	for (unsigned s = 0; s < SPACES; s++) {
		for (unsigned i = 0; i < 16; i++)
			dir[s][i] = i << 22 | (i ? P | W : ALL) | PS;
		dir[s][USER >> 22] = (uint32_t)tab[s] | ALL;
		for (unsigned k = 0; k < SCATTER; k++) {
			uint32_t *t = (uint32_t *)(TABLES + (s * SCATTER + k) * 4096);
			dir[s][(MANY >> 22) + k] = (uint32_t)t | P | U;
			for (unsigned i = 0; i < 1024; i++)
				t[i] = (MANY_FRAMES + (((k * 1024 + i) * 517 + s * 37) & 1023) * 4096) | P | U;
		}
		dir[s][1023] = (uint32_t)dir[s] | P | W;
		map_pages(s);
		for (unsigned p = 0; p < PAGES; p++) {
			*word(frame(s, p)) = s << 16 | p;
			*word(spare(s, p)) = 0x80000000 | s << 16 | p;
		}
	}
	for (unsigned i = 0; i < 1024; i++)
		*word(MANY_FRAMES + i * 4096) = i;
}

/* --- changes of tables that are not loaded --- */

static void change(unsigned s)
{
	uint32_t *t = tab[s];

	t[1] = spare(s, 1) | ALL;
	t[2] = 0;
	t[3] &= ~(uint32_t)W;
	t[4] &= ~(uint32_t)D;
	t[5] &= ~(uint32_t)A;
	t[6] &= ~(uint32_t)(A | D);
	t[7] &= ~(uint32_t)U;
	for (unsigned i = 0; i < 1024; i++)	/* and another table, alike but for two pages */
		second[i] = t[i];
}

static void changed(unsigned s)
{
	uint32_t own = s << 16;

	reads("a page that did not change", USER, own);
	reads("a page that is another now", USER + 0x1000, 0x80000000 | own | 1);
	faults("a page that was taken away", USER + 0x2000, 0, 0);
	reads("a page that became read-only, read", USER + 0x3000, own | 3);
	faults("and written", USER + 0x3000, 1, P | W);
	writes("a page that had its D cleared", USER + 0x4004);
	check("has it again", tab[s][4] & (A | D), A | D);
	reads("a page that had its A cleared", USER + 0x5000, own | 5);
	check("has it again", tab[s][5] & A, A);
	reads("a page that had both cleared, read", USER + 0x6000, own | 6);
	check("has A again and not D", tab[s][6] & (A | D), A);
	writes("and written", USER + 0x6004);
	check("has both", tab[s][6] & (A | D), A | D);
	faults("a page that is the supervisor's now", USER + 0x7000, 0, P);
}

static void test_inactive(void)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned s = 0; s < SPACES; s++) {
			flush(dir[s]);
			make_hot(s);
		}
		for (unsigned s = 0; s < SPACES - 1; s++)
			change(s);
		for (unsigned i = 0; i < SPACES - 1; i++) {
			unsigned s = round & 1 ? i : SPACES - 2 - i;
			flush(dir[s]);
			changed(s);
		}
		for (unsigned s = 0; s < SPACES; s++)
			map_pages(s);
		flush(dir[0]);
	}
	/* and a directory entry that points to another table, and back */
	make_hot(0);
	change(0);
	map_pages(0);
	flush(dir[1]);
	dir[0][USER >> 22] = (uint32_t)second | ALL;
	flush(dir[0]);
	reads("through another table", USER + 0x1000, 0x80000001);
	faults("which has a page less", USER + 0x2000, 0, 0);
	dir[0][USER >> 22] = (uint32_t)tab[0] | ALL;
	flush(dir[0]);
	reads("through the first one again", USER + 0x1000, 1);
	reads("which has it", USER + 0x2000, 2);
}

/* --- the one that is loaded: what changes and changes back must not look as if it never had changed --- */

static void test_active(unsigned s)
{
	uint32_t *t = tab[s], own = s << 16;

	map_pages(s);
	flush(dir[s]);
	make_hot(s);
	t[1] = spare(s, 1) | ALL;
	invlpg((void *)(USER + 0x1000));
	reads("another page after INVLPG", USER + 0x1000, 0x80000000 | own | 1);
	t[1] = frame(s, 1) | ALL;
	flush(dir[s]);
	reads("the first page again after a load of CR3", USER + 0x1000, own | 1);
	t[2] = 0;
	flush(dir[s]);
	faults("no page", USER + 0x2000, 0, 0);
	t[2] = spare(s, 2) | ALL;
	reads("one that came without INVLPG", USER + 0x2000, 0x80000000 | own | 2);
	t[2] = 0;
	flush(dir[s]);
	faults("and went with a load of CR3", USER + 0x2000, 0, 0);
	t[3] = frame(s, 3) | P | U;
	flush(dir[s]);
	faults("a read-only page", USER + 0x3000, 1, P | W);
	t[3] |= W;
	writes("made writable without INVLPG", USER + 0x3004);
	t[3] = frame(s, 3) | P | U | A;
	flush(dir[s]);
	faults("and read-only again", USER + 0x3000, 1, P | W);
	t[4] = frame(s, 4) | ALL;
	flush(dir[s]);
	writes("a clean page", USER + 0x4004);
	check("gets its D", t[4] & D, D);
	t[4] = frame(s, 4) | ALL;
	flush(dir[s]);
	writes("cleaned by a load of CR3", USER + 0x4004);
	check("gets it again", t[4] & D, D);
	t[4] = frame(s, 4) | ALL;
	invlpg((void *)(USER + 0x4000));
	writes("cleaned by INVLPG", USER + 0x4004);
	check("gets it a third time", t[4] & D, D);
	map_pages(s);
	flush(dir[s]);

	/* over the end of a table: pages that follow one another in memory */
	t[1023] = (SPARES + 0x200000) | ALL | A | D;
	for (unsigned i = 0; i < 16; i++)
		second[i] = (SPARES + 0x201000 + i * 4096) | ALL | A | D;
	dir[s][(USER >> 22) + 1] = (uint32_t)second | ALL | A;
	*word(SPARES + 0x200000) = 0x55;
	*word(SPARES + 0x201000) = 0x66;
	flush(dir[s]);
	reads("the last page of a table", USER + 0x3FF000, 0x55);
	second[0] = (SPARES + 0x200000) | ALL;
	flush(dir[s]);
	reads("the first page of the next table, changed", USER + 0x400000, 0x55);
	dir[s][(USER >> 22) + 1] = 0;
	t[1023] = 0;
	flush(dir[s]);
}

static void test_large(unsigned s)
{
	uint32_t *pde = &dir[s][0x60000000 >> 22];

	*word(0x02C00000 + 0x5000) = 0xAAAA;
	*word(0x03000000 + 0x5000) = 0xBBBB;
	*pde = 0x02C00000 | ALL | PS;
	flush(dir[s]);
	make_hot(s);
	reads("a 4 MiB page", 0x60005000, 0xAAAA);
	writes("written", 0x60005004);
	*pde = 0x03000000 | ALL | PS;
	invlpg((void *)0x60300000);
	reads("INVLPG of any address in it drops all of it", 0x60005000, 0xBBBB);
	*pde = 0x02C00000 | ALL | PS;
	flush(dir[s]);
	reads("so does a load of CR3", 0x60005000, 0xAAAA);
	*pde = 0;
	flush(dir[s]);
	faults("gone", 0x60005000, 0, 0);
}

static void test_wp(unsigned s)
{
	flush(dir[s]);
	make_hot(s);
	tab[s][3] = frame(s, 3) | P | U;
	flush(dir[s]);
	u_at = USER + 0x3004;
	for (unsigned n = 0; n < 6; n++) {
		unsigned wp = n & 1;
		set_cr0((get_cr0() & ~0x10000u) | wp << 16);
		check_trap("the kernel's write to a read-only page", guard(k_write), wp ? PF : NONE, P | W);
		check_trap("the kernel's read of it", guard(k_read), NONE, 0);
		faults("the user's write", USER + 0x3004, 1, P | W);
	}
	set_cr0(get_cr0() & ~0x10000u);
	map_pages(s);
	flush(dir[s]);
}

static void test_global(unsigned s, unsigned other)
{
	uint32_t at = USER + 0x9000;

	for (unsigned n = 0; n < 3; n++) {
		tab[s][9] = frame(s, 9) | ALL | G;
		tab[other][9] = frame(other, 9) | ALL | G;
		set_cr4(get_cr4() | 0x80);
		flush(dir[s]);
		reads("a global page", at, s << 16 | 9);
		flush(dir[other]);
		invlpg((void *)at);
		reads("of another address space, after INVLPG", at, other << 16 | 9);
		flush(dir[s]);
		set_cr4(get_cr4() & ~0x80u);
		reads("the first one, PGE turned off", at, s << 16 | 9);
		flush(dir[other]);
		reads("G means nothing without PGE", at, other << 16 | 9);
		set_cr4(get_cr4() | 0x80);
		flush(dir[s]);
		invlpg((void *)at);
		make_hot(s);
		tab[s][9] = spare(s, 9) | ALL | G;
		set_cr4(get_cr4() & ~0x80u);
		reads("one that changed while PGE was on", at, 0x80000000 | s << 16 | 9);
	}
	map_pages(s);
	map_pages(other);
	flush(dir[s]);
}

static void test_self_map(unsigned s)
{
	volatile uint32_t *pte = word(SELF + (USER >> 12) * 4), *pde = word(0xFFFFF000 + (USER >> 22) * 4);

	flush(dir[s]);
	make_hot(s);
	check("a page table entry seen in the self-map", pte[1] & ~(uint32_t)(A | D), frame(s, 1) | ALL);
	check("a directory entry", *pde & ~(uint32_t)A, (uint32_t)tab[s] | ALL);
	check("the directory's own", *word(0xFFFFFFFC) & ~(uint32_t)(A | D), (uint32_t)dir[s] | P | W);
	check("which a write through it marks", (*word(0xFFFFFFF0) = 0, *word(0xFFFFFFFC) & (A | D)), A | D);
	for (unsigned n = 0; n < 4; n++) {
		pte[1] = (n & 1 ? frame(s, 1) : spare(s, 1)) | ALL;
		invlpg((void *)(USER + 0x1000));
		reads("a page changed through the self-map", USER + 0x1000, (n & 1 ? 0 : 0x80000000) | s << 16 | 1);
		check("its A, seen there", pte[1] & (A | D), A);
		writes("written", USER + 0x1004);
		check("its D, seen there", pte[1] & (A | D), A | D);
	}
	faults("the self-map at CPL 3", 0xFFFFF000, 0, P);
	second[0] = spare(s, 0) | ALL;
	*pde = (uint32_t)second | ALL;
	flush(dir[s]);
	check("another table shows in the self-map", pte[0] & ~(uint32_t)(A | D), spare(s, 0) | ALL);
	reads("and counts", USER, 0x80000000 | s << 16);
	*pde = (uint32_t)tab[s] | ALL;
	flush(dir[s]);
	reads("and back", USER, s << 16);
}

/* --- PAE: the four pointers are loaded with CR3, and nothing else says that they changed --- */

static uint64_t pdpt[4] __attribute__((aligned(32))), pd[2][512] __attribute__((aligned(4096))),
	high[2][512] __attribute__((aligned(4096))), pt[2][512] __attribute__((aligned(4096)));

static void test_pae(void)
{
	set_cr0(get_cr0() & ~0x80000000u);
	for (unsigned k = 0; k < 2; k++) {
		for (unsigned i = 0; i < 32; i++)
			pd[0][i] = (uint64_t)i << 21 | ALL | PS;
		for (unsigned i = 0; i < SCATTER * 2; i++)
			high[k][((MANY - USER) >> 21) + i] = (MANY_FRAMES & ~0x1FFFFFu) | ALL | PS;
		high[k][0] = (uint32_t)pt[k] | ALL;
		for (unsigned p = 0; p < PAGES; p++)
			pt[k][p] = (k ? spare(1, p) : frame(1, p)) | ALL;
	}
	pdpt[0] = (uint32_t)pd[0] | P;
	pdpt[1] = (uint32_t)high[0] | P;
	set_cr3(pdpt);
	set_cr4(get_cr4() | 0x20);
	set_cr0(get_cr0() | 0x80000000);
	u_space = 1;
	u_cycles = 4 * HOT;
	check_trap("a PAE address space at work", run_user(u_work), USER_DONE, 0);
	reads("a page of it", USER + 0x1000, 0x10001);
	pdpt[1] = (uint32_t)high[1] | P;
	set_cr3(pdpt);
	reads("with another page directory", USER + 0x1000, 0x80010001);
	pdpt[1] = (uint32_t)high[0] | P;
	set_cr3(pdpt);
	reads("and the first again", USER + 0x1000, 0x10001);
	pt[0][1] = spare(1, 1) | ALL;
	set_cr3(pdpt);
	reads("with another page", USER + 0x1000, 0x80010001);
	pt[0][2] = 0;
	set_cr3(pdpt);
	faults("with a page less", USER + 0x2000, 0, 0);
	set_cr0(get_cr0() & ~0x80000000u);
	set_cr4(get_cr4() & ~0x20u);
}

void test_spaces(void)
{
	user_eflags = 2;
	set_cr4(get_cr4() | 0x10);
	set_up();
	set_cr3(dir[0]);
	set_cr0(get_cr0() | 0x80000000);
	test_inactive();
	for (unsigned s = 0; s < SPACES; s += 11)
		test_active(s);
	test_large(3);
	test_wp(4);
	test_global(5, 6);
	test_self_map(7);
	test_pae();
	paging_off();
	set_cr4(get_cr4() & ~0x10u);
}
