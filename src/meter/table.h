/*
 * The table of all meters: it alone says what there is. Text, JSON, the Prometheus format, the log and
 * the list in docs/metering.md are made from it.
 */
#ifndef PLEX86_METER_TABLE_H
#define PLEX86_METER_TABLE_H

#include <jansson.h>
#include <stdio.h>

#include "util/types.h"

enum meter_id {
#define METER(id, ...) METER_##id,
#include "meter/table.def"
	METER_COUNT
};
enum meter_kind { METER_COUNTER, METER_GAUGE };		/* a counter never falls */
enum meter_unit { UNIT_NONE, UNIT_NS /* shown in seconds */, UNIT_BYTES };

struct meter_row {
	const char *name;		/* a counter's name in the Prometheus format ends with _total */
	enum meter_kind kind;
	enum meter_unit unit;
	bool vcpu;			/* there is one per vCPU */
	const char *label, *label2;	/* what its values are told apart by, or NULL */
	const char *help;
};
extern const struct meter_row meter_table[METER_COUNT];

struct meter_sample {
	enum meter_id id;
	char label[24], label2[8];
	uint64_t value;			/* a count, ns or bytes */
};
#define METER_SAMPLES_MAX 1280

extern const char *const meter_cause_names[];	/* by enum meter_cause */

/* All meters at one moment. Samples of one meter follow each other. */
struct meter_snapshot {
	char name[64];			/* of the machine; "" if it has none */
	int pid;
	double time_s;			/* since 1970 */
	unsigned n;
	struct meter_sample sample[METER_SAMPLES_MAX];
};

void meter_put(struct meter_snapshot *s, enum meter_id id, const char *label, const char *label2, uint64_t value);

json_t *meter_json(const struct meter_snapshot *s);		/* NULL: no memory */
/* The Prometheus text format, version 0.0.4. */
void meter_prometheus(const struct meter_snapshot *s, FILE *f);
/* What meter_json() made, for people. */
void meter_text(json_t *meters, FILE *f);
void meter_list(FILE *f);		/* the table, as a table of Markdown */

#endif
