/*
 * Firmware: where it lies, and what it is told.		[SeaBIOS "Runtime config"], [QEMU fw_cfg]
 *
 * The ACPI tables are handed over as a file with a script ("etc/table-loader"): allocate memory for the
 * file, add its address to these pointers, then make these checksums.
 * SMBIOS tables are two files: the entry point, and the tables it is to point to.
 */
#include "boot/firmware.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "boot/boot.h"
#include "host/file.h"

/* --- the image --- */

static const char *const folders[] = {
	"/usr/share/seabios", "/usr/share/qemu", "/usr/share/seabios-firmware", "/usr/local/share/qemu",
	"/usr/local/share/seabios", "/usr/lib/ipxe/qemu",
};

const char *firmware_find(const char *name, char *path, size_t len)
{
	for (unsigned i = 0; i < ARRAY_LEN(folders); i++) {
		snprintf(path, len, "%s/%s", folders[i], name);
		if (access(path, R_OK) == 0)
			return path;
	}
	return NULL;
}

int firmware_load(struct firmware *fw, const struct firmware_config *cfg, struct phys *phys, struct error *err)
{
	char found[256];
	const char *path = cfg->path ? cfg->path : firmware_find("bios-256k.bin", found, sizeof(found));
	struct host_file file;

	if (path == NULL)
		path = firmware_find("bios.bin", found, sizeof(found));
	if (path == NULL)
		return error_set(err, -ENOENT,
		    "no firmware found: install the package 'seabios', or name an image with -bios FILE");
	int rc = host_file_open(&file, "firmware", path, err);
	if (rc < 0)
		return rc;
	if (file.size % 0x10000 != 0 || file.size > FIRMWARE_MAX_BYTES) {
		rc = error_set(err, -EINVAL, "firmware '%s': %zu bytes are not the size of a BIOS image (64 KiB, 256 KiB...)",
		    path, file.size);
	} else {
		fw->rom_bytes = (uint32_t)file.size;
		fw->low_bytes = MIN(fw->rom_bytes, FIRMWARE_LOW_BYTES);
		fw->rom_fd_offset = phys_alloc_extra(phys, file.size);
		memcpy(phys->ram + fw->rom_fd_offset, file.data, file.size);
		phys_add(phys, (struct phys_region){ .start = 0x100000000ull - file.size, .size = file.size,
		    .kind = PHYS_ROM, .fd_offset = fw->rom_fd_offset, .name = "bios" });
	}
	host_file_close(&file);
	return rc;
}

/* --- the loader script: commands of 128 bytes --- */

enum { CMD_ALLOCATE = 1, CMD_ADD_POINTER = 2, CMD_ADD_CHECKSUM = 3 };
enum { ZONE_HIGH = 1, ZONE_FSEG = 2 };

#define TABLES_FILE	"etc/acpi/tables"
#define RSDP_FILE	"etc/acpi/rsdp"

static uint8_t *command(struct firmware *fw, uint32_t number, const char *file)
{
	uint8_t *p = fw->loader + fw->loader_len;

	fw->loader_len += 128;
	put32(p, number);
	memcpy(p + 4, file, strlen(file));
	return p;
}

static void allocate(struct firmware *fw, const char *file, uint32_t align, uint8_t zone)
{
	uint8_t *p = command(fw, CMD_ALLOCATE, file);

	put32(p + 60, align);
	p[64] = zone;
}

static void add_pointer(struct firmware *fw, const char *file, const char *to, uint32_t offset, uint8_t size)
{
	uint8_t *p = command(fw, CMD_ADD_POINTER, file);

	memcpy(p + 60, to, strlen(to));
	put32(p + 116, offset);
	p[120] = size;
}

static void add_checksum(struct firmware *fw, const char *file, uint32_t at, uint32_t start, uint32_t len)
{
	uint8_t *p = command(fw, CMD_ADD_CHECKSUM, file);

	put32(p + 60, at);
	put32(p + 64, start);
	put32(p + 68, len);
}

static void make_loader(struct firmware *fw)
{
	const struct acpi_tables *t = &fw->acpi;

	memset(fw->loader, 0, sizeof(fw->loader));
	fw->loader_len = 0;
	allocate(fw, RSDP_FILE, 16, ZONE_FSEG);
	allocate(fw, TABLES_FILE, 64, ZONE_HIGH);
	for (unsigned i = 0; i < t->npointers; i++)
		add_pointer(fw, TABLES_FILE, TABLES_FILE, t->pointer[i].at, (uint8_t)t->pointer[i].size);
	for (unsigned i = 0; i < t->ntables; i++)
		add_checksum(fw, TABLES_FILE, t->table[i].at + 9, t->table[i].at, t->table[i].len);
	add_pointer(fw, RSDP_FILE, TABLES_FILE, 16, 4);
	add_checksum(fw, RSDP_FILE, 8, 0, sizeof(t->rsdp));
}

void firmware_describe(struct firmware *fw, const struct firmware_config *cfg, struct fw_cfg *fw_cfg)
{
	if (!cfg->no_acpi) {
		acpi_tables_build(&fw->acpi, cfg->ram_bytes, cfg->hpet);
		make_loader(fw);
		fw_cfg_add_file(fw_cfg, RSDP_FILE, fw->acpi.rsdp, sizeof(fw->acpi.rsdp));
		fw_cfg_add_file(fw_cfg, TABLES_FILE, fw->acpi.bytes, fw->acpi.len);
		fw_cfg_add_file(fw_cfg, "etc/table-loader", fw->loader, fw->loader_len);
	}
	if (cfg->uuid)
		fw_cfg_add(fw_cfg, FW_CFG_UUID, cfg->uuid, 16);
	fw_cfg_add_file(fw_cfg, "etc/smbios/smbios-anchor", cfg->smbios->entry, sizeof(cfg->smbios->entry));
	fw_cfg_add_file(fw_cfg, "etc/smbios/smbios-tables", cfg->smbios->tables, cfg->smbios->len);
	put64(fw->e820, 0);
	put64(fw->e820 + 8, cfg->ram_bytes);
	put32(fw->e820 + 16, 1);

	fw_cfg_add_number(fw_cfg, FW_CFG_RAM_SIZE, cfg->ram_bytes, 8);
	fw_cfg_add_number(fw_cfg, FW_CFG_NB_CPUS, 1, 2);
	fw_cfg_add_number(fw_cfg, FW_CFG_MAX_CPUS, 1, 2);
	fw_cfg_add_number(fw_cfg, FW_CFG_BOOT_MENU, cfg->boot_menu, 2);
	fw_cfg_add_number(fw_cfg, FW_CFG_IRQ0_OVERRIDE, 1, 1);
	fw_cfg_add_number(fw_cfg, FW_CFG_NUMA, 0, 8);
	fw_cfg_add_number(fw_cfg, FW_CFG_ACPI_TABLES, 0, 2);
	fw_cfg_add_number(fw_cfg, FW_CFG_SMBIOS, 0, 2);
	fw_cfg_add_file(fw_cfg, "etc/e820", fw->e820, 20);
	if (cfg->boot_retry_given) {
		put32(fw->fail_wait, cfg->boot_retry_ms);
		fw_cfg_add_file(fw_cfg, "etc/boot-fail-wait", fw->fail_wait, 4);
	}
	if (cfg->boot_menu_ms) {
		put16(fw->menu_wait, cfg->boot_menu_ms);
		fw_cfg_add_file(fw_cfg, "etc/boot-menu-wait", fw->menu_wait, 2);
	}
	if (cfg->serial_console) {
		put64(fw->serial_port, 0x3F8);
		fw_cfg_add_file(fw_cfg, "etc/sercon-port", fw->serial_port, 8);
	}
	if (cfg->boot_order != NULL) {
		snprintf(fw->boot_order, sizeof(fw->boot_order), "%s", cfg->boot_order);
		fw_cfg_add_file(fw_cfg, "bootorder", fw->boot_order, (uint32_t)strlen(fw->boot_order) + 1);
	}
}
