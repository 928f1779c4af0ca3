/*
 * The decoder, case by case. The whole opcode space against a library: tests/decode/.
 */
#include "tests/test.h"

#include <string.h>

#include "decode/decode.h"

static struct insn insn;	/* what the last DECODE made */

/* Decode exactly these bytes. */
#define DECODE(big, ...) ({							\
	static const uint8_t bytes_[] = { __VA_ARGS__ };			\
	decode_insn(&insn, bytes_, sizeof(bytes_), big); })
#define DECODE32(...)	DECODE(true, __VA_ARGS__)
#define DECODE16(...)	DECODE(false, __VA_ARGS__)

/* It is that instruction. */
#define CHECK_NAME(want, decoded) do { CHECK_EQ(decoded, DECODE_OK); CHECK_EQ(insn.name, want); } while (0)

static void check_operand(unsigned i, uint8_t kind, uint8_t reg, uint8_t size)
{
	CHECK_EQ(insn.opnd[i].kind, kind);
	CHECK_EQ(insn.opnd[i].size, size);
	if (kind != OPND_MEM && kind != OPND_IMM)
		CHECK_EQ(insn.opnd[i].reg, reg);
}

static void check_memory(uint8_t seg, uint8_t base, uint8_t index, uint8_t scale, int32_t disp)
{
	CHECK_EQ(insn.seg, seg);
	CHECK_EQ(insn.base, base);
	CHECK_EQ(insn.index, index);
	CHECK_EQ(insn.scale, scale);
	CHECK_EQ(insn.disp, disp);
}

TEST(decode_add_to_memory_has_both_operands)
{
	CHECK_NAME(I_ADD, DECODE32(0x01, 0x44, 0x8B, 0xFC));	/* add [ebx+ecx*4-4], eax */
	CHECK_EQ(insn.len, 4);
	CHECK_EQ(insn.nopnd, 2);
	check_operand(0, OPND_MEM, 0, 4);
	check_operand(1, OPND_REG, REG_EAX, 4);
	check_memory(SEG_DS, REG_EBX, REG_ECX, 2, -4);
}

TEST(decode_byte_registers_4_to_7_are_the_high_bytes)
{
	CHECK_EQ(DECODE32(0x88, 0xE6), DECODE_OK);		/* mov dh, ah */
	check_operand(0, OPND_REG, REG_DH, 1);
	check_operand(1, OPND_REG, REG_AH, 1);
}

TEST(decode_sib_with_ebp_base_and_mod_0_is_a_bare_displacement_in_ds)
{
	CHECK_EQ(DECODE32(0x8B, 0x04, 0xAD, 1, 2, 3, 4), DECODE_OK);
	check_memory(SEG_DS, REG_NONE, REG_EBP, 2, 0x04030201);
}

TEST(decode_esp_and_ebp_bases_default_to_ss_but_an_ebp_index_does_not)
{
	DECODE32(0x8B, 0x04, 0x24);
	check_memory(SEG_SS, REG_ESP, REG_NONE, 0, 0);
	DECODE32(0x8B, 0x45, 0x80);
	check_memory(SEG_SS, REG_EBP, REG_NONE, 0, -128);
	DECODE32(0x8B, 0x04, 0x28);
	check_memory(SEG_DS, REG_EAX, REG_EBP, 0, 0);
	DECODE32(0x3E, 0x8B, 0x04, 0x24);
	check_memory(SEG_DS, REG_ESP, REG_NONE, 0, 0);
}

TEST(decode_16_bit_addressing_uses_the_pairs_of_the_8086)
{
	DECODE16(0x8B, 0x42, 0xFF);				/* mov ax, [bp+si-1] */
	check_memory(SEG_SS, REG_EBP, REG_ESI, 0, -1);
	check_operand(0, OPND_REG, REG_EAX, 2);
	DECODE16(0x8B, 0x06, 0x34, 0xF2);			/* mov ax, [f234] */
	check_memory(SEG_DS, REG_NONE, REG_NONE, 0, (int16_t)0xF234);
	DECODE16(0x26, 0x8B, 0x46, 0x02);			/* mov ax, es:[bp+2] */
	check_memory(SEG_ES, REG_EBP, REG_NONE, 0, 2);
	DECODE32(0x67, 0x8B, 0x07);				/* mov eax, [bx] */
	check_memory(SEG_DS, REG_EBX, REG_NONE, 0, 0);
	CHECK_EQ(insn.adsize, 2);
	CHECK_EQ(insn.opsize, 4);
}

TEST(decode_moffs_is_memory_without_registers)
{
	CHECK_EQ(DECODE32(0x64, 0xA1, 0x10, 0, 0, 0x80), DECODE_OK);
	check_operand(0, OPND_REG, REG_EAX, 4);
	check_operand(1, OPND_MEM, 0, 4);
	check_memory(SEG_FS, REG_NONE, REG_NONE, 0, (int32_t)0x80000010);
}

TEST(decode_push_imm8_is_sign_extended)
{
	DECODE32(0x6A, 0xFE);
	check_operand(0, OPND_IMM, 0, 4);
	CHECK_EQ(insn.imm, 0xFFFFFFFE);
	DECODE32(0x66, 0x6A, 0xFE);
	check_operand(0, OPND_IMM, 0, 2);
}

TEST(decode_branch_displacements_are_sign_extended_from_their_size)
{
	DECODE16(0xE9, 0xFE, 0xFF);
	check_operand(0, OPND_REL, 0, 2);
	CHECK_EQ(insn.imm, 0xFFFFFFFE);
	DECODE32(0x75, 0x80);
	check_operand(0, OPND_REL, 0, 4);
	CHECK_EQ(insn.imm, 0xFFFFFF80);
	CHECK_EQ(insn.cond, 5);
}

TEST(decode_far_pointer_has_the_offset_in_imm_and_the_selector_in_imm2)
{
	CHECK_EQ(DECODE16(0xEA, 0x5B, 0xE0, 0x00, 0xF0), DECODE_OK);
	check_operand(0, OPND_FAR, 0, 4);
	CHECK_EQ(insn.imm, 0xE05B);
	CHECK_EQ(insn.imm2, 0xF000);
	CHECK_EQ(DECODE32(0x9A, 1, 2, 3, 4, 5, 6), DECODE_OK);
	CHECK_EQ(insn.imm, 0x04030201);
	CHECK_EQ(insn.imm2, 0x0605);
}

TEST(decode_enter_has_two_immediates)
{
	CHECK_EQ(DECODE32(0xC8, 0x34, 0x12, 0x05), DECODE_OK);
	CHECK_EQ(insn.imm, 0x1234);
	CHECK_EQ(insn.imm2, 5);
	CHECK_EQ(insn.opnd[1].kind, OPND_IMM2);
}

TEST(decode_string_instructions_give_only_the_element_size_and_the_source_segment)
{
	CHECK_NAME(I_MOVS, DECODE16(0xF3, 0x2E, 0xA5));	/* rep movsw cs: */
	CHECK_EQ(insn.nopnd, 0);
	CHECK_EQ(insn.opnd[0].kind, OPND_NONE);
	CHECK_EQ(insn.opnd[0].size, 2);
	CHECK_EQ(insn.seg, SEG_CS);
	CHECK_EQ(insn.prefix, PREFIX_REP | PREFIX_SEG);
	CHECK_EQ(DECODE32(0xA4), DECODE_OK);
	CHECK_EQ(insn.opnd[0].size, 1);
	CHECK_EQ(insn.seg, SEG_DS);
}

TEST(decode_last_of_f2_and_f3_wins_and_beats_66)
{
	CHECK_NAME(I_ADDSS, DECODE32(0xF2, 0xF3, 0x66, 0x0F, 0x58, 0xC1));
	CHECK_NAME(I_ADDSD, DECODE32(0xF3, 0xF2, 0x0F, 0x58, 0xC1));
	CHECK_NAME(I_ADDPD, DECODE32(0x66, 0x0F, 0x58, 0xC1));
	CHECK_NAME(I_ADDPD, DECODE16(0x66, 0x0F, 0x58, 0xC1));
	CHECK_NAME(I_ADDPS, DECODE32(0x0F, 0x58, 0xC1));
}

TEST(decode_last_segment_override_wins)
{
	DECODE32(0x2E, 0x65, 0x8B, 0x00);
	CHECK_EQ(insn.seg, SEG_GS);
	DECODE32(0x65, 0x36, 0x8B, 0x00);
	CHECK_EQ(insn.seg, SEG_SS);
}

TEST(decode_fifteen_bytes_are_allowed_and_sixteen_are_too_long)	/* [SDM 2, "Instruction Format"] */
{
	uint8_t code[17];

	memset(code, 0x66, sizeof(code));
	code[14] = 0x90;
	CHECK_EQ(decode_insn(&insn, code, sizeof(code), true), DECODE_OK);
	CHECK_EQ(insn.len, 15);
	code[14] = 0x66;
	code[15] = 0x90;
	CHECK_EQ(decode_insn(&insn, code, sizeof(code), true), DECODE_TOO_LONG);
	CHECK_EQ(decode_insn(&insn, code, 15, true), DECODE_TOO_LONG);
	CHECK_EQ(decode_insn(&insn, code, 14, true), DECODE_SHORT);
}

TEST(decode_every_truncation_of_a_long_instruction_is_short)
{
	static const uint8_t code[] = { 0x2E, 0x66, 0x67, 0xF0, 0x81, 0x80, 1, 2, 3, 4 };
	static const uint8_t longer[] = { 0x36, 0xC7, 0x84, 0x8B, 1, 2, 3, 4, 5, 6, 7, 8 };

	for (size_t n = 0; n < 10; n++)
		CHECK_EQ(decode_insn(&insn, code, n, true), DECODE_SHORT);
	CHECK_EQ(decode_insn(&insn, code, 10, true), DECODE_OK);
	for (size_t n = 0; n < sizeof(longer); n++)
		CHECK_EQ(decode_insn(&insn, longer, n, true), DECODE_SHORT);
	CHECK_EQ(decode_insn(&insn, longer, sizeof(longer), true), DECODE_OK);
	CHECK_EQ(insn.imm, 0x08070605);
}

TEST(decode_lock_needs_a_lockable_instruction_with_a_memory_destination)	/* [SDM 2, "LOCK"] */
{
	CHECK_EQ(DECODE32(0xF0, 0x01, 0x00), DECODE_OK);
	CHECK_EQ(DECODE32(0xF0, 0x01, 0xC0), DECODE_UD);
	CHECK_EQ(DECODE32(0xF0, 0x03, 0x00), DECODE_UD);
	CHECK_EQ(DECODE32(0xF0, 0x39, 0x00), DECODE_UD);		/* cmp */
	CHECK_EQ(DECODE32(0xF0, 0x0F, 0xBA, 0x20, 1), DECODE_UD);	/* bt */
	CHECK_EQ(DECODE32(0xF0, 0x0F, 0xBA, 0x28, 1), DECODE_OK);	/* bts */
	CHECK_EQ(DECODE32(0xF0, 0x0F, 0xC7, 0x08), DECODE_OK);		/* cmpxchg8b */
	CHECK_EQ(DECODE32(0xF0, 0x87, 0x00), DECODE_OK);
	CHECK_EQ(DECODE32(0xF0, 0x90), DECODE_UD);
}

TEST(decode_memory_only_instructions_refuse_the_register_form)
{
	CHECK_EQ(DECODE32(0x8D, 0xC0), DECODE_UD);	/* lea */
	CHECK_EQ(DECODE32(0xC4, 0xC0), DECODE_UD);	/* les */
	CHECK_EQ(DECODE32(0xC5, 0xF8), DECODE_UD);	/* lds */
	CHECK_EQ(DECODE32(0x62, 0xC0), DECODE_UD);	/* bound */
	CHECK_EQ(DECODE32(0xFF, 0xD8), DECODE_UD);	/* call far */
	CHECK_EQ(DECODE32(0xFF, 0xE8), DECODE_UD);	/* jmp far */
	CHECK_EQ(DECODE32(0x0F, 0xC7, 0xC8), DECODE_UD);	/* cmpxchg8b */
	CHECK_EQ(DECODE32(0x0F, 0x01, 0xF8), DECODE_UD);	/* invlpg */
	CHECK_EQ(DECODE32(0x0F, 0xE7, 0xC0), DECODE_UD);	/* movntq */
}

TEST(decode_mov_to_cs_and_to_segments_6_and_7_is_invalid)
{
	CHECK_EQ(DECODE32(0x8E, 0xC8), DECODE_UD);
	CHECK_EQ(DECODE32(0x8C, 0xC8), DECODE_OK);
	CHECK_EQ(DECODE32(0x8C, 0xF0), DECODE_UD);
	CHECK_EQ(DECODE32(0x8E, 0x38), DECODE_UD);
	DECODE32(0x8C, 0xD8);
	check_operand(0, OPND_REG, REG_EAX, 4);
	check_operand(1, OPND_SREG, SEG_DS, 2);
	DECODE32(0x8C, 0x18);
	check_operand(0, OPND_MEM, 0, 2);
}

TEST(decode_mov_cr_ignores_mod_and_knows_only_cr0_2_3_4)
{
	CHECK_EQ(DECODE32(0x0F, 0x22, 0x1E), DECODE_OK);	/* mod 0: still mov cr3, esi */
	CHECK_EQ(insn.len, 3);
	check_operand(0, OPND_CR, 3, 4);
	check_operand(1, OPND_REG, REG_ESI, 4);
	CHECK_EQ(DECODE16(0x0F, 0x20, 0x84), DECODE_OK);	/* no SIB, no displacement follows */
	CHECK_EQ(insn.len, 3);
	CHECK_EQ(DECODE32(0x0F, 0x20, 0xC8), DECODE_UD);
	CHECK_EQ(DECODE32(0x0F, 0x20, 0xE8), DECODE_UD);
	CHECK_EQ(DECODE32(0xF0, 0x0F, 0x20, 0xC0), DECODE_UD);
	CHECK_EQ(DECODE32(0x0F, 0x23, 0x3F), DECODE_OK);
	check_operand(0, OPND_DR, 7, 4);
}

TEST(decode_undocumented_aliases_are_decoded)
{
	CHECK_NAME(I_SALC, DECODE32(0xD6));
	CHECK_NAME(I_INT1, DECODE32(0xF1));
	CHECK_NAME(I_ADD, DECODE32(0x82, 0xC0, 0x80));
	CHECK_NAME(I_SHL, DECODE32(0xD3, 0xF0));
	CHECK_NAME(I_TEST, DECODE32(0xF7, 0xC8, 1, 2, 3, 4));
	CHECK_EQ(insn.imm, 0x04030201);
	CHECK_NAME(I_FFREEP, DECODE32(0xDF, 0xC3));
	CHECK_NAME(I_FCOM, DECODE32(0xDC, 0xD1));
	CHECK_NAME(I_FXCH, DECODE32(0xDD, 0xC9));
}

TEST(decode_fcmov_conditions_follow_the_opcode_order)
{
	DECODE32(0xDA, 0xC1);
	CHECK_EQ(insn.cond, 0);
	DECODE32(0xDA, 0xD9);
	CHECK_EQ(insn.cond, 3);
	DECODE32(0xDB, 0xC1);
	CHECK_EQ(insn.cond, 4);
	DECODE32(0xDB, 0xDA);
	CHECK_EQ(insn.cond, 7);
	check_operand(0, OPND_ST, 0, 10);
	check_operand(1, OPND_ST, 2, 10);
}

TEST(decode_dc_reverses_the_register_forms_of_fsub_and_fdiv)	/* [SDM 2, "FSUB", "FSUBR"] */
{
	CHECK_NAME(I_FSUB, DECODE32(0xD8, 0xE1));
	CHECK_NAME(I_FSUBR, DECODE32(0xDC, 0xE1));
	check_operand(0, OPND_ST, 1, 10);
	check_operand(1, OPND_ST, 0, 10);
	CHECK_NAME(I_FSUB, DECODE32(0xDC, 0x21));
	check_operand(0, OPND_MEM, 0, 8);
}

TEST(decode_fpu_environment_size_follows_the_operand_size)
{
	DECODE32(0xD9, 0x30);
	check_operand(0, OPND_MEM, 0, 28);
	DECODE16(0xD9, 0x34);
	check_operand(0, OPND_MEM, 0, 14);
	DECODE32(0x66, 0xDD, 0x30);
	check_operand(0, OPND_MEM, 0, 94);
}

TEST(decode_pause_is_nop_with_f3)
{
	CHECK_NAME(I_PAUSE, DECODE32(0xF3, 0x90));
	CHECK_NAME(I_NOP, DECODE32(0xF2, 0x90));
	CHECK_NAME(I_NOP, DECODE32(0x66, 0x90));
}

TEST(decode_hint_nops_have_a_modrm_operand)
{
	CHECK_NAME(I_NOP, DECODE32(0x0F, 0x1F, 0x84, 0x00, 0, 0, 0, 0));
	CHECK_EQ(insn.len, 8);
	CHECK_NAME(I_NOP, DECODE32(0xF3, 0x0F, 0x1E, 0xFB));	/* endbr32 */
	CHECK_NAME(I_PREFETCH, DECODE32(0x0F, 0x18, 0x08));
	CHECK_NAME(I_NOP, DECODE32(0x0F, 0x18, 0xC8));
}

TEST(decode_the_three_defined_undefined_instructions_have_a_name)
{
	CHECK_NAME(I_UD, DECODE32(0x0F, 0x0B));
	CHECK_NAME(I_UD, DECODE32(0x0F, 0xB9, 0xC0));
	CHECK_NAME(I_UD, DECODE32(0x0F, 0xFF, 0xC0));
}

TEST(decode_what_came_after_sse2_is_invalid)
{
	CHECK_EQ(DECODE32(0x0F, 0x38, 0x00, 0xC0), DECODE_UD);
	CHECK_EQ(DECODE32(0x0F, 0x3A, 0x0F, 0xC0, 1), DECODE_UD);
	CHECK_EQ(DECODE32(0x0F, 0x05), DECODE_UD);		/* syscall: #UD on Intel outside 64-bit mode */
	CHECK_EQ(DECODE32(0xF2, 0x0F, 0xF0, 0x00), DECODE_UD);	/* lddqu */
	CHECK_EQ(DECODE32(0x0F, 0x01, 0xC8), DECODE_UD);	/* monitor */
	CHECK_EQ(DECODE32(0xF3, 0x0F, 0xB8, 0xC0), DECODE_UD);	/* popcnt */
	CHECK_NAME(I_BSF, DECODE32(0xF3, 0x0F, 0xBC, 0xC1));	/* tzcnt: bsf to us */
}

TEST(decode_every_name_has_a_mnemonic)
{
	for (unsigned i = 0; i < I_COUNT; i++)
		CHECK(insn_info[i].mnemonic != NULL && insn_info[i].mnemonic[0] != '\0');
}
