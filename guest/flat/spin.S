/* Says that it is up, then never lets go of the processor. */
#include "pc.inc"
	.globl _start
_start:
	print "spinning\n"
1:	jmp 1b
	library
