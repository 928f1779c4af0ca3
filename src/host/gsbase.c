/* See gsbase.h. WRGSBASE may be used when the kernel says so, not when CPUID does. */
#include "host/gsbase.h"

#include <asm/prctl.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HWCAP2_FSGSBASE 2

bool host_has_fsgsbase(void)
{
	return getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
}

void host_set_gs_base(uint64_t base)
{
	if (host_has_fsgsbase())
		__asm__ volatile("wrgsbase %0" : : "r"(base));
	else
		syscall(SYS_arch_prctl, ARCH_SET_GS, base);
}

uint64_t host_gs_base(void)
{
	uint64_t base = 0;

	if (host_has_fsgsbase())
		__asm__ volatile("rdgsbase %0" : "=r"(base));
	else
		syscall(SYS_arch_prctl, ARCH_GET_GS, &base);
	return base;
}
