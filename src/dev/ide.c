/*
 * IDE channels: registers, reset, PIO.			[ATA/ATAPI-6], [82371SB "IDE"]
 *
 * Both drives of a channel latch what is written to the command block; reads answer for the
 * selected one. Commands are in ide_disk.c, ide_smart.c and atapi.c, the bus master in ide_dma.c.
 * Left out: time (a drive is ready at once, but for the medium), overlapped and queued commands,
 * host protected area, security (IDENTIFY announces none of them).
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "dev/ide.h"

enum { REG_DATA, REG_ERROR, REG_COUNT, REG_LBA_LOW, REG_LBA_MID, REG_LBA_HIGH, REG_DEVICE, REG_STATUS };

static struct ide_drive *selected(struct ide_channel *ch)
{
	return &ch->drive[ch->device >> 4 & 1];
}

static void update_irq(struct ide_channel *ch)
{
	ch->ide->host.set_irq(ch->ide->host.arg, ch->index, ch->intrq && !(ch->control & IDE_CONTROL_NIEN));
}

void ide_raise_irq(struct ide_channel *ch)
{
	ch->intrq = true;
	if (!(ch->control & IDE_CONTROL_NIEN))
		ch->bm_status |= BIT(2);	/* the bus master latches the rising edge */
	update_irq(ch);
}

static void lower_irq(struct ide_channel *ch)
{
	ch->intrq = false;
	update_irq(ch);
}

/* What a drive shows after reset, so that software can tell the kinds apart. [ATA-6 "Signature"] */
void ide_signature(struct ide_drive *drive)
{
	struct ide_taskfile *tf = &drive->tf;

	memset(tf, 0, sizeof(*tf));
	tf->error = 1;				/* diagnostics passed */
	tf->count[0] = tf->lba_low[0] = 1;
	if (drive->kind == IDE_CDROM) {
		tf->lba_mid[0] = 0x14;
		tf->lba_high[0] = 0xEB;
	} else if (drive->kind == IDE_DISK) {
		tf->status = IDE_DRDY | IDE_DSC;
	}
}

static void reset_transfer(struct ide_channel *ch)
{
	ch->phase = IDE_IDLE;
	ch->active = NULL;
	ch->pos = ch->end = ch->filled = 0;
	ch->after = NULL;
	ch->packet = ch->dma = false;
}

/* A reset in the middle of a request: its memory is ours, so wait for the medium, then forget it. */
static void cancel(struct ide_channel *ch)
{
	struct disk *disk = ch->phase == IDE_MEDIUM ? ch->active->disk : NULL;

	if (disk != NULL) {
		ch->medium_done = NULL;
		disk->drain(disk);
	}
	reset_transfer(ch);
}

static void reset_channel(struct ide_channel *ch, bool hard)
{
	cancel(ch);
	for (unsigned i = 0; i < 2; i++) {
		struct ide_drive *d = &ch->drive[i];
		ide_signature(d);
		if (!hard)
			continue;
		unsigned cylinders, heads, sectors;
		ide_geometry(d->kind == IDE_DISK ? d->disk->size_bytes : 0, &cylinders, &heads, &sectors);
		d->heads = heads;
		d->sectors = sectors;
		d->multiple = IDE_MULTIPLE_MAX;
		d->transfer_mode = 0;
		d->write_cache = d->look_ahead = true;
		d->standby = false;
		d->locked = false;
		d->tray_open = false;
		d->media_event = 0;
		d->sense = (struct atapi_sense){ 0 };
		d->unit_attention = d->kind == IDE_CDROM && d->disk != NULL;
	}
	ch->device = 0;
	lower_irq(ch);
}

void ide_init(struct ide *ide, const struct ide_host *host)
{
	memset(ide, 0, sizeof(*ide));
	ide->host = *host;
	for (unsigned i = 0; i < 2; i++) {
		ide->channel[i].ide = ide;
		ide->channel[i].index = i;
		reset_channel(&ide->channel[i], true);
	}
}

void ide_attach(struct ide *ide, unsigned channel, unsigned drive, enum ide_kind kind, struct disk *disk,
		const char *serial)
{
	struct ide_drive *d = &ide->channel[channel].drive[drive];

	assert(kind != IDE_DISK || disk != NULL);
	d->kind = kind;
	d->disk = disk;
	d->smart = kind == IDE_DISK;		/* unlike the settings above it outlives power */
	d->self_test = 0;
	snprintf(d->model, sizeof(d->model), kind == IDE_CDROM ? "plex86 CD-ROM" : "plex86 HARDDISK");
	if (serial != NULL)
		snprintf(d->serial, sizeof(d->serial), "%s", serial);
	else
		snprintf(d->serial, sizeof(d->serial), "PX%05u", channel * 2 + drive + 1);
	reset_channel(&ide->channel[channel], true);
}

void ide_reset(struct ide *ide)
{
	for (unsigned i = 0; i < 2; i++) {
		struct ide_channel *ch = &ide->channel[i];
		ch->control = 0;
		reset_channel(ch, true);
		ch->bm_command = ch->bm_status = 0;
		ch->bm_table = 0;
		ch->prd_loaded = false;
	}
}

void ide_geometry(uint64_t size_bytes, unsigned *cylinders, unsigned *heads, unsigned *sectors)
{
	uint64_t c = size_bytes / IDE_SECTOR / (16 * 63);

	*cylinders = c > 16383 ? 16383 : c < 2 ? 2 : c;
	*heads = 16;
	*sectors = 63;
}

/* --- the end of a command, and the medium --- */

void ide_end(struct ide_channel *ch, uint8_t error, uint8_t extra_status)
{
	struct ide_taskfile *tf = &ch->active->tf;

	tf->error = error;
	tf->status = IDE_DRDY | IDE_DSC | extra_status | (error ? IDE_ERR : 0);
	reset_transfer(ch);
	ide_raise_irq(ch);
}

void ide_abort(struct ide_channel *ch)
{
	ide_end(ch, IDE_ABRT, 0);
}

static void request_done(struct disk_request *req)
{
	struct ide_channel *ch = req->arg;
	void (*done)(struct ide_channel *, int) = ch->medium_done;

	if (done == NULL)			/* a reset came in between */
		return;
	ch->medium_done = NULL;
	ch->phase = IDE_IDLE;
	done(ch, req->error);
}

void ide_submit(struct ide_channel *ch, enum disk_op op, uint64_t offset, uint32_t len, uint8_t *buf,
		void (*done)(struct ide_channel *ch, int error))
{
	struct disk *disk = ch->active->disk;

	ch->active->tf.status = (ch->active->tf.status & ~IDE_DRQ) | IDE_BSY;
	ch->active->standby = false;
	ch->phase = IDE_MEDIUM;
	ch->medium_done = done;
	ch->req = (struct disk_request){ .op = op, .offset = offset, .len = len, .buf = buf,
	    .done = request_done, .arg = ch };
	disk->submit(disk, &ch->req);
}

/* --- PIO --- */

/* Offer buf[pos, pos + len) to the host as one DRQ block; after() when it has been moved. */
void ide_pio(struct ide_channel *ch, enum ide_phase phase, uint32_t pos, uint32_t len,
	     void (*after)(struct ide_channel *ch), bool irq)
{
	assert(pos + len <= IDE_BUF_BYTES);
	ch->phase = phase;
	ch->pos = pos;
	ch->end = pos + len;
	ch->after = after;
	ch->active->tf.status = IDE_DRDY | IDE_DSC | IDE_DRQ;
	if (irq)
		ide_raise_irq(ch);
}

static void pio_moved(struct ide_channel *ch)
{
	void (*after)(struct ide_channel *) = ch->after;

	ch->phase = IDE_IDLE;
	ch->active->tf.status &= ~IDE_DRQ;
	after(ch);
}

static uint32_t read_data(struct ide_channel *ch, unsigned size)
{
	uint32_t val = 0;

	if (ch->phase != IDE_PIO_IN)
		return size == 4 ? 0xFFFFFFFF : (1u << 8 * size) - 1;
	for (unsigned i = 0; i < size; i++)	/* past an odd end the bus carries nothing of meaning */
		if (ch->pos < ch->end)
			val |= (uint32_t)ch->buf[ch->pos++] << 8 * i;
	if (ch->pos == ch->end)
		pio_moved(ch);
	return val;
}

static void write_data(struct ide_channel *ch, unsigned size, uint32_t val)
{
	if (ch->phase != IDE_PIO_OUT)
		return;
	for (unsigned i = 0; i < size && ch->pos < ch->end; i++)
		ch->buf[ch->pos++] = val >> 8 * i;
	if (ch->pos == ch->end)
		pio_moved(ch);
}

/* --- registers --- */

static uint32_t read_register(struct ide_channel *ch, unsigned reg)
{
	struct ide_drive *d = selected(ch);
	struct ide_taskfile *tf = &d->tf;
	bool hob = ch->control & IDE_CONTROL_HOB;

	if (d->kind == IDE_NONE)
		return 0;
	if (tf->status & IDE_BSY)		/* the drive owns its registers */
		return tf->status;
	switch (reg) {
	case REG_ERROR:
		return tf->error;
	case REG_COUNT:
		return tf->count[hob];
	case REG_LBA_LOW:
		return tf->lba_low[hob];
	case REG_LBA_MID:
		return tf->lba_mid[hob];
	case REG_LBA_HIGH:
		return tf->lba_high[hob];
	case REG_DEVICE:
		return ch->device | 0xA0;
	default:
		return tf->status;
	}
}

uint32_t ide_read(struct ide_channel *ch, unsigned reg, unsigned size)
{
	if (reg == REG_DATA)
		return read_data(ch, size);
	uint32_t val = read_register(ch, reg);
	if (reg == REG_STATUS)
		lower_irq(ch);
	return val;
}

uint8_t ide_read_alternate(struct ide_channel *ch)
{
	return read_register(ch, REG_STATUS);
}

static void push(uint8_t reg[2], uint8_t val)
{
	reg[1] = reg[0];
	reg[0] = val;
}

static void write_taskfile(struct ide_taskfile *tf, unsigned reg, uint8_t val)
{
	switch (reg) {
	case REG_ERROR:
		push(tf->feature, val);
		break;
	case REG_COUNT:
		push(tf->count, val);
		break;
	case REG_LBA_LOW:
		push(tf->lba_low, val);
		break;
	case REG_LBA_MID:
		push(tf->lba_mid, val);
		break;
	case REG_LBA_HIGH:
		push(tf->lba_high, val);
		break;
	}
}

/* EXECUTE DEVICE DIAGNOSTIC goes to both drives, whichever is selected. */
static void diagnose(struct ide_channel *ch)
{
	for (unsigned i = 0; i < 2; i++)
		ide_signature(&ch->drive[i]);
	ch->device = 0;
	if (ch->drive[0].kind != IDE_NONE)
		ide_raise_irq(ch);
}

static void start_command(struct ide_channel *ch, uint8_t command)
{
	struct ide_drive *d = selected(ch);

	if (d->kind == IDE_NONE)
		return;
	if (command == 0x08 && d->kind == IDE_CDROM) {	/* DEVICE RESET: also in the middle of a command */
		cancel(ch);
		ide_signature(d);
		return;
	}
	if (ch->phase != IDE_IDLE)
		return;
	lower_irq(ch);
	if (command == 0x90) {
		diagnose(ch);
		return;
	}
	ch->active = d;
	ch->command = command;
	ch->packet = ch->dma = false;
	d->tf.error = 0;
	d->tf.status = IDE_DRDY | IDE_DSC;
	ide_disk_command(ch);
}

void ide_write(struct ide_channel *ch, unsigned reg, unsigned size, uint32_t val)
{
	if (reg == REG_DATA) {
		write_data(ch, size, val);
		return;
	}
	ch->control &= ~IDE_CONTROL_HOB;		/* any write to the command block clears it */
	if (reg == REG_STATUS) {
		start_command(ch, val);
		return;
	}
	if (ch->phase != IDE_IDLE)			/* BSY or DRQ: not the host's turn */
		return;
	if (reg == REG_DEVICE) {
		ch->device = val;
		return;
	}
	write_taskfile(&ch->drive[0].tf, reg, val);
	write_taskfile(&ch->drive[1].tf, reg, val);
}

void ide_write_control(struct ide_channel *ch, uint8_t val)
{
	uint8_t was = ch->control;

	ch->control = val;
	if (val & IDE_CONTROL_SRST && !(was & IDE_CONTROL_SRST)) {
		reset_channel(ch, false);
		for (unsigned i = 0; i < 2; i++)
			if (ch->drive[i].kind != IDE_NONE)
				ch->drive[i].tf.status = IDE_BSY;
	} else if (was & IDE_CONTROL_SRST && !(val & IDE_CONTROL_SRST)) {
		reset_channel(ch, false);
	}
	update_irq(ch);
}

/* --- medium --- */

void ide_tell_tray(struct ide_channel *ch, unsigned drive)
{
	const struct ide_drive *d = &ch->drive[drive];

	if (ch->ide->host.tray != NULL)
		ch->ide->host.tray(ch->ide->host.arg, ch->index, drive, d->tray_open, d->locked);
}

bool ide_change_medium(struct ide *ide, unsigned channel, unsigned drive, struct disk *disk, bool force)
{
	struct ide_channel *ch = &ide->channel[channel];
	struct ide_drive *d = &ch->drive[drive];

	if (d->kind != IDE_CDROM)
		return false;
	if (d->locked && !force) {
		d->media_event = 1;
		return false;
	}
	if (ch->phase == IDE_MEDIUM && ch->active == d)
		d->disk->drain(d->disk);
	d->disk = disk;
	d->tray_open = disk == NULL;	/* taken out: the tray is left open until someone shuts it */
	d->locked = false;
	d->unit_attention = disk != NULL;
	d->media_event = disk != NULL ? 2 : 3;
	return true;
}

bool ide_move_tray(struct ide *ide, unsigned channel, unsigned drive, bool open, bool force)
{
	struct ide_channel *ch = &ide->channel[channel];
	struct ide_drive *d = &ch->drive[drive];

	if (open && d->locked && !force) {
		d->media_event = 1;
		return false;
	}
	if (d->tray_open == open)
		return true;
	if (ch->phase == IDE_MEDIUM && ch->active == d)
		d->disk->drain(d->disk);
	d->tray_open = open;
	if (open)
		d->locked = false;
	if (d->disk != NULL) {
		d->unit_attention = !open;
		d->media_event = open ? 3 : 2;
	}
	ide_tell_tray(ch, drive);
	return true;
}
