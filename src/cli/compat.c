#include "cli/compat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One "key=value" or word of a list that commas part; *arg moves on. false: there is none left. */
static bool next_word(const char **arg, char *word, size_t room, char **value)
{
	size_t len = strcspn(*arg, ",");

	if (**arg == '\0')
		return false;
	snprintf(word, room, "%.*s", (int)MIN(len, room - 1), *arg);
	*arg += len + ((*arg)[len] == ',');
	*value = strchr(word, '=');
	if (*value)
		*(*value)++ = '\0';
	return true;
}

static int check_accel(const char *name, struct error *err)
{
	if (strcmp(name, "tcg") == 0)
		return 0;		/* software: that is what ours is, too */
	return error_set(err, -EINVAL, "-accel '%s': there is only plex86's own engine (say tcg, or nothing)", name);
}

int compat_accel(struct options *o, const char *arg, struct error *err)
{
	char name[32];

	snprintf(name, sizeof(name), "%.*s", (int)MIN(strcspn(arg, ",:"), sizeof(name) - 1), arg);
	return check_accel(name, err);
}

int compat_machine(struct options *o, const char *arg, struct error *err)
{
	static const char *const off[] = { "usb", "vmport", "hpet", "nvdimm", "mem-merge", "dump-guest-core", "smm" };
	char word[64], *value;

	while (next_word(&arg, word, sizeof(word), &value)) {
		if (value == NULL || strcmp(word, "type") == 0) {
			const char *type = value ? value : word;
			if (strcmp(type, "pc") != 0 && strncmp(type, "pc-i440fx-", 10) != 0)
				return error_set(err, -EINVAL, "-machine '%s': the machine is a pc (i440FX and PIIX)", type);
		} else if (strcmp(word, "accel") == 0) {
			int rc = check_accel(value, err);
			if (rc < 0)
				return rc;
		} else if (strcmp(word, "acpi") == 0 && strcmp(value, "on") == 0) {
			continue;
		} else {
			size_t i = 0;
			while (i < ARRAY_LEN(off) && strcmp(off[i], word) != 0)
				i++;
			if (i == ARRAY_LEN(off) || strcmp(value, "off") != 0)
				return error_set(err, -EINVAL, "-machine %s=%s: cannot be had", word, value);
		}
	}
	return 0;
}

int compat_smp(struct options *o, const char *arg, struct error *err)
{
	const char *all = arg;
	char word[64], *value;

	while (next_word(&arg, word, sizeof(word), &value))
		if (strcmp(value ? value : word, "1") != 0)
			return error_set(err, -EINVAL, "-smp %s: the machine has one processor", all);
	return 0;
}

int compat_none(const char *option, const char *arg, const char *why, struct error *err)
{
	return strcmp(arg, "none") == 0 ? 0 : error_set(err, -EINVAL, "%s '%s': %s (%s none)", option, arg, why, option);
}

/* base=utc, base=localtime, or base=2006-06-17T16:01:21: what the clock chip shows at the start. */
int compat_rtc(struct options *o, const char *arg, struct error *err)
{
	char word[64], *value;

	while (next_word(&arg, word, sizeof(word), &value)) {
		if (value && strcmp(word, "base") == 0 && (strcmp(value, "utc") == 0 || strcmp(value, "localtime") == 0)) {
			o->vm.rtc_local = value[0] == 'l';
		} else if (value && strcmp(word, "base") == 0) {
			struct tm tm = { 0 };
			const char *end = strptime(value, "%Y-%m-%dT%H:%M:%S", &tm);

			if (end == NULL) {
				memset(&tm, 0, sizeof(tm));
				end = strptime(value, "%Y-%m-%d", &tm);
			}
			if (end == NULL || *end != '\0')
				return error_set(err, -EINVAL, "-rtc base=%s: it is utc, localtime, or a date as 2006-06-17T16:01:21", value);
			o->vm.rtc_start_s = timegm(&tm);
			o->vm.rtc_start_given = true;
		} else if (value && strcmp(word, "clock") == 0) {
			if (strcmp(value, "host") != 0 && strcmp(value, "vm") != 0)
				return error_set(err, -EINVAL, "-rtc clock=%s: it is host or vm", value);
		} else if (!(value && strcmp(word, "driftfix") == 0 && (strcmp(value, "slew") == 0 || strcmp(value, "none") == 0))) {
			return error_set(err, -EINVAL, "-rtc '%s': it is base=utc, localtime or a date; clock=host; driftfix=none|slew", word);
		}
	}
	return 0;
}
