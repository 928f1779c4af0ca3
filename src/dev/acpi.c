/*
 * ACPI fixed hardware: the PM1a registers and the PM timer of a PIIX4.	[ACPI "ACPI Hardware Specification"], [PIIX4]
 *
 * The timer is a function of time; TMR_STS records that its top bit (23) changed, every 2.34 s.
 * Left out: SMIs (SCI_EN is set by the board where firmware would), throttling, sleep states that
 * keep memory (S1..S4): only soft off does something.
 */
#include "dev/acpi.h"

#include <string.h>

enum { PM1_STS = 0, PM1_EN = 2, PM1_CNT = 4, PM_TMR = 8 };
enum {
	STS_BITS = ACPI_TMR_STS | ACPI_BM_STS | ACPI_GBL_STS | ACPI_PWRBTN_STS | ACPI_SLPBTN_STS |
		ACPI_RTC_STS | ACPI_WAK_STS,
	EN_BITS = ACPI_TMR_STS | ACPI_GBL_STS | ACPI_PWRBTN_STS | ACPI_SLPBTN_STS | ACPI_RTC_STS,
};

static uint64_t acpi_ticks(ns_t now)
{
	return (uint64_t)((unsigned __int128)now * ACPI_PM_TIMER_HZ / 1000000000u);
}

void acpi_reset(struct acpi *acpi, ns_t now)
{
	uint16_t base = acpi->base;

	memset(acpi, 0, sizeof(*acpi));
	acpi->base = base;
	acpi->timer_halves = acpi_ticks(now) >> 23;
	acpi->sleep_type = -1;
}

void acpi_update(struct acpi *acpi, ns_t now)
{
	uint64_t halves = acpi_ticks(now) >> 23;

	if (halves != acpi->timer_halves) {
		acpi->timer_halves = halves;
		acpi->pm1_sts |= ACPI_TMR_STS;
	}
}

bool acpi_sci(const struct acpi *acpi)
{
	return (acpi->pm1_cnt & ACPI_SCI_EN) && (acpi->pm1_sts & acpi->pm1_en & EN_BITS);
}

ns_t acpi_next(const struct acpi *acpi, ns_t now)
{
	if (!(acpi->pm1_en & ACPI_TMR_STS) || (acpi->pm1_sts & ACPI_TMR_STS))
		return UINT64_MAX;
	unsigned __int128 tick = (unsigned __int128)(acpi->timer_halves + 1) << 23;
	return (ns_t)((tick * 1000000000u + ACPI_PM_TIMER_HZ - 1) / ACPI_PM_TIMER_HZ);
}

/* The block as bytes: registers may be accessed in any width. */
static uint8_t acpi_read_byte(const struct acpi *acpi, unsigned offset, ns_t now)
{
	uint32_t val = 0xFFFFFFFF;

	switch (offset & ~1u) {
	case PM1_STS: val = acpi->pm1_sts; break;
	case PM1_EN: val = acpi->pm1_en; break;
	case PM1_CNT: val = acpi->pm1_cnt; break;
	case PM_TMR: val = (uint32_t)acpi_ticks(now) & 0xFFFF; break;
	case PM_TMR + 2: val = (uint32_t)(acpi_ticks(now) >> 16) & 0xFF; break;	/* 24 bits */
	case 6: val = 0; break;
	}
	return (uint8_t)(val >> (offset & 1) * 8);
}

uint32_t acpi_read(struct acpi *acpi, unsigned offset, unsigned size, ns_t now)
{
	uint32_t val = 0;

	acpi_update(acpi, now);
	for (unsigned i = 0; i < size; i++)
		val |= (uint32_t)acpi_read_byte(acpi, offset + i, now) << 8 * i;
	return val;
}

void acpi_write(struct acpi *acpi, unsigned offset, unsigned size, uint32_t val, ns_t now)
{
	acpi_update(acpi, now);
	for (unsigned i = 0; i < size; i++) {
		unsigned reg = (offset + i) & ~1u, shift = ((offset + i) & 1) * 8;
		uint16_t byte = (uint16_t)((val >> 8 * i & 0xFF) << shift), lane = (uint16_t)(0xFF << shift);

		if (reg == PM1_STS) {		/* written ones clear */
			acpi->pm1_sts &= ~(byte & STS_BITS);
		} else if (reg == PM1_EN) {
			acpi->pm1_en = (acpi->pm1_en & ~lane) | (byte & EN_BITS);
		} else if (reg == PM1_CNT) {	/* SCI_EN belongs to the firmware; SLP_EN reads as 0 */
			uint16_t keep = ACPI_SCI_EN;
			acpi->pm1_cnt = (acpi->pm1_cnt & (~lane | keep)) | (byte & ~(ACPI_SLP_EN | keep));
			if (byte & ACPI_SLP_EN)
				acpi->sleep_type = (acpi->pm1_cnt & ACPI_SLP_TYP) >> 10;
		}
	}
}

void acpi_set_sci_en(struct acpi *acpi, bool on)
{
	acpi->pm1_cnt = (uint16_t)((acpi->pm1_cnt & ~ACPI_SCI_EN) | (on ? ACPI_SCI_EN : 0));
}

void acpi_power_button(struct acpi *acpi)
{
	acpi->pm1_sts |= ACPI_PWRBTN_STS;
}

int acpi_take_sleep(struct acpi *acpi)
{
	int type = acpi->sleep_type;

	acpi->sleep_type = -1;
	return type;
}
