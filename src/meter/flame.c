/*
 * Flame graphs: a box a function, as wide as its share of the samples, on top of who called it. Boxes of one row are
 * in alphabetical order: the horizontal axis is not time. Boxes too narrow to be seen are left out.
 */
#include "meter/flame.h"

#include <stdlib.h>
#include <string.h>

#define WIDTH		1200
#define MARGIN		10
#define ROW		17
#define TOP		40
#define CHAR_WIDTH	6.6		/* of the 11-pixel monospace font */
#define LEAST_WIDTH	0.3
#define DEPTH_MAX	128

static struct flame_node *child_of(struct flame_node *parent, const char *name)
{
	struct flame_node **at = &parent->child;

	while (*at && strcmp((*at)->name, name) < 0)
		at = &(*at)->next;
	if (*at && strcmp((*at)->name, name) == 0)
		return *at;
	struct flame_node *n = calloc(1, sizeof(*n));
	if (n == NULL || (n->name = strdup(name)) == NULL) {
		free(n);
		return NULL;
	}
	n->next = *at;
	*at = n;
	return n;
}

bool flame_add(struct flame *f, const char *const *names, unsigned n, uint64_t samples)
{
	struct flame_node *at = &f->root;

	for (unsigned i = 0; i < n && i < DEPTH_MAX; i++) {
		at->total += samples;
		at = child_of(at, names[i]);
		if (at == NULL)
			return false;
	}
	at->total += samples;
	at->self += samples;
	return true;
}

static void free_children(struct flame_node *n)
{
	for (struct flame_node *c = n->child, *next; c; c = next) {
		next = c->next;
		free_children(c);
		free(c->name);
		free(c);
	}
	n->child = NULL;
}

void flame_free(struct flame *f)
{
	free_children(&f->root);
	*f = (struct flame){ 0 };
}

static void fold(const struct flame_node *n, const char **names, unsigned depth, FILE *out)
{
	if (n->self && depth) {
		for (unsigned i = 0; i < depth; i++)
			fprintf(out, "%s%s", i ? ";" : "", names[i]);
		fprintf(out, " %llu\n", (unsigned long long)n->self);
	}
	for (const struct flame_node *c = n->child; c; c = c->next) {
		names[depth] = c->name;
		fold(c, names, depth + 1, out);
	}
}

void flame_folded(const struct flame *f, FILE *out)
{
	const char *names[DEPTH_MAX + 1];

	fold(&f->root, names, 0, out);
}

/* --- SVG --- */

static unsigned height_of(const struct flame_node *n)
{
	unsigned most = 0;

	for (const struct flame_node *c = n->child; c; c = c->next)
		most = MAX(most, height_of(c));
	return most + 1;
}

static void put_text(FILE *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len && text[i]; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '&')
			fputs("&amp;", out);
		else if (c == '<')
			fputs("&lt;", out);
		else if (c == '>')
			fputs("&gt;", out);
		else if (c == '"')
			fputs("&quot;", out);
		else
			fputc(c < 0x20 || c > 0x7E ? '?' : c, out);
	}
}

/* The guest's kernel warm, its programs green, the monitor blue; a shade for each name. */
static void put_color(FILE *out, const char *name, char ground)
{
	unsigned hash = 5381;

	for (const char *p = name; *p; p++)
		hash = hash * 33 ^ (unsigned char)*p;
	unsigned v = hash % 50;
	if (name[0] == '[')
		fprintf(out, "rgb(%u,%u,%u)", 110 + v, 150 + v, 215 + v / 2);
	else if (ground == '3')
		fprintf(out, "rgb(%u,%u,%u)", 110 + v, 195 + v / 2, 100 + v);
	else if (ground == '0')
		fprintf(out, "rgb(%u,%u,%u)", 225 + v / 2, 110 + 2 * v, 60);
	else
		fprintf(out, "rgb(%u,%u,%u)", 200 + v, 200 + v, 200 + v);
}

struct drawing {
	FILE *out;
	double scale;			/* pixels a sample */
	uint64_t total;
	unsigned height;		/* rows */
};

static void draw(const struct drawing *d, const struct flame_node *n, double x, unsigned level, char ground)
{
	double width = (double)n->total * d->scale, y = TOP + (double)(d->height - 1 - level) * ROW;

	if (width < LEAST_WIDTH)
		return;
	if (strncmp(n->name, "ring", 4) == 0)
		ground = n->name[4];
	fputs("<g><title>", d->out);
	put_text(d->out, n->name, SIZE_MAX);
	fprintf(d->out, ": %llu samples, %.2f %%</title><rect x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"%d\" fill=\"",
	    (unsigned long long)n->total, 100.0 * (double)n->total / (double)d->total, x, y, width, ROW - 1);
	put_color(d->out, n->name, ground);
	fputs("\"/>", d->out);
	size_t room = width > 6 ? (size_t)((width - 6) / CHAR_WIDTH) : 0;
	if (room >= 3) {
		bool whole = strlen(n->name) <= room;

		fprintf(d->out, "<text x=\"%.1f\" y=\"%.0f\">", x + 3, y + 12);
		put_text(d->out, n->name, whole ? SIZE_MAX : room - 2);
		fputs(whole ? "</text>" : "..</text>", d->out);
	}
	fputs("</g>\n", d->out);
	for (const struct flame_node *c = n->child; c; c = c->next) {
		draw(d, c, x, level + 1, ground);
		x += (double)c->total * d->scale;
	}
}

void flame_svg(const struct flame *f, const char *title, FILE *out)
{
	struct drawing d = { .out = out, .total = MAX(f->root.total, 1u), .height = height_of(&f->root) };
	struct flame_node all = f->root;
	char name[] = "all";

	d.scale = (double)(WIDTH - 2 * MARGIN) / (double)d.total;
	all.name = name;
	fprintf(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" "
	    "font-family=\"monospace\" font-size=\"11\">\n<style>rect:hover{stroke:black}text{pointer-events:none}</style>\n"
	    "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n<text x=\"%d\" y=\"24\" font-size=\"14\">", WIDTH,
	    TOP + d.height * ROW + MARGIN, MARGIN);
	put_text(out, title, SIZE_MAX);
	fputs("</text>\n", out);
	draw(&d, &all, MARGIN, 0, 'n');
	fputs("</svg>\n", out);
}
