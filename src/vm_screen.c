#include "vm_screen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mmu/mmu.h"
#include "vm.h"

static ns_t on_now(void *arg)
{
	return vm_now(arg);
}

static void on_drop_writes(void *arg, uint64_t fd_offset, uint64_t bytes)
{
	struct vm *vm = arg;

	mmu_drop_writes_range(&vm->cpu, fd_offset, bytes);
}

static int load_rom(struct vm_screen *s, const char *path, struct error *err)
{
	char found[256];

	if (path == NULL)
		path = firmware_find("vgabios-stdvga.bin", found, sizeof(found));
	if (path == NULL)
		return 0;
	int rc = host_file_open(&s->rom, "VGA BIOS", path, err);
	if (rc < 0)
		return rc;
	if (s->rom.size > VGA_ROM_MAX || s->rom.size < 512 || s->rom.data[0] != 0x55 || s->rom.data[1] != 0xAA)
		return error_set(err, -EINVAL, "VGA BIOS '%s': not an option ROM of at most %u KiB", path, VGA_ROM_MAX >> 10);
	s->rom.path = NULL;		/* was perhaps found[] */
	s->font = vga_find_font(s->rom.data, s->rom.size);
	return 0;
}

int vm_screen_init(struct vm *vm, struct error *err)
{
	struct vm_screen *s = &vm->screen;

	if (!vm->cfg->screen.vga)
		return 0;
	int rc = load_rom(s, vm->cfg->screen.vgabios, err);
	if (rc < 0)
		return rc;
	s->vga.now = on_now;
	s->vga.drop_writes = on_drop_writes;
	s->vga.arg = vm;
	rc = vga_init(&s->vga, &vm->phys, &vm->pc.bus);
	if (rc < 0)
		return error_set(err, rc, "cannot set up the graphics card: %s", strerror(-rc));
	vga_pci_init(&s->vga, &vm->chipset.pci, VGA_DEVFN, s->rom.data, s->rom.size);
	s->present = true;
	return 0;
}

void vm_screen_reset(struct vm *vm)
{
	struct vm_screen *s = &vm->screen;

	if (!s->present)
		return;
	vga_reset(&s->vga);
	if (!vm->firmware)
		vga_set_text_mode(&s->vga, s->font);
}

void vm_screen_free(struct vm *vm)
{
	if (vm->screen.rom.size)
		host_file_close(&vm->screen.rom);
}

/* --- front ends: their threads ask, the vCPU's does --- */

struct key_request { uint8_t key; bool down; };
struct mouse_request { int dx, dy, dz; unsigned buttons; };

static void do_refresh(void *arg, const void *data)
{
	struct vm *vm = arg;
	struct vga_view *view;

	memcpy(&view, data, sizeof(view));
	vga_view_update(&vm->screen.vga, view);
}

static void do_key(void *arg, const void *data)
{
	struct vm *vm = arg;
	struct key_request r;

	memcpy(&r, data, sizeof(r));
	pc_key(&vm->pc, r.key, r.down);
}

static void do_mouse(void *arg, const void *data)
{
	struct vm *vm = arg;
	struct mouse_request r;

	memcpy(&r, data, sizeof(r));
	pc_mouse(&vm->pc, r.dx, r.dy, r.dz, r.buttons);
}

static void do_command(void *arg, const void *data)
{
	struct vm *vm = arg;
	enum ui_command command;

	memcpy(&command, data, sizeof(command));
	if (command == UI_QUIT)
		vm_quit(vm, "host-ui", "ended from the display");
	else if (command == UI_RESET)
		vm_request_reset(vm);
	else
		pc_power_button(&vm->pc);
}

static bool on_refresh(void *arg, struct vga_view *view)
{
	struct vm *vm = arg;

	return host_post(&vm->post, do_refresh, vm, &view, sizeof(view), true);
}

static void on_key(void *arg, enum key key, bool down)
{
	struct vm *vm = arg;
	struct key_request r = { (uint8_t)key, down };

	host_post(&vm->post, do_key, vm, &r, sizeof(r), false);
}

static void on_mouse(void *arg, int dx, int dy, int dz, unsigned buttons)
{
	struct vm *vm = arg;
	struct mouse_request r = { dx, dy, dz, buttons };

	host_post(&vm->post, do_mouse, vm, &r, sizeof(r), false);
}

static void on_command(void *arg, enum ui_command command)
{
	struct vm *vm = arg;

	host_post(&vm->post, do_command, vm, &command, sizeof(command), false);
}

int vm_screen_show(struct vm *vm, struct error *err)
{
	const struct screen_config *cfg = &vm->cfg->screen;
	struct vm_screen *s = &vm->screen;
	struct ui_machine machine = { .arg = vm, .name = vm->cfg->control.name, .refresh = on_refresh, .key = on_key,
	    .mouse = on_mouse, .command = on_command };

	_Static_assert(KEY_COUNT <= 256, "struct key_request");
	if (cfg->nui == 0)
		return 0;
	if (!s->present)
		return error_set(err, -EINVAL, "-display: the machine has no graphics card (-vga std)");
	for (unsigned i = 0; i < cfg->nui; i++) {
		s->view[i] = calloc(1, sizeof(*s->view[i]));
		if (s->view[i] == NULL)
			return error_set(err, -ENOMEM, "no memory for the display");
		vga_view_add(&s->vga, s->view[i]);
		s->nui++;
		int rc = ui_open(&s->ui[i], &cfg->ui[i], &machine, s->view[i], err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void vm_screen_hide(struct vm *vm)
{
	struct vm_screen *s = &vm->screen;

	for (unsigned i = 0; i < s->nui; i++) {
		ui_close(s->ui[i]);
		vga_view_remove(&s->vga, s->view[i]);
		free(s->view[i]);
	}
	s->nui = 0;
}

/* A view of the screen as it is now; the caller frees it. */
static struct vga_view *look(struct vm *vm, struct error *err)
{
	if (!vm->screen.present) {
		error_set(err, -ENODEV, "the machine has no graphics card");
		return NULL;
	}
	struct vga_view *view = calloc(1, sizeof(*view));
	if (view == NULL)
		error_set(err, -ENOMEM, "no memory");
	else
		vga_view_once(&vm->screen.vga, view);
	return view;
}

int vm_screendump(struct vm *vm, const char *path, enum picture_format format, struct error *err)
{
	struct vga_picture picture = { 0 };
	struct vga_view *view = look(vm, err);

	if (view == NULL)
		return -ENODEV;
	int rc = vga_draw(view, &picture) ? picture_write(&picture, path, format, err) : error_set(err, -ENOMEM, "no memory");
	vga_picture_free(&picture);
	free(view);
	return rc;
}

static char *put_utf8(char *p, uint32_t c)
{
	if (c < 0x80) {
		*p++ = (char)c;
	} else if (c < 0x800) {
		*p++ = (char)(0xC0 | c >> 6);
		*p++ = (char)(0x80 | (c & 0x3F));
	} else {
		*p++ = (char)(0xE0 | c >> 12);
		*p++ = (char)(0x80 | (c >> 6 & 0x3F));
		*p++ = (char)(0x80 | (c & 0x3F));
	}
	return p;
}

char *vm_screentext(struct vm *vm)
{
	struct error err;
	struct vga_view *view = look(vm, &err);
	struct vga_text *text = calloc(1, sizeof(*text));
	char *out = NULL;

	if (view && text) {
		vga_get_text(view, text);
		out = malloc((size_t)text->rows * (text->columns * 3 + 1) + 1);
	}
	char *p = out;
	for (unsigned row = 0; out && row < text->rows; row++) {
		const struct vga_cell *cell = &text->cell[row * text->columns];
		unsigned n = text->columns;

		while (n > 0 && (cell[n - 1].code == ' ' || cell[n - 1].code == 0))
			n--;
		for (unsigned x = 0; x < n; x++)
			p = put_utf8(p, vga_code_to_unicode(cell[x].code));
		*p++ = '\n';
	}
	if (out)
		*p = '\0';
	free(text);
	free(view);
	return out;
}
