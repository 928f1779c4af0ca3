/*
 * The graphics card: a VGA with the Bochs VBE extensions, as the "standard VGA" of QEMU has them.
 *
 * Video memory is kept dense: byte p of dword n is plane p at plane offset n. Chain-4 and odd/even then
 * use consecutive dwords where the chip leaves holes, and the display does not shift its address
 * counter for them. So a linear mode's picture is a plain array, which the guest gets as plain memory.
 *
 * A picture is made from struct vga_regs and the memory alone. A struct vga_view is what one
 * viewer holds: a copy of the registers, and which pages have changed. The vCPU's thread brings it up to
 * date; any thread may then draw from it while the guest runs on, as a monitor would.
 */
#ifndef PLEX86_DEV_VGA_H
#define PLEX86_DEV_VGA_H

#include "dev/bus.h"
#include "dev/pci.h"
#include "mmu/phys.h"

#define VGA_VRAM_BYTES	(16u << 20)
#define VGA_VRAM_PAGES	(VGA_VRAM_BYTES >> PAGE_SHIFT)
#define VGA_MAX_VIEWS	8
#define VGA_ROM_MAX	0x10000u

#define VBE_MAX_WIDTH	2560u
#define VBE_MAX_HEIGHT	1600u

enum {					/* Bochs VBE registers, index at port 1CEh */
	VBE_ID, VBE_XRES, VBE_YRES, VBE_BPP, VBE_ENABLE, VBE_BANK, VBE_VIRT_WIDTH, VBE_VIRT_HEIGHT,
	VBE_X_OFFSET, VBE_Y_OFFSET, VBE_MEMORY_64K, VBE_REGS
};
enum { VBE_ENABLED = BIT(0), VBE_GET_CAPS = BIT(1), VBE_8BIT_DAC = BIT(5), VBE_LFB = BIT(6), VBE_NO_CLEAR = BIT(7) };

enum {					/* registers by the name of what they hold */
	SEQ_RESET = 0, SEQ_CLOCKING = 1, SEQ_MAP_MASK = 2, SEQ_CHAR_MAP = 3, SEQ_MEMORY = 4,
	GFX_SET_RESET = 0, GFX_ENABLE_SET_RESET = 1, GFX_COMPARE = 2, GFX_ROTATE = 3, GFX_READ_MAP = 4,
	GFX_MODE = 5, GFX_MISC = 6, GFX_DONT_CARE = 7, GFX_BIT_MASK = 8,
	CRTC_HTOTAL = 0x00, CRTC_HDISP_END = 0x01, CRTC_VTOTAL = 0x06, CRTC_OVERFLOW = 0x07, CRTC_PRESET_ROW = 0x08,
	CRTC_MAX_SCAN = 0x09, CRTC_CURSOR_START = 0x0A, CRTC_CURSOR_END = 0x0B, CRTC_START_HI = 0x0C,
	CRTC_START_LO = 0x0D, CRTC_CURSOR_HI = 0x0E, CRTC_CURSOR_LO = 0x0F, CRTC_VRETRACE_START = 0x10,
	CRTC_VRETRACE_END = 0x11, CRTC_VDISP_END = 0x12, CRTC_OFFSET = 0x13, CRTC_UNDERLINE = 0x14,
	CRTC_MODE = 0x17, CRTC_LINE_COMPARE = 0x18, CRTC_COUNT = 0x19,
	ATTR_MODE = 0x10, ATTR_OVERSCAN = 0x11, ATTR_PLANES = 0x12, ATTR_PANNING = 0x13, ATTR_COLOR_SELECT = 0x14,
	ATTR_COUNT = 0x15,
};
#define ATTR_SOURCE	0x20		/* of the attribute index: the palette drives the screen, not the CPU */

struct vga_regs {
	uint8_t misc, feature;
	uint8_t seq_index, seq[5];
	uint8_t gfx_index, gfx[9];
	uint8_t crtc_index, crtc[CRTC_COUNT];
	uint8_t attr_index, attr[ATTR_COUNT];
	bool attr_data;			/* the next write to 3C0h is data */
	uint8_t dac_mask, dac[256][3];
	uint16_t vbe_index, vbe[VBE_REGS];
};

struct vga_view {
	struct vga_regs regs;
	ns_t now;
	bool all;			/* registers changed: draw everything */
	bool changed;			/* something changed */
	uint8_t dirty[VGA_VRAM_PAGES];
	const uint8_t *vram;
};

struct vga {
	/* architectural */
	struct vga_regs r;
	uint8_t latch[4];
	uint8_t dac_index, dac_part, dac_value[3];
	bool dac_reading;
	/* derived */
	struct phys_region linear;	/* of the A0000h window that is plain memory now; size 0: none of it */
	uint32_t lfb;			/* where the linear frame buffer is; 0: nowhere */
	uint32_t changes;		/* counts what changes a picture's registers */
	/* host */
	uint8_t *vram;
	uint64_t fd_offset;		/* of video memory, in the memfd */
	struct phys *phys;
	struct vga_view *view[VGA_MAX_VIEWS];
	uint32_t view_changes[VGA_MAX_VIEWS];
	uint8_t unseen[VGA_VRAM_PAGES];	/* bit v: changed since viewer v was brought up to date */
	ns_t (*now)(void *arg);
	/* Stores to these pages must be seen again (mmu_drop_writes). May be NULL. */
	void (*drop_writes)(void *arg, uint64_t fd_offset, uint64_t bytes);
	void *arg;
	struct pci_dev pci;
	uint64_t rom_fd_offset;
};

/* Video memory comes from phys_alloc_extra(); the window at A0000h and the ports are claimed. 0 or -errno.
 * now, drop_writes and arg are set by the caller before. */
int vga_init(struct vga *vga, struct phys *phys, struct bus *bus);
/* The card is a PCI function too (1234:1111): frame buffer in BAR 0, registers in BAR 2, rom (may be empty). */
void vga_pci_init(struct vga *vga, struct pci_bus *bus, unsigned devfn, const uint8_t *rom, size_t rom_bytes);
void vga_reset(struct vga *vga);
#define EDID_BYTES	128u
void vga_edid(uint8_t edid[EDID_BYTES]);		/* what the screen says of itself */
/* What firmware does to get text mode 3, for guests that start without it. The font (256 characters of
 * 16 bytes) is the card's ROM's; NULL: there is none. */
void vga_set_text_mode(struct vga *vga, const uint8_t *font);
const uint8_t *vga_find_font(const uint8_t *rom, size_t bytes);

/* Ports 3B0h..3DFh, and 1CEh, 1CFh. */
uint32_t vga_port_read(void *arg, uint16_t port, unsigned size);
void vga_port_write(void *arg, uint16_t port, unsigned size, uint32_t val);
uint32_t vbe_port_read(void *arg, uint16_t port, unsigned size);
void vbe_port_write(void *arg, uint16_t port, unsigned size, uint32_t val);
uint16_t vbe_read(const struct vga *vga, unsigned index);
void vbe_write(struct vga *vga, unsigned index, uint16_t val);
unsigned vbe_line_bytes(const struct vga_regs *r);
/* What is at A0000h now: plain memory, or us. Called after every register that has a say in it. */
void vga_map_window(struct vga *vga);
extern const struct mmio_ops vga_window_ops;
/* Video memory in [first, first + bytes) was changed by us. */
void vga_touch(struct vga *vga, uint32_t first, uint32_t bytes);

/* --- viewers, on the vCPU's thread --- */
int vga_view_add(struct vga *vga, struct vga_view *view);	/* 0 or -ENOSPC; all of it is marked as changed */
void vga_view_remove(struct vga *vga, struct vga_view *view);
void vga_view_update(struct vga *vga, struct vga_view *view);	/* adds what changed; the viewer clears when it has drawn */

void vga_view_once(struct vga *vga, struct vga_view *view);	/* for one picture, without vga_view_add() */

/* --- drawing, on any thread (vga_render.c, vga_text.c) --- */

struct vga_picture {
	unsigned width, height;		/* pixels */
	uint32_t *pixel;		/* 00RRGGBBh, width a line */
	size_t room;			/* pixels allocated */
	unsigned first, last;		/* lines that vga_draw() wrote: [first, last) */
	unsigned blink;			/* phase drawn last */
};

void vga_size(const struct vga_regs *r, unsigned *width, unsigned *height);
/* Bring *picture up to date with the view; false: no memory. Clears the view's marks. */
bool vga_draw(struct vga_view *view, struct vga_picture *picture);
void vga_picture_free(struct vga_picture *picture);

struct vga_cell {
	uint8_t code, attr;		/* attr: 7:4 background, 3:0 foreground; blinking as bit 7 if blink */
};
#define VGA_MAX_COLUMNS	256u
#define VGA_MAX_ROWS	256u
struct vga_text {
	unsigned columns, rows;		/* 0: not a text mode */
	bool blink;			/* attribute bit 7 blinks */
	bool cursor;			/* shown at: */
	unsigned cursor_column, cursor_row;
	struct vga_cell cell[VGA_MAX_COLUMNS * VGA_MAX_ROWS];
};

bool vga_is_text(const struct vga_regs *r);
void vga_get_text(const struct vga_view *view, struct vga_text *text);
uint32_t vga_code_to_unicode(uint8_t code);	/* code page 437 */

/* of vga_regs, for the two renderers */
static inline unsigned vga_lines(const struct vga_regs *r)
{
	return (r->crtc[CRTC_VDISP_END] | (r->crtc[CRTC_OVERFLOW] & 2u) << 7 | (r->crtc[CRTC_OVERFLOW] & 0x40u) << 3) + 1;
}
static inline unsigned vga_line_compare(const struct vga_regs *r)
{
	return r->crtc[CRTC_LINE_COMPARE] | (r->crtc[CRTC_OVERFLOW] & 0x10u) << 4 | (r->crtc[CRTC_MAX_SCAN] & 0x40u) << 3;
}
static inline unsigned vga_start(const struct vga_regs *r)
{
	return (unsigned)r->crtc[CRTC_START_HI] << 8 | r->crtc[CRTC_START_LO];
}

#endif
