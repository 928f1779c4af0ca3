/*
 * Options that tools which start QEMU pass: what this machine is or has not. What has a meaning here has the one
 * it has there; what asks for nothing is accepted; the rest is named, with the reason.
 */
#ifndef PLEX86_CLI_COMPAT_H
#define PLEX86_CLI_COMPAT_H

#include "cli/options.h"

int compat_machine(struct options *o, const char *arg, struct error *err);	/* -machine, -M */
int compat_accel(struct options *o, const char *arg, struct error *err);
int compat_accel_check(const struct options *o, struct error *err);		/* when all are known */
int compat_smp(struct options *o, const char *arg, struct error *err);
int compat_parallel(struct options *o, const char *arg, struct error *err);
int compat_sound(struct options *o, const char *arg, struct error *err);	/* -audio, -audiodev */
int compat_keyboard(struct options *o, const char *arg, struct error *err);	/* -k */
int compat_switches_off(struct options *o, const char *arg, struct error *err);	/* NAME=off,...: -overcommit and the like */
int compat_nothing(struct options *o, const char *arg, struct error *err);	/* asks for nothing, or what is so anyway */
int compat_localtime(struct options *o, const char *arg, struct error *err);
int compat_startdate(struct options *o, const char *arg, struct error *err);
int compat_rtc(struct options *o, const char *arg, struct error *err);
int compat_icount(struct options *o, const char *arg, struct error *err);
int compat_action(struct options *o, const char *arg, struct error *err);
int compat_no_acpi(struct options *o, const char *arg, struct error *err);
int compat_no_hpet(struct options *o, const char *arg, struct error *err);

/* An option of QEMU's that cannot be had: err says why. false: no option of QEMU's. */
bool compat_refused(const char *name, struct error *err);

#endif
