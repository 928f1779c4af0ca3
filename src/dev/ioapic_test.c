#include <string.h>

#include "dev/ioapic.h"
#include "tests/test.h"

struct sent { unsigned n; uint8_t dest, vector; bool logical, level; unsigned mode; };

static bool on_send(void *arg, uint8_t dest, bool logical, unsigned mode, uint8_t vector, bool level)
{
	struct sent *s = arg;

	*s = (struct sent){ s->n + 1, dest, vector, logical, level, mode };
	return true;
}

static void setup(struct ioapic *io, struct sent *s)
{
	memset(io, 0, sizeof(*io));
	memset(s, 0, sizeof(*s));
	ioapic_reset(io);
	io->send = on_send;
	io->arg = s;
}

static void reg(struct ioapic *io, unsigned r, uint32_t val)
{
	ioapic_write(io, 0, r);
	ioapic_write(io, 0x10, val);
}

static uint32_t get(struct ioapic *io, unsigned r)
{
	ioapic_write(io, 0, r);
	return ioapic_read(io, 0x10);
}

TEST(ioapic_edge_sends_once_a_rise_unless_masked)
{
	struct ioapic io;
	struct sent s;
	setup(&io, &s);
	ioapic_set_pin(&io, 4, true);
	CHECK_EQ(s.n, 0);				/* masked after reset */
	ioapic_set_pin(&io, 4, false);
	reg(&io, 0x19, 0x01000000);
	reg(&io, 0x18, 0x0831);				/* logical, vector 31h */
	ioapic_set_pin(&io, 4, true);
	ioapic_set_pin(&io, 4, true);
	CHECK_EQ(s.n, 1);
	CHECK_EQ(s.vector, 0x31);
	CHECK_EQ(s.dest, 1);
	CHECK(s.logical && !s.level);
	ioapic_set_pin(&io, 4, false);
	ioapic_set_pin(&io, 4, true);
	CHECK_EQ(s.n, 2);
}

TEST(ioapic_level_is_sent_again_after_eoi_while_the_pin_is_up)	/* [82093AA "Remote IRR"] */
{
	struct ioapic io;
	struct sent s;
	setup(&io, &s);
	reg(&io, 0x10 + 2 * 11, 0xA071);		/* level, low active, vector 71h */
	ioapic_set_pin(&io, 11, true);
	CHECK_EQ(s.n, 1);
	CHECK(get(&io, 0x10 + 2 * 11) & 0x4000);
	ioapic_set_pin(&io, 11, false);
	ioapic_set_pin(&io, 11, true);
	CHECK_EQ(s.n, 1);				/* remote IRR is still set */
	ioapic_eoi(&io, 0x72);
	CHECK_EQ(s.n, 1);
	ioapic_eoi(&io, 0x71);
	CHECK_EQ(s.n, 2);
	ioapic_set_pin(&io, 11, false);
	ioapic_eoi(&io, 0x71);
	CHECK_EQ(s.n, 2);
	CHECK(!(get(&io, 0x10 + 2 * 11) & 0x4000));
}

TEST(ioapic_unmasking_a_level_pin_that_is_up_sends_at_once)
{
	struct ioapic io;
	struct sent s;
	setup(&io, &s);
	reg(&io, 0x10 + 2 * 10, 0x18071);
	ioapic_set_pin(&io, 10, true);
	CHECK_EQ(s.n, 0);
	reg(&io, 0x10 + 2 * 10, 0x8071);
	CHECK_EQ(s.n, 1);
}

TEST(ioapic_version_says_24_entries)
{
	struct ioapic io;
	struct sent s;
	setup(&io, &s);
	CHECK_EQ(get(&io, 1), 0x00170011);
	reg(&io, 0, 0x0F000000);
	CHECK_EQ(get(&io, 0), 0x0F000000);
	CHECK_EQ(get(&io, 0x60), 0);
	CHECK_EQ(get(&io, 0x10), 0x10000);
}
