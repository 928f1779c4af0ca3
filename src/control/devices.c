#include "control/devices.h"

#include <errno.h>
#include <string.h>

#include "host/broker.h"
#include "image/image.h"
#include "vm.h"

void drive_look(struct vm *vm, unsigned n, struct drive_view *view)
{
	bool floppy = n >= VM_IDE_DRIVES;
	const struct vm_drives_config *cfg = &vm->cfg->drives;
	const struct vm_drive_config *d = floppy ? &cfg->floppy[n - VM_IDE_DRIVES] : &cfg->ide[n];
	const struct image_disk *b = floppy ? vm->drives.floppy[n - VM_IDE_DRIVES] : vm->drives.ide[n];

	*view = (struct drive_view){ .present = d->kind != VM_DRIVE_NONE, .removable = d->kind != VM_DRIVE_DISK };
	if (floppy) {
		snprintf(view->name, sizeof(view->name), "floppy%u", n - VM_IDE_DRIVES);
	} else {
		const struct ide_drive *drive = &vm->chipset.ide.channel[n / 2].drive[n % 2];

		snprintf(view->name, sizeof(view->name), "ide%u-%s%u", n / 2, d->kind == VM_DRIVE_CDROM ? "cd" : "hd", n % 2);
		view->tray_open = drive->tray_open;
		view->locked = drive->locked;
	}
	if (b) {
		view->block = b;
		view->file = b->image->path;
		view->format = b->image->ops->format;
		view->size_bytes = b->image->size_bytes;
		view->read_only = b->image->read_only;
	}
}

int drive_find(struct vm *vm, const char *name)
{
	struct drive_view v;

	for (unsigned n = 0; n < CONTROL_DRIVES; n++) {
		drive_look(vm, n, &v);
		if (v.present && strcmp(v.name, name) == 0)
			return (int)n;
	}
	return -1;
}

const char *drive_name(struct vm *vm, const struct image_disk *block, struct drive_view *view)
{
	for (unsigned n = 0; n < CONTROL_DRIVES; n++) {
		drive_look(vm, n, view);
		if (view->present && view->block == block)
			return view->name;
	}
	return "";
}

void drive_tray_event(struct vm *vm, unsigned n, bool open)
{
	struct drive_view v;

	drive_look(vm, n, &v);
	vm->tray_open[n] = open;
	control_event(&vm->control, "DEVICE_TRAY_MOVED", json_pack("{s:s,s:s,s:b}", "device", v.name, "id", v.name,
	    "tray-open", open));
}

int drive_tray(struct control *c, const char *name, bool open, bool force, struct error *err)
{
	int n = drive_find(c->vm, name);

	if (n < 0)
		return error_set(err, -ENODEV, "Device '%s' not found", name);
	struct ide_drive *d = n < VM_IDE_DRIVES ? &c->vm->chipset.ide.channel[n / 2].drive[n % 2] : NULL;
	if (d == NULL || d->kind != IDE_CDROM)
		return error_set(err, -EINVAL, "Device '%s' does not have a tray", name);
	if (!ide_move_tray(&c->vm->chipset.ide, (unsigned)n / 2, (unsigned)n % 2, open, force))
		return error_set(err, -EBUSY, "Device '%s' is locked and force was not specified, wait for tray to open and try again", name);
	return 0;
}

int drive_change(struct control *c, const char *name, const char *file, const char *format, bool read_only, bool force,
		 struct error *err)
{
	int n = drive_find(c->vm, name);
	struct drive_view v;

	if (n < 0)
		return error_set(err, -ENODEV, "Device '%s' not found", name);
	drive_look(c->vm, (unsigned)n, &v);
	if (!v.removable)
		return error_set(err, -EINVAL, "Device '%s' is not removable", name);
	struct vm_drive_config medium = { .kind = n >= VM_IDE_DRIVES ? VM_DRIVE_FLOPPY : VM_DRIVE_CDROM, .path = file,
	    .format = format, .read_only = read_only || n < VM_IDE_DRIVES };
	bool was_open = v.tray_open;
	int rc = vm_drives_change(&c->vm->drives, &c->vm->chipset, (unsigned)n, file ? &medium : NULL, force, err);
	if (rc < 0)
		return rc;
	if (!was_open)
		drive_tray_event(c->vm, (unsigned)n, true);
	if (file)
		drive_tray_event(c->vm, (unsigned)n, false);
	return 0;
}

int save_memory(struct vm *vm, uint64_t gpa, uint64_t bytes, const char *path, struct error *err)
{
	uint8_t buf[PAGE_BYTES];

	/* What is beyond it is not memory, and would fill the host's disk. */
	if (gpa > UINT32_MAX || bytes > UINT32_MAX - gpa + 1)
		return error_set(err, -EINVAL, "'%s': memory ends at 4 GiB", path);
	FILE *f = host_fopen(path, "w");
	if (f == NULL)
		return error_set(err, -errno, "cannot write '%s': %s", path, strerror(errno));
	errno = 0;
	while (bytes > 0 && !ferror(f)) {
		size_t n = MIN(bytes, sizeof(buf));

		phys_read(&vm->phys, gpa, buf, n);
		fwrite(buf, 1, n, f);
		gpa += n;
		bytes -= n;
	}
	bool failed = ferror(f);
	failed = fclose(f) != 0 || failed;
	return failed ? error_set(err, errno ? -errno : -EIO, "cannot write '%s': %s", path, strerror(errno ? errno : EIO)) : 0;
}

const char *run_state(struct vm *vm)
{
	return vm->shut_down ? "shutdown" : vm->io_error ? "io-error" : !vm->paused ? "running" : vm->cfg->start_paused && !vm->begun ? "prelaunch" : "paused";
}

void power_button(struct control *c)
{
	pc_power_button(&c->vm->pc);
	control_event(c, "POWERDOWN", NULL);
}
