/*
 * Processor models.			[SDM 2, "CPUID", figures and tables of leaf 1], [Intel AP-485]
 */
#include "cpu/model.h"

#include <string.h>

/* Leaf 1, EDX, by the names that /proc/cpuinfo and QEMU have. */
static const struct { const char *name; uint8_t bit; } features[] = {
	{ "fpu", 0 }, { "vme", 1 }, { "de", 2 }, { "pse", 3 }, { "tsc", 4 }, { "msr", 5 }, { "pae", 6 }, { "cx8", 8 }, { "apic", 9 },
	{ "sep", 11 }, { "mtrr", 12 }, { "pge", 13 }, { "cmov", 15 }, { "pat", 16 }, { "clflush", 19 }, { "mmx", 23 }, { "fxsr", 24 },
	{ "sse", 25 }, { "sse2", 26 },
};

enum {
	FPU = BIT(0), VME = BIT(1), DE = BIT(2), PSE = BIT(3), TSC = BIT(4), MSR = BIT(5), PAE = BIT(6), CX8 = BIT(8), APIC = BIT(9),
	SEP = BIT(11), MTRR = BIT(12), PGE = BIT(13), CMOV = BIT(15), PAT = BIT(16), MMX = BIT(23), FXSR = BIT(24), SSE = BIT(25),
};
enum {
	I486 = FPU | VME | PSE, I586 = I486 | DE | TSC | MSR | CX8 | APIC, I586_MMX = I586 | MMX,
	I686 = I586 | PAE | SEP | MTRR | PGE | CMOV | PAT, PENTIUM2 = I686 | MMX | FXSR, PENTIUM3 = PENTIUM2 | SSE,
};

static const struct {
	const char *name, *help;
	struct cpu_model model;
} models[] = {
	{ "plex86", "32-bit, SSE2 (also: max, host, qemu32, base)", { 0 } },
	{ "max", NULL, { 0 } }, { "host", NULL, { 0 } }, { "qemu32", NULL, { 0 } }, { "base", NULL, { 0 } },
	{ "486", "80486DX4: FPU", { 0x480, ~(uint32_t)I486, 1, true, true, false } },
	{ "pentium", "with TSC, MSRs, CMPXCHG8B, APIC", { 0x543, ~(uint32_t)I586, 1, true, true, false } },
	{ "pentium-mmx", NULL, { 0x543, ~(uint32_t)I586_MMX, 1, true, true, false } },
	{ "pentiumpro", "with PAE, CMOV, SYSENTER", { 0x619, ~(uint32_t)I686, 2, true, true, false } },
	{ "pentium2", "with MMX (also: pentium-mmx, the 80586 with it)", { 0x652, ~(uint32_t)PENTIUM2, 2, true, true, false } },
	{ "pentium3", "with SSE", { 0x673, ~(uint32_t)PENTIUM3, 2, true, true, false } },
	{ "pentium4", "as plex86, for systems that fail where CPUID has leaves above 3 (Windows NT 4)", { .limited = true } },
};

void cpu_model_list(FILE *f)
{
	fputs("Processors, by what CPUID announces:\n", f);
	for (size_t i = 0; i < ARRAY_LEN(models); i++)
		if (models[i].help)
			fprintf(f, "  %-10s %s\n", models[i].name, models[i].help);
	fputs("Features to announce or not, as NAME,-sse2,+pae:\n ", f);
	for (size_t i = 0; i < ARRAY_LEN(features); i++)
		fprintf(f, " %s", features[i].name);
	fputs(" nx\n", f);
}

/* "+sse2", "-nx", "sse2=off". false: there is no such feature. */
static bool set_feature(struct cpu_model *m, const char *word, size_t len)
{
	const char *eq = memchr(word, '=', len);
	bool on = *word != '-';

	if (eq) {
		on = (size_t)(word + len - eq) == 3;	/* "=on" */
		if (strncmp(eq, "=on", (size_t)(word + len - eq)) != 0 && strncmp(eq, "=off", (size_t)(word + len - eq)) != 0)
			return false;
		len = (size_t)(eq - word);
	} else if (*word == '+' || *word == '-') {
		word++;
		len--;
	} else {
		/* How strictly QEMU is to take features: ours are announced or not. */
		return len == 5 && memcmp(word, "check", 5) == 0;
	}
	if (len == 2 && memcmp(word, "nx", 2) == 0) {
		m->no_nx = !on;
		m->no_extended &= !on;
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(features); i++) {
		if (strlen(features[i].name) != len || memcmp(features[i].name, word, len) != 0)
			continue;
		m->hidden = on ? m->hidden & ~BIT(features[i].bit) : m->hidden | BIT(features[i].bit);
		return true;
	}
	/* What we have not: not to announce it is easy. */
	return !on || (len == 5 && memcmp(word, "check", 5) == 0) || (len == 7 && memcmp(word, "enforce", 7) == 0);
}

bool cpu_model_parse(struct cpu_model *model, const char *text, char wrong[64])
{
	size_t len = strcspn(text, ","), i = 0;

	while (i < ARRAY_LEN(models) && (strlen(models[i].name) != len || memcmp(models[i].name, text, len) != 0))
		i++;
	snprintf(wrong, 64, "%.*s", (int)MIN(len, 63u), text);
	if (i == ARRAY_LEN(models))
		return false;
	*model = models[i].model;
	for (const char *p = text + len; *p; p += len) {
		len = strcspn(++p, ",");
		snprintf(wrong, 64, "%.*s", (int)MIN(len, 63u), p);
		if (!set_feature(model, p, len))
			return false;
	}
	return true;
}
