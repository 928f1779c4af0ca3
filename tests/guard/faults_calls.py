"""The calls that are made to fail, and how."""
import errno

CALLS = {
    "mmap64": errno.ENOMEM, "mprotect": errno.ENOMEM, "memfd_create": errno.EMFILE, "ftruncate64": errno.ENOSPC,
    "malloc": errno.ENOMEM, "calloc": errno.ENOMEM, "realloc": errno.ENOMEM, "strdup": errno.ENOMEM, "read": errno.EIO,
    "write": errno.EIO, "pread64": errno.EIO, "pwrite64": errno.EIO, "fdatasync": errno.EIO, "socket": errno.EMFILE,
    "socketpair": errno.EMFILE, "bind": errno.EACCES, "listen": errno.EADDRINUSE, "accept4": errno.EMFILE,
    "pthread_create": errno.EAGAIN, "timer_create": errno.EAGAIN, "epoll_create1": errno.EMFILE, "epoll_ctl": errno.ENOSPC,
    "eventfd": errno.EMFILE, "fork": errno.EAGAIN, "open64": errno.EMFILE, "munmap": errno.ENOMEM, "madvise": errno.EAGAIN,
    "strndup": errno.ENOMEM, "lseek64": errno.EIO, "fstat64": errno.EIO, "stat64": errno.EACCES, "lstat64": errno.EACCES,
    "fopen64": errno.EMFILE, "fdopen": errno.ENOMEM, "open_memstream": errno.ENOMEM, "unlink": errno.EROFS, "mkdir": errno.EROFS,
    "realpath": errno.EACCES, "getcwd": errno.EACCES, "dup": errno.EMFILE, "dup2": errno.EBUSY, "pipe2": errno.EMFILE,
    "fcntl64": errno.EINVAL, "ioctl": errno.ENOTTY, "connect": errno.ECONNREFUSED, "setsockopt": errno.ENOBUFS,
    "getsockopt": errno.ENOBUFS, "getaddrinfo": errno.EAGAIN, "send": errno.ECONNRESET, "recv": errno.ECONNRESET,
    "sendmsg": errno.ENOBUFS, "recvmsg": errno.ENOMEM, "poll": errno.ENOMEM, "epoll_wait": errno.EINTR, "timer_settime": errno.EINVAL,
    "timerfd_create": errno.EMFILE, "timerfd_settime": errno.EINVAL, "sigaltstack": errno.ENOMEM,
    "prctl": errno.EINVAL, "getrlimit64": errno.EINVAL, "setrlimit64": errno.EPERM, "getrandom": errno.EAGAIN,
    "tcgetattr": errno.EIO, "posix_openpt": errno.ENOSPC, "tcsetattr": errno.EIO, "seccomp_init": errno.ENOMEM, "seccomp_load": errno.EINVAL,
}
