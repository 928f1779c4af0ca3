/*
 * Options that tools which start QEMU pass: what this machine is or has not, accepted where it is true of it.
 */
#ifndef PLEX86_CLI_COMPAT_H
#define PLEX86_CLI_COMPAT_H

#include "cli/options.h"

int compat_machine(struct options *o, const char *arg, struct error *err);	/* -machine, -M */
int compat_accel(struct options *o, const char *arg, struct error *err);
int compat_smp(struct options *o, const char *arg, struct error *err);
int compat_none(const char *option, const char *arg, const char *why, struct error *err);
int compat_rtc(struct options *o, const char *arg, struct error *err);

#endif
