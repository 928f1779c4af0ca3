/*
 * libFuzzer target: the network card alone, which fuzz_board.c reaches with few of its accesses. A driver's set-up, then registers,
 * descriptors that make some sense, frames from outside, want of room, time.
 *
 * What must hold: nothing is touched that is not the card's (the sanitizers), a visit sends a bounded number of frames, what is sent is
 * a frame, an interrupt is at the pin if and only if it should be, and after a reset and a set-up a frame goes out and one comes in.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dev/e1000_internal.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMORY = 1 << 18, TX_RING = 0x1000, RX_RING = 0x3000, RING = 64, MORE = 1500, OWN = 0xFEB80000 };

struct world {
	struct e1000 e;
	uint8_t memory[MEMORY];
	struct fuzz_input in;
	ns_t now;
	bool level, no_room;
	unsigned sent;
	size_t last_len;
};

static uint8_t next(struct world *w) { return fuzz_next(&w->in); }
static uint32_t next32(struct world *w) { return fuzz_next32(&w->in); }

/* --- what is around the card --- */

static void set_irq(void *arg, bool level)
{
	struct world *w = arg;

	assert(level != w->level);
	w->level = level;
}

/* Its own registers lie in memory's space, too. */
static void mem_read(void *arg, gpa_t gpa, void *buf, size_t len)
{
	struct world *w = arg;
	uint32_t val;

	memset(buf, 0xFF, len);
	if (gpa < MEMORY) {
		memcpy(buf, w->memory + gpa, MIN(len, MEMORY - gpa));
	} else if (gpa >= OWN && gpa - OWN < E1000_BYTES) {
		val = e1000_read(&w->e, (uint32_t)(gpa - OWN), 4, w->now);
		memcpy(buf, &val, MIN(len, 4u));
	}
}

static void mem_write(void *arg, gpa_t gpa, const void *buf, size_t len)
{
	struct world *w = arg;

	if (gpa < MEMORY)
		memcpy(w->memory + gpa, buf, MIN(len, MEMORY - gpa));
	else if (gpa >= OWN && gpa - OWN < E1000_BYTES)
		e1000_write(&w->e, (uint32_t)(gpa - OWN) & ~3u, 4, 0xFFFFFFFF, w->now);
}

static bool send(void *arg, const uint8_t *frame, size_t len)
{
	struct world *w = arg;
	volatile uint8_t sum = 0;

	assert(len >= 14 && len <= E1000_FRAME_MAX + 4);
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + frame[i]);
	w->sent += !w->no_room;
	w->last_len = len;
	return !w->no_room;
}

static void nothing(void *arg) { }

/* --- one step --- */

static void set(struct world *w, uint32_t reg, uint32_t val)
{
	unsigned before = w->sent;

	e1000_write(&w->e, reg, 4, val, w->now);
	assert(w->sent - before <= 64);
	if (w->level)
		assert(e1000_get(&w->e, ICR) & e1000_get(&w->e, IMS));
	else if (e1000_get(&w->e, ICR) & e1000_get(&w->e, IMS))
		assert(e1000_next(&w->e) != E1000_NEVER);		/* throttled, and to come */
}

static void start(struct world *w)
{
	static const struct { uint32_t reg, val; } writes[] = { { CTRL, CTRL_SLU }, { RDBAL, RX_RING }, { RDBAH, 0 }, { RDLEN, RING * 16 },
	    { TDBAL, TX_RING }, { TDBAH, 0 }, { TDLEN, RING * 16 }, { RDH, 0 }, { TDH, 0 }, { TDT, 0 }, { RCTL, RCTL_EN | RCTL_BAM },
	    { TCTL, TCTL_EN | TCTL_PSP }, { IMS, 0x9D }, { RXCSUM, 0x300 } };

	e1000_set_cable(&w->e, true, w->now);
	e1000_set_master(&w->e, true, w->now);
	for (unsigned i = 0; i < ARRAY_LEN(writes); i++)
		set(w, writes[i].reg, writes[i].val);
	for (unsigned i = 0; i < RING; i++) {
		uint32_t at = 0x10000 + i * 0x800;
		memcpy(w->memory + RX_RING + 16 * i, &at, 4);
	}
	set(w, RDT, RING - 1);
}

static void descriptor(struct world *w)
{
	uint8_t *d = w->memory + TX_RING + 16 * (next(w) % RING), kind = next(w);
	uint32_t v[4];

	for (unsigned i = 0; i < 4; i++)
		v[i] = next32(w);
	switch (kind & 7) {
	case 0: case 1:			/* a segmentation's context, whose header is in what is sent */
		v[0] = 14 | 24 << 8 | (v[0] & 63) << 16;
		v[1] = 34 | 50 << 8;
		v[2] = (v[2] & 0xFFFF) | 0x20000000u | (v[2] & 0x0F000000);
		v[3] = (54 + (kind >> 6)) << 8 | (v[3] & (kind & 8 ? 0xFFFF : 0x3FF)) << 16;
		break;
	case 2 ... 5:
		v[0] &= MEMORY - 1;
		v[1] = 0;
		v[2] = (v[2] & (kind & 8 ? 0xFFFFF : 0xFFF)) | 0x20100000u | (v[2] & 0xCD000000) | (kind & 16 ? 0x04000000 : 0);
		break;
	case 6:
		v[0] = kind & 8 ? OWN + (v[0] & 0x1FFFC) : v[0] & (MEMORY - 1);
		v[1] = 0;
		v[2] &= ~0x20000000u;
		break;
	default:
		break;
	}
	memcpy(d, v, 16);
}

static void one(struct world *w)
{
	static const uint16_t regs[] = { CTRL, EECD, EERD, CTRL_EXT, MDIC, VET, ICR, ITR, ICS, IMS, IMC, RCTL, TCTL, RDBAL, RDLEN, RDH, RDT, RDTR, RADV,
	    TDBAL, TDLEN, TDH, TDT, TIDV, TXDCTL, TADV, RXCSUM, MTA, RAL0, RAH0, VFTA, MPC };
	static uint8_t frame[E1000_FRAME_MAX + 16];
	uint8_t what = next(w);
	unsigned reg = regs[next(w) % ARRAY_LEN(regs)], before = w->sent;
	size_t len;

	switch (what & 15) {
	case 0: case 1:
		set(w, reg, next32(w) >> (what >> 4));
		break;
	case 2:
		set(w, next32(w) & (E1000_BYTES - 4), next32(w));
		break;
	case 3:
		e1000_read(&w->e, what & 16 ? reg : next32(w), what & 32 ? 4 : 1, w->now);
		break;
	case 4 ... 7:
		descriptor(w);
		break;
	case 8: case 9:
		set(w, TDT, next(w) % RING);
		break;
	case 10: case 11:
		len = what & 16 ? next32(w) % sizeof(frame) : next(w) + 14u;
		for (unsigned i = 0; i < 50; i++)
			frame[i] = next(w);
		memset(frame, 0xFF, what & 32 ? 6 : 0);
		if (what & 64)
			memcpy(frame + 12, (uint8_t[]){ 8, 0, 0x45 }, 3);
		e1000_receive(&w->e, frame, len, w->now);
		break;
	case 12:
		w->no_room = what & 16;
		e1000_room(&w->e, w->now);
		break;
	case 13:
		w->now += next32(w) >> (what >> 4);
		e1000_update(&w->e, w->now);
		break;
	case 14:
		if (what & 16)
			e1000_io_write(&w->e, next(w) & 7, 4, next32(w), w->now);
		else if (what & 32)
			e1000_set_cable(&w->e, what & 64, w->now);
		else
			e1000_set_master(&w->e, what & 64, w->now);
		break;
	default:
		if (what >> 4 == 0)
			e1000_reset(&w->e);
		start(w);
	}
	assert((what & 15) == 15 || w->sent - before <= 64);	/* a set-up writes several registers */
}

static void works_after_reset(struct world *w)
{
	uint32_t d[4] = { 0x8000, 0, 0x09000000 | 100, 0 };
	uint8_t frame[64] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };

	e1000_reset(&w->e);
	w->no_room = false;
	start(w);
	memcpy(w->memory + TX_RING, d, sizeof(d));
	w->last_len = 0;
	set(w, TDT, 1);
	assert(w->last_len == 100 && (w->memory[TX_RING + 12] & 1));
	memset(w->memory + RX_RING + 8, 0, 8);
	assert(e1000_receive(&w->e, frame, sizeof(frame), w->now) && (w->memory[RX_RING + 12] & 3) == 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *w = calloc(1, sizeof(*w));
	struct e1000_host host = { w, set_irq, mem_read, mem_write, send, nothing, nothing };

	assert(w != NULL);
	w->in = fuzz_input(data, size, MORE);
	w->now = 1;
	e1000_init(&w->e, (const uint8_t[]){ 0x52, 0x54, 0, 0x12, 0x34, 0x56 }, &host);
	start(w);
	while (fuzz_input_left(&w->in))
		one(w);
	works_after_reset(w);
	free(w);
	return 0;
}
