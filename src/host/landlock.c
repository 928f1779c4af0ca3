#include "host/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's interface, as later headers than Debian 12's have it. */
struct ruleset_attr { uint64_t fs, net, scoped; };
struct path_beneath { uint64_t access; int32_t fd; } __attribute__((packed));

#define RULESET_VERSION		1u
#define RULE_PATH_BENEATH	1
#define FS_WRITE_FILE		BIT(1)
#define FS_READ_FILE		BIT(2)
#define FS_READ_DIR		BIT(3)
#define FS_REMOVE_FILE		BIT(5)
#define FS_MAKE_REG		BIT(8)
#define FS_TRUNCATE		BIT(14)

int landlock_version(void)
{
	long v = syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION);

	return v < 0 ? -errno : (int)v;
}

/*
 * Every right that this version knows is handled, so that what no rule grants is refused. Signals are not
 * scoped: kernels before 6.15 took the other threads of this process for strangers.
 */
static struct ruleset_attr everything(int version, bool network)
{
	unsigned fs_bits = version >= 5 ? 16 : version >= 3 ? 15 : version == 2 ? 14 : 13;

	return (struct ruleset_attr){ .fs = BIT(fs_bits) - 1, .net = version >= 4 && !network ? 3 : 0, .scoped = version >= 6 ? 1 : 0 };
}

static int add(int ruleset, const struct landlock_path *p, uint64_t known)
{
	struct path_beneath rule = { .fd = open(p->path, O_PATH | O_CLOEXEC) };

	struct stat st;

	if (rule.fd < 0)
		return -errno;
	bool folder = fstat(rule.fd, &st) == 0 && S_ISDIR(st.st_mode);
	rule.access = (FS_READ_FILE | (folder ? FS_READ_DIR : 0) |
	    (p->write ? FS_WRITE_FILE | FS_TRUNCATE | (folder ? FS_REMOVE_FILE | FS_MAKE_REG : 0) : 0)) & known;
	int rc = syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
	close(rule.fd);
	return rc;
}

int landlock_confine(const struct landlock_path *path, unsigned n, bool network)
{
	int version = landlock_version();

	if (version <= 0)
		return version < 0 ? version : -ENOSYS;
	struct ruleset_attr attr = everything(version, network);
	size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (ruleset < 0)
		return -errno;
	for (unsigned i = 0; i < n; i++)
		add(ruleset, &path[i], attr.fs);	/* a folder that cannot be granted stays refused */
	int rc = syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : version;
	close(ruleset);
	return rc;
}
