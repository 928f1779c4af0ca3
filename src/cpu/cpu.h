/*
 * The processor's own machinery: exceptions, interrupts, segments, tasks, control registers.
 *
 * Exceptions leave an instruction through cpu_raise(), which does not return: it restores
 * EIP to insn_eip and jumps to where the engine runs instructions (fault_jmp), which then calls
 * cpu_deliver_fault(). So an instruction must not change architectural state before the last
 * access that may fault (or must put it back first).
 */
#ifndef PLEX86_CPU_CPU_H
#define PLEX86_CPU_CPU_H

#include "cpu/vcpu.h"

/* --- exception.c --- */

/* Raise exc at the current instruction. error_code is ignored for exceptions that push none.
 * #PF: set cr2 first (mmu does). Faults restore insn_eip; #DB traps, #BP and #OF go through cpu_trap(). */
_Noreturn void cpu_raise(struct vcpu *cpu, unsigned exc, uint32_t error_code);

/* Deliver what cpu_raise() left: pushes the frame, or turns into #DF, or NEXT_TRIPLE_FAULT. */
enum next cpu_deliver_fault(struct vcpu *cpu);

/* Software interrupts: INT n, INT3, INTO, INT1 (icebp), with DPL check as each requires. Called by
 * the instruction with eip already past it; may cpu_raise(). */
enum int_kind { INT_N, INT_3, INT_O, INT_1 };
void cpu_software_interrupt(struct vcpu *cpu, uint8_t vector, enum int_kind kind);

/*
 * At an instruction boundary: deliver pending #DB traps, NMI, INTR (cpu->intr_line and IF and no
 * shadow); end the interrupt shadow. NEXT_RUN, NEXT_HALT, NEXT_TRIPLE_FAULT; NEXT_ATTENTION: look at
 * attention, then call it again before any instruction.
 *
 * The engine's side of the contract:
 *  - call it whenever ATTN_EVENT is set at an instruction boundary, with eip and icount exact (icount
 *    one higher for every retired instruction; a faulting instruction or an unfinished REP is not retired);
 *  - if it returns NEXT_RUN and ATTN_EVENT is still set, carry out exactly one instruction (TF, RF, an
 *    interrupt shadow or an instruction breakpoint needs the next boundary) and call it again;
 *  - if it returns NEXT_HALT the CPU sleeps; call again when intr_line or nmi_pending was raised.
 * A REP string instruction that stops in the middle (eip = insn_eip) sets EFLAGS.RF, and clears it
 * when it is finished (SDM 3, "Instruction-Breakpoint Exception Condition"). With TF set it does one
 * iteration and calls cpu_debug_trap(cpu, DR6_BS) if it is not finished.
 */
enum next cpu_check_events(struct vcpu *cpu);

/* Have the run loop look up at the next boundary. Callable from another thread. */
static inline void cpu_attend(struct vcpu *cpu, uint32_t bits)
{
	__atomic_or_fetch(&cpu->attention, bits, __ATOMIC_SEQ_CST);
}

/* The same in a handler that may have come at any place. */
IN_SIGNAL static inline void cpu_attend_in_signal(struct vcpu *cpu, uint32_t bits)
{
	__atomic_or_fetch(&cpu->attention, bits, __ATOMIC_SEQ_CST);
}

static inline uint32_t cpu_attention(const struct vcpu *cpu)
{
	return __atomic_load_n(&cpu->attention, __ATOMIC_RELAXED);
}

/* Run fn(cpu, arg); true if it left through cpu_raise() (exc_vector and exc_error say what). */
bool cpu_try(struct vcpu *cpu, void (*fn)(struct vcpu *, void *), void *arg);

/* --- debug.c --- */
enum { DR6_BD = BIT(13), DR6_BS = BIT(14), DR6_BT = BIT(15), DR6_FIXED1 = 0xFFFF0FF0 };
enum { DR7_LOCAL = 0x155 /* L0-L3, LE */, DR7_GD = BIT(13), DR7_FIXED1 = BIT(10) };
enum dr7_rw { DR7_EXEC, DR7_WRITE, DR7_IO, DR7_ACCESS };
/* Report DR6 bits as a #DB trap when the current instruction ends. */
void cpu_debug_trap(struct vcpu *cpu, uint32_t dr6_bits);
/* DR6 B0-B3 of the enabled breakpoints of this kind that [addr, addr + size) hits. DR7_ACCESS asks for a
 * read, DR7_WRITE for a write (which DR7_ACCESS breakpoints see too), DR7_IO needs CR4.DE. */
/* Instruction breakpoints are compared with each instruction of their pages, for which nobody keeps a translation
 * of code; elsewhere they cost nothing. */
bool cpu_breaks_in_page(const struct vcpu *cpu, lin_t lin);
static inline bool cpu_breaks_near(const struct vcpu *cpu, lin_t lin)
{
	return unlikely(cpu->dr[7] & 0xFF) && cpu_breaks_in_page(cpu, lin);
}
uint32_t cpu_breakpoints_hit(const struct vcpu *cpu, enum dr7_rw kind, uint32_t addr, unsigned size);
/* IN, OUT, INS, OUTS, after the access: an I/O breakpoint traps. */
static inline void cpu_io_breakpoint(struct vcpu *cpu, uint16_t port, unsigned size)
{
	if (unlikely((cpu->cr4 & CR4_DE) && (cpu->dr[7] & 0xFF)))
		cpu_debug_trap(cpu, cpu_breakpoints_hit(cpu, DR7_IO, port, size));
}

/* --- segment.c --- */
void segment_derive(struct segment *s);			/* read_top/write_top from attr and limit */
void segment_load_real(struct vcpu *cpu, unsigned seg, uint16_t selector);	/* real and vm86 mode: base = selector << 4 */
void segment_load(struct vcpu *cpu, unsigned seg, uint16_t selector);	/* MOV/POP/LxS Sreg, not CS; any mode; may raise */
void cpu_update_mode(struct vcpu *cpu);			/* after CR0, EFLAGS.VM or CS changed: cpl, tlb pointer */
static inline bool cpu_protected(const struct vcpu *cpu) { return cpu->cr0 & CR0_PE; }
static inline bool cpu_vm86(const struct vcpu *cpu) { return cpu->eflags & EFLAGS_VM; }
static inline unsigned cpu_iopl(const struct vcpu *cpu) { return cpu->eflags >> 12 & 3; }

/* --- far transfers (far.c), tasks (task.c) --- all may raise; eip/cs/ss/esp change only on success */
void cpu_far_jmp(struct vcpu *cpu, uint16_t selector, uint32_t offset, unsigned opsize);
void cpu_far_call(struct vcpu *cpu, uint16_t selector, uint32_t offset, unsigned opsize);
void cpu_far_ret(struct vcpu *cpu, unsigned opsize, uint16_t extra_bytes);
void cpu_iret(struct vcpu *cpu, unsigned opsize);
void cpu_sysenter(struct vcpu *cpu);
void cpu_sysexit(struct vcpu *cpu);
enum task_cause { TASK_JMP, TASK_CALL, TASK_IRET, TASK_INT };
void cpu_task_switch(struct vcpu *cpu, uint16_t tss_selector, enum task_cause cause, bool has_error, uint32_t error_code);

/* --- control.c: CR, DR, EFLAGS, MSR, CPUID, reset --- */
void cpu_reset(struct vcpu *cpu);			/* power-on state: real mode, F000:FFF0 */
void cpu_set_cr0(struct vcpu *cpu, uint32_t val);	/* may raise #GP */
void cpu_set_cr3(struct vcpu *cpu, uint32_t val);
void cpu_set_cr4(struct vcpu *cpu, uint32_t val);
void cpu_set_efer(struct vcpu *cpu, uint64_t val);
void cpu_set_dr(struct vcpu *cpu, unsigned n, uint32_t val);
uint32_t cpu_get_dr(struct vcpu *cpu, unsigned n);
/* POPF/IRET rules: change only the bits of mask; sets attention when IF or TF need a look. */
void cpu_set_eflags(struct vcpu *cpu, uint32_t val, uint32_t mask);
uint64_t cpu_rdmsr(struct vcpu *cpu, uint32_t index);	/* may raise #GP(0) */
void cpu_wrmsr(struct vcpu *cpu, uint32_t index, uint64_t val);
void cpu_cpuid(struct vcpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);	/* eax ebx ecx edx */
uint64_t cpu_tsc(struct vcpu *cpu);
/* The board's clock moved, and what is read of it without a call moves along (tsc.h): put forward; or it stood still for stood_ns
 * of the of_ns since the host's counter was at since. */
uint64_t cpu_tsc_host(const struct vcpu *cpu);
void cpu_tsc_skip(struct vcpu *cpu, uint64_t ns);
void cpu_tsc_stand(struct vcpu *cpu, uint64_t since, uint64_t stood_ns, uint64_t of_ns);
bool cpu_io_allowed(struct vcpu *cpu, uint16_t port, unsigned size);	/* IOPL and the TSS bitmap; false: #GP(0) */
void cpu_set_a20(struct vcpu *cpu, bool on);

#endif
