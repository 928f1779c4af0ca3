#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/seccomp.h"
#include "net/net.h"
#include "tests/test.h"
#include "util/sanitizer.h"

static struct net_process started;
static struct net_message message;

static int start(const struct net_user_config *cfg, struct error *err)
{
	return net_user_start(cfg, !SANITIZER, &started, err);
}

static void stop(void)
{
	close(started.fd);
	waitpid(started.pid, NULL, 0);		/* it ends by itself when nobody is there */
}

/* The next frame, waiting for it. */
static int next_frame(void)
{
	struct pollfd p = { .fd = started.fd, .events = POLLIN };
	int n;

	while ((n = net_receive(started.fd, &message)) == -EAGAIN)
		CHECK(poll(&p, 1, 120000) == 1);
	return n;
}

static void send_all(const uint8_t *frame, size_t len)
{
	struct pollfd p = { .fd = started.fd, .events = POLLOUT };

	while (net_send(started.fd, frame, len) == -EAGAIN)
		CHECK(poll(&p, 1, 120000) == 1);
}

static const uint8_t mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };

/* Who has 10.0.2.LAST?								[RFC 826] */
static void ask(uint8_t last)
{
	uint8_t f[60] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };

	memcpy(f + 6, mac, 6);
	memcpy(f + 12, (uint8_t[]){ 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 }, 10);
	memcpy(f + 22, mac, 6);
	memcpy(f + 28, (uint8_t[]){ 10, 0, 2, 15 }, 4);
	memcpy(f + 38, (uint8_t[]){ 10, 0, 2, last }, 4);
	send_all(f, sizeof(f));
}

static bool is_answer(int n, uint8_t last)
{
	return n >= 42 && message.frame[12] == 8 && message.frame[13] == 6 && message.frame[21] == 2 && message.frame[31] == last;
}

TEST(net_gateway_and_name_server_answer_to_their_addresses)
{
	struct net_user_config cfg = { .no_ipv6 = true };
	struct error err;

	CHECK_EQ(start(&cfg, &err), 0);
	ask(2);
	CHECK(is_answer(next_frame(), 2));
	ask(3);
	CHECK(is_answer(next_frame(), 3));
	CHECK_EQ(message.lost, 0);
	stop();
}

TEST(net_addresses_are_those_that_were_asked_for)
{
	struct net_user_config cfg = { .no_ipv6 = true, .mask = { htonl(0xFFFFFF00) } };
	struct error err;

	inet_pton(AF_INET, "10.0.2.0", &cfg.net);
	inet_pton(AF_INET, "10.0.2.77", &cfg.host);
	CHECK_EQ(start(&cfg, &err), 0);
	ask(2);					/* nobody: no answer comes before the next one's */
	ask(77);
	CHECK(is_answer(next_frame(), 77));
	stop();
}

TEST(net_a_port_that_is_taken_is_named)
{
	struct net_user_config cfg = { .nforwards = 2 };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	struct error err = { "" };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0 && listen(fd, 1) == 0 && getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	cfg.forward[0] = (struct net_forward){ .udp = true, .host = a.sin_addr, .host_port = ntohs(a.sin_port), .guest_port = 1 };
	cfg.forward[1] = (struct net_forward){ .host = a.sin_addr, .host_port = ntohs(a.sin_port), .guest_port = 22 };
	CHECK_EQ(start(&cfg, &err), -EADDRINUSE);
	char want[64];
	snprintf(want, sizeof(want), "TCP port %u of 127.0.0.1", ntohs(a.sin_port));
	CHECK(strstr(err.text, want) != NULL);
	close(fd);
}

TEST(net_frames_that_nobody_takes_are_dropped_and_counted)
{
	enum { MANY = 30000 };
	struct net_user_config cfg = { .no_ipv6 = true };
	struct error err;
	unsigned got = 0;

	CHECK_EQ(start(&cfg, &err), 0);
	for (unsigned i = 0; i < MANY; i++)
		ask(2);
	/* What is left comes now. The answer to another question, asked until it is not lost itself, says how many were. */
	struct pollfd p = { .fd = started.fd, .events = POLLIN };
	unsigned asked = 0;
	for (bool answered = false; !answered; ) {
		if (poll(&p, 1, 1000) == 0) {
			ask(3);
			asked++;
			continue;
		}
		int n = next_frame();
		got += is_answer(n, 2);
		answered = is_answer(n, 3);
	}
	CHECK(message.lost > 0);
	CHECK(got < MANY);
	CHECK(got + message.lost >= MANY && got + message.lost < MANY + asked);
	stop();
}

TEST(net_its_end_is_noticed)
{
	struct net_user_config cfg = { .no_ipv6 = true };
	struct error err;
	uint8_t frame[60] = { 0 };

	CHECK_EQ(start(&cfg, &err), 0);
	kill(started.pid, SIGKILL);
	waitpid(started.pid, NULL, 0);
	CHECK_EQ(net_receive(started.fd, &message), -EPIPE);
	CHECK_EQ(net_send(started.fd, frame, sizeof(frame)), -EPIPE);
	close(started.fd);
}

TEST(net_process_confines_itself)
{
	struct net_user_config cfg = { .no_ipv6 = true, .restricted = true };
	struct error err;
	char path[64], line[128];
	bool filtered = false, no_new = false;

	if (SANITIZER || !seccomp_offered())
		SKIP();
	CHECK_EQ(start(&cfg, &err), 0);
	ask(2);
	CHECK(is_answer(next_frame(), 2));	/* it has come as far as its loop */
	snprintf(path, sizeof(path), "/proc/%d/status", (int)started.pid);
	FILE *f = fopen(path, "r");
	CHECK(f != NULL);
	while (fgets(line, sizeof(line), f)) {
		filtered |= strcmp(line, "Seccomp:\t2\n") == 0;
		no_new |= strcmp(line, "NoNewPrivs:\t1\n") == 0;
	}
	fclose(f);
	CHECK(filtered && no_new);
	stop();
}
