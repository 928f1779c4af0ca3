/*
 * The stopwatch, the table's exports, symbols and stacks.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "meter/device.h"
#include "meter/flame.h"
#include "meter/symbols.h"
#include "meter/table.h"
#include "tests/test.h"

#ifdef PLEX86_METERS

static uint64_t sum(const struct meters *m)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < METER_CAUSES; i++)
		n += m->ns[i];
	return n;
}

static void spend(void)
{
	for (volatile unsigned i = 0; i < 20000; i++)
		;
}

TEST(all_causes_together_are_the_time_that_passed)
{
	struct meters m = { 0 };

	meter_start(&m);
	for (unsigned i = 0; i < 20; i++) {
		spend();
		meter_switch(&m, (enum meter_cause)(i % METER_CAUSES));
		uint64_t passed = meter_times(&m);
		CHECK_EQ(passed, sum(&m));
	}
	for (unsigned i = 0; i < METER_CAUSES; i++)
		CHECK(m.ns[i] > 0);
}

TEST(many_changes_of_ring_still_add_up_and_both_get_their_part)
{
	struct meters m = { 0 };

	meter_start(&m);
	meter_switch(&m, METER_RING0);
	for (unsigned i = 0; i < 4000; i++) {
		meter_ring(&m, i & 1 ? METER_RING0 : METER_RING3);
		for (volatile unsigned k = 0; k < (i & 1 ? 100 : 1000); k++)	/* so that there is something to split */
			;
	}
	uint64_t passed = meter_times(&m);
	CHECK_EQ(passed, sum(&m));
	CHECK(m.segments > 20);
	CHECK(m.ns[METER_RING3] > 0);
	CHECK(m.ns[METER_RING0] > 0);
}

TEST(events_that_are_measured_stand_for_those_that_are_not)
{
	struct meters m = { 0 };
	uint64_t before;

	meter_start(&m);
	meter_switch(&m, METER_RING0);
	for (unsigned i = 0; i < 2000; i++) {
		meter_begin(&m, &m.span[SPAN_EMULATE]);
		for (volatile unsigned k = 0; k < 1000; k++)
			;
		meter_end(&m, &m.span[SPAN_EMULATE]);
	}
	uint64_t passed = meter_times(&m);
	CHECK_EQ(passed, sum(&m));
	CHECK(m.ns[METER_EMULATE] > 0);
	before = m.ns[METER_EMULATE];
	meter_times(&m);
	CHECK(m.ns[METER_EMULATE] >= before);		/* a counter never falls */
}

/* As a block is made, in the guest's time. */
static void span(struct meters *meters)
{
	struct { struct meters meters; } *cpu = (void *)meters;

	METER_SPAN(cpu, METER_SCAN);
	spend();
}

TEST(what_is_measured_each_time_is_taken_from_what_was_charged_meanwhile)
{
	struct meters m = { 0 };

	meter_start(&m);
	for (unsigned i = 0; i < 50; i++) {
		meter_switch(&m, i & 1 ? METER_RING3 : METER_RING0);
		spend();
		span(&m);
		uint64_t passed = meter_times(&m);
		CHECK_EQ(passed, sum(&m));
	}
	CHECK(m.ns[METER_SCAN] > 0);
	CHECK(m.ns[METER_RING3] > 0);
	CHECK(m.ns[METER_RING0] > 0);
	CHECK_EQ(m.unseen, 0);				/* it is no look at the rings */
}

TEST(an_event_that_the_host_interrupted_stands_for_itself_only)
{
	const uint64_t interrupted = 10000000000u;	/* ticks: seconds */
	struct meters m = { 0 };
	struct meter_sampler *s = &m.span[SPAN_EMULATE];

	meter_start(&m);
	for (unsigned i = 0; i < 100; i++) {
		s->weight = 64;
		m.since = s->start = __rdtsc() - (i == 50 ? interrupted : 2000);
		meter_span_end(&m, s);
	}
	CHECK(m.debt[METER_EMULATE][METER_HOST] >= interrupted + 99 * 64 * 1000);
	CHECK(m.debt[METER_EMULATE][METER_HOST] < 2 * interrupted);
}

TEST(more_devices_than_there_are_counters_share_the_last)
{
	struct meter_devices d = { 0 };
	char names[80][8];

	for (unsigned i = 0; i < 80; i++) {
		snprintf(names[i], sizeof(names[i]), "d%u", i);
		CHECK_EQ(meter_device_of(&d, names[i]), MIN(i, METER_DEVICES_MAX - 1u));
	}
	CHECK_EQ(meter_device_of(&d, "d3"), 3);
}

#endif

TEST(label_values_are_escaped)				/* [Prometheus, "Exposition formats"] */
{
	struct meter_snapshot *s = calloc(1, sizeof(*s));
	char *text = NULL;
	size_t len = 0;

	strcpy(s->name, "a\"b\\c\nd");
	meter_put(s, METER_UPTIME, NULL, NULL, 1500000000);
	FILE *f = open_memstream(&text, &len);
	meter_prometheus(s, f);
	fclose(f);
	CHECK(strstr(text, "\nplex86_uptime_seconds{vm=\"a\\\"b\\\\c\\nd\"} 1.500000000\n") != NULL);
	free(text);
	free(s);
}

TEST(a_full_snapshot_takes_no_more)
{
	struct meter_snapshot *s = calloc(1, sizeof(*s));

	for (unsigned i = 0; i < METER_SAMPLES_MAX + 10; i++)
		meter_put(s, METER_EXCEPTIONS, "a label that is longer than there is room for", "and another", i);
	CHECK_EQ(s->n, METER_SAMPLES_MAX);
	json_t *j = meter_json(s);
	CHECK(j != NULL);
	json_decref(j);
	free(s);
}

/* --- symbols --- */

static void write_file(char *path, const void *bytes, size_t len)
{
	strcpy(path, "/tmp/plex86-symbols-XXXXXX");
	int fd = mkstemp(path);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, bytes, len), len);
	close(fd);
}

static int load(struct symbols *s, const void *bytes, size_t len)
{
	struct error err = { "" };
	char path[64];

	write_file(path, bytes, len);
	int rc = symbols_load(s, path, &err);
	unlink(path);
	return rc;
}

TEST(a_system_map_names_functions_only)
{
	static const char map[] = "c1000000 T first\nc1000100 t second_one\tmodule\nc1000180 d data\nc1000200 W third\n"
	    "00000000 A absolute\nffffffff81000000 T too_far\nnonsense\nc1 T";
	struct symbols s = { 0 };

	CHECK_EQ(load(&s, map, sizeof(map) - 1), 0);
	CHECK_EQ(s.n, 3);
	CHECK(symbols_find(&s, 0xC0FFFFFF) == NULL);
	CHECK(strcmp(symbols_find(&s, 0xC1000000), "first") == 0);
	CHECK(strcmp(symbols_find(&s, 0xC10000FF), "first") == 0);
	CHECK(strcmp(symbols_find(&s, 0xC1000190), "second_one") == 0);
	CHECK(strcmp(symbols_find(&s, 0xC1000200), "third") == 0);
	CHECK(symbols_find(&s, 0xFFFFFFFF) == NULL);
	symbols_free(&s);
}

/* An ELF file of: header, three section headers (null, .symtab, .strtab), two symbols, their names. */
struct small_elf {
	Elf32_Ehdr head;
	Elf32_Shdr section[3];
	Elf32_Sym symbol[2];
	char names[16];
};

static struct small_elf small_elf(void)
{
	struct small_elf e = { .head = { .e_shoff = offsetof(struct small_elf, section), .e_shentsize = sizeof(Elf32_Shdr), .e_shnum = 3 },
	    .section = { [1] = { .sh_type = SHT_SYMTAB, .sh_offset = offsetof(struct small_elf, symbol), .sh_size = 2 * sizeof(Elf32_Sym),
	    .sh_link = 2, .sh_entsize = sizeof(Elf32_Sym) }, [2] = { .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct small_elf, names),
	    .sh_size = 16 } },
	    .symbol = { { .st_name = 1, .st_value = 0x1000, .st_size = 16, .st_info = STT_FUNC, .st_shndx = 1 },
	    { .st_name = 6, .st_value = 0x2000, .st_size = 16, .st_info = STT_FUNC, .st_shndx = 1 } },
	    .names = "\0main\0other" };

	memcpy(e.head.e_ident, ELFMAG, 4);
	e.head.e_ident[EI_CLASS] = ELFCLASS32;
	e.head.e_ident[EI_DATA] = ELFDATA2LSB;
	return e;
}

TEST(an_elf_file_names_functions_with_their_sizes)
{
	struct small_elf e = small_elf();
	struct symbols s = { 0 };

	CHECK_EQ(load(&s, &e, sizeof(e)), 0);
	CHECK_EQ(s.n, 2);
	CHECK(strcmp(symbols_find(&s, 0x100F), "main") == 0);
	CHECK(symbols_find(&s, 0x1010) == NULL);
	CHECK(strcmp(symbols_find(&s, 0x2000), "other") == 0);
	symbols_free(&s);
}

TEST(a_damaged_elf_file_is_refused_or_read_within_its_bounds)
{
	uint32_t random = 1;

	for (unsigned i = 0; i < 3000; i++) {
		struct small_elf e = small_elf();
		struct symbols s = { 0 };
		size_t len = sizeof(e);

		for (unsigned k = 0; k < 4; k++) {
			random = random * 1664525u + 1013904223u;
			((uint8_t *)&e)[4 + (random >> 8) % (sizeof(e) - 4)] = random & 1 ? (uint8_t)(random >> 16) : 0xFF;
		}
		if (i & 1)
			len = 4 + (random >> 4) % (sizeof(e) - 4);
		load(&s, &e, len);
		for (size_t k = 0; k < s.n; k++)
			CHECK(strlen(s.symbol[k].name) < len);
		symbols_free(&s);
	}
}

/* --- stacks --- */

TEST(stacks_are_folded_and_drawn)
{
	struct flame f = { { 0 } };
	const char *a[] = { "main", "b<&>" }, *b[] = { "main", "a" };
	char *text = NULL;
	size_t len = 0;

	CHECK(flame_add(&f, a, 2, 3));
	CHECK(flame_add(&f, b, 2, 1));
	CHECK(flame_add(&f, a, 1, 2));
	FILE *out = open_memstream(&text, &len);
	flame_folded(&f, out);
	fclose(out);
	CHECK(strcmp(text, "main 2\nmain;a 1\nmain;b<&> 3\n") == 0);
	free(text);
	out = open_memstream(&text, &len);
	flame_svg(&f, "a \"title\"", out);
	fclose(out);
	CHECK(strstr(text, "b&lt;&amp;&gt;: 3 samples, 50.00 %") != NULL);
	CHECK(strstr(text, "a &quot;title&quot;") != NULL);
	free(text);
	flame_free(&f);
}
