/* The seed's first demonstration: --virtualize nop stops at the NOP. */
	.globl _start
_start:
	clc
	stc
	nop
	hlt
