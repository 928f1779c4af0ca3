#include <string.h>

#include "dev/lapic.h"
#include "tests/test.h"

enum { ID = 0x20, TPR = 0x80, PPR = 0xA0, EOI = 0xB0, LDR = 0xD0, SVR = 0xF0, ISR = 0x100, IRR = 0x200, ESR = 0x280,
       ICR = 0x300, ICR_HIGH = 0x310, LVT_TIMER = 0x320, LVT_LINT0 = 0x350, LVT_ERROR = 0x370, INITIAL = 0x380,
       CURRENT = 0x390, DIVIDE = 0x3E0 };

static int last_eoi;
static unsigned nmis;

static void on_eoi(void *arg, uint8_t vector) { last_eoi = vector; }
static void on_nmi(void *arg) { nmis++; }

static void setup(struct lapic *a)
{
	memset(a, 0, sizeof(*a));
	a->eoi = on_eoi;
	a->nmi = on_nmi;
	lapic_reset(a);
	lapic_write(a, SVR, 0x1FF, 0);
	last_eoi = -1;
	nmis = 0;
}

TEST(lapic_delivers_the_highest_vector_and_holds_lower_ones_until_eoi)
{
	struct lapic a;
	setup(&a);
	lapic_deliver(&a, LAPIC_FIXED, 0x41, false);
	lapic_deliver(&a, LAPIC_FIXED, 0x61, false);
	CHECK(lapic_intr(&a));
	CHECK_EQ(lapic_ack(&a), 0x61);
	CHECK(!lapic_intr(&a));
	CHECK_EQ(lapic_read(&a, PPR, 0), 0x60);
	CHECK_EQ(lapic_read(&a, ISR + 0x30, 0), 2);
	lapic_write(&a, EOI, 0, 0);
	CHECK_EQ(lapic_ack(&a), 0x41);
	CHECK_EQ(last_eoi, -1);			/* edges are not told to the I/O APIC */
}

TEST(lapic_task_priority_masks_its_class_and_below)
{
	struct lapic a;
	setup(&a);
	lapic_write(&a, TPR, 0x50, 0);
	lapic_deliver(&a, LAPIC_FIXED, 0x5F, false);
	CHECK(!lapic_intr(&a));
	lapic_deliver(&a, LAPIC_FIXED, 0x60, false);
	CHECK_EQ(lapic_ack(&a), 0x60);
	lapic_write(&a, EOI, 0, 0);
	lapic_write(&a, TPR, 0, 0);
	CHECK_EQ(lapic_ack(&a), 0x5F);
}

TEST(lapic_nothing_to_acknowledge_gives_the_spurious_vector)
{
	struct lapic a;
	setup(&a);
	lapic_write(&a, LVT_LINT0, 0x10000, 0);
	CHECK_EQ(lapic_ack(&a), 0xFF);
	CHECK_EQ(lapic_read(&a, ISR + 0x70, 0), 0);
}

TEST(lapic_timer_counts_down_once_or_again_and_again)
{
	struct lapic a;
	setup(&a);
	lapic_write(&a, DIVIDE, 0x3, 0);		/* by 16: 16 ns a count */
	lapic_write(&a, LVT_TIMER, 0x30, 0);
	lapic_write(&a, INITIAL, 1000, 100);
	CHECK_EQ(lapic_next(&a, 100), 16100);
	CHECK_EQ(lapic_read(&a, CURRENT, 8100), 500);
	CHECK(!lapic_intr(&a));
	lapic_update(&a, 16100);
	CHECK_EQ(lapic_ack(&a), 0x30);
	CHECK_EQ(lapic_read(&a, CURRENT, 20000), 0);
	CHECK(lapic_next(&a, 20000) == UINT64_MAX);
	lapic_write(&a, EOI, 0, 20000);
	lapic_write(&a, LVT_TIMER, 0x20031, 20000);	/* periodic */
	lapic_write(&a, INITIAL, 1000, 20000);
	lapic_update(&a, 36000);
	CHECK_EQ(lapic_ack(&a), 0x31);
	lapic_write(&a, EOI, 0, 36000);
	CHECK_EQ(lapic_next(&a, 36000), 52000);
	CHECK_EQ(lapic_read(&a, CURRENT, 44000), 500);
	lapic_write(&a, INITIAL, 0, 44000);
	CHECK(lapic_next(&a, 44000) == UINT64_MAX);
}

TEST(lapic_ticks_that_came_while_the_host_slept_are_handed_out_one_by_one)
{
	struct lapic a;
	setup(&a);
	lapic_write(&a, DIVIDE, 0xB, 0);		/* by 1 */
	lapic_write(&a, LVT_TIMER, 0x20031, 0);		/* periodic */
	lapic_write(&a, INITIAL, 1000, 0);
	lapic_update(&a, 3500);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(lapic_ack(&a), 0x31);
		CHECK(!lapic_intr(&a));
		lapic_update(&a, 3600);			/* one is in service: the others wait */
		CHECK(!lapic_intr(&a));
		CHECK(lapic_next(&a, 3600) == (i < 2 ? UINT64_MAX : 4000));
		lapic_write(&a, EOI, 0, 3600);
	}
	CHECK(!lapic_intr(&a));
	CHECK_EQ(lapic_next(&a, 3600), 4000);
	lapic_write(&a, LVT_TIMER, 0x30031, 3600);	/* masked: not saved up */
	lapic_update(&a, 9500);
	lapic_write(&a, LVT_TIMER, 0x20031, 9500);
	lapic_update(&a, 9600);
	CHECK(!lapic_intr(&a));
	CHECK_EQ(lapic_next(&a, 9600), 10000);
}

TEST(lapic_divide_configuration_has_eight_steps)
{
	static const struct { uint32_t code; unsigned by; } t[] = { { 0, 2 }, { 1, 4 }, { 2, 8 }, { 3, 16 }, { 8, 32 },
	    { 9, 64 }, { 10, 128 }, { 11, 1 } };
	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct lapic a;
		setup(&a);
		lapic_write(&a, DIVIDE, t[i].code, 0);
		lapic_write(&a, LVT_TIMER, 0x30, 0);
		lapic_write(&a, INITIAL, 100, 0);
		CHECK_EQ(lapic_next(&a, 0), 100 * t[i].by);
	}
}

TEST(lapic_8259_passes_through_lint0_as_a_virtual_wire)
{
	struct lapic a;
	setup(&a);
	lapic_set_lint0(&a, true);
	CHECK(lapic_intr(&a));
	CHECK_EQ(lapic_ack(&a), -1);
	lapic_write(&a, LVT_LINT0, 0x10700, 0);
	CHECK(!lapic_intr(&a));
	lapic_set_base(&a, LAPIC_BASE);			/* switched off altogether: a wire */
	CHECK(lapic_intr(&a));
}

TEST(lapic_self_interrupts_arrive_and_those_to_others_do_not)
{
	struct lapic a;
	setup(&a);
	lapic_write(&a, ICR, 0x40041, 0);		/* self */
	CHECK_EQ(lapic_ack(&a), 0x41);
	lapic_write(&a, EOI, 0, 0);
	lapic_write(&a, ICR, 0xC0042, 0);		/* all but self */
	CHECK(!lapic_intr(&a));
	lapic_write(&a, ICR_HIGH, 5u << 24, 0);
	lapic_write(&a, ICR, 0x43, 0);			/* processor 5 */
	CHECK(!lapic_intr(&a));
	lapic_write(&a, LDR, 0x04000000, 0);
	lapic_write(&a, ICR, 0x844, 0);			/* logical, bit 2 of 5 */
	CHECK_EQ(lapic_ack(&a), 0x44);
	lapic_write(&a, ICR_HIGH, 0, 0);
	lapic_write(&a, ICR, 0x400, 0);
	CHECK_EQ(nmis, 1);
}

TEST(lapic_illegal_vectors_are_errors_reported_through_the_table)
{
	struct lapic a;
	setup(&a);
	lapic_write(&a, LVT_ERROR, 0x50, 0);
	lapic_write(&a, ICR, 0x40005, 0);
	CHECK_EQ(lapic_ack(&a), 0x50);
	CHECK_EQ(lapic_read(&a, ESR, 0), 0);		/* not before it is written */
	lapic_write(&a, ESR, 0, 0);
	CHECK_EQ(lapic_read(&a, ESR, 0), 0x20);
}

TEST(lapic_level_vectors_tell_the_io_apic_at_their_end)
{
	struct lapic a;
	setup(&a);
	lapic_deliver(&a, LAPIC_FIXED, 0x71, true);
	CHECK_EQ(lapic_ack(&a), 0x71);
	CHECK_EQ(last_eoi, -1);
	lapic_write(&a, EOI, 0, 0);
	CHECK_EQ(last_eoi, 0x71);
}

TEST(lapic_software_disable_masks_the_table_and_drops_messages)
{
	struct lapic a;
	setup(&a);
	lapic_write(&a, LVT_TIMER, 0x30, 0);
	lapic_write(&a, SVR, 0xFF, 0);
	CHECK_EQ(lapic_read(&a, LVT_TIMER, 0), 0x10030);
	lapic_deliver(&a, LAPIC_FIXED, 0x71, false);
	CHECK(!lapic_intr(&a));
	lapic_write(&a, LVT_TIMER, 0x30, 0);		/* cannot be unmasked so */
	CHECK_EQ(lapic_read(&a, LVT_TIMER, 0), 0x10030);
}
