/*
 * The publishing thread: answers scrapes, writes records in time.	[Prometheus, "Exposition formats"], [RFC 9112]
 *
 * A scraper is not trusted: its request is bounded, it has SCRAPE_LIMIT_MS for everything, nothing waits for
 * it, and when all places are taken the oldest connection makes room.
 */
#include "meter/publish.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/kick.h"
#include "host/sandbox.h"
#include "host/wake.h"

static uint64_t now_ms(void) { return host_clock_ns() / 1000000u; }

/* --- scrapers --- */

static void drop(struct scraper *c)
{
	close(c->fd);
	free(c->out);
	*c = (struct scraper){ .fd = -1 };
}

static void accept_one(struct publish *p)
{
	int fd = socket_accept(p->listen_fd, false);
	struct scraper *at = &p->scraper[0];

	if (fd < 0)
		return;
	for (unsigned i = 0; i < SCRAPERS_MAX; i++) {
		struct scraper *c = &p->scraper[i];

		if (at->fd >= 0 && (c->fd < 0 || c->end_ms < at->end_ms))
			at = c;
	}
	if (at->fd >= 0)
		drop(at);
	at->fd = fd;
	at->end_ms = now_ms() + SCRAPE_LIMIT_MS;
}

/* The answer, young enough. */
static bool refresh(struct publish *p)
{
	uint64_t now = now_ms();
	char *text = NULL;
	size_t len = 0;

	if (p->answer && now - p->fresh_ms < SCRAPE_FRESH_MS)
		return true;
	if (!p->read(p->arg, &p->snapshot))
		return false;
	FILE *f = open_memstream(&text, &len);
	if (f == NULL)
		return false;
	meter_prometheus(&p->snapshot, f);
	if (fclose(f) != 0) {
		free(text);
		return false;
	}
	free(p->answer);
	p->answer = text;
	p->answer_len = len;
	p->fresh_ms = now;
	return true;
}

static void say(struct scraper *c, const char *status, const char *type, const char *body, size_t body_len, bool head)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
	    status, type, body_len);
	size_t room = (size_t)n + (head ? 0 : body_len);

	c->out = malloc(room);
	if (c->out == NULL) {
		drop(c);
		return;
	}
	memcpy(c->out, text, (size_t)n);
	if (!head)
		memcpy(c->out + n, body, body_len);
	c->out_len = room;
}

static void refuse(struct scraper *c, const char *status)
{
	say(c, status, "text/plain", status, strlen(status), false);
}

/* The header is whole: METHOD SP target SP version. */
static void answer(struct publish *p, struct scraper *c)
{
	bool head = strncmp(c->request, "HEAD ", 5) == 0;
	const char *target = c->request + (head ? 5 : 4);
	size_t len = strcspn(target, " ?\r\n");

	if (!head && strncmp(c->request, "GET ", 4) != 0)
		refuse(c, "405 Method Not Allowed");
	else if (!(len == 1 && target[0] == '/') && !(len == 8 && strncmp(target, "/metrics", 8) == 0))
		refuse(c, "404 Not Found");
	else if (!refresh(p))
		refuse(c, "503 Service Unavailable");
	else
		say(c, "200 OK", "text/plain; version=0.0.4; charset=utf-8", p->answer, p->answer_len, head);
}

static void send_more(struct scraper *c)
{
	ssize_t n = send(c->fd, c->out + c->sent, c->out_len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		c->sent += (size_t)n;
	if (n > 0 && c->sent < c->out_len)
		return;
	shutdown(c->fd, SHUT_WR);
	drop(c);
}

static void receive(struct publish *p, struct scraper *c)
{
	enum socket_header got = socket_read_header(c->fd, c->request, sizeof(c->request), &c->len);

	if (got == HEADER_GONE) {
		drop(c);
		return;
	}
	if (memchr(c->request, '\0', c->len))
		refuse(c, "400 Bad Request");
	else if (got == HEADER_WHOLE)
		answer(p, c);
	else if (got == HEADER_FULL)
		refuse(c, "431 Request Header Fields Too Large");
	if (c->out)
		send_more(c);
}

/* --- the thread --- */

/* When something is due without anybody's doing. */
static int wait_ms(const struct publish *p, uint64_t now)
{
	uint64_t next = p->log.fd >= 0 ? p->next_ms : UINT64_MAX;

	for (unsigned i = 0; i < SCRAPERS_MAX; i++)
		if (p->scraper[i].fd >= 0)
			next = MIN(next, p->scraper[i].end_ms);
	if (next == UINT64_MAX)
		return -1;
	return next <= now ? 0 : (int)MIN(next - now, (uint64_t)1000000);
}

static void write_record(struct publish *p, uint64_t now)
{
	if (p->log.fd < 0 || now < p->next_ms)
		return;
	if (p->read(p->arg, &p->snapshot))
		meter_log_record(&p->log, p->log.records ? "interval" : "start", &p->snapshot, NULL, 0);
	p->next_ms = MAX(p->next_ms + p->cfg->interval_ms, now);
}

static void *publish_thread(void *arg)
{
	struct publish *p = arg;

	for (;;) {
		struct pollfd pfd[SCRAPERS_MAX + 2] = { { .fd = p->wake_fd, .events = POLLIN }, { .fd = p->listen_fd, .events = POLLIN } };

		for (unsigned i = 0; i < SCRAPERS_MAX; i++)
			pfd[i + 2] = (struct pollfd){ .fd = p->scraper[i].fd, .events = p->scraper[i].out ? POLLOUT : POLLIN };
		if (poll(pfd, ARRAY_LEN(pfd), wait_ms(p, now_ms())) < 0)
			continue;
		if (pfd[0].revents)
			return NULL;
		host_sandbox_role(SANDBOX_PUBLISH_THREAD);
		uint64_t now = now_ms();
		write_record(p, now);
		for (unsigned i = 0; i < SCRAPERS_MAX; i++) {
			struct scraper *c = &p->scraper[i];

			if (c->fd >= 0 && now >= c->end_ms)
				drop(c);
			else if (pfd[i + 2].revents && c->out)
				send_more(c);
			else if (pfd[i + 2].revents)
				receive(p, c);
		}
		if (pfd[1].revents)
			accept_one(p);
	}
}

/* --- life --- */

int publish_open(struct publish *p, const struct publish_config *cfg, struct error *err)
{
	*p = (struct publish){ .cfg = cfg, .listen_fd = -1, .wake_fd = -1, .log.fd = -1 };
	for (unsigned i = 0; i < SCRAPERS_MAX; i++)
		p->scraper[i].fd = -1;
#ifndef PLEX86_METERS
	if (cfg->serve || cfg->log)
		return error_set(err, -ENOTSUP, "%s: this plex86 was built without meters (-Dmeters=false)",
		    cfg->log ? "--meter-log" : "--metrics");
#endif
	if (cfg->serve) {
		p->listen_fd = socket_open(&cfg->metrics, err);
		if (p->listen_fd < 0)
			return p->listen_fd;
	}
	return cfg->log ? meter_log_open(&p->log, cfg->log, err) : 0;
}

int publish_start(struct publish *p, bool (*read)(void *arg, struct meter_snapshot *s), void *arg, struct error *err)
{
	if (p->listen_fd < 0 && p->log.fd < 0)
		return 0;
	p->read = read;
	p->arg = arg;
	p->next_ms = now_ms();
	p->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (p->wake_fd < 0)
		return error_set(err, -errno, "cannot publish meters: %s", strerror(errno));
	int rc = host_thread_start(&p->thread, publish_thread, p);
	p->running = rc == 0;
	return rc < 0 ? error_set(err, rc, "cannot publish meters: %s", strerror(-rc)) : 0;
}

void publish_close(struct publish *p, const struct meter_snapshot *last, const char *reason, int exit_status)
{
	if (p->cfg == NULL)
		return;
	if (p->running) {
		host_wake(p->wake_fd);
		pthread_join(p->thread, NULL);
		if (last)
			meter_log_record(&p->log, "final", last, reason, exit_status);
	}
	for (unsigned i = 0; i < SCRAPERS_MAX; i++)
		if (p->scraper[i].fd >= 0)
			drop(&p->scraper[i]);
	meter_log_close(&p->log);
	if (p->listen_fd >= 0) {
		close(p->listen_fd);
		socket_remove(&p->cfg->metrics);
	}
	if (p->wake_fd >= 0)
		close(p->wake_fd);
	free(p->answer);
	p->cfg = NULL;
}
