/*
 * libFuzzer target: a qcow2 image, damaged anywhere, opened for writing, read and written.
 *
 * The input is a list of pokes (position, length, bytes) into a small sound image; small clusters, so that all
 * its tables lie close together. Whatever comes of it, opening and each request ends, and within our own
 * memory: the sanitizers watch.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image/qcow2.h"

#define DISK_BYTES	(256u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t sound[96 << 10];
static size_t sound_bytes;
static int fd = -1;
static char path[64];

static void make_sound_image(void)
{
	struct image_error err;
	struct image *image;
	uint8_t buf[3000];

	fd = memfd_create("fuzz", 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	struct image_create_options o = { .format = "qcow2", .size_bytes = DISK_BYTES, .cluster_bytes = 512 };
	if (fd < 0 || image_create(path, &o, &err) < 0 ||
	    image_open(&image, path, &(struct image_options){ .format = "qcow2" }, &err) < 0)
		abort();
	memset(buf, 0x5A, sizeof(buf));
	for (unsigned i = 0; i < 6; i++)
		if (image_write(image, i * 40000 + 100, buf, sizeof(buf)) < 0)
			abort();
	image_close(image);
	ssize_t n = pread(fd, sound, sizeof(sound), 0);
	if (n <= 0 || n == sizeof(sound))
		abort();
	sound_bytes = n;
}

/* position: 16 bits; length 0..7: that many bytes; a length of 7 cuts the file off instead. */
static void poke(const uint8_t *p, size_t left)
{
	size_t at = (p[0] | p[1] << 8) % sound_bytes, len = p[2] & 7;

	if (len == 7 && p[2] >= 0xF0) {
		if (ftruncate(fd, at) < 0)
			abort();
		return;
	}
	if (pwrite(fd, p + 3, MIN(len, left - 3), at) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_error err;
	struct image *image;
	static uint8_t buf[8192];

	if (fd < 0)
		make_sound_image();
	if (ftruncate(fd, 0) < 0 || pwrite(fd, sound, sound_bytes, 0) != (ssize_t)sound_bytes)
		abort();
	for (size_t i = 0; i + 3 < size; i += 3 + (data[i + 2] & 7))
		poke(data + i, size - i);
	if (image_open(&image, path, &(struct image_options){ .format = "qcow2" }, &err) < 0)
		return 0;
	uint64_t end = MIN(image->size_bytes, DISK_BYTES);
	for (uint64_t at = 0; at < end; at += sizeof(buf))
		image_read(image, at, buf, MIN(sizeof(buf), end - at));
	for (uint64_t at = 300; at + 1000 <= end; at += 23456) {
		memset(buf, 0xC3, 1000);
		image_write(image, at, buf, 1000);
		if (at % 5 == 0)
			image_flush(image);
	}
	uint64_t len = DISK_BYTES;
	image_is_zero(image, 0, &len);
	image_close(image);
	return 0;
}
