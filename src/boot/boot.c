/*
 * Direct boot, the part that all formats share.
 *
 * Left out: firmware calls. A program that wants INT 10h or INT 15h needs a BIOS.
 */
#include "boot/boot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cpu/descriptor.h"

unsigned boot_e820(uint64_t ram_bytes, struct e820_entry e[8])
{
	unsigned n = 0;

	e[n++] = (struct e820_entry){ 0, BOOT_BASE_MEMORY, 1 };
	e[n++] = (struct e820_entry){ BOOT_BASE_MEMORY, 0xA0000 - BOOT_BASE_MEMORY, 2 };
	e[n++] = (struct e820_entry){ 0xF0000, 0x10000, 2 };
	if (boot_ram_end(ram_bytes) > 0x100000)
		e[n++] = (struct e820_entry){ 0x100000, boot_ram_end(ram_bytes) - 0x100000, 1 };
	/* Reserved, not "ACPI data", which a kernel may take back for itself: the next kernel that this
	 * one starts by itself (kexec) finds the tables too. */
	e[n++] = (struct e820_entry){ boot_ram_end(ram_bytes), BOOT_ACPI_BYTES, 2 };
	return n;
}

uint32_t boot_ram_end(uint64_t ram_bytes)
{
	return (uint32_t)(ram_bytes - BOOT_ACPI_BYTES);
}

void boot_load_segments(struct boot *boot, struct phys *phys)
{
	static const uint8_t zero[PAGE_BYTES];

	for (unsigned i = 0; i < boot->nsegments; i++) {
		const struct boot_segment *s = &boot->segment[i];

		phys_load(phys, s->addr, boot->kernel.data + s->offset, s->file_bytes);
		for (uint32_t at = s->file_bytes; at < s->mem_bytes; at += PAGE_BYTES)
			phys_write(phys, (gpa_t)s->addr + at, zero, MIN(PAGE_BYTES, s->mem_bytes - at));
	}
}

/* Fields 15:0 of the limit, 23:0 of the base... 0, FFFFFh, G and D set.	[SDM 3, "Segment Descriptors"] */
static const uint8_t flat_code[8] = { 0xFF, 0xFF, 0, 0, 0, 0x9B, 0xCF, 0 };
static const uint8_t flat_data[8] = { 0xFF, 0xFF, 0, 0, 0, 0x93, 0xCF, 0 };

void boot_cpu_flat32(struct vcpu *cpu, struct phys *phys, uint16_t cs, uint16_t ds, uint32_t eip)
{
	phys_write(phys, BOOT_GDT + (cs & ~7u), flat_code, 8);
	phys_write(phys, BOOT_GDT + (ds & ~7u), flat_data, 8);
	cpu->gdtr.base = BOOT_GDT;
	cpu->gdtr.limit = (uint16_t)(MAX(cs, ds) | 7);
	for (unsigned i = 0; i < 6; i++)
		cpu->seg[i] = i == SEG_CS ? segment_flat(cs, true) : segment_flat(ds, false);
	cpu->cr0 = CR0_PE | CR0_ET;	/* caches on, as every BIOS leaves them */
	cpu->eip = eip;
	memset(cpu->gpr, 0, sizeof(cpu->gpr));
	cpu_update_mode(cpu);
}

static int flat_open(struct boot *boot, const struct boot_config *cfg, struct error *err)
{
	uint64_t end = (uint64_t)cfg->flat_addr + boot->kernel.size;

	if (end > boot->ram_bytes)
		return error_set(err, -EINVAL, "flat program '%s': %zu bytes at 0x%x do not fit into %llu KiB of memory (see -m)",
		    boot->kernel.path, boot->kernel.size, cfg->flat_addr, (unsigned long long)(boot->ram_bytes >> 10));
	if (cfg->flat_real && end > 0x10FFF0)
		return error_set(err, -EINVAL, "flat program '%s': real mode reaches no further than 0x10ffef", boot->kernel.path);
	boot->segment[0] = (struct boot_segment){ .addr = cfg->flat_addr, .file_bytes = (uint32_t)boot->kernel.size,
	    .mem_bytes = (uint32_t)boot->kernel.size };
	boot->nsegments = 1;
	boot->entry = cfg->flat_addr;
	boot->real = cfg->flat_real;
	return 0;
}

/*
 * A flat program starts at its first byte. Real mode: CS:IP = 0:addr below 64 KiB (as the BIOS starts a
 * boot sector), else addr >> 4 : addr & 15. Protected: CS 0008, the others 0010. The stack is
 * below 7C00h in both.
 */
static void flat_load(struct boot *boot, struct phys *phys, struct vcpu *cpu)
{
	boot_load_segments(boot, phys);
	if (boot->real) {
		bool low = boot->entry < 0x10000;

		for (unsigned i = 0; i < 6; i++)
			segment_load_real(cpu, i, 0);
		segment_load_real(cpu, SEG_CS, low ? 0 : (uint16_t)(boot->entry >> 4));
		cpu->eip = low ? boot->entry : boot->entry & 15;
		cpu_update_mode(cpu);
	} else {
		boot_cpu_flat32(cpu, phys, 0x08, 0x10, boot->entry);
	}
	cpu->gpr[REG_ESP] = BOOT_STACK;
}

static int identify(struct boot *boot, bool guessed, struct error *err)
{
	static const char *const advice = "plex86 boots 32-bit Linux bzImage and Multiboot 1 kernels";
	const struct host_file *k = &boot->kernel;

	if (multiboot_probe(k)) {
		boot->kind = BOOT_MULTIBOOT;
	} else if (linux_probe(k)) {
		boot->kind = BOOT_LINUX;
	} else if (k->size >= 4 && memcmp(k->data, "\x7F" "ELF", 4) == 0) {
		return error_set(err, -ENOEXEC, "kernel '%s': an ELF file without a Multiboot header; %s", k->path, advice);
	} else if (k->size >= 2 && k->data[0] == 0x1F && k->data[1] == 0x8B) {
		return error_set(err, -ENOEXEC, "kernel '%s': a gzip file; unpack it first", k->path);
	} else if (guessed) {
		return error_set(err, -ENOEXEC, "image '%s': neither a kernel nor a bootable disk; -hda FILE makes a drive of any file", k->path);
	} else {
		return error_set(err, -ENOEXEC, "kernel '%s': not a kernel; %s", k->path, advice);
	}
	return 0;
}

bool boot_is_multiboot(const char *path)
{
	struct host_file file = { 0 };
	struct error err = { "" };
	struct stat st;
	bool is = stat(path, &st) == 0 && S_ISREG(st.st_mode) &&	/* a pipe can be read once only */
	    host_file_open(&file, "kernel", path, &err) == 0 && multiboot_probe(&file);

	host_file_close(&file);
	return is;
}

static int open_kernel(struct boot *boot, const struct boot_config *cfg, struct error *err)
{
	int rc;

	if (cfg->flat) {
		boot->kind = BOOT_FLAT;
		rc = host_file_open(&boot->kernel, "flat program", cfg->flat, err);
		return rc < 0 ? rc : flat_open(boot, cfg, err);
	}
	rc = host_file_open(&boot->kernel, cfg->kernel_guessed ? "image" : "kernel", cfg->kernel, err);
	if (rc < 0)
		return rc;
	rc = identify(boot, cfg->kernel_guessed, err);
	if (rc < 0)
		return rc;
	return boot->kind == BOOT_LINUX ? linux_open(boot, cfg, err) : multiboot_open(boot, cfg, err);
}

int boot_open(struct boot *boot, const struct boot_config *cfg, uint64_t ram_bytes, struct error *err)
{
	*boot = (struct boot){ .ram_bytes = ram_bytes, .append = cfg->append ? cfg->append : "",
	    .screen = cfg->screen, .no_acpi = cfg->no_acpi, .hpet = cfg->hpet };
	if (strlen(boot->append) >= BOOT_CMDLINE_MAX)
		return error_set(err, -E2BIG, "-append: the kernel command line is longer than %u bytes", BOOT_CMDLINE_MAX - 1);
	int rc = open_kernel(boot, cfg, err);
	if (rc < 0)
		boot_close(boot);
	return rc;
}

/* What programs read of a BIOS's data area: serial ports, size of base memory, where the EBDA is, the text mode. */
static void load_bios_data(struct phys *phys, bool screen)
{
	uint8_t bda[0x100] = { 0 };

	put16(bda + 0x00, 0x3F8);
	put16(bda + 0x02, 0x2F8);
	put16(bda + 0x04, 0x3E8);
	put16(bda + 0x06, 0x2E8);
	put16(bda + 0x0E, BOOT_BASE_MEMORY >> 4);
	put16(bda + 0x13, BOOT_BASE_MEMORY >> 10);
	if (screen) {
		bda[0x49] = 3;			/* mode, columns, bytes a page, the CRTC's port, rows - 1, lines a character */
		put16(bda + 0x4A, 80);
		put16(bda + 0x4C, 4096);
		put16(bda + 0x63, 0x3D4);
		bda[0x84] = 24;
		put16(bda + 0x85, 16);
	}
	phys_write(phys, 0x400, bda, sizeof(bda));
}

/* Who jumps to FFFF:0000 to start the machine anew (as Linux with reboot=b) finds a way to: 6 into port CF9h. */
static void load_reset_vector(struct phys *phys)
{
	static const uint8_t code[] = { 0xBA, 0xF9, 0x0C,	/* mov dx, 0cf9h */
	    0xB0, 0x06, 0xEE,					/* mov al, 6; out dx, al */
	    0xF4, 0xEB, 0xFD };					/* hlt; jmp to it */

	phys_write(phys, 0xFFFF0, code, sizeof(code));
}

void boot_load(struct boot *boot, struct phys *phys, struct vcpu *cpu)
{
	load_bios_data(phys, boot->screen);
	if (boot->ram_bytes >= 0x100000 + BOOT_ACPI_BYTES && !boot->no_acpi)
		acpi_tables_load(phys, boot->ram_bytes, boot->hpet);
	if (boot->kind != BOOT_FLAT)
		load_reset_vector(phys);
	if (boot->smbios)
		smbios_load(boot->smbios, phys, BOOT_SMBIOS, BOOT_SMBIOS + 0x20);
	switch (boot->kind) {
	case BOOT_LINUX:
		linux_load(boot, phys, cpu);
		break;
	case BOOT_MULTIBOOT:
		multiboot_load(boot, phys, cpu);
		break;
	case BOOT_FLAT:
		flat_load(boot, phys, cpu);
		break;
	}
	host_file_rest(&boot->kernel);		/* until the next reset */
	for (unsigned i = 0; i < boot->nmodules; i++)
		host_file_rest(&boot->module[i].file);
}

void boot_close(struct boot *boot)
{
	host_file_close(&boot->kernel);
	for (unsigned i = 0; i < boot->nmodules; i++) {
		host_file_close(&boot->module[i].file);
		free(boot->module[i].args);
	}
	boot->nmodules = 0;
}
