/* A CD-ROM's sector as it is on the disc.	[ECMA-130, "Sector", annexes A and B] */
#include "dev/atapi_internal.h"
#include "dev/ide_rig.h"

/* Sum and weighted sum of a code word over GF(256): both are 0.	[ECMA-130, annex A] */
static bool code_word(const uint8_t *v, unsigned first, unsigned step, unsigned n, unsigned size, uint8_t p, uint8_t q)
{
	uint8_t sum = 0, weighted = 0;

	for (unsigned i = 0; i < n + 2; i++) {
		uint8_t byte = i < n ? v[(first + i * step) % size] : i == n ? p : q;
		sum ^= byte;
		weighted = (uint8_t)((weighted << 1 ^ (weighted & 0x80 ? 0x1D : 0)) ^ byte);
	}
	return sum == 0 && weighted == 0;
}

TEST(atapi_read_cd_gives_the_whole_sector_as_it_is_on_the_disc)	/* [MMC-3 "READ CD"], [ECMA-130] */
{
	struct rig *r = rig_new();
	uint8_t raw[12] = { 0xBE, 0, 0, 0, 0, 5, 0, 0, 3, 0xF8 }, head[12] = { 0xBE, 0, 0, 0, 0, 75, 0, 0, 2, 0x20 };
	uint8_t msf[12] = { 0xB9, 0, 0, 0, 2, 5, 0, 2, 6, 0x10 }, audio[12] = { 0xBE, 1 << 2, 0, 0, 0, 5, 0, 0, 1, 0xF8 };
	static uint8_t b[4 * CD_RAW_SECTOR];

	r->ide.channel[1].drive[0].unit_attention = false;
	CHECK_EQ(packet(r, raw, 0xFFFE, b, 3 * CD_RAW_SECTOR), 3 * CD_RAW_SECTOR);
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t *s = b + i * CD_RAW_SECTOR, *code = s + 12;
		uint32_t crc = 0;

		assert_memory_equal(s, "\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x00", 12);
		CHECK_EQ(s[12] << 16 | s[13] << 8 | s[14], 0x000205 + i);	/* 00:02:05 and on, in BCD */
		CHECK_EQ(s[15], 1);
		assert_memory_equal(s + 16, r->cd.bytes + (5 + i) * CD_SECTOR, CD_SECTOR);
		for (unsigned k = 0; k < 2068; k++) {
			crc ^= s[k];
			for (unsigned bit = 0; bit < 8; bit++)
				crc = crc >> 1 ^ (crc & 1 ? 0xD8018001u : 0);
		}
		CHECK_EQ(crc, 0);		/* the code over data and its own EDC */
		for (unsigned c = 0; c < 86; c++)
			CHECK(code_word(code, c, 86, 24, 2064, s[2076 + c], s[2162 + c]));
		for (unsigned d = 0; d < 52; d++)
			CHECK(code_word(code, d / 2 * 86 + d % 2, 88, 43, 2236, s[2248 + d], s[2300 + d]));
	}
	CHECK_EQ(packet(r, head, 0xFFFE, b, 8), 8);
	assert_memory_equal(b, "\x00\x03\x00\x01\x00\x03\x01\x01", 8);
	CHECK_EQ(packet(r, msf, 0xFFFE, b, CD_SECTOR), CD_SECTOR);
	assert_memory_equal(b, r->cd.bytes + 5 * CD_SECTOR, CD_SECTOR);
	packet(r, audio, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x056400);			/* ILLEGAL MODE FOR THIS TRACK */
	free(r);
}

static void some_sector(uint8_t out[CD_RAW_SECTOR], uint32_t lba)
{
	uint8_t data[CD_SECTOR];

	for (unsigned i = 0; i < CD_SECTOR; i++)
		data[i] = (uint8_t)(i * 31 + i / 256 + lba);
	cd_sector(out, lba, data);
}

TEST(cd_sector_header_has_its_time_in_minutes_seconds_and_frames)	/* [ECMA-130, "Header field"] */
{
	static const struct { uint32_t lba, time; } cases[] = {
		{ 0, 0x000200 }, { 74, 0x000274 }, { 75, 0x000300 }, { 4349, 0x005974 }, { 4350, 0x010000 }, { 359849, 0x795974 },
		{ 449849, 0x995974 },
	};
	uint8_t s[CD_RAW_SECTOR];

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		some_sector(s, cases[i].lba);
		CHECK_EQ(s[12] << 16 | s[13] << 8 | s[14], cases[i].time);
		CHECK_EQ(s[15], 1);
	}
}

/* The remainder of the first n bytes, each taken from its lowest bit on, by the product of the two polynomials that ECMA-130 gives. */
static uint32_t remainder_of(const uint8_t *p, unsigned n)
{
	uint64_t poly = 0, rem = 0;

	for (unsigned i = 0; i <= 16; i++)		/* (x^16 + x^15 + x^2 + 1) (x^16 + x^2 + x + 1) */
		if (0x18005u >> i & 1)
			poly ^= 0x10007ull << i;
	for (unsigned i = 0; i < 8 * n; i++) {
		rem = rem << 1 | (p[i / 8] >> i % 8 & 1);
		if (rem >> 32)
			rem ^= poly;
	}
	return (uint32_t)rem;
}

TEST(cd_sector_up_to_its_edc_is_a_multiple_of_the_polynomial)	/* [ECMA-130, "EDC field"] */
{
	uint8_t s[CD_RAW_SECTOR];

	for (uint32_t lba = 0; lba < 20; lba++) {
		some_sector(s, lba * 12345);
		CHECK_EQ(remainder_of(s, 2068), 0);
		s[16 + lba * 100] ^= 1u << lba % 8;
		CHECK(remainder_of(s, 2068) != 0);
		CHECK(s[2068] == 0 && s[2075] == 0);	/* the bytes between EDC and parity */
	}
}

static uint8_t times_two_to(uint8_t v, unsigned n)
{
	while (n-- > 0)
		v = (uint8_t)(v << 1 ^ (v & 0x80 ? 0x1D : 0));
	return v;
}

TEST(cd_sector_parity_tells_which_byte_is_wrong_and_what_it_was)	/* [ECMA-130, annex A] */
{
	uint8_t s[CD_RAW_SECTOR];

	some_sector(s, 777);
	for (unsigned at = 0; at < 2064; at += 97) {
		const uint8_t wrong = (uint8_t)(at * 5 + 1);
		uint8_t *code = s + 12, sum = 0, weighted = 0;
		unsigned column = at % 86, row = at / 86;

		code[at] ^= wrong;
		for (unsigned i = 0; i < 26; i++) {
			uint8_t v = i < 24 ? code[column + i * 86] : s[i == 24 ? 2076 + column : 2162 + column];
			sum ^= v;
			weighted = (uint8_t)(times_two_to(weighted, 1) ^ v);
		}
		CHECK_EQ(sum, wrong);
		CHECK_EQ(weighted, times_two_to(wrong, 25 - row));
		code[at] ^= sum;
	}
	CHECK_EQ(remainder_of(s, 2068), 0);
}

TEST(cd_sector_parts_are_cut_out_in_the_order_of_the_disc)	/* [MMC-3 "READ CD", byte 9] */
{
	uint8_t s[CD_RAW_SECTOR], out[CD_RAW_SECTOR];

	some_sector(s, 5);
	CHECK_EQ(cd_parts_bytes(0), 0);
	CHECK_EQ(cd_parts_bytes(CD_SYNC | CD_HEADER | CD_DATA | CD_EDC), CD_RAW_SECTOR);
	CHECK_EQ(cd_parts_bytes(CD_HEADER | CD_EDC), 292);
	cd_copy_parts(out, s, CD_SYNC | CD_HEADER | CD_DATA | CD_EDC);
	assert_memory_equal(out, s, CD_RAW_SECTOR);
	cd_copy_parts(out, s, CD_HEADER | CD_EDC);
	assert_memory_equal(out, s + 12, 4);
	assert_memory_equal(out + 4, s + 16 + 2048, 288);
}
