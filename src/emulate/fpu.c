/*
 * x87: the general way to carry out an instruction, and those that need no faster one.
 *							[SDM 1, "Programming with the x87 FPU"]
 *
 * fpu_run() loads the guest's complete state into the host's FPU, executes the very instruction
 * and stores the state back: about 250 cycles, and exact in every corner (stack faults, unmasked
 * exceptions, denormals, transcendentals). The frequent instructions have a shorter way in
 * fpu_fast.c, which falls back on this one whenever anything but PE happens.
 *
 * FIP, FDP and FOP are recorded by every non-control instruction, as processors up to the Pentium
 * III did (the Pentium 4 with IA32_MISC_ENABLE.FOPCODE set). Today's record FDP and FOP at
 * unmasked exceptions only, and no selectors.
 * Left out: IGNNE#. An error with CR0.NE = 0 is announced by FERR# once; see fpu_pending().
 */
#include "emulate/fpu.h"

uint32_t fpu_host_run(struct fxstate *image, void *mem, const void *slot, uint32_t flags);
extern const uint8_t fpu_host_reg[8][64][4], fpu_host_mem[8][8][4];

/* Memory operand by opcode and ModRM.reg: bytes read, or written where negative. 0: other handlers'. */
static const int8_t fpu_operand[8][8] = {
	{ 4, 4, 4, 4, 4, 4, 4, 4 },
	{ 4, 0, -4, -4, 0, 0, 0, 0 },
	{ 4, 4, 4, 4, 4, 4, 4, 4 },
	{ 4, -4, -4, -4, 0, 10, 0, -10 },
	{ 8, 8, 8, 8, 8, 8, 8, 8 },
	{ 8, -8, -8, -8, 0, 0, 0, 0 },
	{ 2, 2, 2, 2, 2, 2, 2, 2 },
	{ 2, -2, -2, -2, 10, 8, -10, -8 },
};

void fpu_update_es(struct vcpu *cpu)
{
	struct fxstate *fx = &cpu->fx;

	fx->fsw &= ~(FSW_ES | FSW_B);
	if (unlikely(fx->fsw & ~fx->fcw & FSW_EXC)) {
		fx->fsw |= FSW_ES | FSW_B;
	} else if (unlikely(cpu->ferr)) {
		cpu->ferr = false;
		cpu->bus->ferr(cpu->bus_arg, false);
	}
}

/*
 * With CR0.NE = 0 the processor asserts FERR# and freezes until an interrupt: the board turns
 * FERR# into IRQ 13, which is taken in front of the waiting instruction. So the instruction begins
 * again once; if it comes back with the error still there (the interrupt is masked, or its handler
 * wrote port F0h, which makes IGNNE# let the next instruction pass), it is carried out.
 */
bool fpu_pending(struct vcpu *cpu)
{
	if (cpu->cr0 & CR0_NE)
		cpu_raise(cpu, EXC_MF, 0);
	if (cpu->ferr)
		return true;
	cpu->ferr = true;
	cpu->bus->ferr(cpu->bus_arg, true);
	if (!(cpu->eflags & EFLAGS_IF))
		return true;
	cpu->eip = cpu->insn_eip;
	cpu_attend(cpu, ATTN_EVENT);
	return false;
}

void fpu_rotate(struct fxstate *fx, unsigned n)
{
	fpu_slot t[8];

	for (unsigned i = 0; i < 8; i++)
		t[i] = *fpu_st(fx, (i + n) & 7);
	for (unsigned i = 0; i < 8; i++)
		*fpu_st(fx, i) = t[i];
}

/*
 * Flags are sticky, and no instruction looks at old ones: it runs with none set, so that the host
 * finds nothing pending, and they are merged afterwards. Returns the new ones.
 */
static uint16_t fpu_execute(struct vcpu *cpu, const struct insn *in, void *mem)
{
	struct fxstate *fx = &cpu->fx;
	const uint16_t old = fx->fsw & (FSW_EXC | FSW_SF);
	const unsigned op = in->opcode & 7;
	const void *slot = mem_form(in) ? fpu_host_mem[op][in->modrm >> 3 & 7] : fpu_host_reg[op][in->modrm & 63];
	const uint32_t flags = EFLAGS_SF | EFLAGS_ZF | EFLAGS_AF | EFLAGS_PF | EFLAGS_CF;
	const uint16_t fcs = fx->fcs, fds = fx->fds, fop = fx->fop;
	const uint32_t fip = fx->fip, fdp = fx->fdp, mxcsr_mask = fx->mxcsr_mask;

	fx->fsw &= ~(FSW_EXC | FSW_SF | FSW_ES | FSW_B);
	cpu->eflags = (cpu->eflags & ~flags) | (fpu_host_run(fx, mem, slot, cpu->eflags) & flags);
	cpu->fpu_host_pe = false;

	uint16_t raised = fx->fsw & FSW_EXC;
	fx->fsw |= old;
	fx->fcs = fcs, fx->fds = fds, fx->fop = fop;	/* the host's FIP and FDP are our addresses */
	fx->fip = fip, fx->fdp = fdp, fx->mxcsr_mask = mxcsr_mask;
	return raised;
}

void fpu_run(struct vcpu *cpu, const struct insn *in, void *mem)
{
	fpu_execute(cpu, in, mem);
	fpu_record(cpu, in);
	fpu_update_es(cpu);
}

/*
 * A store probes its operand first: a fault comes before any change of state, and afterwards
 * nothing can go wrong. An unmasked invalid operation, overflow or underflow stores nothing.
 */
void fpu_store(struct vcpu *cpu, const struct insn *in)
{
	const unsigned size = -fpu_operand[in->opcode & 7][in->modrm >> 3 & 7];
	const lin_t lin = mem_rmw(cpu, in->seg, insn_ea(cpu, in), size);
	uint8_t buf[16];
	uint16_t raised = fpu_execute(cpu, in, buf);

	if (!(raised & ~cpu->fx.fcw & (FSW_IE | FSW_OE | FSW_UE)))
		lin_store(cpu, lin, buf, size);
	fpu_record(cpu, in);
	fpu_update_es(cpu);
}

void fpu_generic(struct vcpu *cpu, const struct insn *in)
{
	uint8_t buf[16];

	if (!fpu_wait(cpu))
		return;
	if (!mem_form(in)) {
		fpu_run(cpu, in, NULL);
		return;
	}
	int size = fpu_operand[in->opcode & 7][in->modrm >> 3 & 7];
	if (size < 0) {
		fpu_store(cpu, in);
	} else {
		fpu_load(cpu, in, buf, size);
		fpu_run(cpu, in, buf);
	}
}

#define GENERIC(name) void exec_##name(struct vcpu *cpu, const struct insn *in) { fpu_generic(cpu, in); }

GENERIC(FISTTP) GENERIC(FBLD) GENERIC(FBSTP) GENERIC(FXAM) GENERIC(FLDL2T) GENERIC(FLDL2E)
GENERIC(FLDPI) GENERIC(FLDLG2) GENERIC(FLDLN2) GENERIC(F2XM1) GENERIC(FYL2X) GENERIC(FPTAN)
GENERIC(FPATAN) GENERIC(FXTRACT) GENERIC(FPREM1) GENERIC(FDECSTP) GENERIC(FINCSTP) GENERIC(FPREM)
GENERIC(FYL2XP1) GENERIC(FSINCOS) GENERIC(FSCALE) GENERIC(FSIN)
GENERIC(FCOS) GENERIC(FFREE) GENERIC(FFREEP) GENERIC(FNOP) GENERIC(FCMOVCC)
