/*
 * What the screen says of itself: one block of Extended Display Identification Data.	[VESA E-EDID, Release A: EDID 1.3]
 *
 * Left out: extension blocks.
 */
#include <string.h>

#include "dev/vga.h"

/* Byte 38 on, two bytes each: width / 8 - 31; aspect ratio in bits 7:6 (0 16:10, 1 4:3, 2 5:4, 3 16:9), rate - 60. */
static const struct { uint16_t width; uint8_t aspect; } standard[8] = {
	{ 640, 1 }, { 1152, 1 }, { 1280, 0 }, { 1280, 2 }, { 1440, 0 }, { 1600, 1 }, { 1680, 0 }, { 1920, 3 },
};

/* 1024 x 768 at 60 Hz: clock in 10 kHz; then active and blanking, front porch and sync of both directions.
 *									[VESA DMT, "1024 x 768 at 60 Hz"] */
static void detailed_timing(uint8_t *b)
{
	const unsigned clock = 6500, h = 1024, hblank = 320, hfront = 24, hsync = 136, v = 768, vblank = 38, vfront = 3, vsync = 6;

	b[0] = (uint8_t)clock;
	b[1] = (uint8_t)(clock >> 8);
	b[2] = (uint8_t)h;
	b[3] = (uint8_t)hblank;
	b[4] = (uint8_t)(h >> 8 << 4 | hblank >> 8);
	b[5] = (uint8_t)v;
	b[6] = (uint8_t)vblank;
	b[7] = (uint8_t)(v >> 8 << 4 | vblank >> 8);
	b[8] = hfront;
	b[9] = hsync;
	b[10] = (uint8_t)(vfront << 4 | vsync);
	b[17] = 0x18;			/* separate syncs, both negative */
}

static void descriptor(uint8_t *b, uint8_t tag, const void *data, size_t len)
{
	memset(b, 0, 18);
	b[3] = tag;
	memcpy(b + 5, data, MIN(len, 13u));
}

void vga_edid(uint8_t edid[EDID_BYTES])
{
	static const uint8_t header[8] = { 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0 };
	static const uint8_t srgb[10] = { 0xEE, 0x91, 0xA3, 0x54, 0x4C, 0x99, 0x26, 0x0F, 0x50, 0x54 };
	/* 50 to 125 Hz, 30 to 160 kHz, 260 MHz, no formula; filled up as text is */
	static const uint8_t range[13] = { 50, 125, 30, 160, 26, 0, 0x0A, ' ', ' ', ' ', ' ', ' ', ' ' };
	const unsigned maker = ('P' - '@') << 10 | ('L' - '@') << 5 | ('X' - '@');
	uint8_t sum = 0;

	memset(edid, 0, EDID_BYTES);
	memcpy(edid, header, sizeof(header));
	edid[8] = (uint8_t)(maker >> 8);
	edid[9] = (uint8_t)maker;
	edid[10] = 1;			/* product */
	edid[17] = 2024 - 1990;
	edid[18] = 1;			/* version 1.3 */
	edid[19] = 3;
	edid[20] = 0x80;		/* digital */
	edid[23] = 120;			/* gamma 2.2 */
	edid[24] = 0x0E;		/* RGB, sRGB, the first detailed timing is preferred */
	memcpy(edid + 25, srgb, sizeof(srgb));
	edid[35] = 0xA1;		/* 720 x 400 at 70 Hz, 640 x 480 and 800 x 600 at 60 Hz */
	edid[36] = 0x08;		/* 1024 x 768 at 60 Hz */
	for (unsigned i = 0; i < ARRAY_LEN(standard); i++) {
		edid[38 + 2 * i] = (uint8_t)(standard[i].width / 8 - 31);
		edid[39 + 2 * i] = (uint8_t)(standard[i].aspect << 6);
	}
	detailed_timing(edid + 54);
	descriptor(edid + 72, 0xFD, range, sizeof(range));
	descriptor(edid + 90, 0xFC, "plex86 Screen", 13);
	descriptor(edid + 108, 0x10, "", 0);	/* none */
	for (unsigned i = 0; i < EDID_BYTES - 1; i++)
		sum += edid[i];
	edid[EDID_BYTES - 1] = (uint8_t)-sum;
}
