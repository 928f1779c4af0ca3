/*
 * The PCI side of the board.				[82441FX], [82371SB], [82371AB], [SDM 3], [82093AA], [HPET 1.0a]
 *
 * Interrupts: every line of struct pc goes to the 8259As and to the I/O APIC; line 0 (timer) is the I/O
 * APIC's input 2. The 8259As' INT is LINT0 of the local APIC, which alone drives the CPU's INTR.
 */
#include <string.h>

#include "dev/chipset.h"

enum { IRQ_FDC = 6, IRQ_IDE = 14 };

static void mem_read(void *arg, gpa_t gpa, void *buf, size_t len)
{
	phys_read(((struct chipset *)arg)->pc->phys, gpa, buf, len);
}

static void mem_write(void *arg, gpa_t gpa, const void *buf, size_t len)
{
	phys_write(((struct chipset *)arg)->pc->phys, gpa, buf, len);
}

/* --- PCI --- */

static uint32_t config_read(void *arg, uint32_t addr, unsigned size)
{
	return pci_config_read(&((struct chipset *)arg)->pci, addr, size);
}

static void config_write(void *arg, uint32_t addr, unsigned size, uint32_t val)
{
	pci_config_write(&((struct chipset *)arg)->pci, addr, size, val);
}

static void pci_set_irq(void *arg, unsigned irq, bool level)
{
	pc_set_irq_source(((struct chipset *)arg)->pc, irq, IRQ_SRC_PCI, level);
}

static void move_pm(void *arg, uint16_t base)
{
	pc_acpi_move(((struct chipset *)arg)->pc, base);
}

static uint32_t smbus_port_read(void *arg, uint16_t port, unsigned size)
{
	return smbus_read(&((struct chipset *)arg)->piix.smbus, port & 15);
}

static void smbus_port_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	smbus_write(&((struct chipset *)arg)->piix.smbus, port & 15, val);
}

static void move_smbus(void *arg, uint16_t base)
{
	struct chipset *cs = arg;

	bus_move(&cs->pc->bus, (struct io_row){ .width = 1, .read = smbus_port_read, .write = smbus_port_write, .arg = cs,
	    .name = "smbus" }, base, 16);
}

/* --- IDE --- */

static uint32_t ide_port_read(void *arg, uint16_t port, unsigned size)
{
	struct chipset *cs = arg;

	return ide_read(&cs->ide.channel[port < 0x1F0], port & 7, size);
}

static void ide_port_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct chipset *cs = arg;

	ide_write(&cs->ide.channel[port < 0x1F0], port & 7, size, val);
}

static uint32_t ide_control_read(void *arg, uint16_t port, unsigned size)
{
	return ide_read_alternate(&((struct chipset *)arg)->ide.channel[port < 0x3F6]);
}

static void ide_control_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	ide_write_control(&((struct chipset *)arg)->ide.channel[port < 0x3F6], val);
}

static uint32_t bmdma_read(void *arg, uint16_t port, unsigned size)
{
	return ide_bm_read(&((struct chipset *)arg)->ide, port & 15, size);
}

static void bmdma_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	ide_bm_write(&((struct chipset *)arg)->ide, port & 15, size, val);
}

static void move_bmdma(void *arg, uint16_t base)
{
	struct chipset *cs = arg;

	bus_move(&cs->pc->bus, (struct io_row){ .width = 4, .read = bmdma_read, .write = bmdma_write, .arg = cs, .name = "bmdma" },
	    base, 16);
}

static void ide_set_irq(void *arg, unsigned channel, bool level)
{
	struct chipset *cs = arg;

	pc_set_irq_source(cs->pc, IRQ_IDE + channel, IRQ_SRC_CHIP, level);
}

static void ide_tray(void *arg, unsigned channel, unsigned drive, bool open, bool locked)
{
	struct chipset *cs = arg;

	if (cs->cfg.tray != NULL)
		cs->cfg.tray(cs->cfg.arg, channel, drive, open, locked);
}

/* SeaBIOS asks CMOS 39h how to translate: 2 bits a drive, 0 none (it has at most 1024 cylinders), 1 LBA. */
void chipset_attach_ide(struct chipset *cs, unsigned channel, unsigned drive, enum ide_kind kind, struct disk *disk,
			const char *serial)
{
	struct rtc *rtc = &cs->pc->rtc;
	unsigned cylinders, heads, sectors, shift = 2 * (2 * channel + drive);

	ide_attach(&cs->ide, channel, drive, kind, disk, serial);
	if (kind != IDE_DISK)
		return;
	ide_geometry(disk->size_bytes, &cylinders, &heads, &sectors);
	rtc_set_cmos(rtc, 0x39, (rtc->reg[0x39] & ~(3u << shift)) | (cylinders > 1024) << shift);
}

/* --- floppy --- */

static uint32_t fdc_port_read(void *arg, uint16_t port, unsigned size)
{
	return fdc_read(&((struct chipset *)arg)->fdc, port & 7);
}

static void fdc_port_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	fdc_write(&((struct chipset *)arg)->fdc, port & 7, val);
}

static void fdc_set_irq(void *arg, bool level)
{
	pc_set_irq_source(((struct chipset *)arg)->pc, IRQ_FDC, IRQ_SRC_CHIP, level);
}

static size_t fdc_dma(void *arg, void *buf, size_t len, bool *tc)
{
	struct chipset *cs = arg;
	struct dma_memory mem = pc_dma_memory(cs->pc);

	return dma_transfer(&cs->pc->dma, 2, buf, len, tc, &mem);
}

void chipset_attach_floppy(struct chipset *cs, unsigned drive, struct disk *disk)
{
	struct rtc *rtc = &cs->pc->rtc;
	unsigned type;

	fdc_attach(&cs->fdc, drive, disk);
	type = fdc_drive_type(&cs->fdc, drive);
	rtc_set_cmos(rtc, 0x10, drive == 0 ? (rtc->reg[0x10] & 0x0F) | type << 4 : (rtc->reg[0x10] & 0xF0) | type);
	unsigned n = (rtc->reg[0x10] >> 4 != 0) + ((rtc->reg[0x10] & 15) != 0);
	rtc_set_cmos(rtc, 0x14, (rtc->reg[0x14] & 0x3E) | (n > 0 ? 1 | (n - 1) << 6 : 0));
	rtc_checksum(rtc);
}

/* --- firmware configuration --- */

static uint32_t fw_cfg_port_read(void *arg, uint16_t port, unsigned size)
{
	return fw_cfg_read(&((struct chipset *)arg)->fw_cfg, port - 0x510u, size);
}

static void fw_cfg_port_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	fw_cfg_write(&((struct chipset *)arg)->fw_cfg, port - 0x510u, size, val);
}

/* --- APICs --- */

static uint32_t lapic_mmio_read(void *arg, gpa_t offset, unsigned size)
{
	struct chipset *cs = arg;

	return lapic_read(&cs->lapic, offset & 0xFFF, pc_now(cs->pc));
}

static void lapic_mmio_write(void *arg, gpa_t offset, unsigned size, uint32_t val)
{
	struct chipset *cs = arg;
	const struct lapic *apic = &cs->lapic;
	ns_t now = pc_now(cs->pc), next = lapic_next(apic, now), start = apic->start;

	lapic_write(&cs->lapic, offset & 0xFFF, val, now);
	pc_update_intr(cs->pc);
	if (lapic_next(apic, now) != next) {
		/* no tick; or started anew: from now, but for a steady beat, and what the last was late is lost */
		cs->pc->stirred |= lapic_tick(apic) == 0 || (apic->start != start && apic->beat.period == 0);
		pc_timers_changed(cs->pc);
	}
}

static const struct mmio_ops lapic_ops = { lapic_mmio_read, lapic_mmio_write };

/* The registers move with IA32_APIC_BASE. */
static void map_lapic(struct chipset *cs)
{
	uint32_t at = cs->lapic.base_msr & 0xFFFFF000u;
	bool on = lapic_enabled(&cs->lapic);

	if (cs->lapic_mapped && (!on || at != cs->lapic_at))
		phys_remove(cs->pc->phys, "lapic");
	if (on && (!cs->lapic_mapped || at != cs->lapic_at))
		phys_add(cs->pc->phys, (struct phys_region){ .start = at, .size = PAGE_BYTES, .kind = PHYS_MMIO,
		    .ops = &lapic_ops, .arg = cs, .name = "lapic" });
	cs->lapic_mapped = on;
	cs->lapic_at = at;
}

static uint32_t ioapic_mmio_read(void *arg, gpa_t offset, unsigned size)
{
	return ioapic_read(&((struct chipset *)arg)->ioapic, offset);
}

static void ioapic_mmio_write(void *arg, gpa_t offset, unsigned size, uint32_t val)
{
	struct chipset *cs = arg;

	ioapic_write(&cs->ioapic, offset, val);
	pc_update_intr(cs->pc);
}

static const struct mmio_ops ioapic_ops = { ioapic_mmio_read, ioapic_mmio_write };

static bool ioapic_send(void *arg, uint8_t dest, bool logical, unsigned mode, uint8_t vector, bool level)
{
	struct chipset *cs = arg;

	if (!lapic_matches(&cs->lapic, dest, logical))
		return false;
	lapic_deliver(&cs->lapic, mode, vector, level);
	return true;
}

static void lapic_eoi(void *arg, uint8_t vector)
{
	ioapic_eoi(&((struct chipset *)arg)->ioapic, vector);
}

static void lapic_nmi(void *arg)
{
	struct vcpu *cpu = ((struct chipset *)arg)->pc->cpu;

	cpu->nmi_pending = true;
	__atomic_or_fetch(&cpu->attention, ATTN_EVENT, __ATOMIC_RELAXED);
}

static void irq_hook(void *arg, unsigned line, bool level)
{
	struct chipset *cs = arg;

	if (line != 2)				/* the cascade is the 8259As' own */
		ioapic_set_pin(&cs->ioapic, line == 0 ? 2 : line, level);
}

static bool intr_hook(void *arg, bool pic_int)
{
	struct chipset *cs = arg;

	lapic_set_lint0(&cs->lapic, pic_int);
	return lapic_intr(&cs->lapic);
}

static int intr_ack_hook(void *arg)
{
	return lapic_ack(&((struct chipset *)arg)->lapic);
}

static uint64_t apic_base(void *arg)
{
	return ((struct chipset *)((struct pc *)arg)->hook_arg)->lapic.base_msr;
}

static void set_apic_base(void *arg, uint64_t val)
{
	struct chipset *cs = ((struct pc *)arg)->hook_arg;

	lapic_set_base(&cs->lapic, val);
	map_lapic(cs);
	pc_update_intr(cs->pc);
	pc_timers_changed(cs->pc);
}

/* --- HPET --- */

static uint32_t hpet_mmio_read(void *arg, gpa_t offset, unsigned size)
{
	struct chipset *cs = arg;

	return hpet_read(&cs->hpet, (unsigned)offset, size, pc_now(cs->pc));
}

static void hpet_mmio_write(void *arg, gpa_t offset, unsigned size, uint32_t val)
{
	struct chipset *cs = arg;

	hpet_write(&cs->hpet, (unsigned)offset, size, val, pc_now(cs->pc));
	pc_timers_changed(cs->pc);
}

static const struct mmio_ops hpet_ops = { hpet_mmio_read, hpet_mmio_write };

static void hpet_set_irq(void *arg, unsigned line, bool level)
{
	pc_set_irq_source(((struct chipset *)arg)->pc, line, IRQ_SRC_OTHER, level);
}

static void hpet_set_legacy(void *arg, bool on)
{
	pc_cut_timer_irqs(((struct chipset *)arg)->pc, on);
}

static void init_hpet(struct chipset *cs)
{
	cs->hpet.set_irq = hpet_set_irq;
	cs->hpet.set_legacy = hpet_set_legacy;
	cs->hpet.arg = cs;
	hpet_reset(&cs->hpet, pc_now(cs->pc));
	phys_add(cs->pc->phys, (struct phys_region){ .start = HPET_BASE, .size = PAGE_BYTES, .kind = PHYS_MMIO,
	    .ops = &hpet_ops, .arg = cs, .name = "hpet" });
}

/* --- time, reset, set-up --- */

/* HPET's ticks are never late: several at once are one, as on hardware. */
static ns_t next_hook(void *arg, ns_t now, ns_t slack)
{
	const struct chipset *cs = arg;
	ns_t next = lapic_next(&cs->lapic, now);

	if (next > now)
		next = tick_late(next, lapic_tick(&cs->lapic), slack);
	if (cs->net.present)
		next = MIN(next, e1000_next(&cs->net.card));
	return cs->cfg.hpet ? MIN(next, hpet_next(&cs->hpet, now)) : next;
}

static void update_hook(void *arg, ns_t now)
{
	struct chipset *cs = arg;

	lapic_update(&cs->lapic, now);
	if (cs->cfg.hpet)
		hpet_update(&cs->hpet, now);
	if (cs->net.present && now >= e1000_next(&cs->net.card))
		e1000_update(&cs->net.card, now);
}

static void reset_hook(void *arg)
{
	struct chipset *cs = arg;

	ide_reset(&cs->ide);
	chipset_net_reset(cs);
	fdc_reset(&cs->fdc);
	lapic_reset(&cs->lapic);
	ioapic_reset(&cs->ioapic);
	map_lapic(cs);
	if (cs->cfg.hpet)
		hpet_reset(&cs->hpet, pc_now(cs->pc));
	fw_cfg_reset(&cs->fw_cfg);
	pci_reset(&cs->pci);
	if (!cs->cfg.firmware)			/* PCI's interrupts are levels */
		pic_write(&cs->pc->pic, 0x4D1, 0x0C);
	/* pc_reset() has put the power management block where a board without firmware has it. */
	pc_acpi_move(cs->pc, cs->piix.pm_base);
}

static int claim_ports(struct chipset *cs)
{
#define PORTS(first, last, width, name, chip)	{ first, last, width, false, chip##_read, chip##_write, cs, name, 0 }
	const struct io_row ports[] = {
		/* only the data register is wider than a byte: the others lie on top of its last three */
		PORTS(0x1F0, 0x1F3, 4, "ide", ide_port),
		PORTS(0x1F1, 0x1F7, 1, "ide", ide_port),
		PORTS(0x3F6, 0x3F6, 1, "ide", ide_control),
		PORTS(0x170, 0x173, 4, "ide", ide_port),
		PORTS(0x171, 0x177, 1, "ide", ide_port),
		PORTS(0x376, 0x376, 1, "ide", ide_control),
		PORTS(0x3F0, 0x3F5, 1, "fdc", fdc_port),
		PORTS(0x3F7, 0x3F7, 1, "fdc", fdc_port),
		PORTS(0x510, 0x511, 2, "fw_cfg", fw_cfg_port),
		PORTS(0x514, 0x51B, 4, "fw_cfg", fw_cfg_port),
	};
	int err = 0;

	for (unsigned i = 0; i < ARRAY_LEN(ports) && err == 0; i++)
		err = bus_claim(&cs->pc->bus, ports[i]);
	return err;
}

static void init_apics(struct chipset *cs)
{
	cs->lapic.eoi = lapic_eoi;
	cs->lapic.nmi = lapic_nmi;
	cs->lapic.arg = cs;
	cs->ioapic.send = ioapic_send;
	cs->ioapic.arg = cs;
	lapic_reset(&cs->lapic);
	ioapic_reset(&cs->ioapic);
	map_lapic(cs);
	phys_add(cs->pc->phys, (struct phys_region){ .start = IOAPIC_BASE, .size = PAGE_BYTES, .kind = PHYS_MMIO,
	    .ops = &ioapic_ops, .arg = cs, .name = "ioapic" });
}

static void take_hooks(struct chipset *cs)
{
	struct pc *pc = cs->pc;

	pc->pci = (struct pci_hook){ config_read, config_write, cs };
	pc->irq_hook = irq_hook;
	pc->intr_hook = intr_hook;
	pc->intr_ack_hook = intr_ack_hook;
	pc->next_hook = next_hook;
	pc->update_hook = update_hook;
	pc->reset_hook = reset_hook;
	pc->hook_arg = cs;
	cs->cpu_bus = pc_cpu_bus;
	cs->cpu_bus.apic_base = apic_base;
	cs->cpu_bus.set_apic_base = set_apic_base;
	pc->cpu->bus = &cs->cpu_bus;
}

int chipset_init(struct chipset *cs, struct pc *pc, const struct chipset_config *cfg)
{
	struct piix_host piix = { cs, pci_set_irq, move_bmdma, move_pm, move_smbus };
	struct ide_host ide = { cs, ide_set_irq, mem_read, mem_write, ide_tray };
	struct fdc_host fdc = { cs, fdc_set_irq, fdc_dma };

	memset(cs, 0, sizeof(*cs));
	cs->pc = pc;
	cs->cfg = *cfg;
	i440fx_init(&cs->host_bridge, &cs->pci, pc->phys, cfg->rom_fd_offset, cfg->rom_bytes, !cfg->firmware);
	piix_init(&cs->piix, &cs->pci, &piix, !cfg->firmware, !cfg->no_acpi);
	ide_init(&cs->ide, &ide);
	fdc_init(&cs->fdc, &fdc);
	fw_cfg_init(&cs->fw_cfg);
	cs->fw_cfg.mem_read = mem_read;
	cs->fw_cfg.mem_write = mem_write;
	cs->fw_cfg.arg = cs;
	int err = claim_ports(cs);
	if (err < 0)
		return err;
	init_apics(cs);
	if (cfg->hpet)
		init_hpet(cs);
	take_hooks(cs);
	reset_hook(cs);
	return 0;
}
