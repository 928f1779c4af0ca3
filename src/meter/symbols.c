/*
 * System.map is what nm prints: "c1000000 T name". Of an ELF file the functions of its symbol table are taken, and
 * labels of assembly in sections that are executed.				[Tool Interface Standard, "ELF"]
 *
 * The files are a guest's, perhaps made by its owner: every offset in them is checked.
 */
#include "meter/symbols.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYMBOLS_MAX	4000000u
#define FAR_AWAY	(4u << 20)	/* no function without a size is as long */

static bool add(struct symbols *s, uint32_t address, uint32_t size, const char *name, size_t len)
{
	if (len == 0 || s->n == SYMBOLS_MAX)
		return true;
	if (s->n == s->room) {
		size_t room = s->room ? s->room * 2 : 1024;
		struct symbol *p = realloc(s->symbol, room * sizeof(*p));

		if (p == NULL)
			return false;
		s->symbol = p;
		s->room = room;
	}
	char *copy = strndup(name, len);
	if (copy == NULL)
		return false;
	for (char *p = copy; *p; p++)		/* what separates names in folded stacks, and what no name has */
		if (*p == ';' || (unsigned char)*p <= ' ' || *p == 0x7F)
			*p = '_';
	s->symbol[s->n++] = (struct symbol){ address, size, copy };
	return true;
}

/* --- System.map --- */

static bool map_line(struct symbols *s, const char *p, const char *end)
{
	uint64_t address = 0;
	unsigned digits = 0;

	for (; p < end && isxdigit((unsigned char)*p); p++, digits++)
		address = address << 4 | (unsigned)(isdigit((unsigned char)*p) ? *p - '0' : (*p | 32) - 'a' + 10);
	if (digits == 0 || digits > 16 || address > UINT32_MAX || end - p < 4 || p[0] != ' ' || p[2] != ' ')
		return true;
	if (strchr("tTwW", p[1]) == NULL)		/* code only */
		return true;
	const char *name = p + 3, *stop = name;
	while (stop < end && *stop != '\t' && *stop != '\r' && *stop != ' ')
		stop++;
	return add(s, (uint32_t)address, 0, name, (size_t)(stop - name));
}

static int load_map(struct symbols *s, const char *text, size_t size)
{
	for (const char *p = text, *end = text + size, *next; p < end; p = next) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		next = nl ? nl + 1 : end;
		if (!map_line(s, p, nl ? nl : end))
			return -ENOMEM;
	}
	return 0;
}

/* --- ELF --- */

struct elf {
	const uint8_t *file;
	size_t size;
	Elf32_Ehdr head;
};

static bool elf_read(const struct elf *e, uint64_t at, void *to, size_t len)
{
	if (at > e->size || len > e->size - at)
		return false;
	memcpy(to, e->file + at, len);
	return true;
}

static bool elf_section(const struct elf *e, unsigned i, Elf32_Shdr *s)
{
	return i < e->head.e_shnum && e->head.e_shentsize == sizeof(*s) &&
	    elf_read(e, e->head.e_shoff + (uint64_t)i * sizeof(*s), s, sizeof(*s));
}

static bool elf_symbol(struct symbols *s, const struct elf *e, const Elf32_Sym *sym, const Elf32_Shdr *strings)
{
	unsigned type = ELF32_ST_TYPE(sym->st_info);
	Elf32_Shdr in;

	if (sym->st_shndx == SHN_UNDEF || sym->st_name >= strings->sh_size || (type != STT_FUNC && type != STT_NOTYPE))
		return true;
	if (type == STT_NOTYPE && !(elf_section(e, sym->st_shndx, &in) && in.sh_flags & SHF_EXECINSTR))
		return true;
	uint64_t at = (uint64_t)strings->sh_offset + sym->st_name, end = (uint64_t)strings->sh_offset + strings->sh_size;
	end = MIN(end, (uint64_t)e->size);
	if (at >= end)
		return true;
	const char *name = (const char *)e->file + at;
	return add(s, sym->st_value, sym->st_size, name, strnlen(name, (size_t)(end - at)));
}

static int load_elf(struct symbols *s, const uint8_t *file, size_t size)
{
	struct elf e = { .file = file, .size = size };
	Elf32_Shdr table, strings;
	Elf32_Sym sym;

	if (!elf_read(&e, 0, &e.head, sizeof(e.head)) || e.head.e_ident[EI_CLASS] != ELFCLASS32 || e.head.e_ident[EI_DATA] != ELFDATA2LSB)
		return -ENOEXEC;
	for (unsigned i = 0; elf_section(&e, i, &table); i++) {
		if (table.sh_type != SHT_SYMTAB || table.sh_entsize != sizeof(sym) || !elf_section(&e, table.sh_link, &strings))
			continue;
		for (uint64_t k = 0; k < table.sh_size / sizeof(sym); k++) {
			if (!elf_read(&e, table.sh_offset + k * sizeof(sym), &sym, sizeof(sym)))
				break;
			if (!elf_symbol(s, &e, &sym, &strings))
				return -ENOMEM;
		}
	}
	return 0;
}

/* --- either --- */

static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return strcmp(x->name, y->name);
}

int symbols_load(struct symbols *s, const char *path, struct error *err)
{
	struct stat st = { 0 };
	size_t before = s->n;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		int why = fd < 0 || S_ISREG(st.st_mode) ? errno : EINVAL;

		if (fd >= 0)
			close(fd);
		return error_set(err, -why, "--symbols '%s': %s", path, strerror(why));
	}
	size_t size = (size_t)st.st_size;
	const uint8_t *p = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
	int why = errno;
	close(fd);
	if (p == MAP_FAILED)
		return error_set(err, -why, "--symbols '%s': %s", path, strerror(why));
	bool elf = size >= 4 && memcmp(p, ELFMAG, 4) == 0;
	int rc = elf ? load_elf(s, p, size) : load_map(s, (const char *)p, size);
	if (p)
		munmap((void *)(uintptr_t)p, size);
	if (rc == 0 && s->n == before)
		rc = -ENOEXEC;
	if (rc < 0) {
		while (s->n > before)
			free(s->symbol[--s->n].name);
		return error_set(err, rc, "--symbols '%s': %s", path, rc != -ENOEXEC ? strerror(-rc) :
		    elf ? "no 32-bit ELF file with a symbol table" : "no function is named in it: it is no System.map and no ELF file");
	}
	qsort(s->symbol, s->n, sizeof(s->symbol[0]), by_address);
	return 0;
}

void symbols_free(struct symbols *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->symbol[i].name);
	free(s->symbol);
	*s = (struct symbols){ 0 };
}

const char *symbols_find(const struct symbols *s, uint32_t address)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (s->symbol[mid].address <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0)
		return NULL;
	const struct symbol *f = &s->symbol[lo - 1];
	/* of several names for one address the one with a size, else the first */
	for (size_t i = lo - 1; i > 0 && s->symbol[i - 1].address == f->address; i--)
		if (s->symbol[i - 1].size || !f->size)
			f = &s->symbol[i - 1];
	return address - f->address < (f->size ? f->size : FAR_AWAY) ? f->name : NULL;
}
