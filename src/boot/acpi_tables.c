/*
 * The few ACPI tables a direct boot takes: how to power off and reset, which legacy chips there are.
 *								[ACPI 3.0, chapters 5 and 20]
 * RSDP, RSDT, FADT, FACS, DSDT. The DSDT's AML is assembled here by hand: \_S5 and the devices of
 * \_SB that cannot be enumerated otherwise.
 * Left out: MADT (no APIC on the direct-boot board), the PCI root, thermal and power management.
 */
#include "boot/boot.h"

#include <assert.h>
#include <string.h>

#include "dev/pc.h"

enum { FADT_BYTES = 244, FACS_BYTES = 64 };

/* --- AML --- */

struct aml {
	uint8_t buf[1024];
	unsigned len;
};

static void aml_bytes(struct aml *a, const void *p, unsigned len)
{
	assert(a->len + len <= sizeof(a->buf));
	memcpy(a->buf + a->len, p, len);
	a->len += len;
}

static void aml_byte(struct aml *a, uint8_t b)
{
	aml_bytes(a, &b, 1);
}

/* op, PkgLength, body. PkgLength counts its own bytes: one up to 63, else two.	[ACPI 3.0, "Package Length Encoding"] */
static void aml_package(struct aml *a, const uint8_t *op, unsigned op_len, const struct aml *body)
{
	aml_bytes(a, op, op_len);
	if (body->len + 1 <= 63) {
		aml_byte(a, (uint8_t)(body->len + 1));
	} else {
		unsigned len = body->len + 2;
		aml_byte(a, (uint8_t)(0x40 | (len & 15)));
		aml_byte(a, (uint8_t)(len >> 4));
	}
	aml_bytes(a, body->buf, body->len);
}

/* DefName := NameOp NameString, then the object. */
static void aml_name(struct aml *a, const char *name)
{
	aml_byte(a, 0x08);
	aml_bytes(a, name, 4);
}

/* EISA id "PNP0501" packed: three letters in 5 bits each, then the digits; a DWordConst. */
static void aml_eisa_id(struct aml *a, const char *id)
{
	unsigned letters = (unsigned)(id[0] - 0x40) << 10 | (unsigned)(id[1] - 0x40) << 5 | (unsigned)(id[2] - 0x40);
	unsigned digits = 0;

	for (int i = 3; i < 7; i++)
		digits = digits << 4 | (unsigned)(id[i] <= '9' ? id[i] - '0' : id[i] - 'A' + 10);
	uint8_t b[5] = { 0x0C, (uint8_t)(letters >> 8), (uint8_t)letters, (uint8_t)(digits >> 8), (uint8_t)digits };
	aml_bytes(a, b, sizeof(b));
}

struct legacy_device {
	char name[5];
	char hid[8];
	uint8_t uid;			/* 0: no _UID */
	struct { uint16_t port; uint8_t len; } io[2];
	int irq;			/* -1: none */
};

static const struct legacy_device legacy_devices[] = {
	{ "RTC_", "PNP0B00", 0, { { 0x70, 2 } }, 8 },
	{ "KBD_", "PNP0303", 0, { { 0x60, 1 }, { 0x64, 1 } }, 1 },
	{ "MOU_", "PNP0F13", 0, { { 0, 0 } }, 12 },
	{ "COM1", "PNP0501", 1, { { 0x3F8, 8 } }, 4 },
	{ "COM2", "PNP0501", 2, { { 0x2F8, 8 } }, 3 },
};

/* _CRS: what the device uses.			[ACPI 3.0, "Resource Data Types for ACPI"] */
static void aml_resources(struct aml *dev, const struct legacy_device *d)
{
	static const uint8_t buffer_op = 0x11;
	struct aml res = { 0 }, body = { 0 };

	for (unsigned i = 0; i < ARRAY_LEN(d->io); i++) {
		if (d->io[i].len == 0)
			continue;
		uint8_t lo = (uint8_t)d->io[i].port, hi = (uint8_t)(d->io[i].port >> 8);
		uint8_t io[8] = { 0x47, 1, lo, hi, lo, hi, 1, d->io[i].len };	/* 16-bit decode, fixed */
		aml_bytes(&res, io, sizeof(io));
	}
	if (d->irq >= 0) {
		uint8_t irq[3] = { 0x22, (uint8_t)(1u << d->irq), (uint8_t)((1u << d->irq) >> 8) };
		aml_bytes(&res, irq, sizeof(irq));
	}
	aml_bytes(&res, "\x79", 2);		/* end tag, checksum 0: not given */
	aml_byte(&body, 0x0A);
	aml_byte(&body, (uint8_t)res.len);
	aml_bytes(&body, res.buf, res.len);
	aml_name(dev, "_CRS");
	aml_package(dev, &buffer_op, 1, &body);
}

static void aml_device(struct aml *a, const struct legacy_device *d)
{
	static const uint8_t device_op[2] = { 0x5B, 0x82 };
	struct aml body = { 0 };

	aml_bytes(&body, d->name, 4);
	aml_name(&body, "_HID");
	aml_eisa_id(&body, d->hid);
	if (d->uid) {
		aml_name(&body, "_UID");
		aml_byte(&body, 0x0A);
		aml_byte(&body, d->uid);
	}
	aml_name(&body, "_STA");
	aml_byte(&body, 0x0A);
	aml_byte(&body, 0x0F);		/* present, enabled, shown, working */
	aml_resources(&body, d);
	aml_package(a, device_op, sizeof(device_op), &body);
}

static void make_dsdt(struct aml *dsdt)
{
	static const uint8_t scope_op = 0x10, package_op = 0x12;
	struct aml s5 = { 0 }, sb = { 0 };

	/* \_S5: SLP_TYPa, SLP_TYPb and two reserved; small integers are BytePrefix, value. */
	aml_byte(&s5, 4);
	for (unsigned i = 0; i < 4; i++) {
		aml_byte(&s5, 0x0A);
		aml_byte(&s5, i < 2 ? PC_ACPI_S5_TYPE : 0);
	}
	aml_name(dsdt, "_S5_");
	aml_package(dsdt, &package_op, 1, &s5);

	aml_bytes(&sb, "\\_SB_", 5);
	for (unsigned i = 0; i < ARRAY_LEN(legacy_devices); i++)
		aml_device(&sb, &legacy_devices[i]);
	aml_package(dsdt, &scope_op, 1, &sb);
}

/* --- tables --- */

static uint8_t checksum(const uint8_t *p, unsigned len)
{
	uint8_t sum = 0;

	for (unsigned i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	return (uint8_t)-sum;
}

/* The 36 bytes every table begins with.		[ACPI 3.0, "System Description Table Header"] */
static void header(uint8_t *t, const char *signature, unsigned len, uint8_t revision)
{
	memcpy(t, signature, 4);
	put32(t + 4, len);
	t[8] = revision;
	t[9] = 0;
	memcpy(t + 10, "PLEX86", 6);
	memcpy(t + 16, "PLEX86PC", 8);
	put32(t + 24, 1);
	memcpy(t + 28, "PLEX", 4);
	put32(t + 32, 1);
	t[9] = checksum(t, len);
}

/* A generic address in I/O space. */
static void gas(uint8_t *p, uint32_t port, uint8_t bits)
{
	p[0] = 1;
	p[1] = bits;
	put64(p + 4, port);
}

/* [ACPI 3.0, "Fixed ACPI Description Table (FADT)"] */
static void make_fadt(uint8_t t[FADT_BYTES], uint32_t facs, uint32_t dsdt)
{
	put32(t + 36, facs);
	put32(t + 40, dsdt);
	put16(t + 46, PC_ACPI_SCI_IRQ);
	put32(t + 48, PC_ACPI_SMI_CMD);
	t[52] = 0xF1;			/* ACPI_ENABLE */
	t[53] = 0xF0;			/* ACPI_DISABLE */
	put32(t + 56, PC_ACPI_BASE);
	put32(t + 64, PC_ACPI_BASE + 4);
	put32(t + 76, PC_ACPI_BASE + 8);
	t[88] = 4;			/* PM1_EVT_LEN */
	t[89] = 2;			/* PM1_CNT_LEN */
	t[91] = 4;			/* PM_TMR_LEN */
	put16(t + 96, 0xFFF);		/* no C2, no C3 */
	put16(t + 98, 0xFFF);
	t[106] = 0;			/* the RTC has no date alarm */
	t[108] = 0x32;			/* CMOS index of the century */
	put16(t + 109, 3);		/* legacy devices; 8042 */
	/* WBINVD, PROC_C1, no sleep button, no wake by RTC in the fixed registers, reset register */
	put32(t + 112, BIT(0) | BIT(2) | BIT(5) | BIT(6) | BIT(10));
	gas(t + 116, PC_RESET_PORT, 8);
	t[128] = PC_RESET_VALUE;
	put64(t + 140, dsdt);
	gas(t + 148, PC_ACPI_BASE, 32);
	gas(t + 172, PC_ACPI_BASE + 4, 16);
	gas(t + 208, PC_ACPI_BASE + 8, 32);
	header(t, "FACP", FADT_BYTES, 3);
}

void acpi_tables_load(struct phys *phys, uint64_t ram_bytes)
{
	uint32_t base = boot_ram_end(ram_bytes);
	uint32_t facs_at = base, fadt_at = base + 0x100, rsdt_at = base + 0x200, dsdt_at = base + 0x300;
	uint8_t facs[FACS_BYTES] = "FACS", fadt[FADT_BYTES] = { 0 }, rsdt[40] = { 0 }, dsdt[36 + sizeof(struct aml)] = { 0 };
	uint8_t rsdp[20] = "RSD PTR ";
	struct aml aml = { 0 };

	put32(facs + 4, FACS_BYTES);
	facs[32] = 1;			/* version */
	make_fadt(fadt, facs_at, dsdt_at);
	put32(rsdt + 36, fadt_at);
	header(rsdt, "RSDT", sizeof(rsdt), 1);
	make_dsdt(&aml);
	memcpy(dsdt + 36, aml.buf, aml.len);
	header(dsdt, "DSDT", 36 + aml.len, 1);	/* revision 1: integers are 32 bits wide */
	memcpy(rsdp + 9, "PLEX86", 6);
	put32(rsdp + 16, rsdt_at);
	rsdp[8] = checksum(rsdp, sizeof(rsdp));

	phys_write(phys, facs_at, facs, sizeof(facs));
	phys_write(phys, fadt_at, fadt, sizeof(fadt));
	phys_write(phys, rsdt_at, rsdt, sizeof(rsdt));
	phys_write(phys, dsdt_at, dsdt, 36 + aml.len);
	phys_write(phys, BOOT_RSDP, rsdp, sizeof(rsdp));
}
