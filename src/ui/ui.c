#include "ui/ui.h"

#include <errno.h>
#include <stdlib.h>

bool ui_uses_terminal(const struct ui_config *cfg)
{
	return cfg->kind == UI_CURSES;
}

int ui_open(struct ui **out, const struct ui_config *cfg, const struct ui_machine *machine, struct vga_view *view,
	    struct error *err)
{
	struct ui *ui = calloc(1, sizeof(*ui));

	if (ui == NULL)
		return error_set(err, -ENOMEM, "no memory for the display");
	*ui = (struct ui){ .ops = cfg->kind == UI_CURSES ? &ui_curses_ops : &ui_vnc_ops, .cfg = *cfg, .machine = *machine,
	    .view = view };
	int rc = ui->ops->open(ui, err);
	if (rc < 0)
		free(ui);
	else
		*out = ui;
	return rc;
}

void ui_close(struct ui *ui)
{
	if (ui == NULL)
		return;
	__atomic_store_n(&ui->quit, true, __ATOMIC_RELEASE);
	ui->ops->close(ui);
	free(ui);
}
