/*
 * What a decoder saw, in a form that two decoders can be compared in.
 */
#ifndef PLEX86_TESTS_DECODE_MATCH_H
#define PLEX86_TESTS_DECODE_MATCH_H

#include <Zydis/Zydis.h>

#include "decode/decode.h"

enum verdict { SEEN_OK, SEEN_SHORT, SEEN_TOO_LONG, SEEN_UD };

struct seen_operand {
	uint8_t kind;			/* enum operand_kind */
	uint8_t reg, size;
	uint8_t seg, base, index, scale;	/* memory */
	int32_t disp;
	uint32_t imm;
	uint16_t selector;
};

struct seen {
	enum verdict verdict;
	unsigned len;			/* only where the verdict is OK, as all that follows */
	unsigned adsize;
	unsigned opsize;		/* where it counts: branches, stack; else 0 */
	char mnemonic[24];
	unsigned nopnd;
	struct seen_operand opnd[4];
	unsigned element;		/* size of a string instruction's element, else 0 */
	uint8_t source_seg;		/* of a string instruction or XLAT that has one */
};

/* Both decoders' full results beside what was made of them. */
struct pair {
	const uint8_t *code;
	size_t avail;
	bool big;
	struct insn in;
	ZydisDecodedInstruction zin;
	ZydisDecodedOperand zop[ZYDIS_MAX_OPERAND_COUNT];
	ZyanStatus zstatus;
	struct seen ours, theirs;
};

bool is_string(uint16_t name);		/* MOVS, CMPS... */
void see_ours(struct seen *s, struct insn *in, const uint8_t *code, size_t avail, bool big);
void print_seen(const char *who, const struct seen *s);

void zydis_setup(ZydisDecoder *decoder, bool big);
void pair_decode(struct pair *p, const ZydisDecoder *decoder, const uint8_t *code, size_t avail, bool big);

/* NULL where both saw the same, else what differs first: "verdict", "length", "mnemonic", ... */
const char *seen_difference(const struct seen *a, const struct seen *b);

/* The mnemonic as a disassembler writes it: "jne", "movsd", "cdq". */
void insn_mnemonic(const struct insn *in, char text[24]);

/* One line on standard output: the bytes, and what each made of them. */
void pair_print(const struct pair *p, const char *difference);

#endif
