/*
 * Front ends: what shows the screen to people and takes their keys. Each has a thread of its own, and
 * asks the machine through struct ui_machine, whose functions go to the vCPU's thread.
 */
#ifndef PLEX86_UI_UI_H
#define PLEX86_UI_UI_H

#include "dev/keys.h"
#include "dev/vga.h"
#include "util/error.h"

#define UI_MAX		4
#define UI_PERIOD_MS	33		/* a picture at most this often */

enum ui_kind { UI_NONE, UI_VNC, UI_WEB, UI_CURSES };
enum ui_command { UI_QUIT, UI_RESET, UI_POWER_BUTTON };

struct ui_config {
	enum ui_kind kind;
	char host[64];			/* VNC, web: address to listen at; "": this host only */
	unsigned port;			/* VNC: 5900 + display; web: of the page, 0: a free one */
	const char *password_file;	/* VNC: NULL: none asked for (loopback only) */
};

struct ui_machine {
	void *arg;
	const char *name;		/* for titles */
	/* Any thread. Bring the view up to date, waiting for it; false: the machine is gone. */
	bool (*refresh)(void *arg, struct vga_view *view);
	void (*key)(void *arg, enum key key, bool down);
	void (*mouse)(void *arg, int dx, int dy, int dz, unsigned buttons);
	void (*command)(void *arg, enum ui_command command);
};

struct ui;

/* 0 or -errno with err set. The view is registered by the caller (vga_view_add). */
int ui_open(struct ui **ui, const struct ui_config *cfg, const struct ui_machine *machine, struct vga_view *view,
	    struct error *err);
/* When refresh() says false already, or will: ends the thread. */
void ui_close(struct ui *ui);
/* The terminal is the front end's (curses). */
bool ui_uses_terminal(const struct ui_config *cfg);

/* What each kind of front end implements: both on the caller's thread. */
struct ui_ops {
	int (*open)(struct ui *ui, struct error *err);
	void (*close)(struct ui *ui);
};
extern const struct ui_ops ui_vnc_ops, ui_curses_ops;

struct ui {
	const struct ui_ops *ops;
	struct ui_config cfg;
	struct ui_machine machine;
	struct vga_view *view;
	bool quit;			/* atomic: read by the thread that shows it */
	void *own;
};

#endif
