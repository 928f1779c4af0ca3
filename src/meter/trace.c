#include "meter/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	unsigned item;
	const char *help;
} trace_items[] = {
	{ "in_asm", TRACE_IN_ASM, "every instruction, with bytes and disassembly" },
	{ "exec", TRACE_EXEC, "every instruction, its address only" },
	{ "cpu", TRACE_CPU, "the registers before every instruction" },
	{ "int", TRACE_INT, "interrupts and exceptions" },
	{ "io", TRACE_IO, "port reads and writes" },
	{ "cpu_reset", TRACE_RESET, "resets and halts" },
};

void trace_list_items(FILE *f)
{
	fputs("Items of -d, separated by commas:\n", f);
	for (size_t i = 0; i < ARRAY_LEN(trace_items); i++)
		fprintf(f, "  %-10s %s\n", trace_items[i].name, trace_items[i].help);
}

static int parse_items(struct trace *t, const char *list, struct error *err)
{
	while (*list) {
		size_t len = strcspn(list, ","), i;

		for (i = 0; i < ARRAY_LEN(trace_items); i++)
			if (strlen(trace_items[i].name) == len && memcmp(trace_items[i].name, list, len) == 0)
				break;
		if (i == ARRAY_LEN(trace_items))
			return error_set(err, -EINVAL, "-d: unknown item '%.*s' (-d help lists them)", (int)len, list);
		t->items |= trace_items[i].item;
		list += len + (list[len] == ',');
	}
	return 0;
}

/* As QEMU has it: start..last, start+length. */
static int parse_filter(struct trace *t, const char *list, struct error *err)
{
	const char *p = list;

	while (*p) {
		char *end;
		uint64_t first = strtoull(p, &end, 0), last = first;

		if (end == p)
			goto bad;
		if (end[0] == '.' && end[1] == '.')
			last = strtoull(p = end + 2, &end, 0);
		else if (end[0] == '+')
			last = first + strtoull(p = end + 1, &end, 0) - 1;
		if (end == p || (*end != ',' && *end != '\0') || last < first || last > UINT32_MAX)
			goto bad;
		if (t->nranges == TRACE_MAX_RANGES)
			return error_set(err, -EINVAL, "-dfilter: more than %u ranges", TRACE_MAX_RANGES);
		t->range[t->nranges].first = (uint32_t)first;
		t->range[t->nranges++].last = (uint32_t)last;
		p = end + (*end == ',');
	}
	return 0;
bad:
	return error_set(err, -EINVAL, "-dfilter '%s': expected start..last or start+length, separated by commas", list);
}

int trace_open(struct trace *t, const char *items, const char *filter, const char *path, struct error *err)
{
	*t = (struct trace){ 0 };
	int rc = parse_items(t, items, err);
	if (rc == 0 && filter)
		rc = parse_filter(t, filter, err);
	if (rc < 0)
		return rc;
	t->file = path ? fopen(path, "we") : stderr;
	if (t->file == NULL)
		return error_set(err, -errno, "-D '%s': %s", path, strerror(errno));
	return 0;
}

void trace_close(struct trace *t)
{
	if (t->file && t->file != stderr)
		fclose(t->file);
	t->file = NULL;
}

static bool wanted(const struct trace *t, uint32_t lin)
{
	for (unsigned i = 0; i < t->nranges; i++)
		if (lin >= t->range[i].first && lin <= t->range[i].last)
			return true;
	return t->nranges == 0;
}

void trace_step(struct vcpu *cpu)
{
	struct trace *t = cpu->trace;

	if (!wanted(t, cpu->seg[SEG_CS].base + cpu->eip))
		return;
	if (t->items & TRACE_CPU)
		report_registers(t->file, cpu);
	if (t->items & TRACE_IN_ASM)
		report_instruction(t->file, cpu, cpu->eip);
	else if (t->items & TRACE_EXEC)
		fprintf(t->file, " %04X.%08X\n", cpu->seg[SEG_CS].selector, cpu->eip);
}

void event_print(FILE *f, const struct cpu_event *e)
{
	static const char *const exceptions[] = {
		"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "CSO",
		"#TS", "#NP", "#SS", "#GP", "#PF", "15", "#MF", "#AC", "#MC", "#XM",
	};
	const char *name = e->vector < ARRAY_LEN(exceptions) ? exceptions[e->vector] : "?";

	fprintf(f, " %12llu %04X.%08X  ", (unsigned long long)e->icount, e->cs, e->eip);
	switch (e->kind) {
	case EVENT_EXCEPTION:
		if (e->vector == EXC_PF)
			fprintf(f, "exception %s error %x cr2 %08x\n", name, e->a, e->b);
		else
			fprintf(f, "exception %s error %x\n", name, e->a);
		break;
	case EVENT_INTERRUPT:
		fprintf(f, "interrupt %02x\n", e->vector);
		break;
	case EVENT_SOFTWARE_INT:
		fprintf(f, "int $0x%02x\n", e->vector);
		break;
	case EVENT_NMI:
		fprintf(f, "NMI\n");
		break;
	case EVENT_IN:
		fprintf(f, "in  %u bytes, port %04x: %0*x\n", e->vector, e->a, e->vector * 2, e->b);
		break;
	case EVENT_OUT:
		fprintf(f, "out %u bytes, port %04x: %0*x\n", e->vector, e->a, e->vector * 2, e->b);
		break;
	case EVENT_HALT:
		fprintf(f, "hlt\n");
		break;
	case EVENT_RESET:
		fprintf(f, "reset\n");
		break;
	}
}

void trace_print_event(struct vcpu *cpu, const struct cpu_event *e)
{
	static const unsigned item[] = {
		[EVENT_EXCEPTION] = TRACE_INT, [EVENT_INTERRUPT] = TRACE_INT, [EVENT_SOFTWARE_INT] = TRACE_INT,
		[EVENT_NMI] = TRACE_INT, [EVENT_IN] = TRACE_IO, [EVENT_OUT] = TRACE_IO,
		[EVENT_HALT] = TRACE_RESET, [EVENT_RESET] = TRACE_RESET,
	};

	if ((cpu->trace->items & item[e->kind]) && wanted(cpu->trace, cpu->seg[SEG_CS].base + e->eip))
		event_print(cpu->trace->file, e);
}
