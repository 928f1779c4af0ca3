#include "cpu/machine.h"
#include "mmu/mmu.h"

static unsigned writes, last;

static uint32_t device_read(void *arg, gpa_t offset, unsigned size)
{
	return 0xD0 + (uint32_t)offset;
}

static void device_write(void *arg, gpa_t offset, unsigned size, uint32_t val)
{
	writes++;
	last = (unsigned)offset << 16 | val;
}

static const struct mmio_ops device = { device_read, device_write };

static uint8_t read8(struct machine *m, lin_t lin)
{
	uint8_t val;

	mmu_read(&m->cpu, lin, &val, 1, false);
	return val;
}

static void write8(struct machine *m, lin_t lin, uint8_t val)
{
	mmu_write(&m->cpu, lin, &val, 1, false);
}

TEST(walk_to_a_device_is_remembered_as_long_as_a_tlb_entry_would_be)	/* [SDM 3, "Invalidation of TLBs"] */
{
	struct machine *m = machine_new();

	machine_paging(m);
	phys_add(&m->phys, (struct phys_region){ .start = 0xE0000000u, .size = 2 * PAGE_BYTES, .kind = PHYS_MMIO, .ops = &device, .name = "device" });
	poke32(m, PAGE_TAB + 0x30 * 4, 0xE0001000u | 7);
	writes = 0;
	for (unsigned i = 0; i < 3; i++) {
		write8(m, 0x30010 + i, (uint8_t)i);
		CHECK_EQ(last, (0x1010 + i) << 16 | i);
		CHECK_EQ(read8(m, 0x30004), 0xD4);
	}
	CHECK_EQ(writes, 3);
	CHECK(mmu_is_device(&m->cpu, 0x30FFF, ACCESS_WRITE, false));
	CHECK(!mmu_is_device(&m->cpu, 0x30FFF, ACCESS_WRITE, true));	/* a program has not been there */
	poke32(m, PAGE_TAB + 0x30 * 4, 0x31000u | 7);			/* as a TLB: the old walk holds until INVLPG */
	write8(m, 0x30020, 5);
	CHECK_EQ(writes, 4);
	mmu_flush_page(&m->cpu, 0x30123);
	write8(m, 0x30020, 6);
	CHECK_EQ(writes, 4);
	CHECK_EQ(peek32(m, 0x31020) & 0xFF, 6);
	CHECK_EQ(read8(m, 0x30020), 6);
	poke32(m, PAGE_TAB + 0x30 * 4, 0xE0000000u | 7);
	mmu_flush(&m->cpu, false);					/* a load of CR3 */
	write8(m, 0x30021, 7);
	CHECK_EQ(last, 0x21u << 16 | 7);
	phys_remove(&m->phys, "device");				/* a BAR was moved away */
	mmu_flush(&m->cpu, true);
	write8(m, 0x30021, 8);
	CHECK_EQ(writes, 5);
	machine_free(m);
}
