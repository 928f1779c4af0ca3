/*
 * Meters are kept where things happen; here they are put together.
 */
#include "vm_meter.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "control/devices.h"
#include "emulate/emulate.h"
#include "host/clock.h"
#include "vm.h"

#ifdef PLEX86_METERS

static void put_devices(struct meter_snapshot *s, enum meter_id id, const struct meter_devices *d)
{
	for (unsigned i = 0; i < d->n; i++) {
		if (d->device[i].reads)
			meter_put(s, id, d->device[i].name, "read", d->device[i].reads);
		if (d->device[i].writes)
			meter_put(s, id, d->device[i].name, "write", d->device[i].writes);
	}
}

static void put_vectors(struct meter_snapshot *s, enum meter_id id, const uint64_t *count, unsigned n)
{
	char label[8];

	for (unsigned v = 0; v < n; v++) {
		snprintf(label, sizeof(label), "%u", v);
		if (count[v])
			meter_put(s, id, label, NULL, count[v]);
	}
}

static void put_drives(struct vm *vm, struct meter_snapshot *s)
{
	struct block_stats stats[CONTROL_DRIVES];
	struct drive_view v[CONTROL_DRIVES];

	for (unsigned n = 0; n < CONTROL_DRIVES; n++) {
		drive_look(vm, n, &v[n]);
		stats[n] = vm_drives_stats(&vm->drives, n);
	}
	for (unsigned n = 0; n < CONTROL_DRIVES; n++) {
		if (!v[n].present)
			continue;
		meter_put(s, METER_DISK_OPS, v[n].name, "read", stats[n].reads);
		meter_put(s, METER_DISK_OPS, v[n].name, "write", stats[n].writes);
		meter_put(s, METER_DISK_OPS, v[n].name, "flush", stats[n].flushes);
	}
	for (unsigned n = 0; n < CONTROL_DRIVES; n++) {
		if (!v[n].present)
			continue;
		meter_put(s, METER_DISK_BYTES, v[n].name, "read", stats[n].bytes_read);
		meter_put(s, METER_DISK_BYTES, v[n].name, "write", stats[n].bytes_written);
	}
	for (unsigned n = 0; n < CONTROL_DRIVES; n++)
		if (v[n].present)
			meter_put(s, METER_DISK_ERRORS, v[n].name, NULL, stats[n].errors);
}

static void put_network(struct vm *vm, struct meter_snapshot *s)
{
	const struct e1000 *card = &vm->chipset.net.card;
	const char *name = vm_net_name(vm);

	if (!vm->chipset.net.present)
		return;
	meter_put(s, METER_NET_FRAMES, name, "receive", card->frames_in);
	meter_put(s, METER_NET_FRAMES, name, "send", card->frames_out);
	meter_put(s, METER_NET_BYTES, name, "receive", card->bytes_in);
	meter_put(s, METER_NET_BYTES, name, "send", card->bytes_out);
	meter_put(s, METER_NET_LOST, name, "receive", vm->net.lost_in);
	meter_put(s, METER_NET_LOST, name, "send", vm->net.lost_out);
	if (vm->cfg->net_process.pid > 0)
		meter_put(s, METER_NET_CPU, NULL, NULL, host_clock_of_process(vm->cfg->net_process.pid));
}

/* Pages of the memfd that the host holds in memory; what was swapped out is not. */
static uint64_t resident_bytes(const struct phys *phys)
{
	unsigned char there[4096];
	uint64_t n = 0, pages = phys->fd_bytes >> PAGE_SHIFT;

	for (uint64_t at = 0; at < pages; at += sizeof(there)) {
		uint64_t some = MIN(pages - at, (uint64_t)sizeof(there));

		if (mincore(phys->ram + (at << PAGE_SHIFT), some << PAGE_SHIFT, there) < 0)
			return 0;
		for (uint64_t i = 0; i < some; i++)
			n += there[i] & 1;
	}
	return n << PAGE_SHIFT;
}

static uint64_t process_resident(const struct vm *vm)
{
	char text[128];
	ssize_t n = vm->statm_fd > 0 ? pread(vm->statm_fd, text, sizeof(text) - 1, 0) : -1;
	unsigned long long size = 0, resident = 0;

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return sscanf(text, "%llu %llu", &size, &resident) == 2 ? resident << PAGE_SHIFT : 0;
}

static void put_memory(struct vm *vm, struct meter_snapshot *s)
{
	struct stat st;

	/* A disk's thread may touch more meanwhile: what is resident is looked at first, so that it is never more than was touched. */
	uint64_t resident = resident_bytes(&vm->phys);

	meter_put(s, METER_MEMORY, "configured", NULL, vm->phys.ram_bytes);
	if (fstat(vm->phys.fd, &st) == 0)
		meter_put(s, METER_MEMORY, "touched", NULL, (uint64_t)st.st_blocks * 512);
	meter_put(s, METER_MEMORY, "resident", NULL, resident);
	meter_put(s, METER_MONITOR_RSS, NULL, NULL, process_resident(vm));
}

static void put_vcpu(struct vm *vm, struct meter_snapshot *s)
{
	static const char *const faults[METER_WINDOW_CAUSES] = { [WF_MAPPED] = "mapped", [WF_UPGRADED] = "upgraded",
	    [WF_REFLECTED] = "reflected", [WF_DEVICE] = "device", [WF_CODE] = "code", [WF_UNSTABLE] = "unstable",
	    [WF_GUARD] = "guard", [WF_ARITHMETIC] = "arithmetic" };
	struct meters *m = &vm->cpu.meters;

	for (unsigned i = 0; i < METER_CAUSES; i++)
		meter_put(s, METER_TIME, meter_cause_names[i], NULL, m->ns[i]);
	meter_put(s, METER_VCPU_CPU, NULL, NULL, host_clock_of(CLOCK_THREAD_CPUTIME_ID));
	if (vm->run == emulate_run || vm->cfg->meter_instructions)
		meter_put(s, METER_INSNS, NULL, NULL, m->insns - m->unfinished);
	meter_put(s, METER_EMULATED, NULL, NULL, m->emulated - m->unfinished);
	meter_put(s, METER_BLOCKS, NULL, NULL, m->blocks);
	meter_put(s, METER_EVICTED, "rewritten", NULL, m->dropped);
	meter_put(s, METER_EVICTED, "emptied", NULL, m->flushed);
	meter_put(s, METER_CHAINED, NULL, NULL, m->chained);
	meter_put(s, METER_LOOKED_UP, NULL, NULL, m->looked_up);
	meter_put(s, METER_FILLS, NULL, NULL, m->fills);
	for (unsigned i = 0; i < METER_WINDOW_CAUSES; i++)
		meter_put(s, METER_WINDOW_FAULTS, faults[i], NULL, m->window[i]);
	meter_put(s, METER_WINDOW_AHEAD, NULL, NULL, m->window_ahead);
	meter_put(s, METER_CR3_LOADS, NULL, NULL, m->cr3_loads);
	meter_put(s, METER_CR3_SWITCHES, NULL, NULL, m->cr3_switches);
	meter_put(s, METER_WINDOW_HITS, NULL, NULL, m->window_hits);
	meter_put(s, METER_WINDOWS_OPENED, NULL, NULL, m->window_opened);
	put_vectors(s, METER_EXCEPTIONS, m->exceptions, ARRAY_LEN(m->exceptions));
	put_vectors(s, METER_INTERRUPTS, m->interrupts, ARRAY_LEN(m->interrupts));
	put_vectors(s, METER_SOFTWARE_INTS, m->software, ARRAY_LEN(m->software));
	meter_put(s, METER_NMIS, NULL, NULL, m->nmis);
	meter_put(s, METER_HALTS, NULL, NULL, m->halts);
}

int vm_meters_read(struct vm *vm, struct meter_snapshot *s, struct error *err)
{
	struct timeval tv;
	const struct bus *bus = &vm->pc.bus;

	gettimeofday(&tv, NULL);
	s->n = 0;
	s->pid = (int)getpid();
	s->time_s = (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
	snprintf(s->name, sizeof(s->name), "%s", vm->cfg->control.name ? vm->cfg->control.name : "");
	meter_put(s, METER_UPTIME, NULL, NULL, meter_times(&vm->cpu.meters));
	meter_put(s, METER_PROCESS_CPU, NULL, NULL, host_clock_of(CLOCK_PROCESS_CPUTIME_ID));
	meter_put(s, METER_RESETS, NULL, NULL, vm->cpu.meters.resets);
	put_devices(s, METER_PORTS, &bus->devices);
	if (bus->unclaimed_reads)
		meter_put(s, METER_PORTS, "none", "read", bus->unclaimed_reads);
	if (bus->unclaimed_writes)
		meter_put(s, METER_PORTS, "none", "write", bus->unclaimed_writes);
	put_devices(s, METER_MMIO, &vm->phys.devices);
	put_drives(vm, s);
	put_network(vm, s);
	put_memory(vm, s);
	put_vcpu(vm, s);
	return 0;
}

#else

int vm_meters_read(struct vm *vm, struct meter_snapshot *s, struct error *err)
{
	return error_set(err, -ENOTSUP, "this plex86 was built without meters (-Dmeters=false)");
}

#endif

struct fetch { struct meter_snapshot *s; };

static void do_fetch(void *arg, const void *data)
{
	struct error err;

	vm_meters_read(arg, ((const struct fetch *)data)->s, &err);
}

bool vm_meters_fetch(void *arg, struct meter_snapshot *s)
{
	struct vm *vm = arg;
	struct fetch fetch = { s };

	return host_post(&vm->post, do_fetch, vm, &fetch, sizeof(fetch), true);
}
