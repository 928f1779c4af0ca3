/*
 * The ends of serial ports, debug console and monitors: -serial WHERE and the like, and -chardev KIND,id=ID,...
 * that other options refer to by ID.
 */
#ifndef PLEX86_CLI_CHARDEVS_H
#define PLEX86_CLI_CHARDEVS_H

#include "cli/options.h"

int chardevs_add(struct options *o, const char *arg, struct error *err);	/* -chardev */
int chardevs_serial(struct options *o, const char *arg, struct error *err);	/* -serial */
int chardevs_debugcon(struct options *o, const char *arg, struct error *err);	/* -debugcon */
int chardevs_monitor(struct options *o, const char *arg, struct error *err);	/* -monitor */
int chardevs_qmp(struct options *o, const char *arg, struct error *err);	/* -qmp */
int chardevs_mon(struct options *o, const char *arg, struct error *err);	/* -mon */
int chardevs_resolve(struct options *o, struct error *err);	/* what was given by ID, when all are known */

#endif
