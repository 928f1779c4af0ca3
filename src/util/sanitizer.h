/*
 * Is this built with AddressSanitizer or ThreadSanitizer? SANITIZER is true or false: gcc and clang say it in different ways.
 */
#ifndef PLEX86_UTIL_SANITIZER_H
#define PLEX86_UTIL_SANITIZER_H

#include <stdbool.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZER true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZER true
#endif
#endif
#ifndef SANITIZER
#define SANITIZER false
#endif

#endif
