/*
 * The user's terminal in raw mode, and back, whatever way the program ends.
 */
#ifndef PLEX86_HOST_TTY_H
#define PLEX86_HOST_TTY_H

#include "util/types.h"

bool host_tty_is(int fd);

/* Every key goes to the guest, Ctrl-C too; output keeps its newline translation, so that our own
 * messages read well. One terminal a process. 0 or -errno. */
int host_tty_raw(int fd);

/* As it was found. Safe in a signal handler; called at exit too; harmless when nothing is raw. */
void host_tty_restore_all(void);

#endif
