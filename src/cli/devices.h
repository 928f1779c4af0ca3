/*
 * -device and -global: what of QEMU's devices this machine has, by QEMU's names.
 */
#ifndef PLEX86_CLI_DEVICES_H
#define PLEX86_CLI_DEVICES_H

#include "cli/options.h"

int devices_add(struct options *o, const char *arg, struct error *err);		/* -device */
int devices_global(struct options *o, const char *arg, struct error *err);	/* -global */

#endif
