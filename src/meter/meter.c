/*
 * The stopwatch's slow half: see meter.h.
 */
#include "meter/meter.h"

#ifdef PLEX86_METERS

#include <string.h>

#include "host/clock.h"
#include "meter/device.h"

#define SEGMENT_PERIOD	128u		/* powers of two */
#define RING_SELDOM	40000u	/* ticks between changes of ring: some 16 us, beside which a look is nothing */
#define SPAN_PERIOD	64u
#define SPAN_LONG	10000u	/* ticks: some 4 us, beside which it can be measured each time */
#define SPAN_INTERRUPTED 100000u	/* ticks: some 40 us, which no such event takes by itself */

static const uint8_t spans[METER_SPANS] = { [SPAN_EMULATE] = METER_EMULATE, [SPAN_LOOKUP] = METER_SCAN, [SPAN_DEVICE] = METER_DEVICE,
	[SPAN_PAGE] = METER_EMULATE };

/* Periods are drawn anew each time, so that no loop of the guest's keeps step with them. Mean: about mean. */
static uint32_t draw(struct meters *m, uint32_t mean)
{
	m->random = m->random * 1664525u + 1013904223u;
	return 1 + (m->random >> 16 & (2 * mean - 1));
}

void meter_start(struct meters *m)
{
	m->random = 1;
	m->cause = METER_HOST;
	m->ring_left = 1;
	m->exact_left = METER_EXACT_RINGS;
	for (unsigned i = 0; i < METER_SPANS; i++)
		m->span[i] = (struct meter_sampler){ .left = 1, .period = 1, .to = spans[i] };
	m->look_ticks = UINT32_MAX;
	for (unsigned i = 0; i < 16; i++) {
		uint64_t first = __rdtsc(), ticks = __rdtsc() - first;
		m->look_ticks = (uint32_t)MIN(ticks, (uint64_t)m->look_ticks);
	}
	m->since = __rdtsc();
	m->start_ns = m->read_ns = host_clock_ns();
}

enum meter_cause meter_switch(struct meters *m, enum meter_cause cause)
{
	uint64_t now = __rdtsc(), passed = now - m->since;
	enum meter_cause was = (enum meter_cause)m->cause;

	/* Rings changed unseen; but when it took much longer than they do, it was the last one that did. */
	if (likely(m->unseen == 0) || passed > 4 * (m->unseen + 1) * ((m->segment_ticks[0] + m->segment_ticks[1]) / (m->segments + 1)))
		m->ticks[was] += passed;
	else
		m->mixed += passed;
	m->since = now;
	m->cause = (uint8_t)cause;
	m->unseen = 0;
	m->ring_left = 1;
	m->exact_left = METER_EXACT_RINGS;
	m->measuring = false;
	return was;
}

/* A change of ring that is looked at. */
void meter_ring_look(struct meters *m, unsigned was)
{
	uint64_t now = __rdtsc(), passed = now - m->since;

	m->since = now;
	if (m->unseen == 1) {		/* the only one since the last look */
		m->ticks[was] += passed;
		if (m->measuring) {
			m->segment_ticks[was == METER_RING3 ? 0 : 1] += passed;
			m->segments++;
		}
	} else {
		m->mixed += passed;
	}
	bool seldom = passed >= (uint64_t)RING_SELDOM * m->unseen;
	m->unseen = 0;
	if (m->exact_left > 0 || seldom) {
		m->exact_left -= m->exact_left > 0;
		m->measuring = false;
		m->ring_left = 1;
	} else {
		m->measuring = !m->measuring;
		m->ring_left = m->measuring ? 1 : 1 + draw(m, SEGMENT_PERIOD);
	}
}

void meter_span_begin(struct meters *m, struct meter_sampler *s)
{
	s->weight = s->period;
	s->period = s->left = s->usual > SPAN_LONG ? 1 : draw(m, SPAN_PERIOD);
	s->start = __rdtsc();
}

/*
 * When one takes far longer than they do, the host ran something else meanwhile: that happened once, and not as often
 * as this one stands for. The average follows at most twofold a time, so that events that do become long are believed.
 */
void meter_span_end(struct meters *m, struct meter_sampler *s)
{
	uint64_t ticks = __rdtsc() - MAX(s->start, m->since), *debt = &m->debt[s->to][m->cause];

	ticks = ticks > m->look_ticks ? ticks - m->look_ticks : 0;
	if (s->usual && ticks > SPAN_INTERRUPTED && ticks / 64 > s->usual)
		*debt += ticks + s->usual * (s->weight - 1);
	else
		*debt += ticks * s->weight;
	s->usual = s->usual ? (7 * s->usual + MIN(ticks, 9 * s->usual)) / 8 : ticks;
	s->start = 0;
}

/* Move what a sampler claims from one account to another, as far as it goes; the rest waits. */
static void settle(uint64_t *debt, uint64_t *to, uint64_t *from)
{
	uint64_t moved = MIN(*debt, *from);

	*from -= moved;
	*to += moved;
	*debt -= moved;
}

static void settle_all(struct meters *m, uint64_t *fresh)
{
	/* A device is reached from an instruction that is emulated, or from what has no look-up table entry: it comes last. */
	static const uint8_t order[] = { METER_SCAN, METER_EMULATE, METER_DEVICE };

	for (unsigned i = 0; i < ARRAY_LEN(order); i++) {
		for (unsigned from = 0; from < METER_CAUSES; from++) {
			uint64_t *debt = &m->debt[order[i]][from];

			if (from == order[i])
				*debt = 0;	/* it is there already */
			else if (order[i] == METER_DEVICE)
				settle(debt, &fresh[METER_DEVICE], &fresh[METER_EMULATE]);
			settle(debt, &fresh[order[i]], &fresh[from]);
		}
	}
}

/* The guest's time that was seen only as a whole. */
static void split_mixed(struct meters *m, uint64_t *fresh)
{
	double ring3 = (double)(m->segment_ticks[0] - m->read_segments[0]), ring0 = (double)(m->segment_ticks[1] - m->read_segments[1]);

	if (ring3 + ring0 == 0) {
		ring3 = (double)fresh[METER_RING3] + 1;
		ring0 = (double)fresh[METER_RING0] + 1;
	}
	uint64_t part = (uint64_t)((double)m->mixed * (ring3 / (ring3 + ring0)));
	part = MIN(part, m->mixed);
	fresh[METER_RING3] += part;
	fresh[METER_RING0] += m->mixed - part;
	m->mixed = 0;
	for (unsigned i = 0; i < 2; i++)
		m->read_segments[i] = m->segment_ticks[i];
}

uint64_t meter_times(struct meters *m)
{
	uint64_t fresh[METER_CAUSES];

	meter_switch(m, (enum meter_cause)m->cause);
	ns_t now = host_clock_ns();
	for (unsigned i = 0; i < METER_CAUSES; i++) {
		fresh[i] = m->ticks[i] - m->read_ticks[i];
		if ((int64_t)fresh[i] < 0)	/* a host whose counters differ from core to core */
			fresh[i] = 0;
		m->read_ticks[i] = m->ticks[i];
	}
	split_mixed(m, fresh);
	settle_all(m, fresh);

	uint64_t ticks = 0, passed = now - m->read_ns, given = 0;
	unsigned most = 0;
	for (unsigned i = 0; i < METER_CAUSES; i++) {
		ticks += fresh[i];
		if (fresh[i] > fresh[most])
			most = i;
	}
	for (unsigned i = 0; i < METER_CAUSES && ticks; i++) {
		uint64_t ns = (uint64_t)((double)fresh[i] * ((double)passed / (double)ticks));

		ns = MIN(ns, passed - given);
		m->ns[i] += ns;
		given += ns;
	}
	m->ns[most] += passed - given;	/* what rounding left */
	m->read_ns = now;
	return now - m->start_ns;
}

uint8_t meter_device_of(struct meter_devices *d, const char *name)
{
	unsigned i = 0;

	if (name == NULL)
		name = "other";
	while (i < d->n && strcmp(d->device[i].name, name) != 0)
		i++;
	if (i == METER_DEVICES_MAX)
		return METER_DEVICES_MAX - 1;
	if (i == d->n) {
		d->device[i].name = i + 1 < METER_DEVICES_MAX ? name : "other";
		d->n++;
	}
	return (uint8_t)i;
}

uint64_t meter_device_accesses(const struct meter_devices *d, const char *name)
{
	for (unsigned i = 0; i < d->n; i++)
		if (strcmp(d->device[i].name, name) == 0)
			return d->device[i].reads + d->device[i].writes;
	return 0;
}

#endif
