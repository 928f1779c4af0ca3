/* Floppy disk controller: registers, reset, seeks.	[82077AA] */
#include "dev/fdc_rig.h"

TEST(fdc_reset_owes_one_sense_interrupt_a_drive_and_then_none)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	CHECK_EQ(sense(r, out), 1);
	CHECK_EQ(out[0], 0x80);
	free(r);
}

TEST(fdc_seek_after_a_reset_that_was_sensed_once_gives_its_own_status_and_one_interrupt)	/* as Linux 0.11 does it */
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	fdc_write(&r->fdc, 2, 0x08);
	fdc_write(&r->fdc, 2, 0x1C);
	CHECK(r->irq);
	CHECK_EQ(sense(r, out), 2);
	CHECK_EQ(out[0], 0xC0);
	cmd(r, "\x03\xCF\x06", 3);
	cmd(r, "\x07\x00", 2);
	CHECK(r->irq);
	CHECK_EQ(sense(r, out), 2);
	CHECK_EQ(out[0], 0x20);
	CHECK(!r->irq);
	CHECK_EQ(sense(r, out), 1);
	CHECK_EQ(out[0], 0x80);
	free(r);
}

TEST(fdc_seek_moves_the_head_and_clears_the_change_line)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	CHECK_EQ(fdc_read(&r->fdc, 7), 0x80);
	cmd(r, "\x0F\x00\x05", 3);
	CHECK(r->irq);
	CHECK_EQ(sense(r, out), 2);
	CHECK_EQ(out[0], 0x20);
	CHECK_EQ(out[1], 5);
	CHECK(!r->irq);
	CHECK_EQ(fdc_read(&r->fdc, 7), 0);
	cmd(r, "\x07\x00", 2);
	sense(r, out);
	CHECK_EQ(out[1], 0);
	free(r);
}

TEST(fdc_seeks_of_two_drives_are_sensed_and_interrupt_one_by_one)	/* [82077AA "Seek"] */
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	cmd(r, "\x0F\x00\x05", 3);
	cmd(r, "\x07\x01", 2);			/* there is no such drive: its track 0 is not found */
	CHECK_EQ(sense(r, out), 2);
	CHECK_EQ(out[0], 0x20);
	CHECK_EQ(out[1], 5);
	CHECK(r->irq);
	CHECK_EQ(sense(r, out), 2);
	CHECK_EQ(out[0], 0x71);
	CHECK(!r->irq);
	CHECK_EQ(sense(r, out), 1);
	free(r);
}

TEST(fdc_read_id_goes_round_the_track)
{
	struct rig *r = rig_new(360 * 1024);
	uint8_t out[16], first;
	cmd(r, "\x4A\x04", 2);
	CHECK_EQ(results(r, out), 7);
	first = out[5];
	for (unsigned i = 0; i < 9; i++) {
		cmd(r, "\x4A\x04", 2);
		results(r, out);
	}
	CHECK_EQ(out[5], first);
	CHECK_EQ(out[6], 2);
	free(r);
}

TEST(fdc_unknown_commands_are_invalid)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	cmd(r, "\x18", 1);
	CHECK_EQ(results(r, out), 1);
	CHECK_EQ(out[0], 0x80);
	cmd(r, "\x10", 1);
	results(r, out);
	CHECK_EQ(out[0], 0x90);
	free(r);
}

TEST(fdc_formats_follow_the_size_of_the_image)
{
	CHECK_EQ(fdc_format_of(360 * 1024)->sectors, 9);
	CHECK_EQ(fdc_format_of(1200 * 1024)->sectors, 15);
	CHECK_EQ(fdc_format_of(2880 * 1024)->drive, 5);
	CHECK_EQ(fdc_format_of(512)->sectors, 18);	/* a boot sector alone */
}
