/*
 * Reset, control registers, EFLAGS.				[SDM 3, "Control Registers", "Processor Management and Initialization"]
 */
#include "cpu/cpuid.h"
#include "cpu/descriptor.h"
#include "meter/trace.h"
#include "mmu/mmu.h"
#include "mmu/phys.h"

#define CR0_VALID (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
#define CR4_VALID (CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT)
#define EFLAGS_VALID (EFLAGS_ARITH | EFLAGS_TF | EFLAGS_IF | EFLAGS_DF | EFLAGS_IOPL | EFLAGS_NT | EFLAGS_RF | \
    EFLAGS_VM | EFLAGS_AC | EFLAGS_VIF | EFLAGS_VIP | EFLAGS_ID)

/* Power-up state.						[SDM 3, "IA-32 Processor States Following Power-up, Reset, or INIT"] */
static void reset_segments(struct vcpu *cpu)
{
	for (unsigned i = 0; i < 6; i++) {
		cpu->seg[i] = (struct segment){
			.limit = 0xFFFF, .attr = SEG_P | SEG_S | SEG_WRITABLE | SEG_ACCESSED,
		};
		segment_derive(&cpu->seg[i]);
	}
	cpu->seg[SEG_CS].selector = 0xF000;
	cpu->seg[SEG_CS].base = 0xFFFF0000;
	cpu->ldtr = (struct segment){ .limit = 0xFFFF, .attr = SEG_P | TYPE_LDT };
	cpu->tr = (struct segment){ .limit = 0xFFFF, .attr = SEG_P | TYPE_TSS32_BUSY };
	cpu->gdtr = cpu->idtr = (struct table_register){ .limit = 0xFFFF };
}

void cpu_reset(struct vcpu *cpu)
{
	memset(cpu->gpr, 0, sizeof(cpu->gpr));
	cpu->gpr[REG_EDX] = CPUID_SIGNATURE;
	cpu->eip = cpu->insn_eip = 0xFFF0;
	cpu->eflags = EFLAGS_FIXED1;
	reset_segments(cpu);
	cpu->cr0 = CR0_CD | CR0_NW | CR0_ET;
	cpu->cr2 = cpu->cr3 = cpu->cr4 = 0;
	memset(cpu->dr, 0, sizeof(cpu->dr));
	cpu->dr[6] = DR6_FIXED1;
	cpu->dr[7] = DR7_FIXED1;
	memset(cpu->pdpte, 0, sizeof(cpu->pdpte));
	msr_reset(cpu);
	memset(&cpu->fx, 0, sizeof(cpu->fx));
	cpu->fx.fcw = 0x40;
	cpu->fx.ftw = 0xFF;			/* power-up: every register valid, holding +0.0; FINIT empties them */
	cpu->fx.mxcsr = 0x1F80;
	cpu->fx.mxcsr_mask = 0xFFFF;
	cpu->fx_live = cpu->ferr = cpu->fpu_host_pe = false;
	cpu->halted = cpu->nmi_pending = cpu->nmi_blocked = false;
	cpu->shadow = cpu->shadow_ss = false;
	cpu->tf_armed = cpu->shadow_armed = cpu->rf_armed = cpu->event_ext = false;
	cpu->dr6_pending = 0;
	cpu_set_a20(cpu, true);
	mmu_debug_changed(cpu);
	mmu_flush(cpu, true);
	cpu_update_mode(cpu);
	cpu_attend(cpu, ATTN_EVENT);
}

static void load_pdpte(struct vcpu *cpu, void *arg)
{
	mmu_load_pdpte(cpu);
}

/*
 * New CR0, CR3 and CR4 together, with the PDPTEs they ask for; if those are no good, #GP(0) with
 * nothing changed.						[SDM 3, "PAE Paging", "PDPTE Registers"]
 */
static void set_paging(struct vcpu *cpu, uint32_t cr0, uint32_t cr3, uint32_t cr4, bool reload)
{
	uint32_t old0 = cpu->cr0, old3 = cpu->cr3, old4 = cpu->cr4;
	uint64_t pdpte[ARRAY_LEN(cpu->pdpte)];

	memcpy(pdpte, cpu->pdpte, sizeof(pdpte));
	cpu->cr0 = cr0;
	cpu->cr3 = cr3;
	cpu->cr4 = cr4;
	if (!reload || !(cr0 & CR0_PG) || !(cr4 & CR4_PAE) || !cpu_try(cpu, load_pdpte, NULL))
		return;
	cpu->cr0 = old0;
	cpu->cr3 = old3;
	cpu->cr4 = old4;
	memcpy(cpu->pdpte, pdpte, sizeof(pdpte));
	cpu_raise(cpu, cpu->exc_vector, cpu->exc_error);
}

void cpu_set_cr0(struct vcpu *cpu, uint32_t val)
{
	uint32_t old = cpu->cr0;
	uint32_t changed;

	if ((val & CR0_PG) && !(val & CR0_PE))
		cpu_raise(cpu, EXC_GP, 0);
	if ((val & CR0_NW) && !(val & CR0_CD))
		cpu_raise(cpu, EXC_GP, 0);
	val = (val & CR0_VALID) | CR0_ET;	/* reserved bits are ignored */
	changed = old ^ val;
	trace_only(cpu, EVENT_CR, 0, val);
	set_paging(cpu, val, cpu->cr3, cpu->cr4, changed & (CR0_PG | CR0_CD | CR0_NW));
	if (changed & (CR0_PG | CR0_PE | CR0_WP))
		mmu_flush(cpu, true);
	if ((changed & CR0_PE) && !(val & CR0_PE))
		cpu_update_mode(cpu);		/* setting PE leaves CPL at 0 whatever CS holds */
	if (changed & CR0_AM)
		mmu_select(cpu);
}

void cpu_set_cr3(struct vcpu *cpu, uint32_t val)
{
	METER_ADD(cpu, cr3_loads, 1);
	METER_ADD(cpu, cr3_switches, val != cpu->cr3);
	trace_only(cpu, EVENT_CR, 3, val);
	set_paging(cpu, cpu->cr0, val, cpu->cr4, true);
	mmu_flush(cpu, false);
}

void cpu_set_cr4(struct vcpu *cpu, uint32_t val)
{
	uint32_t changed = cpu->cr4 ^ val;

	if (val & ~(uint32_t)CR4_VALID)
		cpu_raise(cpu, EXC_GP, 0);
	trace_only(cpu, EVENT_CR, 4, val);
	set_paging(cpu, cpu->cr0, cpu->cr3, val, changed & (CR4_PAE | CR4_PSE | CR4_PGE));
	if (changed & (CR4_PAE | CR4_PSE | CR4_PGE))
		mmu_flush(cpu, true);
	if (changed & CR4_TSD)
		cpu_tsc(cpu);			/* whom its line serves has changed */
}

/* NXE decides whether bit 63 of a PAE entry is NX or reserved: no translation survives it. */
void cpu_set_efer(struct vcpu *cpu, uint64_t val)
{
	if (cpu->efer == val)
		return;
	cpu->efer = val;
	mmu_flush(cpu, true);
}

void cpu_set_eflags(struct vcpu *cpu, uint32_t val, uint32_t mask)
{
	uint32_t old = cpu->eflags;

	mask &= EFLAGS_VALID;
	cpu->eflags = (cpu->eflags & ~mask) | (val & mask) | EFLAGS_FIXED1;
	if (mask & EFLAGS_RF) {
		cpu->rf_armed = false;
		/* RF lives for one instruction; nobody will see it if no breakpoint and no interrupt asks */
		if (!(cpu->dr[7] & 0xFF) && !cpu->intr_line && !cpu->nmi_pending)
			cpu->eflags &= ~EFLAGS_RF;
	}
	if ((old ^ cpu->eflags) & EFLAGS_AC)
		mmu_select(cpu);		/* alignment checks */
	if ((cpu->eflags & (EFLAGS_TF | EFLAGS_RF)) || (cpu->intr_line && (cpu->eflags & EFLAGS_IF)))
		cpu_attend(cpu, ATTN_EVENT);
}

void cpu_set_a20(struct vcpu *cpu, bool on)
{
	bool changed = cpu->a20 != on;

	cpu->a20 = on;
	if (cpu->phys)
		cpu->phys->a20_mask = on ? ~(gpa_t)0 : ~((gpa_t)1 << 20);
	if (!changed)
		return;
	mmu_flush(cpu, true);
	if (cpu->bus && cpu->bus->a20_changed)
		cpu->bus->a20_changed(cpu->bus_arg);
}
