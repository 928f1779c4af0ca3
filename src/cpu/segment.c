/*
 * Segment registers and their descriptor caches.		[SDM 3, "Protected-Mode Memory Management", "Protection"]
 *
 * A cache is filled when the register is loaded and never again from the table. Real mode changes
 * selector and base only: limit and attributes stay, which is what "unreal mode" lives on.
 */
#include <string.h>

#include "cpu/segment_inline.h"
#include "mmu/mmu.h"

#define DEFINE_TABLE_READ(bits)							\
uint##bits##_t table_read##bits(struct vcpu *cpu, lin_t lin)			\
{										\
	uintptr_t e = cpu->tlbs[0].read[lin >> PAGE_SHIFT];			\
	uint##bits##_t v;							\
	if (unlikely(e == 0 || (lin & PAGE_MASK) > PAGE_BYTES - sizeof(v)))	\
		return sys_read##bits(cpu, lin);				\
	memcpy(&v, (const void *)(e + lin), sizeof(v));				\
	return v;								\
}
DEFINE_TABLE_READ(8)
DEFINE_TABLE_READ(16)
DEFINE_TABLE_READ(32)

void raise_selector(struct vcpu *cpu, unsigned exc, uint16_t selector)
{
	cpu_raise(cpu, exc, selector & 0xFFFC);
}

bool descriptor_fetch(struct vcpu *cpu, uint16_t selector, struct descriptor *d)
{
	uint32_t base = cpu->gdtr.base, limit = cpu->gdtr.limit;

	if (selector & 4) {
		if (!(cpu->ldtr.attr & SEG_P))
			return false;
		base = cpu->ldtr.base;
		limit = cpu->ldtr.limit;
	}
	if ((uint32_t)(selector | 7) > limit)
		return false;
	d->lin = base + (selector & 0xFFF8);
	d->lo = table_read32(cpu, d->lin);
	d->hi = table_read32(cpu, d->lin + 4);
	return true;
}

void descriptor_need(struct vcpu *cpu, uint16_t selector, struct descriptor *d, unsigned exc)
{
	if (!descriptor_fetch(cpu, selector, d))
		raise_selector(cpu, exc, selector);
}

struct segment descriptor_segment(const struct descriptor *d, uint16_t selector)
{
	struct segment s = {
		.selector = selector,
		.attr = d->hi >> 8 & 0xF0FF,
		.base = d->lo >> 16 | (d->hi & 0xFF) << 16 | (d->hi & 0xFF000000),
		.limit = (d->lo & 0xFFFF) | (d->hi & 0xF0000),
	};
	if (s.attr & SEG_G)
		s.limit = s.limit << 12 | 0xFFF;
	segment_derive(&s);
	return s;
}

void descriptor_accessed(struct vcpu *cpu, struct descriptor *d)
{
	if (d->hi & BIT(8))
		return;
	d->hi |= BIT(8);
	sys_write8(cpu, d->lin + 5, d->hi >> 8);
}

void descriptor_busy(struct vcpu *cpu, struct descriptor *d, bool busy)
{
	uint32_t bit = TYPE_BUSY << 8;

	d->hi = busy ? d->hi | bit : d->hi & ~bit;
	sys_write8(cpu, d->lin + 5, d->hi >> 8);
}

/* top: bytes that may be accessed in every way asked for. */
static uint8_t scan_state(const struct segment *s, uint64_t top)
{
	if (top == 1ull << 32)
		return s->base == 0 ? 1 : 2;
	return top >= 0x10000 ? 3 : 0;
}

static void derive_tops(struct segment *s)
{
	uint64_t top = (uint64_t)s->limit + 1;

	s->read_top = s->write_top = 0;
	if ((s->attr & (SEG_P | SEG_S)) != (SEG_P | SEG_S))
		return;
	if (s->attr & SEG_CODE) {
		if (s->attr & SEG_READABLE)
			s->read_top = top;
	} else if (!(s->attr & SEG_EXPAND_DOWN)) {
		s->read_top = top;
		if (s->attr & SEG_WRITABLE)
			s->write_top = top;
	}
}

void segment_derive(struct segment *s)
{
	derive_tops(s);
	s->data_state = scan_state(s, MIN(s->read_top, s->write_top));
	s->code_state = scan_state(s, s->read_top);
}

/* Limit only: rights were checked when the register was loaded. */
bool segment_in_limit(const struct segment *s, uint32_t off, unsigned size)
{
	uint64_t last = (uint64_t)off + size - 1;

	if ((s->attr & (SEG_CODE | SEG_EXPAND_DOWN)) == SEG_EXPAND_DOWN)
		return off > s->limit && last <= (s->attr & SEG_DB ? 0xFFFFFFFF : 0xFFFF);
	return last <= s->limit;
}

struct segment segment_flat(uint16_t selector, bool code)
{
	struct segment s = {
		.selector = selector,
		.limit = 0xFFFFFFFF,
		.attr = SEG_G | SEG_DB | SEG_P | (selector & 3) << 5 | SEG_S | SEG_READABLE | SEG_ACCESSED | (code ? SEG_CODE : 0),
	};
	segment_derive(&s);
	return s;
}

struct segment segment_vm86(uint16_t selector)
{
	struct segment s = {
		.selector = selector,
		.base = (uint32_t)selector << 4,
		.limit = 0xFFFF,
		.attr = SEG_P | SEG_DPL | SEG_S | SEG_WRITABLE | SEG_ACCESSED,
	};
	segment_derive(&s);
	return s;
}

struct segment segment_real(const struct vcpu *cpu, struct segment old, uint16_t selector)
{
	if (cpu_protected(cpu))
		return segment_vm86(selector);
	old.selector = selector;
	old.base = (uint32_t)selector << 4;
	old.attr = (old.attr & (SEG_DB | SEG_G | BIT(12))) | SEG_P | SEG_S | SEG_WRITABLE | SEG_ACCESSED;
	segment_derive(&old);
	return old;
}

void segment_load_real(struct vcpu *cpu, unsigned seg, uint16_t selector)
{
	cpu->seg[seg] = segment_real(cpu, cpu->seg[seg], selector);
}

struct segment segment_stack(struct vcpu *cpu, uint16_t selector, unsigned cpl, unsigned exc)
{
	struct descriptor d;

	if (selector_null(selector))
		cpu_raise(cpu, exc, 0);
	descriptor_need(cpu, selector, &d, exc);
	if ((selector & 3) != cpl || desc_dpl(&d) != cpl || !desc_writable_data(&d))
		raise_selector(cpu, exc, selector);
	if (!desc_present(&d))
		raise_selector(cpu, EXC_SS, selector);
	descriptor_accessed(cpu, &d);
	return descriptor_segment(&d, selector);
}

void segment_load(struct vcpu *cpu, unsigned seg, uint16_t selector)
{
	struct descriptor d;
	uint64_t raw = 0;

	if (!cpu_protected(cpu) || cpu_vm86(cpu)) {
		segment_load_real(cpu, seg, selector);
		return;
	}
	if (seg == SEG_SS) {
		cpu->seg[SEG_SS] = segment_stack(cpu, selector, cpu->cpl, EXC_GP);
		return;
	}
	if (selector_null(selector)) {
		cpu->seg[seg] = segment_null(selector);
		return;
	}
	if (gdt_peek(cpu, selector, &raw) && segment_load_again(cpu, seg, selector, raw))
		return;
	descriptor_need(cpu, selector, &d, EXC_GP);
	if (!desc_readable(&d))
		raise_selector(cpu, EXC_GP, selector);
	if (!(desc_code(&d) && desc_conforming(&d)) && MAX((unsigned)selector & 3, cpu->cpl) > desc_dpl(&d))
		raise_selector(cpu, EXC_GP, selector);
	if (!desc_present(&d))
		raise_selector(cpu, EXC_NP, selector);
	descriptor_accessed(cpu, &d);
	cpu->seg[seg] = descriptor_segment(&d, selector);
	if (raw >> 40 & SEG_ACCESSED)		/* as it is in the table, else it changes now */
		cpu->segment_memo[selector >> 3 & 7] = (struct segment_memo){ selector, cpu->cpl, raw, cpu->seg[seg] };
}

/*
 * CPL is CS.RPL in protected mode. Between MOV CR0 that sets PE and the far jump CS still holds a
 * real-mode selector and CPL is 0: cpu_set_cr0() does not come here for that.
 */
void cpu_update_mode(struct vcpu *cpu)
{
	if (!cpu_protected(cpu))
		cpu->cpl = 0;
	else if (cpu_vm86(cpu))
		cpu->cpl = 3;
	else
		cpu->cpl = cpu->seg[SEG_CS].selector & 3;
	mmu_select(cpu);
}
