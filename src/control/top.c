/*
 * plex86 top: the machines that run, and what each has done since the last look.
 */
#include <ncurses.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/link.h"
#include "control/stat.h"

#define MACHINES_MAX	64
#define ANSWER_MS	1000		/* a machine that hangs must not stop the table */

enum column { NAME, CPU, RING3, RING0, EMULATE, SCAN, FAULTS, DEVICE, IDLE, MEMORY, READ, WRITE, RECEIVE, SEND, INTERRUPTS, EXCEPTIONS, COLUMNS_N };
static const struct { const char *head; char key; const char *sort; int width, digits; } columns[COLUMNS_N] = {
	[NAME] = { "NAME", 'n', "name", -16, 0 },
	[CPU] = { "%CPU", 'c', "cpu", 6, 1 },
	[RING3] = { "%R3", 'u', "ring3", 6, 1 },
	[RING0] = { "%R0", 'k', "ring0", 6, 1 },
	[EMULATE] = { "%EMU", 'e', "emulate", 6, 1 },
	[SCAN] = { "%SCAN", 's', "scan", 6, 1 },
	[FAULTS] = { "%WIN", 'w', "window", 6, 1 },
	[DEVICE] = { "%DEV", 'd', "device", 6, 1 },
	[IDLE] = { "%IDLE", 'i', "idle", 6, 1 },
	[MEMORY] = { "RESMiB", 'm', "memory", 7, 1 },
	[READ] = { "rKiB/s", 'r', "read", 8, 1 },
	[WRITE] = { "wKiB/s", 'o', "write", 8, 1 },
	[RECEIVE] = { "inKiB/s", 'a', "receive", 8, 1 },
	[SEND] = { "outKiB/s", 'b', "send", 9, 1 },
	[INTERRUPTS] = { "INT/s", 't', "interrupts", 8, 0 },
	[EXCEPTIONS] = { "EXC/s", 'x', "exceptions", 8, 0 },
};

struct machine {
	char name[64];
	json_t *before, *now;		/* what it said; NULL: nothing */
	bool seen, answered;
	double value[COLUMNS_N];
};

struct top {
	struct machine machine[MACHINES_MAX];
	unsigned n;
	enum column sort;
	bool batch, reverse;
	unsigned count;			/* refreshes left; 0: without end */
	double delay;
};

/* --- values --- */

/* The number at a path of keys, or the sum of what is below it. */
static double number(json_t *j)
{
	const char *key;
	json_t *v;
	double sum = 0;

	if (!json_is_object(j))
		return json_number_value(j);
	json_object_foreach(j, key, v)
		sum += number(v);
	return sum;
}

static double vm_value(json_t *m, const char *meter)
{
	return number(json_object_get(json_object_get(m, "vm"), meter));
}

static json_t *vcpu_meter(json_t *m, const char *meter)
{
	return json_object_get(json_array_get(json_object_get(m, "vcpus"), 0), meter);
}

/* Of all drives, or cards. */
static double bytes(json_t *m, const char *meter, const char *op)
{
	const char *name;
	json_t *v;
	double sum = 0;

	json_object_foreach(json_object_get(json_object_get(m, "vm"), meter), name, v)
		sum += number(json_object_get(v, op));
	return sum;
}

static void compute(struct machine *m)
{
	static const char *const causes[COLUMNS_N] = { [RING3] = "ring3", [RING0] = "ring0", [EMULATE] = "emulate",
	    [SCAN] = "scan", [FAULTS] = "window", [DEVICE] = "device", [IDLE] = "idle" };
	json_t *a = m->before, *b = m->now;
	double passed = vm_value(b, "uptime_seconds") - (a ? vm_value(a, "uptime_seconds") : 0);

	if (passed <= 0)
		return;
	m->value[CPU] = 100 * (vm_value(b, "process_cpu_seconds") - vm_value(a, "process_cpu_seconds")) / passed;
	for (unsigned c = 0; c < COLUMNS_N; c++)
		if (causes[c])
			m->value[c] = 100 * (number(json_object_get(vcpu_meter(b, "time_seconds"), causes[c])) -
			    number(json_object_get(vcpu_meter(a, "time_seconds"), causes[c]))) / passed;
	m->value[MEMORY] = vm_value(b, "process_resident_bytes") / (1 << 20);
	m->value[READ] = (bytes(b, "disk_bytes", "read") - bytes(a, "disk_bytes", "read")) / 1024 / passed;
	m->value[WRITE] = (bytes(b, "disk_bytes", "write") - bytes(a, "disk_bytes", "write")) / 1024 / passed;
	m->value[RECEIVE] = (bytes(b, "network_bytes", "receive") - bytes(a, "network_bytes", "receive")) / 1024 / passed;
	m->value[SEND] = (bytes(b, "network_bytes", "send") - bytes(a, "network_bytes", "send")) / 1024 / passed;
	m->value[INTERRUPTS] = (number(vcpu_meter(b, "interrupts")) - number(vcpu_meter(a, "interrupts"))) / passed;
	m->value[EXCEPTIONS] = (number(vcpu_meter(b, "exceptions")) - number(vcpu_meter(a, "exceptions"))) / passed;
}

/* --- looking --- */

static struct machine *machine_of(struct top *t, const char *name)
{
	for (unsigned i = 0; i < t->n; i++)
		if (strcmp(t->machine[i].name, name) == 0)
			return &t->machine[i];
	if (t->n == MACHINES_MAX)
		return NULL;
	struct machine *m = &t->machine[t->n++];
	*m = (struct machine){ 0 };
	snprintf(m->name, sizeof(m->name), "%s", name);
	return m;
}

static void look_at(void *arg, const char *name, const char *path)
{
	struct top *t = arg;
	struct link l;

	bool open = link_open(&l, path, ANSWER_MS);
	if (!open && l.pid == 0)	/* a socket that a killed machine left */
		return;
	struct machine *m = machine_of(t, name);
	json_t *answer = m && open ? link_ask(&l, "x-query-meters", NULL) : NULL;
	if (open)
		link_close(&l);
	if (m == NULL)
		return;
	json_t *now = json_incref(json_object_get(answer, "return"));
	json_decref(answer);
	m->seen = true;
	m->answered = now != NULL;
	if (now == NULL)
		return;
	/* another machine may have taken the name */
	bool same = m->now && json_integer_value(json_object_get(m->now, "pid")) == json_integer_value(json_object_get(now, "pid"));
	json_decref(m->before);
	m->before = same ? m->now : NULL;
	if (!same)
		json_decref(m->now);
	m->now = now;
	compute(m);
}

static void forget(struct machine *m)
{
	json_decref(m->before);
	json_decref(m->now);
}

static int look(struct top *t)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < t->n; i++)
		t->machine[i].seen = t->machine[i].answered = false;
	if (link_each(look_at, t) < 0)
		return -1;
	for (unsigned i = 0; i < t->n; i++) {
		if (t->machine[i].seen)
			t->machine[kept++] = t->machine[i];
		else
			forget(&t->machine[i]);
	}
	t->n = kept;
	return 0;
}

/* --- showing --- */

static int by_sort(const void *a, const void *b, void *arg)
{
	const struct machine *x = a, *y = b;
	const struct top *t = arg;
	int order = 0;

	if (t->sort != NAME && x->value[t->sort] != y->value[t->sort])
		order = x->value[t->sort] < y->value[t->sort] ? 1 : -1;
	if (order == 0)
		order = strcmp(x->name, y->name);
	return t->reverse ? -order : order;
}

static void line_of(const struct machine *m, char *text, size_t room)
{
	size_t at = (size_t)snprintf(text, room, "%-16.16s", m->name);

	if (!m->answered) {
		snprintf(text + at, room - at, "  does not answer");
		return;
	}
	for (unsigned c = NAME + 1; c < COLUMNS_N && at < room; c++)
		at += (size_t)snprintf(text + at, room - at, " %*.*f", columns[c].width, columns[c].digits, m->value[c]);
}

static void head_line(char *text, size_t room)
{
	size_t at = (size_t)snprintf(text, room, "%-16s", columns[NAME].head);

	for (unsigned c = NAME + 1; c < COLUMNS_N && at < room; c++)
		at += (size_t)snprintf(text + at, room - at, " %*s", columns[c].width, columns[c].head);
}

static void show_batch(struct top *t)
{
	char text[256];

	head_line(text, sizeof(text));
	puts(text);
	for (unsigned i = 0; i < t->n; i++) {
		line_of(&t->machine[i], text, sizeof(text));
		puts(text);
	}
	fflush(stdout);
}

static void show_screen(struct top *t)
{
	char text[256];

	erase();
	mvprintw(0, 0, "plex86 top: %u machine%s, every %g s, by %s%s.  Keys: q quit, R reverse; sort by", t->n, t->n == 1 ? "" : "s",
	    t->delay, columns[t->sort].sort, t->reverse ? ", reversed" : "");
	move(1, 0);
	for (unsigned c = 0; c < COLUMNS_N; c++)
		printw("%s%c %s", c ? ", " : "", columns[c].key, columns[c].sort);
	head_line(text, sizeof(text));
	attron(A_REVERSE);
	mvprintw(3, 0, "%-*.*s", COLS, COLS, text);
	attroff(A_REVERSE);
	for (unsigned i = 0; i < t->n && (int)i + 4 < LINES; i++) {
		line_of(&t->machine[i], text, sizeof(text));
		mvprintw((int)i + 4, 0, "%.*s", COLS, text);
	}
	if (t->n == 0)
		mvprintw(4, 0, "No named machine is running (plex86 run -name NAME ...).");
	refresh();
}

/* false: the end is wanted. */
static bool key(struct top *t, int ch)
{
	if (ch == 'q' || ch == 3)
		return false;
	if (ch == 'R')
		t->reverse = !t->reverse;
	for (unsigned c = 0; c < COLUMNS_N; c++)
		if (ch == columns[c].key)
			t->sort = (enum column)c;
	return true;
}

static void show(struct top *t)
{
	qsort_r(t->machine, t->n, sizeof(t->machine[0]), by_sort, t);
	if (t->batch)
		show_batch(t);
	else
		show_screen(t);
}

/* Until the next look: keys. false: the end is wanted. */
static bool wait_keys(struct top *t)
{
	int left = (int)(t->delay * 1000);

	if (t->batch) {
		poll(NULL, 0, left);
		return true;
	}
	timeout(left);
	for (int ch; (ch = getch()) != ERR; ) {
		if (!key(t, ch))
			return false;
		show(t);
		if (ch == ' ')
			break;
	}
	return true;
}

static int parse(struct top *t, int argc, char **argv)
{
	*t = (struct top){ .sort = CPU, .delay = 2 };
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
		char *end = NULL;
		bool ok = false;

		if (strcmp(arg, "--batch") == 0) {
			t->batch = true;
			continue;
		}
		i++;
		if (strcmp(arg, "--count") == 0) {
			unsigned long n = strtoul(value, &end, 10);
			ok = *value && *end == '\0' && n > 0 && n <= 1000000;
			t->count = (unsigned)n;
		} else if (strcmp(arg, "--delay") == 0) {
			t->delay = strtod(value, &end);
			ok = *value && *end == '\0' && t->delay >= 0.1 && t->delay <= 3600;
		} else if (strcmp(arg, "--sort") == 0) {
			for (unsigned c = 0; c < COLUMNS_N && !ok; c++)
				if ((ok = strcmp(columns[c].sort, value) == 0))
					t->sort = (enum column)c;
		}
		if (!ok) {
			fprintf(stderr, "plex86: top: '%s%s%s' is not understood (plex86 top --help)\n", arg, *value ? " " : "", value);
			return 1;
		}
	}
	return 0;
}

int top_main(int argc, char **argv)
{
	struct top *t = calloc(1, sizeof(*t));
	int rc = t ? parse(t, argc, argv) : 1;

	if (rc != 0) {
		free(t);
		return rc;
	}
	if (!t->batch && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || newterm(NULL, stdout, stdin) == NULL)) {
		fputs("plex86: top: this is no terminal (plex86 top --batch prints tables)\n", stderr);
		free(t);
		return 1;
	}
	if (!t->batch) {
		cbreak();
		noecho();
		curs_set(0);
	}
	for (;;) {
		rc = look(t) < 0;
		if (rc != 0)
			break;
		show(t);
		if ((t->count && --t->count == 0) || !wait_keys(t))
			break;
	}
	if (!t->batch)
		endwin();
	for (unsigned i = 0; i < t->n; i++)
		forget(&t->machine[i]);
	free(t);
	return rc;
}
