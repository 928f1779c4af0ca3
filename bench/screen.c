/*
 * Fills the graphics card's linear frame buffer from user space, by stores and by REP STOSD; prints MB/s of either.
 * usage: screen ADDRESS MIB ROUNDS. A 32-bit static program for the guest of bench/devices.py.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	off_t at = (off_t)strtoull(argv[1], NULL, 0);
	size_t bytes = (size_t)atoi(argv[2]) << 20;
	int rounds = atoi(argv[3]), fd = open("/dev/mem", O_RDWR | O_SYNC);
	volatile uint32_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);

	if (fd < 0 || p == MAP_FAILED) {
		perror("screen");
		return 1;
	}
	double t0 = now();
	for (int r = 0; r < rounds; r++)
		for (size_t i = 0; i < bytes / 4; i++)
			p[i] = (uint32_t)(i + (size_t)r);
	double t1 = now();
	for (int r = 0; r < rounds; r++) {
		void *d = (void *)(uintptr_t)p;
		size_t n = bytes / 4;
		__asm__ volatile("rep stosl" : "+D"(d), "+c"(n) : "a"(r) : "memory");
	}
	double t2 = now();
	if (p[bytes / 4 - 1] != (uint32_t)rounds - 1)
		return 1;
	printf("stores %.1f\nstosd %.1f\n", (double)bytes * rounds / 1e6 / (t1 - t0), (double)bytes * rounds / 1e6 / (t2 - t1));
	return 0;
}
