/*
 * Options: what to boot, the machine, drives.
 */
#include <errno.h>
#include <stdio.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/blockdevs.h"
#include "cli/compat.h"
#include "cli/devices.h"
#include "cli/drives.h"
#include "cli/network.h"
#include "cli/option.h"
#include "cli/tables.h"
#include "util/size.h"

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

/* The firmware's image, or the graphics card's, if it is in the folder and none was named. */
static int look_for_rom(struct options *o, const char *folder, const char *name, const char **path, struct error *err)
{
	char text[PATH_MAX];

	if (*path || (size_t)snprintf(text, sizeof(text), "%s/%s", folder, name) >= sizeof(text) || access(text, R_OK) != 0)
		return 0;
	*path = options_keep(o, text);
	return *path ? 0 : error_set(err, -ENOMEM, "no memory for the options");
}

static int set_rom_folder(struct options *o, const char *arg, struct error *err)
{
	int rc = look_for_rom(o, arg, "bios-256k.bin", &o->vm.bios, err);

	return rc < 0 ? rc : look_for_rom(o, arg, "vgabios-stdvga.bin", &o->vm.screen.vgabios, err);
}

static int set_boot(struct options *o, const char *arg, struct error *err)
{
	return drives_boot(arg, &o->vm, err);
}

static const struct option boot[] = {
	{ "kernel", NULL, "FILE", "a Linux bzImage or a Multiboot 1 kernel (or give it as IMAGE)", TEXT(vm.boot.kernel), false },
	{ "initrd", NULL, "FILE", "initial RAM disk; Multiboot: \"FILE ARGS,FILE ARGS...\"", TEXT(vm.boot.initrd), false },
	{ "append", NULL, "TEXT", "the kernel's command line", TEXT(vm.boot.append), false },
	{ "flat", NULL, "ADDR", "load IMAGE at this physical address and start it at its first byte", SET(set_flat), true },
	{ "mode", NULL, "MODE", "of --flat: real, or protected (flat, 32-bit: the default)", SET(set_mode), true },
	{ "bios", NULL, "FILE", "the firmware that boots a drive (default: SeaBIOS from package seabios)", TEXT(vm.bios), false },
	{ "L", NULL, "FOLDER", "look there first for bios-256k.bin and vgabios-stdvga.bin", SET(set_rom_folder), false },
	{ "option-rom", NULL, "FILE", "a ROM that the firmware runs as it runs one of a card", SET(tables_option_rom), false },
	{ "boot", NULL, "ORDER", "of drives: a (floppy), c (disk), d (CD-ROM); once=ORDER the first time;\nmenu=on[,splash-time=MS], strict=on, reboot-timeout=MS", SET(set_boot), false },
	{ "no-reboot", NULL, NULL, "end when the guest resets", FLAG(vm.no_reboot), false },
	{ "no-shutdown", NULL, NULL, "stop, not end, when the guest powers off", FLAG(vm.no_shutdown), false },
	{ "action", NULL, "EVENT=WHAT,...", "both of these: reboot=shutdown, shutdown=pause", SET(compat_action), false },
	{ "no-fd-bootchk", NULL, NULL, "start a floppy that has no boot sector's signature", FLAG(vm.no_boot_check), false },
};

const struct option_group options_boot = GROUP("What to boot", boot);

static int set_memory(struct options *o, const char *arg, struct error *err)
{
	uint64_t bytes;
	char size[64];

	/* "[size=]N[,slots=0][,maxmem=N]": none is plugged in later. */
	snprintf(size, sizeof(size), "%s", strncmp(arg, "size=", 5) == 0 ? arg + 5 : arg);
	char *more = strchr(size, ',');
	if (more)
		*more++ = '\0';
	if (!size_parse(size, 1 << 20, &bytes))
		return error_set(err, -EINVAL, "-m '%s': not a size (as 256, 512M or 1G)", arg);
	for (char *save = NULL, *word = more ? strtok_r(more, ",", &save) : NULL; word; word = strtok_r(NULL, ",", &save)) {
		uint64_t max;

		if (strcmp(word, "slots=0") != 0 && (strncmp(word, "maxmem=", 7) != 0 || !size_parse(word + 7, 1 << 20, &max) || max != bytes))
			return error_set(err, -EINVAL, "-m '%s': memory cannot be added later", arg);
	}
	if (bytes < VM_RAM_MIN)
		return error_set(err, -EINVAL, "-m %s: a guest needs at least %llu MiB of memory", arg, VM_RAM_MIN >> 20);
	if (bytes > VM_RAM_MAX)
		return error_set(err, -EINVAL, "-m %s: a guest can have at most %llu MiB of memory", arg, VM_RAM_MAX >> 20);
	o->vm.ram_bytes = bytes & ~(uint64_t)PAGE_MASK;
	return 0;
}

static int set_cpu(struct options *o, const char *arg, struct error *err)
{
	char wrong[64];

	if (strcmp(arg, "help") == 0 || strcmp(arg, "?") == 0) {
		cpu_model_list(stdout);
		o->command = CLI_DONE;
		return 0;
	}
	if (!cpu_model_parse(&o->vm.cpu_model, arg, wrong))
		return error_set(err, -EINVAL, "-cpu '%s': there is no %s '%s' (-cpu help lists them)", arg,
		    strchr(arg, ',') && strncmp(arg, wrong, strlen(wrong)) != 0 ? "feature" : "processor", wrong);
	return 0;
}

static int set_idle_slack(struct options *o, const char *arg, struct error *err)
{
	uint64_t ms;

	if (!parse_number(arg, 50, &ms))
		return error_set(err, -EINVAL, "--idle-slack '%s': it is 0 to 50 milliseconds", arg);
	o->vm.idle_slack_ns = ms * 1000000;
	return 0;
}

static const struct option machine[] = {
	{ "m", "memory", "SIZE", "guest memory in MiB, or with a suffix K, M, G (default 128)", SET(set_memory), false },
	{ "cpu", NULL, "NAME", "the processor's model (-cpu help)", SET(set_cpu), false },
	{ "smp", NULL, "1", "processors: there is one", SET(compat_smp), false },
	{ "device", NULL, "NAME,...", "add a device (-device help)", SET(devices_add), false },
	{ "rtc", NULL, "base=WHAT", "the clock chip shows utc (default), localtime, or 2006-06-17T16:01:21", SET(compat_rtc), false },
	{ "idle-slack", NULL, "MS", "how late an idle guest may have its ticks (default 12)", SET(set_idle_slack), true },
	{ "machine", "M", "pc", "the machine: a PC with i440FX and PIIX", SET(compat_machine), false },
	{ "accel", NULL, "tcg", "accepted, since plex86 is software, too", SET(compat_accel), false },
	{ "global", NULL, "DEV.PROP=VALUE", "a property of a device, as -device has them", SET(devices_global), false },
	{ "uuid", NULL, "UUID", "the machine's, which the guest reads from SMBIOS", SET(tables_uuid), false },
	{ "smbios", NULL, "type=N,...", "names and numbers in SMBIOS, as type=1,serial=TEXT", SET(tables_smbios), false },
	{ "fw_cfg", NULL, "NAME,...", "a file for the guest's eyes: file=PATH or string=TEXT", SET(tables_fw_cfg), false },
	{ "no-acpi", NULL, NULL, "the same as -machine acpi=off", SET(compat_no_acpi), false },
	{ "no-hpet", NULL, NULL, "the same as -machine hpet=off, which is the default", SET(compat_no_hpet), false },
	{ "nic", NULL, "user,...", "a network card (e1000) on a user-mode network: hostfwd=tcp::PORT-:PORT,\nrestrict=on, mac=ADDR; none: no card, the default", SET(network_nic), false },
	{ "netdev", NULL, "user,id=ID,...", "such a network, for a -device e1000,netdev=ID[,mac=ADDR]", SET(network_netdev), false },
	{ "net", NULL, "nic|user|none", "the same in the older way: -net nic -net user", SET(network_net), false },
	{ "parallel", NULL, "none", "there is no parallel port, and no sound card (-audio none)", SET(compat_parallel), false },
	{ "audio", NULL, "none", NULL, SET(compat_sound), false },
	{ "audiodev", NULL, "none", NULL, SET(compat_sound), false },
	{ "no-user-config", NULL, NULL, NULL, SET(compat_nothing), false },
	{ "nouserconfig", NULL, NULL, NULL, SET(compat_nothing), false },
	{ "localtime", NULL, NULL, NULL, SET(compat_localtime), false },
	{ "startdate", NULL, "DATE", NULL, SET(compat_startdate), false },
	{ "no-kvm", NULL, NULL, NULL, SET(compat_nothing), false },
	{ "singlestep", NULL, NULL, NULL, SET(compat_nothing), false },
	{ "enable-fips", NULL, NULL, NULL, SET(compat_nothing), false },
	{ "show-cursor", NULL, NULL, NULL, SET(compat_nothing), false },
	{ "tb-size", NULL, "N", NULL, SET(compat_nothing), false },
	{ "msg", NULL, "WHAT", NULL, SET(compat_nothing), false },
	{ "compat", NULL, "WHAT", NULL, SET(compat_nothing), false },
	{ "watchdog-action", NULL, "WHAT", NULL, SET(compat_nothing), false },
	{ "overcommit", NULL, "mem-lock=off", NULL, SET(compat_switches_off), false },
	{ "realtime", NULL, "mlock=off", NULL, SET(compat_switches_off), false },
	{ "k", NULL, "en-us", NULL, SET(compat_keyboard), false },
};

const struct option_group options_machine = GROUP("The machine", machine);

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

static const struct option drives[] = {
	{ "hda", NULL, "FILE", "a disk image, raw or qcow2; hdb, hdc, hdd the next ones", SET(set_hda), false },
	{ "hdb", NULL, "FILE", NULL, SET(set_hdb), false },
	{ "hdc", NULL, "FILE", NULL, SET(set_hdc), false },
	{ "hdd", NULL, "FILE", NULL, SET(set_hdd), false },
	{ "cdrom", NULL, "FILE", "a CD image (ISO), in the place of hdc", SET(set_cdrom), false },
	{ "fda", NULL, "FILE", "a floppy image, 160K to 2.88M; fdb the second", SET(set_fda), false },
	{ "fdb", NULL, "FILE", NULL, SET(set_fdb), false },
	{ "drive", NULL, "file=FILE,...", "the same with if=ide|floppy|none, index=N, media=disk|cdrom,\nformat=raw|qcow2, readonly=on, snapshot=on, serial=TEXT, werror=,\nrerror=stop|report|ignore|enospc (if the host fails)", SET(drives_parse), false },
	{ "blockdev", NULL, "driver=NAME,...", "an image as a node: node-name=, filename= or file=NODE, read-only=on", SET(blockdevs_add), false },
	{ "snapshot", NULL, NULL, "write to temporary files instead of the images", FLAG(vm.drives.snapshot), false },
};

const struct option_group options_drives = GROUP("Drives", drives);
