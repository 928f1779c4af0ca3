/*
 * Debug registers DR0-DR7.					[SDM 3, "Debug, Branch Profile, TSC..."]
 *
 * DR4 and DR5 (aliases of DR6 and DR7, or #UD with CR4.DE) are the instruction's business.
 * Left out: last-branch records and DEBUGCTL.BTF.
 */
#include "cpu/descriptor.h"
#include "mmu/mmu.h"

void cpu_debug_trap(struct vcpu *cpu, uint32_t dr6_bits)
{
	if (dr6_bits == 0)
		return;
	cpu->dr6_pending |= dr6_bits;
	cpu_attend(cpu, ATTN_EVENT);
}

static bool breakpoint_sees(const struct vcpu *cpu, unsigned rw, enum dr7_rw kind)
{
	switch (kind) {
	case DR7_EXEC:
		return rw == DR7_EXEC;
	case DR7_WRITE:
		return rw == DR7_WRITE || rw == DR7_ACCESS;
	case DR7_ACCESS:
		return rw == DR7_ACCESS;
	default:
		return rw == DR7_IO && (cpu->cr4 & CR4_DE);
	}
}

uint32_t cpu_breakpoints_hit(const struct vcpu *cpu, enum dr7_rw kind, uint32_t addr, unsigned size)
{
	uint32_t hit = 0;

	for (unsigned i = 0; i < 4; i++) {
		unsigned control = cpu->dr[7] >> (16 + 4 * i) & 0xF;
		if (!(cpu->dr[7] >> 2 * i & 3) || !breakpoint_sees(cpu, control & 3, kind))
			continue;
		/* LEN 10b is undefined for 32-bit CPUs; the ones that know it take 8 bytes */
		uint32_t len = (const uint8_t[]){ 1, 2, 8, 4 }[control >> 2];
		if (kind == DR7_EXEC)
			len = 1;
		uint32_t start = cpu->dr[i] & ~(len - 1);
		if (start - addr < size || addr - start < len)
			hit |= BIT(i);
	}
	return hit;
}

bool cpu_breaks_in_page(const struct vcpu *cpu, lin_t lin)
{
	for (unsigned i = 0; i < 4; i++) {
		bool exec = (cpu->dr[7] >> 2 * i & 3) && (cpu->dr[7] >> (16 + 4 * i) & 3) == DR7_EXEC;
		if (exec && cpu->dr[i] >> PAGE_SHIFT == lin >> PAGE_SHIFT)
			return true;
	}
	return false;
}

uint32_t cpu_get_dr(struct vcpu *cpu, unsigned n)
{
	return cpu->dr[n == 4 || n == 5 ? n + 2 : n];
}

void cpu_set_dr(struct vcpu *cpu, unsigned n, uint32_t val)
{
	if (n == 4 || n == 5)
		n += 2;
	if (n == 6)
		val = (val & 0xE00F) | DR6_FIXED1;
	else if (n == 7)
		val = (val & 0xFFFF23FF) | DR7_FIXED1;
	cpu->dr[n] = val;
	if (n == 6)
		return;
	mmu_debug_changed(cpu);
	cpu_attend(cpu, ATTN_EVENT);		/* an instruction breakpoint may be on the next one */
}
