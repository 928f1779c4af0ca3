/*
 * Lock-step: every block is carried out twice from the same state, first by the emulator, then as
 * scanned code, and the two results are compared.			[docs/design/lockstep.md]
 *
 * Memory: both passes start without write entries in the software TLB, so that the first write to
 * each page is seen (struct memory_watcher) and the page saved; between the passes the saved pages
 * go back. Pages that only one pass wrote show as differences.
 * What has an effect outside (ports, the time-stamp counter...) or on cached translations is done
 * once, by the emulator: blocks are compared up to such an instruction. An access to a device's
 * memory is noticed only when it has happened: then the emulator's pass is the only one.
 * The emulator's result is what the guest goes on with: time, counted in instructions, is exact.
 *
 * A and D bits may differ: where scanned code stops before an instruction that the window refused, this
 * one's walk is done already; and a window, like a TLB, may still know a translation whose entry has
 * changed. A block in whose own bytes a walk sets them is the emulator's alone. At such a stop the host
 * has also made TOP 0 if it is an MMX instruction, and set flags in MXCSR if an SSE one with an unmasked exception.
 *
 * Blocks are not chained and returns not paired here. Not compared: x87 instruction and operand
 * pointers; arithmetic flags that scanned code knows to be dead, in EFLAGS and in the image that an
 * exception pushes.
 */
#include "scan/lockstep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meter/trace.h"
#include "mmu/phys.h"
#include "scan/lockstep_internal.h"

/* --- processor state --- */

static void save_state(struct vcpu *to, const struct vcpu *cpu)
{
	memcpy(to, cpu, offsetof(struct vcpu, tsc_hz));
	memcpy(to->event, cpu->event, sizeof(to->event));
	to->nevents = cpu->nevents;
}

/* Back to a state saved in the same block: everything but what belongs to the engines and the host. */
static void put_state(struct vcpu *cpu, const struct vcpu *to)
{
	bool other_tables = cpu->cr0 != to->cr0 || cpu->cr3 != to->cr3 || cpu->cr4 != to->cr4 || cpu->efer != to->efer ||
	    memcmp(cpu->pdpte, to->pdpte, sizeof(cpu->pdpte)) != 0;

	memcpy(cpu, to, offsetof(struct vcpu, cpl));
	cpu->cpl = to->cpl;
	cpu->insn_eip = to->insn_eip;
	cpu->exc_vector = to->exc_vector;
	cpu->exc_error = to->exc_error;
	cpu->event_ext = to->event_ext;
	cpu->tf_armed = to->tf_armed;
	cpu->shadow_armed = to->shadow_armed;
	cpu->rf_armed = to->rf_armed;
	cpu->check_icount = to->check_icount;
	cpu->icount = to->icount;
	memcpy(cpu->event, to->event, sizeof(cpu->event));
	cpu->nevents = to->nevents;
	if (other_tables)
		mmu_flush(cpu, true);
	mmu_select(cpu);
}

/* --- blocks --- */

/* Ports, time, translations: once. FNSAVE and friends: they show pointers that are not compared. */
static bool done_once(const struct insn *in)
{
	switch (in->name) {
	case I_IN: case I_OUT: case I_INS: case I_OUTS: case I_RDTSC: case I_RDPMC: case I_RDMSR: case I_WRMSR:
	case I_HLT: case I_INVLPG: case I_INVD: case I_WBINVD: case I_LMSW: case I_FNSAVE: case I_FNSTENV: case I_FXSAVE:
		return true;
	case I_MOV:
		return in->opnd[0].kind == OPND_CR || in->opnd[0].kind == OPND_DR;
	default:
		return false;
	}
}

enum { LOCK_ONCE = BIT(0), LOCK_CALL = BIT(1), LOCK_REP = BIT(2), LOCK_NEVER = BIT(3), LOCK_MMX = BIT(4), LOCK_XMM = BIT(5) };

/* What to know of each instruction, once for a block. */
static void look_at(const struct scanner *s, struct block *b)
{
	for (unsigned i = 0; i < b->ninsns; i++) {
		struct insn in;
		unsigned lock = 0;
		if (!recover_insn(s, b, i, &in) || done_once(&in))
			lock |= LOCK_ONCE;
		if (in.name == I_CALL)
			lock |= LOCK_CALL;
		for (unsigned k = 0; k < in.nopnd; k++)
			lock |= in.opnd[k].kind == OPND_MMX ? LOCK_MMX : in.opnd[k].kind == OPND_XMM ? LOCK_XMM : 0;
		if (in.prefix & (PREFIX_REP | PREFIX_REPNE) && in.name >= I_MOVS && in.name <= I_OUTS)
			lock |= LOCK_REP;
		/* a taken Jcc to the next instruction looks like one not taken, a call that was emulated like one that returned */
		if ((in.name == I_JCC || in.name == I_JCXZ || (in.name == I_CALL && in.opnd[0].kind == OPND_REL)) && in.imm == 0)
			lock |= LOCK_NEVER;
		b->rec[i].lock = lock;
	}
	b->lock_known = true;
}

static void take_block(struct lockstep *l, struct block *b)
{
	if (!b->lock_known)
		look_at(l->s, b);
	l->b.n = l->b.stop = b->ninsns;
	memcpy(l->b.fd_page, b->fd_page, sizeof(l->b.fd_page));
	l->b.mode = b->mode & ~(uint32_t)MODE_DIRECT;
	for (unsigned i = 0; i <= b->ninsns; i++) {
		const struct record *r = &b->rec[i];
		l->b.eip[i] = b->eip + r->guest_off;
		l->b.flags_live[i] = record_live(r);
		l->b.call[i] = r->lock & LOCK_CALL;
		l->b.rep[i] = r->lock & LOCK_REP;
		l->b.shadow[i] = r->shadow;
		l->b.mmx[i] = r->lock & LOCK_MMX;
		l->b.xmm[i] = r->lock & LOCK_XMM;
		if (r->lock & LOCK_ONCE)
			l->b.stop = MIN(l->b.stop, i);
		if (r->lock & LOCK_NEVER)
			l->b.stop = 0;
	}
}

bool lockstep_stops(struct scanner *s, const struct site *st)
{
	struct vcpu *cpu = s->cpu;
	if (!done_once(&st->in))
		return false;
	cpu->eip = st->block->eip + st->block->rec[st->index].guest_off;
	s->lock_at = st->index;
	s->emulate_one = true;
	return true;
}

/* --- the two passes --- */

/* It comes between blocks, for both. */
static bool event_waits(const struct vcpu *cpu)
{
	return cpu->intr_line || cpu->nmi_pending || cpu->dr6_pending || cpu_breaks_near(cpu, cpu->seg[SEG_CS].base + cpu->eip);
}

/*
 * Carry out up to limit instructions of the block, REP ones to their end: at least as far as scanned code
 * can come, so that it writes to no page whose contents before are not known. Returns how many were
 * begun. *next other than NEXT_RUN: this pass cannot be compared.
 */
static unsigned emulate_pass(struct lockstep *l, unsigned limit, enum next *next)
{
	struct vcpu *cpu = l->s->cpu;
	uint64_t mmio = cpu->phys->mmio_accesses;
	unsigned i = 0;

	*next = NEXT_RUN;
	while (i < limit && *next == NEXT_RUN) {
		if (i > 0 && cpu_attention(cpu) & ATTN_EVENT) {	/* as between any two instructions: a shadow ends */
			if (event_waits(cpu))
				break;
			*next = cpu_check_events(cpu);
			if (*next != NEXT_RUN || cpu->eip != l->b.eip[i])
				break;
		}
		*next = emulate_step(cpu);
		if (cpu->icount >= cpu->icount_stop)
			*next = NEXT_ATTENTION;		/* a deadline: time is exact */
		if (l->b.rep[i] && cpu->eip == l->b.eip[i] && !l->overflow)
			continue;
		i++;
		if (cpu->eip != l->b.eip[i] || l->b.call[i - 1] || cpu->phys->mmio_accesses != mmio ||
		    (scan_mode(cpu) & ~(uint32_t)MODE_DIRECT) != l->b.mode)
			break;
	}
	if (cpu_attention(cpu) & ATTN_EVENT && !l->b.shadow[i] && !event_waits(cpu))
		cpu_check_events(cpu);			/* the shadow of an STI before is over */
	return i;
}

void lockstep_undo(struct lockstep *l, bool whole)
{
	struct vcpu *cpu = l->s->cpu;
	lockstep_clear_entries(l, false);
	for (unsigned i = 0; i < l->npages; i++)
		lockstep_put_page(l, l->page[i]->fd_page, l->page[i]->before, whole ? 0 : l->page[i]->lo, whole ? PAGE_BYTES : l->page[i]->hi);
	put_state(cpu, &l->before);
	__atomic_and_fetch(&cpu->attention, ~(uint32_t)(ATTN_EVENT | ATTN_CODE), __ATOMIC_SEQ_CST);
}

static void keep_emulated(struct lockstep *l)
{
	struct vcpu *cpu = l->s->cpu;
	save_state(&l->emulated, cpu);
	for (unsigned i = 0; i < l->npages; i++) {
		struct saved_page *p = l->page[i];
		const uint8_t *ram = lockstep_page_now(l, p);
		lockstep_changed_range(p, ram);
		memcpy(p->emulated + p->lo, ram + p->lo, p->hi - p->lo);
	}
}

/* --- one block --- */

static void find(struct vcpu *cpu, void *arg)
{
	*(struct block **)arg = scan_find_block(cpu);
}

/* The next block begins with no page of its own. */
static void end_block(struct lockstep *l)
{
	for (unsigned i = 0; i < l->npages; i++)
		l->page[i]->used = false;
	l->npages = 0;
}

/* It may be one that has a device write to memory. */
static enum next alone(struct lockstep *l)
{
	l->alone++;
	lockstep_forget_pages(l);
	return emulate_step(l->s->cpu);
}

/* Both passes gave the same: go on with the emulator's. */
static void settle(struct lockstep *l, uint32_t attention)
{
	struct vcpu *cpu = l->s->cpu;
	for (unsigned i = 0; i < l->npages; i++) {
		struct saved_page *p = l->page[i];
		p->known = !p->ahead;
		if (p->ahead)
			continue;
		lockstep_put_page(l, p->fd_page, p->emulated, p->lo, p->hi);	/* may be other dead flags */
		memcpy(p->before + p->lo, p->emulated + p->lo, p->hi - p->lo);
	}
	end_block(l);
	put_state(cpu, &l->emulated);
	__atomic_or_fetch(&cpu->attention, attention & ATTN_EVENT, __ATOMIC_SEQ_CST);
	lockstep_clear_entries(l, true);
}

/* Scanned code stopped inside a REP instruction, with some elements left: that many for the emulator, too. */
static void emulate_part(struct lockstep *l, uint32_t eip)
{
	struct vcpu *cpu = l->s->cpu;
	uint64_t icount_stop = cpu->icount_stop;

	while (cpu->eip == eip && l->scanned.eip == eip && cpu->gpr[REG_ECX] > l->scanned.gpr[REG_ECX]) {
		cpu->icount_stop = cpu->icount + cpu->gpr[REG_ECX] - l->scanned.gpr[REG_ECX];
		emulate_step(cpu);
	}
	cpu->icount_stop = icount_stop;
	cpu->eflags = (cpu->eflags & ~(uint32_t)EFLAGS_RF) | (l->scanned.eflags & EFLAGS_RF);
}

/* Scanned code stopped elsewhere than the emulator: the emulator again, to the same place. */
static unsigned emulate_again(struct lockstep *l, int begun, uint32_t *attention, enum next *next)
{
	struct vcpu *cpu = l->s->cpu;
	unsigned n = l->npages, e;

	l->again++;
	save_state(&l->scanned, cpu);
	*attention |= cpu_attention(cpu);
	for (unsigned i = 0; i < n; i++)
		memcpy(l->page[i]->scanned, lockstep_page_now(l, l->page[i]), PAGE_BYTES);
	lockstep_undo(l, true);
	if (cpu->trace) {			/* this pass is the one that counts */
		trace_hold(cpu->trace);
		trace_drop(cpu->trace);
	}
	e = begun == LOCK_BRANCHED ? l->b.n : (unsigned)begun;
	bool part = e > 0 && l->b.rep[e - 1] && l->scanned.eip == l->b.eip[e - 1];
	e = emulate_pass(l, e - part, next);
	if (l->b.rep[e])
		emulate_part(l, l->b.eip[e]);
	*attention |= cpu_attention(cpu);
	keep_emulated(l);
	lockstep_undo(l, true);
	for (unsigned i = 0; i < n; i++)
		lockstep_put_page(l, l->page[i]->fd_page, l->page[i]->scanned, 0, PAGE_BYTES);
	put_state(cpu, &l->scanned);
	return e;
}

static void release_trace(struct vcpu *cpu)
{
	if (cpu->trace)
		trace_release(cpu->trace);
}

void lockstep_begin(struct scanner *s)
{
	end_block(s->lock);
	lockstep_forget_pages(s->lock);
}

enum next lockstep_block(struct vcpu *cpu)
{
	struct scanner *s = cpu->scanner;
	struct lockstep *l = s->lock;
	struct block *b = NULL;
	enum next next, scan_next;

	lockstep_clear_entries(l, true);
	bool faults = cpu_try(cpu, find, &b);		/* the fetch: it will again */
	if (!faults && !b && cpu_attention(cpu) & ATTN_EVENT)
		return NEXT_RUN;			/* breakpoints are to be looked at */
	if (faults || !b)
		return alone(l);
	take_block(l, b);
	if (cpu->icount_stop - cpu->icount < l->b.n || l->b.stop == 0) {
		l->once += l->b.stop == 0;
		return alone(l);
	}
	save_state(&l->before, cpu);
	l->overflow = false;
	l->watching = true;
	if (cpu->trace)
		trace_hold(cpu->trace);
	uint64_t mmio = cpu->phys->mmio_accesses;
	unsigned emulated = emulate_pass(l, l->b.stop, &next);
	if (cpu->phys->mmio_accesses != mmio || l->overflow || next != NEXT_RUN) {
		release_trace(cpu);
		l->watching = false;
		l->alone += emulated;
		end_block(l);
		lockstep_forget_pages(l);
		return next;
	}
	uint32_t attention = cpu_attention(cpu);
	keep_emulated(l);
	lockstep_undo(l, false);

	if (cpu->trace)
		cpu->trace->muted = true;	/* the same events once more */
	s->lock_entered = false;
	s->lock_at = 0;
	uint64_t icount_stop = cpu->icount_stop;	/* scanned code does not count exactly */
	cpu->icount_stop = UINT64_MAX;
	scan_next = scan_run_blocks(cpu);
	cpu->icount_stop = icount_stop;
	int begun = s->lock_at;
	bool faulted = s->emulate_one;
	bool part = begun > 0 && l->b.rep[begun - 1] && cpu->eip == l->b.eip[begun - 1];
	if (part || (begun != LOCK_BRANCHED && (unsigned)begun != emulated))
		emulated = emulate_again(l, begun, &attention, &next);
	s->emulate_one = faulted;
	l->watching = false;
	release_trace(cpu);

	const char *what = lockstep_compare(l, begun, emulated);
	if (scan_next != next)
		what = "how the block ended";
	else if (next != NEXT_RUN)		/* a triple fault: no instruction sees this state */
		what = NULL;
	l->blocks++;
	l->insns += emulated;
	if (what) {
		l->differences++;
		lockstep_report(l, what, begun, emulated);
		return NEXT_STOP;
	}
	settle(l, attention);
	return next;
}

/* --- life --- */

int scan_lockstep(struct vcpu *cpu, FILE *report)
{
	struct scanner *s = cpu->scanner;
	struct lockstep *l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	s->lock = l;
	l->s = s;
	l->report = report;
	for (unsigned i = 0; i < POOL_PAGES; i++)
		l->pool[i].fd_page = UINT64_MAX;
	lockstep_watch(l);
	mmu_flush(cpu, true);
	return 0;
}

void scan_lockstep_summary(struct vcpu *cpu, FILE *f)
{
	const struct lockstep *l = cpu->scanner ? cpu->scanner->lock : NULL;
	if (l)
		fprintf(f, "lock-step: %llu blocks, %llu instructions compared, %llu differences; emulator alone: %llu instructions "
		    "(%llu that can be done only once); passes repeated: %llu\n", (unsigned long long)l->blocks,
		    (unsigned long long)l->insns, (unsigned long long)l->differences, (unsigned long long)l->alone,
		    (unsigned long long)l->once, (unsigned long long)l->again);
}
