/*
 * The board of a PC: which chip answers where, on which interrupt line.	[AT-TRM], [PIIX3], [PIIX4]
 *
 * The table `ports` is the whole I/O map. Chips do not know each other: every byte between the
 * keyboard and its controller, every interrupt level, passes through here.
 *
 * Left out: the NMI sources of ports 61h and 70h (there is no parity check to report).
 */
#include "dev/pc.h"

#include <errno.h>
#include <string.h>

enum { IRQ_TIMER = 0, IRQ_KBD = 1, IRQ_RTC = 8, IRQ_AUX = 12, IRQ_FPU = 13 };

static const struct {
	uint16_t base;
	uint8_t irq;
	enum pc_irq_source source;
} serial[PC_SERIAL_PORTS] = {
	{ 0x3F8, 4, IRQ_SRC_CHIP }, { 0x2F8, 3, IRQ_SRC_CHIP }, { 0x3E8, 4, IRQ_SRC_CHIP2 }, { 0x2E8, 3, IRQ_SRC_CHIP2 },
};

ns_t pc_now(struct pc *pc)
{
	return pc->cfg.now(pc->cfg.now_arg);
}

/* The run loop has to ask pc_next_event() again. */
static void pc_timers_changed(struct pc *pc)
{
	__atomic_or_fetch(&pc->cpu->attention, ATTN_KICK, __ATOMIC_RELAXED);
}

/* --- interrupts --- */

void pc_update_intr(struct pc *pc)
{
	bool level = pic_intr(&pc->pic);

	if (pc->intr_hook)
		level = pc->intr_hook(pc->hook_arg, level);
	pc->cpu->intr_line = level;
	if (level)
		__atomic_or_fetch(&pc->cpu->attention, ATTN_EVENT, __ATOMIC_RELAXED);
}

void pc_set_irq(struct pc *pc, unsigned line, bool level)
{
	pic_set_irq(&pc->pic, line, level);
	if (pc->irq_hook)
		pc->irq_hook(pc->hook_arg, line, level);
	pc_update_intr(pc);
}

void pc_set_irq_source(struct pc *pc, unsigned line, enum pc_irq_source source, bool level)
{
	uint32_t was = pc->irq_sources[line], is = level ? was | BIT(source) : was & ~BIT(source);

	pc->irq_sources[line] = is;
	if ((was != 0) != (is != 0))
		pc_set_irq(pc, line, is != 0);
}

static void pc_chip_irq(struct pc *pc, unsigned line, bool level)
{
	pc_set_irq_source(pc, line, IRQ_SRC_CHIP, level);
}

static int pc_intr_ack(void *arg)
{
	struct pc *pc = arg;
	int vector = pc->intr_ack_hook ? pc->intr_ack_hook(pc->hook_arg) : -1;

	if (vector < 0)
		vector = pic_ack(&pc->pic);
	pc_update_intr(pc);
	/* The timer's ticks that were late come one by one, as the guest takes them. */
	if (pc->late_ticks != 0)
		pc_timers_changed(pc);
	return vector;
}

/* --- 8259A, 8254, RTC, DMA --- */

static uint32_t pic_port_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;
	uint8_t val = pic_read(&pc->pic, port);

	pc_update_intr(pc);		/* a poll acknowledges */
	return val;
}

static void pic_port_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	pic_write(&pc->pic, port, (uint8_t)val);
	pc_update_intr(pc);
	if (pc->late_ticks != 0)
		pc_timers_changed(pc);
}

/* Ticks beyond this many are lost for good: a guest that slept does not want them all back. */
#define LATE_TICKS_MAX 1000

/* A tick waits for the CPU or is in service: another one would be swallowed. */
static bool pc_tick_busy(const struct pc *pc)
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
static void pc_timer_irq(struct pc *pc)
{
	uint32_t edges = pit_take_edges(&pc->pit);
	bool out = pc->pit.counter[0].out;

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

static uint32_t pit_port_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;
	uint8_t val = pit_read(&pc->pit, port, pc_now(pc));

	pc_timer_irq(pc);
	return val;
}

static void pit_port_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	if (port == 0x40 || (port == 0x43 && (val & 0xC0) == 0 && (val & 0x30) != 0))
		pc->late_ticks = 0;		/* another rate or mode: what was owed is in no unit the guest counts in */
	pit_write(&pc->pit, port, (uint8_t)val, pc_now(pc));
	pc_timer_irq(pc);
	pc_timers_changed(pc);
}

static uint32_t rtc_port_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;
	bool was = rtc_irq(&pc->rtc);
	uint8_t val = rtc_read(&pc->rtc, port, pc_now(pc));

	pc_chip_irq(pc, IRQ_RTC, rtc_irq(&pc->rtc));
	if (was)			/* register C was read: the next interrupt has a time again */
		pc_timers_changed(pc);
	return val;
}

static void rtc_port_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	rtc_write(&pc->rtc, port, (uint8_t)val, pc_now(pc));
	pc_chip_irq(pc, IRQ_RTC, rtc_irq(&pc->rtc));
	if (port == 0x71)
		pc_timers_changed(pc);
}

static uint32_t dma_port_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;

	return dma_read(&pc->dma, port);
}

static void dma_port_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	dma_write(&pc->dma, port, (uint8_t)val);
}

static void pc_dma_read(void *arg, gpa_t gpa, void *buf, size_t len)
{
	phys_read(arg, gpa, buf, len);
}

static void pc_dma_write(void *arg, gpa_t gpa, const void *buf, size_t len)
{
	phys_write(arg, gpa, buf, len);
}

struct dma_memory pc_dma_memory(struct pc *pc)
{
	return (struct dma_memory){ pc_dma_read, pc_dma_write, pc->phys };
}

/* --- serial --- */

static void pc_serial_settle(struct pc *pc, unsigned n)
{
	struct uart *uart = &pc->uart[n];
	const uint8_t *buf;
	unsigned len;

	while ((len = uart_tx(uart, &buf)) != 0) {
		size_t taken = pc->cfg.host.serial_tx ? pc->cfg.host.serial_tx(pc->cfg.host.arg, n, buf, len) : len;
		uart_sent(uart, (unsigned)taken);
		if (taken < len)
			break;
	}
	pc_set_irq_source(pc, serial[n].irq, serial[n].source, uart_irq(uart));
}

static unsigned serial_port(uint16_t port)
{
	for (unsigned n = 0; n < PC_SERIAL_PORTS; n++)
		if ((port & ~7u) == serial[n].base)
			return n;
	return 0;
}

static uint32_t serial_port_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;
	unsigned n = serial_port(port);
	uint8_t val = uart_read(&pc->uart[n], port & 7, pc_now(pc));

	pc_serial_settle(pc, n);
	if ((port & 7) == 0) {
		if (pc->rx_wanted[n] && pc->cfg.host.serial_rx_ready) {
			pc->rx_wanted[n] = false;
			pc->cfg.host.serial_rx_ready(pc->cfg.host.arg, n);
		}
		pc_timers_changed(pc);	/* the receive time-out starts anew */
	}
	return val;
}

static void serial_port_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;
	unsigned n = serial_port(port);

	uart_write(&pc->uart[n], port & 7, (uint8_t)val, pc_now(pc));
	pc_serial_settle(pc, n);
	if ((port & 7) != 0)
		pc_timers_changed(pc);
}

bool pc_serial_input(struct pc *pc, unsigned port, uint8_t byte)
{
	bool taken = uart_receive(&pc->uart[port], byte, pc_now(pc));

	pc->rx_wanted[port] = !taken;
	pc_serial_settle(pc, port);
	pc_timers_changed(pc);
	return taken;
}

void pc_serial_break(struct pc *pc, unsigned port)
{
	uart_receive_error(&pc->uart[port], 0, 0x10, pc_now(pc));
	pc_serial_settle(pc, port);
}

void pc_serial_tx_ready(struct pc *pc, unsigned port)
{
	pc_serial_settle(pc, port);
}

/* --- keyboard controller, keyboard, mouse, A20, reset --- */

static void pc_reset_request(struct pc *pc)
{
	if (pc->cfg.host.reset)
		pc->cfg.host.reset(pc->cfg.host.arg);
	__atomic_or_fetch(&pc->cpu->attention, ATTN_RESET, __ATOMIC_RELAXED);
}

/* Port 92h and the 8042 both switch A20; the last one to speak is right, and each reads back the
 * state. (Chip sets differ: some OR the two, which no software could tell from a stuck gate.) */
static void pc_set_a20(struct pc *pc, bool on)
{
	i8042_set_a20(&pc->i8042, on);
	if (pc->a20 == on)
		return;
	pc->a20 = on;
	if (pc->cfg.host.set_a20)
		pc->cfg.host.set_a20(pc->cfg.host.arg, on);
}

/* Carry bytes over the two links, then drive the two interrupt lines. */
static void pc_keyboard_settle(struct pc *pc, ns_t now)
{
	uint8_t byte;

	if (i8042_to_device(&pc->i8042, I8042_KBD, &byte)) {
		ps2kbd_write(&pc->kbd, byte, now);
		if (pc->kbd.leds != pc->leds && pc->cfg.host.leds)
			pc->cfg.host.leds(pc->cfg.host.arg, pc->kbd.leds);
		pc->leds = pc->kbd.leds;
	}
	if (i8042_to_device(&pc->i8042, I8042_AUX, &byte))
		ps2mouse_write(&pc->mouse, byte, now);
	ps2kbd_update(&pc->kbd, now);
	ps2mouse_update(&pc->mouse, now);
	/* Low first: a byte that follows at once is a new edge. */
	if (!i8042_irq(&pc->i8042, I8042_KBD))
		pc_chip_irq(pc, IRQ_KBD, false);
	if (!i8042_irq(&pc->i8042, I8042_AUX))
		pc_chip_irq(pc, IRQ_AUX, false);
	i8042_update(&pc->i8042, now);
	while (i8042_ready(&pc->i8042, I8042_KBD, now) && ps2kbd_take(&pc->kbd, &byte))
		i8042_from_device(&pc->i8042, I8042_KBD, byte, now);
	if (i8042_ready(&pc->i8042, I8042_AUX, now) && ps2mouse_take(&pc->mouse, &byte))
		i8042_from_device(&pc->i8042, I8042_AUX, byte, now);
	pc_chip_irq(pc, IRQ_KBD, i8042_irq(&pc->i8042, I8042_KBD));
	pc_chip_irq(pc, IRQ_AUX, i8042_irq(&pc->i8042, I8042_AUX));
}

static uint32_t i8042_port_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;
	ns_t now = pc_now(pc);
	uint8_t val = i8042_read(&pc->i8042, port, now);

	pc_keyboard_settle(pc, now);
	if (port == 0x60)
		pc_timers_changed(pc);
	return val;
}

static void i8042_port_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;
	ns_t now = pc_now(pc);

	i8042_write(&pc->i8042, port, (uint8_t)val, now);
	pc_set_a20(pc, i8042_a20(&pc->i8042));
	if (i8042_take_reset(&pc->i8042))
		pc_reset_request(pc);
	pc_keyboard_settle(pc, now);
	pc_timers_changed(pc);
}

void pc_key(struct pc *pc, enum key key, bool down)
{
	ns_t now = pc_now(pc);

	ps2kbd_key(&pc->kbd, key, down, now);
	pc_keyboard_settle(pc, now);
	pc_timers_changed(pc);
}

void pc_mouse(struct pc *pc, int dx, int dy, int dz, unsigned buttons)
{
	ns_t now = pc_now(pc);

	ps2mouse_move(&pc->mouse, dx, dy, dz, buttons, now);
	pc_keyboard_settle(pc, now);
	pc_timers_changed(pc);
}

/* Port 92h: bit 0 fast reset (on its rise), bit 1 A20.		[PS/2 HITRC "System Control Port A"] */
static uint32_t port92_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;

	return (pc->port92 & ~2u) | (pc->a20 ? 2 : 0);
}

static void port92_write(void *arg, uint16_t port, unsigned size, uint32_t val)
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
static uint32_t cf8_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;

	if (port == 0xCF8 && size == 4)
		return pc->pci_address;
	return port == PC_RESET_PORT && size == 1 ? pc->reset_control : 0xFFFFFFFF;
}

static void cf8_write(void *arg, uint16_t port, unsigned size, uint32_t val)
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

static uint32_t cfc_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;

	if (!pc->pci.read || !(pc->pci_address >> 31))
		return 0xFFFFFFFF;		/* no device claims the cycle */
	return pc->pci.read(pc->pci.arg, pc->pci_address | (port & 3), size);
}

static void cfc_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	if (pc->pci.write && pc->pci_address >> 31)
		pc->pci.write(pc->pci.arg, pc->pci_address | (port & 3), size, val);
}

/* --- ACPI --- */

static void pc_acpi_settle(struct pc *pc)
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

static uint32_t apm_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;

	return pc->apm[port & 1];
}

static void apm_write(void *arg, uint16_t port, unsigned size, uint32_t val)
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
	bus_release(&pc->bus, "acpi");
	pc->acpi.base = base;
	if (base != 0)
		bus_claim(&pc->bus, (struct io_row){ .first = base, .last = base + 0x0B, .width = 4,
		    .read = acpi_port_read, .write = acpi_port_write, .arg = pc, .name = "acpi" });
}

/* --- debug ports --- */

static uint32_t post_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;

	return pc->post_code;
}

static void post_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	pc->post_code = (uint8_t)val;
}

static uint32_t debugcon_read(void *arg, uint16_t port, unsigned size)
{
	return 0xE9;			/* how Bochs and QEMU say that somebody listens */
}

static void debugcon_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	if (pc->cfg.host.debug_char)
		pc->cfg.host.debug_char(pc->cfg.host.arg, port, (uint8_t)val);
}

static uint32_t debug_exit_read(void *arg, uint16_t port, unsigned size)
{
	return 0;
}

static void debug_exit_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	if (pc->cfg.host.debug_exit)
		pc->cfg.host.debug_exit(pc->cfg.host.arg, val);
}

static uint32_t pvpanic_read(void *arg, uint16_t port, unsigned size)
{
	return 0x03;			/* the events it knows	[pvpanic specification] */
}

static void pvpanic_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	if (pc->cfg.host.panic)
		pc->cfg.host.panic(pc->cfg.host.arg, (uint8_t)val);
}

/* FERR#: IRQ 13 until the handler writes F0h (or the CPU drops FERR#).	[AT-TRM "Coprocessor Controls"] */
static void pc_ferr(void *arg, bool level)
{
	struct pc *pc = arg;

	pc->ferr = level;
	pc_chip_irq(pc, IRQ_FPU, level);
}

static void ferr_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	pc->ferr = false;
	pc_chip_irq(pc, IRQ_FPU, false);
}

/* --- the map --- */

static bool has_serial0(const struct pc_config *c) { return !c->no_serial[0]; }
static bool has_serial1(const struct pc_config *c) { return !c->no_serial[1]; }
static bool has_serial2(const struct pc_config *c) { return !c->no_serial[2]; }
static bool has_serial3(const struct pc_config *c) { return !c->no_serial[3]; }
static bool has_i8042(const struct pc_config *c) { return !c->no_i8042; }
static bool has_e9(const struct pc_config *c) { return c->debugcon_e9; }
static bool has_402(const struct pc_config *c) { return c->debugcon_402; }
static bool has_pvpanic(const struct pc_config *c) { return c->pvpanic; }

#define RW(p) p##_read, p##_write

static const struct {
	uint16_t first, last;
	uint8_t width;
	int8_t irq;			/* for the reader: the line that its code drives; -1 none */
	const char *name;
	uint32_t (*read)(void *arg, uint16_t port, unsigned size);
	void (*write)(void *arg, uint16_t port, unsigned size, uint32_t val);
	bool (*present)(const struct pc_config *cfg);	/* NULL: always */
} ports[] = {
	{ 0x000, 0x00F, 1, -1, "dma",		RW(dma_port), NULL },
	{ 0x020, 0x021, 1, -1, "pic",		RW(pic_port), NULL },
	{ 0x040, 0x043, 1,  0, "pit",		RW(pit_port), NULL },
	{ 0x060, 0x060, 1,  1, "i8042",		RW(i8042_port), has_i8042 },	/* mouse: IRQ 12 */
	{ 0x061, 0x061, 1, -1, "pit",		RW(pit_port), NULL },
	{ 0x064, 0x064, 1,  1, "i8042",		RW(i8042_port), has_i8042 },
	{ 0x070, 0x071, 1,  8, "rtc",		RW(rtc_port), NULL },
	{ 0x080, 0x080, 1, -1, "post",		RW(post), NULL },
	{ 0x081, 0x08F, 1, -1, "dma",		RW(dma_port), NULL },
	{ 0x092, 0x092, 1, -1, "port92",	RW(port92), NULL },
	{ 0x0A0, 0x0A1, 1, -1, "pic",		RW(pic_port), NULL },
	{ 0x0B2, 0x0B3, 1, -1, "apm",		RW(apm), NULL },
	{ 0x0C0, 0x0DF, 1, -1, "dma",		RW(dma_port), NULL },
	{ 0x0E9, 0x0E9, 1, -1, "debugcon",	RW(debugcon), has_e9 },
	{ 0x0F0, 0x0F0, 1, 13, "ferr",		NULL, ferr_write, NULL },
	{ 0x2E8, 0x2EF, 1,  3, "com4",		RW(serial_port), has_serial3 },
	{ 0x2F8, 0x2FF, 1,  3, "com2",		RW(serial_port), has_serial1 },
	{ 0x3E8, 0x3EF, 1,  4, "com3",		RW(serial_port), has_serial2 },
	{ 0x3F8, 0x3FF, 1,  4, "com1",		RW(serial_port), has_serial0 },
	{ 0x402, 0x402, 1, -1, "debugcon",	RW(debugcon), has_402 },
	{ 0x481, 0x48B, 1, -1, "dma",		RW(dma_port), NULL },
	{ 0x4D0, 0x4D1, 1, -1, "elcr",		RW(pic_port), NULL },
	{ 0x505, 0x505, 1, -1, "pvpanic",	RW(pvpanic), has_pvpanic },
	{ 0xCF8, 0xCFB, 4, -1, "pci",		RW(cf8), NULL },
	{ 0xCFC, 0xCFF, 4, -1, "pci",		RW(cfc), NULL },
	/* and the ACPI block, by pc_acpi_move(), on IRQ 9; isa-debug-exit where the user says */
};

static int pc_map(struct pc *pc)
{
	int err = 0;

	for (unsigned i = 0; i < ARRAY_LEN(ports) && err == 0; i++) {
		if (ports[i].present && !ports[i].present(&pc->cfg))
			continue;
		err = bus_claim(&pc->bus, (struct io_row){
			.first = ports[i].first, .last = ports[i].last, .width = ports[i].width,
			.read = ports[i].read, .write = ports[i].write, .arg = pc, .name = ports[i].name,
		});
	}
	if (err == 0 && pc->cfg.debug_exit_port != 0) {
		unsigned size = pc->cfg.debug_exit_size ? pc->cfg.debug_exit_size : 4;
		err = bus_claim(&pc->bus, (struct io_row){
			.first = pc->cfg.debug_exit_port, .last = (uint16_t)(pc->cfg.debug_exit_port + size - 1),
			.width = (uint8_t)MIN(size, 4), .read = debug_exit_read, .write = debug_exit_write,
			.arg = pc, .name = "isa-debug-exit",
		});
	}
	pc_acpi_move(pc, PC_ACPI_BASE);
	return err;
}

void pc_set_boot_order(struct pc *pc, const uint8_t order[3])
{
	rtc_set_cmos(&pc->rtc, 0x38, (uint8_t)(order[2] << 4));
	rtc_set_cmos(&pc->rtc, 0x3D, (uint8_t)(order[0] | order[1] << 4));
}

/* What a BIOS and old programs look for in CMOS.		[AT-TRM "Real-Time Clock/CMOS RAM"], [SeaBIOS] */
static void pc_fill_cmos(struct pc *pc)
{
	struct rtc *rtc = &pc->rtc;
	const struct pc_config *cfg = &pc->cfg;
	uint64_t ram = cfg->ram_bytes, low = MIN(ram, 0xE0000000u);
	uint64_t ext_kb = low > 1 << 20 ? (low - (1 << 20)) >> 10 : 0;
	uint64_t ext_64k = low > 16 << 20 ? (low - (16 << 20)) >> 16 : 0;
	uint64_t high_64k = (ram - low) >> 16;
	unsigned floppies = (cfg->floppy_type[0] != 0) + (cfg->floppy_type[1] != 0);

	ext_kb = MIN(ext_kb, 65535);
	ext_64k = MIN(ext_64k, 65535);
	rtc_set_cmos(rtc, 0x10, (uint8_t)(cfg->floppy_type[0] << 4 | (cfg->floppy_type[1] & 15)));
	/* equipment: coprocessor, and floppy drives if any */
	rtc_set_cmos(rtc, 0x14, (uint8_t)(0x06 | (floppies ? 1 | (floppies - 1) << 6 : 0)));
	rtc_set_cmos(rtc, 0x15, (uint8_t)MIN(ram >> 10, 640));
	rtc_set_cmos(rtc, 0x16, (uint8_t)(MIN(ram >> 10, 640) >> 8));
	rtc_set_cmos(rtc, 0x17, (uint8_t)ext_kb);
	rtc_set_cmos(rtc, 0x18, (uint8_t)(ext_kb >> 8));
	rtc_set_cmos(rtc, 0x30, (uint8_t)ext_kb);
	rtc_set_cmos(rtc, 0x31, (uint8_t)(ext_kb >> 8));
	rtc_set_cmos(rtc, 0x34, (uint8_t)ext_64k);
	rtc_set_cmos(rtc, 0x35, (uint8_t)(ext_64k >> 8));
	pc_set_boot_order(pc, cfg->boot_order);
	for (unsigned i = 0; i < 3; i++)
		rtc_set_cmos(rtc, (uint8_t)(0x5B + i), (uint8_t)(high_64k >> 8 * i));
	rtc_checksum(rtc);
}

/* --- time --- */

ns_t pc_next_event(struct pc *pc, ns_t now)
{
	ns_t next = pit_next(&pc->pit, now);

	next = MIN(next, rtc_next(&pc->rtc, now));
	next = MIN(next, acpi_next(&pc->acpi, now));
	for (unsigned i = 0; i < PC_SERIAL_PORTS; i++)
		next = MIN(next, uart_next(&pc->uart[i], now));
	next = MIN(next, ps2kbd_next(&pc->kbd, now));
	next = MIN(next, ps2mouse_next(&pc->mouse, now));
	next = MIN(next, i8042_next(&pc->i8042, now));
	if (ps2kbd_has_byte(&pc->kbd))
		next = MIN(next, i8042_link_next(&pc->i8042, I8042_KBD, now));
	if (ps2mouse_has_byte(&pc->mouse))
		next = MIN(next, i8042_link_next(&pc->i8042, I8042_AUX, now));
	if (pc->late_ticks != 0 && !pc_tick_busy(pc))
		next = now;
	if (pc->next_hook)
		next = MIN(next, pc->next_hook(pc->hook_arg, now));
	return next;
}

void pc_update(struct pc *pc, ns_t now)
{
	pit_update(&pc->pit, now);
	pc_timer_irq(pc);
	rtc_update(&pc->rtc, now);
	pc_chip_irq(pc, IRQ_RTC, rtc_irq(&pc->rtc));
	acpi_update(&pc->acpi, now);
	pc_acpi_settle(pc);
	for (unsigned i = 0; i < PC_SERIAL_PORTS; i++) {
		uart_update(&pc->uart[i], now);
		pc_serial_settle(pc, i);
	}
	pc_keyboard_settle(pc, now);
	if (pc->update_hook)
		pc->update_hook(pc->hook_arg, now);
	pc_update_intr(pc);
}

unsigned pc_speaker_hz(const struct pc *pc)
{
	const struct pit_counter *c = &pc->pit.counter[2];

	if ((pc->pit.port61 & 3) != 3 || !c->loaded || (c->mode != 2 && c->mode != 3))
		return 0;
	return PIT_HZ / c->ce_count;
}

/* --- what the CPU sees --- */

static uint32_t pc_io_read(void *arg, uint16_t port, unsigned size)
{
	struct pc *pc = arg;

	return bus_read(&pc->bus, port, size);
}

static void pc_io_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct pc *pc = arg;

	bus_write(&pc->bus, port, size, val);
}

static uint64_t pc_tsc(void *arg)
{
	struct pc *pc = arg;

	ns_t now = pc_now(pc);

	/* in two parts: the product of both has more than 64 bits, and dividing those takes longer than the clock */
	return now / 1000000000u * pc->cfg.tsc_hz + now % 1000000000u * pc->cfg.tsc_hz / 1000000000u;
}

const struct cpu_bus pc_cpu_bus = {
	.io_read = pc_io_read,
	.io_write = pc_io_write,
	.intr_ack = pc_intr_ack,
	.tsc = pc_tsc,
	.ferr = pc_ferr,
};

/* --- power-on and reset --- */

void pc_reset(struct pc *pc)
{
	ns_t now = pc_now(pc);

	pic_reset(&pc->pic);
	pit_update(&pc->pit, now);
	pit_reset(&pc->pit);
	rtc_update(&pc->rtc, now);
	rtc_reset(&pc->rtc);
	for (unsigned i = 0; i < PC_SERIAL_PORTS; i++) {
		pc_serial_settle(pc, i);	/* what was written goes out */
		uart_reset(&pc->uart[i]);
	}
	i8042_reset(&pc->i8042);
	ps2kbd_reset(&pc->kbd);
	ps2mouse_reset(&pc->mouse);
	dma_reset(&pc->dma);
	acpi_reset(&pc->acpi, now);
	if (pc->acpi.base != PC_ACPI_BASE)
		pc_acpi_move(pc, PC_ACPI_BASE);
	pc->pci_address = 0;
	pc->reset_control = pc->port92 = 0;
	pc->apm[0] = pc->apm[1] = 0;
	pc->late_ticks = 0;
	pc->tick_held = false;
	pc->ferr = false;
	pc_set_a20(pc, true);
	if (pc->reset_hook)
		pc->reset_hook(pc->hook_arg);
	pc_chip_irq(pc, IRQ_FPU, false);
	pc_update(pc, now);
}

int pc_init(struct pc *pc, struct vcpu *cpu, struct phys *phys, const struct pc_config *cfg)
{
	int err;

	memset(pc, 0, sizeof(*pc));
	pc->cpu = cpu;
	pc->phys = phys;
	pc->cfg = *cfg;
	if (pc->cfg.now == NULL)
		return -EINVAL;
	if (pc->cfg.tsc_hz == 0)
		pc->cfg.tsc_hz = 1000000000u;
	cpu->tsc_hz = pc->cfg.tsc_hz;
	cpu->bus = &pc_cpu_bus;
	cpu->bus_arg = pc;
	err = pc_map(pc);
	if (err)
		return err;
	rtc_init(&pc->rtc, cfg->start_time_s, pc_now(pc));
	pc_fill_cmos(pc);
	for (unsigned i = 0; i < PC_SERIAL_PORTS; i++)
		pc->uart[i].inputs = 0xB0;	/* CTS, DSR, DCD: somebody is on the line */
	pc->a20 = true;
	pc_reset(pc);
	return 0;
}
