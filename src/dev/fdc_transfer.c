/*
 * Floppy disk controller: sectors between disk and memory, and the tracks that are formatted.
 *						[82077AA "Data Transfer Commands"]
 *
 * A sector at a time is in buf: read from the disk and handed to the DMA channel or the FIFO, or collected there and written.
 * Every command ends in fdc_transfer_result(), with the seven bytes.
 */
#include <string.h>

#include "dev/fdc_internal.h"

/* The seven bytes after a transfer. */
void fdc_transfer_result(struct fdc *fdc, uint8_t st0)
{
	fdc->fifo[0] = st0 | (fdc->h & 1) << 2 | fdc->unit;
	fdc->fifo[1] = fdc->st1;
	fdc->fifo[2] = fdc->st2;
	fdc->fifo[3] = fdc->c;
	fdc->fifo[4] = fdc->h;
	fdc->fifo[5] = fdc->r;
	fdc->fifo[6] = fdc->n;
	fdc_result(fdc, 7);
	fdc_set_irq(fdc, true);
}

void fdc_transfer_fail(struct fdc *fdc, uint8_t st1, uint8_t st2)
{
	fdc->st1 |= st1;
	fdc->st2 |= st2;
	fdc_transfer_result(fdc, ST0_ABNORMAL);
}

/* --- data transfer --- */

static bool writes(const struct fdc *fdc)
{
	return (fdc->command & 0x1F) == 0x05 || (fdc->command & 0x1F) == 0x09 || fdc->command == 0x4D ||
	    fdc->command == 0x0D;
}

static uint64_t disk_offset(const struct fdc_drive *d, unsigned c, unsigned h, unsigned r)
{
	return ((uint64_t)(c * d->format->heads + h) * d->format->sectors + r - 1) * FDC_SECTOR;
}

/* The result's C, H, R, N: the sector after the last one moved.	[82077AA "C, H, R, N Result Table"] */
static bool advance(struct fdc *fdc)
{
	if (fdc->r != fdc->eot) {
		fdc->r++;
		return true;
	}
	fdc->r = 1;
	if (fdc->multi_track && !(fdc->h & 1)) {
		fdc->h |= 1;
		return true;
	}
	if (fdc->multi_track)
		fdc->h &= ~1;
	fdc->c++;
	return false;
}

static void next_sector(struct fdc *fdc);

/* A request came back. False: its command has ended, by an error or by a reset in between. */
static bool goes_on(struct disk_request *req)
{
	struct fdc *fdc = req->arg;

	fdc->pending = false;
	if (fdc->phase != FDC_EXECUTE)
		return false;
	if (req->error)
		fdc_transfer_fail(fdc, ST1_CRC, ST2_CRC);
	return !req->error;
}

static void flush_done(struct disk_request *req)
{
	struct fdc *fdc = req->arg;

	if (goes_on(req))
		fdc_transfer_result(fdc, fdc->tc ? 0 : ST0_ABNORMAL);
}

static void submit(struct fdc *fdc, enum disk_op op, uint64_t offset, void (*done)(struct disk_request *req))
{
	struct disk *disk = fdc->drive[fdc->unit].disk;

	fdc->phase = FDC_EXECUTE;
	fdc->pending = true;
	fdc->req = (struct disk_request){ .op = op, .offset = offset, .len = op == DISK_FLUSH ? 0 : FDC_SECTOR,
	    .buf = fdc->buf, .done = done, .arg = fdc };
	disk->submit(disk, &fdc->req);
}

/* All sectors are moved: by TC, or by the end of the track, which without TC is an error. */
static void transfer_over(struct fdc *fdc)
{
	if (!fdc->tc)
		fdc->st1 |= ST1_END;
	if (writes(fdc))
		submit(fdc, DISK_FLUSH, 0, flush_done);	/* a floppy has no cache */
	else
		fdc_transfer_result(fdc, fdc->tc ? 0 : ST0_ABNORMAL);
}

void fdc_sector_moved(struct fdc *fdc)
{
	bool more = advance(fdc);

	if (fdc->st2 & ST2_CONTROL_MARK)
		fdc_transfer_result(fdc, fdc->tc ? 0 : ST0_ABNORMAL);
	else if (fdc->tc || !more)
		transfer_over(fdc);
	else
		next_sector(fdc);
}

/* buf holds a sector just read: hand it to memory or to the CPU. */
static void deliver(struct fdc *fdc)
{
	if (fdc->non_dma) {
		fdc->buf_at = 0;
		fdc->phase = FDC_PIO_READ;
		fdc_set_irq(fdc, true);
		return;
	}
	size_t n = fdc->host.dma(fdc->host.arg, fdc->buf, FDC_SECTOR, &fdc->tc);
	if (n < FDC_SECTOR && !fdc->tc)
		fdc_transfer_fail(fdc, ST1_OVERRUN, 0);	/* nobody serves the channel */
	else
		fdc_sector_moved(fdc);
}

static void read_done(struct disk_request *req)
{
	if (goes_on(req))
		deliver(req->arg);
}

static void write_done(struct disk_request *req)
{
	if (goes_on(req))
		fdc_sector_moved(req->arg);
}

/* buf holds what is to be written to the current sector. */
static void put_sector(struct fdc *fdc, void (*done)(struct disk_request *req))
{
	struct fdc_drive *d = &fdc->drive[fdc->unit];
	uint64_t offset = disk_offset(d, fdc->c, fdc->h & 1, fdc->r);

	if (offset + FDC_SECTOR > d->disk->size_bytes)
		fdc_transfer_fail(fdc, ST1_NO_DATA, 0);	/* the image ends before the disk would */
	else
		submit(fdc, DISK_WRITE, offset, done);
}

void fdc_write_sector(struct fdc *fdc)
{
	put_sector(fdc, write_done);
}

static void collect(struct fdc *fdc)
{
	memset(fdc->buf, 0, sizeof(fdc->buf));		/* what TC leaves of the last sector */
	if (fdc->non_dma) {
		fdc->buf_at = 0;
		fdc->phase = FDC_PIO_WRITE;
		fdc_set_irq(fdc, true);
		return;
	}
	size_t n = fdc->host.dma(fdc->host.arg, fdc->buf, FDC_SECTOR, &fdc->tc);
	if (n < FDC_SECTOR && !fdc->tc)
		fdc_transfer_fail(fdc, ST1_OVERRUN, 0);
	else
		fdc_write_sector(fdc);
}

/* Is there such a sector under the head? Otherwise the command has ended. */
static bool sector_exists(struct fdc *fdc)
{
	struct fdc_drive *d = &fdc->drive[fdc->unit];
	const struct fdc_format *f = d->format;

	if (fdc->c != d->cylinder)
		fdc_transfer_fail(fdc, ST1_NO_DATA, ST2_WRONG_CYLINDER);
	else if (d->cylinder >= f->cylinders || (fdc->h & 1) >= f->heads)
		fdc_transfer_fail(fdc, ST1_NO_ADDRESS, 0);
	else if (fdc->n != 2 || fdc->r == 0 || fdc->r > f->sectors)
		fdc_transfer_fail(fdc, ST1_NO_DATA, 0);
	else
		return true;
	return false;
}

static void next_sector(struct fdc *fdc)
{
	struct fdc_drive *d = &fdc->drive[fdc->unit];

	if (!sector_exists(fdc))
		return;
	if (writes(fdc)) {
		collect(fdc);
		return;
	}
	uint64_t offset = disk_offset(d, fdc->c, fdc->h & 1, fdc->r);
	if (offset + FDC_SECTOR > d->disk->size_bytes) {
		memset(fdc->buf, 0, sizeof(fdc->buf));
		deliver(fdc);
	} else {
		submit(fdc, DISK_READ, offset, read_done);
	}
}

/*
 * A disk is in, and is of the data rate that is set. Whether its motor is on does not matter: a guest
 * whose host stalls is given its late timer ticks in a row, and its BIOS would stop the motor it has
 * just started.
 */
bool fdc_medium_readable(struct fdc *fdc)
{
	struct fdc_drive *d = fdc_drive_of(fdc, fdc->unit);
	bool ok = d != NULL && d->disk != NULL;

	/* 40-cylinder disks read at 300 kbit/s in a drive that turns faster. */
	ok = ok && (fdc->rate == d->format->rate || (d->format->cylinders == 40 && fdc->rate == 1));
	if (!ok)
		fdc_transfer_fail(fdc, ST1_NO_ADDRESS, 0);
	return ok;
}

/*
 * VERIFY: nothing moves, only whether the sectors are there. They end with EOT, or, with EC set, after so many
 * as the last parameter says (0: 256), which must not reach past EOT.		[82077AA "Verify"]
 */
static void verify(struct fdc *fdc)
{
	bool counted = fdc->fifo[1] & 0x80;
	unsigned left = fdc->fifo[8] ? fdc->fifo[8] : 256;

	while (sector_exists(fdc)) {
		bool more = advance(fdc);

		if (counted ? --left == 0 : !more) {
			fdc_transfer_result(fdc, 0);
			return;
		}
		if (!more) {
			fdc_transfer_fail(fdc, ST1_END, 0);
			return;
		}
	}
}

void fdc_start_transfer(struct fdc *fdc)
{
	const uint8_t *p = fdc->fifo;

	fdc->unit = p[1] & 3;
	fdc->multi_track = p[0] & 0x80;
	fdc->c = p[2];
	fdc->h = p[3];
	fdc->r = p[4];
	fdc->n = p[5];
	fdc->eot = p[6];
	fdc->st1 = 0;
	fdc->st2 = (fdc->command & 0x1F) == 0x0C ? ST2_CONTROL_MARK : 0;	/* looks for deleted data, finds other */
	fdc->tc = false;
	if (!fdc_medium_readable(fdc))
		return;
	struct fdc_drive *d = &fdc->drive[fdc->unit];
	if (fdc->config & CONFIG_IMPLIED_SEEK) {
		d->changed = false;
		d->cylinder = fdc->c;
	}
	if (writes(fdc) && d->disk->read_only) {
		fdc_transfer_fail(fdc, ST1_NOT_WRITABLE, 0);
		return;
	}
	if ((fdc->command & 0x1F) == 0x02)	/* READ TRACK: from the index on */
		fdc->r = 1;
	if ((fdc->command & 0x1F) == 0x16)
		verify(fdc);
	else
		next_sector(fdc);
}

/* FORMAT TRACK: four bytes (C, H, R, N) a sector come by DMA; each sector is filled with one byte. */
static void format_next(struct fdc *fdc);

static void format_done(struct disk_request *req)
{
	if (goes_on(req))
		format_next(req->arg);
}

static void format_next(struct fdc *fdc)
{
	uint8_t id[4], filler = fdc->fifo[5];

	if (fdc->format_left == 0) {
		fdc->tc = true;
		submit(fdc, DISK_FLUSH, 0, flush_done);
		return;
	}
	fdc->format_left--;
	if (fdc->host.dma(fdc->host.arg, id, sizeof(id), &fdc->tc) < sizeof(id)) {
		fdc_transfer_fail(fdc, ST1_OVERRUN, 0);
		return;
	}
	fdc->c = id[0];
	fdc->h = id[1];
	fdc->r = id[2];
	fdc->n = id[3];
	memset(fdc->buf, filler, sizeof(fdc->buf));
	if (sector_exists(fdc))
		put_sector(fdc, format_done);
}

void fdc_format_track(struct fdc *fdc)
{
	fdc->unit = fdc->fifo[1] & 3;
	fdc->h = fdc->fifo[1] >> 2 & 1;
	fdc->n = fdc->fifo[2];
	fdc->format_left = fdc->fifo[3];
	fdc->c = fdc->r = fdc->st1 = fdc->st2 = 0;
	fdc->tc = false;
	if (!fdc_medium_readable(fdc))
		return;
	if (fdc->drive[fdc->unit].disk->read_only)
		fdc_transfer_fail(fdc, ST1_NOT_WRITABLE, 0);
	else if (fdc->non_dma)
		fdc_transfer_fail(fdc, ST1_OVERRUN, 0);
	else
		format_next(fdc);
}
