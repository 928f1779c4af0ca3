/*
 * Drives: where image files and the chips that use them meet.
 */
#include "vm_drives.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "host/broker.h"

static unsigned sector_bytes(const struct vm_drive_config *d)
{
	return d->kind == VM_DRIVE_CDROM ? CD_SECTOR : IDE_SECTOR;
}

/* The place of drive n's image. */
static struct image_disk **slot_of(struct vm_drives *drives, unsigned n)
{
	return n >= VM_IDE_DRIVES ? &drives->floppy[n - VM_IDE_DRIVES] : &drives->ide[n];
}

static int open_drive(struct vm_drives *drives, const struct vm_drive_config *d, bool snapshot, struct image_disk **block,
		      struct error *err)
{
	struct image_options o = { .format = d->format, .snapshot = snapshot || d->snapshot,
	    .read_only = d->read_only || d->kind == VM_DRIVE_CDROM };
	struct image_error why = { "" };
	struct image *image;
	char *slash = strrchr(d->path, '/'), folder[PATH_MAX];

	/* Where a disk's image lies others will lie, to be put in later. */
	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - d->path) + 1 : 1, slash ? d->path : ".");
	host_broker_allow(folder, BROKER_READ | BROKER_CREATE);
	if (o.read_only)
		o.snapshot = false;		/* nothing is written */
	int rc = image_open(&image, d->path, &o, &why);
	if (rc < 0)
		return error_set(err, rc, "%s", why.text);
	if (image->size_bytes == 0) {
		image_close(image);
		return error_set(err, -EINVAL, "%s: is empty", d->path);
	}
	if (d->kind == VM_DRIVE_FLOPPY && image->size_bytes > FDC_BYTES_MAX) {
		image_close(image);
		return error_set(err, -EFBIG, "%s: is larger than any floppy (2.88 MB); -hda makes it a disk", d->path);
	}
	rc = block_open(block, &drives->pool, image, sector_bytes(d));
	if (rc < 0) {
		image_close(image);
		return error_set(err, rc, "%s: %s", d->path, strerror(-rc));
	}
	(*block)->read_error = d->read_error_given ? d->read_error : BLOCK_REPORT;
	(*block)->write_error = d->write_error;
	return 0;
}

int vm_drives_open(struct vm_drives *drives, const struct vm_drives_config *cfg, const struct vm_drives_host *host,
		   struct error *err)
{
	int rc = 0;

	memset(drives, 0, sizeof(*drives));
	block_pool_init(&drives->pool, cfg->synchronous, host->notify, host->arg);
	drives->pool.failed = host->failed;
	drives->open = true;
	for (unsigned i = 0; i < VM_IDE_DRIVES && rc == 0; i++)
		if (cfg->ide[i].kind != VM_DRIVE_NONE && cfg->ide[i].path != NULL)
			rc = open_drive(drives, &cfg->ide[i], cfg->snapshot, &drives->ide[i], err);
	for (unsigned i = 0; i < VM_FLOPPIES && rc == 0; i++)
		if (cfg->floppy[i].kind != VM_DRIVE_NONE && cfg->floppy[i].path != NULL)
			rc = open_drive(drives, &cfg->floppy[i], cfg->snapshot, &drives->floppy[i], err);
	return rc;
}

void vm_drives_attach(struct vm_drives *drives, const struct vm_drives_config *cfg, struct chipset *cs)
{
	for (unsigned i = 0; i < VM_IDE_DRIVES; i++) {
		struct disk *disk = drives->ide[i] ? &drives->ide[i]->disk : NULL;
		if (cfg->ide[i].kind != VM_DRIVE_NONE)
			chipset_attach_ide(cs, i / 2, i % 2, cfg->ide[i].kind == VM_DRIVE_CDROM ? IDE_CDROM : IDE_DISK,
			    disk, cfg->ide[i].serial);
	}
	for (unsigned i = 0; i < VM_FLOPPIES; i++)
		if (cfg->floppy[i].kind != VM_DRIVE_NONE)
			chipset_attach_floppy(cs, i, drives->floppy[i] ? &drives->floppy[i]->disk : NULL);
}

void vm_drives_poll(struct vm_drives *drives)
{
	block_poll(&drives->pool);
}

bool vm_drives_busy(const struct vm_drives *drives)
{
	for (unsigned i = 0; i < VM_IDE_DRIVES; i++)
		if (drives->ide[i] && drives->ide[i]->outstanding)
			return true;
	for (unsigned i = 0; i < VM_FLOPPIES; i++)
		if (drives->floppy[i] && drives->floppy[i]->outstanding)
			return true;
	return false;
}

void vm_drives_retry(struct vm_drives *drives)
{
	for (unsigned n = 0; n < VM_IDE_DRIVES + VM_FLOPPIES; n++)
		if (*slot_of(drives, n))
			block_retry(*slot_of(drives, n));
}

static void close_block(struct image_disk *block)
{
	char path[512] = "";

	if (block)
		snprintf(path, sizeof(path), "%s", block->image->path);
	int rc = block_close(block);
	if (rc < 0)
		fprintf(stderr, "plex86: %s: what the guest wrote last could not be written out: %s\n", path, strerror(-rc));
}

static void stats_add(struct block_stats *sum, const struct block_stats *s)
{
	sum->reads += s->reads;
	sum->writes += s->writes;
	sum->flushes += s->flushes;
	sum->bytes_read += s->bytes_read;
	sum->bytes_written += s->bytes_written;
	sum->errors += s->errors;
}

/* Close what was in drive n; what it did still counts. */
static void take_out(struct vm_drives *drives, unsigned n, struct image_disk *old)
{
	if (old == NULL)
		return;
	old->disk.drain(&old->disk);
	stats_add(&drives->past[n], &old->stats);
	close_block(old);
}

void vm_drives_close(struct vm_drives *drives)
{
	if (!drives->open)
		return;
	for (unsigned n = 0; n < VM_IDE_DRIVES + VM_FLOPPIES; n++) {
		struct image_disk **slot = slot_of(drives, n);

		take_out(drives, n, *slot);
		*slot = NULL;
	}
	block_pool_free(&drives->pool);
	drives->open = false;
}

struct block_stats vm_drives_stats(const struct vm_drives *drives, unsigned n)
{
	const struct image_disk *b = n >= VM_IDE_DRIVES ? drives->floppy[n - VM_IDE_DRIVES] : drives->ide[n];
	struct block_stats sum = drives->past[n];

	if (b)
		stats_add(&sum, &b->stats);
	return sum;
}

int vm_drives_change(struct vm_drives *drives, struct chipset *cs, unsigned n, const struct vm_drive_config *medium,
		     bool force, struct error *err)
{
	bool floppy = n >= VM_IDE_DRIVES;
	struct image_disk **slot = slot_of(drives, n), *fresh = NULL, *old = *slot;

	/* The old image keeps its lock until it is closed: the same file again must wait for that. */
	if (medium != NULL && medium->path != NULL) {
		int rc = open_drive(drives, medium, false, &fresh, err);
		if (rc < 0)
			return rc;
	}
	if (floppy) {
		fdc_attach(&cs->fdc, n - VM_IDE_DRIVES, fresh ? &fresh->disk : NULL);
	} else if (!ide_change_medium(&cs->ide, n / 2, n % 2, fresh ? &fresh->disk : NULL, force)) {
		block_close(fresh);
		return error_set(err, -EBUSY, "the guest has locked the drive's door, or it is no CD-ROM drive");
	}
	*slot = fresh;
	take_out(drives, n, old);
	return 0;
}
