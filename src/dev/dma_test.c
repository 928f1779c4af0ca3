/* The DMA controllers. Source: [8237A] data sheet; wiring and pages [AT-TRM]. */
#include "dev/dma.h"
#include "tests/test.h"

#include <string.h>

static uint8_t memory[0x40000];

static void mem_read(void *arg, gpa_t gpa, void *buf, size_t len)
{
	memcpy(buf, memory + gpa % sizeof(memory), len);
}

static void mem_write(void *arg, gpa_t gpa, const void *buf, size_t len)
{
	memcpy(memory + gpa % sizeof(memory), buf, len);
}

static const struct dma_memory mem = { mem_read, mem_write, NULL };

static struct dma fresh(void)
{
	struct dma dma;

	memset(memory, 0, sizeof(memory));
	dma_reset(&dma);
	return dma;
}

/* Channel 2, as a BIOS sets it up for the floppy. */
static struct dma floppy(uint8_t mode, uint8_t page, uint16_t address, uint16_t count)
{
	struct dma dma = fresh();

	dma_write(&dma, 0x0A, 0x06);
	dma_write(&dma, 0x0C, 0);
	dma_write(&dma, 0x0B, mode);
	dma_write(&dma, 0x04, (uint8_t)address);
	dma_write(&dma, 0x04, (uint8_t)(address >> 8));
	dma_write(&dma, 0x81, page);
	dma_write(&dma, 0x05, (uint8_t)count);
	dma_write(&dma, 0x05, (uint8_t)(count >> 8));
	dma_write(&dma, 0x0A, 0x02);
	return dma;
}

TEST(dma_registers_are_read_and_written_low_byte_first_with_one_flip_flop)
{
	struct dma dma = floppy(0x46, 1, 0x1234, 0x01FF);

	CHECK_EQ(dma_read(&dma, 0x04), 0x34);
	CHECK_EQ(dma_read(&dma, 0x04), 0x12);
	CHECK_EQ(dma_read(&dma, 0x05), 0xFF);
	dma_write(&dma, 0x0C, 0);
	CHECK_EQ(dma_read(&dma, 0x05), 0xFF);
	CHECK_EQ(dma_read(&dma, 0x05), 0x01);
	CHECK_EQ(dma_left(&dma, 2), 512);
}

TEST(dma_write_transfer_goes_to_page_and_address_and_ends_at_terminal_count)
{
	struct dma dma = floppy(0x46, 1, 0x1000, 3);
	uint8_t data[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	bool tc;

	CHECK_EQ(dma_transfer(&dma, 2, data, 2, &tc, &mem), 2);
	CHECK(!tc);
	CHECK_EQ(dma_transfer(&dma, 2, data + 2, 6, &tc, &mem), 2);
	CHECK(tc);
	CHECK_EQ(memory[0x11000], 1);
	CHECK_EQ(memory[0x11003], 4);
	CHECK_EQ(memory[0x11004], 0);
	CHECK_EQ(dma_read(&dma, 0x08) & 0x0F, 0x04);
	CHECK_EQ(dma_read(&dma, 0x08) & 0x0F, 0);
	CHECK(!dma_ready(&dma, 2));		/* masked by terminal count */
	CHECK_EQ(dma_transfer(&dma, 2, data, 1, &tc, &mem), 0);
}

TEST(dma_read_transfer_comes_from_memory)
{
	struct dma dma = floppy(0x4A, 0, 0x2000, 1);
	uint8_t data[2];
	bool tc;

	memory[0x2000] = 0xAA;
	memory[0x2001] = 0x55;
	CHECK_EQ(dma_direction(&dma, 2), 2);
	CHECK_EQ(dma_transfer(&dma, 2, data, 2, &tc, &mem), 2);
	CHECK_EQ(data[0], 0xAA);
	CHECK_EQ(data[1], 0x55);
}

TEST(dma_verify_moves_the_count_only)
{
	struct dma dma = floppy(0x42, 0, 0x2000, 1);
	uint8_t data[2] = { 9, 9 };
	bool tc;

	CHECK_EQ(dma_transfer(&dma, 2, data, 2, &tc, &mem), 2);
	CHECK(tc);
	CHECK_EQ(memory[0x2000], 0);
}

TEST(dma_address_wraps_inside_its_64k_page)
{
	struct dma dma = floppy(0x46, 1, 0xFFFE, 3);
	uint8_t data[4] = { 1, 2, 3, 4 };
	bool tc;

	dma_transfer(&dma, 2, data, 4, &tc, &mem);
	CHECK_EQ(memory[0x1FFFF], 2);
	CHECK_EQ(memory[0x10000], 3);
	CHECK_EQ(memory[0x20000], 0);
}

TEST(dma_autoinitialize_reloads_and_stays_unmasked)
{
	struct dma dma = floppy(0x56, 1, 0x100, 1);
	uint8_t data[2] = { 1, 2 };
	bool tc;

	dma_transfer(&dma, 2, data, 2, &tc, &mem);
	CHECK(tc);
	CHECK(dma_ready(&dma, 2));
	CHECK_EQ(dma.chip[0].channel[2].address, 0x100);
	CHECK_EQ(dma_left(&dma, 2), 2);
}

TEST(dma_decrement_walks_down)
{
	struct dma dma = floppy(0x66, 0, 0x103, 3);
	uint8_t data[4] = { 1, 2, 3, 4 };
	bool tc;

	dma_transfer(&dma, 2, data, 4, &tc, &mem);
	CHECK_EQ(memory[0x103], 1);
	CHECK_EQ(memory[0x100], 4);
}

TEST(dma_channel_5_moves_words_at_twice_its_address)
{
	struct dma dma = fresh();
	uint8_t data[4] = { 1, 2, 3, 4 };
	bool tc;

	dma_write(&dma, 0xD6, 0x45);
	dma_write(&dma, 0xC4, 0x00);
	dma_write(&dma, 0xC4, 0x10);
	dma_write(&dma, 0xC6, 1);
	dma_write(&dma, 0xC6, 0);
	dma_write(&dma, 0x8B, 0x03);		/* bit 0 is not used */
	dma_write(&dma, 0xD4, 0x01);
	CHECK_EQ(dma_left(&dma, 5), 4);
	CHECK_EQ(dma_transfer(&dma, 5, data, 4, &tc, &mem), 4);
	CHECK(tc);
	CHECK_EQ(memory[0x22000], 1);
	CHECK_EQ(memory[0x22003], 4);
}

TEST(dma_first_controller_needs_the_cascade_open)
{
	struct dma dma = floppy(0x46, 0, 0, 0);

	CHECK(dma_ready(&dma, 2));
	dma_write(&dma, 0xD4, 0x04);
	CHECK(!dma_ready(&dma, 2));
	dma_write(&dma, 0xD4, 0x00);
	CHECK(dma_ready(&dma, 2));
	dma_write(&dma, 0x08, 0x04);		/* controller disable */
	CHECK(!dma_ready(&dma, 2));
}

TEST(dma_master_clear_masks_all_and_resets_the_flip_flop)
{
	struct dma dma = floppy(0x46, 0, 0x1234, 0);

	dma_read(&dma, 0x04);
	dma_write(&dma, 0x0D, 0);
	CHECK_EQ(dma_read(&dma, 0x0F), 0xFF);
	CHECK_EQ(dma_read(&dma, 0x04), 0x34);
	dma_write(&dma, 0x0E, 0);
	CHECK_EQ(dma_read(&dma, 0x0F), 0xF0);
}

TEST(dma_page_registers_sit_at_their_odd_ports)
{
	static const uint8_t port[8] = { 0x87, 0x83, 0x81, 0x82, 0x8F, 0x8B, 0x89, 0x8A };
	struct dma dma = fresh();

	for (uint8_t ch = 0; ch < 8; ch++)
		dma_write(&dma, port[ch], (uint8_t)(0x10 + ch));
	for (uint8_t ch = 0; ch < 8; ch++) {
		CHECK_EQ(dma.chip[ch >> 2].channel[ch & 3].page, 0x10 + ch);
		CHECK_EQ(dma_read(&dma, port[ch]), 0x10 + ch);
	}
	dma_write(&dma, 0x84, 0x77);
	CHECK_EQ(dma_read(&dma, 0x84), 0x77);
}
