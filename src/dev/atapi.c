/*
 * CD-ROM: packet commands over IDE.		[ATA/ATAPI-6 "PACKET"], [SFF-8020i], [MMC-3], [SPC-2]
 *
 * One data track of 2048-byte sectors. The tray opens and closes; a disc that was changed is
 * reported by UNIT ATTENTION once, and by GET EVENT STATUS NOTIFICATION.
 * What is longer than a CD can be is a DVD-ROM.
 * Left out: audio, subchannels, writing: such commands end in ILLEGAL REQUEST.
 *
 * Here packets arrive, end, change the drive and move sectors; atapi_info.c answers those that only ask.
 */
#include <string.h>

#include "dev/atapi_internal.h"

enum { REASON_COMMAND = BIT(0), REASON_IN = BIT(1) };	/* interrupt reason, in the count register */

/* --- how a packet ends --- */

void atapi_good(struct ide_channel *ch)
{
	struct ide_drive *d = ch->active;

	d->sense = SENSE_OK;
	d->tf.count[0] = REASON_COMMAND | REASON_IN;
	ide_end(ch, 0, 0);
}

void atapi_fail(struct ide_channel *ch, struct atapi_sense sense)
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
		atapi_good(ch);
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
	atapi_good(ch);
}

/* Sector i of the chunk in buf becomes what was asked for. */
static void take_parts(struct ide_channel *ch, uint32_t i, uint32_t each)
{
	uint8_t raw[CD_RAW_SECTOR], data[CD_SECTOR];

	memcpy(data, ch->buf + i * CD_SECTOR, CD_SECTOR);
	cd_sector(raw, (uint32_t)ch->lba + i, data);
	cd_copy_parts(ch->buf + i * each, raw, ch->cd_parts);
}

/* Larger ones from the last on, so that none is overwritten before its turn. */
static uint32_t make_parts(struct ide_channel *ch)
{
	uint32_t each = cd_parts_bytes(ch->cd_parts);

	if (ch->cd_parts == CD_DATA)
		return each;
	for (uint32_t i = 0; i < ch->chunk; i++)
		take_parts(ch, each > CD_SECTOR ? ch->chunk - 1 - i : i, each);
	return each;
}

static void read_done(struct ide_channel *ch, int error)
{
	if (error) {
		atapi_fail(ch, SENSE_READ_ERROR);
		return;
	}
	ch->filled = ch->chunk * make_parts(ch);
	ch->lba += ch->chunk;
	ch->left -= ch->chunk;
	offer(ch);
}

static void read_next(struct ide_channel *ch)
{
	if (!atapi_disc_present(ch->active)) {	/* taken out in the middle */
		atapi_fail(ch, SENSE_NO_DISC);
		return;
	}
	if (ch->lba + ch->left > atapi_disc_sectors(ch->active)) {
		atapi_fail(ch, SENSE_BAD_ADDRESS);
		return;
	}
	ch->chunk = MIN(ch->left, IDE_BUF_BYTES / MAX(CD_SECTOR, cd_parts_bytes(ch->cd_parts)));
	ide_submit(ch, DISK_READ, ch->lba * CD_SECTOR, ch->chunk * CD_SECTOR, ch->buf, read_done);
}

static void read_sectors(struct ide_channel *ch, uint32_t lba, uint32_t count)
{
	uint32_t size = atapi_disc_sectors(ch->active);

	if (lba > size || count > size - lba) {
		atapi_fail(ch, SENSE_BAD_ADDRESS);
		return;
	}
	if (count == 0) {
		atapi_good(ch);
		return;
	}
	ch->lba = lba;
	ch->left = count;
	read_next(ch);
}

void atapi_reply(struct ide_channel *ch, uint32_t len, uint32_t alloc)
{
	ch->left = 0;
	ch->filled = MIN(len, alloc);
	if (ch->filled == 0)
		atapi_good(ch);
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
	atapi_reply(ch, 18, p[4]);		/* its end clears the sense */
}

static void start_stop(struct ide_channel *ch, const uint8_t *p)
{
	struct ide_drive *d = ch->active;
	bool start = p[4] & 1, load_eject = p[4] & 2;

	if (load_eject) {
		if (!start && d->locked) {
			atapi_fail(ch, SENSE_LOCKED);
			return;
		}
		if (d->tray_open && start && d->disk != NULL) {
			d->unit_attention = true;
			d->media_event = 2;
		}
		d->tray_open = !start;
		ide_tell_tray(ch, d == &ch->drive[1]);
	}
	atapi_good(ch);
}

static void prevent_allow(struct ide_channel *ch, const uint8_t *p)
{
	struct ide_drive *d = ch->active;

	d->locked = p[4] & 1;
	ide_tell_tray(ch, d == &ch->drive[1]);
	atapi_good(ch);
}

static void read_cd(struct ide_channel *ch, const uint8_t *p, uint32_t lba, uint32_t count)
{
	unsigned type = p[1] >> 2 & 7;		/* 0 any, 2 mode 1 */

	if (type != 0 && type != 2) {
		atapi_fail(ch, SENSE_BAD_MODE);
	} else if (p[9] & 0x06 || p[10] & 7) {	/* error flags, subchannels */
		atapi_fail(ch, SENSE_BAD_FIELD);
	} else {
		ch->cd_parts = p[9] & (CD_SYNC | CD_HEADER | CD_DATA | CD_EDC);
		read_sectors(ch, lba, cd_parts_bytes(ch->cd_parts) ? count : 0);
	}
}

/* READ CD MSF: from one time on the disc up to another. */
static void read_cd_msf(struct ide_channel *ch, const uint8_t *p)
{
	uint32_t from = (p[3] * 60u + p[4]) * 75 + p[5], to = (p[6] * 60u + p[7]) * 75 + p[8];

	if (from < 150 || to < from)
		atapi_fail(ch, SENSE_BAD_FIELD);
	else
		read_cd(ch, p, from - 150, to - from);
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
	case 0x00: atapi_good(ch); break;		/* TEST UNIT READY */
	case 0x03: request_sense(ch, p); break;
	case 0x12: atapi_inquiry(ch, p); break;
	case 0x1B: start_stop(ch, p); break;
	case 0x1E: prevent_allow(ch, p); break;
	case 0x25: atapi_read_capacity(ch); break;
	case 0x28: read_sectors(ch, be32(p + 2), be16(p + 7)); break;
	case 0x2B:					/* SEEK */
		if (be32(p + 2) >= atapi_disc_sectors(ch->active))
			atapi_fail(ch, SENSE_BAD_ADDRESS);
		else
			atapi_good(ch);
		break;
	case 0x42: atapi_read_subchannel(ch, p); break;
	case 0x43: atapi_read_toc(ch, p); break;
	case 0x46: atapi_get_configuration(ch, p); break;
	case 0x4A: atapi_get_event_status(ch, p); break;
	case 0x51: atapi_read_disc_information(ch, p); break;
	case 0x52: atapi_read_track_information(ch, p); break;
	case 0x5A: atapi_mode_sense(ch, p); break;
	case 0xA8: read_sectors(ch, be32(p + 2), be32(p + 6)); break;
	case 0xAD: atapi_read_dvd_structure(ch, p); break;
	case 0xBB: atapi_good(ch); break;		/* SET CD SPEED */
	case 0xBD: atapi_mechanism_status(ch, p); break;
	case 0xB9: read_cd_msf(ch, p); break;
	case 0xBE: read_cd(ch, p, be32(p + 2), (uint32_t)p[6] << 16 | be16(p + 7)); break;
	default: atapi_fail(ch, SENSE_BAD_COMMAND); break;
	}
}

/* The packet is complete. Some commands are exempt from the report of a changed disc. [SPC-2 "Unit attention"] */
static void packet_moved(struct ide_channel *ch)
{
	struct ide_drive *d = ch->active;
	uint8_t opcode = ch->buf[0];

	memcpy(ch->packet_bytes, ch->buf, sizeof(ch->packet_bytes));
	ch->left = 0;
	ch->cd_parts = CD_DATA;
	if (d->unit_attention && opcode != 0x03 && opcode != 0x12 && opcode != 0x46 && opcode != 0x4A) {
		d->unit_attention = false;
		atapi_fail(ch, SENSE_NEW_DISC);
	} else if (needs_disc(opcode) && !atapi_disc_present(d)) {
		atapi_fail(ch, d->tray_open ? SENSE_TRAY_OPEN : SENSE_NO_DISC);
	} else if (needs_disc(opcode) && atapi_disc_sectors(d) == 0) {
		atapi_fail(ch, SENSE_NO_DISC);
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
