/* CR3 into a device, then into nothing: the next fetch has no page, and no handler has one either. */
#include "../flat/pc.inc"
	.globl _start
_start:
	print "no tables\n"
	mov $0xFEE00000, %eax
	mov %eax, %cr3
	mov %cr0, %eax
	or $0x80000000, %eax
	mov %eax, %cr0
1:	jmp 1b
	library
