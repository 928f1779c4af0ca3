/*
 * Landlock: the kernel refuses this thread, and those it makes, every file but those below some folders,
 * and every TCP port.			[landlock(7); Linux documentation, "Landlock: unprivileged access control"]
 */
#ifndef PLEX86_HOST_LANDLOCK_H
#define PLEX86_HOST_LANDLOCK_H

#include "util/types.h"

struct landlock_path {
	const char *path;		/* a folder, or a file */
	bool write;			/* files may be made, written and taken away, not just read */
};

int landlock_version(void);		/* of the kernel's ABI, or -errno: there is none */
int landlock_confine(const struct landlock_path *path, unsigned n, bool network);	/* network: TCP ports stay. The version, or -errno */

#endif
