/*
 * DMA: two 8237A and the page registers of a PC/AT.			[8237A], [AT-TRM "DMA Controller"]
 *
 * A device with DREQ up asks for a transfer in one call. Channels 4-7 count words: their address
 * is A1..A16, and page bit 0 is not used. Addresses wrap inside the 64K (128K) page, as there.
 * Left out: memory-to-memory transfers (the AT cannot: channel 0 and 1 DACKs), compressed timing,
 * priorities (only one device asks at a time) and software requests beyond their register bit.
 */
#include "dev/dma.h"

#include <string.h>

enum { COMMAND_DISABLE = 0x04 };
enum { MODE_TYPE = 0x0C, MODE_AUTOINIT = 0x10, MODE_DECREMENT = 0x20, MODE_CASCADE = 0xC0 };

/* Channel of page port 80h + i, or -1.				[AT-TRM "Page Register Addresses"] */
static const int8_t page_channel[16] = { -1, 2, 3, 1, -1, -1, -1, 0, -1, 6, 7, 5, -1, -1, -1, 4 };

static void dma_master_clear(struct dma_chip *chip)
{
	chip->command = chip->request = chip->status = chip->temporary = 0;
	chip->mask = 0x0F;
	chip->flip_flop = false;
}

void dma_reset(struct dma *dma)
{
	memset(dma, 0, sizeof(*dma));
	dma_master_clear(&dma->chip[0]);
	dma_master_clear(&dma->chip[1]);
	/* As every BIOS leaves it: channel 4 carries the first controller. */
	dma->chip[1].channel[0].mode = MODE_CASCADE;
	dma->chip[1].mask = 0x0E;
}

static struct dma_channel *dma_page_owner(struct dma *dma, uint16_t port)
{
	int ch = page_channel[port & 15];

	return ch < 0 ? NULL : &dma->chip[ch >> 2].channel[ch & 3];
}

/* A 16-bit register, a byte at a time. */
static uint8_t dma_half(struct dma_chip *chip, uint16_t val)
{
	uint8_t byte = (uint8_t)(chip->flip_flop ? val >> 8 : val);

	chip->flip_flop = !chip->flip_flop;
	return byte;
}

static void dma_set_half(struct dma_chip *chip, uint16_t *base, uint16_t *current, uint8_t val)
{
	*base = (uint16_t)(chip->flip_flop ? (*base & 0xFF) | val << 8 : (*base & 0xFF00) | val);
	*current = *base;
	chip->flip_flop = !chip->flip_flop;
}

static uint8_t dma_chip_read(struct dma_chip *chip, unsigned reg)
{
	uint8_t val;

	if (reg < 8) {
		struct dma_channel *c = &chip->channel[reg >> 1];
		return dma_half(chip, reg & 1 ? c->count : c->address);
	}
	switch (reg) {
	case 8:				/* reading clears the terminal counts */
		val = chip->status;
		chip->status &= 0xF0;
		return val;
	case 13: return chip->temporary;
	case 15: return 0xF0 | chip->mask;
	default: return 0xFF;
	}
}

static void dma_chip_write(struct dma_chip *chip, unsigned reg, uint8_t val)
{
	uint8_t bit = (uint8_t)BIT(val & 3);

	if (reg < 8) {
		struct dma_channel *c = &chip->channel[reg >> 1];
		if (reg & 1)
			dma_set_half(chip, &c->base_count, &c->count, val);
		else
			dma_set_half(chip, &c->base_address, &c->address, val);
		return;
	}
	switch (reg) {
	case 8: chip->command = val; break;
	case 9: chip->request = (uint8_t)(val & 4 ? chip->request | bit : chip->request & ~bit); break;
	case 10: chip->mask = (uint8_t)(val & 4 ? chip->mask | bit : chip->mask & ~bit); break;
	case 11: chip->channel[val & 3].mode = val & 0xFC; break;
	case 12: chip->flip_flop = false; break;
	case 13: dma_master_clear(chip); break;
	case 14: chip->mask = 0; break;
	case 15: chip->mask = val & 0x0F; break;
	}
}

uint8_t dma_read(struct dma *dma, uint16_t port)
{
	if (port < 0x10)
		return dma_chip_read(&dma->chip[0], port);
	if (port >= 0xC0 && port < 0xE0)
		return dma_chip_read(&dma->chip[1], (port - 0xC0u) >> 1);
	struct dma_channel *c = dma_page_owner(dma, port);
	if (port >= 0x480)
		return c ? c->page_high : 0xFF;
	return c ? c->page : dma->page_spare[port & 15];
}

void dma_write(struct dma *dma, uint16_t port, uint8_t val)
{
	if (port < 0x10) {
		dma_chip_write(&dma->chip[0], port, val);
	} else if (port >= 0xC0 && port < 0xE0) {
		dma_chip_write(&dma->chip[1], (port - 0xC0u) >> 1, val);
	} else {
		struct dma_channel *c = dma_page_owner(dma, port);
		if (port >= 0x480) {
			if (c)
				c->page_high = val;
		} else if (c) {
			c->page = val;
			c->page_high = 0;	/* so that AT software reaches what it means */
		} else {
			dma->page_spare[port & 15] = val;
		}
	}
}

bool dma_ready(const struct dma *dma, unsigned channel)
{
	const struct dma_chip *chip = &dma->chip[channel >> 2 & 1], *upper = &dma->chip[1];

	if ((chip->command & COMMAND_DISABLE) || (chip->mask & BIT(channel & 3)))
		return false;
	if (channel >= 4)
		return channel != 4;
	return !(upper->command & COMMAND_DISABLE) && !(upper->mask & 1) &&
	    (upper->channel[0].mode & MODE_CASCADE) == MODE_CASCADE;
}

size_t dma_left(const struct dma *dma, unsigned channel)
{
	const struct dma_channel *c = &dma->chip[channel >> 2 & 1].channel[channel & 3];

	return ((size_t)c->count + 1) << (channel >= 4);
}

unsigned dma_direction(const struct dma *dma, unsigned channel)
{
	return (dma->chip[channel >> 2 & 1].channel[channel & 3].mode & MODE_TYPE) >> 2;
}

static gpa_t dma_gpa(const struct dma_channel *c, bool words)
{
	if (words)
		return (gpa_t)c->page_high << 24 | (gpa_t)(c->page & 0xFE) << 16 | (gpa_t)c->address << 1;
	return (gpa_t)c->page_high << 24 | (gpa_t)c->page << 16 | c->address;
}

/* Move n units that lie in one piece (or a single one going down). */
static void dma_move(struct dma_channel *c, bool words, uint8_t *buf, size_t n, const struct dma_memory *mem)
{
	size_t len = n << words;

	switch (c->mode & MODE_TYPE) {
	case 0x04: mem->write(mem->arg, dma_gpa(c, words), buf, len); break;
	case 0x08: mem->read(mem->arg, dma_gpa(c, words), buf, len); break;
	}
	c->address = (uint16_t)(c->mode & MODE_DECREMENT ? c->address - n : c->address + n);
	c->count = (uint16_t)(c->count - n);
}

size_t dma_transfer(struct dma *dma, unsigned channel, void *buf, size_t len, bool *tc, const struct dma_memory *mem)
{
	struct dma_chip *chip = &dma->chip[channel >> 2 & 1];
	struct dma_channel *c = &chip->channel[channel & 3];
	bool words = channel >= 4;
	size_t units = len >> words, left = (size_t)c->count + 1, done = 0;

	*tc = false;
	if (!dma_ready(dma, channel))
		return 0;
	if (units > left)
		units = left;
	while (done < units) {
		size_t n = units - done;
		if (c->mode & MODE_DECREMENT)
			n = 1;
		else
			n = MIN(n, 0x10000u - c->address);
		dma_move(c, words, (uint8_t *)buf + (done << words), n, mem);
		done += n;
	}
	if (done == left) {
		*tc = true;
		chip->status |= (uint8_t)BIT(channel & 3);
		chip->request &= (uint8_t)~BIT(channel & 3);
		if (c->mode & MODE_AUTOINIT) {
			c->address = c->base_address;
			c->count = c->base_count;
		} else {
			chip->mask |= (uint8_t)BIT(channel & 3);
		}
	}
	return done << words;
}
