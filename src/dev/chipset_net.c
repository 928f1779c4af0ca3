/*
 * The network card in its slot: configuration space, windows, option ROM, interrupt.	[8254x SDM "PCI Local Bus Interface"]
 *
 * BAR 0: its registers in memory; BAR 2: its ports. Left out: the window on a flash chip (BAR 1), power management.
 */
#include <string.h>

#include "dev/chipset.h"

enum { MEMORY_BAR = 0, IO_BAR = 2 };
/* Where it is on a board without firmware, as firmware would have left it. */
enum { AT_MEMORY = 0xFEB80000, AT_PORT = 0xC040, AT_IRQ = 11 };
#define NAME		"e1000"
#define ROM_NAME	"e1000-rom"

static uint32_t mmio_read(void *arg, gpa_t offset, unsigned size)
{
	struct chipset *cs = arg;

	return e1000_read(&cs->net.card, (uint32_t)offset, size, pc_now(cs->pc));
}

static void mmio_write(void *arg, gpa_t offset, unsigned size, uint32_t val)
{
	struct chipset *cs = arg;

	e1000_write(&cs->net.card, (uint32_t)offset, size, val, pc_now(cs->pc));
}

static const struct mmio_ops mmio_ops = { mmio_read, mmio_write };

static unsigned port_offset(const struct chipset *cs, uint16_t port)
{
	return (unsigned)(port - cs->net.pci.bar[IO_BAR].base) & (E1000_IO_BYTES - 1);
}

static uint32_t port_read(void *arg, uint16_t port, unsigned size)
{
	struct chipset *cs = arg;

	return e1000_io_read(&cs->net.card, port_offset(cs, port), size, pc_now(cs->pc));
}

static void port_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct chipset *cs = arg;

	e1000_io_write(&cs->net.card, port_offset(cs, port), size, val, pc_now(cs->pc));
}

static void map(struct pci_dev *dev, unsigned n)
{
	struct chipset *cs = dev->arg;
	const struct pci_bar *bar = &dev->bar[n];
	struct phys_region r = { .start = bar->base, .size = bar->size, .arg = cs };

	if (n == IO_BAR) {
		bus_move(&cs->pc->bus, (struct io_row){ .width = 4, .read = port_read, .write = port_write, .arg = cs, .name = NAME },
		    bar->mapped ? (uint16_t)bar->base : 0, E1000_IO_BYTES);
		return;
	}
	r.name = n == MEMORY_BAR ? NAME : ROM_NAME;
	phys_remove(cs->pc->phys, r.name);
	if (!bar->mapped)
		return;
	if (n == MEMORY_BAR) {
		r.kind = PHYS_MMIO;
		r.ops = &mmio_ops;
	} else {
		r.kind = PHYS_ROM;
		r.fd_offset = cs->net.rom_fd_offset;
	}
	phys_add(cs->pc->phys, r);
}

static void written(struct pci_dev *dev, unsigned reg, unsigned size)
{
	struct chipset *cs = dev->arg;

	if (reg < PCI_COMMAND + 2 && reg + size > PCI_COMMAND)
		e1000_set_master(&cs->net.card, dev->config[PCI_COMMAND] & PCI_COMMAND_MASTER, pc_now(cs->pc));
}

static void set_irq(void *arg, bool level)
{
	pci_set_intx(&((struct chipset *)arg)->net.pci, level);
}

static void mem_read(void *arg, gpa_t gpa, void *buf, size_t len)
{
	phys_read(((struct chipset *)arg)->pc->phys, gpa, buf, len);
}

static void mem_write(void *arg, gpa_t gpa, const void *buf, size_t len)
{
	phys_write(((struct chipset *)arg)->pc->phys, gpa, buf, len);
}

static void timer_changed(void *arg)
{
	pc_timers_changed(((struct chipset *)arg)->pc);
}

static bool send(void *arg, const uint8_t *frame, size_t len)
{
	const struct e1000_host *to = &((struct chipset *)arg)->net.outside;

	return to->send == NULL || to->send(to->arg, frame, len);
}

static void receiver_ready(void *arg)
{
	const struct e1000_host *to = &((struct chipset *)arg)->net.outside;

	if (to->receiver_ready)
		to->receiver_ready(to->arg);
}

void chipset_net_reset(struct chipset *cs)
{
	if (cs->net.present)
		e1000_reset(&cs->net.card);
}

void chipset_attach_net(struct chipset *cs, const uint8_t mac[6], const struct e1000_host *host, const uint8_t *rom, size_t rom_bytes)
{
	struct chipset_net *net = &cs->net;
	struct e1000_host card = { cs, set_irq, mem_read, mem_write, send, receiver_ready, timer_changed };

	net->outside = *host;
	pci_identify(&net->pci, NAME, CHIPSET_NET_DEVFN, 0x8086, 0x100E, 0x020000, 3, 1);
	pci_set_reg(&net->pci, PCI_STATUS, 2, 0x0200, 0);	/* medium DEVSEL# */
	pci_add_bar(&net->pci, MEMORY_BAR, E1000_BYTES, false, false);
	pci_add_bar(&net->pci, IO_BAR, E1000_IO_BYTES, true, false);
	if (rom_bytes > 0 && rom_bytes <= CHIPSET_NET_ROM_MAX) {
		net->rom_fd_offset = phys_alloc_extra(cs->pc->phys, CHIPSET_NET_ROM_MAX);
		memcpy(cs->pc->phys->ram + net->rom_fd_offset, rom, rom_bytes);
		pci_add_bar(&net->pci, PCI_BAR_ROM, CHIPSET_NET_ROM_MAX, false, false);
	}
	if (!cs->cfg.firmware) {
		pci_set_reg(&net->pci, PCI_BAR0 + 4 * MEMORY_BAR, 4, AT_MEMORY, ~(E1000_BYTES - 1));
		pci_set_reg(&net->pci, PCI_BAR0 + 4 * IO_BAR, 4, AT_PORT | 1, ~(E1000_IO_BYTES - 1));
		pci_set_reg(&net->pci, PCI_INTERRUPT_LINE, 1, AT_IRQ, 0xFF);
		net->pci.power_on[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MEMORY;
	}
	net->pci.map = map;
	net->pci.written = written;
	net->pci.arg = cs;
	e1000_init(&net->card, mac, &card);
	pci_add(&cs->pci, &net->pci);
	if (!cs->cfg.firmware)		/* and its windows are there */
		pci_config_write(&cs->pci, 0x80000000u | CHIPSET_NET_DEVFN << 8 | PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	net->present = true;
}
