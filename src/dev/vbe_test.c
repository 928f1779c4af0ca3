/* Bochs VBE: any resolution and depth.	[Bochs VBE DISPI] */
#include "dev/vga_rig.h"

TEST(vbe_shows_every_depth)
{
	static const struct { unsigned bpp, bytes; uint32_t val, pixel; } depths[] = {
		{ 8, 1, 0x21, 0x860079 }, { 15, 2, 0x7C1F, 0xFF00FF }, { 16, 2, 0x07E1, 0x00FF08 },
		{ 24, 3, 0x123456, 0x123456 }, { 32, 4, 0xFF123456, 0x123456 },
	};
	struct rig *t = rig_new();

	for (size_t i = 0; i < ARRAY_LEN(depths); i++) {
		vbe_mode(t, 800, 600, depths[i].bpp);
		memcpy(t->vga.vram + (800 * 2 + 5) * depths[i].bytes, &depths[i].val, depths[i].bytes);
		draw(t);
		CHECK_EQ(t->pic.width, 800);
		CHECK_EQ(t->pic.height, 600);
		CHECK_EQ(t->pic.pixel[800 * 2 + 5], depths[i].pixel);
	}
	rig_free(t);
}

TEST(vbe_keeps_impossible_modes_inside_video_memory)
{
	struct rig *t = rig_new();

	vbe_mode(t, 0xFFFF, 0xFFFF, 77);
	draw(t);
	CHECK_EQ(t->pic.width, VBE_MAX_WIDTH);
	vbe_mode(t, 0, 0, 32);
	vbe(t, VBE_VIRT_WIDTH, 0xFFFF);
	vbe(t, VBE_X_OFFSET, 0xFFFF);
	vbe(t, VBE_Y_OFFSET, 0xFFFF);
	draw(t);
	CHECK_EQ(t->pic.width, 8);
	CHECK_EQ(vbe_in(t, VBE_X_OFFSET), 4096 - 8);
	CHECK_EQ(vbe_in(t, VBE_Y_OFFSET), VGA_VRAM_BYTES / (4096 * 4) - 1);
	rig_free(t);
}

TEST(vbe_bank_moves_the_plain_window)
{
	struct rig *t = rig_new();

	vbe_mode(t, 640, 480, 16);
	vbe(t, VBE_BANK, 3);
	CHECK(phys_host(&t->phys, 0xA0010, true) == t->vga.vram + 0x30010);
	vbe(t, VBE_ENABLE, 0);
	CHECK(phys_host(&t->phys, 0xA0010, true) == t->vga.vram + 0x10);
	rig_free(t);
}

TEST(vbe_version_is_negotiated_and_what_is_no_version_is_not_taken)
{
	struct rig *t = rig_new();

	CHECK_EQ(vbe_in(t, VBE_ID), 0xB0C5);
	vbe(t, VBE_ID, 0xB0C2);
	CHECK_EQ(vbe_in(t, VBE_ID), 0xB0C2);
	vbe(t, VBE_ID, 0xB0C6);
	CHECK_EQ(vbe_in(t, VBE_ID), 0xB0C2);
	vbe(t, VBE_ID, 0x1234);
	CHECK_EQ(vbe_in(t, VBE_ID), 0xB0C2);
	rig_free(t);
}

TEST(vbe_tells_the_largest_mode_and_the_memory_there_is)
{
	struct rig *t = rig_new();

	vbe(t, VBE_XRES, 640);
	vbe(t, VBE_ENABLE, VBE_GET_CAPS);
	CHECK_EQ(vbe_in(t, VBE_XRES), VBE_MAX_WIDTH);
	CHECK_EQ(vbe_in(t, VBE_YRES), VBE_MAX_HEIGHT);
	CHECK_EQ(vbe_in(t, VBE_BPP), 32);
	vbe(t, VBE_ENABLE, 0);
	CHECK_EQ(vbe_in(t, VBE_XRES), 640);
	CHECK_EQ(vbe_in(t, VBE_MEMORY_64K) * 0x10000u, VGA_VRAM_BYTES);
	vbe(t, VBE_MEMORY_64K, 1);
	CHECK_EQ(vbe_in(t, VBE_MEMORY_64K) * 0x10000u, VGA_VRAM_BYTES);
	CHECK_EQ(vbe_in(t, VBE_REGS), 0);		/* there are no more registers */
	CHECK_EQ(vbe_in(t, 0xFFFF), 0);
	rig_free(t);
}

TEST(vbe_virtual_screen_is_as_high_as_memory_allows)
{
	struct rig *t = rig_new();

	vbe_mode(t, 1024, 768, 32);
	CHECK_EQ(vbe_in(t, VBE_VIRT_WIDTH), 1024);
	CHECK_EQ(vbe_in(t, VBE_VIRT_HEIGHT), VGA_VRAM_BYTES / 4096);
	vbe(t, VBE_VIRT_WIDTH, 2048);
	CHECK_EQ(vbe_in(t, VBE_VIRT_HEIGHT), VGA_VRAM_BYTES / 8192);
	vbe(t, VBE_VIRT_HEIGHT, 99);			/* derived: cannot be written */
	CHECK_EQ(vbe_in(t, VBE_VIRT_HEIGHT), VGA_VRAM_BYTES / 8192);
	vbe(t, VBE_VIRT_WIDTH, 512);			/* not under the width of the screen */
	CHECK_EQ(vbe_in(t, VBE_VIRT_WIDTH), 1024);
	rig_free(t);
}

TEST(vbe_offsets_move_the_picture_over_the_virtual_screen)
{
	struct rig *t = rig_new();
	uint32_t pixel = 0x00ABCDEF;

	vbe_mode(t, 640, 480, 32);
	vbe(t, VBE_VIRT_WIDTH, 800);
	memcpy(t->vga.vram + (800 * 100 + 50) * 4, &pixel, 4);
	draw(t);
	CHECK_EQ(t->pic.pixel[640 * 100 + 50], 0xABCDEF);
	vbe(t, VBE_X_OFFSET, 40);
	vbe(t, VBE_Y_OFFSET, 90);
	draw(t);
	CHECK_EQ(t->pic.pixel[640 * 10 + 10], 0xABCDEF);
	vbe(t, VBE_X_OFFSET, 500);			/* no further than the virtual screen reaches */
	CHECK_EQ(vbe_in(t, VBE_X_OFFSET), 160);
	rig_free(t);
}

TEST(vbe_mode_clears_its_memory_unless_told_not_to)
{
	struct rig *t = rig_new();

	memset(t->vga.vram, 0x77, 800 * 600 + 1);
	vbe_mode(t, 800, 600, 8);
	CHECK_EQ(t->vga.vram[0] | t->vga.vram[800 * 600 - 1], 0);
	CHECK_EQ(t->vga.vram[800 * 600], 0x77);
	t->vga.vram[5] = 0x33;
	vbe(t, VBE_ENABLE, 0);
	vbe(t, VBE_ENABLE, VBE_ENABLED | VBE_LFB | VBE_NO_CLEAR);
	CHECK_EQ(t->vga.vram[5], 0x33);
	vbe(t, VBE_ENABLE, VBE_ENABLED | VBE_LFB);	/* on already: nothing is set up again */
	CHECK_EQ(t->vga.vram[5], 0x33);
	rig_free(t);
}

TEST(vbe_mode_of_16_colours_is_drawn_through_the_planes)
{
	struct rig *t = rig_new();

	vbe_mode(t, 800, 600, 4);
	seq(t, SEQ_MAP_MASK, 0x05);
	poke(t, 0xA0000 + 100 * 2 + 1, 0x80);		/* 100 bytes a line: pixel (8, 2) */
	draw(t);
	CHECK_EQ(t->pic.width, 800);
	CHECK_EQ(shown(t, 8, 2), 5);
	CHECK_EQ(shown(t, 9, 2), 0);
	vbe(t, VBE_BANK, 0);
	rig_free(t);
}

TEST(vbe_palette_has_eight_bits_when_asked_for)
{
	struct rig *t = rig_new();

	vbe_mode(t, 640, 480, 8);
	vbe(t, VBE_ENABLE, VBE_ENABLED | VBE_LFB | VBE_8BIT_DAC);
	out(t, 0x3C8, 7);
	out(t, 0x3C9, 0xFE);
	out(t, 0x3C9, 0x81);
	out(t, 0x3C9, 0x03);
	t->vga.vram[0] = 7;
	draw(t);
	CHECK_EQ(t->pic.pixel[0], 0xFE8103);
	rig_free(t);
}

TEST(vbe_mode_can_be_read_back_from_the_vga_s_own_registers)
{
	struct rig *t = rig_new();

	vbe_mode(t, 800, 600, 16);
	CHECK_EQ(t->vga.r.crtc[CRTC_HDISP_END], 99);
	CHECK_EQ(t->vga.r.crtc[CRTC_OFFSET], (800 * 2 / 8) & 0xFF);
	CHECK_EQ(t->vga.r.gfx[GFX_MISC] & 0x0D, 0x05);	/* graphics, at A0000h, 64 KiB */
	CHECK_EQ(t->vga.r.seq[SEQ_MEMORY] & 8, 8);	/* chained */
	vbe(t, VBE_ENABLE, 0);
	vbe(t, VBE_BPP, 4);
	vbe(t, VBE_ENABLE, VBE_ENABLED);
	CHECK_EQ(t->vga.r.seq[SEQ_MEMORY] & 8, 0);
	CHECK_EQ(t->vga.r.gfx[GFX_MODE] & 0x60, 0);
	rig_free(t);
}

TEST(vbe_values_written_while_off_are_kept_as_they_are_until_it_is_on)
{
	struct rig *t = rig_new();

	vbe(t, VBE_ENABLE, 0);
	vbe(t, VBE_XRES, 1003);
	vbe(t, VBE_BPP, 9);
	CHECK_EQ(vbe_in(t, VBE_XRES), 1003);
	CHECK_EQ(vbe_in(t, VBE_BPP), 9);
	vbe(t, VBE_YRES, 600);
	vbe(t, VBE_ENABLE, VBE_ENABLED);
	CHECK_EQ(vbe_in(t, VBE_XRES), 1000);		/* whole bytes of a plane */
	CHECK_EQ(vbe_in(t, VBE_BPP), 8);
	CHECK_EQ(vbe_in(t, VBE_YRES), 600);
	rig_free(t);
}
