/*
 * The machine: where processor, memory, board and host meet. One thread runs the guest and its devices.
 *
 * vm_init.c sets it up, vm_board.c has what the board calls.
 *
 * The loop: run the guest until something wants attention, look after it, run on. A kick (host/kick.h)
 * brings the guest back for a device's deadline, for input, or for a signal from the user.
 *
 * Two clocks. Host time: the guest's time is the host's since the start. Instruction time: every
 * instruction takes the same time, HLT skips to the next deadline, and host input is looked at only at
 * instants of guest time, so that a run is the same every time.
 */
#include "vm_lead.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/clock.h"
#include "host/tty.h"
#include "mmu/mmu.h"
#include "scan/scan.h"
#include "vm_board.h"

/* What a guest runs between two looks at its devices, at least. */
#define LEAST_SLICE_NS	20000u

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
	cpu_attend(&vm->cpu, ATTN_STOP);
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
	cpu_attend(&vm->cpu, ATTN_KICK);
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
	vm_net_resume(vm);
	cpu_attend(&vm->cpu, ATTN_KICK | ATTN_EVENT);
}

void vm_request_reset(struct vm *vm)
{
	vm->reset_by_user = true;
	cpu_attend(&vm->cpu, ATTN_RESET);
}

void vm_quit(struct vm *vm, const char *by, const char *text)
{
	if (vm->stop_reason == STOP_NONE)
		vm->ended_by = by;
	vm_stop(vm, STOP_POWEROFF, "%s", text);
}

static ns_t host_time_of(struct vm *vm, ns_t guest_ns)
{
	return guest_ns == NS_NEVER ? HOST_NEVER : guest_ns + vm->start_ns;
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
		if (__atomic_load_n(&vm->serial[i].room, __ATOMIC_RELAXED) &&
		    __atomic_exchange_n(&vm->serial[i].room, false, __ATOMIC_ACQUIRE)) {
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
	vm_net_service(vm);
}

/* Devices up to now; their next deadline, with a kick for it unless the guest is about to sleep that long. */
static ns_t service_board(struct vm *vm, bool sleeps)
{
	struct vcpu *cpu = &vm->cpu;

	/* One reading of the clock: what falls due between two would be past for the second and never seen. */
	ns_t now = vm_now(vm);

	pc_update(&vm->pc, now);
	ns_t next = pc_next_event_late(&vm->pc, now, vm->slack_ns);

	vm->event_ns = next == NS_NEVER ? next : MAX(next, now + LEAST_SLICE_NS);
	if (vm->cfg->clock == CLOCK_INSTRUCTIONS) {
		ns_t until = MIN(next, vm->input_ns);

		cpu->icount_stop = cpu->icount + (until <= now ? 1 : (until - now + vm->insn_ns - 1) / vm->insn_ns);
	} else if (!sleeps) {
		/* Not at once: a timer at a rate no host can follow must not keep the guest from running at all. */
		host_kick_at(&vm->kick, host_time_of(vm, vm->event_ns));
	}
	return next;
}

ns_t vm_service_board(struct vm *vm)
{
	return service_board(vm, false);
}

static ns_t service(struct vm *vm, bool sleeps)
{
	__atomic_and_fetch(&vm->cpu.attention, ~(uint32_t)ATTN_KICK, __ATOMIC_SEQ_CST);
	service_host(vm);
	METER_SCOPE(&vm->cpu, METER_DEVICE);
	return service_board(vm, sleeps);
}

/* Nothing to run until next: by the host's clock asleep, by the instruction clock with a jump in time. */
static void wait_until(struct vm *vm, ns_t next)
{
	METER_SCOPE(&vm->cpu, METER_IDLE);
	if (vm->cfg->clock == CLOCK_HOST) {
		vm_lead_sleep(vm, next);
	} else if (next != NS_NEVER) {
		ns_t now = vm_now(vm), until = MIN(next, vm->input_ns);

		vm->skipped_ns += until > now ? until - now : 0;
	} else {
		/* No deadline: only input goes on. Not for good, since a signal may have come just before. */
		host_io_poll(&vm->io, 100);
	}
}

/* Somebody may be looking at its screen, or can ask for it, or resets it. */
static bool is_watched(const struct vm *vm)
{
	return vm->cfg->screen.nui > 0 || vm->cfg->control.n > 0 || vm->cfg->gdb.on;
}

/* How late ticks may be during the sleep that begins now. */
static void allow_slack(struct vm *vm)
{
	if (!vm->cfg->idle_slack_ns || vm->cfg->clock != CLOCK_HOST || vm->cfg->engine == ENGINE_LOCKSTEP)
		return;
	ns_t now = vm_now(vm);

	if (rest_is_long(&vm->rest, now))
		rest_excuse(&vm->rest, now, host_clock_of(CLOCK_THREAD_CPUTIME_ID));
	vm->slack_ns = rest_slack(&vm->rest, now, vm->cfg->idle_slack_ns, vm->pc.stirred);
	vm->pc.stirred = false;
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
	bool dead = !(cpu->eflags & EFLAGS_IF) && !cpu->nmi_pending;
	if (dead && !is_watched(vm)) {
		vm_stop(vm, STOP_DEAD_HALT, "the guest halted with interrupts off, for good");
		return;
	}
	allow_slack(vm);
	ns_t next = service(vm, true);
	if (dead)
		next = NS_NEVER;
	if (cpu_attention(cpu) == 0)
		wait_until(vm, next);
	vm->slack_ns = 0;
	cpu_attend(cpu, ATTN_KICK | ATTN_EVENT);
}

void vm_power_on(struct vm *vm)
{
	cpu_reset(&vm->cpu);
	vm_screen_reset(vm);
	cpu_set_a20(&vm->cpu, true);	/* boot loaders leave it open */
	vm->pc.a20 = true;
	if (!vm->firmware)
		boot_load(&vm->boot, &vm->phys, &vm->cpu);
	if (!vm->firmware && vm->boot.kind == BOOT_MULTIBOOT)
		vm_board_as_bios(vm);
	mmu_flush(&vm->cpu, true);
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
	vm_power_on(vm);
	cpu_attend(&vm->cpu, ATTN_KICK);
}

/* Paused by the user: only what comes from outside is looked at. */
static void wait_paused(struct vm *vm)
{
	struct vcpu *cpu = &vm->cpu;

	__atomic_and_fetch(&cpu->attention, ~(uint32_t)ATTN_KICK, __ATOMIC_SEQ_CST);
	service_host(vm);
	if (!vm->paused || vm->stop_reason != STOP_NONE || cpu_attention(cpu) & (ATTN_KICK | ATTN_RESET))
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
	cpu_attend(cpu, held);
}

void vm_run(struct vm *vm)
{
	struct vcpu *cpu = &vm->cpu;

	raw_terminals(vm);
	METER_ONLY(meter_start(&cpu->meters));
	if (vm->cfg->start_paused)
		vm_pause(vm);
	cpu_attend(cpu, ATTN_KICK);
	while (vm->stop_reason == STOP_NONE) {
		if (cpu_attention(cpu) & ATTN_RESET)
			vm_reset(vm, false);
		if (vm->paused) {
			wait_paused(vm);
			continue;
		}
		if ((cpu_attention(cpu) & ATTN_KICK) || cpu->icount >= cpu->icount_stop)
			service(vm, false);
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
