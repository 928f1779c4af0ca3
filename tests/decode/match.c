/*
 * Our decoder and Zydis, brought to one form (struct seen).
 *
 * Differences of presentation are levelled here, differences of opinion are not:
 *  - Zydis lists the memory and accumulator of string instructions, and of XLAT, as operands; we
 *    have only the element's size and the source segment.
 *  - A sign-extended immediate has the size of the byte in Zydis, of the operation here.
 *  - Zydis writes out ST(0) where the SDM's instruction reference leaves it unsaid (FADD m32, FXCH).
 *  - What is read from a register of another width than memory (SLDT, PINSRW...) is taken as the SDM has it.
 */
#include "tests/decode/match.h"

#include <stdio.h>
#include <string.h>

static const char cc_names[16][4] = {
	"o", "no", "b", "nb", "z", "nz", "be", "nbe", "s", "ns", "p", "np", "l", "nl", "le", "nle",
};

void insn_mnemonic(const struct insn *in, char text[24])
{
	static const char fcc[8][4] = { "b", "e", "be", "u", "nb", "ne", "nbe", "nu" };
	const char *stem = insn_info[in->name].mnemonic;
	bool wide = in->opsize == 4;

	switch (in->name) {
	case I_JCC:
	case I_SETCC:
	case I_CMOVCC:
		snprintf(text, 24, "%s%s", stem, cc_names[in->cond]);
		return;
	case I_FCMOVCC:
		snprintf(text, 24, "%s%s", stem, fcc[in->cond]);
		return;
	case I_MOVS: case I_CMPS: case I_STOS: case I_LODS: case I_SCAS: case I_INS: case I_OUTS:
		snprintf(text, 24, "%s%c", stem, in->opnd[0].size == 1 ? 'b' : wide ? 'd' : 'w');
		return;
	case I_CBW:
		stem = wide ? "cwde" : "cbw";
		break;
	case I_CWD:
		stem = wide ? "cdq" : "cwd";
		break;
	case I_PUSHA: case I_POPA: case I_PUSHF: case I_POPF: case I_IRET:
		snprintf(text, 24, "%s%s", stem, wide ? "d" : "");
		return;
	case I_JCXZ:
		stem = in->adsize == 4 ? "jecxz" : "jcxz";
		break;
	case I_JMPF:
		stem = "jmp";
		break;
	case I_CALLF:
		stem = "call";
		break;
	case I_RETF:
		stem = "ret";
		break;
	case I_WAIT:
		stem = "fwait";
		break;
	case I_UD:
		stem = in->opcode == 0x0B ? "ud2" : in->opcode == 0xB9 ? "ud1" : "ud0";
		break;
	case I_PREFETCH: {
		static const char hint[4][16] = { "prefetchnta", "prefetcht0", "prefetcht1", "prefetcht2" };
		stem = hint[in->modrm >> 3 & 3];
		break;
	}
	}
	snprintf(text, 24, "%s", stem);
}

bool is_string(uint16_t name)
{
	return name == I_MOVS || name == I_CMPS || name == I_STOS || name == I_LODS || name == I_SCAS ||
	    name == I_INS || name == I_OUTS;
}

/* Does the operand-size attribute count, though no operand need show it? */
static bool has_opsize(uint16_t name)
{
	return name == I_RET || name == I_RETF || name == I_LEAVE || name == I_ENTER || name == I_PUSH ||
	    name == I_POP || name == I_CALL || name == I_JMP || name == I_JCC || name == I_LOOP ||
	    name == I_LOOPE || name == I_LOOPNE || name == I_JCXZ;
}

/* --- ours --- */

static void see_memory(struct seen_operand *s, const struct insn *in)
{
	s->seg = in->seg;
	s->base = in->base;
	s->index = in->index;
	s->scale = in->scale;
	s->disp = in->adsize == 2 ? (int16_t)in->disp : in->disp;
}

void see_ours(struct seen *s, struct insn *in, const uint8_t *code, size_t avail, bool big)
{
	static const uint8_t verdict[] = {
		[DECODE_OK] = SEEN_OK, [DECODE_SHORT] = SEEN_SHORT,
		[DECODE_TOO_LONG] = SEEN_TOO_LONG, [DECODE_UD] = SEEN_UD,
	};

	memset(s, 0, sizeof(*s));
	s->verdict = verdict[decode_insn(in, code, avail, big)];
	if (s->verdict != SEEN_OK)
		return;
	s->len = in->len;
	s->adsize = in->adsize;
	s->opsize = has_opsize(in->name) ? in->opsize : 0;
	insn_mnemonic(in, s->mnemonic);
	if (is_string(in->name)) {
		s->element = in->opnd[0].size;
		bool has_source = in->name != I_STOS && in->name != I_SCAS && in->name != I_INS;
		s->source_seg = has_source ? in->seg : 0;
		return;
	}
	if (in->name == I_XLAT)
		s->source_seg = in->seg;
	s->nopnd = in->nopnd;
	for (unsigned i = 0; i < in->nopnd; i++) {
		struct seen_operand *o = &s->opnd[i];

		o->kind = in->opnd[i].kind;
		o->size = in->opnd[i].size;
		switch (o->kind) {
		case OPND_MEM:
			see_memory(o, in);
			break;
		case OPND_IMM:
			o->imm = o->size == 4 ? in->imm : in->imm & (BIT(8 * o->size) - 1);
			break;
		case OPND_IMM2:
			o->kind = OPND_IMM;
			o->imm = in->imm2;
			break;
		case OPND_ONE:
			o->kind = OPND_IMM;
			o->imm = 1;
			break;
		case OPND_REL:
			o->imm = in->imm;
			o->size = 0;
			break;
		case OPND_FAR:
			o->imm = in->imm;
			o->selector = in->imm2;
			break;
		default:
			o->reg = in->opnd[i].reg;
			/* how much of a segment, control or vector register counts is not compared */
			if (o->kind != OPND_REG)
				o->size = 0;
		}
	}
}

/* --- theirs --- */

void zydis_setup(ZydisDecoder *decoder, bool big)
{
	/* extensions that give old encodings a new meaning: a Pentium 4 has none of them */
	static const ZydisDecoderMode newer[] = {
		ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CET, ZYDIS_DECODER_MODE_LZCNT,
		ZYDIS_DECODER_MODE_TZCNT, ZYDIS_DECODER_MODE_WBNOINVD, ZYDIS_DECODER_MODE_CLDEMOTE,
	};

	ZydisDecoderInit(decoder, big ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16,
	    big ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16);
	for (unsigned i = 0; i < ARRAY_LEN(newer); i++)
		ZydisDecoderEnableMode(decoder, newer[i], ZYAN_FALSE);
}

static void see_register(struct seen_operand *o, ZydisRegister reg)
{
	ZyanI8 id = ZydisRegisterGetId(reg);

	o->reg = id;
	switch (ZydisRegisterGetClass(reg)) {
	case ZYDIS_REGCLASS_GPR8:
		o->kind = OPND_REG;
		o->size = 1;
		return;
	case ZYDIS_REGCLASS_GPR16:
		o->kind = OPND_REG;
		o->size = 2;
		return;
	case ZYDIS_REGCLASS_GPR32:
		o->kind = OPND_REG;
		o->size = 4;
		return;
	case ZYDIS_REGCLASS_SEGMENT:
		o->kind = OPND_SREG;
		break;
	case ZYDIS_REGCLASS_CONTROL:
		o->kind = OPND_CR;
		break;
	case ZYDIS_REGCLASS_DEBUG:
		o->kind = OPND_DR;
		break;
	case ZYDIS_REGCLASS_MMX:
		o->kind = OPND_MMX;
		break;
	case ZYDIS_REGCLASS_XMM:
		o->kind = OPND_XMM;
		break;
	case ZYDIS_REGCLASS_X87:
		o->kind = OPND_ST;
		break;
	default:
		o->kind = OPND_NONE;
	}
	o->size = 0;
}

static uint8_t gpr_or_none(ZydisRegister reg)
{
	return reg == ZYDIS_REGISTER_NONE ? REG_NONE : (uint8_t)ZydisRegisterGetId(reg);
}

static void see_their_operand(struct seen_operand *o, const ZydisDecodedOperand *z, const ZydisDecodedInstruction *zin)
{
	switch (z->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		see_register(o, z->reg.value);
		break;
	case ZYDIS_OPERAND_TYPE_MEMORY:
		o->kind = OPND_MEM;
		o->size = z->mem.type == ZYDIS_MEMOP_TYPE_MEM && z->size / 8 <= 108 ? z->size / 8 : 0;
		o->seg = ZydisRegisterGetId(z->mem.segment);
		o->base = gpr_or_none(z->mem.base);
		o->index = gpr_or_none(z->mem.index);
		o->scale = z->mem.scale < 2 ? 0 : (uint8_t)__builtin_ctz(z->mem.scale);
		o->disp = zin->address_width == 16 ? (int16_t)z->mem.disp.value : (int32_t)z->mem.disp.value;
		break;
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		if (z->imm.is_relative) {
			o->kind = OPND_REL;
			o->imm = (uint32_t)z->imm.value.s;
			break;
		}
		o->kind = OPND_IMM;
		/* a sign-extended byte is as wide as what it is extended to */
		o->size = z->imm.is_signed ? zin->operand_width / 8 : z->size / 8;
		o->imm = (uint32_t)z->imm.value.u;
		if (o->size < 4)
			o->imm &= BIT(8 * o->size) - 1;
		break;
	case ZYDIS_OPERAND_TYPE_POINTER:
		o->kind = OPND_FAR;
		o->size = zin->operand_width / 8 + 2;
		o->imm = z->ptr.offset;
		o->selector = z->ptr.segment;
		break;
	default:
		break;
	}
}

static bool is_hidden_st0(const struct seen *ours, const ZydisDecodedOperand *z, unsigned have)
{
	if (z->type != ZYDIS_OPERAND_TYPE_REGISTER || z->reg.value != ZYDIS_REGISTER_ST0)
		return false;
	/* not one we wrote out ourselves at this place */
	return have >= ours->nopnd || ours->opnd[have].kind != OPND_ST || z->visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT;
}

static void see_their_string(struct seen *s, const struct pair *p)
{
	for (unsigned i = 0; i < p->zin.operand_count; i++) {
		const ZydisDecodedOperand *z = &p->zop[i];

		if (z->type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		if (is_string(p->in.name))
			s->element = z->size / 8;
		if (z->mem.base != ZYDIS_REGISTER_EDI && z->mem.base != ZYDIS_REGISTER_DI)
			s->source_seg = ZydisRegisterGetId(z->mem.segment);
	}
}

static void see_theirs(struct pair *p)
{
	struct seen *s = &p->theirs;

	memset(s, 0, sizeof(*s));
	if (p->zstatus == ZYDIS_STATUS_NO_MORE_DATA)
		s->verdict = SEEN_SHORT;
	else if (p->zstatus == ZYDIS_STATUS_INSTRUCTION_TOO_LONG)
		s->verdict = SEEN_TOO_LONG;
	else if (!ZYAN_SUCCESS(p->zstatus))
		s->verdict = SEEN_UD;
	else
		s->verdict = SEEN_OK;
	if (s->verdict != SEEN_OK)
		return;
	s->len = p->zin.length;
	s->adsize = p->zin.address_width / 8;
	s->opsize = has_opsize(p->in.name) ? p->zin.operand_width / 8 : 0;
	snprintf(s->mnemonic, sizeof(s->mnemonic), "%s", ZydisMnemonicGetString(p->zin.mnemonic));
	if (is_string(p->in.name) || p->in.name == I_XLAT) {
		see_their_string(s, p);
		return;
	}
	for (unsigned i = 0; i < p->zin.operand_count_visible && s->nopnd < 4; i++) {
		const ZydisDecodedOperand *z = &p->zop[i];

		if (is_hidden_st0(&p->ours, z, s->nopnd) && p->zin.operand_count_visible > p->ours.nopnd)
			continue;
		see_their_operand(&s->opnd[s->nopnd++], z, &p->zin);
	}
}

void pair_decode(struct pair *p, const ZydisDecoder *decoder, const uint8_t *code, size_t avail, bool big)
{
	p->code = code;
	p->avail = avail;
	p->big = big;
	see_ours(&p->ours, &p->in, code, avail, big);
	ZydisDecoderContext ctx;
	p->zstatus = ZydisDecoderDecodeInstruction(decoder, &ctx, code, avail, &p->zin);
	if (ZYAN_SUCCESS(p->zstatus))
		ZydisDecoderDecodeOperands(decoder, &ctx, &p->zin, p->zop, p->zin.operand_count);
	see_theirs(p);
}

static const char *operand_difference(const struct seen_operand *a, const struct seen_operand *b)
{
	if (a->kind != b->kind)
		return "operand kind";
	if (a->size != b->size)
		return "operand size";
	if (a->reg != b->reg)
		return "register";
	if (a->seg != b->seg)
		return "segment";
	if (a->base != b->base || a->index != b->index || a->scale != b->scale || a->disp != b->disp)
		return "address";
	if (a->imm != b->imm || a->selector != b->selector)
		return "immediate";
	return NULL;
}

const char *seen_difference(const struct seen *a, const struct seen *b)
{
	if (a->verdict != b->verdict)
		return "verdict";
	if (a->verdict != SEEN_OK)
		return NULL;
	if (a->len != b->len)
		return "length";
	if (strcmp(a->mnemonic, b->mnemonic) != 0)
		return "mnemonic";
	if (a->adsize != b->adsize)
		return "address size";
	if (a->opsize != b->opsize)
		return "operand-size attribute";
	if (a->element != b->element || a->source_seg != b->source_seg)
		return "string element";
	if (a->nopnd != b->nopnd)
		return "operand count";
	for (unsigned i = 0; i < a->nopnd; i++) {
		const char *what = operand_difference(&a->opnd[i], &b->opnd[i]);
		if (what != NULL)
			return what;
	}
	return NULL;
}

void print_seen(const char *who, const struct seen *s)
{
	static const char verdict[][9] = { "ok", "short", "too long", "#UD" };

	printf("    %s: %s", who, verdict[s->verdict]);
	if (s->verdict == SEEN_OK)
		printf(" len %u %s o%u a%u element %u seg %u", s->len, s->mnemonic, s->opsize, s->adsize, s->element, s->source_seg);
	for (unsigned i = 0; i < s->nopnd; i++) {
		const struct seen_operand *o = &s->opnd[i];
		printf(" | kind %u reg %u size %u seg %u base %u index %u scale %u disp %d imm %x:%x", o->kind,
		    o->reg, o->size, o->seg, o->base, o->index, o->scale, o->disp, o->selector, o->imm);
	}
	printf("\n");
}

void pair_print(const struct pair *p, const char *difference)
{
	printf("%s, %d-bit:", difference, p->big ? 32 : 16);
	for (size_t i = 0; i < p->avail && i < 16; i++)
		printf(" %02X", p->code[i]);
	printf("\n");
	print_seen("ours ", &p->ours);
	print_seen("zydis", &p->theirs);
}
