/*
 * The time-stamp counter as a straight line over the host's own, so that scanned code can read it without a call.
 *
 * The line is drawn anew each time it has been followed for TSC_LINE_CYCLES, from what the board says the counter is
 * and from the slope seen so far. What was read before is never taken back: where the line ran ahead of the board's
 * clock, the next one is flatter. Off (wanted false), or where the host's counter is no measure: each reading asks the board.
 */
#ifndef PLEX86_CPU_TSC_H
#define PLEX86_CPU_TSC_H

#include "util/types.h"

#define TSC_LINE_CYCLES	(1ull << 22)	/* of the host: one to two milliseconds */

struct tsc_line {
	bool wanted;
	/* (h - host) * mult / 2^32 + guest, while h - host < limit; 0: there is no line */
	uint64_t host, guest, mult;
	uint64_t limit[2];		/* [0] at CPL 0, [1] elsewhere */
	/* how it is drawn */
	uint64_t begun_host, begun_guest;	/* the slope is measured from here; begun_host 0: from nowhere yet */
	uint64_t true_guest;		/* what the board said at host */
	uint64_t slope;			/* / 2^32; 0: not known */
};

/* The board's counter stands at guest where the host's stands at host. What the guest reads now, and on from there. */
uint64_t tsc_line_draw(struct tsc_line *l, uint64_t host, uint64_t guest, bool user);

/* The board's clock has been put forward by so many ticks; it stood still for so many cycles of the host. */
void tsc_line_skip(struct tsc_line *l, uint64_t ticks);
void tsc_line_stand(struct tsc_line *l, uint64_t cycles);

#endif
