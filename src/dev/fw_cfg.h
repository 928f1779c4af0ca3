/*
 * Firmware configuration: how the board tells its firmware what there is.  [QEMU "fw_cfg Device"]
 *
 * A selector and a data port (510h, 511h), and a DMA port (514h, 518h). Items have numbers; most
 * are files, with names, listed in a directory.
 */
#ifndef PLEX86_DEV_FW_CFG_H
#define PLEX86_DEV_FW_CFG_H

#include "util/types.h"

#define FW_CFG_MAX_ITEMS 48

enum {					/* items firmware asks for by number */
	FW_CFG_SIGNATURE = 0x00, FW_CFG_ID = 0x01, FW_CFG_UUID = 0x02, FW_CFG_RAM_SIZE = 0x03,
	FW_CFG_NOGRAPHIC = 0x04, FW_CFG_NB_CPUS = 0x05, FW_CFG_NUMA = 0x0D, FW_CFG_BOOT_MENU = 0x0E,
	FW_CFG_MAX_CPUS = 0x0F, FW_CFG_FILE_DIR = 0x19, FW_CFG_FILE_FIRST = 0x20,
	FW_CFG_ACPI_TABLES = 0x8000, FW_CFG_SMBIOS = 0x8001, FW_CFG_IRQ0_OVERRIDE = 0x8002, FW_CFG_E820 = 0x8003,
};

struct fw_cfg_item {
	uint16_t key;
	uint32_t len;
	const void *data;		/* the caller's, must live; NULL: small[] */
	uint8_t small[8];
	char name[56];			/* of a file, else "" */
};

struct fw_cfg {
	/* architectural */
	uint16_t selected;
	uint32_t at;			/* offset in the selected item */
	uint32_t dma_high;		/* address register, upper half */
	/* how it is built */
	struct fw_cfg_item item[FW_CFG_MAX_ITEMS];
	unsigned nitems, nfiles;
	uint8_t directory[4 + 64 * FW_CFG_MAX_ITEMS];
	/* host */
	void (*mem_read)(void *arg, gpa_t gpa, void *buf, size_t len);
	void (*mem_write)(void *arg, gpa_t gpa, const void *buf, size_t len);
	void *arg;
};

void fw_cfg_init(struct fw_cfg *fw);	/* then set mem_read, mem_write, arg */
void fw_cfg_reset(struct fw_cfg *fw);
void fw_cfg_add(struct fw_cfg *fw, uint16_t key, const void *data, uint32_t len);
void fw_cfg_add_number(struct fw_cfg *fw, uint16_t key, uint64_t val, unsigned bytes);	/* little-endian */
void fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, uint32_t len);

/* offset from 510h: 0 selector, 1 data, 4..11 DMA address. */
uint32_t fw_cfg_read(struct fw_cfg *fw, unsigned offset, unsigned size);
void fw_cfg_write(struct fw_cfg *fw, unsigned offset, unsigned size, uint32_t val);

#endif
