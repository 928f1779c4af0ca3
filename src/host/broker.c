/*
 * See broker.h. A request is one message: operation, flags, path. An answer is one message: errno, and the descriptor.
 */
#include "host/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/helper.h"
#include "host/landlock.h"
#include "host/pass.h"
#include "host/seccomp.h"

#define MAX_ROOTS	16
#define MAX_UNLINKS	32
#define MAX_MADE	256

enum op { OP_ALLOW, OP_ALLOW_UNLINK, OP_SEAL, OP_OPEN, OP_UNLINK };

struct request {
	uint32_t op, flags;		/* flags: of open(2), or enum broker_rights */
	char path[PATH_MAX];
};

/* --- the broker's process --- */

struct root {
	int fd;
	unsigned rights;
	char path[PATH_MAX];		/* absolute, no '/' at the end, no links */
	char name[PATH_MAX];		/* the same as it was given, where links may be on the way */
};

struct broker {
	int fd;
	bool sealed;
	unsigned nroots, nunlinks, nmade, landlock;
	struct root root[MAX_ROOTS];
	char *unlink[MAX_UNLINKS];
	struct { dev_t dev; ino_t ino; } made[MAX_MADE];
	char cwd[PATH_MAX];
	struct request req;
};

static bool make_absolute(const struct broker *b, const char *path, char *out, size_t room)
{
	const char *folder = path[0] == '/' ? "" : b->cwd;

	return (size_t)snprintf(out, room, "%s%s%s", folder, path[0] == '/' ? "" : "/", path) < room;
}

static int allow(struct broker *b, const char *path, unsigned rights)
{
	if (b->sealed)
		return -EPERM;
	if (b->nroots == MAX_ROOTS)
		return -ENOSPC;
	struct root *r = &b->root[b->nroots];
	if (realpath(path, r->path) == NULL)
		return -errno;
	for (unsigned i = 0; i < b->nroots; i++)
		if (strcmp(b->root[i].path, r->path) == 0 && (b->root[i].rights | rights) == b->root[i].rights)
			return 0;
	r->rights = rights;
	if (!make_absolute(b, path, r->name, sizeof(r->name)))
		return -ENAMETOOLONG;
	for (size_t len = strlen(r->name); len > 0 && r->name[len - 1] == '/'; )
		r->name[--len] = '\0';
	r->fd = open(r->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (r->fd < 0)
		return -errno;
	if (strcmp(r->path, "/") == 0)
		r->path[0] = '\0';
	b->nroots++;
	return 0;
}

static int allow_unlink(struct broker *b, const char *path)
{
	if (b->sealed)
		return -EPERM;
	if (b->nunlinks == MAX_UNLINKS)
		return -ENOSPC;
	b->unlink[b->nunlinks] = strdup(path);
	return b->unlink[b->nunlinks] ? (int)(b->nunlinks++, 0) : -ENOMEM;
}

/* What is left of path below the root, or NULL. Names are compared, so "." and ".." are refused before. */
static const char *below(const struct root *r, const char *path)
{
	const char *const names[] = { r->path, r->name };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t len = strlen(names[i]);

		if (strncmp(path, names[i], len) == 0 && path[len] == '/' && path[len + 1])
			return path + len + 1;
	}
	return NULL;
}

static bool dotted(const char *rest)
{
	return rest[0] == '.' || strstr(rest, "/.") != NULL;
}

static bool climbs(const char *path)
{
	for (const char *p = path; (p = strstr(p, "/..")); p += 3)
		if (p[3] == '/' || p[3] == '\0')
			return true;
	return false;
}

static bool was_made(const struct broker *b, const struct stat *st)
{
	for (unsigned i = 0; i < b->nmade; i++)
		if (b->made[i].dev == st->st_dev && b->made[i].ino == st->st_ino)
			return true;
	return false;
}

static int open_below(const struct root *r, const char *rest, int flags, bool create)
{
	struct open_how how = {
		.flags = (unsigned)(flags & (O_ACCMODE | O_CLOEXEC)) | O_NONBLOCK | O_NOCTTY | (create ? O_CREAT | O_EXCL : 0),
		.mode = create ? 0666 : 0,
		.resolve = RESOLVE_NO_MAGICLINKS | (r->rights & BROKER_LINKS ? 0 : RESOLVE_BENEATH),
	};
	int fd = (int)syscall(SYS_openat2, r->fd, rest, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/*
 * Nothing is lost with it but a screendump: an empty file, as mkstemp() makes one, a PPM, or a PNG of ours. What is
 * run, built or believed looks otherwise, so that a monitor that was taken over cannot put something in its place.
 */
static bool may_be_replaced(const struct root *r, const char *rest, const struct stat *st)
{
	static const uint8_t png[] = "\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR", text[] = "tEXtSoftware\0plex86";
	uint8_t head[64] = { 0 };
	struct stat now;

	if (st->st_size == 0)
		return true;
	int fd = open_below(r, rest, O_RDONLY | O_CLOEXEC, false);
	if (fd < 0)
		return false;
	bool same = fstat(fd, &now) == 0 && now.st_dev == st->st_dev && now.st_ino == st->st_ino;
	ssize_t n = same ? pread(fd, head, sizeof(head), 0) : -1;
	close(fd);
	if (n >= 8 && memcmp(head, "P6\n", 3) == 0 && head[3] >= '0' && head[3] <= '9')
		return true;
	/* The text is the first chunk after the header's 33 bytes; before its type stands its length. */
	return n == sizeof(head) && memcmp(head, png, sizeof(png) - 1) == 0 && memcmp(head + 37, text, sizeof(text) - 1) == 0;
}

/* A new file, or one that may be overwritten. */
static int open_for_writing(struct broker *b, const struct root *r, const char *rest, int flags)
{
	struct stat st;
	int fd = -EEXIST;

	if (flags & O_CREAT && r->rights & BROKER_CREATE) {
		fd = open_below(r, rest, flags, true);
		if (fd >= 0 && fstat(fd, &st) == 0 && b->nmade < MAX_MADE) {
			b->made[b->nmade].dev = st.st_dev;
			b->made[b->nmade++].ino = st.st_ino;
		}
	}
	if (fd != -EEXIST)
		return fd;
	fd = open_below(r, rest, flags, false);
	if (fd < 0)
		return fd;
	int rc = fstat(fd, &st) < 0 ? -errno : !S_ISREG(st.st_mode) ? -EACCES :
	    !(r->rights & BROKER_WRITE) && !was_made(b, &st) && !(flags & O_TRUNC && r->rights & BROKER_CREATE && may_be_replaced(r, rest, &st)) ? (flags & O_CREAT ? -EEXIST : -EACCES) :
	    flags & O_TRUNC && ftruncate(fd, 0) < 0 ? -errno : 0;
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

static int open_for_reading(const struct root *r, const char *rest, int flags)
{
	struct stat st;
	int fd = r->rights & BROKER_READ ? open_below(r, rest, flags, false) : -EACCES;

	if (fd < 0 || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)))
		return fd;
	close(fd);
	return -EACCES;
}

static int open_for(struct broker *b, const char *path, int flags)
{
	char absolute[2 * PATH_MAX];
	int rc = -EACCES;

	if (!make_absolute(b, path, absolute, sizeof(absolute)) || climbs(absolute))
		return -EACCES;
	/* The first root that grants it: of those that do not, the error that says most. */
	for (unsigned i = 0; i < b->nroots; i++) {
		const struct root *r = &b->root[i];
		const char *rest = below(r, absolute);
		if (rest == NULL || (dotted(rest) && !(r->rights & BROKER_WRITE)))
			continue;
		bool write = (flags & O_ACCMODE) != O_RDONLY;
		int got = write ? open_for_writing(b, r, rest, flags) : open_for_reading(r, rest, flags);
		if (got >= 0)
			return got;
		rc = rc == -EACCES ? got : rc;
	}
	return rc == -EXDEV ? -EACCES : rc;
}

static int unlink_for(struct broker *b, const char *path)
{
	struct stat st;

	for (unsigned i = 0; i < b->nunlinks; i++)
		if (strcmp(b->unlink[i], path) == 0)
			return unlink(path) < 0 ? -errno : 0;
	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && was_made(b, &st))
		return unlink(path) < 0 ? -errno : 0;
	return -EACCES;
}

/* The broker is confined itself: the files it may reach are the roots', also for the kernel. */
static int seal(struct broker *b)
{
	struct landlock_path path[MAX_ROOTS + MAX_UNLINKS];
	unsigned n = 0;

	for (unsigned i = 0; i < b->nroots; i++)
		path[n++] = (struct landlock_path){ b->root[i].rights & BROKER_LINKS ? "/usr" : b->root[i].path[0] ? b->root[i].path : "/",
		    b->root[i].rights & (BROKER_CREATE | BROKER_WRITE) };
	for (unsigned i = 0; i < b->nunlinks; i++) {
		char *slash = strrchr(b->unlink[i], '/');
		static char folder[MAX_UNLINKS][PATH_MAX];
		snprintf(folder[i], PATH_MAX, "%.*s", slash ? (int)(slash - b->unlink[i]) + 1 : 1, slash ? b->unlink[i] : ".");
		path[n++] = (struct landlock_path){ folder[i], true };
	}
	b->sealed = true;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	landlock_confine(path, n, false);
	return seccomp_confine(SECCOMP_BROKER);
}

static void answer(struct broker *b, int result)
{
	int32_t error = result < 0 ? result : 0;
	int fd = b->req.op == OP_OPEN ? result : -1;
	bool passed = pass_send(b->fd, &error, sizeof(error), fd) >= 0;

	error = -errno;
	if (fd >= 0)
		close(fd);
	if (passed)
		return;
	/* The monitor waits: an error is an answer, and if not even that can be sent, that we are gone is one. */
	if (send(b->fd, &error, sizeof(error), MSG_NOSIGNAL) < 0)
		_exit(1);
}

static void __attribute__((noreturn)) serve(struct broker *b)
{
	for (;;) {
		ssize_t n = recv(b->fd, &b->req, sizeof(b->req), 0);
		int result = -EINVAL;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(0);		/* the monitor is gone */
		if (n > (ssize_t)offsetof(struct request, path) && memchr(b->req.path, '\0', (size_t)n - offsetof(struct request, path))) {
			result = b->req.op == OP_ALLOW ? allow(b, b->req.path, b->req.flags) :
			    b->req.op == OP_ALLOW_UNLINK ? allow_unlink(b, b->req.path) : b->req.op == OP_SEAL ? seal(b) :
			    b->req.op == OP_OPEN ? open_for(b, b->req.path, (int)b->req.flags) :
			    b->req.op == OP_UNLINK ? unlink_for(b, b->req.path) : -EINVAL;
		}
		answer(b, result);
	}
}

static void __attribute__((noreturn)) broker_main(int fd)
{
	int keep = helper_begin(fd, "plex86-broker");
	struct broker *b = calloc(1, sizeof(*b));

	if (b == NULL || keep < 0 || getcwd(b->cwd, sizeof(b->cwd)) == NULL)
		_exit(1);
	b->fd = keep;
	serve(b);
}

/* --- the monitor's side --- */

/* A process has one broker, as it has one set of system calls it may make. */
static struct {
	int fd;
	bool sealed;
	pthread_mutex_t lock;
} ours = { .fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER };

int host_broker_start(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		broker_main(pair[1]);
	}
	int rc = -errno;
	close(pair[1]);
	if (pid > 0) {
		ours.fd = pair[0];
		return 0;
	}
	close(pair[0]);
	return rc;
}

static int ask_locked(const struct request *req, size_t len)
{
	int32_t error = -EIO;
	int fd = -1;
	ssize_t n;

	while ((n = send(ours.fd, req, len, MSG_NOSIGNAL)) < 0 && errno == EINTR)
		;
	if (n < 0)
		return -errno;
	while ((n = pass_receive(ours.fd, &error, sizeof(error), 0, &fd)) < 0 && errno == EINTR)
		;
	if (n != sizeof(error)) {
		/* It is gone; or an answer is left that the next request would take for its own. */
		close(ours.fd);
		ours.fd = -1;
		return -EIO;
	}
	return error == 0 && fd >= 0 ? fd : error;
}

/* A descriptor, 0, or -errno. */
static int ask(enum op op, unsigned flags, const char *path)
{
	struct request req = { .op = op, .flags = flags };
	size_t len = strlen(path);

	if (ours.fd < 0)
		return ours.sealed ? -EACCES : -ENOENT;
	if (len >= sizeof(req.path))
		return -ENAMETOOLONG;
	memcpy(req.path, path, len + 1);
	pthread_mutex_lock(&ours.lock);
	int rc = ask_locked(&req, offsetof(struct request, path) + len + 1);
	pthread_mutex_unlock(&ours.lock);
	return rc;
}

int host_broker_allow(const char *folder, unsigned rights)
{
	return ours.fd < 0 ? 0 : ask(OP_ALLOW, rights, folder);
}

int host_broker_allow_unlink(const char *path)
{
	return ours.fd < 0 ? 0 : ask(OP_ALLOW_UNLINK, 0, path);
}

void host_broker_seal(void)
{
	if (ours.fd >= 0)
		ask(OP_SEAL, 0, "");
	ours.sealed = true;
}

bool host_broker_sealed(void)
{
	return ours.sealed;
}

/* --- passed descriptors --- */

/* Beside ours: names of files mean the same to every part of the process. fd + 1; 0: free. */
static int fdset[HOST_FDSETS];

int host_fdset_add(int fd)
{
	for (unsigned i = 0; i < HOST_FDSETS; i++) {
		if (fdset[i] == 0) {
			fdset[i] = fd + 1;
			return (int)i;
		}
	}
	close(fd);
	return -ENOSPC;
}

int host_fdset_remove(unsigned id)
{
	if (id >= HOST_FDSETS || fdset[id] == 0)
		return -ENOENT;
	close(fdset[id] - 1);
	fdset[id] = 0;
	return 0;
}

static const char fdset_prefix[] = "/dev/fdset/";

bool host_fdset_named(const char *path)
{
	return strncmp(path, fdset_prefix, sizeof(fdset_prefix) - 1) == 0;
}

int host_fdset_dup(const char *path)
{
	const char *digit = path + sizeof(fdset_prefix) - 1;
	unsigned id = (unsigned)(*digit - '0');

	if (id >= HOST_FDSETS || digit[1] != '\0' || fdset[id] == 0)
		return -ENOENT;
	int fd = dup(fdset[id] - 1);
	return fd < 0 ? -errno : fd;
}

/* Is it the name of one? Then it is opened: *fd, or -errno. */
static bool open_fdset(const char *path, int flags, int *fd)
{
	if (!host_fdset_named(path))
		return false;
	*fd = host_fdset_dup(path);
	if (*fd < 0)
		return true;
	if (lseek(*fd, 0, SEEK_SET) < 0 || (flags & O_TRUNC && ftruncate(*fd, 0) < 0)) {
		int rc = -errno;
		close(*fd);
		*fd = rc;
	}
	return true;
}

static int result(int rc)
{
	if (rc < 0)
		errno = -rc;
	return rc < 0 ? -1 : rc;
}

int host_open(const char *path, int flags, unsigned mode)
{
	int fd;

	if (open_fdset(path, flags, &fd))
		return result(fd);
	return ours.sealed ? result(ask(OP_OPEN, (unsigned)flags, path)) : open(path, flags, mode);
}

FILE *host_fopen(const char *path, const char *mode)
{
	bool write = mode[0] == 'w';
	int fd = host_open(path, O_CLOEXEC | (write ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY), 0666);
	FILE *f = fd >= 0 ? fdopen(fd, mode) : NULL;

	if (fd >= 0 && f == NULL)
		close(fd);
	return f;
}

int host_stat(const char *path, struct stat *st)
{
	int fd;

	if (!open_fdset(path, 0, &fd)) {
		if (!ours.sealed)
			return stat(path, st);
		fd = ask(OP_OPEN, O_RDONLY | O_CLOEXEC, path);
	}
	if (result(fd) < 0)
		return -1;
	int rc = fstat(fd, st);
	close(fd);
	return rc;
}

int host_unlink(const char *path)
{
	return ours.sealed ? result(ask(OP_UNLINK, 0, path)) : unlink(path);
}
