/*
 * Stacks as the far transfers see them: the current one, or one of a level not yet entered.
 *							[SDM 3, "Stack Switching", SDM 1, "Stacks"]
 */
#include "cpu/descriptor.h"
#include "mmu/mmu.h"

static uint32_t stack_mask(const struct stack *st)
{
	return st->ss.attr & SEG_DB ? 0xFFFFFFFF : 0xFFFF;
}

struct stack stack_current(const struct vcpu *cpu)
{
	return (struct stack){ .ss = cpu->seg[SEG_SS], .esp = cpu->gpr[REG_ESP], .user = cpu->cpl == 3 };
}

/* #SS unless count pushes of size bytes fit: asked before the first is made. */
void frame_room(struct vcpu *cpu, const struct stack *st, unsigned count, unsigned size)
{
	uint32_t esp = st->esp;

	while (count-- > 0) {
		esp -= size;
		if (!segment_in_limit(&st->ss, esp & stack_mask(st), size))
			raise_selector(cpu, EXC_SS, st->error);
	}
}

void frame_push(struct vcpu *cpu, struct stack *st, uint32_t val, unsigned size)
{
	uint32_t mask = stack_mask(st);
	uint32_t esp = (st->esp - size) & mask;

	if (!segment_in_limit(&st->ss, esp, size))
		raise_selector(cpu, EXC_SS, st->error);
	mmu_write(cpu, st->ss.base + esp, &val, size, st->user);
	st->esp = (st->esp & ~mask) | esp;
}

uint32_t frame_peek(struct vcpu *cpu, const struct stack *st, uint32_t bytes_up, unsigned size)
{
	uint32_t esp = (st->esp + bytes_up) & stack_mask(st);
	uint32_t val = 0;

	if (!segment_in_limit(&st->ss, esp, size))
		raise_selector(cpu, EXC_SS, st->error);
	mmu_read(cpu, st->ss.base + esp, &val, size, st->user);
	return val;
}

void frame_drop(struct stack *st, uint32_t bytes)
{
	uint32_t mask = stack_mask(st);

	st->esp = (st->esp & ~mask) | ((st->esp + bytes) & mask);
}

uint32_t frame_pop(struct vcpu *cpu, struct stack *st, unsigned size)
{
	uint32_t val = frame_peek(cpu, st, 0, size);

	frame_drop(st, size);
	return val;
}

struct stack stack_from_tss(struct vcpu *cpu, unsigned cpl)
{
	bool is32 = cpu->tr.attr & TYPE_32BIT;
	uint32_t off = is32 ? cpl * 8 + 4 : cpl * 4 + 2;
	struct stack st = { .user = cpl == 3 };

	if (off + (is32 ? 5 : 3) > cpu->tr.limit)
		raise_selector(cpu, EXC_TS, cpu->tr.selector);
	st.esp = is32 ? table_read32(cpu, cpu->tr.base + off) : table_read16(cpu, cpu->tr.base + off);
	st.error = table_read16(cpu, cpu->tr.base + off + (is32 ? 4 : 2));
	st.ss = segment_stack(cpu, st.error, cpl, EXC_TS);
	return st;
}
