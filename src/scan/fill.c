/*
 * The short way out of a checked access: the software TLB had no entry.
 *
 * Called with only the caller-saved registers put aside, so this file is compiled without SSE and
 * x87 instructions (meson.build): the guest's are still in the host's registers.
 */
#include "mmu/phys.h"
#include "scan/internal.h"

#define LARGEST_ACCESS 16

static bool scanned_at(const struct scanner *s, uint64_t fd_offset)
{
	uint64_t page = fd_offset >> PAGE_SHIFT;
	uint32_t lo = fd_offset & PAGE_MASK, hi = MIN(lo + LARGEST_ACCESS, PAGE_BYTES);
	if (!(s->granules[page] & granule_mask(lo, hi)))
		return false;
	for (const struct block *b = s->page_blocks[page]; b; ) {
		bool second = b->fd_page[0] != page;
		uint32_t base = second ? PAGE_BYTES : 0;
		if (lo + base < b->fd_hi && hi + base > b->fd_lo)
			return true;
		b = b->page_next[second];
	}
	return false;
}

/*
 * The addend that lets [lin, lin + 16) be accessed now, once, or 0: scan_slow() knows more. A page
 * that holds code has no write entry, but a store beside its code harms nothing.
 */
uintptr_t scan_fill(struct vcpu *cpu, uint32_t number, uint32_t lin)
{
	struct scanner *s = cpu->scanner;
	bool user = cpu->cpl == 3;
	if (number & SLOW_WRITE) {
		const struct code_write *c = &s->code_writes[lin >> PAGE_SHIFT & (CODE_WRITES - 1)];
		/* another TLB is in use while alignment is checked: it never has an entry, and no store goes by here */
		if (c->tag == code_write_tag(lin, user) && c->serial == cpu->scan.tlb_serial && cpu->tlb == &cpu->tlbs[user]) {
			uint64_t fd_offset = c->addend + lin - (uintptr_t)cpu->phys->ram;
			if (cpu->phys->page_flags[fd_offset >> PAGE_SHIFT] & (PAGE_CODE | PAGE_SCAN))
				return scanned_at(s, fd_offset) || emulate_code_at(cpu, fd_offset, LARGEST_ACCESS) ? 0 : c->addend;
		}
	}
	if (cpu->fx_live)
		return 0;
	METER_ADD(cpu, fills, 1);
	uint8_t *host = mmu_fill(cpu, lin, number & SLOW_WRITE ? ACCESS_WRITE : ACCESS_READ, user);
	return host ? (uintptr_t)host - lin : 0;
}
