/*
 * The log of meters: the record that a bill is made from.
 *
 * A record is a line of JSON, added by one write to a file opened for appending, and all its counters count from the
 * machine's start: whatever kills the monitor, what was written stays, and at most one interval is unknown.
 */
#include "meter/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/json_text.h"

int meter_log_open(struct meter_log *log, const char *path, struct error *err)
{
	char last = '\n';

	log->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
	if (log->fd < 0)		/* a pipe's end, a terminal */
		log->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (log->fd < 0)
		return error_set(err, -errno, "--meter-log '%s': %s", path, strerror(errno));
	/* Another monitor's last record may be torn: ours begins on a line of its own. */
	off_t end = lseek(log->fd, 0, SEEK_END);
	if (end > 0 && pread(log->fd, &last, 1, end - 1) == 1)
		log->torn = last != '\n';
	return 0;
}

/* The whole line at once. A disk that is full may take a part: the next line then begins anew. */
static void append(struct meter_log *log, const char *line, size_t len)
{
	ssize_t n;

	do
		n = write(log->fd, line, len);
	while (n < 0 && errno == EINTR);
	int why = n < 0 ? errno : ENOSPC;
	if (n == (ssize_t)len) {
		if (log->failed)
			fputs("plex86: the meter log is written again\n", stderr);
		log->failed = false;
		log->torn = false;
		log->records++;
		fdatasync(log->fd);
		return;
	}
	if (n > 0)
		log->torn = true;
	if (!log->failed)
		fprintf(stderr, "plex86: the meter log cannot be written (%s): records are missing until it can\n", strerror(why));
	log->failed = true;
}

void meter_log_record(struct meter_log *log, const char *kind, const struct meter_snapshot *s, const char *reason, int exit_status)
{
	if (log->fd < 0)
		return;
	json_t *j = meter_json(s);
	if (j == NULL)
		return;
	json_object_set_new(j, "record", json_string(kind));
	json_object_set_new(j, "sequence", json_integer((json_int_t)log->records));
	if (reason) {
		json_object_set_new(j, "reason", json_text(reason));
		json_object_set_new(j, "exit_status", json_integer(exit_status));
	}
	char *text = json_dumps(j, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15));
	json_decref(j);
	char *line = NULL;
	int len = text ? asprintf(&line, "%s%s\n", log->torn ? "\n" : "", text) : -1;
	if (len > 0)
		append(log, line, (size_t)len);
	free(line);
	free(text);
}

void meter_log_close(struct meter_log *log)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
}
