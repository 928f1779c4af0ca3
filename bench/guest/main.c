/*
 * The benchmark program: bench-guest [-t MS] [-d FOLDER] [-b BUSYBOX] [NAME...]
 *
 * Runs each workload (or those named) for about MS ms of CPU time and prints a line each:
 *	NAME VALUE UNIT checksum=HEX n=OPERATIONS cpu_ns=TIME
 * The same file runs natively and as the job of a guest. In a guest, CPU time is what the guest's
 * clock says, so around the timed part stand the lines `@begin NAME` and `@end NAME`: whoever reads the console
 * can then take the host's own account of the monitor's CPU time.
 */
#include "bench.h"

struct bench_paths paths = { .folder = "/tmp", .busybox = "/bin/busybox" };

/* Sends the line on its way and waits until it has left the guest: what follows is not charged with it. */
static void marker(const char *text, const char *name)
{
	enum { TCSBRK = 0x5409 };	/* with argument 1: tcdrain() */

	put(text);
	put(name);
	put("\n");
	sys3(SYS_IOCTL, 1, TCSBRK, 1);
}

static void report(const struct workload *w, uint32_t n, uint64_t ns, uint32_t checksum)
{
	uint32_t parts = w->op_parts ? w->op_parts : 1;

	put(w->name);
	put(" ");
	if (w->op_bytes) {	/* bytes a ns are thousands of MB/s; us keeps the divisor in 32 bits */
		uint32_t us = div64(ns, 1000);

		put_number(div64((uint64_t)w->op_bytes * n * 10, us ? us : 1), 1);
		put(" MB/s");
	} else {
		put_number(div64(div64(ns * 100, n), parts), 2);
		put(" ns");
	}
	put(" checksum=");
	put_hex(checksum);
	put(" n=");
	put_number(n, 0);
	put(" cpu_ns=");
	put_number(ns, 0);
	put("\n");
}

static void measure(const struct workload *w, uint32_t target_ms)
{
	uint64_t target = (uint64_t)target_ms * 1000000, ns, start;
	uint32_t checksum = w->run(w->check_n), n = 1;

	/* Enough operations to measure: grow until a tenth of the target is reached, then scale up. */
	for (;; n *= 4) {
		start = cpu_time_ns();
		w->run(n);
		ns = cpu_time_ns() - start;
		if (ns >= target / 10 || n >= 1u << 28)
			break;
	}
	if (ns < target) {
		uint32_t unit = div64(ns, n) + 1;
		uint32_t scaled = div64(target, unit);

		if (scaled > n)
			n = scaled;
	}
	marker("@begin ", w->name);
	start = cpu_time_ns();
	w->run(n);
	ns = cpu_time_ns() - start;
	marker("@end ", w->name);
	report(w, n, ns, checksum);
}

/* In a process of its own: memory that one workload holds on to would make the next one's fork dear. */
static void measure_apart(const struct workload *w, uint32_t target_ms)
{
	long child = sys0(SYS_FORK);

	if (child < 0)
		die("fork failed");
	if (!child) {
		measure(w, target_ms);
		sys1(SYS_EXIT, 0);
	}
	sys4(SYS_WAIT4, child, NULL, 0, 0);
}

static uint32_t number(const char *text)
{
	uint32_t n = 0;

	while (*text >= '0' && *text <= '9')
		n = n * 10 + (*text++ - '0');
	return n;
}

int bench_main(int argc, char **argv)
{
	static const struct workload *const groups[] = { int_workloads, mem_workloads, fp_x87_workloads,
	    fp_sse2_workloads, kernel_workloads, jit_workloads };
	uint32_t target_ms = 200;
	int first = 1;

	paths.self = argv[0];
	paths.envp = argv + argc + 1;
	if (argc > 1 && text_equal(argv[1], "true"))	/* what fork+exec and the shell loop start */
		return 0;
	while (first + 1 < argc && argv[first][0] == '-') {
		switch (argv[first][1]) {
		case 't': target_ms = number(argv[first + 1]); break;
		case 'd': paths.folder = argv[first + 1]; break;
		case 'b': paths.busybox = argv[first + 1]; break;
		default: die("usage: [-t MS] [-d FOLDER] [-b BUSYBOX] [NAME...]");
		}
		first += 2;
	}
	for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
		for (const struct workload *w = groups[g]; w->name; w++) {
			int wanted = first == argc;

			for (int i = first; i < argc; i++)
				wanted |= text_equal(argv[i], w->name);
			if (wanted)
				measure_apart(w, target_ms);
		}
	}
	put("@done\n");
	return 0;
}
