/*
 * -blockdev: images as nodes, one for the file and one for the format in it, which a -device refers to by name.
 */
#ifndef PLEX86_CLI_BLOCKDEVS_H
#define PLEX86_CLI_BLOCKDEVS_H

#include "cli/options.h"

int blockdevs_add(struct options *o, const char *arg, struct error *err);
const struct vm_drive_config *blockdevs_find(const struct options *o, const char *name);	/* NULL: no such node */

#endif
