#include <pthread.h>

#include "host/post.h"
#include "host/socket.h"
#include "tests/test.h"

struct rig {
	volatile uint32_t attention;
	struct host_kick kick;
	struct host_io io;
	struct host_post post;
	unsigned sum, order;
	bool result;
};

static void rig_open(struct rig *t)
{
	*t = (struct rig){ .kick.attention = &t->attention, .kick.kick_bit = 2 };
	assert_int_equal(host_io_init(&t->io, &t->kick, false), 0);
	assert_int_equal(host_post_init(&t->post, &t->io), 0);
}

static void add(void *arg, const void *data)
{
	struct rig *t = arg;

	t->sum += *(const uint8_t *)data;
	t->order = t->order * 10 + *(const uint8_t *)data;
}

TEST(posted_work_is_done_in_order_with_the_data_it_had_when_it_was_posted)
{
	struct rig t;

	rig_open(&t);
	for (uint8_t i = 1; i <= 3; i++)
		CHECK(host_post(&t.post, add, &t, &i, 1, false));
	CHECK_EQ(t.sum, 0);
	host_io_poll(&t.io, 0);
	CHECK_EQ(t.order, 123);
	host_post_close(&t.post);
	host_io_free(&t.io);
}

static void *post_and_wait(void *arg)
{
	struct rig *t = arg;
	uint8_t one = 1;

	t->result = host_post(&t->post, add, t, &one, 1, true);
	return NULL;
}

TEST(who_waits_for_posted_work_goes_on_when_it_is_done)
{
	struct rig t;
	pthread_t thread;

	rig_open(&t);
	assert_int_equal(pthread_create(&thread, NULL, post_and_wait, &t), 0);
	host_io_poll(&t.io, -1);
	pthread_join(thread, NULL);
	CHECK(t.result);
	CHECK_EQ(t.sum, 1);
	host_post_close(&t.post);
	host_io_free(&t.io);
}

TEST(work_posted_to_a_machine_that_has_gone_is_refused)
{
	struct rig t;

	rig_open(&t);
	host_post_close(&t.post);
	post_and_wait(&t);
	CHECK(!t.result);
	CHECK_EQ(t.sum, 0);
	host_io_free(&t.io);
}

TEST(sockets_are_described_as_in_qemus_options)
{
	struct socket_spec s;
	struct error err = { "" };

	CHECK_EQ(socket_parse(&s, "unix:/run/x,server=on,wait=off", &err), 0);
	CHECK_STR(s.path, "/run/x");
	CHECK(s.server && !s.wait);
	CHECK_EQ(socket_parse(&s, "tcp::4444,server,nowait", &err), 0);
	CHECK_EQ(s.port, 4444);
	CHECK(s.server && !s.wait);
	CHECK_EQ(socket_parse(&s, "tcp:localhost:1", &err), 0);
	CHECK(!s.server && s.wait);
	CHECK(socket_parse(&s, "unix:", &err) < 0);
	CHECK(socket_parse(&s, "tcp:x:99999", &err) < 0);
	CHECK(socket_parse(&s, "unix:/a,frob=1", &err) < 0);
	CHECK(socket_parse(&s, "carrier-pigeon", &err) < 0);
}
