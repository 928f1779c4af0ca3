/*
 * Names of guest addresses: from a System.map, or the symbol table of a 32-bit ELF file.
 */
#ifndef PLEX86_METER_SYMBOLS_H
#define PLEX86_METER_SYMBOLS_H

#include "util/error.h"
#include "util/types.h"

struct symbol {
	uint32_t address, size;		/* size 0: up to the next */
	char *name;
};

struct symbols {
	struct symbol *symbol;		/* sorted by address */
	size_t n, room;
};

/* Add what the file has. 0 or -errno with err set: then nothing was added. symbols_free() in any case. */
int symbols_load(struct symbols *s, const char *path, struct error *err);
void symbols_free(struct symbols *s);
/* The function at address, or NULL. */
const char *symbols_find(const struct symbols *s, uint32_t address);

#endif
