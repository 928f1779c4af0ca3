/*
 * Keyboard controller: the 8042 of a PS/2.			[PS/2 HITRC "Keyboard and Auxiliary Device Controller"]
 *
 * It has one output buffer, fed by two serial links and by its own answers. A link takes about a
 * millisecond a byte; some of that is kept here, because handlers chained on INT 9 each read port
 * 60h and must see the same byte. An answer to a command goes before a device byte that nobody has
 * read; the byte comes back after it.
 *
 * Left out: the password, the manufacturing jumpers, the lock; commands that write straight to
 * RAM beyond the command byte are plain storage.
 */
#include "dev/i8042.h"

#include <string.h>

#define NEVER		UINT64_MAX
#define LINK_BYTE_NS	300000u

enum {
	ST_OBF = 0x01, ST_IBF = 0x02, ST_SYS = 0x04, ST_A2 = 0x08, ST_INH = 0x10, ST_AUXB = 0x20,
};
enum {
	CCB_KBD_INT = 0x01, CCB_AUX_INT = 0x02, CCB_SYS = 0x04, CCB_KBD_OFF = 0x10, CCB_AUX_OFF = 0x20,
	CCB_XLATE = 0x40,
};
enum { OUT_RESET = 0x01, OUT_A20 = 0x02, OUT_IRQ1 = 0x10, OUT_IRQ12 = 0x20 };

/* Scan code set 2 to set 1.			[PS/2 HITRC "Keyboard Scan Code Translation"] */
static const uint8_t set1_of[128] = {
	0xFF, 0x43, 0x41, 0x3F, 0x3D, 0x3B, 0x3C, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3E, 0x0F, 0x29, 0x59,
	0x65, 0x38, 0x2A, 0x70, 0x1D, 0x10, 0x02, 0x5A, 0x66, 0x71, 0x2C, 0x1F, 0x1E, 0x11, 0x03, 0x5B,
	0x67, 0x2E, 0x2D, 0x20, 0x12, 0x05, 0x04, 0x5C, 0x68, 0x39, 0x2F, 0x21, 0x14, 0x13, 0x06, 0x5D,
	0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5E, 0x6A, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5F,
	0x6B, 0x33, 0x25, 0x17, 0x18, 0x0B, 0x0A, 0x60, 0x6C, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0C, 0x61,
	0x6D, 0x73, 0x28, 0x74, 0x1A, 0x0D, 0x62, 0x6E, 0x3A, 0x36, 0x1C, 0x1B, 0x75, 0x2B, 0x63, 0x76,
	0x55, 0x56, 0x77, 0x78, 0x79, 0x7A, 0x0E, 0x7B, 0x7C, 0x4F, 0x7D, 0x4B, 0x47, 0x7E, 0x7F, 0x6F,
	0x52, 0x53, 0x50, 0x4C, 0x4D, 0x48, 0x01, 0x45, 0x57, 0x4E, 0x51, 0x4A, 0x37, 0x49, 0x46, 0x54,
};

void i8042_reset(struct i8042 *kc)
{
	memset(kc, 0, sizeof(*kc));
	kc->status = ST_SYS | ST_INH;
	/* As a BIOS leaves it, since direct boot has none: translation and keyboard interrupt on. */
	kc->ccb = CCB_XLATE | CCB_AUX_OFF | CCB_SYS | CCB_KBD_INT;
	kc->outport = OUT_RESET | OUT_A20 | 0xCC;
}

bool i8042_irq(const struct i8042 *kc, enum i8042_link link)
{
	if (!(kc->status & ST_OBF))
		return false;
	if (link == I8042_AUX)
		return (kc->status & ST_AUXB) && (kc->ccb & CCB_AUX_INT);
	return !(kc->status & ST_AUXB) && (kc->ccb & CCB_KBD_INT);
}

bool i8042_a20(const struct i8042 *kc)
{
	return kc->outport & OUT_A20;
}

void i8042_set_a20(struct i8042 *kc, bool on)
{
	kc->outport = (uint8_t)((kc->outport & ~OUT_A20) | (on ? OUT_A20 : 0));
}

bool i8042_take_reset(struct i8042 *kc)
{
	bool pulse = kc->reset_pulse;

	kc->reset_pulse = false;
	return pulse;
}

static void i8042_put(struct i8042 *kc, uint8_t byte, bool aux)
{
	kc->out = byte;
	kc->status |= ST_OBF;
	if (aux)
		kc->status |= ST_AUXB;
	else
		kc->status &= ~ST_AUXB;
	kc->out_reply = false;
}

/* The controller's own answer; a device byte not yet read waits behind it. */
static void i8042_reply(struct i8042 *kc, uint8_t byte)
{
	if ((kc->status & ST_OBF) && !kc->out_reply) {
		kc->held = kc->out;
		kc->held_aux = kc->status & ST_AUXB;
		kc->held_full = true;
	}
	i8042_put(kc, byte, false);
	kc->out_reply = true;
}

/* --- the links --- */

bool i8042_to_device(struct i8042 *kc, enum i8042_link link, uint8_t *byte)
{
	if (!kc->tx_full[link])
		return false;
	kc->tx_full[link] = false;
	*byte = kc->tx[link];
	return true;
}

static bool i8042_link_open(const struct i8042 *kc, enum i8042_link link)
{
	/* While the buffer is full, or a command waits for its data, the clocks are held low. */
	return !(kc->status & ST_OBF) && !kc->held_full && kc->command == 0 &&
	    !(kc->ccb & (link == I8042_AUX ? CCB_AUX_OFF : CCB_KBD_OFF));
}

bool i8042_ready(const struct i8042 *kc, enum i8042_link link, ns_t now)
{
	return i8042_link_open(kc, link) && now >= kc->link_busy;
}

void i8042_update(struct i8042 *kc, ns_t now)
{
	if (kc->held_full && !(kc->status & ST_OBF) && now >= kc->link_busy) {
		kc->held_full = false;
		i8042_put(kc, kc->held, kc->held_aux);
	}
}

ns_t i8042_next(const struct i8042 *kc, ns_t now)
{
	if (kc->held_full && !(kc->status & ST_OBF))
		return MAX(kc->link_busy, now);
	return NEVER;
}

ns_t i8042_link_next(const struct i8042 *kc, enum i8042_link link, ns_t now)
{
	return i8042_link_open(kc, link) ? MAX(kc->link_busy, now) : NEVER;
}

void i8042_from_device(struct i8042 *kc, enum i8042_link link, uint8_t byte, ns_t now)
{
	if (link == I8042_KBD && (kc->ccb & CCB_XLATE)) {
		if (byte == 0xF0) {		/* a break: the mark goes into bit 7 of the next byte */
			kc->release = true;
			return;
		}
		if (byte < 0x80)
			byte = set1_of[byte];
		else if (byte == 0x83 || byte == 0x84)
			byte = byte == 0x83 ? 0x41 : 0x54;
		if (kc->release)
			byte |= 0x80;
		kc->release = false;
	}
	i8042_put(kc, byte, link == I8042_AUX);
	kc->link_busy = now + LINK_BYTE_NS;
}

/* --- the ports --- */

uint8_t i8042_read(struct i8042 *kc, uint16_t port, ns_t now)
{
	if (port == 0x64)
		return kc->status;
	/* An empty buffer reads as its last byte. */
	uint8_t val = kc->out;
	if (!(kc->status & ST_OBF))
		return val;
	if (!kc->out_reply || kc->held_full)
		kc->link_busy = MAX(kc->link_busy, now + LINK_BYTE_NS);
	kc->status &= ~(ST_OBF | ST_AUXB);
	return val;
}

static void i8042_write_outport(struct i8042 *kc, uint8_t val)
{
	if ((kc->outport & OUT_RESET) && !(val & OUT_RESET))
		kc->reset_pulse = true;
	kc->outport = val | OUT_RESET;
}

static void i8042_write_ccb(struct i8042 *kc, uint8_t val)
{
	kc->ccb = val;
	kc->status = (uint8_t)((kc->status & ~ST_SYS) | (val & CCB_SYS));
}

/* Port 64h.								[PS/2 HITRC "8042 Commands"] */
static void i8042_command(struct i8042 *kc, uint8_t val)
{
	kc->command = 0;
	switch (val) {
	case 0x20: i8042_reply(kc, kc->ccb); break;
	case 0x21 ... 0x3F: i8042_reply(kc, kc->ram[val & 31]); break;
	case 0x60 ... 0x7F: kc->command = val; break;
	case 0xA4: i8042_reply(kc, 0xF1); break;		/* no password */
	case 0xA7: kc->ccb |= CCB_AUX_OFF; break;
	case 0xA8: kc->ccb &= ~CCB_AUX_OFF; break;
	case 0xA9: i8042_reply(kc, 0x00); break;		/* aux link test: no fault */
	case 0xAA:						/* self-test */
		kc->status |= ST_SYS;
		kc->ccb |= CCB_SYS;
		i8042_reply(kc, 0x55);
		break;
	case 0xAB: i8042_reply(kc, 0x00); break;		/* keyboard link test */
	case 0xAD: kc->ccb |= CCB_KBD_OFF; break;
	case 0xAE: kc->ccb &= ~CCB_KBD_OFF; break;
	case 0xC0: i8042_reply(kc, 0xBF & ~0x40); break;	/* input port: not locked, colour */
	case 0xD0:
		i8042_reply(kc, (kc->outport & ~(OUT_IRQ1 | OUT_IRQ12)) |
		    (i8042_irq(kc, I8042_KBD) ? OUT_IRQ1 : 0) | (i8042_irq(kc, I8042_AUX) ? OUT_IRQ12 : 0));
		break;
	case 0xD1: case 0xD2: case 0xD3: case 0xD4: kc->command = val; break;
	case 0xDD: i8042_set_a20(kc, false); break;
	case 0xDF: i8042_set_a20(kc, true); break;
	case 0xE0: i8042_reply(kc, 0x00); break;		/* test inputs: clocks low */
	case 0xF0 ... 0xFF:					/* pulse the bits that are 0 */
		if (!(val & OUT_RESET))
			kc->reset_pulse = true;
		break;
	}
}

/* Port 60h: the data of a command, or a byte for the keyboard. */
static void i8042_data(struct i8042 *kc, uint8_t val, ns_t now)
{
	uint8_t command = kc->command;

	kc->command = 0;
	switch (command) {
	case 0x60: i8042_write_ccb(kc, val); break;
	case 0x61 ... 0x7F: kc->ram[command & 31] = val; break;
	case 0xD1: i8042_write_outport(kc, val); break;
	case 0xD2: i8042_put(kc, val, false); break;		/* as if the keyboard had sent it */
	case 0xD3: i8042_put(kc, val, true); break;
	case 0xD4:
		kc->tx[I8042_AUX] = val;
		kc->tx_full[I8042_AUX] = true;
		kc->link_busy = MAX(kc->link_busy, now + LINK_BYTE_NS);
		break;
	default:				/* sending to the keyboard opens its link */
		kc->ccb &= ~CCB_KBD_OFF;
		kc->tx[I8042_KBD] = val;
		kc->tx_full[I8042_KBD] = true;
		kc->link_busy = MAX(kc->link_busy, now + LINK_BYTE_NS);
	}
}

void i8042_write(struct i8042 *kc, uint16_t port, uint8_t val, ns_t now)
{
	if (port == 0x64) {
		kc->status |= ST_A2;
		i8042_command(kc, val);
	} else {
		kc->status &= ~ST_A2;
		i8042_data(kc, val, now);
	}
}
