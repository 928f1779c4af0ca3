/*
 * HLT and the timer: IRQ 0 at 1000 Hz, twenty ticks asleep, each with the time-stamp counter and the
 * counter of the 8254 as they are then. By the instruction clock the output is the same every time.
 */
#include "pc.inc"
	.globl _start
_start:
	mov $idt + 0x20 * 8, %edi
	mov $tick, %eax
	mov %ax, (%edi)
	movw $0x08, 2(%edi)
	movw $0x8E00, 4(%edi)
	shr $16, %eax
	mov %ax, 6(%edi)
	lidt idtr
	mov $0x11, %al			/* both 8259A: vectors 20h and 28h, only IRQ 0 open */
	out %al, $0x20
	out %al, $0xA0
	mov $0x20, %al
	out %al, $0x21
	mov $0x28, %al
	out %al, $0xA1
	mov $4, %al
	out %al, $0x21
	mov $2, %al
	out %al, $0xA1
	mov $1, %al
	out %al, $0x21
	out %al, $0xA1
	mov $0xFE, %al
	out %al, $0x21
	mov $0xFF, %al
	out %al, $0xA1
	mov $0x34, %al			/* counter 0, mode 2, 1193 */
	out %al, $0x43
	mov $0xA9, %al
	out %al, $0x40
	mov $0x04, %al
	out %al, $0x40
	sti
1:	hlt
	mov ticks, %eax
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
	cmpl $20, ticks
	jb 1b
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
