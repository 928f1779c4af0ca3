/*
 * Floods of the processor's own control: CR0, CR4, paging on and off, descriptor tables that change, segments that follow.
 * After each the processor is as it was told to be.		[SDM 3, "Control Registers", "Segment Registers"]
 */
#include "attack.h"

enum { CR0_MP = 2, CR0_EM = 4, CR0_TS = 8, CR0_NE = 0x20, CR0_WP = 0x10000, CR0_AM = 0x40000 };
enum { CR4_TSD = 4, CR4_DE = 8, CR4_PSE = 0x10, CR4_PGE = 0x80, CR4_OSFXSR = 0x200, CR4_OSXMMEXCPT = 0x400 };

static volatile uint32_t read_only[1024] __attribute__((aligned(4096)));
static void store(void) { read_only[7]++; }
CODE(use_x87, "fnop\nret\n");
static uint32_t bad_cr4;
static void set_bad_cr4(void) { set_cr4(bad_cr4); }

static void control_registers(void)
{
	uint32_t cr0 = get_cr0(), cr4 = get_cr4();

	page_tab[(uint32_t)read_only >> 12] = (uint32_t)read_only | P | U;
	set_cr3(page_dir);
	for (uint32_t i = 0; i < 100000; i++) {
		uint32_t now = (cr0 & ~(CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM)) |
		    (rnd() & (CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM));

		set_cr0(now);
		check("CR0", get_cr0(), now);
		if (i % 16 == 0)
			check_trap("WP rules the kernel's stores", guard(store), now & CR0_WP ? PF : NONE, now & CR0_WP ? 3 : 0);
		if (i % 16 == 8)
			check_trap("EM and TS rule the x87", guard(use_x87), now & (CR0_EM | CR0_TS) ? NM : NONE, 0);
	}
	set_cr0(cr0);
	for (uint32_t i = 0; i < 50000; i++) {
		uint32_t now = rnd() & (CR4_TSD | CR4_DE | CR4_PSE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT);

		set_cr4(now);
		check("CR4", get_cr4(), now);
		if (i % 64 == 0) {
			bad_cr4 = now | 0x80000000u >> (rnd() & 7);
			check_trap("a reserved bit of CR4", guard(set_bad_cr4), GP, 0);
			check("leaves CR4 alone", get_cr4(), now);
		}
	}
	set_cr4(cr4);
	page_tab[(uint32_t)read_only >> 12] = (uint32_t)read_only | ALL;
	set_cr3(page_dir);
}

/* The same linear address is one frame with paging, another without. */
static void paging_flood(void)
{
	volatile uint32_t *here = read_only;
	uint32_t *there = (uint32_t *)RAM(0), cr0 = get_cr0();

	set_cr0(cr0 & 0x7FFFFFFF);		/* 8 MiB is not mapped there */
	there[5] = 2;
	here[5] = 1;
	page_tab[(uint32_t)here >> 12] = (uint32_t)there | ALL;
	for (uint32_t i = 0; i < 20000; i++) {
		set_cr0(cr0 & 0x7FFFFFFF);
		check("paging is off", here[5], 1);
		set_cr0(cr0 | 0x80000000);
		check("paging is on", here[5], 2);
	}
	page_tab[(uint32_t)here >> 12] = (uint32_t)here | ALL;
	set_cr3(page_dir);
}

static uint32_t other_gdt[32][2] __attribute__((aligned(8)));

static void lgdt(const void *at)
{
	struct { uint16_t limit; uint32_t base; } __attribute__((packed)) r = { sizeof(other_gdt) - 1, (uint32_t)at };

	ASM("lgdt %0" :: "m"(r) : "memory");
}

/* FS and ES by descriptors that are new each time, in two tables; what was loaded stays when the table changes. */
static void segments(void)
{
	static uint32_t cell[4096];
	uint32_t got_es, got_fs;

	for (uint32_t i = 0; i < ARRAY_LEN(cell); i++)
		cell[i] = i * 0x9E3779B9u;
	for (unsigned i = 0; i < ARRAY_LEN(other_gdt); i++)
		other_gdt[i][0] = gdt[i][0], other_gdt[i][1] = gdt[i][1];
	for (uint32_t i = 0; i < 200000; i++) {
		uint32_t a = rnd() % 4096, b = rnd() % 4096;

		descriptor(gdt, SPARE / 8, (uint32_t)&cell[a], 0xFFFFF, 0xC092);
		descriptor(other_gdt, SPARE / 8, (uint32_t)&cell[b], 3, 0x4092);
		lgdt(gdt);
		ASM("mov %0, %%fs" :: "r"(SPARE) : "memory");
		lgdt(other_gdt);
		ASM("mov %2, %%es\nmovl %%es:0, %0\nmovl %%fs:0, %1" : "=&r"(got_es), "=&r"(got_fs) : "r"(SPARE) : "memory");
		check("FS is what the first table said", got_fs, a * 0x9E3779B9u);
		check("ES is what the second said", got_es, b * 0x9E3779B9u);
	}
	lgdt(gdt);
	ASM("mov %0, %%es\nmov %0, %%fs" :: "r"(DATA0));
}

void test_control(void)
{
	paging_on();
	control_registers();
	paging_flood();
	segments();
	paging_off();
}
