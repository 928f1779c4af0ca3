/*
 * Running scanned code: looking blocks up, and what scanned code calls the monitor for.
 *
 * Every call-out leaves the guest's state exact in struct vcpu before it does anything, and
 * answers with the host address to go on at: in the same block, in another, or the way out.
 */
#include "scan/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpu/stops.h"
#include "cpu/descriptor.h"
#include "emulate/operand.h"
#include "host/gsbase.h"
#include "host/signals.h"
#include "mmu/phys.h"
#include "mmu/walk.h"
#include "mmu/window.h"
#include "scan/emit.h"
#include "scan/lockstep.h"
#include "scan/quick.h"
#include "scan/verify.h"
#include "scan/wary.h"

#define CACHE_BYTES_DEFAULT (32u << 20)
#define CACHE_BYTES_MOST (64u << 20)	/* unless a size is asked for */
#define TICK_NS 1000000		/* thread CPU time */
#define TICKS_TO_PROMOTE 2
#define EMULATE_CHUNK 256	/* instructions emulated at a time in a mode that is not scanned */
#define BREAKS_CHUNK 32		/* and in a page with instruction breakpoints, which the emulator compares for itself */
#define CHURN_WRITTEN 4		/* from so many changes of its code on, a page... */
#define CHURN_RUNS 4		/* ...is emulated so often after each before it is scanned */
#define CHURN_INSNS 2048	/* and that long at a time */

/* --- state in and out --- */

static void enter_monitor(struct vcpu *cpu)
{
	scan_state_out(cpu);
	cpu->scanner->dropped = false;
	cpu->scanner->resumed_left = 0;
}

static void update_gates(struct vcpu *cpu)
{
	bool closed = !cpu->scanner->fpu_wanted || (cpu->cr0 & (CR0_EM | CR0_TS));
	cpu->scan.fpu_closed = closed;
	cpu->scan.sse_closed = closed || !(cpu->cr4 & CR4_OSFXSR);
}

/* To a block of the current mode, in which esp_off of ESP is pending there, and run_left instructions have been counted. */
static uint8_t *resume(struct vcpu *cpu, uint8_t *host, int esp_off, unsigned run_left)
{
	scan_count_in(cpu, run_left);
	scan_state_in(cpu, cpu->scanner->slot->mode, esp_off);
	update_gates(cpu);
	return host;
}

static uint8_t *leave(struct vcpu *cpu, enum next next)
{
	METER_END(cpu, LOOKUP);
	METER_END(cpu, EMULATE);
	cpu->scanner->next = next;
	return cpu->scanner->glue.exit;
}

/* --- finding the next block --- */

static struct block *make_block(struct scanner *s, uint32_t gpa, uint32_t mode)
{
	struct vcpu *cpu = s->cpu;
	METER_END(cpu, LOOKUP);
	METER_SPAN(cpu, METER_SCAN);
	cache_make_room(s);
	bool short_of;
	struct block *b = emit_block(s, gpa, NO_PAGE, mode, &short_of);
	if (!b && short_of) {
		lin_t lin = cpu->seg[SEG_CS].base + cpu->eip;
		if ((uint64_t)cpu->eip + PAGE_BYTES - (lin & PAGE_MASK) > cpu->seg[SEG_CS].limit)
			return NULL;		/* #GP, whatever the next page is */
		gpa_t next = mmu_code(cpu, (lin | PAGE_MASK) + 1);
		b = emit_block(s, gpa, (uint32_t)(next & ~(gpa_t)PAGE_MASK), mode, &short_of);
	}
	return b;
}

static void set_gs_base(struct scanner *s, uint64_t base)
{
	if (s->gs_base == base)
		return;
	s->gs_base = base;
	host_set_gs_base(base);
}

/* Memory for the mode about to be entered. */
static void set_window(struct scanner *s, uint32_t mode)
{
	struct vcpu *cpu = s->cpu;
	bool waits = mode & MODE_USER ? !(mode & MODE_DIRECT) || wary_waits(s) : window_kernel_rests(cpu);
	if (waits && s->has_ticker && !s->ticking) {
		struct itimerspec in = { .it_value = { .tv_nsec = TICK_NS } };
		s->ticking = true;
		timer_settime(s->ticker, 0, &in, NULL);
	}
	if (!(mode & MODE_DIRECT))
		return;
	cpu->scan.window = window_select(cpu);
	if ((mode & MODE_USER) && s->page_fault)
		window_premap(cpu, cpu->cr2);
	if (mode & MODE_USER)
		s->page_fault = false;
	set_gs_base(s, cpu->scan.window);
}

static void set_mode(struct scanner *s, uint32_t mode)
{
	struct vcpu *cpu = s->cpu;
	METER_RING(cpu);
	set_window(s, mode);
	struct return_stack *r = &s->ret[cpu->cpl == 3];
	uint32_t cs_base = cpu->seg[SEG_CS].base, cs_limit = cpu->seg[SEG_CS].limit;
	if (s->epoch != cpu->scan.epoch) {		/* translations were flushed: no return is sure any more */
		s->epoch = cpu->scan.epoch;
		cpu->scan.ret_rsp = 0;
		s->ret[0].rsp = s->ret[0].top;
		s->ret[1].rsp = s->ret[1].top;
	}
	if (mode_keyed(mode))		/* the hash and the returns look at the base themselves */
		cs_base = 0;
	if (s->slot && s->slot->mode == mode && s->cs_base == cs_base && s->cs_limit == cs_limit) {
		if (cpu->scan.ret_rsp == 0)
			cpu->scan.ret_rsp = r->rsp;
		return;
	}
	struct mode_slot *slot = cache_mode(s, mode, cs_base, cs_limit);
	if (!slot) {
		cache_reset(s);
		slot = cache_mode(s, mode, cs_base, cs_limit);
	}
	scan_switch_mode(s, slot, mode);
}

/* Scanning costs as much as emulating some twenty times: has the code there proved that it stays? (Proofs and debuggers
 * want to see all of it.) */
static bool worth_scanning(struct scanner *s, uint32_t gpa)
{
	const uint8_t *host = s->eager || s->lock || s->cpu->stops ? NULL : phys_host(s->cpu->phys, gpa, false);
	struct page_churn *c = host ? &s->churn[phys_fd_page(s->cpu->phys, host)] : NULL;
	if (!c || c->written < CHURN_WRITTEN || c->runs >= CHURN_RUNS)
		return true;
	c->runs++;
	return false;
}

static struct block *find_block(struct vcpu *cpu, uint32_t mode)
{
	struct scanner *s = cpu->scanner;
	lin_t lin = cpu->seg[SEG_CS].base + cpu->eip;
	if (unlikely(cpu->stops && stops_at(cpu->stops, lin)))
		return NULL;
	if (cpu_breaks_near(cpu, lin)) {	/* each instruction there is compared, by the emulator */
		cpu_attend(cpu, ATTN_EVENT);
		return NULL;
	}
	if (cpu->eip > cpu->seg[SEG_CS].limit)
		return NULL;			/* the emulator raises #GP */
	uint32_t gpa = (uint32_t)mmu_code(cpu, lin);
	struct block *b = cache_find(s, gpa, mode);
	if (b && b->fd_page[0] != b->fd_page[1] && mmu_code(cpu, (lin | PAGE_MASK) + 1) != b->gpa2)
		return NULL;			/* the second page moved: this one instruction by the emulator */
	if (b)
		return b;
	s->emulate_page = !worth_scanning(s, gpa);
	return s->emulate_page ? NULL : make_block(s, gpa, mode);
}

/* Where to go on, from exact state. want: NULL, or gets the block. */
static COMES_BACK uint8_t *dispatch_to(struct vcpu *cpu, struct block **want)
{
	struct scanner *s = cpu->scanner;
	struct vcpu *volatile keep = cpu;	/* survive the jump back from cpu_raise() */
	struct block **volatile keep_want = want;
	METER_ADD(cpu, looked_up, 1);
	if (s->lock && s->lock_entered)		/* lock-step: one block only */
		return leave(cpu, NEXT_RUN);
	s->lock_entered = true;
	cpu->icount += !cpu->scan.counting;	/* then it is exact; else it shows that something retired */
	if (__builtin_setjmp(cpu->fault_jmp)) {
		cpu = keep;
		want = keep_want;
		s = cpu->scanner;
		cpu->icount += cpu->scan.counting;	/* an attempt */
		METER_ONLY(cpu->meters.doing = METER_RING3);
		enum next n = cpu_deliver_fault(cpu);
		if (n != NEXT_RUN)
			return leave(cpu, n);
	}
	uint32_t mode = scan_mode(cpu);
	s->emulate_one |= (cpu->eflags & EFLAGS_RF) != 0;	/* it lives until the instruction retires */
	if (cpu_attention(cpu) || mode == MODE_NONE || s->emulate_one)
		return leave(cpu, NEXT_RUN);
	METER_BEGIN(cpu, LOOKUP);
	cpu->insn_eip = cpu->eip;
	set_mode(s, mode);
	uint32_t cs_base = cpu->seg[SEG_CS].base;
	uint8_t **known = jump_at(s->slot, cs_base, cpu->eip);
	if (*known != s->glue.indirect && !want) {	/* its entry looks whether it is meant, and the page is still the same */
		METER_END(cpu, LOOKUP);
		return resume(cpu, *known, 0, 0);
	}
	struct block *b = find_block(cpu, mode);
	if (!b) {
		s->emulate_one = true;
		return leave(cpu, NEXT_RUN);
	}
	if (want)
		*want = b;
	set_mode(s, mode);		/* again: making the block may have emptied the cache */
	if (s->lock) {			/* back to here at every branch */
		cpu->scan.ret_rsp = s->ret[cpu->cpl == 3].top;
		return resume(cpu, block_near(b), 0, 0);
	}
	METER_END(cpu, LOOKUP);
	*jump_at(s->slot, cs_base, cpu->eip) = block_hashed(b);
	return resume(cpu, block_near(b), 0, 0);
}

static uint8_t *dispatch(struct vcpu *cpu)
{
	return dispatch_to(cpu, NULL);
}

static uint8_t *fault(struct vcpu *cpu)
{
	cpu->scanner->repeating = NULL;
	if (unlikely(cpu_attention(cpu) & ATTN_CODE))
		__atomic_and_fetch(&cpu->attention, ~(uint32_t)ATTN_CODE, __ATOMIC_RELAXED);
	if (cpu->scan.trapped) {		/* a stop, not a fault of the guest's */
		scan_trap_access(cpu);
		return leave(cpu, NEXT_RUN);
	}
	METER_ADD(cpu, insns, -cpu->scanner->callout_left);
	cpu->icount += cpu->scan.counting;	/* an attempt counts */
	enum next n = cpu_deliver_fault(cpu);
	METER_END(cpu, EMULATE);
	return n == NEXT_RUN ? dispatch(cpu) : leave(cpu, n);
}

/* --- call-outs --- */

/* The site's instruction was carried out, and this is the mode now: on in the block if that is still right. */
static uint8_t *after(struct vcpu *cpu, const struct site *st, uint32_t mode, bool fpu_was_live)
{
	struct scanner *s = cpu->scanner;
	const struct block *b = st->block;
	const struct record *next = &b->rec[st->index + 1];
	cpu->icount++;
	METER_END(cpu, EMULATE);
	METER_ADD(cpu, emulated, 1);
	bool beyond = cpu->scan.counting && cpu->icount + next->run_left > s->count_end;	/* repetitions used them up */
	if ((st->flags & SITE_ENDS) || s->dropped || cpu_attention(cpu) || cpu->eip != b->eip + next->guest_off ||
	    s->epoch != cpu->scan.epoch || mode != b->mode || beyond) {
		METER_ADD(cpu, insns, s->callout_left ? 1 - s->callout_left : 0);
		return beyond ? leave(cpu, NEXT_RUN) : dispatch(cpu);
	}
	if (fpu_was_live && !(cpu->cr0 & (CR0_EM | CR0_TS)))
		s->fpu_wanted = true;
	METER_ADD(cpu, insns, s->callout_left == 1 ? next->run_left : 0);	/* past where the next run is counted */
	s->resumed_left = next->run_left;
	return resume(cpu, b->host + next->entry_off, next->entry_esp, next->run_left);
}

static uint8_t *emulate(struct vcpu *cpu, const struct site *st, bool fpu_was_live)
{
	const struct block *b = st->block;
	cpu->insn_eip = b->eip + b->rec[st->index].guest_off;
	cpu->eip = cpu->insn_eip + st->in.len;
	cpu->scanner->lock_at = st->index + 1;
	cpu->scanner->repeating = st->in.prefix & (PREFIX_REP | PREFIX_REPNE) ? b : NULL;
	st->fn(cpu, &st->in);
	if (unlikely(cpu_attention(cpu) & ATTN_CODE))
		__atomic_and_fetch(&cpu->attention, ~(uint32_t)ATTN_CODE, __ATOMIC_RELAXED);
	cpu->scanner->repeating = NULL;
	return after(cpu, st, scan_mode(cpu), fpu_was_live);
}

/* The frame that cpu_raise() comes back to must outlive the call: clang would make it a jump. */
static inline uint8_t *stay(uint8_t *host)
{
	__asm__ volatile("" : "+r"(host));
	return host;
}

COMES_BACK uint8_t *scan_emulate(struct vcpu *cpu, uint32_t number, uint32_t lin, bool fpu_was_live)
{
	struct scanner *s = cpu->scanner;
	enter_monitor(cpu);
	if (s->lock && lockstep_stops(s, &s->sites[number]))
		return leave(cpu, NEXT_RUN);
	METER_BEGIN(cpu, EMULATE);
	s->callout_left = s->sites[number].block->rec[s->sites[number].index].run_left;
	scan_count_out(cpu, (unsigned)s->callout_left);
	struct vcpu *volatile keep = cpu;	/* survives the jump back from cpu_raise() */
	if (__builtin_setjmp(cpu->fault_jmp))
		return fault(keep);
	return stay(emulate(cpu, &s->sites[number], false));
}

/* --- quick call-outs: what quick.c leaves --- */

static bool learn_segment(const struct vcpu *cpu, struct quick_segment *q, const struct segment *seg)
{
	uint64_t raw;
	if (!gdt_peek(cpu, seg->selector, &raw) || !(raw >> 40 & SEG_ACCESSED))
		return false;
	const struct descriptor d = descriptor_of(raw);
	struct segment made = descriptor_segment(&d, seg->selector);
	if (made.base != seg->base || made.limit != seg->limit || made.attr != seg->attr)
		return false;			/* the table has changed since it was loaded */
	*q = (struct quick_segment){ .raw = raw, .seg = *seg };
	return true;
}

static bool flat_stack(const struct segment *ss)
{
	return ss->write_top >> 32 && ss->attr & SEG_DB;
}

/* An interrupt or trap gate that CPL 3 may call has just been taken to CPL 0: see that all it took is as we need it. */
static void learn_gate(struct vcpu *cpu, uint8_t vector)
{
	struct quick_gate *g = &cpu->scanner->quick.gate[vector % ARRAY_LEN(cpu->scanner->quick.gate)];
	const struct segment *cs = &cpu->seg[SEG_CS], *ss = &cpu->seg[SEG_SS];
	uint64_t raw;
	uint16_t ss0;
	g->raw = 0;
	if (cpu->cpl != 0 || !quick_gate_now(cpu, vector, &raw) || !quick_stack_now(cpu, NULL, &ss0))
		return;
	if ((raw >> 40 & 0xFE) != 0xEE || (raw >> 16 & 0xFFFC) != cs->selector || ss0 != ss->selector)
		return;				/* P, DPL 3, 32-bit interrupt or trap gate */
	if (cs->attr & SEG_CONFORMING || cs->limit != 0xFFFFFFFF || !flat_stack(ss))
		return;
	if (!learn_segment(cpu, &g->cs, cs) || !learn_segment(cpu, &g->ss, ss))
		return;
	g->vector = vector;
	g->raw = raw;
}

static void learn_return(struct vcpu *cpu)
{
	struct quick *q = &cpu->scanner->quick;
	const struct segment *cs = &cpu->seg[SEG_CS], *ss = &cpu->seg[SEG_SS];
	bool outer = cpu->cpl == 3;
	if ((!outer && cpu->cpl != 0) || cs->limit != 0xFFFFFFFF || (cs->attr & SEG_CONFORMING) ||
	    !learn_segment(cpu, &q->ret_cs[outer], cs))
		return;
	if (outer && (!(ss->attr & SEG_DB) || !learn_segment(cpu, &q->ret_ss, ss)))
		q->ret_cs[1].seg.selector = 0;
}

static void learn_flat(struct quick *q, uint32_t sysenter_cs)
{
	uint16_t cs = sysenter_cs & 0xFFFC;
	q->sysenter_cs = sysenter_cs;
	q->enter[0] = segment_flat(cs, true);
	q->enter[1] = segment_flat(cs + 8, false);
	q->exit[0] = segment_flat((cs + 16) | 3, true);
	q->exit[1] = segment_flat((cs + 24) | 3, false);
}

/* The instruction was carried out the long way: may the next be quick? from: CPL before. */
static void learn(struct vcpu *cpu, const struct site *st, unsigned from)
{
	struct quick *q = &cpu->scanner->quick;
	if (!cpu_protected(cpu) || cpu_vm86(cpu))
		return;
	switch (st->in.name) {
	case I_INT:
		if (from == 3)
			learn_gate(cpu, (uint8_t)st->in.imm);
		break;
	case I_IRET:
		if (from == 0)
			learn_return(cpu);
		break;
	case I_SYSENTER: case I_SYSEXIT:
		if (cpu->sysenter_cs & 0xFFFC)
			learn_flat(q, cpu->sysenter_cs);
		break;
	}
}

uint8_t *scan_quick_missed(struct vcpu *cpu, uint32_t number, uint32_t lin, bool fpu_was_live)
{
	const struct site st = cpu->scanner->sites[number];	/* it may go with the cache */
	unsigned from = cpu->cpl;
	uint8_t *host = scan_emulate(cpu, number, lin, fpu_was_live);
	learn(cpu, &st, from);
	return host;
}

uint8_t *scan_quick_dispatch(struct vcpu *cpu)
{
	cpu->scanner->dropped = false;
	return dispatch(cpu);
}

/* A store the TLB has no entry for: if that is only because its page holds code, scan_fill() may do the next. */
static void remember_code_write(struct vcpu *cpu, lin_t lin)
{
	bool user = cpu->cpl == 3;
	struct walk w = guest_walk(cpu, lin, ACCESS_WRITE, user, false);
	uint8_t *host = w.ok && !mmu_watching(cpu) ? phys_host(cpu->phys, w.gpa, true) : NULL;
	if (!host || cpu->tlb != &cpu->tlbs[user])
		return;
	uint8_t flags = cpu->phys->page_flags[phys_fd_page(cpu->phys, host)];
	if (!(flags & (PAGE_CODE | PAGE_SCAN)) || flags & PAGE_TRACKED)
		return;
	cpu->scanner->code_writes[lin >> PAGE_SHIFT & (CODE_WRITES - 1)] = (struct code_write){
		.tag = code_write_tag(lin, user), .serial = cpu->scan.tlb_serial, .addend = (uintptr_t)host - lin };
}

/* A MOV between a register and a device, which the bus carries in one piece: most of what a screen is drawn by. */
static bool move_to_device(struct vcpu *cpu, const struct site *st, lin_t lin)
{
	const struct insn *in = &st->in;
	const struct operand *to = &in->opnd[0], *from = &in->opnd[1];
	bool write = to->kind == OPND_MEM;
	unsigned size = to->size;
	gpa_t gpa;

	if (in->name != I_MOV || !(write ? from->kind == OPND_REG || from->kind == OPND_IMM : to->kind == OPND_REG && from->kind == OPND_MEM) ||
	    (lin & (size - 1)) != 0 || cpu->scanner->lock || mmu_watching(cpu) ||
	    !mmu_device(cpu, lin, write ? ACCESS_WRITE : ACCESS_READ, cpu->cpl == 3, &gpa))
		return false;
	if (write)
		phys_write_n(cpu->phys, gpa, size, operand_read(cpu, in, 1));
	else
		operand_write(cpu, in, 0, phys_read_n(cpu->phys, gpa, size));
	cpu->eip += in->len;
	return true;
}

COMES_BACK uint8_t *scan_slow(struct vcpu *cpu, uint32_t number, uint32_t lin, bool fpu_was_live)
{
	struct scanner *s = cpu->scanner;
	const struct site *st = &s->sites[number >> 2];
	const struct record *rec = &st->block->rec[st->index];
	enter_monitor(cpu);
	METER_BEGIN(cpu, EMULATE);
	s->lock_at = st->index + 1;
	s->callout_left = rec->run_left;
	scan_count_out(cpu, rec->run_left);
	cpu->gpr[REG_ESP] = mode_move_esp(st->block->mode, cpu->gpr[REG_ESP], rec->esp_off);
	cpu->eip = cpu->insn_eip = st->block->eip + rec->guest_off;
	struct vcpu *volatile keep = cpu;	/* survives the jump back from cpu_raise() */
	if (__builtin_setjmp(cpu->fault_jmp))
		return fault(keep);
	if (wary_waits(s))
		wary_missed(s, st->block->gpa + rec->guest_off);
	enum access kind = number & SLOW_WRITE ? ACCESS_WRITE : ACCESS_READ;
	if (fpu_was_live && cpu->fx.fsw & BIT(7))	/* an x87 error is pending: #MF comes before any fault of the operand */
		number |= SLOW_EMULATE;
	if (!(number & SLOW_EMULATE) && move_to_device(cpu, st, lin))
		return stay(after(cpu, st, st->block->mode, fpu_was_live));
	/* behind STI not back to its start: there is a look at attention on the way, and no interrupt may come yet */
	if (!(number & SLOW_EMULATE) && !rec->shadow && mmu_host(cpu, lin, kind, cpu->cpl == 3)) {
		s->fpu_wanted = fpu_was_live;
		s->lock_at = st->index;
		METER_END(cpu, EMULATE);
		s->resumed_left = rec->run_left;
		return resume(cpu, st->block->host + rec->host_off, rec->esp_off, rec->run_left);
	}
	if (number & SLOW_WRITE && !mmu_is_device(cpu, lin, kind, cpu->cpl == 3))
		remember_code_write(cpu, lin);
	return stay(emulate(cpu, st, fpu_was_live));
}

COMES_BACK uint8_t *scan_fpu(struct vcpu *cpu, uint32_t number, uint32_t lin, bool fpu_was_live)
{
	struct scanner *s = cpu->scanner;
	const struct site *st = &s->sites[number];
	const struct record *rec = &st->block->rec[st->index];
	bool sse = vmap[st->in.name] == VMAP_SSE;
	enter_monitor(cpu);
	cpu->gpr[REG_ESP] = mode_move_esp(st->block->mode, cpu->gpr[REG_ESP], rec->entry_esp);
	cpu->eip = cpu->insn_eip = st->block->eip + rec->guest_off;
	for (unsigned i = 0; i < st->in.nopnd; i++)
		sse |= st->in.opnd[i].kind == OPND_XMM;
	bool allowed = !(cpu->cr0 & (CR0_EM | CR0_TS)) && (!sse || cpu->cr4 & CR4_OSFXSR);
	s->lock_at = st->index;
	s->callout_left = s->resumed_left = rec->run_left;
	scan_count_out(cpu, rec->run_left);
	if (allowed && !rec->shadow) {
		s->fpu_wanted = true;
		return resume(cpu, st->block->host + rec->entry_off, rec->entry_esp, rec->run_left);
	}
	METER_BEGIN(cpu, EMULATE);
	struct vcpu *volatile keep = cpu;	/* survives the jump back from cpu_raise() */
	if (__builtin_setjmp(cpu->fault_jmp))
		return fault(keep);
	return stay(emulate(cpu, st, allowed));		/* what follows in the block takes the gate for passed */
}

/* Fewer are left than the run that begins here has. */
uint8_t *scan_limit(struct vcpu *cpu, uint32_t number, uint32_t lin, bool fpu_was_live)
{
	const struct site *st = &cpu->scanner->sites[number];
	const struct record *rec = &st->block->rec[st->index];
	enter_monitor(cpu);
	scan_count_out(cpu, rec->run_left);
	cpu->gpr[REG_ESP] = mode_move_esp(st->block->mode, cpu->gpr[REG_ESP], rec->entry_esp);
	cpu->eip = st->block->eip + rec->guest_off;
	METER_ADD(cpu, insns, -rec->run_left);
	return leave(cpu, NEXT_RUN);
}

uint8_t *scan_indirect(struct vcpu *cpu, uint32_t unused, uint32_t eip, bool fpu_was_live)
{
	enter_monitor(cpu);
	scan_count_out(cpu, 0);
	cpu->eip = eip;
	cpu->scanner->lock_at = LOCK_BRANCHED;
	/* not what the hash knows: that may be how it got here, from an entry whose page has moved */
	struct block *b;
	return dispatch_to(cpu, &b);
}

uint8_t *scan_link(struct vcpu *cpu, uint32_t number, uint32_t lin, bool fpu_was_live)
{
	struct scanner *s = cpu->scanner;
	struct link *l = &s->links[number];
	uint32_t mode = l->from->mode;
	uint64_t flushes = s->flushes;
	enter_monitor(cpu);
	scan_count_out(cpu, 0);
	cpu->eip = l->target_eip;
	s->lock_at = LOCK_BRANCHED;
	struct block *to = NULL;
	uint8_t *host = dispatch_to(cpu, &to);
	/* it went to the link's target in the same mode, and the link still exists: chain it */
	if (to && host == block_near(to) && flushes == s->flushes && !l->from->dead && !l->to &&
	    to->eip == l->target_eip && s->slot->mode == mode && (!s->verifier || verify_link(s, l, block_near(to))))
		cache_link(s, l, to);
	return host;
}

/* --- the run loop --- */

/* The second slice of CPU time that one address space uses up on the checked path makes it hot. */
static void consider_promotion(struct vcpu *cpu)
{
	struct scanner *s = cpu->scanner;
	s->tick_in_user = false;
	bool direct_again = wary_tick(s);
	window_tick(cpu);
	if (cpu->cpl != 3)
		return;
	if (direct_again)
		mmu_each_user_page(cpu, window_premap);	/* what it has used meanwhile is what it will use */
	if (s->tick_cr3 != cpu->cr3)
		s->tick_count = 0;
	s->tick_cr3 = cpu->cr3;
	if (++s->tick_count >= TICKS_TO_PROMOTE) {
		s->tick_count = 0;
		window_promote(cpu);
	}
}

enum next scan_run_blocks(struct vcpu *cpu)
{
	struct scanner *s = cpu->scanner;
	s->next = NEXT_RUN;
	s->resumed_left = 0;
	uint8_t *host = dispatch(cpu);
	if (host != s->glue.exit)
		callout_enter(cpu, host);
	METER_ADD(cpu, insns, -s->resumed_left);	/* attention was wanted before it went on */
	return s->next;
}

struct block *scan_find_block(struct vcpu *cpu)
{
	uint32_t mode = scan_mode(cpu);
	cpu->insn_eip = cpu->eip;
	return mode == MODE_NONE ? NULL : find_block(cpu, mode);
}

static enum next emulate_some(struct vcpu *cpu, uint64_t most, enum next (*run)(struct vcpu *cpu))
{
	uint64_t stop = cpu->icount_stop;
	cpu->icount_stop = MIN(stop, cpu->icount + most);
	enum next n = run(cpu);
	cpu->icount_stop = stop;
	return n == NEXT_ATTENTION && !(cpu_attention(cpu) & ~(uint32_t)ATTN_EVENT) ? NEXT_RUN : n;
}

/* Blocks, as long as there is room for the longest run; what is left then is the emulator's, and exact. */
static enum next run_counted(struct vcpu *cpu)
{
	uint64_t left = cpu->icount_stop - cpu->icount;
	if (left < BLOCK_MAX_INSNS)
		return emulate_some(cpu, EMULATE_CHUNK, emulate_run);
	cpu->scanner->count_end = cpu->icount + MIN(left, (uint64_t)INT32_MAX);
	return scan_run_blocks(cpu);
}

static enum next run_on(struct vcpu *cpu)
{
	struct scanner *s = cpu->scanner;
	if (s->lock)
		lockstep_begin(s);
	for (;;) {
		if (cpu_attention(cpu) & ~(uint32_t)ATTN_EVENT)
			return NEXT_ATTENTION;
		if (cpu->icount >= cpu->icount_stop)
			return NEXT_ATTENTION;
		enum next n = NEXT_RUN;
		if (s->tick_in_user || cpu_attention(cpu) & ATTN_EVENT)	/* from scanned code to the emulator is no way by here */
			METER_SWITCH(cpu, METER_HOST);
		if (s->tick_in_user)
			consider_promotion(cpu);
		bool one = s->emulate_one, page = s->emulate_page;
		s->emulate_one = s->emulate_page = false;
		if (cpu_attention(cpu) & ATTN_EVENT) {
			n = cpu_check_events(cpu);
			if (n != NEXT_RUN)
				return n;
			one = cpu_attention(cpu) & ATTN_EVENT;
		}
		if (unlikely(cpu->stops && stops_hold(cpu)))
			return NEXT_ATTENTION;
		if (s->lock && (one || scan_mode(cpu) == MODE_NONE))
			lockstep_begin(s);
		if (page)
			n = emulate_some(cpu, CHURN_INSNS, emulate_page);
		else if (one && cpu->breaks_looked && !s->lock && !cpu->stops)
			n = emulate_some(cpu, BREAKS_CHUNK, emulate_run);
		else if (one)
			n = emulate_step(cpu);
		else if (scan_mode(cpu) == MODE_NONE)
			n = emulate_some(cpu, EMULATE_CHUNK, emulate_run);
		else if (cpu->scan.counting)
			n = run_counted(cpu);
		else
			n = s->lock ? lockstep_block(cpu) : scan_run_blocks(cpu);
		if (s->stop_text[0])
			return NEXT_STOP;
		if (n == NEXT_HALT && cpu_attention(cpu))		/* a single-step trap behind HLT wakes it */
			continue;
		if (n != NEXT_RUN && n != NEXT_ATTENTION)
			return n;
	}
}

enum next scan_run(struct vcpu *cpu)
{
	enum next n = run_on(cpu);
	METER_SWITCH(cpu, METER_HOST);
	return n;
}

/* --- what the user asks for --- */

void scan_count_instructions(struct vcpu *cpu)
{
	cpu->scanner->count_insns = true;
}

void scan_count_to(struct vcpu *cpu, uint64_t icount)
{
	cpu->scan.counting = icount != UINT64_MAX;
	cpu->icount_stop = icount;
}

int scan_virtualize(struct vcpu *cpu, const char *spec)
{
	struct scanner *s = cpu->scanner;
	if (s->nrules == RULES_MAX)
		return -ENOSPC;
	return vmap_parse(&s->rules[s->nrules], spec) ? (int)(s->nrules++, 0) : -EINVAL;
}

void scan_protect_code(struct vcpu *cpu)
{
	cpu->scan.protect_code = true;
	mmu_update_direct(cpu);
}

/* --- life --- */

static void start_ticker(struct scanner *s)
{
	s->thread = host_thread_id();
	s->has_ticker = host_timer_make(&s->ticker, CLOCK_THREAD_CPUTIME_ID, HOST_TICK_SIGNAL) == 0;
	s->ticking = false;
}

void scan_attach(struct vcpu *cpu)
{
	struct scanner *s = cpu->scanner;
	s->gs_base = GS_BASE_UNKNOWN;
	if (s->thread == host_thread_id())
		return;
	if (s->has_ticker)
		timer_delete(s->ticker);
	start_ticker(s);
}

int scan_perf_map(struct vcpu *cpu)
{
	char path[64];
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	cpu->scanner->perf_map = fopen(path, "we");
	return cpu->scanner->perf_map ? 0 : -errno;
}

int scan_init(struct vcpu *cpu, size_t cache_bytes)
{
	struct scanner *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	cpu->scanner = s;
	s->cpu = cpu;
	s->emit = calloc(1, sizeof(*s->emit));
	int err = s->emit ? wary_init(s) : -ENOMEM;
	if (!err)
		err = cache_bytes ? cache_init(s, cache_bytes, cache_bytes) : cache_init(s, CACHE_BYTES_DEFAULT, CACHE_BYTES_MOST);
	if (!err) {
		struct asm_buf b = { .rw = s->rw, .end = s->rw + s->bytes, .rx_delta = cache_delta(s) };
		glue_emit(s, &b);
		s->used = s->glue_bytes = (size_t)(b.rw - s->rw + 63) & ~(size_t)63;
		err = cache_begin(s);
	}
	if (err) {
		scan_free(cpu);
		return err;
	}
	s->epoch = cpu->scan.epoch - 1;
	s->gs_base = GS_BASE_UNKNOWN;
	s->fsgsbase = host_has_fsgsbase();
	start_ticker(s);
	windows_init(cpu);		/* without: slower, not wrong */
	return 0;
}

void scan_free(struct vcpu *cpu)
{
	struct scanner *s = cpu->scanner;
	if (!s)
		return;
	if (s->has_ticker)
		timer_delete(s->ticker);
	if (s->perf_map)
		fclose(s->perf_map);
	windows_free(cpu);
	cache_free(s);
	wary_free(s);
	if (s->verifier)
		verify_free(s->verifier);
	free(s->verifier);
	free(s->lock);
	free(s->emit);
	free(s);
	cpu->scanner = NULL;
}

int scan_verify(struct vcpu *cpu)
{
	struct scanner *s = cpu->scanner;
	s->verifier = calloc(1, sizeof(*s->verifier));
	return s->verifier ? verify_init(s->verifier) : -ENOMEM;
}

void scan_verify_summary(struct vcpu *cpu, FILE *f)
{
	if (cpu->scanner && cpu->scanner->verifier)
		verify_summary(cpu->scanner->verifier, f);
}

const char *scan_stop_text(const struct vcpu *cpu)
{
	return cpu->scanner && cpu->scanner->stop_text[0] ? cpu->scanner->stop_text : NULL;
}

void scan_flush(struct vcpu *cpu)
{
	cache_reset(cpu->scanner);
}

bool scan_drop_code(struct vcpu *cpu, uint64_t fd_offset, unsigned len)
{
	bool any = false;
	struct scanner *s = cpu->scanner;
	uint64_t page = fd_offset >> PAGE_SHIFT;
	uint32_t lo = fd_offset & PAGE_MASK, hi = lo + len;
	struct block *b = s->page_blocks[page], *next;
	if (b && hi <= PAGE_BYTES && !(s->granules[page] & granule_mask(lo, hi)))
		return false;			/* beside its code: a page may hold hundreds of blocks */
	for (; b; b = next) {
		bool second = b->fd_page[0] != page;
		next = b->page_next[second ? 1 : 0];
		uint32_t base = second ? PAGE_BYTES : 0;
		if (lo + base >= b->fd_hi || hi + base <= b->fd_lo)
			continue;
		cache_drop(s, b);
		any = true;
		if (b == s->repeating)		/* it may have overwritten itself: no further element */
			cpu_attend(cpu, ATTN_CODE);
	}
	if (!s->page_blocks[page])
		cpu->phys->page_flags[page] &= (uint8_t)~PAGE_SCAN;
	return any;
}

void scan_code_written(struct vcpu *cpu, uint64_t fd_offset, unsigned len, bool decoded)
{
	struct page_churn *c = &cpu->scanner->churn[fd_offset >> PAGE_SHIFT];
	if (!scan_drop_code(cpu, fd_offset, len) && !decoded)
		return;
	c->runs = 0;
	if (c->written < CHURN_WRITTEN)
		c->written++;
	else		/* what follows will be overwritten as well: be done with it at once */
		emulate_code_written(cpu, fd_offset & ~(uint64_t)PAGE_MASK, PAGE_BYTES);
}
