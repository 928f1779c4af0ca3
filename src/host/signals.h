/*
 * The signals an engine lives by, on whatever thread a vCPU runs: the kick, the scanner's tick, the
 * profile's sample, and the faults of scanned code.
 *
 * Handlers belong to the process; what they do belongs to the thread they interrupt: it leaves its hooks
 * here while it runs a guest. What is not for the hooks goes to the handler that was
 * there before, so that a program we are a library of keeps its own.
 */
#ifndef PLEX86_HOST_SIGNALS_H
#define PLEX86_HOST_SIGNALS_H

#include <pthread.h>
#include <signal.h>
#include <sys/types.h>
#include <time.h>

#include "util/types.h"

#define HOST_KICK_SIGNAL	SIGRTMIN
#define HOST_TICK_SIGNAL	(SIGRTMIN + 1)
#define HOST_SAMPLE_SIGNAL	(SIGRTMIN + 2)

/* Called in the signal, with every other signal blocked, on the thread that set them. */
struct host_hooks {
	void (*kick)(void *arg, siginfo_t *info, void *ucontext);
	void (*tick)(void *arg, void *ucontext);
	void (*sample)(void *arg, void *ucontext);	/* a profile is being taken; may be NULL */
	/* SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE: true when it was the engine's business and is dealt with */
	bool (*fault)(void *arg, int sig, siginfo_t *info, void *ucontext);
	void *arg;
};

/* The calling thread's hooks, until the next call; NULL: none. Returns those it had. */
const struct host_hooks *host_hooks_set(const struct host_hooks *hooks);

/*
 * Install the handlers where others stand; they stay. From any thread. crash: the program's own report of a
 * fault that no hook takes; NULL: that goes to the handler there was before, or ends the process as it would
 * have without us.
 */
typedef void host_crash_fn(int sig, siginfo_t *info, void *ucontext);
void host_signals_install(host_crash_fn *crash);
bool host_signals_ours(void);		/* nobody has put a handler in the place of ours since; a quick look */

/* Let through the signals above (and no other that was blocked) on the calling thread. */
void host_signals_let_through(sigset_t *old);

/*
 * What every handler of ours blocks while it runs: they do not nest, because an engine's looks at where the
 * interrupted code was, and would see another handler there instead of scanned code. Only a crash of ours
 * gets through, to be reported.
 */
void host_handler_mask(sigset_t *mask);

void host_signals_restore(const sigset_t *old);

/* A thread that does not get the process's signals: they are meant for the vCPU's. 0 or -errno. */
int host_thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg);

/* What a handler can say: stdio's locks may be held. Both return where the text ends. */
char *host_put_text(char *p, const char *text);
char *host_put_number(char *p, uint64_t n, unsigned base);
void host_put_out(const char *text, size_t len);	/* to standard error */
#define HOST_INTERNAL_STATUS	2	/* STOP_INTERNAL, for a handler that ends the process */

/* Of the calling thread, for handlers: scanned code uses the host's stack in its own way. 0 or -errno. */
#define HOST_STACK_BYTES	(256 * 1024)
int host_stack_make(void **stack);
int host_stack_use(void *stack, stack_t *old);
void host_stack_restore(const stack_t *old);
void host_stack_free(void *stack);

pid_t host_thread_id(void);
/* A timer that is not set yet; its signal goes to the calling thread. 0 or -errno. */
int host_timer_make(timer_t *timer, clockid_t clock, int sig);
void host_thread_kick(pid_t tid);	/* a kick signal to a thread of this process, if it still lives */

#endif
