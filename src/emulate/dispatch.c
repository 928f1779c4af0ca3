/*
 * Which function carries out a decoded instruction: by name, or by form where the form is hot.
 */
#include "emulate/handlers.h"
#include "emulate/operand.h"

static exec_fn *const by_name[I_COUNT] = {
#define INSN(name, ...) [I_##name] = exec_##name,
#include "decode/insn.def"
};

/* The decoder refused it. */
static void exec_invalid(struct vcpu *cpu, const struct insn *in)
{
	cpu_raise(cpu, EXC_UD, 0);
}

exec_fn *emulate_handler(const struct insn *in)
{
	static exec_fn *(*const chosen_by_form[])(const struct insn *) = {
		alu_handler, move_handler, stack_handler, shift_handler, control_handler,
	};

	if (in->name == I_INVALID)
		return exec_invalid;
	for (unsigned i = 0; i < ARRAY_LEN(chosen_by_form); i++) {
		exec_fn *fn = chosen_by_form[i](in);
		if (fn)
			return fn;
	}
	return by_name[in->name];
}
