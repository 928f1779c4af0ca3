#include "host/spin.h"
#include "tests/test.h"

enum { PAUSE_NS = 150, WORK_NS = 1500 };

/* The guest's end of it: loops of PAUSEs until a time. */
struct guest {
	struct spin spin;
	ns_t now;
	int32_t pauses;
	unsigned looks, sleeps;
	bool skips;			/* its clock is put forward: nothing ends late */
	ns_t tick_ns, next_tick;	/* an interrupt so often, or 0: it wakes, and its handler uses a port */
};

static void look(struct guest *g)
{
	ns_t until = spin_look(&g->spin, g->now, g->skips, &g->pauses);

	g->looks++;
	CHECK(until == 0 || until > g->now);
	CHECK(until <= g->now + 500000);
	if (until == 0)
		return;
	g->sleeps++;
	while (g->tick_ns != 0 && g->next_tick <= g->now)
		g->next_tick += g->tick_ns;
	bool tick = g->tick_ns != 0 && g->next_tick < until;
	g->now = (tick ? g->next_tick : until) + (g->skips ? 0 : 5000);
	spin_slept(&g->spin, g->now);
	if (!tick)
		return;
	g->next_tick += g->tick_ns;
	g->now += 10000;
	spin_port(&g->spin);
}

/* Waits ns as a delay loop does; how long it took. */
static ns_t wait_loop(struct guest *g, ns_t ns)
{
	ns_t begun = g->now, end = begun + ns;

	while (g->now < end) {
		g->now += PAUSE_NS;
		if (--g->pauses < 0)
			look(g);
	}
	g->now += WORK_NS;
	spin_port(&g->spin);
	return g->now - WORK_NS - begun;
}

TEST(a_row_of_equal_delays_takes_one_sleep_each_and_no_longer_than_asked)
{
	struct guest g = { .now = 1000000, .pauses = 256 };

	for (unsigned i = 0; i < 8; i++)
		wait_loop(&g, 250000);
	g.looks = g.sleeps = 0;
	for (unsigned i = 0; i < 100; i++)
		CHECK(wait_loop(&g, 250000) < 252000);
	CHECK_EQ(g.sleeps, 100);
	CHECK(g.looks < 5000);			/* of some 166,000 PAUSEs */
}

TEST(a_short_delay_after_long_ones_is_lengthened_once_and_then_not_expected)
{
	struct guest g = { .now = 1000000, .pauses = 256 };

	for (unsigned i = 0; i < 8; i++)
		wait_loop(&g, 250000);
	ns_t first = wait_loop(&g, 50000);
	CHECK(first < 260000);
	for (unsigned i = 0; i < 3; i++)
		CHECK(wait_loop(&g, 50000) < 80000);
}

TEST(an_interrupt_in_the_midst_of_a_delay_is_not_taken_for_its_end)
{
	struct guest g = { .now = 1000000, .pauses = 256 };

	for (unsigned i = 0; i < 8; i++)
		wait_loop(&g, 250000);
	g.tick_ns = 1000000;
	g.next_tick = g.now + 100000;
	g.looks = g.sleeps = 0;
	for (unsigned i = 0; i < 100; i++)
		CHECK(wait_loop(&g, 250000) < 268000);
	CHECK(g.sleeps < 130);
	CHECK(g.looks < 5000);
}

TEST(delays_shorter_than_a_sleep_is_worth_are_left_alone)
{
	struct guest g = { .now = 1000000, .pauses = 256 };

	for (unsigned i = 0; i < 1000; i++)
		wait_loop(&g, 20000);
	CHECK_EQ(g.sleeps, 0);
}

TEST(whoever_waits_long_sleeps_half_as_long_as_he_has_waited)
{
	struct guest g = { .now = 1000000, .pauses = 256 };
	ns_t took = wait_loop(&g, 100000000);

	CHECK(took < 100600000);
	CHECK(g.sleeps > 190 && g.sleeps < 230);	/* of 500 us */
}

TEST(pauses_with_other_work_between_are_no_loop)
{
	struct guest g = { .now = 1000000, .pauses = 256 };

	for (unsigned i = 0; i < 100000; i++) {
		g.now += 3000;
		if (--g.pauses < 0)
			look(&g);
	}
	CHECK_EQ(g.sleeps, 0);
}

TEST(delays_that_are_skipped_are_little_longer_than_asked_whatever_their_length)
{
	for (ns_t ns = 10000; ns < 3000000; ns = ns * 3 / 2) {
		struct guest g = { .now = 1000000, .pauses = 256, .skips = true };

		for (unsigned i = 0; i < 20; i++) {
			ns_t took = wait_loop(&g, ns);
			CHECK(took >= ns && took < ns + ns / 7 + 2000);		/* the first: an eighth, and some PAUSEs */
			CHECK(i < 6 || took < ns + ns / 32 + 2000);
		}
		g.looks = 0;
		for (unsigned i = 0; i < 100; i++)
			wait_loop(&g, ns);
		CHECK(g.looks < 100 * 24);
	}
}

TEST(short_delays_after_long_ones_that_are_skipped_are_lengthened_twice_at_most)
{
	struct guest g = { .now = 1000000, .pauses = 256, .skips = true };

	for (unsigned i = 0; i < 8; i++)
		wait_loop(&g, 250000);
	CHECK(wait_loop(&g, 50000) < 252000);
	CHECK(wait_loop(&g, 50000) < 252000);
	for (unsigned i = 0; i < 20; i++)
		CHECK(wait_loop(&g, 50000) < 60000);
}

TEST(an_interrupt_in_the_midst_of_a_skipped_delay_is_not_taken_for_its_end)
{
	struct guest g = { .now = 1000000, .pauses = 256, .skips = true };

	for (unsigned i = 0; i < 8; i++)
		wait_loop(&g, 250000);
	g.tick_ns = 1000000;
	g.next_tick = g.now + 100000;
	g.looks = 0;
	for (unsigned i = 0; i < 100; i++)
		CHECK(wait_loop(&g, 250000) < 275000);
	CHECK(g.looks < 4000);
}

TEST(pauses_with_other_work_between_are_not_skipped)
{
	struct guest g = { .now = 1000000, .pauses = 256, .skips = true };

	for (unsigned i = 0; i < 100000; i++) {
		g.now += 3000;
		if (--g.pauses < 0)
			look(&g);
	}
	CHECK_EQ(g.sleeps, 0);
}

TEST(looks_at_port_61_with_the_old_delay_between_them_are_a_wait)
{
	struct spin_poll p = { 0 };
	unsigned waits = 0;

	for (unsigned i = 0; i < 1000; i++) {
		CHECK(!spin_polls(&p, 0x80, true));
		waits += spin_polls(&p, 0x61, false);
	}
	CHECK(waits > 10);
}

TEST(looks_at_port_61_without_a_delay_or_with_other_accesses_between_are_no_wait)
{
	struct spin_poll p = { 0 };

	for (unsigned i = 0; i < 1000; i++)
		CHECK(!spin_polls(&p, 0x61, false));
	for (unsigned i = 0; i < 1000; i++) {
		CHECK(!spin_polls(&p, 0x80, true));
		CHECK(!spin_polls(&p, 0x61, false));
		CHECK(!spin_polls(&p, i % 2 ? 0x42 : 0x61, i % 3 == 0));
	}
}
