/* ACPI fixed hardware. Source: [ACPI] "ACPI Hardware Specification". */
#include "dev/acpi.h"
#include "tests/test.h"

static struct acpi fresh(void)
{
	struct acpi a = { 0 };

	acpi_reset(&a, 0);
	return a;
}

TEST(pm_timer_counts_3579545_a_second_in_24_bits)
{
	struct acpi a = fresh();

	CHECK_EQ(acpi_read(&a, 8, 4, 1000000000), 3579545);
	CHECK_EQ(acpi_read(&a, 8, 4, 10000000000), 35795450 & 0xFFFFFF);
}

TEST(timer_status_is_set_when_bit_23_changes_and_cleared_by_writing_one)
{
	struct acpi a = fresh();

	acpi_write(&a, 4, 2, 0, 0);
	acpi_set_sci_en(&a, true);
	acpi_write(&a, 2, 2, ACPI_TMR_STS, 0);
	ns_t at = acpi_next(&a, 0);
	CHECK_EQ(acpi_read(&a, 8, 4, at), 1 << 23);
	CHECK_EQ(acpi_read(&a, 8, 4, at - 1), (1 << 23) - 1);
	acpi_update(&a, at);
	CHECK(acpi_sci(&a));
	CHECK_EQ(acpi_next(&a, at), UINT64_MAX);
	acpi_write(&a, 0, 2, ACPI_TMR_STS, at);
	CHECK(!acpi_sci(&a));
	CHECK(acpi_next(&a, at) > at);
}

TEST(sci_needs_sci_en_status_and_enable)
{
	struct acpi a = fresh();

	acpi_power_button(&a);
	CHECK(!acpi_sci(&a));
	acpi_write(&a, 2, 2, ACPI_PWRBTN_STS, 0);
	CHECK(!acpi_sci(&a));
	acpi_set_sci_en(&a, true);
	CHECK(acpi_sci(&a));
	acpi_write(&a, 1, 1, 0x01, 0);		/* byte access to the high half of the status */
	CHECK(!acpi_sci(&a));
}

TEST(the_guest_cannot_change_sci_en)
{
	struct acpi a = fresh();

	acpi_write(&a, 4, 2, ACPI_SCI_EN, 0);
	CHECK_EQ(acpi_read(&a, 4, 2, 0), 0);
	acpi_set_sci_en(&a, true);
	acpi_write(&a, 4, 2, 0, 0);
	CHECK_EQ(acpi_read(&a, 4, 2, 0), ACPI_SCI_EN);
}

TEST(slp_en_asks_for_the_sleep_type_once_and_reads_back_0)
{
	struct acpi a = fresh();

	acpi_write(&a, 4, 2, 5 << 10, 0);
	CHECK_EQ(acpi_take_sleep(&a), -1);
	acpi_write(&a, 4, 2, 5 << 10 | ACPI_SLP_EN, 0);
	CHECK_EQ(acpi_take_sleep(&a), 5);
	CHECK_EQ(acpi_take_sleep(&a), -1);
	CHECK_EQ(acpi_read(&a, 4, 2, 0), 5 << 10);
}

TEST(status_and_enable_read_together_as_a_doubleword)
{
	struct acpi a = fresh();

	acpi_power_button(&a);
	acpi_write(&a, 2, 2, ACPI_PWRBTN_STS | ACPI_GBL_STS, 0);
	CHECK_EQ(acpi_read(&a, 0, 4, 0), 0x01200100);
	acpi_write(&a, 0, 4, 0xFFFFFFFF, 0);
	CHECK_EQ(acpi_read(&a, 0, 4, 0), 0x07210000);
}
