/*
 * For the tests of src/scan: the tiny machine with a program, flat, at CPL 0, with or without a scanner.
 */
#ifndef PLEX86_SCAN_TEST_MACHINE_H
#define PLEX86_SCAN_TEST_MACHINE_H

#include <string.h>

#include "scan/scan.h"
#include "tests/machine.h"
#include "tests/test.h"

#define RAM_BYTES (4u << 20)
#define CODE_AT 0x100000u
#define DATA_AT 0x200000u
#define STACK_AT 0x300000u

/* Code of so many bits with a HLT behind it, from prog_NAME to prog_NAME_end. */
#define ASSEMBLE(name, bits, text)						\
	__asm__(".pushsection .rodata; .globl prog_" #name "\n prog_" #name ": .code" #bits "\n" text	\
	    "\nhlt\n.code64\nprog_" #name "_end: .globl prog_" #name "_end; .popsection");		\
	extern const uint8_t prog_##name[], prog_##name##_end[];

static inline struct machine *flat_machine(bool scan, const uint8_t *code, size_t len)
{
	struct machine *m = machine_new(RAM_BYTES);
	struct vcpu *cpu = &m->cpu;

	machine_protected32(m);
	cpu->icount_stop = UINT64_MAX;
	cpu->cr4 |= CR4_OSFXSR;
	cpu_update_mode(cpu);
	mmu_flush(cpu, true);
	cpu->eip = CODE_AT;
	cpu->gpr[REG_ESP] = STACK_AT;
	memcpy(m->phys.ram + CODE_AT, code, len);
	for (unsigned i = 0; i < 4096; i++)
		m->phys.ram[DATA_AT + i] = (uint8_t)(i * 37 + 11);
	if (scan)
		machine_scan_freely(m, 1u << 20);
	return m;
}

static inline void must_halt(struct machine *m)
{
	enum next next = scan_run(&m->cpu);
	if (next != NEXT_HALT)
		fail_msg("%s", scan_stop_text(&m->cpu) ? scan_stop_text(&m->cpu) : "does not reach its end");
}

/* The program that e has run, once more in lock-step on l. */
static inline void must_halt_in_lockstep(struct machine *l, const struct machine *e)
{
	CHECK_EQ(scan_lockstep(&l->cpu, stderr), 0);
	must_halt(l);
	CHECK_EQ(memcmp(l->cpu.gpr, e->cpu.gpr, sizeof(e->cpu.gpr)), 0);
	CHECK_EQ(l->cpu.icount, e->cpu.icount);
	CHECK_EQ(memcmp(l->phys.ram, e->phys.ram, RAM_BYTES), 0);
	machine_free(l);
}

#endif
