/*
 * The guest's page tables.						[SDM 3, "Paging"]
 */
#ifndef PLEX86_MMU_WALK_H
#define PLEX86_MMU_WALK_H

#include "mmu/mmu.h"

struct walk {
	bool ok;
	uint32_t error_code;	/* !ok: what #PF pushes */
	gpa_t gpa;		/* ok: of the byte asked for, before the A20 mask */
	bool writable;		/* a write with the same rights would be allowed now... */
	bool dirty;		/* ... and D is already set (always, with paging off) */
	bool accessed;		/* A is set: touched before, or now */
	bool global;		/* G, and CR4.PGE is on */
	bool large;		/* 2 or 4 MiB page, or paging off */
	bool user;		/* U/S: user code may read it */
	bool nx;		/* not executable */
};

/* Translate lin for an access of this kind. Sets A and, for a write, D, if set_ad and it is allowed.
 * Raises nothing. */
struct walk guest_walk(struct vcpu *cpu, lin_t lin, enum access kind, bool user, bool set_ad);

/* --- tables.c: all of them, in ascending order, for people. Not while paging is off. --- */

enum {					/* struct mapping.flags: as in the entry */
	MAPPING_W = BIT(1), MAPPING_U = BIT(2), MAPPING_PWT = BIT(3), MAPPING_PCD = BIT(4), MAPPING_A = BIT(5), MAPPING_D = BIT(6),
	MAPPING_PS = BIT(7), MAPPING_G = BIT(8),
};
#define MAPPING_NX (1ull << 63)
struct mapping {
	lin_t lin;
	uint32_t bytes;
	gpa_t gpa;
	uint64_t flags;			/* W, U and NX: of all levels together */
};
typedef void mapping_fn(void *arg, const struct mapping *m);
void mmu_each_mapping(struct vcpu *cpu, mapping_fn *fn, void *arg);

#endif
