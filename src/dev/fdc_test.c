#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dev/fdc.h"
#include "tests/test.h"

struct rig {
	struct fdc fdc;
	struct disk disk;
	uint8_t bytes[1440 * 1024];
	uint8_t mem[65536];
	size_t mem_at, dma_left;	/* what the DMA channel still moves before TC */
	bool to_memory, irq;
	unsigned flushes;
	int error;
};

static void submit(struct disk *disk, struct disk_request *req)
{
	struct rig *r = disk->arg;

	req->error = r->error;
	if (req->op == DISK_READ)
		memcpy(req->buf, r->bytes + req->offset, req->len);
	else if (req->op == DISK_WRITE)
		memcpy(r->bytes + req->offset, req->buf, req->len);
	else
		r->flushes++;
	req->done(req);
}

static void drain(struct disk *disk) { }
static void set_irq(void *arg, bool level) { ((struct rig *)arg)->irq = level; }
static bool dma_ready(void *arg) { return true; }

static size_t dma(void *arg, void *buf, size_t len, bool *tc)
{
	struct rig *r = arg;
	size_t n = MIN(len, r->dma_left);

	if (r->to_memory)
		memcpy(r->mem + r->mem_at, buf, n);
	else
		memcpy(buf, r->mem + r->mem_at, n);
	r->mem_at += n;
	r->dma_left -= n;
	*tc = n > 0 && r->dma_left == 0;
	return n;
}

static void cmd(struct rig *r, const char *bytes, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		CHECK_EQ(fdc_read(&r->fdc, 4) & 0xC0, 0x80);
		fdc_write(&r->fdc, 5, bytes[i]);
	}
}

static unsigned results(struct rig *r, uint8_t *out)
{
	unsigned n = 0;

	while ((fdc_read(&r->fdc, 4) & 0xC0) == 0xC0)
		out[n++] = fdc_read(&r->fdc, 5);
	return n;
}

static struct rig *rig_new(uint64_t size)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct fdc_host host = { r, set_irq, dma, dma_ready };
	uint8_t out[16];

	for (unsigned i = 0; i < sizeof(r->bytes); i++)
		r->bytes[i] = i / 512 * 3 + i;
	r->disk = (struct disk){ .size_bytes = size, .submit = submit, .drain = drain, .arg = r };
	fdc_init(&r->fdc, &host);
	fdc_attach(&r->fdc, 0, &r->disk);
	fdc_write(&r->fdc, 2, 0x1C);			/* run, DMA gate, motor of drive 0 */
	CHECK(r->irq);
	for (unsigned i = 0; i < 4; i++) {
		cmd(r, "\x08", 1);
		CHECK_EQ(results(r, out), 2);
		CHECK_EQ(out[0], 0xC0 | i);
	}
	CHECK(!r->irq);
	fdc_write(&r->fdc, 7, fdc_format_of(size)->rate);
	cmd(r, "\x03\xDF\x02", 3);
	return r;
}

TEST(fdc_reset_owes_one_sense_interrupt_a_drive_and_then_none)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	cmd(r, "\x08", 1);
	CHECK_EQ(results(r, out), 1);
	CHECK_EQ(out[0], 0x80);
	free(r);
}

TEST(fdc_seek_moves_the_head_and_clears_the_change_line)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	CHECK_EQ(fdc_read(&r->fdc, 7), 0x80);
	cmd(r, "\x0F\x00\x05", 3);
	CHECK(r->irq);
	cmd(r, "\x08", 1);
	CHECK_EQ(results(r, out), 2);
	CHECK_EQ(out[0], 0x20);
	CHECK_EQ(out[1], 5);
	CHECK(!r->irq);
	CHECK_EQ(fdc_read(&r->fdc, 7), 0);
	cmd(r, "\x07\x00", 2);
	cmd(r, "\x08", 1);
	results(r, out);
	CHECK_EQ(out[1], 0);
	free(r);
}

TEST(fdc_read_goes_through_dma_until_terminal_count)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	r->to_memory = true;
	r->dma_left = 3 * 512;
	cmd(r, "\xE6\x00\x00\x00\x11\x02\x12\x1B\xFF", 9);	/* sectors 17, 18, and 1 of head 1 */
	CHECK(r->irq);
	CHECK_EQ(results(r, out), 7);
	CHECK(!r->irq);
	assert_memory_equal(out, "\x04\0\0\0\x01\x02\x02", 7);
	assert_memory_equal(r->mem, r->bytes + 16 * 512, 3 * 512);
	free(r);
}

TEST(fdc_read_without_terminal_count_ends_in_end_of_cylinder)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	r->to_memory = true;
	r->dma_left = 60000;
	cmd(r, "\x46\x00\x00\x00\x12\x02\x12\x1B\xFF", 9);
	CHECK_EQ(results(r, out), 7);
	CHECK_EQ(out[0], 0x40);
	CHECK_EQ(out[1], 0x80);
	CHECK_EQ(r->mem_at, 512);
	free(r);
}

TEST(fdc_write_reaches_the_disk_and_is_flushed)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	memset(r->mem, 0x42, 1024);
	r->dma_left = 1024;
	cmd(r, "\x45\x04\x00\x01\x03\x02\x12\x1B\xFF", 9);
	CHECK_EQ(results(r, out), 7);
	CHECK_EQ(out[0], 0x04);
	CHECK_EQ(r->bytes[(18 + 2) * 512], 0x42);
	CHECK_EQ(r->bytes[(18 + 4) * 512 - 1], 0x42);
	CHECK_EQ(r->flushes, 1);
	r->disk.read_only = true;
	cmd(r, "\x45\x04\x00\x01\x03\x02\x12\x1B\xFF", 9);
	results(r, out);
	CHECK_EQ(out[1], 0x02);
	free(r);
}

TEST(fdc_wrong_cylinder_sector_and_rate_are_told_apart)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	cmd(r, "\x46\x00\x05\x00\x01\x02\x12\x1B\xFF", 9);
	results(r, out);
	CHECK_EQ(out[1], 0x04);
	CHECK_EQ(out[2], 0x10);
	cmd(r, "\x46\x00\x00\x00\x13\x02\x24\x1B\xFF", 9);
	results(r, out);
	CHECK_EQ(out[1], 0x04);
	fdc_write(&r->fdc, 7, 2);
	cmd(r, "\x4A\x00", 2);
	results(r, out);
	CHECK_EQ(out[0], 0x40);
	CHECK_EQ(out[1], 0x01);
	free(r);
}

TEST(fdc_read_id_goes_round_the_track)
{
	struct rig *r = rig_new(360 * 1024);
	uint8_t out[16], first;
	cmd(r, "\x4A\x04", 2);
	CHECK_EQ(results(r, out), 7);
	first = out[5];
	for (unsigned i = 0; i < 9; i++) {
		cmd(r, "\x4A\x04", 2);
		results(r, out);
	}
	CHECK_EQ(out[5], first);
	CHECK_EQ(out[6], 2);
	free(r);
}

TEST(fdc_non_dma_mode_moves_bytes_through_the_fifo)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	cmd(r, "\x03\xDF\x03", 3);
	cmd(r, "\x46\x00\x00\x00\x02\x02\x02\x1B\xFF", 9);
	for (unsigned i = 0; i < 512; i++) {
		CHECK_EQ(fdc_read(&r->fdc, 4), 0xF0);
		CHECK_EQ(fdc_read(&r->fdc, 5), r->bytes[512 + i]);
	}
	CHECK_EQ(results(r, out), 7);
	CHECK_EQ(out[1], 0x80);
	free(r);
}

TEST(fdc_format_fills_the_sectors_named)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	memcpy(r->mem, "\0\0\1\2\0\0\2\2", 8);
	r->dma_left = 8;
	cmd(r, "\x4D\x00\x02\x02\x1B\xF6", 6);
	CHECK_EQ(results(r, out), 7);
	CHECK_EQ(out[0], 0);
	CHECK_EQ(r->bytes[0], 0xF6);
	CHECK_EQ(r->bytes[1023], 0xF6);
	CHECK(r->bytes[1024] != 0xF6 || r->bytes[1025] != 0xF6);
	free(r);
}

TEST(fdc_disk_errors_are_crc_errors)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	r->error = -EIO;
	r->to_memory = true;
	r->dma_left = 512;
	cmd(r, "\x46\x00\x00\x00\x01\x02\x12\x1B\xFF", 9);
	results(r, out);
	CHECK_EQ(out[0], 0x40);
	CHECK_EQ(out[1], 0x20);
	free(r);
}

TEST(fdc_unknown_commands_are_invalid)
{
	struct rig *r = rig_new(1440 * 1024);
	uint8_t out[16];
	cmd(r, "\x18", 1);
	CHECK_EQ(results(r, out), 1);
	CHECK_EQ(out[0], 0x80);
	cmd(r, "\x10", 1);
	results(r, out);
	CHECK_EQ(out[0], 0x90);
	free(r);
}

TEST(fdc_formats_follow_the_size_of_the_image)
{
	CHECK_EQ(fdc_format_of(360 * 1024)->sectors, 9);
	CHECK_EQ(fdc_format_of(1200 * 1024)->sectors, 15);
	CHECK_EQ(fdc_format_of(2880 * 1024)->drive, 5);
	CHECK_EQ(fdc_format_of(512)->sectors, 18);	/* a boot sector alone */
}
