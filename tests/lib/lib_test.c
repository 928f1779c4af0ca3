/* The library's interface, each promise of include/plex86.h, with both engines. */
#include <plex86.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/lib/rig.h"
#include "tests/test.h"

/* --- running --- */

PROGRAM(sum, "xor %eax, %eax; mov $100, %ecx; 1: add %ecx, %eax; loop 1b; hlt; inc %eax; hlt")

ENGINES(program_runs_to_its_halt_and_on_behind_it)
{
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	plex86 *m = machine(engine, sum);

	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_HALT);
	CHECK_EQ(reg(m, PLEX86_EAX), 5050);
	CHECK_STR(stop.text, "the guest halted");
	CHECK_EQ(stop.eip, CODE + sizeof_sum() - 2);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK_EQ(reg(m, PLEX86_EAX), 5051);
	plex86_destroy(m);
}

ENGINES(instruction_limit_is_exact)
{
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	plex86 *m = machine(engine, sum);

	CHECK_EQ(plex86_run(m, 2 + 2 * 10, 0, &stop), PLEX86_STOP_LIMIT);
	CHECK_EQ(stop.instructions, 22);
	CHECK_EQ(reg(m, PLEX86_ECX), 90);
	CHECK_EQ(reg(m, PLEX86_EAX), 100 + 99 + 98 + 97 + 96 + 95 + 94 + 93 + 92 + 91);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK_EQ(reg(m, PLEX86_EAX), 5050);
	plex86_destroy(m);
}

PROGRAM(spin, "1: inc %eax; jmp 1b")

ENGINES(timeout_ends_a_loop)
{
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	plex86 *m = machine(engine, spin);

	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(plex86_run(m, 0, 2000000, &stop), PLEX86_STOP_TIMEOUT);
		CHECK(stop.eip >= CODE && stop.eip < CODE + 3);
	}
	CHECK(reg(m, PLEX86_EAX) > 0);
	for (unsigned ns = 1; ns < 20000; ns += 7)		/* over before the run begins, or while it does */
		CHECK_EQ(plex86_run(m, 0, ns, &stop), PLEX86_STOP_TIMEOUT);
	plex86_destroy(m);
}

static int kick_now(void *arg, plex86 *m, uint32_t port, uint32_t size, uint32_t value)
{
	plex86_kick(m);
	return PLEX86_CONTINUE;
}

PROGRAM(out_spin, "out %al, $1; 1: inc %eax; jmp 1b")

ENGINES(kick_ends_the_present_run_or_the_next)
{
	plex86 *m = machine(engine, spin);

	plex86_kick(m);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_KICK);
	CHECK_EQ(reg(m, PLEX86_EAX), 0);
	plex86_destroy(m);
	m = machine(engine, out_spin);
	plex86_on_port(m, 1, 1, NULL, kick_now, NULL);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_KICK);
	plex86_destroy(m);
}

static void *kick_often(void *arg)
{
	plex86 *m = arg;

	for (unsigned i = 0; i < 200; i++)
		plex86_kick(m);
	return NULL;
}

ENGINES(kicks_from_another_thread_are_never_lost)
{
	plex86 *m = machine(engine, spin);

	for (unsigned i = 0; i < 20; i++) {
		pthread_t t;
		CHECK_EQ(pthread_create(&t, NULL, kick_often, m), 0);
		CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_KICK);
		pthread_join(t, NULL);
	}
	plex86_destroy(m);
}

static int run_again(void *arg, plex86 *m, uint32_t port, uint32_t size, uint32_t value)
{
	*(int *)arg = plex86_run(m, 1, 0, NULL);
	return PLEX86_CONTINUE;
}

PROGRAM(out_halt, "out %al, $1; hlt")

ENGINES(running_machine_is_busy)
{
	plex86 *m = machine(engine, out_halt);
	int result = 0;

	plex86_on_port(m, 1, 1, NULL, run_again, &result);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK_EQ(result, PLEX86_E_BUSY);
	plex86_destroy(m);
}

static int run_other(void *arg, plex86 *m, uint32_t port, uint32_t size, uint32_t value)
{
	return plex86_run(arg, 0, 0, NULL) == PLEX86_STOP_HALT ? PLEX86_CONTINUE : PLEX86_STOP;
}

PROGRAM(store_out_load, "mov $0x8000, %ebx; movl $77, (%ebx); out %al, $1; mov (%ebx), %eax; push %eax; pop %ecx; fld1; hlt")

ENGINES(callback_may_run_another_machine)
{
	plex86 *m = machine(engine, store_out_load), *other = machine(PLEX86_SCAN, store_out_load);

	plex86_on_port(m, 1, 1, NULL, run_other, other);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK_EQ(reg(m, PLEX86_ECX), 77);
	CHECK_EQ(reg(other, PLEX86_ECX), 77);
	plex86_destroy(m);
	plex86_destroy(other);
}

/* --- modes and state --- */

PROGRAM(real, ".code16; mov $0x1234, %ax; mov %ax, %ds; movb $0x5A, (4); mov %ds, %bx; hlt; .code32")

ENGINES(real_mode_has_segments_of_sixteen_bytes)
{
	plex86 *m = machine(engine, real);
	uint8_t byte = 0;

	CHECK_EQ(plex86_set_mode(m, PLEX86_REAL), 0);
	plex86_set(m, PLEX86_EIP, CODE);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK_EQ(plex86_read(m, 0x12344, &byte, 1), 0);
	CHECK_EQ(byte, 0x5A);
	CHECK_EQ(reg(m, PLEX86_EBX), 0x1234);
	plex86_destroy(m);
}

ENGINES(reset_state_is_the_processors)
{
	plex86 *m = machine(engine, sum);
	struct plex86_segment cs;

	CHECK_EQ(plex86_set_mode(m, PLEX86_RESET), 0);
	CHECK_EQ(plex86_get_segment(m, PLEX86_CS, &cs), 0);
	CHECK_EQ(cs.base, 0xFFFF0000);
	CHECK_EQ(cs.selector, 0xF000);
	CHECK_EQ(reg(m, PLEX86_EIP), 0xFFF0);
	CHECK_EQ(reg(m, PLEX86_CR0), 0x60000010);
	plex86_destroy(m);
}

PROGRAM(based, "mov %fs:4, %eax; hlt")

ENGINES(segments_msrs_and_control_registers_are_set_as_the_processor_would)
{
	plex86 *m = machine(engine, based);
	struct plex86_segment fs;
	uint64_t msr;

	CHECK_EQ(plex86_get_segment(m, PLEX86_FS, &fs), 0);
	fs.base = 0x7000;
	CHECK_EQ(plex86_set_segment(m, PLEX86_FS, &fs), 0);
	CHECK_EQ(plex86_write(m, 0x7004, "\x11\x22\x33\x44", 4), 0);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK_EQ(reg(m, PLEX86_EAX), 0x44332211);

	CHECK_EQ(plex86_set(m, PLEX86_CR0, 0x80000000), PLEX86_E_ARGUMENT);	/* PG without PE */
	CHECK_EQ(plex86_set(m, PLEX86_CR4, 0x80000000), PLEX86_E_ARGUMENT);
	CHECK(strstr(plex86_error_message(m), "refuses"));
	CHECK_EQ(plex86_set_msr(m, 0x175, 0x1234), 0);				/* SYSENTER_ESP */
	CHECK_EQ(plex86_get_msr(m, 0x175, &msr), 0);
	CHECK_EQ(msr, 0x1234);
	CHECK_EQ(plex86_get_msr(m, 0x12345678, &msr), PLEX86_E_ARGUMENT);
	CHECK_EQ(plex86_set(m, 999, 0), PLEX86_E_ARGUMENT);
	plex86_destroy(m);
}

PROGRAM(add_doubles, "fld1; fadd %st, %st; addpd %xmm1, %xmm0; hlt")

ENGINES(fpu_state_goes_in_and_out)
{
	plex86 *m = machine(engine, add_doubles);
	uint8_t fx[512] __attribute__((aligned(16)));
	double two[2] = { 1.5, 2.5 }, got[2];

	CHECK_EQ(plex86_get_fpu(m, fx), 0);
	memcpy(fx + 160, two, 16);
	memcpy(fx + 176, two, 16);
	CHECK_EQ(plex86_set_fpu(m, fx), 0);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK_EQ(plex86_get_fpu(m, fx), 0);
	memcpy(got, fx + 160, 16);
	CHECK(got[0] == 3.0 && got[1] == 5.0);
	CHECK_EQ(fx[32 + 9] << 8 | fx[32 + 8], 0x4000);		/* ST0 = 2.0 */
	plex86_destroy(m);
}

/* --- ports and MMIO --- */

static int answer(void *arg, plex86 *m, uint32_t port, uint32_t size, uint32_t *value)
{
	uint32_t eip;

	CHECK_EQ(plex86_get(m, PLEX86_EIP, &eip), 0);
	CHECK_EQ(plex86_set(m, PLEX86_EIP, 0), PLEX86_E_BUSY);
	*value = 0xAABBCC00 | port | size;
	*(uint32_t *)arg = eip;
	return PLEX86_CONTINUE;
}

static int stop_write(void *arg, plex86 *m, uint32_t port, uint32_t size, uint32_t value)
{
	*(uint32_t *)arg = value;
	return PLEX86_STOP;
}

PROGRAM(ports, "in $0x40, %al; mov %eax, %ebx; in $0x50, %eax; mov %eax, %ecx; mov $0x1234, %ax; out %ax, $0x60; out %ax, $0x61; hlt")

ENGINES(ports_have_callbacks_that_may_stop)
{
	plex86 *m = machine(engine, ports);
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	struct plex86_meters meters = PLEX86_SIZED(plex86_meters);
	uint32_t eip = 0, written = 0;

	CHECK_EQ(plex86_on_port(m, 0x40, 0x43, answer, NULL, &eip), 0);
	CHECK_EQ(plex86_on_port(m, 0x60, 0x60, NULL, stop_write, &written), 0);
	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_PORT);
	CHECK_EQ(stop.address, 0x60);
	CHECK_EQ(written, 0x1234);
	CHECK_EQ(eip, CODE);
	CHECK_EQ(reg(m, PLEX86_EBX) & 0xFF, 0x41);
	CHECK_EQ(reg(m, PLEX86_ECX), 0xFFFFFFFF);		/* nobody is at 50h */
	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_HALT);
	CHECK_EQ(plex86_get_meters(m, &meters), 0);
	CHECK_EQ(meters.port_reads, 2);
	CHECK_EQ(meters.port_writes, 2);
	CHECK_EQ(meters.runs, 2);
	CHECK_EQ(plex86_on_port(m, 5, 4, NULL, NULL, NULL), PLEX86_E_ARGUMENT);
	CHECK_EQ(plex86_on_port(m, 0, 0x10000, NULL, NULL, NULL), PLEX86_E_ARGUMENT);
	plex86_destroy(m);
}

static int device_read(void *arg, plex86 *m, uint64_t gpa, uint32_t size, uint32_t *value)
{
	*value = (uint32_t)gpa + size;
	return PLEX86_CONTINUE;
}

static int device_write(void *arg, plex86 *m, uint64_t gpa, uint32_t size, uint32_t value)
{
	*(uint64_t *)arg = gpa << 32 | value;
	return value == 0xDEAD ? PLEX86_STOP : PLEX86_CONTINUE;
}

PROGRAM(device, "mov $0xFED00000, %ebx; mov $3, %ecx; 1: mov 16(%ebx), %eax; movw $0x77, 4(%ebx); loop 1b; movl $0xDEAD, (%ebx); hlt")

ENGINES(mmio_has_callbacks_that_may_stop)
{
	plex86 *m = machine(engine, device);
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	uint64_t written = 0;

	CHECK_EQ(plex86_map_mmio(m, 0xFED00000, 0x1000, device_read, device_write, &written), 0);
	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_MMIO);
	CHECK_EQ(stop.address, 0xFED00000);
	CHECK_EQ(reg(m, PLEX86_EAX), 0xFED00014);
	CHECK_EQ(written, 0xFED00000ull << 32 | 0xDEAD);
	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_HALT);
	CHECK_EQ(plex86_unmap(m, 0xFED00000, 0x1000), 0);
	plex86_set(m, PLEX86_EIP, CODE);
	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_HALT);
	CHECK_EQ(reg(m, PLEX86_EAX), 0xFFFFFFFF);
	plex86_destroy(m);
}

/* --- memory --- */

PROGRAM(touch, "mov $0x400000, %ebx; incl (%ebx); mov 4(%ebx), %eax; movl $9, 8(%ebx); hlt")

ENGINES(callers_buffer_is_guest_memory_and_stays_the_callers)
{
	plex86 *m = machine(engine, touch);
	uint32_t *buffer = aligned_alloc(4096, 8192);

	buffer[0] = 41;
	buffer[1] = 4711;
	CHECK_EQ(plex86_map(m, 0x400000, 8192, 0, (uint8_t *)buffer + 1), PLEX86_E_ARGUMENT);
	CHECK_EQ(plex86_map(m, 0x400000, 8192, 0, buffer), 0);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK_EQ(buffer[0], 42);
	CHECK_EQ(buffer[2], 9);
	CHECK_EQ(reg(m, PLEX86_EAX), 4711);
	buffer[1] = 12;
	plex86_set(m, PLEX86_EIP, CODE);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK_EQ(reg(m, PLEX86_EAX), 12);
	CHECK_EQ(plex86_unmap(m, 0x400000, 8192), 0);
	CHECK_EQ(buffer[0], 43);
	plex86_destroy(m);
	buffer[0]++;
	free(buffer);
}

ENGINES(read_only_memory_drops_the_guests_stores)
{
	plex86 *m = machine(engine, touch);
	uint32_t value = 6, got;

	CHECK_EQ(plex86_map(m, 0x400000, 0x1000, PLEX86_READ_ONLY, NULL), 0);
	CHECK_EQ(plex86_write(m, 0x400004, &value, 4), 0);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK_EQ(reg(m, PLEX86_EAX), 6);
	CHECK_EQ(plex86_read(m, 0x400000, &got, 4), 0);
	CHECK_EQ(got, 0);
	plex86_destroy(m);
}

TEST(mappings_do_not_overlap_and_their_memory_comes_back_zeroed)
{
	struct plex86_config config = PLEX86_SIZED(plex86_config);
	uint8_t byte = 1;
	plex86 *m;

	config.memory_bytes = 0x10000;
	CHECK_EQ(plex86_create(&m, &config, NULL, 0), 0);
	CHECK_EQ(plex86_map(m, 0x1000, 0x8000, 0, NULL), 0);
	CHECK_EQ(plex86_map(m, 0x8000, 0x1000, 0, NULL), PLEX86_E_EXISTS);
	CHECK_EQ(plex86_map_mmio(m, 0x2000, 0x1000, NULL, NULL, NULL), PLEX86_E_EXISTS);
	CHECK_EQ(plex86_map(m, 0x100000, 0x8001, 0, NULL), PLEX86_E_ARGUMENT);
	CHECK_EQ(plex86_map(m, 0xFFFFF000, 0x2000, 0, NULL), PLEX86_E_ARGUMENT);
	CHECK_EQ(plex86_map(m, 0x100000, 0x9000, 0, NULL), PLEX86_E_MEMORY);
	CHECK_EQ(plex86_map(m, 0x100000, 0x8000, 0, NULL), 0);
	CHECK_EQ(plex86_write(m, 0x8FFF, &byte, 1), 0);
	CHECK_EQ(plex86_write(m, 0x9000, &byte, 1), PLEX86_E_MISSING);
	CHECK_EQ(plex86_unmap(m, 0x1000, 0x7000), PLEX86_E_MISSING);
	CHECK_EQ(plex86_unmap(m, 0x1000, 0x8000), 0);
	CHECK_EQ(plex86_map(m, 0x200000, 0x8000, 0, NULL), 0);
	CHECK_EQ(plex86_read(m, 0x207FFF, &byte, 1), 0);
	CHECK_EQ(byte, 0);
	CHECK(plex86_memory(m, 0x207000, 0x1001) == NULL);
	CHECK(plex86_memory(m, 0x207000, 0x1000) != NULL);
	plex86_destroy(m);
}

PROGRAM(one, "mov $1, %eax; hlt")
PROGRAM(two, "mov $2, %eax; hlt")

ENGINES(code_that_is_replaced_from_outside_is_made_anew)
{
	plex86 *m = machine(engine, one);

	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK_EQ(plex86_write(m, CODE, program_two, sizeof_two()), 0);
	plex86_set(m, PLEX86_EIP, CODE);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK_EQ(reg(m, PLEX86_EAX), 2);
	memcpy(plex86_memory(m, CODE, sizeof_one()), program_one, sizeof_one());
	CHECK_EQ(plex86_memory_changed(m, CODE, sizeof_one()), 0);
	plex86_set(m, PLEX86_EIP, CODE);
	CHECK_EQ(plex86_run(m, 0, 0, NULL), PLEX86_STOP_HALT);
	CHECK_EQ(reg(m, PLEX86_EAX), 1);
	plex86_destroy(m);
}

PROGRAM(paged, "mov 0x80000010, %eax; mov %eax, 0x80000014; hlt")

ENGINES(linear_addresses_go_through_the_guests_page_tables)
{
	plex86 *m = machine(engine, paged);
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);
	uint64_t gpa;
	uint32_t v;

	identity_pages(m, 0x10000);				/* page directory; linear 80000000h is physical 40000h */
	CHECK_EQ(plex86_translate(m, 0x80000123, &gpa), 0);
	CHECK_EQ(gpa, 0x40123);
	CHECK_EQ(plex86_translate(m, 0x90000000, &gpa), PLEX86_E_MISSING);
	v = 0x11111111;
	CHECK_EQ(plex86_write_linear(m, 0x80000010, &v, 4), 0);
	CHECK_EQ(plex86_run(m, 0, 0, &stop), PLEX86_STOP_HALT);
	CHECK_EQ(plex86_read_linear(m, 0x80000014, &v, 4), 0);
	CHECK_EQ(v, 0x11111111);
	CHECK_EQ(plex86_read(m, 0x40014, &v, 4), 0);
	CHECK_EQ(v, 0x11111111);
	CHECK_EQ(plex86_read_linear(m, 0x80000FFE, &v, 4), PLEX86_E_MISSING);	/* the next page is not there */
	plex86_destroy(m);
}

/* --- errors --- */

TEST(wrong_configurations_are_refused_with_a_reason)
{
	struct plex86_config config = PLEX86_SIZED(plex86_config);
	char why[80] = "";
	plex86 *m;

	config.engine = 7;
	CHECK_EQ(plex86_create(&m, &config, why, sizeof(why)), PLEX86_E_ARGUMENT);
	CHECK(m == NULL);
	CHECK_STR(why, "no such engine");
	config = (struct plex86_config){ .size = 0 };
	CHECK_EQ(plex86_create(&m, &config, why, sizeof(why)), PLEX86_E_ARGUMENT);
	CHECK(strstr(why, "PLEX86_SIZED"));
	config = (struct plex86_config){ .size = sizeof(config), .memory_bytes = 5ull << 30 };
	CHECK_EQ(plex86_create(&m, &config, why, sizeof(why)), PLEX86_E_ARGUMENT);
	CHECK_EQ(plex86_version() >> 16, PLEX86_VERSION_MAJOR);
}

TEST(caller_compiled_with_smaller_structures_is_served_within_them)
{
	struct { struct plex86_stop stop; } s;
	plex86 *m = machine(PLEX86_EMULATE, sum);

	memset(&s, 0x5A, sizeof(s));
	s.stop.size = offsetof(struct plex86_stop, vector);
	CHECK_EQ(plex86_run(m, 0, 0, &s.stop), PLEX86_STOP_HALT);
	CHECK_EQ(s.stop.reason, PLEX86_STOP_HALT);
	CHECK_EQ(s.stop.size, offsetof(struct plex86_stop, vector));
	CHECK_EQ(s.stop.vector, 0x5A5A5A5A);
	plex86_destroy(m);
}
