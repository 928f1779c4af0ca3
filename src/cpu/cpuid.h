/*
 * Inside src/cpu: what CPUID and the MSRs have to agree on.
 */
#ifndef PLEX86_CPU_CPUID_H
#define PLEX86_CPU_CPUID_H

#include "cpu/vcpu.h"

/* Family 6, model 13, stepping 8: the oldest model number whose features are these (no SSE3, no HT). */
#define CPUID_SIGNATURE	0x000006D8
#define CPU_PHYS_BITS	36		/* PAE */
#define CPU_CRYSTAL_HZ	1000000000u	/* the APIC timer's clock (dev/lapic.h) */
#define CPU_MTRR_COUNT	8		/* variable ranges */

/* IA32_MISC_ENABLE.					[SDM 4, "Model-Specific Registers"] */
enum { MISC_FAST_STRING = BIT(0), MISC_LIMIT_CPUID = BIT(22) };
#define MISC_XD_DISABLE	(1ull << 34)

static inline bool cpu_has_nx(const struct vcpu *cpu) { return !(cpu->misc_enable & MISC_XD_DISABLE) && !cpu->model.no_nx; }
static inline bool cpu_has_apic(const struct vcpu *cpu) { return cpu->bus && cpu->bus->apic_base; }

void msr_reset(struct vcpu *cpu);

#endif
