#include "control/stat.h"

#include <stdlib.h>
#include <string.h>

#include "control/link.h"
#include "meter/table.h"

int stat_main(int argc, char **argv)
{
	bool json = false;
	const char *name = NULL;
	struct link l;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--list") == 0) {
			meter_list(stdout);
			return 0;
		}
		if (strcmp(argv[i], "--json") == 0) {
			json = true;
		} else if (argv[i][0] == '-' || name) {
			fprintf(stderr, "plex86: stat: '%s' is not understood (plex86 stat [--json] NAME)\n", argv[i]);
			return 1;
		} else {
			name = argv[i];
		}
	}
	if (name == NULL) {
		fputs("plex86: stat: which machine? (plex86 ps lists them)\n", stderr);
		return 1;
	}
	if (!link_to(&l, name))
		return 1;
	json_t *meters = link_value(link_ask(&l, "x-query-meters", NULL), name);
	link_close(&l);
	if (meters == NULL)
		return 1;
	if (json) {
		char *text = json_dumps(meters, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15));

		puts(text ? text : "");
		free(text);
	} else {
		meter_text(meters, stdout);
	}
	json_decref(meters);
	return 0;
}
