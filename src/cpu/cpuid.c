/*
 * CPUID: family 6 model 13 as far as it is implemented, and honest about being plex86.
 *							[SDM 2, "CPUID"]
 *
 * Vendor "GenuineIntel", because guests choose code (SYSENTER, MTRRs, microcode MSRs) by it, and
 * what runs here follows Intel's manual. Not announced, because not there: MCE/MCA, PSE-36, PSN,
 * debug store, thermal control, SSE3, HT, performance counters. ECX bit 31 says hypervisor; leaf
 * 0x40000000 says which.
 *
 * The leaves of later processors that save a guest from measuring and guarding against what is not
 * so here: the clocks' frequencies (15H), that TSC and APIC timer never stop or change their pace
 * (6, 80000007H), and that user code cannot read supervisor pages past their protection (7, and
 * IA32_ARCH_CAPABILITIES). An older model (model.h) shows less of it. Systems that cannot deal with a leaf above 3 set MISC_ENABLE's limit, or
 * are given -cpu pentium4, which has it set from the start.
 */
#include "cpu/cpuid.h"

#include <string.h>

#include "cpu/cpu.h"

enum {					/* leaf 1, EDX */
	F_FPU = BIT(0), F_VME = BIT(1), F_DE = BIT(2), F_PSE = BIT(3), F_TSC = BIT(4), F_MSR = BIT(5),
	F_PAE = BIT(6), F_CX8 = BIT(8), F_APIC = BIT(9), F_SEP = BIT(11), F_MTRR = BIT(12), F_PGE = BIT(13),
	F_CMOV = BIT(15), F_PAT = BIT(16), F_CLFSH = BIT(19), F_MMX = BIT(23), F_FXSR = BIT(24),
	F_SSE = BIT(25), F_SSE2 = BIT(26),
};
#define FEATURES (F_FPU | F_VME | F_DE | F_PSE | F_TSC | F_MSR | F_PAE | F_CX8 | F_SEP | F_MTRR | F_PGE | F_CMOV | \
    F_PAT | F_CLFSH | F_MMX | F_FXSR | F_SSE | F_SSE2)
#define F_HYPERVISOR	BIT(31)		/* leaf 1, ECX */
#define F_NX		BIT(20)		/* leaf 0x80000001, EDX */
#define F_INVARIANT_TSC	BIT(8)		/* leaf 0x80000007, EDX */
#define F_ARAT		BIT(2)		/* leaf 6, EAX: the APIC timer runs in every sleep state */
#define F_TSC_ADJUST	BIT(1)		/* leaf 7, EBX */
#define F_ARCH_CAPABILITIES BIT(29)	/* leaf 7, EDX */

#define LEAF_MAX	0x16
#define LEAF_MAX_LIMITED 2		/* under the 3 that old systems can deal with */
#define LEAF_HYPERVISOR	0x40000000
#define LEAF_EXTENDED	0x80000000
#define LEAF_EXT_MAX	0x80000008

static const char brand[48] = "plex86 virtual IA-32 processor";

/* Twelve characters, in the order of the registers given. */
static void put_name(const char name[12], uint32_t *a, uint32_t *b, uint32_t *c)
{
	memcpy(a, name, 4);
	memcpy(b, name + 4, 4);
	memcpy(c, name + 8, 4);
}

static uint32_t leaf_max(const struct vcpu *cpu)
{
	uint32_t max = cpu->misc_enable & MISC_LIMIT_CPUID ? LEAF_MAX_LIMITED : LEAF_MAX;

	return cpu->model.leaves ? MIN(max, cpu->model.leaves) : max;
}

/* The caches of leaf 2 again: type, level, ways, sets.		[SDM 2, "CPUID", "INPUT EAX = 04H"] */
static void cpuid_cache(uint32_t subleaf, uint32_t out[4])
{
	static const struct { uint8_t type, level, ways; uint16_t sets; } cache[] = {
		{ 1, 1, 8, 64 }, { 2, 1, 8, 64 }, { 3, 2, 8, 4096 },
	};

	if (subleaf >= ARRAY_LEN(cache))
		return;
	out[0] = cache[subleaf].type | cache[subleaf].level << 5 | BIT(8);	/* self-initializing */
	out[1] = (64 - 1) | (uint32_t)(cache[subleaf].ways - 1) << 22;
	out[2] = cache[subleaf].sets - 1u;
}

static void cpuid_basic(const struct vcpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	switch (leaf) {
	case 0:
		out[0] = leaf_max(cpu);
		put_name("GenuineIntel", &out[1], &out[3], &out[2]);
		break;
	case 1:
		out[0] = cpu->model.signature ? cpu->model.signature : CPUID_SIGNATURE;
		out[1] = 8 << 8;		/* CLFLUSH: 8 quadwords; one logical processor, APIC ID 0 */
		out[2] = F_HYPERVISOR;
		out[3] = (FEATURES | (cpu_has_apic(cpu) ? F_APIC : 0)) & ~cpu->model.hidden;
		if (cpu->model.hidden & F_CLFSH)
			out[1] = 0;
		break;
	case 4:
		cpuid_cache(subleaf, out);
		break;
	case 6:
		out[0] = F_ARAT;
		break;
	case 7:
		if (subleaf == 0) {
			out[1] = F_TSC_ADJUST;
			out[3] = F_ARCH_CAPABILITIES;
		}
		break;
	case 0x15:				/* TSC = crystal * EBX / EAX; the crystal feeds the APIC timer */
		if (cpu->tsc_hz) {
			out[0] = CPU_CRYSTAL_HZ / 1000000;
			out[1] = (uint32_t)(cpu->tsc_hz / 1000000);
			out[2] = CPU_CRYSTAL_HZ;
		}
		break;
	case 0x16:				/* base, maximum and bus frequency in MHz */
		out[0] = out[1] = (uint32_t)(cpu->tsc_hz / 1000000);
		out[2] = cpu->tsc_hz ? 100 : 0;
		break;
	case 2:
		/* One descriptor byte each: L1I 32 KiB (30), L1D 32 KiB (2C), L2 2 MiB (7D), all 64-byte lines:
		 * for guests that size their loops by it. No TLB descriptors: ours is like no size they know. */
		out[0] = 0x00002C01;
		out[3] = 0x00307D00;
		break;
	}
}

static void cpuid_extended(const struct vcpu *cpu, uint32_t leaf, uint32_t out[4])
{
	switch (leaf - LEAF_EXTENDED) {
	case 0:
		out[0] = LEAF_EXT_MAX;
		break;
	case 1:
		out[3] = cpu_has_nx(cpu) ? F_NX : 0;
		break;
	case 2: case 3: case 4:
		memcpy(out, brand + 16 * (leaf - LEAF_EXTENDED - 2), 16);
		break;
	case 7:
		out[3] = F_INVARIANT_TSC;
		break;
	case 6:
		out[2] = 2048 << 16 | 6 << 12 | 64;	/* L2 as in leaf 2: 2 MiB, 8 ways, 64-byte lines */
		break;
	case 8:
		out[0] = 32 << 8 | CPU_PHYS_BITS;
		break;
	}
}

void cpu_cpuid(struct vcpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	memset(out, 0, 4 * sizeof(*out));
	if (leaf == LEAF_HYPERVISOR) {
		out[0] = LEAF_HYPERVISOR;
		put_name("plex86plex86", &out[1], &out[2], &out[3]);
	} else if (leaf >= LEAF_EXTENDED && leaf <= LEAF_EXT_MAX && !cpu->model.no_extended) {
		cpuid_extended(cpu, leaf, out);
	} else if (leaf > LEAF_HYPERVISOR && leaf < LEAF_HYPERVISOR + 0x10000) {
		return;				/* the hypervisor range ends after its first leaf: zeros */
	} else {
		/* past the end: the data of the highest basic leaf ("INPUT EAX = ...") */
		cpuid_basic(cpu, MIN(leaf, leaf_max(cpu)), subleaf, out);
	}
}
