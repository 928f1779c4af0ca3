/*
 * High precision event timers: a counter at 100 MHz and three comparators.	[HPET 1.0a]
 *
 * The counter is never stepped: it is computed from the time since it was started.
 */
#ifndef PLEX86_DEV_HPET_H
#define PLEX86_DEV_HPET_H

#include "util/types.h"

#define HPET_BASE		0xFED00000u
#define HPET_BYTES		0x400u
#define HPET_TIMERS		3
#define HPET_PERIOD_NS		10u
#define HPET_BLOCK_ID		0x8086A201u	/* vendor, legacy replacement, 64 bits, three timers, revision */

struct hpet_timer {
	uint64_t config, comparator, period;
};

struct hpet {
	/* architectural */
	uint64_t config, status;
	uint64_t counter;		/* where it stood at counted_ns; it stands there while it is off */
	ns_t counted_ns;
	struct hpet_timer timer[HPET_TIMERS];
	uint64_t seen;			/* comparators were looked at up to this count */
	/* host: line 0..23 of the I/O APIC; legacy: 0 and 8 are those of the 8254 and the RTC, which are cut off */
	void (*set_irq)(void *arg, unsigned line, bool level);
	void (*set_legacy)(void *arg, bool on);
	void *arg;
};

void hpet_reset(struct hpet *h, ns_t now);
uint32_t hpet_read(struct hpet *h, unsigned offset, unsigned size, ns_t now);
void hpet_write(struct hpet *h, unsigned offset, unsigned size, uint32_t val, ns_t now);
void hpet_update(struct hpet *h, ns_t now);
ns_t hpet_next(const struct hpet *h, ns_t now);	/* UINT64_MAX: nothing is to come */

#endif
