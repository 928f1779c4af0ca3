/*
 * High precision event timers.						[HPET 1.0a]
 *
 * Left out: messages on the front side bus (Tn_FSB_INT_DEL_CAP reads 0).
 */
#include "dev/hpet.h"

#include <string.h>

enum { GCAP_ID = 0x000, GEN_CONF = 0x010, GINTR_STA = 0x020, MAIN_CNT = 0x0F0, TIMERS = 0x100, TIMER_BYTES = 0x20 };
enum { ENABLE_CNF = BIT(0), LEG_RT_CNF = BIT(1) };
enum {
	TN_INT_TYPE = BIT(1), TN_INT_ENB = BIT(2), TN_TYPE = BIT(3), TN_PER_INT_CAP = BIT(4), TN_SIZE_CAP = BIT(5),
	TN_VAL_SET = BIT(6), TN_32MODE = BIT(8), TN_ROUTE_SHIFT = 9, TN_ROUTE = 31 << 9,
};
#define TN_WRITABLE	((uint64_t)(TN_INT_TYPE | TN_INT_ENB | TN_TYPE | TN_VAL_SET | TN_32MODE | TN_ROUTE))
/* Lines 20 to 23 of the I/O APIC: nobody else's. */
#define TN_CAPS		(0x00F0000000000000u | TN_PER_INT_CAP | TN_SIZE_CAP)

static bool running(const struct hpet *h)
{
	return h->config & ENABLE_CNF;
}

static uint64_t count(const struct hpet *h, ns_t now)
{
	return h->counter + (running(h) ? (now - h->counted_ns) / HPET_PERIOD_NS : 0);
}

static uint64_t size_mask(const struct hpet_timer *t)
{
	return t->config & TN_32MODE ? UINT32_MAX : UINT64_MAX;
}

/* Counts from `from` until the timer next matches; 1 at least. 0: a whole turn of 64 bits. */
static uint64_t distance(const struct hpet_timer *t, uint64_t from)
{
	uint64_t d = (t->comparator - from) & size_mask(t);

	return d == 0 && size_mask(t) == UINT32_MAX ? 1ull << 32 : d;
}

static unsigned line_of(const struct hpet *h, unsigned n)
{
	if (h->config & LEG_RT_CNF && n < 2)
		return n == 0 ? 0 : 8;
	return (h->timer[n].config & TN_ROUTE) >> TN_ROUTE_SHIFT;
}

static bool line_exists(const struct hpet *h, unsigned n)
{
	unsigned line = line_of(h, n);

	return (h->config & LEG_RT_CNF && n < 2) || (line >= 20 && line <= 23);
}

/* In level mode the line follows the status bit; what is edge-triggered has no status. */
static void settle(struct hpet *h, unsigned n)
{
	const struct hpet_timer *t = &h->timer[n];

	if (line_exists(h, n))
		h->set_irq(h->arg, line_of(h, n), (h->status >> n & 1) && (t->config & TN_INT_ENB) && running(h));
}

/* Before its line is another: an edge's is still up, and would be in the way of who else has that line. */
static void leave_line(struct hpet *h, unsigned n)
{
	if (line_exists(h, n))
		h->set_irq(h->arg, line_of(h, n), false);
}

static void fire(struct hpet *h, unsigned n)
{
	struct hpet_timer *t = &h->timer[n];

	if (!(t->config & TN_INT_ENB))
		return;
	if (t->config & TN_INT_TYPE) {
		h->status |= BIT(n);
		settle(h, n);
	} else if (line_exists(h, n)) {
		/* It stays up until the next: an 8259A forgets a request whose line falls before it is acknowledged. */
		h->set_irq(h->arg, line_of(h, n), false);
		h->set_irq(h->arg, line_of(h, n), true);
	}
}

void hpet_update(struct hpet *h, ns_t now)
{
	uint64_t cur = count(h, now), gone = cur - h->seen;

	for (unsigned n = 0; n < HPET_TIMERS && running(h); n++) {
		struct hpet_timer *t = &h->timer[n];
		uint64_t d = distance(t, h->seen);

		if (d == 0 || d > gone)
			continue;
		/* A periodic timer's comparator runs ahead; several periods in one look are one interrupt. */
		if (t->config & TN_TYPE && t->period != 0)
			t->comparator = (t->comparator + ((gone - d) / t->period + 1) * t->period) & size_mask(t);
		fire(h, n);
	}
	h->seen = cur;
}

ns_t hpet_next(const struct hpet *h, ns_t now)
{
	ns_t next = UINT64_MAX;

	for (unsigned n = 0; n < HPET_TIMERS && running(h); n++) {
		uint64_t at, ns;

		if (!(h->timer[n].config & TN_INT_ENB))
			continue;
		/* When the count that is looked for begins, since the counter was started. */
		uint64_t d = distance(&h->timer[n], h->seen);
		if (d == 0 || __builtin_add_overflow(h->seen - h->counter, d, &at) || __builtin_mul_overflow(at, HPET_PERIOD_NS, &ns) ||
		    __builtin_add_overflow(h->counted_ns, ns, &ns))
			continue;
		next = MIN(next, ns);
	}
	return next;
}

void hpet_reset(struct hpet *h, ns_t now)
{
	for (unsigned n = 0; n < HPET_TIMERS; n++) {
		h->status = 0;
		settle(h, n);
		h->timer[n] = (struct hpet_timer){ .config = TN_CAPS, .comparator = UINT64_MAX };
	}
	if (h->config & LEG_RT_CNF)
		h->set_legacy(h->arg, false);
	h->config = h->counter = h->seen = 0;
	h->counted_ns = now;
}

/* --- registers: 64 bits wide, read and written whole or in halves --- */

static uint64_t get(struct hpet *h, unsigned reg, ns_t now)
{
	if (reg >= TIMERS && reg < TIMERS + HPET_TIMERS * TIMER_BYTES) {
		const struct hpet_timer *t = &h->timer[(reg - TIMERS) / TIMER_BYTES];

		switch ((reg - TIMERS) % TIMER_BYTES) {
		case 0: return t->config;
		case 8: return t->comparator & size_mask(t);
		}
		return 0;
	}
	switch (reg) {
	case GCAP_ID: return HPET_BLOCK_ID | (uint64_t)HPET_PERIOD_NS * 1000000 << 32;
	case GEN_CONF: return h->config;
	case GINTR_STA: return h->status;
	case MAIN_CNT: return count(h, now);
	}
	return 0;
}

uint32_t hpet_read(struct hpet *h, unsigned offset, unsigned size, ns_t now)
{
	hpet_update(h, now);
	uint64_t val = get(h, offset & ~7u, now) >> 8 * (offset & 7);
	return (uint32_t)(size >= 4 ? val : val & (BIT(8 * size) - 1));
}

static void set_config(struct hpet *h, uint64_t val, ns_t now)
{
	bool reroute = (h->config ^ val) & LEG_RT_CNF;

	for (unsigned n = 0; n < 2 && reroute; n++)
		leave_line(h, n);
	h->counter = count(h, now);		/* starting, stopping or neither: it goes on from where it is */
	h->counted_ns = now;
	h->seen = h->counter;
	h->config = val & (ENABLE_CNF | LEG_RT_CNF);
	if (reroute)
		h->set_legacy(h->arg, h->config & LEG_RT_CNF);
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		settle(h, n);
}

/* [HPET 1.0a, "Timer N Comparator Register", "Periodic mode"] */
static void set_comparator(struct hpet_timer *t, uint64_t mask, uint64_t val)
{
	bool periodic = t->config & TN_TYPE;

	if (!periodic || t->config & TN_VAL_SET)
		t->comparator = (t->comparator & ~mask) | val;
	if (periodic)
		t->period = ((t->period & ~mask) | val) & size_mask(t);
	t->config &= ~(uint64_t)TN_VAL_SET;	/* by itself, after the first write */
}

static void set_timer(struct hpet *h, unsigned n, unsigned reg, uint64_t mask, uint64_t val)
{
	struct hpet_timer *t = &h->timer[n];

	if (reg == 8) {
		set_comparator(t, mask, val);
	} else if (reg == 0) {
		uint64_t now_writable = mask & TN_WRITABLE;

		if ((t->config ^ val) & now_writable & TN_ROUTE)
			leave_line(h, n);
		t->config = (t->config & ~now_writable) | (val & now_writable);
		if (t->config & TN_32MODE) {
			t->comparator &= UINT32_MAX;
			t->period &= UINT32_MAX;
		}
		settle(h, n);
	}
}

void hpet_write(struct hpet *h, unsigned offset, unsigned size, uint32_t val32, ns_t now)
{
	unsigned reg = offset & ~7u, shift = 8 * (offset & 7);
	uint64_t mask = (size >= 4 ? UINT32_MAX : BIT(8 * size) - 1ull) << shift, val = (uint64_t)val32 << shift & mask;

	hpet_update(h, now);
	if (reg >= TIMERS && reg < TIMERS + HPET_TIMERS * TIMER_BYTES) {
		set_timer(h, (reg - TIMERS) / TIMER_BYTES, (reg - TIMERS) % TIMER_BYTES, mask, val);
	} else if (reg == GEN_CONF) {
		set_config(h, (h->config & ~mask) | val, now);
	} else if (reg == GINTR_STA) {
		h->status &= ~val;		/* written 1 is cleared */
		for (unsigned n = 0; n < HPET_TIMERS; n++)
			settle(h, n);
	} else if (reg == MAIN_CNT && !running(h)) {
		h->counter = h->seen = (h->counter & ~mask) | val;
		h->counted_ns = now;
	}
}
