/*
 * The virtualization map: what becomes of each instruction when it is scanned.
 */
#ifndef PLEX86_SCAN_VMAP_H
#define PLEX86_SCAN_VMAP_H

#include <stdio.h>

#include "decode/decode.h"

enum vmap_class {
	VMAP_EMULATE,		/* the emulator carries it out, then EIP is looked up: branches, mode changes. The default. */
	VMAP_CALL,		/* the emulator carries it out, the block goes on if nothing but registers changed */
	VMAP_INLINE,		/* emit.c knows how */
	VMAP_NATIVE,		/* re-encoded as itself */
	VMAP_X87,		/* ... once the guest's FPU state is loaded and CR0.TS and EM allow it */
	VMAP_MMX,
	VMAP_SSE,		/* ... and CR4.OSFXSR */
	VMAP_NOTHING,		/* has no effect */
};

extern const uint8_t vmap[I_COUNT];	/* enum vmap_class */

/*
 * What the user adds for one run (--virtualize): an instruction that stops the VM with a report
 * instead of running. spec: a mnemonic, and optionally text that its operands must hold as AT&T
 * syntax writes them: "nop", "mov %cr0".
 */
struct vmap_rule {
	char mnemonic[16];
	char operand[32];
};
bool vmap_parse(struct vmap_rule *rule, const char *spec);	/* false: no such mnemonic */
bool vmap_matches(const struct vmap_rule *rule, const struct insn *in, const char *att_text);
void vmap_list(FILE *f);				/* the map, a line an instruction */

#endif
