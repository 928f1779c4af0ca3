/*
 * PCI bus 0: configuration mechanism #1, base address registers, INTx.	[PCI 2.2]
 *
 * A function is a struct pci_dev: its 256 configuration bytes, what of them software may write, and
 * callbacks. Its owner embeds it and registers it with pci_add(). Interrupt pins are wired to the
 * four PIRQ lines in the usual rotation; what a PIRQ does is the ISA bridge's business (pirq()).
 */
#ifndef PLEX86_DEV_PCI_H
#define PLEX86_DEV_PCI_H

#include "util/types.h"

enum {					/* configuration header, type 0 */
	PCI_VENDOR = 0x00, PCI_DEVICE = 0x02, PCI_COMMAND = 0x04, PCI_STATUS = 0x06,
	PCI_REVISION = 0x08, PCI_PROG_IF = 0x09, PCI_SUBCLASS = 0x0A, PCI_CLASS = 0x0B,
	PCI_HEADER_TYPE = 0x0E, PCI_BAR0 = 0x10, PCI_SUBSYSTEM_VENDOR = 0x2C, PCI_SUBSYSTEM = 0x2E,
	PCI_ROM_BAR = 0x30, PCI_CAPABILITIES = 0x34, PCI_INTERRUPT_LINE = 0x3C, PCI_INTERRUPT_PIN = 0x3D,
};
enum { PCI_COMMAND_IO = BIT(0), PCI_COMMAND_MEMORY = BIT(1), PCI_COMMAND_MASTER = BIT(2),
       PCI_COMMAND_INTX_OFF = BIT(10) };
#define PCI_STATUS_INTX BIT(3)		/* interrupt status */

#define PCI_DEVFN(dev, fn)	((dev) << 3 | (fn))
#define PCI_BAR_ROM		6	/* index of the expansion ROM's register in bar[] */

struct pci_dev;

struct pci_bar {
	uint32_t size;			/* power of two; 0: no such register */
	bool io;
	bool prefetch;
	/* derived: where it is now */
	bool mapped;
	uint32_t base;
};

struct pci_dev {
	/* architectural */
	uint8_t config[256];
	uint8_t power_on[256];		/* config[] after reset */
	uint8_t writable[256];		/* mask of the bits software may change */
	uint8_t write_clear[256];	/* mask of the bits a written 1 clears */
	bool intx;			/* level of the function's interrupt pin */

	/* how it is built */
	const char *name;
	uint8_t devfn;
	struct pci_bar bar[7];
	/* A region appeared at bar[n].base, or (bar[n].mapped false) went away. May be NULL. */
	void (*map)(struct pci_dev *dev, unsigned n);
	/* Registers [reg, reg + size) were written, and config[] holds the result. May be NULL. */
	void (*written)(struct pci_dev *dev, unsigned reg, unsigned size);
	void *arg;
	struct pci_bus *bus;
};

struct pci_bus {
	struct pci_dev *dev[256];	/* by devfn */
	uint8_t pirq_users[4];		/* derived: functions that pull each PIRQ */
	/* PIRQ A..D (0..3) changed its level. */
	void (*pirq)(void *arg, unsigned pirq, bool level);
	void *arg;
};

/* Fill in the identity of a function and the header's rules of writing. class_code: class, subclass, interface. */
void pci_identify(struct pci_dev *dev, const char *name, unsigned devfn, uint16_t vendor, uint16_t device,
		  uint32_t class_code, uint8_t revision, unsigned pin);
void pci_add_bar(struct pci_dev *dev, unsigned n, uint32_t size, bool io, bool prefetch);
/* A register of size bytes: its value after reset, and which bits can be written. */
void pci_set_reg(struct pci_dev *dev, unsigned reg, unsigned size, uint32_t value, uint32_t writable);
uint32_t pci_get_reg(const struct pci_dev *dev, unsigned reg, unsigned size);

void pci_add(struct pci_bus *bus, struct pci_dev *dev);
/* RST#: every function back to power_on[], every region unmapped. */
void pci_reset(struct pci_bus *bus);

/* One configuration access; address as in CONFIG_ADDRESS (port CF8h, which is the board's), with the byte in bits 1:0. */
uint32_t pci_config_read(struct pci_bus *bus, uint32_t address, unsigned size);
void pci_config_write(struct pci_bus *bus, uint32_t address, unsigned size, uint32_t val);

/* Drive the function's interrupt pin. */
void pci_set_intx(struct pci_dev *dev, bool level);
/* PIRQ (0..3) that pin INTA# (1) .. INTD# (4) of the device is wired to. */
unsigned pci_pirq(unsigned devfn, unsigned pin);

#endif
