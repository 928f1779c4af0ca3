/*
 * Stacks counted: as folded text ("outer;inner 12"), as a flame graph.
 */
#ifndef PLEX86_METER_FLAME_H
#define PLEX86_METER_FLAME_H

#include <stdio.h>

#include "util/types.h"

struct flame_node {
	char *name;
	uint64_t total, self;		/* samples through here; that end here */
	struct flame_node *child, *next;
};

struct flame {
	struct flame_node root;
};

/* The outermost name first. Names must be free of ';' and line feeds. false: no memory. */
bool flame_add(struct flame *f, const char *const *names, unsigned n, uint64_t samples);
void flame_free(struct flame *f);

void flame_folded(const struct flame *f, FILE *out);
/* An SVG that needs nothing else: the width of a box is its share, hovering shows name and share. */
void flame_svg(const struct flame *f, const char *title, FILE *out);

#endif
