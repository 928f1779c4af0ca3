/*
 * Options are named as QEMU's users type them where there is a counterpart. One dash or two, and
 * "--name value" or "--name=value", as the user likes. Here they are found, explained and checked
 * together; what each one is, say the groups in options_machine.c, options_console.c, options_engine.c.
 */
#include "cli/option.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/chardevs.h"
#include "cli/compat.h"
#include "cli/drives.h"
#include "cli/network.h"
#include "host/tty.h"

bool parse_number(const char *text, uint64_t max, uint64_t *n)
{
	char *end;

	errno = 0;
	if (*text < '0' || *text > '9')
		return false;
	*n = strtoull(text, &end, 0);
	return errno == 0 && *end == '\0' && *n <= max;
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

static const struct option about[] = {
	{ "h", "help", NULL, "this text", SET(set_help), false },
	{ "version", NULL, NULL, "the version", SET(set_version), false },
};

static const struct option_group options_about = GROUP("About plex86", about);

static const struct option_group *const groups[] = {
	&options_boot, &options_machine, &options_drives, &options_console, &options_control, &options_engine, &options_inside,
	&options_about,
};

static void explain(FILE *f, const struct option *opt)
{
	char left[48];

	snprintf(left, sizeof(left), "%s%s%s%s%s%s", opt->ours ? "--" : "-", opt->name, opt->alias == NULL ? "" : opt->alias[1] ? ", --" : ", -", opt->alias ? opt->alias : "",
	    opt->arg ? " " : "", opt->arg ? opt->arg : "");
	const char *line = opt->help;
	fprintf(f, "  %-22s %.*s\n", left, (int)strcspn(line, "\n"), line);
	while (*(line += strcspn(line, "\n")))
		fprintf(f, "  %-22s %.*s\n", "", (int)strcspn(line + 1, "\n"), line + 1), line++;
}

void options_help(FILE *f)
{
	fputs("Usage: plex86 [run] [OPTION...] [IMAGE]     run a virtual machine\n"
	    "       plex86 image create|info|convert     make and copy disk images (plex86 image --help)\n"
	    "       plex86 doctor                        what this host offers, and what that means for speed\n"
	    "       plex86 ps                            the machines that run with a -name; for those also:\n"
	    "              stat, top, profile, stop, screenshot, screentext, sendkey, monitor (all have --help)\n"
	    "\n"
	    "One dash or two, \"--name VALUE\" or \"--name=VALUE\".\n", f);
	for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
		fprintf(f, "\n%s:\n", groups[g]->title);
		for (size_t i = 0; i < groups[g]->n; i++)
			if (groups[g]->option[i].help)
				explain(f, &groups[g]->option[i]);
	}
	fputs("\nOn the terminal: Ctrl-A x ends the machine, Ctrl-A h shows what else there is.\n"
	    "\n"
	    "Exit status:\n"
	    "  0    the guest powered off, or the user quit        5    the guest's kernel panicked (pvpanic)\n"
	    "  1    bad command line or input file                 6    a report was asked for and came\n"
	    "  2    plex86 could not go on (see the report)        V*2+1  isa-debug-exit: the guest wrote V\n"
	    "  3    triple fault, with -no-reboot                  128+N  ended by signal N\n"
	    "  4    HLT with interrupts off, for good, and no display, control socket or debugger\n", f);
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

/* The spelling that is nearest to what was typed, if it is near enough. */
static const char *nearest(const char *typed)
{
	const char *best = NULL;
	unsigned best_d = 99;

	for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
		for (size_t i = 0; i < 2 * groups[g]->n; i++) {
			const struct option *opt = &groups[g]->option[i / 2];
			const char *spelling = i % 2 ? opt->alias : opt->name;
			unsigned d = spelling ? distance(typed, spelling) : 99;
			if (d < best_d) {
				best_d = d;
				best = spelling;
			}
		}
	}
	return best && best_d <= 1 + strlen(typed) / 3 && best_d < strlen(typed) ? best : NULL;
}

static int unknown_option(const char *word, const char *name, size_t len, struct error *err)
{
	char plain[64];

	snprintf(plain, sizeof(plain), "%.*s", (int)MIN(len, sizeof(plain) - 1), name);
	if (compat_refused(plain, err))
		return -EINVAL;
	const char *best = nearest(plain);
	if (best)
		return error_set(err, -EINVAL, "unknown option '%s': did you mean '-%s'? (plex86 --help lists them)", word, best);
	return error_set(err, -EINVAL, "unknown option '%s' (plex86 --help lists them)", word);
}

static bool spelled(const char *spelling, const char *name, size_t len)
{
	return spelling && strlen(spelling) == len && memcmp(spelling, name, len) == 0;
}

static const struct option *find_option(const char *name, size_t len)
{
	for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
		for (size_t i = 0; i < groups[g]->n; i++) {
			const struct option *opt = &groups[g]->option[i];

			if (spelled(opt->name, name, len) || spelled(opt->alias, name, len))
				return opt;
		}
	}
	return NULL;
}

static int carry_out(const struct option *opt, struct options *o, const char *arg, struct error *err)
{
	if (opt->does.set)
		return opt->does.set(o, arg, err);
	if (opt->does.text)
		*(const char **)((char *)o + opt->does.text) = arg;
	if (opt->does.flag)
		*(bool *)((char *)o + opt->does.flag) = true;
	return 0;
}

int options_set(struct options *o, const char *name, const char *arg, struct error *err)
{
	const struct option *opt = find_option(name, strlen(name));

	if (opt == NULL)
		return unknown_option(name, name, strlen(name), err);
	return carry_out(opt, o, arg, err);
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
	int rc = carry_out(opt, o, arg, err);
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
		o->vm.boot.kernel_guessed = true;
		return 0;
	}
	/* A -drive without a place of its own may have taken the first one. */
	char disk[] = "hda";
	while (disk[2] < 'd' && o->vm.drives.ide[disk[2] - 'a'].kind != VM_DRIVE_NONE)
		disk[2]++;
	return drives_set(&o->vm.drives, kind == VM_DRIVE_DISK ? disk : names[kind], o->image, err);
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
	/*
	 * What firmware boots wants a screen, and so does a Multiboot kernel, which writes to B8000h without asking.
	 * A Linux that is given has its console on the serial port, unless a display is spoken of: even "none"
	 * leaves the card in the machine. -nographic takes it away, but not from Multiboot, which has no BIOS to ask.
	 */
	bool multiboot = o->vm.boot.kernel && boot_is_multiboot(o->vm.boot.kernel);
	bool screen = firmware || multiboot;
	if (!o->vga_given)
		s->vga = s->nui > 0 || (!o->no_defaults && (o->nographic ? multiboot : screen || (o->display_given && o->vm.boot.kernel)));
	if (s->vga && screen && !o->display_given && !o->no_defaults && !o->daemonize && users == 0 && o->nserial == 0 &&
	    host_tty_is(STDIN_FILENO) && host_tty_is(STDOUT_FILENO))
		option_display(o, "curses", err);
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
	int rc = drives_postponed(o, err);

	if (rc < 0)
		return rc;
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
		rc = set_image(o, err);
		if (rc < 0)
			return rc;
	}
	if (o->vm.bios == NULL && b->kernel == NULL && b->flat == NULL && !has_drive(&o->vm.drives) && !o->vm.net.card)
		return error_set(err, -EINVAL, "nothing to boot: give an image, -kernel FILE, -bios FILE, -nic user, or --flat ADDR FILE (plex86 --help)");
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
	rc = chardevs_resolve(o, err);
	if (rc == 0)
		rc = network_check(o, err);
	if (rc == 0)
		rc = check_screen(o, err);
	b->screen = o->vm.screen.vga;
	b->no_acpi = o->vm.no_acpi;
	b->hpet = o->vm.hpet;
	if (rc < 0)
		return rc;
	return o->name[0] ? option_name_socket(o, err) : 0;
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

	*o = (struct options){ .command = CLI_RUN, .vm.ram_bytes = 128ull << 20, .vm.idle_slack_ns = OPTIONS_IDLE_SLACK_MS * 1000000, .vm.boot_order = { 2, 1, 3 },
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
