/*
 * Between the files of the board: pc.c has the map, interrupts, time and reset; pc_ports.c what happens at the
 * ports of its chips; pc_console.c serial ports, keyboard and mouse.
 */
#ifndef PLEX86_DEV_PC_INTERNAL_H
#define PLEX86_DEV_PC_INTERNAL_H

#include "dev/pc.h"

enum { IRQ_TIMER = 0, IRQ_KBD = 1, IRQ_RTC = 8, IRQ_AUX = 12, IRQ_FPU = 13 };

/* --- pc.c --- */
void pc_chip_irq(struct pc *pc, unsigned line, bool level);	/* of the chip soldered to that line */
void pc_reset_request(struct pc *pc);
void pc_set_a20(struct pc *pc, bool on);

/* --- what follows from the chips' state: interrupt lines, bytes on their way --- */
void pc_timer_irq(struct pc *pc);
void pc_rtc_irq(struct pc *pc);
bool pc_tick_busy(const struct pc *pc);			/* of IRQ 0: another tick would be swallowed */
void pc_acpi_settle(struct pc *pc);
void pc_serial_settle(struct pc *pc, unsigned n);
void pc_keyboard_settle(struct pc *pc, ns_t now);

/* --- the functions that the map names --- */
#define PC_PORT(name)									\
	uint32_t pc_##name##_read(void *arg, uint16_t port, unsigned size);		\
	void pc_##name##_write(void *arg, uint16_t port, unsigned size, uint32_t val);
PC_PORT(pic) PC_PORT(pit) PC_PORT(rtc) PC_PORT(dma) PC_PORT(port92) PC_PORT(cf8) PC_PORT(cfc) PC_PORT(apm)
PC_PORT(post) PC_PORT(debugcon) PC_PORT(debug_exit) PC_PORT(pvpanic)
PC_PORT(serial) PC_PORT(i8042)
#undef PC_PORT
void pc_ferr_write(void *arg, uint16_t port, unsigned size, uint32_t val);

#endif
