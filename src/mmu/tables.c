/*
 * The guest's page tables as a whole, for people: every mapping, without touching A or D.	[SDM 3, "Paging"]
 */
#include "mmu/phys.h"
#include "mmu/walk.h"

enum { ENTRY_P = BIT(0), ENTRY_PS = BIT(7) };
#define ENTRY_ADDRESS 0x0000000FFFFFF000ULL

/* An entry of a table in RAM or ROM; anything else reads as not present. */
static uint64_t entry(struct vcpu *cpu, gpa_t at, unsigned size)
{
	const uint8_t *host = phys_host(cpu->phys, at, false);
	uint64_t val = 0;

	if (host)
		memcpy(&val, host, size);
	return val & ENTRY_P ? val : 0;
}

struct tables {
	struct vcpu *cpu;
	mapping_fn *fn;
	void *arg;
	unsigned size;			/* of an entry: 4, or 8 with PAE */
};

/* What a mapping allows is what all levels allow; NX is what any level forbids. */
static uint64_t combine(uint64_t upper, uint64_t leaf)
{
	return (leaf & ~(uint64_t)(MAPPING_W | MAPPING_U)) | (leaf & upper & (MAPPING_W | MAPPING_U)) | ((upper | leaf) & MAPPING_NX);
}

/* One page directory: 1024 entries for 4 MiB each, or with PAE 512 for 2 MiB each. */
static void directory(const struct tables *t, gpa_t at, lin_t lin)
{
	unsigned n = PAGE_BYTES / t->size, big_shift = t->size == 8 ? 21 : 22;
	bool big_pages = t->size == 8 || (t->cpu->cr4 & CR4_PSE);

	for (unsigned i = 0; i < n; i++) {
		uint64_t pde = entry(t->cpu, at + i * t->size, t->size);
		lin_t first = lin + ((lin_t)i << big_shift);

		if (pde & ENTRY_PS && big_pages) {
			uint64_t mask = ~((1ull << big_shift) - 1) & ENTRY_ADDRESS;
			t->fn(t->arg, &(struct mapping){ first, 1u << big_shift, pde & mask, pde });
			continue;
		}
		for (unsigned k = 0; pde && k < n; k++) {
			uint64_t pte = entry(t->cpu, (pde & ENTRY_ADDRESS) + k * t->size, t->size);

			if (pte)	/* bit 7 of a PTE is PAT */
				t->fn(t->arg, &(struct mapping){ first + k * PAGE_BYTES, PAGE_BYTES, pte & ENTRY_ADDRESS,
				    combine(pde, pte) & ~(uint64_t)ENTRY_PS });
		}
	}
}

void mmu_each_mapping(struct vcpu *cpu, mapping_fn *fn, void *arg)
{
	struct tables t = { .cpu = cpu, .fn = fn, .arg = arg, .size = cpu->cr4 & CR4_PAE ? 8 : 4 };

	if (t.size == 4) {
		directory(&t, cpu->cr3 & 0xFFFFF000u, 0);
		return;
	}
	for (unsigned i = 0; i < 4; i++)
		if (cpu->pdpte[i] & ENTRY_P)
			directory(&t, cpu->pdpte[i] & ENTRY_ADDRESS, (lin_t)i << 30);
}
