/* The seed's third: the next page holds no code, so --protect-code lets the accesses through. */
#include "pc.inc"
	.globl _start
_start:
	own_address
	add	$4096, %eax
	movl	(%eax), %ebx
	movl	%ebx, (%eax)
	hlt
