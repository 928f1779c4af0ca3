/*
 * What the firmware and the guest are told of the machine: -uuid, -smbios, -fw_cfg, -option-rom.
 */
#ifndef PLEX86_CLI_TABLES_H
#define PLEX86_CLI_TABLES_H

#include "cli/options.h"

int tables_uuid(struct options *o, const char *arg, struct error *err);
int tables_smbios(struct options *o, const char *arg, struct error *err);
int tables_fw_cfg(struct options *o, const char *arg, struct error *err);
int tables_option_rom(struct options *o, const char *arg, struct error *err);

#endif
