/*
 * Instruction counts: a run with a limit ends behind exactly so many instructions, by either engine, in the same state, whatever
 * lies on the way: exceptions, repetitions, code that changes itself, interceptions, kicks.
 */
#include <plex86.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/rig.h"
#include "tests/test.h"

enum { GDT = 0x400, IDT = 0x600, MMIO = 0x200000, ABSENT = 0x80001000u };

/*
 * A round of everything. The handler (the last three instructions) goes on two bytes behind what faulted and counts in EDI's
 * place at 30000h; INT 80h comes back behind itself.
 */
PROGRAM(all, "1: mov $0x20000, %ebx; mov $37, %ecx\n"
	"2: imul $0x19660D, %eax, %eax; add $0x3C6EF35F, %eax; mov %eax, (%ebx,%ecx,4); rol $7, %eax; call 7f; loop 2b\n"
	"mov %eax, %ecx; and $0x7FF, %ecx; mov $0x20000, %esi; mov $0x22000, %edi; rep movsb\n"
	"mov %eax, %ecx; shr $7, %ecx; and $0x1F, %ecx; mov $0x24000, %edi; rep stosl\n"
	"mov $0x20000, %esi; mov $0x22000, %edi; mov $300, %ecx; repe cmpsb; adc %ecx, %eax\n"
	"mov $0x80001000, %esi; mov (%esi), %edx; xor %edx, %edx; div %edx; ud2; int $0x80\n"
	"mov %ds, %ecx; push %ds; pop %es; mov %ecx, %fs; add %fs:(%ebx), %eax; pushfl; popfl; cli; std; cld\n"
	"fildl (%ebx); fsqrt; fistpl 4(%ebx); add 4(%ebx), %eax; movups (%ebx), %xmm0; paddd 16(%ebx), %xmm0; movups %xmm0, 32(%ebx)\n"
	"test $3, %al; jz 3f; jp 3f; js 4f; inc %eax; 3: dec %edx; 4: setc %dl; mov $0x1000 + 5f - program_all, %ecx\n"
	"jmp *%ecx; ud2; 5: mov %al, 0x1001 + 6f - program_all; 6: xor $0x11, %al; out %al, $0x42; in $0x43, %al; mov %eax, 0x200010\n"
	"incl 0x200020; rdtsc; cpuid; enter $8, $0; leave; xlat; jmp 1b\n"
	"7: push %edx; mov %eax, %edx; and $1, %edx; jz 8f; inc %eax; 8: pop %edx; ret\n"
	"handler: addl $2, (%esp); incl 0x30000; iretl\n"
	"handler_with_code: add $4, %esp; addl $2, (%esp); incl 0x30004; iretl\n"
	"handler_of_int: incl 0x30008; iretl\n")

struct seen {
	uint64_t ports, mmio;
};

static int port_read(void *arg, plex86 *m, uint32_t port, uint32_t size, uint32_t *value)
{
	*value = (uint32_t)++((struct seen *)arg)->ports;
	return PLEX86_CONTINUE;
}

static int port_write(void *arg, plex86 *m, uint32_t port, uint32_t size, uint32_t value)
{
	((struct seen *)arg)->ports += value;
	return PLEX86_CONTINUE;
}

static int mmio_read(void *arg, plex86 *m, uint64_t gpa, uint32_t size, uint32_t *value)
{
	*value = (uint32_t)++((struct seen *)arg)->mmio;
	return PLEX86_CONTINUE;
}

static int mmio_write(void *arg, plex86 *m, uint64_t gpa, uint32_t size, uint32_t value)
{
	((struct seen *)arg)->mmio += value;
	return PLEX86_CONTINUE;
}

static void gate(plex86 *m, uint32_t vector, uint32_t handler)
{
	uint64_t g = (uint64_t)(handler >> 16) << 48 | 0x8Eull << 40 | 8ull << 16 | (handler & 0xFFFF);

	CHECK_EQ(plex86_write(m, IDT + vector * 8, &g, 8), 0);
}

/* How far from its end the program's byte sequence is, as the offset in it. */
static uint32_t find(const uint8_t *bytes, size_t n)
{
	for (size_t i = sizeof_all() - n; i > 0; i--)
		if (memcmp(program_all + i, bytes, n) == 0)
			return CODE + (uint32_t)i;
	fail_msg("the handler is not there");
	return 0;
}

static plex86 *everything(enum plex86_engine engine, uint32_t flags, bool paging, struct seen *seen)
{
	static const uint8_t plain[] = { 0x83, 0x04, 0x24, 0x02, 0xFF, 0x05, 0x00, 0x00, 0x03, 0x00 }, with_code[] = { 0x83, 0xC4, 0x04 },
		of_int[] = { 0xFF, 0x05, 0x08, 0x00, 0x03, 0x00 };
	uint64_t gdt[3] = { 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF };
	struct plex86_config config = PLEX86_SIZED(plex86_config);
	struct plex86_segment g = { .base = GDT, .limit = 23 }, i = { .base = IDT, .limit = 0x7FF };
	plex86 *m;

	config.engine = engine;
	config.flags = PLEX86_TSC_COUNTS | flags;
	CHECK_EQ(plex86_create(&m, &config, NULL, 0), 0);
	CHECK_EQ(plex86_map(m, 0, MEMORY, 0, NULL), 0);
	CHECK_EQ(plex86_map_mmio(m, MMIO, 0x1000, mmio_read, mmio_write, seen), 0);
	CHECK_EQ(plex86_on_port(m, 0x42, 0x43, port_read, port_write, seen), 0);
	CHECK_EQ(plex86_write(m, CODE, program_all, sizeof_all()), 0);
	CHECK_EQ(plex86_write(m, GDT, gdt, sizeof(gdt)), 0);
	CHECK_EQ(plex86_set_segment(m, PLEX86_GDTR, &g), 0);
	CHECK_EQ(plex86_set_segment(m, PLEX86_IDTR, &i), 0);
	gate(m, 0, find(plain, sizeof(plain)));
	gate(m, 6, find(plain, sizeof(plain)));
	gate(m, 14, find(with_code, sizeof(with_code)));
	gate(m, 0x80, find(of_int, sizeof(of_int)));
	plex86_set(m, PLEX86_EIP, CODE);
	plex86_set(m, PLEX86_ESP, STACK);
	struct plex86_segment ds = { .selector = 16, .attributes = 0xC093, .base = 0, .limit = 0xFFFFFFFF };
	for (int s = 0; s < 6; s++)
		if (s != PLEX86_CS)
			CHECK_EQ(plex86_set_segment(m, s, &ds), 0);
	if (paging)
		identity_pages(m, 0x60000);
	return m;
}

static void check_same(plex86 *a, plex86 *b, uint64_t at)
{
	uint8_t fa[512], fb[512];

	for (int r = 0; r < 10; r++)
		if (reg(a, r) != reg(b, r))
			fail_msg("after %llu instructions register %d is %#x and %#x", (unsigned long long)at, r, reg(a, r), reg(b, r));
	CHECK_EQ(memcmp(plex86_memory(a, 0, MEMORY), plex86_memory(b, 0, MEMORY), MEMORY), 0);
	CHECK_EQ(plex86_get_fpu(a, fa), 0);
	CHECK_EQ(plex86_get_fpu(b, fb), 0);
	CHECK_EQ(memcmp(fa + 160, fb + 160, 128), 0);		/* XMM0 to 7 */
}

static uint64_t blocks(plex86 *m)
{
	struct plex86_meters meters = PLEX86_SIZED(plex86_meters);

	CHECK_EQ(plex86_get_meters(m, &meters), 0);
	return meters.blocks_scanned;
}

static void same_at_every_limit(bool paging)
{
	struct plex86_stop a = PLEX86_SIZED(plex86_stop), b = PLEX86_SIZED(plex86_stop);
	struct seen by_emulator = { 0 }, by_scan = { 0 };
	plex86 *e = everything(PLEX86_EMULATE, 0, paging, &by_emulator), *s = everything(PLEX86_SCAN, PLEX86_VERIFY, paging, &by_scan);
	uint64_t total = 0;

	for (unsigned i = 0; i < 400; i++) {
		uint64_t limit = i < 200 ? 2000 + i : 2000 + (i * 7919u) % 40000;

		CHECK_EQ(plex86_run(e, limit, 0, &a), PLEX86_STOP_LIMIT);
		if (plex86_run(s, limit, 0, &b) != PLEX86_STOP_LIMIT)
			fail_msg("%s at %#x", b.text, b.eip);
		total += limit;
		CHECK_EQ(a.instructions, limit);
		CHECK_EQ(b.instructions, limit);
		check_same(e, s, total);
		CHECK_EQ(by_scan.ports, by_emulator.ports);
		CHECK_EQ(by_scan.mmio, by_emulator.mmio);
	}
	CHECK(blocks(s) > 20);
	for (uint32_t i = 0; i < 3; i++) {		/* faults without and with an error code, INT: it came to all of them */
		uint32_t n;
		CHECK_EQ(plex86_read(s, 0x30000 + i * 4, &n, 4), 0);
		CHECK(n > 1000 || (i == 1 && !paging));
	}
	plex86_destroy(e);
	plex86_destroy(s);
}

TEST(run_with_a_limit_is_the_same_by_both_engines_at_every_instruction_it_ends_at) { same_at_every_limit(true); }
TEST(run_with_a_limit_is_the_same_without_paging) { same_at_every_limit(false); }

PROGRAM(sum, "xor %eax, %eax; mov $10000000, %ecx; 1: add %ecx, %eax; loop 1b; hlt")

ENGINES(halt_before_the_limit_says_how_many_there_were)
{
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	plex86 *m = machine(engine, sum);

	CHECK_EQ(plex86_run(m, UINT64_MAX, 0, &stop), PLEX86_STOP_HALT);
	CHECK_EQ(stop.instructions, 2 + 2 * 10000000 + 1);
	plex86_destroy(m);
}

/* Counted and not counted, in turns, on one machine: neither disturbs the other. */
ENGINES(counted_runs_and_free_runs_take_turns)
{
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	plex86 *m = machine(engine, sum);
	uint32_t ecx = 10000000;

	CHECK_EQ(plex86_run(m, 2, 0, &stop), PLEX86_STOP_LIMIT);
	for (unsigned i = 0; i < 20; i++) {
		CHECK_EQ(plex86_run(m, 20000, 0, &stop), PLEX86_STOP_LIMIT);
		CHECK_EQ(stop.instructions, 20000);
		CHECK_EQ(reg(m, PLEX86_ECX), ecx - 10000);
		CHECK_EQ(plex86_run(m, 0, 20000, &stop), PLEX86_STOP_TIMEOUT);
		if (stop.eip != CODE + 7) {		/* at the LOOP: to the ADD */
			CHECK_EQ(plex86_run(m, 1, 0, &stop), PLEX86_STOP_LIMIT);
		}
		ecx = reg(m, PLEX86_ECX);
	}
	plex86_destroy(m);
}

static int stop_there(void *arg, plex86 *m, const struct plex86_instruction *insn) { return PLEX86_STOP; }

PROGRAM(marked, "mov $3000, %ecx; 1: push %ecx; pop %eax; loop 1b; cpuid; inc %eax; jmp program_marked")

ENGINES(interception_does_not_count_before_it_is_carried_out)
{
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	plex86 *m = machine(engine, marked);

	CHECK_EQ(plex86_on_instruction(m, "cpuid", stop_there, NULL), 0);
	CHECK_EQ(plex86_run(m, 1000000, 0, &stop), PLEX86_STOP_INSTRUCTION);
	CHECK_EQ(stop.instructions, 1 + 3 * 3000);
	for (unsigned i = 0; i < 3; i++) {		/* CPUID, INC, JMP, MOV, the loop */
		CHECK_EQ(plex86_run(m, 1000000, 0, &stop), PLEX86_STOP_INSTRUCTION);
		CHECK_EQ(stop.instructions, 4 + 3 * 3000);
	}
	plex86_destroy(m);
}

static void *kick_on(void *arg)
{
	plex86 *m = arg;

	for (unsigned i = 0; i < 300; i++)
		plex86_kick(m);
	return NULL;
}

/* Wherever a kick lands, what was done until then is counted: the pieces add up. */
ENGINES(pieces_between_kicks_add_up)
{
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	struct seen seen = { 0 }, seen_alone = { 0 };
	plex86 *m = everything(engine, 0, true, &seen), *alone = everything(PLEX86_EMULATE, 0, true, &seen_alone);
	uint64_t total = 0, limit = 3000000;
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, kick_on, m), 0);
	while (total < limit) {
		int why = plex86_run(m, limit - total, 0, &stop);

		CHECK(why == PLEX86_STOP_KICK || why == PLEX86_STOP_LIMIT);
		total += stop.instructions;
	}
	pthread_join(t, NULL);
	CHECK_EQ(total, limit);
	CHECK_EQ(plex86_run(alone, limit, 0, &stop), PLEX86_STOP_LIMIT);
	check_same(m, alone, limit);
	plex86_destroy(m);
	plex86_destroy(alone);
}
