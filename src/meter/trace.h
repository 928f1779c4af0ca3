/*
 * What the guest's processor did: the ring of last events that every report shows, and -d tracing.
 *
 * trace_event() is called by the CPU when it delivers an exception or interrupt, and by the run loop
 * for port accesses and resets; trace_only() for what goes by too often for the ring. Instructions that are traced
 * are held (cpu/stops.h) and carried out one at a time, so that all other code runs as ever, and tracing
 * costs nothing when it is off. The format of a line is promised in docs/debugging.md.
 */
#ifndef PLEX86_METER_TRACE_H
#define PLEX86_METER_TRACE_H

#include <stdio.h>

#include "cpu/vcpu.h"
#include "util/error.h"

enum {
	TRACE_IN_ASM	= BIT(0),	/* every instruction, disassembled */
	TRACE_EXEC	= BIT(1),	/* every instruction, address only */
	TRACE_CPU	= BIT(2),	/* registers before every instruction */
	TRACE_FPU	= BIT(3),	/* x87 and SSE registers before every instruction */
	TRACE_INT	= BIT(4),	/* interrupts and exceptions */
	TRACE_IO	= BIT(5),	/* port accesses */
	TRACE_RESET	= BIT(6),	/* resets */
	TRACE_MMU	= BIT(7),	/* CR0, CR3, CR4, INVLPG */
	TRACE_HLT	= BIT(8),
	TRACE_STEPS	= TRACE_IN_ASM | TRACE_EXEC | TRACE_CPU | TRACE_FPU,
};

#define TRACE_MAX_RANGES 8

struct trace_range {
	uint32_t first, last;
};

struct trace {
	FILE *file;
	unsigned items;
	unsigned nranges, nvectors, nports;		/* 0: all */
	struct trace_range range[TRACE_MAX_RANGES];	/* linear addresses of the instruction */
	struct trace_range vector[TRACE_MAX_RANGES], port[TRACE_MAX_RANGES];
	uint8_t cpls;			/* a bit each */
	bool counts;			/* the engine counts instructions: lines begin with the number */
	bool repeats;			/* the instruction just traced is a REP one that is not finished */
	uint32_t repeats_eip;
	/* lock-step: lines of a pass are kept until it is known which pass counts */
	bool held, muted;
	FILE *kept_file;
	char *kept;
	size_t kept_len;
};

/* What -d, -dfilter, -dcpl and -D say; any but items may be NULL. 0 or -errno with err set. */
int trace_open(struct trace *t, const char *items, const char *filter, const char *cpls, const char *path, struct error *err);
/* Other items, at once; "none": none. The rest stays. 0 or -EINVAL with err set. */
int trace_set_items(struct trace *t, const char *items, struct error *err);
int trace_set_file(struct trace *t, const char *path, struct error *err);
void trace_close(struct trace *t);
void trace_list_items(FILE *f);			/* -d help */

void trace_step(struct vcpu *cpu);		/* before an instruction */
void trace_stepped(struct vcpu *cpu);		/* after it */
void trace_print_event(struct vcpu *cpu, const struct cpu_event *e);
void event_print(FILE *f, const struct cpu_event *e, bool counts);

/* Lock-step: from hold on lines wait; drop forgets them; while muted there are none; release prints them. */
void trace_hold(struct trace *t);
void trace_drop(struct trace *t);
void trace_release(struct trace *t);

static inline struct cpu_event trace_make_event(const struct vcpu *cpu, enum event_kind kind, uint8_t vector, uint32_t a, uint32_t b)
{
	bool within = kind != EVENT_INTERRUPT && kind != EVENT_NMI && kind != EVENT_RESET && kind != EVENT_SOFTWARE_INT;

	return (struct cpu_event){ .kind = (uint8_t)kind, .vector = vector, .cs = cpu->seg[SEG_CS].selector, .cpl = cpu->cpl,
	    .eip = within ? cpu->insn_eip : cpu->eip, .a = a, .b = b, .icount = cpu->icount };
}

static inline void meter_event(struct vcpu *cpu, enum event_kind kind, uint8_t vector)
{
	switch (kind) {
	case EVENT_EXCEPTION: METER_ADD(cpu, exceptions[vector & 31], 1); break;
	case EVENT_INTERRUPT: METER_ADD(cpu, interrupts[vector], 1); break;
	case EVENT_SOFTWARE_INT: METER_ADD(cpu, software[vector], 1); break;
	case EVENT_NMI: METER_ADD(cpu, nmis, 1); break;
	case EVENT_HALT: METER_ADD(cpu, halts, 1); break;
	case EVENT_RESET: METER_ADD(cpu, resets, 1); break;
	default: break;				/* the bus counts IN and OUT */
	}
}

static inline void trace_event(struct vcpu *cpu, enum event_kind kind, uint8_t vector, uint32_t a, uint32_t b)
{
	struct cpu_event *e = &cpu->event[cpu->nevents++ % CPU_EVENTS];

	*e = trace_make_event(cpu, kind, vector, a, b);
	meter_event(cpu, kind, vector);
	if (unlikely(cpu->trace != NULL))
		trace_print_event(cpu, e);
}

static inline void trace_only(struct vcpu *cpu, enum event_kind kind, uint8_t vector, uint32_t a)
{
	meter_event(cpu, kind, vector);
	if (unlikely(cpu->trace != NULL)) {
		struct cpu_event e = trace_make_event(cpu, kind, vector, a, 0);

		trace_print_event(cpu, &e);
	}
}

/* --- report.c --- */
/* Up to len bytes of memory that can be had without a side effect; returns how many. Callable in a signal. */
unsigned report_peek(struct vcpu *cpu, uint64_t at, bool physical, void *buf, unsigned len);
void report_registers(FILE *f, const struct vcpu *cpu);
/* One instruction at a linear or physical address: its bytes in hexadecimal and its text. The length, 0 without memory. */
#define REPORT_HEX 32
unsigned report_disasm(struct vcpu *cpu, uint64_t at, bool physical, bool big, uint32_t eip, char hex[REPORT_HEX], char *text, size_t size);
/* "selector.offset  bytes  instruction" of what is at CS:eip; the length, 0 if there is no memory. */
unsigned report_instruction(FILE *f, struct vcpu *cpu, uint32_t eip);
void report_all(FILE *f, struct vcpu *cpu);	/* registers, current instruction, stack, last events */

#endif
