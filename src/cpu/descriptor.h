/*
 * Inside src/cpu and the system instructions: descriptors, gates, and stacks that are not (yet)
 * the current one.						[SDM 3, "Protected-Mode Memory Management"]
 */
#ifndef PLEX86_CPU_DESCRIPTOR_H
#define PLEX86_CPU_DESCRIPTOR_H

#include "cpu/cpu.h"

/* System descriptor types.						[SDM 3, "System Descriptor Types"] */
enum {
	TYPE_TSS16 = 1, TYPE_LDT = 2, TYPE_TSS16_BUSY = 3, TYPE_CALL16 = 4, TYPE_TASK_GATE = 5,
	TYPE_INT16 = 6, TYPE_TRAP16 = 7, TYPE_TSS32 = 9, TYPE_TSS32_BUSY = 11, TYPE_CALL32 = 12,
	TYPE_INT32 = 14, TYPE_TRAP32 = 15,
	TYPE_BUSY = 2, TYPE_32BIT = 8,		/* bits of the above */
};

struct descriptor {
	uint32_t lo, hi;
	lin_t lin;			/* where it was read from */
};

static inline struct descriptor descriptor_of(uint64_t raw)
{
	return (struct descriptor){ .lo = (uint32_t)raw, .hi = (uint32_t)(raw >> 32) };
}
static inline unsigned desc_type(const struct descriptor *d) { return d->hi >> 8 & 0xF; }
static inline bool desc_system(const struct descriptor *d) { return !(d->hi & BIT(12)); }
static inline bool desc_code(const struct descriptor *d) { return (d->hi & (BIT(12) | BIT(11))) == (BIT(12) | BIT(11)); }
static inline bool desc_conforming(const struct descriptor *d) { return d->hi & BIT(10); }
/* Bit 9: W of a data segment, R of a code segment. */
static inline bool desc_writable_data(const struct descriptor *d) { return (d->hi & (BIT(12) | BIT(11) | BIT(9))) == (BIT(12) | BIT(9)); }
static inline bool desc_readable(const struct descriptor *d) { return !desc_system(d) && (!desc_code(d) || (d->hi & BIT(9))); }
static inline bool desc_present(const struct descriptor *d) { return d->hi & BIT(15); }
static inline unsigned desc_dpl(const struct descriptor *d) { return d->hi >> 13 & 3; }
/* At CPL and RPL? Conforming code is to everyone. */
static inline bool descriptor_visible(const struct vcpu *cpu, const struct descriptor *d, uint16_t selector)
{
	return (desc_code(d) && desc_conforming(d)) || desc_dpl(d) >= MAX((unsigned)selector & 3, cpu->cpl);
}
static inline uint16_t gate_selector(const struct descriptor *d) { return d->lo >> 16; }
static inline uint32_t gate_offset(const struct descriptor *d)
{
	uint32_t offset = (d->lo & 0xFFFF) | (d->hi & 0xFFFF0000);
	return desc_type(d) & TYPE_32BIT ? offset : offset & 0xFFFF;
}
static inline bool selector_null(uint16_t selector) { return (selector & 0xFFFC) == 0; }

/* False where the selector points outside its table (or into an LDT that is not loaded). */
bool descriptor_fetch(struct vcpu *cpu, uint16_t selector, struct descriptor *d);
/* The same, raising exc(selector). */
void descriptor_need(struct vcpu *cpu, uint16_t selector, struct descriptor *d, unsigned exc);
/* The descriptor cache it makes; selector is what goes into the visible part. */
struct segment descriptor_segment(const struct descriptor *d, uint16_t selector);
/* Set A in the table if it is not: a locked supervisor write, which may #PF. */
void descriptor_accessed(struct vcpu *cpu, struct descriptor *d);
/* Set or clear the busy bit of a TSS descriptor. */
void descriptor_busy(struct vcpu *cpu, struct descriptor *d, bool busy);

/* exc(selector), RPL cut off. */
_Noreturn void raise_selector(struct vcpu *cpu, unsigned exc, uint16_t selector);

/* Read of a system table: through the supervisor TLB, else the walk. */
uint8_t table_read8(struct vcpu *cpu, lin_t lin);
uint16_t table_read16(struct vcpu *cpu, lin_t lin);
uint32_t table_read32(struct vcpu *cpu, lin_t lin);

bool segment_in_limit(const struct segment *s, uint32_t off, unsigned size);
static inline struct segment segment_null(uint16_t selector) { return (struct segment){ .selector = selector }; }
/* The flat segments that SYSENTER and SYSEXIT load without looking at any table. */
struct segment segment_flat(uint16_t selector, bool code);
/* What a real-mode (or, fixed, a vm86) load makes of a segment register. */
struct segment segment_real(const struct vcpu *cpu, struct segment old, uint16_t selector);
struct segment segment_vm86(uint16_t selector);
/* SS for a new privilege level: every check of a stack switch; exc is #TS (#GP for returns). The
 * not-present case is #SS(selector). */
struct segment segment_stack(struct vcpu *cpu, uint16_t selector, unsigned cpl, unsigned exc);

/*
 * A stack being pushed to or popped from, current or not: nothing of the CPU changes until the
 * owner takes esp from it. error: selector in the error code of #SS (0 for the current stack).
 */
struct stack {
	struct segment ss;
	uint32_t esp;
	bool user;			/* rights of the accesses */
	uint16_t error;
};

struct stack stack_current(const struct vcpu *cpu);
void frame_room(struct vcpu *cpu, const struct stack *st, unsigned count, unsigned size);
void frame_push(struct vcpu *cpu, struct stack *st, uint32_t val, unsigned size);
uint32_t frame_pop(struct vcpu *cpu, struct stack *st, unsigned size);
uint32_t frame_peek(struct vcpu *cpu, const struct stack *st, uint32_t bytes_up, unsigned size);
void frame_drop(struct stack *st, uint32_t bytes);
/* The inner stack of privilege level cpl from the current TSS, checked. */
struct stack stack_from_tss(struct vcpu *cpu, unsigned cpl);

/* ESP (or only SP, if the stack is 16-bit) after a stack switch. */
static inline void cpu_set_sp(struct vcpu *cpu, uint32_t esp)
{
	if (cpu->seg[SEG_SS].attr & SEG_DB)
		cpu->gpr[REG_ESP] = esp;
	else
		cpu->gpr[REG_ESP] = (cpu->gpr[REG_ESP] & 0xFFFF0000) | (esp & 0xFFFF);
}

/* An event on its way through the IDT. */
struct event {
	uint8_t vector;
	bool software;			/* INT n, INT3, INTO: the gate's DPL is checked */
	bool int_n;			/* INT n: IOPL and VME redirection apply in vm86 */
	bool external;			/* INTR, NMI, INT1, an exception: EXT */
	bool exception;			/* takes part in the double fault rules */
	bool has_error;
	bool set_rf;			/* RF in the pushed EFLAGS */
	uint32_t error;
};
void interrupt_enter(struct vcpu *cpu, const struct event *ev);	/* interrupt.c; may raise */
enum next event_deliver(struct vcpu *cpu, struct event ev);		/* exception.c; never raises */

/* Code segment of a RETF or IRET, with every check. */
struct segment segment_return_code(struct vcpu *cpu, uint16_t selector);
/* cpu_task_switch(), for an event through a task gate too (ev not NULL). */
void task_switch(struct vcpu *cpu, uint16_t tss_selector, enum task_cause cause, const struct event *ev);
bool cpu_vme_redirected(struct vcpu *cpu, uint8_t vector);	/* TSS interrupt redirection bitmap: bit clear */

#endif
