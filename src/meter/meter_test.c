#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/cpu.h"
#include "meter/disasm.h"
#include "meter/trace.h"
#include "tests/test.h"
#include "vm.h"

static const char *att(const char *bytes, size_t n, bool big)
{
	static char text[160];

	disasm_att(text, sizeof(text), (const uint8_t *)bytes, n, big, 0x100000);
	return text;
}

TEST(instructions_are_printed_as_assembler_listings_have_them)
{
	CHECK_STR(att("\x90", 1, true), "nop");
	CHECK_STR(att("\x8B\x18", 2, true), "movl    (%eax), %ebx");
	CHECK_STR(att("\x89\x18", 2, true), "movl    %ebx, (%eax)");
	CHECK_STR(att("\x8B\xC3", 2, true), "mov     %ebx, %eax");
	CHECK_STR(att("\x0F\x0B", 2, true), "ud2");
}

TEST(code_segment_decides_the_size)
{
	CHECK_STR(att("\x8B\x07", 2, false), "movw    (%bx), %ax");
	CHECK_STR(att("\x8B\x07", 2, true), "movl    (%edi), %eax");
}

TEST(bytes_that_are_no_instruction_are_printed_as_bad_with_length_1)
{
	char text[32];

	CHECK_EQ(disasm_att(text, sizeof(text), (const uint8_t *)"\x0F\xFF\xFF", 1, true, 0), 1);
	CHECK_STR(text, "(bad)");
}

TEST(last_events_are_the_ones_reported_in_order)
{
	static struct vcpu cpu;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (unsigned i = 0; i < CPU_EVENTS + 3; i++)
		trace_event(&cpu, EVENT_OUT, 1, i, 0xAB);
	CHECK_EQ(cpu.nevents, CPU_EVENTS + 3);
	for (unsigned i = cpu.nevents - CPU_EVENTS; i != cpu.nevents; i++)
		event_print(f, &cpu.event[i % CPU_EVENTS], true);
	fclose(f);
	CHECK(strstr(text, "port=0002") == NULL);
	CHECK(strstr(text, "           0 0 0000:00000000 out port=0003 size=1 val=ab\n") != NULL);
	CHECK(strstr(text, "port=0003") < strstr(text, "port=0012"));
	free(text);
}

/* What a trace with these options prints of a few events. */
static char *traced(const char *items, const char *filter, const char *cpls)
{
	static const struct { uint32_t eip; unsigned cpl, kind, vector, a; } events[] = {
		{ 0x1fff, 0, EVENT_INTERRUPT, 0x20, 0 }, { 0x2000, 0, EVENT_INTERRUPT, 0x21, 0 },
		{ 0x8000, 3, EVENT_SOFTWARE_INT, 0x80, 0 }, { 0x8000, 3, EVENT_EXCEPTION, EXC_PF, 6 },
		{ 0x1000, 0, EVENT_OUT, 1, 0x3f8 }, { 0x1000, 0, EVENT_IN, 2, 0x60 }, { 0x1000, 0, EVENT_CR, 3, 0x5000 },
	};
	static struct vcpu cpu;
	struct trace t;
	struct error err = { 0 };
	char *text;
	size_t size;

	CHECK_EQ(trace_open(&t, items, filter, cpls, NULL, &err), 0);
	t.file = open_memstream(&text, &size);
	cpu.trace = &t;
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		cpu.eip = cpu.insn_eip = events[i].eip;
		cpu.cpl = (uint8_t)events[i].cpl;
		trace_event(&cpu, (enum event_kind)events[i].kind, (uint8_t)events[i].vector, events[i].a, 0);
	}
	trace_close(&t);
	return text;
}

static void check_trace(const char *want, const char *items, const char *filter, const char *cpls)
{
	char *text = traced(items, filter, cpls);

	CHECK_STR(text, want);
	free(text);
}

TEST(trace_prints_only_what_was_asked_for)
{
	check_trace("           0 0 0000:00001fff interrupt v=20\n           0 3 0000:00008000 int v=80\n"
	    "           0 3 0000:00008000 exception v=0e e=0006 cr2=00000000\n", "int", "0x1000..0x1fff,0x8000+1", NULL);
	check_trace("           0 3 0000:00008000 int v=80\n", "int:0x80-0x9f+3", NULL, NULL);
	check_trace("           0 3 0000:00008000 exception v=0e e=0006 cr2=00000000\n", "int:14,io:1", NULL, "3");
	check_trace("           0 0 0000:00001000 out port=03f8 size=1 val=00\n", "io:0x3f8-0x3ff", NULL, NULL);
	check_trace("           0 0 0000:00001000 in port=0060 size=2 val=0000\n           0 0 0000:00001000 cr3 val=00005000\n",
	    "mmu,io:0x60+0x64", NULL, "0,1");
	check_trace("", "int,io,mmu", NULL, "2");
}

TEST(bad_trace_filters_and_items_are_refused)
{
	static const char *const bad[][3] = {
		{ "int,nothing" }, { "int", "5..1" }, { "int", "0x1000.." }, { "int", "0x100000000..0x200000000" }, { "int", "zero" },
		{ "int:" }, { "int:x" }, { "int:3-1" }, { "int:3+" }, { "mmu:3" }, { "int", NULL, "4" }, { "int", NULL, "0," },
		{ "int", NULL, "" },
	};
	struct trace t;
	struct error err = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		err.text[0] = '\0';
		CHECK(trace_open(&t, bad[i][0], bad[i][1], bad[i][2], NULL, &err) < 0);
		CHECK(err.text[0] != '\0');
	}
	CHECK(trace_open(&t, "int", "0x1000", NULL, NULL, &err) == 0);
}
