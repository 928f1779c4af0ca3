/*
 * The network card's way in: filters, and frames into descriptors.
 *		[8254x SDM "Packet Address Filtering", "Receive Data Storage", "Receive Packet Checksum Offloading"]
 *
 * Left out: storing of bad frames, which no wire brings; the split of headers.
 */
#include <string.h>
#include <zlib.h>

#include "dev/e1000_internal.h"

#define DELAY_UNIT_NS	1024u
#define FCS_BYTES	4u
#define FRAME_MIN	60u		/* without check sequence */
#define FRAME_USUAL	1518u		/* longer ones only with RCTL.LPE; a VLAN's tag is let through */
#define RECEIVE_ADDRESSES 16u

enum { RX_DD = BIT(0), RX_EOP = BIT(1), RX_IXSM = BIT(2), RX_VP = BIT(3), RX_TCPCS = BIT(5), RX_IPCS = BIT(6), RX_PIF = BIT(7) };
enum { RX_ERROR_TCPE = BIT(5), RX_ERROR_IPE = BIT(6) };

struct rx_descriptor {
	uint64_t at;
	uint16_t length, checksum;
	uint8_t status, errors;
	uint16_t special;
};
_Static_assert(sizeof(struct rx_descriptor) == DESCRIPTOR_BYTES, "as the card writes it");

/* --- filters --- */

static bool matches_address(const struct e1000 *e, const uint8_t *frame)
{
	uint32_t low = frame[0] | (uint32_t)frame[1] << 8 | (uint32_t)frame[2] << 16 | (uint32_t)frame[3] << 24;
	uint32_t high = frame[4] | (uint32_t)frame[5] << 8 | RAH_AV;

	for (unsigned i = 0; i < RECEIVE_ADDRESSES; i++)
		/* AS, bits 17:16, other than 0 asks for the source's address; no driver of this chip does. */
		if (e1000_get(e, RAL0 + 8 * i) == low && e1000_get(e, RAH0 + 8 * i) == high)
			return true;
	return false;
}

/* Twelve of the address's last bits, from where RCTL.MO says, are the place in a table of 4096 bits. */
static bool matches_table(const struct e1000 *e, const uint8_t *frame)
{
	static const uint8_t shifts[4] = { 4, 3, 2, 0 };
	unsigned hash = (unsigned)(frame[4] | frame[5] << 8) >> shifts[e1000_get(e, RCTL) >> 12 & 3] & 0xFFF;

	return e1000_get(e, MTA + 4 * (hash >> 5)) >> (hash & 31) & 1;
}

static bool is_tagged(const struct e1000 *e, const uint8_t *frame, size_t len)
{
	return len >= 18 && e1000_be16(frame + 12) == e1000_get(e, VET);
}

/* false: nobody wants it. *status gets PIF if only a hash says that it might be for us. */
static bool is_wanted(const struct e1000 *e, const uint8_t *frame, size_t len, uint8_t *status)
{
	static const uint8_t broadcast[6] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };
	uint32_t rctl = e1000_get(e, RCTL);

	if (is_tagged(e, frame, len) && (rctl & RCTL_VFE)) {
		unsigned tag = e1000_be16(frame + 14), id = tag & 0xFFF;

		if (!(e1000_get(e, VFTA + 4 * (id >> 5)) >> (id & 31) & 1))
			return false;
		if ((rctl & RCTL_CFIEN) && !(tag & BIT(12)) != !(rctl & RCTL_CFI))
			return false;
	}
	if (matches_address(e, frame))
		return true;
	if (memcmp(frame, broadcast, 6) == 0)
		return rctl & (RCTL_BAM | RCTL_MPE);
	if (!(frame[0] & 1))
		return rctl & RCTL_UPE;
	if (rctl & RCTL_MPE)
		return true;
	if (!matches_table(e, frame))
		return false;
	*status |= RX_PIF;
	return true;
}

/* --- checksums --- */

/* What RXCSUM asks for, of an IPv4 packet without fragments and its TCP or UDP. */
static void check_sums(const struct e1000 *e, const uint8_t *frame, size_t len, struct rx_descriptor *d)
{
	uint32_t rxcsum = e1000_get(e, RXCSUM);
	size_t start = rxcsum & 0xFF;

	d->checksum = start < len ? (uint16_t)~e1000_fold(e1000_sum(frame + start, len - start)) : 0xFFFF;
	d->status |= RX_IXSM;
	size_t ip = e1000_be16(frame + 12) == e1000_get(e, VET) ? 18 : 14;
	if (!(rxcsum & (RXCSUM_IPOFL | RXCSUM_TUOFL)) || len < ip + 20 || e1000_be16(frame + ip - 2) != 0x0800 || frame[ip] >> 4 != 4)
		return;
	size_t head = (frame[ip] & 15) * 4u, total = e1000_be16(frame + ip + 2);
	if (head < 20 || total < head || ip + total > len)
		return;
	d->status &= (uint8_t)~RX_IXSM;
	if (rxcsum & RXCSUM_IPOFL) {
		d->status |= RX_IPCS;
		if (e1000_fold(e1000_sum(frame + ip, head)) != 0xFFFF)
			d->errors |= RX_ERROR_IPE;
	}
	unsigned protocol = frame[ip + 9];
	const uint8_t *segment = frame + ip + head;
	size_t bytes = total - head;
	if (!(rxcsum & RXCSUM_TUOFL) || (e1000_be16(frame + ip + 6) & 0x3FFF) != 0 || !((protocol == 6 && bytes >= 20) || (protocol == 17 && bytes >= 8)))
		return;
	if (protocol == 17 && e1000_be16(segment + 6) == 0)	/* it has none */
		return;
	d->status |= RX_TCPCS;
	uint32_t sum = e1000_fold(e1000_sum(segment, bytes)) + e1000_fold(e1000_sum(frame + ip + 12, 8)) + protocol + (uint32_t)bytes;
	if (e1000_fold(sum) != 0xFFFF)
		d->errors |= RX_ERROR_TCPE;
}

/* --- into memory --- */

static uint32_t buffer_bytes(const struct e1000 *e)
{
	uint32_t rctl = e1000_get(e, RCTL), size = 2048u >> (rctl >> 16 & 3);

	return rctl & RCTL_BSEX ? (size == 2048 ? 2048 : size * 16) : size;
}

void e1000_rx_tail(struct e1000 *e)
{
	if (e->rx_refused && e->host.receiver_ready) {
		e->rx_refused = false;
		e->host.receiver_ready(e->host.arg);
	}
}

/* The interrupt for a frame: now, or together with others'.	[8254x SDM "Receive Interrupts"] */
static void rx_interrupt(struct e1000 *e, uint32_t before, ns_t now)
{
	ns_t delay = (ns_t)e1000_get(e, RDTR) * DELAY_UNIT_NS, most = (ns_t)e1000_get(e, RADV) * DELAY_UNIT_NS;
	uint32_t left = e1000_ring_filled(e, RING_RX), low = e1000_ring_size(e, RING_RX) >> (1 + (e1000_get(e, RCTL) >> 8 & 3));
	uint32_t causes = before > low && left <= low ? INT_RXDMT0 : 0;

	if (delay == 0) {
		e1000_interrupt(e, causes | INT_RXT0, now);
		return;
	}
	if (most != 0 && e->rx_irq_at == E1000_NEVER)
		e1000_schedule(e, &e->rx_irq_latest, now + most);
	e1000_schedule(e, &e->rx_irq_at, now + delay);
	if (causes)
		e1000_interrupt(e, causes, now);
}

/* The frame, and its check sequence if that is to be there, into as many buffers as it takes. */
static void store(struct e1000 *e, const uint8_t *frame, size_t len, const uint8_t fcs[FCS_BYTES], const struct rx_descriptor *like)
{
	size_t total = len + (e1000_get(e, RCTL) & RCTL_SECRC ? 0 : FCS_BYTES), room = buffer_bytes(e);

	for (size_t at = 0; at < total; at += room) {
		struct rx_descriptor d, out = *like;
		size_t n = MIN(room, total - at), of_frame = at < len ? MIN(n, len - at) : 0;

		e1000_dma_read(e, e1000_ring_at(e, RING_RX), &d, sizeof(d));
		if (d.at != 0 && of_frame > 0)		/* 0: a descriptor that only fills the ring */
			e1000_dma_write(e, d.at, frame + at, of_frame);
		if (d.at != 0 && n > of_frame)
			e1000_dma_write(e, d.at + of_frame, fcs + (at + of_frame - len), n - of_frame);
		out.at = d.at;
		out.length = (uint16_t)n;
		out.status = at + n == total ? like->status | RX_DD | RX_EOP : RX_DD;
		/* The status last: a guest that looks may take it from then on. */
		e1000_dma_write(e, e1000_ring_at(e, RING_RX), &out, sizeof(out));
		e1000_ring_step(e, RING_RX);
	}
}

static void take(struct e1000 *e, const uint8_t *frame, size_t len, struct rx_descriptor *d, ns_t now)
{
	uint8_t untagged[E1000_FRAME_MAX + 4], fcs[FCS_BYTES] = { 0 };
	uint32_t before = e1000_ring_filled(e, RING_RX);

	check_sums(e, frame, len, d);
	if (!(e1000_get(e, RCTL) & RCTL_SECRC)) {
		uint32_t crc = (uint32_t)crc32(0, frame, (unsigned)len);

		memcpy(fcs, &crc, FCS_BYTES);		/* its lowest byte goes first */
	}
	if (is_tagged(e, frame, len) && (e1000_get(e, CTRL) & CTRL_VME)) {
		d->special = e1000_be16(frame + 14);
		d->status |= RX_VP;
		memcpy(untagged, frame, 12);
		memcpy(untagged + 12, frame + 16, len - 16);
		frame = untagged;
		len -= 4;
	}
	store(e, frame, len, fcs, d);
	rx_interrupt(e, before, now);
}

bool e1000_receive(struct e1000 *e, const uint8_t *frame, size_t len, ns_t now)
{
	struct rx_descriptor d = { 0 };
	uint8_t padded[FRAME_MIN];

	if (!(e1000_get(e, RCTL) & RCTL_EN) || !(e1000_link(e) || e1000_loopback(e)) || len < 14 || len > E1000_FRAME_MAX + 4)
		return true;
	if (len < FRAME_MIN) {
		memcpy(padded, frame, len);
		memset(padded + len, 0, FRAME_MIN - len);
		frame = padded;
		len = FRAME_MIN;
	}
	size_t most = FRAME_USUAL - FCS_BYTES + (is_tagged(e, frame, len) ? 4 : 0);
	if (len > most && !(e1000_get(e, RCTL) & RCTL_LPE)) {
		e1000_count(e, ROC, 1);
		return true;
	}
	if (!is_wanted(e, frame, len, &d.status))
		return true;
	uint32_t needed = (uint32_t)((len + FCS_BYTES + buffer_bytes(e) - 1) / buffer_bytes(e));
	if (!e->master || e1000_ring_filled(e, RING_RX) < needed) {
		if (!e->rx_refused)
			e1000_interrupt(e, INT_RXO, now);
		e->rx_refused = true;
		return false;
	}
	e1000_count_frame(e, frame, len, false);
	take(e, frame, len, &d, now);
	return true;
}
