/*
 * Delays cut short: the guest's clock is put forward to where a delay ends, and the time is slept off later.
 *
 * A driver's delays come in rows, of some hundred microseconds each. A sleep through one costs the host some 20 us of
 * CPU time, and as much again is spun away because sleepers are woken late. So the guest is let ahead of the
 * host's time, by LEAD_MAX_NS at most; when it is that much ahead, or halts, the thread sleeps, and for the guest no
 * time passes meanwhile. All its clocks are one (vm_now()), and none of them goes back. A guest that waits for
 * something of the host's, a disk, must not run out of patience early: it is not let ahead then.
 */
#ifndef PLEX86_VM_LEAD_H
#define PLEX86_VM_LEAD_H

#include "vm.h"

#define LEAD_MAX_NS	2000000u

bool vm_lead_allowed(const struct vm *vm);

/* The guest does nothing until then (guest time) but wait: its clock is put there, or to the next event, if that comes before. */
void vm_lead_to(struct vm *vm, ns_t until);

/* The thread sleeps until attention is wanted, or until then (guest time; NS_NEVER). What it slept is taken off the lead. */
void vm_lead_sleep(struct vm *vm, ns_t until);

#endif
