#include "control/link.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/control.h"
#include "host/pass.h"

void link_close(struct link *l)
{
	if (l->in)
		fclose(l->in);
	else if (l->fd >= 0)
		close(l->fd);
	*l = (struct link){ .fd = -1 };
}

/* The next line that is no event; NULL: the machine is gone, or hangs. */
static json_t *link_read(struct link *l)
{
	for (;;) {
		json_t *msg = json_loadf(l->in, JSON_DISABLE_EOF_CHECK, NULL);

		if (msg == NULL || json_object_get(msg, "event") == NULL)
			return msg;
		json_decref(msg);
	}
}

json_t *link_ask(struct link *l, const char *command, json_t *args)
{
	json_t *msg = json_pack("{s:s}", "execute", command);

	if (args)
		json_object_set_new(msg, "arguments", args);
	char *text = json_dumps(msg, JSON_COMPACT);
	json_decref(msg);
	bool ok = text && send(l->fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
	free(text);
	return ok ? link_read(l) : NULL;
}

json_t *link_pass(struct link *l, int fd)
{
	static const char text[] = "{\"execute\":\"add-fd\"}";
	return pass_send(l->fd, text, sizeof(text) - 1, fd) == (ssize_t)sizeof(text) - 1 ? link_read(l) : NULL;
}

bool link_open(struct link *l, const char *path, int limit_ms)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct timeval limit = { limit_ms / 1000, limit_ms % 1000 * 1000 };
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	*l = (struct link){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	if ((size_t)snprintf(un.sun_path, sizeof(un.sun_path), "%s", path) >= sizeof(un.sun_path) || l->fd < 0 ||
	    connect(l->fd, (struct sockaddr *)&un, sizeof(un)) < 0) {
		link_close(l);
		return false;
	}
	setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (getsockopt(l->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
		l->pid = peer.pid;
	l->in = fdopen(l->fd, "r");
	json_t *hello = l->in ? link_read(l) : NULL;
	bool ok = hello && json_object_get(hello, "QMP");
	json_decref(hello);
	if (ok) {
		json_t *answer = link_ask(l, "qmp_capabilities", NULL);
		ok = answer && json_object_get(answer, "return");
		json_decref(answer);
	}
	if (!ok) {
		pid_t pid = l->pid;

		link_close(l);
		l->pid = pid;
	}
	return ok;
}

static bool path_of(const char *name, char *path, size_t room)
{
	char dir[PATH_MAX / 2];
	struct error err = { "" };

	if (strchr(name, '/'))
		return (size_t)snprintf(path, room, "%s", name) < room;
	if (control_directory(dir, sizeof(dir), &err) < 0) {
		fprintf(stderr, "plex86: %s\n", err.text);
		return false;
	}
	return (size_t)snprintf(path, room, "%s/%s.qmp", dir, name) < room;
}

bool link_to(struct link *l, const char *name)
{
	char path[PATH_MAX];

	if (path_of(name, path, sizeof(path)) && link_open(l, path, LINK_ANSWER_MS))
		return true;
	fprintf(stderr, "plex86: no running machine is called '%s' (plex86 ps lists them)\n", name);
	return false;
}

/* The answer's value, or NULL after a message. */
json_t *link_value(json_t *answer, const char *name)
{
	const char *desc = json_string_value(json_object_get(json_object_get(answer, "error"), "desc"));
	json_t *value = json_incref(json_object_get(answer, "return"));

	if (value == NULL)
		fprintf(stderr, "plex86: %s: %s\n", name, desc ? desc : "the machine did not answer");
	json_decref(answer);
	return value;
}

int link_each(void (*fn)(void *arg, const char *name, const char *path), void *arg)
{
	char dir[PATH_MAX / 2], path[PATH_MAX], name[NAME_MAX + 1];
	struct error err = { "" };
	struct dirent **list;

	if (control_directory(dir, sizeof(dir), &err) < 0) {
		fprintf(stderr, "plex86: %s\n", err.text);
		return -1;
	}
	int n = scandir(dir, &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		size_t len = strlen(list[i]->d_name);

		if (len > 4 && strcmp(list[i]->d_name + len - 4, ".qmp") == 0) {
			snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
			snprintf(name, sizeof(name), "%.*s", (int)(len - 4), list[i]->d_name);
			fn(arg, name, path);
		}
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return 0;
}
