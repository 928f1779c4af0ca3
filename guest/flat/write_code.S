/* The seed's second demonstration: writes the page it runs from. --protect-code stops there. */
#include "pc.inc"
	.globl _start
_start:
	own_address
	movl	%ebx, (%eax)
	hlt
