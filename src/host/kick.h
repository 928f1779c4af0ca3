/*
 * The kick: how anything outside the guest makes the vCPU's thread look up.
 *
 * A kick is a signal to the vCPU's thread whose handler sets ATTN_KICK. It comes from a POSIX timer
 * (the next device deadline), from the I/O thread (a descriptor became ready), or from a signal that
 * the user sent (SIGTERM...). A thread asleep in HLT waits on the attention word itself, so that a
 * kick between the last look and the sleep cannot be lost.
 *
 * The handlers run on an alternate stack, because scanned code uses the host stack in its own way (signals.h).
 */
#ifndef PLEX86_HOST_KICK_H
#define PLEX86_HOST_KICK_H

#include <signal.h>
#include <sys/types.h>
#include <time.h>

#include "host/signals.h"
#include "util/types.h"

#define HOST_NEVER	UINT64_MAX

struct host_kick {
	volatile uint32_t *attention;	/* the vCPU's; kick_bit is set in it */
	uint32_t kick_bit;
	/* Called by the handlers, in the signal's context, with the thread's ucontext. The engine that
	 * runs scanned code leaves it here; NULL: nothing to leave. */
	void (*kick_hook)(void *arg, void *ucontext);
	/* SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE: true when it was the engine's business and is dealt with. */
	bool (*fault_hook)(void *arg, int sig, siginfo_t *info, void *ucontext);
	void (*tick_hook)(void *arg, void *ucontext);
	void (*sample_hook)(void *arg, void *ucontext);
	void *hook_arg;

	volatile sig_atomic_t user_signal;	/* the first of SIGTERM, SIGINT, SIGHUP, SIGQUIT that arrived; 0 */
	volatile sig_atomic_t suspend;		/* SIGTSTP arrived */
	volatile sig_atomic_t continued;	/* SIGCONT arrived */
	volatile ns_t armed_ns;			/* when the timer goes off (host clock); HOST_NEVER: not armed */
	struct host_hooks hooks;
	timer_t timer;
	pid_t tid;
	void *stack;
};

/*
 * Become the vCPU's thread: timer, handlers, alternate stack. One in a process at a time.
 * 0 or -errno. kick stays where it is until host_kick_free().
 */
int host_kick_init(struct host_kick *kick, volatile uint32_t *attention, uint32_t kick_bit);
void host_kick_free(struct host_kick *kick);	/* the signals have their default meaning again */

/* A kick no later than when_ns (host clock). An earlier one that is already set stays: it costs one
 * needless look, which is cheaper than setting the timer at every change. */
void host_kick_at(struct host_kick *kick, ns_t when_ns);

/* The timer is not to kick by then: somebody sleeps until then, and would be woken too early, or twice. */
void host_kick_not_before(struct host_kick *kick, ns_t when_ns);

void host_kick_now(struct host_kick *kick);	/* from any thread */

/* Sleep until attention is not 0, or when_ns (host clock) has come. */
void host_kick_sleep(struct host_kick *kick, ns_t when_ns);

void host_suspend(void);	/* what SIGTSTP does by default; returns when continued */

#endif
