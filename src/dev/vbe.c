/*
 * Bochs VBE: eleven 16-bit registers that set any resolution and depth.	[Bochs VBE DISPI]
 *
 * Enabling a mode also puts the VGA's own registers into a state that fits: its window is the 64 KiB
 * at A0000h, linear (8 bits a pixel and more) or planar (4 bits).
 * Left out: hardware cursor, DDC. Widths are rounded to 8 pixels, as the interface asks.
 */
#include <string.h>

#include "dev/vga.h"

unsigned vbe_line_bytes(const struct vga_regs *r)
{
	unsigned bpp = r->vbe[VBE_BPP] == 15 ? 16 : r->vbe[VBE_BPP];

	return r->vbe[VBE_VIRT_WIDTH] * bpp / 8;
}

static bool good_bpp(unsigned bpp)
{
	return bpp == 4 || bpp == 8 || bpp == 15 || bpp == 16 || bpp == 24 || bpp == 32;
}

static unsigned clamp(unsigned val, unsigned low, unsigned high)
{
	return val < low ? low : val > high ? high : val;
}

/* Bring sizes and offsets of an enabled mode inside video memory, whatever the guest wrote. */
static void fit(struct vga *vga)
{
	struct vga_regs *r = &vga->r;
	uint16_t *v = r->vbe;

	if (!good_bpp(v[VBE_BPP]))
		v[VBE_BPP] = 8;
	v[VBE_XRES] = (uint16_t)clamp(v[VBE_XRES] & ~7u, 8, VBE_MAX_WIDTH);
	v[VBE_VIRT_WIDTH] = (uint16_t)clamp(v[VBE_VIRT_WIDTH] & ~7u, v[VBE_XRES], 4096);
	unsigned line = vbe_line_bytes(r);
	unsigned lines = MIN(VGA_VRAM_BYTES / line, 0xFFFFu);
	v[VBE_YRES] = (uint16_t)clamp(v[VBE_YRES], 1, MIN(lines, VBE_MAX_HEIGHT));
	v[VBE_VIRT_HEIGHT] = (uint16_t)lines;
	v[VBE_X_OFFSET] = (uint16_t)clamp(v[VBE_X_OFFSET], 0, v[VBE_VIRT_WIDTH] - v[VBE_XRES]);
	v[VBE_Y_OFFSET] = (uint16_t)clamp(v[VBE_Y_OFFSET], 0, lines - v[VBE_YRES]);
	v[VBE_BANK] &= VGA_VRAM_BYTES / 0x10000 - 1;
}

static void enable(struct vga *vga, uint16_t val)
{
	struct vga_regs *r = &vga->r;
	bool on = (val & VBE_ENABLED) && !(r->vbe[VBE_ENABLE] & VBE_ENABLED);

	r->vbe[VBE_ENABLE] = val & (VBE_ENABLED | VBE_GET_CAPS | VBE_8BIT_DAC | VBE_LFB | VBE_NO_CLEAR);
	if (!on) {
		if (!(val & VBE_ENABLED))
			r->vbe[VBE_BANK] = 0;
		return;
	}
	r->vbe[VBE_VIRT_WIDTH] = r->vbe[VBE_XRES];
	r->vbe[VBE_X_OFFSET] = r->vbe[VBE_Y_OFFSET] = 0;
	fit(vga);
	if (!(val & VBE_NO_CLEAR)) {
		uint32_t bytes = r->vbe[VBE_YRES] * vbe_line_bytes(r);

		memset(vga->vram, 0, bytes);
		vga_touch(vga, 0, bytes);
	}
	r->gfx[GFX_MISC] = (uint8_t)((r->gfx[GFX_MISC] & ~0x0C) | 0x05);
	r->gfx[GFX_MODE] = (uint8_t)((r->gfx[GFX_MODE] & ~0x60) | (r->vbe[VBE_BPP] == 4 ? 0 : 0x40));
	r->seq[SEQ_MAP_MASK] = 15;
	if (r->vbe[VBE_BPP] == 4)
		r->seq[SEQ_MEMORY] &= (uint8_t)~8;
	else
		r->seq[SEQ_MEMORY] |= 8;
	/* What software reads back of a mode's size. */
	r->crtc[CRTC_MODE] |= 3;
	r->crtc[CRTC_MAX_SCAN] &= (uint8_t)~0x9F;
	r->crtc[CRTC_HDISP_END] = (uint8_t)(r->vbe[VBE_XRES] / 8 - 1);
	r->crtc[CRTC_OFFSET] = (uint8_t)(vbe_line_bytes(r) / 8);
}

uint16_t vbe_read(const struct vga *vga, unsigned index)
{
	if (index >= VBE_REGS)
		return 0;
	if (index == VBE_MEMORY_64K)
		return VGA_VRAM_BYTES >> 16;
	if (vga->r.vbe[VBE_ENABLE] & VBE_GET_CAPS) {
		if (index == VBE_XRES)
			return VBE_MAX_WIDTH;
		if (index == VBE_YRES)
			return VBE_MAX_HEIGHT;
		if (index == VBE_BPP)
			return 32;
	}
	return vga->r.vbe[index];
}

void vbe_write(struct vga *vga, unsigned index, uint16_t val)
{
	uint16_t *v = vga->r.vbe;

	switch (index) {
	case VBE_ID:
		if (val >= 0xB0C0 && val <= 0xB0C5)
			v[VBE_ID] = val;
		break;
	case VBE_ENABLE:
		enable(vga, val);
		break;
	case VBE_XRES: case VBE_YRES: case VBE_BPP: case VBE_BANK: case VBE_VIRT_WIDTH: case VBE_X_OFFSET: case VBE_Y_OFFSET:
		v[index] = val;
		if (v[VBE_ENABLE] & VBE_ENABLED)
			fit(vga);
		break;
	}
	vga->changes++;
	vga_map_window(vga);
}

uint32_t vbe_port_read(void *arg, uint16_t port, unsigned size)
{
	struct vga *vga = arg;

	return port == 0x1CE ? vga->r.vbe_index : vbe_read(vga, vga->r.vbe_index);
}

void vbe_port_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct vga *vga = arg;

	if (port == 0x1CE)
		vga->r.vbe_index = (uint16_t)val;
	else
		vbe_write(vga, vga->r.vbe_index, (uint16_t)val);
}
