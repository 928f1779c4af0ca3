/* 256 KiB of output: 4096 lines of 63 characters. Then power off. */
#include "pc.inc"
	.globl _start
_start:
	mov $4096, %ecx
1:	mov $63, %ebx
2:	mov $'a' - 1, %al
	add %cl, %al
	and $15, %al
	add $'a', %al
	call putc
	dec %ebx
	jnz 2b
	mov $'\n', %al
	call putc
	loop 1b
	power_off
	library
