/*
 * The machine's board.
 */
#ifndef PLEX86_VM_BOARD_H
#define PLEX86_VM_BOARD_H

#include "util/error.h"

struct vm;

/* After the processor: chips, firmware, drives, and the bus between. 0 or -errno with err set. */
int vm_board_init(struct vm *vm, struct error *err);
/* After a reset: the chips as a BIOS leaves them to who is loaded, for a kernel that is started without one. */
void vm_board_as_bios(struct vm *vm);

#endif
