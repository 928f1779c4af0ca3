/*
 * The run loop of tier 0.
 *
 * icount counts attempts: an instruction that completes counts one, one that faults counts one, and
 * each element of a REP string instruction counts one. So guest time, where it is made of icount,
 * goes on even if the guest does nothing but fault, and icount_stop is met exactly.
 *
 * What cpu_check_events() takes for "retired" is narrower: neither the faulting instruction nor the
 * unfinished REP is. check_icount is set to icount where those count.
 */
#include "emulate/block.h"

/* How many ops of b may run: inside the budget and inside CS's limit. Raises #GP(0) if none is. */
static __attribute__((noinline)) unsigned ops_allowed(struct vcpu *cpu, const struct op_block *b)
{
	uint64_t eip = cpu->eip, budget = cpu->icount_stop - cpu->icount;
	unsigned n = 0;

	while (n < b->n && n < budget && eip + b->op[n].in.len - 1 <= cpu->seg[SEG_CS].limit)
		eip += b->op[n++].in.len;
	if (n == 0) {
		cpu->insn_eip = cpu->eip;
		cpu_raise(cpu, EXC_GP, 0);
	}
	return n;
}

/* At least one instruction; then on while nothing wants attention. Only a block's last changes EIP. */
static inline void run_ops(struct vcpu *cpu, const struct op *op, unsigned n)
{
	const struct op *end = op + n;
	uint32_t eip = cpu->eip;

	do {
		cpu->insn_eip = eip;
		eip += op->in.len;
		cpu->eip = eip;
		op->fn(cpu, &op->in);
		cpu->icount++;
	} while (++op != end && likely(!cpu_attention(cpu)));
}

/*
 * RF lasts for the instruction it was set for: one that is carried out now, or the rest of a REP
 * string instruction (which clears it itself). A fault pushes RF whatever it was.
 */
static void end_rf(struct vcpu *cpu, const struct insn *in)
{
	if (!(in->prefix & (PREFIX_REP | PREFIX_REPNE) && in->name >= I_MOVS && in->name <= I_OUTS))
		cpu->eflags &= ~(uint32_t)EFLAGS_RF;
}

static inline void run_block(struct vcpu *cpu, struct emulator *em)
{
	struct op_block *b = block_find(cpu, em);
	unsigned n = b->n;

	if (unlikely(cpu->icount_stop - cpu->icount < n || (uint64_t)cpu->eip + b->bytes > (uint64_t)cpu->seg[SEG_CS].limit + 1))
		n = ops_allowed(cpu, b);
	if (unlikely(cpu->eflags & EFLAGS_RF))
		end_rf(cpu, &b->op[0].in);
	em->running = b;
	run_ops(cpu, b->op, n);
}

/* Until something wants attention or the budget is used up. */
static __attribute__((noinline)) void run_blocks(struct vcpu *cpu)
{
	struct emulator *em = cpu->emulator;

	do
		run_block(cpu, em);
	while (likely(!cpu_attention(cpu) && cpu->icount < cpu->icount_stop));
}

static void fault_counts(struct vcpu *cpu)
{
	cpu->icount++;
	cpu->check_icount = cpu->icount;
	METER_ADD(cpu, faulted, 1);
}

/* Nothing is being carried out now: what waited for that. */
static void leave_block(struct vcpu *cpu)
{
	struct emulator *em = cpu->emulator;

	em->running = NULL;
	em->stepping = false;
	if (cpu_attention(cpu) & ATTN_CODE)
		__atomic_and_fetch(&cpu->attention, ~(uint32_t)ATTN_CODE, __ATOMIC_RELAXED);
	if (em->flush_wanted)
		emulate_flush(cpu);
}

static COMES_BACK __attribute__((noinline)) enum next run(struct vcpu *cpu)
{
	struct vcpu *volatile keep = cpu;	/* survives the jump back from cpu_raise() */

	if (__builtin_setjmp(cpu->fault_jmp) != 0) {
		cpu = keep;
		leave_block(cpu);
		fault_counts(cpu);
		enum next next = cpu_deliver_fault(cpu);
		if (next != NEXT_RUN)
			return next;
	}
	for (;;) {
		leave_block(cpu);
		/* The budget first: what its end brings (a timer) takes part in the choice of the event. */
		if (cpu_attention(cpu) & ~(uint32_t)ATTN_EVENT || cpu->icount >= cpu->icount_stop)
			return NEXT_ATTENTION;
		if (cpu_attention(cpu)) {
			enum next next = cpu_check_events(cpu);
			if (next != NEXT_RUN)
				return next;
		}
		run_blocks(cpu);
	}
}

enum next emulate_run(struct vcpu *cpu)
{
	METER_SCOPE(cpu, METER_EMULATE);
	METER_TIER0(cpu);
	return run(cpu);
}

static void stay(struct vcpu *cpu, void *arg)
{
	uint32_t begun = cpu->eip;

	do
		run_block(cpu, cpu->emulator);
	while (!cpu_attention(cpu) && cpu->icount < cpu->icount_stop && (cpu->eip ^ begun) >> PAGE_SHIFT == 0);
}

static void step(struct vcpu *cpu, void *arg)
{
	struct emulator *em = cpu->emulator;

	em->stepping = true;
	struct op_block *b = block_find(cpu, em);

	if ((uint64_t)cpu->eip + b->op[0].in.len > (uint64_t)cpu->seg[SEG_CS].limit + 1) {
		cpu->insn_eip = cpu->eip;
		cpu_raise(cpu, EXC_GP, 0);
	}
	if (cpu->eflags & EFLAGS_RF)
		end_rf(cpu, &b->op[0].in);
	em->running = b;
	run_ops(cpu, b->op, 1);
}

/* Carry out fn, and deliver what it raised. */
static enum next once(struct vcpu *cpu, void (*fn)(struct vcpu *cpu, void *arg))
{
	METER_TIER0(cpu);
	enum next next = NEXT_RUN;

	if (cpu_try(cpu, fn, NULL)) {
		leave_block(cpu);
		fault_counts(cpu);
		next = cpu_deliver_fault(cpu);
	}
	leave_block(cpu);
	if (cpu_breaks_near(cpu, cpu->seg[SEG_CS].base + cpu->eip))
		cpu_attend(cpu, ATTN_EVENT);	/* the next step's may be one */
	return next != NEXT_RUN ? next : cpu->halted ? NEXT_HALT : NEXT_RUN;
}

enum next emulate_page(struct vcpu *cpu)
{
	METER_BEGIN(cpu, PAGE);
	enum next next = once(cpu, stay);
	METER_END(cpu, PAGE);
	return next;
}

enum next emulate_step(struct vcpu *cpu)
{
	METER_SPAN(cpu, METER_EMULATE);
	return once(cpu, step);
}
