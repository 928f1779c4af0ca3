/*
 * Proof that emitted code is harmless.					[docs/design/verify.md]
 *
 * An abstract run of every path through the code. Of each register it is known what kind of value
 * it holds; the kinds are just enough to follow the look-up in the software TLB:
 *
 *	r11d = linear address (KIND_U32, with a number that names the value)
 *	r10d = r11d >> 12 (KIND_PAGE of that number)  ->  r10 = table[r10] (KIND_ADDEND)
 *	test r10, r10; jz elsewhere (not null from here)  ->  (r10, r11) may be accessed
 *	test $size-1, r11b; jnz elsewhere, or the exact test out of line (does not cross its page)
 *
 * Whatever is not recognised is a violation: a list of what is allowed, not of what is forbidden.
 * Assumed, not proven here: the stubs (glue.c), the guards around the window, and that the tables
 * hold addends of pages that may be touched.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scan/verify_internal.h"

bool verify_violation(struct run *r, const char *what)
{
	ZydisFormatter f;
	struct verify_finding *v = r->finding;

	v->offset = r->off;
	v->what = what;
	ZydisFormatterInit(&f, ZYDIS_FORMATTER_STYLE_ATT);
	if (!ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&f, &r->d, r->o, r->d.operand_count_visible, v->text,
	    sizeof(v->text), r->code->at + r->off, NULL)))
		snprintf(v->text, sizeof(v->text), "(no instruction)");
	return false;
}

/* --- registers --- */

static bool in_set(unsigned set, int reg) { return set >> reg & 1; }
static int32_t name_of(const struct run *r, int reg) { return (int32_t)(r->off << 4 | (unsigned)reg); }

static struct value u32_of(enum kind kind, unsigned size, int32_t of)
{
	return (struct value){ .kind = of == NO_ID ? KIND_U32 : (uint8_t)kind, .size = (uint8_t)size, .id = NO_ID, .of = of };
}

/* The value a name stood for is gone: nothing known may refer to it. */
static void forget(struct state *s, int32_t id)
{
	for (unsigned i = 0; i < 16; i++) {
		struct value *v = &s->reg[i];
		if (v->id == id)
			v->id = NO_ID;
		if (v->of == id && (v->kind >= KIND_PAGE || v->kind == KIND_ADDEND))
			*v = (struct value){ .kind = v->kind == KIND_ADDEND ? KIND_ANY : KIND_U32, .id = NO_ID, .of = NO_ID };
	}
	if (s->inside.id == id)
		s->inside.size = 0;
	if (s->flags.id == id)
		memset(&s->flags, 0, sizeof(s->flags));
}

static void set_reg(struct state *s, int reg, struct value v)
{
	if (s->flags.test == TEST_NULL && s->flags.reg == reg)
		memset(&s->flags, 0, sizeof(s->flags));
	s->reg[reg] = v;
}

/* --- what instructions may be there at all --- */

static bool is_string(const ZydisDecodedInstruction *d)
{
	return d->meta.category == ZYDIS_CATEGORY_STRINGOP && d->operand_width <= 32 && d->address_width == 64;
}

static bool allowed_mnemonic(const ZydisDecodedInstruction *d)
{
	switch (d->mnemonic) {
	case ZYDIS_MNEMONIC_LEA: case ZYDIS_MNEMONIC_PAUSE: case ZYDIS_MNEMONIC_LFENCE: case ZYDIS_MNEMONIC_MFENCE:
	case ZYDIS_MNEMONIC_SFENCE: case ZYDIS_MNEMONIC_CLC: case ZYDIS_MNEMONIC_STC: case ZYDIS_MNEMONIC_CMC:
	case ZYDIS_MNEMONIC_LAHF: case ZYDIS_MNEMONIC_SAHF: case ZYDIS_MNEMONIC_RDTSC:
		return true;
	/* show or load host state: pointers into the code cache, all of the FPU, the OS's business */
	case ZYDIS_MNEMONIC_FNSTENV: case ZYDIS_MNEMONIC_FNSAVE: case ZYDIS_MNEMONIC_FLDENV: case ZYDIS_MNEMONIC_FRSTOR:
	case ZYDIS_MNEMONIC_FXSAVE: case ZYDIS_MNEMONIC_FXSAVE64: case ZYDIS_MNEMONIC_FXRSTOR: case ZYDIS_MNEMONIC_FXRSTOR64:
	case ZYDIS_MNEMONIC_MASKMOVQ: case ZYDIS_MNEMONIC_MASKMOVDQU: case ZYDIS_MNEMONIC_CMPXCHG16B:
	case ZYDIS_MNEMONIC_POPCNT: case ZYDIS_MNEMONIC_TZCNT: case ZYDIS_MNEMONIC_LZCNT:
		return false;
	default:
		break;
	}
	if (is_string(d))
		return true;
	switch (d->meta.category) {
	case ZYDIS_CATEGORY_BINARY: case ZYDIS_CATEGORY_LOGICAL: case ZYDIS_CATEGORY_SHIFT: case ZYDIS_CATEGORY_ROTATE:
	case ZYDIS_CATEGORY_DATAXFER: case ZYDIS_CATEGORY_BITBYTE: case ZYDIS_CATEGORY_COND_BR: case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_CALL: case ZYDIS_CATEGORY_RET: case ZYDIS_CATEGORY_NOP: case ZYDIS_CATEGORY_WIDENOP:
	case ZYDIS_CATEGORY_CMOV: case ZYDIS_CATEGORY_FCMOV: case ZYDIS_CATEGORY_SETCC: case ZYDIS_CATEGORY_CONVERT:
	case ZYDIS_CATEGORY_X87_ALU: case ZYDIS_CATEGORY_MMX: case ZYDIS_CATEGORY_SSE: case ZYDIS_CATEGORY_SEMAPHORE:
	case ZYDIS_CATEGORY_LOGICAL_FP: case ZYDIS_CATEGORY_PREFETCH:
		return d->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY;
	default:
		return false;
	}
}

static bool allowed_extension(ZydisISAExt ext)
{
	return ext == ZYDIS_ISA_EXT_BASE || ext == ZYDIS_ISA_EXT_X87 || ext == ZYDIS_ISA_EXT_MMX || ext == ZYDIS_ISA_EXT_SSE ||
	    ext == ZYDIS_ISA_EXT_SSE2 || ext == ZYDIS_ISA_EXT_PAUSE || ext == ZYDIS_ISA_EXT_LONGMODE;
}

static bool is_branch(const ZydisDecodedInstruction *d)
{
	return d->meta.category == ZYDIS_CATEGORY_COND_BR || d->meta.category == ZYDIS_CATEGORY_UNCOND_BR ||
	    d->meta.category == ZYDIS_CATEGORY_CALL || d->meta.category == ZYDIS_CATEGORY_RET;
}

/* --- what an instruction does to what is known --- */

static bool register_operand(struct run *r, const struct state *s, const ZydisDecodedOperand *o)
{
	ZydisRegister reg = o->reg.value;
	ZydisRegisterClass class = ZydisRegisterGetClass(reg);
	int n = gpr_number(reg);

	if (class == ZYDIS_REGCLASS_SEGMENT || class == ZYDIS_REGCLASS_CONTROL || class == ZYDIS_REGCLASS_DEBUG ||
	    class == ZYDIS_REGCLASS_TABLE || class == ZYDIS_REGCLASS_TEST)
		return verify_violation(r, "a segment, control or debug register");
	if (n < 0)
		return true;
	if (in_set(MONITOR_REGS, n))
		return verify_violation(r, "one of the monitor's registers");
	/* TEST of a table entry with itself is the one look at a host address that is allowed. */
	bool null_test = r->d.mnemonic == ZYDIS_MNEMONIC_TEST && r->o[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	    r->o[1].type == ZYDIS_OPERAND_TYPE_REGISTER && r->o[0].reg.value == r->o[1].reg.value &&
	    s->reg[n].kind == KIND_ADDEND;
	if ((o->actions & ZYDIS_OPERAND_ACTION_MASK_READ) && !null_test)
		return verify_may_read(r, s, reg, o->size <= 32);
	return true;
}

/* 64 bits of the vCPU's state that say nothing of the host's memory. */
static bool is_count(int64_t field)
{
	if (field >= (int64_t)offsetof(struct vcpu, tsc_line) && field < (int64_t)(offsetof(struct vcpu, tsc_line) + sizeof(struct tsc_line)))
		return true;
#ifdef PLEX86_METERS
	if (field == (int64_t)offsetof(struct vcpu, meters.insns))
		return true;
#endif
	return field == (int64_t)offsetof(struct vcpu, scan.left);
}

static bool is_number(struct value v) { return is_u32(v) || v.kind == KIND_WIDE; }

/* 64-bit arithmetic with nothing but numbers. */
static bool computes_number(const struct run *r, const struct state *s, int reg)
{
	const ZydisDecodedOperand *src = &r->o[1];
	int n = src->type == ZYDIS_OPERAND_TYPE_REGISTER ? gpr_number(src->reg.value) : -1;

	if (r->d.mnemonic != ZYDIS_MNEMONIC_ADD && r->d.mnemonic != ZYDIS_MNEMONIC_SUB && r->d.mnemonic != ZYDIS_MNEMONIC_OR &&
	    r->d.mnemonic != ZYDIS_MNEMONIC_IMUL && r->d.mnemonic != ZYDIS_MNEMONIC_SHL && r->d.mnemonic != ZYDIS_MNEMONIC_SHR)
		return false;
	return is_number(s->reg[reg]) && (n >= 0 ? is_number(s->reg[n]) : src->type == ZYDIS_OPERAND_TYPE_IMMEDIATE ||
	    (src->type == ZYDIS_OPERAND_TYPE_MEMORY && src->mem.base == ZYDIS_REGISTER_R13 && is_count(src->mem.disp.value)));
}

/* What a 32- or 64-bit write leaves in reg; a value without a name is given one by the caller. */
static struct value written_value(struct run *r, const struct state *s, int reg, unsigned bits)
{
	const ZydisDecodedOperand *src = &r->o[1];
	int n = src->type == ZYDIS_OPERAND_TYPE_REGISTER ? gpr_number(src->reg.value) : -1;
	int base = src->type == ZYDIS_OPERAND_TYPE_MEMORY ? gpr_number(src->mem.base) : -1;
	bool imm = src->type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
	const struct value *old = &s->reg[reg];

	switch (r->d.mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
		if (bits == 32 && imm)
			return (struct value){ .kind = KIND_U32, .constant = true, .write = src->imm.value.u & SLOW_WRITE,
			    .id = NO_ID, .of = NO_ID };
		if (n >= 0 && (bits == 64 || is_u32(s->reg[n])))
			return s->reg[n];
		if (bits == 64 && base >= 0 && src->mem.base == ZYDIS_REGISTER_R12 && src->mem.index != ZYDIS_REGISTER_NONE)
			return (struct value){ .kind = KIND_ADDEND, .write = src->mem.disp.value != 0, .id = NO_ID,
			    .of = s->reg[gpr_number(src->mem.index)].of };
		if (bits == 64 && base >= 0 && src->mem.base == ZYDIS_REGISTER_R13 && is_count(src->mem.disp.value))
			return (struct value){ .kind = KIND_WIDE, .id = NO_ID, .of = NO_ID };
		if (bits == 64 && imm && r->code->is_table && r->code->is_table(r->code->arg, src->imm.value.u))
			return (struct value){ .kind = KIND_TABLE, .id = NO_ID, .of = NO_ID };
		break;
	case ZYDIS_MNEMONIC_MOVZX:
		if (src->size == 16)
			return (struct value){ .kind = KIND_U16, .id = NO_ID, .of = NO_ID };
		break;
	case ZYDIS_MNEMONIC_SHR:
		if (bits == 32 && is_u32(*old) && imm && src->imm.value.u == 12)
			return u32_of(KIND_PAGE, 0, old->id);
		break;
	case ZYDIS_MNEMONIC_LEA:
		if (bits == 64)
			return (struct value){ .kind = verify_window_pointer(s, &src->mem) ? KIND_WINDOW : KIND_WIDE, .id = NO_ID, .of = NO_ID };
		if (src->mem.index == ZYDIS_REGISTER_NONE && base >= 0 && src->mem.disp.value > 0 && src->mem.disp.value < 64 &&
		    is_u32(s->reg[base]))
			return u32_of(KIND_LAST, (unsigned)src->mem.disp.value + 1, s->reg[base].id);
		break;
	case ZYDIS_MNEMONIC_XOR:
		if (bits == 32 && old->kind == KIND_LAST && n >= 0 && s->reg[n].id == old->of)
			return u32_of(KIND_XOR, old->size, old->of);
		break;
	default:
		break;
	}
	if (bits == 64 && computes_number(r, s, reg))
		return (struct value){ .kind = KIND_WIDE, .id = NO_ID, .of = NO_ID };
	return (struct value){ .kind = bits == 32 ? KIND_U32 : KIND_ANY, .id = NO_ID, .of = NO_ID };
}

static bool write_register(struct run *r, const struct state *before, struct state *s, const ZydisDecodedOperand *o)
{
	int n = gpr_number(o->reg.value);
	if (n < 0)
		return true;
	unsigned bits = (unsigned)ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, o->reg.value);
	struct value v = { .kind = KIND_ANY, .id = NO_ID, .of = NO_ID };
	if (bits >= 32)
		v = written_value(r, before, n, bits);
	else if (is_u32(before->reg[n]))
		v.kind = KIND_U32;
	else if (before->reg[n].kind == KIND_WINDOW)
		v.kind = KIND_WINDOW;		/* the low half is the guest's, whatever it is */
	bool pointer = v.kind == KIND_WINDOW && (n == REG_ESI || n == REG_EDI || (n == 15 && r->code->esp_pointer));
	if (in_set(GUEST_REGS, n) && !is_u32(v) && !pointer)
		return verify_violation(r, "more than 32 bits written to a guest register");
	if (is_u32(v) && v.id == NO_ID) {
		forget(s, name_of(r, n));
		v.id = name_of(r, n);
		if (v.kind != KIND_U32 && v.of == v.id)
			v.kind = KIND_U32;
	}
	set_reg(s, n, v);
	return true;
}

/* String instructions move host addresses in the window, up to the guards; ECX stays 32 bits. */
static bool string_registers(struct run *r, const struct state *before, struct state *s)
{
	for (unsigned i = 0; i < r->d.operand_count; i++) {
		const ZydisDecodedOperand *o = &r->o[i];
		int n = o->type == ZYDIS_OPERAND_TYPE_REGISTER ? gpr_number(o->reg.value) : -1;
		if (n == REG_ECX && !is_u32(before->reg[n]))
			return verify_violation(r, "a string count of more than 32 bits");
		if ((n == REG_ESI || n == REG_EDI) && before->reg[n].kind != KIND_WINDOW)
			return verify_violation(r, "a string instruction outside the window");
		if (n == REG_ECX) {
			forget(s, name_of(r, n));
			set_reg(s, n, (struct value){ .kind = KIND_U32, .id = name_of(r, n), .of = NO_ID });
		}
	}
	return true;
}

static void note_test(struct run *r, const struct state *before, struct state *s)
{
	const ZydisDecodedOperand *a = &r->o[0], *b = &r->o[1];
	const ZydisAccessedFlags *f = r->d.cpu_flags;

	if (!f || !((f->modified | f->set_0 | f->set_1 | f->undefined) & ZYDIS_CPUFLAG_ZF))
		return;
	memset(&s->flags, 0, sizeof(s->flags));
	if (r->d.mnemonic != ZYDIS_MNEMONIC_TEST || a->type != ZYDIS_OPERAND_TYPE_REGISTER || gpr_number(a->reg.value) < 0)
		return;
	int n = gpr_number(a->reg.value);
	const struct value *v = &before->reg[n];
	s->flags.id = v->kind == KIND_ADDEND || v->kind == KIND_XOR ? v->of : v->id;
	s->flags.reg = (uint8_t)n;
	if (b->type == ZYDIS_OPERAND_TYPE_REGISTER && b->reg.value == a->reg.value && v->kind == KIND_ADDEND && a->size == 64) {
		s->flags.test = TEST_NULL;
	} else if (b->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && is_u32(*v) && v->id != NO_ID && b->imm.value.u < 64 &&
	    (a->reg.value < ZYDIS_REGISTER_AH || a->reg.value > ZYDIS_REGISTER_BH)) {
		unsigned low = (unsigned)b->imm.value.u + 1;
		s->flags.test = TEST_ALIGN;
		s->flags.size = (uint8_t)(low & (0u - low));	/* all bits below this power of two were tested */
	} else if (b->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && v->kind == KIND_XOR && a->size == 32 &&
	    (uint32_t)b->imm.value.u == ~(uint32_t)PAGE_MASK) {
		s->flags.test = TEST_CROSS;
		s->flags.size = v->size;
	}
}

/* The flag tested was zero (zero = true) or not. */
static void learn(struct state *s, bool zero)
{
	if (s->flags.test == TEST_NULL && !zero)
		s->reg[s->flags.reg].not_null = true;
	if ((s->flags.test == TEST_ALIGN || s->flags.test == TEST_CROSS) && zero) {
		s->inside.id = s->flags.id;
		s->inside.size = s->flags.size;
	}
}

/* --- paths --- */

static struct value join_value(struct value a, struct value b, int32_t name)
{
	if (a.kind == b.kind && a.id == b.id && a.of == b.of && a.write == b.write && a.size == b.size && a.constant == b.constant) {
		a.not_null &= b.not_null;
		return a;
	}
	if (a.kind == b.kind && (a.kind == KIND_WINDOW || a.kind == KIND_WIDE || a.kind == KIND_TABLE))
		return (struct value){ .kind = a.kind, .id = NO_ID, .of = NO_ID };
	if (is_u32(a) && is_u32(b))
		return (struct value){ .kind = KIND_U32, .id = name, .of = NO_ID };
	return (struct value){ .kind = KIND_ANY, .id = NO_ID, .of = NO_ID };
}

static struct host_insn *insn_at(struct run *r, uint64_t off)
{
	unsigned lo = 0, hi = r->n;
	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		if (r->insn[mid].off < off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < r->n && r->insn[lo].off == off ? &r->insn[lo] : NULL;
}

static bool flow_to(struct run *r, uint64_t off, const struct state *s)
{
	struct host_insn *to = insn_at(r, off);
	if (!to)
		return verify_violation(r, "control flow into the middle of an instruction, or past the end");
	if (!to->in.reached) {
		to->in = *s;
		to->in.reached = true;
		r->changed = true;
		return true;
	}
	struct state j = to->in;
	for (unsigned i = 0; i < 16; i++)
		j.reg[i] = join_value(j.reg[i], s->reg[i], -2 - (int32_t)(to->off << 4 | i));
	if (j.flags.test != s->flags.test || j.flags.id != s->flags.id || j.flags.reg != s->flags.reg || j.flags.size != s->flags.size)
		memset(&j.flags, 0, sizeof(j.flags));
	if (j.inside.id != s->inside.id)
		memset(&j.inside, 0, sizeof(j.inside));
	j.inside.size = MIN(j.inside.size, s->inside.size);
	if (memcmp(&j, &to->in, sizeof(j)) != 0) {
		to->in = j;
		r->changed = true;
	}
	return true;
}

static void nothing_known(const struct run *r, struct state *s)
{
	memset(s, 0, sizeof(*s));
	for (int i = 0; i < 16; i++)
		s->reg[i] = (struct value){ .kind = in_set(MONITOR_REGS, i) ? KIND_MONITOR : in_set(GUEST_REGS, i) ? KIND_U32
		    : KIND_ANY, .id = -2 - i, .of = NO_ID };
	if (r->code->esp_pointer)
		s->reg[15].kind = KIND_WINDOW;
}

/* Guest registers as every block expects them. */
static bool in_order(struct run *r, const struct state *s)
{
	for (int i = 0; i < 16; i++)
		if (in_set(GUEST_REGS, i) && (i == 15 && r->code->esp_pointer ? s->reg[i].kind != KIND_WINDOW : !is_u32(s->reg[i])))
			return verify_violation(r, "leaves the block with a guest register in disorder");
	return true;
}

static bool leaves(struct run *r, uint64_t target)
{
	r->totals.branches++;
	return r->code->leads_to(r->code->arg, target) != LEADS_NOWHERE || verify_violation(r, "a branch to no block and no stub");
}

/* The short way out of a TLB miss: everything stays but r10. */
static bool called_fill(struct run *r, struct state *s)
{
	const struct value *ask = &s->reg[10], *lin = &s->reg[11];
	if (!ask->constant || !is_u32(*lin) || lin->id == NO_ID)
		return verify_violation(r, "a TLB fill without a site or an address");
	set_reg(s, 10, (struct value){ .kind = KIND_ADDEND, .write = ask->write, .id = NO_ID, .of = lin->id });
	memset(&s->flags, 0, sizeof(s->flags));
	return flow_to(r, r->off + r->d.length, s);
}

/* Where control goes after a branch instruction, s being known there. */
static bool branch(struct run *r, struct state *s)
{
	const ZydisDecodedOperand *o = &r->o[0];
	uint32_t next = r->off + r->d.length;

	if (r->d.meta.category == ZYDIS_CATEGORY_RET) {
		if (r->d.meta.branch_type != ZYDIS_BRANCH_TYPE_NEAR || r->o[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
			return verify_violation(r, "another RET than the plain one");
		return in_order(r, s) && (is_u32(s->reg[11]) || verify_violation(r, "a return without its target in r11d"));
	}
	bool own = false, through_hash = o->type == ZYDIS_OPERAND_TYPE_MEMORY && gpr_number(o->mem.base) >= 0 &&
	    s->reg[gpr_number(o->mem.base)].kind == KIND_TABLE;
	if (!through_hash && (o->type != ZYDIS_OPERAND_TYPE_IMMEDIATE || !o->imm.is_relative))
		return verify_violation(r, "an indirect or far branch outside the stubs");
	uint64_t target = r->code->at + next + (through_hash ? 0 : o->imm.value.u);
	own = !through_hash && target >= r->code->at && target < r->code->at + r->code->len;
	struct state taken = *s, not_taken = *s;
	if (r->d.mnemonic == ZYDIS_MNEMONIC_JZ || r->d.mnemonic == ZYDIS_MNEMONIC_JNZ) {
		learn(&taken, r->d.mnemonic == ZYDIS_MNEMONIC_JZ);
		learn(&not_taken, r->d.mnemonic != ZYDIS_MNEMONIC_JZ);
	}
	if (r->d.meta.category == ZYDIS_CATEGORY_CALL && !own && !through_hash &&
	    r->code->leads_to(r->code->arg, target) == LEADS_FILL)
		return called_fill(r, s);
	if ((!own || r->d.meta.category == ZYDIS_CATEGORY_CALL) && !in_order(r, s))
		return false;
	if (!through_hash && !(own ? flow_to(r, target - r->code->at, &taken) : leaves(r, target)))
		return false;
	if (r->d.meta.category == ZYDIS_CATEGORY_UNCOND_BR)
		return true;
	if (r->d.meta.category == ZYDIS_CATEGORY_CALL) {	/* comes back by a RET, see there */
		if (!own && !through_hash && r->code->leads_to(r->code->arg, target) == LEADS_AWAY)
			return true;
		nothing_known(r, &not_taken);
		not_taken.reg[11].kind = KIND_U32;
	}
	return flow_to(r, next, &not_taken);
}

static bool step(struct run *r, struct host_insn *h)
{
	struct state s = h->in;
	bool rsp_by_itself = r->d.meta.category == ZYDIS_CATEGORY_CALL || r->d.meta.category == ZYDIS_CATEGORY_RET;

	if (!allowed_mnemonic(&r->d) || !allowed_extension(r->d.meta.isa_ext))
		return verify_violation(r, "an instruction scanned code has no use for");
	for (unsigned i = 0; i < r->d.operand_count; i++) {
		const ZydisDecodedOperand *o = &r->o[i];
		if (rsp_by_itself && o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN)
			continue;
		int n = o->type == ZYDIS_OPERAND_TYPE_REGISTER ? gpr_number(o->reg.value) : -1;
		if (is_string(&r->d) && (n == REG_ECX || n == REG_ESI || n == REG_EDI))
			continue;			/* string_registers() */
		if (o->type == ZYDIS_OPERAND_TYPE_REGISTER && !(is_branch(&r->d) && o->reg.value == ZYDIS_REGISTER_RIP) &&
		    !register_operand(r, &h->in, o))
			return false;
		if (o->type == ZYDIS_OPERAND_TYPE_MEMORY && !verify_memory(r, &h->in, o))
			return false;
	}
	for (unsigned i = 0; i < r->d.operand_count; i++)
		if (!rsp_by_itself && !(is_string(&r->d) && r->o[i].visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN) && r->o[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    (r->o[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) && !write_register(r, &h->in, &s, &r->o[i]))
			return false;
	note_test(r, &h->in, &s);
	if (is_string(&r->d) && !string_registers(r, &h->in, &s))
		return false;
	return is_branch(&r->d) ? branch(r, &s) : flow_to(r, r->off + r->d.length, &s);
}

static bool decode(struct run *r, uint32_t off)
{
	r->off = off;
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&r->decoder, r->code->bytes + off, r->code->len - off, &r->d, r->o));
}

static bool analyse(struct run *r)
{
	for (uint32_t off = 0; off < r->code->len; off += r->d.length) {
		if (!decode(r, off) || r->n == MAX_INSNS)
			return verify_violation(r, "bytes that are no instruction");
		r->insn[r->n++] = (struct host_insn){ .off = off };
	}
	for (unsigned i = 0; i < r->code->nentries; i++) {
		struct state s;
		nothing_known(r, &s);
		if (i < r->code->nhashed)
			s.reg[11].kind = KIND_U32;
		if (!flow_to(r, r->code->entry[i], &s))
			return false;
	}
	/* Forward order settles nearly everything at once; the paths back from out-of-line code take another round. */
	for (r->changed = true; r->changed; ) {
		r->changed = false;
		r->totals = (struct verify_totals){ 0 };
		for (unsigned i = 0; i < r->n; i++) {
			if (!r->insn[i].in.reached)
				continue;
			decode(r, r->insn[i].off);
			if (!step(r, &r->insn[i]))
				return false;
		}
	}
	return true;
}

int verify_init(struct verifier *v)
{
	v->run = calloc(1, sizeof(*v->run));
	return v->run ? 0 : -ENOMEM;
}

void verify_free(struct verifier *v)
{
	free(v->run);
	v->run = NULL;
}

bool verify_code(struct verifier *v, const struct verify_code *code, struct verify_finding *finding)
{
	struct run *r = v->run;
	struct verify_totals *t = &v->totals;

	r->code = code;
	r->finding = finding;
	r->n = 0;
	ZydisDecoderInit(&r->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	bool ok = analyse(r);
	t->blocks++;
	t->bytes += code->len;
	t->insns += r->n;
	t->window += r->totals.window;
	t->checked += r->totals.checked;
	t->state += r->totals.state;
	t->table += r->totals.table;
	t->branches += r->totals.branches;
	t->violations += !ok;
	return ok;
}

void verify_summary(const struct verifier *v, FILE *f)
{
	const struct verify_totals *t = &v->totals;

	fprintf(f, "verify-code: %llu blocks, %llu violations; %llu host instructions in %llu bytes; memory operands: %llu window, "
	    "%llu checked, %llu vCPU state, %llu table; %llu branches to stubs\n", (unsigned long long)t->blocks,
	    (unsigned long long)t->violations, (unsigned long long)t->insns, (unsigned long long)t->bytes,
	    (unsigned long long)t->window, (unsigned long long)t->checked, (unsigned long long)t->state,
	    (unsigned long long)t->table, (unsigned long long)t->branches);
}
