/*
 * Lock-step: do the two passes agree? If not, the report.		[docs/design/lockstep.md]
 */
#include <stdio.h>
#include <string.h>

#include "meter/disasm.h"
#include "mmu/phys.h"
#include "scan/lockstep.h"
#include "scan/lockstep_internal.h"

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

const char *lockstep_compare(struct lockstep *l, int begun, unsigned emulated)
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
		const uint8_t *ram = lockstep_page_now(l, p);
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
	const uint8_t *ram = lockstep_page_now(l, p);
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

void lockstep_report(struct lockstep *l, const char *what, int begun, unsigned emulated)
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
	lockstep_undo(l, true);
	print_block(l, f);
}
