/*
 * A block of guest code becomes a block of host code.			[docs/design/scan.md]
 *
 * Nearly every instruction is re-encoded as itself: registers keep their numbers (ESP becomes
 * r15), memory operands are replaced (emit_mem.c), branches are followed (emit_flow.c), and what
 * the map says is virtual becomes a call to the monitor. Each instruction is either done whole or,
 * when it leaves for the monitor or faults, not begun.
 *
 * ESP moves by pushes and pops are folded: within a block the guest's ESP is r15 + esp_off.
 */
#include <assert.h>
#include <string.h>

#include "cpu/intercept.h"
#include "cpu/stops.h"
#include "decode/opcode.h"
#include "meter/disasm.h"
#include "mmu/phys.h"
#include "scan/emit.h"
#include "scan/verify.h"
#include "scan/wary.h"

uint8_t emit_gpr(unsigned reg)
{
	return reg == REG_ESP ? R15 : (uint8_t)reg;
}

uint32_t emit_site(struct emit *e, unsigned flags)
{
	if (e->site < 0) {
		struct site *st = &e->s->sites[e->s->nsites];
		*st = (struct site){ .block = e->block, .index = (uint16_t)e->i, .in = cur(e)->in,
			.fn = emulate_handler(&cur(e)->in) };
		e->site = e->s->nsites++;
	}
	e->s->sites[e->site].flags |= (uint16_t)flags;
	return (uint32_t)e->site;
}

struct cold *emit_cold(struct emit *e, uint8_t *target, uint32_t number)
{
	struct cold *c = &e->cold[e->ncold];
	e->ncold++;
	assert(e->ncold < EMIT_MAX_COLD);	/* BLOCK_MAX_INSNS times what the greediest instruction asks for */
	*c = (struct cold){ .target = target, .number = number };
	return c;
}

static void finish_cold(struct emit *e, const struct cold *c)
{
	struct asm_buf *b = &e->b;
	uint8_t *at = asm_here(b);
	for (unsigned i = 0; i < c->nfrom; i++)
		asm_patch(c->from[i], at, b->rx_delta);
	if (c->link) {
		c->link->stub = (uint32_t)(at - e->s->rx);
		asm_patch(e->s->rx + c->link->field, at, b->rx_delta);
	}
	if (c->back) {
		static const uint8_t xor_r10_r11[] = { 0x45, 0x31, 0xDA };		/* xor r10d, r11d */
		static const uint8_t test_r10_page[] = { 0x41, 0xF7, 0xC2, 0x00, 0xF0, 0xFF, 0xFF };
		asm_lea(b, R10, MEM_BASE(R11, c->size - 1));
		asm_bytes(b, xor_r10_r11, sizeof(xor_r10_r11));
		asm_bytes(b, test_r10_page, sizeof(test_r10_page));
		asm_jcc(b, CC_E, c->back);
	}
	if (c->filled) {
		asm_mov_ri(b, R10, c->number);
		asm_call(b, e->s->glue.fill);
		asm_op_rr(b, OP1W(0x85), R10, R10);
		asm_jcc(b, CC_NE, c->filled);
	}
	if (c->flags_parked)
		emit_unpark(b);
	asm_mov_ri(b, R10, c->number);
	asm_jmp(b, c->target);
}

void emit_flush_esp(struct emit *e)
{
	if (e->esp_off && emit_esp_pointer(e))
		asm_op_rm(&e->b, OP1W(0x8D), R15, MEM_BASE(R15, e->esp_off));
	else if (e->esp_off && !emit_stack32(e))	/* SP wraps, the upper half stays */
		asm_op_rm(&e->b, (struct host_op){ .prefix = 0x66, .opcode = 0x8D }, R15, MEM_BASE(R15, e->esp_off));
	else if (e->esp_off)
		asm_lea(&e->b, R15, MEM_BASE(R15, e->esp_off));
	e->esp_off = 0;
}

/* r15d was written: a 32-bit write clears the upper half. */
static void rebase_esp(struct emit *e)
{
	if (emit_esp_pointer(e))
		asm_op_rm(&e->b, OP1W(0x8D), R15, (struct host_mem){ .base = R14, .index = R15 });
}

void emit_set_esp(struct emit *e, struct host_mem m)
{
	asm_lea(&e->b, R15, m);
	rebase_esp(e);
	e->esp_off = 0;
}

void emit_begin(struct emit *e)
{
	e->block->rec[e->i].host_off = (uint16_t)(asm_here(&e->b) - e->block->host);
	e->block->rec[e->i].esp_off = (int16_t)e->esp_off;
}

/* No instruction after this one can be reached but through a new look-up. */
static bool ends_block(const struct insn *in)
{
	switch (in->name) {
	case I_JMP: case I_RET: case I_LOOP: case I_LOOPE: case I_LOOPNE: case I_JCXZ:
		return true;
	case I_MOV_CR:
		return in->opnd[0].kind == OPND_CR;
	default:
		return vmap[in->name] == VMAP_EMULATE;
	}
}

static void call_monitor(struct emit *e, unsigned site_flags, uint8_t *stub)
{
	emit_flush_esp(e);
	emit_begin(e);
	if (ends_block(&cur(e)->in))
		site_flags |= SITE_ENDS;
	asm_mov_ri(&e->b, R10, emit_site(e, site_flags));
	asm_call(&e->b, stub);
	e->fpu_known = e->sse_known = false;	/* the monitor takes the FPU with it */
}

/* A form that quick.c knows: flat 32-bit protected mode. */
static bool has_quick_way(const struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	const struct operand *o = in->opnd;
	if (!(e->mode & MODE_CODE32) || !(e->mode & MODE_STACK32) || (e->mode & MODE_REAL))
		return false;
	switch (in->name) {
	case I_MOV: case I_POP:
		return o[0].kind == OPND_SREG && o[0].reg != SEG_CS && o[0].reg != SEG_SS &&
		    (in->name == I_POP ? in->opsize == 4 : o[1].kind == OPND_REG);
	case I_IRET:
		return in->opsize == 4;
	case I_MOVS: case I_STOS:
		return emit_flat_string(e);
	case I_POPF:
		return in->opsize == 4 && (e->mode & MODE_RING0) && mode_seg(e->mode, SEG_SS) == SEG_FLAT;
	case I_VERR: case I_VERW:
		return o[0].kind == OPND_REG || (in->adsize == 4 && mode_seg(e->mode, in->seg) == SEG_FLAT);
	case I_INT: case I_SYSENTER: case I_SYSEXIT:
		return true;
	default:
		return false;
	}
}

/* The whole instruction in the monitor; it comes back behind it. */
void emit_call_monitor(struct emit *e, unsigned site_flags)
{
	if (!has_quick_way(e)) {
		call_monitor(e, site_flags, e->s->glue.emulate);
		return;
	}
	call_monitor(e, site_flags, e->s->glue.quick);
	if (cur(e)->in.name == I_POP || cur(e)->in.name == I_POPF)
		e->esp_off += 4;
}

/* A control register as CPL 0 reads it: the value is kept whole. */
static bool emit_read_cr(struct emit *e)
{
	const struct operand *o = cur(e)->in.opnd;
	static const uint16_t field[] = { [0] = offsetof(struct vcpu, cr0), [2] = offsetof(struct vcpu, cr2),
		[3] = offsetof(struct vcpu, cr3), [4] = offsetof(struct vcpu, cr4) };
	if (cur(e)->in.name != I_MOV_CR || o[0].kind != OPND_REG || o[0].reg == REG_ESP || !(e->mode & MODE_RING0) ||
	    o[1].reg >= ARRAY_LEN(field) || o[1].reg == 1)
		return false;
	asm_op_rm(&e->b, OP1(0x8B), emit_gpr(o[0].reg), MEM_BASE(R13, field[o[1].reg]));
	return true;
}

/* --- re-encoding --- */

struct encoding {
	uint8_t map, opcode;
	uint8_t mandatory;		/* 66, F2, F3 if given: SSE only */
	bool has_modrm;
	const uint8_t *imm;		/* what follows ModRM, SIB and displacement */
	unsigned imm_bytes;
};

static bool is_prefix(uint8_t c)
{
	return c == 0x26 || c == 0x2E || c == 0x36 || c == 0x3E || (c >= 0x64 && c <= 0x67) ||
	    c == 0xF0 || c == 0xF2 || c == 0xF3;
}

static unsigned modrm_bytes(const uint8_t *p, unsigned adsize)	/* ModRM, SIB, displacement */
{
	unsigned mod = p[0] >> 6, rm = p[0] & 7;
	if (mod == 3)
		return 1;
	if (adsize == 2)
		return 1 + (mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0);
	unsigned n = 1;
	bool disp32 = mod == 2 || (mod == 0 && rm == 5);
	if (rm == 4) {
		disp32 |= mod == 0 && (p[1] & 7) == 5;
		n++;
	}
	return n + (disp32 ? 4 : mod == 1 ? 1 : 0);
}

static struct encoding encoding_of(const struct source *src)
{
	struct encoding enc = { 0 };
	const uint8_t *p = src->bytes;
	for (; is_prefix(*p); p++) {
		if (*p == 0xF2 || *p == 0xF3)
			enc.mandatory = *p;
		else if (*p == 0x66 && !enc.mandatory)
			enc.mandatory = 0x66;
	}
	if (*p == 0x0F) {
		enc.map = 1;
		p++;
	}
	enc.opcode = *p++;
	enc.has_modrm = insn_rows[src->in.row].attr & ROW_MODRM;
	if (enc.has_modrm)
		p += modrm_bytes(p, src->in.adsize);
	enc.imm = p;
	enc.imm_bytes = src->in.len - (unsigned)(p - src->bytes);
	return enc;
}

/* Which ModRM fields name 16- or 32-bit general registers: 1 reg, 2 rm. Byte registers keep their numbers. */
static unsigned gpr_fields(const struct insn *in)
{
	unsigned fields = 0;
	for (unsigned i = 0; i < 3; i++) {
		switch (insn_rows[in->row].code[i]) {
		case C_Gw: case C_Gd: case C_Gv:
			fields |= 1;
			break;
		case C_Ew: case C_Ed: case C_Ev: case C_RvMw: case C_RdMw: case C_RdAny:
			fields |= 2;
			break;
		}
	}
	return fields;
}

static bool uses_high_byte(const struct insn *in)
{
	for (unsigned i = 0; i < in->nopnd; i++)
		if (in->opnd[i].kind == OPND_REG && in->opnd[i].size == 1 && in->opnd[i].reg >= REG_AH)
			return true;
	return false;
}

static bool names_esp(const struct insn *in)	/* as a register operand */
{
	for (unsigned i = 0; i < in->nopnd; i++)
		if (in->opnd[i].kind == OPND_REG && in->opnd[i].size != 1 && in->opnd[i].reg == REG_ESP)
			return true;
	return false;
}

/* Is ESP a 32-bit destination? *sure: we know what the host does to the upper half. */
static bool writes_esp(const struct insn *in, bool *sure)
{
	bool first = in->opnd[0].kind == OPND_REG && in->opnd[0].size == 4 && in->opnd[0].reg == REG_ESP;
	bool second = in->opnd[1].kind == OPND_REG && in->opnd[1].size == 4 && in->opnd[1].reg == REG_ESP;
	*sure = true;
	switch (in->name) {
	case I_CMP: case I_TEST: case I_BT: case I_MUL: case I_DIV: case I_IDIV: case I_PUSH:
		return false;
	case I_MOV: case I_MOVZX: case I_MOVSX: case I_LEA: case I_ADD: case I_SUB: case I_AND: case I_OR: case I_XOR:
	case I_ADC: case I_SBB: case I_INC: case I_DEC: case I_NEG: case I_NOT: case I_CMOVCC:
		return first;
	case I_XCHG:
		return first || second;
	default:
		*sure = !first && !second;
		return first;
	}
}

/* ADD/SUB ESP, imm whose flags nobody reads: one more thing to fold. */
static bool fold_esp(struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	const struct operand *o = &in->opnd[0];
	unsigned size = emit_stack32(e) ? 4 : 2;
	if ((in->name != I_ADD && in->name != I_SUB) || o->kind != OPND_REG || o->reg != REG_ESP || o->size != size ||
	    in->opnd[1].kind != OPND_IMM || cur(e)->live_out)
		return false;
	int64_t imm = size == 2 ? (int16_t)in->imm : (int32_t)in->imm;
	int64_t off = e->esp_off + (in->name == I_ADD ? imm : -imm);
	if (off < -16000 || off > 16000)
		return false;
	e->esp_off = (int)off;
	return true;
}

static const struct operand *memory_operand(const struct insn *in)
{
	for (unsigned i = 0; i < in->nopnd; i++)
		if (in->opnd[i].kind == OPND_MEM)
			return &in->opnd[i];
	return NULL;
}

/* The instructions that only read a memory operand that comes first. */
bool emit_writes_memory(const struct insn *in)
{
	if (in->opnd[0].kind != OPND_MEM)
		return false;
	switch (in->name) {
	case I_CMP: case I_TEST: case I_BT: case I_MUL: case I_IMUL: case I_DIV: case I_IDIV:
	case I_LDMXCSR:
		return false;
	case I_FST: case I_FSTP: case I_FIST: case I_FISTP: case I_FBSTP: case I_FNSTCW: case I_FNSTSW:
		return true;
	default:
		return vmap[in->name] != VMAP_X87;
	}
}

static struct host_op host_op(const struct emit *e, const struct encoding *enc, bool simd)
{
	struct host_op op = { .map = enc->map, .opcode = enc->opcode };
	if (simd)
		op.prefix = enc->mandatory;
	else if (cur(e)->in.opsize == 2 && vmap[cur(e)->in.name] != VMAP_X87)
		op.prefix = 0x66;
	if (op.map == 0 && op.opcode == 0x82)		/* alias of 80, gone in 64-bit mode */
		op.opcode = 0x80;
	return op;
}

/* Forms without ModRM whose encoding is gone or means something else in 64-bit mode. */
static bool emit_short_form(struct emit *e, const struct encoding *enc, struct host_op op)
{
	struct asm_buf *b = &e->b;
	const struct insn *in = &cur(e)->in;
	unsigned reg = emit_gpr(enc->opcode & 7);
	if (enc->map == 1) {
		if (enc->opcode < 0xC8 || enc->opcode > 0xCF)
			return false;
		if (in->opsize == 2)			/* undefined by the SDM: as the emulator does */
			return emit_call_monitor(e, 0), true;
		if (reg & 8)
			asm_byte(b, 0x41);
		asm_byte(b, 0x0F);
		asm_byte(b, 0xC8 | (reg & 7));
		return true;
	}
	switch (enc->opcode & 0xF8) {
	case 0x40: case 0x48:
		op.opcode = 0xFF;
		asm_op_rr(b, op, enc->opcode >> 3 & 1, reg);
		return true;
	case 0x90:
		op.opcode = 0x87;
		asm_op_rr(b, op, RAX, reg);
		return true;
	case 0xB8:
		if (op.prefix)
			asm_byte(b, op.prefix);
		if (reg & 8)
			asm_byte(b, 0x41);
		asm_byte(b, 0xB8 | (reg & 7));
		asm_bytes(b, enc->imm, enc->imm_bytes);
		return true;
	}
	return false;
}

static void emit_moffs(struct emit *e, const struct encoding *enc, struct host_op op)
{
	const struct insn *in = &cur(e)->in;
	bool store = enc->opcode & 2;
	struct host_mem m = emit_mem(e, in, memory_operand(in)->size, store);
	op.opcode = (store ? 0x88 : 0x8A) | (enc->opcode & 1);
	asm_op_rm(&e->b, op, RAX, m);
}

static void emit_lea(struct emit *e, struct host_op op, unsigned reg)
{
	const struct insn *in = &cur(e)->in;
	struct host_mem m = emit_guest_ea(e, in);
	if (in->adsize == 2) {
		asm_lea(&e->b, R11, m);
		asm_op_rr(&e->b, OP2(0xB7), R11, R11);
		m = MEM_BASE(R11, 0);
	}
	if (reg == R15 && in->opsize == 4) {
		if (emit_stack32(e) && in->base == REG_ESP && in->index == REG_NONE && in->adsize == 4 && m.disp > -16000 &&
		    m.disp < 16000)
			e->esp_off = m.disp;		/* folded */
		else
			emit_set_esp(e, m);
		return;
	}
	if (reg == R15) {
		asm_lea(&e->b, R11, m);
		emit_flush_esp(e);
		m = MEM_BASE(R11, 0);
	}
	asm_op_rm(&e->b, op, reg, m);
}

/* Does the (integer) instruction have the same bytes in 64-bit code? Registers only, ESP not among them, no prefix but
 * that of the operand size. (Most of what compilers emit between loads and stores: it need not be taken to pieces.) */
static bool verbatim(const struct emit *e)
{
	const struct source *src = cur(e);
	const struct insn *in = &src->in;
	const unsigned kinds = BIT(OPND_REG) | BIT(OPND_IMM) | BIT(OPND_ONE);
	if (!(e->mode & MODE_CODE32) || in->adsize != 4 || in->prefix & ~(unsigned)PREFIX_OPSIZE)
		return false;
	for (unsigned i = 0; i < in->nopnd; i++) {
		const struct operand *o = &in->opnd[i];
		if (!(kinds >> o->kind & 1) || (o->kind == OPND_REG && o->size != 1 && o->reg == REG_ESP))
			return false;
	}
	uint8_t opcode = src->bytes[in->prefix & PREFIX_OPSIZE ? 1 : 0];
	return (opcode & 0xF0) != 0x40 && opcode != 0x82 && opcode != 0x66;	/* REX; an alias that is gone */
}

/* Copy an instruction, its registers renamed and its memory operand replaced. */
static void copy_native(struct emit *e, bool simd)
{
	const struct insn *in = &cur(e)->in;
	struct encoding enc = encoding_of(cur(e));
	struct host_op op = host_op(e, &enc, simd);
	const struct operand *mem = memory_operand(in);
	struct asm_buf *b = &e->b;

	if (names_esp(in) && in->name != I_LEA)
		emit_flush_esp(e);
	emit_begin(e);

	if (!enc.has_modrm) {
		if (enc.map == 0 && enc.opcode >= 0xA0 && enc.opcode <= 0xA3) {
			emit_moffs(e, &enc, op);
		} else if (!emit_short_form(e, &enc, op)) {
			if (op.prefix)
				asm_byte(b, op.prefix);
			if (op.map)
				asm_byte(b, 0x0F);
			asm_byte(b, op.opcode);
			asm_bytes(b, enc.imm, enc.imm_bytes);
		}
		return;
	}

	unsigned fields = gpr_fields(in);
	unsigned reg = in->modrm >> 3 & 7, rm = in->modrm & 7;
	if (fields & 1)
		reg = emit_gpr(reg);
	if (in->name == I_LEA) {
		emit_lea(e, op, reg);
		return;
	}
	if (!mem) {
		if (fields & 2)
			rm = emit_gpr(rm);
		asm_op_rr(b, op, reg, rm);
		asm_bytes(b, enc.imm, enc.imm_bytes);
		return;
	}
	struct host_mem m = emit_mem(e, in, mem->size, emit_writes_memory(in));
	asm_op_rm(b, op, reg, m);
	asm_bytes(b, enc.imm, enc.imm_bytes);
}

static void emit_native(struct emit *e, bool simd)
{
	bool sure;
	if (fold_esp(e))
		return;
	copy_native(e, simd);
	if (cur(e)->in.name != I_LEA && writes_esp(&cur(e)->in, &sure))
		rebase_esp(e);
}

/*
 * BT, BTS, BTR, BTC of memory with a register: a bit string. The register's upper part moves the address, by
 * operands; the lower is the bit.
 */
static bool emit_bit_string(struct emit *e)
{
	static const uint8_t sar_5_r10[] = { 0x41, 0xC1, 0xFA, 0x05 };
	static const uint8_t and_31_r9[] = { 0x41, 0x83, 0xE1, 0x1F };
	const struct insn *in = &cur(e)->in;
	const struct operand *bit = &in->opnd[1];
	struct asm_buf *b = &e->b;
	if ((in->name != I_BT && in->name != I_BTS && in->name != I_BTR && in->name != I_BTC) || in->opsize != 4 ||
	    in->adsize != 4 || bit->kind != OPND_REG || in->opnd[0].kind != OPND_MEM)
		return false;
	if (bit->reg == REG_ESP)
		emit_flush_esp(e);
	emit_begin(e);
	asm_lea(b, R11, emit_guest_ea(e, in));
	asm_mov_rr(b, R9, emit_gpr(bit->reg));		/* before AX is taken for the flags */
	emit_park_flags(e);
	asm_mov_rr(b, R10, R9);
	asm_bytes(b, sar_5_r10, sizeof(sar_5_r10));
	asm_lea(b, R11, (struct host_mem){ .base = R11, .index = R10, .scale = 2 });
	asm_bytes(b, and_31_r9, sizeof(and_31_r9));
	emit_unpark_flags(e);
	struct host_mem m = emit_mem_r11(e, in->seg, 4, in->name != I_BT, false);
	asm_op_rm(b, (struct host_op){ .map = 1, .opcode = in->name == I_BT ? 0xA3 : in->name == I_BTS ? 0xAB
	    : in->name == I_BTR ? 0xB3 : 0xBB }, R9, m);
	return true;
}

/* What cannot be copied although its name can. */
static bool native_form(const struct emit *e, const struct insn *in)
{
	const struct operand *mem = memory_operand(in);
	for (unsigned i = 0; i < in->nopnd; i++)
		if (in->opnd[i].kind == OPND_SREG || in->opnd[i].kind == OPND_CR || in->opnd[i].kind == OPND_DR)
			return false;
	bool sure;
	writes_esp(in, &sure);
	if (!sure)
		return false;
	if (uses_high_byte(in)) {
		if (names_esp(in))
			return false;			/* MOVZX ESP, AH: needs REX */
		if (mem && in->name != I_LEA) {		/* the operand must get by without r8..r15 */
			bool plain = emit_direct(e) && emit_seg(e, in->seg, emit_writes_memory(in)) == SEG_FLAT &&
			    in->adsize == 4 && in->base != REG_ESP && in->index != REG_ESP &&
			    !emit_through_base(e, in, emit_writes_memory(in));
			if (!plain)
				return false;
		}
	}
	if (!mem)
		return true;
	if ((in->name == I_BT || in->name == I_BTS || in->name == I_BTR || in->name == I_BTC) &&
	    in->opnd[1].kind == OPND_REG)
		return false;				/* a bit string: any address */
	return mem->size != 0 || in->name == I_LEA;
}

static void emit_fpu_gate(struct emit *e, bool sse)
{
	struct asm_buf *b = &e->b;
	bool *known = sse ? &e->sse_known : &e->fpu_known;
	if (*known)
		return;
	*known = true;
	if (sse)
		e->fpu_known = true;		/* the SSE gate is the stricter */
	if (e->i == 0)
		e->first_gate = sse ? GATE_SSE : GATE_FPU;
	struct host_mem gate = MEM_BASE(R13, sse ? (int32_t)offsetof(struct vcpu, scan.sse_closed)
	    : (int32_t)offsetof(struct vcpu, scan.fpu_closed));
	struct cold *c = emit_cold(e, e->s->glue.fpu, emit_site(e, 0));
	if (!cur(e)->live_in) {
		asm_op_rm(b, OP1(0x80), ALU_CMP, gate);
		asm_byte(b, 0);
		c->from[c->nfrom++] = asm_jcc(b, CC_NE, NULL);
		return;
	}
	asm_mov_rr64(b, R8, RCX);
	asm_op_rm(b, OP2(0xB6), RCX, gate);		/* movzbl */
	emit_only_if_zero(e, c);
	asm_mov_rr64(b, RCX, R8);
}

static bool uses_xmm(const struct insn *in)
{
	for (unsigned i = 0; i < in->nopnd; i++)
		if (in->opnd[i].kind == OPND_XMM)
			return true;
	return false;
}

/* The user's rules for this run, over the map. */
static bool virtualized_by_user(const struct emit *e)
{
	const struct source *src = cur(e);
	char text[160];
	for (unsigned i = 0; i < e->s->nrules; i++) {
		disasm_att(text, sizeof(text), src->bytes, src->in.len, e->mode & MODE_CODE32, src->eip);
		if (vmap_matches(&e->s->rules[i], &src->in, text))
			return true;
	}
	return false;
}

/* A run is counted as a whole when it begins; it ends where scanned code may branch. */
static bool ends_run(const struct insn *in)
{
	return in->name == I_JCC || in->name == I_CALL || ends_block(in);
}

static uint8_t run_left(const struct emit *e)
{
	unsigned n = 1;
	while (e->i + n < e->n && !ends_run(&e->src[e->i + n - 1].in))
		n++;
	return (uint8_t)n;
}

/* Behind the instruction before, so that who comes back from a call-out to this one is not counted again. */
static void emit_count(struct emit *e)
{
#ifdef PLEX86_METERS
	struct asm_buf *b = &e->b;
	struct host_mem count = MEM_BASE(R13, (int32_t)offsetof(struct vcpu, meters.insns));
	if (!cur(e)->live_in) {
		asm_op_rm(b, OP1W(0x83), ALU_ADD, count);
		asm_byte(b, run_left(e));
		return;
	}
	asm_load64(b, R10, count);
	asm_op_rm(b, OP1W(0x8D), R10, MEM_BASE(R10, run_left(e)));
	asm_store64(b, count, R10);
#endif
}

/* The same, and out if there are not as many left. No flag is touched: whoever leaves here finds them exact. */
static void emit_limit(struct emit *e)
{
	struct asm_buf *b = &e->b;
	struct host_mem left = MEM_BASE(R13, (int32_t)offsetof(struct vcpu, scan.left)), upper = left;
	upper.disp += 4;
	struct cold *c = emit_cold(e, e->s->glue.limit, emit_site(e, 0));
	asm_load64(b, R10, left);
	asm_op_rm(b, OP1W(0x8D), R10, MEM_BASE(R10, -(int)run_left(e)));
	asm_store64(b, left, R10);
	asm_mov_rr64(b, R8, RCX);
	asm_load(b, RCX, upper);
	emit_only_if_zero(e, c);
	asm_mov_rr64(b, RCX, R8);
}

static void emit_insn(struct emit *e)
{
	const struct insn *in = &cur(e)->in;
	enum vmap_class class = (enum vmap_class)vmap[in->name];
	e->site = -1;
	e->checked = wary_checked(e->s, e->block->gpa + cur(e)->eip - e->block->eip);
	bool run_begins = e->i == 0 || ends_run(&e->src[e->i - 1].in);
	if (unlikely(e->s->count_insns && run_begins))
		emit_count(e);
	if (unlikely(e->mode & MODE_COUNT && run_begins))
		emit_limit(e);
	e->block->rec[e->i] = (struct record){
		.entry_off = (uint16_t)(asm_here(&e->b) - e->block->host),
		.entry_esp = (int16_t)e->esp_off,
		.guest_off = (uint16_t)(cur(e)->eip - e->block->eip),
		.live = record_of_live(cur(e)->live_in),
		.run_left = emit_counted(e) ? run_left(e) : 0,
		.shadow = e->i > 0 && e->src[e->i - 1].in.name == I_STI && (e->mode & MODE_RING0),
	};
	if (!emit_stack32(e) && in->base == REG_ESP)
		emit_flush_esp(e);		/* in an address ESP does not wrap at 64K */
	emit_begin(e);
	if (unlikely(e->s->nrules) && virtualized_by_user(e)) {
		call_monitor(e, SITE_ENDS, e->s->glue.emulate);
		e->s->sites[e->site].fn = scan_trap;
		return;
	}
	if (cur(e)->intercepted) {
		call_monitor(e, SITE_ENDS, e->s->glue.emulate);
		e->s->sites[e->site].fn = e->cpu->intercept->run;
		return;
	}
	switch (class) {
	case VMAP_NATIVE:
		if (verbatim(e))
			asm_bytes(&e->b, cur(e)->bytes, in->len);
		else if (native_form(e, in))
			emit_native(e, false);
		else if (!emit_bit_string(e) && !emit_segment(e) && !emit_high_byte(e))
			emit_call_monitor(e, 0);
		break;
	case VMAP_X87: case VMAP_MMX: case VMAP_SSE:
		if (!native_form(e, in)) {
			emit_call_monitor(e, 0);
			break;
		}
		emit_fpu_gate(e, class == VMAP_SSE || uses_xmm(in));
		/* a fault or slow path from here on restarts behind the gate, which stays open */
		emit_native(e, class != VMAP_X87);
		break;
	case VMAP_INLINE:
		emit_inline(e);
		break;
	case VMAP_NOTHING:
		break;
	case VMAP_CALL:
		if (!emit_segment(e))
			emit_call_monitor(e, 0);
		break;
	case VMAP_EMULATE:
		if (!emit_far(e) && !emit_read_cr(e))
			emit_call_monitor(e, SITE_ENDS);
		break;
	}
}

/* --- the block --- */

static uint16_t live_before(const struct insn *in, uint16_t after)
{
	enum vmap_class class = (enum vmap_class)vmap[in->name];
	bool stays = class == VMAP_NATIVE || class == VMAP_X87 || class == VMAP_MMX || class == VMAP_SSE ||
	    class == VMAP_NOTHING || in->name == I_PUSH || in->name == I_POP || in->name == I_LEAVE || in->name == I_XLAT;
	if (in->name >= I_MOVS && in->name <= I_OUTS && class == VMAP_INLINE)
		stays = !(in->prefix & (PREFIX_REP | PREFIX_REPNE));
	if (!stays)
		return FLAG_ARITH;	/* leaves the block, or may: exact flags */
	struct insn_flags f = insn_flags(in);
	return (f.reads | (after & ~f.kills)) & FLAG_ARITH;
}

static void find_live_flags(struct emit *e)
{
	uint16_t live = FLAG_ARITH;
	for (unsigned i = e->n; i-- > 0; ) {
		e->src[i].live_out = live;
		live = e->src[i].live_in = e->src[i].intercepted ? FLAG_ARITH : live_before(&e->src[i].in, live);
	}
}

/* Decode from the current EIP up to the end of the page or of the run of code. */
static void decode_block(struct emit *e, const uint8_t *page, const uint8_t *next_page, bool *short_of)
{
	uint32_t eip = e->block->eip;
	unsigned off = (eip + e->block->cs_base) & PAGE_MASK;
	bool big = e->mode & MODE_CODE32;
	while (e->n < BLOCK_MAX_INSNS && off < PAGE_BYTES) {
		struct source *src = &e->src[e->n];
		unsigned avail = PAGE_BYTES - off;
		if (unlikely(e->cpu->stops && e->n > 0 && stops_at(e->cpu->stops, eip + e->block->cs_base)))
			break;			/* no block begins there, and none goes past it */
		memcpy(src->bytes, page + off, MIN(avail, 15u));
		enum decode_error err = decode_insn(&src->in, page + off, avail, big);
		if (err == DECODE_SHORT) {
			*short_of = e->n == 0 && !next_page;
			if (e->n > 0 || !next_page)
				break;
			uint8_t both[30];
			memcpy(both, page + off, avail);
			memcpy(both + avail, next_page, 15);
			err = decode_insn(&src->in, both, 15, big);
			memcpy(src->bytes, both, 15);
			e->crossing = true;
		}
		if (err != DECODE_OK)
			break;			/* the emulator raises it, when it gets there */
		if ((uint64_t)eip + src->in.len - 1 > e->block->cs_limit)
			break;
		src->eip = eip;
		e->n++;
		if (src->in.base < REG_NONE && src->in.index == REG_NONE && emit_writes_memory(&src->in))
			e->stored_by |= (uint8_t)BIT(src->in.base);
		eip += src->in.len;
		off += src->in.len;
		src->intercepted = cpu_intercepts(e->cpu, &src->in, src->eip + e->block->cs_base);
		if (e->crossing || src->intercepted || ends_block(&src->in))
			break;
		if (e->n >= BLOCK_LONG && (src->in.name == I_JCC || src->in.name == I_CALL))
			break;			/* what lies behind is mostly never reached from here */
	}
}

/* Out by c if m is not what it was. */
static void emit_must_be(struct emit *e, struct cold *c, struct host_mem m, uint32_t wanted)
{
	asm_op_rm(&e->b, OP1(0x81), ALU_CMP, m);
	asm_u32(&e->b, wanted);
	c->from[c->nfrom++] = asm_jcc(&e->b, CC_NE, NULL);
}

/*
 * Entries from anywhere: is the block meant, and is its page still mapped as it was when it was scanned? What is at
 * EIP now may be other code, in which flags are live that are not here: none is lost on the way out.
 */
static void emit_entry(struct emit *e)
{
	struct asm_buf *b = &e->b;
	struct block *blk = e->block;
	uint32_t first = (blk->eip + blk->cs_base) >> PAGE_SHIFT;
	struct cold *c = emit_cold(e, e->s->glue.indirect, 0);
	c->flags_parked = true;
	asm_mov_ri(b, R11, blk->eip);
	blk->hashed = (uint16_t)(asm_here(b) - blk->host);
	emit_park(b);
	asm_op_rr(b, OP1(0x81), ALU_CMP, R11);
	asm_u32(b, blk->eip);
	c->from[c->nfrom++] = asm_jcc(b, CC_NE, NULL);
	if (mode_keyed(e->mode))
		emit_must_be(e, c, emit_seg_field(SEG_CS, offsetof(struct segment, base)), blk->cs_base);
	for (unsigned k = 0; k < (e->crossing ? 2u : 1u); k++)
		emit_must_be(e, c, MEM_BASE(R12, (int32_t)(TLB_CODE_OFFSET + ((first + k) & 0xFFFFF) * 4)),
		    (uint32_t)((k == 0 ? blk->gpa : blk->gpa2) >> PAGE_SHIFT) + 1);
	if (e->n == 0 || e->src[0].live_in)
		emit_unpark(b);
	else
		asm_mov_rr64(b, RAX, R8);
	blk->near = (uint16_t)(asm_here(b) - blk->host);
}

static void emit_code(struct emit *e)
{
	struct block *blk = e->block;
	for (e->i = 0; e->i < e->n; e->i++)
		emit_insn(e);
	const struct source *last = &e->src[e->n - 1];
	blk->rec[e->n] = (struct record){
		.entry_off = (uint16_t)(asm_here(&e->b) - blk->host),
		.entry_esp = (int16_t)e->esp_off,
		.host_off = (uint16_t)(asm_here(&e->b) - blk->host),
		.esp_off = (int16_t)e->esp_off,
		.guest_off = (uint16_t)(last->eip + last->in.len - blk->eip),
		.live = record_of_live(FLAG_ARITH),
	};
	if (!ends_block(&last->in)) {
		emit_flush_esp(e);
		emit_exit(e, last->eip + last->in.len);
	}
	blk->host_bytes = (uint32_t)(asm_here(&e->b) - blk->host);
	for (unsigned i = 0; i < e->ncold; i++)
		finish_cold(e, &e->cold[i]);
}

static void protect_pages(struct scanner *s, const struct block *blk)
{
	for (unsigned k = 0; k < 2; k++) {
		uint8_t *flags = &s->cpu->phys->page_flags[blk->fd_page[k]];
		if (*flags & PAGE_SCAN)
			continue;
		*flags |= PAGE_SCAN;
		mmu_drop_writes(s->cpu, blk->fd_page[k] << PAGE_SHIFT);
		if (s->cpu->scan.protect_code)		/* reads must be seen as well */
			mmu_flush(s->cpu, true);
	}
}

struct block *emit_block(struct scanner *s, uint32_t gpa, uint32_t next_gpa, uint32_t mode, bool *short_of)
{
	struct vcpu *cpu = s->cpu;
	struct phys *phys = cpu->phys;
	struct emit *e = s->emit;
	*short_of = false;
	uint8_t *page = phys_host(phys, gpa & ~PAGE_MASK, false);
	uint8_t *next = next_gpa == NO_PAGE ? NULL : phys_host(phys, next_gpa, false);
	if (!page)
		return NULL;

	struct block *blk = cache_alloc(s, sizeof(*blk));
	*blk = (struct block){ .eip = cpu->eip, .cs_base = cpu->seg[SEG_CS].base, .cs_limit = cpu->seg[SEG_CS].limit,
		.mode = mode, .gpa = gpa, .gpa2 = next_gpa };
	e->s = s;
	e->cpu = cpu;
	e->block = blk;
	e->mode = mode;
	e->n = e->i = e->ncold = e->stored_by = 0;
	e->esp_off = 0;
	e->site = -1;
	e->crossing = e->fpu_known = e->sse_known = false;
	e->first_gate = GATE_NONE;
	decode_block(e, page, next, short_of);
	if (e->n == 0)
		return NULL;

	const struct source *last = &e->src[e->n - 1];
	blk->ninsns = (uint16_t)e->n;
	blk->fd_page[0] = blk->fd_page[1] = phys_fd_page(phys, page);
	if (e->crossing)
		blk->fd_page[1] = phys_fd_page(phys, next);
	blk->fd_lo = gpa & PAGE_MASK;
	blk->fd_hi = blk->fd_lo + last->eip + last->in.len - blk->eip;
	blk->rec = cache_alloc(s, (e->n + 1) * sizeof(struct record));
	find_live_flags(e);

	e->b = (struct asm_buf){ .rw = s->rw + s->used, .end = s->rw + s->bytes, .rx_delta = cache_delta(s) };
	blk->host = asm_here(&e->b);
	emit_entry(e);
	emit_code(e);
	assert(e->b.rw <= e->b.end);
	s->used = (size_t)(e->b.rw - s->rw + 15) & ~(size_t)15;
	if (s->perf_map)		/* address, size, name: "guest 3d c0123456": CPL, direct or checked, EIP */
		fprintf(s->perf_map, "%lx %lx guest %c%c %08x\n", (unsigned long)(uintptr_t)blk->host,
		    (unsigned long)(asm_here(&e->b) - blk->host), mode & MODE_USER ? '3' : '0',
		    mode & MODE_DIRECT ? 'd' : 'c', blk->eip);
	if (s->verifier && !verify_block(s, blk, asm_here(&e->b)))
		return NULL;
	protect_pages(s, blk);
	cache_insert(s, blk);
	return blk;
}
