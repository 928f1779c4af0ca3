/*
 * What the caller of the library wants to see: ports, instructions, exceptions, breakpoints.
 */
#include "lib/machine.h"

#include <stdlib.h>
#include <string.h>

#include "emulate/emulate.h"
#include "host/clock.h"
#include "meter/disasm.h"
#include "mmu/mmu.h"

/* --- the processor's bus --- */

static struct port_hook *port_hook(plex86 *m, uint16_t port)
{
	unsigned slot = m->port_slot ? m->port_slot[port] : 0;

	return slot ? &m->port[slot - 1] : NULL;
}

static uint32_t io_read(void *arg, uint16_t port, unsigned size)
{
	plex86 *m = arg;
	const struct port_hook *h = port_hook(m, port);
	uint32_t value = 0xFFFFFFFF;

	m->meters.port_reads++;
	if (h && h->read) {
		enum inside before = lib_enter(m, INSIDE_ACCESS);
		if (h->read(h->arg, m, port, size, &value) == PLEX86_STOP)
			lib_stop(m, PLEX86_STOP_PORT, port);
		lib_leave(m, before);
	}
	return size == 4 ? value : value & ((1u << 8 * size) - 1);
}

static void io_write(void *arg, uint16_t port, unsigned size, uint32_t val)
{
	plex86 *m = arg;
	const struct port_hook *h = port_hook(m, port);

	m->meters.port_writes++;
	if (!h || !h->write)
		return;
	enum inside before = lib_enter(m, INSIDE_ACCESS);
	if (h->write(h->arg, m, port, size, val) == PLEX86_STOP)
		lib_stop(m, PLEX86_STOP_PORT, port);
	lib_leave(m, before);
}

static int intr_ack(void *arg)
{
	plex86 *m = arg;

	m->cpu.intr_line = false;
	m->meters.interrupts++;
	return m->vector;
}

static uint64_t tsc(void *arg)
{
	plex86 *m = arg;

	if (m->config.flags & PLEX86_TSC_COUNTS)
		return m->cpu.icount - m->tsc_base;
	return host_clock_ns() - m->start_ns;
}

/* An x87 error with CR0.NE clear: nothing is wired to the pin. The next x87 instruction waits for an interrupt. */
static void ferr(void *arg, bool level) { }

const struct cpu_bus lib_bus = { .io_read = io_read, .io_write = io_write, .intr_ack = intr_ack, .tsc = tsc, .ferr = ferr };

/* --- ports --- */

static bool same_hook(const struct port_hook *a, const struct port_hook *b)
{
	return a->read == b->read && a->write == b->write && a->arg == b->arg;
}

/* The index + 1 of a hook, made if need be from one that no port uses any more. 0: there is none left. */
static unsigned port_slot_for(plex86 *m, const struct port_hook *h)
{
	bool used[PORTS_MAX + 1] = { false };

	for (unsigned i = 0; i < m->nports; i++)
		if (same_hook(&m->port[i], h))
			return i + 1;
	for (unsigned p = 0; p < 65536 && m->nports == PORTS_MAX; p++)
		used[m->port_slot[p]] = true;
	unsigned i = 0;
	while (i < m->nports && (m->nports < PORTS_MAX || used[i + 1]))
		i++;
	if (i == PORTS_MAX)
		return 0;
	m->port[i] = *h;
	m->nports = MAX(m->nports, i + 1);
	return i + 1;
}

int plex86_on_port(plex86 *m, uint32_t first, uint32_t last, plex86_port_read_fn *read, plex86_port_write_fn *write, void *arg)
{
	struct port_hook h = { read, write, arg };
	unsigned slot = 0;

	if (first > last || last > 0xFFFF)
		return lib_fail(m, PLEX86_E_ARGUMENT, "ports %#x to %#x", first, last);
	if (!m->port_slot)
		m->port_slot = calloc(65536, 1);
	if (!m->port_slot)
		return lib_fail(m, PLEX86_E_MEMORY, "no memory for the ports");
	if (read || write) {
		slot = port_slot_for(m, &h);
		if (slot == 0)
			return lib_fail(m, PLEX86_E_MEMORY, "more than %u different port callbacks", PORTS_MAX);
	}
	memset(m->port_slot + first, (int)slot, last - first + 1);
	return PLEX86_OK;
}

/* --- instructions --- */

static bool at_breakpoint(const plex86 *m, lin_t lin)
{
	for (unsigned i = 0; i < m->nbreakpoints; i++)
		if (m->breakpoint[i] == lin)
			return true;
	return false;
}

/* STI among them: scanned code does it in line, and then whoever is stopped behind it does not know of its shadow. */
static bool wants(struct vcpu *cpu, const struct insn *in, lin_t lin)
{
	const plex86 *m = cpu->vm;

	return m->any_insn && (m->every.fn || m->insn_slot[in->name] || in->name == I_STI || at_breakpoint(m, lin));
}

static void note_instruction(const struct vcpu *cpu, const struct insn *in, struct plex86_instruction *out)
{
	*out = (struct plex86_instruction){ .size = sizeof(*out), .eip = cpu->insn_eip,
	    .linear = cpu->seg[SEG_CS].base + cpu->insn_eip, .length = in->len, .operand_size = in->opsize,
	    .mnemonic = in->name == I_INVALID ? "(bad)" : insn_info[in->name].mnemonic };
	for (unsigned i = 0; i < in->nopnd; i++)
		if (in->opnd[i].kind == OPND_IMM)
			out->immediate = in->imm;
}

/* Leave the instruction alone: EIP is at it, and the engine's count will be right. */
static void stay_before(plex86 *m, struct vcpu *cpu, enum plex86_reason reason)
{
	lib_stop(m, reason, 0);
	cpu->icount--;
	if (!m->eip_set) {
		m->passed = true;
		m->passed_linear = cpu->seg[SEG_CS].base + cpu->eip;
	}
}

/* What the callbacks say. EIP is at the instruction meanwhile. */
static int ask(plex86 *m, struct vcpu *cpu, const struct insn *in)
{
	const struct insn_hook *h = m->insn_slot[in->name] ? &m->insn[m->insn_slot[in->name] - 1] : &m->every;
	struct plex86_instruction i;
	int action;

	if (!h->fn)
		return PLEX86_CONTINUE;
	note_instruction(cpu, in, &i);
	enum inside before = lib_enter(m, INSIDE_INSN);
	action = h->fn(h->arg, m, &i);
	lib_leave(m, before);
	return action;
}

/* In the place of an intercepted instruction, as an exec_fn. */
static void run_intercepted(struct vcpu *cpu, const struct insn *in)
{
	plex86 *m = cpu->vm;
	lin_t lin = cpu->seg[SEG_CS].base + cpu->insn_eip;
	uint32_t next = cpu->eip;
	bool passed = m->passed && m->passed_linear == lin;
	int action = PLEX86_CONTINUE;

	m->passed = m->eip_set = m->raise = false;
	cpu->eip = cpu->insn_eip;
	if (!passed && at_breakpoint(m, lin)) {
		stay_before(m, cpu, PLEX86_STOP_BREAKPOINT);
		return;
	}
	if (!passed)
		action = ask(m, cpu, in);
	if (action == PLEX86_STOP) {
		stay_before(m, cpu, PLEX86_STOP_INSTRUCTION);
		return;
	}
	if (m->raise)
		cpu_raise(cpu, m->raise_vector, m->raise_error);
	if (m->eip_set)
		return;
	cpu->eip = next;
	if (action == PLEX86_HANDLED)
		return;
	/* a repetition that is not finished when a run ends goes on without being asked about again */
	m->passed = passed && in->prefix & (PREFIX_REP | PREFIX_REPNE);
	m->passed_linear = lin;
	emulate_handler(in)(cpu, in);
	m->passed = m->passed && cpu->eip == cpu->insn_eip;
}

static enum intercept_verdict on_exception(struct vcpu *cpu, uint8_t vector, bool has_error, uint32_t error)
{
	plex86 *m = cpu->vm;
	struct plex86_exception e = { .size = sizeof(e), .vector = vector, .has_error = has_error,
	    .error_code = has_error ? error : 0, .address = vector == EXC_PF ? cpu->cr2 : 0, .eip = cpu->eip };

	m->meters.exceptions++;
	if (vector > 31 || !m->exception[vector].fn || m->delivering)
		return INTERCEPT_NOT;
	enum inside before = lib_enter(m, INSIDE_EXCEPTION);
	int action = m->exception[vector].fn(m->exception[vector].arg, m, &e);
	lib_leave(m, before);
	if (action == PLEX86_HANDLED) {
		/* the guest's own breakpoint on this instruction: seen, so it is not to come again at once */
		if (vector == EXC_DB && cpu_breakpoints_hit(cpu, DR7_EXEC, cpu->seg[SEG_CS].base + cpu->eip, 1))
			cpu->eflags |= EFLAGS_RF;
		return INTERCEPT_DROP;
	}
	if (action != PLEX86_STOP)
		return INTERCEPT_NOT;
	lib_stop(m, PLEX86_STOP_EXCEPTION, e.address);
	m->stop.vector = vector;
	m->stop.error_code = e.error_code;
	return INTERCEPT_STOP;
}

const struct intercept lib_intercept = { .wants = wants, .run = run_intercepted, .exception = on_exception };

static void update_any(plex86 *m)
{
	m->any_insn = m->every.fn || m->nbreakpoints;
	for (unsigned i = 0; i < HOOKS_MAX; i++)
		m->any_insn |= m->insn[i].fn != NULL;
	lib_flush_code(m);
}

static bool named(unsigned name, const char *mnemonic)
{
	return strcmp(name == I_INVALID ? "(bad)" : insn_info[name].mnemonic, mnemonic) == 0;
}

int plex86_on_instruction(plex86 *m, const char *mnemonic, plex86_instruction_fn *fn, void *arg)
{
	unsigned known = 0, slot = 0, name;

	if (!mnemonic) {
		m->every = (struct insn_hook){ fn, arg };
		update_any(m);
		return PLEX86_OK;
	}
	for (name = 0; name < I_COUNT && !known; name++)
		known = named(name, mnemonic);
	if (!known)
		return lib_fail(m, PLEX86_E_ARGUMENT, "no instruction has the mnemonic '%s'", mnemonic);
	slot = m->insn_slot[name - 1];
	for (unsigned i = 0; i < HOOKS_MAX && !slot; i++)
		if (!m->insn[i].fn)
			slot = i + 1;
	if (!slot)
		return lib_fail(m, PLEX86_E_MEMORY, "more than %u mnemonics are intercepted", HOOKS_MAX);
	m->insn[slot - 1] = (struct insn_hook){ fn, arg };
	for (name = 0; name < I_COUNT; name++)
		if (named(name, mnemonic))
			m->insn_slot[name] = (uint8_t)(fn ? slot : 0);
	update_any(m);
	return PLEX86_OK;
}

int plex86_on_exception(plex86 *m, int vector, plex86_exception_fn *fn, void *arg)
{
	if (vector < -1 || vector > 31)
		return lib_fail(m, PLEX86_E_ARGUMENT, "%d is not an exception's vector", vector);
	for (int v = 0; v < 32; v++) {
		if (vector == v || vector == -1) {
			m->exception[v].fn = fn;
			m->exception[v].arg = arg;
		}
	}
	return PLEX86_OK;
}

int plex86_add_breakpoint(plex86 *m, uint32_t linear)
{
	if (at_breakpoint(m, linear))
		return lib_fail(m, PLEX86_E_EXISTS, "there is a breakpoint at %#x already", linear);
	if (m->nbreakpoints == BREAKPOINTS_MAX)
		return lib_fail(m, PLEX86_E_MEMORY, "more than %u breakpoints", BREAKPOINTS_MAX);
	m->breakpoint[m->nbreakpoints++] = linear;
	update_any(m);
	return PLEX86_OK;
}

int plex86_remove_breakpoint(plex86 *m, uint32_t linear)
{
	for (unsigned i = 0; i < m->nbreakpoints; i++) {
		if (m->breakpoint[i] != linear)
			continue;
		m->breakpoint[i] = m->breakpoint[--m->nbreakpoints];
		update_any(m);
		return PLEX86_OK;
	}
	return lib_fail(m, PLEX86_E_MISSING, "there is no breakpoint at %#x", linear);
}

int plex86_disassemble(plex86 *m, uint32_t linear, char *text, size_t text_bytes)
{
	uint8_t code[15];
	size_t n = sizeof(code);
	char att[160];

	while (n > 0 && plex86_read_linear(m, linear, code, n) != PLEX86_OK)
		n--;
	if (n == 0)
		return lib_fail(m, PLEX86_E_MISSING, "there is no memory at linear address %#x", linear);
	const struct segment *cs = &m->cpu.seg[SEG_CS];
	unsigned len = disasm_att(att, sizeof(att), code, n, cs->attr & SEG_DB, linear - cs->base);
	if (text_bytes) {
		strncpy(text, att, text_bytes - 1);
		text[text_bytes - 1] = '\0';
	}
	return (int)len;
}
