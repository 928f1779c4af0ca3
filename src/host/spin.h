/*
 * A guest that makes many PAUSEs waits: for time to pass, or for an interrupt. The host need not do that for it at full
 * speed. This decides when the thread may sleep meanwhile, and until when: about as long as the last few such loops
 * took, for a driver's delays come in rows; then for half as long as the guest has been waiting. So no delay gets much
 * longer, and a sleep that would not be worth what it costs the host is not begun.
 *
 * Whether the guest did anything else between two looks is told by the time between them, and by its accesses to ports.
 */
#ifndef PLEX86_HOST_SPIN_H
#define PLEX86_HOST_SPIN_H

#include <stdbool.h>

#include "util/types.h"

#define SPIN_LOOPS 4u

struct spin {
	bool watched;			/* in a loop: a look every few PAUSEs */
	bool other;			/* a port was accessed since the last look */
	unsigned n;
	ns_t begun, last;		/* this loop; the last look, or the end of the sleep after it */
	ns_t slept_at;			/* the last sleep began then, and no PAUSE was seen since; else 0 */
	ns_t end;			/* when this loop was expected to end */
	ns_t took[SPIN_LOOPS];		/* the loops before */
};

/* The PAUSEs counted out are made. Until when to sleep, or 0: not at all. *pauses: how many to count out now. */
ns_t spin_look(struct spin *s, ns_t now, int32_t *pauses);
void spin_slept(struct spin *s, ns_t now);	/* it did, and woke now */
static inline void spin_port(struct spin *s) { s->other = true; }

#endif
