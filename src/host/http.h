/*
 * A small HTTP server, for a thread that polls: the meters' and the web display's.		[RFC 9112]
 *
 * A client is not trusted: its request is bounded, it has a limit of time for everything, nothing waits for it, and
 * when all places are taken the connection that ends first makes room. GET and HEAD; every answer ends its connection.
 */
#ifndef PLEX86_HOST_HTTP_H
#define PLEX86_HOST_HTTP_H

#include <poll.h>
#include <sys/types.h>

#include "util/types.h"

#define HTTP_CONNECTIONS	16
#define HTTP_REQUEST_MAX	8192
#define HTTP_POLL		(HTTP_CONNECTIONS + 1)

/* What http_answer_fn says. type NULL: only the status, which is then the text, too. */
struct http_reply {
	const char *status, *type;	/* "200 OK", "text/plain" */
	const void *body;		/* len bytes, which are copied; or NULL: */
	size_t len;
	int file;			/* len bytes of it, from where it stands; taken over. -1: none */
};

struct http_connection {
	int fd;				/* -1: free */
	uint64_t end_ms;		/* dropped then, whatever it does */
	size_t len, sent, out_len;
	char *out;			/* NULL: still reading the request */
	int file;			/* more to come from there (-1: none), */
	size_t file_left;		/* as many bytes */
	char request[HTTP_REQUEST_MAX];
};

struct http {
	int fd;				/* listens */
	unsigned limit_ms;		/* for a connection, from accept to the last byte of the answer */
	/* GET of target, which is ended by a 0 and has no query. reply is "404 Not Found" until it says otherwise. */
	void (*answer)(void *arg, const char *target, struct http_reply *reply);
	void *arg;
	struct http_connection connection[HTTP_CONNECTIONS];
};

/* fd is the caller's to close, after http_close(). */
void http_open(struct http *http, int fd, unsigned limit_ms, void (*answer)(void *arg, const char *target, struct http_reply *reply), void *arg);
void http_close(struct http *http);

/* What to poll for. Returns when something is due anyway, by host_clock_ms() (UINT64_MAX: never). */
uint64_t http_wants(const struct http *http, struct pollfd p[HTTP_POLL]);
/* Do what can be done without waiting. p as poll() left it. */
void http_serve(struct http *http, const struct pollfd p[HTTP_POLL]);

#endif
