/*
 * qcow2: L1 and L2 tables.			[QEMU "The QCow2 file format", "Cluster mapping"]
 *
 * Tables are changed in memory and written back at a guest's FLUSH, at close, or when a slot is
 * wanted. The order makes every intermediate state of the file sound, whether the process dies
 * or the host's power: data and reference counts first, then L2 tables, then the L1 table that
 * makes them reachable, then the counts of what is no longer used. What can be lost is what
 * the guest had not flushed; what can remain is a cluster that nobody uses.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/qcow2.h"

int qcow2_read_table(struct qcow2 *q, uint64_t offset, uint64_t *entry, uint32_t n)
{
	int ret = file_read(&q->file, offset, entry, n * sizeof(*entry));

	for (uint32_t i = 0; i < n && ret == 0; i++)
		entry[i] = be64((const uint8_t *)&entry[i]);
	return ret;
}

int qcow2_write_table(struct qcow2 *q, uint64_t offset, const uint64_t *entry, uint32_t n)
{
	uint8_t *raw = malloc(n * sizeof(*entry));

	if (raw == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		put_be64(raw + 8 * i, entry[i]);
	int ret = qcow2_write(q, offset, raw, n * sizeof(*entry));
	free(raw);
	return ret;
}

static int sync_file(struct qcow2 *q)
{
	int ret = q->unsynced ? file_sync(&q->file) : 0;

	if (ret == 0)
		q->unsynced = false;
	return ret;
}

static bool any_dirty(const struct qcow2 *q)
{
	for (unsigned i = 0; i < QCOW2_CACHED_TABLES; i++)
		if (q->table[i].dirty)
			return true;
	return false;
}

int qcow2_write_back(struct qcow2 *q, bool sync)
{
	int ret = 0;

	if (any_dirty(q)) {
		ret = sync_file(q);
		for (unsigned i = 0; i < QCOW2_CACHED_TABLES && ret == 0; i++) {
			struct qcow2_table *t = &q->table[i];
			if (!t->dirty)
				continue;
			ret = qcow2_write_table(q, t->offset, t->entry, 1u << q->l2_bits);
			t->dirty = ret != 0;
		}
	}
	if (ret == 0 && q->l1_dirty) {
		ret = sync_file(q);
		if (ret == 0)
			ret = qcow2_write_table(q, q->l1_offset, q->l1, q->l1_size);
		q->l1_dirty = ret != 0;
	}
	if (ret == 0 && q->nfrees > 0) {
		ret = sync_file(q);
		if (ret == 0)
			ret = qcow2_free_pending(q);
	}
	if (ret == 0 && sync)
		ret = sync_file(q);
	return ret;
}

/* A slot for a table, the least recently used one. */
static int take_slot(struct qcow2 *q, struct qcow2_table **slot)
{
	struct qcow2_table *oldest = &q->table[0];

	for (unsigned i = 0; i < QCOW2_CACHED_TABLES; i++) {
		if (q->table[i].offset == 0) {
			oldest = &q->table[i];
			break;
		}
		if (q->table[i].used < oldest->used)
			oldest = &q->table[i];
	}
	if (oldest->dirty) {
		int ret = qcow2_write_back(q, false);
		if (ret < 0)
			return ret;
	}
	oldest->offset = 0;
	if (oldest->entry == NULL)
		oldest->entry = malloc(q->cluster_bytes);
	if (oldest->entry == NULL)
		return -ENOMEM;
	*slot = oldest;
	return 0;
}

static struct qcow2_table *cached(struct qcow2 *q, uint64_t offset)
{
	for (unsigned i = 0; i < QCOW2_CACHED_TABLES; i++)
		if (q->table[i].offset == offset) {
			q->table[i].used = ++q->clock;
			return &q->table[i];
		}
	return NULL;
}

static int load_table(struct qcow2 *q, uint64_t offset, struct qcow2_table **table)
{
	int ret;

	if (offset == 0 || offset % q->cluster_bytes != 0)
		return -EIO;			/* damaged */
	*table = cached(q, offset);
	if (*table != NULL)
		return 0;
	if (offset + q->cluster_bytes > q->file_bytes)
		return -EIO;			/* cut off */
	ret = take_slot(q, table);
	if (ret == 0)
		ret = qcow2_read_table(q, offset, (*table)->entry, 1u << q->l2_bits);
	if (ret < 0)
		return ret;
	(*table)->offset = offset;
	(*table)->used = ++q->clock;
	return 0;
}

static uint32_t l1_index(const struct qcow2 *q, uint64_t guest)
{
	return guest >> (q->cluster_bits + q->l2_bits);
}

static uint32_t l2_index(const struct qcow2 *q, uint64_t guest)
{
	return guest >> q->cluster_bits & ((1u << q->l2_bits) - 1);
}

int qcow2_get_entry(struct qcow2 *q, uint64_t guest, uint64_t *entry)
{
	struct qcow2_table *t;
	uint32_t i = l1_index(q, guest);

	*entry = 0;
	if (i >= q->l1_size || (q->l1[i] & ENTRY_OFFSET) == 0)
		return 0;
	int ret = load_table(q, q->l1[i] & ENTRY_OFFSET, &t);
	if (ret == 0)
		*entry = t->entry[l2_index(q, guest)];
	return ret;
}

/* The table of guest, ours alone: new, or copied from one that a snapshot uses too. */
static int private_table(struct qcow2 *q, uint32_t i, struct qcow2_table **table)
{
	uint64_t old = q->l1[i] & ENTRY_OFFSET, offset;
	struct qcow2_table *from = NULL, *t;
	int ret;

	if (old != 0 && q->l1[i] & ENTRY_COPIED)
		return load_table(q, old, table);
	ret = qcow2_alloc(q, &offset);
	if (ret == 0)
		ret = take_slot(q, &t);
	if (ret == 0 && old != 0) {
		t->used = ++q->clock;		/* so that loading the old one does not take this slot */
		t->offset = offset;
		ret = load_table(q, old, &from);
		if (ret < 0)
			t->offset = 0;
	}
	if (ret < 0)
		return ret;
	if (from != NULL)
		memcpy(t->entry, from->entry, q->cluster_bytes);
	else
		memset(t->entry, 0, q->cluster_bytes);
	t->offset = offset;
	t->used = ++q->clock;
	t->dirty = true;
	q->l1[i] = offset | ENTRY_COPIED;
	q->l1_dirty = true;
	*table = t;
	return old != 0 ? qcow2_release(q, old) : 0;
}

int qcow2_set_entry(struct qcow2 *q, uint64_t guest, uint64_t entry)
{
	struct qcow2_table *t;
	uint32_t i = l1_index(q, guest);

	if (i >= q->l1_size)
		return -EIO;
	int ret = private_table(q, i, &t);
	if (ret < 0)
		return ret;
	uint64_t *e = &t->entry[l2_index(q, guest)];
	uint64_t old = *e;
	*e = entry;
	t->dirty = true;
	/* The cluster it named before, unless this entry still names it. */
	if (old == 0 || (!(old & ENTRY_COMPRESSED) && (old & ENTRY_OFFSET) == (entry & ENTRY_OFFSET)))
		return 0;
	return qcow2_release(q, old);
}
