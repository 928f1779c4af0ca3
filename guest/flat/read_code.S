/* The seed's second demonstration: reads the page it runs from. --protect-code stops there. */
	.globl _start
_start:
	push	%ss
	pop	%ds
	call	get_eip
get_eip:
	pop	%eax
	movl	(%eax), %ebx
	hlt
