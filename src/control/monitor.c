/*
 * The monitor's commands, as QEMU's users type them: a row each in the table at the end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/devices.h"
#include "control/inspect.h"
#include "host/broker.h"
#include "host/sandbox.h"
#include "mmu/mmu.h"
#include "vm.h"

#define MAX_WORDS 8

struct line {
	struct control *c;
	struct vm *vm;
	FILE *out;
	unsigned n;			/* words after the command */
	char *word[MAX_WORDS];
};

static void failed(struct line *l, const struct error *err)
{
	fprintf(l->out, "Error: %s\r\n", err->text);
}

static bool number(struct line *l, unsigned i, int64_t *val)
{
	char *end = NULL;

	if (i < l->n)
		*val = strtoll(l->word[i], &end, 0);
	if (i < l->n && end != l->word[i] && *end == '\0')
		return true;
	fprintf(l->out, "Error: expected a number%s%s\r\n", i < l->n ? ", not " : "", i < l->n ? l->word[i] : "");
	return false;
}

/* A register's value by name; $pc is the linear address of the next instruction. */
static bool register_value(const struct vcpu *cpu, const char *name, size_t len, int64_t *val)
{
	static const char *const gpr[] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi" };
	static const char *const seg[] = { "es", "cs", "ss", "ds", "fs", "gs" };
	const struct { const char *name; uint32_t val; } more[] = {
		{ "eip", cpu->eip }, { "pc", cpu->seg[SEG_CS].base + cpu->eip }, { "eflags", cpu->eflags }, { "cr0", cpu->cr0 },
		{ "cr2", cpu->cr2 }, { "cr3", cpu->cr3 }, { "cr4", cpu->cr4 }, { "ssbase", cpu->seg[SEG_SS].base },
		{ "csbase", cpu->seg[SEG_CS].base }, { "dsbase", cpu->seg[SEG_DS].base },
	};

	for (unsigned i = 0; i < ARRAY_LEN(gpr); i++)
		if (strlen(gpr[i]) == len && memcmp(gpr[i], name, len) == 0)
			return *val = cpu->gpr[i], true;
	for (unsigned i = 0; i < ARRAY_LEN(seg); i++)
		if (strlen(seg[i]) == len && memcmp(seg[i], name, len) == 0)
			return *val = cpu->seg[i].selector, true;
	for (unsigned i = 0; i < ARRAY_LEN(more); i++)
		if (strlen(more[i].name) == len && memcmp(more[i].name, name, len) == 0)
			return *val = more[i].val, true;
	return false;
}

/* Numbers and $REGISTERs with + and - between, all words from i on. */
static bool address(struct line *l, unsigned i, int64_t *val)
{
	bool minus = false, ok = i < l->n;

	*val = 0;
	for (; ok && i < l->n; i++) {
		for (const char *p = l->word[i]; *p && ok; ) {
			int64_t term = 0;
			char *end;

			if (*p == '+' || *p == '-') {
				minus = *p++ == '-';
				continue;
			}
			if (*p == '$') {
				size_t len = strcspn(++p, "+-");
				ok = register_value(&l->vm->cpu, p, len, &term);
				end = (char *)p + len;
			} else {
				term = strtoll(p, &end, 0);
				ok = end != p && (*end == '\0' || *end == '+' || *end == '-');
			}
			*val += minus ? -term : term;
			minus = false;
			p = end;
		}
	}
	if (!ok)
		fputs("Error: expected an address: numbers and registers as $pc, $esp, with + and - between\r\n", l->out);
	return ok;
}

static void cmd_sendkey(struct line *l)
{
	enum key keys[16];
	struct error err = { "" };
	int64_t hold = 100;
	int n = control_parse_keys(l->word[0], keys, ARRAY_LEN(keys), &err);

	if (n < 0)
		failed(l, &err);
	else if (l->n < 2 || number(l, 1, &hold)) {
		if (control_send_keys(l->c, keys, (unsigned)n, (unsigned)hold) < 0)
			fputs("Error: too many keys are waiting to be sent\r\n", l->out);
	}
}

/* screendump FILE [-f png|ppm] */
static void cmd_screendump(struct line *l)
{
	struct error err = { "" };
	enum picture_format format = picture_format_of(l->word[0]);

	for (unsigned i = 1; i + 1 < l->n; i++)
		if (strcmp(l->word[i], "-f") == 0)
			format = strcmp(l->word[i + 1], "png") == 0 ? PICTURE_PNG : PICTURE_PPM;
	if (vm_screendump(l->vm, l->word[0], format, &err) < 0)
		failed(l, &err);
}

static void cmd_screentext(struct line *l)
{
	char *text = vm_screentext(l->vm);

	fputs(text ? text : "Error: the machine has no graphics card\r\n", l->out);
	free(text);
}

static void cmd_pmemsave(struct line *l)
{
	struct error err = { "" };
	int64_t at, size;

	if (number(l, 0, &at) && number(l, 1, &size) && save_memory(l->vm, (uint64_t)at, (uint64_t)size, l->word[2], &err) < 0)
		failed(l, &err);
}

/* "/4xw": how many, in which form, how wide. */
struct format {
	unsigned count, size;
	char form;
};

static struct format parse_format(struct line *l)
{
	struct format f = { 1, 4, 'x' };

	if (l->n == 0 || l->word[0][0] != '/')
		return f;
	char *p = l->word[0] + 1;
	if (*p >= '0' && *p <= '9') {
		unsigned long n = strtoul(p, &p, 10);

		f.count = (unsigned)MIN(n, 65536ul);
	}
	for (; *p; p++) {
		if (*p == 'b' || *p == 'h' || *p == 'w' || *p == 'g')
			f.size = *p == 'b' ? 1 : *p == 'h' ? 2 : *p == 'w' ? 4 : 8;
		else if (strchr("xduoci", *p))
			f.form = *p;
	}
	if (f.form == 'c')
		f.size = 1;
	l->n--;
	memmove(l->word, l->word + 1, l->n * sizeof(l->word[0]));
	return f;
}

static void print_value(FILE *out, const struct format *f, uint64_t v)
{
	int64_t s = (int64_t)(v << (64 - 8 * f->size)) >> (64 - 8 * f->size);

	switch (f->form) {
	case 'd':
		fprintf(out, " %lld", (long long)s);
		break;
	case 'u':
		fprintf(out, " %llu", (unsigned long long)v);
		break;
	case 'o':
		fprintf(out, " 0%llo", (unsigned long long)v);
		break;
	case 'c':
		fprintf(out, v >= 0x20 && v < 0x7F ? " '%c'" : " '\\x%02x'", (int)v);
		break;
	default:
		fprintf(out, " 0x%0*llx", (int)f->size * 2, (unsigned long long)v);
	}
}

/* Instructions, as CS has them. */
static void disassemble(struct line *l, const struct format *f, int64_t at, bool physical)
{
	struct vcpu *cpu = &l->vm->cpu;
	const struct segment *cs = &cpu->seg[SEG_CS];
	char hex[REPORT_HEX], text[160];

	for (unsigned i = 0; i < f->count; i++) {
		uint64_t where = physical ? (uint64_t)at : (lin_t)at;
		/* branches say where they go in the terms of EIP, which is the address in flat code */
		unsigned len = report_disasm(cpu, where, physical, cs->attr & SEG_DB, physical ? (uint32_t)at : (uint32_t)at - cs->base,
		    hex, text, sizeof(text));

		if (len == 0) {
			fputs("Cannot access memory at that address\r\n", l->out);
			return;
		}
		fprintf(l->out, "0x%08llx:  %-22s %s\r\n", (unsigned long long)where, hex, text);
		at += len;
	}
}

/* As the processor would read: video memory too, and where a device answers, it is asked. */
static void dump(struct line *l, bool physical)
{
	struct format f = parse_format(l);
	unsigned per_line = f.size == 8 ? 2 : 16 / f.size;
	int64_t at;

	if (!address(l, 0, &at))
		return;
	if (f.form == 'i') {
		disassemble(l, &f, at, physical);
		return;
	}
	for (unsigned i = 0; i < f.count; i++, at += f.size) {
		uint64_t v = 0;

		if (i % per_line == 0)
			fprintf(l->out, "%s%0*llx:", i ? "\r\n" : "", physical ? 16 : 8, (unsigned long long)at);
		for (unsigned b = 0; b < f.size; b++) {
			gpa_t gpa = (gpa_t)at + b;

			if (!physical && !mmu_translate(&l->vm->cpu, (lin_t)gpa, &gpa)) {
				fputs("\r\nCannot access memory at that address\r\n", l->out);
				return;
			}
			v |= (uint64_t)phys_read_n(&l->vm->phys, gpa, 1) << 8 * b;
		}
		print_value(l->out, &f, v);
	}
	fputs("\r\n", l->out);
}

static void cmd_xp(struct line *l) { dump(l, true); }
static void cmd_x(struct line *l) { dump(l, false); }

static void cmd_mouse_move(struct line *l)
{
	int64_t dx, dy, dz = 0;

	if (number(l, 0, &dx) && number(l, 1, &dy) && (l->n < 3 || number(l, 2, &dz)))
		pc_mouse(&l->vm->pc, (int)dx, (int)dy, (int)dz, l->c->mouse_buttons);
}

static void cmd_mouse_button(struct line *l)
{
	int64_t mask;

	if (!number(l, 0, &mask))
		return;
	/* QEMU's monitor has bit 1 for the middle button; the chip has bit 1 for the right one. */
	l->c->mouse_buttons = (unsigned)((mask & 1) | (mask & 4) >> 1 | (mask & 2) << 1);
	pc_mouse(&l->vm->pc, 0, 0, 0, l->c->mouse_buttons);
}

static void cmd_stop(struct line *l) { vm_pause(l->vm); }
static void cmd_cont(struct line *l) { vm_resume(l->vm); }
static void cmd_reset(struct line *l) { vm_request_reset(l->vm); }
static void cmd_powerdown(struct line *l) { power_button(l->c); }
static void cmd_quit(struct line *l) { vm_quit(l->vm, "host-qmp-quit", "ended by command"); }

static void cmd_eject(struct line *l)
{
	bool force = strcmp(l->word[0], "-f") == 0;
	struct error err = { "" };

	if (force && l->n < 2)
		fputs("Error: eject: which device?\r\n", l->out);
	else if (drive_change(l->c, l->word[force], NULL, NULL, false, force, &err) < 0)
		failed(l, &err);
}

static void cmd_set_link(struct line *l)
{
	bool up = strcmp(l->word[1], "on") == 0;
	struct error err = { "" };

	if (!up && strcmp(l->word[1], "off") != 0)
		fprintf(l->out, "Error: a link is on or off, not %s\r\n", l->word[1]);
	else if (vm_net_set_link(l->vm, l->word[0], up, &err) < 0)
		failed(l, &err);
}

/* In the sandbox a medium is opened for reading only: for a person that is a write-protected one, not an error. */
static void cmd_change(struct line *l)
{
	const char *format = l->n > 2 ? l->word[2] : NULL, *mode = l->n > 3 ? l->word[3] : "retain";
	struct error err = { "" }, again = { "" };
	bool read_only = strcmp(mode, "read-only") == 0, retain = strcmp(mode, "retain") == 0;

	if (!read_only && !retain && strcmp(mode, "read-write") != 0) {
		fprintf(l->out, "Error: the mode is read-only, read-write or retain, not %s\r\n", mode);
		return;
	}
	int rc = drive_change(l->c, l->word[0], l->word[1], format, read_only, false, &err);
	if (rc == -EACCES && retain && host_broker_sealed() &&
	    drive_change(l->c, l->word[0], l->word[1], format, true, false, &again) == 0)
		fprintf(l->out, "%s is write-protected: the sandbox lets plex86 write below --sandbox=on,path=FOLDER only\r\n", l->word[0]);
	else if (rc < 0)
		failed(l, &err);
}

/* QEMU's words: without an argument the usual port. */
static void cmd_gdbserver(struct line *l)
{
	struct error err = { "" };
	struct gdb_config cfg;

	if (gdb_parse(&cfg, l->n ? l->word[0] : "tcp::1234", &err) < 0 || gdb_open(&l->vm->gdb, &cfg, &err) < 0)
		failed(l, &err);
	else if (cfg.on)
		fprintf(l->out, "Waiting for gdb connection on device '%s'\r\n", l->n ? l->word[0] : "tcp::1234");
	else
		fputs("Disabled gdbserver\r\n", l->out);
}

/* QEMU's words: "log in_asm,int", "log none". */
static void cmd_log(struct line *l)
{
	struct error err = { "" };

	if (strcmp(l->word[0], "help") == 0)
		trace_list_items(l->out);
	else if (trace_set_items(&l->vm->trace, l->word[0], &err) < 0)
		failed(l, &err);
	else if (vm_debug_trace(l->vm) < 0)
		fputs("Error: no memory for the trace\r\n", l->out);
}

static void cmd_logfile(struct line *l)
{
	struct error err = { "" };

	if (trace_set_file(&l->vm->trace, l->word[0], &err) < 0)
		failed(l, &err);
}

/* --- info --- */

static void info_status(struct line *l)
{
	const char *state = run_state(l->vm);

	if (l->vm->paused && strcmp(state, "paused") != 0)
		fprintf(l->out, "VM status: paused (%s)\r\n", state);
	else
		fprintf(l->out, "VM status: %s\r\n", state);
}

static void info_registers(struct line *l)
{
	report_registers(l->out, &l->vm->cpu);
}

static void info_tlb(struct line *l) { inspect_tlb(l->vm, l->out); }
static void info_mem(struct line *l) { inspect_mem(l->vm, l->out); }
static void info_pic(struct line *l) { inspect_pic(l->vm, l->out); }
static void info_irq(struct line *l) { inspect_irq(l->vm, l->out); }
static void info_lapic(struct line *l) { inspect_lapic(l->vm, l->out); }

static void info_pci_function(struct line *l, const struct pci_dev *d)
{
	fprintf(l->out, "  Bus  0, device %3u, function %u:\r\n    %s: PCI device %04x:%04x, class %02x%02x\r\n", d->devfn >> 3,
	    d->devfn & 7, d->name, pci_get_reg(d, PCI_VENDOR, 2), pci_get_reg(d, PCI_DEVICE, 2), d->config[PCI_CLASS],
	    d->config[PCI_SUBCLASS]);
	if (d->config[PCI_INTERRUPT_PIN])
		fprintf(l->out, "      IRQ %u, pin %c\r\n", d->config[PCI_INTERRUPT_LINE], '@' + d->config[PCI_INTERRUPT_PIN]);
	for (unsigned i = 0; i < ARRAY_LEN(d->bar); i++) {
		const struct pci_bar *b = &d->bar[i];

		if (b->size && b->mapped)
			fprintf(l->out, "      BAR%u: %s at 0x%0*x [0x%0*x]\r\n", i, b->io ? "I/O" : b->prefetch ? "prefetchable memory" : "memory",
			    b->io ? 4 : 8, b->base, b->io ? 4 : 8, b->base + b->size - 1);
		else if (b->size)
			fprintf(l->out, "      BAR%u: %s, %u bytes, not mapped\r\n", i, b->io ? "I/O" : "memory", b->size);
	}
}

static void info_pci(struct line *l)
{
	for (unsigned i = 0; i < 256; i++)
		if (l->vm->chipset.pci.dev[i])
			info_pci_function(l, l->vm->chipset.pci.dev[i]);
}

static void info_block(struct line *l)
{
	for (unsigned n = 0; n < CONTROL_DRIVES; n++) {
		struct drive_view v;

		drive_look(l->vm, n, &v);
		if (!v.present)
			continue;
		if (v.file)
			fprintf(l->out, "%s: %s (%s%s)\r\n", v.name, v.file, v.format, v.read_only ? ", read-only" : "");
		else
			fprintf(l->out, "%s: [not inserted]\r\n", v.name);
		if (v.removable)
			fprintf(l->out, "    Removable device: %slocked, tray %s\r\n", v.locked ? "" : "not ", v.tray_open ? "open" : "closed");
	}
}

static void info_network(struct line *l)
{
	const struct chipset_net *n = &l->vm->chipset.net;
	const struct net_config *cfg = &l->vm->cfg->net;
	const uint16_t *mac = n->card.eeprom;

	if (!n->present)
		return;
	fprintf(l->out, "%s: model=e1000, macaddr=%02x:%02x:%02x:%02x:%02x:%02x, link %s\r\n", vm_net_name(l->vm), mac[0] & 0xFF, mac[0] >> 8,
	    mac[1] & 0xFF, mac[1] >> 8, mac[2] & 0xFF, mac[2] >> 8, e1000_link(&n->card) ? "up" : "down");
	if (!cfg->user || l->vm->net.fd < 0 || !n->card.cable) {
		fprintf(l->out, " \\ cable out%s\r\n", cfg->user && l->vm->net.fd < 0 ? ": the network's process has ended" : "");
		return;
	}
	fprintf(l->out, " \\ %s: user-mode network, process %d%s\r\n", cfg->id ? cfg->id : "user", (int)l->vm->cfg->net_process.pid,
	    cfg->at.restricted ? ", restricted" : "");
	for (unsigned i = 0; i < cfg->at.nforwards; i++) {
		const struct net_forward *f = &cfg->at.forward[i];
		char host[INET_ADDRSTRLEN], guest[INET_ADDRSTRLEN];

		inet_ntop(AF_INET, &f->host, host, sizeof(host));
		inet_ntop(AF_INET, &f->guest, guest, sizeof(guest));
		fprintf(l->out, "    %s %s:%u -> %s:%u\r\n", f->udp ? "udp" : "tcp", host, f->host_port, f->guest.s_addr ? guest : "guest", f->guest_port);
	}
	fprintf(l->out, "    received %llu frames, sent %llu, lost %llu and %llu\r\n", (unsigned long long)n->card.frames_in,
	    (unsigned long long)n->card.frames_out, (unsigned long long)l->vm->net.lost_in, (unsigned long long)l->vm->net.lost_out);
}

static void info_version(struct line *l)
{
	fputs("plex86 " PLEX86_VERSION "\r\n", l->out);
}

static void info_name(struct line *l)
{
	if (l->c->cfg->name)
		fprintf(l->out, "%s\r\n", l->c->cfg->name);
}

static void info_mice(struct line *l)
{
	fputs("* Mouse #0: PS/2 Mouse\r\n", l->out);
}

static void info_sandbox(struct line *l)
{
	host_sandbox_describe(l->out, "\r\n");
}

static const struct info {
	const char *name, *help;
	void (*run)(struct line *l);
} infos[] = {
	{ "status", "running or paused", info_status },
	{ "registers", "the processor's registers", info_registers },
	{ "tlb", "the page tables: linear, physical, flags", info_tlb },
	{ "mem", "linear memory in ranges of equal rights", info_mem },
	{ "pic", "interrupt controllers: I/O APIC and 8259A", info_pic },
	{ "irq", "how often each interrupt line was raised", info_irq },
	{ "lapic", "the local APIC", info_lapic },
	{ "pci", "PCI functions and where they are", info_pci },
	{ "block", "drives and their images", info_block },
	{ "network", "the network card, and what it is on", info_network },
	{ "version", "of plex86", info_version },
	{ "name", "of the machine", info_name },
	{ "mice", "pointing devices", info_mice },
	{ "sandbox", "what the monitor has given up", info_sandbox },
};

static void cmd_info(struct line *l)
{
	for (size_t i = 0; i < ARRAY_LEN(infos); i++) {
		if (l->n > 0 && strcmp(infos[i].name, l->word[0]) == 0) {
			infos[i].run(l);
			return;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(infos); i++)
		fprintf(l->out, "info %-12s -- %s\r\n", infos[i].name, infos[i].help);
}

static void cmd_help(struct line *l);

static const struct command {
	const char *name, *alias;
	unsigned needs;			/* words */
	const char *args, *help;
	void (*run)(struct line *l);
} commands[] = {
	{ "help", "?", 0, "", "this list", cmd_help },
	{ "info", NULL, 0, "[WHAT]", "show something (info: what there is)", cmd_info },
	{ "stop", "s", 0, "", "stop the machine; no time passes for it", cmd_stop },
	{ "cont", "c", 0, "", "go on", cmd_cont },
	{ "system_reset", NULL, 0, "", "press the reset button", cmd_reset },
	{ "system_powerdown", NULL, 0, "", "press the power button", cmd_powerdown },
	{ "gdbserver", NULL, 0, "[WHERE]", "wait for a debugger: tcp:[HOST]:PORT (tcp::1234), unix:PATH, none", cmd_gdbserver },
	{ "quit", "q", 0, "", "end plex86", cmd_quit },
	{ "sendkey", NULL, 1, "KEYS [HOLD_MS]", "press keys, as ctrl-alt-f1", cmd_sendkey },
	{ "mouse_move", NULL, 2, "DX DY [DZ]", "move the mouse", cmd_mouse_move },
	{ "mouse_button", NULL, 1, "MASK", "mouse buttons: 1 left, 2 middle, 4 right", cmd_mouse_button },
	{ "screendump", NULL, 1, "FILE [-f FORMAT]", "the screen as png or ppm", cmd_screendump },
	{ "screentext", NULL, 0, "", "what a text mode shows", cmd_screentext },
	{ "xp", NULL, 1, "/FMT ADDR", "physical memory", cmd_xp },
	{ "x", NULL, 1, "/FMT ADDR", "memory at a linear address; x/10i $pc: instructions", cmd_x },
	{ "log", NULL, 1, "ITEM,...", "trace these from now on, as -d; none, help", cmd_log },
	{ "logfile", NULL, 1, "FILE", "where the trace goes, as -D", cmd_logfile },
	{ "pmemsave", NULL, 3, "ADDR SIZE FILE", "physical memory to a file", cmd_pmemsave },
	{ "eject", NULL, 1, "[-f] DEVICE", "take the medium out (info block names the drives)", cmd_eject },
	{ "set_link", NULL, 2, "NAME on|off", "put the network card's cable in, or pull it", cmd_set_link },
	{ "change", NULL, 2, "DEVICE FILE [FORMAT [read-only|read-write]]", "put another medium in", cmd_change },
};

static void cmd_help(struct line *l)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(l->out, "%s%s%s %s -- %s\r\n", commands[i].name, commands[i].alias ? "|" : "",
		    commands[i].alias ? commands[i].alias : "", commands[i].args, commands[i].help);
}

void monitor_execute(struct control *c, const char *text, FILE *out)
{
	struct line l = { .c = c, .vm = c->vm, .out = out };
	char *copy = strdup(text), *save = NULL;
	char *name = copy ? strtok_r(copy, " \t", &save) : NULL;
	char *fmt = name ? strchr(name, '/') : NULL;	/* "xp/4xw 0" */
	char format[32] = "";

	if (name == NULL) {
		free(copy);
		return;
	}
	if (fmt) {
		snprintf(format, sizeof(format), "%s", fmt);
		l.word[l.n++] = format;
		*fmt = '\0';
	}
	while (l.n < MAX_WORDS && (l.word[l.n] = strtok_r(NULL, " \t", &save)))
		l.n++;
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const struct command *k = &commands[i];

		if (strcmp(k->name, name) != 0 && (k->alias == NULL || strcmp(k->alias, name) != 0))
			continue;
		if (l.n < k->needs)
			fprintf(out, "usage: %s %s\r\n", k->name, k->args);
		else
			k->run(&l);
		free(copy);
		return;
	}
	fprintf(out, "unknown command: '%s'\r\n", name);
	free(copy);
}

char *monitor_said(struct control *c, const char *line, size_t *len)
{
	char *said = NULL;
	FILE *f = open_memstream(&said, len);

	if (f == NULL)
		return NULL;
	monitor_execute(c, line, f);
	fclose(f);
	return said;
}
