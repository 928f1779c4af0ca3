/* The registers of a library's machine, from outside. */
#include "lib/machine.h"

#include <string.h>

#include "cpu/descriptor.h"
#include "emulate/fpu.h"
#include "mmu/mmu.h"

int lib_state_open(plex86 *m)
{
	if (m->inside == INSIDE_ACCESS)
		return lib_fail(m, PLEX86_E_BUSY, "the registers cannot be set from a port or MMIO callback");
	return PLEX86_OK;
}

static int no_register(plex86 *m, int reg)
{
	return lib_fail(m, PLEX86_E_ARGUMENT, "there is no register %d", reg);
}

int plex86_get(plex86 *m, int reg, uint32_t *value)
{
	struct vcpu *cpu = &m->cpu;

	if (reg >= PLEX86_EAX && reg <= PLEX86_EDI) {
		*value = cpu->gpr[reg - PLEX86_EAX];
		return PLEX86_OK;
	}
	switch (reg) {
	case PLEX86_EIP:		/* during an access EIP is behind the instruction already */
		*value = m->inside == INSIDE_ACCESS ? cpu->insn_eip : cpu->eip;
		break;
	case PLEX86_EFLAGS: *value = cpu->eflags; break;
	case PLEX86_CR0: *value = cpu->cr0; break;
	case PLEX86_CR2: *value = cpu->cr2; break;
	case PLEX86_CR3: *value = cpu->cr3; break;
	case PLEX86_CR4: *value = cpu->cr4; break;
	case PLEX86_DR0: case PLEX86_DR1: case PLEX86_DR2: case PLEX86_DR3:
		*value = cpu_get_dr(cpu, (unsigned)(reg - PLEX86_DR0));
		break;
	case PLEX86_DR6: *value = cpu_get_dr(cpu, 6); break;
	case PLEX86_DR7: *value = cpu_get_dr(cpu, 7); break;
	case PLEX86_CPL: *value = cpu->cpl; break;
	default:
		return no_register(m, reg);
	}
	return PLEX86_OK;
}

struct checked {			/* what may be refused with #GP */
	int reg;
	uint32_t index;
	uint64_t value;
	bool write;
};

static void control_write(struct vcpu *cpu, void *arg)
{
	const struct checked *c = arg;

	if (c->reg == PLEX86_CR0)
		cpu_set_cr0(cpu, (uint32_t)c->value);
	else if (c->reg == PLEX86_CR3)
		cpu_set_cr3(cpu, (uint32_t)c->value);
	else
		cpu_set_cr4(cpu, (uint32_t)c->value);
}

static int set_control(plex86 *m, int reg, uint32_t value)
{
	struct checked c = { .reg = reg, .value = value };

	if (cpu_try(&m->cpu, control_write, &c))
		return lib_fail(m, PLEX86_E_ARGUMENT, "the processor refuses %#x for that control register", value);
	return PLEX86_OK;
}

static void set_eflags(plex86 *m, uint32_t value)
{
	struct vcpu *cpu = &m->cpu;
	uint32_t old = cpu->eflags;

	cpu_set_eflags(cpu, value, 0xFFFFFFFF);
	if ((old ^ cpu->eflags) & EFLAGS_VM)
		cpu_update_mode(cpu);
	cpu_attend(cpu, ATTN_EVENT);
}

int plex86_set(plex86 *m, int reg, uint32_t value)
{
	struct vcpu *cpu = &m->cpu;
	int err = lib_state_open(m);

	if (err)
		return err;
	if (reg >= PLEX86_EAX && reg <= PLEX86_EDI) {
		cpu->gpr[reg - PLEX86_EAX] = value;
		return PLEX86_OK;
	}
	switch (reg) {
	case PLEX86_EIP:
		cpu->eip = value;
		m->eip_set = true;
		m->passed = false;
		break;
	case PLEX86_EFLAGS:
		set_eflags(m, value);
		break;
	case PLEX86_CR2:
		cpu->cr2 = value;
		break;
	case PLEX86_CR0: case PLEX86_CR3: case PLEX86_CR4:
		return set_control(m, reg, value);
	case PLEX86_DR0: case PLEX86_DR1: case PLEX86_DR2: case PLEX86_DR3:
		cpu_set_dr(cpu, (unsigned)(reg - PLEX86_DR0), value);
		break;
	case PLEX86_DR6: case PLEX86_DR7:
		cpu_set_dr(cpu, reg == PLEX86_DR6 ? 6 : 7, value);
		break;
	default:
		return no_register(m, reg);
	}
	return PLEX86_OK;
}

/* --- segments and tables --- */

static struct segment *segment_of(plex86 *m, int segment)
{
	static const uint8_t seg[6] = { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS };

	if (segment == PLEX86_LDTR)
		return &m->cpu.ldtr;
	if (segment == PLEX86_TR)
		return &m->cpu.tr;
	return segment >= PLEX86_ES && segment <= PLEX86_GS ? &m->cpu.seg[seg[segment]] : NULL;
}

static struct table_register *table_of(plex86 *m, int segment)
{
	return segment == PLEX86_GDTR ? &m->cpu.gdtr : segment == PLEX86_IDTR ? &m->cpu.idtr : NULL;
}

int plex86_get_segment(plex86 *m, int segment, struct plex86_segment *value)
{
	const struct segment *s = segment_of(m, segment);
	const struct table_register *t = table_of(m, segment);

	if (s)
		*value = (struct plex86_segment){ s->selector, s->attr, s->base, s->limit };
	else if (t)
		*value = (struct plex86_segment){ .base = t->base, .limit = t->limit };
	else
		return lib_fail(m, PLEX86_E_ARGUMENT, "there is no segment register %d", segment);
	return PLEX86_OK;
}

int plex86_set_segment(plex86 *m, int segment, const struct plex86_segment *value)
{
	struct segment *s = segment_of(m, segment);
	struct table_register *t = table_of(m, segment);
	int err = lib_state_open(m);

	if (err)
		return err;
	if (t) {
		if (value->limit > 0xFFFF)
			return lib_fail(m, PLEX86_E_ARGUMENT, "a table's limit has 16 bits");
		*t = (struct table_register){ .base = value->base, .limit = (uint16_t)value->limit };
		return PLEX86_OK;
	}
	if (!s)
		return lib_fail(m, PLEX86_E_ARGUMENT, "there is no segment register %d", segment);
	if (value->limit > 0xFFFFF && (value->limit & PAGE_MASK) != PAGE_MASK)
		return lib_fail(m, PLEX86_E_ARGUMENT, "the limit %#x cannot be: above 1 MiB it ends with FFFh", value->limit);
	*s = (struct segment){ .selector = value->selector, .attr = value->attributes, .base = value->base, .limit = value->limit };
	if (segment != PLEX86_LDTR && segment != PLEX86_TR)
		segment_derive(s);
	if (segment == PLEX86_CS)
		cpu_update_mode(&m->cpu);
	return PLEX86_OK;
}

/* --- MSRs, FPU --- */

static void msr_access(struct vcpu *cpu, void *arg)
{
	struct checked *c = arg;

	if (c->write)
		cpu_wrmsr(cpu, c->index, c->value);
	else
		c->value = cpu_rdmsr(cpu, c->index);
}

static int msr(plex86 *m, struct checked *c)
{
	if (!cpu_try(&m->cpu, msr_access, c))
		return PLEX86_OK;
	return lib_fail(m, PLEX86_E_ARGUMENT, "%s MSR %#x is #GP", c->write ? "writing that to" : "reading", c->index);
}

int plex86_get_msr(plex86 *m, uint32_t index, uint64_t *value)
{
	struct checked c = { .index = index };
	int err = msr(m, &c);

	*value = c.value;
	return err;
}

int plex86_set_msr(plex86 *m, uint32_t index, uint64_t value)
{
	struct checked c = { .index = index, .value = value, .write = true };
	int err = lib_state_open(m);

	return err ? err : msr(m, &c);
}

int plex86_get_fpu(plex86 *m, void *fxsave)
{
	memcpy(fxsave, &m->cpu.fx, sizeof(m->cpu.fx));
	return PLEX86_OK;
}

int plex86_set_fpu(plex86 *m, const void *fxsave)
{
	uint32_t mxcsr;
	int err = lib_state_open(m);

	if (err)
		return err;
	memcpy(&mxcsr, (const uint8_t *)fxsave + offsetof(struct fxstate, mxcsr), sizeof(mxcsr));
	if (mxcsr & ~(uint32_t)MXCSR_WRITABLE)
		return lib_fail(m, PLEX86_E_ARGUMENT, "MXCSR has reserved bits set: %#x", mxcsr);
	memcpy(&m->cpu.fx, fxsave, sizeof(m->cpu.fx));
	m->cpu.fx.mxcsr_mask = MXCSR_WRITABLE;
	return PLEX86_OK;
}

/* --- modes --- */

static void set_segments(struct vcpu *cpu, bool flat)
{
	for (unsigned s = 0; s < 6; s++) {
		cpu->seg[s] = flat ? segment_flat(s == SEG_CS ? 8 : 16, s == SEG_CS) :
		    (struct segment){ .attr = SEG_P | SEG_S | SEG_ACCESSED | SEG_WRITABLE, .limit = 0xFFFF };
		segment_derive(&cpu->seg[s]);
	}
}

int plex86_set_mode(plex86 *m, int mode)
{
	struct vcpu *cpu = &m->cpu;
	int err = lib_state_open(m);

	if (err)
		return err;
	if (mode != PLEX86_RESET && mode != PLEX86_REAL && mode != PLEX86_FLAT)
		return lib_fail(m, PLEX86_E_ARGUMENT, "there is no mode %d", mode);
	cpu_reset(cpu);
	cpu->intr_line = false;
	m->eip_set = true;
	m->passed = m->shutdown = false;
	if (mode == PLEX86_RESET)
		return PLEX86_OK;
	set_segments(cpu, mode == PLEX86_FLAT);
	cpu->eip = cpu->insn_eip = 0;
	cpu->gpr[REG_EDX] = 0;
	cpu->idtr.limit = 0x3FF;
	cpu->fx.fcw = FCW_DEFAULT;
	cpu->fx.ftw = 0;
	cpu->cr0 = CR0_ET;
	if (mode == PLEX86_FLAT) {
		cpu->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_MP;
		cpu->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
		cpu->idtr.limit = 0;		/* an exception before the guest has a table is a triple fault */
		cpu->gdtr.limit = 0;
	}
	cpu_update_mode(cpu);
	return PLEX86_OK;
}
