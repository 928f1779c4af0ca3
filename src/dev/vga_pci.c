/*
 * The card as a PCI function: frame buffer in BAR 0, registers memory-mapped in BAR 2.
 *						[QEMU "standard VGA" interface description]
 */
#include <string.h>

#include "dev/vga.h"

#define MMIO_EDID	0x000		/* up to MMIO_VGA; FFh behind the block */
#define MMIO_VGA	0x400		/* ports 3C0h..3DFh */
#define MMIO_VBE	0x500		/* VBE registers, 2 bytes each */
#define MMIO_EXT	0x600		/* size of this block, byte order */

#define LITTLE_ENDIAN_FB 0x1E1E1E1E

static uint32_t mmio_read(void *arg, gpa_t offset, unsigned size)
{
	struct vga *vga = arg;
	uint32_t val = 0;

	if (offset + size <= MMIO_EDID + EDID_BYTES) {
		uint8_t edid[EDID_BYTES];

		vga_edid(edid);
		for (unsigned i = 0; i < size; i++)
			val |= (uint32_t)edid[offset + i] << 8 * i;
		return val;
	}
	if (offset >= MMIO_VGA && offset + size <= MMIO_VGA + 0x20) {
		for (unsigned i = 0; i < size; i++)
			val |= (uint32_t)(vga_port_read(vga, (uint16_t)(0x3C0 + offset - MMIO_VGA + i), 1) & 0xFF) << 8 * i;
		return val;
	}
	if (offset >= MMIO_VBE && offset + size <= MMIO_VBE + 2 * VBE_REGS) {
		unsigned index = (unsigned)(offset - MMIO_VBE) / 2;

		val = vbe_read(vga, index) | (uint32_t)vbe_read(vga, index + 1) << 16;
		return val >> 8 * (offset & 1);
	}
	if (offset == MMIO_EXT)
		return 8;
	if (offset == MMIO_EXT + 4)
		return LITTLE_ENDIAN_FB;
	return 0xFFFFFFFF;
}

static void mmio_write(void *arg, gpa_t offset, unsigned size, uint32_t val)
{
	struct vga *vga = arg;

	if (offset >= MMIO_VGA && offset + size <= MMIO_VGA + 0x20) {
		for (unsigned i = 0; i < size; i++)
			vga_port_write(vga, (uint16_t)(0x3C0 + offset - MMIO_VGA + i), 1, val >> 8 * i & 0xFF);
	} else if (offset >= MMIO_VBE && offset + size <= MMIO_VBE + 2 * VBE_REGS && size >= 2 && !(offset & 1)) {
		vbe_write(vga, (unsigned)(offset - MMIO_VBE) / 2, (uint16_t)val);
		if (size == 4)
			vbe_write(vga, (unsigned)(offset - MMIO_VBE) / 2 + 1, (uint16_t)(val >> 16));
	}
}

static const struct mmio_ops mmio_ops = { mmio_read, mmio_write };

static void map_bar(struct pci_dev *dev, unsigned n)
{
	static const char *const names[7] = { [0] = "vga-lfb", [2] = "vga-mmio", [PCI_BAR_ROM] = "vga-rom" };
	struct vga *vga = dev->arg;
	const struct pci_bar *bar = &dev->bar[n];
	struct phys_region r = { .start = bar->base, .size = bar->size, .name = names[n], .arg = vga };

	phys_remove(vga->phys, names[n]);
	if (n == 0)
		vga->lfb = bar->mapped ? bar->base : 0;
	if (!bar->mapped)
		return;
	if (n == 2) {
		r.kind = PHYS_MMIO;
		r.ops = &mmio_ops;
	} else {
		r.kind = n == 0 ? PHYS_RAM : PHYS_ROM;
		r.fd_offset = n == 0 ? vga->fd_offset : vga->rom_fd_offset;
	}
	phys_add(vga->phys, r);
}

void vga_pci_init(struct vga *vga, struct pci_bus *bus, unsigned devfn, const uint8_t *rom, size_t rom_bytes)
{
	struct pci_dev *dev = &vga->pci;

	memset(dev, 0, sizeof(*dev));
	pci_identify(dev, "vga", devfn, 0x1234, 0x1111, 0x030000, 2, 0);
	pci_add_bar(dev, 0, VGA_VRAM_BYTES, false, true);
	pci_add_bar(dev, 2, PAGE_BYTES, false, false);
	dev->writable[PCI_COMMAND] |= PCI_COMMAND_IO;
	if (rom_bytes > 0 && rom_bytes <= VGA_ROM_MAX) {
		vga->rom_fd_offset = phys_alloc_extra(vga->phys, VGA_ROM_MAX);
		memcpy(vga->phys->ram + vga->rom_fd_offset, rom, rom_bytes);
		pci_add_bar(dev, PCI_BAR_ROM, VGA_ROM_MAX, false, false);
	}
	dev->map = map_bar;
	dev->arg = vga;
	pci_add(bus, dev);
}
