/* The key table: the three scan code sets against each other and against the controller's translation. */
#include "dev/i8042.h"
#include "dev/keys.h"
#include "tests/test.h"

TEST(every_key_of_set_2_translates_to_its_set_1_code)	/* [PS/2 HITRC "Keyboard Scan Code Translation"] */
{
	for (unsigned k = 1; k < KEY_COUNT; k++) {
		struct i8042 kc;

		if (k == KEY_pause)
			continue;		/* a sequence of its own */
		i8042_reset(&kc);
		i8042_from_device(&kc, I8042_KBD, (uint8_t)key_info[k].set2, 0);
		CHECK_EQ(i8042_read(&kc, 0x60, 0), key_info[k].set1 & 0xFF);
		CHECK_EQ(key_info[k].set1 >> 8, key_info[k].set2 >> 8);
	}
}

TEST(no_two_keys_share_a_code)
{
	for (unsigned a = 1; a < KEY_COUNT; a++) {
		for (unsigned b = a + 1; b < KEY_COUNT; b++) {
			CHECK(key_info[a].set1 != key_info[b].set1);
			CHECK(key_info[a].set2 != key_info[b].set2);
			CHECK(key_info[a].set3 == 0 || key_info[a].set3 != key_info[b].set3 || a == KEY_sysrq);
		}
	}
}

TEST(keys_are_found_by_qcode_alias_and_set_1_code)
{
	CHECK_EQ(key_by_name("ret"), KEY_ret);
	CHECK_EQ(key_by_name("1"), KEY_k_1);
	CHECK_EQ(key_by_name("F12"), KEY_f12);
	CHECK_EQ(key_by_name("enter"), KEY_ret);
	CHECK_EQ(key_by_name("nosuchkey"), KEY_NONE);
	CHECK_STR(key_name(KEY_k_1), "1");
	CHECK_EQ(key_by_set1(0xE048), KEY_up);
	CHECK_EQ(key_by_set1(0x48), KEY_kp_8);
	CHECK_EQ(key_by_set1(0x6FF), KEY_NONE);
}

TEST(printable_ascii_can_be_typed)
{
	bool shift;

	for (char c = ' '; c < 0x7F; c++)
		CHECK(key_by_ascii(c, &shift) != KEY_NONE);
	CHECK_EQ(key_by_ascii('A', &shift), KEY_a);
	CHECK(shift);
	CHECK_EQ(key_by_ascii('|', &shift), KEY_backslash);
	CHECK(shift);
	CHECK_EQ(key_by_ascii('\n', &shift), KEY_ret);
	CHECK(!shift);
	CHECK_EQ(key_by_ascii(0, &shift), KEY_NONE);
}
