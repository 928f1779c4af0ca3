/*
 * Host bridge: the 82441FX (PMC). Of it: the identity, and shadow RAM (PAM).
 */
#ifndef PLEX86_DEV_I440FX_H
#define PLEX86_DEV_I440FX_H

#include "dev/pci.h"
#include "mmu/phys.h"

#define I440FX_SEGMENTS 13		/* twelve of 16 KiB from C0000h, one of 64 KiB at F0000h */

struct i440fx;
struct i440fx_run {			/* neighbouring segments of equal attributes: one phys region */
	struct i440fx *bridge;
	gpa_t start;
	char name[8];
};

struct i440fx {
	struct pci_dev pci;
	/* derived */
	uint8_t pam[I440FX_SEGMENTS];	/* attributes now in force: bit 0 read, bit 1 write go to RAM */
	/* host */
	struct phys *phys;
	bool rom_present;
	uint32_t rom_start;		/* what answers when a segment is not shadowed: ROM from here to FFFFFh, */
	uint64_t rom_fd_offset;		/* backed here; below it, nothing */
	struct i440fx_run run[I440FX_SEGMENTS];
	unsigned nruns;
};

/*
 * Put the bridge on the bus. The last rom_bytes (0: none, else at most 256 KiB, a multiple of 16 KiB) below 1 MiB are
 * ROM backed at rom_fd_offset. all_ram: shadow RAM is on and writable after reset, as a board
 * without firmware in it would need it.
 */
void i440fx_init(struct i440fx *bridge, struct pci_bus *bus, struct phys *phys, uint64_t rom_fd_offset,
		 uint32_t rom_bytes, bool all_ram);

#endif
