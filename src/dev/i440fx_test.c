#include <string.h>

#include "dev/i440fx.h"
#include "tests/test.h"

#define ROM_BYTES 0x20000

struct board { struct phys phys; struct pci_bus bus; struct i440fx bridge; };

static void setup(struct board *b, bool all_ram)
{
	memset(b, 0, sizeof(*b));
	assert_int_equal(phys_init(&b->phys, 2 << 20, ROM_BYTES), 0);
	uint64_t rom = phys_alloc_extra(&b->phys, ROM_BYTES);
	memset(b->phys.ram + rom, 0xAB, ROM_BYTES);
	memset(b->phys.ram + 0xC0000, 0x11, 0x40000);
	i440fx_init(&b->bridge, &b->bus, &b->phys, rom, ROM_BYTES, all_ram);
}

static void pam(struct board *b, unsigned reg, uint8_t val)
{
	pci_config_write(&b->bus, 0x80000000 | reg, 1, val);
}

TEST(i440fx_after_reset_reads_the_rom_and_loses_writes)
{
	struct board b;
	setup(&b, false);
	CHECK_EQ(phys_read_n(&b.phys, 0xFFFF0, 1), 0xAB);
	CHECK_EQ(phys_read_n(&b.phys, 0xE0000, 4), 0xABABABAB);
	CHECK_EQ(phys_read_n(&b.phys, 0xC0000, 1), 0xFF);
	phys_write_n(&b.phys, 0xF0000, 1, 0x55);
	CHECK_EQ(phys_read_n(&b.phys, 0xF0000, 1), 0xAB);
	CHECK_EQ(b.phys.ram[0xF0000], 0x11);
	CHECK_EQ(phys_read_n(&b.phys, 0xBFFFC, 4), 0);		/* below: plain memory */
	phys_free(&b.phys);
}

TEST(i440fx_firmware_can_copy_itself_into_the_ram_beneath)	/* [82441FX "Programmable Attribute Map"] */
{
	struct board b;
	uint8_t buf[256];
	setup(&b, false);
	pam(&b, 0x59, 0x20);					/* F0000h: writes to RAM, reads from ROM */
	for (unsigned i = 0; i < 0x10000; i += sizeof(buf)) {
		phys_read(&b.phys, 0xF0000 + i, buf, sizeof(buf));
		CHECK_EQ(buf[0], 0xAB);
		phys_write(&b.phys, 0xF0000 + i, buf, sizeof(buf));
	}
	pam(&b, 0x59, 0x10);					/* reads from RAM, write-protected */
	CHECK_EQ(phys_read_n(&b.phys, 0xF1234, 2), 0xABAB);
	phys_write_n(&b.phys, 0xF1234, 2, 0);
	CHECK_EQ(phys_read_n(&b.phys, 0xF1234, 2), 0xABAB);
	pam(&b, 0x59, 0x30);
	phys_write_n(&b.phys, 0xF1234, 2, 0x1234);
	CHECK_EQ(phys_read_n(&b.phys, 0xF1234, 2), 0x1234);
	phys_free(&b.phys);
}

TEST(i440fx_each_half_register_rules_its_own_16_kilobytes)
{
	struct board b;
	setup(&b, false);
	pam(&b, 0x5A, 0x30);					/* C4000h only */
	CHECK_EQ(phys_read_n(&b.phys, 0xC3FFF, 1), 0xFF);
	CHECK_EQ(phys_read_n(&b.phys, 0xC4000, 1), 0x11);
	CHECK_EQ(phys_read_n(&b.phys, 0xC7FFF, 1), 0x11);
	CHECK_EQ(phys_read_n(&b.phys, 0xC8000, 1), 0xFF);
	pam(&b, 0x5F, 0x03);					/* E8000h only */
	CHECK_EQ(phys_read_n(&b.phys, 0xE7FFF, 1), 0xAB);
	CHECK_EQ(phys_read_n(&b.phys, 0xE8000, 1), 0x11);
	CHECK_EQ(phys_read_n(&b.phys, 0xEC000, 1), 0xAB);
	phys_free(&b.phys);
}

TEST(i440fx_reset_brings_the_rom_back)
{
	struct board b;
	setup(&b, false);
	pam(&b, 0x59, 0x30);
	CHECK_EQ(phys_read_n(&b.phys, 0xFFFF0, 1), 0x11);
	pci_reset(&b.bus);
	CHECK_EQ(phys_read_n(&b.phys, 0xFFFF0, 1), 0xAB);
	phys_free(&b.phys);
}

TEST(i440fx_without_firmware_all_of_it_is_ram)
{
	struct board b;
	setup(&b, true);
	for (gpa_t at = 0xC0000; at < 0x100000; at += 0x4000) {
		phys_write_n(&b.phys, at, 4, 0xCAFE0000 | at >> 12);
		CHECK_EQ(phys_read_n(&b.phys, at, 4), 0xCAFE0000 | at >> 12);
	}
	phys_free(&b.phys);
}

TEST(i440fx_system_management_memory_is_locked_off)
{
	struct board b;
	setup(&b, false);
	pam(&b, 0x72, 0x4A);
	CHECK_EQ(pci_config_read(&b.bus, 0x80000072, 1), 0x12);
	phys_free(&b.phys);
}
