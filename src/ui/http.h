/*
 * Files of one folder over HTTP, to browsers on this host: the page of the web display.
 */
#ifndef PLEX86_UI_HTTP_H
#define PLEX86_UI_HTTP_H

#include <pthread.h>

#include "util/error.h"

#define HTTP_CONNECTIONS	16
#define HTTP_REQUEST_MAX	8192

struct http_connection {
	int fd;				/* -1: free */
	size_t len;
	char request[HTTP_REQUEST_MAX];
};

struct http {
	int fd;				/* listens */
	int wake_fd;			/* ends the thread */
	const char *dir;
	pthread_t thread;
	struct http_connection connection[HTTP_CONNECTIONS];
};

/* Serve dir at fd, which is taken over. 0 or -errno. */
int http_open(struct http *http, int fd, const char *dir);
void http_close(struct http *http);

#endif
