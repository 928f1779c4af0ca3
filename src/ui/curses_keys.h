/*
 * Keys with Shift, Alt or Ctrl as terminals send them: by curses's codes and names, and by the sequences themselves
 * where the terminal's description does not have them.	[terminfo(5), user_caps(5), XTerm "PC-Style Function Keys"]
 */
#ifndef PLEX86_UI_CURSES_KEYS_H
#define PLEX86_UI_CURSES_KEYS_H

#include "dev/keys.h"

enum { HELD_SHIFT = 1, HELD_ALT = 2, HELD_CTRL = 4 };	/* one less than XTerm's number */

struct held_key {
	enum key key;			/* KEY_NONE: none that is known */
	unsigned held;
};

/* "kUP3" and its like, the names that curses gives codes beyond its own. */
struct held_key curses_key_by_name(const char *name);
/* F13 to F60: the twelve with Shift, Ctrl, both, Alt. n counts from 1. */
struct held_key curses_function_key(unsigned n);
/* What follows ESC, from [ or O up to the letter or ~ that ends it. */
struct held_key curses_key_by_sequence(const char *text);

#endif
