/*
 * Samples of where a machine spends its time, taken by a timer's signal on the vCPU's thread.
 *
 * A sample is the guest's linear address, what the meters charge at that moment, and the return addresses found by
 * following frame pointers: only what a CALL is in front of counts as one. Costs nothing until it is started.
 */
#ifndef PLEX86_METER_PROFILE_H
#define PLEX86_METER_PROFILE_H

#include <jansson.h>
#include <time.h>

#include "cpu/vcpu.h"
#include "util/error.h"

#define PROFILE_FRAMES	32
#define PROFILE_RING	4096u		/* samples that wait to be read; a power of two */
#define PROFILE_GIVE_UP	4096u		/* samples nobody read: the timer stops */
#define PROFILE_HZ_MAX	2000u

struct profile_sample {
	uint32_t address;		/* linear */
	uint8_t cpl, cause, frames;
	uint32_t frame[PROFILE_FRAMES];	/* return addresses, the innermost first */
};

struct profile {
	struct vcpu *cpu;
	struct profile_sample *ring;	/* NULL: never started */
	volatile uint32_t head, tail;	/* the handler's, the reader's */
	volatile uint32_t lost;
	timer_t timer;
	bool has_timer;
	volatile bool running;
};

/* On the vCPU's thread, before the machine runs: the timer, not armed. */
void profile_init(struct profile *p, struct vcpu *cpu);
void profile_free(struct profile *p);
void profile_signal(struct profile *p, void *ucontext);		/* the signal's handler */

/* On the vCPU's thread. 0 or -errno with err set. */
int profile_start(struct profile *p, unsigned hz, struct error *err);
/* What was taken since the last reading: {"lost": n, "samples": [[address, cpl, cause, frame...]...]} */
json_t *profile_read(struct profile *p, struct error *err);
void profile_stop(struct profile *p);

#endif
