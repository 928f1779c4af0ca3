/*
 * qcow2, between its files: qcow2.c (open, read, write), qcow2_table.c (L1, L2), qcow2_refcount.c,
 * qcow2_create.c.
 */
#ifndef PLEX86_IMAGE_QCOW2_H
#define PLEX86_IMAGE_QCOW2_H

#include "image/file.h"
#include "util/be.h"

#define QCOW2_MAGIC		0x514649FBu	/* "QFI", FBh */
#define QCOW2_MIN_CLUSTER_BITS	9
#define QCOW2_MAX_CLUSTER_BITS	21
#define QCOW2_MAX_L1_BYTES	(32u << 20)
#define QCOW2_MAX_REFTABLE_BYTES (8u << 20)
#define QCOW2_CACHED_TABLES	32
#define QCOW2_MAX_FREES		4096

enum {					/* header, byte offsets; all fields big-endian */
	H_MAGIC = 0, H_VERSION = 4, H_BACKING_OFFSET = 8, H_BACKING_LEN = 16, H_CLUSTER_BITS = 20, H_SIZE = 24,
	H_CRYPT = 32, H_L1_SIZE = 36, H_L1_OFFSET = 40, H_REFTABLE_OFFSET = 48, H_REFTABLE_CLUSTERS = 56,
	H_SNAPSHOTS = 60, H_SNAPSHOTS_OFFSET = 64, H_INCOMPATIBLE = 72, H_COMPATIBLE = 80, H_AUTOCLEAR = 88,
	H_REFCOUNT_ORDER = 96, H_HEADER_LEN = 100, H_COMPRESSION = 104, H_BYTES = 112,
};
enum { INCOMPAT_DIRTY = BIT(0), INCOMPAT_CORRUPT = BIT(1), INCOMPAT_DATA_FILE = BIT(2),
       INCOMPAT_COMPRESSION = BIT(3), INCOMPAT_EXTENDED_L2 = BIT(4) };

#define ENTRY_COPIED		(1ull << 63)	/* refcount is exactly 1: may be written in place */
#define ENTRY_COMPRESSED	(1ull << 62)
#define ENTRY_ZERO		1ull
#define ENTRY_OFFSET		0x00FFFFFFFFFFFE00ull

struct qcow2_table {			/* an L2 table in memory */
	uint64_t offset;		/* in the file; 0: slot free */
	uint64_t used;			/* for replacement: the larger the later */
	bool dirty;
	uint64_t *entry;		/* host byte order */
};

struct qcow2 {
	struct image image;
	struct file file;
	unsigned version, cluster_bits, refcount_bits;
	uint32_t cluster_bytes;
	unsigned l2_bits;		/* log2 of the entries of an L2 table */
	bool zstd;
	uint64_t l1_offset, *l1;	/* host byte order */
	uint32_t l1_size;
	bool l1_dirty;
	uint64_t reftable_offset, *reftable;
	uint32_t reftable_size;		/* entries */
	/* one refcount block in memory, always as in the file */
	uint64_t refblock_offset;
	uint8_t *refblock;
	uint64_t next_free;		/* cluster index from which to look for a free one */
	/* clusters no table uses any more, once the tables in memory are in the file */
	uint64_t frees[QCOW2_MAX_FREES];
	unsigned nfrees;
	struct qcow2_table table[QCOW2_CACHED_TABLES];
	uint64_t clock;
	uint8_t *cluster;		/* scratch, one cluster */
	/* the compressed cluster decoded last */
	uint8_t *decoded, *packed;
	uint64_t decoded_entry;		/* 0: none */
	uint64_t file_bytes;		/* size of the file: nothing valid lies past it */
	bool unsynced;			/* something was written since the last fdatasync */
};

/* A table of n entries at offset, to and from host byte order. */
int qcow2_read_table(struct qcow2 *q, uint64_t offset, uint64_t *entry, uint32_t n);
int qcow2_write_table(struct qcow2 *q, uint64_t offset, const uint64_t *entry, uint32_t n);
int qcow2_write(struct qcow2 *q, uint64_t offset, const void *buf, size_t len);

/* --- tables --- */
/* The L2 entry of a guest address; 0 where there is no table. */
int qcow2_get_entry(struct qcow2 *q, uint64_t guest, uint64_t *entry);
/* Change it; makes the table if need be, or a private copy of one shared with a snapshot. */
int qcow2_set_entry(struct qcow2 *q, uint64_t guest, uint64_t entry);
/* Write changed tables in an order that leaves the file consistent wherever it ends, then free
 * what they no longer use. sync: everything is on stable storage afterwards. */
int qcow2_write_back(struct qcow2 *q, bool sync);

/* --- reference counts --- */
int qcow2_alloc(struct qcow2 *q, uint64_t *offset);	/* one cluster, refcount 1 */
/* A table no longer uses what entry points at: its clusters lose a reference at the next write-back. */
int qcow2_release(struct qcow2 *q, uint64_t entry);
int qcow2_get_refcount(struct qcow2 *q, uint64_t cluster, uint64_t *count);
int qcow2_set_refcount(struct qcow2 *q, uint64_t cluster, uint64_t count);
int qcow2_free_pending(struct qcow2 *q);

/* The path of a backing file, as seen from the image that names it; to be freed. */
char *qcow2_backing_path(const char *image_path, const char *backing);

/* Where a compressed cluster lies in the file. */
void qcow2_compressed_extent(const struct qcow2 *q, uint64_t entry, uint64_t *offset, uint32_t *len);

#endif
