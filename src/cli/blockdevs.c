#include "cli/blockdevs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/drives.h"
#include "util/words.h"

const struct vm_drive_config *blockdevs_find(const struct options *o, const char *name)
{
	for (unsigned i = 0; i < o->nblockdevs; i++)
		if (strcmp(o->blockdev[i].name, name) == 0)
			return &o->blockdev[i].d;
	return NULL;
}

static int property(struct options *o, struct cli_blockdev *b, const char *key, const char *val, struct error *err)
{
	/* How the host is to reach the file: ours does it in one way, which loses nothing. */
	static const char how[] = "cache.direct cache.no-flush aio locking discard detect-zeroes auto-read-only "
	    "file.cache.direct file.cache.no-flush file.aio file.locking file.discard file.auto-read-only lazy-refcounts "
	    "l2-cache-size cache-size overlap-check pass-discard-request file.node-name file.read-only";

	if (strcmp(key, "node-name") == 0) {
		if ((size_t)snprintf(b->name, sizeof(b->name), "%s", val) >= sizeof(b->name) || blockdevs_find(o, val))
			return error_set(err, -EINVAL, "-blockdev node-name=%s: too long, or there is one", val);
	} else if (strcmp(key, "driver") == 0) {
		if (!word_in("file raw qcow2", val))
			return error_set(err, -EINVAL, "-blockdev driver=%s: there are file, raw and qcow2", val);
		if (strcmp(val, "file") != 0)
			b->d.format = val;
	} else if (strcmp(key, "filename") == 0 || strcmp(key, "file.filename") == 0) {
		b->d.path = val;
	} else if (strcmp(key, "file") == 0) {
		const struct vm_drive_config *file = blockdevs_find(o, val);

		if (file == NULL)
			return error_set(err, -EINVAL, "-blockdev file=%s: there is no node of that name before it", val);
		b->d.path = file->path;
		b->d.read_only |= file->read_only;
	} else if (strcmp(key, "read-only") == 0 && word_in("on off true false", val)) {
		b->d.read_only = word_in("on true", val);
	} else if (strcmp(key, "file.driver") == 0) {
		if (strcmp(val, "file") != 0)
			return error_set(err, -EINVAL, "-blockdev file.driver=%s: images are files of this host", val);
	} else if (!word_in(how, key)) {
		return error_set(err, -EINVAL, "-blockdev: property '%s' cannot be had", key);
	}
	return 0;
}

int blockdevs_add(struct options *o, const char *arg, struct error *err)
{
	char *text = options_keep(o, arg), *p = text, *key, *val;
	struct cli_blockdev *b = &o->blockdev[o->nblockdevs];

	if (o->nblockdevs == CLI_BLOCKDEVS)
		return error_set(err, -EINVAL, "-blockdev: at most %d", CLI_BLOCKDEVS);
	if (*arg == '{')
		return error_set(err, -EINVAL, "-blockdev: JSON cannot be read here: write driver=NAME,node-name=NAME,...");
	*b = (struct cli_blockdev){ .d.kind = VM_DRIVE_DISK };
	while (p && drives_next_property(&p, &key, &val)) {
		if (val == NULL && key == text) {	/* a bare first word is the driver */
			val = key;
			key = (char *)(uintptr_t)"driver";
		}
		if (val == NULL)
			return error_set(err, -EINVAL, "-blockdev: '%s' is not PROPERTY=VALUE", key);
		int rc = property(o, b, key, val, err);
		if (rc < 0)
			return rc;
	}
	if (b->name[0] == '\0' || b->d.path == NULL)
		return error_set(err, -EINVAL, "-blockdev '%s': it needs node-name=, and filename= or file=", arg);
	o->nblockdevs++;
	return 0;
}
