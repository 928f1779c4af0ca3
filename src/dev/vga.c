/*
 * VGA registers and retrace timing.		[IBM VGA TRM], [Video Graphics Array Technical Reference]
 *
 * Where the beam is follows from the time and the CRT controller's registers, so that a program that
 * polls 3DAh sees retraces at the rate the mode has on a real screen.
 * Left out: the vertical retrace interrupt (never wired on PCs), light pen, the protection that
 * palette registers have while the screen shows them, the DAC's state when reads and writes are mixed.
 */
#include "dev/vga.h"

#include <errno.h>
#include <string.h>

#define SECOND_NS 1000000000ull

/* --- timing --- */

struct beam {
	bool visible, vretrace;
};

/* The character clock's period in picoseconds, from clock select, dot clock halving and 8/9 dots. */
static uint64_t char_clock_ps(const struct vga_regs *r)
{
	static const uint64_t dot_ps[4] = { 39722, 35308, 39722, 39722 };	/* 25.175 and 28.322 MHz */
	uint64_t ps = dot_ps[r->misc >> 2 & 3] * (r->seq[SEQ_CLOCKING] & 1 ? 8 : 9);

	return r->seq[SEQ_CLOCKING] & 8 ? ps * 2 : ps;
}

static struct beam beam_at(const struct vga_regs *r, ns_t now)
{
	const uint8_t *c = r->crtc;
	uint64_t chars = c[CRTC_HTOTAL] + 5u, shown = c[CRTC_HDISP_END] + 1u;
	unsigned lines = (c[CRTC_VTOTAL] | (c[CRTC_OVERFLOW] & 1u) << 8 | (c[CRTC_OVERFLOW] & 0x20u) << 4) + 2;
	unsigned retrace = c[CRTC_VRETRACE_START] | (c[CRTC_OVERFLOW] & 4u) << 6 | (c[CRTC_OVERFLOW] & 0x80u) << 2;
	unsigned retrace_lines = (c[CRTC_VRETRACE_END] - retrace) & 15;
	unsigned visible = vga_lines(r);

	/* Before a mode is set, and in VBE modes, the registers hold no timing: the text mode's then. */
	if (lines < 100 || retrace >= lines || chars < 20) {
		chars = 100;
		shown = 80;
		lines = 449;
		visible = 400;
		retrace = 412;
		retrace_lines = 2;
	}
	uint64_t line_ps = chars * char_clock_ps(r);
	uint64_t frame_ns = line_ps * lines / 1000;
	uint64_t t_ps = now % frame_ns * 1000;
	unsigned line = (unsigned)(t_ps / line_ps);
	uint64_t column = t_ps % line_ps * chars / line_ps;

	return (struct beam){ .visible = line < visible && column < shown,
	    .vretrace = line >= retrace && line < retrace + MAX(retrace_lines, 1u) };
}

/* Input status 1, port 3DAh: bit 0 the beam is off the picture, bit 3 vertical retrace. */
static uint8_t status1(struct vga *vga)
{
	struct beam b = beam_at(&vga->r, vga->now(vga->arg));

	vga->r.attr_data = false;
	return (uint8_t)((b.visible ? 0 : 1) | (b.vretrace ? 8 : 0));
}

/* --- the DAC --- */

static void dac_write(struct vga *vga, uint8_t val)
{
	struct vga_regs *r = &vga->r;

	vga->dac_value[vga->dac_part++] = r->vbe[VBE_ENABLE] & VBE_8BIT_DAC ? val : val & 0x3F;
	if (vga->dac_part == 3) {
		memcpy(r->dac[vga->dac_index++], vga->dac_value, 3);
		vga->dac_part = 0;
		vga->changes++;
	}
}

static uint8_t dac_read(struct vga *vga)
{
	uint8_t val = vga->r.dac[vga->dac_index][vga->dac_part++];

	if (vga->dac_part == 3) {
		vga->dac_part = 0;
		vga->dac_index++;
	}
	return val;
}

/* --- indexed registers: what of each is there --- */

static const uint8_t seq_bits[5] = { 0x03, 0x3D, 0x0F, 0x3F, 0x0E };
static const uint8_t gfx_bits[9] = { 0x0F, 0x0F, 0x0F, 0x1F, 0x03, 0x7B, 0x0F, 0x0F, 0xFF };
static const uint8_t attr_bits[ATTR_COUNT] = {
	0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F,
	0xEF, 0xFF, 0x3F, 0x0F, 0x0F,
};

static void attr_write(struct vga *vga, uint8_t val)
{
	struct vga_regs *r = &vga->r;
	unsigned i = r->attr_index & 0x1F;

	if (!r->attr_data) {
		if ((r->attr_index ^ val) & ATTR_SOURCE)
			vga->changes++;
		r->attr_index = val & 0x3F;
	} else if (i < ATTR_COUNT && r->attr[i] != (val & attr_bits[i])) {
		r->attr[i] = val & attr_bits[i];
		vga->changes++;
	}
	r->attr_data = !r->attr_data;
}

static void crtc_write(struct vga *vga, uint8_t val)
{
	struct vga_regs *r = &vga->r;
	unsigned i = r->crtc_index;

	if (i >= CRTC_COUNT)
		return;
	if (i <= CRTC_OVERFLOW && r->crtc[CRTC_VRETRACE_END] & 0x80) {	/* protected, but for line compare bit 8 */
		if (i != CRTC_OVERFLOW)
			return;
		val = (uint8_t)((r->crtc[i] & ~0x10) | (val & 0x10));
	}
	if (r->crtc[i] != val) {
		r->crtc[i] = val;
		vga->changes++;
	}
}

static void seq_write(struct vga *vga, uint8_t val)
{
	struct vga_regs *r = &vga->r;

	if (r->seq_index >= ARRAY_LEN(seq_bits))
		return;
	uint8_t old = r->seq[r->seq_index];
	r->seq[r->seq_index] = val &= seq_bits[r->seq_index];
	if (old == val)
		return;
	if (r->seq_index == SEQ_MAP_MASK || r->seq_index == SEQ_MEMORY)
		vga_map_window(vga);
	else
		vga->changes++;		/* the map mask alone changes no picture, and is written most */
}

static void gfx_write(struct vga *vga, uint8_t val)
{
	struct vga_regs *r = &vga->r;

	if (r->gfx_index >= ARRAY_LEN(gfx_bits))
		return;
	uint8_t old = r->gfx[r->gfx_index];
	r->gfx[r->gfx_index] = val &= gfx_bits[r->gfx_index];
	if (old == val || (r->gfx_index != GFX_MODE && r->gfx_index != GFX_MISC))
		return;
	if (((old ^ val) & 0x61) || r->gfx_index == GFX_MISC)
		vga->changes++;
	vga_map_window(vga);
}

/* --- ports --- */

/* The CRT controller is at 3Bxh or 3Dxh, as the miscellaneous output register says. */
static bool other_half(const struct vga *vga, uint16_t port)
{
	return (port & 0xFFF0) == (vga->r.misc & 1 ? 0x3B0 : 0x3D0);
}

uint32_t vga_port_read(void *arg, uint16_t port, unsigned size)
{
	struct vga *vga = arg;
	const struct vga_regs *r = &vga->r;
	unsigned attr = r->attr_index & 0x1F;

	if (other_half(vga, port))
		return 0xFF;
	switch (port) {
	case 0x3C0:
		return r->attr_index;
	case 0x3C1:
		return attr < ATTR_COUNT ? r->attr[attr] : 0;
	case 0x3C2:			/* bit 4: a monitor's colour lines answer */
		return 0x10;
	case 0x3C4:
		return r->seq_index;
	case 0x3C5:
		return r->seq_index < ARRAY_LEN(r->seq) ? r->seq[r->seq_index] : 0;
	case 0x3C6:
		return r->dac_mask;
	case 0x3C7:
		return vga->dac_reading ? 3 : 0;
	case 0x3C8:
		return vga->dac_index;
	case 0x3C9:
		return dac_read(vga);
	case 0x3CA:
		return r->feature;
	case 0x3CC:
		return r->misc;
	case 0x3CE:
		return r->gfx_index;
	case 0x3CF:
		return r->gfx_index < ARRAY_LEN(r->gfx) ? r->gfx[r->gfx_index] : 0;
	case 0x3B4: case 0x3D4:
		return r->crtc_index;
	case 0x3B5: case 0x3D5:
		return r->crtc_index < CRTC_COUNT ? r->crtc[r->crtc_index] : 0;
	case 0x3BA: case 0x3DA:
		return status1(vga);
	}
	return 0xFF;
}

static void dac_select(struct vga *vga, uint8_t index, bool reading)
{
	vga->dac_index = index;
	vga->dac_part = 0;
	vga->dac_reading = reading;
}

void vga_port_write(void *arg, uint16_t port, unsigned size, uint32_t val32)
{
	struct vga *vga = arg;
	struct vga_regs *r = &vga->r;
	uint8_t val = (uint8_t)val32;

	if (other_half(vga, port))
		return;
	switch (port) {
	case 0x3C0:
		attr_write(vga, val);
		break;
	case 0x3C2:
		r->misc = val & 0xEF;
		break;
	case 0x3C4:
		r->seq_index = val & 7;
		break;
	case 0x3C5:
		seq_write(vga, val);
		break;
	case 0x3C6:
		r->dac_mask = val;
		vga->changes++;
		break;
	case 0x3C7:
		dac_select(vga, val, true);
		break;
	case 0x3C8:
		dac_select(vga, val, false);
		break;
	case 0x3C9:
		dac_write(vga, val);
		break;
	case 0x3CE:
		r->gfx_index = val & 15;
		break;
	case 0x3CF:
		gfx_write(vga, val);
		break;
	case 0x3B4: case 0x3D4:
		r->crtc_index = val;
		break;
	case 0x3B5: case 0x3D5:
		crtc_write(vga, val);
		break;
	case 0x3BA: case 0x3DA:
		r->feature = val & 0x10;
		break;
	}
}

/* --- set-up --- */

void vga_reset(struct vga *vga)
{
	memset(&vga->r, 0, sizeof(vga->r));
	memset(vga->latch, 0, sizeof(vga->latch));
	vga->r.misc = 1;
	vga->r.dac_mask = 0xFF;
	vga->r.gfx[GFX_BIT_MASK] = 0xFF;
	vga->r.vbe[VBE_ID] = 0xB0C5;
	vga->r.vbe[VBE_BPP] = 8;
	dac_select(vga, 0, false);
	vga->changes++;
	vga_map_window(vga);
}

int vga_init(struct vga *vga, struct phys *phys, struct bus *bus)
{
	static const struct { uint16_t first, last; } ports[] = {
		{ 0x3B4, 0x3B5 }, { 0x3BA, 0x3BA }, { 0x3C0, 0x3CF }, { 0x3D4, 0x3D5 }, { 0x3DA, 0x3DA },
	};
	vga->phys = phys;
	vga->fd_offset = phys_alloc_extra(phys, VGA_VRAM_BYTES);
	vga->vram = phys->ram + vga->fd_offset;
	for (unsigned i = 0; i < VGA_VRAM_PAGES; i++)	/* from the start, so that no page ever has to be unmapped for it */
		phys->page_flags[(vga->fd_offset >> PAGE_SHIFT) + i] |= PAGE_TRACKED;
	phys_add(phys, (struct phys_region){ .start = 0xA0000, .size = 0x20000, .kind = PHYS_MMIO,
	    .ops = &vga_window_ops, .arg = vga, .name = "vga" });
	int rc = 0;
	for (size_t i = 0; i < ARRAY_LEN(ports) && rc == 0; i++)
		rc = bus_claim(bus, (struct io_row){ .first = ports[i].first, .last = ports[i].last, .width = 1,
		    .read = vga_port_read, .write = vga_port_write, .arg = vga, .name = "vga" });
	if (rc == 0)
		rc = bus_claim(bus, (struct io_row){ .first = 0x1CE, .last = 0x1D0, .width = 2, .unaligned = true,
		    .read = vbe_port_read, .write = vbe_port_write, .arg = vga, .name = "vbe" });
	vga_reset(vga);
	return rc;
}
