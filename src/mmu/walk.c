/*
 * The guest's page tables: 32-bit paging with 4 KiB and 4 MiB pages, PAE with 4 KiB and 2 MiB
 * pages and NX.							[SDM 3, "Paging"]
 *
 * A and D are set only when the whole translation is allowed; the SDM leaves open whether an upper
 * entry's A is set by a walk that fails further down.
 * Left out: PSE-36 (CPUID does not announce it: bits 21:13 of a 4 MiB PDE are reserved).
 */
#include "mmu/phys.h"
#include "mmu/walk.h"

enum {
	PTE_P = BIT(0), PTE_W = BIT(1), PTE_U = BIT(2), PTE_A = BIT(5), PTE_D = BIT(6), PTE_PS = BIT(7),
	PTE_G = BIT(8),
};
#define PTE_NX (1ULL << 63)
#define PAE_ADDR 0x0000000FFFFFF000ULL		/* MAXPHYADDR 36 */
#define PAE_RSVD 0x7FFFFFF000000000ULL

struct entry {
	gpa_t at;
	uint64_t val;
};

/* One level: fetch, check P and reserved bits. False: *error says why. */
static bool fetch(struct vcpu *cpu, struct entry *e, gpa_t at, unsigned size, uint64_t reserved, uint32_t *error)
{
	e->at = at;
	e->val = phys_read_n(cpu->phys, at, 4);
	if (size == 8)
		e->val |= (uint64_t)phys_read_n(cpu->phys, at + 4, 4) << 32;
	if (!(e->val & PTE_P)) {
		*error = 0;
		return false;
	}
	if (e->val & reserved) {
		*error = PF_P | PF_RSVD;
		return false;
	}
	return true;
}

static void set_bits(struct vcpu *cpu, const struct entry *e, uint32_t bits)
{
	if ((e->val & bits) == bits)
		return;
	uint8_t *host = cpu->watcher ? phys_host(cpu->phys, e->at, true) : NULL;
	if (host)
		cpu->watcher->writes(cpu->watcher, phys_fd_page(cpu->phys, host), true);
	phys_write_n(cpu->phys, e->at, 4, (uint32_t)e->val | bits);
}

/* The levels of both formats. leaf is the entry that maps the page, upper the one above (or none). */
static bool descend(struct vcpu *cpu, lin_t lin, struct entry *upper, struct entry *leaf, struct walk *w,
    uint64_t *rights)
{
	if (!(cpu->cr4 & CR4_PAE)) {
		bool pse = cpu->cr4 & CR4_PSE;
		if (!fetch(cpu, leaf, (cpu->cr3 & 0xFFFFF000u) + (lin >> 22) * 4, 4, 0, &w->error_code))
			return false;
		*rights = leaf->val;
		if (pse && leaf->val & PTE_PS) {
			if (leaf->val & 0x003FE000) {
				w->error_code = PF_P | PF_RSVD;
				return false;
			}
			w->large = true;
			w->gpa = (leaf->val & 0xFFC00000) | (lin & 0x003FFFFF);
			return true;
		}
		*upper = *leaf;
		if (!fetch(cpu, leaf, (upper->val & 0xFFFFF000u) + (lin >> 12 & 0x3FF) * 4, 4, 0, &w->error_code))
			return false;
		*rights &= leaf->val;
		w->gpa = (leaf->val & 0xFFFFF000) | (lin & PAGE_MASK);
		return true;
	}
	uint64_t reserved = PAE_RSVD | (cpu->efer & EFER_NXE ? 0 : PTE_NX);
	uint64_t pdpte = cpu->pdpte[lin >> 30];
	if (!(pdpte & PTE_P)) {
		w->error_code = 0;
		return false;
	}
	if (!fetch(cpu, leaf, (pdpte & PAE_ADDR) + (lin >> 21 & 0x1FF) * 8, 8, reserved, &w->error_code))
		return false;
	*rights = leaf->val;
	w->nx = leaf->val & PTE_NX;
	if (leaf->val & PTE_PS) {
		if (leaf->val & 0x001FE000) {
			w->error_code = PF_P | PF_RSVD;
			return false;
		}
		w->large = true;
		w->gpa = (leaf->val & PAE_ADDR & ~0x1FFFFFULL) | (lin & 0x1FFFFF);
		return true;
	}
	*upper = *leaf;
	if (!fetch(cpu, leaf, (upper->val & PAE_ADDR) + (lin >> 12 & 0x1FF) * 8, 8, reserved, &w->error_code))
		return false;
	*rights &= leaf->val;
	w->nx |= (leaf->val & PTE_NX) != 0;
	w->gpa = (leaf->val & PAE_ADDR) | (lin & PAGE_MASK);
	return true;
}

struct walk guest_walk(struct vcpu *cpu, lin_t lin, enum access kind, bool user, bool set_ad)
{
	struct walk w = { 0 };
	if (!(cpu->cr0 & CR0_PG)) {
		return (struct walk){ .ok = true, .gpa = lin, .writable = true, .dirty = true, .large = true,
			.user = true, .accessed = true };
	}
	bool nx_on = (cpu->cr4 & CR4_PAE) && (cpu->efer & EFER_NXE);
	uint32_t what = (kind == ACCESS_WRITE ? PF_W : 0) | (user ? PF_U : 0) |
	    (kind == ACCESS_CODE && nx_on ? PF_I : 0);
	struct entry upper = { 0 }, leaf;
	uint64_t rights = 0;
	if (!descend(cpu, lin, &upper, &leaf, &w, &rights)) {
		w.error_code |= what;
		return w;
	}
	w.user = rights & PTE_U;
	w.writable = (rights & PTE_W) || (!user && !(cpu->cr0 & CR0_WP));
	if ((user && !w.user) || (kind == ACCESS_WRITE && !w.writable) || (kind == ACCESS_CODE && w.nx)) {
		w.error_code = PF_P | what;
		return w;
	}
	w.ok = true;
	w.global = (leaf.val & PTE_G) && (cpu->cr4 & CR4_PGE);
	w.dirty = (leaf.val & PTE_D) || kind == ACCESS_WRITE;
	w.accessed = (leaf.val & PTE_A) || set_ad;
	if (set_ad) {
		if (upper.val)
			set_bits(cpu, &upper, PTE_A);
		set_bits(cpu, &leaf, PTE_A | (kind == ACCESS_WRITE ? PTE_D : 0));
	}
	return w;
}

bool mmu_translate(struct vcpu *cpu, lin_t lin, gpa_t *gpa)
{
	struct walk w = guest_walk(cpu, lin, ACCESS_READ, false, false);
	*gpa = w.gpa;
	return w.ok;
}

void mmu_load_pdpte(struct vcpu *cpu)
{
	uint64_t pdpte[4];
	for (unsigned i = 0; i < 4; i++) {
		gpa_t at = (cpu->cr3 & 0xFFFFFFE0u) + i * 8;
		pdpte[i] = phys_read_n(cpu->phys, at, 4) | (uint64_t)phys_read_n(cpu->phys, at + 4, 4) << 32;
		if (pdpte[i] & PTE_P && pdpte[i] & (PAE_RSVD | PTE_NX | 0x1E6))
			cpu_raise(cpu, EXC_GP, 0);
	}
	memcpy(cpu->pdpte, pdpte, sizeof(pdpte));
}
