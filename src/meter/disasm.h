/*
 * Instructions for people: AT&T text, by Zydis. Never used to run anything.
 */
#ifndef PLEX86_METER_DISASM_H
#define PLEX86_METER_DISASM_H

#include "util/types.h"

/* One instruction at code[0..avail). big: CS.D. Returns its length; what cannot be decoded is "(bad)", length 1. */
unsigned disasm_att(char *text, size_t size, const uint8_t *code, size_t avail, bool big, uint32_t eip);

#endif
