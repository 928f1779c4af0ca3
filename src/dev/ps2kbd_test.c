/* The keyboard. Source: [PS/2 HITRC] "Keyboard (101- and 102-Key)". */
#include "dev/ps2kbd.h"
#include "tests/test.h"

#include <stdio.h>

#include <string.h>

#define MS 1000000ull

static struct ps2kbd fresh(void)
{
	struct ps2kbd kbd;

	ps2kbd_reset(&kbd);
	return kbd;
}

/* Everything the keyboard has to send, as hex text. */
static const char *sent(struct ps2kbd *kbd)
{
	static char text[1024];
	uint8_t byte;
	char *p = text;

	*p = 0;
	while (ps2kbd_take(kbd, &byte))
		p += snprintf(p, sizeof(text) - (size_t)(p - text), "%s%02X", p == text ? "" : " ", byte);
	return text;
}

static void tap(struct ps2kbd *kbd, enum key key)
{
	ps2kbd_key(kbd, key, true, 0);
	ps2kbd_key(kbd, key, false, 0);
}

static void write2(struct ps2kbd *kbd, uint8_t a, uint8_t b)
{
	ps2kbd_write(kbd, a, 0);
	CHECK_STR(sent(kbd), "FA");
	ps2kbd_write(kbd, b, 0);
}

TEST(kbd_sends_set_2_make_and_break_codes)
{
	struct ps2kbd kbd = fresh();

	tap(&kbd, KEY_a);
	CHECK_STR(sent(&kbd), "1C F0 1C");
	tap(&kbd, KEY_up);
	CHECK_STR(sent(&kbd), "E0 75 E0 F0 75");
}

TEST(kbd_sends_set_1_codes_when_asked)
{
	struct ps2kbd kbd = fresh();

	write2(&kbd, 0xF0, 1);
	CHECK_STR(sent(&kbd), "FA");
	tap(&kbd, KEY_a);
	CHECK_STR(sent(&kbd), "1E 9E");
	tap(&kbd, KEY_up);
	CHECK_STR(sent(&kbd), "E0 48 E0 C8");
}

TEST(kbd_set_3_has_one_byte_codes_and_breaks_only_for_some_keys)
{
	struct ps2kbd kbd = fresh();

	write2(&kbd, 0xF0, 3);
	sent(&kbd);
	tap(&kbd, KEY_a);
	CHECK_STR(sent(&kbd), "1C");
	tap(&kbd, KEY_ctrl);
	CHECK_STR(sent(&kbd), "11 F0 11");
	tap(&kbd, KEY_up);
	CHECK_STR(sent(&kbd), "63");
	ps2kbd_write(&kbd, 0xFA, 0);		/* all keys make, break and typematic */
	sent(&kbd);
	tap(&kbd, KEY_a);
	CHECK_STR(sent(&kbd), "1C F0 1C");
}

TEST(kbd_set_3_single_keys_change_their_type)
{
	struct ps2kbd kbd = fresh();

	write2(&kbd, 0xF0, 3);
	sent(&kbd);
	write2(&kbd, 0xFC, 0x1C);		/* A: make and break */
	CHECK_STR(sent(&kbd), "FA");
	ps2kbd_write(&kbd, 0xF4, 0);
	sent(&kbd);
	tap(&kbd, KEY_a);
	CHECK_STR(sent(&kbd), "1C F0 1C");
	tap(&kbd, KEY_b);
	CHECK_STR(sent(&kbd), "32");
}

TEST(kbd_tells_its_scan_code_set)
{
	struct ps2kbd kbd = fresh();

	write2(&kbd, 0xF0, 0);
	CHECK_STR(sent(&kbd), "FA 02");
}

TEST(kbd_pause_sends_its_sequence_once_and_no_break)
{
	struct ps2kbd kbd = fresh();

	tap(&kbd, KEY_pause);
	CHECK_STR(sent(&kbd), "E1 14 77 E1 F0 14 F0 77");
	ps2kbd_key(&kbd, KEY_ctrl, true, 0);
	sent(&kbd);
	tap(&kbd, KEY_pause);
	CHECK_STR(sent(&kbd), "E0 7E E0 F0 7E");
}

TEST(kbd_print_screen_depends_on_shift_ctrl_and_alt)
{
	struct ps2kbd kbd = fresh();

	tap(&kbd, KEY_print);
	CHECK_STR(sent(&kbd), "E0 12 E0 7C E0 F0 7C E0 F0 12");
	ps2kbd_key(&kbd, KEY_shift, true, 0);
	sent(&kbd);
	tap(&kbd, KEY_print);
	CHECK_STR(sent(&kbd), "E0 7C E0 F0 7C");
	ps2kbd_key(&kbd, KEY_shift, false, 0);
	ps2kbd_key(&kbd, KEY_alt, true, 0);
	sent(&kbd);
	tap(&kbd, KEY_print);
	CHECK_STR(sent(&kbd), "84 F0 84");
}

TEST(kbd_repeats_the_last_key_held_after_delay_at_rate)
{
	struct ps2kbd kbd = fresh();

	ps2kbd_key(&kbd, KEY_a, true, 0);
	ps2kbd_key(&kbd, KEY_b, true, 0);
	CHECK_STR(sent(&kbd), "1C 32");
	CHECK_EQ(ps2kbd_next(&kbd, 0), 500 * MS);
	ps2kbd_update(&kbd, 500 * MS - 1);
	CHECK_STR(sent(&kbd), "");
	ps2kbd_update(&kbd, 500 * MS);
	CHECK_STR(sent(&kbd), "32");
	ns_t period = ps2kbd_next(&kbd, 500 * MS) - 500 * MS;
	CHECK(period > 90 * MS && period < 93 * MS);	/* 10.9 a second */
	ps2kbd_key(&kbd, KEY_b, false, 600 * MS);
	CHECK_EQ(ps2kbd_next(&kbd, 600 * MS), UINT64_MAX);
}

TEST(kbd_typematic_rate_and_delay_are_settable)
{
	struct ps2kbd kbd = fresh();

	write2(&kbd, 0xF3, 0x00);		/* 250 ms, 30 a second */
	CHECK_STR(sent(&kbd), "FA");
	ps2kbd_key(&kbd, KEY_a, true, 0);
	CHECK_EQ(ps2kbd_next(&kbd, 0), 250 * MS);
	ps2kbd_update(&kbd, 250 * MS);
	ns_t period = ps2kbd_next(&kbd, 250 * MS) - 250 * MS;
	CHECK(period > 33 * MS && period < 34 * MS);
}

TEST(kbd_a_key_already_down_makes_no_second_code)
{
	struct ps2kbd kbd = fresh();

	ps2kbd_key(&kbd, KEY_a, true, 0);
	ps2kbd_key(&kbd, KEY_a, true, 0);
	CHECK_STR(sent(&kbd), "1C");
}

TEST(kbd_led_command_takes_an_argument)
{
	struct ps2kbd kbd = fresh();

	write2(&kbd, 0xED, 0x05);
	CHECK_STR(sent(&kbd), "FA");
	CHECK_EQ(kbd.leds, 5);
}

TEST(kbd_sends_no_keys_between_a_command_and_its_argument)
{
	struct ps2kbd kbd = fresh();

	ps2kbd_write(&kbd, 0xED, 0);
	tap(&kbd, KEY_a);
	CHECK_STR(sent(&kbd), "FA");
	ps2kbd_write(&kbd, 0x00, 0);
	CHECK_STR(sent(&kbd), "FA 1C F0 1C");
}

TEST(kbd_a_command_in_place_of_an_argument_is_a_command)
{
	struct ps2kbd kbd = fresh();

	ps2kbd_write(&kbd, 0xED, 0);
	sent(&kbd);
	ps2kbd_write(&kbd, 0xEE, 0);
	CHECK_STR(sent(&kbd), "EE");
}

TEST(kbd_reset_acknowledges_and_reports_its_self_test_later)
{
	struct ps2kbd kbd = fresh();

	write2(&kbd, 0xF0, 1);
	sent(&kbd);
	ps2kbd_write(&kbd, 0xFF, 0);
	CHECK_STR(sent(&kbd), "FA");
	ns_t at = ps2kbd_next(&kbd, 0);
	CHECK(at > 0 && at < 1000 * MS);
	ps2kbd_update(&kbd, at);
	CHECK_STR(sent(&kbd), "AA");
	tap(&kbd, KEY_a);
	CHECK_STR(sent(&kbd), "1C F0 1C");
}

TEST(kbd_identifies_itself_and_answers_unknown_commands_with_resend)
{
	struct ps2kbd kbd = fresh();

	ps2kbd_write(&kbd, 0xF2, 0);
	CHECK_STR(sent(&kbd), "FA AB 83");
	ps2kbd_write(&kbd, 0x12, 0);
	CHECK_STR(sent(&kbd), "FE");
	ps2kbd_write(&kbd, 0xFE, 0);
	CHECK_STR(sent(&kbd), "83");		/* the last byte that was no Resend */
}

TEST(kbd_disabled_sends_no_keys_and_enable_empties_the_buffer)
{
	struct ps2kbd kbd = fresh();

	ps2kbd_write(&kbd, 0xF5, 0);
	CHECK_STR(sent(&kbd), "FA");
	tap(&kbd, KEY_a);
	CHECK_STR(sent(&kbd), "");
	ps2kbd_write(&kbd, 0xF4, 0);
	CHECK_STR(sent(&kbd), "FA");
	tap(&kbd, KEY_a);
	CHECK_STR(sent(&kbd), "1C F0 1C");
}

TEST(kbd_full_buffer_ends_with_the_overrun_code_and_never_half_a_key)
{
	struct ps2kbd kbd = fresh();
	uint8_t byte, last = 0xEE;
	unsigned n = 0;

	for (unsigned i = 0; i < PS2KBD_QUEUE; i++)
		tap(&kbd, KEY_up);
	while (ps2kbd_take(&kbd, &byte)) {
		last = byte;
		n++;
	}
	CHECK(n <= PS2KBD_QUEUE);
	CHECK_EQ(last, 0x00);
}
