#include "ui/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/broker.h"
#include "host/clock.h"
#include "host/kick.h"
#include "host/wake.h"

#define PAGE_LIMIT_MS	60000

static const char *type_of(const char *path)
{
	static const struct { const char *end, *type; } types[] = {
		{ ".html", "text/html; charset=utf-8" }, { ".js", "text/javascript; charset=utf-8" }, { ".css", "text/css" },
		{ ".svg", "image/svg+xml" }, { ".png", "image/png" }, { ".ico", "image/x-icon" }, { ".json", "application/json" },
		{ ".woff", "font/woff" }, { ".ttf", "font/ttf" }, { ".oga", "audio/ogg" }, { ".mp3", "audio/mpeg" },
	};
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < ARRAY_LEN(types); i++)
		if (strcmp(dot, types[i].end) == 0)
			return types[i].type;
	return "application/octet-stream";
}

static void answer(void *arg, const char *target, struct http_reply *reply)
{
	const struct pages *pages = arg;
	char path[PATH_MAX];
	struct stat st;

	/* Links may lead elsewhere (Debian's package has some), but the name itself may not climb out. */
	if (target[0] != '/' || strstr(target, "/..") || strchr(target, '%') ||
	    (size_t)snprintf(path, sizeof(path), "%s%s", pages->dir, target) >= sizeof(path))
		return;
	int file = host_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
	if (file < 0)
		return;
	if (fstat(file, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(file);
		return;
	}
	*reply = (struct http_reply){ .status = "200 OK", .type = type_of(path), .len = (size_t)st.st_size, .file = file };
}

static void *pages_thread(void *arg)
{
	struct pages *pages = arg;

	for (;;) {
		struct pollfd p[HTTP_POLL + 1] = { { .fd = pages->wake_fd, .events = POLLIN } };
		uint64_t end_ms = http_wants(&pages->http, p + 1);

		if (poll(p, ARRAY_LEN(p), host_poll_until(end_ms)) < 0)
			continue;
		if (p[0].revents)
			return NULL;
		http_serve(&pages->http, p + 1);
	}
}

int pages_open(struct pages *pages, int fd, const char *dir)
{
	host_broker_allow(dir, BROKER_READ | BROKER_LINKS);
	pages->fd = fd;
	pages->dir = dir;
	http_open(&pages->http, fd, PAGE_LIMIT_MS, answer, pages);
	pages->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (pages->wake_fd < 0)
		return -errno;
	int rc = host_thread_start(&pages->thread, pages_thread, pages);
	if (rc < 0)
		close(pages->wake_fd);
	return rc;
}

void pages_close(struct pages *pages)
{
	host_wake(pages->wake_fd);
	pthread_join(pages->thread, NULL);
	http_close(&pages->http);
	close(pages->fd);
	close(pages->wake_fd);
}
