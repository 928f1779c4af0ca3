/*
 * Disk image files: raw, qcow2, and a temporary overlay over either.
 *
 * An image is opened, then read, written and flushed by one thread at a time (block.h puts a worker
 * thread in front). Whatever an image file contains, these functions stay within their own memory:
 * a damaged or hostile one ends in an error with a text.
 */
#ifndef PLEX86_IMAGE_IMAGE_H
#define PLEX86_IMAGE_IMAGE_H

#include "util/types.h"

/* What went wrong, in one line that names the file; for the user. */
struct image_error {
	char text[1024];
};
void image_set_error(struct image_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct image;

struct image_ops {
	const char *format;
	int (*read)(struct image *image, uint64_t offset, void *buf, size_t len);
	int (*write)(struct image *image, uint64_t offset, const void *buf, size_t len);
	int (*flush)(struct image *image);
	void (*close)(struct image *image);
	/* The guest bytes at offset, and up to *len of them, are known to read as zero. NULL: never known. */
	bool (*is_zero)(struct image *image, uint64_t offset, uint64_t *len);
};

struct image {
	const struct image_ops *ops;
	uint64_t size_bytes;		/* as the guest sees it; raw: the file's, perhaps odd */
	bool read_only;
	uint32_t cluster_bytes;		/* read() and write() get pieces that lie in one cluster; 0: as they come */
	char *path;
	struct image *backing;		/* owned; NULL: none */
};

struct image_options {
	const char *format;		/* "raw", "qcow2"; NULL: look at the file */
	bool read_only;
	bool snapshot;			/* writes go to a temporary file, and are lost at close */
	bool no_lock;			/* for looking at an image that is in use */
};

/* 0 or -errno, with a text. *image is set on success only. Opening read-write locks the file against
 * every other user, read-only against writers (the locks QEMU takes, too). */
int image_open(struct image **image, const char *path, const struct image_options *options,
	       struct image_error *err);
void image_close(struct image *image);

/* offset + len may pass the end: such bytes read as zero; writing them is -EINVAL. 0 or -errno. */
int image_read(struct image *image, uint64_t offset, void *buf, size_t len);
int image_write(struct image *image, uint64_t offset, const void *buf, size_t len);
/* What was written before is on stable storage when this returns 0. */
int image_flush(struct image *image);
bool image_is_zero(struct image *image, uint64_t offset, uint64_t *len);

struct image_create_options {
	const char *format;		/* "raw", "qcow2" */
	uint64_t size_bytes;		/* 0 with a backing file: its size */
	uint32_t cluster_bytes;		/* qcow2; 0: 65536 */
	const char *backing;		/* path as it is to be stored; relative to the image's folder */
	const char *backing_format;
};
/* Make a new image; an existing file is overwritten unless it is in use. */
int image_create(const char *path, const struct image_create_options *options, struct image_error *err);
/* Copy what the guest would see. */
int image_convert(const char *from, const char *from_format, const char *to, const char *to_format,
		  struct image_error *err);

/* --- formats, for image.c --- */
#define IMAGE_MAX_DEPTH 64		/* of backing files */
struct file;
/* The files that lead here, so that a backing file cannot be its own ancestor. */
struct image_chain {
	const struct image_chain *parent;
	uint64_t dev, ino;
	unsigned depth;
};
int raw_open(struct image **image, struct file *file, bool probed, struct image_error *err);
int qcow2_open(struct image **image, struct file *file, const struct image_options *options,
	       const struct image_chain *chain, struct image_error *err);
int qcow2_create_check(const char *path, struct image_create_options *options, struct image_error *err);
int qcow2_create(struct file *file, const struct image_create_options *options, struct image_error *err);
bool qcow2_probe(const uint8_t *head, size_t len);
int overlay_open(struct image **image, struct image *base, struct image_error *err);
int image_open_at(struct image **image, const char *path, const struct image_options *options,
		  const struct image_chain *parent, struct image_error *err);

#endif
