/* How many guest instructions a second of CPU time tier 0 carries out, on code as a compiler emits it. Not a test. */
#include <stdio.h>
#include <time.h>

#include "tests/machine.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void measure(const char *what, struct machine *m, uint64_t n)
{
	double t = now();
	enum next next = machine_run(m, n);

	t = now() - t;
	printf("%-40s %7.1f M/s  (%llu in %.2f s, %s)\n", what, (double)m->cpu.icount / t * 1e-6,
	    (unsigned long long)m->cpu.icount, t, next == NEXT_HALT ? "done" : "budget");
}

int main(void)
{
	struct machine *m = machine_new(4 << 20);

	/* mov ecx, 10^9; loop: add eax, ecx; xor ebx, eax; dec ecx; jnz loop; hlt */
	machine_protected32(m);
	machine_code(m, 0x1000, 0xB9, 0, 0xCA, 0x9A, 0x3B, 0x01, 0xC8, 0x31, 0xC3, 0x49, 0x75, 0xF9, 0xF4);
	measure("registers only, 4 a block", m, 100000000);

	/* a sieve's inner loop with calls: memory, stack, compares */
	machine_protected32(m);
	machine_code(m, 0x1000,
	    0xBE, 0x00, 0x00, 0x10, 0x00,		/* mov esi, 100000h */
	    0xBB, 0x00, 0x02, 0x00, 0x00,		/* mov ebx, 200h */
	    /* 100A */ 0x8B, 0x04, 0x9E,		/* mov eax, [esi+ebx*4] */
	    0x03, 0x46, 0x08,				/* add eax, [esi+8] */
	    0x89, 0x46, 0x10,				/* mov [esi+10h], eax */
	    0x50,					/* push eax */
	    0xE8, 0x0D, 0x00, 0x00, 0x00,		/* call 1026 */
	    0x83, 0xC4, 0x04,				/* add esp, 4 */
	    0x85, 0xC0,					/* test eax, eax */
	    0x74, 0x04,					/* jz +4 */
	    0x4B,					/* dec ebx */
	    0x75, 0xE7,					/* jnz 100A */
	    0xF4, 0xEB, 0xDE, 0x90, 0x90,		/* hlt; jmp ... */
	    /* 1026 */ 0x55,				/* push ebp */
	    0x89, 0xE5,					/* mov ebp, esp */
	    0x8B, 0x45, 0x08,				/* mov eax, [ebp+8] */
	    0x0F, 0xB6, 0xC8,				/* movzx ecx, al */
	    0xC1, 0xE0, 0x02,				/* shl eax, 2 */
	    0x8D, 0x44, 0x08, 0x01,			/* lea eax, [eax+ecx+1] */
	    0x5D,					/* pop ebp */
	    0xC3);					/* ret */
	machine_code(m, 0x1020, 0xEB, 0xE8);
	m->cpu.gpr[REG_EBX] = 0;
	measure("loads, stores, calls", m, 100000000);
	machine_free(m);
	return 0;
}
