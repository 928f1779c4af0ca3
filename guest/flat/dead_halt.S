	.globl _start
_start:
	clc
	stc
	nop
	cli
	hlt
