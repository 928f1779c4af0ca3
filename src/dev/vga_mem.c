/*
 * VGA memory as the CPU sees it: planes, latches, write modes; and which pages have changed.
 *								[IBM VGA TRM, "Graphics Controller"]
 *
 * In chain-4 modes with every plane enabled a store is a store and nothing else: the window is then
 * video memory itself, and no access comes here.
 */
#include <errno.h>
#include <string.h>

#include "dev/vga.h"

struct window {
	uint32_t start, size;		/* within A0000h..BFFFFh */
};

static struct window window_of(const struct vga_regs *r)
{
	static const struct window windows[4] = {
		{ 0xA0000, 0x20000 }, { 0xA0000, 0x10000 }, { 0xB0000, 0x8000 }, { 0xB8000, 0x8000 },
	};
	return windows[r->gfx[GFX_MISC] >> 2 & 3];
}

/* VBE's bank switching moves the 64 KiB window over video memory. */
static uint32_t bank_offset(const struct vga_regs *r)
{
	if (!(r->vbe[VBE_ENABLE] & VBE_ENABLED) || (r->gfx[GFX_MISC] >> 2 & 3) > 1)
		return 0;
	return (uint32_t)r->vbe[VBE_BANK] << 16;
}

static bool chain4(const struct vga_regs *r)
{
	return r->seq[SEQ_MEMORY] & 8;
}

void vga_map_window(struct vga *vga)
{
	const struct vga_regs *r = &vga->r;
	struct phys_region want = { .size = 0 };

	if (chain4(r) && (r->seq[SEQ_MAP_MASK] & 15) == 15) {
		struct window w = window_of(r);
		uint64_t offset = bank_offset(r);

		if (offset + w.size <= VGA_VRAM_BYTES)
			want = (struct phys_region){ .start = w.start, .size = w.size, .kind = PHYS_RAM,
			    .fd_offset = vga->fd_offset + offset, .name = "vga-linear" };
	}
	if (want.size == vga->linear.size && want.start == vga->linear.start && want.fd_offset == vga->linear.fd_offset)
		return;
	if (vga->linear.size)
		phys_remove(vga->phys, "vga-linear");
	vga->linear = want;
	if (want.size)
		phys_add(vga->phys, want);
}

void vga_touch(struct vga *vga, uint32_t first, uint32_t bytes)
{
	for (uint32_t at = first & ~PAGE_MASK; at < first + bytes; at += PAGE_BYTES)
		vga->phys->page_flags[(vga->fd_offset + at) >> PAGE_SHIFT] |= PAGE_DIRTY;
}

/* Address in the window -> offset of a plane's byte; and which planes it reaches. false: outside the window. */
static bool plane_offset(const struct vga_regs *r, gpa_t at, bool odd_even, uint32_t *offset, unsigned *planes)
{
	struct window w = window_of(r);
	uint32_t a = 0xA0000 + (uint32_t)at - w.start;

	if (a >= w.size)
		return false;
	a += bank_offset(r);
	*planes = 15;
	if (chain4(r)) {
		*planes = 1u << (a & 3);
		a >>= 2;
	} else if (odd_even) {
		*planes = a & 1 ? 0xA : 0x5;
		a >>= 1;
	}
	*offset = a;
	return (uint64_t)a * 4 + 4 <= VGA_VRAM_BYTES;
}

static uint8_t read_byte(struct vga *vga, gpa_t at)
{
	const struct vga_regs *r = &vga->r;
	uint32_t offset;
	unsigned planes, plane = r->gfx[GFX_READ_MAP] & 3;

	if (!plane_offset(r, at, r->gfx[GFX_MODE] & 0x10, &offset, &planes))
		return 0xFF;
	memcpy(vga->latch, vga->vram + (size_t)offset * 4, 4);
	if (chain4(r))
		return vga->latch[__builtin_ctz(planes)];
	if (r->gfx[GFX_MODE] & 8) {		/* read mode 1: where all compared planes have the colour */
		uint8_t differ = 0;

		for (unsigned p = 0; p < 4; p++)
			if (r->gfx[GFX_DONT_CARE] & BIT(p))
				differ |= vga->latch[p] ^ (r->gfx[GFX_COMPARE] & BIT(p) ? 0xFF : 0);
		return (uint8_t)~differ;
	}
	if (r->gfx[GFX_MODE] & 0x10)
		plane = (plane & 2) | (planes == 0xA);
	return vga->latch[plane];
}

static uint8_t rotate(uint8_t val, unsigned n)
{
	return (uint8_t)(val >> n | val << (8 - n));
}

/* A bit a plane to a byte a plane, in the order of the latches. */
static uint32_t spread(unsigned planes)
{
	return (planes & 1 ? 0xFFu : 0) | (planes & 2 ? 0xFF00u : 0) | (planes & 4 ? 0xFF0000u : 0) | (planes & 8 ? 0xFF000000u : 0);
}

/* What the graphics controller makes of a byte, for all four planes at once: set/reset, function, bit mask. */
static uint32_t combine(const struct vga *vga, uint8_t val)
{
	const uint8_t *gfx = vga->r.gfx;
	uint8_t bits = gfx[GFX_BIT_MASK], turned = rotate(val, gfx[GFX_ROTATE] & 7);
	uint32_t latch, out = spread(gfx[GFX_SET_RESET]);

	memcpy(&latch, vga->latch, sizeof(latch));
	switch (gfx[GFX_MODE] & 3) {
	case 0: {
		uint32_t set = spread(gfx[GFX_ENABLE_SET_RESET]);

		out = (turned * 0x01010101u & ~set) | (out & set);
		break;
	}
	case 1:
		return latch;
	case 2:
		out = spread(val);
		break;
	case 3:
		bits &= turned;
		break;
	}
	switch (gfx[GFX_ROTATE] >> 3 & 3) {
	case 1:
		out &= latch;
		break;
	case 2:
		out |= latch;
		break;
	case 3:
		out ^= latch;
		break;
	}
	uint32_t mask = bits * 0x01010101u;
	return (out & mask) | (latch & ~mask);
}

static void write_byte(struct vga *vga, gpa_t at, uint8_t val)
{
	const struct vga_regs *r = &vga->r;
	uint32_t offset, cell;
	unsigned planes;

	if (!plane_offset(r, at, !(r->seq[SEQ_MEMORY] & 4), &offset, &planes))
		return;
	planes &= r->seq[SEQ_MAP_MASK];
	if (planes == 0)
		return;
	uint32_t mask = spread(planes), out = chain4(r) ? val * 0x01010101u : combine(vga, val);

	memcpy(&cell, vga->vram + (size_t)offset * 4, sizeof(cell));
	cell = (cell & ~mask) | (out & mask);
	memcpy(vga->vram + (size_t)offset * 4, &cell, sizeof(cell));
	vga->phys->page_flags[(vga->fd_offset + (uint64_t)offset * 4) >> PAGE_SHIFT] |= PAGE_DIRTY;
}

static uint32_t window_read(void *arg, gpa_t offset, unsigned size)
{
	uint32_t val = 0;

	for (unsigned i = 0; i < size; i++)
		val |= (uint32_t)read_byte(arg, offset + i) << 8 * i;
	return val;
}

static void window_write(void *arg, gpa_t offset, unsigned size, uint32_t val)
{
	for (unsigned i = 0; i < size; i++)
		write_byte(arg, offset + i, (uint8_t)(val >> 8 * i));
}

const struct mmio_ops vga_window_ops = { window_read, window_write };

/* --- viewers --- */

int vga_view_add(struct vga *vga, struct vga_view *view)
{
	for (unsigned i = 0; i < VGA_MAX_VIEWS; i++) {
		if (vga->view[i])
			continue;
		vga->view[i] = view;
		memset(view, 0, sizeof(*view));
		memset(view->dirty, 1, sizeof(view->dirty));
		view->vram = vga->vram;
		view->all = view->changed = true;
		vga->view_changes[i] = vga->changes - 1;
		return 0;
	}
	return -ENOSPC;
}

void vga_view_remove(struct vga *vga, struct vga_view *view)
{
	for (unsigned i = 0; i < VGA_MAX_VIEWS; i++)
		if (vga->view[i] == view)
			vga->view[i] = NULL;
}

/* Note for every viewer what was written since the last time, and watch those pages anew. */
static void collect_dirty(struct vga *vga)
{
	uint8_t *flags = &vga->phys->page_flags[vga->fd_offset >> PAGE_SHIFT];
	unsigned first = VGA_VRAM_PAGES, last = 0;

	for (unsigned i = 0; i < VGA_VRAM_PAGES; i++) {
		if (!(flags[i] & PAGE_DIRTY))
			continue;
		flags[i] &= (uint8_t)~PAGE_DIRTY;
		first = MIN(first, i);
		last = i;
		vga->unseen[i] = 0xFF;
	}
	if (first <= last && vga->drop_writes)
		vga->drop_writes(vga->arg, vga->fd_offset + ((uint64_t)first << PAGE_SHIFT),
		    (uint64_t)(last - first + 1) << PAGE_SHIFT);
}

void vga_view_update(struct vga *vga, struct vga_view *view)
{
	collect_dirty(vga);
	view->now = vga->now(vga->arg);
	for (unsigned v = 0; v < VGA_MAX_VIEWS; v++) {
		if (vga->view[v] != view)
			continue;
		for (unsigned i = 0; i < VGA_VRAM_PAGES; i++) {
			if (vga->unseen[i] & BIT(v))
				view->dirty[i] = view->changed = true;
			vga->unseen[i] &= (uint8_t)~BIT(v);
		}
		if (vga->view_changes[v] != vga->changes)
			view->all = view->changed = true;
		vga->view_changes[v] = vga->changes;
		view->regs = vga->r;
	}
}

void vga_view_once(struct vga *vga, struct vga_view *view)
{
	view->regs = vga->r;
	view->now = vga->now(vga->arg);
	view->all = view->changed = true;
	view->vram = vga->vram;
}
