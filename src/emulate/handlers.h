/*
 * The handlers of tier 0: one exec_NAME per I_NAME of insn.def, plus the specialised forms.
 *
 * Which file defines which: integer and strings in their own files, segments and system in
 * system.c, x87/MMX/SSE in the fpu files. emulate_handler() chooses among them.
 */
#ifndef PLEX86_EMULATE_HANDLERS_H
#define PLEX86_EMULATE_HANDLERS_H

#include "emulate/emulate.h"

#define INSN(name, ...) exec_fn exec_##name;
#include "decode/insn.def"

/* MOV, PUSH and POP with an OPND_SREG operand (system.c). */
exec_fn exec_mov_sreg, exec_push_sreg, exec_pop_sreg;

#endif
