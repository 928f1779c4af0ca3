/* Says that it is up, then waits for interrupts that never come. */
#include "pc.inc"
	.globl _start
_start:
	mov $0xFF, %al
	out %al, $0x21
	out %al, $0xA1
	print "idle\n"
	sti
1:	hlt
	jmp 1b
	library
