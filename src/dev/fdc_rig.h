/* For tests of the floppy controller: a drive with a disk in memory, a DMA channel, and the CPU's side. */
#ifndef PLEX86_DEV_FDC_RIG_H
#define PLEX86_DEV_FDC_RIG_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dev/fdc.h"
#include "tests/test.h"

struct rig {
	struct fdc fdc;
	struct disk disk;
	uint8_t bytes[1440 * 1024];
	uint8_t mem[65536];
	size_t mem_at, dma_left;	/* what the DMA channel still moves before TC */
	bool to_memory, irq;
	unsigned flushes;
	int error;
	bool later;			/* a request waits for drain() */
	struct disk_request *pending;
};

static inline void submit(struct disk *disk, struct disk_request *req)
{
	struct rig *r = disk->arg;

	if (r->later) {
		r->pending = req;
		return;
	}
	req->error = r->error;
	if (req->op == DISK_READ)
		memcpy(req->buf, r->bytes + req->offset, req->len);
	else if (req->op == DISK_WRITE)
		memcpy(r->bytes + req->offset, req->buf, req->len);
	else
		r->flushes++;
	req->done(req);
}

static inline void drain(struct disk *disk)
{
	struct rig *r = disk->arg;
	struct disk_request *req = r->pending;

	r->later = false;
	r->pending = NULL;
	if (req)
		submit(disk, req);
}

static inline void set_irq(void *arg, bool level) { ((struct rig *)arg)->irq = level; }

static inline size_t dma(void *arg, void *buf, size_t len, bool *tc)
{
	struct rig *r = arg;
	size_t n = MIN(len, r->dma_left);

	if (r->to_memory)
		memcpy(r->mem + r->mem_at, buf, n);
	else
		memcpy(buf, r->mem + r->mem_at, n);
	r->mem_at += n;
	r->dma_left -= n;
	*tc = n > 0 && r->dma_left == 0;
	return n;
}

static inline void cmd(struct rig *r, const char *bytes, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		CHECK_EQ(fdc_read(&r->fdc, 4) & 0xC0, 0x80);
		fdc_write(&r->fdc, 5, bytes[i]);
	}
}

static inline unsigned results(struct rig *r, uint8_t *out)
{
	unsigned n = 0;

	while ((fdc_read(&r->fdc, 4) & 0xC0) == 0xC0)
		out[n++] = fdc_read(&r->fdc, 5);
	return n;
}

/* A command that moves sectors: nine bytes, and seven of its result. */
static inline void transfer(struct rig *r, const char *bytes, uint8_t *out)
{
	cmd(r, bytes, 9);
	CHECK_EQ(results(r, out), 7);
}

/* SENSE INTERRUPT: how many bytes its result has. */
static inline unsigned sense(struct rig *r, uint8_t *out)
{
	cmd(r, "\x08", 1);
	return results(r, out);
}

static inline struct rig *rig_new(uint64_t size)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct fdc_host host = { r, set_irq, dma };
	uint8_t out[16];

	for (unsigned i = 0; i < sizeof(r->bytes); i++)
		r->bytes[i] = i / 512 * 3 + i;
	r->disk = (struct disk){ .size_bytes = size, .submit = submit, .drain = drain, .arg = r };
	fdc_init(&r->fdc, &host);
	fdc_attach(&r->fdc, 0, &r->disk);
	fdc_write(&r->fdc, 2, 0x1C);			/* run, DMA gate, motor of drive 0 */
	CHECK(r->irq);
	for (unsigned i = 0; i < 4; i++) {
		CHECK_EQ(sense(r, out), 2);
		CHECK_EQ(out[0], 0xC0 | i);
	}
	CHECK(!r->irq);
	fdc_write(&r->fdc, 7, fdc_format_of(size)->rate);
	cmd(r, "\x03\xDF\x02", 3);
	return r;
}

#endif
