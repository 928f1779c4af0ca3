/*
 * The PS/2 keyboard controller (8042): ports 60h and 64h. The devices behind its two links are not
 * known here: the board carries the bytes.
 */
#ifndef PLEX86_DEV_I8042_H
#define PLEX86_DEV_I8042_H

#include "util/types.h"

enum i8042_link { I8042_KBD, I8042_AUX };

struct i8042 {
	uint8_t status;			/* OBF 0, IBF 1, SYS 2, A2 3, INH 4, AUXB 5, TO 6, PE 7 */
	uint8_t ccb;			/* controller command byte (RAM byte 0) */
	uint8_t ram[32];		/* ram[0] unused: see ccb */
	uint8_t outport;		/* bit 0 reset#, 1 A20, 4 IRQ1, 5 IRQ12 */
	uint8_t out;			/* output buffer */
	bool out_reply;			/* it holds the controller's own answer, not a device's byte */
	uint8_t held;			/* device byte that such an answer pushed out of the way */
	bool held_full, held_aux;
	uint8_t command;		/* 64h command that awaits its data byte at 60h; 0 = none */
	bool release;			/* translation: F0h seen, the next byte is a break code */
	uint8_t tx[2];			/* byte for the device on each link */
	bool tx_full[2];
	ns_t link_busy;			/* no device byte comes in before this: serial links take time */
	bool reset_pulse;		/* bit 0 of the output port was pulsed low */
};

void i8042_reset(struct i8042 *kc);

uint8_t i8042_read(struct i8042 *kc, uint16_t port, ns_t now);
void i8042_write(struct i8042 *kc, uint16_t port, uint8_t val, ns_t now);

/* A byte for the device on link? Takes it. */
bool i8042_to_device(struct i8042 *kc, enum i8042_link link, uint8_t *byte);
/* May a byte come in over link at now? */
bool i8042_ready(const struct i8042 *kc, enum i8042_link link, ns_t now);
/* It does (only when ready). */
void i8042_from_device(struct i8042 *kc, enum i8042_link link, uint8_t byte, ns_t now);

bool i8042_irq(const struct i8042 *kc, enum i8042_link link);
bool i8042_a20(const struct i8042 *kc);
void i8042_set_a20(struct i8042 *kc, bool on);	/* A20 was changed elsewhere: the port reads it back */
bool i8042_take_reset(struct i8042 *kc);	/* was the CPU reset line pulsed? */
/* Bring back a device byte that had to wait. */
void i8042_update(struct i8042 *kc, ns_t now);
/* When a byte that the device on link has ready may come in. */
ns_t i8042_link_next(const struct i8042 *kc, enum i8042_link link, ns_t now);
/* When i8042_update() has something to do. */
ns_t i8042_next(const struct i8042 *kc, ns_t now);

#endif
