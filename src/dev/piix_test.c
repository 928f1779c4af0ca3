#include <string.h>

#include "dev/piix.h"
#include "tests/test.h"

struct seen { uint16_t irqs, bmdma, pm, smbus; };
struct board { struct pci_bus bus; struct piix piix; struct seen seen; };

static void on_irq(void *arg, unsigned irq, bool level)
{
	struct seen *s = arg;
	s->irqs = level ? s->irqs | 1u << irq : s->irqs & ~(1u << irq);
}
static void on_bmdma(void *arg, uint16_t base) { ((struct seen *)arg)->bmdma = base; }
static void on_pm(void *arg, uint16_t base) { ((struct seen *)arg)->pm = base; }
static void on_smbus(void *arg, uint16_t base) { ((struct seen *)arg)->smbus = base; }

static void setup(struct board *b, bool configured)
{
	memset(b, 0, sizeof(*b));
	struct piix_host host = { &b->seen, on_irq, on_bmdma, on_pm, on_smbus };
	piix_init(&b->piix, &b->bus, &host, configured, true);
	pci_reset(&b->bus);
}

static void cfg(struct board *b, unsigned fn, unsigned reg, unsigned size, uint32_t val)
{
	pci_config_write(&b->bus, 0x80000000 | PCI_DEVFN(PIIX_SLOT, fn) << 8 | reg, size, val);
}

TEST(piix_routes_a_line_to_the_interrupt_its_register_names)	/* [82371SB "PIRQRC"] */
{
	struct board b;
	setup(&b, false);
	b.bus.pirq(b.bus.arg, 1, true);
	CHECK_EQ(b.seen.irqs, 0);				/* bit 7 after reset: not routed */
	cfg(&b, 0, 0x61, 1, 11);
	CHECK_EQ(b.seen.irqs, 1u << 11);
	cfg(&b, 0, 0x61, 1, 5);					/* a new route moves a live level */
	CHECK_EQ(b.seen.irqs, 1u << 5);
	b.bus.pirq(b.bus.arg, 1, false);
	CHECK_EQ(b.seen.irqs, 0);
}

TEST(piix_lines_that_share_an_interrupt_are_ored)
{
	struct board b;
	setup(&b, true);
	b.bus.pirq(b.bus.arg, 0, true);
	b.bus.pirq(b.bus.arg, 1, true);
	b.bus.pirq(b.bus.arg, 0, false);
	CHECK_EQ(b.seen.irqs, 1u << 10);
	b.bus.pirq(b.bus.arg, 1, false);
	CHECK_EQ(b.seen.irqs, 0);
}

TEST(piix_bus_master_region_follows_its_base_register)
{
	struct board b;
	setup(&b, false);
	cfg(&b, 1, 0x20, 4, 0xC0A0);
	CHECK_EQ(b.seen.bmdma, 0);
	cfg(&b, 1, PCI_COMMAND, 2, 5);
	CHECK_EQ(b.seen.bmdma, 0xC0A0);
	cfg(&b, 1, PCI_COMMAND, 2, 0);
	CHECK_EQ(b.seen.bmdma, 0);
}

TEST(piix_power_management_block_moves_and_needs_its_enable_bit)	/* [82371AB "PMBASE", "PMREGMISC"] */
{
	struct board b;
	setup(&b, false);
	cfg(&b, 3, 0x40, 4, 0x601);
	CHECK_EQ(b.seen.pm, 0);
	cfg(&b, 3, 0x80, 1, 1);
	CHECK_EQ(b.seen.pm, 0x600);
	cfg(&b, 3, 0x40, 4, 0xB001);
	CHECK_EQ(b.seen.pm, 0xB000);
	cfg(&b, 3, 0x90, 4, 0x701);
	cfg(&b, 3, 0xD2, 1, 9);
	CHECK_EQ(b.seen.smbus, 0x700);
}

TEST(piix_without_firmware_comes_up_configured)
{
	struct board b;
	setup(&b, true);
	CHECK_EQ(b.seen.bmdma, 0xC000);
	CHECK_EQ(b.seen.pm, 0x600);
}

TEST(smbus_transfer_ends_in_a_device_error_since_nobody_answers)
{
	struct smbus bus = { 0 };
	smbus_write(&bus, 4, 0xA1);
	smbus_write(&bus, 2, 0x48);
	CHECK_EQ(smbus_read(&bus, 0), 0x04);
	CHECK_EQ(smbus_read(&bus, 2), 0x08);			/* START reads as 0 */
	smbus_write(&bus, 0, 0x04);
	CHECK_EQ(smbus_read(&bus, 0), 0);
}
