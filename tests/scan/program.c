/*
 * Random guest programs: code, data, page tables, segments, and handlers that let a program go on
 * behind whatever faults. Everything comes from one random number: a program can be made again.
 */
#include "tests/scan/program.h"

enum { SEL_CODE0 = 0x08, SEL_DATA0 = 0x10, SEL_CODE3 = 0x1B, SEL_DATA3 = 0x23, SEL_TSS = 0x28, SEL_FIRST_ODD = 0x30, ODD = 6 };

struct segment program_descriptor(struct program *p, unsigned selector, uint32_t base, uint32_t limit, uint16_t attr)
{
	uint32_t raw = attr & SEG_G ? limit >> 12 : limit, at = GDT_AT + (selector & ~7u);
	put32(p, at, (raw & 0xFFFF) | base << 16);
	put32(p, at + 4, (base >> 16 & 0xFF) | (uint32_t)(attr & 0xFF) << 8 | (raw & 0xF0000) | (uint32_t)(attr >> 12) << 20 |
	    (base & 0xFF000000));
	struct segment s = { .selector = (uint16_t)selector, .attr = attr, .base = base, .limit = limit };
	segment_derive(&s);
	return s;
}

/* --- instructions --- */

/* Would end the comparison, or make it depend on what the engines need not agree in. */
static bool unwanted(const struct insn *in, const struct program *p)
{
	bool user = p->user;
	switch (in->name) {
	case I_FNSAVE: case I_FNSTENV: case I_FXSAVE:		/* x87 pointers */
	case I_HLT: case I_RDTSC: case I_INT1: case I_CPUID:
	case I_SYSENTER: case I_SYSEXIT: case I_CLFLUSH:
		return true;
	case I_LGDT: case I_LIDT: case I_LLDT: case I_LTR: case I_LMSW: case I_RDMSR: case I_WRMSR: case I_INVD: case I_WBINVD:
	case I_CLTS:
		return !user;
	case I_RETF: case I_JMPF: case I_CALLF:
		return !user && !p->real;
	case I_IRET:
		return !user || p->real;			/* TF */
	case I_MOV:
		return !user && (in->opnd[0].kind == OPND_CR || in->opnd[0].kind == OPND_DR);
	case I_POPF:
		return true;					/* TF */
	default:
		return false;
	}
}

static uint32_t random_word(struct random *r, const struct program *p)
{
	if (p->sixteen)
		return program_word_16(r, p);
	uint32_t alias = p->paging && one_in(r, 4) ? p->large && one_in(r, 3) ? LARGE_BASE : ALIAS_BASE : 0, at;
	switch (random_below(r, 10)) {
	case 0:
		return random_next(r);
	case 1:
		return random_below(r, 64);
	case 2:
		return alias + CODE_AT + random_below(r, SLOTS * SLOT_BYTES);
	case 3:
		at = random_below(r, 64) << 12;
		return alias + DATA_AT + at - random_below(r, 12);
	case 4:
		return 0u - random_below(r, 0x1000);
	default:
		return alias + DATA_AT + random_below(r, DATA_END - DATA_AT);
	}
}

/* Let a relative branch go to some slot. */
static void aim(struct random *r, const struct insn *in, uint8_t *code, unsigned slot, unsigned off)
{
	unsigned to = one_in(r, 6) ? random_below(r, SLOTS) : slot + 1 + random_below(r, 3);
	int32_t rel = (int32_t)((to - slot) * SLOT_BYTES) - (int32_t)(off + in->len);
	bool byte = in->len >= 2 && (in->name == I_LOOP || in->name == I_LOOPE || in->name == I_LOOPNE || in->name == I_JCXZ ||
	    (in->opcode & 0xF0) == 0x70 || in->opcode == 0xEB);
	if (byte && (rel < -128 || rel > 127))
		rel = SLOT_BYTES - (int32_t)(off + in->len);
	memcpy(code + in->len - (byte ? 1 : in->opsize), &rel, byte ? 1 : in->opsize);
}

/* One valid instruction of at most room bytes at code; 0 if none was found. */
static unsigned put_insn(struct random *r, const struct program *p, uint8_t *code, unsigned room, unsigned slot, unsigned off)
{
	static const uint8_t prefixes[] = { 0x66, 0x67, 0xF2, 0xF3, 0xF0, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65 };
	uint8_t b[16];
	struct insn in;
	for (unsigned i = 0; i < 20; i++) {
		unsigned n = 0;
		while (one_in(r, 5) && n < 3)
			b[n++] = prefixes[random_below(r, sizeof(prefixes))];
		if (one_in(r, 3))
			b[n++] = 0x0F;
		while (n < 8)
			b[n++] = (uint8_t)random_next(r);
		for (; n + 4 <= sizeof(b); n += 4) {
			uint32_t v = random_word(r, p);
			memcpy(b + n, &v, 4);
		}
		if (decode_insn(&in, b, 15, !p->sixteen) != DECODE_OK || in.len > room || unwanted(&in, p))
			continue;
		if (in.opnd[0].kind == OPND_REL)
			aim(r, &in, b, slot, off);
		memcpy(code, b, in.len);
		return in.len;
	}
	return 0;
}

static void put_slot(struct random *r, struct program *p, unsigned slot)
{
	uint8_t *code = p->ram + CODE_AT + slot * SLOT_BYTES;
	unsigned n = 0;

	memset(code, 0x90, SLOT_BYTES);
	if (one_in(r, 12)) {
		for (; n < SLOT_BYTES; n++)
			code[n] = (uint8_t)random_next(r);
		return;
	}
	for (unsigned i = random_below(r, 3); i > 0; i--) {	/* registers that point somewhere */
		uint32_t v = random_word(r, p);
		unsigned reg = random_below(r, 8);
		if (reg == REG_ESP)
			v = one_in(r, 8) ? v : (p->sixteen ? 0xF000 : STACK_AT) - random_below(r, 64) * 4;
		if (p->sixteen)
			code[n++] = 0x66;
		code[n++] = (uint8_t)(0xB8 | reg);
		memcpy(code + n, &v, 4);
		n += 4;
	}
	while (n < SLOT_BYTES - 2) {
		unsigned len = put_insn(r, p, code + n, SLOT_BYTES - n, slot, n);
		n += len;
		if (len == 0 || one_in(r, 8))
			break;
	}
}

/* Random memory, code in it, HLT behind. */
void program_slots(struct random *r, struct program *p)
{
	for (uint32_t at = CODE_AT; at < RAM_BYTES; at += 4)
		put32(p, at, one_in(r, 4) ? random_word(r, p) : random_next(r));
	for (unsigned slot = 0; slot < SLOTS; slot++)
		put_slot(r, p, slot);
	memset(p->ram + CODE_AT + SLOTS * SLOT_BYTES, 0xF4, 64);
}

/* --- the machine around it --- */

extern const uint8_t handlers[], handlers_error[], handlers_page_fault[], handlers_interrupt[], handlers_end[];

bool program_handles(uint32_t eip)
{
	return eip >= HANDLERS_AT && eip - HANDLERS_AT < (uint32_t)(handlers_end - handlers);
}

static uint32_t handler_of(unsigned vector)
{
	bool error = vector == EXC_DF || (vector >= EXC_TS && vector <= EXC_PF) || vector == EXC_AC;
	const uint8_t *at = vector == INTERRUPT_VECTOR ? handlers_interrupt : vector == EXC_PF ? handlers_page_fault :
	    error ? handlers_error : handlers;
	return HANDLERS_AT + (uint32_t)(at - handlers);
}

static void put_handlers(struct random *r, struct program *p)
{
	for (unsigned v = 0; v < 256; v++) {
		put32(p, IDT_AT + v * 8, (handler_of(v) & 0xFFFF) | SEL_CODE0 << 16);
		put32(p, IDT_AT + v * 8 + 4, v % 3 ? 0x8E00 : 0xEE00);
	}
	memcpy(p->ram + HANDLERS_AT, handlers, (size_t)(handlers_end - handlers));
	put32(p, NEXT_SLOT, CODE_AT);
	/* in ring 3 only: elsewhere the frame of what is tried again shows flags that are dead */
	put32(p, REPAIRS, p->user && p->paging ? random_below(r, 30) : 0);
	put32(p, PTES, p->paging == PAGING_PAE ? PTES_BASE + 0x200000 : PTES_BASE);
	put32(p, ENTRY_SHIFT, p->paging == PAGING_PAE ? 3 : 2);
	put32(p, TSS_AT + 4, KERNEL_STACK);
	put32(p, TSS_AT + 8, SEL_DATA0);
	put32(p, TSS_AT + 0x64, 0x68 << 16);
}

static uint32_t odd_rights(struct random *r)
{
	switch (random_below(r, 8)) {
	case 0: return 0;			/* hole */
	case 1: return 5;			/* read-only */
	case 2: return 3;			/* supervisor's */
	case 3: return 1;
	default: return 7;
	}
}

static void put_entry(struct program *p, uint32_t table, unsigned i, uint32_t entry, bool nx)
{
	bool pae = p->paging == PAGING_PAE;
	put32(p, table + i * (pae ? 8 : 4), entry);
	if (pae)
		put32(p, table + i * 8 + 4, nx ? 0x80000000u : 0);
}

/* Identity, with odd data pages; at ALIAS_BASE code and data again, in another order and with other rights. */
void program_pages(struct random *r, struct program *p)
{
	bool pae = p->paging == PAGING_PAE, nx = p->cpu.efer & EFER_NXE;
	unsigned shift = pae ? 21 : 22;

	put_entry(p, PAGE_DIR, 0, PAGE_TABLE | 7, false);
	uint32_t entry = ALIAS_TABLE | (one_in(r, 4) ? 5 : 7);
	put_entry(p, PAGE_DIR, ALIAS_BASE >> shift, entry, nx && one_in(r, 8));
	put_entry(p, PAGE_DIR, (PTES_BASE >> shift) + (pae ? 1 : 0), PAGE_DIR | 3, false);
	if (p->large) {
		entry = 0x80 | odd_rights(r);
		entry |= one_in(r, 2) ? 0x100 : 0;
		put_entry(p, PAGE_DIR, LARGE_BASE >> shift, entry, nx && one_in(r, 4));
	}
	if (pae)
		put32(p, PDPT, PAGE_DIR | 1);
	for (uint32_t page = 0; page < RAM_BYTES >> 12; page++) {
		uint32_t at = page << 12, rights = 7 | (one_in(r, 2) ? 0x60 : 0);
		rights |= one_in(r, 4) ? 0x100 : 0;
		if (at < CODE_AT)
			rights = 3;
		else if (at >= DATA_AT && at < DATA_END)
			rights = odd_rights(r);
		put_entry(p, PAGE_TABLE, page, at | rights, nx && at >= DATA_AT && one_in(r, 4));
		entry = 0;
		if (at >= CODE_AT) {
			entry = one_in(r, 3) ? DATA_AT + (random_below(r, 64) << 12) : at;
			entry |= odd_rights(r);
			entry |= one_in(r, 8) ? 0x100 : 0;
		}
		put_entry(p, ALIAS_TABLE, page, entry, nx && one_in(r, 4));
	}
}

static void put_segments(struct random *r, struct program *p)
{
	struct vcpu *cpu = &p->cpu;
	unsigned dpl = p->user ? 0x60 : 0;
	struct segment code0 = program_descriptor(p, SEL_CODE0, 0, 0xFFFFFFFF, 0xC09B), data0 = program_descriptor(p, SEL_DATA0, 0, 0xFFFFFFFF, 0xC093);
	struct segment code3 = program_descriptor(p, SEL_CODE3, 0, 0xFFFFFFFF, 0xC0FB), data3 = program_descriptor(p, SEL_DATA3, 0, 0xFFFFFFFF, 0xC0F3);
	struct segment odd[ODD];

	program_descriptor(p, SEL_TSS, TSS_AT, 0x67, 0x008B);
	for (unsigned i = 0; i < ODD; i++) {
		static const uint16_t kinds[] = { 0xC093, 0x4093, 0xC091, 0x4097, 0x4093, 0xC09B };
		uint16_t attr = kinds[random_below(r, ARRAY_LEN(kinds))] | (uint16_t)dpl;
		uint32_t limit = attr & SEG_G ? 0xFFFFFFFF : DATA_AT + random_below(r, DATA_END - DATA_AT);
		odd[i] = program_descriptor(p, SEL_FIRST_ODD + i * 8 + (p->user ? 3 : 0), one_in(r, 2) ? 0 : random_below(r, 0x8000),
		    attr & SEG_G ? limit : limit & 0xFFFFF, attr);
	}
	for (unsigned i = 0; i < 6; i++)
		cpu->seg[i] = p->user ? data3 : data0;
	cpu->seg[SEG_CS] = p->user ? code3 : code0;
	for (unsigned i = SEG_DS; i <= SEG_GS; i++)
		if (one_in(r, i == SEG_DS ? 6 : 2))
			cpu->seg[i] = odd[random_below(r, ODD)];
	if (one_in(r, 6))
		cpu->seg[SEG_ES] = odd[random_below(r, ODD)];
	cpu->gdtr = (struct table_register){ GDT_AT, SEL_FIRST_ODD + ODD * 8 - 1 };
	cpu->idtr = (struct table_register){ IDT_AT, 256 * 8 - 1 };
	cpu->tr = (struct segment){ .selector = SEL_TSS, .base = TSS_AT, .limit = 0x67, .attr = 0x8B };
	segment_derive(&cpu->tr);
}

void program_rest(struct random *r, struct vcpu *cpu)
{
	for (unsigned i = 0; i < 8; i++)
		for (unsigned k = 0; k < 16; k++)
			cpu->fx.xmm[i][k] = (uint8_t)random_next(r);
	cpu->fx.fcw = 0x37F;
	cpu->fx.mxcsr = 0x1F80;
	cpu->fx.mxcsr_mask = 0xFFFF;
	cpu->a20 = true;
}

void program_make(struct program *p, struct random *r)
{
	struct vcpu *cpu = &p->cpu;

	memset(p, 0, sizeof(*p));
	p->paging = (enum paging)random_below(r, 3);
	p->large = p->paging && one_in(r, 2);
	p->user = !one_in(r, 3);
	program_slots(r, p);
	cpu->efer = p->paging == PAGING_PAE && one_in(r, 2) ? EFER_NXE : 0;
	put_handlers(r, p);
	program_pages(r, p);
	put_segments(r, p);
	for (unsigned i = 0; i < 8; i++)
		cpu->gpr[i] = random_word(r, p);
	cpu->gpr[REG_ESP] = STACK_AT;
	cpu->eip = CODE_AT;
	cpu->eflags = random_flags(r) | (p->user ? EFLAGS_IF : 0);
	cpu->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | (one_in(r, 2) ? CR0_WP : 0) | (p->paging ? CR0_PG : 0);
	cpu->cr3 = p->paging == PAGING_PAE ? PDPT : PAGE_DIR;
	cpu->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | (p->large ? CR4_PSE : 0) | (p->paging == PAGING_PAE ? CR4_PAE : 0) |
	    (one_in(r, 2) ? CR4_PGE : 0);
	if (p->paging == PAGING_PAE)
		cpu->pdpte[0] = PAGE_DIR | 1;
	program_rest(r, cpu);
}
