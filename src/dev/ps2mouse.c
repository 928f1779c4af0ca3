/*
 * PS/2 mouse, with IntelliMouse extensions.	[PS/2 HITRC "Auxiliary Device"], [MS IntelliMouse]
 *
 * Movement is summed up until a packet may go; what does not fit a packet stays for the next one,
 * so the overflow bits are never needed.
 */
#include "dev/ps2mouse.h"

#include <string.h>

#define NEVER		UINT64_MAX
#define MS		1000000ull
#define BAT_NS		(10 * MS)

enum { ACK = 0xFA, RESEND = 0xFE, ERROR = 0xFC, BAT_OK = 0xAA };

static void ps2mouse_defaults(struct ps2mouse *mouse)
{
	mouse->remote = mouse->wrap = mouse->reporting = mouse->scaling21 = false;
	mouse->resolution = 2;
	mouse->rate = 100;
	mouse->dx = mouse->dy = mouse->dz = 0;
	mouse->head = mouse->count = 0;
}

void ps2mouse_reset(struct ps2mouse *mouse)
{
	memset(mouse, 0, sizeof(*mouse));
	ps2mouse_defaults(mouse);
	mouse->bat_at = NEVER;
}

/* --- out --- */

static void ps2mouse_put(struct ps2mouse *mouse, uint8_t byte)
{
	if (mouse->count < PS2MOUSE_QUEUE)
		mouse->queue[(mouse->head + mouse->count++) % PS2MOUSE_QUEUE] = byte;
}

static void ps2mouse_send(struct ps2mouse *mouse, const uint8_t *bytes, unsigned n)
{
	memcpy(mouse->last, bytes, n);
	mouse->last_len = (uint8_t)n;
	for (unsigned i = 0; i < n; i++)
		ps2mouse_put(mouse, bytes[i]);
}

bool ps2mouse_has_byte(const struct ps2mouse *mouse)
{
	return mouse->count != 0;
}

bool ps2mouse_take(struct ps2mouse *mouse, uint8_t *byte)
{
	if (mouse->count == 0)
		return false;
	*byte = mouse->queue[mouse->head];
	mouse->head = (mouse->head + 1) % PS2MOUSE_QUEUE;
	mouse->count--;
	return true;
}

/* --- movement --- */

static int take_part(int32_t *sum, int low, int high)
{
	int part = *sum < low ? low : *sum > high ? high : *sum;

	*sum -= part;
	return part;
}

/* 2:1 scaling, stream mode only.		[PS/2 HITRC "Set Scaling 2:1"] */
static int scaled(int v)
{
	static const uint8_t small[6] = { 0, 1, 1, 3, 6, 9 };
	int a = v < 0 ? -v : v;

	a = a < 6 ? small[a] : MIN(2 * a, 255);
	return v < 0 ? -a : a;
}

static void ps2mouse_packet(struct ps2mouse *mouse, bool scale)
{
	int dx = take_part(&mouse->dx, -255, 255), dy = take_part(&mouse->dy, -255, 255);
	uint8_t packet[4];

	if (scale && mouse->scaling21) {
		dx = scaled(dx);
		dy = scaled(dy);
	}
	packet[0] = (uint8_t)(0x08 | (mouse->buttons & 7) | (dx < 0) << 4 | (dy < 0) << 5);
	packet[1] = (uint8_t)dx;
	packet[2] = (uint8_t)dy;
	if (mouse->id == 3)
		packet[3] = (uint8_t)take_part(&mouse->dz, -127, 127);
	else if (mouse->id == 4)
		packet[3] = (uint8_t)((take_part(&mouse->dz, -8, 7) & 0x0F) | (mouse->buttons & 0x18) << 1);
	else
		mouse->dz = 0;
	mouse->sent_buttons = mouse->buttons;
	ps2mouse_send(mouse, packet, mouse->id == 0 ? 3 : 4);
}

static bool ps2mouse_news(const struct ps2mouse *mouse)
{
	return mouse->dx || mouse->dy || mouse->dz || mouse->buttons != mouse->sent_buttons;
}

static bool ps2mouse_streams(const struct ps2mouse *mouse)
{
	return mouse->reporting && !mouse->remote && !mouse->wrap && mouse->bat_at == NEVER && mouse->command == 0;
}

void ps2mouse_move(struct ps2mouse *mouse, int dx, int dy, int dz, unsigned buttons, ns_t now)
{
	/* Bounded: a guest that never looks does not let the sums overflow. */
	int limit = 1 << 20;

	dx = MAX(MIN(dx, limit), -limit);
	dy = MAX(MIN(dy, limit), -limit);
	dz = MAX(MIN(dz, limit), -limit);
	mouse->dx = MAX(MIN(mouse->dx + dx, limit), -limit);
	mouse->dy = MAX(MIN(mouse->dy - dy, limit), -limit);	/* the packet's Y goes up */
	mouse->dz = mouse->id == 0 ? 0 : MAX(MIN(mouse->dz + dz, limit), -limit);
	mouse->buttons = buttons & (mouse->id == 4 ? 0x1F : 7);
	if (!mouse->reporting && !mouse->remote)
		mouse->dx = mouse->dy = mouse->dz = 0;		/* not counted while disabled */
	ps2mouse_update(mouse, now);
}

void ps2mouse_update(struct ps2mouse *mouse, ns_t now)
{
	if (mouse->bat_at <= now) {
		static const uint8_t bat[2] = { BAT_OK, 0x00 };
		mouse->bat_at = NEVER;
		ps2mouse_send(mouse, bat, 2);
	}
	if (ps2mouse_streams(mouse) && ps2mouse_news(mouse) && mouse->count == 0 && mouse->next_report <= now) {
		ps2mouse_packet(mouse, true);
		mouse->next_report = now + 1000 * MS / mouse->rate;
	}
}

ns_t ps2mouse_next(const struct ps2mouse *mouse, ns_t now)
{
	if (ps2mouse_streams(mouse) && ps2mouse_news(mouse) && mouse->count == 0)
		return MAX(mouse->next_report, now);
	return mouse->bat_at;
}

/* --- commands --- */

static void ps2mouse_argument(struct ps2mouse *mouse, uint8_t command, uint8_t arg)
{
	static const uint8_t rates[] = { 10, 20, 40, 60, 80, 100, 200 };
	uint8_t *h = mouse->rate_history;

	if (command == 0xE8) {
		if (arg > 3) {
			ps2mouse_put(mouse, RESEND);
			return;
		}
		mouse->resolution = arg;
		ps2mouse_put(mouse, ACK);
		return;
	}
	if (memchr(rates, arg, sizeof(rates)) == NULL) {
		ps2mouse_put(mouse, RESEND);
		return;
	}
	mouse->rate = arg;
	h[0] = h[1];
	h[1] = h[2];
	h[2] = arg;
	if (h[0] == 200 && h[1] == 100 && h[2] == 80)
		mouse->id = 3;
	else if (h[0] == 200 && h[1] == 200 && h[2] == 80 && mouse->id == 3)
		mouse->id = 4;
	ps2mouse_put(mouse, ACK);
}

static void ps2mouse_status(struct ps2mouse *mouse)
{
	uint8_t b = mouse->buttons;
	uint8_t status[3] = {
		(uint8_t)(mouse->remote << 6 | mouse->reporting << 5 | mouse->scaling21 << 4 |
		    (b & 1) << 2 | (b >> 2 & 1) << 1 | (b >> 1 & 1)),
		mouse->resolution, mouse->rate,
	};

	ps2mouse_send(mouse, status, 3);
}

static void ps2mouse_command(struct ps2mouse *mouse, uint8_t byte, ns_t now)
{
	ps2mouse_put(mouse, ACK);
	switch (byte) {
	case 0xE6: mouse->scaling21 = false; break;
	case 0xE7: mouse->scaling21 = true; break;
	case 0xE8: case 0xF3: mouse->command = byte; break;
	case 0xE9: ps2mouse_status(mouse); break;
	case 0xEA: mouse->remote = false; break;
	case 0xEB: ps2mouse_packet(mouse, false); break;
	case 0xEC: mouse->wrap = false; break;
	case 0xEE: mouse->wrap = true; break;
	case 0xF0: mouse->remote = true; break;
	case 0xF2: ps2mouse_send(mouse, &mouse->id, 1); break;
	case 0xF4:
		mouse->reporting = true;
		mouse->sent_buttons = mouse->buttons;
		break;
	case 0xF5: mouse->reporting = false; break;
	case 0xF6:
		ps2mouse_defaults(mouse);
		ps2mouse_put(mouse, ACK);
		break;
	case 0xFF:
		ps2mouse_defaults(mouse);
		mouse->id = 0;
		memset(mouse->rate_history, 0, sizeof(mouse->rate_history));
		mouse->bat_at = now + BAT_NS;
		ps2mouse_put(mouse, ACK);
		break;
	}
}

void ps2mouse_write(struct ps2mouse *mouse, uint8_t byte, ns_t now)
{
	uint8_t command = mouse->command;

	mouse->head = mouse->count = 0;		/* a command takes back what is still to be sent */
	mouse->command = 0;
	if (mouse->wrap && byte != 0xEC && byte != 0xFF) {
		ps2mouse_put(mouse, byte);
		return;
	}
	if (command != 0) {
		ps2mouse_argument(mouse, command, byte);
		return;
	}
	switch (byte) {
	case 0xFE:				/* resend */
		for (unsigned i = 0; i < mouse->last_len; i++)
			ps2mouse_put(mouse, mouse->last[i]);
		break;
	case 0xE6 ... 0xEC: case 0xEE: case 0xF0: case 0xF2 ... 0xF6: case 0xFF:
		ps2mouse_command(mouse, byte, now);
		break;
	default:
		ps2mouse_put(mouse, RESEND);
	}
}
