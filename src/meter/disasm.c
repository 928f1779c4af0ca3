#include "meter/disasm.h"

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <string.h>

/*
 * Old assemblers' listings have a size suffix wherever memory is an operand ("movl (%eax), %ebx"), Zydis
 * only where no register tells the size. 0: none is due.
 */
static char size_suffix(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *opnd)
{
	const ZydisDecodedOperand *mem = NULL, *reg = NULL;

	for (unsigned i = 0; i < in->operand_count_visible; i++) {
		if (opnd[i].type == ZYDIS_OPERAND_TYPE_MEMORY && opnd[i].mem.type == ZYDIS_MEMOP_TYPE_MEM)
			mem = &opnd[i];
		else if (opnd[i].type == ZYDIS_OPERAND_TYPE_REGISTER)
			reg = &opnd[i];
	}
	if (mem == NULL || reg == NULL || mem->size != reg->size)
		return '\0';
	switch (ZydisRegisterGetClass(reg->reg.value)) {
	case ZYDIS_REGCLASS_GPR8:
		return 'b';
	case ZYDIS_REGCLASS_GPR16:
		return 'w';
	case ZYDIS_REGCLASS_GPR32:
		return 'l';
	default:
		return '\0';
	}
}

unsigned disasm_att(char *text, size_t size, const uint8_t *code, size_t avail, bool big, uint32_t eip)
{
	ZydisDecoder decoder;
	ZydisFormatter formatter;
	ZydisDecodedInstruction in;
	ZydisDecodedOperand opnd[ZYDIS_MAX_OPERAND_COUNT];
	char plain[128];

	ZydisDecoderInit(&decoder, big ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16,
	    big ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, avail, &in, opnd))) {
		snprintf(text, size, "(bad)");
		return 1;
	}
	ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_ATT);
	if (!ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &in, opnd, in.operand_count_visible, plain, sizeof(plain),
	    eip, NULL))) {
		snprintf(text, size, "(bad)");
		return 1;
	}
	/* The mnemonic in a column of eight, as assembler listings have it. */
	char *space = strchr(plain, ' ');
	if (space) {
		char mnemonic[48], suffix[2] = { size_suffix(&in, opnd), '\0' };

		snprintf(mnemonic, sizeof(mnemonic), "%.*s%s", (int)(space - plain), plain, suffix);
		snprintf(text, size, "%-7s %s", mnemonic, space + 1);
	} else {
		snprintf(text, size, "%s", plain);
	}
	return in.length;
}
