/*
 * SMBIOS tables.		[SMBIOS 2.8]
 *
 * A structure is a formatted area, whose strings are numbers, and the strings after it, the first being 1.
 * Left out: caches, slots, ports, probes: nobody chooses code by them.
 */
#include "boot/smbios.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "boot/acpi_tables.h"
#include "boot/boot.h"

/* Strings that the user can set: type, property, what it is without him, and where its number goes. */
static const struct {
	uint8_t type;
	const char *name, *usual;
	uint8_t at;
} strings[] = {
	{ 0, "vendor", "plex86", 4 }, { 0, "version", PLEX86_VERSION, 5 }, { 0, "date", "11/20/2026", 8 },
	{ 1, "manufacturer", "plex86", 4 }, { 1, "product", "PC (i440FX and PIIX)", 5 }, { 1, "version", PLEX86_VERSION, 6 },
	{ 1, "serial", NULL, 7 }, { 1, "sku", NULL, 25 }, { 1, "family", NULL, 26 },
	{ 2, "manufacturer", "plex86", 4 }, { 2, "product", "PC (i440FX and PIIX)", 5 }, { 2, "version", PLEX86_VERSION, 6 },
	{ 2, "serial", NULL, 7 }, { 2, "asset", NULL, 8 }, { 2, "location", NULL, 10 },
	{ 3, "manufacturer", "plex86", 4 }, { 3, "version", PLEX86_VERSION, 6 }, { 3, "serial", NULL, 7 }, { 3, "asset", NULL, 8 },
	{ 3, "sku", NULL, 21 },
	{ 4, "sock_pfx", "CPU 0", 4 }, { 4, "manufacturer", "plex86", 7 }, { 4, "version", PLEX86_VERSION, 16 },
	{ 4, "serial", NULL, 32 }, { 4, "asset", NULL, 33 }, { 4, "part", NULL, 34 },
	{ 17, "loc_pfx", "DIMM 0", 16 }, { 17, "bank", NULL, 17 }, { 17, "manufacturer", "plex86", 23 }, { 17, "serial", NULL, 24 },
	{ 17, "asset", NULL, 25 }, { 17, "part", NULL, 26 },
};
static_assert(ARRAY_LEN(strings) <= SMBIOS_MAX_STRINGS, "the configuration holds one of each");

bool smbios_parse_uuid(const char *text, uint8_t uuid[16])
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	static const char digits[] = "0123456789abcdef";
	unsigned n = 0;

	if (strlen(text) != sizeof(form) - 1)
		return false;
	for (unsigned i = 0; form[i]; i++) {
		const char *d = strchr(digits, text[i] >= 'A' && text[i] <= 'F' ? text[i] + 32 : text[i]);

		if (form[i] == '-' ? text[i] != '-' : d == NULL)
			return false;
		if (form[i] == '-')
			continue;
		uuid[n / 2] = (uint8_t)(n % 2 ? uuid[n / 2] | (d - digits) : (d - digits) << 4);
		n++;
	}
	return true;
}

int smbios_set(struct smbios_config *cfg, unsigned type, const char *name, const char *value, struct error *err)
{
	if (type == 1 && strcmp(name, "uuid") == 0) {
		cfg->uuid_given = smbios_parse_uuid(value, cfg->uuid);
		return cfg->uuid_given ? 0 : error_set(err, -EINVAL, "-smbios uuid=%s: it is 32 hexadecimal digits as in "
		    "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", value);
	}
	if (type == 11 && strcmp(name, "value") == 0) {
		if (cfg->noem == SMBIOS_OEM_STRINGS)
			return error_set(err, -EINVAL, "-smbios type=11: at most %u strings", SMBIOS_OEM_STRINGS);
		cfg->oem[cfg->noem++] = value;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
		if (strings[i].type == type && strcmp(strings[i].name, name) == 0) {
			cfg->string[i] = value;
			cfg->bios_given |= type == 0;
			cfg->board_given |= type == 2;
			return 0;
		}
	}
	return error_set(err, -EINVAL, "-smbios type=%u: a property '%s' cannot be set", type, name);
}

/* --- structures --- */

/* Room for one at the end; NULL: there is none. */
static uint8_t *begin(struct smbios *s, uint8_t type, unsigned len)
{
	static const uint8_t handle_of[] = { [16] = 0x10, [17] = 0x11, [19] = 0x13 };
	uint8_t *p = s->tables + s->len;

	if (s->len + len + 2 > sizeof(s->tables))
		return NULL;
	p[0] = type;
	p[1] = (uint8_t)len;
	put16(p + 2, type < sizeof(handle_of) && handle_of[type] ? handle_of[type] << 8 : type << 8);
	return p;
}

/* One more string of the structure p; its number, or 0: there is no room, or no text. */
static uint8_t add_string(struct smbios *s, const uint8_t *p, uint32_t *end, uint8_t *n, const char *text)
{
	uint32_t at = *end ? *end : (uint32_t)(p - s->tables) + p[1];
	size_t bytes = text ? strlen(text) + 1 : 0;

	if (bytes < 2 || at + bytes + 1 > sizeof(s->tables))
		return 0;
	memcpy(s->tables + at, text, bytes);
	*end = at + (uint32_t)bytes;
	return ++*n;
}

/* The strings of the structure, as far as there are any, and the end of it. */
static void finish(struct smbios *s, const struct smbios_config *cfg, uint8_t *p)
{
	uint32_t end = 0, start = s->len;
	uint8_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		if (strings[i].type == p[0])
			p[strings[i].at] = add_string(s, p, &end, &n, cfg->string[i] ? cfg->string[i] : strings[i].usual);
	for (unsigned i = 0; p[0] == 11 && i < cfg->noem; i++)
		p[4] += add_string(s, p, &end, &n, cfg->oem[i]) != 0;
	if (end == 0) {			/* no string at all: two zeros */
		end = start + p[1];
		s->tables[end++] = 0;
	}
	s->tables[end++] = 0;
	s->len = end;
	s->count++;
	s->longest = MAX(s->longest, end - start);
}

/* The first three fields of a UUID are numbers, and stand low byte first. [SMBIOS 2.8 "System — UUID"] */
static void put_uuid(uint8_t *p, const uint8_t uuid[16])
{
	static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

	for (unsigned i = 0; i < 16; i++)
		p[i] = uuid[order[i]];
}

static void fill_bios(uint8_t *p)
{
	put16(p + 6, 0xE800);		/* starting segment */
	p[9] = 0;			/* ROM: 64 KiB */
	put32(p + 10, BIT(3));		/* its characteristics are not given */
	p[19] = BIT(2) | BIT(4);	/* the tables describe a virtual machine */
	p[20] = p[21] = 0;
	p[22] = p[23] = 0xFF;		/* no embedded controller */
}

static void fill_chassis(uint8_t *p)
{
	p[5] = 1;			/* "other"; states of boot, power supply, temperature: safe; security: unknown */
	p[9] = p[10] = p[11] = 3;
	p[12] = 2;
}

static void fill_processor(uint8_t *p)
{
	p[5] = 3;			/* central processor */
	p[6] = 1;			/* family: other */
	p[24] = 0x41;			/* in its socket, enabled */
	p[25] = 1;
	put16(p + 26, 0xFFFF);		/* caches: not said here */
	put16(p + 28, 0xFFFF);
	put16(p + 30, 0xFFFF);
	p[35] = p[36] = p[37] = 1;	/* cores, enabled, threads */
	put16(p + 40, 1);
}

static void fill_memory_array(uint8_t *p, uint64_t ram_bytes)
{
	p[4] = 1;
	p[5] = 3;			/* system memory */
	p[6] = 3;			/* no error correction */
	put32(p + 7, (uint32_t)(ram_bytes >> 10));
	put16(p + 11, 0xFFFE);
	put16(p + 13, 1);
}

static void fill_memory_device(uint8_t *p, uint64_t ram_bytes)
{
	put16(p + 4, 0x1000);		/* of that array */
	put16(p + 6, 0xFFFE);
	put16(p + 8, 0xFFFF);		/* widths: unknown */
	put16(p + 10, 0xFFFF);
	put16(p + 12, (uint32_t)(ram_bytes >> 20));
	p[14] = 9;			/* DIMM */
	p[18] = 7;			/* RAM */
	put16(p + 19, BIT(1));
}

static void fill_mapped_address(uint8_t *p, uint64_t ram_bytes)
{
	put32(p + 4, 0);
	put32(p + 8, (uint32_t)((ram_bytes >> 10) - 1));
	put16(p + 12, 0x1000);
	p[14] = 1;
}

int smbios_build(struct smbios *s, const struct smbios_config *cfg, uint64_t ram_bytes, bool bios)
{
	static const struct { uint8_t type, len; } kinds[] = {
		{ 0, 24 }, { 1, 27 }, { 2, 15 }, { 3, 22 }, { 4, 42 }, { 11, 5 }, { 16, 23 }, { 17, 40 }, { 19, 31 }, { 32, 11 }, { 127, 4 },
	};

	memset(s, 0, sizeof(*s));
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		uint8_t type = kinds[i].type;

		if ((type == 0 && !bios && !cfg->bios_given) || (type == 2 && !cfg->board_given) || (type == 11 && cfg->noem == 0))
			continue;
		uint8_t *p = begin(s, type, kinds[i].len);
		if (p == NULL)
			return -E2BIG;
		switch (type) {
		case 0: fill_bios(p); break;
		case 1:
			put_uuid(p + 8, cfg->uuid);
			p[24] = 6;		/* woken by the power switch */
			break;
		case 2: p[9] = 1; put16(p + 11, 0x0300); p[13] = 10; break;	/* hosting; its chassis; a motherboard */
		case 3: fill_chassis(p); break;
		case 4: fill_processor(p); break;
		case 16: fill_memory_array(p, ram_bytes); break;
		case 17: fill_memory_device(p, ram_bytes); break;
		case 19: fill_mapped_address(p, ram_bytes); break;
		}
		finish(s, cfg, p);
	}
	uint8_t *e = s->entry;
	memcpy(e, "_SM_", 4);
	e[5] = SMBIOS_ENTRY_BYTES;
	e[6] = 2;
	e[7] = 8;
	put16(e + 8, s->longest);
	memcpy(e + 16, "_DMI_", 5);
	put16(e + 22, s->len);
	put16(e + 28, s->count);
	e[30] = 0x28;
	return 0;
}

void smbios_load(struct smbios *s, struct phys *phys, uint32_t entry_addr, uint32_t tables_addr)
{
	uint8_t *e = s->entry;

	put32(e + 24, tables_addr);
	e[21] = e[4] = 0;
	e[21] = acpi_checksum(e + 16, 15);
	e[4] = acpi_checksum(e, SMBIOS_ENTRY_BYTES);
	phys_write(phys, tables_addr, s->tables, s->len);
	phys_write(phys, entry_addr, e, SMBIOS_ENTRY_BYTES);
}
