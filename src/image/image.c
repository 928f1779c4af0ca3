/*
 * Images: opening, and what is the same for every format.
 */
#include "image/image.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/file.h"

void image_set_error(struct image_error *err, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
}

/*
 * Files that are no raw disk, though nothing here reads them: taken for one they would not start, and a guest that
 * partitions the empty disk it sees would destroy them. LUKS is not among them: a guest may encrypt its whole disk.
 */
static const struct { unsigned at; uint8_t length; const char *bytes, *name; bool compressed; } foreign[] = {
	{ 0, 8, "QFI\xFB\0\0\0\1", "qcow (version 1)", false },
	{ 0, 4, "QED\0", "qed", false },
	{ 0, 4, "KDMV", "vmdk", false },
	{ 0, 4, "COWD", "vmdk", false },
	{ 0, 21, "# Disk DescriptorFile", "vmdk", false },
	{ 64, 4, "\x7F\x10\xDA\xBE", "vdi", false },
	{ 0, 8, "conectix", "vpc (VHD)", false },
	{ 0, 8, "vhdxfile", "vhdx", false },
	{ 0, 16, "WithoutFreeSpace", "parallels", false },
	{ 0, 16, "WithouFreSpacExt", "parallels", false },
	{ 0, 22, "Bochs Virtual HD Image", "bochs", false },
	{ 0, 3, "\x1F\x8B\x08", "gzip", true },
	{ 0, 6, "\xFD" "7zXZ\0", "xz", true },
	{ 0, 3, "BZh", "bzip2", true },
	{ 0, 4, "\x28\xB5\x2F\xFD", "zstd", true },
	{ 0, 4, "PK\3\4", "zip", true },
};

/* What the file is, from its first bytes. raw is everything else, NULL what cannot be used. */
static const char *probe(const struct file *file, struct image_error *err)
{
	uint8_t head[128];

	if (file_read(file, 0, head, sizeof(head)) < 0)
		return "raw";			/* it fails again where the error is seen */
	if (qcow2_probe(head, sizeof(head)))
		return "qcow2";
	for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
		if (memcmp(head + foreign[i].at, foreign[i].bytes, foreign[i].length) != 0)
			continue;
		if (foreign[i].compressed)
			image_set_error(err, "%s: is compressed (%s): unpack it first", file->path, foreign[i].name);
		else
			image_set_error(err, "%s: is a disk image in the format %s: make it one that can be read, with "
			    "qemu-img convert -O qcow2", file->path, foreign[i].name);
		return NULL;
	}
	return "raw";
}

/* Is this file one of those that led to it? */
static bool loops(const struct image_chain *chain)
{
	for (const struct image_chain *c = chain->parent; c != NULL; c = c->parent)
		if (c->dev == chain->dev && c->ino == chain->ino)
			return true;
	return false;
}

int image_open_at(struct image **image, const char *path, const struct image_options *options,
		  const struct image_chain *parent, struct image_error *err)
{
	struct image_chain chain = { .parent = parent, .depth = parent == NULL ? 0 : parent->depth + 1 };
	struct file file;
	bool read_only = options->read_only || options->snapshot;
	const char *format = options->format;
	struct image *opened;
	int ret;

	/* Looked at before it is opened: in a loop our own lock would be in the way. */
	if (file_identity(path, &chain.dev, &chain.ino) == 0 && loops(&chain)) {
		image_set_error(err, "%s: its backing files form a loop", path);
		return -ELOOP;
	}
	if (chain.depth > IMAGE_MAX_DEPTH) {
		image_set_error(err, "%s: more than %u backing files", path, IMAGE_MAX_DEPTH);
		return -ELOOP;
	}
	if (format != NULL && strcmp(format, "raw") != 0 && strcmp(format, "qcow2") != 0) {
		image_set_error(err, "%s: format '%s' is unknown; there are raw and qcow2", path, format);
		return -EINVAL;
	}
	ret = file_open(&file, path, read_only ? FILE_READ : FILE_WRITE, !options->no_lock, err);
	if (ret < 0)
		return ret;
	if (format == NULL)
		format = probe(&file, err);
	if (format == NULL) {
		file_close(&file);
		return -EINVAL;
	}
	if (strcmp(format, "qcow2") == 0)
		ret = qcow2_open(&opened, &file, options, &chain, err);
	else
		ret = raw_open(&opened, &file, options->format == NULL, err);
	if (ret < 0)
		return ret;
	opened->path = strdup(path);
	/* A disk is whole sectors; what the file lacks at its end reads as zero. */
	opened->size_bytes = (opened->size_bytes + 511) & ~511ull;
	if (options->snapshot) {
		ret = overlay_open(&opened, opened, err);
		if (ret < 0)
			return ret;
		opened->path = strdup(path);
	}
	*image = opened;
	return 0;
}

int image_open(struct image **image, const char *path, const struct image_options *options,
	       struct image_error *err)
{
	return image_open_at(image, path, options, NULL, err);
}

void image_close(struct image *image)
{
	if (image == NULL)
		return;
	struct image *backing = image->backing;
	free(image->path);
	image->ops->close(image);
	image_close(backing);
}

/* How much of it the format takes at once. */
static size_t piece(const struct image *image, uint64_t offset, size_t len)
{
	return image->cluster_bytes ? MIN(len, image->cluster_bytes - offset % image->cluster_bytes) : len;
}

int image_read(struct image *image, uint64_t offset, void *buf, size_t len)
{
	uint8_t *p = buf;

	if (offset >= image->size_bytes) {
		memset(buf, 0, len);
		return 0;
	}
	if (len > image->size_bytes - offset) {
		size_t inside = image->size_bytes - offset;
		memset((uint8_t *)buf + inside, 0, len - inside);
		len = inside;
	}
	for (size_t n; len > 0; p += n, offset += n, len -= n) {
		n = piece(image, offset, len);
		int ret = image->ops->read(image, offset, p, n);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int image_write(struct image *image, uint64_t offset, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	if (image->read_only)
		return -EROFS;
	if (offset > image->size_bytes || len > image->size_bytes - offset)
		return -EINVAL;
	for (size_t n; len > 0; p += n, offset += n, len -= n) {
		n = piece(image, offset, len);
		int ret = image->ops->write(image, offset, p, n);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int image_flush(struct image *image)
{
	return image->read_only ? 0 : image->ops->flush(image);
}

bool image_is_zero(struct image *image, uint64_t offset, uint64_t *len)
{
	return image->ops->is_zero != NULL && image->ops->is_zero(image, offset, len);
}

/* --- creating and copying --- */

int image_create(const char *path, const struct image_create_options *options, struct image_error *err)
{
	struct image_create_options o = *options;
	struct file file;
	int ret;

	if (strcmp(o.format, "raw") != 0 && strcmp(o.format, "qcow2") != 0) {
		image_set_error(err, "%s: format '%s' is unknown; there are raw and qcow2", path, o.format);
		return -EINVAL;
	}
	if (o.backing != NULL && strcmp(o.format, "raw") == 0) {
		image_set_error(err, "%s: a raw image has no backing file; use -f qcow2", path);
		return -EINVAL;
	}
	if (strcmp(o.format, "qcow2") == 0) {
		ret = qcow2_create_check(path, &o, err);
		if (ret < 0)
			return ret;
	}
	ret = file_open(&file, path, FILE_CREATE, true, err);
	if (ret < 0)
		return ret;
	if (strcmp(o.format, "raw") == 0) {
		ret = file_truncate(&file, o.size_bytes);
		if (ret < 0)
			image_set_error(err, "%s: cannot be made %llu bytes long: %s", path,
			    (unsigned long long)o.size_bytes, strerror(-ret));
	} else {
		ret = qcow2_create(&file, &o, err);
	}
	file_close(&file);
	return ret;
}

static bool all_zero(const uint8_t *buf, size_t len)
{
	return len == 0 || (buf[0] == 0 && memcmp(buf, buf + 1, len - 1) == 0);
}

static int copy_contents(struct image *from, struct image *to, struct image_error *err)
{
	const size_t step = 1 << 20;
	uint8_t *buf = malloc(step);
	int ret = buf == NULL ? -ENOMEM : 0;

	for (uint64_t at = 0; at < from->size_bytes && ret == 0; ) {
		uint64_t n = MIN(from->size_bytes - at, (uint64_t)1 << 40);
		if (!image_is_zero(from, at, &n)) {
			n = MIN(from->size_bytes - at, step);
			ret = image_read(from, at, buf, n);
			if (ret < 0) {
				image_set_error(err, "%s: cannot be read: %s", from->path, strerror(-ret));
				break;
			}
			for (uint64_t i = 0; i < n && ret == 0; i += 65536) {
				uint64_t piece = MIN(n - i, 65536u);
				if (!all_zero(buf + i, piece))
					ret = image_write(to, at + i, buf + i, piece);
			}
			if (ret < 0)
				image_set_error(err, "%s: cannot be written: %s", to->path, strerror(-ret));
		}
		at += n;
	}
	if (ret == 0) {
		ret = image_flush(to);
		if (ret < 0)
			image_set_error(err, "%s: cannot be written: %s", to->path, strerror(-ret));
	}
	free(buf);
	return ret;
}

int image_convert(const char *from, const char *from_format, const char *to, const char *to_format,
		  struct image_error *err)
{
	struct image *src, *dst;
	int ret = image_open(&src, from, &(struct image_options){ .format = from_format, .read_only = true }, err);

	if (ret < 0)
		return ret;
	ret = image_create(to, &(struct image_create_options){ .format = to_format,
	    .size_bytes = src->size_bytes }, err);
	if (ret == 0)
		ret = image_open(&dst, to, &(struct image_options){ .format = to_format }, err);
	if (ret == 0) {
		ret = copy_contents(src, dst, err);
		image_close(dst);
	}
	image_close(src);
	return ret;
}
