/*
 * SMBIOS: what the board says of itself to programs that ask for names and numbers.
 *
 * Direct boot puts the tables below 1 MiB itself; firmware is given them as two files and places them.
 */
#ifndef PLEX86_BOOT_SMBIOS_H
#define PLEX86_BOOT_SMBIOS_H

#include "mmu/phys.h"
#include "util/error.h"

#define SMBIOS_MAX_STRINGS	64
#define SMBIOS_TABLES_MAX	0x4000u	/* below 1 MiB there is a segment */
#define SMBIOS_ENTRY_BYTES	31
#define SMBIOS_OEM_STRINGS	16

struct smbios_config {			/* what the user says; strings are his */
	bool uuid_given;
	uint8_t uuid[16];		/* in the order it is written */
	const char *string[SMBIOS_MAX_STRINGS];	/* by smbios_set() */
	const char *oem[SMBIOS_OEM_STRINGS];	/* type 11 */
	unsigned noem;
	bool bios_given, board_given;	/* a string of type 0, of type 2 */
};

struct smbios {
	uint8_t entry[SMBIOS_ENTRY_BYTES];	/* the address of the tables is not in it yet, nor its checksums */
	uint8_t tables[SMBIOS_TABLES_MAX];
	uint32_t len;
	unsigned count, longest;
};

/* "f81d4fae-7dec-11d0-a765-00a0c91e6bf6". false: it is none. */
bool smbios_parse_uuid(const char *text, uint8_t uuid[16]);
/* One property of -smbios type=TYPE, as QEMU names them. 0, or -EINVAL with err set. */
int smbios_set(struct smbios_config *cfg, unsigned type, const char *name, const char *value, struct error *err);

/* bios: with a BIOS structure, which firmware adds itself. 0, or -E2BIG: the strings are too long. */
int smbios_build(struct smbios *s, const struct smbios_config *cfg, uint64_t ram_bytes, bool bios);
/* Entry point and tables into memory, below 1 MiB. */
void smbios_load(struct smbios *s, struct phys *phys, uint32_t entry_addr, uint32_t tables_addr);

#endif
