/*
 * AAA AAS AAM AAD DAA DAS.						[SDM 2, "Operation" of each]
 *
 * The host cannot run these in 64-bit mode. The flags the SDM leaves undefined are as Intel's CPUs
 * have them: AAD's are those of its addition; AAA, AAS, DAA and DAS clear O, AAM clears O, A and C.
 * The host oracle (tests/insn) compares them.
 */
#include "emulate/handlers.h"
#include "emulate/operand.h"

static void set_flags(struct vcpu *cpu, uint32_t mask, uint32_t val)
{
	cpu->eflags = (cpu->eflags & ~mask) | (val & mask);
}

static uint32_t szp(uint8_t v)
{
	return (v & 0x80) | (v == 0 ? EFLAGS_ZF : 0) | (__builtin_parity(v) ? 0 : EFLAGS_PF);
}

void exec_DAA(struct vcpu *cpu, const struct insn *in)
{
	uint8_t old = reg_read8(cpu, REG_AL), al = old;
	bool carry = cpu->eflags & EFLAGS_CF;
	uint32_t f = 0;

	if ((old & 15) > 9 || cpu->eflags & EFLAGS_AF) {
		al = (uint8_t)(al + 6);
		f |= EFLAGS_AF;
	}
	if (old > 0x99 || carry) {
		al = (uint8_t)(al + 0x60);
		f |= EFLAGS_CF;
	}
	reg_write8(cpu, REG_AL, al);
	set_flags(cpu, EFLAGS_ARITH, f | szp(al));
}

void exec_DAS(struct vcpu *cpu, const struct insn *in)
{
	uint8_t old = reg_read8(cpu, REG_AL), al = old;
	bool carry = cpu->eflags & EFLAGS_CF;
	uint32_t f = 0;

	if ((old & 15) > 9 || cpu->eflags & EFLAGS_AF) {
		if (carry || old < 6)
			f |= EFLAGS_CF;
		al = (uint8_t)(al - 6);
		f |= EFLAGS_AF;
	}
	if (old > 0x99 || carry) {
		al = (uint8_t)(al - 0x60);
		f |= EFLAGS_CF;
	}
	reg_write8(cpu, REG_AL, al);
	set_flags(cpu, EFLAGS_ARITH, f | szp(al));
}

static void ascii_adjust(struct vcpu *cpu, uint16_t correction)
{
	uint16_t ax = reg_read16(cpu, REG_EAX);
	uint32_t f = 0;

	if ((ax & 15) > 9 || cpu->eflags & EFLAGS_AF) {
		ax = (uint16_t)(ax + correction);
		f = EFLAGS_AF | EFLAGS_CF;
	}
	ax &= 0xFF0F;
	reg_write16(cpu, REG_EAX, ax);
	set_flags(cpu, EFLAGS_ARITH, f | szp((uint8_t)ax));
}

void exec_AAA(struct vcpu *cpu, const struct insn *in)
{
	ascii_adjust(cpu, 0x106);
}

void exec_AAS(struct vcpu *cpu, const struct insn *in)
{
	ascii_adjust(cpu, (uint16_t)-0x106);
}

void exec_AAM(struct vcpu *cpu, const struct insn *in)
{
	uint8_t al = reg_read8(cpu, REG_AL), base = (uint8_t)in->imm;

	if (base == 0)
		cpu_raise(cpu, EXC_DE, 0);
	reg_write16(cpu, REG_EAX, (uint16_t)((al / base) << 8 | al % base));
	set_flags(cpu, EFLAGS_ARITH, szp(al % base));
}

void exec_AAD(struct vcpu *cpu, const struct insn *in)
{
	uint8_t al = reg_read8(cpu, REG_AL), tens = (uint8_t)(reg_read8(cpu, REG_AH) * in->imm);
	uint32_t ax;

	__asm__("addb %[t], %[al]" FLAGS_SAVE : [al] "+q" (al), "=&a" (ax) : [t] "q" (tens) : "cc");
	reg_write16(cpu, REG_EAX, al);
	flags_set(cpu, ax);
}
