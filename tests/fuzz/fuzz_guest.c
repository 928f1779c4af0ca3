/*
 * libFuzzer target: any bytes as a guest.
 *
 * The first byte chooses the mode; the rest are repeated over the page at 1000h, where the guest starts with
 * registers made from them too, and where its exceptions lead. What must hold, whatever the bytes: the
 * monitor lives; EFLAGS keeps its fixed bits; icount ends where it was told to; and running block by
 * block comes to the same registers and memory as one instruction at a time. As scanned code it runs until a
 * kick ends it, some 100,000 instructions later, and every block passes the verifier.
 */
#include <stdio.h>
#include <stdlib.h>

#include "scan/scan.h"
#include "tests/machine.h"

/* By field: the padding is whatever a copy left there. */
static bool same_segment(const struct segment *a, const struct segment *b)
{
	return a->selector == b->selector && a->attr == b->attr && a->base == b->base && a->limit == b->limit &&
	    a->read_top == b->read_top && a->write_top == b->write_top;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SCAN_NS 300000

enum {
	RAM_BYTES = 1 << 20, BUDGET = 20000,
	CODE = 0x1000, PAGE_DIR = 0x2000, PAGE_TABLE = 0x3000, GDT = 0x8000, TSS = 0x8800, IDT = 0x9000,
};
enum { MODE_REAL, MODE_FLAT, MODE_PAGED, MODE_USER, MODE_CODE16, MODES };

static void put32(struct machine *m, uint32_t at, uint32_t v)
{
	memcpy(m->phys.ram + at, &v, 4);
}

static void put_descriptor(struct machine *m, uint32_t at, uint32_t base, uint32_t limit, unsigned access, unsigned flags)
{
	put32(m, at, (limit & 0xFFFF) | base << 16);
	put32(m, at + 4, (base >> 16 & 0xFF) | access << 8 | (limit & 0xF0000) | flags << 20 | (base & 0xFF000000));
}

static void make_tables(struct machine *m, const uint8_t *data, size_t size)
{
	static const uint8_t access[] = { 0, 0x9B, 0x93, 0xFB, 0xF3, 0x9B, 0xFB };

	for (unsigned i = 0; i < ARRAY_LEN(access); i++)
		put_descriptor(m, GDT + i * 8, 0, 0xFFFFF, access[i], i < 5 ? 0xC : 0x8);
	put_descriptor(m, GDT + 7 * 8, TSS, 0x67, 0x89, 0);
	put32(m, TSS + 4, 0x7000);
	put32(m, TSS + 8, 16);
	for (unsigned v = 0; v < 256; v++) {
		uint32_t to = CODE + data[v % size] * 8u;
		put32(m, v * 4, to);				/* real mode's vectors too */
		put32(m, IDT + v * 8, (to & 0xFFFF) | 8 << 16);
		put32(m, IDT + v * 8 + 4, v & 1 ? 0xEF00 : 0x8E00);
	}
	put32(m, PAGE_DIR, PAGE_TABLE | 7);
	for (unsigned i = 0; i < 256; i++)
		put32(m, PAGE_TABLE + i * 4, i << 12 | (data[i % size] & 0x15 ? 7 : 5));
	put32(m, PAGE_TABLE + 4, CODE | 7);
}

static void enter(struct machine *m, unsigned mode)
{
	struct vcpu *cpu = &m->cpu;

	machine_real(m);
	if (mode == MODE_REAL)
		return;
	machine_protected32(m);
	cpu->gdtr = (struct table_register){ GDT, 8 * 8 - 1 };
	cpu->idtr = (struct table_register){ IDT, 256 * 8 - 1 };
	cpu->tr = (struct segment){ .selector = 7 * 8, .base = TSS, .limit = 0x67, .attr = 0x8B };
	cpu->cr3 = PAGE_DIR;
	if (mode == MODE_PAGED || mode == MODE_USER)
		cpu->cr0 |= CR0_PG | CR0_WP;
	if (mode == MODE_CODE16)
		machine_segment(m, SEG_CS, 5 * 8, 0, 0xFFFFFFFF, 0x809B);
	if (mode == MODE_USER)
		for (unsigned s = 0; s < 6; s++)
			machine_segment(m, s, s == SEG_CS ? 3 * 8 + 3 : 4 * 8 + 3, 0, 0xFFFFFFFF, s == SEG_CS ? 0xC0FB : 0xC0F3);
	cpu_update_mode(cpu);
}

static void begin(struct machine *m, const uint8_t *data, size_t size, unsigned mode)
{
	struct vcpu *cpu = &m->cpu;
	struct vcpu fresh = {
		.tlbs = { cpu->tlbs[0], cpu->tlbs[1] }, .mmu = cpu->mmu, .phys = cpu->phys, .bus = cpu->bus,
		.bus_arg = cpu->bus_arg, .emulator = cpu->emulator, .scanner = cpu->scanner, .windows = cpu->windows,
		.scan = cpu->scan,
	};

	emulate_flush(cpu);
	if (cpu->scanner)
		scan_flush(cpu);
	fresh.scan.epoch = cpu->scan.epoch;
	*cpu = fresh;
	cpu->tlb = &cpu->tlbs[0];
	cpu_reset(cpu);
	memset(m->phys.ram, 0, RAM_BYTES);
	make_tables(m, data, size);
	for (unsigned i = 0; i < PAGE_BYTES; i++)
		m->phys.ram[CODE + i] = data[i % size];
	enter(m, mode);
	for (unsigned i = 0; i < 8 && i != REG_ESP; i++)
		cpu->gpr[i] = data[i % size] * 0x101u + data[(i + 3) % size] * 0x10000u * (data[0] >> 6 & 1);
	mmu_flush(cpu, true);
	cpu->icount_stop = BUDGET;
}

static void run_blocks(struct machine *m)
{
	while (emulate_run(&m->cpu) == NEXT_ATTENTION && m->cpu.icount < BUDGET &&
	    !(m->cpu.attention & (ATTN_RESET | ATTN_STOP)))
		m->cpu.attention &= ATTN_EVENT;
}

static void run_steps(struct machine *m)
{
	struct vcpu *cpu = &m->cpu;
	enum next next = NEXT_RUN;

	while (next == NEXT_RUN && cpu->icount < BUDGET && !(cpu->attention & (ATTN_RESET | ATTN_STOP))) {
		next = cpu_check_events(cpu);
		if (next == NEXT_RUN && (next = emulate_step(cpu)) == NEXT_HALT && cpu->attention & ATTN_EVENT)
			next = NEXT_RUN;		/* TF was set: the trap may wake it again */
		if (next == NEXT_ATTENTION)		/* more events than it takes at once */
			next = NEXT_RUN;
	}
}

static void must(const struct machine *m, const char *what, bool holds)
{
	if (holds)
		return;
	fprintf(stderr, "%s: eip %08X icount %llu\n", what, m->cpu.eip, (unsigned long long)m->cpu.icount);
	abort();
}

static void check(const struct machine *m)
{
	const struct vcpu *cpu = &m->cpu;

	must(m, "EFLAGS", (cpu->eflags & 0xFFC0802A) == EFLAGS_FIXED1);
	must(m, "no register", cpu->gpr[REG_NONE] == 0);
	must(m, "cpl", cpu->cpl <= 3);
}

static void run_scanned(struct machine *m)
{
	struct vcpu *cpu = &m->cpu;
	enum next next = machine_scan_for(m, SCAN_NS);

	must(m, "a way for scanned code to end", next != NEXT_STOP && !scan_stop_text(cpu));
	check(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct machine *a, *b, *s;

	if (size < 2)
		return 0;
	if (!a) {
		a = machine_new(RAM_BYTES);
		b = machine_new(RAM_BYTES);
		s = machine_new(RAM_BYTES);
		machine_scan(s, 1 << 20, true);
	}
	unsigned mode = data[0] % MODES;
	begin(a, data + 1, size - 1, mode);
	begin(b, data + 1, size - 1, mode);
	begin(s, data + 1, size - 1, mode);
	s->cpu.icount_stop = UINT64_MAX;
	run_blocks(a);
	run_steps(b);
	run_scanned(s);
	check(a);
	must(a, "icount", a->cpu.icount <= BUDGET);
	must(a, "icount of blocks and steps", a->cpu.icount == b->cpu.icount);
	must(a, "eip", a->cpu.eip == b->cpu.eip && a->cpu.seg[SEG_CS].base == b->cpu.seg[SEG_CS].base);
	must(a, "registers", memcmp(a->cpu.gpr, b->cpu.gpr, sizeof(a->cpu.gpr)) == 0);
	must(a, "flags", a->cpu.eflags == b->cpu.eflags);
	for (unsigned i = 0; i < ARRAY_LEN(a->cpu.seg); i++)
		must(a, "segments", same_segment(&a->cpu.seg[i], &b->cpu.seg[i]));
	must(a, "x87 and SSE", memcmp(&a->cpu.fx, &b->cpu.fx, sizeof(a->cpu.fx)) == 0);
	must(a, "memory", memcmp(a->phys.ram, b->phys.ram, RAM_BYTES) == 0);
	return 0;
}
