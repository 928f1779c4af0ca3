/*
 * Multiboot 1: ELF kernels, and flat ones by the address fields of the header; modules, command line,
 * memory map.					[Multiboot Specification 0.6.96]
 *
 * Left out: the video mode fields (flag 2: the kernel is told there is no such information), symbols,
 * drives, the APM table.
 */
#include "boot/boot.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MB_HEADER_MAGIC = 0x1BADB002, MB_BOOT_MAGIC = 0x2BADB002, MB_SEARCH = 8192 };
enum { MB_ALIGN = BIT(0), MB_MEMORY = BIT(1), MB_VIDEO = BIT(2), MB_ADDRESSES = BIT(16), MB_KNOWN = MB_ALIGN | MB_MEMORY | MB_VIDEO };
enum { INFO_MEM = BIT(0), INFO_CMDLINE = BIT(2), INFO_MODS = BIT(3), INFO_MMAP = BIT(6), INFO_LOADER = BIT(9) };

#define INFO_BYTES_MAX	0x10000u	/* the information structure with its strings, at BOOT_PARAMS */

/* Offset of the header, -1: none. */
static long find_header(const struct host_file *k)
{
	size_t end = MIN(k->size, (size_t)MB_SEARCH);

	for (size_t at = 0; at + 12 <= end; at += 4) {
		const uint8_t *p = k->data + at;
		if (get32(p) == MB_HEADER_MAGIC && get32(p) + get32(p + 4) + get32(p + 8) == 0)
			return (long)at;
	}
	return -1;
}

bool multiboot_probe(const struct host_file *kernel)
{
	return find_header(kernel) >= 0;
}

static int add_segment(struct boot *boot, struct boot_segment s, struct error *err)
{
	if ((uint64_t)s.addr + s.mem_bytes > boot_ram_end(boot->ram_bytes))
		return error_set(err, -ENOMEM, "kernel '%s': reaches up to 0x%llx, beyond the memory that -m gives (%llu MiB)", boot->kernel.path,
		    (unsigned long long)s.addr + s.mem_bytes, (unsigned long long)(boot->ram_bytes >> 20));
	if (s.offset > boot->kernel.size || s.file_bytes > boot->kernel.size - s.offset || s.file_bytes > s.mem_bytes)
		return error_set(err, -ENOEXEC, "kernel '%s': truncated or damaged: a segment lies outside the file", boot->kernel.path);
	if (boot->nsegments == ARRAY_LEN(boot->segment))
		return error_set(err, -ENOEXEC, "kernel '%s': more than %zu loadable segments", boot->kernel.path, ARRAY_LEN(boot->segment));
	boot->segment[boot->nsegments++] = s;
	return 0;
}

/* The kernel says itself where it goes.			["The address fields of Multiboot header"] */
static int open_addresses(struct boot *boot, size_t at, struct error *err)
{
	const struct host_file *k = &boot->kernel;
	const uint8_t *p = k->data + at;

	if (at + 32 > k->size)
		return error_set(err, -ENOEXEC, "kernel '%s': truncated in its Multiboot header", k->path);
	uint32_t header = get32(p + 12), load = get32(p + 16), load_end = get32(p + 20), bss_end = get32(p + 24);
	if (load > header || header - load > at)
		return error_set(err, -ENOEXEC, "kernel '%s': the Multiboot header's addresses contradict each other", k->path);
	uint64_t offset = at - (header - load);
	uint32_t bytes = load_end ? load_end - load : (uint32_t)(k->size - offset);
	uint32_t mem = bss_end > load ? MAX(bss_end - load, bytes) : bytes;

	boot->entry = get32(p + 28);
	return add_segment(boot, (struct boot_segment){ load, offset, bytes, mem }, err);
}

static int open_elf(struct boot *boot, struct error *err)
{
	const struct host_file *k = &boot->kernel;
	Elf32_Ehdr eh;

	if (k->size < sizeof(eh) || memcmp(k->data, ELFMAG, SELFMAG) != 0)
		return error_set(err, -ENOEXEC, "kernel '%s': Multiboot without address fields, but not an ELF file", k->path);
	memcpy(&eh, k->data, sizeof(eh));
	if (eh.e_ident[EI_CLASS] != ELFCLASS32 || eh.e_machine != EM_386)
		return error_set(err, -ENOEXEC, "kernel '%s': an ELF file for another processor; the guest's is 32-bit x86", k->path);
	boot->entry = eh.e_entry;
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		uint64_t at = (uint64_t)eh.e_phoff + (uint64_t)i * eh.e_phentsize;
		Elf32_Phdr ph;

		if (at + sizeof(ph) > k->size)
			return error_set(err, -ENOEXEC, "kernel '%s': truncated in its program headers", k->path);
		memcpy(&ph, k->data + at, sizeof(ph));
		if (ph.p_type != PT_LOAD || ph.p_memsz == 0)
			continue;
		int rc = add_segment(boot, (struct boot_segment){ ph.p_paddr, ph.p_offset, ph.p_filesz, ph.p_memsz }, err);
		if (rc < 0)
			return rc;
		/* A kernel linked high has a virtual entry point; the loader enters it physically. */
		if (ph.p_vaddr != ph.p_paddr && eh.e_entry >= ph.p_vaddr && eh.e_entry - ph.p_vaddr < ph.p_memsz)
			boot->entry = eh.e_entry - ph.p_vaddr + ph.p_paddr;
	}
	return boot->nsegments ? 0 : error_set(err, -ENOEXEC, "kernel '%s': nothing in it to load", k->path);
}

/* Modules follow the kernel, each on a page of its own. "file args,file args". */
static int open_modules(struct boot *boot, const char *list, struct error *err)
{
	uint64_t at = 0x100000;

	for (unsigned i = 0; i < boot->nsegments; i++)
		at = MAX(at, (uint64_t)boot->segment[i].addr + boot->segment[i].mem_bytes);
	while (*list) {
		size_t len = strcspn(list, ",");

		if (boot->nmodules == BOOT_MAX_MODULES)
			return error_set(err, -E2BIG, "-initrd: more than %u modules", BOOT_MAX_MODULES);
		struct boot_module *m = &boot->module[boot->nmodules++];
		m->args = strndup(list, len);
		char *path = strndup(list, MIN(len, strcspn(list, " ")));
		if (m->args == NULL || path == NULL)
			return error_set(err, -ENOMEM, "no memory for the modules");
		int rc = host_file_open(&m->file, "module", path, err);
		free(path);
		if (rc < 0)
			return rc;
		at = (at + PAGE_MASK) & ~(uint64_t)PAGE_MASK;
		m->addr = (uint32_t)at;
		at += m->file.size;
		if (at > boot_ram_end(boot->ram_bytes))
			return error_set(err, -EFBIG, "module '%s': does not fit into the memory that -m gives (%llu MiB)",
			    m->args, (unsigned long long)(boot->ram_bytes >> 20));
		list += len + (list[len] == ',');
	}
	return 0;
}

/* The information goes to low memory unless the kernel itself is loaded there. */
static int place_info(struct boot *boot, struct error *err)
{
	static const uint32_t places[] = { BOOT_PARAMS, 0x50000, 0x80000 };

	for (unsigned i = 0; i < ARRAY_LEN(places); i++) {
		bool used = false;

		for (unsigned s = 0; s < boot->nsegments; s++)
			used |= boot->segment[s].addr < places[i] + INFO_BYTES_MAX &&
			    (uint64_t)boot->segment[s].addr + boot->segment[s].mem_bytes > places[i];
		if (!used) {
			boot->info_addr = places[i];
			return 0;
		}
	}
	return error_set(err, -ENOMEM, "kernel '%s': fills all of base memory, no room for the Multiboot information", boot->kernel.path);
}

int multiboot_open(struct boot *boot, const struct boot_config *cfg, struct error *err)
{
	size_t at = (size_t)find_header(&boot->kernel);
	uint32_t flags = get32(boot->kernel.data + at + 4);
	size_t strings = strlen(boot->append) + strlen(boot->kernel.path) + (cfg->initrd ? strlen(cfg->initrd) : 0);

	if (boot->ram_bytes < 0x100000 + BOOT_ACPI_BYTES)
		return error_set(err, -ENOMEM, "kernel '%s': a Multiboot kernel needs at least 2 MiB of memory (see -m)", boot->kernel.path);
	/* Bits 0 to 15 are requirements: one we do not know must be refused. */
	if (flags & 0xFFFF & ~(uint32_t)MB_KNOWN)
		return error_set(err, -ENOEXEC, "kernel '%s': requires Multiboot features unknown here (flags 0x%08x)", boot->kernel.path, flags);
	if (strings > INFO_BYTES_MAX - 4096)
		return error_set(err, -E2BIG, "-append and -initrd are too long for the Multiboot information");
	int rc = flags & MB_ADDRESSES ? open_addresses(boot, at, err) : open_elf(boot, err);
	if (rc == 0 && cfg->initrd)
		rc = open_modules(boot, cfg->initrd, err);
	return rc < 0 ? rc : place_info(boot, err);
}

struct info {				/* the information while it is built */
	uint8_t buf[INFO_BYTES_MAX];
	uint32_t len, base;
};

static uint32_t info_put(struct info *in, const void *p, size_t len)
{
	uint32_t at = in->len;

	memcpy(in->buf + at, p, len);
	in->len = (uint32_t)(at + len + 3) & ~3u;
	return in->base + at;
}

static void info_mmap(struct info *in, uint64_t ram_bytes)
{
	struct e820_entry e[8];
	unsigned n = boot_e820(ram_bytes, e);
	uint32_t first = in->len;

	for (unsigned i = 0; i < n; i++) {
		uint8_t p[24];

		put32(p, 20);		/* size of the entry, itself not counted */
		put64(p + 4, e[i].start);
		put64(p + 12, e[i].size);
		put32(p + 20, e[i].type);
		info_put(in, p, sizeof(p));
	}
	put32(in->buf + 44, in->len - first);
	put32(in->buf + 48, in->base + first);
}

static void info_modules(struct info *in, struct boot *boot, struct phys *phys)
{
	uint8_t list[BOOT_MAX_MODULES * 16] = { 0 };

	for (unsigned i = 0; i < boot->nmodules; i++) {
		const struct boot_module *m = &boot->module[i];
		uint8_t *p = list + i * 16;

		phys_write(phys, m->addr, m->file.data, m->file.size);
		put32(p, m->addr);
		put32(p + 4, m->addr + (uint32_t)m->file.size);
		put32(p + 8, info_put(in, m->args, strlen(m->args) + 1));
	}
	put32(in->buf + 20, boot->nmodules);
	put32(in->buf + 24, info_put(in, list, boot->nmodules * 16));
}

/* ["Boot information format"] */
void multiboot_load(struct boot *boot, struct phys *phys, struct vcpu *cpu)
{
	struct info *in = calloc(1, sizeof(*in));
	char cmdline[BOOT_CMDLINE_MAX];

	if (in == NULL)
		abort();		/* 64 KiB of host memory at start-up */
	in->base = boot->info_addr;
	in->len = 116;
	put32(in->buf, INFO_MEM | INFO_CMDLINE | INFO_MODS | INFO_MMAP | INFO_LOADER);
	put32(in->buf + 4, BOOT_BASE_MEMORY >> 10);
	put32(in->buf + 8, (boot_ram_end(boot->ram_bytes) - 0x100000) >> 10);
	snprintf(cmdline, sizeof(cmdline), "%s%s%s", boot->kernel.path, *boot->append ? " " : "", boot->append);
	put32(in->buf + 16, info_put(in, cmdline, strlen(cmdline) + 1));
	info_modules(in, boot, phys);
	info_mmap(in, boot->ram_bytes);
	put32(in->buf + 64, info_put(in, "plex86", 7));
	boot_load_segments(boot, phys);
	phys_write(phys, in->base, in->buf, in->len);

	boot_cpu_flat32(cpu, phys, 0x08, 0x10, boot->entry);
	/* Undefined, says the specification, but where every loader has some stack, and small kernels call with it. */
	cpu->gpr[REG_ESP] = BOOT_STACK;
	cpu->gpr[REG_EAX] = MB_BOOT_MAGIC;
	cpu->gpr[REG_EBX] = in->base;
	free(in);
}
