/*
 * Gigabit Ethernet controller: Intel 82540EM.			[8254x SDM]
 *
 * Frames leave by send() and come in by e1000_receive(), without their check sequence; what the guest has in memory is
 * read and written by bus-master DMA. A visit does a bounded piece of what the guest asked for, and the rest later.
 */
#ifndef PLEX86_DEV_E1000_H
#define PLEX86_DEV_E1000_H

#include "util/types.h"

#define E1000_BYTES		0x20000u	/* of its registers in memory */
#define E1000_IO_BYTES		64u		/* of its ports */
#define E1000_REGS		(0x6000 / 4)
#define E1000_FRAME_MAX		16384u		/* without check sequence */
#define E1000_HEADER_MAX	255u		/* of what is cut into TCP segments */
#define E1000_EEPROM_WORDS	64u
#define E1000_NEVER		UINT64_MAX

struct e1000_host {
	void *arg;
	void (*set_irq)(void *arg, bool level);
	void (*mem_read)(void *arg, gpa_t gpa, void *buf, size_t len);
	void (*mem_write)(void *arg, gpa_t gpa, const void *buf, size_t len);
	/* A frame goes out. false: there is no room now, and it will be offered again after e1000_room(). */
	bool (*send)(void *arg, const uint8_t *frame, size_t len);
	/* e1000_receive() may take again what it refused. May be NULL. */
	void (*receiver_ready)(void *arg);
	/* e1000_next() has changed. May be NULL. */
	void (*timer_changed)(void *arg);
};

/* What a context descriptor says: where checksums are, and how to cut into segments. */
struct e1000_context {
	uint8_t ip_start, ip_offset, tcp_start, tcp_offset, header_len, command;
	uint16_t ip_end, tcp_end, mss;
	uint32_t payload_len;
};

struct e1000_tx {
	struct e1000_context context[2];	/* for packets as they are, and for segmentation */
	/* the descriptor at TDH, if it was read */
	bool loaded;
	uint8_t command, options, status;	/* options: POPTS */
	uint16_t special;
	uint8_t sum_offset, sum_start;		/* a legacy descriptor's CSO, CSS */
	uint64_t at;				/* what is left of its data */
	uint32_t left;
	/* the packet under way */
	bool begun, segmented, legacy, drop;
	bool last;				/* its last descriptor's data is in */
	uint8_t packet_options, packet_command;
	uint32_t segments, sent;		/* sent: bytes of payload in the segments before */
	uint8_t header[E1000_HEADER_MAX];
	/* the frame, or segment, under way */
	bool ready;				/* it waits for room outside */
	uint32_t len;
	uint8_t frame[E1000_FRAME_MAX + 4];	/* a VLAN tag may be put in */
};

struct e1000 {
	/* architectural */
	uint32_t reg[E1000_REGS];	/* by offset / 4 */
	uint16_t eeprom[E1000_EEPROM_WORDS];
	uint16_t phy[32];
	uint32_t io_address;
	struct {			/* the EEPROM's serial line: what was shifted in, and what comes out */
		uint32_t in;
		uint16_t out;
		uint8_t in_bits, out_bits;
		bool clock, selected, writable, high;	/* high: its data output */
	} serial;
	bool cable;			/* somebody is at the other end */
	bool master;			/* PCI's bus master bit */
	bool irq;			/* level of the pin */
	struct e1000_tx tx;

	/* time: E1000_NEVER if nothing is under way */
	ns_t irq_after;			/* throttled: no new interrupt before that */
	ns_t rx_irq_at, rx_irq_latest, tx_irq_at, tx_irq_latest;	/* interrupts that wait to be one with others */
	ns_t tx_more_at;		/* more descriptors are to be looked at */

	bool in_dma;			/* it does not answer its own accesses */
	bool rx_refused;

	/* host */
	struct e1000_host host;
	uint64_t frames_out, bytes_out, frames_in, bytes_in;	/* for meters: no guest clears them */
};

void e1000_init(struct e1000 *e, const uint8_t mac[6], const struct e1000_host *host);
void e1000_reset(struct e1000 *e);	/* PCI's RST# */

/* Registers: 4 bytes, or parts of them, which are only read. */
uint32_t e1000_read(struct e1000 *e, uint32_t offset, unsigned size, ns_t now);
void e1000_write(struct e1000 *e, uint32_t offset, unsigned size, uint32_t val, ns_t now);
/* The ports: an address and the register there. */
uint32_t e1000_io_read(struct e1000 *e, unsigned offset, unsigned size, ns_t now);
void e1000_io_write(struct e1000 *e, unsigned offset, unsigned size, uint32_t val, ns_t now);

/* A frame from outside. false: no descriptor is free for it; receiver_ready() says when to come again. What no filter wants is taken too. */
bool e1000_receive(struct e1000 *e, const uint8_t *frame, size_t len, ns_t now);
void e1000_room(struct e1000 *e, ns_t now);		/* send() can take frames again */
void e1000_missed(struct e1000 *e, uint32_t frames);	/* so many were lost outside, for want of room here */
void e1000_set_cable(struct e1000 *e, bool in, ns_t now);
void e1000_set_master(struct e1000 *e, bool on, ns_t now);
bool e1000_link(const struct e1000 *e);

ns_t e1000_next(const struct e1000 *e);
void e1000_update(struct e1000 *e, ns_t now);

#endif
