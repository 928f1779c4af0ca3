/*
 * The publishing thread: answers scrapes, writes records in time.	[Prometheus, "Exposition formats"]
 */
#include "meter/publish.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/kick.h"
#include "host/sandbox.h"
#include "host/wake.h"

/* The answer, young enough. */
static bool refresh(struct publish *p)
{
	uint64_t now = host_clock_ms();
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

static void answer(void *arg, const char *target, struct http_reply *reply)
{
	struct publish *p = arg;

	if (strcmp(target, "/") != 0 && strcmp(target, "/metrics") != 0)
		return;
	if (!refresh(p))
		reply->status = "503 Service Unavailable";
	else
		*reply = (struct http_reply){ .status = "200 OK", .type = "text/plain; version=0.0.4; charset=utf-8",
			.body = p->answer, .len = p->answer_len, .file = -1 };
}

/* --- the thread --- */

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
		struct pollfd pfd[HTTP_POLL + 1] = { { .fd = p->wake_fd, .events = POLLIN } };
		uint64_t next = http_wants(&p->http, pfd + 1);

		if (p->log.fd >= 0)
			next = MIN(next, p->next_ms);
		if (poll(pfd, ARRAY_LEN(pfd), host_poll_until(next)) < 0)
			continue;
		if (pfd[0].revents)
			return NULL;
		host_sandbox_role(SANDBOX_PUBLISH_THREAD);
		write_record(p, host_clock_ms());
		http_serve(&p->http, pfd + 1);
	}
}

/* --- life --- */

int publish_open(struct publish *p, const struct publish_config *cfg, struct error *err)
{
	*p = (struct publish){ .cfg = cfg, .listen_fd = -1, .wake_fd = -1, .log.fd = -1 };
	http_open(&p->http, -1, SCRAPE_LIMIT_MS, answer, p);
#ifndef PLEX86_METERS
	if (cfg->serve || cfg->log)
		return error_set(err, -ENOTSUP, "%s: this plex86 was built without meters (-Dmeters=false)",
		    cfg->log ? "--meter-log" : "--metrics");
#endif
	if (cfg->serve) {
		p->listen_fd = socket_open(&cfg->metrics, err);
		if (p->listen_fd < 0)
			return p->listen_fd;
		p->http.fd = p->listen_fd;
	}
	return cfg->log ? meter_log_open(&p->log, cfg->log, err) : 0;
}

int publish_start(struct publish *p, bool (*read)(void *arg, struct meter_snapshot *s), void *arg, struct error *err)
{
	if (p->listen_fd < 0 && p->log.fd < 0)
		return 0;
	p->read = read;
	p->arg = arg;
	p->next_ms = host_clock_ms();
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
	http_close(&p->http);
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
