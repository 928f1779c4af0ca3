/*
 * The network card's way out: descriptors become frames.
 *			[8254x SDM "Transmit Descriptor Ring Structure", "TCP Segmentation", "Checksum Offloading"]
 *
 * A visit sends at most TX_FRAMES frames and reads at most TX_DESCRIPTORS descriptors, then lets the guest run on: neither a
 * ring that is refilled for ever nor a packet cut into very many segments holds it up.
 * Left out: preloading and its thresholds (descriptors are read one by one), collisions, which full duplex has none of.
 */
#include <string.h>

#include "dev/e1000_internal.h"

#define TX_FRAMES	64u
#define TX_DESCRIPTORS	256u
#define TX_PAUSE_NS	20000u
#define DELAY_UNIT_NS	1024u

enum {					/* a descriptor's command */
	CMD_EOP = BIT(0), CMD_IC = BIT(2) /* legacy */, CMD_TSE = BIT(2), CMD_RS = BIT(3), CMD_DEXT = BIT(5), CMD_VLE = BIT(6), CMD_IDE = BIT(7),
};
enum { TUCMD_TCP = BIT(0), TUCMD_IP4 = BIT(1) };
enum { POPTS_IXSM = BIT(0), POPTS_TXSM = BIT(1) };
enum { PLAIN, SEGMENTED };
#define STATUS_BYTE	12		/* of a descriptor; bit 0 is DD */

void e1000_tx_reset(struct e1000 *e)
{
	struct e1000_tx *tx = &e->tx;

	memset(tx->context, 0, sizeof(tx->context));
	tx->loaded = tx->begun = tx->ready = tx->last = false;
	tx->len = 0;
}

/* --- checksums --- */

uint32_t e1000_sum(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;

	for (; len >= 4; p += 4, len -= 4)
		sum += (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	if (len >= 2) {
		sum += e1000_be16(p);
		p += 2;
		len -= 2;
	}
	if (len > 0)
		sum += (uint32_t)p[0] << 8;
	sum = (sum & 0xFFFFFFFF) + (sum >> 32);
	return (uint32_t)((sum & 0xFFFF) + (sum >> 16 & 0xFFFF) + (sum >> 32));
}

/* The sum from start to end (0: of the frame) goes to offset, where what software left there has been counted in. */
static void put_checksum(struct e1000_tx *tx, unsigned start, unsigned offset, unsigned end)
{
	unsigned stop = end == 0 || end >= tx->len ? tx->len : end + 1;

	if (start >= stop || offset + 2 > tx->len)
		return;
	e1000_put_be16(tx->frame + offset, (uint16_t)~e1000_fold(e1000_sum(tx->frame + start, stop - start)));
}

/* --- one frame of a packet --- */

static void put16(struct e1000_tx *tx, unsigned at, uint32_t val)
{
	if (at + 2 <= tx->len)
		e1000_put_be16(tx->frame + at, val);
}

static uint32_t get16(const struct e1000_tx *tx, unsigned at)
{
	return at + 2 <= tx->len ? e1000_be16(tx->frame + at) : 0;
}

/* The headers of a segment are the packet's, with lengths, numbers and flags of its own. */
static void fix_headers(struct e1000_tx *tx, bool last)
{
	const struct e1000_context *c = &tx->context[SEGMENTED];
	unsigned ip = c->ip_start, tcp = c->tcp_start;

	if (c->command & TUCMD_IP4) {
		put16(tx, ip + 2, tx->len - ip);
		put16(tx, ip + 4, get16(tx, ip + 4) + tx->segments);
	} else {
		put16(tx, ip + 4, tx->len - ip - 40);
	}
	if (c->command & TUCMD_TCP) {
		uint32_t seq = (get16(tx, tcp + 4) << 16 | get16(tx, tcp + 6)) + tx->sent;

		put16(tx, tcp + 4, seq >> 16);
		put16(tx, tcp + 6, seq);
		if (!last && tcp + 14u <= tx->len)
			tx->frame[tcp + 13] &= (uint8_t)~0x09;		/* FIN and PSH are the last one's */
	} else {
		put16(tx, tcp + 4, tx->len - tcp);
	}
	/* Software has summed up the pseudo header without the length. */
	put16(tx, c->tcp_offset, e1000_fold(get16(tx, c->tcp_offset) + tx->len - tcp));
}

static void finish_frame(struct e1000 *e, bool last)
{
	struct e1000_tx *tx = &e->tx;
	const struct e1000_context *c = &tx->context[tx->segmented ? SEGMENTED : PLAIN];

	if (tx->segmented)
		fix_headers(tx, last);
	if (tx->legacy && (tx->packet_command & CMD_IC))
		put_checksum(tx, tx->sum_start, tx->sum_offset, 0);
	if (!tx->legacy && (tx->packet_options & POPTS_IXSM))
		put_checksum(tx, c->ip_start, c->ip_offset, c->ip_end);
	if (!tx->legacy && (tx->packet_options & POPTS_TXSM))
		put_checksum(tx, c->tcp_start, c->tcp_offset, c->tcp_end);
	if ((tx->packet_command & CMD_VLE) && (e1000_get(e, CTRL) & CTRL_VME) && tx->len >= 14) {
		memmove(tx->frame + 16, tx->frame + 12, tx->len - 12);
		e1000_put_be16(tx->frame + 12, e1000_get(e, VET));
		e1000_put_be16(tx->frame + 14, tx->special);
		tx->len += 4;
	}
	if (tx->len < 60 && (e1000_get(e, TCTL) & TCTL_PSP)) {
		memset(tx->frame + tx->len, 0, 60 - tx->len);
		tx->len = 60;
	}
	tx->ready = true;
}

/* false: there is no room outside. */
static bool send_frame(struct e1000 *e, ns_t now)
{
	struct e1000_tx *tx = &e->tx;

	if (!tx->drop && tx->len >= 14) {
		if (e1000_loopback(e)) {
			if (!e1000_receive(e, tx->frame, tx->len, now))
				e1000_missed(e, 1);
		} else if (e1000_link(e) && !e->host.send(e->host.arg, tx->frame, tx->len)) {
			return false;
		}
		e1000_count_frame(e, tx->frame, tx->len, true);
	}
	tx->ready = false;
	if (tx->segmented && !tx->drop) {
		const struct e1000_context *c = &tx->context[SEGMENTED];

		tx->segments++;
		tx->sent += c->mss;
		memcpy(tx->frame, tx->header, c->header_len);
		tx->len = c->header_len;
	} else {
		tx->len = 0;
	}
	return true;
}

/* --- descriptors --- */

static void read_context(struct e1000_tx *tx, const uint32_t d[4])
{
	tx->context[d[2] >> 24 & CMD_TSE ? SEGMENTED : PLAIN] = (struct e1000_context){
		.ip_start = (uint8_t)d[0], .ip_offset = (uint8_t)(d[0] >> 8), .ip_end = (uint16_t)(d[0] >> 16),
		.tcp_start = (uint8_t)d[1], .tcp_offset = (uint8_t)(d[1] >> 8), .tcp_end = (uint16_t)(d[1] >> 16),
		.payload_len = d[2] & 0xFFFFF, .command = (uint8_t)(d[2] >> 24),
		.header_len = (uint8_t)(d[3] >> 8), .mss = (uint16_t)(d[3] >> 16) };
}

static void begin_packet(struct e1000_tx *tx, bool legacy)
{
	const struct e1000_context *c = &tx->context[SEGMENTED];

	tx->begun = true;
	tx->legacy = legacy;
	tx->packet_command = tx->command;
	tx->packet_options = tx->options;
	tx->segmented = !legacy && (tx->command & CMD_TSE);
	/* Segments without a header or data, or larger than a frame can be: nothing that could be sent. */
	tx->drop = tx->segmented && (c->mss == 0 || c->header_len < 14 || (unsigned)c->header_len + c->mss > E1000_FRAME_MAX);
	tx->segments = tx->sent = tx->len = 0;
}

/* Read the descriptor at TDH. */
static void load(struct e1000 *e)
{
	struct e1000_tx *tx = &e->tx;
	uint32_t d[4];

	e1000_dma_read(e, e1000_ring_at(e, RING_TX), d, sizeof(d));
	tx->loaded = true;
	tx->command = (uint8_t)(d[2] >> 24);
	tx->status = (uint8_t)d[3];
	tx->at = (uint64_t)d[1] << 32 | d[0];
	if ((tx->command & CMD_DEXT) && (d[2] >> 20 & 15) == 0) {
		read_context(tx, d);
		tx->left = 0;
		tx->command &= (uint8_t)~CMD_EOP;	/* the bit means TCP there */
		tx->drop = true;			/* in the midst of a packet it is out of place */
		return;
	}
	bool legacy = !(tx->command & CMD_DEXT);
	tx->left = d[2] & (legacy ? 0xFFFF : 0xFFFFF);
	tx->options = (uint8_t)(d[3] >> 8);
	if (!tx->begun)
		begin_packet(tx, legacy);
	tx->special = (uint16_t)(d[3] >> 16);
	if (tx->command & CMD_EOP) {
		tx->sum_offset = (uint8_t)(d[2] >> 16);
		tx->sum_start = (uint8_t)(d[3] >> 8);
		if (tx->legacy)
			tx->packet_command = tx->command;	/* IC and VLE count in the last one */
	}
}

/* The interrupt for a descriptor that is done: now, or together with others. */
static void tx_interrupt(struct e1000 *e, bool may_wait, ns_t now)
{
	ns_t delay = (ns_t)e1000_get(e, TIDV) * DELAY_UNIT_NS, most = (ns_t)e1000_get(e, TADV) * DELAY_UNIT_NS;

	if (!may_wait || delay == 0) {
		e1000_interrupt(e, INT_TXDW, now);
		return;
	}
	if (most != 0 && e->tx_irq_at == E1000_NEVER)
		e1000_schedule(e, &e->tx_irq_latest, now + most);
	e1000_schedule(e, &e->tx_irq_at, now + delay);
}

static void retire(struct e1000 *e, ns_t now)
{
	struct e1000_tx *tx = &e->tx;
	uint8_t status = tx->status | 1;
	uint32_t low = (e1000_get(e, TXDCTL) >> 25) * 8;

	if (tx->command & CMD_RS)
		e1000_dma_write(e, e1000_ring_at(e, RING_TX) + STATUS_BYTE, &status, 1);
	tx->loaded = false;
	e1000_ring_step(e, RING_TX);
	if (tx->command & CMD_RS)
		tx_interrupt(e, tx->command & CMD_IDE, now);
	if (low != 0 && e1000_ring_filled(e, RING_TX) == low)
		e1000_interrupt(e, INT_TXD_LOW, now);
}

/* As much of the descriptor's data as goes into this frame. */
static void gather(struct e1000 *e)
{
	struct e1000_tx *tx = &e->tx;
	const struct e1000_context *c = &tx->context[SEGMENTED];
	bool header = tx->segmented && tx->segments == 0 && tx->len < c->header_len;
	uint32_t room = header ? c->header_len - tx->len : (tx->segmented ? (uint32_t)c->header_len + c->mss : E1000_FRAME_MAX) - tx->len;
	uint32_t n = MIN(tx->left, room);

	if (tx->drop || (!tx->segmented && n < tx->left)) {	/* it is too long: none of it is sent */
		tx->drop = true;
		n = tx->left;
	} else if (n > 0) {
		e1000_dma_read(e, tx->at, tx->frame + tx->len, n);
		tx->len += n;
	}
	tx->at += n;
	tx->left -= n;
	if (header && tx->len == c->header_len)
		memcpy(tx->header, tx->frame, c->header_len);
}

/* A step with the descriptor that was read. true: a frame is ready. */
static bool gather_frame(struct e1000 *e)
{
	struct e1000_tx *tx = &e->tx;
	const struct e1000_context *c = &tx->context[SEGMENTED];

	gather(e);
	bool end = tx->left == 0 && (tx->command & CMD_EOP);
	bool whole = tx->segmented && !tx->drop && tx->len == (uint32_t)c->header_len + c->mss;
	bool empty = tx->segmented && tx->segments > 0 && tx->len == c->header_len;

	tx->last = end;
	if ((!end && !whole) || tx->drop || (end && empty))
		return false;
	finish_frame(e, end || tx->sent + tx->len - c->header_len >= c->payload_len);
	return true;
}

/* TDH has come to TDT, or the visit has been long enough. */
static void leave(struct e1000 *e, ns_t now, bool more)
{
	if (more)
		e1000_schedule(e, &e->tx_more_at, now + TX_PAUSE_NS);
	else
		e1000_interrupt(e, INT_TXQE, now);
}

void e1000_tx_run(struct e1000 *e, ns_t now)
{
	struct e1000_tx *tx = &e->tx;
	unsigned frames = 0, descriptors = 0;
	bool did = false;

	while (e->master && (e1000_get(e, TCTL) & TCTL_EN)) {
		if (frames == TX_FRAMES || descriptors == TX_DESCRIPTORS) {
			leave(e, now, true);
			return;
		}
		if (tx->ready) {
			if (!send_frame(e, now))
				return;
			frames++;
			did = true;
		} else if (!tx->loaded) {
			if (e1000_ring_filled(e, RING_TX) == 0)
				break;
			load(e);
			descriptors++;
			did = true;
		} else if (tx->left > 0 || ((tx->command & CMD_EOP) && tx->begun && !tx->last)) {
			gather_frame(e);
		} else {
			if (tx->command & CMD_EOP)
				tx->begun = tx->last = false;
			retire(e, now);
		}
	}
	if (did)
		leave(e, now, false);
}

void e1000_room(struct e1000 *e, ns_t now)
{
	e1000_tx_run(e, now);
}
