/*
 * BT BTS BTR BTC BSF BSR.						[SDM 2]
 */
#include "emulate/handlers.h"
#include "emulate/operand.h"

#define DEFINE_HOST(op, bits)								\
static uint##bits##_t op##_##bits(struct vcpu *cpu, uint##bits##_t a, uint##bits##_t n)	\
{											\
	uint32_t ax = flags_get(cpu);							\
	__asm__(FLAGS_LOAD #op SUFFIX##bits " %[n], %[a]" FLAGS_SAVE			\
	    : [a] "+r" (a), "+&a" (ax) : [n] "r" (n) : "cc");				\
	flags_set(cpu, ax);								\
	return a;									\
}
#define SIZES(op) DEFINE_HOST(op, 16) DEFINE_HOST(op, 32)
SIZES(bt)
SIZES(bts)
SIZES(btr)
SIZES(btc)

static uint32_t bit_op(struct vcpu *cpu, const struct insn *in, uint32_t v, uint32_t n)
{
	if (in->opnd[0].size == 2) {
		switch (in->name) {
		case I_BT: return bt_16(cpu, (uint16_t)v, (uint16_t)n);
		case I_BTS: return bts_16(cpu, (uint16_t)v, (uint16_t)n);
		case I_BTR: return btr_16(cpu, (uint16_t)v, (uint16_t)n);
		default: return btc_16(cpu, (uint16_t)v, (uint16_t)n);
		}
	}
	switch (in->name) {
	case I_BT: return bt_32(cpu, v, n);
	case I_BTS: return bts_32(cpu, v, n);
	case I_BTR: return btr_32(cpu, v, n);
	default: return btc_32(cpu, v, n);
	}
}

/*
 * A register bit offset into memory is signed and reaches +-2^31 bits; the operand is the naturally
 * sized word that holds the bit ("Bit(BitBase, BitOffset)").
 */
static uint32_t bit_ea(const struct vcpu *cpu, const struct insn *in)
{
	uint32_t ea = insn_ea(cpu, in);

	if (in->opnd[1].kind != OPND_REG)
		return ea;
	if (in->opnd[0].size == 2)
		ea += (uint32_t)((int16_t)cpu->gpr[in->opnd[1].reg] >> 4) * 2;
	else
		ea += (uint32_t)((int32_t)cpu->gpr[in->opnd[1].reg] >> 5) * 4;
	return in->adsize == 2 ? (uint16_t)ea : ea;
}

static void bit_memory(struct vcpu *cpu, const struct insn *in)
{
	uint32_t ea = bit_ea(cpu, in), n = operand_read(cpu, in, 1);
	unsigned size = in->opnd[0].size;
	struct rmw m;

	if (in->name == I_BT) {
		bit_op(cpu, in, size == 2 ? mem_read16(cpu, in->seg, ea) : mem_read32(cpu, in->seg, ea), n);
	} else if (size == 2) {
		uint32_t v = rmw_read16(cpu, &m, in->seg, ea);
		rmw_write16(cpu, &m, (uint16_t)bit_op(cpu, in, v, n));
	} else {
		uint32_t v = rmw_read32(cpu, &m, in->seg, ea);
		rmw_write32(cpu, &m, bit_op(cpu, in, v, n));
	}
}

static void exec_bit(struct vcpu *cpu, const struct insn *in)
{
	if (in->opnd[0].kind == OPND_MEM)
		bit_memory(cpu, in);
	else
		operand_write(cpu, in, 0, bit_op(cpu, in, operand_read(cpu, in, 0), operand_read(cpu, in, 1)));
}

void exec_BT(struct vcpu *cpu, const struct insn *in) { exec_bit(cpu, in); }
void exec_BTS(struct vcpu *cpu, const struct insn *in) { exec_bit(cpu, in); }
void exec_BTR(struct vcpu *cpu, const struct insn *in) { exec_bit(cpu, in); }
void exec_BTC(struct vcpu *cpu, const struct insn *in) { exec_bit(cpu, in); }

/* Source 0: ZF, and the destination is left as it was by every CPU so far, as the host does. */
#define DEFINE_SCAN(op, bits)								\
static uint##bits##_t op##_##bits(struct vcpu *cpu, uint##bits##_t d, uint##bits##_t v)	\
{											\
	uint32_t ax = flags_get(cpu);							\
	__asm__(FLAGS_LOAD #op SUFFIX##bits " %[v], %[d]" FLAGS_SAVE			\
	    : [d] "+r" (d), "+&a" (ax) : [v] "r" (v) : "cc");				\
	flags_set(cpu, ax);								\
	return d;									\
}
DEFINE_SCAN(bsf, 16)
DEFINE_SCAN(bsf, 32)
DEFINE_SCAN(bsr, 16)
DEFINE_SCAN(bsr, 32)

void exec_BSF(struct vcpu *cpu, const struct insn *in)
{
	uint32_t v = operand_read(cpu, in, 1), d = operand_read(cpu, in, 0);

	operand_write(cpu, in, 0, in->opnd[0].size == 2 ? bsf_16(cpu, (uint16_t)d, (uint16_t)v) : bsf_32(cpu, d, v));
}

void exec_BSR(struct vcpu *cpu, const struct insn *in)
{
	uint32_t v = operand_read(cpu, in, 1), d = operand_read(cpu, in, 0);

	operand_write(cpu, in, 0, in->opnd[0].size == 2 ? bsr_16(cpu, (uint16_t)d, (uint16_t)v) : bsr_32(cpu, d, v));
}
