#include "host/kick.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/tty.h"

/* The user's signals may come to any thread: the one pointer their handler needs. */
static struct host_kick *the_kick;

static const int user_signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };

IN_SIGNAL static void kick_set(struct host_kick *kick, void *ucontext)
{
	__atomic_or_fetch(kick->attention, kick->kick_bit, __ATOMIC_SEQ_CST);
	if (kick->kick_hook)
		kick->kick_hook(kick->hook_arg, ucontext);
}

/* In a signal. */
IN_SIGNAL static void on_kick(void *arg, siginfo_t *info, void *ucontext)
{
	struct host_kick *kick = arg;

	if (info->si_code == SI_TIMER)
		kick->armed_ns = HOST_NEVER;
	kick_set(kick, ucontext);
}

/* In a signal. */
IN_SIGNAL static void on_tick(void *arg, void *ucontext)
{
	struct host_kick *kick = arg;

	if (kick->tick_hook)
		kick->tick_hook(kick->hook_arg, ucontext);
}

/* In a signal. */
IN_SIGNAL static void on_sample(void *arg, void *ucontext)
{
	struct host_kick *kick = arg;

	if (kick->sample_hook)
		kick->sample_hook(kick->hook_arg, ucontext);
}

/* In a signal. */
static bool on_fault(void *arg, int sig, siginfo_t *info, void *ucontext)
{
	struct host_kick *kick = arg;

	return kick->fault_hook && kick->fault_hook(kick->hook_arg, sig, info, ucontext);
}

/* In a signal. */
static void on_user_signal(int sig, siginfo_t *info, void *ucontext)
{
	struct host_kick *kick = the_kick;

	if (kick == NULL)
		return;
	if (sig == SIGTSTP)
		kick->suspend = 1;
	else if (sig == SIGCONT)
		kick->continued = 1;
	else if (kick->user_signal == 0)
		kick->user_signal = sig;
	kick_set(kick, ucontext);
}

/*
 * In a signal. A fault that is not the engine's is our own mistake: leave the terminal usable, say what
 * a bug report needs, and die of it. No stdio: its locks may be held.
 */
static void on_crash(int sig, siginfo_t *info, void *ucontext)
{
	const ucontext_t *uc = ucontext;
	char text[256], *p = text;

	host_tty_restore_all();
	/* Guest memory is a file in memory: what cannot be given when it is touched arrives like this. */
	if (sig == SIGBUS && info->si_code == BUS_ADRERR) {
		static const char none[] = "plex86: the host has no memory left for the guest (its own, or what a cgroup allows): ended; "
		    "the disks are as the guest flushed them\n";
		host_put_out(none, sizeof(none) - 1);
		_exit(HOST_INTERNAL_STATUS);
	}
	p = host_put_text(p, "plex86: internal error: the monitor crashed, please report it (signal 0x");
	p = host_put_number(p, (uint64_t)sig, 16);
	p = host_put_text(p, " code 0x");
	p = host_put_number(p, (uint32_t)info->si_code, 16);
	p = host_put_text(p, " address 0x");
	p = host_put_number(p, (uintptr_t)info->si_addr, 16);
	p = host_put_text(p, " rip 0x");
	p = host_put_number(p, (uint64_t)uc->uc_mcontext.gregs[REG_RIP], 16);
	p = host_put_text(p, ", host_kick_init at 0x");
	p = host_put_number(p, (uintptr_t)host_kick_init, 16);
	p = host_put_text(p, ")\n");
	host_put_out(text, (size_t)(p - text));
	signal(sig, SIG_DFL);
	raise(sig);		/* delivered when this handler returns */
}

static void handle(int sig, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	host_handler_mask(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
}

int host_kick_init(struct host_kick *kick, volatile uint32_t *attention, uint32_t kick_bit)
{
	*kick = (struct host_kick){ .attention = attention, .kick_bit = kick_bit, .armed_ns = HOST_NEVER };
	kick->hooks = (struct host_hooks){ .kick = on_kick, .tick = on_tick, .sample = on_sample, .fault = on_fault, .arg = kick };
	kick->tid = host_thread_id();
	int rc = host_stack_make(&kick->stack);
	if (rc == 0)
		rc = host_stack_use(kick->stack, NULL);
	if (rc < 0)
		return rc;
	prctl(PR_SET_TIMERSLACK, 1000ul);	/* 1 us: guests that wait are short sleepers */
	the_kick = kick;
	host_signals_install(on_crash);
	host_hooks_set(&kick->hooks);
	for (size_t i = 0; i < ARRAY_LEN(user_signals); i++)
		handle(user_signals[i], on_user_signal);
	handle(SIGTSTP, on_user_signal);
	handle(SIGCONT, on_user_signal);
	signal(SIGPIPE, SIG_IGN);	/* a reader that went away is an error of write(), not the end of the guest */
	return host_timer_make(&kick->timer, CLOCK_MONOTONIC, HOST_KICK_SIGNAL);
}

void host_kick_free(struct host_kick *kick)
{
	if (the_kick != kick)
		return;
	timer_delete(kick->timer);
	for (size_t i = 0; i < ARRAY_LEN(user_signals); i++)
		signal(user_signals[i], SIG_DFL);
	signal(SIGTSTP, SIG_DFL);
	signal(SIGCONT, SIG_DFL);
	host_hooks_set(NULL);
	the_kick = NULL;
	stack_t off = { .ss_flags = SS_DISABLE };
	host_stack_restore(&off);
	host_stack_free(kick->stack);
}

void host_kick_at(struct host_kick *kick, ns_t when_ns)
{
	if (when_ns >= kick->armed_ns || when_ns == HOST_NEVER)
		return;
	/* Before the call: the timer may go off, and clear it, before the call returns. */
	kick->armed_ns = when_ns;
	struct itimerspec it = { .it_value = host_timespec(when_ns == 0 ? 1 : when_ns) };
	timer_settime(kick->timer, TIMER_ABSTIME, &it, NULL);
}

void host_kick_not_before(struct host_kick *kick, ns_t when_ns)
{
	if (kick->armed_ns == HOST_NEVER || kick->armed_ns > when_ns)
		return;
	kick->armed_ns = HOST_NEVER;
	timer_settime(kick->timer, 0, &(struct itimerspec){ 0 }, NULL);
}

void host_kick_now(struct host_kick *kick)
{
	__atomic_or_fetch(kick->attention, kick->kick_bit, __ATOMIC_SEQ_CST);
	host_thread_kick(kick->tid);
}

void host_kick_sleep(struct host_kick *kick, ns_t when_ns)
{
	struct timespec ts = host_timespec(when_ns);

	/* Returns at once if attention is no longer 0, and with EINTR from a handler that set it. */
	syscall(SYS_futex, kick->attention, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 0,
	    when_ns == HOST_NEVER ? NULL : &ts, NULL, FUTEX_BITSET_MATCH_ANY);
}

void host_suspend(void)
{
	raise(SIGSTOP);
}
