/*
 * Two IDE channels with a bus master, for hard disks (ATA) and CD-ROMs (ATAPI).
 *
 * A channel carries out one command at a time; the medium answers asynchronously (disk.h), and
 * the chip is busy meanwhile. Interrupts leave as a level per channel.
 */
#ifndef PLEX86_DEV_IDE_H
#define PLEX86_DEV_IDE_H

#include "dev/disk.h"

#define IDE_SECTOR		512u
#define CD_SECTOR		2048u
#define CD_RAW_SECTOR		2352u
#define IDE_MULTIPLE_MAX	16u
#define IDE_CHUNK_SECTORS	256u
#define IDE_BUF_BYTES		(IDE_CHUNK_SECTORS * IDE_SECTOR)

enum ide_kind { IDE_NONE, IDE_DISK, IDE_CDROM };

enum {					/* status register */
	IDE_ERR = BIT(0), IDE_DRQ = BIT(3), IDE_DSC = BIT(4), IDE_DF = BIT(5), IDE_DRDY = BIT(6), IDE_BSY = BIT(7),
};
enum { IDE_ABRT = BIT(2), IDE_IDNF = BIT(4), IDE_UNC = BIT(6) };	/* error register */
enum { IDE_CONTROL_NIEN = BIT(1), IDE_CONTROL_SRST = BIT(2), IDE_CONTROL_HOB = BIT(7) };

/* The command block registers of one drive. [1] is what was there before: LBA48's high order bytes. */
struct ide_taskfile {
	uint8_t feature[2], count[2], lba_low[2], lba_mid[2], lba_high[2];
	uint8_t error, status;
};

struct atapi_sense {
	uint8_t key, asc, ascq;
};

struct ide_drive {
	/* architectural */
	enum ide_kind kind;
	struct ide_taskfile tf;
	uint16_t heads, sectors;	/* translation in force (INITIALIZE DEVICE PARAMETERS) */
	uint8_t multiple;		/* sectors per block of READ/WRITE MULTIPLE; 0: not set */
	uint8_t transfer_mode;		/* SET FEATURES 03h */
	bool write_cache, look_ahead;
	bool smart;			/* SMART is enabled */
	uint8_t self_test;		/* the last that was asked for; 0: none */
	bool standby;			/* the motor would stand still: CHECK POWER MODE says so */
	/* CD-ROM */
	struct atapi_sense sense;
	bool unit_attention;		/* the medium may have changed: report once */
	bool tray_open, locked;
	uint8_t media_event;		/* for GET EVENT STATUS: 0 none, 1 eject request, 2 new medium, 3 removal */

	/* host */
	struct disk *disk;		/* the medium; NULL: none (CD-ROM) */
	char model[41], serial[21];
};

enum ide_phase {
	IDE_IDLE,
	IDE_PIO_IN,			/* the host reads buf[pos, end) */
	IDE_PIO_OUT,			/* the host writes it */
	IDE_WAIT_DMA,			/* a DMA command waits for the bus master */
	IDE_MEDIUM,			/* a request is with the disk */
};

struct ide;

struct ide_channel {
	/* architectural */
	struct ide_drive drive[2];
	uint8_t device;			/* device/head register, as last written */
	uint8_t control;
	bool intrq;			/* the drive asks for an interrupt (before nIEN) */
	enum ide_phase phase;
	uint8_t bm_command, bm_status;
	uint32_t bm_table;
	/* the command under way */
	struct ide_drive *active;
	uint8_t command;
	bool lba48, dma, write, packet;
	uint64_t lba;			/* next sector */
	uint32_t left;			/* sectors still to move, after those in buf */
	uint32_t chunk;			/* sectors in buf */
	uint32_t chunk_limit;		/* 1 after an error: to find the sector that fails */
	uint32_t block;			/* sectors per DRQ block */
	uint32_t pos, end, filled;	/* in buf: PIO block [pos, end) of [0, filled) */
	uint32_t byte_limit;		/* ATAPI: per DRQ block */
	uint8_t cd_parts;		/* ATAPI: which parts of a sector are wanted, as READ CD's byte 9 says it */
	uint32_t prd_at, prd_base, prd_left;	/* bus master: next descriptor, rest of the current one */
	bool prd_last, prd_loaded;
	void (*after)(struct ide_channel *ch);	/* PIO: the block has been moved */
	void (*medium_done)(struct ide_channel *ch, int error);
	uint8_t packet_bytes[12];
	uint8_t buf[IDE_BUF_BYTES];

	/* host */
	struct disk_request req;
	struct ide *ide;
	unsigned index;
};

struct ide_host {
	void *arg;
	void (*set_irq)(void *arg, unsigned channel, bool level);
	void (*mem_read)(void *arg, gpa_t gpa, void *buf, size_t len);
	void (*mem_write)(void *arg, gpa_t gpa, const void *buf, size_t len);
	/* The guest opened or closed the tray, or locked the door. May be NULL. */
	void (*tray)(void *arg, unsigned channel, unsigned drive, bool open, bool locked);
};

struct ide {
	struct ide_channel channel[2];
	struct ide_host host;
};

/* No drives yet. */
void ide_init(struct ide *ide, const struct ide_host *host);
/* Plug in a drive. serial: up to 20 characters; NULL: one by position. A CD-ROM's disk may be NULL. */
void ide_attach(struct ide *ide, unsigned channel, unsigned drive, enum ide_kind kind, struct disk *disk,
		const char *serial);
/* Power-on or RESET#: waits for the medium. */
void ide_reset(struct ide *ide);

/* Command block 1F0h/170h: reg 0..7. The data register takes size 2 and 4; the others 1. */
uint32_t ide_read(struct ide_channel *ch, unsigned reg, unsigned size);
void ide_write(struct ide_channel *ch, unsigned reg, unsigned size, uint32_t val);
/* Control block 3F6h/376h. */
uint8_t ide_read_alternate(struct ide_channel *ch);
void ide_write_control(struct ide_channel *ch, uint8_t val);
/* Bus master block: offset 0..15, channel 1 from 8. size 1, 2, 4. */
uint32_t ide_bm_read(struct ide *ide, unsigned offset, unsigned size);
void ide_bm_write(struct ide *ide, unsigned offset, unsigned size, uint32_t val);

/*
 * Change a CD-ROM's medium; NULL takes it out. Not allowed while the guest holds the door locked
 * unless force: false then, and the guest is told that someone wants to eject.
 */
bool ide_change_medium(struct ide *ide, unsigned channel, unsigned drive, struct disk *disk, bool force);

/* The user presses the drive's button: false if the door is locked and force is not set (the guest is told). */
bool ide_move_tray(struct ide *ide, unsigned channel, unsigned drive, bool open, bool force);

/* CHS geometry of a disk as IDENTIFY reports it. */
void ide_geometry(uint64_t size_bytes, unsigned *cylinders, unsigned *heads, unsigned *sectors);

/* --- between the files of this chip --- */
void ide_raise_irq(struct ide_channel *ch);
void ide_end(struct ide_channel *ch, uint8_t error, uint8_t extra_status);	/* command over, interrupt */
void ide_abort(struct ide_channel *ch);				/* ends with ABRT */
void ide_pio(struct ide_channel *ch, enum ide_phase phase, uint32_t pos, uint32_t len,
	     void (*after)(struct ide_channel *ch), bool irq);
void ide_submit(struct ide_channel *ch, enum disk_op op, uint64_t offset, uint32_t len, uint8_t *buf,
		void (*done)(struct ide_channel *ch, int error));
void ide_signature(struct ide_drive *drive);
void ide_done_quietly(struct ide_channel *ch);			/* after the last byte of a PIO-in transfer */
void ide_smart_command(struct ide_channel *ch);
void ide_disk_command(struct ide_channel *ch);
void ide_disk_dma(struct ide_channel *ch);			/* the bus master is ready */
void ide_identify_string(uint8_t *out, const char *text, unsigned len);
void ide_identify_modes(uint8_t *id, const struct ide_drive *d);
void ide_set16(uint8_t *p, uint16_t val);
void ide_end_of_page(uint8_t page[IDE_SECTOR]);	/* its last byte: all of them add up to 0 */
void ide_tell_tray(struct ide_channel *ch, unsigned drive);
size_t ide_dma_move(struct ide_channel *ch, uint8_t *buf, size_t len, bool to_memory);
void ide_dma_wait(struct ide_channel *ch);
void ide_dma_finish(struct ide_channel *ch);
void atapi_command(struct ide_channel *ch);			/* PACKET has been written */
void atapi_identify(struct ide_channel *ch);
void atapi_dma(struct ide_channel *ch);

#endif
