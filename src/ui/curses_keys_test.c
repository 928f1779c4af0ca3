#include "tests/test.h"
#include "ui/curses_keys.h"

static void check(struct held_key got, enum key key, unsigned held)
{
	CHECK_EQ(got.key, key);
	CHECK_EQ(got.held, held);
}

TEST(sequences_that_the_terminals_description_lacks_are_keys_with_what_is_held)	/* [XTerm "PC-Style Function Keys"] */
{
	check(curses_key_by_sequence("[1;3R"), KEY_f3, HELD_ALT);
	check(curses_key_by_sequence("[1;5A"), KEY_up, HELD_CTRL);
	check(curses_key_by_sequence("[15;2~"), KEY_f5, HELD_SHIFT);
	check(curses_key_by_sequence("[24;8~"), KEY_f12, HELD_SHIFT | HELD_ALT | HELD_CTRL);
	check(curses_key_by_sequence("OP"), KEY_f1, 0);
	check(curses_key_by_sequence("[3~"), KEY_delete, 0);
	check(curses_key_by_sequence("[Z"), KEY_tab, HELD_SHIFT);
	check(curses_key_by_sequence("[99~"), KEY_NONE, 0);
	check(curses_key_by_sequence("[16~"), KEY_NONE, 0);
	check(curses_key_by_sequence("["), KEY_NONE, 0);
	check(curses_key_by_sequence("[1;2;3A"), KEY_NONE, 0);
	check(curses_key_by_sequence("x"), KEY_NONE, 0);
}

TEST(codes_of_curses_for_keys_with_what_is_held)		/* [user_caps(5)], [terminfo(5)] */
{
	check(curses_key_by_name("kUP3"), KEY_up, HELD_ALT);
	check(curses_key_by_name("kDC5"), KEY_delete, HELD_CTRL);
	check(curses_key_by_name("kDN"), KEY_down, HELD_SHIFT);
	check(curses_key_by_name("kUP99"), KEY_NONE, 0);
	check(curses_key_by_name("KEY_MOUSE"), KEY_NONE, 0);
	check(curses_key_by_name(NULL), KEY_NONE, 0);
	check(curses_function_key(1), KEY_f1, 0);
	check(curses_function_key(12), KEY_f12, 0);
	check(curses_function_key(13), KEY_f1, HELD_SHIFT);
	check(curses_function_key(25), KEY_f1, HELD_CTRL);
	check(curses_function_key(51), KEY_f3, HELD_ALT);
	check(curses_function_key(60), KEY_f12, HELD_ALT);
	check(curses_function_key(61), KEY_NONE, 0);
}
