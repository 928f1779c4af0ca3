/* The graphics card. Source, where no other is named: [IBM VGA TRM]. */
#include "dev/vga_rig.h"

TEST(vga_attribute_flip_flop_is_set_to_index_by_reading_input_status)
{
	struct rig *t = rig_new();

	in(t, 0x3DA);
	out(t, 0x3C0, 0x12);
	in(t, 0x3DA);
	out(t, 0x3C0, 0x13);
	out(t, 0x3C0, 0x05);
	CHECK_EQ(t->vga.r.attr[0x13], 5);
	CHECK_EQ(t->vga.r.attr[0x12], 0);
	rig_free(t);
}

TEST(vga_crtc_registers_0_to_7_are_protected_but_for_line_compare)
{
	struct rig *t = rig_new();

	crtc(t, CRTC_HTOTAL, 0x5F);
	crtc(t, CRTC_VRETRACE_END, 0x80);
	crtc(t, CRTC_HTOTAL, 0x11);
	crtc(t, CRTC_OVERFLOW, 0xFF);
	CHECK_EQ(t->vga.r.crtc[CRTC_HTOTAL], 0x5F);
	CHECK_EQ(t->vga.r.crtc[CRTC_OVERFLOW], 0x10);
	rig_free(t);
}

TEST(vga_crtc_answers_only_at_the_address_that_miscellaneous_output_selects)
{
	struct rig *t = rig_new();

	crtc(t, CRTC_START_LO, 0x42);
	CHECK_EQ(in(t, 0x3B5), 0xFF);
	out(t, 0x3C2, 0);
	CHECK_EQ(in(t, 0x3D5), 0xFF);
	CHECK_EQ(in(t, 0x3B5), 0x42);
	rig_free(t);
}

TEST(vga_dac_moves_to_the_next_entry_after_three_values)
{
	struct rig *t = rig_new();

	out(t, 0x3C8, 7);
	for (unsigned i = 1; i <= 6; i++)
		out(t, 0x3C9, (uint8_t)(i | 0xC0));
	CHECK_EQ(in(t, 0x3C8), 9);
	out(t, 0x3C7, 8);
	CHECK_EQ(in(t, 0x3C7), 3);
	CHECK_EQ(in(t, 0x3C9), 4);
	CHECK_EQ(in(t, 0x3C9), 5);
	CHECK_EQ(in(t, 0x3C9), 6);
	rig_free(t);
}

TEST(vga_write_mode_0_rotates_sets_combines_and_masks)
{
	struct rig *t = rig_new();

	mode12(t);
	poke(t, 0xA0000, 0x0F);
	peek(t, 0xA0000);				/* latches 0Fh */
	gfx(t, GFX_SET_RESET, 0x2);
	gfx(t, GFX_ENABLE_SET_RESET, 0x6);		/* plane 1 set, plane 2 reset */
	gfx(t, GFX_ROTATE, 0x18 | 4);			/* XOR, rotate by 4 */
	gfx(t, GFX_BIT_MASK, 0xF0);
	seq(t, SEQ_MAP_MASK, 0x7);
	poke(t, 0xA0000, 0x1C);				/* rotated: C1h */
	const uint8_t *p = t->vga.vram;
	CHECK_EQ(p[0], 0xCF);
	CHECK_EQ(p[1], 0xFF);
	CHECK_EQ(p[2], 0x0F);
	CHECK_EQ(p[3], 0x0F);
	rig_free(t);
}

TEST(vga_write_mode_1_copies_the_latches)
{
	struct rig *t = rig_new();

	mode12(t);
	for (unsigned p = 0; p < 4; p++) {
		seq(t, SEQ_MAP_MASK, (uint8_t)BIT(p));
		poke(t, 0xA0010, (uint8_t)(0x11 * (p + 1)));
	}
	seq(t, SEQ_MAP_MASK, 15);
	gfx(t, GFX_MODE, 1);
	peek(t, 0xA0010);
	poke(t, 0xA0020, 0);
	CHECK_EQ(memcmp(t->vga.vram + 0x80, "\x11\x22\x33\x44", 4), 0);
	rig_free(t);
}

TEST(vga_write_mode_2_spreads_a_colour_and_mode_3_uses_the_data_as_mask)
{
	struct rig *t = rig_new();

	mode12(t);
	gfx(t, GFX_MODE, 2);
	gfx(t, GFX_BIT_MASK, 0x81);
	peek(t, 0xA0000);
	poke(t, 0xA0000, 0x5);
	CHECK_EQ(memcmp(t->vga.vram, "\x81\x00\x81\x00", 4), 0);
	gfx(t, GFX_MODE, 3);
	gfx(t, GFX_BIT_MASK, 0x3C);
	gfx(t, GFX_SET_RESET, 0xA);
	peek(t, 0xA0000);
	poke(t, 0xA0000, 0xF0);
	CHECK_EQ(memcmp(t->vga.vram, "\x81\x30\x81\x30", 4), 0);
	rig_free(t);
}

TEST(vga_read_mode_1_compares_colours_in_the_planes_that_matter)
{
	struct rig *t = rig_new();

	mode12(t);
	gfx(t, GFX_MODE, 2);
	gfx(t, GFX_BIT_MASK, 0xF0);
	poke(t, 0xA0000, 0x6);
	gfx(t, GFX_MODE, 8);
	gfx(t, GFX_COMPARE, 0x6);
	CHECK_EQ(peek(t, 0xA0000), 0xF0);
	gfx(t, GFX_DONT_CARE, 0x9);			/* planes 0 and 3: clear everywhere */
	CHECK_EQ(peek(t, 0xA0000), 0xFF);
	rig_free(t);
}

TEST(vga_chain_4_with_all_planes_is_plain_memory_and_else_is_not)
{
	struct rig *t = rig_new();

	mode12(t);
	CHECK(phys_host(&t->phys, 0xA0000, true) == NULL);
	seq(t, SEQ_MEMORY, 0x0E);
	CHECK(phys_host(&t->phys, 0xA1234, true) == t->vga.vram + 0x1234);
	CHECK(phys_host(&t->phys, 0xB0000, true) == NULL);
	seq(t, SEQ_MAP_MASK, 2);
	CHECK(phys_host(&t->phys, 0xA0000, true) == NULL);
	poke(t, 0xA0004, 0x55);				/* plane 0: masked */
	poke(t, 0xA0005, 0x66);
	CHECK_EQ(t->vga.vram[4], 0);
	CHECK_EQ(t->vga.vram[5], 0x66);
	rig_free(t);
}

TEST(vga_planar_pixels_go_through_plane_enable_and_palette)
{
	struct rig *t = rig_new();

	mode12(t);
	gfx(t, GFX_MODE, 2);
	gfx(t, GFX_BIT_MASK, 0x40);
	poke(t, 0xA0000 + 80 * 3 + 2, 0xD);
	draw(t);
	CHECK_EQ(t->pic.width, 640);
	CHECK_EQ(t->pic.height, 480);
	CHECK_EQ(shown(t, 17, 3), 0xD);
	CHECK_EQ(shown(t, 16, 3), 0);
	attr(t, ATTR_PLANES, 0x7);
	attr(t, 0x5, 0x2A);
	draw(t);
	CHECK_EQ(shown(t, 17, 3), 0x2A);
	rig_free(t);
}

TEST(vga_start_address_panning_and_split_screen_move_the_picture)
{
	struct rig *t = rig_new();

	mode12(t);
	gfx(t, GFX_MODE, 2);
	gfx(t, GFX_BIT_MASK, 0x80);
	poke(t, 0xA0000, 9);				/* top of memory */
	poke(t, 0xA0000 + 80 * 10 + 1, 5);
	crtc(t, CRTC_START_HI, 800 >> 8);
	crtc(t, CRTC_START_LO, 800 & 255);
	attr(t, ATTR_PANNING, 3);
	crtc(t, CRTC_LINE_COMPARE, 99);			/* bits 8 and 9 of it: */
	crtc(t, CRTC_VRETRACE_END, 0x0C);
	crtc(t, CRTC_OVERFLOW, 0x2E);
	crtc(t, CRTC_MAX_SCAN, 0x00);
	draw(t);
	CHECK_EQ(shown(t, 5, 0), 5);
	CHECK_EQ(shown(t, 0, 100), 0);			/* panned out of sight */
	attr(t, ATTR_MODE, 0x21);			/* no panning below the split */
	draw(t);
	CHECK_EQ(shown(t, 0, 100), 9);
	CHECK_EQ(shown(t, 0, 99), 0);
	rig_free(t);
}

TEST(vga_scan_doubling_shows_each_line_twice)
{
	struct rig *t = rig_new();

	mode12(t);
	gfx(t, GFX_MODE, 2);
	poke(t, 0xA0000 + 80, 3);
	crtc(t, CRTC_MAX_SCAN, 0xC0);
	draw(t);
	CHECK_EQ(shown(t, 0, 1), 0);
	CHECK_EQ(shown(t, 0, 2), 3);
	CHECK_EQ(shown(t, 0, 3), 3);
	CHECK_EQ(shown(t, 0, 4), 0);
	rig_free(t);
}

TEST(vga_row_scan_bits_take_the_place_of_address_bits_in_the_modes_of_older_cards)	/* "CRTC Mode Control", CMS0 and SRSC */
{
	struct rig *t = rig_new();

	mode12(t);
	gfx(t, GFX_MODE, 2);
	gfx(t, GFX_BIT_MASK, 0x80);
	poke(t, 0xA0000 + 0x1000, 3);
	poke(t, 0xA0000 + 0x2000, 5);
	poke(t, 0xA0000 + 0x4000, 6);
	poke(t, 0xA0000 + 80, 9);
	crtc(t, CRTC_MAX_SCAN, 0x41);
	crtc(t, CRTC_MODE, 0xE2);			/* CGA: odd lines are 8 KiB on */
	draw(t);
	CHECK_EQ(shown(t, 0, 0), 0);
	CHECK_EQ(shown(t, 0, 1), 5);
	CHECK_EQ(shown(t, 0, 2), 9);
	crtc(t, CRTC_MODE, 0xA2);			/* the counter counts words */
	draw(t);
	CHECK_EQ(shown(t, 0, 1), 3);
	crtc(t, CRTC_MAX_SCAN, 0x43);
	crtc(t, CRTC_MODE, 0xE0);			/* Hercules: four parts */
	draw(t);
	CHECK_EQ(shown(t, 0, 1), 5);
	CHECK_EQ(shown(t, 0, 2), 6);
	CHECK_EQ(shown(t, 0, 4), 9);
	rig_free(t);
}

/* Colour text as vga_set_text_mode() leaves it, with a font of which only 'A' is there. */
static void text_mode(struct rig *t)
{
	static uint8_t font[256 * 16];

	mode12(t);
	memset(font + 'A' * 16, 0xF0, 16);
	memset(font + 0xC4 * 16, 0x01, 16);
	vga_set_text_mode(&t->vga, font);
	for (unsigned i = 0; i < 64; i++)
		t->vga.r.dac[i][0] = (uint8_t)i;	/* shown() tells the index */
	crtc(t, CRTC_CURSOR_START, 0x20);
}

TEST(vga_text_has_nine_dots_and_joins_line_drawing_characters)
{
	struct rig *t = rig_new();

	text_mode(t);
	phys_write_n(&t->phys, 0xB8000, 2, 0x1E41);	/* A, yellow on blue */
	phys_write_n(&t->phys, 0xB8002, 2, 0x1EC4);
	draw(t);
	CHECK_EQ(t->pic.width, 720);
	CHECK_EQ(t->pic.height, 400);
	CHECK_EQ(shown(t, 0, 0), 0x3E);
	CHECK_EQ(shown(t, 4, 0), 0x01);
	CHECK_EQ(shown(t, 8, 0), 0x01);
	CHECK_EQ(shown(t, 15, 15), 0x01);
	CHECK_EQ(shown(t, 16, 15), 0x3E);
	CHECK_EQ(shown(t, 17, 15), 0x3E);
	CHECK_EQ(shown(t, 16, 16), 0x00);
	attr(t, ATTR_MODE, 0x08);
	draw(t);
	CHECK_EQ(shown(t, 17, 15), 0x01);
	rig_free(t);
}

TEST(vga_cursor_and_blinking_characters_have_their_phases)
{
	struct rig *t = rig_new();

	text_mode(t);
	phys_write_n(&t->phys, 0xB8000, 2, 0x9E41);
	crtc(t, CRTC_CURSOR_START, 14);
	crtc(t, CRTC_CURSOR_END, 15);
	crtc(t, CRTC_CURSOR_LO, 1);
	draw(t);
	CHECK_EQ(shown(t, 0, 0), 0x3E);
	CHECK_EQ(shown(t, 9, 13), 0x00);
	CHECK_EQ(shown(t, 9, 14), 0x07);
	CHECK_EQ(shown(t, 18, 14), 0x00);
	t->now = 16666667ull * 8;
	draw(t);
	CHECK_EQ(shown(t, 0, 0), 0x3E);
	CHECK_EQ(shown(t, 9, 14), 0x00);
	t->now = 16666667ull * 16;
	draw(t);
	CHECK_EQ(shown(t, 0, 0), 0x01);
	CHECK_EQ(shown(t, 9, 14), 0x07);
	rig_free(t);
}

TEST(vga_text_cells_follow_the_start_address_through_all_32_kib)
{
	struct rig *t = rig_new();

	text_mode(t);
	phys_write_n(&t->phys, 0xB8000 + 2 * (0x3000 + 81), 2, 0x7051);
	crtc(t, CRTC_START_HI, 0x30);
	crtc(t, CRTC_START_LO, 0);
	crtc(t, CRTC_CURSOR_START, 13);
	crtc(t, CRTC_CURSOR_END, 14);
	crtc(t, CRTC_CURSOR_HI, 0x30);
	crtc(t, CRTC_CURSOR_LO, 160 + 3);
	vga_view_once(&t->vga, &t->view);
	vga_get_text(&t->view, &t->text);
	CHECK_EQ(t->text.columns, 80);
	CHECK_EQ(t->text.rows, 25);
	CHECK_EQ(t->text.cell[81].code, 'Q');
	CHECK_EQ(t->text.cell[81].attr, 0x70);
	CHECK(t->text.cursor);
	CHECK_EQ(t->text.cursor_row, 2);
	CHECK_EQ(t->text.cursor_column, 3);
	rig_free(t);
}

TEST(vga_text_rows_of_doubled_scan_lines_are_half_as_many)
{
	struct rig *t = rig_new();

	text_mode(t);
	crtc(t, CRTC_MAX_SCAN, 0xCF);
	vga_view_once(&t->vga, &t->view);
	vga_get_text(&t->view, &t->text);
	CHECK_EQ(t->text.rows, 12);
	rig_free(t);
}

TEST(vga_characters_are_those_of_code_page_437)
{
	static const struct { uint8_t code; uint32_t unicode; } some[] = {
		{ 0, ' ' }, { 0x01, 0x263A }, { 0x1F, 0x25BC }, { ' ', ' ' }, { 'A', 'A' }, { '~', '~' }, { 0x7F, 0x2302 }, { 0x80, 0xC7 },
		{ 0xC4, 0x2500 }, { 0xDB, 0x2588 }, { 0xE3, 0x3C0 }, { 0xFF, 0xA0 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(some); i++)
		CHECK_EQ(vga_code_to_unicode(some[i].code), some[i].unicode);
}

TEST(vga_font_is_found_in_a_rom_by_its_first_two_characters_if_all_are_there)
{
	static const uint8_t face[16] = { 0, 0, 0x7E, 0x81, 0xA5, 0x81, 0x81, 0xBD, 0x99, 0x81, 0x81, 0x7E };
	static uint8_t rom[100 + 256 * 16];

	memset(rom, 0x55, sizeof(rom));
	CHECK(vga_find_font(rom, sizeof(rom)) == NULL);
	memset(rom + 100, 0, 16);
	memcpy(rom + 116, face, sizeof(face));
	CHECK(vga_find_font(rom, sizeof(rom)) == rom + 100);
	CHECK(vga_find_font(rom, sizeof(rom) - 1) == NULL);
}

/* [VGA timing]: 31.469 kHz, 449 lines, 70.087 Hz in text modes. */
TEST(vga_retrace_comes_at_the_rate_of_the_mode)
{
	struct rig *t = rig_new();
	unsigned frames = 0;
	bool was = true;

	text_mode(t);
	for (t->now = 0; t->now < 1000000000; t->now += 10000) {
		bool is = in(t, 0x3DA) & 8;

		frames += is && !was;
		was = is;
	}
	CHECK_EQ(frames, 70);
	rig_free(t);
}

TEST(vga_viewer_draws_only_lines_whose_pages_were_written)
{
	struct rig *t = rig_new();

	vbe_mode(t, 1024, 768, 32);			/* a page a line */
	CHECK_EQ(vga_view_add(&t->vga, &t->view), 0);
	vga_view_update(&t->vga, &t->view);
	CHECK(vga_draw(&t->view, &t->pic));
	CHECK_EQ(t->pic.last, 768);
	vga_view_update(&t->vga, &t->view);
	CHECK(vga_draw(&t->view, &t->pic));
	CHECK_EQ(t->pic.last, 0);
	phys_write_n(&t->phys, 0xA0000 + 4096 * 7 + 8, 4, 0xABCDEF);
	unsigned drops = t->drops;
	vga_view_update(&t->vga, &t->view);
	CHECK_EQ(t->drops, drops + 1);
	CHECK(vga_draw(&t->view, &t->pic));
	CHECK_EQ(t->pic.first, 7);
	CHECK_EQ(t->pic.last, 8);
	CHECK_EQ(t->pic.pixel[1024 * 7 + 2], 0xABCDEF);
	vga_view_remove(&t->vga, &t->view);
	rig_free(t);
}

TEST(vga_random_register_writes_never_draw_outside_memory)
{
	struct rig *t = rig_new();
	uint64_t seed = 88172645463325252ull;

	CHECK_EQ(vga_view_add(&t->vga, &t->view), 0);
	for (unsigned i = 0; i < 40000; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		uint16_t port = (uint16_t)(seed & 64 ? 0x3B0 + (seed & 0x3F) % 0x30 : 0x1CE + (seed & 1));

		bus_write(&t->bus, port, seed & 0x800 ? 2 : 1, (uint32_t)(seed >> 32) & 0xFFFF);
		bus_read(&t->bus, port, 1);
		phys_write_n(&t->phys, 0xA0000 + (seed >> 20 & 0x1FFFF & ~3u), 4, (uint32_t)(seed >> 32));
		phys_read_n(&t->phys, 0xA0000 + (seed >> 21 & 0x1FFFF & ~3u), 4);
		if (i % 1000 == 0) {
			vga_view_update(&t->vga, &t->view);
			CHECK(vga_draw(&t->view, &t->pic));
			vga_get_text(&t->view, &t->text);
		}
	}
	rig_free(t);
}

TEST(vga_pci_function_maps_frame_buffer_registers_and_rom)
{
	struct rig *t = rig_new();
	struct pci_bus pci = { 0 };
	uint8_t rom[512] = { 0x55, 0xAA, 1 };

	vga_pci_init(&t->vga, &pci, PCI_DEVFN(2, 0), rom, sizeof(rom));
	CHECK_EQ(pci_config_read(&pci, 0x80001000, 4), 0x11111234);
	CHECK_EQ(pci_config_read(&pci, 0x80001008, 4), 0x03000002);
	pci_config_write(&pci, 0x80001010, 4, 0xE0000000);
	pci_config_write(&pci, 0x80001018, 4, 0xE1000000);
	pci_config_write(&pci, 0x80001030, 4, 0xE2000001);
	pci_config_write(&pci, 0x80001004, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	CHECK(phys_host(&t->phys, 0xE0000010, true) == t->vga.vram + 0x10);
	CHECK_EQ(phys_read_n(&t->phys, 0xE2000000, 2), 0xAA55);
	CHECK_EQ(phys_read_n(&t->phys, 0xE1000500, 2), 0xB0C5);
	phys_write_n(&t->phys, 0xE1000502, 2, 1024);
	CHECK_EQ(vbe_in(t, VBE_XRES), 1024);
	phys_write_n(&t->phys, 0xE100040E, 1, GFX_BIT_MASK);
	phys_write_n(&t->phys, 0xE100040F, 1, 0x5A);
	CHECK_EQ(t->vga.r.gfx[GFX_BIT_MASK], 0x5A);
	CHECK_EQ(phys_read_n(&t->phys, 0xE100040E, 2), 0x5A00 | GFX_BIT_MASK);
	phys_write_n(&t->phys, 0xE1000502, 4, 768 << 16 | 1024);
	CHECK_EQ(vbe_in(t, VBE_YRES), 768);
	CHECK_EQ(phys_read_n(&t->phys, 0xE1000502, 4), 768 << 16 | 1024);
	CHECK_EQ(phys_read_n(&t->phys, 0xE1000600, 4), 8);		/* behind them: bytes in this block, */
	CHECK_EQ(phys_read_n(&t->phys, 0xE1000604, 4), 0x1E1E1E1E);	/* byte order: low first */
	CHECK_EQ(phys_read_n(&t->phys, 0xE1000608, 4), 0xFFFFFFFF);
	pci_config_write(&pci, 0x80001004, 2, 0);
	CHECK(phys_host(&t->phys, 0xE0000010, true) == NULL);
	rig_free(t);
}
