/*
 * Segment registers in scanned code: MOV, PUSH, POP, LDS and the like.		[SDM 2; SDM 3, "8086 Emulation"]
 *
 * In real and virtual-8086 mode a load changes the selector and the base, no more, once the
 * register's rights are what such a load leaves (MODE_PLAIN): that is done here. Scanned code takes
 * bases from struct vcpu, so nothing else follows from it. The same goes for CS in far branches: blocks of
 * such modes look at its base where they are returned to. What may hold off interrupts (MOV SS, POP SS),
 * and protected mode, is the emulator's.
 */
#include "scan/emit.h"

static const struct host_op store16 = { .prefix = 0x66, .opcode = 0x89 }, load16 = { .prefix = 0x66, .opcode = 0x8B };

/* reg = selector, zero-extended; it is used up. */
static void load_plain(struct emit *e, unsigned seg, unsigned reg)
{
	struct asm_buf *b = &e->b;

	asm_op_rm(b, store16, reg, emit_seg_field(seg, offsetof(struct segment, selector)));
	asm_lea(b, reg, (struct host_mem){ .base = reg, .index = reg });
	asm_lea(b, reg, (struct host_mem){ .base = NOREG, .index = reg, .scale = 3 });
	asm_store(b, emit_seg_field(seg, offsetof(struct segment, base)), reg);
	if (mode_seg(e->mode, seg) != SEG_BASED)
		return;
	asm_op_rm(b, OP1(0xC6), 0, emit_seg_field(seg, offsetof(struct segment, data_state)));	/* FLAT where the base was 0 */
	asm_byte(b, SEG_BASED);
	if (seg == SEG_CS) {
		asm_op_rm(b, OP1(0xC6), 0, emit_seg_field(seg, offsetof(struct segment, code_state)));
		asm_byte(b, SEG_BASED);
	}
}

static bool loadable(const struct emit *e, unsigned seg)
{
	return (e->mode & MODE_PLAIN) && (seg == SEG_ES || seg == SEG_DS || seg == SEG_FS || seg == SEG_GS);
}

static bool mov_from(struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	struct host_mem selector = emit_seg_field(in->opnd[1].reg, offsetof(struct segment, selector));

	if (in->opnd[0].kind == OPND_REG) {
		if (in->opnd[0].reg == REG_ESP)
			return false;
		asm_op_rm(&e->b, in->opsize == 4 ? OP2(0xB7) : load16, emit_gpr(in->opnd[0].reg), selector);
		return true;
	}
	asm_op_rm(&e->b, OP2(0xB7), R9, selector);
	asm_op_rm(&e->b, store16, R9, emit_mem(e, in, 2, true));
	return true;
}

static bool mov_to(struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	const struct operand *from = &in->opnd[1];

	if (!loadable(e, in->opnd[0].reg) || (from->kind == OPND_REG && from->reg == REG_ESP))
		return false;
	if (from->kind == OPND_REG)
		asm_op_rr(&e->b, OP2(0xB7), R9, emit_gpr(from->reg));
	else
		asm_op_rm(&e->b, OP2(0xB7), R9, emit_mem(e, in, 2, false));
	load_plain(e, in->opnd[0].reg, R9);
	return true;
}

static bool push(struct emit *e)
{
	const struct insn *in = &cur(e)->in;

	asm_op_rm(&e->b, OP2(0xB7), R9, emit_seg_field(in->opnd[0].reg, offsetof(struct segment, selector)));
	asm_op_rm(&e->b, store16, R9, emit_stack(e, -in->opsize, 2, true));	/* the upper half of a 32-bit slot stays */
	e->esp_off -= in->opsize;
	return true;
}

static bool pop(struct emit *e)
{
	const struct insn *in = &cur(e)->in;

	if (!loadable(e, in->opnd[0].reg))
		return false;
	asm_op_rm(&e->b, OP2(0xB7), R9, emit_stack(e, 0, 2, false));
	e->esp_off += in->opsize;
	load_plain(e, in->opnd[0].reg, R9);
	return true;
}

/* LDS and the like: the offset, then the selector behind it, which may lie behind the wrap of a 16-bit address. */
static bool load_far(struct emit *e, unsigned seg)
{
	const struct insn *in = &cur(e)->in;
	struct insn second = *in;
	unsigned reg = emit_gpr(in->opnd[0].reg);

	if (!(e->mode & MODE_PLAIN) || reg == R15)
		return false;
	second.disp += in->opsize;
	asm_op_rm(&e->b, in->opsize == 4 ? OP1(0x8B) : OP2(0xB7), R9, emit_mem(e, in, in->opsize, false));
	asm_op_rm(&e->b, OP2(0xB7), R10, emit_mem(e, &second, 2, false));
	asm_op_rr(&e->b, in->opsize == 4 ? OP1(0x89) : store16, R9, reg);
	load_plain(e, seg, R10);
	return true;
}

/* --- far branches: CS is loaded like any other, then it is a near one --- */

static void load_code_segment(struct emit *e, uint16_t selector)
{
	asm_mov_ri(&e->b, R9, selector);
	load_plain(e, SEG_CS, R9);
}

static uint32_t direct_target(const struct insn *in) { return in->opsize == 2 ? in->imm & 0xFFFF : in->imm; }

static bool jmp_far(struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	struct insn second = *in;

	if (in->opnd[0].kind == OPND_FAR) {
		if (direct_target(in) > e->block->cs_limit)
			return false;
		emit_flush_esp(e);
		load_code_segment(e, (uint16_t)in->imm2);
		emit_exit(e, direct_target(in));
		return true;
	}
	second.disp += in->opsize;
	asm_op_rm(&e->b, in->opsize == 4 ? OP1(0x8B) : OP2(0xB7), R9, emit_mem(e, in, in->opsize, false));
	emit_check_target(e, R9);
	asm_op_rm(&e->b, OP2(0xB7), R10, emit_mem(e, &second, 2, false));
	emit_flush_esp(e);
	load_plain(e, SEG_CS, R10);
	asm_mov_rr(&e->b, R11, R9);
	emit_indirect(e, false);
	return true;
}

static bool call_far(struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	const struct host_op store = { .prefix = in->opsize == 2 ? 0x66 : 0, .opcode = 0x89 };
	int size = in->opsize;
	uint32_t next = cur(e)->eip + in->len;

	if (in->opnd[0].kind != OPND_FAR || direct_target(in) > e->block->cs_limit)
		return false;
	asm_op_rm(&e->b, OP2(0xB7), R9, emit_seg_field(SEG_CS, offsetof(struct segment, selector)));
	asm_op_rm(&e->b, store, R9, emit_stack(e, -size, in->opsize, true));
	struct host_mem m = emit_stack(e, -2 * size, in->opsize, true);
	asm_mov_ri(&e->b, R8, next);
	asm_op_rm(&e->b, store, R8, m);
	e->esp_off -= 2 * size;
	emit_flush_esp(e);
	load_code_segment(e, (uint16_t)in->imm2);
	emit_link(e, asm_call(&e->b, NULL), direct_target(in));
	emit_return_point(e);
	emit_exit(e, next);			/* a far CALL ends its block */
	return true;
}

static bool ret_far(struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	int size = in->opsize;

	asm_op_rm(&e->b, OP2(0xB7), R9, emit_stack(e, size, 2, false));		/* first, as the emulator does */
	asm_op_rm(&e->b, size == 4 ? OP1(0x8B) : OP2(0xB7), R11, emit_stack(e, 0, in->opsize, false));
	emit_check_target(e, R11);
	e->esp_off += 2 * size + (in->opnd[0].kind == OPND_IMM ? (int)(in->imm & 0xFFFF) : 0);
	emit_flush_esp(e);
	load_plain(e, SEG_CS, R9);
	asm_ret(&e->b);
	return true;
}

bool emit_far(struct emit *e)
{
	if (!(e->mode & MODE_PLAIN))
		return false;
	switch (cur(e)->in.name) {
	case I_JMPF: return jmp_far(e);
	case I_CALLF: return call_far(e);
	case I_RETF: return ret_far(e);
	default: return false;
	}
}

bool emit_segment(struct emit *e)
{
	const struct insn *in = &cur(e)->in;

	switch (in->name) {
	case I_MOV:
		return in->opnd[1].kind == OPND_SREG ? mov_from(e) : in->opnd[0].kind == OPND_SREG && mov_to(e);
	case I_PUSH:
		return push(e);
	case I_POP:
		return pop(e);
	case I_LES: return load_far(e, SEG_ES);
	case I_LDS: return load_far(e, SEG_DS);
	case I_LSS: return load_far(e, SEG_SS);
	case I_LFS: return load_far(e, SEG_FS);
	case I_LGS: return load_far(e, SEG_GS);
	default:
		return false;
	}
}
