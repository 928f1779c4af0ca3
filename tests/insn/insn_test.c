/*
 * Compares the engines with the host CPU, instruction by instruction: tier 0, or scanned code, with memory
 * through the table and through windows.
 * usage: insn_test tier0|scan [cases per place [seed [mnemonic]]]
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "decode/opcode.h"
#include "tests/insn/insn.h"
#include "util/sanitizer.h"

#define SKIPPED 77		/* the exit status by which meson knows a skipped test */

struct totals {
	unsigned long cases, faults, wraps, differences, undefined;
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

static void print_case(const struct insn_case *c, const struct insn_state *host, enum guest engine, const struct insn_state *guest,
    const char *what)
{
	printf("DIFFERENCE in %s, %s: %s, %d-bit code%s:", what, guest_name[engine], insn_info[c->in.name].mnemonic, c->big ? 32 : 16,
	    c->to_the_end ? ", to the end" : "");
	for (unsigned i = 0; i < c->len; i++)
		printf(" %02X", c->code[i]);
	printf("\n");
	print_state("before", &c->before);
	print_state("host", host);
	print_state("guest", guest);
	if (engine != TIER0 && guest_stop(engine))
		printf("  %s\n", guest_stop(engine));
	for (unsigned i = 0; i < WINDOW_BYTES && strstr(what, "memory"); i++) {
		if (i / PAGE_BYTES != DATA_HOLE && native_data[i] != guest_data(engine)[i]) {
			printf("  first byte at %04X: host %02X, guest %02X\n", i, native_data[i], guest_data(engine)[i]);
			break;
		}
	}
}

static const uint32_t hole = DATA_HOLE * PAGE_BYTES, after_hole = (DATA_HOLE + 1) * PAGE_BYTES;

static bool memory_equal(enum guest engine)
{
	const uint8_t *data = guest_data(engine);

	return memcmp(native_data, data, hole) == 0 &&
	    memcmp(native_data + after_hole, data + after_hole, WINDOW_BYTES - after_hole) == 0;
}

static void copy_memory_to(enum guest guest)
{
	memcpy(guest_data(guest), native_data, hole);
	memcpy(guest_data(guest) + after_hole, native_data + after_hole, WINDOW_BYTES - after_hole);
}

/* Every guest's memory as the host's. */
static void copy_memory(enum guest last)
{
	for (enum guest i = TIER0; i <= last; i++)
		copy_memory_to(i);
}

/*
 * FBSTP over the end of its segment: some processors have stored the first eight bytes when they raise the exception
 * for the other two. The guest stores all or nothing, as the SDM would have it.
 */
static bool stored_in_part(const struct insn_case *c, const struct insn_state *host, enum guest engine)
{
	const uint8_t *data = guest_data(engine);
	uint32_t first = 0, last = WINDOW_BYTES - 1;

	if (c->in.name != I_FBSTP || host->trap == NO_TRAP)
		return false;
	while (first / PAGE_BYTES == DATA_HOLE || native_data[first] == data[first])
		first++;
	while (last / PAGE_BYTES == DATA_HOLE || native_data[last] == data[last])
		last--;
	if (last - first >= 8)
		return false;
	copy_memory_to(engine);
	return true;
}

static bool may_fill(unsigned page) { return page != DATA_HOLE && page != DATA_READ_ONLY; }

static void fill_memory(struct random *r, enum guest last)
{
	for (unsigned page = 0; page < WINDOW_PAGES; page++)
		for (unsigned i = 0; i < PAGE_BYTES && may_fill(page); i += 4) {
			uint32_t v = random_next(r);
			memcpy(native_data + page * PAGE_BYTES + i, &v, 4);
		}
	copy_memory(last);
}

/* Words that are selectors, or 0 so that a far pointer's offset may be in reach. */
static void fill_selectors(struct random *r, enum guest last)
{
	for (unsigned page = 0; page < WINDOW_PAGES; page++) {
		uint16_t *at = (uint16_t *)(void *)(native_data + page * PAGE_BYTES);
		for (unsigned i = 0; i < PAGE_BYTES / 2 && may_fill(page); i++)
			at[i] = random_below(r, 3) ? random_selector(r) : 0;
	}
	copy_memory(last);
}

/* Which part differs, or NULL. Flags the SDM leaves undefined are told apart in *undefined. */
static const char *compare(const struct insn_case *c, const struct insn_state *h, enum guest engine, const struct insn_state *g,
    uint32_t *undefined)
{
	uint32_t flags = (h->eflags ^ g->eflags) & ~(uint32_t)EFLAGS_RF;

	if (engine != TIER0 && h->trap != NO_TRAP) {	/* flags that are dead where a fault leaves scanned code */
		struct insn_flags f = insn_flags(&c->in);
		flags &= ~(uint32_t)(EFLAGS_ARITH & f.kills & ~f.reads);
	}
	uint32_t cr2 = h->cr2 ^ g->cr2;

	if (wide_operand(&c->in))
		cr2 &= ~PAGE_MASK;
	/* over two pages that are both absent, as each says of one: which is looked at first is the processor's choice */
	if (wide_operand(&c->in) && h->trap == EXC_PF && g->trap == EXC_PF && !((h->error | g->error) & 1) &&
	    (h->cr2 >> PAGE_SHIFT) - (g->cr2 >> PAGE_SHIFT) == 1 && h->cr2 - g->cr2 < 512)
		cr2 = 0;
	uint32_t error = h->error ^ g->error;
	if (g->trap == EXC_PF && g->cr2 >> 22 == SYSTEM >> 22)
		error &= ~1u;			/* present, but not for ring 3 */
	*undefined = flags & insn_info[c->in.name].undef;
	if (h->trap != g->trap || error || cr2)
		return "the exception";
	if (memcmp(h->gpr, g->gpr, sizeof(h->gpr)) != 0)
		return "registers";
	if (h->eip != g->eip)
		return "eip";
	if (memcmp(h->seg, g->seg, sizeof(h->seg)) != 0)
		return "segment registers";
	if (flags & ~*undefined)
		return "flags";
	if (!memory_equal(engine) && !stored_in_part(c, h, engine))
		return "memory";
	return NULL;
}

/*
 * An operand that goes on at offset 0 behind the end of a 4 GiB segment "may or may not cause the indicated
 * exceptions" (SDM 3, "Limit Checking"). The host raises them; here the access meets a hole below the base.
 */
static bool wraps(const struct insn_state *host, const struct insn_state *guest)
{
	static const uint32_t bases[] = { 0, CODE_BASE, DATA_BASE };
	uint32_t from_base = ~0u;

	if ((host->trap != EXC_GP && host->trap != EXC_SS) || host->error || (guest->trap != EXC_PF && guest->trap != EXC_AC))
		return false;
	for (unsigned i = 0; i < ARRAY_LEN(bases); i++)
		from_base = MIN(from_base, guest->cr2 - bases[i] + 512);
	return guest->trap == EXC_AC || from_base < 1024;
}

static bool judge(const struct insn_case *c, const struct insn_state *host, enum guest engine, const struct insn_state *guest,
    struct totals *t)
{
	uint32_t undefined;
	const char *what = compare(c, host, engine, guest, &undefined);
	unsigned name = c->in.name;

	if (what && wraps(host, guest)) {
		t->wraps++;
	} else if (what) {
		t->differences++;
		if (t->bad[name]++ < 3)
			print_case(c, host, engine, guest, what);
	} else if (undefined) {
		t->undefined++;
		t->undef_flags[name] |= undefined;
		if (t->undef_bad[name]++ < 1)
			print_case(c, host, engine, guest, "undefined flags");
	}
	return !what;
}

static void count(const struct insn_case *c, const struct insn_state *host, struct totals *t)
{
	t->cases++;
	t->faults += host->trap != NO_TRAP;
	t->by_name[c->in.name]++;
	t->row_seen[c->in.row] = true;
}

/* Where it goes on. */
static uint32_t next_of(const struct insn_state *s)
{
	return s->eip + (s->seg[SEG_CS] == LDT_SELECTOR(LDT_FLAT_CODE) ? 0 : CODE_BASE);
}

/*
 * Would it touch what only the host has? Built with AddressSanitizer, the shadow of the test's own memory, from
 * 7FFF7000h on: such a case neither compares nor leaves the sanitizer sound. Tier 0 knows before.
 */
static bool touches_shadow(const struct insn_case *c)
{
	static struct insn_state guest;

	if (!SANITIZER)
		return false;
	guest_run(TIER0, c, &guest);
	copy_memory(TIER0);
	return (guest.trap == EXC_PF ? guest.cr2 : guest.trap == NO_TRAP ? next_of(&guest) : 0) >= 0x7FFF7000u;
}

static void run_tier0(struct random *r, const struct insn_case *c, struct totals *t)
{
	static struct insn_state host, guest;

	if (uses_selectors(&c->in))
		fill_selectors(r, TIER0);
	if (touches_shadow(c))
		return;
	native_run(c, &host);
	guest_run(TIER0, c, &guest);
	count(c, &host, t);
	if (!judge(c, &host, TIER0, &guest, t))
		fill_memory(r, TIER0);
}

/*
 * Would it go on inside its own bytes, or in the data window, which is not executable on the host? Tier 0
 * knows, before the host does whatever they say.
 */
static bool strays(const struct insn_case *c)
{
	static struct insn_state guest;

	if (c->in.name >= I_MOVS && c->in.name <= I_SCAS)
		return false;
	guest_run(TIER0, c, &guest);
	copy_memory(TIER0);
	return guest.trap == NO_TRAP && (guest.eip - c->before.eip < c->len || next_of(&guest) - DATA_BASE < WINDOW_BYTES);
}

static void run_scanned(struct random *r, struct insn_case *c, struct totals *t)
{
	static struct insn_state host, guest;
	bool same = true;

	if (uses_selectors(&c->in))
		fill_selectors(r, DIRECT);
	if (strays(c))
		return;
	run_to_the_end(c);
	if (touches_shadow(c))
		return;
	native_run(c, &host);
	count(c, &host, t);
	for (enum guest i = CHECKED; i <= DIRECT; i++) {
		guest_run(i, c, &guest);
		same &= judge(c, &host, i, &guest, t);
	}
	copy_memory_to(TIER0);
	if (!same)
		fill_memory(r, DIRECT);
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
	printf("\n%u of %u instructions, %u of %u opcode rows, %lu cases (%lu with an exception), "
	    "%lu wrap at 4 GiB, %lu differences, %lu in undefined flags\n",
	    names, all, rows, insn_row_count - 1, t->cases, t->faults, t->wraps, t->differences, t->undefined);
}

/* The scanner's timer may not come while the host carries out a case: FS is not ours then. */
static void block_ticks(void)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGUSR1);
	for (int sig = SIGILL; sig <= SIGSEGV; sig++)
		sigdelset(&all, sig);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

int main(int argc, char **argv)
{
	static struct totals t;
	bool scan = argc > 1 && strcmp(argv[1], "scan") == 0;
	unsigned per_place = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : 20;
	struct random r = { argc > 3 ? strtoull(argv[3], NULL, 0) | 1 : 0x9E3779B97F4A7C15 };
	const char *only = argc > 4 ? argv[4] : NULL;
	enum guest last = scan ? DIRECT : TIER0;

	block_ticks();
	guest_init(TIER0, last);
	const char *why = native_init();
	if (why) {
		printf("skipped: %s\n", why);
		return SKIPPED;
	}
	for (unsigned place = 0; place < PLACES; place++) {
		fill_memory(&r, last);
		for (unsigned i = 0; i < per_place; i++) {
			static struct insn_case c;
			if (!generate_case(&r, place, &c) || excluded(&c.in))
				continue;
			if (only && strcmp(only, insn_info[c.in.name].mnemonic) != 0)
				continue;
			if (scan)
				run_scanned(&r, &c, &t);
			else
				run_tier0(&r, &c, &t);
		}
	}
	print_totals(&t);
	for (enum guest i = CHECKED; scan && i <= DIRECT; i++)
		guest_summary(i);
	return t.differences || t.undefined ? 1 : 0;
}
