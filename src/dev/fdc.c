/*
 * Floppy disk controller.			[82077AA "CHMOS Single-Chip Floppy Disk Controller"]
 *
 * A command is gathered from the FIFO, carried out, and its result bytes offered. Data goes sector by
 * sector between the disk and DMA channel 2, or through the FIFO in non-DMA mode (fdc_transfer.c). Heads
 * and motors move in no time.
 * Left out: SCAN commands (invalid), deleted data marks on writing, sectors of other than 512 bytes,
 * gap lengths and precompensation (kept, without effect).
 */
#include <string.h>

#include "dev/fdc_internal.h"

enum { REG_SRA, REG_SRB, REG_DOR, REG_TDR, REG_MSR, REG_FIFO, REG_DIR = 7 };
enum { DOR_RUN = BIT(2), DOR_DMAGATE = BIT(3) };
enum { MSR_RQM = BIT(7), MSR_TO_CPU = BIT(6), MSR_NON_DMA = BIT(5), MSR_BUSY = BIT(4) };

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

void fdc_set_irq(struct fdc *fdc, bool level)
{
	fdc->irq = level;
	update_irq(fdc);
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
	command_phase(fdc);			/* what comes back from the drain belongs to no command any more */
	for (unsigned i = 0; i < 2 && fdc->pending; i++)
		if (fdc->drive[i].disk != NULL)
			fdc->drive[i].disk->drain(fdc->drive[i].disk);
	fdc->host.set_irq(fdc->host.arg, false);
	fdc->irq = false;
	fdc->reset_sense = 0;
	memset(fdc->st0_sense, ST0_INVALID, sizeof(fdc->st0_sense));
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
	fdc_set_irq(fdc, true);
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

/* --- commands that move no data --- */

void fdc_result(struct fdc *fdc, unsigned n)
{
	fdc->phase = FDC_RESULT;
	fdc->at = 0;
	fdc->len = n;
}

static void read_id(struct fdc *fdc)
{
	fdc->unit = fdc->fifo[1] & 3;
	fdc->h = fdc->fifo[1] >> 2 & 1;
	fdc->st1 = fdc->st2 = 0;
	fdc->n = 2;
	fdc->r = 1;
	fdc->c = fdc_drive_of(fdc, fdc->unit) ? fdc->drive[fdc->unit].cylinder : 0;
	if (!fdc_medium_readable(fdc))
		return;
	struct fdc_drive *d = &fdc->drive[fdc->unit];
	if (fdc->h >= d->format->heads || d->cylinder >= d->format->cylinders) {
		fdc_transfer_fail(fdc, ST1_NO_ADDRESS, 0);
		return;
	}
	d->last_sector = d->last_sector % d->format->sectors + 1;
	fdc->r = d->last_sector;
	fdc_transfer_result(fdc, 0);
}

static void seek_to(struct fdc *fdc, unsigned unit, int cylinder, bool recalibrate)
{
	struct fdc_drive *d = fdc_drive_of(fdc, unit);
	uint8_t st0 = ST0_SEEK_END | unit;

	if (d != NULL) {
		cylinder = cylinder < 0 ? 0 : cylinder > 83 ? 83 : cylinder;	/* the drive's stops */
		if (d->disk != NULL && (cylinder != d->cylinder || recalibrate))
			d->changed = false;
		d->cylinder = cylinder;
	} else if (recalibrate) {
		st0 |= ST0_ABNORMAL | 0x10;	/* track 0 was never found */
	}
	fdc->st0_sense[unit] = st0;
	command_phase(fdc);
	fdc_set_irq(fdc, true);
}

/* The first drive from this one on whose seek is over and not sensed; 4: none. */
static unsigned sought(const struct fdc *fdc, unsigned unit)
{
	while (unit < 4 && fdc->st0_sense[unit] == ST0_INVALID)
		unit++;
	return unit;
}

/* Drives seek beside each other: the end of each is sensed, and interrupts, for itself. */
static void sense_interrupt(struct fdc *fdc)
{
	unsigned unit = sought(fdc, 0);

	if (fdc->reset_sense > 0) {
		unit = 4 - fdc->reset_sense--;
		fdc->fifo[0] = ST0_READY_CHANGED | unit;
	} else if (unit < 4) {
		fdc->fifo[0] = fdc->st0_sense[unit];
		fdc->st0_sense[unit] = ST0_INVALID;
	} else {
		fdc->fifo[0] = ST0_INVALID;	/* nothing to sense: as an invalid command */
		fdc_result(fdc, 1);
		return;
	}
	fdc->fifo[1] = fdc_drive_of(fdc, unit) ? fdc->drive[unit].cylinder : 0;
	fdc_set_irq(fdc, false);
	if (fdc->reset_sense == 0 && sought(fdc, 0) < 4)
		fdc_set_irq(fdc, true);
	fdc_result(fdc, 2);
}

static void sense_drive(struct fdc *fdc)
{
	unsigned unit = fdc->fifo[1] & 3;
	struct fdc_drive *d = fdc_drive_of(fdc, unit);
	uint8_t st3 = 0x28 | (fdc->fifo[1] & 7);

	if (d != NULL && d->cylinder == 0)
		st3 |= 0x10;
	if (d == NULL || (d->disk != NULL && d->disk->read_only))
		st3 |= 0x40;
	fdc->fifo[0] = st3;
	fdc_result(fdc, 1);
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
	fdc_result(fdc, 10);
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

/* Seeks and transfers, not what only sets or tells. */
static bool works_on_a_drive(uint8_t command)
{
	switch (command & 0x1F) {
	case 0x03: case 0x04: case 0x08: case 0x0E: case 0x10: case 0x12: case 0x13: case 0x14:
		return false;
	default:
		return true;
	}
}

static void execute(struct fdc *fdc)
{
	const uint8_t *p = fdc->fifo;

	fdc->phase = FDC_EXECUTE;
	/* What the polling after a reset found is for who asks at once. A driver that sensed only once, as Linux
	 * 0.11's, must get its seek's status for its seek's interrupt, and no interrupt more. */
	if (works_on_a_drive(fdc->command))
		fdc->reset_sense = 0;
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
	case 0x0D: fdc_format_track(fdc); break;
	case 0x0E: dump_registers(fdc); break;
	case 0x0F:				/* SEEK, or by so many cylinders in or out */
		if (fdc->command & 0x80) {
			int from = fdc_drive_of(fdc, p[1] & 3) ? fdc->drive[p[1] & 3].cylinder : 0;
			seek_to(fdc, p[1] & 3, fdc->command & 0x40 ? from + p[2] : from - p[2], false);
		} else {
			seek_to(fdc, p[1] & 3, p[2], false);
		}
		break;
	case 0x10:				/* VERSION: enhanced controller */
		fdc->fifo[0] = 0x90;
		fdc_result(fdc, 1);
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
		fdc_result(fdc, 1);
		break;
	default:
		fdc_start_transfer(fdc);
	}
}

static void write_command_byte(struct fdc *fdc, uint8_t val)
{
	if (fdc->at == 0) {
		int n = parameters(val);
		if (n < 0) {
			fdc->fifo[0] = ST0_INVALID;
			fdc_result(fdc, 1);
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
			fdc_set_irq(fdc, false);
			fdc->phase = FDC_EXECUTE;
			fdc_sector_moved(fdc);
		}
	} else if (fdc->phase == FDC_RESULT) {
		if (fdc->at == 0 && fdc->len == 7)
			fdc_set_irq(fdc, false);	/* the first result byte takes the interrupt back */
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
			fdc_set_irq(fdc, false);
			fdc_write_sector(fdc);
		}
	} else if (fdc->phase == FDC_COMMAND) {
		write_command_byte(fdc, val);
	}
}

uint8_t fdc_read(struct fdc *fdc, unsigned reg)
{
	switch (reg) {
	case REG_SRA: {
		struct fdc_drive *d = fdc_drive_of(fdc, fdc->dor & 3);
		return (fdc->irq ? 0x80 : 0) | 0x40 | (d != NULL && d->cylinder == 0 ? 0 : 0x10) | 0x0C;
	}
	case REG_SRB: return 0xC0 | (fdc->dor >> 4 & 3) | (fdc->dor & 1) << 5;
	case REG_DOR: return fdc->dor;
	case REG_TDR: return fdc->tdr;
	case REG_MSR: return main_status(fdc);
	case REG_FIFO: return read_fifo(fdc);
	case REG_DIR: {
		struct fdc_drive *d = fdc_drive_of(fdc, fdc->dor & 3);
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
