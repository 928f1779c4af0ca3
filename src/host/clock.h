/*
 * The host's clocks.
 */
#ifndef PLEX86_HOST_CLOCK_H
#define PLEX86_HOST_CLOCK_H

#include <sys/types.h>
#include <time.h>

#include "util/types.h"

ns_t host_clock_ns(void);		/* monotonic; its zero means nothing */
uint64_t host_clock_ms(void);		/* the same in milliseconds */
int host_poll_until(uint64_t ms);	/* poll()'s timeout, to wait until then; UINT64_MAX: for good */
ns_t host_clock_of(clockid_t clock);	/* another one */
ns_t host_clock_of_process(pid_t pid);	/* CPU time of another process; 0: there is none */
struct timespec host_timespec(ns_t ns);
bool host_tsc_steady(void);		/* the processor's counter goes at one rate, asleep or not: invariant TSC */
int64_t host_wall_s(bool local);	/* seconds since 1970: UTC, or the local time read as if it were UTC */

#endif
