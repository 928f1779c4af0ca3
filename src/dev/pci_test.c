#include <string.h>

#include "dev/pci.h"
#include "tests/test.h"

struct seen { unsigned maps, unmaps; uint32_t base; int pirq; bool level; unsigned changes; };

static void on_map(struct pci_dev *dev, unsigned n)
{
	struct seen *s = dev->arg;
	if (dev->bar[n].mapped) {
		s->maps++;
		s->base = dev->bar[n].base;
	} else {
		s->unmaps++;
	}
}

static void on_pirq(void *arg, unsigned pirq, bool level)
{
	struct seen *s = arg;
	s->pirq = pirq;
	s->level = level;
	s->changes++;
}

static void setup(struct pci_bus *bus, struct pci_dev *dev, struct seen *seen)
{
	memset(bus, 0, sizeof(*bus));
	memset(dev, 0, sizeof(*dev));
	memset(seen, 0, sizeof(*seen));
	bus->pirq = on_pirq;
	bus->arg = seen;
	pci_identify(dev, "card", PCI_DEVFN(3, 0), 0x1234, 0x5678, 0x020000, 7, 1);
	pci_add_bar(dev, 0, 0x20, true, false);
	pci_add_bar(dev, 1, 0x1000, false, false);
	dev->map = on_map;
	dev->arg = seen;
	pci_add(bus, dev);
}

/* What the board keeps of port CF8h, and its window. */
static uint32_t address;

static void select_reg(unsigned devfn, unsigned reg)
{
	address = 0x80000000 | devfn << 8 | reg;
}

static uint32_t data_read(struct pci_bus *bus, unsigned byte, unsigned size)
{
	return pci_config_read(bus, address | byte, size);
}

static void data_write(struct pci_bus *bus, unsigned size, uint32_t val)
{
	pci_config_write(bus, address, size, val);
}

TEST(pci_reads_the_identity_through_the_address_and_its_bytes)
{
	struct pci_bus bus; struct pci_dev dev; struct seen seen;
	setup(&bus, &dev, &seen);
	select_reg(PCI_DEVFN(3, 0), 0);
	CHECK_EQ(data_read(&bus, 0, 4), 0x56781234);
	CHECK_EQ(data_read(&bus, 2, 2), 0x5678);
	CHECK_EQ(data_read(&bus, 3, 1), 0x56);
}

TEST(pci_absent_functions_and_disabled_address_read_all_ones)
{
	struct pci_bus bus; struct pci_dev dev; struct seen seen;
	setup(&bus, &dev, &seen);
	select_reg(PCI_DEVFN(4, 0), 0);
	CHECK_EQ(data_read(&bus, 0, 4), 0xFFFFFFFF);
	address = 0x80011800;		/* bus 1 */
	CHECK_EQ(data_read(&bus, 0, 2), 0xFFFF);
	address = 0x00001800;		/* enable bit clear */
	CHECK_EQ(data_read(&bus, 0, 4), 0xFFFFFFFF);
}

TEST(pci_bar_sizing_returns_the_size_mask_and_maps_nothing)
{
	struct pci_bus bus; struct pci_dev dev; struct seen seen;
	setup(&bus, &dev, &seen);
	select_reg(PCI_DEVFN(3, 0), PCI_COMMAND);
	data_write(&bus, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	select_reg(PCI_DEVFN(3, 0), PCI_BAR0);
	data_write(&bus, 4, 0xFFFFFFFF);
	CHECK_EQ(data_read(&bus, 0, 4), 0xFFFFFFE1);
	select_reg(PCI_DEVFN(3, 0), PCI_BAR0 + 4);
	data_write(&bus, 4, 0xFFFFFFFF);
	CHECK_EQ(data_read(&bus, 0, 4), 0xFFFFF000);
	select_reg(PCI_DEVFN(3, 0), PCI_BAR0 + 8);	/* not there */
	data_write(&bus, 4, 0xFFFFFFFF);
	CHECK_EQ(data_read(&bus, 0, 4), 0);
	CHECK_EQ(seen.maps, 0);
}

TEST(pci_bar_moves_its_region_and_the_command_register_turns_it_off)
{
	struct pci_bus bus; struct pci_dev dev; struct seen seen;
	setup(&bus, &dev, &seen);
	select_reg(PCI_DEVFN(3, 0), PCI_BAR0);
	data_write(&bus, 4, 0xC000);
	CHECK_EQ(seen.maps, 0);					/* decoding still off */
	select_reg(PCI_DEVFN(3, 0), PCI_COMMAND);
	data_write(&bus, 2, PCI_COMMAND_IO);
	CHECK_EQ(seen.maps, 1);
	CHECK_EQ(seen.base, 0xC000);
	select_reg(PCI_DEVFN(3, 0), PCI_BAR0);
	data_write(&bus, 4, 0xC040);
	CHECK_EQ(seen.maps, 2);
	CHECK_EQ(seen.unmaps, 1);
	CHECK_EQ(seen.base, 0xC040);
	pci_reset(&bus);
	CHECK_EQ(seen.unmaps, 2);
	CHECK_EQ(pci_get_reg(&dev, PCI_BAR0, 4), 1);
}

TEST(pci_pins_rotate_over_the_four_lines_by_slot)	/* [82371SB] */
{
	CHECK_EQ(pci_pirq(PCI_DEVFN(1, 0), 1), 0);
	CHECK_EQ(pci_pirq(PCI_DEVFN(1, 3), 4), 3);
	CHECK_EQ(pci_pirq(PCI_DEVFN(2, 0), 1), 1);
	CHECK_EQ(pci_pirq(PCI_DEVFN(4, 0), 2), 0);
}

TEST(pci_line_stays_up_until_the_last_function_lets_go)
{
	struct pci_bus bus; struct pci_dev dev, other; struct seen seen;
	setup(&bus, &dev, &seen);
	memset(&other, 0, sizeof(other));
	pci_identify(&other, "other", PCI_DEVFN(7, 0), 1, 2, 0, 0, 1);	/* shares PIRQC with slot 3 */
	pci_add(&bus, &other);
	pci_set_intx(&dev, true);
	CHECK_EQ(seen.pirq, 2);
	CHECK(seen.level);
	pci_set_intx(&other, true);
	pci_set_intx(&dev, false);
	CHECK_EQ(seen.changes, 1);
	pci_set_intx(&other, false);
	CHECK_EQ(seen.changes, 2);
	CHECK(!seen.level);
}

TEST(pci_interrupt_disable_bit_releases_the_line_but_not_the_status)
{
	struct pci_bus bus; struct pci_dev dev; struct seen seen;
	setup(&bus, &dev, &seen);
	pci_set_intx(&dev, true);
	pci_config_write(&bus, 0x80001804, 2, PCI_COMMAND_INTX_OFF);
	CHECK(!seen.level);
	CHECK(dev.config[PCI_STATUS] & PCI_STATUS_INTX);
	pci_config_write(&bus, 0x80001804, 2, 0);
	CHECK(seen.level);
}

TEST(pci_second_function_makes_the_first_a_multifunction_device)
{
	struct pci_bus bus; struct pci_dev dev, fn1; struct seen seen;
	setup(&bus, &dev, &seen);
	memset(&fn1, 0, sizeof(fn1));
	pci_identify(&fn1, "fn1", PCI_DEVFN(3, 1), 1, 2, 0, 0, 0);
	CHECK_EQ(dev.config[PCI_HEADER_TYPE], 0);
	pci_add(&bus, &fn1);
	CHECK_EQ(dev.config[PCI_HEADER_TYPE], 0x80);
}
