/*
 * PS/2 keyboard.					[PS/2 HITRC "Keyboard (101- and 102-Key)"]
 *
 * Keys that are held, and which of them repeats, are known here; the codes are made from keys.def.
 * Left out: the extra shift codes that NumLock adds around the grey keys, and the self-test at
 * power-on (it is over before anybody looks).
 */
#include "dev/ps2kbd.h"

#include <string.h>

#define NEVER		UINT64_MAX
#define MS		1000000ull
#define BAT_NS		(10 * MS)

enum { ACK = 0xFA, RESEND = 0xFE, BAT_OK = 0xAA };
enum { KEY_TYPEMATIC = 1, KEY_BREAK = 2 };		/* key_mode */

/* --- set 3 --- */

static void set_mode(struct ps2kbd *kbd, unsigned key, unsigned mode)
{
	unsigned shift = (key & 3) * 2;

	kbd->key_mode[key >> 2] = (uint8_t)((kbd->key_mode[key >> 2] & ~(3u << shift)) | mode << shift);
}

static unsigned get_mode(const struct ps2kbd *kbd, unsigned key)
{
	return kbd->key_mode[key >> 2] >> (key & 3) * 2 & 3;
}

/* The types keys have by default in set 3. */
static void default_modes(struct ps2kbd *kbd)
{
	for (unsigned key = 1; key < KEY_COUNT; key++) {
		unsigned mode = KEY_TYPEMATIC;

		switch (key) {
		case KEY_ctrl: case KEY_shift: case KEY_shift_r: case KEY_alt: case KEY_caps_lock:
			mode = KEY_BREAK;
			break;
		case KEY_ctrl_r: case KEY_alt_r: case KEY_esc: case KEY_f1 ... KEY_f10: case KEY_f11: case KEY_f12:
		case KEY_num_lock: case KEY_scroll_lock: case KEY_kp_7 ... KEY_kp_9: case KEY_kp_subtract:
		case KEY_kp_4 ... KEY_kp_6: case KEY_kp_1 ... KEY_kp_3: case KEY_kp_0: case KEY_kp_decimal:
		case KEY_kp_enter: case KEY_kp_divide: case KEY_kp_multiply: case KEY_print: case KEY_pause:
		case KEY_insert: case KEY_home: case KEY_end: case KEY_pgup: case KEY_pgdn: case KEY_compose:
			mode = 0;
			break;
		}
		set_mode(kbd, key, mode);
	}
}

static void ps2kbd_defaults(struct ps2kbd *kbd)
{
	kbd->set = 2;
	kbd->typematic = 0x2B;		/* 500 ms, 10.9 a second */
	kbd->head = kbd->count = 0;
	kbd->repeat_key = 0;
	default_modes(kbd);
}

void ps2kbd_reset(struct ps2kbd *kbd)
{
	memset(kbd, 0, sizeof(*kbd));
	ps2kbd_defaults(kbd);
	kbd->enabled = true;
	kbd->bat_at = NEVER;
}

/* --- out --- */

static void ps2kbd_reply(struct ps2kbd *kbd, uint8_t byte)
{
	if (kbd->replies < PS2KBD_REPLIES)
		kbd->reply[kbd->replies++] = byte;
}

/* All bytes of a key's code, or the overrun code. */
static void ps2kbd_send(struct ps2kbd *kbd, const uint8_t *code, unsigned n)
{
	uint8_t overrun = kbd->set == 1 ? 0xFF : 0x00;

	if (kbd->count + n >= PS2KBD_QUEUE) {
		if (kbd->count == PS2KBD_QUEUE)
			return;
		code = &overrun;
		n = 1;
	}
	for (unsigned i = 0; i < n; i++)
		kbd->queue[(kbd->head + kbd->count++) % PS2KBD_QUEUE] = code[i];
}

bool ps2kbd_has_byte(const struct ps2kbd *kbd)
{
	/* Nothing but answers while a command awaits its argument. */
	return kbd->replies != 0 || (kbd->count != 0 && kbd->command == 0);
}

bool ps2kbd_take(struct ps2kbd *kbd, uint8_t *byte)
{
	if (!ps2kbd_has_byte(kbd))
		return false;
	if (kbd->replies != 0) {
		*byte = kbd->reply[0];
		memmove(kbd->reply, kbd->reply + 1, --kbd->replies);
	} else {
		*byte = kbd->queue[kbd->head];
		kbd->head = (kbd->head + 1) % PS2KBD_QUEUE;
		kbd->count--;
	}
	if (*byte != RESEND)
		kbd->last = *byte;
	return true;
}

/* --- scan codes --- */

static bool is_down(const struct ps2kbd *kbd, unsigned key)
{
	return kbd->down[key >> 3] & BIT(key & 7);
}

/* Pause and PrintScreen are what the older keyboards made with Ctrl, Shift and Alt. */
static unsigned special_code(const struct ps2kbd *kbd, enum key key, bool make, uint8_t *code)
{
	bool ctrl = is_down(kbd, KEY_ctrl) || is_down(kbd, KEY_ctrl_r);
	bool shift = is_down(kbd, KEY_shift) || is_down(kbd, KEY_shift_r);
	bool alt = is_down(kbd, KEY_alt) || is_down(kbd, KEY_alt_r);
	static const uint8_t pause1[] = { 0xE1, 0x1D, 0x45, 0xE1, 0x9D, 0xC5 };
	static const uint8_t pause2[] = { 0xE1, 0x14, 0x77, 0xE1, 0xF0, 0x14, 0xF0, 0x77 };
	static const uint8_t break1[] = { 0xE0, 0x46, 0xE0, 0xC6 };
	static const uint8_t break2[] = { 0xE0, 0x7E, 0xE0, 0xF0, 0x7E };
	static const uint8_t print1[2][4] = { { 0xE0, 0xB7, 0xE0, 0xAA }, { 0xE0, 0x2A, 0xE0, 0x37 } };
	static const uint8_t print2b[] = { 0xE0, 0xF0, 0x7C, 0xE0, 0xF0, 0x12 };
	static const uint8_t print2m[] = { 0xE0, 0x12, 0xE0, 0x7C };
	bool set1 = kbd->set == 1;
	const uint8_t *from;
	unsigned n;

	if (key == KEY_pause) {
		if (!make)
			return 0;		/* it has no break code */
		from = ctrl ? (set1 ? break1 : break2) : (set1 ? pause1 : pause2);
		n = ctrl ? (set1 ? sizeof(break1) : sizeof(break2)) : (set1 ? sizeof(pause1) : sizeof(pause2));
	} else if (alt) {
		static const uint8_t sysrq1[2] = { 0xD4, 0x54 }, sysrq2[2] = { 0xF0, 0x84 };
		from = set1 ? &sysrq1[make] : make ? &sysrq2[1] : sysrq2;
		n = set1 || make ? 1 : 2;
	} else if (ctrl || shift) {
		static const uint8_t plain1[2][2] = { { 0xE0, 0xB7 }, { 0xE0, 0x37 } };
		from = set1 ? plain1[make] : make ? print2m + 2 : print2b;
		n = set1 || make ? 2 : 3;
	} else {
		from = set1 ? print1[make] : make ? print2m : print2b;
		n = set1 || make ? 4 : 6;
	}
	memcpy(code, from, n);
	return n;
}

static unsigned scan_code(const struct ps2kbd *kbd, enum key key, bool make, uint8_t *code)
{
	const struct key_info *k = &key_info[key];
	uint16_t full = kbd->set == 1 ? k->set1 : k->set2;
	unsigned n = 0;

	if (kbd->set == 3) {
		if (k->set3 == 0 || (!make && !(get_mode(kbd, key) & KEY_BREAK)))
			return 0;
		if (!make)
			code[n++] = 0xF0;
		code[n++] = k->set3;
		return n;
	}
	if (key == KEY_pause || key == KEY_print)
		return special_code(kbd, key, make, code);
	if (full >> 8)
		code[n++] = (uint8_t)(full >> 8);
	if (!make && kbd->set == 2)
		code[n++] = 0xF0;
	code[n++] = (uint8_t)(full | (!make && kbd->set == 1 ? 0x80 : 0));
	return n;
}

static bool repeats(const struct ps2kbd *kbd, enum key key)
{
	if (kbd->set == 3)
		return get_mode(kbd, key) & KEY_TYPEMATIC;
	return key != KEY_pause;
}

/* Typematic argument: delay (6:5), period (4:3, 2:0).		[PS/2 HITRC "Set Typematic Rate/Delay"] */
static ns_t repeat_delay(const struct ps2kbd *kbd)
{
	return ((kbd->typematic >> 5 & 3) + 1) * 250 * MS;
}

static ns_t repeat_period(const struct ps2kbd *kbd)
{
	return (8u + (kbd->typematic & 7)) * (1ull << (kbd->typematic >> 3 & 3)) * 4170000ull;
}

void ps2kbd_key(struct ps2kbd *kbd, enum key key, bool down, ns_t now)
{
	uint8_t code[8], bit = (uint8_t)BIT(key & 7);

	if (key == KEY_NONE || key >= KEY_COUNT || is_down(kbd, key) == down)
		return;			/* repetition is the keyboard's own business */
	if (kbd->enabled)
		ps2kbd_send(kbd, code, scan_code(kbd, key, down, code));
	if (down) {
		kbd->down[key >> 3] |= bit;
		kbd->repeat_key = kbd->enabled && repeats(kbd, key) ? key : KEY_NONE;
		kbd->repeat_at = now + repeat_delay(kbd);
	} else {
		kbd->down[key >> 3] &= ~bit;
		if (kbd->repeat_key == key)
			kbd->repeat_key = KEY_NONE;
	}
}

void ps2kbd_update(struct ps2kbd *kbd, ns_t now)
{
	uint8_t code[8];

	if (kbd->bat_at <= now) {
		kbd->bat_at = NEVER;
		kbd->enabled = true;
		ps2kbd_reply(kbd, BAT_OK);
	}
	if (kbd->repeat_key != KEY_NONE && kbd->repeat_at <= now) {
		if (kbd->count == 0)	/* a guest that does not read gets no heap of repeats */
			ps2kbd_send(kbd, code, scan_code(kbd, kbd->repeat_key, true, code));
		kbd->repeat_at = now + repeat_period(kbd);
	}
}

ns_t ps2kbd_next(const struct ps2kbd *kbd, ns_t now)
{
	ns_t next = kbd->bat_at;

	if (kbd->repeat_key != KEY_NONE)
		next = MIN(next, kbd->repeat_at);
	return next;
}

/* --- commands --- */

static void ps2kbd_argument(struct ps2kbd *kbd, uint8_t command, uint8_t arg)
{
	ps2kbd_reply(kbd, ACK);
	switch (command) {
	case 0xED:
		kbd->leds = arg & 7;
		break;
	case 0xF0:
		if (arg == 0) {
			ps2kbd_reply(kbd, kbd->set);
		} else if (arg <= 3) {
			kbd->set = arg;
			kbd->head = kbd->count = 0;
			kbd->repeat_key = KEY_NONE;
		}
		break;
	case 0xF3:
		kbd->typematic = arg & 0x7F;
		break;
	default:			/* FBh..FDh: one key of set 3; the command stays until another comes */
		for (unsigned key = 1; key < KEY_COUNT; key++)
			if (key_info[key].set3 == arg)
				set_mode(kbd, key, command == 0xFB ? KEY_TYPEMATIC : command == 0xFC ? KEY_BREAK : 0);
		kbd->command = command;
	}
}

static void all_keys(struct ps2kbd *kbd, unsigned mode)
{
	for (unsigned key = 1; key < KEY_COUNT; key++)
		set_mode(kbd, key, mode);
}

void ps2kbd_write(struct ps2kbd *kbd, uint8_t byte, ns_t now)
{
	uint8_t command = kbd->command;

	kbd->command = 0;
	kbd->replies = 0;		/* a command takes back what is still to be sent */
	if (command != 0 && byte < 0xE0) {
		ps2kbd_argument(kbd, command, byte);
		return;
	}
	switch (byte) {
	case 0xED: case 0xF0: case 0xF3: case 0xFB: case 0xFC: case 0xFD:
		kbd->command = byte;
		ps2kbd_reply(kbd, ACK);
		break;
	case 0xEE: ps2kbd_reply(kbd, 0xEE); break;		/* echo */
	case 0xF2:						/* read ID */
		ps2kbd_reply(kbd, ACK);
		ps2kbd_reply(kbd, 0xAB);
		ps2kbd_reply(kbd, 0x83);
		break;
	case 0xF4: case 0xF5: case 0xF6:			/* enable; defaults and disable; defaults */
		kbd->head = kbd->count = 0;
		kbd->repeat_key = KEY_NONE;
		if (byte != 0xF4)
			ps2kbd_defaults(kbd);
		if (byte != 0xF6)
			kbd->enabled = byte == 0xF4;
		ps2kbd_reply(kbd, ACK);
		break;
	case 0xF7: case 0xF8: case 0xF9: case 0xFA: {		/* set 3: all keys */
		static const uint8_t mode[4] = { KEY_TYPEMATIC, KEY_BREAK, 0, KEY_TYPEMATIC | KEY_BREAK };
		all_keys(kbd, mode[byte - 0xF7]);
		ps2kbd_reply(kbd, ACK);
		break;
	}
	case 0xFE: ps2kbd_reply(kbd, kbd->last); break;
	case 0xFF:						/* reset: the self-test takes a while */
		ps2kbd_defaults(kbd);
		kbd->leds = 0;
		kbd->enabled = false;
		kbd->bat_at = now + BAT_NS;
		ps2kbd_reply(kbd, ACK);
		break;
	default:
		ps2kbd_reply(kbd, RESEND);
	}
}
