/*
 * The seam for faults of the host: linked with --wrap, each call of the monitor below comes here first.
 *
 * PLEX86_FAULT=CALL:N:ERRNO makes the N-th call of that name fail, once; CALL:N+:ERRNO makes it fail from then on. A byte
 * goes to the file PLEX86_FAULT_LOG when it happens. Only the program of the tests is linked like this.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static char call[32];
static long nth, seen;
static int error, log_fd = -1;
static int from_then_on;

__attribute__((constructor)) static void learn(void)
{
	const char *text = getenv("PLEX86_FAULT"), *path = getenv("PLEX86_FAULT_LOG");
	char plus = 0;

	if (text == NULL || path == NULL)
		return;
	if (sscanf(text, "%31[^:]:%ld:%d", call, &nth, &error) != 3 && sscanf(text, "%31[^:]:%ld%c:%d", call, &nth, &plus, &error) != 4)
		abort();
	from_then_on = plus == '+';
	/* High, where nothing that counts descriptors minds it. */
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 90);
	close(fd);
}

static int fails(const char *name)
{
	if (log_fd < 0 || strcmp(name, call) != 0)
		return 0;
	long n = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
	if (n != nth && !(from_then_on && n > nth))
		return 0;
	syscall(SYS_write, log_fd, "x", 1);
	errno = error;
	return 1;
}

#define WRAP(type, name, params, args, failed)		\
	type __real_##name params;			\
	type __wrap_##name params;			\
	type __wrap_##name params { return fails(#name) ? (failed) : __real_##name args; }

WRAP(void *, mmap64, (void *at, size_t len, int prot, int flags, int fd, off_t offset), (at, len, prot, flags, fd, offset), MAP_FAILED)
WRAP(int, mprotect, (void *at, size_t len, int prot), (at, len, prot), -1)
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags), -1)
WRAP(int, ftruncate64, (int fd, off_t len), (fd, len), -1)
WRAP(void *, malloc, (size_t n), (n), NULL)
WRAP(void *, calloc, (size_t n, size_t size), (n, size), NULL)
WRAP(void *, realloc, (void *p, size_t n), (p, n), NULL)
WRAP(char *, strdup, (const char *s), (s), NULL)
WRAP(ssize_t, read, (int fd, void *buf, size_t n), (fd, buf, n), -1)
WRAP(ssize_t, write, (int fd, const void *buf, size_t n), (fd, buf, n), -1)
WRAP(ssize_t, pread64, (int fd, void *buf, size_t n, off_t at), (fd, buf, n, at), -1)
WRAP(ssize_t, pwrite64, (int fd, const void *buf, size_t n, off_t at), (fd, buf, n, at), -1)
WRAP(int, fdatasync, (int fd), (fd), -1)
WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol), -1)
WRAP(int, socketpair, (int domain, int type, int protocol, int *pair), (domain, type, protocol, pair), -1)
WRAP(int, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n), -1)
WRAP(int, listen, (int fd, int n), (fd, n), -1)
WRAP(int, accept4, (int fd, struct sockaddr *a, socklen_t *n, int flags), (fd, a, n, flags), -1)
WRAP(int, pthread_create, (pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg), (t, a, fn, arg), errno)
WRAP(int, timer_create, (clockid_t c, struct sigevent *ev, timer_t *t), (c, ev, t), -1)
WRAP(int, timerfd_create, (int c, int flags), (c, flags), -1)
WRAP(int, epoll_create1, (int flags), (flags), -1)
struct epoll_event;
WRAP(int, epoll_ctl, (int fd, int op, int other, struct epoll_event *ev), (fd, op, other, ev), -1)
WRAP(int, eventfd, (unsigned n, int flags), (n, flags), -1)
WRAP(pid_t, fork, (void), (), -1)
WRAP(int, munmap, (void *at, size_t len), (at, len), -1)
WRAP(int, madvise, (void *at, size_t len, int what), (at, len, what), -1)
WRAP(int, sigaltstack, (const stack_t *to, stack_t *old), (to, old), -1)
WRAP(int, timer_settime, (timer_t t, int flags, const struct itimerspec *to, struct itimerspec *old), (t, flags, to, old), -1)
WRAP(int, timerfd_settime, (int fd, int flags, const struct itimerspec *to, struct itimerspec *old), (fd, flags, to, old), -1)
WRAP(int, epoll_wait, (int fd, struct epoll_event *ev, int n, int ms), (fd, ev, n, ms), -1)
struct pollfd;
WRAP(int, poll, (struct pollfd *p, unsigned long n, int ms), (p, n, ms), -1)
WRAP(ssize_t, send, (int fd, const void *buf, size_t n, int flags), (fd, buf, n, flags), -1)
WRAP(ssize_t, recv, (int fd, void *buf, size_t n, int flags), (fd, buf, n, flags), -1)
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags), -1)
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags), -1)
WRAP(int, setsockopt, (int fd, int level, int name, const void *v, socklen_t n), (fd, level, name, v, n), -1)
WRAP(int, getsockopt, (int fd, int level, int name, void *v, socklen_t *n), (fd, level, name, v, n), -1)
struct addrinfo;
WRAP(int, getaddrinfo, (const char *host, const char *port, const struct addrinfo *like, struct addrinfo **found), (host, port, like, found), -4)
WRAP(int, connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n), -1)
struct stat;
WRAP(int, fstat64, (int fd, struct stat *st), (fd, st), -1)
WRAP(int, stat64, (const char *path, struct stat *st), (path, st), -1)
WRAP(int, lstat64, (const char *path, struct stat *st), (path, st), -1)
WRAP(off_t, lseek64, (int fd, off_t at, int from), (fd, at, from), -1)
WRAP(int, unlink, (const char *path), (path), -1)
WRAP(int, mkdir, (const char *path, unsigned mode), (path, mode), -1)
WRAP(int, dup, (int fd), (fd), -1)
WRAP(int, dup2, (int from, int to), (from, to), -1)
WRAP(int, pipe2, (int *fds, int flags), (fds, flags), -1)
WRAP(FILE *, fopen64, (const char *path, const char *how), (path, how), NULL)
WRAP(FILE *, fdopen, (int fd, const char *how), (fd, how), NULL)
WRAP(FILE *, open_memstream, (char **text, size_t *len), (text, len), NULL)
WRAP(char *, strndup, (const char *s, size_t n), (s, n), NULL)
WRAP(char *, realpath, (const char *path, char *to), (path, to), NULL)
WRAP(char *, getcwd, (char *to, size_t n), (to, n), NULL)
WRAP(int, posix_openpt, (int flags), (flags), -1)
WRAP(int, grantpt, (int fd), (fd), -1)
WRAP(int, unlockpt, (int fd), (fd), -1)
WRAP(int, ptsname_r, (int fd, char *to, size_t n), (fd, to, n), error)
WRAP(int, mkostemp64, (char *path, int flags), (path, flags), -1)
struct termios;
WRAP(int, tcgetattr, (int fd, struct termios *t), (fd, t), -1)
WRAP(int, tcsetattr, (int fd, int when, const struct termios *t), (fd, when, t), -1)
struct rlimit;
WRAP(int, setrlimit64, (int what, const struct rlimit *to), (what, to), -1)
WRAP(int, getrlimit64, (int what, struct rlimit *to), (what, to), -1)
WRAP(ssize_t, getrandom, (void *buf, size_t n, unsigned flags), (buf, n, flags), -1)
WRAP(void *, seccomp_init, (unsigned action), (action), NULL)
WRAP(int, seccomp_load, (void *filter), (filter), -error)
WRAP(int, prctl, (int what, unsigned long a, unsigned long b, unsigned long c, unsigned long d), (what, a, b, c, d), -1)
WRAP(int, fcntl64, (int fd, int what, void *arg), (fd, what, arg), -1)
WRAP(int, ioctl, (int fd, unsigned long what, void *arg), (fd, what, arg), -1)

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	int mode = va_arg(ap, int);
	va_end(ap);
	return fails("open64") ? -1 : __real_open64(path, flags, mode);
}
