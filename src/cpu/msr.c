/*
 * Model-specific registers.				[SDM 4, "Model-Specific Registers (MSRs)"; SDM 3, "Memory Cache Control"]
 *
 * The ones that operating systems of this processor's time use. Everything else is #GP(0), as is
 * a reserved bit: a guest that probes gets a true answer. MTRRs and PAT are kept and checked but
 * change nothing, since every access here is coherent.
 * Left out: machine check banks (MCG_CAP says none), performance counters, DEBUGCTL's LBR and BTF.
 */
#include "cpu/cpu.h"
#include "cpu/cpuid.h"

enum {
	MSR_TSC = 0x10, MSR_PLATFORM_ID = 0x17, MSR_APIC_BASE = 0x1B, MSR_TSC_ADJUST = 0x3B,
	MSR_BIOS_UPDT_TRIG = 0x79, MSR_BIOS_SIGN_ID = 0x8B, MSR_MTRRCAP = 0xFE, MSR_ARCH_CAPABILITIES = 0x10A,
	MSR_SYSENTER_CS = 0x174, MSR_SYSENTER_ESP = 0x175, MSR_SYSENTER_EIP = 0x176,
	MSR_MCG_CAP = 0x179, MSR_MCG_STATUS = 0x17A, MSR_MISC_ENABLE = 0x1A0, MSR_DEBUGCTL = 0x1D9,
	MSR_MTRR_PHYS = 0x200, MSR_MTRR_PHYS_END = MSR_MTRR_PHYS + 2 * CPU_MTRR_COUNT,
	MSR_MTRR_FIX64K = 0x250, MSR_MTRR_FIX16K = 0x258, MSR_MTRR_FIX4K = 0x268, MSR_MTRR_FIX4K_END = 0x270,
	MSR_PAT = 0x277, MSR_MTRR_DEF_TYPE = 0x2FF,
};
#define MSR_EFER	0xC0000080u

#define MTRRCAP		(CPU_MTRR_COUNT | BIT(8) /* fixed ranges */ | BIT(10) /* WC */)
#define PAT_RESET	0x0007040600070406ull
/* Supervisor pages never exist in the window that user code runs in, and the checked path asks first. */
#define RDCL_NO		BIT(0)
#define PHYS_MASK	((1ull << CPU_PHYS_BITS) - 1)
#define APIC_BASE_VALID	((PHYS_MASK & ~0xFFFull) | BIT(8) /* BSP */ | BIT(11) /* enable */)
#define MISC_WRITABLE	(MISC_FAST_STRING | MISC_LIMIT_CPUID | MISC_XD_DISABLE)

/* A line over the host's counter is of no use any more, nor how far it ran ahead. */
static void tsc_move(struct vcpu *cpu, uint64_t by)
{
	cpu->tsc_offset += by;
	cpu->tsc_line = (struct tsc_line){ .wanted = cpu->tsc_line.wanted };
}

/* By how much that moved it. */
static uint64_t tsc_set(struct vcpu *cpu, uint64_t val)
{
	tsc_move(cpu, 0);
	uint64_t by = val - cpu_tsc(cpu);
	tsc_move(cpu, by);
	return by;
}

void msr_reset(struct vcpu *cpu)
{
	cpu->efer = 0;
	cpu->sysenter_cs = cpu->sysenter_esp = cpu->sysenter_eip = 0;
	cpu->pat = PAT_RESET;
	cpu->misc_enable = MISC_FAST_STRING | (cpu->model.limited ? MISC_LIMIT_CPUID : 0);
	cpu->mtrr_def_type = 0;
	for (unsigned i = 0; i < ARRAY_LEN(cpu->mtrr_phys); i++)
		cpu->mtrr_phys[i] = 0;
	for (unsigned i = 0; i < ARRAY_LEN(cpu->mtrr_fix); i++)
		cpu->mtrr_fix[i] = 0;
	cpu->tsc_adjust = 0;
	tsc_set(cpu, 0);
}

/* Index into mtrr_fix[] of a fixed-range MTRR, or -1. */
static int mtrr_fixed(uint32_t index)
{
	if (index == MSR_MTRR_FIX64K)
		return 0;
	if (index == MSR_MTRR_FIX16K || index == MSR_MTRR_FIX16K + 1)
		return 1 + (index - MSR_MTRR_FIX16K);
	if (index >= MSR_MTRR_FIX4K && index < MSR_MTRR_FIX4K_END)
		return 3 + (index - MSR_MTRR_FIX4K);
	return -1;
}

uint64_t cpu_rdmsr(struct vcpu *cpu, uint32_t index)
{
	switch (index) {
	case MSR_TSC:
		return cpu_tsc(cpu);
	case MSR_TSC_ADJUST:
		return cpu->tsc_adjust;
	case MSR_ARCH_CAPABILITIES:
		return RDCL_NO;
	case MSR_PLATFORM_ID:
	case MSR_BIOS_SIGN_ID:			/* no microcode update is loaded */
	case MSR_MCG_CAP:			/* no banks */
	case MSR_MCG_STATUS:
	case MSR_DEBUGCTL:
		return 0;
	case MSR_APIC_BASE:
		if (cpu_has_apic(cpu))
			return cpu->bus->apic_base(cpu->bus_arg);
		break;
	case MSR_MTRRCAP:
		return MTRRCAP;
	case MSR_SYSENTER_CS:
		return cpu->sysenter_cs;
	case MSR_SYSENTER_ESP:
		return cpu->sysenter_esp;
	case MSR_SYSENTER_EIP:
		return cpu->sysenter_eip;
	case MSR_MISC_ENABLE:
		return cpu->misc_enable;
	case MSR_PAT:
		return cpu->pat;
	case MSR_MTRR_DEF_TYPE:
		return cpu->mtrr_def_type;
	case MSR_EFER:
		if (cpu_has_nx(cpu))
			return cpu->efer;
		break;
	default:
		if (index >= MSR_MTRR_PHYS && index < MSR_MTRR_PHYS_END)
			return cpu->mtrr_phys[index - MSR_MTRR_PHYS];
		if (mtrr_fixed(index) >= 0)
			return cpu->mtrr_fix[mtrr_fixed(index)];
	}
	cpu_raise(cpu, EXC_GP, 0);
}

static void need(struct vcpu *cpu, bool ok)
{
	if (!ok)
		cpu_raise(cpu, EXC_GP, 0);
}

/* UC, WC, WT, WP, WB; PAT has UC- (7) besides. */
static bool memory_type(uint8_t type, bool pat)
{
	return type <= 1 || (type >= 4 && type <= 6) || (pat && type == 7);
}

static bool memory_types(uint64_t val, bool pat)
{
	for (unsigned i = 0; i < 8; i++) {
		if (!memory_type(val >> 8 * i, pat))
			return false;
	}
	return true;
}

static void write_misc_enable(struct vcpu *cpu, uint64_t val)
{
	need(cpu, ((val ^ cpu->misc_enable) & ~MISC_WRITABLE) == 0);
	cpu->misc_enable = val;
	if (!cpu_has_nx(cpu))
		cpu_set_efer(cpu, 0);
}

static void write_mtrr(struct vcpu *cpu, uint32_t index, uint64_t val)
{
	if (index >= MSR_MTRR_PHYS && index < MSR_MTRR_PHYS_END) {
		if (index & 1)			/* mask: V is bit 11 */
			need(cpu, (val & (~PHYS_MASK | 0x7FF)) == 0);
		else
			need(cpu, (val & (~PHYS_MASK | 0xF00)) == 0 && memory_type(val, false));
		cpu->mtrr_phys[index - MSR_MTRR_PHYS] = val;
		return;
	}
	need(cpu, mtrr_fixed(index) >= 0 && memory_types(val, false));
	cpu->mtrr_fix[mtrr_fixed(index)] = val;
}

void cpu_wrmsr(struct vcpu *cpu, uint32_t index, uint64_t val)
{
	switch (index) {
	case MSR_TSC:				/* shows in TSC_ADJUST too  [SDM 3, "IA32_TSC_ADJUST Register Support"] */
		cpu->tsc_adjust += tsc_set(cpu, val);
		break;
	case MSR_TSC_ADJUST:
		tsc_move(cpu, val - cpu->tsc_adjust);
		cpu->tsc_adjust = val;
		break;
	case MSR_APIC_BASE:
		need(cpu, cpu_has_apic(cpu) && (val & ~APIC_BASE_VALID) == 0);
		cpu->bus->set_apic_base(cpu->bus_arg, val);
		break;
	case MSR_BIOS_UPDT_TRIG:		/* an update for another processor is not taken: the revision stays 0 */
	case MSR_BIOS_SIGN_ID:			/* software clears it before CPUID loads the revision */
		break;
	case MSR_MCG_STATUS:
	case MSR_DEBUGCTL:
		need(cpu, val == 0);
		break;
	case MSR_SYSENTER_CS:
		cpu->sysenter_cs = val;
		break;
	case MSR_SYSENTER_ESP:
		cpu->sysenter_esp = val;
		break;
	case MSR_SYSENTER_EIP:
		cpu->sysenter_eip = val;
		break;
	case MSR_MISC_ENABLE:
		write_misc_enable(cpu, val);
		break;
	case MSR_PAT:
		need(cpu, memory_types(val, true));
		cpu->pat = val;
		break;
	case MSR_MTRR_DEF_TYPE:
		need(cpu, (val & ~0xCFFull) == 0 && memory_type(val, false));
		cpu->mtrr_def_type = val;
		break;
	case MSR_EFER:
		need(cpu, cpu_has_nx(cpu) && (val & ~(uint64_t)EFER_NXE) == 0);
		cpu_set_efer(cpu, val);
		break;
	default:
		write_mtrr(cpu, index, val);
	}
}
