/*
 * CD-ROM: packet commands over IDE.		[ATA/ATAPI-6 "PACKET"], [SFF-8020i], [MMC-3], [SPC-2]
 *
 * One data track of 2048-byte sectors. The tray opens and closes; a disc that was changed is
 * reported by UNIT ATTENTION once, and by GET EVENT STATUS NOTIFICATION.
 * What is longer than a CD can be is a DVD-ROM.
 * Left out: audio, subchannels, writing: such commands end in ILLEGAL REQUEST.
 */
#include <string.h>

#include "dev/ide.h"

enum { KEY_NONE = 0, KEY_NOT_READY = 2, KEY_MEDIUM = 3, KEY_ILLEGAL = 5, KEY_ATTENTION = 6 };
enum { REASON_COMMAND = BIT(0), REASON_IN = BIT(1) };	/* interrupt reason, in the count register */

#define SENSE_OK		((struct atapi_sense){ 0, 0, 0 })
#define SENSE_NO_DISC		((struct atapi_sense){ KEY_NOT_READY, 0x3A, 0x01 })
#define SENSE_TRAY_OPEN		((struct atapi_sense){ KEY_NOT_READY, 0x3A, 0x02 })
#define SENSE_READ_ERROR	((struct atapi_sense){ KEY_MEDIUM, 0x11, 0x00 })
#define SENSE_BAD_COMMAND	((struct atapi_sense){ KEY_ILLEGAL, 0x20, 0x00 })
#define SENSE_BAD_ADDRESS	((struct atapi_sense){ KEY_ILLEGAL, 0x21, 0x00 })
#define SENSE_BAD_FIELD		((struct atapi_sense){ KEY_ILLEGAL, 0x24, 0x00 })
#define SENSE_BAD_MODE		((struct atapi_sense){ KEY_ILLEGAL, 0x64, 0x00 })
#define SENSE_WRONG_MEDIUM	((struct atapi_sense){ KEY_ILLEGAL, 0x30, 0x02 })
#define SENSE_LOCKED		((struct atapi_sense){ KEY_ILLEGAL, 0x53, 0x02 })
#define SENSE_NEW_DISC		((struct atapi_sense){ KEY_ATTENTION, 0x28, 0x00 })

static unsigned get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, unsigned val)
{
	p[0] = val >> 8;
	p[1] = val;
}

static void put32(uint8_t *p, uint32_t val)
{
	put16(p, val >> 16);
	put16(p + 2, val);
}

static bool disc_present(const struct ide_drive *d)
{
	return d->disk != NULL && !d->tray_open;
}

static uint32_t disc_sectors(const struct ide_drive *d)
{
	uint64_t n = d->disk->size_bytes / CD_SECTOR;

	return MIN(n, 0xFFFFFFFFu);
}

/* More than 80 minutes of 75 sectors a second. */
static bool is_dvd(const struct ide_drive *d)
{
	return disc_sectors(d) > 80 * 60 * 75;
}

/* --- how a packet ends --- */

static void packet_good(struct ide_channel *ch)
{
	struct ide_drive *d = ch->active;

	d->sense = SENSE_OK;
	d->tf.count[0] = REASON_COMMAND | REASON_IN;
	ide_end(ch, 0, 0);
}

static void packet_fail(struct ide_channel *ch, struct atapi_sense sense)
{
	struct ide_drive *d = ch->active;

	d->sense = sense;
	d->tf.count[0] = REASON_COMMAND | REASON_IN;
	ide_end(ch, sense.key << 4 | IDE_ABRT, 0);
}

/* --- data to the host: buf[0, filled), then `left` more sectors from `lba` on --- */

static void read_next(struct ide_channel *ch);

/* One DRQ block of at most byte_limit bytes; the byte count registers say how many. */
static void offer_block(struct ide_channel *ch, uint32_t pos);

static void block_moved(struct ide_channel *ch)
{
	if (ch->end < ch->filled)
		offer_block(ch, ch->end);
	else if (ch->left > 0)
		read_next(ch);
	else
		packet_good(ch);
}

static void offer_block(struct ide_channel *ch, uint32_t pos)
{
	struct ide_taskfile *tf = &ch->active->tf;
	uint32_t n = ch->filled - pos;

	if (n > ch->byte_limit)
		n = ch->byte_limit;
	tf->lba_mid[0] = n;
	tf->lba_high[0] = n >> 8;
	tf->count[0] = REASON_IN;
	ide_pio(ch, IDE_PIO_IN, pos, n, block_moved, true);
}

static void offer(struct ide_channel *ch)
{
	if (ch->dma)
		ide_dma_wait(ch);
	else
		offer_block(ch, 0);
}

/* The bus master is ready for buf[0, filled). */
void atapi_dma(struct ide_channel *ch)
{
	if (ide_dma_move(ch, ch->buf, ch->filled, true) < ch->filled)
		return;
	if (ch->left > 0) {
		read_next(ch);
		return;
	}
	ide_dma_finish(ch);
	packet_good(ch);
}

/* Parts of a sector, in the order they have on the disc.	[MMC-3 "READ CD", byte 9] */
enum { PART_SYNC = BIT(7), PART_HEADER = BIT(5), PART_DATA = BIT(4), PART_EDC = BIT(3) };

static uint32_t parts_bytes(uint8_t parts)
{
	return (parts & PART_SYNC ? 12 : 0) + (parts & PART_HEADER ? 4 : 0) + (parts & PART_DATA ? CD_SECTOR : 0) +
	    (parts & PART_EDC ? 288 : 0);
}

/* Sector i of the chunk in buf becomes what was asked for; larger ones from the last on, so that none is overwritten before its turn. */
static void take_parts(struct ide_channel *ch, uint32_t i, uint32_t each)
{
	static const struct { uint8_t part; uint16_t at, len; } layout[] = {
		{ PART_SYNC, 0, 12 }, { PART_HEADER, 12, 4 }, { PART_DATA, 16, CD_SECTOR }, { PART_EDC, 16 + CD_SECTOR, 288 },
	};
	uint8_t raw[CD_RAW_SECTOR], data[CD_SECTOR], *out = ch->buf + i * each;

	memcpy(data, ch->buf + i * CD_SECTOR, CD_SECTOR);
	cd_sector(raw, (uint32_t)ch->lba + i, data);
	for (unsigned k = 0; k < ARRAY_LEN(layout); k++) {
		if (ch->cd_parts & layout[k].part) {
			memcpy(out, raw + layout[k].at, layout[k].len);
			out += layout[k].len;
		}
	}
}

static uint32_t make_parts(struct ide_channel *ch)
{
	uint32_t each = parts_bytes(ch->cd_parts);

	if (ch->cd_parts == PART_DATA)
		return each;
	for (uint32_t i = 0; i < ch->chunk; i++)
		take_parts(ch, each > CD_SECTOR ? ch->chunk - 1 - i : i, each);
	return each;
}

static void read_done(struct ide_channel *ch, int error)
{
	if (error) {
		packet_fail(ch, SENSE_READ_ERROR);
		return;
	}
	ch->filled = ch->chunk * make_parts(ch);
	ch->lba += ch->chunk;
	ch->left -= ch->chunk;
	offer(ch);
}

static void read_next(struct ide_channel *ch)
{
	if (!disc_present(ch->active)) {	/* taken out in the middle */
		packet_fail(ch, SENSE_NO_DISC);
		return;
	}
	if (ch->lba + ch->left > disc_sectors(ch->active)) {
		packet_fail(ch, SENSE_BAD_ADDRESS);
		return;
	}
	ch->chunk = MIN(ch->left, IDE_BUF_BYTES / MAX(CD_SECTOR, parts_bytes(ch->cd_parts)));
	ide_submit(ch, DISK_READ, ch->lba * CD_SECTOR, ch->chunk * CD_SECTOR, ch->buf, read_done);
}

static void read_sectors(struct ide_channel *ch, uint32_t lba, uint32_t count)
{
	uint32_t size = disc_sectors(ch->active);

	if (lba > size || count > size - lba) {
		packet_fail(ch, SENSE_BAD_ADDRESS);
		return;
	}
	if (count == 0) {
		packet_good(ch);
		return;
	}
	ch->lba = lba;
	ch->left = count;
	read_next(ch);
}

/* A reply of len bytes is in buf; the packet allows alloc. */
static void reply(struct ide_channel *ch, uint32_t len, uint32_t alloc)
{
	ch->left = 0;
	ch->filled = MIN(len, alloc);
	if (ch->filled == 0)
		packet_good(ch);
	else
		offer(ch);
}

/* --- commands --- */

static void request_sense(struct ide_channel *ch, const uint8_t *p)
{
	struct ide_drive *d = ch->active;
	uint8_t *b = ch->buf;

	if (d->sense.key == KEY_NONE && d->unit_attention) {
		d->sense = SENSE_NEW_DISC;
		d->unit_attention = false;
	}
	memset(b, 0, 18);
	b[0] = 0x70;			/* current error, fixed format */
	b[2] = d->sense.key;
	b[7] = 10;
	b[12] = d->sense.asc;
	b[13] = d->sense.ascq;
	reply(ch, 18, p[4]);		/* its end clears the sense */
}

static void put_text(uint8_t *b, const char *text, size_t len)
{
	memset(b, ' ', len);
	memcpy(b, text, strlen(text));
}

static void inquiry(struct ide_channel *ch, const uint8_t *p)
{
	uint8_t *b = ch->buf;

	if (p[1] & 1) {				/* vital product data: the list of pages, with itself only */
		if (p[2] != 0) {
			packet_fail(ch, SENSE_BAD_FIELD);
			return;
		}
		memset(b, 0, 5);
		b[0] = 5;
		b[3] = 1;
		reply(ch, 5, p[4]);
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
	reply(ch, 36, p[4]);
}

static void start_stop(struct ide_channel *ch, const uint8_t *p)
{
	struct ide_drive *d = ch->active;
	bool start = p[4] & 1, load_eject = p[4] & 2;

	if (load_eject) {
		if (!start && d->locked) {
			packet_fail(ch, SENSE_LOCKED);
			return;
		}
		if (d->tray_open && start && d->disk != NULL) {
			d->unit_attention = true;
			d->media_event = 2;
		}
		d->tray_open = !start;
		if (ch->ide->host.tray != NULL)
			ch->ide->host.tray(ch->ide->host.arg, ch->index, d == &ch->drive[1], d->tray_open, d->locked);
	}
	packet_good(ch);
}

static void prevent_allow(struct ide_channel *ch, const uint8_t *p)
{
	struct ide_drive *d = ch->active;

	d->locked = p[4] & 1;
	if (ch->ide->host.tray != NULL)
		ch->ide->host.tray(ch->ide->host.arg, ch->index, d == &ch->drive[1], d->tray_open, d->locked);
	packet_good(ch);
}

static void read_capacity(struct ide_channel *ch)
{
	put32(ch->buf, disc_sectors(ch->active) - 1);
	put32(ch->buf + 4, CD_SECTOR);
	reply(ch, 8, 8);
}

static void put_address(uint8_t *b, uint32_t lba, bool msf)
{
	if (!msf) {
		put32(b, lba);
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

static void read_toc(struct ide_channel *ch, const uint8_t *p)
{
	uint8_t *b = ch->buf, *at = b + 4;
	unsigned alloc = get16(p + 7), format = p[2] & 15;
	bool msf = p[1] & 2;
	uint32_t end = disc_sectors(ch->active);
	uint8_t lead_out[4];

	if (format == 0)			/* SFF-8020i had it in the control byte */
		format = p[9] >> 6;
	memset(b, 0, 64);
	b[2] = b[3] = 1;			/* first and last track (session) */
	switch (format) {
	case 0:
		if (p[6] > 1 && p[6] != 0xAA) {
			packet_fail(ch, SENSE_BAD_FIELD);
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
		packet_fail(ch, SENSE_BAD_FIELD);
		return;
	}
	put16(b, at - b - 2);
	reply(ch, at - b, alloc);
}

static void get_configuration(struct ide_channel *ch, const uint8_t *p)
{
	uint8_t *b = ch->buf, *at = b + 8;
	unsigned kind = p[1] & 3, start = get16(p + 2), alloc = get16(p + 7);
	static const uint8_t features[][12] = {
		{ 0x00, 0x00, 0x03, 0x08, 0x00, 0x10, 0, 0, 0x00, 0x08, 0, 0 },	/* profile list: DVD-ROM, CD-ROM */
		{ 0x00, 0x01, 0x07, 0x04, 0x00, 0x00, 0x00, 0x02 },	/* core: ATAPI */
		{ 0x00, 0x03, 0x03, 0x04, 0x29, 0x00, 0x00, 0x00 },	/* removable: tray, eject, lock */
		{ 0x00, 0x1E, 0x03, 0x04, 0x00, 0x00, 0x00, 0x00 },	/* CD read */
		{ 0x00, 0x1F, 0x03, 0x00 },				/* DVD read */
	};
	bool disc = disc_present(ch->active), dvd = disc && is_dvd(ch->active);

	memset(b, 0, 64);
	for (unsigned i = 0; i < ARRAY_LEN(features); i++) {
		unsigned code = get16(features[i]);
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
	put32(b, at - b - 4);
	put16(b + 6, dvd ? 0x0010 : disc ? 0x0008 : 0);	/* current profile */
	reply(ch, at - b, alloc);
}

static void get_event_status(struct ide_channel *ch, const uint8_t *p)
{
	struct ide_drive *d = ch->active;
	uint8_t *b = ch->buf;
	unsigned len = 4;

	if (!(p[1] & 1)) {			/* asynchronous notification */
		packet_fail(ch, SENSE_BAD_FIELD);
		return;
	}
	memset(b, 0, 8);
	b[3] = BIT(4);				/* supported: media events */
	if (p[4] & BIT(4)) {
		static const uint8_t code[] = { 0, 1, 2, 3 };
		b[2] = 4;
		b[4] = code[d->media_event & 3];
		b[5] = (d->tray_open ? 1 : 0) | (disc_present(d) ? 2 : 0);
		d->media_event = 0;
		len = 8;
	} else {
		b[2] = 0x80;			/* none of the classes asked for */
	}
	put16(b, len - 2);
	reply(ch, len, get16(p + 7));
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

static void mode_sense(struct ide_channel *ch, const uint8_t *p)
{
	struct ide_drive *d = ch->active;
	uint8_t *b = ch->buf, *end;
	unsigned control = p[2] >> 6;

	memset(b, 0, 8);
	b[2] = d->tray_open ? 0x71 : d->disk == NULL ? 0x70 : 0x01;	/* medium type */
	end = mode_page(b + 8, p[2] & 0x3F, d->locked);
	if (end == b + 8) {
		packet_fail(ch, SENSE_BAD_FIELD);
		return;
	}
	if (control == 3) {			/* saved values: there are none */
		packet_fail(ch, (struct atapi_sense){ KEY_ILLEGAL, 0x39, 0 });
		return;
	}
	put16(b, end - b - 2);
	reply(ch, end - b, get16(p + 7));
}

static void read_disc_information(struct ide_channel *ch, const uint8_t *p)
{
	uint8_t *b = ch->buf;

	memset(b, 0, 34);
	put16(b, 32);
	b[2] = 0x0E;				/* finished, last session complete */
	b[3] = b[4] = b[5] = b[6] = 1;		/* first track, sessions, first and last track of the last one */
	b[7] = 0x20;				/* unrestricted use */
	reply(ch, 34, get16(p + 7));
}

static void read_track_information(struct ide_channel *ch, const uint8_t *p)
{
	uint8_t *b = ch->buf;

	if ((p[1] & 3) == 1 && get32(p + 2) > 1) {
		packet_fail(ch, SENSE_BAD_FIELD);
		return;
	}
	memset(b, 0, 36);
	put16(b, 34);
	b[2] = b[3] = 1;			/* track, session */
	b[5] = 4;				/* data track */
	b[6] = 1;				/* mode 1 */
	put32(b + 24, disc_sectors(ch->active));
	reply(ch, 36, get16(p + 7));
}

static void read_cd(struct ide_channel *ch, const uint8_t *p, uint32_t lba, uint32_t count)
{
	unsigned type = p[1] >> 2 & 7;		/* 0 any, 2 mode 1 */

	if (type != 0 && type != 2) {
		packet_fail(ch, SENSE_BAD_MODE);
	} else if (p[9] & 0x06 || p[10] & 7) {	/* error flags, subchannels */
		packet_fail(ch, SENSE_BAD_FIELD);
	} else {
		ch->cd_parts = p[9] & (PART_SYNC | PART_HEADER | PART_DATA | PART_EDC);
		read_sectors(ch, lba, parts_bytes(ch->cd_parts) ? count : 0);
	}
}

/* READ CD MSF: from one time on the disc up to another. */
static void read_cd_msf(struct ide_channel *ch, const uint8_t *p)
{
	uint32_t from = (p[3] * 60u + p[4]) * 75 + p[5], to = (p[6] * 60u + p[7]) * 75 + p[8];

	if (from < 150 || to < from)
		packet_fail(ch, SENSE_BAD_FIELD);
	else
		read_cd(ch, p, from - 150, to - from);
}

/* READ DVD STRUCTURE: physical format (0) and copyright (1) of a single-layer DVD-ROM.	[MMC-3 "READ DVD STRUCTURE"] */
static void read_dvd_structure(struct ide_channel *ch, const uint8_t *p)
{
	uint8_t *b = ch->buf;
	uint32_t len = p[7] == 0 ? 2052 : 8;

	if (!is_dvd(ch->active)) {
		packet_fail(ch, SENSE_WRONG_MEDIUM);
		return;
	}
	if (p[7] > 1 || p[6] > 0) {
		packet_fail(ch, SENSE_BAD_FIELD);
		return;
	}
	memset(b, 0, len);
	put16(b, len - 2);
	if (p[7] == 0) {
		b[4] = 0x01;			/* DVD-ROM, version 1 */
		b[5] = 0x0F;			/* 120 mm; maximum rate not specified */
		b[6] = 0x01;			/* one layer, read-only */
		put32(b + 8, 0x030000);		/* the first sector of the data area, and the last one */
		put32(b + 12, 0x030000 + disc_sectors(ch->active) - 1);
	}
	reply(ch, len, get16(p + 8));
}

static void mechanism_status(struct ide_channel *ch, const uint8_t *p)
{
	memset(ch->buf, 0, 8);
	ch->buf[1] = ch->active->tray_open ? 0x10 : 0;
	reply(ch, 8, get16(p + 8));
}

static void read_subchannel(struct ide_channel *ch, const uint8_t *p)
{
	memset(ch->buf, 0, 4);
	ch->buf[1] = 0x15;			/* no audio status */
	reply(ch, 4, get16(p + 7));
}

static bool needs_disc(uint8_t opcode)
{
	switch (opcode) {
	case 0x00: case 0x25: case 0x28: case 0x2B: case 0x42: case 0x43: case 0x51: case 0x52:
	case 0xA8: case 0xAD: case 0xB9: case 0xBE:
		return true;
	default:
		return false;
	}
}

static void carry_out(struct ide_channel *ch)
{
	const uint8_t *p = ch->packet_bytes;

	switch (p[0]) {
	case 0x00: packet_good(ch); break;		/* TEST UNIT READY */
	case 0x03: request_sense(ch, p); break;
	case 0x12: inquiry(ch, p); break;
	case 0x1B: start_stop(ch, p); break;
	case 0x1E: prevent_allow(ch, p); break;
	case 0x25: read_capacity(ch); break;
	case 0x28: read_sectors(ch, get32(p + 2), get16(p + 7)); break;
	case 0x2B:					/* SEEK */
		if (get32(p + 2) >= disc_sectors(ch->active))
			packet_fail(ch, SENSE_BAD_ADDRESS);
		else
			packet_good(ch);
		break;
	case 0x42: read_subchannel(ch, p); break;
	case 0x43: read_toc(ch, p); break;
	case 0x46: get_configuration(ch, p); break;
	case 0x4A: get_event_status(ch, p); break;
	case 0x51: read_disc_information(ch, p); break;
	case 0x52: read_track_information(ch, p); break;
	case 0x5A: mode_sense(ch, p); break;
	case 0xA8: read_sectors(ch, get32(p + 2), get32(p + 6)); break;
	case 0xAD: read_dvd_structure(ch, p); break;
	case 0xBB: packet_good(ch); break;		/* SET CD SPEED */
	case 0xBD: mechanism_status(ch, p); break;
	case 0xB9: read_cd_msf(ch, p); break;
	case 0xBE: read_cd(ch, p, get32(p + 2), (uint32_t)p[6] << 16 | get16(p + 7)); break;
	default: packet_fail(ch, SENSE_BAD_COMMAND); break;
	}
}

/* The packet is complete. Some commands are exempt from the report of a changed disc. [SPC-2 "Unit attention"] */
static void packet_moved(struct ide_channel *ch)
{
	struct ide_drive *d = ch->active;
	uint8_t opcode = ch->buf[0];

	memcpy(ch->packet_bytes, ch->buf, sizeof(ch->packet_bytes));
	ch->left = 0;
	ch->cd_parts = PART_DATA;
	if (d->unit_attention && opcode != 0x03 && opcode != 0x12 && opcode != 0x46 && opcode != 0x4A) {
		d->unit_attention = false;
		packet_fail(ch, SENSE_NEW_DISC);
	} else if (needs_disc(opcode) && !disc_present(d)) {
		packet_fail(ch, d->tray_open ? SENSE_TRAY_OPEN : SENSE_NO_DISC);
	} else if (needs_disc(opcode) && disc_sectors(d) == 0) {
		packet_fail(ch, SENSE_NO_DISC);
	} else {
		carry_out(ch);
	}
}

void atapi_command(struct ide_channel *ch)
{
	struct ide_taskfile *tf = &ch->active->tf;

	if (tf->feature[0] & 2) {		/* overlapped */
		ide_abort(ch);
		return;
	}
	ch->packet = true;
	ch->dma = tf->feature[0] & 1;
	ch->write = false;
	ch->byte_limit = tf->lba_mid[0] | tf->lba_high[0] << 8;
	if (ch->byte_limit == 0 || ch->byte_limit == 0xFFFF)
		ch->byte_limit = 0xFFFE;
	else if (ch->byte_limit > 1)
		ch->byte_limit &= ~1u;		/* odd counts only in the last block */
	tf->count[0] = REASON_COMMAND;
	ide_pio(ch, IDE_PIO_OUT, 0, 12, packet_moved, false);
}

void atapi_identify(struct ide_channel *ch)
{
	const struct ide_drive *d = ch->active;
	uint8_t *id = ch->buf;
	unsigned kind = d->transfer_mode >> 3, n = d->transfer_mode & 7;
	struct { unsigned word; uint16_t val; } words[] = {
		{ 0, 0x85C0 },			/* ATAPI CD-ROM, removable, 12-byte packets, DRQ in 50 us */
		{ 48, 1 }, { 49, 0x0B00 },	/* DMA, LBA, IORDY */
		{ 51, 0x0200 }, { 53, 7 },
		{ 63, 0x0007 | (kind == 4 ? 1u << (8 + n) : 0) }, { 64, 3 },
		{ 65, 120 }, { 66, 120 }, { 67, 120 }, { 68, 120 },
		{ 80, 0x0070 }, { 82, 0x0010 }, { 83, 0x4000 }, { 84, 0x4000 },
		{ 85, 0x0010 }, { 87, 0x4000 },
		{ 88, 0x003F | (kind == 8 ? 1u << (8 + n) : 0) }, { 93, 0x6001 },
	};

	memset(id, 0, 512);
	for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
		id[2 * words[i].word] = words[i].val;
		id[2 * words[i].word + 1] = words[i].val >> 8;
	}
	ide_identify_string(id + 2 * 10, d->serial, 20);
	ide_identify_string(id + 2 * 23, "1.0", 8);
	ide_identify_string(id + 2 * 27, d->model, 40);
}
