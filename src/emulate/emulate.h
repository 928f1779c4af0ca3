/*
 * Tier 0: the complete interpreter. The reference, the cold path, and what is too rare to scan.
 */
#ifndef PLEX86_EMULATE_EMULATE_H
#define PLEX86_EMULATE_EMULATE_H

#include "cpu/cpu.h"
#include "mmu/mmu.h"

/*
 * Carry out one instruction. On entry insn_eip = its start, eip = past it. It may change eip
 * (branches), and leave through cpu_raise(). REP instructions do a bounded number of iterations
 * and set eip = insn_eip to be continued. HLT sets cpu->halted and attention.
 * Flags come from the host's own ALU (inline assembly, lahf + seto), so that what the SDM leaves
 * undefined is what the host does, in all tiers alike.
 */
typedef void exec_fn(struct vcpu *cpu, const struct insn *in);

/* Handler for a decoded instruction: specialised by operand form where that is faster, by name
 * otherwise; never NULL (unimplemented: a handler that stops the VM with a report). */
exec_fn *emulate_handler(const struct insn *in);

/* Effective address (offset), cut to the address size. */
static inline uint32_t insn_ea(const struct vcpu *cpu, const struct insn *in)
{
	uint32_t ea = (uint32_t)in->disp + cpu->gpr[in->base] + (cpu->gpr[in->index] << in->scale);

	return in->adsize == 2 ? (uint16_t)ea : ea;
}

int emulate_init(struct vcpu *cpu);		/* block cache; 0 or -errno */
void emulate_free(struct vcpu *cpu);

/* Run until attention, icount_stop, HLT or a triple fault. Delivers faults and interrupts itself. */
enum next emulate_run(struct vcpu *cpu);

/* The same, but no further than the page of code that EIP is in, nor past the first fault. */
enum next emulate_page(struct vcpu *cpu);

/* Exactly one instruction (or one REP chunk, or one fault delivery), then cpu_check_events() is the
 * caller's. Used by scanned code for what it does not translate, and by single-stepping. */
enum next emulate_step(struct vcpu *cpu);

/* Bytes of a PAGE_CODE page changed: drop decoded blocks that hold any of them. True: there were some. */
bool emulate_code_written(struct vcpu *cpu, uint64_t fd_offset, unsigned len);
/* May [fd_offset, fd_offset + len) of a page hold decoded code? To 64 bytes. */
bool emulate_code_at(const struct vcpu *cpu, uint64_t fd_offset, unsigned len);
void emulate_flush(struct vcpu *cpu);		/* all blocks */

#endif
