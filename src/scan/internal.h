/*
 * What the files of this folder share.
 *
 * Registers in scanned code:
 *   rax..rdi (not rsp)	the guest's, always zero-extended
 *   r15		guest ESP, zero-extended; in direct code with a flat stack the host address of [ESP]: the
 *			window's base is 4 GiB aligned, so r15d is still ESP
 *   rflags		the guest's arithmetic flags (DF is always 0: the guest's is in vcpu.eflags)
 *   rsp		the return stack: host return addresses that pair guest CALL and RET
 *   r13		struct vcpu	r12	software TLB	r14	window (also the GS base)
 *   r8..r11		scratch; r8 holds RAX while the flags are parked in AX; r11 an address or a branch target
 */
#ifndef PLEX86_SCAN_INTERNAL_H
#define PLEX86_SCAN_INTERNAL_H

#include <stdio.h>
#include <time.h>
#include <ucontext.h>

#include "emulate/emulate.h"
#include "scan/asm_x64.h"
#include "scan/scan.h"
#include "scan/trap.h"
#include "scan/vmap.h"

#define TLB_WRITE_OFFSET	(TLB_PAGES * 8)		/* from r12, see tlb_alloc() */
#define TLB_CODE_OFFSET		(TLB_PAGES * 16)

/* What a block's code depends on besides its bytes. */
enum {
	MODE_CODE32	= BIT(0),	/* CS.D */
	MODE_STACK32	= BIT(1),	/* SS.B */
	MODE_USER	= BIT(2),	/* CPL 3 */
	MODE_DIRECT	= BIT(3),	/* memory through the window */
	MODE_REAL	= BIT(4),	/* real or virtual-8086 mode */
	MODE_RING0	= BIT(5),	/* CPL 0 */
	MODE_LIMIT	= BIT(6),	/* CS ends below 4 GiB: block.cs_limit */
	MODE_PLAIN	= BIT(7),	/* MODE_REAL, and a segment load changes selector and base only */
	MODE_SEG_SHIFT	= 8,		/* two bits a segment register, enum seg_state */
	MODE_COUNT	= BIT(20),	/* a run of instructions begins only if scan.left has as many */
};
enum seg_state {	/* struct segment's data_state and code_state; the safe one is 0 */
	SEG_CHECKED,	/* compare with read_top/write_top, then add the base */
	SEG_FLAT,	/* base 0, 4 GiB, all rights: nothing to do */
	SEG_BASED,	/* 4 GiB and all rights: add the base */
	SEG_64K,	/* at least 64 KiB and all rights: a 16-bit offset needs only the look whether it crosses 0xFFFF */
};
static inline enum seg_state mode_seg(uint32_t mode, unsigned seg)
{
	return (enum seg_state)(mode >> (MODE_SEG_SHIFT + 2 * seg) & 3);
}

static inline bool mode_esp_is_pointer(uint32_t mode)
{
	return (mode & MODE_DIRECT) && (mode & MODE_STACK32) && mode_seg(mode, SEG_SS) == SEG_FLAT;
}

/* Many CS bases: one hash of branch targets for all, in which the base is part of the key. */
static inline bool mode_keyed(uint32_t mode)
{
	return !(mode & MODE_CODE32) || (mode & (MODE_REAL | MODE_LIMIT));
}

/* ESP moved by off: in a 16-bit stack SP wraps, and what is above it stays. */
static inline uint32_t mode_move_esp(uint32_t mode, uint32_t esp, int off)
{
	uint32_t moved = esp + (uint32_t)off;
	return mode & MODE_STACK32 ? moved : (esp & 0xFFFF0000u) | (moved & 0xFFFF);
}

#define BLOCK_MAX_INSNS 64
#define BLOCK_LONG 28		/* from so many on a conditional branch or a call ends it */

/* One guest instruction of a block: where it begins, here and there. Guest state is exact there,
 * but for ESP, which is r15 + esp_off. */
struct record {			/* there are some 20 a block: 12 bytes */
	uint16_t entry_off;	/* from block.host: where the instruction before it comes out */
	uint16_t host_off;	/* the same behind its preparations (ESP brought up to date, FPU gate): a fault restarts here */
	int16_t entry_esp;	/* esp_off at entry_off */
	int16_t esp_off;
	uint32_t guest_off : 10;	/* from block.eip */
	uint32_t live : 6;	/* record_live(): arithmetic flags that are exact here; the others will be overwritten before they are read */
	uint32_t shadow : 1;	/* behind STI: not to be left here */
	uint32_t lock : 6;	/* lock-step's: LOCK_xxx */
	uint32_t run_left : 7;	/* instructions counted: from here to where the run that was counted ends; else 0 */
};

/* EFLAGS bits to and from what a record has room for. */
static inline unsigned record_of_live(uint32_t flags)
{
	return (flags & 1) | (flags >> 1 & 2) | (flags >> 2 & 4) | (flags >> 3 & 0x18) | (flags >> 6 & 0x20);
}

static inline uint16_t record_live(const struct record *r)
{
	return (uint16_t)((r->live & 1) | (r->live & 2) << 1 | (r->live & 4) << 2 | (r->live & 0x18) << 3 | (r->live & 0x20) << 6);
}

struct block {
	uint32_t eip, cs_base, cs_limit, mode;
	uint32_t gpa, gpa2;		/* of the first byte, A20 applied; of the second page, if there is one */
	uint64_t fd_page[2];		/* pages of the memfd its bytes lie in; equal if one */
	uint32_t fd_lo, fd_hi;		/* its bytes: [fd_lo, fd_hi) relative to fd_page[0] (the 2nd page counts as adjacent) */
	uint16_t ninsns;
	uint16_t hashed, near;		/* entries, from host, which is the far one: see block_near() */
	bool dead;
	bool lock_known;		/* rec[].lock is filled in */
	uint8_t *host;			/* executable address of its code */
	uint32_t host_bytes;		/* without the cold part */
	struct record *rec;		/* [ninsns + 1]: the last is the end */
	struct block *hash_next;
	struct block *page_next[2];
	uint32_t in;			/* chained branches that lead here: number of the first link + 1 */
};

/* Entries: near without, far with the check that its page is mapped as it was; hashed also whether r11d is its EIP. */
static inline uint8_t *block_near(const struct block *b) { return b->host + b->near; }
static inline uint8_t *block_far(const struct block *b) { return b->host; }
static inline uint8_t *block_hashed(const struct block *b) { return b->host + b->hashed; }

/* A direct branch: its rel32 field leads to its stub until the target is known. */
struct link {
	uint32_t field, stub;		/* where in the code cache */
	struct block *from, *to;	/* to: NULL while it leads to the stub */
	uint32_t target_eip;
	uint32_t next_in : 31;		/* number of the next that leads there + 1 */
	uint32_t open : 1;		/* a loop to its own block, whose first gate (FPU) is known to be open: to behind it */
};

/* A place that may call the monitor: one memory operand or one instruction that is not native. */
struct site {
	struct block *block;
	exec_fn *fn;
	uint16_t index;			/* instruction within the block */
	uint16_t flags;			/* SITE_xxx */
	struct insn in;
};
enum {
	SITE_ENDS = BIT(0),		/* after it: always look up where to go on */
};
/* A descriptor that was checked, and the segment it makes. */
struct quick_segment {
	uint64_t raw;
	struct segment seg;		/* .selector as it was loaded */
};
/* Changes of level that were carried out before and need no checks while the tables say the same (quick.c). */
struct quick {
	struct quick_segment ret_cs[2], ret_ss;		/* IRET from CPL 0; [to CPL 3] */
	struct quick_gate {				/* INT n from CPL 3 to CPL 0, by the low bits of the vector */
		uint64_t raw;				/* 0: empty */
		uint8_t vector;
		struct quick_segment cs, ss;
	} gate[8];
	uint32_t sysenter_cs;				/* what these belong to; 0: empty */
	struct segment enter[2], exit[2];		/* CS, SS of SYSENTER, SYSEXIT */
};
/* What r10d tells scan_slow(): site << 2 and */
enum { SLOW_WRITE = BIT(0), SLOW_EMULATE = BIT(1) };	/* not a TLB miss: the fast path cannot do it */

#define RETURN_STACK_BYTES (256u << 10)

/*
 * Hash of indirect branch targets, per mode: where to go on for EIP in r11d. That is a block's `hashed` entry, which looks
 * whether it is meant, or glue.indirect.
 */
#define JUMP_CACHE_ENTRIES 65536u	/* index: the low 16 bits of the linear address */
#define JUMP_CACHE_BYTES (JUMP_CACHE_ENTRIES * sizeof(uint8_t *))

#define SCAN_MODES 32
struct mode_slot {
	bool used;
	uint32_t mode, cs_limit;
	uint32_t cs_base;		/* 0 where mode_keyed(): it serves all */
	uint8_t **jump;			/* [JUMP_CACHE_ENTRIES] */
};

/* cs_base: 0 where mode_keyed(). NULL: there is none yet. */
static inline struct mode_slot *mode_slot_of(struct mode_slot *slots, uint32_t mode, uint32_t cs_base, uint32_t cs_limit)
{
	for (unsigned i = 0; i < SCAN_MODES && slots[i].used; i++)
		if (slots[i].mode == mode && slots[i].cs_base == cs_base && slots[i].cs_limit == cs_limit)
			return &slots[i];
	return NULL;
}

static inline uint8_t **jump_at(const struct mode_slot *slot, uint32_t cs_base, uint32_t eip)
{
	return &slot->jump[(cs_base + eip) & (JUMP_CACHE_ENTRIES - 1)];
}

struct glue {				/* executable addresses of the stubs */
	uint8_t *enter, *exit, *exit_async;
	uint8_t *resume, *resume_checked;	/* [resume_checked, resume_end): attention was already tested */
	uint8_t *back;				/* resume, behind the call that led to the call-out */
	uint8_t *resume_end;
	uint8_t *fill, *fill_checked, *fill_end;	/* short call-out of a TLB miss; answers in r10 */
	uint8_t *slow, *emulate, *quick, *link, *indirect, *fpu, *limit;	/* to C: r10d = site or link number, r11d = address */
	uint8_t *lookup, *lookup_end;		/* indirect branch to r11d */
	uint8_t *ret_bottom;			/* what the bottom of the return stack returns to */
};

#define RULES_MAX 16

#define BLOCK_HASH 65536u

/* Pages that hold code have no write entry in the TLB; here is where stores beside the code go. */
struct code_write {
	uint32_t tag, serial;		/* code_write_tag(), scan.tlb_serial */
	uintptr_t addend;
};
#define CODE_WRITES 64u
static inline uint32_t code_write_tag(lin_t lin, bool user) { return lin >> PAGE_SHIFT << 2 | (unsigned)user << 1 | 1; }

/* Code that is written anew again and again is emulated a few times before it is scanned: that pays only later. */
struct page_churn {
	uint8_t written;		/* times that code in it was overwritten */
	uint8_t runs;			/* times that it was emulated since */
};

/* One bit for each 64 bytes of a page that [lo, hi) touches. */
static inline uint64_t granule_mask(uint32_t lo, uint32_t hi)
{
	return ((2ull << ((hi - 1) / 64 - lo / 64)) - 1) << lo / 64;
}

struct scanner {
	struct vcpu *cpu;
	/* code cache: one memfd, two views */
	uint8_t *rw, *rx;
	size_t bytes, used, glue_bytes;
	size_t limit;				/* of used: bytes, or less as long as that does */
	uint64_t filled;			/* TSC when it was last full; 0: never */
	size_t rested;				/* of rw: given up at this fill (cache.c) */
	size_t ready_code, ready_arena, ready_sites, ready_links;	/* up to here there is memory */
	/* block metadata: dropped together with the code */
	uint8_t *arena;
	size_t arena_bytes, arena_used;
	struct block **hash;			/* [BLOCK_HASH] */
	struct block **page_blocks;		/* [memfd page] */
	uint64_t *granules;			/* [memfd page] which 64-byte pieces hold code, or did */
	struct code_write code_writes[CODE_WRITES];
	struct page_churn *churn;		/* [memfd page] */
	bool eager;				/* scan it at once all the same: tests that rewrite what they compare */
	struct block **order;			/* by host address */
	uint32_t nblocks, max_blocks;
	struct site *sites;
	uint32_t nsites, max_sites;
	struct link *links;
	uint32_t nlinks, max_links;
	struct mode_slot modes[SCAN_MODES];
	int jump_fd;				/* memfd of an empty hash, which those of the modes are private mappings of; 0: none */
	/* return stack */
	struct return_stack {			/* [CPL 3]: one must not return into the other's blocks */
		uint8_t *base;
		uint64_t top, rsp;
		uint32_t mode, cs_base, cs_limit;	/* of the blocks it returns to */
	} ret[2];
	uint32_t epoch;				/* scan.epoch they belong to */
	struct mode_slot *slot;			/* current mode */
	uint32_t cs_base, cs_limit;		/* ... and CS, where not mode_keyed() */
	unsigned next_slot;			/* the next to be given to another mode */
	struct glue glue;
	struct emit *emit;			/* emit.c's working space */
	uint64_t gs_base;			/* as last set on this thread */
#define GS_BASE_UNKNOWN 1			/* windows begin at 4 GiB borders */
	bool fsgsbase;				/* the host lets us use WRGSBASE */
	struct quick quick;
	struct wary *wary;			/* wary.c */
	unsigned wary_waiting;			/* instructions it has checked for a while */
	/* promotion of user address spaces */
	timer_t ticker;				/* the thread's CPU time; one-shot, armed while user code runs checked */
	bool has_ticker;
	pid_t thread;				/* whose time it counts */
	volatile bool ticking, tick_in_user;
	uint32_t tick_cr3, tick_count;
	bool page_fault;			/* a direct access of user code took a #PF: its page will be wanted on return */
	uint16_t fcs, fds;			/* FPU selectors of the image that was loaded: the host has no room for them */
	bool fpu_wanted;			/* cpu->fx is to be in the host's registers where this call-out goes on */
	struct vmap_rule rules[RULES_MAX];	/* --virtualize */
	unsigned nrules;
	FILE *perf_map;				/* or NULL */
	/* run state */
	bool dropped;				/* blocks were dropped since this call-out began */
	bool count_insns;			/* --meter-instructions */
	uint64_t count_end;			/* scan_count_to(): icount where scan.left is 0 */
	/* instructions that were counted when their run began, to be taken back if it is left: of the call-out
	 * that is under way, the one it is for included; where it resumed, should attention be wanted first */
	int callout_left, resumed_left;
	bool emulate_one;			/* scanned code was left at an instruction the emulator must do */
	bool emulate_page;			/* ... or at code that is not worth scanning yet */
	volatile bool stepping;			/* single-stepping to an instruction boundary */
	const uint8_t *string;			/* ... from or over this string instruction */
	enum next next;				/* why scan_enter() returned */
	struct verifier *verifier;		/* --verify-code, or NULL */
	const struct block *repeating;		/* a REP instruction of it is being emulated */
	struct lockstep *lock;			/* --engine lockstep, or NULL */
	bool lock_entered;			/* its block was entered */
	int lock_at;				/* instructions of it that were begun, or LOCK_BRANCHED */
	char stop_text[200];			/* why scan_run() returned NEXT_STOP */
	uint64_t flushes;			/* times that the cache was emptied */
};

/* cache.c */
int cache_init(struct scanner *s, size_t bytes, size_t at_most);
int cache_begin(struct scanner *s);			/* once the glue stands; 0 or -errno */
void cache_free(struct scanner *s);
void cache_reset(struct scanner *s);			/* every block goes; glue stays */
void cache_make_room(struct scanner *s);		/* for another block of the largest kind: it may be emptied for that */
void *cache_alloc(struct scanner *s, size_t bytes);	/* metadata, 8-byte aligned */
struct block *cache_find(struct scanner *s, uint32_t gpa, uint32_t mode);	/* at the CPU's EIP and CS */
void cache_insert(struct scanner *s, struct block *b);
void cache_drop(struct scanner *s, struct block *b);	/* unlink; its memory stays until the next reset */
struct block *cache_block_at(struct scanner *s, const uint8_t *host);
void cache_link(struct scanner *s, struct link *l, struct block *to);
struct mode_slot *cache_mode(struct scanner *s, uint32_t mode, uint32_t cs_base, uint32_t cs_limit);
static inline ptrdiff_t cache_delta(const struct scanner *s) { return s->rx - s->rw; }

/* glue.c */
void glue_emit(struct scanner *s, struct asm_buf *b);

/* emit.c: make the block at the CPU's current EIP, which is mapped at gpa. next_gpa: where the page
 * behind is mapped, or NO_PAGE. NULL: the first instruction is not for us (undecodable, not in RAM), or
 * reaches into the next page and that was not given: *short_of says so. */
#define NO_PAGE 0xFFFFFFFFu
struct block *emit_block(struct scanner *s, uint32_t gpa, uint32_t next_gpa, uint32_t mode, bool *short_of);

/* recover.c: host state -> guest state, in signal handlers */
int recover_init(struct scanner *s);
const struct block *recover_block(const struct scanner *s, uint64_t host, unsigned *index);	/* and instruction there, or NULL */
bool recover_insn(const struct scanner *s, const struct block *b, unsigned i, struct insn *in);	/* as its bytes are now */

/* fpu.c */
void fpu_saved(struct vcpu *cpu);		/* cpu->fx has just been saved from the host's registers */

/* What every call-out begins with: the guest's state that is not in place yet. */
static inline void scan_state_out(struct vcpu *cpu)
{
	unsigned f = cpu->scan.flags;
	cpu->eflags = (cpu->eflags & ~(uint32_t)EFLAGS_ARITH) | (f >> 8 & 0xD5) | (f & 1) << 11;
	cpu->gpr[REG_ESP] = (uint32_t)cpu->scan.r15;
}

/* Where instructions are counted icount is exact in the monitor. pending: those that have not begun of the run under way. */
static inline void scan_count_out(struct vcpu *cpu, unsigned pending)
{
	if (unlikely(cpu->scan.counting))
		cpu->icount = cpu->scanner->count_end - (uint64_t)cpu->scan.left - pending;
}

static inline void scan_count_in(struct vcpu *cpu, unsigned pending)
{
	if (unlikely(cpu->scan.counting))
		cpu->scan.left = (int64_t)(cpu->scanner->count_end - cpu->icount - pending);
}

static inline void scan_flags_in(struct vcpu *cpu)
{
	cpu->scan.flags = (uint16_t)((cpu->eflags & 0xD5) << 8 | (cpu->eflags >> 11 & 1));
}

/* And what comes before a block of the mode in which esp_off of ESP is pending there. */
static inline void scan_state_in(struct vcpu *cpu, uint32_t mode, int esp_off)
{
	scan_flags_in(cpu);
	cpu->scan.r15 = mode_move_esp(mode, cpu->gpr[REG_ESP], -esp_off);
	if (mode_esp_is_pointer(mode))
		cpu->scan.r15 += cpu->scan.window;
	cpu->scan.tlb_read = (uintptr_t)cpu->tlb->read;
}

/* quick.c: the call-out for instructions that have a quick way. NULL: not done, nothing changed;
 * QUICK_DISPATCH: done, on at EIP; else where to go on. */
#define QUICK_DISPATCH ((uint8_t *)1)
uint8_t *scan_quick(struct vcpu *cpu, uint32_t site);
void scan_switch_mode(struct scanner *s, struct mode_slot *slot, uint32_t mode);

/* run.c */
uint8_t *scan_quick_missed(struct vcpu *cpu, uint32_t site, uint32_t lin, bool fpu_was_live);	/* after the first */
uint8_t *scan_quick_dispatch(struct vcpu *cpu);					/* ... and the second */
bool scan_drop_code(struct vcpu *cpu, uint64_t fd_offset, unsigned len);	/* blocks that hold any of these bytes; true: some did */
uint32_t scan_mode(const struct vcpu *cpu);
struct block *scan_find_block(struct vcpu *cpu);	/* at EIP; may raise; NULL: not scanned */
enum next scan_run_blocks(struct vcpu *cpu);
#define MODE_NONE 0xFFFFFFFFu			/* not scanned: the emulator's */

/* callout.c, fill.c: called by the glue, with the guest's x87 and SSE state still in the host's registers. site/link
 * is r10d, lin r11d; the call-outs return where to go on. */
uintptr_t scan_fill(struct vcpu *cpu, uint32_t number, uint32_t lin);
uint8_t *callout_slow(struct vcpu *cpu, uint32_t site, uint32_t lin);
uint8_t *callout_emulate(struct vcpu *cpu, uint32_t site, uint32_t lin);
uint8_t *callout_quick(struct vcpu *cpu, uint32_t site, uint32_t lin);
uint8_t *callout_link(struct vcpu *cpu, uint32_t link, uint32_t lin);
uint8_t *callout_indirect(struct vcpu *cpu, uint32_t unused, uint32_t eip);
uint8_t *callout_fpu(struct vcpu *cpu, uint32_t site, uint32_t lin);
uint8_t *callout_limit(struct vcpu *cpu, uint32_t site, uint32_t lin);
void callout_enter(struct vcpu *cpu, uint8_t *host);	/* into scanned code, until it leaves */

/* run.c: what they do, once that state is in cpu->fx; it is loaded again if fpu_wanted is set. */
uint8_t *scan_slow(struct vcpu *cpu, uint32_t site, uint32_t lin, bool fpu_was_live);
uint8_t *scan_emulate(struct vcpu *cpu, uint32_t site, uint32_t lin, bool fpu_was_live);
uint8_t *scan_link(struct vcpu *cpu, uint32_t link, uint32_t lin, bool fpu_was_live);
uint8_t *scan_indirect(struct vcpu *cpu, uint32_t unused, uint32_t eip, bool fpu_was_live);
uint8_t *scan_fpu(struct vcpu *cpu, uint32_t site, uint32_t lin, bool fpu_was_live);
uint8_t *scan_limit(struct vcpu *cpu, uint32_t site, uint32_t lin, bool fpu_was_live);

#endif
