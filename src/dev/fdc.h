/*
 * Floppy disk controller with two drives, ports 3F0h-3F5h and 3F7h.			[82077AA]
 */
#ifndef PLEX86_DEV_FDC_H
#define PLEX86_DEV_FDC_H

#include "dev/disk.h"

#define FDC_SECTOR 512u
#define FDC_BYTES_MAX (2880u * 1024)	/* of the largest format */

struct fdc_format {			/* what a disk of this size is */
	uint16_t kib;
	uint8_t cylinders, heads, sectors;
	uint8_t rate;			/* data rate select: 0 500, 1 300, 2 250, 3 1000 kbit/s */
	uint8_t drive;			/* CMOS type of the drive it goes into */
};

struct fdc_drive {
	bool present;
	struct disk *disk;		/* NULL: empty */
	const struct fdc_format *format;
	uint8_t cylinder;		/* where the head is */
	bool changed;			/* DSKCHG: until the head steps with a disk in */
	uint8_t last_sector;		/* READ ID goes round the track */
};

struct fdc_host {
	void *arg;
	void (*set_irq)(void *arg, bool level);
	/* DRQ: move up to len bytes through the DMA channel in its direction; how many, and TC. */
	size_t (*dma)(void *arg, void *buf, size_t len, bool *tc);
};

enum fdc_phase { FDC_COMMAND, FDC_EXECUTE, FDC_PIO_READ, FDC_PIO_WRITE, FDC_RESULT };

struct fdc {
	/* architectural */
	struct fdc_drive drive[2];
	uint8_t dor, dsr, tdr, rate;
	uint8_t srt_hut, hlt;		/* SPECIFY */
	uint8_t config, precomp, perpendicular;
	bool non_dma, lock;
	enum fdc_phase phase;
	bool irq;
	uint8_t reset_sense;		/* SENSE INTERRUPTs still owed after a reset */
	uint8_t st0_sense[4];		/* of each drive's finished seek; bit 7 set: none */
	uint8_t fifo[16];		/* command or result */
	unsigned at, len;
	/* the transfer under way */
	uint8_t command, unit, c, h, r, n, eot, st1, st2;
	bool multi_track, tc, pending;
	unsigned format_left;
	uint8_t buf[FDC_SECTOR];
	unsigned buf_at;
	/* host */
	struct disk_request req;
	struct fdc_host host;
};

void fdc_init(struct fdc *fdc, const struct fdc_host *host);
void fdc_reset(struct fdc *fdc);
/* A drive, and a disk in it (or NULL). Also to change the disk. */
void fdc_attach(struct fdc *fdc, unsigned drive, struct disk *disk);
unsigned fdc_drive_type(const struct fdc *fdc, unsigned drive);		/* CMOS type; 0: no drive */
const struct fdc_format *fdc_format_of(uint64_t size_bytes);

uint8_t fdc_read(struct fdc *fdc, unsigned reg);
void fdc_write(struct fdc *fdc, unsigned reg, uint8_t val);

#endif
