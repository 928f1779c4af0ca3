/*
 * Raising exceptions, and the rules for an exception met while delivering another.
 *							[SDM 3, "Exception and Interrupt Reference", "Interrupt 8"]
 */
#include <string.h>

#include "cpu/descriptor.h"
#include "cpu/intercept.h"
#include "meter/trace.h"

_Noreturn void cpu_raise(struct vcpu *cpu, unsigned exc, uint32_t error_code)
{
	if (exc >= EXC_TS && exc <= EXC_GP && cpu->event_ext)
		error_code |= 1;			/* EXT */
	cpu->event_ext = false;
	cpu->exc_vector = exc;
	cpu->exc_error = error_code;
	cpu->eip = cpu->insn_eip;
	__builtin_longjmp(cpu->fault_jmp, 1);
}

/* The buffer nests by being saved on the host stack; noinline, so that the frame is this one's. */
COMES_BACK __attribute__((noinline)) bool cpu_try(struct vcpu *cpu, void (*fn)(struct vcpu *, void *), void *arg)
{
	struct vcpu *volatile keep = cpu;
	void *volatile saved[ARRAY_LEN(cpu->fault_jmp)];
	volatile bool raised = false;

	for (unsigned i = 0; i < ARRAY_LEN(saved); i++)
		saved[i] = cpu->fault_jmp[i];
	if (__builtin_setjmp(cpu->fault_jmp) == 0)
		fn(keep, arg);
	else
		raised = true;
	for (unsigned i = 0; i < ARRAY_LEN(saved); i++)
		keep->fault_jmp[i] = saved[i];
	return raised;
}

#define FAULTS_AT_ONCE 16

enum fault_class { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };

static enum fault_class fault_class(unsigned vector)
{
	switch (vector) {
	case EXC_DE: case EXC_CSO: case EXC_TS: case EXC_NP: case EXC_SS: case EXC_GP:
		return CONTRIBUTORY;
	case EXC_PF:
		return PAGE_FAULT;
	case EXC_DF:
		return DOUBLE_FAULT;
	default:
		return BENIGN;
	}
}

static bool pushes_error(unsigned vector)
{
	return vector == EXC_DF || (vector >= EXC_TS && vector <= EXC_PF) || vector == EXC_AC;
}

/* The exception cpu_raise() left, as an event. */
static struct event fault_event(const struct vcpu *cpu)
{
	unsigned v = cpu->exc_vector;

	return (struct event){
		.vector = v,
		.exception = true,
		.external = true,
		.has_error = pushes_error(v),
		.error = v == EXC_DF ? 0 : cpu->exc_error,
		.set_rf = v != EXC_DF && v != EXC_MC,	/* those are aborts */
	};
}

static void event_enter(struct vcpu *cpu, void *arg)
{
	interrupt_enter(cpu, arg);
}

enum next event_deliver(struct vcpu *cpu, struct event ev)
{
	for (unsigned n = 0; ; n++) {
		if (n == FAULTS_AT_ONCE) {	/* benign ones in a circle, as #AC on a stack that is not aligned: the instruction tries again */
			cpu_attend(cpu, ATTN_EVENT);
			return NEXT_ATTENTION;
		}
		if (unlikely(cpu->intercept) && ev.exception) {
			enum intercept_verdict v = cpu->intercept->exception(cpu, ev.vector, ev.has_error, ev.error);
			if (v != INTERCEPT_NOT)
				return v == INTERCEPT_STOP ? NEXT_STOP : NEXT_RUN;
		}
		trace_event(cpu, ev.exception ? EVENT_EXCEPTION : ev.vector == EXC_NMI ? EVENT_NMI : EVENT_INTERRUPT,
		    (uint8_t)ev.vector, ev.error, cpu->cr2);
		if (ev.exception && ev.vector == EXC_DB)
			cpu->dr[7] &= ~DR7_GD;	/* so that the handler may use the debug registers */
		cpu->event_ext = ev.external;
		bool raised = cpu_try(cpu, event_enter, &ev);
		cpu->event_ext = false;
		if (!raised)
			return NEXT_RUN;

		enum fault_class first = ev.exception ? fault_class(ev.vector) : BENIGN;
		enum fault_class second = fault_class(cpu->exc_vector);
		if (first == DOUBLE_FAULT && second != BENIGN)
			return NEXT_TRIPLE_FAULT;
		if ((first == CONTRIBUTORY && second == CONTRIBUTORY) || (first == PAGE_FAULT && second != BENIGN))
			cpu->exc_vector = EXC_DF;
		ev = fault_event(cpu);
	}
}

enum next cpu_deliver_fault(struct vcpu *cpu)
{
	struct event ev = fault_event(cpu);

	cpu->dr6_pending = 0;		/* the instruction did not complete: its traps will come again */
	return event_deliver(cpu, ev);
}

void cpu_software_interrupt(struct vcpu *cpu, uint8_t vector, enum int_kind kind)
{
	struct event ev = {
		.vector = vector,
		.software = kind != INT_1,	/* INT1 needs no DPL, as an exception does not */
		.int_n = kind == INT_N,
		.external = kind == INT_1,
	};

	cpu->eflags &= ~EFLAGS_RF;
	trace_event(cpu, EVENT_SOFTWARE_INT, vector, 0, 0);
	cpu->event_ext = ev.external;
	interrupt_enter(cpu, &ev);
	cpu->event_ext = false;
}
