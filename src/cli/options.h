/*
 * The command line -> struct vm_config. One table of options feeds the parser and --help.
 */
#ifndef PLEX86_CLI_OPTIONS_H
#define PLEX86_CLI_OPTIONS_H

#include "host/sandbox.h"
#include "vm.h"

enum cli_command { CLI_RUN, CLI_HELP, CLI_VERSION, CLI_DOCTOR, CLI_DONE /* said what was asked, as -d help */ };

#define CLI_CHARDEVS 8

struct cli_chardev {
	char id[32];
	struct vm_serial_config end;
};

struct options {
	enum cli_command command;
	struct vm_config vm;
	struct sandbox_config sandbox;
	const char *image;		/* the argument that is no option */
	bool flat, engine_given;
	bool vga_given, display_given, nographic, no_defaults;
	struct cli_chardev chardev[CLI_CHARDEVS];
	unsigned nchardevs;
	const char *serial_id[PC_SERIAL_PORTS];	/* -serial chardev:ID, to be resolved when all are known */
	const char *mon[CLI_CHARDEVS];	/* -mon, likewise */
	unsigned nmons;
	char name[64];			/* -name */
	unsigned nserial;
	struct kept_text *kept;
};

/* 0, or -EINVAL with err set. Strings point into argv, or are kept until options_free(), to be called in either case. */
int options_parse(struct options *o, int argc, char **argv, struct error *err);
void options_free(struct options *o);
/* A copy that may be cut into pieces; NULL: no memory. */
char *options_keep(struct options *o, const char *text);
void options_help(FILE *f);

/* Bytes of "512", "64K", "2G", "100T"; unit: what a bare number counts. false: not a size, or over 64 bits. */
bool parse_size(const char *text, uint64_t unit, uint64_t *bytes);

int doctor(FILE *f);			/* plex86 doctor: the exit status */

#endif
