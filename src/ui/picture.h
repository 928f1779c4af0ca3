/*
 * The screen as a picture file.
 */
#ifndef PLEX86_UI_PICTURE_H
#define PLEX86_UI_PICTURE_H

#include "dev/vga.h"
#include "util/error.h"

enum picture_format { PICTURE_PPM, PICTURE_PNG };

/* By the name's end: .png, else PPM. */
enum picture_format picture_format_of(const char *path);
/* Writes path anew; no file is left of a write that failed. 0 or -errno with err set. */
int picture_write(const struct vga_picture *picture, const char *path, enum picture_format format, struct error *err);

#endif
