/*
 * Snapshot mode: writes go to an unnamed temporary file and are forgotten at the end.
 *
 * A bitmap says which clusters of 64 KiB the temporary file has; the first write to one copies it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/file.h"

#define CLUSTER 65536u

struct overlay {
	struct image image;
	struct file file;
	uint8_t *present;		/* one bit a cluster */
	uint8_t copy[CLUSTER];
};

static bool present(const struct overlay *o, uint64_t cluster)
{
	return o->present[cluster / 8] >> cluster % 8 & 1;
}

static int overlay_read(struct image *image, uint64_t offset, void *buf, size_t len)
{
	struct overlay *o = (struct overlay *)image;

	return present(o, offset / CLUSTER) ? file_read(&o->file, offset, buf, len) : image_read(image->backing, offset, buf, len);
}

static int overlay_write(struct image *image, uint64_t offset, const void *buf, size_t len)
{
	struct overlay *o = (struct overlay *)image;
	uint64_t cluster = offset / CLUSTER;
	int ret = 0;

	if (!present(o, cluster) && len < CLUSTER) {
		ret = image_read(image->backing, cluster * CLUSTER, o->copy, CLUSTER);
		if (ret == 0)
			ret = file_write(&o->file, cluster * CLUSTER, o->copy, CLUSTER);
	}
	if (ret == 0)
		ret = file_write(&o->file, offset, buf, len);
	if (ret == 0)
		o->present[cluster / 8] |= 1u << cluster % 8;
	return ret;
}

static int overlay_flush(struct image *image)
{
	return 0;			/* nothing of it is to outlive us */
}

static void overlay_close(struct image *image)
{
	struct overlay *o = (struct overlay *)image;

	file_close(&o->file);
	free(o->present);
	free(o);
}

static const struct image_ops overlay_ops = {
	.format = "overlay", .read = overlay_read, .write = overlay_write, .flush = overlay_flush,
	.close = overlay_close,
};

/* Takes base over, also when it fails. */
int overlay_open(struct image **image, struct image *base, struct image_error *err)
{
	struct overlay *o = calloc(1, sizeof(*o));
	int ret = -ENOMEM;

	if (o != NULL)
		o->present = calloc(base->size_bytes / CLUSTER / 8 + 1, 1);
	if (o == NULL || o->present == NULL)
		image_set_error(err, "%s: no memory for a snapshot", base->path);
	else
		ret = file_open_temporary(&o->file, err);
	if (ret < 0) {
		image_close(base);
		if (o != NULL)
			free(o->present);
		free(o);
		return ret;
	}
	o->image = (struct image){ .ops = &overlay_ops, .size_bytes = base->size_bytes, .cluster_bytes = CLUSTER,
	    .backing = base };
	*image = &o->image;
	return 0;
}
