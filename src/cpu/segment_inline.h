/*
 * Segment loads that need no checks: used by segment.c, and by the quick call-outs of scanned code, which are
 * compiled without SSE (scan/quick.c) and so can call nothing that is not.
 */
#ifndef PLEX86_CPU_SEGMENT_INLINE_H
#define PLEX86_CPU_SEGMENT_INLINE_H

#include <string.h>

#include "cpu/descriptor.h"

/* Host address of size bytes at lin, which do not cross a page, by a TLB's table; NULL: not reached. */
static inline void *tlb_reach(const uintptr_t *table, lin_t lin, unsigned size)
{
	uintptr_t e = table[lin >> PAGE_SHIFT];

	return e == 0 || (lin & PAGE_MASK) > PAGE_BYTES - size ? NULL : (void *)(e + lin);
}

/* Eight bytes of a system table as they are now, if the TLB reaches them: as good as table_read32() reads them. */
static inline bool table_peek64(const struct vcpu *cpu, lin_t lin, uint64_t *raw)
{
	const void *host = tlb_reach(cpu->tlbs[0].read, lin, sizeof(*raw));

	if (host)
		memcpy(raw, host, sizeof(*raw));
	return host;
}

/* The GDT's descriptor; false: not the GDT's, or not reached. */
static inline bool gdt_peek(const struct vcpu *cpu, uint16_t selector, uint64_t *raw)
{
	return !(selector & 4) && (selector | 7u) <= cpu->gdtr.limit &&
	    table_peek64(cpu, cpu->gdtr.base + (selector & ~7u), raw);
}

/*
 * A register loaded with a descriptor that was checked and loaded before, at the same CPL, and has
 * not changed since, gets the same again: system calls reload DS, ES and FS each way.
 */
static inline bool segment_load_again(struct vcpu *cpu, unsigned seg, uint16_t selector, uint64_t raw)
{
	const struct segment_memo *m = &cpu->segment_memo[selector >> 3 & 7];

	if (m->selector != selector || m->cpl != cpu->cpl || m->raw != raw)
		return false;
	cpu->seg[seg] = m->segment;
	return true;
}

/* ES, DS, FS, GS that the outer level may not have become null. */
static inline void segments_drop_privileged(struct vcpu *cpu)
{
	static const uint8_t data[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };

	for (unsigned i = 0; i < ARRAY_LEN(data); i++) {
		struct segment *s = &cpu->seg[data[i]];
		bool conforming = (s->attr & (SEG_CODE | SEG_CONFORMING)) == (SEG_CODE | SEG_CONFORMING);
		if (!conforming && (unsigned)(s->attr >> 5 & 3) < cpu->cpl)
			*s = segment_null(0);
	}
}

#endif
