#include "vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "emulate/emulate.h"
#include "mmu/mmu.h"
#include "scan/scan.h"

static lin_t pc(const struct vcpu *cpu)
{
	return cpu->seg[SEG_CS].base + cpu->eip;
}

/* --- what is held --- */

static struct stops *table(struct vm *vm)
{
	if (vm->stops == NULL)
		vm->stops = calloc(1, sizeof(*vm->stops));
	return vm->stops;
}

/* Scanned code knows the old table: all of it goes. */
static void changed(struct vm *vm)
{
	stops_changed(&vm->cpu, vm->stops);
	if (vm->cpu.scanner)
		scan_flush(&vm->cpu);
}

static int compare_address(const void *a, const void *b)
{
	lin_t x = *(const lin_t *)a, y = *(const lin_t *)b;

	return x < y ? -1 : x > y;
}

int vm_debug_points(struct vm *vm, const lin_t *brk, unsigned nbrk, const struct watch *watch, unsigned nwatch)
{
	lin_t sorted[STOPS_BREAKS];
	struct stops *s = vm->stops;

	if (s == NULL && nbrk == 0 && nwatch == 0)
		return 0;
	s = table(vm);
	if (s == NULL)
		return -ENOMEM;
	if (nbrk)
		memcpy(sorted, brk, nbrk * sizeof(*brk));
	qsort(sorted, nbrk, sizeof(sorted[0]), compare_address);
	bool same = s->nbrk == nbrk && s->nwatch == nwatch && memcmp(s->brk, sorted, nbrk * sizeof(*brk)) == 0;
	for (unsigned i = 0; i < nwatch && same; i++)
		same = s->watch[i].first == watch[i].first && s->watch[i].last == watch[i].last && s->watch[i].kind == watch[i].kind;
	if (same)
		return 0;
	memcpy(s->brk, sorted, nbrk * sizeof(*brk));
	if (nwatch)
		memcpy(s->watch, watch, nwatch * sizeof(*watch));
	s->nbrk = nbrk;
	s->nwatch = nwatch;
	changed(vm);
	return 0;
}

int vm_debug_trace(struct vm *vm)
{
	struct trace *t = &vm->trace;
	bool steps = t->items & TRACE_STEPS;

	vm->cpu.trace = t->items ? t : NULL;
	struct stops *s = steps || vm->stops ? table(vm) : NULL;

	if (s == NULL)
		return steps ? -ENOMEM : 0;
	s->ntraced = 0;
	if (steps && t->nranges == 0)
		s->traced[s->ntraced++] = (struct stop_range){ 0, UINT32_MAX };
	for (unsigned i = 0; steps && i < t->nranges; i++)
		s->traced[s->ntraced++] = (struct stop_range){ t->range[i].first, t->range[i].last };
	changed(vm);
	return 0;
}

void vm_debug_free(struct vm *vm)
{
	vm->cpu.stops = NULL;
	free(vm->stops);
	vm->stops = NULL;
}

/* --- running --- */

static bool is_hard(const struct gdb *gdb, lin_t lin)
{
	for (unsigned i = 0; i < gdb->npoints; i++)
		if (gdb->point[i].type == 1 && gdb->point[i].first == lin)
			return true;
	return false;
}

/* One instruction that is held, unless it is one to stop before. */
static enum next held_instruction(struct vm *vm)
{
	struct vcpu *cpu = &vm->cpu;
	struct stops *s = cpu->stops;
	bool by_page = s->held == HELD_PAGE;

	s->held = HELD_NO;
	enum next next = cpu_check_events(cpu);
	if (next != NEXT_RUN)
		return next;
	lin_t lin = pc(cpu);		/* an interrupt may have gone first */
	if (stops_break(s, lin)) {
		gdb_stopped(&vm->gdb, is_hard(&vm->gdb, lin) ? GDB_HARD_BREAK : GDB_BREAK);
		return NEXT_ATTENTION;
	}
	if (cpu->trace)
		trace_step(cpu);
	next = emulate_step(cpu);
	if (cpu->trace)
		trace_stepped(cpu);
	if (by_page && vm->run == emulate_run && stops_page(s, pc(cpu)))
		s->held = HELD_PAGE;	/* what the engine would find, at once */
	return next;
}

enum next vm_debug_run(struct vm *vm)
{
	struct vcpu *cpu = &vm->cpu;
	struct stops *s = cpu->stops;

	for (;;) {
		enum next next;

		__atomic_and_fetch(&cpu->attention, ~(uint32_t)ATTN_DEBUG, __ATOMIC_SEQ_CST);
		if (s->hit) {
			gdb_stopped(&vm->gdb, GDB_WATCH);
			s->hit = false;
			return NEXT_ATTENTION;
		}
		if (cpu_attention(cpu) & ~(uint32_t)ATTN_EVENT || cpu->icount >= cpu->icount_stop)
			return NEXT_ATTENTION;
		if (s->held == HELD_NO && !stops_at(s, pc(cpu))) {
			next = vm->run(cpu);
			if (next == NEXT_ATTENTION && cpu_attention(cpu) & ATTN_DEBUG)
				continue;
		} else {
			next = held_instruction(vm);
		}
		if (next != NEXT_RUN)
			return next;
	}
}

bool vm_debug_step(struct vm *vm, unsigned sstep)
{
	struct vcpu *cpu = &vm->cpu;
	struct stops *s = cpu->stops;
	uint64_t stop = cpu->icount_stop;
	bool timers = !(sstep & GDB_SSTEP_NOTIMER);

	if (timers)
		vm_service_board(vm);
	cpu->interrupts_held = sstep & GDB_SSTEP_NOIRQ;
	enum next next = cpu_check_events(cpu);
	if (next == NEXT_RUN) {
		if (cpu->trace)
			trace_step(cpu);
		cpu->icount_stop = cpu->icount + 1;	/* REP: one element */
		next = emulate_step(cpu);
		cpu->icount_stop = stop;
		if (cpu->trace)
			trace_stepped(cpu);
	}
	cpu->interrupts_held = false;
	cpu_attend(cpu, ATTN_EVENT | ATTN_KICK);
	if (next == NEXT_TRIPLE_FAULT)
		vm_reset(vm, true);
	vm_debug_settle(vm);
	__atomic_and_fetch(&cpu->attention, ~(uint32_t)ATTN_DEBUG, __ATOMIC_SEQ_CST);
	if (s == NULL)
		return false;
	bool hit = s->hit;
	s->hit = false;
	s->held = HELD_NO;
	return hit;
}

void vm_debug_settle(struct vm *vm)
{
	if (cpu_attention(&vm->cpu) & ATTN_RESET)
		vm_reset(vm, false);
}
