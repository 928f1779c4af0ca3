/*
 * An instruction-level tracer: every instruction of a flat 32-bit program, with the registers it changed.
 *
 *	trace PROGRAM [instructions]
 *
 * cc trace.c -o trace $(pkg-config --cflags --libs plex86)
 */
#include <plex86.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOAD = 0x100000, MEMORY = 16 << 20, REGISTERS = 8 };

struct trace {
	uint32_t before[REGISTERS];
	unsigned long left;
};

static const char *const name[REGISTERS] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi" };

/* Before every instruction: what the one before it did, then this one. */
static int on_instruction(void *arg, plex86 *m, const struct plex86_instruction *insn)
{
	struct trace *t = arg;
	char text[80];

	for (int r = 0; r < REGISTERS; r++) {
		uint32_t now;
		plex86_get(m, r, &now);
		if (now != t->before[r])
			printf("  %s=%08x", name[r], now);
		t->before[r] = now;
	}
	if (t->left-- == 0)
		return PLEX86_STOP;
	plex86_disassemble(m, insn->linear, text, sizeof(text));
	printf("\n%08x  %-32s", insn->eip, text);
	return PLEX86_CONTINUE;
}

static int on_exception(void *arg, plex86 *m, const struct plex86_exception *e)
{
	printf("\n%08x  exception %u, error code %#x, address %#x", e->eip, e->vector, e->error_code, e->address);
	return PLEX86_CONTINUE;
}

int main(int argc, char **argv)
{
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	struct trace t = { .left = argc > 2 ? strtoul(argv[2], NULL, 0) : 1000 };
	FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;
	plex86 *m;

	if (!f || plex86_create(&m, NULL, NULL, 0) != PLEX86_OK) {
		fprintf(stderr, f ? "trace: no machine\n" : "usage: trace PROGRAM [instructions]\n");
		return 2;
	}
	plex86_map(m, 0, MEMORY, 0, NULL);
	if (fread(plex86_memory(m, LOAD, MEMORY - LOAD), 1, MEMORY - LOAD, f) == 0)
		fprintf(stderr, "trace: %s is empty\n", argv[1]);
	fclose(f);
	plex86_set(m, PLEX86_EIP, LOAD);
	plex86_set(m, PLEX86_ESP, LOAD);
	t.before[PLEX86_ESP] = LOAD;
	plex86_on_instruction(m, NULL, on_instruction, &t);
	plex86_on_exception(m, -1, on_exception, &t);
	plex86_run(m, 0, 0, &stop);
	printf("\n%s at %08x\n", stop.text, stop.eip);
	plex86_destroy(m);
	return 0;
}
