/*
 * From registers and video memory to pixels, the way the chip goes: address counter, row scan counter,
 * shift registers, palette, DAC.			[IBM VGA TRM, "CRT Controller", "Attribute Controller"]
 *
 * A picture has one pixel a dot of the VGA's raster (mode 13h: 640 by 400), or one a pixel of a VBE mode.
 * Left out: the border (overscan), blinking in graphics modes, character cells' skew.
 */
#include <stdlib.h>
#include <string.h>

#include "dev/vga.h"

#define FRAME_NS	16666667u
#define CURSOR_FRAMES	8u		/* the cursor is on for 8 frames, off for 8; characters 16 and 16 */

struct raster {				/* what stays the same for a whole picture */
	const struct vga_regs *r;
	const uint8_t *vram;
	uint32_t palette[256];		/* DAC entries as pixels */
	uint32_t color[16];		/* attribute palette through the DAC */
	bool cursor_on, blink_on;
};

static uint32_t dac_color(const struct vga_regs *r, unsigned index)
{
	const uint8_t *c = r->dac[index & r->dac_mask];
	uint32_t pixel = 0;

	for (unsigned i = 0; i < 3; i++) {
		/* 6 bits -> 8: the top bits again at the bottom, so that 3Fh is FFh. */
		unsigned v = r->vbe[VBE_ENABLE] & VBE_8BIT_DAC ? c[i] : (c[i] << 2 | c[i] >> 4) & 0xFFu;

		pixel = pixel << 8 | v;
	}
	return pixel;
}

static void prepare(struct raster *k, const struct vga_view *view)
{
	const struct vga_regs *r = &view->regs;
	unsigned frame = (unsigned)(view->now / FRAME_NS);

	k->r = r;
	k->vram = view->vram;
	for (unsigned i = 0; i < 256; i++)
		k->palette[i] = dac_color(r, i);
	for (unsigned i = 0; i < 16; i++) {
		unsigned index = r->attr[i] & 0x3F;

		if (r->attr[ATTR_MODE] & 0x80)
			index = (index & 0x0F) | (r->attr[ATTR_COLOR_SELECT] & 3u) << 4;
		k->color[i] = k->palette[index | (r->attr[ATTR_COLOR_SELECT] & 0x0Cu) << 4];
	}
	k->cursor_on = !(frame / CURSOR_FRAMES & 1);
	k->blink_on = !(frame / (2 * CURSOR_FRAMES) & 1);
}

static bool vbe_on(const struct vga_regs *r)
{
	return r->vbe[VBE_ENABLE] & VBE_ENABLED;
}

static bool blanked(const struct vga_regs *r)
{
	return !(r->attr_index & ATTR_SOURCE) || (!vbe_on(r) && r->seq[SEQ_CLOCKING] & 0x20);
}

static unsigned cell_width(const struct vga_regs *r)
{
	return vga_is_text(r) && !(r->seq[SEQ_CLOCKING] & 1) ? 9 : 8;
}

void vga_size(const struct vga_regs *r, unsigned *width, unsigned *height)
{
	if (vbe_on(r)) {
		*width = r->vbe[VBE_XRES];
		*height = r->vbe[VBE_YRES];
		return;
	}
	*width = (r->crtc[CRTC_HDISP_END] + 1u) * cell_width(r);
	if (r->seq[SEQ_CLOCKING] & 8)
		*width *= 2;
	*height = vga_lines(r);
	if (r->crtc[CRTC_HDISP_END] == 0 || *height < 8) {	/* no mode set yet */
		*width = 720;
		*height = 400;
	}
}

/* --- the address counters --- */

struct counter {
	unsigned address, row;		/* of the line's first character; row scan */
	bool split;			/* below the line compare: panning may be off */
	unsigned repeat;		/* scan doubling: lines the row was shown for */
};

static struct counter counter_start(const struct vga_regs *r)
{
	return (struct counter){ .address = vga_start(r) + (r->crtc[CRTC_PRESET_ROW] >> 5 & 3u),
	    .row = r->crtc[CRTC_PRESET_ROW] & 0x1Fu };
}

static void counter_next_line(const struct vga_regs *r, struct counter *c, unsigned line)
{
	if (line == vga_line_compare(r)) {
		*c = (struct counter){ .split = true };
		return;
	}
	if (r->crtc[CRTC_MAX_SCAN] & 0x80 && (c->repeat ^= 1))
		return;				/* scan doubling: once more */
	if (c->row == (r->crtc[CRTC_MAX_SCAN] & 0x1Fu)) {
		c->row = 0;
		c->address += r->crtc[CRTC_OFFSET] * 2u;
	} else {
		c->row = (c->row + 1) & 0x1F;
	}
}

/* CGA and Hercules modes: row scan bits take the place of address bits 13 and 14 (one lower in dense
 * memory when the counter counts words). */
static unsigned row_address(const struct vga_regs *r, unsigned address, unsigned row)
{
	unsigned bit = r->crtc[CRTC_MODE] & 0x40 ? 13 : 12;

	if (!(r->crtc[CRTC_MODE] & 1))
		address = (address & ~BIT(bit)) | (row & 1) << bit;
	if (!(r->crtc[CRTC_MODE] & 2))
		address = (address & ~BIT(bit + 1)) | (row >> 1 & 1) << (bit + 1);
	return address & 0xFFFF;
}

/* --- graphics: one character clock is 8 pixels, or 4 of 8 bits shown twice --- */

/* The 16-colour pixel at bit s of four planes' bytes. */
static unsigned planar(const uint8_t *p, unsigned s)
{
	return (p[0] >> s & 1u) | (p[1] >> s & 1u) << 1 | (p[2] >> s & 1u) << 2 | (p[3] >> s & 1u) << 3;
}

static void fetch_pixels(const struct raster *k, unsigned address, uint32_t out[8])
{
	const struct vga_regs *r = k->r;
	const uint8_t *p = k->vram + (size_t)address * 4;
	unsigned enable = r->attr[ATTR_PLANES] & 15;

	if (r->gfx[GFX_MODE] & 0x40) {
		for (unsigned i = 0; i < 8; i++)
			out[i] = k->palette[p[i / 2]];
	} else if (r->gfx[GFX_MODE] & 0x20) {
		for (unsigned i = 0; i < 8; i++) {
			unsigned plane = i / 4, shift = 6 - i % 4 * 2;
			unsigned val = (p[plane] >> shift & 3u) | (p[plane + 2] >> shift & 3u) << 2;

			out[i] = k->color[val & enable];
		}
	} else {
		for (unsigned i = 0; i < 8; i++)
			out[i] = k->color[planar(p, 7 - i) & enable];
	}
}

static unsigned panning(const struct vga_regs *r, bool split)
{
	unsigned pan = r->attr[ATTR_PANNING] & 15;

	if (split && r->attr[ATTR_MODE] & 0x20)
		return 0;
	if (cell_width(r) == 9)			/* nine dots: 8 is no shift, 0 is one dot */
		return pan >= 8 ? 0 : pan + 1;
	return pan & 7;
}

/* n characters' dots go to out; the caller drops those that panning moves off the left edge. */
static void graphics_line(const struct raster *k, const struct counter *c, unsigned n, uint32_t *out)
{
	for (unsigned i = 0; i < n; i++, out += 8)
		fetch_pixels(k, row_address(k->r, c->address + i, c->row), out);
}

/* --- text --- */

/* Where in plane 2 the two fonts are.			[IBM VGA TRM, "Character Map Select Register"] */
static void font_bases(const struct vga_regs *r, unsigned base[2])
{
	static const uint16_t where[8] = { 0, 0x4000, 0x8000, 0xC000, 0x2000, 0x6000, 0xA000, 0xE000 };
	uint8_t s = r->seq[SEQ_CHAR_MAP];

	base[0] = where[(s & 3) | (s >> 2 & 4)];	/* attribute bit 3 clear */
	base[1] = where[(s >> 2 & 3) | (s >> 3 & 4)];
}

static void text_cell(const struct raster *k, unsigned address, unsigned row, const unsigned base[2], unsigned width,
		      bool cursor, uint32_t *out)
{
	const struct vga_regs *r = k->r;
	const uint8_t *p = k->vram + (size_t)(address & 0xFFFF) * 4;
	uint8_t code = p[0], attr = p[1], mode = r->attr[ATTR_MODE];
	unsigned dots = k->vram[(base[attr >> 3 & 1] + code * 32u + row) * 4 + 2];
	unsigned fore = attr & 15, back = attr >> 4;

	if (mode & 8) {
		back &= 7;
		if (attr & 0x80 && !k->blink_on)
			dots = 0;
	}
	dots <<= 1;
	if (mode & 4 && code >= 0xC0 && code <= 0xDF)	/* line drawing joins its neighbour */
		dots |= dots >> 1 & 1;
	if ((attr & 0x77) == 0x01 && row == (r->crtc[CRTC_UNDERLINE] & 0x1F))
		dots = 0x1FF;
	if (cursor)
		dots = 0x1FF;
	fore &= r->attr[ATTR_PLANES];
	back &= r->attr[ATTR_PLANES];
	for (unsigned i = 0; i < width; i++)
		out[i] = k->color[dots >> (8 - i) & 1 ? fore : back];
}

static void text_line(const struct raster *k, const struct counter *c, unsigned n, uint32_t *out)
{
	const struct vga_regs *r = k->r;
	unsigned base[2], width = cell_width(r);
	unsigned cursor = (unsigned)r->crtc[CRTC_CURSOR_HI] << 8 | r->crtc[CRTC_CURSOR_LO];
	uint8_t start = r->crtc[CRTC_CURSOR_START];
	bool cursor_line = k->cursor_on && !(start & 0x20) && c->row >= (start & 0x1Fu) &&
	    c->row <= (r->crtc[CRTC_CURSOR_END] & 0x1Fu);

	font_bases(r, base);
	for (unsigned i = 0; i < n; i++, out += width)
		text_cell(k, c->address + i, c->row, base, width, cursor_line && c->address + i == cursor, out);
}

/* --- whole pictures --- */

static void draw_vga(const struct raster *k, struct vga_picture *pic)
{
	const struct vga_regs *r = k->r;
	struct counter c = counter_start(r), same = { .address = ~0u };
	uint32_t line[(VGA_MAX_COLUMNS + 2) * 9];
	bool twice = r->seq[SEQ_CLOCKING] & 8, text = vga_is_text(r);
	unsigned chars = r->crtc[CRTC_HDISP_END] + 1u;

	for (unsigned y = 0; y < pic->height; y++) {
		uint32_t *out = pic->pixel + (size_t)y * pic->width;

		if (y > 0 && c.address == same.address && c.row == same.row && c.split == same.split) {
			memcpy(out, out - pic->width, pic->width * sizeof(*out));
		} else {
			if (text)
				text_line(k, &c, chars + 1, line);
			else
				graphics_line(k, &c, chars + 1, line);
			const uint32_t *in = line + panning(r, c.split);
			for (unsigned x = 0; x < pic->width; x++)
				out[x] = in[twice ? x / 2 : x];
		}
		same = c;
		counter_next_line(r, &c, y);
	}
	pic->first = 0;
	pic->last = pic->height;
}

static uint32_t expand(unsigned val, unsigned bits)
{
	return (val << (8 - bits) | val >> (2 * bits - 8)) & 0xFF;
}

static void vbe_pixels(const struct raster *k, const uint8_t *in, unsigned first, unsigned n, uint32_t *out)
{
	uint16_t h;

	switch (k->r->vbe[VBE_BPP]) {
	case 4:
		for (unsigned x = 0; x < n; x++)
			out[x] = k->color[planar(in + (first + x) / 8 * 4, 7 - (first + x) % 8)];
		break;
	case 8:
		for (unsigned x = 0; x < n; x++)
			out[x] = k->palette[in[x]];
		break;
	case 15:
		for (unsigned x = 0; x < n; x++) {
			memcpy(&h, in + 2 * x, 2);
			out[x] = expand(h >> 10 & 31, 5) << 16 | expand(h >> 5 & 31, 5) << 8 | expand(h & 31, 5);
		}
		break;
	case 16:
		for (unsigned x = 0; x < n; x++) {
			memcpy(&h, in + 2 * x, 2);
			out[x] = expand(h >> 11, 5) << 16 | expand(h >> 5 & 63, 6) << 8 | expand(h & 31, 5);
		}
		break;
	case 24:
		for (unsigned x = 0; x < n; x++)
			out[x] = (uint32_t)in[3 * x] | (uint32_t)in[3 * x + 1] << 8 | (uint32_t)in[3 * x + 2] << 16;
		break;
	default:
		memcpy(out, in, (size_t)n * 4);
		for (unsigned x = 0; x < n; x++)
			out[x] &= 0xFFFFFF;
	}
}

static bool any_dirty(const struct vga_view *view, size_t first, size_t bytes)
{
	for (size_t page = first >> PAGE_SHIFT; page <= (first + bytes - 1) >> PAGE_SHIFT; page++)
		if (page < VGA_VRAM_PAGES && view->dirty[page])
			return true;
	return false;
}

/* Line by line, those whose memory changed. */
static void draw_vbe(const struct vga_view *view, const struct raster *k, struct vga_picture *pic, bool all)
{
	const uint16_t *v = k->r->vbe;
	unsigned line = vbe_line_bytes(k->r), bpp = v[VBE_BPP] == 15 ? 16 : v[VBE_BPP];

	for (unsigned y = 0; y < pic->height; y++) {
		size_t at = (size_t)(v[VBE_Y_OFFSET] + y) * line + (bpp == 4 ? 0 : v[VBE_X_OFFSET] * bpp / 8);
		size_t bytes = bpp == 4 ? line : pic->width * bpp / 8;

		if (at + bytes > VGA_VRAM_BYTES)
			break;
		if (!all && !any_dirty(view, at, bytes))
			continue;
		vbe_pixels(k, view->vram + at, bpp == 4 ? v[VBE_X_OFFSET] : 0, pic->width, pic->pixel + (size_t)y * pic->width);
		pic->first = MIN(pic->first, y);
		pic->last = y + 1;
	}
}

static bool resize(struct vga_picture *pic, unsigned width, unsigned height)
{
	size_t need = (size_t)width * height;

	if (need > pic->room) {
		uint32_t *p = realloc(pic->pixel, need * sizeof(*p));
		if (p == NULL)
			return false;
		pic->pixel = p;
		pic->room = need;
	}
	pic->width = width;
	pic->height = height;
	return true;
}

bool vga_draw(struct vga_view *view, struct vga_picture *pic)
{
	const struct vga_regs *r = &view->regs;
	struct raster k;
	unsigned width, height, blink = (unsigned)(view->now / FRAME_NS / CURSOR_FRAMES & 3);
	bool all = view->all;

	vga_size(r, &width, &height);
	if (width != pic->width || height != pic->height) {
		if (!resize(pic, width, height))
			return false;
		all = true;
	}
	pic->first = height;
	pic->last = 0;
	if (!all && !view->changed && (!vga_is_text(r) || blink == pic->blink))
		return true;
	pic->blink = blink;
	prepare(&k, view);
	if (blanked(r) || (!vbe_on(r) && r->crtc[CRTC_HDISP_END] == 0)) {
		memset(pic->pixel, 0, (size_t)width * height * sizeof(*pic->pixel));
		pic->first = 0;
		pic->last = height;
	} else if (vbe_on(r)) {
		draw_vbe(view, &k, pic, all);
	} else {
		draw_vga(&k, pic);
	}
	view->all = view->changed = false;
	memset(view->dirty, 0, sizeof(view->dirty));
	return true;
}

void vga_picture_free(struct vga_picture *pic)
{
	free(pic->pixel);
	*pic = (struct vga_picture){ 0 };
}
