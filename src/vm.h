/*
 * struct vm: one virtual machine, and the only place where its parts meet.
 */
#ifndef PLEX86_VM_H
#define PLEX86_VM_H

#include "boot/boot.h"
#include "boot/firmware.h"
#include "control/control.h"
#include "cpu/vcpu.h"
#include "dev/pc.h"
#include "gdb/gdb.h"
#include "host/chardev.h"
#include "host/io.h"
#include "host/kick.h"
#include "host/spin.h"
#include "meter/profile.h"
#include "meter/publish.h"
#include "meter/trace.h"
#include "mmu/phys.h"
#include "util/error.h"
#include "vm_debug.h"
#include "vm_drives.h"
#include "vm_net.h"
#include "vm_screen.h"

/* Why a run ended; also plex86's exit status (man page, EXIT STATUS). */
enum stop_reason {
	STOP_NONE = -1,
	STOP_POWEROFF = 0,		/* the guest powered off; or the user quit */
	STOP_USAGE = 1,			/* bad command line or input file (before the guest ran) */
	STOP_INTERNAL = 2,		/* ours: something not implemented, a host error */
	STOP_TRIPLE_FAULT = 3,		/* with -no-reboot */
	STOP_DEAD_HALT = 4,		/* HLT with interrupts off for good */
	STOP_GUEST_PANIC = 5,		/* the guest's panic port */
	STOP_TRAP = 6,			/* --virtualize / --protect-code report */
	STOP_DEBUG_EXIT = 7,		/* isa-debug-exit: status is (val << 1) | 1 */
	STOP_SIGNAL = 8,		/* SIGTERM, SIGINT, SIGHUP: 128 + signal */
};

enum vm_engine { ENGINE_SCAN, ENGINE_EMULATE, ENGINE_LOCKSTEP };	/* the first is the default */
enum vm_clock { CLOCK_HOST, CLOCK_INSTRUCTIONS };

#define VM_FW_FILES	8
#define VM_RAM_MIN	(1ull << 20)
#define VM_RAM_MAX	(3584ull << 20)		/* above it: the hole for PCI devices */
/* --clock instructions: guest time an instruction takes if nothing else is said, and how often host input is looked at. */
#define VM_INSN_NS		10u
#define VM_INPUT_PERIOD_NS	1000000u

/* What the user asked for. Strings stay the caller's, and must live as long as the VM. */
struct vm_config {
	uint64_t ram_bytes;		/* whole pages, VM_RAM_MIN..VM_RAM_MAX */
	struct boot_config boot;	/* of a kernel or flat program; without either, firmware boots a drive */
	const char *bios;		/* the firmware's image; NULL: SeaBIOS in the usual places */
	uint8_t boot_once[3];		/* the order of the first start, if [0] is not 0 */
	uint8_t boot_order[3];		/* of the firmware: 1 floppy, 2 disk, 3 CD-ROM, 4 network; 0 none */
	bool boot_menu;
	bool boot_strict;		/* of what has a bootindex, and nothing else */
	bool no_boot_check;		/* floppies without a boot sector's signature are started, too */
	uint32_t boot_retry_ms;		/* after failing to boot; 0: as the firmware likes */
	bool boot_retry_given;
	bool no_acpi, hpet;
	struct smbios_config smbios;
	struct vm_fw_file {		/* files for fw_cfg; the texts are the caller's */
		const char *name, *path, *text;	/* text, if path is NULL */
	} fw_file[VM_FW_FILES];
	unsigned nfw_files;
	uint16_t boot_menu_ms;		/* 0: as long as the firmware likes */
	struct vm_drives_config drives;
	struct net_config net;
	struct net_process net_process;	/* of net_user_start(); the machine takes its descriptor over */
	struct chardev_config serial[PC_SERIAL_PORTS];
	bool no_serial[PC_SERIAL_PORTS];	/* that port is not there at all */
	struct chardev_config debugcon;	/* where the bytes written to debugcon_port go */
	uint16_t debugcon_port;		/* 0: there is none */
	struct cpu_model cpu_model;
	enum vm_engine engine;
	const char *virtualize[16];	/* --virtualize, NULL-terminated unless full */
	bool protect_code;
	bool perf_map;			/* scanned blocks are listed for perf */
	enum vm_clock clock;
	uint32_t insn_ns;		/* of the instruction clock: what an instruction takes; 0: VM_INSN_NS */
	uint64_t code_cache_bytes;	/* for scanned code; 0: the usual */
	uint32_t max_mappings;		/* of the host's, as vm.max_map_count; 0: what that says */
	bool verify_code;		/* check every block of scanned code before it runs */
	bool no_reboot;
	bool no_shutdown;		/* a guest that powers off is stopped, and can be reset */
	bool rtc_start_given;		/* the RTC starts at rtc_start_s, seconds since 1970-01-01 00:00 */
	int64_t rtc_start_s;
	bool rtc_local;			/* the RTC shows local time, not UTC */
	ns_t idle_slack_ns;		/* ticks of a guest that rests may be so much late (dev/tick.h) */
	bool pvpanic;
	uint16_t debug_exit_port;	/* 0: no isa-debug-exit */
	uint8_t debug_exit_size;
	struct screen_config screen;
	struct control_config control;
	struct publish_config publish;
	bool meter_instructions;	/* scanned code counts its instructions */
	bool start_paused;		/* -S */
	struct gdb_config gdb;
	const char *trace_items, *trace_filter, *trace_cpls, *trace_file;	/* -d, -dfilter, -dcpl, -D */
};

struct vm_serial {			/* a serial port and what it is connected to */
	struct vm *vm;
	unsigned port;
	struct chardev chardev;
	struct chardev_ops ops;
	bool room;			/* atomic: set by the writer's thread: the UART may send on */
};

struct vm {
	struct vcpu cpu;
	struct phys phys;
	struct pc pc;
	struct chipset chipset;
	struct vm_drives drives;
	struct vm_net net;
	struct boot boot;
	bool firmware;			/* it boots, not boot */
	struct firmware fw;
	struct host_file fw_file[VM_FW_FILES];
	struct smbios smbios;
	const struct vm_config *cfg;

	/* why it stopped */
	enum stop_reason stop_reason;
	char stop_text[256];
	int exit_status;

	/* time: guest time is host_clock_ns() - start_ns, or icount * insn_ns + skipped_ns */
	uint32_t insn_ns;
	ns_t start_ns;
	ns_t skipped_ns;
	ns_t event_ns;			/* the board's next event, as it said last */
	ns_t lead_ns;			/* of the guest over the host's time: in start_ns, to be slept off (vm_lead.h) */
	bool paused;			/* no time passes for the guest */
	bool shut_down;			/* it was paused because the guest powered off (-no-shutdown) */
	bool io_error;			/* it was paused because a disk request failed, and goes on with that */
	bool begun;			/* -S is over */
	bool tray_open[VM_IDE_DRIVES + VM_FLOPPIES];	/* as the event said last */
	bool reset_by_user;		/* what the events are to say */
	const char *ended_by;		/* the same, in QMP's words; NULL: not by the user */
	ns_t paused_ns;			/* since (host clock) */
	struct rest rest;
	ns_t slack_ns;			/* of ticks, while it rests; 0 */
	ns_t input_ns;			/* instruction clock: when host input is looked at next */

	/* host */
	enum next (*run)(struct vcpu *cpu);	/* the engine */
	const struct cpu_bus *board_bus;	/* the board's, which ours passes accesses on to */
	void *board_arg;
	struct cpu_bus bus;
	struct host_kick kick;
	struct spin spin;
	struct spin_poll spin_poll;
	struct host_io io;
	struct vm_serial serial[PC_SERIAL_PORTS];
	struct vm_serial debugcon;	/* not of a serial port: nothing comes back */
	struct host_post post;		/* work from other threads */
	struct vm_screen screen;
	struct control control;
	struct trace trace;
	struct gdb gdb;
	struct stops *stops;		/* vcpu.stops points there while there are any */
	struct profile profile;
	struct publish publish;		/* meters for others */
	int statm_fd;			/* /proc/self/statm, for the meters; 0: none */
	unsigned ready;			/* how much of vm_init() has been done, for vm_free() */
};

/* On the thread that will run it. 0 or -errno with err set; *vm may be freed in any case. */
int vm_init(struct vm *vm, const struct vm_config *cfg, struct error *err);
void vm_run(struct vm *vm);		/* until it stops: stop_reason, stop_text, exit_status */
void vm_close_host(struct vm *vm);	/* output written out, terminal and signals as they were; the state stays readable */
void vm_free(struct vm *vm);

/* Stop and go on, by the user. On the vCPU's thread. */
void vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);
void vm_request_reset(struct vm *vm);
/* End it. By whom, in QMP's words ("host-qmp-quit", "host-ui"), and in ours. */
void vm_quit(struct vm *vm, const char *by, const char *text);
void vm_power_on(struct vm *vm);	/* and reset: all but memory and the RTC starts anew, the kernel is loaded again */
void vm_reset(struct vm *vm, bool triple_fault);	/* now; or the end, with -no-reboot */
ns_t vm_service_board(struct vm *vm);		/* devices up to now; their next deadline */

ns_t vm_now(struct vm *vm);		/* guest time */

/*
 * End the VM at the next instruction boundary. The first reason given stays. fmt says in one line
 * what happened (and, where it is ours, what is missing). Callable from any part that holds a vcpu.
 */
void vm_stop(struct vm *vm, enum stop_reason reason, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
