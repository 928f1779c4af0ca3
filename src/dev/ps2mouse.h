/*
 * PS/2 mouse: standard, IntelliMouse (wheel) and IntelliMouse Explorer (5 buttons).
 */
#ifndef PLEX86_DEV_PS2MOUSE_H
#define PLEX86_DEV_PS2MOUSE_H

#include "util/types.h"

#define PS2MOUSE_QUEUE 16

struct ps2mouse {
	uint8_t id;			/* 0, 3 or 4 */
	bool remote, wrap, reporting, scaling21;
	uint8_t resolution, rate;
	uint8_t rate_history[3];	/* the knock: 200,100,80 -> id 3; 200,200,80 -> id 4 */
	uint8_t command;		/* awaiting its argument */
	uint8_t last[4], last_len;	/* last reply or packet, for Resend */
	int32_t dx, dy, dz;		/* movement not yet reported; dy up, dz as reported */
	uint8_t buttons, sent_buttons;
	uint8_t queue[PS2MOUSE_QUEUE], head, count;
	ns_t next_report;		/* the sample rate allows no packet before */
	ns_t bat_at;
};

void ps2mouse_reset(struct ps2mouse *mouse);
void ps2mouse_write(struct ps2mouse *mouse, uint8_t byte, ns_t now);
/* dx right, dy down, dz wheel towards the user; buttons bit 0 left, 1 right, 2 middle, 3 and 4 the side ones. */
void ps2mouse_move(struct ps2mouse *mouse, int dx, int dy, int dz, unsigned buttons, ns_t now);
bool ps2mouse_take(struct ps2mouse *mouse, uint8_t *byte);
bool ps2mouse_has_byte(const struct ps2mouse *mouse);
void ps2mouse_update(struct ps2mouse *mouse, ns_t now);
ns_t ps2mouse_next(const struct ps2mouse *mouse, ns_t now);

#endif
