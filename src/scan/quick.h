/*
 * Instructions that load segments and change the level, done quickly.	[docs/design/scan.md]
 *
 * A system call is some ten of them. The emulator's handlers check everything; here an instruction
 * is carried out only if it was before, by them, and all that they read then (descriptors, gate, stack
 * of the TSS) reads the same now. Otherwise nothing is done, and the call-out goes the long way.
 *
 * The tables are read through the supervisor TLB, so what is not in it is not read: no faults here.
 */
#ifndef PLEX86_SCAN_QUICK_H
#define PLEX86_SCAN_QUICK_H

#include <string.h>

#include "scan/internal.h"

/* Host address of size bytes at lin, which do not cross a page, or NULL. */
static inline void *quick_host(const uintptr_t *table, lin_t lin, unsigned size)
{
	uintptr_t e = table[lin >> PAGE_SHIFT];
	return e == 0 || (lin & PAGE_MASK) > PAGE_BYTES - size ? NULL : (void *)(e + lin);
}

static inline bool quick_read64(const struct vcpu *cpu, lin_t lin, uint64_t *val)
{
	const void *p = quick_host(cpu->tlbs[0].read, lin, 8);
	if (p)
		memcpy(val, p, 8);
	return p;
}

/* The GDT's descriptor as it is now; false: not the GDT, or out of reach. */
static inline bool quick_descriptor(const struct vcpu *cpu, uint16_t selector, uint64_t *raw)
{
	return !(selector & 4) && (selector | 7u) <= cpu->gdtr.limit &&
	    quick_read64(cpu, cpu->gdtr.base + (selector & ~7u), raw);
}

static inline bool quick_gate_now(const struct vcpu *cpu, uint8_t vector, uint64_t *raw)
{
	return vector * 8u + 7 <= cpu->idtr.limit && quick_read64(cpu, cpu->idtr.base + vector * 8u, raw);
}

/* ESP0 and SS0 of a 32-bit TSS. */
static inline bool quick_stack_now(const struct vcpu *cpu, uint32_t *esp, uint16_t *ss)
{
	uint64_t raw;
	if (!(cpu->tr.attr & 8) || cpu->tr.limit < 11 || !quick_read64(cpu, cpu->tr.base + 4, &raw))
		return false;
	if (esp)
		*esp = (uint32_t)raw;
	*ss = (uint16_t)(raw >> 32);
	return true;
}

#endif
