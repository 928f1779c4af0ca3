/* Compiled without SSE and x87 instructions: scan/fill.c calls it while the guest's state is in those registers. */
#include "emulate/block.h"
#include "emulate/emulate.h"

bool emulate_code_at(const struct vcpu *cpu, uint64_t fd_offset, unsigned len)
{
	const struct emulator *em = cpu->emulator;
	uint64_t page = fd_offset >> PAGE_SHIFT;
	unsigned lo = (unsigned)(fd_offset & PAGE_MASK) / 64, hi = MIN((unsigned)(fd_offset & PAGE_MASK) + len - 1, PAGE_MASK) / 64;
	return em && page < em->npages && (em->pages[page].granules >> lo & ((2ull << (hi - lo)) - 1));
}
