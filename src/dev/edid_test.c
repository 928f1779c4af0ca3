/* What the screen says of itself.	[VESA E-EDID, Release A: EDID 1.3] */
#include "dev/vga_rig.h"

TEST(vga_screen_describes_itself_in_an_edid_block)	/* [VESA E-EDID, "EDID 1.3 structure"] */
{
	static const uint8_t header[8] = { 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0 };
	struct rig *t = rig_new();
	struct pci_bus pci = { 0 };
	uint8_t edid[EDID_BYTES], sum = 0;

	vga_pci_init(&t->vga, &pci, PCI_DEVFN(2, 0), NULL, 0);
	pci_config_write(&pci, 0x80001018, 4, 0xE1000000);
	pci_config_write(&pci, 0x80001004, 2, PCI_COMMAND_MEMORY);
	for (unsigned i = 0; i < EDID_BYTES; i++) {
		edid[i] = (uint8_t)phys_read_n(&t->phys, 0xE1000000 + i, 1);
		sum += edid[i];
	}
	assert_memory_equal(edid, header, 8);
	CHECK_EQ(sum, 0);
	CHECK_EQ(edid[126], 0);				/* no extension */
	const uint8_t *d = edid + 54;			/* the preferred mode: 1024 x 768, 65 MHz */
	CHECK_EQ(d[0] | d[1] << 8, 6500);
	CHECK_EQ(d[2] | (d[4] & 0xF0) << 4, 1024);
	CHECK_EQ(d[5] | (d[7] & 0xF0) << 4, 768);
	unsigned htotal = 1024 + (d[3] | (d[4] & 15u) << 8), vtotal = 768 + (d[6] | (d[7] & 15u) << 8);
	CHECK_EQ(65000000 / (htotal * vtotal), 60);
	CHECK_EQ(phys_read_n(&t->phys, 0xE1000000 + EDID_BYTES, 1) & 0xFF, 0xFF);
	rig_free(t);
}

/* The standard timing at p: width, height, rate. */
static void standard_timing(const uint8_t *p, unsigned *width, unsigned *height, unsigned *hz)
{
	static const struct { unsigned w, h; } aspect[4] = { { 16, 10 }, { 4, 3 }, { 5, 4 }, { 16, 9 } };

	*width = (p[0] + 31) * 8u;
	*height = *width * aspect[p[1] >> 6].h / aspect[p[1] >> 6].w;
	*hz = (p[1] & 0x3F) + 60;
}

TEST(edid_names_its_maker_version_and_kind)	/* [E-EDID "Vendor & Product Identification", "Basic Display Parameters"] */
{
	uint8_t e[EDID_BYTES];

	vga_edid(e);
	unsigned maker = e[8] << 8 | e[9];		/* three letters of five bits, A is 1 */
	CHECK_EQ(maker >> 15, 0);
	CHECK_EQ((maker >> 10 & 31) + '@', 'P');
	CHECK_EQ((maker >> 5 & 31) + '@', 'L');
	CHECK_EQ((maker & 31) + '@', 'X');
	CHECK_EQ(e[18], 1);
	CHECK_EQ(e[19], 3);
	CHECK_EQ(e[20] & 0x80, 0x80);			/* digital */
	CHECK_EQ(e[24] & 0x02, 0x02);			/* the first detailed timing is the preferred one */
}

TEST(edid_modes_are_those_the_card_can_show)	/* [E-EDID "Established Timings", "Standard Timings"] */
{
	static const struct { unsigned w, h; } want[8] = {
		{ 640, 480 }, { 1152, 864 }, { 1280, 800 }, { 1280, 1024 }, { 1440, 900 }, { 1600, 1200 }, { 1680, 1050 }, { 1920, 1080 },
	};
	uint8_t e[EDID_BYTES];
	unsigned w, h, hz;

	vga_edid(e);
	CHECK_EQ(e[35] & 0x21, 0x21);			/* 640 x 480 and 800 x 600 at 60 Hz */
	CHECK_EQ(e[36] & 0x08, 0x08);			/* 1024 x 768 at 60 Hz */
	for (unsigned i = 0; i < 8; i++) {
		standard_timing(e + 38 + 2 * i, &w, &h, &hz);
		CHECK_EQ(w, want[i].w);
		CHECK_EQ(h, want[i].h);
		CHECK_EQ(hz, 60);
		CHECK(w <= VBE_MAX_WIDTH && h <= VBE_MAX_HEIGHT);
	}
}

TEST(edid_range_limits_hold_the_preferred_timing)	/* [E-EDID "Detailed Timing", "Monitor Range Limits"] */
{
	const uint8_t *limits = NULL, *name = NULL;
	uint8_t e[EDID_BYTES];

	vga_edid(e);
	const uint8_t *d = e + 54;
	unsigned clock_hz = (d[0] | d[1] << 8) * 10000u;
	unsigned htotal = (d[2] | (d[4] & 0xF0) << 4) + (d[3] | (d[4] & 15u) << 8);
	unsigned vtotal = (d[5] | (d[7] & 0xF0) << 4) + (d[6] | (d[7] & 15u) << 8);
	unsigned hsync = d[9] | (d[11] & 0x30u) << 4, hfront = d[8] | (d[11] & 0xC0u) << 2;
	unsigned vsync = (d[10] & 15) | (d[11] & 3u) << 4, vfront = d[10] >> 4 | (d[11] & 0xCu) << 2;

	/* [VESA DMT, "1024 x 768 at 60 Hz"] */
	CHECK_EQ(htotal, 1344);
	CHECK_EQ(hfront, 24);
	CHECK_EQ(hsync, 136);
	CHECK_EQ(vtotal, 806);
	CHECK_EQ(vfront, 3);
	CHECK_EQ(vsync, 6);
	CHECK_EQ(d[17] & 0x1E, 0x18);			/* separate syncs, both negative */
	for (unsigned at = 72; at < 126; at += 18) {
		CHECK_EQ(e[at] | e[at + 1] | e[at + 2], 0);	/* a descriptor, no timing */
		if (e[at + 3] == 0xFD)
			limits = e + at;
		if (e[at + 3] == 0xFC)
			name = e + at;
	}
	CHECK(limits && name);
	CHECK(clock_hz / htotal / vtotal >= limits[5] && clock_hz / htotal / vtotal <= limits[6]);
	CHECK(clock_hz / htotal >= limits[7] * 1000u && clock_hz / htotal <= limits[8] * 1000u);
	CHECK(clock_hz <= limits[9] * 10000000u);
	CHECK_EQ(limits[10], 0);			/* no formula for other timings ... */
	assert_memory_equal(limits + 11, "\n      ", 7);	/* ... and what is then to be there */
	assert_memory_equal(name + 5, "plex86 Screen", 13);
}
