/*
 * qcow2: opening, reading, writing.		[QEMU "The QCow2 file format"]
 *
 * Versions 2 and 3, every cluster size and reference count width, backing files, clusters compressed
 * with zlib or zstd, zero clusters, images with internal snapshots (whose data stays untouched).
 * Left out, and refused by name: encryption, external data files, extended L2 entries; writing to
 * an image marked as dirty or corrupt. Dirty bitmaps are dropped by the first open for writing.
 */
#include "image/qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

bool qcow2_probe(const uint8_t *head, size_t len)
{
	return len >= 8 && be32(head) == QCOW2_MAGIC && be32(head + 4) >= 2;
}

int qcow2_write(struct qcow2 *q, uint64_t offset, const void *buf, size_t len)
{
	int ret = file_write(&q->file, offset, buf, len);

	q->unsynced = true;
	if (ret == 0)
		q->file_bytes = MAX(q->file_bytes, offset + len);
	return ret;
}

/* --- reading --- */

static int inflate_zlib(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
	z_stream z = { .next_in = (uint8_t *)in, .avail_in = in_len, .next_out = out, .avail_out = out_len };

	if (inflateInit2(&z, -15) != Z_OK)	/* no header; QEMU writes with a window of 12 bits */
		return -ENOMEM;
	int ret = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	/* The length is rounded up to a sector: what lies behind the stream is not part of it. */
	return z.avail_out == 0 && (ret == Z_STREAM_END || ret == Z_BUF_ERROR) ? 0 : -EIO;
}

static int inflate_zstd(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
	ZSTD_DCtx *z = ZSTD_createDCtx();
	ZSTD_inBuffer src = { in, in_len, 0 };
	ZSTD_outBuffer dst = { out, out_len, 0 };

	if (z == NULL)
		return -ENOMEM;
	while (dst.pos < dst.size) {
		size_t before = dst.pos, left = ZSTD_decompressStream(z, &dst, &src);
		if (ZSTD_isError(left) || (dst.pos == before && src.pos == src.size))
			break;
	}
	ZSTD_freeDCtx(z);
	return dst.pos == dst.size ? 0 : -EIO;
}

/* The whole cluster into q->decoded. */
static int decode(struct qcow2 *q, uint64_t entry)
{
	uint64_t offset;
	uint32_t len;

	if (q->decoded_entry == entry)
		return 0;
	if (q->decoded == NULL)
		q->decoded = malloc(q->cluster_bytes);
	if (q->packed == NULL)
		q->packed = malloc(2 * q->cluster_bytes);
	if (q->decoded == NULL || q->packed == NULL)
		return -ENOMEM;
	q->decoded_entry = 0;
	qcow2_compressed_extent(q, entry, &offset, &len);
	if (offset >= q->file_bytes)
		return -EIO;
	int ret = file_read(&q->file, offset, q->packed, len);
	if (ret == 0)
		ret = (q->zstd ? inflate_zstd : inflate_zlib)(q->packed, len, q->decoded, q->cluster_bytes);
	if (ret == 0)
		q->decoded_entry = entry;
	return ret;
}

/* Part of one guest cluster. */
static int read_cluster(struct qcow2 *q, uint64_t guest, uint64_t entry, void *buf, size_t len)
{
	uint32_t in = guest & (q->cluster_bytes - 1);

	if (entry & ENTRY_COMPRESSED) {
		int ret = decode(q, entry);
		if (ret == 0)
			memcpy(buf, q->decoded + in, len);
		return ret;
	}
	if (q->version >= 3 && entry & ENTRY_ZERO) {
		memset(buf, 0, len);
		return 0;
	}
	uint64_t host = entry & ENTRY_OFFSET;
	if (host == 0) {
		if (q->image.backing != NULL)
			return image_read(q->image.backing, guest, buf, len);
		memset(buf, 0, len);
		return 0;
	}
	/* The last cluster may be short; one that lies past the end has been cut off. */
	return host % q->cluster_bytes == 0 && host < q->file_bytes ? file_read(&q->file, host + in, buf, len) : -EIO;
}

static int qcow2_read(struct image *image, uint64_t offset, void *buf, size_t len)
{
	struct qcow2 *q = (struct qcow2 *)image;
	uint64_t entry;
	int ret = qcow2_get_entry(q, offset, &entry);

	return ret < 0 ? ret : read_cluster(q, offset, entry, buf, len);
}

static bool qcow2_is_zero(struct image *image, uint64_t offset, uint64_t *len)
{
	struct qcow2 *q = (struct qcow2 *)image;
	uint64_t rest = q->cluster_bytes - (offset & (q->cluster_bytes - 1)), entry;

	if (qcow2_get_entry(q, offset, &entry) < 0 || entry & ENTRY_COMPRESSED)
		return false;
	*len = MIN(*len, rest);
	if (q->version >= 3 && entry & ENTRY_ZERO)
		return true;
	if ((entry & ENTRY_OFFSET) != 0)
		return false;
	return image->backing == NULL || offset >= image->backing->size_bytes ||
	    image_is_zero(image->backing, offset, len);
}

/* --- writing --- */

/* Part of one guest cluster. In place if it is ours alone, else to a new cluster, as a whole. */
static int qcow2_write_guest(struct image *image, uint64_t guest, const void *buf, size_t len)
{
	struct qcow2 *q = (struct qcow2 *)image;
	uint64_t entry, start = guest & ~(uint64_t)(q->cluster_bytes - 1);
	uint32_t in = guest - start;
	int ret = qcow2_get_entry(q, guest, &entry);

	if (ret < 0)
		return ret;
	bool plain = !(entry & ENTRY_COMPRESSED) && (entry & ENTRY_OFFSET) != 0;
	bool zero = q->version >= 3 && !(entry & ENTRY_COMPRESSED) && entry & ENTRY_ZERO;
	uint64_t host = entry & ENTRY_OFFSET;
	if (plain && host % q->cluster_bytes != 0)
		return -EIO;
	if (plain && entry & ENTRY_COPIED && !zero)
		return qcow2_write(q, host + in, buf, len);

	const void *whole = buf;
	if (len < q->cluster_bytes) {
		ret = read_cluster(q, start, entry, q->cluster, q->cluster_bytes);
		if (ret < 0)
			return ret;
		memcpy(q->cluster + in, buf, len);
		whole = q->cluster;
	}
	if (!(plain && entry & ENTRY_COPIED)) {	/* a zero cluster may keep the place it has */
		ret = qcow2_alloc(q, &host);
		if (ret < 0)
			return ret;
	}
	ret = qcow2_write(q, host, whole, q->cluster_bytes);
	if (ret < 0) {
		if (!(plain && entry & ENTRY_COPIED))
			qcow2_release(q, host);
		return ret;
	}
	return qcow2_set_entry(q, guest, host | ENTRY_COPIED);
}

static int qcow2_flush(struct image *image)
{
	return qcow2_write_back((struct qcow2 *)image, true);
}

static void qcow2_free(struct qcow2 *q)
{
	for (unsigned i = 0; i < QCOW2_CACHED_TABLES; i++)
		free(q->table[i].entry);
	free(q->l1);
	free(q->reftable);
	free(q->refblock);
	free(q->cluster);
	free(q->decoded);
	free(q->packed);
	file_close(&q->file);
	free(q);
}

static void qcow2_close(struct image *image)
{
	struct qcow2 *q = (struct qcow2 *)image;

	if (!image->read_only)
		qcow2_write_back(q, false);
	qcow2_free(q);
}

static const struct image_ops qcow2_ops = {
	.format = "qcow2", .read = qcow2_read, .write = qcow2_write_guest, .flush = qcow2_flush,
	.close = qcow2_close, .is_zero = qcow2_is_zero,
};

/* --- opening --- */

static int damaged(struct qcow2 *q, struct image_error *err, const char *what)
{
	image_set_error(err, "%s: damaged qcow2 image: %s", q->file.path, what);
	return -EINVAL;
}

static int unsupported(struct qcow2 *q, struct image_error *err, const char *what)
{
	image_set_error(err, "%s: %s", q->file.path, what);
	return -ENOTSUP;
}

static int check_features(struct qcow2 *q, const uint8_t *head, struct image_error *err)
{
	uint64_t features = be64(head + H_INCOMPATIBLE);
	unsigned order = be32(head + H_REFCOUNT_ORDER);

	q->refcount_bits = order <= 6 ? 1u << order : 0;
	if (order > 6)
		return damaged(q, err, "width of reference counts");
	if (be32(head + H_HEADER_LEN) < 104)
		return damaged(q, err, "header length");
	if (features & INCOMPAT_DATA_FILE)
		return unsupported(q, err, "qcow2 with an external data file is not supported");
	if (features & INCOMPAT_EXTENDED_L2)
		return unsupported(q, err, "qcow2 with extended L2 entries (subclusters) is not supported");
	if (features & ~31ull)
		return unsupported(q, err, "qcow2 with features newer than this program");
	if (!q->file.read_only && features & INCOMPAT_CORRUPT)
		return unsupported(q, err, "is marked as corrupt; repair it with 'qemu-img check -r all', or open it read-only");
	if (!q->file.read_only && features & INCOMPAT_DIRTY)
		return unsupported(q, err, "was not closed properly; repair it with 'qemu-img check -r all', or open it read-only");
	if (features & INCOMPAT_COMPRESSION) {
		unsigned type = be32(head + H_HEADER_LEN) >= 105 ? head[H_COMPRESSION] : 0;
		if (type > 1)
			return unsupported(q, err, "qcow2 with an unknown compression method");
		q->zstd = type == 1;
	}
	return 0;
}

static int check_header(struct qcow2 *q, const uint8_t *head, struct image_error *err)
{
	if (be32(head + H_MAGIC) != QCOW2_MAGIC) {
		image_set_error(err, "%s: not a qcow2 image", q->file.path);
		return -EINVAL;
	}
	q->version = be32(head + H_VERSION);
	if (q->version != 2 && q->version != 3)
		return unsupported(q, err, "qcow2 of a version other than 2 and 3");
	q->cluster_bits = be32(head + H_CLUSTER_BITS);
	if (q->cluster_bits < QCOW2_MIN_CLUSTER_BITS || q->cluster_bits > QCOW2_MAX_CLUSTER_BITS)
		return damaged(q, err, "cluster size");
	q->cluster_bytes = 1u << q->cluster_bits;
	q->l2_bits = q->cluster_bits - 3;
	if (be32(head + H_CRYPT) != 0)
		return unsupported(q, err, "encrypted qcow2 images are not supported");
	q->refcount_bits = 16;
	if (q->version == 3) {
		int ret = check_features(q, head, err);
		if (ret < 0)
			return ret;
	}
	q->image.size_bytes = be64(head + H_SIZE);
	q->l1_size = be32(head + H_L1_SIZE);
	q->l1_offset = be64(head + H_L1_OFFSET);
	q->reftable_offset = be64(head + H_REFTABLE_OFFSET);
	uint64_t table_bytes = (uint64_t)be32(head + H_REFTABLE_CLUSTERS) << q->cluster_bits;
	unsigned covered = q->cluster_bits + q->l2_bits;	/* log2 of the bytes under an L1 entry */
	if (q->l1_size > QCOW2_MAX_L1_BYTES / 8 || q->l1_offset % q->cluster_bytes != 0)
		return damaged(q, err, "L1 table");
	if (q->image.size_bytes > INT64_MAX - 511 ||
	    q->image.size_bytes >> covered > q->l1_size ||
	    (q->image.size_bytes >> covered == q->l1_size && q->image.size_bytes & ((1ull << covered) - 1)))
		return damaged(q, err, "L1 table smaller than the disk");
	if (table_bytes > QCOW2_MAX_REFTABLE_BYTES || table_bytes == 0 || q->reftable_offset % q->cluster_bytes != 0)
		return damaged(q, err, "refcount table");
	q->reftable_size = table_bytes / 8;
	return 0;
}

static int read_tables(struct qcow2 *q, struct image_error *err)
{
	q->l1 = calloc(MAX(q->l1_size, 1u), 8);
	q->reftable = calloc(q->reftable_size, 8);
	q->refblock = malloc(q->cluster_bytes);
	q->cluster = malloc(q->cluster_bytes);
	int ret = q->l1 && q->reftable && q->refblock && q->cluster ? 0 : -ENOMEM;
	if (ret == 0)
		ret = qcow2_read_table(q, q->l1_offset, q->l1, q->l1_size);
	if (ret == 0)
		ret = qcow2_read_table(q, q->reftable_offset, q->reftable, q->reftable_size);
	if (ret < 0) {
		image_set_error(err, "%s: its tables cannot be read: %s", q->file.path, strerror(-ret));
		return ret;
	}
	/* A file that ends before its tables do reads as zeros there: nothing would be found on it. */
	uint64_t size;
	ret = file_size(&q->file, &size);
	q->file_bytes = size;
	if (ret == 0 && (q->l1_offset + 8ull * q->l1_size > size || q->reftable_offset >= size))
		return damaged(q, err, "the file is cut off");
	for (uint32_t i = 0; i < q->l1_size && ret == 0; i++)
		if ((q->l1[i] & ENTRY_OFFSET) >= size)
			return damaged(q, err, "the file is cut off, or its L1 table is wrong");
	return ret;
}

/* The header extension that tells the backing file's format; "" if there is none. */
static int backing_format(struct qcow2 *q, const uint8_t *head, char *format, size_t max, struct image_error *err)
{
	uint64_t at = q->version == 2 ? 72 : be32(head + H_HEADER_LEN), end = be64(head + H_BACKING_OFFSET);
	uint8_t ext[8];

	format[0] = '\0';
	while (at + 8 <= end && at + 8 <= q->cluster_bytes) {
		if (file_read(&q->file, at, ext, 8) < 0 || be32(ext) == 0)
			break;
		uint32_t len = be32(ext + 4);
		if (len > q->cluster_bytes)
			return damaged(q, err, "header extension");
		if (be32(ext) == 0xE2792ACA) {
			if (len >= max)
				return damaged(q, err, "backing format");
			format[len] = '\0';
			return file_read(&q->file, at + 8, format, len);
		}
		at += 8 + ((len + 7) & ~7u);
	}
	return 0;
}

static int open_backing(struct qcow2 *q, const uint8_t *head, const struct image_options *options,
			const struct image_chain *chain, struct image_error *err)
{
	uint64_t at = be64(head + H_BACKING_OFFSET);
	uint32_t len = be32(head + H_BACKING_LEN);
	char name[1024], format[32];

	if (at == 0 || len == 0)
		return 0;
	if (len > 1023 || at > q->cluster_bytes || len > q->cluster_bytes - at)
		return damaged(q, err, "name of the backing file");
	int ret = file_read(&q->file, at, name, len);
	if (ret == 0)
		ret = backing_format(q, head, format, sizeof(format), err);
	if (ret < 0)
		return ret;
	name[len] = '\0';
	if (strncmp(name, "file:", 5) == 0) {
		memmove(name, name + 5, strlen(name + 5) + 1);
	} else if (strncmp(name, "json:", 5) == 0 || strstr(name, "://") != NULL) {
		image_set_error(err, "%s: its backing file '%s' is not a local file", q->file.path, name);
		return -ENOTSUP;
	}
	char *path = qcow2_backing_path(q->file.path, name);
	struct image_options o = { .read_only = true, .no_lock = options->no_lock,
	    .format = format[0] ? format : NULL };
	struct image_error why = { "" };
	ret = path == NULL ? -ENOMEM : image_open_at(&q->image.backing, path, &o, chain, &why);
	free(path);
	if (ret < 0)
		image_set_error(err, "%s: backing file: %.900s", q->file.path, why.text);
	return ret;
}

/* Autoclear features speak of data that we do not keep up to date: writing voids them. */
static int clear_features(struct qcow2 *q, const uint8_t *head)
{
	uint8_t none[8] = { 0 };

	if (q->file.read_only || q->version < 3 || be64(head + H_AUTOCLEAR) == 0)
		return 0;
	return qcow2_write(q, H_AUTOCLEAR, none, sizeof(none));
}

/* Takes the file over, also when it fails. */
int qcow2_open(struct image **image, struct file *file, const struct image_options *options,
	       const struct image_chain *chain, struct image_error *err)
{
	struct qcow2 *q = calloc(1, sizeof(*q));
	uint8_t head[H_BYTES];

	if (q == NULL) {
		file_close(file);
		return -ENOMEM;
	}
	q->file = *file;
	int ret = file_read(&q->file, 0, head, sizeof(head));
	if (ret < 0)
		image_set_error(err, "%s: %s", q->file.path, strerror(-ret));
	if (ret == 0)
		ret = check_header(q, head, err);
	if (ret == 0)
		ret = read_tables(q, err);
	if (ret == 0)
		ret = open_backing(q, head, options, chain, err);
	if (ret == 0) {
		ret = clear_features(q, head);
		if (ret < 0)
			image_set_error(err, "%s: %s", q->file.path, strerror(-ret));
	}
	if (ret < 0) {
		image_close(q->image.backing);
		qcow2_free(q);
		return ret;
	}
	q->image.ops = &qcow2_ops;
	q->image.read_only = q->file.read_only;
	q->image.cluster_bytes = q->cluster_bytes;
	*image = &q->image;
	return 0;
}
