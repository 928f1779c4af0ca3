/* Sectors between floppy disk and memory.	[82077AA "Data Transfer Commands"] */
#include "dev/fdc_rig.h"

TEST(fdc_read_goes_through_dma_until_terminal_count)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	r->to_memory = true;
	r->dma_left = 3 * 512;
	cmd(r, "\xE6\x00\x00\x00\x11\x02\x12\x1B\xFF", 9);	/* sectors 17, 18, and 1 of head 1 */
	CHECK(r->irq);
	CHECK_EQ(results(r, out), 7);
	CHECK(!r->irq);
	assert_memory_equal(out, "\x04\0\0\0\x01\x02\x02", 7);
	assert_memory_equal(r->mem, r->bytes + 16 * 512, 3 * 512);
	free(r);
}

TEST(fdc_read_without_terminal_count_ends_in_end_of_cylinder)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	r->to_memory = true;
	r->dma_left = 60000;
	transfer(r, "\x46\x00\x00\x00\x12\x02\x12\x1B\xFF", out);
	CHECK_EQ(out[0], 0x40);
	CHECK_EQ(out[1], 0x80);
	CHECK_EQ(r->mem_at, 512);
	free(r);
}

TEST(fdc_write_reaches_the_disk_and_is_flushed)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	memset(r->mem, 0x42, 1024);
	r->dma_left = 1024;
	transfer(r, "\x45\x04\x00\x01\x03\x02\x12\x1B\xFF", out);
	CHECK_EQ(out[0], 0x04);
	CHECK_EQ(r->bytes[(18 + 2) * 512], 0x42);
	CHECK_EQ(r->bytes[(18 + 4) * 512 - 1], 0x42);
	CHECK_EQ(r->flushes, 1);
	r->disk.read_only = true;
	transfer(r, "\x45\x04\x00\x01\x03\x02\x12\x1B\xFF", out);
	CHECK_EQ(out[1], 0x02);
	free(r);
}

TEST(fdc_wrong_cylinder_sector_and_rate_are_told_apart)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	transfer(r, "\x46\x00\x05\x00\x01\x02\x12\x1B\xFF", out);
	CHECK_EQ(out[1], 0x04);
	CHECK_EQ(out[2], 0x10);
	transfer(r, "\x46\x00\x00\x00\x13\x02\x24\x1B\xFF", out);
	CHECK_EQ(out[1], 0x04);
	fdc_write(&r->fdc, 7, 2);
	cmd(r, "\x4A\x00", 2);
	results(r, out);
	CHECK_EQ(out[0], 0x40);
	CHECK_EQ(out[1], 0x01);
	free(r);
}

TEST(fdc_non_dma_mode_moves_bytes_through_the_fifo)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	cmd(r, "\x03\xDF\x03", 3);
	cmd(r, "\x46\x00\x00\x00\x02\x02\x02\x1B\xFF", 9);
	for (unsigned i = 0; i < 512; i++) {
		CHECK_EQ(fdc_read(&r->fdc, 4), 0xF0);
		CHECK_EQ(fdc_read(&r->fdc, 5), r->bytes[512 + i]);
	}
	CHECK_EQ(results(r, out), 7);
	CHECK_EQ(out[1], 0x80);
	free(r);
}

TEST(fdc_format_fills_the_sectors_named)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	memcpy(r->mem, "\0\0\1\2\0\0\2\2", 8);
	r->dma_left = 8;
	cmd(r, "\x4D\x00\x02\x02\x1B\xF6", 6);
	CHECK_EQ(results(r, out), 7);
	CHECK_EQ(out[0], 0);
	CHECK_EQ(r->bytes[0], 0xF6);
	CHECK_EQ(r->bytes[1023], 0xF6);
	CHECK(r->bytes[1024] != 0xF6 || r->bytes[1025] != 0xF6);
	free(r);
}

TEST(fdc_disk_errors_are_crc_errors)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	r->error = -EIO;
	r->to_memory = true;
	r->dma_left = 512;
	transfer(r, "\x46\x00\x00\x00\x01\x02\x12\x1B\xFF", out);
	CHECK_EQ(out[0], 0x40);
	CHECK_EQ(out[1], 0x20);
	free(r);
}

TEST(fdc_verify_ends_at_eot_or_after_the_count_that_ec_asks_for)	/* [82077AA "Verify Command Result Phase Table"] */
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];

	transfer(r, "\x56\x00\x00\x00\x05\x02\x12\x1B\xFF", out);	/* sectors 5 to 18 */
	assert_memory_equal(out, "\x00\0\0\x01\x00\x01\x02", 7);
	transfer(r, "\x56\x80\x00\x00\x05\x02\x12\x1B\x03", out);	/* EC: three of them */
	assert_memory_equal(out, "\x00\0\0\x00\x00\x08\x02", 7);
	transfer(r, "\x56\x80\x00\x00\x05\x02\x12\x1B\x0F", out);	/* one more than the track has */
	CHECK_EQ(out[0], 0x40);
	transfer(r, "\xD6\x80\x00\x00\x05\x02\x12\x1B\x0F", out);	/* multi-track: it is on the other side */
	assert_memory_equal(out, "\x04\0\0\x00\x01\x02\x02", 7);
	transfer(r, "\xD6\x80\x00\x00\x01\x02\x12\x1B\x00", out);	/* 256 are more than a cylinder has */
	CHECK_EQ(out[0] & 0xC0, 0x40);
	transfer(r, "\x56\x00\x00\x00\x01\x02\x13\x1B\xFF", out);	/* EOT past the track */
	CHECK_EQ(out[0], 0x40);
	CHECK_EQ(out[1], 0x04);
	CHECK_EQ(r->mem_at, 0);
	free(r);
}

TEST(fdc_result_names_the_sector_behind_the_last_one)	/* [82077AA "Result Phase Table"] */
{
	static const struct { uint8_t command, head, sector, count, c, h, r; } cases[] = {
		{ 0x46, 0, 5, 1, 0, 0, 6 }, { 0x46, 0, 18, 1, 1, 0, 1 }, { 0x46, 1, 18, 1, 1, 1, 1 },
		{ 0xC6, 0, 18, 1, 0, 1, 1 }, { 0xC6, 1, 17, 1, 0, 1, 18 }, { 0xC6, 1, 18, 1, 1, 0, 1 }, { 0xC6, 0, 18, 19, 1, 0, 1 },
	};
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];

	r->to_memory = true;
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		char p[9] = { (char)cases[i].command, (char)(cases[i].head << 2), 0, (char)cases[i].head, (char)cases[i].sector, 2, 18, 27, (char)0xFF };

		r->mem_at = 0;
		r->dma_left = cases[i].count * 512u;
		transfer(r, p, out);
		CHECK_EQ(out[0] & 0xC0, 0);
		CHECK_EQ(out[3], cases[i].c);
		CHECK_EQ(out[4], cases[i].h);
		CHECK_EQ(out[5], cases[i].r);
		CHECK_EQ(r->mem_at, cases[i].count * 512u);
	}
	free(r);
}

TEST(fdc_terminal_count_within_a_written_sector_leaves_zeros_behind_it)	/* [82077AA "Write Data"] */
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];

	memset(r->mem, 0x42, 700);
	r->dma_left = 700;
	transfer(r, "\x45\x00\x00\x00\x01\x02\x12\x1B\xFF", out);
	CHECK_EQ(out[0], 0);
	CHECK_EQ(r->bytes[699], 0x42);
	CHECK_EQ(r->bytes[700], 0);
	CHECK_EQ(r->bytes[1023], 0);
	CHECK_EQ(r->bytes[1024], (uint8_t)(1024 / 512 * 3 + 1024));
	free(r);
}

TEST(fdc_nobody_at_the_dma_channel_is_an_overrun)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];

	r->to_memory = true;
	transfer(r, "\x46\x00\x00\x00\x01\x02\x12\x1B\xFF", out);
	CHECK_EQ(out[0], 0x40);
	CHECK_EQ(out[1], 0x10);
	transfer(r, "\x45\x00\x00\x00\x01\x02\x12\x1B\xFF", out);
	CHECK_EQ(out[1], 0x10);
	CHECK_EQ(r->flushes, 0);
	free(r);
}

TEST(fdc_looking_for_deleted_data_stops_at_the_first_other_sector)	/* [82077AA "Read Deleted Data"] */
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];

	r->to_memory = true;
	r->dma_left = 3 * 512;
	transfer(r, "\x4C\x00\x00\x00\x02\x02\x12\x1B\xFF", out);
	CHECK_EQ(out[2], 0x40);				/* control mark */
	CHECK_EQ(out[5], 3);
	CHECK_EQ(r->mem_at, 512);
	free(r);
}

TEST(fdc_read_track_begins_behind_the_index_hole)	/* [82077AA "Read Track"] */
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];

	r->to_memory = true;
	r->dma_left = 2 * 512;
	transfer(r, "\x42\x00\x00\x00\x09\x02\x12\x1B\xFF", out);
	CHECK_EQ(out[0], 0);
	assert_memory_equal(r->mem, r->bytes, 1024);
	free(r);
}

TEST(fdc_implied_seek_goes_to_the_cylinder_of_the_command)	/* [82077AA "Configure", EIS] */
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];

	cmd(r, "\x13\x00\x60\x00", 4);
	r->to_memory = true;
	r->dma_left = 512;
	transfer(r, "\x46\x00\x07\x00\x01\x02\x12\x1B\xFF", out);
	CHECK_EQ(out[0], 0);
	assert_memory_equal(r->mem, r->bytes + 7 * 36 * 512, 512);
	CHECK_EQ(fdc_read(&r->fdc, 7) & 0x80, 0);	/* it stepped: the change line falls */
	free(r);
}

TEST(fdc_image_that_ends_early_reads_zeros_and_cannot_be_written_there)
{
	struct rig *r = rig_new(1440 * 1024 - 1024);
	uint8_t out[16];

	cmd(r, "\x0F\x04\x4F", 3);			/* cylinder 79 */
	sense(r, out);
	memset(r->mem, 0xEE, 512);
	r->to_memory = true;
	r->dma_left = 512;
	transfer(r, "\x46\x04\x4F\x01\x12\x02\x12\x1B\xFF", out);
	CHECK_EQ(out[0], 4);
	CHECK_EQ(r->mem[0] | r->mem[511], 0);
	r->to_memory = false;
	r->dma_left = 512;
	transfer(r, "\x45\x04\x4F\x01\x12\x02\x12\x1B\xFF", out);
	CHECK_EQ(out[0], 0x44);
	CHECK_EQ(out[1], 0x04);
	free(r);
}

TEST(fdc_second_side_of_a_single_sided_disk_has_no_address_marks)
{
	struct rig *r = rig_new(180 * 1024);
	uint8_t out[16];

	transfer(r, "\x46\x04\x00\x01\x01\x02\x09\x1B\xFF", out);
	CHECK_EQ(out[0], 0x44);
	CHECK_EQ(out[1], 0x01);
	fdc_write(&r->fdc, 7, 1);			/* 40 tracks turn faster in a drive for 1.2M */
	r->to_memory = true;
	r->dma_left = 512;
	transfer(r, "\x46\x00\x00\x00\x01\x02\x09\x1B\xFF", out);
	CHECK_EQ(out[0], 0);
	free(r);
}

TEST(fdc_reset_in_the_middle_of_a_transfer_ends_it_without_a_result)	/* [82077AA "Reset"] */
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];

	r->to_memory = r->later = true;
	r->dma_left = 512;
	cmd(r, "\x46\x00\x00\x00\x01\x02\x12\x1B\xFF", 9);
	CHECK_EQ(fdc_read(&r->fdc, 4), 0x10);		/* busy, not ours to read */
	fdc_write(&r->fdc, 2, 0x18);
	CHECK(r->pending == NULL);			/* the medium is done with the memory */
	CHECK(!r->irq);
	fdc_write(&r->fdc, 2, 0x1C);
	CHECK(r->irq);
	CHECK_EQ(fdc_read(&r->fdc, 4), 0x80);
	CHECK_EQ(sense(r, out), 2);
	CHECK_EQ(out[0], 0xC0);
	CHECK_EQ(r->mem_at, 0);
	free(r);
}

TEST(fdc_format_needs_a_disk_that_can_be_written_and_dma)	/* [82077AA "Format Track"] */
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];

	r->disk.read_only = true;
	cmd(r, "\x4D\x00\x02\x12\x1B\xF6", 6);
	CHECK_EQ(results(r, out), 7);
	CHECK_EQ(out[1], 0x02);
	r->disk.read_only = false;
	memcpy(r->mem, "\0\0\1\2\0\0\x13\2", 8);	/* a nineteenth sector does not fit on the track */
	r->dma_left = 8;
	cmd(r, "\x4D\x00\x02\x02\x1B\xF6", 6);
	CHECK_EQ(results(r, out), 7);
	CHECK_EQ(out[0], 0x40);
	CHECK_EQ(out[1], 0x04);
	CHECK_EQ(r->bytes[0], 0xF6);
	free(r);
}
