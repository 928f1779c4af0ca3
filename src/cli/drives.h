/*
 * The options that name disks.
 */
#ifndef PLEX86_CLI_DRIVES_H
#define PLEX86_CLI_DRIVES_H

#include "util/error.h"
#include "vm_drives.h"

/* -hda, -hdb, -hdc, -hdd, -cdrom, -fda, -fdb: name is the option's. */
int drives_set(struct vm_drives_config *drives, const char *name, const char *path, struct error *err);
struct options;
/* The next KEY=VALUE (val NULL: a word alone) of a list that commas part; a comma written twice is one. false: there is none. */
bool drives_next_property(char **at, char **key, char **val);
/* -device ide-hd|ide-cd|floppy,drive=ID...: puts a -drive if=none or a -blockdev into a slot. */
bool drives_is_device(const char *arg, size_t len);
int drives_postponed(struct options *options, struct error *err);	/* those -device whose drive= came later */
int drives_device(struct options *options, const char *arg, struct error *err);
/* -drive file=PATH,if=ide|floppy|none,id=ID,index=N,media=disk|cdrom,format=F,readonly=on|off,snapshot=on|off,serial=S
 * werror=, rerror=ACTION. A comma in a value is written twice. The values live as long as the program. */
int drives_parse(struct options *options, const char *arg, struct error *err);
struct vm_config;
/* -boot [order=]LETTERS[,once=LETTERS][,menu=on|off][,strict=on|off][,splash-time=MS][,reboot-timeout=MS]: into the fields boot_*. */
int drives_boot(const char *arg, struct vm_config *vm, struct error *err);
/* What a file given without an option is: a kernel (VM_DRIVE_NONE) or a medium. */
enum vm_drive_kind drives_guess(const char *path);

#endif
