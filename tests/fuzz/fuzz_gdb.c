/*
 * libFuzzer target: any debugger at a running machine.
 *
 * The input is lines. A line becomes a packet with its frame and sum; one that begins with byte 01h is sent as it is, so that
 * frames are damaged too; byte 02h stands for a line feed in a packet. Between lines the machine runs, if the debugger
 * lets it. Whatever comes: what is answered is frames with sound sums, as long as the connection stands "?" is answered, and
 * a debugger that is gone leaves nothing behind.
 *
 * The monitor's commands (qRcmd) are info and x only: others write files.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/options.h"
#include "emulate/emulate.h"
#include "mmu/mmu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SLICES = 20, SLICE = 500, SAID_MAX = 4 << 20 };

static struct options options;
static struct vm *vm;
static uint8_t *said;
static size_t said_len;
static int fd;				/* the debugger's end */

/* Counts in memory, calls, repeats, pushes, for ever. */
static const uint8_t guest[] = {
	0xBC, 0x00, 0x80, 0x00, 0x00,			/* mov $0x8000, %esp */
	0xFF, 0x05, 0x00, 0x90, 0x00, 0x00,		/* 1: incl 0x9000 */
	0xE8, 0x02, 0x00, 0x00, 0x00,			/* call 2f */
	0xEB, 0xF3,					/* jmp 1b */
	0x50, 0xB9, 0x04, 0x00, 0x00, 0x00,		/* 2: push %eax; mov $4, %ecx */
	0xBF, 0x00, 0xA0, 0x00, 0x00, 0xF3, 0xAB,	/* mov $0xA000, %edi; rep stosl */
	0xD9, 0xE8, 0xDD, 0xD8, 0x58, 0xC3,		/* fld1; fstp %st(0); pop %eax; ret */
};

static void must(const char *what, bool holds)
{
	if (holds)
		return;
	fprintf(stderr, "%s: errno %d, said: %.*s\n", what, errno, (int)MIN(said_len, (size_t)2000), (const char *)said);
	abort();
}

/* The program's own machine. Faults are the sanitizer's to catch, not the monitor's. */
static void make_machine(void)
{
	static char program[40];
	char *argv[] = { "plex86", "--engine", "emulate", "--clock", "instructions", "-m", "1", "-serial", "null", "-display", "none",
		"--flat", "0x10000", "--mode", "protected", program };
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGTERM, SIGINT };
	struct sigaction old[ARRAY_LEN(signals)];
	struct error err = { "" };
	int file = memfd_create("guest", 0);

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], NULL, &old[i]);
	must("a file", write(file, guest, sizeof(guest)) == (ssize_t)sizeof(guest));
	snprintf(program, sizeof(program), "/proc/self/fd/%d", file);
	vm = calloc(1, sizeof(*vm));
	said = malloc(SAID_MAX);
	if (options_parse(&options, ARRAY_LEN(argv), argv, &err) < 0 || vm_init(vm, &options.vm, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &old[i], NULL);
}

/* --- the machine's side --- */

static void run_some(void)
{
	struct vcpu *cpu = &vm->cpu;

	for (unsigned i = 0; i < SLICES && vm->stop_reason == STOP_NONE; i++) {
		host_io_poll(&vm->io, 0);
		if (cpu->attention & ATTN_RESET)
			vm_reset(vm, false);
		if (vm->paused)
			break;
		__atomic_and_fetch(&cpu->attention, ~(uint32_t)(ATTN_KICK | ATTN_STOP), __ATOMIC_SEQ_CST);
		vm_service_board(vm);
		cpu->icount_stop = MIN(cpu->icount_stop, cpu->icount + SLICE);
		enum next next = cpu->stops ? vm_debug_run(vm) : vm->run(cpu);
		if (next == NEXT_TRIPLE_FAULT)
			vm_reset(vm, true);
		else if (next == NEXT_HALT)
			break;
	}
}

/* --- the debugger's --- */

static void listen_to(void)
{
	ssize_t n;

	while (said_len < SAID_MAX && (n = read(fd, said + said_len, SAID_MAX - said_len)) > 0)
		said_len += (size_t)n;
	must("answers of a bearable length", said_len < SAID_MAX);
}

static void say(const uint8_t *bytes, size_t n)
{
	while (n > 0) {
		ssize_t k = write(fd, bytes, n);
		if (k < 0)
			k = 0;			/* it does not read, or is gone */
		bytes += k;
		n -= (size_t)k;
		run_some();
		listen_to();
		if (k == 0 && vm->gdb.in_fd < 0)
			return;
	}
}

static unsigned sum_of(const uint8_t *p, size_t n)
{
	unsigned sum = 0;

	while (n-- > 0)
		sum += *p++;
	return sum & 0xFF;
}

static void say_packet(const uint8_t *line, size_t n)
{
	static uint8_t packet[GDB_PACKET * 2 + 8];

	n = MIN(n, sizeof(packet) - 8);
	packet[0] = '$';
	for (size_t i = 0; i < n; i++)
		packet[i + 1] = line[i] == 2 ? '\n' : line[i];
	snprintf((char *)packet + 1 + n, 4, "#%02x", sum_of(packet + 1, n));
	say(packet, n + 4);
}

static bool harmless(const uint8_t *line, size_t n)
{
	const uint8_t *command = memmem(line, n, "Rcmd", 4);
	static const char info[] = "Rcmd,696e666f20", look[] = "Rcmd,782";	/* "info ", "x " and "x/" */
	size_t left = command ? n - (size_t)(command - line) : 0;

	return !command || (left >= sizeof(info) - 1 && memcmp(command, info, sizeof(info) - 1) == 0) ||
	    (left >= sizeof(look) - 1 && memcmp(command, look, sizeof(look) - 1) == 0);
}

/* Everything that was answered: acknowledgements, and packets that are whole but for the last. */
static void check_said(void)
{
	for (size_t i = 0; i < said_len; i++) {
		if (said[i] == '+' || said[i] == '-')
			continue;
		must("a frame's begin", said[i] == '$');
		const uint8_t *content = said + i + 1, *end = memchr(content, '#', said_len - i - 1);
		char sum[3];
		if (end == NULL || end + 3 > said + said_len)
			return;
		snprintf(sum, sizeof(sum), "%02x", sum_of(content, (size_t)(end - content)));
		must("a sound sum", memcmp(end + 1, sum, 2) == 0);
		i = (size_t)(end - said) + 2;
	}
}

static void connect_debugger(void)
{
	static const struct gdb_config at_stdio = { .on = true, .stdio = true };
	struct error err = { "" };
	int pair[2];

	must("sockets", socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	dup2(pair[1], STDIN_FILENO);
	dup2(pair[1], STDOUT_FILENO);
	close(pair[1]);
	fd = pair[0];
	said_len = 0;
	must("a debugger", gdb_open(&vm->gdb, &at_stdio, &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!vm)
		make_machine();
	int in = dup(STDIN_FILENO), out = dup(STDOUT_FILENO);
	memset(vm->phys.ram, 0, options.vm.ram_bytes);
	emulate_flush(&vm->cpu);
	vm_reset(vm, false);
	connect_debugger();
	for (size_t at = 0; at < size && vm->gdb.in_fd >= 0; at++) {
		const uint8_t *line = data + at, *end = memchr(line, '\n', size - at);
		size_t n = end ? (size_t)(end - line) : size - at;

		if (n > 0 && harmless(line, n)) {
			if (line[0] == 1)
				say(line + 1, n - 1);
			else
				say_packet(line, n);
		}
		at += n;
	}
	if (vm->gdb.in_fd >= 0 && vm->stop_reason == STOP_NONE) {
		size_t before = said_len;
		say((const uint8_t *)"\3$#00#00$?#3f", 14);	/* whatever frame is open ends here */
		say((const uint8_t *)"$?#3f", 5);
		must("an answer", vm->gdb.in_fd < 0 || vm->stop_reason != STOP_NONE || said_len > before);
	}
	check_said();
	close(fd);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	close(in);
	close(out);
	gdb_close(&vm->gdb, -1);
	must("nothing left behind", vm->gdb.npoints == 0 && (!vm->stops || (vm->stops->nbrk == 0 && vm->stops->nwatch == 0)));
	vm->stop_reason = STOP_NONE;
	vm_resume(vm);
	return 0;
}
