/*
 * Memory operands of scanned code.			[docs/design/memory.md]
 *
 * Direct: through the window, the guest's own address with a GS prefix; an access the window does
 * not allow faults on the host. Checked: the software TLB gives the host address,
 *
 *	lea ea, r11d | mov r11d, r10d; shr 12 | test size-1, r11b; jnz | mov tlb(,r10,8), r10 | test r10; jz
 *
 * and the operand becomes (r10, r11). What the fast path cannot decide goes to glue.slow, with
 * nothing of the instruction done: it fills the TLB and tries again, or emulates.
 * A segment's base comes from struct vcpu: loading a segment register makes no other code. Its limit is compared, but
 * for the common one of 64 KiB or more a 16-bit offset need only not cross 0xFFFF (SEG_64K).
 * The checks spoil the flags; where these are live they are parked in AX, with RAX in r8.
 */
#include "scan/emit.h"

struct cold *emit_slow(struct emit *e, bool parked, unsigned kind)
{
	struct cold *c = emit_cold(e, e->s->glue.slow, emit_site(e, 0) << 2 | kind);
	c->flags_parked = parked;
	return c;
}

void emit_jump_slow(struct emit *e, unsigned cc, struct cold *c)
{
	c->from[c->nfrom++] = asm_jcc(&e->b, cc, NULL);
}

/* r11d = offset: compare with the segment's end. The 64-bit sum cannot wrap. */
static void check_limit(struct emit *e, unsigned seg, unsigned size, bool write, bool parked)
{
	asm_op_rm(&e->b, OP1W(0x8D), R10, MEM_BASE(R11, (int32_t)size));
	asm_op_rm(&e->b, OP1W(0x3B), R10, emit_seg_field(seg, write ? offsetof(struct segment, write_top)
	    : offsetof(struct segment, read_top)));
	emit_jump_slow(e, CC_A, emit_slow(e, parked, SLOW_EMULATE));
}

/* r11d = offset below 64K in a segment that is no shorter: only crossing its end is to be decided elsewhere. */
static void check_wrap(struct emit *e, unsigned size, bool parked)
{
	asm_alu_ri(&e->b, ALU_CMP, R11, 0x10000 - size);
	emit_jump_slow(e, CC_A, emit_slow(e, parked, SLOW_EMULATE));
}

static void load_base(struct emit *e, unsigned seg)	/* flags stay */
{
	asm_load(&e->b, R10, emit_seg_field(seg, offsetof(struct segment, base)));
}

/* SSE operands but those of the moves that say so: #GP comes before any #PF. */
static bool demands_alignment(const struct insn *in, unsigned size)
{
	return size == 16 && in->name != I_MOVUPS && in->name != I_MOVUPD && in->name != I_MOVDQU;
}

enum seg_state emit_seg(const struct emit *e, unsigned seg, bool write)
{
	return seg == SEG_CS && write && !(e->mode & MODE_REAL) ? SEG_CHECKED : mode_seg(e->mode, seg);
}

/* r11d = linear: make (r10, r11) reach it. */
static void translate(struct emit *e, unsigned size, bool write, bool parked)
{
	struct asm_buf *b = &e->b;
	if (size > 1) {		/* anything unaligned might cross a page: decided out of line */
		static const uint8_t test_r11b[] = { 0x41, 0xF6, 0xC3 };
		unsigned align = size >= 16 ? 15 : size > 4 ? 7 : size > 2 ? 3 : 1;
		if (size > 4 && size != 8 && size != 16)
			align = 15;
		asm_bytes(b, test_r11b, sizeof(test_r11b));
		asm_byte(b, align);
		struct cold *u = emit_slow(e, parked, SLOW_EMULATE);
		emit_jump_slow(e, CC_NE, u);
		if (!demands_alignment(&cur(e)->in, size)) {
			u->back = asm_here(b);
			u->size = (uint8_t)size;
		}
	}
	asm_mov_rr(b, R10, R11);
	static const uint8_t shr_r10d_12[] = { 0x41, 0xC1, 0xEA, 0x0C };
	asm_bytes(b, shr_r10d_12, sizeof(shr_r10d_12));
	asm_load64(b, R10, (struct host_mem){ .base = R12, .index = R10, .scale = 3,
	    .disp = write ? (int32_t)TLB_WRITE_OFFSET : 0 });
	asm_op_rr(b, OP1W(0x85), R10, R10);		/* test */
	struct cold *miss = emit_slow(e, parked, write ? SLOW_WRITE : 0);
	emit_jump_slow(e, CC_E, miss);
	miss->filled = asm_here(b);
}

/* How the limit is looked at. */
enum limit_check { LIMIT_NONE, LIMIT_WRAP, LIMIT_FULL };

static struct host_mem reach(struct emit *e, unsigned seg, unsigned size, bool write, enum limit_check check)
{
	enum seg_state state = emit_seg(e, seg, write);
	bool direct = emit_direct(e);
	bool park = (!direct || check != LIMIT_NONE) && cur(e)->live_in;

	if (park)
		emit_park(&e->b);
	if (check == LIMIT_FULL)
		check_limit(e, seg, size, write, park);
	else if (check == LIMIT_WRAP)
		check_wrap(e, size, park);
	if (state != SEG_FLAT)
		load_base(e, seg);
	if (!direct) {
		if (state != SEG_FLAT)
			asm_lea(&e->b, R11, (struct host_mem){ .base = R11, .index = R10 });
		translate(e, size, write, park);
	}
	if (park)
		emit_unpark(&e->b);
	if (direct && state == SEG_FLAT)
		return (struct host_mem){ .base = R11, .index = NOREG, .gs = true, .addr32 = true };
	return (struct host_mem){ .base = R10, .index = R11, .gs = direct, .addr32 = direct };
}

struct host_mem emit_mem_r11(struct emit *e, unsigned seg, unsigned size, bool write, bool small)
{
	enum seg_state state = emit_seg(e, seg, write);
	enum limit_check check = LIMIT_NONE;

	if (state == SEG_CHECKED || (state == SEG_64K && !small))
		check = LIMIT_FULL;
	else if (state == SEG_64K && size > 1)
		check = LIMIT_WRAP;
	return reach(e, seg, size, write, check);
}

/* A constant offset below 64K. */
static struct host_mem mem_constant(struct emit *e, unsigned seg, uint32_t off, unsigned size, bool write)
{
	enum seg_state state = emit_seg(e, seg, write);

	if (emit_direct(e) && state != SEG_CHECKED && off + size <= 0x10000) {
		if (state != SEG_FLAT)
			load_base(e, seg);
		return (struct host_mem){ .base = state == SEG_FLAT ? NOREG : R10, .index = NOREG, .disp = (int32_t)off, .gs = true,
		    .addr32 = true };
	}
	asm_mov_ri(&e->b, R11, off);
	if (state != SEG_CHECKED && off + size <= 0x10000)
		return reach(e, seg, size, write, LIMIT_NONE);
	return emit_mem_r11(e, seg, size, write, true);
}

struct host_mem emit_guest_ea(struct emit *e, const struct insn *in)
{
	struct host_mem m = {
		.base = in->base == REG_NONE ? NOREG : emit_gpr(in->base),
		.index = in->index == REG_NONE ? NOREG : emit_gpr(in->index),
		.scale = in->scale, .disp = in->disp,
	};
	if (in->base == REG_ESP)
		m.disp += e->esp_off;
	return m;
}

/*
 * Loads do without GS where they can: a shorter way from address to value. What the sum would lack is the cut to 32 bits:
 * beyond the window is its guard, also for a scaled index; with both registers, or below 0, it would be missed too often.
 * But what has just been stored reaches a load at no cost only if both have the same base and displacement and no index: so
 * loads go as the stores do where there are such, which is in the frame and where the block stores by that register.
 */
bool emit_through_base(const struct emit *e, const struct insn *in, bool write)
{
	if (in->base == REG_NONE)
		return !write && in->index != REG_NONE && in->disp >= 0;
	return !write && in->index == REG_NONE && in->base != REG_EBP && !(e->stored_by >> in->base & 1);
}

struct host_mem emit_mem(struct emit *e, const struct insn *in, unsigned size, bool write)
{
	struct host_mem m = emit_guest_ea(e, in);
	if (emit_direct(e) && emit_seg(e, in->seg, write) == SEG_FLAT && in->adsize == 4) {
		if (m.base == R15 && m.index == NOREG && emit_esp_pointer(e))
			return m;
		if (emit_through_base(e, in, write)) {
			if (m.index == NOREG)
				m.index = m.base;
			m.base = R14;
			return m;
		}
		m.gs = m.addr32 = true;
		return m;
	}
	if (in->adsize == 2 && m.base == NOREG && m.index == NOREG)
		return mem_constant(e, in->seg, m.disp & 0xFFFF, size, write);
	if (in->adsize == 2) {
		bool alone = m.disp == 0 && (m.base == NOREG || m.index == NOREG);
		if (!alone)
			asm_lea(&e->b, R11, m);
		asm_op_rr(&e->b, OP2(0xB7), R11, !alone ? R11 : m.base == NOREG ? m.index : m.base);	/* movzwl */
	} else {
		asm_lea(&e->b, R11, m);
	}
	return emit_mem_r11(e, in->seg, size, write, in->adsize == 2);
}

struct host_mem emit_stack(struct emit *e, int offset, unsigned size, bool write)
{
	struct host_mem m = MEM_BASE(R15, e->esp_off + offset);
	if (emit_direct(e) && emit_esp_pointer(e))
		return m;
	if (emit_stack32(e) || m.disp)
		asm_lea(&e->b, R11, m);
	if (!emit_stack32(e))
		asm_op_rr(&e->b, OP2(0xB7), R11, m.disp ? R11 : R15);	/* movzwl */
	return emit_mem_r11(e, SEG_SS, size, write, !emit_stack32(e));
}
