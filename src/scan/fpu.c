/*
 * The guest's x87/MMX/SSE state between struct vcpu and the host's registers.
 *
 * Scanned code works on the host's own registers. The last-instruction pointer the host keeps is an
 * address in the code cache: it becomes the guest's EIP when the state is saved, and the operand
 * pointer loses the window's base. Nothing of ours shows (invariant 4).
 */
#include "scan/internal.h"

#define HOST_MXCSR_DEFAULT 0x1F80u

static const uint32_t host_mxcsr = HOST_MXCSR_DEFAULT;

void fpu_load(struct vcpu *cpu)
{
	struct scanner *s = cpu->scanner;
	s->fcs = cpu->fx.fcs;
	s->fds = cpu->fx.fds;
	__asm__ volatile("fxrstor %0" : : "m"(cpu->fx));
	cpu->fx_live = true;
}

void fpu_save(struct vcpu *cpu)
{
	struct scanner *s = cpu->scanner;
	struct fxstate *fx = &cpu->fx;
	if (!cpu->fx_live)
		return;
	__asm__ volatile("fxsave64 %0" : "=m"(*fx));
	__asm__ volatile("fninit; ldmxcsr %0" : : "m"(host_mxcsr));
	cpu->fx_live = false;

	uint64_t rip = fx->fip | (uint64_t)fx->fcs << 32 | (uint64_t)fx->rsvd2 << 48;
	uint64_t rdp = fx->fdp | (uint64_t)fx->fds << 32 | (uint64_t)fx->rsvd3 << 48;
	if (rip >> 32) {		/* an x87 instruction ran since the state was loaded */
		fx->fip = recover_eip(s, rip);
		fx->fcs = cpu->seg[SEG_CS].selector;
		fx->fds = cpu->seg[SEG_DS].selector;
		if (rdp >> 32)
			fx->fdp = cpu->scan.window && rdp - cpu->scan.window < 1ull << 32 ? (uint32_t)(rdp - cpu->scan.window) : 0;
	} else {
		fx->fcs = s->fcs;
		fx->fds = s->fds;
	}
	fx->rsvd2 = fx->rsvd3 = 0;
}
