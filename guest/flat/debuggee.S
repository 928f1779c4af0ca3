/*
 * What a debugger is tried on: a counter, calls, string instructions, x87 and SSE registers, an exception,
 * another address space, and a routine that is rewritten while it runs. tests/gdb drives it.
 */
#include "pc.inc"
	.globl _start, again, work, counter, table, copy, copied, ud_handler, rewritten, patch, mapped, done, shadow
_start:
	lidt idtr
	mov $ud_handler, %eax		/* #UD and the breakpoint trap #BP go to our own handlers */
	mov $6, %ebx
	call set_gate
	mov $bp_handler, %eax
	mov $3, %ebx
	call set_gate
	mov %cr4, %eax
	or $0x210, %eax			/* OSFXSR, PSE */
	mov %eax, %cr4
	fninit
	fldpi
	fld1
	movups floats, %xmm3
	mov $'s', %al
	call putc
again:	mov $0x11223344, %eax
	mov $3, %ecx
1:	call work
	loop 1b
copy:	mov $source, %esi
	mov $target, %edi
	mov $8, %ecx
	cld
	rep movsb
copied:	ud2				/* the handler steps over it */
	int3
shadow:	sti
	nop
	cli
	call patch
	call rewritten			/* must be the new one: 2 */
	add %eax, total
	call map
mapped:	mov 0xC0000000 + twin, %eax	/* the same memory, at 3 GiB */
	movl $0x600D, 0xC0000000 + twin
	mov %cr0, %eax
	and $0x7FFFFFFF, %eax
	mov %eax, %cr0
	incl rounds
	cmpl $2, rounds
	jb again
done:	mov $'.', %al
	call putc
	mov $'\n', %al
	call putc
	power_off

work:	incl counter
	mov counter, %eax
	mov %eax, table(,%eax,4)
	ret
rewritten:
	mov $1, %eax
	ret
patch:	movl $2, rewritten + 1
	ret
/* Linear 3 GiB on: physical 0 on, by one 4 MiB page; and the first 4 MiB as they are. */
map:	movl $0x83, directory
	movl $0x83, directory + 0xC00
	mov $directory, %eax
	mov %eax, %cr3
	mov %cr0, %eax
	or $0x80000000, %eax
	mov %eax, %cr0
	ret
ud_handler:
	addl $2, (%esp)
	incl faults
	iret
bp_handler:
	incl traps
	iret
/* Gate EBX to EAX. */
set_gate:
	mov %ax, idt(,%ebx,8)
	movw $0x08, idt + 2(,%ebx,8)
	movw $0x8E00, idt + 4(,%ebx,8)
	shr $16, %eax
	mov %ax, idt + 6(,%ebx,8)
	ret
	library

	.globl rounds, faults, traps, total, source, target, twin, floats
	.balign 16
floats:	.float 1.5, 2.5, 3.5, 4.5
idtr:	.word 32 * 8 - 1
	.long idt
	.balign 8
idt:	.fill 32 * 8, 1, 0
	.balign 4096
/* A page without code. */
counter:	.long 0
rounds:	.long 0
faults:	.long 0
traps:	.long 0
total:	.long 0
twin:	.long 0x7E57
source:	.ascii "debugger"
target:	.fill 8, 1, 0
	.balign 4
table:	.fill 64, 4, 0
	.balign 4096
directory:	.fill 4096, 1, 0
