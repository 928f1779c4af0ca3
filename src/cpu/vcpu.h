/*
 * struct vcpu: the architectural state of the guest's processor, shared by all tiers.	[SDM 3]
 */
#ifndef PLEX86_CPU_VCPU_H
#define PLEX86_CPU_VCPU_H

#include "cpu/model.h"
#include "cpu/tsc.h"
#include "decode/decode.h"
#include "meter/meter.h"
#include "util/types.h"

/* Exceptions.								[SDM 3, "Exception and Interrupt Reference"] */
enum {
	EXC_DE, EXC_DB, EXC_NMI, EXC_BP, EXC_OF, EXC_BR, EXC_UD, EXC_NM, EXC_DF, EXC_CSO,
	EXC_TS, EXC_NP, EXC_SS, EXC_GP, EXC_PF, EXC_15, EXC_MF, EXC_AC, EXC_MC, EXC_XM,
};

enum {
	EFLAGS_CF = 0x1, EFLAGS_PF = 0x4, EFLAGS_AF = 0x10, EFLAGS_ZF = 0x40, EFLAGS_SF = 0x80,
	EFLAGS_TF = 0x100, EFLAGS_IF = 0x200, EFLAGS_DF = 0x400, EFLAGS_OF = 0x800,
	EFLAGS_IOPL = 0x3000, EFLAGS_NT = 0x4000, EFLAGS_RF = 0x10000, EFLAGS_VM = 0x20000,
	EFLAGS_AC = 0x40000, EFLAGS_VIF = 0x80000, EFLAGS_VIP = 0x100000, EFLAGS_ID = 0x200000,
	EFLAGS_ARITH = FLAG_ARITH,
	EFLAGS_USER = EFLAGS_ARITH | EFLAGS_TF | EFLAGS_DF | EFLAGS_NT,	/* what POPF changes for anyone... */
	EFLAGS_USER32 = EFLAGS_AC | EFLAGS_ID,				/* ...and with 32 bits */
	EFLAGS_FIXED1 = 0x2,		/* bit 1 reads as 1 */
};
enum {
	CR0_PE = BIT(0), CR0_MP = BIT(1), CR0_EM = BIT(2), CR0_TS = BIT(3), CR0_ET = BIT(4),
	CR0_NE = BIT(5), CR0_WP = BIT(16), CR0_AM = BIT(18), CR0_NW = BIT(29), CR0_CD = BIT(30),
	CR0_PG = BIT(31),
};
enum {
	CR4_VME = BIT(0), CR4_PVI = BIT(1), CR4_TSD = BIT(2), CR4_DE = BIT(3), CR4_PSE = BIT(4),
	CR4_PAE = BIT(5), CR4_MCE = BIT(6), CR4_PGE = BIT(7), CR4_PCE = BIT(8), CR4_OSFXSR = BIT(9),
	CR4_OSXMMEXCPT = BIT(10),
};
enum { EFER_NXE = BIT(11) };

/* Segment attributes: descriptor bits 40..47 in 7:0, bits 52..55 (AVL, -, D/B, G) in 15:12. */
enum {
	SEG_ACCESSED = BIT(0), SEG_WRITABLE = BIT(1) /* data */, SEG_READABLE = BIT(1) /* code */,
	SEG_EXPAND_DOWN = BIT(2) /* data */, SEG_CONFORMING = BIT(2) /* code */, SEG_CODE = BIT(3),
	SEG_S = BIT(4), SEG_DPL = 3u << 5, SEG_P = BIT(7), SEG_DB = BIT(14), SEG_G = BIT(15),
};

/*
 * A segment register with its descriptor cache. Loaded from the table only when the register is
 * loaded; a later change of the table has no effect (the seeds' "descriptor caches vs tables").
 * A null data segment has attr 0 (no P): any access is #GP(0).
 */
struct segment {
	uint16_t selector;
	uint16_t attr;
	uint32_t base;
	uint32_t limit;			/* in bytes, G applied: offset of the last valid byte */
	/* derived, by segment_derive(): bytes [0, read_top) may be read, [0, write_top) written, with no
	 * further check. 0 where every access must take the slow check (null, expand-down, no right). */
	uint64_t read_top, write_top;
	/* how scanned code must treat it as a data segment, and as CS (reads): enum seg_state of scan/internal.h */
	uint8_t data_state, code_state;
};

struct table_register {			/* GDTR, IDTR */
	uint32_t base;
	uint16_t limit;
};

/* FXSAVE image, kept exactly in the architectural layout.		[SDM 1, "FXSAVE Area"] */
struct fxstate {
	uint16_t fcw, fsw;
	uint8_t ftw, rsvd;
	uint16_t fop;
	uint32_t fip;
	uint16_t fcs, rsvd2;
	uint32_t fdp;
	uint16_t fds, rsvd3;
	uint32_t mxcsr, mxcsr_mask;
	uint8_t st[8][16];		/* ST(i), not R(i); 10 bytes used */
	uint8_t xmm[16][16];		/* 8 used */
	uint8_t avail[96];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct fxstate) == 512, "FXSAVE area");

/*
 * Software TLB: flat tables indexed by linear page, one per kind of access, for user (CPL 3) and
 * supervisor accesses. Entry = host address of the page minus its linear address, so that
 * host = entry + linear; 0 = miss. Only RAM/ROM that may be touched directly is ever entered:
 * MMIO, pages with code blocks (for write), pages under a data breakpoint always miss. Behaves as
 * the hardware TLB does: filled on use, flushed by CR3/CR0/CR4 writes and INVLPG.
 * code[] holds guest-physical page number + 1 (0 = miss) of pages whose execution is allowed.
 */
#define TLB_PAGES (1u << 20)
struct tlb {
	uintptr_t *read;		/* [TLB_PAGES] */
	uintptr_t *write;		/* [TLB_PAGES] */
	uint32_t *code;			/* [TLB_PAGES] */
};

struct vcpu;

/* What the CPU needs of the world around it: the board fills this in (pc.c, or a test). */
struct cpu_bus {
	uint32_t (*io_read)(void *arg, uint16_t port, unsigned size);		/* size 1, 2, 4 */
	void (*io_write)(void *arg, uint16_t port, unsigned size, uint32_t val);
	int (*intr_ack)(void *arg);	/* vector 0..255 of the INTR being acknowledged; always one (spurious if need be) */
	uint64_t (*tsc)(void *arg);	/* time-stamp counter before the guest's offset */
	void (*ferr)(void *arg, bool level);	/* FERR# (x87 error with CR0.NE = 0): IRQ 13 on a PC */
	void (*a20_changed)(void *arg);
	void (*spin)(void *arg);	/* vcpu.pauses PAUSEs were made: set it anew; NULL: nobody counts */
	/* local APIC through MSRs/CPUID may be NULL where there is none */
	uint64_t (*apic_base)(void *arg);
	void (*set_apic_base)(void *arg, uint64_t val);
};

/* Why the run loop was asked to look up: bits of vcpu.attention. */
enum {
	ATTN_EVENT	= BIT(0),	/* something may be pending: interrupt line, NMI, shadow end, TF... */
	ATTN_KICK	= BIT(1),	/* from outside (signal or thread): poll devices, timers, requests */
	ATTN_STOP	= BIT(2),	/* vm_stop() was called */
	ATTN_RESET	= BIT(3),	/* reset requested (triple fault, CF9, keyboard controller) */
	ATTN_CODE	= BIT(4),	/* the block being run was dropped: leave it after this instruction (an engine's own) */
	ATTN_DEBUG	= BIT(5),	/* the debugger or the trace: cpu/stops.h has what for */
};

/* Result of running the guest. */
enum next {
	NEXT_RUN,		/* go on */
	NEXT_HALT,		/* HLT: sleep until an interrupt */
	NEXT_ATTENTION,		/* vcpu.attention is set, or the budget is used up */
	NEXT_TRIPLE_FAULT,	/* reset, or end with -no-reboot */
	NEXT_STOP,		/* vm_stop() has the reason */
};

/* The last things that happened to the processor, for reports and -d (meter/trace.h). */
#define CPU_EVENTS 16
enum event_kind {
	EVENT_EXCEPTION,	/* vector; a: error code, b: CR2 */
	EVENT_INTERRUPT,	/* vector, from the interrupt controller */
	EVENT_SOFTWARE_INT,	/* vector: INT n, INT3, INTO, INT1 */
	EVENT_NMI,
	EVENT_IN, EVENT_OUT,	/* vector: size; a: port, b: value */
	EVENT_HALT,
	EVENT_RESET,
	EVENT_CR,		/* vector: which control register; a: what was written */
	EVENT_INVLPG,		/* a: linear address */
};
struct cpu_event {
	uint8_t kind, vector;
	uint8_t cpl;
	uint16_t cs;
	uint32_t eip, a, b;
	uint64_t icount;
};

/* Tier 1's part of the vCPU block, reached by scanned code through r13. */
struct scan_state {
	uint64_t host_rsp;		/* the monitor's stack, while scanned code runs on the return stack */
	uint64_t ret_rsp;		/* top of the return stack (pairs guest calls and returns) */
	uint64_t resume;		/* executable address to go on at */
	uint64_t callsite;		/* where the call-out in progress was called from, 0: it was jumped to */
	uint64_t tlb_read;		/* r12: cpu->tlb->read */
	uint64_t window;		/* r14 and the GS base: host address of linear 0 */
	/* what quick changes of CPL need to know; kept by mmu.c and window.c */
	uint64_t kernel_window, user_window;	/* bases; 0: there is none */
	bool user_window_stale;		/* window_select() has something to do first */
	bool plain;			/* no alignment checks, no data breakpoints, no --protect-code */
	uint64_t jump_cache;		/* of the current mode */
	uint64_t r15;			/* guest ESP less what the block has pending, plus the window's base in direct code */
	uint32_t tlb_serial;		/* counts what drops TLB entries */
	uint64_t saved[9];		/* registers put aside by the short call-out */
	uint32_t epoch;			/* counts flushes of code translations: return stacks of an older one are void */
	uint16_t flags;			/* AX after lahf; seto al: the arithmetic flags in transit */
	bool protect_code;		/* data accesses to pages with scanned code stop the VM */
	bool trapped;			/* ... and one has */
	bool counting;			/* scan_count_to(): instructions are taken off left before they run */
	int64_t left;			/* ... that may still begin. Below 4 GiB, so that its upper half is 0 as long as it lasts */
	uint32_t max_mappings;		/* of the host's to get by with, as vm.max_map_count; 0: what that says */
	bool aligned;			/* alignment is checked: no memory may be reached but by the emulator (mmu.c keeps it) */
	uint8_t direct;			/* memory may be reached through a window now (mmu.c keeps it) */
	uint8_t fpu_closed;		/* an x87/MMX instruction must ask first: state not loaded, CR0.TS or EM */
	uint8_t sse_closed;		/* the same for SSE; also CR4.OSFXSR clear */
};

struct vcpu {
	/* architectural: saved, compared in lock-step */
	uint32_t gpr[9];		/* [REG_NONE] is always 0, so that an address needs no test */
	uint32_t eip;
	uint32_t eflags;		/* complete and exact at every instruction boundary */
	struct segment seg[6];		/* index SEG_xxx */
	struct segment ldtr, tr;
	struct table_register gdtr, idtr;
	uint32_t cr0, cr2, cr3, cr4;
	uint32_t dr[8];			/* 4, 5 unused */
	uint64_t efer;
	uint32_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t pat;
	uint64_t misc_enable;
	uint64_t mtrr_def_type, mtrr_phys[16], mtrr_fix[11];
	uint64_t tsc_offset, tsc_adjust;
	uint64_t pdpte[4];		/* PAE: loaded by MOV CR3 and friends, used until the next load */
	struct fxstate fx;		/* valid unless fx_live */
	bool a20;			/* false: bit 20 of every physical address is forced to 0 */
	bool halted;
	bool nmi_pending, nmi_blocked;
	bool intr_line;			/* level of INTR: the interrupt controller asks */
	bool shadow;			/* STI / MOV SS / POP SS: no interrupt before the next instruction ends */
	bool shadow_ss;			/* ... and no debug trap either (MOV SS / POP SS) */
	bool ferr;			/* FERR# is asserted: an x87 error was announced with CR0.NE = 0 */
	uint32_t dr6_pending;		/* data/instruction breakpoint bits to report when this instruction ends */

	/* derived: may be dropped and rebuilt */
	uint8_t cpl;			/* CS.RPL in protected mode, 0 in real, 3 in vm86 */
	bool fx_live;			/* the guest's x87/SSE state is in the host's registers, not in fx */
	bool fpu_host_pe;		/* the host's own FSW.PE may be set (fpu_fast.c) */
	struct tlb *tlb;		/* &tlbs[cpl == 3] : what ordinary accesses use */
	struct tlb tlbs[2];		/* 0 supervisor, 1 user */
	int32_t pauses;			/* PAUSE instructions left before bus->spin() is asked */
	uint32_t insn_eip;		/* start of the instruction being carried out (eip is already past it) */
	struct segment_memo {		/* descriptors loaded before, by selector: as long as the table still says the same */
		uint16_t selector;	/* 0: empty */
		uint8_t cpl;
		uint64_t raw;
		struct segment segment;
	} segment_memo[8];
	uint8_t exc_vector;		/* what cpu_raise() left for cpu_deliver_fault() */
	uint32_t exc_error;
	bool event_ext;			/* delivering what is not the program's doing: EXT in error codes */
	/* what cpu_check_events() saw at the last boundary it looked at: it ends when an instruction retires */
	bool tf_armed, shadow_armed, rf_armed;
	bool breaks_looked;		/* at the guest's instruction breakpoints, in a page that has one */
	bool interrupts_held;		/* a debugger's single step: INTR and NMI wait */
	uint64_t check_icount;
	uint64_t icount;		/* instructions retired */
	uint64_t icount_stop;		/* leave the run loop when icount reaches this */
	volatile uint32_t attention;	/* ATTN_xxx; also set from signal handlers and other threads */

	/* host */
	struct tsc_line tsc_line;	/* how RDTSC is read without asking the board */
	uint64_t tsc_hz;		/* what the board's TSC counts at; 0: CPUID does not say */
	struct cpu_model model;		/* what CPUID says */
	struct mmu *mmu;
	struct phys *phys;
	const struct cpu_bus *bus;
	void *bus_arg;
	struct emulator *emulator;	/* tier 0's block cache */
	struct scan_state scan;
	struct windows *windows;	/* mmu/window.h; NULL: memory is always reached checked */
	struct scanner *scanner;	/* tier 1; NULL: --engine emulate */
	const struct intercept *intercept;	/* cpu/intercept.h; NULL: none */
	struct memory_watcher *watcher;	/* lock-step only (scan/lockstep.c), else NULL */
	struct trace *trace;		/* -d; NULL when off */
	struct stops *stops;		/* breakpoints, watchpoints, traced code (cpu/stops.h); NULL: none */
	METER_FIELD
	struct cpu_event event[CPU_EVENTS];	/* ring; trace_event() puts them in */
	uint32_t nevents;
	void *fault_jmp[5];		/* __builtin_setjmp buffer: where cpu_raise() goes */
	void *vm;
};

#endif
