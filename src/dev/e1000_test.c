#include <stdlib.h>
#include <string.h>

#include "dev/e1000_internal.h"
#include "tests/test.h"

enum { MEMORY = 1 << 20, TX_RING = 0x1000, RX_RING = 0x2000, BUFFERS = 0x10000, RING = 32, SENT = 512 };

static struct rig {
	struct e1000 e;
	uint8_t memory[MEMORY];
	uint8_t *sent[SENT];
	size_t sent_len[SENT];
	unsigned nsent, room, ready, raised;
	bool level;
} *rig;

static const uint8_t mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };

static void on_irq(void *arg, bool level)
{
	rig->raised += level;
	rig->level = level;
}

/* The card's own registers lie at F0000000h: a guest can point it there. */
static void on_read(void *arg, gpa_t gpa, void *buf, size_t len)
{
	if (gpa >= 0xF0000000u && gpa < 0xF0000000u + E1000_BYTES) {
		uint32_t val = e1000_read(&rig->e, (uint32_t)(gpa - 0xF0000000u), 4, 0);
		memcpy(buf, &val, MIN(len, 4u));
		return;
	}
	memset(buf, 0xFF, len);
	if (gpa < MEMORY)
		memcpy(buf, rig->memory + gpa, MIN(len, MEMORY - gpa));
}

static void on_write(void *arg, gpa_t gpa, const void *buf, size_t len)
{
	uint32_t val = 0;

	if (gpa >= 0xF0000000u && gpa < 0xF0000000u + E1000_BYTES) {
		memcpy(&val, buf, MIN(len, 4u));
		e1000_write(&rig->e, (uint32_t)(gpa - 0xF0000000u) & ~3u, 4, val, 0);
	} else if (gpa < MEMORY) {
		memcpy(rig->memory + gpa, buf, MIN(len, MEMORY - gpa));
	}
}

static bool on_send(void *arg, const uint8_t *frame, size_t len)
{
	if (rig->room == 0)
		return false;
	rig->room--;
	assert_true(rig->nsent < SENT);
	rig->sent[rig->nsent] = malloc(len);
	memcpy(rig->sent[rig->nsent], frame, len);
	rig->sent_len[rig->nsent++] = len;
	return true;
}

static void on_ready(void *arg) { rig->ready++; }

static uint32_t get(uint32_t reg) { return e1000_read(&rig->e, reg, 4, 0); }
static void set(uint32_t reg, uint32_t val) { e1000_write(&rig->e, reg, 4, val, 0); }

static void forget(void)
{
	for (unsigned i = 0; i < rig->nsent; i++)
		free(rig->sent[i]);
	rig->nsent = 0;
}

static void free_rig(void)
{
	forget();
	free(rig);
	rig = NULL;
}

static void power_on(void)
{
	struct e1000_host host = { NULL, on_irq, on_read, on_write, on_send, on_ready, NULL };

	if (rig)
		free_rig();
	rig = calloc(1, sizeof(*rig));
	rig->room = SENT;
	e1000_init(&rig->e, mac, &host);
	e1000_set_cable(&rig->e, true, 0);
}

/* As a driver leaves it: link, rings, both ways on. */
static void setup(void)
{
	power_on();
	e1000_set_master(&rig->e, true, 0);
	set(CTRL, get(CTRL) | CTRL_SLU);
	set(TDBAL, TX_RING);
	set(TDLEN, RING * 16);
	set(RDBAL, RX_RING);
	set(RDLEN, RING * 16);
	set(TCTL, TCTL_EN | TCTL_PSP);
	set(RCTL, RCTL_EN | RCTL_BAM);
	for (unsigned i = 0; i < RING; i++) {
		uint64_t at = BUFFERS + i * 2048;
		memcpy(rig->memory + RX_RING + 16 * i, &at, 8);
	}
	set(RDT, RING - 1);
	get(ICR);
}

static void put(unsigned ring, unsigned n, uint64_t at, uint32_t d2, uint32_t d3)
{
	uint32_t d[4] = { (uint32_t)at, (uint32_t)(at >> 32), d2, d3 };

	memcpy(rig->memory + ring + 16 * n, d, 16);
}

static uint8_t status_of(unsigned ring, unsigned n) { return rig->memory[ring + 16 * n + 12]; }

enum { DATA = 0x80000, LEGACY_EOP_RS = 0x09000000, DATA_RS = 0x28100000 };

static void make_frame(uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7);
	memset(p, 0xFF, 6);
	memcpy(p + 6, mac, 6);
	e1000_put_be16(p + 12, 0x88B5);
}

/* Ethernet, IPv4 and TCP headers before len bytes of data, checksums as software leaves them for the card to do. */
static void make_tcp(uint8_t *p, size_t len, bool pseudo_has_length)
{
	make_frame(p, 54 + len);
	memset(p + 14, 0, 40);
	e1000_put_be16(p + 12, 0x0800);
	p[14] = 0x45;
	e1000_put_be16(p + 16, (uint32_t)(40 + len));
	e1000_put_be16(p + 18, 0x1FFF);		/* identification */
	p[22] = 64;
	p[23] = 6;
	memcpy(p + 26, (uint8_t[]){ 10, 0, 2, 15, 10, 0, 2, 2 }, 8);
	e1000_put_be16(p + 34, 1234);
	e1000_put_be16(p + 36, 80);
	memcpy(p + 38, (uint8_t[]){ 0xFF, 0xFF, 0xFF, 0x00 }, 4);	/* sequence number */
	p[46] = 0x50;
	p[47] = 0x19;				/* FIN, PSH, ACK */
	e1000_put_be16(p + 50, e1000_fold(e1000_sum(p + 26, 8) + 6 + (pseudo_has_length ? 20 + (uint32_t)len : 0)));
}

static bool sums_hold(const uint8_t *f, size_t len)
{
	size_t total = e1000_be16(f + 16);

	return total + 14 <= len && e1000_fold(e1000_sum(f + 14, 20)) == 0xFFFF &&
	    e1000_fold(e1000_fold(e1000_sum(f + 34, total - 20)) + e1000_fold(e1000_sum(f + 26, 8)) + 6 + (uint32_t)total - 20) == 0xFFFF;
}

static void put_context(unsigned n, bool tse, unsigned mss, unsigned payload)
{
	uint32_t command = 0x20 | 0x03 | (tse ? 0x04 : 0);	/* DEXT, IPv4 and TCP */

	/* IP from 14, its checksum at 24, to 33; TCP from 34, its checksum at 50, to the end */
	put(TX_RING, n, 14 | 24 << 8 | 33 << 16 | (uint64_t)(34 | 50 << 8) << 32, payload | command << 24, 54 << 8 | mss << 16);
}

TEST(e1000_eeprom_holds_the_address_and_adds_up_to_baba)	/* [8254x SDM "EEPROM Interface"] */
{
	uint16_t sum = 0;

	power_on();
	for (unsigned i = 0; i < 64; i++) {
		set(EERD, i << 8 | 1);
		CHECK(get(EERD) & 0x10);
		sum = (uint16_t)(sum + (get(EERD) >> 16));
	}
	CHECK_EQ(sum, 0xBABA);
	CHECK_EQ(get(RAL0), 0x12005452);
	CHECK_EQ(get(RAH0), 0x80005634);
	free_rig();
}

static unsigned clock_bit(bool bit)
{
	uint32_t val = 0x42 | (bit ? 4 : 0);		/* request, chip select, data */

	set(EECD, val);
	set(EECD, val | 1);
	unsigned out = get(EECD) >> 3 & 1;
	set(EECD, val);
	return out;
}

static unsigned serial(uint32_t command, unsigned bits, unsigned answer)
{
	unsigned val = 0;

	set(EECD, 0x40);
	CHECK(get(EECD) & 0x80);			/* granted */
	for (unsigned i = bits; i-- > 0; )
		clock_bit(command >> i & 1);
	for (unsigned i = 0; i < answer; i++)
		val = val << 1 | clock_bit(false);
	set(EECD, 0x40);
	return val;
}

TEST(e1000_eeprom_is_read_and_written_over_its_serial_line)	/* [93C46] */
{
	power_on();
	CHECK_EQ(serial(0x180, 9, 16), 0x5452);		/* READ 0 */
	CHECK_EQ(serial(0x182, 9, 16), 0x5634);
	serial(0x140u << 16 | 5 << 16 | 0xBEEF, 25, 0);	/* WRITE 5: not enabled */
	CHECK_EQ(serial(0x185, 9, 16), 0xFFFF);
	serial(0x130, 9, 0);				/* EWEN */
	serial(0x140u << 16 | 5 << 16 | 0xBEEF, 25, 0);
	CHECK_EQ(serial(0x185, 9, 16), 0xBEEF);
	free_rig();
}

TEST(e1000_phy_is_at_address_one_and_negotiates_a_gigabit)	/* [8254x SDM "MDI Control Register"] */
{
	power_on();
	set(MDIC, 2u << 26 | 1 << 21 | 2 << 16);
	CHECK_EQ(get(MDIC) & 0x7000FFFF, 0x10000141);
	set(MDIC, 2u << 26 | 1 << 21 | 1 << 16);
	CHECK_EQ(get(MDIC) & 0xFFFF, 0x796D);
	set(MDIC, 2u << 26 | 2 << 21 | 2 << 16);
	CHECK(get(MDIC) & BIT(30));
	e1000_set_cable(&rig->e, false, 0);
	set(MDIC, 2u << 26 | 1 << 21 | 1 << 16);
	CHECK_EQ(get(MDIC) & 0xFFFF, 0x7949);
	free_rig();
}

TEST(e1000_link_comes_with_slu_and_goes_with_the_cable_and_says_so)
{
	power_on();
	CHECK(!(get(STATUS) & STATUS_LU));
	set(IMS, INT_LSC);
	set(CTRL, get(CTRL) | CTRL_SLU);
	CHECK(get(STATUS) & STATUS_LU);
	CHECK(rig->level);
	CHECK_EQ(get(ICR), INT_LSC);
	CHECK(!rig->level);
	e1000_set_cable(&rig->e, false, 0);
	CHECK(!(get(STATUS) & STATUS_LU));
	CHECK_EQ(get(ICR), INT_LSC);
	e1000_set_cable(&rig->e, true, 0);
	set(MDIC, 1u << 26 | 1 << 21 | 0x800);		/* the PHY is put to sleep */
	CHECK(!e1000_link(&rig->e));
	free_rig();
}

TEST(e1000_mask_lets_causes_through_and_reading_them_clears)
{
	power_on();
	set(ICS, INT_TXDW | INT_RXO);
	CHECK(!rig->level);
	set(IMS, INT_RXO);
	CHECK(rig->level);
	set(IMC, INT_RXO);
	CHECK(!rig->level);
	CHECK_EQ(get(ICR), INT_TXDW | INT_RXO);
	CHECK_EQ(get(ICR), 0);
	free_rig();
}

TEST(e1000_throttle_keeps_interrupts_apart)	/* [8254x SDM "Interrupt Throttling Rate Register"] */
{
	power_on();
	set(ITR, 1000);					/* 256 us */
	set(IMS, INT_TXDW);
	e1000_write(&rig->e, ICS, 4, INT_TXDW, 1000);
	CHECK_EQ(rig->raised, 1);
	e1000_read(&rig->e, ICR, 4, 2000);
	e1000_write(&rig->e, ICS, 4, INT_TXDW, 3000);
	CHECK_EQ(rig->raised, 1);
	CHECK_EQ(e1000_next(&rig->e), 257000);
	e1000_update(&rig->e, 256999);
	CHECK_EQ(rig->raised, 1);
	e1000_update(&rig->e, 257000);
	CHECK_EQ(rig->raised, 2);
	CHECK_EQ(e1000_next(&rig->e), E1000_NEVER);
	free_rig();
}

TEST(e1000_legacy_descriptors_make_a_frame_and_are_marked_done)
{
	setup();
	make_frame(rig->memory + DATA, 100);
	put(TX_RING, 0, DATA, 40, 0);
	put(TX_RING, 1, DATA + 40, 60 | LEGACY_EOP_RS, 0);
	set(TDT, 2);
	CHECK_EQ(rig->nsent, 1);
	CHECK_EQ(rig->sent_len[0], 100);
	CHECK(memcmp(rig->sent[0], rig->memory + DATA, 100) == 0);
	CHECK_EQ(status_of(TX_RING, 0), 0);
	CHECK_EQ(status_of(TX_RING, 1), 1);
	CHECK_EQ(get(TDH), 2);
	CHECK_EQ(get(ICR), INT_TXDW | INT_TXQE);
	CHECK_EQ(get(GPTC), 1);
	CHECK_EQ(get(GPTC), 0);				/* reading clears */
	CHECK_EQ(get(GOTCL), 104);
	CHECK_EQ(get(BPTC), 1);
	put(TX_RING, 2, DATA, 20 | LEGACY_EOP_RS, 0);	/* short: padded */
	set(TDT, 3);
	CHECK_EQ(rig->sent_len[1], 60);
	free_rig();
}

TEST(e1000_nothing_is_sent_without_bus_master_or_transmitter)
{
	setup();
	make_frame(rig->memory + DATA, 64);
	put(TX_RING, 0, DATA, 64 | LEGACY_EOP_RS, 0);
	e1000_set_master(&rig->e, false, 0);
	set(TDT, 1);
	CHECK_EQ(rig->nsent, 0);
	set(TCTL, 0);
	e1000_set_master(&rig->e, true, 0);
	CHECK_EQ(rig->nsent, 0);
	set(TCTL, TCTL_EN);
	CHECK_EQ(rig->nsent, 1);
	free_rig();
}

TEST(e1000_without_room_outside_a_frame_waits)
{
	setup();
	make_frame(rig->memory + DATA, 64);
	for (unsigned i = 0; i < 3; i++)
		put(TX_RING, i, DATA, 64 | LEGACY_EOP_RS, 0);
	rig->room = 1;
	set(TDT, 3);
	CHECK_EQ(rig->nsent, 1);
	CHECK_EQ(status_of(TX_RING, 1), 0);
	rig->room = 5;
	e1000_room(&rig->e, 0);
	CHECK_EQ(rig->nsent, 3);
	CHECK_EQ(status_of(TX_RING, 2), 1);
	free_rig();
}

TEST(e1000_puts_in_the_checksums_of_ip_and_tcp)
{
	setup();
	make_tcp(rig->memory + DATA, 301, true);
	put_context(0, false, 0, 0);
	put(TX_RING, 1, DATA, 355 | DATA_RS | 0x01000000, 3 << 8);
	set(TDT, 2);
	CHECK_EQ(rig->nsent, 1);
	CHECK_EQ(rig->sent_len[0], 355);
	CHECK(sums_hold(rig->sent[0], rig->sent_len[0]));
	free_rig();
}

TEST(e1000_cuts_tcp_into_segments)	/* [8254x SDM "TCP Segmentation"] */
{
	setup();
	make_tcp(rig->memory + DATA, 2500, false);
	put_context(0, true, 1000, 2500);
	put(TX_RING, 1, DATA, 30 | DATA_RS | 0x04000000, 3 << 8);		/* the header lies in two */
	put(TX_RING, 2, DATA + 30, 724 | DATA_RS | 0x04000000, 3 << 8);
	put(TX_RING, 3, DATA + 754, 1800 | DATA_RS | 0x05000000, 3 << 8);
	set(TDT, 4);
	CHECK_EQ(rig->nsent, 3);
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t *f = rig->sent[i];
		size_t payload = i < 2 ? 1000 : 500;

		CHECK_EQ(rig->sent_len[i], 54 + payload);
		CHECK(sums_hold(f, rig->sent_len[i]));
		CHECK_EQ(e1000_be16(f + 18), 0x1FFF + i);
		CHECK_EQ((uint32_t)e1000_be16(f + 38) << 16 | e1000_be16(f + 40), (uint32_t)(0xFFFFFF00u + 1000 * i));	/* it wraps */
		CHECK_EQ(f[47], i < 2 ? 0x10 : 0x19);
		CHECK(memcmp(f + 54, rig->memory + DATA + 54 + 1000 * i, payload) == 0);
	}
	free_rig();
}

TEST(e1000_segmentation_that_makes_no_sense_sends_nothing_and_goes_on)
{
	setup();
	make_tcp(rig->memory + DATA, 2500, false);
	put_context(0, true, 0, 2500);
	put(TX_RING, 1, DATA, 2554 | DATA_RS | 0x05000000, 3 << 8);
	put_context(2, true, 60000, 2500);
	put(TX_RING, 3, DATA, 2554 | DATA_RS | 0x05000000, 3 << 8);
	put_context(4, true, 1000, 2500);
	put(TX_RING, 5, DATA, 1100 | DATA_RS | 0x04000000, 3 << 8);
	put_context(6, true, 1, 2500);				/* in the midst of a packet, and smaller than what is there */
	put(TX_RING, 7, DATA, 100 | DATA_RS | 0x05000000, 3 << 8);
	make_frame(rig->memory + DATA + 0x4000, 64);
	put(TX_RING, 8, DATA + 0x4000, 64 | LEGACY_EOP_RS, 0);
	put(TX_RING, 9, DATA, 0xFFFFF | DATA_RS, 0);		/* a frame of a megabyte */
	put(TX_RING, 10, DATA, 100 | LEGACY_EOP_RS, 0);
	set(TDT, 11);
	CHECK_EQ(rig->nsent, 2);
	CHECK_EQ(rig->sent_len[0], 1054);			/* one segment of the third packet was whole */
	CHECK_EQ(rig->sent_len[1], 64);
	CHECK_EQ(get(TDH), 11);
	free_rig();
}

TEST(e1000_many_segments_are_sent_in_portions)
{
	setup();
	make_tcp(rig->memory + DATA, 400, false);
	put_context(0, true, 1, 400);
	put(TX_RING, 1, DATA, 454 | DATA_RS | 0x05000000, 3 << 8);
	set(TDT, 2);
	CHECK(rig->nsent < 100);
	CHECK_EQ(status_of(TX_RING, 1), 0);
	for (unsigned i = 0; i < 100 && e1000_next(&rig->e) != E1000_NEVER; i++)
		e1000_update(&rig->e, e1000_next(&rig->e));
	CHECK_EQ(rig->nsent, 400);
	CHECK_EQ(status_of(TX_RING, 1), 1);
	free_rig();
}

TEST(e1000_does_not_answer_its_own_accesses)
{
	setup();
	put(TX_RING, 0, 0xF0000000u + ICR, 64 | LEGACY_EOP_RS, 0);
	set(RDBAL, 0xF0000000u + TDT - 12);		/* a received frame's status would be a new tail */
	set(TDT, 1);
	uint8_t frame[64];
	make_frame(frame, 64);
	e1000_receive(&rig->e, frame, 64, 0);
	CHECK_EQ(get(TDT), 1);
	CHECK_EQ(get(TDH), 1);
	free_rig();
}

TEST(e1000_rings_with_heads_outside_are_empty)
{
	setup();
	make_frame(rig->memory + DATA, 64);
	set(TDH, 0xFFFF);
	set(TDT, 3);
	set(RDH, 0x8000);
	uint8_t frame[64];
	make_frame(frame, 64);
	CHECK(!e1000_receive(&rig->e, frame, 64, 0));
	set(TDH, 0);
	set(TDLEN, 0);
	set(TDT, 5);
	CHECK_EQ(rig->nsent, 0);
	free_rig();
}

TEST(e1000_received_frame_lies_in_its_buffer_with_its_check_sequence)
{
	uint8_t frame[100];

	setup();
	make_frame(frame, 100);
	CHECK(e1000_receive(&rig->e, frame, 100, 0));
	CHECK(memcmp(rig->memory + BUFFERS, frame, 100) == 0);
	CHECK_EQ(rig->memory[RX_RING + 8] | rig->memory[RX_RING + 9] << 8, 104);
	CHECK_EQ(status_of(RX_RING, 0), 0x07);		/* done, end, no checksums looked at */
	uint32_t crc = ~0u;				/* over frame and check sequence it is a constant [IEEE 802.3 "3.2.9"] */
	for (unsigned i = 0; i < 104; i++) {
		crc ^= rig->memory[BUFFERS + i];
		for (unsigned b = 0; b < 8; b++)
			crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
	}
	CHECK_EQ(crc, 0xDEBB20E3u);
	CHECK_EQ(get(ICR), INT_RXT0);
	CHECK_EQ(get(GPRC), 1);
	CHECK_EQ(get(RDH), 1);
	set(RCTL, get(RCTL) | RCTL_SECRC);
	make_frame(frame, 42);
	CHECK(e1000_receive(&rig->e, frame, 42, 0));	/* short: as a wire would bring it */
	CHECK_EQ(rig->memory[RX_RING + 16 + 8], 60);
	free_rig();
}

TEST(e1000_long_frame_takes_several_buffers)
{
	static uint8_t frame[5000];

	setup();
	make_frame(frame, sizeof(frame));
	CHECK(e1000_receive(&rig->e, frame, sizeof(frame), 0));
	CHECK_EQ(get(RDH), 0);				/* too long */
	CHECK_EQ(get(ROC), 1);
	set(RCTL, RCTL_EN | RCTL_BAM | RCTL_LPE | RCTL_SECRC);
	CHECK(e1000_receive(&rig->e, frame, sizeof(frame), 0));
	CHECK_EQ(get(RDH), 3);
	CHECK_EQ(status_of(RX_RING, 0), 1);
	CHECK_EQ(status_of(RX_RING, 2), 0x07);
	CHECK(memcmp(rig->memory + BUFFERS, frame, sizeof(frame)) == 0);
	free_rig();
}

TEST(e1000_filters_let_through_what_is_asked_for)	/* [8254x SDM "Packet Address Filtering"] */
{
	static const uint8_t other[6] = { 0x52, 0x54, 0, 0, 0, 1 }, group[6] = { 1, 0, 0x5E, 0, 0, 0xFB };
	uint8_t frame[64];

	setup();
	make_frame(frame, 64);
	memcpy(frame, mac, 6);
	e1000_receive(&rig->e, frame, 64, 0);
	CHECK_EQ(get(RDH), 1);
	memcpy(frame, other, 6);
	e1000_receive(&rig->e, frame, 64, 0);
	CHECK_EQ(get(RDH), 1);
	set(RCTL, RCTL_EN | RCTL_UPE);
	e1000_receive(&rig->e, frame, 64, 0);
	CHECK_EQ(get(RDH), 2);
	memset(frame, 0xFF, 6);				/* no BAM */
	e1000_receive(&rig->e, frame, 64, 0);
	CHECK_EQ(get(RDH), 2);
	memcpy(frame, group, 6);
	e1000_receive(&rig->e, frame, 64, 0);
	CHECK_EQ(get(RDH), 2);
	set(MTA + 4 * (0xFB0 >> 5), BIT(0xFB0 & 31));	/* bits 47:36 of the address */
	e1000_receive(&rig->e, frame, 64, 0);
	CHECK_EQ(get(RDH), 3);
	CHECK(status_of(RX_RING, 2) & 0x80);		/* a hash: software is to look */
	set(RCTL, RCTL_EN | RCTL_MPE);
	set(MTA + 4 * (0xFB0 >> 5), 0);
	e1000_receive(&rig->e, frame, 64, 0);
	CHECK_EQ(get(RDH), 4);
	free_rig();
}

TEST(e1000_says_which_checksums_are_good)
{
	uint8_t frame[154];

	setup();
	set(RXCSUM, RXCSUM_IPOFL | RXCSUM_TUOFL | 14);
	make_tcp(frame, 100, true);
	e1000_put_be16(frame + 24, (uint16_t)~e1000_fold(e1000_sum(frame + 14, 20)));
	e1000_put_be16(frame + 50, (uint16_t)~e1000_fold(e1000_sum(frame + 34, 120)));
	CHECK(sums_hold(frame, 154));
	e1000_receive(&rig->e, frame, 154, 0);
	CHECK_EQ(status_of(RX_RING, 0), 0x63);
	CHECK_EQ(rig->memory[RX_RING + 13], 0);
	frame[100]++;
	e1000_receive(&rig->e, frame, 154, 0);
	CHECK_EQ(rig->memory[RX_RING + 16 + 13], 0x20);
	frame[100]--;
	frame[22]++;
	e1000_receive(&rig->e, frame, 154, 0);
	CHECK_EQ(rig->memory[RX_RING + 32 + 13], 0x40);
	free_rig();
}

TEST(e1000_without_descriptors_refuses_and_says_when_there_are_some)
{
	uint8_t frame[64];
	unsigned n = 0;

	setup();
	make_frame(frame, 64);
	while (n < RING && e1000_receive(&rig->e, frame, 64, 0))
		n++;
	CHECK_EQ(n, RING - 1);
	CHECK_EQ(get(ICR), INT_RXT0 | INT_RXDMT0 | INT_RXO);
	CHECK_EQ(rig->ready, 0);
	set(RDT, 5);
	CHECK_EQ(rig->ready, 1);
	CHECK(e1000_receive(&rig->e, frame, 64, 0));
	e1000_missed(&rig->e, 3);
	CHECK_EQ(get(MPC), 3);
	free_rig();
}

TEST(e1000_delays_interrupts_until_more_have_come_or_long_enough)
{
	uint8_t frame[64];

	setup();
	make_frame(frame, 64);
	set(RDTR, 100);
	set(RADV, 150);
	e1000_receive(&rig->e, frame, 64, 1000);
	CHECK_EQ(get(ICR), 0);
	CHECK_EQ(e1000_next(&rig->e), 1000 + 100 * 1024);
	e1000_receive(&rig->e, frame, 64, 1000 + 90 * 1024);
	CHECK_EQ(e1000_next(&rig->e), 1000 + 150 * 1024);
	e1000_update(&rig->e, 1000 + 150 * 1024);
	CHECK_EQ(get(ICR), INT_RXT0);
	CHECK_EQ(e1000_next(&rig->e), E1000_NEVER);
	free_rig();
}

TEST(e1000_tags_are_put_in_and_taken_out)
{
	uint8_t frame[68];

	setup();
	set(CTRL, get(CTRL) | CTRL_VME);
	set(VET, 0x8100);
	make_frame(rig->memory + DATA, 64);
	put(TX_RING, 0, DATA, 64 | LEGACY_EOP_RS | 0x40000000, 0x2005u << 16);
	set(TDT, 1);
	CHECK_EQ(rig->sent_len[0], 68);
	CHECK_EQ(e1000_be16(rig->sent[0] + 12), 0x8100);
	CHECK_EQ(e1000_be16(rig->sent[0] + 14), 0x2005);
	memcpy(frame, rig->sent[0], 68);
	e1000_receive(&rig->e, frame, 68, 0);
	CHECK(memcmp(rig->memory + BUFFERS, rig->memory + DATA, 64) == 0);
	CHECK(status_of(RX_RING, 0) & 8);
	CHECK_EQ(rig->memory[RX_RING + 14] | rig->memory[RX_RING + 15] << 8, 0x2005);
	set(RCTL, get(RCTL) | RCTL_VFE);
	e1000_receive(&rig->e, frame, 68, 0);
	CHECK_EQ(get(RDH), 1);
	set(VFTA, BIT(5));
	e1000_receive(&rig->e, frame, 68, 0);
	CHECK_EQ(get(RDH), 2);
	free_rig();
}

TEST(e1000_loopback_brings_frames_back)
{
	setup();
	set(RCTL, RCTL_EN | RCTL_BAM | 3 << 6);
	make_frame(rig->memory + DATA, 64);
	put(TX_RING, 0, DATA, 64 | LEGACY_EOP_RS, 0);
	set(TDT, 1);
	CHECK_EQ(rig->nsent, 0);
	CHECK(memcmp(rig->memory + BUFFERS, rig->memory + DATA, 64) == 0);
	free_rig();
}

TEST(e1000_registers_are_reached_through_the_ports_and_a_reset_brings_them_back)
{
	setup();
	e1000_io_write(&rig->e, 0, 4, RAL0, 0);
	CHECK_EQ(e1000_io_read(&rig->e, 4, 4, 0), 0x12005452);
	e1000_io_write(&rig->e, 4, 4, 0x11223344, 0);
	CHECK_EQ(get(RAL0), 0x11223344);
	CHECK_EQ(e1000_read(&rig->e, RAL0 + 1, 1, 0), 0x33);
	e1000_io_write(&rig->e, 0, 4, 0xFFFFFFF0, 0);
	CHECK_EQ(e1000_io_read(&rig->e, 4, 4, 0), 0);
	set(CTRL, CTRL_RST);
	CHECK_EQ(get(RAL0), 0x12005452);
	CHECK_EQ(get(TDLEN), 0);
	CHECK_EQ(get(RCTL), 0);
	CHECK(!(get(STATUS) & STATUS_LU));
	free_rig();
}
