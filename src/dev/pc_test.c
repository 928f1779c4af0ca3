/* The board: wiring between chips, ports and the CPU.				[AT-TRM], [PIIX3], [PIIX4] */
#include "dev/pc.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#define MS 1000000ull
#define S  1000000000ull

struct world {
	struct pc pc;
	struct vcpu cpu;
	ns_t now;
	char out[256];
	unsigned outs, accept;
	char debug[64];
	unsigned debugs, resets, power_offs, rx_ready, leds;
	uint32_t debug_exit;
	uint8_t panic;
	int a20;
};

static ns_t world_now(void *arg) { return ((struct world *)arg)->now; }

static size_t world_tx(void *arg, unsigned port, const uint8_t *buf, size_t len)
{
	struct world *w = arg;

	len = MIN(len, w->accept);
	memcpy(w->out + w->outs, buf, len);
	w->outs += len;
	w->accept -= len;
	return len;
}

static void world_rx_ready(void *arg, unsigned port) { ((struct world *)arg)->rx_ready++; }
static void world_reset(void *arg) { ((struct world *)arg)->resets++; }
static void world_power_off(void *arg) { ((struct world *)arg)->power_offs++; }
static void world_a20(void *arg, bool on) { ((struct world *)arg)->a20 = on; }
static void world_debug_exit(void *arg, uint32_t val) { ((struct world *)arg)->debug_exit = val; }
static void world_panic(void *arg, uint8_t val) { ((struct world *)arg)->panic = val; }
static void world_leds(void *arg, unsigned mask) { ((struct world *)arg)->leds = mask; }

static void world_debug_char(void *arg, uint16_t port, uint8_t byte)
{
	struct world *w = arg;

	w->debug[w->debugs++ % sizeof(w->debug)] = (char)byte;
}

static uint8_t in(struct world *w, uint16_t port)
{
	return (uint8_t)w->cpu.bus->io_read(w->cpu.bus_arg, port, 1);
}

static void out(struct world *w, uint16_t port, uint8_t val)
{
	w->cpu.bus->io_write(w->cpu.bus_arg, port, 1, val);
}

static int ack(struct world *w)
{
	return w->cpu.bus->intr_ack(w->cpu.bus_arg);
}

/* A board with its interrupt controllers set up as a BIOS does: 08h and 70h, all open. */
static struct world *fresh(void)
{
	struct world *w = calloc(1, sizeof(*w));
	struct pc_config cfg = {
		.host = { w, world_tx, world_rx_ready, world_debug_char, world_a20, world_power_off, world_reset,
		    world_debug_exit, world_panic, world_leds },
		.now = world_now, .now_arg = w, .tsc_hz = 2000000000, .start_time_s = 1709210096,
		.ram_bytes = 64 << 20, .debugcon_port = 0xE9, .pvpanic = true,
		.debug_exit_port = 0xF4, .boot_order = { 3, 2, 1 },
	};
	static const uint8_t init[][2] = { { 0x20, 0x11 }, { 0x21, 0x08 }, { 0x21, 0x04 }, { 0x21, 0x01 },
		{ 0xA0, 0x11 }, { 0xA1, 0x70 }, { 0xA1, 0x02 }, { 0xA1, 0x01 } };

	CHECK(w != NULL);
	w->accept = sizeof(w->out);
	w->a20 = -1;
	CHECK_EQ(pc_init(&w->pc, &w->cpu, NULL, &cfg), 0);
	for (unsigned i = 0; i < ARRAY_LEN(init); i++)
		out(w, init[i][0], init[i][1]);
	return w;
}

static void timer(struct world *w, uint8_t mode, uint16_t count)
{
	out(w, 0x43, (uint8_t)(0x30 | mode << 1));
	out(w, 0x40, (uint8_t)count);
	out(w, 0x40, (uint8_t)(count >> 8));
}

/* Let time pass as the run loop does: from event to event. */
static void sleep_until(struct world *w, ns_t until)
{
	for (;;) {
		ns_t next = pc_next_event(&w->pc, w->now);
		if (next > until)
			break;
		w->now = MAX(next, w->now);
		pc_update(&w->pc, w->now);
		if (w->cpu.intr_line)
			return;
	}
	w->now = until;
	pc_update(&w->pc, w->now);
}

TEST(timer_tick_interrupts_the_cpu_on_vector_8)
{
	struct world *w = fresh();

	timer(w, 2, 11932);		/* 100 Hz */
	CHECK(w->cpu.attention & ATTN_KICK);
	w->cpu.attention = 0;
	CHECK(!w->cpu.intr_line);
	sleep_until(w, 1 * S);
	CHECK(w->now >= 10 * MS && w->now < 10 * MS + 2000);
	CHECK(w->cpu.intr_line);
	CHECK(w->cpu.attention & ATTN_EVENT);
	CHECK_EQ(ack(w), 0x08);
	CHECK(!w->cpu.intr_line);
	free(w);
}

TEST(timer_gives_one_hundred_interrupts_a_second)
{
	struct world *w = fresh();
	unsigned n = 0;

	timer(w, 3, 11932);
	while (w->now < 1 * S) {
		sleep_until(w, 1 * S);
		if (!w->cpu.intr_line)
			continue;
		CHECK_EQ(ack(w), 0x08);
		out(w, 0x20, 0x20);
		n++;
	}
	CHECK(n == 99 || n == 100);
	free(w);
}

TEST(ticks_that_came_while_the_host_slept_are_handed_out_one_by_one)
{
	struct world *w = fresh();
	unsigned n = 0;

	timer(w, 2, 11932);
	w->now = 105 * MS;		/* ten ticks late, in one look */
	pc_update(&w->pc, w->now);
	while (w->cpu.intr_line) {
		CHECK_EQ(ack(w), 0x08);
		pc_update(&w->pc, w->now);
		CHECK(!w->cpu.intr_line);	/* not before the one in service ends */
		out(w, 0x20, 0x20);
		pc_update(&w->pc, w->now);
		n++;
	}
	CHECK_EQ(n, 10);
	free(w);
}

/* A guest that rests is let sleep on past ticks, and has them all in the end. */
TEST(ticks_that_may_be_late_are_all_given_for_as_long_as_a_guest_rests)
{
	struct world *w = fresh();
	unsigned n = 0, sleeps = 0;

	timer(w, 2, 4772);		/* 250 Hz */
	while (w->now < 100 * S) {
		w->now = pc_next_event_late(&w->pc, w->now, 12 * MS);
		sleeps++;
		pc_update(&w->pc, w->now);
		while (w->cpu.intr_line) {
			CHECK_EQ(ack(w), 0x08);
			CHECK(pc_next_event_late(&w->pc, w->now, 12 * MS) > w->now);
			out(w, 0x20, 0x20);
			n++;
			if (w->pc.late_ticks)		/* what is owed does not wait for more */
				CHECK_EQ(pc_next_event_late(&w->pc, w->now, 12 * MS), w->now);
			pc_update(&w->pc, w->now);
		}
	}
	CHECK_EQ(n, w->now * PIT_HZ / S / 4772);
	CHECK_EQ(sleeps, 1 + n / 4);		/* the first when the count was loaded */
	free(w);
}

TEST(nothing_but_ticks_is_ever_late)
{
	static const uint8_t once[] = { 0, 4 };		/* the modes of the 8254 that end with one interrupt */

	for (unsigned i = 0; i < ARRAY_LEN(once); i++) {
		struct world *w = fresh();
		timer(w, once[i], 4772);
		w->now = pc_next_event(&w->pc, 0);	/* the count is loaded a tick after it was written */
		pc_update(&w->pc, w->now);
		ns_t next = pc_next_event(&w->pc, w->now);
		CHECK(next > 3 * MS && next < 5 * MS);
		CHECK_EQ(pc_next_event_late(&w->pc, w->now, 50 * MS), next);
		free(w);
	}
	struct world *w = fresh();
	timer(w, 2, 4772);
	w->now = 10 * MS;
	pc_update(&w->pc, w->now);
	CHECK_EQ(ack(w), 0x08);
	out(w, 0x20, 0x20);
	pc_update(&w->pc, w->now);
	CHECK_EQ(ack(w), 0x08);
	out(w, 0x20, 0x20);
	pc_update(&w->pc, w->now);
	ns_t next = pc_next_event(&w->pc, w->now);
	CHECK(pc_next_event_late(&w->pc, w->now, 12 * MS) > next + 11 * MS);
	out(w, 0x21, 1);				/* masked: nobody counts those, but another controller might */
	CHECK_EQ(pc_next_event_late(&w->pc, w->now, 12 * MS), next);
	out(w, 0x21, 0);
	out(w, 0x70, 0x0A);
	out(w, 0x71, 0x26);				/* the RTC each 976 us: register C has one bit for them */
	out(w, 0x70, 0x0B);
	out(w, 0x71, 0x42);
	out(w, 0x70, 0x0C);
	in(w, 0x71);
	CHECK_EQ(pc_next_event_late(&w->pc, w->now, 12 * MS), pc_next_event(&w->pc, w->now));
	CHECK(pc_next_event(&w->pc, w->now) < w->now + 1 * MS);
	free(w);
}

TEST(input_and_interrupts_other_than_ticks_stir_the_board)
{
	struct world *w = fresh();

	timer(w, 2, 4772);
	w->pc.stirred = false;
	sleep_until(w, 1 * S);
	CHECK(w->cpu.intr_line);
	CHECK(!w->pc.stirred);
	pc_serial_input(&w->pc, 0, 'a');		/* also where the guest has no interrupt for it */
	CHECK(w->pc.stirred);
	w->pc.stirred = false;
	pc_set_irq(&w->pc, 14, true);
	CHECK(w->pc.stirred);
	free(w);
}

/* Who starts it anew at each tick, to count from then on, would lose what that was late. */
TEST(a_timer_that_is_set_stirs_the_board)
{
	struct world *w = fresh();

	for (unsigned i = 0; i < 5; i++) {
		w->pc.stirred = false;
		timer(w, 2, 4772);
		CHECK(w->pc.stirred);
	}
	w->pc.stirred = false;
	out(w, 0x43, 0);				/* to read the count is not to set it, nor is another counter's */
	in(w, 0x40);
	in(w, 0x40);
	out(w, 0x43, 0xB6);
	out(w, 0x42, 0);
	out(w, 0x42, 0x10);
	CHECK(!w->pc.stirred);
	pc_reset(&w->pc);
	CHECK(w->pc.stirred);
	free(w);
}

/* Linux: handle_level_irq() masks the line and ends the interrupt, then handles it, then unmasks. */
TEST(late_ticks_survive_a_handler_that_masks_the_line)
{
	struct world *w = fresh();
	unsigned n = 0;

	timer(w, 2, 11932);
	w->now = 105 * MS;
	pc_update(&w->pc, w->now);
	while (w->cpu.intr_line) {
		CHECK_EQ(ack(w), 0x08);
		out(w, 0x21, 0x01);
		out(w, 0x20, 0x20);
		pc_update(&w->pc, w->now);
		CHECK(!w->cpu.intr_line);
		out(w, 0x21, 0x00);
		pc_update(&w->pc, w->now);
		n++;
	}
	CHECK_EQ(n, 10);
	free(w);
}

TEST(a_tick_behind_one_that_still_waits_is_late_not_lost)
{
	struct world *w = fresh();
	unsigned n = 0;

	timer(w, 2, 11932);
	for (w->now = 5 * MS; w->now <= 105 * MS; w->now += 10 * MS)	/* the CPU has interrupts off */
		pc_update(&w->pc, w->now);
	w->now = 105 * MS;
	for (; w->cpu.intr_line; n++) {
		CHECK_EQ(ack(w), 0x08);
		out(w, 0x20, 0x20);
		pc_update(&w->pc, w->now);
	}
	CHECK_EQ(n, 10);
	free(w);
}

TEST(ticks_nobody_listens_to_are_not_saved_up)
{
	struct world *w = fresh();

	out(w, 0x21, 0x01);
	timer(w, 2, 11932);
	w->now = 105 * MS;
	pc_update(&w->pc, w->now);
	out(w, 0x21, 0x00);
	CHECK_EQ(ack(w), 0x08);
	out(w, 0x20, 0x20);
	pc_update(&w->pc, w->now);
	CHECK(!w->cpu.intr_line);
	free(w);
}

TEST(ticks_owed_do_not_outlive_the_controllers_being_set_up_anew)		/* [8259A "ICW1": edge sense is reset] */
{
	struct world *w = fresh();

	timer(w, 2, 11932);
	for (w->now = 5 * MS; w->now <= 105 * MS; w->now += 10 * MS)	/* the CPU has interrupts off */
		pc_update(&w->pc, w->now);
	w->now = 105 * MS;
	out(w, 0x20, 0x11);
	out(w, 0x21, 0x20);
	out(w, 0x21, 0x04);
	out(w, 0x21, 0x01);
	pc_update(&w->pc, w->now);
	CHECK(!w->cpu.intr_line);
	sleep_until(w, 1 * S);
	CHECK(w->now > 109 * MS);
	CHECK_EQ(ack(w), 0x20);
	free(w);
}

TEST(rtc_alarm_arrives_as_irq_8)
{
	struct world *w = fresh();

	out(w, 0x70, RTC_B);
	out(w, 0x71, 0x12);
	sleep_until(w, 5 * S);
	CHECK_EQ(w->now, 1 * S);
	CHECK_EQ(ack(w), 0x70);
	out(w, 0x70, RTC_C);
	CHECK_EQ(in(w, 0x71) & 0x90, 0x90);
	free(w);
}

TEST(serial_output_reaches_the_host_in_order)
{
	struct world *w = fresh();

	for (const char *s = "hello"; *s; s++)
		out(w, 0x3F8, (uint8_t)*s);
	CHECK_EQ(w->outs, 5);
	CHECK_EQ(memcmp(w->out, "hello", 5), 0);
	CHECK_EQ(in(w, 0x3FD) & 0x60, 0x60);
	free(w);
}

TEST(a_host_that_takes_nothing_keeps_the_transmitter_busy_until_it_is_ready)
{
	struct world *w = fresh();

	w->accept = 0;
	out(w, 0x3F8, 'x');
	CHECK_EQ(in(w, 0x3FD) & 0x60, 0);
	w->accept = 1;
	pc_serial_tx_ready(&w->pc, 0);
	CHECK_EQ(in(w, 0x3FD) & 0x60, 0x60);
	CHECK_EQ(w->out[0], 'x');
	free(w);
}

TEST(serial_input_interrupts_on_irq_4_and_pushes_back_when_full)
{
	struct world *w = fresh();

	out(w, 0x3FC, 0x08);
	out(w, 0x3F9, 0x01);
	CHECK(pc_serial_input(&w->pc, 0, 'a'));
	CHECK_EQ(ack(w), 0x0C);
	CHECK(!pc_serial_input(&w->pc, 0, 'b'));
	CHECK_EQ(w->rx_ready, 0);
	CHECK_EQ(in(w, 0x3F8), 'a');
	CHECK_EQ(w->rx_ready, 1);
	free(w);
}

TEST(serial_break_is_a_zero_with_its_bit_and_interrupts)
{
	struct world *w = fresh();

	out(w, 0x3FC, 0x08);
	out(w, 0x3F9, 0x04);
	pc_serial_break(&w->pc, 0);
	CHECK_EQ(ack(w), 0x0C);
	CHECK_EQ(in(w, 0x3FD) & 0x11, 0x11);
	CHECK_EQ(in(w, 0x3FD) & 0x11, 0x01);		/* told once */
	CHECK_EQ(in(w, 0x3F8), 0);
	free(w);
}

TEST(com1_and_com3_share_irq_4_as_a_wired_or)
{
	struct world *w = fresh();

	for (unsigned i = 0; i < 2; i++) {
		uint16_t base = i ? 0x3E8 : 0x3F8;
		out(w, base + 4, 0x08);
		out(w, base + 1, 0x01);
		pc_serial_input(&w->pc, i ? 2 : 0, 'x');
	}
	CHECK_EQ(w->pc.irq_sources[4], BIT(IRQ_SRC_CHIP) | BIT(IRQ_SRC_CHIP2));
	in(w, 0x3F8);
	CHECK_EQ(w->pc.pic.chip[0].lines & 0x10, 0x10);
	in(w, 0x3E8);
	CHECK_EQ(w->pc.pic.chip[0].lines & 0x10, 0);
	free(w);
}

TEST(a_key_arrives_translated_on_irq_1_byte_after_byte)
{
	struct world *w = fresh();

	pc_key(&w->pc, KEY_up, true);
	CHECK_EQ(ack(w), 0x09);
	CHECK_EQ(in(w, 0x60), 0xE0);
	out(w, 0x20, 0x20);
	CHECK(!w->cpu.intr_line);		/* the second byte is on the wire */
	CHECK_EQ(in(w, 0x60), 0xE0);		/* a chained handler sees the same byte */
	sleep_until(w, 10 * MS);
	CHECK_EQ(ack(w), 0x09);
	CHECK_EQ(in(w, 0x60), 0x48);
	free(w);
}

TEST(keyboard_leds_reach_the_host)
{
	struct world *w = fresh();

	out(w, 0x60, 0xED);
	sleep_until(w, w->now + 5 * MS);
	CHECK_EQ(in(w, 0x60), 0xFA);
	out(w, 0x60, 0x07);
	CHECK_EQ(w->leds, 7);
	free(w);
}

TEST(mouse_packet_arrives_on_irq_12)
{
	struct world *w = fresh();

	out(w, 0x64, 0x60);
	out(w, 0x60, 0x47);
	out(w, 0x64, 0xD4);
	out(w, 0x60, 0xF4);
	sleep_until(w, w->now + 5 * MS);
	CHECK_EQ(ack(w), 0x74);
	CHECK_EQ(in(w, 0x60), 0xFA);
	out(w, 0xA0, 0x20);
	out(w, 0x20, 0x20);
	pc_mouse(&w->pc, 2, 0, 0, 1);
	sleep_until(w, w->now + 5 * MS);
	CHECK_EQ(in(w, 0x64) & 0x21, 0x21);
	CHECK_EQ(in(w, 0x60), 0x09);
	free(w);
}

TEST(an_idle_board_has_no_event_ahead)
{
	struct world *w = fresh();

	CHECK_EQ(pc_next_event(&w->pc, w->now), NS_NEVER);
	/* The mouse answers while its link is shut: nothing can happen before the guest opens it. */
	out(w, 0x64, 0xD4);
	out(w, 0x60, 0xF2);
	CHECK_EQ(pc_next_event(&w->pc, w->now + 10 * MS), NS_NEVER);
	free(w);
}

TEST(a20_is_switched_by_port_92_and_by_the_keyboard_controller)
{
	struct world *w = fresh();

	CHECK_EQ(in(w, 0x92) & 2, 2);
	out(w, 0x92, 0x00);
	CHECK_EQ(w->a20, 0);
	out(w, 0x64, 0xD1);
	out(w, 0x60, 0xDF);
	CHECK_EQ(w->a20, 1);
	CHECK_EQ(in(w, 0x92) & 2, 2);
	out(w, 0x92, 0x00);
	out(w, 0x64, 0xD0);
	CHECK_EQ(in(w, 0x60) & 2, 0);
	free(w);
}

TEST(each_reset_port_resets)
{
	struct world *w = fresh();

	out(w, 0x64, 0xFE);
	CHECK_EQ(w->resets, 1);
	CHECK(w->cpu.attention & ATTN_RESET);
	out(w, 0x92, 0x03);
	CHECK_EQ(w->resets, 2);
	out(w, 0x92, 0x03);		/* only the rise of the bit */
	CHECK_EQ(w->resets, 2);
	out(w, 0xCF9, 0x02);
	CHECK_EQ(w->resets, 2);
	out(w, 0xCF9, 0x06);
	CHECK_EQ(w->resets, 3);
	free(w);
}

TEST(without_pci_every_configuration_read_is_all_ones)
{
	struct world *w = fresh();

	w->cpu.bus->io_write(w->cpu.bus_arg, 0xCF8, 4, 0x80000000);
	CHECK_EQ(w->cpu.bus->io_read(w->cpu.bus_arg, 0xCF8, 4), 0x80000000);
	CHECK_EQ(w->cpu.bus->io_read(w->cpu.bus_arg, 0xCFC, 4), 0xFFFFFFFF);
	CHECK_EQ(w->cpu.bus->io_read(w->cpu.bus_arg, 0xCFE, 2), 0xFFFF);
	CHECK_EQ(w->cpu.bus->io_read(w->cpu.bus_arg, 0xCF8, 2), 0xFFFF);	/* doublewords only */
	out(w, 0xCF8, 0x40);
	CHECK_EQ(w->cpu.bus->io_read(w->cpu.bus_arg, 0xCF8, 4), 0x80000000);
	free(w);
}

static uint32_t hook_read(void *arg, uint32_t addr, unsigned size)
{
	return addr & 0xFF;
}

TEST(pci_hook_gets_the_address_with_the_byte_offset_when_enabled)
{
	struct world *w = fresh();

	w->pc.pci.read = hook_read;
	w->cpu.bus->io_write(w->cpu.bus_arg, 0xCF8, 4, 0x80000040);
	CHECK_EQ(w->cpu.bus->io_read(w->cpu.bus_arg, 0xCFE, 2), 0x42);
	w->cpu.bus->io_write(w->cpu.bus_arg, 0xCF8, 4, 0x00000040);
	CHECK_EQ(w->cpu.bus->io_read(w->cpu.bus_arg, 0xCFC, 4), 0xFFFFFFFF);
	free(w);
}

TEST(soft_off_powers_off)
{
	struct world *w = fresh();

	w->cpu.bus->io_write(w->cpu.bus_arg, PC_ACPI_BASE + 4, 2, PC_ACPI_S5_TYPE << 10 | ACPI_SLP_EN);
	CHECK_EQ(w->power_offs, 1);
	free(w);
}

TEST(acpi_mode_is_entered_through_the_smi_port_and_the_power_button_raises_irq_9)
{
	struct world *w = fresh();

	CHECK_EQ(in(w, PC_ACPI_BASE + 4) & 1, 0);
	out(w, PC_ACPI_SMI_CMD, 0xF1);
	CHECK_EQ(in(w, PC_ACPI_BASE + 4) & 1, 1);
	w->cpu.bus->io_write(w->cpu.bus_arg, PC_ACPI_BASE + 2, 2, ACPI_PWRBTN_STS);
	pc_power_button(&w->pc);
	CHECK_EQ(ack(w), 0x71);
	free(w);
}

TEST(acpi_block_moves)
{
	struct world *w = fresh();

	pc_acpi_move(&w->pc, 0xB000);
	w->now = 1 * S;
	CHECK_EQ(w->cpu.bus->io_read(w->cpu.bus_arg, 0xB008, 4), 3579545);
	CHECK_EQ(w->cpu.bus->io_read(w->cpu.bus_arg, PC_ACPI_BASE + 8, 4), 0xFFFFFFFF);
	free(w);
}

TEST(debug_ports_reach_the_host)
{
	struct world *w = fresh();

	CHECK_EQ(in(w, 0xE9), 0xE9);
	out(w, 0xE9, 'o');
	out(w, 0xE9, 'k');
	CHECK_EQ(in(w, 0x402), 0xFF);		/* a port that nobody asked for */
	CHECK_EQ(memcmp(w->debug, "ok", 2), 0);
	out(w, 0x80, 0x5A);
	CHECK_EQ(in(w, 0x80), 0x5A);
	w->cpu.bus->io_write(w->cpu.bus_arg, 0xF4, 4, 0x31);
	CHECK_EQ(w->debug_exit, 0x31);
	CHECK_EQ(in(w, 0x505), 0x03);
	out(w, 0x505, 0x01);
	CHECK_EQ(w->panic, 1);
	free(w);
}

TEST(ferr_is_irq_13_until_port_f0_is_written)
{
	struct world *w = fresh();

	w->cpu.bus->ferr(w->cpu.bus_arg, true);
	CHECK_EQ(ack(w), 0x75);
	CHECK_EQ(w->pc.pic.chip[1].lines & 0x20, 0x20);
	out(w, 0xF0, 0);
	CHECK_EQ(w->pc.pic.chip[1].lines & 0x20, 0);
	free(w);
}

static uint8_t cmos(struct world *w, uint8_t reg)
{
	out(w, 0x70, reg);
	return in(w, 0x71);
}

TEST(cmos_tells_memory_size_and_boot_order)
{
	struct world *w = fresh();

	CHECK_EQ(cmos(w, 0x15) | cmos(w, 0x16) << 8, 640);
	CHECK_EQ(cmos(w, 0x17) | cmos(w, 0x18) << 8, 63 * 1024);
	CHECK_EQ(cmos(w, 0x34) | cmos(w, 0x35) << 8, 48 * 16);
	CHECK_EQ(cmos(w, 0x10), 0);
	CHECK_EQ(cmos(w, 0x14) & 0xC3, 0x02);
	CHECK_EQ(cmos(w, 0x3D), 0x23);
	CHECK_EQ(cmos(w, 0x38), 0x10);
	CHECK_EQ(cmos(w, RTC_HOURS), 0x12);
	free(w);
}

TEST(time_stamp_counter_runs_at_its_nominal_rate)
{
	struct world *w = fresh();

	w->now = 3 * S;
	CHECK_EQ(w->cpu.bus->tsc(w->cpu.bus_arg), 6000000000ull);
	free(w);
}

TEST(reset_drops_interrupts_and_keeps_time_and_cmos)
{
	struct world *w = fresh();

	timer(w, 2, 11932);
	w->now = 2 * S;
	pc_update(&w->pc, w->now);
	CHECK(w->cpu.intr_line);
	out(w, 0x92, 0);
	pc_reset(&w->pc);
	CHECK(!w->cpu.intr_line);
	CHECK_EQ(w->a20, 1);
	CHECK_EQ(cmos(w, RTC_SECONDS), 0x58);
	CHECK_EQ(cmos(w, 0x3D), 0x23);
	CHECK_EQ(pc_next_event(&w->pc, w->now), NS_NEVER);
	free(w);
}

#ifdef PLEX86_METERS
TEST(accesses_are_counted_by_device)
{
	struct world *w = fresh();
	uint64_t before = meter_device_accesses(&w->pc.bus.devices, "com1");

	in(w, 0x3FD);
	out(w, 0x3F8, 'x');
	CHECK_EQ(meter_device_accesses(&w->pc.bus.devices, "com1"), before + 2);
	free(w);
}
#endif

TEST(no_two_devices_of_the_board_claim_the_same_port)
{
	struct world *w = fresh();

	for (unsigned i = 0; i < w->pc.bus.nrows; i++)
		for (unsigned p = w->pc.bus.row[i].first; p <= w->pc.bus.row[i].last; p++)
			CHECK_EQ(w->pc.bus.owner[p], i + 1);
	free(w);
}

/* Whatever the guest writes where, the board lives and time goes on: after an update no event may
 * be due again and again (the run loop would spin). */
TEST(random_port_accesses_neither_break_the_board_nor_stop_time)
{
	struct world *w = fresh();
	uint64_t x = 0x9E3779B97F4A7C15;

	w->accept = 0;
	for (unsigned i = 0; i < 300000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		const struct io_row *row = &w->pc.bus.row[(x >> 8) % w->pc.bus.nrows];
		uint16_t port = (uint16_t)(row->first + (x >> 16) % (row->last - row->first + 1u));
		unsigned size = 1u << (x >> 40) % 3;
		if (x & 1)
			w->cpu.bus->io_write(w->cpu.bus_arg, port, size, (uint32_t)(x >> 32));
		else
			w->cpu.bus->io_read(w->cpu.bus_arg, port, size);
		if (w->cpu.intr_line && (x & 0x300) == 0)
			ack(w);
		if ((x & 0x1F) == 3)
			pc_key(&w->pc, (enum key)((x >> 44) % KEY_COUNT), x & 0x40);
		if ((x & 0x1F) == 5)
			pc_mouse(&w->pc, (int8_t)(x >> 44), (int8_t)(x >> 52), 0, (unsigned)(x >> 60));
		if ((x & 0x1F) == 7)
			pc_serial_input(&w->pc, (unsigned)(x >> 44) % 4, (uint8_t)x);
		if ((x & 0xFFF) == 9)
			pc_reset(&w->pc);
		w->now += (x >> 20) % 100000;
		unsigned due = 0;
		pc_update(&w->pc, w->now);
		while (pc_next_event(&w->pc, w->now) <= w->now) {
			pc_update(&w->pc, w->now);
			CHECK(++due < 1000);
		}
	}
	free(w);
}
