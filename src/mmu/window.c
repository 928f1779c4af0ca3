/*
 * Windows: see window.h.
 *
 * A user window remembers a copy of every page-table page its mappings came from. After a CR3 load
 * the copies are compared with the guest's tables (0.1 us a page when equal); what differs is
 * unmapped. So the guest's tables need no write tracking.
 * Where a page of the memfd is mapped writable must be known, to take that back when it comes to
 * hold code: the reverse map has one place a page for the kernel window and one for the user
 * windows, and a short list for what is mapped writable more often (aliases). When that is full,
 * an older mapping gives way.
 */
#include "mmu/window.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <x86intrin.h>

#include "mmu/mmu.h"
#include "mmu/phys.h"
#include "mmu/walk.h"
#include "util/pages.h"

#define GIB			(1ull << 30)
#define GUARD_BYTES		(4 * GIB)		/* below: a 32-bit displacement reaches 2 GiB there */
#define WINDOW_BYTES		(4 * GIB)
#define AREA_BYTES		(WINDOW_BYTES + GUARD_BYTES + WINDOW_REACH)
#define LINEAR_PAGES		(1u << 20)
#define KERNEL_RUN_PAGES	4096u
#define USER_RUN_PAGES		16u
#define TABLES_MAX		256u			/* page-table pages a user window remembers */
#define STALE_MAX		64u
#define ALIASES_MAX		512u
#define FLIPS_MAX		4u			/* then it stays read-only in user windows: stores go checked */
#define NONGLOBAL_DROPS_MAX	32u			/* after so many, pages that go at every CR3 load stay checked */

#define KERNEL_FLIPS_MAX	16u			/* of a page in the kernel window in quick succession, and for how long it is read-only then... */
#define FLIP_CLOCK_SHIFT	20			/* ...in 2^20 TSC cycles */
#define FLIP_QUIET		4096u
#define LOSSES			16u			/* of the kernel window in quick succession: then it rests */
#define QUICK			300000u			/* TSC cycles from one to the next: to fill it again costs some 50,000 */
#define QUIET_MOST		64u			/* ticks without a loss before it is used again, after many returns */

enum { PAGE_MAPPED = BIT(0), PAGE_WRITABLE = BIT(1), PAGE_GLOBAL = BIT(2), PAGE_VOLATILE = BIT(3) };

struct table_copy {
	gpa_t gpa;
	lin_t first;			/* of the linear range it maps */
	uint32_t span_pages;		/* pages an entry maps: 1, or more in a page directory */
	uint32_t *copy;			/* [1024] */
};

struct window {
	uint8_t *area, *base;		/* reservation; host address of linear 0 */
	uint8_t *state;			/* [LINEAR_PAGES] PAGE_xxx, sparse */
	uint32_t *fd_page;		/* [LINEAR_PAGES] what is mapped there, sparse */
	bool large[LINEAR_PAGES / 1024];	/* in these 4 MiB is part of a large page, or was */
	bool used, kernel;
	uint32_t cr3;
	uint32_t mappings;		/* mmap calls since it was last empty: what it may cost in VMAs */
	uint64_t last_use;
	/* user windows */
	struct table_copy tables[TABLES_MAX];
	unsigned ntables;
	uint64_t pdpte[4];		/* PAE: what the copies hang from */
	bool stale;			/* CR3 was loaded: revalidate before use */
	bool drop;			/* a global flush: empty it before use */
	lin_t stale_page[STALE_MAX];
	unsigned nstale;
};

struct windows {
	struct window kernel, user[USER_WINDOWS];
	struct window *current;		/* of the CR3 loaded now, or NULL */
	uint32_t *kernel_rmap;		/* [memfd page] linear page + 1 mapped writable */
	uint32_t *user_rmap;		/* [memfd page] (window << 20 | linear page) + 1 */
	uint8_t *flips;			/* [memfd page] how often user code made it code and wrote to it again */
	struct kernel_flips {		/* the same for the kernel's stores: they may be for a page's next life, so only lately */
		uint32_t when, n;
	} *kernel_flips;
	struct alias {			/* further writable mappings of a page */
		uint32_t fd_page, slot;
		bool kernel;
	} alias[ALIASES_MAX];
	unsigned naliases;
	uint32_t *nonglobal;		/* [LINEAR_PAGES] linear pages of the kernel window without G */
	uint32_t n_nonglobal, nonglobal_drops;
	/* global flushes, which empty the kernel window */
	uint64_t lost;			/* TSC at the last one */
	uint32_t losses;
	uint8_t quiet, quiet_wanted;	/* ticks */
	bool rests, lost_since_tick;
	uint32_t budget;		/* mappings in all windows, if no other vCPU of the process has any */
	uint64_t clock;
	uint32_t copies_used;
	uint32_t *copies;		/* pool of table copies, [USER_WINDOWS * TABLES_MAX * 1024], sparse */
};

/* --- life --- */

/* The vCPUs of this process that have windows: its mappings are for all of them. */
static unsigned sharers;

static uint32_t mapping_budget(const struct vcpu *cpu)
{
	long max = cpu->scan.max_mappings ? (long)cpu->scan.max_mappings : 65530;
	FILE *f = cpu->scan.max_mappings ? NULL : fopen("/proc/sys/vm/max_map_count", "r");
	if (f) {
		if (fscanf(f, "%ld", &max) != 1)
			max = 65530;
		fclose(f);
	}
	return (uint32_t)MAX(max / 4, 64);	/* two VMAs a mapping, and the rest of the process */
}

static int reserve(struct window *w)
{
	void *p = mmap(NULL, AREA_BYTES, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	w->state = pages_map(LINEAR_PAGES);
	w->fd_page = pages_map(LINEAR_PAGES * sizeof(uint32_t));
	if (p == MAP_FAILED || !w->state || !w->fd_page)
		return -ENOMEM;
	w->area = p;
	/* 4 GiB aligned (one more is there for that): the low half of a host address in the window is the guest's address */
	w->base = (uint8_t *)(((uintptr_t)p + GUARD_BYTES + WINDOW_BYTES - 1) & ~(uintptr_t)(WINDOW_BYTES - 1));
	return 0;
}

int windows_init(struct vcpu *cpu)
{
	struct windows *ws = calloc(1, sizeof(*ws));
	if (!ws)
		return -ENOMEM;
	cpu->windows = ws;
	__atomic_add_fetch(&sharers, 1, __ATOMIC_RELAXED);
	size_t pages = cpu->phys->reserved_bytes >> PAGE_SHIFT;
	ws->kernel_rmap = pages_map(pages * sizeof(uint32_t));
	ws->user_rmap = pages_map(pages * sizeof(uint32_t));
	ws->flips = pages_map(pages);
	ws->kernel_flips = pages_map(pages * sizeof(*ws->kernel_flips));
	ws->nonglobal = pages_map(LINEAR_PAGES * sizeof(uint32_t));
	ws->copies = pages_map((size_t)USER_WINDOWS * TABLES_MAX * PAGE_BYTES);
	int err = ws->kernel_rmap && ws->user_rmap && ws->flips && ws->kernel_flips && ws->nonglobal && ws->copies ? 0 : -ENOMEM;
	for (unsigned i = 0; i < USER_WINDOWS && !err; i++) {
		err = reserve(&ws->user[i]);
		for (unsigned k = 0; k < TABLES_MAX; k++)
			ws->user[i].tables[k].copy = ws->copies + ((size_t)i * TABLES_MAX + k) * 1024;
	}
	if (!err)
		err = reserve(&ws->kernel);
	ws->kernel.kernel = ws->kernel.used = true;
	ws->budget = mapping_budget(cpu);
	cpu->scan.kernel_window = (uint64_t)(uintptr_t)ws->kernel.base;
	mmu_update_direct(cpu);
	if (err)
		windows_free(cpu);
	return err;
}

static void release(struct window *w)
{
	if (w->area)
		munmap(w->area, AREA_BYTES);
	if (w->state)
		munmap(w->state, LINEAR_PAGES);
	if (w->fd_page)
		munmap(w->fd_page, LINEAR_PAGES * sizeof(uint32_t));
}

void windows_free(struct vcpu *cpu)
{
	struct windows *ws = cpu->windows;
	if (!ws)
		return;
	size_t pages = cpu->phys->reserved_bytes >> PAGE_SHIFT;
	release(&ws->kernel);
	for (unsigned i = 0; i < USER_WINDOWS; i++)
		release(&ws->user[i]);
	if (ws->kernel_rmap)
		munmap(ws->kernel_rmap, pages * sizeof(uint32_t));
	if (ws->user_rmap)
		munmap(ws->user_rmap, pages * sizeof(uint32_t));
	if (ws->flips)
		munmap(ws->flips, pages);
	if (ws->kernel_flips)
		munmap(ws->kernel_flips, pages * sizeof(*ws->kernel_flips));
	if (ws->nonglobal)
		munmap(ws->nonglobal, LINEAR_PAGES * sizeof(uint32_t));
	if (ws->copies)
		munmap(ws->copies, (size_t)USER_WINDOWS * TABLES_MAX * PAGE_BYTES);
	free(ws);
	cpu->windows = NULL;
	cpu->scan.kernel_window = cpu->scan.user_window = 0;
	__atomic_sub_fetch(&sharers, 1, __ATOMIC_RELAXED);
}

/* --- mapping and unmapping --- */

static uint32_t *rmap_of(struct windows *ws, const struct window *w) { return w->kernel ? ws->kernel_rmap : ws->user_rmap; }

static uint32_t rmap_key(const struct windows *ws, const struct window *w, uint32_t page)
{
	return (w->kernel ? page : (uint32_t)(w - ws->user) << 20 | page) + 1;
}

static uint8_t *host_of(const struct window *w, uint32_t page) { return w->base + ((uint64_t)page << PAGE_SHIFT); }

static bool cover(struct window *w, uint32_t page, uint32_t n)
{
	return mmap(host_of(w, page), (size_t)n << PAGE_SHIFT, PROT_NONE,
	    MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

static void empty(struct windows *ws, struct window *w)
{
	if (w->mappings == 0 && w->ntables == 0)
		return;
	if (!cover(w, 0, LINEAR_PAGES)) {	/* too many mappings: revoking whole ones cannot fail, then they merge */
		mprotect(w->base, WINDOW_BYTES, PROT_NONE);
		if (!cover(w, 0, LINEAR_PAGES))
			abort();		/* stale translations in reach of the guest: never go on */
	}
	madvise(w->state, LINEAR_PAGES, MADV_DONTNEED);
	memset(w->large, 0, sizeof(w->large));
	w->mappings = w->ntables = w->nstale = 0;
	w->stale = w->drop = false;
	if (w->kernel)
		ws->n_nonglobal = 0;
	/* reverse map entries are checked against state[] when used: they need no clearing */
}

static void unmap_pages(struct windows *ws, struct window *w, uint32_t page, uint32_t n)
{
	if (!cover(w, page, n)) {
		empty(ws, w);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		w->state[page + i] &= PAGE_VOLATILE;
	w->mappings++;
}

static void unmap_page(struct windows *ws, struct window *w, uint32_t page)
{
	if (w->state[page] & PAGE_MAPPED)
		unmap_pages(ws, w, page, 1);
}

static uint32_t total_mappings(const struct windows *ws)
{
	uint32_t n = ws->kernel.mappings;
	for (unsigned i = 0; i < USER_WINDOWS; i++)
		n += ws->user[i].mappings;
	return n;
}

static void make_room(struct windows *ws, const struct window *keep)
{
	uint32_t budget = MAX(ws->budget / __atomic_load_n(&sharers, __ATOMIC_RELAXED), 64u);
	while (total_mappings(ws) >= budget) {
		struct window *victim = NULL;
		for (unsigned i = 0; i < USER_WINDOWS; i++) {
			struct window *u = &ws->user[i];
			if (u != keep && u->mappings && (!victim || u->last_use < victim->last_use))
				victim = u;
		}
		if (!victim)
			victim = keep->mappings * 2 > budget || !ws->kernel.mappings ? (struct window *)keep : &ws->kernel;
		empty(ws, victim);
		if (victim == keep)
			return;
	}
}

/* --- page tables remembered --- */

/* Entries of the table at gpa map span_pages each, from linear address first. NULL: no room. */
static struct table_copy *remember_table(struct vcpu *cpu, struct window *w, gpa_t gpa, lin_t first, uint32_t span_pages)
{
	for (unsigned i = 0; i < w->ntables; i++)
		if (w->tables[i].gpa == gpa && w->tables[i].first == first && w->tables[i].span_pages == span_pages)
			return &w->tables[i];
	const uint8_t *host = phys_host(cpu->phys, gpa, false);
	if (w->ntables == TABLES_MAX || !host)
		return NULL;
	struct table_copy *t = &w->tables[w->ntables++];
	t->gpa = gpa;
	t->first = first;
	t->span_pages = span_pages;
	memcpy(t->copy, host, PAGE_BYTES);
	return t;
}

static void unmap_range(struct windows *ws, struct window *w, uint32_t page, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		unmap_page(ws, w, page + i);
}

/* Has half of an entry changed in what it allows? A and D that were set by the processor allow no less,
 * but one that was taken away must be set again by the next access. */
static bool changed(uint32_t was, uint32_t now, bool high)
{
	uint32_t ignore = high ? 0 : 0x60;	/* A, D */
	return ((was ^ now) & ~ignore) || (was & ~now & ignore);
}

/* Compare n entries from the first on with the guest's table; unmap what one that changed used to map. */
static void compare_entries(struct vcpu *cpu, struct window *w, struct table_copy *t, unsigned first, unsigned n)
{
	const uint32_t *now = (const uint32_t *)phys_host(cpu->phys, t->gpa, false);
	unsigned words = cpu->cr4 & CR4_PAE ? 2 : 1;
	for (unsigned i = first * words; now && i < (first + n) * words; i++) {
		if (changed(t->copy[i], now[i], i % words))
			unmap_range(cpu->windows, w, (t->first >> PAGE_SHIFT) + i / words * t->span_pages, t->span_pages);
		t->copy[i] = now[i];
	}
}

static void revalidate_table(struct vcpu *cpu, struct window *w, struct table_copy *t)
{
	const uint8_t *host = phys_host(cpu->phys, t->gpa, false);
	if (host && memcmp(host, t->copy, PAGE_BYTES) != 0)
		compare_entries(cpu, w, t, 0, cpu->cr4 & CR4_PAE ? 512 : 1024);
}

/* The tables that translate n pages from lin on, all in one table, are about to be mapped from their present
 * content: the copies must have just that. (An entry may have changed, been used, and may change back.) */
static bool remember_tables(struct vcpu *cpu, struct window *w, lin_t lin, uint32_t n)
{
	if (w->kernel || !(cpu->cr0 & CR0_PG))
		return true;
	bool pae = cpu->cr4 & CR4_PAE;
	unsigned shift = pae ? 21 : 22, in_dir = pae ? lin >> 21 & 511 : lin >> 22, size = pae ? 8 : 4;
	gpa_t dir = pae ? cpu->pdpte[lin >> 30] & 0xFFFFFF000ull : cpu->cr3 & 0xFFFFF000u;
	struct table_copy *t = remember_table(cpu, w, dir, pae ? lin & 0xC0000000u : 0, 1u << (shift - PAGE_SHIFT));
	if (!t)
		return false;
	compare_entries(cpu, w, t, in_dir, 1);
	gpa_t pde = phys_read_n(cpu->phys, dir + in_dir * size, 4);
	if (pae)
		pde |= (gpa_t)(phys_read_n(cpu->phys, dir + in_dir * 8 + 4, 4) & 0xF) << 32;
	if (!(pde & 0x80 && (pae || cpu->cr4 & CR4_PSE))) {
		t = remember_table(cpu, w, pde & 0xFFFFFF000ull, lin >> shift << shift, 1);
		if (!t)
			return false;
		compare_entries(cpu, w, t, lin >> PAGE_SHIFT & ((1u << (shift - PAGE_SHIFT)) - 1), n);
	}
	return w->ntables != 0;		/* if unmapping found no mapping left, it emptied the window */
}

static void revalidate(struct vcpu *cpu, struct window *w)
{
	struct windows *ws = cpu->windows;
	bool moved = (cpu->cr4 & CR4_PAE) && memcmp(w->pdpte, cpu->pdpte, sizeof(w->pdpte)) != 0;
	if (w->drop || moved) {
		empty(ws, w);
		memcpy(w->pdpte, cpu->pdpte, sizeof(w->pdpte));
	} else if (w->stale) {
		w->stale = false;
		w->nstale = 0;
		for (unsigned i = 0; i < w->ntables; i++)
			revalidate_table(cpu, w, &w->tables[i]);
		return;
	}
	for (unsigned i = 0; i < w->nstale; i++) {
		uint32_t page = w->stale_page[i] >> PAGE_SHIFT;
		if (!(w->state[page] & PAGE_MAPPED))
			continue;
		struct walk k = guest_walk(cpu, w->stale_page[i], ACCESS_READ, true, false);
		const uint8_t *host = k.ok ? phys_host(cpu->phys, k.gpa, false) : NULL;
		bool same = host && phys_fd_page(cpu->phys, host) == w->fd_page[page] &&
		    (!(w->state[page] & PAGE_WRITABLE) || (k.writable && k.dirty));
		if (!same)
			unmap_page(ws, w, page);
	}
	w->nstale = 0;
}

/* --- faults --- */

static struct window *in_use(const struct vcpu *cpu)
{
	return cpu->cpl == 3 ? cpu->windows->current : &cpu->windows->kernel;
}

static uint32_t flip_clock(void) { return (uint32_t)(__rdtsc() >> FLIP_CLOCK_SHIFT); }

/* Does the page become code and is written to again so often that it stays read-only? */
static bool flips(const struct windows *ws, const struct window *w, uint32_t fd_page)
{
	const struct kernel_flips *k = &ws->kernel_flips[fd_page];
	if (!w->kernel)
		return ws->flips[fd_page] >= FLIPS_MAX;
	return unlikely(k->n >= KERNEL_FLIPS_MAX) && flip_clock() - k->when < FLIP_QUIET;
}

static void flipped(struct windows *ws, const struct window *w, uint32_t fd_page)
{
	struct kernel_flips *k = &ws->kernel_flips[fd_page];
	if (w->kernel) {
		uint32_t now = flip_clock();
		k->n = now - k->when <= 1 ? k->n + 1 : 1;
		k->when = now;
	} else if (ws->flips[fd_page] < FLIPS_MAX) {
		ws->flips[fd_page]++;
	}
}

/* One linear page as the window would hold it. */
struct candidate {
	bool ok;
	uint32_t fd_page;
	bool writable, global, large, holds_code;
};

static struct candidate candidate(struct vcpu *cpu, const struct window *w, const struct walk *k)
{
	const uint8_t *host = phys_host(cpu->phys, k->gpa, false);
	struct candidate c = { 0 };
	if (!host)
		return c;
	c.ok = true;
	c.fd_page = (uint32_t)phys_fd_page(cpu->phys, host);
	uint8_t flags = cpu->phys->page_flags[c.fd_page];
	/* Video memory is watched anew thirty times a second: a change of a TLB entry each time is cheap, a
	 * protection of the host's page is not. */
	if (flags & PAGE_TRACKED)
		return (struct candidate){ .ok = false };
	c.holds_code = flags & (PAGE_CODE | PAGE_SCAN);
	c.writable = k->writable && k->dirty && phys_host(cpu->phys, k->gpa, true);
	if ((!w->kernel && c.holds_code) || flips(cpu->windows, w, c.fd_page))
		c.writable = false;
	c.global = k->global;
	c.large = k->large;
	return c;
}

/* Is what a reverse map entry says (still) true? Then the window and linear page. */
static struct window *mapped_writable(struct windows *ws, bool kernel, uint32_t slot, uint32_t fd_page, uint32_t *page)
{
	if (slot == 0)
		return NULL;
	struct window *w = kernel ? &ws->kernel : &ws->user[(slot - 1) >> 20];
	*page = (slot - 1) & (LINEAR_PAGES - 1);
	bool is = (w->state[*page] & PAGE_WRITABLE) && w->fd_page[*page] == fd_page;
	return is ? w : NULL;
}

static void remember_alias(struct windows *ws, bool kernel, uint32_t slot, uint32_t fd_page)
{
	uint32_t page = 0;
	struct alias *at = NULL;
	for (unsigned i = 0; i < ws->naliases; i++) {
		struct alias *a = &ws->alias[i];
		if (a->kernel == kernel && a->slot == slot && a->fd_page == fd_page)
			return;
		if (!at && !mapped_writable(ws, a->kernel, a->slot, a->fd_page, &page))
			at = a;
	}
	if (!at && ws->naliases < ALIASES_MAX)
		at = &ws->alias[ws->naliases++];
	if (!at) {
		at = &ws->alias[fd_page % ALIASES_MAX];
		struct window *w = mapped_writable(ws, at->kernel, at->slot, at->fd_page, &page);
		if (w)
			unmap_page(ws, w, page);
	}
	*at = (struct alias){ .fd_page = fd_page, .slot = slot, .kernel = kernel };
}

static void remember_writable(struct windows *ws, struct window *w, uint32_t page, uint32_t fd_page)
{
	uint32_t *slot = &rmap_of(ws, w)[fd_page], old_page;
	uint32_t key = rmap_key(ws, w, page);
	if (*slot != key && mapped_writable(ws, w->kernel, *slot, fd_page, &old_page))
		remember_alias(ws, w->kernel, key, fd_page);
	else
		*slot = key;
}

/* Map n pages from linear page on to memfd pages from c->fd_page on, alike in all rights. */
static bool map_run(struct vcpu *cpu, struct window *w, uint32_t page, uint32_t n, const struct candidate *c, bool populate)
{
	struct windows *ws = cpu->windows;
	int prot = PROT_READ | (c->writable ? PROT_WRITE : 0);
	void *p = mmap(host_of(w, page), (size_t)n << PAGE_SHIFT, prot,
	    MAP_FIXED | MAP_SHARED | MAP_NORESERVE | (populate ? MAP_POPULATE : 0), cpu->phys->fd,
	    (off_t)c->fd_page << PAGE_SHIFT);
	if (p == MAP_FAILED)
		return false;		/* too many mappings after all: the access is emulated */
	w->mappings++;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t fd = c->fd_page + i;
		uint8_t *flags = &cpu->phys->page_flags[fd];
		bool writable = c->writable;
		if (writable && *flags & (PAGE_CODE | PAGE_SCAN)) {
			mprotect(host_of(w, page + i), PAGE_BYTES, PROT_READ);
			w->mappings++;
			writable = false;
		}
		if (writable) {
			remember_writable(ws, w, page + i, fd);
			if (w->kernel)		/* a new life: the kernel writes to the page */
				ws->flips[fd] = 0;
			*flags |= PAGE_TLB_WRITE;
		}
		w->state[page + i] = (uint8_t)((w->state[page + i] & PAGE_VOLATILE) | PAGE_MAPPED |
		    (writable ? PAGE_WRITABLE : 0) | (c->global ? PAGE_GLOBAL : 0));
		w->large[(page + i) / 1024] |= c->large;
		w->fd_page[page + i] = fd;
		if (w->kernel && !c->global)
			ws->nonglobal[ws->n_nonglobal++ & (LINEAR_PAGES - 1)] = page + i;
	}
	return true;
}

/* Does page + i continue the run that began with first? Only pages the guest has touched already. */
static bool continues(struct vcpu *cpu, const struct window *w, uint32_t page, uint32_t i, bool user,
    const struct candidate *first, const struct walk *k0, bool same_large)
{
	uint32_t at = page + i;
	if (at >= LINEAR_PAGES || w->state[at] & (PAGE_MAPPED | PAGE_VOLATILE))
		return false;
	struct walk k = *k0;
	if (same_large)
		k.gpa = k0->gpa + ((gpa_t)i << PAGE_SHIFT);
	else
		k = guest_walk(cpu, at << PAGE_SHIFT, ACCESS_READ, user, false);
	if (!k.ok || !k.accessed || k.gpa >> PAGE_SHIFT != (k0->gpa >> PAGE_SHIFT) + i)
		return false;
	struct candidate c = candidate(cpu, w, &k);
	uint32_t slot = rmap_of(cpu->windows, w)[c.fd_page], old;
	/* A further writable mapping takes one of few places from another: only for a page really used here. */
	if (c.ok && c.writable && slot != rmap_key(cpu->windows, w, at) &&
	    mapped_writable(cpu->windows, w->kernel, slot, c.fd_page, &old))
		return false;
	return c.ok && c.fd_page == first->fd_page + i && c.writable == first->writable && c.global == first->global &&
	    (w->kernel || c.holds_code == first->holds_code);
}

static uint32_t run_length(struct vcpu *cpu, const struct window *w, uint32_t page, bool user, const struct candidate *c,
    const struct walk *k)
{
	uint32_t max = w->kernel ? KERNEL_RUN_PAGES : USER_RUN_PAGES, n = 1;
	bool paged = cpu->cr0 & CR0_PG;
	uint32_t large = !paged ? LINEAR_PAGES : !k->large ? 1 : cpu->cr4 & CR4_PAE ? 512 : 1024;
	if (!w->kernel)		/* what one table maps, which is what remember_tables() looks at */
		max = MIN(max, 512 - (page & 511));
	while (n < max && continues(cpu, w, page, n, user, c, k, (page & ~(large - 1)) == ((page + n) & ~(large - 1))))
		n++;
	return n;
}

static enum window_result refused(struct vcpu *cpu, enum meter_window why)
{
	METER_ADD(cpu, window[why], 1);
	return WINDOW_NEVER;
}

enum window_result window_fault(struct vcpu *cpu, lin_t lin, bool write)
{
	struct windows *ws = cpu->windows;
	struct window *w = in_use(cpu);
	bool user = cpu->cpl == 3;
	if (!w || mmu_watching(cpu))
		return refused(cpu, WF_DEVICE);
	struct walk k = guest_walk(cpu, lin, write ? ACCESS_WRITE : ACCESS_READ, user, true);
	if (!k.ok) {
		METER_ADD(cpu, window[WF_REFLECTED], 1);
		return WINDOW_REFLECT;
	}
	uint32_t page = lin >> PAGE_SHIFT;
	if (w->state[page] & PAGE_VOLATILE)
		return refused(cpu, WF_UNSTABLE);
	bool paged = cpu->cr0 & CR0_PG;
	if (w->kernel && paged && !k.global && ws->nonglobal_drops > NONGLOBAL_DROPS_MAX)
		return refused(cpu, WF_UNSTABLE);
	if (write) {
		uint8_t *host = phys_host(cpu->phys, k.gpa, true);
		uint8_t *flags = host ? &cpu->phys->page_flags[phys_fd_page(cpu->phys, host)] : NULL;
		if (flags && *flags & PAGE_TRACKED)
			*flags |= PAGE_DIRTY;
	}
	struct candidate c = candidate(cpu, w, &k);
	if (!c.ok || (write && (!c.writable || c.holds_code)))
		return refused(cpu, c.ok ? WF_CODE : WF_DEVICE);
	k.gpa &= ~(gpa_t)PAGE_MASK;
	bool again = w->state[page] & PAGE_MAPPED;
	uint32_t n = again ? 1 : run_length(cpu, w, page, user, &c, &k);
	make_room(ws, w);		/* may empty it: before the tables are remembered */
	if (!remember_tables(cpu, w, lin, n) || !map_run(cpu, w, page, n, &c, !w->kernel))
		return refused(cpu, WF_UNSTABLE);
	METER_ADD(cpu, window[again ? WF_UPGRADED : WF_MAPPED], 1);
	return WINDOW_RETRY;
}

void window_premap(struct vcpu *cpu, lin_t lin)
{
	struct window *w = in_use(cpu);
	if (!w || w->state[lin >> PAGE_SHIFT] & (PAGE_WRITABLE | PAGE_VOLATILE))
		return;
	struct walk k = guest_walk(cpu, lin, ACCESS_READ, true, false);
	if (!k.ok || !k.accessed || (w->state[lin >> PAGE_SHIFT] & PAGE_MAPPED && !(k.writable && k.dirty)))
		return;
	METER_ONLY(uint64_t mapped = cpu->meters.window[WF_MAPPED], upgraded = cpu->meters.window[WF_UPGRADED]);
	if (window_fault(cpu, lin, false) == WINDOW_RETRY) {	/* no fault this time: that was spared */
		METER_ONLY(cpu->meters.window[WF_MAPPED] = mapped; cpu->meters.window[WF_UPGRADED] = upgraded);
		METER_ADD(cpu, window_ahead, 1);
	}
}

/* --- choosing --- */

static void set_current(struct vcpu *cpu, struct window *w)
{
	struct windows *ws = cpu->windows;
	ws->current = w;
	if (w)
		w->last_use = ++ws->clock;
	cpu->scan.user_window = w ? (uint64_t)(uintptr_t)w->base : 0;
	cpu->scan.user_window_stale = true;
	mmu_update_direct(cpu);
}

bool window_wanted(struct vcpu *cpu)
{
	return cpu->windows && (cpu->cpl != 3 ? !cpu->windows->rests : cpu->windows->current != NULL);
}

uint64_t window_select(struct vcpu *cpu)
{
	struct window *w = in_use(cpu);
	if (!w->kernel) {
		if (w->stale || w->drop || w->nstale)
			revalidate(cpu, w);
		cpu->scan.user_window_stale = false;
	}
	return (uint64_t)(uintptr_t)w->base;
}

void window_promote(struct vcpu *cpu)
{
	struct windows *ws = cpu->windows;
	if (!ws || ws->current || cpu->cpl != 3)
		return;
	struct window *w = &ws->user[0];
	for (unsigned i = 0; i < USER_WINDOWS; i++) {
		if (!ws->user[i].used) {
			w = &ws->user[i];
			break;
		}
		if (ws->user[i].last_use < w->last_use)
			w = &ws->user[i];
	}
	METER_ADD(cpu, window_opened, 1);
	empty(ws, w);
	w->used = true;
	w->cr3 = cpu->cr3;
	memcpy(w->pdpte, cpu->pdpte, sizeof(w->pdpte));
	set_current(cpu, w);
	mmu_each_user_page(cpu, window_premap);	/* what it has used is what it will use */
}

/* --- the TLB's events --- */

static struct window *window_of(struct windows *ws, uint32_t cr3)
{
	for (unsigned i = 0; i < USER_WINDOWS; i++)
		if (ws->user[i].used && ws->user[i].cr3 == cr3)
			return &ws->user[i];
	return NULL;
}

/* Guests that set CR0.WP, PE or CR4.PGE back and forth: a window that is emptied each time costs more than it gives. */
static void kernel_lost(struct windows *ws)
{
	uint64_t now = __rdtsc();
	ws->lost_since_tick = true;
	if (ws->kernel.mappings == 0)
		return;
	ws->losses = now - ws->lost < QUICK ? ws->losses + 1 : 1;
	ws->lost = now;
	if (ws->losses < LOSSES)
		return;
	ws->rests = true;
	ws->losses = ws->quiet = 0;
	ws->quiet_wanted = (uint8_t)MIN(MAX(ws->quiet_wanted * 2, 1), QUIET_MOST);
}

IN_SIGNAL bool window_kernel_rests(const struct vcpu *cpu)
{
	return cpu->windows && cpu->windows->rests;
}

void window_tick(struct vcpu *cpu)
{
	struct windows *ws = cpu->windows;
	if (!window_kernel_rests(cpu))
		return;
	ws->quiet = ws->lost_since_tick ? 0 : ws->quiet + 1;
	ws->lost_since_tick = false;
	if (ws->quiet < ws->quiet_wanted)
		return;
	ws->rests = false;
	mmu_update_direct(cpu);
}

void window_flush(struct vcpu *cpu, bool global)
{
	struct windows *ws = cpu->windows;
	if (global) {
		kernel_lost(ws);
		empty(ws, &ws->kernel);
		for (unsigned i = 0; i < USER_WINDOWS; i++)
			ws->user[i].drop = true;
	} else if (ws->n_nonglobal) {
		ws->nonglobal_drops++;
		if (ws->n_nonglobal > 64) {
			empty(ws, &ws->kernel);
		} else {
			for (uint32_t i = 0; i < ws->n_nonglobal; i++)
				if (!(ws->kernel.state[ws->nonglobal[i]] & PAGE_GLOBAL))
					unmap_page(ws, &ws->kernel, ws->nonglobal[i]);
			ws->n_nonglobal = 0;
		}
	}
	struct window *w = window_of(ws, cpu->cr3);
	if (w) {
		w->stale = true;
		METER_ADD(cpu, window_hits, !global);
	}
	set_current(cpu, w);
}

/* INVLPG drops a large page whole. */
static bool flush_large(struct windows *ws, struct window *w, uint32_t page)
{
	bool large = w->large[page / 1024];
	if (large)
		unmap_pages(ws, w, page & ~1023u, 1024);
	w->large[page / 1024] = false;
	return large;
}

void window_flush_page(struct vcpu *cpu, lin_t lin)
{
	struct windows *ws = cpu->windows;
	uint32_t page = lin >> PAGE_SHIFT;
	if (!flush_large(ws, &ws->kernel, page) && ws->kernel.state[page] & PAGE_MAPPED) {
		unmap_page(ws, &ws->kernel, page);
		ws->kernel.state[page] |= PAGE_VOLATILE;
	}
	struct window *w = ws->current;
	if (!w || flush_large(ws, w, page) || !(w->state[page] & PAGE_MAPPED))
		return;
	cpu->scan.user_window_stale = true;
	if (w->nstale < STALE_MAX)
		w->stale_page[w->nstale++] = lin;
	else
		w->stale = true;
}

static void protect(struct windows *ws, struct window *w, uint32_t page)
{
	if (mprotect(host_of(w, page), PAGE_BYTES, PROT_READ) < 0) {
		empty(ws, w);		/* no mapping left to split with: it must not stay writable */
		return;
	}
	w->mappings++;
	w->state[page] &= (uint8_t)~PAGE_WRITABLE;
	flipped(ws, w, w->fd_page[page]);
}

void window_drop_writes(struct vcpu *cpu, uint64_t fd_page)
{
	struct windows *ws = cpu->windows;
	struct window *w;
	uint32_t page;
	for (unsigned kernel = 0; kernel < 2; kernel++)
		if ((w = mapped_writable(ws, kernel, (kernel ? ws->kernel_rmap : ws->user_rmap)[fd_page], (uint32_t)fd_page, &page)))
			protect(ws, w, page);
	for (unsigned i = 0; i < ws->naliases; i++) {
		const struct alias *a = &ws->alias[i];
		if (a->fd_page == fd_page && (w = mapped_writable(ws, a->kernel, a->slot, a->fd_page, &page)))
			protect(ws, w, page);
	}
}
