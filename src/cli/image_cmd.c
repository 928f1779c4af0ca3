/*
 * plex86 image: make, describe and copy disk images. Options as qemu-img has them.
 */
#include "cli/image_cmd.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "image/image.h"
#include "util/size.h"

static void help(FILE *f)
{
	fputs("Usage: plex86 image create [-f raw|qcow2] [-b BASE [-F FORMAT]] [-o cluster_size=SIZE,...] FILE [SIZE]\n"
	    "       plex86 image info [-f FORMAT] FILE\n"
	    "       plex86 image convert [-f FORMAT] [-O raw|qcow2] FROM TO\n"
	    "\n"
	    "create   make an image of SIZE (as 500M or 10G); with -b it shows BASE until it is written to,\n"
	    "         and SIZE may be left out\n"
	    "info     what a file is, its size, and the images it is laid over\n"
	    "convert  copy what a guest would see; zeros take no space\n"
	    "\n"
	    "The format of a new image is qcow2 if its name ends so, else raw.\n", f);
}

static int fail(const char *text)
{
	fprintf(stderr, "plex86: image: %s\n", text);
	return 1;
}

static int misused(const char *why)
{
	fprintf(stderr, "plex86: image: %s (plex86 image --help)\n", why);
	return 1;
}

static int bad_option(void)
{
	char text[80];

	snprintf(text, sizeof(text), "-%c is no option here, or its value is missing or wrong", optopt ? optopt : 'o');
	return misused(text);
}

/* A new image's format, by the ending of its name. */
static const char *format_of_name(const char *path)
{
	size_t len = strlen(path);

	return len > 6 && strcmp(path + len - 6, ".qcow2") == 0 ? "qcow2" : "raw";
}

/* -o NAME=VALUE,...: what qemu-img has there, of which the rest is as we make it anyway. */
static bool create_options(char *list, struct image_create_options *o)
{
	static const char *const so[] = { "compat=1.1", "compat=v3", "lazy_refcounts=off", "preallocation=off", "refcount_bits=16",
	    "encryption=off", "extended_l2=off", "compression_type=zlib" };
	char *save = NULL;

	for (char *word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		uint64_t n;
		bool known = false;

		for (size_t i = 0; i < ARRAY_LEN(so); i++)
			known |= strcmp(word, so[i]) == 0;
		if (strncmp(word, "cluster_size=", 13) == 0 && size_parse(word + 13, 1, &n) && n != 0 && n <= UINT32_MAX)
			o->cluster_bytes = n;
		else if (strncmp(word, "size=", 5) == 0 && size_parse(word + 5, 1, &n) && n != 0)
			o->size_bytes = n;
		else if (strncmp(word, "backing_file=", 13) == 0)
			o->backing = word + 13;
		else if (strncmp(word, "backing_fmt=", 12) == 0)
			o->backing_format = word + 12;
		else if (!known) {
			fprintf(stderr, "plex86: image: -o %s: cannot be had (cluster_size=, size=, backing_file=, backing_fmt=)\n", word);
			return false;
		}
	}
	return true;
}

static int create(int argc, char **argv, FILE *out)
{
	struct image_create_options o = { 0 };
	struct image_error err = { "" };
	int c;

	while ((c = getopt(argc, argv, "qf:b:F:o:")) != -1) {
		if (c == 'f')
			o.format = optarg;
		else if (c == 'b')
			o.backing = optarg;
		else if (c == 'F')
			o.backing_format = optarg;
		else if (c == 'o' && !create_options(optarg, &o))
			return 1;
		else if (c != 'o' && c != 'q')
			return bad_option();
	}
	if (optind == argc || argc - optind > 2 || (argc - optind == 1 && o.backing == NULL && o.size_bytes == 0))
		return misused("create takes FILE and SIZE (with -b FILE alone will do)");
	if (argc - optind == 2 && (!size_parse(argv[optind + 1], 1, &o.size_bytes) || o.size_bytes == 0)) {
		fprintf(stderr, "plex86: image: '%s' is not a size (as 500M or 10G)\n", argv[optind + 1]);
		return 1;
	}
	if (o.format == NULL)
		o.format = o.backing != NULL ? "qcow2" : format_of_name(argv[optind]);
	return image_create(argv[optind], &o, &err) < 0 ? fail(err.text) : 0;
}

static void print_size(FILE *out, uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double n = bytes;
	unsigned u = 0;

	for (; n >= 1024 && u < 6; u++)
		n /= 1024;
	fprintf(out, u == 0 ? "%.0f %s" : "%.3g %s", n, units[u]);
	if (u != 0)
		fprintf(out, " (%" PRIu64 " bytes)", bytes);
	fputc('\n', out);
}

static int info(int argc, char **argv, FILE *out)
{
	struct image_options o = { .read_only = true, .no_lock = true };
	struct image_error err = { "" };
	struct image *image;
	int c;

	while ((c = getopt(argc, argv, "f:")) != -1) {
		if (c != 'f')
			return bad_option();
		o.format = optarg;
	}
	if (argc - optind != 1)
		return misused("info takes one FILE");
	if (image_open(&image, argv[optind], &o, &err) < 0)
		return fail(err.text);
	for (struct image *i = image; i != NULL; i = i->backing) {
		fprintf(out, "%s: %s\nformat: %s\nsize: ", i == image ? "image" : "backing file", i->path, i->ops->format);
		print_size(out, i->size_bytes);
	}
	image_close(image);
	return 0;
}

static int convert(int argc, char **argv, FILE *out)
{
	const char *from_format = NULL, *to_format = NULL;
	struct image_error err = { "" };
	int c;

	while ((c = getopt(argc, argv, "f:O:")) != -1) {
		if (c == 'f')
			from_format = optarg;
		else if (c == 'O')
			to_format = optarg;
		else
			return bad_option();
	}
	if (argc - optind != 2)
		return misused("convert takes FROM and TO");
	if (to_format == NULL)
		to_format = format_of_name(argv[optind + 1]);
	if (image_convert(argv[optind], from_format, argv[optind + 1], to_format, &err) < 0)
		return fail(err.text);
	return 0;
}

int image_main(int argc, char **argv, FILE *out)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv, FILE *out);
	} commands[] = { { "create", create }, { "info", info }, { "convert", convert } };

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || (i == 1 && (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "help") == 0))) {
			help(out);
			return 0;
		}
	}
	if (argc < 2)
		return misused("which command: create, info or convert?");
	optind = 1;
	opterr = optopt = 0;
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1, out);
	char text[100];
	snprintf(text, sizeof(text), "'%.40s' is no command: there are create, info and convert", argv[1]);
	return misused(text);
}
