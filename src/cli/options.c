/*
 * Options are named as QEMU's users type them where there is a counterpart. One dash or two, and
 * "--name value" or "--name=value", as the user likes.
 */
#include "cli/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli/blockdevs.h"
#include "cli/chardevs.h"
#include "cli/compat.h"
#include "cli/devices.h"
#include "cli/drives.h"
#include "cli/readconfig.h"
#include "cli/tables.h"
#include "host/tty.h"
#include "scan/vmap.h"

struct option {
	const char *name, *alias;	/* alias: NULL or a long second spelling */
	const char *arg;		/* NULL: takes none */
	const char *help;
	int (*set)(struct options *o, const char *arg, struct error *err);
	bool ours;			/* no counterpart in QEMU: --help shows it with two dashes, as GNU programs have it */
};

bool parse_size(const char *text, uint64_t unit, uint64_t *bytes)
{
	static const char suffixes[] = "BKMGT";
	char *end;

	errno = 0;
	if (*text < '0' || *text > '9')
		return false;
	uint64_t n = strtoull(text, &end, 0);
	if (errno)
		return false;
	if (*end) {
		const char *s = strchr(suffixes, *end >= 'a' ? *end - 32 : *end);

		if (s == NULL || end[1] != '\0')
			return false;
		unit = 1ull << (10 * (s - suffixes));
	}
	return !__builtin_mul_overflow(n, unit, bytes);
}

static bool parse_number(const char *text, uint64_t max, uint64_t *n)
{
	char *end;

	errno = 0;
	if (*text < '0' || *text > '9')
		return false;
	*n = strtoull(text, &end, 0);
	return errno == 0 && *end == '\0' && *n <= max;
}

/* Options that only keep their text, or that they were given. */
#define SET(name, field, value)								\
	static int set_##name(struct options *o, const char *arg, struct error *err)	\
	{ o->field = value; return 0; }
SET(kernel, vm.boot.kernel, arg)
SET(initrd, vm.boot.initrd, arg)
SET(append, vm.boot.append, arg)
SET(no_reboot, vm.no_reboot, true)
SET(trace_filter, vm.trace_filter, arg)
SET(trace_cpls, vm.trace_cpls, arg)
SET(trace_file, vm.trace_file, arg)
SET(daemonize, daemonize, true)
SET(no_boot_check, vm.no_boot_check, true)
SET(protect_code, vm.protect_code, true)
SET(perf_map, vm.perf_map, true)
SET(verify_code, vm.verify_code, true)
SET(no_shutdown, vm.no_shutdown, true)
SET(vgabios, vm.screen.vgabios, arg)
SET(bios, vm.bios, arg)
SET(snapshot, vm.drives.snapshot, true)
SET(pidfile, vm.control.pidfile, arg)
SET(meter_log, vm.publish.log, arg)
SET(meter_instructions, vm.meter_instructions, true)
SET(paused, vm.start_paused, true)
SET(nodefaults, no_defaults, true)

static int set_memory(struct options *o, const char *arg, struct error *err)
{
	uint64_t bytes;
	char size[64];

	/* "[size=]N[,slots=0][,maxmem=N]": none is plugged in later. */
	snprintf(size, sizeof(size), "%s", strncmp(arg, "size=", 5) == 0 ? arg + 5 : arg);
	char *more = strchr(size, ',');
	if (more)
		*more++ = '\0';
	if (!parse_size(size, 1 << 20, &bytes))
		return error_set(err, -EINVAL, "-m '%s': not a size (as 256, 512M or 1G)", arg);
	for (char *save = NULL, *word = more ? strtok_r(more, ",", &save) : NULL; word; word = strtok_r(NULL, ",", &save)) {
		uint64_t max;

		if (strcmp(word, "slots=0") != 0 && (strncmp(word, "maxmem=", 7) != 0 || !parse_size(word + 7, 1 << 20, &max) || max != bytes))
			return error_set(err, -EINVAL, "-m '%s': memory cannot be added later", arg);
	}
	if (bytes < VM_RAM_MIN)
		return error_set(err, -EINVAL, "-m %s: a guest needs at least %llu MiB of memory", arg, VM_RAM_MIN >> 20);
	if (bytes > VM_RAM_MAX)
		return error_set(err, -EINVAL, "-m %s: a guest can have at most %llu MiB of memory", arg, VM_RAM_MAX >> 20);
	o->vm.ram_bytes = bytes & ~(uint64_t)PAGE_MASK;
	return 0;
}

static int set_flat(struct options *o, const char *arg, struct error *err)
{
	uint64_t addr;

	if (!parse_number(arg, UINT32_MAX, &addr))
		return error_set(err, -EINVAL, "--flat '%s': not an address", arg);
	o->flat = true;
	o->vm.boot.flat_addr = (uint32_t)addr;
	return 0;
}

static int set_mode(struct options *o, const char *arg, struct error *err)
{
	if (strcmp(arg, "real") != 0 && strcmp(arg, "protected") != 0)
		return error_set(err, -EINVAL, "--mode '%s': it is real or protected", arg);
	o->vm.boot.flat_real = arg[0] == 'r';
	return 0;
}

static int set_nographic(struct options *o, const char *arg, struct error *err)
{
	o->display_given = o->nographic = true;
	return 0;
}

static int set_cpu(struct options *o, const char *arg, struct error *err)
{
	if (strcmp(arg, "help") == 0) {
		puts("Processors:\n  plex86     32-bit, SSE2 (also: max, host, qemu32)\n"
		    "  pentium4   the same for systems that fail where CPUID has leaves above 3 (Windows NT 4)");
		o->command = CLI_DONE;
		return 0;
	}
	static const char *const names[] = { "plex86", "max", "host", "qemu32", "pentium4" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(arg, names[i]) == 0) {
			o->vm.cpuid_limited = strcmp(arg, "pentium4") == 0;
			return 0;
		}
	return error_set(err, -EINVAL, "-cpu '%s': no such processor (-cpu help lists them)", arg);
}

static int set_trace(struct options *o, const char *arg, struct error *err)
{
	if (strcmp(arg, "help") == 0) {
		trace_list_items(stdout);
		o->command = CLI_DONE;
	}
	o->vm.trace_items = arg;
	return 0;
}

static int set_engine(struct options *o, const char *arg, struct error *err)
{
	o->engine_given = true;
	if (strcmp(arg, "emulate") == 0)
		o->vm.engine = ENGINE_EMULATE;
	else if (strcmp(arg, "scan") == 0)
		o->vm.engine = ENGINE_SCAN;
	else if (strcmp(arg, "lockstep") == 0)
		o->vm.engine = ENGINE_LOCKSTEP;
	else
		return error_set(err, -EINVAL, "--engine '%s': it is scan, emulate or lockstep", arg);
	return 0;
}

static int set_virtualize(struct options *o, const char *arg, struct error *err)
{
	struct vmap_rule rule;

	if (!vmap_parse(&rule, arg))
		return error_set(err, -EINVAL, "--virtualize '%s': no such instruction (--virtualize-list shows them)", arg);
	for (unsigned i = 0; i < ARRAY_LEN(o->vm.virtualize); i++) {
		if (o->vm.virtualize[i] == NULL) {
			o->vm.virtualize[i] = arg;
			return 0;
		}
	}
	return error_set(err, -EINVAL, "--virtualize: at most %zu of them", ARRAY_LEN(o->vm.virtualize));
}

static int set_virtualize_list(struct options *o, const char *arg, struct error *err)
{
	vmap_list(stdout);
	o->command = CLI_DONE;
	return 0;
}

#define CODE_CACHE_MIN	(256u << 10)

static int set_code_cache(struct options *o, const char *arg, struct error *err)
{
	if (!parse_size(arg, 1 << 10, &o->vm.code_cache_bytes) || o->vm.code_cache_bytes < CODE_CACHE_MIN ||
	    o->vm.code_cache_bytes > 1u << 30)
		return error_set(err, -EINVAL, "--code-cache '%s': it is from 256 K to 1 G, in KiB or with a suffix K, M, G", arg);
	o->vm.code_cache_bytes &= ~(uint64_t)4095;
	return 0;
}

static int set_max_mappings(struct options *o, const char *arg, struct error *err)
{
	uint64_t n;

	if (!parse_number(arg, INT32_MAX, &n) || n < 1024)
		return error_set(err, -EINVAL, "--max-mappings '%s': it is a number from 1024 on", arg);
	o->vm.max_mappings = (uint32_t)n;
	return 0;
}

static int set_clock(struct options *o, const char *arg, struct error *err)
{
	if (strcmp(arg, "host") != 0 && strcmp(arg, "instructions") != 0)
		return error_set(err, -EINVAL, "--clock '%s': it is host or instructions", arg);
	o->vm.clock = arg[0] == 'h' ? CLOCK_HOST : CLOCK_INSTRUCTIONS;
	return 0;
}

static int set_vga(struct options *o, const char *arg, struct error *err)
{
	if (strcmp(arg, "help") == 0) {
		puts("Graphics cards:\n  std     VGA with Bochs's VBE (default, if there is a screen)\n  none");
		o->command = CLI_DONE;
		return 0;
	}
	if (strcmp(arg, "std") != 0 && strcmp(arg, "none") != 0)
		return error_set(err, -EINVAL, "-vga '%s': it is std or none", arg);
	o->vga_given = true;
	o->vm.screen.vga = arg[0] == 's';
	return 0;
}

static int set_sandbox(struct options *o, const char *arg, struct error *err)
{
	char *text = options_keep(o, arg), *to = text;

	/* What QEMU's sandbox lets one deny is denied by ours; what it lets one allow is not, and nothing of a guest's needs it. */
	for (const char *p = arg; text && *p; p += strspn(p, ",")) {
		static const char *const words[] = { "obsolete=", "elevateprivileges=", "spawn=", "resourcecontrol=" };
		size_t len = strcspn(p, ","), i = 0;

		while (i < ARRAY_LEN(words) && strncmp(p, words[i], strlen(words[i])) != 0)
			i++;
		if (i == ARRAY_LEN(words))
			to += sprintf(to, "%s%.*s", to == text ? "" : ",", (int)len, p);
		p += len;
	}
	return host_sandbox_parse(&o->sandbox, text ? text : arg, err);
}

/* --- displays --- */

static struct ui_config *new_ui(struct options *o, enum ui_kind kind, struct error *err)
{
	o->display_given = true;
	if (o->vm.screen.nui == UI_MAX) {
		error_set(err, -EINVAL, "at most %u displays", UI_MAX);
		return NULL;
	}
	struct ui_config *ui = &o->vm.screen.ui[o->vm.screen.nui++];
	ui->kind = kind;
	return ui;
}

/* "[HOST]:DISPLAY[,password-file=FILE]", as QEMU has it; an empty host is this host only. */
static int set_vnc(struct options *o, const char *arg, struct error *err)
{
	struct ui_config *ui;
	const char *comma = strchr(arg, ','), *colon = strrchr(arg, ':');
	uint64_t display;
	char number[16];

	o->display_given = true;
	if (strcmp(arg, "none") == 0)
		return 0;
	ui = new_ui(o, UI_VNC, err);
	if (ui == NULL)
		return -EINVAL;
	if (comma && colon > comma)
		colon = memrchr(arg, ':', (size_t)(comma - arg));
	if (colon == NULL || (size_t)(colon - arg) >= sizeof(ui->host))
		return error_set(err, -EINVAL, "-vnc '%s': it is [HOST]:DISPLAY[,password-file=FILE] or none", arg);
	snprintf(ui->host, sizeof(ui->host), "%.*s", (int)(colon - arg), arg);
	snprintf(number, sizeof(number), "%.*s", (int)MIN(strcspn(colon + 1, ","), sizeof(number) - 1), colon + 1);
	if (!parse_number(number, 59635, &display))
		return error_set(err, -EINVAL, "-vnc '%s': '%s' is not the number of a display", arg, number);
	ui->port = 5900 + (unsigned)display;
	if (comma == NULL)
		return 0;
	if (strncmp(comma, ",password-file=", 15) != 0 || comma[15] == '\0')
		return error_set(err, -EINVAL, "-vnc '%s': the only option is password-file=FILE", arg);
	ui->password_file = comma + 15;
	return 0;
}

static int set_display(struct options *o, const char *arg, struct error *err)
{
	struct ui_config *ui;
	uint64_t port;

	if (strcmp(arg, "help") == 0) {
		puts("Displays:\n  curses  in the terminal\n  web     in a browser\n  vnc=[HOST]:DISPLAY\n  none");
		o->command = CLI_DONE;
		return 0;
	}
	o->display_given = true;
	if (strcmp(arg, "none") == 0)
		return 0;
	if (strcmp(arg, "curses") == 0 || strncmp(arg, "curses,charset=", 15) == 0)
		return new_ui(o, UI_CURSES, err) ? 0 : -EINVAL;
	if (strncmp(arg, "vnc=", 4) == 0)
		return set_vnc(o, arg + 4, err);
	if (strcmp(arg, "web") != 0 && strncmp(arg, "web,port=", 9) != 0)
		return error_set(err, -EINVAL, "-display '%s': it is curses, web, vnc=[HOST]:DISPLAY or none", arg);
	if (arg[3] && (!parse_number(arg + 9, 65435, &port) || port == 0))
		return error_set(err, -EINVAL, "-display '%s': not a port", arg);
	ui = new_ui(o, UI_WEB, err);
	if (ui == NULL)
		return -EINVAL;
	ui->port = arg[3] ? (unsigned)port : 0;
	return 0;
}

static int set_curses(struct options *o, const char *arg, struct error *err)
{
	return set_display(o, "curses", err);
}

static int set_boot(struct options *o, const char *arg, struct error *err)
{
	return drives_boot(arg, &o->vm, err);
}

static int set_drive(struct options *o, const char *arg, struct error *err)
{
	return drives_parse(o, arg, err);
}

#define SET_DRIVE(name)									\
	static int set_##name(struct options *o, const char *arg, struct error *err)	\
	{ return drives_set(&o->vm.drives, #name, arg, err); }
SET_DRIVE(hda)
SET_DRIVE(hdb)
SET_DRIVE(hdc)
SET_DRIVE(hdd)
SET_DRIVE(cdrom)
SET_DRIVE(fda)
SET_DRIVE(fdb)

/* --- control --- */

static int set_control(struct options *o, const char *arg, struct error *err)
{
	char text[256];

	if ((size_t)snprintf(text, sizeof(text), "unix:%s,server=on,wait=off", arg) >= sizeof(text) || strchr(arg, ','))
		return error_set(err, -EINVAL, "--control '%s': not a path a socket can have", arg);
	return chardevs_qmp(o, text, err);
}

/* The name is also the name of the socket that plex86 ps, stop and so on find the machine by. */
static int set_name(struct options *o, const char *arg, struct error *err)
{
	size_t len = strcspn(arg, ",");

	if (strncmp(arg, "guest=", 6) == 0) {
		arg += 6;
		len -= 6;
	}
	if (len == 0 || len > 60 || arg[0] == '.' || memchr(arg, '/', len))
		return error_set(err, -EINVAL, "-name '%s': not a name (1 to 60 characters, no '/')", arg);
	snprintf(o->name, sizeof(o->name), "%.*s", (int)len, arg);
	o->vm.control.name = o->name;
	return 0;
}

static int name_socket(struct options *o, struct error *err)
{
	char dir[128], text[256];
	int rc = control_directory(dir, sizeof(dir), err);

	if (rc < 0)
		return rc;
	if ((size_t)snprintf(text, sizeof(text), "%s/%s.qmp", dir, o->name) >= sizeof(o->vm.control.listen[0].socket.path))
		return error_set(err, -EINVAL, "-name '%s': too long for the path of a socket", o->name);
	return set_control(o, text, err);
}

static int set_metrics(struct options *o, const char *arg, struct error *err)
{
	struct socket_spec *s = &o->vm.publish.metrics;
	bool ok;

	*s = (struct socket_spec){ .server = true };
	if (strncmp(arg, "unix:", 5) == 0)
		ok = arg[5] && (size_t)snprintf(s->path, sizeof(s->path), "%s", arg + 5) < sizeof(s->path);
	else
		ok = socket_host_port(s, arg) && s->port != 0;
	if (!ok)
		return error_set(err, -EINVAL, "--metrics '%s': it is ADDRESS:PORT, :PORT or unix:PATH", arg);
	o->vm.publish.serve = true;
	return 0;
}

static int set_meter_interval(struct options *o, const char *arg, struct error *err)
{
	char *end;
	double s = strtod(arg, &end);

	if (end == arg || *end || !(s >= 0.1 && s <= 86400))
		return error_set(err, -EINVAL, "--meter-interval '%s': it is 0.1 to 86400 seconds", arg);
	o->vm.publish.interval_ms = (unsigned)(s * 1000);
	return 0;
}

static int set_gdb(struct options *o, const char *arg, struct error *err)
{
	return gdb_parse(&o->vm.gdb, arg, err);
}

static int set_gdb_default(struct options *o, const char *arg, struct error *err)
{
	return gdb_parse(&o->vm.gdb, "tcp::1234", err);
}

static int set_help(struct options *o, const char *arg, struct error *err)
{
	o->command = CLI_HELP;
	return 0;
}

static int set_version(struct options *o, const char *arg, struct error *err)
{
	o->command = CLI_VERSION;
	return 0;
}

static const struct option option_table[] = {
	{ NULL, NULL, NULL, "What to boot", NULL, false },
	{ "kernel", NULL, "FILE", "a Linux bzImage or a Multiboot 1 kernel (or give it as IMAGE)", set_kernel, false },
	{ "initrd", NULL, "FILE", "initial RAM disk; Multiboot: \"FILE ARGS,FILE ARGS...\"", set_initrd, false },
	{ "append", NULL, "TEXT", "the kernel's command line", set_append, false },
	{ "flat", NULL, "ADDR", "load IMAGE at this physical address and start it at its first byte", set_flat, true },
	{ "mode", NULL, "MODE", "of --flat: real, or protected (flat, 32-bit: the default)", set_mode, true },
	{ "bios", NULL, "FILE", "the firmware that boots a drive (default: SeaBIOS from package seabios)", set_bios, false },
	{ "boot", NULL, "ORDER", "of drives: a (floppy), c (disk), d (CD-ROM); once=ORDER the first time;\nmenu=on[,splash-time=MS], strict=on, reboot-timeout=MS", set_boot, false },
	{ "no-reboot", NULL, NULL, "end when the guest resets", set_no_reboot, false },
	{ "no-shutdown", NULL, NULL, "stop, not end, when the guest powers off", set_no_shutdown, false },
	{ "action", NULL, "EVENT=WHAT,...", "both of these: reboot=shutdown, shutdown=pause", compat_action, false },
	{ "no-fd-bootchk", NULL, NULL, "start a floppy that has no boot sector's signature", set_no_boot_check, false },
	{ NULL, NULL, NULL, "The machine", NULL, false },
	{ "m", "memory", "SIZE", "guest memory in MiB, or with a suffix K, M, G (default 128)", set_memory, false },
	{ "cpu", NULL, "NAME", "the processor's model (-cpu help)", set_cpu, false },
	{ "smp", NULL, "1", "processors: there is one", compat_smp, false },
	{ "device", NULL, "NAME,...", "add a device (-device help)", devices_add, false },
	{ "rtc", NULL, "base=WHAT", "the clock chip shows utc (default), localtime, or 2006-06-17T16:01:21", compat_rtc, false },
	{ "machine", "M", "pc", "the machine: a PC with i440FX and PIIX", compat_machine, false },
	{ "accel", NULL, "tcg", "accepted, since plex86 is software, too", compat_accel, false },
	{ "global", NULL, "DEV.PROP=VALUE", "a property of a device, as -device has them", devices_global, false },
	{ "uuid", NULL, "UUID", "the machine's, which the guest reads from SMBIOS", tables_uuid, false },
	{ "smbios", NULL, "type=N,...", "names and numbers in SMBIOS, as type=1,serial=TEXT", tables_smbios, false },
	{ "fw_cfg", NULL, "NAME,...", "a file for the guest's eyes: file=PATH or string=TEXT", tables_fw_cfg, false },
	{ "no-acpi", NULL, NULL, "the same as -machine acpi=off", compat_no_acpi, false },
	{ "no-hpet", NULL, NULL, "the same as -machine hpet=off, which is the default", compat_no_hpet, false },
	{ "net", NULL, "none", "there is no network card; the same: -nic none, -parallel none,\n-audio none", compat_net, false },
	{ "nic", NULL, "none", NULL, compat_net, false },
	{ "parallel", NULL, "none", NULL, compat_parallel, false },
	{ "audio", NULL, "none", NULL, compat_sound, false },
	{ "audiodev", NULL, "none", NULL, compat_sound, false },
	{ "no-user-config", NULL, NULL, NULL, compat_nothing, false },
	{ "nouserconfig", NULL, NULL, NULL, compat_nothing, false },
	{ "no-kvm", NULL, NULL, NULL, compat_nothing, false },
	{ "singlestep", NULL, NULL, NULL, compat_nothing, false },
	{ "enable-fips", NULL, NULL, NULL, compat_nothing, false },
	{ "show-cursor", NULL, NULL, NULL, compat_nothing, false },
	{ "tb-size", NULL, "N", NULL, compat_nothing, false },
	{ "msg", NULL, "WHAT", NULL, compat_nothing, false },
	{ "compat", NULL, "WHAT", NULL, compat_nothing, false },
	{ "watchdog-action", NULL, "WHAT", NULL, compat_nothing, false },
	{ "overcommit", NULL, "mem-lock=off", NULL, compat_switches_off, false },
	{ "realtime", NULL, "mlock=off", NULL, compat_switches_off, false },
	{ "k", NULL, "en-us", NULL, compat_keyboard, false },
	{ NULL, NULL, NULL, "Drives", NULL, false },
	{ "hda", NULL, "FILE", "a disk image, raw or qcow2; hdb, hdc, hdd the next ones", set_hda, false },
	{ "hdb", NULL, "FILE", NULL, set_hdb, false },
	{ "hdc", NULL, "FILE", NULL, set_hdc, false },
	{ "hdd", NULL, "FILE", NULL, set_hdd, false },
	{ "cdrom", NULL, "FILE", "a CD image (ISO), in the place of hdc", set_cdrom, false },
	{ "fda", NULL, "FILE", "a floppy image, 160K to 2.88M; fdb the second", set_fda, false },
	{ "fdb", NULL, "FILE", NULL, set_fdb, false },
	{ "drive", NULL, "file=FILE,...", "the same with if=ide|floppy|none, index=N, media=disk|cdrom,\nformat=raw|qcow2, readonly=on, snapshot=on, serial=TEXT, werror=,\nrerror=stop|report|ignore|enospc (if the host fails)", set_drive, false },
	{ "blockdev", NULL, "driver=NAME,...", "an image as a node: node-name=, filename= or file=NODE, read-only=on", blockdevs_add, false },
	{ "snapshot", NULL, NULL, "write to temporary files instead of the images", set_snapshot, false },
	{ NULL, NULL, NULL, "Terminal and screen", NULL, false },
	{ "serial", NULL, "WHERE", "next serial port: stdio (the first one's default), file:PATH,\npipe:PATH, pty, "
	    "unix:PATH, tcp:HOST:PORT or telnet:HOST:PORT\nwith server=on, chardev:ID, null, none; mon:WHERE: and the monitor", chardevs_serial, false },
	{ "display", NULL, "WHERE", "the screen: curses (in the terminal), web (in a\nbrowser), vnc=[HOST]:DISPLAY, none. Default: curses,\n"
	    "if a drive is booted from a terminal", set_display, false },
	{ "vnc", NULL, "ADDRESS", "the same as -display vnc=; [,password-file=FILE]", set_vnc, false },
	{ "curses", NULL, NULL, "the same as -display curses", set_curses, false },
	{ "nographic", NULL, NULL, "no screen; the first serial port is on the terminal", set_nographic, false },
	{ "vga", NULL, "NAME", "graphics card: std or none", set_vga, false },
	{ "vgabios", NULL, "FILE", "the graphics card's ROM (default: from the seabios package)", set_vgabios, true },
	{ "debugcon", NULL, "WHERE", "bytes written to port e9h go there, as -serial has it\n(-global isa-debugcon.iobase=0x402: what SeaBIOS says)", chardevs_debugcon, false },
	{ NULL, NULL, NULL, "Control", NULL, false },
	{ "name", NULL, "NAME", "what plex86 ps, stop, screenshot, sendkey know the machine by", set_name, false },
	{ "control", NULL, "PATH", "a QMP socket there", set_control, true },
	{ "qmp", NULL, "WHERE", "unix:PATH or tcp:HOST:PORT, with server=on, wait=off; or stdio", chardevs_qmp, false },
	{ "monitor", NULL, "WHERE", "the monitor for people: none, stdio, or as -qmp", chardevs_monitor, false },
	{ "chardev", NULL, "KIND,id=ID,...", "an end for -serial chardev:ID or -mon: socket, stdio, file, pty,\n"
	    "null; with path=, host=, port=, server=, wait=, logfile=", chardevs_add, false },
	{ "mon", NULL, "ID[,mode=MODE]", "the monitor (readline) or QMP (control) at a chardev", chardevs_mon, false },
	{ "qmp-pretty", NULL, "WHERE", NULL, chardevs_qmp, false },
	{ "pidfile", NULL, "FILE", "the process's number goes there", set_pidfile, false },
	{ "daemonize", NULL, NULL, "go into the background when the machine is ready", set_daemonize, false },
	{ "S", NULL, NULL, "do not start before 'cont' is said", set_paused, false },
	{ "gdb", NULL, "WHERE", "wait for a debugger: tcp:[HOST]:PORT, unix:PATH or stdio", set_gdb, false },
	{ "s", NULL, NULL, "the same as -gdb tcp::1234", set_gdb_default, false },
	{ "readconfig", NULL, "FILE", "options from a file, as QEMU writes them", readconfig, false },
	{ "nodefaults", NULL, NULL, "nothing is there that was not asked for (the serial port's terminal)", set_nodefaults, false },
	{ NULL, NULL, NULL, "How it runs", NULL, false },
	{ "engine", NULL, "NAME", "scan (default): guest code runs re-encoded as itself;\n    emulate: the complete interpreter;\n    lockstep: both, each block compared", set_engine, true },
	{ "icount", NULL, "N", "--clock instructions, with 2^N ns an instruction", compat_icount, false },
	{ "clock", NULL, "NAME", "host: time is the host's (default); instructions: time is counted in\n"
	    "instructions, and a run is the same every time", set_clock, true },
	{ "sandbox", NULL, "WHAT", "on (default): the running monitor can open no file or socket, and start\nnothing; strict: nothing is opened for it either; off.\n"
	    "[,path=FOLDER] where it may write files later; [,namespaces=on]", set_sandbox, true },
	{ "code-cache", NULL, "SIZE", "room for scanned code in KiB, or with a suffix K, M, G (default 32M)", set_code_cache, true },
	{ "max-mappings", NULL, "N", "get by with a share of N mappings of the host's (default: what\n"
	    "vm.max_map_count says)", set_max_mappings, true },
	{ NULL, NULL, NULL, "Looking inside", NULL, false },
	{ "virtualize", NULL, "INSN", "stop with a report at this instruction: a mnemonic, or mnemonic and\n"
	    "text of its operands as \"mov %cr0\" (several may be given)", set_virtualize, true },
	{ "virtualize-list", NULL, NULL, "show what becomes of each instruction", set_virtualize_list, true },
	{ "protect-code", NULL, NULL, "stop with a report at a data access to a page that code runs from", set_protect_code, true },
	{ "perf-map", NULL, NULL, "write a map of scanned blocks for perf, /tmp/perf-PID.map", set_perf_map, true },
	{ "verify-code", NULL, NULL, "prove each block of scanned code harmless before it runs", set_verify_code, true },
	{ "metrics", NULL, "ADDRESS:PORT", "meters over HTTP, for Prometheus; :PORT is this host only; or unix:PATH", set_metrics, true },
	{ "meter-log", NULL, "FILE", "add a record of all meters to FILE in intervals, and at the end", set_meter_log, true },
	{ "meter-interval", NULL, "SECONDS", "between records (default 10)", set_meter_interval, true },
	{ "meter-instructions", NULL, NULL, "count the instructions of scanned code, too (slower)", set_meter_instructions, true },
	{ "d", NULL, "ITEM,...", "trace (-d help lists the items)", set_trace, false },
	{ "dfilter", NULL, "RANGE,...", "only at these linear addresses: start..last or start+length", set_trace_filter, false },
	{ "dcpl", NULL, "CPL,...", "only at these privilege levels: 0 the kernel, 3 programs", set_trace_cpls, true },
	{ "D", NULL, "FILE", "where the trace goes (default: standard error)", set_trace_file, false },
	{ NULL, NULL, NULL, "About plex86", NULL, false },
	{ "h", "help", NULL, "this text", set_help, false },
	{ "version", NULL, NULL, "the version", set_version, false },
};

void options_help(FILE *f)
{
	fputs("Usage: plex86 [run] [OPTION...] [IMAGE]     run a virtual machine\n"
	    "       plex86 image create|info|convert     make and copy disk images (plex86 image --help)\n"
	    "       plex86 doctor                        what this host offers, and what that means for speed\n"
	    "       plex86 ps                            the machines that run with a -name; for those also:\n"
	    "              stat, top, profile, stop, screenshot, screentext, sendkey, monitor (all have --help)\n"
	    "\n"
	    "One dash or two, \"--name VALUE\" or \"--name=VALUE\".\n", f);
	for (size_t i = 0; i < ARRAY_LEN(option_table); i++) {
		const struct option *opt = &option_table[i];
		char left[48];

		if (opt->name == NULL) {
			fprintf(f, "\n%s:\n", opt->help);
			continue;
		}
		if (opt->help == NULL)		/* said with the one before it */
			continue;
		snprintf(left, sizeof(left), "%s%s%s%s%s%s", opt->ours ? "--" : "-", opt->name, opt->alias == NULL ? "" : opt->alias[1] ? ", --" : ", -", opt->alias ? opt->alias : "",
		    opt->arg ? " " : "", opt->arg ? opt->arg : "");
		const char *line = opt->help;
		fprintf(f, "  %-22s %.*s\n", left, (int)strcspn(line, "\n"), line);
		while (*(line += strcspn(line, "\n")))
			fprintf(f, "  %-22s %.*s\n", "", (int)strcspn(line + 1, "\n"), line + 1), line++;
	}
	fputs("\nOn the terminal: Ctrl-A x ends the machine, Ctrl-A h shows what else there is.\n"
	    "\n"
	    "Exit status:\n"
	    "  0    the guest powered off, or the user quit        5    the guest's kernel panicked (pvpanic)\n"
	    "  1    bad command line or input file                 6    a report was asked for and came\n"
	    "  2    plex86 could not go on (see the report)        V*2+1  isa-debug-exit: the guest wrote V\n"
	    "  3    triple fault, with -no-reboot                  128+N  ended by signal N\n"
	    "  4    HLT with interrupts off, for good\n", f);
}

/* Number of edits from a to b: insertions, deletions, changed characters. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[64], lb = (unsigned)strlen(b);

	if (lb >= ARRAY_LEN(row))
		return 99;
	for (unsigned j = 0; j <= lb; j++)
		row[j] = j;
	for (unsigned i = 1; a[i - 1]; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= lb; j++) {
			unsigned cost = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = MIN(cost, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[lb];
}

static int unknown_option(const char *word, const char *name, size_t len, struct error *err)
{
	char plain[64];

	if (compat_refused(name, len, err))
		return -EINVAL;
	const char *best = NULL;
	unsigned best_d = 99;

	snprintf(plain, sizeof(plain), "%.*s", (int)MIN(len, sizeof(plain) - 1), name);
	for (size_t i = 0; i < ARRAY_LEN(option_table); i++) {
		const char *spellings[2] = { option_table[i].name, option_table[i].alias };

		for (int s = 0; s < 2; s++) {
			unsigned d = spellings[s] ? distance(plain, spellings[s]) : 99;
			if (d < best_d) {
				best_d = d;
				best = spellings[s];
			}
		}
	}
	if (best && best_d <= 1 + strlen(plain) / 3 && best_d < strlen(plain))
		return error_set(err, -EINVAL, "unknown option '%s': did you mean '-%s'? (plex86 --help lists them)", word, best);
	return error_set(err, -EINVAL, "unknown option '%s' (plex86 --help lists them)", word);
}

static const struct option *find_option(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(option_table); i++) {
		const struct option *o = &option_table[i];

		if (o->name == NULL)
			continue;
		if ((strlen(o->name) == len && memcmp(o->name, name, len) == 0) ||
		    (o->alias && strlen(o->alias) == len && memcmp(o->alias, name, len) == 0))
			return o;
	}
	return NULL;
}

int options_set(struct options *o, const char *name, const char *arg, struct error *err)
{
	const struct option *opt = find_option(name, strlen(name));

	if (opt == NULL)
		return unknown_option(name, name, strlen(name), err);
	return opt->set(o, arg, err);
}

const char *options_front(struct options *o, const char *arg, const char *key)
{
	size_t n = strlen(key);

	for (const char *p = arg; *p; p += strcspn(p, ","), p += *p == ',') {
		size_t len = strcspn(p, ",");
		char *text = NULL;

		if (p == arg && memchr(p, '=', len) == NULL)
			return arg;
		if (strncmp(p, key, n) != 0 || p[n] != '=')
			continue;
		const char *rest = p[len] == ',' ? p + len + 1 : p + len;
		if (asprintf(&text, "%.*s%s%.*s%s%s", (int)(len - n - 1), p + n + 1, p > arg ? "," : "", (int)MAX(p - arg - 1, 0), arg,
		    *rest ? "," : "", rest) < 0)
			return arg;
		const char *kept = options_keep(o, text);
		free(text);
		return kept ? kept : arg;
	}
	return arg;
}

/* The option at argv[*i]; takes its argument too. */
static int parse_option(struct options *o, int argc, char **argv, int *i, struct error *err)
{
	const char *word = argv[*i];
	const char *name = word + 1 + (word[1] == '-');
	size_t len = strcspn(name, "=");
	const struct option *opt = find_option(name, len);
	const char *arg = name[len] == '=' ? name + len + 1 : NULL;

	if (opt == NULL)
		return unknown_option(word, name, len, err);
	if (opt->arg == NULL && arg)
		return error_set(err, -EINVAL, "option '-%s' takes no value", opt->name);
	if (opt->arg && arg == NULL) {
		if (*i + 1 >= argc)
			return error_set(err, -EINVAL, "option '%s' needs a value: %s", word, opt->arg);
		arg = argv[++*i];
	}
	int rc = opt->set(o, arg, err);
	if (rc < 0 && err->text[0] == '\'') {	/* from a parser that several options share */
		struct error why = *err;
		*err = (struct error){ "" };
		return error_set(err, rc, "-%s %s", opt->name, why.text);
	}
	return rc;
}

/* An image without an option: a kernel, or the drive that such a file belongs in. */
static int set_image(struct options *o, struct error *err)
{
	static const char *const names[] = { [VM_DRIVE_DISK] = "hda", [VM_DRIVE_CDROM] = "cdrom",
	    [VM_DRIVE_FLOPPY] = "fda" };
	enum vm_drive_kind kind = drives_guess(o->image);

	if (kind == VM_DRIVE_NONE) {
		o->vm.boot.kernel = o->image;
		return 0;
	}
	return drives_set(&o->vm.drives, names[kind], o->image, err);
}

static bool has_drive(const struct vm_drives_config *drives)
{
	for (unsigned i = 0; i < VM_IDE_DRIVES; i++)
		if (drives->ide[i].kind != VM_DRIVE_NONE)
			return true;
	return drives->floppy[0].kind != VM_DRIVE_NONE || drives->floppy[1].kind != VM_DRIVE_NONE;
}

/* Who has the terminal: a display, the monitor, or else the first serial port. */
static int check_screen(struct options *o, struct error *err)
{
	struct screen_config *s = &o->vm.screen;
	bool firmware = o->vm.boot.kernel == NULL && o->vm.boot.flat == NULL;
	unsigned users = 0;

	for (unsigned i = 0; i < o->nserial; i++)
		users += o->vm.serial[i].kind == CHARDEV_STDIO;
	for (unsigned i = 0; i < o->vm.control.n; i++)
		users += o->vm.control.listen[i].stdio;
	/* What firmware boots wants a screen; a kernel that is given has its console on the serial port. */
	if (!o->vga_given)
		s->vga = !o->nographic && ((firmware && !o->no_defaults) || s->nui > 0);
	if (s->vga && firmware && !o->display_given && !o->no_defaults && !o->daemonize && users == 0 && o->nserial == 0 &&
	    host_tty_is(STDIN_FILENO) && host_tty_is(STDOUT_FILENO))
		set_display(o, "curses", err);
	for (unsigned i = 0; i < s->nui; i++)
		users += ui_uses_terminal(&s->ui[i]);
	users += o->vm.debugcon.kind == CHARDEV_STDIO;
	if (o->daemonize && users > 0)
		return error_set(err, -EINVAL, "-daemonize: the terminal stays with the shell, so nothing can be on it");
	if (o->daemonize && o->nographic && o->nserial == 0)
		return error_set(err, -EINVAL, "-daemonize and -nographic exclude each other: say -display none");
	if (o->nserial == 0 && !o->no_defaults && users == 0 && !o->daemonize)
		o->vm.serial[0].kind = CHARDEV_STDIO;
	if (users > 1)
		return error_set(err, -EINVAL, "the terminal can be one of: serial port, monitor, display, debug console (-serial mon:stdio: the first two)");
	return 0;
}

/* What the options mean together. */
static int check(struct options *o, struct error *err)
{
	struct boot_config *b = &o->vm.boot;

	if (o->flat) {
		if (o->image == NULL)
			return error_set(err, -EINVAL, "--flat: no program given");
		if (b->kernel)
			return error_set(err, -EINVAL, "--flat and -kernel exclude each other");
		b->flat = o->image;
	} else if (o->image && b->kernel) {
		return error_set(err, -EINVAL, "'%s': there is a -kernel already, one of them is too many", o->image);
	} else if (o->image && (b->initrd || b->append)) {
		b->kernel = o->image;
	} else if (o->image) {
		int rc = set_image(o, err);
		if (rc < 0)
			return rc;
	}
	if (b->kernel == NULL && b->flat == NULL && !has_drive(&o->vm.drives))
		return error_set(err, -EINVAL, "nothing to boot: give an image, -kernel FILE, or --flat ADDR FILE (plex86 --help)");
#ifndef PLEX86_METERS
	if (o->vm.meter_instructions)
		return error_set(err, -ENOTSUP, "--meter-instructions: this plex86 was built without meters (-Dmeters=false)");
#endif
	if (o->vm.meter_instructions && o->vm.engine == ENGINE_LOCKSTEP)
		return error_set(err, -EINVAL, "--meter-instructions and --engine lockstep exclude each other");
	if (compat_accel_check(o, err) < 0)
		return -EINVAL;
	o->vm.drives.synchronous = o->vm.clock == CLOCK_INSTRUCTIONS;
	if (o->vm.clock == CLOCK_INSTRUCTIONS && o->engine_given && o->vm.engine == ENGINE_SCAN)
		return error_set(err, -EINVAL, "--clock instructions needs --engine emulate: scanned code does not count instructions");
	if (o->vm.clock == CLOCK_INSTRUCTIONS && o->vm.engine == ENGINE_SCAN)
		o->vm.engine = ENGINE_EMULATE;
	if (o->vm.engine != ENGINE_SCAN && (o->vm.virtualize[0] || o->vm.protect_code))
		return error_set(err, -EINVAL, "%s needs the scan engine and the host's clock",
		    o->vm.protect_code ? "--protect-code" : "--virtualize");
	if (b->flat && (b->initrd || b->append))
		return error_set(err, -EINVAL, "-initrd and -append go with -kernel only");
	int rc = chardevs_resolve(o, err);
	if (rc == 0)
		rc = check_screen(o, err);
	b->screen = o->vm.screen.vga;
	b->no_acpi = o->vm.no_acpi;
	b->hpet = o->vm.hpet;
	if (rc < 0)
		return rc;
	return o->name[0] ? name_socket(o, err) : 0;
}

struct kept_text {
	struct kept_text *next;
	char text[];
};

char *options_keep(struct options *o, const char *text)
{
	size_t bytes = strlen(text) + 1;
	struct kept_text *k = malloc(sizeof(*k) + bytes);

	if (k == NULL)
		return NULL;
	memcpy(k->text, text, bytes);
	k->next = o->kept;
	o->kept = k;
	return k->text;
}

void options_free(struct options *o)
{
	while (o->kept) {
		struct kept_text *k = o->kept;
		o->kept = k->next;
		free(k);
	}
}

int options_parse(struct options *o, int argc, char **argv, struct error *err)
{
	int i = 1;
	bool only_files = false;

	*o = (struct options){ .command = CLI_RUN, .vm.ram_bytes = 128ull << 20, .vm.boot_order = { 2, 1, 3 },
	    .vm.publish.interval_ms = 10000 };
	if (argc > 1 && strcmp(argv[1], "run") == 0) {
		i = 2;
	} else if (argc > 1 && strcmp(argv[1], "doctor") == 0) {
		o->command = argc > 2 && strcmp(argv[2], "--help") == 0 ? CLI_HELP : CLI_DOCTOR;
		if (argc > 2 && o->command == CLI_DOCTOR)
			return error_set(err, -EINVAL, "doctor takes no arguments");
		return 0;
	} else if (argc > 1 && strcmp(argv[1], "help") == 0) {
		o->command = CLI_HELP;
		return 0;
	}
	for (; i < argc && o->command == CLI_RUN; i++) {
		if (!only_files && strcmp(argv[i], "--") == 0) {
			only_files = true;
		} else if (!only_files && argv[i][0] == '-' && argv[i][1]) {
			int rc = parse_option(o, argc, argv, &i, err);
			if (rc < 0)
				return rc;
		} else if (o->image) {
			return error_set(err, -EINVAL, "'%s': there is an image already, '%s'", argv[i], o->image);
		} else {
			o->image = argv[i];
		}
	}
	return o->command == CLI_RUN ? check(o, err) : 0;
}
