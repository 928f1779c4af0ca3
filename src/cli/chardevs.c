#include "cli/chardevs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct { const char *name; enum chardev_kind kind; } kinds[] = {
	{ "null", CHARDEV_NULL }, { "stdio", CHARDEV_STDIO }, { "file", CHARDEV_FILE }, { "pty", CHARDEV_PTY },
	{ "socket", CHARDEV_SOCKET },
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
	if (strcmp(word, "path") == 0 && value && d->end.kind == CHARDEV_FILE) {
		d->end.path = value;
		return true;
	}
	if (strcmp(word, "mux") == 0 || strcmp(word, "signal") == 0)
		return value && (strcmp(value, "off") == 0 || d->end.kind == CHARDEV_STDIO);
	return d->end.kind == CHARDEV_SOCKET && socket_option(&d->end.socket, word, value);
}

int chardevs_add(struct options *o, const char *arg, struct error *err)
{
	char *text = options_keep(o, arg), *save = NULL;
	char *word = text ? strtok_r(text, ",", &save) : NULL;
	struct cli_chardev *d = &o->chardev[o->nchardevs];
	size_t k = 0;

	if (o->nchardevs == CLI_CHARDEVS)
		return error_set(err, -EINVAL, "-chardev: at most %d", CLI_CHARDEVS);
	while (word && k < ARRAY_LEN(kinds) && strcmp(kinds[k].name, word) != 0)
		k++;
	if (word == NULL || k == ARRAY_LEN(kinds))
		return error_set(err, -EINVAL, "-chardev '%s': it is null, stdio, file, pty or socket", arg);
	*d = (struct cli_chardev){ .end = { .kind = kinds[k].kind, .socket.wait = true } };
	while ((word = strtok_r(NULL, ",", &save)))
		if (!property(d, word))
			return error_set(err, -EINVAL, "-chardev '%s': '%s' cannot be had", arg, word);
	if (d->id[0] == '\0' || (d->end.kind == CHARDEV_FILE && d->end.path == NULL) ||
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

/* "[chardev=]ID[,mode=control|readline]" */
static int resolve_mon(struct options *o, const char *text, struct error *err)
{
	struct control_config *c = &o->vm.control;
	const char *id = strncmp(text, "chardev=", 8) == 0 ? text + 8 : text;
	size_t len = strcspn(id, ",");
	const struct cli_chardev *d = find(o, id, len);
	const char *mode = id + len;

	if (d == NULL || (d->end.kind != CHARDEV_SOCKET && d->end.kind != CHARDEV_STDIO))
		return error_set(err, -EINVAL, "-mon '%s': no -chardev socket or stdio of that id", text);
	if (strcmp(mode, "") != 0 && strcmp(mode, ",mode=readline") != 0 && strncmp(mode, ",mode=control", 13) != 0)
		return error_set(err, -EINVAL, "-mon '%s': the mode is control or readline", text);
	if (c->n == CONTROL_LISTENERS)
		return error_set(err, -EINVAL, "at most %u control sockets", CONTROL_LISTENERS);
	c->listen[c->n++] = (struct control_listen){ .mode = strncmp(mode, ",mode=c", 7) == 0 ? CONTROL_QMP : CONTROL_MONITOR,
	    .stdio = d->end.kind == CHARDEV_STDIO, .socket = d->end.socket };
	return 0;
}

int chardevs_resolve(struct options *o, struct error *err)
{
	int rc = 0;

	for (unsigned i = 0; i < o->nserial; i++) {
		const char *id = o->serial_id[i];
		const struct cli_chardev *d = id ? find(o, id, strlen(id)) : NULL;

		if (id && d == NULL)
			return error_set(err, -EINVAL, "-serial chardev:%s: there is no -chardev of that id", id);
		if (d)
			o->vm.serial[i] = d->end;
	}
	for (unsigned i = 0; i < o->nmons && rc == 0; i++)
		rc = resolve_mon(o, o->mon[i], err);
	return rc;
}
