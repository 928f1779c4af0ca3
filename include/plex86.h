/*
 * libplex86: a 32-bit x86 processor with memory, to be built into other programs.
 *
 * A machine is a processor and whatever memory is mapped into it; there are no chips but those you add with
 * port and MMIO callbacks. docs/embedding.md shows all of this by example.
 *
 * Threads: a machine has no thread of its own. Any thread may call plex86_run(), and different threads different
 * machines at the same time; one machine is used by one thread at a time. Only plex86_kick() may be called
 * for a machine that another thread is using.
 *
 * Results: functions that return int give 0 or more for success, and a negative enum plex86_error otherwise;
 * plex86_error_message() then says in one line what was wrong.
 *
 * Versions: structures that may grow begin with their size, which the caller sets (PLEX86_SIZED). The library
 * fills in no more than that. Enumerators keep their values.
 */
#ifndef PLEX86_H
#define PLEX86_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PLEX86_VERSION_MAJOR 0
#define PLEX86_VERSION_MINOR 1
#define PLEX86_VERSION_PATCH 0

/* Of the library that is linked: major << 16 | minor << 8 | patch. The same major number: compatible. */
uint32_t plex86_version(void);

/* struct plex86_stop stop = PLEX86_SIZED(plex86_stop);  All other members are 0. */
#ifdef __cplusplus
#define PLEX86_SIZED(name) plex86_sized_<struct name>()
#else
#define PLEX86_SIZED(name) { .size = sizeof(struct name) }
#endif

typedef struct plex86 plex86;

enum plex86_error {
	PLEX86_OK = 0,
	PLEX86_E_ARGUMENT = -1,		/* a value that is not allowed, or not now */
	PLEX86_E_MEMORY = -2,		/* the host has no memory left, or memory_bytes are used up */
	PLEX86_E_HOST = -3,		/* another system call failed */
	PLEX86_E_EXISTS = -4,		/* something is mapped there already */
	PLEX86_E_MISSING = -5,		/* nothing (of the kind) is there */
	PLEX86_E_BUSY = -6		/* the machine is running; or an earlier request is still waiting */
};

/* ---- life ---- */

enum plex86_engine {
	PLEX86_SCAN = 0,		/* guest code is re-encoded as host code: fast */
	PLEX86_EMULATE = 1		/* one instruction after the other: exact counts, no signals */
};

enum plex86_config_flag {
	PLEX86_VERIFY = 1,		/* PLEX86_SCAN: check all host code that is made, before it runs */
	PLEX86_TSC_COUNTS = 2		/* the time-stamp counter counts instructions, not the host's nanoseconds */
};

struct plex86_config {
	uint32_t size;
	uint32_t engine;		/* enum plex86_engine */
	uint32_t flags;			/* enum plex86_config_flag */
	uint32_t reserved;
	uint64_t memory_bytes;		/* the most that can be mapped at one time; 0: 1 GiB. At most 4 GiB. Costs nothing until used */
	uint64_t code_cache_bytes;	/* PLEX86_SCAN: 0: 32 MiB */
};

/*
 * A machine in flat 32-bit protected mode (plex86_set_mode) with no memory. config may be NULL. On failure
 * *machine is NULL, and the reason is put into why[why_bytes], unless why is NULL.
 */
int plex86_create(plex86 **machine, const struct plex86_config *config, char *why, size_t why_bytes);
void plex86_destroy(plex86 *machine);		/* NULL is allowed; not from a callback */

const char *plex86_error_message(const plex86 *machine);	/* of the last call that failed; valid until the next */

/* ---- memory ---- */

enum plex86_map_flag {
	PLEX86_READ_ONLY = 1		/* the guest's stores are dropped, as with a ROM */
};

/*
 * Guest-physical memory, whole 4 KiB pages below 4 GiB, where nothing is mapped yet. With buffer NULL it is zeroed
 * and the library's. Otherwise it is the caller's own buffer: page aligned, and not used by others as a mapping
 * until it is unmapped; what it holds is what the guest finds, and the guest's stores appear in it.
 */
int plex86_map(plex86 *machine, uint64_t gpa, uint64_t bytes, uint32_t flags, void *buffer);

/* What was mapped with these borders. A caller's buffer keeps its last content. */
int plex86_unmap(plex86 *machine, uint64_t gpa, uint64_t bytes);

/* Host address of memory that is mapped in one piece; NULL if it is not. Valid until it is unmapped. Who stores
 * through it (or into his own buffer) tells the library, for code may have been made from it. */
void *plex86_memory(plex86 *machine, uint64_t gpa, uint64_t bytes);
int plex86_memory_changed(plex86 *machine, uint64_t gpa, uint64_t bytes);

/* Copy. Read-only memory is written too. All of it must be memory (no MMIO, no holes), or nothing is copied. */
int plex86_read(plex86 *machine, uint64_t gpa, void *to, size_t bytes);
int plex86_write(plex86 *machine, uint64_t gpa, const void *from, size_t bytes);

/* By linear address: through the guest's page tables as they are, whatever they allow, without a trace in them. */
int plex86_translate(plex86 *machine, uint32_t linear, uint64_t *gpa);
int plex86_read_linear(plex86 *machine, uint32_t linear, void *to, size_t bytes);
int plex86_write_linear(plex86 *machine, uint32_t linear, const void *from, size_t bytes);

/* ---- state ---- */

enum plex86_register {
	PLEX86_EAX, PLEX86_ECX, PLEX86_EDX, PLEX86_EBX, PLEX86_ESP, PLEX86_EBP, PLEX86_ESI, PLEX86_EDI,
	PLEX86_EIP, PLEX86_EFLAGS,
	PLEX86_CR0 = 16, PLEX86_CR2, PLEX86_CR3, PLEX86_CR4,
	PLEX86_DR0 = 24, PLEX86_DR1, PLEX86_DR2, PLEX86_DR3, PLEX86_DR6, PLEX86_DR7,
	PLEX86_CPL = 32			/* current privilege level; read only: it follows CS and the mode */
};

/* As the processor's own instructions do it: control registers are checked, and flush translations. */
int plex86_get(plex86 *machine, int reg, uint32_t *value);
int plex86_set(plex86 *machine, int reg, uint32_t value);

enum plex86_segment_register {
	PLEX86_ES, PLEX86_CS, PLEX86_SS, PLEX86_DS, PLEX86_FS, PLEX86_GS, PLEX86_LDTR, PLEX86_TR,
	PLEX86_GDTR, PLEX86_IDTR	/* base and limit only */
};

/* A segment register with its descriptor cache. Nothing is read from descriptor tables. */
struct plex86_segment {
	uint16_t selector;
	uint16_t attributes;		/* descriptor bits 40..47 in 7:0 (type, S, DPL, P), bits 52..55 in 15:12 (AVL, -, D/B, G) */
	uint32_t base;
	uint32_t limit;			/* in bytes: the offset of the last one, G applied */
};
int plex86_get_segment(plex86 *machine, int segment, struct plex86_segment *value);
int plex86_set_segment(plex86 *machine, int segment, const struct plex86_segment *value);

int plex86_get_msr(plex86 *machine, uint32_t index, uint64_t *value);
int plex86_set_msr(plex86 *machine, uint32_t index, uint64_t value);

/* x87, MMX and SSE: the 512 bytes of FXSAVE. */
int plex86_get_fpu(plex86 *machine, void *fxsave);
int plex86_set_fpu(plex86 *machine, const void *fxsave);

enum plex86_mode {
	PLEX86_RESET,			/* as after power-up: real mode, F000:FFF0 with base FFFF0000h */
	PLEX86_REAL,			/* real mode, all segments 0000, EIP 0, ESP 0 */
	PLEX86_FLAT			/* protected mode, CPL 0, 32-bit, segments of base 0 and 4 GiB, no paging, SSE on, EIP 0, ESP 0 */
};
/* Every register anew. Interrupts are off in all three. Memory stays. */
int plex86_set_mode(plex86 *machine, int mode);

/* ---- running ---- */

enum plex86_reason {
	PLEX86_STOP_LIMIT,		/* max_instructions were carried out */
	PLEX86_STOP_TIMEOUT,
	PLEX86_STOP_KICK,		/* plex86_kick() */
	PLEX86_STOP_HALT,		/* HLT; the next run goes on behind it */
	PLEX86_STOP_SHUTDOWN,		/* triple fault; the state is that of the first one's delivery */
	PLEX86_STOP_BREAKPOINT,		/* before the instruction */
	PLEX86_STOP_INSTRUCTION,	/* a callback asked; before the instruction */
	PLEX86_STOP_EXCEPTION,		/* a callback asked; EIP is at the instruction (behind it, for traps), nothing delivered */
	PLEX86_STOP_PORT,		/* a callback asked; behind the instruction */
	PLEX86_STOP_MMIO,		/* the same */
	PLEX86_STOP_INTERNAL		/* a fault of the library's own, text says what: please report it */
};

struct plex86_stop {
	uint32_t size;
	uint32_t reason;		/* enum plex86_reason */
	uint32_t eip;
	uint32_t linear;		/* CS base + EIP */
	uint32_t vector;		/* of PLEX86_STOP_EXCEPTION */
	uint32_t error_code;
	uint64_t address;		/* port, guest-physical address of MMIO, or the linear address of a page fault */
	uint64_t instructions;		/* carried out in this run: exact with PLEX86_EMULATE and when there was a limit, else 0 */
	char text[128];			/* the reason, for people */
};

/*
 * Run until something stops it. max_instructions 0: no limit; timeout_ns 0: none (the host's clock). With a limit
 * instructions are counted, exactly, by either engine (UINT64_MAX: counted, but as good as none); PLEX86_SCAN is faster
 * without. stop may be NULL. Returns the reason, or an error.
 */
int plex86_run(plex86 *machine, uint64_t max_instructions, uint64_t timeout_ns, struct plex86_stop *stop);

/* From any thread, a signal handler (of SA_ONSTACK) or a callback: the present run ends soon, or the next as it begins. */
void plex86_kick(plex86 *machine);

/* ---- what the guest does to the world outside ----
 * Callbacks come on the thread that runs the machine, may call everything here but plex86_run() for it,
 * plex86_destroy(), and what is said below, and must return (no longjmp, no C++ exception). */

enum plex86_action {
	PLEX86_CONTINUE,
	PLEX86_STOP,			/* end the run */
	PLEX86_HANDLED			/* instructions: it was done here (EIP goes behind it unless it was set); exceptions: do not deliver */
};

/* size is 1, 2 or 4. In these four the registers cannot be set. What has no callback reads as all ones. */
typedef int plex86_port_read_fn(void *arg, plex86 *machine, uint32_t port, uint32_t size, uint32_t *value);
typedef int plex86_port_write_fn(void *arg, plex86 *machine, uint32_t port, uint32_t size, uint32_t value);
typedef int plex86_mmio_read_fn(void *arg, plex86 *machine, uint64_t gpa, uint32_t size, uint32_t *value);
typedef int plex86_mmio_write_fn(void *arg, plex86 *machine, uint64_t gpa, uint32_t size, uint32_t value);

/* Ports first..last; either function may be NULL. A later call overrides. Both NULL: as before there was any. */
int plex86_on_port(plex86 *machine, uint32_t first, uint32_t last, plex86_port_read_fn *read,
    plex86_port_write_fn *write, void *arg);

/* Whole pages of guest-physical addresses where nothing is mapped; plex86_unmap() takes them away. */
int plex86_map_mmio(plex86 *machine, uint64_t gpa, uint64_t bytes, plex86_mmio_read_fn *read,
    plex86_mmio_write_fn *write, void *arg);

/* ---- looking into the guest ---- */

struct plex86_instruction {
	uint32_t size;
	uint32_t eip;
	uint32_t linear;
	uint32_t length;
	const char *mnemonic;		/* "mov", "int", ...; "(bad)" for bytes that are no instruction */
	uint32_t operand_size;		/* 2 or 4 */
	uint32_t immediate;		/* of INT, IN, OUT and others that have one; else 0 */
};
typedef int plex86_instruction_fn(void *arg, plex86 *machine, const struct plex86_instruction *insn);

/*
 * Before every instruction of that mnemonic, in any form ("j", "set", "cmov" with any condition); NULL:
 * before every instruction at all. A repeated string instruction may come once a repetition. Up to 64
 * of these; fn NULL takes the mnemonic's away. The more specific comes first.
 */
int plex86_on_instruction(plex86 *machine, const char *mnemonic, plex86_instruction_fn *fn, void *arg);

struct plex86_exception {
	uint32_t size;
	uint32_t vector;
	uint32_t has_error;
	uint32_t error_code;
	uint32_t address;		/* of a page fault: CR2 */
	uint32_t eip;			/* what would be pushed */
};
typedef int plex86_exception_fn(void *arg, plex86 *machine, const struct plex86_exception *exception);

/* Exceptions (vector 0..31; -1: all) on their way to the guest. INT n is an instruction, INT3 and INTO too. */
int plex86_on_exception(plex86 *machine, int vector, plex86_exception_fn *fn, void *arg);

/* By linear address. The guest does not see them. Up to 256. */
int plex86_add_breakpoint(plex86 *machine, uint32_t linear);
int plex86_remove_breakpoint(plex86 *machine, uint32_t linear);

/* AT&T text of the instruction at a linear address. Returns its length; text[text_bytes] is always ended. */
int plex86_disassemble(plex86 *machine, uint32_t linear, char *text, size_t text_bytes);

/* ---- events from outside ---- */

/* INTR with this vector, taken when EFLAGS.IF allows. PLEX86_E_BUSY while an earlier one waits. */
int plex86_interrupt(plex86 *machine, uint32_t vector);
int plex86_nmi(plex86 *machine);

/* Between two runs: deliver it now, through the IDT (MMIO callbacks may come, if its stack lies there). From an instruction callback: in the place of the
 * instruction. error_code counts for those that have one. */
int plex86_raise(plex86 *machine, uint32_t vector, uint32_t error_code);

/* ---- snapshots ---- */

typedef struct plex86_snapshot plex86_snapshot;

/* Processor and memory. It may be restored often, and into another machine with the same memory mapped. Not
 * from callbacks. Restoring costs about what comparing the memory that was ever touched does. */
int plex86_snapshot_take(plex86 *machine, plex86_snapshot **snapshot);
int plex86_snapshot_restore(plex86 *machine, const plex86_snapshot *snapshot);
void plex86_snapshot_free(plex86_snapshot *snapshot);

/* ---- meters ---- */

struct plex86_meters {			/* since the machine was created */
	uint32_t size;
	uint32_t reserved;
	uint64_t runs;
	uint64_t run_ns;		/* the host's clock, in plex86_run() */
	uint64_t instructions;		/* of the runs that counted them */
	uint64_t exceptions;		/* on their way to the guest, delivered or not */
	uint64_t interrupts;		/* that plex86_interrupt() brought and the guest took */
	uint64_t port_reads, port_writes;
	uint64_t mmio_accesses;
	uint64_t blocks_scanned, blocks_dropped, window_faults;		/* PLEX86_SCAN; 0 where the library was built without meters */
	uint64_t memory_mapped;		/* bytes, without MMIO */
	uint64_t memory_used;		/* bytes that have been touched */
};
int plex86_get_meters(plex86 *machine, struct plex86_meters *meters);

#ifdef __cplusplus
}

template <typename T> static inline T plex86_sized_()
{
	T t = T();
	t.size = sizeof(T);
	return t;
}
#endif

#endif
