/* Tables, output, and the order of the tests. */
#include "system.h"

struct frame trap;
uint32_t trap_cr2;
int (*on_trap)(struct frame *f);
struct tss tss_main, tss_2, tss_df;
uint32_t gdt[32][2] __attribute__((aligned(8))), idt[256][2] __attribute__((aligned(8))), ldt[4][2] __attribute__((aligned(8)));
uint32_t page_dir[1024] __attribute__((aligned(4096))), page_tab[1024] __attribute__((aligned(4096)));
extern char vectors[];
extern uint32_t user_eflags;

static unsigned checks, failures;

/* Compilers call these by themselves. */
void *memset(void *to, int c, unsigned n);
void *memset(void *to, int c, unsigned n)
{
	void *at = to;

	ASM("rep stosb" : "+D"(at), "+c"(n) : "a"(c) : "memory");
	return to;
}

void *memcpy(void *to, const void *from, unsigned n);
void *memcpy(void *to, const void *from, unsigned n)
{
	void *at = to;

	ASM("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
	return to;
}

static void put(char c)
{
	while (!(inb(0x3FD) & 0x20))
		;
	outb(0x3F8, c);
}

static void print(const char *s)
{
	while (*s)
		put(*s++);
}

static void print_hex(uint32_t v)
{
	for (int shift = 28; shift >= 0; shift -= 4)
		put("0123456789abcdef"[v >> shift & 15]);
}

void check(const char *what, uint32_t got, uint32_t want)
{
	checks++;
	if (got == want)
		return;
	failures++;
	print("not ok ");
	print(what);
	print(": got ");
	print_hex(got);
	print(", want ");
	print_hex(want);
	print("\n");
}

void note(const char *what, uint32_t value)
{
	print(what);
	print(": ");
	print_hex(value);
	print("\n");
}

void check_trap(const char *what, int got, int vector, uint32_t error)
{
	check(what, got, vector);
	if (got == vector && vector != NONE)
		check(what, trap.error, error);
}

void descriptor(uint32_t (*table)[2], unsigned index, uint32_t base, uint32_t limit, unsigned attr)
{
	table[index][0] = (limit & 0xFFFF) | base << 16;
	table[index][1] = (base >> 16 & 0xFF) | (base & 0xFF000000) | (attr & 0xF0FF) << 8 | (limit & 0xF0000);
}

void gate(uint32_t (*table)[2], unsigned index, uint16_t sel, void *offset, unsigned attr, unsigned count)
{
	table[index][0] = (uint32_t)sel << 16 | ((uint32_t)offset & 0xFFFF);
	table[index][1] = ((uint32_t)offset & 0xFFFF0000) | attr << 8 | count;
}

static int end_run(struct frame *f) { return 0; }

void idt_default(void)
{
	for (unsigned v = 0; v < 256; v++)
		gate(idt, v, CODE0, vectors + 16 * v, v == USER_DONE || v == USER_STEP ? 0xEE : 0x8E, 0);
	on_trap = end_run;
}

static void tables(void)
{
	struct { uint16_t limit; void *base; } __attribute__((packed)) r;

	descriptor(gdt, CODE0 / 8, 0, 0xFFFFF, 0xC09A);
	descriptor(gdt, DATA0 / 8, 0, 0xFFFFF, 0xC092);
	descriptor(gdt, CODE3 / 8, 0, 0xFFFFF, 0xC0FA);
	descriptor(gdt, DATA3 / 8, 0, 0xFFFFF, 0xC0F2);
	descriptor(gdt, TSS_MAIN / 8, (uint32_t)&tss_main, sizeof(tss_main) - 1, 0x89);
	descriptor(gdt, TSS_2 / 8, (uint32_t)&tss_2, sizeof(tss_2) - 1, 0x89);
	descriptor(gdt, TSS_DF / 8, (uint32_t)&tss_df, sizeof(tss_df) - 1, 0x89);
	descriptor(gdt, LDT_SEL / 8, (uint32_t)ldt, sizeof(ldt) - 1, 0x82);
	descriptor(gdt, CODE16 / 8, 0, 0xFFFFF, 0x809A);
	descriptor(gdt, DATA16 / 8, 0, 0xFFFF, 0x0092);
	descriptor(gdt, CONFORM / 8, 0, 0xFFFFF, 0xC09E);
	tss_main.ss0 = DATA0;
	tss_main.iomap = (char *)tss_main.io - (char *)&tss_main;
	for (unsigned i = 0; i < sizeof(tss_main.io); i++)
		tss_main.io[i] = 0xFF;
	r.limit = 32 * 8 - 1;
	r.base = gdt;
	ASM("lgdt %0" :: "m"(r));
	ASM("ljmp %0, $1f\n1:" :: "i"(CODE0));
	ASM("mov %0, %%ds\nmov %0, %%es\nmov %0, %%ss\nmov %0, %%fs\nmov %0, %%gs" :: "r"(DATA0));
	ASM("ltr %w0" :: "r"(TSS_MAIN));
	idt_default();
	r.limit = sizeof(idt) - 1;
	r.base = idt;
	ASM("lidt %0" :: "m"(r));
	user_eflags = 2;
}

void paging_on(void)
{
	for (unsigned i = 0; i < 1024; i++) {
		page_tab[i] = i << 12 | 7;
		page_dir[i] = 0;
	}
	page_dir[0] = (uint32_t)page_tab | 7;
	set_cr3(page_dir);
	set_cr0(get_cr0() | 0x80000000);
}

void paging_off(void)
{
	set_cr0(get_cr0() & ~0x80010000u);
}

void main(void);
void main(void)
{
	static const struct { const char *name; void (*run)(void); } part[] = {
#if defined(GUEST_ATTACK)
		{ "middle", test_middle }, { "borders", test_borders }, { "stores", test_stores }, { "rewrite", test_rewrite },
		{ "selfmap", test_selfmap }, { "million", test_million }, { "recursion", test_recursion }, { "blocks", test_blocks },
		{ "floppy", test_floppy }, { "floods", test_floods }, { "control", test_control }, { "chips", test_chips },
#elif defined(GUEST_SPACES)
		{ "tables", test_tables }, { "linear", test_linear }, { "spaces", test_spaces },
#else
		{ "segments", test_segments }, { "gates", test_gates }, { "tasks", test_tasks }, { "paging", test_paging },
		{ "debug", test_debug }, { "vm86", test_vm86 }, { "events", test_events }, { "rules", test_rules },
#endif
	};
	tables();
	for (unsigned i = 0; i < ARRAY_LEN(part); i++) {
		unsigned before = checks, failed = failures;
		part[i].run();
		idt_default();
		print(failures == failed ? "ok " : "not ok ");
		print(part[i].name);
		print(": checks ");
		print_hex(checks - before);
		print("\n");
	}
	print(failures ? "FAILED\n" : "PASSED\n");
	outw(0x604, 0x2000);
}
