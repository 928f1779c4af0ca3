/*
 * The same instruction in a guest at CPL 3 with paging, the host's two windows at their linear
 * addresses and the same LDT. An exception is delivered for real, through an IDT and a TSS, and read
 * back from the frame it pushed.
 */
#include "tests/insn/insn.h"

#include <stdio.h>

#include "scan/scan.h"
#include "tests/machine.h"

/* Supervisor structures in the first 4 MiB. */
enum {
	PAGE_DIR = 0x1000, LOW_TABLE = 0x2000, CODE_TABLE = 0x3000, DATA_TABLE = 0x4000,
	GDT = 0x5000, LDT = 0x5100, TSS = 0x5400, IDT = 0x6000, STACK_TOP = 0x8000,
	HANDLERS = 0x9000,		/* vector n enters at HANDLERS + n: a HLT */
	CODE_PHYS = 0x100000, DATA_PHYS = 0x120000,
};

const struct ldt_entry ldt_entries[LDT_COUNT] = {
	[LDT_CODE32]	= { CODE_BASE, 0xFFFF, 0xB, true, false },
	[LDT_CODE16]	= { CODE_BASE, 0xFFFF, 0xB, false, false },
	[LDT_DATA32]	= { DATA_BASE, 0xFFFF, 0x3, true, false },
	[LDT_DATA16]	= { DATA_BASE, 0xFFFF, 0x3, false, false },
	[LDT_READ_ONLY]	= { DATA_BASE, 0xFFFF, 0x1, true, false },
	[LDT_SMALL]	= { DATA_BASE + 0x3000, 0x0FFF, 0x3, true, false },
	[LDT_DOWN]	= { DATA_BASE, 0x7FFF, 0x7, false, false },
	[LDT_EXEC_ONLY]	= { CODE_BASE, 0xFFFF, 0x9, true, false },
	[LDT_CONFORMING] = { CODE_BASE, 0xFFFF, 0xF, true, true },	/* Linux allows no other */
	[LDT_ABSENT]	= { DATA_BASE, 0xFFFF, 0x3, true, true },
	[LDT_ABSENT_CODE] = { CODE_BASE, 0xFFFF, 0xB, true, true },
	[LDT_WIDE_CODE]	= { CODE_BASE, 0xFFFFFFFF, 0xB, true, false },
	[LDT_FLAT_CODE]	= { 0, 0xFFFFFFFF, 0xB, true, false },
	[LDT_WIDE_DATA]	= { DATA_BASE, 0xFFFFFFFF, 0x3, true, false },
	[LDT_FLAT_DATA]	= { 0, 0xFFFFFFFF, 0x3, true, false },
};

const char *const guest_name[GUESTS] = { "tier 0", "checked", "direct" };

static struct machine *machines[GUESTS], *m;	/* m: the one in use */

static void put32(uint32_t at, uint32_t v)
{
	memcpy(m->phys.ram + at, &v, 4);
}

static uint32_t get32(uint32_t at)
{
	uint32_t v;

	memcpy(&v, m->phys.ram + at, 4);
	return v;
}

static void put_descriptor(uint32_t at, uint32_t base, uint32_t limit, unsigned access, unsigned flags)
{
	if (limit > 0xFFFFF) {
		limit >>= 12;
		flags |= 8;
	}
	put32(at, (limit & 0xFFFF) | base << 16);
	put32(at + 4, (base >> 16 & 0xFF) | access << 8 | (limit & 0xF0000) | flags << 20 | (base & 0xFF000000));
}

#define ALL_READ_ONLY 0xFFFFFFFFu
static void map_window(uint32_t lin, uint32_t table, uint32_t phys, unsigned hole, unsigned read_only)
{
	put32(PAGE_DIR + (lin >> 22) * 4, table | 7);
	for (unsigned i = 0; i < WINDOW_PAGES; i++)
		put32(table + ((lin >> 12 & 1023) + i) * 4, i == hole ? 0 : (phys + i * PAGE_BYTES) | (i == read_only || read_only == ALL_READ_ONLY ? 5 : 7));
}

static void make_tables(void)
{
	put32(PAGE_DIR + (SYSTEM >> 22) * 4, LOW_TABLE | 3);
	for (unsigned i = 0; i < 1024; i++)
		put32(LOW_TABLE + i * 4, i << 12 | 3);
	map_window(CODE_BASE, CODE_TABLE, CODE_PHYS, CODE_HOLE, ALL_READ_ONLY);
	map_window(DATA_BASE, DATA_TABLE, DATA_PHYS, DATA_HOLE, DATA_READ_ONLY);
	put_descriptor(GDT + 8, 0, 0xFFFFFFFF, 0x9B, 0xC);
	put_descriptor(GDT + 16, 0, 0xFFFFFFFF, 0x93, 0xC);
	for (unsigned i = 0; i < LDT_COUNT; i++) {
		const struct ldt_entry *e = &ldt_entries[i];
		put_descriptor(LDT + i * 8, e->base, e->limit, (e->absent ? 0x70 : 0xF0) | e->type,
		    (e->big ? 4 : 0) | 1);		/* Linux sets AVL ("useable") */
	}
	for (unsigned v = 0; v < 256; v++) {
		put32(IDT + v * 8, (HANDLERS & 0xFFFF) + v + (8 << 16));
		put32(IDT + v * 8 + 4, ((SYSTEM + HANDLERS) & 0xFFFF0000) | (v == EXC_BP || v == EXC_OF ? 0xEE00 : 0x8E00));
	}
	put32(TSS + 4, SYSTEM + STACK_TOP);
	put32(TSS + 8, 16);
	put32(TSS + 0x64, 0x68 << 16);		/* no I/O bitmap */
}

static void make_machine(enum guest engine)
{
	m = machines[engine] = machine_new(2 << 20);
	struct vcpu *cpu = &m->cpu;

	make_tables();
	memset(m->phys.ram + HANDLERS, 0xF4, 256);
	memset(m->phys.ram + CODE_PHYS, 0xCC, WINDOW_BYTES);
	cpu->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
	cpu->cr3 = PAGE_DIR;
	cpu->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
	cpu->gdtr = (struct table_register){ SYSTEM + GDT, 23 };
	cpu->idtr = (struct table_register){ SYSTEM + IDT, 256 * 8 - 1 };
	cpu->ldtr = (struct segment){ .selector = 0x18, .base = SYSTEM + LDT, .limit = LDT_COUNT * 8 - 1, .attr = 0x82 };
	cpu->tr = (struct segment){ .selector = 0x20, .base = SYSTEM + TSS, .limit = 0x67, .attr = 0x8B };
	mmu_flush(cpu, true);
	if (engine != TIER0) {
		machine_scan(m, 0, engine == DIRECT);
		machine_scan_eagerly(m);
	}
}

void guest_init(enum guest first, enum guest last)
{
	for (enum guest i = first; i <= last; i++)
		make_machine(i);
}

uint8_t *guest_data(enum guest engine)
{
	return machines[engine]->phys.ram + DATA_PHYS;
}

const char *guest_stop(enum guest engine)
{
	return scan_stop_text(&machines[engine]->cpu);
}

void guest_summary(enum guest engine)
{
	scan_verify_summary(&machines[engine]->cpu, stdout);
}

static void put_segment(unsigned seg, uint16_t selector)
{
	struct segment s = { .selector = selector };

	if (selector > 3) {
		const struct ldt_entry *e = &ldt_entries[selector >> 3];
		s.base = e->base;
		s.limit = e->limit;
		s.attr = (uint16_t)(0xF0 | e->type | (e->big ? SEG_DB : 0) |
		    (e->limit > 0xFFFFF ? SEG_G : 0));
	}
	segment_derive(&s);
	m->cpu.seg[seg] = s;
}

static void put_state(const struct insn_state *s)
{
	struct vcpu *cpu = &m->cpu;

	memcpy(cpu->gpr, s->gpr, sizeof(s->gpr));
	cpu->eip = s->eip;
	cpu->eflags = s->eflags;
	for (unsigned i = 0; i < 6; i++)
		put_segment(i, s->seg[i]);
	cpu->fx = s->fx;
	cpu->fx.mxcsr_mask = 0xFFFF;
	cpu->attention = 0;
	cpu->dr6_pending = 0;
	cpu->dr[6] = DR6_FIXED1;
	cpu->shadow = cpu->shadow_ss = false;
	cpu->tf_armed = cpu->shadow_armed = cpu->rf_armed = false;
	cpu->ferr = false;
	cpu->halted = false;
	cpu_update_mode(cpu);
	mmu_select(cpu);
}

/* Put the exception's frame back into the registers it came from. */
static void undo_delivery(struct insn_state *out)
{
	struct vcpu *cpu = &m->cpu;
	unsigned v = cpu->eip - (SYSTEM + HANDLERS) - (cpu->halted ? 1 : 0);
	bool error = v == EXC_DF || (v >= EXC_TS && v <= EXC_PF) || v == EXC_AC;
	uint32_t at = cpu->gpr[REG_ESP] - SYSTEM;

	out->trap = (uint8_t)v;
	out->error = error ? get32(at) : 0;
	out->cr2 = v == EXC_PF ? cpu->cr2 : 0;
	at += error ? 4 : 0;
	out->eip = get32(at);
	out->seg[SEG_CS] = (uint16_t)get32(at + 4);
	out->eflags = get32(at + 8);
	out->gpr[REG_ESP] = get32(at + 12);
	out->seg[SEG_SS] = (uint16_t)get32(at + 16);
}

/* As native_run() has it: the int3 behind the instruction is not an exception. */
static void undo_int3(struct insn_state *out)
{
	if (out->trap != EXC_BP)
		return;
	out->trap = NO_TRAP;
	out->eip--;
}

void guest_run(enum guest engine, const struct insn_case *c, struct insn_state *out)
{
	m = machines[engine];
	struct vcpu *cpu = &m->cpu;
	uint32_t at = CODE_PHYS + c->before.eip % WINDOW_BYTES;
	size_t len = MIN(c->len + 1, WINDOW_BYTES - c->before.eip % WINDOW_BYTES);

	phys_write(&m->phys, at, c->code, len);
	put_state(&c->before);
	cpu->icount_stop = ~0ull;
	if (engine == TIER0) {
		do
			emulate_step(cpu);
		while (c->to_the_end && cpu->eip == c->before.eip && cpu->cpl == 3);
	} else {
		machine_scan_run(m);
	}

	memcpy(out->gpr, cpu->gpr, sizeof(out->gpr));
	for (unsigned i = 0; i < 6; i++)
		out->seg[i] = cpu->seg[i].selector < 4 ? 0 : cpu->seg[i].selector;
	out->eip = cpu->eip;
	out->eflags = cpu->eflags;
	out->trap = NO_TRAP;
	out->error = out->cr2 = 0;
	out->fx = cpu->fx;
	if (cpu->cpl != 3)
		undo_delivery(out);
	if (engine != TIER0)
		undo_int3(out);
	uint8_t int3[sizeof(c->code)];
	memset(int3, 0xCC, len);
	phys_write(&m->phys, at, int3, len);
}
