/*
 * I/O APIC with 24 inputs, at FEC00000h.					[82093AA]
 */
#ifndef PLEX86_DEV_IOAPIC_H
#define PLEX86_DEV_IOAPIC_H

#include "util/types.h"

#define IOAPIC_BASE	0xFEC00000u
#define IOAPIC_PINS	24

struct ioapic {
	/* architectural */
	uint8_t select, id;
	uint64_t redirect[IOAPIC_PINS];
	uint32_t pins;			/* levels, after polarity has been taken out: 1 = asserted by the board */
	uint64_t raised[IOAPIC_PINS];	/* how often each pin was asserted, for people */
	/* host: a message to the local APIC. false: nobody took it. */
	bool (*send)(void *arg, uint8_t dest, bool logical, unsigned mode, uint8_t vector, bool level);
	void *arg;
};

void ioapic_reset(struct ioapic *io);
uint32_t ioapic_read(struct ioapic *io, unsigned offset);
void ioapic_write(struct ioapic *io, unsigned offset, uint32_t val);
/* The board's view: true is "asserts an interrupt", whatever polarity the guest programs. */
void ioapic_set_pin(struct ioapic *io, unsigned pin, bool level);
/* The local APIC ended a level-triggered vector. */
void ioapic_eoi(struct ioapic *io, uint8_t vector);

#endif
