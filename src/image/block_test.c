#include "image/block.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/test.h"

struct rig {
	struct block_pool pool;
	struct image_disk *block;
	char path[64];
	unsigned notified;		/* by the worker; read after drain */
	unsigned done, order[64];
};

static void notify(void *arg)
{
	__atomic_add_fetch(&((struct rig *)arg)->notified, 1, __ATOMIC_SEQ_CST);
}

static void rig_init(struct rig *r, bool synchronous)
{
	struct image_error err;
	struct image *image;

	memset(r, 0, sizeof(*r));
	strcpy(r->path, "/tmp/plex86-block-XXXXXX");
	close(mkstemp(r->path));
	assert_int_equal(image_create(r->path, &(struct image_create_options){ .format = "raw",
	    .size_bytes = 1 << 20 }, &err), 0);
	assert_int_equal(image_open(&image, r->path, &(struct image_options){ .format = "raw" }, &err), 0);
	block_pool_init(&r->pool, synchronous, notify, r);
	assert_int_equal(block_open(&r->block, &r->pool, image, 512), 0);
}

static void rig_free(struct rig *r)
{
	block_close(r->block);
	block_pool_free(&r->pool);
	unlink(r->path);
}

static struct rig *the_rig;

static void done(struct disk_request *req)
{
	the_rig->order[the_rig->done++] = (uintptr_t)req->arg;
	CHECK_EQ(req->error, 0);
}

TEST(block_completions_come_in_order_and_only_from_poll)
{
	struct rig r;
	uint8_t out[4096], in[4096] = { 0 };
	struct disk_request req[3] = {
		{ .op = DISK_WRITE, .offset = 8192, .len = 4096, .buf = out, .done = done, .arg = (void *)1 },
		{ .op = DISK_FLUSH, .done = done, .arg = (void *)2 },
		{ .op = DISK_READ, .offset = 8192, .len = 4096, .buf = in, .done = done, .arg = (void *)3 },
	};
	rig_init(&r, false);
	the_rig = &r;
	memset(out, 0x5A, sizeof(out));
	for (unsigned i = 0; i < 3; i++)
		r.block->disk.submit(&r.block->disk, &req[i]);
	CHECK_EQ(r.done, 0);
	r.block->disk.drain(&r.block->disk);
	CHECK_EQ(r.done, 3);
	CHECK_EQ(r.notified, 3);
	CHECK_EQ(r.order[0], 1);
	CHECK_EQ(r.order[2], 3);
	assert_memory_equal(in, out, 4096);
	CHECK_EQ(r.block->stats.bytes_written, 4096);
	CHECK_EQ(r.block->stats.flushes, 1);
	rig_free(&r);
}

TEST(block_synchronous_requests_are_done_when_submit_returns)
{
	struct rig r;
	uint8_t buf[512];
	struct disk_request req = { .op = DISK_READ, .len = 512, .buf = buf, .done = done };
	rig_init(&r, true);
	the_rig = &r;
	r.block->disk.submit(&r.block->disk, &req);
	CHECK_EQ(r.done, 1);
	CHECK_EQ(r.notified, 0);
	rig_free(&r);
}

static void submit_again(struct disk_request *req)
{
	if (++the_rig->done < 20)
		the_rig->block->disk.submit(&the_rig->block->disk, req);
}

TEST(block_drain_waits_for_requests_made_by_completions)
{
	struct rig r;
	uint8_t buf[512];
	struct disk_request req = { .op = DISK_READ, .len = 512, .buf = buf, .done = submit_again };
	rig_init(&r, false);
	the_rig = &r;
	r.block->disk.submit(&r.block->disk, &req);
	r.block->disk.drain(&r.block->disk);
	CHECK_EQ(r.done, 20);
	rig_free(&r);
}

static void failed(struct disk_request *req)
{
	the_rig->done++;
	CHECK(req->error < 0);
}

TEST(block_errors_reach_the_submitter)
{
	struct rig r;
	uint8_t buf[512];
	struct disk_request req = { .op = DISK_WRITE, .offset = 1 << 20, .len = 512, .buf = buf, .done = failed };
	rig_init(&r, false);
	the_rig = &r;
	r.block->disk.submit(&r.block->disk, &req);
	r.block->disk.drain(&r.block->disk);
	CHECK_EQ(r.done, 1);
	CHECK_EQ(r.block->stats.errors, 1);
	rig_free(&r);
}

/* --- errors, and what is to be done about them --- */

static int host_errno;			/* what every write and flush ends with */

static int failing_write(struct image *image, uint64_t offset, const void *buf, size_t len)
{
	return host_errno;
}

static int failing_flush(struct image *image)
{
	return host_errno;
}

static struct {
	unsigned calls;
	enum block_on_error action;
} told;

static void on_failed(void *arg, const struct image_disk *block, const struct disk_request *req, enum block_on_error action)
{
	told.calls++;
	told.action = action;
}

static int result;

static void note_result(struct disk_request *req)
{
	the_rig->done++;
	result = req->error;
}

/* A disk that cannot be written to: host_errno says why. */
static struct image_ops rig_fails(struct rig *r, enum block_on_error write_error, int error)
{
	rig_init(r, true);
	struct image_ops ops = *r->block->image->ops;
	ops.write = failing_write;
	ops.flush = failing_flush;
	r->block->write_error = write_error;
	r->pool.failed = on_failed;
	the_rig = r;
	host_errno = error;
	told.calls = 0;
	return ops;
}

TEST(block_write_that_finds_the_host_full_is_held_and_made_again_later)	/* [QEMU, "-drive": werror=enospc] */
{
	struct rig r;
	uint8_t buf[512] = { 0 };
	struct disk_request req = { .op = DISK_WRITE, .len = 512, .buf = buf, .done = note_result };
	struct image_ops ops = rig_fails(&r, BLOCK_ENOSPC, -ENOSPC);

	r.block->image->ops = &ops;
	r.block->disk.submit(&r.block->disk, &req);
	CHECK_EQ(r.done, 0);
	CHECK_EQ(told.action, BLOCK_STOP);
	CHECK_EQ(r.block->status, BLOCK_NOSPACE);
	block_retry(r.block);			/* still full */
	CHECK_EQ(r.done, 0);
	CHECK_EQ(told.calls, 2);
	host_errno = 0;
	block_retry(r.block);
	CHECK_EQ(r.done, 1);
	CHECK_EQ(result, 0);
	CHECK_EQ(r.block->status, BLOCK_OK);
	rig_free(&r);
}

TEST(block_errors_other_than_a_full_disk_are_reported_unless_all_are_to_stop)
{
	static const struct { enum block_on_error wish, action; unsigned done; int result; } cases[] = {
		{ BLOCK_ENOSPC, BLOCK_REPORT, 1, -EIO },
		{ BLOCK_REPORT, BLOCK_REPORT, 1, -EIO },
		{ BLOCK_IGNORE, BLOCK_IGNORE, 1, 0 },
		{ BLOCK_STOP, BLOCK_STOP, 0, 77 },
	};
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;
		struct disk_request req = { .op = DISK_FLUSH, .done = note_result };
		struct image_ops ops = rig_fails(&r, cases[i].wish, -EIO);

		r.block->image->ops = &ops;
		result = 77;
		r.block->disk.submit(&r.block->disk, &req);
		CHECK_EQ(told.action, cases[i].action);
		CHECK_EQ(r.done, cases[i].done);
		CHECK_EQ(result, cases[i].result);
		host_errno = 0;
		rig_free(&r);
	}
}

TEST(block_held_request_ends_with_its_error_when_the_chip_is_reset)
{
	struct rig r;
	uint8_t buf[512] = { 0 };
	struct disk_request req = { .op = DISK_WRITE, .len = 512, .buf = buf, .done = note_result };
	struct image_ops ops = rig_fails(&r, BLOCK_STOP, -EIO);

	r.block->image->ops = &ops;
	r.block->disk.submit(&r.block->disk, &req);
	CHECK_EQ(r.done, 0);
	r.block->disk.drain(&r.block->disk);
	CHECK_EQ(r.done, 1);
	CHECK_EQ(result, -EIO);
	CHECK_EQ(block_close(r.block), -EIO);		/* what could not be written out is said */
	block_pool_free(&r.pool);
	unlink(r.path);
}
