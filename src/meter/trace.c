#include "meter/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "host/broker.h"

static const struct {
	const char *name;
	unsigned item;
	const char *help;
} trace_items[] = {
	{ "in_asm", TRACE_IN_ASM, "every instruction, with bytes and disassembly" },
	{ "exec", TRACE_EXEC, "every instruction, its address only" },
	{ "cpu", TRACE_CPU, "the registers before every instruction" },
	{ "fpu", TRACE_FPU, "the x87 and SSE registers before every instruction" },
	{ "int", TRACE_INT, "interrupts and exceptions; int:14 or int:0x20-0x2f+0x80: these vectors" },
	{ "io", TRACE_IO, "port reads and writes; io:0x3f8-0x3ff+0x80: these ports" },
	{ "mmu", TRACE_MMU, "loads of CR0, CR3 and CR4, INVLPG" },
	{ "hlt", TRACE_HLT, "HLT" },
	{ "cpu_reset", TRACE_RESET, "resets" },
	/* QEMU's names for what we do not note: what the guest does wrong is architecture, what we cannot do ends the run. */
	{ "guest_errors", 0, NULL },
	{ "unimp", 0, NULL },
};

void trace_list_items(FILE *f)
{
	fputs("Items of -d, separated by commas:\n", f);
	for (size_t i = 0; i < ARRAY_LEN(trace_items); i++)
		if (trace_items[i].help)
			fprintf(f, "  %-10s %s\n", trace_items[i].name, trace_items[i].help);
}

/* --- what is asked for --- */

/* "N", "N-M", several of them with + between: up to the end of the item. */
static bool parse_numbers(const char *p, const char *end, uint32_t most, struct trace_range *range, unsigned *n)
{
	*n = 0;
	while (p < end) {
		char *next;
		uint64_t first = strtoull(p, &next, 0), last = first;

		if (next == p || *n == TRACE_MAX_RANGES)
			return false;
		if (*next == '-') {
			last = strtoull(p = next + 1, &next, 0);
			if (next == p)
				return false;
		}
		if (last < first || last > most || (next != end && (*next != '+' || next + 1 == end)))
			return false;
		range[*n].first = (uint32_t)first;
		range[(*n)++].last = (uint32_t)last;
		p = next + (next != end);
	}
	return *n > 0;
}

static int parse_item(struct trace *t, const char *word, size_t len, struct error *err)
{
	size_t name = strcspn(word, ":,"), i;

	name = MIN(name, len);
	for (i = 0; i < ARRAY_LEN(trace_items); i++)
		if (strlen(trace_items[i].name) == name && memcmp(trace_items[i].name, word, name) == 0)
			break;
	if (i == ARRAY_LEN(trace_items))
		return error_set(err, -EINVAL, "-d: unknown item '%.*s' (-d help lists them)", (int)len, word);
	t->items |= trace_items[i].item;
	if (name == len)
		return 0;
	const char *p = word + name + 1;
	if (trace_items[i].item == TRACE_INT) {
		if (!parse_numbers(p, word + len, 0xFF, t->vector, &t->nvectors))
			return error_set(err, -EINVAL, "-d '%.*s': vectors are 0 to 255, as int:14 or int:0x20-0x2f+0x80", (int)len, word);
	} else if (trace_items[i].item == TRACE_IO) {
		if (!parse_numbers(p, word + len, 0xFFFF, t->port, &t->nports))
			return error_set(err, -EINVAL, "-d '%.*s': ports are 0 to 0xffff, as io:0x60 or io:0x3f8-0x3ff+0x80", (int)len, word);
	} else {
		return error_set(err, -EINVAL, "-d '%.*s': numbers go with int and io only, as int:14 or io:0x60", (int)len, word);
	}
	return 0;
}

static int parse_items(struct trace *t, const char *list, struct error *err)
{
	t->items = t->nvectors = t->nports = 0;
	if (strcmp(list, "none") == 0)
		return 0;
	while (*list) {
		size_t len = strcspn(list, ",");
		int rc = parse_item(t, list, len, err);

		if (rc < 0)
			return rc;
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

static int parse_cpls(struct trace *t, const char *list, struct error *err)
{
	t->cpls = 0;
	for (const char *p = list; ; p += 2) {
		if (*p < '0' || *p > '3' || (p[1] != ',' && p[1] != '\0'))
			return error_set(err, -EINVAL, "-dcpl '%s': privilege levels 0 to 3, separated by commas", list);
		t->cpls |= (uint8_t)BIT(*p - '0');
		if (p[1] == '\0')
			return 0;
	}
}

int trace_set_items(struct trace *t, const char *items, struct error *err)
{
	struct trace old = *t;
	int rc = parse_items(t, items, err);

	if (rc < 0)
		*t = old;
	return rc;
}

int trace_set_file(struct trace *t, const char *path, struct error *err)
{
	FILE *f = host_fopen(path, "w");	/* once the machine runs the sandbox says where */

	if (f == NULL)
		return error_set(err, -errno, "trace file '%s': %s", path, strerror(errno));
	if (t->file && t->file != stderr)
		fclose(t->file);
	t->file = f;
	return 0;
}

int trace_open(struct trace *t, const char *items, const char *filter, const char *cpls, const char *path, struct error *err)
{
	*t = (struct trace){ .file = stderr, .cpls = 0xF, .counts = true };
	int rc = items ? parse_items(t, items, err) : 0;
	if (rc == 0 && filter)
		rc = parse_filter(t, filter, err);
	if (rc == 0 && cpls)
		rc = parse_cpls(t, cpls, err);
	if (rc == 0 && path)
		rc = trace_set_file(t, path, err);
	return rc;
}

void trace_close(struct trace *t)
{
	if (t->kept_file)
		fclose(t->kept_file);
	free(t->kept);
	if (t->file && t->file != stderr)
		fclose(t->file);
	*t = (struct trace){ .file = NULL };
}

/* --- lock-step's two passes --- */

void trace_hold(struct trace *t)
{
	if (t->kept_file == NULL)
		t->kept_file = open_memstream(&t->kept, &t->kept_len);
	t->held = t->kept_file != NULL;
	t->muted = false;
}

void trace_drop(struct trace *t)
{
	if (t->kept_file)
		rewind(t->kept_file);
}

void trace_release(struct trace *t)
{
	if (t->held) {
		long n = ftell(t->kept_file);

		fflush(t->kept_file);
		fwrite(t->kept, 1, n > 0 ? (size_t)n : 0, t->file);
		rewind(t->kept_file);
	}
	t->held = t->muted = false;
}

/* --- lines --- */

static bool in_ranges(const struct trace_range *range, unsigned n, uint32_t val)
{
	for (unsigned i = 0; i < n; i++)
		if (val >= range[i].first && val <= range[i].last)
			return true;
	return n == 0;
}

static bool wanted(const struct trace *t, uint32_t lin, unsigned cpl)
{
	return !t->muted && (t->cpls >> cpl & 1) && in_ranges(t->range, t->nranges, lin);
}

/* What every line begins with. */
static void print_place(FILE *f, bool counts, uint64_t icount, unsigned cpl, uint16_t cs, uint32_t eip)
{
	if (counts)
		fprintf(f, "%12llu", (unsigned long long)icount);
	else
		fprintf(f, "%12s", "-");
	fprintf(f, " %u %04x:%08x ", cpl, cs, eip);
}

static void print_asm(FILE *f, struct vcpu *cpu)
{
	char hex[REPORT_HEX], text[160];
	const struct segment *cs = &cpu->seg[SEG_CS];
	unsigned len = report_disasm(cpu, (lin_t)(cs->base + cpu->eip), false, cs->attr & SEG_DB, cpu->eip, hex, text, sizeof(text));

	fprintf(f, "asm %-22s %s\n", len ? hex : "-", text);
}

static void print_cpu(FILE *f, const struct vcpu *cpu)
{
	static const char *const names[] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi" };
	static const char *const segs[] = { "es", "cs", "ss", "ds", "fs", "gs" };

	fputs("cpu", f);
	for (unsigned i = 0; i < 8; i++)
		fprintf(f, " %s=%08x", names[i], cpu->gpr[i]);
	fprintf(f, " efl=%08x", cpu->eflags);
	for (unsigned i = 0; i < 6; i++)
		fprintf(f, " %s=%04x", segs[i], cpu->seg[i].selector);
	fprintf(f, " cr0=%08x cr2=%08x cr3=%08x cr4=%08x\n", cpu->cr0, cpu->cr2, cpu->cr3, cpu->cr4);
}

static void print_wide(FILE *f, const char *name, unsigned i, const uint8_t *bytes, unsigned n)
{
	fprintf(f, " %s%u=", name, i);
	while (n-- > 0)
		fprintf(f, "%02x", bytes[n]);
}

static void print_fpu(FILE *f, const struct fxstate *fx)
{
	fprintf(f, "fpu fcw=%04x fsw=%04x ftw=%02x mxcsr=%08x", fx->fcw, fx->fsw, fx->ftw, fx->mxcsr);
	for (unsigned i = 0; i < 8; i++)
		print_wide(f, "st", i, fx->st[i], 10);
	for (unsigned i = 0; i < 8; i++)
		print_wide(f, "xmm", i, fx->xmm[i], 16);
	fputc('\n', f);
}

void trace_step(struct vcpu *cpu)
{
	struct trace *t = cpu->trace;
	FILE *f = t->held ? t->kept_file : t->file;
	bool again = t->repeats && t->repeats_eip == cpu->eip;	/* the rest of a REP instruction: it has its line */

	t->repeats = false;
	if (again || !(t->items & TRACE_STEPS) || !wanted(t, cpu->seg[SEG_CS].base + cpu->eip, cpu->cpl)) {
		t->repeats = again;
		return;
	}
	for (unsigned item = TRACE_IN_ASM; item <= TRACE_FPU; item <<= 1) {
		if (!(t->items & item) || (item == TRACE_EXEC && t->items & TRACE_IN_ASM))
			continue;
		print_place(f, t->counts, cpu->icount, cpu->cpl, cpu->seg[SEG_CS].selector, cpu->eip);
		switch (item) {
		case TRACE_IN_ASM: print_asm(f, cpu); break;
		case TRACE_EXEC: fputs("exec\n", f); break;
		case TRACE_CPU: print_cpu(f, cpu); break;
		default: print_fpu(f, &cpu->fx); break;
		}
	}
}

/* A REP instruction that stopped in between leaves EIP at itself with RF set (emulate/string.c). */
void trace_stepped(struct vcpu *cpu)
{
	struct trace *t = cpu->trace;

	t->repeats = cpu->eip == cpu->insn_eip && (cpu->eflags & EFLAGS_RF);
	t->repeats_eip = cpu->eip;
}

void event_print(FILE *f, const struct cpu_event *e, bool counts)
{
	static const char *const registers[] = { "cr0", "", "", "cr3", "cr4" };

	print_place(f, counts, e->icount, e->cpl, e->cs, e->eip);
	switch (e->kind) {
	case EVENT_EXCEPTION:
		fprintf(f, "exception v=%02x e=%04x", e->vector, e->a);
		if (e->vector == EXC_PF)
			fprintf(f, " cr2=%08x", e->b);
		break;
	case EVENT_INTERRUPT: fprintf(f, "interrupt v=%02x", e->vector); break;
	case EVENT_SOFTWARE_INT: fprintf(f, "int v=%02x", e->vector); break;
	case EVENT_NMI: fputs("nmi", f); break;
	case EVENT_IN: case EVENT_OUT:
		fprintf(f, "%s port=%04x size=%u val=%0*x", e->kind == EVENT_IN ? "in" : "out", e->a, e->vector, e->vector * 2, e->b);
		break;
	case EVENT_HALT: fputs("hlt", f); break;
	case EVENT_RESET: fputs("reset", f); break;
	case EVENT_CR: fprintf(f, "%s val=%08x", registers[e->vector], e->a); break;
	case EVENT_INVLPG: fprintf(f, "invlpg lin=%08x", e->a); break;
	}
	fputc('\n', f);
}

void trace_print_event(struct vcpu *cpu, const struct cpu_event *e)
{
	static const unsigned item[] = {
		[EVENT_EXCEPTION] = TRACE_INT, [EVENT_INTERRUPT] = TRACE_INT, [EVENT_SOFTWARE_INT] = TRACE_INT,
		[EVENT_NMI] = TRACE_INT, [EVENT_IN] = TRACE_IO, [EVENT_OUT] = TRACE_IO,
		[EVENT_HALT] = TRACE_HLT, [EVENT_RESET] = TRACE_RESET, [EVENT_CR] = TRACE_MMU, [EVENT_INVLPG] = TRACE_MMU,
	};
	const struct trace *t = cpu->trace;

	if (!(t->items & item[e->kind]) || !wanted(t, cpu->seg[SEG_CS].base + e->eip, e->cpl))
		return;
	if (item[e->kind] == TRACE_INT && !in_ranges(t->vector, t->nvectors, e->kind == EVENT_NMI ? EXC_NMI : e->vector))
		return;
	if (item[e->kind] == TRACE_IO && !in_ranges(t->port, t->nports, e->a))
		return;
	event_print(t->held ? t->kept_file : t->file, e, t->counts);
}
