/*
 * Two 8259A interrupt controllers, cascaded through IR2 as in a PC/AT.
 */
#ifndef PLEX86_DEV_PIC_H
#define PLEX86_DEV_PIC_H

#include "util/types.h"

struct pic_chip {
	uint8_t lines;			/* levels at IR0..7 */
	uint8_t edge;			/* edge-sense latches: the line has risen since it was last served */
	uint8_t irr;			/* requests, as OCW3 reads them: derived from lines, edge, elcr */
	uint8_t isr, imr;
	uint8_t icw1, icw2, icw3, icw4;
	uint8_t init_step;		/* ICW awaited: 2, 3, 4; 0 = initialised */
	uint8_t lowest;			/* level of lowest priority: 7 unless rotated */
	uint8_t elcr;			/* 4D0h/4D1h: 1 = level triggered */
	bool rotate_on_aeoi, special_mask, poll, read_isr;
	bool master;
};

struct pic {
	struct pic_chip chip[2];	/* 0 master, 1 slave */
	uint64_t raised[16];		/* how often each line has risen, for people */
};

void pic_reset(struct pic *pic);

/* Ports 20h, 21h, A0h, A1h; ELCR 4D0h, 4D1h. */
uint8_t pic_read(struct pic *pic, uint16_t port);
void pic_write(struct pic *pic, uint16_t port, uint8_t val);

/* Level of IRQ 0..15 (2 is the cascade and has no pin). */
void pic_set_irq(struct pic *pic, unsigned irq, bool level);

/* INT output of the master. */
bool pic_intr(const struct pic *pic);

/* The INTA sequence: a vector always, spurious IR7/IR15 if no request is left. */
uint8_t pic_ack(struct pic *pic);

#endif
