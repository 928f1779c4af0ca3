/*
 * plex86 profile: asks a machine for samples, names them, counts them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/link.h"
#include "control/stat.h"
#include "host/clock.h"
#include "meter/flame.h"
#include "meter/symbols.h"

#define READ_MS		250
#define SYMBOL_FILES	8
#define STACK_NAMES	48
#define FLAT_LINES	40

struct profile_options {
	const char *name, *folded, *svg;
	const char *file[SYMBOL_FILES];
	unsigned nfiles;
	double seconds;
	unsigned hz;
};

struct counts {
	struct symbols symbols;
	struct flame flame;		/* cause; callers...; where */
	struct flame flat;		/* cause; where */
	uint64_t samples, lost;
};

static int usage(const char *fmt, const char *what)
{
	fprintf(stderr, fmt, what);
	fputs(" (plex86 profile --help)\n", stderr);
	return 1;
}

static int parse(struct profile_options *o, int argc, char **argv)
{
	*o = (struct profile_options){ .seconds = 5, .hz = 499 };
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
		char *end = NULL;

		if (arg[0] != '-') {
			if (o->name)
				return usage("plex86: profile: one machine at a time, not '%s' too", arg);
			o->name = arg;
			continue;
		}
		if (value == NULL)
			return usage("plex86: profile: '%s' is not an option, or lacks its value", arg);
		i++;
		if (strcmp(arg, "--seconds") == 0) {
			o->seconds = strtod(value, &end);
			if (*end || end == value || !(o->seconds > 0 && o->seconds <= 86400))
				return usage("plex86: profile: --seconds '%s': not a time", value);
		} else if (strcmp(arg, "--rate") == 0) {
			o->hz = (unsigned)strtoul(value, &end, 10);
			if (*end || end == value)
				return usage("plex86: profile: --rate '%s': not a number", value);
		} else if (strcmp(arg, "--symbols") == 0) {
			if (o->nfiles == SYMBOL_FILES)
				return usage("plex86: profile: too many files of symbols, from '%s' on", value);
			o->file[o->nfiles++] = value;
		} else if (strcmp(arg, "--folded") == 0) {
			o->folded = value;
		} else if (strcmp(arg, "--svg") == 0) {
			o->svg = value;
		} else {
			return usage("plex86: profile: '%s' is not an option", arg);
		}
	}
	return o->name ? 0 : usage("plex86: profile: which %s?", "machine");
}

/* The function, or the page: addresses one by one would be a list of everything. */
static const char *name_of(const struct symbols *s, uint32_t address, char *room, size_t size)
{
	const char *name = symbols_find(s, address);

	if (name)
		return name;
	snprintf(room, size, "0x%05xxxx", address >> 12);
	return room;
}

static bool count_one(struct counts *c, json_t *sample)
{
	static const char *const rings[] = { "ring0", "ring1", "ring2", "ring3" };
	char room[STACK_NAMES][16], where[96], tag[32];
	const char *stack[STACK_NAMES + 3], *cause = json_string_value(json_array_get(sample, 2));
	size_t n = json_array_size(sample), frames = n > 3 ? MIN(n - 3, (size_t)STACK_NAMES - 1) : 0;
	unsigned depth = 0;

	if (n < 3 || cause == NULL)
		return true;
	uint32_t address = (uint32_t)json_integer_value(json_array_get(sample, 0));
	const char *ring = rings[json_integer_value(json_array_get(sample, 1)) & 3];
	stack[depth++] = ring;
	/* a return address is behind its CALL, which may be the last instruction of its function */
	for (size_t i = frames; i-- > 0; depth++)
		stack[depth] = name_of(&c->symbols, (uint32_t)json_integer_value(json_array_get(sample, 3 + i)) - 1, room[i], sizeof(room[i]));
	const char *leaf = name_of(&c->symbols, address, room[STACK_NAMES - 1], sizeof(room[0]));
	stack[depth++] = leaf;
	snprintf(where, sizeof(where), "%s", leaf);
	bool guest = strncmp(cause, "ring", 4) == 0;
	if (!guest) {
		snprintf(tag, sizeof(tag), "[%s]", cause);
		stack[depth++] = tag;
	}
	const char *flat[] = { cause, where };
	c->samples++;
	return flame_add(&c->flame, stack, depth, 1) && flame_add(&c->flat, flat, 2, 1);
}

static bool count_all(struct counts *c, json_t *value)
{
	json_t *one;
	size_t i;

	c->lost = (uint64_t)json_integer_value(json_object_get(value, "lost"));
	json_array_foreach(json_object_get(value, "samples"), i, one)
		if (!count_one(c, one))
			return false;
	return true;
}

/* --- the flat profile --- */

struct line {
	const char *cause, *where;
	uint64_t samples;
};

static int most_first(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->samples != y->samples)
		return x->samples < y->samples ? 1 : -1;
	return strcmp(x->where, y->where);
}

static void print_flat(const struct counts *c, const struct profile_options *o)
{
	size_t n = 0, i = 0;

	printf("%s: %llu samples in %g s", o->name, (unsigned long long)c->samples, o->seconds);
	if (c->lost)
		printf(", %llu lost", (unsigned long long)c->lost);
	printf("\n\n");
	for (const struct flame_node *cause = c->flat.root.child; cause; cause = cause->next) {
		printf("%7.2f %%  %s\n", 100.0 * (double)cause->total / (double)MAX(c->samples, 1u), cause->name);
		for (const struct flame_node *w = cause->child; w; w = w->next)
			n++;
	}
	struct line *line = calloc(n ? n : 1, sizeof(*line));
	if (line == NULL)
		return;
	for (const struct flame_node *cause = c->flat.root.child; cause; cause = cause->next)
		for (const struct flame_node *w = cause->child; w; w = w->next)
			line[i++] = (struct line){ cause->name, w->name, w->total };
	qsort(line, n, sizeof(*line), most_first);
	printf("\n%9s %8s  %-8s %s\n", "share", "samples", "cause", "where");
	for (i = 0; i < n && i < FLAT_LINES; i++)
		printf("%7.2f %% %8llu  %-8s %s\n", 100.0 * (double)line[i].samples / (double)MAX(c->samples, 1u),
		    (unsigned long long)line[i].samples, line[i].cause, line[i].where);
	free(line);
}

static int write_file(const char *path, const struct counts *c, const char *title)
{
	FILE *f = fopen(path, "we");

	if (f == NULL) {
		fprintf(stderr, "plex86: cannot write '%s': %s\n", path, strerror(errno));
		return 1;
	}
	if (title)
		flame_svg(&c->flame, title, f);
	else
		flame_folded(&c->flame, f);
	bool failed = ferror(f);
	failed = fclose(f) != 0 || failed;
	if (failed)
		fprintf(stderr, "plex86: cannot write '%s': %s\n", path, strerror(errno));
	return failed;
}

/* --- taking samples --- */

static double seconds_now(void)
{
	return (double)host_clock_ns() / 1e9;
}

static int take(struct counts *c, struct link *l, const struct profile_options *o)
{
	json_t *value = link_value(link_ask(l, "x-profile-start", json_pack("{s:i}", "rate", (int)o->hz)), o->name);
	double end = seconds_now() + o->seconds;
	bool ok = value != NULL, last = false;

	if (value == NULL)
		return 1;
	json_decref(value);
	while (ok && !last) {
		double left = end - seconds_now();

		if (left > 0) {
			long ns = (long)(MIN(left, READ_MS / 1000.0) * 1e9);
			nanosleep(&(struct timespec){ 0, ns }, NULL);
		}
		last = seconds_now() >= end;
		value = link_value(link_ask(l, "x-profile-read", NULL), o->name);
		ok = value && count_all(c, value);
		json_decref(value);
	}
	json_decref(link_ask(l, "x-profile-stop", NULL));
	return ok ? 0 : 1;
}

int profile_main(int argc, char **argv)
{
	struct profile_options o;
	struct counts c = { 0 };
	struct error err = { "" };
	struct link l;
	char title[160];
	int rc = parse(&o, argc, argv);

	for (unsigned i = 0; rc == 0 && i < o.nfiles; i++) {
		if (symbols_load(&c.symbols, o.file[i], &err) < 0) {
			fprintf(stderr, "plex86: %s\n", err.text);
			rc = 1;
		}
	}
	if (rc == 0 && !link_to(&l, o.name))
		rc = 1;
	else if (rc == 0) {
		rc = take(&c, &l, &o);
		link_close(&l);
	}
	if (rc == 0) {
		snprintf(title, sizeof(title), "%s: %llu samples in %g s", o.name, (unsigned long long)c.samples, o.seconds);
		print_flat(&c, &o);
		if (o.folded)
			rc = write_file(o.folded, &c, NULL);
		if (o.svg)
			rc |= write_file(o.svg, &c, title);
	}
	symbols_free(&c.symbols);
	flame_free(&c.flame);
	flame_free(&c.flat);
	return rc;
}
