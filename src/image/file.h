/*
 * A host file that holds an image: the only OS calls of the image layer.
 */
#ifndef PLEX86_IMAGE_FILE_H
#define PLEX86_IMAGE_FILE_H

#include "image/image.h"

struct file {
	int fd;
	bool read_only;
	char *path;			/* owned */
};

enum file_mode { FILE_READ, FILE_WRITE, FILE_CREATE };

/* A regular file or block device. 0 or -errno with a text. FILE_CREATE: made or emptied, after locking. */
int file_open(struct file *file, const char *path, enum file_mode mode, bool lock, struct image_error *err);
/* An unnamed file in $TMPDIR or /var/tmp, gone when closed. */
int file_open_temporary(struct file *file, struct image_error *err);
/* Which file a path leads to. */
int file_identity(const char *path, uint64_t *dev, uint64_t *ino);
void file_close(struct file *file);

int file_size(const struct file *file, uint64_t *bytes);
/* Bytes past the end of the file read as zero. 0 or -errno. */
int file_read(const struct file *file, uint64_t offset, void *buf, size_t len);
/* All of it, or -errno. */
int file_write(const struct file *file, uint64_t offset, const void *buf, size_t len);
int file_sync(const struct file *file);			/* fdatasync */
int file_truncate(const struct file *file, uint64_t bytes);
/* From offset on there is a hole of at least *len bytes (*len is made smaller if not). */
bool file_is_hole(const struct file *file, uint64_t offset, uint64_t *len);

#endif
