/*
 * The sandbox, tried from inside: each case locks a child process down by the function that the program uses,
 * then does what a monitor that was taken over would do.
 */
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/broker.h"
#include "host/signals.h"
#include "host/sandbox.h"
#include "host/seccomp.h"
#include "util/sanitizer.h"

struct outcome {
	int status;			/* of exit; -1: ended by a signal */
	char said[2048];
};

/* fn in a child; 0 from it is status 0. */
static struct outcome in_child(int (*fn)(void *arg), void *arg)
{
	struct outcome o = { .status = -1 };
	int pipefd[2], status;
	size_t len = 0;

	fflush(NULL);
	CHECK(pipe(pipefd) == 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		dup2(pipefd[1], STDERR_FILENO);
		close(pipefd[0]);
		close(pipefd[1]);
		_exit(fn(arg));
	}
	close(pipefd[1]);
	for (ssize_t n; (n = read(pipefd[0], o.said + len, sizeof(o.said) - 1 - len)) > 0; )
		len += (size_t)n;
	close(pipefd[0]);
	CHECK(waitpid(pid, &status, 0) == pid);
	if (WIFEXITED(status))
		o.status = WEXITSTATUS(status);
	return o;
}

/* Children that could not be confined say so with this status. */
#define NO_SANDBOX 77

static bool lock_down(enum sandbox_mode mode)
{
	struct sandbox_config cfg = { .mode = mode };
	struct error err = { "" };

	return host_sandbox_prepare(&cfg, &err) == 0 && host_sandbox_enter(&cfg, &err) == 0;
}

static void needs_seccomp(void)
{
	if (SANITIZER || !seccomp_offered())
		SKIP();
}

/* --- planted calls --- */

static void plant_open(void) { CHECK(open("/etc/passwd", O_RDONLY) >= 0); }
static void plant_socket(void) { socket(AF_INET, SOCK_STREAM, 0); }
static void plant_execve(void) { execl("/bin/true", "true", (char *)NULL); }
static void plant_fork(void) { if (fork() == 0) _exit(0); }
static void plant_ptrace(void) { ptrace(PTRACE_TRACEME, 0, NULL, NULL); }
static void plant_kill(void) { kill(1, 0); }
static void plant_memfd(void) { memfd_create("x", 0); }
static void plant_chmod(void) { chmod("/nonexistent", 0); }
static void plant_stat(void) { struct stat st; stat("/etc/passwd", &st); }
static void plant_mmap_exec(void) { mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }
static void plant_mprotect_exec(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(p, 4096, PROT_READ | PROT_EXEC);
}
static void plant_push_input(void) { ioctl(0, TIOCSTI, "x"); }
static void plant_dumpable(void) { prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); }
static void plant_limit(void) { setrlimit(RLIMIT_CORE, &(struct rlimit){ 1, 1 }); }
static void plant_read(void) { char c; ssize_t n = read(-1, &c, 1); (void)n; }
static void plant_pwrite(void) { ssize_t n = pwrite(-1, "x", 1, 0); (void)n; }
static void plant_lock(void) { struct flock l = { .l_type = F_WRLCK }; fcntl(-1, F_OFD_SETLK, &l); }
static void plant_accept(void) { accept(-1, NULL, NULL); }

enum where { MAIN_THREAD, EARLIER_THREAD, DISK_THREAD, WAIT_THREAD, PUBLISH_THREAD };

struct planted {
	const char *names;		/* of the system call: any of these words */
	void (*act)(void);
	enum where where;
};

static volatile bool locked;

static void *in_thread(void *arg)
{
	const struct planted *p = arg;

	while (!locked)
		usleep(1000);
	if (p->where == DISK_THREAD)
		host_sandbox_role(SANDBOX_DISK_THREAD);
	if (p->where == WAIT_THREAD)
		host_sandbox_role(SANDBOX_WAIT_THREAD);
	if (p->where == PUBLISH_THREAD)
		host_sandbox_role(SANDBOX_PUBLISH_THREAD);
	p->act();
	return NULL;
}

static int do_planted(void *arg)
{
	const struct planted *p = arg;
	pthread_t thread;

	if (p->where != MAIN_THREAD)
		host_thread_start(&thread, in_thread, arg);
	if (!lock_down(SANDBOX_ON))
		return NO_SANDBOX;
	locked = true;
	if (p->where == MAIN_THREAD)
		p->act();
	else
		pthread_join(thread, NULL);
	return 0;
}

static bool names_one_of(const char *said, const char *names)
{
	char copy[128], *save = NULL, text[64];

	snprintf(copy, sizeof(copy), "%s", names);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		snprintf(text, sizeof(text), "the system call %s (", w);
		if (strstr(said, text))
			return true;
	}
	return false;
}

static void check_planted(const struct planted *p, size_t n)
{
	needs_seccomp();
	for (size_t i = 0; i < n; i++) {
		struct outcome o = in_child(do_planted, (void *)(uintptr_t)&p[i]);

		if (o.status != 2 || !names_one_of(o.said, p[i].names))
			fail_msg("%s: status %d, said: %s", p[i].names, o.status, o.said);
	}
}

TEST(a_confined_monitor_ends_with_a_report_at_what_it_does_not_need)
{
	static const struct planted p[] = {
		{ "open openat", plant_open, MAIN_THREAD }, { "socket", plant_socket, MAIN_THREAD }, { "execve", plant_execve, MAIN_THREAD },
		{ "clone fork", plant_fork, MAIN_THREAD }, { "ptrace", plant_ptrace, MAIN_THREAD }, { "kill", plant_kill, MAIN_THREAD },
		{ "memfd_create", plant_memfd, MAIN_THREAD }, { "chmod fchmodat", plant_chmod, MAIN_THREAD },
		{ "stat newfstatat", plant_stat, MAIN_THREAD }, { "ioctl", plant_push_input, MAIN_THREAD },
		{ "prctl", plant_dumpable, MAIN_THREAD }, { "prlimit64 setrlimit", plant_limit, MAIN_THREAD },
	};

	check_planted(p, ARRAY_LEN(p));
}

TEST(a_confined_monitor_makes_nothing_executable)
{
	static const struct planted p[] = {
		{ "mmap", plant_mmap_exec, MAIN_THREAD }, { "mprotect", plant_mprotect_exec, MAIN_THREAD },
		{ "mprotect", plant_mprotect_exec, DISK_THREAD },
	};

	check_planted(p, ARRAY_LEN(p));
}

TEST(threads_from_before_the_lock_down_are_confined_too)
{
	static const struct planted p[] = {
		{ "open openat", plant_open, EARLIER_THREAD }, { "socket", plant_socket, EARLIER_THREAD }, { "execve", plant_execve, EARLIER_THREAD },
	};

	check_planted(p, ARRAY_LEN(p));
}

TEST(the_thread_that_publishes_meters_is_confined_further)
{
	static const struct planted p[] = {
		{ "read", plant_read, PUBLISH_THREAD }, { "pwrite64", plant_pwrite, PUBLISH_THREAD }, { "fcntl", plant_lock, PUBLISH_THREAD },
		{ "open openat", plant_open, PUBLISH_THREAD }, { "clone fork", plant_fork, PUBLISH_THREAD }, { "mmap", plant_mmap_exec, PUBLISH_THREAD },
	};

	check_planted(p, ARRAY_LEN(p));
}

TEST(threads_of_disks_and_those_that_wait_are_confined_further)
{
	static const struct planted p[] = {
		{ "read", plant_read, DISK_THREAD }, { "accept accept4", plant_accept, DISK_THREAD }, { "read", plant_read, WAIT_THREAD },
		{ "open openat", plant_open, DISK_THREAD },
	};

	check_planted(p, ARRAY_LEN(p));
}

/* --- what must go on --- */

static void *do_nothing(void *arg)
{
	return arg;
}

static int do_work(void *arg)
{
	pthread_t thread;
	char text[64];
	FILE *status;

	status = fopen("/proc/self/status", "r");
	if (status == NULL || !lock_down(SANDBOX_ON))
		return NO_SANDBOX;
	void *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || mprotect(p, 4096, PROT_READ) < 0 || munmap(p, 1 << 20) < 0)
		return 1;
	void *big = malloc(64 << 20);
	big = realloc(big, 128 << 20);
	if (big == NULL)
		return 2;
	free(big);
	if (pthread_create(&thread, NULL, do_nothing, NULL) != 0 || pthread_join(thread, NULL) != 0)
		return 3;
	bool none = false, filtered = false;
	while (fgets(text, sizeof(text), status)) {
		none |= strcmp(text, "CapEff:\t0000000000000000\n") == 0;
		filtered |= strcmp(text, "Seccomp:\t2\n") == 0;
	}
	host_sandbox_describe(stderr, "\n");
	return !none ? 4 : !filtered ? 5 : prctl(PR_SET_NAME, "x") < 0 ? 6 : 0;
}

TEST(a_confined_monitor_still_allocates_and_makes_threads)
{
	needs_seccomp();
	struct outcome o = in_child(do_work, NULL);

	if (o.status != 0)
		fail_msg("status %d: %s", o.status, o.said);
	CHECK(strstr(o.said, "sandbox: on") != NULL);
	CHECK(strstr(o.said, "capabilities: none; dumpable: no") != NULL);
}

/* --- the broker --- */

static char folder[64];

static bool opens(const char *path, int flags)
{
	int fd = host_open(path, flags, 0666);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int do_broker(void *arg)
{
	char path[128];

	if (chdir(folder) < 0 || !lock_down(SANDBOX_ON))
		return NO_SANDBOX;
	snprintf(path, sizeof(path), "%s/image", folder);
	if (!opens("image", O_RDONLY) || !opens(path, O_RDONLY) || !opens("sub/image", O_RDONLY))
		return 1;
	if (opens("/etc/passwd", O_RDONLY) || opens("../passwd", O_RDONLY) || opens("sub/../../passwd", O_RDONLY))
		return 2;
	if (opens(".secret", O_RDONLY) || opens("sub/.ssh/key", O_RDONLY) || opens("link", O_RDONLY) || opens("pipe", O_RDONLY) ||
	    opens("sub", O_RDONLY))
		return 3;
	if (opens("image", O_RDWR) || opens("image", O_WRONLY | O_CREAT | O_TRUNC) || opens(".bashrc", O_WRONLY | O_CREAT | O_TRUNC))
		return 4;
	/* A screendump takes the place of another, and of a file made for it; not without truncating it. */
	if (!opens("empty", O_WRONLY | O_CREAT | O_TRUNC) || !opens("dump", O_WRONLY | O_CREAT | O_TRUNC) || opens("script", O_WRONLY | O_CREAT | O_TRUNC))
		return 9;
	if (opens("sub/dump", O_WRONLY) || opens("sub/dump", O_RDWR | O_CREAT) || !opens("sub/dump", O_WRONLY | O_TRUNC))
		return 10;
	if (!opens("new", O_WRONLY | O_CREAT | O_TRUNC) || !opens("new", O_WRONLY | O_CREAT | O_TRUNC))
		return 5;
	if (host_unlink("image") == 0 || host_unlink("new") < 0)
		return 6;
	if (host_broker_allow("/etc", BROKER_READ) == 0 || opens("/etc/passwd", O_RDONLY))
		return 7;
	struct stat st;
	return host_stat("image", &st) == 0 && st.st_size == 4 ? 0 : 8;
}

static int do_strict(void *arg)
{
	if (chdir(folder) < 0 || !lock_down(SANDBOX_STRICT))
		return NO_SANDBOX;
	return opens("image", O_RDONLY) || errno != EACCES || host_unlink("image") == 0;
}

static void put_text(const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *f = fopen(path, "w");
	CHECK(f != NULL);
	fputs(text, f);
	fclose(f);
}

static void put_file(const char *name)
{
	put_text(name, "1234");
}

static void make_folder(void)
{
	char path[128], link[128];

	strcpy(folder, "/tmp/plex86-sandbox-XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/sub", folder);
	CHECK(mkdir(path, 0700) == 0);
	snprintf(path, sizeof(path), "%s/sub/.ssh", folder);
	CHECK(mkdir(path, 0700) == 0);
	put_file("image");
	put_file("sub/image");
	put_file(".secret");
	put_file("sub/.ssh/key");
	put_text("empty", "");
	put_text("dump", "P6\n1 1\n255\nabc");
	put_text("sub/dump", "P6\n1 1\n255\nabc");
	put_text("script", "#!/bin/sh\n");
	snprintf(link, sizeof(link), "%s/link", folder);
	CHECK(symlink("/etc/passwd", link) == 0);
	snprintf(path, sizeof(path), "%s/pipe", folder);
	CHECK(mkfifo(path, 0600) == 0);
}

static void remove_folder(void)
{
	static const char *const names[] = { "image", "sub/image", ".secret", "sub/.ssh/key", "sub/.ssh", "sub", "link", "pipe", "new", "empty", "dump", "script", "sub/dump", "sub", "" };
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		remove(path);
	}
}

TEST(the_broker_opens_what_lies_in_its_folders_and_overwrites_only_what_it_made_and_screendumps)
{
	needs_seccomp();
	make_folder();
	struct outcome o = in_child(do_broker, NULL);
	remove_folder();
	if (o.status != 0)
		fail_msg("status %d: %s", o.status, o.said);
}

TEST(a_strict_sandbox_opens_nothing)
{
	needs_seccomp();
	make_folder();
	struct outcome o = in_child(do_strict, NULL);
	remove_folder();
	if (o.status != 0)
		fail_msg("status %d: %s", o.status, o.said);
}

static int do_namespaces(void *arg)
{
	struct sandbox_config cfg = { .mode = SANDBOX_ON, .namespaces = true };
	struct error err = { "" };

	if (host_sandbox_prepare(&cfg, &err) < 0 || host_sandbox_enter(&cfg, &err) < 0)
		return NO_SANDBOX;
	host_sandbox_describe(stderr, "\n");
	return 0;
}

TEST(namespaces_take_network_and_root_folder_away)
{
	struct sandbox_offer offer;

	needs_seccomp();
	host_sandbox_probe(&offer);
	if (!offer.user_namespaces)
		SKIP();
	struct outcome o = in_child(do_namespaces, NULL);
	CHECK_EQ(o.status, 0);
	CHECK(strstr(o.said, "namespaces: user, network, IPC, UTS, an empty root") != NULL);
}

TEST(sandbox_options_are_checked)
{
	static const char *const bad[] = { "", "maybe", "on,path=", "on,path=/nonexistent", "on,namespaces=maybe", "on," };
	struct sandbox_config cfg = { .mode = SANDBOX_ON };
	struct error err = { "" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		err = (struct error){ "" };
		CHECK(host_sandbox_parse(&cfg, bad[i], &err) < 0);
		CHECK(err.text[0] != '\0');
	}
	for (unsigned i = 0; i < cfg.npaths; i++)
		free((void *)(uintptr_t)cfg.path[i]);
	cfg = (struct sandbox_config){ .mode = SANDBOX_ON };
	CHECK_EQ(host_sandbox_parse(&cfg, "strict,path=/tmp,namespaces=on", &err), 0);
	CHECK(cfg.mode == SANDBOX_STRICT && cfg.namespaces && cfg.npaths == 1);
	CHECK_STR(cfg.path[0], "/tmp");
	free((void *)(uintptr_t)cfg.path[0]);
}
