/*
 * Ticks, and how late a guest that rests may have them.
 *
 * A kernel without a tickless idle loop wakes a few hundred times a second to find that there is nothing to do. Each
 * costs the host a sleep. A guest that has done nothing else for a while is let sleep on past some of its ticks, and
 * gets them afterwards: all of them from a timer that repeats. Three questions: does the timer repeat (the chip
 * knows; of one-shots that the guest sets anew each time, struct beat finds out), does the guest rest (struct rest),
 * how late may the next be (tick_late()).
 */
#ifndef PLEX86_DEV_TICK_H
#define PLEX86_DEV_TICK_H

#include "util/types.h"

#define TICKS_LATE_MOST	8

/*
 * Is a one-shot timer set to the beat of a clock: to deadlines that lie a period apart however late the one before was
 * seen to? A guest that keeps such a beat finds out by itself how many periods have passed. One that sets the timer to
 * a time from now, or from when it was woken, would lose what it is late, and is not taken for one: its deadlines differ by
 * as much as it is late, and what it sets the timer to does not, or only as much as it takes to do so.
 */
struct beat {
	ns_t due, first;		/* the last deadline; that of the run's beginning */
	ns_t apart[2], ahead[2], late[2];	/* least and most in the run: between deadlines, from now to them, until they were seen to */
	unsigned run;			/* deadlines */
	ns_t period;			/* 0: no beat */
};

void beat_set(struct beat *b, ns_t now, ns_t due);	/* the timer is set */
void beat_came(struct beat *b, ns_t now);		/* the deadline is seen to */
void beat_lost(struct beat *b);				/* it is stopped, or no one-shot any more */

/*
 * Does the guest rest: was everything for a second ticks and nothing else, each done with at once?
 */
struct rest {
	ns_t since;
	bool awake;			/* it has been since it last halted */
	ns_t woke, woke_cpu;
};

/* The guest has halted. stirred: something other than ticks happened since the last call. How late they may be; 0 or slack. */
ns_t rest_slack(struct rest *r, ns_t now, ns_t slack, bool stirred);
/* It takes the first interrupt since. cpu: CPU time so far. */
void rest_woke(struct rest *r, ns_t now, ns_t cpu);
/* Before rest_slack(): has it been awake for so long that it matters how much of that the host ran something else? */
bool rest_is_long(const struct rest *r, ns_t now);
void rest_excuse(struct rest *r, ns_t now, ns_t cpu);

/* When to wake for a tick at next, of a timer with this period (0: it does not repeat), if it may be slack late: at a tick. */
static inline ns_t tick_late(ns_t next, ns_t period, ns_t slack)
{
	if (period == 0 || slack < period || next == UINT64_MAX)
		return next;
	return next + MIN(slack / period, (ns_t)TICKS_LATE_MOST) * period;
}

#endif
