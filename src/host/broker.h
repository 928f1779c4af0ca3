/*
 * Opening files once the monitor has locked itself in.
 *
 * A confined monitor (host/sandbox.h) may open nothing. What it needs later - another CD, a screendump,
 * the pages of the web display - a second process opens for it and passes over: the broker, made before
 * anything of the guest is read. It believes nothing the monitor says: it opens regular files below folders
 * that were named before the lock-down, no names that begin with a dot, nothing through links out of the
 * folder; it makes new files, and overwrites only what it made itself, what holds nothing or a screendump,
 * or what lies in a folder that the user gave for writing.
 *
 * Without a broker, and before the lock-down, these functions are the plain calls.
 */
#ifndef PLEX86_HOST_BROKER_H
#define PLEX86_HOST_BROKER_H

#include <stdio.h>
#include <sys/stat.h>

#include "util/types.h"

enum broker_rights {
	BROKER_READ = 1,		/* regular files, read-only */
	BROKER_CREATE = 2,		/* files that do not exist yet */
	BROKER_WRITE = 4,		/* files that exist; names that begin with a dot too */
	BROKER_LINKS = 8,		/* links may lead out of the folder: it is the system's, no user writes there */
};

/* One in a process, made while there is one thread. 0 or -errno. */
int host_broker_start(void);
/* What may be opened, and taken away, later. Ignored without a broker; -EPERM after the lock-down. */
int host_broker_allow(const char *folder, unsigned rights);
int host_broker_allow_unlink(const char *path);
/* The lock-down: from here on files come from the broker, or, without one, not at all (EACCES). */
void host_broker_seal(void);
bool host_broker_sealed(void);		/* no socket can be made any more */

/*
 * Descriptors that a program passed to the monitor: file number id of them is opened by the name
 * "/dev/fdset/ID", as often as wanted. The number, or -ENOSPC; takes fd over.
 */
#define HOST_FDSETS 8
int host_fdset_add(int fd);
int host_fdset_remove(unsigned id);	/* 0 or -ENOENT */
bool host_fdset_named(const char *path);
int host_fdset_dup(const char *path);	/* as it is, a socket too: another descriptor of it, or -errno */

/* open(2), fopen(3), stat(2), unlink(2): the result and errno are theirs. */
int host_open(const char *path, int flags, unsigned mode);
FILE *host_fopen(const char *path, const char *mode);	/* "r" or "w" */
int host_stat(const char *path, struct stat *st);
int host_unlink(const char *path);

#endif
