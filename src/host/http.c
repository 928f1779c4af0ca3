#include "host/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/socket.h"

#define PIECE	16384u			/* of a file */

static void drop(struct http_connection *c)
{
	close(c->fd);
	if (c->file >= 0)
		close(c->file);
	free(c->out);
	c->fd = c->file = -1;
	c->out = NULL;
}

static void accept_one(struct http *http)
{
	int fd = socket_accept(http->fd, false);
	struct http_connection *at = &http->connection[0];

	if (fd < 0)
		return;
	for (unsigned i = 0; i < HTTP_CONNECTIONS; i++) {
		struct http_connection *c = &http->connection[i];

		if (at->fd >= 0 && (c->fd < 0 || c->end_ms < at->end_ms))
			at = c;
	}
	if (at->fd >= 0)
		drop(at);
	at->fd = fd;
	at->len = 0;
	at->end_ms = host_clock_ms() + http->limit_ms;
}

static void send_more(struct http_connection *c)
{
	ssize_t n = send(c->fd, c->out + c->sent, c->out_len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		c->sent += (size_t)n;
	if (n > 0 && c->sent < c->out_len)
		return;
	if (n > 0 && c->file_left) {
		n = read(c->file, c->out, MIN(c->file_left, (size_t)PIECE));
		if (n > 0) {
			c->file_left -= (size_t)n;
			c->out_len = (size_t)n;
			c->sent = 0;
			return;
		}
	}
	shutdown(c->fd, SHUT_WR);
	drop(c);
}

static void say(struct http_connection *c, const struct http_reply *reply, bool head)
{
	const char *body = reply->type ? reply->body : reply->status;
	size_t len = reply->type ? reply->len : strlen(reply->status);
	char text[320];
	int n = snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-cache\r\n"
	    "Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n", reply->status, reply->type ? reply->type : "text/plain", len);
	size_t copied = body && !head ? len : 0;

	c->file = reply->file;
	c->file_left = c->file >= 0 && !head ? len : 0;
	c->out_len = (size_t)n + copied;
	c->sent = 0;
	c->out = malloc(MAX(c->out_len, c->file_left ? (size_t)PIECE : 0));
	if (c->out == NULL) {
		drop(c);
		return;
	}
	memcpy(c->out, text, (size_t)n);
	if (copied)
		memcpy(c->out + n, body, copied);
	send_more(c);
}

static void refuse(struct http_connection *c, const char *status)
{
	say(c, &(struct http_reply){ .status = status, .file = -1 }, false);
}

/* The header is whole: METHOD SP target SP version. */
static void answer_request(struct http *http, struct http_connection *c)
{
	struct http_reply reply = { .status = "404 Not Found", .file = -1 };
	bool head = strncmp(c->request, "HEAD ", 5) == 0;
	char *target = c->request + (head ? 5 : 4);

	if (!head && strncmp(c->request, "GET ", 4) != 0) {
		refuse(c, "405 Method Not Allowed");
		return;
	}
	target[strcspn(target, " ?#\r\n")] = '\0';
	http->answer(http->arg, target, &reply);
	say(c, &reply, head);
}

static void receive(struct http *http, struct http_connection *c)
{
	enum socket_header got = socket_read_header(c->fd, c->request, sizeof(c->request), &c->len);

	if (got == HEADER_GONE)
		drop(c);
	else if (memchr(c->request, '\0', c->len))
		refuse(c, "400 Bad Request");
	else if (got == HEADER_WHOLE)
		answer_request(http, c);
	else if (got == HEADER_FULL)
		refuse(c, "431 Request Header Fields Too Large");
}

uint64_t http_wants(const struct http *http, struct pollfd p[HTTP_POLL])
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < HTTP_CONNECTIONS; i++) {
		const struct http_connection *c = &http->connection[i];

		p[i] = (struct pollfd){ .fd = c->fd, .events = c->out ? POLLOUT : POLLIN };
		if (c->fd >= 0)
			next = MIN(next, c->end_ms);
	}
	p[HTTP_CONNECTIONS] = (struct pollfd){ .fd = http->fd, .events = POLLIN };
	return next;
}

void http_serve(struct http *http, const struct pollfd p[HTTP_POLL])
{
	uint64_t now = host_clock_ms();

	for (unsigned i = 0; i < HTTP_CONNECTIONS; i++) {
		struct http_connection *c = &http->connection[i];

		if (c->fd >= 0 && now >= c->end_ms)
			drop(c);
		else if (p[i].revents && c->out)
			send_more(c);
		else if (p[i].revents)
			receive(http, c);
	}
	if (p[HTTP_CONNECTIONS].revents)
		accept_one(http);
}

void http_open(struct http *http, int fd, unsigned limit_ms, void (*answer)(void *arg, const char *target, struct http_reply *reply), void *arg)
{
	http->fd = fd;
	http->limit_ms = limit_ms;
	http->answer = answer;
	http->arg = arg;
	for (unsigned i = 0; i < HTTP_CONNECTIONS; i++) {
		http->connection[i].fd = http->connection[i].file = -1;
		http->connection[i].out = NULL;
	}
}

void http_close(struct http *http)
{
	for (unsigned i = 0; i < HTTP_CONNECTIONS; i++)
		if (http->connection[i].fd >= 0)
			drop(&http->connection[i]);
}
