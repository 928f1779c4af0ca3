/*
 * Where the engines must not run on by themselves: breakpoints and watchpoints of a debugger, code that
 * is traced. vcpu.stops is NULL while there is none, and nothing here costs anything then.
 *
 * Code is held by linear address. The emulator gives up control at any instruction of a page that holds
 * such an address (the page has no entry in the code TLB, and block_find_slow() sees it); scanned code
 * ends every block before the address itself. Who runs the engines then carries out one instruction
 * with emulate_step(), which is never held, or stops (vm_debug.c).
 * Watched pages have no entries in the TLB, as under the guest's own DR0-DR7, from which these are apart.
 */
#ifndef PLEX86_CPU_STOPS_H
#define PLEX86_CPU_STOPS_H

#include "cpu/vcpu.h"

#define STOPS_BREAKS	1024
#define STOPS_WATCHES	64
#define STOPS_RANGES	8

enum { WATCH_WRITE = BIT(0), WATCH_READ = BIT(1) };

struct watch {
	lin_t first, last;
	unsigned kind;			/* WATCH_xxx */
};

struct stop_range {
	lin_t first, last;
};

enum stop_held { HELD_NO, HELD_AT, HELD_PAGE };

struct stops {
	/* what is asked for */
	lin_t brk[STOPS_BREAKS];	/* ascending */
	unsigned nbrk;
	struct watch watch[STOPS_WATCHES];
	unsigned nwatch;
	struct stop_range traced[STOPS_RANGES];
	unsigned ntraced;
	uint8_t page[TLB_PAGES / 8];	/* a bit for each linear page that holds any of the code */
	/* what has happened: ATTN_DEBUG is set with it */
	enum stop_held held;		/* the engine gave up control before an instruction */
	bool hit;			/* an instruction touched watched memory */
	struct watch hit_watch;
	lin_t hit_lin;
};

/* Is this instruction held? */
bool stops_at(const struct stops *s, lin_t lin);
bool stops_break(const struct stops *s, lin_t lin);	/* for a breakpoint */

static inline bool stops_page(const struct stops *s, lin_t lin)
{
	return s->page[lin >> (PAGE_SHIFT + 3)] >> (lin >> PAGE_SHIFT & 7) & 1;
}

/* The engine's side: give up control here if the instruction at CS:EIP is held. */
bool stops_hold(struct vcpu *cpu);

/* After brk, watch or traced were changed: brk is put in order, and translations that know better are
 * dropped. The caller flushes scanned code. s may be empty: then vcpu.stops becomes NULL. */
void stops_changed(struct vcpu *cpu, struct stops *s);

/* An access was made (mmu.c, when there are watchpoints). */
void stops_access(struct vcpu *cpu, lin_t lin, unsigned size, bool write);
bool stops_watch_page(const struct stops *s, lin_t lin);

#endif
