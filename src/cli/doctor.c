/*
 * plex86 doctor: what this host offers, and what that means for speed.
 */
#include "cli/options.h"
#include "host/probe.h"
#include "host/sandbox.h"

static void say(FILE *f, const char *what, bool good, const char *yes, const char *no)
{
	fprintf(f, "  %-22s %-4s %s\n", what, good ? "yes" : "no", good ? yes : no);
}

static void doctor_sandbox(FILE *f)
{
	struct sandbox_offer s;
	char abi[80];

	host_sandbox_probe(&s);
	snprintf(abi, sizeof(abi), "files and TCP ports are refused a second time (ABI %d)", s.landlock);
	fprintf(f, "Sandbox (--sandbox=on, the default):\n");
	say(f, "seccomp filters", s.seccomp, "the running monitor keeps the system calls it needs, no others",
	    "refused (a container without them?): the monitor keeps all system calls");
	say(f, "Landlock", s.landlock > 0, abi, "this kernel has none: seccomp alone keeps files away");
	say(f, "openat2", s.openat2, "files named later are opened by a process of their own",
	    "files named later (media, screendumps) cannot be opened: use --sandbox=off for them");
	say(f, "user namespaces", s.user_namespaces, "--sandbox=on,namespaces=on takes network and root folder away too",
	    "not given to us: --sandbox=on,namespaces=on cannot work");
}

int doctor(FILE *f)
{
	struct host_facts h;

	host_probe(&h);
	fprintf(f, "Processor: %s\n", h.cpu);
	say(f, "FSGSBASE", h.fsgsbase, "switching the guest's address space costs one instruction (6 ns)",
	    "switching the guest's address space takes a system call (0.2 us): slower system calls in the guest");
	say(f, "invariant TSC", h.invariant_tsc, "the guest's time-stamp counter follows the host's",
	    "the guest's time-stamp counter is made from the host's clock");
	say(f, "protection keys (PKU)", h.pku, "there, not used: two windows are cheaper", "not needed");
	say(f, "32-bit code segments", h.compat_code, "instructions can be compared with this processor's own; direct runs possible",
	    "modify_ldt refused: no comparison with this processor, no direct runs; the other engines do not care");
	say(f, "no shadow stack", !h.shadow_stack, "calls and returns of the guest can use the host's",
	    "a hardware shadow stack is on: start plex86 without it (GLIBC_TUNABLES=glibc.cpu.x86_shstk=off)");
	say(f, "memfd", h.memfd, "guest memory is one file, given out page by page as it is touched",
	    "guest memory cannot be made: plex86 will not run here");
	fprintf(f, "  %-22s %-4ld %s\n", "vm.max_map_count", h.max_map_count,
	    h.max_map_count < 0 ? "cannot be read; 65530 is assumed" :
	    h.max_map_count < 16384 ? "few: hot address spaces are mapped less, more accesses are checked ones" :
	    "enough for windows of many address spaces");
	fprintf(f, "  %-22s %-4ld %s\n", "vm.mmap_min_addr", h.mmap_min_addr, "the lowest pages of the host are not ours; plex86 needs none of them");
	fprintf(f, "  %-22s %llu MiB, %llu MiB free\n", "memory", (unsigned long long)h.memory_bytes >> 20,
	    (unsigned long long)h.free_bytes >> 20);
	if (h.address_space_limit != UINT64_MAX)
		fprintf(f, "  %-22s %llu MiB: a window takes 4 GiB of addresses: raise it (ulimit -v unlimited)\n",
		    "address space limit", (unsigned long long)h.address_space_limit >> 20);
	doctor_sandbox(f);
	return h.memfd ? 0 : 2;
}
