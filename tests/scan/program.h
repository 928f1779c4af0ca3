/*
 * Random guest programs (program.c), and what runs them on several engines (fuzz.c).
 *
 * A program is a row of slots of 32 bytes. Whatever faults goes on in the next slot that no fault has
 * led to yet, or is repaired and tried again: the handlers are guest code, too. Behind the last slot is HLT.
 */
#ifndef PLEX86_TESTS_SCAN_PROGRAM_H
#define PLEX86_TESTS_SCAN_PROGRAM_H

#include <string.h>

#include "cpu/cpu.h"
#include "tests/insn/insn.h"

#define RAM_BYTES	0x100000u
enum {				/* guest-physical = linear, but for the aliases */
	PAGE_DIR = 0x1000, PAGE_TABLE = 0x2000, ALIAS_TABLE = 0x3000, GDT_AT = 0x4000, IDT_AT = 0x5000, TSS_AT = 0x6000,
	HANDLERS_AT = 0x7000, KERNEL_STACK = 0x9000, PDPT = 0x6C00,
	NEXT_SLOT = 0x6800, REPAIRS = 0x6804, PTES = 0x6808, ENTRY_SHIFT = 0x680C, INTERRUPTS = 0x6810,	/* handlers.S */
	CODE_AT = 0x10000, SLOT_BYTES = 32, SLOTS = 192, DATA_AT = 0x20000, DATA_END = 0x60000, STACK_AT = 0x70000,
};
#define ALIAS_BASE	0x00400000u	/* with paging: other linear addresses of code and data */
#define LARGE_BASE	0x00800000u	/* with large pages: all of RAM again */
#define PTES_BASE	0x3FC00000u	/* page tables, for the handlers */
#define INTERRUPT_VECTOR 0xF0		/* a handler that leaves no trace */

enum paging { PAGING_OFF, PAGING_32, PAGING_PAE };

struct program {
	uint8_t ram[RAM_BYTES];
	struct vcpu cpu;		/* architectural part */
	enum paging paging;
	bool user, large;
	bool sixteen;			/* 16-bit code */
	bool real;			/* ... in real or vm86 mode */
};

void program_make(struct program *p, struct random *r);
void program_make_16(struct program *p, struct random *r);	/* real, vm86 or 16-bit protected mode (program16.c) */
bool program_handles(uint32_t eip);			/* is that in the handlers of exceptions? */

/* What both are made of. */
static inline uint32_t random_flags(struct random *r)
{
	uint32_t flags = EFLAGS_FIXED1 | (random_next(r) & EFLAGS_ARITH);
	return flags | (one_in(r, 8) ? EFLAGS_DF : 0);
}
static inline void put32(struct program *p, uint32_t at, uint32_t v) { memcpy(p->ram + at, &v, 4); }
struct segment program_descriptor(struct program *p, unsigned selector, uint32_t base, uint32_t limit, uint16_t attr);
uint32_t program_word_16(struct random *r, const struct program *p);
void program_slots(struct random *r, struct program *p);
void program_pages(struct random *r, struct program *p);
void program_rest(struct random *r, struct vcpu *cpu);	/* x87, SSE, A20: the same in every mode */

#endif
