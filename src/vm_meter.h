/*
 * The machine's meters, read as a whole.
 */
#ifndef PLEX86_VM_METER_H
#define PLEX86_VM_METER_H

#include "meter/table.h"
#include "util/error.h"

struct vm;

/* On the vCPU's thread. 0, or -ENOTSUP with err set: built without meters. */
int vm_meters_read(struct vm *vm, struct meter_snapshot *s, struct error *err);

/* The same from another thread; arg is the struct vm. false: the machine is ending. */
bool vm_meters_fetch(void *arg, struct meter_snapshot *s);

#endif
