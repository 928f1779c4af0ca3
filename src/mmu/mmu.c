/*
 * The software TLB and the slow paths behind it.		[SDM 3, "Caching Translation Information"]
 *
 * Flat tables, one entry a linear page, so that a hit is one load in all tiers. They are sparse
 * mappings (untouched parts cost nothing); a fill list remembers which entries to clear, global
 * pages apart, so that a CR3 load costs what was used since the last. Nothing here watches the
 * guest's page tables: entries live as a hardware TLB's may, until CR3, INVLPG, CR0 or CR4 drop them.
 */
#include "mmu/mmu.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "cpu/stops.h"
#include "mmu/phys.h"
#include "mmu/walk.h"
#include "mmu/window.h"
#include "util/pages.h"

#define FILL_MAX 65536u		/* entries a list holds; more: the tables are dropped whole */

struct fill_list {
	uint32_t n;
	uint32_t page[FILL_MAX];	/* linear page numbers */
};

#define MANY 0xFFFFFFFFu

/* A page where a device answers has no entry in the tables: this remembers the walk, as long as an entry would. */
#define DEVICE_PAGES	16
struct device_page {
	uint64_t serial;		/* of the flushes, when it was made; 0: never */
	uint32_t page;			/* linear */
	gpa_t gpa;
};

struct mmu {
	struct tlb never;		/* tables in which nothing is ever entered: every access goes the slow way */
	struct fill_list *fills[2][2];	/* [user][global] */
	uint32_t *write_page;		/* [memfd page] linear page + 1 of its write entries, or MANY */
	struct device_page device[2][2][DEVICE_PAGES];	/* [user][write][page modulo their number] */
	uint64_t flushes;		/* and one */
	uint8_t large[1024];		/* per 4 MiB of linear space: entries were made from a large page */
	bool check_alignment;		/* CR0.AM, EFLAGS.AC and CPL 3 */
	bool watching;			/* DR7 enables a data breakpoint, or the debugger watches */
};

/* One stretch of address space for a privilege's three tables, so that scanned code reaches all from one register. */
#define TLB_BYTES (TLB_PAGES * (2 * sizeof(uintptr_t) + sizeof(uint32_t)))

static int tlb_alloc(struct tlb *tlb)
{
	uint8_t *p = pages_map(TLB_BYTES);
	if (!p)
		return -ENOMEM;
	tlb->read = (uintptr_t *)p;
	tlb->write = (uintptr_t *)(p + TLB_PAGES * sizeof(uintptr_t));
	tlb->code = (uint32_t *)(p + 2 * TLB_PAGES * sizeof(uintptr_t));
	return 0;
}

static void tlb_release(struct tlb *tlb)
{
	if (tlb->read)
		munmap(tlb->read, TLB_BYTES);
	*tlb = (struct tlb){ 0 };
}

int mmu_init(struct vcpu *cpu)
{
	struct mmu *mmu = calloc(1, sizeof(*mmu));
	if (!mmu)
		return -ENOMEM;
	cpu->mmu = mmu;
	mmu->flushes = 1;
	mmu->write_page = pages_map((cpu->phys->reserved_bytes >> PAGE_SHIFT) * sizeof(uint32_t));
	int err = mmu->write_page ? tlb_alloc(&mmu->never) : -ENOMEM;
	for (unsigned u = 0; u < 2 && !err; u++) {
		err = tlb_alloc(&cpu->tlbs[u]);
		for (unsigned g = 0; g < 2 && !err; g++) {
			mmu->fills[u][g] = pages_map(sizeof(struct fill_list));
			if (!mmu->fills[u][g])
				err = -ENOMEM;
		}
	}
	cpu->tlb = &cpu->tlbs[0];
	if (err)
		mmu_free(cpu);
	return err;
}

void mmu_free(struct vcpu *cpu)
{
	struct mmu *mmu = cpu->mmu;
	if (!mmu)
		return;
	tlb_release(&mmu->never);
	if (mmu->write_page)
		munmap(mmu->write_page, (cpu->phys->reserved_bytes >> PAGE_SHIFT) * sizeof(uint32_t));
	for (unsigned u = 0; u < 2; u++) {
		tlb_release(&cpu->tlbs[u]);
		for (unsigned g = 0; g < 2; g++)
			if (mmu->fills[u][g])
				munmap(mmu->fills[u][g], sizeof(struct fill_list));
	}
	free(mmu);
	cpu->mmu = NULL;
}

/* --- flushing --- */

static void clear_entry(struct vcpu *cpu, unsigned user, uint32_t page)
{
	cpu->tlbs[user].read[page] = 0;
	cpu->tlbs[user].write[page] = 0;
	cpu->tlbs[user].code[page] = 0;
}

void mmu_clear_entry(struct vcpu *cpu, bool user, uint32_t page, bool only_write)
{
	if (only_write)
		cpu->tlbs[user].write[page] = 0;
	else
		clear_entry(cpu, user, page);
}

static void flush_list(struct vcpu *cpu, unsigned user, struct fill_list *list)
{
	if (list->n > FILL_MAX / 2) {		/* dearer one by one than as a whole, which drops the other list's too */
		madvise(cpu->tlbs[user].read, TLB_BYTES, MADV_DONTNEED);
		cpu->mmu->fills[user][0]->n = cpu->mmu->fills[user][1]->n = 0;
		return;
	}
	for (uint32_t i = 0; i < list->n; i++)
		clear_entry(cpu, user, list->page[i]);
	list->n = 0;
}

void mmu_flush(struct vcpu *cpu, bool global)
{
	cpu->scan.epoch++;
	cpu->scan.tlb_serial++;
	cpu->mmu->flushes++;
	if (cpu->windows)
		window_flush(cpu, global);
	for (unsigned u = 0; u < 2; u++) {
		flush_list(cpu, u, cpu->mmu->fills[u][0]);
		if (global)
			flush_list(cpu, u, cpu->mmu->fills[u][1]);
	}
	if (global)
		memset(cpu->mmu->large, 0, sizeof(cpu->mmu->large));
}

void mmu_flush_page(struct vcpu *cpu, lin_t lin)
{
	uint32_t first = lin >> PAGE_SHIFT, n = 1, code = 0;
	cpu->scan.tlb_serial++;
	cpu->mmu->flushes++;
	if (cpu->windows)
		window_flush_page(cpu, lin);
	if (cpu->mmu->large[lin >> 22]) {	/* INVLPG drops the whole page that maps lin, whatever its size */
		first = lin >> 22 << 10;
		n = 1024;
	}
	for (uint32_t page = first; page < first + n; page++) {
		code |= cpu->tlbs[0].code[page] | cpu->tlbs[1].code[page];
		clear_entry(cpu, 0, page);
		clear_entry(cpu, 1, page);
	}
	if (code != 0 || cpu->stops)	/* else nothing can return there that was sure of it (code that is held has no entry) */
		cpu->scan.epoch++;
}

void mmu_drop_writes(struct vcpu *cpu, uint64_t fd_offset)
{
	uint8_t *flags = &cpu->phys->page_flags[fd_offset >> PAGE_SHIFT];
	if (!(*flags & PAGE_TLB_WRITE))
		return;
	*flags &= (uint8_t)~PAGE_TLB_WRITE;
	if (cpu->windows)
		window_drop_writes(cpu, fd_offset >> PAGE_SHIFT);
	uint32_t *at = &cpu->mmu->write_page[fd_offset >> PAGE_SHIFT], page = *at;
	*at = 0;
	if (page != MANY) {
		if (page != 0)
			cpu->tlbs[0].write[page - 1] = cpu->tlbs[1].write[page - 1] = 0;
		return;
	}
	uintptr_t host = (uintptr_t)cpu->phys->ram + (fd_offset & ~(uint64_t)PAGE_MASK);
	for (unsigned u = 0; u < 2; u++) {
		for (unsigned g = 0; g < 2; g++) {
			const struct fill_list *list = cpu->mmu->fills[u][g];
			for (uint32_t i = 0; i < list->n; i++) {
				uintptr_t *e = &cpu->tlbs[u].write[list->page[i]];
				if (*e && *e + ((uintptr_t)list->page[i] << PAGE_SHIFT) == host)
					*e = 0;
			}
		}
	}
}

void mmu_drop_writes_range(struct vcpu *cpu, uint64_t fd_offset, uint64_t bytes)
{
	uint8_t *flags = &cpu->phys->page_flags[fd_offset >> PAGE_SHIFT], any = 0;
	for (uint64_t i = 0; i < bytes >> PAGE_SHIFT; i++) {
		any |= flags[i] & PAGE_TLB_WRITE;
		flags[i] &= (uint8_t)~PAGE_TLB_WRITE;
	}
	if (!any)
		return;
	uintptr_t host = (uintptr_t)cpu->phys->ram + fd_offset;
	for (unsigned u = 0; u < 2; u++) {
		for (unsigned g = 0; g < 2; g++) {
			const struct fill_list *list = cpu->mmu->fills[u][g];
			for (uint32_t i = 0; i < list->n; i++) {
				uintptr_t *e = &cpu->tlbs[u].write[list->page[i]];
				if (*e && *e + ((uintptr_t)list->page[i] << PAGE_SHIFT) - host < bytes)
					*e = 0;
			}
		}
	}
}

void mmu_protect_code(struct vcpu *cpu, uint64_t fd_offset)
{
	cpu->phys->page_flags[fd_offset >> PAGE_SHIFT] |= PAGE_CODE;
	mmu_drop_writes(cpu, fd_offset);
}

bool mmu_watching(const struct vcpu *cpu) { return cpu->mmu->watching; }

void mmu_update_direct(struct vcpu *cpu)
{
	cpu->scan.plain = !cpu->mmu->check_alignment && !cpu->mmu->watching && !cpu->scan.protect_code;
	cpu->scan.direct = cpu->scan.plain && window_wanted(cpu);
}

void mmu_each_user_page(struct vcpu *cpu, void (*fn)(struct vcpu *cpu, lin_t lin))
{
	for (unsigned g = 0; g < 2; g++) {
		const struct fill_list *list = cpu->mmu->fills[1][g];
		for (uint32_t i = 0; i < list->n; i++)
			if (cpu->tlbs[1].read[list->page[i]])
				fn(cpu, list->page[i] << PAGE_SHIFT);
	}
}

void mmu_select(struct vcpu *cpu)
{
	cpu->mmu->check_alignment = cpu->cpl == 3 && (cpu->cr0 & CR0_AM) && (cpu->eflags & EFLAGS_AC);
	cpu->tlb = cpu->mmu->check_alignment ? &cpu->mmu->never : &cpu->tlbs[cpu->cpl == 3];
	cpu->scan.aligned = cpu->mmu->check_alignment;
	mmu_update_direct(cpu);
}

/* --- data breakpoints: watched pages are never entered, so that every access comes here --- */

static bool breakpoint(const struct vcpu *cpu, unsigned n, lin_t *first, unsigned *len, unsigned *rw)
{
	static const unsigned lens[4] = { 1, 2, 8, 4 };
	if (!(cpu->dr[7] >> (n * 2) & 3))
		return false;
	unsigned control = cpu->dr[7] >> (16 + n * 4);
	*rw = control & 3;
	*len = lens[control >> 2 & 3];
	*first = cpu->dr[n] & ~(lin_t)(*len - 1);
	return true;
}

static bool page_watched(const struct vcpu *cpu, lin_t lin)
{
	lin_t first;
	unsigned len, rw;
	if (!cpu->mmu->watching)
		return false;
	for (unsigned n = 0; n < 4; n++)
		if (breakpoint(cpu, n, &first, &len, &rw) && (rw & 1) && (first ^ lin) >> PAGE_SHIFT == 0)
			return true;
	return cpu->stops && stops_watch_page(cpu->stops, lin);
}

static void note_breakpoints(struct vcpu *cpu, lin_t lin, unsigned size, bool write)
{
	lin_t first;
	unsigned len, rw;
	if (cpu->stops)
		stops_access(cpu, lin, size, write);
	for (unsigned n = 0; n < 4; n++) {
		if (!breakpoint(cpu, n, &first, &len, &rw) || !(rw == 3 || (rw == 1 && write)))
			continue;
		if ((lin_t)(lin - first) < len || (lin_t)(first - lin) < size) {
			cpu->dr6_pending |= BIT(n);
			__atomic_or_fetch(&cpu->attention, ATTN_EVENT, __ATOMIC_RELAXED);
		}
	}
}

void mmu_debug_changed(struct vcpu *cpu)
{
	lin_t first;
	unsigned len, rw;
	cpu->mmu->watching = cpu->stops && cpu->stops->nwatch > 0;
	for (unsigned n = 0; n < 4; n++)
		if (breakpoint(cpu, n, &first, &len, &rw) && (rw & 1))
			cpu->mmu->watching = true;
	mmu_flush(cpu, true);
	mmu_update_direct(cpu);
}

/* --- filling --- */

static void remember(struct vcpu *cpu, unsigned user, uint32_t page, const struct walk *w)
{
	const struct tlb *t = &cpu->tlbs[user];
	struct fill_list *list = cpu->mmu->fills[user][w->global];
	if (w->large)
		cpu->mmu->large[page >> 10] = 1;
	if (unlikely(cpu->watcher))
		cpu->watcher->enters(cpu->watcher, user, page);
	if (t->read[page] | t->write[page] | t->code[page])
		return;				/* listed when its first entry was made */
	if (list->n == FILL_MAX) {
		flush_list(cpu, user, list);
		cpu->scan.epoch++;		/* mmu_flush_page() does not see any more where code ran */
	}
	list->page[list->n++] = page;
}

/* Enter what the walk allows. Host address of the byte, or NULL if this access must not go direct. */
static uint8_t *fill(struct vcpu *cpu, lin_t lin, const struct walk *w, enum access kind, bool user)
{
	uint8_t *host = phys_host(cpu->phys, w->gpa, kind == ACCESS_WRITE);
	if (unlikely(cpu->watcher && host && kind == ACCESS_WRITE))
		cpu->watcher->writes(cpu->watcher, phys_fd_page(cpu->phys, host), false);
	if (!host || page_watched(cpu, lin))
		return NULL;
	uint32_t page = lin >> PAGE_SHIFT;
	uintptr_t entry = (uintptr_t)host - lin;
	uint8_t *flags = &cpu->phys->page_flags[phys_fd_page(cpu->phys, host)];
	if (unlikely(cpu->scan.protect_code) && *flags & PAGE_SCAN)
		return NULL;
	if (kind == ACCESS_WRITE && *flags & PAGE_TRACKED)
		*flags |= PAGE_DIRTY;
	remember(cpu, user, page, w);
	cpu->tlbs[user].read[page] = entry;

	/* No write entry until D is set, nor for a page whose stores must be seen. */
	bool seen = (*flags & (PAGE_CODE | PAGE_SCAN)) || ((*flags & (PAGE_TRACKED | PAGE_DIRTY)) == PAGE_TRACKED);
	seen |= cpu->watcher && kind != ACCESS_WRITE;
	if (w->writable && w->dirty && !seen && phys_host(cpu->phys, w->gpa, true)) {
		uint32_t *at = &cpu->mmu->write_page[flags - cpu->phys->page_flags];
		*at = *at == 0 || *at == page + 1 ? page + 1 : MANY;
		cpu->tlbs[user].write[page] = entry;
		*flags |= PAGE_TLB_WRITE;
	} else if (kind == ACCESS_WRITE) {
		return NULL;
	}
	return host;
}

static struct walk walk_or_fault(struct vcpu *cpu, lin_t lin, enum access kind, bool user)
{
	struct walk w = guest_walk(cpu, lin, kind, user, true);
	if (!w.ok) {
		cpu->cr2 = lin;
		cpu_raise(cpu, EXC_PF, w.error_code);
	}
	return w;
}

static struct device_page *device_page(struct vcpu *cpu, lin_t lin, enum access kind, bool user)
{
	return &cpu->mmu->device[user][kind == ACCESS_WRITE][lin >> PAGE_SHIFT & (DEVICE_PAGES - 1)];
}

bool mmu_device(struct vcpu *cpu, lin_t lin, enum access kind, bool user, gpa_t *gpa)
{
	const struct device_page *d = device_page(cpu, lin, kind, user);
	*gpa = d->gpa | (lin & PAGE_MASK);
	return d->serial == cpu->mmu->flushes && d->page == lin >> PAGE_SHIFT;
}

bool mmu_is_device(struct vcpu *cpu, lin_t lin, enum access kind, bool user)
{
	gpa_t gpa;
	return mmu_device(cpu, lin, kind, user, &gpa);
}

uint8_t *mmu_fill(struct vcpu *cpu, lin_t lin, enum access kind, bool user)
{
	if ((cpu->mmu->check_alignment && user) || mmu_is_device(cpu, lin, kind, user))
		return NULL;
	struct walk w = guest_walk(cpu, lin, kind, user, true);
	return w.ok ? fill(cpu, lin, &w, kind, user) : NULL;
}

gpa_t mmu_code(struct vcpu *cpu, lin_t lin)
{
	bool user = cpu->cpl == 3;
	uint32_t page = lin >> PAGE_SHIFT;
	uint32_t e = cpu->tlbs[user].code[page];
	if (likely(e != 0))
		return ((gpa_t)(e - 1) << PAGE_SHIFT) | (lin & PAGE_MASK);
	struct walk w = walk_or_fault(cpu, lin, ACCESS_CODE, user);
	gpa_t gpa = w.gpa & cpu->phys->a20_mask;
	if (gpa >> 32)				/* nothing there: not worth an entry, which has no room for it */
		return gpa;
	if (unlikely(cpu->stops && stops_page(cpu->stops, lin)) || cpu_breaks_near(cpu, lin))
		return gpa;			/* code that is held is looked for every time */
	remember(cpu, user, page, &w);
	cpu->tlbs[user].code[page] = (uint32_t)(gpa >> PAGE_SHIFT) + 1;
	return gpa;
}

/* Translation of one page of a slow access: the TLB's if it holds one, as hardware would. */
struct target {
	uint8_t *host;		/* RAM, reachable directly; else NULL and gpa */
	gpa_t gpa;
};

static bool holds_scanned_code(const struct vcpu *cpu, gpa_t gpa)
{
	const uint8_t *host = phys_host(cpu->phys, gpa, false);
	return host && cpu->phys->page_flags[phys_fd_page(cpu->phys, host)] & PAGE_SCAN;
}

static struct target walk_target(struct vcpu *cpu, lin_t lin, enum access kind, bool user)
{
	struct walk w = walk_or_fault(cpu, lin, kind, user);
	if (unlikely(cpu->scan.protect_code) && holds_scanned_code(cpu, w.gpa)) {
		cpu->scan.trapped = true;	/* the way out of an instruction; the scanner stops the VM */
		cpu_raise(cpu, EXC_GP, 0);
	}
	const struct phys_region *r = phys_find(cpu->phys, w.gpa);
	if (r && r->kind == PHYS_MMIO) {
		*device_page(cpu, lin, kind, user) = (struct device_page){ cpu->mmu->flushes, lin >> PAGE_SHIFT, w.gpa & ~(gpa_t)PAGE_MASK };
		return (struct target){ .gpa = w.gpa };
	}
	return (struct target){ .host = fill(cpu, lin, &w, kind, user), .gpa = w.gpa };
}

static struct target target_of(struct vcpu *cpu, lin_t lin, enum access kind, bool user)
{
	const struct tlb *t = &cpu->tlbs[user];
	uintptr_t e = (kind == ACCESS_WRITE ? t->write : t->read)[lin >> PAGE_SHIFT];
	if (e)
		return (struct target){ .host = (uint8_t *)(e + lin) };
	gpa_t gpa;
	if (mmu_device(cpu, lin, kind, user, &gpa))
		return (struct target){ .gpa = gpa };
	return walk_target(cpu, lin, kind, user);
}

uint8_t *mmu_host(struct vcpu *cpu, lin_t lin, enum access kind, bool user)
{
	if (cpu->mmu->check_alignment && user)
		return NULL;
	return target_of(cpu, lin, kind, user).host;
}

/* What an operand of this size must be aligned to.		[SDM 3, "Alignment Check Exception (#AC)"]
 * 10: an 80-bit number; 14 to 108: x87 images, by the size of their parts. */
static unsigned alignment(unsigned size)
{
	switch (size) {
	case 2: case 4: case 8:
		return size;
	case 10:
		return 8;
	case 14: case 94:
		return 2;
	case 28: case 108:
		return 4;
	default:
		return 1;
	}
}

static void check_alignment(struct vcpu *cpu, lin_t lin, unsigned size, bool user)
{
	if (cpu->mmu->check_alignment && user && lin & (alignment(size) - 1))
		cpu_raise(cpu, EXC_AC, 0);
}

void mmu_probe(struct vcpu *cpu, lin_t lin, unsigned size, enum access kind, bool user)
{
	check_alignment(cpu, lin, size, user);
	target_of(cpu, lin, kind, user);
	lin_t last = lin + size - 1;
	if ((lin ^ last) >> PAGE_SHIFT)
		target_of(cpu, last & ~PAGE_MASK, kind, user);
}

static void read_part(struct vcpu *cpu, struct target t, uint8_t *buf, unsigned n)
{
	if (t.host)
		memcpy(buf, t.host, n);
	else
		phys_read(cpu->phys, t.gpa, buf, n);
}

static void write_part(struct vcpu *cpu, struct target t, const uint8_t *buf, unsigned n)
{
	if (t.host)
		memcpy(t.host, buf, n);
	else
		phys_write(cpu->phys, t.gpa, buf, n);
}

void mmu_read(struct vcpu *cpu, lin_t lin, void *buf, unsigned size, bool user)
{
	check_alignment(cpu, lin, size, user);
	unsigned n = MIN(size, PAGE_BYTES - (lin & PAGE_MASK));
	struct target t = target_of(cpu, lin, ACCESS_READ, user);
	if (likely(n == size)) {
		read_part(cpu, t, buf, n);
	} else {
		struct target t2 = target_of(cpu, lin + n, ACCESS_READ, user);
		read_part(cpu, t, buf, n);
		read_part(cpu, t2, (uint8_t *)buf + n, size - n);
	}
	if (unlikely(cpu->mmu->watching))
		note_breakpoints(cpu, lin, size, false);
}

void mmu_write(struct vcpu *cpu, lin_t lin, const void *buf, unsigned size, bool user)
{
	check_alignment(cpu, lin, size, user);
	unsigned n = MIN(size, PAGE_BYTES - (lin & PAGE_MASK));
	struct target t = target_of(cpu, lin, ACCESS_WRITE, user);
	if (likely(n == size)) {
		write_part(cpu, t, buf, n);
	} else {
		struct target t2 = target_of(cpu, lin + n, ACCESS_WRITE, user);
		write_part(cpu, t, buf, n);
		write_part(cpu, t2, (const uint8_t *)buf + n, size - n);
	}
	if (unlikely(cpu->mmu->watching))
		note_breakpoints(cpu, lin, size, true);
}

/* --- segments ---						[SDM 3, "Limit Checking", "Type Checking"] */

lin_t segment_check(struct vcpu *cpu, unsigned seg, uint32_t off, unsigned size, bool write)
{
	const struct segment *s = &cpu->seg[seg];
	uint64_t last = (uint64_t)off + size - 1;
	bool ok = s->attr & SEG_P;
	if (s->attr & SEG_CODE)
		ok &= !write && (s->attr & SEG_READABLE);
	else
		ok &= !write || (s->attr & SEG_WRITABLE);
	if (!(s->attr & SEG_CODE) && s->attr & SEG_EXPAND_DOWN)
		ok &= off > s->limit && last <= (s->attr & SEG_DB ? 0xFFFFFFFFu : 0xFFFFu);
	else if (s->limit != 0xFFFFFFFFu)	/* a 4 GiB segment wraps: "may or may not" fault, and no CPU we know does */
		ok &= last <= s->limit;
	if (!ok)
		cpu_raise(cpu, seg == SEG_SS ? EXC_SS : EXC_GP, 0);
	return s->base + off;
}

#define MMU_DEFINE_SLOW(bits)									\
uint##bits##_t lin_read##bits##_slow(struct vcpu *cpu, lin_t lin)				\
{												\
	uint##bits##_t v;									\
	mmu_read(cpu, lin, &v, sizeof(v), cpu->cpl == 3);					\
	return v;										\
}												\
uint##bits##_t mem_read##bits##_slow(struct vcpu *cpu, unsigned seg, uint32_t off)		\
{												\
	return lin_read##bits##_slow(cpu, segment_check(cpu, seg, off, bits / 8, false));	\
}												\
void lin_write##bits##_slow(struct vcpu *cpu, lin_t lin, uint##bits##_t v)			\
{												\
	mmu_write(cpu, lin, &v, sizeof(v), cpu->cpl == 3);					\
}												\
void mem_write##bits##_slow(struct vcpu *cpu, unsigned seg, uint32_t off, uint##bits##_t v)	\
{												\
	lin_write##bits##_slow(cpu, segment_check(cpu, seg, off, bits / 8, true), v);		\
}
MMU_DEFINE_SLOW(8)
MMU_DEFINE_SLOW(16)
MMU_DEFINE_SLOW(32)
MMU_DEFINE_SLOW(64)
