/*
 * The firmware: SeaBIOS's image as ROM, and what fw_cfg tells it of the board.
 */
#ifndef PLEX86_BOOT_FIRMWARE_H
#define PLEX86_BOOT_FIRMWARE_H

#include "boot/acpi_tables.h"
#include "boot/smbios.h"
#include "dev/fw_cfg.h"
#include "mmu/phys.h"
#include "util/error.h"

#define FIRMWARE_MAX_BYTES	(16u << 20)
#define FIRMWARE_LOW_BYTES	0x20000u	/* how much of its end is seen below 1 MiB, too */

struct firmware {
	uint32_t rom_bytes, low_bytes;
	uint64_t rom_fd_offset;
	struct acpi_tables acpi;
	uint8_t loader[16 * 128];	/* the script that places the ACPI tables */
	uint32_t loader_len;
	uint8_t e820[20 * 4];
	char boot_order[512];
	uint8_t serial_port[8];
	uint8_t menu_wait[2], fail_wait[4];
};

struct firmware_config {
	const char *path;		/* NULL: look in the usual places */
	uint64_t ram_bytes;
	bool no_acpi, hpet;
	const uint8_t *uuid;		/* NULL: none was given */
	const struct smbios *smbios;	/* tables for it to place; must live as long as it */
	bool boot_retry_given;		/* boot_retry_ms says when it tries again after failing to boot, -1: never */
	uint32_t boot_retry_ms;
	const char *boot_order;		/* firmware's device paths, one a line; NULL: by CMOS */
	bool boot_menu;
	uint16_t boot_menu_ms;		/* how long its prompt waits for a key; 0: the firmware's own idea */
	bool serial_console;		/* INT 10h and INT 16h are served by COM1: there is no screen */
};

/* Read the image into ROM at the top of 4 GiB. 0 or -errno with err set. */
int firmware_load(struct firmware *fw, const struct firmware_config *cfg, struct phys *phys, struct error *err);
/* Everything it asks for; fw must live as long as fw_cfg. */
void firmware_describe(struct firmware *fw, const struct firmware_config *cfg, struct fw_cfg *fw_cfg);
/* Where an image of this name lies, or NULL. path: at least 256 bytes. */
const char *firmware_find(const char *name, char *path, size_t len);

#endif
