/*
 * South bridge.	[82371FB/82371SB "PIIX/PIIX3"], [82371AB "PIIX4"]
 *
 * Guests, and the firmware, expect this pair of functions since the PIIX4's own IDE and ISA parts
 * differ in nothing they use. The chips behind the functions (IDE channels, ACPI block, 8259s) are
 * files of their own; here is only what PCI configuration space decides about them.
 * Left out: USB (function 2 does not exist), SMI (DEVACTB reads as already set up, so that firmware
 * does not try), XBCS and decode enables (scratch: the ISA chips are always decoded).
 */
#include <string.h>

#include "dev/piix.h"

enum { PIRQRC = 0x60, IDETIM = 0x40, PMBASE = 0x40, DEVACTB = 0x58, PMREGMISC = 0x80, SMBBA = 0x90,
       SMBHSTCFG = 0xD2 };
#define BMIBA_BAR	4

/* Which of the lines 0..15 the four PIRQs pull, by the route registers (bit 7: not routed). */
static void piix_route(struct piix *piix)
{
	uint16_t level = 0;

	for (unsigned i = 0; i < 4; i++) {
		uint8_t route = piix->isa.config[PIRQRC + i];
		if (piix->pirq[i] && !(route & 0x80))
			level |= 1u << (route & 15);
	}
	uint16_t changed = level ^ piix->irq_level;
	piix->irq_level = level;
	for (unsigned irq = 0; irq < 16; irq++)
		if (changed >> irq & 1)
			piix->host.set_irq(piix->host.arg, irq, level >> irq & 1);
}

static void piix_pirq(void *arg, unsigned pirq, bool level)
{
	struct piix *piix = arg;

	piix->pirq[pirq] = level;
	piix_route(piix);
}

static void isa_written(struct pci_dev *dev, unsigned reg, unsigned size)
{
	piix_route(dev->arg);
}

static void ide_map(struct pci_dev *dev, unsigned n)
{
	struct piix *piix = dev->arg;

	if (n == BMIBA_BAR)
		piix->host.move_bmdma(piix->host.arg, dev->bar[n].mapped ? dev->bar[n].base : 0);
}

/* PMBASE counts when PMREGMISC enables it; SMBBA when SMBHSTCFG does. */
static void pm_written(struct pci_dev *dev, unsigned reg, unsigned size)
{
	struct piix *piix = dev->arg;
	uint16_t pm = dev->config[PMREGMISC] & 1 ? pci_get_reg(dev, PMBASE, 2) & 0xFFC0 : 0;
	uint16_t smb = dev->config[SMBHSTCFG] & 1 ? pci_get_reg(dev, SMBBA, 2) & 0xFFF0 : 0;

	if (pm != piix->pm_base) {
		piix->pm_base = pm;
		piix->host.move_pm(piix->host.arg, pm);
	}
	if (smb != piix->smbus_base) {
		piix->smbus_base = smb;
		piix->host.move_smbus(piix->host.arg, smb);
	}
}

static void isa_init(struct piix *piix, bool configured)
{
	struct pci_dev *dev = &piix->isa;
	static const uint8_t route[4] = { 10, 10, 11, 11 };

	pci_identify(dev, "ISA bridge", PCI_DEVFN(PIIX_SLOT, 0), 0x8086, 0x7000, 0x060100, 0, 0);
	pci_set_reg(dev, PCI_COMMAND, 2, 0x0007, 0x0108);
	pci_set_reg(dev, 0x4C, 1, 0x4D, 0xFF);			/* I/O recovery */
	pci_set_reg(dev, 0x4E, 2, 0x0003, 0xFFFF);		/* XBCS */
	for (unsigned i = 0; i < 4; i++)
		pci_set_reg(dev, PIRQRC + i, 1, configured ? route[i] : 0x80, 0x8F);
	pci_set_reg(dev, 0x69, 1, 0x02, 0xFE);			/* top of memory for ISA masters */
	pci_set_reg(dev, 0x70, 2, 0x8080, 0xCFCF);		/* motherboard device routes: nothing there */
	pci_set_reg(dev, 0x82, 1, 0, 0xFF);
	dev->written = isa_written;
	dev->arg = piix;
}

static void ide_init(struct piix *piix, bool configured)
{
	struct pci_dev *dev = &piix->ide;

	pci_identify(dev, "IDE", PCI_DEVFN(PIIX_SLOT, 1), 0x8086, 0x7010, 0x010180, 0, 0);
	pci_add_bar(dev, BMIBA_BAR, 16, true, false);
	pci_set_reg(dev, PCI_COMMAND, 2, configured ? 0x0005 : 0, 0x0005);
	pci_set_reg(dev, PCI_STATUS, 2, 0x0280, 0);
	pci_set_reg(dev, IDETIM, 4, configured ? 0x80008000 : 0, 0xFFFFFFFF);
	pci_set_reg(dev, 0x44, 1, 0, 0xFF);
	if (configured)
		pci_set_reg(dev, PCI_BAR0 + 4 * BMIBA_BAR, 4, 0xC001, 0xFFF0);
	dev->map = ide_map;
	dev->arg = piix;
}

static void pm_init(struct piix *piix, bool configured)
{
	struct pci_dev *dev = &piix->pm;

	pci_identify(dev, "power management", PCI_DEVFN(PIIX_SLOT, 3), 0x8086, 0x7113, 0x068000, 3, 1);
	pci_set_reg(dev, PCI_COMMAND, 2, 0, 0x0001);
	pci_set_reg(dev, PCI_STATUS, 2, 0x0280, 0);
	pci_set_reg(dev, PCI_INTERRUPT_LINE, 1, 9, 0);		/* SCI is hard-wired */
	pci_set_reg(dev, PMBASE, 4, configured ? 0x0601 : 1, 0xFFC0);
	for (unsigned reg = 0x44; reg < 0x80; reg += 4)		/* timers, GPIO, device activity: scratch */
		pci_set_reg(dev, reg, 4, 0, 0xFFFFFFFF);
	pci_set_reg(dev, DEVACTB, 4, 0x02000000, 0xFFFFFFFF);	/* APMC_EN: there is no SMI to be set up */
	pci_set_reg(dev, PMREGMISC, 1, configured, 1);
	pci_set_reg(dev, SMBBA, 4, 1, 0xFFF0);
	pci_set_reg(dev, SMBHSTCFG, 1, 0, 0x0F);
	pci_set_reg(dev, 0xD3, 1, 0, 0xFF);
	dev->written = pm_written;
	dev->arg = piix;
}

void piix_init(struct piix *piix, struct pci_bus *bus, const struct piix_host *host, bool configured,
	       bool acpi)
{
	memset(piix, 0, sizeof(*piix));
	piix->host = *host;
	isa_init(piix, configured);
	ide_init(piix, configured);
	pm_init(piix, configured);
	bus->pirq = piix_pirq;
	bus->arg = piix;
	pci_add(bus, &piix->isa);
	pci_add(bus, &piix->ide);
	if (acpi)
		pci_add(bus, &piix->pm);
}

/* --- SMBus host controller --- */

enum { HSTSTS = 0, SLVSTS = 1, HSTCNT = 2, HSTCMD = 3, HSTADD = 4, HSTDAT0 = 5, HSTDAT1 = 6, BLKDAT = 7 };
enum { HSTSTS_DEV_ERR = BIT(2), HSTCNT_START = BIT(6) };

uint8_t smbus_read(struct smbus *bus, unsigned offset)
{
	switch (offset) {
	case HSTSTS:
		return bus->status;
	case HSTCNT:			/* reading it rewinds the block buffer */
		bus->block_at = 0;
		return bus->control & ~HSTCNT_START;
	case HSTCMD:
		return bus->command;
	case HSTADD:
		return bus->address;
	case HSTDAT0:
		return bus->data0;
	case HSTDAT1:
		return bus->data1;
	case BLKDAT:
		return bus->block[bus->block_at++ & 31];
	default:
		return 0;
	}
}

void smbus_write(struct smbus *bus, unsigned offset, uint8_t val)
{
	switch (offset) {
	case HSTSTS:
		bus->status &= ~(val & 0x1E);
		break;
	case HSTCNT:
		bus->control = val;
		if (val & HSTCNT_START)		/* no device acknowledges its address */
			bus->status |= HSTSTS_DEV_ERR;
		break;
	case HSTCMD:
		bus->command = val;
		break;
	case HSTADD:
		bus->address = val;
		break;
	case HSTDAT0:
		bus->data0 = val;
		break;
	case HSTDAT1:
		bus->data1 = val;
		break;
	case BLKDAT:
		bus->block[bus->block_at++ & 31] = val;
		break;
	}
}
