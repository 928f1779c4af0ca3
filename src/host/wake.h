/* Waking a thread that polls an eventfd, from anywhere. */
#ifndef PLEX86_HOST_WAKE_H
#define PLEX86_HOST_WAKE_H

#include <errno.h>
#include <unistd.h>

#include "util/types.h"

/*
 * It may wait for nothing else, and who wakes it may join it: so a failure is tried again, as the host's are when they pass.
 * A count that is full wakes as well.
 */
static inline void host_wake(int fd)
{
	uint64_t one = 1;

	for (unsigned tries = 0; write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN && tries < 1000; tries++)
		;
}

#endif
