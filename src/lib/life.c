/* Machines come and go: plex86_create(), plex86_destroy(), errors, meters. */
#include "lib/machine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "emulate/emulate.h"
#include "host/clock.h"
#include "scan/scan.h"
#include "vm.h"

#define MEMORY_DEFAULT	(1ull << 30)
#define MEMORY_MAX	(4ull << 30)
#define CACHE_MIN	(1ull << 20)
#define CACHE_MAX	(1ull << 30)

uint32_t plex86_version(void)
{
	return PLEX86_VERSION_MAJOR << 16 | PLEX86_VERSION_MINOR << 8 | PLEX86_VERSION_PATCH;
}

int lib_fail(plex86 *m, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->message, sizeof(m->message), fmt, ap);
	va_end(ap);
	return code;
}

const char *plex86_error_message(const plex86 *m)
{
	return m->message;
}

/* What the engines call when they cannot go on: here, as in the program, it ends the run. */
void vm_stop(struct vm *vm, enum stop_reason reason, const char *fmt, ...)
{
	plex86 *m = (plex86 *)vm;
	va_list ap;

	if (!m->stopped) {
		lib_stop(m, PLEX86_STOP_INTERNAL, 0);
		va_start(ap, fmt);
		vsnprintf(m->stop.text, sizeof(m->stop.text), fmt, ap);
		va_end(ap);
	}
}

static void on_code_written(void *arg, uint64_t fd_offset, unsigned len)
{
	plex86 *m = arg;

	bool decoded = emulate_code_written(&m->cpu, fd_offset, len);
	if (m->cpu.scanner)
		scan_code_written(&m->cpu, fd_offset, len, decoded);
}

static void on_map_changed(void *arg)
{
	plex86 *m = arg;

	if (m->cpu.mmu)
		mmu_flush(&m->cpu, true);
	if (m->cpu.emulator)
		lib_flush_code(m);
}

void lib_flush_code(plex86 *m)
{
	emulate_flush(&m->cpu);
	if (m->cpu.scanner)
		scan_flush(&m->cpu);
}

static int init(plex86 *m)
{
	struct vcpu *cpu = &m->cpu;
	int rc = phys_init(&m->phys, 0, m->config.memory_bytes);

	if (rc < 0)
		return rc;
	m->phys.code_written = on_code_written;
	m->phys.map_changed = on_map_changed;
	m->phys.arg = m;
	cpu->phys = &m->phys;
	cpu->bus = &lib_bus;
	cpu->bus_arg = m;
	cpu->vm = m;
	cpu->intercept = &lib_intercept;
	METER_ONLY(meter_start(&cpu->meters));
	rc = mmu_init(cpu);
	if (rc == 0)
		rc = emulate_init(cpu);
	if (rc == 0 && m->config.engine == PLEX86_SCAN) {
		host_signals_install(NULL);
		rc = host_stack_make(&m->stack);
		if (rc == 0)
			rc = scan_init(cpu, m->config.code_cache_bytes);
		if (rc == 0 && m->config.flags & PLEX86_VERIFY)
			rc = scan_verify(cpu);
	}
	return rc;
}

/* What the caller gave, as far as it reaches, checked. NULL, or what is wrong with it. */
static const char *read_config(struct plex86_config *to, const struct plex86_config *from)
{
	*to = (struct plex86_config){ 0 };
	if (from) {
		if (from->size < offsetof(struct plex86_config, reserved))
			return "the configuration has no size: begin it with PLEX86_SIZED(plex86_config)";
		memcpy(to, from, MIN(from->size, sizeof(*to)));
	}
	to->size = sizeof(*to);
	if (to->memory_bytes == 0)
		to->memory_bytes = MEMORY_DEFAULT;
	to->memory_bytes = (to->memory_bytes + PAGE_MASK) & ~(uint64_t)PAGE_MASK;
	if (to->engine != PLEX86_SCAN && to->engine != PLEX86_EMULATE)
		return "no such engine";
	if (to->flags & ~(uint32_t)(PLEX86_VERIFY | PLEX86_TSC_COUNTS))
		return "unknown flags";
	if (to->memory_bytes > MEMORY_MAX)
		return "memory_bytes is more than the 4 GiB there can be";
	if (to->code_cache_bytes && (to->code_cache_bytes < CACHE_MIN || to->code_cache_bytes > CACHE_MAX))
		return "code_cache_bytes is not between 1 MiB and 1 GiB";
	return NULL;
}

static int no_machine(int code, char *why, size_t why_bytes, const char *text)
{
	if (why && why_bytes)
		snprintf(why, why_bytes, "%s", text);
	return code;
}

int plex86_create(plex86 **machine, const struct plex86_config *config, char *why, size_t why_bytes)
{
	struct plex86_config c;
	plex86 *m;

	*machine = NULL;
	const char *wrong = read_config(&c, config);
	if (wrong)
		return no_machine(PLEX86_E_ARGUMENT, why, why_bytes, wrong);
	if (posix_memalign((void **)&m, 64, sizeof(*m)) != 0)	/* the FXSAVE area */
		return no_machine(PLEX86_E_MEMORY, why, why_bytes, "no memory for the machine");
	memset(m, 0, sizeof(*m));
	m->phys.fd = -1;
	m->config = c;
	m->start_ns = host_clock_ns();
	m->cpu.tsc_hz = 1000000000;
	int rc = init(m);
	if (rc < 0) {
		plex86_destroy(m);
		return no_machine(rc == -ENOMEM ? PLEX86_E_MEMORY : PLEX86_E_HOST, why, why_bytes, strerror(-rc));
	}
	plex86_set_mode(m, PLEX86_FLAT);
	*machine = m;
	return PLEX86_OK;
}

void plex86_destroy(plex86 *m)
{
	if (!m)
		return;
	if (m->timer_thread)
		timer_delete(m->timer);
	lib_unmap_all(m);
	if (m->cpu.scanner)
		scan_free(&m->cpu);
	emulate_free(&m->cpu);
	mmu_free(&m->cpu);
	phys_free(&m->phys);
	host_stack_free(m->stack);
	free(m->port_slot);
	free(m);
}

#ifdef PLEX86_METERS
static void read_engine(struct plex86_meters *to, const struct meters *from)
{
	to->blocks_scanned = from->blocks;
	to->blocks_dropped = from->dropped + from->flushed;
	for (unsigned i = 0; i < METER_WINDOW_CAUSES; i++)
		to->window_faults += from->window[i];
}
#endif

int plex86_get_meters(plex86 *m, struct plex86_meters *meters)
{
	struct plex86_meters all = m->meters;
	struct stat st;

	if (meters->size < offsetof(struct plex86_meters, runs))
		return lib_fail(m, PLEX86_E_ARGUMENT, "the meters have no size: begin them with PLEX86_SIZED(plex86_meters)");
	all.size = meters->size;
	all.mmio_accesses = m->phys.mmio_accesses;
	METER_ONLY(read_engine(&all, &m->cpu.meters));
	for (unsigned i = 0; i < m->nmappings; i++)
		all.memory_mapped += m->mapping[i]->mmio ? 0 : m->mapping[i]->bytes;
	if (fstat(m->phys.fd, &st) == 0)
		all.memory_used = (uint64_t)st.st_blocks * 512;
	memcpy(meters, &all, MIN(meters->size, sizeof(all)));
	return PLEX86_OK;
}
