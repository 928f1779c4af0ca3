/*
 * Windows: guest linear address spaces as host mappings.		[docs/design/memory.md]
 *
 * A window is 4 GiB of host addresses, with guards, in which the pages of guest memory appear at
 * the guest's linear addresses: the host's page tables are the shadow page tables. Scanned code
 * reaches memory through one without a check; what is not mapped faults, and is mapped, or carried
 * out by the emulator.
 *
 * One kernel window serves all address spaces: it holds translations a hardware TLB would keep
 * over a CR3 load (global pages), and others until the next one. A user window belongs to one CR3
 * that has proved hot; it is kept over CR3 loads and revalidated by comparing the page-table
 * pages it was built from. Only RAM is ever mapped, writable only when the guest's D bit is set
 * and the page holds no code (invariant 2).
 *
 * Called from the vCPU's thread only, also inside its fault handler: no locks, no allocation there.
 */
#ifndef PLEX86_MMU_WINDOW_H
#define PLEX86_MMU_WINDOW_H

#include "cpu/vcpu.h"

#define USER_WINDOWS 8
#define WINDOW_REACH (36ull << 30)	/* from its beginning nothing else is mapped so far: 8 times 32 bits, and a displacement */

struct windows;

int windows_init(struct vcpu *cpu);		/* 0 or -errno: then everything stays checked */
void windows_free(struct vcpu *cpu);

enum window_result {
	WINDOW_RETRY,		/* mapped: the access will work */
	WINDOW_REFLECT,		/* the guest's own tables refuse it: emulate, which raises #PF */
	WINDOW_NEVER,		/* MMIO, code, a page that changes too often...: emulate, and better do not come again */
};
/* An access at lin faulted in the window in use. */
enum window_result window_fault(struct vcpu *cpu, lin_t lin, bool write);

/* Host address of linear 0 of the window for the current CPL and CR3, or 0: go checked. Revalidates. */
uint64_t window_select(struct vcpu *cpu);
bool window_wanted(struct vcpu *cpu);		/* would window_select() find one? Cheap, changes nothing */

/* Does the kernel's memory go checked for a while, as its window was emptied again and again? Then for the vCPU's ticks. */
bool window_kernel_rests(const struct vcpu *cpu);
void window_tick(struct vcpu *cpu);

/* The current user address space was seen busy on the checked path: open a window for it. */
void window_promote(struct vcpu *cpu);

/* Before the guest goes back to user code after a page fault: bring the page in without a host fault. */
void window_premap(struct vcpu *cpu, lin_t lin);

/* From mmu.c, with the hardware TLB's meaning. */
void window_flush(struct vcpu *cpu, bool global);
void window_flush_page(struct vcpu *cpu, lin_t lin);
void window_drop_writes(struct vcpu *cpu, uint64_t fd_page);

#endif
