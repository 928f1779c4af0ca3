/*
 * The 8254 interval timer with the PC's port 61h around counter 2.
 */
#ifndef PLEX86_DEV_PIT_H
#define PLEX86_DEV_PIT_H

#include "util/types.h"

#define PIT_HZ		1193182u
/* The first nanosecond of CLK tick n. */
#define PIT_TICKS(n)	((ns_t)(((unsigned __int128)(n) * 1000000000u + PIT_HZ - 1) / PIT_HZ))

struct pit_counter {
	uint8_t rw;			/* 1 LSB, 2 MSB, 3 LSB then MSB */
	uint8_t mode;			/* 0..5 */
	bool bcd;
	bool gate;
	bool write_msb, read_msb;	/* the next byte is the MSB */
	uint8_t cr_lsb;			/* LSB of a count half written */
	bool programmed;		/* a control word was written */
	bool cr_full;			/* CR holds a count that is not yet in CE: "null count" */
	uint16_t cr;
	/* The counting element: ce_count was loaded at tick ce_start; held: stopped at ce_held. */
	bool loaded, held;
	uint32_t ce_count;		/* 1..65536, or 1..10000 */
	uint64_t ce_start;
	uint32_t ce_held;		/* ticks counted when the gate fell */
	uint64_t load_at;		/* tick at which CR goes to CE; UINT64_MAX: not by itself */
	bool half_low;			/* mode 3: ce_start begins a low half */
	bool triggered;			/* the scheduled load comes from a rise of the gate */
	bool out;			/* level at the last sync */
	bool count_latched, status_latched;
	uint16_t latch;
	uint8_t status;
};

struct pit {
	struct pit_counter counter[3];
	uint64_t synced;		/* tick up to which the counters were brought */
	uint32_t irq0_edges;		/* rising edges of OUT 0 not yet taken by pit_take_edges() */
	uint8_t port61;			/* bits 0..3 as written */
};

void pit_reset(struct pit *pit);

/* Ports 40h..43h and 61h. */
uint8_t pit_read(struct pit *pit, uint16_t port, ns_t now);
void pit_write(struct pit *pit, uint16_t port, uint8_t val, ns_t now);

void pit_update(struct pit *pit, ns_t now);
/* Level of OUT n at now. */
bool pit_out(struct pit *pit, unsigned n, ns_t now);
/* Gate of counter n (2 is wired to port 61h bit 0). */
void pit_set_gate(struct pit *pit, unsigned n, bool level, ns_t now);
/* Rising edges of OUT 0 since the last call. */
uint32_t pit_take_edges(struct pit *pit);
/* When OUT 0 next rises after the last update or access: before now, if nobody has looked since. */
ns_t pit_next(const struct pit *pit, ns_t now);
ns_t pit_period(const struct pit *pit);		/* of these rises; 0: the next one is alone */
/* When OUT 2 rises because a count it was given runs out (mode 0), as of the last update or access; UINT64_MAX: none runs. */
ns_t pit_count_2_ends(const struct pit *pit);

#endif
