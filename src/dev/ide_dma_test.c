/* The bus master.	[SFF "Programming Interface for Bus Master IDE Controller"] */
#include "dev/ide_rig.h"

TEST(ide_dma_read_scatters_through_the_table)	/* [Bus Master IDE "Physical Region Descriptor"] */
{
	struct rig *r = rig_new();
	prd(r, 0x1000, 0x4000, 512, false);
	prd(r, 0x1008, 0x8000, 1024, true);
	ide_bm_write(&r->ide, 4, 4, 0x1000);
	lba28(r, 20, 3, 0xC8);
	CHECK_EQ(r->irqs, 0);
	ide_bm_write(&r->ide, 0, 1, 9);
	CHECK_EQ(r->irqs, 1);
	CHECK_EQ(ide_bm_read(&r->ide, 2, 1), 4);	/* interrupt, and no longer active */
	assert_memory_equal(r->ram + 0x4000, r->hd.bytes + 20 * 512, 512);
	assert_memory_equal(r->ram + 0x8000, r->hd.bytes + 21 * 512, 1024);
	ide_bm_write(&r->ide, 2, 1, 4);
	CHECK_EQ(ide_bm_read(&r->ide, 2, 1), 0);
	free(r);
}

TEST(ide_dma_write_gathers_and_an_overlong_table_stays_active)
{
	struct rig *r = rig_new();
	prd(r, 0x1000, 0x4000, 4096, true);
	memset(r->ram + 0x4000, 0x77, 4096);
	ide_bm_write(&r->ide, 4, 4, 0x1000);
	ide_bm_write(&r->ide, 0, 1, 1);			/* the bus master may be started first */
	lba28(r, 30, 2, 0xCA);
	CHECK_EQ(ide_bm_read(&r->ide, 2, 1), 5);
	CHECK_EQ(r->hd.bytes[30 * 512], 0x77);
	CHECK_EQ(r->hd.bytes[32 * 512 - 1], 0x77);
	CHECK(r->hd.bytes[32 * 512] != 0x77 || r->hd.bytes[32 * 512 + 1] != 0x77);
	free(r);
}

TEST(ide_dma_table_too_short_stops_without_an_interrupt)
{
	struct rig *r = rig_new();
	prd(r, 0x1000, 0x4000, 512, true);
	ide_bm_write(&r->ide, 4, 4, 0x1000);
	lba28(r, 20, 2, 0xC8);
	ide_bm_write(&r->ide, 0, 1, 9);
	CHECK_EQ(r->irqs, 0);
	CHECK_EQ(ide_bm_read(&r->ide, 2, 1), 0);
	ide_write_control(&r->ide.channel[0], IDE_CONTROL_SRST);
	ide_write_control(&r->ide.channel[0], 0);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC);
	free(r);
}

TEST(ide_large_dma_read_goes_in_chunks)
{
	struct rig *r = rig_new();
	for (unsigned i = 0; i < 6; i++)
		prd(r, 0x1000 + 8 * i, 0x10000 + 0x10000 * i, 0, i == 5);	/* 0: 64 KiB */
	ide_bm_write(&r->ide, 4, 4, 0x1000);
	lba48(r, 100, 700, 0x25);
	ide_bm_write(&r->ide, 0, 1, 9);
	CHECK_EQ(r->irqs, 1);
	assert_memory_equal(r->ram + 0x10000, r->hd.bytes + 100 * 512, 700 * 512);
	free(r);
}

TEST(ide_dma_write_error_is_a_device_fault_at_the_failing_sector)
{
	struct rig *r = rig_new();
	r->hd.bad_sector = 67;
	r->hd.bad_error = -ENOSPC;
	prd(r, 0x1000, 0x4000, 32 * 512, true);
	memset(r->ram + 0x4000, 0x33, 32 * 512);
	ide_bm_write(&r->ide, 4, 4, 0x1000);
	lba28(r, 60, 32, 0xCA);
	ide_bm_write(&r->ide, 0, 1, 1);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC | IDE_DF | IDE_ERR);
	CHECK_EQ(in(r, 3), 67);
	CHECK_EQ(r->hd.bytes[66 * 512 + 511], 0x33);
	CHECK(ide_bm_read(&r->ide, 2, 1) & 2);
	free(r);
}

TEST(ide_bm_status_bits_are_cleared_by_writing_one_and_two_are_scratch)	/* [Bus Master IDE "Status Register"] */
{
	struct rig *r = rig_new();
	struct ide_channel *ch = &r->ide.channel[0];

	ch->bm_status = 0x07;
	ide_bm_write(&r->ide, 2, 1, 0x60);		/* drives 0 and 1 can do DMA: kept; nothing is cleared */
	CHECK_EQ(ide_bm_read(&r->ide, 2, 1), 0x67);
	ide_bm_write(&r->ide, 2, 1, 0x64);
	CHECK_EQ(ide_bm_read(&r->ide, 2, 1), 0x63);
	ide_bm_write(&r->ide, 2, 1, 0x03);		/* active cannot be written */
	CHECK_EQ(ide_bm_read(&r->ide, 2, 1), 0x01);
	free(r);
}

TEST(ide_bm_registers_of_the_channels_are_apart_and_of_any_width)	/* [Bus Master IDE, register map] */
{
	struct rig *r = rig_new();

	ide_bm_write(&r->ide, 4, 4, 0x12345677);
	ide_bm_write(&r->ide, 12, 2, 0xBEEF);
	ide_bm_write(&r->ide, 14, 1, 0xAD);
	ide_bm_write(&r->ide, 15, 1, 0xDE);
	CHECK_EQ(ide_bm_read(&r->ide, 4, 4), 0x12345674);	/* the table begins at a doubleword */
	CHECK_EQ(ide_bm_read(&r->ide, 12, 4), 0xDEADBEEC);
	CHECK_EQ(ide_bm_read(&r->ide, 6, 2), 0x1234);
	CHECK_EQ(ide_bm_read(&r->ide, 1, 1), 0);
	ide_bm_write(&r->ide, 8, 1, 0xFF);
	CHECK_EQ(ide_bm_read(&r->ide, 8, 1), 9);	/* start and direction only */
	CHECK_EQ(ide_bm_read(&r->ide, 0, 1), 0);
	free(r);
}

TEST(ide_bm_starts_before_or_after_the_drive_is_ready)
{
	struct rig *r = rig_new();

	prd(r, 0x1000, 0x20000, 512, true);
	ide_bm_write(&r->ide, 4, 4, 0x1000);
	ide_bm_write(&r->ide, 0, 1, 9);			/* first the bus master ... */
	CHECK_EQ(ide_bm_read(&r->ide, 2, 1), 1);
	lba28(r, 4, 1, 0xC8);
	CHECK_EQ(ide_bm_read(&r->ide, 2, 1), 4);
	assert_memory_equal(r->ram + 0x20000, r->hd.bytes + 4 * 512, 512);
	ide_bm_write(&r->ide, 0, 1, 8);
	ide_bm_write(&r->ide, 2, 1, 4);
	in(r, 7);
	lba28(r, 5, 1, 0xC8);				/* ... then the drive */
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC | IDE_DRQ);
	ide_bm_write(&r->ide, 0, 1, 9);
	CHECK_EQ(ide_bm_read(&r->ide, 2, 1), 4);
	assert_memory_equal(r->ram + 0x20000, r->hd.bytes + 5 * 512, 512);
	free(r);
}

TEST(ide_bm_stopped_before_the_transfer_begins_its_table_anew)
{
	struct rig *r = rig_new();

	prd(r, 0x1000, 0x20000, 512, false);
	prd(r, 0x1008, 0x30000, 512, true);
	ide_bm_write(&r->ide, 4, 4, 0x1000);
	r->hd.later = true;
	lba28(r, 6, 2, 0xC8);
	ide_bm_write(&r->ide, 0, 1, 9);
	ide_bm_write(&r->ide, 0, 1, 8);			/* stopped while the medium works */
	CHECK_EQ(ide_bm_read(&r->ide, 2, 1), 0);
	finish(&r->hd);
	CHECK_EQ(r->ram[0x20000], 0);
	CHECK(!r->irq[0]);
	ide_bm_write(&r->ide, 0, 1, 9);
	finish(&r->hd);
	CHECK_EQ(ide_bm_read(&r->ide, 2, 1), 4);
	assert_memory_equal(r->ram + 0x20000, r->hd.bytes + 6 * 512, 512);
	assert_memory_equal(r->ram + 0x30000, r->hd.bytes + 7 * 512, 512);
	free(r);
}

TEST(ide_bm_count_of_zero_is_64_kib_and_low_bits_do_not_count)	/* [Bus Master IDE "Physical Region Descriptor"] */
{
	struct rig *r = rig_new();
	struct ide_channel *ch = &r->ide.channel[0];
	static uint8_t buf[0x10000 + 512];

	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 7);
	prd(r, 0x1000, 0x20001, 0, false);
	prd(r, 0x1008, 0x50000, 0x201, true);
	ide_bm_write(&r->ide, 4, 4, 0x1000);
	ide_bm_write(&r->ide, 0, 1, 9);
	CHECK_EQ(ide_dma_move(ch, buf, sizeof(buf), true), sizeof(buf));
	assert_memory_equal(r->ram + 0x20000, buf, 0x10000);
	assert_memory_equal(r->ram + 0x50000, buf + 0x10000, 512);
	CHECK_EQ(ide_bm_read(&r->ide, 2, 1) & 1, 1);
	ide_dma_finish(ch);
	CHECK_EQ(ide_bm_read(&r->ide, 2, 1) & 1, 0);	/* the last region is used up: the bus master is done */
	CHECK_EQ(ide_dma_move(ch, buf, 2, true), 0);
	free(r);
}

TEST(ide_bm_leaves_the_status_to_a_reset)
{
	struct rig *r = rig_new();

	ide_bm_write(&r->ide, 4, 4, 0x1000);
	ide_bm_write(&r->ide, 0, 1, 9);
	ide_bm_write(&r->ide, 2, 1, 0x60);
	ide_write_control(&r->ide.channel[0], IDE_CONTROL_SRST);	/* the drives' only */
	ide_write_control(&r->ide.channel[0], 0);
	CHECK_EQ(ide_bm_read(&r->ide, 2, 1), 0x61);
	ide_reset(&r->ide);
	CHECK_EQ(ide_bm_read(&r->ide, 0, 4), 0);
	CHECK_EQ(ide_bm_read(&r->ide, 4, 4), 0);
	free(r);
}
