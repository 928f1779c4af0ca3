/*
 * The guest's x87/MMX/SSE state as scanned code leaves it.
 *
 * The last-instruction pointer the host keeps is an address in the code cache: it becomes the guest's EIP
 * when the state is saved (callout.c), and the operand pointer loses the window's base. Nothing of ours
 * shows (invariant 6).
 */
#include "scan/internal.h"

#define FSW_ES BIT(7)		/* an unmasked exception is pending */

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

void fpu_saved(struct vcpu *cpu)
{
	struct scanner *s = cpu->scanner;
	struct fxstate *fx = &cpu->fx;
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
