/* A Multiboot kernel by address fields: says what it was told.	[Multiboot Specification 0.6.96] */
#include "pc.inc"
	.globl _start
_start:
	jmp 1f
	.balign 4
header:	.long 0x1BADB002, 0x10003, -(0x1BADB002 + 0x10003)
	.long header, _start, 0, 0, _start
1:	mov $0x7C00, %esp
	call puthex			/* the magic number */
	print "\ncommand line: "
	mov 16(%ebx), %esi
	call puts
	print "\nmodules: "
	mov 20(%ebx), %eax
	call puthex
	mov 24(%ebx), %edi
	mov %eax, %ecx
	jecxz 3f
2:	print "\n"
	mov (%edi), %esi		/* the first line of the module */
	mov 4(%edi), %ebp
4:	cmp %ebp, %esi
	jae 5f
	lodsb
	call putc
	jmp 4b
5:	add $16, %edi
	loop 2b
3:	print "\nKiB above 1 MiB: "
	mov 8(%ebx), %eax
	call puthex
	print "\n"
	power_off
	library
