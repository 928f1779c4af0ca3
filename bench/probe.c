/*
 * Which state this host is in: prints `jmp NS call NS loop NS`, time of one jmp *reg, one call + ret
 * and one round of an empty loop. Shared hosts flip between states in which branches, or all the
 * rest, are slow; a ratio is worth quoting only beside the state it was taken in.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

enum { ROUNDS = 2000000 };

static double ns_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return ((now.tv_sec - start->tv_sec) * 1e9 + (now.tv_nsec - start->tv_nsec)) / ROUNDS;
}

#define TIME(result, body)								\
	do {										\
		struct timespec start;							\
		uint64_t n = ROUNDS, target;						\
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);			\
		__asm__ volatile(body : "+r"(n), "=&r"(target) : : "cc", "memory");	\
		result = ns_since(&start);						\
	} while (0)

int main(void)
{
	double jmp, call, loop;

	TIME(jmp, "lea 2f(%%rip), %1\n1:\tjmp *%1\n2:\tdec %0\n\tjnz 1b");
	/* The red zone below RSP is not ours to push into: step over it. */
	TIME(call, "sub $256, %%rsp\n\tjmp 2f\n1:\tret\n2:\tcall 1b\n\tdec %0\n\tjnz 2b\n\tadd $256, %%rsp");
	TIME(loop, "1:\tdec %0\n\tjnz 1b");
	printf("jmp %.2f call %.2f loop %.2f\n", jmp, call, loop);
	return 0;
}
