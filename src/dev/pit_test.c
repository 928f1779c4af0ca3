/* The 8254. Source of every test: [82C54] data sheet; "CLK n" is the pulse that begins tick n. */
#include "dev/pit.h"
#include "tests/test.h"

static struct pit fresh(void)
{
	struct pit pit = { 0 };

	pit_reset(&pit);
	return pit;
}

/* Counter n, mode, 16-bit count, at tick t: the count is in the counting element at tick t + 1. */
static void program(struct pit *pit, unsigned n, unsigned mode, uint16_t count, uint64_t t)
{
	pit_write(pit, 0x43, (uint8_t)(n << 6 | 0x30 | mode << 1), PIT_TICKS(t));
	pit_write(pit, (uint16_t)(0x40 + n), (uint8_t)count, PIT_TICKS(t));
	pit_write(pit, (uint16_t)(0x40 + n), (uint8_t)(count >> 8), PIT_TICKS(t));
}

static uint16_t count_at(struct pit *pit, unsigned n, uint64_t t)
{
	pit_write(pit, 0x43, (uint8_t)(n << 6), PIT_TICKS(t));
	uint16_t low = pit_read(pit, (uint16_t)(0x40 + n), PIT_TICKS(t));
	return low | pit_read(pit, (uint16_t)(0x40 + n), PIT_TICKS(t)) << 8;
}

static bool out(struct pit *pit, unsigned n, uint64_t t)
{
	return pit_out(pit, n, PIT_TICKS(t));
}

TEST(pit_count_is_loaded_by_the_clk_after_the_write_and_then_falls_by_one)
{
	struct pit pit = fresh();

	program(&pit, 0, 2, 0x1000, 0);
	CHECK_EQ(count_at(&pit, 0, 1), 0x1000);
	CHECK_EQ(count_at(&pit, 0, 17), 0xFF0);
}

TEST(pit_second_latch_is_ignored_until_the_first_is_read)	/* "Counter Latch Command" */
{
	struct pit pit = fresh();

	program(&pit, 0, 2, 0x1000, 0);
	pit_write(&pit, 0x43, 0x00, PIT_TICKS(17));
	pit_write(&pit, 0x43, 0x00, PIT_TICKS(99));	/* ignored */
	CHECK_EQ(pit_read(&pit, 0x40, PIT_TICKS(99)), 0xF0);
	CHECK_EQ(pit_read(&pit, 0x40, PIT_TICKS(99)), 0x0F);
	CHECK_EQ(pit_read(&pit, 0x40, PIT_TICKS(101)), 0x9C);	/* live again */
}

TEST(pit_mode_0_is_low_until_n_plus_1_clks_after_the_write)
{
	struct pit pit = fresh();

	program(&pit, 0, 0, 4, 10);
	CHECK(!out(&pit, 0, 10));
	CHECK(!out(&pit, 0, 14));
	CHECK(out(&pit, 0, 15));
	CHECK_EQ(pit_take_edges(&pit), 1);
	CHECK_EQ(count_at(&pit, 0, 16), 0xFFFF);	/* it counts on */
	CHECK(out(&pit, 0, 70000 + 15));
	CHECK_EQ(pit_take_edges(&pit), 0);
}

TEST(pit_mode_0_first_byte_of_a_new_count_stops_counting_and_lowers_out)
{
	struct pit pit = fresh();

	program(&pit, 0, 0, 4, 0);
	CHECK(out(&pit, 0, 5));
	pit_write(&pit, 0x40, 3, PIT_TICKS(6));
	CHECK(!out(&pit, 0, 6));
	CHECK_EQ(count_at(&pit, 0, 8), count_at(&pit, 0, 9));
	pit_write(&pit, 0x40, 0, PIT_TICKS(20));
	CHECK(!out(&pit, 0, 23));
	CHECK(out(&pit, 0, 24));
}

TEST(pit_mode_0_gate_low_holds_the_count)
{
	struct pit pit = fresh();

	pit_write(&pit, 0x61, 1, 0);
	program(&pit, 2, 0, 10, 0);
	pit_set_gate(&pit, 2, false, PIT_TICKS(5));
	CHECK_EQ(count_at(&pit, 2, 5), 6);
	CHECK_EQ(count_at(&pit, 2, 50), 6);
	pit_set_gate(&pit, 2, true, PIT_TICKS(50));
	CHECK(!out(&pit, 2, 55));
	CHECK(out(&pit, 2, 56));
}

TEST(pit_mode_0_count_written_with_gate_low_is_loaded_but_waits)
{
	struct pit pit = fresh();

	program(&pit, 2, 0, 4, 0);
	CHECK_EQ(count_at(&pit, 2, 9), 4);
	pit_set_gate(&pit, 2, true, PIT_TICKS(10));
	CHECK(!out(&pit, 2, 13));
	CHECK(out(&pit, 2, 14));	/* N, not N + 1: the load is done already */
}

TEST(pit_mode_1_is_a_one_shot_started_and_restarted_by_the_gate)
{
	struct pit pit = fresh();

	program(&pit, 2, 1, 5, 0);
	CHECK(out(&pit, 2, 9));
	pit_set_gate(&pit, 2, true, PIT_TICKS(10));
	CHECK(out(&pit, 2, 10));
	CHECK(!out(&pit, 2, 11));
	CHECK(!out(&pit, 2, 15));
	CHECK(out(&pit, 2, 16));
	pit_set_gate(&pit, 2, false, PIT_TICKS(20));	/* no effect */
	pit_set_gate(&pit, 2, true, PIT_TICKS(21));
	CHECK(!out(&pit, 2, 24));
	pit_set_gate(&pit, 2, false, PIT_TICKS(24));
	pit_set_gate(&pit, 2, true, PIT_TICKS(25));	/* retriggered: the pulse is stretched */
	CHECK(!out(&pit, 2, 30));
	CHECK(out(&pit, 2, 31));
}

TEST(pit_mode_1_new_count_takes_effect_at_the_next_trigger)
{
	struct pit pit = fresh();

	program(&pit, 2, 1, 5, 0);
	pit_set_gate(&pit, 2, true, PIT_TICKS(10));
	pit_write(&pit, 0x42, 9, PIT_TICKS(12));
	pit_write(&pit, 0x42, 0, PIT_TICKS(12));
	CHECK(out(&pit, 2, 16));
	pit_set_gate(&pit, 2, false, PIT_TICKS(17));
	pit_set_gate(&pit, 2, true, PIT_TICKS(20));
	CHECK(!out(&pit, 2, 29));
	CHECK(out(&pit, 2, 30));
}

TEST(pit_mode_2_is_low_for_the_last_clk_of_each_period)
{
	struct pit pit = fresh();

	program(&pit, 0, 2, 4, 0);	/* loaded at 1: low at 4, 8, 12 */
	CHECK(out(&pit, 0, 3));
	CHECK(!out(&pit, 0, 4));
	CHECK(out(&pit, 0, 5));
	CHECK(!out(&pit, 0, 8));
	CHECK_EQ(count_at(&pit, 0, 8), 1);
	CHECK_EQ(count_at(&pit, 0, 9), 4);
	CHECK_EQ(pit_take_edges(&pit), 2);
	pit_update(&pit, PIT_TICKS(4009));
	CHECK_EQ(pit_take_edges(&pit), 1000);
}

TEST(pit_mode_2_new_count_waits_for_the_end_of_the_period)
{
	struct pit pit = fresh();

	program(&pit, 0, 2, 10, 0);
	pit_write(&pit, 0x40, 3, PIT_TICKS(5));
	pit_write(&pit, 0x40, 0, PIT_TICKS(5));
	CHECK_EQ(count_at(&pit, 0, 10), 1);
	CHECK_EQ(count_at(&pit, 0, 11), 3);
	CHECK(!out(&pit, 0, 13));
	CHECK(out(&pit, 0, 14));
	CHECK_EQ(pit_take_edges(&pit), 2);
}

TEST(pit_mode_2_gate_low_raises_out_at_once_and_its_rise_starts_a_new_period)
{
	struct pit pit = fresh();

	pit_set_gate(&pit, 2, true, 0);
	program(&pit, 2, 2, 4, 0);
	CHECK(!out(&pit, 2, 4));
	pit_set_gate(&pit, 2, false, PIT_TICKS(4));
	CHECK(out(&pit, 2, 4));
	CHECK(out(&pit, 2, 8));
	pit_set_gate(&pit, 2, true, PIT_TICKS(20));
	CHECK_EQ(count_at(&pit, 2, 21), 4);
	CHECK(!out(&pit, 2, 24));
}

TEST(pit_mode_3_is_high_for_half_of_an_even_count_and_falls_by_two)
{
	struct pit pit = fresh();

	program(&pit, 0, 3, 6, 0);
	CHECK_EQ(count_at(&pit, 0, 1), 6);
	CHECK_EQ(count_at(&pit, 0, 2), 4);
	CHECK_EQ(count_at(&pit, 0, 3), 2);
	CHECK(out(&pit, 0, 3));
	CHECK(!out(&pit, 0, 4));
	CHECK_EQ(count_at(&pit, 0, 4), 6);
	CHECK(!out(&pit, 0, 6));
	CHECK(out(&pit, 0, 7));
	CHECK_EQ(pit_take_edges(&pit), 1);
}

TEST(pit_mode_3_odd_count_is_high_one_clk_longer_than_low)
{
	struct pit pit = fresh();

	program(&pit, 0, 3, 5, 0);
	CHECK_EQ(count_at(&pit, 0, 1), 4);
	CHECK_EQ(count_at(&pit, 0, 3), 0);
	CHECK(out(&pit, 0, 3));
	CHECK(!out(&pit, 0, 4));
	CHECK_EQ(count_at(&pit, 0, 4), 4);
	CHECK(!out(&pit, 0, 5));
	CHECK(out(&pit, 0, 6));
}

TEST(pit_mode_3_new_count_takes_effect_at_the_end_of_the_half_cycle)
{
	struct pit pit = fresh();

	program(&pit, 0, 3, 20, 0);		/* high 1..10, low 11..20 */
	pit_write(&pit, 0x40, 4, PIT_TICKS(5));
	pit_write(&pit, 0x40, 0, PIT_TICKS(5));
	CHECK(out(&pit, 0, 10));
	CHECK(!out(&pit, 0, 11));
	CHECK(!out(&pit, 0, 12));
	CHECK(out(&pit, 0, 13));		/* the low half is of the new count */
	CHECK(!out(&pit, 0, 15));
	CHECK_EQ(pit_take_edges(&pit), 1);
}

TEST(pit_mode_4_strobes_low_for_one_clk_once)
{
	struct pit pit = fresh();

	program(&pit, 0, 4, 3, 0);
	CHECK(out(&pit, 0, 3));
	CHECK(!out(&pit, 0, 4));
	CHECK(out(&pit, 0, 5));
	CHECK_EQ(pit_take_edges(&pit), 1);
	CHECK(out(&pit, 0, 4 + 65536));
	CHECK_EQ(pit_take_edges(&pit), 0);
}

TEST(pit_mode_4_is_retriggered_by_writing_a_new_count)
{
	struct pit pit = fresh();

	program(&pit, 0, 4, 5, 0);
	pit_write(&pit, 0x40, 2, PIT_TICKS(3));
	pit_write(&pit, 0x40, 0, PIT_TICKS(3));
	CHECK(!out(&pit, 0, 6));
	CHECK(out(&pit, 0, 7));
}

TEST(pit_mode_5_strobes_after_a_trigger_of_the_gate)
{
	struct pit pit = fresh();

	program(&pit, 2, 5, 3, 0);
	CHECK(out(&pit, 2, 20));
	pit_set_gate(&pit, 2, true, PIT_TICKS(20));
	CHECK(out(&pit, 2, 23));
	CHECK(!out(&pit, 2, 24));
	CHECK(out(&pit, 2, 25));
}

TEST(pit_count_0_means_65536_in_binary_and_10000_in_bcd)
{
	struct pit pit = fresh();

	program(&pit, 0, 2, 0, 0);
	CHECK_EQ(count_at(&pit, 0, 2), 0xFFFF);
	pit_write(&pit, 0x43, 0x35, PIT_TICKS(2));
	pit_write(&pit, 0x40, 0, PIT_TICKS(2));
	pit_write(&pit, 0x40, 0, PIT_TICKS(2));
	CHECK_EQ(count_at(&pit, 0, 4), 0x9999);
}

TEST(pit_bcd_counts_in_decimal)
{
	struct pit pit = fresh();

	pit_write(&pit, 0x43, 0x35, 0);
	pit_write(&pit, 0x40, 0x00, 0);
	pit_write(&pit, 0x40, 0x12, 0);		/* 1200 */
	CHECK_EQ(count_at(&pit, 0, 2), 0x1199);
	CHECK(!out(&pit, 0, 1200));
	CHECK(out(&pit, 0, 1201));
}

TEST(pit_lsb_only_and_msb_only_counts)
{
	struct pit pit = fresh();

	pit_write(&pit, 0x43, 0x14, 0);		/* counter 0, LSB only, mode 2 */
	pit_write(&pit, 0x40, 0x20, 0);
	CHECK_EQ(pit_read(&pit, 0x40, PIT_TICKS(2)), 0x1F);
	CHECK_EQ(pit_read(&pit, 0x40, PIT_TICKS(2)), 0x1F);
	pit_write(&pit, 0x43, 0x24, PIT_TICKS(2));	/* MSB only */
	pit_write(&pit, 0x40, 0x20, PIT_TICKS(2));
	CHECK_EQ(pit_read(&pit, 0x40, PIT_TICKS(4)), 0x1F);
}

TEST(pit_unlatched_reads_alternate_between_the_bytes)
{
	struct pit pit = fresh();

	program(&pit, 0, 2, 0x1234, 0);
	CHECK_EQ(pit_read(&pit, 0x40, PIT_TICKS(1)), 0x34);
	CHECK_EQ(pit_read(&pit, 0x40, PIT_TICKS(1)), 0x12);
	CHECK_EQ(pit_read(&pit, 0x40, PIT_TICKS(2)), 0x33);
}

TEST(pit_read_back_latches_status_then_count_of_the_chosen_counters)	/* "Read-Back Command" */
{
	struct pit pit = fresh();

	program(&pit, 0, 3, 0x100, 0);
	pit_write(&pit, 0x43, 0xC2, PIT_TICKS(1 + 16));
	CHECK_EQ(pit_read(&pit, 0x40, PIT_TICKS(50)), 0xB6);	/* OUT 1, loaded, RW 3, mode 3 */
	CHECK_EQ(pit_read(&pit, 0x40, PIT_TICKS(50)), 0xE0);
	CHECK_EQ(pit_read(&pit, 0x40, PIT_TICKS(50)), 0x00);
}

TEST(pit_null_count_is_set_until_the_count_is_loaded)
{
	struct pit pit = fresh();

	program(&pit, 0, 2, 10, 0);
	pit_write(&pit, 0x43, 0xE2, 0);
	CHECK_EQ(pit_read(&pit, 0x40, 0) & 0x40, 0x40);
	pit_write(&pit, 0x43, 0xE2, PIT_TICKS(1));
	CHECK_EQ(pit_read(&pit, 0x40, PIT_TICKS(1)) & 0x40, 0);
	pit_write(&pit, 0x40, 5, PIT_TICKS(2));
	pit_write(&pit, 0x40, 0, PIT_TICKS(2));
	pit_write(&pit, 0x43, 0xE2, PIT_TICKS(3));
	CHECK_EQ(pit_read(&pit, 0x40, PIT_TICKS(3)) & 0x40, 0x40);
	pit_write(&pit, 0x43, 0xE2, PIT_TICKS(11));
	CHECK_EQ(pit_read(&pit, 0x40, PIT_TICKS(11)) & 0x40, 0);
}

TEST(pit_modes_6_and_7_are_modes_2_and_3)
{
	struct pit pit = fresh();

	pit_write(&pit, 0x43, 0x3C, 0);
	CHECK_EQ(pit.counter[0].mode, 2);
	pit_write(&pit, 0x43, 0x3E, 0);
	CHECK_EQ(pit.counter[0].mode, 3);
}

TEST(pit_next_is_when_out_0_rises)
{
	struct pit pit = fresh();

	CHECK_EQ(pit_next(&pit, 0), UINT64_MAX);
	program(&pit, 0, 2, 1000, 0);
	pit_update(&pit, PIT_TICKS(2));
	CHECK_EQ(pit_next(&pit, PIT_TICKS(2)), PIT_TICKS(1001));
	pit_update(&pit, PIT_TICKS(1001));
	CHECK_EQ(pit_next(&pit, PIT_TICKS(1001)), PIT_TICKS(2001));
	program(&pit, 0, 0, 50, 2000);
	pit_update(&pit, PIT_TICKS(2001));
	CHECK_EQ(pit_next(&pit, PIT_TICKS(2001)), PIT_TICKS(2051));
	pit_update(&pit, PIT_TICKS(2051));
	CHECK_EQ(pit_next(&pit, PIT_TICKS(2051)), UINT64_MAX);
}

/* A one-shot that ends between an update and the question must not be forgotten: Linux would never tick again. */
TEST(pit_next_does_not_pass_over_a_rise_that_no_update_has_counted)
{
	struct pit pit = fresh();

	program(&pit, 0, 4, 50, 0);
	pit_update(&pit, PIT_TICKS(51));
	pit_take_edges(&pit);
	CHECK_EQ(pit_next(&pit, PIT_TICKS(60)), PIT_TICKS(52));
	pit_update(&pit, PIT_TICKS(60));
	CHECK_EQ(pit_take_edges(&pit), 1);
	CHECK_EQ(pit_next(&pit, PIT_TICKS(60)), UINT64_MAX);
}

TEST(port_61_gates_counter_2_and_shows_its_output)	/* [AT-TRM "System Board I/O: Port B"] */
{
	struct pit pit = fresh();

	program(&pit, 2, 0, 100, 0);
	CHECK_EQ(pit_read(&pit, 0x61, PIT_TICKS(500)) & 0x20, 0);
	pit_write(&pit, 0x61, 0x01, PIT_TICKS(500));
	CHECK_EQ(pit_read(&pit, 0x61, PIT_TICKS(599)) & 0x21, 0x01);
	CHECK_EQ(pit_read(&pit, 0x61, PIT_TICKS(600)) & 0x21, 0x21);
}

TEST(the_end_of_a_count_of_counter_2_is_known_while_it_runs)
{
	struct pit pit = { 0 };
	pit_reset(&pit);
	CHECK_EQ(pit_count_2_ends(&pit), UINT64_MAX);
	pit_write(&pit, 0x61, 1, 0);				/* gate */
	pit_write(&pit, 0x43, 0xB0, 0);				/* counter 2, low/high byte, mode 0 */
	pit_write(&pit, 0x42, 0x10, 0);
	pit_write(&pit, 0x42, 0x10, 0);				/* count 1010h */
	pit_read(&pit, 0x61, PIT_TICKS(2));
	ns_t end = pit_count_2_ends(&pit);
	CHECK(end >= PIT_TICKS(0x1010) && end <= PIT_TICKS(0x1012));
	CHECK_EQ(pit_read(&pit, 0x61, end - 1000) & 0x20, 0);
	CHECK_EQ(pit_count_2_ends(&pit), end);
	CHECK_EQ(pit_read(&pit, 0x61, end) & 0x20, 0x20);
	CHECK_EQ(pit_count_2_ends(&pit), UINT64_MAX);		/* it has ended */

	pit_write(&pit, 0x42, 0x10, end);
	pit_write(&pit, 0x42, 0x10, end);
	pit_write(&pit, 0x61, 0, end + 1000000);		/* the gate stops it */
	CHECK_EQ(pit_count_2_ends(&pit), UINT64_MAX);
}

TEST(port_61_refresh_bit_toggles_every_15_microseconds)
{
	struct pit pit = fresh();
	unsigned toggles = 0;
	uint8_t last = pit_read(&pit, 0x61, 0) & 0x10;

	for (ns_t now = 0; now < 1000000; now += 1000) {
		uint8_t bit = pit_read(&pit, 0x61, now) & 0x10;
		toggles += bit != last;
		last = bit;
	}
	CHECK_EQ(toggles, 66);
}

TEST(pit_edges_counted_late_equal_edges_counted_tick_by_tick)
{
	for (unsigned mode = 0; mode < 6; mode++) {
		for (unsigned count = 2; count < 9; count++) {
			struct pit late = fresh(), early = fresh();
			program(&late, 0, mode, (uint16_t)count, 3);
			program(&early, 0, mode, (uint16_t)count, 3);
			pit_take_edges(&late);
			pit_take_edges(&early);
			unsigned edges = 0;
			bool was = pit_out(&early, 0, PIT_TICKS(3));
			for (uint64_t t = 3; t < 60; t++) {
				if (t == 20) {		/* a new count on the way */
					pit_write(&late, 0x40, 7, PIT_TICKS(t));
					pit_write(&late, 0x40, 0, PIT_TICKS(t));
					pit_write(&early, 0x40, 7, PIT_TICKS(t));
					pit_write(&early, 0x40, 0, PIT_TICKS(t));
				}
				bool is = pit_out(&early, 0, PIT_TICKS(t));
				edges += is && !was;
				was = is;
			}
			pit_update(&late, PIT_TICKS(59));
			CHECK_EQ(pit_take_edges(&late), edges);
			CHECK_EQ(pit_take_edges(&early), edges);
		}
	}
}
