/*
 * The opcode rows of insn.def: where they lie in the opcode map, and what their operand codes mean.
 *
 * A slot is a place in the opcode map. There is one flat array of slots; the macros below name
 * ranges of it. A slot holds a row, or says that the ModRM byte chooses among further slots.
 * So decoding is one or two look-ups, whatever the opcode.
 */
#ifndef PLEX86_DECODE_OPCODE_H
#define PLEX86_DECODE_OPCODE_H

#include "decode/decode.h"

enum opcode_group {
	GRP_80, GRP_81, GRP_83, GRP_8F, GRP_C0, GRP_C1, GRP_C6, GRP_C7, GRP_D0, GRP_D1, GRP_D2,
	GRP_D3, GRP_F6, GRP_F7, GRP_FE, GRP_FF, GRP_0F00, GRP_0F01, GRP_0F18, GRP_0FAE, GRP_0FBA,
	GRP_0FC7, GRP_0F71, GRP_0F72, GRP_0F73, GRP_660F71, GRP_660F72, GRP_660F73,
	GRP_COUNT
};
enum opcode_split { SPLIT_0F12, SPLIT_0F16, SPLIT_COUNT };

/* Which of the four columns of a two-byte opcode: the mandatory prefix. */
enum { COLUMN_NP, COLUMN_66, COLUMN_F3, COLUMN_F2 };

enum {
	SLOT_ONE	= 0,				/* [opcode] */
	SLOT_PAUSE	= SLOT_ONE + 256,		/* F3 90 */
	SLOT_TWO	= SLOT_PAUSE + 1,		/* [opcode][column] */
	SLOT_GROUP	= SLOT_TWO + 256 * 4,		/* [group][reg][register form] */
	SLOT_SPLIT	= SLOT_GROUP + GRP_COUNT * 16,	/* [split][register form] */
	SLOT_FPU_MEM	= SLOT_SPLIT + SPLIT_COUNT * 2,	/* [opcode - D8][reg] */
	SLOT_FPU_REG	= SLOT_FPU_MEM + 64,		/* [opcode - D8][ModRM - C0] */
	SLOT_COUNT	= SLOT_FPU_REG + 512
};

#define ONE(op)			(SLOT_ONE + (op))
#define ONES(op, last)		ONE(op) ... ONE(last)
#define F3_90			SLOT_PAUSE
#define COLUMN(op, column)	(SLOT_TWO + (op) * 4 + (column))
#define NP(op)			COLUMN(op, COLUMN_NP)
#define OS(op)			COLUMN(op, COLUMN_66)
#define F3(op)			COLUMN(op, COLUMN_F3)
#define F2(op)			COLUMN(op, COLUMN_F2)
#define TWO(op)			NP(op) ... F2(op)	/* no mandatory prefix: 66 is the operand size, F2 and F3 nothing */
#define TWOS(op, last)		NP(op) ... F2(last)
#define GRPM(grp, reg)		(SLOT_GROUP + (grp) * 16 + (reg) * 2)	/* memory form */
#define GRPR(grp, reg)		(GRPM(grp, reg) + 1)			/* register form */
#define GRP(grp, reg)		GRPM(grp, reg) ... GRPR(grp, reg)
#define GRPS(grp, reg, last)	GRPM(grp, reg) ... GRPR(grp, last)
#define SPLITM(split)		(SLOT_SPLIT + (split) * 2)
#define SPLITR(split)		(SPLITM(split) + 1)
#define FM(op, reg)		(SLOT_FPU_MEM + ((op) - 0xD8) * 8 + (reg))
#define FR(op, modrm)		(SLOT_FPU_REG + ((op) - 0xD8) * 64 + (modrm) - 0xC0)
#define FRS(op, modrm, last)	FR(op, modrm) ... FR(op, last)

/*
 * Operand codes. First letter, as in the SDM: E register or memory, G register (reg field), M memory
 * only, R register (rm field) only, I immediate, J branch, O moffs, A far pointer, S segment register,
 * C control, D debug register, P Q N MMX (reg, rm or memory, rm only), V W U the same for XMM.
 * Second: b w d q 1 2 4 8 bytes, v operand size, z the same for immediates, t 10 bytes, x 16 bytes,
 * p far pointer, s pseudo-descriptor, a BOUND's pair.
 * Ours: Z register in the low opcode bits (as the SDM's "rAX/r8"); RvMw, RdMw a whole register or a
 * word of memory; RdAny a register even if mod says memory; sIb sign-extended; I2b ENTER's second;
 * StrB StrV the element of a string instruction; Mw/Md/Mq/Mt for x87 numbers, Menv, Mstate.
 */
enum operand_code {
	C_,
	C_AL, C_CL, C_AX, C_DX, C_eAX, C_ES, C_CS, C_SS, C_DS, C_FS, C_GS, C_One, C_Zb, C_Zv,
	C_StrB, C_StrV, C_Ib, C_Iw, C_Iz, C_sIb, C_I2b, C_Jb, C_Jz, C_Ap, C_Ob, C_Ov,
	C_NEEDS_MODRM,		/* from here on */
	C_Eb = C_NEEDS_MODRM, C_Ew, C_Ed, C_Ev, C_RvMw, C_RdMw, C_RdAny, C_Gb, C_Gw, C_Gd, C_Gv,
	C_M, C_Mb, C_Mw, C_Md, C_Mq, C_Mt, C_Mx, C_Mp, C_Ms, C_Ma, C_Menv, C_Mstate,
	C_Sw, C_Cd, C_Dd, C_Pq, C_Qd, C_Qq, C_Nq, C_Vx, C_Wd, C_Wq, C_Wx, C_Ux, C_ST0, C_STi,
	C_COUNT
};

/* Attributes of a form. */
enum {
	ROW_0		= 0,
	ROW_LOCK	= BIT(0),	/* LOCK allowed, if the destination is memory */
	ROW_COND	= BIT(1),	/* the low four opcode bits are a condition */
	ROW_FCOND	= BIT(2),	/* FCMOVcc: so are opcode bit 0 and ModRM bits 4:3 */
	ROW_NOCS	= BIT(3),	/* MOV Sw,Ew: CS is no destination */
	ROW_CR		= BIT(4),	/* MOV CR: reg is 0, 2, 3 or 4; mod is ignored, rm is a register */
	ROW_DR		= BIT(5),	/* MOV DR: mod is ignored too */
	/* found from the operands */
	ROW_MODRM	= BIT(6),	/* a ModRM byte follows */
	ROW_MEM_ONLY	= BIT(7),	/* mod must say memory */
	ROW_REG_ONLY	= BIT(8),	/* mod must say register */
	ROW_SREG	= BIT(9),	/* the reg field names a segment register: 0 to 5 */
};

struct insn_row {
	uint16_t name;			/* enum insn_name */
	uint16_t attr;			/* ROW_xxx */
	uint8_t code[3];		/* enum operand_code */
};

/* Row 0 is the reserved opcode: I_INVALID. */
extern const struct insn_row insn_rows[];
extern const unsigned insn_row_count;

/* Per slot: a row, or a group or split with the bit set. */
enum { SLOT_IS_GROUP = 0x8000, SLOT_IS_SPLIT = 0x4000 };
extern const uint16_t insn_slots[SLOT_COUNT];

#endif
