#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/chardev.h"
#include "host/clock.h"
#include "host/io.h"
#include "host/kick.h"
#include "host/output.h"
#include "host/telnet.h"
#include "tests/test.h"

enum { KICK = 2, STOP = 4 };

static volatile uint32_t attention;
static struct host_kick kick;

TEST(timer_kick_ends_the_sleep_and_is_seen_in_the_attention_word)
{
	attention = 0;
	CHECK_EQ(host_kick_init(&kick, &attention, KICK), 0);
	host_kick_at(&kick, host_clock_ns() + 1000000);
	while (attention == 0)
		host_kick_sleep(&kick, HOST_NEVER);
	CHECK_EQ(attention, KICK);
	CHECK_EQ(kick.armed_ns, HOST_NEVER);
	host_kick_free(&kick);
}

TEST(sleep_returns_at_once_when_there_is_attention_already)
{
	attention = 0;
	CHECK_EQ(host_kick_init(&kick, &attention, KICK), 0);
	attention = STOP;
	host_kick_sleep(&kick, HOST_NEVER);	/* would hang */
	host_kick_free(&kick);
}

TEST(earlier_deadline_replaces_a_later_one_and_not_the_other_way)
{
	attention = 0;
	CHECK_EQ(host_kick_init(&kick, &attention, KICK), 0);
	ns_t now = host_clock_ns();
	host_kick_at(&kick, now + 3600000000000ull);
	CHECK_EQ(kick.armed_ns, now + 3600000000000ull);
	host_kick_at(&kick, now + 7200000000000ull);
	CHECK_EQ(kick.armed_ns, now + 3600000000000ull);
	host_kick_at(&kick, now + 1);
	while (attention == 0)
		host_kick_sleep(&kick, HOST_NEVER);
	host_kick_free(&kick);
}

TEST(user_signal_is_remembered_and_kicks)
{
	attention = 0;
	CHECK_EQ(host_kick_init(&kick, &attention, KICK), 0);
	raise(SIGTERM);
	raise(SIGHUP);
	CHECK_EQ(attention, KICK);
	CHECK_EQ(kick.user_signal, SIGTERM);
	host_kick_free(&kick);
}

static int hooked;
static void hook(void *arg, void *ucontext)
{
	hooked += ucontext != NULL;
}

static void *kick_it(void *arg)
{
	host_kick_now(arg);
	return NULL;
}

/* Queued signals are counted for all processes of the user: his others may leave no room. */
TEST(kick_comes_when_no_signal_can_be_queued_at_first)
{
	struct rlimit before, none;
	sigset_t mine;
	siginfo_t info;
	pthread_t t;

	attention = 0;
	CHECK_EQ(host_kick_init(&kick, &attention, KICK), 0);
	sigemptyset(&mine);
	sigaddset(&mine, SIGRTMAX);
	sigprocmask(SIG_BLOCK, &mine, NULL);
	getrlimit(RLIMIT_SIGPENDING, &before);
	none = (struct rlimit){ 0, before.rlim_max };
	setrlimit(RLIMIT_SIGPENDING, &none);
	CHECK(sigqueue(getpid(), SIGRTMAX, (union sigval){ 0 }) < 0 && errno == EAGAIN);
	CHECK_EQ(pthread_create(&t, NULL, kick_it, &kick), 0);
	while (!(__atomic_load_n(&attention, __ATOMIC_RELAXED) & KICK))
		usleep(1000);
	__atomic_store_n(&attention, 0, __ATOMIC_RELAXED);	/* that much comes without a signal */
	usleep(3000);			/* time to give up */
	setrlimit(RLIMIT_SIGPENDING, &before);
	while (!(__atomic_load_n(&attention, __ATOMIC_RELAXED) & KICK))
		host_kick_sleep(&kick, host_clock_ns() + 1000000);
	pthread_join(t, NULL);
	while (sigtimedwait(&mine, &info, &(struct timespec){ 0 }) > 0)
		;
	sigprocmask(SIG_UNBLOCK, &mine, NULL);
	host_kick_free(&kick);
}

TEST(kick_hook_gets_the_context_of_what_was_interrupted)
{
	attention = 0;
	CHECK_EQ(host_kick_init(&kick, &attention, KICK), 0);
	hooked = 0;
	kick.kick_hook = hook;
	host_kick_now(&kick);
	while (hooked == 0)
		host_kick_sleep(&kick, host_clock_ns() + 1000000);
	host_kick_free(&kick);
}

static int room_calls;
static void room(void *arg)
{
	__atomic_add_fetch(&room_calls, 1, __ATOMIC_SEQ_CST);
}

struct reader {
	int fd;
	uint8_t *buf;
	size_t len;
};

static void *read_all(void *arg)
{
	struct reader *r = arg;
	ssize_t n;

	while ((n = read(r->fd, r->buf + r->len, 65536)) > 0)
		r->len += (size_t)n;
	return NULL;
}

TEST(output_to_a_reader_that_was_slow_arrives_whole_and_in_order)
{
	int p[2];
	size_t total = 1000000, sent = 0;
	uint8_t *data = malloc(total);
	struct host_output *out = calloc(1, sizeof(*out));
	struct reader r = { .buf = malloc(total + 65536) };
	pthread_t t;

	for (size_t i = 0; i < total; i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	assert_int_equal(pipe(p), 0);
	r.fd = p[0];
	room_calls = 0;
	CHECK_EQ(host_output_open(out, p[1], room, NULL), 0);
	/* Nobody reads: the pipe takes 64 KiB, the ring as much, then puts are refused. */
	while (sent < total) {
		size_t n = host_output_put(out, data + sent, MIN(total - sent, (size_t)1000));
		if (n == 0)
			break;
		sent += n;
	}
	CHECK(sent < total);
	pthread_create(&t, NULL, read_all, &r);
	while (sent < total)
		sent += host_output_put(out, data + sent, total - sent);
	CHECK(host_output_close(out, HOST_NEVER));
	CHECK(room_calls > 0);
	close(p[1]);
	pthread_join(t, NULL);
	CHECK_EQ(r.len, total);
	assert_memory_equal(r.buf, data, total);
	close(p[0]);
	free(r.buf);
	free(data);
	free(out);
}

TEST(output_that_comes_a_byte_at_a_time_arrives_though_nothing_follows_it)
{
	int p[2];
	struct host_output *out = calloc(1, sizeof(*out));

	assert_int_equal(pipe(p), 0);
	CHECK_EQ(host_output_open(out, p[1], room, NULL), 0);
	for (unsigned i = 0; i < 20; i++) {
		uint8_t byte = (uint8_t)i, back = 255;
		CHECK_EQ(host_output_put(out, &byte, 1), 1);
		CHECK_EQ(read(p[0], &back, 1), 1);
		CHECK_EQ(back, byte);
	}
	CHECK(host_output_close(out, HOST_NEVER));
	close(p[0]);
	close(p[1]);
	free(out);
}

TEST(output_to_nobody_is_dropped_and_is_no_error)
{
	int p[2];
	struct host_output *out = calloc(1, sizeof(*out));

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(p), 0);
	close(p[0]);
	CHECK_EQ(host_output_open(out, p[1], room, NULL), 0);
	for (int i = 0; i < 1000; i++)
		while (host_output_put(out, (const uint8_t *)"0123456789", 10) != 10)
			continue;
	CHECK(host_output_close(out, HOST_NEVER));
	close(p[1]);
	free(out);
}

TEST(output_that_hangs_is_given_up_when_there_is_a_limit)
{
	int p[2];
	struct host_output *out = calloc(1, sizeof(*out));
	uint8_t bytes[1000] = { 0 };

	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	while (write(p[1], bytes, sizeof(bytes)) > 0)
		continue;
	CHECK_EQ(host_output_open(out, p[1], room, NULL), 0);
	host_output_put(out, bytes, sizeof(bytes));
	CHECK(!host_output_close(out, 1000000));
	close(p[0]);			/* lets the thread go */
	pthread_join(out->thread, NULL);
	close(p[1]);
	free(out);
}

static char got[64];
static size_t got_len, got_room;

static bool take(void *arg, uint8_t byte)
{
	if (got_len == got_room)
		return false;
	got[got_len++] = (char)byte;
	return true;
}

static void ignore(void *arg)
{
}

static const struct chardev_ops ops = { take, ignore, ignore, ignore, NULL };

/* A chardev that reads from fd, looked after by hand. */
static void open_on(struct chardev *c, struct host_io *io, int fd)
{
	int saved = dup(0);
	struct error err = { 0 };

	attention = 0;
	assert_int_equal(host_kick_init(&kick, &attention, KICK), 0);
	assert_int_equal(host_io_init(io, &kick, false), 0);
	dup2(fd, 0);
	assert_int_equal(chardev_open(c, &(struct chardev_config){ .kind = CHARDEV_STDIO }, io, false, &ops, &err), 0);
	(void)saved;
}

TEST(input_the_guest_does_not_take_waits_and_nothing_is_lost)
{
	static struct chardev c;
	struct host_io io;
	int p[2];

	got_len = 0;
	got_room = 3;
	assert_int_equal(pipe(p), 0);
	open_on(&c, &io, p[0]);
	assert_int_equal(write(p[1], "abc\001xefg", 8), 8);
	close(p[1]);
	host_io_poll(&io, -1);
	CHECK_EQ(got_len, 3);
	host_io_poll(&io, 0);			/* not armed: the guest is still busy with what it has */
	CHECK_EQ(got_len, 3);
	got_room = sizeof(got);
	chardev_input_ready(&c);
	CHECK_EQ(got_len, 8);			/* from a pipe Ctrl-A is a byte like any other */
	assert_memory_equal(got, "abc\001xefg", 8);
	CHECK(c.in != NULL);
	host_io_poll(&io, -1);			/* the end of the input */
	CHECK(c.in == NULL);
	chardev_close(&c, HOST_NEVER);
	host_io_free(&io);
	host_kick_free(&kick);
}

TEST(what_the_monitor_said_before_the_end_is_still_written)
{
	static struct chardev c;
	static const struct chardev_config cfg = { .kind = CHARDEV_STDIO, .mux = true };
	const char answer[] = "VM status: running";
	struct host_io io;
	struct error err = { 0 };
	int in[2], out[2], monitor[2], saved[2] = { dup(0), dup(1) };
	char said[64];

	attention = 0;
	assert_int_equal(host_kick_init(&kick, &attention, KICK), 0);
	assert_int_equal(host_io_init(&io, &kick, false), 0);
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, monitor), 0);
	dup2(in[0], 0);
	dup2(out[1], 1);
	int rc = chardev_open(&c, &cfg, &io, false, &ops, &err);
	if (rc == 0)
		rc = chardev_set_monitor(&c, monitor[0]);
	ssize_t typed = write(in[1], "\001c", 2);
	host_io_poll(&io, -1);
	ssize_t sent = write(monitor[1], answer, strlen(answer));
	close(monitor[1]);
	chardev_close(&c, HOST_NEVER);
	dup2(saved[0], 0);
	dup2(saved[1], 1);
	close(out[1]);
	ssize_t n = read(out[0], said, sizeof(said));
	assert_int_equal(rc, 0);
	CHECK_EQ(typed, 2);
	CHECK_EQ(sent, (ssize_t)strlen(answer));
	CHECK_EQ(n, (ssize_t)strlen(answer) + 2);	/* behind the new line of Ctrl-A c */
	CHECK(n > 2 && memcmp(said + 2, answer, (size_t)n - 2) == 0);
	for (unsigned i = 0; i < 2; i++)
		close(saved[i]);
	close(in[0]);
	close(in[1]);
	close(out[0]);
	host_io_free(&io);
	host_kick_free(&kick);
}

TEST(telnet_commands_are_no_data_and_text_lines_end_in_one_character)	/* [RFC 854] */
{
	struct telnet t = { 0 };
	uint8_t buf[] = { 'a', 255, 251, 31, 255, 250, 31, 0, 80, 255, 255, 24, 255, 240, 'b', '\r', '\n', '\r', 0, 'c', 255, 255, 255, 243, 'd' };
	bool is_break = false;

	CHECK_EQ(telnet_strip(&t, buf, 3, &is_break), 1);	/* in the middle of a command */
	CHECK_EQ(telnet_strip(&t, buf + 3, sizeof(buf) - 3, &is_break), 6);
	CHECK(memcmp(buf + 3, "b\r\rc\xff" "d", 6) == 0);
	CHECK(is_break);
	uint8_t binary[] = { 255, 251, 0, '\r', 0, '\r', '\n' };
	CHECK_EQ(telnet_strip(&t, binary, sizeof(binary), &is_break), 4);
}
