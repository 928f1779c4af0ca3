/*
 * System tests inside the guest: what only a kernel can try, on whatever processor runs it (plex86 by
 * either engine, QEMU, a real PC). A Multiboot kernel and a flat binary at once, in C, without a library.
 *
 * Every check prints a line, "ok ..." or "not ok ..."; the last line counts them.
 */
#ifndef GUEST_SYSTEM_H
#define GUEST_SYSTEM_H

typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))

enum { DE, DB, NMI, BP, OF, BR, UD, NM, DF, CSO, TS, NP, SS, GP, PF, V15, MF, AC, MC, XM };
enum { NONE = -1, USER_DONE = 0x80, USER_STEP = 0x81 };
enum { CODE0 = 0x08, DATA0 = 0x10, CODE3 = 0x1B, DATA3 = 0x23, TSS_MAIN = 0x28, TSS_2 = 0x30, TSS_DF = 0x38,
	LDT_SEL = 0x40, GATE = 0x48, CODE16 = 0x50, DATA16 = 0x58, SPARE = 0x60, SPARE2 = 0x68, TSS_16 = 0x70, TASK_GATE = 0x78,
	CONFORM = 0x80, BEYOND = 0x400 };
enum { FL_CF = 1, FL_ZF = 0x40, FL_TF = 0x100, FL_IF = 0x200, FL_OF = 0x800, FL_IOPL = 0x3000, FL_NT = 0x4000, FL_RF = 0x10000,
	FL_VM = 0x20000, FL_AC = 0x40000, FL_VIF = 0x80000, FL_VIP = 0x100000 };

/* What the handler saw, in the order of its stack. */
struct frame {
	uint32_t edi, esi, ebp, esp_, ebx, edx, ecx, eax;
	uint32_t vector, error, eip, cs, eflags, esp, ss;
	uint32_t es, ds, fs, gs;		/* only from vm86 */
};
extern struct frame trap;			/* the last one that ended a guarded run */
extern uint32_t trap_cr2;
extern uint32_t guard_esp;
/* Called for every trap; 1: go back to where it came from, 0: end the guarded run. */
extern int (*on_trap)(struct frame *f);

struct tss {
	uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint32_t es, cs, ss, ds, fs, gs, ldt;
	uint16_t trap, iomap;
	uint8_t redirect[32];
	uint8_t io[0x400 / 8 + 1];		/* ports 0..3FFh */
};
extern struct tss tss_main, tss_2, tss_df;
extern uint32_t gdt[][2], idt[][2], ldt[][2];
extern uint32_t page_dir[1024], page_tab[1024];

int guard(void (*fn)(void));			/* the vector that ended it, or NONE if fn returned */
int run_user(void (*fn)(void));			/* at CPL 3; USER_DONE if it ended with INT 80h */
int run_frame(const uint32_t *frame, unsigned words);	/* IRET with this frame, lowest address first */

void descriptor(uint32_t (*table)[2], unsigned index, uint32_t base, uint32_t limit, unsigned attr);
void gate(uint32_t (*table)[2], unsigned index, uint16_t sel, void *offset, unsigned attr, unsigned count);
void idt_default(void);				/* every vector to the recording handler, 80h and 81h for CPL 3 */
void paging_on(void);				/* the first 4 MiB by page_tab, identity, everyone may everything */
void paging_off(void);

void note(const char *what, uint32_t value);
void check(const char *what, uint32_t got, uint32_t want);
void check_trap(const char *what, int got, int vector, uint32_t error);

#define ASM(...)	__asm__ volatile(__VA_ARGS__)
static inline uint32_t get_cr0(void) { uint32_t v; ASM("mov %%cr0, %0" : "=r"(v)); return v; }
static inline uint32_t get_cr4(void) { uint32_t v; ASM("mov %%cr4, %0" : "=r"(v)); return v; }
static inline void set_cr0(uint32_t v) { ASM("mov %0, %%cr0" :: "r"(v) : "memory"); }
static inline void set_cr3(const void *v) { ASM("mov %0, %%cr3" :: "r"(v) : "memory"); }
static inline void set_cr4(uint32_t v) { ASM("mov %0, %%cr4" :: "r"(v) : "memory"); }
static inline void invlpg(void *p) { ASM("invlpg (%0)" :: "r"(p) : "memory"); }
static inline void outb(uint16_t port, uint8_t v) { ASM("outb %0, %1" :: "a"(v), "Nd"(port)); }
static inline void outw(uint16_t port, uint16_t v) { ASM("outw %0, %1" :: "a"(v), "Nd"(port)); }
static inline uint8_t inb(uint16_t port) { uint8_t v; ASM("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline uint32_t get_dr6(void) { uint32_t v; ASM("mov %%dr6, %0" : "=r"(v)); return v; }
static inline void set_dr(unsigned n, uint32_t v)
{
	switch (n) {
	case 0: ASM("mov %0, %%dr0" :: "r"(v)); break;
	case 1: ASM("mov %0, %%dr1" :: "r"(v)); break;
	case 6: ASM("mov %0, %%dr6" :: "r"(v)); break;
	default: ASM("mov %0, %%dr7" :: "r"(v)); break;
	}
}

/* A piece of code with a name, and labels in it, from its lines. */
#define CODE(name, lines) __asm__(".text\n.globl " #name "\n" #name ":\n" lines); extern void name(void)
#define LABEL(name) extern char name[]

void test_segments(void), test_gates(void), test_tasks(void), test_paging(void), test_debug(void), test_vm86(void),
	test_events(void), test_rules(void);
#ifdef GUEST_ATTACK
void test_middle(void), test_borders(void), test_stores(void), test_rewrite(void), test_selfmap(void), test_million(void),
	test_recursion(void), test_blocks(void), test_floods(void),
	test_floppy(void), test_chips(void), test_control(void);	/* guest/attack */
#endif
void test_tables(void), test_linear(void), test_spaces(void);		/* guest/spaces */

#endif
