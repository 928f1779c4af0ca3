/*
 * A machine is named by -name; its socket lies in control_directory(). A name with a slash is a socket's path.
 */
#include "control/client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "control/control.h"
#include "control/link.h"
#include "control/stat.h"
#include "gdb/gdb.h"
#include "host/clock.h"

#define STOP_MS		30000		/* how long a guest may take to power off */

static int fail(const char *fmt, const char *what, const char *why)
{
	fprintf(stderr, fmt, what, why);
	return 1;
}

/* One command to one machine; what it answers with, if that is text, is printed. */
static int simple(const char *name, const char *command, json_t *args)
{
	struct link l;

	if (!link_to(&l, name)) {
		json_decref(args);
		return 1;
	}
	json_t *value = link_value(link_ask(&l, command, args), name);
	link_close(&l);
	if (json_is_string(value))
		fputs(json_string_value(value), stdout);
	json_decref(value);
	return value ? 0 : 1;
}

/* --- the commands --- */

static void ps_one(void *arg, const char *name, const char *path)
{
	int *shown = arg;
	struct link l;

	if (!link_open(&l, path, LINK_ANSWER_MS))
		return;
	json_t *answer = link_ask(&l, "query-status", NULL);
	const char *status = json_string_value(json_object_get(json_object_get(answer, "return"), "status"));
	if ((*shown)++ == 0)
		printf("%-24s %8s  %s\n", "NAME", "PID", "STATUS");
	printf("%-24s %8d  %s\n", name, (int)l.pid, status ? status : "does not answer");
	json_decref(answer);
	link_close(&l);
}

static int cmd_ps(int argc, char **argv)
{
	int shown = 0;

	if (link_each(ps_one, &shown) < 0)
		return 1;
	if (shown == 0)
		puts("No named machine is running (plex86 run -name NAME ...).");
	return 0;
}

/* The connection ends when the machine does. */
static bool wait_end(struct link *l, int ms)
{
	ns_t end = host_clock_ns() + (ns_t)ms * 1000000u;

	for (ns_t now; (now = host_clock_ns()) < end; ) {
		char buf[512];
		struct pollfd p = { .fd = l->fd, .events = POLLIN };

		if (poll(&p, 1, (int)((end - now + 999999) / 1000000)) > 0 && recv(l->fd, buf, sizeof(buf), 0) <= 0)
			return true;
	}
	return false;
}

/* What the machine does last comes behind its connections: images are closed, the meters' final record is written. */
static void wait_process(int pidfd, int ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	if (pidfd < 0)
		return;
	while (poll(&p, 1, ms) < 0 && errno == EINTR)
		;
	close(pidfd);
}

static int cmd_stop(int argc, char **argv)
{
	bool now = argc > 2 && strcmp(argv[1], "--now") == 0;
	const char *name = argv[now ? 2 : 1];
	struct link l;
	bool ended = false;

	if (!link_to(&l, name))
		return 1;
	int pidfd = l.pid > 0 ? (int)syscall(SYS_pidfd_open, l.pid, 0) : -1;
	if (!now) {
		json_decref(link_ask(&l, "system_powerdown", NULL));
		ended = wait_end(&l, STOP_MS);
		if (!ended)
			fprintf(stderr, "plex86: %s does not react to its power button: ended\n", name);
	}
	if (!ended) {
		json_decref(link_ask(&l, "quit", NULL));
		ended = wait_end(&l, LINK_ANSWER_MS);
	}
	link_close(&l);
	wait_process(pidfd, ended ? STOP_MS : 0);
	return ended ? 0 : fail("plex86: %s: %s\n", name, "does not end");
}

/*
 * The machine's process may be confined: a file or socket is opened here and passed over, to be used in one command under
 * the name /dev/fdset/ID. The ID; -1 after a message.
 */
static json_int_t lend(struct link *l, const char *name, int fd)
{
	json_t *added = link_value(link_pass(l, fd), name);
	json_int_t id = added ? json_integer_value(json_object_get(added, "fdset-id")) : -1;

	json_decref(added);
	return id;
}

static void take_back(struct link *l, json_int_t id)
{
	json_decref(link_ask(l, "remove-fd", json_pack("{s:I}", "fdset-id", id)));
}

static int dump_to(struct link *l, const char *name, int fd, const char *format)
{
	char path[32];
	json_int_t id = lend(l, name, fd);

	if (id < 0)
		return 1;
	snprintf(path, sizeof(path), "/dev/fdset/%d", (int)id);
	json_t *value = link_value(link_ask(l, "screendump", json_pack("{s:s,s:s}", "filename", path, "format", format)), name);
	take_back(l, id);
	json_decref(value);
	return value ? 0 : 1;
}

static int cmd_screenshot(int argc, char **argv)
{
	size_t len = strlen(argv[2]);
	const char *format = len > 4 && strcmp(argv[2] + len - 4, ".ppm") == 0 ? "ppm" : "png";
	struct link l;

	if (!link_to(&l, argv[1]))
		return 1;
	/* Emptied only when there is a picture: what was there stays if there is none. */
	int fd = open(argv[2], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	bool made = fd >= 0;
	if (!made)
		fd = open(argv[2], O_WRONLY | O_CLOEXEC);
	int rc = fd < 0 ? fail("plex86: %s: %s\n", argv[2], strerror(errno)) : dump_to(&l, argv[1], fd, format);
	if (rc != 0 && made)
		unlink(argv[2]);
	if (fd >= 0)
		close(fd);
	link_close(&l);
	return rc;
}

static int cmd_screentext(int argc, char **argv)
{
	return simple(argv[1], "x-screentext", NULL);
}

static int gdbserver(const char *name, const char *where)
{
	struct gdb_config cfg;
	struct error err = { "" };
	char line[64];
	struct link l;

	if (gdb_parse(&cfg, where, &err) < 0)
		return fail("plex86: gdbserver %s: %s\n", where, err.text);
	if (!link_to(&l, name))
		return 1;
	int fd = socket_open(&cfg.socket, &err);
	json_int_t id = fd >= 0 ? lend(&l, name, fd) : -1;
	json_t *value = NULL;
	if (fd < 0)
		fail("plex86: gdbserver %s: %s\n", where, err.text);
	if (id >= 0) {
		snprintf(line, sizeof(line), "gdbserver unix:/dev/fdset/%d", (int)id);
		value = link_value(link_ask(&l, "human-monitor-command", json_pack("{s:s}", "command-line", line)), name);
		take_back(&l, id);
	}
	bool ok = value && strncmp(json_string_value(value), "Waiting", 7) == 0;
	if (ok)
		printf("Waiting for gdb connection on device '%s'\n", where);
	else if (value)
		fputs(json_string_value(value), stdout);
	if (!ok && fd >= 0)
		socket_remove(&cfg.socket);
	if (fd >= 0)
		close(fd);
	json_decref(value);
	link_close(&l);
	return ok ? 0 : 1;
}

static int cmd_monitor(int argc, char **argv)
{
	char line[1024] = "";

	for (int i = 2; i < argc; i++) {
		size_t len = strlen(line);

		snprintf(line + len, sizeof(line) - len, "%s%s", i > 2 ? " " : "", argv[i]);
	}
	char *where = line + strcspn(line, " \t");
	where += strspn(where, " \t");
	if (strcspn(line, " \t") == 9 && strncmp(line, "gdbserver", 9) == 0 && strcmp(where, "none") != 0 && strcmp(where, "stdio") != 0)
		return gdbserver(argv[1], *where ? where : "tcp::1234");
	return simple(argv[1], "human-monitor-command", json_pack("{s:s}", "command-line", line));
}

static int cmd_sendkey(int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		enum key keys[16];
		struct error err = { "" };
		int n = control_parse_keys(argv[i], keys, ARRAY_LEN(keys), &err);

		if (n < 0)
			return fail("plex86: %s%s\n", err.text, "");
		json_t *list = json_array();
		for (int k = 0; k < n; k++)
			json_array_append_new(list, json_pack("{s:s,s:s}", "type", "qcode", "data", key_name(keys[k])));
		if (simple(argv[1], "send-key", json_pack("{s:o,s:i}", "keys", list, "hold-time", 60)) != 0)
			return 1;
	}
	return 0;
}

static const struct command {
	const char *name, *args, *help;
	int least, most;		/* arguments */
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "ps", "", "lists the machines that run with a -name", 0, 0, cmd_ps },
	{ "stat", "[--json] NAME | --list", "prints what the machine used and did; --list says which meters there are", 1, 2, stat_main },
	{ "profile", "NAME [--seconds N] [--rate HZ] [--symbols FILE]... [--folded FILE] [--svg FILE]",
	    "samples where it spends its time; FILE of symbols: System.map or ELF", 1, 30, profile_main },
	{ "top", "[--batch] [--count N] [--delay SECONDS] [--sort COLUMN]", "a live table of the machines that run with a -name", 0, 7, top_main },
	{ "stop", "[--now] NAME", "presses the power button; --now ends the machine at once", 1, 2, cmd_stop },
	{ "screenshot", "NAME FILE", "writes the screen to FILE: PNG, or PPM if it is called so", 2, 2, cmd_screenshot },
	{ "screentext", "NAME", "prints what a text mode shows", 1, 1, cmd_screentext },
	{ "sendkey", "NAME KEYS...", "presses keys, one combination after the other: ctrl-alt-delete", 2, 1000, cmd_sendkey },
	{ "monitor", "NAME COMMAND...", "one command of the monitor (monitor NAME help)", 2, 1000, cmd_monitor },
};

bool client_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return true;
	return false;
}

int client_main(int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const struct command *c = &commands[i];

		if (strcmp(c->name, argv[0]) != 0)
			continue;
		if (argc == 2 && strcmp(argv[1], "--help") == 0) {
			printf("Usage: plex86 %s%s%s\n       %s\n", c->name, *c->args ? " " : "", c->args, c->help);
			return 0;
		}
		if (argc - 1 >= c->least && argc - 1 <= c->most)
			return c->run(argc, argv);
		fprintf(stderr, "plex86: %s takes %s (plex86 %s --help)\n", c->name, *c->args ? c->args : "no arguments", c->name);
		return 1;
	}
	return 1;
}
