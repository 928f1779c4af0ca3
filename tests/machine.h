/*
 * A tiny machine for tests: a processor, RAM and nothing else. Ports read as their number and note
 * what was written.
 */
#ifndef PLEX86_TESTS_MACHINE_H
#define PLEX86_TESTS_MACHINE_H

#include "emulate/emulate.h"
#include "mmu/phys.h"

struct machine {
	struct vcpu cpu;
	struct phys phys;
	unsigned io_reads, io_writes;
	uint16_t io_port;		/* last */
	uint32_t io_val;		/* last written */
	uint8_t vector;			/* the controller's answer; its line falls */
	unsigned code_writes;		/* reports of phys.code_written */
	bool direct;			/* machine_scan() */
};

struct host_kick;

struct machine *machine_new(uint64_t ram_bytes);
void machine_init(struct machine *m, uint64_t ram_bytes);	/* one that lies in something of the caller's, aligned to 64 */
void machine_free(struct machine *m);

/* Flat 32-bit protected mode at CPL 0, paging off, EIP 1000h, ESP 80000h, interrupts off. */
void machine_protected32(struct machine *m);
/* Real mode at 0000:1000, SP 8000h. */
void machine_real(struct machine *m);
void machine_segment(struct machine *m, unsigned seg, uint16_t selector, uint32_t base, uint32_t limit, uint16_t attr);

void machine_write(struct machine *m, gpa_t gpa, const void *bytes, size_t len);
uint32_t machine_read32(struct machine *m, gpa_t gpa);
#define machine_code(m, gpa, ...)	machine_write(m, gpa, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* Scanned code for this machine, every block of it verified; a cache of cache_bytes (0: the usual). */
void machine_scan_freely(struct machine *m, size_t cache_bytes);
/* The same, but memory goes through windows wherever it can (direct), or through the table only. */
void machine_scan(struct machine *m, size_t cache_bytes, bool direct);
/* What is written anew is scanned each time, not emulated first. */
void machine_scan_eagerly(struct machine *m);
/* Run scanned code until HLT, a triple fault, a stop, or attention other than kicks. */
enum next machine_scan_run(struct machine *m);
/* The same for so long at most: it ends with ATTN_KICK. */
enum next machine_scan_for(struct machine *m, long ns);
/* Where signals go: to the machine that runs. Made by the first that scans. */
struct host_kick *machine_kick(void);

/* Run until HLT, a triple fault or max instructions; icount starts at 0. */
enum next machine_run(struct machine *m, uint64_t max);

#endif
