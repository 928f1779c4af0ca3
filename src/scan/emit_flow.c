/*
 * Branches and the stack: instructions that become something else than themselves.
 *
 * CALL pushes the guest's return address on the guest's stack and makes a host call, so that the
 * host's return predictor works for the guest. RET takes the guest's address into r11d and returns
 * on the return stack; the code behind the call compares r11d with what it expects. Wherever the
 * pairing fails the target is looked up.
 */
#include "scan/emit.h"

static uint32_t next_eip(const struct emit *e) { return cur(e)->eip + cur(e)->in.len; }

struct link *emit_link(struct emit *e, uint8_t *field, uint32_t target)
{
	struct scanner *s = e->s;
	struct link *l = &s->links[s->nlinks];
	*l = (struct link){ .field = (uint32_t)(field - s->rx), .from = e->block, .target_eip = target, .open = target == e->block->eip &&
		((e->first_gate == GATE_FPU && e->fpu_known) || (e->first_gate == GATE_SSE && e->sse_known)) &&
		!emit_counted(e) };
	struct cold *c = emit_cold(e, s->glue.link, s->nlinks++);
	c->link = l;
	return l;
}

void emit_exit(struct emit *e, uint32_t eip)
{
	emit_link(e, asm_jmp(&e->b, NULL), eip);
}

uint32_t emit_branch_target(const struct emit *e)
{
	uint32_t target = next_eip(e) + cur(e)->in.imm;
	return cur(e)->in.opsize == 2 ? target & 0xFFFF : target;
}

/* Load an r/m operand into a scratch register (not r10, r11 for memory that is written later). */
static void load_operand(struct emit *e, const struct operand *o, unsigned dst)
{
	if (o->kind == OPND_REG && o->reg == REG_ESP) {
		emit_flush_esp(e);
		emit_begin(e);
	}
	if (o->kind == OPND_REG)
		asm_mov_rr(&e->b, dst, emit_gpr(o->reg));
	else
		asm_load(&e->b, dst, emit_mem(e, &cur(e)->in, 4, false));
}

static void emit_push(struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	const struct operand *o = &in->opnd[0];
	if (o->kind == OPND_REG && o->reg == REG_ESP) {
		emit_flush_esp(e);
		emit_begin(e);
	}
	if (o->kind == OPND_IMM) {
		struct host_mem m = emit_stack(e, -4, 4, true);
		asm_store_imm(&e->b, m, in->imm);
	} else if (o->kind == OPND_REG) {
		struct host_mem m = emit_stack(e, -4, 4, true);
		asm_store(&e->b, m, emit_gpr(o->reg));
	} else {
		load_operand(e, o, R9);
		struct host_mem m = emit_stack(e, -4, 4, true);
		asm_store(&e->b, m, R9);
	}
	e->esp_off -= 4;
}

static void emit_pop(struct emit *e)
{
	const struct operand *o = &cur(e)->in.opnd[0];
	struct host_mem m = emit_stack(e, 0, 4, false);
	if (o->reg == REG_ESP) {
		asm_load(&e->b, R9, m);
		emit_set_esp(e, MEM_BASE(R9, 0));
		return;
	}
	asm_load(&e->b, emit_gpr(o->reg), m);
	e->esp_off += 4;
}

static void emit_leave(struct emit *e)
{
	struct asm_buf *b = &e->b;
	struct host_mem m = MEM_BASE(RBP, 0);
	if (emit_direct(e) && mode_seg(e->mode, SEG_SS) == SEG_FLAT) {
		m.gs = m.addr32 = true;
	} else {
		asm_mov_rr(b, R11, RBP);
		m = emit_mem_r11(e, SEG_SS, 4, false, false);
	}
	asm_load(b, R9, m);
	emit_set_esp(e, MEM_BASE(RBP, 4));
	asm_mov_rr(b, RBP, R9);
}

/*
 * Branch to EIP r11d, by the hash of the current mode, without touching a flag. Inline, so that the
 * host's predictor sees each site apart.
 */
void emit_indirect(struct emit *e, bool call)
{
	struct asm_buf *b = &e->b;
	const struct mode_slot *slot = mode_keyed(e->mode) ? NULL
	    : cache_mode(e->s, e->mode, e->block->cs_base, e->block->cs_limit);
	if (!slot) {
		if (call)
			asm_call(b, e->s->glue.lookup);
		else
			asm_jmp(b, e->s->glue.lookup);
		return;
	}
	bool based = e->block->cs_base & (JUMP_CACHE_ENTRIES - 1);
	struct host_mem entry = { .base = R9, .index = R10, .scale = 3 };
	if (based)
		asm_lea(b, R10, MEM_BASE(R11, (int32_t)e->block->cs_base));
	asm_op_rr(b, OP2(0xB7), R10, based ? R10 : R11);	/* movzwl: jump_at() */
	asm_mov_ri64(b, R9, (uint64_t)(uintptr_t)slot->jump);
	if (call)
		asm_call_mem(b, entry);
	else
		asm_jmp_mem(b, entry);
}

/* Flags live behind the call or not: where the return goes elsewhere, the code there may want them. */
void emit_return_point(struct emit *e)
{
	struct asm_buf *b = &e->b;
	struct cold *c = emit_cold(e, e->s->glue.lookup, 0);
	asm_mov_rr64(b, R8, RCX);
	if (mode_keyed(e->mode)) {		/* the same EIP in another code segment is another place */
		asm_load(b, RCX, emit_seg_field(SEG_CS, offsetof(struct segment, base)));
		asm_lea(b, RCX, MEM_BASE(RCX, (int32_t)(0u - e->block->cs_base)));
		emit_only_if_zero(e, c);
	}
	asm_lea(b, RCX, MEM_BASE(R11, (int32_t)(0u - next_eip(e))));
	emit_only_if_zero(e, c);
	asm_mov_rr64(b, RCX, R8);
}

void emit_call_out(struct emit *e, bool direct)
{
	struct asm_buf *b = &e->b;
	emit_flush_esp(e);
	if (direct) {
		emit_link(e, asm_call(b, NULL), emit_branch_target(e));
	} else {
		asm_mov_rr(b, R11, R9);
		emit_indirect(e, true);
	}
	emit_return_point(e);
	e->fpu_known = e->sse_known = false;
}

static void emit_call(struct emit *e)
{
	struct asm_buf *b = &e->b;
	const struct insn *in = &cur(e)->in;
	bool direct = in->opnd[0].kind == OPND_REL;
	if (!direct)
		load_operand(e, &in->opnd[0], R9);
	struct host_mem m = emit_stack(e, -4, 4, true);
	asm_store_imm(b, m, next_eip(e));
	e->esp_off -= 4;
	emit_call_out(e, direct);
}

static void emit_ret(struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	struct host_mem m = emit_stack(e, 0, 4, false);
	asm_load(&e->b, R11, m);
	e->esp_off += 4 + (in->nopnd ? (int)(in->imm & 0xFFFF) : 0);
	emit_flush_esp(e);
	asm_ret(&e->b);
}

static void emit_jmp(struct emit *e)
{
	const struct operand *o = &cur(e)->in.opnd[0];
	if (o->kind == OPND_REL) {
		emit_flush_esp(e);
		emit_exit(e, emit_branch_target(e));
		return;
	}
	load_operand(e, o, R11);
	emit_flush_esp(e);
	emit_indirect(e, false);
}

static void emit_jcc(struct emit *e)
{
	emit_flush_esp(e);
	emit_begin(e);
	emit_link(e, asm_jcc(&e->b, cur(e)->in.cond, NULL), emit_branch_target(e));
}

/* LOOPcc, JECXZ: the host has them with rel8 only: hop over. Its LOOP takes seven cycles; LEA and JRCXZ leave the flags as well. */
void emit_loop(struct emit *e)
{
	struct asm_buf *b = &e->b;
	emit_flush_esp(e);
	emit_begin(e);
	if (cur(e)->in.name == I_LOOP) {
		asm_lea(b, RCX, MEM_BASE(RCX, -1));
		asm_byte(b, 0xE3);		/* jrcxz */
		asm_byte(b, 5);			/* over the jmp rel32 */
		emit_exit(e, emit_branch_target(e));
		emit_exit(e, next_eip(e));
		return;
	}
	asm_byte(b, 0x67);			/* count in ECX */
	asm_byte(b, cur(e)->in.opcode);
	asm_byte(b, 5);				/* over the jmp rel32 */
	emit_exit(e, next_eip(e));
	emit_exit(e, emit_branch_target(e));
}

void emit_park_flags(struct emit *e)
{
	if (cur(e)->live_in)
		emit_park(&e->b);
}

void emit_unpark_flags(struct emit *e)
{
	if (cur(e)->live_in)
		emit_unpark(&e->b);
}

void emit_upwards(struct emit *e)
{
	struct cold *c = emit_slow(e, cur(e)->live_in, SLOW_EMULATE);
	emit_park_flags(e);
	asm_op_rm(&e->b, OP1(0xF6), 0, MEM_BASE(R13, (int32_t)offsetof(struct vcpu, eflags) + 1));	/* testb */
	asm_byte(&e->b, EFLAGS_DF >> 8);
	emit_jump_slow(e, CC_NE, c);
	emit_unpark_flags(e);
}

/* CLD, STD, CLI, STI: a bit of vcpu.eflags. STI first asks for a pending interrupt, which is the monitor's. */
static void emit_flag_bit(struct emit *e, uint32_t bit, bool set)
{
	struct asm_buf *b = &e->b;
	struct host_mem m = MEM_BASE(R13, (int32_t)offsetof(struct vcpu, eflags));
	emit_park_flags(e);
	if (bit == EFLAGS_IF && set) {
		struct cold *c = emit_slow(e, cur(e)->live_in, SLOW_EMULATE);
		asm_op_rm(b, OP1(0x80), ALU_CMP, MEM_BASE(R13, (int32_t)offsetof(struct vcpu, intr_line)));
		asm_byte(b, 0);
		emit_jump_slow(e, CC_NE, c);
	}
	asm_alu_mi(b, set ? ALU_OR : ALU_AND, m, set ? bit : ~bit);
	emit_unpark_flags(e);
}

/* So many are free; then the monitor looks whether the guest only waits. */
static void emit_pause(struct emit *e)
{
	struct cold *c = emit_slow(e, cur(e)->live_in, SLOW_EMULATE);
	emit_park_flags(e);
	asm_alu_mi(&e->b, ALU_SUB, MEM_BASE(R13, (int32_t)offsetof(struct vcpu, pauses)), 1);
	emit_jump_slow(e, CC_S, c);
	emit_unpark_flags(e);
}

/* To the upper half of a 64-bit register from the lower, or back. */
static void emit_shift_32(struct asm_buf *b, bool left, unsigned reg)
{
	asm_op_rr(b, OP1W(0xC1), left ? 4 : 5, reg);
	asm_byte(b, 32);
}

/* By the line over the host's counter (cpu/tsc.h), where it has not ended. */
static void emit_rdtsc(struct emit *e)
{
	struct asm_buf *b = &e->b;
	struct cold *c = emit_slow(e, cur(e)->live_in, SLOW_EMULATE);
	size_t limit = offsetof(struct vcpu, tsc_line.limit[(e->mode & MODE_RING0) ? 0 : 1]);
	emit_park_flags(e);
	asm_mov_rr64(b, R9, RAX);
	asm_mov_rr64(b, R10, RDX);
	asm_byte(b, 0x0F);				/* rdtsc */
	asm_byte(b, 0x31);
	asm_mov_rr(b, R11, RDX);
	emit_shift_32(b, true, R11);
	asm_op_rr(b, OP1W(0x0B), R11, RAX);		/* or rax, r11 */
	asm_mov_rr64(b, RAX, R9);
	asm_mov_rr64(b, RDX, R10);
	asm_op_rm(b, OP1W(0x2B), R11, MEM_BASE(R13, (int32_t)offsetof(struct vcpu, tsc_line.host)));
	asm_op_rm(b, OP1W(0x3B), R11, MEM_BASE(R13, (int32_t)limit));
	emit_jump_slow(e, CC_AE, c);
	asm_op_rm(b, (struct host_op){ .map = 1, .opcode = 0xAF, .wide = true }, R11, MEM_BASE(R13, (int32_t)offsetof(struct vcpu, tsc_line.mult)));
	emit_shift_32(b, false, R11);
	asm_op_rm(b, OP1W(0x03), R11, MEM_BASE(R13, (int32_t)offsetof(struct vcpu, tsc_line.guest)));
	asm_mov_rr64(b, R10, R11);
	emit_shift_32(b, false, R10);
	emit_unpark_flags(e);
	asm_mov_rr(b, RAX, R11);
	asm_mov_rr(b, RDX, R10);
}

/* The arithmetic flags from the host's, the rest from vcpu.eflags; RF and VM read as 0. */
void emit_flags_image(struct emit *e)
{
	static const uint8_t compose[] = {
		0x44, 0x0F, 0xB7, 0xC8,				/* movzwl ax, r9d: AH = SF ZF AF PF CF, AL = OF */
		0x45, 0x89, 0xCA,				/* mov r9d, r10d */
		0x41, 0xC1, 0xE9, 0x08,				/* shr 8, r9d */
		0x41, 0x81, 0xE1, 0xD5, 0x00, 0x00, 0x00,	/* and 0xD5, r9d */
		0x41, 0x83, 0xE2, 0x01,				/* and 1, r10d */
		0x41, 0xC1, 0xE2, 0x0B,				/* shl 11, r10d */
		0x45, 0x09, 0xD1,				/* or r10d, r9d */
	};
	static const uint8_t or_r10_r9[] = { 0x45, 0x09, 0xD1 };
	struct asm_buf *b = &e->b;
	emit_park(b);
	asm_bytes(b, compose, sizeof(compose));
	asm_load(b, R10, MEM_BASE(R13, (int32_t)offsetof(struct vcpu, eflags)));
	asm_alu_ri(b, ALU_AND, R10, ~(uint32_t)(EFLAGS_ARITH | EFLAGS_RF | EFLAGS_VM));
	asm_bytes(b, or_r10_r9, sizeof(or_r10_r9));
	emit_unpark(b);
}

static void emit_pushf(struct emit *e)
{
	emit_flags_image(e);
	struct host_mem m = emit_stack(e, -4, 4, true);
	asm_store(&e->b, m, R9);
	e->esp_off -= 4;
}

/*
 * String instructions through the window: the host's own, on host addresses whose low halves are
 * the guest's. A fault or a kick in the middle of a REP finds ESI, EDI and ECX as the guest's would be.
 */
static bool has_source(const struct insn *in) { return in->name != I_STOS && in->name != I_SCAS; }
static bool has_dest(const struct insn *in) { return in->name != I_LODS; }

bool emit_flat_string(const struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	return in->adsize == 4 && (!has_source(in) || mode_seg(e->mode, in->seg) == SEG_FLAT) &&
	    (!has_dest(in) || mode_seg(e->mode, SEG_ES) == SEG_FLAT);
}

static bool string_form(const struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	if ((e->mode & MODE_COUNT) && (in->prefix & (PREFIX_REP | PREFIX_REPNE)))
		return false;			/* each repetition counts: the emulator's */
	return emit_direct(e) && emit_flat_string(e);
}

/*
 * A few doublewords one by one: the host's REP MOVS takes some 30 cycles to begin, and 300 where what it would read
 * ahead lies in another page, as the frame that a kernel moves from one stack to another does. Each round begins
 * at a boundary: at_string() of recover.c knows the branch. Returns what to patch to the place behind.
 */
static uint8_t *emit_few_dwords(struct emit *e)
{
	enum { FEW = 24 };
	struct asm_buf *b = &e->b;
	emit_park_flags(e);
	asm_alu_ri(b, ALU_CMP, RCX, FEW);
	uint8_t *many = asm_jcc(b, CC_A, NULL);
	emit_unpark_flags(e);
	uint8_t *again = asm_here(b);
	asm_byte(b, 0x67);
	asm_byte(b, 0xE3);				/* jecxz */
	uint8_t *over = b->rw;
	asm_byte(b, 0);
	asm_load(b, R11, (struct host_mem){ .base = R14, .index = RSI });
	asm_store(b, (struct host_mem){ .base = R14, .index = RDI }, R11);
	asm_lea(b, RSI, MEM_BASE(RSI, 4));
	asm_lea(b, RDI, MEM_BASE(RDI, 4));
	asm_lea(b, RCX, MEM_BASE(RCX, -1));
	asm_jmp(b, again);
	*over = (uint8_t)(b->rw - over - 1);
	uint8_t *done = asm_jmp(b, NULL);
	asm_patch(many, asm_here(b), b->rx_delta);
	emit_unpark_flags(e);
	return done;
}

static void emit_string(struct emit *e)
{
	struct asm_buf *b = &e->b;
	const struct insn *in = &cur(e)->in;
	bool source = has_source(in), dest = has_dest(in);
	bool rep = in->prefix & (PREFIX_REP | PREFIX_REPNE);
	emit_upwards(e);
	uint8_t *done = rep && in->name == I_MOVS && in->opnd[0].size == 4 ? emit_few_dwords(e) : NULL;
	if (source)
		asm_op_rm(b, OP1W(0x8D), RSI, (struct host_mem){ .base = R14, .index = RSI });
	if (dest)
		asm_op_rm(b, OP1W(0x8D), RDI, (struct host_mem){ .base = R14, .index = RDI });
	if (rep)
		asm_byte(b, in->prefix & PREFIX_REP ? 0xF3 : 0xF2);
	if (in->opnd[0].size == 2)
		asm_byte(b, 0x66);
	asm_byte(b, in->opcode);
	if (source)
		asm_mov_rr(b, RSI, RSI);
	if (dest)
		asm_mov_rr(b, RDI, RDI);
	if (done)
		asm_patch(done, asm_here(b), b->rx_delta);
}

static bool plain(const struct emit *e)		/* 32-bit operands, stack and code, a form we know */
{
	const struct insn *in = &cur(e)->in;
	const struct operand *o = &in->opnd[0];
	switch (in->name) {
	case I_CLD: case I_STD: case I_PAUSE:
		return true;
	case I_RDTSC:
		return e->cpu->tsc_line.wanted;
	case I_CLI:
		return e->mode & MODE_RING0;
	case I_STI:		/* the shadow must end within this block */
		return (e->mode & MODE_RING0) && e->i + 1 < e->n;
	case I_MOVS: case I_STOS: case I_LODS: case I_SCAS: case I_CMPS:
		return string_form(e);
	}
	if (in->opsize != 4 || !emit_stack32(e))
		return false;
	switch (in->name) {
	case I_XLAT: case I_ENTER: case I_PUSHA: case I_POPA:
		return false;
	case I_JMP: case I_CALL: case I_RET: case I_JCC:
		return !(e->mode & MODE_LIMIT);
	case I_PUSHF:
		return e->mode & MODE_RING0;
	case I_PUSH:
		return o->kind == OPND_IMM || o->kind == OPND_REG || o->kind == OPND_MEM;
	case I_POP:
		return o->kind == OPND_REG;
	case I_LOOP: case I_LOOPE: case I_LOOPNE: case I_JCXZ:
		return in->adsize == 4 && !(e->mode & MODE_LIMIT);
	default:
		return true;
	}
}

void emit_inline(struct emit *e)
{
	if (!plain(e)) {
		if (!emit_small(e))
			emit_call_monitor(e, 0);
		return;
	}
	switch (cur(e)->in.name) {
	case I_PUSH: emit_push(e); break;
	case I_POP: emit_pop(e); break;
	case I_LEAVE: emit_leave(e); break;
	case I_CALL: emit_call(e); break;
	case I_RET: emit_ret(e); break;
	case I_JMP: emit_jmp(e); break;
	case I_JCC: emit_jcc(e); break;
	case I_CLD: emit_flag_bit(e, EFLAGS_DF, false); break;
	case I_STD: emit_flag_bit(e, EFLAGS_DF, true); break;
	case I_CLI: emit_flag_bit(e, EFLAGS_IF, false); break;
	case I_STI: emit_flag_bit(e, EFLAGS_IF, true); break;
	case I_PUSHF: emit_pushf(e); break;
	case I_PAUSE: emit_pause(e); break;
	case I_RDTSC: emit_rdtsc(e); break;
	case I_MOVS: case I_STOS: case I_LODS: case I_SCAS: case I_CMPS: emit_string(e); break;
	default: emit_loop(e); break;
	}
}
