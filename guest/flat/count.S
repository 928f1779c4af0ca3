/*
 * A known number of instructions: COUNT at the end says how many retire, the last OUT included. What counts is
 * tried on every path an engine has: branches taken and not, calls and returns that pair and do not, the monitor's
 * instructions, string instructions (one each, however long), faults (which do not retire), code that changes.
 */
#include "pc.inc"
	.set N, 50000
	.set M, 2000
	.set GATE, 6

	.globl _start
_start:
	mov $0x180000, %esp
	lgdt gdtr
	ljmp $0x08, $1f
1:	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $0xFF, %al
	out %al, $0x21
	out %al, $0xA1
	lidt idtr
	gate 0, skip
	gate 6, skip
	gate 0x30, back
	.set START, 11 + 3 * GATE

	mov $N, %ecx
1:	add $1, %ebx
	jc 9f				/* never */
	test $1, %cl
	jz 2f				/* every other time */
	xor %edx, %edx
2:	call leaf
	dec %ecx
	jnz 1b
9:	mov $N, %ecx
1:	jecxz 2f
	loop 1b
2:	nop
	.set BRANCHES, 1 + N * (4 + 1 + 3 + 2) + N / 2 + 1 + 2 * N + 1

	mov $M, %esi
1:	cli
	sti
	nop
	pushf
	popf
	xor %eax, %eax
	cpuid
	in $0x61, %al
	mov %cr0, %eax
	mov %eax, %cr0			/* ends the block */
	mov %ds, %eax
	mov %eax, %ds
	int $0x30			/* and an IRET */
	dec %esi
	jnz 1b
	.set MONITOR, 1 + M * (15 + 1)

	mov $M, %esi
1:	mov $0x200000, %edi
	mov $5000, %ecx
	rep stosb
	mov $0x80, %edx
	mov $0x200000, %ebp
	xchg %esi, %ebp
	mov $1500, %ecx			/* more than the monitor does at a stretch */
	rep outsb
	mov %ebp, %esi
	dec %esi
	jnz 1b
	.set STRINGS, 1 + M * 11

	mov $M, %esi
	xor %ecx, %ecx
1:	ud2
	mov $7, %eax
	cltd
	div %ecx			/* #DE */
	dec %esi
	jnz 1b
	.set FAULTS, 2 + M * (2 + 2 + 2 + 2)	/* both handlers: add, iret */

	mov $M, %esi
1:	push $2f
	ret				/* to where no call was */
2:	mov $3f, %eax
	jmp *%eax
3:	mov $leaf, %eax
	call *%eax
	mov %esi, changed + 1		/* the instruction after the next */
	nop
changed:
	mov $0, %eax
	cmp %eax, %esi
	jne wrong
	dec %esi
	jnz 1b
	.set CHANGES, 1 + M * (2 + 2 + 2 + 3 + 3 + 2 + 2)

	mov $PM1A_CNT, %dx
	mov $0x2000, %ax
	out %ax, %dx
1:	hlt
	jmp 1b
	.set COUNT, START + BRANCHES + MONITOR + STRINGS + FAULTS + CHANGES + 3

wrong:
	mov $1, %eax
	out %eax, $0xF4
	jmp wrong

leaf:	push %eax
	pop %eax
	ret
skip:	addl $2, (%esp)			/* UD2 and this DIV are two bytes long */
	iret
back:	iret

	.align 8
gdt:	.quad 0, 0x00CF9A000000FFFF, 0x00CF92000000FFFF
gdtr:	.word 23
	.long gdt
	.align 8
idt:	.fill 0x31, 8, 0
idtr:	.word 0x31 * 8 - 1
	.long idt
	/* For who reads the file. */
	.align 8
	.ascii "COUNT = "
	.quad COUNT
