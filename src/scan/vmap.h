/*
 * The virtualization map: what becomes of each instruction when it is scanned.
 */
#ifndef PLEX86_SCAN_VMAP_H
#define PLEX86_SCAN_VMAP_H

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

#endif
