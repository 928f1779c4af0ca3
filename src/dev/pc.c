/*
 * The board of a PC: which chip answers where, on which interrupt line.	[AT-TRM], [PIIX3], [PIIX4]
 *
 * The table `ports` is the whole I/O map; what happens there is in pc_ports.c and pc_console.c. Chips do
 * not know each other: every interrupt level passes through here.
 *
 * Left out: the NMI sources of ports 61h and 70h (there is no parity check to report).
 */
#include "dev/pc_internal.h"

#include <errno.h>
#include <string.h>

ns_t pc_now(struct pc *pc)
{
	return pc->cfg.now(pc->cfg.now_arg);
}

void pc_timers_changed(struct pc *pc)
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
	pc->stirred |= level && line != IRQ_TIMER;
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

void pc_chip_irq(struct pc *pc, unsigned line, bool level)
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

/* --- A20, reset --- */

void pc_reset_request(struct pc *pc)
{
	if (pc->cfg.host.reset)
		pc->cfg.host.reset(pc->cfg.host.arg);
	__atomic_or_fetch(&pc->cpu->attention, ATTN_RESET, __ATOMIC_RELAXED);
}

/* Port 92h and the 8042 both switch A20; the last one to speak is right, and each reads back the
 * state. (Chip sets differ: some OR the two, which no software could tell from a stuck gate.) */
void pc_set_a20(struct pc *pc, bool on)
{
	i8042_set_a20(&pc->i8042, on);
	if (pc->a20 == on)
		return;
	pc->a20 = on;
	if (pc->cfg.host.set_a20)
		pc->cfg.host.set_a20(pc->cfg.host.arg, on);
}

/* --- the map --- */

static bool has_serial0(const struct pc_config *c) { return !c->no_serial[0]; }
static bool has_serial1(const struct pc_config *c) { return !c->no_serial[1]; }
static bool has_serial2(const struct pc_config *c) { return !c->no_serial[2]; }
static bool has_serial3(const struct pc_config *c) { return !c->no_serial[3]; }
static bool has_pvpanic(const struct pc_config *c) { return c->pvpanic; }

#define RW(p) pc_##p##_read, pc_##p##_write

static const struct {
	uint16_t first, last;
	uint8_t width;
	int8_t irq;			/* for the reader: the line that its code drives; -1 none */
	const char *name;
	uint32_t (*read)(void *arg, uint16_t port, unsigned size);
	void (*write)(void *arg, uint16_t port, unsigned size, uint32_t val);
	bool (*present)(const struct pc_config *cfg);	/* NULL: always */
} ports[] = {
	{ 0x000, 0x00F, 1, -1, "dma",		RW(dma), NULL },
	{ 0x020, 0x021, 1, -1, "pic",		RW(pic), NULL },
	{ 0x040, 0x043, 1,  0, "pit",		RW(pit), NULL },
	{ 0x060, 0x060, 1,  1, "i8042",		RW(i8042), NULL },	/* mouse: IRQ 12 */
	{ 0x061, 0x061, 1, -1, "pit",		RW(pit), NULL },
	{ 0x064, 0x064, 1,  1, "i8042",		RW(i8042), NULL },
	{ 0x070, 0x071, 1,  8, "rtc",		RW(rtc), NULL },
	{ 0x080, 0x080, 1, -1, "post",		RW(post), NULL },
	{ 0x081, 0x08F, 1, -1, "dma",		RW(dma), NULL },
	{ 0x092, 0x092, 1, -1, "port92",	RW(port92), NULL },
	{ 0x0A0, 0x0A1, 1, -1, "pic",		RW(pic), NULL },
	{ 0x0B2, 0x0B3, 1, -1, "apm",		RW(apm), NULL },
	{ 0x0C0, 0x0DF, 1, -1, "dma",		RW(dma), NULL },
	{ 0x0F0, 0x0F0, 1, 13, "ferr",		NULL, pc_ferr_write, NULL },
	{ 0x2E8, 0x2EF, 1,  3, "com4",		RW(serial), has_serial3 },
	{ 0x2F8, 0x2FF, 1,  3, "com2",		RW(serial), has_serial1 },
	{ 0x3E8, 0x3EF, 1,  4, "com3",		RW(serial), has_serial2 },
	{ 0x3F8, 0x3FF, 1,  4, "com1",		RW(serial), has_serial0 },
	{ 0x481, 0x48B, 1, -1, "dma",		RW(dma), NULL },
	{ 0x4D0, 0x4D1, 1, -1, "elcr",		RW(pic), NULL },
	{ 0x505, 0x505, 1, -1, "pvpanic",	RW(pvpanic), has_pvpanic },
	{ 0xCF8, 0xCFB, 4, -1, "pci",		RW(cf8), NULL },
	{ 0xCFC, 0xCFF, 4, -1, "pci",		RW(cfc), NULL },
	/* and the ACPI block, by pc_acpi_move(), on IRQ 9; isa-debug-exit and debugcon where the user says */
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
	if (err == 0 && pc->cfg.debugcon_port != 0)
		err = bus_claim(&pc->bus, (struct io_row){ .first = pc->cfg.debugcon_port, .last = pc->cfg.debugcon_port, .width = 1,
		    .read = pc_debugcon_read, .write = pc_debugcon_write, .arg = pc, .name = "debugcon" });
	if (err == 0 && pc->cfg.debug_exit_port != 0) {
		unsigned size = pc->cfg.debug_exit_size ? pc->cfg.debug_exit_size : 4;
		err = bus_claim(&pc->bus, (struct io_row){
			.first = pc->cfg.debug_exit_port, .last = (uint16_t)(pc->cfg.debug_exit_port + size - 1),
			.width = (uint8_t)MIN(size, 4), .read = pc_debug_exit_read, .write = pc_debug_exit_write,
			.arg = pc, .name = "isa-debug-exit",
		});
	}
	pc_acpi_move(pc, PC_ACPI_BASE);
	return err;
}

void pc_set_boot_order(struct pc *pc, const uint8_t order[3])
{
	rtc_set_cmos(&pc->rtc, 0x38, (uint8_t)(order[2] << 4 | pc->cfg.no_boot_check));
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

	ext_kb = MIN(ext_kb, 65535);
	ext_64k = MIN(ext_64k, 65535);
	rtc_set_cmos(rtc, 0x14, 0x06);		/* equipment: a coprocessor; chipset_attach_floppy() adds to it */
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

/* Ticks of the 8254 can be late where none is lost, see pc_timer_irq(). */
static bool tick_can_wait(const struct pc *pc)
{
	return pc->late_ticks == 0 && !pc->timers_cut && !pc_tick_busy(pc) && !(pc->pic.chip[0].imr & BIT(IRQ_TIMER));
}

ns_t pc_next_event_late(struct pc *pc, ns_t now, ns_t slack)
{
	ns_t next = tick_late(pit_next(&pc->pit, now), pit_period(&pc->pit), tick_can_wait(pc) ? slack : 0);

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
		next = MIN(next, pc->next_hook(pc->hook_arg, now, slack));
	return next;
}

ns_t pc_next_event(struct pc *pc, ns_t now)
{
	return pc_next_event_late(pc, now, 0);
}

void pc_update(struct pc *pc, ns_t now)
{
	pit_update(&pc->pit, now);
	pc_timer_irq(pc);
	rtc_update(&pc->rtc, now);
	pc_rtc_irq(pc);
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

/* FERR#: IRQ 13 until the handler writes F0h (or the CPU drops FERR#).	[AT-TRM "Coprocessor Controls"] */
static void pc_ferr(void *arg, bool level)
{
	struct pc *pc = arg;

	pc->ferr = level;
	pc_chip_irq(pc, IRQ_FPU, level);
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
	pc->stirred = true;
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
