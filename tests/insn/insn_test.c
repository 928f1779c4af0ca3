/*
 * Compares tier 0 with the host CPU, instruction by instruction.
 * usage: insn_test [cases per place [seed [mnemonic]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "decode/opcode.h"
#include "tests/insn/insn.h"

#define SKIPPED 77		/* the exit status by which meson knows a skipped test */

struct totals {
	unsigned long cases, differences, undefined;
	unsigned long by_name[I_COUNT], bad[I_COUNT], undef_bad[I_COUNT];
	uint32_t undef_flags[I_COUNT];
	bool row_seen[4096];
};

static void print_state(const char *title, const struct insn_state *s)
{
	printf("  %-7s eax %08X ecx %08X edx %08X ebx %08X esp %08X ebp %08X esi %08X edi %08X\n"
	    "          eip %08X flags %06X cs %04X ss %04X ds %04X es %04X fs %04X gs %04X",
	    title, s->gpr[0], s->gpr[1], s->gpr[2], s->gpr[3], s->gpr[4], s->gpr[5], s->gpr[6], s->gpr[7],
	    s->eip, s->eflags, s->seg[SEG_CS], s->seg[SEG_SS], s->seg[SEG_DS], s->seg[SEG_ES],
	    s->seg[SEG_FS], s->seg[SEG_GS]);
	if (s->trap != NO_TRAP)
		printf(" exception %u error %X cr2 %08X", s->trap, s->error, s->cr2);
	printf("\n");
}

static void print_case(const struct insn_case *c, const struct insn_state *host, const struct insn_state *guest, const char *what)
{
	printf("DIFFERENCE in %s: %s, %d-bit code%s:", what, insn_info[c->in.name].mnemonic, c->big ? 32 : 16,
	    c->to_the_end ? ", to the end" : "");
	for (unsigned i = 0; i < c->len; i++)
		printf(" %02X", c->code[i]);
	printf("\n");
	print_state("before", &c->before);
	print_state("host", host);
	print_state("tier 0", guest);
	for (unsigned i = 0; i < WINDOW_BYTES && strstr(what, "memory"); i++) {
		if (i / PAGE_BYTES != DATA_HOLE && native_data[i] != guest_data()[i]) {
			printf("  first byte at %04X: host %02X, tier 0 %02X\n", i, native_data[i], guest_data()[i]);
			break;
		}
	}
}

static bool memory_equal(void)
{
	const uint32_t hole = DATA_HOLE * PAGE_BYTES, after = hole + PAGE_BYTES;

	return memcmp(native_data, guest_data(), hole) == 0 &&
	    memcmp(native_data + after, guest_data() + after, WINDOW_BYTES - after) == 0;
}

static void fill_memory(struct random *r)
{
	for (unsigned page = 0; page < WINDOW_PAGES; page++) {
		for (unsigned i = 0; i < PAGE_BYTES && page != DATA_HOLE; i += 4) {
			uint32_t v = random_next(r);
			memcpy(guest_data() + page * PAGE_BYTES + i, &v, 4);
		}
		if (page != DATA_HOLE && page != DATA_READ_ONLY)
			memcpy(native_data + page * PAGE_BYTES, guest_data() + page * PAGE_BYTES, PAGE_BYTES);
	}
	memcpy(guest_data() + DATA_READ_ONLY * PAGE_BYTES, native_data + DATA_READ_ONLY * PAGE_BYTES, PAGE_BYTES);
}

/* Words that are selectors, or 0 so that a far pointer's offset may be in reach. */
static void fill_selectors(struct random *r)
{
	for (unsigned page = 0; page < WINDOW_PAGES; page++) {
		uint16_t *at = (uint16_t *)(void *)(guest_data() + page * PAGE_BYTES);
		if (page == DATA_HOLE || page == DATA_READ_ONLY)
			continue;
		for (unsigned i = 0; i < PAGE_BYTES / 2; i++)
			at[i] = random_below(r, 3) ? random_selector(r) : 0;
		memcpy(native_data + page * PAGE_BYTES, at, PAGE_BYTES);
	}
}

/* Which part differs, or NULL. Flags the SDM leaves undefined are told apart in *undefined. */
static const char *compare(const struct insn_case *c, const struct insn_state *h, const struct insn_state *g, uint32_t *undefined)
{
	uint32_t flags = (h->eflags ^ g->eflags) & ~(uint32_t)EFLAGS_RF;

	uint32_t cr2 = h->cr2 ^ g->cr2;

	if (wide_operand(&c->in))
		cr2 &= ~PAGE_MASK;
	*undefined = flags & insn_info[c->in.name].undef;
	if (h->trap != g->trap || h->error != g->error || cr2)
		return "the exception";
	if (memcmp(h->gpr, g->gpr, sizeof(h->gpr)) != 0)
		return "registers";
	if (h->eip != g->eip)
		return "eip";
	if (memcmp(h->seg, g->seg, sizeof(h->seg)) != 0)
		return "segment registers";
	if (flags & ~*undefined)
		return "flags";
	if (!memory_equal())
		return "memory";
	return NULL;
}

static void run_case(struct random *r, const struct insn_case *c, struct totals *t)
{
	static struct insn_state host, guest;
	uint32_t undefined;

	if (uses_selectors(&c->in))
		fill_selectors(r);
	native_run(c, &host);
	guest_run(c, &guest);
	const char *what = compare(c, &host, &guest, &undefined);
	unsigned name = c->in.name;
	t->cases++;
	t->by_name[name]++;
	t->row_seen[c->in.row] = true;
	if (what) {
		t->differences++;
		if (t->bad[name]++ < 3)
			print_case(c, &host, &guest, what);
		fill_memory(r);
	} else if (undefined) {
		t->undefined++;
		t->undef_flags[name] |= undefined;
		if (t->undef_bad[name]++ < 1)
			print_case(c, &host, &guest, "undefined flags");
	}
}

static void print_totals(const struct totals *t)
{
	unsigned names = 0, all = 0, rows = 0;

	for (unsigned i = 1; i < I_COUNT; i++) {
		all++;
		names += t->by_name[i] != 0;
		if (t->bad[i])
			printf("%-10s %lu of %lu cases differ\n", insn_info[i].mnemonic, t->bad[i], t->by_name[i]);
		if (t->undef_bad[i])
			printf("%-10s undefined flags %03X differ in %lu of %lu cases\n", insn_info[i].mnemonic,
			    t->undef_flags[i], t->undef_bad[i], t->by_name[i]);
	}
	printf("not compared:");
	for (unsigned i = 1; i < I_COUNT; i++)
		if (!t->by_name[i])
			printf(" %s", insn_info[i].mnemonic);
	for (unsigned i = 1; i < insn_row_count; i++)
		rows += t->row_seen[i];
	printf("\n%u of %u instructions, %u of %u opcode rows, %lu cases, %lu differences, %lu in undefined flags\n",
	    names, all, rows, insn_row_count - 1, t->cases, t->differences, t->undefined);
}

int main(int argc, char **argv)
{
	static struct totals t;
	unsigned per_place = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : 20;
	struct random r = { argc > 2 ? strtoull(argv[2], NULL, 0) | 1 : 0x9E3779B97F4A7C15 };
	const char *only = argc > 3 ? argv[3] : NULL;
	const char *why = native_init();

	if (why) {
		printf("skipped: %s\n", why);
		return SKIPPED;
	}
	guest_init();
	for (unsigned place = 0; place < PLACES; place++) {
		fill_memory(&r);
		for (unsigned i = 0; i < per_place; i++) {
			static struct insn_case c;
			if (!generate_case(&r, place, &c) || excluded(&c.in))
				continue;
			if (only && strcmp(only, insn_info[c.in.name].mnemonic) != 0)
				continue;
			run_case(&r, &c, &t);
		}
	}
	print_totals(&t);
	return t.differences || t.undefined ? 1 : 0;
}
