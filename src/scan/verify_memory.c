/*
 * The emitted-code verifier's rules for memory operands: the vCPU's state, the software TLB, the window, the page
 * that a look-up found, and the hash of branch targets; nothing else.	[docs/design/verify.md]
 */
#include "scan/verify_internal.h"

struct field { uint32_t off, len; };
#define FIELD(f) { offsetof(struct vcpu, f), sizeof(((struct vcpu *)0)->f) }
#define FIELDS(first, last) { offsetof(struct vcpu, first), offsetof(struct vcpu, last) + \
    sizeof(((struct vcpu *)0)->last) - offsetof(struct vcpu, first) }

/* Fields scanned code may store to: guest state only. */
static const struct field writable[] = { FIELD(gpr), FIELD(eip), FIELD(eflags), FIELD(shadow), FIELD(icount), FIELD(pauses),
	FIELD(scan.left)
#ifdef PLEX86_METERS
	, FIELD(meters.insns)
#endif
};
/* Fields it may load: guest state and what the emitters test; no host address. */
static const struct field readable[] = { FIELDS(gpr, dr6_pending), FIELD(cpl), FIELD(attention), FIELD(icount),
	FIELD(icount_stop), FIELD(scan.r15), FIELD(scan.flags), FIELD(scan.fpu_closed), FIELD(scan.sse_closed),
	FIELD(scan.epoch), FIELD(pauses), FIELD(scan.left),
	FIELD(tsc_line)
#ifdef PLEX86_METERS
	, FIELD(meters.insns)
#endif
};

static bool in_fields(const struct field *f, size_t n, int64_t off, unsigned size)
{
	for (size_t i = 0; i < n; i++)
		if (off >= f[i].off && off + size <= (int64_t)f[i].off + f[i].len)
			return true;
	return false;
}

/* What a segment load in real mode changes. The limit is not among it: accesses are compared with it. */
static bool in_segment(int64_t off, unsigned size)
{
	static const struct field field[] = { { offsetof(struct segment, selector), 2 }, { offsetof(struct segment, base), 4 },
		{ offsetof(struct segment, data_state), 1 }, { offsetof(struct segment, code_state), 1 } };
	int64_t at = off - (int64_t)offsetof(struct vcpu, seg);
	return at >= 0 && at < (int64_t)sizeof(((struct vcpu *)0)->seg) &&
	    in_fields(field, ARRAY_LEN(field), at % (int64_t)sizeof(struct segment), size);
}

static bool state_operand(struct run *r, const ZydisDecodedOperandMem *m, unsigned size, bool read, bool write)
{
	if (m->index != ZYDIS_REGISTER_NONE)
		return verify_violation(r, "the vCPU's state, indexed");
	r->totals.state++;
	if (write && !in_fields(writable, ARRAY_LEN(writable), m->disp.value, size) && !in_segment(m->disp.value, size))
		return verify_violation(r, "a store to a field of struct vcpu that is not scanned code's");
	if (read && !in_fields(readable, ARRAY_LEN(readable), m->disp.value, size))
		return verify_violation(r, "a load from a field of struct vcpu that is not scanned code's");
	return true;
}

static bool table_operand(struct run *r, const struct state *s, const ZydisDecodedOperandMem *m, unsigned size, bool write)
{
	int64_t disp = m->disp.value;
	r->totals.table++;
	if (write)
		return verify_violation(r, "a store to the software TLB");
	if (m->index == ZYDIS_REGISTER_NONE) {
		if (size == 4 && disp >= (int64_t)TLB_CODE_OFFSET && disp + 4 <= (int64_t)(TLB_CODE_OFFSET + TLB_PAGES * 4))
			return true;
		return verify_violation(r, "the software TLB outside its code table");
	}
	int index = gpr_number(m->index);
	if (index < 0 || s->reg[index].kind != KIND_PAGE || m->scale != 8 || size != 8 ||
	    (disp != 0 && disp != (int64_t)TLB_WRITE_OFFSET) || r->d.mnemonic != ZYDIS_MNEMONIC_MOV)
		return verify_violation(r, "the software TLB by another index than a page number");
	return true;
}

static bool window_operand(struct run *r, const struct state *s, const ZydisDecodedOperandMem *m)
{
	r->totals.window++;
	if (m->index == ZYDIS_REGISTER_NONE)
		return true;
	int index = gpr_number(m->index);
	if (m->base != ZYDIS_REGISTER_R14 || index < 0 || !is_u32(s->reg[index]))
		return verify_violation(r, "a window access without a zero-extended index");
	return true;
}

/* (r10, r11): the addend of a page and the linear address it was looked up for. */
static bool checked_operand(struct run *r, const struct state *s, const ZydisDecodedOperandMem *m, unsigned size, bool write)
{
	int a = gpr_number(m->base), b = gpr_number(m->index);
	r->totals.checked++;
	if (a < 0 || b < 0 || m->scale > 1 || m->disp.value != 0)
		return verify_violation(r, "a memory operand of no allowed form");
	if (s->reg[a].kind != KIND_ADDEND) {
		int swap = a;
		a = b;
		b = swap;
	}
	const struct value *addend = &s->reg[a], *lin = &s->reg[b];
	if (addend->kind != KIND_ADDEND || !is_u32(*lin) || lin->id == NO_ID || addend->of != lin->id)
		return verify_violation(r, "an access with an address that was not looked up");
	if (!addend->not_null)
		return verify_violation(r, "an access before the look-up is known to have hit");
	if (write && !addend->write)
		return verify_violation(r, "a store through the read table");
	if (size > 1 && (s->inside.id != lin->id || s->inside.size < size))
		return verify_violation(r, "an access that may cross its page");
	return true;
}

/* An entry of the hash of branch targets, as the operand of a branch to the EIP in r11d. */
static bool hash_operand(struct run *r, const struct state *s, const ZydisDecodedOperandMem *m)
{
	int index = gpr_number(m->index);
	bool target = r->d.meta.category == ZYDIS_CATEGORY_UNCOND_BR || r->d.meta.category == ZYDIS_CATEGORY_CALL;
	r->totals.table++;
	if (index < 0 || s->reg[index].kind != KIND_U16 || m->scale != 8 || m->disp.value != 0)
		return verify_violation(r, "the hash of branch targets by another index than an EIP's");
	if (!target)
		return verify_violation(r, "the hash of branch targets as data");
	return is_u32(s->reg[11]) || verify_violation(r, "a branch through the hash without its target in r11d");
}

bool verify_may_read(struct run *r, const struct state *s, ZydisRegister reg, bool cut)
{
	int n = gpr_number(reg);
	if (n < 0)
		return true;
	if (s->reg[n].kind == KIND_MONITOR)
		return verify_violation(r, "one of the monitor's registers as a value");
	if (s->reg[n].kind == KIND_ADDEND || s->reg[n].kind == KIND_ANY || s->reg[n].kind == KIND_TABLE ||
	    (s->reg[n].kind == KIND_WINDOW && !cut))
		return verify_violation(r, "a value that may be a host address");
	return true;
}

bool verify_window_pointer(const struct state *s, const ZydisDecodedOperandMem *m)
{
	int base = gpr_number(m->base), index = gpr_number(m->index);
	if (m->base == ZYDIS_REGISTER_R14)
		return index >= 0 && m->scale <= 1 && m->disp.value == 0 && is_u32(s->reg[index]);
	return base >= 0 && index < 0 && s->reg[base].kind == KIND_WINDOW && m->disp.value < 0x40000 && m->disp.value > -0x40000;
}

bool verify_memory(struct run *r, const struct state *s, const ZydisDecodedOperand *o)
{
	const ZydisDecodedOperandMem *m = &o->mem;
	unsigned size = o->size / 8;
	bool read = o->actions & ZYDIS_OPERAND_ACTION_MASK_READ, write = o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;

	if (m->type == ZYDIS_MEMOP_TYPE_AGEN) {		/* LEA, and NOP: no access */
		bool cut = r->o[0].size <= 32;
		return verify_window_pointer(s, m) || (verify_may_read(r, s, m->base, cut) && verify_may_read(r, s, m->index, cut));
	}
	if (m->type != ZYDIS_MEMOP_TYPE_MEM)
		return verify_violation(r, "a memory operand of another type");
	if (m->segment == ZYDIS_REGISTER_GS) {
		if (r->d.address_width != 32)
			return verify_violation(r, "a GS access whose address is not cut to 32 bits");
		r->totals.window++;
		return verify_may_read(r, s, m->base, true) && verify_may_read(r, s, m->index, true);
	}
	if (m->segment == ZYDIS_REGISTER_FS)
		return verify_violation(r, "an FS access");
	if (r->d.address_width != 64)
		return verify_violation(r, "an address cut to 32 bits without the window's base");
	if (gpr_number(m->base) >= 0 && s->reg[gpr_number(m->base)].kind == KIND_WINDOW)
		return window_operand(r, s, m);
	if (gpr_number(m->base) >= 0 && s->reg[gpr_number(m->base)].kind == KIND_TABLE)
		return hash_operand(r, s, m);
	switch (m->base) {
	case ZYDIS_REGISTER_R12:
		return table_operand(r, s, m, size, write);
	case ZYDIS_REGISTER_R13:
		return state_operand(r, m, size, read, write);
	case ZYDIS_REGISTER_R14:
		return window_operand(r, s, m);
	default:
		return checked_operand(r, s, m, size, write);
	}
}
