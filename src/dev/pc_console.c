/*
 * What people are at the other end of: the serial ports, and keyboard and mouse behind their controller. The
 * chips do not know each other: every byte between a device and the 8042 passes through here.
 */
#include "dev/pc_internal.h"

static const struct {
	uint16_t base;
	uint8_t irq;
	enum pc_irq_source source;
} serial[PC_SERIAL_PORTS] = {
	{ 0x3F8, 4, IRQ_SRC_CHIP }, { 0x2F8, 3, IRQ_SRC_CHIP }, { 0x3E8, 4, IRQ_SRC_CHIP2 }, { 0x2E8, 3, IRQ_SRC_CHIP2 },
};

/* --- serial --- */

void pc_serial_settle(struct pc *pc, unsigned n)
{
	struct uart *uart = &pc->uart[n];
	const uint8_t *buf;
	unsigned len;

	while ((len = uart_tx(uart, &buf)) != 0) {
		size_t taken = pc->cfg.host.serial_tx ? pc->cfg.host.serial_tx(pc->cfg.host.arg, n, buf, len) : len;
		uart_sent(uart, (unsigned)taken);
		if (taken < len)
			break;
	}
	pc_set_irq_source(pc, serial[n].irq, serial[n].source, uart_irq(uart));
}

static unsigned serial_port(uint16_t port)
{
	for (unsigned n = 0; n < PC_SERIAL_PORTS; n++)
		if ((port & ~7u) == serial[n].base)
			return n;
	return 0;
}

uint32_t pc_serial_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;
	unsigned n = serial_port(port);
	uint8_t val = uart_read(&pc->uart[n], port & 7, pc_now(pc));

	pc_serial_settle(pc, n);
	if ((port & 7) == 0) {
		if (pc->rx_wanted[n] && pc->cfg.host.serial_rx_ready) {
			pc->rx_wanted[n] = false;
			pc->cfg.host.serial_rx_ready(pc->cfg.host.arg, n);
		}
		pc_timers_changed(pc);	/* the receive time-out starts anew */
	}
	return val;
}

void pc_serial_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;
	unsigned n = serial_port(port);

	uart_write(&pc->uart[n], port & 7, (uint8_t)val, pc_now(pc));
	pc_serial_settle(pc, n);
	if ((port & 7) != 0)
		pc_timers_changed(pc);
}

bool pc_serial_input(struct pc *pc, unsigned port, uint8_t byte)
{
	bool taken = uart_receive(&pc->uart[port], byte, pc_now(pc));

	pc->rx_wanted[port] = !taken;
	pc->stirred = true;
	pc_serial_settle(pc, port);
	pc_timers_changed(pc);
	return taken;
}

void pc_serial_break(struct pc *pc, unsigned port)
{
	uart_receive_error(&pc->uart[port], 0, 0x10, pc_now(pc));
	pc_serial_settle(pc, port);
}

void pc_serial_tx_ready(struct pc *pc, unsigned port)
{
	pc_serial_settle(pc, port);
}

/* --- keyboard controller, keyboard, mouse --- */

/* Carry bytes over the two links, then drive the two interrupt lines. */
void pc_keyboard_settle(struct pc *pc, ns_t now)
{
	uint8_t byte;

	if (i8042_to_device(&pc->i8042, I8042_KBD, &byte)) {
		ps2kbd_write(&pc->kbd, byte, now);
		if (pc->kbd.leds != pc->leds && pc->cfg.host.leds)
			pc->cfg.host.leds(pc->cfg.host.arg, pc->kbd.leds);
		pc->leds = pc->kbd.leds;
	}
	if (i8042_to_device(&pc->i8042, I8042_AUX, &byte))
		ps2mouse_write(&pc->mouse, byte, now);
	ps2kbd_update(&pc->kbd, now);
	ps2mouse_update(&pc->mouse, now);
	/* Low first: a byte that follows at once is a new edge. */
	if (!i8042_irq(&pc->i8042, I8042_KBD))
		pc_chip_irq(pc, IRQ_KBD, false);
	if (!i8042_irq(&pc->i8042, I8042_AUX))
		pc_chip_irq(pc, IRQ_AUX, false);
	i8042_update(&pc->i8042, now);
	while (i8042_ready(&pc->i8042, I8042_KBD, now) && ps2kbd_take(&pc->kbd, &byte))
		i8042_from_device(&pc->i8042, I8042_KBD, byte, now);
	if (i8042_ready(&pc->i8042, I8042_AUX, now) && ps2mouse_take(&pc->mouse, &byte))
		i8042_from_device(&pc->i8042, I8042_AUX, byte, now);
	pc_chip_irq(pc, IRQ_KBD, i8042_irq(&pc->i8042, I8042_KBD));
	pc_chip_irq(pc, IRQ_AUX, i8042_irq(&pc->i8042, I8042_AUX));
}

uint32_t pc_i8042_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;
	ns_t now = pc_now(pc);
	uint8_t val = i8042_read(&pc->i8042, port, now);

	pc_keyboard_settle(pc, now);
	if (port == 0x60)
		pc_timers_changed(pc);
	return val;
}

void pc_i8042_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;
	ns_t now = pc_now(pc);

	i8042_write(&pc->i8042, port, (uint8_t)val, now);
	pc_set_a20(pc, i8042_a20(&pc->i8042));
	if (i8042_take_reset(&pc->i8042))
		pc_reset_request(pc);
	pc_keyboard_settle(pc, now);
	pc_timers_changed(pc);
}

void pc_key(struct pc *pc, enum key key, bool down)
{
	ns_t now = pc_now(pc);

	pc->stirred = true;
	ps2kbd_key(&pc->kbd, key, down, now);
	pc_keyboard_settle(pc, now);
	pc_timers_changed(pc);
}

void pc_mouse(struct pc *pc, int dx, int dy, int dz, unsigned buttons)
{
	ns_t now = pc_now(pc);

	pc->stirred = true;
	ps2mouse_move(&pc->mouse, dx, dy, dz, buttons, now);
	pc_keyboard_settle(pc, now);
	pc_timers_changed(pc);
}
