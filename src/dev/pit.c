/*
 * Interval timer: the 8254 at ports 40h-43h, and port 61h, of a PC/AT.		[82C54], [AT-TRM]
 *
 * The count is never stepped: it is computed from the tick at which it was loaded, so an idle
 * guest costs nothing and a test can put the clock where it wants. Only a load of the counting
 * element changes that tick; at most one load is ever scheduled ahead (load_at).
 *
 * Left out: the invalid count 1 of modes 2 and 3 gives a constant output; ports 61h's parity and
 * channel check inputs are never active. The refresh toggle runs at its nominal 15 us whatever
 * counter 1 is programmed to, as chip sets with their own refresh timer do.
 */
#include "dev/pit.h"

#include <string.h>

#define NEVER		UINT64_MAX
#define REFRESH_TICKS	18		/* 15.085 us */

enum { PORT61_GATE2 = 0x01, PORT61_SPEAKER = 0x02, PORT61_REFRESH = 0x10, PORT61_OUT2 = 0x20 };

static uint64_t pit_tick(ns_t now)
{
	return (uint64_t)((unsigned __int128)now * PIT_HZ / 1000000000u);
}

void pit_reset(struct pit *pit)
{
	uint64_t synced = pit->synced;

	memset(pit, 0, sizeof(*pit));
	pit->synced = synced;
	for (unsigned i = 0; i < 3; i++) {
		pit->counter[i] = (struct pit_counter){
			.rw = 3, .gate = i != 2, .ce_count = 65536, .load_at = NEVER,
			.mode = 2, .out = true,
		};
	}
}

/* Ticks counted since the load. */
static uint64_t counted(const struct pit_counter *c, uint64_t t)
{
	if (c->held)
		return c->ce_held;
	return t > c->ce_start ? t - c->ce_start : 0;
}

/* Mode 3: place in the period; the high half comes first. Odd counts: high is one tick longer. */
static uint64_t square_pos(const struct pit_counter *c, uint64_t n)
{
	return (n + (c->half_low ? (c->ce_count + 1) / 2 : 0)) % c->ce_count;
}

/* The OUT pin at tick t, if nothing is loaded up to then.	[82C54 "Mode Definitions"] */
static bool out_at(const struct pit_counter *c, uint64_t t)
{
	uint64_t n = counted(c, t);

	switch (c->mode) {
	case 0: return c->loaded && !c->cr_full && !c->write_msb && n >= c->ce_count;
	case 1: return !c->loaded || n >= c->ce_count;
	case 2: return !c->loaded || c->held || c->ce_count == 1 || n % c->ce_count != c->ce_count - 1;
	case 3: return !c->loaded || c->held || square_pos(c, n) < (c->ce_count + 1) / 2;
	default: return !c->loaded || n != c->ce_count;
	}
}

/* Ticks of the running count at which OUT rises: first such n, and their distance (0: only once). */
static bool rises(const struct pit_counter *c, uint64_t *first, uint64_t *step)
{
	if (!c->loaded || c->held)
		return false;
	*step = 0;
	switch (c->mode) {
	case 0:
		*first = c->ce_count;
		return !c->cr_full && !c->write_msb;
	case 1:
		*first = c->ce_count;
		return true;
	case 2:
	case 3:
		*first = c->mode == 3 && c->half_low ? c->ce_count / 2 : c->ce_count;
		*step = c->ce_count;
		return c->ce_count > 1;
	default:
		*first = c->ce_count + 1;
		return true;
	}
}

/* Rises in (from, to], if nothing is loaded there. */
static uint64_t rises_between(const struct pit_counter *c, uint64_t from, uint64_t to)
{
	uint64_t first, step;

	if (to <= from || !rises(c, &first, &step))
		return 0;
	uint64_t a = c->ce_start + first;
	if (to < a)
		return 0;
	if (step == 0)
		return from < a;
	return (to - a) / step + 1 - (from < a ? 0 : (from - a) / step + 1);
}

static uint32_t bcd_to_binary(uint16_t v)
{
	return (v >> 12) * 1000u + (v >> 8 & 15) * 100u + (v >> 4 & 15) * 10u + (v & 15);
}

static uint16_t binary_to_bcd(uint32_t v)
{
	return (uint16_t)((v / 1000 % 10) << 12 | (v / 100 % 10) << 8 | (v / 10 % 10) << 4 | v % 10);
}

/* CR goes to the counting element at tick t. */
static void counter_load(struct pit_counter *c, uint64_t t)
{
	uint32_t count = c->bcd ? bcd_to_binary(c->cr) : c->cr;
	bool was_high = out_at(c, t - 1);

	/* A new square-wave count that did not come by a trigger starts the other half. */
	c->half_low = c->mode == 3 && c->loaded && !c->triggered && was_high;
	c->triggered = false;
	c->ce_count = count ? count : c->bcd ? 10000 : 65536;
	c->ce_start = t;
	c->ce_held = 0;
	c->held = !c->gate && c->mode != 1 && c->mode != 5;
	c->loaded = true;
	c->cr_full = false;
	c->load_at = NEVER;
}

/* Bring a counter from tick `from` to tick t; returns how often OUT rose. */
static uint64_t counter_sync(struct pit_counter *c, uint64_t from, uint64_t t)
{
	uint64_t edges = 0;

	while (c->load_at <= t) {
		uint64_t load = c->load_at;
		edges += rises_between(c, from, load - 1);
		bool before = load - 1 > from ? out_at(c, load - 1) : c->out;
		counter_load(c, load);
		c->out = out_at(c, load);
		edges += !before && c->out;
		from = load;
	}
	edges += rises_between(c, from, t);
	c->out = out_at(c, t);
	return edges;
}

static void pit_sync(struct pit *pit, uint64_t t)
{
	if (t <= pit->synced)
		return;
	for (unsigned i = 0; i < 3; i++) {
		uint64_t edges = counter_sync(&pit->counter[i], pit->synced, t);
		if (i == 0)
			pit->irq0_edges += (uint32_t)MIN(edges, 1u << 20);
	}
	pit->synced = t;
}

/* A register or gate of counter n changed at tick t: OUT may follow at once. */
static void pit_settle(struct pit *pit, unsigned n, uint64_t t)
{
	struct pit_counter *c = &pit->counter[n];
	bool out = out_at(c, t);

	if (n == 0 && out && !c->out)
		pit->irq0_edges++;
	c->out = out;
}

void pit_update(struct pit *pit, ns_t now)
{
	pit_sync(pit, pit_tick(now));
}

bool pit_out(struct pit *pit, unsigned n, ns_t now)
{
	pit_update(pit, now);
	return pit->counter[n].out;
}

uint32_t pit_take_edges(struct pit *pit)
{
	uint32_t n = pit->irq0_edges;

	pit->irq0_edges = 0;
	return n;
}

ns_t pit_next(const struct pit *pit, ns_t now)
{
	const struct pit_counter *c = &pit->counter[0];
	/* From the last update on, not from now: what lies between has not been seen by anybody yet. */
	uint64_t t = pit->synced, next = c->load_at, first, step;

	if (rises(c, &first, &step)) {
		uint64_t a = c->ce_start + first;
		if (a <= t && step != 0)
			a += ((t - a) / step + 1) * step;
		if (a > t)
			next = MIN(next, a);
	}
	return next == NEVER ? UINT64_MAX : PIT_TICKS(next);
}

ns_t pit_count_2_ends(const struct pit *pit)
{
	const struct pit_counter *c = &pit->counter[2];
	uint64_t first, step;

	if (c->mode != 0 || c->load_at != NEVER || !rises(c, &first, &step) || c->ce_start + first <= pit->synced)
		return UINT64_MAX;
	return PIT_TICKS(c->ce_start + first);
}

ns_t pit_period(const struct pit *pit)
{
	const struct pit_counter *c = &pit->counter[0];
	uint64_t first, step;

	return c->load_at == NEVER && rises(c, &first, &step) ? PIT_TICKS(step) : 0;
}

/* The gate input.						[82C54 "Gate Pin Operations Summary"] */
void pit_set_gate(struct pit *pit, unsigned n, bool level, ns_t now)
{
	struct pit_counter *c = &pit->counter[n];
	uint64_t t = pit_tick(now);

	pit_sync(pit, t);
	t = pit->synced;
	if (level == c->gate)
		return;
	c->gate = level;
	switch (c->mode) {
	case 0: case 4:				/* the level enables counting */
		if (!level) {
			c->ce_held = (uint32_t)MIN(counted(c, t), UINT32_MAX);
			c->held = true;
		} else {
			c->held = false;
			c->ce_start = t - c->ce_held;
		}
		break;
	case 2: case 3:				/* a rise starts the count anew; low stops it with OUT high */
		if (!level) {
			c->ce_held = (uint32_t)(counted(c, t) % c->ce_count);
			c->held = true;
			if (c->loaded)
				c->load_at = NEVER;
			break;
		}
		/* fall through */
	default:
		if (level && c->programmed && (c->loaded || c->cr_full)) {
			c->load_at = t + 1;
			c->triggered = true;
		}
	}
	pit_settle(pit, n, t);
}

/* What the counting element shows at tick t. */
static uint16_t counter_value(const struct pit_counter *c, uint64_t t)
{
	uint64_t n = counted(c, t);
	uint32_t value, modulus = c->bcd ? 10000 : 65536;

	if (c->mode == 2) {
		value = c->ce_count - (uint32_t)(n % c->ce_count);
	} else if (c->mode == 3) {	/* decremented by two, once through for each half */
		uint32_t pos = (uint32_t)square_pos(c, n), high = (c->ce_count + 1) / 2;
		value = (c->ce_count & ~1u) - 2 * (pos < high ? pos : pos - high);
	} else {
		value = (uint32_t)((c->ce_count + modulus - n % modulus) % modulus);
	}
	return c->bcd ? binary_to_bcd(value % modulus) : (uint16_t)value;
}

static void counter_latch_count(struct pit_counter *c, uint64_t t)
{
	if (c->count_latched)		/* a second latch is ignored until the first is read */
		return;
	c->latch = counter_value(c, t);
	c->count_latched = true;
}

static void counter_latch_status(struct pit_counter *c)
{
	if (c->status_latched)
		return;
	bool null_count = c->cr_full || !c->loaded;
	c->status = (uint8_t)(c->out << 7 | null_count << 6 | c->rw << 4 | c->mode << 1 | c->bcd);
	c->status_latched = true;
}

/* Port 43h, write: SC(7:6) RW(5:4) M(3:1) BCD(0).		[82C54 "Control Word Format"] */
static void pit_write_control(struct pit *pit, uint8_t val, uint64_t t)
{
	unsigned sc = val >> 6, rw = (val >> 4) & 3, mode = (val >> 1) & 7;

	if (sc == 3) {			/* read-back: COUNT#(5) STATUS#(4) counters(3:1) */
		for (unsigned i = 0; i < 3; i++) {
			if (!(val & BIT(i + 1)))
				continue;
			if (!(val & 0x20))
				counter_latch_count(&pit->counter[i], t);
			if (!(val & 0x10))
				counter_latch_status(&pit->counter[i]);
		}
		return;
	}
	struct pit_counter *c = &pit->counter[sc];
	if (rw == 0) {
		counter_latch_count(c, t);
		return;
	}
	if (c->loaded && !c->held) {	/* the element stands still until a count is loaded */
		c->ce_held = (uint32_t)(counted(c, t) % 65536);
		c->held = true;
	}
	c->rw = (uint8_t)rw;
	c->mode = (uint8_t)(mode > 5 ? mode & 3 : mode);	/* 6, 7 are 2, 3 */
	c->bcd = val & 1;
	c->programmed = true;
	c->loaded = c->cr_full = c->triggered = false;
	c->half_low = false;
	c->load_at = NEVER;
	c->write_msb = c->read_msb = false;
	c->count_latched = c->status_latched = false;
	pit_settle(pit, sc, t);
}

/* A count is complete in CR: when does it reach the counting element? */
static void counter_commit(struct pit_counter *c, uint16_t cr, uint64_t t)
{
	uint64_t n = counted(c, t);

	c->cr = cr;
	c->cr_full = true;
	switch (c->mode) {
	case 0: case 4:
		c->load_at = t + 1;
		break;
	case 1: case 5:			/* at the trigger */
		break;
	default:
		if (!c->loaded) {
			c->load_at = t + 1;
		} else if (c->gate && c->load_at == NEVER) {	/* at the end of the current (half) cycle */
			uint64_t pos = c->mode == 3 ? square_pos(c, n) : n % c->ce_count;
			uint64_t high = (c->ce_count + 1) / 2;
			uint64_t end = c->mode == 3 && pos < high ? high : c->ce_count;
			c->load_at = t + (end - pos);
			if (c->load_at == t)
				c->load_at++;
		}
	}
}

static void pit_write_count(struct pit *pit, unsigned n, uint8_t val, uint64_t t)
{
	struct pit_counter *c = &pit->counter[n];

	if (!c->programmed)
		return;			/* undefined until a control word is written */
	if (c->rw == 1) {
		counter_commit(c, val, t);
	} else if (c->rw == 2) {
		counter_commit(c, (uint16_t)(val << 8), t);
	} else if (!c->write_msb) {
		c->cr_lsb = val;
		c->write_msb = true;
		if (c->mode == 0) {	/* the first byte of two stops the count and lowers OUT */
			c->ce_held = (uint32_t)(counted(c, t) % 65536);
			c->held = true;
			c->load_at = NEVER;
		}
	} else {
		c->write_msb = false;
		counter_commit(c, (uint16_t)(c->cr_lsb | val << 8), t);
	}
	pit_settle(pit, n, t);
}

static uint8_t pit_read_count(struct pit_counter *c, uint64_t t)
{
	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	uint16_t value = c->count_latched ? c->latch : counter_value(c, t);
	bool msb = c->rw == 2 || (c->rw == 3 && c->read_msb);

	if (c->rw == 3)
		c->read_msb = !c->read_msb;
	if (c->rw != 3 || msb)
		c->count_latched = false;
	return (uint8_t)(msb ? value >> 8 : value);
}

uint8_t pit_read(struct pit *pit, uint16_t port, ns_t now)
{
	uint64_t t = pit_tick(now);

	pit_sync(pit, t);
	t = pit->synced;
	if (port == 0x61)
		return (pit->port61 & 0x0F) | (t / REFRESH_TICKS & 1 ? PORT61_REFRESH : 0) |
		    (pit->counter[2].out ? PORT61_OUT2 : 0);
	if (port == 0x43)
		return 0xFF;		/* write-only: the bus floats */
	return pit_read_count(&pit->counter[port & 3], t);
}

void pit_write(struct pit *pit, uint16_t port, uint8_t val, ns_t now)
{
	uint64_t t = pit_tick(now);

	pit_sync(pit, t);
	t = pit->synced;
	if (port == 0x61) {
		pit->port61 = val & 0x0F;
		pit_set_gate(pit, 2, val & PORT61_GATE2, now);
	} else if (port == 0x43) {
		pit_write_control(pit, val, t);
	} else {
		pit_write_count(pit, port & 3, val, t);
	}
}
