/* Stops the user asked for. Apart from the rest of the scanner, because struct vm is. */
#ifndef PLEX86_SCAN_TRAP_H
#define PLEX86_SCAN_TRAP_H

#include "cpu/vcpu.h"

void scan_trap(struct vcpu *cpu, const struct insn *in);	/* exec_fn of what the user virtualizes */
void scan_trap_access(struct vcpu *cpu);			/* a data access hit a protected page */

#endif
