/*
 * CD-ROM: the packets that ask what the drive is and what disc is in it.	[SFF-8020i], [MMC-3], [SPC-2]
 */
#include <string.h>

#include "dev/atapi_internal.h"

static void put_text(uint8_t *b, const char *text, size_t len)
{
	memset(b, ' ', len);
	memcpy(b, text, strlen(text));
}

void atapi_inquiry(struct ide_channel *ch, const uint8_t *p)
{
	uint8_t *b = ch->buf;

	if (p[1] & 1) {				/* vital product data: the list of pages, with itself only */
		if (p[2] != 0) {
			atapi_fail(ch, SENSE_BAD_FIELD);
			return;
		}
		memset(b, 0, 5);
		b[0] = 5;
		b[3] = 1;
		atapi_reply(ch, 5, p[4]);
		return;
	}
	memset(b, 0, 36);
	b[0] = 0x05;				/* CD-ROM */
	b[1] = 0x80;				/* removable */
	b[3] = 0x21;				/* ATAPI, response format 1 */
	b[4] = 31;
	put_text(b + 8, "plex86", 8);
	put_text(b + 16, "CD-ROM", 16);
	put_text(b + 32, "1.0", 4);
	atapi_reply(ch, 36, p[4]);
}

void atapi_read_capacity(struct ide_channel *ch)
{
	put_be32(ch->buf, atapi_disc_sectors(ch->active) - 1);
	put_be32(ch->buf + 4, CD_SECTOR);
	atapi_reply(ch, 8, 8);
}

static void put_address(uint8_t *b, uint32_t lba, bool msf)
{
	if (!msf) {
		put_be32(b, lba);
		return;
	}
	lba += 150;				/* the two seconds before LBA 0 */
	b[0] = 0;
	b[1] = lba / 75 / 60;
	b[2] = lba / 75 % 60;
	b[3] = lba % 75;
}

/* A descriptor of the full table of contents: session 1, point, and an MSF address. */
static uint8_t *full_toc_entry(uint8_t *b, uint8_t point, uint8_t m, uint8_t s, uint8_t f)
{
	uint8_t entry[11] = { 1, 0x14, 0, point, 0, 0, 0, 0, m, s, f };

	memcpy(b, entry, sizeof(entry));
	return b + sizeof(entry);
}

void atapi_read_toc(struct ide_channel *ch, const uint8_t *p)
{
	uint8_t *b = ch->buf, *at = b + 4;
	unsigned alloc = be16(p + 7), format = p[2] & 15;
	bool msf = p[1] & 2;
	uint32_t end = atapi_disc_sectors(ch->active);
	uint8_t lead_out[4];

	if (format == 0)			/* SFF-8020i had it in the control byte */
		format = p[9] >> 6;
	memset(b, 0, 64);
	b[2] = b[3] = 1;			/* first and last track (session) */
	switch (format) {
	case 0:
		if (p[6] > 1 && p[6] != 0xAA) {
			atapi_fail(ch, SENSE_BAD_FIELD);
			return;
		}
		if (p[6] <= 1) {
			at[1] = 0x14;		/* data track */
			at[2] = 1;
			put_address(at + 4, 0, msf);
			at += 8;
		}
		at[1] = 0x14;
		at[2] = 0xAA;			/* lead-out */
		put_address(at + 4, end, msf);
		at += 8;
		break;
	case 1:					/* sessions: one, starting with track 1 */
		at[1] = 0x14;
		at[2] = 1;
		put_address(at + 4, 0, msf);
		at += 8;
		break;
	case 2:
		put_address(lead_out, end, true);
		at = full_toc_entry(at, 0xA0, 1, 0, 0);
		at = full_toc_entry(at, 0xA1, 1, 0, 0);
		at = full_toc_entry(at, 0xA2, lead_out[1], lead_out[2], lead_out[3]);
		at = full_toc_entry(at, 1, 0, 2, 0);
		break;
	default:
		atapi_fail(ch, SENSE_BAD_FIELD);
		return;
	}
	put_be16(b, at - b - 2);
	atapi_reply(ch, at - b, alloc);
}

void atapi_get_configuration(struct ide_channel *ch, const uint8_t *p)
{
	uint8_t *b = ch->buf, *at = b + 8;
	unsigned kind = p[1] & 3, start = be16(p + 2), alloc = be16(p + 7);
	static const uint8_t features[][12] = {
		{ 0x00, 0x00, 0x03, 0x08, 0x00, 0x10, 0, 0, 0x00, 0x08, 0, 0 },	/* profile list: DVD-ROM, CD-ROM */
		{ 0x00, 0x01, 0x07, 0x04, 0x00, 0x00, 0x00, 0x02 },	/* core: ATAPI */
		{ 0x00, 0x03, 0x03, 0x04, 0x29, 0x00, 0x00, 0x00 },	/* removable: tray, eject, lock */
		{ 0x00, 0x1E, 0x03, 0x04, 0x00, 0x00, 0x00, 0x00 },	/* CD read */
		{ 0x00, 0x1F, 0x03, 0x00 },				/* DVD read */
	};
	bool disc = atapi_disc_present(ch->active), dvd = disc && atapi_disc_is_dvd(ch->active);

	memset(b, 0, 64);
	for (unsigned i = 0; i < ARRAY_LEN(features); i++) {
		unsigned code = be16(features[i]);
		bool current = code == 0x1E ? disc && !dvd : code != 0x1F || dvd;
		if (code < start || (kind == 1 && !current) || (kind == 2 && code != start))
			continue;
		memcpy(at, features[i], sizeof(features[i]));
		at[2] = (at[2] & ~1) | current;
		if (code == 0) {
			at[6] = dvd;
			at[10] = disc && !dvd;
		}
		at += 4 + features[i][3];
	}
	put_be32(b, at - b - 4);
	put_be16(b + 6, dvd ? 0x0010 : disc ? 0x0008 : 0);	/* current profile */
	atapi_reply(ch, at - b, alloc);
}

void atapi_get_event_status(struct ide_channel *ch, const uint8_t *p)
{
	struct ide_drive *d = ch->active;
	uint8_t *b = ch->buf;
	unsigned len = 4;

	if (!(p[1] & 1)) {			/* asynchronous notification */
		atapi_fail(ch, SENSE_BAD_FIELD);
		return;
	}
	memset(b, 0, 8);
	b[3] = BIT(4);				/* supported: media events */
	if (p[4] & BIT(4)) {
		b[2] = 4;
		b[4] = d->media_event & 3;
		b[5] = (d->tray_open ? 1 : 0) | (atapi_disc_present(d) ? 2 : 0);
		d->media_event = 0;
		len = 8;
	} else {
		b[2] = 0x80;			/* none of the classes asked for */
	}
	put_be16(b, len - 2);
	atapi_reply(ch, len, be16(p + 7));
}

/* Mode pages; page 3Fh is all of them. */
static uint8_t *mode_page(uint8_t *b, uint8_t page, bool locked)
{
	static const uint8_t recovery[8] = { 0x01, 6, 0, 5 };
	static const uint8_t audio[16] = { 0x0E, 14, 4, 0, 0, 0, 0, 75 };
	static const uint8_t capabilities[20] = { 0x2A, 18, 0, 0, 0x70, 0x60, 0x29, 0, 0x02, 0xC2, 0, 0, 0x02, 0,
	    0x02, 0xC2 };

	if (page == 0x01 || page == 0x3F) {
		memcpy(b, recovery, sizeof(recovery));
		b += sizeof(recovery);
	}
	if (page == 0x0E || page == 0x3F) {
		memcpy(b, audio, sizeof(audio));
		b += sizeof(audio);
	}
	if (page == 0x2A || page == 0x3F) {
		memcpy(b, capabilities, sizeof(capabilities));
		b[6] |= locked ? 2 : 0;
		b += sizeof(capabilities);
	}
	return b;
}

void atapi_mode_sense(struct ide_channel *ch, const uint8_t *p)
{
	struct ide_drive *d = ch->active;
	uint8_t *b = ch->buf, *end;
	unsigned control = p[2] >> 6;

	memset(b, 0, 8);
	b[2] = d->tray_open ? 0x71 : d->disk == NULL ? 0x70 : 0x01;	/* medium type */
	end = mode_page(b + 8, p[2] & 0x3F, d->locked);
	if (end == b + 8) {
		atapi_fail(ch, SENSE_BAD_FIELD);
		return;
	}
	if (control == 3) {			/* saved values: there are none */
		atapi_fail(ch, SENSE_NO_SAVED_PAGES);
		return;
	}
	put_be16(b, end - b - 2);
	atapi_reply(ch, end - b, be16(p + 7));
}

void atapi_read_disc_information(struct ide_channel *ch, const uint8_t *p)
{
	uint8_t *b = ch->buf;

	memset(b, 0, 34);
	put_be16(b, 32);
	b[2] = 0x0E;				/* finished, last session complete */
	b[3] = b[4] = b[5] = b[6] = 1;		/* first track, sessions, first and last track of the last one */
	b[7] = 0x20;				/* unrestricted use */
	atapi_reply(ch, 34, be16(p + 7));
}

void atapi_read_track_information(struct ide_channel *ch, const uint8_t *p)
{
	uint8_t *b = ch->buf;

	if ((p[1] & 3) == 1 && be32(p + 2) > 1) {
		atapi_fail(ch, SENSE_BAD_FIELD);
		return;
	}
	memset(b, 0, 36);
	put_be16(b, 34);
	b[2] = b[3] = 1;			/* track, session */
	b[5] = 4;				/* data track */
	b[6] = 1;				/* mode 1 */
	put_be32(b + 24, atapi_disc_sectors(ch->active));
	atapi_reply(ch, 36, be16(p + 7));
}

/* READ DVD STRUCTURE: physical format (0) and copyright (1) of a single-layer DVD-ROM.	[MMC-3 "READ DVD STRUCTURE"] */
void atapi_read_dvd_structure(struct ide_channel *ch, const uint8_t *p)
{
	uint8_t *b = ch->buf;
	uint32_t len = p[7] == 0 ? 2052 : 8;

	if (!atapi_disc_is_dvd(ch->active)) {
		atapi_fail(ch, SENSE_WRONG_MEDIUM);
		return;
	}
	if (p[7] > 1 || p[6] > 0) {
		atapi_fail(ch, SENSE_BAD_FIELD);
		return;
	}
	memset(b, 0, len);
	put_be16(b, len - 2);
	if (p[7] == 0) {
		b[4] = 0x01;			/* DVD-ROM, version 1 */
		b[5] = 0x0F;			/* 120 mm; maximum rate not specified */
		b[6] = 0x01;			/* one layer, read-only */
		put_be32(b + 8, 0x030000);		/* the first sector of the data area, and the last one */
		put_be32(b + 12, 0x030000 + atapi_disc_sectors(ch->active) - 1);
	}
	atapi_reply(ch, len, be16(p + 8));
}

void atapi_mechanism_status(struct ide_channel *ch, const uint8_t *p)
{
	memset(ch->buf, 0, 8);
	ch->buf[1] = ch->active->tray_open ? 0x10 : 0;
	atapi_reply(ch, 8, be16(p + 8));
}

void atapi_read_subchannel(struct ide_channel *ch, const uint8_t *p)
{
	memset(ch->buf, 0, 4);
	ch->buf[1] = 0x15;			/* no audio status */
	atapi_reply(ch, 4, be16(p + 7));
}

void atapi_identify(struct ide_channel *ch)
{
	const struct ide_drive *d = ch->active;
	uint8_t *id = ch->buf;
	static const struct { unsigned word; uint16_t val; } words[] = {
		{ 0, 0x85C0 },			/* ATAPI CD-ROM, removable, 12-byte packets, DRQ in 50 us */
		{ 48, 1 }, { 49, 0x0B00 },	/* DMA, LBA, IORDY */
		{ 51, 0x0200 }, { 53, 7 },
		{ 64, 3 },
		{ 65, 120 }, { 66, 120 }, { 67, 120 }, { 68, 120 },
		{ 80, 0x0070 }, { 82, 0x0010 }, { 83, 0x4000 }, { 84, 0x4000 },
		{ 85, 0x0010 }, { 87, 0x4000 }, { 93, 0x6001 },
	};

	memset(id, 0, 512);
	for (unsigned i = 0; i < ARRAY_LEN(words); i++)
		ide_set16(id + 2 * words[i].word, words[i].val);
	ide_identify_modes(id, d);
	ide_identify_string(id + 2 * 10, d->serial, 20);
	ide_identify_string(id + 2 * 23, "1.0", 8);
	ide_identify_string(id + 2 * 27, d->model, 40);
}
