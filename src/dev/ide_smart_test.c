/* SMART of hard disks.	[ATA/ATAPI-6 "SMART Function Set"] */
#include "dev/ide_rig.h"

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
