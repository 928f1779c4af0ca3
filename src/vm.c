/*
 * The machine: where processor, memory, board and host meet. One thread runs the guest and its devices.
 *
 * The loop: run the guest until something wants attention, look after it, run on. A kick (host/kick.h)
 * brings the guest back for a device's deadline, for input, or for a signal from the user.
 *
 * Two clocks. Host time: the guest's time is the host's since the start. Instruction time: every
 * instruction takes the same time, HLT skips to the next deadline, and host input is looked at only at
 * instants of guest time, so that a run is the same every time.
 */
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/devices.h"
#include "emulate/emulate.h"
#include "vm_meter.h"
#include "scan/scan.h"
#include "host/clock.h"
#include "host/tty.h"

/* What a guest runs between two looks at its devices, at least. */
#define LEAST_SLICE_NS	20000u
/* Room behind RAM for ROMs and video memory; costs nothing until it is touched. */
#define EXTRA_BYTES	(64ull << 20)
/* What the RTC shows at the start of a run by the instruction clock: 2000-01-01. */
#define FIXED_START_S	946684800

void vm_stop(struct vm *vm, enum stop_reason reason, const char *fmt, ...)
{
	if (vm->stop_reason == STOP_NONE) {
		va_list ap;

		va_start(ap, fmt);
		vsnprintf(vm->stop_text, sizeof(vm->stop_text), fmt, ap);
		va_end(ap);
		vm->stop_reason = reason;
		vm->exit_status = (int)reason;
	}
	__atomic_or_fetch(&vm->cpu.attention, ATTN_STOP, __ATOMIC_SEQ_CST);
}

ns_t vm_now(struct vm *vm)
{
	if (vm->cfg->clock == CLOCK_INSTRUCTIONS)
		return vm->cpu.icount * vm->insn_ns + vm->skipped_ns;
	return (vm->paused ? vm->paused_ns : host_clock_ns()) - vm->start_ns;
}

void vm_pause(struct vm *vm)
{
	if (vm->paused)
		return;
	vm->paused = true;
	vm->paused_ns = host_clock_ns();
	control_event(&vm->control, "STOP", NULL);
	gdb_stopped(&vm->gdb, GDB_INTERRUPT);	/* not by the debugger: it has to be told */
	__atomic_or_fetch(&vm->cpu.attention, ATTN_KICK, __ATOMIC_SEQ_CST);
}

void vm_resume(struct vm *vm)
{
	if (!vm->paused || vm->shut_down)	/* only a reset starts a machine that is off */
		return;
	vm->paused = vm->io_error = false;
	vm->begun = true;
	vm->start_ns += host_clock_ns() - vm->paused_ns;
	control_event(&vm->control, "RESUME", NULL);
	vm_drives_retry(&vm->drives);
	__atomic_or_fetch(&vm->cpu.attention, ATTN_KICK | ATTN_EVENT, __ATOMIC_SEQ_CST);
}

void vm_request_reset(struct vm *vm)
{
	vm->reset_by_user = true;
	__atomic_or_fetch(&vm->cpu.attention, ATTN_RESET, __ATOMIC_SEQ_CST);
}

static ns_t host_time_of(struct vm *vm, ns_t guest_ns)
{
	return guest_ns == NS_NEVER ? HOST_NEVER : guest_ns + vm->start_ns;
}

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

/* Port accesses pass here on their way to the board: they are what a report shows last. */
static uint32_t on_io_read(void *arg, uint16_t port, unsigned size)
{
	struct vm *vm = arg;
	uint32_t val = vm->board_bus->io_read(vm->board_arg, port, size);

	trace_event(&vm->cpu, EVENT_IN, (uint8_t)size, port, val);
	return val;
}

static void on_io_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	struct vm *vm = arg;

	trace_event(&vm->cpu, EVENT_OUT, (uint8_t)size, port, val);
	vm->board_bus->io_write(vm->board_arg, port, size, val);
}

static int on_intr_ack(void *arg)
{
	struct vm *vm = arg;

	return vm->board_bus->intr_ack(vm->board_arg);
}

static uint64_t on_tsc(void *arg)
{
	struct vm *vm = arg;

	return vm->board_bus->tsc(vm->board_arg);
}

/*
 * The guest makes many PAUSEs: it waits for time to pass, or for an interrupt. The host need not do that for it
 * at full speed: after a while the thread sleeps, for half as long as the guest has been waiting, so that no delay
 * gets much longer. Anything else the guest does between two PAUSEs makes the waiting begin anew.
 */
static void on_spin(void *arg)
{
	enum { FREE = 256, AFTER_SLEEP = 2, SAME_LOOP_NS = 800, SLOWEST_NS = 1000000, LONGEST_NS = 500000 };
	struct vm *vm = arg;
	struct vcpu *cpu = &vm->cpu;

	cpu->pauses = FREE;
	if (vm->cfg->clock != CLOCK_HOST || vm->cfg->engine == ENGINE_LOCKSTEP)
		return;
	ns_t now = host_clock_ns(), since = now - vm->spin_last_ns;
	vm->spin_last_ns = now;
	if (since > (vm->spin_slept ? SAME_LOOP_NS : SLOWEST_NS)) {
		vm->spin_slept = false;
		vm->spin_begun_ns = now;
		return;
	}
	if (!vm->spin_slept)		/* the first of this loop: it has lasted since the look before */
		vm->spin_begun_ns = now - since;
	if (cpu->attention != 0)
		return;
	METER_SCOPE(cpu, METER_IDLE);
	host_kick_sleep(&vm->kick, now + MIN((now - vm->spin_begun_ns) / 2, (ns_t)LONGEST_NS));
	vm->spin_last_ns = host_clock_ns();
	vm->spin_slept = true;
	cpu->pauses = AFTER_SLEEP;
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

/* --- what memory tells us --- */

static void on_code_written(void *arg, uint64_t fd_offset, unsigned len)
{
	struct vm *vm = arg;

	emulate_code_written(&vm->cpu, fd_offset, len);
	if (vm->cpu.scanner)
		scan_code_written(&vm->cpu, fd_offset, len);
}

static void on_map_changed(void *arg)
{
	struct vm *vm = arg;

	mmu_flush(&vm->cpu, true);
	emulate_flush(&vm->cpu);
	if (vm->cpu.scanner)
		scan_flush(&vm->cpu);
}

/* --- what the user's side tells us --- */

static bool on_input(void *arg, uint8_t byte)
{
	struct vm_serial *s = arg;

	return pc_serial_input(&s->vm->pc, s->port, byte);
}

static void on_break(void *arg)
{
	struct vm_serial *s = arg;

	pc_serial_break(&s->vm->pc, s->port);
}

static void on_quit(void *arg)
{
	struct vm_serial *s = arg;

	vm_stop(s->vm, STOP_POWEROFF, "ended from the terminal");
}

/* The debug port has no way in. */
static bool on_unwanted(void *arg, uint8_t byte)
{
	return true;
}

static void on_unwanted_break(void *arg)
{
}

/* On the writer's thread. */
static void on_room(void *arg)
{
	struct vm_serial *s = arg;

	s->room = true;
	host_kick_now(&s->vm->kick);
}

/* --- set up --- */

static int open_serial(struct vm *vm, struct error *err)
{
	bool wait = vm->cfg->clock == CLOCK_INSTRUCTIONS;

	for (unsigned i = 0; i < PC_SERIAL_PORTS; i++) {
		struct vm_serial *s = &vm->serial[i];

		s->vm = vm;
		s->port = i;
		s->ops = (struct chardev_ops){ on_input, on_break, on_quit, on_room, s };
		int rc = chardev_open(&s->chardev, &vm->cfg->serial[i], &vm->io, wait, &s->ops, err);
		if (rc < 0)
			return rc;
	}
	/* A guest cannot be told that the debug port is busy: it waits. */
	vm->debugcon.vm = vm;
	vm->debugcon.ops = (struct chardev_ops){ on_unwanted, on_unwanted_break, on_quit, on_room, &vm->debugcon };
	return chardev_open(&vm->debugcon.chardev, &vm->cfg->debugcon, &vm->io, true, &vm->debugcon.ops, err);
}

/* The monitor behind Ctrl-A c, where that is an escape key. */
static int open_consoles(struct vm *vm, struct error *err)
{
	for (unsigned i = 0; i < PC_SERIAL_PORTS; i++) {
		struct chardev *c = &vm->serial[i].chardev;

		if (!c->escapes)
			continue;
		int fd = control_add_local(&vm->control);
		int rc = fd < 0 ? fd : chardev_set_monitor(c, fd);
		if (rc < 0)
			return error_set(err, rc, "cannot set up the monitor: %s", strerror(-rc));
	}
	return 0;
}

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
		for (unsigned i = 0; next && i < VM_IDE_DRIVES; i++)
			if (d->ide[i].boot_rank == next)
				len += (size_t)snprintf(text + len, room - len, "/pci@i0cf8/ide@1,1/drive@%u/disk@%u\n", i / 2, i % 2);
		for (unsigned i = 0; next && i < VM_FLOPPIES; i++)
			if (d->floppy[i].boot_rank == next)
				len += (size_t)snprintf(text + len, room - len, "/pci@i0cf8/isa@1/fdc@03f0/floppy@%u\n", i);
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
	return rc;
}

static int init_board(struct vm *vm, struct error *err)
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

/* The processor's own tables and the engine. */
static int init_cpu(struct vm *vm)
{
	struct vcpu *cpu = &vm->cpu;

	cpu->vm = vm;
	cpu->phys = &vm->phys;
	cpu->cpuid_limited = vm->cfg->cpuid_limited;
	cpu->icount_stop = UINT64_MAX;
	vm->phys.code_written = on_code_written;
	vm->phys.map_changed = on_map_changed;
	vm->phys.arg = vm;
	int rc = mmu_init(cpu);
	if (rc == 0)
		rc = emulate_init(cpu);
	vm->run = emulate_run;
	bool lockstep = vm->cfg->engine == ENGINE_LOCKSTEP;
	if (rc == 0 && (lockstep || (vm->cfg->engine == ENGINE_SCAN && vm->cfg->clock == CLOCK_HOST))) {
		cpu->scan.max_mappings = vm->cfg->max_mappings;
		rc = scan_init(cpu, vm->cfg->code_cache_bytes);
		if (rc == 0 && vm->cfg->perf_map)
			rc = scan_perf_map(cpu);
		for (unsigned i = 0; rc == 0 && i < ARRAY_LEN(vm->cfg->virtualize) && vm->cfg->virtualize[i]; i++)
			rc = scan_virtualize(cpu, vm->cfg->virtualize[i]);
		if (rc == 0 && vm->cfg->protect_code)
			scan_protect_code(cpu);
		vm->run = scan_run;
		if (rc == 0 && vm->cfg->meter_instructions)
			scan_count_instructions(cpu);
		if (rc == 0 && vm->cfg->verify_code)
			rc = scan_verify(cpu);
		if (rc == 0 && lockstep)
			rc = scan_lockstep(cpu, stderr);
	}
	return rc;
}

/* Power on, and reset: everything but memory and the RTC starts anew, and the kernel is loaded again. */
static void power_on(struct vm *vm)
{
	cpu_reset(&vm->cpu);
	vm_screen_reset(vm);
	on_set_a20(vm, true);		/* boot loaders leave it open */
	vm->pc.a20 = true;
	if (!vm->firmware)
		boot_load(&vm->boot, &vm->phys, &vm->cpu);
	mmu_flush(&vm->cpu, true);
}

/* In a signal. */
static void on_sample(void *arg, void *ucontext)
{
	struct vcpu *cpu = arg;
	struct vm *vm = cpu->vm;

	profile_signal(&vm->profile, ucontext);
}

int vm_init(struct vm *vm, const struct vm_config *cfg, struct error *err)
{
	memset(vm, 0, sizeof(*vm));
	vm->cfg = cfg;
	vm->stop_reason = STOP_NONE;
	vm->insn_ns = cfg->insn_ns ? cfg->insn_ns : VM_INSN_NS;
	vm->firmware = cfg->boot.kernel == NULL && cfg->boot.flat == NULL;
	int rc = vm->firmware ? 0 : boot_open(&vm->boot, &cfg->boot, cfg->ram_bytes, err);
	if (rc < 0)
		return rc;
	vm->ready = 1;
	rc = trace_open(&vm->trace, cfg->trace_items, cfg->trace_filter, cfg->trace_cpls, cfg->trace_file, err);
	if (rc < 0)
		return rc;
	vm->trace.counts = cfg->engine != ENGINE_SCAN || cfg->clock == CLOCK_INSTRUCTIONS;
	rc = phys_init(&vm->phys, cfg->ram_bytes, EXTRA_BYTES);
	if (rc < 0)
		return error_set(err, rc, "cannot reserve %llu MiB for the guest: %s",
		    (unsigned long long)(cfg->ram_bytes >> 20), strerror(-rc));
	vm->ready = 2;
	rc = init_cpu(vm);
	if (rc < 0)
		return error_set(err, rc, "cannot set up the processor: %s", strerror(-rc));
	vm->ready = 3;
	rc = host_kick_init(&vm->kick, &vm->cpu.attention, ATTN_KICK);
	if (rc == 0)
		rc = host_io_init(&vm->io, &vm->kick, cfg->clock == CLOCK_HOST);
	vm->kick.kick_hook = scan_kick;
	vm->kick.tick_hook = scan_tick;
	vm->kick.sample_hook = on_sample;
	vm->kick.fault_hook = scan_fault;
	vm->kick.hook_arg = &vm->cpu;
	if (rc < 0)
		return error_set(err, rc, "cannot set up signals and timers: %s", strerror(-rc));
	vm->ready = 4;
	profile_init(&vm->profile, &vm->cpu);
	METER_ONLY(vm->statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
	rc = open_serial(vm, err);
	if (rc == 0)
		rc = publish_open(&vm->publish, &cfg->publish, err);
	if (rc < 0)
		return rc;
	vm->start_ns = host_clock_ns();
	rc = init_board(vm, err);
	if (rc < 0)
		return rc;
	rc = vm_screen_init(vm, err);
	if (rc < 0)
		return rc;
	rc = host_post_init(&vm->post, &vm->io);
	if (rc < 0)
		return error_set(err, rc, "cannot set up the machine's queue: %s", strerror(-rc));
	rc = control_open(&vm->control, &cfg->control, vm, &vm->io, err);
	if (rc == 0)
		rc = open_consoles(vm, err);
	if (rc < 0)
		return rc;
	gdb_init(&vm->gdb, vm, &vm->io);
	rc = vm_debug_trace(vm);
	if (rc < 0)
		return error_set(err, rc, "no memory for the trace");
	power_on(vm);
	if (cfg->gdb.on)
		rc = gdb_open(&vm->gdb, &cfg->gdb, err);
	if (rc < 0)
		return rc;
	rc = vm_screen_show(vm, err);
	return rc < 0 ? rc : publish_start(&vm->publish, vm_meters_fetch, vm, err);
}

/* After the drives, whose last requests count, and after the queue, by which the publisher asks. */
static void close_meters(struct vm *vm)
{
	struct error err;
	struct meter_snapshot *last = vm->cfg->publish.log ? malloc(sizeof(*last)) : NULL;

	if (last && vm_meters_read(vm, last, &err) < 0) {
		free(last);
		last = NULL;
	}
	publish_close(&vm->publish, last, vm->stop_text, vm->exit_status);
	free(last);
}

void vm_close_host(struct vm *vm)
{
	if (vm->ready < 4)
		return;
	/* From here on a signal ends us at once: writing out to a reader that hangs is no reason to stay. */
	ns_t limit = vm->stop_reason == STOP_SIGNAL ? 1000000000u : HOST_NEVER;

	vm_drives_close(&vm->drives);	/* first: its workers kick us */
	profile_free(&vm->profile);
	host_kick_free(&vm->kick);
	control_event(&vm->control, "SHUTDOWN", json_pack("{s:b,s:s}", "guest", vm->stop_reason == STOP_POWEROFF && !vm->ended_by_user,
	    "reason", vm->stop_reason == STOP_SIGNAL ? "host-signal" : vm->stop_reason == STOP_GUEST_PANIC ? "guest-panic" :
	    vm->ended_by_user ? "host-qmp-quit" : "guest-shutdown"));
	control_close(&vm->control);
	gdb_close(&vm->gdb, vm->exit_status);
	host_post_close(&vm->post);
	vm_screen_hide(vm);
	close_meters(vm);
	for (unsigned i = 0; i < PC_SERIAL_PORTS; i++)
		chardev_close(&vm->serial[i].chardev, limit);
	chardev_close(&vm->debugcon.chardev, limit);
	host_io_free(&vm->io);
	host_tty_restore_all();
	vm->ready = 3;
}

void vm_free(struct vm *vm)
{
	vm_close_host(vm);
	if (vm->ready >= 3) {
		if (vm->cpu.scanner)
			scan_free(&vm->cpu);
		emulate_free(&vm->cpu);
		vm_debug_free(vm);
		mmu_free(&vm->cpu);
	}
	if (vm->ready >= 2)
		phys_free(&vm->phys);
	vm_screen_free(vm);
	if (vm->ready >= 1 && !vm->firmware)
		boot_close(&vm->boot);
	for (unsigned i = 0; i < VM_FW_FILES; i++)
		if (vm->fw_file[i].data)
			host_file_close(&vm->fw_file[i]);
	trace_close(&vm->trace);
	if (vm->statm_fd > 0)
		close(vm->statm_fd);
	vm->statm_fd = 0;
	vm->ready = 0;
}

/* --- the run loop --- */

static void raw_terminals(struct vm *vm)
{
	for (unsigned i = 0; i < PC_SERIAL_PORTS; i++)
		chardev_raw(&vm->serial[i].chardev);
}

/* Stopped by the user's job control: no time passes for the guest, and the terminal is the shell's meanwhile. */
static void suspend(struct vm *vm)
{
	ns_t since = host_clock_ns();

	METER_SCOPE(&vm->cpu, METER_PAUSED);
	vm->kick.suspend = 0;
	host_tty_restore_all();
	host_suspend();
	vm->start_ns += host_clock_ns() - since;
	raw_terminals(vm);
}

static void service_host(struct vm *vm)
{
	if (vm->kick.user_signal)
		vm_stop(vm, STOP_SIGNAL, "ended by signal %d (%s)", (int)vm->kick.user_signal, strsignal(vm->kick.user_signal));
	if (vm->stop_reason == STOP_SIGNAL)
		vm->exit_status = 128 + (int)vm->kick.user_signal;
	if (vm->kick.suspend)
		suspend(vm);
	if (vm->kick.continued) {	/* from a stop that cannot be caught: the shell has taken the terminal back */
		vm->kick.continued = 0;
		host_tty_restore_all();
		raw_terminals(vm);
		if (vm->io_error)
			vm_resume(vm);
	}
	vm_drives_poll(&vm->drives);
	for (unsigned i = 0; i < PC_SERIAL_PORTS; i++) {
		if (vm->serial[i].room) {
			vm->serial[i].room = false;
			pc_serial_tx_ready(&vm->pc, i);
			chardev_room(&vm->serial[i].chardev);
		}
	}
	if (vm->cfg->clock == CLOCK_HOST) {
		host_io_service(&vm->io);
	} else if (vm_now(vm) >= vm->input_ns) {
		host_io_poll(&vm->io, 0);
		vm->input_ns = vm_now(vm) / VM_INPUT_PERIOD_NS * VM_INPUT_PERIOD_NS + VM_INPUT_PERIOD_NS;
	}
}

/* Devices up to now, and a kick for the next deadline. */
ns_t vm_service_board(struct vm *vm)
{
	struct vcpu *cpu = &vm->cpu;

	/* One reading of the clock: what falls due between two would be past for the second and never seen. */
	ns_t now = vm_now(vm);

	pc_update(&vm->pc, now);
	ns_t next = pc_next_event(&vm->pc, now);

	if (vm->cfg->clock == CLOCK_INSTRUCTIONS) {
		ns_t until = MIN(next, vm->input_ns);

		cpu->icount_stop = cpu->icount + (until <= now ? 1 : (until - now + vm->insn_ns - 1) / vm->insn_ns);
	} else if (!cpu->halted) {
		/* Not at once: a timer at a rate no host can follow must not keep the guest from running at all. */
		host_kick_at(&vm->kick, host_time_of(vm, next == NS_NEVER ? next : MAX(next, now + LEAST_SLICE_NS)));
	}
	return next;
}

static ns_t service(struct vm *vm)
{
	__atomic_and_fetch(&vm->cpu.attention, ~(uint32_t)ATTN_KICK, __ATOMIC_SEQ_CST);
	service_host(vm);
	METER_SCOPE(&vm->cpu, METER_DEVICE);
	return vm_service_board(vm);
}

/* Nothing to run until next: by the host's clock asleep, by the instruction clock with a jump in time. */
static void wait_until(struct vm *vm, ns_t next)
{
	METER_SCOPE(&vm->cpu, METER_IDLE);
	if (vm->cfg->clock == CLOCK_HOST) {
		host_kick_sleep(&vm->kick, host_time_of(vm, next));
	} else if (next != NS_NEVER) {
		ns_t now = vm_now(vm), until = MIN(next, vm->input_ns);

		vm->skipped_ns += until > now ? until - now : 0;
	} else {
		/* No deadline: only input goes on. Not for good, since a signal may have come just before. */
		host_io_poll(&vm->io, 100);
	}
}

/*
 * HLT. The engine has just looked and found nothing to deliver, so what stands in ATTN_EVENT is done
 * with; the board sets it again when a line changes. At the end it is set: the engine must look before
 * it may run on.
 */
static void halt(struct vm *vm)
{
	struct vcpu *cpu = &vm->cpu;

	__atomic_and_fetch(&cpu->attention, ~(uint32_t)ATTN_EVENT, __ATOMIC_SEQ_CST);
	/* No interrupt can end it, and nothing on this board raises NMI by itself. */
	if (!(cpu->eflags & EFLAGS_IF) && !cpu->nmi_pending) {
		vm_stop(vm, STOP_DEAD_HALT, "the guest halted with interrupts off, for good");
		return;
	}
	ns_t next = service(vm);
	if (cpu->attention == 0)
		wait_until(vm, next);
	__atomic_or_fetch(&cpu->attention, ATTN_KICK | ATTN_EVENT, __ATOMIC_SEQ_CST);
}

void vm_reset(struct vm *vm, bool triple_fault)
{
	trace_event(&vm->cpu, EVENT_RESET, 0, 0, 0);
	if (vm->cfg->no_reboot) {
		if (triple_fault)
			vm_stop(vm, STOP_TRIPLE_FAULT, "triple fault");
		else
			vm_stop(vm, STOP_POWEROFF, "the guest asked for a reset (-no-reboot)");
		return;
	}
	__atomic_and_fetch(&vm->cpu.attention, ~(uint32_t)ATTN_RESET, __ATOMIC_SEQ_CST);
	control_event(&vm->control, "RESET", json_pack("{s:b,s:s}", "guest", !vm->reset_by_user, "reason",
	    vm->reset_by_user ? "host-qmp-system-reset" : "guest-reset"));
	vm->reset_by_user = vm->shut_down = false;
	if (vm->cfg->boot_once[0])
		pc_set_boot_order(&vm->pc, vm->cfg->boot_order);
	pc_reset(&vm->pc);
	power_on(vm);
	__atomic_or_fetch(&vm->cpu.attention, ATTN_KICK, __ATOMIC_SEQ_CST);
}

/* Paused by the user: only what comes from outside is looked at. */
static void wait_paused(struct vm *vm)
{
	struct vcpu *cpu = &vm->cpu;

	__atomic_and_fetch(&cpu->attention, ~(uint32_t)ATTN_KICK, __ATOMIC_SEQ_CST);
	service_host(vm);
	if (!vm->paused || vm->stop_reason != STOP_NONE || cpu->attention & (ATTN_KICK | ATTN_RESET))
		return;
	METER_SCOPE(cpu, METER_PAUSED);
	if (vm->cfg->clock == CLOCK_INSTRUCTIONS) {
		host_io_poll(&vm->io, 100);
		return;
	}
	/* The sleep ends at any attention; what the guest is owed waits until it runs again. */
	uint32_t mine = ATTN_KICK | ATTN_STOP | ATTN_RESET;
	uint32_t held = __atomic_fetch_and(&cpu->attention, mine, __ATOMIC_SEQ_CST) & ~mine;
	host_kick_sleep(&vm->kick, HOST_NEVER);
	__atomic_or_fetch(&cpu->attention, held, __ATOMIC_SEQ_CST);
}

void vm_run(struct vm *vm)
{
	struct vcpu *cpu = &vm->cpu;

	raw_terminals(vm);
	METER_ONLY(meter_start(&cpu->meters));
	if (vm->cfg->start_paused)
		vm_pause(vm);
	__atomic_or_fetch(&cpu->attention, ATTN_KICK, __ATOMIC_SEQ_CST);
	while (vm->stop_reason == STOP_NONE) {
		if (cpu->attention & ATTN_RESET)
			vm_reset(vm, false);
		if (vm->paused) {
			wait_paused(vm);
			continue;
		}
		if ((cpu->attention & ATTN_KICK) || cpu->icount >= cpu->icount_stop)
			service(vm);
		if (vm->stop_reason != STOP_NONE)
			break;
		switch (cpu->stops ? vm_debug_run(vm) : vm->run(cpu)) {
		case NEXT_HALT:
			halt(vm);
			break;
		case NEXT_TRIPLE_FAULT:
			vm_reset(vm, true);
			break;
		case NEXT_STOP:
			if (vm->stop_reason == STOP_NONE)
				vm_stop(vm, STOP_INTERNAL, "%s", scan_stop_text(cpu) ? scan_stop_text(cpu) : "the engine stopped without a reason");
			break;
		case NEXT_RUN:
		case NEXT_ATTENTION:
			break;
		}
	}
}
