/*
 * The host CPU as an oracle: one ring-3 instruction is run natively in a 16- or 32-bit code segment
 * (native.c) and by the engines (guest.c), from the same registers, flags, FPU state and memory; what
 * comes out must be equal (insn_test.c). generate.c makes the cases from the opcode table.
 * Scanned code runs on to the INT3 behind the instruction, and so does the host then.
 *
 * Both sides see the same linear addresses: a code and a data window of 64 KiB each below 4 GiB,
 * reached through LDT segments based there, so that limits and pages can be met as well as missed.
 */
#ifndef PLEX86_TESTS_INSN_H
#define PLEX86_TESTS_INSN_H

#include "cpu/vcpu.h"

#define CODE_BASE	0x20000000u
#define DATA_BASE	0x30000000u
#define SYSTEM		0xE0000000u	/* the guest's own 4 MiB, for the supervisor; the host has nothing there */
#define WINDOW_BYTES	0x10000u
#define WINDOW_PAGES	(WINDOW_BYTES / PAGE_BYTES)

enum {
	CODE_HOLE = 7,			/* page of the code window that is not present */
	DATA_READ_ONLY = 5,		/* pages of the data window */
	DATA_HOLE = 9,
};

/* Entries of the LDT, the same on both sides. */
enum {
	LDT_CODE32, LDT_CODE16, LDT_DATA32, LDT_DATA16, LDT_READ_ONLY, LDT_SMALL, LDT_DOWN,
	LDT_EXEC_ONLY, LDT_CONFORMING, LDT_ABSENT, LDT_ABSENT_CODE,
	LDT_WIDE_CODE, LDT_FLAT_CODE, LDT_WIDE_DATA, LDT_FLAT_DATA, LDT_COUNT,	/* 4 GiB: what is not checked when scanned */
};
#define LDT_SELECTOR(i)	((uint16_t)((i) << 3 | 7))
struct ldt_entry {
	uint32_t base, limit;
	uint8_t type;			/* bits 0..3 of the descriptor's access byte */
	bool big, absent;
};
extern const struct ldt_entry ldt_entries[LDT_COUNT];

enum { NO_TRAP = 255 };			/* one instruction was carried out (the #DB of single-stepping) */

struct insn_state {
	uint32_t gpr[8], eip, eflags;
	uint16_t seg[6];
	struct fxstate fx;		/* as FXSAVE stores it in 32-bit code; st[] and xmm[] used */
	uint8_t trap;			/* out: vector, or NO_TRAP */
	uint32_t error, cr2;		/* out */
};

struct insn_case {
	uint8_t code[16];		/* int3 behind it */
	unsigned len;
	bool big;
	bool to_the_end;		/* run to the int3, not just one instruction, or element of a REP */
	struct insn in;
	struct insn_state before;
};

/* native.c. 0, or a reason why this host cannot. */
const char *native_init(void);
extern uint8_t *const native_data;
void native_run(const struct insn_case *c, struct insn_state *out);

/* guest.c: a machine an engine */
enum guest { TIER0, CHECKED, DIRECT, GUESTS };
extern const char *const guest_name[GUESTS];
void guest_init(enum guest first, enum guest last);
uint8_t *guest_data(enum guest engine);	/* the data window's RAM */
void guest_run(enum guest engine, const struct insn_case *c, struct insn_state *out);
const char *guest_stop(enum guest engine);	/* why it did not go on, or NULL */
void guest_summary(enum guest engine);		/* of scanned code, to standard output */

/* generate.c */
struct random { uint64_t s; };
uint32_t random_next(struct random *r);
/* One of n. C leaves it open which operand or argument comes first: whoever draws twice, draws in two statements. */
static inline uint32_t random_below(struct random *r, uint32_t n) { return (uint32_t)((uint64_t)random_next(r) * n >> 32); }
static inline bool one_in(struct random *r, uint32_t n) { return random_below(r, n) == 0; }
/* Instructions that look at descriptors: their memory must hold selectors both sides know. */
bool uses_selectors(const struct insn *in);
uint16_t random_selector(struct random *r);
/* A case for place `place` of the opcode map (0..PLACES-1); false if there is none worth running. */
#define PLACES	(2 * 256 * 8)
bool generate_case(struct random *r, unsigned place, struct insn_case *c);
void run_to_the_end(struct insn_case *c);	/* make it such a case */
bool wide_operand(const struct insn *in);	/* memory of more than 16 bytes, or made of odd parts */
const char *excluded(const struct insn *in);	/* why this instruction is not compared, or NULL */

#endif
