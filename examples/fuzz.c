/*
 * A tiny fuzz harness: a parser in guest code gets random input from a snapshot on, until it does what it should not.
 *
 *	fuzz [cases [seed]]
 *
 * The guest's parser reads a length byte and copies so many bytes into a buffer of 16 on its stack, as parsers do.
 * The harness finds the inputs that overwrite the return address: execution leaves the code, or faults.
 *
 * cc fuzz.c -o fuzz $(pkg-config --cflags --libs plex86)
 */
#include <plex86.h>
#include <stdio.h>
#include <stdlib.h>

enum { CODE = 0x1000, INPUT = 0x2000, STACK = 0x4000, INPUT_BYTES = 64 };

/*	call parse;  hlt
 * parse: sub $16, %esp;  mov $INPUT, %esi;  movzbl (%esi), %ecx;  inc %esi;  and $31, %ecx
 *	mov %esp, %edi;  rep movsb;  add $16, %esp;  ret					*/
static const uint8_t code[] = {
	0xE8, 0x01, 0, 0, 0, 0xF4,
	0x83, 0xEC, 0x10, 0xBE, 0x00, 0x20, 0, 0, 0x0F, 0xB6, 0x0E, 0x46, 0x83, 0xE1, 0x1F,
	0x89, 0xE7, 0xF3, 0xA4, 0x83, 0xC4, 0x10, 0xC3,
};

int main(int argc, char **argv)
{
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	unsigned long cases = argc > 1 ? strtoul(argv[1], NULL, 0) : 10000, found = 0;
	plex86_snapshot *start;
	plex86 *m;

	srand(argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : 1);
	if (plex86_create(&m, NULL, NULL, 0) != PLEX86_OK)
		return 2;
	plex86_map(m, 0x1000, 0x4000, 0, NULL);
	plex86_write(m, CODE, code, sizeof(code));
	plex86_set(m, PLEX86_EIP, CODE);
	plex86_set(m, PLEX86_ESP, STACK);
	plex86_snapshot_take(m, &start);
	for (unsigned long i = 0; i < cases; i++) {
		uint8_t input[INPUT_BYTES];
		for (int k = 0; k < INPUT_BYTES; k++)
			input[k] = (uint8_t)rand();
		plex86_snapshot_restore(m, start);
		plex86_write(m, INPUT, input, sizeof(input));
		plex86_run(m, 1000, 0, &stop);
		if (stop.reason == PLEX86_STOP_HALT && stop.eip == CODE + 6)
			continue;
		if (found++ == 0)
			printf("length %u: %s at %#x\n", input[0] & 31, stop.text, stop.eip);
	}
	printf("%lu of %lu inputs\n", found, cases);
	plex86_snapshot_free(start);
	plex86_destroy(m);
	return 0;
}
