/*
 * Firmware configuration.				[QEMU "QEMU Firmware Configuration (fw_cfg) Device"]
 *
 * Left out: writable items; the data port's long obsolete writes.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "dev/fw_cfg.h"
#include "util/be.h"

enum { DMA_ERROR = BIT(0), DMA_READ = BIT(1), DMA_SKIP = BIT(2), DMA_SELECT = BIT(3), DMA_WRITE = BIT(4) };

static struct fw_cfg_item *new_item(struct fw_cfg *fw, uint16_t key)
{
	assert(fw->nitems < FW_CFG_MAX_ITEMS);
	struct fw_cfg_item *item = &fw->item[fw->nitems++];
	*item = (struct fw_cfg_item){ .key = key };
	return item;
}

void fw_cfg_add(struct fw_cfg *fw, uint16_t key, const void *data, uint32_t len)
{
	struct fw_cfg_item *item = new_item(fw, key);

	item->data = data;
	item->len = len;
}

void fw_cfg_add_number(struct fw_cfg *fw, uint16_t key, uint64_t val, unsigned bytes)
{
	struct fw_cfg_item *item = new_item(fw, key);

	item->len = bytes;
	for (unsigned i = 0; i < bytes; i++)
		item->small[i] = val >> 8 * i;
}

void fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, uint32_t len)
{
	uint16_t key = FW_CFG_FILE_FIRST + fw->nfiles;
	struct fw_cfg_item *item = new_item(fw, key);
	uint8_t *entry = fw->directory + 4 + 64 * fw->nfiles++;

	assert(strlen(name) < sizeof(item->name));
	snprintf(item->name, sizeof(item->name), "%s", name);
	item->data = data;
	item->len = len;
	put_be32(fw->directory, fw->nfiles);
	put_be32(entry, len);
	entry[4] = key >> 8;
	entry[5] = key;
	memcpy(entry + 8, item->name, sizeof(item->name));
}

void fw_cfg_init(struct fw_cfg *fw)
{
	memset(fw, 0, sizeof(*fw));
	fw_cfg_add(fw, FW_CFG_SIGNATURE, "QEMU", 4);
	fw_cfg_add_number(fw, FW_CFG_ID, 3, 4);		/* traditional interface, DMA interface */
	fw_cfg_add(fw, FW_CFG_FILE_DIR, fw->directory, sizeof(fw->directory));
}

void fw_cfg_reset(struct fw_cfg *fw)
{
	fw->selected = 0;
	fw->at = 0;
	fw->dma_high = 0;
}

static const struct fw_cfg_item *find(const struct fw_cfg *fw, uint16_t key)
{
	for (unsigned i = 0; i < fw->nitems; i++)
		if (fw->item[i].key == key)
			return &fw->item[i];
	return NULL;
}

/* The next bytes of the selected item; past its end, and of no item, zeros. */
static void next_bytes(struct fw_cfg *fw, uint8_t *buf, size_t len)
{
	const struct fw_cfg_item *item = find(fw, fw->selected);
	size_t n = item == NULL || fw->at >= item->len ? 0 : MIN(len, item->len - fw->at);

	if (n > 0)
		memcpy(buf, (const uint8_t *)(item->data ? item->data : item->small) + fw->at, n);
	memset(buf + n, 0, len - n);
	fw->at += n;
}

/* Memory holds control, length, address, big-endian; control is written back: 0, or the error bit. */
static void dma(struct fw_cfg *fw, gpa_t gpa)
{
	uint8_t desc[16], buf[512];

	fw->mem_read(fw->arg, gpa, desc, sizeof(desc));
	uint32_t control = be32(desc), len = be32(desc + 4);
	gpa_t to = (gpa_t)be32(desc + 8) << 32 | be32(desc + 12);

	if (control & DMA_SELECT) {
		fw->selected = control >> 16;
		fw->at = 0;
	}
	const struct fw_cfg_item *item = find(fw, fw->selected);
	uint32_t left = item == NULL ? 0 : item->len - MIN(fw->at, item->len);
	uint32_t result = 0;
	if (control & DMA_WRITE) {
		result = DMA_ERROR;			/* nothing here may be written */
	} else if (control & DMA_READ) {
		/* What lies past the end is zero; a guest that asks for gigabytes of it gets 1 MiB. */
		len = MIN(len, left + (1u << 20));
		for (uint32_t n; len > 0; len -= n, to += n) {
			n = MIN(len, (uint32_t)sizeof(buf));
			next_bytes(fw, buf, n);
			fw->mem_write(fw->arg, to, buf, n);
		}
	} else if (control & DMA_SKIP) {
		fw->at += MIN(len, left);
	}
	put_be32(desc, result);
	fw->mem_write(fw->arg, gpa, desc, 4);
}

uint32_t fw_cfg_read(struct fw_cfg *fw, unsigned offset, unsigned size)
{
	static const char signature[] = "QEMU CFG";
	uint8_t b[4] = { 0 };

	if (offset == 1)
		next_bytes(fw, b, 1);
	for (unsigned i = 0; offset >= 4 && i < size && offset + i < 12; i++)
		b[i] = signature[offset + i - 4];
	return b[0] | b[1] << 8 | b[2] << 16 | (uint32_t)b[3] << 24;
}

void fw_cfg_write(struct fw_cfg *fw, unsigned offset, unsigned size, uint32_t val)
{
	if (offset == 0 && size == 2) {
		fw->selected = val;
		fw->at = 0;
	} else if (offset == 4 && size == 4) {
		fw->dma_high = __builtin_bswap32(val);
	} else if (offset == 8 && size == 4) {
		gpa_t gpa = (gpa_t)fw->dma_high << 32 | __builtin_bswap32(val);
		fw->dma_high = 0;
		dma(fw, gpa);
	}
}
