/*
 * Floppy disk controller.			[82077AA "CHMOS Single-Chip Floppy Disk Controller"]
 *
 * A command is gathered from the FIFO, carried out, and its result bytes offered. Data goes sector by
 * sector between the disk and DMA channel 2, or through the FIFO (non-DMA mode). Heads and motors
 * move in no time.
 * Left out: SCAN commands (invalid), deleted data marks on writing, sectors of other than 512 bytes,
 * gap lengths and precompensation (kept, without effect).
 */
#include <string.h>

#include "dev/fdc.h"

enum { REG_SRA, REG_SRB, REG_DOR, REG_TDR, REG_MSR, REG_FIFO, REG_DIR = 7 };
enum { DOR_RUN = BIT(2), DOR_DMAGATE = BIT(3) };
enum { MSR_RQM = BIT(7), MSR_TO_CPU = BIT(6), MSR_NON_DMA = BIT(5), MSR_BUSY = BIT(4) };
enum { ST0_ABNORMAL = 0x40, ST0_INVALID = 0x80, ST0_READY_CHANGED = 0xC0, ST0_SEEK_END = 0x20 };
enum { ST1_NO_ADDRESS = 0x01, ST1_NOT_WRITABLE = 0x02, ST1_NO_DATA = 0x04, ST1_OVERRUN = 0x10, ST1_CRC = 0x20,
       ST1_END = 0x80 };
enum { ST2_CONTROL_MARK = 0x40, ST2_CRC = 0x20, ST2_WRONG_CYLINDER = 0x10 };
enum { CONFIG_IMPLIED_SEEK = BIT(6) };

static const struct fdc_format formats[] = {
	{ 160, 40, 1, 8, 2, 1 }, { 180, 40, 1, 9, 2, 1 }, { 320, 40, 2, 8, 2, 1 }, { 360, 40, 2, 9, 2, 1 },
	{ 720, 80, 2, 9, 2, 4 }, { 1200, 80, 2, 15, 0, 2 }, { 1440, 80, 2, 18, 0, 4 }, { 1680, 80, 2, 21, 0, 4 },
	{ 2880, 80, 2, 36, 3, 5 },
};

/* Exactly the size, or the standard disk that is large enough. */
const struct fdc_format *fdc_format_of(uint64_t size_bytes)
{
	for (unsigned i = 0; i < ARRAY_LEN(formats); i++)
		if (size_bytes == formats[i].kib * 1024ull)
			return &formats[i];
	return &formats[size_bytes <= 1440 * 1024 ? 6 : 8];
}

static void update_irq(struct fdc *fdc)
{
	fdc->host.set_irq(fdc->host.arg, fdc->irq && fdc->dor & DOR_DMAGATE);
}

static void set_irq(struct fdc *fdc, bool level)
{
	fdc->irq = level;
	update_irq(fdc);
}

static struct fdc_drive *drive_of(struct fdc *fdc, unsigned unit)
{
	return unit < 2 && fdc->drive[unit].present ? &fdc->drive[unit] : NULL;
}

void fdc_attach(struct fdc *fdc, unsigned drive, struct disk *disk)
{
	struct fdc_drive *d = &fdc->drive[drive];

	if (fdc->pending && d->disk != NULL)
		d->disk->drain(d->disk);
	d->present = true;
	d->disk = disk;
	d->changed = true;
	if (disk != NULL || d->format == NULL)
		d->format = fdc_format_of(disk != NULL ? disk->size_bytes : 1440 * 1024);
}

unsigned fdc_drive_type(const struct fdc *fdc, unsigned drive)
{
	return fdc->drive[drive].present ? fdc->drive[drive].format->drive : 0;
}

/* --- reset --- */

static void command_phase(struct fdc *fdc)
{
	fdc->phase = FDC_COMMAND;
	fdc->at = 0;
	fdc->len = 1;
}

static void reset_chip(struct fdc *fdc)
{
	fdc->host.set_irq(fdc->host.arg, false);
	fdc->irq = false;
	for (unsigned i = 0; i < 2 && fdc->pending; i++)
		if (fdc->drive[i].disk != NULL)
			fdc->drive[i].disk->drain(fdc->drive[i].disk);
	command_phase(fdc);
	fdc->reset_sense = 0;
	fdc->st0_sense = ST0_INVALID;
	fdc->srt_hut = fdc->hlt = 0;
	fdc->non_dma = false;
	fdc->perpendicular = 0;
	if (!fdc->lock) {
		fdc->config = 0x20;		/* FIFO off, polling on */
		fdc->precomp = 0;
	}
}

/* Out of reset: an interrupt, and one SENSE INTERRUPT per drive.		[82077AA "Reset"] */
static void leave_reset(struct fdc *fdc)
{
	fdc->reset_sense = 4;
	set_irq(fdc, true);
}

void fdc_init(struct fdc *fdc, const struct fdc_host *host)
{
	memset(fdc, 0, sizeof(*fdc));
	fdc->host = *host;
	fdc_reset(fdc);
}

void fdc_reset(struct fdc *fdc)
{
	fdc->lock = false;
	fdc->dor = 0;
	fdc->dsr = fdc->rate = 2;
	fdc->tdr = 0;
	reset_chip(fdc);
}

/* --- results --- */

static void result(struct fdc *fdc, unsigned n)
{
	fdc->phase = FDC_RESULT;
	fdc->at = 0;
	fdc->len = n;
}

/* The seven bytes after a transfer. */
static void transfer_result(struct fdc *fdc, uint8_t st0)
{
	fdc->fifo[0] = st0 | (fdc->h & 1) << 2 | fdc->unit;
	fdc->fifo[1] = fdc->st1;
	fdc->fifo[2] = fdc->st2;
	fdc->fifo[3] = fdc->c;
	fdc->fifo[4] = fdc->h;
	fdc->fifo[5] = fdc->r;
	fdc->fifo[6] = fdc->n;
	result(fdc, 7);
	set_irq(fdc, true);
}

static void transfer_fail(struct fdc *fdc, uint8_t st1, uint8_t st2)
{
	fdc->st1 |= st1;
	fdc->st2 |= st2;
	transfer_result(fdc, ST0_ABNORMAL);
}

/* --- data transfer --- */

static bool writes(const struct fdc *fdc)
{
	return (fdc->command & 0x1F) == 0x05 || (fdc->command & 0x1F) == 0x09 || fdc->command == 0x4D ||
	    fdc->command == 0x0D;
}

static bool verifies(const struct fdc *fdc)
{
	return (fdc->command & 0x1F) == 0x16;
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

static void flush_done(struct disk_request *req)
{
	struct fdc *fdc = req->arg;

	fdc->pending = false;
	if (fdc->phase != FDC_EXECUTE)
		return;				/* a reset came in between */
	if (req->error)
		transfer_fail(fdc, ST1_CRC, ST2_CRC);
	else
		transfer_result(fdc, fdc->tc ? 0 : ST0_ABNORMAL);
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
		transfer_result(fdc, fdc->tc ? 0 : ST0_ABNORMAL);
}

static void sector_moved(struct fdc *fdc)
{
	bool more = advance(fdc);

	if (fdc->st2 & ST2_CONTROL_MARK)
		transfer_result(fdc, fdc->tc ? 0 : ST0_ABNORMAL);
	else if (fdc->tc || !more)
		transfer_over(fdc);
	else
		next_sector(fdc);
}

/* buf holds a sector just read: hand it to memory or to the CPU. */
static void deliver(struct fdc *fdc)
{
	if (verifies(fdc)) {
		sector_moved(fdc);
		return;
	}
	if (fdc->non_dma) {
		fdc->buf_at = 0;
		fdc->phase = FDC_PIO_READ;
		set_irq(fdc, true);
		return;
	}
	size_t n = fdc->host.dma(fdc->host.arg, fdc->buf, FDC_SECTOR, &fdc->tc);
	if (n < FDC_SECTOR && !fdc->tc)
		transfer_fail(fdc, ST1_OVERRUN, 0);	/* nobody serves the channel */
	else
		sector_moved(fdc);
}

static void read_done(struct disk_request *req)
{
	struct fdc *fdc = req->arg;

	fdc->pending = false;
	if (fdc->phase != FDC_EXECUTE)
		return;
	if (req->error)
		transfer_fail(fdc, ST1_CRC, ST2_CRC);
	else
		deliver(fdc);
}

static void write_done(struct disk_request *req)
{
	struct fdc *fdc = req->arg;

	fdc->pending = false;
	if (fdc->phase != FDC_EXECUTE)
		return;
	if (req->error)
		transfer_fail(fdc, ST1_CRC, ST2_CRC);
	else
		sector_moved(fdc);
}

/* buf holds what is to be written to the current sector. */
static void write_sector(struct fdc *fdc)
{
	struct fdc_drive *d = &fdc->drive[fdc->unit];
	uint64_t offset = disk_offset(d, fdc->c, fdc->h & 1, fdc->r);

	if (offset + FDC_SECTOR > d->disk->size_bytes)
		transfer_fail(fdc, ST1_NO_DATA, 0);	/* the image ends before the disk would */
	else
		submit(fdc, DISK_WRITE, offset, write_done);
}

static void collect(struct fdc *fdc)
{
	memset(fdc->buf, 0, sizeof(fdc->buf));		/* what TC leaves of the last sector */
	if (fdc->non_dma) {
		fdc->buf_at = 0;
		fdc->phase = FDC_PIO_WRITE;
		set_irq(fdc, true);
		return;
	}
	size_t n = fdc->host.dma(fdc->host.arg, fdc->buf, FDC_SECTOR, &fdc->tc);
	if (n < FDC_SECTOR && !fdc->tc)
		transfer_fail(fdc, ST1_OVERRUN, 0);
	else
		write_sector(fdc);
}

/* Is there such a sector under the head? Otherwise the command has ended. */
static bool sector_exists(struct fdc *fdc)
{
	struct fdc_drive *d = &fdc->drive[fdc->unit];
	const struct fdc_format *f = d->format;

	if (fdc->c != d->cylinder)
		transfer_fail(fdc, ST1_NO_DATA, ST2_WRONG_CYLINDER);
	else if (d->cylinder >= f->cylinders || (fdc->h & 1) >= f->heads)
		transfer_fail(fdc, ST1_NO_ADDRESS, 0);
	else if (fdc->n != 2 || fdc->r == 0 || fdc->r > f->sectors)
		transfer_fail(fdc, ST1_NO_DATA, 0);
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
static bool medium_readable(struct fdc *fdc)
{
	struct fdc_drive *d = drive_of(fdc, fdc->unit);
	bool ok = d != NULL && d->disk != NULL;

	/* 40-cylinder disks read at 300 kbit/s in a drive that turns faster. */
	ok = ok && (fdc->rate == d->format->rate || (d->format->cylinders == 40 && fdc->rate == 1));
	if (!ok)
		transfer_fail(fdc, ST1_NO_ADDRESS, 0);
	return ok;
}

static void start_transfer(struct fdc *fdc)
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
	if (verifies(fdc))
		fdc->tc = true;
	if (!medium_readable(fdc))
		return;
	struct fdc_drive *d = &fdc->drive[fdc->unit];
	if (fdc->config & CONFIG_IMPLIED_SEEK) {
		d->changed = false;
		d->cylinder = fdc->c;
	}
	if (writes(fdc) && d->disk->read_only) {
		transfer_fail(fdc, ST1_NOT_WRITABLE, 0);
		return;
	}
	if ((fdc->command & 0x1F) == 0x02)	/* READ TRACK: from the index on */
		fdc->r = 1;
	if (verifies(fdc) && p[1] & 0x80)
		fdc->eot = p[8];		/* EC: the count is in DTL */
	if (verifies(fdc)) {			/* nothing moves: only whether they are there */
		while (sector_exists(fdc)) {
			if (!advance(fdc)) {
				transfer_result(fdc, 0);
				return;
			}
		}
		return;
	}
	next_sector(fdc);
}

/* FORMAT TRACK: four bytes (C, H, R, N) a sector come by DMA; each sector is filled with one byte. */
static void format_next(struct fdc *fdc);

static void format_done(struct disk_request *req)
{
	struct fdc *fdc = req->arg;

	fdc->pending = false;
	if (fdc->phase != FDC_EXECUTE)
		return;
	if (req->error)
		transfer_fail(fdc, ST1_CRC, ST2_CRC);
	else
		format_next(fdc);
}

static void format_next(struct fdc *fdc)
{
	struct fdc_drive *d = &fdc->drive[fdc->unit];
	uint8_t id[4], filler = fdc->fifo[5];

	if (fdc->format_left == 0) {
		fdc->tc = true;
		submit(fdc, DISK_FLUSH, 0, flush_done);
		return;
	}
	fdc->format_left--;
	if (fdc->host.dma(fdc->host.arg, id, sizeof(id), &fdc->tc) < sizeof(id)) {
		transfer_fail(fdc, ST1_OVERRUN, 0);
		return;
	}
	fdc->c = id[0];
	fdc->h = id[1];
	fdc->r = id[2];
	fdc->n = id[3];
	memset(fdc->buf, filler, sizeof(fdc->buf));
	if (!sector_exists(fdc))
		return;
	uint64_t offset = disk_offset(d, fdc->c, fdc->h & 1, fdc->r);
	if (offset + FDC_SECTOR > d->disk->size_bytes)
		transfer_fail(fdc, ST1_NO_DATA, 0);
	else
		submit(fdc, DISK_WRITE, offset, format_done);
}

static void format_track(struct fdc *fdc)
{
	fdc->unit = fdc->fifo[1] & 3;
	fdc->h = fdc->fifo[1] >> 2 & 1;
	fdc->n = fdc->fifo[2];
	fdc->format_left = fdc->fifo[3];
	fdc->c = fdc->r = fdc->st1 = fdc->st2 = 0;
	fdc->tc = false;
	if (!medium_readable(fdc))
		return;
	if (fdc->drive[fdc->unit].disk->read_only)
		transfer_fail(fdc, ST1_NOT_WRITABLE, 0);
	else if (fdc->non_dma)
		transfer_fail(fdc, ST1_OVERRUN, 0);
	else
		format_next(fdc);
}

/* --- the other commands --- */

static void read_id(struct fdc *fdc)
{
	fdc->unit = fdc->fifo[1] & 3;
	fdc->h = fdc->fifo[1] >> 2 & 1;
	fdc->st1 = fdc->st2 = 0;
	fdc->n = 2;
	fdc->r = 1;
	fdc->c = drive_of(fdc, fdc->unit) ? fdc->drive[fdc->unit].cylinder : 0;
	if (!medium_readable(fdc))
		return;
	struct fdc_drive *d = &fdc->drive[fdc->unit];
	if (fdc->h >= d->format->heads || d->cylinder >= d->format->cylinders) {
		transfer_fail(fdc, ST1_NO_ADDRESS, 0);
		return;
	}
	d->last_sector = d->last_sector % d->format->sectors + 1;
	fdc->r = d->last_sector;
	transfer_result(fdc, 0);
}

static void seek_to(struct fdc *fdc, unsigned unit, int cylinder, bool recalibrate)
{
	struct fdc_drive *d = drive_of(fdc, unit);
	uint8_t st0 = ST0_SEEK_END | unit;

	if (d != NULL) {
		cylinder = cylinder < 0 ? 0 : cylinder > 83 ? 83 : cylinder;	/* the drive's stops */
		if (d->disk != NULL && (cylinder != d->cylinder || recalibrate))
			d->changed = false;
		d->cylinder = cylinder;
	} else if (recalibrate) {
		st0 |= ST0_ABNORMAL | 0x10;	/* track 0 was never found */
	}
	fdc->st0_sense = st0;
	command_phase(fdc);
	set_irq(fdc, true);
}

static void sense_interrupt(struct fdc *fdc)
{
	unsigned unit = 0;

	if (fdc->reset_sense > 0) {
		unit = 4 - fdc->reset_sense--;
		fdc->fifo[0] = ST0_READY_CHANGED | unit;
	} else if (fdc->st0_sense != ST0_INVALID) {
		fdc->fifo[0] = fdc->st0_sense;
		unit = fdc->st0_sense & 3;
		fdc->st0_sense = ST0_INVALID;
	} else {
		fdc->fifo[0] = ST0_INVALID;	/* nothing to sense: as an invalid command */
		result(fdc, 1);
		return;
	}
	fdc->fifo[1] = drive_of(fdc, unit) ? fdc->drive[unit].cylinder : 0;
	set_irq(fdc, false);
	result(fdc, 2);
}

static void sense_drive(struct fdc *fdc)
{
	unsigned unit = fdc->fifo[1] & 3;
	struct fdc_drive *d = drive_of(fdc, unit);
	uint8_t st3 = 0x28 | (fdc->fifo[1] & 7);

	if (d != NULL && d->cylinder == 0)
		st3 |= 0x10;
	if (d == NULL || (d->disk != NULL && d->disk->read_only))
		st3 |= 0x40;
	fdc->fifo[0] = st3;
	result(fdc, 1);
}

static void dump_registers(struct fdc *fdc)
{
	uint8_t *p = fdc->fifo;

	p[0] = fdc->drive[0].cylinder;
	p[1] = fdc->drive[1].cylinder;
	p[2] = p[3] = 0;
	p[4] = fdc->srt_hut;
	p[5] = fdc->hlt;
	p[6] = fdc->eot;
	p[7] = fdc->lock << 7 | (fdc->perpendicular & 0x3F);
	p[8] = fdc->config;
	p[9] = fdc->precomp;
	result(fdc, 10);
}

/* Parameter bytes after the command byte; -1: no such command. */
static int parameters(uint8_t command)
{
	switch (command & 0x1F) {
	case 0x02: case 0x05: case 0x06: case 0x09: case 0x0C: case 0x16:
		return 8;
	case 0x03: case 0x0F:
		return 2;
	case 0x04: case 0x07: case 0x0A: case 0x12:
		return 1;
	case 0x08: case 0x0E: case 0x10: case 0x14:
		return 0;
	case 0x0D:
		return 5;
	case 0x13:
		return 3;
	default:
		return -1;
	}
}

static void execute(struct fdc *fdc)
{
	const uint8_t *p = fdc->fifo;

	fdc->phase = FDC_EXECUTE;
	switch (fdc->command & 0x1F) {
	case 0x03:				/* SPECIFY */
		fdc->srt_hut = p[1];
		fdc->hlt = p[2];
		fdc->non_dma = p[2] & 1;
		command_phase(fdc);
		break;
	case 0x04: sense_drive(fdc); break;
	case 0x07: seek_to(fdc, p[1] & 3, 0, true); break;
	case 0x08: sense_interrupt(fdc); break;
	case 0x0A: read_id(fdc); break;
	case 0x0D: format_track(fdc); break;
	case 0x0E: dump_registers(fdc); break;
	case 0x0F:				/* SEEK, or by so many cylinders in or out */
		if (fdc->command & 0x80) {
			int from = drive_of(fdc, p[1] & 3) ? fdc->drive[p[1] & 3].cylinder : 0;
			seek_to(fdc, p[1] & 3, fdc->command & 0x40 ? from + p[2] : from - p[2], false);
		} else {
			seek_to(fdc, p[1] & 3, p[2], false);
		}
		break;
	case 0x10:				/* VERSION: enhanced controller */
		fdc->fifo[0] = 0x90;
		result(fdc, 1);
		break;
	case 0x12:
		fdc->perpendicular = p[1];
		command_phase(fdc);
		break;
	case 0x13:
		fdc->config = p[2];
		fdc->precomp = p[3];
		command_phase(fdc);
		break;
	case 0x14:				/* LOCK, UNLOCK */
		fdc->lock = fdc->command & 0x80;
		fdc->fifo[0] = fdc->lock << 4;
		result(fdc, 1);
		break;
	default:
		start_transfer(fdc);
	}
}

static void write_command_byte(struct fdc *fdc, uint8_t val)
{
	if (fdc->at == 0) {
		int n = parameters(val);
		if (n < 0) {
			fdc->fifo[0] = ST0_INVALID;
			result(fdc, 1);
			return;
		}
		fdc->command = val;
		fdc->len = n + 1;
	}
	fdc->fifo[fdc->at++] = val;
	if (fdc->at == fdc->len)
		execute(fdc);
}

/* --- registers --- */

static uint8_t main_status(const struct fdc *fdc)
{
	if (!(fdc->dor & DOR_RUN))
		return 0;
	switch (fdc->phase) {
	case FDC_COMMAND: return MSR_RQM | (fdc->at > 0 ? MSR_BUSY : 0);
	case FDC_RESULT: return MSR_RQM | MSR_TO_CPU | MSR_BUSY;
	case FDC_PIO_READ: return MSR_RQM | MSR_TO_CPU | MSR_NON_DMA | MSR_BUSY;
	case FDC_PIO_WRITE: return MSR_RQM | MSR_NON_DMA | MSR_BUSY;
	default: return MSR_BUSY;
	}
}

static uint8_t read_fifo(struct fdc *fdc)
{
	uint8_t val = 0;

	if (fdc->phase == FDC_PIO_READ) {
		val = fdc->buf[fdc->buf_at++];
		if (fdc->buf_at == FDC_SECTOR) {
			set_irq(fdc, false);
			fdc->phase = FDC_EXECUTE;
			sector_moved(fdc);
		}
	} else if (fdc->phase == FDC_RESULT) {
		if (fdc->at == 0 && fdc->len == 7)
			set_irq(fdc, false);	/* the first result byte takes the interrupt back */
		val = fdc->fifo[fdc->at++];
		if (fdc->at == fdc->len)
			command_phase(fdc);
	}
	return val;
}

static void write_fifo(struct fdc *fdc, uint8_t val)
{
	if (!(fdc->dor & DOR_RUN))
		return;
	if (fdc->phase == FDC_PIO_WRITE) {
		fdc->buf[fdc->buf_at++] = val;
		if (fdc->buf_at == FDC_SECTOR) {
			set_irq(fdc, false);
			write_sector(fdc);
		}
	} else if (fdc->phase == FDC_COMMAND) {
		write_command_byte(fdc, val);
	}
}

uint8_t fdc_read(struct fdc *fdc, unsigned reg)
{
	switch (reg) {
	case REG_SRA: {
		struct fdc_drive *d = drive_of(fdc, fdc->dor & 3);
		return (fdc->irq ? 0x80 : 0) | 0x40 | (d != NULL && d->cylinder == 0 ? 0 : 0x10) | 0x0C;
	}
	case REG_SRB: return 0xC0 | (fdc->dor >> 4 & 3) | (fdc->dor & 1) << 5;
	case REG_DOR: return fdc->dor;
	case REG_TDR: return fdc->tdr;
	case REG_MSR: return main_status(fdc);
	case REG_FIFO: return read_fifo(fdc);
	case REG_DIR: {
		struct fdc_drive *d = drive_of(fdc, fdc->dor & 3);
		return d != NULL && (d->changed || d->disk == NULL) ? 0x80 : 0;
	}
	default: return 0xFF;
	}
}

static void write_dor(struct fdc *fdc, uint8_t val)
{
	uint8_t was = fdc->dor;

	fdc->dor = val;
	if (was & DOR_RUN && !(val & DOR_RUN))
		reset_chip(fdc);
	else if (!(was & DOR_RUN) && val & DOR_RUN)
		leave_reset(fdc);
	update_irq(fdc);
}

void fdc_write(struct fdc *fdc, unsigned reg, uint8_t val)
{
	switch (reg) {
	case REG_DOR:
		write_dor(fdc, val);
		break;
	case REG_TDR:
		fdc->tdr = val & 3;
		break;
	case REG_MSR:				/* DSR */
		fdc->rate = val & 3;
		fdc->dsr = val & 0x7F;
		if (val & 0x80) {
			reset_chip(fdc);
			if (fdc->dor & DOR_RUN)
				leave_reset(fdc);
		}
		break;
	case REG_FIFO:
		write_fifo(fdc, val);
		break;
	case REG_DIR:				/* CCR */
		fdc->rate = val & 3;
		break;
	}
}
