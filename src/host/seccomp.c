#include "host/seccomp.h"

#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/fs.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <ucontext.h>
#include <unistd.h>

#include "host/gsbase.h"
#include "host/signals.h"
#include "host/tty.h"

#define MAX_NAMES	512
#define NAME_BYTES	32

/* When a row applies. */
enum need { ALWAYS, SOCKETS, TERMINAL, NO_FSGSBASE };

/* A system call, and what one argument must be. */
struct row {
	int nr;
	uint8_t need;
	int8_t arg;			/* -1: any arguments */
	uint64_t mask, value;		/* (argument & mask) == value */
};

#define ANY(name)			{ SCMP_SYS(name), ALWAYS, -1, 0, 0 }
#define ONLY(name, a, m, v)		{ SCMP_SYS(name), ALWAYS, a, m, v }
#define IF(need, name)			{ SCMP_SYS(name), need, -1, 0, 0 }
#define ONLY_IF(need, name, a, m, v)	{ SCMP_SYS(name), need, a, m, v }
#define EXACTLY				UINT64_MAX
#define THREAD_FLAGS			0x10f00ull	/* CLONE_VM, _FS, _FILES, _SIGHAND, _THREAD: a thread, no process */

/*
 * What any thread needs that allocates memory, waits and takes signals. Nothing becomes executable: the code
 * cache's two mappings were made before.
 */
#define COMMON							\
	ONLY(mmap, 2, PROT_EXEC, 0), ONLY(mprotect, 2, PROT_EXEC, 0), ANY(munmap), ANY(mremap), ANY(madvise), ANY(brk),	\
	ANY(futex), ANY(rt_sigprocmask), ANY(rt_sigreturn), ANY(tgkill), ANY(getpid), ANY(gettid), ANY(sched_yield),	\
	ANY(clock_gettime), ANY(gettimeofday), ANY(time), ANY(getcpu), ANY(exit), ANY(exit_group), ANY(restart_syscall),	\
	ANY(set_robust_list), ANY(rseq), ANY(write), ONLY_IF(TERMINAL, ioctl, 1, EXACTLY, TCSETS)

static const struct row monitor_rows[] = {
	COMMON,
	ANY(read), ANY(readv), ANY(writev), ANY(pread64), ANY(pwrite64), ANY(lseek), ANY(fstat), ANY(fsync), ANY(fdatasync),
	ANY(ftruncate), ANY(fallocate), ANY(close), ANY(dup),
	ONLY(newfstatat, 3, AT_EMPTY_PATH, AT_EMPTY_PATH),	/* how the C library does fstat() */
	/* Locks of images, and flags of descriptors. */
	ONLY(fcntl, 1, EXACTLY, F_GETFL), ONLY(fcntl, 1, EXACTLY, F_SETFL), ONLY(fcntl, 1, EXACTLY, F_GETFD),
	ONLY(fcntl, 1, EXACTLY, F_SETFD), ONLY(fcntl, 1, EXACTLY, F_OFD_SETLK), ONLY(fcntl, 1, EXACTLY, F_OFD_GETLK),
	ONLY(ioctl, 1, EXACTLY, TCGETS),	/* stdio asks whether a stream is a terminal */
	ONLY(ioctl, 1, EXACTLY, BLKGETSIZE64), ONLY(ioctl, 1, EXACTLY, FIONREAD), ONLY(ioctl, 1, EXACTLY, FIONBIO),
	ANY(poll), ANY(ppoll), ANY(select), ANY(pselect6), ANY(epoll_wait), ANY(epoll_pwait), ANY(epoll_ctl), ANY(eventfd2),
	ANY(timerfd_create), ANY(timerfd_settime), ANY(pipe2),
	/* Signals and timers: the kick. */
	ANY(rt_sigaction), ANY(sigaltstack), ANY(rt_sigpending), ANY(rt_sigtimedwait), ANY(timer_settime), ANY(timer_delete),
	ANY(timer_getoverrun), ANY(clock_nanosleep), ANY(nanosleep), ANY(clock_getres),
	/* Threads come with clients and media. clone3 hides its flags from a filter: see refuse_clone3(). */
	ONLY(clone, 0, THREAD_FLAGS, THREAD_FLAGS), ANY(sched_getaffinity), ONLY(prctl, 0, EXACTLY, PR_SET_NAME),
	/* Limits are read, not raised; resources used are read (meters). */
	ANY(mincore), ONLY(prlimit64, 2, EXACTLY, 0), ANY(getrlimit), ANY(getrusage), ANY(sysinfo), ANY(uname), ANY(getuid), ANY(geteuid), ANY(getrandom),
	ANY(seccomp), ANY(capset),		/* a thread can only lower itself further */
	IF(NO_FSGSBASE, arch_prctl),
	/* Only with sockets open: those that were, and what connects to them. There is no socket(). The broker's answers need recvmsg. */
	ANY(recvmsg), ANY(sendto),
	IF(SOCKETS, accept4), IF(SOCKETS, accept), IF(SOCKETS, recvfrom), IF(SOCKETS, sendmsg), IF(SOCKETS, shutdown),
	IF(SOCKETS, setsockopt), IF(SOCKETS, getsockopt), IF(SOCKETS, getpeername), IF(SOCKETS, getsockname),
	ONLY_IF(TERMINAL, ioctl, 1, EXACTLY, TCSETSW),
	ONLY_IF(TERMINAL, ioctl, 1, EXACTLY, TCSETSF), ONLY_IF(TERMINAL, ioctl, 1, EXACTLY, TIOCGWINSZ),
	ONLY_IF(TERMINAL, ioctl, 1, EXACTLY, TCXONC), ONLY_IF(TERMINAL, ioctl, 1, EXACTLY, TCFLSH),
	ONLY_IF(TERMINAL, ioctl, 1, EXACTLY, TIOCGPGRP),
};

static const struct row disk_rows[] = {
	COMMON, ANY(pread64), ANY(pwrite64), ANY(fdatasync), ANY(fsync), ANY(ftruncate), ANY(fallocate), ANY(lseek), ANY(fstat),
	ONLY(newfstatat, 3, AT_EMPTY_PATH, AT_EMPTY_PATH),
};

static const struct row wait_rows[] = { COMMON, ANY(poll), ANY(ppoll), ANY(epoll_wait), ANY(epoll_pwait) };

/* Connections that others opened to a socket that was there, and a file that is appended to: no read(), no file's offset. */
static const struct row publish_rows[] = {
	COMMON, ANY(poll), ANY(ppoll), ANY(accept4), ANY(recvfrom), ANY(sendto), ANY(shutdown), ANY(close), ANY(fdatasync),
};

static const struct row broker_rows[] = {
	ANY(recvfrom), ANY(sendmsg), ANY(sendto), ANY(openat2), ANY(close), ANY(fstat), ANY(pread64), ANY(ftruncate), ANY(unlink), ANY(lstat), ANY(exit_group), ANY(write),
	ONLY(newfstatat, 3, AT_EMPTY_PATH, AT_EMPTY_PATH), ONLY(newfstatat, 3, AT_SYMLINK_NOFOLLOW, AT_SYMLINK_NOFOLLOW),
	ANY(brk), ANY(restart_syscall), ANY(rt_sigreturn),
};

/* The process of the network makes sockets of the Internet's, and reads who serves names. It writes no file, and makes no process. */
#define NET_COMMON								\
	COMMON, ANY(poll), ANY(ppoll), ANY(read), ANY(recvfrom), ANY(recvmsg), ANY(sendto), ANY(sendmsg), ANY(accept), ANY(accept4),	\
	ANY(shutdown), ANY(close), ANY(setsockopt), ANY(getsockopt), ANY(getpeername), ANY(getsockname), ANY(fstat), ANY(lseek), ANY(newfstatat),	\
	ONLY(fcntl, 1, EXACTLY, F_GETFL), ONLY(fcntl, 1, EXACTLY, F_SETFL), ONLY(fcntl, 1, EXACTLY, F_GETFD), ONLY(fcntl, 1, EXACTLY, F_SETFD),	\
	ONLY(ioctl, 1, EXACTLY, FIONREAD), ONLY(ioctl, 1, EXACTLY, FIONBIO), ANY(getrandom),	\
	ONLY(openat, 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY)

static const struct row net_rows[] = {
	NET_COMMON, ONLY(socket, 0, EXACTLY, AF_INET), ONLY(socket, 0, EXACTLY, AF_INET6), ANY(connect), ANY(bind), ANY(listen),
};

static const struct row net_restricted_rows[] = { NET_COMMON };

static const struct list { const struct row *row; size_t n; } lists[] = {
	[SECCOMP_MONITOR] = { monitor_rows, ARRAY_LEN(monitor_rows) }, [SECCOMP_DISK] = { disk_rows, ARRAY_LEN(disk_rows) },
	[SECCOMP_WAIT] = { wait_rows, ARRAY_LEN(wait_rows) }, [SECCOMP_PUBLISH] = { publish_rows, ARRAY_LEN(publish_rows) },
	[SECCOMP_BROKER] = { broker_rows, ARRAY_LEN(broker_rows) }, [SECCOMP_NET] = { net_rows, ARRAY_LEN(net_rows) },
	[SECCOMP_NET_RESTRICTED] = { net_restricted_rows, ARRAY_LEN(net_restricted_rows) },
};

/* The rows that apply. What descriptors there are says what the monitor may use them for: nothing else is opened later. */
static unsigned needs(enum seccomp_list list)
{
	if (list != SECCOMP_MONITOR)
		return BIT(ALWAYS) | BIT(TERMINAL);
	unsigned have = BIT(ALWAYS) | (host_has_fsgsbase() ? 0 : BIT(NO_FSGSBASE));
	struct stat st;

	for (int fd = 0; fd < 1024; fd++) {
		if (fstat(fd, &st) < 0)
			continue;
		int type;
		socklen_t len = sizeof(type);
		/* The broker's is a SOCK_SEQPACKET one, and not what is meant. */
		if (S_ISSOCK(st.st_mode) && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type != SOCK_SEQPACKET)
			have |= BIT(SOCKETS);
		if (S_ISCHR(st.st_mode) && host_tty_is(fd))
			have |= BIT(TERMINAL);
	}
	return have;
}

static int add_row(scmp_filter_ctx ctx, const struct row *r)
{
	if (r->arg < 0)
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, r->nr, 0);
	struct scmp_arg_cmp cmp = { (unsigned)r->arg, SCMP_CMP_MASKED_EQ, r->mask, r->value };
	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, r->nr, 1, &cmp);
}

/* The C library then makes its threads with clone, whose flags a filter can see. */
static int refuse_clone3(scmp_filter_ctx ctx)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

int seccomp_confine(enum seccomp_list list)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	unsigned have = needs(list);
	int rc = 0;

	if (ctx == NULL)
		return -ENOMEM;
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, list == SECCOMP_MONITOR);
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);		/* is so already; a thread may not ask again */
	/* Kernels before 5.16 would slow the guest's own instructions down otherwise; SECURITY.md says what that means. */
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1);
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	seccomp_attr_set(ctx, SCMP_FLTATR_API_SYSRAWRC, 1);
	for (size_t i = 0; i < lists[list].n && rc == 0; i++)
		if (have & BIT(lists[list].row[i].need))
			rc = add_row(ctx, &lists[list].row[i]);
	if (rc == 0)
		rc = refuse_clone3(ctx);
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	return rc;
}

unsigned seccomp_count(enum seccomp_list list)
{
	unsigned have = needs(list), n = 0;

	for (size_t i = 0; i < lists[list].n; i++) {
		const struct row *r = &lists[list].row[i];
		bool again = false;

		for (size_t k = 0; k < i; k++)
			again |= lists[list].row[k].nr == r->nr && (have & BIT(lists[list].row[k].need));
		n += !again && (have & BIT(r->need));
	}
	return n;
}

bool seccomp_offered(void)
{
	uint32_t action = SCMP_ACT_TRAP;

	return syscall(SYS_seccomp, 2 /* SECCOMP_GET_ACTION_AVAIL */, 0, &action) == 0;
}

/* --- a violation --- */

static char names[MAX_NAMES][NAME_BYTES];

void seccomp_learn_names(void)
{
	for (int nr = 0; nr < MAX_NAMES; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr);

		if (name)
			strncpy(names[nr], name, NAME_BYTES - 1);
		free(name);
	}
}

void seccomp_on_violation(int sig, siginfo_t *info, void *ucontext)
{
	const ucontext_t *uc = ucontext;
	unsigned nr = (unsigned)info->si_syscall;
	char text[320], *p = text;

	host_tty_restore_all();
	p = host_put_text(p, "plex86: sandbox: the system call ");
	p = host_put_text(p, nr < MAX_NAMES && names[nr][0] ? names[nr] : "of number");
	p = host_put_text(p, " (");
	p = host_put_number(p, nr, 10);
	p = host_put_text(p, ") is not allowed to the running monitor: ended. Called at 0x");
	p = host_put_number(p, (uintptr_t)info->si_call_addr, 16);
	p = host_put_text(p, ", argument 0x");
	p = host_put_number(p, (uint64_t)uc->uc_mcontext.gregs[REG_RSI], 16);
	p = host_put_text(p, ".\nplex86: please report it; --sandbox=off runs without the sandbox.\n");
	host_put_out(text, (size_t)(p - text));
	_exit(HOST_INTERNAL_STATUS);
}
