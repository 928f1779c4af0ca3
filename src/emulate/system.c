/*
 * System instructions: control and debug registers, descriptor table registers, MSRs, CPUID,
 * the queries of descriptors, HLT.				[SDM 2; SDM 3, "System Instruction Summary"]
 *
 * What they do to the CPU is in src/cpu; here are operands, privilege and #UD rules.
 */
#include "cpu/descriptor.h"
#include "emulate/handlers.h"
#include "emulate/operand.h"
#include "meter/trace.h"

static void need_cpl0(struct vcpu *cpu)
{
	if (cpu->cpl != 0)
		cpu_raise(cpu, EXC_GP, 0);
}

/* Instructions that real and vm86 mode do not recognise. */
static void need_protected(struct vcpu *cpu)
{
	if (!cpu_protected(cpu) || cpu_vm86(cpu))
		cpu_raise(cpu, EXC_UD, 0);
}

/* Store of a 16-bit system value: to a 32-bit register zero-extended, to memory always 16 bits. */
static void store_word(struct vcpu *cpu, const struct insn *in, uint32_t val)
{
	if (in->opnd[0].kind == OPND_MEM)
		mem_write16(cpu, in->seg, insn_ea(cpu, in), val);
	else if (in->opsize == 4)
		cpu->gpr[in->opnd[0].reg] = val;
	else
		reg_write16(cpu, in->opnd[0].reg, val);
}

static uint16_t load_word(struct vcpu *cpu, const struct insn *in, unsigned n)
{
	if (in->opnd[n].kind == OPND_MEM)
		return mem_read16(cpu, in->seg, insn_ea(cpu, in));
	return cpu->gpr[in->opnd[n].reg];
}

/* --- control and debug registers --- */

static uint32_t *cr_known(struct vcpu *cpu, unsigned n)
{
	switch (n) {
	case 0: return &cpu->cr0;
	case 2: return &cpu->cr2;
	case 3: return &cpu->cr3;
	case 4: return &cpu->cr4;
	default: cpu_raise(cpu, EXC_UD, 0);
	}
}

void exec_MOV_CR(struct vcpu *cpu, const struct insn *in)
{
	bool to_cr = in->opnd[0].kind == OPND_CR;
	unsigned n = in->opnd[to_cr ? 0 : 1].reg;
	uint32_t *gpr = &cpu->gpr[in->opnd[to_cr ? 1 : 0].reg];
	uint32_t *cr = cr_known(cpu, n);

	need_cpl0(cpu);
	if (!to_cr)
		*gpr = *cr;
	else if (n == 0)
		cpu_set_cr0(cpu, *gpr);
	else if (n == 2)
		cpu->cr2 = *gpr;
	else if (n == 3)
		cpu_set_cr3(cpu, *gpr);
	else
		cpu_set_cr4(cpu, *gpr);
}

void exec_MOV_DR(struct vcpu *cpu, const struct insn *in)
{
	bool to_dr = in->opnd[0].kind == OPND_DR;
	unsigned n = in->opnd[to_dr ? 0 : 1].reg;
	uint32_t *gpr = &cpu->gpr[in->opnd[to_dr ? 1 : 0].reg];

	if ((n == 4 || n == 5) && (cpu->cr4 & CR4_DE))
		cpu_raise(cpu, EXC_UD, 0);
	need_cpl0(cpu);
	if (cpu->dr[7] & DR7_GD) {
		cpu->dr[6] |= DR6_BD;
		cpu_raise(cpu, EXC_DB, 0);
	}
	if (to_dr)
		cpu_set_dr(cpu, n, *gpr);
	else
		*gpr = cpu_get_dr(cpu, n);
}

void exec_LMSW(struct vcpu *cpu, const struct insn *in)
{
	uint16_t val;

	need_cpl0(cpu);
	val = load_word(cpu, in, 0);
	/* PE MP EM TS; PE can be set but not cleared */
	cpu_set_cr0(cpu, (cpu->cr0 & ~(CR0_MP | CR0_EM | CR0_TS)) | (val & (CR0_PE | CR0_MP | CR0_EM | CR0_TS)));
}

/* The 32-bit register form gives all of CR0 (undefined by the manual, done by every processor). */
void exec_SMSW(struct vcpu *cpu, const struct insn *in)
{
	store_word(cpu, in, cpu->cr0);
}

void exec_CLTS(struct vcpu *cpu, const struct insn *in)
{
	need_cpl0(cpu);
	cpu_set_cr0(cpu, cpu->cr0 & ~CR0_TS);
}

/* --- descriptor table registers --- */

static void store_table(struct vcpu *cpu, const struct insn *in, const struct table_register *t)
{
	uint32_t ea = insn_ea(cpu, in);
	lin_t lin = mem_rmw(cpu, in->seg, ea, 6);	/* all six bytes, or none */

	lin_write16(cpu, lin, t->limit);
	lin_write32(cpu, lin + 2, t->base);	/* with a 16-bit operand too: the 286's FF byte is long gone */
}

static void load_table(struct vcpu *cpu, const struct insn *in, struct table_register *t)
{
	uint32_t ea = insn_ea(cpu, in);
	uint16_t limit;
	uint32_t base;

	need_cpl0(cpu);
	limit = mem_read16(cpu, in->seg, ea);
	base = mem_read32(cpu, in->seg, ea + 2);
	t->limit = limit;
	t->base = in->opsize == 2 ? base & 0xFFFFFF : base;
}

void exec_SGDT(struct vcpu *cpu, const struct insn *in) { store_table(cpu, in, &cpu->gdtr); }
void exec_SIDT(struct vcpu *cpu, const struct insn *in) { store_table(cpu, in, &cpu->idtr); }
void exec_LGDT(struct vcpu *cpu, const struct insn *in) { load_table(cpu, in, &cpu->gdtr); }
void exec_LIDT(struct vcpu *cpu, const struct insn *in) { load_table(cpu, in, &cpu->idtr); }

void exec_SLDT(struct vcpu *cpu, const struct insn *in)
{
	need_protected(cpu);
	store_word(cpu, in, cpu->ldtr.selector);
}

void exec_STR(struct vcpu *cpu, const struct insn *in)
{
	need_protected(cpu);
	store_word(cpu, in, cpu->tr.selector);
}

/* Descriptor for LLDT and LTR: in the GDT, a system one of this type (TSS: either size). */
static void need_system(struct vcpu *cpu, uint16_t selector, struct descriptor *d, bool tss)
{
	if (selector & 4)
		raise_selector(cpu, EXC_GP, selector);
	descriptor_need(cpu, selector, d, EXC_GP);
	bool ok = tss ? (desc_type(d) & ~TYPE_32BIT) == TYPE_TSS16 : desc_type(d) == TYPE_LDT;
	if (!desc_system(d) || !ok)
		raise_selector(cpu, EXC_GP, selector);
	if (!desc_present(d))
		raise_selector(cpu, EXC_NP, selector);
}

void exec_LLDT(struct vcpu *cpu, const struct insn *in)
{
	struct descriptor d;
	uint16_t selector;

	need_protected(cpu);
	need_cpl0(cpu);
	selector = load_word(cpu, in, 0);
	if (selector_null(selector)) {
		cpu->ldtr = segment_null(selector);
		return;
	}
	need_system(cpu, selector, &d, false);
	cpu->ldtr = descriptor_segment(&d, selector);
}

void exec_LTR(struct vcpu *cpu, const struct insn *in)
{
	struct descriptor d;
	uint16_t selector;

	need_protected(cpu);
	need_cpl0(cpu);
	selector = load_word(cpu, in, 0);
	if (selector_null(selector))
		cpu_raise(cpu, EXC_GP, 0);
	need_system(cpu, selector, &d, true);
	descriptor_busy(cpu, &d, true);
	cpu->tr = descriptor_segment(&d, selector);
}

/* --- asking about descriptors: never a fault for what the selector says, only ZF --- */

static void set_zf(struct vcpu *cpu, bool on)
{
	cpu->eflags = on ? cpu->eflags | EFLAGS_ZF : cpu->eflags & ~(uint32_t)EFLAGS_ZF;
}

static bool query(struct vcpu *cpu, uint16_t selector, struct descriptor *d, unsigned system_types)
{
	if (selector_null(selector) || !descriptor_fetch(cpu, selector, d))
		return false;
	if (desc_system(d) && !(system_types >> desc_type(d) & 1))
		return false;
	return descriptor_visible(cpu, d, selector);
}

static void query_store(struct vcpu *cpu, const struct insn *in, uint32_t val)
{
	if (in->opsize == 4)
		cpu->gpr[in->opnd[0].reg] = val;
	else
		reg_write16(cpu, in->opnd[0].reg, val);
}

#define TYPES_TSS_LDT (BIT(TYPE_TSS16) | BIT(TYPE_LDT) | BIT(TYPE_TSS16_BUSY) | BIT(TYPE_TSS32) | BIT(TYPE_TSS32_BUSY))

void exec_LAR(struct vcpu *cpu, const struct insn *in)
{
	struct descriptor d;
	uint16_t selector;
	bool ok;

	need_protected(cpu);
	selector = load_word(cpu, in, 1);
	ok = query(cpu, selector, &d, TYPES_TSS_LDT | BIT(TYPE_CALL16) | BIT(TYPE_TASK_GATE) | BIT(TYPE_CALL32));
	if (ok)
		query_store(cpu, in, d.hi & (in->opsize == 4 ? 0x00FFFF00 : 0xFF00));
	set_zf(cpu, ok);
}

void exec_LSL(struct vcpu *cpu, const struct insn *in)
{
	struct descriptor d;
	uint16_t selector;
	bool ok;

	need_protected(cpu);
	selector = load_word(cpu, in, 1);
	ok = query(cpu, selector, &d, TYPES_TSS_LDT);
	if (ok)
		query_store(cpu, in, descriptor_segment(&d, selector).limit);
	set_zf(cpu, ok);
}

void exec_VERR(struct vcpu *cpu, const struct insn *in)
{
	struct descriptor d;

	need_protected(cpu);
	bool ok = query(cpu, load_word(cpu, in, 0), &d, 0);
	set_zf(cpu, ok && desc_readable(&d));
}

void exec_VERW(struct vcpu *cpu, const struct insn *in)
{
	struct descriptor d;

	need_protected(cpu);
	bool ok = query(cpu, load_word(cpu, in, 0), &d, 0);
	set_zf(cpu, ok && desc_writable_data(&d));
}

void exec_ARPL(struct vcpu *cpu, const struct insn *in)
{
	unsigned rpl = cpu->gpr[in->opnd[1].reg] & 3;
	uint32_t dest;

	need_protected(cpu);
	dest = operand_read(cpu, in, 0);	/* the destination need be writable only if it changes */
	if ((dest & 3) < rpl)
		operand_write(cpu, in, 0, (dest & ~3u) | rpl);
	set_zf(cpu, (dest & 3) < rpl);
}

/* --- caches, TLB --- */

/* No limit or type check: any address will do. */
void exec_INVLPG(struct vcpu *cpu, const struct insn *in)
{
	need_cpl0(cpu);
	lin_t lin = cpu->seg[in->seg].base + insn_ea(cpu, in);
	trace_only(cpu, EVENT_INVLPG, 0, lin);
	mmu_flush_page(cpu, lin);
}

/* Guest memory is the host's, coherent: there is nothing to write back or to lose. */
void exec_INVD(struct vcpu *cpu, const struct insn *in) { need_cpl0(cpu); }
void exec_WBINVD(struct vcpu *cpu, const struct insn *in) { need_cpl0(cpu); }

/* --- MSRs, counters, CPUID --- */

static void store_edx_eax(struct vcpu *cpu, uint64_t val)
{
	cpu->gpr[REG_EAX] = val;
	cpu->gpr[REG_EDX] = val >> 32;
}

void exec_RDMSR(struct vcpu *cpu, const struct insn *in)
{
	need_cpl0(cpu);
	store_edx_eax(cpu, cpu_rdmsr(cpu, cpu->gpr[REG_ECX]));
}

void exec_WRMSR(struct vcpu *cpu, const struct insn *in)
{
	need_cpl0(cpu);
	cpu_wrmsr(cpu, cpu->gpr[REG_ECX], (uint64_t)cpu->gpr[REG_EDX] << 32 | cpu->gpr[REG_EAX]);
}

/* There are no performance counters: every ECX is out of range. */
void exec_RDPMC(struct vcpu *cpu, const struct insn *in)
{
	cpu_raise(cpu, EXC_GP, 0);
}

void exec_RDTSC(struct vcpu *cpu, const struct insn *in)
{
	if ((cpu->cr4 & CR4_TSD) && cpu->cpl != 0)
		cpu_raise(cpu, EXC_GP, 0);
	store_edx_eax(cpu, cpu_tsc(cpu));
}

void exec_CPUID(struct vcpu *cpu, const struct insn *in)
{
	uint32_t out[4];

	cpu_cpuid(cpu, cpu->gpr[REG_EAX], cpu->gpr[REG_ECX], out);
	cpu->gpr[REG_EAX] = out[0];
	cpu->gpr[REG_EBX] = out[1];
	cpu->gpr[REG_ECX] = out[2];
	cpu->gpr[REG_EDX] = out[3];
}

/* --- stopping --- */

void exec_HLT(struct vcpu *cpu, const struct insn *in)
{
	need_cpl0(cpu);
	trace_only(cpu, EVENT_HALT, 0, 0);
	cpu->halted = true;
	cpu_attend(cpu, ATTN_EVENT);
}

/* Only in system management mode, which is never entered. */
void exec_RSM(struct vcpu *cpu, const struct insn *in)
{
	cpu_raise(cpu, EXC_UD, 0);
}

void exec_UD(struct vcpu *cpu, const struct insn *in)
{
	cpu_raise(cpu, EXC_UD, 0);
}
