/*
 * The table of places where the engines give up control: see stops.h.
 */
#include "cpu/stops.h"

#include <stdlib.h>
#include <string.h>

#include "mmu/mmu.h"

bool stops_break(const struct stops *s, lin_t lin)
{
	unsigned lo = 0, hi = s->nbrk;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (s->brk[mid] < lin)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->nbrk && s->brk[lo] == lin;
}

bool stops_at(const struct stops *s, lin_t lin)
{
	if (!stops_page(s, lin))
		return false;
	for (unsigned i = 0; i < s->ntraced; i++)
		if (lin >= s->traced[i].first && lin <= s->traced[i].last)
			return true;
	return stops_break(s, lin);
}

bool stops_hold(struct vcpu *cpu)
{
	if (!stops_at(cpu->stops, cpu->seg[SEG_CS].base + cpu->eip))
		return false;
	cpu->stops->held = HELD_AT;
	cpu_attend(cpu, ATTN_DEBUG);
	return true;
}

static int by_address(const void *a, const void *b)
{
	lin_t x = *(const lin_t *)a, y = *(const lin_t *)b;

	return x < y ? -1 : x > y;
}

static void set_page(struct stops *s, uint32_t page)
{
	s->page[page >> 3] |= (uint8_t)(1u << (page & 7));
}

void stops_changed(struct vcpu *cpu, struct stops *s)
{
	qsort(s->brk, s->nbrk, sizeof(s->brk[0]), by_address);
	memset(s->page, 0, sizeof(s->page));
	for (unsigned i = 0; i < s->nbrk; i++)
		set_page(s, s->brk[i] >> PAGE_SHIFT);
	for (unsigned i = 0; i < s->ntraced; i++)
		for (uint32_t page = s->traced[i].first >> PAGE_SHIFT; page <= s->traced[i].last >> PAGE_SHIFT; page++)
			set_page(s, page);
	s->held = HELD_NO;
	s->hit = false;
	cpu->stops = s->nbrk || s->nwatch || s->ntraced ? s : NULL;
	mmu_debug_changed(cpu);
}

bool stops_watch_page(const struct stops *s, lin_t lin)
{
	for (unsigned i = 0; i < s->nwatch; i++)
		if (lin >> PAGE_SHIFT >= s->watch[i].first >> PAGE_SHIFT && lin >> PAGE_SHIFT <= s->watch[i].last >> PAGE_SHIFT)
			return true;
	return false;
}

/* The first of an instruction's accesses is the one that is told of. */
void stops_access(struct vcpu *cpu, lin_t lin, unsigned size, bool write)
{
	struct stops *s = cpu->stops;

	for (unsigned i = 0; i < s->nwatch && !s->hit; i++) {
		const struct watch *w = &s->watch[i];

		if (!(w->kind & (write ? WATCH_WRITE : WATCH_READ)))
			continue;
		if (lin - w->first > w->last - w->first && w->first - lin >= size)
			continue;
		s->hit = true;
		s->hit_watch = *w;
		s->hit_lin = lin;
		cpu_attend(cpu, ATTN_DEBUG);
	}
}
