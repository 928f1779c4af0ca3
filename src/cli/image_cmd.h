/*
 * plex86 image create | info | convert.
 */
#ifndef PLEX86_CLI_IMAGE_CMD_H
#define PLEX86_CLI_IMAGE_CMD_H

#include <stdio.h>

/* argv[0] is "image". Returns the exit status: 0, or 1 after one line on standard error. */
int image_main(int argc, char **argv, FILE *out);

#endif
