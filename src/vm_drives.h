/*
 * The machine's drives: image files behind IDE and floppy drives.
 */
#ifndef PLEX86_VM_DRIVES_H
#define PLEX86_VM_DRIVES_H

#include "dev/chipset.h"
#include "image/block.h"
#include "util/error.h"

#define VM_IDE_DRIVES	4		/* primary master, slave, secondary master, slave */
#define VM_FLOPPIES	2

enum vm_drive_kind { VM_DRIVE_NONE, VM_DRIVE_DISK, VM_DRIVE_CDROM, VM_DRIVE_FLOPPY };

struct vm_drive_config {
	enum vm_drive_kind kind;
	const char *path;		/* NULL: a drive without a medium */
	const char *format;		/* NULL: look at the file */
	const char *serial;		/* NULL: one by position */
	const char *id;			/* -drive id=; NULL: none */
	unsigned boot_rank;		/* -device bootindex= plus 1: the least is tried first; 0: none */
	bool read_only, snapshot;
	enum block_on_error read_error, write_error;	/* rerror=, werror= */
	bool read_error_given;		/* else reads report */
};

struct vm_drives_config {
	struct vm_drive_config ide[VM_IDE_DRIVES], floppy[VM_FLOPPIES];
	struct vm_drive_config loose[VM_IDE_DRIVES + VM_FLOPPIES];	/* -drive if=none, until a -device takes it */
	bool snapshot;			/* all of them */
	bool synchronous;		/* a request is done when it is made: the instruction clock's runs repeat */
};

struct vm_drives {
	struct block_pool pool;
	struct image_disk *ide[VM_IDE_DRIVES], *floppy[VM_FLOPPIES];
	struct block_stats past[VM_IDE_DRIVES + VM_FLOPPIES];	/* of media that were taken out */
	bool open;
};

struct vm_drives_host {
	void *arg;
	void (*notify)(void *arg);	/* on other threads: vm_drives_poll() has something to do */
	void (*failed)(void *arg, const struct image_disk *block, const struct disk_request *req, enum block_on_error action);
};

/* Open the images. 0 or -errno with err set; vm_drives_close() in any case. */
int vm_drives_open(struct vm_drives *drives, const struct vm_drives_config *cfg, const struct vm_drives_host *host,
		   struct error *err);
void vm_drives_attach(struct vm_drives *drives, const struct vm_drives_config *cfg, struct chipset *cs);
void vm_drives_poll(struct vm_drives *drives);
bool vm_drives_busy(const struct vm_drives *drives);	/* requests are under way */
/* Make again what was held after an error. */
void vm_drives_retry(struct vm_drives *drives);
/* Requests finished, written out, images closed. What could not be written is said on standard error. */
void vm_drives_close(struct vm_drives *drives);

/*
 * Put another medium into a CD-ROM (ide 0..3) or floppy drive (4, 5); path NULL: take it out. 0 or -errno with
 * err set: -EBUSY if the guest has locked the door and force is not set.
 */
int vm_drives_change(struct vm_drives *drives, struct chipset *cs, unsigned n, const struct vm_drive_config *medium,
		     bool force, struct error *err);

/* Of all media that were in drive n (numbered as above). */
struct block_stats vm_drives_stats(const struct vm_drives *drives, unsigned n);

#endif
