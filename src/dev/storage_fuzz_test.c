/*
 * Random accesses to the storage chips and the PCI functions: whatever a guest writes, they end in some
 * state of theirs, inside their own memory, and work after a reset. (Run under the sanitizers, too.)
 */
#include <stdlib.h>
#include <string.h>

#include "dev/fdc.h"
#include "dev/ide.h"
#include "dev/ioapic.h"
#include "dev/lapic.h"
#include "dev/piix.h"
#include "tests/medium.h"
#include "tests/test.h"

#define BYTES (3u << 20)

static uint32_t seed;

/* C leaves it open which operand or argument comes first: whoever draws twice, draws in two statements. */
static uint32_t rnd(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 8 ^ seed << 20;
}

static uint32_t dice(void *arg) { return rnd(); }
static void set_irq(void *arg, unsigned channel, bool level) { }

/* Memory full of small numbers: PRD tables of all kinds. */
static void mem_read(void *arg, gpa_t gpa, void *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = rnd() % 4 ? 0 : rnd();
}

static void mem_write(void *arg, gpa_t gpa, const void *buf, size_t len) { }

static const uint8_t commands[] = { 0x20, 0x24, 0x29, 0xC4, 0xC8, 0x25, 0x30, 0x34, 0x39, 0xC5, 0xCA, 0x35, 0x40,
    0xE7, 0xEA, 0xC6, 0x91, 0xEC, 0xA0, 0xA1, 0xEF, 0x08, 0x90, 0x10 };
static const uint8_t packets[] = { 0x00, 0x03, 0x12, 0x1B, 0x1E, 0x25, 0x28, 0x42, 0x43, 0x46, 0x4A, 0x51, 0x52, 0x5A,
    0xA8, 0xBD, 0xBE };

static void ide_step(struct ide *ide, struct medium *m)
{
	struct ide_channel *ch = &ide->channel[rnd() % 2];
	unsigned reg = rnd() % 8, at = rnd() % 16, size = 1u << rnd() % 3;
	bool present;

	switch (rnd() % 16) {
	case 0:
		ide_write(ch, 7, 1, rnd() % 8 ? commands[rnd() % sizeof(commands)] : rnd());
		break;
	case 1: case 2: case 3:
		ide_write(ch, 1 + at % 6, 1, rnd() % 2 ? rnd() % 8 : rnd());
		break;
	case 4:
		ide_write_control(ch, rnd() % 8 ? 0 : rnd());
		break;
	case 5:
		ide_bm_write(ide, at, size, rnd());
		break;
	case 6:
		for (unsigned i = 0; i < 2; i++)
			medium_finish_one(&m[i]);
		break;
	case 7:
		present = rnd() % 2;
		if (rnd() % 64 == 0)
			ide_change_medium(ide, 1, 0, present ? &m[1].disk : NULL, rnd() % 2);
		break;
	case 8:				/* a packet, if one is awaited */
		for (unsigned i = 0; i < 6; i++)
			ide_write(&ide->channel[1], 0, 2, i == 0 ? packets[rnd() % sizeof(packets)] : rnd() % 3);
		break;
	case 9: case 10:
		for (unsigned i = rnd() % 3000; i > 0; i--)
			ide_read(ch, 0, 2);
		break;
	case 11:
		for (unsigned i = rnd() % 3000; i > 0; i--) {
			size = 1u << rnd() % 3;
			ide_write(ch, 0, size, rnd());
		}
		break;
	case 12:
		ide_bm_read(ide, at, size);
		break;
	default:
		ide_read(ch, reg, 1);
	}
}

TEST(ide_survives_random_accesses_and_works_after_reset)
{
	struct ide *ide = malloc(sizeof(*ide));
	struct medium m[2];
	struct ide_host host = { NULL, set_irq, mem_read, mem_write, NULL };
	seed = 1;
	medium_init(&m[0], BYTES, dice, NULL);
	medium_init(&m[1], BYTES, dice, NULL);
	ide_init(ide, &host);
	ide_attach(ide, 0, 0, IDE_DISK, &m[0].disk, NULL);
	ide_attach(ide, 1, 0, IDE_CDROM, &m[1].disk, NULL);
	for (unsigned i = 0; i < 300000; i++)
		ide_step(ide, m);
	medium_drain(&m[0].disk);
	medium_drain(&m[1].disk);
	ide_reset(ide);
	ide_write(&ide->channel[0], 6, 1, 0xA0);
	ide_write(&ide->channel[0], 7, 1, 0xEC);
	CHECK(ide_read(&ide->channel[0], 7, 1) & IDE_DRQ);
	free(m[0].bytes);
	free(m[1].bytes);
	free(ide);
}

static void fdc_irq(void *arg, bool level) { }

static size_t fdc_dma(void *arg, void *buf, size_t len, bool *tc)
{
	*tc = rnd() % 8 == 0;
	return rnd() % 32 ? len : len / 2;
}

TEST(fdc_survives_random_accesses_and_works_after_reset)
{
	static const uint8_t fdc_commands[] = { 0x46, 0xE6, 0xC5, 0x45, 0x4D, 0x4A, 0x0F, 0x07, 0x08, 0x03, 0x13, 0x0E,
	    0x04, 0x42, 0x16, 0x8F, 0xCF, 0x94, 0x10 };
	struct fdc *fdc = malloc(sizeof(*fdc));
	struct medium m;
	struct fdc_host host = { NULL, fdc_irq, fdc_dma };
	seed = 2;
	medium_init(&m, BYTES, dice, NULL);
	m.disk.size_bytes = 1440 * 1024;
	fdc_init(fdc, &host);
	fdc_attach(fdc, 0, &m.disk);
	for (unsigned i = 0; i < 1000000; i++) {
		unsigned reg = rnd() % 8;

		switch (rnd() % 8) {
		case 0:
			fdc_write(fdc, 2, rnd() % 64 ? 0x1C : rnd());
			break;
		case 1:
			fdc_write(fdc, 5, fdc_commands[rnd() % sizeof(fdc_commands)]);
			break;
		case 2: case 3:
			fdc_write(fdc, 5, rnd() % 3);
			break;
		case 4:
			medium_finish_one(&m);
			break;
		case 5:
			fdc_write(fdc, reg, rnd() % 4);
			break;
		default:
			fdc_read(fdc, reg);
		}
	}
	medium_drain(&m.disk);
	fdc_reset(fdc);
	fdc_write(fdc, 2, 0x1C);
	fdc_write(fdc, 5, 0x08);
	CHECK_EQ(fdc_read(fdc, 5), 0xC0);
	free(m.bytes);
	free(fdc);
}

static bool io_send(void *arg, uint8_t dest, bool logical, unsigned mode, uint8_t vector, bool level)
{
	lapic_deliver(arg, mode, vector, level);
	return true;
}

static void on_eoi(void *arg, uint8_t vector) { ioapic_eoi(arg, vector); }

TEST(apics_survive_random_accesses)
{
	struct lapic apic = { 0 };
	struct ioapic io = { 0 };
	ns_t now = 0;
	seed = 3;
	apic.eoi = on_eoi;
	apic.arg = &io;
	io.send = io_send;
	io.arg = &apic;
	lapic_reset(&apic);
	ioapic_reset(&io);
	for (unsigned i = 0; i < 2000000; i++) {
		now += rnd() % 100000;
		uint32_t at = rnd() % 0x400;

		switch (rnd() % 8) {
		case 0: lapic_write(&apic, at & ~15u, rnd(), now); break;
		case 1: lapic_read(&apic, at, now); break;
		case 2: ioapic_write(&io, at & 16, rnd() % 2 ? rnd() % 0x40 : rnd()); break;
		case 3: ioapic_set_pin(&io, at % IOAPIC_PINS, rnd() % 2); break;
		case 4: lapic_set_lint0(&apic, rnd() % 2); break;
		case 5: lapic_write(&apic, 0xF0, 0x1FF, now); break;
		case 6: lapic_update(&apic, now); break;
		default:
			if (lapic_intr(&apic))
				CHECK(lapic_ack(&apic) < 256);
			lapic_write(&apic, 0xB0, 0, now);
		}
		CHECK(lapic_next(&apic, now) != 0);
	}
}

static void no_irq(void *arg, unsigned irq, bool level) { CHECK(irq < 16); }
static void no_move(void *arg, uint16_t base) { }

TEST(pci_functions_survive_random_accesses)
{
	struct pci_bus *bus = calloc(1, sizeof(*bus));
	struct piix *piix = calloc(1, sizeof(*piix));
	struct piix_host host = { NULL, no_irq, no_move, no_move, no_move };
	seed = 4;
	piix_init(piix, bus, &host, false, true);
	for (unsigned i = 0; i < 500000; i++) {
		unsigned slot = rnd() % 3, function = rnd() % 4, size = 1u << rnd() % 3;
		uint32_t at = 0x80000000 | PCI_DEVFN(slot, function) << 8 | rnd() % 256;
		at &= ~(size - 1);
		pci_config_write(bus, at, size, rnd());
		pci_config_read(bus, at, size);
		bool pm = rnd() % 2;
		if (rnd() % 64 == 0)
			pci_set_intx(pm ? &piix->pm : &piix->ide, rnd() % 2);
	}
	pci_reset(bus);
	CHECK_EQ(pci_config_read(bus, 0x80000800, 4), 0x70008086);
	CHECK_EQ(piix->irq_level, 0);
	free(bus);
	free(piix);
}
