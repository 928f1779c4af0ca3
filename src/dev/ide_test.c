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

static void complete(struct medium *m, struct disk_request *req)
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

static void submit(struct disk *disk, struct disk_request *req)
{
	struct medium *m = disk->arg;

	assert_true(req->offset + req->len <= disk->size_bytes);
	if (m->later)
		m->pending = req;
	else
		complete(m, req);
}

static void finish(struct medium *m)
{
	struct disk_request *req = m->pending;

	m->pending = NULL;
	complete(m, req);
}

static void drain(struct disk *disk)
{
	struct medium *m = disk->arg;

	while (m->pending != NULL)
		finish(m);
}

static void set_irq(void *arg, unsigned channel, bool level)
{
	struct rig *r = arg;

	r->irqs += level && !r->irq[channel];
	r->irq[channel] = level;
}

static void mem_read(void *arg, gpa_t gpa, void *buf, size_t len)
{
	memcpy(buf, ((struct rig *)arg)->ram + gpa, len);
}

static void mem_write(void *arg, gpa_t gpa, const void *buf, size_t len)
{
	memcpy(((struct rig *)arg)->ram + gpa, buf, len);
}

static void medium_init(struct medium *m)
{
	m->disk = (struct disk){ .size_bytes = sizeof(m->bytes), .submit = submit, .drain = drain, .arg = m };
	m->bad_sector = -1;
	m->bad_error = -EIO;
	for (unsigned i = 0; i < sizeof(m->bytes); i++)
		m->bytes[i] = i / IDE_SECTOR * 7 + i % 251;
}

/* hd: primary master; cd: secondary master. */
static struct rig *rig_new(void)
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

static void out(struct rig *r, unsigned reg, uint8_t val)
{
	ide_write(&r->ide.channel[0], reg, 1, val);
}

static uint8_t in(struct rig *r, unsigned reg)
{
	return ide_read(&r->ide.channel[0], reg, 1);
}

static void lba28(struct rig *r, uint32_t lba, uint8_t count, uint8_t command)
{
	out(r, 2, count);
	out(r, 3, lba);
	out(r, 4, lba >> 8);
	out(r, 5, lba >> 16);
	out(r, 6, 0xE0 | lba >> 24);
	out(r, 7, command);
}

static void lba48(struct rig *r, uint64_t lba, uint16_t count, uint8_t command)
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

static void read_block(struct ide_channel *ch, uint8_t *buf, unsigned len)
{
	for (unsigned i = 0; i < len; i += 2) {
		unsigned v = ide_read(ch, 0, 2);
		buf[i] = v;
		if (i + 1 < len)
			buf[i + 1] = v >> 8;
	}
}

TEST(ide_identify_tells_size_and_model)		/* [ATA-6 "IDENTIFY DEVICE"] */
{
	struct rig *r = rig_new();
	uint8_t id[512], sum = 0;
	out(r, 6, 0xA0);
	out(r, 7, 0xEC);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC | IDE_DRQ);
	read_block(&r->ide.channel[0], id, 512);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC);
	CHECK_EQ(id[120] | id[121] << 8, SECTORS);
	CHECK_EQ(id[200] | id[201] << 8, SECTORS);
	CHECK_EQ(id[54], 'l');				/* "plex86": the bytes of each word are swapped */
	CHECK_EQ(id[55], 'p');
	for (unsigned i = 0; i < 512; i++)
		sum += id[i];
	CHECK_EQ(sum, 0);
	free(r);
}

TEST(ide_an_absent_drive_reads_zero_and_does_nothing)
{
	struct rig *r = rig_new();
	out(r, 6, 0xB0);
	CHECK_EQ(in(r, 7), 0);
	out(r, 2, 0x55);
	CHECK_EQ(in(r, 2), 0);
	out(r, 7, 0xEC);
	CHECK_EQ(r->irqs, 0);
	free(r);
}

TEST(ide_pio_read_interrupts_once_a_sector)
{
	struct rig *r = rig_new();
	uint8_t buf[512];
	lba28(r, 5, 3, 0x20);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(r->irqs, i + 1);
		CHECK(in(r, 7) & IDE_DRQ);
		CHECK(!r->irq[0]);			/* reading the status took it back */
		read_block(&r->ide.channel[0], buf, 512);
		assert_memory_equal(buf, r->hd.bytes + (5 + i) * 512, 512);
	}
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC);
	CHECK_EQ(r->irqs, 3);
	free(r);
}

TEST(ide_read_multiple_interrupts_once_a_block_and_ends_short)
{
	struct rig *r = rig_new();
	uint8_t buf[512 * 4];
	out(r, 2, 4);
	out(r, 6, 0xE0);
	out(r, 7, 0xC6);
	in(r, 7);
	unsigned before = r->irqs;
	lba28(r, 0, 10, 0xC4);
	CHECK(in(r, 7) & IDE_DRQ);
	read_block(&r->ide.channel[0], buf, 2048);
	CHECK(in(r, 7) & IDE_DRQ);
	read_block(&r->ide.channel[0], buf, 2048);
	CHECK(in(r, 7) & IDE_DRQ);
	read_block(&r->ide.channel[0], buf, 1024);
	assert_memory_equal(buf, r->hd.bytes + 8 * 512, 1024);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC);
	CHECK_EQ(r->irqs - before, 3);
	free(r);
}

TEST(ide_pio_write_reaches_the_medium_before_the_interrupt)
{
	struct rig *r = rig_new();
	r->hd.later = true;
	lba28(r, 9, 1, 0x30);
	CHECK_EQ(r->irqs, 0);				/* the first block is not announced by one */
	CHECK(in(r, 7) & IDE_DRQ);
	for (unsigned i = 0; i < 256; i++)
		ide_write(&r->ide.channel[0], 0, 2, 0xBEEF);
	CHECK_EQ(in(r, 7) & IDE_BSY, IDE_BSY);
	CHECK_EQ(r->irqs, 0);
	finish(&r->hd);
	CHECK_EQ(r->irqs, 1);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC);
	CHECK_EQ(r->hd.bytes[9 * 512], 0xEF);
	free(r);
}

TEST(ide_lba48_reads_the_high_order_bytes_written_first)
{
	struct rig *r = rig_new();
	uint8_t buf[512];
	lba48(r, 999, 1, 0x24);
	read_block(&r->ide.channel[0], buf, 512);
	assert_memory_equal(buf, r->hd.bytes + 999 * 512, 512);
	lba48(r, 0x0001000003E7, 1, 0x24);		/* the same low 24 bits */
	CHECK(in(r, 7) & IDE_ERR);
	CHECK_EQ(in(r, 1), IDE_IDNF);
	free(r);
}

TEST(ide_hob_bit_shows_the_previous_contents)
{
	struct rig *r = rig_new();
	out(r, 6, 0xE0);
	out(r, 2, 0x12);
	out(r, 2, 0x34);
	CHECK_EQ(in(r, 2), 0x34);
	ide_write_control(&r->ide.channel[0], IDE_CONTROL_HOB);
	CHECK_EQ(in(r, 2), 0x12);
	out(r, 3, 0);					/* a write clears HOB */
	CHECK_EQ(in(r, 2), 0x34);
	free(r);
}

TEST(ide_out_of_range_is_id_not_found_and_moves_nothing)
{
	struct rig *r = rig_new();
	lba28(r, SECTORS - 1, 2, 0x20);
	CHECK(in(r, 7) & IDE_ERR);
	CHECK_EQ(in(r, 1), IDE_IDNF);
	lba28(r, SECTORS, 1, 0xCA);
	CHECK(in(r, 7) & IDE_ERR);
	CHECK_EQ(r->hd.writes, 0);
	free(r);
}

TEST(ide_chs_addresses_translate_with_the_geometry_in_force)
{
	struct rig *r = rig_new();
	uint8_t buf[512];
	out(r, 2, 17);
	out(r, 6, 0xA3);
	out(r, 7, 0x91);				/* 4 heads, 17 sectors */
	out(r, 2, 1);
	out(r, 3, 2);
	out(r, 4, 3);
	out(r, 5, 0);
	out(r, 6, 0xA1);
	out(r, 7, 0x20);
	read_block(&r->ide.channel[0], buf, 512);
	assert_memory_equal(buf, r->hd.bytes + ((3 * 4 + 1) * 17 + 1) * 512, 512);
	out(r, 2, 1);
	out(r, 3, 0);					/* there is no sector 0 */
	out(r, 7, 0x20);
	CHECK_EQ(in(r, 1), IDE_IDNF);
	free(r);
}

static void prd(struct rig *r, unsigned at, uint32_t base, uint32_t count, bool last)
{
	uint32_t e[2] = { base, count | (last ? 0x80000000 : 0) };

	memcpy(r->ram + at, e, 8);
}

TEST(ide_dma_read_scatters_through_the_table)	/* [Bus Master IDE "Physical Region Descriptor"] */
{
	struct rig *r = rig_new();
	prd(r, 0x1000, 0x4000, 512, false);
	prd(r, 0x1008, 0x8000, 1024, true);
	ide_bm_write(&r->ide, 4, 4, 0x1000);
	lba28(r, 20, 3, 0xC8);
	CHECK_EQ(r->irqs, 0);
	ide_bm_write(&r->ide, 0, 1, 9);
	CHECK_EQ(r->irqs, 1);
	CHECK_EQ(ide_bm_read(&r->ide, 2, 1), 4);	/* interrupt, and no longer active */
	assert_memory_equal(r->ram + 0x4000, r->hd.bytes + 20 * 512, 512);
	assert_memory_equal(r->ram + 0x8000, r->hd.bytes + 21 * 512, 1024);
	ide_bm_write(&r->ide, 2, 1, 4);
	CHECK_EQ(ide_bm_read(&r->ide, 2, 1), 0);
	free(r);
}

TEST(ide_dma_write_gathers_and_an_overlong_table_stays_active)
{
	struct rig *r = rig_new();
	prd(r, 0x1000, 0x4000, 4096, true);
	memset(r->ram + 0x4000, 0x77, 4096);
	ide_bm_write(&r->ide, 4, 4, 0x1000);
	ide_bm_write(&r->ide, 0, 1, 1);			/* the bus master may be started first */
	lba28(r, 30, 2, 0xCA);
	CHECK_EQ(ide_bm_read(&r->ide, 2, 1), 5);
	CHECK_EQ(r->hd.bytes[30 * 512], 0x77);
	CHECK_EQ(r->hd.bytes[32 * 512 - 1], 0x77);
	CHECK(r->hd.bytes[32 * 512] != 0x77 || r->hd.bytes[32 * 512 + 1] != 0x77);
	free(r);
}

TEST(ide_dma_table_too_short_stops_without_an_interrupt)
{
	struct rig *r = rig_new();
	prd(r, 0x1000, 0x4000, 512, true);
	ide_bm_write(&r->ide, 4, 4, 0x1000);
	lba28(r, 20, 2, 0xC8);
	ide_bm_write(&r->ide, 0, 1, 9);
	CHECK_EQ(r->irqs, 0);
	CHECK_EQ(ide_bm_read(&r->ide, 2, 1), 0);
	ide_write_control(&r->ide.channel[0], IDE_CONTROL_SRST);
	ide_write_control(&r->ide.channel[0], 0);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC);
	free(r);
}

TEST(ide_large_dma_read_goes_in_chunks)
{
	struct rig *r = rig_new();
	for (unsigned i = 0; i < 6; i++)
		prd(r, 0x1000 + 8 * i, 0x10000 + 0x10000 * i, 0, i == 5);	/* 0: 64 KiB */
	ide_bm_write(&r->ide, 4, 4, 0x1000);
	lba48(r, 100, 700, 0x25);
	ide_bm_write(&r->ide, 0, 1, 9);
	CHECK_EQ(r->irqs, 1);
	assert_memory_equal(r->ram + 0x10000, r->hd.bytes + 100 * 512, 700 * 512);
	free(r);
}

TEST(ide_read_error_names_the_sector_and_delivers_those_before)
{
	struct rig *r = rig_new();
	uint8_t buf[512];
	r->hd.bad_sector = 42;
	lba28(r, 40, 8, 0x20);
	read_block(&r->ide.channel[0], buf, 512);
	read_block(&r->ide.channel[0], buf, 512);
	assert_memory_equal(buf, r->hd.bytes + 41 * 512, 512);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC | IDE_ERR);
	CHECK_EQ(in(r, 1), IDE_UNC);
	CHECK_EQ(in(r, 3), 42);
	free(r);
}

TEST(ide_dma_write_error_is_a_device_fault_at_the_failing_sector)
{
	struct rig *r = rig_new();
	r->hd.bad_sector = 67;
	r->hd.bad_error = -ENOSPC;
	prd(r, 0x1000, 0x4000, 32 * 512, true);
	memset(r->ram + 0x4000, 0x33, 32 * 512);
	ide_bm_write(&r->ide, 4, 4, 0x1000);
	lba28(r, 60, 32, 0xCA);
	ide_bm_write(&r->ide, 0, 1, 1);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC | IDE_DF | IDE_ERR);
	CHECK_EQ(in(r, 3), 67);
	CHECK_EQ(r->hd.bytes[66 * 512 + 511], 0x33);
	CHECK(ide_bm_read(&r->ide, 2, 1) & 2);
	free(r);
}

TEST(ide_flush_completes_only_when_the_medium_says_so)
{
	struct rig *r = rig_new();
	r->hd.later = true;
	out(r, 6, 0xE0);
	out(r, 7, 0xEA);
	CHECK(in(r, 7) & IDE_BSY);
	CHECK_EQ(r->irqs, 0);
	finish(&r->hd);
	CHECK_EQ(r->irqs, 1);
	CHECK_EQ(r->hd.flushes, 1);
	free(r);
}

TEST(ide_with_the_write_cache_off_each_write_is_flushed)
{
	struct rig *r = rig_new();
	out(r, 1, 0x82);
	out(r, 6, 0xE0);
	out(r, 7, 0xEF);
	lba28(r, 9, 1, 0x30);
	for (unsigned i = 0; i < 256; i++)
		ide_write(&r->ide.channel[0], 0, 2, 0);
	CHECK_EQ(r->hd.flushes, 1);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC);
	free(r);
}

TEST(ide_soft_reset_in_the_middle_of_a_request_waits_for_the_medium)
{
	struct rig *r = rig_new();
	r->hd.later = true;
	lba28(r, 5, 1, 0x20);
	CHECK(in(r, 7) & IDE_BSY);
	ide_write_control(&r->ide.channel[0], IDE_CONTROL_SRST);
	CHECK(r->hd.pending == NULL);
	ide_write_control(&r->ide.channel[0], 0);
	CHECK_EQ(in(r, 7), IDE_DRDY | IDE_DSC);
	CHECK_EQ(in(r, 2), 1);
	CHECK_EQ(in(r, 4), 0);
	CHECK_EQ(r->irqs, 0);
	free(r);
}

TEST(ide_masked_interrupt_comes_when_unmasked)
{
	struct rig *r = rig_new();
	ide_write_control(&r->ide.channel[0], IDE_CONTROL_NIEN);
	lba28(r, 5, 1, 0x20);
	CHECK(!r->irq[0]);
	CHECK_EQ(ide_read_alternate(&r->ide.channel[0]) & IDE_DRQ, IDE_DRQ);
	ide_write_control(&r->ide.channel[0], 0);
	CHECK(r->irq[0]);
	free(r);
}

static uint8_t smart(struct rig *r, uint8_t what, uint8_t low, uint8_t count)
{
	out(r, 1, what);
	lba28(r, 0xC24F00 | low, count, 0xB0);
	return in(r, 7);
}

/* The sector that is offered, and that its bytes sum up to 0. */
static bool page(struct rig *r, uint8_t *p)
{
	uint8_t sum = 0;

	for (unsigned i = 0; i < 512; i += 2) {
		uint32_t w = ide_read(&r->ide.channel[0], 0, 2);
		p[i] = w;
		p[i + 1] = w >> 8;
		sum += p[i] + p[i + 1];
	}
	return sum == 0 && in(r, 7) == 0x50;
}

TEST(ide_smart_is_announced_answered_and_can_be_disabled)		/* [ATA-6 "SMART Function Set"] */
{
	struct rig *r = rig_new();
	uint8_t p[512];

	lba28(r, 0, 0, 0xEC);
	CHECK(page(r, p));
	CHECK_EQ(p[2 * 82] & 0x09, 0x09);		/* SMART, power management */
	CHECK_EQ(p[2 * 85] & 0x01, 0x01);
	CHECK_EQ(p[2 * 84] & 0x03, 0x03);
	CHECK_EQ(smart(r, 0xDA, 0, 0), 0x50);		/* status: good, the key is unchanged */
	CHECK_EQ(in(r, 4), 0x4F);
	CHECK_EQ(in(r, 5), 0xC2);
	CHECK_EQ(smart(r, 0xD0, 0, 1), 0x58);
	CHECK(page(r, p));
	CHECK_EQ(p[0], 0x10);
	CHECK_EQ(p[367] & 0x11, 0x11);
	CHECK_EQ(smart(r, 0xD9, 0, 0), 0x50);		/* disabled: nothing but ENABLE goes */
	CHECK_EQ(smart(r, 0xDA, 0, 0), 0x51);
	CHECK_EQ(in(r, 1), IDE_ABRT);
	lba28(r, 0, 0, 0xEC);
	CHECK(page(r, p));
	CHECK_EQ(p[2 * 85] & 0x01, 0);
	CHECK_EQ(smart(r, 0xD8, 0, 0), 0x50);
	CHECK_EQ(smart(r, 0xDA, 0, 0), 0x50);
	out(r, 1, 0xDA);
	lba28(r, 0xC24E00, 0, 0xB0);			/* a wrong key */
	CHECK_EQ(in(r, 7), 0x51);
	CHECK_EQ(smart(r, 0xDF, 0, 0), 0x51);
	CHECK_EQ(smart(r, 0xD5, 0x20, 1), 0x51);	/* no such log */
	free(r);
}

TEST(ide_self_tests_are_done_at_once_and_stand_in_their_log)
{
	struct rig *r = rig_new();
	uint8_t p[512];

	CHECK_EQ(smart(r, 0xD5, 6, 1), 0x58);
	CHECK(page(r, p));
	CHECK_EQ(p[508], 0);
	CHECK_EQ(smart(r, 0xD4, 2, 0), 0x50);
	CHECK_EQ(smart(r, 0xD4, 4, 0), 0x51);		/* selective: not announced */
	CHECK_EQ(smart(r, 0xD5, 6, 1), 0x58);
	CHECK(page(r, p));
	CHECK_EQ(p[2], 2);
	CHECK_EQ(p[3], 0);
	CHECK_EQ(p[508], 1);
	CHECK_EQ(smart(r, 0xD5, 1, 1), 0x58);
	CHECK(page(r, p));
	free(r);
}

TEST(ide_check_power_mode_tells_of_standby_until_the_medium_is_used)
{
	struct rig *r = rig_new();

	lba28(r, 0, 0, 0xE5);
	CHECK_EQ(in(r, 2), 0xFF);
	lba28(r, 0, 0, 0xE0);
	lba28(r, 0, 0, 0xE5);
	CHECK_EQ(in(r, 2), 0x00);
	lba28(r, 0, 1, 0x20);
	for (unsigned i = 0; i < 256; i++)
		ide_read(&r->ide.channel[0], 0, 2);
	lba28(r, 0, 0, 0xE5);
	CHECK_EQ(in(r, 2), 0xFF);
	free(r);
}

TEST(ide_read_only_medium_refuses_writes)
{
	struct rig *r = rig_new();
	r->hd.disk.read_only = true;
	lba28(r, 5, 1, 0x30);
	CHECK_EQ(in(r, 1), IDE_ABRT);
	free(r);
}

/* --- ATAPI --- */

static unsigned packet(struct rig *r, const uint8_t *p, unsigned limit, uint8_t *reply, unsigned max)
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

static unsigned sense(struct rig *r)
{
	uint8_t p[12] = { 0x03, 0, 0, 0, 18 }, b[18];

	CHECK_EQ(packet(r, p, 0xFFFE, b, 18), 18);
	return b[2] << 16 | b[12] << 8 | b[13];
}

static bool failed(struct rig *r)
{
	return ide_read_alternate(&r->ide.channel[1]) & IDE_ERR;
}

TEST(atapi_shows_its_signature_and_refuses_identify_device)
{
	struct rig *r = rig_new();
	struct ide_channel *ch = &r->ide.channel[1];
	CHECK_EQ(ide_read(ch, 4, 1), 0x14);
	CHECK_EQ(ide_read(ch, 5, 1), 0xEB);
	ide_write(ch, 4, 1, 0);
	ide_write(ch, 7, 1, 0xEC);
	CHECK_EQ(ide_read(ch, 1, 1), IDE_ABRT);
	CHECK_EQ(ide_read(ch, 4, 1), 0x14);
	ide_write(ch, 7, 1, 0xA1);
	CHECK(ide_read(ch, 7, 1) & IDE_DRQ);
	free(r);
}

TEST(atapi_first_command_reports_the_new_disc_once)
{
	struct rig *r = rig_new();
	uint8_t p[12] = { 0 }, b[8];
	packet(r, p, 0xFFFE, b, 8);
	CHECK(failed(r));
	CHECK_EQ(sense(r), 0x062800);
	packet(r, p, 0xFFFE, b, 8);
	CHECK(!failed(r));
	CHECK_EQ(sense(r), 0);
	free(r);
}

TEST(atapi_read_respects_the_byte_count_limit)	/* [ATA-6 "PACKET", byte count] */
{
	struct rig *r = rig_new();
	uint8_t p[12] = { 0x28, 0, 0, 0, 0, 3, 0, 0, 2 }, buf[4096];
	r->ide.channel[1].drive[0].unit_attention = false;
	CHECK_EQ(packet(r, p, 1000, buf, sizeof(buf)), 4096);
	assert_memory_equal(buf, r->cd.bytes + 3 * 2048, 4096);
	CHECK(!failed(r));
	free(r);
}

TEST(atapi_dma_read_goes_through_the_bus_master)
{
	struct rig *r = rig_new();
	struct ide_channel *ch = &r->ide.channel[1];
	uint8_t p[12] = { 0xA8, 0, 0, 0, 0, 3, 0, 0, 0, 70 };
	ch->drive[0].unit_attention = false;
	prd(r, 0x1000, 0x10000, 0, false);
	prd(r, 0x1008, 0x20000, 0, false);
	prd(r, 0x1010, 0x30000, 70 * 2048 - 0x20000, true);
	ide_bm_write(&r->ide, 12, 4, 0x1000);
	ide_write(ch, 1, 1, 1);
	ide_write(ch, 7, 1, 0xA0);
	for (unsigned i = 0; i < 12; i += 2)
		ide_write(ch, 0, 2, p[i] | p[i + 1] << 8);
	ide_bm_write(&r->ide, 8, 1, 9);
	CHECK_EQ(ide_bm_read(&r->ide, 10, 1), 4);
	CHECK_EQ(ide_read(ch, 7, 1), IDE_DRDY | IDE_DSC);
	assert_memory_equal(r->ram + 0x10000, r->cd.bytes + 3 * 2048, 70 * 2048);
	free(r);
}

TEST(atapi_capacity_and_toc_agree_on_the_size)
{
	struct rig *r = rig_new();
	uint8_t cap[12] = { 0x25 }, toc[12] = { 0x43, 0, 0, 0, 0, 0, 0, 0, 20 }, b[64];
	r->ide.channel[1].drive[0].unit_attention = false;
	CHECK_EQ(packet(r, cap, 0xFFFE, b, 8), 8);
	CHECK_EQ(b[2] << 8 | b[3], 249);
	CHECK_EQ(b[6], 8);
	CHECK_EQ(packet(r, toc, 0xFFFE, b, 20), 20);
	CHECK_EQ(b[1], 18);
	CHECK_EQ(b[14], 0xAA);
	CHECK_EQ(b[18] << 8 | b[19], 250);
	free(r);
}

TEST(atapi_out_of_range_and_unknown_commands_are_illegal_requests)
{
	struct rig *r = rig_new();
	uint8_t rd[12] = { 0x28, 0, 0, 0, 0, 249, 0, 0, 2 }, odd[12] = { 0xFE }, b[64];
	r->ide.channel[1].drive[0].unit_attention = false;
	packet(r, rd, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x052100);
	packet(r, odd, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x052000);
	free(r);
}

TEST(atapi_medium_error_is_reported_as_sense)
{
	struct rig *r = rig_new();
	uint8_t rd[12] = { 0x28, 0, 0, 0, 0, 3, 0, 0, 2 }, b[64];
	r->ide.channel[1].drive[0].unit_attention = false;
	r->cd.bad_sector = 13;
	packet(r, rd, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x031100);
	free(r);
}

TEST(atapi_eject_opens_the_tray_and_a_locked_door_stays_shut)
{
	struct rig *r = rig_new();
	uint8_t eject[12] = { 0x1B, 0, 0, 0, 2 }, lock[12] = { 0x1E, 0, 0, 0, 1 }, unit[12] = { 0 }, b[64];
	r->ide.channel[1].drive[0].unit_attention = false;
	packet(r, lock, 0xFFFE, b, 0);
	packet(r, eject, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x055302);
	CHECK(!ide_change_medium(&r->ide, 1, 0, NULL, false));
	lock[4] = 0;
	packet(r, lock, 0xFFFE, b, 0);
	packet(r, eject, 0xFFFE, b, 0);
	CHECK(!failed(r));
	packet(r, unit, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x023A02);
	free(r);
}

TEST(atapi_changed_disc_is_an_event_and_a_unit_attention)
{
	struct rig *r = rig_new();
	uint8_t ev[12] = { 0x4A, 1, 0, 0, 0x10, 0, 0, 0, 8 }, unit[12] = { 0 }, b[64];
	r->ide.channel[1].drive[0].unit_attention = false;
	CHECK(ide_change_medium(&r->ide, 1, 0, NULL, false));
	packet(r, unit, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x023A02);			/* MEDIUM NOT PRESENT - TRAY OPEN */
	CHECK(ide_move_tray(&r->ide, 1, 0, false, false));
	packet(r, unit, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x023A01);			/* ... TRAY CLOSED */
	CHECK(ide_change_medium(&r->ide, 1, 0, &r->hd.disk, false));
	CHECK_EQ(packet(r, ev, 0xFFFE, b, 8), 8);
	CHECK_EQ(b[4], 2);
	CHECK_EQ(b[5], 2);
	packet(r, unit, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x062800);
	packet(r, unit, 0xFFFE, b, 0);
	CHECK(!failed(r));
	free(r);
}

TEST(atapi_disc_that_is_longer_than_a_cd_is_a_dvd)	/* [MMC-3 "GET CONFIGURATION", "READ DVD STRUCTURE"] */
{
	struct rig *r = rig_new();
	uint8_t config[12] = { 0x46, 0, 0, 0, 0, 0, 0, 0, 64 }, structure[12] = { 0xAD, 0, 0, 0, 0, 0, 0, 0, 0, 20 }, b[64];

	r->ide.channel[1].drive[0].unit_attention = false;
	CHECK_EQ(packet(r, config, 0xFFFE, b, 48), 48);
	CHECK_EQ(b[6] << 8 | b[7], 0x0008);		/* current profile: CD-ROM */
	CHECK_EQ(b[3], 44);
	CHECK_EQ(b[11], 8);				/* two profiles, of which the second is current */
	CHECK_EQ(b[14], 0);
	CHECK_EQ(b[18], 1);
	packet(r, structure, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x053002);			/* INCOMPATIBLE FORMAT */
	r->cd.disk.size_bytes = 4700000256;		/* only its size is asked for */
	CHECK_EQ(packet(r, config, 0xFFFE, b, 48), 48);
	CHECK_EQ(b[6] << 8 | b[7], 0x0010);
	CHECK_EQ(b[14], 1);
	CHECK_EQ(b[18], 0);
	CHECK_EQ(packet(r, structure, 0xFFFE, b, 20), 20);
	CHECK_EQ(b[0] << 8 | b[1], 2050);
	CHECK_EQ(b[9] << 16 | b[10] << 8 | b[11], 0x030000);
	CHECK_EQ(b[13] << 16 | b[14] << 8 | b[15], 0x030000 + 4700000256 / 2048 - 1);
	free(r);
}

/* Sum and weighted sum of a code word over GF(256): both are 0.	[ECMA-130, annex A] */
static bool code_word(const uint8_t *v, unsigned first, unsigned step, unsigned n, unsigned size, uint8_t p, uint8_t q)
{
	uint8_t sum = 0, weighted = 0;

	for (unsigned i = 0; i < n + 2; i++) {
		uint8_t byte = i < n ? v[(first + i * step) % size] : i == n ? p : q;
		sum ^= byte;
		weighted = (uint8_t)((weighted << 1 ^ (weighted & 0x80 ? 0x1D : 0)) ^ byte);
	}
	return sum == 0 && weighted == 0;
}

TEST(atapi_read_cd_gives_the_whole_sector_as_it_is_on_the_disc)	/* [MMC-3 "READ CD"], [ECMA-130] */
{
	struct rig *r = rig_new();
	uint8_t raw[12] = { 0xBE, 0, 0, 0, 0, 5, 0, 0, 3, 0xF8 }, head[12] = { 0xBE, 0, 0, 0, 0, 75, 0, 0, 2, 0x20 };
	uint8_t msf[12] = { 0xB9, 0, 0, 0, 2, 5, 0, 2, 6, 0x10 }, audio[12] = { 0xBE, 1 << 2, 0, 0, 0, 5, 0, 0, 1, 0xF8 };
	static uint8_t b[4 * CD_RAW_SECTOR];

	r->ide.channel[1].drive[0].unit_attention = false;
	CHECK_EQ(packet(r, raw, 0xFFFE, b, 3 * CD_RAW_SECTOR), 3 * CD_RAW_SECTOR);
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t *s = b + i * CD_RAW_SECTOR, *code = s + 12;
		uint32_t crc = 0;

		assert_memory_equal(s, "\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x00", 12);
		CHECK_EQ(s[12] << 16 | s[13] << 8 | s[14], 0x000205 + i);	/* 00:02:05 and on, in BCD */
		CHECK_EQ(s[15], 1);
		assert_memory_equal(s + 16, r->cd.bytes + (5 + i) * CD_SECTOR, CD_SECTOR);
		for (unsigned k = 0; k < 2068; k++) {
			crc ^= s[k];
			for (unsigned bit = 0; bit < 8; bit++)
				crc = crc >> 1 ^ (crc & 1 ? 0xD8018001u : 0);
		}
		CHECK_EQ(crc, 0);		/* the code over data and its own EDC */
		for (unsigned c = 0; c < 86; c++)
			CHECK(code_word(code, c, 86, 24, 2064, s[2076 + c], s[2162 + c]));
		for (unsigned d = 0; d < 52; d++)
			CHECK(code_word(code, d / 2 * 86 + d % 2, 88, 43, 2236, s[2248 + d], s[2300 + d]));
	}
	CHECK_EQ(packet(r, head, 0xFFFE, b, 8), 8);
	assert_memory_equal(b, "\x00\x03\x00\x01\x00\x03\x01\x01", 8);
	CHECK_EQ(packet(r, msf, 0xFFFE, b, CD_SECTOR), CD_SECTOR);
	assert_memory_equal(b, r->cd.bytes + 5 * CD_SECTOR, CD_SECTOR);
	packet(r, audio, 0xFFFE, b, 0);
	CHECK_EQ(sense(r), 0x056400);			/* ILLEGAL MODE FOR THIS TRACK */
	free(r);
}
