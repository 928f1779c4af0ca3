/* The 16550A. Source of every test: [PC16550D] data sheet. */
#include "dev/uart.h"
#include "tests/test.h"

enum { RBR, IER, FCR, LCR, MCR, LSR, MSR, SCR, THR = RBR, IIR = FCR };

static struct uart fresh(void)
{
	struct uart u = { 0 };

	uart_reset(&u);
	uart_write(&u, MCR, 0x08, 0);		/* OUT2 */
	return u;
}

static void drain(struct uart *u)
{
	const uint8_t *buf;
	unsigned n;

	while ((n = uart_tx(u, &buf)) != 0)
		uart_sent(u, n);
}

TEST(uart_reset_state_is_idle)
{
	struct uart u = fresh();

	CHECK_EQ(uart_read(&u, LSR, 0), 0x60);
	CHECK_EQ(uart_read(&u, IIR, 0), 0x01);
	CHECK_EQ(uart_read(&u, IER, 0), 0);
	CHECK(!uart_irq(&u));
}

TEST(uart_scratch_register_keeps_its_value_and_iir_shows_fifos_when_enabled)
{
	struct uart u = fresh();

	uart_write(&u, SCR, 0xA5, 0);
	CHECK_EQ(uart_read(&u, SCR, 0), 0xA5);
	uart_write(&u, FCR, 0x01, 0);
	CHECK_EQ(uart_read(&u, IIR, 0), 0xC1);
	uart_write(&u, FCR, 0x00, 0);
	CHECK_EQ(uart_read(&u, IIR, 0), 0x01);
}

TEST(uart_divisor_is_reached_through_dlab)
{
	struct uart u = fresh();

	uart_write(&u, LCR, 0x83, 0);
	uart_write(&u, 0, 0x0C, 0);
	uart_write(&u, 1, 0x01, 0);
	CHECK_EQ(u.divisor, 0x10C);
	CHECK_EQ(uart_read(&u, 0, 0), 0x0C);
	CHECK_EQ(uart_read(&u, 1, 0), 0x01);
	uart_write(&u, LCR, 0x03, 0);
	CHECK_EQ(uart_read(&u, IER, 0), 0);
}

TEST(uart_received_byte_sets_data_ready_and_interrupts)
{
	struct uart u = fresh();

	uart_write(&u, IER, 0x01, 0);
	CHECK(uart_receive(&u, 'x', 0));
	CHECK(uart_irq(&u));
	CHECK_EQ(uart_read(&u, IIR, 0), 0x04);
	CHECK_EQ(uart_read(&u, LSR, 0), 0x61);
	CHECK_EQ(uart_read(&u, RBR, 0), 'x');
	CHECK(!uart_irq(&u));
	CHECK_EQ(uart_read(&u, LSR, 0), 0x60);
}

TEST(uart_without_fifo_holds_one_byte_and_pushes_back)
{
	struct uart u = fresh();

	CHECK(uart_receive(&u, 'a', 0));
	CHECK(!uart_receive(&u, 'b', 0));
	CHECK_EQ(uart_read(&u, RBR, 0), 'a');
	CHECK(uart_receive(&u, 'b', 0));
}

TEST(uart_fifo_holds_sixteen_bytes_in_order)
{
	struct uart u = fresh();

	uart_write(&u, FCR, 0x01, 0);
	for (uint8_t i = 0; i < 16; i++)
		CHECK(uart_receive(&u, i, 0));
	CHECK(!uart_receive(&u, 16, 0));
	for (uint8_t i = 0; i < 16; i++)
		CHECK_EQ(uart_read(&u, RBR, 0), i);
	CHECK_EQ(uart_read(&u, LSR, 0) & 1, 0);
	CHECK_EQ(uart_read(&u, RBR, 0), 15);
}

TEST(uart_fifo_interrupts_at_each_trigger_level)
{
	static const struct { uint8_t fcr; unsigned level; } rows[] = { { 0x01, 1 }, { 0x41, 4 }, { 0x81, 8 }, { 0xC1, 14 } };

	for (unsigned i = 0; i < 4; i++) {
		struct uart u = fresh();
		uart_write(&u, FCR, rows[i].fcr, 0);
		uart_write(&u, IER, 0x01, 0);
		for (unsigned n = 1; n <= 16; n++) {
			uart_receive(&u, (uint8_t)n, 0);
			CHECK_EQ(uart_irq(&u), n >= rows[i].level);
		}
		CHECK_EQ(uart_read(&u, IIR, 0), 0xC4);
		for (unsigned n = 0; n < 17 - rows[i].level; n++)
			uart_read(&u, RBR, 0);
		CHECK(!uart_irq(&u));		/* fell below the level */
	}
}

TEST(uart_character_timeout_comes_after_four_character_times)
{
	struct uart u = fresh();
	ns_t four;

	uart_write(&u, LCR, 0x83, 0);
	uart_write(&u, 0, 12, 0);		/* 9600 */
	uart_write(&u, LCR, 0x03, 0);
	uart_write(&u, FCR, 0xC1, 0);
	uart_write(&u, IER, 0x01, 0);
	uart_receive(&u, 'x', 1000);
	four = 1000 + 4 * (10 * 12 * 1000000000ull / 115200);
	CHECK_EQ(uart_next(&u, 1000), four);
	uart_update(&u, four - 1);
	CHECK(!uart_irq(&u));
	uart_update(&u, four);
	CHECK(uart_irq(&u));
	CHECK_EQ(uart_next(&u, four), UINT64_MAX);
	CHECK_EQ(uart_read(&u, IIR, four), 0xCC);
	CHECK_EQ(uart_read(&u, RBR, four), 'x');
	CHECK(!uart_irq(&u));
}

TEST(uart_thre_interrupt_comes_when_the_byte_is_gone_and_reading_iir_ends_it)
{
	struct uart u = fresh();

	uart_write(&u, IER, 0x02, 0);
	CHECK(uart_irq(&u));			/* enabled while empty: at once */
	CHECK_EQ(uart_read(&u, IIR, 0), 0x02);
	CHECK_EQ(uart_read(&u, IIR, 0), 0x01);
	uart_write(&u, THR, 'a', 0);
	CHECK(!uart_irq(&u));
	CHECK_EQ(uart_read(&u, LSR, 0) & 0x60, 0);
	drain(&u);
	CHECK(uart_irq(&u));
	CHECK_EQ(uart_read(&u, LSR, 0) & 0x60, 0x60);
	uart_write(&u, THR, 'b', 0);		/* a write ends it too */
	CHECK(!uart_irq(&u));
}

TEST(uart_transmit_fifo_takes_sixteen_bytes_and_hands_them_out_in_order)
{
	struct uart u = fresh();
	uint8_t got[32];
	unsigned n, total = 0;
	const uint8_t *buf;

	uart_write(&u, FCR, 0x01, 0);
	for (unsigned round = 0; round < 2; round++) {
		for (uint8_t i = 0; i < 10; i++)
			uart_write(&u, THR, (uint8_t)(round * 10 + i), 0);
		while ((n = uart_tx(&u, &buf)) != 0) {
			for (unsigned i = 0; i < n; i++)
				got[total++] = buf[i];
			uart_sent(&u, n);
		}
	}
	CHECK_EQ(total, 20);
	for (uint8_t i = 0; i < 20; i++)
		CHECK_EQ(got[i], i);
}

TEST(uart_interrupt_priority_is_line_receive_transmit_modem)
{
	struct uart u = fresh();

	uart_write(&u, IER, 0x0F, 0);
	uart_set_inputs(&u, 0x10);
	uart_receive_error(&u, 'e', 0x04, 0);
	CHECK_EQ(uart_read(&u, IIR, 0), 0x06);
	CHECK_EQ(uart_read(&u, LSR, 0), 0x65);
	CHECK_EQ(uart_read(&u, IIR, 0), 0x04);
	uart_read(&u, RBR, 0);
	CHECK_EQ(uart_read(&u, IIR, 0), 0x02);
	CHECK_EQ(uart_read(&u, IIR, 0), 0x00);
	CHECK_EQ(uart_read(&u, MSR, 0), 0x11);
	CHECK_EQ(uart_read(&u, IIR, 0), 0x01);
	CHECK(!uart_irq(&u));
}

TEST(uart_overrun_without_fifo_keeps_the_newer_byte_and_with_fifo_the_older_ones)
{
	struct uart u = fresh();

	uart_receive_error(&u, 'a', 0, 0);
	uart_receive_error(&u, 'b', 0, 0);
	CHECK_EQ(uart_read(&u, LSR, 0), 0x63);
	CHECK_EQ(uart_read(&u, LSR, 0), 0x61);	/* reading clears it */
	CHECK_EQ(uart_read(&u, RBR, 0), 'b');
	uart_write(&u, FCR, 0x01, 0);
	for (uint8_t i = 0; i < 17; i++)
		uart_receive_error(&u, i, 0, 0);
	CHECK_EQ(uart_read(&u, LSR, 0), 0x63);
	CHECK_EQ(uart_read(&u, RBR, 0), 0);
}

TEST(uart_errors_show_when_their_byte_reaches_the_top_of_the_fifo)
{
	struct uart u = fresh();

	uart_write(&u, FCR, 0x01, 0);
	uart_receive(&u, 'a', 0);
	uart_receive_error(&u, 0, 0x10, 0);	/* break */
	uart_receive(&u, 'b', 0);
	CHECK_EQ(uart_read(&u, LSR, 0), 0xE1);	/* somewhere in the FIFO */
	uart_read(&u, RBR, 0);
	CHECK_EQ(uart_read(&u, LSR, 0), 0xF1);
	CHECK_EQ(uart_read(&u, LSR, 0), 0x61);	/* told once */
	CHECK_EQ(uart_read(&u, RBR, 0), 0);
	CHECK_EQ(uart_read(&u, RBR, 0), 'b');
}

TEST(uart_loopback_receives_what_it_sends_and_sends_nothing)
{
	struct uart u = fresh();
	const uint8_t *buf;

	uart_write(&u, MCR, 0x10, 0);
	uart_write(&u, THR, 0x5A, 0);
	CHECK_EQ(uart_tx(&u, &buf), 0);
	CHECK_EQ(uart_read(&u, LSR, 0), 0x61);
	CHECK_EQ(uart_read(&u, RBR, 0), 0x5A);
}

TEST(uart_loopback_wires_modem_outputs_to_inputs)
{
	static const uint8_t rows[][2] = { { 0x01, 0x20 }, { 0x02, 0x10 }, { 0x04, 0x40 }, { 0x08, 0x80 } };
	struct uart u = fresh();

	uart_set_inputs(&u, 0xB0);
	for (unsigned i = 0; i < 4; i++) {
		uart_write(&u, MCR, 0x10 | rows[i][0], 0);
		CHECK_EQ(uart_read(&u, MSR, 0) & 0xF0, rows[i][1]);
	}
	uart_write(&u, MCR, 0x08, 0);
	CHECK_EQ(uart_read(&u, MSR, 0) & 0xF0, 0xB0);
}

TEST(uart_modem_deltas_are_set_by_changes_and_ring_only_by_its_trailing_edge)
{
	struct uart u = fresh();

	uart_set_inputs(&u, 0xF0);
	CHECK_EQ(uart_read(&u, MSR, 0), 0xFB);
	CHECK_EQ(uart_read(&u, MSR, 0), 0xF0);
	uart_set_inputs(&u, 0xB0);
	CHECK_EQ(uart_read(&u, MSR, 0), 0xB4);
}

TEST(uart_break_in_loopback_is_received_as_a_zero_byte_with_break)
{
	struct uart u = fresh();

	uart_write(&u, MCR, 0x10, 0);
	uart_write(&u, LCR, 0x43, 0);
	CHECK_EQ(uart_read(&u, LSR, 0) & 0x11, 0x11);
	CHECK_EQ(uart_read(&u, RBR, 0), 0);
}

TEST(uart_interrupt_pin_does_not_wait_for_out2)			/* as xv6 wants it */
{
	struct uart u = fresh();

	uart_write(&u, IER, 0x02, 0);
	uart_write(&u, MCR, 0x00, 0);
	CHECK(uart_irq(&u));
	uart_write(&u, IER, 0x00, 0);
	CHECK(!uart_irq(&u));
}

TEST(uart_fifo_clear_bits_empty_the_fifos)
{
	struct uart u = fresh();
	const uint8_t *buf;

	uart_write(&u, FCR, 0x01, 0);
	uart_receive(&u, 'a', 0);
	uart_write(&u, THR, 'b', 0);
	uart_write(&u, FCR, 0x07, 0);
	CHECK_EQ(uart_read(&u, LSR, 0), 0x60);
	CHECK_EQ(uart_tx(&u, &buf), 0);
}

TEST(uart_ier_has_four_bits_and_mcr_five)
{
	struct uart u = fresh();

	uart_write(&u, IER, 0xFF, 0);
	CHECK_EQ(uart_read(&u, IER, 0), 0x0F);
	uart_write(&u, MCR, 0xFF, 0);
	CHECK_EQ(uart_read(&u, MCR, 0), 0x1F);
}
