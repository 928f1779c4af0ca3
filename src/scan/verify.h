/*
 * The emitted-code verifier: proves of host code, from its bytes alone, that it stays inside what
 * invariant 1 allows. It shares nothing with the emitters but the list of registers and offsets in
 * scan/internal.h: the decoder is a library's (Zydis).
 */
#ifndef PLEX86_SCAN_VERIFY_H
#define PLEX86_SCAN_VERIFY_H

#include "scan/internal.h"

struct verify_totals {
	uint64_t blocks, bytes, insns;
	uint64_t window, checked, state, table;		/* memory operands by kind */
	uint64_t branches;				/* that leave the code */
	uint64_t violations;
};

/* A stretch of host code. It is entered at any of entry[] with guest registers zero-extended and
 * nothing known of r8..r11; it may branch to where leads_to() says yes. */
/* Where a branch may go. AWAY: a call that does not come back behind itself (but maybe at an entry).
 * FILL: a call that answers in r10 with the addend for r11d, of the kind that r10d asks for, or 0. */
enum leads { LEADS_NOWHERE, LEADS_BACK, LEADS_AWAY, LEADS_FILL };

struct verify_code {
	const uint8_t *bytes;
	size_t len;
	uint64_t at;			/* address at which it runs */
	const uint32_t *entry;		/* offsets */
	unsigned nentries, nhashed;	/* the first nhashed are entered with an EIP in r11d */
	enum leads (*leads_to)(const void *arg, uint64_t target);
	bool (*is_table)(const void *arg, uint64_t imm);	/* may be NULL: address of a mode's hash of branch targets? */
	const void *arg;
	bool esp_pointer;		/* r15 is a host address in the window */
};

struct verify_finding {
	uint32_t offset;		/* of the host instruction */
	const char *what;
	char text[96];			/* the instruction, AT&T */
};

struct verifier {
	struct verify_totals totals;
	struct run *run;		/* verify.c's working space */
};

int verify_init(struct verifier *v);			/* 0 or -ENOMEM */
void verify_free(struct verifier *v);
void verify_summary(const struct verifier *v, FILE *f);

/* true: nothing wrong; else *finding says what. */
bool verify_code(struct verifier *v, const struct verify_code *code, struct verify_finding *finding);

/* --verify-code: look at a block as it was just emitted, ending at host address end, and at a direct
 * branch that is about to be pointed at another block. false: the reason is in s->stop_text. */
bool verify_block(struct scanner *s, const struct block *b, const uint8_t *end);
bool verify_link(struct scanner *s, const struct link *l, const uint8_t *target);

#endif
