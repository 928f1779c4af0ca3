/* Real mode, as a boot sector: at 0:7C00, without a BIOS to call. */
#include "pc.inc"
	.code16
	.globl _start
_start:
	mov $text, %si
	cld
1:	lodsb
	test %al, %al
	jz 2f
	mov $COM1, %dx
	out %al, %dx
	jmp 1b
2:	power_off
text:	.asciz "hello from real mode\n"
