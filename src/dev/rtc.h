/*
 * MC146818 real-time clock and the PC's CMOS memory (128 bytes), ports 70h/71h.
 */
#ifndef PLEX86_DEV_RTC_H
#define PLEX86_DEV_RTC_H

#include "util/types.h"

enum {					/* registers */
	RTC_SECONDS = 0, RTC_SECONDS_ALARM, RTC_MINUTES, RTC_MINUTES_ALARM, RTC_HOURS, RTC_HOURS_ALARM,
	RTC_WEEKDAY, RTC_DAY, RTC_MONTH, RTC_YEAR, RTC_A, RTC_B, RTC_C, RTC_D,
	RTC_CENTURY = 0x32,
};

struct rtc {
	uint8_t index;			/* port 70h, bits 6:0 */
	bool nmi_off;			/* port 70h, bit 7 */
	uint8_t reg[128];
	ns_t divider_start;		/* the 32768 Hz divider chain counts from here */
	uint64_t periods;		/* divider ticks at the last update */
	ns_t next_second;		/* when the time of day advances; NS_NEVER while the divider is held */
};

/* Power-on: time of day start_s (seconds since 1970) at now, CMOS cleared. */
void rtc_init(struct rtc *rtc, int64_t start_s, ns_t now);
/* RESET: interrupt enables and flags go, the clock and the memory stay. */
void rtc_reset(struct rtc *rtc);

uint8_t rtc_read(struct rtc *rtc, uint16_t port, ns_t now);	/* 70h: FFh, write-only */
void rtc_write(struct rtc *rtc, uint16_t port, uint8_t val, ns_t now);

void rtc_update(struct rtc *rtc, ns_t now);
bool rtc_irq(const struct rtc *rtc);
ns_t rtc_next(const struct rtc *rtc, ns_t now);

/* CMOS memory past the clock's registers, for the board. */
static inline void rtc_set_cmos(struct rtc *rtc, uint8_t reg, uint8_t val) { rtc->reg[reg & 127] = val; }
/* Standard CMOS checksum (bytes 10h..2Dh) into 2Eh, 2Fh. */
void rtc_checksum(struct rtc *rtc);

#endif
