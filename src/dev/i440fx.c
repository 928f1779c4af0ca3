/*
 * Host bridge.		[82441FX "PCI and Memory Controller (PMC)"]
 *
 * PAM registers 59h..5Fh: per segment of C0000h..FFFFFh, RE and WE say whether reads and writes go
 * to RAM or to the PCI bus. On the PCI bus a read finds the firmware's ROM, or nothing; a write is lost.
 * Left out: SMRAM (the processor has no system management mode; the register reads as locked and
 * disabled), DRAM timing and row registers (scratch), error reporting.
 */
#include <stdio.h>
#include <string.h>

#include "dev/i440fx.h"

enum { PAM0 = 0x59, SMRAM = 0x72 };
enum { PAM_READ = BIT(0), PAM_WRITE = BIT(1) };

static gpa_t segment_start(unsigned i)
{
	return 0xC0000 + 0x4000 * i;	/* i = 12: F0000h */
}

static uint64_t segment_size(unsigned i)
{
	return i == 12 ? 0x10000 : 0x4000;
}

/* PAM0 holds F0000h in its high half; PAM1..6 two segments each, the lower address in the low half. */
static uint8_t segment_attributes(const struct i440fx *bridge, unsigned i)
{
	if (i == 12)
		return bridge->pci.config[PAM0] >> 4 & 3;
	return bridge->pci.config[PAM0 + 1 + i / 2] >> (i & 1 ? 4 : 0) & 3;
}

static bool segment_is_rom(const struct i440fx *bridge, unsigned i)
{
	return bridge->rom_present && segment_start(i) >= bridge->rom_start;
}

/* Writes to RAM, reads from the bus: how firmware copies itself into the RAM under it. */
static uint32_t copy_through_read(void *arg, gpa_t offset, unsigned size)
{
	const struct i440fx_run *run = arg;
	const struct i440fx *bridge = run->bridge;
	gpa_t gpa = run->start + offset;
	uint32_t val = 0xFFFFFFFF;

	if (bridge->rom_present && gpa >= bridge->rom_start) {
		val = 0;
		memcpy(&val, bridge->phys->ram + bridge->rom_fd_offset + (gpa - bridge->rom_start), size);
	}
	return val;
}

static void copy_through_write(void *arg, gpa_t offset, unsigned size, uint32_t val)
{
	const struct i440fx_run *run = arg;

	struct phys *phys = run->bridge->phys;
	uint64_t at = run->start + offset;

	memcpy(phys->ram + at, &val, size);
	if (phys->page_flags[at >> PAGE_SHIFT] & (PAGE_CODE | PAGE_SCAN) && phys->code_written != NULL)
		phys->code_written(phys->arg, at, size);
}

static const struct mmio_ops copy_through_ops = { copy_through_read, copy_through_write };

static void map_run(struct i440fx *bridge, gpa_t start, uint64_t size, uint8_t pam, bool rom)
{
	struct i440fx_run *run = &bridge->run[bridge->nruns++];
	struct phys_region r = { .start = start, .size = size, .name = run->name };

	run->bridge = bridge;
	run->start = start;
	switch (pam) {
	case PAM_READ | PAM_WRITE:
		r.kind = PHYS_RAM;
		r.fd_offset = start;
		break;
	case PAM_READ:			/* RAM, write-protected */
		r.kind = PHYS_ROM;
		r.fd_offset = start;
		break;
	case PAM_WRITE:
		r.kind = PHYS_MMIO;
		r.ops = &copy_through_ops;
		r.arg = run;
		break;
	default:
		r.kind = rom ? PHYS_ROM : PHYS_NONE;
		r.fd_offset = rom ? bridge->rom_fd_offset + (start - bridge->rom_start) : 0;
	}
	phys_add(bridge->phys, r);
}

static void i440fx_map(struct i440fx *bridge)
{
	for (unsigned i = 0; i < bridge->nruns; i++)
		phys_remove(bridge->phys, bridge->run[i].name);
	bridge->nruns = 0;
	for (unsigned i = 0; i < I440FX_SEGMENTS; ) {
		unsigned last = i;
		bool rom = segment_is_rom(bridge, i);
		while (last + 1 < I440FX_SEGMENTS && bridge->pam[last + 1] == bridge->pam[i] &&
		       segment_is_rom(bridge, last + 1) == rom)
			last++;
		map_run(bridge, segment_start(i), segment_start(last) + segment_size(last) - segment_start(i),
		    bridge->pam[i], rom);
		i = last + 1;
	}
}

static void i440fx_written(struct pci_dev *dev, unsigned reg, unsigned size)
{
	struct i440fx *bridge = dev->arg;
	bool changed = bridge->nruns == 0;

	for (unsigned i = 0; i < I440FX_SEGMENTS; i++) {
		uint8_t pam = segment_attributes(bridge, i);
		changed |= pam != bridge->pam[i];
		bridge->pam[i] = pam;
	}
	if (changed)
		i440fx_map(bridge);
}

void i440fx_init(struct i440fx *bridge, struct pci_bus *bus, struct phys *phys, uint64_t rom_fd_offset,
		 uint32_t rom_bytes, bool all_ram)
{
	struct pci_dev *dev = &bridge->pci;

	memset(bridge, 0, sizeof(*bridge));
	bridge->phys = phys;
	bridge->rom_present = rom_bytes != 0;
	bridge->rom_start = 0x100000 - rom_bytes;
	bridge->rom_fd_offset = rom_fd_offset;
	for (unsigned i = 0; i < I440FX_SEGMENTS; i++)
		snprintf(bridge->run[i].name, sizeof(bridge->run[i].name), "pam%u", i);

	pci_identify(dev, "host bridge", PCI_DEVFN(0, 0), 0x8086, 0x1237, 0x060000, 2, 0);
	pci_set_reg(dev, PCI_COMMAND, 2, 0x0006, 0x0100);	/* memory and master: always on */
	pci_set_reg(dev, 0x50, 4, 0, 0xFFFFFFFF);		/* configuration, DRAM timing: scratch */
	pci_set_reg(dev, 0x54, 4, 0, 0xFFFFFFFF);
	pci_set_reg(dev, 0x58, 1, 0, 0xFF);
	pci_set_reg(dev, PAM0, 1, all_ram ? 0x30 : 0, 0x30);
	for (unsigned i = 1; i <= 6; i++)
		pci_set_reg(dev, PAM0 + i, 1, all_ram ? 0x33 : 0, 0x33);
	pci_set_reg(dev, SMRAM, 1, 0x12, 0);			/* locked, not enabled */
	dev->written = i440fx_written;
	dev->arg = bridge;
	pci_add(bus, dev);
	i440fx_written(dev, 0, 256);
}
