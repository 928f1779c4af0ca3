#include "cli/readconfig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct section {
	char group[32];
	char *arg;			/* what the option would be given; NULL: no section has begun */
	size_t len;
	FILE *out;
	bool any;
};

/* "[group]" or "[group "id"]". */
static bool parse_head(const char *line, char group[32], char id[128])
{
	int end = 0;

	id[0] = '\0';
	if (sscanf(line, " [ %31[A-Za-z0-9_-] ] %n", group, &end) == 1 && end > 0 && line[end] == '\0')
		return true;
	end = 0;
	return sscanf(line, " [ %31[A-Za-z0-9_-] \"%127[^\"]\" ] %n", group, id, &end) == 2 && end > 0 && line[end] == '\0';
}

static bool parse_line(const char *line, char key[64], char value[1024])
{
	int end = 0;

	value[0] = '\0';
	if (sscanf(line, " %63[A-Za-z0-9_.-] = \"\" %n", key, &end) == 1 && end > 0 && line[end] == '\0')
		return true;
	end = 0;
	return sscanf(line, " %63[A-Za-z0-9_.-] = \"%1023[^\"]\" %n", key, value, &end) == 2 && end > 0 && line[end] == '\0';
}

/* A comma in a value is written twice, as on the command line. */
static void add_property(struct section *s, const char *key, const char *value)
{
	fprintf(s->out, "%s%s=", s->any ? "," : "", key);
	for (; *value; value++) {
		if (*value == ',')
			fputc(',', s->out);
		fputc(*value, s->out);
	}
	s->any = true;
}

static int finish(struct options *o, struct section *s, struct error *err)
{
	/* Groups whose option has another name, or takes the words in another form. */
	static const struct { const char *group, *option; } names[] = {
		{ "memory", "m" }, { "smp-opts", "smp" }, { "boot-opts", "boot" },
	};
	const char *option = s->group;
	int rc = 0;

	if (s->out == NULL)
		return 0;
	fclose(s->out);
	s->out = NULL;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i].group, s->group) == 0)
			option = names[i].option;
	if (s->any) {
		char *text = options_keep(o, s->arg);

		rc = text ? options_set(o, option, text, err) : error_set(err, -ENOMEM, "no memory");
	}
	free(s->arg);
	s->arg = NULL;
	return rc;
}

static int read_line(struct options *o, struct section *s, const char *line, struct error *err)
{
	char key[64], value[1024], id[128];
	const char *p = line + strspn(line, " \t");

	if (*p == '\0' || *p == '#')
		return 0;
	if (*p == '[') {
		int rc = finish(o, s, err);

		if (rc < 0)
			return rc;
		if (!parse_head(line, s->group, id))
			return error_set(err, -EINVAL, "'%s' is not [GROUP] or [GROUP \"ID\"]", p);
		s->out = open_memstream(&s->arg, &s->len);
		if (s->out == NULL)
			return error_set(err, -ENOMEM, "no memory");
		s->any = false;
		if (id[0])
			add_property(s, "id", id);
		return 0;
	}
	if (s->out == NULL || !parse_line(line, key, value))
		return error_set(err, -EINVAL, "'%s' is not PROPERTY = \"VALUE\" in a section", p);
	if (strcmp(s->group, "global") != 0) {
		add_property(s, key, value);
		return 0;
	}
	/* driver, property, value: one option of three lines */
	if (strcmp(key, "driver") != 0)
		fputc(strcmp(key, "property") == 0 ? '.' : '=', s->out);
	fputs(value, s->out);
	s->any = true;
	return 0;
}

int readconfig(struct options *o, const char *path, struct error *err)
{
	struct section s = { .arg = NULL };
	char *line = NULL;
	size_t room = 0;
	unsigned number = 0;
	int rc = 0;

	FILE *f = o->depth < 4 ? fopen(path, "re") : NULL;
	if (f == NULL)
		return error_set(err, -EINVAL, "-readconfig '%s': %s", path, o->depth < 4 ? strerror(errno) : "it reads itself");
	o->depth++;
	for (ssize_t n; rc == 0 && (n = getline(&line, &room, f)) >= 0; ) {
		number++;
		line[strcspn(line, "\r\n")] = '\0';
		rc = read_line(o, &s, line, err);
	}
	if (rc == 0)
		rc = finish(o, &s, err);
	if (rc < 0) {
		struct error why = *err;

		err->text[0] = '\0';
		error_set(err, rc, "-readconfig '%s', line %u: %s", path, number, why.text);
	}
	if (s.out)
		fclose(s.out);
	free(s.arg);
	free(line);
	fclose(f);
	o->depth--;
	return rc;
}
