#include "host/clock.h"

#include <cpuid.h>

ns_t host_clock_of(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (ns_t)ts.tv_sec * 1000000000u + (ns_t)ts.tv_nsec;
}

ns_t host_clock_ns(void)
{
	return host_clock_of(CLOCK_MONOTONIC);
}

uint64_t host_clock_ms(void)
{
	return host_clock_ns() / 1000000u;
}

int host_poll_until(uint64_t ms)
{
	uint64_t now = host_clock_ms();

	return ms == UINT64_MAX ? -1 : ms <= now ? 0 : (int)MIN(ms - now, (uint64_t)1000000);
}

struct timespec host_timespec(ns_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };
}

int64_t host_wall_s(bool local)
{
	time_t now = time(NULL);
	struct tm tm;

	if (!local || localtime_r(&now, &tm) == NULL)
		return now;
	return timegm(&tm);
}

bool host_tsc_steady(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d >> 8 & 1);
}

/* As clock_getcpuclockid() makes it, without a system call.		[Linux, "posix-timers"] */
ns_t host_clock_of_process(pid_t pid)
{
	struct timespec ts = { 0, 0 };

	clock_gettime((clockid_t)(~(unsigned)pid << 3 | 2), &ts);
	return (ns_t)ts.tv_sec * 1000000000u + (ns_t)ts.tv_nsec;
}
