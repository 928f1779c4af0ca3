#include <string.h>

#include "dev/hpet.h"
#include "tests/test.h"

static unsigned edges[24];
static bool level[24], legacy;

static void on_irq(void *arg, unsigned line, bool up)
{
	edges[line] += up && !level[line];
	level[line] = up;
}

static void on_legacy(void *arg, bool on)
{
	legacy = on;
}

static struct hpet *fresh(void)
{
	static struct hpet h;

	memset(&h, 0, sizeof(h));
	memset(edges, 0, sizeof(edges));
	memset(level, 0, sizeof(level));
	legacy = false;
	h.set_irq = on_irq;
	h.set_legacy = on_legacy;
	hpet_reset(&h, 1000);
	return &h;
}

static uint64_t read64(struct hpet *h, unsigned reg, ns_t now)
{
	return hpet_read(h, reg, 4, now) | (uint64_t)hpet_read(h, reg + 4, 4, now) << 32;
}

TEST(capabilities_name_three_timers_and_their_period)			/* [HPET 1.0a, "General Capabilities and ID Register"] */
{
	struct hpet *h = fresh();

	CHECK_EQ(hpet_read(h, 0, 4, 0), 0x8086A201);
	CHECK_EQ(hpet_read(h, 4, 4, 0), 10000000);
	CHECK_EQ(hpet_read(h, 0x100, 1, 0), 0x30);
	CHECK_EQ(hpet_read(h, 0x104, 4, 0), 0x00F00000);
}

TEST(counter_runs_while_it_is_enabled_and_is_written_while_it_is_not)
{
	struct hpet *h = fresh();

	CHECK_EQ(read64(h, 0xF0, 5000), 0);
	hpet_write(h, 0xF0, 4, 100, 5000);
	hpet_write(h, 0x10, 4, 1, 6000);
	CHECK_EQ(read64(h, 0xF0, 6000), 100);
	CHECK_EQ(read64(h, 0xF0, 7005), 200);
	hpet_write(h, 0xF0, 4, 7, 7005);			/* ignored */
	hpet_write(h, 0x10, 4, 0, 8000);
	CHECK_EQ(read64(h, 0xF0, 90000), 300);
}

TEST(one_shot_timer_fires_once_at_its_count_on_the_line_it_is_routed_to)
{
	struct hpet *h = fresh();

	hpet_write(h, 0x120, 4, 4 | 21 << 9, 1000);		/* enabled, edge, line 21 */
	hpet_write(h, 0x128, 4, 50, 1000);
	hpet_write(h, 0x12C, 4, 0, 1000);
	CHECK_EQ(hpet_next(h, 1000), UINT64_MAX);		/* the counter is off */
	hpet_write(h, 0x10, 4, 1, 2000);
	CHECK_EQ(hpet_next(h, 2000), 2500);
	hpet_update(h, 2499);
	CHECK_EQ(edges[21], 0);
	hpet_update(h, 2500);
	CHECK_EQ(edges[21], 1);
	CHECK(level[21]);					/* until it is seen, however late */
	hpet_update(h, 90000);
	CHECK_EQ(edges[21], 1);
	CHECK_EQ(hpet_read(h, 0x20, 4, 90000), 0);		/* edges have no status */
}

TEST(periodic_timer_takes_its_first_count_and_its_period_one_after_the_other)	/* [HPET 1.0a, "Periodic Mode"] */
{
	struct hpet *h = fresh();

	hpet_write(h, 0x10, 4, 3, 0 + 1000);			/* enable, legacy replacement */
	CHECK(legacy);
	hpet_write(h, 0x100, 4, 4 | 8 | 0x40 | 0x100, 1000);	/* enabled, periodic, value set, 32 bits */
	hpet_write(h, 0x108, 4, 30, 1000);			/* the comparator */
	hpet_write(h, 0x108, 4, 100, 1000);			/* the period */
	CHECK_EQ(hpet_next(h, 1000), 1300);
	hpet_update(h, 1300);
	CHECK_EQ(edges[0], 1);					/* the 8254's line */
	CHECK_EQ(hpet_read(h, 0x108, 4, 1300), 130);
	CHECK_EQ(hpet_next(h, 1300), 2300);
	hpet_update(h, 5900);					/* late by three periods: one interrupt */
	CHECK_EQ(edges[0], 2);
	CHECK_EQ(hpet_next(h, 5900), 6300);
	hpet_write(h, 0x10, 4, 1, 5900);
	CHECK(!legacy);
}

TEST(level_triggered_timer_holds_its_line_until_the_status_is_written)
{
	struct hpet *h = fresh();

	hpet_write(h, 0x140, 4, 2 | 4 | 20 << 9, 1000);
	hpet_write(h, 0x148, 4, 5, 1000);
	hpet_write(h, 0x14C, 4, 0, 1000);
	hpet_write(h, 0x10, 4, 1, 1000);
	hpet_update(h, 1050);
	CHECK(level[20]);
	CHECK_EQ(hpet_read(h, 0x20, 4, 1060), 4);
	hpet_write(h, 0x20, 4, 4, 1060);
	CHECK(!level[20]);
	hpet_reset(h, 2000);
	CHECK_EQ(hpet_next(h, 2000), UINT64_MAX);
}

TEST(registers_show_what_time_has_done_to_them)
{
	struct hpet *h = fresh();

	hpet_write(h, 0x120, 4, 6 | 21 << 9, 0);		/* level */
	hpet_write(h, 0x128, 4, 50, 0);
	hpet_write(h, 0x12C, 4, 0, 0);
	hpet_write(h, 0x140, 4, 0x14C | 22 << 9, 0);		/* periodic, every 100 */
	hpet_write(h, 0x148, 4, 100, 0);
	hpet_write(h, 0x148, 4, 100, 0);
	hpet_write(h, 0x10, 4, 1, 0);
	CHECK_EQ(hpet_read(h, 0x20, 4, 499), 0);
	CHECK_EQ(hpet_read(h, 0x20, 4, 500), 2);		/* nobody has looked before this read */
	CHECK_EQ(hpet_read(h, 0x148, 4, 500), 100);
	CHECK_EQ(hpet_read(h, 0x148, 4, 2500), 300);
}

TEST(timer_of_32_bits_comes_round_again)
{
	struct hpet *h = fresh();

	hpet_write(h, 0x100, 4, 4 | 0x100 | 22 << 9, 1000);
	hpet_write(h, 0x108, 4, 10, 1000);
	hpet_write(h, 0x10, 4, 1, 1000);
	hpet_update(h, 2000);
	CHECK_EQ(edges[22], 1);
	CHECK_EQ(hpet_next(h, 2000), 1000 + (10 + (1ull << 32)) * 10);
	hpet_update(h, 1000 + (10 + (1ull << 32)) * 10);
	CHECK_EQ(edges[22], 2);
}

TEST(line_that_an_edge_left_up_falls_when_the_timer_gets_another)
{
	struct hpet *h = fresh();

	hpet_write(h, 0x108, 4, 30, 1000);
	hpet_write(h, 0x10C, 4, 0, 1000);
	hpet_write(h, 0x100, 4, 4 | 20 << 9, 1000);
	hpet_write(h, 0x10, 4, 1, 1000);
	hpet_update(h, 1300);
	CHECK(level[20]);
	hpet_write(h, 0x100, 4, 4 | 21 << 9, 1300);
	CHECK(!level[20]);
	hpet_write(h, 0x10, 4, 3, 1300);			/* legacy replacement */
	hpet_write(h, 0x108, 4, 60, 1300);
	hpet_update(h, 1600);
	CHECK(level[0]);
	hpet_write(h, 0x10, 4, 1, 1600);
	CHECK(!level[0]);
}
