/*
 * The key table and look-ups in it. See keys.def for the codes.
 */
#include "dev/keys.h"

#include <string.h>
#include <strings.h>

const struct key_info key_info[KEY_COUNT] = {
	[KEY_NONE] = { "unmapped", 0, 0, 0 },
#define KEY(name, s1, s2, s3) [KEY_##name] = { #name, s1, s2, s3 },
#include "dev/keys.def"
};

static const char *plain_name(const struct key_info *k)
{
	return strncmp(k->name, "k_", 2) == 0 ? k->name + 2 : k->name;
}

const char *key_name(enum key key)
{
	return key < KEY_COUNT ? plain_name(&key_info[key]) : "unmapped";
}

enum key key_by_name(const char *name)
{
	static const struct { const char *alias; enum key key; } alias[] = {
		{ "enter", KEY_ret }, { "return", KEY_ret }, { "space", KEY_spc }, { "escape", KEY_esc },
		{ "ctrl_l", KEY_ctrl }, { "alt_l", KEY_alt }, { "shift_l", KEY_shift }, { "altgr", KEY_alt_r },
		{ "menu", KEY_compose }, { "asterisk", KEY_kp_multiply }, { "pageup", KEY_pgup },
		{ "pagedown", KEY_pgdn }, { "del", KEY_delete }, { "ins", KEY_insert }, { "win", KEY_meta_l },
	};

	for (unsigned i = 1; i < KEY_COUNT; i++)
		if (strcasecmp(plain_name(&key_info[i]), name) == 0)
			return (enum key)i;
	for (unsigned i = 0; i < ARRAY_LEN(alias); i++)
		if (strcasecmp(alias[i].alias, name) == 0)
			return alias[i].key;
	return KEY_NONE;
}

enum key key_by_set1(uint16_t code)
{
	for (unsigned i = 1; i < KEY_COUNT; i++)
		if (key_info[i].set1 == code)
			return (enum key)i;
	return KEY_NONE;
}

enum key key_by_ascii(char c, bool *shift)
{
	static const struct { enum key key; char plain, shifted; } typed[] = {
		{ KEY_k_1, '1', '!' }, { KEY_k_2, '2', '@' }, { KEY_k_3, '3', '#' }, { KEY_k_4, '4', '$' },
		{ KEY_k_5, '5', '%' }, { KEY_k_6, '6', '^' }, { KEY_k_7, '7', '&' }, { KEY_k_8, '8', '*' },
		{ KEY_k_9, '9', '(' }, { KEY_k_0, '0', ')' }, { KEY_minus, '-', '_' }, { KEY_equal, '=', '+' },
		{ KEY_bracket_left, '[', '{' }, { KEY_bracket_right, ']', '}' }, { KEY_semicolon, ';', ':' },
		{ KEY_apostrophe, '\'', '"' }, { KEY_grave_accent, '`', '~' }, { KEY_backslash, '\\', '|' },
		{ KEY_comma, ',', '<' }, { KEY_dot, '.', '>' }, { KEY_slash, '/', '?' }, { KEY_spc, ' ', 0 },
		{ KEY_ret, '\n', 0 }, { KEY_ret, '\r', 0 }, { KEY_tab, '\t', 0 }, { KEY_backspace, '\b', 0 },
		{ KEY_backspace, 0x7F, 0 }, { KEY_esc, 0x1B, 0 },
	};
	char name[2] = { c, 0 };

	*shift = c >= 'A' && c <= 'Z';
	if (*shift || (c >= 'a' && c <= 'z'))
		return key_by_name(name);
	for (unsigned i = 0; i < ARRAY_LEN(typed); i++) {
		if (c == typed[i].plain || (c == typed[i].shifted && c != 0)) {
			*shift = c != typed[i].plain;
			return typed[i].key;
		}
	}
	return KEY_NONE;
}
