/*
 * A machine of the library: a processor, memory, and the caller's callbacks where a PC has its chips.
 *							[include/plex86.h, docs/embedding.md]
 */
#ifndef PLEX86_LIB_MACHINE_H
#define PLEX86_LIB_MACHINE_H

#include <time.h>

#include "cpu/cpu.h"
#include "cpu/intercept.h"
#include "host/signals.h"
#include "include/plex86.h"
#include "mmu/phys.h"

#define MAPPINGS_MAX	48		/* the rest of PHYS_MAX_REGIONS stays free */
#define PORTS_MAX	255
#define HOOKS_MAX	64
#define BREAKPOINTS_MAX	256

struct mapping {
	plex86 *machine;
	uint64_t gpa, bytes;
	uint64_t fd_offset;		/* of memory */
	uint32_t flags;
	void *buffer;			/* the caller's, or NULL */
	bool mmio;
	plex86_mmio_read_fn *read;
	plex86_mmio_write_fn *write;
	void *arg;
	char name[16];			/* of its region */
};

struct port_hook {
	plex86_port_read_fn *read;
	plex86_port_write_fn *write;
	void *arg;
};

struct insn_hook {
	plex86_instruction_fn *fn;
	void *arg;
};

/* What a callback may not do, because of where it is called from. */
enum inside { INSIDE_NOTHING, INSIDE_ACCESS, INSIDE_INSN, INSIDE_EXCEPTION };

struct plex86 {
	struct vcpu cpu;
	struct phys phys;
	struct plex86_config config;
	char message[160];
	struct mapping *mapping[MAPPINGS_MAX];
	unsigned nmappings;

	/* callbacks */
	uint8_t *port_slot;		/* [65536] index into port[] + 1; NULL: none */
	struct port_hook port[PORTS_MAX];
	unsigned nports;
	uint8_t insn_slot[I_COUNT];	/* index into insn[] + 1 */
	struct insn_hook insn[HOOKS_MAX];
	struct insn_hook every;
	bool any_insn;			/* one of them, or a breakpoint, is there */
	struct { plex86_exception_fn *fn; void *arg; } exception[32];
	uint32_t breakpoint[BREAKPOINTS_MAX];
	unsigned nbreakpoints;

	/* the run */
	uint32_t running;		/* taken by a thread */
	enum inside inside;
	bool stopped;			/* stop says why */
	struct plex86_stop stop;
	bool eip_set;			/* by the callback */
	bool raise;			/* ... which wants this in the place of the instruction */
	uint8_t raise_vector;
	uint32_t raise_error;
	bool passed;			/* a run stopped before the instruction at passed_linear: this time it is carried out */
	uint32_t passed_linear;
	bool delivering;		/* plex86_raise() between runs: not for the callbacks */
	bool shutdown;			/* ... which ended in a triple fault: the next run tells */
	uint8_t vector;			/* of the INTR that waits */
	ns_t start_ns;
	uint64_t tsc_base;		/* instruction count at which the counter was 0 */

	/* host */
	bool kicked;			/* by any thread: atomic */
	pid_t thread;			/* that runs scanned code, or 0: atomic */
	struct host_hooks hooks;
	void *stack;			/* for signal handlers */
	timer_t timer;
	pid_t timer_thread;		/* 0: there is no timer */
	struct plex86_meters meters;
};

/* Note what was wrong; returns code. */
int lib_fail(plex86 *m, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Around a callback. Inside it the caller's code may do what it likes with the host's FPU. */
static inline enum inside lib_enter(plex86 *m, enum inside now)
{
	enum inside before = m->inside;

	m->inside = now;
	return before;
}

static inline void lib_leave(plex86 *m, enum inside before)
{
	m->inside = before;
	m->cpu.fpu_host_pe = true;
}

/* The registers may be set now: not from port and MMIO callbacks. PLEX86_OK or the error. */
int lib_state_open(plex86 *m);

/* End the run at the next boundary; the first reason stays. */
void lib_stop(plex86 *m, enum plex86_reason reason, uint64_t address);

void lib_changed(plex86 *m, uint64_t fd_offset, uint64_t bytes);	/* memory was stored to behind the engines' back */
void lib_flush_code(plex86 *m);						/* what is intercepted changed */
const struct mapping *lib_mapping(const plex86 *m, uint64_t gpa, uint64_t bytes);	/* memory that holds all of it, or NULL */
void lib_unmap_all(plex86 *m);

extern const struct cpu_bus lib_bus;
extern const struct intercept lib_intercept;

#endif
