/*
 * The lock-down: before the first guest instruction the monitor gives up whatever it does not need to run it.
 *
 * A guest that found a mistake of ours and took the monitor over then holds a process that can open no file,
 * make no socket, start no program, gain no privilege and make nothing executable. What remains is written in
 * docs/security.md. A sandbox is the process's, not a machine's: only the program uses it, the library does not.
 */
#ifndef PLEX86_HOST_SANDBOX_H
#define PLEX86_HOST_SANDBOX_H

#include <stdio.h>
#include <sys/resource.h>

#include "util/error.h"

#define SANDBOX_PATHS 8

enum sandbox_mode { SANDBOX_ON, SANDBOX_OFF, SANDBOX_STRICT };

struct sandbox_config {
	enum sandbox_mode mode;		/* strict: no files later at all, and no start where the host refuses a measure */
	bool namespaces;		/* no network, no files: in namespaces of our own */
	const char *path[SANDBOX_PATHS];	/* folders whose files may be opened and written later too */
	unsigned npaths;
};

enum sandbox_role { SANDBOX_DISK_THREAD, SANDBOX_WAIT_THREAD, SANDBOX_PUBLISH_THREAD };

/* "on", "off", "strict"; ",path=FOLDER", ",namespaces=on". Points into text. 0, or -EINVAL with err set. */
int host_sandbox_parse(struct sandbox_config *cfg, const char *text, struct error *err);

/* First thing of a run, while there is one thread: makes the broker and the user namespace. */
int host_sandbox_prepare(const struct sandbox_config *cfg, struct error *err);
/* The lock-down, of all threads. 0, or -errno with err set: strict and refused. What on goes without is said in one line. */
int host_sandbox_enter(const struct sandbox_config *cfg, struct error *err);

/* In threads, before each piece of work: once the process is locked down, this thread is further. */
void host_sandbox_role(enum sandbox_role role);

/* A limit of this process's: value, or less if the host allows less. */
void host_sandbox_limit(__rlimit_resource_t what, rlim_t value);

/* What is in force, a line each. */
void host_sandbox_describe(FILE *f, const char *eol);

/* What this host offers (doctor). */
struct sandbox_offer {
	bool seccomp, openat2, user_namespaces;
	int landlock;			/* ABI version; 0: none */
};
void host_sandbox_probe(struct sandbox_offer *offer);

#endif
