#include "host/post.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/wake.h"

struct post_item {
	struct post_item *next;
	void (*fn)(void *arg, const void *data);
	void *arg;
	uint8_t data[POST_DATA_MAX];
	bool waited, called, dropped;	/* waited: the caller owns the item */
};

/* On the vCPU's thread. */
static void run_posted(void *arg)
{
	struct host_post *post = arg;
	uint64_t count;
	ssize_t n = read(post->fd, &count, sizeof(count));

	(void)n;
	host_io_arm(post->io, post->watch);
	pthread_mutex_lock(&post->lock);
	while (post->head) {
		struct post_item *item = post->head;

		post->head = item->next;
		if (post->head == NULL)
			post->tail = NULL;
		pthread_mutex_unlock(&post->lock);
		item->fn(item->arg, item->data);
		pthread_mutex_lock(&post->lock);
		if (item->waited) {
			item->called = true;
			pthread_cond_broadcast(&post->done);
		} else {
			free(item);
		}
	}
	pthread_mutex_unlock(&post->lock);
}

int host_post_init(struct host_post *post, struct host_io *io)
{
	*post = (struct host_post){ .io = io };
	pthread_mutex_init(&post->lock, NULL);
	pthread_cond_init(&post->done, NULL);
	post->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (post->fd < 0)
		return -errno;
	post->watch = host_io_add(io, post->fd, EPOLLIN, run_posted, post);
	if (post->watch == NULL) {
		int err = errno;

		close(post->fd);
		return -err;
	}
	post->open = true;
	return 0;
}

void host_post_close(struct host_post *post)
{
	if (!post->open)
		return;
	pthread_mutex_lock(&post->lock);
	post->open = false;
	while (post->head) {
		struct post_item *item = post->head;

		post->head = item->next;
		if (item->waited)
			item->dropped = true;
		else
			free(item);
	}
	post->tail = NULL;
	pthread_cond_broadcast(&post->done);
	pthread_mutex_unlock(&post->lock);
	host_io_remove(post->io, post->watch);
	close(post->fd);
}

bool host_post(struct host_post *post, void (*fn)(void *arg, const void *data), void *arg, const void *data, size_t len,
	       bool wait)
{
	struct post_item own = { .fn = fn, .arg = arg, .waited = wait };
	struct post_item *item = &own;

	assert(len <= POST_DATA_MAX);
	if (!wait) {
		item = malloc(sizeof(*item));
		if (item == NULL)
			return false;
		*item = own;
	}
	if (len)
		memcpy(item->data, data, len);
	pthread_mutex_lock(&post->lock);
	if (!post->open) {
		pthread_mutex_unlock(&post->lock);
		if (!wait)
			free(item);
		return false;
	}
	if (post->tail)
		post->tail->next = item;
	else
		post->head = item;
	post->tail = item;
	host_wake(post->fd);
	while (wait && !item->called && !item->dropped)
		pthread_cond_wait(&post->done, &post->lock);
	pthread_mutex_unlock(&post->lock);
	return !wait || own.called;
}
