/*
 * Running a library's machine, on whatever thread asks.
 *
 * Scanned code needs its thread: the hooks of the signal handlers, a stack for them, the GS base. They are taken when
 * a run begins and given back when it ends, together with the caller's floating-point environment. The emulator
 * needs none of it: it looks at the clock itself, and a kick is a word in memory.
 */
#include "lib/machine.h"

#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include "cpu/descriptor.h"
#include "emulate/emulate.h"
#include "host/clock.h"
#include "host/gsbase.h"
#include "scan/scan.h"

#define CLOCK_LOOK	2000		/* instructions emulated between two looks at the clock */
#define LIMIT_SCANNED	2000		/* a run of fewer instructions is the emulator's: it is done before scanned code is entered */

struct taken {				/* of the calling thread */
	bool scan;
	const struct host_hooks *hooks;
	stack_t stack;
	sigset_t signals;
	uint64_t gs_base;
	uint8_t x87[28];		/* FNSTENV */
	uint32_t mxcsr;
};

/* --- stopping --- */

void lib_stop(plex86 *m, enum plex86_reason reason, uint64_t address)
{
	if (!m->stopped) {
		m->stopped = true;
		m->stop.reason = reason;
		m->stop.address = address;
	}
	cpu_attend(&m->cpu, ATTN_STOP);
}

void plex86_kick(plex86 *m)
{
	__atomic_store_n(&m->kicked, true, __ATOMIC_RELAXED);
	cpu_attend(&m->cpu, ATTN_KICK);		/* orders the two: whoever sees the attention sees who kicked */
	pid_t thread = __atomic_load_n(&m->thread, __ATOMIC_SEQ_CST);
	if (thread)
		host_thread_kick(thread);
}

/* --- in signals --- */

/*
 * A handler of the program's own may have come while scanned code ran; it may even be who kicks. Nothing can be done below
 * it, so the kick waits until it returns: blocked in what it goes on with, and sent once more.
 */
IN_SIGNAL static bool wait_for_handler(plex86 *m, ucontext_t *uc)
{
	uintptr_t sp = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];

	if (sp - (uintptr_t)m->stack >= HOST_STACK_BYTES && !scan_under_handler(&m->cpu, uc))
		return false;
	sigaddset(&uc->uc_sigmask, HOST_KICK_SIGNAL);
	host_thread_kick(host_thread_id());
	return true;
}

IN_SIGNAL static void on_kick(void *arg, siginfo_t *info, void *ucontext)
{
	plex86 *m = arg;

	cpu_attend_in_signal(&m->cpu, ATTN_KICK);
	if (!wait_for_handler(m, ucontext))
		scan_kick(&m->cpu, ucontext);
}

IN_SIGNAL static void on_tick(void *arg, void *ucontext)
{
	plex86 *m = arg;

	scan_tick(&m->cpu, ucontext);
}

static bool on_fault(void *arg, int sig, siginfo_t *info, void *ucontext)
{
	plex86 *m = arg;

	return scan_fault(&m->cpu, sig, info, ucontext);
}

/* --- the thread --- */

static int take_thread(plex86 *m, struct taken *t, bool scan)
{
	t->scan = scan;
	if (scan) {
		int rc = host_stack_use(m->stack, &t->stack);
		if (rc < 0)
			return lib_fail(m, PLEX86_E_HOST, "cannot run on a signal handler's stack: %s", strerror(-rc));
		if (!host_signals_ours())
			host_signals_install(NULL);
		m->hooks = (struct host_hooks){ .kick = on_kick, .tick = on_tick, .fault = on_fault, .arg = m };
		t->hooks = host_hooks_set(&m->hooks);
		host_signals_let_through(&t->signals);
		t->gs_base = host_gs_base();
		scan_attach(&m->cpu);
		__atomic_store_n(&m->thread, host_thread_id(), __ATOMIC_SEQ_CST);
	}
	static const uint32_t mxcsr_default = 0x1F80;
	__asm__ volatile("fnstenv %0; stmxcsr %1" : "=m"(t->x87), "=m"(t->mxcsr));
	__asm__ volatile("fninit; ldmxcsr %0" : : "m"(mxcsr_default));
	m->cpu.fpu_host_pe = false;
	return PLEX86_OK;
}

static void leave_thread(plex86 *m, const struct taken *t)
{
	__asm__ volatile("fldenv %0; ldmxcsr %1" : : "m"(t->x87), "m"(t->mxcsr));
	if (!t->scan)
		return;
	__atomic_store_n(&m->thread, 0, __ATOMIC_SEQ_CST);
	host_set_gs_base(t->gs_base);
	host_signals_restore(&t->signals);
	host_hooks_set(t->hooks);
	host_stack_restore(&t->stack);
}

/* A signal to this thread when the time is over. */
static int set_timer(plex86 *m, ns_t deadline_ns)
{
	pid_t self = host_thread_id();
	struct itimerspec at = { .it_value = host_timespec(deadline_ns) };

	if (m->timer_thread != self) {
		if (m->timer_thread)
			timer_delete(m->timer);
		m->timer_thread = 0;
		int rc = host_timer_make(&m->timer, CLOCK_MONOTONIC, HOST_KICK_SIGNAL);
		if (rc < 0)
			return lib_fail(m, PLEX86_E_HOST, "cannot make a timer: %s", strerror(-rc));
		m->timer_thread = self;
	}
	timer_settime(m->timer, TIMER_ABSTIME, &at, NULL);
	return PLEX86_OK;
}

static void clear_timer(plex86 *m)
{
	timer_settime(m->timer, 0, &(struct itimerspec){ 0 }, NULL);
}

/* --- the run --- */

struct bounds {
	uint64_t icount;		/* UINT64_MAX: none */
	bool exact;			/* instructions are counted */
	ns_t deadline_ns;		/* 0: none */
	bool scan;
};

/* What ended the engine's run, if it is a reason to end ours. */
static void look(plex86 *m, enum next next, const struct bounds *b)
{
	struct vcpu *cpu = &m->cpu;

	if (next == NEXT_HALT) {
		cpu->halted = false;
		lib_stop(m, PLEX86_STOP_HALT, 0);
	} else if (next == NEXT_TRIPLE_FAULT) {
		lib_stop(m, PLEX86_STOP_SHUTDOWN, 0);
	} else if (next == NEXT_STOP && !m->stopped) {
		lib_stop(m, PLEX86_STOP_INTERNAL, 0);
		snprintf(m->stop.text, sizeof(m->stop.text), "%s", scan_stop_text(cpu) ? scan_stop_text(cpu) : "the engine stopped without a reason");
	} else if (cpu->icount >= b->icount) {
		lib_stop(m, PLEX86_STOP_LIMIT, 0);
	}
}

static void run(plex86 *m, const struct bounds *b)
{
	struct vcpu *cpu = &m->cpu;

	if (m->shutdown) {
		m->shutdown = false;
		lib_stop(m, PLEX86_STOP_SHUTDOWN, 0);
	}
	cpu_attend(cpu, ATTN_EVENT);
	while (!m->stopped) {
		__atomic_and_fetch(&cpu->attention, ~(uint32_t)(ATTN_KICK | ATTN_STOP), __ATOMIC_SEQ_CST);
		if (__atomic_exchange_n(&m->kicked, false, __ATOMIC_RELAXED)) {
			lib_stop(m, PLEX86_STOP_KICK, 0);
			break;
		}
		/* behind the clearing: the timer may have gone off before it */
		if (b->deadline_ns && host_clock_ns() >= b->deadline_ns) {
			lib_stop(m, PLEX86_STOP_TIMEOUT, 0);
			break;
		}
		cpu->icount_stop = b->icount;
		if (b->scan)
			scan_count_to(cpu, b->exact ? b->icount : UINT64_MAX);
		if (b->deadline_ns && !b->scan)
			cpu->icount_stop = MIN(b->icount, cpu->icount + CLOCK_LOOK);
		look(m, b->scan ? scan_run(cpu) : emulate_run(cpu), b);
	}
}

static const char *reason_text(enum plex86_reason reason)
{
	static const char *const text[] = {
		[PLEX86_STOP_LIMIT] = "the instruction limit was reached", [PLEX86_STOP_TIMEOUT] = "the time is over",
		[PLEX86_STOP_KICK] = "kicked", [PLEX86_STOP_HALT] = "the guest halted", [PLEX86_STOP_SHUTDOWN] = "triple fault",
		[PLEX86_STOP_BREAKPOINT] = "breakpoint", [PLEX86_STOP_INSTRUCTION] = "before an intercepted instruction",
		[PLEX86_STOP_EXCEPTION] = "intercepted exception", [PLEX86_STOP_PORT] = "behind a port access",
		[PLEX86_STOP_MMIO] = "behind an MMIO access", [PLEX86_STOP_INTERNAL] = "internal error",
	};

	return text[reason];
}

static void report(plex86 *m, struct plex86_stop *to, uint64_t instructions)
{
	struct plex86_stop *s = &m->stop;

	s->eip = m->cpu.eip;
	s->linear = m->cpu.seg[SEG_CS].base + m->cpu.eip;
	s->instructions = instructions;
	if (!s->text[0])
		snprintf(s->text, sizeof(s->text), "%s", reason_text(s->reason));
	if (to) {
		s->size = to->size;
		memcpy(to, s, MIN(to->size, sizeof(*s)));
	}
}

int plex86_run(plex86 *m, uint64_t max_instructions, uint64_t timeout_ns, struct plex86_stop *stop)
{
	struct vcpu *cpu = &m->cpu;
	ns_t begun_ns = host_clock_ns();
	uint64_t begun_icount = cpu->icount;
	struct bounds b = { .icount = UINT64_MAX, .deadline_ns = timeout_ns ? begun_ns + timeout_ns : 0,
	    .scan = cpu->scanner && (!max_instructions || max_instructions >= LIMIT_SCANNED),
	    .exact = !cpu->scanner || max_instructions };
	struct taken t;

	if (stop && stop->size < offsetof(struct plex86_stop, eip))
		return lib_fail(m, PLEX86_E_ARGUMENT, "the stop has no size: begin it with PLEX86_SIZED(plex86_stop)");
	if (__atomic_exchange_n(&m->running, 1, __ATOMIC_ACQ_REL))
		return lib_fail(m, PLEX86_E_BUSY, "the machine is running already");
	if (max_instructions)		/* the last count of all is none */
		b.icount = cpu->icount + MIN(max_instructions, UINT64_MAX - 1 - cpu->icount);
	m->stop = (struct plex86_stop){ 0 };
	m->stopped = false;
	int err = take_thread(m, &t, b.scan);
	if (!err && b.deadline_ns && b.scan) {
		err = set_timer(m, b.deadline_ns);
		if (err)
			leave_thread(m, &t);
	}
	if (!err) {
		run(m, &b);
		if (b.deadline_ns && b.scan)
			clear_timer(m);
		leave_thread(m, &t);
		uint64_t n = cpu->icount - begun_icount;
		report(m, stop, b.exact ? n : 0);
		m->meters.runs++;
		m->meters.run_ns += host_clock_ns() - begun_ns;
		m->meters.instructions += b.exact ? n : 0;
	}
	int result = err ? err : (int)m->stop.reason;
	__atomic_store_n(&m->running, 0, __ATOMIC_RELEASE);
	return result;
}

/* --- events from outside --- */

int plex86_interrupt(plex86 *m, uint32_t vector)
{
	if (vector > 255)
		return lib_fail(m, PLEX86_E_ARGUMENT, "vector %u", vector);
	if (m->cpu.intr_line)
		return lib_fail(m, PLEX86_E_BUSY, "the guest has not taken interrupt %u yet", m->vector);
	m->vector = (uint8_t)vector;
	m->cpu.intr_line = true;
	cpu_attend(&m->cpu, ATTN_EVENT);
	return PLEX86_OK;
}

int plex86_nmi(plex86 *m)
{
	if (m->cpu.nmi_pending)
		return lib_fail(m, PLEX86_E_BUSY, "the guest has not taken the last NMI yet");
	m->cpu.nmi_pending = true;
	cpu_attend(&m->cpu, ATTN_EVENT);
	return PLEX86_OK;
}

int plex86_raise(plex86 *m, uint32_t vector, uint32_t error_code)
{
	struct vcpu *cpu = &m->cpu;

	if (vector > 31 || vector == EXC_NMI)
		return lib_fail(m, PLEX86_E_ARGUMENT, "%u is not an exception's vector", vector);
	if (m->inside == INSIDE_INSN) {
		m->raise = true;
		m->raise_vector = (uint8_t)vector;
		m->raise_error = error_code;
		return PLEX86_OK;
	}
	if (m->inside != INSIDE_NOTHING || m->running)
		return lib_fail(m, PLEX86_E_BUSY, "an exception can be raised between runs and from an instruction callback");
	m->passed = false;
	cpu->insn_eip = cpu->eip;
	cpu->exc_vector = (uint8_t)vector;
	cpu->exc_error = error_code;
	m->delivering = true;
	m->shutdown = cpu_deliver_fault(cpu) == NEXT_TRIPLE_FAULT;
	m->delivering = false;
	return PLEX86_OK;
}
