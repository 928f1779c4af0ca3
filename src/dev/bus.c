/*
 * I/O port dispatch.							[AT-TRM "I/O Channel"], [SDM 1 "Input/Output"]
 *
 * Rows stack: the latest claim of a port wins, and releasing it uncovers the one beneath. The owner
 * table is rebuilt then, which only happens when a guest moves a BAR.
 */
#include "dev/bus.h"

#include <errno.h>
#include <string.h>

static void bus_own(struct bus *bus, unsigned i)
{
	const struct io_row *row = &bus->row[i];

	memset(&bus->owner[row->first], (int)i + 1, (size_t)row->last - row->first + 1);
}

int bus_claim(struct bus *bus, struct io_row row)
{
	if (bus->nrows == BUS_MAX_ROWS)
		return -ENOSPC;
	row.meter = METER_DEVICE_OF(&bus->devices, row.name);
	bus->row[bus->nrows] = row;
	bus_own(bus, bus->nrows++);
	return 0;
}

void bus_release(struct bus *bus, const char *name)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < bus->nrows; i++)
		if (strcmp(bus->row[i].name, name) != 0)
			bus->row[kept++] = bus->row[i];
	bus->nrows = kept;
	memset(bus->owner, 0, sizeof(bus->owner));
	for (unsigned i = 0; i < kept; i++)
		bus_own(bus, i);
}

void bus_move(struct bus *bus, struct io_row row, uint16_t base, unsigned n)
{
	bus_release(bus, row.name);
	if (base == 0)
		return;
	row.first = base;
	row.last = (uint16_t)(base + n - 1);
	bus_claim(bus, row);
}

/* The row that takes the access as one, or NULL: nobody, or it has to be split. */
static struct io_row *bus_row(struct bus *bus, uint16_t port, unsigned size, bool *split)
{
	unsigned owner = bus->owner[port];
	struct io_row *row = owner ? &bus->row[owner - 1] : NULL;

	*split = false;
	if (size == 1)
		return row;
	/* Nobody at the first byte: another device may still answer at the following ones. */
	if (!row || size > row->width || port + size - 1u > row->last || ((port & (size - 1)) && !row->unaligned)) {
		*split = true;
		return NULL;
	}
	return row;
}

static uint32_t ones(unsigned size)
{
	return size == 4 ? 0xFFFFFFFF : (1u << 8 * size) - 1;
}

uint32_t bus_read(struct bus *bus, uint16_t port, unsigned size)
{
	bool split;
	struct io_row *row = bus_row(bus, port, size, &split);

	if (split) {		/* ports wrap at 64K: the CPU has no port 10000h */
		unsigned half = size / 2;
		uint32_t low = bus_read(bus, port, half);
		return low | bus_read(bus, (uint16_t)(port + half), half) << 8 * half;
	}
	if (!row) {
		bus->unclaimed_reads++;
		bus->last_unclaimed = port;
		return ones(size);
	}
	METER_DEVICE_READ(&bus->devices, row->meter);
	uint32_t val = row->read ? row->read(row->arg, port, size) & ones(size) : ones(size);
	METER_DEVICE_DONE(&bus->devices);
	return val;
}

void bus_write(struct bus *bus, uint16_t port, unsigned size, uint32_t val)
{
	bool split;
	struct io_row *row = bus_row(bus, port, size, &split);

	val &= ones(size);
	if (split) {
		unsigned half = size / 2;
		bus_write(bus, port, half, val & ones(half));
		bus_write(bus, (uint16_t)(port + half), half, val >> 8 * half);
		return;
	}
	if (!row) {
		bus->unclaimed_writes++;
		bus->last_unclaimed = port;
		return;
	}
	METER_DEVICE_WRITE(&bus->devices, row->meter);
	if (row->write)
		row->write(row->arg, port, size, val);
	METER_DEVICE_DONE(&bus->devices);
}
