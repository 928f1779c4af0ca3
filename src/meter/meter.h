/*
 * Meters: what a virtual machine used and did. Always on; -Dmeters=false leaves nothing of them.	[docs/metering.md]
 *
 * Counts are added to fields of struct meters, which lies in struct vcpu. Time is kept by a running stopwatch:
 * at each moment exactly one cause is charged, so that the causes add up to the time that passed. The time-stamp
 * counter (10 ns a look) is read where the monitor is slow anyway. Where it is not, a look each time would
 * cost more than is allowed, and time is measured at some events that stand for the others:
 *
 *  - a change between ring 3 and ring 0 is looked at each time, as long as there are fewer than METER_EXACT_RINGS
 *    of them between two slow events or they come seldom; beyond that one segment in about 128 is measured, and the time between is
 *    split as the measured ones say;
 *  - of call-outs to the emulator, look-ups of branches and accesses to devices one in about 64 is measured
 *    (METER_BEGIN, METER_END; each, while they are long), and stands for all since the one before. That time is moved from the account that
 *    was charged meanwhile when the meters are read, and never more than is there;
 *  - what is longer, but happens amid all that (making a block, a window fault), is measured each time and stopped
 *    out (METER_SPAN). As slow events they would have changes between rings looked at, which
 *    costs more than the event's own two looks.
 *
 * Everything here is the vCPU's thread's. A fault in scanned code may charge WINDOW from its signal handler:
 * it interrupts scanned code only, never the monitor.
 */
#ifndef PLEX86_METER_METER_H
#define PLEX86_METER_METER_H

#include "util/types.h"

/* What time is charged to. RING0 stands for rings 0 to 2. */
enum meter_cause {
	METER_RING3, METER_RING0,	/* the guest's own instructions, scanned */
	METER_EMULATE,			/* instructions that the monitor carries out */
	METER_SCAN,			/* making blocks, and finding them */
	METER_WINDOW,			/* faults of scanned code: windows being filled */
	METER_DEVICE,			/* chips: port and memory accesses, timers */
	METER_HOST,			/* the rest of the monitor: its loop, control, screen, delivering interrupts */
	METER_IDLE,			/* HLT, nothing to do */
	METER_PAUSED,			/* stopped by the user */
	METER_CAUSES
};

enum meter_window {
	WF_MAPPED,			/* pages came into a window */
	WF_UPGRADED,		/* ... again, with more rights: the first store to a clean page */
	WF_REFLECTED,		/* the guest's own tables refuse it: its page fault */
	WF_DEVICE,			/* no memory there, or memory that is watched */
	WF_CODE,			/* a store to a page that holds code */
	WF_UNSTABLE,		/* a page whose translation changes too often, or no room */
	WF_GUARD,			/* beside the window: an address that wraps */
	WF_ARITHMETIC,		/* no address: #DE, #MF and #XM */
	METER_WINDOW_CAUSES
};

#ifdef PLEX86_METERS

#include <x86intrin.h>

#define METER_EXACT_RINGS	16
enum meter_span { SPAN_EMULATE, SPAN_LOOKUP, SPAN_DEVICE, SPAN_PAGE, METER_SPANS };

struct meter_sampler {			/* a kind of short event, of which some are measured */
	uint32_t left;			/* events until the next that is */
	uint32_t period;		/* what left began with */
	uint32_t weight;		/* the one under way stands for so many */
	uint64_t usual;			/* ticks, an average of late */
	uint64_t start;			/* TSC when the one under way began, 0: it is not measured */
	uint8_t to;			/* the cause it is charged to */
};

struct meters {
	/* the stopwatch */
	uint64_t since;			/* TSC at the last look */
	uint64_t ticks[METER_CAUSES];
	uint64_t mixed;			/* ticks of rings 3 and 0 between looks, to be split */
	uint64_t segment_ticks[2];	/* of the measured segments of ring 3, ring 0 */
	uint64_t segments;		/* how many */
	uint32_t unseen;		/* changes of ring since the last look */
	uint32_t ring_left;		/* changes until the next that is looked at */
	uint32_t exact_left;
	uint32_t random;
	uint32_t look_ticks;		/* what a look itself takes: not the span's */
	uint8_t cause;
	bool measuring;			/* a segment that was chosen */
	bool in_device;			/* for samples of the profile */
	uint8_t doing;			/* the same: the cause of a METER_SPAN, METER_RING3: none */
	struct meter_sampler span[METER_SPANS];
	uint64_t debt[METER_CAUSES][METER_CAUSES];	/* ticks to be moved to the first cause, from the second, when the meters are read */
	/* as last read (meter_times()) */
	uint64_t start_ns, read_ns, read_ticks[METER_CAUSES], read_segments[2];
	uint64_t ns[METER_CAUSES];

	/* counts */
	uint64_t insns;			/* retired, where they are counted (scan/emit.c, emulate/engine.c) */
	uint64_t emulated;		/* ... carried out by the monitor: of those that scanned code called it for */
	uint64_t rep_elements, faulted, unfinished;	/* what icount counts and is not an instruction retired */
	uint64_t blocks, dropped, flushed, chained, looked_up, fills;
	uint64_t window[METER_WINDOW_CAUSES];
	uint64_t cr3_loads, cr3_switches, window_hits, window_opened, window_ahead;
	uint64_t exceptions[32], interrupts[256], software[256], nmis;
	uint64_t halts, resets;
};

#define METER_FIELD struct meters meters;
#define METER_ONLY(...) __VA_ARGS__
#define METER_ADD(cpu, field, n) ((void)((cpu)->meters.field += (n)))
#define METER_SWITCH(cpu, cause) meter_switch(&(cpu)->meters, cause)
#define METER_RING(cpu) meter_ring(&(cpu)->meters, (cpu)->cpl == 3 ? METER_RING3 : METER_RING0)
/* Will METER_RING() call out of line? */
#define METER_RING_LOOKS(cpu) ((cpu)->meters.ring_left == 1)
#define METER_BEGIN(cpu, kind) meter_begin(&(cpu)->meters, &(cpu)->meters.span[SPAN_##kind])
#define METER_END(cpu, kind) meter_end(&(cpu)->meters, &(cpu)->meters.span[SPAN_##kind])

void meter_start(struct meters *m);			/* time begins: charged to the host */
void meter_ring_look(struct meters *m, unsigned was);
void meter_span_begin(struct meters *m, struct meter_sampler *s);
void meter_span_end(struct meters *m, struct meter_sampler *s);
/* Bring ns[] up to date; their sum is then the time since meter_start(), which is returned. */
uint64_t meter_times(struct meters *m);

/* A slow event: from now on charge cause. Returns what was charged before. */
enum meter_cause meter_switch(struct meters *m, enum meter_cause cause);

/* Before scanned code is entered, at every look-up of a block. */
static inline void meter_ring(struct meters *m, enum meter_cause ring)
{
	unsigned was = m->cause;

	if (likely(was == ring))
		return;
	m->cause = (uint8_t)ring;
	m->unseen++;
	if (--m->ring_left == 0)
		meter_ring_look(m, was);
}

static inline void meter_begin(struct meters *m, struct meter_sampler *s)
{
	if (unlikely(--s->left == 0))
		meter_span_begin(m, s);
}

static inline void meter_end(struct meters *m, struct meter_sampler *s)
{
	if (unlikely(s->start != 0))
		meter_span_end(m, s);
}

#else

#define METER_FIELD
#define METER_ONLY(...)
#define METER_ADD(cpu, field, n) ((void)0)
#define METER_SWITCH(cpu, cause) ((void)0)
#define METER_RING(cpu) ((void)0)
#define METER_RING_LOOKS(cpu) false
#define METER_BEGIN(cpu, kind) ((void)0)
#define METER_END(cpu, kind) ((void)0)

#endif

/* Charge the rest of the enclosing block to cause, then again what was before. */
#ifdef PLEX86_METERS
/* The same for what is no slow event, and has none in it. Left by a jump it is not measured. */
#define METER_SPAN(cpu, cause)									\
	__attribute__((cleanup(meter_each_end), unused)) struct meter_each meter_each_ = meter_each_begin(&(cpu)->meters, cause)
struct meter_each { struct meters *m; uint64_t start; };
static inline struct meter_each meter_each_begin(struct meters *m, enum meter_cause cause)
{
	m->doing = (uint8_t)cause;
	return (struct meter_each){ m, __rdtsc() };
}
static inline void meter_each_end(struct meter_each *e)
{
	uint64_t ticks = __rdtsc() - MAX(e->start, e->m->since);	/* what a slow event took meanwhile is charged */

	e->m->ticks[e->m->doing] += ticks;
	e->m->since += ticks;		/* for what was running, the watch stood still */
	e->m->doing = METER_RING3;
}

#define METER_SCOPE(cpu, cause)									\
	__attribute__((cleanup(meter_scope_end), unused)) struct meter_scope meter_scope_ =			\
	    { &(cpu)->meters, (uint8_t)METER_SWITCH(cpu, cause) }
struct meter_scope { struct meters *m; uint8_t was; };
static inline void meter_scope_end(struct meter_scope *s) { meter_switch(s->m, (enum meter_cause)s->was); }

/* The rest of the enclosing block runs in tier 0, which counts all it carries out in icount. */
#define METER_TIER0(cpu)									\
	__attribute__((cleanup(meter_tier0_end), unused)) struct meter_tier0 meter_tier0_ =			\
	    { &(cpu)->meters, &(cpu)->icount, meter_not_retired(&(cpu)->meters) - (cpu)->icount }
struct meter_tier0 { struct meters *m; const uint64_t *icount; uint64_t minus_before; };
static inline uint64_t meter_not_retired(const struct meters *m) { return m->rep_elements + m->faulted; }
static inline void meter_tier0_end(struct meter_tier0 *t)
{
	uint64_t n = *t->icount - meter_not_retired(t->m) + t->minus_before;

	t->m->insns += n;
	t->m->emulated += n;
}
#else
#define METER_SCOPE(cpu, cause) ((void)0)
#define METER_SPAN(cpu, cause) ((void)0)
#define METER_TIER0(cpu) ((void)0)
#endif

#endif
