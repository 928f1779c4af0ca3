/* See fpu_native.h. A fault arrives as a signal; its handler keeps the state and leaves for 64-bit code. */
#include "tests/insn/fpu_native.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

extern const uint8_t native_blob[], native_blob_exit32[], native_blob_exit64[], native_blob_end[], native_leave_at[];
extern void native_enter(void), native_leave(void);

_Static_assert(offsetof(struct native_block, gpr_in) == BLOCK_GPR_IN, "fpu_native.S");
_Static_assert(offsetof(struct native_block, eflags_out) == BLOCK_EFLAGS_OUT, "fpu_native.S");
_Static_assert(offsetof(struct native_block, mxcsr) == BLOCK_MXCSR, "fpu_native.S");

static const int signals[] = { SIGFPE, SIGSEGV, SIGBUS, SIGILL };
static struct sigaction old_action[ARRAY_LEN(signals)];
static stack_t old_stack;
static uint8_t signal_stack[64 << 10];
static volatile struct native_result result;	/* written by the signal handler */

static void on_fault(int sig, siginfo_t *info, void *context)
{
	static const uint8_t gregs[8] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI };
	ucontext_t *uc = context;
	greg_t *g = uc->uc_mcontext.gregs;
	struct native_block *b = native_block();

	if ((g[REG_CSGSFS] & 0xFFFF) != 0x23) {		/* scanned code's; or the test itself is broken */
		for (unsigned i = 0; i < ARRAY_LEN(signals); i++)
			if (signals[i] == sig && old_action[i].sa_flags & SA_SIGINFO) {
				old_action[i].sa_sigaction(sig, info, context);
				return;
			}
		signal(sig, SIG_DFL);
		return;
	}
	result.vector = (int)g[REG_TRAPNO];
	result.eip = (uint32_t)g[REG_RIP];
	for (unsigned i = 0; i < 8; i++)
		b->gpr_out[i] = (uint32_t)g[gregs[i]];
	b->eflags_out = (uint32_t)g[REG_EFL];
	memcpy(&b->fx_out, uc->uc_mcontext.fpregs, sizeof(b->fx_out));
	uc->uc_mcontext.fpregs->cwd = 0x37F;
	uc->uc_mcontext.fpregs->swd = 0;
	uc->uc_mcontext.fpregs->mxcsr = 0x1F80;
	g[REG_RIP] = NATIVE_CODE + (native_blob_exit64 - native_blob);
	g[REG_CSGSFS] = (g[REG_CSGSFS] & ~0xFFFFll) | 0x33;
}

bool native_init(void)
{
	void *p = mmap((void *)(uintptr_t)NATIVE_BASE, NATIVE_END - NATIVE_BASE, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (p != (void *)(uintptr_t)NATIVE_BASE)
		return false;
	memcpy(p, native_blob, native_blob_end - native_blob);
	uintptr_t leave = (uintptr_t)native_leave;
	memcpy((uint8_t *)p + (native_leave_at - native_blob), &leave, sizeof(leave));

	stack_t ss = { .ss_sp = signal_stack, .ss_size = sizeof(signal_stack) };
	sigaltstack(&ss, &old_stack);
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	for (unsigned i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &sa, &old_action[i]);
	return true;
}

void native_exit(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &old_action[i], NULL);
	sigaltstack(&old_stack, NULL);
	munmap((void *)(uintptr_t)NATIVE_BASE, NATIVE_END - NATIVE_BASE);
}

struct native_result native_run(const uint8_t *code, unsigned len)
{
	uint8_t *at = (uint8_t *)(uintptr_t)NATIVE_INSN;
	int32_t back = NATIVE_CODE + (int32_t)(native_blob_exit32 - native_blob) - (int32_t)(NATIVE_INSN + len + 5);

	memcpy(at, code, len);
	at[len] = 0xE9;
	memcpy(at + len + 1, &back, 4);
	native_block()->mxcsr = 0x1F80;
	result.vector = -1;
	native_enter();
	return result;
}
