#include "gdb/registers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulate/fpu.h"
#include "mmu/mmu.h"

enum kind {
	R_GPR, R_EIP, R_EFLAGS, R_SEG, R_ST, R_FPU, R_XMM, R_MXCSR, R_BASE, R_LIMIT, R_CR, R_EFER, R_DR, R_TABLE, R_SYSTEM_SEG,
};

struct reg {
	const char *name;
	uint8_t kind, index, bytes;
	const char *type, *group;	/* group: NULL, gdb's own idea */
};

#define GPR(n, i)	{ n, R_GPR, i, 4, "int32", NULL }
#define SEG(n, i)	{ n, R_SEG, i, 4, "int32", NULL }
#define ST(i)		{ "st" #i, R_ST, i, 10, "i387_ext", NULL }
#define FPU(n, i)	{ n, R_FPU, i, 4, "int", "float" }
#define XMM(i)		{ "xmm" #i, R_XMM, i, 16, "vec128", NULL }
#define SYS(n, k, i, t)	{ n, k, i, 4, t, "system" }

enum { CORE = 0, SSE = 32, SYSTEM = 41 };	/* first register of each feature */

static const struct reg regs[] = {
	GPR("eax", REG_EAX), GPR("ecx", REG_ECX), GPR("edx", REG_EDX), GPR("ebx", REG_EBX),
	{ "esp", R_GPR, REG_ESP, 4, "data_ptr", NULL }, { "ebp", R_GPR, REG_EBP, 4, "data_ptr", NULL },
	GPR("esi", REG_ESI), GPR("edi", REG_EDI),
	{ "eip", R_EIP, 0, 4, "code_ptr", NULL }, { "eflags", R_EFLAGS, 0, 4, "i386_eflags", NULL },
	SEG("cs", SEG_CS), SEG("ss", SEG_SS), SEG("ds", SEG_DS), SEG("es", SEG_ES), SEG("fs", SEG_FS), SEG("gs", SEG_GS),
	ST(0), ST(1), ST(2), ST(3), ST(4), ST(5), ST(6), ST(7),
	FPU("fctrl", 0), FPU("fstat", 1), FPU("ftag", 2), FPU("fiseg", 3), FPU("fioff", 4), FPU("foseg", 5), FPU("fooff", 6),
	FPU("fop", 7),
	XMM(0), XMM(1), XMM(2), XMM(3), XMM(4), XMM(5), XMM(6), XMM(7),
	{ "mxcsr", R_MXCSR, 0, 4, "i386_mxcsr", "vector" },
	SYS("cs_base", R_BASE, SEG_CS, "int32"), SYS("ss_base", R_BASE, SEG_SS, "int32"), SYS("ds_base", R_BASE, SEG_DS, "int32"),
	SYS("es_base", R_BASE, SEG_ES, "int32"), SYS("fs_base", R_BASE, SEG_FS, "int32"), SYS("gs_base", R_BASE, SEG_GS, "int32"),
	SYS("cs_limit", R_LIMIT, SEG_CS, "int32"), SYS("ss_limit", R_LIMIT, SEG_SS, "int32"),
	SYS("ds_limit", R_LIMIT, SEG_DS, "int32"), SYS("es_limit", R_LIMIT, SEG_ES, "int32"),
	SYS("fs_limit", R_LIMIT, SEG_FS, "int32"), SYS("gs_limit", R_LIMIT, SEG_GS, "int32"),
	SYS("cr0", R_CR, 0, "plex86_cr0"), SYS("cr2", R_CR, 2, "int32"), SYS("cr3", R_CR, 3, "int32"),
	SYS("cr4", R_CR, 4, "plex86_cr4"),
	{ "efer", R_EFER, 0, 8, "plex86_efer", "system" },
	SYS("dr0", R_DR, 0, "int32"), SYS("dr1", R_DR, 1, "int32"), SYS("dr2", R_DR, 2, "int32"), SYS("dr3", R_DR, 3, "int32"),
	SYS("dr6", R_DR, 6, "int32"), SYS("dr7", R_DR, 7, "int32"),
	SYS("gdtr_base", R_TABLE, 0, "int32"), SYS("gdtr_limit", R_TABLE, 1, "int32"),
	SYS("idtr_base", R_TABLE, 2, "int32"), SYS("idtr_limit", R_TABLE, 3, "int32"),
	SYS("ldtr", R_SYSTEM_SEG, 0, "int32"), SYS("tr", R_SYSTEM_SEG, 1, "int32"),
};

unsigned registers_count(void)
{
	return ARRAY_LEN(regs);
}

unsigned register_bytes(unsigned n)
{
	return n < ARRAY_LEN(regs) ? regs[n].bytes : 0;
}

/* --- reading --- */

/* The tag word that FNSAVE stores, from FXSAVE's bits.		[SDM 1, "x87 FPU Tag Word"] */
static uint32_t tag_word(const struct fxstate *fx)
{
	uint32_t tags = 0;

	for (unsigned i = 0; i < 8; i++) {
		const uint8_t *st = fx->st[(i - fpu_top(fx)) & 7];
		uint64_t mantissa;
		uint16_t exponent;
		unsigned tag = 0;

		memcpy(&mantissa, st, 8);
		memcpy(&exponent, st + 8, 2);
		exponent &= 0x7FFF;
		if (!(fx->ftw >> i & 1))
			tag = 3;
		else if (exponent == 0 && mantissa == 0)
			tag = 1;
		else if (exponent == 0 || exponent == 0x7FFF || !(mantissa >> 63))
			tag = 2;
		tags |= tag << 2 * i;
	}
	return tags;
}

static uint32_t read_fpu(const struct fxstate *fx, unsigned i)
{
	switch (i) {
	case 0: return fx->fcw;
	case 1: return fx->fsw;
	case 2: return tag_word(fx);
	case 3: return fx->fcs;
	case 4: return fx->fip;
	case 5: return fx->fds;
	case 6: return fx->fdp;
	default: return fx->fop;
	}
}

static uint32_t read32(struct vcpu *cpu, const struct reg *r)
{
	switch ((enum kind)r->kind) {
	case R_GPR: return cpu->gpr[r->index];
	case R_EIP: return cpu->seg[SEG_CS].base + cpu->eip;
	case R_EFLAGS: return cpu->eflags;
	case R_SEG: return cpu->seg[r->index].selector;
	case R_FPU: return read_fpu(&cpu->fx, r->index);
	case R_MXCSR: return cpu->fx.mxcsr;
	case R_BASE: return cpu->seg[r->index].base;
	case R_LIMIT: return cpu->seg[r->index].limit;
	case R_CR: return r->index == 0 ? cpu->cr0 : r->index == 2 ? cpu->cr2 : r->index == 3 ? cpu->cr3 : cpu->cr4;
	case R_DR: return cpu->dr[r->index];
	case R_TABLE: {
		const struct table_register *t = r->index < 2 ? &cpu->gdtr : &cpu->idtr;
		return r->index & 1 ? t->limit : t->base;
	}
	case R_SYSTEM_SEG: return r->index ? cpu->tr.selector : cpu->ldtr.selector;
	default: return 0;
	}
}

void register_read(struct vcpu *cpu, unsigned n, uint8_t buf[REGISTER_MAX_BYTES])
{
	const struct reg *r = &regs[n];

	memset(buf, 0, REGISTER_MAX_BYTES);
	if (r->kind == R_ST) {
		memcpy(buf, cpu->fx.st[r->index], 10);
	} else if (r->kind == R_XMM) {
		memcpy(buf, cpu->fx.xmm[r->index], 16);
	} else if (r->kind == R_EFER) {
		memcpy(buf, &cpu->efer, 8);
	} else {
		uint32_t v = read32(cpu, r);
		memcpy(buf, &v, 4);
	}
}

/* --- writing: through the same checks as the guest's own instructions --- */

static bool write_fpu(struct vcpu *cpu, unsigned i, uint32_t v)
{
	struct fxstate *fx = &cpu->fx;

	switch (i) {
	case 0:
		fx->fcw = (uint16_t)((v & FCW_WRITABLE) | FCW_RESERVED1);
		break;
	case 1:
		fx->fsw = (uint16_t)v;
		break;
	case 2:
		fx->ftw = 0;
		for (unsigned k = 0; k < 8; k++)
			if ((v >> 2 * k & 3) != 3)
				fx->ftw |= (uint8_t)BIT(k);
		break;
	case 3: fx->fcs = (uint16_t)v; break;
	case 4: fx->fip = v; break;
	case 5: fx->fds = (uint16_t)v; break;
	case 6: fx->fdp = v; break;
	default: fx->fop = v & 0x7FF; break;
	}
	fpu_update_es(cpu);
	return true;
}

struct write {
	const struct reg *r;
	uint32_t val;
	uint64_t val64;
};

static void write_selector(struct vcpu *cpu, unsigned seg, uint16_t selector)
{
	if (seg != SEG_CS) {
		segment_load(cpu, seg, selector);
	} else if (!cpu_protected(cpu) || cpu_vm86(cpu)) {
		segment_load_real(cpu, SEG_CS, selector);
		cpu_update_mode(cpu);
	} else {
		cpu_far_jmp(cpu, selector, cpu->eip, 4);	/* with all its checks, to where it already is */
	}
}

/* What may raise an exception: the processor refuses. */
static void write_checked(struct vcpu *cpu, void *arg)
{
	const struct write *w = arg;

	cpu->insn_eip = cpu->eip;
	switch ((enum kind)w->r->kind) {
	case R_SEG:
		write_selector(cpu, w->r->index, (uint16_t)w->val);
		break;
	case R_CR:
		if (w->r->index == 0)
			cpu_set_cr0(cpu, w->val);
		else if (w->r->index == 2)
			cpu->cr2 = w->val;
		else if (w->r->index == 3)
			cpu_set_cr3(cpu, w->val);
		else
			cpu_set_cr4(cpu, w->val);
		break;
	case R_EFER:
		cpu_wrmsr(cpu, 0xC0000080, w->val64);
		break;
	default:
		cpu_set_dr(cpu, w->r->index, w->val);
	}
}

/* A selector's descriptor may lie where nothing is mapped: that fault was the debugger's, the guest's CR2 is not touched. */
static bool write_tried(struct vcpu *cpu, struct write *w)
{
	uint32_t cr2 = cpu->cr2;

	if (!cpu_try(cpu, write_checked, w))
		return true;
	cpu->cr2 = cr2;
	return false;
}

static bool write_eflags(struct vcpu *cpu, uint32_t v)
{
	const uint32_t may = EFLAGS_ARITH | EFLAGS_TF | EFLAGS_IF | EFLAGS_DF | EFLAGS_IOPL | EFLAGS_NT | EFLAGS_RF | EFLAGS_AC |
	    EFLAGS_VIF | EFLAGS_VIP | EFLAGS_ID;

	cpu->eflags = (cpu->eflags & ~may) | (v & may);
	mmu_select(cpu);
	cpu_attend(cpu, ATTN_EVENT);
	return true;
}

static bool write_base(struct vcpu *cpu, unsigned seg, uint32_t base)
{
	cpu->seg[seg].base = base;
	segment_derive(&cpu->seg[seg]);
	return true;
}

bool register_write(struct vcpu *cpu, unsigned n, const uint8_t buf[REGISTER_MAX_BYTES])
{
	struct write w = { .r = &regs[n] };

	memcpy(&w.val, buf, 4);
	switch ((enum kind)w.r->kind) {
	case R_GPR:
		cpu->gpr[w.r->index] = w.val;
		return true;
	case R_EIP:
		cpu->eip = w.val - cpu->seg[SEG_CS].base;
		cpu->halted = false;		/* HLT is over when execution goes on elsewhere */
		return true;
	case R_EFLAGS:
		return write_eflags(cpu, w.val);
	case R_ST:
		memcpy(cpu->fx.st[w.r->index], buf, 10);
		return true;
	case R_FPU:
		return write_fpu(cpu, w.r->index, w.val);
	case R_XMM:
		memcpy(cpu->fx.xmm[w.r->index], buf, 16);
		return true;
	case R_MXCSR:
		if (w.val & ~(uint32_t)MXCSR_WRITABLE)
			return false;
		cpu->fx.mxcsr = w.val;
		return true;
	case R_BASE:
		return write_base(cpu, w.r->index, w.val);
	case R_SEG: case R_CR: case R_EFER: case R_DR:
		memcpy(&w.val64, buf, w.r->bytes);
		return write_tried(cpu, &w);
	default:
		return read32(cpu, w.r) == w.val;	/* only for looking; a 'G' packet writes all of them back */
	}
}

/* --- the description --- */

struct flag {
	const char *name;
	uint8_t bit, last;		/* last: 0, or the last bit of a field */
};

static void put_flags(FILE *f, const char *id, unsigned bytes, const struct flag *flag, size_t n)
{
	fprintf(f, "  <flags id=\"%s\" size=\"%u\">\n", id, bytes);
	for (size_t i = 0; i < n; i++)
		fprintf(f, "    <field name=\"%s\" start=\"%u\" end=\"%u\"/>\n", flag[i].name, flag[i].bit,
		    flag[i].last ? flag[i].last : flag[i].bit);
	fputs("  </flags>\n", f);
}
#define PUT_FLAGS(f, id, bytes, flags) put_flags(f, id, bytes, flags, ARRAY_LEN(flags))

static void put_regs(FILE *f, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++) {
		const struct reg *r = &regs[i];

		fprintf(f, "  <reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"", r->name, r->bytes * 8u, r->type, i);
		if (r->group)
			fprintf(f, " group=\"%s\"", r->group);
		fputs("/>\n", f);
	}
	fputs("</feature>\n", f);
}

static void put_core(FILE *f)
{
	static const struct flag eflags[] = {
		{ "CF", 0, 0 }, { "", 1, 0 }, { "PF", 2, 0 }, { "AF", 4, 0 }, { "ZF", 6, 0 }, { "SF", 7, 0 }, { "TF", 8, 0 },
		{ "IF", 9, 0 }, { "DF", 10, 0 }, { "OF", 11, 0 }, { "IOPL", 12, 13 }, { "NT", 14, 0 }, { "RF", 16, 0 },
		{ "VM", 17, 0 }, { "AC", 18, 0 }, { "VIF", 19, 0 }, { "VIP", 20, 0 }, { "ID", 21, 0 },
	};

	fputs("<feature name=\"org.gnu.gdb.i386.core\">\n", f);
	PUT_FLAGS(f, "i386_eflags", 4, eflags);
	put_regs(f, CORE, SSE);
}

static void put_sse(FILE *f)
{
	static const struct { const char *id, *type, *field; unsigned count; } vectors[] = {
		{ "v4f", "ieee_single", "v4_float", 4 }, { "v2d", "ieee_double", "v2_double", 2 }, { "v16i8", "int8", "v16_int8", 16 },
		{ "v8i16", "int16", "v8_int16", 8 }, { "v4i32", "int32", "v4_int32", 4 }, { "v2i64", "int64", "v2_int64", 2 },
	};
	static const struct flag mxcsr[] = {
		{ "IE", 0, 0 }, { "DE", 1, 0 }, { "ZE", 2, 0 }, { "OE", 3, 0 }, { "UE", 4, 0 }, { "PE", 5, 0 }, { "DAZ", 6, 0 },
		{ "IM", 7, 0 }, { "DM", 8, 0 }, { "ZM", 9, 0 }, { "OM", 10, 0 }, { "UM", 11, 0 }, { "PM", 12, 0 }, { "RC", 13, 14 },
		{ "FZ", 15, 0 },
	};

	fputs("<feature name=\"org.gnu.gdb.i386.sse\">\n", f);
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++)
		fprintf(f, "  <vector id=\"%s\" type=\"%s\" count=\"%u\"/>\n", vectors[i].id, vectors[i].type, vectors[i].count);
	fputs("  <union id=\"vec128\">\n", f);
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++)
		fprintf(f, "    <field name=\"%s\" type=\"%s\"/>\n", vectors[i].field, vectors[i].id);
	fputs("    <field name=\"uint128\" type=\"uint128\"/>\n  </union>\n", f);
	PUT_FLAGS(f, "i386_mxcsr", 4, mxcsr);
	put_regs(f, SSE, SYSTEM);
}

static void put_system(FILE *f)
{
	static const struct flag cr0[] = {
		{ "PE", 0, 0 }, { "MP", 1, 0 }, { "EM", 2, 0 }, { "TS", 3, 0 }, { "ET", 4, 0 }, { "NE", 5, 0 }, { "WP", 16, 0 },
		{ "AM", 18, 0 }, { "NW", 29, 0 }, { "CD", 30, 0 }, { "PG", 31, 0 },
	}, cr4[] = {
		{ "VME", 0, 0 }, { "PVI", 1, 0 }, { "TSD", 2, 0 }, { "DE", 3, 0 }, { "PSE", 4, 0 }, { "PAE", 5, 0 }, { "MCE", 6, 0 },
		{ "PGE", 7, 0 }, { "PCE", 8, 0 }, { "OSFXSR", 9, 0 }, { "OSXMMEXCPT", 10, 0 },
	}, efer[] = {
		{ "NXE", 11, 0 },
	};

	fputs("<feature name=\"org.plex86.i386.system\">\n", f);
	PUT_FLAGS(f, "plex86_cr0", 4, cr0);
	PUT_FLAGS(f, "plex86_cr4", 4, cr4);
	PUT_FLAGS(f, "plex86_efer", 8, efer);
	put_regs(f, SYSTEM, ARRAY_LEN(regs));
}

char *registers_description(const struct vcpu *cpu)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return NULL;
	fprintf(f, "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n"
	    "<architecture>%s</architecture>\n", cpu->seg[SEG_CS].attr & SEG_DB ? "i386" : "i8086");
	put_core(f);
	put_sse(f);
	put_system(f);
	fputs("</target>\n", f);
	fclose(f);
	return text;
}
