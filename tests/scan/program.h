/*
 * Random guest programs (program.c), and what runs them on several engines (fuzz.c).
 *
 * A program is a row of slots of 32 bytes. Whatever faults goes on in the next slot that no fault has
 * led to yet: the handlers are guest code, too. Behind the last slot is HLT.
 */
#ifndef PLEX86_TESTS_SCAN_PROGRAM_H
#define PLEX86_TESTS_SCAN_PROGRAM_H

#include "cpu/cpu.h"
#include "tests/insn/insn.h"

#define RAM_BYTES	0x100000u
enum {				/* guest-physical = linear, but for the aliases */
	PAGE_DIR = 0x1000, PAGE_TABLE = 0x2000, ALIAS_TABLE = 0x3000, GDT_AT = 0x4000, IDT_AT = 0x5000, TSS_AT = 0x6000,
	HANDLERS_AT = 0x7000, NEXT_SLOT = 0x6800, KERNEL_STACK = 0x9000,
	CODE_AT = 0x10000, SLOT_BYTES = 32, SLOTS = 192, DATA_AT = 0x20000, DATA_END = 0x60000, STACK_AT = 0x70000,
};
#define ALIAS_BASE	0x00400000u	/* with paging: other linear addresses of code and data */

struct program {
	uint8_t ram[RAM_BYTES];
	struct vcpu cpu;		/* architectural part */
	bool paging, user;
};

void program_make(struct program *p, struct random *r);

#endif
