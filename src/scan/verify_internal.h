/*
 * The verifier's working space: what is known of each register on each path. Between verify.c (the abstract run)
 * and verify_memory.c (memory operands).
 */
#ifndef PLEX86_SCAN_VERIFY_INTERNAL_H
#define PLEX86_SCAN_VERIFY_INTERNAL_H

#include <Zydis/Zydis.h>

#include "scan/verify.h"

#define MAX_INSNS 8192
#define GUEST_REGS 0x80EF		/* rax..rdi but rsp; r15 */
#define MONITOR_REGS 0x7010		/* rsp, r12..r14: never written, read only as the base of an operand */

enum kind {
	KIND_ANY,	/* unknown: may be a host address, so it must not be looked at */
	KIND_WIDE,	/* 64 bits, but made of guest values */
	KIND_MONITOR,
	KIND_WINDOW,	/* window base + 32 bits, and what the guards bear: its low half is the guest's */
	KIND_TABLE,	/* a mode's hash of branch targets */
	KIND_ADDEND,	/* table entry for the page of value `of` */
	KIND_U32,	/* from here on: zero-extended */
	KIND_U16,	/* less than 64K */
	KIND_PAGE,	/* U32: value `of` >> 12 */
	KIND_LAST,	/* U32: value `of` + size - 1 */
	KIND_XOR,	/* U32: value `of` ^ (value `of` + size - 1) */
};

struct value {
	uint8_t kind, size;
	bool write, not_null;		/* ADDEND; write: also of a constant that asks for one */
	bool constant;
	uint8_t zero[3];		/* states are compared as bytes */
	int32_t id, of;			/* id: its name; two registers of one id hold the same */
};
#define NO_ID (-1)

enum test { TEST_NONE, TEST_NULL, TEST_ALIGN, TEST_CROSS };

struct state {
	bool reached;
	struct value reg[16];
	struct { uint8_t test, reg, size, zero; int32_t id; } flags;	/* what ZF tells */
	struct { int32_t id; uint8_t size, zero[3]; } inside;		/* accesses of size bytes at value id stay in one page */
};

struct host_insn {
	uint32_t off;
	struct state in;
};

struct run {
	const struct verify_code *code;
	struct verify_totals totals;		/* of this code */
	struct verify_finding *finding;
	ZydisDecoder decoder;
	struct host_insn insn[MAX_INSNS];
	unsigned n;
	/* the instruction being looked at */
	ZydisDecodedInstruction d;
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
	uint32_t off;
	bool changed;
};

static inline bool is_u32(struct value v) { return v.kind >= KIND_U32; }

/* 0..15 for any part of a general register, -1 for another register. */
static inline int gpr_number(ZydisRegister reg)
{
	ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
	if (whole < ZYDIS_REGISTER_RAX || whole > ZYDIS_REGISTER_R15)
		return -1;
	return (int)(whole - ZYDIS_REGISTER_RAX);
}

/* false, and the finding says what of the instruction being looked at. */
bool verify_violation(struct run *r, const char *what);

/* A register that forms an address or is an operand: may its value be seen there? cut: to 32 bits or less. */
bool verify_may_read(struct run *r, const struct state *s, ZydisRegister reg, bool cut);

/* A 64-bit LEA that makes a host address in the window: r14 + a guest value, or another such address moved
 * by no more than a block can move ESP (an access comes before the guards are used up). */
bool verify_window_pointer(const struct state *s, const ZydisDecodedOperandMem *m);

bool verify_memory(struct run *r, const struct state *s, const ZydisDecodedOperand *o);

#endif
