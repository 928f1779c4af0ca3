/*
 * Linux: a bzImage by the 32-bit boot protocol, with initrd, command line and memory map.
 *							[Linux, "The Linux/x86 Boot Protocol", "Zero Page"]
 *
 * The 16-bit setup code at the head of the file is skipped: it would ask a BIOS for what we know.
 * Left out: zImage and protocols before 2.03 (kernels before 2.4.18), which have no 32-bit entry
 * with a command line of any length; the 64-bit and EFI entries.
 */
#include "boot/boot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PROTOCOL_MIN	0x203

/* Offsets in the file and in boot_params alike. */
enum {
	HDR_SETUP_SECTS = 0x1F1, HDR_SYSSIZE = 0x1F4, HDR_JUMP_LEN = 0x201, HDR_MAGIC = 0x202, HDR_VERSION = 0x206,
	HDR_LOADER = 0x210, HDR_LOADFLAGS = 0x211, HDR_CODE32 = 0x214, HDR_INITRD = 0x218, HDR_INITRD_SIZE = 0x21C,
	HDR_HEAP_END = 0x224, HDR_CMDLINE = 0x228, HDR_INITRD_MAX = 0x22C, HDR_XLOADFLAGS = 0x236,
	HDR_CMDLINE_SIZE = 0x238, HDR_PREF_ADDRESS = 0x258, HDR_INIT_SIZE = 0x260,
	SI_PAGE = 0x04, SI_MODE = 0x06, SI_COLUMNS = 0x07, SI_EGA_BX = 0x0A, SI_LINES = 0x0E, SI_IS_VGA = 0x0F, SI_POINTS = 0x10,
	BP_E820_COUNT = 0x1E8, BP_E820 = 0x2D0, BP_ALT_MEM_K = 0x1E0, BP_EXT_MEM_K = 0x02,
};
enum { LOADED_HIGH = BIT(0), CAN_USE_HEAP = BIT(7), XLF_KERNEL_64 = BIT(0) };

bool linux_probe(const struct host_file *k)
{
	return k->size >= 0x250 && get16(k->data + 0x1FE) == 0xAA55 && memcmp(k->data + HDR_MAGIC, "HdrS", 4) == 0;
}

static uint32_t setup_bytes(const uint8_t *hdr)
{
	unsigned sects = hdr[HDR_SETUP_SECTS];

	return (sects == 0 ? 4 : sects) * 512 + 512;	/* 0 means 4, says the protocol */
}

static int check_header(const struct host_file *k, struct error *err)
{
	const uint8_t *hdr = k->data;
	unsigned version = get16(hdr + HDR_VERSION);
	/* The size is in paragraphs, rounded up, and counts a checksum that a file may lack. */
	uint64_t announced = setup_bytes(hdr) + (uint64_t)get32(hdr + HDR_SYSSIZE) * 16;

	if (version < PROTOCOL_MIN || !(hdr[HDR_LOADFLAGS] & LOADED_HIGH))
		return error_set(err, -ENOEXEC, "kernel '%s': too old (boot protocol %u.%02u%s, 2.03 and bzImage needed: Linux 2.4.18 or later)",
		    k->path, version >> 8, version & 0xFF, hdr[HDR_LOADFLAGS] & LOADED_HIGH ? "" : ", zImage");
	if (k->size + 32 < announced || k->size <= setup_bytes(hdr))
		return error_set(err, -ENOEXEC, "kernel '%s': truncated (%zu bytes, its header announces %llu)",
		    k->path, k->size, (unsigned long long)announced);
	if (version >= 0x20C && (get16(hdr + HDR_XLOADFLAGS) & XLF_KERNEL_64))
		return error_set(err, -ENOEXEC, "kernel '%s': a 64-bit kernel; the guest's processor is 32-bit: use an i386 kernel", k->path);
	return 0;
}

/* Where the kernel ends once it has unpacked itself; nothing else may be below. */
static uint64_t kernel_end(const struct host_file *k)
{
	const uint8_t *hdr = k->data;
	uint64_t loaded = 0x100000 + (uint64_t)(k->size - setup_bytes(hdr));

	if (get16(hdr + HDR_VERSION) < 0x20A)
		return loaded;
	/* A relocatable kernel that finds itself below its preferred address moves up to it. */
	uint64_t unpacked = MAX(get32(hdr + HDR_PREF_ADDRESS), 0x100000u) + (uint64_t)get32(hdr + HDR_INIT_SIZE);
	return MAX(loaded, unpacked);
}

static int place_initrd(struct boot *boot, const char *path, struct error *err)
{
	struct boot_module *m = &boot->module[0];
	const uint8_t *hdr = boot->kernel.data;
	int rc = host_file_open(&m->file, "initrd", path, err);

	if (rc < 0)
		return rc;
	boot->nmodules = 1;
	uint64_t top = MIN((uint64_t)get32(hdr + HDR_INITRD_MAX) + 1, boot_ram_end(boot->ram_bytes));
	uint64_t low = kernel_end(&boot->kernel);
	if (m->file.size > top || ((top - m->file.size) & ~(uint64_t)PAGE_MASK) < low)
		return error_set(err, -EFBIG, "initrd '%s': %zu KiB do not fit between the kernel's end at %llu KiB and %llu KiB (see -m)",
		    path, m->file.size >> 10, (unsigned long long)(low >> 10), (unsigned long long)(top >> 10));
	m->addr = (uint32_t)(top - m->file.size) & ~PAGE_MASK;
	return 0;
}

int linux_open(struct boot *boot, const struct boot_config *cfg, struct error *err)
{
	const struct host_file *k = &boot->kernel;
	const uint8_t *hdr = k->data;
	int rc = check_header(k, err);

	if (rc < 0)
		return rc;
	if (boot->ram_bytes < 0x100000 + BOOT_ACPI_BYTES || kernel_end(k) > boot_ram_end(boot->ram_bytes))
		return error_set(err, -ENOMEM, "kernel '%s': needs at least %llu MiB of memory, -m gives %llu",
		    k->path, (unsigned long long)((kernel_end(k) + BOOT_ACPI_BYTES + 0xFFFFF) >> 20),
		    (unsigned long long)(boot->ram_bytes >> 20));
	uint32_t cmdline_max = get16(hdr + HDR_VERSION) >= 0x206 ? get32(hdr + HDR_CMDLINE_SIZE) : 255;
	if (strlen(boot->append) > cmdline_max)
		return error_set(err, -E2BIG, "-append: %zu bytes, the kernel takes %u", strlen(boot->append), cmdline_max);

	uint32_t setup = setup_bytes(hdr);
	boot->segment[0] = (struct boot_segment){ .addr = 0x100000, .offset = setup,
	    .file_bytes = (uint32_t)(k->size - setup), .mem_bytes = (uint32_t)(k->size - setup) };
	boot->nsegments = 1;
	boot->entry = 0x100000;
	boot->info_addr = BOOT_PARAMS;
	return cfg->initrd ? place_initrd(boot, cfg->initrd, err) : 0;
}

static void fill_e820(uint8_t *bp, uint64_t ram_bytes)
{
	struct e820_entry e[8];
	unsigned n = boot_e820(ram_bytes, e);

	bp[BP_E820_COUNT] = (uint8_t)n;
	for (unsigned i = 0; i < n; i++) {
		uint8_t *p = bp + BP_E820 + i * 20;
		put64(p, e[i].start);
		put64(p + 8, e[i].size);
		put32(p + 16, e[i].type);
	}
	/* For kernels that would rather believe INT 15h 88h and E801h: KiB above 1 MiB. */
	uint32_t high_k = (boot_ram_end(ram_bytes) >> 10) - 1024;
	put16(bp + BP_EXT_MEM_K, MIN(high_k, 0xFC00u));
	put32(bp + BP_ALT_MEM_K, high_k);
}

/* What the setup code would have learnt by INT 10h: text mode 3 of a VGA, on page 0, 80 by 25 of 8 by 16. */
static void fill_screen_info(uint8_t *bp)
{
	put16(bp + SI_PAGE, 0);
	bp[SI_MODE] = 3;
	bp[SI_COLUMNS] = 80;
	put16(bp + SI_EGA_BX, 0x0003);	/* INT 10h AH=12h BL=10h: colour, 256 KiB */
	bp[SI_LINES] = 25;
	bp[SI_IS_VGA] = 1;
	put16(bp + SI_POINTS, 16);
}

void linux_load(struct boot *boot, struct phys *phys, struct vcpu *cpu)
{
	const uint8_t *hdr = boot->kernel.data;
	uint8_t bp[PAGE_BYTES] = { 0 };
	uint32_t hdr_end = HDR_MAGIC + hdr[HDR_JUMP_LEN];

	memcpy(bp + HDR_SETUP_SECTS, hdr + HDR_SETUP_SECTS, hdr_end - HDR_SETUP_SECTS);
	bp[HDR_LOADER] = 0xFF;		/* no number is assigned to us */
	bp[HDR_LOADFLAGS] |= CAN_USE_HEAP;
	put16(bp + HDR_HEAP_END, 0xFE00);
	put32(bp + HDR_CODE32, boot->entry);
	put32(bp + HDR_CMDLINE, BOOT_CMDLINE);
	if (boot->nmodules) {
		const struct boot_module *m = &boot->module[0];

		put32(bp + HDR_INITRD, m->addr);
		put32(bp + HDR_INITRD_SIZE, (uint32_t)m->file.size);
		phys_load(phys, m->addr, m->file.data, m->file.size);
	}
	fill_e820(bp, boot->ram_bytes);
	if (boot->screen)		/* without: all zero, and the kernel looks for none */
		fill_screen_info(bp);
	phys_write(phys, BOOT_PARAMS, bp, sizeof(bp));
	phys_write(phys, BOOT_CMDLINE, boot->append, strlen(boot->append) + 1);
	boot_load_segments(boot, phys);

	/* __BOOT_CS and __BOOT_DS; ESI: boot_params; EBP, EDI, EBX: 0. */
	boot_cpu_flat32(cpu, phys, 0x10, 0x18, boot->entry);
	cpu->gpr[REG_ESI] = BOOT_PARAMS;
}
