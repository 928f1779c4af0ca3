/*
 * 16-bit code: operands of two bytes, stacks in which SP wraps at 64K, segments that end.	[SDM 1, "Stacks"; SDM 2]
 *
 * The host has no 16-bit stack and no branch that cuts its target: pushes and pops become moves to
 * [SP] cut to 16 bits, and (E)SP moves by a 16-bit LEA, which leaves the upper half alone. A direct branch
 * out of the code segment is the emulator's (#GP); an indirect one is compared where it could be one.
 * Also here: what is not 16-bit but irregular in the same way, one element of a string through any
 * segment, and AH to BH beside a memory operand, whose address needs r8 to r15.
 */
#include "scan/emit.h"

static struct host_op sized(unsigned size, uint8_t opcode)	/* opcode: of the 2- and 4-byte form */
{
	return (struct host_op){ .prefix = size == 2 ? 0x66 : 0, .opcode = size == 1 ? opcode & ~1u : opcode };
}

static void store(struct emit *e, struct host_mem m, unsigned reg, unsigned size) { asm_op_rm(&e->b, sized(size, 0x89), reg, m); }

/* A whole scratch register: zero-extended. */
static void load_scratch(struct emit *e, unsigned reg, struct host_mem m, unsigned size)
{
	asm_op_rm(&e->b, size == 4 ? OP1(0x8B) : OP2(size == 1 ? 0xB6 : 0xB7), reg, m);
}

/* A guest register or a part of it: the rest stays. */
static void load_part(struct emit *e, unsigned reg, struct host_mem m, unsigned size) { asm_op_rm(&e->b, sized(size, 0x8B), reg, m); }

static void lea_part(struct emit *e, unsigned reg, struct host_mem m, unsigned size) { asm_op_rm(&e->b, sized(size, 0x8D), reg, m); }

static void zero_extend(struct emit *e, unsigned dst, unsigned src, unsigned size)
{
	if (size == 2)
		asm_op_rr(&e->b, OP2(0xB7), dst, src);
	else
		asm_mov_rr(&e->b, dst, src);
}

static void load_operand(struct emit *e, const struct operand *o, unsigned dst, unsigned size)
{
	if (o->kind == OPND_MEM)
		load_scratch(e, dst, emit_mem(e, &cur(e)->in, size, false), size);
	else
		zero_extend(e, dst, emit_gpr(o->reg), size);
}

/* --- the stack --- */

static bool push(struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	const struct operand *o = &in->opnd[0];
	unsigned size = in->opsize, reg = R9;

	if (o->kind == OPND_SREG)
		return emit_segment(e);
	if (o->kind == OPND_REG && o->reg == REG_ESP) {
		emit_flush_esp(e);
		emit_begin(e);
	}
	if (o->kind == OPND_REG)
		reg = emit_gpr(o->reg);
	else if (o->kind == OPND_MEM)
		load_operand(e, o, R9, size);
	else
		asm_mov_ri(&e->b, R9, in->imm);
	store(e, emit_stack(e, -(int)size, size, true), reg, size);
	e->esp_off -= (int)size;
	return true;
}

/* "POP computes the effective address of the operand after it increments ESP." */
static bool pop_memory(struct emit *e)
{
	const struct insn *in = &cur(e)->in;

	if (in->base == REG_ESP && !emit_stack32(e))
		return false;
	load_scratch(e, R9, emit_stack(e, 0, in->opsize, false), in->opsize);
	e->esp_off += in->opsize;
	store(e, emit_mem(e, in, in->opsize, true), R9, in->opsize);
	return true;
}

static bool pop(struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	const struct operand *o = &in->opnd[0];
	unsigned size = in->opsize;

	if (o->kind == OPND_SREG)
		return emit_segment(e);
	if (o->kind == OPND_MEM)
		return pop_memory(e);
	if (o->reg == REG_ESP && size == 2 && emit_stack32(e))
		return false;
	struct host_mem m = emit_stack(e, 0, size, false);
	if (o->reg != REG_ESP) {
		load_part(e, emit_gpr(o->reg), m, size);
		e->esp_off += (int)size;
		return true;
	}
	load_scratch(e, R9, m, size);
	if (size == 4) {
		emit_set_esp(e, MEM_BASE(R9, 0));
	} else {
		asm_op_rr(&e->b, sized(2, 0x89), R9, R15);
		e->esp_off = 0;
	}
	return true;
}

/*
 * PUSHA and POPA through the window, where all eight lie in one piece of the stack: SP wraps nowhere in between, one look at the
 * limit is for all. In the emulator's order; registers that were loaded before a fault are loaded again.
 */
static struct host_mem whole_frame(struct emit *e, int offset, bool write)
{
	emit_flush_esp(e);
	emit_begin(e);
	return emit_stack(e, offset, 8u * cur(e)->in.opsize, write);
}

static struct host_mem in_frame(struct host_mem m, unsigned bytes)
{
	m.disp += (int32_t)bytes;
	return m;
}

static bool pusha(struct emit *e)
{
	unsigned size = cur(e)->in.opsize;

	if (!emit_direct(e))
		return false;
	struct host_mem m = whole_frame(e, -8 * (int)size, true);
	asm_mov_rr(&e->b, R9, R15);			/* ESP before */
	for (unsigned r = 0; r < 8; r++)
		store(e, in_frame(m, (7 - r) * size), r == REG_ESP ? (unsigned)R9 : emit_gpr(r), size);
	e->esp_off -= 8 * (int)size;
	return true;
}

static bool popa(struct emit *e)
{
	unsigned size = cur(e)->in.opsize;

	if (!emit_direct(e))
		return false;
	struct host_mem m = whole_frame(e, 0, false);
	for (unsigned i = 0; i < 8; i++) {
		if (7 - i != REG_ESP)
			load_part(e, emit_gpr(7 - i), in_frame(m, i * size), size);
	}
	e->esp_off += 8 * (int)size;
	return true;
}

/* Level 0: PUSH EBP; MOV EBP, ESP; SUB ESP, size; the new top must be writable, though nothing is written there. */
static bool enter(struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	unsigned size = in->opsize, alloc = in->imm & 0xFFFF;

	if ((in->imm2 & 31) != 0 || alloc > 8000 || size != (emit_stack32(e) ? 4 : 2))
		return false;
	emit_flush_esp(e);
	emit_begin(e);
	store(e, emit_stack(e, -(int)size, size, true), RBP, size);
	struct host_mem m = emit_stack(e, -(int)(size + alloc), size, true);
	load_scratch(e, R9, m, size);
	store(e, m, R9, size);
	lea_part(e, RBP, MEM_BASE(R15, -(int)size), size);
	e->esp_off -= (int)(size + alloc);
	return true;
}

static bool leave(struct emit *e)
{
	unsigned size = cur(e)->in.opsize;
	bool big = emit_stack32(e);

	zero_extend(e, R11, RBP, big ? 4 : 2);
	load_scratch(e, R9, emit_mem_r11(e, SEG_SS, size, false, !big), size);
	if (big) {
		emit_set_esp(e, MEM_BASE(RBP, (int)size));
	} else {
		lea_part(e, R15, MEM_BASE(RBP, (int)size), 2);
		e->esp_off = 0;
	}
	asm_op_rr(&e->b, sized(size, 0x89), R9, RBP);
	return true;
}

static bool pushf(struct emit *e)
{
	unsigned size = cur(e)->in.opsize;

	if (!(e->mode & MODE_RING0))
		return false;
	emit_flags_image(e);
	store(e, emit_stack(e, -(int)size, size, true), R9, size);
	e->esp_off -= (int)size;
	return true;
}

/* --- branches --- */

/* A direct branch leaves the code segment: #GP. */
static bool beyond(const struct emit *e) { return emit_branch_target(e) > e->block->cs_limit; }

/* The same for the target in reg, zero-extended: the emulator then does the whole instruction. */
void emit_check_target(struct emit *e, unsigned reg)
{
	uint32_t limit = e->block->cs_limit;

	if (cur(e)->in.opsize == 2 ? limit >= 0xFFFF : !(e->mode & MODE_LIMIT))
		return;
	struct cold *c = emit_slow(e, cur(e)->live_in, SLOW_EMULATE);
	emit_park_flags(e);
	asm_alu_ri(&e->b, ALU_CMP, reg, limit);
	emit_jump_slow(e, CC_A, c);
	emit_unpark_flags(e);
}

static bool call(struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	struct asm_buf *b = &e->b;
	bool direct = in->opnd[0].kind == OPND_REL;
	unsigned size = in->opsize;

	if (direct && beyond(e))
		return false;
	if (!direct) {
		if (in->opnd[0].kind == OPND_REG && in->opnd[0].reg == REG_ESP) {
			emit_flush_esp(e);
			emit_begin(e);
		}
		load_operand(e, &in->opnd[0], R9, size);
		emit_check_target(e, R9);
	}
	struct host_mem m = emit_stack(e, -(int)size, size, true);
	asm_mov_ri(b, R8, cur(e)->eip + in->len);
	store(e, m, R8, size);
	e->esp_off -= (int)size;
	emit_call_out(e, direct);
	return true;
}

static bool ret(struct emit *e)
{
	const struct insn *in = &cur(e)->in;

	load_scratch(e, R11, emit_stack(e, 0, in->opsize, false), in->opsize);
	emit_check_target(e, R11);
	e->esp_off += in->opsize + (in->nopnd ? (int)(in->imm & 0xFFFF) : 0);
	emit_flush_esp(e);
	asm_ret(&e->b);
	return true;
}

static bool jmp(struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	const struct operand *o = &in->opnd[0];

	if (o->kind == OPND_REL) {
		if (beyond(e))
			return false;
		emit_flush_esp(e);
		emit_exit(e, emit_branch_target(e));
		return true;
	}
	if (o->kind == OPND_REG && o->reg == REG_ESP) {
		emit_flush_esp(e);
		emit_begin(e);
	}
	load_operand(e, o, R11, in->opsize);
	emit_check_target(e, R11);
	emit_flush_esp(e);
	emit_indirect(e, false);
	return true;
}

static bool jcc(struct emit *e)
{
	if (beyond(e))
		return false;
	emit_flush_esp(e);
	emit_begin(e);
	emit_link(e, asm_jcc(&e->b, cur(e)->in.cond, NULL), emit_branch_target(e));
	return true;
}

/* LOOPcc and JCXZ count in CX: a zero-extended copy for JRCXZ, RCX back before anything leaves. */
static bool loop(struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	struct asm_buf *b = &e->b;
	uint32_t next = cur(e)->eip + in->len, target = emit_branch_target(e);
	bool conditional = in->name == I_LOOPE || in->name == I_LOOPNE, jcxz = in->name == I_JCXZ;

	if (beyond(e))
		return false;
	if (in->adsize == 4) {
		emit_loop(e);
		return true;
	}
	emit_flush_esp(e);
	emit_begin(e);
	if (!jcxz)
		lea_part(e, RCX, MEM_BASE(RCX, -1), 2);
	asm_mov_rr64(b, R8, RCX);
	zero_extend(e, RCX, RCX, 2);
	asm_byte(b, 0xE3);				/* jrcxz over mov (3), jcc (6), jmp (5) */
	asm_byte(b, conditional ? 14 : 8);
	asm_mov_rr64(b, RCX, R8);
	if (conditional)
		emit_link(e, asm_jcc(b, in->name == I_LOOPE ? CC_NE : CC_E, NULL), next);
	emit_exit(e, jcxz ? next : target);
	asm_mov_rr64(b, RCX, R8);
	emit_exit(e, jcxz ? target : next);
	return true;
}

/* --- strings --- */

static struct host_mem element(struct emit *e, unsigned reg, unsigned seg, bool write)
{
	const struct insn *in = &cur(e)->in;

	zero_extend(e, R11, reg, in->adsize);
	return emit_mem_r11(e, seg, in->opnd[0].size, write, in->adsize == 2);
}

/* One element, upwards. */
static bool string(struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	struct asm_buf *b = &e->b;
	unsigned size = in->opnd[0].size;

	if (in->prefix & (PREFIX_REP | PREFIX_REPNE))
		return false;
	emit_upwards(e);
	switch (in->name) {
	case I_LODS:
		load_part(e, RAX, element(e, RSI, in->seg, false), size);
		break;
	case I_STOS:
		store(e, element(e, RDI, SEG_ES, true), RAX, size);
		break;
	case I_MOVS:
		load_scratch(e, R9, element(e, RSI, in->seg, false), size);
		store(e, element(e, RDI, SEG_ES, true), R9, size);
		break;
	case I_CMPS:
		load_scratch(e, R9, element(e, RDI, SEG_ES, false), size);	/* first, as the host does */
		asm_op_rm(b, sized(size, 0x39), R9, element(e, RSI, in->seg, false));
		break;
	default:
		asm_op_rm(b, sized(size, 0x3B), RAX, element(e, RDI, SEG_ES, false));
		break;
	}
	if (in->name != I_STOS && in->name != I_SCAS)
		lea_part(e, RSI, MEM_BASE(RSI, (int)size), in->adsize);
	if (in->name != I_LODS)
		lea_part(e, RDI, MEM_BASE(RDI, (int)size), in->adsize);
	return true;
}

static bool xlat(struct emit *e)
{
	const struct insn *in = &cur(e)->in;

	asm_op_rr(&e->b, OP2(0xB6), R9, RAX);
	asm_lea(&e->b, R11, (struct host_mem){ .base = RBX, .index = R9 });
	if (in->adsize == 2)
		zero_extend(e, R11, R11, 2);
	load_part(e, RAX, emit_mem_r11(e, in->seg, 1, false, in->adsize == 2), 1);
	return true;
}

bool emit_small(struct emit *e)
{
	switch (cur(e)->in.name) {
	case I_PUSH: return push(e);
	case I_POP: return pop(e);
	case I_LEAVE: return leave(e);
	case I_ENTER: return enter(e);
	case I_PUSHA: return pusha(e);
	case I_POPA: return popa(e);
	case I_PUSHF: return pushf(e);
	case I_CALL: return call(e);
	case I_RET: return ret(e);
	case I_JMP: return jmp(e);
	case I_JCC: return jcc(e);
	case I_LOOP: case I_LOOPE: case I_LOOPNE: case I_JCXZ: return loop(e);
	case I_MOVS: case I_STOS: case I_LODS: case I_SCAS: case I_CMPS: return string(e);
	case I_XLAT: return xlat(e);
	default: return false;
	}
}

/* --- AH, CH, DH, BH with memory --- */

static void swap_halves(struct emit *e, unsigned reg)		/* xchg %ah, %al: no flags */
{
	asm_op_rr(&e->b, OP1(0x86), reg, reg + 4);
}

/*
 * An instruction with a REX prefix cannot name them. As a source: a copy in r9b. As the destination:
 * the memory operand in r9b, then the operation on the register's two low bytes, exchanged.
 */
bool emit_high_byte(struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	struct asm_buf *b = &e->b;
	bool to_memory = in->opnd[0].kind == OPND_MEM;
	const struct operand *o = &in->opnd[to_memory ? 1 : 0], *mem = &in->opnd[to_memory ? 0 : 1];

	if (in->nopnd != 2 || o->kind != OPND_REG || o->size != 1 || o->reg < REG_AH || mem->kind != OPND_MEM || mem->size != 1)
		return false;
	unsigned reg = o->reg & 3, opcode = in->opcode;
	switch (in->name) {
	case I_ADD: case I_OR: case I_ADC: case I_SBB: case I_AND: case I_SUB: case I_XOR: case I_CMP: case I_TEST: case I_MOV:
		break;
	default:
		return false;
	}
	if (to_memory) {
		swap_halves(e, reg);
		asm_mov_rr(b, R9, reg);
		swap_halves(e, reg);
		asm_op_rm(b, OP1(opcode), R9, emit_mem(e, in, 1, emit_writes_memory(in)));
		return true;
	}
	load_scratch(e, R9, emit_mem(e, in, 1, false), 1);
	swap_halves(e, reg);
	asm_op_rr(b, OP1(opcode), reg, R9);
	swap_halves(e, reg);
	return true;
}
