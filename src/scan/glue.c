/*
 * The stubs between the monitor and scanned code, made once at the start of the code cache.
 *
 * A call-out stores the guest's registers in struct vcpu, changes to the monitor's stack and calls
 * C, which answers with the executable address to go on at; `resume` loads everything from struct
 * vcpu again. Whoever wants attention sets vcpu.attention: resume looks at it with all state in
 * memory. A signal that lands between that look and the block is brought to the block's first
 * instruction boundary by single-stepping (recover.c).
 */
#include <string.h>

#include "scan/internal.h"

#define CPU(field) MEM_BASE(R13, (int32_t)offsetof(struct vcpu, field))
static struct host_mem gpr(unsigned reg) { return MEM_BASE(R13, (int32_t)(offsetof(struct vcpu, gpr) + reg * 4)); }

static const uint8_t callee_saved[] = { RBX, RBP, R12, R13, R14, R15 };

static void push64(struct asm_buf *b, unsigned reg)
{
	if (reg & 8)
		asm_byte(b, 0x41);
	asm_byte(b, 0x50 | (reg & 7));
}

static void pop64(struct asm_buf *b, unsigned reg)
{
	if (reg & 8)
		asm_byte(b, 0x41);
	asm_byte(b, 0x58 | (reg & 7));
}

static void add_rsp8(struct asm_buf *b, int n)
{
	asm_op_rm(b, OP1W(0x8D), RSP, MEM_BASE(RSP, n));
}

static void emit_load_guest(struct asm_buf *b)
{
	asm_op_rm(b, OP2(0xB7), RAX, CPU(scan.flags));		/* movzx */
	asm_restore_flags(b);
	for (unsigned reg = REG_ECX; reg <= REG_EDI; reg++)
		if (reg != REG_ESP)
			asm_load(b, reg, gpr(reg));
	asm_load64(b, R15, CPU(scan.r15));
	asm_load64(b, R12, CPU(scan.tlb_read));
	asm_load64(b, R14, CPU(scan.window));
	asm_load64(b, RSP, CPU(scan.ret_rsp));
	asm_load(b, R11, CPU(eip));		/* for a block's hashed entry */
	asm_load(b, RAX, gpr(REG_EAX));
}

/* void enter(struct vcpu *, uint8_t *host): also the way out again. */
static void emit_enter(struct scanner *s, struct asm_buf *b)
{
	struct glue *g = &s->glue;
	g->exit = g->exit_async = asm_here(b);
	asm_load64(b, RSP, CPU(scan.host_rsp));
	add_rsp8(b, 8);
	for (unsigned i = ARRAY_LEN(callee_saved); i-- > 0; )
		pop64(b, callee_saved[i]);
	asm_ret(b);

	g->resume = asm_here(b);
	asm_alu_mi(b, ALU_CMP, CPU(attention), 0);
	g->resume_checked = asm_here(b);	/* a signal before the JNE comes too late for the comparison */
	asm_jcc(b, CC_NE, g->exit);
	emit_load_guest(b);
	asm_jmp_mem(b, CPU(scan.resume));

	/* Back to behind the call: by a return, which the host predicts. */
	g->back = asm_here(b);
	asm_alu_mi(b, ALU_CMP, CPU(attention), 0);
	asm_jcc(b, CC_NE, g->exit);
	emit_load_guest(b);
	asm_op_rm(b, OP1(0xFF), 6, CPU(scan.callsite));		/* push */
	asm_ret(b);
	g->resume_end = asm_here(b);

	g->enter = asm_here(b);
	for (unsigned i = 0; i < ARRAY_LEN(callee_saved); i++)
		push64(b, callee_saved[i]);
	add_rsp8(b, -8);
	asm_mov_rr64(b, R13, RDI);
	asm_store64(b, CPU(scan.host_rsp), RSP);
	asm_store64(b, CPU(scan.resume), RSI);
	asm_jmp(b, g->resume);
}

/* C function fn(vcpu, number, address) on the monitor's stack; its result in rax. */
static void emit_call_c(struct asm_buf *b, uint64_t fn)
{
	asm_store64(b, CPU(scan.ret_rsp), RSP);
	asm_load64(b, RSP, CPU(scan.host_rsp));
	asm_mov_rr64(b, RDI, R13);
	asm_mov_rr(b, RSI, R10);
	asm_mov_rr(b, RDX, R11);
	asm_mov_ri64(b, RAX, fn);
	asm_op_rr(b, OP1(0xFF), 2, RAX);
}

typedef uint8_t *callout_fn(struct vcpu *, uint32_t, uint32_t);

/* called: the block calls it, and mostly goes on behind the call; else it jumps here. */
static uint8_t *emit_callout(struct scanner *s, struct asm_buf *b, callout_fn *fn, bool called)
{
	uint8_t *at = asm_here(b);
	if (called)
		asm_op_rm(b, OP1(0x8F), 0, CPU(scan.callsite));		/* pop */
	asm_store(b, gpr(REG_EAX), RAX);
	asm_save_flags(b);
	asm_op_rm(b, (struct host_op){ .prefix = 0x66, .opcode = 0x89 }, RAX, CPU(scan.flags));
	for (unsigned reg = REG_ECX; reg <= REG_EDI; reg++)
		if (reg != REG_ESP)
			asm_store(b, gpr(reg), reg);
	asm_store64(b, CPU(scan.r15), R15);
	emit_call_c(b, (uint64_t)(uintptr_t)fn);
	asm_store64(b, CPU(scan.resume), RAX);
	if (called) {
		asm_op_rm(b, OP1W(0x3B), RAX, CPU(scan.callsite));	/* cmp */
		asm_jcc(b, CC_E, s->glue.back);
	}
	asm_jmp(b, s->glue.resume);
	return at;
}

/*
 * The short call-out: r10d = number, r11d = linear address; r10 = addend or 0. All else stays. When
 * attention is wanted it answers 0, so that the long way out is taken, which looks at it.
 */
static void emit_fill(struct scanner *s, struct asm_buf *b)
{
	static const uint8_t kept[] = { RAX, RCX, RDX, RSI, RDI, R8, R9, R11 };
	struct glue *g = &s->glue;
	g->fill = asm_here(b);
	for (unsigned i = 0; i < ARRAY_LEN(kept); i++)
		asm_store64(b, MEM_BASE(R13, (int32_t)(offsetof(struct vcpu, scan.saved) + i * 8)), kept[i]);
	emit_call_c(b, (uint64_t)(uintptr_t)scan_fill);
	asm_mov_rr64(b, R10, RAX);
	asm_mov_ri(b, RCX, 0);
	asm_alu_mi(b, ALU_CMP, CPU(attention), 0);
	g->fill_checked = asm_here(b);
	asm_op_rr(b, (struct host_op){ .map = 1, .opcode = 0x45, .wide = true }, R10, RCX);	/* cmovne */
	for (unsigned i = 0; i < ARRAY_LEN(kept); i++)
		asm_load64(b, kept[i], MEM_BASE(R13, (int32_t)(offsetof(struct vcpu, scan.saved) + i * 8)));
	asm_load64(b, RSP, CPU(scan.ret_rsp));
	asm_ret(b);
	g->fill_end = asm_here(b);
}

/* Indirect branch to EIP r11d. Touches no flag: the caller's may be live. */
static void emit_lookup(struct scanner *s, struct asm_buf *b)
{
	struct glue *g = &s->glue;
	g->ret_bottom = asm_here(b);		/* the bottom stays where it is */
	add_rsp8(b, -8);
	g->lookup = asm_here(b);
	asm_load(b, R10, CPU(seg[SEG_CS].base));
	asm_lea(b, R10, (struct host_mem){ .base = R10, .index = R11 });
	asm_op_rr(b, OP2(0xB7), R10, R10);	/* movzwl r10w, r10d: jump_at() */
	asm_load64(b, R9, CPU(scan.jump_cache));
	asm_jmp_mem(b, (struct host_mem){ .base = R9, .index = R10, .scale = 3 });
	g->lookup_end = asm_here(b);
}

void glue_emit(struct scanner *s, struct asm_buf *b)
{
	struct glue *g = &s->glue;
	emit_enter(s, b);
	g->slow = emit_callout(s, b, callout_slow, false);
	g->emulate = emit_callout(s, b, callout_emulate, true);
	g->quick = emit_callout(s, b, callout_quick, true);
	g->link = emit_callout(s, b, callout_link, false);
	g->indirect = emit_callout(s, b, callout_indirect, false);
	g->fpu = emit_callout(s, b, callout_fpu, false);
	g->limit = emit_callout(s, b, callout_limit, false);
	emit_fill(s, b);
	emit_lookup(s, b);
	uint64_t bottom = (uint64_t)(uintptr_t)g->ret_bottom;
	for (unsigned i = 0; i < 2; i++)
		memcpy((void *)(uintptr_t)s->ret[i].top, &bottom, sizeof(bottom));
}
