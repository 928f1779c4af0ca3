/*
 * qcow2: reference counts.			[QEMU "The QCow2 file format", "Host cluster management"]
 *
 * A count is written through to the file at once: when it is raised, before anything points at the
 * cluster; when it is lowered, after nothing does (qcow2_write_back()). A file cut off in between has at
 * worst clusters counted that nobody uses.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/qcow2.h"

/* Clusters one refcount block counts. */
static uint64_t per_block(const struct qcow2 *q)
{
	return (uint64_t)q->cluster_bytes * 8 / q->refcount_bits;
}

static uint64_t get_count(const struct qcow2 *q, const uint8_t *block, uint64_t i)
{
	unsigned bits = q->refcount_bits;

	switch (bits) {
	case 8: return block[i];
	case 16: return be16(block + 2 * i);
	case 32: return be32(block + 4 * i);
	case 64: return be64(block + 8 * i);
	default: return block[i * bits / 8] >> (i * bits % 8) & ((1u << bits) - 1);
	}
}

static void put_count(const struct qcow2 *q, uint8_t *block, uint64_t i, uint64_t count)
{
	unsigned bits = q->refcount_bits;

	switch (bits) {
	case 8: block[i] = count; break;
	case 16: block[2 * i] = count >> 8; block[2 * i + 1] = count; break;
	case 32: put_be32(block + 4 * i, count); break;
	case 64: put_be64(block + 8 * i, count); break;
	default: {
		unsigned shift = i * bits % 8, mask = ((1u << bits) - 1) << shift;
		uint8_t *p = &block[i * bits / 8];
		*p = (*p & ~mask) | (count << shift & mask);
	}
	}
}

/* The block that counts cluster into q->refblock; *offset 0: there is none. */
static int load_block(struct qcow2 *q, uint64_t cluster, uint64_t *offset)
{
	uint64_t i = cluster / per_block(q);

	*offset = i < q->reftable_size ? q->reftable[i] & ENTRY_OFFSET : 0;
	if (*offset == 0 || *offset == q->refblock_offset)
		return 0;
	if (*offset % q->cluster_bytes != 0)
		return -EIO;
	q->refblock_offset = 0;
	int ret = file_read(&q->file, *offset, q->refblock, q->cluster_bytes);
	if (ret == 0)
		q->refblock_offset = *offset;
	return ret;
}

int qcow2_get_refcount(struct qcow2 *q, uint64_t cluster, uint64_t *count)
{
	uint64_t offset;
	int ret = load_block(q, cluster, &offset);

	*count = ret == 0 && offset != 0 ? get_count(q, q->refblock, cluster % per_block(q)) : 0;
	return ret;
}

/* Write the block's bytes [at, at + len) through. */
static int store_block(struct qcow2 *q, uint64_t at, uint32_t len)
{
	int ret = qcow2_write(q, q->refblock_offset + at, q->refblock + at, len);

	if (ret < 0)
		q->refblock_offset = 0;		/* memory and file may differ: read it again */
	return ret;
}

int qcow2_set_refcount(struct qcow2 *q, uint64_t cluster, uint64_t count)
{
	uint64_t offset, i = cluster % per_block(q);
	int ret = load_block(q, cluster, &offset);

	if (ret < 0 || offset == 0)
		return ret < 0 ? ret : -EIO;
	put_count(q, q->refblock, i, count);
	return store_block(q, i * q->refcount_bits / 8, (q->refcount_bits + 7) / 8);
}

/*
 * The table of blocks is full: a larger one goes to the start of the range just past what the old
 * one covers, where no cluster can be in use; the block that counts that range comes first.
 */
static int grow_table(struct qcow2 *q, uint64_t index)
{
	uint64_t entries = MAX((uint64_t)q->reftable_size * 2, index + 1);
	uint64_t per_cluster = q->cluster_bytes / 8, base = index * per_block(q);
	uint64_t clusters = (entries + per_cluster - 1) / per_cluster;
	uint64_t old_offset = q->reftable_offset, old_size = q->reftable_size;

	entries = clusters * per_cluster;
	if (entries * 8 > QCOW2_MAX_REFTABLE_BYTES || clusters + 1 > per_block(q))
		return -EFBIG;
	uint64_t *table = calloc(entries, sizeof(*table));
	if (table == NULL)
		return -ENOMEM;
	memcpy(table, q->reftable, old_size * sizeof(*table));
	table[index] = base << q->cluster_bits;

	memset(q->refblock, 0, q->cluster_bytes);
	for (uint64_t i = 0; i <= clusters; i++)
		put_count(q, q->refblock, i, 1);
	q->refblock_offset = base << q->cluster_bits;
	uint64_t offset = (base + 1) << q->cluster_bits;
	int ret = store_block(q, 0, q->cluster_bytes);
	if (ret == 0)
		ret = qcow2_write_table(q, offset, table, entries);
	if (ret == 0)
		ret = file_sync(&q->file);
	uint8_t field[12];			/* offset and clusters lie side by side in the header */
	put_be64(field, offset);
	put_be32(field + 8, clusters);
	if (ret == 0)
		ret = qcow2_write(q, H_REFTABLE_OFFSET, field, sizeof(field));
	if (ret == 0)
		ret = file_sync(&q->file);
	if (ret < 0) {
		free(table);
		q->refblock_offset = 0;
		return ret;
	}
	free(q->reftable);
	q->reftable = table;
	q->reftable_size = entries;
	q->reftable_offset = offset;
	for (uint64_t i = 0; i < (old_size + per_cluster - 1) / per_cluster && ret == 0; i++)
		ret = qcow2_set_refcount(q, (old_offset >> q->cluster_bits) + i, 0);
	return ret;
}

/* A block for a range that has none: the range's own first cluster, which it counts itself. */
static int new_block(struct qcow2 *q, uint64_t cluster)
{
	uint64_t index = cluster / per_block(q), base = index * per_block(q);
	uint8_t entry[8];
	int ret;

	if (index >= q->reftable_size)
		return grow_table(q, index);
	memset(q->refblock, 0, q->cluster_bytes);
	put_count(q, q->refblock, 0, 1);
	q->refblock_offset = base << q->cluster_bits;
	ret = store_block(q, 0, q->cluster_bytes);
	if (ret == 0)
		ret = file_sync(&q->file);	/* what the table names must be there */
	put_be64(entry, base << q->cluster_bits);
	if (ret == 0)
		ret = qcow2_write(q, q->reftable_offset + index * 8, entry, sizeof(entry));
	if (ret == 0)
		q->reftable[index] = base << q->cluster_bits;
	else
		q->refblock_offset = 0;
	return ret;
}

int qcow2_alloc(struct qcow2 *q, uint64_t *offset)
{
	uint64_t limit = ENTRY_OFFSET >> q->cluster_bits;

	for (uint64_t c = q->next_free; c < limit; c++) {
		uint64_t block, count;
		int ret = load_block(q, c, &block);
		if (ret == 0 && block == 0)
			ret = new_block(q, c);
		if (ret == 0)
			ret = qcow2_get_refcount(q, c, &count);
		if (ret < 0)
			return ret;
		if (count != 0)
			continue;
		ret = qcow2_set_refcount(q, c, 1);
		if (ret < 0)
			return ret;
		q->next_free = c + 1;
		*offset = c << q->cluster_bits;
		return 0;
	}
	return -EFBIG;
}

void qcow2_compressed_extent(const struct qcow2 *q, uint64_t entry, uint64_t *offset, uint32_t *len)
{
	unsigned bits = 62 - (q->cluster_bits - 8);
	uint32_t sectors = (entry & ~(ENTRY_COMPRESSED | ENTRY_COPIED)) >> bits;

	*offset = entry & ((1ull << bits) - 1);
	*len = (sectors + 1) * 512 - (*offset & 511);
}

int qcow2_release(struct qcow2 *q, uint64_t entry)
{
	uint64_t first = (entry & ENTRY_OFFSET) >> q->cluster_bits, last = first;

	if (entry & ENTRY_COMPRESSED) {
		uint64_t offset;
		uint32_t len;
		qcow2_compressed_extent(q, entry, &offset, &len);
		first = offset >> q->cluster_bits;
		last = (offset + len - 1) >> q->cluster_bits;
	} else if ((entry & ENTRY_OFFSET) == 0) {
		return 0;
	}
	if (q->nfrees + (last - first + 1) > QCOW2_MAX_FREES) {
		int ret = qcow2_write_back(q, false);
		if (ret < 0)
			return ret;
	}
	for (uint64_t c = first; c <= last; c++)
		q->frees[q->nfrees++] = c;
	return 0;
}

int qcow2_free_pending(struct qcow2 *q)
{
	while (q->nfrees > 0) {
		uint64_t c = q->frees[q->nfrees - 1], count;
		int ret = qcow2_get_refcount(q, c, &count);
		if (ret == 0 && count > 0)
			ret = qcow2_set_refcount(q, c, count - 1);
		if (ret < 0)
			return ret;
		if (count == 1)
			q->next_free = MIN(q->next_free, c);
		q->nfrees--;
	}
	return 0;
}
