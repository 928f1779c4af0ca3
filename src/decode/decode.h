/*
 * Decoder: bytes -> struct insn.					[SDM 2, "Instruction Format"]
 *
 * insn.def is the table; everything that asks "what does this instruction do" is answered from
 * it: the decoder, the emulator's dispatch, the scanner, the test generators. This folder knows
 * nothing of vm, cpu or memory.
 *
 * An instruction is named by its SDM mnemonic, I_xxx. One name serves all operand forms and
 * sizes: the form is in opnd[]. Size-suffixed mnemonics are one name (MOVSB/W/D = I_MOVS, size in
 * opnd[].size); Jcc, SETcc, CMOVcc, FCMOVcc are one name each, with the condition in cond.
 * Prefixed SSE forms have the SDM's own distinct names (ADDPS, ADDSD...); the string MOVSD is
 * I_MOVS, the SSE one I_MOVSD.
 */
#ifndef PLEX86_DECODE_DECODE_H
#define PLEX86_DECODE_DECODE_H

#include "util/types.h"

enum { REG_EAX, REG_ECX, REG_EDX, REG_EBX, REG_ESP, REG_EBP, REG_ESI, REG_EDI, REG_NONE };
enum { REG_AL, REG_CL, REG_DL, REG_BL, REG_AH, REG_CH, REG_DH, REG_BH };	/* size 1 */
enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS };	/* the encoding of Sreg */

enum insn_name {
	I_INVALID,			/* #UD */
#define INSN(name, ...) I_##name,
#include "decode/insn.def"
	I_COUNT
};

enum {
	PREFIX_LOCK	= BIT(0),
	PREFIX_REP	= BIT(1),	/* F3 given (the last of F2/F3 wins), also when mandatory or ignored */
	PREFIX_REPNE	= BIT(2),	/* F2 */
	PREFIX_SEG	= BIT(3),	/* a segment override was given */
	PREFIX_OPSIZE	= BIT(4),	/* 66 */
	PREFIX_ADSIZE	= BIT(5),	/* 67 */
};

enum operand_kind {
	OPND_NONE,
	OPND_REG,	/* reg = REG_xxx of that size; size 1: AL CL DL BL AH CH DH BH */
	OPND_MEM,	/* the insn's base/index/scale/disp/seg; size 0 where the memory has none (LEA, INVLPG) */
	OPND_IMM,	/* the insn's imm: Ib, Iw, Iz zero-extended, the "sign-extended imm8" forms
			 * (83, 6A, 6B) sign-extended to 32 bits: cut to size where size is 2 */
	OPND_IMM2,	/* ENTER's second immediate: imm2 */
	OPND_ONE,	/* the constant 1 of the D0/D1 shifts */
	OPND_REL,	/* branch displacement in imm, sign-extended; target = next eip + imm, cut to opsize */
	OPND_FAR,	/* ptr16:16/32: offset in imm, selector in imm2 */
	OPND_SREG,	/* reg = SEG_xxx */
	OPND_CR, OPND_DR,
	OPND_MMX, OPND_XMM,	/* reg = 0..7 */
	OPND_ST,	/* reg = i of ST(i) */
};

struct operand {
	uint8_t kind;		/* enum operand_kind */
	uint8_t reg;
	uint8_t size;		/* bytes: 1 2 4 8 10 16; m16:16 4, m16:32 6; pseudo-descriptor 6; BOUND 2*opsize;
				 * FPU env 14/28, state 94/108, FXSAVE 0 (=512) */
	uint8_t pad;
};

/*
 * One decoded instruction. All implicit operands that the SDM's opcode map writes out (AL, eAX,
 * CL, DX, 1) are in opnd[]; those it does not (the EDX of MUL, the ESI/EDI of strings) are not.
 * String instructions: no operand (nopnd 0), but opnd[0].size is the element's size; seg is the
 * (overridable) source segment, ES:EDI is implied. XLAT, MASKMOVQ: seg likewise.
 * seg is DS, SS for an EBP or ESP base, or the override, whether there is memory or not.
 */
struct insn {
	uint16_t name;		/* enum insn_name */
	uint16_t row;		/* index of the opcode row in insn_rows[] */
	uint8_t len;		/* 1..15 */
	uint8_t opsize;		/* operand-size attribute in bytes, 2 or 4 */
	uint8_t adsize;		/* address-size attribute in bytes, 2 or 4 */
	uint8_t prefix;		/* PREFIX_xxx */
	uint8_t opcode;		/* last opcode byte */
	uint8_t modrm;		/* 0 where there is none */
	uint8_t cond;		/* Jcc, SETcc, CMOVcc: condition 0..15 (opcode & 15); FCMOVcc: 0..7 (B E BE U NB NE NBE NU) */
	uint8_t seg;		/* segment of the memory operand, override applied */
	uint8_t base, index;	/* REG_EAX..REG_EDI or REG_NONE (16-bit forms too: EBX/EBP + ESI/EDI) */
	uint8_t scale;		/* 0..3 */
	uint8_t nopnd;
	int32_t disp;		/* sign-extended (16-bit forms too; the sum is cut to adsize) */
	uint32_t imm, imm2;
	struct operand opnd[4];
};

/* EFLAGS bits as insn.def names them; values are the architectural ones. */
enum {
	FLAG_C = 0x001, FLAG_P = 0x004, FLAG_A = 0x010, FLAG_Z = 0x040, FLAG_S = 0x080,
	FLAG_T = 0x100, FLAG_I = 0x200, FLAG_D = 0x400, FLAG_O = 0x800,
	FLAG_ARITH = 0x8D5,	/* O S Z A P C */
};

/* What the instruction means to a monitor at CPL 3 (insn.def says which, and why). */
enum virt {
	VIRT_NATIVE,	/* runs as itself */
	VIRT_TRAPS,	/* the CPU faults for us */
	VIRT_SILENT,	/* runs without a fault and gives a wrong answer: must be replaced */
	VIRT_BRANCH,	/* changes EIP: scan must follow it */
};

struct insn_info {		/* per insn_name */
	const char *mnemonic;	/* lower case, Intel */
	uint16_t reads, writes, undef;	/* FLAG_xxx; undef = left undefined by the SDM (not counted in writes) */
	uint8_t virt;		/* enum virt */
};
extern const struct insn_info insn_info[I_COUNT];

/*
 * The flags of one instruction, exact for its form: condition, constant count, REP. Live flags before =
 * reads | (live after & ~kills).
 *   reads   what the outcome hangs on, and what stays as it was if the instruction may leave it alone
 *	(a count of 0)
 *   writes  what gets a defined value
 *   undef   what the SDM leaves, or may leave, undefined
 *   kills   whose old value is certainly gone: writes, and of undef what no x86 processor keeps (AF after
 *	AND, say, but not OF after BT, which every one keeps). flags_test.c asks the host.
 */
struct insn_flags {
	uint16_t reads, writes, undef, kills;
};
struct insn_flags insn_flags(const struct insn *in);

/* As insn_info[].virt, but exact: MOV, PUSH, POP of a segment register are VIRT_SILENT. */
enum virt insn_virt(const struct insn *in);

/* Flags that condition 0..15 looks at.				[SDM 1, "EFLAGS Condition Codes"] */
static inline uint16_t cond_reads(unsigned cond)
{
	static const uint16_t reads[8] = {
		FLAG_O, FLAG_C, FLAG_Z, FLAG_C | FLAG_Z, FLAG_S, FLAG_P, FLAG_S | FLAG_O, FLAG_Z | FLAG_S | FLAG_O,
	};
	return reads[cond >> 1 & 7];
}

enum decode_error {
	DECODE_OK,
	DECODE_SHORT,		/* the bytes ran out before the instruction did (and before 15) */
	DECODE_TOO_LONG,	/* over 15 bytes: #GP(0) */
	DECODE_UD,		/* #UD; in->len is how far it got */
};

/*
 * Decode the instruction at code[0..avail). big: CS.D (true = 32-bit defaults).
 * #UD conditions that depend on the encoding alone (LOCK rules, register form where memory is
 * required, reserved opcodes) are decided here; those that depend on CPU state (CR0.EM, mode,
 * CPL) are the emulator's.
 */
enum decode_error decode_insn(struct insn *in, const uint8_t *code, size_t avail, bool big);

#endif
