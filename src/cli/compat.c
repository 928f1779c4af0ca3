#include "cli/compat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/words.h"

/* One "key=value" or word of a list that commas part; *arg moves on. false: there is none left. */
static bool next_word(const char **arg, char *word, size_t room, char **value)
{
	size_t len = strcspn(*arg, ",");

	if (**arg == '\0')
		return false;
	snprintf(word, room, "%.*s", (int)MIN(len, room - 1), *arg);
	*arg += len + ((*arg)[len] == ',');
	*value = strchr(word, '=');
	if (*value)
		*(*value)++ = '\0';
	return true;
}

/* "kvm:tcg": the first that can be had. Several -accel mean the same. */
static void note_accel(struct options *o, const char *list)
{
	size_t len = strlen(list);

	for (const char *p = list; ; p += len + 1) {
		len = strcspn(p, ":");
		if (len == 3 && memcmp(p, "tcg", 3) == 0)	/* software: that is what ours is, too */
			o->right_accel = true;
		else
			o->wrong_accel = list;
		if (p[len] == '\0')
			return;
	}
}

int compat_accel_check(const struct options *o, struct error *err)
{
	if (o->wrong_accel && !o->right_accel)
		return error_set(err, -EINVAL, "-accel '%s': there is only plex86's own engine (say tcg, or nothing)", o->wrong_accel);
	return 0;
}

int compat_accel(struct options *o, const char *arg, struct error *err)
{
	char *text = options_keep(o, options_front(o, arg, "accel")), *save = NULL;
	char *word = text ? strtok_r(text, ",", &save) : NULL;

	if (word == NULL)
		return error_set(err, -EINVAL, "-accel: it is tcg");
	if (strcmp(word, "help") == 0) {
		puts("Accelerators:\n  tcg    what it means here: plex86's own engine, in software");
		o->command = CLI_DONE;
		return 0;
	}
	note_accel(o, word);
	return 0;			/* what follows is about the insides of QEMU's */
}

static int machine_switch(struct options *o, const char *name, const char *value, struct error *err)
{
	/* What is so anyway. */
	static const char off[] = "usb vmport nvdimm mem-merge dump-guest-core smm hmat igd-passthru suppress-vmdesc kernel_irqchip "
	    "kernel-irqchip graphics default_bus_bypass_iommu sata enforce-config-section";
	static const char on[] = "i8042 pit pic smbus graphics fd-bootchk kernel_irqchip kernel-irqchip dump-guest-core mem-merge sata";
	static const char automatic[] = "vmport smm";
	bool is_on = strcmp(value, "on") == 0, is_off = strcmp(value, "off") == 0;

	if (strcmp(name, "hpet") == 0 && (is_on || is_off)) {
		o->vm.hpet = is_on;
		return 0;
	}
	if (strcmp(name, "acpi") == 0 && (is_on || is_off || strcmp(value, "auto") == 0)) {
		o->vm.no_acpi = is_off;
		return 0;
	}
	if (strcmp(name, "fd-bootchk") == 0 && is_off) {
		o->vm.no_boot_check = true;
		return 0;
	}
	if (strcmp(name, "pcspk-audiodev") == 0)
		return error_set(err, -EINVAL, "-machine pcspk-audiodev: the speaker is a port without a sound (leave it out)");
	const char *so = is_off ? off : is_on ? on : strcmp(value, "auto") == 0 ? automatic : "";
	if (word_in(so, name))
		return 0;
	return error_set(err, -EINVAL, "-machine %s=%s: cannot be had", name, value);
}

int compat_machine(struct options *o, const char *arg, struct error *err)
{
	char word[128], *value;

	if (strcmp(arg, "help") == 0 || strcmp(arg, "?") == 0) {
		puts("Machines:\n  pc    a PC with i440FX, PIIX3 and PIIX4 (default; also pc-i440fx-VERSION)\n"
		    "Properties:\n  acpi=on|off, hpet=on|off, fd-bootchk=on|off");
		o->command = CLI_DONE;
		return 0;
	}
	while (next_word(&arg, word, sizeof(word), &value)) {
		if (value == NULL || strcmp(word, "type") == 0) {
			const char *type = value ? value : word;
			if (strcmp(type, "pc") != 0 && strncmp(type, "pc-i440fx-", 10) != 0)
				return error_set(err, -EINVAL, "-machine '%s': the machine is a pc (i440FX and PIIX)", type);
		} else if (strcmp(word, "accel") == 0) {
			char *list = options_keep(o, value);

			if (list)
				note_accel(o, list);
		} else if (strcmp(word, "kernel") == 0 || strcmp(word, "initrd") == 0 || strcmp(word, "append") == 0) {
			char *text = options_keep(o, value);
			int rc = text ? options_set(o, word, text, err) : -ENOMEM;
			if (rc < 0)
				return rc;
		} else {
			int rc = machine_switch(o, word, value, err);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

int compat_smp(struct options *o, const char *arg, struct error *err)
{
	const char *all = arg;
	char word[64], *value;

	while (next_word(&arg, word, sizeof(word), &value))
		if (strcmp(value ? value : word, "1") != 0)
			return error_set(err, -EINVAL, "-smp %s: the machine has one processor", all);
	return 0;
}

static int only_none(const char *option, const char *arg, const char *why, struct error *err)
{
	return strcmp(arg, "none") == 0 || strcmp(arg, "null") == 0 ? 0 : error_set(err, -EINVAL, "%s '%s': %s (%s none)", option, arg, why, option);
}

int compat_parallel(struct options *o, const char *arg, struct error *err)
{
	return only_none("-parallel", arg, "the machine has no parallel port", err);
}

/* "none", "none,id=ID", "driver=none": a host's end for a card that is not there. */
int compat_sound(struct options *o, const char *arg, struct error *err)
{
	const char *driver = strncmp(arg, "driver=", 7) == 0 ? arg + 7 : arg;

	if (strcmp(driver, "none") == 0 || (strncmp(driver, "none,", 5) == 0 && strstr(driver, "model=") == NULL))
		return 0;
	return error_set(err, -EINVAL, "-audio '%s': the machine has no sound card (-audio none)", arg);
}

int compat_keyboard(struct options *o, const char *arg, struct error *err)
{
	return strcmp(arg, "en-us") == 0 ? 0 : error_set(err, -EINVAL, "-k '%s': VNC's keys are those of a US keyboard (en-us)", arg);
}

int compat_switches_off(struct options *o, const char *arg, struct error *err)
{
	const char *all = arg;
	char word[64], *value;

	while (next_word(&arg, word, sizeof(word), &value))
		if (value == NULL || strcmp(value, "off") != 0)
			return error_set(err, -EINVAL, "'%s': cannot be had", all);
	return 0;
}

int compat_nothing(struct options *o, const char *arg, struct error *err)
{
	return 0;
}

int compat_no_acpi(struct options *o, const char *arg, struct error *err)
{
	o->vm.no_acpi = true;
	return 0;
}

int compat_no_hpet(struct options *o, const char *arg, struct error *err)
{
	o->vm.hpet = false;
	return 0;
}

/* "[shift=]N[,align=off][,sleep=on|off]": an instruction takes 2^N ns of the guest's time. */
int compat_icount(struct options *o, const char *arg, struct error *err)
{
	char word[64], *value;

	while (next_word(&arg, word, sizeof(word), &value)) {
		const char *shift = value ? value : word;

		if (value == NULL || strcmp(word, "shift") == 0) {
			if (*shift < '0' || *shift > '9' || (shift[1] && (shift[2] || shift[0] != '1' || shift[1] > '0')))
				return error_set(err, -EINVAL, "-icount shift=%s: it is 0 to 10 (time by the host's clock is without -icount)", shift);
			o->vm.clock = CLOCK_INSTRUCTIONS;
			o->vm.insn_ns = 1u << atoi(shift);
		} else if (strcmp(word, "sleep") != 0 && !(strcmp(word, "align") == 0 && strcmp(value, "off") == 0)) {
			return error_set(err, -EINVAL, "-icount %s=%s: cannot be had (runs repeat anyway, but are not recorded)", word, value);
		}
	}
	return 0;
}

int compat_action(struct options *o, const char *arg, struct error *err)
{
	static const struct { const char *event, *action; int what; } actions[] = {
		{ "reboot", "reset", 0 }, { "reboot", "shutdown", 1 }, { "shutdown", "poweroff", 0 }, { "shutdown", "pause", 2 },
		{ "panic", "exit-failure", 0 }, { "panic", "shutdown", 0 }, { "watchdog", NULL, 0 },
	};
	char word[64], *value;

	while (next_word(&arg, word, sizeof(word), &value)) {
		size_t i = 0;

		while (i < ARRAY_LEN(actions) && (value == NULL || strcmp(actions[i].event, word) != 0 ||
		    (actions[i].action && strcmp(actions[i].action, value) != 0)))
			i++;
		if (i == ARRAY_LEN(actions))
			return error_set(err, -EINVAL, "-action %s%s%s: cannot be had (reboot=reset|shutdown, shutdown=poweroff|pause, "
			    "panic=shutdown|exit-failure)", word, value ? "=" : "", value ? value : "");
		if (actions[i].what == 1)
			o->vm.no_reboot = true;
		else if (strcmp(word, "reboot") == 0)
			o->vm.no_reboot = false;
		if (strcmp(word, "shutdown") == 0)
			o->vm.no_shutdown = actions[i].what == 2;
	}
	return 0;
}

/* base=utc, base=localtime, or base=2006-06-17T16:01:21: what the clock chip shows at the start. */
int compat_rtc(struct options *o, const char *arg, struct error *err)
{
	char word[64], *value;

	while (next_word(&arg, word, sizeof(word), &value)) {
		if (value && strcmp(word, "base") == 0 && (strcmp(value, "utc") == 0 || strcmp(value, "localtime") == 0)) {
			o->vm.rtc_local = value[0] == 'l';
		} else if (value && strcmp(word, "base") == 0) {
			struct tm tm = { 0 };
			const char *end = strptime(value, "%Y-%m-%dT%H:%M:%S", &tm);

			if (end == NULL) {
				memset(&tm, 0, sizeof(tm));
				end = strptime(value, "%Y-%m-%d", &tm);
			}
			if (end == NULL || *end != '\0')
				return error_set(err, -EINVAL, "-rtc base=%s: it is utc, localtime, or a date as 2006-06-17T16:01:21", value);
			o->vm.rtc_start_s = timegm(&tm);
			o->vm.rtc_start_given = true;
		} else if (value && strcmp(word, "clock") == 0) {
			if (strcmp(value, "host") != 0 && strcmp(value, "vm") != 0)
				return error_set(err, -EINVAL, "-rtc clock=%s: it is host or vm", value);
		} else if (!(value && strcmp(word, "driftfix") == 0 && (strcmp(value, "slew") == 0 || strcmp(value, "none") == 0))) {
			return error_set(err, -EINVAL, "-rtc '%s': it is base=utc, localtime or a date; clock=host; driftfix=none|slew", word);
		}
	}
	return 0;
}

/* As older QEMUs had it, and makefiles still do. */
int compat_localtime(struct options *o, const char *arg, struct error *err)
{
	return compat_rtc(o, "base=localtime", err);
}

int compat_startdate(struct options *o, const char *arg, struct error *err)
{
	char text[64];

	snprintf(text, sizeof(text), "base=%s", strcmp(arg, "now") == 0 ? "utc" : arg);
	return compat_rtc(o, text, err);
}

/* QEMU's options for what is not here.		[QEMU, "Invocation"] */
bool compat_refused(const char *name, struct error *err)
{
	static const struct { const char *names, *why; } refused[] = {
		{ "enable-kvm hax xen-attach xen-domid xen-domid-restrict", "there is only plex86's own engine, in software (leave it out)" },
		{ "usb usbdevice", "the machine has no USB controller (keyboard and mouse are PS/2)" },
		{ "soundhw", "the machine has no sound card, and its speaker no sound" },
		{ "tftp bootp smb redir", "the network's properties are -nic user's (tftp=, bootfile=, hostfwd=)" },
		{ "loadvm incoming only-migratable", "a machine's state cannot be saved or loaded" },
		{ "watchdog", "the machine has no watchdog" },
		{ "tpmdev", "the machine has no TPM" },
		{ "sdl full-screen no-frame alt-grab ctrl-grab no-quit g spice vnc-websocket", "there is no window: the screen is -display curses, web or vnc=" },
		{ "numa object mem-path mem-prealloc", "memory is one piece of the host's, of no special kind" },
		{ "pflash mtdblock sd", "the machine has no such memory card or flash chip (-bios FILE, -drive)" },
		{ "virtfs fsdev virtiofs", "the host's folders cannot be shared: make an image, or an archive with -initrd" },
		{ "acpitable", "the ACPI tables are the board's own" },
		{ "dtb prom-env semihosting semihosting-config", "is of other processors" },
		{ "chroot runas run-with", "the monitor confines itself (--sandbox), and needs no root to start" },
		{ "plugin trace", "QEMU's plug-ins and trace points cannot be had (-d help lists ours)" },
		{ "writeconfig", "options cannot be written to a file (-readconfig reads one)" },
		{ "win2k-hack", "the disk has no such mistake to make" },
		{ "echr", "the escape key is Ctrl-A" },
		{ "iscsi", "images are files of this host" },
		{ "set add-fd", "name the file or property where the drive or device is described" },
		{ "balloon", "the machine has no balloon: memory that the guest does not touch costs nothing" },
		{ "xen-create preconfig virtioconsole", "cannot be had" },
	};

	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		if (word_in(refused[i].names, name)) {
			error_set(err, -EINVAL, "-%s: %s", name, refused[i].why);
			return true;
		}
	}
	return false;
}
