/*
 * A small HTTP server.						[RFC 9112]
 *
 * libvncserver has one, but it serves a single connection at a time, and browsers open idle ones in advance.
 * GET and HEAD of plain files below one folder; every answer ends its connection.
 */
#include "ui/http.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/broker.h"
#include "host/kick.h"
#include "host/socket.h"
#include "host/wake.h"

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

static bool send_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static void refuse(int fd, const char *status)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s\n",
	    status, strlen(status) + 1, status);

	send_all(fd, text, (size_t)n);
}

static void send_file(int fd, int file, const char *path, bool head)
{
	struct stat st;
	char text[512], *buf;

	if (fstat(file, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > 64 << 20) {
		refuse(fd, "404 Not Found");
		return;
	}
	int n = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %lld\r\n"
	    "Cache-Control: no-cache\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n", type_of(path), (long long)st.st_size);
	if (!send_all(fd, text, (size_t)n) || head)
		return;
	buf = malloc(65536);
	for (ssize_t got; buf && (got = read(file, buf, 65536)) > 0; )
		if (!send_all(fd, buf, (size_t)got))
			break;
	free(buf);
}

/* The request line is whole: METHOD SP target SP version. */
static void answer(const struct http *http, int fd, char *request)
{
	char path[PATH_MAX];
	bool head = strncmp(request, "HEAD ", 5) == 0;
	char *target = strchr(request, ' ');

	if (!head && strncmp(request, "GET ", 4) != 0) {
		refuse(fd, "405 Method Not Allowed");
		return;
	}
	target++;
	target[strcspn(target, " ?#\r\n")] = '\0';
	/* Links may lead elsewhere (Debian's package has some), but the name itself may not climb out. */
	if (target[0] != '/' || strstr(target, "/..") || strchr(target, '%') ||
	    (size_t)snprintf(path, sizeof(path), "%s%s", http->dir, target) >= sizeof(path)) {
		refuse(fd, "404 Not Found");
		return;
	}
	int file = host_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
	if (file < 0) {
		refuse(fd, "404 Not Found");
		return;
	}
	send_file(fd, file, target, head);
	close(file);
}

static void drop(struct http_connection *c)
{
	close(c->fd);
	c->fd = -1;
}

static void accept_one(struct http *http)
{
	struct timeval limit = { 5, 0 };
	int fd = accept4(http->fd, NULL, NULL, SOCK_CLOEXEC);
	struct http_connection *at = &http->connection[0];

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	for (unsigned i = HTTP_CONNECTIONS; i-- > 0; )
		if (http->connection[i].fd < 0)
			at = &http->connection[i];
	if (at->fd >= 0)		/* all taken by idle ones: the first makes room */
		drop(at);
	at->fd = fd;
	at->len = 0;
}

static void receive(struct http *http, struct http_connection *c)
{
	enum socket_header got = socket_read_header(c->fd, c->request, sizeof(c->request), &c->len);

	if (got == HEADER_PART)
		return;
	if (got == HEADER_WHOLE)
		answer(http, c->fd, c->request);
	if (got != HEADER_GONE)
		shutdown(c->fd, SHUT_WR);
	drop(c);
}

static void *http_thread(void *arg)
{
	struct http *http = arg;

	for (;;) {
		struct pollfd p[HTTP_CONNECTIONS + 2] = { { .fd = http->wake_fd, .events = POLLIN }, { .fd = http->fd, .events = POLLIN } };

		for (unsigned i = 0; i < HTTP_CONNECTIONS; i++)
			p[i + 2] = (struct pollfd){ .fd = http->connection[i].fd, .events = POLLIN };
		if (poll(p, ARRAY_LEN(p), -1) < 0)
			continue;
		if (p[0].revents)
			return NULL;
		for (unsigned i = 0; i < HTTP_CONNECTIONS; i++)
			if (p[i + 2].revents)
				receive(http, &http->connection[i]);
		if (p[1].revents)
			accept_one(http);
	}
}

int http_open(struct http *http, int fd, const char *dir)
{
	host_broker_allow(dir, BROKER_READ | BROKER_LINKS);
	*http = (struct http){ .fd = fd, .dir = dir };
	for (unsigned i = 0; i < HTTP_CONNECTIONS; i++)
		http->connection[i].fd = -1;
	http->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (http->wake_fd < 0)
		return -errno;
	int rc = host_thread_start(&http->thread, http_thread, http);
	if (rc < 0)
		close(http->wake_fd);
	return rc;
}

void http_close(struct http *http)
{
	host_wake(http->wake_fd);
	pthread_join(http->thread, NULL);
	for (unsigned i = 0; i < HTTP_CONNECTIONS; i++)
		if (http->connection[i].fd >= 0)
			drop(&http->connection[i]);
	close(http->fd);
	close(http->wake_fd);
}
