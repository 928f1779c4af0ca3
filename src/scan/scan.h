/*
 * Tier 1: scan before execute. Guest code is decoded once, before it runs, into blocks of host
 * code; almost every instruction becomes itself.			[docs/design/scan.md]
 */
#ifndef PLEX86_SCAN_SCAN_H
#define PLEX86_SCAN_SCAN_H

#include <signal.h>
#include <stdio.h>

#include "cpu/vcpu.h"

/* Code cache of cache_bytes (0: the default), for one vCPU. 0 or -errno. */
int scan_init(struct vcpu *cpu, size_t cache_bytes);
void scan_free(struct vcpu *cpu);

/* List blocks in /tmp/perf-PID.map as they are made, where perf looks for names. 0 or -errno. */
int scan_perf_map(struct vcpu *cpu);

/* meters.insns shall count what scanned code retires, exactly. Before the first block is made. */
void scan_count_instructions(struct vcpu *cpu);

/* icount is exact from now on, as tier 0 counts, and scan_run() ends when it is that (icount_stop). Scanned code counts as it
 * goes; the last few instructions are emulated. UINT64_MAX: as fast as without. Not while scan_run() is on, not in lock-step. */
void scan_count_to(struct vcpu *cpu, uint64_t icount);

/* For this run: stop with a report at instructions that match (scan/vmap.h); -EINVAL: no such
 * mnemonic, -ENOSPC: too many. Before the first block is made. */
int scan_virtualize(struct vcpu *cpu, const char *spec);

/* Split I and D: a data access to a page that holds scanned code stops with a report. */
void scan_protect_code(struct vcpu *cpu);

/* Run until attention, HLT or a triple fault, like emulate_run(). Modes and instructions that are
 * not scanned are emulated. */
enum next scan_run(struct vcpu *cpu);

/* Bytes of a page with code changed: drop the blocks made from any of them. decoded: the emulator had some, too. */
void scan_code_written(struct vcpu *cpu, uint64_t fd_offset, unsigned len, bool decoded);
void scan_flush(struct vcpu *cpu);		/* every block: the physical map changed */

/* --verify-code: every block from now on is checked before it runs (scan/verify.h). 0 or -errno. */
int scan_verify(struct vcpu *cpu);
void scan_verify_summary(struct vcpu *cpu, FILE *f);
const char *scan_stop_text(const struct vcpu *cpu);	/* why scan_run() returned NEXT_STOP */

/* --engine lockstep: from now on scan_run() compares every block with the emulator. The first difference
 * ends it (NEXT_STOP) and is told in full to report, unless that is NULL. 0 or -errno. */
int scan_lockstep(struct vcpu *cpu, FILE *report);
void scan_lockstep_summary(struct vcpu *cpu, FILE *f);

/* The calling thread runs the vCPU from now on, or has run another one or set GS since: before scan_run().
 * scan_init() does it for the thread that calls it. */
void scan_attach(struct vcpu *cpu);

/* Signal hooks (host/signals.h, host/kick.h); arg is the vcpu. Harmless where the vCPU has no scanner. */
void scan_kick(void *arg, void *ucontext);
/* Was a handler interrupted that itself interrupted scanned code, and runs on its return stack? */
bool scan_under_handler(const struct vcpu *cpu, const void *ucontext);
void scan_tick(void *arg, void *ucontext);
bool scan_fault(void *arg, int sig, siginfo_t *info, void *ucontext);

/*
 * For a profile, in a signal that interrupted the vCPU's thread: was it scanned code? Then the EIP, EBP and ESP of the
 * instruction; on the way into and out of it what struct vcpu has stays. Changes nothing.
 */
bool scan_where(struct vcpu *cpu, void *ucontext, uint32_t *eip, uint32_t *ebp, uint32_t *esp);

#endif
