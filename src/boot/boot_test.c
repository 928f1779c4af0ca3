#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot/boot.h"
#include "cpu/cpu.h"
#include "emulate/emulate.h"
#include "mmu/mmu.h"
#include "tests/test.h"
#include "vm.h"

#include <elf.h>	/* last: its PF_W is a macro, ours a constant */

#define MIB (1u << 20)

/* A file with these bytes; the name is static until the next but one call. */
static const char *temp_file(const void *data, size_t size)
{
	static char names[2][32];
	static unsigned turn;
	char *name = names[turn++ & 1];

	strcpy(name, "/tmp/boot-test-XXXXXX");
	int fd = mkstemp(name);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), (ssize_t)size);
	close(fd);
	return name;
}

/* The smallest bzImage: one setup sector, then body bytes of 0xC5. */
static uint8_t *make_bzimage(size_t body, size_t *size)
{
	*size = 1024 + body;
	uint8_t *k = calloc(1, *size);

	k[0x1F1] = 1;
	put32(k + 0x1F4, (uint32_t)(body / 16));
	put16(k + 0x1FE, 0xAA55);
	k[0x200] = 0xEB;
	k[0x201] = 0x66;
	memcpy(k + 0x202, "HdrS", 4);
	put16(k + 0x206, 0x20F);
	k[0x211] = 1;
	put32(k + 0x214, 0x100000);
	put32(k + 0x22C, 0x37FFFFFF);
	put32(k + 0x230, 0x1000);
	put32(k + 0x238, 255);
	put64(k + 0x258, 0x400000);
	put32(k + 0x260, 0x100000);
	memset(k + 1024, 0xC5, body);
	return k;
}

struct machine {
	struct vm vm;
	struct boot boot;
	struct error err;
};

/* Open, and if that works load. The machine is static: tests free nothing but the boot. */
static int boot_it(struct machine *m, const struct boot_config *cfg, uint64_t ram)
{
	memset(m, 0, sizeof(*m));
	int rc = boot_open(&m->boot, cfg, ram, &m->err);
	if (rc < 0)
		return rc;
	assert_int_equal(phys_init(&m->vm.phys, ram, 0), 0);
	m->vm.cpu.phys = &m->vm.phys;
	m->vm.cpu.vm = &m->vm;
	assert_int_equal(mmu_init(&m->vm.cpu), 0);
	boot_load(&m->boot, &m->vm.phys, &m->vm.cpu);
	return 0;
}

static void machine_free(struct machine *m)
{
	if (m->vm.cpu.phys) {
		mmu_free(&m->vm.cpu);
		phys_free(&m->vm.phys);
		boot_close(&m->boot);
	}
}

static int boot_bzimage(struct machine *m, const uint8_t *k, size_t size, const char *initrd, uint64_t ram)
{
	const char *path = temp_file(k, size);
	struct boot_config cfg = { .kernel = path, .initrd = initrd, .append = "console=ttyS0" };
	int rc = boot_it(m, &cfg, ram);

	unlink(path);
	return rc;
}

static struct machine m;

TEST(bzimage_is_entered_at_1_mib_with_esi_at_the_boot_parameters)	/* [Linux, "32-bit Boot Protocol"] */
{
	size_t size;
	uint8_t *k = make_bzimage(4096, &size);

	CHECK_EQ(boot_bzimage(&m, k, size, NULL, 64 * MIB), 0);
	struct vcpu *cpu = &m.vm.cpu;
	CHECK_EQ(cpu->eip, 0x100000);
	CHECK_EQ(cpu->gpr[REG_ESI], BOOT_PARAMS);
	CHECK_EQ(cpu->gpr[REG_EBP] | cpu->gpr[REG_EDI] | cpu->gpr[REG_EBX], 0);
	CHECK_EQ(cpu->seg[SEG_CS].selector, 0x10);
	CHECK_EQ(cpu->seg[SEG_DS].selector, 0x18);
	CHECK_EQ(cpu->seg[SEG_SS].limit, 0xFFFFFFFF);
	CHECK(cpu->cr0 & CR0_PE);
	CHECK(!(cpu->eflags & EFLAGS_IF));
	CHECK_EQ(phys_read_n(&m.vm.phys, 0x100000, 4), 0xC5C5C5C5);
	char line[16];
	phys_read(&m.vm.phys, phys_read_n(&m.vm.phys, BOOT_PARAMS + 0x228, 4), line, 14);
	CHECK_STR(line, "console=ttyS0");
	machine_free(&m);
	free(k);
}

static void note_reset(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	*(uint32_t *)arg = (uint32_t)port << 8 | val;
}

TEST(jump_to_the_bios_entry_resets_a_machine_that_has_no_bios)	/* [PIIX3 "Reset Control Register"] */
{
	size_t size;
	uint8_t *k = make_bzimage(4096, &size);
	uint32_t wrote = 0;
	const struct cpu_bus bus = { .io_write = note_reset };

	CHECK_EQ(boot_bzimage(&m, k, size, NULL, 64 * MIB), 0);
	struct vcpu *cpu = &m.vm.cpu;
	cpu->bus = &bus;
	cpu->bus_arg = &wrote;
	cpu->cr0 &= ~CR0_PE;
	for (unsigned i = 0; i < 6; i++) {
		cpu->seg[i].attr = i == SEG_CS ? 0x9B : 0x93;
		segment_load_real(cpu, i, i == SEG_CS ? 0xFFFF : 0);
	}
	cpu->eip = 0;
	cpu_update_mode(cpu);
	assert_int_equal(emulate_init(cpu), 0);
	cpu->icount_stop = cpu->icount + 10;
	CHECK_EQ(emulate_run(cpu), NEXT_HALT);
	CHECK_EQ(wrote, 0xCF906);
	emulate_free(cpu);
	machine_free(&m);
	free(k);
}

TEST(bzimage_is_told_of_text_mode_3_where_there_is_a_screen)	/* [Linux, "Zero Page": screen_info] */
{
	size_t size;
	uint8_t *k = make_bzimage(4096, &size);
	const char *path = temp_file(k, size);

	for (unsigned screen = 0; screen < 2; screen++) {
		struct boot_config cfg = { .kernel = path, .screen = screen };

		CHECK_EQ(boot_it(&m, &cfg, 64 * MIB), 0);
		CHECK_EQ(phys_read_n(&m.vm.phys, BOOT_PARAMS + 0x06, 2), screen ? 80 << 8 | 3 : 0);
		CHECK_EQ(phys_read_n(&m.vm.phys, BOOT_PARAMS + 0x0E, 4), screen ? 16 << 16 | 1 << 8 | 25 : 0);
		CHECK_EQ(phys_read_n(&m.vm.phys, 0x463, 2), screen ? 0x3D4 : 0);
		machine_free(&m);
	}
	unlink(path);
	free(k);
}

TEST(gdt_in_memory_describes_the_segments_the_kernel_starts_with)
{
	size_t size;
	uint8_t *k = make_bzimage(4096, &size);

	CHECK_EQ(boot_bzimage(&m, k, size, NULL, 64 * MIB), 0);
	CHECK_EQ(phys_read_n(&m.vm.phys, m.vm.cpu.gdtr.base + 0x10, 4), 0x0000FFFF);
	CHECK_EQ(phys_read_n(&m.vm.phys, m.vm.cpu.gdtr.base + 0x14, 4), 0x00CF9B00);
	CHECK_EQ(phys_read_n(&m.vm.phys, m.vm.cpu.gdtr.base + 0x1C, 4), 0x00CF9300);
	machine_free(&m);
	free(k);
}

TEST(memory_map_has_ram_up_to_the_acpi_tables_and_none_in_the_hole)
{
	struct e820_entry e[8];
	unsigned n = boot_e820(256 * MIB, e);
	uint64_t ram = 0;

	for (unsigned i = 0; i < n; i++) {
		if (e[i].type == 1) {
			ram += e[i].size;
			CHECK(e[i].start + e[i].size <= 0xA0000 || e[i].start >= 0x100000);
		}
		if (i)
			CHECK(e[i].start >= e[i - 1].start + e[i - 1].size);
	}
	CHECK_EQ(ram, BOOT_BASE_MEMORY + 255 * MIB - BOOT_ACPI_BYTES);
}

TEST(initrd_lies_page_aligned_below_the_acpi_tables)
{
	size_t size;
	uint8_t *k = make_bzimage(4096, &size), initrd[10000];

	memset(initrd, 0x5A, sizeof(initrd));
	const char *path = temp_file(initrd, sizeof(initrd));
	CHECK_EQ(boot_bzimage(&m, k, size, path, 64 * MIB), 0);
	uint32_t at = phys_read_n(&m.vm.phys, BOOT_PARAMS + 0x218, 4);
	CHECK_EQ(phys_read_n(&m.vm.phys, BOOT_PARAMS + 0x21C, 4), sizeof(initrd));
	CHECK_EQ(at & PAGE_MASK, 0);
	CHECK(at + sizeof(initrd) <= 64 * MIB - BOOT_ACPI_BYTES);
	CHECK_EQ(phys_read_n(&m.vm.phys, at + sizeof(initrd) - 4, 4), 0x5A5A5A5A);
	unlink(path);
	machine_free(&m);
	free(k);
}

TEST(initrd_that_does_not_fit_above_the_kernel_is_refused)
{
	size_t size;
	uint8_t *k = make_bzimage(4096, &size), *initrd = calloc(4, MIB);
	const char *path = temp_file(initrd, 4 * MIB);

	CHECK_EQ(boot_bzimage(&m, k, size, path, 8 * MIB), -EFBIG);	/* the kernel ends at 5 MiB */
	CHECK(strstr(m.err.text, "do not fit") != NULL);
	unlink(path);
	free(initrd);
	free(k);
}

TEST(bad_bzimages_are_refused_each_with_its_reason)
{
	size_t size;
	uint8_t *k = make_bzimage(65536, &size);

	CHECK_EQ(boot_bzimage(&m, k, size - 4096, NULL, 64 * MIB), -ENOEXEC);
	CHECK(strstr(m.err.text, "truncated") != NULL);
	put16(k + 0x236, 1);
	CHECK_EQ(boot_bzimage(&m, k, size, NULL, 64 * MIB), -ENOEXEC);
	CHECK(strstr(m.err.text, "64-bit") != NULL);
	put16(k + 0x236, 0);
	put16(k + 0x206, 0x202);
	CHECK_EQ(boot_bzimage(&m, k, size, NULL, 64 * MIB), -ENOEXEC);
	CHECK(strstr(m.err.text, "too old") != NULL);
	put16(k + 0x206, 0x20F);
	k[0x211] = 0;
	CHECK_EQ(boot_bzimage(&m, k, size, NULL, 64 * MIB), -ENOEXEC);
	CHECK(strstr(m.err.text, "zImage") != NULL);
	k[0x211] = 1;
	CHECK_EQ(boot_bzimage(&m, k, size, NULL, 4 * MIB), -ENOMEM);	/* wants 5 */
	CHECK(strstr(m.err.text, "MiB of memory") != NULL);
	memset(k + 0x202, 'x', 4);
	CHECK_EQ(boot_bzimage(&m, k, size, NULL, 64 * MIB), -ENOEXEC);
	CHECK(strstr(m.err.text, "not a kernel") != NULL);
	free(k);
}

TEST(every_byte_cut_off_a_bzimage_gives_an_error_or_a_boot_never_a_crash)
{
	size_t size;
	uint8_t *k = make_bzimage(64, &size);

	for (size_t len = 1; len < size; len += 7) {
		if (boot_bzimage(&m, k, len, NULL, 64 * MIB) == 0)
			machine_free(&m);
		else
			CHECK(m.err.text[0] != '\0');
	}
	free(k);
}

/* A Multiboot header by address fields: loaded at 2 MiB, 64 bytes of file, 8192 of bss. */
static void make_flat_multiboot(uint8_t k[128], uint32_t flags)
{
	memset(k, 0x90, 128);
	put32(k + 16, 0x1BADB002);
	put32(k + 20, flags);
	put32(k + 24, -(0x1BADB002 + flags));
	put32(k + 28, 0x200010);		/* header_addr: 16 bytes into the file */
	put32(k + 32, 0x200000);
	put32(k + 36, 0x200080);
	put32(k + 40, 0x202080);
	put32(k + 44, 0x200040);
}

TEST(multiboot_kernel_by_address_fields_gets_its_magic_map_and_modules)	/* [Multiboot, "Boot information format"] */
{
	uint8_t k[128];
	char module[64], initrd[200];

	make_flat_multiboot(k, 0x10003);
	const char *path = temp_file(k, sizeof(k));
	memset(module, 'm', sizeof(module));
	const char *mod = temp_file(module, sizeof(module));
	snprintf(initrd, sizeof(initrd), "%s one two,%s", mod, mod);
	struct boot_config cfg = { .kernel = path, .initrd = initrd, .append = "hello" };
	CHECK_EQ(boot_it(&m, &cfg, 16 * MIB), 0);

	struct phys *p = &m.vm.phys;
	uint32_t info = m.vm.cpu.gpr[REG_EBX];
	CHECK_EQ(m.vm.cpu.gpr[REG_EAX], 0x2BADB002);
	CHECK_EQ(m.vm.cpu.eip, 0x200040);
	CHECK_EQ(m.vm.cpu.gpr[REG_ESP], 0x7C00);		/* some stack, as every loader leaves */
	CHECK_EQ(phys_read_n(p, 0x200040, 1), 0x90);
	CHECK_EQ(phys_read_n(p, info, 4) & 0x4F, 0x4D);		/* memory, command line, modules, map */
	CHECK_EQ(phys_read_n(p, info + 4, 4), 639);
	CHECK_EQ(phys_read_n(p, info + 20, 4), 2);
	uint32_t mods = phys_read_n(p, info + 24, 4);
	uint32_t start = phys_read_n(p, mods, 4), args = phys_read_n(p, mods + 8, 4);
	CHECK_EQ(start & PAGE_MASK, 0);
	CHECK(start >= 0x202080);
	CHECK_EQ(phys_read_n(p, mods + 4, 4) - start, sizeof(module));
	CHECK_EQ(phys_read_n(p, start, 4), 0x6D6D6D6D);
	char text[64];
	phys_read(p, args, text, sizeof(text));
	CHECK(strstr(text, " one two") != NULL);
	phys_read(p, phys_read_n(p, info + 16, 4), text, sizeof(text));
	CHECK(strstr(text, " hello") != NULL);
	uint32_t map = phys_read_n(p, info + 48, 4), len = phys_read_n(p, info + 44, 4);
	CHECK_EQ(phys_read_n(p, map, 4), 20);
	CHECK_EQ(len % 24, 0);
	unlink(path);
	unlink(mod);
	machine_free(&m);
}

TEST(multiboot_requirement_that_is_not_known_is_refused)	/* ["The magic fields of Multiboot header"] */
{
	uint8_t k[128];

	make_flat_multiboot(k, 0x10083);
	const char *path = temp_file(k, sizeof(k));
	struct boot_config cfg = { .kernel = path };
	CHECK_EQ(boot_it(&m, &cfg, 16 * MIB), -ENOEXEC);
	CHECK(strstr(m.err.text, "requires") != NULL);
	unlink(path);
}

static size_t make_elf_multiboot(uint8_t k[512], uint32_t vaddr, uint32_t paddr)
{
	Elf32_Ehdr eh = { .e_ident = { 0x7F, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT }, .e_type = ET_EXEC,
	    .e_machine = EM_386, .e_version = 1, .e_entry = vaddr + 0x20, .e_phoff = sizeof(eh), .e_ehsize = sizeof(eh),
	    .e_phentsize = sizeof(Elf32_Phdr), .e_phnum = 1 };
	Elf32_Phdr ph = { .p_type = PT_LOAD, .p_offset = 256, .p_vaddr = vaddr, .p_paddr = paddr, .p_filesz = 256,
	    .p_memsz = 4096, .p_flags = 7, .p_align = 16 };

	memset(k, 0x90, 512);
	memcpy(k, &eh, sizeof(eh));
	memcpy(k + sizeof(eh), &ph, sizeof(ph));
	put32(k + 256, 0x1BADB002);
	put32(k + 260, 0);
	put32(k + 264, -0x1BADB002u);
	return 512;
}

TEST(multiboot_elf_is_loaded_and_entered_at_its_physical_address)
{
	uint8_t k[512];
	const char *path = temp_file(k, make_elf_multiboot(k, 0xC0300000, 0x300000));
	struct boot_config cfg = { .kernel = path };

	CHECK_EQ(boot_it(&m, &cfg, 16 * MIB), 0);
	CHECK_EQ(m.vm.cpu.eip, 0x300020);
	CHECK_EQ(phys_read_n(&m.vm.phys, 0x300000, 4), 0x1BADB002);
	CHECK_EQ(phys_read_n(&m.vm.phys, 0x300100, 4), 0);
	unlink(path);
	machine_free(&m);
}

TEST(multiboot_elf_segment_outside_the_file_or_the_memory_is_refused)
{
	uint8_t k[512];
	size_t size = make_elf_multiboot(k, 0x300000, 0x300000);
	const char *path = temp_file(k, size - 1);
	struct boot_config cfg = { .kernel = path };

	CHECK_EQ(boot_it(&m, &cfg, 16 * MIB), -ENOEXEC);
	unlink(path);
	cfg.kernel = path = temp_file(k, make_elf_multiboot(k, 0xF0000000, 0xF0000000));
	CHECK_EQ(boot_it(&m, &cfg, 16 * MIB), -ENOMEM);
	unlink(path);
}

TEST(acpi_root_pointer_leads_to_a_fadt_that_names_the_power_off_port)	/* [ACPI 3.0, "Finding the RSDP on IA-PC Systems"] */
{
	static uint8_t one = 0xF4;
	const char *path = temp_file(&one, 1);
	struct boot_config cfg = { .flat = path, .flat_addr = 0x100000 };
	uint8_t t[244], sum = 0;

	CHECK_EQ(boot_it(&m, &cfg, 16 * MIB), 0);
	struct phys *p = &m.vm.phys;
	phys_read(p, BOOT_RSDP, t, 20);
	assert_memory_equal(t, "RSD PTR ", 8);
	for (int i = 0; i < 20; i++)
		sum = (uint8_t)(sum + t[i]);
	CHECK_EQ(sum, 0);
	uint32_t rsdt = get32(t + 16), fadt = phys_read_n(p, rsdt + 36, 4);
	phys_read(p, fadt, t, sizeof(t));
	assert_memory_equal(t, "FACP", 4);
	for (size_t i = 0; i < sizeof(t); i++)
		sum = (uint8_t)(sum + t[i]);
	CHECK_EQ(sum, 0);
	CHECK_EQ(get32(t + 64), PC_ACPI_BASE + 4);
	uint32_t dsdt = get32(t + 40), len = phys_read_n(p, dsdt + 4, 4);
	CHECK(dsdt + len <= 16 * MIB);
	CHECK(len > 36 && len < ACPI_TABLES_MAX);
	for (uint32_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + phys_read_n(p, dsdt + i, 1));
	CHECK_EQ(sum, 0);
	CHECK_EQ(phys_read_n(p, dsdt + 37, 4), 0x5F35535F);	/* the first name: _S5_ */
	unlink(path);
	machine_free(&m);
}

TEST(flat_program_starts_in_the_mode_asked_for)
{
	static uint8_t one = 0xF4;
	const char *path = temp_file(&one, 1);
	struct boot_config cfg = { .flat = path, .flat_addr = 0x7C00, .flat_real = true };

	CHECK_EQ(boot_it(&m, &cfg, 1 * MIB), 0);
	CHECK_EQ(m.vm.cpu.seg[SEG_CS].selector, 0);
	CHECK_EQ(m.vm.cpu.eip, 0x7C00);
	machine_free(&m);
	cfg.flat_addr = 0x20008;
	CHECK_EQ(boot_it(&m, &cfg, 1 * MIB), 0);
	CHECK_EQ(m.vm.cpu.seg[SEG_CS].selector, 0x2000);
	CHECK_EQ(m.vm.cpu.eip, 8);
	machine_free(&m);
	cfg.flat_real = false;
	cfg.flat_addr = 1 * MIB;
	CHECK_EQ(boot_it(&m, &cfg, 1 * MIB), -EINVAL);
	unlink(path);
}
