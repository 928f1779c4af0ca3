/*
 * The machine's screen, keyboard and mouse: the graphics card, and what the user sees it with.
 */
#ifndef PLEX86_VM_SCREEN_H
#define PLEX86_VM_SCREEN_H

#include "dev/vga.h"
#include "host/file.h"
#include "host/post.h"
#include "ui/picture.h"
#include "ui/ui.h"
#include "util/error.h"

struct vm;

#define VGA_DEVFN	PCI_DEVFN(2, 0)	/* where the graphics card sits */

struct screen_config {
	bool vga;			/* there is a graphics card */
	const char *vgabios;		/* its ROM; NULL: look in the usual places */
	unsigned nui;
	struct ui_config ui[UI_MAX];
};

struct vm_screen {
	bool present;
	struct vga vga;
	struct host_file rom;		/* size 0: not found */
	const uint8_t *font;		/* in rom; NULL: none found */
	unsigned nui;
	struct ui *ui[UI_MAX];
	struct vga_view *view[UI_MAX];
};

int vm_screen_init(struct vm *vm, struct error *err);	/* after the board; 0 or -errno with err set */
void vm_screen_reset(struct vm *vm);
/* The front ends, last of all that is set up; and their end, while host/io still works. */
int vm_screen_show(struct vm *vm, struct error *err);
void vm_screen_hide(struct vm *vm);
void vm_screen_free(struct vm *vm);

/* On the vCPU's thread. -ENODEV: no graphics card. */
int vm_screendump(struct vm *vm, const char *path, enum picture_format format, struct error *err);
/* The text on the screen, a line a row, trailing blanks dropped, in UTF-8; "" in graphics modes. NULL: no memory. */
char *vm_screentext(struct vm *vm);

#endif
