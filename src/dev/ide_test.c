/* IDE channels: registers, reset, interrupts.	[ATA/ATAPI-6] */
#include "dev/ide_rig.h"

TEST(ide_an_absent_drive_reads_zero_and_does_nothing)
{
	struct rig *r = rig_new();
	out(r, 6, 0xB0);
	CHECK_EQ(in(r, 7), 0);
	out(r, 2, 0x55);
	CHECK_EQ(in(r, 2), 0);
	out(r, 7, 0xEC);
	CHECK_EQ(r->irqs, 0);
	free(r);
}

TEST(ide_hob_bit_shows_the_previous_contents)
{
	struct rig *r = rig_new();
	out(r, 6, 0xE0);
	out(r, 2, 0x12);
	out(r, 2, 0x34);
	CHECK_EQ(in(r, 2), 0x34);
	ide_write_control(&r->ide.channel[0], IDE_CONTROL_HOB);
	CHECK_EQ(in(r, 2), 0x12);
	out(r, 3, 0);					/* a write clears HOB */
	CHECK_EQ(in(r, 2), 0x34);
	free(r);
}

TEST(ide_soft_reset_in_the_middle_of_a_request_waits_for_the_medium)
{
	struct rig *r = rig_new();
	r->hd.later = true;
	lba28(r, 5, 1, 0x20);
	CHECK(in(r, 7) & IDE_BSY);
	ide_write_control(&r->ide.channel[0], IDE_CONTROL_SRST);
	CHECK(r->hd.pending == NULL);
	ide_write_control(&r->ide.channel[0], 0);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC);
	CHECK_EQ(in(r, 2), 1);
	CHECK_EQ(in(r, 4), 0);
	CHECK_EQ(r->irqs, 0);
	free(r);
}

TEST(ide_masked_interrupt_comes_when_unmasked)
{
	struct rig *r = rig_new();
	ide_write_control(&r->ide.channel[0], IDE_CONTROL_NIEN);
	lba28(r, 5, 1, 0x20);
	CHECK(!r->irq[0]);
	CHECK_EQ(ide_read_alternate(&r->ide.channel[0]) & IDE_DRQ, IDE_DRQ);
	ide_write_control(&r->ide.channel[0], 0);
	CHECK(r->irq[0]);
	free(r);
}

TEST(ide_both_drives_latch_what_is_written_and_the_selected_one_answers)	/* [ATA-6 "Device/Head register"] */
{
	struct rig *r = rig_new();
	struct ide_channel *ch = &r->ide.channel[0];
	ide_attach(&r->ide, 0, 1, IDE_DISK, &r->cd.disk, NULL);
	out(r, 6, 0xB0);
	out(r, 3, 0x5A);
	CHECK_EQ(in(r, 3), 0x5A);
	out(r, 6, 0xA0);
	CHECK_EQ(in(r, 3), 0x5A);
	out(r, 7, 0xE5);				/* CHECK POWER MODE on drive 0 */
	CHECK_EQ(in(r, 2), 0xFF);
	out(r, 6, 0xB0);
	CHECK_EQ(in(r, 2), 1);				/* drive 1 still has what it latched: the signature's */
	CHECK_EQ(ch->drive[1].tf.error, 1);
	free(r);
}

TEST(ide_registers_are_the_drive_s_while_it_works)	/* [ATA-6 "Status register", BSY and DRQ] */
{
	struct rig *r = rig_new();
	r->hd.later = true;
	lba28(r, 7, 1, 0x20);
	CHECK_EQ(in(r, 3), IDE_BSY | IDE_DRDY | IDE_DSC);	/* every register reads as status */
	out(r, 3, 99);
	out(r, 7, 0xEC);				/* not taken */
	finish(&r->hd);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC | IDE_DRQ);
	out(r, 3, 99);
	CHECK_EQ(in(r, 3), 7);
	for (unsigned i = 0; i < 256; i++)
		ide_read(&r->ide.channel[0], 0, 2);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC);
	CHECK_EQ(ide_read(&r->ide.channel[0], 0, 2), 0xFFFF);	/* no data is offered any more */
	free(r);
}

TEST(ide_diagnostic_gives_both_drives_their_signatures)	/* [ATA-6 "EXECUTE DEVICE DIAGNOSTIC", "Signature"] */
{
	struct rig *r = rig_new();
	lba28(r, 0x123456, 9, 0xE5);
	unsigned irqs = r->irqs;
	out(r, 7, 0x90);
	CHECK_EQ(r->irqs, irqs + 1);
	CHECK_EQ(in(r, 1), 1);
	CHECK_EQ(in(r, 2), 1);
	CHECK_EQ(in(r, 3), 1);
	CHECK_EQ(in(r, 4), 0);
	CHECK_EQ(in(r, 5), 0);
	CHECK_EQ(in(r, 6) & 0x5F, 0);
	free(r);
}

TEST(ide_status_takes_the_interrupt_back_and_alternate_status_does_not)
{
	struct rig *r = rig_new();
	out(r, 6, 0xA0);
	out(r, 7, 0xE5);
	CHECK(r->irq[0]);
	CHECK_EQ(ide_read_alternate(&r->ide.channel[0]), IDE_DRDY | IDE_DSC);
	CHECK(r->irq[0]);
	in(r, 7);
	CHECK(!r->irq[0]);
	free(r);
}

TEST(ide_geometry_ends_at_16383_cylinders)	/* [ATA-6 "IDENTIFY DEVICE", words 1, 3, 6] */
{
	unsigned c, h, s;
	ide_geometry(8ull << 30, &c, &h, &s);
	CHECK_EQ(c, 16383);
	CHECK_EQ(h, 16);
	CHECK_EQ(s, 63);
	ide_geometry(100ull * 16 * 63 * 512, &c, &h, &s);
	CHECK_EQ(c, 100);
	ide_geometry(0, &c, &h, &s);
	CHECK_EQ(c, 2);
}
