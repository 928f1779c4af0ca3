/*
 * Guests that mean harm: the parts' common ground. The kernel around them is guest/system's.
 */
#ifndef GUEST_ATTACK_H
#define GUEST_ATTACK_H

#include "system.h"

enum { P = 1, W = 2, U = 4, PS = 0x80, ALL = P | W | U };

static inline uint32_t rnd(void)
{
	static uint32_t s = 2463534242u;

	s ^= s << 13;
	s ^= s >> 17;
	s ^= s << 5;
	return s;
}

static inline uint32_t call_code(const void *at, uint32_t eax)
{
	ASM("call *%1" : "+a"(eax) : "r"(at) : "ecx", "edx", "memory", "cc");
	return eax;
}

/* RAM from 8 MiB up, which the kernel does not use; 128 MiB are there. */
#define RAM(offset)	((uint8_t *)(0x800000u + (offset)))

#endif
