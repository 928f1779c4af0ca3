/*
 * An instruction-level tracer: every instruction of a flat 32-bit program, with the registers it changed.
 * Make it:  cc trace.c -o trace $(pkg-config --cflags --libs plex86) && ./trace PROGRAM [INSTRUCTIONS]
 */
#include <err.h>
#include <plex86.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOAD = 0x100000, MEMORY = 16 << 20, REGISTERS = 8 };

/* Before every instruction: what the one before it changed, then this one. */
static int on_instruction(void *arg, plex86 *m, const struct plex86_instruction *insn)
{
	static const char name[REGISTERS][4] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi" };
	uint32_t *before = arg, now;
	char text[80];

	for (int r = 0; r < REGISTERS; r++) {
		plex86_get(m, r, &now);
		if (now != before[r])
			printf("  %s=%08x", name[r], now);
		before[r] = now;
	}
	plex86_disassemble(m, insn->linear, text, sizeof(text));
	printf("\n%08x  %-32s", insn->eip, text);
	return PLEX86_CONTINUE;
}

int main(int argc, char **argv)
{
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	uint32_t before[REGISTERS] = { [PLEX86_ESP] = LOAD };
	FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;
	plex86 *m;

	if (!f || plex86_create(&m, NULL, NULL, 0) != PLEX86_OK)
		errx(2, f ? "no machine" : "usage: trace PROGRAM [INSTRUCTIONS]");
	plex86_map(m, 0, MEMORY, 0, NULL);
	if (fread(plex86_memory(m, LOAD, MEMORY - LOAD), 1, MEMORY - LOAD, f) == 0)
		errx(2, "%s is empty", argv[1]);
	plex86_set(m, PLEX86_EIP, LOAD);
	plex86_set(m, PLEX86_ESP, LOAD);
	plex86_on_instruction(m, NULL, on_instruction, before);
	plex86_run(m, argc > 2 ? strtoull(argv[2], NULL, 0) : 1000, 0, &stop);
	printf("\n%s at %08x\n", stop.text, stop.eip);
	plex86_destroy(m);
	return 0;
}
