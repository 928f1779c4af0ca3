/*
 * The timer goes on after HLT: one tick asleep, then ten awake, in a loop and a handler that touch no timer.
 */
#include "pc.inc"
	.globl _start
_start:
	gate 0x20, tick
	lidt idtr
	pics_with_irq_0
	write_port 0x43, 0x34		/* counter 0, mode 2, 1000 Hz */
	write_port 0x40, 0xA9
	write_port 0x40, 0x04
	sti
	hlt
1:	cmpl $11, ticks
	jb 1b
	print "awake\n"
	power_off
	counts_interrupts tick, ticks
ticks:	.long 0
	empty_idt 0x20
	library
