/* The GS base: scanned code reaches the window in use through it. Nothing else in the monitor uses GS. */
#ifndef PLEX86_HOST_GSBASE_H
#define PLEX86_HOST_GSBASE_H

#include "util/types.h"

uint64_t host_gs_base(void);		/* of the calling thread, now */
bool host_has_fsgsbase(void);
void host_set_gs_base(uint64_t base);	/* of the calling thread: 6 ns with FSGSBASE, a system call without */

#endif
