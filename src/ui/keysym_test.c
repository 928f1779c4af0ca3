/* X11 keysyms, as VNC clients send them.			[X.Org keysymdef.h] */
#include "tests/test.h"
#include "ui/keysym.h"

TEST(keysyms_of_characters_name_the_key_that_types_them)
{
	CHECK_EQ(key_by_keysym('a'), KEY_a);
	CHECK_EQ(key_by_keysym('A'), KEY_a);
	CHECK_EQ(key_by_keysym('!'), KEY_k_1);
	CHECK_EQ(key_by_keysym('~'), KEY_grave_accent);
	CHECK_EQ(key_by_keysym(' '), KEY_spc);
}

TEST(keysyms_of_special_keys_name_them_and_others_name_none)
{
	CHECK_EQ(key_by_keysym(0xFF0D), KEY_ret);
	CHECK_EQ(key_by_keysym(0xFF1B), KEY_esc);
	CHECK_EQ(key_by_keysym(0xFF52), KEY_up);
	CHECK_EQ(key_by_keysym(0xFFC9), KEY_f12);
	CHECK_EQ(key_by_keysym(0xFFE3), KEY_ctrl);
	CHECK_EQ(key_by_keysym(0xFE03), KEY_alt_r);
	CHECK_EQ(key_by_keysym(0x20AC), KEY_NONE);
	CHECK_EQ(key_by_keysym(0), KEY_NONE);
}
