/*
 * qcow2: making a new image.				[QEMU "The QCow2 file format", "Header"]
 *
 * Version 3, 16-bit reference counts: header, refcount table, refcount blocks, L1 table, nothing else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/qcow2.h"

#define EXT_BACKING_FORMAT 0xE2792ACAu

struct layout {
	unsigned cluster_bits;
	uint64_t cluster, size, l1_entries;
	uint64_t l1_clusters, block_clusters, table_clusters;
};

static uint64_t clusters_of(const struct layout *l, uint64_t bytes)
{
	return (bytes + l->cluster - 1) / l->cluster;
}

/* The blocks must count themselves and the table: go round until it fits. */
static void plan(struct layout *l)
{
	uint64_t per_block = l->cluster / 2, total, before;

	l->l1_entries = MAX(1u, (clusters_of(l, l->size) * 8 + l->cluster - 1) / l->cluster);
	l->l1_clusters = clusters_of(l, l->l1_entries * 8);
	l->block_clusters = l->table_clusters = 1;
	do {
		before = l->block_clusters + l->table_clusters;
		total = 1 + before + l->l1_clusters;
		l->block_clusters = (total + per_block - 1) / per_block;
		l->table_clusters = clusters_of(l, l->block_clusters * 8);
	} while (l->block_clusters + l->table_clusters != before);
}

/* Header, and the extension and name of a backing file behind it; all in the first cluster. */
static int fill_header(uint8_t *head, const struct layout *l, const struct image_create_options *o)
{
	uint8_t *ext = head + H_BYTES;

	put_be32(head + H_MAGIC, QCOW2_MAGIC);
	put_be32(head + H_VERSION, 3);
	put_be32(head + H_CLUSTER_BITS, l->cluster_bits);
	put_be64(head + H_SIZE, l->size);
	put_be32(head + H_L1_SIZE, l->l1_entries);
	put_be64(head + H_L1_OFFSET, (1 + l->table_clusters + l->block_clusters) * l->cluster);
	put_be64(head + H_REFTABLE_OFFSET, l->cluster);
	put_be32(head + H_REFTABLE_CLUSTERS, l->table_clusters);
	put_be32(head + H_REFCOUNT_ORDER, 4);
	put_be32(head + H_HEADER_LEN, H_BYTES);
	if (o->backing != NULL) {
		size_t fmt = strlen(o->backing_format), name = strlen(o->backing);
		size_t at = H_BYTES + 8 + ((fmt + 7) & ~7ul) + 8;
		if (name > 1023 || at + name > l->cluster)
			return -ENAMETOOLONG;
		put_be32(ext, EXT_BACKING_FORMAT);
		put_be32(ext + 4, fmt);
		memcpy(ext + 8, o->backing_format, fmt);
		put_be64(head + H_BACKING_OFFSET, at);
		put_be32(head + H_BACKING_LEN, name);
		memcpy(head + at, o->backing, name);
	}
	return 0;
}

static int write_layout(struct file *file, const struct layout *l, const struct image_create_options *o)
{
	uint64_t total = 1 + l->table_clusters + l->block_clusters + l->l1_clusters;
	uint64_t table_bytes = l->table_clusters * l->cluster, block_bytes = l->block_clusters * l->cluster;
	uint8_t *head = calloc(1, l->cluster + table_bytes + block_bytes);
	int ret;

	if (head == NULL)
		return -ENOMEM;
	uint8_t *table = head + l->cluster, *block = table + table_bytes;
	for (uint64_t i = 0; i < l->block_clusters; i++)
		put_be64(table + 8 * i, (1 + l->table_clusters + i) * l->cluster);
	for (uint64_t i = 0; i < total; i++)
		block[2 * i + 1] = 1;
	ret = fill_header(head, l, o);
	/* The header comes last: until then the file is nothing. */
	if (ret == 0)
		ret = file_truncate(file, total * l->cluster);
	if (ret == 0)
		ret = file_write(file, l->cluster, table, table_bytes + block_bytes);
	if (ret == 0)
		ret = file_sync(file);
	if (ret == 0)
		ret = file_write(file, 0, head, l->cluster);
	if (ret == 0)
		ret = file_sync(file);
	free(head);
	return ret;
}

/* The path of a backing file, as seen from the image that names it. */
char *qcow2_backing_path(const char *image_path, const char *backing)
{
	const char *slash = strrchr(image_path, '/');

	if (backing[0] == '/' || slash == NULL)
		return strdup(backing);
	size_t dir = slash + 1 - image_path;
	char *path = malloc(dir + strlen(backing) + 1);
	if (path != NULL) {
		memcpy(path, image_path, dir);
		strcpy(path + dir, backing);
	}
	return path;
}

/* The backing file must be there, be what it is said to be, and tells the size. */
static int look_at_backing(const char *image_path, struct image_create_options *o, struct image_error *err)
{
	struct image *backing;
	uint64_t id[2][2];
	char *path = qcow2_backing_path(image_path, o->backing);

	if (path == NULL)
		return -ENOMEM;
	if (file_identity(image_path, &id[0][0], &id[0][1]) == 0 &&
	    file_identity(path, &id[1][0], &id[1][1]) == 0 && memcmp(id[0], id[1], sizeof(id[0])) == 0) {
		image_set_error(err, "%s: cannot be its own backing file", image_path);
		free(path);
		return -ELOOP;
	}
	int ret = image_open(&backing, path, &(struct image_options){ .format = o->backing_format,
	    .read_only = true, .no_lock = true }, err);
	free(path);
	if (ret < 0)
		return ret;
	if (o->size_bytes == 0)
		o->size_bytes = backing->size_bytes;
	if (o->backing_format == NULL)
		o->backing_format = backing->ops->format;
	image_close(backing);
	return 0;
}

/* What is wrong with the options, before an existing file is emptied; fills in what they leave open. */
int qcow2_create_check(const char *path, struct image_create_options *o, struct image_error *err)
{
	struct layout l = { 0 };

	if (o->cluster_bytes == 0)
		o->cluster_bytes = 65536;
	while (l.cluster_bits < 31 && 1u << l.cluster_bits != o->cluster_bytes)
		l.cluster_bits++;
	if (l.cluster_bits < QCOW2_MIN_CLUSTER_BITS || l.cluster_bits > QCOW2_MAX_CLUSTER_BITS) {
		image_set_error(err, "%s: the cluster size must be a power of two from 512 to 2M", path);
		return -EINVAL;
	}
	if (o->backing != NULL) {
		int ret = look_at_backing(path, o, err);
		if (ret < 0)
			return ret;
	}
	l.cluster = o->cluster_bytes;
	l.size = o->size_bytes;
	if (clusters_of(&l, l.size) / (l.cluster / 8) * 8 > QCOW2_MAX_L1_BYTES) {
		image_set_error(err, "%s: too large for this cluster size", path);
		return -EFBIG;
	}
	return 0;
}

int qcow2_create(struct file *file, const struct image_create_options *o, struct image_error *err)
{
	struct layout l = { .cluster = o->cluster_bytes, .size = (o->size_bytes + 511) & ~511ull };
	int ret;

	while (1u << l.cluster_bits != o->cluster_bytes)
		l.cluster_bits++;
	plan(&l);
	ret = write_layout(file, &l, o);
	if (ret < 0)
		image_set_error(err, "%s: %s", file->path, strerror(-ret));
	return ret;
}
