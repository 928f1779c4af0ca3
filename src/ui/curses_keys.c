#include "ui/curses_keys.h"

#include <stdlib.h>
#include <string.h>

#include "util/types.h"

static struct held_key with(enum key key, unsigned number)
{
	return (struct held_key){ key, number >= 1 && number <= 8 ? number - 1 : 0 };
}

struct held_key curses_key_by_name(const char *name)
{
	static const struct { const char *name; enum key key; } keys[] = {
		{ "kUP", KEY_up }, { "kDN", KEY_down }, { "kLFT", KEY_left }, { "kRIT", KEY_right }, { "kHOM", KEY_home },
		{ "kEND", KEY_end }, { "kIC", KEY_insert }, { "kDC", KEY_delete }, { "kPRV", KEY_pgup }, { "kNXT", KEY_pgdn },
	};

	for (size_t i = 0; name && i < ARRAY_LEN(keys); i++) {
		size_t len = strlen(keys[i].name);

		if (strncmp(name, keys[i].name, len) == 0 && name[len] >= '2' && name[len] <= '8' && name[len + 1] == '\0')
			return with(keys[i].key, (unsigned)(name[len] - '0'));
		if (strcmp(name, keys[i].name) == 0)
			return with(keys[i].key, 1 + HELD_SHIFT);
	}
	return with(KEY_NONE, 1);
}

struct held_key curses_function_key(unsigned n)
{
	static const unsigned held[] = { 0, HELD_SHIFT, HELD_CTRL, HELD_CTRL | HELD_SHIFT, HELD_ALT };
	unsigned group = (n - 1) / 12, in_group = (n - 1) % 12;

	if (n == 0 || group >= ARRAY_LEN(held))
		return with(KEY_NONE, 1);
	/* F11 and F12 do not follow F10 in the table of keys. */
	return with(in_group < 10 ? KEY_f1 + in_group : in_group == 10 ? KEY_f11 : KEY_f12, held[group] + 1);
}

static enum key by_letter(char letter)
{
	static const struct { char letter; enum key key; } keys[] = {
		{ 'A', KEY_up }, { 'B', KEY_down }, { 'C', KEY_right }, { 'D', KEY_left }, { 'E', KEY_kp_5 }, { 'F', KEY_end },
		{ 'H', KEY_home }, { 'M', KEY_kp_enter }, { 'P', KEY_f1 }, { 'Q', KEY_f2 }, { 'R', KEY_f3 }, { 'S', KEY_f4 },
	};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (keys[i].letter == letter)
			return keys[i].key;
	return KEY_NONE;
}

static enum key by_number(unsigned long n)
{
	static const enum key keys[] = {
		[1] = KEY_home, [2] = KEY_insert, [3] = KEY_delete, [4] = KEY_end, [5] = KEY_pgup, [6] = KEY_pgdn, [7] = KEY_home, [8] = KEY_end,
		[11] = KEY_f1, [12] = KEY_f2, [13] = KEY_f3, [14] = KEY_f4, [15] = KEY_f5, [17] = KEY_f6, [18] = KEY_f7, [19] = KEY_f8,
		[20] = KEY_f9, [21] = KEY_f10, [23] = KEY_f11, [24] = KEY_f12,
	};

	return n < ARRAY_LEN(keys) ? keys[n] : KEY_NONE;
}

struct held_key curses_key_by_sequence(const char *text)
{
	unsigned long first, number = 1;
	char *p;

	if (*text != '[' && *text != 'O')
		return with(KEY_NONE, 1);
	first = strtoul(text + 1, &p, 10);
	if (*p == ';')
		number = strtoul(p + 1, &p, 10);
	if (*p == '\0' || p[1] != '\0')
		return with(KEY_NONE, 1);
	if (*p == 'Z')
		return with(KEY_tab, 1 + HELD_SHIFT);
	return with(*p == '~' ? by_number(first) : by_letter(*p), (unsigned)number);
}
