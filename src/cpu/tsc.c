#include "cpu/tsc.h"

#include <x86intrin.h>

#include "cpu/cpu.h"

enum {
	LONGEST_LOOK = 2000,		/* host cycles for one reading of the board's clock: longer ones were interrupted */
	DEVIATION = 1000,		/* guest ticks, and a 1024th of the distance: the clocks do not go together any more */
};
#define SLOPE_CYCLES	(1ull << 31)	/* a slope is measured over less */

static uint64_t along(uint64_t slope, uint64_t cycles)
{
	return (uint64_t)((unsigned __int128)slope * cycles >> 32);
}

/* The most that may have been read up to now. */
static uint64_t seen(const struct tsc_line *l, uint64_t host)
{
	return l->limit[0] ? l->guest + along(l->mult, MIN(host - l->host, l->limit[0])) : l->guest;
}

static void measure(struct tsc_line *l, uint64_t host, uint64_t guest)
{
	uint64_t cycles = host - l->host, ticks = guest - l->true_guest, foreseen = along(l->slope, cycles);

	/* a pause, a host that slept */
	if (l->slope && (ticks > foreseen ? ticks - foreseen : foreseen - ticks) > DEVIATION + foreseen / 1024)
		l->begun_host = l->slope = 0;
	cycles = host - l->begun_host;
	if (l->begun_host && cycles >= TSC_LINE_CYCLES && cycles < SLOPE_CYCLES)
		l->slope = (uint64_t)(((unsigned __int128)(guest - l->begun_guest) << 32) / cycles);
	if (l->begun_host == 0 || cycles >= SLOPE_CYCLES) {
		l->begun_host = host;
		l->begun_guest = guest;
	}
}

uint64_t tsc_line_draw(struct tsc_line *l, uint64_t host, uint64_t guest, bool user)
{
	uint64_t least = seen(l, host), ahead = least > guest ? least - guest : 0;

	measure(l, host, guest);
	l->host = host;
	l->true_guest = guest;
	l->guest = guest + ahead;
	l->mult = l->slope;
	uint64_t ticks = along(l->slope, TSC_LINE_CYCLES);
	if (ahead)
		l->mult = ahead < ticks / 2 ? l->slope - (ahead << 32) / TSC_LINE_CYCLES : l->slope / 2;
	/* scanned code multiplies 64 bits with 64 */
	bool fits = l->mult != 0 && l->mult < 1ull << 40;
	l->limit[0] = fits ? TSC_LINE_CYCLES : 0;
	l->limit[1] = user ? l->limit[0] : 0;
	return l->guest;
}

void tsc_line_skip(struct tsc_line *l, uint64_t ticks)
{
	l->guest += ticks;
	l->true_guest += ticks;
	l->begun_guest += ticks;
}

void tsc_line_stand(struct tsc_line *l, uint64_t cycles)
{
	l->host += cycles;
	l->begun_host += l->begun_host ? cycles : 0;
}

/* As tsc_line_draw(), where the two clocks were not read together: no line. */
static uint64_t without_line(struct tsc_line *l, uint64_t host, uint64_t guest)
{
	l->guest = MAX(guest, seen(l, host));
	l->limit[0] = l->limit[1] = 0;
	return l->guest;
}

uint64_t cpu_tsc(struct vcpu *cpu)
{
	struct tsc_line *l = &cpu->tsc_line;
	uint64_t before = l->wanted ? __rdtsc() : 0;
	uint64_t tsc = (cpu->bus && cpu->bus->tsc ? cpu->bus->tsc(cpu->bus_arg) : 0) + cpu->tsc_offset;

	if (!l->wanted)
		return tsc;
	uint64_t after = __rdtsc();
	if (after - before > LONGEST_LOOK)
		return without_line(l, after, tsc);
	return tsc_line_draw(l, before + (after - before) / 2, tsc, !(cpu->cr4 & CR4_TSD));
}

uint64_t cpu_tsc_host(const struct vcpu *cpu)
{
	return cpu->tsc_line.wanted ? __rdtsc() : 0;
}

void cpu_tsc_skip(struct vcpu *cpu, uint64_t ns)
{
	tsc_line_skip(&cpu->tsc_line, (uint64_t)((unsigned __int128)ns * cpu->tsc_hz / 1000000000u));
}

void cpu_tsc_stand(struct vcpu *cpu, uint64_t since, uint64_t stood_ns, uint64_t of_ns)
{
	if (cpu->tsc_line.wanted && of_ns != 0)
		tsc_line_stand(&cpu->tsc_line, (uint64_t)((unsigned __int128)(__rdtsc() - since) * stood_ns / of_ns));
}
