/*
 * A small emulator: runs a flat 32-bit program at 1 MiB. What it sends to COM1 goes to standard output, what it writes to
 * port F4h is the exit status; HLT is the end, too.
 * Make it:  cc flat.c -o flat $(pkg-config --cflags --libs plex86) && ./flat PROGRAM
 */
#include <err.h>
#include <plex86.h>
#include <stdio.h>

enum { LOAD = 0x100000, MEMORY = 16 << 20, COM1 = 0x3F8, EXIT = 0xF4 };

static int on_read(void *arg, plex86 *m, uint32_t port, uint32_t size, uint32_t *value)
{
	*value = port == COM1 + 5 ? 0x60 : 0;		/* nothing received, ready to send */
	return PLEX86_CONTINUE;
}

static int on_write(void *status, plex86 *m, uint32_t port, uint32_t size, uint32_t value)
{
	if (port == COM1)
		putchar((int)value);
	if (port != EXIT)
		return PLEX86_CONTINUE;
	*(int *)status = (int)value;
	return PLEX86_STOP;
}

int main(int argc, char **argv)
{
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;
	int status = 0;
	plex86 *m;

	if (!f || plex86_create(&m, NULL, NULL, 0) != PLEX86_OK)
		errx(2, f ? "no machine" : "usage: flat PROGRAM");
	plex86_map(m, 0, MEMORY, 0, NULL);
	if (fread(plex86_memory(m, LOAD, MEMORY - LOAD), 1, MEMORY - LOAD, f) == 0)
		errx(2, "%s is empty", argv[1]);
	plex86_on_port(m, COM1, COM1 + 7, on_read, on_write, NULL);
	plex86_on_port(m, EXIT, EXIT, NULL, on_write, &status);
	plex86_set(m, PLEX86_EIP, LOAD);
	plex86_set(m, PLEX86_ESP, LOAD);
	plex86_run(m, 0, 0, &stop);
	plex86_destroy(m);
	if (stop.reason != PLEX86_STOP_HALT && stop.reason != PLEX86_STOP_PORT)
		errx(1, "%s at %#x", stop.text, stop.eip);
	return status;
}
