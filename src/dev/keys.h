/*
 * Keys by name. A key's name is QEMU's qcode, so that sendkey and QMP send-key speak of the same keys.
 */
#ifndef PLEX86_DEV_KEYS_H
#define PLEX86_DEV_KEYS_H

#include "util/types.h"

enum key {
	KEY_NONE,
#define KEY(name, set1, set2, set3) KEY_##name,
#include "dev/keys.def"
	KEY_COUNT
};

struct key_info {
	const char *name;		/* qcode */
	uint16_t set1, set2;		/* make code; E0xxh: with the E0 prefix; E1xxh: Pause */
	uint8_t set3;			/* 0: the key does not exist there */
};

extern const struct key_info key_info[KEY_COUNT];

/* qcode of a key, without the k_ of those that are no C name. */
const char *key_name(enum key key);
/* Key of that name ("ret", "ctrl", "a"), also a few aliases ("enter", "space"); KEY_NONE: unknown. */
enum key key_by_name(const char *name);
/* Key that sends this set 1 make code (E0xxh with prefix), as VNC's extended key event numbers them. */
enum key key_by_set1(uint16_t code);
/* Key that types an ASCII character on a US keyboard; *shift tells whether with shift. */
enum key key_by_ascii(char c, bool *shift);

#endif
