/*
 * Runs a libFuzzer target without libFuzzer, for compilers that lack it and for plain test runs.
 *
 * usage: replay FILE...		each file is one input (a crash that the fuzzer kept, say)
 *        replay --random COUNT [FIRST]	inputs of 0..79 random bytes, the same ones every time; who aborts, is named
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long number;

static void aborted(int sig)
{
	fprintf(stderr, "random input %lu\n", number);		/* abort() was called from our own code, not from the middle of stdio */
}

static int replay_random(unsigned long count, unsigned long first)
{
	uint64_t state = 0x2545F4914F6CDD1D;

	signal(SIGABRT, aborted);
	for (number = 0; number < count; number++) {
		uint8_t data[80];
		for (size_t n = 0; n < sizeof(data); n++) {
			state = state * 6364136223846793005 + 1442695040888963407;
			data[n] = state >> 56;
		}
		if (number >= first)
			LLVMFuzzerTestOneInput(data, state >> 32 & 7 ? sizeof(data) : (state >> 40) % sizeof(data));
	}
	printf("%lu random inputs, no property broken\n", count);
	return 0;
}

static int replay_file(const char *path)
{
	static uint8_t data[1 << 20];
	FILE *f = fopen(path, "rb");

	if (f == NULL) {
		perror(path);
		return 1;
	}
	size_t size = fread(data, 1, sizeof(data), f);
	fclose(f);
	LLVMFuzzerTestOneInput(data, size);
	printf("%s: %zu bytes, no property broken\n", path, size);
	return 0;
}

int main(int argc, char **argv)
{
	int status = 0;

	if ((argc == 3 || argc == 4) && strcmp(argv[1], "--random") == 0)
		return replay_random(strtoul(argv[2], NULL, 10), argc == 4 ? strtoul(argv[3], NULL, 10) : 0);
	for (int i = 1; i < argc; i++)
		status |= replay_file(argv[i]);
	return status;
}
