/* The benchmark program's runtime: start, output, time, the vDSO's symbols. [System V ABI, Intel386 supplement] */
#include "rt.h"

long (*vsyscall)(void);
int (*vdso_clock_gettime)(int clock, struct timespec32 *ts);

int bench_main(int argc, char **argv);

/* The kernel enters with argc at (%esp) and argv above it; the ABI wants a stack aligned to 16 at a call. */
__asm__(".globl _start\n"
	"_start:\n\t"
	"xorl %ebp, %ebp\n\t"
	"movl %esp, %eax\n\t"
	"andl $-16, %esp\n\t"
	"subl $12, %esp\n\t"
	"pushl %eax\n\t"
	"call start_c\n\t"
	"hlt\n");

__attribute__((used)) void start_c(long *stack)
{
	int argc = stack[0];
	char **argv = (char **)(stack + 1), **env = argv + argc + 1;

	while (*env)
		env++;
	runtime_start(env + 1);
	sys1(SYS_EXIT, bench_main(argc, argv));
}

/* gcc may turn loops into calls of these. */
void *memcpy(void *to, const void *from, size_t n)
{
	void *d = to;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n) : : "memory");
	return to;
}

void *memset(void *to, int c, size_t n)
{
	void *d = to;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return to;
}

uint64_t div64(uint64_t n, uint32_t by)
{
	uint32_t high = n >> 32, low = n, q_high = high / by, q_low, rest = high % by;

	__asm__("divl %4" : "=a"(q_low), "=d"(rest) : "a"(low), "d"(rest), "rm"(by) : "cc");
	return (uint64_t)q_high << 32 | q_low;
}

uint32_t random32(uint32_t *state)
{
	uint32_t x = *state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *state = x;
}

void put(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	sys3(SYS_WRITE, 1, text, n);
}

void put_number(uint64_t value, unsigned decimals)
{
	char buf[24], *p = buf + sizeof(buf) - 1;
	unsigned digits = 0;

	*p = 0;
	do {
		uint64_t q = div64(value, 10);

		if (decimals && digits == decimals)
			*--p = '.';
		*--p = '0' + (unsigned)(value - q * 10);
		value = q;
		digits++;
	} while (value || digits <= decimals);
	put(p);
}

void put_hex(uint32_t value)
{
	char buf[9];

	for (int i = 7; i >= 0; i--, value >>= 4)
		buf[i] = "0123456789abcdef"[value & 15];
	buf[8] = 0;
	put(buf);
}

_Noreturn void die(const char *why)
{
	put("bench: ");
	put(why);
	put("\n");
	for (;;)
		sys1(SYS_EXIT, 1);
}

int text_equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

void *map(size_t size_bytes, int prot, int flags, int fd)
{
	long at;

	/* The sixth argument, the offset, goes in EBP, which C cannot name as an operand: it is 0. */
	__asm__ volatile("pushl %%ebp; xorl %%ebp, %%ebp; int $0x80; popl %%ebp" : "=a"(at) :
	    "a"(SYS_MMAP2), "b"(0), "c"(size_bytes), "d"(prot), "S"(flags), "D"(fd) : "memory");
	if ((unsigned long)at > -4096ul)
		die("mmap failed");
	return (void *)at;
}

uint64_t cpu_time_ns(void)
{
	enum { CLOCK_PROCESS_CPUTIME_ID = 2, RUSAGE_CHILDREN = -1 };
	struct timespec32 self = { 0 };
	long rusage[18] = { 0 };	/* ru_utime and ru_stime (seconds, microseconds) come first */

	sys2(SYS_CLOCK_GETTIME, CLOCK_PROCESS_CPUTIME_ID, &self);
	sys2(SYS_GETRUSAGE, RUSAGE_CHILDREN, rusage);
	return (uint64_t)self.sec * 1000000000u + self.nsec +
	    (uint64_t)(rusage[0] + rusage[2]) * 1000000000u + (uint64_t)(rusage[1] + rusage[3]) * 1000u;
}

/* --- the vDSO: a small ELF image the kernel maps, found through the auxiliary vector --- */

struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version, entry, phoff, shoff, flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf_segment {
	uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};
struct elf_symbol {
	uint32_t name, value, size;
	uint8_t info, other;
	uint16_t section;
};

static uint32_t vdso_symbol(uint32_t image, const char *name)
{
	enum { PT_LOAD = 1, PT_DYNAMIC = 2, DT_HASH = 4, DT_STRTAB = 5, DT_SYMTAB = 6 };
	const struct elf_header *header = (void *)image;
	const struct elf_segment *seg = (void *)(image + header->phoff);
	uint32_t base = image, *dynamic = NULL, *hash = NULL;
	const struct elf_symbol *symbols = NULL;
	const char *strings = NULL;

	for (int i = 0; i < header->phnum; i++) {
		if (seg[i].type == PT_LOAD)
			base = image + seg[i].offset - seg[i].vaddr;
		else if (seg[i].type == PT_DYNAMIC)
			dynamic = (void *)(image + seg[i].offset);
	}
	for (; dynamic && dynamic[0]; dynamic += 2) {
		if (dynamic[0] == DT_HASH)
			hash = (void *)(base + dynamic[1]);
		else if (dynamic[0] == DT_STRTAB)
			strings = (void *)(base + dynamic[1]);
		else if (dynamic[0] == DT_SYMTAB)
			symbols = (void *)(base + dynamic[1]);
	}
	if (!hash || !strings || !symbols)
		return 0;
	for (uint32_t i = 0; i < hash[1]; i++) {
		if (symbols[i].section && text_equal(strings + symbols[i].name, name))
			return base + symbols[i].value;
	}
	return 0;
}

void runtime_start(char **envp_end)
{
	enum { AT_NULL = 0, AT_SYSINFO = 32, AT_SYSINFO_EHDR = 33 };

	for (uint32_t *aux = (uint32_t *)envp_end; aux[0] != AT_NULL; aux += 2) {
		if (aux[0] == AT_SYSINFO)
			vsyscall = (void *)aux[1];
		else if (aux[0] == AT_SYSINFO_EHDR)
			vdso_clock_gettime = (void *)vdso_symbol(aux[1], "__vdso_clock_gettime");
	}
}
