#include <string.h>

#include "mmu/phys.h"
#include "tests/test.h"

enum { RAM_BYTES = 1 << 20 };

TEST(what_a_loader_puts_there_is_all_there_and_nothing_beside_it_changes)
{
	static uint8_t data[3 * PAGE_BYTES], back[sizeof(data) + 2];
	struct phys phys;

	CHECK_EQ(phys_init(&phys, RAM_BYTES, 0), 0);
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + 1);
	for (gpa_t at = 0x10001; at < 0x90000; at += 0x10FFF) {		/* every place in a page */
		phys_write_n(&phys, at - 1, 1, 0xAA);
		phys_write_n(&phys, at + sizeof(data), 1, 0xBB);
		phys_load(&phys, at, data, sizeof(data));
		phys_read(&phys, at - 1, back, sizeof(back));
		CHECK_EQ(back[0], 0xAA);
		CHECK_EQ(back[sizeof(back) - 1], 0xBB);
		assert_memory_equal(back + 1, data, sizeof(data));
	}
	phys_free(&phys);
}

TEST(a_load_past_the_end_of_ram_ends_there)
{
	static uint8_t data[2 * PAGE_BYTES];
	struct phys phys;

	CHECK_EQ(phys_init(&phys, RAM_BYTES, 4 * PAGE_BYTES), 0);
	memset(data, 0x5A, sizeof(data));
	phys_load(&phys, RAM_BYTES - PAGE_BYTES, data, sizeof(data));
	CHECK_EQ(phys_read_n(&phys, RAM_BYTES - 4, 4), 0x5A5A5A5A);
	CHECK_EQ(phys.ram[RAM_BYTES], 0);
	phys_load(&phys, 2 * RAM_BYTES, data, sizeof(data));		/* nothing there */
	CHECK_EQ(phys_read_n(&phys, 2 * RAM_BYTES, 4), 0xFFFFFFFF);
	phys_free(&phys);
}
