#include "host/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A pipe or a device has no size: read to its end. */
static int read_stream(struct host_file *file, int fd)
{
	size_t room = 1 << 20, len = 0;
	uint8_t *buf = malloc(room);

	while (buf) {
		ssize_t n = read(fd, buf + len, room - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int rc = -errno;
			free(buf);
			return rc;
		}
		if (n == 0) {
			file->data = buf;
			file->size = len;
			return 0;
		}
		len += (size_t)n;
		if (len > (size_t)1 << 32) {
			free(buf);
			return -EFBIG;
		}
		if (len == room) {
			uint8_t *more = realloc(buf, room *= 2);
			if (more == NULL)
				free(buf);
			buf = more;
		}
	}
	return -ENOMEM;
}

static int read_file(struct host_file *file, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return read_stream(file, fd);
	if (st.st_size == 0)
		return 0;
	void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	file->data = map;
	file->size = (size_t)st.st_size;
	file->mapped = true;
	return 0;
}

int host_file_open(struct host_file *file, const char *what, const char *path, struct error *err)
{
	int rc;

	*file = (struct host_file){ .path = path };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		rc = -errno;
	} else {
		rc = read_file(file, fd);
		close(fd);
	}
	if (rc < 0)
		return error_set(err, rc, "%s '%s': %s", what, path, strerror(-rc));
	if (file->size == 0)
		return error_set(err, -EINVAL, "%s '%s': the file is empty", what, path);
	return 0;
}

void host_file_rest(const struct host_file *file)
{
	if (file->mapped)
		madvise((void *)(uintptr_t)file->data, file->size, MADV_DONTNEED);
}

void host_file_close(struct host_file *file)
{
	if (file->mapped)
		munmap((void *)(uintptr_t)file->data, file->size);
	else
		free((void *)(uintptr_t)file->data);
	*file = (struct host_file){ 0 };
}

unsigned host_std_descriptors(void)
{
	unsigned closed = 0;

	for (int fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			continue;
		closed |= BIT(fd);
		int got = open("/dev/null", O_RDWR);
		if (got >= 0 && got != fd) {
			dup2(got, fd);
			close(got);
		}
	}
	return closed;
}
