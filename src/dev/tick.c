/* See tick.h. */
#include "dev/tick.h"

enum {
	RUN = 32,			/* deadlines that make a beat */
	NEAR = 64,			/* off the beat is more than this part of the period */
	STEADY = 4,			/* deadlines vary so many times less than what the timer is set to, and than they are late */
};
#define REST_AFTER_NS	1000000000u
#define AWAKE_NS	250000u		/* more than a tick's work */

static void begin(struct beat *b, ns_t due)
{
	*b = (struct beat){ .due = due, .first = due, .apart = { UINT64_MAX, 0 }, .ahead = { UINT64_MAX, 0 }, .late = { UINT64_MAX, 0 } };
}

void beat_lost(struct beat *b)
{
	begin(b, UINT64_MAX);
}

static ns_t note(ns_t range[2], ns_t value)
{
	range[0] = MIN(range[0], value);
	range[1] = MAX(range[1], value);
	return range[1] - range[0];
}

void beat_came(struct beat *b, ns_t now)
{
	if (now >= b->due)
		note(b->late, now - b->due);
}

void beat_set(struct beat *b, ns_t now, ns_t due)
{
	/* not there yet: the guest has changed its mind */
	if (b->run + b->period == 0 || now < b->due) {
		begin(b, due);
		b->run = 1;
		return;
	}
	ns_t apart = due - b->due;

	b->due = due;
	if (b->period) {
		ns_t off = (apart + b->period / 2) % b->period;		/* half of it: on the beat */

		if (apart < b->period / 2 || off < b->period / 2 - b->period / NEAR || off > b->period / 2 + b->period / NEAR) {
			begin(b, due);
			b->run = 1;
		}
		return;
	}
	ns_t varies = note(b->apart, apart), sets = note(b->ahead, due - now);

	if (varies > apart / NEAR) {
		begin(b, due);
		b->run = 1;
	} else if (++b->run > RUN) {
		ns_t period = (due - b->first) / RUN, late = b->late[1] - MIN(b->late[0], b->late[1]);

		begin(b, due);
		b->run = 1;
		b->period = varies * STEADY < MIN(sets, late) ? period : 0;
	}
}

bool rest_is_long(const struct rest *r, ns_t now)
{
	return r->awake && now - r->woke > AWAKE_NS;
}

ns_t rest_slack(struct rest *r, ns_t now, ns_t slack, bool stirred)
{
	/* Woken for the monitor's own work only, it has not noticed. */
	if (stirred || rest_is_long(r, now))
		r->since = now;
	r->awake = false;
	return now - r->since >= REST_AFTER_NS ? slack : 0;
}

void rest_excuse(struct rest *r, ns_t now, ns_t cpu)
{
	r->woke = now - MIN(now - r->woke, cpu - r->woke_cpu);
}

void rest_woke(struct rest *r, ns_t now, ns_t cpu)
{
	r->awake = true;
	r->woke = now;
	r->woke_cpu = cpu;
}
