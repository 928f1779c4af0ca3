/*
 * Disks backed by images: see block.h. One lock a pool: requests are few and long.
 */
#include "image/block.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "host/signals.h"
#include "host/sandbox.h"

static int carry_out(struct image *image, const struct disk_request *req)
{
	switch (req->op) {
	case DISK_READ:
		return image_read(image, req->offset, req->buf, req->len);
	case DISK_WRITE:
		return image_write(image, req->offset, req->buf, req->len);
	default:
		return image_flush(image);
	}
}

static void count(struct block_stats *s, const struct disk_request *req)
{
	if (req->error) {
		s->errors++;
	} else if (req->op == DISK_READ) {
		s->reads++;
		s->bytes_read += req->len;
	} else if (req->op == DISK_WRITE) {
		s->writes++;
		s->bytes_written += req->len;
	} else {
		s->flushes++;
	}
}

static void finish(struct disk_request *req)
{
	struct image_disk *block = req->owner;

	block->outstanding--;
	count(&block->stats, req);
	req->done(req);
}

static enum block_on_error action_for(const struct image_disk *block, const struct disk_request *req)
{
	enum block_on_error wish = req->op == DISK_READ ? block->read_error : block->write_error;

	if (wish == BLOCK_ENOSPC)
		wish = req->error == -ENOSPC || req->error == -EDQUOT ? BLOCK_STOP : BLOCK_REPORT;
	return wish == BLOCK_STOP && block->draining ? BLOCK_REPORT : wish;
}

static void complete(struct disk_request *req)
{
	struct image_disk *block = req->owner;

	if (req->error) {
		enum block_on_error action = action_for(block, req);

		if (block->pool->failed)
			block->pool->failed(block->pool->arg, block, req, action);
		if (action == BLOCK_STOP) {
			block->status = req->error == -ENOSPC || req->error == -EDQUOT ? BLOCK_NOSPACE : BLOCK_FAILED;
			req->next = NULL;
			*block->held_tail = req;
			block->held_tail = &req->next;
			return;
		}
		if (action == BLOCK_IGNORE)
			req->error = 0;
	}
	finish(req);
}

static struct disk_request *take_held(struct image_disk *block)
{
	struct disk_request *req = block->held;

	block->held = NULL;
	block->held_tail = &block->held;
	block->status = BLOCK_OK;
	return req;
}

static void *worker(void *arg)
{
	struct image_disk *block = arg;
	struct block_pool *pool = block->pool;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (block->queue == NULL && !block->quit)
			pthread_cond_wait(&block->wanted, &pool->lock);
		if (block->queue == NULL)
			break;
		struct disk_request *req = block->queue;
		block->queue = req->next;
		if (block->queue == NULL)
			block->queue_tail = &block->queue;
		pthread_mutex_unlock(&pool->lock);

		host_sandbox_role(SANDBOX_DISK_THREAD);
		req->error = carry_out(block->image, req);

		pthread_mutex_lock(&pool->lock);
		req->next = NULL;
		*pool->done_tail = req;
		pool->done_tail = &req->next;
		pthread_cond_signal(&pool->finished);
		if (pool->notify != NULL)
			pool->notify(pool->arg);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static void start(struct image_disk *block, struct disk_request *req)
{
	struct block_pool *pool = block->pool;

	req->next = NULL;
	if (pool->synchronous) {
		req->error = carry_out(block->image, req);
		complete(req);
		return;
	}
	pthread_mutex_lock(&pool->lock);
	*block->queue_tail = req;
	block->queue_tail = &req->next;
	pthread_cond_signal(&block->wanted);
	pthread_mutex_unlock(&pool->lock);
}

static void block_submit(struct disk *disk, struct disk_request *req)
{
	struct image_disk *block = disk->arg;

	req->owner = block;
	block->outstanding++;
	start(block, req);
}

void block_poll(struct block_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	struct disk_request *req = pool->done;
	pool->done = NULL;
	pool->done_tail = &pool->done;
	pthread_mutex_unlock(&pool->lock);

	while (req != NULL) {
		struct disk_request *next = req->next;	/* done() may submit it again */
		complete(req);
		req = next;
	}
}

static void block_drain(struct disk *disk)
{
	struct image_disk *block = disk->arg;
	struct block_pool *pool = block->pool;

	block->draining = true;
	for (struct disk_request *req = take_held(block), *next; req != NULL; req = next) {
		next = req->next;
		finish(req);
	}
	while (block->outstanding > 0) {
		pthread_mutex_lock(&pool->lock);
		while (pool->done == NULL)
			pthread_cond_wait(&pool->finished, &pool->lock);
		pthread_mutex_unlock(&pool->lock);
		block_poll(pool);
	}
	block->draining = false;
}

void block_retry(struct image_disk *block)
{
	for (struct disk_request *req = take_held(block), *next; req != NULL; req = next) {
		next = req->next;
		start(block, req);
	}
}

void block_pool_init(struct block_pool *pool, bool synchronous, void (*notify)(void *arg), void *arg)
{
	memset(pool, 0, sizeof(*pool));
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->finished, NULL);
	pool->done_tail = &pool->done;
	pool->synchronous = synchronous;
	pool->notify = notify;
	pool->arg = arg;
}

void block_pool_free(struct block_pool *pool)
{
	pthread_cond_destroy(&pool->finished);
	pthread_mutex_destroy(&pool->lock);
}

int block_open(struct image_disk **out, struct block_pool *pool, struct image *image, unsigned sector_bytes)
{
	struct image_disk *block = calloc(1, sizeof(*block));

	if (block == NULL)
		return -ENOMEM;
	block->image = image;
	block->pool = pool;
	block->queue_tail = &block->queue;
	block->held_tail = &block->held;
	block->read_error = BLOCK_REPORT;
	block->disk.size_bytes = (image->size_bytes + sector_bytes - 1) / sector_bytes * sector_bytes;
	block->disk.read_only = image->read_only;
	block->disk.submit = block_submit;
	block->disk.drain = block_drain;
	block->disk.arg = block;
	pthread_cond_init(&block->wanted, NULL);
	int ret = pool->synchronous ? 0 : host_thread_start(&block->thread, worker, block);
	if (ret < 0) {
		pthread_cond_destroy(&block->wanted);
		free(block);
		return ret;
	}
	*out = block;
	return 0;
}

int block_close(struct image_disk *block)
{
	if (block == NULL)
		return 0;
	block_drain(&block->disk);
	if (!block->pool->synchronous) {
		pthread_mutex_lock(&block->pool->lock);
		block->quit = true;
		pthread_cond_signal(&block->wanted);
		pthread_mutex_unlock(&block->pool->lock);
		pthread_join(block->thread, NULL);
	}
	pthread_cond_destroy(&block->wanted);
	int ret = image_flush(block->image);
	image_close(block->image);
	free(block);
	return ret;
}
