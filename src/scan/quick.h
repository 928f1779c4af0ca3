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

#include "cpu/segment_inline.h"
#include "scan/internal.h"

static inline bool quick_gate_now(const struct vcpu *cpu, uint8_t vector, uint64_t *raw)
{
	return vector * 8u + 7 <= cpu->idtr.limit && table_peek64(cpu, cpu->idtr.base + vector * 8u, raw);
}

/* ESP0 and SS0 of a 32-bit TSS. */
static inline bool quick_stack_now(const struct vcpu *cpu, uint32_t *esp, uint16_t *ss)
{
	uint64_t raw;
	if (!(cpu->tr.attr & 8) || cpu->tr.limit < 11 || !table_peek64(cpu, cpu->tr.base + 4, &raw))
		return false;
	if (esp)
		*esp = (uint32_t)raw;
	*ss = (uint16_t)(raw >> 32);
	return true;
}

#endif
