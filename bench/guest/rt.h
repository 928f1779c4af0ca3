/*
 * The benchmark program's own runtime: Linux/i386 system calls, and the little that C needs.
 *
 * No C library: the same bytes then run natively and in every guest (a library would choose AVX
 * on the host and SSE2 in a guest), and a compiler that can do -m32 is all it takes to build.
 */
#ifndef BENCH_RT_H
#define BENCH_RT_H

#include <stddef.h>
#include <stdint.h>

/* System call numbers of i386 (asm/unistd_32.h). */
enum {
	SYS_EXIT = 1, SYS_FORK = 2, SYS_READ = 3, SYS_WRITE = 4, SYS_OPEN = 5, SYS_CLOSE = 6,
	SYS_UNLINK = 10, SYS_EXECVE = 11, SYS_GETPID = 20, SYS_KILL = 37, SYS_PIPE = 42, SYS_IOCTL = 54,
	SYS_GETPPID = 64, SYS_GETRUSAGE = 77, SYS_MUNMAP = 91, SYS_WAIT4 = 114, SYS_MPROTECT = 125,
	SYS_RT_SIGRETURN = 173, SYS_RT_SIGACTION = 174, SYS_MMAP2 = 192, SYS_CLOCK_GETTIME = 265,
};

#define sys0(n)			syscall5(n, 0, 0, 0, 0, 0)
#define sys1(n, a)		syscall5(n, (long)(a), 0, 0, 0, 0)
#define sys2(n, a, b)		syscall5(n, (long)(a), (long)(b), 0, 0, 0)
#define sys3(n, a, b, c)	syscall5(n, (long)(a), (long)(b), (long)(c), 0, 0)
#define sys4(n, a, b, c, d)	syscall5(n, (long)(a), (long)(b), (long)(c), (long)(d), 0)

static inline long syscall5(long n, long a, long b, long c, long d, long e)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(n), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
	return ret;
}

struct timespec32 {
	int32_t sec, nsec;
};

enum { MAP_ANON_PRIVATE = 0x22, MAP_FILE_PRIVATE = 0x02, MAP_POPULATED = 0x8022 };

/* Anonymous (fd -1) or file memory with access prot (1 read, 2 write, 4 execute); ends the program if refused. */
void *map(size_t size_bytes, int prot, int flags, int fd);

/* CPU time in ns of this process and of the children it has waited for. */
uint64_t cpu_time_ns(void);

uint64_t div64(uint64_t n, uint32_t by);
uint32_t random32(uint32_t *state);	/* xorshift; the state must not be 0 */

void put(const char *text);
void put_number(uint64_t value, unsigned decimals);	/* value / 10^decimals */
void put_hex(uint32_t value);
_Noreturn void die(const char *why);
int text_equal(const char *a, const char *b);

/* From the vDSO and the auxiliary vector; NULL where the kernel has none. */
extern long (*vsyscall)(void);				/* __kernel_vsyscall: SYSENTER where there is one */
extern int (*vdso_clock_gettime)(int clock, struct timespec32 *ts);
void runtime_start(char **envp_end);

#endif
