/*
 * Disk options, as QEMU's users type them.
 */
#include "cli/drives.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot/boot.h"
#include "cli/blockdevs.h"
#include "cli/options.h"
#include "dev/fdc.h"
#include "util/words.h"
#include "vm.h"

/* What QEMU takes for the name of a protocol: "fat:FOLDER", "nbd:...", "http://...". A name with "./" before it is a file's. */
static int check_path(const char *what, const char **path, struct error *err)
{
	size_t len = strspn(*path, "abcdefghijklmnopqrstuvwxyz+-.");

	if (strncmp(*path, "file:", 5) == 0) {
		*path += 5;
		return 0;
	}
	if (strncmp(*path, "fat:", 4) == 0)
		return error_set(err, -EINVAL, "%s '%s': a folder cannot be a disk: make an image of it (mformat -C, mcopy from the package mtools)",
		    what, *path);
	if (len > 1 && (*path)[len] == ':')
		return error_set(err, -EINVAL, "%s '%s': images are files of this host (a file of such a name: ./%s)", what, *path, *path);
	return 0;
}

static int put(struct vm_drive_config *slot, const char *what, struct vm_drive_config d, struct error *err)
{
	int rc = d.path ? check_path(what, &d.path, err) : 0;

	if (rc < 0)
		return rc;
	if (slot->kind != VM_DRIVE_NONE)
		return error_set(err, -EINVAL, "%s: that drive is taken", what);
	*slot = d;
	return 0;
}

int drives_set(struct vm_drives_config *drives, const char *name, const char *path, struct error *err)
{
	struct vm_drive_config d = { .kind = VM_DRIVE_DISK, .path = path };
	char what[16];

	snprintf(what, sizeof(what), "-%s", name);
	if (strcmp(name, "cdrom") == 0) {
		d.kind = VM_DRIVE_CDROM;
		return put(&drives->ide[2], what, d, err);
	}
	if (name[0] == 'f') {
		d.kind = VM_DRIVE_FLOPPY;
		return put(&drives->floppy[name[2] - 'a'], what, d, err);
	}
	return put(&drives->ide[name[2] - 'a'], what, d, err);
}

static int on_off(const char *key, const char *val, bool *out, struct error *err)
{
	*out = strcmp(val, "on") == 0;
	if (!*out && strcmp(val, "off") != 0)
		return error_set(err, -EINVAL, "-drive %s=%s: it is on or off", key, val);
	return 0;
}

/* What to do about a request that the host could not carry out. */
static int on_error(struct vm_drive_config *d, const char *key, const char *val, struct error *err)
{
	static const char *const names[] = { [BLOCK_ENOSPC] = "enospc", [BLOCK_REPORT] = "report", [BLOCK_IGNORE] = "ignore",
	    [BLOCK_STOP] = "stop" };

	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(val, names[i]) != 0)
			continue;
		if (key[0] == 'w')
			d->write_error = (enum block_on_error)i;
		else
			d->read_error = (enum block_on_error)i;
		d->read_error_given |= key[0] == 'r';
		return 0;
	}
	return error_set(err, -EINVAL, "-drive %s=%s: it is report, ignore, stop or enospc", key, val);
}

struct drive_option {
	struct vm_drive_config d;
	bool floppy;
	bool loose;			/* if=none: a -device takes it */
	int index;			/* -1: the next free one */
	int bus;			/* of IDE; -1: not given */
};

bool drives_next_property(char **at, char **key, char **val)
{
	char *p = *at, *out = p;

	if (*p == '\0')
		return false;
	*key = p;
	*val = NULL;
	for (; *p != '\0' && !(*p == ',' && p[1] != ','); p++) {
		if (*p == ',')
			p++;
		if (*p == '=' && *val == NULL) {
			*out++ = '\0';
			*val = out;
		} else {
			*out++ = *p;
		}
	}
	*at = *p == ',' ? p + 1 : p;
	*out = '\0';
	return true;
}

static int drive_property(struct drive_option *o, const char *key, const char *val, struct error *err)
{
	char *end;

	if (strcmp(key, "file") == 0 || strcmp(key, "file.filename") == 0 || strcmp(key, "filename") == 0) {
		o->d.path = val;
	} else if (strcmp(key, "format") == 0 || strcmp(key, "driver") == 0) {
		if (strcmp(val, "raw") != 0 && strcmp(val, "qcow2") != 0)
			return error_set(err, -EINVAL, "-drive format=%s: there are raw and qcow2", val);
		o->d.format = val;
	} else if (strcmp(key, "if") == 0) {
		if (strcmp(val, "ide") != 0 && strcmp(val, "floppy") != 0 && strcmp(val, "none") != 0)
			return error_set(err, -EINVAL, "-drive if=%s: there are ide, floppy and none", val);
		o->floppy = val[0] == 'f';
		o->loose = val[0] == 'n';
	} else if (strcmp(key, "media") == 0) {
		if (strcmp(val, "disk") != 0 && strcmp(val, "cdrom") != 0)
			return error_set(err, -EINVAL, "-drive media=%s: there are disk and cdrom", val);
		o->d.kind = val[0] == 'c' ? VM_DRIVE_CDROM : VM_DRIVE_DISK;
	} else if (strcmp(key, "readonly") == 0 || strcmp(key, "read-only") == 0) {
		return on_off(key, val, &o->d.read_only, err);
	} else if (strcmp(key, "snapshot") == 0) {
		return on_off(key, val, &o->d.snapshot, err);
	} else if (strcmp(key, "werror") == 0 || strcmp(key, "rerror") == 0) {
		return on_error(&o->d, key, val, err);
	} else if (strcmp(key, "serial") == 0) {
		o->d.serial = val;
	} else if (strcmp(key, "index") == 0 || strcmp(key, "unit") == 0) {
		o->index = (int)strtol(val, &end, 10);
		if (*end != '\0' || o->index < 0)
			return error_set(err, -EINVAL, "-drive %s=%s: not a number", key, val);
	} else if (strcmp(key, "bus") == 0) {
		o->bus = (int)strtol(val, &end, 10);
		if (*end != '\0' || o->bus < 0 || o->bus > 1)
			return error_set(err, -EINVAL, "-drive bus=%s: the IDE channels are 0 and 1", val);
	} else if (strcmp(key, "id") == 0) {
		o->d.id = val;
	} else if ((strcmp(key, "file.driver") != 0 || strcmp(val, "file") != 0) && (strcmp(key, "copy-on-read") != 0 || strcmp(val, "off") != 0)) {
		/* How the host is to reach the file: ours does it in one way, which loses nothing. */
		static const char how[] = "cache aio discard detect-zeroes cache.direct cache.writeback cache.no-flush auto-read-only "
		    "file.locking file.aio node-name lazy-refcounts l2-cache-size";

		if (!word_in(how, key))
			return error_set(err, -EINVAL, "-drive: property '%s' is unknown", key);
	}
	return 0;
}

/* The drive the option means: by index, else the first free one, of a disk or a CD-ROM as QEMU has it. */
static int place(struct vm_drives_config *drives, struct drive_option *o, struct error *err)
{
	struct vm_drive_config *slots = o->floppy ? drives->floppy : drives->ide;
	int n = o->floppy ? VM_FLOPPIES : VM_IDE_DRIVES;

	if (o->floppy)
		o->d.kind = VM_DRIVE_FLOPPY;
	if (o->index < 0) {
		o->index = o->bus >= 0 && !o->floppy ? 2 * o->bus : 0;
		while (o->index < n && slots[o->index].kind != VM_DRIVE_NONE)
			o->index++;
	} else if (o->bus >= 0 && !o->floppy) {
		o->index += 2 * o->bus;
	}
	if (o->index >= n)
		return error_set(err, -EINVAL, "-drive: there are %d %s drives, and they are taken", n,
		    o->floppy ? "floppy" : "IDE");
	if (o->d.kind == VM_DRIVE_DISK && o->d.path == NULL)
		return error_set(err, -EINVAL, "-drive: a disk needs file=PATH");
	return put(&slots[o->index], "-drive", o->d, err);
}

static int put_aside(struct vm_drives_config *drives, struct drive_option *o, struct error *err)
{
	if (o->d.id == NULL)
		return error_set(err, -EINVAL, "-drive if=none: it needs id=ID, for a -device that has drive=ID");
	for (unsigned i = 0; i < ARRAY_LEN(drives->loose); i++) {
		if (drives->loose[i].id == NULL) {
			drives->loose[i] = o->d;
			return 0;
		}
	}
	return error_set(err, -EINVAL, "-drive if=none: at most %zu of them", ARRAY_LEN(drives->loose));
}

int drives_parse(struct options *options, const char *arg, struct error *err)
{
	struct drive_option o = { .d.kind = VM_DRIVE_DISK, .index = -1, .bus = -1 };
	char *text = options_keep(options, arg), *p = text, *key, *val;

	while (p && drives_next_property(&p, &key, &val)) {
		if (val == NULL && key == text) {	/* a bare first word is the file */
			val = key;
			key = (char *)(uintptr_t)"file";
		}
		if (val == NULL)
			return error_set(err, -EINVAL, "-drive: '%s' is not PROPERTY=VALUE", key);
		int rc = drive_property(&o, key, val, err);
		if (rc < 0)
			return rc;
	}
	struct vm_drives_config *drives = &options->vm.drives;
	return o.loose ? put_aside(drives, &o, err) : place(drives, &o, err);
}

bool drives_is_device(const char *arg, size_t len)
{
	return len == 6 && (memcmp(arg, "ide-hd", 6) == 0 || memcmp(arg, "ide-cd", 6) == 0 || memcmp(arg, "floppy", 6) == 0);
}

/* Its drive may stand behind it on the command line. */
static int postpone(struct options *options, const char *device, struct error *err)
{
	if (options->npostponed == ARRAY_LEN(options->postponed))
		return error_set(err, -EINVAL, "-device: more than %zu of them before their drives", ARRAY_LEN(options->postponed));
	const char *kept = options_keep(options, device);

	if (kept == NULL)
		return error_set(err, -ENOMEM, "no memory for the options");
	options->postponed[options->npostponed++] = kept;
	return 0;
}

int drives_postponed(struct options *options, struct error *err)
{
	int rc = 0;

	options->all_seen = true;
	for (unsigned i = 0; i < options->npostponed && rc == 0; i++)
		rc = drives_device(options, options->postponed[i], err);
	return rc;
}

int drives_device(struct options *options, const char *arg, struct error *err)
{
	struct vm_drives_config *drives = &options->vm.drives;
	struct drive_option o = { .index = -1, .bus = -1, .floppy = arg[0] == 'f' };
	char *text = options_keep(options, arg), *save = NULL;
	const struct vm_drive_config *d = NULL;
	const char *serial = NULL;
	unsigned bus, unit, rank;
	bool cd = strncmp(arg, "ide-cd", 6) == 0;

	if (text == NULL)
		return error_set(err, -ENOMEM, "no memory");
	strtok_r(text, ",", &save);
	for (char *word; (word = strtok_r(NULL, ",", &save)) != NULL; ) {
		if (strncmp(word, "drive=", 6) == 0) {
			for (unsigned i = 0; i < ARRAY_LEN(drives->loose); i++)
				if (drives->loose[i].id && strcmp(drives->loose[i].id, word + 6) == 0)
					d = &drives->loose[i];
			if (d == NULL)
				d = blockdevs_find(options, word + 6);
			if (d == NULL && !options->all_seen)
				return postpone(options, arg, err);
			if (d == NULL)
				return error_set(err, -EINVAL, "-device %s: there is no -drive if=none,id=%s, nor a -blockdev", text, word + 6);
		} else if (sscanf(word, "bootindex=%u", &rank) == 1 && rank < 1000) {
			o.d.boot_rank = rank + 1;
		} else if (sscanf(word, "bus=ide.%u", &bus) == 1 && bus < 2) {
			o.bus = (int)bus;
		} else if (sscanf(word, "unit=%u", &unit) == 1 && unit < 2) {
			o.index = (int)unit;
		} else if (strncmp(word, "serial=", 7) == 0) {
			serial = word + 7;
		} else if (strncmp(word, "id=", 3) != 0 && strncmp(word, "write-cache=", 12) != 0 && strcmp(word, "share-rw=off") != 0) {
			return error_set(err, -EINVAL, "-device %s: '%s' is not drive=ID, bus=ide.0|1, unit=0|1, serial=TEXT or bootindex=N", text, word);
		}
	}
	rank = o.d.boot_rank;
	if (d)
		o.d = *d;
	o.d.boot_rank = rank;
	if (d == NULL && !cd && !o.floppy)
		return error_set(err, -EINVAL, "-device %s: a disk needs drive=ID", text);
	o.d.kind = cd ? VM_DRIVE_CDROM : VM_DRIVE_DISK;
	if (serial)
		o.d.serial = serial;
	return place(drives, &o, err);
}

int drives_boot(const char *arg, struct vm_config *vm, struct error *err)
{
	static const char letters[] = "acdn";	/* floppy, disk, CD, network: CMOS 1 to 4 */

	while (*arg != '\0') {
		size_t len = strcspn(arg, ",");
		if (strncmp(arg, "menu=", 5) == 0) {
			vm->boot_menu = len == 7 && memcmp(arg + 5, "on", 2) == 0;
			if (!vm->boot_menu && (len != 8 || memcmp(arg + 5, "off", 3) != 0))
				return error_set(err, -EINVAL, "-boot '%.*s': it is menu=on or menu=off", (int)len, arg);
		} else if (strncmp(arg, "splash-time=", 12) == 0) {
			char *end;
			unsigned long ms = strtoul(arg + 12, &end, 10);
			if (arg[12] < '0' || arg[12] > '9' || end != arg + len || ms < 1 || ms > 65535)
				return error_set(err, -EINVAL, "-boot '%.*s': it is 1 to 65535 milliseconds", (int)len, arg);
			vm->boot_menu_ms = (uint16_t)ms;
		} else if (strncmp(arg, "once=", 5) == 0 || strncmp(arg, "order=", 6) == 0 || memchr(arg, '=', len) == NULL) {
			const char *eq = memchr(arg, '=', len), *l = eq ? eq + 1 : arg;
			unsigned n = 0;
			uint8_t *order = strncmp(arg, "once=", 5) == 0 ? vm->boot_once : vm->boot_order;
			memset(order, 0, 3);
			for (; l < arg + len; l++) {
				const char *at = strchr(letters, *l);
				if (at == NULL || n == 3)
					return error_set(err, -EINVAL, "-boot '%s': up to three of a (floppy), c (disk), d (CD-ROM), n (network)", arg);
				order[n++] = (uint8_t)(at - letters + 1);
			}
		} else if (strncmp(arg, "strict=", 7) == 0) {
			vm->boot_strict = strncmp(arg + 7, "on", len - 7) == 0;
		} else if (strncmp(arg, "reboot-timeout=", 15) == 0) {
			char *end;
			long ms = strtol(arg + 15, &end, 10);
			if (end != arg + len || ms < -1 || ms > 65535)
				return error_set(err, -EINVAL, "-boot '%.*s': it is 0 to 65535 milliseconds, or -1", (int)len, arg);
			vm->boot_retry_given = true;
			vm->boot_retry_ms = (uint32_t)ms;
		} else {
			return error_set(err, -EINVAL, "-boot '%.*s': it is order=LETTERS, once=LETTERS, menu=on|off, strict=on|off, splash-time=MS "
			    "or reboot-timeout=MS", (int)len, arg);
		}
		arg += len + (arg[len] == ',');
	}
	return 0;
}

enum vm_drive_kind drives_guess(const char *path)
{
	struct error err;
	struct host_file file;
	enum vm_drive_kind kind = VM_DRIVE_NONE;

	if (host_file_open(&file, "image", path, &err) < 0)
		return VM_DRIVE_NONE;		/* who opens it next says why it cannot be */
	bool cd = file.size > 0x8006 && memcmp(file.data + 0x8001, "CD001", 5) == 0;
	bool boot_sector = file.size >= 512 && file.data[510] == 0x55 && file.data[511] == 0xAA;
	bool qcow2 = file.size >= 8 && memcmp(file.data, "QFI\xFB", 4) == 0;
	bool elf = file.size >= 4 && memcmp(file.data, "\x7F" "ELF", 4) == 0;
	/* A Linux kernel has a boot sector's signature, too; a disk with GRUB on it has GRUB's own Multiboot header. */
	if (linux_probe(&file) || (multiboot_probe(&file) && (elf || !boot_sector)))
		kind = VM_DRIVE_NONE;
	else if (cd)				/* also one that could be a disk: "hybrid" */
		kind = VM_DRIVE_CDROM;
	else if (file.size == fdc_format_of(file.size)->kib * 1024ull || (boot_sector && file.size <= 1474560))
		kind = VM_DRIVE_FLOPPY;
	else if (qcow2 || boot_sector || file.size >= 1 << 20)
		kind = VM_DRIVE_DISK;
	host_file_close(&file);
	return kind;
}
