/*
 * The library as a guest in its host process: the host's own signal handlers, its thread's state, its resources, and many
 * machines in several threads.
 */
#include <dirent.h>
#include <fenv.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/lib/rig.h"
#include "tests/test.h"
#include "util/sanitizer.h"

/* --- signals --- */

static sigjmp_buf caught;
static volatile sig_atomic_t faults;

static void on_own_fault(int sig, siginfo_t *info, void *ucontext)
{
	faults++;
	siglongjmp(caught, 1);
}

static void on_own_kick(int sig)
{
	faults++;
}

static void fault_once(void)
{
	if (sigsetjmp(caught, 1) == 0)
		__asm__ volatile("movl $1, 16" : : : "memory");
}

PROGRAM(memory, "mov $0x20000, %ebx; mov $1000, %ecx; 1: mov %ecx, (%ebx,%ecx,4); add (%ebx,%ecx,4), %eax; call 2f; loop 1b; hlt; 2: ret")

static void check_memory(plex86 *m)
{
	plex86_set(m, PLEX86_EIP, CODE);
	plex86_set(m, PLEX86_EAX, 0);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK_EQ(reg(m, PLEX86_EAX), 500500);
}

TEST(programs_own_handlers_keep_their_signals)
{
	struct sigaction sa = { .sa_sigaction = on_own_fault, .sa_flags = SA_SIGINFO }, old, kick = { .sa_handler = on_own_kick };
	plex86 *m;

	sigaction(SIGSEGV, &sa, &old);
	sigaction(SIGRTMIN, &kick, NULL);
	faults = 0;
	m = machine(PLEX86_SCAN, memory);
	check_memory(m);
	for (unsigned i = 1; i <= 3; i++) {
		fault_once();			/* ours, between runs */
		CHECK_EQ(faults, i);
		check_memory(m);
	}
	raise(SIGRTMIN);
	CHECK_EQ(faults, 4);
	sigaction(SIGSEGV, &sa, NULL);		/* in the library's place: it takes it again, and passes on */
	check_memory(m);
	fault_once();
	CHECK_EQ(faults, 5);
	plex86_destroy(m);
	fault_once();
	CHECK_EQ(faults, 6);
	sigaction(SIGSEGV, &old, NULL);
}

static int fault_in_callback(void *arg, plex86 *m, uint32_t port, uint32_t size, uint32_t value)
{
	fault_once();
	return PLEX86_CONTINUE;
}

PROGRAM(out_memory, "mov $0x20000, %ebx; mov %ebx, (%ebx); out %al, $1; mov (%ebx), %eax; hlt")

TEST(fault_of_the_programs_own_in_a_callback_is_its_own)
{
	struct sigaction sa = { .sa_sigaction = on_own_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK }, old;
	plex86 *m;

	sigaction(SIGSEGV, &sa, &old);
	faults = 0;
	m = machine(PLEX86_SCAN, out_memory);
	plex86_on_port(m, 1, 1, NULL, fault_in_callback, NULL);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK_EQ(faults, 1);
	CHECK_EQ(reg(m, PLEX86_EAX), 0x20000);
	plex86_destroy(m);
	sigaction(SIGSEGV, &old, NULL);
}

static plex86 *looping;

static void kick_in_handler(int sig)
{
	plex86_kick(looping);
}

PROGRAM(loop, "mov $0x20000, %ebx; 1: inc %eax; mov %eax, (%ebx); call 2f; jmp 1b; 2: ret")

/* With its own stack and, as signal() has it, on the one that scanned code has just then. */
TEST(kick_from_a_handler_of_the_programs_own_ends_the_run_it_interrupted)
{
	struct sigaction sa = { .sa_handler = kick_in_handler }, old;
	struct itimerval often = { .it_interval.tv_usec = 1000, .it_value.tv_usec = 1000 }, never = { 0 };
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);

	looping = machine(PLEX86_SCAN, loop);
	for (unsigned i = 0; i < 2; i++) {
		sa.sa_flags = i == 0 ? SA_ONSTACK : 0;
		sigaction(SIGALRM, &sa, &old);
		setitimer(ITIMER_REAL, &often, NULL);
		for (unsigned k = 0; k < 50; k++)
			CHECK_EQ(plex86_run(looping, 0, 0, &stop), PLEX86_STOP_KICK);
		setitimer(ITIMER_REAL, &never, NULL);
		sigaction(SIGALRM, &old, NULL);
	}
	sigset_t now;
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	CHECK(!sigismember(&now, SIGRTMIN));
	plex86_destroy(looping);
}

/* --- the thread's state --- */

PROGRAM(unmask, "mov $0x20000, %ebx; movl $0x4700, (%ebx); ldmxcsr (%ebx); movw $0x0C7F, (%ebx); fldcw (%ebx); fld1; fld1; std; hlt")

ENGINES(run_leaves_the_thread_as_it_was)
{
	plex86 *m = machine(engine, unmask);
	sigset_t blocked, now;
	stack_t stack = { .ss_sp = malloc(65536), .ss_size = 65536 }, stack_now;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGSEGV);
	sigaddset(&blocked, SIGRTMIN);
	sigaddset(&blocked, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &blocked, NULL);
	sigaltstack(&stack, NULL);
	fesetround(FE_UPWARD);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK_EQ(fegetround(), FE_UPWARD);
	fesetround(FE_TONEAREST);
	volatile long double one = 1, three = 3;
	CHECK(one / three * three == one);		/* the x87 stack has room, and its precision */
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	CHECK(sigismember(&now, SIGSEGV) && sigismember(&now, SIGRTMIN) && sigismember(&now, SIGUSR1));
	CHECK(!sigismember(&now, SIGTRAP));
	sigaltstack(NULL, &stack_now);
	CHECK(stack_now.ss_sp == stack.ss_sp);
	sigemptyset(&blocked);
	pthread_sigmask(SIG_SETMASK, &blocked, NULL);
	stack_now.ss_flags = SS_DISABLE;
	sigaltstack(&stack_now, NULL);
	free(stack.ss_sp);
	plex86_destroy(m);
}

/* --- threads --- */

/*
 * Something of everything: calls, memory in both directions, flags, x87, SSE, a table of code pointers, code that changes
 * itself, string instructions. EAX at the end depends on all of it and on the seed in EAX.
 */
PROGRAM(work, "mov $0x20000, %ebx; mov $400, %ebp; 1: mov $255, %ecx\n"
	"2: imul $0x19660D, %eax, %eax; add $0x3C6EF35F, %eax; mov %eax, (%ebx,%ecx,4); rol $7, %eax; call 5f; loop 2b\n"
	"mov $255, %ecx; 3: adc (%ebx,%ecx,4), %eax; xor %ah, %al; loop 3b\n"
	"mov %eax, (%ebx); fildl (%ebx); fsqrt; fistpl 4(%ebx); add 4(%ebx), %eax\n"
	"movups (%ebx), %xmm0; paddd 16(%ebx), %xmm0; movups %xmm0, 32(%ebx)\n"
	"mov $0x20000, %esi; mov $0x21000, %edi; mov $200, %ecx; rep movsl; xor -4(%edi), %eax\n"
	"movb %al, 0x1001 + 4f - program_work; 4: xor $0x11, %al; dec %ebp; jnz 1b; hlt\n"
	"5: push %edx; mov %eax, %edx; and $1, %edx; jz 6f; inc %eax; 6: pop %edx; ret")

struct result {
	uint32_t reg[10];
	uint64_t memory;
};

static struct result result_of(plex86 *m)
{
	struct result r = { .memory = 1469598103934665603u };
	const uint8_t *p = plex86_memory(m, 0, MEMORY);

	for (int i = 0; i < 10; i++)
		r.reg[i] = reg(m, i);
	for (size_t i = 0; i < MEMORY; i++)
		r.memory = (r.memory ^ p[i]) * 1099511628211u;
	return r;
}

static struct result work_alone(enum plex86_engine engine, uint32_t seed)
{
	plex86 *m = machine(engine, work);

	plex86_set(m, PLEX86_EAX, seed);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	struct result r = result_of(m);
	plex86_destroy(m);
	return r;
}

enum { MACHINES = 8, THREADS = 4 };

struct pool {
	pthread_mutex_t lock;
	plex86 *machine[MACHINES];
	bool busy[MACHINES], done[MACHINES];
	int last[MACHINES];			/* who had it: each time it is somebody else */
	unsigned threads_used[MACHINES];	/* bits: so that a machine is seen to wander */
	unsigned wrong;
};

struct worker {
	struct pool *pool;
	unsigned number;
};

static int take(struct pool *p, unsigned from, int who)
{
	int found = -1;

	pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < MACHINES && found < 0; i++) {
		unsigned k = (from + i) % MACHINES;
		if (!p->busy[k] && !p->done[k] && p->last[k] != who)
			found = (int)k;
	}
	if (found >= 0) {
		p->busy[found] = true;
		p->last[found] = who;
	}
	pthread_mutex_unlock(&p->lock);
	return found;
}

/* Each machine a little further, whichever is free, until all are through. */
static void *work_on(void *arg)
{
	struct worker *w = arg;
	struct pool *p = w->pool;
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	unsigned from = w->number;

	for (bool all = false; !all; ) {
		int k = take(p, from++, (int)w->number);
		if (k < 0) {
			usleep(100);
		} else {
			int why = from % 5 ? plex86_run(p->machine[k], 0, 300000, &stop) : plex86_run(p->machine[k], 1000 + 1000 * (from % 50), 0, &stop);
			pthread_mutex_lock(&p->lock);
			p->busy[k] = false;
			p->done[k] = why == PLEX86_STOP_HALT;
			p->wrong += why != PLEX86_STOP_HALT && why != PLEX86_STOP_TIMEOUT && why != PLEX86_STOP_LIMIT;
			p->threads_used[k] |= 1u << w->number;
			pthread_mutex_unlock(&p->lock);
		}
		pthread_mutex_lock(&p->lock);
		all = true;
		for (unsigned i = 0; i < MACHINES; i++)
			all &= p->done[i];
		all |= p->wrong != 0;
		pthread_mutex_unlock(&p->lock);
	}
	return NULL;
}

TEST(eight_machines_wander_over_four_threads_and_come_to_the_same_in_both_engines)
{
	struct pool p = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct worker w[THREADS];
	pthread_t t[THREADS];
	unsigned wandered = 0;

	for (unsigned i = 0; i < MACHINES; i++) {
		p.machine[i] = machine(i & 1 ? PLEX86_EMULATE : PLEX86_SCAN, work);
		p.last[i] = -1;
		plex86_set(p.machine[i], PLEX86_EAX, i / 2);		/* two of each seed, one by each engine */
	}
	for (unsigned i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ &p, i };
		CHECK_EQ(pthread_create(&t[i], NULL, work_on, &w[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(p.wrong, 0);
	for (unsigned i = 0; i < MACHINES; i++) {
		struct result r = result_of(p.machine[i]), alone = work_alone(PLEX86_EMULATE, i / 2);
		CHECK_EQ(memcmp(&r, &alone, sizeof(r)), 0);
		wandered += (p.threads_used[i] & (p.threads_used[i] - 1)) != 0;
		plex86_destroy(p.machine[i]);
	}
	CHECK(wandered > 0);
}

static void *create_and_run(void *arg)
{
	struct result *out = arg;

	for (unsigned i = 0; i < 10; i++)
		out[i] = work_alone(i & 1 ? PLEX86_SCAN : PLEX86_EMULATE, 3);
	return NULL;
}

TEST(machines_are_made_used_and_destroyed_in_several_threads_at_once)
{
	static struct result r[THREADS][10];
	pthread_t t[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, create_and_run, r[i]), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (unsigned i = 0; i < THREADS; i++)
		for (unsigned k = 0; k < 10; k++)
			CHECK_EQ(memcmp(&r[i][k], &r[0][0], sizeof(r[0][0])), 0);
}

static void *run_memory(void *arg)
{
	check_memory(arg);
	return NULL;
}

TEST(scanned_machine_runs_in_a_thread_that_is_not_the_one_that_made_it)
{
	plex86 *m = machine(PLEX86_SCAN, memory), *other = machine(PLEX86_SCAN, memory);
	pthread_t t;

	for (unsigned i = 0; i < 5; i++) {
		check_memory(m);
		check_memory(other);		/* in turn: neither may rely on the other's GS */
		CHECK_EQ(pthread_create(&t, NULL, run_memory, m), 0);
		pthread_join(t, NULL);
	}
	plex86_destroy(m);
	plex86_destroy(other);
}

/* --- resources --- */

static unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static unsigned count_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned n = 0;
	int c;

	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

#define SLACK_PAGES (SANITIZER ? 1ul << 20 : 1024ul)	/* AddressSanitizer holds back what was freed */

static unsigned long resident_pages(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long size = 0, resident = 0;

	CHECK_EQ(fscanf(f, "%lu %lu", &size, &resident), 2);
	fclose(f);
	return resident;
}

TEST(thousand_machines_come_and_go_and_leave_nothing)
{
	unsigned fds = 0, mappings = 0;
	unsigned long resident = 0;
	void *buffer = aligned_alloc(4096, 4096);

	for (unsigned i = 0; i < 1000; i++) {
		plex86 *m = machine(i & 1 ? PLEX86_SCAN : PLEX86_EMULATE, memory);
		plex86_snapshot *s;
		CHECK_EQ(plex86_map(m, 0x400000, 4096, 0, buffer), 0);
		check_memory(m);
		if (i % 10 == 1) {
			plex86_run(m, 0, 1000000000, NULL);
			plex86_on_port(m, 1, 1, NULL, fault_in_callback, NULL);
			CHECK_EQ(plex86_snapshot_take(m, &s), 0);
			plex86_snapshot_free(s);
		}
		plex86_destroy(m);
		if (i == 50) {			/* by now all that is made once has been made */
			fds = count_fds();
			mappings = count_mappings();
			resident = resident_pages();
		}
	}
	CHECK_EQ(count_fds(), fds);
	CHECK(count_mappings() <= mappings + 8);		/* the C library's own come and go */
	CHECK(resident_pages() < resident + SLACK_PAGES);
	free(buffer);
}

TEST(many_machines_stand_side_by_side)
{
	plex86 *m[64];

	for (unsigned i = 0; i < 64; i++)
		m[i] = machine(PLEX86_SCAN, memory);
	for (unsigned i = 0; i < 64; i++)
		check_memory(m[i]);
	for (unsigned i = 0; i < 64; i++)
		plex86_destroy(m[i]);
}

/* Pages in an order that no two mappings can be one. */
static void scattered_pages(plex86 *m)
{
	enum { DIRECTORY = 0x40000, PAGES = 8192, AT = 0x2000000 };

	CHECK_EQ(plex86_map(m, AT, PAGES * 4096, 0, NULL), 0);
	uint32_t *directory = plex86_memory(m, DIRECTORY, 0x10000), *table = directory + 1024;
	directory[0] = (DIRECTORY + 0x1000) | 0x67;
	for (uint32_t i = 0; i < 1024; i++)
		table[i] = i << 12 | 0x67;
	for (uint32_t t = 0; t < PAGES / 1024; t++)
		directory[512 + t] = (DIRECTORY + 0x2000 + (t << 12)) | 0x67;
	for (uint32_t i = 0; i < PAGES; i++)
		table[1024 + i] = (AT + (i * 4099 % PAGES << 12)) | 0x67;
	plex86_set(m, PLEX86_CR3, DIRECTORY);
	CHECK_EQ(plex86_set(m, PLEX86_CR0, reg(m, PLEX86_CR0) | 0x80010000), 0);
}

PROGRAM(scatter, "mov $0x80000000, %ebx; mov $8192, %ecx; 1: incl (%ebx); add (%ebx), %eax; add $4096, %ebx; loop 1b; hlt")

TEST(machines_share_the_processs_mappings_and_leave_it_some)
{
	plex86 *m[12];
	void *own[200];

	for (unsigned i = 0; i < 12; i++) {
		m[i] = machine(PLEX86_SCAN, scatter);
		scattered_pages(m[i]);
	}
	for (unsigned i = 0; i < 12; i++) {
		CHECK_EQ(plex86_run(m[i], 0, 0, NULL), PLEX86_STOP_HALT);
		CHECK_EQ(reg(m[i], PLEX86_EAX), 8192);
	}
	for (unsigned i = 0; i < 200; i++) {
		own[i] = mmap(NULL, 4096, i & 1 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(own[i] != MAP_FAILED);
	}
	for (unsigned i = 0; i < 200; i++)
		munmap(own[i], 4096);
	for (unsigned i = 0; i < 12; i++)
		plex86_destroy(m[i]);
}
