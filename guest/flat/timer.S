/*
 * HLT and the timer: IRQ 0 at 1000 Hz, twenty ticks asleep, each with the time-stamp counter and the
 * counter of the 8254 as they are then. By the instruction clock the output is the same every time.
 */
#include "pc.inc"
	.globl _start
_start:
	gate 0x20, tick
	lidt idtr
	pics_with_irq_0
	write_port 0x43, 0x34		/* counter 0, mode 2, 1193 */
	write_port 0x40, 0xA9
	write_port 0x40, 0x04
	sti
1:	hlt
	mov ticks, %eax
	mov %eax, %ebx
	call puthex
	mov $' ', %al
	call putc
	rdtsc
	call puthex
	mov $' ', %al
	call putc
	mov $0, %al
	out %al, $0x43
	in $0x40, %al
	mov %al, %ah
	in $0x40, %al
	movzwl %ax, %eax
	call puthex
	mov $'\n', %al
	call putc
	cmp $20, %ebx
	jb 1b
	power_off
	counts_interrupts tick, ticks
ticks:	.long 0
	empty_idt 0x20
	library
