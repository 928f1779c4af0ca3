/*
 * libFuzzer target: any bytes into the decoder.
 *
 * The first byte chooses 16- or 32-bit code. What must hold, whatever the bytes: len is 1..15 and no more than
 * there is; a second call gives the same; an instruction cut anywhere is DECODE_SHORT, and needs no
 * byte past its len; operands name registers that exist. Bytes lie at the end of an allocation of
 * exactly their size, so that reading past them is seen.
 */
#include <stdlib.h>
#include <string.h>

#include "decode/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static enum decode_error decode_copy(struct insn *in, const uint8_t *code, size_t avail, bool big)
{
	uint8_t *copy = malloc(avail != 0 ? avail : 1);

	memcpy(copy, code, avail);
	enum decode_error err = decode_insn(in, copy, avail, big);
	free(copy);
	return err;
}

static void check_operand(const struct operand *o)
{
	must(o->kind <= OPND_ST);
	must(o->reg < 8);
	must(o->kind != OPND_SREG || o->reg <= SEG_GS);
	must(o->size <= 108);
}

static void check_insn(const struct insn *in, size_t avail)
{
	must(in->len >= 1 && in->len <= 15 && in->len <= avail);
	must(in->name > I_INVALID && in->name < I_COUNT);
	must(in->nopnd <= 4 && in->seg <= SEG_GS && in->scale <= 3);
	must(in->base <= REG_NONE && in->index <= REG_NONE && in->index != REG_ESP);
	must(in->opsize == 2 || in->opsize == 4);
	must(in->adsize == 2 || in->adsize == 4);
	must((in->prefix & (PREFIX_REP | PREFIX_REPNE)) != (PREFIX_REP | PREFIX_REPNE));
	for (unsigned i = 0; i < ARRAY_LEN(in->opnd); i++) {
		must((i < in->nopnd) == (in->opnd[i].kind != OPND_NONE));
		check_operand(&in->opnd[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct insn first, again;

	if (size == 0)
		return 0;
	bool big = data[0] & 1;
	const uint8_t *code = data + 1;
	size_t avail = size - 1 < 64 ? size - 1 : 64;
	enum decode_error err = decode_copy(&first, code, avail, big);

	must(decode_copy(&again, code, avail, big) == err);
	must(memcmp(&first, &again, sizeof(first)) == 0);
	must(first.len <= avail && first.len <= 15);
	must(err != DECODE_SHORT || avail < 15);
	must(err != DECODE_TOO_LONG || avail >= 15);
	if (err != DECODE_OK) {
		must(first.name == I_INVALID);
		return 0;
	}
	check_insn(&first, avail);
	must(decode_copy(&again, code, first.len, big) == DECODE_OK);
	must(memcmp(&first, &again, sizeof(first)) == 0);
	for (size_t n = 0; n < first.len; n++)
		must(decode_copy(&again, code, n, big) == DECODE_SHORT);
	return 0;
}
