/*
 * What the monitor's `info` shows of the processor's tables and the interrupt controllers, in the form that
 * QEMU's users know.
 */
#ifndef PLEX86_CONTROL_INSPECT_H
#define PLEX86_CONTROL_INSPECT_H

#include <stdio.h>

struct vm;

void inspect_tlb(struct vm *vm, FILE *f);		/* every mapping of the page tables */
void inspect_mem(struct vm *vm, FILE *f);		/* the same, in ranges of equal rights */
void inspect_pic(struct vm *vm, FILE *f);
void inspect_irq(struct vm *vm, FILE *f);
void inspect_lapic(struct vm *vm, FILE *f);

#endif
