/*
 * Self-monitoring of hard disks.			[ATA/ATAPI-6 "SMART Function Set"]
 *
 * The disk is a file: what it counts stays zero, a self-test is over when it is begun and has found nothing, and the
 * status is good. Errors of the host are reported where they happen.
 * Left out: logs that the host writes, selective self-tests (both announced as absent).
 */
#include <string.h>

#include "dev/ide.h"

enum {
	SMART_READ_DATA = 0xD0, SMART_READ_THRESHOLDS = 0xD1, SMART_AUTOSAVE = 0xD2, SMART_SAVE = 0xD3, SMART_OFF_LINE = 0xD4,
	SMART_READ_LOG = 0xD5, SMART_ENABLE = 0xD8, SMART_DISABLE = 0xD9, SMART_RETURN_STATUS = 0xDA,
};
enum { KEY_MID = 0x4F, KEY_HIGH = 0xC2 };
enum { LOG_DIRECTORY = 0x00, LOG_ERRORS = 0x01, LOG_SELF_TESTS = 0x06 };

/* What drives commonly count, by the numbers that tools know: read errors, sectors moved, starts, sectors to be moved. */
static const uint8_t attributes[] = { 1, 5, 12, 197, 198 };

void ide_end_of_page(uint8_t page[IDE_SECTOR])
{
	uint8_t sum = 0;

	for (unsigned i = 0; i < 511; i++)
		sum = (uint8_t)(sum + page[i]);
	page[511] = (uint8_t)-sum;
}

static void send_page(struct ide_channel *ch)
{
	ide_end_of_page(ch->buf);
	ide_pio(ch, IDE_PIO_IN, 0, IDE_SECTOR, ide_done_quietly, true);
}

static void read_data(struct ide_channel *ch)
{
	uint8_t *p = ch->buf;

	memset(p, 0, IDE_SECTOR);
	p[0] = 0x10;
	for (unsigned i = 0; i < ARRAY_LEN(attributes); i++) {
		uint8_t *a = p + 2 + 12 * i;
		a[0] = attributes[i];
		a[1] = 0x02;			/* collected all the time */
		a[3] = a[4] = 100;		/* normalized now, and at worst */
		a[5] = attributes[i] == 12;	/* raw */
	}
	p[362] = 2;				/* off-line data was collected, without an error */
	p[363] = 0;				/* nor had the last self-test one, if there was one */
	p[364] = 1;				/* seconds */
	p[367] = BIT(0) | BIT(4);		/* EXECUTE OFF-LINE IMMEDIATE; self-tests */
	p[368] = BIT(0) | BIT(1);		/* attributes are saved, also by themselves */
	p[370] = BIT(0);			/* errors are logged */
	p[372] = p[373] = 1;			/* minutes of a short and an extended self-test */
	send_page(ch);
}

static void read_thresholds(struct ide_channel *ch)
{
	memset(ch->buf, 0, IDE_SECTOR);
	ch->buf[0] = 0x10;
	for (unsigned i = 0; i < ARRAY_LEN(attributes); i++)
		ch->buf[2 + 12 * i] = attributes[i];
	send_page(ch);
}

static void read_log(struct ide_channel *ch)
{
	const struct ide_drive *d = ch->active;
	uint8_t *p = ch->buf;

	if (d->tf.count[0] != 1) {		/* each has one sector */
		ide_abort(ch);
		return;
	}
	memset(p, 0, IDE_SECTOR);
	switch (d->tf.lba_low[0]) {
	case LOG_DIRECTORY:
		p[0] = 1;			/* version; then the sectors of each log */
		p[2 * LOG_ERRORS] = p[2 * LOG_SELF_TESTS] = 1;
		ide_pio(ch, IDE_PIO_IN, 0, IDE_SECTOR, ide_done_quietly, true);
		return;				/* it alone has no checksum */
	case LOG_ERRORS:
		p[0] = 1;
		break;
	case LOG_SELF_TESTS:
		p[0] = 1;
		if (d->self_test != 0) {
			p[2] = d->self_test;	/* which; completed without an error; after 0 hours */
			p[508] = 1;		/* the latest is the first */
		}
		break;
	default:
		ide_abort(ch);
		return;
	}
	send_page(ch);
}

static void execute_off_line(struct ide_channel *ch)
{
	struct ide_drive *d = ch->active;
	uint8_t what = d->tf.lba_low[0];

	switch (what) {
	case 0: case 127:			/* collect data; abort what there is no more */
		break;
	case 1: case 2: case 129: case 130:	/* short, extended; the same in captive mode */
		d->self_test = what;
		break;
	default:
		ide_abort(ch);
		return;
	}
	ide_end(ch, 0, 0);
}

void ide_smart_command(struct ide_channel *ch)
{
	struct ide_drive *d = ch->active;
	uint8_t what = d->tf.feature[0];

	if (d->tf.lba_mid[0] != KEY_MID || d->tf.lba_high[0] != KEY_HIGH || (!d->smart && what != SMART_ENABLE)) {
		ide_abort(ch);
		return;
	}
	switch (what) {
	case SMART_READ_DATA:
		read_data(ch);
		return;
	case SMART_READ_THRESHOLDS:
		read_thresholds(ch);
		return;
	case SMART_READ_LOG:
		read_log(ch);
		return;
	case SMART_OFF_LINE:
		execute_off_line(ch);
		return;
	case SMART_AUTOSAVE:
		if (d->tf.count[0] != 0x00 && d->tf.count[0] != 0xF1) {
			ide_abort(ch);
			return;
		}
		break;
	case SMART_ENABLE: case SMART_DISABLE:
		d->smart = what == SMART_ENABLE;
		break;
	case SMART_SAVE:
	case SMART_RETURN_STATUS:		/* good: the key stays in LBA Mid and High */
		break;
	default:
		ide_abort(ch);
		return;
	}
	ide_end(ch, 0, 0);
}
