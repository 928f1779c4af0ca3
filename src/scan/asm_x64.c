/*
 * x86-64 encoder.				[SDM 2, "Instruction Format", "IA-32e Mode"]
 *
 * Only what scanned code needs. Absolute addresses always go through ModRM + SIB: the moffs
 * forms with an address-size prefix stall the decoder (length-changing prefix).
 */
#include "scan/asm_x64.h"

#include <string.h>

static void prefixes(struct asm_buf *b, struct host_op op, unsigned reg, unsigned index, unsigned rm)
{
	if (op.prefix)
		asm_byte(b, op.prefix);
	unsigned rex = (op.wide ? 8 : 0) | (reg & 8) >> 1 | (index & 8) >> 2 | (rm & 8) >> 3;
	/* SPL..DIL never arise (a guest byte register 4..7 is AH..BH), so a byte operand adds no REX itself */
	if (rex)
		asm_byte(b, 0x40 | rex);
	if (op.map)
		asm_byte(b, 0x0F);
	asm_byte(b, op.opcode);
}

void asm_op_rr(struct asm_buf *b, struct host_op op, unsigned reg, unsigned rm)
{
	prefixes(b, op, reg, 0, rm);
	asm_byte(b, 0xC0 | (reg & 7) << 3 | (rm & 7));
}

void asm_op_rm(struct asm_buf *b, struct host_op op, unsigned reg, struct host_mem m)
{
	if (m.gs)
		asm_byte(b, 0x65);
	if (m.addr32)
		asm_byte(b, 0x67);
	unsigned base = m.base == NOREG ? 0 : m.base, index = m.index == NOREG ? 0 : m.index;
	prefixes(b, op, reg, index, base);

	unsigned r = (reg & 7) << 3;
	if (m.base == NOREG) {			/* [index * scale +] disp32, through SIB: never RIP-relative */
		asm_byte(b, r | 4);
		asm_byte(b, m.index == NOREG ? 0x25 : m.scale << 6 | (index & 7) << 3 | 5);
		asm_u32(b, (uint32_t)m.disp);
		return;
	}
	unsigned mod = m.disp == 0 && (base & 7) != 5 ? 0 : m.disp >= -128 && m.disp <= 127 ? 1 : 2;
	if (m.index != NOREG || (base & 7) == 4) {
		asm_byte(b, mod << 6 | r | 4);
		asm_byte(b, m.scale << 6 | (m.index == NOREG ? 4 : index & 7) << 3 | (base & 7));
	} else {
		asm_byte(b, mod << 6 | r | (base & 7));
	}
	if (mod == 1)
		asm_byte(b, (uint8_t)m.disp);
	else if (mod == 2)
		asm_u32(b, (uint32_t)m.disp);
}

void asm_mov_rr(struct asm_buf *b, unsigned dst, unsigned src) { asm_op_rr(b, OP1(0x89), src, dst); }
void asm_mov_rr64(struct asm_buf *b, unsigned dst, unsigned src) { asm_op_rr(b, OP1W(0x89), src, dst); }

void asm_mov_ri(struct asm_buf *b, unsigned dst, uint32_t imm)
{
	if (dst & 8)
		asm_byte(b, 0x41);
	asm_byte(b, 0xB8 | (dst & 7));
	asm_u32(b, imm);
}

void asm_mov_ri64(struct asm_buf *b, unsigned dst, uint64_t imm)
{
	asm_byte(b, 0x48 | (dst & 8) >> 3);
	asm_byte(b, 0xB8 | (dst & 7));
	asm_u32(b, (uint32_t)imm);
	asm_u32(b, (uint32_t)(imm >> 32));
}

void asm_load(struct asm_buf *b, unsigned dst, struct host_mem m) { asm_op_rm(b, OP1(0x8B), dst, m); }
void asm_load64(struct asm_buf *b, unsigned dst, struct host_mem m) { asm_op_rm(b, OP1W(0x8B), dst, m); }
void asm_store(struct asm_buf *b, struct host_mem m, unsigned src) { asm_op_rm(b, OP1(0x89), src, m); }
void asm_store64(struct asm_buf *b, struct host_mem m, unsigned src) { asm_op_rm(b, OP1W(0x89), src, m); }

void asm_store_imm(struct asm_buf *b, struct host_mem m, uint32_t imm)
{
	asm_op_rm(b, OP1(0xC7), 0, m);
	asm_u32(b, imm);
}

void asm_lea(struct asm_buf *b, unsigned dst, struct host_mem m)
{
	m.gs = m.addr32 = false;	/* a 32-bit destination truncates by itself */
	asm_op_rm(b, OP1(0x8D), dst, m);
}

static bool fits8(uint32_t imm) { return (int32_t)imm >= -128 && (int32_t)imm <= 127; }

void asm_alu_ri(struct asm_buf *b, unsigned alu, unsigned reg, uint32_t imm)
{
	asm_op_rr(b, OP1(fits8(imm) ? 0x83 : 0x81), alu, reg);
	if (fits8(imm))
		asm_byte(b, imm & 0xFF);
	else
		asm_u32(b, imm);
}

void asm_alu_mi(struct asm_buf *b, unsigned alu, struct host_mem m, uint32_t imm)
{
	asm_op_rm(b, OP1(fits8(imm) ? 0x83 : 0x81), alu, m);
	if (fits8(imm))
		asm_byte(b, imm & 0xFF);
	else
		asm_u32(b, imm);
}

static uint8_t *rel32(struct asm_buf *b, const uint8_t *target)
{
	uint8_t *field = asm_here(b);
	asm_u32(b, target ? (uint32_t)(target - (field + 4)) : 0);
	return field;
}

uint8_t *asm_jmp(struct asm_buf *b, const uint8_t *target)
{
	asm_byte(b, 0xE9);
	return rel32(b, target);
}

uint8_t *asm_call(struct asm_buf *b, const uint8_t *target)
{
	asm_byte(b, 0xE8);
	return rel32(b, target);
}

uint8_t *asm_jcc(struct asm_buf *b, unsigned cc, const uint8_t *target)
{
	asm_byte(b, 0x0F);
	asm_byte(b, 0x80 | cc);
	return rel32(b, target);
}

void asm_jmp_reg(struct asm_buf *b, unsigned reg) { asm_op_rr(b, OP1(0xFF), 4, reg); }
void asm_jmp_mem(struct asm_buf *b, struct host_mem m) { asm_op_rm(b, OP1(0xFF), 4, m); }
void asm_call_mem(struct asm_buf *b, struct host_mem m) { asm_op_rm(b, OP1(0xFF), 2, m); }
void asm_ret(struct asm_buf *b) { asm_byte(b, 0xC3); }

void asm_patch(uint8_t *field, const uint8_t *target, ptrdiff_t rx_delta)
{
	int32_t rel = (int32_t)(target - (field + 4));
	/* One store: the only thread that runs this code is the one that writes it. */
	memcpy(field - rx_delta, &rel, sizeof(rel));
}

void asm_save_flags(struct asm_buf *b)
{
	asm_byte(b, 0x9F);			/* lahf */
	asm_op_rr(b, OP2(0x90), 0, RAX);	/* seto al */
}

void asm_restore_flags(struct asm_buf *b)
{
	asm_byte(b, 0x04);			/* add $127, al: OF again */
	asm_byte(b, 0x7F);
	asm_byte(b, 0x9E);			/* sahf */
}

void asm_align_branch(struct asm_buf *b, unsigned bytes)
{
	unsigned at = (uintptr_t)asm_here(b) & 31;
	if (at + bytes < 32)
		return;
	for (unsigned n = 32 - at; n > 0; ) {	/* long NOPs: 0F 1F with its recommended paddings */
		static const uint8_t nop9[9] = { 0x66, 0x0F, 0x1F, 0x84, 0, 0, 0, 0, 0 };
		static const uint8_t nop4[4] = { 0x0F, 0x1F, 0x40, 0 };
		if (n >= 9) {
			asm_bytes(b, nop9, 9);
			n -= 9;
		} else if (n >= 4) {
			asm_bytes(b, nop4, 4);
			n -= 4;
		} else {
			asm_byte(b, 0x90);
			n--;
		}
	}
}
