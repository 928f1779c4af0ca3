/*
 * Files that hold images.				[open(2), fcntl(2) "Open file description locks"]
 *
 * Locking: byte 100 + n of the file is locked shared by who uses permission n, byte 200 + n by who
 * does not let others use it (n = 1: write; n = 3: resize). These are the bytes QEMU and its tools lock,
 * so that neither disturbs the other. The locks belong to the open file and go when it is closed,
 * however the process ends. A file system without locks: we go on without.
 */
#include "image/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/broker.h"

enum { LOCK_USE = 100, LOCK_DENY = 200 };
enum { PERM_READ = 0, PERM_WRITE = 1, PERM_RESIZE = 3 };

static int lock_byte(int fd, int command, short type, off_t at)
{
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };

	if (fcntl(fd, command, &fl) < 0)
		return -errno;
	if (command == F_OFD_GETLK)
		return fl.l_type == F_UNLCK ? 0 : -EAGAIN;
	return 0;
}

/* Announce what we use and deny, then see whether anybody objects. */
static int file_lock(int fd, bool write)
{
	static const int perms[] = { PERM_WRITE, PERM_RESIZE };
	int err = lock_byte(fd, F_OFD_SETLK, F_RDLCK, LOCK_USE + PERM_READ);

	for (unsigned i = 0; i < ARRAY_LEN(perms) && err == 0; i++) {
		if (write)
			err = lock_byte(fd, F_OFD_SETLK, F_RDLCK, LOCK_USE + perms[i]);
		if (err == 0)
			err = lock_byte(fd, F_OFD_SETLK, F_RDLCK, LOCK_DENY + perms[i]);
	}
	if (err == 0)
		err = lock_byte(fd, F_OFD_GETLK, F_WRLCK, LOCK_DENY + PERM_READ);
	for (unsigned i = 0; i < ARRAY_LEN(perms) && err == 0; i++) {
		err = lock_byte(fd, F_OFD_GETLK, F_WRLCK, LOCK_USE + perms[i]);
		if (err == 0 && write)
			err = lock_byte(fd, F_OFD_GETLK, F_WRLCK, LOCK_DENY + perms[i]);
	}
	if (err == -EAGAIN || err == -EACCES)
		return -EBUSY;
	return 0;				/* EINVAL, ENOLCK...: no such locks here */
}

/* The text for what open(2) said. */
static int open_failed(const char *path, int error, bool write, struct image_error *err)
{
	if (write && (error == EACCES || error == EROFS || error == EPERM))
		image_set_error(err, "%s: may not be written (%s); open it read-only, or with -snapshot", path,
		    strerror(error));
	else
		image_set_error(err, "%s: %s", path, strerror(error));
	return -error;
}

static int check_kind(struct file *file, struct image_error *err)
{
	struct stat st;

	if (fstat(file->fd, &st) < 0)
		return open_failed(file->path, errno, false, err);
	if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
		return 0;
	image_set_error(err, "%s: is %s, not a disk image", file->path,
	    S_ISDIR(st.st_mode) ? "a directory" : S_ISFIFO(st.st_mode) ? "a pipe" :
	    S_ISCHR(st.st_mode) ? "a character device" : "a special file");
	return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
}

int file_open(struct file *file, const char *path, enum file_mode mode, bool lock, struct image_error *err)
{
	int flags = O_CLOEXEC | O_NONBLOCK | (mode == FILE_READ ? O_RDONLY : O_RDWR) |
	    (mode == FILE_CREATE ? O_CREAT : 0);
	int ret;

	*file = (struct file){ .fd = -1, .read_only = mode == FILE_READ, .path = strdup(path) };
	if (file->path == NULL)
		return -ENOMEM;
	file->fd = host_open(path, flags, 0644);
	if (file->fd < 0) {
		/* A directory cannot be opened for writing: say what it is rather than that. */
		ret = errno == EISDIR ? -EISDIR : open_failed(path, errno, mode != FILE_READ, err);
		if (ret == -EISDIR)
			image_set_error(err, "%s: is a directory, not a disk image", path);
		goto fail;
	}
	ret = check_kind(file, err);
	if (ret < 0)
		goto fail;
	if (lock && file_lock(file->fd, mode != FILE_READ) < 0) {
		image_set_error(err, "%s: is in use by another virtual machine or tool", path);
		ret = -EBUSY;
		goto fail;
	}
	if (mode == FILE_CREATE && ftruncate(file->fd, 0) < 0) {
		ret = open_failed(path, errno, true, err);
		goto fail;
	}
	return 0;
fail:
	file_close(file);
	return ret;
}

int file_identity(const char *path, uint64_t *dev, uint64_t *ino)
{
	struct stat st;

	if (host_stat(path, &st) < 0)
		return -errno;
	*dev = st.st_dev;
	*ino = st.st_ino;
	return 0;
}

int file_open_temporary(struct file *file, struct image_error *err)
{
	const char *dir = getenv("TMPDIR");

	if (dir == NULL || dir[0] == '\0')
		dir = "/var/tmp";		/* not /tmp: that is often memory */
	*file = (struct file){ .fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), .path = strdup(dir) };
	if (file->fd < 0) {			/* a file system that has no unnamed files */
		char name[512];
		snprintf(name, sizeof(name), "%s/plex86-XXXXXX", dir);
		file->fd = mkostemp(name, O_CLOEXEC);
		if (file->fd >= 0)
			unlink(name);
	}
	if (file->fd < 0 || file->path == NULL) {
		int error = errno;
		image_set_error(err, "no temporary file in %s: %s", dir, strerror(error));
		file_close(file);
		return -error;
	}
	return 0;
}

void file_close(struct file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	*file = (struct file){ .fd = -1 };
}

int file_size(const struct file *file, uint64_t *bytes)
{
	struct stat st;

	if (fstat(file->fd, &st) < 0)
		return -errno;
	*bytes = st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(file->fd, BLKGETSIZE64, bytes) < 0)
		return -errno;
	return 0;
}

int file_read(const struct file *file, uint64_t offset, void *buf, size_t len)
{
	uint8_t *p = buf;

	if (offset > INT64_MAX - len)		/* nothing can be there */
		return -EINVAL;
	while (len > 0) {
		ssize_t n = pread(file->fd, p, len, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) {
			memset(p, 0, len);
			return 0;
		}
		p += n;
		offset += n;
		len -= n;
	}
	return 0;
}

int file_write(const struct file *file, uint64_t offset, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	if (offset > INT64_MAX - len)
		return -EINVAL;
	while (len > 0) {
		ssize_t n = pwrite(file->fd, p, len, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENOSPC;
		p += n;
		offset += n;
		len -= n;
	}
	return 0;
}

int file_sync(const struct file *file)
{
	return fdatasync(file->fd) < 0 ? -errno : 0;
}

int file_truncate(const struct file *file, uint64_t bytes)
{
	return ftruncate(file->fd, bytes) < 0 ? -errno : 0;
}

bool file_is_hole(const struct file *file, uint64_t offset, uint64_t *len)
{
	off_t data = lseek(file->fd, offset, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO;		/* no data from here to the end */
	if ((uint64_t)data <= offset)
		return false;
	*len = MIN(*len, (uint64_t)data - offset);
	return true;
}
