/*
 * ACPI tables: FACS, FADT, MADT, HPET, RSDT; the DSDT is dsdt.dsl, compiled.	[ACPI 3.0, chapter 5]
 *
 * Left out: SRAT and other tables of machines that have such things.
 */
#include "boot/acpi_tables.h"

#include <assert.h>
#include <string.h>

#include "boot/boot.h"
#include "dev/hpet.h"
#include "dev/ioapic.h"
#include "dev/lapic.h"
#include "dev/pc.h"

#include "boot/dsdt.hex"

enum { FADT_BYTES = 244, FACS_BYTES = 64, HEADER_BYTES = 36 };

uint8_t acpi_checksum(const uint8_t *p, unsigned len)
{
	uint8_t sum = 0;

	for (unsigned i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	return (uint8_t)-sum;
}

/* Room for a table at the end of the run, 64-byte aligned (the FACS must be). */
static uint8_t *append(struct acpi_tables *t, uint32_t len)
{
	uint32_t at = (t->len + 63) & ~63u;

	assert(at + len <= sizeof(t->bytes));
	t->len = at + len;
	return t->bytes + at;
}

static uint32_t offset(const struct acpi_tables *t, const uint8_t *p)
{
	return (uint32_t)(p - t->bytes);
}

static void pointer(struct acpi_tables *t, uint8_t *field, uint32_t size, const uint8_t *to)
{
	assert(t->npointers < ACPI_MAX_POINTERS);
	t->pointer[t->npointers].at = offset(t, field);
	t->pointer[t->npointers++].size = size;
	put32(field, offset(t, to));
}

/* The 36 bytes every table begins with.		[ACPI 3.0, "System Description Table Header"] */
static void header(struct acpi_tables *t, uint8_t *p, const char *signature, uint32_t len, uint8_t revision)
{
	memcpy(p, signature, 4);
	put32(p + 4, len);
	p[8] = revision;
	memcpy(p + 10, "PLEX86", 6);
	memcpy(p + 16, "PLEX86PC", 8);
	put32(p + 24, 1);
	memcpy(p + 28, "PLEX", 4);
	put32(p + 32, 1);
	assert(t->ntables < ACPI_MAX_TABLES);
	t->table[t->ntables].at = offset(t, p);
	t->table[t->ntables++].len = len;
}

/* The window of PCI memory starts above RAM, at a place that firmware uses too. [SeaBIOS "pciinit.c"] */
static uint8_t *make_dsdt(struct acpi_tables *t, uint64_t ram_bytes)
{
	uint8_t *p = append(t, sizeof(dsdt_aml_code)), pattern[8];
	uint32_t start = ram_bytes <= 0x80000000u ? 0x80000000u : ram_bytes <= 0xC0000000u ? 0xC0000000u : 0xE0000000u;

	memcpy(p, dsdt_aml_code, sizeof(dsdt_aml_code));
	put32(pattern, 0x80000000u);
	put32(pattern + 4, 0xFEBFFFFFu);
	uint8_t *window = memmem(p, sizeof(dsdt_aml_code), pattern, sizeof(pattern));
	assert(window != NULL);			/* minimum, maximum, translation, length */
	put32(window, start);
	put32(window + 12, 0xFEC00000u - start);
	p[9] = 0;
	p[9] = acpi_checksum(p, sizeof(dsdt_aml_code));
	return p;
}

/* A generic address in I/O space. */
static void gas(uint8_t *p, uint32_t port, uint8_t bits)
{
	p[0] = 1;
	p[1] = bits;
	put64(p + 4, port);
}

/* [ACPI 3.0, "Fixed ACPI Description Table (FADT)"] */
static uint8_t *make_fadt(struct acpi_tables *t, const uint8_t *facs, const uint8_t *dsdt)
{
	uint8_t *p = append(t, FADT_BYTES);

	pointer(t, p + 36, 4, facs);
	pointer(t, p + 40, 4, dsdt);
	put16(p + 46, PC_ACPI_SCI_IRQ);
	put32(p + 48, PC_ACPI_SMI_CMD);
	p[52] = 0xF1;			/* ACPI_ENABLE */
	p[53] = 0xF0;			/* ACPI_DISABLE */
	put32(p + 56, PC_ACPI_BASE);
	put32(p + 64, PC_ACPI_BASE + 4);
	put32(p + 76, PC_ACPI_BASE + 8);
	p[88] = 4;			/* PM1_EVT_LEN */
	p[89] = 2;			/* PM1_CNT_LEN */
	p[91] = 4;			/* PM_TMR_LEN */
	put16(p + 96, 0xFFF);		/* no C2, no C3 */
	put16(p + 98, 0xFFF);
	p[106] = 0;			/* the RTC has no date alarm */
	p[108] = 0x32;			/* CMOS index of the century */
	put16(p + 109, 3);		/* legacy devices; 8042 */
	/* WBINVD, PROC_C1, no sleep button, no wake by RTC in the fixed registers, reset register */
	put32(p + 112, BIT(0) | BIT(2) | BIT(5) | BIT(6) | BIT(10));
	gas(p + 116, PC_RESET_PORT, 8);
	p[128] = PC_RESET_VALUE;
	pointer(t, p + 140, 8, dsdt);
	gas(p + 148, PC_ACPI_BASE, 32);
	gas(p + 172, PC_ACPI_BASE + 4, 16);
	gas(p + 208, PC_ACPI_BASE + 8, 32);
	header(t, p, "FACP", FADT_BYTES, 3);
	return p;
}

/* [ACPI 3.0, "Multiple APIC Description Table (MADT)"] */
static uint8_t *make_madt(struct acpi_tables *t)
{
	static const uint8_t entries[] = {
		0, 8, 0, 0, 1, 0, 0, 0,			/* processor 0, local APIC 0, enabled */
		1, 12, 0, 0, 0x00, 0x00, 0xC0, 0xFE, 0, 0, 0, 0,	/* I/O APIC 0 at FEC00000h, from interrupt 0 */
		2, 10, 0, 0, 2, 0, 0, 0, 0, 0,		/* ISA 0 (timer) is input 2 */
		2, 10, 0, 5, 5, 0, 0, 0, 0x0D, 0,	/* what PCI is routed to: level, active high */
		2, 10, 0, 9, 9, 0, 0, 0, 0x0D, 0,
		2, 10, 0, 10, 10, 0, 0, 0, 0x0D, 0,
		2, 10, 0, 11, 11, 0, 0, 0, 0x0D, 0,
		4, 6, 0xFF, 0, 0, 1,			/* LINT1 of every processor is NMI */
	};
	uint32_t len = HEADER_BYTES + 8 + sizeof(entries);
	uint8_t *p = append(t, len);

	put32(p + 36, LAPIC_BASE);
	put32(p + 40, 1);			/* there are 8259As too */
	memcpy(p + 44, entries, sizeof(entries));
	header(t, p, "APIC", len, 1);
	return p;
}

/* [HPET 1.0a, "The ACPI 2.0 HPET Description Table"] */
static uint8_t *make_hpet(struct acpi_tables *t)
{
	uint8_t *p = append(t, 56);

	put32(p + 36, HPET_BLOCK_ID);
	p[41] = 64;			/* in memory; width of a register */
	put64(p + 44, HPET_BASE);
	put16(p + 53, 0x80);		/* the least period between two interrupts, in ticks */
	header(t, p, "HPET", 56, 1);
	return p;
}

void acpi_tables_build(struct acpi_tables *t, uint64_t ram_bytes, bool hpet)
{
	uint32_t root_bytes = HEADER_BYTES + (hpet ? 12 : 8);

	memset(t, 0, sizeof(*t));
	uint8_t *facs = append(t, FACS_BYTES);
	memcpy(facs, "FACS", 4);
	put32(facs + 4, FACS_BYTES);
	facs[32] = 1;				/* version */

	uint8_t *dsdt = make_dsdt(t, ram_bytes);
	uint8_t *fadt = make_fadt(t, facs, dsdt);
	uint8_t *madt = make_madt(t);
	uint8_t *timers = hpet ? make_hpet(t) : NULL;
	uint8_t *rsdt = append(t, root_bytes);
	pointer(t, rsdt + 36, 4, fadt);
	pointer(t, rsdt + 40, 4, madt);
	if (timers)
		pointer(t, rsdt + 44, 4, timers);
	header(t, rsdt, "RSDT", root_bytes, 1);
	t->rsdt = offset(t, rsdt);

	memcpy(t->rsdp, "RSD PTR ", 8);
	memcpy(t->rsdp + 9, "PLEX86", 6);
	put32(t->rsdp + 16, t->rsdt);
}

void acpi_tables_load(struct phys *phys, uint64_t ram_bytes, bool hpet)
{
	struct acpi_tables tables, *t = &tables;
	uint32_t base = boot_ram_end(ram_bytes);

	acpi_tables_build(t, ram_bytes, hpet);
	for (unsigned i = 0; i < t->npointers; i++) {
		uint8_t *p = t->bytes + t->pointer[i].at;
		put32(p, get32(p) + base);
	}
	for (unsigned i = 0; i < t->ntables; i++)
		t->bytes[t->table[i].at + 9] = acpi_checksum(t->bytes + t->table[i].at, t->table[i].len);
	put32(t->rsdp + 16, base + t->rsdt);
	t->rsdp[8] = acpi_checksum(t->rsdp, sizeof(t->rsdp));
	phys_write(phys, base, t->bytes, t->len);
	phys_write(phys, BOOT_RSDP, t->rsdp, sizeof(t->rsdp));
}
