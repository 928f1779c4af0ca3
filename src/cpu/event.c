/*
 * What happens between two instructions: debug traps, NMI, INTR, instruction breakpoints, in the
 * order of "Priority Among Concurrent Events".					[SDM 3]
 *
 * Nothing is asked while ATTN_EVENT is clear. Whoever makes an event possible (raises a line, sets
 * IF, TF or RF, begins a shadow) sets it; here it is cleared first and conditions are looked at
 * after, so a line raised meanwhile by another thread is not lost.
 */
#include "cpu/descriptor.h"

#define EVENTS_AT_ONCE 16

/* An instruction retired since the last look: what was armed for one instruction is over. */
static void events_retire(struct vcpu *cpu)
{
	if (cpu->icount == cpu->check_icount)
		return;
	cpu->check_icount = cpu->icount;
	if (cpu->tf_armed && !(cpu->shadow_ss && !cpu->shadow_armed))
		cpu->dr6_pending |= DR6_BS;	/* TF was set when the instruction began; MOV SS does not trap */
	cpu->tf_armed = false;
	if (cpu->shadow_armed)
		cpu->shadow = cpu->shadow_ss = cpu->shadow_armed = false;
	if (cpu->rf_armed) {
		cpu->eflags &= ~EFLAGS_RF;
		cpu->rf_armed = false;
	}
}

/* The event that comes first, if any may come now. */
static bool event_next(struct vcpu *cpu, struct event *ev)
{
	if (cpu->dr6_pending && !cpu->shadow_ss) {
		cpu->dr[6] = (cpu->dr[6] & ~0xFu) | cpu->dr6_pending;
		cpu->dr6_pending = 0;
		*ev = (struct event){ .vector = EXC_DB, .exception = true, .external = true };
		return true;
	}
	if (cpu->nmi_pending && !cpu->nmi_blocked && !cpu->shadow_ss && !cpu->interrupts_held) {
		cpu->nmi_pending = false;
		cpu->nmi_blocked = true;
		*ev = (struct event){ .vector = EXC_NMI, .external = true };
		return true;
	}
	if (cpu->intr_line && (cpu->eflags & EFLAGS_IF) && !cpu->shadow && !cpu->interrupts_held) {
		*ev = (struct event){ .vector = cpu->bus->intr_ack(cpu->bus_arg), .external = true };
		return true;
	}
	if (!cpu->halted && !(cpu->eflags & EFLAGS_RF) && !cpu->shadow_ss && cpu_breaks_near(cpu, cpu->seg[SEG_CS].base + cpu->eip)) {
		uint32_t hit = cpu_breakpoints_hit(cpu, DR7_EXEC, cpu->seg[SEG_CS].base + cpu->eip, 1);
		if (hit) {
			cpu->dr[6] = (cpu->dr[6] & ~0xFu) | hit;
			*ev = (struct event){ .vector = EXC_DB, .exception = true, .external = true };
			return true;
		}
	}
	return false;
}

/*
 * Some guests never get past a boundary: a handler of #DB with an instruction breakpoint on its first instruction, on a stack
 * that wraps. Time goes on for them, and whoever asked for attention gets it.
 */
static enum next come_again(struct vcpu *cpu)
{
	cpu->check_icount = ++cpu->icount;	/* nothing retired */
	METER_ADD(cpu, faulted, 1);
	cpu_attend(cpu, ATTN_EVENT);
	return NEXT_ATTENTION;
}

enum next cpu_check_events(struct vcpu *cpu)
{
	struct event ev;
	unsigned n = 0;

	__atomic_and_fetch(&cpu->attention, ~ATTN_EVENT, __ATOMIC_SEQ_CST);
	events_retire(cpu);
	while (event_next(cpu, &ev)) {
		cpu->insn_eip = cpu->eip;	/* a fault on the way in is reported at this boundary */
		enum next next = event_deliver(cpu, ev);
		if (next != NEXT_RUN)
			return next;
		if (++n == EVENTS_AT_ONCE)
			return come_again(cpu);
	}

	cpu->tf_armed = cpu->eflags & EFLAGS_TF;
	cpu->rf_armed = cpu->eflags & EFLAGS_RF;
	cpu->shadow_armed = cpu->shadow;
	cpu->breaks_looked = cpu_breaks_near(cpu, cpu->seg[SEG_CS].base + cpu->eip);
	if (cpu->tf_armed || cpu->rf_armed || cpu->shadow_armed || cpu->halted || cpu->breaks_looked)
		cpu_attend(cpu, ATTN_EVENT);
	return cpu->halted ? NEXT_HALT : NEXT_RUN;
}
