/* The seed's second demonstration: writes the page it runs from. --protect-code stops there. */
	.globl _start
_start:
	push	%ss
	pop	%ds
	call	get_eip
get_eip:
	pop	%eax
	movl	%ebx, (%eax)
	hlt
