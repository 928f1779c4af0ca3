/*
 * Intercepts: instructions and events that somebody outside the guest (the library) sees before they happen.
 *
 * Which instructions, is asked when a block is made from them: whoever changes his mind flushes the blocks. Other code
 * pays nothing. An intercepted instruction is the last of its block, and run() carries it out, as an
 * exec_fn does: with the guest's state exact. To leave it alone for now, run() puts EIP back to insn_eip, takes
 * the instruction off icount, which the engine will count, and sets attention.
 */
#ifndef PLEX86_CPU_INTERCEPT_H
#define PLEX86_CPU_INTERCEPT_H

#include "cpu/vcpu.h"

enum intercept_verdict {
	INTERCEPT_NOT,			/* deliver it */
	INTERCEPT_DROP,			/* do not, and go on at EIP */
	INTERCEPT_STOP,			/* do not, and end the run (NEXT_STOP) */
};

struct intercept {
	/* in->name is I_INVALID where the bytes are no instruction. lin: its first byte's */
	bool (*wants)(struct vcpu *cpu, const struct insn *in, lin_t lin);
	void (*run)(struct vcpu *cpu, const struct insn *in);
	/* an exception is about to be delivered; EIP is what it would push */
	enum intercept_verdict (*exception)(struct vcpu *cpu, uint8_t vector, bool has_error, uint32_t error);
};

static inline bool cpu_intercepts(struct vcpu *cpu, const struct insn *in, lin_t lin)
{
	return unlikely(cpu->intercept) && cpu->intercept->wants(cpu, in, lin);
}

#endif
