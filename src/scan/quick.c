/*
 * The quick ways: see quick.h.
 *
 * Called with the guest's x87 and SSE state in the host's registers, so this file is compiled
 * without instructions that touch it, and calls nothing outside such files.
 */
#include "scan/quick.h"

#include "meter/trace.h"
#include "mmu/mmu.h"
#include "scan/wary.h"

/* --- modes --- */

/* Real and vm86 mode: loading a segment register must not make another mode, so bases play no role. */
static uint32_t real_mode_segments(const struct vcpu *cpu)
{
	const unsigned rights = SEG_P | SEG_S | SEG_WRITABLE | SEG_ACCESSED;
	bool vm86 = cpu_vm86(cpu), plain = true;
	uint32_t states = 0;
	for (unsigned i = 0; i < 6; i++) {
		const struct segment *s = &cpu->seg[i];
		unsigned state = s->data_state == SEG_FLAT ? (unsigned)SEG_BASED : s->data_state;
		states |= state << (MODE_SEG_SHIFT + 2 * i);
		/* what segment_real() would leave as it is */
		plain &= vm86 ? s->attr == (rights | SEG_DPL) && s->limit == 0xFFFF
		    : (s->attr & ~(unsigned)(SEG_DB | SEG_G | BIT(12))) == rights;
	}
	return states | (plain ? MODE_PLAIN : 0);
}

uint32_t scan_mode(const struct vcpu *cpu)
{
	const struct segment *cs = &cpu->seg[SEG_CS], *ss = &cpu->seg[SEG_SS];
	/* a stack that grows its segment downwards, or none, where each push would be a call-out; so would each access of any kind */
	if (ss->write_top == 0 || cpu->scan.aligned)
		return MODE_NONE;
	uint32_t mode = (cs->attr & SEG_DB ? MODE_CODE32 : 0) | (ss->attr & SEG_DB ? MODE_STACK32 : 0);
	mode |= (cpu->cpl == 3 ? MODE_USER : 0) | (cpu->cpl == 0 ? MODE_RING0 : 0);
	mode |= (cpu->scan.counting ? MODE_COUNT : 0) | (cpu->scan.direct ? MODE_DIRECT : 0) | (cs->limit != 0xFFFFFFFFu ? MODE_LIMIT : 0);
	if (!cpu_protected(cpu) || cpu_vm86(cpu))
		return mode | MODE_REAL | real_mode_segments(cpu);
	bool flat = mode & MODE_CODE32;		/* elsewhere a base of 0 is nothing special */
	for (unsigned i = 0; i < 6; i++) {
		unsigned state = i == SEG_CS ? cs->code_state : cpu->seg[i].data_state;
		if (state == SEG_FLAT && !flat)
			state = SEG_BASED;
		mode |= state << (MODE_SEG_SHIFT + 2 * i);
	}
	return mode;
}

/* Blocks of this mode from now on: their jump cache, and the return stack of their level. */
void scan_switch_mode(struct scanner *s, struct mode_slot *slot, uint32_t mode)
{
	struct vcpu *cpu = s->cpu;
	struct return_stack *r = &s->ret[(mode & MODE_USER) != 0];
	/* where keyed the hash and the returns look at the base themselves */
	uint32_t cs_base = mode_keyed(mode) ? 0 : cpu->seg[SEG_CS].base, cs_limit = cpu->seg[SEG_CS].limit;
	if (s->slot && cpu->scan.ret_rsp != 0)
		s->ret[(s->slot->mode & MODE_USER) != 0].rsp = cpu->scan.ret_rsp;
	if (r->mode != mode || r->cs_base != cs_base || r->cs_limit != cs_limit) {	/* EIPs alone do not tell one CS from another */
		r->mode = mode;
		r->cs_base = cs_base;
		r->cs_limit = cs_limit;
		r->rsp = r->top;
	}
	s->slot = slot;
	s->cs_base = cs_base;
	s->cs_limit = cs_limit;
	cpu->scan.ret_rsp = r->rsp;
	cpu->scan.jump_cache = (uintptr_t)slot->jump;
}

/* The window of the new level; false: that takes the monitor. */
static bool switch_window(struct scanner *s, uint32_t mode)
{
	struct vcpu *cpu = s->cpu;
	if (mode & MODE_USER) {
		if (s->page_fault || !s->fsgsbase || s->tick_in_user)
			return false;
		if ((!(mode & MODE_DIRECT) || wary_waits(s)) && !s->ticking)
			return false;
	}
	if (!(mode & MODE_DIRECT))
		return true;
	if (!s->fsgsbase || ((mode & MODE_USER) && cpu->scan.user_window_stale))
		return false;
	cpu->scan.window = mode & MODE_USER ? cpu->scan.user_window : cpu->scan.kernel_window;
	if (s->gs_base != cpu->scan.window) {
		s->gs_base = cpu->scan.window;
		__asm__ volatile("wrgsbase %0" : : "r"(s->gs_base));
	}
	return true;
}

/* State is exact and EIP where to go on, in whatever mode that is now. */
static uint8_t *go(struct vcpu *cpu)
{
	struct scanner *s = cpu->scanner;
	if (s->lock || cpu_attention(cpu) || s->epoch != cpu->scan.epoch || METER_RING_LOOKS(cpu))
		return QUICK_DISPATCH;
	const struct segment *cs = &cpu->seg[SEG_CS];
	uint32_t mode = scan_mode(cpu);
	if (mode == MODE_NONE || mode_keyed(mode) || !switch_window(s, mode))
		return QUICK_DISPATCH;
	struct mode_slot *slot = mode_slot_of(s->modes, mode, cs->base, cs->limit);
	if (!slot)
		return QUICK_DISPATCH;
	uint8_t *known = *jump_at(slot, cs->base, cpu->eip);
	if (known == s->glue.indirect)
		return QUICK_DISPATCH;
	if (s->slot != slot)
		scan_switch_mode(s, slot, mode);
	METER_RING(cpu);
	METER_ADD(cpu, looked_up, 1);
	cpu->insn_eip = cpu->eip;
	cpu->eflags &= ~(uint32_t)EFLAGS_RF;	/* the first instruction will retire, or fault */
	scan_state_in(cpu, mode, 0);
	return known;
}

/* As cpu_update_mode(), for a change between CPL 0 and 3 that needs no alignment checks. */
static void set_cpl(struct vcpu *cpu, unsigned cpl)
{
	cpu->cpl = (uint8_t)cpl;
	cpu->tlb = &cpu->tlbs[cpl == 3];
	cpu->scan.direct = cpl == 3 ? cpu->scan.user_window != 0 : cpu->scan.kernel_window != 0;
}

/* May CPL 3 go on with these flags without a look at AC? */
static bool no_alignment_checks(const struct vcpu *cpu, uint32_t eflags)
{
	return !(cpu->cr0 & CR0_AM) || !(eflags & EFLAGS_AC);
}

/* On behind the instruction, in its block. */
static uint8_t *behind(struct vcpu *cpu, const struct site *st)
{
	cpu->eip = st->block->eip + st->block->rec[st->index + 1].guest_off;
	return (uint8_t *)(uintptr_t)cpu->scan.callsite;
}

/* --- segment registers --- */

static bool same_segment(const struct vcpu *cpu, const struct quick_segment *q, uint16_t selector)
{
	uint64_t raw;
	return q->seg.selector == selector && !selector_null(selector) && gdt_peek(cpu, selector, &raw) && raw == q->raw;
}

/* DS, ES, FS, GS. popped: what ESP moves by. */
static uint8_t *load(struct vcpu *cpu, const struct site *st, uint16_t selector, unsigned popped)
{
	unsigned reg = st->in.opnd[0].reg;
	uint64_t raw;
	if (selector_null(selector))
		cpu->seg[reg] = segment_null(selector);
	else if (!gdt_peek(cpu, selector, &raw) || !segment_load_again(cpu, reg, selector, raw))
		return NULL;
	cpu->gpr[REG_ESP] += popped;
	uint8_t *host = behind(cpu, st);
	return cpu->seg[reg].data_state == mode_seg(st->block->mode, reg) ? host : go(cpu);
}

static uint8_t *quick_mov(struct vcpu *cpu, const struct site *st)
{
	return load(cpu, st, (uint16_t)cpu->gpr[st->in.opnd[1].reg], 0);
}

static uint8_t *quick_pop(struct vcpu *cpu, const struct site *st)
{
	uint16_t selector;
	const void *p = mode_seg(st->block->mode, SEG_SS) == SEG_FLAT ? tlb_reach(cpu->tlb->read, cpu->gpr[REG_ESP], 4) : NULL;
	if (!p)
		return NULL;
	memcpy(&selector, p, 2);
	return load(cpu, st, selector, 4);
}

/* --- changes of level --- */

static uint8_t *quick_iret(struct vcpu *cpu, const struct site *st)
{
	const struct quick *q = &cpu->scanner->quick;
	const uint32_t loaded = EFLAGS_USER | EFLAGS_USER32 | EFLAGS_RF | EFLAGS_IF | EFLAGS_IOPL | EFLAGS_VIF | EFLAGS_VIP;
	if (!(st->block->mode & MODE_RING0) || (cpu->eflags & EFLAGS_NT) || cpu->nmi_blocked || !cpu->scan.plain ||
	    mode_seg(st->block->mode, SEG_SS) != SEG_FLAT)
		return NULL;
	uint32_t esp = cpu->gpr[REG_ESP], frame[5];
	const void *p = tlb_reach(cpu->tlb->read, esp, sizeof(frame));
	if (!p)
		return NULL;
	memcpy(frame, p, sizeof(frame));
	uint32_t flags = frame[2] & ~(uint32_t)EFLAGS_RF;
	bool outer = (frame[1] & 3) == 3;
	if ((flags & (EFLAGS_VM | EFLAGS_TF)) || ((flags ^ cpu->eflags) & EFLAGS_AC) || !no_alignment_checks(cpu, flags) ||
	    (frame[2] & EFLAGS_RF && (cpu->dr[7] & 0xFF || cpu->nmi_pending)) || cpu->intr_line)
		return NULL;
	if (!same_segment(cpu, &q->ret_cs[outer], (uint16_t)frame[1]) ||
	    (outer && !same_segment(cpu, &q->ret_ss, (uint16_t)frame[4])))
		return NULL;
	cpu->seg[SEG_CS] = q->ret_cs[outer].seg;
	cpu->eip = frame[0];
	cpu->gpr[REG_ESP] = outer ? frame[3] : esp + 12;
	if (outer) {
		cpu->seg[SEG_SS] = q->ret_ss.seg;
		set_cpl(cpu, 3);
		segments_drop_privileged(cpu);
	}
	cpu->eflags = (cpu->eflags & ~loaded) | (flags & loaded) | EFLAGS_FIXED1;
	cpu->rf_armed = false;
	return go(cpu);
}

static uint8_t *quick_int(struct vcpu *cpu, const struct site *st)
{
	uint8_t vector = (uint8_t)st->in.imm;
	const struct quick_gate *g = &cpu->scanner->quick.gate[vector % ARRAY_LEN(cpu->scanner->quick.gate)];
	uint64_t raw;
	uint32_t esp;
	uint16_t ss0;
	if (g->raw == 0 || g->vector != vector || cpu->trace || cpu->cpl != 3 || (cpu->eflags & (EFLAGS_VM | EFLAGS_TF)) || !cpu->scan.plain)
		return NULL;
	if (!quick_gate_now(cpu, vector, &raw) || raw != g->raw || !quick_stack_now(cpu, &esp, &ss0) ||
	    !same_segment(cpu, &g->cs, (uint16_t)(raw >> 16) & 0xFFFC) || !same_segment(cpu, &g->ss, ss0))
		return NULL;
	uint32_t *frame = esp < 20 ? NULL : tlb_reach(cpu->tlbs[0].write, esp - 20, 20);
	if (!frame)
		return NULL;
	cpu->eip = st->block->eip + st->block->rec[st->index + 1].guest_off;
	cpu->eflags &= ~(uint32_t)EFLAGS_RF;
	trace_event(cpu, EVENT_SOFTWARE_INT, vector, 0, 0);
	const uint32_t pushed[5] = { cpu->eip, cpu->seg[SEG_CS].selector, cpu->eflags, cpu->gpr[REG_ESP],
		cpu->seg[SEG_SS].selector };
	memcpy(frame, pushed, sizeof(pushed));
	cpu->seg[SEG_CS] = g->cs.seg;
	cpu->seg[SEG_SS] = g->ss.seg;
	cpu->gpr[REG_ESP] = esp - 20;
	cpu->eip = (uint32_t)(raw & 0xFFFF) | (uint32_t)(raw >> 32 & 0xFFFF0000);
	cpu->eflags &= ~(uint32_t)(EFLAGS_NT | (raw >> 40 & 1 ? 0 : EFLAGS_IF));
	cpu->tf_armed = cpu->rf_armed = cpu->shadow_armed = false;
	cpu->shadow = cpu->shadow_ss = false;
	set_cpl(cpu, 0);
	return go(cpu);
}

static uint8_t *quick_sysenter(struct vcpu *cpu)
{
	const struct quick *q = &cpu->scanner->quick;
	if (q->sysenter_cs == 0 || q->sysenter_cs != cpu->sysenter_cs || (cpu->eflags & EFLAGS_VM) || !cpu->scan.plain)
		return NULL;
	cpu->eflags &= ~(uint32_t)(EFLAGS_IF | EFLAGS_RF);
	cpu->seg[SEG_CS] = q->enter[0];
	cpu->seg[SEG_SS] = q->enter[1];
	cpu->gpr[REG_ESP] = cpu->sysenter_esp;
	cpu->eip = cpu->sysenter_eip;
	set_cpl(cpu, 0);
	return go(cpu);
}

static uint8_t *quick_sysexit(struct vcpu *cpu)
{
	const struct quick *q = &cpu->scanner->quick;
	if (q->sysenter_cs == 0 || q->sysenter_cs != cpu->sysenter_cs || cpu->cpl != 0 || !cpu->scan.plain ||
	    !no_alignment_checks(cpu, cpu->eflags))
		return NULL;
	cpu->seg[SEG_CS] = q->exit[0];
	cpu->seg[SEG_SS] = q->exit[1];
	cpu->gpr[REG_ESP] = cpu->gpr[REG_ECX];
	cpu->eip = cpu->gpr[REG_EDX];
	set_cpl(cpu, 3);
	return go(cpu);
}

/* --- segments asked about --- */

/* The selector that VERR and VERW name. */
static bool word_operand(const struct vcpu *cpu, const struct insn *in, uint16_t *word)
{
	if (in->opnd[0].kind == OPND_REG) {
		*word = (uint16_t)cpu->gpr[in->opnd[0].reg];
		return true;
	}
	const void *p = tlb_reach(cpu->tlb->read, insn_ea(cpu, in), 2);
	if (p)
		memcpy(word, p, 2);
	return p;
}

/* Kernels use VERW to empty the processor's buffers, on each way to user code. Only what the GDT says is done here. */
static uint8_t *quick_verify(struct vcpu *cpu, const struct site *st, bool write)
{
	uint16_t selector;
	uint64_t raw;
	if (!cpu->scan.plain || !word_operand(cpu, &st->in, &selector) || selector_null(selector) ||
	    !gdt_peek(cpu, selector, &raw))
		return NULL;
	const struct descriptor d = descriptor_of(raw);
	bool ok = descriptor_visible(cpu, &d, selector) && (write ? desc_writable_data(&d) : desc_readable(&d));
	cpu->eflags = (cpu->eflags & ~(uint32_t)EFLAGS_ZF) | (ok ? EFLAGS_ZF : 0);
	scan_flags_in(cpu);
	return behind(cpu, st);
}

/* --- strings that do not go through the window: kernels copy to and from user memory by them --- */

/* Guest memory: at any address, and read and written one element at a time, also where the ranges overlap. */
typedef volatile uint32_t __attribute__((aligned(1), may_alias)) guest32;
typedef volatile uint16_t __attribute__((aligned(1), may_alias)) guest16;
typedef volatile uint8_t guest8;

static void copy_up(void *dst, const void *src, uint32_t n, unsigned size)
{
	enum { FEW = 24 };		/* the host's own takes 30 cycles to begin, sometimes 300 (emit_flow.c) */
	if (n <= FEW) {
		for (uint32_t i = 0; i < n; i++) {
			if (size == 4)
				((guest32 *)dst)[i] = ((const guest32 *)src)[i];
			else if (size == 2)
				((guest16 *)dst)[i] = ((const guest16 *)src)[i];
			else
				((guest8 *)dst)[i] = ((const guest8 *)src)[i];
		}
		return;
	}
	uint64_t count = n;
	if (size == 4)
		__asm__ volatile("rep movsl" : "+D"(dst), "+S"(src), "+c"(count) : : "memory");
	else if (size == 2)
		__asm__ volatile("rep movsw" : "+D"(dst), "+S"(src), "+c"(count) : : "memory");
	else
		__asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(count) : : "memory");
}

static void store_up(void *dst, uint32_t v, uint32_t n, unsigned size)
{
	uint64_t count = n;
	if (size == 4)
		__asm__ volatile("rep stosl" : "+D"(dst), "+c"(count) : "a"(v) : "memory");
	else if (size == 2)
		__asm__ volatile("rep stosw" : "+D"(dst), "+c"(count) : "a"(v) : "memory");
	else
		__asm__ volatile("rep stosb" : "+D"(dst), "+c"(count) : "a"(v) : "memory");
}

static uint32_t page_left(lin_t lin, unsigned size) { return (PAGE_BYTES - (lin & PAGE_MASK)) / size; }

/* MOVS and STOS upwards, from page to page; what is left when it meets one that is not in the TLB is done the long way. */
static uint8_t *quick_string(struct vcpu *cpu, const struct site *st)
{
	const struct insn *in = &st->in;
	bool rep = in->prefix & (PREFIX_REP | PREFIX_REPNE), moves = in->name == I_MOVS;
	unsigned size = in->opnd[0].size;
	if (!cpu->scan.plain || cpu->eflags & EFLAGS_DF)
		return NULL;
	for (uint32_t left = rep ? cpu->gpr[REG_ECX] : 1; left > 0; ) {
		uint32_t *edi = &cpu->gpr[REG_EDI], *esi = &cpu->gpr[REG_ESI], n = MIN(left, page_left(*edi, size));
		if (moves)
			n = MIN(n, page_left(*esi, size));
		void *dst = tlb_reach(cpu->tlb->write, *edi, size);
		const void *src = moves ? tlb_reach(cpu->tlb->read, *esi, size) : dst;
		if (n == 0 || !dst || !src || cpu_attention(cpu))
			return NULL;
		if (moves)
			copy_up(dst, src, n, size);
		else
			store_up(dst, cpu->gpr[REG_EAX], n, size);
		*edi += n * size;
		*esi += moves ? n * size : 0;
		left -= n;
		if (rep)
			cpu->gpr[REG_ECX] = left;
	}
	return behind(cpu, st);
}

/* --- POPF at CPL 0 --- */

static uint8_t *quick_popf(struct vcpu *cpu, const struct site *st)
{
	const uint32_t loaded = EFLAGS_USER | EFLAGS_USER32 | EFLAGS_IF | EFLAGS_IOPL;
	uint32_t flags;
	const void *p = tlb_reach(cpu->tlb->read, cpu->gpr[REG_ESP], 4);
	if (!p || !cpu->scan.plain)
		return NULL;
	memcpy(&flags, p, 4);
	if ((flags | cpu->eflags) & EFLAGS_TF || (flags ^ cpu->eflags) & EFLAGS_AC || (flags & EFLAGS_IF && cpu->intr_line))
		return NULL;
	cpu->eflags = (cpu->eflags & ~(loaded | EFLAGS_RF)) | (flags & loaded);
	cpu->rf_armed = false;
	cpu->gpr[REG_ESP] += 4;
	scan_flags_in(cpu);
	return behind(cpu, st);
}

uint8_t *scan_quick(struct vcpu *cpu, uint32_t number)
{
	struct scanner *s = cpu->scanner;
	const struct site *st = &s->sites[number];
	scan_state_out(cpu);
	if (s->count_insns || cpu->scan.counting || (s->lock && cpu->fx_live))	/* those keep books in scan_emulate() */
		return NULL;
	uint8_t *host = NULL;
	switch (st->in.name) {
	case I_MOV: host = quick_mov(cpu, st); break;
	case I_POP: host = quick_pop(cpu, st); break;
	case I_IRET: host = quick_iret(cpu, st); break;
	case I_INT: host = quick_int(cpu, st); break;
	case I_SYSENTER: host = quick_sysenter(cpu); break;
	case I_SYSEXIT: host = quick_sysexit(cpu); break;
	case I_MOVS: case I_STOS: host = quick_string(cpu, st); break;
	case I_POPF: host = quick_popf(cpu, st); break;
	case I_VERR: host = quick_verify(cpu, st, false); break;
	case I_VERW: host = quick_verify(cpu, st, true); break;
	}
	if (host) {
		s->lock_at = st->index + 1;
		cpu->icount++;
		METER_ADD(cpu, emulated, 1);
	}
	return host;
}
