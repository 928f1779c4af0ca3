/*
 * Files of one folder over HTTP, to browsers on this host: the page of the web display.
 *
 * libvncserver has a server, but it serves a single connection at a time, and browsers open idle ones in advance.
 */
#ifndef PLEX86_UI_PAGES_H
#define PLEX86_UI_PAGES_H

#include <pthread.h>

#include "host/http.h"

struct pages {
	int fd;				/* listens */
	int wake_fd;			/* ends the thread */
	const char *dir;
	pthread_t thread;
	struct http http;
};

/* Serve dir at fd, which is taken over. 0 or -errno. */
int pages_open(struct pages *pages, int fd, const char *dir);
void pages_close(struct pages *pages);

#endif
