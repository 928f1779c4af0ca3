/* For tests of the graphics card: the card on a bus of its own, and its ports and modes by short names. */
#ifndef PLEX86_DEV_VGA_RIG_H
#define PLEX86_DEV_VGA_RIG_H

#include <string.h>

#include "dev/vga.h"
#include "tests/test.h"

struct rig {
	struct phys phys;
	struct bus bus;
	struct vga vga;
	struct vga_view view;
	struct vga_picture pic;
	struct vga_text text;
	ns_t now;
	unsigned drops;
};

static inline ns_t rig_now(void *arg)
{
	struct rig *t = arg;

	return t->now;
}

static inline void rig_drop(void *arg, uint64_t fd_offset, uint64_t bytes)
{
	struct rig *t = arg;

	t->drops++;
}

static inline struct rig *rig_new(void)
{
	struct rig *t = test_calloc(1, sizeof(*t));

	CHECK_EQ(phys_init(&t->phys, 1 << 20, 32 << 20), 0);
	t->vga.now = rig_now;
	t->vga.drop_writes = rig_drop;
	t->vga.arg = t;
	CHECK_EQ(vga_init(&t->vga, &t->phys, &t->bus), 0);
	return t;
}

static inline void rig_free(struct rig *t)
{
	vga_picture_free(&t->pic);
	phys_free(&t->phys);
	test_free(t);
}

static inline void out(struct rig *t, uint16_t port, uint8_t val)
{
	bus_write(&t->bus, port, 1, val);
}

static inline uint8_t in(struct rig *t, uint16_t port)
{
	return (uint8_t)bus_read(&t->bus, port, 1);
}

static inline void seq(struct rig *t, unsigned i, uint8_t val) { bus_write(&t->bus, 0x3C4, 2, i | (unsigned)val << 8); }
static inline void gfx(struct rig *t, unsigned i, uint8_t val) { bus_write(&t->bus, 0x3CE, 2, i | (unsigned)val << 8); }
static inline void crtc(struct rig *t, unsigned i, uint8_t val) { bus_write(&t->bus, 0x3D4, 2, i | (unsigned)val << 8); }

static inline void attr(struct rig *t, unsigned i, uint8_t val)
{
	in(t, 0x3DA);
	out(t, 0x3C0, (uint8_t)i);
	out(t, 0x3C0, val);
	out(t, 0x3C0, ATTR_SOURCE);
}

static inline void poke(struct rig *t, gpa_t gpa, uint8_t val) { phys_write_n(&t->phys, gpa, 1, val); }
static inline uint8_t peek(struct rig *t, gpa_t gpa) { return (uint8_t)phys_read_n(&t->phys, gpa, 1); }

/* 640 by 480, 16 colours: as the BIOS leaves mode 12h, as far as these tests look at it. */
static inline void mode12(struct rig *t)
{
	static const uint8_t regs[CRTC_COUNT] = {
		0x5F, 0x4F, 0x50, 0x82, 0x54, 0x80, 0x0B, 0x3E, 0, 0x40, 0, 0, 0, 0, 0, 0, 0xEA, 0x0C, 0xDF, 0x28, 0, 0xE7, 0x04, 0xE3, 0xFF,
	};
	out(t, 0x3C2, 0xE3);
	seq(t, SEQ_CLOCKING, 1);
	seq(t, SEQ_MAP_MASK, 15);
	seq(t, SEQ_MEMORY, 6);
	gfx(t, GFX_MODE, 0);
	gfx(t, GFX_MISC, 5);
	gfx(t, GFX_DONT_CARE, 15);
	for (unsigned i = 0; i < CRTC_COUNT; i++)
		crtc(t, i, regs[i]);
	for (unsigned i = 0; i < 16; i++)
		attr(t, i, (uint8_t)i);
	attr(t, ATTR_MODE, 1);
	attr(t, ATTR_PLANES, 15);
	out(t, 0x3C8, 0);
	for (unsigned i = 0; i < 256; i++) {	/* entry i: red i, green 0, blue 63 - i */
		out(t, 0x3C9, (uint8_t)i);
		out(t, 0x3C9, 0);
		out(t, 0x3C9, (uint8_t)(63 - i));
	}
}

static inline void draw(struct rig *t)
{
	vga_view_once(&t->vga, &t->view);
	CHECK(vga_draw(&t->view, &t->pic));
}

/* The palette index at a pixel, from mode12()'s colours. */
static inline unsigned shown(struct rig *t, unsigned x, unsigned y)
{
	return t->pic.pixel[y * t->pic.width + x] >> 18;
}

static inline void vbe(struct rig *t, unsigned index, unsigned val)
{
	bus_write(&t->bus, 0x1CE, 2, index);
	bus_write(&t->bus, 0x1CF, 2, val);
}

static inline unsigned vbe_in(struct rig *t, unsigned index)
{
	bus_write(&t->bus, 0x1CE, 2, index);
	return bus_read(&t->bus, 0x1CF, 2);
}

static inline void vbe_mode(struct rig *t, unsigned w, unsigned h, unsigned bpp)
{
	mode12(t);
	vbe(t, VBE_ENABLE, 0);
	vbe(t, VBE_XRES, w);
	vbe(t, VBE_YRES, h);
	vbe(t, VBE_BPP, bpp);
	vbe(t, VBE_ENABLE, VBE_ENABLED | VBE_LFB);
}

#endif
