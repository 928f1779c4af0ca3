/*
 * From a host instruction in the code cache back to exact guest state.	[docs/design/precise-state.md]
 *
 * Runs inside signal handlers. Two occasions:
 *  - A kick: something wants the monitor. Scanned code never polls; the handler steps the host
 *    (EFLAGS.TF) to the next guest instruction boundary, at most a few host instructions away, and
 *    leaves there. In the monitor itself nothing is to be done: resume looks at vcpu.attention.
 *  - A fault: the guest instruction that holds the host instruction has not begun (the emitters see
 *    to that); the state at its start is put together and the emulator carries it out, and raises
 *    what is to be raised.
 */
#include <signal.h>
#include <ucontext.h>

#include "mmu/phys.h"
#include "mmu/window.h"
#include "scan/internal.h"
#include "scan/wary.h"

#define HOST_TF 0x100

static const uint8_t greg_of[8] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_R15, REG_RBP, REG_RSI, REG_RDI };

static bool within(const uint8_t *pc, const uint8_t *lo, const uint8_t *hi) { return pc >= lo && pc < hi; }

static bool in_blocks(const struct scanner *s, const uint8_t *pc)
{
	return within(pc, s->rx + s->glue_bytes, s->rx + s->used);
}

/* Index of the record whose instruction holds pc, or -1: in the entry or the cold part. */
static int record_at(const struct block *b, const uint8_t *pc)
{
	if (pc < b->host || pc >= b->host + b->host_bytes)
		return -1;
	unsigned off = (unsigned)(pc - b->host);
	int found = -1;
	for (unsigned i = 0; i < b->ninsns && b->rec[i].host_off <= off; i++)
		found = (int)i;
	return found;
}

const struct block *recover_block(const struct scanner *s, uint64_t host, unsigned *index)
{
	const uint8_t *pc = (const uint8_t *)(uintptr_t)host;
	const struct block *b = in_blocks(s, pc) ? cache_block_at((struct scanner *)s, pc) : NULL;
	int i = b ? record_at(b, pc) : -1;
	*index = (unsigned)i;
	return i < 0 ? NULL : b;
}

bool recover_insn(const struct scanner *s, const struct block *b, unsigned i, struct insn *in)
{
	const uint8_t *ram = s->cpu->phys->ram;
	uint8_t bytes[15];
	for (unsigned k = 0; k < sizeof(bytes); k++) {
		unsigned off = b->fd_lo + b->rec[i].guest_off + k;
		uint64_t page = off < PAGE_BYTES ? b->fd_page[0] : b->fd_page[1];
		bytes[k] = ram[(page << PAGE_SHIFT) + (off & PAGE_MASK)];
	}
	return decode_insn(in, bytes, sizeof(bytes), b->mode & MODE_CODE32) == DECODE_OK;
}

bool scan_where(struct vcpu *cpu, void *ucontext, uint32_t *eip, uint32_t *ebp, uint32_t *esp)
{
	const struct scanner *s = cpu->scanner;
	const greg_t *r = ((ucontext_t *)ucontext)->uc_mcontext.gregs;
	const uint8_t *pc = (const uint8_t *)(uintptr_t)r[REG_RIP];
	if (!s || !within(pc, s->rx, s->rx + s->used))
		return false;
	if (!in_blocks(s, pc))
		return true;
	const struct block *b = cache_block_at((struct scanner *)s, pc);
	if (!b)
		return true;
	int i = record_at(b, pc);	/* behind the block's code is what it rarely does: at its start, as good as any */
	*eip = b->eip + (i < 0 ? 0 : b->rec[i].guest_off);
	*ebp = (uint32_t)r[REG_RBP];
	*esp = (uint32_t)r[REG_R15];
	return true;
}

/* Guest state at the start of instruction i of b, from the host registers; then out through the glue. */
static void leave(struct vcpu *cpu, ucontext_t *uc, const struct block *b, unsigned i)
{
	greg_t *r = uc->uc_mcontext.gregs;
	for (unsigned reg = 0; reg < 8; reg++)
		cpu->gpr[reg] = (uint32_t)r[greg_of[reg]];
	cpu->gpr[REG_ESP] = mode_move_esp(b->mode, cpu->gpr[REG_ESP], b->rec[i].esp_off);
	cpu->eip = b->eip + b->rec[i].guest_off;
	cpu->eflags = (cpu->eflags & ~(uint32_t)EFLAGS_ARITH) | ((uint32_t)r[REG_EFL] & EFLAGS_ARITH);
	cpu->scan.ret_rsp = (uint64_t)r[REG_RSP];
	cpu->scanner->lock_at = (int)i;
	METER_ADD(cpu, insns, -b->rec[i].run_left);
	scan_count_out(cpu, b->rec[i].run_left);
	cpu->scanner->resumed_left = 0;
	if (b->rec[i].shadow) {		/* only a fault leaves here: no interrupt before the instruction is done */
		cpu->shadow = true;
		cpu->shadow_armed = false;
		cpu_attend(cpu, ATTN_EVENT);
	}
	cpu->scanner->next = NEXT_RUN;
	r[REG_RIP] = (greg_t)(uintptr_t)cpu->scanner->glue.exit_async;
	r[REG_EFL] &= ~(greg_t)HOST_TF;
	cpu->scanner->stepping = false;
}

/* At a host string instruction, or the JECXZ of emit_few_dwords(): the guest's may be left between two iterations. */
static bool at_string(const uint8_t *pc)
{
	if (pc[0] == 0x67 && pc[1] == 0xE3)
		return true;
	if (*pc == 0xF2 || *pc == 0xF3)
		pc++;
	else
		return false;
	if (*pc == 0x66)
		pc++;
	return *pc >= 0xA4 && *pc <= 0xAF && *pc != 0xA8 && *pc != 0xA9;
}

/*
 * May the guest be left here? At a boundary, and within a string instruction behind an iteration: where one host step leads to
 * the same place again. RF tells the interrupt's handler which it was.	[SDM 3, "Resume Flag"]
 */
static bool may_leave(struct vcpu *cpu, const struct block *b, int i, const uint8_t *pc, bool stepped)
{
	struct scanner *s = cpu->scanner;
	if (i < 0 || b->rec[i].shadow)
		return false;
	if (!at_string(pc))
		return b->host + b->rec[i].host_off == pc;
	if (!stepped || s->string != pc) {
		s->string = pc;
		return false;
	}
	cpu->eflags |= EFLAGS_RF;
	cpu->rf_armed = false;
	return true;
}

/* At an instruction boundary: leave. Elsewhere in scanned code: on to the next host instruction. stepped: one was carried out. */
IN_SIGNAL static void step_or_leave(struct vcpu *cpu, ucontext_t *uc, bool stepped)
{
	struct scanner *s = cpu->scanner;
	greg_t *r = uc->uc_mcontext.gregs;
	const uint8_t *pc = (const uint8_t *)(uintptr_t)r[REG_RIP];
	bool step = within(pc, s->glue.resume_checked, s->glue.resume_end) ||
	    within(pc, s->glue.fill_checked, s->glue.fill_end) || within(pc, s->glue.ret_bottom, s->glue.lookup_end);
	if (in_blocks(s, pc)) {
		const struct block *b = cache_block_at(s, pc);
		int i = b ? record_at(b, pc) : -1;
		if (may_leave(cpu, b, i, pc, stepped)) {
			leave(cpu, uc, b, (unsigned)i);
			return;
		}
		step = true;
	}
	s->stepping = step;
	if (step)
		r[REG_EFL] |= HOST_TF;
	else
		r[REG_EFL] &= ~(greg_t)HOST_TF;
}

/* The ticker: a slice of CPU time is used up. On the checked path, is it? */
IN_SIGNAL void scan_tick(void *arg, void *ucontext)
{
	struct vcpu *cpu = arg;
	struct scanner *s = cpu->scanner;
	ucontext_t *uc = ucontext;
	const uint8_t *pc = (const uint8_t *)(uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
	if (!s)
		return;
	s->ticking = false;
	bool scanned = within(pc, s->rx, s->rx + s->used);
	/* a checked REP instruction spends its time in the emulator: that is user code's time as well */
	if (cpu->cpl == 3 ? !scanned && !wary_waits(s) : !window_kernel_rests(cpu))
		return;
	s->tick_in_user = true;
	cpu_attend_in_signal(cpu, ATTN_EVENT);
	if (scanned)
		step_or_leave(cpu, uc, false);
}

IN_SIGNAL void scan_kick(void *arg, void *ucontext)
{
	struct vcpu *cpu = arg;
	if (cpu->scanner)
		step_or_leave(cpu, ucontext, false);
}

IN_SIGNAL bool scan_under_handler(const struct vcpu *cpu, const void *ucontext)
{
	const greg_t *r = ((const ucontext_t *)ucontext)->uc_mcontext.gregs;
	const struct scanner *s = cpu->scanner;
	uintptr_t pc = (uintptr_t)r[REG_RIP], sp = (uintptr_t)r[REG_RSP];

	if (!s || pc - (uintptr_t)s->rx < s->used)
		return false;
	for (unsigned i = 0; i < ARRAY_LEN(s->ret); i++)
		if (sp - (uintptr_t)s->ret[i].base < RETURN_STACK_BYTES)
			return true;
	return false;
}

static bool in_guard(const struct scanner *s, const uint8_t *at)
{
	return within(at, s->ret[0].base, s->ret[0].base + PAGE_BYTES) ||
	    within(at, s->ret[1].base, s->ret[1].base + PAGE_BYTES);
}

/* A fault at an address of the window, or its guards: true if the access is to be tried again. */
static bool window_access(struct vcpu *cpu, ucontext_t *uc, const uint8_t *at, struct block *b, unsigned i)
{
	struct scanner *s = cpu->scanner;
	uint64_t off = (uint64_t)(uintptr_t)at - cpu->scan.window;
	bool write = uc->uc_mcontext.gregs[REG_ERR] & 2;
	enum window_result result = WINDOW_NEVER;	/* in a guard: the 32-bit wrap that base + displacement lacks */
	if (off >> 32 == 0)
		result = window_fault(cpu, (lin_t)off, write);
	else
		METER_ADD(cpu, window[WF_GUARD], 1);
	if (result == WINDOW_RETRY)
		return cpu->cpl != 3 || !wary_faulted(s, b, i);
	if (result == WINDOW_NEVER) {
		wary_failed(s, b, i);
	} else {
		wary_faulted(s, b, i);
		s->page_fault = cpu->cpl == 3;
	}
	return false;
}

static bool fault_in_blocks(struct vcpu *cpu, int sig, siginfo_t *info, ucontext_t *uc)
{
	struct scanner *s = cpu->scanner;
	greg_t *r = uc->uc_mcontext.gregs;
	const uint8_t *pc = (const uint8_t *)(uintptr_t)r[REG_RIP];

	struct block *b = cache_block_at(s, pc);
	int i = b ? record_at(b, pc) : -1;
	if (i < 0)
		return false;
	uint64_t reach = (uint64_t)(uintptr_t)info->si_addr - cpu->scan.window;
	if (sig == SIGSEGV && (b->mode & MODE_DIRECT) && (reach < WINDOW_REACH || reach >= -(4ull << 30)) &&
	    window_access(cpu, uc, info->si_addr, b, (unsigned)i))
		return true;
	if (sig == SIGFPE)
		METER_ADD(cpu, window[WF_ARITHMETIC], 1);
	leave(cpu, uc, b, (unsigned)i);
	if (at_string(pc))		/* behind some iterations, as a rule: an interrupt may come before the emulator goes on */
		cpu->eflags |= EFLAGS_RF;
	s->emulate_one = true;
	return true;
}

bool scan_fault(void *arg, int sig, siginfo_t *info, void *ucontext)
{
	struct vcpu *cpu = arg;
	struct scanner *s = cpu->scanner;
	ucontext_t *uc = ucontext;
	greg_t *r = uc->uc_mcontext.gregs;
	const uint8_t *pc = (const uint8_t *)(uintptr_t)r[REG_RIP];

	if (!s)
		return false;
	if (sig == SIGTRAP) {
		if (!s->stepping)
			return false;
		step_or_leave(cpu, uc, true);
		return true;
	}
	if (!within(pc, s->rx, s->rx + s->used))
		return false;
	if (sig == SIGSEGV && in_guard(s, info->si_addr)) {	/* calls without returns: begin again at the bottom */
		r[REG_RSP] = (greg_t)s->ret[cpu->cpl == 3].top;
		return true;
	}
	if (!in_blocks(s, pc) || (sig != SIGSEGV && sig != SIGFPE && sig != SIGBUS))
		return false;
	METER_SPAN(cpu, METER_WINDOW);
	return fault_in_blocks(cpu, sig, info, uc);
}
