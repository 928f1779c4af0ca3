#include "meter/table.h"

#include <string.h>

#include "meter/meter.h"
#include "util/json_text.h"

const struct meter_row meter_table[METER_COUNT] = {
#define METER(id, ...) [METER_##id] = { __VA_ARGS__ },
#include "meter/table.def"
};

const char *const meter_cause_names[METER_CAUSES] = { [METER_RING3] = "ring3", [METER_RING0] = "ring0",
	[METER_EMULATE] = "emulate", [METER_SCAN] = "scan", [METER_WINDOW] = "window", [METER_DEVICE] = "device",
	[METER_HOST] = "host", [METER_IDLE] = "idle", [METER_PAUSED] = "paused" };

void meter_put(struct meter_snapshot *s, enum meter_id id, const char *label, const char *label2, uint64_t value)
{
	if (s->n == METER_SAMPLES_MAX)
		return;
	struct meter_sample *m = &s->sample[s->n++];

	*m = (struct meter_sample){ .id = id, .value = value };
	if (label)
		snprintf(m->label, sizeof(m->label), "%s", label);
	if (label2)
		snprintf(m->label2, sizeof(m->label2), "%s", label2);
}

void meter_list(FILE *f)
{
	static const char *const units[] = { "", "seconds", "bytes" };

	fputs("| meter | kind | unit | by | of | what |\n|---|---|---|---|---|---|\n", f);
	for (unsigned i = 0; i < METER_COUNT; i++) {
		const struct meter_row *r = &meter_table[i];

		fprintf(f, "| `%s` | %s | %s | %s%s%s | %s | %s |\n", r->name, r->kind == METER_COUNTER ? "counter" : "gauge",
		    units[r->unit], r->label ? r->label : "", r->label2 ? ", " : "", r->label2 ? r->label2 : "",
		    r->vcpu ? "vCPU" : "VM", r->help);
	}
}

/* --- JSON --- */

static json_t *json_value(const struct meter_sample *m)
{
	if (meter_table[m->id].unit == UNIT_NS)
		return json_real((double)m->value / 1e9);
	return json_integer((json_int_t)m->value);
}

/* parent[key], made if it is not there. */
static json_t *child(json_t *parent, const char *key)
{
	json_t *c = json_object_get(parent, key);

	if (c == NULL) {
		c = json_object();
		json_object_set_new(parent, key, c);
	}
	return c;
}

json_t *meter_json(const struct meter_snapshot *s)
{
	json_t *vm = json_object(), *vcpu = json_object();

	for (unsigned i = 0; i < s->n; i++) {
		const struct meter_sample *m = &s->sample[i];
		const struct meter_row *r = &meter_table[m->id];
		json_t *at = r->vcpu ? vcpu : vm;
		const char *key = r->name;

		if (r->label) {
			at = child(at, key);
			key = m->label;
		}
		if (r->label2) {
			at = child(at, key);
			key = m->label2;
		}
		json_object_set_new(at, key, json_value(m));
	}
	return json_pack("{s:o,s:i,s:f,s:o,s:[o]}", "name", json_text(s->name), "pid", s->pid, "time", s->time_s, "vm", vm, "vcpus", vcpu);
}

/* --- the Prometheus text format --- */

/* Label values: backslash, quote and line feed are escaped. */
static void put_label(FILE *f, const char *name, const char *value, const char *after)
{
	fprintf(f, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			fputc('\\', f);
		if (*value == '\n')
			fputs("\\n", f);
		else
			fputc(*value, f);
	}
	fprintf(f, "\"%s", after);
}

void meter_prometheus(const struct meter_snapshot *s, FILE *f)
{
	enum meter_id last = METER_COUNT;

	for (unsigned i = 0; i < s->n; i++) {
		const struct meter_sample *m = &s->sample[i];
		const struct meter_row *r = &meter_table[m->id];
		const char *total = r->kind == METER_COUNTER ? "_total" : "";

		if (m->id != last)
			fprintf(f, "# HELP plex86_%s%s %s\n# TYPE plex86_%s%s %s\n", r->name, total, r->help, r->name, total,
			    r->kind == METER_COUNTER ? "counter" : "gauge");
		last = m->id;
		fprintf(f, "plex86_%s%s{", r->name, total);
		put_label(f, "vm", s->name, r->vcpu || r->label ? "," : "");
		if (r->vcpu)
			put_label(f, "vcpu", "0", r->label ? "," : "");
		if (r->label)
			put_label(f, r->label, m->label, r->label2 ? "," : "");
		if (r->label2)
			put_label(f, r->label2, m->label2, "");
		if (r->unit == UNIT_NS)
			fprintf(f, "} %llu.%09llu\n", (unsigned long long)(m->value / 1000000000u), (unsigned long long)(m->value % 1000000000u));
		else
			fprintf(f, "} %llu\n", (unsigned long long)m->value);
	}
}

/* --- for people --- */

static void print_number(FILE *f, enum meter_unit unit, json_t *value)
{
	if (unit == UNIT_NS)
		fprintf(f, "%14.3f s\n", json_number_value(value));
	else if (unit == UNIT_BYTES)
		fprintf(f, "%14.1f MiB\n", json_number_value(value) / (1 << 20));
	else
		fprintf(f, "%14lld\n", (long long)json_integer_value(value));
}

/* For people, what the processor's manual calls an exception of that number, or the vector as programs write it. */
static void name_vector(char *text, size_t room, const char *name, const char *key)
{
	static const char *const exception[] = { "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "", "#TS", "#NP", "#SS", "#GP", "#PF", "",
		"#MF", "#AC", "#MC", "#XM" };
	unsigned vector = (unsigned)strtoul(key, NULL, 10);

	if (strcmp(name, "exceptions") == 0 && vector < ARRAY_LEN(exception))
		snprintf(text, room, "%s %s %s", name, key, exception[vector]);
	else if (strcmp(name, "interrupts") == 0 || strcmp(name, "software interrupts") == 0)
		snprintf(text, room, "%s 0x%02x", name, vector);
	else
		snprintf(text, room, "%s %s", name, key);
}

static void print_value(FILE *f, const char *name, enum meter_unit unit, json_t *value, double whole)
{
	const char *key;
	json_t *v;
	char text[96];

	if (!json_is_object(value)) {
		fprintf(f, "%-38s ", name);
		print_number(f, unit, value);
		return;
	}
	json_object_foreach(value, key, v) {
		if (json_is_object(v)) {
			snprintf(text, sizeof(text), "%s %s", name, key);
			print_value(f, text, unit, v, 0);
			continue;
		}
		if (json_number_value(v) == 0)
			continue;
		name_vector(text, sizeof(text), name, key);
		fprintf(f, "%-38s ", text);
		if (whole > 0)
			fprintf(f, "%14.3f s %6.2f %%\n", json_number_value(v), 100 * json_number_value(v) / whole);
		else
			print_number(f, unit, v);
	}
}

static void print_part(FILE *f, json_t *part, bool vcpu, double uptime)
{
	for (unsigned i = 0; i < METER_COUNT; i++) {
		const struct meter_row *r = &meter_table[i];
		json_t *value = json_object_get(part, r->name);
		char name[64];
		size_t len = strlen(r->name);

		if (r->vcpu != vcpu || value == NULL)
			continue;
		/* the unit is printed behind the value */
		if (r->unit != UNIT_NONE)
			len = (size_t)(strrchr(r->name, '_') - r->name);
		snprintf(name, sizeof(name), "%.*s", (int)len, r->name);
		for (char *p = name; *p; p++)
			if (*p == '_')
				*p = ' ';
		print_value(f, name, r->unit, value, i == METER_TIME ? uptime : 0);
	}
}

void meter_text(json_t *meters, FILE *f)
{
	json_t *vm = json_object_get(meters, "vm"), *vcpus = json_object_get(meters, "vcpus"), *vcpu;
	double uptime = json_number_value(json_object_get(vm, meter_table[METER_UPTIME].name));
	size_t i;

	fprintf(f, "%s, process %lld\n", json_string_value(json_object_get(meters, "name")),
	    (long long)json_integer_value(json_object_get(meters, "pid")));
	print_part(f, vm, false, uptime);
	json_array_foreach(vcpus, i, vcpu) {
		fprintf(f, "vCPU %zu\n", i);
		print_part(f, vcpu, true, uptime);
	}
}
