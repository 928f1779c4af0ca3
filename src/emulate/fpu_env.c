/*
 * x87 control instructions, and the state as memory images: FNSTENV, FNSAVE, FXSAVE and back.
 *			[SDM 1, "Saving the x87 FPU's State with FSTENV/FNSTENV and FSAVE/FNSAVE", "FXSAVE Area"]
 *
 * None of these runs on the host. They record no FIP, FDP or FOP.
 * FXSAVE stores the 288 bytes that outside 64-bit mode have a meaning and leaves the others alone.
 * FXSAVE and FXRSTOR include XMM and MXCSR even if CR4.OSFXSR is 0, as processors do.
 */
#include "emulate/fpu.h"

enum { FXSAVE_BYTES = 512, FXSAVE_USED = 288, ENV_MAX = 28 };

/* One image to or from memory: all of it can be accessed before the first byte is. */
static lin_t image_lin(struct vcpu *cpu, const struct insn *in, unsigned size, bool write)
{
	lin_t lin = fpu_lin(cpu, in, size, write);

	mmu_probe(cpu, lin, size, write ? ACCESS_WRITE : ACCESS_READ, cpu->cpl == 3);
	return lin;
}

/*
 * In 16-bit addressing an image may run over the end of 64 KiB: the host CPU wraps between its parts
 * (words or double words of the environment, then the registers), and a fault finds the first ones stored.
 */
static bool image_wraps(struct vcpu *cpu, const struct insn *in, unsigned size)
{
	return in->adsize == 2 && insn_ea(cpu, in) + size > 0x10000;
}

static void image_parts(struct vcpu *cpu, const struct insn *in, uint8_t *buf, unsigned env, unsigned size, bool write)
{
	const uint32_t ea = insn_ea(cpu, in);

	for (unsigned at = 0, n; at < size; at += n) {
		n = at < env ? in->opsize : 2;
		lin_t lin = segment_check(cpu, in->seg, (uint16_t)(ea + at), n, write);
		if (write)
			mmu_write(cpu, lin, buf + at, n, cpu->cpl == 3);
		else
			mmu_read(cpu, lin, buf + at, n, cpu->cpl == 3);
	}
}

static void image_read(struct vcpu *cpu, const struct insn *in, uint8_t *buf, unsigned env, unsigned size)
{
	if (image_wraps(cpu, in, size))
		image_parts(cpu, in, buf, env, size, false);
	else
		mmu_read(cpu, image_lin(cpu, in, size, false), buf, size, cpu->cpl == 3);
}

static void image_write(struct vcpu *cpu, const struct insn *in, uint8_t *buf, unsigned env, unsigned size)
{
	if (image_wraps(cpu, in, size))
		image_parts(cpu, in, buf, env, size, true);
	else
		mmu_write(cpu, image_lin(cpu, in, size, true), buf, size, cpu->cpl == 3);
}

static void fpu_set_cw(struct vcpu *cpu, uint16_t cw)
{
	cpu->fx.fcw = (cw & FCW_WRITABLE) | FCW_RESERVED1;
}

/* A new FSW: its TOP renames the registers. */
static void fpu_set_sw(struct vcpu *cpu, uint16_t sw)
{
	unsigned old = fpu_top(&cpu->fx);

	cpu->fx.fsw = sw;
	if (fpu_top(&cpu->fx) != old)
		fpu_rotate(&cpu->fx, (fpu_top(&cpu->fx) - old) & 7);
}

static void fpu_init(struct vcpu *cpu)
{
	struct fxstate *fx = &cpu->fx;

	fx->fcw = FCW_DEFAULT;
	fpu_set_sw(cpu, 0);
	fx->ftw = 0;
	fx->fop = 0;
	fx->fip = fx->fdp = 0;
	fx->fcs = fx->fds = 0;
	fpu_update_es(cpu);
}

void exec_FNINIT(struct vcpu *cpu, const struct insn *in)
{
	fpu_check(cpu);
	fpu_init(cpu);
}

void exec_FNCLEX(struct vcpu *cpu, const struct insn *in)
{
	fpu_check(cpu);
	cpu->fx.fsw &= ~(FSW_EXC | FSW_SF);
	fpu_update_es(cpu);
}

/* 8087 and 80287 instructions: nothing since the 387. */
void exec_FNENI(struct vcpu *cpu, const struct insn *in) { fpu_check(cpu); }
void exec_FNDISI(struct vcpu *cpu, const struct insn *in) { fpu_check(cpu); }
void exec_FNSETPM(struct vcpu *cpu, const struct insn *in) { fpu_check(cpu); }

void exec_WAIT(struct vcpu *cpu, const struct insn *in)
{
	if ((cpu->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
		cpu_raise(cpu, EXC_NM, 0);
	if (cpu->fx.fsw & FSW_ES)
		fpu_pending(cpu);
}

void exec_FLDCW(struct vcpu *cpu, const struct insn *in)
{
	if (!fpu_wait(cpu))
		return;
	fpu_set_cw(cpu, mem_read16(cpu, in->seg, insn_ea(cpu, in)));
	fpu_update_es(cpu);
}

void exec_FNSTCW(struct vcpu *cpu, const struct insn *in)
{
	fpu_check(cpu);
	mem_write16(cpu, in->seg, insn_ea(cpu, in), cpu->fx.fcw);
}

void exec_FNSTSW(struct vcpu *cpu, const struct insn *in)
{
	fpu_check(cpu);
	if (mem_form(in))
		mem_write16(cpu, in->seg, insn_ea(cpu, in), cpu->fx.fsw);
	else
		cpu->gpr[REG_EAX] = (cpu->gpr[REG_EAX] & 0xFFFF0000) | cpu->fx.fsw;
}

/* --- the environment --- */

enum { TAG_VALID, TAG_ZERO, TAG_SPECIAL, TAG_EMPTY };

static unsigned tag_of(const uint8_t *st)
{
	uint64_t mantissa;
	uint16_t exponent;

	memcpy(&mantissa, st, 8);
	memcpy(&exponent, st + 8, 2);
	exponent &= 0x7FFF;
	if (exponent == 0)
		return mantissa == 0 ? TAG_ZERO : TAG_SPECIAL;
	return exponent == 0x7FFF || !(mantissa >> 63) ? TAG_SPECIAL : TAG_VALID;
}

static uint16_t full_tag_word(const struct fxstate *fx)
{
	unsigned tw = 0;

	for (unsigned r = 0; r < 8; r++) {
		unsigned tag = fx->ftw >> r & 1 ? tag_of(fx->st[(r - fpu_top(fx)) & 7]) : TAG_EMPTY;
		tw |= tag << (2 * r);
	}
	return tw;
}

static uint8_t abridged_tag_word(uint16_t tw)
{
	unsigned ftw = 0;

	for (unsigned r = 0; r < 8; r++)
		ftw |= ((tw >> (2 * r) & 3) != TAG_EMPTY) << r;
	return ftw;
}

/* Real and virtual-8086 mode: pointers are 32-bit (or 20-bit) linear addresses, and no selectors. */
static bool real_format(const struct vcpu *cpu)
{
	return !cpu_protected(cpu) || cpu_vm86(cpu);
}

static unsigned env_bytes(const struct insn *in)
{
	return in->opsize == 4 ? 28 : 14;
}

/* The image as its seven 32-bit (or 16-bit) words. */
static void env_save(const struct vcpu *cpu, const struct insn *in, uint8_t *buf)
{
	const struct fxstate *fx = &cpu->fx;
	uint32_t w[7] = { fx->fcw, fx->fsw, full_tag_word(fx) };

	if (real_format(cpu)) {
		uint32_t ip = fx->fip + (fx->fcs << 4), dp = fx->fdp + (fx->fds << 4);
		w[3] = ip & 0xFFFF;
		w[4] = (ip >> 16) << 12 | fx->fop;
		w[5] = dp & 0xFFFF;
		w[6] = (dp >> 16) << 12;
	} else {
		w[3] = fx->fip;
		w[4] = in->opsize == 4 ? fx->fcs | (uint32_t)fx->fop << 16 : fx->fcs;
		w[5] = fx->fdp;
		w[6] = fx->fds | 0xFFFF0000;
	}
	if (in->opsize == 4) {
		for (unsigned i = 0; i < 3; i++)
			w[i] |= 0xFFFF0000;	/* reserved words are stored as ones */
		if (real_format(cpu)) {
			w[3] |= 0xFFFF0000;
			w[5] |= 0xFFFF0000;
		}
		memcpy(buf, w, 28);
	} else {
		for (unsigned i = 0; i < 7; i++)
			memcpy(buf + 2 * i, &w[i], 2);
	}
}

static void env_restore(struct vcpu *cpu, const struct insn *in, const uint8_t *buf)
{
	struct fxstate *fx = &cpu->fx;
	uint32_t w[7] = { 0 };

	for (unsigned i = 0; i < 7; i++)
		memcpy(&w[i], buf + i * in->opsize, in->opsize);
	fpu_set_cw(cpu, w[0]);
	fpu_set_sw(cpu, w[1]);
	fx->ftw = abridged_tag_word(w[2]);
	if (real_format(cpu)) {
		fx->fip = (w[3] & 0xFFFF) | (w[4] >> 12 & 0xFFFF) << 16;
		fx->fop = w[4] & 0x7FF;
		fx->fdp = (w[5] & 0xFFFF) | (w[6] >> 12 & 0xFFFF) << 16;
		fx->fcs = fx->fds = 0;
	} else {
		fx->fip = w[3];
		fx->fcs = w[4];
		fx->fop = in->opsize == 4 ? w[4] >> 16 & 0x7FF : 0;
		fx->fdp = w[5];
		fx->fds = w[6];
	}
	fpu_update_es(cpu);
}

/* Saves, then masks all exceptions, so that a handler may use the FPU. */
void exec_FNSTENV(struct vcpu *cpu, const struct insn *in)
{
	uint8_t buf[ENV_MAX];

	fpu_check(cpu);
	env_save(cpu, in, buf);
	image_write(cpu, in, buf, env_bytes(in), env_bytes(in));
	cpu->fx.fcw |= FSW_EXC;
	fpu_update_es(cpu);
}

void exec_FLDENV(struct vcpu *cpu, const struct insn *in)
{
	uint8_t buf[ENV_MAX];

	if (!fpu_wait(cpu))
		return;
	image_read(cpu, in, buf, env_bytes(in), env_bytes(in));
	env_restore(cpu, in, buf);
}

void exec_FNSAVE(struct vcpu *cpu, const struct insn *in)
{
	const unsigned env = env_bytes(in);
	uint8_t buf[ENV_MAX + 80];

	fpu_check(cpu);
	env_save(cpu, in, buf);
	for (unsigned i = 0; i < 8; i++)
		memcpy(buf + env + 10 * i, cpu->fx.st[i], 10);
	image_write(cpu, in, buf, env, env + 80);
	fpu_init(cpu);
}

void exec_FRSTOR(struct vcpu *cpu, const struct insn *in)
{
	const unsigned env = env_bytes(in);
	uint8_t buf[ENV_MAX + 80];

	if (!fpu_wait(cpu))
		return;
	image_read(cpu, in, buf, env, env + 80);
	env_restore(cpu, in, buf);
	for (unsigned i = 0; i < 8; i++) {
		*fpu_st(&cpu->fx, i) = (fpu_slot){ 0, 0 };
		memcpy(cpu->fx.st[i], buf + env + 10 * i, 10);
	}
}

/* --- FXSAVE, FXRSTOR --- */

static lin_t fxsave_lin(struct vcpu *cpu, const struct insn *in, bool write)
{
	if (cpu->cr0 & CR0_EM)
		cpu_raise(cpu, EXC_UD, 0);
	if (cpu->cr0 & CR0_TS)
		cpu_raise(cpu, EXC_NM, 0);
	lin_t lin = fpu_lin(cpu, in, FXSAVE_BYTES, write);	/* its limit comes before its alignment */
	if (lin & 3 && cpu->cpl == 3 && (cpu->cr0 & CR0_AM) && (cpu->eflags & EFLAGS_AC))
		cpu_raise(cpu, EXC_AC, 0);
	sse_check_aligned(cpu, in);
	mmu_probe(cpu, lin, FXSAVE_BYTES, write ? ACCESS_WRITE : ACCESS_READ, cpu->cpl == 3);
	return lin;
}

void exec_FXSAVE(struct vcpu *cpu, const struct insn *in)
{
	lin_t lin = fxsave_lin(cpu, in, true);
	struct fxstate *fx = &cpu->fx;

	fx->mxcsr_mask = MXCSR_WRITABLE;
	fx->rsvd = 0;
	fx->rsvd2 = fx->rsvd3 = 0;
	mmu_write(cpu, lin, fx, FXSAVE_USED, cpu->cpl == 3);
}

void exec_FXRSTOR(struct vcpu *cpu, const struct insn *in)
{
	lin_t lin = fxsave_lin(cpu, in, false);
	struct fxstate *fx = &cpu->fx, new = { 0 };

	mmu_read(cpu, lin, &new, FXSAVE_USED, cpu->cpl == 3);
	if (new.mxcsr & ~MXCSR_WRITABLE)
		cpu_raise(cpu, EXC_GP, 0);
	memcpy(fx, &new, FXSAVE_USED);
	for (unsigned i = 0; i < 8; i++)
		memset(fx->st[i] + 10, 0, 6);
	fpu_set_cw(cpu, new.fcw);
	fx->fop &= 0x7FF;
	fx->rsvd = 0;
	fx->rsvd2 = fx->rsvd3 = 0;
	fx->mxcsr_mask = MXCSR_WRITABLE;
	fpu_update_es(cpu);
}

void exec_LDMXCSR(struct vcpu *cpu, const struct insn *in)
{
	sse_check(cpu);
	uint32_t val = mem_read32(cpu, in->seg, insn_ea(cpu, in));
	if (val & ~MXCSR_WRITABLE)
		cpu_raise(cpu, EXC_GP, 0);
	cpu->fx.mxcsr = val;
}

void exec_STMXCSR(struct vcpu *cpu, const struct insn *in)
{
	sse_check(cpu);
	mem_write32(cpu, in->seg, insn_ea(cpu, in), cpu->fx.mxcsr);
}
