/*
 * A guest that rests: 250 ticks of the 8254 a second for three seconds, and nothing else to do. None may be lost, and none
 * too many: the time-stamp counter, at 1 GHz, says how many there were.
 */
#include "pc.inc"
#define COUNT		4772
#define PERIOD		3999389			/* of the time-stamp counter: COUNT / 1193182 Hz, or less */
.macro periods_since begin
	rdtsc
	sub \begin, %eax
	sbb \begin + 4, %edx
	mov $PERIOD, %ecx
	div %ecx
.endm
	.globl _start
_start:
	gate 0x20, tick
	lidt idtr
	pics_with_irq_0
	rdtsc
	mov %eax, before
	mov %edx, before + 4
	write_port 0x43, 0x34			/* counter 0, mode 2 */
	write_port 0x40, (COUNT & 0xFF)
	write_port 0x40, (COUNT >> 8)
	rdtsc
	mov %eax, after
	mov %edx, after + 4
	sti
1:	hlt
	cmpl $750, ticks
	jb 1b
	/* Those that were late come now: it has them all, or it never will. */
2:	cli
	periods_since before
	cmp ticks, %eax
	jb many
	periods_since after
	mov ticks, %ecx
	sti
	cmp %ecx, %eax
	jbe all
	cmp $3000, %eax
	jb 2b
	print "ticks were lost\n"
	power_off
many:	print "too many ticks\n"
	power_off
all:	print "all ticks came\n"
	power_off
	counts_interrupts tick, ticks
ticks:	.long 0
before:	.long 0, 0
after:	.long 0, 0
	empty_idt 0x20
	library
