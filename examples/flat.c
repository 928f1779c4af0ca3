/*
 * A small emulator: runs a flat 32-bit program that talks to a serial port.
 *
 *	flat PROGRAM [emulate]
 *
 * The program is loaded at 1 MiB and started there. What it sends to COM1 goes to standard output; its exit
 * status is what it writes to port F4h; a HLT is the end, too.
 *
 * cc flat.c -o flat $(pkg-config --cflags --libs plex86)
 */
#include <plex86.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOAD = 0x100000, MEMORY = 16 << 20, COM1 = 0x3F8, LINE_STATUS = COM1 + 5, EXIT = 0xF4 };

static int serial_write(void *arg, plex86 *m, uint32_t port, uint32_t size, uint32_t value)
{
	if (port == COM1)
		putchar((int)value);
	return PLEX86_CONTINUE;
}

static int serial_read(void *arg, plex86 *m, uint32_t port, uint32_t size, uint32_t *value)
{
	*value = port == LINE_STATUS ? 0x60 : 0;	/* nothing received, ready to send */
	return PLEX86_CONTINUE;
}

static int exit_write(void *arg, plex86 *m, uint32_t port, uint32_t size, uint32_t value)
{
	*(int *)arg = (int)value;
	return PLEX86_STOP;
}

int main(int argc, char **argv)
{
	struct plex86_config config = PLEX86_SIZED(plex86_config);
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	char why[128];
	int status = 0;
	plex86 *m;
	FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;

	if (!f) {
		fprintf(stderr, "usage: flat PROGRAM [emulate]\n");
		return 2;
	}
	config.engine = argc > 2 && strcmp(argv[2], "emulate") == 0 ? PLEX86_EMULATE : PLEX86_SCAN;
	if (plex86_create(&m, &config, why, sizeof(why)) != PLEX86_OK) {
		fprintf(stderr, "flat: no machine: %s\n", why);
		return 2;
	}
	plex86_map(m, 0, MEMORY, 0, NULL);
	if (fread(plex86_memory(m, LOAD, MEMORY - LOAD), 1, MEMORY - LOAD, f) == 0)
		fprintf(stderr, "flat: %s is empty\n", argv[1]);
	fclose(f);
	plex86_on_port(m, COM1, COM1 + 7, serial_read, serial_write, NULL);
	plex86_on_port(m, EXIT, EXIT, NULL, exit_write, &status);
	plex86_set(m, PLEX86_EIP, LOAD);
	plex86_set(m, PLEX86_ESP, LOAD);
	plex86_run(m, 0, 0, &stop);
	fflush(stdout);
	if (stop.reason != PLEX86_STOP_HALT && stop.reason != PLEX86_STOP_PORT) {
		fprintf(stderr, "flat: %s at %#x\n", stop.text, stop.eip);
		status = 1;
	}
	plex86_destroy(m);
	return status;
}
