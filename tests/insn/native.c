/*
 * Running one instruction on the host, at CPL 3 in a segment of the LDT.
 *
 * A signal handler's return loads all registers at once: SIGUSR1's handler puts the case into its
 * context and returns into it, with TF set; the trap after one instruction (or the fault) comes
 * back as a signal, whose context holds the result and is then replaced by the saved one. DS, ES,
 * FS and GS are not part of a 64-bit signal context: the entry stub reads and loads them.
 */
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/insn/insn.h"

uint8_t *const native_data = (uint8_t *)(uintptr_t)DATA_BASE;

/* Shared with the stub: selectors of the guest segments, going in or just come out. */
struct native_segments {
	uint16_t ds, es, fs, gs;
	uint32_t going;			/* load them on the way out of the handler */
	uint64_t fs_base;		/* ours: where thread-local storage is */
} native_segments __attribute__((visibility("hidden")));

static struct {
	const struct insn_case *c;
	struct insn_state *out;
	gregset_t gregs;		/* of the interrupted native_run() */
	uint8_t fx[416];
	bool inside;
	uint8_t *code;			/* the code window, to be written: where it runs it is read-only */
	struct sigaction old[NSIG];	/* scanned code's faults */
} run;

void native_entry(int sig, siginfo_t *info, void *context) __attribute__((visibility("hidden")));
void native_signal(int sig, siginfo_t *info, void *context) __attribute__((visibility("hidden")));

/*
 * AC comes along into a handler, and our code is not aligned for it. NT and ID, which the instruction
 * may have set, would stay: a signal's return does not change them.
 */
__asm__(
"	.text\n"
"	.globl native_entry\n"
"	.hidden native_entry\n"
"	.type native_entry, @function\n"
"native_entry:\n"
"	pushq	%rdx\n"
"	pushfq\n"
"	andq	$~0x244000, (%rsp)\n"
"	popfq\n"
"	movw	%ds, native_segments(%rip)\n"
"	movw	%es, native_segments+2(%rip)\n"
"	movw	%fs, native_segments+4(%rip)\n"
"	movw	%gs, native_segments+6(%rip)\n"
"	movl	%edi, %r8d\n"
"	movq	%rsi, %r9\n"
"	movl	$158, %eax\n"			/* arch_prctl(ARCH_SET_FS, fs_base) */
"	movl	$0x1002, %edi\n"
"	movq	native_segments+16(%rip), %rsi\n"
"	syscall\n"
"	movl	%r8d, %edi\n"
"	movq	%r9, %rsi\n"
"	movq	(%rsp), %rdx\n"
"	call	native_signal\n"
"	cmpl	$0, native_segments+8(%rip)\n"
"	je	1f\n"
"	movw	native_segments(%rip), %ds\n"
"	movw	native_segments+2(%rip), %es\n"
"	movw	native_segments+4(%rip), %fs\n"
"	movw	native_segments+6(%rip), %gs\n"
"1:	popq	%rdx\n"
"	ret\n"
"	.size native_entry, . - native_entry\n");

static const int greg_of[8] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI };

/* In the FXSAVE image of a 64-bit process, FIP and FDP are 64 bits wide where FCS and FDS would be. */
static void fx_to_host(uint8_t *host, const struct fxstate *fx)
{
	memcpy(host, fx, 416);
	memset(host + 12, 0, 4);
	memset(host + 20, 0, 4);
	uint32_t extended;
	memcpy(&extended, host + 464, 4);
	if (extended == 0x46505853) {		/* FP_XSTATE_MAGIC1: parts marked initial would not be loaded */
		uint64_t present;
		memcpy(&present, host + 512, 8);
		present |= 3;
		memcpy(host + 512, &present, 8);
	}
}

static void enter_case(ucontext_t *uc)
{
	const struct insn_state *s = &run.c->before;
	greg_t *g = uc->uc_mcontext.gregs;

	memcpy(run.gregs, g, sizeof(run.gregs));
	memcpy(run.fx, uc->uc_mcontext.fpregs, sizeof(run.fx));
	for (unsigned r = 0; r < 8; r++)
		g[greg_of[r]] = s->gpr[r];
	g[REG_RIP] = s->eip;
	g[REG_EFL] = s->eflags;
	g[REG_CSGSFS] = (greg_t)(s->seg[SEG_CS] | (uint64_t)s->seg[SEG_SS] << 48);
	fx_to_host((uint8_t *)uc->uc_mcontext.fpregs, &s->fx);
	native_segments.ds = s->seg[SEG_DS];
	native_segments.es = s->seg[SEG_ES];
	native_segments.fs = s->seg[SEG_FS];
	native_segments.gs = s->seg[SEG_GS];
	native_segments.going = 1;
	run.inside = true;
}

static void leave_case(ucontext_t *uc)
{
	struct insn_state *s = run.out;
	greg_t *g = uc->uc_mcontext.gregs;
	uint8_t *fx = (uint8_t *)uc->uc_mcontext.fpregs;

	for (unsigned r = 0; r < 8; r++)
		s->gpr[r] = (uint32_t)g[greg_of[r]];
	s->eip = (uint32_t)g[REG_RIP];
	s->eflags = (uint32_t)g[REG_EFL];
	s->seg[SEG_CS] = (uint16_t)g[REG_CSGSFS];
	s->seg[SEG_SS] = (uint16_t)((uint64_t)g[REG_CSGSFS] >> 48);
	s->seg[SEG_DS] = native_segments.ds;
	s->seg[SEG_ES] = native_segments.es;
	s->seg[SEG_FS] = native_segments.fs;
	s->seg[SEG_GS] = native_segments.gs;
	memcpy(&s->fx, fx, 416);
	s->trap = (uint8_t)g[REG_TRAPNO];
	s->error = (uint32_t)g[REG_ERR];
	s->cr2 = (uint32_t)g[REG_CR2];

	memcpy(g, run.gregs, sizeof(run.gregs));
	memcpy(fx, run.fx, sizeof(run.fx));
	native_segments.going = 0;
	run.inside = false;
}

void native_signal(int sig, siginfo_t *info, void *context)
{
	if (sig == SIGUSR1) {
		enter_case(context);
	} else if (run.inside) {
		leave_case(context);
	} else {
		native_segments.going = 0;
		if (run.old[sig].sa_flags & SA_SIGINFO)
			run.old[sig].sa_sigaction(sig, info, context);
		else			/* the test's own fault */
			signal(sig, SIG_DFL);
	}
}

/* The instruction and an int3, as far as they lie in present pages of the window; or all int3 again. */
static void put_code(const struct insn_case *c, bool in)
{
	for (unsigned i = 0; i <= c->len; i++) {
		uint32_t at = c->before.eip % WINDOW_BYTES + i;
		if (at < WINDOW_BYTES && at / PAGE_BYTES != CODE_HOLE)
			run.code[at] = in ? c->code[i] : 0xCC;
	}
}

void native_run(const struct insn_case *c, struct insn_state *out)
{
	put_code(c, true);
	run.c = c;
	run.out = out;
	raise(SIGUSR1);
	put_code(c, false);
	if (out->trap == EXC_DB && (c->before.eflags & EFLAGS_TF))
		out->trap = NO_TRAP;
	else if (out->trap == EXC_BP && c->to_the_end) {
		out->trap = NO_TRAP;
		out->eip--;			/* the int3 behind the instruction */
	}
	if (out->trap == EXC_PF)
		out->error &= ~0x10u;		/* I/D: the guest runs without NX */
	else
		out->cr2 = 0;
	for (unsigned i = 0; i < 6; i++)	/* the kernel's IRETs take a null selector's RPL */
		if (out->seg[i] < 4)
			out->seg[i] = 0;
}

static const char *map_windows(void)
{
	uint8_t *code = (uint8_t *)(uintptr_t)CODE_BASE;
	int fd = memfd_create("insn-test", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, WINDOW_BYTES) < 0)
		return "memfd_create failed";
	run.code = mmap(NULL, WINDOW_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (run.code == MAP_FAILED ||
	    mmap(code, WINDOW_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0) != code ||
	    mmap(native_data, WINDOW_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != native_data)
		return "the addresses of the windows are taken";
	close(fd);
	memset(run.code, 0xCC, WINDOW_BYTES);
	memset(native_data, 0xCC, WINDOW_BYTES);
	if (mprotect(code + CODE_HOLE * PAGE_BYTES, PAGE_BYTES, PROT_NONE) < 0 ||
	    mprotect(native_data + DATA_HOLE * PAGE_BYTES, PAGE_BYTES, PROT_NONE) < 0 ||
	    mprotect(native_data + DATA_READ_ONLY * PAGE_BYTES, PAGE_BYTES, PROT_READ) < 0)
		return "mprotect failed";
	return NULL;
}

static const char *make_ldt(void)
{
	for (unsigned i = 0; i < LDT_COUNT; i++) {
		const struct ldt_entry *e = &ldt_entries[i];
		struct user_desc d = {
			.entry_number = i, .base_addr = e->base, .limit = e->limit > 0xFFFFF ? 0xFFFFF : e->limit,
			.limit_in_pages = e->limit > 0xFFFFF, .seg_32bit = e->big,
			.contents = e->type >> 2 & 3, .read_exec_only = !(e->type & 2),
			.seg_not_present = e->absent, .useable = 1,
		};
		if (syscall(SYS_modify_ldt, 0x11, &d, sizeof(d)) < 0)
			return "modify_ldt is not available";
	}
	return NULL;
}

const char *native_init(void)
{
	static uint8_t stack[256 << 10];
	static const int signals[] = { SIGUSR1, SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS };
	const char *why;

	if ((why = map_windows()) || (why = make_ldt()))
		return why;
	if (syscall(SYS_arch_prctl, ARCH_GET_FS, &native_segments.fs_base) < 0)
		return "arch_prctl is not available";
	if (sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = sizeof(stack) }, NULL) < 0)
		return "sigaltstack failed";
	for (unsigned i = 0; i < ARRAY_LEN(signals); i++) {
		struct sigaction sa = { .sa_sigaction = native_entry, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
		if (sigaction(signals[i], &sa, &run.old[signals[i]]) < 0)
			return "sigaction failed";
	}
	return NULL;
}
