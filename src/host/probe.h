/*
 * What this host offers the engines, found out by asking it.
 */
#ifndef PLEX86_HOST_PROBE_H
#define PLEX86_HOST_PROBE_H

#include "util/types.h"

struct host_facts {
	char cpu[64];			/* brand string */
	bool fsgsbase;			/* wrgsbase in user mode: switching windows is one instruction */
	bool pku;			/* protection keys */
	bool invariant_tsc;
	bool memfd;
	bool compat_code;		/* modify_ldt gives 32-bit code segments, and code runs in them */
	bool shadow_stack;		/* a hardware shadow stack is on for this process */
	long max_map_count;		/* -1: unknown */
	long mmap_min_addr;
	uint64_t memory_bytes, free_bytes;
	uint64_t address_space_limit;	/* RLIMIT_AS; UINT64_MAX: none */
};

void host_probe(struct host_facts *facts);

#endif
