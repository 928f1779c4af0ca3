/*
 * The address spaces by name, and the few macros used everywhere.
 *
 * Say which address: an effective address (offset) is a plain uint32_t; adding a segment base
 * makes a lin_t; translating that makes a gpa_t; host memory is a pointer.
 */
#ifndef PLEX86_UTIL_TYPES_H
#define PLEX86_UTIL_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t lin_t;		/* guest linear address */
typedef uint64_t gpa_t;		/* guest-physical address (PAE: up to 36 bits) */
typedef uint64_t ns_t;		/* nanoseconds since the VM started */

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)
#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))
#define BIT(n)		(1u << (n))
#define MIN(a, b)	((a) < (b) ? (a) : (b))
#define MAX(a, b)	((a) > (b) ? (a) : (b))

/* A function that cpu_raise() comes back to. With clang's sanitizers in it, what it keeps for the way back is
 * overwritten on the way there. */
#ifdef __clang__
#define COMES_BACK	__attribute__((no_sanitize("address", "undefined", "coverage")))
#else
#define COMES_BACK
#endif

/* What a signal brings in at any place, the sanitizer's own code too: ThreadSanitizer's must not be entered again from there. */
#ifdef __clang__	/* its no_sanitize leaves the atomics in the sanitizer's hands */
#define IN_SIGNAL	__attribute__((disable_sanitizer_instrumentation))
#else
#define IN_SIGNAL	__attribute__((no_sanitize_thread))
#endif

#define PAGE_SHIFT	12
#define PAGE_BYTES	4096u
#define PAGE_MASK	(PAGE_BYTES - 1)

#endif
