/*
 * Local APIC of the one processor, at FEE00000h.		[SDM 3, "Advanced Programmable Interrupt Controller (APIC)"]
 */
#ifndef PLEX86_DEV_LAPIC_H
#define PLEX86_DEV_LAPIC_H

#include "dev/tick.h"
#include "util/types.h"

#define LAPIC_BASE	0xFEE00000u
#define LAPIC_BUS_HZ	1000000000u	/* what the timer divides: 1 GHz */

enum { LAPIC_LVT_TIMER, LAPIC_LVT_THERMAL, LAPIC_LVT_PERF, LAPIC_LVT_LINT0, LAPIC_LVT_LINT1, LAPIC_LVT_ERROR,
       LAPIC_LVTS };

/* What a message asks for, by delivery mode. */
enum lapic_mode { LAPIC_FIXED = 0, LAPIC_LOWEST = 1, LAPIC_SMI = 2, LAPIC_NMI = 4, LAPIC_INIT = 5, LAPIC_SIPI = 6,
		  LAPIC_EXTINT = 7 };

struct lapic {
	/* architectural */
	uint64_t base_msr;		/* IA32_APIC_BASE */
	uint32_t id, tpr, ldr, dfr, svr, esr, esr_pending, icr_low, icr_high;
	uint32_t lvt[LAPIC_LVTS];
	uint32_t divide, initial;
	uint32_t irr[8], isr[8], tmr[8];
	bool lint0, lint1;		/* levels of the pins */
	/* timer: counting down from initial since start; 0: not running */
	bool running;
	ns_t start;
	uint64_t periods;		/* interrupts already given since start */
	struct beat beat;		/* of a one-shot */
	/* host: an EOI of a level-triggered vector goes to the I/O APIC; NMI to the CPU */
	void (*eoi)(void *arg, uint8_t vector);
	void (*nmi)(void *arg);
	void *arg;
};

void lapic_reset(struct lapic *apic);		/* power-on: enabled in the MSR, disabled by software */

/* Register at offset 0..FFFh. Accesses other than aligned dwords are undefined on hardware. */
uint32_t lapic_read(struct lapic *apic, unsigned offset, ns_t now);
void lapic_write(struct lapic *apic, unsigned offset, uint32_t val, ns_t now);
void lapic_set_base(struct lapic *apic, uint64_t msr);
bool lapic_enabled(const struct lapic *apic);	/* the MSR's global enable */

/* A message from the I/O APIC or an MSI. */
void lapic_deliver(struct lapic *apic, enum lapic_mode mode, uint8_t vector, bool level);
/* Does a message with this destination mean us? */
bool lapic_matches(const struct lapic *apic, uint8_t dest, bool logical);
/* LINT0 is wired to the 8259A's INT, LINT1 to NMI. */
void lapic_set_lint0(struct lapic *apic, bool level);

/* Level of the processor's INTR. */
bool lapic_intr(const struct lapic *apic);
/* Acknowledge: a vector; or -1: it is the 8259A's to give one (ExtINT). */
int lapic_ack(struct lapic *apic);

ns_t lapic_next(const struct lapic *apic, ns_t now);
ns_t lapic_tick(const struct lapic *apic);	/* the period, if what comes next is a tick that may be late; else 0 */
void lapic_update(struct lapic *apic, ns_t now);

#endif
