/*
 * The board: a PC/AT with the chips of a PIIX-class machine. ONE table (pc.c) says who answers at
 * which port and on which IRQ. It implements struct cpu_bus, so this is where the CPU's IN/OUT,
 * interrupt acknowledge and time-stamp counter end.
 *
 * Everything here runs on the vCPU's thread. Chips know time only as the ns_t they are given.
 *
 * The run loop's duties (vm.c):
 *   - pc_update(pc, now) whenever pc_next_event() has passed, and after ATTN_KICK;
 *   - ask pc_next_event() again whenever the guest touched a chip with a timer: the board sets
 *     ATTN_KICK then. A halted guest may sleep until that time;
 *   - on ATTN_RESET: cpu_reset() and pc_reset() (or end, with -no-reboot).
 */
#ifndef PLEX86_DEV_PC_H
#define PLEX86_DEV_PC_H

#include "cpu/vcpu.h"
#include "dev/acpi.h"
#include "dev/bus.h"
#include "dev/dma.h"
#include "dev/i8042.h"
#include "dev/keys.h"
#include "dev/pic.h"
#include "dev/pit.h"
#include "dev/ps2kbd.h"
#include "dev/ps2mouse.h"
#include "dev/rtc.h"
#include "dev/tick.h"
#include "dev/uart.h"
#include "mmu/phys.h"

#define NS_NEVER	UINT64_MAX

#define PC_SERIAL_PORTS		4
#define PC_ACPI_BASE		0x600	/* PM1a event block; control at +4, PM timer at +8 */
#define PC_ACPI_SCI_IRQ		9
#define PC_ACPI_SMI_CMD		0xB2	/* ACPI_ENABLE F1h, ACPI_DISABLE F0h */
#define PC_ACPI_S5_TYPE		0	/* SLP_TYPa of soft off, as on the PIIX4 */
#define PC_RESET_PORT		0xCF9	/* FADT RESET_REG; value 6: full reset */
#define PC_RESET_VALUE		0x06

/* What the board tells the outside. Any may be NULL. Called from inside a guest access or pc_update(). */
struct pc_host {
	void *arg;
	/* The UART sent len bytes: take what you can, return how many. The rest stays in the chip (its
	 * transmitter is busy) until pc_serial_tx_ready(). NULL: bytes vanish. */
	size_t (*serial_tx)(void *arg, unsigned port, const uint8_t *buf, size_t len);
	/* The guest made room after pc_serial_input() had returned false. */
	void (*serial_rx_ready)(void *arg, unsigned port);
	void (*debug_char)(void *arg, uint16_t port, uint8_t byte);	/* of the debug port */
	void (*set_a20)(void *arg, bool on);		/* call cpu_set_a20() */
	void (*power_off)(void *arg);			/* ACPI S5 */
	/* keyboard controller pulse, port 92h, CF9h. NULL: only ATTN_RESET is set (it is set in any case) */
	void (*reset)(void *arg);
	void (*debug_exit)(void *arg, uint32_t val);	/* isa-debug-exit: exit status is (val << 1) | 1 */
	void (*panic)(void *arg, uint8_t events);	/* pvpanic: bit 0 panicked, 1 crash kernel loaded, 2 shutdown */
	void (*leds)(void *arg, unsigned mask);		/* bit 0 scroll, 1 num, 2 caps */
};

struct pc_config {
	struct pc_host host;
	ns_t (*now)(void *arg);		/* the clock: host time or instruction time */
	void *now_arg;
	uint64_t tsc_hz;		/* nominal frequency of the time-stamp counter; 0: 1 GHz */
	int64_t start_time_s;		/* what the RTC shows at now = 0, as seconds since 1970-01-01 00:00 */
	uint64_t ram_bytes;		/* goes into CMOS */
	bool no_boot_check;		/* CMOS: firmware takes a floppy without a boot sector's signature */
	uint8_t boot_order[3];		/* CMOS, as SeaBIOS reads it: 1 floppy, 2 disk, 3 CD, 4 network; 0 none */
	bool no_serial[PC_SERIAL_PORTS];
	uint16_t debugcon_port;		/* reads back E9h; 0: there is none */
	bool pvpanic;			/* port 505h */
	uint16_t debug_exit_port;	/* 0: no isa-debug-exit */
	uint8_t debug_exit_size;	/* iosize; default 4 */
};

/* Who pulls an interrupt line: the lines are wired-OR, so each source is remembered on its own. */
enum pc_irq_source {
	IRQ_SRC_CHIP,			/* the chip soldered to that line */
	IRQ_SRC_CHIP2,			/* COM3 on 4, COM4 on 3 */
	IRQ_SRC_PCI,			/* the PCI router, all INTx of that line ORed */
	IRQ_SRC_OTHER,
};

/* Real PCI configuration space, when there is one: addr is CF8h's value plus the byte of CFCh..CFFh. */
struct pci_hook {
	uint32_t (*read)(void *arg, uint32_t addr, unsigned size);
	void (*write)(void *arg, uint32_t addr, unsigned size, uint32_t val);
	void *arg;
};

struct pc {
	/* architectural: saved */
	struct pic pic;			/* both 8259A */
	struct pit pit;
	struct rtc rtc;
	struct uart uart[PC_SERIAL_PORTS];
	struct i8042 i8042;
	struct ps2kbd kbd;
	struct ps2mouse mouse;
	struct dma dma;
	struct acpi acpi;
	uint32_t irq_sources[24];	/* per line: bits of enum pc_irq_source that are high */
	uint32_t pci_address;		/* CF8h */
	uint8_t reset_control;		/* CF9h */
	uint8_t port92;			/* as written */
	uint32_t late_ticks;		/* timer interrupts owed to the guest: the host was late */
	bool tick_held;			/* IRQ 0 is kept high past OUT 0's fall, for the same reason */
	bool a20;
	uint8_t post_code;		/* port 80h: the last value written */
	uint8_t apm[2];			/* B2h, B3h */
	bool timers_cut;		/* lines 0 and 8 are HPET's */
	bool ferr;			/* FERR# latched towards IRQ 13 */
	bool stirred;			/* something other than ticks came about since the run loop looked, or their timer was set */

	/* derived */
	bool rx_wanted[PC_SERIAL_PORTS];	/* pc_serial_input() was refused since the last room */
	uint8_t leds;

	/* host */
	struct bus bus;
	struct vcpu *cpu;
	struct phys *phys;
	struct pc_config cfg;
	struct pci_hook pci;
	/* An interrupt controller besides the two 8259A (I/O APIC): sees every line change. */
	void (*irq_hook)(void *arg, unsigned line, bool level);
	/* A local APIC decides INTR instead of the 8259A alone: given the 8259A's INT output, it
	 * returns the level of the CPU's INTR; intr_ack_hook returns a vector, or -1: ask the 8259A. */
	bool (*intr_hook)(void *arg, bool pic_int);
	int (*intr_ack_hook)(void *arg);
	/* More timed devices: when the next event is, and bring up to date. */
	ns_t (*next_hook)(void *arg, ns_t now, ns_t slack);
	void (*update_hook)(void *arg, ns_t now);
	void (*reset_hook)(void *arg);
	void *hook_arg;			/* of the hooks above */
};

/* The CPU's view of the board; pc_init() installs it. */
extern const struct cpu_bus pc_cpu_bus;

/* Wire the board to cpu (bus, bus_arg) and phys, and put everything in its power-on state. 0 or -errno. */
int pc_init(struct pc *pc, struct vcpu *cpu, struct phys *phys, const struct pc_config *cfg);
/* The order in which firmware is to try the drives, as in pc_config; goes into CMOS. */
void pc_set_boot_order(struct pc *pc, const uint8_t order[3]);
/* RESET of the board: chips and A20; RTC and CMOS keep their contents. Not the CPU, not memory. */
void pc_reset(struct pc *pc);

/* When something may happen without the guest's doing, after the last update; NS_NEVER: nothing is under way. */
ns_t pc_next_event(struct pc *pc, ns_t now);
/* The same, but ticks may be so much late: those that the guest will have all the same. Nothing else. */
ns_t pc_next_event_late(struct pc *pc, ns_t now, ns_t slack);
void pc_timers_changed(struct pc *pc);	/* the run loop has to ask that again */
/* Bring every chip up to now and drive the interrupt lines. */
void pc_update(struct pc *pc, ns_t now);
/* The board's clock. */
ns_t pc_now(struct pc *pc);

/* The only way to an interrupt controller: line 0..15 (ISA IRQ; 16..23: I/O APIC only). */
void pc_set_irq(struct pc *pc, unsigned line, bool level);
/* One source of a shared (wired-OR) line; calls pc_set_irq() when the OR changes. */
void pc_set_irq_source(struct pc *pc, unsigned line, enum pc_irq_source source, bool level);
/* HPET's timers take the places of the 8254 and the RTC at lines 0 and 8, or give them back. */
void pc_cut_timer_irqs(struct pc *pc, bool cut);
/* Recompute the CPU's INTR (after anything an interrupt controller did). */
void pc_update_intr(struct pc *pc);

/* A byte arrives at COM1 + port. false: the receiver is full, offer it again after serial_rx_ready(). */
bool pc_serial_input(struct pc *pc, unsigned port, uint8_t byte);
void pc_serial_break(struct pc *pc, unsigned port);
/* serial_tx() can take bytes again. */
void pc_serial_tx_ready(struct pc *pc, unsigned port);

/* A key goes down or up. */
void pc_key(struct pc *pc, enum key key, bool down);
/* The mouse moved: dx right, dy down, dz wheel towards the user; buttons: bit 0 left, 1 right, 2 middle. */
void pc_mouse(struct pc *pc, int dx, int dy, int dz, unsigned buttons);
/* The power button: sets PWRBTN_STS, so that an ACPI guest shuts down. */
void pc_power_button(struct pc *pc);

/* Move the ACPI PM block (PIIX4 PMBASE); 0 takes it off the bus. */
void pc_acpi_move(struct pc *pc, uint16_t base);

/* Guest memory as dma_transfer() wants it. */
struct dma_memory pc_dma_memory(struct pc *pc);

#endif
