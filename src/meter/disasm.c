#include "meter/disasm.h"

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <string.h>

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
	if (space)
		snprintf(text, size, "%-7.*s %s", (int)(space - plain), plain, space + 1);
	else
		snprintf(text, size, "%s", plain);
	return in.length;
}
