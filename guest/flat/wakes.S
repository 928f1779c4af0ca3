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
tick:	push %eax
	incl ticks
	mov $0x20, %al
	out %al, $0x20
	pop %eax
	iret
ticks:	.long 0
idtr:	.word 0x21 * 8 - 1
	.long idt
	.balign 8
idt:	.fill 0x21 * 8, 1, 0
	library
