/* The mouse. Source: [PS/2 HITRC] "Auxiliary Device"; wheel: [MS IntelliMouse]. */
#include "dev/ps2mouse.h"
#include "tests/test.h"

#include <stdio.h>

#define MS 1000000ull

static struct ps2mouse fresh(void)
{
	struct ps2mouse mouse;

	ps2mouse_reset(&mouse);
	return mouse;
}

static const char *sent(struct ps2mouse *mouse)
{
	static char text[256];
	uint8_t byte;
	char *p = text;

	*p = 0;
	while (ps2mouse_take(mouse, &byte))
		p += snprintf(p, sizeof(text) - (size_t)(p - text), "%s%02X", p == text ? "" : " ", byte);
	return text;
}

static const char *ask(struct ps2mouse *mouse, uint8_t byte)
{
	ps2mouse_write(mouse, byte, 0);
	return sent(mouse);
}

static void set_rate(struct ps2mouse *mouse, uint8_t rate)
{
	CHECK_STR(ask(mouse, 0xF3), "FA");
	CHECK_STR(ask(mouse, rate), "FA");
}

TEST(mouse_reset_answers_ack_then_self_test_and_id)
{
	struct ps2mouse mouse = fresh();

	CHECK_STR(ask(&mouse, 0xFF), "FA");
	ns_t at = ps2mouse_next(&mouse, 0);
	CHECK(at < 1000 * MS);
	ps2mouse_update(&mouse, at);
	CHECK_STR(sent(&mouse), "AA 00");
	CHECK_EQ(ps2mouse_next(&mouse, at), UINT64_MAX);
}

TEST(mouse_reports_nothing_until_enabled)
{
	struct ps2mouse mouse = fresh();

	ps2mouse_move(&mouse, 5, 5, 0, 1, 0);
	CHECK_STR(sent(&mouse), "");
	CHECK_STR(ask(&mouse, 0xF4), "FA");
	ps2mouse_update(&mouse, MS);
	CHECK_STR(sent(&mouse), "");
}

TEST(mouse_packet_has_buttons_signs_and_y_upwards)
{
	struct ps2mouse mouse = fresh();

	ask(&mouse, 0xF4);
	ps2mouse_move(&mouse, 3, 2, 0, 1, 0);
	CHECK_STR(sent(&mouse), "29 03 FE");
	ps2mouse_move(&mouse, -1, -1, 0, 2 | 4, 100 * MS);
	CHECK_STR(sent(&mouse), "1E FF 01");
}

TEST(mouse_sums_movement_between_samples)
{
	struct ps2mouse mouse = fresh();

	ask(&mouse, 0xF4);
	ps2mouse_move(&mouse, 1, 0, 0, 0, 0);
	CHECK_STR(sent(&mouse), "08 01 00");
	ps2mouse_move(&mouse, 1, 0, 0, 0, 1 * MS);
	ps2mouse_move(&mouse, 1, 0, 0, 0, 2 * MS);
	CHECK_STR(sent(&mouse), "");
	CHECK_EQ(ps2mouse_next(&mouse, 2 * MS), 10 * MS);	/* 100 samples a second */
	ps2mouse_update(&mouse, 10 * MS);
	CHECK_STR(sent(&mouse), "08 02 00");
}

TEST(mouse_movement_beyond_a_packet_stays_for_the_next)
{
	struct ps2mouse mouse = fresh();

	ask(&mouse, 0xF4);
	ps2mouse_move(&mouse, 300, 0, 0, 0, 0);
	CHECK_STR(sent(&mouse), "08 FF 00");
	ps2mouse_update(&mouse, 10 * MS);
	CHECK_STR(sent(&mouse), "08 2D 00");
	ps2mouse_move(&mouse, -300, 0, 0, 0, 20 * MS);
	CHECK_STR(sent(&mouse), "18 01 00");
}

TEST(mouse_knock_200_100_80_turns_the_wheel_on)
{
	struct ps2mouse mouse = fresh();

	CHECK_STR(ask(&mouse, 0xF2), "FA 00");
	set_rate(&mouse, 200);
	set_rate(&mouse, 100);
	set_rate(&mouse, 80);
	CHECK_STR(ask(&mouse, 0xF2), "FA 03");
	ask(&mouse, 0xF4);
	ps2mouse_move(&mouse, 0, 0, -1, 0, 0);
	CHECK_STR(sent(&mouse), "08 00 00 FF");
}

TEST(mouse_knock_200_200_80_turns_five_buttons_on)
{
	struct ps2mouse mouse = fresh();

	set_rate(&mouse, 200);
	set_rate(&mouse, 100);
	set_rate(&mouse, 80);
	set_rate(&mouse, 200);
	set_rate(&mouse, 200);
	set_rate(&mouse, 80);
	CHECK_STR(ask(&mouse, 0xF2), "FA 04");
	ask(&mouse, 0xF4);
	ps2mouse_move(&mouse, 0, 0, 1, 0x08, 0);
	CHECK_STR(sent(&mouse), "08 00 00 11");
}

TEST(mouse_status_request_tells_mode_resolution_and_rate)
{
	struct ps2mouse mouse = fresh();

	CHECK_STR(ask(&mouse, 0xE9), "FA 00 02 64");
	ask(&mouse, 0xF4);
	ask(&mouse, 0xE7);
	ask(&mouse, 0xE8);
	ask(&mouse, 0x03);
	set_rate(&mouse, 40);
	CHECK_STR(ask(&mouse, 0xE9), "FA 30 03 28");
}

TEST(mouse_remote_mode_reports_only_when_asked)
{
	struct ps2mouse mouse = fresh();

	CHECK_STR(ask(&mouse, 0xF0), "FA");
	ps2mouse_move(&mouse, 7, 0, 0, 0, 0);
	CHECK_STR(sent(&mouse), "");
	CHECK_STR(ask(&mouse, 0xEB), "FA 08 07 00");
	CHECK_STR(ask(&mouse, 0xEB), "FA 08 00 00");
	CHECK_STR(ask(&mouse, 0xFE), "08 00 00");	/* resend */
}

TEST(mouse_wrap_mode_echoes_all_but_its_end_and_reset)
{
	struct ps2mouse mouse = fresh();

	CHECK_STR(ask(&mouse, 0xEE), "FA");
	CHECK_STR(ask(&mouse, 0xF4), "F4");
	CHECK_STR(ask(&mouse, 0x12), "12");
	CHECK_STR(ask(&mouse, 0xEC), "FA");
	CHECK_STR(ask(&mouse, 0xE6), "FA");
}

TEST(mouse_refuses_rates_resolutions_and_commands_it_does_not_know)
{
	struct ps2mouse mouse = fresh();

	ask(&mouse, 0xF3);
	CHECK_STR(ask(&mouse, 99), "FE");
	ask(&mouse, 0xE8);
	CHECK_STR(ask(&mouse, 4), "FE");
	CHECK_STR(ask(&mouse, 0x01), "FE");
}

TEST(mouse_scaling_2_to_1_bends_small_movements_in_stream_mode)
{
	static const uint8_t expect[] = { 0, 1, 1, 3, 6, 9, 12, 14 };

	for (int d = 1; d < 8; d++) {
		struct ps2mouse mouse = fresh();
		uint8_t byte[3];
		ask(&mouse, 0xE7);
		ask(&mouse, 0xF4);
		ps2mouse_move(&mouse, d, 0, 0, 0, 0);
		for (unsigned i = 0; i < 3; i++)
			CHECK(ps2mouse_take(&mouse, &byte[i]));
		CHECK_EQ(byte[1], expect[d]);
	}
}

TEST(mouse_sums_stay_bounded_when_nobody_reads)
{
	struct ps2mouse mouse = fresh();

	ask(&mouse, 0xF4);
	for (unsigned i = 0; i < 5000; i++)
		ps2mouse_move(&mouse, 0x7FFFFFFF, -0x7FFFFFFF, 0, 0, 0);
	CHECK(mouse.dx <= 1 << 20 && mouse.dy <= 1 << 20);
}
