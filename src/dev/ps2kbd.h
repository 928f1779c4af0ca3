/*
 * PS/2 keyboard: scan code sets 1, 2 and 3, LEDs, typematic.
 */
#ifndef PLEX86_DEV_PS2KBD_H
#define PLEX86_DEV_PS2KBD_H

#include "dev/keys.h"
#include "util/types.h"

#define PS2KBD_QUEUE	128		/* a real one has 16; hosts send whole words at once */
#define PS2KBD_REPLIES	8

struct ps2kbd {
	bool enabled;			/* scanning */
	uint8_t set;			/* scan code set 1, 2, 3 */
	uint8_t leds;			/* bit 0 scroll, 1 num, 2 caps */
	uint8_t typematic;		/* argument of F3h */
	uint8_t command;		/* command that awaits its argument; 0 = none */
	uint8_t last;			/* last byte sent, for Resend */
	uint8_t queue[PS2KBD_QUEUE], head, count;
	uint8_t reply[PS2KBD_REPLIES], replies;	/* go before the queue */
	uint8_t down[(KEY_COUNT + 7) / 8];
	uint8_t key_mode[(KEY_COUNT + 3) / 4];	/* set 3, two bits a key: bit 0 typematic, bit 1 break */
	uint16_t repeat_key;		/* 0 none */
	ns_t repeat_at;
	ns_t bat_at;			/* self-test result due (NS_NEVER: none) */
};

void ps2kbd_reset(struct ps2kbd *kbd);
/* A byte from the controller. */
void ps2kbd_write(struct ps2kbd *kbd, uint8_t byte, ns_t now);
/* A key went down or up. */
void ps2kbd_key(struct ps2kbd *kbd, enum key key, bool down, ns_t now);
/* The next byte for the controller, if any. */
bool ps2kbd_take(struct ps2kbd *kbd, uint8_t *byte);
bool ps2kbd_has_byte(const struct ps2kbd *kbd);
void ps2kbd_update(struct ps2kbd *kbd, ns_t now);	/* typematic, self-test */
ns_t ps2kbd_next(const struct ps2kbd *kbd, ns_t now);

#endif
