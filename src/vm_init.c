/*
 * Setting the machine up, and taking it down.
 */
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emulate/emulate.h"
#include "host/clock.h"
#include "host/tty.h"
#include "scan/scan.h"
#include "vm_board.h"
#include "vm_meter.h"

/* Room behind RAM for ROMs and video memory; costs nothing until it is touched. */
#define EXTRA_BYTES	(64ull << 20)

/* --- what memory tells us --- */

static void on_code_written(void *arg, uint64_t fd_offset, unsigned len)
{
	struct vm *vm = arg;

	bool decoded = emulate_code_written(&vm->cpu, fd_offset, len);
	if (vm->cpu.scanner)
		scan_code_written(&vm->cpu, fd_offset, len, decoded);
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

	vm_quit(s->vm, "host-ui", "ended from the terminal");
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

	__atomic_store_n(&s->room, true, __ATOMIC_RELEASE);
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

/* The processor's own tables and the engine. */
static int init_cpu(struct vm *vm)
{
	struct vcpu *cpu = &vm->cpu;

	cpu->vm = vm;
	cpu->phys = &vm->phys;
	cpu->model = vm->cfg->cpu_model;
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
		cpu->tsc_line.wanted = !lockstep && host_tsc_steady();
	}
	return rc;
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
	rc = vm_board_init(vm, err);
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
	vm_power_on(vm);
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
	vm_net_close(vm);
	profile_free(&vm->profile);
	host_kick_free(&vm->kick);
	control_event(&vm->control, "SHUTDOWN", json_pack("{s:b,s:s}", "guest", vm->stop_reason == STOP_POWEROFF && !vm->ended_by,
	    "reason", vm->stop_reason == STOP_SIGNAL ? "host-signal" : vm->stop_reason == STOP_GUEST_PANIC ? "guest-panic" :
	    vm->ended_by ? vm->ended_by : "guest-shutdown"));
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
