/*
 * X11 keysyms, as VNC clients send them, to keys of a US keyboard.
 */
#ifndef PLEX86_UI_KEYSYM_H
#define PLEX86_UI_KEYSYM_H

#include "dev/keys.h"

/* The key that makes this symbol, with or without shift: the client sends Shift itself. KEY_NONE: unknown. */
enum key key_by_keysym(uint32_t sym);

#endif
