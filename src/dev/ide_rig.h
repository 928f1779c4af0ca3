/* For tests of IDE: a disk and a CD-ROM drive with media in memory, and the host's side of the cable. */
#ifndef PLEX86_DEV_IDE_RIG_H
#define PLEX86_DEV_IDE_RIG_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dev/ide.h"
#include "tests/test.h"

#define SECTORS 1000u

/* A medium in memory, which completes at once or when told, and can have one bad sector. */
struct medium {
	struct disk disk;
	uint8_t bytes[SECTORS * IDE_SECTOR];
	struct disk_request *pending;
	bool later;
	int64_t bad_sector;		/* -1: none */
	int bad_error;
	unsigned flushes, writes;
};

struct rig {
	struct ide ide;
	struct medium hd, cd;
	uint8_t ram[1 << 20];
	bool irq[2];
	unsigned irqs;
};

static inline void complete(struct medium *m, struct disk_request *req)
{
	int64_t first = req->offset / IDE_SECTOR, n = req->len / IDE_SECTOR;

	req->error = 0;
	if (req->op == DISK_FLUSH)
		m->flushes++;
	else if (m->bad_sector >= first && m->bad_sector < first + n)
		req->error = m->bad_error;
	else if (req->op == DISK_READ)
		memcpy(req->buf, m->bytes + req->offset, req->len);
	else
		memcpy(m->bytes + req->offset, req->buf, req->len);
	m->writes += req->op == DISK_WRITE;
	req->done(req);
}

static inline void submit(struct disk *disk, struct disk_request *req)
{
	struct medium *m = disk->arg;

	assert_true(req->offset + req->len <= disk->size_bytes);
	if (m->later)
		m->pending = req;
	else
		complete(m, req);
}

static inline void finish(struct medium *m)
{
	struct disk_request *req = m->pending;

	m->pending = NULL;
	complete(m, req);
}

static inline void drain(struct disk *disk)
{
	struct medium *m = disk->arg;

	while (m->pending != NULL)
		finish(m);
}

static inline void set_irq(void *arg, unsigned channel, bool level)
{
	struct rig *r = arg;

	r->irqs += level && !r->irq[channel];
	r->irq[channel] = level;
}

static inline void mem_read(void *arg, gpa_t gpa, void *buf, size_t len)
{
	memcpy(buf, ((struct rig *)arg)->ram + gpa, len);
}

static inline void mem_write(void *arg, gpa_t gpa, const void *buf, size_t len)
{
	memcpy(((struct rig *)arg)->ram + gpa, buf, len);
}

static inline void medium_init(struct medium *m)
{
	m->disk = (struct disk){ .size_bytes = sizeof(m->bytes), .submit = submit, .drain = drain, .arg = m };
	m->bad_sector = -1;
	m->bad_error = -EIO;
	for (unsigned i = 0; i < sizeof(m->bytes); i++)
		m->bytes[i] = i / IDE_SECTOR * 7 + i % 251;
}

/* hd: primary master; cd: secondary master. */
static inline struct rig *rig_new(void)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct ide_host host = { r, set_irq, mem_read, mem_write, NULL };

	medium_init(&r->hd);
	medium_init(&r->cd);
	ide_init(&r->ide, &host);
	ide_attach(&r->ide, 0, 0, IDE_DISK, &r->hd.disk, NULL);
	ide_attach(&r->ide, 1, 0, IDE_CDROM, &r->cd.disk, NULL);
	return r;
}

static inline void out(struct rig *r, unsigned reg, uint8_t val)
{
	ide_write(&r->ide.channel[0], reg, 1, val);
}

static inline uint8_t in(struct rig *r, unsigned reg)
{
	return ide_read(&r->ide.channel[0], reg, 1);
}

static inline void lba28(struct rig *r, uint32_t lba, uint8_t count, uint8_t command)
{
	out(r, 2, count);
	out(r, 3, lba);
	out(r, 4, lba >> 8);
	out(r, 5, lba >> 16);
	out(r, 6, 0xE0 | lba >> 24);
	out(r, 7, command);
}

static inline void lba48(struct rig *r, uint64_t lba, uint16_t count, uint8_t command)
{
	out(r, 2, count >> 8);
	out(r, 2, count);
	out(r, 3, lba >> 24);
	out(r, 3, lba);
	out(r, 4, lba >> 32);
	out(r, 4, lba >> 8);
	out(r, 5, lba >> 40);
	out(r, 5, lba >> 16);
	out(r, 6, 0x40);
	out(r, 7, command);
}

static inline void read_block(struct ide_channel *ch, uint8_t *buf, unsigned len)
{
	for (unsigned i = 0; i < len; i += 2) {
		unsigned v = ide_read(ch, 0, 2);
		buf[i] = v;
		if (i + 1 < len)
			buf[i + 1] = v >> 8;
	}
}

static inline void prd(struct rig *r, unsigned at, uint32_t base, uint32_t count, bool last)
{
	uint32_t e[2] = { base, count | (last ? 0x80000000 : 0) };

	memcpy(r->ram + at, e, 8);
}

static inline unsigned packet(struct rig *r, const uint8_t *p, unsigned limit, uint8_t *reply, unsigned max)
{
	struct ide_channel *ch = &r->ide.channel[1];
	unsigned got = 0;

	ide_write(ch, 6, 1, 0xA0);
	ide_write(ch, 1, 1, 0);
	ide_write(ch, 4, 1, limit);
	ide_write(ch, 5, 1, limit >> 8);
	ide_write(ch, 7, 1, 0xA0);
	CHECK_EQ(ide_read(ch, 2, 1), 1);		/* reason: command */
	for (unsigned i = 0; i < 12; i += 2)
		ide_write(ch, 0, 2, p[i] | p[i + 1] << 8);
	while (ide_read(ch, 7, 1) & IDE_DRQ) {
		unsigned n = ide_read(ch, 4, 1) | ide_read(ch, 5, 1) << 8;
		CHECK_EQ(ide_read(ch, 2, 1), 2);	/* reason: data in */
		CHECK(n > 0 && n <= limit && got + n <= max);
		read_block(ch, reply + got, n);
		got += n;
	}
	CHECK_EQ(ide_read(ch, 2, 1), 3);
	return got;
}

static inline unsigned sense(struct rig *r)
{
	uint8_t p[12] = { 0x03, 0, 0, 0, 18 }, b[18];

	CHECK_EQ(packet(r, p, 0xFFFE, b, 18), 18);
	return b[2] << 16 | b[12] << 8 | b[13];
}

static inline bool failed(struct rig *r)
{
	return ide_read_alternate(&r->ide.channel[1]) & IDE_ERR;
}

#endif
