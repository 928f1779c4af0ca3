/*
 * struct vm: one virtual machine, and the only place where its parts meet.
 */
#ifndef PLEX86_VM_H
#define PLEX86_VM_H

#include "cpu/vcpu.h"
#include "mmu/phys.h"

/* Why a run ended; also plex86's exit status (man page, EXIT STATUS). */
enum stop_reason {
	STOP_NONE = -1,
	STOP_POWEROFF = 0,		/* the guest powered off; or the user quit */
	STOP_USAGE = 1,			/* bad command line or input file (before the guest ran) */
	STOP_INTERNAL = 2,		/* ours: something not implemented, a host error */
	STOP_TRIPLE_FAULT = 3,		/* with -no-reboot */
	STOP_DEAD_HALT = 4,		/* HLT with interrupts off for good */
	STOP_GUEST_PANIC = 5,		/* the guest's panic port */
	STOP_TRAP = 6,			/* --virtualize / --protect-code report */
	STOP_DEBUG_EXIT = 7,		/* isa-debug-exit: status is (val << 1) | 1 */
	STOP_SIGNAL = 8,		/* SIGTERM, SIGINT, SIGHUP: 128 + signal */
};

struct vm;

/*
 * End the VM at the next instruction boundary. The first reason given stays. fmt says in one line
 * what happened (and, where it is ours, what is missing). Callable from any part that holds a vcpu.
 */
void vm_stop(struct vm *vm, enum stop_reason reason, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
