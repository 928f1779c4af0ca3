/* The keyboard controller. Source: [PS/2 HITRC] "Keyboard and Auxiliary Device Controller". */
#include "dev/i8042.h"
#include "tests/test.h"

#define MS 1000000ull

static struct i8042 fresh(void)
{
	struct i8042 kc;

	i8042_reset(&kc);
	return kc;
}

static uint8_t command(struct i8042 *kc, uint8_t cmd)
{
	i8042_write(kc, 0x64, cmd, 0);
	CHECK_EQ(i8042_read(kc, 0x64, 0) & 1, 1);
	return i8042_read(kc, 0x60, 0);
}

static void set_ccb(struct i8042 *kc, uint8_t ccb)
{
	i8042_write(kc, 0x64, 0x60, 0);
	i8042_write(kc, 0x60, ccb, 0);
}

TEST(self_tests_answer_55_and_00)
{
	struct i8042 kc = fresh();

	CHECK_EQ(command(&kc, 0xAA), 0x55);
	CHECK_EQ(command(&kc, 0xAB), 0x00);
	CHECK_EQ(command(&kc, 0xA9), 0x00);
	CHECK_EQ(i8042_read(&kc, 0x64, 0) & 1, 0);
}

TEST(command_byte_is_written_and_read_back_and_its_system_flag_shows_in_status)
{
	struct i8042 kc = fresh();

	set_ccb(&kc, 0x03);
	CHECK_EQ(command(&kc, 0x20), 0x03);
	CHECK_EQ(i8042_read(&kc, 0x64, 0) & 0x04, 0);
	set_ccb(&kc, 0x47);
	CHECK_EQ(i8042_read(&kc, 0x64, 0) & 0x04, 0x04);
}

TEST(status_tells_command_from_data_writes)
{
	struct i8042 kc = fresh();

	i8042_write(&kc, 0x64, 0xAE, 0);
	CHECK_EQ(i8042_read(&kc, 0x64, 0) & 0x08, 0x08);
	i8042_write(&kc, 0x60, 0xF4, 0);
	CHECK_EQ(i8042_read(&kc, 0x64, 0) & 0x08, 0);
}

TEST(disable_and_enable_commands_change_the_command_byte)
{
	struct i8042 kc = fresh();

	i8042_write(&kc, 0x64, 0xAD, 0);
	i8042_write(&kc, 0x64, 0xA8, 0);
	CHECK_EQ(command(&kc, 0x20) & 0x30, 0x10);
	i8042_write(&kc, 0x64, 0xAE, 0);
	i8042_write(&kc, 0x64, 0xA7, 0);
	CHECK_EQ(command(&kc, 0x20) & 0x30, 0x20);
}

TEST(keyboard_byte_is_translated_and_interrupts_on_the_keyboard_line)
{
	struct i8042 kc = fresh();

	CHECK(i8042_ready(&kc, I8042_KBD, 0));
	i8042_from_device(&kc, I8042_KBD, 0x1C, 0);
	CHECK(i8042_irq(&kc, I8042_KBD));
	CHECK(!i8042_irq(&kc, I8042_AUX));
	CHECK(!i8042_ready(&kc, I8042_KBD, MS));	/* the buffer is full */
	CHECK_EQ(i8042_read(&kc, 0x60, MS), 0x1E);
	CHECK(!i8042_irq(&kc, I8042_KBD));
}

TEST(break_prefix_becomes_bit_7)
{
	struct i8042 kc = fresh();

	i8042_from_device(&kc, I8042_KBD, 0xF0, 0);
	CHECK_EQ(i8042_read(&kc, 0x64, 0) & 1, 0);
	i8042_from_device(&kc, I8042_KBD, 0x1C, 0);
	CHECK_EQ(i8042_read(&kc, 0x60, 0), 0x9E);
	i8042_from_device(&kc, I8042_KBD, 0x83, 0);
	CHECK_EQ(i8042_read(&kc, 0x60, 0), 0x41);
	i8042_from_device(&kc, I8042_KBD, 0xFA, 0);	/* answers pass unchanged */
	CHECK_EQ(i8042_read(&kc, 0x60, 0), 0xFA);
}

TEST(without_translation_bytes_pass_as_they_are)
{
	struct i8042 kc = fresh();

	set_ccb(&kc, 0x05);
	i8042_from_device(&kc, I8042_KBD, 0xF0, 0);
	CHECK_EQ(i8042_read(&kc, 0x60, 0), 0xF0);
	i8042_from_device(&kc, I8042_KBD, 0x1C, 0);
	CHECK_EQ(i8042_read(&kc, 0x60, 0), 0x1C);
}

TEST(mouse_byte_sets_auxb_and_interrupts_on_its_own_line)
{
	struct i8042 kc = fresh();

	set_ccb(&kc, 0x47);
	i8042_from_device(&kc, I8042_AUX, 0x1C, 0);
	CHECK_EQ(i8042_read(&kc, 0x64, 0) & 0x21, 0x21);
	CHECK(i8042_irq(&kc, I8042_AUX));
	CHECK(!i8042_irq(&kc, I8042_KBD));
	CHECK_EQ(i8042_read(&kc, 0x60, 0), 0x1C);	/* never translated */
	CHECK_EQ(i8042_read(&kc, 0x64, 0) & 0x21, 0);
}

TEST(interrupts_need_their_bit_in_the_command_byte)
{
	struct i8042 kc = fresh();

	set_ccb(&kc, 0x40);
	i8042_from_device(&kc, I8042_KBD, 0x1C, 0);
	CHECK(!i8042_irq(&kc, I8042_KBD));
	set_ccb(&kc, 0x41);
	CHECK(i8042_irq(&kc, I8042_KBD));
}

TEST(an_empty_buffer_reads_as_the_last_byte)
{
	struct i8042 kc = fresh();

	i8042_from_device(&kc, I8042_KBD, 0x1C, 0);
	i8042_read(&kc, 0x60, 0);
	CHECK_EQ(i8042_read(&kc, 0x60, 0), 0x1E);
}

TEST(the_next_byte_of_a_device_takes_time)
{
	struct i8042 kc = fresh();

	i8042_from_device(&kc, I8042_KBD, 0x1C, 0);
	i8042_read(&kc, 0x60, 1000);
	CHECK(!i8042_ready(&kc, I8042_KBD, 1000));
	ns_t at = i8042_link_next(&kc, I8042_KBD, 1000);
	CHECK(at > 1000 && at < MS);
	CHECK(i8042_ready(&kc, I8042_KBD, at));
}

TEST(a_disabled_link_brings_nothing_in)
{
	struct i8042 kc = fresh();

	CHECK(!i8042_ready(&kc, I8042_AUX, MS));	/* disabled at reset */
	CHECK_EQ(i8042_link_next(&kc, I8042_AUX, MS), UINT64_MAX);
	i8042_write(&kc, 0x64, 0xAD, 0);
	CHECK(!i8042_ready(&kc, I8042_KBD, MS));
	i8042_write(&kc, 0x60, 0xF4, 0);		/* a byte for the keyboard opens it */
	CHECK(i8042_ready(&kc, I8042_KBD, MS));
}

TEST(bytes_for_the_devices_go_out_on_the_right_link)
{
	struct i8042 kc = fresh();
	uint8_t byte;

	i8042_write(&kc, 0x60, 0xED, 0);
	CHECK(i8042_to_device(&kc, I8042_KBD, &byte));
	CHECK_EQ(byte, 0xED);
	CHECK(!i8042_to_device(&kc, I8042_KBD, &byte));
	i8042_write(&kc, 0x64, 0xD4, 0);
	i8042_write(&kc, 0x60, 0xF4, 0);
	CHECK(!i8042_to_device(&kc, I8042_KBD, &byte));
	CHECK(i8042_to_device(&kc, I8042_AUX, &byte));
	CHECK_EQ(byte, 0xF4);
}

TEST(an_answer_of_the_controller_goes_before_an_unread_key_which_comes_back)
{
	struct i8042 kc = fresh();

	i8042_from_device(&kc, I8042_KBD, 0x1C, 0);
	CHECK_EQ(command(&kc, 0xAB), 0x00);
	CHECK_EQ(i8042_read(&kc, 0x64, 0) & 1, 0);
	CHECK(!i8042_ready(&kc, I8042_KBD, MS));	/* the old byte has priority */
	ns_t at = i8042_next(&kc, 0);
	i8042_update(&kc, at);
	CHECK(i8042_irq(&kc, I8042_KBD));
	CHECK_EQ(i8042_read(&kc, 0x60, at), 0x1E);
}

TEST(output_port_drives_a20_and_reset)
{
	struct i8042 kc = fresh();

	CHECK(i8042_a20(&kc));
	i8042_write(&kc, 0x64, 0xD1, 0);
	i8042_write(&kc, 0x60, 0xDD, 0);
	CHECK(!i8042_a20(&kc));
	CHECK(!i8042_take_reset(&kc));
	CHECK_EQ(command(&kc, 0xD0) & 0x03, 0x01);
	i8042_write(&kc, 0x64, 0xDF, 0);
	CHECK(i8042_a20(&kc));
	i8042_write(&kc, 0x64, 0xDD, 0);
	CHECK(!i8042_a20(&kc));
	i8042_write(&kc, 0x64, 0xD1, 0);
	i8042_write(&kc, 0x60, 0xFE, 0);
	CHECK(i8042_take_reset(&kc));
	CHECK(!i8042_take_reset(&kc));
}

TEST(command_fe_pulses_reset_and_ff_pulses_nothing)
{
	struct i8042 kc = fresh();

	i8042_write(&kc, 0x64, 0xFF, 0);
	CHECK(!i8042_take_reset(&kc));
	i8042_write(&kc, 0x64, 0xFE, 0);
	CHECK(i8042_take_reset(&kc));
}

TEST(commands_d2_and_d3_put_bytes_as_if_a_device_had_sent_them)
{
	struct i8042 kc = fresh();

	set_ccb(&kc, 0x47);
	i8042_write(&kc, 0x64, 0xD2, 0);
	i8042_write(&kc, 0x60, 0xAB, 0);
	CHECK(i8042_irq(&kc, I8042_KBD));
	CHECK_EQ(i8042_read(&kc, 0x60, 0), 0xAB);
	i8042_write(&kc, 0x64, 0xD3, 0);
	i8042_write(&kc, 0x60, 0x55, 0);
	CHECK(i8042_irq(&kc, I8042_AUX));
	CHECK_EQ(i8042_read(&kc, 0x60, 0), 0x55);
}

TEST(controller_ram_keeps_its_bytes)
{
	struct i8042 kc = fresh();

	i8042_write(&kc, 0x64, 0x7F, 0);
	i8042_write(&kc, 0x60, 0x5A, 0);
	CHECK_EQ(command(&kc, 0x3F), 0x5A);
}
