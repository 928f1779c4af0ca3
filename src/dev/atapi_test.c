/* CD-ROM: packet commands.	[SFF-8020i], [MMC-3], [SPC-2] */
#include "dev/ide_rig.h"

TEST(atapi_shows_its_signature_and_refuses_identify_device)
{
	struct rig *r = rig_new();
	struct ide_channel *ch = &r->ide.channel[1];
	CHECK_EQ(ide_read(ch, 4, 1), 0x14);
	CHECK_EQ(ide_read(ch, 5, 1), 0xEB);
	ide_write(ch, 4, 1, 0);
	ide_write(ch, 7, 1, 0xEC);
	CHECK_EQ(ide_read(ch, 1, 1), IDE_ABRT);
	CHECK_EQ(ide_read(ch, 4, 1), 0x14);
	ide_write(ch, 7, 1, 0xA1);
	CHECK(ide_read(ch, 7, 1) & IDE_DRQ);
	free(r);
}

TEST(atapi_first_command_reports_the_new_disc_once)
{
	struct rig *r = rig_new();
	uint8_t p[12] = { 0 }, b[8];
	packet(r, p, 0xFFFE, b, 8);
	CHECK(failed(r));
	CHECK_EQ(sense(r), 0x062800);
	packet(r, p, 0xFFFE, b, 8);
	CHECK(!failed(r));
	CHECK_EQ(sense(r), 0);
	free(r);
}

TEST(atapi_read_respects_the_byte_count_limit)	/* [ATA-6 "PACKET", byte count] */
{
	struct rig *r = rig_new();
	uint8_t p[12] = { 0x28, 0, 0, 0, 0, 3, 0, 0, 2 }, buf[4096];
	r->ide.channel[1].drive[0].unit_attention = false;
	CHECK_EQ(packet(r, p, 1000, buf, sizeof(buf)), 4096);
	assert_memory_equal(buf, r->cd.bytes + 3 * 2048, 4096);
	CHECK(!failed(r));
	free(r);
}

TEST(atapi_dma_read_goes_through_the_bus_master)
{
	struct rig *r = rig_new();
	struct ide_channel *ch = &r->ide.channel[1];
	uint8_t p[12] = { 0xA8, 0, 0, 0, 0, 3, 0, 0, 0, 70 };
	ch->drive[0].unit_attention = false;
	prd(r, 0x1000, 0x10000, 0, false);
	prd(r, 0x1008, 0x20000, 0, false);
	prd(r, 0x1010, 0x30000, 70 * 2048 - 0x20000, true);
	ide_bm_write(&r->ide, 12, 4, 0x1000);
	ide_write(ch, 1, 1, 1);
	ide_write(ch, 7, 1, 0xA0);
	for (unsigned i = 0; i < 12; i += 2)
		ide_write(ch, 0, 2, p[i] | p[i + 1] << 8);
	ide_bm_write(&r->ide, 8, 1, 9);
	CHECK_EQ(ide_bm_read(&r->ide, 10, 1), 4);
	CHECK_EQ(ide_read(ch, 7, 1), IDE_DRDY | IDE_DSC);
	assert_memory_equal(r->ram + 0x10000, r->cd.bytes + 3 * 2048, 70 * 2048);
	free(r);
}

TEST(atapi_capacity_and_toc_agree_on_the_size)
{
	struct rig *r = rig_new();
	uint8_t cap[12] = { 0x25 }, toc[12] = { 0x43, 0, 0, 0, 0, 0, 0, 0, 20 }, b[64];
	r->ide.channel[1].drive[0].unit_attention = false;
	CHECK_EQ(packet(r, cap, 0xFFFE, b, 8), 8);
	CHECK_EQ(b[2] << 8 | b[3], 249);
	CHECK_EQ(b[6], 8);
	CHECK_EQ(packet(r, toc, 0xFFFE, b, 20), 20);
	CHECK_EQ(b[1], 18);
	CHECK_EQ(b[14], 0xAA);
	CHECK_EQ(b[18] << 8 | b[19], 250);
	free(r);
}

TEST(atapi_out_of_range_and_unknown_commands_are_illegal_requests)
{
	struct rig *r = rig_new();
	uint8_t rd[12] = { 0x28, 0, 0, 0, 0, 249, 0, 0, 2 }, odd[12] = { 0xFE }, b[64];
	r->ide.channel[1].drive[0].unit_attention = false;
	packet(r, rd, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x052100);
	packet(r, odd, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x052000);
	free(r);
}

TEST(atapi_medium_error_is_reported_as_sense)
{
	struct rig *r = rig_new();
	uint8_t rd[12] = { 0x28, 0, 0, 0, 0, 3, 0, 0, 2 }, b[64];
	r->ide.channel[1].drive[0].unit_attention = false;
	r->cd.bad_sector = 13;
	packet(r, rd, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x031100);
	free(r);
}

TEST(atapi_eject_opens_the_tray_and_a_locked_door_stays_shut)
{
	struct rig *r = rig_new();
	uint8_t eject[12] = { 0x1B, 0, 0, 0, 2 }, lock[12] = { 0x1E, 0, 0, 0, 1 }, unit[12] = { 0 }, b[64];
	r->ide.channel[1].drive[0].unit_attention = false;
	packet(r, lock, 0xFFFE, b, 0);
	packet(r, eject, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x055302);
	CHECK(!ide_change_medium(&r->ide, 1, 0, NULL, false));
	lock[4] = 0;
	packet(r, lock, 0xFFFE, b, 0);
	packet(r, eject, 0xFFFE, b, 0);
	CHECK(!failed(r));
	packet(r, unit, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x023A02);
	free(r);
}

TEST(atapi_changed_disc_is_an_event_and_a_unit_attention)
{
	struct rig *r = rig_new();
	uint8_t ev[12] = { 0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8 }, unit[12] = { 0 }, b[64];
	r->ide.channel[1].drive[0].unit_attention = false;
	CHECK(ide_change_medium(&r->ide, 1, 0, NULL, false));
	packet(r, unit, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x023A02);			/* MEDIUM NOT PRESENT - TRAY OPEN */
	CHECK(ide_move_tray(&r->ide, 1, 0, false, false));
	packet(r, unit, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x023A01);			/* ... TRAY CLOSED */
	CHECK(ide_change_medium(&r->ide, 1, 0, &r->hd.disk, false));
	CHECK_EQ(packet(r, ev, 0xFFFE, b, 8), 8);
	CHECK_EQ(b[4], 2);
	CHECK_EQ(b[5], 2);
	packet(r, unit, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x062800);
	packet(r, unit, 0xFFFE, b, 0);
	CHECK(!failed(r));
	free(r);
}

TEST(atapi_disc_that_is_longer_than_a_cd_is_a_dvd)	/* [MMC-3 "GET CONFIGURATION", "READ DVD STRUCTURE"] */
{
	struct rig *r = rig_new();
	uint8_t config[12] = { 0x46, 0, 0, 0, 0, 0, 0, 0, 64 }, structure[12] = { 0xAD, 0, 0, 0, 0, 0, 0, 0, 0, 20 }, b[64];

	r->ide.channel[1].drive[0].unit_attention = false;
	CHECK_EQ(packet(r, config, 0xFFFE, b, 48), 48);
	CHECK_EQ(b[6] << 8 | b[7], 0x0008);		/* current profile: CD-ROM */
	CHECK_EQ(b[3], 44);
	CHECK_EQ(b[11], 8);				/* two profiles, of which the second is current */
	CHECK_EQ(b[14], 0);
	CHECK_EQ(b[18], 1);
	packet(r, structure, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x053002);			/* INCOMPATIBLE FORMAT */
	r->cd.disk.size_bytes = 4700000256;		/* only its size is asked for */
	CHECK_EQ(packet(r, config, 0xFFFE, b, 48), 48);
	CHECK_EQ(b[6] << 8 | b[7], 0x0010);
	CHECK_EQ(b[14], 1);
	CHECK_EQ(b[18], 0);
	CHECK_EQ(packet(r, structure, 0xFFFE, b, 20), 20);
	CHECK_EQ(b[0] << 8 | b[1], 2050);
	CHECK_EQ(b[9] << 16 | b[10] << 8 | b[11], 0x030000);
	CHECK_EQ(b[13] << 16 | b[14] << 8 | b[15], 0x030000 + 4700000256 / 2048 - 1);
	structure[7] = 2;				/* the disc's key: it has none */
	packet(r, structure, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x052400);
	free(r);
}

/* The reply to a packet of a drive that has nothing to report. */
static unsigned ask(struct rig *r, const uint8_t p[12], uint8_t *b, unsigned max)
{
	r->ide.channel[1].drive[0].unit_attention = false;
	memset(b, 0xEE, max);
	return packet(r, p, 0xFFFE, b, max);
}

TEST(atapi_inquiry_says_what_the_drive_is_as_far_as_is_allowed)	/* [SPC-2 "INQUIRY"] */
{
	struct rig *r = rig_new();
	uint8_t p[12] = { 0x12, 0, 0, 0, 255 }, pages[12] = { 0x12, 1, 0, 0, 255 }, b[64];

	CHECK_EQ(packet(r, p, 0xFFFE, b, 64), 36);	/* a new disc is not reported here */
	CHECK_EQ(b[0], 5);
	CHECK_EQ(b[1], 0x80);
	CHECK_EQ(b[3] & 15, 1);
	CHECK_EQ(b[4], 31);
	assert_memory_equal(b + 8, "plex86  CD-ROM          1.0 ", 28);
	p[4] = 5;
	CHECK_EQ(packet(r, p, 0xFFFE, b, 64), 5);
	p[4] = 0;
	CHECK_EQ(packet(r, p, 0xFFFE, b, 64), 0);
	CHECK(!failed(r));
	CHECK_EQ(packet(r, pages, 0xFFFE, b, 64), 5);
	CHECK_EQ(b[3], 1);				/* one page: the list itself */
	CHECK_EQ(b[4], 0);
	pages[2] = 0x80;
	packet(r, pages, 0xFFFE, b, 64);
	CHECK_EQ(sense(r), 0x052400);
	free(r);
}

TEST(atapi_mode_pages_come_one_by_one_or_all)	/* [MMC-3 "MODE SENSE (10)", "CD Capabilities and Mechanical Status Page"] */
{
	struct rig *r = rig_new();
	uint8_t p[12] = { 0x5A, 0, 0x2A, 0, 0, 0, 0, 0, 255 }, lock[12] = { 0x1E, 0, 0, 0, 1 }, b[255];

	CHECK_EQ(ask(r, p, b, 255), 28);
	CHECK_EQ(b[0] << 8 | b[1], 26);
	CHECK_EQ(b[2], 1);				/* a disc is in */
	CHECK_EQ(b[8], 0x2A);
	CHECK_EQ(b[9], 18);
	CHECK_EQ(b[14] & 3, 1);				/* can be locked, is not */
	ask(r, lock, b, 0);
	ask(r, p, b, 255);
	CHECK_EQ(b[14] & 3, 3);
	p[2] = 0x3F;
	CHECK_EQ(ask(r, p, b, 255), 8 + 8 + 16 + 20);
	CHECK_EQ(b[8], 0x01);
	CHECK_EQ(b[16], 0x0E);
	CHECK_EQ(b[32], 0x2A);
	p[2] = 0x31;
	ask(r, p, b, 0);
	CHECK_EQ(sense(r), 0x052400);
	p[2] = 0xC1;					/* saved values */
	ask(r, p, b, 0);
	CHECK_EQ(sense(r), 0x053900);
	free(r);
}

TEST(atapi_toc_has_times_sessions_and_the_full_form)	/* [MMC-3 "READ TOC/PMA/ATIP"] */
{
	struct rig *r = rig_new();
	uint8_t p[12] = { 0x43, 2, 0, 0, 0, 0, 0, 0, 64 }, b[64];

	CHECK_EQ(ask(r, p, b, 64), 20);
	CHECK_EQ(b[5], 0x14);				/* a data track, copying not permitted or forbidden */
	assert_memory_equal(b + 8, "\x00\x00\x02\x00", 4);	/* track 1 is two seconds in */
	CHECK_EQ(b[14], 0xAA);
	assert_memory_equal(b + 16, "\x00\x00\x05\x19", 4);	/* 250 sectors and those 150: 00:05:25 */
	p[6] = 0xAA;
	CHECK_EQ(ask(r, p, b, 64), 12);
	CHECK_EQ(b[6], 0xAA);
	p[6] = 2;
	ask(r, p, b, 0);
	CHECK_EQ(sense(r), 0x052400);
	p[6] = 0;
	p[2] = 1;
	CHECK_EQ(ask(r, p, b, 64), 12);
	CHECK_EQ(b[2] << 8 | b[3], 0x0101);		/* first and last session */
	p[2] = 2;
	CHECK_EQ(ask(r, p, b, 64), 4 + 4 * 11);
	CHECK_EQ(b[0] << 8 | b[1], 2 + 4 * 11);
	CHECK_EQ(b[7], 0xA0);
	CHECK_EQ(b[18], 0xA1);
	CHECK_EQ(b[29], 0xA2);
	assert_memory_equal(b + 34, "\x00\x05\x19", 3);		/* the lead-out */
	CHECK_EQ(b[40], 1);
	p[2] = 0;
	p[9] = 0x40;					/* where SFF-8020i has the format */
	CHECK_EQ(ask(r, p, b, 64), 12);
	p[2] = 5;
	ask(r, p, b, 0);
	CHECK_EQ(sense(r), 0x052400);
	free(r);
}

TEST(atapi_disc_and_track_are_closed_and_as_long_as_the_image)	/* [MMC-3 "READ DISC INFORMATION", "READ TRACK INFORMATION"] */
{
	struct rig *r = rig_new();
	uint8_t disc[12] = { 0x51, 0, 0, 0, 0, 0, 0, 0, 64 }, track[12] = { 0x52, 1, 0, 0, 0, 1, 0, 0, 64 }, b[64];

	CHECK_EQ(ask(r, disc, b, 64), 34);
	CHECK_EQ(b[0] << 8 | b[1], 32);
	CHECK_EQ(b[2], 0x0E);
	CHECK_EQ(ask(r, track, b, 64), 36);
	CHECK_EQ(b[5] & 15, 4);
	CHECK_EQ(b[6] & 15, 1);
	CHECK_EQ(b[26] << 8 | b[27], 250);
	track[5] = 2;
	ask(r, track, b, 0);
	CHECK_EQ(sense(r), 0x052400);
	free(r);
}

TEST(atapi_events_are_asked_for_by_class_and_told_once)	/* [MMC-3 "GET EVENT STATUS NOTIFICATION"] */
{
	struct rig *r = rig_new();
	uint8_t p[12] = { 0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8 }, lock[12] = { 0x1E, 0, 0, 0, 1 }, b[8];

	CHECK_EQ(ask(r, p, b, 8), 8);
	CHECK_EQ(b[2], 4);
	CHECK_EQ(b[3], 0x10);
	CHECK_EQ(b[4] & 15, 0);				/* nothing happened */
	CHECK_EQ(b[5], 2);				/* disc in, tray shut */
	ask(r, lock, b, 0);
	CHECK(!ide_move_tray(&r->ide, 1, 0, true, false));
	ask(r, p, b, 8);
	CHECK_EQ(b[4] & 15, 1);				/* the user wants it out */
	ask(r, p, b, 8);
	CHECK_EQ(b[4] & 15, 0);
	CHECK(ide_move_tray(&r->ide, 1, 0, true, true));
	ask(r, p, b, 8);
	CHECK_EQ(b[4] & 15, 3);
	CHECK_EQ(b[5], 1);
	p[4] = 0x02;					/* a class the drive has not */
	CHECK_EQ(ask(r, p, b, 8), 4);
	CHECK_EQ(b[2], 0x80);
	p[1] = 0;					/* to be told without asking */
	ask(r, p, b, 0);
	CHECK_EQ(sense(r), 0x052400);
	free(r);
}

TEST(atapi_tray_that_is_shut_on_a_disc_has_a_new_disc)	/* [MMC-3 "START STOP UNIT", "MECHANISM STATUS"] */
{
	struct rig *r = rig_new();
	uint8_t eject[12] = { 0x1B, 0, 0, 0, 2 }, load[12] = { 0x1B, 0, 0, 0, 3 }, mech[12] = { 0xBD, 0, 0, 0, 0, 0, 0, 0, 0, 8 };
	uint8_t unit[12] = { 0 }, b[8];

	ask(r, eject, b, 0);
	CHECK(!failed(r));
	CHECK_EQ(ask(r, mech, b, 8), 8);
	CHECK_EQ(b[1], 0x10);
	ask(r, load, b, 0);
	CHECK_EQ(packet(r, mech, 0xFFFE, b, 0), 0);	/* the first command after it is told of the disc */
	CHECK_EQ(sense(r), 0x062800);
	packet(r, unit, 0xFFFE, b, 0);
	CHECK(!failed(r));
	CHECK_EQ(packet(r, mech, 0xFFFE, b, 8), 8);
	CHECK_EQ(b[1], 0);
	free(r);
}

TEST(atapi_sense_tells_of_a_new_disc_when_it_is_asked_first)	/* [SPC-2 "REQUEST SENSE", unit attention] */
{
	struct rig *r = rig_new();
	uint8_t unit[12] = { 0 }, b[8];

	CHECK_EQ(sense(r), 0x062800);
	CHECK_EQ(sense(r), 0);
	packet(r, unit, 0xFFFE, b, 0);
	CHECK(!failed(r));				/* it was told already */
	free(r);
}

TEST(atapi_reads_of_nothing_and_seeks_move_no_data)	/* [MMC-3 "READ (10)", "SEEK"] */
{
	struct rig *r = rig_new();
	uint8_t none[12] = { 0x28, 0, 0, 0, 0, 249 }, seek[12] = { 0x2B, 0, 0, 0, 0, 249 }, b[8];

	CHECK_EQ(ask(r, none, b, 0), 0);
	CHECK(!failed(r));
	ask(r, seek, b, 0);
	CHECK(!failed(r));
	seek[5] = 250;
	ask(r, seek, b, 0);
	CHECK_EQ(sense(r), 0x052100);
	free(r);
}

TEST(atapi_empty_drive_answers_what_needs_no_disc)
{
	struct rig *r = rig_new();
	uint8_t inquiry[12] = { 0x12, 0, 0, 0, 36 }, mode[12] = { 0x5A, 0, 0x2A, 0, 0, 0, 0, 0, 64 }, cap[12] = { 0x25 }, b[64];

	ide_attach(&r->ide, 1, 0, IDE_CDROM, NULL, NULL);
	CHECK_EQ(ask(r, inquiry, b, 64), 36);
	CHECK_EQ(ask(r, mode, b, 64), 28);
	CHECK_EQ(b[2], 0x70);				/* no disc */
	ask(r, cap, b, 0);
	CHECK_EQ(sense(r), 0x023A01);
	free(r);
}

TEST(atapi_overlapped_packets_are_refused_and_odd_limits_rounded)	/* [ATA-6 "PACKET", features and byte count] */
{
	struct rig *r = rig_new();
	struct ide_channel *ch = &r->ide.channel[1];
	uint8_t p[12] = { 0x28, 0, 0, 0, 0, 3, 0, 0, 1 }, b[2048];

	ide_write(ch, 1, 1, 2);
	ide_write(ch, 7, 1, 0xA0);
	CHECK_EQ(ide_read(ch, 1, 1), IDE_ABRT);
	r->ide.channel[1].drive[0].unit_attention = false;
	CHECK_EQ(packet(r, p, 1001, b, 2048), 2048);
	CHECK_EQ(ch->byte_limit, 1000);
	assert_memory_equal(b, r->cd.bytes + 3 * 2048, 2048);
	free(r);
}

TEST(atapi_identify_packet_device_names_a_removable_cd_rom)	/* [ATA-6 "IDENTIFY PACKET DEVICE"] */
{
	struct rig *r = rig_new();
	struct ide_channel *ch = &r->ide.channel[1];
	uint8_t id[512];

	ide_write(ch, 7, 1, 0xA1);
	read_block(ch, id, 512);
	unsigned general = id[0] | id[1] << 8;
	CHECK_EQ(general >> 14, 2);			/* ATAPI */
	CHECK_EQ(general >> 8 & 31, 5);
	CHECK_EQ(general >> 7 & 1, 1);
	CHECK_EQ(general & 3, 0);			/* packets of 12 bytes */
	CHECK_EQ(id[99] & 3, 3);			/* LBA, DMA */
	assert_memory_equal(id + 54, "lpxe68C -DOR", 12);
	CHECK_EQ(ide_read(ch, 7, 1), IDE_DRDY | IDE_DSC);
	free(r);
}

TEST(atapi_identify_names_the_transfer_mode_in_force)	/* [ATA-6 "IDENTIFY PACKET DEVICE", words 63 and 88] */
{
	static const struct { uint8_t mode; unsigned multiword, ultra; } modes[] = { { 0x22, 0x0407, 0x003F }, { 0x45, 0x0007, 0x203F } };
	struct rig *r = rig_new();
	struct ide_channel *ch = &r->ide.channel[1];
	uint8_t id[512];

	for (unsigned i = 0; i < ARRAY_LEN(modes); i++) {
		ide_write(ch, 1, 1, 3);			/* SET FEATURES: transfer mode */
		ide_write(ch, 2, 1, modes[i].mode);
		ide_write(ch, 7, 1, 0xEF);
		CHECK(!failed(r));
		ide_write(ch, 7, 1, 0xA1);
		read_block(ch, id, 512);
		CHECK_EQ(id[126] | id[127] << 8, modes[i].multiword);
		CHECK_EQ(id[176] | id[177] << 8, modes[i].ultra);
	}
	free(r);
}

TEST(atapi_configuration_begins_at_a_feature_and_may_be_of_current_ones_or_that_one)	/* [MMC-3 "GET CONFIGURATION", RT] */
{
	struct rig *r = rig_new();
	uint8_t p[12] = { 0x46, 0, 0, 0x1E, 0, 0, 0, 0, 64 }, b[64];

	CHECK_EQ(ask(r, p, b, 64), 8 + 8 + 4);		/* CD READ and DVD READ */
	CHECK_EQ(b[8] << 8 | b[9], 0x001E);
	CHECK_EQ(b[10] & 1, 1);
	CHECK_EQ(b[16] << 8 | b[17], 0x001F);
	CHECK_EQ(b[18] & 1, 0);
	p[1] = 1;
	CHECK_EQ(ask(r, p, b, 64), 8 + 8);
	p[1] = 2;
	CHECK_EQ(ask(r, p, b, 64), 8 + 8);
	p[3] = 0x1F;
	CHECK_EQ(ask(r, p, b, 64), 8 + 4);
	CHECK_EQ(b[8] << 8 | b[9], 0x001F);
	p[3] = 0x20;					/* writing: there is no such feature */
	CHECK_EQ(ask(r, p, b, 64), 8);
	free(r);
}

TEST(atapi_subchannel_has_no_audio_to_tell_of)		/* [MMC-3 "READ SUB-CHANNEL"] */
{
	struct rig *r = rig_new();
	uint8_t p[12] = { 0x42, 0, 0x40, 1, 0, 0, 0, 0, 16 }, speed[12] = { 0xBB, 0, 0xFF, 0xFF }, b[16];

	CHECK_EQ(ask(r, p, b, 16), 4);
	CHECK_EQ(b[1], 0x15);
	CHECK_EQ(b[2] << 8 | b[3], 0);
	ask(r, speed, b, 0);
	CHECK(!failed(r));
	free(r);
}
