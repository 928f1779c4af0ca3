#include "control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "host/broker.h"
#include "host/pass.h"
#include "util/json_text.h"
#include "vm.h"

int control_directory(char *path, size_t room, struct error *err)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	struct stat st;

	if (run && run[0] == '/')
		snprintf(path, room, "%s/plex86", run);
	else
		snprintf(path, room, "/tmp/plex86-%u", (unsigned)geteuid());
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_set(err, -errno, "cannot make '%s': %s", path, strerror(errno));
	/* In a folder that everybody may write somebody else could have been first. */
	if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
		return error_set(err, -EPERM, "'%s' is not a folder of ours alone", path);
	return 0;
}

/* --- clients --- */

static void drop(struct control_client *cl)
{
	if (cl->watch)
		host_io_remove(cl->control->io, cl->watch);
	if (cl->in_fd > STDERR_FILENO)
		close(cl->in_fd);
	free(cl->in);
	outbox_free(&cl->out);
	*cl = (struct control_client){ .control = cl->control, .in_fd = -1, .out_fd = -1 };
}

/* What fits now; the rest when the socket has room. */
static void flush(struct control_client *cl)
{
	if (!outbox_flush(&cl->out, cl->out_fd, cl->in_fd == cl->out_fd))
		cl->closing = true;
}

static bool grow(char **buf, size_t *room, size_t need)
{
	if (need <= *room)
		return true;
	char *p = realloc(*buf, need * 2);
	if (p == NULL)
		return false;
	*buf = p;
	*room = need * 2;
	return true;
}

static void say(struct control_client *cl, const char *text, size_t len)
{
	if (cl->closing || !outbox_put(&cl->out, text, len, CONTROL_OUTPUT_MAX))
		cl->closing = true;
}

static void say_json(struct control_client *cl, json_t *msg)
{
	char *text = json_dumps(msg, JSON_COMPACT | JSON_PRESERVE_ORDER);

	json_decref(msg);
	if (text) {
		say(cl, text, strlen(text));
		say(cl, "\r\n", 2);
	}
	free(text);
}

void control_event(struct control *c, const char *name, json_t *data)
{
	struct timeval tv;

	gettimeofday(&tv, NULL);
	if (c->open) {
		for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
			struct control_client *cl = &c->client[i];

			if (cl->in_fd < 0 || cl->mode != CONTROL_QMP || !cl->ready)
				continue;
			json_t *event = json_pack("{s:{s:I,s:I},s:s}", "timestamp", "seconds", (json_int_t)tv.tv_sec,
			    "microseconds", (json_int_t)tv.tv_usec, "event", name);
			if (data)
				json_object_set(event, "data", data);
			say_json(cl, event);
			flush(cl);
		}
	}
	json_decref(data);
}

static json_t *error_answer(const char *class, const char *text)
{
	return json_pack("{s:{s:s,s:o}}", "error", "class", class, "desc", json_text(text));
}

/* What is wrong with the request's form; NULL: nothing. */
static json_t *malformed(json_t *request)
{
	json_t *args = json_object_get(request, "arguments"), *value;
	char text[100];
	const char *key;

	if (!json_is_object(request))
		return error_answer("GenericError", "QMP input must be a JSON object");
	json_object_foreach(request, key, value) {
		if (strcmp(key, "execute") == 0 || strcmp(key, "arguments") == 0 || strcmp(key, "id") == 0)
			continue;
		snprintf(text, sizeof(text), "QMP input member '%.60s' is unexpected", key);
		return error_answer("GenericError", text);
	}
	if (json_object_get(request, "execute") == NULL)
		return error_answer("GenericError", "QMP input lacks member 'execute'");
	if (!json_is_string(json_object_get(request, "execute")))
		return error_answer("GenericError", "QMP input member 'execute' must be a string");
	if (args && !json_is_object(args))
		return error_answer("GenericError", "QMP input member 'arguments' must be an object");
	return NULL;
}

static json_t *answer_to(struct control_client *cl, json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "execute"));
	struct error err = { "" };
	json_t *wrong = malformed(request);

	if (wrong)
		return wrong;
	if (strcmp(name, "qmp_capabilities") == 0) {
		if (json_array_size(json_object_get(json_object_get(request, "arguments"), "enable")) && !cl->ready)
			return error_answer("GenericError", "Capability not available: the greeting names none");
		if (cl->ready)
			return error_answer("CommandNotFound", "Capabilities negotiation is already complete, command ignored");
		cl->ready = true;
		return json_pack("{s:{}}", "return");
	}
	if (!cl->ready)
		return error_answer("CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'");
	json_t *value = qmp_execute(cl->control, name, json_object_get(request, "arguments"), &err);
	if (value)
		return json_pack("{s:o}", "return", value);
	return error_answer(strncmp(err.text, "The command ", 12) == 0 ? "CommandNotFound" : "GenericError", err.text);
}

static void qmp_line(struct control_client *cl, const char *text, size_t len)
{
	json_error_t why;
	json_t *request = json_loadb(text, len, JSON_DECODE_ANY, &why);
	json_t *answer, *id;

	if (request == NULL) {
		answer = error_answer("GenericError", "Invalid JSON syntax");
	} else {
		answer = answer_to(cl, request);
		id = json_object_get(request, "id");
		if (id)
			json_object_set(answer, "id", id);
	}
	say_json(cl, answer);
	json_decref(request);
}

/* Length of the first complete JSON value in the buffer; 0: there is none yet. */
static size_t json_length(const char *s, size_t len)
{
	unsigned depth = 0;
	bool string = false, any = false;

	for (size_t i = 0; i < len; i++) {
		char ch = s[i];

		if (string) {
			if (ch == '\\')
				i++;
			else if (ch == '"')
				string = false;
		} else if (ch == '"') {
			string = any = true;
		} else if (ch == '{' || ch == '[') {
			depth++;
			any = true;
		} else if ((ch == '}' || ch == ']') && depth > 0) {
			if (--depth == 0)
				return i + 1;
		} else if (ch == '\n' && depth == 0 && any) {
			return i + 1;		/* not an object: an error, but a whole one */
		} else if (ch != ' ' && ch != '\t' && ch != '\r' && ch != '\n') {
			any = true;
		}
	}
	return 0;
}

static bool only_blank(const char *s, size_t len)
{
	return strspn(s, " \t\r\n") >= len;
}

#define PROMPT "(plex86) "

static void monitor_line(struct control_client *cl, const char *text, size_t len)
{
	char *line = strndup(text, len), *said = NULL;
	size_t said_len = 0;

	if (line) {
		line[strcspn(line, "\r\n")] = '\0';
		said = monitor_said(cl->control, line, &said_len);
	}
	if (said)
		say(cl, said, said_len);
	say(cl, PROMPT, strlen(PROMPT));
	free(said);
	free(line);
}

static void run_input(struct control_client *cl)
{
	for (;;) {
		size_t n;

		if (cl->in_len == 0 || cl->closing)
			return;
		cl->in[cl->in_len] = '\0';
		if (cl->mode == CONTROL_QMP) {
			n = json_length(cl->in, cl->in_len);
		} else {
			char *nl = memchr(cl->in, '\n', cl->in_len);
			n = nl ? (size_t)(nl - cl->in) + 1 : 0;
		}
		if (n == 0)
			return;
		if (cl->mode == CONTROL_MONITOR)
			monitor_line(cl, cl->in, n);
		else if (!only_blank(cl->in, n))
			qmp_line(cl, cl->in, n);
		memmove(cl->in, cl->in + n, cl->in_len - n);
		cl->in_len -= n;
	}
}

/* What came, and a descriptor with it (SCM_RIGHTS), which is the next command's to take. */
static ssize_t receive(struct control_client *cl, void *buf, size_t len)
{
	if (cl->in_fd != cl->out_fd)
		return read(cl->in_fd, buf, len);
	return pass_receive(cl->in_fd, buf, len, MSG_DONTWAIT, &cl->control->passed_fd);
}

/* How much of the n bytes at the end of the input counts. A line of telnet's ends in CR. */
static size_t came(struct control_client *cl, size_t n)
{
	char *at = cl->in + cl->in_len;
	bool is_break = false;

	if (!cl->is_telnet)
		return n;
	n = telnet_strip(&cl->telnet, (uint8_t *)at, n, &is_break);
	for (size_t i = 0; i < n; i++)
		if (at[i] == '\r')
			at[i] = '\n';
	return n;
}

static void on_client(void *arg)
{
	struct control_client *cl = arg;

	flush(cl);
	if (!grow(&cl->in, &cl->in_room, cl->in_len + 4096)) {
		drop(cl);
		return;
	}
	struct control *c = cl->control;
	ssize_t n = receive(cl, cl->in + cl->in_len, 4095);
	if (n > 0) {
		cl->in_len += came(cl, (size_t)n);
		run_input(cl);
		if (c->passed_fd >= 0)
			close(c->passed_fd);		/* nobody wanted it */
		c->passed_fd = -1;
		flush(cl);
	}
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || cl->closing || cl->in_len > CONTROL_LINE_MAX) {
		drop(cl);
		return;
	}
	cl->watch->events = EPOLLIN | (cl->out.len && cl->in_fd == cl->out_fd ? EPOLLOUT : 0u);
	host_io_arm(cl->control->io, cl->watch);
}

static bool add_client(struct control *c, enum control_mode mode, int in_fd, int out_fd, bool is_telnet)
{
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *cl = &c->client[i];

		if (cl->in_fd >= 0)
			continue;
		*cl = (struct control_client){ .control = c, .mode = mode, .in_fd = in_fd, .out_fd = out_fd, .is_telnet = is_telnet };
		cl->watch = host_io_add(c->io, in_fd, EPOLLIN, on_client, cl);
		if (cl->watch == NULL) {
			cl->in_fd = -1;
			return false;
		}
		if (mode == CONTROL_QMP)
			say_json(cl, json_pack("{s:{s:{s:{s:i,s:i,s:i},s:s},s:[]}}", "QMP", "version", "qemu", "major", 7, "minor", 2,
			    "micro", 0, "package", "plex86-" PLEX86_VERSION, "capabilities"));
		else
			say(cl, "plex86 " PLEX86_VERSION " monitor - type 'help' for more information\r\n" PROMPT,
			    strlen("plex86 " PLEX86_VERSION " monitor - type 'help' for more information\r\n" PROMPT));
		flush(cl);
		return true;
	}
	return false;
}

static void on_connection(void *arg)
{
	struct control_listener *l = arg;
	int fd = socket_accept(l->fd, false);

	if (fd >= 0 && !add_client(l->control, l->cfg->mode, fd, fd, l->cfg->socket.telnet))
		close(fd);
	host_io_arm(l->control->io, l->watch);
}

int control_add_local(struct control *c)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	if (add_client(c, CONTROL_MONITOR, pair[0], pair[0], false))
		return pair[1];
	close(pair[0]);
	close(pair[1]);
	return -ENOSPC;
}

/* --- set-up --- */

static int open_listener(struct control *c, struct control_listener *l, const struct control_listen *cfg, struct error *err)
{
	l->control = c;
	l->cfg = cfg;
	if (cfg->stdio)
		return add_client(c, cfg->mode, STDIN_FILENO, STDOUT_FILENO, false) ? 0 : error_set(err, -EIO, "no terminal for the monitor");
	int fd = socket_open(&cfg->socket, err);
	if (fd < 0)
		return fd;
	if (!cfg->socket.server)
		return add_client(c, cfg->mode, fd, fd, cfg->socket.telnet) ? 0 : error_set(err, -ENOSPC, "too many connections");
	l->fd = fd;
	if (cfg->socket.wait) {
		int conn = socket_accept_first(&cfg->socket, fd, err);
		if (conn < 0)
			return conn;
		if (!add_client(c, cfg->mode, conn, conn, cfg->socket.telnet))
			return error_set(err, -ENOSPC, "too many connections");
	}
	l->watch = host_io_add(c->io, fd, EPOLLIN, on_connection, l);
	return l->watch ? 0 : error_set(err, -errno, "cannot watch a socket: %s", strerror(errno));
}

int control_open(struct control *c, const struct control_config *cfg, struct vm *vm, struct host_io *io, struct error *err)
{
	int rc = 0;

	json_object_seed(0);		/* from the system's random numbers, which a confined monitor cannot open */
	*c = (struct control){ .vm = vm, .io = io, .cfg = cfg, .key_timer = -1, .passed_fd = -1, .open = true };
	for (unsigned i = 0; i < CONTROL_LISTENERS; i++)
		c->listener[i].fd = -1;
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		c->client[i].in_fd = -1;
	for (unsigned i = 0; i < cfg->n && rc == 0; i++)
		rc = open_listener(c, &c->listener[i], &cfg->listen[i], err);
	if (rc == 0 && cfg->pidfile) {
		FILE *f = fopen(cfg->pidfile, "we");

		if (f == NULL)
			return error_set(err, -errno, "-pidfile '%s': %s", cfg->pidfile, strerror(errno));
		fprintf(f, "%d\n", (int)getpid());
		host_broker_allow_unlink(cfg->pidfile);
		fclose(f);
	}
	return rc;
}

void control_close(struct control *c)
{
	if (!c->open)
		return;
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		c->client[i].control = c;
		if (c->client[i].in_fd >= 0) {
			flush(&c->client[i]);
			drop(&c->client[i]);
		}
	}
	for (unsigned i = 0; i < CONTROL_LISTENERS; i++) {
		struct control_listener *l = &c->listener[i];

		if (l->fd < 0)
			continue;
		if (l->watch)
			host_io_remove(c->io, l->watch);
		socket_remove(&l->cfg->socket);
		close(l->fd);
	}
	if (c->key_watch)
		host_io_remove(c->io, c->key_watch);
	if (c->key_timer >= 0)
		close(c->key_timer);
	if (c->cfg->pidfile)
		host_unlink(c->cfg->pidfile);
	c->open = false;
}
