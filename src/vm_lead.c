#include "vm_lead.h"

#include "host/clock.h"

bool vm_lead_allowed(const struct vm *vm)
{
	return !vm_drives_busy(&vm->drives);
}

/* What the thread slept since then was no time for the guest, up to its lead. */
static void repay(struct vm *vm, ns_t since, uint64_t since_tsc)
{
	ns_t slept = host_clock_ns() - since, paid = MIN(slept, vm->lead_ns);

	if (paid == 0)
		return;
	vm->start_ns += paid;
	vm->lead_ns -= paid;
	cpu_tsc_stand(&vm->cpu, since_tsc, paid, slept);
}

static void sleep_until(struct vm *vm, ns_t host_ns)
{
	uint64_t since_tsc = cpu_tsc_host(&vm->cpu);
	ns_t since = host_clock_ns();

	host_kick_sleep(&vm->kick, host_ns);
	repay(vm, since, since_tsc);
}

void vm_lead_sleep(struct vm *vm, ns_t until)
{
	ns_t end = until == NS_NEVER ? HOST_NEVER : until + vm->start_ns + vm->lead_ns;

	host_kick_not_before(&vm->kick, end);
	sleep_until(vm, end);
}

/*
 * The timer stays as it was set: to set it to another time costs as much as a sleep, and when the lead is slept off it is
 * right again. Until then an event may be late by as much, unless the guest waits, and is looked after here.
 */
void vm_lead_to(struct vm *vm, ns_t until)
{
	ns_t now = vm_now(vm);

	if (vm->lead_ns + (until - now) > LEAD_MAX_NS) {
		sleep_until(vm, now + vm->start_ns + vm->lead_ns);
		now = vm_now(vm);
	}
	ns_t to = MIN(until, vm->event_ns);
	if (to > now && vm->lead_ns + (to - now) <= LEAD_MAX_NS) {
		vm->start_ns -= to - now;
		vm->lead_ns += to - now;
		cpu_tsc_skip(&vm->cpu, to - now);
		now = to;
	}
	if (now >= vm->event_ns)
		cpu_attend(&vm->cpu, ATTN_KICK);
}
