/*
 * Accesses to devices, counted by name: a row of ports or a region of memory that goes and comes back (a BAR that
 * moves) goes on with its counts.
 */
#ifndef PLEX86_METER_DEVICE_H
#define PLEX86_METER_DEVICE_H

#include "meter/meter.h"

#define METER_DEVICES_MAX 64		/* names; further ones share the last */

#ifdef PLEX86_METERS

struct meter_devices {
	struct meters *meters;		/* whose time they take, or NULL */
	unsigned n;
	struct meter_device {
		const char *name;
		uint64_t reads, writes;
	} device[METER_DEVICES_MAX];
};

uint8_t meter_device_of(struct meter_devices *d, const char *name);
uint64_t meter_device_accesses(const struct meter_devices *d, const char *name);

static inline void meter_device_begin(struct meter_devices *d)
{
	if (d->meters == NULL)
		return;
	d->meters->in_device = true;
	meter_begin(d->meters, &d->meters->span[SPAN_DEVICE]);
}

static inline void meter_device_done(struct meter_devices *d)
{
	if (d->meters == NULL)
		return;
	d->meters->in_device = false;
	meter_end(d->meters, &d->meters->span[SPAN_DEVICE]);
}

#define METER_DEVICES(field) struct meter_devices field;
#define METER_DEVICE_OF(d, name) meter_device_of(d, name)
#define METER_DEVICE_READ(d, i) ((d)->device[i].reads++, meter_device_begin(d))
#define METER_DEVICE_WRITE(d, i) ((d)->device[i].writes++, meter_device_begin(d))
#define METER_DEVICE_DONE(d) meter_device_done(d)

#else

#define METER_DEVICES(field)
#define METER_DEVICE_OF(d, name) 0
#define METER_DEVICE_READ(d, i) ((void)0)
#define METER_DEVICE_WRITE(d, i) ((void)0)
#define METER_DEVICE_DONE(d) ((void)0)

#endif

#endif
