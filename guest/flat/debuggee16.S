/* Real mode code at 2000:0 for a debugger: the linear address is not the offset. tests/gdb knows the offsets. */
#include "pc.inc"
	.code16
	.globl _start
_start:
	mov $0x1234, %ax
	jmp there
	.org 0x10
there:	mov $0x2000, %bx
	mov %bx, %ds
	mov %ax, 0x100
	power_off
	.org 0x104
