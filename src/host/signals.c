/* See signals.h. */
#include "host/signals.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* Ours; and what was there before, NULL where nothing was. What a handler must reach without being given it. */
enum { KICK, TICK, SAMPLE, FAULTS };
#define KICK_TRIES 10000
static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE };
#define SIGNALS (FAULTS + ARRAY_LEN(faults))
static host_crash_fn *previous[SIGNALS];
static pthread_mutex_t installing = PTHREAD_MUTEX_INITIALIZER;

/* initial-exec: a handler must not be the first to touch it, which would allocate. */
static __thread const struct host_hooks *hooks __attribute__((tls_model("initial-exec")));
static __thread struct { const siginfo_t *info; const void *frame; } passing __attribute__((tls_model("initial-exec")));

const struct host_hooks *host_hooks_set(const struct host_hooks *new)
{
	const struct host_hooks *old = hooks;

	__atomic_store_n(&hooks, new, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return old;
}

/*
 * sigaction() by the kernel's call: what stands before the C library's in a program with ThreadSanitizer keeps signals back
 * until that program makes a call itself, which scanned code never does, and a kick would never come. (The kernel's structure is
 * not the C library's, and wants the way back from a handler named.)
 */
struct kernel_sigaction {
	union {
		host_crash_fn *handler;
		void (*plain)(int);
	};
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};
#define SA_RESTORER_GIVEN	0x04000000

/* The very bytes by which unwinders and debuggers know a signal's frame. */
void host_signal_return(void) __attribute__((visibility("hidden")));
__asm__(".text\n.type host_signal_return, @function\n\tnop\nhost_signal_return:\n\tmov $15, %rax\n\tsyscall\n"
	".size host_signal_return, . - host_signal_return");

static int signal_action(int sig, const struct kernel_sigaction *new, struct kernel_sigaction *old)
{
	return (int)syscall(SYS_rt_sigaction, sig, new, old, sizeof(uint64_t));
}

/*
 * To the handler that was there before us, if there was one; false: nobody took it. Who came before us once may
 * have come again behind us, and pass on to us: then it is nobody's.
 */
static bool pass_on(unsigned slot, int sig, siginfo_t *info, void *ucontext)
{
	host_crash_fn *old = __atomic_load_n(&previous[slot], __ATOMIC_ACQUIRE);

	const void *frame = __builtin_frame_address(0);

	/* The same signal, further down the stack. (No flag: the handler may leave by a jump.) */
	if (!old || (passing.info == info && frame < passing.frame))
		return false;
	passing.info = info;
	passing.frame = frame;
	old(sig, info, ucontext);	/* one that takes the signal's number only does not mind the rest */
	passing.info = NULL;
	return true;
}

/* In a signal. One that comes late, from a timer that is gone, means nothing. */
IN_SIGNAL static void on_kick(int sig, siginfo_t *info, void *ucontext)
{
	int saved = errno;

	if (hooks && hooks->kick)
		hooks->kick(hooks->arg, info, ucontext);
	else
		pass_on(KICK, sig, info, ucontext);
	errno = saved;
}

/* In a signal. */
IN_SIGNAL static void on_tick(int sig, siginfo_t *info, void *ucontext)
{
	int saved = errno;

	if (hooks && hooks->tick)
		hooks->tick(hooks->arg, ucontext);
	else
		pass_on(TICK, sig, info, ucontext);
	errno = saved;
}

/* In a signal. */
IN_SIGNAL static void on_sample(int sig, siginfo_t *info, void *ucontext)
{
	int saved = errno;

	if (hooks && hooks->sample)
		hooks->sample(hooks->arg, ucontext);
	else
		pass_on(SAMPLE, sig, info, ucontext);
	errno = saved;
}

/* In a signal. */
static void on_fault(int sig, siginfo_t *info, void *ucontext)
{
	int saved = errno;
	unsigned i = 0;

	if (hooks && hooks->fault && hooks->fault(hooks->arg, sig, info, ucontext)) {
		errno = saved;
		return;
	}
	while (faults[i] != sig)
		i++;
	if (!pass_on(FAULTS + i, sig, info, ucontext)) {
		signal(sig, SIG_DFL);		/* back to the instruction, which ends the process... */
		if (info->si_code <= 0)
			raise(sig);		/* ... unless there was none: somebody sent it */
	}
	errno = saved;
}

void host_handler_mask(sigset_t *mask)
{
	static const int crashes[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS };

	sigfillset(mask);
	for (size_t i = 0; i < ARRAY_LEN(crashes); i++)
		sigdelset(mask, crashes[i]);
}

static void install(int sig, unsigned slot, host_crash_fn *handler)
{
	struct kernel_sigaction sa = { .handler = handler, .flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_RESTORER_GIVEN,
		.restorer = host_signal_return }, old;
	sigset_t mask;

	signal_action(sig, NULL, &old);
	if (old.handler == handler && (old.flags & sa.flags) == sa.flags)
		return;
	/* before the new one can run */
	if (old.plain == SIG_DFL || old.plain == SIG_IGN)
		__atomic_store_n(&previous[slot], NULL, __ATOMIC_RELEASE);
	else if (old.handler != handler)
		__atomic_store_n(&previous[slot], old.handler, __ATOMIC_RELEASE);
	host_handler_mask(&mask);
	memcpy(&sa.mask, &mask, sizeof(sa.mask));	/* signals 1 to 64 are its first bits */
	signal_action(sig, &sa, NULL);
}

void host_signals_install(host_crash_fn *crash)
{
	pthread_mutex_lock(&installing);
	install(HOST_KICK_SIGNAL, KICK, on_kick);
	install(HOST_TICK_SIGNAL, TICK, on_tick);
	install(HOST_SAMPLE_SIGNAL, SAMPLE, on_sample);
	for (unsigned i = 0; i < ARRAY_LEN(faults); i++) {
		install(faults[i], FAULTS + i, on_fault);
		if (crash)
			__atomic_store_n(&previous[FAULTS + i], crash, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&installing);
}

bool host_signals_ours(void)
{
	struct kernel_sigaction now;

	return signal_action(SIGSEGV, NULL, &now) == 0 && now.handler == on_fault && now.flags & SA_ONSTACK;
}

void host_signals_let_through(sigset_t *old)
{
	sigset_t ours;

	sigemptyset(&ours);
	sigaddset(&ours, HOST_KICK_SIGNAL);
	sigaddset(&ours, HOST_TICK_SIGNAL);
	sigaddset(&ours, HOST_SAMPLE_SIGNAL);
	for (size_t i = 0; i < ARRAY_LEN(faults); i++)
		sigaddset(&ours, faults[i]);
	pthread_sigmask(SIG_UNBLOCK, &ours, old);
}

void host_signals_restore(const sigset_t *old)
{
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

int host_thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg)
{
	sigset_t all, old;

	sigfillset(&all);
	sigdelset(&all, SIGSYS);	/* the sandbox's: blocked, it would end us without a word */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int rc = -pthread_create(thread, NULL, fn, arg);
	host_signals_restore(&old);
	return rc;
}

char *host_put_text(char *p, const char *text)
{
	while (*text)
		*p++ = *text++;
	return p;
}

char *host_put_number(char *p, uint64_t n, unsigned base)
{
	char digits[24];
	unsigned len = 0;

	do
		digits[len++] = "0123456789abcdef"[n % base];
	while ((n /= base) > 0);
	while (len > 0)
		*p++ = digits[--len];
	return p;
}

void host_put_out(const char *text, size_t len)
{
	ssize_t n = write(STDERR_FILENO, text, len);
	(void)n;
}

int host_stack_make(void **stack)
{
	void *p = mmap(NULL, HOST_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	*stack = p;
	return 0;
}

int host_stack_use(void *stack, stack_t *old)
{
	stack_t ss = { .ss_sp = stack, .ss_size = HOST_STACK_BYTES };

	return sigaltstack(&ss, old) == 0 ? 0 : -errno;
}

void host_stack_restore(const stack_t *old)
{
	sigaltstack(old, NULL);
}

void host_stack_free(void *stack)
{
	if (stack)
		munmap(stack, HOST_STACK_BYTES);
}

pid_t host_thread_id(void)
{
	return (pid_t)syscall(SYS_gettid);
}

void host_thread_kick(pid_t tid)
{
	/* A queued signal takes room of the user's, which his other processes may have used up for the moment. */
	for (unsigned i = 0; syscall(SYS_tgkill, getpid(), tid, HOST_KICK_SIGNAL) < 0 && errno == EAGAIN && i < KICK_TRIES; i++) {
		struct timespec ms = { 0, 1000000 };
		uint32_t never = 0;

		/* of the ways to wait the one that every thread of a confined monitor has */
		syscall(SYS_futex, &never, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, &ms, NULL, 0);
	}
}

int host_timer_make(timer_t *timer, clockid_t clock, int sig)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = sig };

	ev.sigev_notify_thread_id = host_thread_id();
	return timer_create(clock, &ev, timer) == 0 ? 0 : -errno;
}
