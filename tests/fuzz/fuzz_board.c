/*
 * libFuzzer target: a whole board - interrupt controllers, timers, clock, keyboard, serial ports, DMA, floppy, IDE with
 * disk and CD, PCI, APICs, graphics and network card - under random port and MMIO accesses, DMA, time, input and resets.
 *
 * The input is a list of accesses; once it is used up, as many again follow from its checksum, so that a short input is a
 * long run too. What must hold: nothing is touched that is not the board's (the sanitizers, the assertions), an access
 * ends, and after a reset the timer counts.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dev/chipset.h"
#include "dev/vga.h"
#include "mmu/phys.h"
#include "tests/fuzz/input.h"
#include "tests/medium.h"
#include "vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RAM_BYTES = 4 << 20, DISK_BYTES = 2 << 20, MORE = 3000 };

struct world {
	struct vcpu cpu;
	struct phys phys;
	struct pc pc;
	struct chipset chipset;
	struct vga vga;
	struct medium disk, cd, floppy;
	struct vga_view view;
	bool no_room;			/* for frames that the network card sends */
	unsigned sent;
	ns_t now;
	struct fuzz_input in;
};

/* C leaves it open which operand or argument comes first: whoever takes two, does so in two statements. */
static uint8_t next(struct world *w) { return fuzz_next(&w->in); }
static uint32_t next32(struct world *w) { return fuzz_next32(&w->in); }

static uint32_t dice(void *arg) { return next(arg); }

/* --- the board --- */

static ns_t world_now(void *arg) { return ((struct world *)arg)->now; }
static size_t world_tx(void *arg, unsigned port, const uint8_t *buf, size_t len) { return len; }
static void world_a20(void *arg, bool on) { ((struct world *)arg)->phys.a20_mask = on ? ~(gpa_t)0 : ~(gpa_t)(1u << 20); }
static void world_nothing(void *arg) { }

static bool world_send(void *arg, const uint8_t *frame, size_t len)
{
	struct world *w = arg;

	assert(len >= 14 && len <= E1000_FRAME_MAX + 4);
	w->sent += !w->no_room;
	return !w->no_room;
}

static struct world *world_new(const uint8_t *data, size_t size)
{
	struct world *w = calloc(1, sizeof(*w));
	struct pc_config cfg = {
		.host = { .arg = w, .serial_tx = world_tx, .set_a20 = world_a20, .power_off = world_nothing, .reset = world_nothing },
		.now = world_now, .now_arg = w, .tsc_hz = 2000000000, .start_time_s = 1709210096, .ram_bytes = RAM_BYTES,
		.debugcon_port = 0xE9, .pvpanic = true, .debug_exit_port = 0xF4, .debug_exit_size = 4, .boot_order = { 2, 1, 3 },
	};

	assert(w && phys_init(&w->phys, RAM_BYTES, 64 << 20) == 0);
	*w = (struct world){ .phys = w->phys, .in = fuzz_input(data, size, MORE), .now = 1 };
	w->cpu.phys = &w->phys;
	assert(pc_init(&w->pc, &w->cpu, &w->phys, &cfg) == 0);
	assert(chipset_init(&w->chipset, &w->pc, &(struct chipset_config){ .firmware = false }) == 0);
	assert(vga_init(&w->vga, &w->phys, &w->pc.bus) == 0);
	vga_pci_init(&w->vga, &w->chipset.pci, PCI_DEVFN(2, 0), NULL, 0);
	w->vga.now = world_now;
	w->vga.arg = w;
	chipset_attach_net(&w->chipset, (const uint8_t[]){ 0x52, 0x54, 0, 0x12, 0x34, 0x56 }, &(struct e1000_host){ .arg = w, .send = world_send }, NULL, 0);
	e1000_set_cable(&w->chipset.net.card, true, 0);
	chipset_attach_ide(&w->chipset, 0, 0, IDE_DISK, medium_init(&w->disk, DISK_BYTES, dice, w), NULL);
	chipset_attach_ide(&w->chipset, 1, 0, IDE_CDROM, medium_init(&w->cd, DISK_BYTES, dice, w), NULL);
	chipset_attach_floppy(&w->chipset, 0, medium_init(&w->floppy, 1474560, dice, w));
	pc_reset(&w->pc);
	return w;
}

static void world_free(struct world *w)
{
	struct medium *media[] = { &w->disk, &w->cd, &w->floppy };

	for (unsigned i = 0; i < ARRAY_LEN(media); i++) {
		medium_drain(&media[i]->disk);
		free(media[i]->bytes);
	}
	phys_free(&w->phys);
	free(w);
}

/* Where chips answer, and now and then where none does. */
static uint16_t some_port(struct world *w)
{
	static const struct { uint16_t first, count; } ports[] = {
		{ 0x00, 16 }, { 0x20, 2 }, { 0x40, 4 }, { 0x60, 5 }, { 0x70, 2 }, { 0x80, 16 }, { 0x92, 1 }, { 0xA0, 2 }, { 0xC0, 32 },
		{ 0xF0, 2 }, { 0x1F0, 8 }, { 0x170, 8 }, { 0x376, 1 }, { 0x3F6, 1 }, { 0x3B0, 48 }, { 0x3F0, 8 }, { 0x3F8, 8 }, { 0x2F8, 8 },
		{ 0xCF8, 8 }, { 0x510, 12 }, { 0x600, 64 }, { 0xB100, 16 }, { 0xC000, 16 }, { 0xC040, 8 }, { 0x1CE, 3 }, { 0x4D0, 2 },
	};
	unsigned n = next(w);

	if (n >= 8 * ARRAY_LEN(ports))
		return (uint16_t)next32(w);
	return (uint16_t)(ports[n % ARRAY_LEN(ports)].first + next(w) % ports[n % ARRAY_LEN(ports)].count);
}

static gpa_t some_mmio(struct world *w)
{
	static const uint32_t base[] = { 0xFEE00000, 0xFEC00000, 0xA0000, 0xB8000, 0xE0000000, 0xFD000000, 0xFEBF0000, 0xF0000, 0xFEB80000 };

	uint32_t at = base[next(w) % ARRAY_LEN(base)];

	return (at + (next32(w) & 0x1FFFF)) & ~(gpa_t)3;
}

/* CF8h names one of the functions that are there, and one of its registers. */
static void config_access(struct world *w)
{
	static const uint8_t devfn[] = { 0, 8, 9, 11, 16, 24 };
	uint32_t at = 0x80000000u | (uint32_t)devfn[next(w) % ARRAY_LEN(devfn)] << 8;
	const struct cpu_bus *bus = w->cpu.bus;

	at |= next(w) & 0xFC;
	bus->io_write(w->cpu.bus_arg, 0xCF8, 4, at);
	if (next(w) & 1)
		bus->io_write(w->cpu.bus_arg, 0xCFC, 4, next32(w));
	else
		bus->io_read(w->cpu.bus_arg, (uint16_t)(0xCFC + (next(w) & 3)), 1);
}

static void picture(struct world *w)
{
	struct vga_picture pic = { 0 };

	vga_view_once(&w->vga, &w->view);
	vga_draw(&w->view, &pic);
	vga_picture_free(&pic);
}

/* --- the network card --- */

enum { CARD = 0xFEB80000, TX_RING = 0x1000, RX_RING = 0x2000, RING = 64 };

/* A visit may not hold the guest up: it sends no more frames than this. */
static void card_write(struct world *w, unsigned reg, uint32_t val)
{
	unsigned before = w->sent;

	phys_write_n(&w->phys, CARD + reg, 4, val);
	assert(w->sent - before <= 64);
}

/* As a driver sets it up. */
static void card_start(struct world *w)
{
	static const struct { uint16_t reg; uint32_t val; } writes[] = { { 0x0000, 0x40 }, { 0x2800, RX_RING }, { 0x2804, 0 }, { 0x2808, RING * 16 },
	    { 0x3800, TX_RING }, { 0x3804, 0 }, { 0x3808, RING * 16 }, { 0x2810, 0 }, { 0x3810, 0 }, { 0x3818, 0 }, { 0x0100, 0x801A }, { 0x0400, 0xA },
	    { 0x00D0, 0x9D }, { 0x5000, 0x300 } };

	pci_config_write(&w->chipset.pci, 0x80001804, 2, 7);
	pci_config_write(&w->chipset.pci, 0x80001810, 4, CARD);
	for (unsigned i = 0; i < ARRAY_LEN(writes); i++)
		card_write(w, writes[i].reg, writes[i].val);
	for (unsigned i = 0; i < RING; i++) {
		uint32_t at = 0x10000 + next(w) * 0x1000u;
		memcpy(w->phys.ram + RX_RING + 16 * i, &at, 4);
	}
	card_write(w, 0x2818, RING - 1);
}

/* A descriptor that makes some sense: legacy, context or data, and where frames or tables are. */
static void card_descriptor(struct world *w)
{
	uint8_t *d = w->phys.ram + TX_RING + 16 * (next(w) % RING), kind = next(w);
	uint32_t v[4] = { 0 };

	for (unsigned i = 0; i < 4; i++)
		v[i] = next32(w);
	if (kind & 3) {
		v[1] = kind & 4 ? CARD >> 4 : 0;
		v[0] = kind & 8 ? v[0] & 0x3FFFFF : kind & 16 ? CARD + (v[0] & 0x1FFFF) : v[0];
		v[2] = (v[2] & ~(kind & 32 ? 0xF0000u : 0xF8000u)) | 0x20000000u;
		v[2] = (v[2] & ~0xF00000u) | (kind & 3) % 2 << 20;
	}
	memcpy(d, v, 16);
}

static void card(struct world *w)
{
	static const uint16_t regs[] = { 0x0000, 0x0010, 0x0014, 0x0018, 0x0020, 0x00C0, 0x00C4, 0x00C8, 0x00D0, 0x00D8, 0x0100, 0x0400, 0x2800, 0x2808, 0x2810,
	    0x2818, 0x2820, 0x282C, 0x3800, 0x3808, 0x3810, 0x3818, 0x3820, 0x3828, 0x382C, 0x5000, 0x5200, 0x5400, 0x5404, 0x5600 };
	static uint8_t frame[NET_FRAME_MAX];
	uint8_t what = next(w);
	unsigned reg, len;

	switch (what & 7) {
	case 0: case 1:
		reg = regs[next(w) % ARRAY_LEN(regs)];
		card_write(w, reg, next32(w) >> (what >> 3));
		break;
	case 2: case 3:
		card_descriptor(w);
		break;
	case 4:
		card_write(w, 0x3818, next(w) % RING);
		break;
	case 5:
		len = what & 8 ? next32(w) % sizeof(frame) : next(w);
		for (unsigned i = 0; i < 64; i++)
			frame[i] = next(w);
		memset(frame, 0xFF, what & 16 ? 6 : 0);
		e1000_receive(&w->chipset.net.card, frame, len, w->now);
		break;
	case 6:
		w->no_room = what & 8;
		e1000_room(&w->chipset.net.card, w->now);
		e1000_set_cable(&w->chipset.net.card, what & 0xF0, w->now);
		break;
	default:
		card_start(w);
	}
}

static void one(struct world *w)
{
	static const uint8_t sizes[] = { 1, 1, 1, 2, 4 };
	const struct cpu_bus *bus = w->cpu.bus;
	uint8_t op = next(w);
	unsigned size = sizes[next(w) % ARRAY_LEN(sizes)];
	unsigned port;
	gpa_t at;
	int8_t x, y;

	switch (op & 15) {
	case 0 ... 5:
		port = some_port(w);
		bus->io_write(w->cpu.bus_arg, (uint16_t)port, size, next32(w) & (uint32_t)((1ull << size * 8) - 1));
		break;
	case 6: case 7:
		bus->io_read(w->cpu.bus_arg, some_port(w), size);
		break;
	case 8:
		at = some_mmio(w);
		phys_write_n(&w->phys, at, size, next32(w));
		break;
	case 9:
		phys_read_n(&w->phys, some_mmio(w), size);
		break;
	case 10:
		w->now += next32(w) >> (op >> 4 & 1 ? 16 : 4);
		pc_update(&w->pc, w->now);
		assert(pc_next_event(&w->pc, w->now) != 0);
		break;
	case 11:
		config_access(w);
		break;
	case 12: {		/* tables for DMA */
		uint32_t v = next32(w);
		memcpy(w->phys.ram + (next32(w) & 0xFFF) * 4, &v, 4);
		break;
	}
	case 13:
		bus->intr_ack(w->cpu.bus_arg);
		break;
	case 14:
		pc_key(&w->pc, (enum key)(next(w) % KEY_COUNT), op & 16);
		x = (int8_t)next(w);
		y = (int8_t)next(w);
		pc_mouse(&w->pc, x, y, 0, next(w) & 7);
		port = next(w) % PC_SERIAL_PORTS;
		pc_serial_input(&w->pc, port, next(w));
		break;
	default:
		if ((op >> 4) == 0)
			pc_reset(&w->pc);
		else if ((op >> 4) < 3)
			picture(w);
		else if ((op >> 4) < 9)
			card(w);
		else
			medium_drain(op & 16 ? &w->disk.disk : op & 32 ? &w->cd.disk : &w->floppy.disk);
	}
}

/* Whatever state it was left in: counter 0 in mode 2 counts down. */
static void works_after_reset(struct world *w)
{
	const struct cpu_bus *bus = w->cpu.bus;

	pc_reset(&w->pc);
	bus->io_write(w->cpu.bus_arg, 0x43, 1, 0x34);
	bus->io_write(w->cpu.bus_arg, 0x40, 1, 0);
	bus->io_write(w->cpu.bus_arg, 0x40, 1, 0x10);
	w->now += 1000000;		/* 1193 ticks of 1000h */
	pc_update(&w->pc, w->now);
	bus->io_write(w->cpu.bus_arg, 0x43, 1, 0);
	uint32_t low = bus->io_read(w->cpu.bus_arg, 0x40, 1), high = bus->io_read(w->cpu.bus_arg, 0x40, 1);
	assert((low | high << 8) > 0x1000 - 1200 && (low | high << 8) < 0x1000 - 1180);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *w = world_new(data, size);

	while (fuzz_input_left(&w->in))
		one(w);
	works_after_reset(w);
	world_free(w);
	return 0;
}
