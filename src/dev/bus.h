/*
 * The I/O port space: who answers at which port. A flat table of 65536 owners makes the look-up
 * one load; rows may be added and removed while the guest runs (PCI BARs).
 */
#ifndef PLEX86_DEV_BUS_H
#define PLEX86_DEV_BUS_H

#include "meter/device.h"
#include "util/types.h"

#define BUS_MAX_ROWS 96

/*
 * A run of ports that one device answers. width is the widest access the device itself takes:
 * a wider one is split into accesses of that width at ascending ports, as the ISA bus does, so
 * a handler sees size <= width. The value's bits above size are ignored on read and 0 on write.
 */
struct io_row {
	uint16_t first, last;		/* inclusive */
	uint8_t width;			/* 1, 2 or 4 */
	bool unaligned;			/* takes wide accesses at odd ports whole, too */
	uint32_t (*read)(void *arg, uint16_t port, unsigned size);		/* NULL: write-only, reads FFh */
	void (*write)(void *arg, uint16_t port, unsigned size, uint32_t val);	/* NULL: read-only, drops */
	void *arg;
	const char *name;		/* rows of one device share a name */
	uint8_t meter;			/* the bus's: of its name in bus.devices */
};

struct bus {
	struct io_row row[BUS_MAX_ROWS];
	unsigned nrows;
	uint8_t owner[65536];		/* derived: row index + 1, 0 = nobody */
	uint64_t unclaimed_reads, unclaimed_writes;
	uint16_t last_unclaimed;	/* for reports */
	METER_DEVICES(devices)		/* accesses, by name */
};

/* Put a row on top of what is there. 0, or -ENOSPC when the table is full. */
int bus_claim(struct bus *bus, struct io_row row);
/* Take away every row of that name; what was beneath answers again. */
void bus_release(struct bus *bus, const char *name);
/* A block of n ports whose base the guest sets: that row, from base on; nowhere if that is 0. */
void bus_move(struct bus *bus, struct io_row row, uint16_t base, unsigned n);

/* One access, size 1, 2 or 4. Ports nobody claims read as all ones and drop writes. */
uint32_t bus_read(struct bus *bus, uint16_t port, unsigned size);
void bus_write(struct bus *bus, uint16_t port, unsigned size, uint32_t val);

#endif
