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

#include "meter/disasm.h"
#include "meter/trace.h"
#include "mmu/phys.h"

#define MAX_PAGES 64
#define MAX_ENTRIES 512
#define POOL_PAGES 256			/* more than MAX_PAGES: most blocks write where the last ones did */

struct saved_page {
	uint64_t fd_page;
	bool known;			/* before[] is what the page holds now */
	bool used;			/* in page[]: by this block */
	unsigned lo, hi;		/* where the emulator's pass changed it */
	bool table;			/* a walk set A or D in it */
	bool ahead;			/* the passes' A and D bits differ: both's stay */
	uint8_t before[PAGE_BYTES], emulated[PAGE_BYTES], scanned[PAGE_BYTES];
};

struct lockstep {
	struct memory_watcher watcher;
	struct scanner *s;
	/* the block being compared; copies, for the block may be dropped meanwhile */
	struct {
		uint32_t eip[BLOCK_MAX_INSNS + 1];
		uint16_t flags_live[BLOCK_MAX_INSNS + 1];
		bool shadow[BLOCK_MAX_INSNS + 1], mmx[BLOCK_MAX_INSNS + 1], xmm[BLOCK_MAX_INSNS + 1], rep[BLOCK_MAX_INSNS + 1];
		bool call[BLOCK_MAX_INSNS + 1];		/* leaves the block even if it goes to the next instruction */
		uint64_t fd_page[2];			/* it lies in */
		unsigned n, stop;			/* stop: instructions before the first that is done once */
		uint32_t mode;
	} b;
	FILE *report;
	struct vcpu before, emulated, scanned;
	bool watching;
	bool overflow;			/* too many pages, or the block's own code: not compared */
	struct saved_page *page[MAX_PAGES];	/* written by this block */
	unsigned npages;
	struct saved_page pool[POOL_PAGES];
	unsigned next_victim;
	uint8_t slot[1024];			/* by the low bits of fd_page: where in the pool it may be */
	struct { bool user; uint32_t page; } entry[MAX_ENTRIES];	/* TLB entries made */
	unsigned nentries;
	uint64_t blocks, insns, once, alone, again, differences;
};

/* --- memory --- */

static struct saved_page *pool_page(struct lockstep *l, uint64_t fd_page)
{
	uint8_t *slot = &l->slot[fd_page & (sizeof(l->slot) - 1)];
	struct saved_page *p = &l->pool[*slot];

	if (p->fd_page == fd_page)
		return p;
	for (unsigned i = 0; i < l->npages; i++)	/* another page has its slot since, and this one is in use */
		if (l->page[i]->fd_page == fd_page)
			return l->page[i];
	do
		p = &l->pool[l->next_victim++ % POOL_PAGES];
	while (p->used);
	*slot = (uint8_t)(p - l->pool);
	p->fd_page = fd_page;
	p->known = false;
	return p;
}

/* What is saved no longer counts: somebody else may have written. */
static void forget_pages(struct lockstep *l)
{
	for (unsigned i = 0; i < POOL_PAGES; i++)
		l->pool[i].known = false;
}

static void on_write(struct memory_watcher *w, uint64_t fd_page, bool table)
{
	struct lockstep *l = (struct lockstep *)w;
	struct saved_page *p = pool_page(l, fd_page);
	l->overflow |= table && (fd_page == l->b.fd_page[0] || fd_page == l->b.fd_page[1]);
	if (!l->watching) {
		p->known = false;
		return;
	}
	if (p->used) {
		p->table |= table;
		return;
	}
	if (l->npages == MAX_PAGES) {
		l->overflow = true;
		p->known = false;
		return;
	}
	l->page[l->npages++] = p;
	p->used = true;
	p->lo = p->hi = 0;
	p->ahead = false;
	p->table = table;
	if (!p->known)
		memcpy(p->before, l->s->cpu->phys->ram + (fd_page << PAGE_SHIFT), PAGE_BYTES);
	p->known = true;
}

static void on_entry(struct memory_watcher *w, bool user, uint32_t page)
{
	struct lockstep *l = (struct lockstep *)w;
	if (l->nentries < MAX_ENTRIES) {
		l->entry[l->nentries].user = user;
		l->entry[l->nentries].page = page;
	}
	l->nentries++;
}

static void clear_entries(struct lockstep *l, bool only_write)
{
	struct vcpu *cpu = l->s->cpu;
	if (l->nentries > MAX_ENTRIES)
		mmu_flush(cpu, true);
	else
		for (unsigned i = 0; i < l->nentries; i++)
			mmu_clear_entry(cpu, l->entry[i].user, l->entry[i].page, only_write);
	l->nentries = 0;
}

static const uint8_t *page_now(const struct lockstep *l, const struct saved_page *p)
{
	return l->s->cpu->phys->ram + (p->fd_page << PAGE_SHIFT);
}

/* First and last byte that may differ, in steps. */
static void changed_range(struct saved_page *p, const uint8_t *ram)
{
	enum { STEP = 256 };
	p->lo = 0;
	p->hi = PAGE_BYTES;
	while (p->lo < PAGE_BYTES && memcmp(p->before + p->lo, ram + p->lo, STEP) == 0)
		p->lo += STEP;
	while (p->hi > p->lo && memcmp(p->before + p->hi - STEP, ram + p->hi - STEP, STEP) == 0)
		p->hi -= STEP;
}

/* Make bytes [lo, hi) of a page so; code that was made from what changes goes. */
static void put_page(struct lockstep *l, uint64_t fd_page, const uint8_t *bytes, unsigned lo, unsigned hi)
{
	struct phys *phys = l->s->cpu->phys;
	uint8_t *ram = phys->ram + (fd_page << PAGE_SHIFT);
	if (!(phys->page_flags[fd_page] & (PAGE_CODE | PAGE_SCAN))) {
		memcpy(ram + lo, bytes + lo, hi - lo);
		return;
	}
	if (memcmp(ram + lo, bytes + lo, hi - lo) == 0)
		return;
	while (ram[lo] == bytes[lo])
		lo++;
	while (ram[hi - 1] == bytes[hi - 1])
		hi--;
	memcpy(ram + lo, bytes + lo, hi - lo);
	phys->code_written(phys->arg, (fd_page << PAGE_SHIFT) + lo, hi - lo);
}

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

struct plain_field {
	const char *name;
	uint16_t off, size;
};
#define F(f) { #f, offsetof(struct vcpu, f), sizeof(((struct vcpu *)0)->f) }
static const struct plain_field fields[] = {
	F(gpr[0]), F(gpr[1]), F(gpr[2]), F(gpr[3]), F(gpr[4]), F(gpr[5]), F(gpr[6]), F(gpr[7]), F(eip), F(eflags),
	F(ldtr.selector), F(ldtr.attr), F(ldtr.base), F(ldtr.limit), F(tr.selector), F(tr.attr), F(tr.base), F(tr.limit),
	F(gdtr.base), F(gdtr.limit), F(idtr.base), F(idtr.limit), F(cr0), F(cr2), F(cr3), F(cr4), F(dr), F(efer),
	F(sysenter_cs), F(sysenter_esp), F(sysenter_eip), F(pat), F(misc_enable), F(tsc_offset), F(pdpte),
	F(fx.fcw), F(fx.fsw), F(fx.ftw), F(fx.mxcsr), F(a20), F(halted), F(nmi_pending), F(nmi_blocked), F(intr_line),
	F(shadow), F(shadow_ss), F(ferr), F(dr6_pending), F(cpl),
};

/* The name of the first field that differs, or NULL. */
static const char *state_difference(const struct vcpu *e, const struct vcpu *s, uint32_t flags_mask, bool but_x87)
{
	static const char *const segs[] = { "es", "cs", "ss", "ds", "fs", "gs" };
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const struct plain_field *f = &fields[i];
		if (but_x87 && (f->off == offsetof(struct vcpu, fx.fsw) || f->off == offsetof(struct vcpu, fx.ftw)))
			continue;
		if (f->off == offsetof(struct vcpu, eflags) ? ((e->eflags ^ s->eflags) & flags_mask) != 0
		    : memcmp((const uint8_t *)e + f->off, (const uint8_t *)s + f->off, f->size) != 0)
			return f->name;
	}
	for (unsigned i = 0; i < 6; i++) {
		const struct segment *a = &e->seg[i], *b = &s->seg[i];
		if (a->selector != b->selector || a->attr != b->attr || a->base != b->base || a->limit != b->limit ||
		    a->read_top != b->read_top || a->write_top != b->write_top)
			return segs[i];
	}
	for (unsigned i = 0; i < 8 && !but_x87; i++)
		if (memcmp(e->fx.st[i], s->fx.st[i], 10) != 0)
			return "an x87 register";
	return memcmp(e->fx.xmm, s->fx.xmm, 8 * 16) != 0 ? "an XMM register" : NULL;
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
		if (in.prefix & (PREFIX_REP | PREFIX_REPNE))
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
		if (i > 0 && cpu->attention & ATTN_EVENT) {	/* as between any two instructions: a shadow ends */
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
	if (cpu->attention & ATTN_EVENT && !l->b.shadow[i] && !event_waits(cpu))
		cpu_check_events(cpu);			/* the shadow of an STI before is over */
	return i;
}

/* Everything back to before; code caches follow the bytes. */
static void undo(struct lockstep *l, bool whole)
{
	struct vcpu *cpu = l->s->cpu;
	clear_entries(l, false);
	for (unsigned i = 0; i < l->npages; i++)
		put_page(l, l->page[i]->fd_page, l->page[i]->before, whole ? 0 : l->page[i]->lo, whole ? PAGE_BYTES : l->page[i]->hi);
	put_state(cpu, &l->before);
	__atomic_and_fetch(&cpu->attention, ~(uint32_t)(ATTN_EVENT | ATTN_CODE), __ATOMIC_SEQ_CST);
}

static void keep_emulated(struct lockstep *l)
{
	struct vcpu *cpu = l->s->cpu;
	save_state(&l->emulated, cpu);
	for (unsigned i = 0; i < l->npages; i++) {
		struct saved_page *p = l->page[i];
		const uint8_t *ram = page_now(l, p);
		changed_range(p, ram);
		memcpy(p->emulated + p->lo, ram + p->lo, p->hi - p->lo);
	}
}

/* --- the comparison --- */

/* The only bytes that differ are dead flags in the EFLAGS image of the frame on top of the stack: behind EIP
 * and CS, or behind an error code, too. */
static bool only_dead_flags(const struct lockstep *l, const struct saved_page *p, const uint8_t *ram, uint32_t dead)
{
	uint32_t sp = l->emulated.gpr[REG_ESP] + l->emulated.seg[SEG_SS].base;
	static const struct { uint8_t at, size; } flags[] = { { 8, 4 }, { 12, 4 }, { 4, 2 }, { 6, 2 } };	/* 16-bit frames, too */
	for (unsigned k = 0; k < ARRAY_LEN(flags); k++) {
		bool ok = true;
		for (unsigned off = 0; off < PAGE_BYTES && ok; off++) {
			unsigned at = (off - (sp + flags[k].at)) & PAGE_MASK, bits = at < flags[k].size ? dead >> 8 * at & 0xFF : 0;
			uint8_t want = (off >= p->lo && off < p->hi ? p->emulated : p->before)[off];
			ok = ((want ^ ram[off]) & ~bits) == 0;
		}
		if (ok)
			return true;
	}
	return false;
}

/*
 * All that differs are A and D bits: those of an instruction that scanned code did not get through, or
 * of a translation that one side had cached and the other not. Both are allowed: keep both's.
 */
static bool only_ahead(const struct lockstep *l, const struct saved_page *p)
{
	uint8_t *ram = l->s->cpu->phys->ram + (p->fd_page << PAGE_SHIFT);
	for (unsigned off = 0; off < PAGE_BYTES; off += 4) {
		uint32_t e, s;
		memcpy(&e, (off >= p->lo && off < p->hi ? p->emulated : p->before) + off, 4);
		memcpy(&s, ram + off, 4);
		if ((e ^ s) & ~0x60u)
			return false;
		s |= e;
		memcpy(ram + off, &s, 4);
	}
	return true;
}

/* The emulator's version is to be put back whole. */
static void widen(struct saved_page *p)
{
	memcpy(p->emulated, p->before, p->lo);
	memcpy(p->emulated + p->hi, p->before + p->hi, PAGE_BYTES - p->hi);
	p->lo = 0;
	p->hi = PAGE_BYTES;
}

/* What differs, or NULL. */
static const char *compare(struct lockstep *l, int begun, unsigned emulated)
{
	struct vcpu *cpu = l->s->cpu;
	/* Dead where scanned code stopped; or where the instruction began whose fault was delivered. */
	bool within = l->emulated.eip == l->b.eip[emulated];
	uint32_t dead = 0;
	if (begun != LOCK_BRANCHED && (within || emulated > 0))
		dead = EFLAGS_ARITH & ~(uint32_t)l->b.flags_live[within ? emulated : emulated - 1];
	bool refused = begun != LOCK_BRANCHED && within;

	if (within && l->b.shadow[emulated])	/* an STI with IF set already casts none, which scanned code does not know */
		cpu->shadow = l->emulated.shadow;
	uint32_t mxcsr = l->emulated.fx.mxcsr, more = cpu->fx.mxcsr & ~mxcsr;
	if (refused && l->b.xmm[emulated] && (more & ~0x3Fu) == 0 && cpu->fx.mxcsr == (mxcsr | more))
		cpu->fx.mxcsr = mxcsr;			/* status flags of the exception that the emulator will raise */
	const char *what = state_difference(&l->emulated, cpu, ~dead, refused && l->b.mmx[emulated]);
	for (unsigned i = 0; !what && i < l->npages; i++) {
		struct saved_page *p = l->page[i];
		const uint8_t *ram = page_now(l, p);
		bool around = memcmp(p->before, ram, p->lo) == 0 && memcmp(p->before + p->hi, ram + p->hi, PAGE_BYTES - p->hi) == 0;
		if (around && memcmp(p->emulated + p->lo, ram + p->lo, p->hi - p->lo) == 0)
			continue;
		if (dead && only_dead_flags(l, p, ram, dead)) {
			widen(p);
			continue;
		}
		p->ahead = (refused || p->table) && only_ahead(l, p);
		if (p->ahead)
			continue;
		what = "memory";
	}
	return what;
}

static void print_state(FILE *f, const char *name, const struct vcpu *c)
{
	fprintf(f, "  %-9s eax %08x ecx %08x edx %08x ebx %08x esp %08x ebp %08x esi %08x edi %08x\n"
	    "            eip %08x eflags %08x cs %04x ss %04x cr0 %08x cr2 %08x cr3 %08x cpl %u fcw %04x fsw %04x ftw %02x mxcsr %08x\n",
	    name, c->gpr[0], c->gpr[1], c->gpr[2], c->gpr[3], c->gpr[4], c->gpr[5], c->gpr[6], c->gpr[7], c->eip, c->eflags,
	    c->seg[SEG_CS].selector, c->seg[SEG_SS].selector, c->cr0, c->cr2, c->cr3, c->cpl, c->fx.fcw, c->fx.fsw, c->fx.ftw,
	    c->fx.mxcsr);
}

static void print_bytes(FILE *f, const char *name, const uint8_t *p, unsigned n)
{
	fprintf(f, "  %-9s", name);
	for (unsigned i = 0; i < n; i++)
		fprintf(f, " %02x", p[i]);
	fputc('\n', f);
}

static void print_vectors(FILE *f, const struct vcpu *e, const struct vcpu *s)
{
	for (unsigned i = 0; i < 8; i++) {
		if (memcmp(e->fx.st[i], s->fx.st[i], 10) != 0) {
			fprintf(f, "  st(%u):\n", i);
			print_bytes(f, "emulated", e->fx.st[i], 10);
			print_bytes(f, "scanned", s->fx.st[i], 10);
		}
		if (memcmp(e->fx.xmm[i], s->fx.xmm[i], 16) != 0) {
			fprintf(f, "  xmm%u:\n", i);
			print_bytes(f, "emulated", e->fx.xmm[i], 16);
			print_bytes(f, "scanned", s->fx.xmm[i], 16);
		}
	}
}

/* From the state before both passes: it is put back by the caller. */
static void print_block(struct lockstep *l, FILE *f)
{
	for (unsigned i = 0; i < l->b.n; i++) {
		uint8_t bytes[15];
		char text[96] = "(not mapped)";
		gpa_t gpa;
		unsigned n = 0;
		for (lin_t lin = l->before.seg[SEG_CS].base + l->b.eip[i]; n < sizeof(bytes) && mmu_translate(l->s->cpu, lin + n, &gpa); n++)
			phys_read(l->s->cpu->phys, gpa, &bytes[n], 1);
		if (n)
			disasm_att(text, sizeof(text), bytes, n, l->b.mode & MODE_CODE32, l->b.eip[i]);
		fprintf(f, "  %08x%s  %s\n", l->b.eip[i], l->b.flags_live[i] ? "" : " .", text);
	}
}

/* The first bytes in which the passes differ. */
static void print_page(struct lockstep *l, const struct saved_page *p, FILE *f)
{
	const uint8_t *ram = page_now(l, p);
	for (unsigned at = 0; at < PAGE_BYTES; at += 16) {
		const uint8_t *want = at >= p->lo && at < p->hi ? p->emulated : p->before;
		if (memcmp(want + at, ram + at, 16) == 0)
			continue;
		fprintf(f, "  RAM at %llx:\n", (unsigned long long)(p->fd_page << PAGE_SHIFT) + at);
		print_bytes(f, "before", p->before + at, 16);
		print_bytes(f, "emulated", want + at, 16);
		print_bytes(f, "scanned", ram + at, 16);
		return;
	}
}

static void report(struct lockstep *l, const char *what, int begun, unsigned emulated)
{
	FILE *f = l->report;
	struct scanner *s = l->s;
	struct vcpu *cpu = s->cpu;
	struct vcpu scanned = *cpu;

	snprintf(s->stop_text, sizeof(s->stop_text), "lock-step: emulator and scanned code differ in %s, block of %08x", what,
	    l->b.eip[0]);
	if (!f)
		return;
	fprintf(f, "\n%s (icount %llu, mode %x; %u instructions emulated, scanned code stopped at %d)\n", s->stop_text,
	    (unsigned long long)l->before.icount, l->b.mode, emulated, begun);
	print_state(f, "before", &l->before);
	print_state(f, "emulated", &l->emulated);
	print_state(f, "scanned", &scanned);
	print_vectors(f, &l->emulated, &scanned);
	for (unsigned i = 0; i < l->npages; i++)
		print_page(l, l->page[i], f);
	undo(l, true);
	print_block(l, f);
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
	forget_pages(l);
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
		put_page(l, p->fd_page, p->emulated, p->lo, p->hi);	/* may be other dead flags */
		memcpy(p->before + p->lo, p->emulated + p->lo, p->hi - p->lo);
	}
	end_block(l);
	put_state(cpu, &l->emulated);
	__atomic_or_fetch(&cpu->attention, attention & ATTN_EVENT, __ATOMIC_SEQ_CST);
	clear_entries(l, true);
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
	*attention |= cpu->attention;
	for (unsigned i = 0; i < n; i++)
		memcpy(l->page[i]->scanned, page_now(l, l->page[i]), PAGE_BYTES);
	undo(l, true);
	if (cpu->trace) {			/* this pass is the one that counts */
		trace_hold(cpu->trace);
		trace_drop(cpu->trace);
	}
	e = begun == LOCK_BRANCHED ? l->b.n : (unsigned)begun;
	bool part = e > 0 && l->b.rep[e - 1] && l->scanned.eip == l->b.eip[e - 1];
	e = emulate_pass(l, e - part, next);
	if (l->b.rep[e])
		emulate_part(l, l->b.eip[e]);
	*attention |= cpu->attention;
	keep_emulated(l);
	undo(l, true);
	for (unsigned i = 0; i < n; i++)
		put_page(l, l->page[i]->fd_page, l->page[i]->scanned, 0, PAGE_BYTES);
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
	forget_pages(s->lock);
}

enum next lockstep_block(struct vcpu *cpu)
{
	struct scanner *s = cpu->scanner;
	struct lockstep *l = s->lock;
	struct block *b = NULL;
	enum next next, scan_next;

	clear_entries(l, true);
	bool faults = cpu_try(cpu, find, &b);		/* the fetch: it will again */
	if (!faults && !b && cpu->attention & ATTN_EVENT)
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
		forget_pages(l);
		return next;
	}
	uint32_t attention = cpu->attention;
	keep_emulated(l);
	undo(l, false);

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

	const char *what = compare(l, begun, emulated);
	if (scan_next != next)
		what = "how the block ended";
	else if (next != NEXT_RUN)		/* a triple fault: no instruction sees this state */
		what = NULL;
	l->blocks++;
	l->insns += emulated;
	if (what) {
		l->differences++;
		report(l, what, begun, emulated);
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
	l->watcher = (struct memory_watcher){ on_write, on_entry };
	cpu->watcher = &l->watcher;
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
