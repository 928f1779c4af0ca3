/*
 * The board's ACPI tables as one run of bytes, to be put anywhere below 4 GiB.
 *
 * Pointers between tables are offsets in the run until somebody adds its address: acpi_tables_load()
 * at a direct boot, the firmware by the loader script of firmware.c otherwise.
 */
#ifndef PLEX86_BOOT_ACPI_TABLES_H
#define PLEX86_BOOT_ACPI_TABLES_H

#include "util/types.h"

#define ACPI_TABLES_MAX		0x4000u
#define ACPI_MAX_POINTERS	8
#define ACPI_MAX_TABLES		5

struct acpi_tables {
	uint8_t bytes[ACPI_TABLES_MAX];
	uint32_t len;
	uint32_t rsdt;				/* offset of the root table */
	struct { uint32_t at, size; } pointer[ACPI_MAX_POINTERS];
	unsigned npointers;
	struct { uint32_t at, len; } table[ACPI_MAX_TABLES];	/* those with a checksum (byte 9) that covers pointers */
	unsigned ntables;
	uint8_t rsdp[20];			/* root pointer: offset of the RSDT in it, checksum not made */
};

void acpi_tables_build(struct acpi_tables *t, uint64_t ram_bytes, bool hpet);
uint8_t acpi_checksum(const uint8_t *p, unsigned len);	/* the byte that makes the sum 0, if it was 0 */

#endif
