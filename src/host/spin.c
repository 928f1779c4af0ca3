#include "host/spin.h"

enum {
	FREE = 64, WATCHED = 4,		/* PAUSEs between looks */
	FREE_NS = 30000, WATCHED_NS = 2000,	/* with nothing else between them they take no longer */
	WORTH_NS = 40000,		/* a sleep costs the host some 15 us */
	LATE_NS = 15000,		/* sleepers are woken late */
	SHORT_NS = 4000,		/* to skip less is not worth a call */
	JUST_NS = 1000,
	LONGEST_NS = 500000,
	HANDLER_NS = 200000,		/* an interrupt takes the guest no longer */
};

/* What this loop takes at the least, if it is like the last ones. */
static ns_t expected(const struct spin *s)
{
	ns_t least = s->took[0];

	for (unsigned i = 1; i < SPIN_LOOPS; i++)
		least = MIN(least, s->took[i]);
	return least;
}

static void remember(struct spin *s, ns_t took)
{
	s->took[s->n++ % SPIN_LOOPS] = took;
}

/*
 * Of a loop that ended while we slept only what went before is known, and if we were woken too late for it, nothing new.
 * It may be an odd one: the next is measured, and if that is again not what was expected, less is expected for a while.
 * Short ones say nothing of long ones, nor does one that an interrupt lengthened.
 */
static void loop_ended(struct spin *s, ns_t last)
{
	ns_t took = last - s->begun;

	if (!s->interrupted && s->slept_at != 0 && last < s->end) {
		if (s->missed != 0)
			remember(s, s->slept_at - s->begun);
		s->measure = s->missed == 0;
		s->missed = SPIN_LOOPS;
	} else if (s->missed != 0) {
		s->missed--;
	}
	if (!s->interrupted && s->slept_at == 0 && took >= WORTH_NS) {
		for (unsigned i = 0; i < (s->measure ? SPIN_LOOPS : 1); i++)
			remember(s, took);
		s->measure = false;
	}
	s->slept_at = 0;
	s->watched = s->interrupted = false;
}

/*
 * A skip costs next to nothing: to where a loop like the last ones ends, and on from there in steps so small that none
 * gets much longer than it was meant to be.
 */
static ns_t skip_until(struct spin *s, ns_t now)
{
	ns_t elapsed = now - s->begun, goal = expected(s), until = 0;

	s->slept_at = 0;
	if (elapsed < SHORT_NS)
		return 0;
	s->whole = goal > elapsed + JUST_NS;
	if (s->whole)
		until = s->begun + goal - JUST_NS;
	else
		until = now + MAX(elapsed / (elapsed < goal + goal / 4 ? 64 : 8), JUST_NS);
	until = MIN(until, now + LONGEST_NS);
	s->slept_at = now;
	s->end = MAX(s->begun + goal, until) + JUST_NS;
	return until;
}

/* Sleeps are dear, and end late. */
static ns_t sleep_until(struct spin *s, ns_t now)
{
	ns_t elapsed = now - s->begun, goal = expected(s), until = 0;

	s->slept_at = 0;
	s->end = s->begun + goal;
	if (s->measure && elapsed < LONGEST_NS)
		return 0;
	if (goal > elapsed + WORTH_NS) {
		until = s->end - LATE_NS;
	} else if (elapsed > WORTH_NS && elapsed > goal + goal / 4) {
		until = now + elapsed / 2;
		s->end = until + LONGEST_NS;
	}
	until = MIN(until, now + LONGEST_NS);
	s->slept_at = until ? now : 0;
	return until;
}

/*
 * Of a loop that ended in a skip it is known that it took as long as before that. If it was to be skipped as a whole,
 * that says little: it may have been a trifle shorter than expected; if the next one is, too, nothing is expected.
 */
static void skipped_loop_ended(struct spin *s, ns_t last)
{
	ns_t took = (s->slept_at ? s->slept_at : last) - s->begun, goal = expected(s);
	bool missed = s->slept_at && s->whole;

	if (missed && s->missed == 0)
		took = goal - goal / 8;
	if (!s->interrupted && took >= SHORT_NS) {
		remember(s, took);
		s->missed = missed;
	}
	s->slept_at = 0;
	s->watched = s->interrupted = false;
}

ns_t spin_look(struct spin *s, ns_t now, bool skips, int32_t *pauses)
{
	ns_t last = s->last, since = now - last, until = 0;
	bool other = s->other;

	s->last = now;
	s->other = false;
	if (s->woken) {			/* by an interrupt: behind its handler the loop goes on, if it is not over */
		bool goes_on = since < HANDLER_NS && now < s->end;
		s->woken = false;
		s->interrupted = true;
		other = !goes_on;
		since = 0;
	}
	if (s->watched && (other || since > WATCHED_NS))
		(skips ? skipped_loop_ended : loop_ended)(s, last);
	else if (s->watched)
		until = (skips ? skip_until : sleep_until)(s, now);
	else if (since <= FREE_NS) {
		s->watched = true;
		s->begun = last;
	}
	*pauses = s->watched ? WATCHED : FREE;
	s->until = until;
	return until;
}

void spin_slept(struct spin *s, ns_t now)
{
	s->last = now;
	s->woken = now < s->until;
}

bool spin_polls(struct spin_poll *p, uint16_t port, bool write)
{
	enum { LOOKS = 64 };
	bool look = !write && port == 0x61 && p->delayed;

	if (!look && !(write && port == 0x80))
		p->looks = 0;
	p->delayed = write && port == 0x80;
	if (!look || ++p->looks < LOOKS)
		return false;
	p->looks = 0;
	return true;
}
