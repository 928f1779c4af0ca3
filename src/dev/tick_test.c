/* Which ticks may be late, and when. */
#include "dev/tick.h"
#include "tests/test.h"

#define US 1000ull
#define MS 1000000ull
#define S  1000000000ull

/* How late the host woke the guest, the n-th time: 20 to 60 us. */
static ns_t late(unsigned n)
{
	return 20 * US + n * 7919 % 40 * US;
}

/* A guest that wants to be woken each 4 ms since the beginning, and reckons to within some 100 ns. */
static ns_t keep_the_beat(struct beat *b, unsigned from, unsigned to)
{
	for (unsigned n = from; n < to; n++) {
		beat_came(b, n * 4 * MS + late(n));
		beat_set(b, n * 4 * MS + late(n), (n + 1) * 4 * MS + n * 31 % 100);
	}
	return to * 4 * MS;
}

TEST(deadlines_a_period_apart_are_a_beat)
{
	struct beat b = { 0 };

	keep_the_beat(&b, 1, 30);
	CHECK_EQ(b.period, 0);			/* not sure yet */
	keep_the_beat(&b, 30, 40);
	CHECK(b.period >= 4 * MS - US && b.period <= 4 * MS + US);
	keep_the_beat(&b, 43, 60);		/* three were slept through */
	CHECK(b.period != 0);
}

TEST(a_deadline_off_the_beat_ends_it)
{
	struct beat b = { 0 };
	ns_t at = keep_the_beat(&b, 1, 50);

	CHECK(b.period != 0);
	beat_set(&b, at + 30 * US, at + 1 * MS);
	CHECK_EQ(b.period, 0);
	beat_set(&b, at + 1 * MS, at + 4 * MS);
	CHECK_EQ(b.period, 0);
	keep_the_beat(&b, 51, 70);
	CHECK_EQ(b.period, 0);			/* it has to be learned anew */
	keep_the_beat(&b, 70, 90);
	CHECK(b.period != 0);
}

TEST(a_timer_that_is_set_again_before_it_is_due_has_no_beat)
{
	struct beat b = { 0 };
	ns_t at = keep_the_beat(&b, 1, 50);

	beat_set(&b, at - 2 * MS, at);		/* the same time: it thought of something nevertheless */
	CHECK_EQ(b.period, 0);
	keep_the_beat(&b, 50, 90);
	CHECK(b.period != 0);
	beat_lost(&b);
	CHECK_EQ(b.period, 0);
}

/* What it is late would be lost, for good. */
TEST(a_timer_set_to_a_time_from_now_has_no_beat_however_regular)
{
	struct beat b = { 0 };
	ns_t now = 1 * MS;

	for (unsigned n = 0; n < 1000; n++) {
		ns_t due = now + 4 * MS;
		beat_set(&b, now, due);
		now = due + late(n);
		beat_came(&b, now);
		CHECK_EQ(b.period, 0);
	}
	for (unsigned n = 0; n < 1000; n++) {	/* and it reckons inexactly */
		ns_t due = now + 4 * MS + n * 31 % 100;
		beat_set(&b, now, due);
		now = due + late(n);
		beat_came(&b, now);
		CHECK_EQ(b.period, 0);
	}
}

/* The same loss: it wants the next a period after it was woken, and each 20th time takes longer until it says so. */
TEST(a_timer_set_to_a_time_from_the_last_interrupt_has_no_beat)
{
	struct beat b = { 0 };
	ns_t woken = 1 * MS;

	for (unsigned n = 0; n < 1000; n++) {
		ns_t due = woken + 4 * MS;
		beat_set(&b, woken + (n % 20 == 0 ? 220 : 10) * US, due);
		woken = due + late(n);
		beat_came(&b, woken);
		CHECK_EQ(b.period, 0);
	}
}

TEST(deadlines_without_order_are_no_beat)
{
	struct beat b = { 0 };
	uint32_t random = 1;
	ns_t now = 0;

	for (unsigned n = 0; n < 5000; n++) {
		random = random * 1664525u + 1013904223u;
		ns_t due = now + 1 * MS + (random >> 8) % 1000 * US;
		beat_set(&b, now, due);
		now = due + late(n);
		beat_came(&b, now);
		CHECK_EQ(b.period, 0);
	}
}

/* It halts each 4 ms until `until`, awake for so long each time. */
static ns_t halting(struct rest *r, ns_t *now, ns_t until, ns_t awake)
{
	ns_t slack = 0;

	while (*now < until) {
		rest_woke(r, *now, 0);
		slack = rest_slack(r, *now + awake, 12 * MS, false);
		*now += 4 * MS;
	}
	return slack;
}

TEST(a_guest_rests_after_a_second_of_ticks_and_nothing_else)
{
	struct rest r = { 0 };
	ns_t now = 5 * S;

	CHECK_EQ(rest_slack(&r, now, 12 * MS, true), 0);
	CHECK_EQ(halting(&r, &now, 5 * S + 996 * MS, 30 * US), 0);
	CHECK_EQ(halting(&r, &now, 7 * S, 30 * US), 12 * MS);
	CHECK_EQ(rest_slack(&r, now, 12 * MS, true), 0);	/* a key */
	CHECK_EQ(halting(&r, &now, now + 900 * MS, 30 * US), 0);
	CHECK_EQ(halting(&r, &now, now + 200 * MS, 30 * US), 12 * MS);
	CHECK_EQ(halting(&r, &now, now + 4 * MS, 1 * MS), 0);	/* it has had something to do */
	CHECK_EQ(halting(&r, &now, now + 900 * MS, 30 * US), 0);
}

TEST(a_guest_that_works_at_each_tick_never_rests)
{
	struct rest r = { 0 };
	ns_t now = 0;

	CHECK_EQ(halting(&r, &now, 10 * S, 1 * MS), 0);
}

TEST(what_the_host_ran_meanwhile_is_not_the_guests_work)
{
	struct rest r = { 0 };
	ns_t now = 0;

	halting(&r, &now, 3 * S, 30 * US);
	rest_woke(&r, now, 100 * MS);
	now += 20 * MS;
	CHECK(rest_is_long(&r, now));
	rest_excuse(&r, now, 100 * MS + 40 * US);
	CHECK_EQ(rest_slack(&r, now, 12 * MS, false), 12 * MS);
	rest_woke(&r, now, 200 * MS);
	now += 20 * MS;
	rest_excuse(&r, now, 200 * MS + 10 * MS);
	CHECK_EQ(rest_slack(&r, now, 12 * MS, false), 0);
}

TEST(what_wakes_only_the_monitor_does_not_end_rest)
{
	struct rest r = { 0 };
	ns_t now = 0;

	halting(&r, &now, 3 * S, 30 * US);
	for (unsigned i = 0; i < 100; i++)
		CHECK_EQ(rest_slack(&r, now += 1 * MS, 12 * MS, false), 12 * MS);
}

TEST(ticks_are_late_by_whole_periods_and_by_so_many_at_most)
{
	CHECK_EQ(tick_late(100 * MS, 4 * MS, 12 * MS), 112 * MS);
	CHECK_EQ(tick_late(100 * MS, 4 * MS, 11 * MS), 108 * MS);
	CHECK_EQ(tick_late(100 * MS, 1 * MS, 50 * MS), 108 * MS);
	CHECK_EQ(tick_late(100 * MS, 55 * MS, 12 * MS), 100 * MS);
	CHECK_EQ(tick_late(100 * MS, 0, 12 * MS), 100 * MS);
	CHECK_EQ(tick_late(100 * MS, 4 * MS, 0), 100 * MS);
	CHECK_EQ(tick_late(UINT64_MAX, 4 * MS, 12 * MS), UINT64_MAX);
}
