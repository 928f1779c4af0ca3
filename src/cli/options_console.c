/*
 * Options: how people and programs reach the machine.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/chardevs.h"
#include "cli/option.h"
#include "cli/readconfig.h"

static int set_nographic(struct options *o, const char *arg, struct error *err)
{
	o->display_given = o->nographic = true;
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
	char number[64];

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

int option_display(struct options *o, const char *arg, struct error *err)
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
	return option_display(o, "curses", err);
}

static const struct option console[] = {
	{ "serial", NULL, "WHERE", "next serial port: stdio (the first one's default), file:PATH,\npipe:PATH, pty, "
	    "unix:PATH, tcp:HOST:PORT or telnet:HOST:PORT\nwith server=on, chardev:ID, null, none; mon:WHERE: and the monitor", SET(chardevs_serial), false },
	{ "display", NULL, "WHERE", "the screen: curses (in the terminal), web (in a\nbrowser), vnc=[HOST]:DISPLAY, none. Default: curses,\n"
	    "if a drive is booted from a terminal", SET(option_display), false },
	{ "vnc", NULL, "ADDRESS", "the same as -display vnc=; [,password-file=FILE]", SET(set_vnc), false },
	{ "curses", NULL, NULL, "the same as -display curses", SET(set_curses), false },
	{ "nographic", NULL, NULL, "no screen; the first serial port is on the terminal", SET(set_nographic), false },
	{ "vga", NULL, "NAME", "graphics card: std or none", SET(set_vga), false },
	{ "vgabios", NULL, "FILE", "the graphics card's ROM (default: from the seabios package)", TEXT(vm.screen.vgabios), true },
	{ "debugcon", NULL, "WHERE", "bytes written to port e9h go there, as -serial has it\n(-global isa-debugcon.iobase=0x402: what SeaBIOS says)", SET(chardevs_debugcon), false },
};

const struct option_group options_console = GROUP("Terminal and screen", console);

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

int option_name_socket(struct options *o, struct error *err)
{
	char dir[128], text[256];
	int rc = control_directory(dir, sizeof(dir), err);

	if (rc < 0)
		return rc;
	if ((size_t)snprintf(text, sizeof(text), "%s/%s.qmp", dir, o->name) >= sizeof(o->vm.control.listen[0].socket.path))
		return error_set(err, -EINVAL, "-name '%s': too long for the path of a socket", o->name);
	return set_control(o, text, err);
}

static int set_gdb(struct options *o, const char *arg, struct error *err)
{
	return gdb_parse(&o->vm.gdb, arg, err);
}

static int set_gdb_default(struct options *o, const char *arg, struct error *err)
{
	return gdb_parse(&o->vm.gdb, "tcp::1234", err);
}

static const struct option control[] = {
	{ "name", NULL, "NAME", "what plex86 ps, stop, screenshot, sendkey know the machine by", SET(set_name), false },
	{ "control", NULL, "PATH", "a QMP socket there", SET(set_control), true },
	{ "qmp", NULL, "WHERE", "unix:PATH or tcp:HOST:PORT, with server=on, wait=off; or stdio", SET(chardevs_qmp), false },
	{ "monitor", NULL, "WHERE", "the monitor for people: none, stdio, or as -qmp", SET(chardevs_monitor), false },
	{ "chardev", NULL, "KIND,id=ID,...", "an end for -serial chardev:ID or -mon: socket, stdio, file, pty,\n"
	    "null; with path=, host=, port=, server=, wait=, logfile=", SET(chardevs_add), false },
	{ "mon", NULL, "ID[,mode=MODE]", "the monitor (readline) or QMP (control) at a chardev", SET(chardevs_mon), false },
	{ "qmp-pretty", NULL, "WHERE", NULL, SET(chardevs_qmp), false },
	{ "pidfile", NULL, "FILE", "the process's number goes there", TEXT(vm.control.pidfile), false },
	{ "daemonize", NULL, NULL, "go into the background when the machine is ready", FLAG(daemonize), false },
	{ "S", NULL, NULL, "do not start before 'cont' is said", FLAG(vm.start_paused), false },
	{ "gdb", NULL, "WHERE", "wait for a debugger: tcp:[HOST]:PORT, unix:PATH or stdio", SET(set_gdb), false },
	{ "s", NULL, NULL, "the same as -gdb tcp::1234", SET(set_gdb_default), false },
	{ "readconfig", NULL, "FILE", "options from a file, as QEMU writes them", SET(readconfig), false },
	{ "nodefaults", NULL, NULL, "nothing is there that was not asked for (the serial port's terminal)", FLAG(no_defaults), false },
};

const struct option_group options_control = GROUP("Control", control);
