/*
 * x87: the frequent instructions, on two or three host instructions each.
 *							[SDM 1, "Programming with the x87 FPU"]
 *
 * Only the operands are loaded, all exceptions masked, into an otherwise empty host FPU. If any
 * flag but PE comes back, if PE is not masked in the guest, or if a register is empty or occupied
 * that should not be, nothing has been changed yet and fpu_run() does the instruction again, exactly.
 *
 * The host's PE is left set (FNCLEX costs 26 cycles) as long as the guest's is set and masked,
 * for then nobody can tell; fpu_host_pe remembers that it may be.
 */
#include "emulate/fpu.h"

#define X87_CLOBBER "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)"
/* Intel syntax, for in AT&T's the names of FSUBP and FSUBRP are exchanged. */
#define INTEL(s) ".intel_syntax noprefix\n\t" s "\n\t.att_syntax prefix\n\t"

struct m80 { uint64_t lo; uint16_t hi; };	/* where FSTP puts a result */

enum source { REAL10, REAL4, REAL8, INT2, INT4, ZERO };

static inline void host_fnclex(struct vcpu *cpu)
{
	asm volatile("fnclex");
	cpu->fpu_host_pe = false;
}

static inline void host_begin(struct vcpu *cpu)
{
	if (unlikely(cpu->fpu_host_pe && !(cpu->fx.fsw & cpu->fx.fcw & FSW_PE)))
		host_fnclex(cpu);
	if (unlikely((cpu->fx.fcw & 0xF00) != (FCW_DEFAULT & 0xF00))) {
		const uint16_t cw = cpu->fx.fcw | FSW_EXC;
		asm volatile("fldcw %0" : : "m"(cw));
	}
}

/* sw: after the instruction. False: it has to be done again by fpu_run(). */
static inline bool host_end(struct vcpu *cpu, uint16_t sw, uint16_t conditions)
{
	struct fxstate *fx = &cpu->fx;

	if (unlikely((fx->fcw & 0xF00) != (FCW_DEFAULT & 0xF00))) {
		const uint16_t cw = FCW_DEFAULT;
		asm volatile("fldcw %0" : : "m"(cw));
	}
	if (unlikely(!(fx->fcw & FSW_UE))) {	/* a tiny but exact result sets no flag while masked */
		host_fnclex(cpu);
		return false;
	}
	if (sw & FSW_EXC) {
		cpu->fpu_host_pe = true;
		if (unlikely(sw & (~fx->fcw | (FSW_EXC & ~FSW_PE)) & FSW_EXC)) {
			host_fnclex(cpu);
			return false;
		}
	}
	fx->fsw = (fx->fsw & ~conditions) | (sw & (conditions | FSW_PE));
	return true;
}

static inline fpu_slot slot_of(const struct m80 *m)
{
	return (fpu_slot){ (long long)m->lo, m->hi };
}

static inline bool can_push(const struct fxstate *fx)
{
	return fpu_empty(fx, 7);
}

static inline void push(struct fxstate *fx, fpu_slot v)
{
	fpu_slot *st = fpu_st(fx, 0);
	unsigned top = (fpu_top(fx) - 1) & 7;

	/* through registers: a loop would become a call of memmove() */
	fpu_slot s0 = st[0], s1 = st[1], s2 = st[2], s3 = st[3], s4 = st[4], s5 = st[5], s6 = st[6];
	st[0] = v, st[1] = s0, st[2] = s1, st[3] = s2, st[4] = s3, st[5] = s4, st[6] = s5, st[7] = s6;
	fx->ftw |= 1 << top;
	fx->fsw = (fx->fsw & ~(FSW_TOP | FSW_C1)) | top << 11;
}

static inline void pop(struct fxstate *fx)
{
	fpu_slot *st = fpu_st(fx, 0);
	fpu_slot s0 = st[0], s1 = st[1], s2 = st[2], s3 = st[3], s4 = st[4], s5 = st[5], s6 = st[6], s7 = st[7];
	unsigned top = fpu_top(fx);

	/* the popped register keeps its contents */
	st[0] = s1, st[1] = s2, st[2] = s3, st[3] = s4, st[4] = s5, st[5] = s6, st[6] = s7, st[7] = s0;
	fx->ftw &= ~(1 << top);
	fpu_set_top(fx, top + 1);
}

/* The memory operand of D8..DF arithmetic: its bytes to buf, its type returned. */
static inline enum source read_source(struct vcpu *cpu, const struct insn *in, void *buf)
{
	const uint32_t off = insn_ea(cpu, in);
	uint64_t v;
	enum source kind;

	switch (in->opcode & 6) {
	case 0:
		v = mem_read32(cpu, in->seg, off), kind = REAL4;
		break;
	case 2:
		v = mem_read32(cpu, in->seg, off), kind = INT4;
		break;
	case 4:
		v = mem_read64(cpu, in->seg, off), kind = REAL8;
		break;
	default:
		v = mem_read16(cpu, in->seg, off), kind = INT2;
	}
	memcpy(buf, &v, 8);
	return kind;
}

/* --- arithmetic: r = a op b --- */

#define HOST_ARITH(op, load)								\
	asm volatile("fldt %2\n\t" load "\n\t" INTEL(op "p st(1), st")			\
	    "fnstsw %%ax\n\tfstpt %1"							\
	    : "=&a"(sw), "=m"(*r) : "m"(*(const struct m80 *)a), "m"(*(const struct m80 *)b) : X87_CLOBBER)

#define DEFINE_ARITH(NAME, op)								\
static inline uint16_t host_##op(struct m80 *r, const void *a, const void *b, enum source kind) \
{											\
	uint16_t sw;									\
	switch (kind) {									\
	case REAL4: HOST_ARITH(#op, "flds %3"); break;					\
	case REAL8: HOST_ARITH(#op, "fldl %3"); break;					\
	case INT2: HOST_ARITH(#op, "filds %3"); break;					\
	case INT4: HOST_ARITH(#op, "fildl %3"); break;					\
	default: HOST_ARITH(#op, "fldt %3");						\
	}										\
	return sw;									\
}											\
static void arith_mem_##op(struct vcpu *cpu, const struct insn *in)			\
{											\
	struct fxstate *fx = &cpu->fx;							\
	struct m80 r;									\
	_Alignas(16) uint8_t buf[16];								\
	enum source kind = read_source(cpu, in, buf);					\
	if (likely(!fpu_empty(fx, 0))) {						\
		host_begin(cpu);							\
		uint16_t sw = host_##op(&r, fx->st[0], buf, kind);			\
		if (likely(host_end(cpu, sw, FSW_C1))) {				\
			*fpu_st(fx, 0) = slot_of(&r);					\
			fpu_record(cpu, in);						\
			return;								\
		}									\
	}										\
	fpu_run(cpu, in, buf);								\
}											\
static inline void arith_reg_##op(struct vcpu *cpu, const struct insn *in, bool popping)	\
{											\
	struct fxstate *fx = &cpu->fx;							\
	struct m80 r;									\
	unsigned i = in->modrm & 7, dst = in->opcode & 4 ? i : 0;			\
	if (likely(!fpu_empty(fx, 0) && !fpu_empty(fx, i))) {				\
		host_begin(cpu);							\
		uint16_t sw = host_##op(&r, fx->st[dst], fx->st[dst ^ i], REAL10);	\
		if (likely(host_end(cpu, sw, FSW_C1))) {				\
			*fpu_st(fx, dst) = slot_of(&r);					\
			if (popping)							\
				pop(fx);						\
			fpu_record(cpu, in);						\
			return;								\
		}									\
	}										\
	fpu_run(cpu, in, NULL);								\
}											\
void exec_F##NAME(struct vcpu *cpu, const struct insn *in)				\
{											\
	if (!fpu_wait(cpu))								\
		return;									\
	if (mem_form(in))								\
		arith_mem_##op(cpu, in);						\
	else										\
		arith_reg_##op(cpu, in, false);						\
}											\
void exec_F##NAME##P(struct vcpu *cpu, const struct insn *in)				\
{											\
	if (fpu_wait(cpu))								\
		arith_reg_##op(cpu, in, true);						\
}											\
void exec_FI##NAME(struct vcpu *cpu, const struct insn *in)				\
{											\
	if (fpu_wait(cpu))								\
		arith_mem_##op(cpu, in);						\
}

DEFINE_ARITH(ADD, fadd)
DEFINE_ARITH(MUL, fmul)
DEFINE_ARITH(SUB, fsub)
DEFINE_ARITH(SUBR, fsubr)
DEFINE_ARITH(DIV, fdiv)
DEFINE_ARITH(DIVR, fdivr)

/* --- comparisons --- */

#define HOST_COMPARE(op, load)								\
	asm volatile(load "\n\tfldt %1\n\t" op "\n\tfnstsw %%ax"			\
	    : "=a"(sw) : "m"(*(const struct m80 *)a), "m"(*(const struct m80 *)b) : X87_CLOBBER)

static inline uint16_t host_compare(const void *a, const void *b, enum source kind, bool unordered)
{
	uint16_t sw;

	switch (kind) {
	case REAL4: HOST_COMPARE("fcompp", "flds %2"); break;
	case REAL8: HOST_COMPARE("fcompp", "fldl %2"); break;
	case INT2: HOST_COMPARE("fcompp", "filds %2"); break;
	case INT4: HOST_COMPARE("fcompp", "fildl %2"); break;
	case ZERO: HOST_COMPARE("fcompp", "fldz"); break;
	default:
		if (unordered)
			HOST_COMPARE("fucompp", "fldt %2");
		else
			HOST_COMPARE("fcompp", "fldt %2");
	}
	return sw;
}

/* ST(0) with b, which is ST(i) or memory; ok: neither is empty. */
static inline void compare(struct vcpu *cpu, const struct insn *in, bool ok, void *b, enum source kind,
    bool unordered, unsigned pops)
{
	struct fxstate *fx = &cpu->fx;

	if (likely(ok && !fpu_empty(fx, 0))) {
		host_begin(cpu);
		uint16_t sw = host_compare(fx->st[0], b, kind, unordered);
		if (likely(host_end(cpu, sw, FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3))) {
			while (pops-- != 0)
				pop(fx);
			fpu_record(cpu, in);
			return;
		}
	}
	fpu_run(cpu, in, b);
}

static inline void compare_st(struct vcpu *cpu, const struct insn *in, bool unordered, unsigned pops)
{
	unsigned i = in->modrm & 7;

	if (fpu_wait(cpu))
		compare(cpu, in, !fpu_empty(&cpu->fx, i), cpu->fx.st[i], REAL10, unordered, pops);
}

static inline void compare_any(struct vcpu *cpu, const struct insn *in, unsigned pops)
{
	_Alignas(16) uint8_t buf[16];

	if (!mem_form(in)) {
		compare_st(cpu, in, false, pops);
	} else if (fpu_wait(cpu)) {
		enum source kind = read_source(cpu, in, buf);
		compare(cpu, in, true, buf, kind, false, pops);
	}
}

void exec_FCOM(struct vcpu *cpu, const struct insn *in) { compare_any(cpu, in, 0); }
void exec_FCOMP(struct vcpu *cpu, const struct insn *in) { compare_any(cpu, in, 1); }
void exec_FICOM(struct vcpu *cpu, const struct insn *in) { compare_any(cpu, in, 0); }
void exec_FICOMP(struct vcpu *cpu, const struct insn *in) { compare_any(cpu, in, 1); }
void exec_FCOMPP(struct vcpu *cpu, const struct insn *in) { compare_st(cpu, in, false, 2); }
void exec_FUCOM(struct vcpu *cpu, const struct insn *in) { compare_st(cpu, in, true, 0); }
void exec_FUCOMP(struct vcpu *cpu, const struct insn *in) { compare_st(cpu, in, true, 1); }
void exec_FUCOMPP(struct vcpu *cpu, const struct insn *in) { compare_st(cpu, in, true, 2); }

void exec_FTST(struct vcpu *cpu, const struct insn *in)
{
	if (fpu_wait(cpu))
		compare(cpu, in, true, cpu->fx.st[0], ZERO, false, 0);
}

/* FCOMI and friends: the result goes to ZF, PF, CF; OF, SF and AF are cleared. C0..C3 stay. */
static inline void compare_eflags(struct vcpu *cpu, const struct insn *in, bool unordered, bool popping)
{
	struct fxstate *fx = &cpu->fx;
	unsigned i = in->modrm & 7;
	uint16_t sw, ax;

	if (!fpu_wait(cpu))
		return;
	if (likely(!fpu_empty(fx, 0) && !fpu_empty(fx, i))) {
		const struct m80 *a = (const void *)fx->st[0], *b = (const void *)fx->st[i];
		host_begin(cpu);
		if (unordered)
			asm volatile("fldt %3\n\tfldt %2\n\tfucomip %%st(1), %%st\n\tlahf\n\tfnstsw %1\n\tfstp %%st(0)"
			    : "=&a"(ax), "=m"(sw) : "m"(*a), "m"(*b) : "cc", X87_CLOBBER);
		else
			asm volatile("fldt %3\n\tfldt %2\n\tfcomip %%st(1), %%st\n\tlahf\n\tfnstsw %1\n\tfstp %%st(0)"
			    : "=&a"(ax), "=m"(sw) : "m"(*a), "m"(*b) : "cc", X87_CLOBBER);
		if (likely(host_end(cpu, sw, 0))) {
			cpu->eflags = (cpu->eflags & ~EFLAGS_ARITH) |
			    (ax >> 8 & (EFLAGS_ZF | EFLAGS_PF | EFLAGS_CF));
			if (popping)
				pop(fx);
			fpu_record(cpu, in);
			return;
		}
	}
	fpu_run(cpu, in, NULL);
	cpu->eflags &= ~EFLAGS_OF;	/* the others are the host's; they change even if #IA is unmasked */
}

void exec_FCOMI(struct vcpu *cpu, const struct insn *in) { compare_eflags(cpu, in, false, false); }
void exec_FCOMIP(struct vcpu *cpu, const struct insn *in) { compare_eflags(cpu, in, false, true); }
void exec_FUCOMI(struct vcpu *cpu, const struct insn *in) { compare_eflags(cpu, in, true, false); }
void exec_FUCOMIP(struct vcpu *cpu, const struct insn *in) { compare_eflags(cpu, in, true, true); }

/* --- loads --- */

void exec_FLD(struct vcpu *cpu, const struct insn *in)
{
	struct fxstate *fx = &cpu->fx;
	struct m80 r = { 0, 0 };
	_Alignas(16) uint8_t buf[16];
	uint16_t sw;
	bool ok = true;

	if (!fpu_wait(cpu))
		return;
	if (!mem_form(in)) {
		unsigned i = in->modrm & 7;
		if (likely(can_push(fx) && !fpu_empty(fx, i))) {
			push(fx, *fpu_st(fx, i));
			fpu_record(cpu, in);
		} else {
			fpu_run(cpu, in, NULL);
		}
		return;
	}
	if (in->opcode == 0xDB) {		/* 80 bits: no conversion, no exception */
		fpu_load(cpu, in, buf, 10);
		memcpy(&r, buf, 10);
		ok = can_push(fx);
	} else {
		read_source(cpu, in, buf);
		if (in->opcode == 0xD9)
			asm volatile("flds %2\n\tfnstsw %%ax\n\tfstpt %1" : "=&a"(sw), "=m"(r)
			    : "m"(buf) : X87_CLOBBER);
		else
			asm volatile("fldl %2\n\tfnstsw %%ax\n\tfstpt %1" : "=&a"(sw), "=m"(r)
			    : "m"(buf) : X87_CLOBBER);
		ok = !(sw & (FSW_IE | FSW_DE)) && can_push(fx);	/* PE is an old one's */
		if (unlikely(sw & (FSW_IE | FSW_DE)))
			host_fnclex(cpu);
	}
	if (likely(ok)) {
		push(fx, slot_of(&r));
		fpu_record(cpu, in);
	} else {
		fpu_run(cpu, in, buf);
	}
}

/* Every integer of 16, 32 or 64 bits is exact in 80. */
void exec_FILD(struct vcpu *cpu, const struct insn *in)
{
	struct fxstate *fx = &cpu->fx;
	const uint32_t off = insn_ea(cpu, in);
	struct m80 r;
	int64_t v;

	if (!fpu_wait(cpu))
		return;
	if (in->opcode == 0xDB)
		v = (int32_t)mem_read32(cpu, in->seg, off);
	else if ((in->modrm >> 3 & 7) == 5)
		v = (int64_t)mem_read64(cpu, in->seg, off);
	else
		v = (int16_t)mem_read16(cpu, in->seg, off);
	if (likely(can_push(fx))) {
		asm volatile("fildll %1\n\tfstpt %0" : "=m"(r) : "m"(v) : X87_CLOBBER);
		push(fx, slot_of(&r));
		fpu_record(cpu, in);
	} else {
		fpu_run(cpu, in, &v);
	}
}

static inline void load_constant(struct vcpu *cpu, const struct insn *in, fpu_slot v)
{
	if (!fpu_wait(cpu))
		return;
	if (likely(can_push(&cpu->fx))) {
		push(&cpu->fx, v);
		fpu_record(cpu, in);
	} else {
		fpu_run(cpu, in, NULL);
	}
}

void exec_FLD1(struct vcpu *cpu, const struct insn *in)
{
	load_constant(cpu, in, (fpu_slot){ INT64_MIN, 0x3FFF });
}

void exec_FLDZ(struct vcpu *cpu, const struct insn *in)
{
	load_constant(cpu, in, (fpu_slot){ 0, 0 });
}

/* --- stores --- */

/* After the probe of size bytes: ST(0), converted by one host instruction, to memory. */
#define HOST_STORE(op)									\
	asm volatile("fldt %2\n\t" op " %1\n\tfnstsw %%ax"				\
	    : "=&a"(sw), "=m"(v) : "m"(*(const struct m80 *)fx->st[0]) : X87_CLOBBER)

static inline bool store_end(struct vcpu *cpu, const struct insn *in, uint16_t sw, bool popping)
{
	if (unlikely(!host_end(cpu, sw, FSW_C1)))
		return false;
	if (popping)
		pop(&cpu->fx);
	fpu_record(cpu, in);
	return true;
}

static void store_st(struct vcpu *cpu, const struct insn *in, bool popping)
{
	struct fxstate *fx = &cpu->fx;
	unsigned i = in->modrm & 7;

	if (likely(!fpu_empty(fx, 0))) {
		*fpu_st(fx, i) = *fpu_st(fx, 0);
		fx->ftw |= 1 << ((fpu_top(fx) + i) & 7);
		fx->fsw &= ~FSW_C1;
		if (popping)
			pop(fx);
		fpu_record(cpu, in);
	} else {
		fpu_run(cpu, in, NULL);
	}
}

static inline void store_real(struct vcpu *cpu, const struct insn *in, bool popping)
{
	struct fxstate *fx = &cpu->fx;
	uint64_t v;
	uint16_t sw;

	if (!fpu_wait(cpu))
		return;
	if (!mem_form(in)) {
		store_st(cpu, in, popping);
		return;
	}
	if (unlikely(fpu_empty(fx, 0))) {
		fpu_store(cpu, in);
		return;
	}
	const uint32_t off = insn_ea(cpu, in);
	if (in->opcode == 0xDB) {
		lin_t lin = mem_rmw(cpu, in->seg, off, 10);
		lin_store(cpu, lin, fx->st[0], 10);
		fx->fsw &= ~FSW_C1;
		pop(fx);
		fpu_record(cpu, in);
	} else if (in->opcode == 0xD9) {
		lin_t lin = mem_rmw(cpu, in->seg, off, 4);
		host_begin(cpu);
		HOST_STORE("fstps");
		if (likely(store_end(cpu, in, sw, popping)))
			lin_write32(cpu, lin, v);
		else
			fpu_store(cpu, in);
	} else {
		lin_t lin = mem_rmw(cpu, in->seg, off, 8);
		host_begin(cpu);
		HOST_STORE("fstpl");
		if (likely(store_end(cpu, in, sw, popping)))
			lin_write64(cpu, lin, v);
		else
			fpu_store(cpu, in);
	}
}

void exec_FST(struct vcpu *cpu, const struct insn *in) { store_real(cpu, in, false); }
void exec_FSTP(struct vcpu *cpu, const struct insn *in) { store_real(cpu, in, true); }

static inline void store_integer(struct vcpu *cpu, const struct insn *in, bool popping)
{
	struct fxstate *fx = &cpu->fx;
	const uint32_t off = insn_ea(cpu, in);
	const bool m64 = in->opcode == 0xDF && (in->modrm >> 3 & 7) == 7;
	const unsigned size = in->opcode == 0xDB ? 4 : m64 ? 8 : 2;
	uint64_t v;
	uint16_t sw;

	if (!fpu_wait(cpu))
		return;
	lin_t lin = mem_rmw(cpu, in->seg, off, size);
	if (likely(!fpu_empty(fx, 0))) {
		host_begin(cpu);
		if (size == 4)
			HOST_STORE("fistpl");
		else if (size == 8)
			HOST_STORE("fistpll");
		else
			HOST_STORE("fistps");
		if (likely(store_end(cpu, in, sw, popping))) {
			if (size == 4)
				lin_write32(cpu, lin, v);
			else
				lin_store(cpu, lin, &v, size);
			return;
		}
	}
	fpu_store(cpu, in);
}

void exec_FIST(struct vcpu *cpu, const struct insn *in) { store_integer(cpu, in, false); }
void exec_FISTP(struct vcpu *cpu, const struct insn *in) { store_integer(cpu, in, true); }

/* --- the register file --- */

void exec_FXCH(struct vcpu *cpu, const struct insn *in)
{
	struct fxstate *fx = &cpu->fx;
	unsigned i = in->modrm & 7;

	if (!fpu_wait(cpu))
		return;
	if (likely(!fpu_empty(fx, 0) && !fpu_empty(fx, i))) {
		fpu_slot v = *fpu_st(fx, 0);
		*fpu_st(fx, 0) = *fpu_st(fx, i);
		*fpu_st(fx, i) = v;
		fx->fsw &= ~FSW_C1;
		fpu_record(cpu, in);
	} else {
		fpu_run(cpu, in, NULL);
	}
}

static inline void change_sign(struct vcpu *cpu, const struct insn *in, uint8_t and, uint8_t xor)
{
	struct fxstate *fx = &cpu->fx;

	if (!fpu_wait(cpu))
		return;
	if (likely(!fpu_empty(fx, 0))) {
		fx->st[0][9] = (fx->st[0][9] & and) ^ xor;
		fx->fsw &= ~FSW_C1;
		fpu_record(cpu, in);
	} else {
		fpu_run(cpu, in, NULL);
	}
}

void exec_FCHS(struct vcpu *cpu, const struct insn *in) { change_sign(cpu, in, 0xFF, 0x80); }
void exec_FABS(struct vcpu *cpu, const struct insn *in) { change_sign(cpu, in, 0x7F, 0); }

#define DEFINE_UNARY(NAME, op)								\
void exec_##NAME(struct vcpu *cpu, const struct insn *in)				\
{											\
	struct fxstate *fx = &cpu->fx;							\
	struct m80 r;									\
	uint16_t sw;									\
	if (!fpu_wait(cpu))								\
		return;									\
	if (likely(!fpu_empty(fx, 0))) {						\
		host_begin(cpu);							\
		asm volatile("fldt %2\n\t" op "\n\tfnstsw %%ax\n\tfstpt %1"		\
		    : "=&a"(sw), "=m"(r) : "m"(*(const struct m80 *)fx->st[0]) : X87_CLOBBER);	\
		if (likely(host_end(cpu, sw, FSW_C1))) {				\
			*fpu_st(fx, 0) = slot_of(&r);					\
			fpu_record(cpu, in);						\
			return;								\
		}									\
	}										\
	fpu_run(cpu, in, NULL);								\
}

DEFINE_UNARY(FSQRT, "fsqrt")
DEFINE_UNARY(FRNDINT, "frndint")
