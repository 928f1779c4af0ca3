/*
 * Between lock-step's files: lockstep.c (the passes), lockstep_memory.c and lockstep_compare.c.
 */
#ifndef PLEX86_SCAN_LOCKSTEP_INTERNAL_H
#define PLEX86_SCAN_LOCKSTEP_INTERNAL_H

#include "scan/internal.h"

#define MAX_PAGES 64
#define MAX_ENTRIES 512
#define POOL_PAGES 256			/* more than MAX_PAGES: most blocks write where the last ones did */

struct saved_page {
	uint64_t fd_page;
	bool known;			/* before[] is what the page holds now */
	bool used;			/* in page[]: by this block */
	unsigned lo, hi;		/* where the emulator's pass changed it */
	bool table;			/* a walk set A or D in it */
	bool ahead;			/* the passes' A and D bits differ: both's stay */
	uint8_t before[PAGE_BYTES], emulated[PAGE_BYTES], scanned[PAGE_BYTES];
};

struct lockstep {
	struct memory_watcher watcher;
	struct scanner *s;
	/* the block being compared; copies, for the block may be dropped meanwhile */
	struct {
		uint32_t eip[BLOCK_MAX_INSNS + 1];
		uint16_t flags_live[BLOCK_MAX_INSNS + 1];
		bool shadow[BLOCK_MAX_INSNS + 1], mmx[BLOCK_MAX_INSNS + 1], xmm[BLOCK_MAX_INSNS + 1], rep[BLOCK_MAX_INSNS + 1];
		bool call[BLOCK_MAX_INSNS + 1];		/* leaves the block even if it goes to the next instruction */
		uint64_t fd_page[2];			/* it lies in */
		unsigned n, stop;			/* stop: instructions before the first that is done once */
		uint32_t mode;
	} b;
	FILE *report;
	struct vcpu before, emulated, scanned;
	bool watching;
	bool overflow;			/* too many pages, or the block's own code: not compared */
	struct saved_page *page[MAX_PAGES];	/* written by this block */
	unsigned npages;
	struct saved_page pool[POOL_PAGES];
	unsigned next_victim;
	uint8_t slot[1024];			/* by the low bits of fd_page: where in the pool it may be */
	struct { bool user; uint32_t page; } entry[MAX_ENTRIES];	/* TLB entries made */
	unsigned nentries;
	uint64_t blocks, insns, once, alone, again, differences;
};

/* --- lockstep_memory.c --- */

void lockstep_watch(struct lockstep *l);	/* every write of either pass, from here on */
void lockstep_forget_pages(struct lockstep *l);	/* what is saved no longer counts: somebody else may have written */
void lockstep_clear_entries(struct lockstep *l, bool only_write);
const uint8_t *lockstep_page_now(const struct lockstep *l, const struct saved_page *p);
void lockstep_changed_range(struct saved_page *p, const uint8_t *ram);	/* sets lo and hi: what may differ from before[], in steps */

/* Make bytes [lo, hi) of a page so; code that was made from what changes goes. */
void lockstep_put_page(struct lockstep *l, uint64_t fd_page, const uint8_t *bytes, unsigned lo, unsigned hi);

/* --- lockstep_compare.c --- */

/* After both passes; begun: scanner.lock_at of scanned code's. What differs, or NULL. */
const char *lockstep_compare(struct lockstep *l, int begun, unsigned emulated);

/* To the report, and the machine's stop text. State and memory are those before both passes afterwards. */
void lockstep_report(struct lockstep *l, const char *what, int begun, unsigned emulated);

/* --- lockstep.c --- */

/* State and memory as before both passes (whole: pages that the emulator's has not changed, too); code caches follow the bytes. */
void lockstep_undo(struct lockstep *l, bool whole);

#endif
