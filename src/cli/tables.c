#include "cli/tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/drives.h"

int tables_uuid(struct options *o, const char *arg, struct error *err)
{
	if (!smbios_parse_uuid(arg, o->vm.smbios.uuid))
		return error_set(err, -EINVAL, "-uuid '%s': it is 32 hexadecimal digits as in f81d4fae-7dec-11d0-a765-00a0c91e6bf6", arg);
	o->vm.smbios.uuid_given = true;
	return 0;
}

/* type=N,PROPERTY=VALUE,... */
int tables_smbios(struct options *o, const char *arg, struct error *err)
{
	char *text = options_keep(o, arg), *p = text, *key, *val;
	unsigned type = 256;

	while (p && drives_next_property(&p, &key, &val)) {
		char *end;

		if (val == NULL || (type == 256 && strcmp(key, "type") != 0))
			return error_set(err, -EINVAL, "-smbios '%s': it is type=N,PROPERTY=VALUE,...", arg);
		if (strcmp(key, "type") == 0) {
			type = (unsigned)strtoul(val, &end, 10);
			if (*end != '\0' || type > 127)
				return error_set(err, -EINVAL, "-smbios type=%s: it is a number", val);
		} else if (type == 0 && strcmp(key, "uefi") == 0 && strcmp(val, "off") == 0) {
			continue;
		} else {
			int rc = smbios_set(&o->vm.smbios, type, key, val, err);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

/* The firmware runs what lies in this folder of fw_cfg as it runs the ROM of a card.	[SeaBIOS "Runtime config"] */
int tables_option_rom(struct options *o, const char *arg, struct error *err)
{
	const char *file = options_front(o, arg, "romfile"), *slash = file ? strrchr(file, '/') : NULL;
	const char *base = slash ? slash + 1 : file;
	char name[56];

	if (o->vm.nfw_files == VM_FW_FILES)
		return error_set(err, -EINVAL, "-option-rom: at most %u files", VM_FW_FILES);
	if (file == NULL || *base == '\0' || strchr(file, ','))
		return error_set(err, -EINVAL, "-option-rom '%s': it is a file (the order of drives is -boot)", arg);
	if ((size_t)snprintf(name, sizeof(name), "genroms/%s", base) >= sizeof(name))
		return error_set(err, -EINVAL, "-option-rom '%s': the file's name is longer than %zu characters", arg, sizeof(name) - sizeof("genroms/"));
	struct vm_fw_file f = { .name = options_keep(o, name), .path = options_keep(o, file) };
	if (f.name == NULL || f.path == NULL)
		return error_set(err, -ENOMEM, "no memory for the options");
	o->vm.fw_file[o->vm.nfw_files++] = f;
	return 0;
}

/* [name=]NAME,file=PATH or string=TEXT */
int tables_fw_cfg(struct options *o, const char *arg, struct error *err)
{
	char *text = options_keep(o, arg), *p = text, *key, *val;
	struct vm_fw_file f = { .name = NULL };

	if (o->vm.nfw_files == VM_FW_FILES)
		return error_set(err, -EINVAL, "-fw_cfg: at most %u files", VM_FW_FILES);
	while (p && drives_next_property(&p, &key, &val)) {
		if (val == NULL || strcmp(key, "name") == 0)
			f.name = val ? val : key;
		else if (strcmp(key, "file") == 0)
			f.path = val;
		else if (strcmp(key, "string") == 0)
			f.text = val;
		else
			return error_set(err, -EINVAL, "-fw_cfg: '%s' is not name=NAME, file=PATH or string=TEXT", key);
	}
	if (f.name == NULL || strlen(f.name) > 55 || (f.path == NULL) == (f.text == NULL))
		return error_set(err, -EINVAL, "-fw_cfg '%s': it is name=NAME (up to 55 characters), and file=PATH or string=TEXT", arg);
	o->vm.fw_file[o->vm.nfw_files++] = f;
	return 0;
}
