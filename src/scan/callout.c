/*
 * The border between scanned code and the monitor, for the guest's x87, MMX and SSE state.
 *
 * Scanned code works on the host's own registers, and any C function may use those: its prologue is enough,
 * where a sanitizer clears the shadow of its frame. So what runs before they are put aside and after they are
 * loaded again is here, compiled without SSE and x87 (meson.build); the monitor proper never has them live.
 */
#include "scan/internal.h"

#define HOST_MXCSR_DEFAULT 0x1F80u

static const uint32_t host_mxcsr = HOST_MXCSR_DEFAULT;

/* True: they were live. */
static bool put_aside(struct vcpu *cpu)
{
	if (!cpu->fx_live)
		return false;
	__asm__ volatile("fxsave64 %0" : "=m"(cpu->fx));
	__asm__ volatile("fninit; ldmxcsr %0" : : "m"(host_mxcsr));
	cpu->fx_live = false;
	fpu_saved(cpu);
	return true;
}

static uint8_t *back(struct vcpu *cpu, uint8_t *host)
{
	struct scanner *s = cpu->scanner;
	if (s->fpu_wanted) {
		s->fpu_wanted = false;
		s->fcs = cpu->fx.fcs;
		s->fds = cpu->fx.fds;
		__asm__ volatile("fxrstor %0" : : "m"(cpu->fx));
		cpu->fx_live = true;
	}
	return host;
}

#define CALLOUT(name)										\
uint8_t *callout_##name(struct vcpu *cpu, uint32_t number, uint32_t lin)			\
{												\
	bool fpu_was_live = put_aside(cpu);							\
	return back(cpu, scan_##name(cpu, number, lin, fpu_was_live));				\
}
CALLOUT(slow)
CALLOUT(emulate)
CALLOUT(link)
CALLOUT(indirect)
CALLOUT(fpu)
CALLOUT(limit)

/* The quick way touches none of it; the rest is as above. */
uint8_t *callout_quick(struct vcpu *cpu, uint32_t number, uint32_t lin)
{
	uint8_t *host = scan_quick(cpu, number);
	if (host && host != QUICK_DISPATCH)
		return host;
	bool fpu_was_live = put_aside(cpu);
	return back(cpu, host ? scan_quick_dispatch(cpu) : scan_quick_missed(cpu, number, lin, fpu_was_live));
}

void callout_enter(struct vcpu *cpu, uint8_t *host)
{
	((void (*)(struct vcpu *, uint8_t *))(uintptr_t)cpu->scanner->glue.enter)(cpu, host);
	put_aside(cpu);
}
