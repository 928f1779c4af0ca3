/*
 * Floods: exceptions, port accesses, and every timer of the board as fast as it goes.
 */
#include "attack.h"

static volatile uint32_t seen[256];

static int count_and_skip(struct frame *f)
{
	seen[f->vector]++;
	if (f->vector == BP || f->vector == OF)
		return 1;
	f->eip += 2;				/* each of the instructions below has two bytes */
	return 1;
}

CODE(many_exceptions, "pusha\nmov $50000, %esi\nxor %ecx, %ecx\nmov $0x80000000, %edi\n"
	"1: ud2\nint3\n.byte 0xF7, 0xF1\n.byte 0xCD, 0x04\n"	/* div ecx; int 4 */
	".byte 0x8B, 0x07\n.byte 0x89, 0x07\n"			/* mov eax, [edi]; mov [edi], eax */
	".byte 0x8E, 0xD9\ndec %esi\njnz 1b\npopa\nret\n");	/* mov ds, cx: a null selector is no fault */

static void exceptions(void)
{
	paging_on();
	on_trap = count_and_skip;
	many_exceptions();
	ASM("mov %0, %%ds" :: "r"(DATA0));
	idt_default();
	paging_off();
	check("#UD", seen[UD], 50000);
	check("#BP", seen[BP], 50000);
	check("#DE", seen[DE], 50000);
	check("#OF", seen[OF], 50000);
	check("#PF", seen[PF] + seen[GP], 100000);
}

/* --- ports --- */

/* What ends or resets the machine, or writes on the test's console. */
static int dangerous(uint16_t port)
{
	return (port >= 0x3F8 && port <= 0x3FF) || (port >= 0x600 && port < 0x640) || port == 0xF4 || port == 0x64 || port == 0x60 ||
	    port == 0x92 || (port >= 0xCF8 && port <= 0xCFF) || (port >= 0x500 && port < 0x520) || port == 0xE9 || port == 0x402 ||
	    (port >= 0xB000 && port < 0xC100) || (port >= 0x1F0 && port <= 0x1F7) || port == 0x3F6 || port == 0xB2 || port == 0xB3;
}

static void ports(void)
{
	uint32_t sum = 0;

	for (uint32_t port = 0; port < 0x10000; port++)
		sum += dangerous(port) ? 0 : inb(port);
	for (uint32_t i = 0; i < 100000; i++) {
		uint16_t port = rnd() & (i & 1 ? 0x3FF : 0xFFFF);

		if (dangerous(port))
			continue;
		outb(port, rnd());
		sum += inb(port);
	}
	check("the machine still answers", inb(0x3FD) & 0x20, 0x20);
}

/* --- timers --- */

/* At these rates the next interrupt is there when the handler ends: each source is silenced once it has had its share. */
static int on_irq(struct frame *f)
{
	volatile uint32_t *lapic = (volatile uint32_t *)0xFEE00000;

	seen[f->vector]++;
	if (f->vector == 0x68 && seen[0x68] >= 300)
		outb(0x21, inb(0x21) | 1);
	if (f->vector == 0x60 && seen[0x60] >= 300)
		lapic[0x380 / 4] = 0;
	if (f->vector == 0x70) {		/* the RTC goes on once register C was read */
		outb(0x70, 0x0C);
		inb(0x71);
		outb(0xA0, 0x20);
	}
	if (f->vector >= 0x68 && f->vector < 0x78)
		outb(0x20, 0x20);
	if (f->vector == 0x60)
		lapic[0xB0 / 4] = 0;
	return 1;
}

static void pic_init(uint8_t master, uint8_t slave)
{
	outb(0x20, 0x11); outb(0x21, 0x68); outb(0x21, 4); outb(0x21, 1);
	outb(0xA0, 0x11); outb(0xA1, 0x70); outb(0xA1, 2); outb(0xA1, 1);
	outb(0x21, master);
	outb(0xA1, slave);
}

static void timers(void)
{
	volatile uint32_t *lapic = (volatile uint32_t *)0xFEE00000;
	uint32_t rounds = 0;

	on_trap = on_irq;
	pic_init(0xFA, 0xFE);
	outb(0x43, 0x34);			/* 596 kHz */
	outb(0x40, 2);
	outb(0x40, 0);
	outb(0x70, 0x0A); outb(0x71, 0x23);	/* 8192 Hz */
	outb(0x70, 0x0B); outb(0x71, 0x42);
	outb(0x70, 0x0C); inb(0x71);
	lapic[0xF0 / 4] = 0x1FF;
	lapic[0x350 / 4] = 0x700;		/* LINT0: the PIC's */
	lapic[0x3E0 / 4] = 0xB;			/* the bus clock itself */
	lapic[0x320 / 4] = 0x20060;		/* periodic */
	lapic[0x380 / 4] = 1;
	ASM("sti");
	while (seen[0x68] < 300 || seen[0x70] < 50 || seen[0x60] < 300)
		rounds++;
	ASM("cli");
	lapic[0x380 / 4] = 0;
	lapic[0x320 / 4] = 0x10000;
	outb(0x70, 0x0B); outb(0x71, 2);
	outb(0x43, 0x34); outb(0x40, 0); outb(0x40, 0);
	outb(0x21, 0xFF);
	idt_default();
	check("work went on between the interrupts", rounds > 0, 1);
}

void test_floods(void)
{
	exceptions();
	ports();
	timers();
}
