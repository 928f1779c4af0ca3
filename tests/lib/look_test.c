/* Looking into the guest: intercepted instructions and exceptions, breakpoints, interrupts, snapshots. */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/rig.h"
#include "tests/test.h"

/* --- instructions --- */

struct seen {
	unsigned calls;
	int action;
	struct plex86_instruction last;
};

static int see(void *arg, plex86 *m, const struct plex86_instruction *insn)
{
	struct seen *s = arg;

	s->calls++;
	s->last = *insn;
	return s->action;
}

PROGRAM(cpuid, "mov $1, %eax; inc %ecx; cpuid; mov %eax, %esi; hlt")

static int my_cpuid(void *arg, plex86 *m, const struct plex86_instruction *insn)
{
	CHECK_STR(insn->mnemonic, "cpuid");
	CHECK_EQ(insn->length, 2);
	CHECK_EQ(insn->eip, reg(m, PLEX86_EIP));
	CHECK_EQ(reg(m, PLEX86_EAX), 1);
	CHECK_EQ(reg(m, PLEX86_ECX), 1);
	plex86_set(m, PLEX86_EAX, 0x4711);
	return PLEX86_HANDLED;
}

ENGINES(instruction_may_be_carried_out_by_the_callback)
{
	plex86 *m = machine(engine, cpuid);

	CHECK_EQ(plex86_on_instruction(m, "cpuid", my_cpuid, NULL), 0);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK_EQ(reg(m, PLEX86_ESI), 0x4711);
	CHECK_EQ(plex86_on_instruction(m, "cpuid", NULL, NULL), 0);
	plex86_set(m, PLEX86_EIP, CODE);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK(reg(m, PLEX86_ESI) != 0x4711);
	CHECK_EQ(plex86_on_instruction(m, "frobnicate", my_cpuid, NULL), PLEX86_E_ARGUMENT);
	plex86_destroy(m);
}

PROGRAM(syscall, "mov $4, %eax; int $0x80; mov %eax, %ebx; int $0x21; hlt")

ENGINES(run_stops_before_an_instruction_and_goes_on_with_it)
{
	plex86 *m = machine(engine, syscall);
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	struct seen s = { .action = PLEX86_STOP };

	CHECK_EQ(plex86_on_instruction(m, "int", see, &s), 0);
	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_INSTRUCTION);
	CHECK_EQ(stop.eip, CODE + 5);
	CHECK_EQ(s.last.immediate, 0x80);
	plex86_set(m, PLEX86_EAX, 99);				/* as a kernel would, ... */
	plex86_set(m, PLEX86_EIP, stop.eip + s.last.length);	/* ... and behind it */
	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_INSTRUCTION);
	CHECK_EQ(s.last.immediate, 0x21);
	CHECK_EQ(reg(m, PLEX86_EBX), 99);
	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_SHUTDOWN);	/* carried out: there is no IDT */
	CHECK_EQ(s.calls, 2);
	plex86_destroy(m);
}

static int raise_gp(void *arg, plex86 *m, const struct plex86_instruction *insn)
{
	CHECK_EQ(plex86_raise(m, 13, 0x18), 0);
	return PLEX86_CONTINUE;
}

static int note_exception(void *arg, plex86 *m, const struct plex86_exception *e)
{
	*(struct plex86_exception *)arg = *e;
	return PLEX86_STOP;
}

ENGINES(callback_raises_an_exception_in_the_place_of_an_instruction)
{
	plex86 *m = machine(engine, cpuid);
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	struct plex86_exception e;

	plex86_on_instruction(m, "cpuid", raise_gp, NULL);
	plex86_on_exception(m, 13, note_exception, &e);
	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_EXCEPTION);
	CHECK_EQ(stop.vector, 13);
	CHECK_EQ(stop.error_code, 0x18);
	CHECK_EQ(stop.eip, CODE + 6);
	plex86_destroy(m);
}

PROGRAM(mixed, "mov $3, %ecx; 1: push %ecx; fld1; fstp %st; cmp $2, %ecx; setz %al; pop %edx; loop 1b; std; cld;"
	"mov $0x8000, %edi; mov $5, %ecx; rep stosb; call 2f; hlt; 2: ret")

ENGINES(every_instruction_is_seen_and_the_program_does_the_same)
{
	plex86 *m = machine(engine, mixed), *plain = machine(engine, mixed);
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	struct seen s = { .action = PLEX86_CONTINUE };

	CHECK_EQ(plex86_on_instruction(m, NULL, see, &s), 0);
	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_HALT);
	CHECK_EQ(plex86_run(plain, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK(s.calls >= 1 + 3 * 7 + 2 + 2 + 1 + 3);
	CHECK_STR(s.last.mnemonic, "hlt");
	for (int r = PLEX86_EAX; r <= PLEX86_EFLAGS; r++)
		CHECK_EQ(reg(m, r), reg(plain, r));
	plex86_destroy(m);
	plex86_destroy(plain);
}

PROGRAM(undefined, "nop; ud2; hlt")
PROGRAM(no_code, "nop; .byte 0x0F, 0x04; hlt")

ENGINES(bytes_that_are_no_instruction_can_be_intercepted)
{
	plex86 *m = machine(engine, no_code);
	struct seen s = { .action = PLEX86_HANDLED };
	char text[40];

	CHECK_EQ(plex86_on_instruction(m, "(bad)", see, &s), 0);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK(s.calls >= 1);
	CHECK_EQ(plex86_disassemble(m, CODE, text, sizeof(text)), 1);
	CHECK_STR(text, "nop");
	CHECK_EQ(plex86_disassemble(m, 0x90000000, text, sizeof(text)), PLEX86_E_MISSING);
	plex86_destroy(m);
}

/* --- exceptions --- */

PROGRAM(divide, "xor %ecx, %ecx; div %ecx; hlt")

static int fix_divisor(void *arg, plex86 *m, const struct plex86_exception *e)
{
	++*(int *)arg;
	CHECK_EQ(e->vector, 0);
	CHECK_EQ(e->eip, CODE + 2);
	plex86_set(m, PLEX86_ECX, 1);
	return PLEX86_HANDLED;			/* the instruction is tried again */
}

ENGINES(exception_may_be_mended_by_the_callback)
{
	plex86 *m = machine(engine, divide);
	int calls = 0;

	plex86_on_exception(m, 0, fix_divisor, &calls);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK_EQ(calls, 1);
	plex86_destroy(m);
}

PROGRAM(fault, "mov 0x80001000, %eax; hlt")

ENGINES(page_fault_stops_with_its_address_and_can_be_retried)
{
	plex86 *m = machine(engine, fault);
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	struct plex86_exception e;

	identity_pages(m, 0x10000);
	plex86_on_exception(m, -1, note_exception, &e);
	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_EXCEPTION);
	CHECK_EQ(stop.vector, 14);
	CHECK_EQ(stop.address, 0x80001000);
	CHECK_EQ(stop.error_code, 0);
	CHECK_EQ(stop.eip, CODE);
	CHECK_EQ(reg(m, PLEX86_CR2), 0x80001000);
	uint32_t pte = 0x41000 | 7, value = 31;
	plex86_write(m, 0x12004, &pte, 4);
	plex86_write(m, 0x41000, &value, 4);
	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_HALT);
	CHECK_EQ(reg(m, PLEX86_EAX), 31);
	plex86_destroy(m);
}

ENGINES(exception_without_a_handler_is_a_shutdown)
{
	plex86 *m = machine(engine, undefined);
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);

	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_SHUTDOWN);
	CHECK_STR(stop.text, "triple fault");
	plex86_destroy(m);
}

/* --- breakpoints --- */

PROGRAM(loop, "mov $3, %ecx; 1: inc %eax; loop 1b; rep stosb; hlt")

ENGINES(breakpoint_stops_before_its_instruction_each_time)
{
	plex86 *m = machine(engine, loop);
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);

	CHECK_EQ(plex86_add_breakpoint(m, CODE + 5), 0);
	CHECK_EQ(plex86_add_breakpoint(m, CODE + 5), PLEX86_E_EXISTS);
	for (uint32_t i = 0; i < 3; i++) {
		CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_BREAKPOINT);
		CHECK_EQ(stop.eip, CODE + 5);
		CHECK_EQ(reg(m, PLEX86_EAX), i);
		if (i == 1)		/* one step is the instruction, not the breakpoint again */
			CHECK_EQ(plex86_run(m, 1, 0, &stop), PLEX86_STOP_LIMIT);
	}
	CHECK_EQ(plex86_remove_breakpoint(m, CODE + 5), 0);
	CHECK_EQ(plex86_remove_breakpoint(m, CODE + 5), PLEX86_E_MISSING);
	CHECK_EQ(plex86_add_breakpoint(m, CODE + 8), 0);	/* a repeated string instruction: once */
	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_BREAKPOINT);
	plex86_set(m, PLEX86_ECX, 3000);
	plex86_set(m, PLEX86_EDI, 0x20000);
	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_HALT);
	plex86_destroy(m);
}

/* --- interrupts --- */

PROGRAM(interrupted, "lidt 0x500; sti; 1: inc %eax; cmp $0, %ebx; jz 1b; hlt; inc %ebx; iretl")

static void interrupt_table(plex86 *m, uint32_t handler)
{
	/* a GDT with code at 8 and data at 16, an IDT at 600h whose gates all lead to the handler */
	uint64_t gdt[3] = { 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF };
	uint64_t gate = (uint64_t)(handler >> 16) << 48 | 0x8Eull << 40 | 8ull << 16 | (handler & 0xFFFF);
	struct plex86_segment table = { .base = 0x400, .limit = 23 };
	uint8_t idtr[6] = { 0xFF, 0x07, 0x00, 0x06, 0, 0 };

	plex86_write(m, 0x400, gdt, sizeof(gdt));
	plex86_write(m, 0x500, idtr, 6);
	CHECK_EQ(plex86_set_segment(m, PLEX86_GDTR, &table), 0);
	for (uint32_t v = 0; v < 256; v++)
		plex86_write(m, 0x600 + v * 8, &gate, 8);
}

ENGINES(interrupt_waits_for_the_guest_to_allow_it)
{
	plex86 *m = machine(engine, interrupted);
	struct plex86_meters meters = PLEX86_SIZED(plex86_meters);

	interrupt_table(m, CODE + (uint32_t)sizeof_interrupted() - 2);
	CHECK_EQ(plex86_interrupt(m, 300), PLEX86_E_ARGUMENT);
	CHECK_EQ(plex86_interrupt(m, 33), 0);
	CHECK_EQ(plex86_interrupt(m, 34), PLEX86_E_BUSY);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK_EQ(reg(m, PLEX86_EBX), 1);
	CHECK_EQ(plex86_interrupt(m, 34), 0);
	CHECK_EQ(plex86_get_meters(m, &meters), 0);
	CHECK_EQ(meters.interrupts, 1);
	CHECK_EQ(plex86_run(m, 2, 0, NULL), PLEX86_STOP_LIMIT);
	CHECK_EQ(reg(m, PLEX86_EBX), 2);
	plex86_destroy(m);
}

ENGINES(exception_and_nmi_are_injected_through_the_idt)
{
	plex86 *m = machine(engine, interrupted);
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	struct plex86_segment idt = { .base = 0x600, .limit = 0x7FF };
	uint32_t handler = CODE + (uint32_t)sizeof_interrupted() - 2, pushed;

	interrupt_table(m, handler);
	CHECK_EQ(plex86_raise(m, 40, 0), PLEX86_E_ARGUMENT);
	plex86_set_segment(m, PLEX86_IDTR, &idt);
	CHECK_EQ(plex86_raise(m, 13, 0x1234), 0);
	CHECK_EQ(reg(m, PLEX86_EIP), handler);
	CHECK_EQ(plex86_read(m, reg(m, PLEX86_ESP), &pushed, 4), 0);
	CHECK_EQ(pushed, 0x1234);
	plex86_set(m, PLEX86_EIP, CODE);
	plex86_set(m, PLEX86_ESP, STACK);
	CHECK_EQ(plex86_nmi(m), 0);
	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_HALT);
	CHECK_EQ(reg(m, PLEX86_EBX), 1);
	idt.limit = 0;
	plex86_set_segment(m, PLEX86_IDTR, &idt);
	CHECK_EQ(plex86_raise(m, 6, 0), 0);
	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_SHUTDOWN);
	plex86_destroy(m);
}

PROGRAM(sti_stop, "lidt 0x500; sti; nop; nop; hlt; inc %ebx; iretl")

ENGINES(interrupt_shadow_of_sti_survives_a_stop_in_it)
{
	plex86 *m = machine(engine, sti_stop);
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);

	interrupt_table(m, CODE + (uint32_t)sizeof_sti_stop() - 2);
	plex86_add_breakpoint(m, CODE + 8);
	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_BREAKPOINT);	/* at the NOP behind STI */
	CHECK_EQ(plex86_interrupt(m, 50), 0);
	CHECK_EQ(plex86_run(m, 1, 0, &stop), PLEX86_STOP_LIMIT);
	CHECK_EQ(stop.eip, CODE + 9);
	CHECK_EQ(reg(m, PLEX86_EBX), 0);
	CHECK_EQ(plex86_run(m, 1, 0, &stop), PLEX86_STOP_LIMIT);
	CHECK_EQ(reg(m, PLEX86_EBX), 1);
	plex86_destroy(m);
}

/* --- snapshots --- */

PROGRAM(count, "incl 0x1800; fld1; mov $0x40000, %edi; mov $0x3000, %ecx; mov $7, %al; rep stosb;"
	"movb $0x40, 0x1000 + 9f - program_count; 9: nop; hlt")

PROGRAM(one_nop, "nop; hlt")

static uint64_t memory_hash(plex86 *m)
{
	const uint8_t *p = plex86_memory(m, 0, MEMORY);
	uint64_t h = 1469598103934665603u;

	for (size_t i = 0; i < MEMORY; i++)
		h = (h ^ p[i]) * 1099511628211u;
	return h;
}

ENGINES(snapshot_brings_everything_back_as_often_as_wanted)
{
	plex86 *m = machine(engine, count), *other = machine(engine, one_nop);
	struct plex86_config config = PLEX86_SIZED(plex86_config);
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	uint8_t before[512], after[512];
	plex86_snapshot *s;

	plex86_get_fpu(m, before);
	uint64_t clean = memory_hash(m), dirty = 0;
	CHECK_EQ(plex86_snapshot_take(m, &s), 0);
	for (unsigned i = 0; i < 5; i++) {
		CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_HALT);
		if (i == 0)
			dirty = memory_hash(m);
		CHECK_EQ(memory_hash(m), dirty);
		CHECK(dirty != clean);
		CHECK_EQ(plex86_snapshot_restore(m, s), 0);
		CHECK_EQ(memory_hash(m), clean);
		CHECK_EQ(reg(m, PLEX86_EIP), CODE);
		CHECK_EQ(reg(m, PLEX86_EDI), 0);
		plex86_get_fpu(m, after);
		CHECK_EQ(memcmp(before, after, 512), 0);
	}
	plex86 *bare;
	CHECK_EQ(plex86_create(&bare, &config, NULL, 0), 0);
	CHECK_EQ(plex86_snapshot_restore(bare, s), PLEX86_E_ARGUMENT);		/* no memory there */
	plex86_destroy(bare);
	CHECK_EQ(plex86_snapshot_restore(other, s), 0);
	plex86_destroy(m);
	CHECK_EQ(plex86_run(other, 0, 0, &stop), PLEX86_STOP_HALT);
	CHECK_EQ(memory_hash(other), dirty);
	plex86_snapshot_free(s);
	plex86_destroy(other);
}
