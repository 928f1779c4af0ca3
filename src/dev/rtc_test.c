/* The RTC. Source: [MC146818A] data sheet; the century byte and CMOS are [AT-TRM]. */
#include "dev/rtc.h"
#include "tests/test.h"

#define S 1000000000ull
#define MS 1000000ull
#define T_1999_12_31_23_59_58 946684798

static struct rtc at(int64_t start_s)
{
	struct rtc rtc;

	rtc_init(&rtc, start_s, 0);
	return rtc;
}

static uint8_t get(struct rtc *rtc, uint8_t reg, ns_t now)
{
	rtc_write(rtc, 0x70, reg, now);
	return rtc_read(rtc, 0x71, now);
}

static void set(struct rtc *rtc, uint8_t reg, uint8_t val, ns_t now)
{
	rtc_write(rtc, 0x70, reg, now);
	rtc_write(rtc, 0x71, val, now);
}

TEST(rtc_shows_the_start_time_in_bcd)
{
	struct rtc rtc = at(1709210096);	/* Thu 2024-02-29 12:34:56 */

	CHECK_EQ(get(&rtc, RTC_SECONDS, 0), 0x56);
	CHECK_EQ(get(&rtc, RTC_MINUTES, 0), 0x34);
	CHECK_EQ(get(&rtc, RTC_HOURS, 0), 0x12);
	CHECK_EQ(get(&rtc, RTC_WEEKDAY, 0), 5);
	CHECK_EQ(get(&rtc, RTC_DAY, 0), 0x29);
	CHECK_EQ(get(&rtc, RTC_MONTH, 0), 0x02);
	CHECK_EQ(get(&rtc, RTC_YEAR, 0), 0x24);
	CHECK_EQ(get(&rtc, RTC_CENTURY, 0), 0x20);
}

TEST(rtc_can_start_before_1970)
{
	struct rtc rtc = at(-1);

	CHECK_EQ(get(&rtc, RTC_SECONDS, 0), 0x59);
	CHECK_EQ(get(&rtc, RTC_DAY, 0), 0x31);
	CHECK_EQ(get(&rtc, RTC_YEAR, 0), 0x69);
	CHECK_EQ(get(&rtc, RTC_WEEKDAY, 0), 4);
}

TEST(rtc_carries_from_seconds_to_century)
{
	struct rtc rtc = at(T_1999_12_31_23_59_58);

	CHECK_EQ(get(&rtc, RTC_WEEKDAY, 2 * S - 1), 6);
	CHECK_EQ(get(&rtc, RTC_SECONDS, 2 * S - 1), 0x59);
	CHECK_EQ(get(&rtc, RTC_SECONDS, 2 * S), 0x00);
	CHECK_EQ(get(&rtc, RTC_HOURS, 2 * S), 0x00);
	CHECK_EQ(get(&rtc, RTC_DAY, 2 * S), 0x01);
	CHECK_EQ(get(&rtc, RTC_MONTH, 2 * S), 0x01);
	CHECK_EQ(get(&rtc, RTC_YEAR, 2 * S), 0x00);
	CHECK_EQ(get(&rtc, RTC_CENTURY, 2 * S), 0x20);
	CHECK_EQ(get(&rtc, RTC_WEEKDAY, 2 * S), 7);
}

TEST(rtc_february_has_29_days_in_leap_years_only)
{
	struct rtc leap = at(1709251199);	/* 2024-02-29 23:59:59 */
	struct rtc plain = at(1677628799);	/* 2023-02-28 23:59:59 */

	CHECK_EQ(get(&leap, RTC_DAY, 0), 0x29);
	CHECK_EQ(get(&leap, RTC_DAY, S), 0x01);
	CHECK_EQ(get(&leap, RTC_MONTH, S), 0x03);
	CHECK_EQ(get(&plain, RTC_MONTH, S), 0x03);
}

TEST(rtc_binary_mode_counts_in_binary)
{
	struct rtc rtc = at(0);

	set(&rtc, RTC_B, 0x86, 0);
	set(&rtc, RTC_SECONDS, 59, 0);
	set(&rtc, RTC_MINUTES, 19, 0);
	set(&rtc, RTC_HOURS, 20, 0);
	set(&rtc, RTC_B, 0x06, 0);
	CHECK_EQ(get(&rtc, RTC_SECONDS, S), 0);
	CHECK_EQ(get(&rtc, RTC_MINUTES, S), 20);
	CHECK_EQ(get(&rtc, RTC_HOURS, S), 20);
}

TEST(rtc_12_hour_mode_marks_pm_with_bit_7_and_turns_at_12)
{
	struct rtc rtc = at(0);

	set(&rtc, RTC_B, 0x80, 0);		/* BCD, 12 hours */
	set(&rtc, RTC_SECONDS, 0x59, 0);
	set(&rtc, RTC_MINUTES, 0x59, 0);
	set(&rtc, RTC_HOURS, 0x11, 0);
	set(&rtc, RTC_B, 0x00, 0);
	CHECK_EQ(get(&rtc, RTC_HOURS, S), 0x92);	/* 12 PM */
	CHECK_EQ(get(&rtc, RTC_HOURS, 3601 * S), 0x81);	/* 1 PM */
	CHECK_EQ(get(&rtc, RTC_HOURS, 12 * 3600 * S + S), 0x12);	/* 12 AM */
}

TEST(rtc_set_bit_freezes_the_time_and_clears_uie)
{
	struct rtc rtc = at(0);

	set(&rtc, RTC_B, 0x12, 0);
	set(&rtc, RTC_B, 0x92, 0);
	CHECK_EQ(get(&rtc, RTC_B, 0), 0x82);
	CHECK_EQ(get(&rtc, RTC_SECONDS, 5 * S), 0);
	CHECK_EQ(get(&rtc, RTC_A, 6 * S - 1), 0x26);	/* no UIP either */
	set(&rtc, RTC_B, 0x02, 5 * S + S / 2);
	CHECK_EQ(get(&rtc, RTC_SECONDS, 6 * S), 1);	/* the divider ran on */
}

TEST(rtc_update_in_progress_is_set_244_us_before_the_update_cycle)
{
	struct rtc rtc = at(0);

	CHECK_EQ(get(&rtc, RTC_A, S - 2228001) & 0x80, 0);
	CHECK_EQ(get(&rtc, RTC_A, S - 2228000) & 0x80, 0x80);
	CHECK_EQ(get(&rtc, RTC_A, S - 1) & 0x80, 0x80);
	CHECK_EQ(get(&rtc, RTC_A, S) & 0x80, 0);
}

TEST(rtc_update_ended_interrupt_comes_each_second_and_reading_c_ends_it)
{
	struct rtc rtc = at(0);

	set(&rtc, RTC_B, 0x12, 0);
	CHECK_EQ(rtc_next(&rtc, 0), S);
	rtc_update(&rtc, S);
	CHECK(rtc_irq(&rtc));
	CHECK_EQ(rtc_next(&rtc, S), UINT64_MAX);	/* the line is high until C is read */
	CHECK_EQ(get(&rtc, RTC_C, S) & 0xF0, 0xD0);	/* PF is set too: flags do not need enables */
	CHECK(!rtc_irq(&rtc));
	CHECK_EQ(get(&rtc, RTC_C, S), 0);
	CHECK_EQ(rtc_next(&rtc, S), 2 * S);
}

TEST(rtc_alarm_fires_once_a_day_at_its_time)
{
	struct rtc rtc = at(0);

	set(&rtc, RTC_SECONDS_ALARM, 0x05, 0);
	set(&rtc, RTC_MINUTES_ALARM, 0x00, 0);
	set(&rtc, RTC_HOURS_ALARM, 0x00, 0);
	set(&rtc, RTC_B, 0x22, 0);
	rtc_update(&rtc, 4 * S);
	CHECK(!rtc_irq(&rtc));
	rtc_update(&rtc, 5 * S);
	CHECK(rtc_irq(&rtc));
	CHECK_EQ(get(&rtc, RTC_C, 5 * S) & 0xA0, 0xA0);
	rtc_update(&rtc, 86404 * S);
	CHECK(!rtc_irq(&rtc));
	rtc_update(&rtc, 86405 * S);
	CHECK(rtc_irq(&rtc));
}

TEST(rtc_alarm_bytes_c0_and_up_match_anything)
{
	struct rtc rtc = at(0);

	set(&rtc, RTC_SECONDS_ALARM, 0x03, 0);
	set(&rtc, RTC_MINUTES_ALARM, 0xFF, 0);
	set(&rtc, RTC_HOURS_ALARM, 0xC0, 0);
	set(&rtc, RTC_B, 0x22, 0);
	rtc_update(&rtc, 3 * S);
	get(&rtc, RTC_C, 3 * S);
	rtc_update(&rtc, 62 * S);
	CHECK(!rtc_irq(&rtc));
	rtc_update(&rtc, 63 * S);
	CHECK(rtc_irq(&rtc));
}

TEST(rtc_periodic_rate_6_is_1024_hz)
{
	struct rtc rtc = at(0);
	unsigned n = 0;

	set(&rtc, RTC_B, 0x42, 0);
	for (ns_t now = 0; (now = rtc_next(&rtc, now)) <= S; n++) {
		rtc_update(&rtc, now);
		CHECK(rtc_irq(&rtc));
		get(&rtc, RTC_C, now);
		CHECK(!rtc_irq(&rtc));
	}
	CHECK_EQ(n, 1024);
}

TEST(rtc_periodic_rates_1_and_2_are_256_and_128_hz)
{
	struct rtc rtc = at(0);

	set(&rtc, RTC_B, 0x42, 0);
	set(&rtc, RTC_A, 0x21, 0);
	CHECK_EQ(rtc_next(&rtc, 0), S / 256);
	set(&rtc, RTC_A, 0x22, 0);
	CHECK_EQ(rtc_next(&rtc, 0), S / 128);
	set(&rtc, RTC_A, 0x2F, 0);
	CHECK_EQ(rtc_next(&rtc, 0), S / 2);
	set(&rtc, RTC_A, 0x20, 0);
	CHECK_EQ(rtc_next(&rtc, 0), UINT64_MAX);
}

TEST(rtc_enabling_an_interrupt_whose_flag_is_set_interrupts_at_once)
{
	struct rtc rtc = at(0);

	rtc_update(&rtc, S);
	CHECK(!rtc_irq(&rtc));
	set(&rtc, RTC_B, 0x12, S);
	CHECK(rtc_irq(&rtc));
}

TEST(rtc_divider_reset_stops_the_clock_and_its_release_updates_after_half_a_second)
{
	struct rtc rtc = at(0);

	set(&rtc, RTC_A, 0x76, 0);
	CHECK_EQ(get(&rtc, RTC_SECONDS, 10 * S), 0);
	set(&rtc, RTC_A, 0x26, 10 * S);
	CHECK_EQ(get(&rtc, RTC_SECONDS, 10 * S + 499 * MS), 0);
	CHECK_EQ(get(&rtc, RTC_SECONDS, 10 * S + 500 * MS), 1);
	CHECK_EQ(get(&rtc, RTC_SECONDS, 11 * S + 500 * MS), 2);
}

TEST(rtc_registers_c_and_d_are_read_only_and_d_says_the_battery_is_good)
{
	struct rtc rtc = at(0);

	set(&rtc, RTC_D, 0, 0);
	CHECK_EQ(get(&rtc, RTC_D, 0), 0x80);
	set(&rtc, RTC_C, 0xFF, 0);
	CHECK_EQ(get(&rtc, RTC_C, 0), 0);
}

TEST(rtc_reset_keeps_time_and_memory_and_drops_interrupts)
{
	struct rtc rtc = at(1709210096);

	set(&rtc, 0x40, 0xAB, 0);
	set(&rtc, RTC_B, 0x72, 0);
	rtc_update(&rtc, S);
	CHECK(rtc_irq(&rtc));
	rtc_reset(&rtc);
	CHECK(!rtc_irq(&rtc));
	CHECK_EQ(get(&rtc, RTC_B, S), 0x02);
	CHECK_EQ(get(&rtc, 0x40, S), 0xAB);
	CHECK_EQ(get(&rtc, RTC_SECONDS, S), 0x57);
}

TEST(rtc_index_port_has_seven_bits_and_the_nmi_mask)
{
	struct rtc rtc = at(0);

	set(&rtc, 0x80 | 0x50, 0x77, 0);
	CHECK(rtc.nmi_off);
	CHECK_EQ(get(&rtc, 0x50, 0), 0x77);
	CHECK(!rtc.nmi_off);
	CHECK_EQ(rtc_read(&rtc, 0x70, 0), 0xFF);
}

TEST(rtc_checksum_covers_bytes_10_to_2d)
{
	struct rtc rtc = at(0);

	rtc_set_cmos(&rtc, 0x10, 0xF0);
	rtc_set_cmos(&rtc, 0x2D, 0x20);
	rtc_set_cmos(&rtc, 0x30, 0x55);
	rtc_checksum(&rtc);
	CHECK_EQ(rtc.reg[0x2E], 0x01);
	CHECK_EQ(rtc.reg[0x2F], 0x10);
}

TEST(rtc_fields_with_nonsense_in_them_do_no_harm)
{
	struct rtc rtc = at(0);

	for (uint8_t reg = 0; reg < 10; reg++)
		set(&rtc, reg, 0xFF, 0);
	set(&rtc, RTC_CENTURY, 0xFF, 0);
	rtc_update(&rtc, 100 * S);
	CHECK(get(&rtc, RTC_SECONDS, 100 * S) <= 0x59);
}
