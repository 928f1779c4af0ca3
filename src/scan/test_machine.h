/*
 * For the tests of src/scan: a flat protected-mode machine, at CPL 0, with or without a scanner.
 */
#ifndef PLEX86_SCAN_TEST_MACHINE_H
#define PLEX86_SCAN_TEST_MACHINE_H

#include <stdlib.h>
#include <string.h>

#include "emulate/emulate.h"
#include "mmu/phys.h"
#include "host/kick.h"
#include "scan/scan.h"
#include "tests/test.h"

#define RAM_BYTES (4u << 20)
#define CODE_AT 0x100000u
#define DATA_AT 0x200000u
#define STACK_AT 0x300000u

struct machine {
	struct vcpu cpu;
	struct phys phys;
	struct host_kick kick;
	bool scan;
};

static uint32_t io_read(void *arg, uint16_t port, unsigned size) { return port; }
static void io_write(void *arg, uint16_t port, unsigned size, uint32_t val) { }
static int intr_ack(void *arg) { return 0xFF; }
static uint64_t tsc(void *arg) { return 0; }
static void ferr(void *arg, bool level) { }
static void a20_changed(void *arg) { }
static const struct cpu_bus bus = { .io_read = io_read, .io_write = io_write, .intr_ack = intr_ack, .tsc = tsc,
	.ferr = ferr, .a20_changed = a20_changed };

static void code_written(void *arg, uint64_t fd_offset, unsigned len)
{
	struct machine *m = arg;
	emulate_code_written(&m->cpu, fd_offset, len);
	if (m->scan)
		scan_code_written(&m->cpu, fd_offset, len);
}

static inline void flat(struct vcpu *cpu, unsigned seg, uint16_t attr)
{
	cpu->seg[seg] = (struct segment){ .selector = 8, .attr = attr, .limit = 0xFFFFFFFF };
	segment_derive(&cpu->seg[seg]);
}

static inline struct machine *machine_new(bool scan, const uint8_t *code, size_t len)
{
	struct machine *m = aligned_alloc(64, (sizeof(*m) + 63) & ~63ul);
	memset(m, 0, sizeof(*m));
	struct vcpu *cpu = &m->cpu;
	m->scan = scan;
	CHECK_EQ(phys_init(&m->phys, RAM_BYTES, 0), 0);
	m->phys.code_written = code_written;
	m->phys.arg = m;
	cpu->phys = &m->phys;
	cpu->bus = &bus;
	cpu->icount_stop = UINT64_MAX;
	CHECK_EQ(mmu_init(cpu), 0);
	CHECK_EQ(emulate_init(cpu), 0);
	cpu_reset(cpu);
	cpu->cr0 |= CR0_PE | CR0_NE;
	cpu->cr4 |= CR4_OSFXSR;
	flat(cpu, SEG_CS, 0xC09B);
	for (unsigned i = 0; i < 6; i++)
		if (i != SEG_CS)
			flat(cpu, i, 0xC093);
	cpu_update_mode(cpu);
	mmu_flush(cpu, true);
	cpu->eip = CODE_AT;
	cpu->gpr[REG_ESP] = STACK_AT;
	cpu->eflags = EFLAGS_FIXED1;
	memcpy(m->phys.ram + CODE_AT, code, len);
	for (unsigned i = 0; i < 4096; i++)
		m->phys.ram[DATA_AT + i] = (uint8_t)(i * 37 + 11);
	if (scan) {
		CHECK_EQ(scan_init(cpu, 1u << 20), 0);
		CHECK_EQ(scan_verify(cpu), 0);
		CHECK_EQ(host_kick_init(&m->kick, &cpu->attention, ATTN_KICK), 0);
		m->kick.kick_hook = scan_kick;
		m->kick.tick_hook = scan_tick;
		m->kick.fault_hook = scan_fault;
		m->kick.hook_arg = cpu;
	}
	return m;
}

static inline void machine_free(struct machine *m)
{
	if (m->scan) {
		host_kick_free(&m->kick);
		scan_free(&m->cpu);
	}
	emulate_free(&m->cpu);
	mmu_free(&m->cpu);
	phys_free(&m->phys);
	free(m);
}

static inline void must_halt(struct machine *m)
{
	enum next next = scan_run(&m->cpu);
	if (next != NEXT_HALT)
		fail_msg("%s", scan_stop_text(&m->cpu) ? scan_stop_text(&m->cpu) : "does not reach its end");
}

#endif
