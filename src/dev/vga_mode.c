/*
 * Text mode 3 without firmware: what INT 10h AX=0003h leaves in the registers.	[IBM VGA TRM, "BIOS modes"]
 *
 * For kernels that are loaded directly. With firmware nothing of this is used.
 */
#include <string.h>

#include "dev/vga.h"

static const uint8_t seq3[5] = { 0x03, 0x00, 0x03, 0x00, 0x02 };
static const uint8_t gfx3[9] = { 0, 0, 0, 0, 0, 0x10, 0x0E, 0x00, 0xFF };
static const uint8_t crtc3[CRTC_COUNT] = {
	0x5F, 0x4F, 0x50, 0x82, 0x55, 0x81, 0xBF, 0x1F, 0x00, 0x4F, 0x0D, 0x0E, 0, 0, 0, 0,
	0x9C, 0x8E, 0x8F, 0x28, 0x1F, 0x96, 0xB9, 0xA3, 0xFF,
};
static const uint8_t attr3[ATTR_COUNT] = {
	0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F,
	0x0C, 0x00, 0x0F, 0x08, 0x00,
};

/* The 64 colours of an EGA: bits 0..2 two thirds of blue, green, red; bits 3..5 one third. */
static void default_palette(struct vga_regs *r)
{
	for (unsigned i = 0; i < 64; i++)
		for (unsigned c = 0; c < 3; c++)
			r->dac[i][c] = (uint8_t)((i >> (2 - c) & 1) * 42 + (i >> (5 - c) & 1) * 21);
}

const uint8_t *vga_find_font(const uint8_t *rom, size_t bytes)
{
	/* Characters 0 and 1 of every 8 by 16 font of a PC: nothing, and the smiling face. */
	static const uint8_t head[32] = { [18] = 0x7E, 0x81, 0xA5, 0x81, 0x81, 0xBD, 0x99, 0x81, 0x81, 0x7E };
	const uint8_t *p = memmem(rom, bytes, head, sizeof(head));

	return p && (size_t)(rom + bytes - p) >= 256 * 16 ? p : NULL;
}

void vga_set_text_mode(struct vga *vga, const uint8_t *font)
{
	struct vga_regs *r = &vga->r;

	r->misc = 0x67;
	memcpy(r->seq, seq3, sizeof(seq3));
	memcpy(r->gfx, gfx3, sizeof(gfx3));
	memcpy(r->crtc, crtc3, sizeof(crtc3));
	memcpy(r->attr, attr3, sizeof(attr3));
	r->attr_index = ATTR_SOURCE;
	default_palette(r);
	for (unsigned i = 0; i < 0x4000; i++) {
		vga->vram[i * 4] = ' ';
		vga->vram[i * 4 + 1] = 0x07;
	}
	for (unsigned code = 0; font && code < 256; code++)
		for (unsigned row = 0; row < 16; row++)
			vga->vram[(code * 32 + row) * 4 + 2] = font[code * 16 + row];
	vga->changes++;
	vga_map_window(vga);
	vga_touch(vga, 0, 0x10000);
}
