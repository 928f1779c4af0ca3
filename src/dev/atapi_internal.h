/*
 * Between the files of the CD-ROM drive: atapi.c carries packets out, atapi_info.c has those that only tell
 * something, cd_sector.c makes whole sectors.
 */
#ifndef PLEX86_DEV_ATAPI_INTERNAL_H
#define PLEX86_DEV_ATAPI_INTERNAL_H

#include "dev/ide.h"
#include "util/be.h"

enum { KEY_NONE = 0, KEY_NOT_READY = 2, KEY_MEDIUM = 3, KEY_ILLEGAL = 5, KEY_ATTENTION = 6 };

#define SENSE_OK		((struct atapi_sense){ 0, 0, 0 })
#define SENSE_NO_DISC		((struct atapi_sense){ KEY_NOT_READY, 0x3A, 0x01 })
#define SENSE_TRAY_OPEN		((struct atapi_sense){ KEY_NOT_READY, 0x3A, 0x02 })
#define SENSE_READ_ERROR	((struct atapi_sense){ KEY_MEDIUM, 0x11, 0x00 })
#define SENSE_BAD_COMMAND	((struct atapi_sense){ KEY_ILLEGAL, 0x20, 0x00 })
#define SENSE_BAD_ADDRESS	((struct atapi_sense){ KEY_ILLEGAL, 0x21, 0x00 })
#define SENSE_BAD_FIELD		((struct atapi_sense){ KEY_ILLEGAL, 0x24, 0x00 })
#define SENSE_WRONG_MEDIUM	((struct atapi_sense){ KEY_ILLEGAL, 0x30, 0x02 })
#define SENSE_NO_SAVED_PAGES	((struct atapi_sense){ KEY_ILLEGAL, 0x39, 0x00 })
#define SENSE_LOCKED		((struct atapi_sense){ KEY_ILLEGAL, 0x53, 0x02 })
#define SENSE_BAD_MODE		((struct atapi_sense){ KEY_ILLEGAL, 0x64, 0x00 })
#define SENSE_NEW_DISC		((struct atapi_sense){ KEY_ATTENTION, 0x28, 0x00 })

static inline bool atapi_disc_present(const struct ide_drive *d)
{
	return d->disk != NULL && !d->tray_open;
}

static inline uint32_t atapi_disc_sectors(const struct ide_drive *d)
{
	uint64_t n = d->disk->size_bytes / CD_SECTOR;

	return MIN(n, 0xFFFFFFFFu);
}

/* More than 80 minutes of 75 sectors a second. */
static inline bool atapi_disc_is_dvd(const struct ide_drive *d)
{
	return atapi_disc_sectors(d) > 80 * 60 * 75;
}

/* --- how a packet ends (atapi.c) --- */
void atapi_good(struct ide_channel *ch);
void atapi_fail(struct ide_channel *ch, struct atapi_sense sense);
/* With a reply of len bytes, which is in buf; the packet allows alloc. */
void atapi_reply(struct ide_channel *ch, uint32_t len, uint32_t alloc);

/* --- packets that are answered with what is so (atapi_info.c); p: the packet --- */
void atapi_inquiry(struct ide_channel *ch, const uint8_t *p);
void atapi_mode_sense(struct ide_channel *ch, const uint8_t *p);
void atapi_get_configuration(struct ide_channel *ch, const uint8_t *p);
void atapi_get_event_status(struct ide_channel *ch, const uint8_t *p);
void atapi_mechanism_status(struct ide_channel *ch, const uint8_t *p);
void atapi_read_capacity(struct ide_channel *ch);
void atapi_read_toc(struct ide_channel *ch, const uint8_t *p);
void atapi_read_subchannel(struct ide_channel *ch, const uint8_t *p);
void atapi_read_disc_information(struct ide_channel *ch, const uint8_t *p);
void atapi_read_track_information(struct ide_channel *ch, const uint8_t *p);
void atapi_read_dvd_structure(struct ide_channel *ch, const uint8_t *p);

/* --- cd_sector.c --- */
enum { CD_SYNC = BIT(7), CD_HEADER = BIT(5), CD_DATA = BIT(4), CD_EDC = BIT(3) };	/* [MMC-3 "READ CD", byte 9] */
uint32_t cd_parts_bytes(uint8_t parts);
/* A mode 1 sector with all that is around its data on the disc. */
void cd_sector(uint8_t out[CD_RAW_SECTOR], uint32_t lba, const uint8_t data[CD_SECTOR]);
/* The parts of it that are wanted. */
void cd_copy_parts(uint8_t *out, const uint8_t raw[CD_RAW_SECTOR], uint8_t parts);

#endif
