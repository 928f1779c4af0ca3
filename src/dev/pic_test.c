/* The 8259A pair. Source of every test: [8259A] data sheet, section in the comment. */
#include "dev/pic.h"
#include "tests/test.h"

/* As a BIOS does: master at 08h, slave at 70h, nothing masked. */
static struct pic ready_with(uint8_t icw4)
{
	struct pic pic = { 0 };

	pic_reset(&pic);
	pic_write(&pic, 0x20, 0x11);
	pic_write(&pic, 0x21, 0x08);
	pic_write(&pic, 0x21, 0x04);
	pic_write(&pic, 0x21, icw4);
	pic_write(&pic, 0xA0, 0x11);
	pic_write(&pic, 0xA1, 0x70);
	pic_write(&pic, 0xA1, 0x02);
	pic_write(&pic, 0xA1, icw4 & ~0x10);
	return pic;
}

static struct pic ready(void)
{
	return ready_with(0x01);
}

static void pulse(struct pic *pic, unsigned irq)
{
	pic_set_irq(pic, irq, false);
	pic_set_irq(pic, irq, true);
}

static uint8_t isr(struct pic *pic, uint16_t port)
{
	pic_write(pic, port, 0x0B);
	return pic_read(pic, port);
}

static uint8_t irr(struct pic *pic, uint16_t port)
{
	pic_write(pic, port, 0x0A);
	return pic_read(pic, port);
}

TEST(nothing_is_asked_of_the_cpu_before_initialisation)
{
	struct pic pic = { 0 };

	pic_reset(&pic);
	pulse(&pic, 0);
	CHECK(!pic_intr(&pic));
	pic_write(&pic, 0x20, 0x11);
	pic_write(&pic, 0x21, 0x08);
	pulse(&pic, 1);
	CHECK(!pic_intr(&pic));		/* ICW3, ICW4 are still awaited */
}

TEST(a_rising_line_raises_int_and_gives_its_vector)
{
	struct pic pic = ready();

	pic_set_irq(&pic, 3, true);
	CHECK(pic_intr(&pic));
	CHECK_EQ(pic_ack(&pic), 0x0B);
	CHECK(!pic_intr(&pic));
	CHECK_EQ(isr(&pic, 0x20), 0x08);
}

TEST(a_slave_request_passes_through_ir2_and_gives_the_slaves_vector)
{
	struct pic pic = ready();

	pic_set_irq(&pic, 12, true);
	CHECK(pic_intr(&pic));
	CHECK_EQ(pic_ack(&pic), 0x74);
	CHECK_EQ(isr(&pic, 0x20), 0x04);
	CHECK_EQ(isr(&pic, 0xA0), 0x10);
}

TEST(an_edge_requests_once_while_the_line_stays_high)	/* "Interrupt Triggering Modes" */
{
	struct pic pic = ready();

	pic_set_irq(&pic, 5, true);
	CHECK_EQ(pic_ack(&pic), 0x0D);
	pic_write(&pic, 0x20, 0x20);
	CHECK(!pic_intr(&pic));
	pic_set_irq(&pic, 5, true);
	CHECK(!pic_intr(&pic));
	pulse(&pic, 5);
	CHECK(pic_intr(&pic));
}

TEST(a_level_line_requests_again_after_eoi_while_high)	/* [PIIX3 ELCR] */
{
	struct pic pic = ready();

	pic_write(&pic, 0x4D0, 0x20);
	pic_set_irq(&pic, 5, true);
	CHECK_EQ(pic_ack(&pic), 0x0D);
	CHECK(!pic_intr(&pic));
	pic_write(&pic, 0x20, 0x20);
	CHECK(pic_intr(&pic));
	pic_set_irq(&pic, 5, false);
	CHECK(!pic_intr(&pic));
}

TEST(elcr_keeps_the_lines_of_the_board_edge_triggered)
{
	struct pic pic = ready();

	pic_write(&pic, 0x4D0, 0xFF);
	pic_write(&pic, 0x4D1, 0xFF);
	CHECK_EQ(pic_read(&pic, 0x4D0), 0xF8);
	CHECK_EQ(pic_read(&pic, 0x4D1), 0xDE);
}

TEST(a_request_withdrawn_before_acknowledge_gives_spurious_ir7_without_in_service_bit)
{
	struct pic pic = ready();

	pic_set_irq(&pic, 4, true);
	pic_set_irq(&pic, 4, false);
	CHECK(!pic_intr(&pic));
	CHECK_EQ(pic_ack(&pic), 0x0F);
	CHECK_EQ(isr(&pic, 0x20), 0);
}

TEST(a_slave_request_withdrawn_during_acknowledge_gives_irq15_with_only_ir2_in_service)
{
	struct pic pic = ready();

	/* The slave masks the line between the two INTAs: the master has latched IR2 already. */
	pic_set_irq(&pic, 10, true);
	pic.chip[1].imr = 0xFF;
	CHECK_EQ(pic_ack(&pic), 0x77);
	CHECK_EQ(isr(&pic, 0x20), 0x04);
	CHECK_EQ(isr(&pic, 0xA0), 0);
}

TEST(irr_shows_requests_even_when_masked)
{
	struct pic pic = ready();

	pic_write(&pic, 0x21, 0xFF);
	pic_set_irq(&pic, 6, true);
	CHECK_EQ(irr(&pic, 0x20), 0x40);
	CHECK(!pic_intr(&pic));
	pic_write(&pic, 0x21, 0xBF);
	CHECK(pic_intr(&pic));
	CHECK_EQ(pic_read(&pic, 0x21), 0xBF);
}

TEST(a_lower_priority_waits_for_eoi_and_a_higher_one_does_not)	/* "Fully Nested Mode" */
{
	struct pic pic = ready();

	pic_set_irq(&pic, 3, true);
	pic_ack(&pic);
	pic_set_irq(&pic, 6, true);
	CHECK(!pic_intr(&pic));
	pic_set_irq(&pic, 1, true);
	CHECK_EQ(pic_ack(&pic), 0x09);
	pic_write(&pic, 0x20, 0x20);
	CHECK_EQ(isr(&pic, 0x20), 0x08);	/* non-specific EOI ended the highest, 1 */
	CHECK(!pic_intr(&pic));
	pic_write(&pic, 0x20, 0x20);
	CHECK_EQ(pic_ack(&pic), 0x0E);
}

TEST(a_specific_eoi_ends_the_named_level_only)
{
	struct pic pic = ready();

	pic_set_irq(&pic, 6, true);
	pic_ack(&pic);
	pic_set_irq(&pic, 1, true);
	pic_ack(&pic);
	pic_write(&pic, 0x20, 0x66);
	CHECK_EQ(isr(&pic, 0x20), 0x02);
}

TEST(automatic_eoi_leaves_nothing_in_service)
{
	struct pic pic = ready_with(0x03);

	pic_set_irq(&pic, 4, true);
	CHECK_EQ(pic_ack(&pic), 0x0C);
	CHECK_EQ(isr(&pic, 0x20), 0);
	pic_set_irq(&pic, 7, true);
	CHECK_EQ(pic_ack(&pic), 0x0F);
}

TEST(rotation_in_automatic_eoi_makes_the_served_level_lowest)
{
	struct pic pic = ready_with(0x03);

	pic_write(&pic, 0x20, 0x80);
	pic_set_irq(&pic, 3, true);
	pic_ack(&pic);
	pulse(&pic, 3);
	pic_set_irq(&pic, 5, true);
	CHECK_EQ(pic_ack(&pic), 0x0D);		/* 4 is highest now, 3 lowest */
	pic_write(&pic, 0x20, 0x00);
	pulse(&pic, 5);
	CHECK_EQ(pic_ack(&pic), 0x0B);		/* lowest is 5: 3 goes before it */
	pulse(&pic, 3);
	CHECK_EQ(pic_ack(&pic), 0x0B);		/* rotation is off: 5 is still lowest */
}

TEST(rotation_on_non_specific_eoi_makes_the_ended_level_lowest)	/* "Automatic Rotation" */
{
	struct pic pic = ready();

	pic_set_irq(&pic, 4, true);
	pic_ack(&pic);
	pic_write(&pic, 0x20, 0xA0);
	pulse(&pic, 4);
	pic_set_irq(&pic, 7, true);
	CHECK_EQ(pic_ack(&pic), 0x0F);
}

TEST(set_priority_and_rotation_on_specific_eoi_choose_the_lowest_level)
{
	struct pic pic = ready();

	pic_write(&pic, 0x20, 0xC5);		/* 5 lowest, 6 highest */
	pic_set_irq(&pic, 0, true);
	pic_set_irq(&pic, 6, true);
	CHECK_EQ(pic_ack(&pic), 0x0E);
	pic_write(&pic, 0x20, 0xE6);		/* end 6 and make it lowest: 7, 0, 1 ... */
	pulse(&pic, 6);
	CHECK_EQ(pic_ack(&pic), 0x08);
}

TEST(special_mask_mode_lets_lower_levels_interrupt_a_masked_service)
{
	struct pic pic = ready();

	pic_set_irq(&pic, 1, true);
	pic_ack(&pic);
	pic_set_irq(&pic, 5, true);
	CHECK(!pic_intr(&pic));
	pic_write(&pic, 0x21, 0x02);
	pic_write(&pic, 0x20, 0x68);
	CHECK_EQ(pic_ack(&pic), 0x0D);
	pic_write(&pic, 0x20, 0x20);		/* the masked level is not ended by it */
	CHECK_EQ(isr(&pic, 0x20), 0x02);
	pic_write(&pic, 0x20, 0x48);
	pulse(&pic, 5);
	CHECK(!pic_intr(&pic));
}

TEST(without_special_nesting_a_second_slave_request_waits_for_the_masters_eoi)
{
	struct pic pic = ready();

	pic_set_irq(&pic, 12, true);
	pic_ack(&pic);
	pic_set_irq(&pic, 9, true);
	CHECK(!pic_intr(&pic));
	pic_write(&pic, 0x20, 0x20);
	CHECK_EQ(pic_ack(&pic), 0x71);
}

TEST(special_fully_nested_mode_lets_a_higher_slave_request_through)
{
	struct pic pic = ready_with(0x11);

	pic_set_irq(&pic, 12, true);
	pic_ack(&pic);
	pic_set_irq(&pic, 9, true);
	CHECK_EQ(pic_ack(&pic), 0x71);
	CHECK_EQ(isr(&pic, 0xA0), 0x12);
	pic_set_irq(&pic, 14, true);
	CHECK(!pic_intr(&pic));			/* lower than those in service in the slave */
	pic_set_irq(&pic, 3, true);
	CHECK(!pic_intr(&pic));			/* and lower than IR2 in the master */
}

TEST(poll_returns_the_level_and_counts_as_acknowledge)	/* "Poll Command" */
{
	struct pic pic = ready();

	pic_set_irq(&pic, 6, true);
	pic_write(&pic, 0x20, 0x0C);
	CHECK_EQ(pic_read(&pic, 0x20), 0x86);
	CHECK_EQ(isr(&pic, 0x20), 0x40);
	CHECK(!pic_intr(&pic));
	pic_write(&pic, 0x20, 0x0C);
	CHECK_EQ(pic_read(&pic, 0x20) & 0x80, 0);
}

TEST(polling_the_slave_lowers_its_int)
{
	struct pic pic = ready();

	pic_set_irq(&pic, 8, true);
	pic_write(&pic, 0xA0, 0x0C);
	CHECK_EQ(pic_read(&pic, 0xA0), 0x80);
	CHECK(!pic_intr(&pic));
}

TEST(icw1_clears_mask_and_service_and_forgets_edges)	/* "Initialization Command Words" */
{
	struct pic pic = ready();

	pic_set_irq(&pic, 3, true);
	pic_set_irq(&pic, 4, true);
	pic_ack(&pic);
	pic_write(&pic, 0x21, 0x55);
	pic_write(&pic, 0x20, 0x11);
	CHECK_EQ(pic.chip[0].imr, 0);
	pic_write(&pic, 0x21, 0x20);
	pic_write(&pic, 0x21, 0x04);
	pic_write(&pic, 0x21, 0x01);
	CHECK_EQ(pic_read(&pic, 0x20), 0);	/* IRR is selected again, and empty */
	CHECK(!pic_intr(&pic));
	pulse(&pic, 4);
	CHECK_EQ(pic_ack(&pic), 0x24);
}

TEST(single_mode_skips_icw3_and_icw1_without_ic4_skips_icw4)
{
	struct pic pic = { 0 };

	pic_reset(&pic);
	pic_write(&pic, 0x20, 0x12);
	pic_write(&pic, 0x21, 0x40);
	pic_write(&pic, 0x21, 0xFD);		/* this is OCW1 already */
	CHECK_EQ(pic_read(&pic, 0x21), 0xFD);
	pic_set_irq(&pic, 1, true);
	CHECK_EQ(pic_ack(&pic), 0x41);
}

TEST(a_second_slave_request_pending_at_acknowledge_raises_ir2_anew_after_both_eois)
{
	struct pic pic = ready();

	pic_set_irq(&pic, 14, true);
	pic_set_irq(&pic, 15, true);
	CHECK_EQ(pic_ack(&pic), 0x76);
	pic_write(&pic, 0xA0, 0x20);
	pic_write(&pic, 0x20, 0x20);
	CHECK(pic_intr(&pic));
	CHECK_EQ(pic_ack(&pic), 0x77);
	CHECK_EQ(isr(&pic, 0xA0), 0x80);	/* the real IRQ 15, not the spurious one */
}

TEST(reset_masks_everything_but_remembers_the_wires)
{
	struct pic pic = ready();

	pic_set_irq(&pic, 3, true);
	pic_reset(&pic);
	CHECK(!pic_intr(&pic));
	CHECK_EQ(pic.chip[0].lines & 0x08, 0x08);
}
