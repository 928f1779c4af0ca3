/*
 * Raw images: the file is the disk.
 *
 * A file whose format was guessed must not become something else by what its guest writes: the
 * first sector may not be given another format's signature, or the next start would obey it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/file.h"

struct raw {
	struct image image;
	struct file file;
	bool probed;
};

static int raw_read(struct image *image, uint64_t offset, void *buf, size_t len)
{
	return file_read(&((struct raw *)image)->file, offset, buf, len);
}

static int raw_write(struct image *image, uint64_t offset, const void *buf, size_t len)
{
	struct raw *raw = (struct raw *)image;

	if (raw->probed && offset < 4) {
		uint8_t head[8];
		int ret = file_read(&raw->file, 0, head, sizeof(head));
		if (ret < 0)
			return ret;
		memcpy(head + offset, buf, MIN(len, sizeof(head) - offset));
		if (qcow2_probe(head, sizeof(head)))
			return -EPERM;
	}
	return file_write(&raw->file, offset, buf, len);
}

static int raw_flush(struct image *image)
{
	return file_sync(&((struct raw *)image)->file);
}

static void raw_close(struct image *image)
{
	struct raw *raw = (struct raw *)image;

	file_close(&raw->file);
	free(raw);
}

static bool raw_is_zero(struct image *image, uint64_t offset, uint64_t *len)
{
	return file_is_hole(&((struct raw *)image)->file, offset, len);
}

static const struct image_ops raw_ops = {
	.format = "raw", .read = raw_read, .write = raw_write, .flush = raw_flush, .close = raw_close,
	.is_zero = raw_is_zero,
};

/* Takes the file over, also when it fails. */
int raw_open(struct image **image, struct file *file, bool probed, struct image_error *err)
{
	struct raw *raw = calloc(1, sizeof(*raw));
	uint64_t size;
	int ret = raw == NULL ? -ENOMEM : file_size(file, &size);

	if (ret < 0) {
		image_set_error(err, "%s: %s", file->path, strerror(-ret));
		file_close(file);
		free(raw);
		return ret;
	}
	raw->file = *file;
	raw->probed = probed;
	raw->image = (struct image){ .ops = &raw_ops, .size_bytes = size, .read_only = file->read_only };
	*image = &raw->image;
	return 0;
}
