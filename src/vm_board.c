/*
 * The machine's board: set up from its chips and drives, and what those call while it runs.
 */
#include "vm_board.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control/devices.h"
#include "host/clock.h"
#include "vm_lead.h"

/* What the RTC shows at the start of a run by the instruction clock: 2000-01-01. */
#define FIXED_START_S	946684800

/* --- what the board tells us --- */

static ns_t on_now(void *arg)
{
	return vm_now(arg);
}

static size_t on_serial_tx(void *arg, unsigned port, const uint8_t *buf, size_t len)
{
	struct vm *vm = arg;

	return chardev_put(&vm->serial[port].chardev, buf, len);
}

static void on_serial_rx_ready(void *arg, unsigned port)
{
	struct vm *vm = arg;

	chardev_input_ready(&vm->serial[port].chardev);
}

static void on_debug_char(void *arg, uint16_t port, uint8_t byte)
{
	struct vm *vm = arg;

	chardev_put(&vm->debugcon.chardev, &byte, 1);
}

static void on_set_a20(void *arg, bool on)
{
	struct vm *vm = arg;

	cpu_set_a20(&vm->cpu, on);
}

static void on_power_off(void *arg)
{
	struct vm *vm = arg;

	if (vm->cfg->no_shutdown) {
		vm_pause(vm);
		vm->shut_down = true;
		control_event(&vm->control, "SHUTDOWN", json_pack("{s:b,s:s}", "guest", 1, "reason", "guest-shutdown"));
		return;
	}
	vm_stop(arg, STOP_POWEROFF, "the guest powered off");
}

static void on_debug_exit(void *arg, uint32_t val)
{
	struct vm *vm = arg;

	vm_stop(vm, STOP_DEBUG_EXIT, "isa-debug-exit: the guest wrote 0x%x", val);
	if (vm->stop_reason == STOP_DEBUG_EXIT)
		vm->exit_status = (int)((val << 1 | 1) & 0xFF);
}

static void on_panic(void *arg, uint8_t events)
{
	if (events & BIT(2))
		vm_stop(arg, STOP_POWEROFF, "the guest announced its shutdown at the panic port");
	else if (events & BIT(0))
		vm_stop(arg, STOP_GUEST_PANIC, "the guest panicked");
}

/* May the thread sleep while the guest waits for something that it only looks for? */
static bool may_sleep(const struct vm *vm)
{
	return cpu_attention(&vm->cpu) == 0 && vm->cfg->clock == CLOCK_HOST && vm->cfg->engine != ENGINE_LOCKSTEP;
}

/* The guest waits for the end of a count of the PIT: until just before it. */
static void wait_for_count(struct vm *vm)
{
	enum { EARLY_NS = 40000, WORTH_NS = 40000 };	/* sleepers are woken late; a sleep costs the host some 15 us */
	ns_t now = vm_now(vm), end = pit_count_2_ends(&vm->pc.pit);

	if (end == UINT64_MAX || end < now + EARLY_NS + WORTH_NS || !may_sleep(vm))
		return;
	METER_SCOPE(&vm->cpu, METER_IDLE);
	host_kick_sleep(&vm->kick, host_clock_ns() + (end - EARLY_NS - now));
}

/* What a guest that rests touches: interrupt controllers and timers. */
static bool of_ticks(const struct vm *vm, uint16_t port)
{
	return port < 0x100 || (uint16_t)(port - vm->pc.acpi.base) < 12;
}

/* Port accesses pass here on their way to the board: they are what a report shows last. */
static uint32_t on_io_read(void *arg, uint16_t port, unsigned size)
{
	struct vm *vm = arg;
	uint32_t val = vm->board_bus->io_read(vm->board_arg, port, size);

	vm->pc.stirred |= !of_ticks(vm, port);
	spin_port(&vm->spin);
	if (unlikely(spin_polls(&vm->spin_poll, port, false)))
		wait_for_count(vm);
	trace_event(&vm->cpu, EVENT_IN, (uint8_t)size, port, val);
	return val;
}

static void on_io_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct vm *vm = arg;

	trace_event(&vm->cpu, EVENT_OUT, (uint8_t)size, port, val);
	vm->board_bus->io_write(vm->board_arg, port, size, val);
	vm->pc.stirred |= !of_ticks(vm, port);
	spin_port(&vm->spin);
	spin_polls(&vm->spin_poll, port, true);
}

static int on_intr_ack(void *arg)
{
	struct vm *vm = arg;

	if (!vm->rest.awake)
		rest_woke(&vm->rest, vm_now(vm), host_clock_of(CLOCK_THREAD_CPUTIME_ID));
	return vm->board_bus->intr_ack(vm->board_arg);
}

static uint64_t on_tsc(void *arg)
{
	struct vm *vm = arg;

	return vm->board_bus->tsc(vm->board_arg);
}

static void on_spin(void *arg)
{
	struct vm *vm = arg;
	struct vcpu *cpu = &vm->cpu;
	bool lead = vm_lead_allowed(vm);
	ns_t until = spin_look(&vm->spin, vm_now(vm), lead, &cpu->pauses);

	if (until == 0 || !may_sleep(vm))
		return;
	METER_SCOPE(cpu, METER_IDLE);
	if (lead)
		vm_lead_to(vm, until);
	else
		host_kick_sleep(&vm->kick, until + vm->start_ns);
	spin_slept(&vm->spin, vm_now(vm));
}

static void on_ferr(void *arg, bool level)
{
	struct vm *vm = arg;

	if (vm->board_bus->ferr)
		vm->board_bus->ferr(vm->board_arg, level);
}

static void on_a20_changed(void *arg)
{
	struct vm *vm = arg;

	if (vm->board_bus->a20_changed)
		vm->board_bus->a20_changed(vm->board_arg);
}

static uint64_t on_apic_base(void *arg)
{
	struct vm *vm = arg;

	return vm->board_bus->apic_base(vm->board_arg);
}

static void on_set_apic_base(void *arg, uint64_t val)
{
	struct vm *vm = arg;

	vm->board_bus->set_apic_base(vm->board_arg, val);
}

static void interpose_bus(struct vm *vm)
{
	vm->board_bus = vm->cpu.bus;
	vm->board_arg = vm->cpu.bus_arg;
	vm->bus = (struct cpu_bus){ .io_read = on_io_read, .io_write = on_io_write, .intr_ack = on_intr_ack,
	    .tsc = on_tsc, .spin = on_spin, .ferr = on_ferr, .a20_changed = on_a20_changed,
	    .apic_base = vm->board_bus->apic_base ? on_apic_base : NULL,
	    .set_apic_base = vm->board_bus->set_apic_base ? on_set_apic_base : NULL };
	vm->cpu.bus = &vm->bus;
	vm->cpu.bus_arg = vm;
}

/* --- what the drives tell us --- */

/* On a worker's thread: a disk request is done. */
static void on_disk(void *arg)
{
	struct vm *vm = arg;

	host_kick_now(&vm->kick);
}

/* A disk request has failed: the user is told, and decides (rerror=, werror=) whether the machine stops. */
static void on_disk_error(void *arg, const struct image_disk *block, const struct disk_request *req, enum block_on_error action)
{
	static const char *const names[] = { [BLOCK_REPORT] = "report", [BLOCK_IGNORE] = "ignore", [BLOCK_STOP] = "stop" };
	struct vm *vm = arg;
	bool full = req->error == -ENOSPC || req->error == -EDQUOT;
	struct drive_view v;
	const char *name = drive_name(vm, block, &v);

	control_event(&vm->control, "BLOCK_IO_ERROR", json_pack("{s:s,s:s,s:s,s:s,s:b,s:s}", "device", name, "node-name", name, "operation", req->op == DISK_READ ? "read" : "write",
	    "action", names[action], "nospace", full, "reason", strerror(-req->error)));
	if (action != BLOCK_STOP || vm->io_error)
		return;
	fprintf(stderr, "plex86: %s: %s: the machine is stopped until 'cont' is said (or: kill -CONT %d)\n", block->image->path,
	    strerror(-req->error), (int)getpid());
	vm_pause(vm);
	vm->io_error = true;
}

/* The guest or the user moved the tray of a CD-ROM drive. */
static void on_tray(void *arg, unsigned channel, unsigned drive, bool open, bool locked)
{
	struct vm *vm = arg;

	if (vm->tray_open[channel * 2 + drive] != open)	/* else only the door was locked or unlocked */
		drive_tray_event(vm, channel * 2 + drive, open);
}

/* The paths of what has a bootindex, as firmware names devices, in that order.	[SeaBIOS "Runtime config", bootorder] */
static void boot_paths(const struct vm_config *cfg, char *text, size_t room)
{
	const struct vm_drives_config *d = &cfg->drives;
	unsigned last = 0, next;
	size_t len = 0;

	text[0] = '\0';
	do {
		next = 0;
		for (unsigned i = 0; i < VM_IDE_DRIVES + VM_FLOPPIES; i++) {
			unsigned rank = i < VM_IDE_DRIVES ? d->ide[i].boot_rank : d->floppy[i - VM_IDE_DRIVES].boot_rank;

			if (rank > last && (next == 0 || rank < next))
				next = rank;
		}
		if (cfg->net.card && cfg->net.boot_rank > last && (next == 0 || cfg->net.boot_rank < next))
			next = cfg->net.boot_rank;
		for (unsigned i = 0; next && i < VM_IDE_DRIVES; i++)
			if (d->ide[i].boot_rank == next)
				len += (size_t)snprintf(text + len, room - len, "/pci@i0cf8/ide@1,1/drive@%u/disk@%u\n", i / 2, i % 2);
		for (unsigned i = 0; next && i < VM_FLOPPIES; i++)
			if (d->floppy[i].boot_rank == next)
				len += (size_t)snprintf(text + len, room - len, "/pci@i0cf8/isa@1/fdc@03f0/floppy@%u\n", i);
		if (next && cfg->net.card && cfg->net.boot_rank == next)
			len += (size_t)snprintf(text + len, room - len, "/pci@i0cf8/ethernet@%u/ethernet-phy@0\n", CHIPSET_NET_DEVFN >> 3);
		last = next;
	} while (next);
	if (cfg->boot_strict)
		len += (size_t)snprintf(text + len, room - len, "HALT\n");
	if (len)
		text[len - 1] = '\0';
}

/* What the user has for the guest in fw_cfg. */
static int open_fw_files(struct vm *vm, struct error *err)
{
	for (unsigned i = 0; i < vm->cfg->nfw_files; i++) {
		const struct vm_fw_file *f = &vm->cfg->fw_file[i];
		int rc = f->path ? host_file_open(&vm->fw_file[i], "-fw_cfg file", f->path, err) : 0;

		if (rc < 0)
			return rc;
		fw_cfg_add_file(&vm->chipset.fw_cfg, f->name, f->path ? (const void *)vm->fw_file[i].data : f->text,
		    (uint32_t)(f->path ? vm->fw_file[i].size : strlen(f->text)));
	}
	return 0;
}

/* Firmware, if it is to boot; the PCI side of the board; drives. */
static int init_chipset(struct vm *vm, struct error *err)
{
	const struct vm_config *cfg = vm->cfg;
	struct firmware_config fw = { .path = cfg->bios, .ram_bytes = cfg->ram_bytes, .boot_menu = cfg->boot_menu,
	    .boot_menu_ms = cfg->boot_menu_ms, .serial_console = !cfg->screen.vga && !cfg->no_serial[0], .no_acpi = cfg->no_acpi, .hpet = cfg->hpet,
	    .uuid = cfg->smbios.uuid_given ? cfg->smbios.uuid : NULL, .smbios = &vm->smbios,
	    .boot_retry_given = cfg->boot_retry_given, .boot_retry_ms = cfg->boot_retry_ms };
	char order[512];

	boot_paths(cfg, order, sizeof(order));
	fw.boot_order = order[0] ? order : NULL;
	if (smbios_build(&vm->smbios, &cfg->smbios, cfg->ram_bytes, !vm->firmware) < 0)
		return error_set(err, -E2BIG, "-smbios: the texts are too long for the tables");

	if (vm->firmware) {
		int rc = firmware_load(&vm->fw, &fw, &vm->phys, err);
		if (rc < 0)
			return rc;
	}
	struct chipset_config cs = { .tray = on_tray, .arg = vm, .no_acpi = cfg->no_acpi, .hpet = cfg->hpet, .firmware = vm->firmware, .rom_bytes = vm->fw.low_bytes,
	    .rom_fd_offset = vm->fw.rom_fd_offset + vm->fw.rom_bytes - vm->fw.low_bytes };
	int rc = chipset_init(&vm->chipset, &vm->pc, &cs);
	if (rc < 0)
		return error_set(err, rc, "cannot set up the chip set: %s", strerror(-rc));
	if (vm->firmware)
		firmware_describe(&vm->fw, &fw, &vm->chipset.fw_cfg);
	else
		vm->boot.smbios = &vm->smbios;
	rc = open_fw_files(vm, err);
	if (rc < 0)
		return rc;
	struct vm_drives_host host = { vm, on_disk, on_disk_error };
	rc = vm_drives_open(&vm->drives, &cfg->drives, &host, err);
	if (rc == 0)
		vm_drives_attach(&vm->drives, &cfg->drives, &vm->chipset);
	return rc < 0 ? rc : vm_net_init(vm, err);
}

/* Where SeaBIOS puts the card of a machine without others: frame buffer and registers. */
enum { VGA_FRAME_BUFFER = 0xFD000000, VGA_REGISTERS = 0xFEBF0000 };

/*
 * Vectors 08h and 70h with the BIOS's own lines open, 18.2 ticks a second, the graphics card's regions placed. The
 * keyboard controller and the IDE functions come out of reset like that.	[PC-AT Technical Reference, "BIOS"; PCI 2.2]
 */
void vm_board_as_bios(struct vm *vm)
{
	static const struct { uint8_t port, val; } writes[] = {
		{ 0x20, 0x11 }, { 0x21, 0x08 }, { 0x21, 0x04 }, { 0x21, 0x01 }, { 0x21, 0xB8 },
		{ 0xA0, 0x11 }, { 0xA1, 0x70 }, { 0xA1, 0x02 }, { 0xA1, 0x01 }, { 0xA1, 0x8E },
		{ 0x43, 0x36 }, { 0x40, 0x00 }, { 0x40, 0x00 },
	};

	for (size_t i = 0; i < ARRAY_LEN(writes); i++)
		bus_write(&vm->pc.bus, writes[i].port, 1, writes[i].val);
	if (vm->screen.present) {
		uint32_t at = 0x80000000u | VGA_DEVFN << 8;

		pci_config_write(&vm->chipset.pci, at | PCI_BAR0, 4, VGA_FRAME_BUFFER);
		pci_config_write(&vm->chipset.pci, at | (PCI_BAR0 + 8), 4, VGA_REGISTERS);
		pci_config_write(&vm->chipset.pci, at | PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	}
}

int vm_board_init(struct vm *vm, struct error *err)
{
	const struct vm_config *cfg = vm->cfg;
	struct pc_config pc = {
		.host = { .arg = vm, .serial_tx = on_serial_tx, .serial_rx_ready = on_serial_rx_ready,
		    .debug_char = on_debug_char, .set_a20 = on_set_a20, .power_off = on_power_off,
		    .debug_exit = on_debug_exit, .panic = on_panic },
		.now = on_now, .now_arg = vm,
		.start_time_s = cfg->rtc_start_given ? cfg->rtc_start_s : cfg->clock == CLOCK_INSTRUCTIONS ? FIXED_START_S : host_wall_s(cfg->rtc_local),
		.ram_bytes = cfg->ram_bytes,
		.debugcon_port = cfg->debugcon_port, .pvpanic = cfg->pvpanic,
		.no_boot_check = cfg->no_boot_check,
		.debug_exit_port = cfg->debug_exit_port, .debug_exit_size = cfg->debug_exit_size,
	};
	memcpy(pc.no_serial, cfg->no_serial, sizeof(pc.no_serial));
	memcpy(pc.boot_order, cfg->boot_once[0] ? cfg->boot_once : cfg->boot_order, sizeof(pc.boot_order));

	int rc = pc_init(&vm->pc, &vm->cpu, &vm->phys, &pc);
	METER_ONLY(vm->pc.bus.devices.meters = vm->phys.devices.meters = &vm->cpu.meters);
	if (rc < 0)
		return error_set(err, rc, "cannot set up the board: %s", strerror(-rc));
	rc = init_chipset(vm, err);
	if (rc == 0)
		interpose_bus(vm);
	return rc;
}
