/*
 * The ACPI fixed hardware a PC needs to sleep, wake and power off: PM1a event and control
 * registers, PM timer; no general-purpose events.
 */
#ifndef PLEX86_DEV_ACPI_H
#define PLEX86_DEV_ACPI_H

#include "util/types.h"

#define ACPI_PM_TIMER_HZ 3579545u

enum {					/* PM1 status and enable */
	ACPI_TMR_STS = BIT(0), ACPI_BM_STS = BIT(4), ACPI_GBL_STS = BIT(5), ACPI_PWRBTN_STS = BIT(8),
	ACPI_SLPBTN_STS = BIT(9), ACPI_RTC_STS = BIT(10), ACPI_WAK_STS = BIT(15),
};
enum { ACPI_SCI_EN = BIT(0), ACPI_SLP_TYP = 7u << 10, ACPI_SLP_EN = BIT(13) };	/* PM1 control */

struct acpi {
	uint16_t base;			/* I/O address; 0: off */
	uint16_t pm1_sts, pm1_en, pm1_cnt;
	uint64_t timer_halves;		/* changes of the timer's bit 23 up to the last look */
	int sleep_type;			/* SLP_EN was written with this type; -1: no */
};

void acpi_reset(struct acpi *acpi, ns_t now);

/* Offset 0..0Bh in the block: PM1a_STS 0, PM1a_EN 2, PM1a_CNT 4, PM_TMR 8. */
uint32_t acpi_read(struct acpi *acpi, unsigned offset, unsigned size, ns_t now);
void acpi_write(struct acpi *acpi, unsigned offset, unsigned size, uint32_t val, ns_t now);

void acpi_set_sci_en(struct acpi *acpi, bool on);	/* what the SMI command port does */
void acpi_power_button(struct acpi *acpi);
int acpi_take_sleep(struct acpi *acpi);			/* sleep type asked for, once; -1: none */

void acpi_update(struct acpi *acpi, ns_t now);
bool acpi_sci(const struct acpi *acpi);
ns_t acpi_next(const struct acpi *acpi, ns_t now);

#endif
