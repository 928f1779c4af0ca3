/*
 * What the emitting files share: the block in the making.
 */
#ifndef PLEX86_SCAN_EMIT_H
#define PLEX86_SCAN_EMIT_H

#include "scan/internal.h"
#include "scan/vmap.h"

/* Code that is rarely reached, put behind the block: undo the flag parking if any, name the site, go. */
struct cold {
	uint8_t *from[4];		/* rel32 fields that lead here */
	uint8_t nfrom;
	bool flags_parked;
	uint8_t *target;		/* glue */
	uint32_t number;		/* site or link, for r10d */
	struct link *link;		/* gets its stub's address, or NULL */
	uint8_t *back;			/* not NULL: first see whether [r11, r11 + size) crosses a page; if not, go back */
	uint8_t size;
	uint8_t *filled;		/* not NULL: try the short call-out first; with its addend go on there */
};
#define EMIT_MAX_COLD 640

struct source {				/* one decoded instruction and its bytes */
	struct insn in;
	uint8_t bytes[15];
	uint32_t eip;
	bool intercepted;		/* ends the block */
	uint16_t live_in, live_out;	/* arithmetic flags needed before / after it */
};

struct emit {
	struct scanner *s;
	struct vcpu *cpu;
	struct block *block;
	uint32_t mode;
	struct asm_buf b;
	struct source src[BLOCK_MAX_INSNS];
	unsigned n, i;			/* instructions; the current one */
	bool crossing;			/* one instruction whose bytes lie in two pages */
	int esp_off;			/* guest ESP = r15 + this */
	bool fpu_known, sse_known;	/* the gate was passed in this block and nothing closed it since */
	enum { GATE_NONE, GATE_FPU, GATE_SSE } first_gate;	/* of the first instruction */
	uint8_t stored_by;		/* registers that are alone the address of a store in this block */
	bool checked;			/* memory of the current instruction: not through the window */
	int64_t site;			/* of the current instruction, -1: none yet */
	struct cold cold[EMIT_MAX_COLD];
	unsigned ncold;
};

static inline const struct source *cur(const struct emit *e) { return &e->src[e->i]; }

static inline bool emit_direct(const struct emit *e) { return (e->mode & MODE_DIRECT) && !e->checked; }

static inline bool emit_esp_pointer(const struct emit *e) { return mode_esp_is_pointer(e->mode); }

static inline bool emit_counted(const struct emit *e) { return e->s->count_insns || e->mode & MODE_COUNT; }

static inline bool emit_stack32(const struct emit *e) { return e->mode & MODE_STACK32; }

/* emit.c */
uint32_t emit_site(struct emit *e, unsigned flags);
struct cold *emit_cold(struct emit *e, uint8_t *target, uint32_t number);
void emit_begin(struct emit *e);			/* of the instruction proper: a fault behind here restarts here */
void emit_flush_esp(struct emit *e);
void emit_set_esp(struct emit *e, struct host_mem m);	/* ESP = the 32-bit address m; nothing is pending any more */
void emit_call_monitor(struct emit *e, unsigned site_flags);
void emit_exit(struct emit *e, uint32_t eip);		/* branch to a known EIP, chained */
uint8_t emit_gpr(unsigned reg);
bool emit_writes_memory(const struct insn *in);

/* The arithmetic flags into AX, RAX into r8; and back. */
static inline void emit_park(struct asm_buf *b)
{
	asm_mov_rr64(b, R8, RAX);
	asm_save_flags(b);
}

static inline void emit_unpark(struct asm_buf *b)
{
	asm_restore_flags(b);
	asm_mov_rr64(b, RAX, R8);
}

/* On if rcx is 0, else to c with rcx as it was, which is parked in r8. No flag is touched, and rcx stays 0. */
static inline void emit_only_if_zero(struct emit *e, struct cold *c)
{
	asm_byte(&e->b, 0xE3);		/* jrcxz over mov (3) and jmp (5) */
	asm_byte(&e->b, 8);
	asm_mov_rr64(&e->b, RCX, R8);
	c->from[c->nfrom++] = asm_jmp(&e->b, NULL);
}

static inline struct host_mem emit_seg_field(unsigned seg, size_t field)	/* of struct segment */
{
	return MEM_BASE(R13, (int32_t)(offsetof(struct vcpu, seg) + seg * sizeof(struct segment) + field));
}

/* emit_mem.c: memory operands. Scratch: r10, r11 (and r8 while flags are parked). */
struct host_mem emit_mem(struct emit *e, const struct insn *in, unsigned size, bool write);
bool emit_through_base(const struct emit *e, const struct insn *in, bool write);	/* needs r14 as its base */
enum seg_state emit_seg(const struct emit *e, unsigned seg, bool write);	/* a code segment is never written */
/* the same for an offset already in r11d; small: it is less than 64K */
struct host_mem emit_mem_r11(struct emit *e, unsigned seg, unsigned size, bool write, bool small);
struct host_mem emit_guest_ea(struct emit *e, const struct insn *in);	/* renamed, not translated */
struct host_mem emit_stack(struct emit *e, int offset, unsigned size, bool write);	/* [ESP + offset] */
struct cold *emit_slow(struct emit *e, bool parked, unsigned kind);	/* to scan_slow(); kind: SLOW_xxx */
void emit_jump_slow(struct emit *e, unsigned cc, struct cold *c);

/* emit_flow.c: branches */
void emit_inline(struct emit *e);
struct link *emit_link(struct emit *e, uint8_t *field, uint32_t target);
uint32_t emit_branch_target(const struct emit *e);
void emit_indirect(struct emit *e, bool call);		/* to EIP r11d */
void emit_return_point(struct emit *e);			/* behind a host call */
void emit_call_out(struct emit *e, bool direct);	/* CALL, its push done: to its target, or to EIP r9d; and behind it */
void emit_loop(struct emit *e);				/* count in ECX */
void emit_flags_image(struct emit *e);			/* r9d = EFLAGS as PUSHF pushes it */
void emit_park_flags(struct emit *e);			/* where they are live */
void emit_unpark_flags(struct emit *e);
bool emit_flat_string(const struct emit *e);		/* 32-bit addresses in flat segments */
void emit_upwards(struct emit *e);			/* DF set: the emulator's */

/* emit_16.c: what 16-bit operands, 16-bit stacks or a short code segment make of them; one element of a
 * string; AH to BH with memory. False: the monitor's. */
bool emit_small(struct emit *e);
bool emit_high_byte(struct emit *e);
void emit_check_target(struct emit *e, unsigned reg);	/* an EIP in reg beyond CS's limit: the emulator's */

/* emit_seg.c: instructions with a segment register; far branches of real and vm86 mode. False: the monitor's. */
bool emit_segment(struct emit *e);
bool emit_far(struct emit *e);

#endif
