#include "host/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/broker.h"
#include "host/signals.h"
#include "host/landlock.h"
#include "host/seccomp.h"
#include "util/sanitizer.h"

/* Descriptors a run may come to need beyond those it has: clients of sockets, media. */
#define MORE_FDS	128

/* Of the process, as what it describes is: see sandbox.h. */
static struct {
	volatile bool locked;		/* seccomp is in force */
	enum sandbox_mode mode;
	bool namespaces, network_namespace, chroot, capabilities, dumpable, broker;
	int landlock, seccomp;		/* seccomp: 0, or why not */
	unsigned fds, calls;
} state = { .mode = SANDBOX_OFF };

static _Thread_local bool role_taken;

int host_sandbox_parse(struct sandbox_config *cfg, const char *text, struct error *err)
{
	static const struct { const char *name; enum sandbox_mode mode; } modes[] = {
		{ "on", SANDBOX_ON }, { "off", SANDBOX_OFF }, { "strict", SANDBOX_STRICT },
	};
	size_t len = strcspn(text, ",");
	bool known = false;

	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (strlen(modes[i].name) == len && memcmp(modes[i].name, text, len) == 0) {
			cfg->mode = modes[i].mode;
			known = true;
		}
	if (!known)
		return error_set(err, -EINVAL, "--sandbox '%s': it is on, off or strict", text);
	for (const char *p = text + len; *p == ','; p += len) {
		len = strcspn(++p, ",");
		if (strncmp(p, "namespaces=on", len) == 0 && len == 13) {
			cfg->namespaces = true;
		} else if (strncmp(p, "path=", 5) == 0 && len > 5) {
			if (cfg->npaths == SANDBOX_PATHS)
				return error_set(err, -EINVAL, "--sandbox: at most %u folders", SANDBOX_PATHS);
			cfg->path[cfg->npaths] = strndup(p + 5, len - 5);
			if (cfg->path[cfg->npaths] == NULL)
				return error_set(err, -ENOMEM, "--sandbox: no memory");
			if (access(cfg->path[cfg->npaths++], F_OK) < 0)
				return error_set(err, -ENOENT, "--sandbox path '%.*s': %s", (int)len - 5, p + 5, strerror(errno));
		} else {
			return error_set(err, -EINVAL, "--sandbox: '%.*s' is not path=FOLDER or namespaces=on", (int)len, p);
		}
	}
	return 0;
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* In a user namespace we may make the others. We stay who we are in it. */
static int enter_user_namespace(void)
{
	char map[64];
	unsigned uid = geteuid(), gid = getegid();

	if (unshare(CLONE_NEWUSER) < 0)
		return -errno;
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	bool ok = write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	return ok && write_file("/proc/self/gid_map", map) ? 0 : -EPERM;
}

int host_sandbox_prepare(const struct sandbox_config *cfg, struct error *err)
{
	state.mode = SANITIZER ? SANDBOX_OFF : cfg->mode;
	if (state.mode == SANDBOX_OFF)
		return 0;
	/* One arena for all threads: one of a thread's own, when it shrinks, has the C library open a file. */
	mallopt(M_ARENA_MAX, 1);
	if (state.mode == SANDBOX_ON) {
		int rc = host_broker_start();

		if (rc < 0)
			return error_set(err, rc, "cannot start the process that opens files: %s", strerror(-rc));
		state.broker = true;
		/* The folder plex86 was started in: where people keep what they name. */
		host_broker_allow(".", BROKER_READ | BROKER_CREATE);
		for (unsigned i = 0; i < cfg->npaths; i++)
			host_broker_allow(cfg->path[i], BROKER_READ | BROKER_CREATE | BROKER_WRITE);
	}
	if (cfg->namespaces) {
		int rc = enter_user_namespace();

		if (rc < 0)
			return error_set(err, rc, "--sandbox namespaces=on: this host gives no user namespaces: %s", strerror(-rc));
		state.namespaces = true;
	}
	return 0;
}

/* --- the measures --- */

void host_sandbox_limit(__rlimit_resource_t what, rlim_t value)
{
	struct rlimit old;

	if (getrlimit(what, &old) == 0 && old.rlim_max < value)
		value = old.rlim_max;
	setrlimit(what, &(struct rlimit){ value, value });
}

static void set_limits(void)
{
	unsigned highest = 2;

	for (int fd = 3; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			highest = (unsigned)fd;
	state.fds = highest + 1 + MORE_FDS;
	host_sandbox_limit(RLIMIT_NOFILE, state.fds);
	host_sandbox_limit(RLIMIT_CORE, 0);		/* a core holds the guest's memory */
	host_sandbox_limit(RLIMIT_MEMLOCK, 0);
	host_sandbox_limit(RLIMIT_MSGQUEUE, 0);
}

/* /proc/self/fdinfo has no entry that is a folder: an empty place to be shut in. */
static void leave_namespaces(void)
{
	if (!state.namespaces)
		return;
	state.chroot = chdir("/proc/self/fdinfo") == 0 && chroot(".") == 0;
	state.network_namespace = unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) == 0;
}

static bool drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	return syscall(SYS_capset, &head, none) == 0;
}

static void handle_violations(void)
{
	struct sigaction sa = { .sa_sigaction = seccomp_on_violation, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigfillset(&sa.sa_mask);
	sigaction(SIGSYS, &sa, NULL);
	seccomp_learn_names();
}

int host_sandbox_enter(const struct sandbox_config *cfg, struct error *err)
{
	if (state.mode == SANDBOX_OFF)
		return 0;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	set_limits();
	leave_namespaces();
	state.dumpable = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0;
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	state.landlock = landlock_confine(NULL, 0, false);
	tzset();		/* read once, by whoever asks for the local time */
	handle_violations();
	host_broker_seal();
	state.capabilities = !drop_capabilities();
	state.calls = seccomp_count(SECCOMP_MONITOR);
	state.seccomp = seccomp_confine(SECCOMP_MONITOR);
	state.locked = state.seccomp == 0;
	if (state.seccomp == 0)
		return 0;
	if (state.mode == SANDBOX_STRICT)
		return error_set(err, state.seccomp, "--sandbox strict: this host refuses seccomp filters: %s", strerror(-state.seccomp));
	fprintf(stderr, "plex86: this host refuses seccomp filters (%s): the monitor runs without them; --sandbox=off says that this is meant\n",
	    strerror(-state.seccomp));
	return 0;
}

void host_sandbox_role(enum sandbox_role role)
{
	static const enum seccomp_list list[] = { [SANDBOX_DISK_THREAD] = SECCOMP_DISK, [SANDBOX_WAIT_THREAD] = SECCOMP_WAIT,
		[SANDBOX_PUBLISH_THREAD] = SECCOMP_PUBLISH };

	if (likely(role_taken) || !state.locked)
		return;
	role_taken = true;
	drop_capabilities();
	/* What the process has goes for this thread as well: refused, it is no worse than that. */
	seccomp_confine(list[role]);
}

/* --- what is in force, what there is --- */

void host_sandbox_describe(FILE *f, const char *eol)
{
	static const char *const modes[] = { "on", "off", "strict" };

	fprintf(f, "sandbox: %s%s%s", modes[state.mode], SANITIZER ? " (built with a sanitizer, which cannot work in one)" : "", eol);
	if (state.mode == SANDBOX_OFF)
		return;
	if (state.seccomp == 0)
		fprintf(f, "system calls: %u allowed to the monitor, %u to threads of disks, %u to those that wait, %u to the one that publishes meters%s",
		    state.calls, seccomp_count(SECCOMP_DISK), seccomp_count(SECCOMP_WAIT), seccomp_count(SECCOMP_PUBLISH), eol);
	else
		fprintf(f, "system calls: all: the host refuses seccomp (%s)%s", strerror(-state.seccomp), eol);
	fprintf(f, "new privileges: no; capabilities: %s; dumpable: %s%s", state.capabilities ? "kept" : "none", state.dumpable ? "yes" : "no", eol);
	fprintf(f, "descriptors: at most %u; core dumps: none; locked memory: none%s", state.fds, eol);
	fprintf(f, "files later: %s%s", state.broker ? "opened by the broker" : "none", eol);
	if (state.landlock > 0)
		fprintf(f, "landlock: no file, no TCP port (ABI %d)%s", state.landlock, eol);
	else
		fprintf(f, "landlock: none (%s)%s", strerror(-state.landlock), eol);
	if (state.namespaces)
		fprintf(f, "namespaces: user%s%s%s", state.network_namespace ? ", network, IPC, UTS" : "", state.chroot ? ", an empty root" : "", eol);
	else
		fprintf(f, "namespaces: the host's%s", eol);
}

void host_sandbox_probe(struct sandbox_offer *offer)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC };
	int version = landlock_version(), status = 1;
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));

	*offer = (struct sandbox_offer){ .seccomp = seccomp_offered(), .openat2 = fd >= 0, .landlock = MAX(version, 0) };
	if (fd >= 0)
		close(fd);
	/* Tried in a child: it cannot be undone. */
	pid_t pid = fork();
	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) == 0 ? 0 : 1);
	offer->user_namespaces = pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}
