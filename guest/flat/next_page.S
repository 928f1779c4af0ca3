/* The seed's third: the next page holds no code, so --protect-code lets the accesses through. */
	.globl _start
_start:
	push	%ss
	pop	%ds
	call	get_eip
get_eip:
	pop	%eax
	add	$4096, %eax
	movl	(%eax), %ebx
	movl	%ebx, (%eax)
	hlt
