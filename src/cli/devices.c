#include "cli/devices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/chardevs.h"
#include "cli/drives.h"
#include "cli/network.h"

static bool parse_port(const char *text, uint64_t max, uint16_t *n)
{
	uint64_t val = 0;
	bool ok = parse_number(text, max, &val) && val != 0;

	*n = (uint16_t)val;
	return ok;
}

/* A property of a device: its "NAME=VALUE" in two, or both of -global's. */
typedef int property_fn(struct options *o, const char *name, const char *value, struct error *err);

static int debug_exit_property(struct options *o, const char *name, const char *value, struct error *err)
{
	uint16_t n;

	if (strcmp(name, "iobase") == 0 && parse_port(value, 0xFFFF, &n))
		o->vm.debug_exit_port = n;
	else if (strcmp(name, "iosize") == 0 && parse_port(value, 4, &n) && n != 3)
		o->vm.debug_exit_size = (uint8_t)n;
	else if (strcmp(name, "id") != 0)
		return error_set(err, -EINVAL, "-device isa-debug-exit: '%s=%s' is not iobase=PORT or iosize=1|2|4", name, value);
	return 0;
}

static int debugcon_property(struct options *o, const char *name, const char *value, struct error *err)
{
	if (strcmp(name, "iobase") == 0 && parse_port(value, 0xFFFF, &o->vm.debugcon_port))
		return 0;
	if (strcmp(name, "readback") == 0 && strtoul(value, NULL, 0) == 0xE9)
		return 0;
	if (strcmp(name, "chardev") == 0)
		o->debugcon_id = value;
	else if (strcmp(name, "id") != 0)
		return error_set(err, -EINVAL, "-device isa-debugcon: '%s=%s' is not iobase=PORT or chardev=ID", name, value);
	return 0;
}

/* The ports stand where PCs have them: an address or line that is given must be the one it has. */
static int serial_property(struct options *o, const char *name, const char *value, struct error *err)
{
	static const unsigned bases[PC_SERIAL_PORTS] = { 0x3F8, 0x2F8, 0x3E8, 0x2E8 };
	unsigned n = o->nserial - 1;

	if (strcmp(name, "chardev") == 0)
		o->serial_id[n] = value;
	else if (!(strcmp(name, "index") == 0 && strtoul(value, NULL, 0) == n) &&
		 !(strcmp(name, "iobase") == 0 && strtoul(value, NULL, 0) == bases[n]) &&
		 !(strcmp(name, "irq") == 0 && strtoul(value, NULL, 0) == 4 - n % 2) && strcmp(name, "id") != 0)
		return error_set(err, -EINVAL, "-device isa-serial: '%s=%s' cannot be had for serial port %u (they are COM1 to COM4, in order)",
		    name, value, n + 1);
	return 0;
}

static int vga_property(struct options *o, const char *name, const char *value, struct error *err)
{
	if (strcmp(name, "vgamem_mb") != 0 && strcmp(name, "id") != 0 && strcmp(name, "bus") != 0 && strcmp(name, "addr") != 0)
		return error_set(err, -EINVAL, "-device VGA: property '%s' cannot be had", name);
	if (strcmp(name, "vgamem_mb") == 0 && strtoul(value, NULL, 0) != 16)
		return error_set(err, -EINVAL, "-device VGA: its memory has 16 MiB, not vgamem_mb=%s", value);
	return 0;
}

static int panic_property(struct options *o, const char *name, const char *value, struct error *err)
{
	if (strcmp(name, "ioport") == 0 && strtoul(value, NULL, 0) == 0x505)
		return 0;
	return strcmp(name, "id") == 0 ? 0 : error_set(err, -EINVAL, "-device pvpanic: its port is 0x505, '%s=%s' cannot be had", name, value);
}

/* --- what is to be there before its properties --- */

static int begin_debug_exit(struct options *o, struct error *err)
{
	o->vm.debug_exit_port = 0x501;	/* QEMU's defaults */
	o->vm.debug_exit_size = 2;
	return 0;
}

static int begin_debugcon(struct options *o, struct error *err)
{
	return chardevs_debugcon(o, "null", err);
}

static int begin_serial(struct options *o, struct error *err)
{
	return chardevs_serial(o, "null", err);
}

static int begin_vga(struct options *o, struct error *err)
{
	o->vga_given = o->vm.screen.vga = true;
	return 0;
}

static int begin_panic(struct options *o, struct error *err)
{
	o->vm.pvpanic = true;
	return 0;
}

static const struct device {
	const char *name;
	int (*begin)(struct options *o, struct error *err);	/* NULL: only -global knows it */
	property_fn *property;
	const char *help;
} devices[] = {
	{ "isa-debug-exit", begin_debug_exit, debug_exit_property, "[,iobase=PORT][,iosize=N]  a write of V ends plex86 with status V * 2 + 1" },
	{ "isa-debugcon", begin_debugcon, debugcon_property, "[,iobase=PORT],chardev=ID    bytes written there go to a -chardev" },
	{ "isa-serial", begin_serial, serial_property, "[,chardev=ID][,index=N]        the next serial port" },
	{ "pvpanic", begin_panic, panic_property, "  the port where a guest kernel says that it panicked" },
	{ "VGA", begin_vga, vga_property, "  the graphics card, as -vga std" },
};

static const struct device *find(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(devices); i++)
		if (strlen(devices[i].name) == len && memcmp(devices[i].name, name, len) == 0)
			return &devices[i];
	return NULL;
}

/* Why a device of QEMU's cannot be had, by how its name begins. */
static const char *absent(const char *name)
{
	static const struct { const char *begins, *why; } what[] = {
		{ "virtio", "there are no virtio devices: drives are IDE disks and floppies" },
		{ "ahci", "drives are IDE disks and floppies" }, { "ich9-ahci", "drives are IDE disks and floppies" },
		{ "nvme", "drives are IDE disks and floppies" }, { "lsi", "drives are IDE disks and floppies" },
		{ "usb", "the machine has no USB controller (keyboard and mouse are PS/2)" },
		{ "piix3-usb", "the machine has no USB controller (keyboard and mouse are PS/2)" },
		{ "qemu-xhci", "the machine has no USB controller (keyboard and mouse are PS/2)" },
		{ "sb16", "the machine has no sound card" }, { "adlib", "the machine has no sound card" },
		{ "gus", "the machine has no sound card" }, { "ES1370", "the machine has no sound card" },
		{ "AC97", "the machine has no sound card" }, { "intel-hda", "the machine has no sound card" },
		{ "hda-", "the machine has no sound card" }, { "cirrus-vga", "the graphics card is -vga std" },
		{ "vmware-svga", "the graphics card is -vga std" }, { "qxl", "the graphics card is -vga std" },
	};

	if (network_other_card(name))
		return network_other_card(name);
	for (size_t i = 0; i < ARRAY_LEN(what); i++)
		if (strncmp(name, what[i].begins, strlen(what[i].begins)) == 0)
			return what[i].why;
	return "no such device (-device help lists them)";
}

static void list(void)
{
	puts("Devices:");
	for (size_t i = 0; i < ARRAY_LEN(devices); i++)
		printf("  %s%s\n", devices[i].name, devices[i].help);
	puts("  e1000[,netdev=ID][,mac=ADDR][,romfile=FILE][,bootindex=N]   the network card");
	puts("  ide-hd, ide-cd, floppy ,drive=ID[,bus=ide.N][,unit=N][,serial=TEXT][,bootindex=N]   a -drive if=none,id=ID");
}

int devices_add(struct options *o, const char *arg, struct error *err)
{
	char *text, *save = NULL;

	if (strcmp(arg, "help") == 0 || strcmp(arg, "?") == 0) {
		list();
		o->command = CLI_DONE;
		return 0;
	}
	arg = options_front(o, arg, "driver");
	size_t len = strcspn(arg, ",");
	if (drives_is_device(arg, len))
		return drives_device(o, arg, err);
	if (network_is_device(arg, len))
		return network_device(o, arg, err);
	const struct device *d = find(arg, len);
	if (d == NULL)
		return error_set(err, -EINVAL, "-device '%.*s': %s", (int)len, arg, absent(arg));
	int rc = d->begin(o, err);
	text = options_keep(o, arg);
	if (text)
		strtok_r(text, ",", &save);
	for (char *word; rc == 0 && text && (word = strtok_r(NULL, ",", &save)); ) {
		char *value = strchr(word, '=');

		if (value == NULL)
			return error_set(err, -EINVAL, "-device %s: '%s' is not PROPERTY=VALUE", d->name, word);
		*value++ = '\0';
		rc = d->property(o, word, value, err);
	}
	return rc;
}

/* "DEVICE.PROPERTY=VALUE", of devices there are anyway too. */
int devices_global(struct options *o, const char *arg, struct error *err)
{
	static const char *const true_already[] = {
		"PIIX4_PM.disable_s3=1", "PIIX4_PM.disable_s4=1", "PIIX4_PM.disable_s3=on", "PIIX4_PM.disable_s4=on",
		"mc146818rtc.lost_tick_policy=discard", "isa-fdc.fallback=144", "fw_cfg.dma_enabled=on",
	};
	char *text = options_keep(o, arg), *dot = text ? strchr(text, '.') : NULL, *value = dot ? strchr(dot, '=') : NULL;

	for (size_t i = 0; i < ARRAY_LEN(true_already); i++)
		if (strcmp(arg, true_already[i]) == 0)
			return 0;
	if (strncmp(arg, "kvm-pit.", 8) == 0 || strncmp(arg, "migration.", 10) == 0)
		return 0;			/* of what never comes into being with -accel tcg either */
	if (value == NULL)
		return error_set(err, -EINVAL, "-global '%s': it is DEVICE.PROPERTY=VALUE", arg);
	*dot = *value = '\0';
	const struct device *d = find(text, strlen(text));
	if (d == NULL || strcmp(text, "isa-serial") == 0)
		return error_set(err, -EINVAL, "-global %s: cannot be had", arg);
	if (strcmp(text, "isa-debugcon") == 0) {	/* for a -debugcon before or after it */
		bool there = o->vm.debugcon_port != 0;
		uint16_t port;

		if (strcmp(dot + 1, "iobase") == 0 && parse_port(value + 1, 0xFFFF, &port)) {
			o->debugcon_port = port;
			if (there)
				o->vm.debugcon_port = port;
			return 0;
		}
	}
	return d->property(o, dot + 1, value + 1, err);
}
