#include "ui/keysym.h"

#include <rfb/keysym.h>

static const struct { uint32_t sym; enum key key; } special[] = {
	{ XK_BackSpace, KEY_backspace }, { XK_Tab, KEY_tab }, { XK_ISO_Left_Tab, KEY_tab }, { XK_Return, KEY_ret },
	{ XK_Escape, KEY_esc }, { XK_Delete, KEY_delete }, { XK_Insert, KEY_insert }, { XK_Home, KEY_home },
	{ XK_End, KEY_end }, { XK_Page_Up, KEY_pgup }, { XK_Page_Down, KEY_pgdn }, { XK_Left, KEY_left },
	{ XK_Up, KEY_up }, { XK_Right, KEY_right }, { XK_Down, KEY_down }, { XK_Shift_L, KEY_shift },
	{ XK_Shift_R, KEY_shift_r }, { XK_Control_L, KEY_ctrl }, { XK_Control_R, KEY_ctrl_r }, { XK_Alt_L, KEY_alt },
	{ XK_Alt_R, KEY_alt_r }, { XK_Mode_switch, KEY_alt_r }, { XK_ISO_Level3_Shift, KEY_alt_r },
	{ XK_Meta_L, KEY_alt }, { XK_Meta_R, KEY_alt_r }, { XK_Super_L, KEY_meta_l }, { XK_Super_R, KEY_meta_r },
	{ XK_Menu, KEY_compose }, { XK_Caps_Lock, KEY_caps_lock }, { XK_Num_Lock, KEY_num_lock },
	{ XK_Scroll_Lock, KEY_scroll_lock }, { XK_Print, KEY_print }, { XK_Sys_Req, KEY_print }, { XK_Pause, KEY_pause },
	{ XK_Break, KEY_pause }, { XK_F1, KEY_f1 }, { XK_F2, KEY_f2 }, { XK_F3, KEY_f3 }, { XK_F4, KEY_f4 },
	{ XK_F5, KEY_f5 }, { XK_F6, KEY_f6 }, { XK_F7, KEY_f7 }, { XK_F8, KEY_f8 }, { XK_F9, KEY_f9 },
	{ XK_F10, KEY_f10 }, { XK_F11, KEY_f11 }, { XK_F12, KEY_f12 }, { XK_KP_0, KEY_kp_0 }, { XK_KP_1, KEY_kp_1 },
	{ XK_KP_2, KEY_kp_2 }, { XK_KP_3, KEY_kp_3 }, { XK_KP_4, KEY_kp_4 }, { XK_KP_5, KEY_kp_5 },
	{ XK_KP_6, KEY_kp_6 }, { XK_KP_7, KEY_kp_7 }, { XK_KP_8, KEY_kp_8 }, { XK_KP_9, KEY_kp_9 },
	{ XK_KP_Insert, KEY_kp_0 }, { XK_KP_End, KEY_kp_1 }, { XK_KP_Down, KEY_kp_2 }, { XK_KP_Page_Down, KEY_kp_3 },
	{ XK_KP_Left, KEY_kp_4 }, { XK_KP_Begin, KEY_kp_5 }, { XK_KP_Right, KEY_kp_6 }, { XK_KP_Home, KEY_kp_7 },
	{ XK_KP_Up, KEY_kp_8 }, { XK_KP_Page_Up, KEY_kp_9 }, { XK_KP_Delete, KEY_kp_decimal },
	{ XK_KP_Decimal, KEY_kp_decimal }, { XK_KP_Enter, KEY_kp_enter }, { XK_KP_Add, KEY_kp_add },
	{ XK_KP_Subtract, KEY_kp_subtract }, { XK_KP_Multiply, KEY_kp_multiply }, { XK_KP_Divide, KEY_kp_divide },
};

enum key key_by_keysym(uint32_t sym)
{
	bool shift;

	if (sym >= 0x20 && sym < 0x7F)
		return key_by_ascii((char)sym, &shift);
	for (unsigned i = 0; i < ARRAY_LEN(special); i++)
		if (special[i].sym == sym)
			return special[i].key;
	return KEY_NONE;
}
