/*
 * Hard disk commands.						[ATA/ATAPI-6 "Command descriptions"]
 *
 * Data moves in chunks of up to 256 sectors between medium and buffer, and from there in DRQ blocks
 * (PIO) or through the bus master. When a chunk fails it is tried again in halves, so that the
 * sector reported is the one that fails and all before it have been moved.
 * A full host disk (ENOSPC) is a device fault: the sector is good, the device cannot write.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "dev/ide.h"

void ide_set16(uint8_t *p, uint16_t val)
{
	p[0] = val;
	p[1] = val >> 8;
}

/* IDENTIFY's strings have the bytes of each word swapped, and are padded with blanks. */
void ide_identify_string(uint8_t *out, const char *text, unsigned len)
{
	size_t n = strlen(text);

	for (unsigned i = 0; i < len; i++)
		out[i ^ 1] = i < n ? text[i] : ' ';
}

static uint64_t disk_sectors(const struct ide_drive *d)
{
	return d->disk->size_bytes / IDE_SECTOR;
}

/* The word of the mode in force has its bit set in the high byte. */
void ide_identify_modes(uint8_t *id, const struct ide_drive *d)
{
	unsigned kind = d->transfer_mode >> 3, n = d->transfer_mode & 7;

	ide_set16(id + 2 * 63, 0x0007 | (kind == 4 ? 1u << (8 + n) : 0));
	ide_set16(id + 2 * 88, 0x003F | (kind == 8 ? 1u << (8 + n) : 0));
}

static void identify(struct ide_channel *ch)
{
	const struct ide_drive *d = ch->active;
	uint64_t sectors = disk_sectors(d);
	uint32_t lba28 = sectors > 0x0FFFFFFF ? 0x0FFFFFFF : sectors;
	unsigned cylinders, heads, spt;
	uint8_t *id = ch->buf;

	ide_geometry(d->disk->size_bytes, &cylinders, &heads, &spt);
	memset(id, 0, 512);
	ide_set16(id + 2 * 0, 0x0040);			/* fixed disk */
	ide_set16(id + 2 * 1, cylinders);
	ide_set16(id + 2 * 3, heads);
	ide_set16(id + 2 * 6, spt);
	ide_identify_string(id + 2 * 10, d->serial, 20);
	ide_identify_string(id + 2 * 23, "1.0", 8);
	ide_identify_string(id + 2 * 27, d->model, 40);
	ide_set16(id + 2 * 47, 0x8000 | IDE_MULTIPLE_MAX);
	ide_set16(id + 2 * 48, 1);				/* 32-bit data port */
	ide_set16(id + 2 * 49, 0x0F00);			/* IORDY, LBA, DMA */
	ide_set16(id + 2 * 50, 0x4000);
	ide_set16(id + 2 * 51, 0x0200);
	ide_set16(id + 2 * 52, 0x0200);
	ide_set16(id + 2 * 53, 7);				/* words 54-58, 64-70, 88 are valid */
	uint32_t now_cylinders = d->heads == heads && d->sectors == spt ? cylinders : MIN(lba28 / (d->heads * d->sectors), 65535u);
	uint32_t now_sectors = now_cylinders * d->heads * d->sectors;
	ide_set16(id + 2 * 54, now_cylinders);
	ide_set16(id + 2 * 55, d->heads);
	ide_set16(id + 2 * 56, d->sectors);
	ide_set16(id + 2 * 57, now_sectors);
	ide_set16(id + 2 * 58, now_sectors >> 16);
	ide_set16(id + 2 * 59, d->multiple ? 0x0100 | d->multiple : 0);
	ide_set16(id + 2 * 60, lba28);
	ide_set16(id + 2 * 61, lba28 >> 16);
	ide_identify_modes(id, d);
	ide_set16(id + 2 * 64, 3);				/* PIO modes 3, 4 */
	for (unsigned w = 65; w <= 68; w++)
		ide_set16(id + 2 * w, 120);			/* cycle times, ns */
	ide_set16(id + 2 * 80, 0x0070);			/* ATA-4 to ATA-6 */
	/* NOP, look-ahead, write cache, power management, SMART */
	ide_set16(id + 2 * 82, 0x4069);
	ide_set16(id + 2 * 83, 0x7400);			/* FLUSH CACHE, FLUSH CACHE EXT, LBA48 */
	ide_set16(id + 2 * 84, 0x4003);			/* SMART self-test, error logging */
	ide_set16(id + 2 * 85, 0x4008 | (d->look_ahead ? 0x40 : 0) | (d->write_cache ? 0x20 : 0) | d->smart);
	ide_set16(id + 2 * 86, 0x3400);
	ide_set16(id + 2 * 87, 0x4003);
	ide_set16(id + 2 * 93, 0x6001);			/* reset result: 80-conductor cable */
	for (unsigned w = 0; w < 4; w++)
		ide_set16(id + 2 * (100 + w), sectors >> 16 * w);
	id[2 * 255] = 0xA5;				/* integrity word */
	ide_end_of_page(id);
}

static void done_ok(struct ide_channel *ch)
{
	ide_end(ch, 0, 0);
}

/* After the last byte of a PIO-in transfer no interrupt comes: the host has all it waits for. */
void ide_done_quietly(struct ide_channel *ch)
{
	ch->active->tf.status = IDE_DRDY | IDE_DSC;
	ch->active = NULL;
}

/* --- addresses --- */

static bool read_address(struct ide_channel *ch)
{
	const struct ide_drive *d = ch->active;
	const struct ide_taskfile *tf = &d->tf;
	uint32_t low = tf->lba_low[0] | tf->lba_mid[0] << 8 | (uint32_t)tf->lba_high[0] << 16;

	if (ch->lba48) {
		ch->lba = low | (uint64_t)tf->lba_low[1] << 24 | (uint64_t)tf->lba_mid[1] << 32 |
		    (uint64_t)tf->lba_high[1] << 40;
		ch->left = tf->count[0] | tf->count[1] << 8;
		if (ch->left == 0)
			ch->left = 65536;
		return ch->device & 0x40;	/* there is no CHS form of these */
	}
	ch->left = tf->count[0] ? tf->count[0] : 256;
	if (ch->device & 0x40) {
		ch->lba = low | (uint32_t)(ch->device & 15) << 24;
		return true;
	}
	unsigned sector = tf->lba_low[0], head = ch->device & 15;
	if (sector == 0 || sector > d->sectors || head >= d->heads)
		return false;
	ch->lba = ((uint64_t)(low >> 8) * d->heads + head) * d->sectors + sector - 1;
	return true;
}

static void write_address(struct ide_channel *ch, uint64_t lba)
{
	struct ide_drive *d = ch->active;
	struct ide_taskfile *tf = &d->tf;

	if (ch->lba48) {
		tf->lba_low[1] = lba >> 24;
		tf->lba_mid[1] = lba >> 32;
		tf->lba_high[1] = lba >> 40;
	} else if (ch->device & 0x40) {
		ch->device = (ch->device & 0xF0) | (lba >> 24 & 15);
	} else {
		uint32_t cylinder = lba / d->sectors / d->heads;
		ch->device = (ch->device & 0xF0) | (lba / d->sectors % d->heads);
		lba = (lba % d->sectors + 1) | cylinder << 8;
	}
	tf->lba_low[0] = lba;
	tf->lba_mid[0] = lba >> 8;
	tf->lba_high[0] = lba >> 16;
}

static void io_error(struct ide_channel *ch, int error)
{
	write_address(ch, ch->lba);
	ch->active->tf.count[0] = ch->left;
	ch->active->tf.count[1] = ch->left >> 8;
	if (ch->dma)
		ch->bm_status |= BIT(1);
	if (!ch->write)
		ide_end(ch, IDE_UNC, 0);
	else
		ide_end(ch, IDE_ABRT, IDE_DF);
}

/* A chunk failed. True: it will be tried in smaller pieces. */
static bool split(struct ide_channel *ch)
{
	if (ch->chunk <= 1)
		return false;
	ch->chunk_limit = ch->chunk / 2;
	return true;
}

static void chunk_good(struct ide_channel *ch)
{
	ch->lba += ch->chunk;
	ch->left -= ch->chunk;
	ch->chunk_limit = MIN(ch->chunk_limit * 2, IDE_CHUNK_SECTORS);
}

static void transfer_over(struct ide_channel *ch)
{
	write_address(ch, ch->lba - 1);
	ch->active->tf.count[0] = ch->active->tf.count[1] = 0;
}

/* --- PIO --- */

static void pio_read_next(struct ide_channel *ch);

static void pio_read_moved(struct ide_channel *ch)
{
	if (ch->end < ch->filled) {
		uint32_t n = MIN(ch->filled - ch->end, ch->block * IDE_SECTOR);
		ide_pio(ch, IDE_PIO_IN, ch->end, n, pio_read_moved, true);
	} else if (ch->left > 0) {
		pio_read_next(ch);
	} else {
		transfer_over(ch);
		ide_done_quietly(ch);
	}
}

static void pio_read_done(struct ide_channel *ch, int error)
{
	if (error && !split(ch)) {
		io_error(ch, error);
		return;
	}
	if (error) {
		pio_read_next(ch);
		return;
	}
	ch->filled = ch->chunk * IDE_SECTOR;
	chunk_good(ch);
	ide_pio(ch, IDE_PIO_IN, 0, MIN(ch->filled, ch->block * IDE_SECTOR), pio_read_moved, true);
}

/* What there is comes before the error: boot loaders ask short images for more, and go on with what they got. */
static void pio_read_next(struct ide_channel *ch)
{
	uint64_t there = disk_sectors(ch->active) - ch->lba;

	if (ch->left > there)
		there -= there % ch->block;
	if (there == 0) {
		write_address(ch, ch->lba);
		ch->active->tf.count[0] = ch->left;
		ch->active->tf.count[1] = ch->left >> 8;
		ide_end(ch, IDE_IDNF, 0);
		return;
	}
	ch->chunk = MIN(MIN(ch->left, there), ch->chunk_limit);
	if (ch->chunk > ch->block)		/* whole blocks, so that only the last is short */
		ch->chunk -= ch->chunk % ch->block;
	ide_submit(ch, DISK_READ, ch->lba * IDE_SECTOR, ch->chunk * IDE_SECTOR, ch->buf, pio_read_done);
}

static void flushed(struct ide_channel *ch, int error)
{
	if (error)
		io_error(ch, error);
	else
		done_ok(ch);
}

/* With the write cache off a write is not over before it is on stable storage. */
static void write_over(struct ide_channel *ch)
{
	transfer_over(ch);
	if (ch->active->write_cache)
		done_ok(ch);
	else
		ide_submit(ch, DISK_FLUSH, 0, 0, NULL, flushed);
}

static void dma_next(struct ide_channel *ch);
static void pio_write_moved(struct ide_channel *ch);
static void write_part(struct ide_channel *ch);

static void write_part_done(struct ide_channel *ch, int error)
{
	if (error) {
		if (split(ch))
			write_part(ch);
		else
			io_error(ch, error);
		return;
	}
	ch->pos += ch->chunk * IDE_SECTOR;
	chunk_good(ch);
	if (ch->pos < ch->filled) {
		write_part(ch);
	} else if (ch->dma) {
		dma_next(ch);
	} else if (ch->left == 0) {
		write_over(ch);
	} else {
		uint32_t n = MIN(ch->left, ch->block) * IDE_SECTOR;
		ide_pio(ch, IDE_PIO_OUT, 0, n, pio_write_moved, true);
	}
}

/* Bring buf[pos, filled) to the medium. */
static void write_part(struct ide_channel *ch)
{
	ch->chunk = MIN((ch->filled - ch->pos) / IDE_SECTOR, ch->chunk_limit);
	ide_submit(ch, DISK_WRITE, ch->lba * IDE_SECTOR, ch->chunk * IDE_SECTOR, ch->buf + ch->pos,
	    write_part_done);
}

static void write_filled(struct ide_channel *ch, uint32_t len)
{
	ch->pos = 0;
	ch->filled = len;
	ch->chunk_limit = IDE_CHUNK_SECTORS;
	write_part(ch);
}

static void pio_write_moved(struct ide_channel *ch)
{
	write_filled(ch, ch->end);
}

/* --- DMA --- */

static void dma_next(struct ide_channel *ch)
{
	if (ch->left > 0) {
		ide_dma_wait(ch);
		return;
	}
	ide_dma_finish(ch);
	if (ch->write) {
		write_over(ch);
	} else {
		transfer_over(ch);
		done_ok(ch);
	}
}

static void dma_read_done(struct ide_channel *ch, int error)
{
	uint32_t len = ch->chunk * IDE_SECTOR;

	if (error) {
		if (split(ch))
			ide_dma_wait(ch);
		else
			io_error(ch, error);
		return;
	}
	if (!(ch->bm_status & 1) || ide_dma_move(ch, ch->buf, len, true) < len) {
		ide_dma_wait(ch);		/* stopped, or its table too short */
		return;
	}
	chunk_good(ch);
	dma_next(ch);
}

void ide_disk_dma(struct ide_channel *ch)
{
	if (ch->write) {
		uint32_t len = MIN(ch->left, IDE_CHUNK_SECTORS) * IDE_SECTOR;
		if (ide_dma_move(ch, ch->buf, len, false) == len)
			write_filled(ch, len);
		return;
	}
	ch->chunk = MIN(ch->left, ch->chunk_limit);
	ide_submit(ch, DISK_READ, ch->lba * IDE_SECTOR, ch->chunk * IDE_SECTOR, ch->buf, dma_read_done);
}

/* --- commands --- */

static bool in_range(struct ide_channel *ch)
{
	uint64_t sectors = disk_sectors(ch->active);

	return ch->lba < sectors && ch->left <= sectors - ch->lba;
}

enum { F_WRITE = 1, F_DMA = 2, F_EXT = 4, F_MULTIPLE = 8, F_VERIFY = 16 };

static void transfer(struct ide_channel *ch, unsigned flags)
{
	ch->lba48 = flags & F_EXT;
	ch->dma = flags & F_DMA;
	ch->write = flags & F_WRITE;
	ch->chunk_limit = IDE_CHUNK_SECTORS;
	ch->block = flags & F_MULTIPLE ? ch->active->multiple : 1;
	if (ch->block == 0 || (ch->write && ch->active->disk->read_only)) {
		ide_abort(ch);
		return;
	}
	bool pio_in = !(flags & (F_WRITE | F_DMA | F_VERIFY));
	if (!read_address(ch) || ch->lba >= disk_sectors(ch->active) || (!pio_in && !in_range(ch))) {
		ide_end(ch, IDE_IDNF, 0);
		return;
	}
	if (flags & F_VERIFY) {
		transfer_over(ch);
		done_ok(ch);
	} else if (ch->dma) {
		ide_dma_wait(ch);
	} else if (ch->write) {
		ide_pio(ch, IDE_PIO_OUT, 0, MIN(ch->left, ch->block) * IDE_SECTOR, pio_write_moved, false);
	} else {
		pio_read_next(ch);
	}
}

static void set_features(struct ide_channel *ch)
{
	struct ide_drive *d = ch->active;

	switch (d->tf.feature[0]) {
	case 0x02: case 0x82:
		d->write_cache = d->tf.feature[0] == 0x02;
		break;
	case 0x03: {
		unsigned kind = d->tf.count[0] >> 3, n = d->tf.count[0] & 7;
		/* PIO default, PIO with IORDY, multiword DMA 0-2, Ultra DMA 0-5 */
		if (!(kind == 0 || (kind == 1 && n <= 4) || (kind == 4 && n <= 2) || (kind == 8 && n <= 5))) {
			ide_abort(ch);
			return;
		}
		if (kind >= 4)
			d->transfer_mode = d->tf.count[0];
		break;
	}
	case 0x55: case 0xAA:			/* the host reads ahead, or does not */
		d->look_ahead = d->tf.feature[0] == 0xAA;
		break;
	case 0x66: case 0xCC:			/* keep or revert settings at soft reset */
		break;
	default:
		ide_abort(ch);
		return;
	}
	done_ok(ch);
}

static void flush_cache(struct ide_channel *ch)
{
	ch->write = true;
	ch->dma = false;
	ch->left = 0;
	ch->lba = 0;
	ide_submit(ch, DISK_FLUSH, 0, 0, NULL, flushed);
}

static void set_multiple(struct ide_channel *ch)
{
	uint8_t n = ch->active->tf.count[0];

	if (n > IDE_MULTIPLE_MAX || (n & (n - 1)) != 0) {
		ide_abort(ch);
		return;
	}
	ch->active->multiple = n;
	done_ok(ch);
}

static void set_translation(struct ide_channel *ch)
{
	struct ide_drive *d = ch->active;

	if (d->tf.count[0] == 0) {
		ide_abort(ch);
		return;
	}
	d->sectors = d->tf.count[0];
	d->heads = (ch->device & 15) + 1;
	done_ok(ch);
}

/* Commands that move no data. */
static bool plain_command(struct ide_channel *ch)
{
	switch (ch->command) {
	/* STANDBY, IDLE, SLEEP, and their old numbers. The next access to the medium ends it. */
	case 0x94: case 0x96: case 0x99: case 0xE0: case 0xE2: case 0xE6:
	case 0x95: case 0x97: case 0xE1: case 0xE3:
		ch->active->standby = !(ch->command & 1) || ch->command == 0x99;
		done_ok(ch);
		return true;
	case 0x98: case 0xE5:			/* CHECK POWER MODE: standby, or active or idle */
		ch->active->tf.count[0] = ch->active->standby ? 0x00 : 0xFF;
		done_ok(ch);
		return true;
	case 0xEF:
		set_features(ch);
		return true;
	default:
		return false;
	}
}

static void disk_command(struct ide_channel *ch)
{
	switch (ch->command) {
	case 0x20: case 0x21: transfer(ch, 0); break;
	case 0x24: transfer(ch, F_EXT); break;
	case 0x29: transfer(ch, F_EXT | F_MULTIPLE); break;
	case 0xC4: transfer(ch, F_MULTIPLE); break;
	case 0xC8: case 0xC9: transfer(ch, F_DMA); break;
	case 0x25: transfer(ch, F_DMA | F_EXT); break;
	case 0x30: case 0x31: case 0x3C: transfer(ch, F_WRITE); break;
	case 0x34: transfer(ch, F_WRITE | F_EXT); break;
	case 0x39: transfer(ch, F_WRITE | F_EXT | F_MULTIPLE); break;
	case 0xC5: transfer(ch, F_WRITE | F_MULTIPLE); break;
	case 0xCA: case 0xCB: transfer(ch, F_WRITE | F_DMA); break;
	case 0x35: transfer(ch, F_WRITE | F_DMA | F_EXT); break;
	case 0x40: case 0x41: transfer(ch, F_VERIFY); break;
	case 0x42: transfer(ch, F_VERIFY | F_EXT); break;
	case 0xE7: case 0xEA: flush_cache(ch); break;
	case 0xC6: set_multiple(ch); break;
	case 0x91: set_translation(ch); break;
	case 0xB0: ide_smart_command(ch); break;
	case 0xEC:
		identify(ch);
		ide_pio(ch, IDE_PIO_IN, 0, 512, ide_done_quietly, true);
		break;
	default:
		if ((ch->command & 0xF0) == 0x10 || (ch->command & 0xF0) == 0x70)
			done_ok(ch);		/* RECALIBRATE, SEEK */
		else
			ide_abort(ch);		/* NOP is to end so, too */
	}
}

void ide_disk_command(struct ide_channel *ch)
{
	if (plain_command(ch))
		return;
	if (ch->active->kind == IDE_DISK) {
		disk_command(ch);
		return;
	}
	switch (ch->command) {
	case 0xA0:
		atapi_command(ch);
		break;
	case 0xA1:
		atapi_identify(ch);
		ide_pio(ch, IDE_PIO_IN, 0, 512, ide_done_quietly, true);
		break;
	case 0xE7: case 0xEA:
		done_ok(ch);
		break;
	case 0xEC: case 0x20: case 0x21:	/* not for a packet device: it shows its signature */
		ide_signature(ch->active);
		/* fall through */
	default:
		ide_abort(ch);
	}
}
