/*
 * The guest's registers as a debugger numbers them, and the target description that says so.
 *
 * Registers 0 to 40 are those of every i386 target of gdb; behind them come the ones only a system has.
 * EIP is shown as a linear address (CS base + EIP): in flat code it is EIP itself, and in real mode and
 * 16-bit segments breakpoints and disassembly at $pc mean what they say.
 */
#ifndef PLEX86_GDB_REGISTERS_H
#define PLEX86_GDB_REGISTERS_H

#include "cpu/cpu.h"

#define REGISTER_MAX_BYTES 16

unsigned registers_count(void);
unsigned register_bytes(unsigned n);		/* 0: there is no such register */

void register_read(struct vcpu *cpu, unsigned n, uint8_t buf[REGISTER_MAX_BYTES]);
/* false: the processor does not take the value, or the register is only for looking. */
bool register_write(struct vcpu *cpu, unsigned n, const uint8_t buf[REGISTER_MAX_BYTES]);

/* target.xml; the caller frees it. NULL: no memory. It says i8086 while CS has 16-bit code, so that gdb
 * disassembles it right; a 32-bit program's symbols, or "set architecture i386", make it i386. */
char *registers_description(const struct vcpu *cpu);

#endif
