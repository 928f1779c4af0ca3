/*
 * Our decoder against Zydis over the whole opcode space.
 *
 * usage: compare_zydis [random byte strings]
 *
 * Exhaustive part: every opcode of the one-byte and 0F maps, 0F 38 and 0F 3A, with every ModRM byte, SIB
 * bytes of every kind, two displacements, every prefix combination that changes meaning, in 16- and
 * 32-bit code; every SIB byte with every segment override; the 15-byte limit; truncated input.
 * Every difference must fall in a class of the table below, which says who is right and why.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/decode/match.h"

/* --- the differences, explained --- */

static bool what_is(const char *what, const char *expected)
{
	return strcmp(what, expected) == 0;
}

static bool isa_set_among(const struct pair *p, const uint8_t *sets, size_t count)
{
	if (p->ours.verdict != SEEN_UD || p->theirs.verdict != SEEN_OK)
		return false;
	for (size_t i = 0; i < count; i++)
		if (p->zin.meta.isa_set == sets[i])
			return true;
	return false;
}

static bool is_later_intel(const struct pair *p, const char *what)
{
	static const uint8_t sets[] = {
#define SET(name) ZYDIS_ISA_SET_##name
		SET(SSE3), SET(MONITOR), SET(SSSE3), SET(SSSE3MMX), SET(SSE4), SET(SSE42), SET(POPCNT),
		SET(AES), SET(PCLMULQDQ), SET(GFNI), SET(SHA), SET(MOVBE), SET(ADOX_ADCX), SET(RDRAND),
		SET(RDSEED), SET(RDTSCP), SET(RDPID), SET(RDWRFSGS), SET(CLFLUSHOPT), SET(CLWB), SET(XSAVE),
		SET(XSAVEC), SET(XSAVEOPT), SET(XSAVES), SET(SMAP), SET(PKU), SET(PT), SET(CET), SET(INVPCID),
		SET(SMX), SET(VTX), SET(VMFUNC), SET(RTM), SET(TSX_LDTRK), SET(SGX), SET(SGX_ENCLV),
		SET(PCONFIG), SET(WAITPKG), SET(MOVDIR), SET(ENQCMD), SET(SERIALIZE), SET(HRESET),
		SET(KEYLOCKER), SET(KEYLOCKER_WIDE), SET(TDX), SET(UINTR), SET(CLDEMOTE),
	};
	return isa_set_among(p, sets, ARRAY_LEN(sets));
}

static bool is_other_vendor(const struct pair *p, const char *what)
{
	static const uint8_t sets[] = {
		SET(AMD), SET(AMD3DNOW), SET(AMD_INVLPGB), SET(SVM), SET(SSE4A), SET(CLZERO), SET(MCOMMIT),
		SET(MONITORX), SET(RDPRU), SET(SNP), SET(PADLOCK_ACE), SET(PADLOCK_PHE), SET(PADLOCK_PMM),
		SET(PADLOCK_RNG),
#undef SET
	};
	return isa_set_among(p, sets, ARRAY_LEN(sets));
}

static bool is_vex(const struct pair *p, const char *what)
{
	return p->ours.verdict == SEEN_UD && p->theirs.verdict == SEEN_OK &&
	    p->zin.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
	    p->zin.encoding != ZYDIS_INSTRUCTION_ENCODING_3DNOW;
}

/* Where #UD is certain from what has been read, more bytes are not asked for. */
static bool is_ud_known_earlier(const struct pair *p, const char *what)
{
	return p->ours.verdict == SEEN_UD &&
	    (p->theirs.verdict == SEEN_SHORT || p->theirs.verdict == SEEN_TOO_LONG);
}

static bool is_cut_over_15(const struct pair *p, const char *what)
{
	return p->ours.verdict == SEEN_SHORT && p->theirs.verdict == SEEN_TOO_LONG && p->avail < 15;
}

static bool is_hint_nop_name(const struct pair *p, const char *what)
{
	return p->in.name == I_NOP && p->in.opcode == 0x0D && what_is(what, "mnemonic") &&
	    memcmp(p->theirs.mnemonic, "prefetch", 8) == 0;
}

static bool is_hint_nop_operand(const struct pair *p, const char *what)
{
	return p->in.name == I_NOP && (what_is(what, "operand count") || what_is(what, "register")) &&
	    (p->in.opcode == 0x0D || (p->in.opcode >= 0x19 && p->in.opcode <= 0x1F));
}

static bool is_x87_synonym(const struct pair *p, const char *what)
{
	static const char synonyms[][2][16] = {
		{ "fneni", "feni8087_nop" }, { "fndisi", "fdisi8087_nop" }, { "fnsetpm", "fsetpm287_nop" },
		{ "fstp", "fstpnce" },
	};
	for (unsigned i = 0; what_is(what, "mnemonic") && i < ARRAY_LEN(synonyms); i++)
		if (strcmp(p->ours.mnemonic, synonyms[i][0]) == 0 && strcmp(p->theirs.mnemonic, synonyms[i][1]) == 0)
			return true;
	return false;
}

static bool is_lea_segment(const struct pair *p, const char *what)
{
	return p->in.name == I_LEA && what_is(what, "segment") && (p->in.prefix & PREFIX_SEG);
}

static bool is_lar_source(const struct pair *p, const char *what)
{
	return (p->in.name == I_LAR || p->in.name == I_LSL) && what_is(what, "operand size") &&
	    p->ours.opnd[1].kind == OPND_REG && p->ours.opnd[1].size == 2 && p->theirs.opnd[1].size == 4;
}

static bool is_address_only(const struct pair *p, const char *what)
{
	return (p->in.name == I_CLFLUSH || p->in.name == I_INVLPG) && what_is(what, "operand size");
}

static const struct difference_class {
	const char *why;
	bool (*covers)(const struct pair *p, const char *what);
} classes[] = {
	{ "Zydis decodes Intel extensions later than the Pentium 4's SSE2: #UD here", is_later_intel },
	{ "Zydis decodes AMD's and VIA's extensions (SYSCALL too, 64-bit only on Intel): #UD here", is_other_vendor },
	{ "Zydis decodes VEX, EVEX, XOP: the register forms of LES, LDS, BOUND, POP Ev are #UD here", is_vex },
	{ "#UD is certain before the bytes run out or pass 15: Zydis reads on first", is_ud_known_earlier },
	{ "cut before byte 15 and bound to pass it: Zydis knows already, here the missing byte is asked for", is_cut_over_15 },
	{ "0F 0D: a NOP to Intel's later Pentium 4, AMD's prefetch to Zydis", is_hint_nop_name },
	{ "hint NOPs 0F 0D, 0F 19-1F: one operand (SDM: NOP Ev); Zydis lists ModRM.reg too", is_hint_nop_operand },
	{ "x87: Zydis has names of its own for FNENI, FNDISI, FNSETPM and FSTP at D9 D8", is_x87_synonym },
	{ "LEA reads no memory: Zydis drops the segment override, here seg keeps it", is_lea_segment },
	{ "LAR, LSL read 16 bits of their source: Zydis lists the whole register", is_lar_source },
	{ "CLFLUSH, INVLPG use an address, not data: Zydis says 64 bytes and 1, here 1 and 0", is_address_only },
};

/* --- flags --- */

static const struct flags_difference {
	uint16_t names[6];
	const char *why;
} flags_differences[] = {
	{ { I_ROL, I_ROR, I_RCL, I_RCR }, "rotates: exact for a constant count here, the general case in Zydis" },
	{ { I_SHL, I_SHR, I_SAR, I_SHLD, I_SHRD }, "shifts: likewise; and what a count of 0 leaves alone is read" },
	{ { I_CMPS, I_SCAS }, "REP CMPS, SCAS: what a count of 0 leaves alone is read; Zydis reads Z" },
	{ { I_SBB }, "SBB: the SDM defines AF, Zydis does not" },
	{ { I_INT, I_INT3, I_INT1, I_INTO }, "INT pushes the flags: all are read" },
	{ { I_POPF, I_IRET }, "POPF, IRET: I stays where CPL > IOPL" },
	{ { I_FCOMI, I_FCOMIP, I_FUCOMI, I_FUCOMIP }, "FCOMI: flags stay if #IA is unmasked" },
	{ { I_MOV_CR, I_MOV_DR }, "MOV CR, DR: the SDM leaves the arithmetic flags undefined" },
};

static bool flags_equal(const struct pair *p)
{
	enum { ALL = FLAG_ARITH | FLAG_T | FLAG_I | FLAG_D };
	const struct insn_flags f = insn_flags(&p->in);
	const ZydisAccessedFlags *z = p->zin.cpu_flags;

	if (z == NULL)
		return (f.reads | f.writes | f.undef) == 0;
	return f.reads == (z->tested & ALL) && f.undef == (z->undefined & ALL) &&
	    f.writes == ((z->modified | z->set_0 | z->set_1) & ALL);
}

static bool flags_explained(uint16_t name, unsigned *which)
{
	for (unsigned i = 0; i < ARRAY_LEN(flags_differences); i++)
		for (unsigned n = 0; n < ARRAY_LEN(flags_differences[i].names); n++)
			if (flags_differences[i].names[n] == name) {
				*which = i;
				return true;
			}
	return false;
}

/* --- running --- */

struct comparison {
	ZydisDecoder decoder[2];		/* 16-bit, 32-bit code */
	unsigned long cases, valid, unexplained;
	unsigned long in_class[ARRAY_LEN(classes)], in_flags_class[ARRAY_LEN(flags_differences)];
	struct pair pair;
};

static void compare_flags(struct comparison *c)
{
	unsigned which;

	if (c->pair.ours.verdict != SEEN_OK || c->pair.theirs.verdict != SEEN_OK || flags_equal(&c->pair))
		return;
	if (flags_explained(c->pair.in.name, &which))
		c->in_flags_class[which]++;
	else if (c->unexplained++ < 20)
		pair_print(&c->pair, "flags");
}

/* Is the stretch of bytes decoded alike? Returns our length, 0 where there was no instruction. */
static unsigned compare(struct comparison *c, const uint8_t *code, size_t avail, bool big)
{
	struct pair *p = &c->pair;

	pair_decode(p, &c->decoder[big], code, avail, big);
	c->cases++;
	c->valid += p->ours.verdict == SEEN_OK;
	const char *what = seen_difference(&p->ours, &p->theirs);
	if (what != NULL) {
		unsigned i = 0;

		while (i < ARRAY_LEN(classes) && !classes[i].covers(p, what))
			i++;
		if (i < ARRAY_LEN(classes))
			c->in_class[i]++;
		else if (c->unexplained++ < 20)
			pair_print(p, what);
	} else {
		compare_flags(c);
	}
	return p->ours.verdict == SEEN_OK ? p->in.len : 0;
}

struct bytes {
	uint8_t byte[32];
	size_t count;
};

static void append(struct bytes *b, const void *from, size_t count)
{
	memcpy(b->byte + b->count, from, count);
	b->count += count;
}

/* What may follow ModRM: SIB bytes of every kind, displacements and immediates of both signs. */
static const uint8_t tails[][12] = {
	{ 0x25, 0x81, 0x92, 0xA3, 0xF4, 0x45, 0x56, 0x67, 0x78, 0x89, 0x9A, 0xAB },	/* no index, disp32 base */
	{ 0xCC, 0x7F, 0x02, 0x03, 0x04, 0xB5, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x8B },	/* base ESP, index ECX * 8 */
	{ 0x6D, 0xFE, 0xFF, 0xFF, 0xFF, 0x80, 0xFF, 0xFF, 0xFF, 0x7F, 0x00, 0x00 },	/* base and index EBP */
};
/* A SIB byte follows, if this is ModRM and addresses are 32 bits wide: all tails; else the first two. */
static unsigned tails_for(uint8_t modrm)
{
	return modrm < 0xC0 && (modrm & 7) == 4 ? 3 : 2;
}

static void compare_opcode(struct comparison *c, struct bytes start, bool big)
{
	for (unsigned modrm = 0; modrm < 256; modrm++) {
		for (unsigned t = 0; t < tails_for(modrm); t++) {
			struct bytes b = start;
			b.byte[b.count++] = modrm;
			append(&b, tails[t], sizeof(tails[t]));
			compare(c, b.byte, b.count, big);
		}
	}
}

static void compare_maps(struct comparison *c, struct bytes prefixes, bool big)
{
	static const struct { uint8_t byte[2], count; } maps[] = {
		{ { 0 }, 0 }, { { 0x0F }, 1 }, { { 0x0F, 0x38 }, 2 }, { { 0x0F, 0x3A }, 2 },
	};
	for (unsigned map = 0; map < ARRAY_LEN(maps); map++) {
		for (unsigned op = 0; op < 256; op++) {
			struct bytes b = prefixes;
			append(&b, maps[map].byte, maps[map].count);
			b.byte[b.count++] = op;
			compare_opcode(c, b, big);
		}
	}
}

static void compare_all_opcodes(struct comparison *c)
{
	static const struct { uint8_t byte[4], count; } prefixes[] = {
		{ { 0 }, 0 }, { { 0x66 }, 1 }, { { 0x67 }, 1 }, { { 0x66, 0x67 }, 2 }, { { 0xF2 }, 1 }, { { 0xF3 }, 1 },
		{ { 0x66, 0xF2 }, 2 }, { { 0xF3, 0x66 }, 2 }, { { 0xF2, 0xF3 }, 2 }, { { 0xF3, 0xF2 }, 2 },
		{ { 0xF3, 0x67 }, 2 }, { { 0xF0 }, 1 }, { { 0x66, 0xF0 }, 2 }, { { 0xF2, 0xF0 }, 2 }, { { 0xF0, 0xF3 }, 2 },
		{ { 0x2E }, 1 }, { { 0x64, 0x66 }, 2 }, { { 0x26, 0x65, 0x67 }, 3 }, { { 0x66, 0x67, 0xF3, 0x36 }, 4 },
	};
	for (unsigned big = 0; big < 2; big++) {
		for (unsigned i = 0; i < ARRAY_LEN(prefixes); i++) {
			struct bytes b = { { 0 }, 0 };
			append(&b, prefixes[i].byte, prefixes[i].count);
			compare_maps(c, b, big);
		}
	}
}

/* Every ModRM byte and every SIB byte after it, with every segment override. */
static void compare_all_addresses(struct comparison *c)
{
	static const uint8_t overrides[] = { 0x90, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65 };	/* 90: none */

	for (unsigned big = 0; big < 2; big++)
	for (unsigned other = 0; other < 2; other++)
	for (unsigned seg = 0; seg < ARRAY_LEN(overrides); seg++)
	for (unsigned modrm = 0; modrm < 256; modrm++)
	for (unsigned sib = 0; sib < 256; sib++) {
		struct bytes b = { { 0 }, 0 };
		if (seg != 0)
			b.byte[b.count++] = overrides[seg];
		if (other)
			b.byte[b.count++] = 0x67;
		b.byte[b.count++] = 0x8B;
		b.byte[b.count++] = modrm;
		b.byte[b.count++] = sib;
		append(&b, tails[1], 8);
		compare(c, b.byte, b.count, big);
	}
}

/* --- random byte strings --- */

static uint64_t next_random(uint64_t *state)		/* xorshift64* */
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545F4914F6CDD1D;
}

/* Up to 18 bytes; half of the strings begin with prefixes, some with very many. */
static struct bytes random_bytes(uint64_t *state)
{
	static const uint8_t prefixes[] = { 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x66, 0x67, 0x67, 0xF0, 0xF2, 0xF2, 0xF3, 0xF3 };
	uint64_t choice = next_random(state);
	struct bytes b = { { 0 }, 18 };

	for (unsigned i = 0; i < 24; i += 8) {
		uint64_t r = next_random(state);
		memcpy(b.byte + i, &r, 8);
	}
	unsigned count_prefixes = choice & 1 ? 0 : choice & 14 ? choice >> 4 & 3 : choice >> 4 & 15;
	for (unsigned i = 0; i < count_prefixes; i++)
		b.byte[i] = prefixes[next_random(state) % ARRAY_LEN(prefixes)];
	if (choice & 0x100)		/* the 0F map is a 256th of what random bytes reach */
		b.byte[count_prefixes] = 0x0F;
	return b;
}

/* A string whole, cut somewhere, and, if it is an instruction, cut at every place. */
static void compare_random(struct comparison *c, unsigned long count)
{
	uint64_t state = 0x9E3779B97F4A7C15;	/* fixed: a failure can be had again */

	for (unsigned long i = 0; i < count; i++) {
		struct bytes b = random_bytes(&state);
		bool big = next_random(&state) & 1;
		unsigned len = compare(c, b.byte, b.count, big);

		if (i % 16 == 0)
			for (unsigned n = 0; n < len; n++)
				compare(c, b.byte, n, big);
		else if (i % 16 == 1)
			compare(c, b.byte, next_random(&state) % 16, big);
	}
}

int main(int argc, char **argv)
{
	static struct comparison c;
	unsigned long count_random = argc > 1 ? strtoul(argv[1], NULL, 10) : 500000;

	zydis_setup(&c.decoder[0], false);
	zydis_setup(&c.decoder[1], true);
	compare_all_opcodes(&c);
	compare_all_addresses(&c);
	compare_random(&c, count_random);

	unsigned long explained = 0;
	for (unsigned i = 0; i < ARRAY_LEN(classes); i++) {
		printf("%10lu  %s\n", c.in_class[i], classes[i].why);
		explained += c.in_class[i];
	}
	for (unsigned i = 0; i < ARRAY_LEN(flags_differences); i++) {
		printf("%10lu  flags of %s\n", c.in_flags_class[i], flags_differences[i].why);
		explained += c.in_flags_class[i];
	}
	printf("decode against Zydis: %lu cases, %lu of them instructions to us, %lu random; "
	    "%lu differences explained, %lu not\n", c.cases, c.valid, count_random, explained, c.unexplained);
	return c.unexplained != 0;
}
