/*
 * Tables that are large and mostly empty: pages that cost nothing until they are touched.
 */
#ifndef PLEX86_UTIL_PAGES_H
#define PLEX86_UTIL_PAGES_H

#include <stddef.h>
#include <sys/mman.h>

/* Zeroed, page aligned; NULL: no room. munmap() gives them back. */
static inline void *pages_map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

#endif
