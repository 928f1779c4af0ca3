/*
 * Runs one 32-bit instruction on the host CPU itself, in a compatibility-mode code segment, with
 * chosen registers and x87/SSE state, and reports what came of it. The oracle for fpu*.c, mmx.c, sse*.c.
 *
 * Addresses are fixed and low: the instruction sees them as 32-bit linear addresses, and the
 * emulator under test has its guest memory at the same ones.
 */
#ifndef PLEX86_TESTS_INSN_FPU_NATIVE_H
#define PLEX86_TESTS_INSN_FPU_NATIVE_H

#define NATIVE_BASE	0x100000
#define NATIVE_CODE	NATIVE_BASE		/* the trampoline, copied here */
#define NATIVE_INSN	(NATIVE_BASE + 0x1000)	/* the instruction under test */
#define NATIVE_BLOCK	(NATIVE_BASE + 0x2000)	/* struct native_block */
#define NATIVE_DATA	(NATIVE_BASE + 0x4000)	/* its memory operands */
#define NATIVE_DATA_BYTES 0x400
#define NATIVE_END	(NATIVE_BASE + 0x6000)
#define NATIVE_STACK	(NATIVE_BASE + 0x5F00)

/* offsets in struct native_block */
#define BLOCK_FX_IN	0
#define BLOCK_FX_OUT	512
#define BLOCK_GPR_IN	1024
#define BLOCK_GPR_OUT	1056
#define BLOCK_EFLAGS_IN	1088
#define BLOCK_EFLAGS_OUT 1092
#define BLOCK_RSP	1096
#define BLOCK_MXCSR	1104

#ifndef __ASSEMBLER__
#include "cpu/vcpu.h"

struct native_block {
	struct fxstate fx_in, fx_out;
	uint32_t gpr_in[8], gpr_out[8];
	uint32_t eflags_in, eflags_out;
	uint64_t host_rsp;
	uint32_t mxcsr;
};

struct native_result {
	int vector;			/* exception, or -1 */
	uint32_t eip;			/* of the exception */
};

/* Maps the area and installs the signal handlers; false: this host has no 32-bit code segment. */
bool native_init(void);
void native_exit(void);

/* The block and the data are inputs and outputs. */
struct native_result native_run(const uint8_t *code, unsigned len);

static inline struct native_block *native_block(void) { return (struct native_block *)(uintptr_t)NATIVE_BLOCK; }
static inline uint8_t *native_data(void) { return (uint8_t *)(uintptr_t)NATIVE_DATA; }
#endif
#endif
