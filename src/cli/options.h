/*
 * The command line -> struct vm_config. The same tables of options (option.h) feed the parser and --help.
 */
#ifndef PLEX86_CLI_OPTIONS_H
#define PLEX86_CLI_OPTIONS_H

#include "host/sandbox.h"
#include "vm.h"

enum cli_command { CLI_RUN, CLI_HELP, CLI_VERSION, CLI_DOCTOR, CLI_DONE /* said what was asked, as -d help */ };

#define OPTIONS_IDLE_SLACK_MS	12

#define CLI_CHARDEVS 8

struct cli_chardev {
	char id[32];
	struct chardev_config end;
	bool mux;
};

#define CLI_BLOCKDEVS 16

struct cli_blockdev {			/* a node: a file, or the format that is in one */
	char name[64];
	struct vm_drive_config d;
};

#define CLI_NETDEVS 4

struct cli_netdev {			/* a network, which a card is to be on */
	const char *option, *id;	/* id NULL: none was given */
	bool used;
	struct net_user_config user;
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
	struct cli_blockdev blockdev[CLI_BLOCKDEVS];
	unsigned nblockdevs;
	const char *postponed[CLI_BLOCKDEVS];	/* -device whose drive= is not known yet */
	unsigned npostponed;
	bool all_seen;			/* and nothing more will be */
	struct cli_netdev netdev[CLI_NETDEVS];
	unsigned nnetdevs;
	struct cli_netdev *card_on, *net_user;	/* what -nic, what -net user made; NULL: nothing */
	const char *card_netdev;	/* netdev= of the card */
	bool net_nic;
	/* By the ID of a -chardev, to be resolved when all are known; NULL: not so. */
	const char *serial_id[PC_SERIAL_PORTS], *debugcon_id;
	struct { enum control_mode mode; const char *id; } mon[CLI_CHARDEVS];
	unsigned nmons;
	bool monitor_given;
	uint16_t debugcon_port;		/* by -global, before there is one; 0: the usual */
	const char *wrong_accel;	/* an accelerator that is not ours, */
	bool right_accel;		/* which is forgiven if one is named that is */
	bool daemonize;
	unsigned depth;			/* of files that -readconfig is reading */
	char name[64];			/* -name */
	unsigned nserial;
	struct kept_text *kept;
};

/* 0, or -EINVAL with err set. Strings point into argv, or are kept until options_free(), to be called in either case. */
int options_parse(struct options *o, int argc, char **argv, struct error *err);
void options_free(struct options *o);
/* A copy that may be cut into pieces; NULL: no memory. */
char *options_keep(struct options *o, const char *text);
/* A list whose first word may be left without its name: "a=1,KEY=x" -> "x,a=1". The text, or a kept copy. */
const char *options_front(struct options *o, const char *arg, const char *key);
void options_help(FILE *f);

bool parse_number(const char *text, uint64_t max, uint64_t *n);

/* One option, as if it stood on the command line. */
int options_set(struct options *o, const char *name, const char *arg, struct error *err);

int doctor(FILE *f);			/* plex86 doctor: the exit status */

#endif
