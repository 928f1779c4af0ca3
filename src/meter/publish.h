/*
 * Meters for other programs: a server that Prometheus scrapes, and a log of records.
 *
 * A thread of its own does both. It never touches the machine: it asks for a snapshot, which the vCPU's thread
 * takes. However fast and however many scrape, that is asked for at most five times a second.
 */
#ifndef PLEX86_METER_PUBLISH_H
#define PLEX86_METER_PUBLISH_H

#include <pthread.h>

#include "host/http.h"
#include "host/socket.h"
#include "meter/table.h"
#include "util/error.h"

#define SCRAPE_LIMIT_MS		5000		/* from accept to the last byte of the answer */
#define SCRAPE_FRESH_MS		200		/* an answer younger than this is given again */

struct publish_config {
	bool serve;
	struct socket_spec metrics;
	const char *log;			/* NULL: none */
	unsigned interval_ms;
};

struct meter_log {
	int fd;					/* -1: none */
	bool torn;				/* what was written last does not end with a line feed */
	bool failed;				/* said so */
	uint64_t records;
};

struct publish {
	const struct publish_config *cfg;
	/* Ask for the meters; false: the machine is ending. On the thread. */
	bool (*read)(void *arg, struct meter_snapshot *s);
	void *arg;
	struct meter_log log;
	int listen_fd, wake_fd;
	pthread_t thread;
	bool running;
	uint64_t next_ms;			/* record of the log */
	uint64_t fresh_ms;			/* when the answer was made */
	char *answer;
	size_t answer_len;
	struct meter_snapshot snapshot;
	struct http http;
};

/* 0 or -errno with err set; publish_close() in any case. */
int publish_open(struct publish *p, const struct publish_config *cfg, struct error *err);
/* The machine is there: begin. read() may be called from now on. */
int publish_start(struct publish *p, bool (*read)(void *arg, struct meter_snapshot *s), void *arg, struct error *err);
/* After read() has begun to answer false. last (or NULL) becomes the final record, with why the machine ended. */
void publish_close(struct publish *p, const struct meter_snapshot *last, const char *reason, int exit_status);

/* log.c */
int meter_log_open(struct meter_log *log, const char *path, struct error *err);
/* One line, by one write. kind: start, interval, final. */
void meter_log_record(struct meter_log *log, const char *kind, const struct meter_snapshot *s, const char *reason, int exit_status);
void meter_log_close(struct meter_log *log);

#endif
