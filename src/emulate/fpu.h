/*
 * What the x87, MMX and SSE handlers share: availability checks, wide memory operands, the
 * register file.						[SDM 1, "Programming with the x87 FPU"]
 *
 * State is cpu->fx in FXSAVE order: st[i] is ST(i), so a push or pop moves all eight registers;
 * ftw has a bit for each physical register (1 = not empty). FSW's ES and B are kept equal to
 * "an exception flag is set whose mask is clear" whenever FCW or FSW changes.
 *
 * Between instructions the host's own x87 is as FNINIT leaves it, but that PE may be set (sticky,
 * see fpu_fast.c), and the host's MXCSR has its default controls.
 */
#ifndef PLEX86_EMULATE_FPU_H
#define PLEX86_EMULATE_FPU_H

#include "emulate/handlers.h"

enum {
	FSW_IE = BIT(0), FSW_DE = BIT(1), FSW_ZE = BIT(2), FSW_OE = BIT(3), FSW_UE = BIT(4),
	FSW_PE = BIT(5), FSW_SF = BIT(6), FSW_ES = BIT(7), FSW_C0 = BIT(8), FSW_C1 = BIT(9),
	FSW_C2 = BIT(10), FSW_TOP = 7u << 11, FSW_C3 = BIT(14), FSW_B = BIT(15),
	FSW_EXC = 0x3F,			/* IE..PE; the masks of FCW have the same places */
	FCW_DEFAULT = 0x37F,		/* FNINIT: all masked, 64-bit precision, to nearest */
	FCW_RESERVED1 = 0x40,		/* reads as 1 */
	FCW_WRITABLE = 0x1F3F,
	MXCSR_EXC = 0x3F, MXCSR_DAZ = 0x40, MXCSR_MASKS = 0x1F80, MXCSR_FTZ = 0x8000,
	MXCSR_DEFAULT = 0x1F80,
	MXCSR_WRITABLE = 0xFFFF,	/* what FXSAVE stores as MXCSR_MASK */
};

typedef long long fpu_slot __attribute__((vector_size(16), may_alias));	/* one register, moved whole */

static inline unsigned fpu_top(const struct fxstate *fx)
{
	return fx->fsw >> 11 & 7;
}

static inline void fpu_set_top(struct fxstate *fx, unsigned top)
{
	fx->fsw = (fx->fsw & ~FSW_TOP) | (top & 7) << 11;
}

static inline bool fpu_empty(const struct fxstate *fx, unsigned i)
{
	return !(fx->ftw >> ((fpu_top(fx) + i) & 7) & 1);
}

static inline fpu_slot *fpu_st(struct fxstate *fx, unsigned i)
{
	return (fpu_slot *)fx->st[i];
}

static inline bool mem_form(const struct insn *in)
{
	return in->modrm < 0xC0;
}

/* FIP, FCS, FOP and, for a memory operand, FDP and FDS. */
static inline void fpu_record(struct vcpu *cpu, const struct insn *in)
{
	struct fxstate *fx = &cpu->fx;

	fx->fip = cpu->insn_eip;
	fx->fcs = cpu->seg[SEG_CS].selector;
	fx->fop = (in->opcode & 7) << 8 | in->modrm;
	if (mem_form(in)) {
		fx->fdp = insn_ea(cpu, in);
		fx->fds = cpu->seg[in->seg].selector;
	}
}

/* --- fpu.c --- */
void fpu_update_es(struct vcpu *cpu);		/* after FCW or FSW changed: ES, B, FERR# */
void fpu_run(struct vcpu *cpu, const struct insn *in, void *mem);	/* on the host; never raises */
void fpu_store(struct vcpu *cpu, const struct insn *in);	/* the same for one that stores to memory */
void fpu_generic(struct vcpu *cpu, const struct insn *in);	/* fetches and stores the operand around fpu_run() */
bool fpu_pending(struct vcpu *cpu);		/* ES is set before a waiting instruction: see fpu_wait() */
void fpu_rotate(struct fxstate *fx, unsigned n);	/* ST(i) becomes what was ST(i + n) */

/* x87 instruction available, else #NM. */
static inline void fpu_check(struct vcpu *cpu)
{
	if (unlikely(cpu->cr0 & (CR0_EM | CR0_TS)))
		cpu_raise(cpu, EXC_NM, 0);
}

/* The same for an instruction that waits: #MF if an exception is pending. False: begin again later. */
static inline bool fpu_wait(struct vcpu *cpu)
{
	fpu_check(cpu);
	return likely(!(cpu->fx.fsw & FSW_ES)) || fpu_pending(cpu);
}

static inline void sse_check(struct vcpu *cpu)
{
	if (unlikely((cpu->cr0 & (CR0_EM | CR0_TS)) || !(cpu->cr4 & CR4_OSFXSR)))
		cpu_raise(cpu, (cpu->cr0 & CR0_EM) || !(cpu->cr4 & CR4_OSFXSR) ? EXC_UD : EXC_NM, 0);
}

/* --- mmx.c --- */
bool mmx_check(struct vcpu *cpu);		/* #UD, #NM, #MF; false: begin again later */
void mmx_begin(struct fxstate *fx);		/* TOP = 0, all tags valid: MMi is st[i] from here */

static inline uint64_t mmx_get(const struct fxstate *fx, unsigned i)
{
	uint64_t v;

	memcpy(&v, fx->st[i], 8);
	return v;
}

static inline void mmx_set(struct fxstate *fx, unsigned i, uint64_t v)
{
	*fpu_st(fx, i) = (fpu_slot){ (long long)v, 0xFFFF };	/* exponent and sign become ones */
}

/* --- operands wider than 8 bytes. Nothing is written unless all of it can be. --- */

static inline lin_t fpu_lin(struct vcpu *cpu, const struct insn *in, unsigned size, bool write)
{
	uint32_t off = insn_ea(cpu, in);
	const struct segment *s = &cpu->seg[in->seg];

	if (likely((uint64_t)off + size <= (write ? s->write_top : s->read_top)))
		return s->base + off;
	return segment_check(cpu, in->seg, off, size, write);
}

static inline void lin_load(struct vcpu *cpu, lin_t lin, void *buf, unsigned size)
{
	uintptr_t e = cpu->tlb->read[lin >> PAGE_SHIFT];

	if (likely(e != 0 && (lin & PAGE_MASK) <= PAGE_BYTES - size))
		memcpy(buf, (const void *)(e + lin), size);
	else
		mmu_read(cpu, lin, buf, size, cpu->cpl == 3);
}

static inline void lin_store(struct vcpu *cpu, lin_t lin, const void *buf, unsigned size)
{
	uintptr_t e = cpu->tlb->write[lin >> PAGE_SHIFT];

	if (likely(e != 0 && (lin & PAGE_MASK) <= PAGE_BYTES - size))
		memcpy((void *)(e + lin), buf, size);
	else
		mmu_write(cpu, lin, buf, size, cpu->cpl == 3);
}

static inline void fpu_load(struct vcpu *cpu, const struct insn *in, void *buf, unsigned size)
{
	lin_load(cpu, fpu_lin(cpu, in, size, false), buf, size);
}

/* The 16-byte operands of SSE must be aligned: #GP(0), whatever the segment, and before its limit. */
static inline void sse_check_aligned(struct vcpu *cpu, const struct insn *in)
{
	if (unlikely((cpu->seg[in->seg].base + insn_ea(cpu, in)) & 15))
		cpu_raise(cpu, EXC_GP, 0);
}

#endif
