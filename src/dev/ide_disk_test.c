/* Hard disk commands.	[ATA/ATAPI-6 "Command descriptions"] */
#include "dev/ide_rig.h"

TEST(ide_identify_tells_size_and_model)		/* [ATA-6 "IDENTIFY DEVICE"] */
{
	struct rig *r = rig_new();
	uint8_t id[512], sum = 0;
	out(r, 6, 0xA0);
	out(r, 7, 0xEC);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC | IDE_DRQ);
	read_block(&r->ide.channel[0], id, 512);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC);
	CHECK_EQ(id[120] | id[121] << 8, SECTORS);
	CHECK_EQ(id[200] | id[201] << 8, SECTORS);
	CHECK_EQ(id[54], 'l');				/* "plex86": the bytes of each word are swapped */
	CHECK_EQ(id[55], 'p');
	for (unsigned i = 0; i < 512; i++)
		sum += id[i];
	CHECK_EQ(sum, 0);
	free(r);
}

TEST(ide_pio_read_interrupts_once_a_sector)
{
	struct rig *r = rig_new();
	uint8_t buf[512];
	lba28(r, 5, 3, 0x20);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(r->irqs, i + 1);
		CHECK(in(r, 7) & IDE_DRQ);
		CHECK(!r->irq[0]);			/* reading the status took it back */
		read_block(&r->ide.channel[0], buf, 512);
		assert_memory_equal(buf, r->hd.bytes + (5 + i) * 512, 512);
	}
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC);
	CHECK_EQ(r->irqs, 3);
	free(r);
}

TEST(ide_read_multiple_interrupts_once_a_block_and_ends_short)
{
	struct rig *r = rig_new();
	uint8_t buf[512 * 4];
	out(r, 2, 4);
	out(r, 6, 0xE0);
	out(r, 7, 0xC6);
	in(r, 7);
	unsigned before = r->irqs;
	lba28(r, 0, 10, 0xC4);
	CHECK(in(r, 7) & IDE_DRQ);
	read_block(&r->ide.channel[0], buf, 2048);
	CHECK(in(r, 7) & IDE_DRQ);
	read_block(&r->ide.channel[0], buf, 2048);
	CHECK(in(r, 7) & IDE_DRQ);
	read_block(&r->ide.channel[0], buf, 1024);
	assert_memory_equal(buf, r->hd.bytes + 8 * 512, 1024);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC);
	CHECK_EQ(r->irqs - before, 3);
	free(r);
}

TEST(ide_pio_write_reaches_the_medium_before_the_interrupt)
{
	struct rig *r = rig_new();
	r->hd.later = true;
	lba28(r, 9, 1, 0x30);
	CHECK_EQ(r->irqs, 0);				/* the first block is not announced by one */
	CHECK(in(r, 7) & IDE_DRQ);
	for (unsigned i = 0; i < 256; i++)
		ide_write(&r->ide.channel[0], 0, 2, 0xBEEF);
	CHECK_EQ(in(r, 7) & IDE_BSY, IDE_BSY);
	CHECK_EQ(r->irqs, 0);
	finish(&r->hd);
	CHECK_EQ(r->irqs, 1);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC);
	CHECK_EQ(r->hd.bytes[9 * 512], 0xEF);
	free(r);
}

TEST(ide_lba48_reads_the_high_order_bytes_written_first)
{
	struct rig *r = rig_new();
	uint8_t buf[512];
	lba48(r, 999, 1, 0x24);
	read_block(&r->ide.channel[0], buf, 512);
	assert_memory_equal(buf, r->hd.bytes + 999 * 512, 512);
	lba48(r, 0x0001000003E7, 1, 0x24);		/* the same low 24 bits */
	CHECK(in(r, 7) & IDE_ERR);
	CHECK_EQ(in(r, 1), IDE_IDNF);
	free(r);
}

TEST(ide_out_of_range_is_id_not_found)
{
	struct rig *r = rig_new();
	lba28(r, SECTORS, 1, 0x20);
	CHECK(in(r, 7) & IDE_ERR);
	CHECK_EQ(in(r, 1), IDE_IDNF);
	lba28(r, SECTORS - 1, 2, 0xCA);
	CHECK(in(r, 7) & IDE_ERR);
	CHECK_EQ(in(r, 1), IDE_IDNF);
	lba28(r, SECTORS - 1, 2, 0x30);
	CHECK(in(r, 7) & IDE_ERR);
	CHECK_EQ(r->hd.writes, 0);
	free(r);
}

TEST(ide_pio_read_beyond_the_end_gives_what_there_is_and_then_the_error)	/* [ATA-6 "READ SECTOR(S)": error outputs] */
{
	struct rig *r = rig_new();
	uint8_t b[1024];

	lba28(r, SECTORS - 2, 31, 0x20);
	for (unsigned i = 2; i > 0; i--) {
		CHECK_EQ(in(r, 7) & (IDE_DRQ | IDE_ERR), IDE_DRQ);
		read_block(&r->ide.channel[0], b, 512);
		assert_memory_equal(b, r->hd.bytes + (SECTORS - i) * 512, 512);
	}
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC | IDE_ERR);
	CHECK_EQ(in(r, 1), IDE_IDNF);
	CHECK_EQ(in(r, 2), 29);
	CHECK_EQ(in(r, 3) | in(r, 4) << 8, SECTORS & 0xFFFF);

	out(r, 2, 2);					/* in blocks of two: the one that sticks out does not begin */
	out(r, 7, 0xC6);
	lba28(r, SECTORS - 3, 4, 0xC4);
	CHECK(in(r, 7) & IDE_DRQ);
	read_block(&r->ide.channel[0], b, 1024);
	assert_memory_equal(b, r->hd.bytes + (SECTORS - 3) * 512, 1024);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC | IDE_ERR);
	CHECK_EQ(in(r, 2), 2);
	free(r);
}

TEST(ide_chs_addresses_translate_with_the_geometry_in_force)
{
	struct rig *r = rig_new();
	uint8_t buf[512];
	out(r, 2, 17);
	out(r, 6, 0xA3);
	out(r, 7, 0x91);				/* 4 heads, 17 sectors */
	out(r, 2, 1);
	out(r, 3, 2);
	out(r, 4, 3);
	out(r, 5, 0);
	out(r, 6, 0xA1);
	out(r, 7, 0x20);
	read_block(&r->ide.channel[0], buf, 512);
	assert_memory_equal(buf, r->hd.bytes + ((3 * 4 + 1) * 17 + 1) * 512, 512);
	out(r, 2, 1);
	out(r, 3, 0);					/* there is no sector 0 */
	out(r, 7, 0x20);
	CHECK_EQ(in(r, 1), IDE_IDNF);
	free(r);
}

TEST(ide_read_error_names_the_sector_and_delivers_those_before)
{
	struct rig *r = rig_new();
	uint8_t buf[512];
	r->hd.bad_sector = 42;
	lba28(r, 40, 8, 0x20);
	read_block(&r->ide.channel[0], buf, 512);
	read_block(&r->ide.channel[0], buf, 512);
	assert_memory_equal(buf, r->hd.bytes + 41 * 512, 512);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC | IDE_ERR);
	CHECK_EQ(in(r, 1), IDE_UNC);
	CHECK_EQ(in(r, 3), 42);
	free(r);
}

TEST(ide_flush_completes_only_when_the_medium_says_so)
{
	struct rig *r = rig_new();
	r->hd.later = true;
	out(r, 6, 0xE0);
	out(r, 7, 0xEA);
	CHECK(in(r, 7) & IDE_BSY);
	CHECK_EQ(r->irqs, 0);
	finish(&r->hd);
	CHECK_EQ(r->irqs, 1);
	CHECK_EQ(r->hd.flushes, 1);
	free(r);
}

TEST(ide_with_the_write_cache_off_each_write_is_flushed)
{
	struct rig *r = rig_new();
	out(r, 1, 0x82);
	out(r, 6, 0xE0);
	out(r, 7, 0xEF);
	lba28(r, 9, 1, 0x30);
	for (unsigned i = 0; i < 256; i++)
		ide_write(&r->ide.channel[0], 0, 2, 0);
	CHECK_EQ(r->hd.flushes, 1);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC);
	free(r);
}

TEST(ide_read_only_medium_refuses_writes)
{
	struct rig *r = rig_new();
	r->hd.disk.read_only = true;
	lba28(r, 5, 1, 0x30);
	CHECK_EQ(in(r, 1), IDE_ABRT);
	free(r);
}

static uint16_t word(const uint8_t *id, unsigned n)
{
	return (uint16_t)(id[2 * n] | id[2 * n + 1] << 8);
}

static void identify(struct rig *r, uint8_t id[512])
{
	uint8_t sum = 0;

	out(r, 6, 0xA0);
	out(r, 7, 0xEC);
	read_block(&r->ide.channel[0], id, 512);
	for (unsigned i = 0; i < 512; i++)
		sum += id[i];
	CHECK_EQ(sum, 0);
}

/* A command whose registers but COUNT and FEATURES do not matter; its error register. */
static uint8_t command(struct rig *r, uint8_t feature, uint8_t count, uint8_t code)
{
	unsigned irqs = r->irqs;

	out(r, 1, feature);
	out(r, 2, count);
	out(r, 7, code);
	CHECK_EQ(r->irqs, irqs + 1);
	in(r, 7);
	return in(r, 1);
}

TEST(ide_transfer_mode_that_was_set_is_the_one_identify_marks)	/* [ATA-6 "SET FEATURES" 03h, words 63 and 88] */
{
	struct rig *r = rig_new();
	uint8_t id[512];

	identify(r, id);
	CHECK_EQ(word(id, 63), 0x0007);
	CHECK_EQ(word(id, 88), 0x003F);
	CHECK_EQ(command(r, 3, 0x45, 0xEF), 0);		/* Ultra DMA 5 */
	identify(r, id);
	CHECK_EQ(word(id, 63), 0x0007);
	CHECK_EQ(word(id, 88), 0x203F);
	CHECK_EQ(command(r, 3, 0x22, 0xEF), 0);		/* multiword DMA 2 */
	CHECK_EQ(command(r, 3, 0x0C, 0xEF), 0);		/* PIO 4: beside it */
	identify(r, id);
	CHECK_EQ(word(id, 63), 0x0407);
	CHECK_EQ(word(id, 88), 0x003F);
	CHECK_EQ(command(r, 3, 0x46, 0xEF), IDE_ABRT);	/* Ultra DMA 6: not announced */
	CHECK_EQ(command(r, 3, 0x23, 0xEF), IDE_ABRT);
	CHECK_EQ(command(r, 0x77, 0, 0xEF), IDE_ABRT);
	identify(r, id);
	CHECK_EQ(word(id, 63), 0x0407);
	free(r);
}

TEST(ide_write_cache_shows_in_identify)		/* [ATA-6 "IDENTIFY DEVICE", words 82 and 85] */
{
	struct rig *r = rig_new();
	uint8_t id[512];

	identify(r, id);
	CHECK_EQ(word(id, 82) & 0x20, 0x20);
	CHECK_EQ(word(id, 85) & 0x20, 0x20);
	CHECK_EQ(command(r, 0x82, 0, 0xEF), 0);
	identify(r, id);
	CHECK_EQ(word(id, 85) & 0x20, 0);
	CHECK_EQ(command(r, 0x02, 0, 0xEF), 0);
	identify(r, id);
	CHECK_EQ(word(id, 85) & 0x20, 0x20);
	free(r);
}

TEST(ide_multiple_takes_powers_of_two_up_to_what_identify_allows)	/* [ATA-6 "SET MULTIPLE MODE"] */
{
	struct rig *r = rig_new();
	uint8_t id[512];

	identify(r, id);
	CHECK_EQ(word(id, 47) & 0xFF, IDE_MULTIPLE_MAX);
	CHECK_EQ(command(r, 0, 8, 0xC6), 0);
	identify(r, id);
	CHECK_EQ(word(id, 59), 0x0108);
	CHECK_EQ(command(r, 0, 3, 0xC6), IDE_ABRT);
	CHECK_EQ(command(r, 0, 32, 0xC6), IDE_ABRT);
	identify(r, id);
	CHECK_EQ(word(id, 59), 0x0108);
	CHECK_EQ(command(r, 0, 0, 0xC6), 0);		/* off */
	identify(r, id);
	CHECK_EQ(word(id, 59), 0);
	lba28(r, 0, 1, 0xC4);				/* READ MULTIPLE has no block size now */
	CHECK_EQ(in(r, 1), IDE_ABRT);
	free(r);
}

TEST(ide_current_geometry_is_the_one_that_was_set)	/* [ATA-6 "INITIALIZE DEVICE PARAMETERS", words 54 to 58] */
{
	struct rig *r = rig_new();
	uint8_t id[512];

	out(r, 6, 0xA3);				/* 4 heads of 17 sectors */
	CHECK_EQ(command(r, 0, 17, 0x91), 0);
	identify(r, id);
	CHECK_EQ(word(id, 54), SECTORS / (4 * 17));
	CHECK_EQ(word(id, 55), 4);
	CHECK_EQ(word(id, 56), 17);
	CHECK_EQ(word(id, 57) | word(id, 58) << 16, SECTORS / (4 * 17) * 4 * 17);
	CHECK_EQ(word(id, 3), 16);			/* the default stays what it was */
	CHECK_EQ(word(id, 6), 63);
	CHECK_EQ(command(r, 0, 0, 0x91), IDE_ABRT);
	free(r);
}

TEST(ide_large_disk_has_all_its_sectors_in_the_48_bit_words)	/* [ATA-6 "IDENTIFY DEVICE", words 60, 61, 100 to 103] */
{
	struct rig *r = rig_new();
	uint8_t id[512];

	r->hd.disk.size_bytes = 200ull << 30;
	identify(r, id);
	CHECK_EQ(word(id, 1), 16383);
	CHECK_EQ(word(id, 54), 16383);			/* and what CHS reaches of it: 16383 * 16 * 63 */
	CHECK_EQ((uint32_t)word(id, 57) | (uint32_t)word(id, 58) << 16, 16514064);
	CHECK_EQ((uint32_t)word(id, 60) | (uint32_t)word(id, 61) << 16, 0x0FFFFFFF);
	CHECK((word(id, 100) | (uint64_t)word(id, 101) << 16 | (uint64_t)word(id, 102) << 32) == (200ull << 30) / 512);
	CHECK_EQ(word(id, 83) & 0x0400, 0x0400);
	free(r);
}

TEST(ide_serial_number_is_padded_and_its_bytes_are_swapped)	/* [ATA-6 "IDENTIFY DEVICE", words 10 to 19] */
{
	struct rig *r = rig_new();
	uint8_t id[512];

	ide_attach(&r->ide, 0, 0, IDE_DISK, &r->hd.disk, "ABC");
	identify(r, id);
	assert_memory_equal(id + 20, "BA C                ", 20);
	free(r);
}

TEST(ide_commands_without_data_end_at_once)	/* [ATA-6 "CHECK POWER MODE", "SEEK", "NOP"] */
{
	struct rig *r = rig_new();

	CHECK_EQ(command(r, 0, 0, 0xE5), 0);
	CHECK_EQ(in(r, 2), 0xFF);			/* active */
	CHECK_EQ(command(r, 0, 0, 0x10), 0);
	CHECK_EQ(command(r, 0, 0, 0x70), 0);
	CHECK_EQ(command(r, 0, 0, 0xE1), 0);
	CHECK_EQ(command(r, 0, 0, 0x00), IDE_ABRT);	/* NOP: always */
	CHECK_EQ(command(r, 0, 0, 0xA1), IDE_ABRT);	/* a packet device's */
	CHECK_EQ(command(r, 0, 0, 0xF7), IDE_ABRT);
	free(r);
}

TEST(ide_verify_moves_nothing_and_knows_the_end_of_the_disk)	/* [ATA-6 "READ VERIFY SECTOR(S)"] */
{
	struct rig *r = rig_new();

	lba28(r, SECTORS - 2, 2, 0x40);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC);
	lba28(r, SECTORS - 2, 3, 0x40);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC | IDE_ERR);
	CHECK_EQ(in(r, 1), IDE_IDNF);
	free(r);
}

TEST(ide_count_of_zero_is_the_largest_there_is)	/* [ATA-6 "READ SECTOR(S)", "READ SECTOR(S) EXT"] */
{
	struct rig *r = rig_new();
	uint8_t b[512];

	unsigned irqs = r->irqs;
	lba28(r, 3, 0, 0x20);
	for (unsigned i = 0; i < 256; i++) {
		CHECK(in(r, 7) & IDE_DRQ);
		read_block(&r->ide.channel[0], b, 512);
		assert_memory_equal(b, r->hd.bytes + (3 + i) * 512, 512);
	}
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC);
	CHECK_EQ(r->irqs - irqs, 256);
	lba28(r, SECTORS - 255, 0, 0x40);
	CHECK_EQ(in(r, 1), IDE_IDNF);
	lba48(r, 0, 0, 0x42);				/* 65536: more than there are */
	CHECK_EQ(in(r, 1), IDE_IDNF);
	free(r);
}

TEST(ide_48_bit_commands_have_no_form_with_cylinders)	/* [ATA-6 "READ SECTOR(S) EXT", Device register] */
{
	struct rig *r = rig_new();

	lba48(r, 5, 1, 0x42);
	CHECK_EQ(in(r, 1), 0);
	out(r, 2, 0);
	out(r, 2, 1);
	for (unsigned reg = 3; reg <= 5; reg++) {
		out(r, reg, 0);
		out(r, reg, 0);
	}
	out(r, 6, 0xA0);
	out(r, 7, 0x42);
	CHECK_EQ(in(r, 1), IDE_IDNF);
	free(r);
}

TEST(ide_check_power_mode_tells_of_standby_until_the_medium_is_used)
{
	struct rig *r = rig_new();

	lba28(r, 0, 0, 0xE5);
	CHECK_EQ(in(r, 2), 0xFF);
	lba28(r, 0, 0, 0xE0);
	lba28(r, 0, 0, 0xE5);
	CHECK_EQ(in(r, 2), 0x00);
	lba28(r, 0, 1, 0x20);
	for (unsigned i = 0; i < 256; i++)
		ide_read(&r->ide.channel[0], 0, 2);
	lba28(r, 0, 0, 0xE5);
	CHECK_EQ(in(r, 2), 0xFF);
	free(r);
}
