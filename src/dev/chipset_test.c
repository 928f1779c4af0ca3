/* The PCI side of the board: wiring between its chips, ports, memory and the CPU.	[82371SB], [82371AB], [82093AA], [SDM 3] */
#include <stdlib.h>
#include <string.h>

#include "dev/chipset.h"
#include "tests/test.h"

#define DISK_BYTES	(64ull << 20)
#define FLOPPY_BYTES	1474560u

struct world {
	struct pc pc;
	struct chipset cs;
	struct vcpu cpu;
	struct phys phys;
	ns_t now;
	uint8_t sector;			/* what every byte of a medium reads as, but the first of each sector: its number */
	unsigned trays;
};

static ns_t world_now(void *arg) { return ((struct world *)arg)->now; }
static void on_a20(void *arg, bool on) { }
static void on_tray(void *arg, unsigned channel, unsigned drive, bool open, bool locked) { ((struct world *)arg)->trays++; }
static void drain(struct disk *disk) { }

static void submit(struct disk *disk, struct disk_request *req)
{
	struct world *w = disk->arg;

	for (uint32_t at = 0; req->op == DISK_READ && at < req->len; at += 512) {
		memset(req->buf + at, w->sector, 512);
		req->buf[at] = (uint8_t)((req->offset + at) / 512);
	}
	req->done(req);
}

static struct disk *medium(struct world *w, struct disk *d, uint64_t bytes)
{
	*d = (struct disk){ .size_bytes = bytes, .submit = submit, .drain = drain, .arg = w };
	return d;
}

static uint32_t in(struct world *w, uint16_t port, unsigned size) { return w->cpu.bus->io_read(w->cpu.bus_arg, port, size); }
static void out(struct world *w, uint16_t port, unsigned size, uint32_t val) { w->cpu.bus->io_write(w->cpu.bus_arg, port, size, val); }
static int ack(struct world *w) { return w->cpu.bus->intr_ack(w->cpu.bus_arg); }
static uint32_t mem(struct world *w, gpa_t gpa) { return (uint32_t)phys_read_n(&w->phys, gpa, 4); }
static void set_mem(struct world *w, gpa_t gpa, uint32_t val) { phys_write_n(&w->phys, gpa, 4, val); }

static void config(struct world *w, unsigned slot, unsigned fn, unsigned reg, unsigned size, uint32_t val)
{
	out(w, 0xCF8, 4, 0x80000000 | PCI_DEVFN(slot, fn) << 8 | (reg & 0xFC));
	out(w, (uint16_t)(0xCFC + (reg & 3)), size, val);
}

static uint8_t cmos(struct world *w, uint8_t reg)
{
	out(w, 0x70, 1, reg);
	return (uint8_t)in(w, 0x71, 1);
}

/* The two 8259A as a BIOS leaves them: vectors 08h and 70h, all lines open. */
static void open_pics(struct world *w)
{
	static const uint8_t init[][2] = { { 0x20, 0x11 }, { 0x21, 0x08 }, { 0x21, 0x04 }, { 0x21, 0x01 },
		{ 0xA0, 0x11 }, { 0xA1, 0x70 }, { 0xA1, 0x02 }, { 0xA1, 0x01 } };

	for (unsigned i = 0; i < ARRAY_LEN(init); i++)
		out(w, init[i][0], 1, init[i][1]);
}

static struct world *fresh_with(bool hpet)
{
	struct world *w = calloc(1, sizeof(*w));

	CHECK(w != NULL);
	CHECK_EQ(phys_init(&w->phys, 16 << 20, 1 << 20), 0);
	struct pc_config pc = { .host = { .arg = w, .set_a20 = on_a20 }, .now = world_now, .now_arg = w, .ram_bytes = 16 << 20 };
	CHECK_EQ(pc_init(&w->pc, &w->cpu, &w->phys, &pc), 0);
	struct chipset_config cs = { .tray = on_tray, .arg = w, .hpet = hpet };
	CHECK_EQ(chipset_init(&w->cs, &w->pc, &cs), 0);
	open_pics(w);
	return w;
}

static struct world *fresh(void)
{
	return fresh_with(false);
}

/* The first channel's first disk, one sector. */
static void read_sector(struct world *w, uint8_t lba, uint8_t command)
{
	out(w, 0x1F2, 1, 1);
	out(w, 0x1F3, 1, lba);
	out(w, 0x1F4, 1, 0);
	out(w, 0x1F5, 1, 0);
	out(w, 0x1F6, 1, 0xE0);
	out(w, 0x1F7, 1, command);
}

static void done(struct world *w)
{
	phys_free(&w->phys);
	free(w);
}

/* The software-enabled local APIC with LINT0 as the 8259A's wire: virtual wire mode. */
static void virtual_wire(struct world *w)
{
	set_mem(w, LAPIC_BASE + 0xF0, 0x1FF);
	set_mem(w, LAPIC_BASE + 0x350, 0x700);		/* LVT LINT0: ExtINT, not masked */
}

static void redirect(struct world *w, unsigned pin, uint32_t low)
{
	set_mem(w, IOAPIC_BASE, 0x11 + 2 * pin);
	set_mem(w, IOAPIC_BASE + 0x10, 0);
	set_mem(w, IOAPIC_BASE, 0x10 + 2 * pin);
	set_mem(w, IOAPIC_BASE + 0x10, low);
}

TEST(chipset_before_an_apic_is_programmed_the_8259a_interrupts_the_cpu)
{
	struct world *w = fresh();

	pc_set_irq(&w->pc, 5, true);
	CHECK(w->cpu.intr_line);
	CHECK_EQ(ack(w), 0x0D);
	CHECK(!w->cpu.intr_line);
	done(w);
}

TEST(chipset_8259a_reaches_the_cpu_through_lint0_and_only_so)	/* [SDM 3, "Local Vector Table", ExtINT] */
{
	struct world *w = fresh();

	virtual_wire(w);
	pc_set_irq(&w->pc, 5, true);
	CHECK(w->cpu.intr_line);
	set_mem(w, LAPIC_BASE + 0x350, 0x10700);	/* masked */
	CHECK(!w->cpu.intr_line);
	set_mem(w, LAPIC_BASE + 0x350, 0x700);
	CHECK(w->cpu.intr_line);
	CHECK_EQ(ack(w), 0x0D);				/* the vector is the 8259A's */
	done(w);
}

TEST(chipset_each_line_is_an_input_of_the_io_apic_and_the_timer_is_input_2)
{
	struct world *w = fresh();

	virtual_wire(w);
	out(w, 0x21, 1, 0xFF);				/* the 8259As are shut */
	out(w, 0xA1, 1, 0xFF);
	redirect(w, 2, 0x40);
	redirect(w, 14, 0x4E);
	pc_set_irq(&w->pc, 14, true);
	CHECK(w->cpu.intr_line);
	CHECK_EQ(ack(w), 0x4E);
	set_mem(w, LAPIC_BASE + 0xB0, 0);
	CHECK(!w->cpu.intr_line);
	pc_set_irq(&w->pc, 0, false);
	pc_set_irq(&w->pc, 0, true);
	CHECK_EQ(ack(w), 0x40);
	set_mem(w, LAPIC_BASE + 0xB0, 0);
	pc_set_irq(&w->pc, 2, true);			/* the cascade is nobody's */
	CHECK(!w->cpu.intr_line);
	done(w);
}

TEST(chipset_level_interrupt_comes_again_after_eoi_while_the_line_is_up)	/* [82093AA "Remote IRR"] */
{
	struct world *w = fresh();

	virtual_wire(w);
	out(w, 0x21, 1, 0xFF);
	out(w, 0xA1, 1, 0xFF);
	redirect(w, 11, 0x8000 | 0x51);
	pc_set_irq_source(&w->pc, 11, IRQ_SRC_PCI, true);
	CHECK_EQ(ack(w), 0x51);
	CHECK(!w->cpu.intr_line);
	set_mem(w, LAPIC_BASE + 0xB0, 0);
	CHECK(w->cpu.intr_line);
	CHECK_EQ(ack(w), 0x51);
	pc_set_irq_source(&w->pc, 11, IRQ_SRC_PCI, false);
	set_mem(w, LAPIC_BASE + 0xB0, 0);
	CHECK(!w->cpu.intr_line);
	done(w);
}

TEST(chipset_io_apic_can_make_an_nmi)
{
	struct world *w = fresh();

	virtual_wire(w);
	redirect(w, 3, LAPIC_NMI << 8);
	pc_set_irq(&w->pc, 3, true);
	CHECK(w->cpu.nmi_pending);
	CHECK(w->cpu.attention & ATTN_EVENT);
	done(w);
}

TEST(chipset_local_apic_moves_with_its_msr_and_goes_when_it_is_off)	/* [SDM 3, "IA32_APIC_BASE"] */
{
	struct world *w = fresh();
	const struct cpu_bus *bus = w->cpu.bus;

	CHECK_EQ(bus->apic_base(w->cpu.bus_arg), LAPIC_BASE | 0x900);
	CHECK_EQ(mem(w, LAPIC_BASE + 0x30) & 0xFF, 0x14);
	bus->set_apic_base(w->cpu.bus_arg, 0xFE000000 | 0x900);
	CHECK_EQ(mem(w, LAPIC_BASE + 0x30), 0xFFFFFFFF);
	CHECK_EQ(mem(w, 0xFE000030) & 0xFF, 0x14);
	bus->set_apic_base(w->cpu.bus_arg, 0xFE000000 | 0x100);
	CHECK_EQ(mem(w, 0xFE000030), 0xFFFFFFFF);
	pc_set_irq(&w->pc, 5, true);			/* off, it is not in the 8259A's way */
	CHECK(w->cpu.intr_line);
	CHECK_EQ(ack(w), 0x0D);
	pc_reset(&w->pc);
	CHECK_EQ(mem(w, LAPIC_BASE + 0x30) & 0xFF, 0x14);
	done(w);
}

TEST(chipset_apic_timer_is_among_the_board_s_events)
{
	struct world *w = fresh();

	virtual_wire(w);
	set_mem(w, LAPIC_BASE + 0x320, 0x60);		/* one shot, vector 60h */
	set_mem(w, LAPIC_BASE + 0x3E0, 0xB);		/* divide by 1 */
	w->cpu.attention = 0;
	set_mem(w, LAPIC_BASE + 0x380, 5000);
	CHECK(w->cpu.attention & ATTN_KICK);		/* the loop has to ask again */
	CHECK_EQ(pc_next_event(&w->pc, w->now), 5000);
	w->now = 5000;
	pc_update(&w->pc, w->now);
	CHECK(w->cpu.intr_line);
	CHECK_EQ(ack(w), 0x60);
	done(w);
}

enum { LVT_TIMER = LAPIC_BASE + 0x320, INITIAL = LAPIC_BASE + 0x380, DIVIDE = LAPIC_BASE + 0x3E0, EOI = LAPIC_BASE + 0xB0 };

/* An interrupt of the APIC's timer at w->now, to its end. */
static void take_tick(struct world *w)
{
	pc_update(&w->pc, w->now);
	CHECK_EQ(ack(w), 0x60);
	set_mem(w, EOI, 0);
}

TEST(chipset_apic_ticks_that_are_late_are_all_given)
{
	struct world *w = fresh();
	unsigned n = 0, sleeps = 0;

	virtual_wire(w);
	set_mem(w, DIVIDE, 0xB);
	set_mem(w, LVT_TIMER, 0x20060);			/* periodic, vector 60h */
	set_mem(w, INITIAL, 4000000);
	while (w->now < 100000000000u) {
		w->now = pc_next_event_late(&w->pc, w->now, 12000000);
		sleeps++;
		for (take_tick(w), n++; w->cpu.intr_line; n++)
			take_tick(w);
	}
	CHECK_EQ(n, w->now / 4000000);
	CHECK_EQ(sleeps, n / 4);
	done(w);
}

/* What a tickless guest, or one that sleeps, wants: nothing of that is late. */
TEST(chipset_apic_one_shots_are_never_late_but_for_those_of_a_steady_beat)
{
	struct world *w = fresh();
	ns_t late = 0;

	virtual_wire(w);
	set_mem(w, DIVIDE, 0xB);
	set_mem(w, LVT_TIMER, 0x60);			/* one shot */
	w->pc.stirred = false;
	for (unsigned i = 0; i < 1000; i++) {		/* a time from now */
		set_mem(w, INITIAL, 4000000);
		CHECK_EQ(pc_next_event_late(&w->pc, w->now, 12000000), w->now + 4000000);
		CHECK(w->pc.stirred);
		w->now += 4000000 + i * 7919 % 40 * 1000;
		take_tick(w);
	}
	for (unsigned i = 0; i < 1000; i++) {		/* each 4 ms, however late the last one was */
		ns_t due = (w->now / 4000000 + 1) * 4000000;
		set_mem(w, INITIAL, (uint32_t)(due - w->now));
		w->now = pc_next_event_late(&w->pc, w->now, 12000000);
		CHECK(w->now == due || w->now == due + 12000000);
		late += w->now != due;
		w->now += 20000 + i * 7919 % 40 * 1000;
		w->pc.stirred = false;
		take_tick(w);
	}
	CHECK(late > 900);
	CHECK(!w->pc.stirred);
	set_mem(w, INITIAL, 1000000);			/* a sleep */
	CHECK(w->pc.stirred);
	CHECK_EQ(pc_next_event_late(&w->pc, w->now, 12000000), w->now + 1000000);
	done(w);
}

TEST(chipset_apic_timer_started_anew_by_each_of_its_ticks_stirs_the_board)
{
	struct world *w = fresh();

	virtual_wire(w);
	set_mem(w, DIVIDE, 0xB);
	set_mem(w, LVT_TIMER, 0x20060);
	set_mem(w, INITIAL, 4000000);
	for (unsigned i = 0; i < 5; i++) {
		w->now += 4000000;
		w->pc.stirred = false;
		take_tick(w);
		CHECK(!w->pc.stirred);
		w->now += 1000;
		set_mem(w, INITIAL, 4000000);
		CHECK(w->pc.stirred);
	}
	done(w);
}

TEST(chipset_apic_one_shot_of_another_divider_is_off_the_beat)
{
	struct world *w = fresh();

	virtual_wire(w);
	set_mem(w, DIVIDE, 0xB);
	set_mem(w, LVT_TIMER, 0x60);
	for (unsigned i = 0; i < 100; i++) {
		ns_t due = (w->now / 4000000 + 1) * 4000000;
		set_mem(w, INITIAL, (uint32_t)(due - w->now));
		w->now = due + 20000 + i * 7919 % 40 * 1000;
		take_tick(w);
	}
	set_mem(w, INITIAL, (uint32_t)((w->now / 4000000 + 1) * 4000000 - w->now));
	CHECK(pc_next_event_late(&w->pc, w->now, 12000000) > pc_next_event(&w->pc, w->now));
	w->pc.stirred = false;
	set_mem(w, DIVIDE, 0);				/* half as fast */
	CHECK_EQ(pc_next_event_late(&w->pc, w->now, 12000000), pc_next_event(&w->pc, w->now));
	CHECK(w->pc.stirred);
	done(w);
}

TEST(chipset_ide_channels_answer_at_their_ports_and_interrupt_on_14_and_15)
{
	struct world *w = fresh();
	struct disk hd, cd;

	chipset_attach_ide(&w->cs, 0, 0, IDE_DISK, medium(w, &hd, DISK_BYTES), NULL);
	chipset_attach_ide(&w->cs, 1, 0, IDE_CDROM, medium(w, &cd, DISK_BYTES), NULL);
	w->sector = 0xA5;
	read_sector(w, 7, 0x20);
	CHECK(w->cpu.intr_line);
	CHECK_EQ(ack(w), 0x76);
	CHECK_EQ(in(w, 0x3F6, 1), IDE_DRDY | IDE_DSC | IDE_DRQ);
	CHECK_EQ(in(w, 0x1F0, 4), 0xA5A5A507);		/* the data register is as wide as the access */
	CHECK_EQ(in(w, 0x1F0, 2), 0xA5A5);
	for (unsigned i = 6; i < 512; i += 2)
		in(w, 0x1F0, 2);
	CHECK_EQ(in(w, 0x1F7, 1), IDE_DRDY | IDE_DSC);
	out(w, 0x20, 1, 0x20);
	out(w, 0xA0, 1, 0x20);
	CHECK_EQ(in(w, 0x174, 1), 0x14);		/* the second channel shows a packet device's signature */
	CHECK_EQ(in(w, 0x175, 1), 0xEB);
	out(w, 0x177, 1, 0xA1);
	CHECK_EQ(ack(w), 0x77);
	CHECK(in(w, 0x376, 1) & IDE_DRQ);
	out(w, 0x376, 1, IDE_CONTROL_SRST);
	CHECK_EQ(in(w, 0x376, 1), IDE_BSY);
	CHECK_EQ(in(w, 0x3F6, 1), IDE_DRDY | IDE_DSC);	/* the first one's business it is not */
	done(w);
}

TEST(chipset_bus_master_block_is_where_configuration_space_puts_it)	/* [82371SB "BMIBA"] */
{
	struct world *w = fresh();
	struct disk hd;

	chipset_attach_ide(&w->cs, 0, 0, IDE_DISK, medium(w, &hd, DISK_BYTES), NULL);
	w->sector = 0x33;
	config(w, PIIX_SLOT, 1, 0x04, 2, 0);
	CHECK_EQ(in(w, 0xC002, 1), 0xFF);
	config(w, PIIX_SLOT, 1, 0x20, 4, 0xD000);
	config(w, PIIX_SLOT, 1, 0x04, 2, 5);
	set_mem(w, 0x1000, 0x20000);			/* one region of 512 bytes */
	set_mem(w, 0x1004, 0x80000200);
	out(w, 0xD004, 4, 0x1000);
	read_sector(w, 9, 0xC8);
	out(w, 0xD000, 1, 9);
	CHECK_EQ(in(w, 0xD002, 1) & 7, 4);
	CHECK_EQ(mem(w, 0x20000), 0x33333309);
	CHECK_EQ(ack(w), 0x76);
	done(w);
}

TEST(chipset_pci_line_goes_where_the_south_bridge_routes_it)	/* [82371SB "PIRQRC"] */
{
	struct world *w = fresh();

	config(w, PIIX_SLOT, 0, 0x60, 1, 9);
	w->cs.pci.pirq(w->cs.pci.arg, 0, true);
	CHECK(w->cpu.intr_line);
	CHECK_EQ(ack(w), 0x71);
	w->cs.pci.pirq(w->cs.pci.arg, 0, false);
	done(w);
}

TEST(chipset_power_management_and_smbus_blocks_follow_their_bases)	/* [82371AB "PMBASE", "SMBBA"] */
{
	struct world *w = fresh();
	uint32_t then = in(w, PC_ACPI_BASE + 8, 4);

	w->now += 1000000000;
	CHECK(in(w, PC_ACPI_BASE + 8, 4) != then);	/* the PM timer */
	config(w, PIIX_SLOT, 3, 0x40, 4, 0xB000);
	CHECK_EQ(in(w, PC_ACPI_BASE + 8, 4), 0xFFFFFFFF);
	then = in(w, 0xB008, 4);
	w->now += 1000000000;
	CHECK(in(w, 0xB008, 4) != then);
	CHECK_EQ(in(w, 0xB100, 1), 0xFF);
	config(w, PIIX_SLOT, 3, 0x90, 4, 0xB100);
	config(w, PIIX_SLOT, 3, 0xD2, 1, 1);
	CHECK_EQ(in(w, 0xB100, 1), 0);			/* idle */
	out(w, 0xB104, 1, 0xA1);
	CHECK_EQ(in(w, 0xB104, 1), 0xA1);
	config(w, PIIX_SLOT, 3, 0xD2, 1, 0);
	CHECK_EQ(in(w, 0xB100, 1), 0xFF);
	pc_reset(&w->pc);
	CHECK(in(w, PC_ACPI_BASE + 8, 4) != 0xFFFFFFFF);
	done(w);
}

TEST(chipset_hpet_takes_the_line_of_the_8254_and_gives_it_back)	/* [HPET 1.0a, "LegacyReplacement Route"] */
{
	struct world *w = fresh_with(true);

	out(w, 0x43, 1, 0x34);				/* counter 0: a tick every 0.99 ms */
	out(w, 0x40, 1, 0xA0);
	out(w, 0x40, 1, 0x04);
	CHECK_EQ(mem(w, HPET_BASE), HPET_BLOCK_ID);
	set_mem(w, HPET_BASE + 0x108, 500000);		/* timer 0, at 5 ms */
	set_mem(w, HPET_BASE + 0x10C, 0);
	set_mem(w, HPET_BASE + 0x100, 4);
	set_mem(w, HPET_BASE + 0x10, 3);		/* run, legacy routing */
	w->now = 4999999;
	pc_update(&w->pc, w->now);
	CHECK(!w->cpu.intr_line);
	CHECK_EQ(mem(w, HPET_BASE + 0xF0), 499999);
	w->now = 5000000;
	pc_update(&w->pc, w->now);
	CHECK(w->cpu.intr_line);
	CHECK_EQ(ack(w), 0x08);
	out(w, 0x20, 1, 0x20);
	w->now = 8000000;
	pc_update(&w->pc, w->now);
	CHECK(!w->cpu.intr_line);
	set_mem(w, HPET_BASE + 0x10, 0);
	w->now = 9000000;
	pc_update(&w->pc, w->now);
	CHECK(w->cpu.intr_line);			/* the 8254's */
	CHECK_EQ(ack(w), 0x08);
	pc_reset(&w->pc);
	CHECK_EQ(mem(w, HPET_BASE + 0xF0), 0);
	done(w);
}

static void fdc_command(struct world *w, const char *bytes, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		CHECK_EQ(in(w, 0x3F4, 1) & 0xC0, 0x80);
		out(w, 0x3F5, 1, (uint8_t)bytes[i]);
	}
}

TEST(chipset_floppy_sector_comes_through_dma_channel_2_and_interrupt_6)	/* [82077AA], [8237A] */
{
	struct world *w = fresh();
	struct disk fd;

	chipset_attach_floppy(&w->cs, 0, medium(w, &fd, FLOPPY_BYTES));
	w->sector = 0x5A;
	out(w, 0x3F2, 1, 0x1C);
	CHECK_EQ(ack(w), 0x0E);
	out(w, 0x20, 1, 0x20);
	for (unsigned i = 0; i < 4; i++) {
		fdc_command(w, "\x08", 1);
		CHECK_EQ(in(w, 0x3F5, 1), 0xC0 | i);
		in(w, 0x3F5, 1);
	}
	out(w, 0x3F7, 1, 0);
	fdc_command(w, "\x03\xDF\x02", 3);
	out(w, 0xD6, 1, 0xC0);				/* cascade open */
	out(w, 0xD4, 1, 0);
	out(w, 0x0C, 1, 0);
	out(w, 0x0B, 1, 0x46);				/* single, write to memory, channel 2 */
	out(w, 0x04, 1, 0x00);
	out(w, 0x04, 1, 0x30);				/* to 23000h */
	out(w, 0x81, 1, 0x02);
	out(w, 0x05, 1, 0xFF);
	out(w, 0x05, 1, 0x03);				/* 1024 bytes */
	out(w, 0x0A, 1, 0x02);
	fdc_command(w, "\xE6\x00\x00\x00\x03\x02\x12\x1B\xFF", 9);
	CHECK_EQ(ack(w), 0x0E);
	CHECK_EQ(in(w, 0x3F5, 1), 0);			/* ST0: normal, drive 0 */
	CHECK_EQ(mem(w, 0x23000), 0x5A5A5A02);
	CHECK_EQ(mem(w, 0x23200), 0x5A5A5A03);
	CHECK_EQ(mem(w, 0x23400), 0);
	done(w);
}

TEST(chipset_cmos_tells_firmware_of_floppies_and_disk_translation)	/* [AT-TRM "Diskette Drive Type Byte"] */
{
	struct world *w = fresh();
	struct disk fd, small, big;
	uint16_t sum = 0;

	chipset_attach_floppy(&w->cs, 0, medium(w, &fd, FLOPPY_BYTES));
	CHECK_EQ(cmos(w, 0x10), 0x40);
	CHECK_EQ(cmos(w, 0x14) & 0xC1, 0x01);
	chipset_attach_floppy(&w->cs, 1, NULL);
	CHECK_EQ(cmos(w, 0x10), 0x44);
	CHECK_EQ(cmos(w, 0x14) & 0xC1, 0x41);
	for (uint8_t i = 0x10; i <= 0x2D; i++)
		sum = (uint16_t)(sum + cmos(w, i));
	CHECK_EQ(cmos(w, 0x2E) << 8 | cmos(w, 0x2F), sum);
	chipset_attach_ide(&w->cs, 0, 1, IDE_DISK, medium(w, &small, 1024ull * 16 * 63 * 512), NULL);
	CHECK_EQ(cmos(w, 0x39), 0);
	chipset_attach_ide(&w->cs, 1, 0, IDE_DISK, medium(w, &big, 1025ull * 16 * 63 * 512), NULL);
	CHECK_EQ(cmos(w, 0x39), 1 << 4);
	done(w);
}

TEST(chipset_firmware_configuration_is_at_its_ports)	/* [QEMU "fw_cfg Device"] */
{
	struct world *w = fresh();

	out(w, 0x510, 2, FW_CFG_SIGNATURE);
	CHECK_EQ(in(w, 0x511, 1), 'Q');
	CHECK_EQ(in(w, 0x511, 1), 'E');
	set_mem(w, 0x5000, 0x0A000000);			/* select 0, read: big-endian control, length, address */
	set_mem(w, 0x5004, 0x04000000);
	set_mem(w, 0x5008, 0);
	set_mem(w, 0x500C, 0x00600000);			/* 6000h */
	out(w, 0x514, 4, 0);
	out(w, 0x518, 4, 0x00500000);			/* 5000h */
	CHECK_EQ(mem(w, 0x5000), 0);
	CHECK_EQ(mem(w, 0x6000), 0x554D4551);		/* "QEMU" */
	done(w);
}

TEST(chipset_reset_forgets_what_was_under_way_and_keeps_the_drives)
{
	struct world *w = fresh();
	struct disk hd;

	chipset_attach_ide(&w->cs, 0, 0, IDE_DISK, medium(w, &hd, DISK_BYTES), NULL);
	out(w, 0x1F6, 1, 0xE0);
	out(w, 0x1F7, 1, 0xEC);
	CHECK(in(w, 0x3F6, 1) & IDE_DRQ);
	virtual_wire(w);
	redirect(w, 14, 0x4E);
	pc_reset(&w->pc);
	CHECK_EQ(in(w, 0x3F6, 1), IDE_DRDY | IDE_DSC);
	CHECK_EQ(mem(w, LAPIC_BASE + 0xF0), 0xFF);	/* disabled by software */
	CHECK_EQ(mem(w, LAPIC_BASE + 0x350), 0x700);	/* and out of the 8259A's way, as firmware leaves it */
	set_mem(w, IOAPIC_BASE, 0x10 + 2 * 14);
	CHECK_EQ(mem(w, IOAPIC_BASE + 0x10) & 0x10000, 0x10000);
	CHECK_EQ(in(w, 0x4D1, 1), 0x0C);		/* without firmware: lines 10 and 11 are PCI's, by level */
	done(w);
}

TEST(chipset_tells_the_host_when_the_guest_moves_a_tray)
{
	struct world *w = fresh();
	struct disk cd;
	static const uint8_t eject[12] = { 0x1B, 0, 0, 0, 2 };

	chipset_attach_ide(&w->cs, 1, 0, IDE_CDROM, medium(w, &cd, DISK_BYTES), NULL);
	w->cs.ide.channel[1].drive[0].unit_attention = false;
	out(w, 0x177, 1, 0xA0);
	for (unsigned i = 0; i < 12; i += 2)
		out(w, 0x170, 2, eject[i] | eject[i + 1] << 8);
	CHECK_EQ(w->trays, 1);
	CHECK(w->cs.ide.channel[1].drive[0].tray_open);
	done(w);
}
