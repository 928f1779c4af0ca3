/*
 * plex86 ps, stop, screenshot, screentext, sendkey, monitor: what the command line says to running machines.
 */
#ifndef PLEX86_CONTROL_CLIENT_H
#define PLEX86_CONTROL_CLIENT_H

#include <stdbool.h>

/* Is this the name of such a command? */
bool client_command(const char *name);
/* argv[0] is the command's name. The exit status: 0, or 1 with a message on standard error. */
int client_main(int argc, char **argv);

#endif
