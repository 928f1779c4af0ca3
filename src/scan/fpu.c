/*
 * The guest's x87/MMX/SSE state between struct vcpu and the host's registers.
 *
 * Scanned code works on the host's own registers. The last-instruction pointer the host keeps is an
 * address in the code cache: it becomes the guest's EIP when the state is saved, and the operand
 * pointer loses the window's base. Nothing of ours shows (invariant 4).
 */
#include "scan/internal.h"

#define HOST_MXCSR_DEFAULT 0x1F80u
#define FSW_ES BIT(7)		/* an unmasked exception is pending */

static const uint32_t host_mxcsr = HOST_MXCSR_DEFAULT;

void fpu_load(struct vcpu *cpu)
{
	struct scanner *s = cpu->scanner;
	s->fcs = cpu->fx.fcs;
	s->fds = cpu->fx.fds;
	__asm__ volatile("fxrstor %0" : : "m"(cpu->fx));
	cpu->fx_live = true;
}

/*
 * An x87 instruction ran since the state was loaded: what the host remembers of it, as the guest's processor
 * would. The opcode was re-encoded; the operand's address is told where that was the window's.
 */
static void translate_pointers(struct vcpu *cpu, uint64_t rip, uint64_t rdp)
{
	struct fxstate *fx = &cpu->fx;
	struct insn in;
	unsigned i;
	const struct block *b = recover_block(cpu->scanner, rip, &i);

	fx->fip = b ? b->eip + b->rec[i].guest_off : 0;
	fx->fcs = cpu->seg[SEG_CS].selector;
	fx->fds = cpu->seg[SEG_DS].selector;
	if (rdp >> 32)
		fx->fdp = cpu->scan.window && rdp - cpu->scan.window < 1ull << 32 ? (uint32_t)(rdp - cpu->scan.window) : 0;
	/* somebody will look only if an error is pending (and newer hosts keep this up to date only then) */
	if (!(fx->fsw & FSW_ES) || !b || !recover_insn(cpu->scanner, b, i, &in))
		return;
	fx->fop = (uint16_t)((in.opcode & 7) << 8 | in.modrm);
	if (in.modrm >= 0xC0)
		return;
	fx->fds = cpu->seg[in.seg].selector;
	if (fx->fdp)
		fx->fdp -= cpu->seg[in.seg].base;
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
	if (rip >> 32) {
		translate_pointers(cpu, rip, rdp);
	} else {
		fx->fcs = s->fcs;
		fx->fds = s->fds;
	}
	fx->rsvd2 = fx->rsvd3 = 0;
}
