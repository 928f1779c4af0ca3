/*
 * Which system calls each kind of thread may make: the filters of seccomp(2), built by libseccomp.
 *
 * What is not listed does not happen: the kernel sends SIGSYS instead, whose handler says which call
 * it was and ends the process.
 */
#ifndef PLEX86_HOST_SECCOMP_H
#define PLEX86_HOST_SECCOMP_H

#include <signal.h>

#include "util/types.h"

enum seccomp_list {
	SECCOMP_MONITOR,		/* every thread of the monitor; sockets and terminal only if there are any */
	SECCOMP_DISK,			/* further for one that works on disk images */
	SECCOMP_WAIT,			/* further for one that waits for descriptors and kicks, or writes output */
	SECCOMP_PUBLISH,		/* further for the one that answers scrapes and writes the meters' log */
	SECCOMP_BROKER,
	SECCOMP_NET,			/* the process of the user-mode network */
	SECCOMP_NET_RESTRICTED,		/* ... that makes no connections */
};

/* This thread, and for SECCOMP_MONITOR all others too. 0 or -errno: the host has no seccomp, or refuses it. */
int seccomp_confine(enum seccomp_list list);
unsigned seccomp_count(enum seccomp_list list);	/* how many system calls it lists on this host */
bool seccomp_offered(void);			/* by this host, to this process */

/* The handler of SIGSYS. In a signal; does not return. */
void seccomp_on_violation(int sig, siginfo_t *info, void *ucontext);
/* Looked up before the lock-down, as a handler may not: the names of all system calls. */
void seccomp_learn_names(void);

#endif
