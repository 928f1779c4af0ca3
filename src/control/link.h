/*
 * The client's end of a machine's control socket.
 */
#ifndef PLEX86_CONTROL_LINK_H
#define PLEX86_CONTROL_LINK_H

#include <jansson.h>
#include <stdio.h>
#include <sys/types.h>

#include "util/types.h"

#define LINK_ANSWER_MS	10000

struct link {
	int fd;
	FILE *in;
	pid_t pid;			/* of the machine's process; set also if it did not answer */
};

/* A socket's path; false: nobody answers there within limit_ms. Later answers have as long. */
bool link_open(struct link *l, const char *path, int limit_ms);
bool link_to(struct link *l, const char *name);		/* a machine's name, or a path; says what is wrong */
void link_close(struct link *l);

/* One command; args may be NULL and is taken over. The answer, or NULL: the machine is gone, or hangs. */
json_t *link_ask(struct link *l, const char *command, json_t *args);
json_t *link_pass(struct link *l, int fd);	/* QMP's add-fd: its answer */
/* The answer's value, or NULL after a message. Takes the answer. */
json_t *link_value(json_t *answer, const char *name);

/* For each socket of a named machine, in order of names. -1 after a message: the folder cannot be had. */
int link_each(void (*fn)(void *arg, const char *name, const char *path), void *arg);

#endif
