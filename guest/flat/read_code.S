/* The seed's second demonstration: reads the page it runs from. --protect-code stops there. */
#include "pc.inc"
	.globl _start
_start:
	own_address
	movl	(%eax), %ebx
	hlt
