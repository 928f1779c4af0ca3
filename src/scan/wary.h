/*
 * Which memory operands do not go through the window although their block does.	[docs/design/memory.md]
 *
 * A direct access that cannot be done (a device, a store beside code) costs a host signal each
 * time: an instruction that failed like this twice is scanned again with checked accesses, for good.
 * One whose accesses fault all the time, in the guest (the first touch of fresh memory) or in the window (pages that
 * are used once between two mmaps of the guest), is better off checked too, but only while that lasts: it goes back
 * when the vCPU's ticks pass without a fault of it.
 *
 * An instruction is known by its guest-physical address. All functions: the vCPU's thread only.
 */
#ifndef PLEX86_SCAN_WARY_H
#define PLEX86_SCAN_WARY_H

#include "scan/internal.h"

struct wary;

int wary_init(struct scanner *s);		/* 0 or -ENOMEM */
void wary_free(struct scanner *s);

bool wary_checked(const struct scanner *s, uint32_t gpa);	/* to be scanned with checked accesses? */

/* In the fault handler, about instruction i of b, whose direct access... */
void wary_failed(struct scanner *s, struct block *b, unsigned i);	/* ...is not for the window */
/* ...is the guest's own page fault, or brought a page into the user window. True: checked from now on, leave the block. */
bool wary_faulted(struct scanner *s, const struct block *b, unsigned i);

void wary_missed(struct scanner *s, uint32_t gpa);	/* a checked access was not done by the fast path */
static inline bool wary_waits(const struct scanner *s) { return s->wary_waiting; }	/* for ticks: some instruction may go back to direct */
/* User code used up a slice of CPU time; not in the handler. True: some instruction went back to direct. */
bool wary_tick(struct scanner *s);

#endif
