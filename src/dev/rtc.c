/*
 * Real-time clock: the MC146818 of a PC/AT, with 128 bytes of CMOS memory.	[MC146818A], [AT-TRM]
 *
 * The registers hold the time of day, in whatever format register B selects; they advance when the
 * board asks after a second border has passed. Interrupt flags of the past are worked out then, so
 * the chip needs a timer only while an interrupt is enabled.
 *
 * Left out: square-wave output, daylight saving (DSE is stored), time bases other than 32768 Hz.
 */
#include "dev/rtc.h"

#include <string.h>

#define NEVER		UINT64_MAX
#define SECOND		1000000000ull
#define UPDATE_NS	1984000u	/* the update cycle, at 32768 Hz */
#define BUC_NS		244000u		/* UIP is set this long before it */

enum { A_UIP = 0x80, A_DV = 0x70, A_DV_32K = 0x20, A_DV_RESET = 0x60, A_RS = 0x0F };
enum { B_SET = 0x80, B_PIE = 0x40, B_AIE = 0x20, B_UIE = 0x10, B_SQWE = 0x08, B_DM = 0x04, B_24H = 0x02 };
enum { C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10 };
enum { D_VRT = 0x80 };

/* --- the formats of the time registers --- */

static unsigned rtc_decode(const struct rtc *rtc, uint8_t val)
{
	return rtc->reg[RTC_B] & B_DM ? val : (val >> 4) * 10u + (val & 15);
}

static uint8_t rtc_encode(const struct rtc *rtc, unsigned val)
{
	return (uint8_t)(rtc->reg[RTC_B] & B_DM ? val : val / 10 << 4 | val % 10);
}

static unsigned rtc_decode_hour(const struct rtc *rtc, uint8_t val)
{
	if (rtc->reg[RTC_B] & B_24H)
		return rtc_decode(rtc, val);
	return rtc_decode(rtc, val & 0x7F) % 12 + (val & 0x80 ? 12 : 0);
}

static uint8_t rtc_encode_hour(const struct rtc *rtc, unsigned hour)
{
	if (rtc->reg[RTC_B] & B_24H)
		return rtc_encode(rtc, hour);
	return rtc_encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0);
}

static unsigned days_in_month(unsigned month, unsigned year)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		return 29;
	return month >= 1 && month <= 12 ? days[month - 1] : 31;
}

/* Store a date and time given in seconds since 1970. */
static void rtc_set_time(struct rtc *rtc, int64_t s)
{
	int64_t day = s / 86400, rest = s % 86400;
	unsigned year = 1970, month = 1;

	if (rest < 0) {
		rest += 86400;
		day--;
	}
	rtc->reg[RTC_WEEKDAY] = rtc_encode(rtc, (unsigned)(((day + 4) % 7 + 7) % 7 + 1));	/* 1 = Sunday */
	for (; day < 0; year--)
		day += days_in_month(2, year - 1) == 29 ? 366 : 365;
	for (unsigned n; day >= (n = days_in_month(2, year) == 29 ? 366 : 365); year++)
		day -= n;
	for (; day >= days_in_month(month, year); month++)
		day -= days_in_month(month, year);
	rtc->reg[RTC_SECONDS] = rtc_encode(rtc, (unsigned)(rest % 60));
	rtc->reg[RTC_MINUTES] = rtc_encode(rtc, (unsigned)(rest / 60 % 60));
	rtc->reg[RTC_HOURS] = rtc_encode_hour(rtc, (unsigned)(rest / 3600));
	rtc->reg[RTC_DAY] = rtc_encode(rtc, (unsigned)day + 1);
	rtc->reg[RTC_MONTH] = rtc_encode(rtc, month);
	rtc->reg[RTC_YEAR] = rtc_encode(rtc, year % 100);
	rtc->reg[RTC_CENTURY] = (uint8_t)(year / 1000 << 4 | year / 100 % 10);	/* always BCD: the BIOS's byte */
}

void rtc_init(struct rtc *rtc, int64_t start_s, ns_t now)
{
	memset(rtc, 0, sizeof(*rtc));
	rtc->reg[RTC_A] = A_DV_32K | 6;
	rtc->reg[RTC_B] = B_24H;
	rtc->reg[RTC_D] = D_VRT;
	rtc->divider_start = now;
	rtc->next_second = now + SECOND;
	rtc_set_time(rtc, start_s);
}

void rtc_reset(struct rtc *rtc)
{
	rtc->reg[RTC_B] &= ~(B_PIE | B_AIE | B_UIE | B_SQWE);
	rtc->reg[RTC_C] = 0;
	rtc->index = 0;
	rtc->nmi_off = false;
}

void rtc_checksum(struct rtc *rtc)
{
	unsigned sum = 0;

	for (unsigned i = 0x10; i <= 0x2D; i++)
		sum += rtc->reg[i];
	rtc->reg[0x2E] = (uint8_t)(sum >> 8);
	rtc->reg[0x2F] = (uint8_t)sum;
}

/* --- the passing of time --- */

/* One field goes up; true when it wraps to `first`. */
static bool rtc_bump(struct rtc *rtc, unsigned reg, unsigned last, unsigned first)
{
	unsigned val = rtc_decode(rtc, rtc->reg[reg]);

	if (val >= last) {
		rtc->reg[reg] = rtc_encode(rtc, first);
		return true;
	}
	rtc->reg[reg] = rtc_encode(rtc, val + 1);
	return false;
}

/* One second passes. */
static void rtc_advance(struct rtc *rtc)
{
	if (!rtc_bump(rtc, RTC_SECONDS, 59, 0) || !rtc_bump(rtc, RTC_MINUTES, 59, 0))
		return;
	unsigned hour = rtc_decode_hour(rtc, rtc->reg[RTC_HOURS]);
	rtc->reg[RTC_HOURS] = rtc_encode_hour(rtc, hour >= 23 ? 0 : hour + 1);
	if (hour < 23)
		return;
	rtc_bump(rtc, RTC_WEEKDAY, 7, 1);
	uint8_t century = rtc->reg[RTC_CENTURY];
	unsigned year = ((century >> 4) * 10u + (century & 15)) * 100 + rtc_decode(rtc, rtc->reg[RTC_YEAR]);
	unsigned month = rtc_decode(rtc, rtc->reg[RTC_MONTH]);
	if (!rtc_bump(rtc, RTC_DAY, days_in_month(month, year), 1) || !rtc_bump(rtc, RTC_MONTH, 12, 1) ||
	    !rtc_bump(rtc, RTC_YEAR, 99, 0))
		return;
	century = (uint8_t)((century & 15) == 9 ? (century & 0xF0) + 0x10 : century + 1);
	rtc->reg[RTC_CENTURY] = century;
}

/* Alarm bytes C0h..FFh match anything.				[MC146818A "Time, Calendar and Alarm"] */
static bool rtc_alarm_matches(const struct rtc *rtc)
{
	for (unsigned reg = RTC_SECONDS; reg <= RTC_HOURS; reg += 2) {
		uint8_t alarm = rtc->reg[reg + 1];
		if (alarm < 0xC0 && alarm != rtc->reg[reg])
			return false;
	}
	return true;
}

static bool rtc_running(const struct rtc *rtc)
{
	return (rtc->reg[RTC_A] & A_DV) < A_DV_RESET;
}

/* Ticks of 32768 Hz in one period of the periodic interrupt; 0: none.	[MC146818A "Periodic Interrupt Rate"] */
static unsigned rtc_period(const struct rtc *rtc)
{
	unsigned rs = rtc->reg[RTC_A] & A_RS;

	if (rs == 0 || !rtc_running(rtc))
		return 0;
	return 1u << (rs < 3 ? rs + 6 : rs - 1);
}

static uint64_t rtc_ticks(const struct rtc *rtc, ns_t now)
{
	return now < rtc->divider_start ? 0 :
	    (uint64_t)((unsigned __int128)(now - rtc->divider_start) * 32768 / SECOND);
}

static void rtc_flag(struct rtc *rtc, uint8_t flag)
{
	rtc->reg[RTC_C] |= flag;
	if (rtc->reg[RTC_C] & rtc->reg[RTC_B] & (C_PF | C_AF | C_UF))
		rtc->reg[RTC_C] |= C_IRQF;
	else
		rtc->reg[RTC_C] &= ~C_IRQF;
}

void rtc_update(struct rtc *rtc, ns_t now)
{
	uint64_t ticks = rtc_ticks(rtc, now);
	unsigned period = rtc_period(rtc);

	if (period != 0 && ticks / period != rtc->periods / period)
		rtc_flag(rtc, C_PF);
	if (ticks > rtc->periods)
		rtc->periods = ticks;
	for (; rtc->next_second <= now; rtc->next_second += SECOND) {
		if (rtc->reg[RTC_B] & B_SET)	/* update cycles are inhibited; the divider runs on */
			continue;
		rtc_advance(rtc);
		rtc_flag(rtc, C_UF);
		if (rtc_alarm_matches(rtc))
			rtc_flag(rtc, C_AF);
	}
}

bool rtc_irq(const struct rtc *rtc)
{
	return rtc->reg[RTC_C] & C_IRQF;
}

ns_t rtc_next(const struct rtc *rtc, ns_t now)
{
	uint8_t wanted = rtc->reg[RTC_B] & ~rtc->reg[RTC_C];	/* what is flagged already waits for a read */
	unsigned period = rtc_period(rtc);
	ns_t next = NEVER;

	if ((wanted & (B_UIE | B_AIE)) && !(rtc->reg[RTC_B] & B_SET))
		next = rtc->next_second;
	if ((wanted & B_PIE) && period != 0) {
		uint64_t tick = (rtc->periods / period + 1) * period;
		ns_t at = rtc->divider_start + (ns_t)(((unsigned __int128)tick * SECOND + 32767) / 32768);
		next = MIN(next, at);
	}
	return next;
}

/* --- the registers --- */

/* Update in progress: from 244 us before the cycle until the time has changed. */
static bool rtc_uip(const struct rtc *rtc, ns_t now)
{
	return rtc->next_second != NEVER && !(rtc->reg[RTC_B] & B_SET) &&
	    now + BUC_NS + UPDATE_NS >= rtc->next_second;
}

static void rtc_write_a(struct rtc *rtc, uint8_t val, ns_t now)
{
	bool was_running = rtc_running(rtc);

	rtc->reg[RTC_A] = val & ~A_UIP;
	if (rtc_running(rtc) == was_running)
		return;
	if (was_running) {
		rtc->next_second = NEVER;
	} else {		/* the first update comes half a second after the divider is released */
		rtc->next_second = now + SECOND / 2;
		rtc->divider_start = now;
		rtc->periods = 0;
	}
}

uint8_t rtc_read(struct rtc *rtc, uint16_t port, ns_t now)
{
	if (port != 0x71)
		return 0xFF;
	rtc_update(rtc, now);
	uint8_t val = rtc->reg[rtc->index];
	if (rtc->index == RTC_A)
		val |= rtc_uip(rtc, now) ? A_UIP : 0;
	else if (rtc->index == RTC_C)
		rtc->reg[RTC_C] = 0;
	return val;
}

void rtc_write(struct rtc *rtc, uint16_t port, uint8_t val, ns_t now)
{
	rtc_update(rtc, now);
	if (port == 0x70) {
		rtc->index = val & 0x7F;
		rtc->nmi_off = val & 0x80;
		return;
	}
	switch (rtc->index) {
	case RTC_A:
		rtc_write_a(rtc, val, now);
		break;
	case RTC_B:
		if (val & B_SET)
			val &= ~B_UIE;		/* SET clears UIE	[MC146818A "Register B"] */
		rtc->reg[RTC_B] = val;
		rtc_flag(rtc, 0);		/* a flag set before its enable interrupts now */
		break;
	case RTC_C:
	case RTC_D:
		break;				/* read-only */
	default:
		rtc->reg[rtc->index] = val;
	}
}
