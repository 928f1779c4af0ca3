#include "host/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/broker.h"

static bool copy(char *to, size_t room, const char *from)
{
	return (size_t)snprintf(to, room, "%s", from) < room;
}

static bool is_on(const char *value)
{
	return value == NULL || strcmp(value, "on") == 0 || strcmp(value, "yes") == 0;
}

static bool is_switch(const char *value)
{
	return is_on(value) || strcmp(value, "off") == 0 || strcmp(value, "no") == 0;
}

bool socket_host_port(struct socket_spec *spec, const char *text)
{
	const char *colon = strrchr(text, ':');
	char *end;

	if (colon == NULL || (size_t)(colon - text) >= sizeof(spec->host))
		return false;
	snprintf(spec->host, sizeof(spec->host), "%.*s", (int)(colon - text), text);
	unsigned long port = strtoul(colon + 1, &end, 10);
	spec->port = (unsigned)port;
	return *end == '\0' && end != colon + 1 && port < 65536;
}

bool socket_option(struct socket_spec *spec, const char *name, const char *value)
{
	if (strcmp(name, "server") == 0 && is_switch(value))
		spec->server = is_on(value);
	else if (strcmp(name, "wait") == 0 && is_switch(value))
		spec->wait = is_on(value);
	else if (strcmp(name, "nowait") == 0 && value == NULL)
		spec->wait = false;
	else if (strcmp(name, "path") == 0 && value)
		return copy(spec->path, sizeof(spec->path), value);
	else if (strcmp(name, "host") == 0 && value)
		return copy(spec->host, sizeof(spec->host), value);
	else if (strcmp(name, "port") == 0 && value)
		return (spec->port = (unsigned)strtoul(value, NULL, 10)) < 65536;
	else if (strcmp(name, "telnet") == 0 && is_switch(value))
		spec->telnet = is_on(value);
	else if (strcmp(name, "abstract") == 0 || strcmp(name, "ipv6") == 0 || strcmp(name, "websocket") == 0)
		return value && is_switch(value) && !is_on(value);
	else		/* about the connection's speed or its loss, or true of it anyway */
		return strcmp(name, "nodelay") == 0 || strcmp(name, "delay") == 0 || strcmp(name, "ipv4") == 0 || strcmp(name, "tight") == 0;
	return true;
}

int socket_parse(struct socket_spec *spec, const char *text, struct error *err)
{
	char buf[512], *save = NULL;

	*spec = (struct socket_spec){ .wait = true };
	if (!copy(buf, sizeof(buf), text))
		return error_set(err, -EINVAL, "'%s': too long", text);
	char *word = strtok_r(buf, ",", &save);
	bool ok = word != NULL;
	if (ok && strncmp(word, "unix:", 5) == 0 && word[5])
		ok = copy(spec->path, sizeof(spec->path), word + 5);
	else if (ok && strncmp(word, "tcp:", 4) == 0)
		ok = socket_host_port(spec, word + 4);
	else if (ok && (spec->telnet = strncmp(word, "telnet:", 7) == 0))
		ok = socket_host_port(spec, word + 7);
	else
		ok = false;
	while (ok && (word = strtok_r(NULL, ",", &save))) {
		char *value = strchr(word, '=');

		if (value)
			*value++ = '\0';
		ok = socket_option(spec, word, value);
	}
	return ok ? 0 : error_set(err, -EINVAL, "'%s': it is unix:PATH, tcp:HOST:PORT or telnet:HOST:PORT, with server=on, wait=off", text);
}

/* A file that a monitor left behind which no longer lives would be in the way. */
static void remove_stale(const struct sockaddr_un *un)
{
	struct stat st;
	int fd;

	if (lstat(un->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)un, sizeof(*un)) < 0 && errno == ECONNREFUSED)
		unlink(un->sun_path);
	if (fd >= 0)
		close(fd);
}

static int open_unix(const struct socket_spec *spec, struct error *err)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", spec->path);
	if (fd < 0)
		return error_set(err, -errno, "socket: %s", strerror(errno));
	if (spec->server)
		remove_stale(&un);
	mode_t mask = umask(0077);		/* whoever may connect owns the machine */
	int rc = spec->server ? bind(fd, (struct sockaddr *)&un, sizeof(un)) : connect(fd, (struct sockaddr *)&un, sizeof(un));
	umask(mask);
	if (rc == 0 && spec->server) {
		rc = listen(fd, 8);
		host_broker_allow_unlink(spec->path);
	}
	if (rc == 0)
		return fd;
	rc = -errno;
	close(fd);
	return error_set(err, rc, "socket '%s': %s", spec->path, rc == -EADDRINUSE ? "in use" : strerror(-rc));
}

static int open_tcp(const struct socket_spec *spec, struct error *err)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *list;
	char port[8];
	int one = 1;

	snprintf(port, sizeof(port), "%u", spec->port);
	int rc = getaddrinfo(spec->host[0] ? spec->host : "127.0.0.1", port, &hints, &list);
	if (rc != 0)
		return error_set(err, -EINVAL, "'%s': %s", spec->host, gai_strerror(rc));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		rc = -1;
	} else if (spec->server) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		rc = bind(fd, list->ai_addr, list->ai_addrlen);
		if (rc == 0)
			rc = listen(fd, 8);
	} else {
		rc = connect(fd, list->ai_addr, list->ai_addrlen);
	}
	int e = errno;
	freeaddrinfo(list);
	if (rc == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return error_set(err, -e, "%s:%u: %s", spec->host, spec->port, strerror(e));
}

/* One that somebody outside the sandbox opened and passed over (QMP's add-fd). */
static int open_passed(const struct socket_spec *spec, struct error *err)
{
	int listens = 0, fd = host_fdset_dup(spec->path);
	socklen_t len = sizeof(listens);

	if (fd < 0)
		return error_set(err, fd, "'%s': there is no such descriptor", spec->path);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 || !listens || !spec->server) {
		close(fd);
		return error_set(err, -EINVAL, "'%s': it is not a socket that waits for connections", spec->path);
	}
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return fd;
}

int socket_open(const struct socket_spec *spec, struct error *err)
{
	if (host_fdset_named(spec->path))
		return open_passed(spec, err);
	if (host_broker_sealed())
		return error_set(err, -EPERM, "the sandbox makes no socket later: ask for it when plex86 starts, or start with --sandbox=off");
	int fd = spec->path[0] ? open_unix(spec, err) : open_tcp(spec, err);

	if (fd >= 0)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

int socket_accept(int fd, bool wait)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (wait && poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return c >= 0 ? c : -errno;
}

int socket_accept_first(const struct socket_spec *spec, int fd, struct error *err)
{
	fprintf(stderr, "plex86: waiting for a connection to %s\n", spec->path[0] ? spec->path : spec->host);
	int conn = socket_accept(fd, true);
	return conn >= 0 ? conn : error_set(err, conn, "no connection came: %s", strerror(-conn));
}

void socket_remove(const struct socket_spec *spec)
{
	if (spec->server && spec->path[0] && !host_fdset_named(spec->path))
		host_unlink(spec->path);
}

enum socket_header socket_read_header(int fd, char *text, size_t room, size_t *len)
{
	ssize_t n = recv(fd, text + *len, room - 1 - *len, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return HEADER_PART;
	if (n <= 0)
		return HEADER_GONE;
	*len += (size_t)n;
	text[*len] = '\0';
	return strstr(text, "\r\n\r\n") ? HEADER_WHOLE : *len + 1 == room ? HEADER_FULL : HEADER_PART;
}
