/*
 * The state of the processor, for people: shown when a run stops for a reason worth looking at.
 */
#include "cpu/cpu.h"
#include "meter/disasm.h"
#include "meter/trace.h"
#include "mmu/mmu.h"
#include "mmu/phys.h"

static void print_segment(FILE *f, const char *name, const struct segment *s)
{
	fprintf(f, "%-3s=%04X base %08X limit %08X attr %04X", name, s->selector, s->base, s->limit, s->attr);
	if (!(s->attr & SEG_P))
		fputs(" null or not present\n", f);
	else if (!(s->attr & SEG_S))
		fprintf(f, " system type %X\n", s->attr & 15);
	else
		fprintf(f, " %s%s DPL %u\n", s->attr & SEG_CODE ? "code" : "data", s->attr & SEG_DB ? "32" : "16", s->attr >> 5 & 3);
}

void report_registers(FILE *f, const struct vcpu *cpu)
{
	static const char *const seg_name[6] = { "ES", "CS", "SS", "DS", "FS", "GS" };
	const uint32_t *r = cpu->gpr;
	uint32_t fl = cpu->eflags;

	fprintf(f, "EAX=%08X EBX=%08X ECX=%08X EDX=%08X\n", r[REG_EAX], r[REG_EBX], r[REG_ECX], r[REG_EDX]);
	fprintf(f, "ESI=%08X EDI=%08X EBP=%08X ESP=%08X\n", r[REG_ESI], r[REG_EDI], r[REG_EBP], r[REG_ESP]);
	fprintf(f, "EIP=%08X EFL=%08X [%c%c%c%c%c%c%c%c%c] CPL=%u %s%s\n", cpu->eip, fl,
	    fl & EFLAGS_OF ? 'O' : '-', fl & EFLAGS_DF ? 'D' : '-', fl & EFLAGS_IF ? 'I' : '-', fl & EFLAGS_TF ? 'T' : '-',
	    fl & EFLAGS_SF ? 'S' : '-', fl & EFLAGS_ZF ? 'Z' : '-', fl & EFLAGS_AF ? 'A' : '-', fl & EFLAGS_PF ? 'P' : '-',
	    fl & EFLAGS_CF ? 'C' : '-', cpu->cpl,
	    !cpu_protected(cpu) ? "real mode" : cpu_vm86(cpu) ? "virtual-8086" : "protected mode", cpu->halted ? ", halted" : "");
	for (unsigned i = 0; i < 6; i++)
		print_segment(f, seg_name[i], &cpu->seg[i]);
	print_segment(f, "LDT", &cpu->ldtr);
	print_segment(f, "TR", &cpu->tr);
	fprintf(f, "GDT=%08X limit %04X IDT=%08X limit %04X\n", cpu->gdtr.base, cpu->gdtr.limit, cpu->idtr.base, cpu->idtr.limit);
	fprintf(f, "CR0=%08X CR2=%08X CR3=%08X CR4=%08X DR6=%08X DR7=%08X EFER=%llX\n", cpu->cr0, cpu->cr2, cpu->cr3, cpu->cr4,
	    cpu->dr[6], cpu->dr[7], (unsigned long long)cpu->efer);
}

unsigned report_peek(struct vcpu *cpu, uint64_t at, bool physical, void *buf, unsigned len)
{
	gpa_t gpa = at;

	for (unsigned i = 0; i < len; i++, gpa++) {
		if (!physical && (i == 0 || ((at + i) & PAGE_MASK) == 0) && !mmu_translate(cpu, (lin_t)(at + i), &gpa))
			return i;
		const uint8_t *host = phys_host(cpu->phys, gpa, false);
		if (host == NULL)
			return i;
		((uint8_t *)buf)[i] = *host;
	}
	return len;
}

unsigned report_disasm(struct vcpu *cpu, uint64_t at, bool physical, bool big, uint32_t eip, char hex[REPORT_HEX], char *text, size_t size)
{
	uint8_t code[15];
	unsigned n = report_peek(cpu, at, physical, code, sizeof(code));

	hex[0] = '\0';
	if (n == 0) {
		snprintf(text, size, "(no memory there)");
		return 0;
	}
	unsigned len = disasm_att(text, size, code, n, big, eip);
	for (unsigned i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02X", code[i]);
	return len;
}

unsigned report_instruction(FILE *f, struct vcpu *cpu, uint32_t eip)
{
	const struct segment *cs = &cpu->seg[SEG_CS];
	char text[160], hex[REPORT_HEX];
	unsigned len = report_disasm(cpu, (lin_t)(cs->base + eip), false, cs->attr & SEG_DB, eip, hex, text, sizeof(text));

	if (len)
		fprintf(f, " %04X.%08X  %-24s %s\n", cs->selector, eip, hex, text);
	else
		fprintf(f, " %04X.%08X  %s\n", cs->selector, eip, text);
	return len;
}

/* The words on top of the stack, as wide as it is. */
static void report_stack(FILE *f, struct vcpu *cpu)
{
	const struct segment *ss = &cpu->seg[SEG_SS];
	bool big = ss->attr & SEG_DB, any = false;
	unsigned width = big ? 4 : 2;

	for (unsigned i = 0; i < 8; i++) {
		uint32_t off = cpu->gpr[REG_ESP] + i * width, val = 0;

		if (!big)
			off &= 0xFFFF;
		if (report_peek(cpu, (lin_t)(ss->base + off), false, &val, width) != width)
			break;
		if (i == 0)
			fprintf(f, "Stack at %04X.%08X:", ss->selector, off);
		fprintf(f, " %0*X", (int)width * 2, val);
		any = true;
	}
	if (any)
		fputc('\n', f);
}

void report_all(FILE *f, struct vcpu *cpu)
{
	uint32_t eip = cpu->eip - cpu->halted;	/* HLT, a byte long, is what a halted processor is at */

	report_registers(f, cpu);
	fputs("Current instruction:\n", f);
	unsigned len = report_instruction(f, cpu, eip);
	if (len)
		fputs("Behind it:\n", f);
	for (unsigned i = 0; i < 4 && len; i++)
		len = report_instruction(f, cpu, eip += len);
	report_stack(f, cpu);
	unsigned n = MIN(cpu->nevents, (uint32_t)CPU_EVENTS);
	if (n)
		fputs("Last events (instruction count, CPL, address, event):\n", f);
	for (unsigned i = cpu->nevents - n; i != cpu->nevents; i++)
		event_print(f, &cpu->event[i % CPU_EVENTS], true);
	fprintf(f, "%llu instructions\n", (unsigned long long)cpu->icount);
}
