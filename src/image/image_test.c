#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/test_folder.h"
#include "tests/test.h"

static void put_file(const char *path, const char *bytes, size_t len)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static struct image *open_ok(const char *path, struct image_options o)
{
	struct image_error err = { "" };
	struct image *image;

	if (image_open(&image, path, &o, &err) < 0)
		fail_msg("%s", err.text);
	return image;
}

static struct image_error open_fails(const char *path, struct image_options o)
{
	struct image_error err = { "" };
	struct image *image;

	assert_true(image_open(&image, path, &o, &err) < 0);
	assert_true(err.text[0] != '\0');
	return err;
}

static void make_raw(const char *path, uint64_t size)
{
	struct image_error err = { "" };

	if (image_create(path, &(struct image_create_options){ .format = "raw", .size_bytes = size }, &err) < 0)
		fail_msg("%s", err.text);
}

TEST(raw_image_returns_what_was_written)
{
	const char *path = path_of("a.raw");
	uint8_t buf[1024] = { 0 };
	make_raw(path, 1 << 20);
	struct image *image = open_ok(path, (struct image_options){ .format = "raw" });
	CHECK_EQ(image->size_bytes, 1 << 20);
	CHECK_EQ(image_write(image, 4096, "hello", 5), 0);
	CHECK_EQ(image_flush(image), 0);
	CHECK_EQ(image_read(image, 4090, buf, 16), 0);
	assert_memory_equal(buf, "\0\0\0\0\0\0hello\0\0\0\0", 15);
	CHECK_EQ(image_write(image, (1 << 20) - 2, "abc", 3), -EINVAL);
	image_close(image);
}

TEST(raw_image_of_odd_size_reads_as_whole_sectors)
{
	const char *path = path_of("odd.raw");
	uint8_t buf[512];
	memset(buf, 'x', sizeof(buf));
	put_file(path, (char *)buf, 300);
	struct image *image = open_ok(path, (struct image_options){ .format = "raw" });
	CHECK_EQ(image->size_bytes, 512);
	CHECK_EQ(image_read(image, 0, buf, 512), 0);
	CHECK_EQ(buf[299], 'x');
	CHECK_EQ(buf[300], 0);
	CHECK_EQ(image_write(image, 511, "y", 1), 0);
	image_close(image);
}

TEST(image_opened_for_writing_is_locked_against_everybody)
{
	const char *path = path_of("lock.raw");
	make_raw(path, 4096);
	struct image *image = open_ok(path, (struct image_options){ .format = "raw" });
	struct image_error err = open_fails(path, (struct image_options){ .format = "raw" });
	CHECK(strstr(err.text, "in use") != NULL);
	open_fails(path, (struct image_options){ .format = "raw", .read_only = true });
	image_close(open_ok(path, (struct image_options){ .format = "raw", .read_only = true, .no_lock = true }));
	image_close(image);
	image_close(open_ok(path, (struct image_options){ .format = "raw" }));
}

TEST(image_opened_read_only_is_shared_with_readers_only)
{
	const char *path = path_of("share.raw");
	make_raw(path, 4096);
	struct image *one = open_ok(path, (struct image_options){ .read_only = true });
	struct image *two = open_ok(path, (struct image_options){ .read_only = true });
	open_fails(path, (struct image_options){ .format = "raw" });
	CHECK_EQ(image_write(one, 0, "x", 1), -EROFS);
	image_close(one);
	image_close(two);
}

TEST(image_in_use_by_qemu_img_is_seen_and_the_other_way_round)
{
	const char *path = path_of("qemu.qcow2");
	char cmd[512];
	if (system("command -v qemu-img >/dev/null 2>&1") != 0)
		SKIP();
	snprintf(cmd, sizeof(cmd), "qemu-img create -q -f qcow2 %s 1M", path);
	assert_int_equal(system(cmd), 0);
	struct image *image = open_ok(path, (struct image_options){ 0 });
	snprintf(cmd, sizeof(cmd), "qemu-img check %s >/dev/null 2>&1", path);
	CHECK(system(cmd) != 0);
	image_close(image);
	CHECK_EQ(system(cmd), 0);
}

TEST(snapshot_mode_leaves_the_file_as_it_was)
{
	const char *path = path_of("snap.raw");
	char buf[200000];
	make_raw(path, 300000);
	struct image *image = open_ok(path, (struct image_options){ .snapshot = true, .format = "raw" });
	memset(buf, 'S', sizeof(buf));
	CHECK_EQ(image_write(image, 50001, buf, sizeof(buf)), 0);
	memset(buf, 0, sizeof(buf));
	CHECK_EQ(image_read(image, 50000, buf, sizeof(buf)), 0);
	CHECK_EQ(buf[0], 0);
	CHECK_EQ(buf[1], 'S');
	CHECK_EQ(buf[sizeof(buf) - 1], 'S');
	CHECK_EQ(image_read(image, 250000, buf, 10), 0);
	CHECK_EQ(buf[0], 'S');
	CHECK_EQ(buf[1], 0);
	image_close(image);
	image = open_ok(path, (struct image_options){ .read_only = true });
	CHECK_EQ(image_read(image, 60000, buf, 1), 0);
	CHECK_EQ(buf[0], 0);
	image_close(image);
}

TEST(image_errors_name_the_file_and_say_what_it_is)
{
	struct image_error err = open_fails("/nonexistent/x.img", (struct image_options){ 0 });
	CHECK(strstr(err.text, "/nonexistent/x.img: No such file") != NULL);
	path_of("x");
	err = open_fails(dir, (struct image_options){ 0 });
	CHECK(strstr(err.text, "directory") != NULL);
	err = open_fails(dir, (struct image_options){ .read_only = true });
	CHECK(strstr(err.text, "directory") != NULL);
	err = open_fails("/dev/null", (struct image_options){ .read_only = true });
	CHECK(strstr(err.text, "character device") != NULL);
	err = open_fails(path_of("x"), (struct image_options){ .format = "vdi" });
	CHECK(strstr(err.text, "raw and qcow2") != NULL);
}

TEST(raw_image_of_guessed_format_cannot_be_turned_into_another)
{
	const char *path = path_of("guess.raw");
	uint8_t head[512] = { 'Q', 'F', 'I', 0xFB, 0, 0, 0, 3 };
	make_raw(path, 4096);
	struct image *image = open_ok(path, (struct image_options){ 0 });
	CHECK_EQ(image_write(image, 0, head, 512), -EPERM);
	CHECK_EQ(image_write(image, 512, head, 512), 0);
	image_close(image);
	image = open_ok(path, (struct image_options){ .format = "raw" });	/* told so: then it is data */
	CHECK_EQ(image_write(image, 0, head, 512), 0);
	image_close(image);
}

TEST(image_of_another_format_is_not_taken_for_a_raw_disk)
{
	static const struct { const char *head; unsigned at, len; const char *says; } files[] = {
		{ "KDMV\1\0\0\0", 0, 8, "format vmdk" },
		{ "# Disk DescriptorFile\nversion=1\n", 0, 32, "format vmdk" },
		{ "\x7F\x10\xDA\xBE\1\0\1\0", 64, 8, "format vdi" },
		{ "QFI\xFB\0\0\0\1", 0, 8, "qcow (version 1)" },
		{ "conectix\0\0\0\2", 0, 12, "VHD" },
		{ "\x1F\x8B\x08\0", 0, 4, "compressed (gzip)" },
		{ "\xFD" "7zXZ\0", 0, 6, "compressed (xz)" },
	};
	const char *path = path_of("foreign");
	char bytes[4096];

	for (unsigned i = 0; i < ARRAY_LEN(files); i++) {
		memset(bytes, 0, sizeof(bytes));
		memcpy(bytes + files[i].at, files[i].head, files[i].len);
		put_file(path, bytes, sizeof(bytes));
		struct image_error err = open_fails(path, (struct image_options){ 0 });
		CHECK(strstr(err.text, files[i].says) != NULL);
		image_close(open_ok(path, (struct image_options){ .format = "raw" }));	/* told so: then it is data */
	}
	put_file(path, "KDM", 3);
	image_close(open_ok(path, (struct image_options){ 0 }));
	put_file(path, "LUKS\xBA\xBE\0\1", 8);	/* which a guest may have put there */
	image_close(open_ok(path, (struct image_options){ 0 }));
}

TEST(image_create_does_not_empty_a_file_it_then_refuses)
{
	const char *path = path_of("keep.raw");
	struct image_error err = { "" };
	struct stat st;
	make_raw(path, 4096);
	CHECK(image_create(path, &(struct image_create_options){ .format = "qcow2", .backing = "/nonexistent" }, &err) < 0);
	CHECK(image_create(path, &(struct image_create_options){ .format = "qcow2", .backing = path }, &err) < 0);
	CHECK(strstr(err.text, "own backing") != NULL);
	CHECK(image_create(path, &(struct image_create_options){ .format = "qcow2", .cluster_bytes = 1000 }, &err) < 0);
	stat(path, &st);
	CHECK_EQ(st.st_size, 4096);
}
