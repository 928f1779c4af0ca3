/*
 * South bridge: the PCI functions of the 82371SB (PIIX3) with the 82371AB's (PIIX4) power management.
 *
 *   slot 1, function 0: ISA bridge: routes PIRQA..D to ISA interrupts
 *           function 1: IDE, with a bus-master region
 *           function 3: ACPI power management, SMBus
 */
#ifndef PLEX86_DEV_PIIX_H
#define PLEX86_DEV_PIIX_H

#include "dev/pci.h"

#define PIIX_SLOT 1

struct piix_host {
	void *arg;
	/* A line of the interrupt controllers, as far as PCI pulls it. */
	void (*set_irq)(void *arg, unsigned irq, bool level);
	/* The bus-master registers of IDE (16 ports) are at base now; 0: nowhere. */
	void (*move_bmdma)(void *arg, uint16_t base);
	/* The power management block (PMBASE, 64 ports); 0: nowhere. */
	void (*move_pm)(void *arg, uint16_t base);
	/* The SMBus host controller (16 ports); 0: nowhere. */
	void (*move_smbus)(void *arg, uint16_t base);
};

struct smbus {				/* host controller registers */
	uint8_t status, control, command, address, data0, data1;
	uint8_t block[32], block_at;
};

struct piix {
	/* architectural */
	struct pci_dev isa, ide, pm;
	struct smbus smbus;
	bool pirq[4];			/* levels of PIRQA..D */
	/* derived */
	uint16_t irq_level;		/* what set_irq() was last told */
	uint16_t pm_base, smbus_base;
	/* host */
	struct piix_host host;
};

/*
 * Put the three functions on the bus and take its pirq(). configured: after reset everything is as
 * firmware would have left it (routes to 10, 10, 11, 11; IDE decoding and bus master at C000h; PM at 600h).
 * acpi: without it the power management function is not there.
 */
void piix_init(struct piix *piix, struct pci_bus *bus, const struct piix_host *host, bool configured,
	       bool acpi);

/* Ports of the SMBus block, by offset. No device answers on the bus: each transfer ends in an error. */
uint8_t smbus_read(struct smbus *bus, unsigned offset);
void smbus_write(struct smbus *bus, unsigned offset, uint8_t val);

#endif
