/*
 * A CD-ROM's sector as it is on the disc: sync, header, data, and what detects and mends errors.	[ECMA-130, "Sector", annexes A and B]
 *
 * Parity is over GF(256) with the polynomial x^8 + x^4 + x^3 + x^2 + 1. A code word (v0 ... v(n-3), p, q) is such that its sum is 0, and
 * the sum of v(i) * 2^(n-1-i) too. With S0 and S1 these sums over the data alone: p + q = S0 and 2 p + q = S1, so p = (S0 + S1) / 3.
 */
#include <string.h>

#include "dev/atapi_internal.h"

enum { DATA = 16, EDC = DATA + 2048, P_PARITY = EDC + 12, Q_PARITY = P_PARITY + 172 };

static uint8_t twice(uint8_t v)
{
	return (uint8_t)(v << 1 ^ (v & 0x80 ? 0x1D : 0));
}

/* v / 3, as v times 3^254: its inverse, since x^255 = 1. */
static uint8_t third(uint8_t v)
{
	uint8_t inverse = 1, out = 0;

	for (unsigned i = 0; i < 254; i++)
		inverse ^= twice(inverse);
	for (unsigned bit = 8; bit-- > 0; )
		out = (uint8_t)(twice(out) ^ (inverse & 1u << bit ? v : 0));
	return out;
}

/* The two parity bytes of n data bytes, the i-th of which is at[(first + i * step) % size]. */
static void parity(const uint8_t *at, unsigned first, unsigned step, unsigned n, unsigned size, uint8_t *p, uint8_t *q, const uint8_t *thirds)
{
	uint8_t sum = 0, weighted = 0;

	for (unsigned i = 0; i < n; i++) {
		uint8_t v = at[(first + i * step) % size];

		sum ^= v;
		weighted = twice((uint8_t)(weighted ^ v));
	}
	weighted = twice(weighted);	/* the last data byte has the weight 2^2 */
	*p = thirds[sum ^ weighted];
	*q = sum ^ *p;
}

static uint32_t edc_of(const uint8_t *p, size_t len)
{
	uint32_t crc = 0;

	while (len-- > 0) {
		crc ^= *p++;
		for (unsigned i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xD8018001u : 0);
	}
	return crc;
}

static uint8_t bcd(uint32_t v)
{
	return (uint8_t)(v / 10 << 4 | v % 10);
}

void cd_sector(uint8_t out[CD_RAW_SECTOR], uint32_t lba, const uint8_t data[CD_SECTOR])
{
	uint32_t frame = lba + 150;	/* the two seconds before LBA 0 */
	uint8_t thirds[256];

	for (unsigned i = 0; i < 8; i++)	/* division is linear: eight quotients make all the others */
		thirds[1u << i] = third((uint8_t)(1u << i));
	thirds[0] = 0;
	for (unsigned v = 3; v < 256; v++)
		thirds[v] = thirds[v & (v - 1)] ^ thirds[v & -v];
	memset(out, 0, CD_RAW_SECTOR);
	memset(out + 1, 0xFF, 10);
	out[12] = bcd(frame / 75 / 60 % 100);
	out[13] = bcd(frame / 75 % 60);
	out[14] = bcd(frame % 75);
	out[15] = 1;			/* mode 1 */
	memcpy(out + DATA, data, CD_SECTOR);
	uint32_t edc = edc_of(out, EDC);
	for (unsigned i = 0; i < 4; i++)
		out[EDC + i] = (uint8_t)(edc >> 8 * i);
	/* Header to zeros as 43 rows and 24 columns of 16-bit words, each of whose two bytes has its own code words. */
	uint8_t *code = out + 12;
	for (unsigned c = 0; c < 86; c++)
		parity(code, c, 86, 24, 86 * 24, &out[P_PARITY + c], &out[P_PARITY + 86 + c], thirds);
	for (unsigned d = 0; d < 52; d++)	/* diagonals: 26 of words, through data and P */
		parity(code, d / 2 * 86 + d % 2, 88, 43, 86 * 26, &out[Q_PARITY + d], &out[Q_PARITY + 52 + d], thirds);
}

/* In the order they have on the disc. */
static const struct { uint8_t part; uint16_t at, len; } layout[] = {
	{ CD_SYNC, 0, 12 }, { CD_HEADER, 12, 4 }, { CD_DATA, DATA, CD_SECTOR }, { CD_EDC, EDC, CD_RAW_SECTOR - EDC },
};

uint32_t cd_parts_bytes(uint8_t parts)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < ARRAY_LEN(layout); i++)
		n += parts & layout[i].part ? layout[i].len : 0;
	return n;
}

void cd_copy_parts(uint8_t *out, const uint8_t raw[CD_RAW_SECTOR], uint8_t parts)
{
	for (unsigned i = 0; i < ARRAY_LEN(layout); i++) {
		if (parts & layout[i].part) {
			memcpy(out, raw + layout[i].at, layout[i].len);
			out += layout[i].len;
		}
	}
}
