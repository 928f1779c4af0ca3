/* All 4 GiB of linear addresses belong to the guest.					[SDM 3, "Paging"] */
#include "system.h"

extern uint32_t user_eflags;
enum { P = 1, W = 2, U = 4, PS = 0x80 };
#define FRAMES	0x01000000u			/* eight frames of 4 MiB */
#define FRAME_BYTES 0x400000u
#define ALL	(P | W | U)

static uint32_t dir[1024] __attribute__((aligned(4096))), tab[1024] __attribute__((aligned(4096)));
static uint32_t wrong, first_wrong, done;

static volatile uint32_t *word(uint32_t lin)
{
	ASM("" : "+r"(lin));			/* also at 0 */
	return (volatile uint32_t *)lin;
}

static volatile uint8_t *byte(uint32_t lin)
{
	return (volatile uint8_t *)word(lin);
}

static void expect(uint32_t lin, uint32_t got, uint32_t want)
{
	done++;
	if (got != want && !wrong++)
		first_wrong = lin;
}

static void start(void)
{
	wrong = first_wrong = done = 0;
}

static void finish(const char *what)
{
	check(what, wrong, 0);
	check("the first of them", first_wrong, 0);
	note("linear: accesses checked", done);
}

/* --- every region at once, by 4 MiB pages: a region has 1/128 of its frame for itself --- */

static uint32_t slot(uint32_t r) { return (r << 22) + (r >> 3 << 15); }

static void walk_large(void)
{
	for (uint32_t r = 1; r < 1024; r++)
		for (uint32_t off = 0; off < 0x8000; off += 0xFFC)
			*word(slot(r) + off) = slot(r) + off + 1;
	for (uint32_t r = 1; r < 1024; r++)
		for (uint32_t off = 0; off < 0x8000; off += 0xFFC)
			expect(slot(r) + off, *word(slot(r) + off), slot(r) + off + 1);
	/* a dword over each boundary; the bytes are seen through another region of the same frame */
	for (uint32_t r = 9; r < 1023; r++) {
		uint32_t end = (r + 1) << 22;
		*word(end - 2) = ~end;
		expect(end - 2, byte(end - 8 * FRAME_BYTES - 2)[0] | byte(end - 8 * FRAME_BYTES - 1)[0] << 8, ~end & 0xFFFF);
		expect(end, byte(end - 8 * FRAME_BYTES)[0] | byte(end - 8 * FRAME_BYTES + 1)[0] << 8, ~end >> 16);
	}
}

static void walk_large_user(void)
{
	walk_large();
	ASM("int $0x80");
}

static void map_large(void)
{
	dir[0] = ALL | PS;
	for (uint32_t r = 1; r < 1024; r++)
		dir[r] = (FRAMES + (r & 7) * FRAME_BYTES) | ALL | PS;
	set_cr3(dir);
}

/* Over the top of 4 GiB, through a segment for which that is no limit. */
static void test_wrap(void)
{
	uint32_t v = 0;

	descriptor(gdt, SPARE / 8, 0xFFFFF000, 0x1FFF, 0x4092);
	ASM("mov %0, %%fs" :: "r"(SPARE));
	*byte(0) = *byte(1) = 0;
	ASM("movl $0x44332211, %%fs:0xFFE" ::: "memory");
	check("a store over the top of 4 GiB: below", byte(0xFFFFFFFE)[0] | byte(0xFFFFFFFF)[0] << 8, 0x2211);
	check("and at 0", byte(0)[0] | byte(1)[0] << 8, 0x4433);
	ASM("mov %%fs:0xFFE, %0" : "=r"(v));
	check("and read again", v, 0x44332211);
	*byte(0xFFFFFFFD) = *byte(0xFFFFFFFE) = *byte(0xFFFFFFFF) = 0xFF;
	ASM("incl %%fs:0xFFD" ::: "memory");
	check("read, changed and written: a carry over the top", byte(0)[0], 0x34);
	check("from below", byte(0xFFFFFFFD)[0] | byte(0xFFFFFFFE)[0] | byte(0xFFFFFFFF)[0], 0);
	*word(8) = 0x1234;
	ASM("mov %%fs:0x1008, %0" : "=r"(v));
	check("an address past the top is one from 0 on", v, 0x1234);
	ASM("mov %0, %%fs" :: "r"(DATA0));
}

/* --- region by region, by 4 KiB pages in an order of their own --- */

static void walk_small_region(uint32_t r)
{
	uint32_t lin = r << 22, other = (r + 512) & 1023 ? (r + 512) & 1023 : 1, alias = other << 22;

	for (uint32_t i = 0; i < 1024; i++)
		tab[i] = (FRAMES + ((i * 5 + r * 7) & 1023) * 4096) | ALL;
	dir[r] = (uint32_t)tab | ALL;
	dir[other] = FRAMES | ALL | PS;
	set_cr3(dir);
	for (uint32_t i = r % 61; i < 1024; i = i == 1023 ? 1024 : i + 61 < 1023 ? i + 61 : 1023) {
		uint32_t at = lin + i * 4096, seen = alias + ((i * 5 + r * 7) & 1023) * 4096;
		*word(at) = at;
		*word(at + 0xFFC) = ~at;
		expect(at, *word(seen), at);
		expect(at + 0xFFC, *word(seen + 0xFFC), ~at);
		*word(seen + 0x7FE) = at ^ 0x5A5A5A5A;
		expect(at + 0x7FE, *word(at + 0x7FE), at ^ 0x5A5A5A5A);
		if (i == 1023)
			break;
		uint32_t next = alias + (((i + 1) * 5 + r * 7) & 1023) * 4096;
		*word(at + 0xFFD) = 0x04030201 + at;
		expect(at + 0xFFD, byte(seen + 0xFFD)[0], (uint8_t)(1 + at));
		expect(at + 0x1000, byte(next)[0], (0x04030201 + at) >> 24);
		*byte(next) = 0x77;
		expect(at + 0xFFD, *word(at + 0xFFD) >> 24, 0x77);
	}
	dir[r] = dir[other] = 0;
}

/* --- region 0, where we are: from code elsewhere, while another frame is there --- */

/* Copied to 80300000h; EBX: dir[0] seen from there, EAX: what to put there, ECX: where to come back to. EBP: errors. */
CODE(sweep_zero,
	"	mov (%ebx), %edx\n	mov %eax, (%ebx)\n	mov %cr3, %eax\n	mov %eax, %cr3\n	xor %ebp, %ebp\n	xor %edi, %edi\n"
	"1:	mov %edi, %eax\n	not %eax\n	mov %eax, (%edi)\n	mov %eax, 0x7FE(%edi)\n	mov %eax, 0xFFC(%edi)\n"
	"	add $0x1000, %edi\n	cmp $0x400000, %edi\n	jb 1b\n	xor %edi, %edi\n"
	"2:	mov %edi, %eax\n	not %eax\n	cmp %eax, (%edi)\n	je 3f\n	inc %ebp\n"
	"3:	cmp %eax, 0x7FE(%edi)\n	je 4f\n	inc %ebp\n4:	cmp %eax, 0xFFC(%edi)\n	je 5f\n	inc %ebp\n"
	"5:	add $0x1000, %edi\n	cmp $0x400000, %edi\n	jb 2b\n"
	"	mov %edx, (%ebx)\n	mov %cr3, %eax\n	mov %eax, %cr3\n	jmp *%ecx\n	.globl sweep_zero_end\nsweep_zero_end:\n");
LABEL(sweep_zero_end);
uint32_t sweep_args[3], sweep_wrong;
CODE(call_sweep,
	"	pusha\n	mov sweep_args, %eax\n	mov sweep_args + 4, %ebx\n	mov $1f, %ecx\n	mov sweep_args + 8, %edx\n"
	"	jmp *%edx\n1:	mov %ebp, sweep_wrong\n	popa\n	ret\n");

static void test_zero(void)
{
	dir[0x200] = ALL | PS;				/* where we are, once more at 2 GiB */
	set_cr3(dir);
	for (unsigned i = 0; i < (uint32_t)sweep_zero_end - (uint32_t)sweep_zero; i++)
		*byte(0x300000 + i) = ((uint8_t *)sweep_zero)[i];
	sweep_args[0] = FRAMES | ALL | PS;
	sweep_args[1] = 0x80000000 + (uint32_t)dir;
	sweep_args[2] = 0x80300000;
	sweep_wrong = ~0u;
	check_trap("a walk of the first 4 MiB while something else is there", guard(call_sweep), NONE, 0);
	check("errors", sweep_wrong, 0);
}

void test_linear(void)
{
	user_eflags = 2;
	set_cr4(get_cr4() | 0x10);
	map_large();
	set_cr0(get_cr0() | 0x80000000);
	start();
	walk_large();
	finish("wrong bytes in 4 MiB pages all over 4 GiB at CPL 0");
	start();
	check_trap("the same at CPL 3", run_user(walk_large_user), USER_DONE, 0);
	finish("wrong bytes there");
	test_wrap();
	for (unsigned r = 1; r < 1024; r++)
		dir[r] = 0;
	start();
	for (uint32_t r = 1; r < 1024; r++)
		walk_small_region(r);
	finish("wrong bytes in 4 KiB pages all over 4 GiB");
	test_zero();
	paging_off();
	set_cr4(get_cr4() & ~0x10u);
}
