#include "cli/chardevs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct { const char *name; enum chardev_kind kind; } kinds[] = {
	{ "null", CHARDEV_NULL }, { "stdio", CHARDEV_STDIO }, { "file", CHARDEV_FILE }, { "pipe", CHARDEV_PIPE },
	{ "pty", CHARDEV_PTY }, { "socket", CHARDEV_SOCKET },
};

/* One property. Its text is kept: strings of the configuration point into it. */
static bool property(struct cli_chardev *d, char *word)
{
	char *value = strchr(word, '=');

	if (value)
		*value++ = '\0';
	if (strcmp(word, "id") == 0 && value)
		return (size_t)snprintf(d->id, sizeof(d->id), "%s", value) < sizeof(d->id);
	if (strcmp(word, "logfile") == 0 && value) {
		d->end.logfile = value;
		return true;
	}
	if (strcmp(word, "path") == 0 && value && (d->end.kind == CHARDEV_FILE || d->end.kind == CHARDEV_PIPE)) {
		d->end.path = value;
		return true;
	}
	if (strcmp(word, "append") == 0 && value && d->end.kind == CHARDEV_FILE)
		return (d->end.append = strcmp(value, "on") == 0) || strcmp(value, "off") == 0;
	if (strcmp(word, "mux") == 0 && value)
		return (d->mux = strcmp(value, "on") == 0) || strcmp(value, "off") == 0;
	if (strcmp(word, "signal") == 0 && d->end.kind == CHARDEV_STDIO)
		return value != NULL;		/* keys are the guest's when it is a terminal, and signals never come from a file */
	return d->end.kind == CHARDEV_SOCKET && socket_option(&d->end.socket, word, value);
}

int chardevs_add(struct options *o, const char *arg, struct error *err)
{
	char *text = options_keep(o, options_front(o, arg, "backend")), *save = NULL;
	char *word = text ? strtok_r(text, ",", &save) : NULL;
	struct cli_chardev *d = &o->chardev[o->nchardevs];
	size_t k = 0;

	if (strcmp(arg, "help") == 0) {
		puts("Character devices: null, stdio, file, pipe, pty, socket");
		o->command = CLI_DONE;
		return 0;
	}
	if (o->nchardevs == CLI_CHARDEVS)
		return error_set(err, -EINVAL, "-chardev: at most %d", CLI_CHARDEVS);
	while (word && k < ARRAY_LEN(kinds) && strcmp(kinds[k].name, word) != 0)
		k++;
	if (word == NULL || k == ARRAY_LEN(kinds))
		return error_set(err, -EINVAL, "-chardev '%s': it is null, stdio, file, pipe, pty or socket", arg);
	*d = (struct cli_chardev){ .end = { .kind = kinds[k].kind, .socket.wait = true } };
	while ((word = strtok_r(NULL, ",", &save)))
		if (!property(d, word))
			return error_set(err, -EINVAL, "-chardev '%s': '%s' cannot be had", arg, word);
	if (d->id[0] == '\0' || ((d->end.kind == CHARDEV_FILE || d->end.kind == CHARDEV_PIPE) && d->end.path == NULL) ||
	    (d->end.kind == CHARDEV_SOCKET && d->end.socket.path[0] == '\0' && d->end.socket.port == 0))
		return error_set(err, -EINVAL, "-chardev '%s': something is missing (id=, path= or port=)", arg);
	o->nchardevs++;
	return 0;
}

static const struct cli_chardev *find(const struct options *o, const char *id, size_t len)
{
	for (unsigned i = 0; i < o->nchardevs; i++)
		if (strlen(o->chardev[i].id) == len && memcmp(o->chardev[i].id, id, len) == 0)
			return &o->chardev[i];
	return NULL;
}

/* --- WHERE --- */

/* What -serial and its like take. *id: of a -chardev, else NULL. */
static int parse_end(struct chardev_config *end, const char **id, const char *option, const char *arg, struct error *err)
{
	const char *where = strncmp(arg, "mon:", 4) == 0 ? arg + 4 : arg;

	*end = (struct chardev_config){ .kind = CHARDEV_NULL, .mux = where != arg };
	*id = NULL;
	if (strcmp(where, "stdio") == 0)
		end->kind = CHARDEV_STDIO;
	else if (strcmp(where, "pty") == 0)
		end->kind = CHARDEV_PTY;
	else if (strncmp(where, "file:", 5) == 0 && where[5])
		*end = (struct chardev_config){ .kind = CHARDEV_FILE, .path = where + 5 };
	else if (strncmp(where, "pipe:", 5) == 0 && where[5])
		*end = (struct chardev_config){ .kind = CHARDEV_PIPE, .path = where + 5, .mux = end->mux };
	else if (strncmp(where, "unix:", 5) == 0 || strncmp(where, "tcp:", 4) == 0 || strncmp(where, "telnet:", 7) == 0)
		end->kind = CHARDEV_SOCKET;
	else if (strncmp(where, "chardev:", 8) == 0)
		*id = where + 8;
	else if (strcmp(where, "null") != 0 && strcmp(where, "none") != 0)
		return error_set(err, -EINVAL, "%s '%s': it is unix:PATH, tcp:HOST:PORT, telnet:HOST:PORT, stdio, chardev:ID, %snull or none",
		    option, arg, option[1] == 's' || option[1] == 'd' ? "file:PATH, pipe:PATH, pty, " : "");
	return end->kind == CHARDEV_SOCKET ? socket_parse(&end->socket, where, err) : 0;
}

int chardevs_serial(struct options *o, const char *arg, struct error *err)
{
	struct chardev_config end;
	const char *id;
	int rc = parse_end(&end, &id, "-serial", arg, err);

	if (rc < 0)
		return rc;
	if (o->nserial == PC_SERIAL_PORTS)
		return error_set(err, -EINVAL, "-serial: the machine has only %d serial ports", PC_SERIAL_PORTS);
	for (unsigned i = 0; i < o->nserial; i++)
		if (end.kind == CHARDEV_STDIO && o->vm.serial[i].kind == CHARDEV_STDIO)
			return error_set(err, -EINVAL, "-serial stdio: only one serial port can have it");
	o->vm.no_serial[o->nserial] = strcmp(arg, "none") == 0;
	o->serial_id[o->nserial] = id;
	o->vm.serial[o->nserial++] = end;
	return 0;
}

int chardevs_debugcon(struct options *o, const char *arg, struct error *err)
{
	if (o->vm.debugcon_port == 0)
		o->vm.debugcon_port = o->debugcon_port ? o->debugcon_port : 0xE9;
	return parse_end(&o->vm.debugcon, &o->debugcon_id, "-debugcon", arg, err);
}

static int listen_at(struct options *o, enum control_mode mode, const struct chardev_config *end, const char *what, struct error *err)
{
	struct control_config *c = &o->vm.control;

	if (end->kind == CHARDEV_NULL)
		return 0;
	if (end->kind != CHARDEV_STDIO && end->kind != CHARDEV_SOCKET)
		return error_set(err, -EINVAL, "%s: a monitor can be at stdio or a socket (unix:, tcp:, telnet:)", what);
	if (c->n == CONTROL_LISTENERS)
		return error_set(err, -EINVAL, "at most %u control sockets", CONTROL_LISTENERS);
	c->listen[c->n++] = (struct control_listen){ .mode = mode, .stdio = end->kind == CHARDEV_STDIO, .socket = end->socket };
	return 0;
}

static int add_mon(struct options *o, enum control_mode mode, const char *id, struct error *err)
{
	if (o->nmons == ARRAY_LEN(o->mon))
		return error_set(err, -EINVAL, "-mon: at most %zu", ARRAY_LEN(o->mon));
	o->mon[o->nmons].mode = mode;
	o->mon[o->nmons++].id = id;
	return 0;
}

static int add_monitor(struct options *o, enum control_mode mode, const char *option, const char *arg, struct error *err)
{
	struct chardev_config end;
	const char *id;
	char what[300];
	int rc = parse_end(&end, &id, option, arg, err);

	snprintf(what, sizeof(what), "%s '%s'", option, arg);
	return rc < 0 ? rc : id ? add_mon(o, mode, id, err) : listen_at(o, mode, &end, what, err);
}

int chardevs_monitor(struct options *o, const char *arg, struct error *err)
{
	o->monitor_given = true;
	return add_monitor(o, CONTROL_MONITOR, "-monitor", arg, err);
}

int chardevs_qmp(struct options *o, const char *arg, struct error *err)
{
	return add_monitor(o, CONTROL_QMP, "-qmp", arg, err);
}

/* "[chardev=]ID[,mode=control|readline][,pretty=on|off]", in any order */
int chardevs_mon(struct options *o, const char *arg, struct error *err)
{
	char *text = options_keep(o, arg), *save = NULL, *id = NULL;
	enum control_mode mode = CONTROL_MONITOR;

	for (char *word = text ? strtok_r(text, ",", &save) : NULL; word; word = strtok_r(NULL, ",", &save)) {
		if (strncmp(word, "chardev=", 8) == 0)
			id = word + 8;
		else if (strcmp(word, "mode=control") == 0)
			mode = CONTROL_QMP;
		else if (strncmp(word, "id=", 3) != 0 && strcmp(word, "mode=readline") != 0 && strncmp(word, "pretty=", 7) != 0) {
			if (strchr(word, '='))
				return error_set(err, -EINVAL, "-mon '%s': it is [chardev=]ID with mode=control or mode=readline", arg);
			id = word;
		}
	}
	if (id == NULL)
		return error_set(err, -EINVAL, "-mon '%s': it needs the ID of a -chardev", arg);
	o->monitor_given |= mode == CONTROL_MONITOR;
	return add_mon(o, mode, id, err);
}

/* --- by ID --- */

static bool serial_at(struct options *o, const char *id)
{
	for (unsigned i = 0; i < o->nserial; i++) {
		if (o->serial_id[i] && strcmp(o->serial_id[i], id) == 0) {
			o->vm.serial[i].mux = true;
			return true;
		}
	}
	return false;
}

static int resolve_end(const struct options *o, const char *option, const char *id, struct chardev_config *end, struct error *err)
{
	const struct cli_chardev *d = id ? find(o, id, strlen(id)) : NULL;

	if (id && d == NULL)
		return error_set(err, -EINVAL, "%s chardev:%s: there is no -chardev of that id", option, id);
	if (d)
		*end = d->end;
	return 0;
}

int chardevs_resolve(struct options *o, struct error *err)
{
	int rc = resolve_end(o, "-debugcon", o->debugcon_id, &o->vm.debugcon, err);

	for (unsigned i = 0; i < o->nserial && rc == 0; i++)
		rc = resolve_end(o, "-serial", o->serial_id[i], &o->vm.serial[i], err);
	for (unsigned i = 0; i < o->nmons && rc == 0; i++) {
		const struct cli_chardev *d = find(o, o->mon[i].id, strlen(o->mon[i].id));
		char what[80];

		snprintf(what, sizeof(what), "-mon %.60s", o->mon[i].id);
		if (d == NULL)
			return error_set(err, -EINVAL, "%s: there is no -chardev of that id", what);
		/* With mux=on a serial port and the monitor share it: Ctrl-A c goes from one to the other. */
		if (!(d->mux && o->mon[i].mode == CONTROL_MONITOR && serial_at(o, d->id)))
			rc = listen_at(o, o->mon[i].mode, &d->end, what, err);
	}
	return rc;
}
