#include "host/kick.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/tty.h"

#define KICK_SIGNAL	SIGRTMIN
#define STACK_BYTES	(256 * 1024)

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* A signal handler is given nothing of ours: the one pointer it needs. */
static struct host_kick *the_kick;

static const int user_signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };
static const int fault_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE };

static void kick_set(struct host_kick *kick, void *ucontext)
{
	__atomic_or_fetch(kick->attention, kick->kick_bit, __ATOMIC_SEQ_CST);
	if (kick->kick_hook)
		kick->kick_hook(kick->hook_arg, ucontext);
}

/* In a signal. */
static void on_kick(int sig, siginfo_t *info, void *ucontext)
{
	struct host_kick *kick = the_kick;

	if (kick == NULL)
		return;
	if (info->si_code == SI_TIMER)
		kick->armed_ns = HOST_NEVER;
	kick_set(kick, ucontext);
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

static char *put_text(char *p, const char *text)
{
	while (*text)
		*p++ = *text++;
	return p;
}

static char *put_hex(char *p, uint64_t n)
{
	for (int shift = 60; shift >= 0; shift -= 4)
		if (n >> shift != 0 || shift == 0)
			*p++ = "0123456789abcdef"[n >> shift & 15];
	return p;
}

/*
 * In a signal. A fault that is not the engine's is our own mistake: leave the terminal usable, say what
 * a bug report needs, and die of it. No stdio: its locks may be held.
 */
static void on_fault(int sig, siginfo_t *info, void *ucontext)
{
	struct host_kick *kick = the_kick;
	const ucontext_t *uc = ucontext;
	char text[256], *p = text;

	if (kick && kick->fault_hook && kick->fault_hook(kick->hook_arg, sig, info, ucontext))
		return;
	host_tty_restore_all();
	p = put_text(p, "plex86: internal error: the monitor crashed, please report it (signal 0x");
	p = put_hex(p, (uint64_t)sig);
	p = put_text(p, " code 0x");
	p = put_hex(p, (uint32_t)info->si_code);
	p = put_text(p, " address 0x");
	p = put_hex(p, (uintptr_t)info->si_addr);
	p = put_text(p, " rip 0x");
	p = put_hex(p, (uint64_t)uc->uc_mcontext.gregs[REG_RIP]);
	p = put_text(p, ", host_kick_init at 0x");
	p = put_hex(p, (uintptr_t)host_kick_init);
	p = put_text(p, ")\n");
	ssize_t n = write(STDERR_FILENO, text, (size_t)(p - text));
	(void)n;
	signal(sig, SIG_DFL);
	raise(sig);		/* delivered when this handler returns */
}

/*
 * Handlers do not nest: an engine's looks at where the interrupted code was, and would see another
 * handler there instead of scanned code. Only a crash of ours gets through, to be reported.
 */
void host_handler_mask(sigset_t *mask)
{
	static const int crashes[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE };

	sigfillset(mask);
	for (size_t i = 0; i < ARRAY_LEN(crashes); i++)
		sigdelset(mask, crashes[i]);
}

static void handle(int sig, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	host_handler_mask(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
}

static int make_stack(struct host_kick *kick)
{
	stack_t ss = { .ss_size = STACK_BYTES };

	ss.ss_sp = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ss.ss_sp == MAP_FAILED)
		return -errno;
	kick->stack = ss.ss_sp;
	return sigaltstack(&ss, NULL) == 0 ? 0 : -errno;
}

int host_kick_init(struct host_kick *kick, volatile uint32_t *attention, uint32_t kick_bit)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = KICK_SIGNAL };

	*kick = (struct host_kick){ .attention = attention, .kick_bit = kick_bit, .armed_ns = HOST_NEVER };
	kick->tid = (pid_t)syscall(SYS_gettid);
	int rc = make_stack(kick);
	if (rc < 0)
		return rc;
	the_kick = kick;
	handle(KICK_SIGNAL, on_kick);
	for (size_t i = 0; i < ARRAY_LEN(user_signals); i++)
		handle(user_signals[i], on_user_signal);
	handle(SIGTSTP, on_user_signal);
	handle(SIGCONT, on_user_signal);
	for (size_t i = 0; i < ARRAY_LEN(fault_signals); i++)
		handle(fault_signals[i], on_fault);
	signal(SIGPIPE, SIG_IGN);	/* a reader that went away is an error of write(), not the end of the guest */

	ev.sigev_notify_thread_id = kick->tid;
	if (timer_create(CLOCK_MONOTONIC, &ev, &kick->timer) < 0)
		return -errno;
	return 0;
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
	for (size_t i = 0; i < ARRAY_LEN(fault_signals); i++)
		signal(fault_signals[i], SIG_DFL);
	signal(KICK_SIGNAL, SIG_IGN);
	the_kick = NULL;
	stack_t off = { .ss_flags = SS_DISABLE };
	sigaltstack(&off, NULL);
	munmap(kick->stack, STACK_BYTES);
}

static struct timespec to_timespec(ns_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };
}

void host_kick_at(struct host_kick *kick, ns_t when_ns)
{
	if (when_ns >= kick->armed_ns || when_ns == HOST_NEVER)
		return;
	/* Before the call: the timer may go off, and clear it, before the call returns. */
	kick->armed_ns = when_ns;
	struct itimerspec it = { .it_value = to_timespec(when_ns == 0 ? 1 : when_ns) };
	timer_settime(kick->timer, TIMER_ABSTIME, &it, NULL);
}

void host_kick_now(struct host_kick *kick)
{
	__atomic_or_fetch(kick->attention, kick->kick_bit, __ATOMIC_SEQ_CST);
	syscall(SYS_tgkill, getpid(), kick->tid, KICK_SIGNAL);
}

void host_kick_sleep(struct host_kick *kick, ns_t when_ns)
{
	struct timespec ts = to_timespec(when_ns);

	/* Returns at once if attention is no longer 0, and with EINTR from a handler that set it. */
	syscall(SYS_futex, kick->attention, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 0,
	    when_ns == HOST_NEVER ? NULL : &ts, NULL, FUTEX_BITSET_MATCH_ANY);
}

void host_suspend(void)
{
	raise(SIGSTOP);
}

void host_signals_block(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, old);
}

void host_signals_restore(const sigset_t *old)
{
	pthread_sigmask(SIG_SETMASK, old, NULL);
}
