/*
 * What the guest's processor did: the ring of last events that every report shows, and -d tracing.
 *
 * trace_event() is called by the CPU when it delivers an exception or interrupt, and by the run loop
 * for port accesses, halts and resets. Instructions are traced by the run loop stepping them one at a
 * time (emulate_step), so that tracing costs nothing when it is off.
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
	TRACE_INT	= BIT(3),	/* interrupts and exceptions */
	TRACE_IO	= BIT(4),	/* port accesses */
	TRACE_RESET	= BIT(5),	/* resets, halts */
	TRACE_STEPS	= TRACE_IN_ASM | TRACE_EXEC | TRACE_CPU,
};

#define TRACE_MAX_RANGES 8

struct trace {
	FILE *file;
	unsigned items;
	unsigned nranges;		/* 0: everything */
	struct { uint32_t first, last; } range[TRACE_MAX_RANGES];	/* linear addresses of the instruction */
};

/* items: "in_asm,int,..."; filter: "start+len,start..last,..." or NULL; path NULL: stderr. 0 or -errno. */
int trace_open(struct trace *t, const char *items, const char *filter, const char *path, struct error *err);
void trace_close(struct trace *t);
void trace_list_items(FILE *f);			/* -d help */

void trace_step(struct vcpu *cpu);		/* before an instruction */
void trace_print_event(struct vcpu *cpu, const struct cpu_event *e);
void event_print(FILE *f, const struct cpu_event *e);

static inline void meter_event(struct vcpu *cpu, enum event_kind kind, uint8_t vector)
{
	switch (kind) {
	case EVENT_EXCEPTION: METER_ADD(cpu, exceptions[vector & 31], 1); break;
	case EVENT_INTERRUPT: METER_ADD(cpu, interrupts[vector], 1); break;
	case EVENT_SOFTWARE_INT: METER_ADD(cpu, software[vector], 1); break;
	case EVENT_NMI: METER_ADD(cpu, nmis, 1); break;
	case EVENT_HALT: METER_ADD(cpu, halts, 1); break;
	case EVENT_RESET: METER_ADD(cpu, resets, 1); break;
	case EVENT_IN: case EVENT_OUT: break;		/* the bus counts them */
	}
}

static inline void trace_event(struct vcpu *cpu, enum event_kind kind, uint8_t vector, uint32_t a, uint32_t b)
{
	struct cpu_event *e = &cpu->event[cpu->nevents++ % CPU_EVENTS];

	*e = (struct cpu_event){ .kind = (uint8_t)kind, .vector = vector, .cs = cpu->seg[SEG_CS].selector,
	    .eip = kind == EVENT_EXCEPTION || kind == EVENT_IN || kind == EVENT_OUT ? cpu->insn_eip : cpu->eip,
	    .a = a, .b = b, .icount = cpu->icount };
	meter_event(cpu, kind, vector);
	if (unlikely(cpu->trace != NULL))
		trace_print_event(cpu, e);
}

/* --- report.c --- */
void report_registers(FILE *f, const struct vcpu *cpu);
/* "selector.offset  bytes  instruction" of what is at CS:eip. */
void report_instruction(FILE *f, struct vcpu *cpu, uint32_t eip);
void report_all(FILE *f, struct vcpu *cpu);	/* registers, current instruction, last events */

#endif
