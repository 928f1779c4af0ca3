/*
 * Our decoder against the decoder tests that two projects publish: iced's and Zydis's own.
 *
 * usage: public_cases FOLDER		where the two archives lie; status 77 (skipped) if they do not
 *
 * iced-decoder-16-32.tar.xz: a line is "hex bytes, code, mnemonic, operand count, options"; see parse_line().
 * zydis-cases.tar.xz: x.in is "-32 hex", x.out the disassembler's report.
 * Both cover much that came after SSE2. A case is picked if its mnemonic is one of ours; all others must be
 * #UD, or one of the encodings that had another meaning on a Pentium 4 (old_meaning[]).
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/decode/match.h"

enum { SKIPPED = 77 };

struct tally {
	unsigned long compared, invalid, later, options, memory, explained, differ;
	char known[1024][24];			/* every mnemonic we can come to */
	unsigned count_known;
};

/* --- mnemonics --- */

static bool is_known(const struct tally *t, const char *mnemonic)
{
	for (unsigned i = 0; i < t->count_known; i++)
		if (strcmp(t->known[i], mnemonic) == 0)
			return true;
	return false;
}

static void collect_known(struct tally *t)
{
	static const uint8_t ud[] = { 0x0B, 0xB9, 0xFF };

	for (unsigned name = 1; name < I_COUNT; name++)
	for (unsigned cond = 0; cond < 16; cond++)
	for (unsigned size = 1; size <= 4; size *= 2) {
		struct insn in = {
			.name = name, .cond = name == I_FCMOVCC ? cond & 7 : cond, .opsize = size == 4 ? 4 : 2,
			.adsize = size == 4 ? 4 : 2, .opcode = ud[cond % 3], .modrm = cond << 3,
		};
		char text[24];

		in.opnd[0].size = size;
		insn_mnemonic(&in, text);
		if (!is_known(t, text) && t->count_known < ARRAY_LEN(t->known))
			strcpy(t->known[t->count_known++], text);
	}
}

/* iced's spelling to that of match.c. */
static void respell(const char *from, char to[24])
{
	static const char condition[][2][4] = {
		{ "e", "z" }, { "ne", "nz" }, { "a", "nbe" }, { "ae", "nb" }, { "g", "nle" }, { "ge", "nl" },
	};
	static const char other[][2][16] = {
		{ "retf", "ret" }, { "wait", "fwait" }, { "sal", "shl" }, { "xlatb", "xlat" },
		{ "fstpnce", "fstp" }, { "reservednop", "nop" },
	};
	static const char stems[][5] = { "j", "set", "cmov" };

	snprintf(to, 24, "%s", from);
	for (char *p = to; *p != '\0'; p++)
		*p = tolower(*p);
	for (unsigned i = 0; i < ARRAY_LEN(other); i++)
		if (strcmp(to, other[i][0]) == 0)
			strcpy(to, other[i][1]);
	for (unsigned i = 0; i < ARRAY_LEN(stems); i++) {
		size_t len = strlen(stems[i]);
		for (unsigned c = 0; c < ARRAY_LEN(condition); c++)
			if (strncmp(to, stems[i], len) == 0 && strcmp(to + len, condition[c][0]) == 0) {
				strcpy(to + len, condition[c][1]);
				return;
			}
	}
}

/* Later instructions in encodings that a Pentium 4 already decodes: as a hint NOP, as BSF, BSR, WBINVD... */
static bool old_meaning(const char *mnemonic, uint16_t ours)
{
	static const struct { const char *stem; uint16_t name; } table[] = {
		{ "tzcnt", I_BSF }, { "lzcnt", I_BSR }, { "wbnoinvd", I_WBINVD }, { "endbr", I_NOP }, { "rdssp", I_NOP },
		{ "cldemote", I_NOP }, { "prefetch", I_NOP }, { "bnd", I_NOP },
	};
	for (unsigned i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].name == ours && strncmp(mnemonic, table[i].stem, strlen(table[i].stem)) == 0)
			return true;
	return false;
}

/* --- iced's operands --- */

static uint8_t type_size(const char *type)
{
	static const struct { const char *stem; uint8_t size; } table[] = {
		{ "Bcd", 10 }, { "Bound16", 4 }, { "Bound32", 8 }, { "DwordOffset", 4 }, { "WordOffset", 2 },
		{ "Fword6", 6 }, { "SegPtr16", 4 }, { "SegPtr32", 6 }, { "SegmentDescSelector", 2 }, { "Fxsave", 0 },
		{ "Unknown", 0 },
	};
	for (unsigned i = 0; i < ARRAY_LEN(table); i++)
		if (strncmp(type, table[i].stem, strlen(table[i].stem)) == 0)
			return table[i].size;
	unsigned number = strtoul(type + strcspn(type, "0123456789"), NULL, 10);
	return strncmp(type, "Fpu", 3) == 0 ? number : number / 8;
}

static bool parse_register(const char *name, struct seen_operand *o)
{
	static const char table[][8][5] = {
		{ "al", "cl", "dl", "bl", "ah", "ch", "dh", "bh" }, { "ax", "cx", "dx", "bx", "sp", "bp", "si", "di" },
		{ "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi" }, { "es", "cs", "ss", "ds", "fs", "gs" },
	};
	static const uint8_t sizes[] = { 1, 2, 4, 0 };
	static const struct { char stem[4]; uint8_t kind; } numbered[] = {
		{ "cr", OPND_CR }, { "dr", OPND_DR }, { "mm", OPND_MMX }, { "xmm", OPND_XMM }, { "st", OPND_ST },
	};
	for (unsigned i = 0; i < ARRAY_LEN(table); i++)
		for (unsigned n = 0; n < 8; n++)
			if (strcmp(name, table[i][n]) == 0) {
				o->kind = i == 3 ? OPND_SREG : OPND_REG;
				o->reg = n;
				o->size = sizes[i];
				return true;
			}
	for (unsigned i = 0; i < ARRAY_LEN(numbered); i++) {
		size_t len = strlen(numbered[i].stem);
		if (strncmp(name, numbered[i].stem, len) == 0 && isdigit(name[len])) {
			o->kind = numbered[i].kind;
			o->reg = atoi(name + len);
			return true;
		}
	}
	return false;
}

static uint8_t register_or_none(const char *name)
{
	struct seen_operand o;
	return *name != '\0' && strcmp(name, "none") != 0 && parse_register(name, &o) ? o.reg : REG_NONE;
}

static uint8_t segment_number(const char *name)
{
	struct seen_operand o = { .reg = 99 };
	parse_register(name, &o);
	return o.reg;
}

/* Cut text at each separator; fields past the last are empty strings. */
static unsigned split(char *text, char separator, char *field[], unsigned max)
{
	unsigned count = 0;

	for (unsigned i = 0; i < max; i++)
		field[i] = "";
	while (text != NULL && count < max) {
		char *next = strchr(text, separator);
		if (next != NULL)
			*next++ = '\0';
		field[count++] = text;
		text = next;
	}
	return count;
}

/* One operand, "kind;field;field...", into s. len: of the instruction (targets are absolute in the file). */
static void parse_operand(struct seen *s, char *text, unsigned len, bool big)
{
	char *f[9];
	struct seen_operand *o = &s->opnd[s->nopnd];

	split(text, ';', f, ARRAY_LEN(f));
	uint32_t number = strtoul(f[1], NULL, 0);
	if (strcmp(f[0], "r") == 0) {
		parse_register(f[1], o);
	} else if (strcmp(f[0], "m") == 0) {	/* segment, base, index, scale, displacement, its size, type */
		o->kind = OPND_MEM;
		o->seg = segment_number(f[1]);
		o->base = register_or_none(f[2]);
		o->index = register_or_none(f[3]);
		o->scale = o->index == REG_NONE ? 0 : __builtin_ctz(atoi(f[4]) | 16);
		o->disp = (int32_t)strtoul(f[5], NULL, 0);
		if (s->adsize == 2)
			o->disp = (int16_t)o->disp;
		o->size = type_size(f[7]);
	} else if (strncmp(f[0], "nb", 2) == 0) {
		uint32_t next = (big ? 0x7FFFFFF0u : 0x7FF0) + len;
		o->kind = OPND_REL;
		o->imm = strcmp(f[0], "nb16") == 0 ? (uint32_t)(int16_t)(number - next) : number - next;
	} else if (strncmp(f[0], "fb", 2) == 0) {	/* selector, offset */
		o->kind = OPND_FAR;
		o->size = atoi(f[0] + 2) / 8 + 2;
		o->selector = number;
		o->imm = strtoul(f[2], NULL, 0);
	} else if (f[0][0] == 'i') {			/* i8, i16, i32, i8to16, i8to32, i8_2nd */
		const char *to = strstr(f[0], "to");
		o->kind = OPND_IMM;
		o->size = atoi(to != NULL ? to + 2 : f[0] + 1) / 8;
		o->imm = o->size == 4 ? number : number & (BIT(8 * o->size) - 1);
	}
	s->nopnd++;
}

/* String instructions: "esedi;type" and "segesi;segment;type" say what element and source_seg say. */
static void parse_string_operand(struct seen *s, char *text)
{
	char *f[9];

	split(text, ';', f, ARRAY_LEN(f));
	if (strncmp(f[0], "seg", 3) == 0) {
		s->source_seg = segment_number(f[1]);
		s->element = type_size(f[2]);
	} else if (strncmp(f[0], "es", 2) == 0) {
		s->element = type_size(f[1]);
	} else if (strcmp(f[0], "m") == 0) {		/* XLAT */
		s->source_seg = segment_number(f[1]);
	}
}

/* The last field: " op0=... op1=... word word=...". False if it names a decoder option (not our CPU). */
static bool parse_options(struct seen *s, char *text, const struct insn *in, unsigned len, bool big)
{
	char *word[24];
	unsigned count = split(text, ' ', word, ARRAY_LEN(word));

	for (unsigned i = 0; i < count; i++) {
		if (strncmp(word[i], "decopt=", 7) == 0)
			return false;
		if (strncmp(word[i], "op", 2) != 0 || word[i][3] != '=' || s->nopnd == 4)
			continue;
		if (is_string(in->name) || in->name == I_XLAT)
			parse_string_operand(s, word[i] + 4);
		else if (strncmp(word[i] + 4, "seg", 3) != 0)	/* MASKMOVQ's implied DS:EDI */
			parse_operand(s, word[i] + 4, len, big);
	}
	return true;
}

/* --- comparing --- */

static void drop_unsaid_st0(const struct seen *ours, struct seen *theirs)
{
	if (theirs->nopnd == ours->nopnd + 1 && theirs->opnd[0].kind == OPND_ST && theirs->opnd[0].reg == 0) {
		theirs->nopnd--;
		memmove(theirs->opnd, theirs->opnd + 1, 3 * sizeof(theirs->opnd[0]));
	}
}

/* The differences of opinion with iced. */
static const struct opinion {
	uint16_t name;
	const char *what, *why;
} opinions[] = {
	{ I_NOP, "operand count", "iced lists the reg field of reserved NOPs" },
	{ I_LAR, "operand size", "16 bits of the source are used" },
	{ I_LSL, "operand size", "as LAR" },
	{ I_ARPL, "operand size", "the SDM: r/m16, r16 whatever the operand size" },
	{ I_MOV, "operand size", "MOV Sreg, r/m16: 16 bits of the source are used" },
	{ I_LLDT, "operand size", "r/m16" }, { I_LTR, "operand size", "r/m16" },
	{ I_VERR, "operand size", "r/m16" }, { I_VERW, "operand size", "r/m16" },
	{ I_LMSW, "operand size", "r/m16" },
	{ I_UD, "operand size", "the SDM: UD0, UD1 r32, r/m32" },
	{ I_CLFLUSH, "operand size", "an address, not data" },
	{ I_INVLPG, "operand size", "an address, not data" },
};

static bool is_explained(struct tally *t, const struct insn *in, const char *what)
{
	for (unsigned i = 0; i < ARRAY_LEN(opinions); i++) {
		if (in->name != opinions[i].name || strcmp(what, opinions[i].what) != 0)
			continue;
		if (in->name == I_MOV && in->opnd[0].kind != OPND_SREG)
			return false;
		t->explained++;
		return true;
	}
	return false;
}

static size_t parse_hex(const char *text, uint8_t *code, size_t max)
{
	size_t count = 0;

	while (*text != '\0' && count < max) {
		unsigned byte;
		if (*text == ' ') {
			text++;
			continue;
		}
		if (sscanf(text, "%2x", &byte) != 1)
			break;
		code[count++] = byte;
		text += 2;
	}
	return count;
}

static void report(struct tally *t, const char *what, const char *line, const struct seen *ours, const struct seen *theirs)
{
	if (t->differ++ >= 20)
		return;
	printf("%s: %s\n", what, line);
	print_seen("ours ", ours);
	if (theirs != NULL)
		print_seen("theirs", theirs);
}

static void compare_line(struct tally *t, const char *line, bool big)
{
	char copy[1024], *field[5];
	uint8_t code[32];
	struct insn in;
	struct seen ours, theirs = { .verdict = SEEN_OK };

	snprintf(copy, sizeof(copy), "%s", line);
	if (split(copy, ',', field, 5) < 4)
		return;
	size_t len = parse_hex(field[0], code, sizeof(code));
	see_ours(&ours, &in, code, len, big);
	theirs.len = len;
	theirs.adsize = ours.adsize;
	theirs.opsize = ours.opsize;		/* the file does not say */
	respell(field[2] + 1, theirs.mnemonic);
	if (!parse_options(&theirs, field[4], &in, len, big)) {
		t->options++;
	} else if (strcmp(theirs.mnemonic, "invalid") == 0) {
		t->invalid++;
		if (ours.verdict == SEEN_OK)
			report(t, "invalid to iced", line, &ours, NULL);
	} else if (!is_known(t, theirs.mnemonic) || strstr(field[0], "0F3A") != NULL) {
		t->later++;	/* 0F 3A 15 is PEXTRW too, of SSE4.1 */
		if (ours.verdict == SEEN_OK && !old_meaning(theirs.mnemonic, in.name))
			report(t, "later than SSE2", line, &ours, NULL);
	} else {
		t->compared++;
		drop_unsaid_st0(&ours, &theirs);
		const char *what = seen_difference(&ours, &theirs);
		if (what != NULL && !is_explained(t, &in, what))
			report(t, what, line, &ours, &theirs);
	}
}

/* "hex, code, register, override, segment, base, index, scale, displacement, ...": memory operands alone. */
static void compare_memory_line(struct tally *t, const char *line, bool big)
{
	char copy[1024], *field[10];
	uint8_t code[32];
	struct insn in;
	struct seen ours, theirs = { .verdict = SEEN_OK };

	snprintf(copy, sizeof(copy), "%s", line);
	if (split(copy, ',', field, 10) < 10 || strncmp(field[1], " Add", 4) != 0)
		return;
	theirs.len = parse_hex(field[0], code, sizeof(code));
	see_ours(&ours, &in, code, theirs.len, big);
	theirs.adsize = ours.adsize;
	strcpy(theirs.mnemonic, "add");
	theirs.nopnd = 2;
	theirs.opnd[0] = (struct seen_operand){
		.kind = OPND_MEM, .size = ours.opnd[0].size,
		.seg = segment_number(field[4] + 1), .base = register_or_none(field[5] + 1),
		.index = register_or_none(field[6] + 1), .scale = atoi(field[7]), .disp = (int32_t)strtoul(field[8], NULL, 0),
	};
	if (ours.adsize == 2)
		theirs.opnd[0].disp = (int16_t)theirs.opnd[0].disp;
	if (theirs.opnd[0].index == REG_NONE)		/* iced keeps the scale of an index that is not there */
		theirs.opnd[0].scale = 0;
	parse_register(field[2] + 1, &theirs.opnd[1]);
	t->memory++;
	const char *what = seen_difference(&ours, &theirs);
	if (what != NULL)
		report(t, what, line, &ours, &theirs);
}

/* --- the archives --- */

static FILE *open_member(const char *folder, const char *archive, const char *member)
{
	char command[1024];

	snprintf(command, sizeof(command), "tar -xJOf '%s/%s' %s", folder, archive, member);
	return popen(command, "r");
}

static void read_lines(struct tally *t, const char *folder, const char *member, bool big,
    void (*compare)(struct tally *t, const char *line, bool big))
{
	char line[1024];
	FILE *f = open_member(folder, "iced-decoder-16-32.tar.xz", member);

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\r\n")] = '\0';
		if (line[0] != '#' && line[0] != '\0')
			compare(t, line, big);
	}
	if (f != NULL)
		pclose(f);
}

struct zydis_case {
	unsigned bits, len;
	size_t count;
	uint8_t code[32];
	char mnemonic[24];
};

/* name.in: "-32 hex"; name.out: lines "MNEMONIC: x", "LENGTH: n". One after the other. */
static struct zydis_case read_zydis_case(const char *folder, const char *name)
{
	struct zydis_case c = { 0 };
	char members[600], line[256];
	int start = 0;

	snprintf(members, sizeof(members), "%s.in %s.out", name, name);
	FILE *f = open_member(folder, "zydis-cases.tar.xz", members);
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		char *mnemonic = strstr(line, "MNEMONIC: "), *len = strstr(line, "LENGTH: ");

		if (c.count == 0 && sscanf(line, "-%u %n", &c.bits, &start) == 1 && start != 0)
			c.count = parse_hex(line + start, c.code, sizeof(c.code));
		if (mnemonic != NULL)
			sscanf(mnemonic, "MNEMONIC: %23s", c.mnemonic);
		if (len != NULL)
			sscanf(len, "LENGTH: %u", &c.len);
	}
	if (f != NULL)
		pclose(f);
	return c;
}

static void compare_zydis_case(struct tally *t, const struct zydis_case *c, const char *name)
{
	struct insn in;
	struct seen ours;

	see_ours(&ours, &in, c->code, c->count, c->bits == 32);
	if (!is_known(t, c->mnemonic)) {
		t->later++;
		if (ours.verdict == SEEN_OK && !old_meaning(c->mnemonic, in.name))
			report(t, "later than SSE2", name, &ours, NULL);
		return;
	}
	t->compared++;
	if (ours.verdict != SEEN_OK || ours.len != c->len || strcmp(ours.mnemonic, c->mnemonic) != 0)
		report(t, c->mnemonic, name, &ours, NULL);
}

/* Most of the cases are for 64-bit mode. */
static void read_zydis(struct tally *t, const char *folder)
{
	char command[1024], name[256];

	snprintf(command, sizeof(command), "tar -tJf '%s/zydis-cases.tar.xz' | sed -n 's/[.]in$//p'", folder);
	FILE *names = popen(command, "r");
	while (names != NULL && fgets(name, sizeof(name), names) != NULL) {
		name[strcspn(name, "\n")] = '\0';
		struct zydis_case c = read_zydis_case(folder, name);
		if (c.bits == 16 || c.bits == 32)
			compare_zydis_case(t, &c, name);
	}
	if (names != NULL)
		pclose(names);
}

static bool have(const char *folder, const char *archive)
{
	char path[1024];
	snprintf(path, sizeof(path), "%s/%s", folder, archive);
	return access(path, R_OK) == 0;
}

int main(int argc, char **argv)
{
	static struct tally t;

	if (argc != 2 || !have(argv[1], "iced-decoder-16-32.tar.xz") || !have(argv[1], "zydis-cases.tar.xz")) {
		printf("skipped: decode against public cases (no iced-decoder-16-32.tar.xz and zydis-cases.tar.xz)\n");
		return SKIPPED;
	}
	collect_known(&t);
	read_lines(&t, argv[1], "iced-DecoderTest16.txt", false, compare_line);
	read_lines(&t, argv[1], "iced-DecoderTest32.txt", true, compare_line);
	read_lines(&t, argv[1], "iced-MemoryTest16.txt", false, compare_memory_line);
	read_lines(&t, argv[1], "iced-MemoryTest32.txt", true, compare_memory_line);
	read_zydis(&t, argv[1]);
	printf("decode against public cases: %lu compared and %lu memory operands, %lu invalid, %lu later than SSE2, "
	    "%lu for other CPUs left out; %lu differences explained, %lu not\n",
	    t.compared, t.memory, t.invalid, t.later, t.options, t.explained, t.differ);
	return t.differ != 0 || t.compared < 5000 || t.memory < 1000;
}
