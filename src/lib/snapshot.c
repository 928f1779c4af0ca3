/*
 * Snapshots: the processor and the memory of a machine, kept beside it.
 *
 * Only pages that were ever touched are looked at, and only pieces that differ are written back: so the code made
 * from a page that holds code and data survives a restore, and so do translations, unless paging is on.
 */
#include "lib/machine.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mmu/mmu.h"

#define PIECE 64

struct part {				/* a mapping's content */
	uint64_t gpa, bytes;
	uint32_t flags;
	uint32_t *page;			/* [pages] index into the snapshot's pages + 1; 0: all zeros */
};

struct plex86_snapshot {
	struct vcpu *cpu;		/* the architectural part is of use */
	bool intr_line;
	uint8_t vector;
	uint64_t tsc;			/* instructions, where the counter counts those */
	struct part *part;
	unsigned nparts;
	uint8_t (*data)[PAGE_BYTES];
	uint32_t ndata, room;
};

#define STATE_BYTES offsetof(struct vcpu, cpl)	/* the first group of struct vcpu */

static const uint8_t zeros[PAGE_BYTES];

/* The next stretch of pages of mapping p from *at on (bytes into it) that the file holds. False: none. */
static bool next_touched(const plex86 *m, const struct mapping *p, uint64_t *at, uint64_t *end)
{
	off_t from = lseek(m->phys.fd, (off_t)(p->fd_offset + *at), SEEK_DATA);
	if (from < 0 || (uint64_t)from >= p->fd_offset + p->bytes)
		return false;
	off_t to = lseek(m->phys.fd, from, SEEK_HOLE);
	*at = (uint64_t)from - p->fd_offset;
	*end = to < 0 ? p->bytes : MIN((uint64_t)to - p->fd_offset, p->bytes);
	*at &= ~(uint64_t)PAGE_MASK;
	*end = (*end + PAGE_MASK) & ~(uint64_t)PAGE_MASK;
	return true;
}

static bool keep_page(struct plex86_snapshot *s, uint32_t *slot, const uint8_t *page)
{
	if (memcmp(page, zeros, PAGE_BYTES) == 0)
		return true;
	if (s->ndata == s->room) {
		uint32_t room = s->room ? s->room * 2 : 64;
		void *data = realloc(s->data, (size_t)room * PAGE_BYTES);
		if (!data)
			return false;
		s->data = data;
		s->room = room;
	}
	memcpy(s->data[s->ndata++], page, PAGE_BYTES);
	*slot = s->ndata;
	return true;
}

static bool keep_mapping(const plex86 *m, struct plex86_snapshot *s, const struct mapping *p)
{
	struct part *part = &s->part[s->nparts];
	uint64_t at = 0, end;

	part->gpa = p->gpa;
	part->bytes = p->bytes;
	part->flags = p->flags;
	part->page = calloc(p->bytes >> PAGE_SHIFT, sizeof(*part->page));
	if (!part->page)
		return false;
	s->nparts++;
	for (; at < p->bytes && next_touched(m, p, &at, &end); at = end)
		for (uint64_t o = at; o < end; o += PAGE_BYTES)
			if (!keep_page(s, &part->page[o >> PAGE_SHIFT], m->phys.ram + p->fd_offset + o))
				return false;
	return true;
}

void plex86_snapshot_free(plex86_snapshot *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->nparts; i++)
		free(s->part[i].page);
	free(s->part);
	free(s->data);
	free(s->cpu);
	free(s);
}

static int closed(plex86 *m)
{
	if (m->running || m->inside != INSIDE_NOTHING)
		return lib_fail(m, PLEX86_E_BUSY, "snapshots are taken and restored between runs");
	return PLEX86_OK;
}

int plex86_snapshot_take(plex86 *m, plex86_snapshot **snapshot)
{
	int err = closed(m);

	*snapshot = NULL;
	if (err)
		return err;
	struct plex86_snapshot *s = calloc(1, sizeof(*s));
	bool ok = s && (s->part = calloc(MAX(m->nmappings, 1u), sizeof(*s->part))) && (s->cpu = aligned_alloc(64, sizeof(*s->cpu)));
	for (unsigned i = 0; i < m->nmappings && ok; i++)
		if (!m->mapping[i]->mmio)
			ok = keep_mapping(m, s, m->mapping[i]);
	if (!ok) {
		plex86_snapshot_free(s);
		return lib_fail(m, PLEX86_E_MEMORY, "no memory for the snapshot");
	}
	memcpy(s->cpu, &m->cpu, STATE_BYTES);
	s->intr_line = m->cpu.intr_line;
	s->vector = m->vector;
	s->tsc = m->cpu.icount - m->tsc_base;
	*snapshot = s;
	return PLEX86_OK;
}

/* --- back --- */

static void restore_page(plex86 *m, uint64_t fd_offset, const uint8_t *want)
{
	uint8_t *now = m->phys.ram + fd_offset;

	if (memcmp(now, want, PAGE_BYTES) == 0)
		return;
	for (unsigned o = 0; o < PAGE_BYTES; o += PIECE) {
		if (memcmp(now + o, want + o, PIECE) == 0)
			continue;
		memcpy(now + o, want + o, PIECE);
		lib_changed(m, fd_offset + o, PIECE);
	}
}

static void restore_part(plex86 *m, const struct plex86_snapshot *s, const struct part *part, const struct mapping *p)
{
	uint64_t at = 0, end;

	for (uint64_t i = 0; i < part->bytes >> PAGE_SHIFT; i++)
		if (part->page[i])
			restore_page(m, p->fd_offset + (i << PAGE_SHIFT), s->data[part->page[i] - 1]);
	for (; at < p->bytes && next_touched(m, p, &at, &end); at = end)
		for (uint64_t o = at; o < end; o += PAGE_BYTES)
			if (!part->page[o >> PAGE_SHIFT])
				restore_page(m, p->fd_offset + o, zeros);
}

static const struct mapping *same_mapping(const plex86 *m, const struct part *part)
{
	const struct mapping *p = lib_mapping(m, part->gpa, part->bytes);

	return p && p->gpa == part->gpa && p->bytes == part->bytes && p->flags == part->flags ? p : NULL;
}

static void restore_cpu(plex86 *m, const struct plex86_snapshot *s)
{
	struct vcpu *cpu = &m->cpu;
	const struct vcpu *old = s->cpu;
	bool paging = (cpu->cr0 | old->cr0) & CR0_PG || cpu->cr0 != old->cr0 || cpu->cr3 != old->cr3 || cpu->cr4 != old->cr4 ||
	    cpu->efer != old->efer || cpu->a20 != old->a20;
	bool debug = memcmp(cpu->dr, old->dr, sizeof(cpu->dr)) != 0;

	memcpy(cpu, old, STATE_BYTES);
	cpu_set_a20(cpu, cpu->a20);	/* memory's part in it */
	cpu->tf_armed = cpu->shadow_armed = cpu->rf_armed = cpu->event_ext = false;
	cpu->check_icount = cpu->icount;
	if (debug)
		mmu_debug_changed(cpu);
	if (paging)
		mmu_flush(cpu, true);
	cpu_update_mode(cpu);
	cpu_attend(cpu, ATTN_EVENT);
}

int plex86_snapshot_restore(plex86 *m, const plex86_snapshot *s)
{
	unsigned memory = 0;
	int err = closed(m);

	if (err)
		return err;
	for (unsigned i = 0; i < m->nmappings; i++)
		memory += !m->mapping[i]->mmio;
	for (unsigned i = 0; i < s->nparts; i++)
		if (memory != s->nparts || !same_mapping(m, &s->part[i]))
			return lib_fail(m, PLEX86_E_ARGUMENT, "the memory that is mapped is not what was mapped then");
	for (unsigned i = 0; i < s->nparts; i++)
		restore_part(m, s, &s->part[i], same_mapping(m, &s->part[i]));
	restore_cpu(m, s);
	m->cpu.intr_line = s->intr_line;
	m->vector = s->vector;
	m->tsc_base = m->cpu.icount - s->tsc;
	m->passed = m->shutdown = false;
	return PLEX86_OK;
}
