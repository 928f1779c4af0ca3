/*
 * Between the files of the command line: an option, and the groups of them as --help shows them.
 */
#ifndef PLEX86_CLI_OPTION_H
#define PLEX86_CLI_OPTION_H

#include <stddef.h>

#include "cli/options.h"

struct option {
	const char *name, *alias;	/* alias: NULL or a long second spelling */
	const char *arg;		/* NULL: takes none */
	const char *help;		/* NULL: said with the one before it */
	struct {			/* what it does: a function, or put arg or true into this field of struct options */
		int (*set)(struct options *o, const char *arg, struct error *err);
		size_t text, flag;	/* 0: none */
	} does;
	bool ours;			/* no counterpart in QEMU: --help shows it with two dashes, as GNU programs have it */
};

struct option_group {
	const char *title;
	const struct option *option;
	size_t n;
};

/* offsetof(), for a field of that type only. */
#define FIELD(field, type)	(offsetof(struct options, field) +						\
	0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((struct options *)0)->field), type) ? 1 : -1]))
#define SET(function)		{ .set = function }
#define TEXT(field)		{ .text = FIELD(field, const char *) }
#define FLAG(field)		{ .flag = FIELD(field, bool) }
#define GROUP(title, table)	{ title, table, ARRAY_LEN(table) }

extern const struct option_group options_boot, options_machine, options_drives;	/* options_machine.c */
extern const struct option_group options_console, options_control;			/* options_console.c */
extern const struct option_group options_engine, options_inside;			/* options_engine.c */

int option_display(struct options *o, const char *arg, struct error *err);		/* -display */
int option_name_socket(struct options *o, struct error *err);	/* the socket of the machine's name */

#endif
