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
		event_print(f, &cpu.event[i % CPU_EVENTS]);
	fclose(f);
	CHECK(strstr(text, "port 0002") == NULL);
	CHECK(strstr(text, "port 0003: ab") != NULL);
	CHECK(strstr(text, "port 0003") < strstr(text, "port 0012"));
	free(text);
}

TEST(trace_prints_only_items_and_addresses_that_were_asked_for)
{
	static struct vcpu cpu;
	struct trace t;
	struct error err = { 0 };
	char *text;
	size_t size;

	CHECK_EQ(trace_open(&t, "int", "0x1000..0x1fff,0x8000+1", NULL, &err), 0);
	t.file = open_memstream(&text, &size);
	cpu.trace = &t;
	cpu.eip = 0x1fff;
	trace_event(&cpu, EVENT_INTERRUPT, 0x20, 0, 0);
	cpu.eip = 0x2000;
	trace_event(&cpu, EVENT_INTERRUPT, 0x21, 0, 0);
	cpu.eip = 0x8000;
	trace_event(&cpu, EVENT_SOFTWARE_INT, 0x80, 0, 0);
	trace_event(&cpu, EVENT_HALT, 0, 0, 0);
	fflush(t.file);
	CHECK(strstr(text, "interrupt 20") != NULL);
	CHECK(strstr(text, "interrupt 21") == NULL);
	CHECK(strstr(text, "int $0x80") != NULL);
	CHECK(strstr(text, "hlt") == NULL);
	trace_close(&t);
	free(text);
}

TEST(bad_trace_filters_and_items_are_refused)
{
	struct trace t;
	struct error err = { 0 };

	CHECK(trace_open(&t, "int,nothing", NULL, NULL, &err) < 0);
	err.text[0] = '\0';
	CHECK(trace_open(&t, "int", "5..1", NULL, &err) < 0);
	CHECK(trace_open(&t, "int", "0x1000", NULL, &err) == 0);
	CHECK(trace_open(&t, "int", "0x1000..", NULL, &err) < 0);
	CHECK(trace_open(&t, "int", "0x100000000..0x200000000", NULL, &err) < 0);
	CHECK(trace_open(&t, "int", "zero", NULL, &err) < 0);
}
