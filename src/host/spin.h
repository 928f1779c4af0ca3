/*
 * A guest that makes many PAUSEs waits: for time to pass, or for an interrupt. The host need not do that for it at full
 * speed. This decides when the thread may sleep meanwhile, and until when: about as long as the last few such loops
 * took, for a driver's delays come in rows; then for half as long as the guest has been waiting. So no delay gets much
 * longer, and a sleep that would not be worth what it costs the host is not begun. Where the guest's clock can be put
 * forward instead (vm_lead.h), it goes on in small steps behind where the loop was expected to end.
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
	bool measure;			/* the next loop: do not sleep in it */
	bool whole;			/* the last skip was to the end that was expected */
	uint8_t missed;			/* not 0: a loop not long ago was shorter than expected */
	ns_t until;			/* what the last look answered */
	bool woken;			/* ... and the sleep ended before that */
	bool interrupted;		/* so did one of this loop */
	ns_t end;			/* when this loop was expected to end */
	ns_t took[SPIN_LOOPS];		/* the loops before */
};

/*
 * The PAUSEs counted out are made. Until when to sleep, or 0: not at all. *pauses: how many to count out now. skips:
 * it is no sleep, but the guest's clock is put there.
 */
ns_t spin_look(struct spin *s, ns_t now, bool skips, int32_t *pauses);
void spin_slept(struct spin *s, ns_t now);	/* it did, and woke now */
/*
 * Who waits for the speaker's counter, and looks at it (port 61h) with a write to port 80h before each look, the old delay of
 * a microsecond, does not want to know the time to a fraction of one: what he waits for is known, and until then the
 * thread may sleep. (Who measures, looks without.)
 */
struct spin_poll {
	bool delayed;			/* the last access was that write */
	unsigned looks;			/* such looks with nothing else between */
};

/* An access to a port: does the guest wait so? True now and then as long as it does. */
bool spin_polls(struct spin_poll *p, uint16_t port, bool write);

static inline void spin_port(struct spin *s) { s->other = true; }

#endif
