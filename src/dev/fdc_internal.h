/* Between the floppy controller's files: registers and commands (fdc.c), data (fdc_transfer.c). */
#ifndef PLEX86_DEV_FDC_INTERNAL_H
#define PLEX86_DEV_FDC_INTERNAL_H

#include "dev/fdc.h"

enum { ST0_ABNORMAL = 0x40, ST0_INVALID = 0x80, ST0_READY_CHANGED = 0xC0, ST0_SEEK_END = 0x20 };
enum { ST1_NO_ADDRESS = 0x01, ST1_NOT_WRITABLE = 0x02, ST1_NO_DATA = 0x04, ST1_OVERRUN = 0x10, ST1_CRC = 0x20,
       ST1_END = 0x80 };
enum { ST2_CONTROL_MARK = 0x40, ST2_CRC = 0x20, ST2_WRONG_CYLINDER = 0x10 };
enum { CONFIG_IMPLIED_SEEK = BIT(6) };

static inline struct fdc_drive *fdc_drive_of(struct fdc *fdc, unsigned unit)
{
	return unit < 2 && fdc->drive[unit].present ? &fdc->drive[unit] : NULL;
}

/* fdc.c */
void fdc_set_irq(struct fdc *fdc, bool level);
void fdc_result(struct fdc *fdc, unsigned n);		/* n bytes of fifo[] are for the CPU */

/* fdc_transfer.c */
void fdc_transfer_result(struct fdc *fdc, uint8_t st0);	/* the end of a command: seven bytes, and the interrupt */
void fdc_transfer_fail(struct fdc *fdc, uint8_t st1, uint8_t st2);
bool fdc_medium_readable(struct fdc *fdc);		/* otherwise the command has ended */
void fdc_start_transfer(struct fdc *fdc);
void fdc_format_track(struct fdc *fdc);
void fdc_sector_moved(struct fdc *fdc);			/* the CPU has taken what is in buf */
void fdc_write_sector(struct fdc *fdc);			/* the CPU has filled buf */

#endif
