/*
 * -readconfig FILE: options in a file, as QEMU's -writeconfig writes them.
 *
 *   [drive "disk0"]			is	-drive id=disk0,file=x.img,if=none
 *     file = "x.img"
 *     if = "none"
 */
#ifndef PLEX86_CLI_READCONFIG_H
#define PLEX86_CLI_READCONFIG_H

#include "cli/options.h"

int readconfig(struct options *o, const char *path, struct error *err);

#endif
