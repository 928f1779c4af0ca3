/*
 * Options: how guest code runs, and what can be seen of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compat.h"
#include "cli/option.h"
#include "scan/vmap.h"
#include "util/size.h"

static int set_engine(struct options *o, const char *arg, struct error *err)
{
	o->engine_given = true;
	if (strcmp(arg, "emulate") == 0)
		o->vm.engine = ENGINE_EMULATE;
	else if (strcmp(arg, "scan") == 0)
		o->vm.engine = ENGINE_SCAN;
	else if (strcmp(arg, "lockstep") == 0)
		o->vm.engine = ENGINE_LOCKSTEP;
	else
		return error_set(err, -EINVAL, "--engine '%s': it is scan, emulate or lockstep", arg);
	return 0;
}

static int set_clock(struct options *o, const char *arg, struct error *err)
{
	if (strcmp(arg, "host") != 0 && strcmp(arg, "instructions") != 0)
		return error_set(err, -EINVAL, "--clock '%s': it is host or instructions", arg);
	o->vm.clock = arg[0] == 'h' ? CLOCK_HOST : CLOCK_INSTRUCTIONS;
	return 0;
}

static int set_sandbox(struct options *o, const char *arg, struct error *err)
{
	char *text = options_keep(o, arg), *to = text;

	/* What QEMU's sandbox lets one deny is denied by ours; what it lets one allow is not, and nothing of a guest's needs it. */
	for (const char *p = arg; text && *p; p += strspn(p, ",")) {
		static const char *const words[] = { "obsolete=", "elevateprivileges=", "spawn=", "resourcecontrol=" };
		size_t len = strcspn(p, ","), i = 0;

		while (i < ARRAY_LEN(words) && strncmp(p, words[i], strlen(words[i])) != 0)
			i++;
		if (i == ARRAY_LEN(words))
			to += sprintf(to, "%s%.*s", to == text ? "" : ",", (int)len, p);
		p += len;
	}
	return host_sandbox_parse(&o->sandbox, text ? text : arg, err);
}

#define CODE_CACHE_MIN	(256u << 10)

static int set_code_cache(struct options *o, const char *arg, struct error *err)
{
	if (!size_parse(arg, 1 << 10, &o->vm.code_cache_bytes) || o->vm.code_cache_bytes < CODE_CACHE_MIN ||
	    o->vm.code_cache_bytes > 1u << 30)
		return error_set(err, -EINVAL, "--code-cache '%s': it is from 256 K to 1 G, in KiB or with a suffix K, M, G", arg);
	o->vm.code_cache_bytes &= ~(uint64_t)4095;
	return 0;
}

static int set_max_mappings(struct options *o, const char *arg, struct error *err)
{
	uint64_t n;

	if (!parse_number(arg, INT32_MAX, &n) || n < 1024)
		return error_set(err, -EINVAL, "--max-mappings '%s': it is a number from 1024 on", arg);
	o->vm.max_mappings = (uint32_t)n;
	return 0;
}

static const struct option engine[] = {
	{ "engine", NULL, "NAME", "scan (default): guest code runs re-encoded as itself;\n    emulate: the complete interpreter;\n    lockstep: both, each block compared", SET(set_engine), true },
	{ "icount", NULL, "N", "--clock instructions, with 2^N ns an instruction", SET(compat_icount), false },
	{ "clock", NULL, "NAME", "host: time is the host's (default); instructions: time is counted in\n"
	    "instructions, and a run is the same every time", SET(set_clock), true },
	{ "sandbox", NULL, "WHAT", "on (default): the running monitor can open no file or socket, and start\nnothing; strict: nothing is opened for it either; off.\n"
	    "[,path=FOLDER] where it may write files later; [,namespaces=on]", SET(set_sandbox), true },
	{ "code-cache", NULL, "SIZE", "room for scanned code in KiB, or with K, M, G (default 32M to 64M)", SET(set_code_cache), true },
	{ "max-mappings", NULL, "N", "get by with a share of N mappings of the host's (default: what\n"
	    "vm.max_map_count says)", SET(set_max_mappings), true },
};

const struct option_group options_engine = GROUP("How it runs", engine);

static int set_virtualize(struct options *o, const char *arg, struct error *err)
{
	struct vmap_rule rule;

	if (!vmap_parse(&rule, arg))
		return error_set(err, -EINVAL, "--virtualize '%s': no such instruction (--virtualize-list shows them)", arg);
	for (unsigned i = 0; i < ARRAY_LEN(o->vm.virtualize); i++) {
		if (o->vm.virtualize[i] == NULL) {
			o->vm.virtualize[i] = arg;
			return 0;
		}
	}
	return error_set(err, -EINVAL, "--virtualize: at most %zu of them", ARRAY_LEN(o->vm.virtualize));
}

static int set_virtualize_list(struct options *o, const char *arg, struct error *err)
{
	vmap_list(stdout);
	o->command = CLI_DONE;
	return 0;
}

static int set_metrics(struct options *o, const char *arg, struct error *err)
{
	struct socket_spec *s = &o->vm.publish.metrics;
	bool ok;

	*s = (struct socket_spec){ .server = true };
	if (strncmp(arg, "unix:", 5) == 0)
		ok = arg[5] && (size_t)snprintf(s->path, sizeof(s->path), "%s", arg + 5) < sizeof(s->path);
	else
		ok = socket_host_port(s, arg) && s->port != 0;
	if (!ok)
		return error_set(err, -EINVAL, "--metrics '%s': it is ADDRESS:PORT, :PORT or unix:PATH", arg);
	o->vm.publish.serve = true;
	return 0;
}

static int set_meter_interval(struct options *o, const char *arg, struct error *err)
{
	char *end;
	double s = strtod(arg, &end);

	if (end == arg || *end || !(s >= 0.1 && s <= 86400))
		return error_set(err, -EINVAL, "--meter-interval '%s': it is 0.1 to 86400 seconds", arg);
	o->vm.publish.interval_ms = (unsigned)(s * 1000);
	return 0;
}

static int set_trace(struct options *o, const char *arg, struct error *err)
{
	if (strcmp(arg, "help") == 0) {
		trace_list_items(stdout);
		o->command = CLI_DONE;
	}
	o->vm.trace_items = arg;
	return 0;
}

static const struct option inside[] = {
	{ "virtualize", NULL, "INSN", "stop with a report at this instruction: a mnemonic, or mnemonic and\n"
	    "text of its operands as \"mov %cr0\" (several may be given)", SET(set_virtualize), true },
	{ "virtualize-list", NULL, NULL, "show what becomes of each instruction", SET(set_virtualize_list), true },
	{ "protect-code", NULL, NULL, "stop with a report at a data access to a page that code runs from", FLAG(vm.protect_code), true },
	{ "perf-map", NULL, NULL, "write a map of scanned blocks for perf, /tmp/perf-PID.map", FLAG(vm.perf_map), true },
	{ "verify-code", NULL, NULL, "prove each block of scanned code harmless before it runs", FLAG(vm.verify_code), true },
	{ "metrics", NULL, "ADDRESS:PORT", "meters over HTTP, for Prometheus; :PORT is this host only; or unix:PATH", SET(set_metrics), true },
	{ "meter-log", NULL, "FILE", "add a record of all meters to FILE in intervals, and at the end", TEXT(vm.publish.log), true },
	{ "meter-interval", NULL, "SECONDS", "between records (default 10)", SET(set_meter_interval), true },
	{ "meter-instructions", NULL, NULL, "count the instructions of scanned code, too (slower)", FLAG(vm.meter_instructions), true },
	{ "d", NULL, "ITEM,...", "trace (-d help lists the items)", SET(set_trace), false },
	{ "dfilter", NULL, "RANGE,...", "only at these linear addresses: start..last or start+length", TEXT(vm.trace_filter), false },
	{ "dcpl", NULL, "CPL,...", "only at these privilege levels: 0 the kernel, 3 programs", TEXT(vm.trace_cpls), true },
	{ "D", NULL, "FILE", "where the trace goes (default: standard error)", TEXT(vm.trace_file), false },
};

const struct option_group options_inside = GROUP("Looking inside", inside);
