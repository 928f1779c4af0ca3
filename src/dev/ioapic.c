/*
 * I/O APIC.					[82093AA "I/O Advanced Programmable Interrupt Controller"]
 *
 * Each pin has a redirection entry. Edge: a rise sends one message. Level: sent while the pin is up
 * and remote IRR is clear; the processor's EOI clears it, and if the pin is still up it is sent again.
 * The polarity bit is kept, and without effect: the board says "asserted", not high or low.
 */
#include <string.h>

#include "dev/ioapic.h"

enum { E_LOGICAL = BIT(11), E_REMOTE_IRR = BIT(14), E_LEVEL = BIT(15), E_MASKED = BIT(16) };

void ioapic_reset(struct ioapic *io)
{
	io->select = 0;
	io->id = 0;
	for (unsigned i = 0; i < IOAPIC_PINS; i++)
		io->redirect[i] = E_MASKED;
}

static bool send(struct ioapic *io, unsigned pin)
{
	uint64_t e = io->redirect[pin];

	return io->send(io->arg, e >> 56, e & E_LOGICAL, e >> 8 & 7, e, e & E_LEVEL);
}

static void service_level(struct ioapic *io, unsigned pin)
{
	uint64_t e = io->redirect[pin];

	if (!(e & E_LEVEL) || e & (E_MASKED | E_REMOTE_IRR) || !(io->pins >> pin & 1))
		return;
	if (send(io, pin))
		io->redirect[pin] |= E_REMOTE_IRR;
}

void ioapic_set_pin(struct ioapic *io, unsigned pin, bool level)
{
	bool was = io->pins >> pin & 1;

	io->raised[pin] += level && !was;
	io->pins = level ? io->pins | 1u << pin : io->pins & ~(1u << pin);
	if (io->redirect[pin] & E_LEVEL)
		service_level(io, pin);
	else if (level && !was && !(io->redirect[pin] & E_MASKED))
		send(io, pin);
}

void ioapic_eoi(struct ioapic *io, uint8_t vector)
{
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t *e = &io->redirect[pin];
		if (!(*e & E_REMOTE_IRR) || (*e & 0xFF) != vector)
			continue;
		*e &= ~(uint64_t)E_REMOTE_IRR;
		service_level(io, pin);
	}
}

static uint32_t read_register(const struct ioapic *io)
{
	switch (io->select) {
	case 0:
	case 2:
		return (uint32_t)io->id << 24;
	case 1:
		return 0x11 | (IOAPIC_PINS - 1) << 16;
	}
	unsigned pin = (io->select - 0x10) / 2;
	if (io->select < 0x10 || pin >= IOAPIC_PINS)
		return 0;
	return io->select & 1 ? io->redirect[pin] >> 32 : io->redirect[pin];
}

static void write_register(struct ioapic *io, uint32_t val)
{
	if (io->select == 0) {
		io->id = val >> 24 & 15;
		return;
	}
	unsigned pin = (io->select - 0x10) / 2;
	if (io->select < 0x10 || pin >= IOAPIC_PINS)
		return;
	uint64_t *e = &io->redirect[pin];
	if (io->select & 1) {
		*e = (*e & 0xFFFFFFFF) | (uint64_t)val << 32;
		return;
	}
	*e = (*e & 0xFFFFFFFF00000000) | (val & 0x1AFFF) | (*e & E_REMOTE_IRR);
	if (!(*e & E_LEVEL))			/* remote IRR has no meaning for an edge */
		*e &= ~(uint64_t)E_REMOTE_IRR;
	service_level(io, pin);
}

uint32_t ioapic_read(struct ioapic *io, unsigned offset)
{
	switch (offset & 0xF0) {
	case 0x00: return io->select;
	case 0x10: return read_register(io);
	default: return 0;
	}
}

void ioapic_write(struct ioapic *io, unsigned offset, uint32_t val)
{
	switch (offset & 0xF0) {
	case 0x00: io->select = val; break;
	case 0x10: write_register(io, val); break;
	}
}
