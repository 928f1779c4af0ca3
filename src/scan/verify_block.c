/*
 * --verify-code: the blocks of a code cache for the verifier, and where its branches may lead.
 */
#include <stdio.h>

#include "scan/verify.h"

static enum leads to_stub(const void *arg, uint64_t target)
{
	const struct glue *g = &((const struct scanner *)arg)->glue;
	uint8_t *const stubs[] = { g->slow, g->link, g->indirect, g->fpu, g->limit, g->lookup };

	if (target == (uint64_t)(uintptr_t)g->emulate || target == (uint64_t)(uintptr_t)g->quick)	/* goes on at a record's entry */
		return LEADS_AWAY;
	if (target == (uint64_t)(uintptr_t)g->fill)
		return LEADS_FILL;
	for (size_t i = 0; i < ARRAY_LEN(stubs); i++)
		if (target == (uint64_t)(uintptr_t)stubs[i])
			return LEADS_BACK;
	return LEADS_NOWHERE;
}

static bool is_table(const void *arg, uint64_t imm)
{
	const struct scanner *s = arg;

	for (size_t i = 0; i < ARRAY_LEN(s->modes); i++)
		if (s->modes[i].jump && imm == (uint64_t)(uintptr_t)s->modes[i].jump)
			return true;
	return false;
}

static unsigned block_entries(const struct block *b, uint32_t *entry)
{
	unsigned n = 0;

	entry[n++] = b->hashed;
	entry[n++] = (uint32_t)(block_far(b) - b->host);
	entry[n++] = b->near;
	for (unsigned i = 0; i <= b->ninsns; i++) {
		if (b->rec[i].entry_off >= b->host_bytes)	/* behind a block that ends with a branch */
			continue;
		entry[n++] = b->rec[i].entry_off;
		entry[n++] = b->rec[i].host_off;
	}
	return n;
}

static bool report(struct scanner *s, const struct block *b, const struct verify_finding *f)
{
	unsigned i = 0;

	while (i + 1 < b->ninsns && b->rec[i + 1].entry_off <= f->offset)
		i++;
	snprintf(s->stop_text, sizeof(s->stop_text), "--verify-code: %s: block of %08x, host +0x%x (guest %08x%s): %s",
	    f->what, b->eip, f->offset, b->eip + b->rec[i].guest_off, f->offset >= b->host_bytes ? " or before, cold part" : "",
	    f->text);
	return false;
}

bool verify_block(struct scanner *s, const struct block *b, const uint8_t *end)
{
	uint32_t entry[2 * BLOCK_MAX_INSNS + 5];
	struct verify_finding f = { 0 };
	struct verify_code code = {
		.bytes = b->host, .len = (size_t)(end - b->host), .at = (uint64_t)(uintptr_t)b->host,
		.entry = entry, .nentries = block_entries(b, entry), .nhashed = 1, .leads_to = to_stub, .is_table = is_table, .arg = s,
		.esp_pointer = mode_esp_is_pointer(b->mode),
	};

	return verify_code(s->verifier, &code, &f) || report(s, b, &f);
}

bool verify_link(struct scanner *s, const struct link *l, const uint8_t *target)
{
	const struct block *to = cache_block_at(s, target);

	if (to && !to->dead && (target == block_near(to) || target == block_far(to)))
		return true;
	s->verifier->totals.violations++;
	snprintf(s->stop_text, sizeof(s->stop_text), "--verify-code: the branch of block %08x to %08x leads to no block",
	    l->from->eip, l->target_eip);
	return false;
}
