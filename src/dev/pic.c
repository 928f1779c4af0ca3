/*
 * Two 8259A interrupt controllers with the PIIX's edge/level registers.	[8259A], [PIIX3]
 *
 * A request is a line that is high and either level triggered or risen since it was last served:
 * a line that falls before it is acknowledged takes its request with it. If the CPU acknowledges
 * when no request is left, the answer is IR7 and no in-service bit, as the data sheet says.
 * INT is a function of the registers, asked after every change.
 *
 * Left out: the 8080 modes (ICW4.uPM = 0 still gives the 8086 vector byte) and buffered mode, which
 * only says which pin is used. ICW1.LTIM is ignored as in the PIIX, where ELCR replaces it.
 * The registers are undefined after power-on; here everything is masked until ICW1.
 */
#include "dev/pic.h"

#include <string.h>

enum { ICW1_IC4 = 0x01, ICW1_SNGL = 0x02, ICW1_INIT = 0x10 };
enum { ICW4_AEOI = 0x02, ICW4_SFNM = 0x10 };
enum { CASCADE = 2 };			/* IR of the master that the slave's INT drives */

static const uint8_t elcr_mask[2] = { 0xF8, 0xDE };	/* IRQ 0, 1, 2, 8, 13 are always edge [PIIX3] */

void pic_reset(struct pic *pic)
{
	for (unsigned i = 0; i < 2; i++) {
		uint8_t lines = pic->chip[i].lines;

		memset(&pic->chip[i], 0, sizeof(pic->chip[i]));
		pic->chip[i].lines = lines;
		pic->chip[i].imr = 0xFF;
		pic->chip[i].lowest = 7;
		pic->chip[i].master = i == 0;
	}
	pic->chip[0].icw3 = BIT(CASCADE);
	pic->chip[1].icw3 = CASCADE;
}

static void chip_derive(struct pic_chip *c)
{
	c->irr = c->lines & (c->edge | c->elcr);
}

/* Rank of level among the priorities: 0 is highest. */
static unsigned chip_rank(const struct pic_chip *c, unsigned level)
{
	return (level - c->lowest - 1) & 7;
}

/* The level of highest priority in set, or -1. */
static int chip_highest(const struct pic_chip *c, uint8_t set)
{
	if (set == 0)
		return -1;
	for (unsigned rank = 0;; rank++) {
		unsigned level = (c->lowest + 1 + rank) & 7;
		if (set & BIT(level))
			return (int)level;
	}
}

/* The level that makes INT active, or -1.	[8259A "Fully Nested Mode", "Special Mask Mode"] */
static int chip_pending(const struct pic_chip *c)
{
	int request = chip_highest(c, c->irr & ~c->imr);
	/* Special mask: a masked level in service holds nobody back. */
	int serving = chip_highest(c, c->special_mask ? c->isr & ~c->imr : c->isr);

	if (request < 0 || c->init_step != 0)
		return -1;
	if (serving < 0 || chip_rank(c, (unsigned)request) < chip_rank(c, (unsigned)serving))
		return request;
	/* Special fully nested: a slave in service is not locked out of the master. */
	if (request == serving && c->master && (c->icw4 & ICW4_SFNM) && (c->icw3 & BIT(request)))
		return request;
	return -1;
}

/* One INTA for this chip: the level served; spurious IR7 when there is none. */
static unsigned chip_serve(struct pic_chip *c, bool *spurious)
{
	int level = chip_pending(c);

	*spurious = level < 0;
	if (level < 0)
		return 7;
	c->edge &= ~BIT(level);
	chip_derive(c);
	if (!(c->icw4 & ICW4_AEOI))
		c->isr |= BIT(level);
	else if (c->rotate_on_aeoi)
		c->lowest = (uint8_t)level;
	return (unsigned)level;
}

static void chip_set_line(struct pic_chip *c, unsigned ir, bool level)
{
	if (!level) {
		c->lines &= ~BIT(ir);
		c->edge &= ~BIT(ir);
	} else {
		if (!(c->lines & BIT(ir)))
			c->edge |= BIT(ir);
		c->lines |= BIT(ir);
	}
	chip_derive(c);
}

/* The slave's INT is the master's IR2. */
static void pic_cascade(struct pic *pic)
{
	chip_set_line(&pic->chip[0], CASCADE, chip_pending(&pic->chip[1]) >= 0);
}

void pic_set_irq(struct pic *pic, unsigned irq, bool level)
{
	if (irq >= 16 || irq == CASCADE)
		return;
	pic->raised[irq] += level && !(pic->chip[irq >> 3].lines >> (irq & 7) & 1);
	chip_set_line(&pic->chip[irq >> 3], irq & 7, level);
	pic_cascade(pic);
}

bool pic_intr(const struct pic *pic)
{
	return chip_pending(&pic->chip[0]) >= 0;
}

/* The slave was served, by INTA or poll: its INT falls, and rises anew if more is pending. */
static unsigned pic_serve_slave(struct pic *pic, bool *spurious)
{
	unsigned level = chip_serve(&pic->chip[1], spurious);

	chip_set_line(&pic->chip[0], CASCADE, false);
	pic_cascade(pic);
	return level;
}

uint8_t pic_ack(struct pic *pic)
{
	struct pic_chip *master = &pic->chip[0], *slave = &pic->chip[1];
	bool spurious;
	unsigned level = chip_serve(master, &spurious);

	if (spurious || level != CASCADE || !(master->icw3 & BIT(CASCADE)) || (master->icw1 & ICW1_SNGL))
		return (master->icw2 & 0xF8) | level;
	if ((slave->icw3 & 7) != CASCADE)
		return 0xFF;			/* no slave of that number drives the bus */
	level = pic_serve_slave(pic, &spurious);
	return (slave->icw2 & 0xF8) | level;
}

static void chip_icw1(struct pic_chip *c, uint8_t val)
{
	c->icw1 = val;
	c->edge = 0;			/* a line must rise again to request */
	c->imr = 0;
	c->isr = 0;
	c->lowest = 7;
	c->special_mask = c->poll = c->read_isr = c->rotate_on_aeoi = false;
	c->icw4 = 0;			/* when IC4 = 0 all functions of ICW4 are off */
	c->init_step = 2;
	chip_derive(c);
}

/* Priority rotation and end of interrupt.	[8259A "Operation Command Word 2"] */
static void chip_ocw2(struct pic_chip *c, uint8_t val)
{
	unsigned level = val & 7;
	/* In special mask mode a non-specific EOI leaves masked levels in service. */
	int serving = chip_highest(c, c->special_mask ? c->isr & ~c->imr : c->isr);

	switch (val >> 5) {
	case 0: c->rotate_on_aeoi = false; break;
	case 4: c->rotate_on_aeoi = true; break;
	case 1: case 5:				/* non-specific EOI, and rotate */
		if (serving < 0)
			break;
		c->isr &= ~BIT(serving);
		if (val & 0x80)
			c->lowest = (uint8_t)serving;
		break;
	case 3: case 7:				/* specific EOI, and rotate */
		c->isr &= ~BIT(level);
		if (val & 0x80)
			c->lowest = (uint8_t)level;
		break;
	case 6: c->lowest = (uint8_t)level; break;	/* set priority */
	}
}

static void chip_ocw3(struct pic_chip *c, uint8_t val)
{
	if (val & 0x40)
		c->special_mask = val & 0x20;
	if (val & 0x04)
		c->poll = true;
	if (val & 0x02)
		c->read_isr = val & 0x01;
}

/* A0 = 1: the initialisation words in their order, then OCW1. */
static void chip_write_data(struct pic_chip *c, uint8_t val)
{
	switch (c->init_step) {
	case 2:
		c->icw2 = val;
		c->init_step = !(c->icw1 & ICW1_SNGL) ? 3 : c->icw1 & ICW1_IC4 ? 4 : 0;
		break;
	case 3:
		c->icw3 = val;
		c->init_step = c->icw1 & ICW1_IC4 ? 4 : 0;
		break;
	case 4:
		c->icw4 = val;
		c->init_step = 0;
		break;
	default:
		c->imr = val;
	}
}

void pic_write(struct pic *pic, uint16_t port, uint8_t val)
{
	if (port >= 0x4D0) {
		struct pic_chip *c = &pic->chip[port & 1];
		c->elcr = val & elcr_mask[port & 1];
		chip_derive(c);
	} else {
		struct pic_chip *c = &pic->chip[port >> 7 & 1];

		if (port & 1)
			chip_write_data(c, val);
		else if (val & ICW1_INIT)
			chip_icw1(c, val);
		else if (val & 0x08)
			chip_ocw3(c, val);
		else
			chip_ocw2(c, val);
	}
	pic_cascade(pic);
}

uint8_t pic_read(struct pic *pic, uint16_t port)
{
	if (port >= 0x4D0)
		return pic->chip[port & 1].elcr;

	struct pic_chip *c = &pic->chip[port >> 7 & 1];

	if (c->poll) {			/* the read is the INTA	[8259A "Poll Command"] */
		bool spurious;
		c->poll = false;
		unsigned level = c->master ? chip_serve(c, &spurious) : pic_serve_slave(pic, &spurious);
		return spurious ? 0 : 0x80 | level;
	}
	if (port & 1)
		return c->imr;
	return c->read_isr ? c->isr : c->irr;
}
