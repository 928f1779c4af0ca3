/*
 * Lock-step: emulator and scanned code on the same machine state, block by block.
 */
#ifndef PLEX86_SCAN_LOCKSTEP_H
#define PLEX86_SCAN_LOCKSTEP_H

#include "scan/internal.h"

#define LOCK_BRANCHED (-1)	/* scanner.lock_at: the block was left by a branch, or at its end */

/* From here on it is only lockstep_block() that runs: before, devices may have written to memory. */
void lockstep_begin(struct scanner *s);

/* One block (or instruction, where there is nothing to compare) from the current state. */
enum next lockstep_block(struct vcpu *cpu);

/* Scanned code asks for this instruction to be emulated, and it cannot be done twice: leave before it. */
bool lockstep_stops(struct scanner *s, const struct site *st);

#endif
