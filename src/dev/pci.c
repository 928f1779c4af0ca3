/*
 * PCI bus 0.		[PCI Local Bus Specification 2.2, "Configuration Space"], [82441FX "Configuration"]
 *
 * Configuration mechanism #1: a dword written to CF8h selects bus, device, function and register;
 * CFCh..CFFh is a window on it (pc_ports.c). Functions that are not there read as all ones, as a master abort does.
 * Left out: buses behind bridges; special cycles (a write to device 31, function 7 is dropped);
 * parity and system errors, which our functions never signal.
 */
#include <assert.h>
#include <string.h>

#include "dev/pci.h"

#define CONFIG_ENABLE 0x80000000u

uint32_t pci_get_reg(const struct pci_dev *dev, unsigned reg, unsigned size)
{
	uint32_t val = 0;

	for (unsigned i = 0; i < size; i++)
		val |= (uint32_t)dev->config[(reg + i) & 255] << 8 * i;
	return val;
}

void pci_set_reg(struct pci_dev *dev, unsigned reg, unsigned size, uint32_t value, uint32_t writable)
{
	assert(reg + size <= 256);
	for (unsigned i = 0; i < size; i++) {
		dev->config[reg + i] = dev->power_on[reg + i] = value >> 8 * i;
		dev->writable[reg + i] = writable >> 8 * i;
	}
}

void pci_identify(struct pci_dev *dev, const char *name, unsigned devfn, uint16_t vendor, uint16_t device,
		  uint32_t class_code, uint8_t revision, unsigned pin)
{
	dev->name = name;
	dev->devfn = devfn;
	pci_set_reg(dev, PCI_VENDOR, 2, vendor, 0);
	pci_set_reg(dev, PCI_DEVICE, 2, device, 0);
	pci_set_reg(dev, PCI_COMMAND, 2, 0, PCI_COMMAND_MASTER | PCI_COMMAND_INTX_OFF | BIT(6) | BIT(8));
	pci_set_reg(dev, PCI_REVISION, 4, class_code << 8 | revision, 0);
	/* Cache line size, latency timer and the interrupt line are scratch for software. */
	dev->writable[0x0C] = dev->writable[0x0D] = dev->writable[PCI_INTERRUPT_LINE] = 0xFF;
	pci_set_reg(dev, PCI_INTERRUPT_PIN, 1, pin, 0);
	dev->write_clear[PCI_STATUS + 1] = 0xF9;	/* the error bits */
	/* What guests know the virtual board by: firmware looks for this pair on the host bridge. */
	pci_set_reg(dev, PCI_SUBSYSTEM_VENDOR, 2, 0x1AF4, 0);
	pci_set_reg(dev, PCI_SUBSYSTEM, 2, 0x1100, 0);
}

static unsigned bar_reg(unsigned n)
{
	return n == PCI_BAR_ROM ? PCI_ROM_BAR : PCI_BAR0 + 4 * n;
}

void pci_add_bar(struct pci_dev *dev, unsigned n, uint32_t size, bool io, bool prefetch)
{
	assert(n <= PCI_BAR_ROM && size != 0 && (size & (size - 1)) == 0);
	dev->bar[n] = (struct pci_bar){ .size = size, .io = io, .prefetch = prefetch };
	if (n == PCI_BAR_ROM)
		pci_set_reg(dev, bar_reg(n), 4, 0, ~(size - 1) | 1);
	else
		pci_set_reg(dev, bar_reg(n), 4, io ? 1 : prefetch ? 8 : 0, ~(size - 1));
	dev->writable[PCI_COMMAND] |= io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
}

void pci_add(struct pci_bus *bus, struct pci_dev *dev)
{
	assert(bus->dev[dev->devfn] == NULL);
	bus->dev[dev->devfn] = dev;
	dev->bus = bus;
	if ((dev->devfn & 7) != 0 && bus->dev[dev->devfn & ~7] != NULL) {
		struct pci_dev *first = bus->dev[dev->devfn & ~7];
		pci_set_reg(first, PCI_HEADER_TYPE, 1, first->config[PCI_HEADER_TYPE] | 0x80, 0);
	}
}

/* Where a register puts its region, or false: decoding is off, or the address is not yet sensible. */
static bool bar_decode(const struct pci_dev *dev, unsigned n, uint32_t *base)
{
	const struct pci_bar *bar = &dev->bar[n];
	uint32_t val = pci_get_reg(dev, bar_reg(n), 4);
	uint8_t command = dev->config[PCI_COMMAND];

	*base = val & ~(bar->size - 1);
	if (!(command & (bar->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
		return false;
	if (n == PCI_BAR_ROM && !(val & 1))
		return false;
	if (bar->io)
		return *base != 0 && *base <= 0x10000 - bar->size;
	/* While software sizes it the register holds ones: that is no place to be at. */
	return *base != 0 && (uint64_t)*base + bar->size < 0x100000000;
}

static void pci_update_bars(struct pci_dev *dev)
{
	for (unsigned n = 0; n <= PCI_BAR_ROM; n++) {
		struct pci_bar *bar = &dev->bar[n];
		uint32_t base;

		if (bar->size == 0)
			continue;
		bool on = bar_decode(dev, n, &base);
		if (on == bar->mapped && (!on || base == bar->base))
			continue;
		if (bar->mapped) {
			bar->mapped = false;
			if (dev->map != NULL)
				dev->map(dev, n);
		}
		if (on) {
			bar->base = base;
			bar->mapped = true;
			if (dev->map != NULL)
				dev->map(dev, n);
		}
	}
}

/* --- interrupts --- */

/* The board's traces: slot 1's INTA# is PIRQA, and each slot shifts by one.  [82371SB "PIRQ Routing"] */
unsigned pci_pirq(unsigned devfn, unsigned pin)
{
	return (pin - 1 + (devfn >> 3) - 1) & 3;
}

static bool intx_driven(const struct pci_dev *dev)
{
	return dev->intx && !(dev->config[PCI_COMMAND + 1] & PCI_COMMAND_INTX_OFF >> 8);
}

static void pci_update_intx(struct pci_dev *dev, bool was)
{
	bool is = intx_driven(dev);
	unsigned pin = dev->config[PCI_INTERRUPT_PIN];

	if (is == was || pin == 0 || dev->bus == NULL)
		return;
	unsigned pirq = pci_pirq(dev->devfn, pin);
	uint8_t *users = &dev->bus->pirq_users[pirq];
	bool before = *users != 0;
	*users += is ? 1 : -1;
	if ((*users != 0) != before && dev->bus->pirq != NULL)
		dev->bus->pirq(dev->bus->arg, pirq, is);
}

void pci_set_intx(struct pci_dev *dev, bool level)
{
	bool was = intx_driven(dev);

	dev->intx = level;
	if (level)
		dev->config[PCI_STATUS] |= PCI_STATUS_INTX;
	else
		dev->config[PCI_STATUS] &= ~PCI_STATUS_INTX;
	pci_update_intx(dev, was);
}

void pci_reset(struct pci_bus *bus)
{
	for (unsigned i = 0; i < 256; i++) {
		struct pci_dev *dev = bus->dev[i];
		if (dev == NULL)
			continue;
		pci_set_intx(dev, false);
		memcpy(dev->config, dev->power_on, sizeof(dev->config));
		pci_update_bars(dev);
		if (dev->written != NULL)
			dev->written(dev, 0, 256);
	}
}

/* --- configuration accesses --- */

static struct pci_dev *pci_selected(const struct pci_bus *bus, uint32_t address)
{
	if (!(address & CONFIG_ENABLE) || (address >> 16 & 0xFF) != 0)	/* only bus 0 exists */
		return NULL;
	return bus->dev[address >> 8 & 0xFF];
}

static uint32_t size_mask(unsigned size)
{
	return size == 4 ? 0xFFFFFFFF : (1u << 8 * size) - 1;
}

uint32_t pci_config_read(struct pci_bus *bus, uint32_t address, unsigned size)
{
	struct pci_dev *dev = pci_selected(bus, address);

	return dev == NULL ? size_mask(size) : pci_get_reg(dev, address & 0xFF, size);
}

void pci_config_write(struct pci_bus *bus, uint32_t address, unsigned size, uint32_t val)
{
	struct pci_dev *dev = pci_selected(bus, address);
	unsigned reg = address & 0xFF;

	if (dev == NULL)
		return;
	bool driven = intx_driven(dev);
	for (unsigned i = 0; i < size && reg + i < 256; i++) {
		uint8_t *c = &dev->config[reg + i], v = val >> 8 * i;
		uint8_t mask = dev->writable[reg + i];
		*c = (*c & ~mask) | (v & mask);
		*c &= ~(v & dev->write_clear[reg + i]);
	}
	if (reg < 0x40) {
		pci_update_intx(dev, driven);
		pci_update_bars(dev);
	}
	if (dev->written != NULL)
		dev->written(dev, reg, size);
}
