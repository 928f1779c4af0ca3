/*
 * Writing x86-64 machine code: the only place that knows opcode bytes of the host.	[SDM 2]
 *
 * Code is written through the writable view and addressed as it will run, in the executable view;
 * the two are never the same address (invariant 2). Sizes are bytes.
 */
#ifndef PLEX86_SCAN_ASM_X64_H
#define PLEX86_SCAN_ASM_X64_H

#include <string.h>

#include "util/types.h"

enum host_reg {
	RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15,
	NOREG = 16,
};

enum host_cond { CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_NS, CC_P, CC_NP, CC_L, CC_GE, CC_LE, CC_G };

struct asm_buf {
	uint8_t *rw;		/* where the next byte is written */
	uint8_t *end;		/* of the room there is */
	ptrdiff_t rx_delta;	/* executable address = written address + rx_delta */
};

static inline uint8_t *asm_here(const struct asm_buf *b) { return b->rw + b->rx_delta; }

/* A memory operand. base/index may be NOREG; addr32: effective address cut to 32 bits. */
struct host_mem {
	uint8_t base, index, scale;
	int32_t disp;
	bool gs, addr32;
};
#define MEM_BASE(b, d)	((struct host_mem){ .base = (b), .index = NOREG, .disp = (d) })

/* An opcode: mandatory or operand-size prefix (0, 66, F2, F3), map (0 one-byte, 1 0F), opcode. */
struct host_op {
	uint8_t prefix, map, opcode;
	bool wide;		/* REX.W */
};
#define OP1(o)		((struct host_op){ .opcode = (o) })
#define OP1W(o)		((struct host_op){ .opcode = (o), .wide = true })
#define OP2(o)		((struct host_op){ .map = 1, .opcode = (o) })

/* The caller sees to it that there is room (cache_make_room()). */
static inline void asm_byte(struct asm_buf *b, unsigned v) { *b->rw++ = (uint8_t)v; }

static inline void asm_u32(struct asm_buf *b, uint32_t v)
{
	memcpy(b->rw, &v, sizeof(v));
	b->rw += sizeof(v);
}

static inline void asm_bytes(struct asm_buf *b, const uint8_t *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		asm_byte(b, p[i]);
}

/* op with a ModRM naming reg (0..15, or the /digit) and a register or memory operand. Immediates
 * follow by asm_byte() and friends. */
void asm_op_rr(struct asm_buf *b, struct host_op op, unsigned reg, unsigned rm);
void asm_op_rm(struct asm_buf *b, struct host_op op, unsigned reg, struct host_mem m);

/* 32-bit moves and address arithmetic that leave the flags alone. */
void asm_mov_rr(struct asm_buf *b, unsigned dst, unsigned src);
void asm_mov_rr64(struct asm_buf *b, unsigned dst, unsigned src);
void asm_mov_ri(struct asm_buf *b, unsigned dst, uint32_t imm);
void asm_mov_ri64(struct asm_buf *b, unsigned dst, uint64_t imm);
void asm_load(struct asm_buf *b, unsigned dst, struct host_mem m);
void asm_load64(struct asm_buf *b, unsigned dst, struct host_mem m);
void asm_store(struct asm_buf *b, struct host_mem m, unsigned src);
void asm_store64(struct asm_buf *b, struct host_mem m, unsigned src);
void asm_store_imm(struct asm_buf *b, struct host_mem m, uint32_t imm);
void asm_lea(struct asm_buf *b, unsigned dst, struct host_mem m);	/* 32-bit result */

/* op r/m, imm32 (or sign-extended imm8 where it fits): the /digit of 81/83. */
enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };
void asm_alu_ri(struct asm_buf *b, unsigned alu, unsigned reg, uint32_t imm);
void asm_alu_mi(struct asm_buf *b, unsigned alu, struct host_mem m, uint32_t imm);

/* Branches to an executable address, always rel32; each returns the executable address of its
 * displacement field, for asm_patch(). A NULL target is to be patched later. */
uint8_t *asm_jmp(struct asm_buf *b, const uint8_t *target);
uint8_t *asm_call(struct asm_buf *b, const uint8_t *target);
uint8_t *asm_jcc(struct asm_buf *b, unsigned cc, const uint8_t *target);
void asm_jmp_reg(struct asm_buf *b, unsigned reg);
void asm_jmp_mem(struct asm_buf *b, struct host_mem m);
void asm_call_mem(struct asm_buf *b, struct host_mem m);
void asm_ret(struct asm_buf *b);

/* Point the rel32 at executable address `field` to target. rx_delta as in the buffer it was written through. */
void asm_patch(uint8_t *field, const uint8_t *target, ptrdiff_t rx_delta);

/* lahf; seto al / add $127, al; sahf: the arithmetic flags to and from AX. */
void asm_save_flags(struct asm_buf *b);
void asm_restore_flags(struct asm_buf *b);

/* Keep the next `bytes` bytes from crossing or ending on a 32-byte line (JCC erratum). */
void asm_align_branch(struct asm_buf *b, unsigned bytes);

#endif
