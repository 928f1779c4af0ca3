/*
 * Flags of single instructions. All of the table against a library: tests/decode/compare_zydis.c; here what
 * that cannot know: constant counts, and what real processors do with undefined flags.
 */
#include "tests/test.h"

#include "decode/decode.h"

#define FLAGS(...) ({								\
	static const uint8_t bytes_[] = { __VA_ARGS__ };			\
	struct insn in_;							\
	CHECK_EQ(decode_insn(&in_, bytes_, sizeof(bytes_), true), DECODE_OK);	\
	insn_flags(&in_); })

static void check_flags(struct insn_flags f, unsigned reads, unsigned writes, unsigned undef, unsigned kills)
{
	CHECK_EQ(f.reads, reads);
	CHECK_EQ(f.writes, writes);
	CHECK_EQ(f.undef, undef);
	CHECK_EQ(f.kills, kills);
}

enum { C = FLAG_C, P = FLAG_P, A = FLAG_A, Z = FLAG_Z, S = FLAG_S, O = FLAG_O, ALL = FLAG_ARITH };

TEST(flags_conditions_read_what_the_sdm_lists)		/* [SDM 1, "EFLAGS Condition Codes"] */
{
	CHECK_EQ(cond_reads(0x0), O);
	CHECK_EQ(cond_reads(0x3), C);
	CHECK_EQ(cond_reads(0x4), Z);
	CHECK_EQ(cond_reads(0x7), C | Z);
	CHECK_EQ(cond_reads(0x9), S);
	CHECK_EQ(cond_reads(0xA), P);
	CHECK_EQ(cond_reads(0xC), S | O);
	CHECK_EQ(cond_reads(0xF), Z | S | O);
	CHECK_EQ(FLAGS(0x72, 0).reads, C);			/* jb */
	CHECK_EQ(FLAGS(0x0F, 0x9F, 0xC0).reads, Z | S | O);	/* setg */
	CHECK_EQ(FLAGS(0x0F, 0x44, 0xC0).reads, Z);		/* cmovz */
	CHECK_EQ(FLAGS(0xDA, 0xD0).reads, C | Z);		/* fcmovbe */
	CHECK_EQ(FLAGS(0xDB, 0xD9).reads, P);			/* fcmovnu */
}

TEST(flags_of_a_shift_hang_on_its_count)		/* [SDM 2, "SAL/SAR/SHL/SHR"] */
{
	check_flags(FLAGS(0xD1, 0xE0), 0, C | O | S | Z | P, A, ALL);		/* shl eax, 1 */
	check_flags(FLAGS(0xC1, 0xE0, 1), 0, C | O | S | Z | P, A, ALL);	/* the same, C1 */
	check_flags(FLAGS(0xC1, 0xE0, 5), 0, C | S | Z | P, A | O, ALL);
	check_flags(FLAGS(0xC1, 0xE0, 0), 0, 0, 0, 0);
	check_flags(FLAGS(0xC1, 0xE0, 32), 0, 0, 0, 0);				/* 32 is 0 */
	check_flags(FLAGS(0xC0, 0xE0, 9), 0, S | Z | P, A | O | C, ALL);	/* shl al, 9 */
	check_flags(FLAGS(0xC0, 0xF8, 9), 0, C | S | Z | P, A | O, ALL);	/* sar al, 9: C is the sign */
	check_flags(FLAGS(0xD3, 0xE0), ALL, C | S | Z | P, A | O, 0);		/* shl eax, cl */
}

TEST(flags_of_a_rotate_are_c_and_for_a_count_of_1_o)	/* [SDM 2, "RCL/RCR/ROL/ROR"] */
{
	check_flags(FLAGS(0xD1, 0xC0), 0, C | O, 0, C | O);		/* rol eax, 1 */
	check_flags(FLAGS(0xC1, 0xC0, 3), 0, C, O, C);
	check_flags(FLAGS(0xC1, 0xC0, 0x20), 0, 0, 0, 0);
	check_flags(FLAGS(0xD1, 0xD0), C, C | O, 0, C | O);		/* rcl eax, 1 */
	check_flags(FLAGS(0xD3, 0xC8), C | O, C, O, 0);			/* ror eax, cl */
}

TEST(flags_of_double_shifts_past_their_size_are_undefined)	/* [SDM 2, "SHLD"] */
{
	check_flags(FLAGS(0x0F, 0xA4, 0xC0, 1), 0, C | O | S | Z | P, A, ALL);
	check_flags(FLAGS(0x66, 0x0F, 0xA4, 0xC0, 17), 0, 0, ALL, ALL);
	check_flags(FLAGS(0x66, 0x0F, 0xA4, 0xC0, 16), 0, C | S | Z | P, A | O, ALL);
}

TEST(flags_compare_strings_read_them_only_under_rep)
{
	CHECK_EQ(FLAGS(0xA6).reads, FLAG_D);
	CHECK_EQ(FLAGS(0xF3, 0xA6).reads, FLAG_D | ALL);
	CHECK_EQ(FLAGS(0xF2, 0xAE).reads, FLAG_D | ALL);
}

TEST(flags_undefined_ones_that_processors_keep_are_not_killed)
{
	check_flags(FLAGS(0x0F, 0xA3, 0xC8), 0, C, O | S | A | P, C);	/* bt */
	check_flags(FLAGS(0xF7, 0xF1), 0, 0, ALL, 0);			/* div */
	CHECK_EQ(FLAGS(0x21, 0xC8).kills, ALL);				/* and: AF does not survive */
}

TEST(flags_segment_register_moves_are_silent)
{
	static const uint8_t code[][2] = { { 0x8C, 0xD8 }, { 0x8E, 0xD8 }, { 0x1E }, { 0x1F } };
	static const uint8_t plain[2] = { 0x89, 0xC8 };
	struct insn in;

	for (unsigned i = 0; i < ARRAY_LEN(code); i++) {
		CHECK_EQ(decode_insn(&in, code[i], 2, true), DECODE_OK);
		CHECK_EQ(insn_virt(&in), VIRT_SILENT);
	}
	CHECK_EQ(decode_insn(&in, plain, 2, true), DECODE_OK);
	CHECK_EQ(insn_virt(&in), VIRT_NATIVE);
}

/*
 * The host's answer: run the instruction twice with the same operands and opposite flags. A flag that
 * differs afterwards has survived, and must not be in kills (flags that are read stay the same). The same bytes are an instruction in 32-
 * and 64-bit code, so what runs is what insn_flags() is asked about.
 */
#define RUN(flags_before, ...) ({						\
	uint64_t flags_ = (flags_before), a_ = a, b_ = b;			\
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"	/* past the red zone */	\
	    "push %0\n\tpopfq\n\t" __VA_ARGS__ "\n\tpushfq\n\tpop %0\n\t"	\
	    "lea 128(%%rsp), %%rsp"						\
	    : "+r"(flags_), "+a"(a_), "+c"(b_) : : "rdx", "cc", "memory");	\
	flags_; })

#define CHECK_HOST(text, ...) do {						\
	const struct insn_flags f_ = FLAGS(__VA_ARGS__);			\
	uint64_t a = 0x123456789ABCDEF, survived = 0;				\
	for (unsigned i_ = 0; i_ < 1000; i_++) {				\
		a = a * 6364136223846793005 + 1442695040888963407;		\
		uint64_t b = a >> (i_ % 60);					\
		survived |= RUN(0x202, text) ^ RUN(0x202 | (ALL & ~f_.reads), text);	\
	}									\
	CHECK_EQ(survived & f_.kills, 0);					\
} while (0)

TEST(flags_killed_ones_do_not_survive_on_this_host)
{
	CHECK_HOST(".byte 0x21, 0xC8", 0x21, 0xC8);			/* and eax, ecx */
	CHECK_HOST(".byte 0x08, 0xC8", 0x08, 0xC8);			/* or al, cl */
	CHECK_HOST(".byte 0x66, 0x31, 0xC8", 0x66, 0x31, 0xC8);		/* xor ax, cx */
	CHECK_HOST(".byte 0x85, 0xC8", 0x85, 0xC8);			/* test eax, ecx */
	CHECK_HOST(".byte 0xF7, 0xE1", 0xF7, 0xE1);			/* mul ecx */
	CHECK_HOST(".byte 0xF6, 0xE9", 0xF6, 0xE9);			/* imul cl */
	CHECK_HOST(".byte 0x0F, 0xAF, 0xC1", 0x0F, 0xAF, 0xC1);		/* imul eax, ecx */
	CHECK_HOST(".byte 0x6B, 0xC1, 0x7B", 0x6B, 0xC1, 0x7B);		/* imul eax, ecx, 7Bh */
	CHECK_HOST(".byte 0xD1, 0xE0", 0xD1, 0xE0);			/* shl eax, 1 */
	CHECK_HOST(".byte 0xC1, 0xE8, 0x07", 0xC1, 0xE8, 0x07);		/* shr eax, 7 */
	CHECK_HOST(".byte 0xC0, 0xE0, 0x09", 0xC0, 0xE0, 0x09);		/* shl al, 9 */
	CHECK_HOST(".byte 0x66, 0xC1, 0xF8, 0x14", 0x66, 0xC1, 0xF8, 0x14);	/* sar ax, 20 */
	CHECK_HOST(".byte 0x0F, 0xA4, 0xC8, 0x05", 0x0F, 0xA4, 0xC8, 0x05);	/* shld eax, ecx, 5 */
	CHECK_HOST(".byte 0x66, 0x0F, 0xAC, 0xC8, 0x1F", 0x66, 0x0F, 0xAC, 0xC8, 0x1F);
	CHECK_HOST(".byte 0xC1, 0xC0, 0x05", 0xC1, 0xC0, 0x05);		/* rol eax, 5 */
	CHECK_HOST(".byte 0xD1, 0xD8", 0xD1, 0xD8);			/* rcr eax, 1 */
	CHECK_HOST(".byte 0xD3, 0xE0", 0xD3, 0xE0);			/* shl eax, cl */
	CHECK_HOST(".byte 0x0F, 0xA3, 0xC8", 0x0F, 0xA3, 0xC8);		/* bt eax, ecx */
	CHECK_HOST(".byte 0x0F, 0xBC, 0xC1", 0x0F, 0xBC, 0xC1);		/* bsf eax, ecx */
}
