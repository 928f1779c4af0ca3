/*
 * -chardev KIND,id=ID,...: ends of serial ports and monitors that other options refer to by ID.
 */
#ifndef PLEX86_CLI_CHARDEVS_H
#define PLEX86_CLI_CHARDEVS_H

#include "cli/options.h"

int chardevs_add(struct options *o, const char *arg, struct error *err);		/* -chardev */
int chardevs_resolve(struct options *o, struct error *err);	/* -serial chardev:ID and -mon, when all are known */

#endif
