/*
 * For the tests of src/cpu: a processor with 2 MiB of RAM and the usual tables, in protected mode at
 * CPL 0. do_xxx() carries out one transfer as an instruction of two bytes would: -1, or the vector of
 * the exception it raised (cpu.exc_error has the code), which deliver() then takes through the IDT.
 */
#ifndef PLEX86_CPU_MACHINE_H
#define PLEX86_CPU_MACHINE_H

#include <stdlib.h>

#include "cpu/descriptor.h"
#include "mmu/mmu.h"
#include "mmu/phys.h"
#include "tests/test.h"

enum {					/* physical = linear unless a test says otherwise */
	GDT = 0x1000, IDT = 0x2000, TSS_A = 0x3000, TSS_B = 0x4000, LDT = 0x5000, TSS_16 = 0x6000,
	STACK0_BASE = 0x8000, STACK0 = 0x9000, STACK3 = 0xB000, STACK1 = 0xC000, STACKB = 0xD000,
	PAGE_DIR = 0x10000, PAGE_TAB = 0x11000, CODE = 0x20000, HANDLER = 0x100000,
};
enum {					/* selectors */
	CODE0 = 0x08, DATA0 = 0x10, CODE3 = 0x1B, DATA3 = 0x23, TSSA = 0x28, TSSB = 0x30, TSS16 = 0x38,
	LDTS = 0x40, CONFORM = 0x48, CODE1 = 0x51, DATA1 = 0x59, GATE = 0x60, CODE16 = 0x68, DATA16 = 0x70,
	SPARE = 0x78, SPARE2 = 0x80, BEYOND = 0x400,
};

struct machine {
	struct vcpu cpu;
	struct phys phys;
	struct cpu_bus bus;
	int vector;			/* what INTR acknowledges */
	unsigned acks;
	uint64_t tsc;
};

static inline void poke8(struct machine *m, uint32_t a, uint8_t v) { m->phys.ram[a] = v; }
static inline void poke16(struct machine *m, uint32_t a, uint16_t v) { memcpy(m->phys.ram + a, &v, 2); }
static inline void poke32(struct machine *m, uint32_t a, uint32_t v) { memcpy(m->phys.ram + a, &v, 4); }
static inline uint16_t peek16(struct machine *m, uint32_t a) { uint16_t v; memcpy(&v, m->phys.ram + a, 2); return v; }
static inline uint32_t peek32(struct machine *m, uint32_t a) { uint32_t v; memcpy(&v, m->phys.ram + a, 4); return v; }

/* attr: as struct segment has it (type, S, DPL, P in 7:0; AVL, D/B, G in 15:12). */
static inline void put_descriptor(struct machine *m, uint32_t at, uint32_t base, uint32_t limit, unsigned attr)
{
	poke32(m, at, (limit & 0xFFFF) | base << 16);
	poke32(m, at + 4, (base >> 16 & 0xFF) | (base & 0xFF000000) | (attr & 0xF0FF) << 8 | (limit & 0xF0000));
}

static inline void gdt(struct machine *m, uint16_t sel, uint32_t base, uint32_t limit, unsigned attr)
{
	put_descriptor(m, GDT + (sel & 0xFFF8), base, limit, attr);
}

/* attr: P, DPL and type of the gate; count of parameters for a call gate. */
static inline void put_gate(struct machine *m, uint32_t at, uint16_t sel, uint32_t off, unsigned attr, unsigned count)
{
	poke32(m, at, (uint32_t)sel << 16 | (off & 0xFFFF));
	poke32(m, at + 4, (off & 0xFFFF0000) | attr << 8 | count);
}

static inline void idt_gate(struct machine *m, unsigned vector, uint16_t sel, uint32_t off, unsigned attr)
{
	put_gate(m, IDT + vector * 8, sel, off, attr, 0);
}

static inline uint32_t handler(unsigned vector) { return HANDLER + vector * 16; }

static inline int machine_intr_ack(void *arg)
{
	struct machine *m = arg;
	m->acks++;
	m->cpu.intr_line = false;
	return m->vector;
}

static inline uint64_t machine_tsc(void *arg) { return ((struct machine *)arg)->tsc; }

static inline struct segment load_flat(uint16_t sel, unsigned attr)
{
	struct segment s = { .selector = sel, .limit = 0xFFFFFFFF, .attr = attr };
	segment_derive(&s);
	return s;
}

/* TSS with stacks for level 0 and 1, and an I/O permission bitmap at 200h that allows no port. */
static inline void put_tss32(struct machine *m, uint32_t at, uint32_t esp0)
{
	poke32(m, at + 4, esp0);
	poke16(m, at + 8, DATA0);
	poke32(m, at + 12, STACK1);
	poke16(m, at + 16, DATA1);
	poke16(m, at + 0x66, 0x200);
	memset(m->phys.ram + at + 0x200, 0xFF, 0x200);
}

/* The task of TSSB: flat, from 70000h, its general registers 1000h, 2000h, ... */
static inline void put_task_b(struct machine *m)
{
	poke32(m, TSS_B + 0x20, 0x70000);
	poke32(m, TSS_B + 0x24, EFLAGS_CF | 2);
	for (unsigned i = 0; i < 8; i++)
		poke32(m, TSS_B + 0x28 + 4 * i, 0x1000 * (i + 1));
	poke32(m, TSS_B + 0x38, STACKB);
	for (unsigned i = 0; i < 6; i++)
		poke32(m, TSS_B + 0x48 + 4 * i, i == SEG_CS ? CODE0 : DATA0);
	poke32(m, TSS_B + 0x60, LDTS);
}

static inline struct machine *machine_new(void)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct vcpu *cpu = &m->cpu;

	CHECK_EQ(phys_init(&m->phys, 0x200000, 0), 0);
	cpu->phys = &m->phys;
	CHECK_EQ(mmu_init(cpu), 0);
	m->bus = (struct cpu_bus){ .intr_ack = machine_intr_ack, .tsc = machine_tsc };
	cpu->bus = &m->bus;
	cpu->bus_arg = m;
	cpu_reset(cpu);

	gdt(m, CODE0, 0, 0xFFFFF, 0xC09A);
	gdt(m, DATA0, 0, 0xFFFFF, 0xC092);
	gdt(m, CODE3, 0, 0xFFFFF, 0xC0FA);
	gdt(m, DATA3, 0, 0xFFFFF, 0xC0F2);
	gdt(m, TSSA, TSS_A, 0x3FF, 0x8B);
	gdt(m, TSSB, TSS_B, 0x3FF, 0x89);
	gdt(m, TSS16, TSS_16, 0x2B, 0x81);
	gdt(m, LDTS, LDT, 0xFF, 0x82);
	gdt(m, CONFORM, 0, 0xFFFFF, 0xC09E);
	gdt(m, CODE1, 0, 0xFFFFF, 0xC0BA);
	gdt(m, DATA1, 0, 0xFFFFF, 0xC0B2);
	gdt(m, CODE16, 0, 0xFFFF, 0x009A);
	gdt(m, DATA16, 0, 0xFFFF, 0x0092);
	for (unsigned v = 0; v < 256; v++)
		idt_gate(m, v, CODE0, handler(v), 0x8E);
	put_tss32(m, TSS_A, STACK0);
	put_tss32(m, TSS_B, STACKB);

	cpu->gdtr = (struct table_register){ .base = GDT, .limit = 0x3FF };
	cpu->idtr = (struct table_register){ .base = IDT, .limit = 0x7FF };
	cpu->tr = (struct segment){ .selector = TSSA, .base = TSS_A, .limit = 0x3FF, .attr = 0x8B };
	cpu->ldtr = segment_null(0);
	cpu->cr0 = CR0_PE | CR0_ET;
	cpu->seg[SEG_CS] = load_flat(CODE0, 0xC09B);
	for (unsigned s = 0; s < 6; s++)
		if (s != SEG_CS)
			cpu->seg[s] = load_flat(DATA0, 0xC093);
	cpu->gpr[REG_ESP] = STACK0;
	cpu->eip = cpu->insn_eip = CODE;
	cpu_update_mode(cpu);
	cpu->attention = 0;
	return m;
}

static inline void machine_free(struct machine *m)
{
	mmu_free(&m->cpu);
	phys_free(&m->phys);
	free(m);
}

static inline void machine_user(struct machine *m)
{
	m->cpu.seg[SEG_CS] = load_flat(CODE3, 0xC0FB);
	for (unsigned s = 0; s < 6; s++)
		if (s != SEG_CS)
			m->cpu.seg[s] = load_flat(DATA3, 0xC0F3);
	m->cpu.gpr[REG_ESP] = STACK3;
	cpu_update_mode(&m->cpu);
}

/* As a move to CR0 leaves it, with code at 2000h:eip and a 16-bit stack at 800h:esp. */
static inline void machine_real_mode(struct machine *m, uint32_t eip, uint32_t esp)
{
	cpu_set_cr0(&m->cpu, CR0_ET);
	segment_load_real(&m->cpu, SEG_SS, 0x800);
	segment_load_real(&m->cpu, SEG_CS, 0x2000);
	m->cpu.seg[SEG_SS].attr &= ~SEG_DB;
	m->cpu.eip = eip;
	m->cpu.gpr[REG_ESP] = esp;
}

static inline void machine_vm86(struct machine *m, unsigned iopl)
{
	m->cpu.eflags |= EFLAGS_VM | iopl << 12;
	for (unsigned s = 0; s < 6; s++)
		m->cpu.seg[s] = segment_vm86(0x3000 + s * 0x10);
	m->cpu.gpr[REG_ESP] = 0x1000;
	m->cpu.eip = m->cpu.insn_eip = 0x100;
	cpu_update_mode(&m->cpu);
}

/* Identity map of the first 2 MiB for everyone; page() changes one entry. */
static inline void machine_paging(struct machine *m)
{
	poke32(m, PAGE_DIR, PAGE_TAB | 7);
	for (unsigned i = 0; i < 512; i++)
		poke32(m, PAGE_TAB + i * 4, i << 12 | 7);
	cpu_set_cr3(&m->cpu, PAGE_DIR);
	cpu_set_cr0(&m->cpu, m->cpu.cr0 | CR0_PG | CR0_WP);
}

static inline void page(struct machine *m, uint32_t lin, uint32_t flags)
{
	poke32(m, PAGE_TAB + (lin >> 12) * 4, (lin & ~0xFFFu) | flags);
	mmu_flush(&m->cpu, true);
}

#define DEFINE_DO(name, call)								\
static inline void call_##name(struct vcpu *cpu, void *arg)				\
{ uint32_t *a = arg; (void)a; call; }							\
static inline int do_##name(struct machine *m, uint32_t a0, uint32_t a1, uint32_t a2)	\
{											\
	uint32_t a[] = { a0, a1, a2 };							\
	m->cpu.insn_eip = m->cpu.eip;							\
	m->cpu.eip += 2;								\
	if (cpu_try(&m->cpu, call_##name, a))						\
		return m->cpu.exc_vector;						\
	m->cpu.icount++;								\
	return -1;									\
}
DEFINE_DO(jmp, cpu_far_jmp(cpu, a[0], a[1], a[2]))
DEFINE_DO(call, cpu_far_call(cpu, a[0], a[1], a[2]))
DEFINE_DO(ret, cpu_far_ret(cpu, a[0], a[1]))
DEFINE_DO(iret, cpu_iret(cpu, a[0]))
DEFINE_DO(int, cpu_software_interrupt(cpu, a[0], a[1]))
DEFINE_DO(load, segment_load(cpu, a[0], a[1]))
DEFINE_DO(sysenter, cpu_sysenter(cpu))
DEFINE_DO(sysexit, cpu_sysexit(cpu))
DEFINE_DO(raise, cpu_raise(cpu, a[0], a[1]))
DEFINE_DO(cr0, cpu_set_cr0(cpu, a[0]))
DEFINE_DO(cr3, cpu_set_cr3(cpu, a[0]))
DEFINE_DO(cr4, cpu_set_cr4(cpu, a[0]))
DEFINE_DO(rdmsr, ((uint64_t *)cpu->gpr)[0] = cpu_rdmsr(cpu, a[0]))
DEFINE_DO(wrmsr, cpu_wrmsr(cpu, a[0], (uint64_t)a[1] << 32 | a[2]))
DEFINE_DO(nothing, (void)cpu)
DEFINE_DO(write32, mem_write32(cpu, SEG_DS, a[0], a[1]))

static inline enum next deliver(struct machine *m) { return cpu_deliver_fault(&m->cpu); }

/* The n-th 32-bit word from the top of the stack. */
static inline uint32_t top(struct machine *m, unsigned n)
{
	return peek32(m, m->cpu.seg[SEG_SS].base + m->cpu.gpr[REG_ESP] + n * 4);
}

static inline void push32(struct machine *m, uint32_t v)
{
	m->cpu.gpr[REG_ESP] -= 4;
	poke32(m, m->cpu.seg[SEG_SS].base + m->cpu.gpr[REG_ESP], v);
}

#endif
