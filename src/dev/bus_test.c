#include "dev/bus.h"
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>

struct probe {
	unsigned n;
	uint16_t port[8];
	unsigned size[8];
	uint32_t val[8];
};

static uint32_t probe_read(void *arg, uint16_t port, unsigned size)
{
	struct probe *p = arg;

	p->port[p->n & 7] = port;
	p->size[p->n++ & 7] = size;
	return size == 1 ? port & 0xFF : size == 2 ? 0xBEEF : 0x12345678;
}

static void probe_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct probe *p = arg;

	p->port[p->n & 7] = port;
	p->val[p->n & 7] = val;
	p->size[p->n++ & 7] = size;
}

static struct bus *fresh(struct probe *p, uint16_t first, uint16_t last, uint8_t width)
{
	struct bus *bus = calloc(1, sizeof(*bus));

	CHECK(bus != NULL);
	CHECK_EQ(bus_claim(bus, (struct io_row){ .first = first, .last = last, .width = width,
	    .read = probe_read, .write = probe_write, .arg = p, .name = "probe" }), 0);
	return bus;
}

TEST(a_port_nobody_claims_reads_all_ones_and_is_counted)
{
	struct bus *bus = calloc(1, sizeof(*bus));

	CHECK_EQ(bus_read(bus, 0x1234, 1), 0xFF);
	CHECK_EQ(bus_read(bus, 0x1234, 2), 0xFFFF);
	CHECK_EQ(bus_read(bus, 0x1234, 4), 0xFFFFFFFF);
	bus_write(bus, 0x1234, 1, 0);
	CHECK_EQ(bus->unclaimed_writes, 1);
	CHECK_EQ(bus->last_unclaimed, 0x1234);
	free(bus);
}

TEST(a_wide_read_of_an_8_bit_device_is_split_into_bytes_at_ascending_ports)
{
	struct probe p = { 0 };
	struct bus *bus = fresh(&p, 0x60, 0x6F, 1);

	CHECK_EQ(bus_read(bus, 0x60, 4), 0x63626160);
	CHECK_EQ(p.n, 4);
	CHECK_EQ(p.port[3], 0x63);
	CHECK_EQ(p.size[3], 1);
	free(bus);
}

TEST(a_wide_write_is_split_and_each_byte_arrives_low_first)
{
	struct probe p = { 0 };
	struct bus *bus = fresh(&p, 0x60, 0x6F, 1);

	bus_write(bus, 0x62, 2, 0xABCD);
	CHECK_EQ(p.n, 2);
	CHECK_EQ(p.val[0], 0xCD);
	CHECK_EQ(p.val[1], 0xAB);
	CHECK_EQ(p.port[1], 0x63);
	free(bus);
}

TEST(an_access_as_wide_as_the_device_arrives_whole)
{
	struct probe p = { 0 };
	struct bus *bus = fresh(&p, 0x1F0, 0x1F3, 4);

	CHECK_EQ(bus_read(bus, 0x1F0, 4), 0x12345678);
	CHECK_EQ(bus_read(bus, 0x1F0, 2), 0xBEEF);
	CHECK_EQ(p.n, 2);
	free(bus);
}

TEST(an_access_past_the_last_port_of_a_device_reads_ones_there)
{
	struct probe p = { 0 };
	struct bus *bus = fresh(&p, 0x70, 0x71, 2);

	CHECK_EQ(bus_read(bus, 0x71, 2), 0xFF71);
	CHECK_EQ(bus_read(bus, 0x6F, 2), 0x70FF);
	free(bus);
}

TEST(an_access_at_port_ffff_wraps_to_port_0)
{
	struct probe p = { 0 };
	struct bus *bus = fresh(&p, 0, 0, 1);

	CHECK_EQ(bus_read(bus, 0xFFFF, 2), 0x00FF);
	CHECK_EQ(p.n, 1);
	free(bus);
}

TEST(a_later_claim_covers_an_earlier_one_until_it_is_released)
{
	struct probe low = { 0 }, high = { 0 };
	struct bus *bus = fresh(&low, 0x100, 0x10F, 1);

	CHECK_EQ(bus_claim(bus, (struct io_row){ .first = 0x104, .last = 0x104, .width = 1,
	    .read = probe_read, .arg = &high, .name = "cover" }), 0);
	bus_read(bus, 0x104, 1);
	CHECK_EQ(high.n, 1);
	CHECK_EQ(low.n, 0);
	bus_write(bus, 0x104, 1, 5);		/* read-only: dropped, not passed beneath */
	CHECK_EQ(low.n, 0);
	bus_release(bus, "cover");
	bus_read(bus, 0x104, 1);
	CHECK_EQ(low.n, 1);
	free(bus);
}

#ifdef PLEX86_METERS
TEST(accesses_are_counted_by_name_over_all_rows)
{
	struct probe p = { 0 };
	struct bus *bus = fresh(&p, 0x20, 0x21, 1);

	bus_claim(bus, (struct io_row){ .first = 0xA0, .last = 0xA1, .width = 1, .read = probe_read,
	    .arg = &p, .name = "probe" });
	bus_read(bus, 0x20, 1);
	bus_read(bus, 0xA0, 2);
	bus_write(bus, 0x21, 1, 0);
	CHECK_EQ(meter_device_accesses(&bus->devices, "probe"), 4);
	free(bus);
}
#endif

TEST(a_full_table_refuses_the_row)
{
	struct probe p = { 0 };
	struct bus *bus = fresh(&p, 0, 0, 1);

	for (unsigned i = 1; i < BUS_MAX_ROWS; i++)
		CHECK_EQ(bus_claim(bus, bus->row[0]), 0);
	CHECK_EQ(bus_claim(bus, bus->row[0]), -ENOSPC);
	free(bus);
}
