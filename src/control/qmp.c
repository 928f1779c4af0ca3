/*
 * QMP's commands, under its names.				[QEMU QMP Reference Manual]
 *
 * A subset: what steers and observes a machine of this kind. A command is a row of the table at the end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/devices.h"
#include "host/broker.h"
#include "util/json_text.h"
#include "util/words.h"
#include "vm.h"
#include "vm_meter.h"

struct call {
	struct control *c;
	struct vm *vm;
	json_t *args;
	struct error *err;
};

static const char *arg_string(const struct call *q, const char *name)
{
	return json_string_value(json_object_get(q->args, name));
}

/* The drive, by either of the names that the manual gives the argument. */
static const char *arg_device(const struct call *q)
{
	const char *device = arg_string(q, "device");

	return device ? device : arg_string(q, "id");
}

static json_t *missing(const struct call *q, const char *name)
{
	error_set(q->err, -EINVAL, "Parameter '%s' is missing", name);
	return NULL;
}

static json_t *result(int rc)
{
	return rc < 0 ? NULL : json_object();
}

static json_t *query_status(struct call *q)
{
	return json_pack("{s:b,s:b,s:s}", "running", !q->vm->paused, "singlestep", 0, "status", run_state(q->vm));
}

static json_t *query_version(struct call *q)
{
	return json_pack("{s:{s:i,s:i,s:i},s:s}", "qemu", "major", 7, "minor", 2, "micro", 0, "package",
	    "plex86-" PLEX86_VERSION);
}

static json_t *query_name(struct call *q)
{
	const char *name = q->c->cfg->name;

	return name ? json_pack("{s:o}", "name", json_text(name)) : json_object();
}

static json_t *query_kvm(struct call *q)
{
	return json_pack("{s:b,s:b}", "enabled", 0, "present", 0);
}

static json_t *query_cpus_fast(struct call *q)
{
	return json_pack("[{s:i,s:s,s:s,s:i}]", "cpu-index", 0, "qom-path", "/machine/unattached/device[0]", "target", "i386",
	    "thread-id", (int)q->vm->kick.tid);
}

static json_t *stop(struct call *q)
{
	vm_pause(q->vm);
	return json_object();
}

static json_t *cont(struct call *q)
{
	vm_resume(q->vm);
	return json_object();
}

static json_t *system_reset(struct call *q)
{
	vm_request_reset(q->vm);
	return json_object();
}

static json_t *system_powerdown(struct call *q)
{
	power_button(q->c);
	return json_object();
}

static json_t *quit(struct call *q)
{
	vm_quit(q->vm, "host-qmp-quit", "ended by command");
	return json_object();
}

static enum key key_of(json_t *value)
{
	const char *type = json_string_value(json_object_get(value, "type"));
	json_t *data = json_object_get(value, "data");

	if (type && strcmp(type, "qcode") == 0 && json_is_string(data))
		return key_by_name(json_string_value(data));
	if (type && strcmp(type, "number") == 0 && json_is_integer(data)) {
		json_int_t code = json_integer_value(data);	/* bit 7: the E0 prefix */

		return key_by_set1((uint16_t)(code & 0x80 ? 0xE000 | (code & 0x7F) : code));
	}
	return KEY_NONE;
}

static json_t *send_key(struct call *q)
{
	json_t *list = json_object_get(q->args, "keys"), *hold = json_object_get(q->args, "hold-time");
	enum key keys[16];
	size_t n = json_array_size(list);

	if (!json_is_array(list))
		return missing(q, "keys");
	if (n == 0 || n > ARRAY_LEN(keys))
		return result(error_set(q->err, -EINVAL, "Parameter 'keys' takes 1 to %zu keys", ARRAY_LEN(keys)));
	for (size_t i = 0; i < n; i++) {
		keys[i] = key_of(json_array_get(list, i));
		if (keys[i] == KEY_NONE)
			return result(error_set(q->err, -EINVAL, "Parameter 'keys[%zu]' is no key", i));
	}
	int rc = control_send_keys(q->c, keys, (unsigned)n, hold ? (unsigned)json_integer_value(hold) : 100);
	return result(rc < 0 ? error_set(q->err, rc, "too many keys are waiting to be sent") : 0);
}

static json_t *input_event(struct call *q, json_t *event, int move[3])
{
	const char *type = json_string_value(json_object_get(event, "type"));
	json_t *data = json_object_get(event, "data");
	bool down = json_is_true(json_object_get(data, "down"));

	if (type && strcmp(type, "key") == 0) {
		enum key key = key_of(json_object_get(data, "key"));

		if (key == KEY_NONE)
			return result(error_set(q->err, -EINVAL, "Parameter 'key' is no key"));
		pc_key(&q->vm->pc, key, down);
	} else if (type && strcmp(type, "btn") == 0) {
		static const char *const names[] = { "left", "right", "middle" };
		const char *button = json_string_value(json_object_get(data, "button"));

		for (unsigned i = 0; button && i < ARRAY_LEN(names); i++)
			if (strcmp(button, names[i]) == 0)
				q->c->mouse_buttons = down ? q->c->mouse_buttons | BIT(i) : q->c->mouse_buttons & ~BIT(i);
		if (button && down && strncmp(button, "wheel-", 6) == 0)
			move[2] += button[6] == 'd' ? 1 : -1;
	} else if (type && strcmp(type, "rel") == 0) {
		const char *axis = json_string_value(json_object_get(data, "axis"));

		move[axis && axis[0] == 'y'] += (int)json_integer_value(json_object_get(data, "value"));
	} else {
		return result(error_set(q->err, -EINVAL, "event type '%s': the machine has a keyboard and a relative mouse", type ? type : ""));
	}
	return json_object();
}

static json_t *input_send_event(struct call *q)
{
	json_t *list = json_object_get(q->args, "events"), *event, *done = json_object();
	int move[3] = { 0 };
	unsigned before = q->c->mouse_buttons;
	size_t i;

	json_array_foreach(list, i, event) {
		json_decref(done);
		done = input_event(q, event, move);
		if (done == NULL)
			return NULL;
	}
	if (move[0] || move[1] || move[2] || before != q->c->mouse_buttons)
		pc_mouse(&q->vm->pc, move[0], move[1], move[2], q->c->mouse_buttons);
	return done;
}

static json_t *screendump(struct call *q)
{
	const char *file = arg_string(q, "filename"), *format = arg_string(q, "format");

	if (file == NULL)
		return missing(q, "filename");
	if (format && strcmp(format, "png") != 0 && strcmp(format, "ppm") != 0)
		return result(error_set(q->err, -EINVAL, "Parameter 'format' does not accept value '%s'", format));
	return result(vm_screendump(q->vm, file, format && format[1] == 'n' ? PICTURE_PNG : PICTURE_PPM, q->err));
}

static json_t *screentext(struct call *q)
{
	char *text = vm_screentext(q->vm);
	json_t *value = text ? json_string(text) : NULL;

	free(text);
	if (value == NULL)
		error_set(q->err, -ENODEV, "the machine has no graphics card");
	return value;
}

static json_t *query_meters(struct call *q)
{
	struct meter_snapshot *s = malloc(sizeof(*s));
	json_t *value = NULL;

	if (s == NULL)
		error_set(q->err, -ENOMEM, "no memory");
	else if (vm_meters_read(q->vm, s, q->err) == 0)
		value = meter_json(s);
	free(s);
	return value;
}

static json_t *start_profile(struct call *q)
{
	json_t *rate = json_object_get(q->args, "rate");
	json_int_t hz = rate ? json_integer_value(rate) : 499;

	return result(profile_start(&q->vm->profile, hz < 0 || hz > PROFILE_HZ_MAX ? 0 : (unsigned)hz, q->err));
}

static json_t *read_profile(struct call *q)
{
	return profile_read(&q->vm->profile, q->err);
}

static json_t *stop_profile(struct call *q)
{
	profile_stop(&q->vm->profile);
	return json_object();
}

static json_t *human_monitor_command(struct call *q)
{
	const char *line = arg_string(q, "command-line");
	size_t len = 0;

	if (line == NULL)
		return missing(q, "command-line");
	char *said = monitor_said(q->c, line, &len);
	if (said == NULL)
		return result(error_set(q->err, -ENOMEM, "no memory"));
	json_t *value = json_text_n(said, len);
	free(said);
	return value;
}

static json_t *pmemsave(struct call *q)
{
	const char *file = arg_string(q, "filename");
	json_int_t at = json_integer_value(json_object_get(q->args, "val")), size = json_integer_value(json_object_get(q->args, "size"));

	if (file == NULL)
		return missing(q, "filename");
	if (at < 0 || size < 0)
		return result(error_set(q->err, -EINVAL, "Parameters 'val' and 'size' are not negative"));
	return result(save_memory(q->vm, (uint64_t)at, (uint64_t)size, file, q->err));
}

static unsigned backing_depth(const struct image *image)
{
	unsigned n = 0;

	while ((image = image->backing))
		n++;
	return n;
}

static json_t *inserted(const struct drive_view *v)
{
	json_t *image = json_pack("{s:o,s:s,s:I}", "filename", json_text(v->file), "format", v->format, "virtual-size", (json_int_t)v->size_bytes);
	const struct image *backing = v->block->image->backing;

	if (backing && backing->path)
		json_object_set_new(image, "backing-filename", json_text(backing->path));
	json_t *d = json_pack("{s:o,s:s,s:s,s:b,s:b,s:i,s:s,s:o,s:{s:b,s:b,s:b}}", "file", json_text(v->file), "node-name", v->name, "drv", v->format,
	    "ro", v->read_only, "encrypted", 0, "backing_file_depth", (int)backing_depth(v->block->image), "detect_zeroes", "off",
	    "image", image, "cache", "writeback", 1, "direct", 0, "no-flush", 0);
	static const char *const limits[] = { "bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr", "write_threshold" };
	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		json_object_set_new(d, limits[i], json_integer(0));
	if (backing && backing->path)
		json_object_set_new(d, "backing_file", json_text(backing->path));
	return d;
}

static json_t *query_block(struct call *q)
{
	static const char *const status[] = { [BLOCK_OK] = "ok", [BLOCK_FAILED] = "failed", [BLOCK_NOSPACE] = "nospace" };
	json_t *list = json_array();

	for (unsigned n = 0; n < CONTROL_DRIVES; n++) {
		struct drive_view v;

		drive_look(q->vm, n, &v);
		if (!v.present)
			continue;
		json_t *d = json_pack("{s:s,s:s,s:s,s:b,s:b}", "device", v.name, "qdev", v.name, "type", "unknown", "removable",
		    v.removable, "locked", v.locked);
		if (v.removable)
			json_object_set_new(d, "tray_open", json_boolean(v.tray_open));
		if (v.block) {
			json_object_set_new(d, "io-status", json_string(status[v.block->status]));
			json_object_set_new(d, "inserted", inserted(&v));
		}
		json_array_append_new(list, d);
	}
	return list;
}

static json_t *query_blockstats(struct call *q)
{
	json_t *list = json_array();

	for (unsigned n = 0; n < CONTROL_DRIVES; n++) {
		struct drive_view v;
		struct block_stats s = { 0 };

		drive_look(q->vm, n, &v);
		if (!v.present)
			continue;
		if (v.block)
			s = v.block->stats;
		json_array_append_new(list, json_pack("{s:s,s:s,s:{s:I,s:I,s:I,s:I,s:I,s:I}}", "device", v.name, "qdev", v.name, "stats",
		    "rd_operations", (json_int_t)s.reads, "wr_operations", (json_int_t)s.writes, "flush_operations", (json_int_t)s.flushes,
		    "rd_bytes", (json_int_t)s.bytes_read, "wr_bytes", (json_int_t)s.bytes_written, "failed_operations", (json_int_t)s.errors));
	}
	return list;
}

static json_t *move_tray(struct call *q, bool open)
{
	const char *device = arg_device(q);

	if (device == NULL)
		return missing(q, "device");
	return result(drive_tray(q->c, device, open, json_is_true(json_object_get(q->args, "force")), q->err));
}

static json_t *open_tray(struct call *q) { return move_tray(q, true); }
static json_t *close_tray(struct call *q) { return move_tray(q, false); }

static json_t *query_mice(struct call *q)
{
	return json_pack("[{s:s,s:i,s:b,s:b}]", "name", "PS/2 Mouse", "index", 0, "current", 1, "absolute", 0);
}

static json_t *eject(struct call *q)
{
	const char *device = arg_device(q);

	if (device == NULL)
		return missing(q, "device");
	return result(drive_change(q->c, device, NULL, NULL, false, json_is_true(json_object_get(q->args, "force")), q->err));
}

static json_t *set_link(struct call *q)
{
	const char *name = arg_string(q, "name");
	json_t *up = json_object_get(q->args, "up");

	if (name == NULL)
		return missing(q, "name");
	if (!json_is_boolean(up))
		return missing(q, "up");
	return result(vm_net_set_link(q->c->vm, name, json_is_true(up), q->err));
}

static json_t *change_medium(struct call *q)
{
	const char *device = arg_device(q), *file = arg_string(q, "filename");
	const char *mode = arg_string(q, "read-only-mode");

	if (device == NULL)
		return missing(q, "device");
	if (file == NULL)
		return missing(q, "filename");
	int rc = drive_change(q->c, device, file, arg_string(q, "format"), mode && strcmp(mode, "read-only") == 0,
	    json_is_true(json_object_get(q->args, "force")), q->err);
	if (rc == -EACCES && host_broker_sealed()) {
		struct error why = *q->err;
		*q->err = (struct error){ "" };
		error_set(q->err, rc, "%s (the sandbox lets plex86 write below --sandbox=on,path=FOLDER only; read-only-mode: read-only)",
		    why.text);
	}
	return result(rc);
}

/* The file is opened by who asks, and used under the name /dev/fdset/ID: the monitor itself may be confined. */
static json_t *add_fd(struct call *q)
{
	int fd = q->c->passed_fd;

	if (fd < 0)
		return result(error_set(q->err, -EBADF, "No file descriptor supplied via SCM_RIGHTS"));
	q->c->passed_fd = -1;
	int id = host_fdset_add(fd);
	if (id < 0)
		return result(error_set(q->err, id, "at most %d file descriptors are kept (remove-fd)", HOST_FDSETS));
	return json_pack("{s:i,s:i}", "fdset-id", id, "fd", fd);
}

static json_t *remove_fd(struct call *q)
{
	json_int_t id = json_integer_value(json_object_get(q->args, "fdset-id"));

	if (id < 0 || id >= HOST_FDSETS || host_fdset_remove((unsigned)id) < 0)
		return result(error_set(q->err, -ENOENT, "File descriptor set not found"));
	return json_object();
}

static json_t *query_commands(struct call *q);

static const struct command {
	const char *name;
	json_t *(*run)(struct call *q);
	const char *args;		/* their names; NULL: it takes none */
} commands[] = {
	{ "query-status", query_status, NULL },
	{ "query-version", query_version, NULL },
	{ "query-name", query_name, NULL },
	{ "query-commands", query_commands, NULL },
	{ "query-kvm", query_kvm, NULL },
	{ "query-cpus-fast", query_cpus_fast, NULL },
	{ "query-block", query_block, NULL },
	{ "query-blockstats", query_blockstats, "query-nodes" },
	{ "query-mice", query_mice, NULL },
	{ "stop", stop, NULL },
	{ "cont", cont, NULL },
	{ "system_reset", system_reset, NULL },
	{ "system_powerdown", system_powerdown, NULL },
	{ "quit", quit, NULL },
	{ "send-key", send_key, "keys hold-time" },
	{ "input-send-event", input_send_event, "events device head" },
	{ "screendump", screendump, "filename format" },
	{ "x-screentext", screentext, NULL },		/* ours: what a text mode shows */
	{ "x-query-meters", query_meters, NULL },	/* ours: docs/metering.md */
	{ "x-profile-start", start_profile, "rate" },	/* ours, too */
	{ "x-profile-read", read_profile, NULL },
	{ "x-profile-stop", stop_profile, NULL },
	{ "human-monitor-command", human_monitor_command, "command-line cpu-index" },
	{ "pmemsave", pmemsave, "val size filename" },
	{ "eject", eject, "device id force" },
	{ "set_link", set_link, "name up" },
	{ "blockdev-change-medium", change_medium, "device id filename format force read-only-mode" },
	{ "blockdev-open-tray", open_tray, "device id force" },
	{ "blockdev-close-tray", close_tray, "device id" },
	{ "add-fd", add_fd, "opaque" },
	{ "remove-fd", remove_fd, "fdset-id fd" },
};

static json_t *query_commands(struct call *q)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		json_array_append_new(list, json_pack("{s:s}", "name", commands[i].name));
	json_array_append_new(list, json_pack("{s:s}", "name", "qmp_capabilities"));
	return list;
}

/* An argument that is not known would be one that is not obeyed. */
static json_t *execute(const struct command *command, struct call *q)
{
	const char *key;
	json_t *value;

	json_object_foreach(q->args, key, value)
		if (command->args == NULL || !word_in(command->args, key))
			return result(error_set(q->err, -EINVAL, "Parameter '%.60s' is unexpected", key));
	return command->run(q);
}

json_t *qmp_execute(struct control *c, const char *name, json_t *args, struct error *err)
{
	struct call q = { c, c->vm, args, err };

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return execute(&commands[i], &q);
	error_set(err, -ENOENT, "The command %s has not been found", name);
	return NULL;
}
