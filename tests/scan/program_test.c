/*
 * A seed means one program, whichever compiler built the generator: what was found with a seed can be found again.
 */
#include "tests/scan/program.h"
#include "tests/test.h"

static uint64_t mix(uint64_t sum, const void *bytes, size_t n)		/* FNV-1a, by words */
{
	for (size_t i = 0; i + 4 <= n; i += 4) {
		uint32_t v;
		memcpy(&v, (const uint8_t *)bytes + i, 4);
		sum = (sum ^ v) * 0x100000001B3u;
	}
	return sum;
}

/* All but the handlers, which an assembler makes, and the gates, which say where they are. */
static uint64_t sum_of(const struct program *p)
{
	const struct vcpu *cpu = &p->cpu;
	uint64_t sum = mix(0xCBF29CE484222325u, p->ram + PAGE_DIR, IDT_AT - PAGE_DIR);

	sum = mix(sum, p->ram + CODE_AT, RAM_BYTES - CODE_AT);
	sum = mix(sum, cpu->gpr, sizeof(cpu->gpr));
	sum = mix(sum, (const uint32_t[]){ cpu->eip, cpu->eflags, cpu->cr0, cpu->cr3, cpu->cr4 }, 20);
	for (unsigned i = 0; i < 6; i++) {
		const struct segment *s = &cpu->seg[i];
		sum = mix(sum, (const uint32_t[]){ s->selector, s->attr, s->base, s->limit }, 16);
	}
	return mix(sum, cpu->fx.xmm, sizeof(cpu->fx.xmm));
}

static uint64_t sum_of_programs(void (*make)(struct program *p, struct random *r), unsigned n)
{
	static struct program p;
	struct random r = { 20261120 };
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++) {
		make(&p, &r);
		sum = sum * 31 + sum_of(&p);
	}
	return sum;
}

/* The numbers change with the generator, and with the instructions the decoder knows; not with the compiler. */
TEST(a_seed_means_the_same_programs_whatever_the_compiler)
{
	CHECK_EQ(sum_of_programs(program_make, 40), 0xdf405c524111cddb);
	CHECK_EQ(sum_of_programs(program_make_16, 40), 0x2fa4e53288f8a35f);
}

TEST(a_seed_means_the_same_cases_whatever_the_compiler)
{
	struct random r = { 20261120 };
	uint64_t sum = 0;

	for (unsigned place = 0; place < PLACES; place++) {
		struct insn_case c;
		if (!generate_case(&r, place, &c))
			continue;
		sum = mix(sum, c.code, sizeof(c.code));
		sum = mix(sum, c.before.gpr, sizeof(c.before.gpr));
		sum = mix(sum, (const uint32_t[]){ c.before.eip, c.before.eflags, c.before.seg[SEG_SS] }, 12);
	}
	CHECK_EQ(sum, 0x6f4c37fe517290ac);
}
