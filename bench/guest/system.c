/* What a kernel is asked for: system calls, processes, memory maps, files, signals. */
#include "bench.h"

static uint32_t run_getppid(uint32_t n)
{
	uint32_t bad = 0;
	long parent = sys0(SYS_GETPPID);

	while (n--)
		bad += sys0(SYS_GETPPID) != parent;
	return bad;
}

/* Through the vDSO, as a C library does it: SYSENTER where the kernel has it. */
static uint32_t run_getppid_vdso(uint32_t n)
{
	uint32_t bad = 0;
	long parent = sys0(SYS_GETPPID), got;

	if (!vsyscall)
		return run_getppid(n);
	while (n--) {
		__asm__ volatile("call *%1" : "=a"(got) : "m"(vsyscall), "a"(SYS_GETPPID) : "memory", "ecx", "edx");
		bad += got != parent;
	}
	return bad;
}

static uint32_t run_clock_gettime(uint32_t n)
{
	enum { CLOCK_MONOTONIC = 1 };
	struct timespec32 now, last = { 0 };
	uint32_t back = 0;

	while (n--) {
		if (!vdso_clock_gettime || vdso_clock_gettime(CLOCK_MONOTONIC, &now))
			sys2(SYS_CLOCK_GETTIME, CLOCK_MONOTONIC, &now);
		back += now.sec < last.sec || (now.sec == last.sec && now.nsec < last.nsec);
		last = now;
	}
	return back;	/* time that ran backwards */
}

static void wait_for(long child)
{
	int status = 0;

	if (child < 0)
		die("fork failed");
	sys4(SYS_WAIT4, child, &status, 0, 0);
	if (status)
		die("a child failed");
}

/* Two processes pass a byte to and fro: an operation is a round trip, two switches. */
static uint32_t run_ping_pong(uint32_t n)
{
	int there[2], back[2];
	uint32_t sum = 0;
	uint8_t byte;
	long child;

	sys1(SYS_PIPE, there);
	sys1(SYS_PIPE, back);
	child = sys0(SYS_FORK);
	if (!child) {
		sys1(SYS_CLOSE, there[1]);
		while (sys3(SYS_READ, there[0], &byte, 1) == 1) {
			byte++;
			sys3(SYS_WRITE, back[1], &byte, 1);
		}
		sys1(SYS_EXIT, 0);
	}
	sys1(SYS_CLOSE, there[0]);
	for (uint32_t i = 0; i < n; i++) {
		byte = i;
		sys3(SYS_WRITE, there[1], &byte, 1);
		sys3(SYS_READ, back[0], &byte, 1);
		sum += byte;
	}
	sys1(SYS_CLOSE, there[1]);
	sys1(SYS_CLOSE, back[0]);
	sys1(SYS_CLOSE, back[1]);
	wait_for(child);
	return sum;
}

static uint32_t run_fork(uint32_t n)
{
	while (n--) {
		long child = sys0(SYS_FORK);

		if (!child)
			sys1(SYS_EXIT, 0);
		wait_for(child);
	}
	return 0;
}

/* One process after the other that runs this program. */
static uint32_t exec_each(uint32_t n, const char *program, const char **argv)
{
	while (n--) {
		long child = sys0(SYS_FORK);

		if (!child) {
			sys3(SYS_EXECVE, program, argv, paths.envp);
			sys1(SYS_EXIT, 1);
		}
		wait_for(child);
	}
	return 0;
}

static uint32_t run_exec(uint32_t n)
{
	const char *argv[] = { paths.self, "true", NULL };

	return exec_each(n, paths.self, argv);
}

/* An operation is 64 pages of fresh memory, each written once. */
static uint32_t run_page_fault(uint32_t n)
{
	enum { PAGES = 64 };
	uint32_t sum = 0;

	while (n--) {
		volatile uint8_t *p = map(PAGES * 4096, 3, MAP_ANON_PRIVATE, -1);

		for (int i = 0; i < PAGES; i++) {
			sum += p[i * 4096];	/* fresh memory reads 0 */
			p[i * 4096] = i;
		}
		sys2(SYS_MUNMAP, p, PAGES * 4096);
	}
	return sum;
}

/* A name in the folder for files. */
static const char *path_of(const char *name)
{
	static char path[256];
	size_t n = 0;

	for (const char *p = paths.folder; *p && n < 200; p++)
		path[n++] = *p;
	for (path[n++] = '/'; *name; name++)
		path[n++] = *name;
	path[n] = 0;
	return path;
}

enum { FILE_WRITE_NEW = 01102, FILE_READ = 0 };	/* O_RDWR|O_CREAT|O_TRUNC (octal), O_RDONLY */

static uint32_t run_map_file(uint32_t n)
{
	enum { SIZE = 65536 };
	static uint8_t content[SIZE];
	long fd = sys3(SYS_OPEN, path_of("bench-map"), FILE_WRITE_NEW, 0600);
	uint32_t sum = 0;

	for (int i = 0; i < SIZE; i++)
		content[i] = i >> 8;
	if (fd < 0 || sys3(SYS_WRITE, fd, content, SIZE) != SIZE)
		die("cannot write a file: is there a folder -d?");
	for (uint32_t i = 0; i < n; i++) {
		volatile uint8_t *p = map(SIZE, 1, MAP_FILE_PRIVATE, fd);

		sum += p[0] + p[16384] + p[32768] + p[49152];
		sys2(SYS_MUNMAP, p, SIZE);
	}
	sys1(SYS_CLOSE, fd);
	sys1(SYS_UNLINK, path_of("bench-map"));
	return sum;
}

static uint32_t run_small_file(uint32_t n)
{
	uint8_t data[1024], back[1024];
	uint32_t sum = 0;

	for (int i = 0; i < 1024; i++)
		data[i] = i * 7;
	for (uint32_t i = 0; i < n; i++) {
		const char *path = path_of("bench-small");
		long fd = sys3(SYS_OPEN, path, FILE_WRITE_NEW, 0600);

		sys3(SYS_WRITE, fd, data, sizeof(data));
		sys1(SYS_CLOSE, fd);
		fd = sys3(SYS_OPEN, path, FILE_READ, 0);
		sum += sys3(SYS_READ, fd, back, sizeof(back));
		sum += back[i & 1023];
		sys1(SYS_CLOSE, fd);
		sys1(SYS_UNLINK, path);
	}
	return sum;
}

/* --- signals --- */

enum { SIGUSR1_NUMBER = 10, SIGSEGV_NUMBER = 11 };

struct kernel_sigaction {
	void (*handler)(int, void *, uint32_t *);
	uint32_t flags;
	void (*restorer)(void);
	uint32_t mask[2];
};

static volatile uint32_t signals_seen;

void signal_return(void);
__asm__("signal_return:\n\tmovl $173, %eax\n\tint $0x80\n");	/* rt_sigreturn */

static void on_signal(int number, void *info, uint32_t *ucontext)
{
	enum { UCONTEXT_EIP = 19 };	/* uc_flags, uc_link, uc_stack (3), then gs ... trapno, err, eip */

	signals_seen++;
	if (number == SIGSEGV_NUMBER)
		ucontext[UCONTEXT_EIP] += 2;	/* the store below is two bytes long */
}

static void handle(int number)
{
	enum { SA_SIGINFO = 4, SA_RESTORER = 0x04000000 };
	struct kernel_sigaction action = { on_signal, SA_SIGINFO | SA_RESTORER, signal_return, { 0, 0 } };

	sys4(SYS_RT_SIGACTION, number, &action, 0, 8);
	signals_seen = 0;
}

static uint32_t run_sigsegv(uint32_t n)
{
	void *page = map(4096, 0, MAP_ANON_PRIVATE, -1);

	handle(SIGSEGV_NUMBER);
	for (uint32_t i = 0; i < n; i++)
		__asm__ volatile("movl %%ecx, (%%eax)" : : "a"(page), "c"(i) : "memory");
	sys2(SYS_MUNMAP, page, 4096);
	return signals_seen;
}

static uint32_t run_sigusr1(uint32_t n)
{
	long self = sys0(SYS_GETPID);

	handle(SIGUSR1_NUMBER);
	while (n--)
		sys2(SYS_KILL, self, SIGUSR1_NUMBER);
	return signals_seen;
}

/* BusyBox's shell starting this program 500 times; one operation is the whole loop. */
static uint32_t run_shell(uint32_t n)
{
	const char *argv[] = { paths.busybox, "sh", "-c",
	    "i=0; while [ $i -lt 500 ]; do $0 true || exit 1; i=$((i+1)); done", paths.self, NULL };

	return exec_each(n, paths.busybox, argv);
}

const struct workload kernel_workloads[] = {
	{ "getppid", run_getppid, 10, 0, 0 },
	{ "getppid_vdso", run_getppid_vdso, 10, 0, 0 },
	{ "clock_gettime", run_clock_gettime, 10, 0, 0 },
	{ "pipe_ping_pong", run_ping_pong, 10, 0, 0 },
	{ "fork_exit", run_fork, 2, 0, 0 },
	{ "fork_exec", run_exec, 2, 0, 0 },
	{ "page_fault", run_page_fault, 1, 0, 64 },
	{ "map_file", run_map_file, 10, 0, 0 },
	{ "small_file", run_small_file, 10, 0, 0 },
	{ "sigsegv", run_sigsegv, 10, 0, 0 },
	{ "sigusr1", run_sigusr1, 10, 0, 0 },
	{ "shell_loop", run_shell, 1, 0, 500 },
	{ .name = NULL },
};
