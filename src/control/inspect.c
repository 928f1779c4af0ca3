#include "control/inspect.h"

#include "mmu/walk.h"
#include "vm.h"

/* --- page tables --- */

static void tlb_line(void *arg, const struct mapping *m)
{
	uint64_t e = m->flags;

	fprintf(arg, "%016llx: %016llx %c%c%c%c%c%c%c%c%c\r\n", (unsigned long long)m->lin, (unsigned long long)m->gpa,
	    e & MAPPING_NX ? 'X' : '-', e & MAPPING_G ? 'G' : '-', e & MAPPING_PS ? 'P' : '-', e & MAPPING_D ? 'D' : '-',
	    e & MAPPING_A ? 'A' : '-', e & MAPPING_PCD ? 'C' : '-', e & MAPPING_PWT ? 'T' : '-', e & MAPPING_U ? 'U' : '-',
	    e & MAPPING_W ? 'W' : '-');
}

static bool paging(struct vm *vm, FILE *f)
{
	if (vm->cpu.cr0 & CR0_PG)
		return true;
	fputs("PG disabled\r\n", f);
	return false;
}

void inspect_tlb(struct vm *vm, FILE *f)
{
	if (paging(vm, f))
		mmu_each_mapping(&vm->cpu, tlb_line, f);
}

struct run {				/* of mappings that lie one behind the other, with the same rights */
	FILE *f;
	uint64_t first, end;
	uint64_t rights;
};

static void mem_line(const struct run *r)
{
	if (r->end > r->first)
		fprintf(r->f, "%016llx-%016llx %016llx %cr%c\r\n", (unsigned long long)r->first, (unsigned long long)r->end,
		    (unsigned long long)(r->end - r->first), r->rights & MAPPING_U ? 'u' : '-', r->rights & MAPPING_W ? 'w' : '-');
}

static void mem_mapping(void *arg, const struct mapping *m)
{
	struct run *r = arg;
	uint64_t rights = m->flags & (MAPPING_U | MAPPING_W);

	if (m->lin != r->end || rights != r->rights) {
		mem_line(r);
		r->first = m->lin;
		r->rights = rights;
	}
	r->end = (uint64_t)m->lin + m->bytes;
}

void inspect_mem(struct vm *vm, FILE *f)
{
	struct run r = { .f = f };

	if (!paging(vm, f))
		return;
	mmu_each_mapping(&vm->cpu, mem_mapping, &r);
	mem_line(&r);
}

/* --- interrupt controllers --- */

static void inspect_ioapic(const struct ioapic *io, FILE *f)
{
	static const char *const modes[] = { "fixed", "lowest", "SMI", "...", "NMI", "INIT", "...", "extINT" };

	fprintf(f, "ioapic0: ver=0x11 id=0x%02x sel=0x%02x\r\n", io->id, io->select);
	for (unsigned i = 0; i < IOAPIC_PINS; i++) {
		uint64_t e = io->redirect[i];

		fprintf(f, "  pin %-2u 0x%016llx dest=%u vec=%-3u %-9s %-5s %s%s%s %s\r\n", i, (unsigned long long)e,
		    (unsigned)(e >> 56), (unsigned)(e & 0xFF), e & BIT(13) ? "active-lo" : "active-hi", e & BIT(15) ? "level" : "edge",
		    e & BIT(14) ? "RIRR " : "", e & BIT(16) ? "masked " : "", modes[e >> 8 & 7], e & BIT(11) ? "logical" : "physical");
	}
}

void inspect_pic(struct vm *vm, FILE *f)
{
	inspect_ioapic(&vm->chipset.ioapic, f);
	for (unsigned i = 0; i < 2; i++) {
		const struct pic_chip *c = &vm->pc.pic.chip[i];

		fprintf(f, "pic%u: irr=%02x imr=%02x isr=%02x hprio=%u irq_base=%02x rr_sel=%u elcr=%02x fnm=%u\r\n", i, c->irr, c->imr,
		    c->isr, (c->lowest + 1u) & 7, c->icw2 & 0xF8u, c->read_isr, c->elcr, c->icw4 >> 4 & 1);
	}
}

static void irq_counts(FILE *f, const char *name, const uint64_t *count, unsigned n)
{
	fprintf(f, "IRQ statistics for %s:\r\n", name);
	for (unsigned i = 0; i < n; i++)
		if (count[i])
			fprintf(f, "%2u: %llu\r\n", i, (unsigned long long)count[i]);
}

void inspect_irq(struct vm *vm, FILE *f)
{
	irq_counts(f, "isa-i8259", vm->pc.pic.raised, ARRAY_LEN(vm->pc.pic.raised));
	irq_counts(f, "ioapic", vm->chipset.ioapic.raised, IOAPIC_PINS);
}

static void lvt_line(FILE *f, const char *name, uint32_t lvt, bool timer)
{
	static const char *const modes[] = { "Fixed", "Lowest", "SMI", "...", "NMI", "INIT", "SIPI", "ExtINT" };

	fprintf(f, "%-7s 0x%08x %s %-5s %-6s %-8s %s (vec %u)\r\n", name, lvt, lvt & BIT(13) ? "active-lo" : "active-hi",
	    lvt & BIT(15) ? "level" : "edge", lvt & BIT(16) ? "masked" : "", !timer ? "" : lvt & BIT(17) ? "periodic" : "one-shot",
	    modes[lvt >> 8 & 7], lvt & 0xFF);
}

static void vectors(FILE *f, const char *name, const uint32_t bits[8], const uint32_t level[8])
{
	bool any = false;

	fprintf(f, "%s    ", name);
	for (unsigned v = 0; v < 256; v++) {
		if (bits[v >> 5] >> (v & 31) & 1) {
			fprintf(f, " %u%s", v, level[v >> 5] >> (v & 31) & 1 ? "(level)" : "");
			any = true;
		}
	}
	fputs(any ? "\r\n" : " (none)\r\n", f);
}

void inspect_lapic(struct vm *vm, FILE *f)
{
	static const char *const names[LAPIC_LVTS] = { "LVTT", "LVTTHMR", "LVTPC", "LVT0", "LVT1", "LVTERR" };
	struct lapic *a = &vm->chipset.lapic;

	if (!lapic_enabled(a)) {
		fputs("The local APIC is disabled (IA32_APIC_BASE)\r\n", f);
		return;
	}
	fputs("dumping local APIC state for CPU 0\r\n\r\n", f);
	for (unsigned i = 0; i < LAPIC_LVTS; i++)
		lvt_line(f, names[i], a->lvt[i], i == LAPIC_LVT_TIMER);
	fprintf(f, "Timer   DCR=0x%x initial_count = %u current_count = %u\r\n", a->divide, a->initial, lapic_read(a, 0x390, vm_now(vm)));
	fprintf(f, "SPIV    0x%08x APIC %s, spurious vec %u\r\n", a->svr, a->svr & BIT(8) ? "enabled" : "disabled", a->svr & 0xFF);
	fprintf(f, "ICR     0x%08x\r\nICR2    0x%08x\r\nESR     0x%08x\r\n", a->icr_low, a->icr_high, a->esr);
	vectors(f, "ISR", a->isr, a->tmr);
	vectors(f, "IRR", a->irr, a->tmr);
	fprintf(f, "\r\nTPR 0x%02x DFR 0x%08x LDR 0x%08x PPR 0x%02x\r\n", a->tpr, a->dfr, a->ldr, lapic_read(a, 0xA0, vm_now(vm)));
}
