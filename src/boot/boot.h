/*
 * Direct boot: a kernel or a flat program put into memory the way a boot loader would, without firmware.
 *
 * boot_open() reads and checks everything the user named and decides what goes where; after it,
 * boot_load() cannot fail and is done again at every reset.
 *
 * Low memory as boot_load() leaves it:
 *   00400  what a BIOS data area says of the base memory and the serial ports
 *   00500  a flat GDT
 *   07C00  below it, a stack
 *   10000  Linux: boot_params; Multiboot: the information structure
 *   20000  the command line
 *   F0000  the ACPI root pointer; the tables are at the end of RAM
 *   F0020  the SMBIOS entry point, and its tables
 */
#ifndef PLEX86_BOOT_BOOT_H
#define PLEX86_BOOT_BOOT_H

#include "cpu/cpu.h"
#include "boot/smbios.h"
#include "host/file.h"
#include "mmu/phys.h"
#include "util/error.h"

#define BOOT_GDT		0x500u
#define BOOT_STACK		0x7C00u		/* first ESP of Multiboot and flat programs */
#define BOOT_PARAMS		0x10000u
#define BOOT_CMDLINE		0x20000u
#define BOOT_CMDLINE_MAX	0x10000u
#define BOOT_BASE_MEMORY	0x9FC00u	/* end of base memory, as a BIOS with a 1 KiB EBDA has it */
#define BOOT_RSDP		0xF0000u
#define BOOT_SMBIOS		0xF0020u
#define BOOT_ACPI_BYTES		0x20000u	/* the last bytes of RAM: ACPI tables, reserved in the memory map */
#define BOOT_MAX_MODULES	16

struct boot_config {			/* what the user asked for; strings NULL where not given */
	const char *kernel;
	bool kernel_guessed;		/* the user named an image: for what is said about it */
	const char *initrd;		/* Multiboot: "file args,file args..." */
	const char *append;
	const char *flat;		/* a flat binary, with its address and the mode it starts in */
	uint32_t flat_addr;
	bool flat_real;
	bool no_acpi, hpet;
	bool screen;			/* there is one, and it shows text mode 3 */
};

enum boot_kind { BOOT_LINUX, BOOT_MULTIBOOT, BOOT_FLAT };

struct boot_module {
	struct host_file file;
	char *args;			/* path and arguments, as the kernel is told them */
	uint32_t addr;
};

struct boot_segment {			/* what of the kernel's file goes where */
	uint32_t addr;
	uint64_t offset;
	uint32_t file_bytes, mem_bytes;	/* the rest is zeroed */
};

struct boot {
	enum boot_kind kind;
	uint64_t ram_bytes;
	struct host_file kernel;
	const char *append;
	struct boot_module module[BOOT_MAX_MODULES];
	unsigned nmodules;
	struct boot_segment segment[16];
	unsigned nsegments;
	uint32_t entry;
	uint32_t info_addr;		/* boot_params or multiboot information */
	bool real, screen, no_acpi, hpet;
	struct smbios *smbios;		/* the caller's; NULL: none */
};

/* 0 or -errno with err set: one line, the user's next step in it. */
int boot_open(struct boot *boot, const struct boot_config *cfg, uint64_t ram_bytes, struct error *err);
void boot_load(struct boot *boot, struct phys *phys, struct vcpu *cpu);	/* cpu: just reset */
void boot_close(struct boot *boot);
/* Whether the file is a Multiboot kernel, for who sets up the machine around it; false also if it cannot be read. */
bool boot_is_multiboot(const char *path);

/* --- for the loaders --- */
bool linux_probe(const struct host_file *kernel);
int linux_open(struct boot *boot, const struct boot_config *cfg, struct error *err);
void linux_load(struct boot *boot, struct phys *phys, struct vcpu *cpu);
bool multiboot_probe(const struct host_file *kernel);
int multiboot_open(struct boot *boot, const struct boot_config *cfg, struct error *err);
void multiboot_load(struct boot *boot, struct phys *phys, struct vcpu *cpu);

/* The memory map a BIOS would report (INT 15h E820h). Returns the number of entries, at most 8. */
struct e820_entry {
	uint64_t start, size;
	uint32_t type;			/* 1 RAM, 2 reserved, 3 ACPI data */
};
unsigned boot_e820(uint64_t ram_bytes, struct e820_entry e[8]);
uint32_t boot_ram_end(uint64_t ram_bytes);	/* first byte that is not the kernel's: the ACPI tables */

void boot_load_segments(struct boot *boot, struct phys *phys);
/* Flat 4 GiB segments in 32-bit protected mode, paging and interrupts off: the state that the Linux
 * and Multiboot protocols ask for. */
void boot_cpu_flat32(struct vcpu *cpu, struct phys *phys, uint16_t cs, uint16_t ds, uint32_t eip);
/* The ACPI tables into the last BOOT_ACPI_BYTES of RAM, the root pointer to BOOT_RSDP. */
void acpi_tables_load(struct phys *phys, uint64_t ram_bytes, bool hpet);

static inline uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static inline uint32_t get32(const uint8_t *p) { return get16(p) | (uint32_t)get16(p + 2) << 16; }
static inline void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)v; p[1] = (uint8_t)(v >> 8); }
static inline void put32(uint8_t *p, uint32_t v) { put16(p, v); put16(p + 2, v >> 16); }
static inline void put64(uint8_t *p, uint64_t v) { put32(p, (uint32_t)v); put32(p + 4, (uint32_t)(v >> 32)); }

#endif
