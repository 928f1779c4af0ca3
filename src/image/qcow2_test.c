/*
 * qcow2 against a model in memory, and against QEMU's own tools where they are installed.
 */
#include <errno.h>
#include <signal.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/qcow2.h"
#include "image/test_folder.h"
#include "tests/test.h"

__attribute__((format(printf, 1, 2))) static int run(const char *fmt, ...)
{
	char cmd[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return WEXITSTATUS(system(cmd));
}

static bool have_qemu_img(void)
{
	return run("command -v qemu-img >/dev/null 2>&1") == 0;
}

static struct image *open_ok(const char *path, bool read_only)
{
	struct image_error err = { "" };
	struct image *image;

	if (image_open(&image, path, &(struct image_options){ .read_only = read_only }, &err) < 0)
		fail_msg("%s", err.text);
	return image;
}

static void create(const char *path, uint64_t size, uint32_t cluster, const char *backing)
{
	struct image_error err = { "" };

	if (image_create(path, &(struct image_create_options){ .format = "qcow2", .size_bytes = size,
	    .cluster_bytes = cluster, .backing = backing }, &err) < 0)
		fail_msg("%s", err.text);
}

static void check_with_qemu(const char *path)
{
	if (have_qemu_img() && run("qemu-img check -q %s", path) != 0)
		fail_msg("qemu-img check finds fault with %s", path);
}

static uint32_t random_state = 1;

static uint32_t random_u32(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8 ^ random_state << 16;
}

/* Random writes, reads and flushes against a copy in memory. */
static void exercise(struct image *image, uint8_t *model, uint64_t size, unsigned rounds, unsigned max_len)
{
	uint8_t *buf = malloc(max_len);

	for (unsigned i = 0; i < rounds; i++) {
		uint64_t at = random_u32() % size;
		size_t len = 1 + random_u32() % max_len;
		len = MIN(len, size - at);
		switch (random_u32() % 8) {
		case 0: case 1: case 2: case 3:
			for (size_t j = 0; j < len; j++)
				buf[j] = random_u32();
			CHECK_EQ(image_write(image, at, buf, len), 0);
			memcpy(model + at, buf, len);
			break;
		case 4:
			CHECK_EQ(image_flush(image), 0);
			break;
		default:
			CHECK_EQ(image_read(image, at, buf, len), 0);
			assert_memory_equal(buf, model + at, len);
		}
	}
	free(buf);
}

static void same(struct image *image, const uint8_t *model, uint64_t size)
{
	uint8_t *buf = malloc(size);

	CHECK_EQ(image_read(image, 0, buf, size), 0);
	assert_memory_equal(buf, model, size);
	free(buf);
}

/* The image as it is now in its file. */
static void file_same(const char *path, const uint8_t *model, uint64_t size)
{
	struct image *image = open_ok(path, true);

	same(image, model, size);
	image_close(image);
}

TEST(qcow2_random_writes_read_back_and_pass_qemu_img_check)
{
	static const uint32_t clusters[] = { 512, 4096, 65536, 2 << 20 };
	const uint64_t size = 5 << 20;
	for (unsigned i = 0; i < ARRAY_LEN(clusters); i++) {
		const char *path = path_of("random.qcow2");
		uint8_t *model = calloc(1, size);
		create(path, size, clusters[i], NULL);
		check_with_qemu(path);
		struct image *image = open_ok(path, false);
		exercise(image, model, size, 400, 40000);
		same(image, model, size);
		image_close(image);
		file_same(path, model, size);
		check_with_qemu(path);
		free(model);
	}
}

TEST(qcow2_refcount_table_grows_when_the_image_does)
{
	/* 512-byte clusters: one table cluster covers 64 blocks of 256 clusters, 8 MiB. */
	const uint64_t size = 40 << 20;
	const char *path = path_of("grow.qcow2");
	uint8_t buf[65536];
	create(path, size, 512, NULL);
	struct image *image = open_ok(path, false);
	uint64_t before = ((struct qcow2 *)image)->reftable_offset;
	for (uint64_t at = 0; at < size; at += sizeof(buf)) {
		memset(buf, 1 + at / sizeof(buf) % 255, sizeof(buf));
		CHECK_EQ(image_write(image, at, buf, sizeof(buf)), 0);
	}
	CHECK(((struct qcow2 *)image)->reftable_offset != before);
	image_close(image);
	check_with_qemu(path);
	image = open_ok(path, true);
	for (uint64_t at = 0; at < size; at += sizeof(buf)) {
		CHECK_EQ(image_read(image, at, buf, sizeof(buf)), 0);
		CHECK_EQ(buf[0], 1 + at / sizeof(buf) % 255);
		CHECK_EQ(buf[65535], buf[0]);
	}
	image_close(image);
}

TEST(qcow2_over_a_backing_file_copies_on_write_and_leaves_it_alone)
{
	const uint64_t size = 3 << 20;
	const char *base = path_of("base.qcow2"), *top = path_of("top.qcow2");
	uint8_t *model = calloc(1, size), *base_model = calloc(1, size);
	create(base, size - 100000, 0, NULL);		/* shorter than what is laid over it */
	struct image *image = open_ok(base, false);
	exercise(image, base_model, size - 100352, 200, 50000);
	image_close(image);
	memcpy(model, base_model, size);
	create(top, size, 4096, "base.qcow2");
	image = open_ok(top, false);
	exercise(image, model, size, 300, 50000);
	same(image, model, size);
	image_close(image);
	check_with_qemu(top);
	file_same(base, base_model, size);
	free(model);
	free(base_model);
}

TEST(qcow2_compressed_images_of_qemu_img_are_read_and_written_over)
{
	static const char *const methods[] = { "zlib", "zstd" };
	const uint64_t size = 2 << 20;
	if (!have_qemu_img())
		SKIP();
	for (unsigned m = 0; m < ARRAY_LEN(methods); m++) {
		const char *raw = path_of("plain.raw"), *path = path_of("packed.qcow2");
		uint8_t *model = malloc(size);
		for (uint64_t i = 0; i < size; i++)
			model[i] = i / 3000 ^ (random_u32() % 16 == 0);
		int fd = open(raw, O_CREAT | O_TRUNC | O_WRONLY, 0644);
		assert_int_equal(write(fd, model, size), size);
		close(fd);
		CHECK_EQ(run("qemu-img convert -c -O qcow2 -o compression_type=%s %s %s", methods[m], raw, path), 0);
		struct image *image = open_ok(path, false);
		same(image, model, size);
		exercise(image, model, size, 200, 30000);
		same(image, model, size);
		image_close(image);
		check_with_qemu(path);
		file_same(path, model, size);
		free(model);
	}
}

TEST(qcow2_internal_snapshots_keep_their_data)
{
	const uint64_t size = 4 << 20;
	const char *path = path_of("snapshots.qcow2"), *out = path_of("snapshot.raw");
	if (!have_qemu_img())
		SKIP();
	uint8_t *model = calloc(1, size), *then = malloc(size);
	create(path, size, 4096, NULL);
	struct image *image = open_ok(path, false);
	exercise(image, model, size, 100, 60000);
	image_close(image);
	CHECK_EQ(run("qemu-img snapshot -c one %s", path), 0);
	memcpy(then, model, size);
	image = open_ok(path, false);
	exercise(image, model, size, 200, 60000);
	same(image, model, size);
	image_close(image);
	check_with_qemu(path);
	CHECK_EQ(run("qemu-img convert -l one -O raw %s %s", path, out), 0);
	file_same(out, then, size);
	free(model);
	free(then);
}

TEST(qcow2_images_of_other_versions_and_refcount_widths_are_kept_right)
{
	static const char *const kinds[] = { "compat=0.10", "refcount_bits=1", "refcount_bits=4",
	    "refcount_bits=64,cluster_size=1024", "preallocation=metadata" };
	const uint64_t size = 1 << 20;
	if (!have_qemu_img())
		SKIP();
	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *path = path_of("kind.qcow2");
		uint8_t *model = calloc(1, size);
		CHECK_EQ(run("qemu-img create -q -f qcow2 -o %s %s 1M", kinds[i], path), 0);
		struct image *image = open_ok(path, false);
		exercise(image, model, size, 200, 9000);
		image_close(image);
		check_with_qemu(path);
		file_same(path, model, size);
		free(model);
	}
}

TEST(qcow2_converted_images_compare_equal_by_qemu_img)
{
	const char *raw = path_of("c.raw"), *q = path_of("c.qcow2"), *back = path_of("c2.raw");
	struct image_error err = { "" };
	uint8_t buf[1000];
	CHECK_EQ(image_create(raw, &(struct image_create_options){ .format = "raw", .size_bytes = 10 << 20 }, &err), 0);
	struct image *image = open_ok(raw, false);
	for (unsigned i = 0; i < 50; i++) {
		memset(buf, i + 1, sizeof(buf));
		CHECK_EQ(image_write(image, random_u32() % (9 << 20), buf, sizeof(buf)), 0);
	}
	image_close(image);
	CHECK_EQ(image_convert(raw, NULL, q, "qcow2", &err), 0);
	CHECK_EQ(image_convert(q, NULL, back, "raw", &err), 0);
	CHECK_EQ(run("cmp -s %s %s", raw, back), 0);
	check_with_qemu(q);
	if (have_qemu_img())
		CHECK_EQ(run("qemu-img compare -q %s %s", raw, q), 0);
}

/* Write without flushing, and let the process die: what was flushed must be there, and the file sound. */
TEST(qcow2_killed_writer_leaves_a_sound_image_with_all_that_was_flushed)
{
	const uint64_t size = 8 << 20;
	const char *path = path_of("killed.qcow2");
	create(path, size, 4096, NULL);
	for (unsigned round = 0; round < 8; round++) {
		pid_t pid = fork();
		if (pid == 0) {
			struct image *image = open_ok(path, false);
			uint8_t buf[20000];
			random_state = round * 77 + 5;
			for (unsigned i = 0; i < 64; i++) {
				memset(buf, round + 1, sizeof(buf));
				image_write(image, i * 100000 + round * 3000, buf, sizeof(buf));
				if (i == 31)
					image_flush(image);
				if (i == 31 + round * 4)
					kill(getpid(), SIGKILL);
			}
			_exit(0);
		}
		waitpid(pid, NULL, 0);
		if (have_qemu_img())	/* 3: leaked clusters, no corruption */
			CHECK(run("qemu-img check -q %s >/dev/null 2>&1", path) % 3 == 0);
		struct image *image = open_ok(path, true);
		uint8_t b[2];
		for (unsigned i = 0; i <= 31; i++) {
			CHECK_EQ(image_read(image, i * 100000 + round * 3000, b, 2), 0);
			CHECK_EQ(b[0], round + 1);
		}
		image_close(image);
	}
}

/* --- damaged and hostile files --- */

static void poke(const char *path, uint64_t at, uint64_t val, unsigned bytes)
{
	uint8_t b[8];
	int fd = open(path, O_WRONLY);

	put_be64(b, val);
	assert_int_equal(pwrite(fd, b + 8 - bytes, bytes, at), bytes);
	close(fd);
}

static struct image_error refused(const char *path)
{
	struct image_error err = { "" };
	struct image *image;

	if (image_open(&image, path, &(struct image_options){ .format = "qcow2" }, &err) == 0)
		fail_msg("%s was opened", path);
	CHECK(strstr(err.text, path) != NULL);
	return err;
}

TEST(qcow2_headers_that_make_no_sense_are_refused_by_name)
{
	static const struct { unsigned at, bytes; uint64_t val; const char *says; } bad[] = {
		{ H_MAGIC, 4, 0x12345678, "not a qcow2" }, { H_VERSION, 4, 4, "version" },
		{ H_CLUSTER_BITS, 4, 40, "cluster size" }, { H_CLUSTER_BITS, 4, 8, "cluster size" },
		{ H_CRYPT, 4, 1, "encrypted" }, { H_L1_SIZE, 4, 0xFFFFFFFF, "L1" }, { H_L1_SIZE, 4, 0, "L1" },
		{ H_L1_OFFSET, 8, 0x12345, "L1" }, { H_L1_OFFSET, 8, 1ull << 62, "cut off" },
		{ H_SIZE, 8, ~0ull, "L1" }, { H_REFTABLE_CLUSTERS, 4, 0, "refcount" },
		{ H_REFTABLE_CLUSTERS, 4, 0xFFFFFFFF, "refcount" }, { H_REFCOUNT_ORDER, 4, 7, "reference counts" },
		{ H_INCOMPATIBLE, 8, INCOMPAT_DIRTY, "not closed properly" },
		{ H_INCOMPATIBLE, 8, INCOMPAT_CORRUPT, "corrupt" },
		{ H_INCOMPATIBLE, 8, INCOMPAT_DATA_FILE, "external data" },
		{ H_INCOMPATIBLE, 8, INCOMPAT_EXTENDED_L2, "extended L2" },
		{ H_INCOMPATIBLE, 8, 1ull << 40, "newer" }, { H_HEADER_LEN, 4, 20, "header length" },
	};
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		const char *path = path_of("bad.qcow2");
		create(path, 1 << 20, 0, NULL);
		poke(path, bad[i].at, bad[i].val, bad[i].bytes);
		struct image_error err = refused(path);
		if (strstr(err.text, bad[i].says) == NULL)
			fail_msg("'%s' does not say '%s'", err.text, bad[i].says);
	}
}

TEST(qcow2_cut_off_file_is_an_error_not_zeros)
{
	const char *path = path_of("cut.qcow2");
	uint8_t buf[65536];
	create(path, 1 << 20, 0, NULL);
	struct image *image = open_ok(path, false);
	memset(buf, 7, sizeof(buf));
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(image_write(image, i * 65536, buf, sizeof(buf)), 0);
	image_close(image);
	CHECK_EQ(truncate(path, 8 * 65536), 0);
	image = open_ok(path, true);
	CHECK_EQ(image_read(image, 3 * 65536, buf, 512), -EIO);
	image_close(image);
	CHECK_EQ(truncate(path, 3 * 65536), 0);
	refused(path);
	CHECK_EQ(truncate(path, 100), 0);
	refused(path);
}

TEST(qcow2_backing_files_in_a_loop_are_found)
{
	const char *a = path_of("loop-a.qcow2"), *b = path_of("loop-b.qcow2");
	create(a, 1 << 20, 0, NULL);
	create(b, 1 << 20, 0, "loop-a.qcow2");
	unlink(a);
	create(a, 1 << 20, 0, NULL);
	char name[] = "loop-b.qcow2";
	int fd = open(a, O_WRONLY);
	assert_int_equal(pwrite(fd, name, 12, 300), 12);
	close(fd);
	poke(a, H_BACKING_OFFSET, 300, 8);
	poke(a, H_BACKING_LEN, 12, 4);
	CHECK(strstr(refused(b).text, "loop") != NULL);
	poke(a, H_BACKING_LEN, 5000, 4);
	CHECK(strstr(refused(a).text, "backing file") != NULL);
}

/* Random damage anywhere in the metadata: whatever happens, it ends, and within our own memory. */
TEST(qcow2_randomly_damaged_images_never_harm_the_reader)
{
	const uint64_t size = 1 << 20;
	const char *path = path_of("fuzz.qcow2"), *good = path_of("good.qcow2");
	uint8_t *model = calloc(1, size), *buf = malloc(size);
	create(good, size, 512, NULL);
	struct image *image = open_ok(good, false);
	exercise(image, model, size, 60, 9000);
	image_close(image);
	for (unsigned i = 0; i < 150; i++) {
		struct image_error err;
		CHECK_EQ(run("cp %s %s", good, path), 0);
		for (unsigned n = 1 + random_u32() % 8; n > 0; n--) {
			uint64_t at = random_u32() % 3 ? random_u32() % 120 : random_u32() % 20000;
			uint32_t bytes = random_u32();		/* two draws in one argument list have no order */
			poke(path, at, bytes, 1 + random_u32() % 4);
		}
		if (image_open(&image, path, &(struct image_options){ .format = "qcow2" }, &err) < 0)
			continue;
		for (uint64_t at = 0; at < MIN(image->size_bytes, size); at += 65536) {
			image_read(image, at, buf, 65536);
			image_write(image, at + 100, model, 7000);
		}
		image_flush(image);
		image_close(image);
	}
	free(model);
	free(buf);
}
