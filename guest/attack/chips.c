/*
 * Attacks by way of the chips: the floppy controller writes code by DMA (channel 2), and keyboard controller, disks and graphics
 * card get any sequence of register accesses. Afterwards each does its work.	[82077AA], [8237A], [ATA], [IBM-VGA]
 */
#include "attack.h"

static uint16_t inw(uint16_t port) { uint16_t v; ASM("inw %1, %0" : "=a"(v) : "Nd"(port)); return v; }

/* --- the floppy controller --- */

static void fdc_put(uint8_t v)
{
	while ((inb(0x3F4) & 0xC0) != 0x80)
		;
	outb(0x3F5, v);
}

static uint8_t fdc_get(void)
{
	while ((inb(0x3F4) & 0xC0) != 0xC0)
		;
	return inb(0x3F5);
}

/* Until the drive has moved (or the reset is over): SENSE INTERRUPT STATUS says 80h while there is nothing to say. */
static void fdc_wait(void)
{
	uint8_t st0;

	do {
		fdc_put(8);
		st0 = fdc_get();
		if (st0 != 0x80)
			fdc_get();
	} while (st0 == 0x80);
}

static void fdc_start(void)
{
	outb(0x0D, 0), outb(0xDA, 0);		/* both DMA controllers, and the one by way of the other */
	outb(0xD6, 0xC0), outb(0xD4, 0);
	outb(0x3F2, 0);
	outb(0x3F2, 0x1C);			/* drive 0, its motor, DMA */
	for (unsigned drive = 0; drive < 4; drive++)
		fdc_wait();
	outb(0x3F7, 0);
	fdc_put(3), fdc_put(0xDF), fdc_put(2);
	fdc_put(7), fdc_put(0);
	fdc_wait();
}

/* ST0 of reading sector n (of 512 bytes, 18 a track, 2 heads) to below 16 MiB, within 64 KiB. */
static uint8_t fdc_read(uint32_t n, uint8_t *to)
{
	uint32_t at = (uint32_t)to;
	uint8_t track = n / 36, head = n / 18 % 2, sector = n % 18 + 1, st0;

	fdc_put(0x0F), fdc_put(head << 2), fdc_put(track);
	fdc_wait();
	outb(0x0A, 6);
	outb(0x0C, 0);
	outb(0x04, at), outb(0x04, at >> 8);
	outb(0x0C, 0);
	outb(0x05, 0xFF), outb(0x05, 1);
	outb(0x0B, 0x46);			/* single, to memory, channel 2 */
	outb(0x81, at >> 16);
	outb(0x0A, 2);
	fdc_put(0xE6), fdc_put(head << 2), fdc_put(track), fdc_put(head), fdc_put(sector), fdc_put(2), fdc_put(18), fdc_put(0x1B), fdc_put(0xFF);
	st0 = fdc_get();
	for (unsigned i = 0; i < 6; i++)
		fdc_get();
	return st0;
}

/* Sector n, run as code, returns n: each time another one where code ran a moment ago, on its own page or across two. */
void test_floppy(void)
{
	fdc_start();
	for (unsigned i = 0; i < 60; i++) {
		uint32_t sector = rnd() % 90;
		uint8_t *code = RAM(0x40000 + (i % 3) * 0x1800 + (i & 1) * 0xFFD);

		uint8_t st0 = fdc_read(sector, code);
		check("DMA by the floppy controller", st0 & 0xC0, 0);
		if (st0 & 0xC0)
			return;
		check("rewritten by the floppy controller", call_code(code, 0), sector);
		check("and again", call_code(code, 0), sector);
	}
	outb(0x3F2, 0x0C);
}

/* --- the keyboard controller --- */

static int i8042_ends(uint8_t command)		/* pulses the reset line, or is about to; or closes A20 */
{
	return command >= 0xF0 || command == 0xD1 || command == 0xDD || command == 0xDF;
}

static void i8042_flood(void)
{
	uint32_t sum = 0, got = 0;

	for (unsigned i = 0; i < 60000; i++) {
		uint32_t r = rnd();

		if ((r & 3) == 0 && !i8042_ends(r >> 8))
			outb(0x64, r >> 8);
		else if ((r & 3) == 1)
			outb(0x60, r >> 8);
		else
			sum += r & 4 ? inb(0x60) : inb(0x64);
	}
	outb(0x64, 0xAD);
	outb(0x64, 0xA7);
	outb(0x60, 0);				/* should a command want a byte */
	outb(0x64, 0xAA);
	for (unsigned i = 0; i < 100000 && got != 0x55; i++)
		if (inb(0x64) & 1)
			got = inb(0x60);
	check("the keyboard controller tests itself", got, 0x55);
}

/* --- disks --- */

static void ide_flood(void)
{
	static const uint16_t base[] = { 0x1F0, 0x170, 0x3F0, 0x370 };
	uint32_t sum = 0, words = 0;

	for (unsigned i = 0; i < 100000; i++) {
		uint32_t r = rnd();
		uint16_t port = base[r & 3] + (r & 2 ? 6 : r >> 2 & 7);

		if (r & 0x100)
			outb(port, r >> 16);
		else
			sum += (port & 7) == 0 ? inw(port) : inb(port);
	}
	outb(0x3F6, 6);				/* reset, no interrupts */
	outb(0x3F6, 2);
	while (inb(0x1F7) & 0x80)
		;
	outb(0x1F6, 0xE0);
	outb(0x1F7, 0xEC);
	while (inb(0x1F7) & 0x80)
		;
	check("the disk says what it is", inb(0x1F7) & 9, 8);
	for (unsigned i = 0; i < 256; i++)
		words += inw(0x1F0) != 0;
	check("all of it", !(inb(0x1F7) & 8) && words > 20, 1);
}

/* --- the graphics card --- */

static void indexed(uint16_t port, uint8_t index, uint8_t v)
{
	outb(port, index);
	outb(port + 1, v);
}

static void vbe(uint16_t index, uint16_t v)
{
	outw(0x1CE, index);
	outw(0x1CF, v);
}

static void vga_flood(void)
{
	volatile uint8_t *memory = (volatile uint8_t *)0xA0000;
	uint32_t sum = 0;

	for (unsigned i = 0; i < 150000; i++) {
		uint32_t r = rnd();

		switch (r & 3) {
		case 0: outw(0x3B0 + (r >> 2 & 0x3E), r >> 16); break;
		case 1: outb(0x3C0 + (r >> 2 & 0x1F), r >> 16); break;
		case 2: memory[rnd() & 0x1FFFF] = r >> 8; break;
		default:
			if (r & 0x10)
				vbe(r >> 5 & 15, r >> 16 & (r & 0x200 ? 0xFFFF : 0x7F));
			else
				sum += memory[rnd() & 0x1FFFF] + inb(0x3C0 + (r >> 5 & 0x1F));
		}
	}
	vbe(4, 0);
	outb(0x3C2, 0x63);
	indexed(0x3C4, 0, 3), indexed(0x3C4, 2, 0x0F), indexed(0x3C4, 4, 0x06);
	for (unsigned i = 0; i < 9; i++)
		indexed(0x3CE, i, i == 6 ? 0x05 : i == 8 ? 0xFF : i == 7 ? 0x0F : 0);
	for (unsigned i = 0; i < 1000; i++) {
		uint32_t at = rnd() & 0xFFFF;

		memory[at] = i;
		check("video memory keeps what is written", memory[at], i & 0xFF);
	}
}

void test_chips(void)
{
	i8042_flood();
	ide_flood();
	vga_flood();
}
