/*
 * insn.def made into arrays: per name, per opcode row, per slot of the opcode map.
 *
 * A row's number comes from its line in insn.def, which is the same in each pass. Two rows for
 * one slot do not compile (-Woverride-init).
 */
#include "decode/opcode.h"

const struct insn_info insn_info[I_COUNT] = {
	[I_INVALID] = { "(bad)", 0, 0, 0, VIRT_TRAPS },
#define INSN(name, mnemonic, reads, writes, undef, virt) [I_##name] = { mnemonic, reads, writes, undef, virt },
#include "decode/insn.def"
};

#define PASTE_(a, b)	a##b
#define PASTE(a, b)	PASTE_(a, b)
#define ROW		PASTE(ROW_AT_LINE_, __LINE__)

enum {
	ROW_RESERVED,
#define OP(...) ROW,
#define OP_GROUP(...)
#define OP_SPLIT(...)
#include "decode/insn.def"
	ROW_COUNT
};

/* What an operand code means to the row. ModRM operands are the first or the second. */
#define CODE_ATTR(c)								\
	((C_##c >= C_NEEDS_MODRM ? ROW_MODRM : 0) |				\
	 (C_##c >= C_M && C_##c <= C_Mstate ? ROW_MEM_ONLY : 0) |		\
	 (C_##c == C_Nq || C_##c == C_Ux ? ROW_REG_ONLY : 0) |			\
	 (C_##c == C_Sw ? ROW_SREG : 0))
#define ROW_INIT(attr, name, a, b, c, ...) \
	{ I_##name, ROW_##attr | CODE_ATTR(a) | CODE_ATTR(b), { C_##a, C_##b, C_##c } },

const struct insn_row insn_rows[ROW_COUNT] = {
	[ROW_RESERVED] = { I_INVALID, 0, { 0 } },
#define OP(slots, attr, name, ...) ROW_INIT(attr, name, ##__VA_ARGS__, , , , )
#define OP_GROUP(...)
#define OP_SPLIT(...)
#include "decode/insn.def"
};
const unsigned insn_row_count = ROW_COUNT;

const uint16_t insn_slots[SLOT_COUNT] = {
#define OP(slots, ...)		[slots] = ROW,
#define OP_GROUP(slots, group)	[slots] = SLOT_IS_GROUP | (group),
#define OP_SPLIT(slots, split)	[slots] = SLOT_IS_SPLIT | (split),
#include "decode/insn.def"
};
