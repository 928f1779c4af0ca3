/*
 * The screen in the terminal: text modes with their colours and box characters, by ncurses.
 *
 * Ctrl-A is the escape key, as on a serial console. A terminal says which key was typed, not that it went
 * up: every key is pressed and let go at once.
 * The thread that draws is the only one that calls curses; signals stay the machine's (ncurses's own
 * handlers would run on the stack that scanned code uses), so the terminal's size is asked for instead.
 */
#define NCURSES_WIDECHAR 1
#define NCURSES_NOMACROS 1
#define key_name curses_key_name	/* ours is another: dev/keys.h */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#undef key_name
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "host/kick.h"
#include "ui/curses_keys.h"
#include "ui/ui.h"

#define CTRL_A 1

struct terminal {
	struct ui *ui;
	SCREEN *screen;
	pthread_t thread;
	bool unicode, bright;		/* the terminal shows box characters; has 16 colours */
	bool escaped, help, help_shown;
	bool redraw;			/* for another reason than the machine's screen */
	int cursor;			/* shown: 0 or 1 */
	struct vga_text text;
	struct winsize size;
};

/* --- keys --- */

static void press(struct terminal *t, enum key modifier, enum key key)
{
	const struct ui_machine *m = &t->ui->machine;

	if (key == KEY_NONE)
		return;
	if (modifier)
		m->key(m->arg, modifier, true);
	m->key(m->arg, key, true);
	m->key(m->arg, key, false);
	if (modifier)
		m->key(m->arg, modifier, false);
}

static void press_held(struct terminal *t, struct held_key k)
{
	static const struct { unsigned bit; enum key key; } modifiers[] = { { HELD_SHIFT, KEY_shift }, { HELD_CTRL, KEY_ctrl }, { HELD_ALT, KEY_alt } };
	const struct ui_machine *m = &t->ui->machine;

	for (size_t i = 0; i < ARRAY_LEN(modifiers); i++)
		if (k.held & modifiers[i].bit)
			m->key(m->arg, modifiers[i].key, true);
	press(t, KEY_NONE, k.key);
	for (size_t i = ARRAY_LEN(modifiers); i-- > 0; )
		if (k.held & modifiers[i].bit)
			m->key(m->arg, modifiers[i].key, false);
}

static const struct { int code; struct held_key held; } function_keys[] = {
	{ KEY_UP, { KEY_up, 0 } }, { KEY_DOWN, { KEY_down, 0 } }, { KEY_LEFT, { KEY_left, 0 } }, { KEY_RIGHT, { KEY_right, 0 } },
	{ KEY_HOME, { KEY_home, 0 } }, { KEY_END, { KEY_end, 0 } }, { KEY_PPAGE, { KEY_pgup, 0 } }, { KEY_NPAGE, { KEY_pgdn, 0 } },
	{ KEY_IC, { KEY_insert, 0 } }, { KEY_DC, { KEY_delete, 0 } }, { KEY_BACKSPACE, { KEY_backspace, 0 } },
	{ KEY_ENTER, { KEY_kp_enter, 0 } }, { KEY_B2, { KEY_kp_5, 0 } }, { KEY_BTAB, { KEY_tab, HELD_SHIFT } },
	{ KEY_SR, { KEY_up, HELD_SHIFT } }, { KEY_SF, { KEY_down, HELD_SHIFT } }, { KEY_SLEFT, { KEY_left, HELD_SHIFT } },
	{ KEY_SRIGHT, { KEY_right, HELD_SHIFT } }, { KEY_SHOME, { KEY_home, HELD_SHIFT } }, { KEY_SEND, { KEY_end, HELD_SHIFT } },
	{ KEY_SPREVIOUS, { KEY_pgup, HELD_SHIFT } }, { KEY_SNEXT, { KEY_pgdn, HELD_SHIFT } }, { KEY_SIC, { KEY_insert, HELD_SHIFT } },
	{ KEY_SDC, { KEY_delete, HELD_SHIFT } },
};

static void function_key(struct terminal *t, int code, unsigned held)
{
	struct held_key k = code >= KEY_F(1) && code <= KEY_F(63) ? curses_function_key((unsigned)(code - KEY_F(0))) : curses_key_by_name(keyname(code));

	for (size_t i = 0; i < ARRAY_LEN(function_keys); i++)
		if (function_keys[i].code == code)
			k = function_keys[i].held;
	k.held |= held;
	if (k.key != KEY_NONE)
		press_held(t, k);
}

static void character(struct terminal *t, enum key modifier, wint_t c)
{
	bool shift = false;

	if (c == 0x7F)
		press(t, modifier, KEY_backspace);
	else if (c == '\r' || c == '\n')
		press(t, modifier, KEY_ret);
	else if (c == '\t')
		press(t, modifier, KEY_tab);
	else if (c == 0x1B)
		press(t, modifier, KEY_esc);
	else if (c < 0x20)
		press(t, KEY_ctrl, key_by_ascii((char)(c == 0 ? ' ' : c < 27 ? c + 0x60 : c + 0x40), &shift));
	else if (c < 0x7F) {
		enum key key = key_by_ascii((char)c, &shift);
		const struct ui_machine *m = &t->ui->machine;

		if (modifier && shift)
			m->key(m->arg, modifier, true);
		press(t, shift ? KEY_shift : modifier, key);
		if (modifier && shift)
			m->key(m->arg, modifier, false);
	}
}

static void escape_key(struct terminal *t, wint_t c)
{
	const struct ui_machine *m = &t->ui->machine;

	t->escaped = t->help = false;
	switch (c) {
	case 'x':
		m->command(m->arg, UI_QUIT);
		break;
	case 'r':
		m->command(m->arg, UI_RESET);
		break;
	case 'p':
		m->command(m->arg, UI_POWER_BUTTON);
		break;
	case 'd':
		m->key(m->arg, KEY_ctrl, true);
		press(t, KEY_alt, KEY_delete);
		m->key(m->arg, KEY_ctrl, false);
		break;
	case CTRL_A:
		character(t, KEY_NONE, CTRL_A);
		break;
	default:
		if (c >= '1' && c <= '9') {	/* Ctrl-A 1: virtual console 1 */
			m->key(m->arg, KEY_ctrl, true);
			press(t, KEY_alt, KEY_f1 + (c - '1'));
			m->key(m->arg, KEY_ctrl, false);
		} else {
			t->help = true;
		}
	}
}

/*
 * After ESC and [ or O, which are one key's sequence if more follows at once: else Alt and that character.
 * What is no key that we know is passed over whole, for typed in pieces it would be taken for text.
 */
static void sequence(struct terminal *t, wint_t first)
{
	char text[16] = { (char)first };
	size_t n = 1;
	wint_t c = 0;

	while (n < sizeof(text) - 1 && get_wch(&c) == OK && c < 0x7F) {
		text[n++] = (char)c;
		if (c >= 0x40)
			break;
	}
	if (n == 1)
		character(t, KEY_alt, first);
	else if (curses_key_by_sequence(text).key != KEY_NONE)
		press_held(t, curses_key_by_sequence(text));
}

static void input(struct terminal *t)
{
	wint_t c;
	int rc = get_wch(&c);		/* waits for the time of a picture at most */

	for (; rc != ERR; rc = get_wch(&c)) {
		timeout(0);
		if (rc == KEY_CODE_YES) {
			function_key(t, (int)c, 0);
		} else if (t->escaped) {
			escape_key(t, c);
		} else if (c == CTRL_A) {
			t->escaped = true;
		} else if (c == 0x1B) {
			/* Alt and a key come as ESC and the key, together. */
			rc = get_wch(&c);
			if (rc == OK && (c == '[' || c == 'O'))
				sequence(t, c);
			else if (rc == KEY_CODE_YES)
				function_key(t, (int)c, HELD_ALT);
			else if (rc == OK && c != CTRL_A)
				character(t, KEY_alt, c);
			else
				press(t, KEY_NONE, KEY_esc);
			t->escaped = rc == OK && c == CTRL_A;
			if (rc == ERR)
				break;
		} else {
			t->help = false;
			character(t, KEY_NONE, c);
		}
	}
	timeout(UI_PERIOD_MS);
}

/* --- drawing --- */

static short pair_of(const struct terminal *t, unsigned fore, unsigned back)
{
	return (short)(t->bright ? 1 + back * 16 + fore : 1 + (back & 7) * 8 + (fore & 7));
}

/* A VGA's colour bits are blue, green, red from below; a terminal's red, green, blue. */
static short color_of(unsigned vga)
{
	return (short)((vga & 8) | (vga & 1) << 2 | (vga & 2) | (vga >> 2 & 1));
}

static void init_colors(struct terminal *t)
{
	if (!has_colors() || start_color() == ERR)
		return;
	t->bright = COLORS >= 16 && COLOR_PAIRS > 256;
	unsigned n = t->bright ? 16 : 8;
	for (unsigned back = 0; back < n; back++)
		for (unsigned fore = 0; fore < n; fore++)
			init_pair(pair_of(t, fore, back), color_of(fore), color_of(back));
}

static wchar_t plain(uint32_t c)
{
	if (c < 0x7F)
		return (wchar_t)c;
	if (c >= 0x2500 && c < 0x2580)		/* box drawing: where there is no Unicode */
		return c == 0x2500 || c == 0x2550 ? '-' : c == 0x2502 || c == 0x2551 ? '|' : '+';
	return c >= 0x2580 && c < 0x25A0 ? '#' : '?';
}

static void draw_cell(struct terminal *t, unsigned row, unsigned x, struct vga_cell cell)
{
	uint32_t u = vga_code_to_unicode(cell.code ? cell.code : ' ');
	wchar_t text[2] = { t->unicode ? (wchar_t)u : plain(u), 0 };
	unsigned fore = cell.attr & 15, back = cell.attr >> 4;
	attr_t attr = A_NORMAL;
	cchar_t cc;

	if (t->text.blink) {
		attr |= back & 8 ? A_BLINK : 0;
		back &= 7;
	}
	if (!t->bright && fore & 8)
		attr |= A_BOLD;
	setcchar(&cc, text, attr, pair_of(t, fore, back), NULL);
	mvadd_wch((int)row, (int)x, &cc);
}

static void draw_help(void)
{
	static const char *const lines[] = {
		" Ctrl-A x       end the virtual machine       ", " Ctrl-A p       press its power button        ",
		" Ctrl-A r       press its reset button        ", " Ctrl-A d       send Ctrl-Alt-Delete          ",
		" Ctrl-A 1...9   send Ctrl-Alt-F1...F9         ", " Ctrl-A Ctrl-A  send Ctrl-A                   ",
	};
	attron(A_REVERSE);
	for (int i = 0; i < (int)ARRAY_LEN(lines); i++)
		mvaddstr(i + 1, 2, lines[i]);
	attroff(A_REVERSE);
}

static void follow_size(struct terminal *t)
{
	struct winsize w;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row && (w.ws_row != t->size.ws_row || w.ws_col != t->size.ws_col)) {
		t->size = w;
		resizeterm(w.ws_row, w.ws_col);
		clear();
		t->redraw = true;
	}
}

/* Curses sends only what differs from what the terminal shows already. */
static void draw(struct terminal *t)
{
	struct vga_text *text = &t->text;
	unsigned rows = (unsigned)LINES, columns = (unsigned)COLS, first = 0, w, h;

	erase();
	vga_get_text(t->ui->view, text);
	if (text->rows == 0) {
		vga_size(&t->ui->view->regs, &w, &h);
		mvprintw(0, 0, "(graphics, %u x %u: to be seen with -display web or -vnc)", w, h);
	}
	/* A small terminal shows the part with the cursor. */
	if (text->rows > rows && text->cursor && text->cursor_row >= rows)
		first = text->cursor_row - rows + 1;
	for (unsigned y = first; y < text->rows && y - first < rows; y++)
		for (unsigned x = 0; x < text->columns && x < columns; x++)
			draw_cell(t, y - first, x, text->cell[y * text->columns + x]);
	if (t->help)
		draw_help();
	int cursor = text->cursor && text->cursor_row - first < rows && text->cursor_column < columns;
	if (cursor)
		move((int)(text->cursor_row - first), (int)text->cursor_column);
	if (cursor != t->cursor)
		curs_set(cursor);
	t->cursor = cursor;
	refresh();
}

static void *terminal_thread(void *arg)
{
	struct terminal *t = arg;

	while (!__atomic_load_n(&t->ui->quit, __ATOMIC_ACQUIRE)) {
		input(t);
		follow_size(t);
		if (!t->ui->machine.refresh(t->ui->machine.arg, t->ui->view))
			break;
		if (t->ui->view->changed || t->redraw || t->help != t->help_shown) {
			t->ui->view->changed = t->redraw = false;
			t->help_shown = t->help;
			draw(t);
		}
	}
	return NULL;
}

/* --- set-up --- */

static const int kept_signals[] = { SIGINT, SIGTERM, SIGTSTP, SIGWINCH };

static int terminal_open(struct ui *ui, struct error *err)
{
	struct terminal *t = calloc(1, sizeof(*t));
	struct sigaction kept[ARRAY_LEN(kept_signals)];

	if (t == NULL)
		return error_set(err, -ENOMEM, "no memory for the display");
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		free(t);
		return error_set(err, -ENOTTY, "-display curses: standard input and output are no terminal");
	}
	t->ui = ui;
	t->cursor = 1;
	ui->own = t;
	setlocale(LC_CTYPE, "");
	t->unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		sigaction(kept_signals[i], NULL, &kept[i]);
	t->screen = newterm(NULL, stdout, stdin);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		sigaction(kept_signals[i], &kept[i], NULL);
	if (t->screen == NULL) {
		free(t);
		return error_set(err, -ENOTTY, "-display curses: the terminal type (TERM) is not known here");
	}
	raw();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	set_escdelay(25);
	timeout(UI_PERIOD_MS);
	init_colors(t);
	int rc = host_thread_start(&t->thread, terminal_thread, t);
	if (rc == 0)
		return 0;
	endwin();
	delscreen(t->screen);
	free(t);
	return error_set(err, rc, "cannot start the display's thread: %s", strerror(-rc));
}

static void terminal_close(struct ui *ui)
{
	struct terminal *t = ui->own;

	pthread_join(t->thread, NULL);
	endwin();
	delscreen(t->screen);
	free(t);
}

const struct ui_ops ui_curses_ops = { terminal_open, terminal_close };
