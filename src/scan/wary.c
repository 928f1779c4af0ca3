/*
 * Instructions whose memory is checked: see wary.h.
 */
#include "scan/wary.h"

#include <errno.h>
#include <stdlib.h>
#include <x86intrin.h>

#include "mmu/phys.h"

#define SITES		65536u
#define FAILURES	2		/* that make an instruction checked */
#define FAULTERS	256u
#define FAULTS		16		/* in quick succession that do the same, for a while */
#define QUICK		300000		/* TSC cycles from one to the next: a fault costs some 30,000 */
#define QUIET_MOST	64		/* ticks without a fault before it goes back, after many returns */

struct faulter {
	uint32_t gpa;
	uint16_t faults;
	uint8_t quiet, quiet_wanted;	/* ticks */
	bool checked, seen;		/* seen: since the last tick */
	uint64_t when;			/* TSC at its last fault */
};

struct wary {
	uint8_t failures[SITES];	/* by hash of the address: a collision costs speed only */
	struct faulter faulter[FAULTERS];
};

static unsigned slot_of(uint32_t gpa) { return (gpa ^ gpa >> 16) & (SITES - 1); }
static struct faulter *faulter_of(struct scanner *s, uint32_t gpa)
{
	return &s->wary->faulter[(gpa ^ gpa >> 8 ^ gpa >> 16) & (FAULTERS - 1)];
}
static uint32_t address(const struct block *b, unsigned i) { return b->gpa + b->rec[i].guest_off; }

int wary_init(struct scanner *s)
{
	s->wary = calloc(1, sizeof(*s->wary));
	return s->wary ? 0 : -ENOMEM;
}

void wary_free(struct scanner *s)
{
	free(s->wary);
}

bool wary_checked(const struct scanner *s, uint32_t gpa)
{
	return s->wary->failures[slot_of(gpa)] >= FAILURES;
}

void wary_failed(struct scanner *s, struct block *b, unsigned i)
{
	uint8_t *count = &s->wary->failures[slot_of(address(b, i))];
	if (*count < FAILURES)
		++*count;
	if (*count == FAILURES)		/* several blocks may hold the instruction: each goes when it fails */
		cache_drop(s, b);
}

/* Drop what was scanned from the instruction, so that it is scanned again the other way. */
static void rescan(struct scanner *s, uint32_t gpa)
{
	const uint8_t *host = phys_host(s->cpu->phys, gpa, false);
	if (host)
		scan_drop_code(s->cpu, (uint64_t)(host - s->cpu->phys->ram), 1);
}

static void back_to_direct(struct scanner *s, struct faulter *f)
{
	f->checked = false;
	f->faults = 0;
	s->wary_waiting--;
	s->wary->failures[slot_of(f->gpa)] = 0;
	rescan(s, f->gpa);
}

bool wary_faulted(struct scanner *s, const struct block *b, unsigned i)
{
	uint32_t gpa = address(b, i);
	struct faulter *f = faulter_of(s, gpa);
	uint64_t now = __rdtsc();
	if (f->gpa != gpa || !f->quiet_wanted) {
		if (f->checked)		/* the place is taken by one that needs it */
			return false;
		*f = (struct faulter){ .gpa = gpa, .quiet_wanted = 1 };
	}
	f->faults = now - f->when < QUICK ? f->faults + 1 : 1;
	f->when = now;
	if (f->faults < FAULTS)
		return false;
	if (!f->checked) {
		f->checked = true;
		s->wary_waiting++;
		f->quiet_wanted = (uint8_t)MIN(f->quiet_wanted * 2, QUIET_MOST);
	}
	f->quiet = 0;
	f->seen = true;
	s->wary->failures[slot_of(gpa)] = FAILURES;
	rescan(s, gpa);			/* also where it begins a block: the guest comes back to it from its handler */
	return true;
}

void wary_missed(struct scanner *s, uint32_t gpa)
{
	struct faulter *f = faulter_of(s, gpa);
	if (f->gpa == gpa)
		f->seen = true;
}

bool wary_tick(struct scanner *s)
{
	bool any = false;
	for (unsigned i = 0; i < FAULTERS && s->wary_waiting; i++) {
		struct faulter *f = &s->wary->faulter[i];
		if (!f->checked)
			continue;
		if (f->seen) {
			f->quiet = 0;
		} else if (++f->quiet >= f->quiet_wanted) {
			back_to_direct(s, f);
			any = true;
		}
		f->seen = false;
	}
	return any;
}
