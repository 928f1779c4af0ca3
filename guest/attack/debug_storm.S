/* A handler of #DB with a breakpoint on its own first instruction, on a stack of 64 KiB that wraps: it is entered for ever. */
#define REAL_MODE
#include "../flat/pc.inc"
	.code16
	.globl _start
_start:
	cli
	xor %ax, %ax
	mov %ax, %es
	movw $storm, %es:4
	movw $0x2000, %es:6
	mov $0x8000, %ax
	mov %ax, %ss
	mov $0xFFFE, %sp
	mov $0x3F8, %dx
	mov $'!', %al
	out %al, %dx
	mov $0x20000, %eax
	add $storm, %eax
	mov %eax, %dr0
	mov $1, %eax
	mov %eax, %dr7
storm:	jmp storm
