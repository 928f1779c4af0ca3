#include "tests/machine.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "scan/scan.h"
#include "vm.h"

/* Where a test is linked without vm.c. */
__attribute__((weak)) void vm_stop(struct vm *vm, enum stop_reason reason, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

static uint32_t io_read(void *arg, uint16_t port, unsigned size)
{
	struct machine *m = arg;

	m->io_reads++;
	m->io_port = port;
	return port * 0x01010101u;
}

static void io_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct machine *m = arg;

	m->io_writes++;
	m->io_port = port;
	m->io_val = val;
}

static int intr_ack(void *arg)
{
	struct machine *m = arg;

	m->cpu.intr_line = false;
	return m->vector;
}

static uint64_t tsc(void *arg) { return ((struct machine *)arg)->cpu.icount; }
static void ferr(void *arg, bool level) { }
static void a20_changed(void *arg) { }

static const struct cpu_bus bus = {
	.io_read = io_read, .io_write = io_write, .intr_ack = intr_ack, .tsc = tsc, .ferr = ferr,
	.a20_changed = a20_changed,
};

static void code_written(void *arg, uint64_t fd_offset, unsigned len)
{
	struct machine *m = arg;

	m->code_writes++;
	bool decoded = emulate_code_written(&m->cpu, fd_offset, len);
	if (m->cpu.scanner)
		scan_code_written(&m->cpu, fd_offset, len, decoded);
}

void machine_init(struct machine *m, uint64_t ram_bytes)
{
	memset(m, 0, sizeof(*m));
	m->vector = 0x20;
	int err = phys_init(&m->phys, ram_bytes, 0);
	assert(err == 0);
	m->cpu.phys = &m->phys;
	m->cpu.bus = &bus;
	m->cpu.bus_arg = m;
	m->phys.code_written = code_written;
	m->phys.arg = m;
	err = mmu_init(&m->cpu);
	assert(err == 0);
	err = emulate_init(&m->cpu);
	assert(err == 0);
	cpu_reset(&m->cpu);
}

struct machine *machine_new(uint64_t ram_bytes)
{
	struct machine *m;
	int err = posix_memalign((void **)&m, 64, sizeof(*m));

	assert(err == 0);
	machine_init(m, ram_bytes);
	return m;
}

void machine_free(struct machine *m)
{
	scan_free(&m->cpu);
	emulate_free(&m->cpu);
	mmu_free(&m->cpu);
	phys_free(&m->phys);
	free(m);
}

void machine_segment(struct machine *m, unsigned seg, uint16_t selector, uint32_t base, uint32_t limit, uint16_t attr)
{
	m->cpu.seg[seg] = (struct segment){ .selector = selector, .base = base, .limit = limit, .attr = attr };
	segment_derive(&m->cpu.seg[seg]);
}

void machine_protected32(struct machine *m)
{
	struct vcpu *cpu = &m->cpu;

	cpu->cr0 = CR0_PE | CR0_ET | CR0_NE;
	for (unsigned s = 0; s < 6; s++)
		machine_segment(m, s, s == SEG_CS ? 8 : 16, 0, 0xFFFFFFFF, s == SEG_CS ? 0xC09B : 0xC093);
	cpu->eip = 0x1000;
	cpu->gpr[REG_ESP] = 0x80000;
	cpu->eflags = EFLAGS_FIXED1;
	cpu_update_mode(cpu);
}

void machine_real(struct machine *m)
{
	struct vcpu *cpu = &m->cpu;

	for (unsigned s = 0; s < 6; s++)
		machine_segment(m, s, 0, 0, 0xFFFF, s == SEG_CS ? 0x9B : 0x93);
	cpu->eip = 0x1000;
	cpu->gpr[REG_ESP] = 0x8000;
	cpu->eflags = EFLAGS_FIXED1;
	cpu_update_mode(cpu);
}

void machine_write(struct machine *m, gpa_t gpa, const void *bytes, size_t len)
{
	phys_write(&m->phys, gpa, bytes, len);
}

uint32_t machine_read32(struct machine *m, gpa_t gpa)
{
	return phys_read_n(&m->phys, gpa, 4);
}

enum next machine_run(struct machine *m, uint64_t max)
{
	m->cpu.icount = 0;
	m->cpu.check_icount = 0;
	m->cpu.icount_stop = max;
	return emulate_run(&m->cpu);
}
