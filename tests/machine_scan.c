/*
 * Scanned code on the tiny machine. Several machines take turns: signals go to the one that runs.
 */
#include "tests/machine.h"

#include <assert.h>

#include "host/kick.h"
#include "host/signals.h"
#include "mmu/window.h"
#include "scan/internal.h"

struct host_kick *machine_kick(void)
{
	static struct host_kick kick;
	static uint32_t nobody;

	if (!kick.attention) {
		int err = host_kick_init(&kick, &nobody, ATTN_KICK);
		assert(err == 0);
		kick.kick_hook = scan_kick;
		kick.tick_hook = scan_tick;
		kick.fault_hook = scan_fault;
	}
	return &kick;
}

void machine_scan_freely(struct machine *m, size_t cache_bytes)
{
	int err = scan_init(&m->cpu, cache_bytes);

	assert(err == 0);
	err = scan_verify(&m->cpu);
	assert(err == 0);
	machine_kick();
	if (!host_signals_ours())		/* the test framework's were put in their place */
		host_signals_install(NULL);
	machine_kick()->attention = &m->cpu.attention;
	machine_kick()->hook_arg = &m->cpu;
}

void machine_scan(struct machine *m, size_t cache_bytes, bool direct)
{
	machine_scan_freely(m, cache_bytes);
	m->direct = direct;
	if (!direct)
		windows_free(&m->cpu);
	mmu_update_direct(&m->cpu);
}

void machine_scan_eagerly(struct machine *m)
{
	m->cpu.scanner->eager = true;
}

static void take_turn(struct machine *m)
{
	struct vcpu *cpu = &m->cpu;
	struct host_kick *kick = machine_kick();

	kick->attention = &cpu->attention;
	kick->hook_arg = cpu;
	cpu->scanner->gs_base = 0;		/* another machine's may be set */
	cpu->scanner->emulate_one = false;
	cpu->scanner->stop_text[0] = 0;
	if (m->direct)
		window_promote(cpu);
}

enum next machine_scan_run(struct machine *m)
{
	struct vcpu *cpu = &m->cpu;
	enum next next;

	take_turn(m);
	do {
		__atomic_and_fetch(&cpu->attention, ~(uint32_t)ATTN_KICK, __ATOMIC_SEQ_CST);
		next = scan_run(cpu);
	} while (next == NEXT_ATTENTION && !(cpu->attention & ~(uint32_t)(ATTN_KICK | ATTN_EVENT)) && cpu->icount < cpu->icount_stop);
	return next;
}

enum next machine_scan_for(struct machine *m, long ns)
{
	struct itimerspec it = { .it_value.tv_nsec = ns };
	enum next next;

	take_turn(m);
	__atomic_and_fetch(&m->cpu.attention, ~(uint32_t)ATTN_KICK, __ATOMIC_SEQ_CST);
	timer_settime(machine_kick()->timer, 0, &it, NULL);
	do
		next = scan_run(&m->cpu);
	while (next == NEXT_ATTENTION && !(m->cpu.attention & ~(uint32_t)ATTN_EVENT));
	it.it_value.tv_nsec = 0;
	timer_settime(machine_kick()->timer, 0, &it, NULL);
	return next;
}
