/*
 * A workload: run(n) does n operations and returns a checksum of what they computed, which
 * must be the same on every system. check_n operations are run once, untimed, for that checksum.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "rt.h"

struct workload {
	const char *name;
	uint32_t (*run)(uint32_t n);
	uint32_t check_n;
	uint32_t op_bytes;	/* bytes one operation moves: the figure is then in MB/s; 0: time per operation */
	uint32_t op_parts;	/* parts an operation has (elements, calls, pages): the time is per part; 0: 1 */
};

extern const struct workload int_workloads[], mem_workloads[], fp_x87_workloads[], fp_sse2_workloads[],
	kernel_workloads[], jit_workloads[];		/* each ends with a name of NULL */

/* Where the program's own file is, a folder on tmpfs for files, and a BusyBox: from the command line. */
struct bench_paths {
	const char *self, *folder, *busybox;
	char **envp;
};
extern struct bench_paths paths;

/* An obstacle the compiler cannot see through: keeps a loop from being folded. */
#define KEEP(x)	__asm__ volatile("" : "+r"(x) : : "memory")

#endif
