/* Sends back what COM1 receives, by polling, until 'q'. */
#include "pc.inc"
	.globl _start
_start:
	print "ready\n"
1:	mov $COM1 + 5, %dx
	in %dx, %al
	test $1, %al
	jz 1b
	mov $COM1, %dx
	in %dx, %al
	call putc
	cmp $'q', %al
	jne 1b
	power_off
	library
