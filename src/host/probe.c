#include "host/probe.h"

#include <asm/ldt.h>
#include <cpuid.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/gsbase.h"

static long read_number(const char *path)
{
	long n = -1;
	FILE *f = fopen(path, "re");

	if (f) {
		if (fscanf(f, "%ld", &n) != 1)
			n = -1;
		fclose(f);
	}
	return n;
}

static void probe_cpuid(struct host_facts *facts)
{
	unsigned a, b, c, d;

	for (unsigned i = 0; i < 3; i++) {
		unsigned r[4] = { 0 };

		__get_cpuid(0x80000002 + i, &r[0], &r[1], &r[2], &r[3]);
		memcpy(facts->cpu + 16 * i, r, 16);
	}
	/* OSPKE: the system has switched it on, not just the processor has it. */
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
		facts->pku = c >> 4 & 1;
	facts->invariant_tsc = host_tsc_steady();
}

/*
 * Into a 32-bit code segment and back: run from a page below 4 GiB, on a stack below 4 GiB, since a far
 * call with 32-bit operands pushes 32-bit addresses.	rdi: stack, rsi: far pointer to the 32-bit part
 */
__asm__(".pushsection .rodata\n"
	"compat_begin:\n"
	"	push %r12\n"
	"	mov %rsp, %r12\n"
	"	mov %edi, %esp\n"
	"	lcall *(%rsi)\n"
	"	mov %r12, %rsp\n"
	"	pop %r12\n"
	"	ret\n"
	"compat_32:\n"
	"	.code32\n"
	"	mov $1234, %eax\n"
	"	lret\n"
	"	.code64\n"
	"compat_end:\n"
	".popsection\n");
extern const uint8_t compat_begin[], compat_32[], compat_end[];

static bool run_compat(uint16_t selector)
{
	struct { uint32_t offset; uint16_t selector; } __attribute__((packed)) target;
	uint8_t *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	bool ok = false;

	if (page == MAP_FAILED)
		return false;
	memcpy(page, compat_begin, (size_t)(compat_end - compat_begin));
	target.offset = (uint32_t)(uintptr_t)page + (uint32_t)(compat_32 - compat_begin);
	target.selector = selector;
	if (mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0) {
		int (*fn)(uint8_t *stack, void *target);

		memcpy(&fn, &page, sizeof(fn));
		ok = fn(page + 8192, &target) == 1234;
	}
	munmap(page, 8192);
	return ok;
}

static bool probe_compat(void)
{
	struct user_desc d = { .entry_number = 0, .base_addr = 0, .limit = 0xFFFFF, .seg_32bit = 1,
	    .contents = MODIFY_LDT_CONTENTS_CODE, .limit_in_pages = 1, .useable = 1 };
	struct user_desc none = { .entry_number = 0, .read_exec_only = 1, .seg_not_present = 1 };

	if (syscall(SYS_modify_ldt, 0x11, &d, sizeof(d)) != 0)
		return false;
	bool ok = run_compat(7);	/* entry 0 of the LDT, RPL 3 */
	syscall(SYS_modify_ldt, 0x11, &none, sizeof(none));
	return ok;
}

static bool probe_shadow_stack(void)
{
	char line[128];
	bool on = false;
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "x86_Thread_features:", 20) == 0 && strstr(line, "shstk"))
			on = true;
	if (f)
		fclose(f);
	return on;
}

void host_probe(struct host_facts *facts)
{
	struct sysinfo si;
	struct rlimit rl;

	*facts = (struct host_facts){ 0 };
	probe_cpuid(facts);
	facts->fsgsbase = host_has_fsgsbase();
	facts->max_map_count = read_number("/proc/sys/vm/max_map_count");
	facts->mmap_min_addr = read_number("/proc/sys/vm/mmap_min_addr");
	facts->compat_code = probe_compat();
	facts->shadow_stack = probe_shadow_stack();
	int fd = memfd_create("plex86-doctor", MFD_CLOEXEC);
	facts->memfd = fd >= 0;
	if (fd >= 0)
		close(fd);
	if (sysinfo(&si) == 0) {
		facts->memory_bytes = (uint64_t)si.totalram * si.mem_unit;
		facts->free_bytes = (uint64_t)(si.freeram + si.bufferram) * si.mem_unit;
	}
	facts->address_space_limit = UINT64_MAX;
	if (getrlimit(RLIMIT_AS, &rl) == 0 && rl.rlim_cur != RLIM_INFINITY)
		facts->address_space_limit = rl.rlim_cur;
}
