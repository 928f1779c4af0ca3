/*
 * What happens at the ports of the board's chips: 8259A, 8254, MC146818, 8237A, system control, PCI
 * configuration, ACPI, and those where a guest speaks to whoever runs it.	[AT-TRM], [PIIX3], [PIIX4]
 */
#include "dev/pc_internal.h"

/* --- 8259A, 8254, RTC, DMA --- */

uint32_t pc_pic_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;
	uint8_t val = pic_read(&pc->pic, port);

	pc_update_intr(pc);		/* a poll acknowledges */
	return val;
}

void pc_pic_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	pic_write(&pc->pic, port, (uint8_t)val);
	if (port == 0x20 && (val & 0x10))
		pc->late_ticks = 0;		/* ICW1 clears what waits, and so what waits behind it */
	pc_update_intr(pc);
	if (pc->late_ticks != 0)
		pc_timers_changed(pc);
}

/* Ticks beyond this many are lost for good: a guest that slept does not want them all back. */
#define LATE_TICKS_MAX 1000

/* A tick waits for the CPU or is in service: another one would be swallowed. */
bool pc_tick_busy(const struct pc *pc)
{
	return (pc->pic.chip[0].irr | pc->pic.chip[0].isr) & BIT(IRQ_TIMER);
}

static void pc_tick(struct pc *pc)
{
	pc_chip_irq(pc, IRQ_TIMER, false);
	pc_chip_irq(pc, IRQ_TIMER, true);
}

/*
 * IRQ 0 follows OUT 0. Where the host was late, OUT has moved on meanwhile: several rises in one
 * look are handed out one by one as the guest takes them, and a high level that is over already is
 * held until the CPU had its chance to see it. In time, this is just the pin.
 */
void pc_timer_irq(struct pc *pc)
{
	uint32_t edges = pit_take_edges(&pc->pit);
	bool out = pc->pit.counter[0].out;

	if (pc->timers_cut)
		return;
	if (edges != 0) {
		/* A tick on top of one that still waits for the CPU would be swallowed, so it is late too.
		 * With the line masked nobody counts. But what is owed stays owed: Linux masks the line
		 * for the time of each interrupt. */
		if (!(pc->pic.chip[0].imr & BIT(IRQ_TIMER)))
			pc->late_ticks = MIN(pc->late_ticks + edges - !(pc->pic.chip[0].irr & BIT(IRQ_TIMER)), LATE_TICKS_MAX);
		pc_tick(pc);
		pc->tick_held = !out;
	} else if (pc->late_ticks != 0 && !pc_tick_busy(pc)) {
		pc->late_ticks--;
		pc_tick(pc);
		pc->tick_held = !out;
	}
	if (!(pc->pic.chip[0].irr & BIT(IRQ_TIMER)))
		pc->tick_held = false;
	if (!out && !pc->tick_held)
		pc_chip_irq(pc, IRQ_TIMER, false);
}

uint32_t pc_pit_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;
	uint8_t val = pit_read(&pc->pit, port, pc_now(pc));

	pc_timer_irq(pc);
	return val;
}

void pc_pit_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	if (port == 0x40 || (port == 0x43 && (val & 0xC0) == 0 && (val & 0x30) != 0)) {
		pc->late_ticks = 0;		/* another rate or mode: what was owed is in no unit the guest counts in */
		pc->stirred = true;
	}
	pit_write(&pc->pit, port, (uint8_t)val, pc_now(pc));
	pc_timer_irq(pc);
	pc_timers_changed(pc);
}

void pc_rtc_irq(struct pc *pc)
{
	pc_chip_irq(pc, IRQ_RTC, !pc->timers_cut && rtc_irq(&pc->rtc));
}

void pc_cut_timer_irqs(struct pc *pc, bool cut)
{
	pc->timers_cut = cut;
	pc->late_ticks = 0;
	if (cut)
		pc_chip_irq(pc, IRQ_TIMER, false);
	pc_rtc_irq(pc);
}

uint32_t pc_rtc_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;
	bool was = rtc_irq(&pc->rtc);
	uint8_t val = rtc_read(&pc->rtc, port, pc_now(pc));

	pc_rtc_irq(pc);
	if (was)			/* register C was read: the next interrupt has a time again */
		pc_timers_changed(pc);
	return val;
}

void pc_rtc_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	rtc_write(&pc->rtc, port, (uint8_t)val, pc_now(pc));
	pc_rtc_irq(pc);
	if (port == 0x71)
		pc_timers_changed(pc);
}

uint32_t pc_dma_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;

	return dma_read(&pc->dma, port);
}

void pc_dma_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	dma_write(&pc->dma, port, (uint8_t)val);
}

static void memory_read(void *arg, gpa_t gpa, void *buf, size_t len)
{
	phys_read(arg, gpa, buf, len);
}

static void memory_write(void *arg, gpa_t gpa, const void *buf, size_t len)
{
	phys_write(arg, gpa, buf, len);
}

struct dma_memory pc_dma_memory(struct pc *pc)
{
	return (struct dma_memory){ memory_read, memory_write, pc->phys };
}

/* --- system control ports --- */

/* Port 92h: bit 0 fast reset (on its rise), bit 1 A20.		[PS/2 HITRC "System Control Port A"] */
uint32_t pc_port92_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;

	return (pc->port92 & ~2u) | (pc->a20 ? 2 : 0);
}

void pc_port92_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;
	bool pulse = (val & 1) && !(pc->port92 & 1);

	pc->port92 = (uint8_t)val;
	pc_set_a20(pc, val & 2);
	if (pulse)
		pc_reset_request(pc);
}

/* --- PCI configuration and CF9h --- */

/* CF8h takes only doublewords; CF9h, a byte inside it, is the reset control register.	[PIIX3] */
uint32_t pc_cf8_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;

	if (port == 0xCF8 && size == 4)
		return pc->pci_address;
	return port == PC_RESET_PORT && size == 1 ? pc->reset_control : 0xFFFFFFFF;
}

void pc_cf8_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	if (port == 0xCF8 && size == 4) {
		pc->pci_address = val & 0x80FFFFFC;
	} else if (port == PC_RESET_PORT && size == 1) {
		bool pulse = (val & 4) && !(pc->reset_control & 4);	/* RCPU rises */
		pc->reset_control = val & 2;				/* SRST stays, RCPU reads 0 */
		if (pulse)
			pc_reset_request(pc);
	}
}

uint32_t pc_cfc_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;

	if (!pc->pci.read || !(pc->pci_address >> 31))
		return 0xFFFFFFFF;		/* no device claims the cycle */
	return pc->pci.read(pc->pci.arg, pc->pci_address | (port & 3), size);
}

void pc_cfc_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	if (pc->pci.write && pc->pci_address >> 31)
		pc->pci.write(pc->pci.arg, pc->pci_address | (port & 3), size, val);
}

/* --- ACPI --- */

void pc_acpi_settle(struct pc *pc)
{
	int type = acpi_take_sleep(&pc->acpi);

	if (type == PC_ACPI_S5_TYPE && pc->cfg.host.power_off)
		pc->cfg.host.power_off(pc->cfg.host.arg);
	pc_chip_irq(pc, PC_ACPI_SCI_IRQ, acpi_sci(&pc->acpi));
}

static uint32_t acpi_port_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;
	uint32_t val = acpi_read(&pc->acpi, (unsigned)(port - pc->acpi.base), size, pc_now(pc));

	pc_acpi_settle(pc);
	return val;
}

static void acpi_port_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	acpi_write(&pc->acpi, (unsigned)(port - pc->acpi.base), size, val, pc_now(pc));
	pc_acpi_settle(pc);
	pc_timers_changed(pc);
}

uint32_t pc_apm_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;

	return pc->apm[port & 1];
}

void pc_apm_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	pc->apm[port & 1] = (uint8_t)val;
	if (port != PC_ACPI_SMI_CMD)
		return;
	if (val == 0xF1 || val == 0xF0)		/* ACPI_ENABLE, ACPI_DISABLE: what an SMI handler would do */
		acpi_set_sci_en(&pc->acpi, val == 0xF1);
	pc_acpi_settle(pc);
}

void pc_power_button(struct pc *pc)
{
	acpi_power_button(&pc->acpi);
	pc_acpi_settle(pc);
}

void pc_acpi_move(struct pc *pc, uint16_t base)
{
	pc->acpi.base = base;
	bus_move(&pc->bus, (struct io_row){ .width = 4, .read = acpi_port_read, .write = acpi_port_write, .arg = pc, .name = "acpi" },
	    base, 12);
}

/* --- debug ports --- */

uint32_t pc_post_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;

	return pc->post_code;
}

void pc_post_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	pc->post_code = (uint8_t)val;
}

uint32_t pc_debugcon_read(void *arg, uint16_t port, unsigned size)
{
	return 0xE9;			/* how Bochs and QEMU say that somebody listens */
}

void pc_debugcon_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	if (pc->cfg.host.debug_char)
		pc->cfg.host.debug_char(pc->cfg.host.arg, port, (uint8_t)val);
}

uint32_t pc_debug_exit_read(void *arg, uint16_t port, unsigned size)
{
	return 0;
}

void pc_debug_exit_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	if (pc->cfg.host.debug_exit)
		pc->cfg.host.debug_exit(pc->cfg.host.arg, val);
}

uint32_t pc_pvpanic_read(void *arg, uint16_t port, unsigned size)
{
	return 0x03;			/* the events it knows	[pvpanic specification] */
}

void pc_pvpanic_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	if (pc->cfg.host.panic)
		pc->cfg.host.panic(pc->cfg.host.arg, (uint8_t)val);
}

void pc_ferr_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	pc->ferr = false;
	pc_chip_irq(pc, IRQ_FPU, false);
}
