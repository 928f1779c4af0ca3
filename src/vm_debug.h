/*
 * Running the machine under a debugger or a trace: what is held (cpu/stops.h) is stopped at, or carried
 * out one instruction at a time; all else runs as ever.
 */
#ifndef PLEX86_VM_DEBUG_H
#define PLEX86_VM_DEBUG_H

#include "cpu/stops.h"

struct vm;

/* Breakpoints and watchpoints from now on, instead of those there were. 0 or -ENOMEM. */
int vm_debug_points(struct vm *vm, const lin_t *brk, unsigned nbrk, const struct watch *watch, unsigned nwatch);
/* The trace's items or filter were set: the CPU tells it from now on, code that it wants step by step is held from now on. 0 or -ENOMEM. */
int vm_debug_trace(struct vm *vm);
void vm_debug_free(struct vm *vm);

/* The engine until attention, with stops; in the place of vm.run while vcpu.stops is set. */
enum next vm_debug_run(struct vm *vm);

/* While paused: one instruction, or one element of a REP instruction, with what it raises. sstep: GDB_SSTEP_xxx.
 * true: it touched watched memory (stops.hit_watch). */
bool vm_debug_step(struct vm *vm, unsigned sstep);
void vm_debug_settle(struct vm *vm);		/* a reset that was asked for happens now */

#endif
