#include "image/block.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/test.h"

struct rig {
	struct block_pool pool;
	struct block *block;
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
