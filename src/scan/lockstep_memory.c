/*
 * Lock-step's view of guest memory: the pages that a block writes to, saved before, and the software TLB's entries
 * that it makes.							[docs/design/lockstep.md]
 */
#include <string.h>

#include "mmu/phys.h"
#include "scan/lockstep_internal.h"

static struct saved_page *pool_page(struct lockstep *l, uint64_t fd_page)
{
	uint8_t *slot = &l->slot[fd_page & (sizeof(l->slot) - 1)];
	struct saved_page *p = &l->pool[*slot];

	if (p->fd_page == fd_page)
		return p;
	for (unsigned i = 0; i < l->npages; i++)	/* another page has its slot since, and this one is in use */
		if (l->page[i]->fd_page == fd_page)
			return l->page[i];
	do
		p = &l->pool[l->next_victim++ % POOL_PAGES];
	while (p->used);
	*slot = (uint8_t)(p - l->pool);
	p->fd_page = fd_page;
	p->known = false;
	return p;
}

void lockstep_forget_pages(struct lockstep *l)
{
	for (unsigned i = 0; i < POOL_PAGES; i++)
		l->pool[i].known = false;
}

static void on_write(struct memory_watcher *w, uint64_t fd_page, bool table)
{
	struct lockstep *l = (struct lockstep *)w;
	struct saved_page *p = pool_page(l, fd_page);
	l->overflow |= table && (fd_page == l->b.fd_page[0] || fd_page == l->b.fd_page[1]);
	if (!l->watching) {
		p->known = false;
		return;
	}
	if (p->used) {
		p->table |= table;
		return;
	}
	if (l->npages == MAX_PAGES) {
		l->overflow = true;
		p->known = false;
		return;
	}
	l->page[l->npages++] = p;
	p->used = true;
	p->lo = p->hi = 0;
	p->ahead = false;
	p->table = table;
	if (!p->known)
		memcpy(p->before, l->s->cpu->phys->ram + (fd_page << PAGE_SHIFT), PAGE_BYTES);
	p->known = true;
}

static void on_entry(struct memory_watcher *w, bool user, uint32_t page)
{
	struct lockstep *l = (struct lockstep *)w;
	if (l->nentries < MAX_ENTRIES) {
		l->entry[l->nentries].user = user;
		l->entry[l->nentries].page = page;
	}
	l->nentries++;
}

void lockstep_clear_entries(struct lockstep *l, bool only_write)
{
	struct vcpu *cpu = l->s->cpu;
	if (l->nentries > MAX_ENTRIES)
		mmu_flush(cpu, true);
	else
		for (unsigned i = 0; i < l->nentries; i++)
			mmu_clear_entry(cpu, l->entry[i].user, l->entry[i].page, only_write);
	l->nentries = 0;
}

const uint8_t *lockstep_page_now(const struct lockstep *l, const struct saved_page *p)
{
	return l->s->cpu->phys->ram + (p->fd_page << PAGE_SHIFT);
}

void lockstep_changed_range(struct saved_page *p, const uint8_t *ram)
{
	enum { STEP = 256 };
	p->lo = 0;
	p->hi = PAGE_BYTES;
	while (p->lo < PAGE_BYTES && memcmp(p->before + p->lo, ram + p->lo, STEP) == 0)
		p->lo += STEP;
	while (p->hi > p->lo && memcmp(p->before + p->hi - STEP, ram + p->hi - STEP, STEP) == 0)
		p->hi -= STEP;
}

void lockstep_put_page(struct lockstep *l, uint64_t fd_page, const uint8_t *bytes, unsigned lo, unsigned hi)
{
	struct phys *phys = l->s->cpu->phys;
	uint8_t *ram = phys->ram + (fd_page << PAGE_SHIFT);
	if (!(phys->page_flags[fd_page] & (PAGE_CODE | PAGE_SCAN))) {
		memcpy(ram + lo, bytes + lo, hi - lo);
		return;
	}
	if (memcmp(ram + lo, bytes + lo, hi - lo) == 0)
		return;
	while (ram[lo] == bytes[lo])
		lo++;
	while (ram[hi - 1] == bytes[hi - 1])
		hi--;
	memcpy(ram + lo, bytes + lo, hi - lo);
	phys->code_written(phys->arg, (fd_page << PAGE_SHIFT) + lo, hi - lo);
}

void lockstep_watch(struct lockstep *l)
{
	l->watcher = (struct memory_watcher){ on_write, on_entry };
	l->s->cpu->watcher = &l->watcher;
}
