/*
 * What both languages of the control sockets do to the machine.
 */
#ifndef PLEX86_CONTROL_DEVICES_H
#define PLEX86_CONTROL_DEVICES_H

#include "control/control.h"

#define CONTROL_DRIVES	6		/* four IDE, two floppy */

struct drive_view {
	bool present, removable, tray_open, locked, read_only;
	char name[32];			/* as QEMU names them: ide0-hd0, ide1-cd0, floppy0 */
	const char *file, *format;	/* NULL: no medium */
	const struct image_disk *block;	/* likewise */
	uint64_t size_bytes;
};

void drive_look(struct vm *vm, unsigned n, struct drive_view *view);
int drive_find(struct vm *vm, const char *name);	/* number, or -1 */
const char *drive_name(struct vm *vm, const struct image_disk *block, struct drive_view *view);	/* in view */
/* Tell the clients that a tray was opened or shut. */
void drive_tray_event(struct vm *vm, unsigned n, bool open);
/* Open or shut the tray of a CD-ROM drive, as its button does. 0 or -errno with err set. */
int drive_tray(struct control *c, const char *name, bool open, bool force, struct error *err);
/* file NULL: take the medium out. 0 or -errno with err set. */
int drive_change(struct control *c, const char *name, const char *file, const char *format, bool read_only, bool force,
		 struct error *err);
/* Guest-physical memory to a file. */
int save_memory(struct vm *vm, uint64_t gpa, uint64_t bytes, const char *path, struct error *err);
const char *run_state(struct vm *vm);	/* "running", "paused", "io-error", "shutdown", "prelaunch" */
void power_button(struct control *c);

#endif
